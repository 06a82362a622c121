use std::net::SocketAddr;

use bytes::Bytes;
use offhook_sip::Message;

use super::super::tests::{End, epoch};
use super::*;
use crate::{Outbox, Transport};

/// A registration and a registrar that says what it is told to.
struct Desk {
    end: End,
    now: Instant,
    registration: Registration,
    sent: Vec<Request>,
}

impl Desk {
    fn new() -> Self {
        let mut end = End::new(1);
        let now = epoch();
        let settings = Arc::new(end.settings.clone());
        let address: Uri = "sip:alice@example.com".parse().unwrap();
        let what = RegistrationSettings {
            registrar: "sip:example.com".parse().unwrap(),
            address: NameAddr::new(address),
            routes: Vec::new(),
            expires: 600,
            headers: Vec::new(),
        };
        let registration = end.work(now, &mut Outbox::default(), |_, stack| {
            Registration::new(UsageId(0), what, settings, stack)
        });
        Self { end, now, registration, sent: Vec::new() }
    }

    fn work<R>(&mut self, work: impl FnOnce(&mut Registration, &mut Stack<'_, '_>) -> R) -> R {
        let mut out = Outbox::default();
        let registration = &mut self.registration;
        let result = self.end.work(self.now, &mut out, |_, stack| work(registration, stack));
        for transmit in out.transmits {
            let Message::Request(request) = Message::parse(transmit.bytes).unwrap() else { panic!() };
            self.sent.push(request);
        }
        result
    }

    fn register(&mut self) {
        let flow = flow();
        self.work(|registration, stack| registration.register(vec![flow], stack));
    }

    /// Answers the last request.
    fn respond(&mut self, status: Status, headers: &[(&str, &str)]) -> Option<RegistrationEvent> {
        let mut response = Response::to_request(self.sent.last().unwrap(), status).to_tag("r");
        for (name, value) in headers {
            response = response.header_other(name, value);
        }
        let message = Message::Response(response.finish());
        self.work(|registration, stack| {
            let event = stack.transactions.receive(message, flow(), stack.cx)?;
            registration.receive(&event, stack)
        })
    }

    /// Lets time pass until the registration wants to do something, and returns how long that was.
    fn wait(&mut self) -> Duration {
        let (mut timers, before) = (Vec::new(), self.now);
        while let Some((deadline, owner)) =
            self.end.usage_timers.pop_due(self.now + Duration::from_secs(100_000))
        {
            timers.push((deadline, owner));
        }
        let (deadline, _) = *timers.last().unwrap();
        self.now = deadline;
        self.work(|registration, stack| registration.timeout(deadline, stack));
        deadline - before
    }
}

fn flow() -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Flow {
        transport: Transport::Udp,
        local: address("192.0.2.1:5060"),
        remote: address("192.0.2.9:5060"),
        connection: None,
    }
}

const OURS: &str = "<sip:end1@192.0.2.1:5060>";

#[test]
fn a_contact_is_registered_and_refreshed_before_it_expires() {
    let mut desk = Desk::new();
    desk.register();
    let contact = format!("<sip:other@192.0.2.77>;expires=7, {OURS};expires=300");
    let headers = [("Contact", contact.as_str()), ("Service-Route", "<sip:edge.example.com;lr>")];
    let event = desk.respond(Status::OK, &headers).unwrap();
    let RegistrationEvent::Registered { expires, service_route } = event else { panic!("{event:?}") };
    assert_eq!((expires, service_route.len()), (Duration::from_secs(300), 1));
    let wait = desk.wait();
    assert!(wait < Duration::from_secs(268) && wait > Duration::from_secs(250), "{wait:?}");
    assert_eq!(desk.sent.len(), 2);
    let (first, second) = (&desk.sent[0], &desk.sent[1]);
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_eq!(second.cseq().unwrap().number, 2);
}

#[test]
fn a_registrar_that_wants_longer_gets_longer() {
    let mut desk = Desk::new();
    desk.register();
    assert_eq!(desk.respond(Status::INTERVAL_TOO_BRIEF, &[("Min-Expires", "3600")]), None);
    assert_eq!(desk.sent[1].expires(), Some(3600));
    assert_eq!(desk.sent[1].cseq().unwrap().number, 2);
    let event = desk.respond(Status::OK, &[("Contact", OURS), ("Expires", "3600")]);
    assert!(matches!(event, Some(RegistrationEvent::Registered { .. })));
}

#[test]
fn failures_are_tried_again_later_and_later() {
    let mut desk = Desk::new();
    desk.register();
    let mut last = Duration::ZERO;
    for _ in 0..3 {
        let event = desk.respond(Status::SERVICE_UNAVAILABLE, &[]);
        let Some(RegistrationEvent::Failed { retry_after: Some(wait), .. }) = event else {
            panic!("{event:?}")
        };
        assert!(wait > last);
        assert_eq!(desk.wait(), wait);
        last = wait;
    }
    let event = desk.respond(Status::SERVER_INTERNAL_ERROR, &[("Retry-After", "1700")]);
    let Some(RegistrationEvent::Failed { retry_after: Some(wait), .. }) = event else { panic!("{event:?}") };
    assert!(wait >= Duration::from_secs(1700));
}

#[test]
fn a_refusal_for_good_is_not_tried_again() {
    let mut desk = Desk::new();
    desk.register();
    let event = desk.respond(Status::FORBIDDEN, &[]);
    assert!(matches!(event, Some(RegistrationEvent::Failed { retry_after: None, .. })));
    assert!(desk.end.usage_timers.is_empty());
}

#[test]
fn unregistering_asks_for_no_time_and_ends_it() {
    let mut desk = Desk::new();
    desk.register();
    desk.respond(Status::OK, &[("Contact", OURS)]);
    desk.work(|registration, stack| registration.unregister(stack));
    assert_eq!(desk.sent.last().unwrap().expires(), Some(0));
    assert_eq!(desk.respond(Status::OK, &[]), Some(RegistrationEvent::Unregistered));
    assert!(!desk.registration.is_registered());
}

#[test]
fn hostile_answers_change_nothing() {
    let mut desk = Desk::new();
    desk.register();
    let event = desk.respond(Status::OK, &[("Contact", "<sip:end1@192.0.2.1:5060>;expires=4294967295")]);
    let Some(RegistrationEvent::Registered { expires, .. }) = event else { panic!("{event:?}") };
    assert!(expires <= Duration::from_secs(86_400));
    let stray = Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n");
    assert!(Message::parse(stray).is_err());
}
