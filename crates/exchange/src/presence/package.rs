//! The event packages that are served here.

use offhook_sip::Request;

/// An event package (RFC 6665 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    /// Whether somebody can be reached (RFC 3856).
    Presence,
    /// The calls of an account: lamps (RFC 4235).
    Dialog,
    /// The contacts of an account (RFC 3680).
    Registration,
    /// Voice messages (RFC 3842).
    MessageSummary,
}

impl Package {
    const ALL: [Self; 4] = [Self::Presence, Self::Dialog, Self::Registration, Self::MessageSummary];

    /// The package that a request is about, if it is served here. One with templates (`presence.winfo`) is none of ours.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let event = request.event().ok().flatten()?;
        Self::ALL.into_iter().find(|one| event.package.eq_ignore_ascii_case(one.name()))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Dialog => "dialog",
            Self::Registration => "reg",
            Self::MessageSummary => "message-summary",
        }
    }

    /// The type of what its NOTIFYs carry.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Presence => "application/pidf+xml",
            Self::Dialog => "application/dialog-info+xml",
            Self::Registration => "application/reginfo+xml",
            Self::MessageSummary => "application/simple-message-summary",
        }
    }

    /// Whether only the account itself may watch it: where its phones are, and who has spoken to it, is nobody else's
    /// business.
    pub(crate) const fn is_private(self) -> bool {
        matches!(self, Self::Registration | Self::MessageSummary)
    }

    /// Whether calls are part of it.
    pub(crate) const fn shows_calls(self) -> bool {
        matches!(self, Self::Presence | Self::Dialog)
    }

    /// Whether contacts are part of it.
    pub(crate) const fn shows_contacts(self) -> bool {
        matches!(self, Self::Presence | Self::Registration)
    }
}

/// The value of Allow-Events.
pub(crate) const ALLOW_EVENTS: &str = "presence, dialog, reg, message-summary";
