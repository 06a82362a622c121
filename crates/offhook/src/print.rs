//! What goes to stdout: lines, tables and JSON. A reader that has seen enough is no error.

use std::io::{self, Write as _};

use serde_json::Value;

/// Writes a line.
pub(crate) fn line(text: &str) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}") {
        // `| head` closes the pipe; anything else that keeps us from writing cannot be told either.
        std::process::exit(if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 1 });
    }
}

/// Writes the rows in columns under their heads.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let write = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    write(heads.to_vec());
    for row in rows {
        write(row.iter().map(String::as_str).collect());
    }
}

/// A table of one key of each object in a list of an answer.
pub(crate) fn objects(answer: &Value, list: &str, columns: &[(&str, &str)]) {
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let none = Vec::new();
    let objects = answer[list].as_array().unwrap_or(&none);
    let row = |object: &Value| columns.iter().map(|(_, key)| word(&object[*key])).collect();
    let rows: Vec<Vec<String>> = objects.iter().map(row).collect();
    table(&heads, &rows);
}

/// A value for people.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
