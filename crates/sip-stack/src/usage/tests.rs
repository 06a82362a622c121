//! Two ends of a call on a wire in virtual time, for the tests of the usages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Contact, Message, Method, NameAddr, Status, Uri};
use rand::SeedableRng as _;

use super::invite::{InviteEvent, Outgoing};
use super::{Body, Claims, Invite, SessionTimers, Settings, Stack, UsageId, UsageOwner};
use crate::transaction::{Limits, Owner, TransactionEvent, Transactions};
use crate::{Context, Flow, Outbox, Rng, Timers, Transport};

/// A moment to begin with.
#[allow(clippy::disallowed_methods)]
pub(super) fn epoch() -> Instant {
    Instant::now()
}

/// One end: the least that an owner of invite usages does.
pub(super) struct End {
    pub(super) address: SocketAddr,
    pub(super) settings: Settings,
    rng: Rng,
    timers: Timers<Owner>,
    transactions: Transactions,
    pub(super) usage_timers: Timers<UsageOwner>,
    pub(super) claims: Claims,
    pub(super) usages: BTreeMap<UsageId, Invite>,
    pub(super) events: Vec<(UsageId, InviteEvent)>,
    /// Answers offers at once with this.
    pub(super) answers: Option<&'static str>,
}

impl End {
    pub(super) fn new(number: u8) -> Self {
        let address = SocketAddr::from(([192, 0, 2, number], 5060));
        let contact: Uri = format!("sip:end{number}@{address}").parse().unwrap();
        let settings = Settings {
            sent_by: address.into(),
            contact: Contact::new(contact),
            agent: "test".to_owned(),
            allow: "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO".to_owned(),
            reliable_provisional: false,
            session_timers: SessionTimers { interval: 0, minimum: 90 },
            pinned: false,
        };
        Self {
            address,
            settings,
            rng: Rng::seed_from_u64(u64::from(number)),
            timers: Timers::new(),
            transactions: Transactions::new(Limits::default()),
            usage_timers: Timers::new(),
            claims: Claims::default(),
            usages: BTreeMap::new(),
            events: Vec::new(),
            answers: Some("answer"),
        }
    }

    /// Lends the stack to a piece of work on one usage.
    pub(super) fn work<R>(
        &mut self,
        now: Instant,
        out: &mut Outbox,
        work: impl FnOnce(&mut BTreeMap<UsageId, Invite>, &mut Stack<'_, '_>) -> R,
    ) -> R {
        let mut cx = Context { now, rng: &mut self.rng, timers: &mut self.timers, out, shard: 0 };
        let mut stack = Stack {
            cx: &mut cx,
            transactions: &mut self.transactions,
            timers: &mut self.usage_timers,
            claims: &mut self.claims,
            authorizer: None,
            events: &mut self.events,
        };
        work(&mut self.usages, &mut stack)
    }

    fn dispatch(&mut self, event: TransactionEvent, now: Instant, out: &mut Outbox) {
        let settings = Arc::new(self.settings.clone());
        let answers = self.answers;
        let before = self.events.len();
        self.work(now, out, |usages, stack| {
            let owner = stack.claims.owner(&event).or_else(|| match &event {
                TransactionEvent::Request { request, .. } | TransactionEvent::Ack { request, .. } => {
                    let (id, tag) = (request.call_id().ok()?, request.to_tag()?);
                    usages.iter().find(|(_, usage)| usage.owns(id, tag)).map(|(id, _)| *id)
                }
                _ => None,
            });
            stack.claims.settle(&event);
            match (owner.and_then(|owner| usages.get_mut(&owner)), event) {
                (Some(usage), event) => usage.receive(event, stack),
                (None, TransactionEvent::Request { server, request, flow }) => {
                    assert_eq!(*request.method(), Method::Invite);
                    let id = UsageId(usages.len() as u64 + 100);
                    usages.extend(
                        Invite::incoming(id, server, request, flow, settings, stack).map(|u| (id, u)),
                    );
                }
                (None, _) => {}
            }
        });
        self.answer_offers(before, answers, now, out);
    }

