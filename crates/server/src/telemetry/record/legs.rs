//! Those who were called, as a record shows them.

use std::time::Duration;

use offhook_exchange::event::{CalledLeg, Reception};
use offhook_web::calendar::rfc3339;
use serde::Serialize;

use super::quality::Quality;

/// Those who were called for a call and are not, or no longer, in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Legs(Vec<Left>);

/// One of them.
#[derive(Clone, Debug)]
struct Left {
    leg: CalledLeg,
    ended: Duration,
    heard: Option<Reception>,
    /// Whether a report of its media is to come.
    waits: bool,
}

/// One in a record.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    to: &'a str,
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    began_at: String,
    answered_at: Option<String>,
    ended_at: String,
    code: u16,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<&'a str>,
    #[serde(flatten)]
    quality: Option<Quality>,
}

impl Legs {
    /// One is over, at this Unix time.
    pub(super) fn push(&mut self, ended: Duration, leg: CalledLeg) {
        if self.0.len() < MOST {
            let waits = leg.answered.is_some();
            self.0.push(Left { leg, ended, heard: None, waits });
        }
    }

    /// What came from the one with this Call-ID.
    pub(super) fn hear(&mut self, call_id: &str, reception: Reception) {
        let is_it = |one: &&mut Left| one.waits && one.leg.call_id.as_deref() == Some(call_id);
        if let Some(one) = self.0.iter_mut().find(is_it) {
            (one.heard, one.waits) = (Some(reception), false);
        }
    }

    /// Whether the report of somebody's media is still to come.
    pub(super) fn waits(&self) -> bool {
        self.0.iter().any(|one| one.waits)
    }

    /// As they were, with the Unix time at which each was over.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Duration, &CalledLeg)> {
        self.0.iter().map(|one| (one.ended, &one.leg))
    }

    /// For a record.
    pub(super) fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        self.0.iter().map(|one| Shown::of(&one.leg, one.ended, one.heard.as_ref()))
    }
}

impl<'a> Shown<'a> {
    pub(super) fn of(leg: &'a CalledLeg, ended: Duration, heard: Option<&Reception>) -> Self {
        let codec = leg.codec.as_deref();
        Self {
            to: &leg.to,
            address: leg.at.map(|at| at.to_string()),
            trunk: leg.trunk.as_deref(),
            call_id: leg.call_id.as_deref(),
            began_at: rfc3339(leg.began),
            answered_at: leg.answered.map(rfc3339),
            ended_at: rfc3339(ended),
            code: leg.code,
            reason: &leg.reason,
            codec,
            quality: heard.map(|heard| Quality::of(heard, codec)),
        }
    }
}

/// More of one call are not named.
const MOST: usize = 50;
