//! Why a command could not do what it was asked, in words for the one who typed it.

use std::fmt;

use crate::Exit;

/// A command that did not get as far as a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence.
    pub text: String,
    /// The status code that said so, if one did.
    pub code: Option<u16>,
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), code: None }
    }

    pub(crate) fn network(text: impl Into<String>) -> Self {
        Self { exit: Exit::Network, text: text.into(), code: None }
    }

    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, text: text.into(), code: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
