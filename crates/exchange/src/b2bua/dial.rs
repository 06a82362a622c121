//! Calling somebody for a service: for a call that waits meanwhile, or for nobody yet.

use std::time::Duration;

use offhook_sip::{NameAddr, Status, Uri};
use offhook_sip_stack::dialog::MAX_FORWARDS;
use offhook_sip_stack::ladder::first_codec;
use offhook_sip_stack::usage::Body;
use rand::RngExt as _;

use super::call::{About, Call, NO_MEDIA, With};
use super::refer::NOBODY;
use super::ring::{Asked, Ring};
use super::verb::{Calls, Endpoint, anonymous};
use super::voice::{Dialled, Point};
use super::{CallId, Env, MOST_CALLS, Table};
use crate::context::Alarm;
use crate::directory::AddressOfRecord;
use crate::dispatch;
use crate::event::Event;
use crate::proxy::Target;
use crate::refusal::Refusal;

/// Whom a service calls.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// Numbers, names or addresses of accounts, and URIs, which ring together.
    pub(crate) to: Vec<String>,
    /// The account that answers for where the call goes, as if it had dialled; without one only accounts here are called,
    /// and where the plan leads callers without an account.
    pub(crate) by: Option<AddressOfRecord>,
    /// As whom those who are called see it.
    pub(crate) shown: ShownAs,
    /// They ring for so long.
    pub(crate) rings_for: Duration,
    /// More header fields for phones of ours, as name and value.
    pub(crate) headers: Vec<(String, String)>,
    /// What they talk with until they are connected with somebody.
    pub(crate) endpoint: Endpoint,
}

/// As whom a call of ours appears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShownAs {
    /// As the party of a call that the service has.
    Party(CallId),
    /// As an account.
    Account(AddressOfRecord),
    /// As the exchange, under a number of it and a name.
    Exchange(String, String),
    /// Under this address, as another sees it already.
    Name(Option<Box<NameAddr>>),
}

/// Somebody whom a service wants called, of which only the core knows where that is.
pub(crate) struct Wanted {
    /// The number of the call that it will be.
    pub(crate) call: CallId,
    /// The call that waits for it.
    pub(crate) for_call: Option<CallId>,
    pub(crate) service: usize,
    pub(crate) dial: Dial,
}

impl Dial {
    /// Calls one, who rings for half a minute.
    pub(crate) fn new(to: impl Into<String>, by: Option<AddressOfRecord>, shown: ShownAs) -> Self {
        let (rings_for, headers) = (Duration::from_secs(30), Vec::new());
        Self { to: vec![to.into()], by, shown, rings_for, headers, endpoint: Endpoint::Voice }
    }
}

impl Calls<'_, '_, '_> {
    /// Calls somebody for a call that the service has with an end of ours, whose party goes on hearing what the service
    /// plays. [`Point::Dialled`] of that call tells what comes of it; who answers first is connected with it. Until
    /// then it may be taken back with [`Calls::hang_up`] and the number that is returned.
    pub(crate) fn dial(&mut self, call: CallId, dial: Dial) -> CallId {
        self.want(Some(call), dial)
    }

    /// Calls somebody for nobody yet: who answers first has an end of ours. [`Point::Dialled`] of the call that is returned
    /// tells what comes of it.
    pub(crate) fn originate(&mut self, dial: Dial) -> CallId {
        self.want(None, dial)
    }

    fn want(&mut self, for_call: Option<CallId>, dial: Dial) -> CallId {
        let call = self.table.next();
        self.env.usages.wanted.push(Wanted { call, for_call, service: self.service, dial });
        call
    }
}

impl Table {
    /// Calls those who were found for a service.
    pub(crate) fn dial(
        &mut self,
        wanted: Wanted,
        targets: Result<Vec<Target>, Refusal>,
        env: &mut Env<'_, '_>,
    ) {
        let Wanted { call, for_call, service, dial } = wanted;
        let waits = |one: CallId| self.calls.get(&one).is_some_and(|one| !one.has_ended());
        if for_call.is_some_and(|one| !waits(one)) {
            return;
        }
        let targets = targets.and_then(|targets| {
            let full = self.calls.len() >= MOST_CALLS;
            if full { Err(Status::SERVICE_UNAVAILABLE.into()) } else { Ok(targets) }
        });
        let from = self.shown(&dial, env);
        let (targets, from) = match (targets, from) {
            (Ok(targets), Some(from)) if !targets.is_empty() => (targets, from),
            (targets, _) => {
                let status = targets.err().map_or(Status::TEMPORARILY_UNAVAILABLE, |one| one.status);
                let (about, failed) = (for_call.unwrap_or(call), Dialled::Failed(status));
                match service {
                    NOBODY => env.usages.referral_news.push((about, failed)),
                    service => env.usages.points.push((about, service, Point::Dialled(failed))),
                }
                return self.settle(about, env);
            }
        };
        let uri = targets.first().and_then(|one| one.uri.parse::<Uri>().ok());
        let to = NameAddr::new(uri.unwrap_or_else(|| from.uri.clone()));
        let waiting = for_call.and_then(|one| self.calls.get_mut(&one));
        let call_id = match &waiting {
            Some(waiting) => waiting.about.call_id.clone(),
            None => dispatch::call_id(env.cx.shard, &format!("{:024x}", env.cx.rng.random::<u128>() >> 32)),
        };
        let about = About {
            call_id,
            from: from.to_string(),
            to: dial.to.join(", "),
            started: env.cx.now,
            account: None,
            trunk: None,
            is_leg: waiting.is_some(),
            is_hidden: false,
            called: None,
        };
        if let Some(waiting) = waiting {
            waiting.dials.push(call);
        } else {
            env.cx.event(Event::CallStarted {
                call: about.call_id.clone(),
                from: about.from.clone(),
                to: about.to.clone(),
                targets: targets.len(),
            });
        }
        let headers = dial.headers;
        let (body, endpoint, max_forwards) = (None, dial.endpoint, MAX_FORWARDS);
        let asked = Asked { party: None, from, to, headers, body, endpoint, max_forwards };
        let with = With::Phones(Box::new(Ring::new(asked, targets, None)));
        let mut new = Call::new(call, None, with, about);
        (new.service, new.dialled_for) = (Some(service), for_call);
        env.cx.timers.arm(env.cx.now + dial.rings_for, Alarm::RungOut(call, 0));
        new.ring(env);
        self.insert(new, env);
    }

