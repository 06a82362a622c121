//! What goes to the terminal: the result on stdout, everything else on stderr, and one line that moves.

use std::io::{self, IsTerminal, Write};

/// Writes lines so that a progress line never mixes with them.
#[derive(Debug)]
pub(crate) struct Console {
    /// stdout is for JSON alone.
    json: bool,
    /// stderr is a terminal that can take a moving line.
    moving: bool,
    shown: bool,
    /// Nothing may be written at all: a screen is drawn there.
    silent: bool,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, moving: io::stderr().is_terminal() && !json, shown: false, silent: cfg!(test) }
    }

    /// For a phone that nobody watches.
    pub(crate) fn silent() -> Self {
        Self { json: false, moving: false, shown: false, silent: true }
    }

    /// A line of the result.
    pub(crate) fn result(&mut self, line: &str) {
        self.clear();
        if !self.silent {
            // A closed pipe is the reader's choice, not an error.
            let _ = writeln!(io::stdout(), "{line}");
        }
    }

    /// A line that was asked for beside the result: on stderr if stdout is for JSON.
    pub(crate) fn beside(&mut self, line: &str) {
        if self.json { self.note(line) } else { self.result(line) }
    }

    /// A line of progress or a warning.
    pub(crate) fn note(&mut self, line: &str) {
        self.clear();
        if !self.silent {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Replaces the moving line.
    pub(crate) fn progress(&mut self, line: &str) {
        if self.moving && !self.silent {
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            let _ = io::stderr().flush();
            self.shown = true;
        }
    }

    /// Removes the moving line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}
