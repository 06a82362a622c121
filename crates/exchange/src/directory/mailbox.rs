//! What waits in an account's mailbox.

/// How many voice messages an account has (RFC 3842).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Not heard yet.
    pub new: u32,
    /// Heard and kept.
    pub old: u32,
}
