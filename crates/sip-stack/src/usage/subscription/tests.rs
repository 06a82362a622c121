use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{Contact, Message, Method, Name, NameAddr, Request, Response, Status, Uri};
use rand::SeedableRng as _;

use super::super::{Body, Claims, Settings, Stack, UsageId, UsageOwner};
use super::*;
use crate::transaction::{Limits, Owner, TransactionEvent, Transactions};
use crate::{Context, Flow, Outbox, Rng, Timers, Transport};

/// One side of a subscription, and the layers below it.
struct Side {
    now: Instant,
    rng: Rng,
    timers: Timers<Owner>,
    usage_timers: Timers<UsageOwner>,
    transactions: Transactions,
    claims: Claims,
    out: Outbox,
    settings: Arc<Settings>,
    flow: Flow,
}

impl Side {
    fn new(own: u8, other: u8, now: Instant) -> Self {
        let address = |number| SocketAddr::from(([192, 0, 2, number], 5060));
        let contact: Uri = format!("sip:{own}@192.0.2.{own}").parse().unwrap();
        let settings = Settings {
            sent_by: address(own).into(),
            contact: Contact::new(contact),
            agent: "test".to_owned(),
            allow: "NOTIFY".to_owned(),
            reliable_provisional: false,
            session_timers: Default::default(),
            pinned: false,
        };
        Self {
            now,
            rng: Rng::seed_from_u64(own.into()),
            timers: Timers::new(),
            usage_timers: Timers::new(),
            transactions: Transactions::new(Limits::default()),
            claims: Claims::default(),
            out: Outbox::default(),
            settings: Arc::new(settings),
            flow: Flow {
                transport: Transport::Udp,
                local: address(own),
                remote: address(other),
                connection: None,
            },
        }
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Stack<'_, '_>) -> R) -> R {
        let mut cx = Context {
            now: self.now,
            rng: &mut self.rng,
            timers: &mut self.timers,
            out: &mut self.out,
            shard: 0,
        };
        let mut stack = Stack {
            cx: &mut cx,
            transactions: &mut self.transactions,
            timers: &mut self.usage_timers,
            claims: &mut self.claims,
            authorizer: None,
            events: &mut Vec::new(),
        };
        work(&mut stack)
    }

    /// What it has sent since the last time.
    fn sent(&mut self) -> Vec<Message> {
        self.out.transmits.drain(..).map(|one| Message::parse(one.bytes).unwrap()).collect()
    }

    fn take(&mut self, message: Message) -> TransactionEvent {
        let flow = self.flow;
        self.with(|stack| stack.transactions.receive(message, flow, stack.cx)).unwrap()
    }

    /// The next deadline of a usage, at which its clock then stands.
    fn due(&mut self) -> Instant {
        self.now = self.usage_timers.next_deadline().unwrap();
        self.usage_timers.pop_due(self.now).unwrap().0
    }
}

