//! SIP messages as a picture and in plain words, for people: each message is an arrow from one party to another.
//!
//! [`Reader`] says what a message between two parties is; `line` and [`Picture`] draw it.

mod language;
mod mask;
mod picture;
mod reader;
mod sound;
mod words;

pub use language::Language;
pub use mask::mask_secrets;
pub use picture::{Picture, Step};
pub use reader::{Reader, Reading};
pub use sound::{Sound, first_codec, sound};
pub use words::of_status;

/// Which way a message went, as one of the parties sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// From this party.
    Sent,
    /// To this party.
    Received,
}

/// One line of a ladder of two parties, of whom `near` stands to the left.
pub fn line(seconds: f64, near: &str, way: Way, far: &str, read: &Reading) -> String {
    let line = format!("  {seconds:5.3}  {near} {} {far}", arrow(way, &read.label, WIDTH));
    match read.words {
        Some(words) => format!("{line}   {words}"),
        None => line,
    }
}

/// The label between two ends of a line, which all are of one length if the label allows.
fn arrow(way: Way, label: &str, width: usize) -> String {
    let rest = "─".repeat(width.saturating_sub(label.chars().count()).max(1));
    match way {
        Way::Sent => format!("── {label} {rest}▶"),
        Way::Received => format!("◀─ {label} ─{rest}"),
    }
}

/// Characters between the two ends of an arrow.
const WIDTH: usize = 41;

#[cfg(test)]
mod tests;
