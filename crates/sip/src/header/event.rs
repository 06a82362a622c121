//! Event and Subscription-State (RFC 6665 §8.2).

use super::params::{self, Params};
use crate::{Text, lex};
use bytes::Bytes;
use std::fmt;

/// An event package with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The package with its templates, e.g. `presence.winfo`.
    pub package: Text,
    /// The parameters.
    pub params: Params,
}

impl Event {
    /// The `id` parameter, part of what tells subscriptions apart.
    pub fn id(&self) -> Option<&str> {
        self.params.get("id")
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.package, self.params)
    }
}

/// The state of a subscription as its notifier sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state.
    pub state: Substate,
    /// The parameters.
    pub params: Params,
}

/// The states of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Substate {
    /// `active`
    Active,
    /// `pending`
    Pending,
    /// `terminated`
    Terminated,
    /// An extension, to be taken as active (RFC 6665 §4.1.3).
    Other(Text),
}

impl SubscriptionState {
    /// Seconds left.
    pub fn expires(&self) -> Option<u32> {
        self.params.number("expires")
    }

    /// Why it ended, e.g. `deactivated`, `timeout`, `noresource`.
    pub fn reason(&self) -> Option<&str> {
        self.params.get("reason")
    }

    /// Seconds to wait before subscribing again.
    pub fn retry_after(&self) -> Option<u32> {
        self.params.number("retry-after")
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            Substate::Active => "active",
            Substate::Pending => "pending",
            Substate::Terminated => "terminated",
            Substate::Other(text) => text,
        };
        write!(f, "{state}{}", self.params)
    }
}

pub(crate) fn read_event(bytes: Bytes) -> Result<Event, usize> {
    let (package, params) = token_and_params(&bytes)?;
    Ok(Event { package, params })
}

pub(crate) fn read_state(bytes: Bytes) -> Result<SubscriptionState, usize> {
    let (text, params) = token_and_params(&bytes)?;
    let state = match () {
        () if text.eq_ignore_ascii_case("active") => Substate::Active,
        () if text.eq_ignore_ascii_case("pending") => Substate::Pending,
        () if text.eq_ignore_ascii_case("terminated") => Substate::Terminated,
        () => Substate::Other(text),
    };
    Ok(SubscriptionState { state, params })
}

fn token_and_params(bytes: &Bytes) -> Result<(Text, Params), usize> {
    let end = lex::token(bytes, 0);
    if end == 0 {
        return Err(0);
    }
    params::scan(bytes, end)?;
    Ok((Text::found(bytes.slice(..end)), Params::found(bytes.slice(end..))))
}
