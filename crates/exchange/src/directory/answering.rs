//! How an account wants its calls answered.

use std::time::Duration;

/// Where calls of an account go that it does not take. The default is the usual: its phones ring until somebody
/// answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answering {
    /// Where calls go instead of ringing here, and when.
    pub forward: Forward,
    /// For how many seconds its phones ring before [`Forward::no_answer`]; `None`: [`RING_SECONDS`].
    pub ring_seconds: Option<u16>,
    /// Its phones do not ring; who calls finds it busy.
    pub do_not_disturb: bool,
    /// Who hides who they are is turned away (RFC 5079).
    pub reject_anonymous: bool,
    /// Numbers and addresses whose calls are turned away; a `*` at the end stands for anything.
    pub blocked: Vec<String>,
    /// The group whose calls it may take while they ring, and whose members may take its own.
    pub pickup_group: Option<String>,
}

/// Where calls go, by why they are not answered: a number, the name of an account, or a SIP or tel URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// All of them, at once.
    pub always: Option<String>,
    /// When the user is busy, declines, or does not want to be disturbed.
    pub busy: Option<String>,
    /// When nobody answers.
    pub no_answer: Option<String>,
    /// When no phone is registered or none can be reached.
    pub unreachable: Option<String>,
}

impl Answering {
    /// Whether nothing is said, so that nothing has to be kept.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// For how long its phones ring.
    pub fn rings_for(&self) -> Duration {
        Duration::from_secs(self.ring_seconds.unwrap_or(RING_SECONDS).into())
    }

    /// Whether a caller with this user part, at this address (`user@host`), is turned away.
    pub fn blocks(&self, user: &str, address: &str) -> bool {
        self.blocked.iter().any(|one| {
            let one = one.strip_prefix("sip:").or_else(|| one.strip_prefix("tel:")).unwrap_or(one);
            let is = |text: &str| match one.strip_suffix('*') {
                Some(begin) => text.starts_with(begin),
                None => text == one,
            };
            is(user) || is(address)
        })
    }
}

/// For how many seconds phones ring before a call goes on to where it is forwarded to.
pub const RING_SECONDS: u16 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_numbers_addresses_and_beginnings() {
        let blocked = ["+49900*", "sip:eve@example.com", "1007"].map(str::to_owned).to_vec();
        let answering = Answering { blocked, ..Answering::default() };
        for (user, address, is) in [
            ("+499001234", "+499001234@carrier.example", true),
            ("+49301234", "+49301234@carrier.example", false),
            ("eve", "eve@example.com", true),
            ("eve", "eve@example.org", false),
            ("1007", "1007@example.com", true),
            ("10071", "10071@example.com", false),
        ] {
            assert_eq!(answering.blocks(user, address), is, "{address}");
        }
    }
}
