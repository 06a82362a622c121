//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), both sides.

mod challenge;
mod credentials;
mod nonce_counts;
#[cfg(test)]
mod tests;

pub use challenge::{Authenticator, Failure, Offer, Secrets, Verified};
pub use credentials::{Authorizer, Password, Refusal};

use offhook_sip::{Name, Status};

/// Who asks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A user agent server or registrar: 401 (§22.2).
    UserToUser,
    /// A proxy: 407 (§22.3).
    ProxyToUser,
}

impl Kind {
    /// The status of the challenge.
    pub const fn status(self) -> Status {
        match self {
            Self::UserToUser => Status::UNAUTHORIZED,
            Self::ProxyToUser => Status::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    /// The header that carries the challenge.
    pub const fn challenge_name(self) -> Name {
        match self {
            Self::UserToUser => Name::WwwAuthenticate,
            Self::ProxyToUser => Name::ProxyAuthenticate,
        }
    }

    /// The header that carries the credentials.
    pub const fn credentials_name(self) -> Name {
        match self {
            Self::UserToUser => Name::Authorization,
            Self::ProxyToUser => Name::ProxyAuthorization,
        }
    }
}
