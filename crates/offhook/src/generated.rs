//! `offhook completions` and `offhook man`: what shells and manuals know of the commands, made from the commands.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::exit::Failure;
use crate::{Program, print};

/// What a shell completes.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Program::command(), "offhook", &mut text);
        print::line(String::from_utf8_lossy(&text).trim_end());
        Ok(())
    }
}

/// Man pages.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The folder they are written to, one page a command; left out: the page of the program alone, on stdout
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(folder) = self.folder else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Program::command()).render(&mut page).map_err(Failure::other)?;
            print::line(String::from_utf8_lossy(&page).trim_end());
            return Ok(());
        };
        std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(Program::command(), &folder))
            .map_err(|error| Failure::other(format!("{}: {error}", folder.display())))
    }
}
