//! Media that fails, in words for both phones.

use offhook_media::command::InsecureReason;
use offhook_sip::Status;

/// Why a call cannot go on with the media that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing has come for a while.
    Stopped,
    /// It has been on hold for too long.
    Held,
    /// A port could not be had.
    NoPort,
    /// A handshake failed.
    Insecure(InsecureReason),
    /// A phone answered without the protection that must be.
    Unprotected,
}

impl Trouble {
    /// The value of a Reason header (RFC 3326), and with what a call is refused that was not answered yet.
    pub(crate) fn words(self) -> (String, Status, &'static str) {
        match self {
            Self::Stopped => {
                ("SIP;cause=408;text=\"Media stopped\"".to_owned(), Status::REQUEST_TIMEOUT, "Media stopped")
            }
            Self::Held => {
                let words = "On hold too long";
                (format!("SIP;cause=408;text=\"{words}\""), Status::REQUEST_TIMEOUT, words)
            }
            Self::NoPort => {
                let words = "A media port cannot be had";
                (format!("SIP;cause=503;text=\"{words}\""), Status::SERVICE_UNAVAILABLE, words)
            }
            Self::Insecure(reason) => {
                let words = "Media could not be secured";
                (format!("SIP;cause=488;text=\"{words}: {reason}\""), Status::NOT_ACCEPTABLE_HERE, words)
            }
            Self::Unprotected => {
                let words = "The phone did not encrypt its media";
                (format!("SIP;cause=488;text=\"{words}\""), Status::NOT_ACCEPTABLE_HERE, words)
            }
        }
    }
}
