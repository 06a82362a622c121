//! Checks of the tree: `cargo xtask layers` (arrows point down), `cargo xtask sizes` (what grows too large).

mod layers;
mod sizes;
mod source;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask layers | sizes";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let outcome = match command.as_deref() {
        Some("layers") => check_layers(),
        Some("sizes") => print_sizes(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints every breach of the layer rule; true when there is none.
fn check_layers() -> Result<bool, Box<dyn Error>> {
    let output = Command::new(cargo()).args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let packages = layers::packages(&serde_json::from_slice(&output.stdout)?)?;
    let mut breaches = layers::edges(&packages);
    for package in &packages {
        for file in source::rust_files(&package.folder.join("src"))? {
            let text = std::fs::read_to_string(&file)?;
            breaches.extend(layers::forbidden_code(package, &file, &text));
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    println!("layers: {} packages, {} breaches", packages.len(), breaches.len());
    Ok(breaches.is_empty())
}

/// Prints the ten largest files and functions, to look at; never fails for what it finds.
fn print_sizes() -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask stands in no folder")?;
    let mut found = sizes::Sizes::default();
    for folder in ["crates", "xtask"] {
        for file in source::rust_files(&root.join(folder))? {
            let text = std::fs::read_to_string(&file)?;
            found.add(file.strip_prefix(root).unwrap_or(&file), &text);
        }
    }
    print!("{}", found.report(10));
    Ok(true)
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