    fn answer_offers(&mut self, from: usize, answer: Option<&str>, now: Instant, out: &mut Outbox) {
        let Some(answer) = answer else { return };
        let offers: Vec<UsageId> = self.events[from..]
            .iter()
            .filter(|(_, event)| matches!(event, InviteEvent::Offer { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in offers {
            self.work(now, out, |usages, stack| {
                usages.get_mut(&id).unwrap().answer(Body::sdp(answer.to_owned()), stack);
            });
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next_deadline(), self.usage_timers.next_deadline()].into_iter().flatten().min()
    }

    fn due(&mut self, now: Instant, out: &mut Outbox) {
        while let Some((deadline, owner)) = self.timers.pop_due(now) {
            let event = self.work(now, out, |_, stack| stack.transactions.timeout(owner, deadline, stack.cx));
            if let Some(event) = event {
                self.dispatch(event, now, out);
            }
        }
        while let Some((deadline, owner)) = self.usage_timers.pop_due(now) {
            self.work(now, out, |usages, stack| {
                if let Some(usage) = usages.get_mut(&owner.usage) {
                    usage.timeout(owner.timer, deadline, stack);
                }
            });
        }
        self.usages.retain(|_, usage| !usage.is_over());
    }
}

/// Two ends, their clock, and what is under way between them.
pub(super) struct Wire {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    under_way: Vec<(Instant, usize, Bytes)>,
    /// Every message sent, as `0 INVITE` or `1 180 INVITE`.
    pub(super) trace: Vec<String>,
    /// Messages that get lost: how they look in the trace, and how many more of them.
    pub(super) losses: Vec<(&'static str, usize)>,
}

/// The call of end 0.
pub(super) const CALL: UsageId = UsageId(1);
/// The first call that end 1 gets.
pub(super) const CALLED: UsageId = UsageId(100);
const DELAY: Duration = Duration::from_millis(20);

impl Wire {
    pub(super) fn new() -> Self {
        Self {
            now: epoch(),
            ends: [End::new(1), End::new(2)],
            under_way: Vec::new(),
            trace: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// End 0 calls end 1.
    pub(super) fn call(&mut self, offer: Option<&str>) {
        let (from, to) = (self.ends[0].address, self.ends[1].address);
        let settings = Arc::new(self.ends[0].settings.clone());
        let target: Uri = format!("sip:end2@{to}").parse().unwrap();
        let outgoing = Outgoing {
            call_id: None,
            max_forwards: 70,
            target: target.clone(),
            from: NameAddr::new("sip:end1@example.com".parse::<Uri>().unwrap()),
            to: NameAddr::new(target),
            routes: Vec::new(),
            headers: Vec::new(),
            body: offer.map(|offer| Body::sdp(offer.to_owned())),
            flows: vec![Flow { transport: Transport::Udp, local: from, remote: to, connection: None }],
        };
        self.work(0, |usages, stack| {
            usages.insert(CALL, Invite::call(CALL, outgoing, settings, stack).unwrap());
        });
    }

    /// Calls, answers, and lets the ACK arrive.
    pub(super) fn establish(&mut self) {
        self.call(Some("offer"));
        self.pass(Duration::from_millis(100));
        self.at(1, CALLED, |usage, stack| usage.accept(Body::sdp("answer"), stack));
        self.pass(Duration::from_millis(100));
        assert!(self.ends.iter().all(|end| end.usages.values().all(Invite::is_established)));
    }

    pub(super) fn work<R>(
        &mut self,
        end: usize,
        work: impl FnOnce(&mut BTreeMap<UsageId, Invite>, &mut Stack<'_, '_>) -> R,
    ) -> R {
        let mut out = Outbox::default();
        let result = self.ends[end].work(self.now, &mut out, work);
        self.carry(end, out);
        result
    }

    /// Does something to one usage.
    pub(super) fn at(
        &mut self,
        end: usize,
        usage: UsageId,
        work: impl FnOnce(&mut Invite, &mut Stack<'_, '_>),
    ) {
        self.work(end, |usages, stack| work(usages.get_mut(&usage).unwrap(), stack));
    }

    /// Gives a message to an end as if it came from the other.
    pub(super) fn inject(&mut self, to: usize, text: &str) {
        self.under_way.push((self.now, to, Bytes::from(text.replace('\n', "\r\n"))));
        self.pass(Duration::ZERO);
    }

    fn carry(&mut self, from: usize, out: Outbox) {
        for transmit in out.transmits {
            let name = name(from, &transmit.bytes);
            self.trace.push(name.clone());
            match self.losses.iter_mut().find(|(loss, left)| *loss == name && *left > 0) {
                Some((_, left)) => *left -= 1,
                None => self.under_way.push((self.now + DELAY, 1 - from, transmit.bytes)),
            }
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.under_way.iter().map(|(at, ..)| *at).min();
            let deadline = self.ends.iter().filter_map(End::next_deadline).min();
            let Some(next) = [arrival, deadline].into_iter().flatten().min().filter(|next| *next <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(at) = self.under_way.iter().position(|(at, ..)| *at <= self.now) {
                let (_, to, bytes) = self.under_way.remove(at);
                self.receive(to, bytes);
            }
            for to in 0..2 {
                let mut out = Outbox::default();
                self.ends[to].due(self.now, &mut out);
                self.carry(to, out);
            }
        }
        self.now = end;
    }

    fn receive(&mut self, to: usize, bytes: Bytes) {
        let flow = Flow {
            transport: Transport::Udp,
            local: self.ends[to].address,
            remote: self.ends[1 - to].address,
            connection: None,
        };
        let mut out = Outbox::default();
        let now = self.now;
        let message = Message::parse(bytes).unwrap();
        let end = &mut self.ends[to];
        let event = end.work(now, &mut out, |_, stack| stack.transactions.receive(message, flow, stack.cx));
        if let Some(event) = event {
            end.dispatch(event, now, &mut out);
        }
        self.carry(to, out);
    }

    /// How often this was sent.
    pub(super) fn count(&self, name: &str) -> usize {
        self.trace.iter().filter(|sent| *sent == name).count()
    }

    pub(super) fn ended(&self, end: usize) -> Vec<Status> {
        let statuses = self.ends[end].events.iter().filter_map(|(_, event)| match event {
            InviteEvent::Ended { status, .. } => Some(*status),
            _ => None,
        });
        statuses.collect()
    }

    /// After everyone has hung up nothing may be left.
    pub(super) fn assert_nothing_left(&mut self) {
        self.pass(Duration::from_secs(70));
        for end in &self.ends {
            assert!(end.usages.is_empty(), "usages are left");
            assert!(end.claims.is_empty(), "claims are left");
            assert!(end.transactions.is_empty(), "transactions are left");
        }
    }
}

fn name(from: usize, bytes: &Bytes) -> String {
    match Message::parse(bytes.clone()).unwrap() {
        Message::Request(request) => format!("{from} {}", request.method()),
        Message::Response(response) => {
            format!("{from} {} {}", response.status(), response.cseq().unwrap().method)
        }
    }
}
