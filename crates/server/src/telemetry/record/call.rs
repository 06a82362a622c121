//! What is known of a call.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::{CalledLeg, Event};
use offhook_exchange::spending::{Money, Price, seconds};

use super::legs::Legs;

/// What is known of a call that is not over. There may be as many as the exchange carries, so it is small, and in memory
/// of this thread's own, lest it keep what the signal thread used beside it.
pub(super) struct Call {
    /// The caller's address and the one called.
    pub(super) parties: Box<str>,
    /// How much of it is the caller's.
    pub(super) from: u32,
    pub(super) legs: u32,
    pub(super) started_at: Duration,
    pub(super) answered_at: Option<Duration>,
    pub(super) anchored: bool,
    /// Who answered, and with which codec.
    pub(super) answered_by: Box<str>,
    /// Where that is, and how long after the call began it was called.
    pub(super) answered_from: Option<(SocketAddr, Duration)>,
    pub(super) codec: Option<Box<str>>,
    /// Apart: most calls are answered by the first who is called.
    pub(super) others: Option<Box<Legs>>,
    /// Call-IDs of legs that have their own; most calls have none.
    pub(super) call_ids: Vec<Box<str>>,
    /// Apart: most calls are heard by nobody else.
    pub(super) heard: Option<Box<HeardBy>>,
    /// The trunk by which it left, and what that costs.
    pub(super) sent: Option<Box<Sent>>,
    /// The trunk by which it came.
    pub(super) came_by: Option<Box<str>>,
    /// What came of checking who signed for the caller's number.
    pub(super) verified: Option<Box<str>>,
    /// Why we have ended it, if it is what its account has spent.
    pub(super) stopped: Option<Box<str>>,
}

/// Who or what else has heard a call.
#[derive(Clone, Default)]
pub(super) struct HeardBy {
    /// Its files among the recordings.
    pub(super) recording: Vec<String>,
    /// Who has listened, and how far.
    pub(super) supervised_by: Vec<String>,
}

/// A call that has left by a trunk.
pub(super) struct Sent {
    pub(super) trunk: String,
    pub(super) dialled: String,
    pub(super) sent: String,
    pub(super) charged: Option<(AddressOfRecord, i32)>,
    pub(super) price: Option<Price>,
    pub(super) currency: String,
}

impl Call {
    pub(super) fn new(from: &str, to: &str, targets: usize, started_at: Duration) -> Self {
        let parties = [from, to].concat().into_boxed_str();
        Self {
            parties,
            from: from.len() as u32,
            legs: u32::try_from(targets).unwrap_or(u32::MAX).saturating_add(1),
            started_at,
            answered_at: None,
            anchored: false,
            answered_by: "".into(),
            answered_from: None,
            codec: None,
            others: None,
            call_ids: Vec::new(),
            heard: None,
            sent: None,
            came_by: None,
            verified: None,
            stopped: None,
        }
    }

    /// The seconds for which it is charged that ended at this Unix time; `None`: nobody answered.
    pub(super) fn seconds(&self, ended: Duration) -> Option<u64> {
        Some(seconds(ended.saturating_sub(self.answered_at?)))
    }

    /// What it has cost, if that is known.
    pub(super) fn cost(&self, ended: Duration) -> Option<Money> {
        let price = self.sent.as_ref()?.price?;
        Some(self.seconds(ended).map_or(Money(0), |seconds| price.of(seconds)))
    }

    /// The one who has answered, unless that is an end of ours.
    pub(super) fn winner(&self) -> Option<CalledLeg> {
        let ((at, after), answered) = self.answered_from.zip(self.answered_at)?;
        Some(CalledLeg {
            to: self.answered_by.to_string(),
            at: Some(at),
            trunk: self.sent.as_ref().map(|sent| sent.trunk.clone()),
            call_id: None,
            began: self.started_at + after,
            answered: Some(answered),
            code: 200,
            reason: "OK".to_owned(),
            codec: self.codec.as_deref().map(str::to_owned),
        })
    }

    pub(super) fn parties(&self) -> (&str, &str) {
        self.parties.split_at(self.from as usize)
    }

    /// Events that make the same call of who takes note of them, with the Unix time of each.
    pub(super) fn events(&self, id: &str) -> Vec<(Duration, Event)> {
        let id = || id.to_string();
        let (from, to) = self.parties();
        let (from, to) = (from.to_owned(), to.to_owned());
        let targets = self.legs.saturating_sub(1) as usize;
        let started = Event::CallStarted { call: id(), from, to, targets };
        let mut events = vec![(self.started_at, started)];
        for leg in &self.call_ids {
            let leg = Event::LegStarted { call: id(), leg: leg.to_string() };
            events.push((self.started_at, leg));
        }
        for (at, leg) in self.others.iter().flat_map(|legs| legs.iter()) {
            let ended = Event::LegEnded { call: id(), leg: Box::new(leg.clone()) };
            events.push((at, ended));
        }
        for file in self.heard.iter().flat_map(|heard| &heard.recording) {
            let recording = Event::Recording { call: id(), what: Ok(file.clone()) };
            events.push((self.started_at, recording));
        }
        if let Some(trunk) = &self.came_by {
            let came = Event::CallCame { call: id(), trunk: trunk.to_string() };
            events.push((self.started_at, came));
        }
        if let Some(sent) = &self.sent {
            let Sent { trunk, dialled, sent, charged, price, currency } = &**sent;
            let sent = Event::CallSent {
                call: id(),
                trunk: trunk.clone(),
                dialled: dialled.clone(),
                sent: sent.clone(),
                charged: charged.clone(),
                price: *price,
                currency: currency.clone(),
            };
            events.push((self.started_at, sent));
        }
        if let Some(at) = self.answered_at {
            let after = at.saturating_sub(self.started_at);
            let answered = Event::CallAnswered {
                call: id(),
                after,
                anchored: self.anchored,
                by: self.answered_by.to_string(),
                at: self.answered_from,
                codec: self.codec.as_deref().map(str::to_owned),
            };
            events.push((at, answered));
        }
        events
    }
}

/// How a call ended.
pub(super) struct End {
    pub(super) by: Option<&'static str>,
    pub(super) code: u16,
    pub(super) reason: String,
}