fn start() -> Instant {
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

fn request(message: Message) -> Request {
    match message {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

fn response(message: Message) -> Response {
    match message {
        Message::Response(response) => response,
        Message::Request(request) => panic!("{request:?}"),
    }
}

fn subscriber(expires: u32) -> (Side, Subscriber) {
    let mut side = Side::new(1, 2, start());
    let uri = |text: &str| text.parse::<Uri>().unwrap();
    let what = SubscriptionSettings {
        target: uri("sip:bob@192.0.2.2"),
        from: NameAddr::new(uri("sip:alice@192.0.2.1")),
        to: NameAddr::new(uri("sip:bob@192.0.2.2")),
        routes: Vec::new(),
        event: "dialog;id=7".to_owned(),
        accept: None,
        expires,
        headers: Vec::new(),
    };
    let (settings, flow) = (Arc::clone(&side.settings), side.flow);
    let usage = side.with(|stack| {
        let mut usage = Subscriber::new(UsageId(1), what, settings, stack);
        assert!(usage.start(vec![flow], stack));
        usage
    });
    (side, usage)
}

fn notifier(subscribe: &Request, expires: u64, now: Instant) -> (Side, Notifier) {
    let mut side = Side::new(2, 1, now);
    let TransactionEvent::Request { server, request, flow } = side.take(subscribe.clone().into()) else {
        panic!("no new request")
    };
    let grant = Grant { expires: Duration::from_secs(expires), flow, settings: Arc::clone(&side.settings) };
    let usage = side.with(|stack| Notifier::accept(UsageId(9), server, &request, grant, stack)).unwrap();
    (side, usage)
}

fn tell(side: &mut Side, usage: &mut Notifier, text: &str) -> Option<Request> {
    let body = Body { content_type: "text/plain".into(), bytes: text.to_owned().into() };
    side.with(|stack| usage.notify(Some(&body), stack));
    side.sent().pop().map(request)
}

/// The same request with another sequence number and branch.
fn repeated(request: &Request, number: u32) -> Request {
    let mut edit = request.edit();
    edit.set(Name::CSeq, format_args!("{number} SUBSCRIBE"));
    edit.set(Name::Via, format_args!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}x"));
    edit.finish()
}

#[test]
fn a_subscription_is_granted_told_refreshed_and_ended() {
    let (mut alice, mut asks) = subscriber(600);
    let subscribe = request(alice.sent().remove(0));
    let (mut bob, mut tells) = notifier(&subscribe, 300, alice.now);
    let granted = response(bob.sent().remove(0));
    assert_eq!((granted.status(), granted.expires()), (Status::OK, Some(300)));
    let event = alice.take(granted.into());
    let accepted = alice.with(|stack| asks.receive(&event, stack));
    assert!(matches!(accepted, Some(SubscriberEvent::Accepted { expires, .. }) if expires.as_secs() == 300));
    let notify = tell(&mut bob, &mut tells, "one").unwrap();
    assert_eq!(notify.raw(Name::Event), Some(&b"dialog;id=7"[..]));
    assert_eq!(notify.raw(Name::SubscriptionState), Some(&b"active;expires=300"[..]));
    assert!(asks.owns(notify.call_id().unwrap(), notify.to_tag().unwrap()));
    let TransactionEvent::Request { server, request: notify, .. } = alice.take(notify.into()) else {
        panic!()
    };
    let told = alice.with(|stack| asks.notified(server, &notify, stack));
    assert!(
        matches!(told, Some(SubscriberEvent::Notified { body: Some(body), over: false, .. }) if body.bytes == "one")
    );
    // While a NOTIFY is under way, what changes waits for its answer.
    tells.changed();
    assert!(!tells.wants_state() && tell(&mut bob, &mut tells, "two").is_none());
    let event = bob.take(response(alice.sent().remove(0)).into());
    tells.receive(&event);
    assert!(tells.wants_state());
    assert_eq!(tell(&mut bob, &mut tells, "three").unwrap().body(), b"three");
    // The refresh comes before the end, in the dialog.
    let deadline = alice.due();
    assert!(alice.with(|stack| asks.timeout(deadline, stack)).is_none());
    let again = request(alice.sent().remove(0));
    assert_eq!(again.to_tag(), Some(tells.local_tag()));
    bob.now = alice.now;
    let TransactionEvent::Request { server, request: again, flow } = bob.take(again.into()) else { panic!() };
    let grant = Grant { expires: Duration::ZERO, flow, settings: Arc::clone(&bob.settings) };
    bob.with(|stack| tells.refresh(server, &again, &grant, stack));
    assert!(tells.is_ending());
    // An older request than one that came already.
    let old = repeated(&again, 1);
    let TransactionEvent::Request { server, request: old, .. } = bob.take(old.into()) else { panic!() };
    bob.with(|stack| tells.refresh(server, &old, &grant, stack));
    assert_eq!(response(bob.sent().pop().unwrap()).status(), Status::SERVER_INTERNAL_ERROR);
}

#[test]
fn a_notify_that_is_refused_or_not_answered_ends_the_subscription() {
    for refused in [true, false] {
        let (mut alice, _) = subscriber(600);
        let subscribe = request(alice.sent().remove(0));
        let (mut bob, mut tells) = notifier(&subscribe, 300, alice.now);
        bob.sent();
        let notify = tell(&mut bob, &mut tells, "one").unwrap();
        let event = if refused {
            let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            bob.take(Response::to_request(&notify, status).finish().into())
        } else {
            loop {
                bob.now = bob.timers.next_deadline().unwrap();
                let (deadline, owner) = bob.timers.pop_due(bob.now).unwrap();
                let event = bob.with(|stack| stack.transactions.timeout(owner, deadline, stack.cx));
                if let Some(event @ TransactionEvent::Timeout { .. }) = event {
                    break event;
                }
            }
        };
        tells.receive(&event);
        assert!(tells.is_over() && !tells.wants_state());
    }
}

#[test]
fn a_subscription_whose_time_is_over_says_so_however_often_it_was_refreshed() {
    let (mut alice, _) = subscriber(600);
    let subscribe = request(alice.sent().remove(0));
    let (mut bob, mut tells) = notifier(&subscribe, 300, alice.now);
    bob.now += Duration::from_secs(200);
    let again = repeated(&subscribe, 2);
    let TransactionEvent::Request { server, request: again, flow } = bob.take(again.into()) else { panic!() };
    let grant = Grant { expires: Duration::from_secs(300), flow, settings: Arc::clone(&bob.settings) };
    bob.with(|stack| tells.refresh(server, &again, &grant, stack));
    assert_eq!(bob.usage_timers.len(), 1);
    let deadline = bob.due();
    bob.with(|stack| tells.timeout(deadline, stack));
    assert!(!tells.is_ending());
    let deadline = bob.due();
    assert_eq!(deadline, alice.now + Duration::from_secs(500));
    bob.with(|stack| tells.timeout(deadline, stack));
    bob.sent();
    let last = tell(&mut bob, &mut tells, "end").unwrap();
    assert_eq!(last.raw(Name::SubscriptionState), Some(&b"terminated;reason=timeout"[..]));
    assert!(tells.is_over());
}

#[test]
fn a_notifier_that_knows_nothing_of_it_any_more_is_asked_anew() {
    let (mut alice, mut asks) = subscriber(600);
    let subscribe = request(alice.sent().remove(0));
    let (mut bob, _) = notifier(&subscribe, 600, alice.now);
    let event = alice.take(bob.sent().remove(0));
    alice.with(|stack| asks.receive(&event, stack));
    let deadline = alice.due();
    alice.with(|stack| asks.timeout(deadline, stack));
    let refresh = request(alice.sent().remove(0));
    let gone = Response::to_request(&refresh, Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST).finish();
    let event = alice.take(gone.into());
    assert!(alice.with(|stack| asks.receive(&event, stack)).is_none());
    let anew = request(alice.sent().remove(0));
    assert!(anew.to_tag().is_none() && anew.call_id().unwrap() != refresh.call_id().unwrap());
    assert_eq!(*anew.method(), Method::Subscribe);
    // A refusal for good ends it.
    let event = alice.take(Response::to_request(&anew, Status::FORBIDDEN).finish().into());
    let over = alice.with(|stack| asks.receive(&event, stack));
    assert!(
        matches!(over, Some(SubscriberEvent::Refused { status: Status::FORBIDDEN, .. })) && asks.is_over()
    );
}
