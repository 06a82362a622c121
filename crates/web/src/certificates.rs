//! What the API must know of certificates.

use serde::Serialize;

use crate::Problem;

/// The certificates that a server shows, or would.
pub trait Certificates: Send + Sync {
    /// All of them.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn list(&self) -> Result<Vec<Certificate>, Problem>;

    /// Makes a new certificate by the server's own authority, and shows it from now on.
    ///
    /// # Errors
    /// When no certificate is made here, or it cannot be written.
    fn renew(&self) -> Result<(), Problem>;

    /// Reads the files again, and shows what is in them from now on; connections that stand are left alone.
    ///
    /// # Errors
    /// What is wrong with a file; then nothing changes.
    fn reload(&self) -> Result<(), Problem>;
}

/// A certificate in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// What it is for: `authority`, `sip`, `web`.
    pub purpose: &'static str,
    /// Where it is.
    pub file: String,
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Valid from (RFC 3339) …
    pub not_before: String,
    /// … to.
    pub not_after: String,
    /// Whole days that are left; negative when it has expired.
    pub days_left: i64,
    /// SHA-256 of the certificate, in pairs of hexadecimal digits with colons.
    pub sha256: String,
    /// Whether it is made and renewed here.
    pub own: bool,
}
