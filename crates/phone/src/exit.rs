//! Exit codes: what a script learns from a softphone command.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every expectation was met.
    Ok,
    /// Something else went wrong.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Nobody answered: 408, 480, 487, or it rang too long.
    NoAnswer,
    /// Busy or declined: 486, 600, 603.
    Busy,
    /// There is no such number: 404, 484, 604.
    NotFound,
    /// Not allowed: 401, 403, 407.
    NotAllowed,
    /// Connected, but the sound or an expectation failed.
    Expectation,
    /// The server failed: 5xx.
    ServerFailure,
    /// The network: no such name, refused, no answer at all.
    Network,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number given to the system.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoAnswer => 3,
            Self::Busy => 4,
            Self::NotFound => 5,
            Self::NotAllowed => 6,
            Self::Expectation => 7,
            Self::ServerFailure => 8,
            Self::Network => 9,
            Self::Interrupted => 130,
        }
    }

    /// The word for `result` in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::NotAllowed => "not_allowed",
            Self::Expectation => "expectation_failed",
            Self::ServerFailure => "server_failure",
            Self::Network => "network",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a final SIP status means.
    pub const fn of_status(code: u16) -> Self {
        match code {
            200..=299 => Self::Ok,
            408 | 480 | 487 => Self::NoAnswer,
            486 | 600 | 603 => Self::Busy,
            404 | 484 | 604 => Self::NotFound,
            401 | 403 | 407 => Self::NotAllowed,
            500..=599 => Self::ServerFailure,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_exit_code_of_the_contract() {
        let table = [
            (&[200, 202][..], 0),
            (&[302, 400, 415, 420, 488, 606], 1),
            (&[408, 480, 487], 3),
            (&[486, 600, 603], 4),
            (&[404, 484, 604], 5),
            (&[401, 403, 407], 6),
            (&[500, 501, 503, 504, 580], 8),
        ];
        for (statuses, exit) in table {
            for status in statuses {
                assert_eq!(Exit::of_status(*status).code(), exit, "{status}");
            }
        }
        assert_eq!((Exit::Usage.code(), Exit::Expectation.code()), (2, 7));
        assert_eq!((Exit::Network.code(), Exit::Interrupted.code()), (9, 130));
    }
}
