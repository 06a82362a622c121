//! A line of the file.

use std::time::Duration;

use offhook_exchange::event::{CalledLeg, Reception};
use offhook_web::calendar::rfc3339;
use serde::Serialize;

use super::call::{Call, End};
use super::legs::Shown;
use super::quality::Quality;

/// A line of the file.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    id: &'a str,
    from: &'a str,
    to: &'a str,
    started_at: String,
    answered_at: Option<String>,
    ended_at: String,
    ended_by: Option<&'static str>,
    code: u16,
    reason: String,
    /// The cause of ITU-T Q.850 that it is (RFC 3398 §7.2.4.1, §8.2.6.1).
    q850: u8,
    legs: u32,
    /// Those who were called, in the order in which they were out of it.
    called: Vec<Shown<'a>>,
    /// Of its legs, where they have their own.
    call_ids: Vec<Box<str>>,
    /// Where the sound of an answered call went: `relayed` or `direct`.
    media: Option<&'static str>,
    /// The URI that answered; `exchange` where that is an end of ours.
    answered_by: Option<&'a str>,
    codec: Option<&'a str>,
    /// Media packets that came from either side, where the sound was relayed; those that should have come and did not;
    /// how unevenly they came, and how good that sounds.
    packets_from_caller: Option<u64>,
    packets_from_callee: Option<u64>,
    lost_from_caller: Option<u64>,
    lost_from_callee: Option<u64>,
    jitter_ms_from_caller: Option<f64>,
    jitter_ms_from_callee: Option<f64>,
    mos_from_caller: Option<f64>,
    mos_from_callee: Option<f64>,
    /// The files of its recordings.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    recording: &'a [String],
    /// Who has listened to it, and how: `sip:boss@example.com listen`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supervised_by: &'a [String],
    /// The trunk by which it came.
    came_by: Option<&'a str>,
    /// What came of checking who signed for the caller's number (RFC 8224).
    verified: Option<&'a str>,
    /// Of a call that has left by a trunk: its name, the number as it was dialled and as it was sent.
    trunk: Option<&'a str>,
    dialled: Option<&'a str>,
    sent: Option<&'a str>,
    /// The account that answers for its costs, and these, such as `0.60`, in this currency.
    charged: Option<String>,
    cost: Option<String>,
    currency: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// What is told of a call that ended at this Unix time, of who has answered it, and of what was heard of caller and
    /// callee.
    pub(super) fn of(
        unix: Duration,
        id: &'a str,
        (call, winner): (&'a Call, Option<&'a CalledLeg>),
        end: End,
        heard_of: [Option<Reception>; 2],
    ) -> Self {
        let (from, to) = call.parties();
        let heard = call.heard.as_deref();
        let sent = call.sent.as_deref();
        let cost = call.cost(unix);
        let charged = sent.and_then(|sent| sent.charged.as_ref());
        let codec = call.codec.as_deref();
        let [caller, callee] = heard_of.map(|heard| heard.map(|heard| Quality::of(&heard, codec)));
        let others = call.others.iter().flat_map(|legs| legs.shown());
        Record {
            id,
            recording: heard.map(|heard| heard.recording.as_slice()).unwrap_or_default(),
            supervised_by: heard.map(|heard| heard.supervised_by.as_slice()).unwrap_or_default(),
            from,
            to,
            started_at: rfc3339(call.started_at),
            answered_at: call.answered_at.map(rfc3339),
            ended_at: rfc3339(unix),
            ended_by: end.by,
            code: end.code,
            reason: end.reason,
            q850: cause(end.code),
            legs: call.legs,
            called: others.chain(winner.map(|leg| Shown::of(leg, unix, None))).collect(),
            call_ids: call.call_ids.clone(),
            answered_by: Some(&*call.answered_by).filter(|by| !by.is_empty()),
            codec,
            packets_from_caller: caller.map(|one| one.packets),
            packets_from_callee: callee.map(|one| one.packets),
            lost_from_caller: caller.map(|one| one.lost),
            lost_from_callee: callee.map(|one| one.lost),
            jitter_ms_from_caller: caller.map(|one| one.jitter_ms),
            jitter_ms_from_callee: callee.map(|one| one.jitter_ms),
            mos_from_caller: caller.and_then(|one| one.mos),
            mos_from_callee: callee.and_then(|one| one.mos),
            media: call.answered_at.map(|_| if call.anchored { "relayed" } else { "direct" }),
            came_by: call.came_by.as_deref(),
            verified: call.verified.as_deref(),
            trunk: sent.map(|sent| sent.trunk.as_str()),
            dialled: sent.map(|sent| sent.dialled.as_str()),
            sent: sent.map(|sent| sent.sent.as_str()),
            charged: charged.map(|(account, _)| account.to_string()),
            cost: cost.map(|cost| cost.to_string()),
            currency: cost.and(sent).map(|sent| sent.currency.as_str()),
        }
    }
}

/// The cause that stands for a status (RFC 3398 §8.2.6.1); 16 is a call that was cleared as usual.
fn cause(code: u16) -> u8 {
    match code {
        200..=299 => 16,
        400 | 481 | 500 | 503 => 41,
        401..=403 | 407 | 603 | 607 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        // The caller gave up: cleared as usual.
        487 => 16,
        488 | 606 => 88,
        502 => 38,
        _ => 31,
    }
}
