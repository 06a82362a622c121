//! Exit codes of the server commands, and failures that end in one.

use std::process::ExitCode;

use offhook_server::StartError;
use offhook_web::Problem;

/// Why a command failed, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Any other failure.
    pub(crate) fn other(error: impl ToString) -> Self {
        Self::new(OTHER, error.to_string())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            400 => USAGE,
            404 => NOT_FOUND,
            409 => CONFLICT,
            401 | 403 => NOT_ALLOWED,
            503 => NOT_RUNNING,
            _ => OTHER,
        };
        Self::new(code, problem.detail)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        if error.is_in_use() {
            return Self::new(CANNOT_CONNECT, format!("{error}, and does not answer"));
        }
        let code = if matches!(error, StartError::Certificate(_)) { CONFIGURATION } else { OTHER };
        Self::new(code, error.to_string())
    }
}

/// Says why on stderr.
pub(crate) fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("offhook: {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

pub(crate) const OTHER: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_RUNNING: u8 = 3;
pub(crate) const NOT_FOUND: u8 = 4;
pub(crate) const CONFLICT: u8 = 5;
pub(crate) const NOT_ALLOWED: u8 = 6;
pub(crate) const PROBLEMS_FOUND: u8 = 7;
pub(crate) const CANNOT_CONNECT: u8 = 9;
pub(crate) const CONFIGURATION: u8 = 78;
pub(crate) const INTERRUPTED: u8 = 130;
