//! Why a request is refused: the code, the reason phrase, and the word under which it is counted.

use super::peer::Forbidden;

/// A refusal (RFC 8489 §14.8, RFC 8656 §19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400; what is wrong with it.
    BadRequest(&'static str),
    /// 401.
    Unauthenticated,
    /// 403.
    Forbidden(Forbidden),
    /// 420; the attributes.
    UnknownAttribute(Vec<u16>),
    /// 437: there is no allocation, or one already.
    AllocationMismatch(&'static str),
    /// 438.
    StaleNonce,
    /// 440.
    AddressFamilyNotSupported,
    /// 441: someone else's allocation.
    WrongCredentials,
    /// 442.
    UnsupportedTransport,
    /// 443.
    PeerAddressFamilyMismatch,
    /// 486.
    QuotaReached,
    /// 508; of what there is no more.
    InsufficientCapacity(&'static str),
}

impl Refusal {
    pub(super) const fn code(&self) -> u16 {
        match self {
            Refusal::BadRequest(_) => 400,
            Refusal::Unauthenticated => 401,
            Refusal::Forbidden(_) => 403,
            Refusal::UnknownAttribute(_) => 420,
            Refusal::AllocationMismatch(_) => 437,
            Refusal::StaleNonce => 438,
            Refusal::AddressFamilyNotSupported => 440,
            Refusal::WrongCredentials => 441,
            Refusal::UnsupportedTransport => 442,
            Refusal::PeerAddressFamilyMismatch => 443,
            Refusal::QuotaReached => 486,
            Refusal::InsufficientCapacity(_) => 508,
        }
    }

    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Refusal::BadRequest(why)
            | Refusal::AllocationMismatch(why)
            | Refusal::InsufficientCapacity(why) => why,
            Refusal::Unauthenticated => "Unauthenticated",
            Refusal::Forbidden(why) => why.words(),
            Refusal::UnknownAttribute(_) => "Unknown Attribute",
            Refusal::StaleNonce => "Stale Nonce",
            Refusal::AddressFamilyNotSupported => "Address Family not Supported",
            Refusal::WrongCredentials => "Wrong Credentials",
            Refusal::UnsupportedTransport => "Unsupported Transport Protocol: only UDP is relayed",
            Refusal::PeerAddressFamilyMismatch => "Peer Address Family Mismatch",
            Refusal::QuotaReached => "Allocation Quota Reached",
        }
    }

    /// Under which it is counted.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Refusal::BadRequest(_) => "bad_request",
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::Forbidden(why) => counted(*why),
            Refusal::UnknownAttribute(_) => "unknown_attribute",
            Refusal::AllocationMismatch(_) => "allocation_mismatch",
            Refusal::StaleNonce => "stale_nonce",
            Refusal::AddressFamilyNotSupported => "address_family",
            Refusal::WrongCredentials => "wrong_credentials",
            Refusal::UnsupportedTransport => "unsupported_transport",
            Refusal::PeerAddressFamilyMismatch => "peer_address_family",
            Refusal::QuotaReached => "quota",
            Refusal::InsufficientCapacity(_) => "capacity",
        }
    }
}

/// The word for a peer that may not be reached.
pub(super) const fn counted(why: Forbidden) -> &'static str {
    match why {
        Forbidden::Loopback => "peer_loopback",
        Forbidden::Unspecified => "peer_unspecified",
        Forbidden::Multicast => "peer_multicast",
        Forbidden::Broadcast => "peer_broadcast",
        Forbidden::LinkLocal => "peer_link_local",
        Forbidden::Private => "peer_private",
        Forbidden::Reserved => "peer_reserved",
        Forbidden::Exchange => "peer_exchange",
    }
}

/// What gets no answer has a word too.
pub(super) mod dropped {
    /// Not a message, or one that makes no sense here.
    pub(in crate::turn) const MALFORMED: &str = "malformed";
    /// Too many of them from one source.
    pub(in crate::turn) const RATE: &str = "rate";
    /// More than an allocation may carry.
    pub(in crate::turn) const BANDWIDTH: &str = "bandwidth";
    /// To or from a peer without permission, or by a channel that is not bound.
    pub(in crate::turn) const NO_PERMISSION: &str = "no_permission";
    /// Data of a client without allocation.
    pub(in crate::turn) const NO_ALLOCATION: &str = "no_allocation";
}
