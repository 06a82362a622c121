//! Reading and forwarding one INVITE: our messages beside those of other crates, in turn, in one process.
//!
//! `make bench`, or here: `cargo run --release -- [--rounds N] [--results FOLDER]`.

mod allocations;
mod invite;
mod machine;
mod measure;
mod report;
mod subject;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let subjects = subject::all();
    for subject in &subjects {
        invite::check(subject)?;
    }
    let before = machine::load();
    let results = measure::run(&subjects, options.rounds);
    let text = report::text(&subjects, &results, options.rounds, &before);
    print!("{text}");
    if let Some(folder) = options.results {
        let file = folder.join(format!("parse-{}.md", machine::date()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&file, text)?;
        eprintln!("written to {}", file.display());
    }
    Ok(())
}

struct Options {
    rounds: usize,
    results: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options { rounds: ROUNDS, results: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--rounds" => options.rounds = value()?.parse().map_err(|_| "--rounds wants a number")?,
                "--results" => options.results = Some(value()?.into()),
                _ => return Err(format!("what is {word:?}? [--rounds N] [--results FOLDER]")),
            }
        }
        if options.rounds < 3 { Err("a median wants three rounds or more".into()) } else { Ok(options) }
    }
}

const ROUNDS: usize = 15;