    /// From of a call of ours.
    fn shown(&self, dial: &Dial, env: &Env<'_, '_>) -> Option<NameAddr> {
        match &dial.shown {
            ShownAs::Party(call) => self.calls.get(call)?.shown(),
            ShownAs::Name(name) => name.as_deref().cloned(),
            ShownAs::Account(address) => {
                let shown = NameAddr::new(address.to_string().parse::<Uri>().ok()?);
                let name = env.directory.account(address).and_then(|account| account.name.as_deref());
                Some(name.map_or(shown.clone(), |name| shown.with_display_name(name)))
            }
            ShownAs::Exchange(number, name) => {
                let host = offhook_sip::Host::parse(env.config.domains.first()?)?;
                let uri = offhook_sip::SipUri::new(Some(number), host);
                Some(NameAddr::new(uri).with_display_name(name))
            }
        }
    }
}

impl Call {
    /// One who is called for a service rings.
    pub(super) fn dialled_rings(&mut self, status: Status, env: &mut Env<'_, '_>) {
        if status == Status::TRYING {
            return;
        }
        if !std::mem::replace(&mut self.rang, true) {
            self.tell_dialled(Dialled::Ringing, env);
        }
    }

    /// One who is called for a service has answered: it has the end of ours that has called it.
    pub(super) fn dialled_answers(&mut self, at: usize, body: Option<Body>, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let Some(end) = ring.branches.get_mut(at).and_then(|branch| branch.end.take()) else { return };
        let (anchor, by_trunk) = (end.anchor, ring.is_trunk(at));
        let codec = body.as_ref().and_then(|body| first_codec(&body.bytes));
        if self.about.is_leg
            && let Some(branch) = ring.branches.get(at)
        {
            let called = branch.answered(codec.clone(), env);
            if let Some(anchor) = env.anchors.get_mut(anchor, &self.about.call_id) {
                anchor.leg = called.call_id.clone();
            }
            self.about.called = Some(Box::new(called));
        }
        if let With::Phones(ring) = std::mem::replace(&mut self.with, With::End(end)) {
            for (number, mut branch) in ring.branches.into_iter().enumerate() {
                if number == at {
                    self.about.trunk = branch.counted.take();
                    self.first = Some(branch.leg);
                } else {
                    self.former.push(branch.leg);
                }
            }
        }
        let unix = env.cx.epoch.unix(env.cx.now);
        match by_trunk {
            true => env.active.spending.call_answered(self.id, unix),
            false => env.active.spending.call_over(self.id, unix),
        }
        let With::End(end) = &mut self.with else { return };
        let settled = body.as_ref().map(|body| end.settle(body, env));
        if !matches!(settled, Some(Ok(()))) {
            return self.hang_up(NO_MEDIA, (Status::NOT_ACCEPTABLE_HERE, "No media in common"), env);
        }
        self.answered = Some(env.cx.now);
        env.anchors.answered_by_us(anchor, env.cx.now);
        self.tell_answered(true, codec, env);
        self.tell_dialled(Dialled::Answered(self.id), env);
        if let Some(waiting) = self.dialled_for.take() {
            env.usages.to_connect.push((waiting, self.id));
        }
    }

    /// Tells who wanted it called what has come of that.
    pub(super) fn tell_dialled(&self, news: Dialled, env: &mut Env<'_, '_>) {
        let about = self.dialled_for.unwrap_or(self.id);
        match self.service {
            Some(NOBODY) => env.usages.referral_news.push((about, news)),
            Some(service) => env.usages.points.push((about, service, Point::Dialled(news))),
            None => {}
        }
    }

    /// As whom others see its party.
    pub(super) fn shown(&self) -> Option<NameAddr> {
        if let Some(other) = self.other.as_ref().filter(|_| self.is_stand_in()) {
            return other.shown.clone();
        }
        let remote = self.first.as_ref()?.invite.remote()?;
        match self.about.is_hidden {
            true => Some(anonymous()),
            false => Some(remote.clone().without_tag().detach()),
        }
    }
}
