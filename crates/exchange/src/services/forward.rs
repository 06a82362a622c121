//! Call forwarding (RFC 5359 §2.5–2.7), do not disturb, and callers that are turned away: as an account has set it.

use std::sync::Arc;

use super::{Diversion, Kind, Service, Settings, Verdict, Why};
use crate::b2bua::{CallId, Calls};
use crate::directory::Answering;
use crate::refusal::Refusal;
use crate::schedule::Schedule;

pub(super) const KIND: Kind = Kind {
    name: "forward",
    summary: "sends calls on, or turns them away, as each account has set it",
    number: |_| None,
    make: |settings| Box::new(Forward { schedules: settings.schedules.clone() }),
};

struct Forward {
    schedules: Vec<Arc<Schedule>>,
}

impl Service for Forward {
    fn configure(&mut self, settings: &Settings) {
        self.schedules.clone_from(&settings.schedules);
    }

    fn routed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(answering) = calls.answering(call) else { return Verdict::Continue };
        if calls.is_blocked(call) {
            return Verdict::Reject(Refusal::declined("Calls from this caller are not taken"));
        }
        if answering.reject_anonymous && calls.is_anonymous(call) {
            return Verdict::Reject(Refusal::anonymous());
        }
        if let Some(to) = self.closed(answering, calls.clock().0) {
            return Verdict::Divert(Diversion { to: to.to_owned(), why: Why::Always });
        }
        if let Some(to) = &answering.forward.always {
            return Verdict::Divert(Diversion { to: to.clone(), why: Why::Always });
        }
        if answering.do_not_disturb {
            return Verdict::Unanswered(Why::DoNotDisturb, Refusal::busy("Do not disturb"));
        }
        let forward = &answering.forward;
        if forward.no_answer.is_some() {
            calls.attend(Some(answering.rings_for()));
        } else if forward.busy.is_some() || forward.unreachable.is_some() {
            calls.attend(None);
        }
        Verdict::Continue
    }

    fn unanswered(&mut self, call: CallId, why: Why, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(answering) = calls.answering(call) else { return Verdict::Continue };
        let forward = &answering.forward;
        let to = match why {
            Why::Always => &forward.always,
            Why::Busy | Why::DoNotDisturb => &forward.busy,
            Why::NoAnswer => &forward.no_answer,
            Why::Unavailable => &forward.unreachable,
            Why::Deflected => &None,
        };
        to.clone().map_or(Verdict::Continue, |to| Verdict::Divert(Diversion { to, why }))
    }
}

impl Forward {
    /// Where calls go at a time at which they are not taken.
    fn closed<'a>(&self, answering: &'a Answering, now: u64) -> Option<&'a str> {
        let hours = answering.hours.as_ref()?;
        let schedule = self.schedules.iter().find(|one| one.name == hours.schedule)?;
        (!schedule.is_open(now)).then_some(hours.otherwise.as_str())
    }
}
