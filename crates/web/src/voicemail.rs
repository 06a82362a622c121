//! What the API must know of voicemail.

use serde::Serialize;

use crate::Problem;

/// The mailboxes of accounts.
pub trait Voicemail: Send + Sync {
    /// What is in the mailbox of an account (`sip:alice@example.com`), new messages first.
    ///
    /// # Errors
    /// When the account cannot be read.
    fn list(&self, account: &str) -> Result<Vec<VoiceMessage>, Problem>;

    /// A message as a WAV file.
    ///
    /// # Errors
    /// When there is no such message.
    fn sound(&self, account: &str, id: &str) -> Result<Vec<u8>, Problem>;

    /// Deletes a message.
    ///
    /// # Errors
    /// When there is no such message, or it cannot be deleted.
    fn remove(&self, account: &str, id: &str) -> Result<(), Problem>;

    /// Leaves a message in the mailbox of another account too, where nobody has heard it; that waits for the disk.
    ///
    /// # Errors
    /// When there is no such message, the other mailbox is the same, has it already or is full, or no exchange runs.
    fn forward(&self, account: &str, id: &str, to: &str) -> Result<(), Problem>;

    /// Greets callers of an account's mailbox with this sound: a file of any kind and rate that is known.
    ///
    /// # Errors
    /// When it is no such file, too long, or cannot be kept.
    fn set_greeting(&self, account: &str, sound: &[u8]) -> Result<(), Problem>;

    /// Goes back to the standard greeting.
    ///
    /// # Errors
    /// When the account has no greeting of its own.
    fn remove_greeting(&self, account: &str) -> Result<(), Problem>;

    /// Deletes the mailbox of an account that is no more, so that nobody inherits it with the address.
    ///
    /// # Errors
    /// When it cannot be deleted.
    fn forget(&self, account: &str) -> Result<(), Problem>;
}

/// A message that somebody has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VoiceMessage {
    /// By which it is known.
    pub id: String,
    /// Whether nobody has heard it.
    pub new: bool,
    /// Who has left it: a number, or the letters and digits of a name.
    pub from: String,
    /// When (RFC 3339).
    pub at: String,
    /// How long it is.
    pub seconds: f64,
}
