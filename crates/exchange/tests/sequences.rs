//! Any sequence of inputs, wild ones among them: no panic, no deadline that comes again and again, and nothing is
//! left in the end.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::net::SocketAddr;
use std::time::Duration;

use bench::{Bench, SERVER, in_dialog, register, reply, request, sdp, tcp, udp, with_sdp};
use bytes::Bytes;
use offhook_exchange::command::{Command, Ticket};
use offhook_exchange::config::{AnchorPolicy, Authentication, Config, Listener, Strangers};
use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::io::Input;
use offhook_media::command::{Refusal, Report, SideName};
use offhook_sip::{Contacts, Message, Method, Request, Response};
use offhook_sip_stack::locate::{DnsFailure, Question, Reach, Records};
use offhook_sip_stack::{Flow, Transport};
use proptest::prelude::*;

/// Phones: two with plain UDP, one with a connection, one behind a NAT. What a phone calls itself, and its way.
const PHONES: [(&str, &str); 4] = [
    ("alice", "192.0.2.10:5060"),
    ("bob", "192.0.2.20:5060"),
    ("carol", "192.0.2.30:49152"),
    ("dave", "198.51.100.7:1024"),
];
const METHODS: [&str; 8] = ["BYE", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "MESSAGE", "SUBSCRIBE"];
const CODES: [u16; 14] = [100, 180, 183, 200, 200, 200, 302, 401, 404, 408, 486, 488, 503, 603];

#[derive(Clone, Debug)]
enum Step {
    Register {
        phone: usize,
        kind: u8,
    },
    Start {
        phone: usize,
        to: usize,
        method: usize,
        body: u8,
    },
    /// A call to another domain.
    Abroad {
        phone: usize,
        method: usize,
        body: u8,
    },
    /// The DNS answers a question.
    Resolved {
        question: usize,
        kind: u8,
    },
    Reply {
        request: usize,
        code: usize,
        tag: u8,
        body: u8,
    },
    Ack {
        dialog: usize,
        body: u8,
    },
    InDialog {
        dialog: usize,
        method: usize,
        by_caller: bool,
        body: u8,
    },
    Cancel {
        message: usize,
    },
    /// Something that was sent before, perhaps by another phone, perhaps changed.
    Again {
        message: usize,
        phone: Option<usize>,
        change: u8,
        at: usize,
        byte: u8,
    },
    Garbage {
        phone: usize,
        bytes: Vec<u8>,
    },
    Broken {
        phone: usize,
        message: usize,
        cut: usize,
    },
    Lost {
        phone: usize,
    },
    Media {
        stream: usize,
        kind: u8,
    },
    Command {
        kind: u8,
        user: usize,
    },
    Drain,
    Pass {
        seconds: u16,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let (phone, some, body) = (0..PHONES.len(), 0..1000_usize, 0..8_u8);
    let method = 0..METHODS.len();
    prop_oneof![
        3 => (phone.clone(), 0..10_u8).prop_map(|(phone, kind)| Step::Register { phone, kind }),
        4 => (phone.clone(), phone.clone(), method.clone(), body.clone())
            .prop_map(|(phone, to, method, body)| Step::Start { phone, to, method, body }),
        1 => (phone.clone(), method.clone(), body.clone())
            .prop_map(|(phone, method, body)| Step::Abroad { phone, method, body }),
        5 => (some.clone(), 0..6_u8).prop_map(|(question, kind)| Step::Resolved { question, kind }),
        9 => (some.clone(), 0..CODES.len(), 0..3_u8, body.clone())
            .prop_map(|(request, code, tag, body)| Step::Reply { request, code, tag, body }),
        2 => (some.clone(), body.clone()).prop_map(|(dialog, body)| Step::Ack { dialog, body }),
        5 => (some.clone(), method, any::<bool>(), body)
            .prop_map(|(dialog, method, by_caller, body)| Step::InDialog { dialog, method, by_caller, body }),
        1 => some.clone().prop_map(|message| Step::Cancel { message }),
        4 => (some.clone(), proptest::option::of(phone.clone()), 0..20_u8, some.clone(), any::<u8>())
            .prop_map(|(message, phone, change, at, byte)| Step::Again { message, phone, change, at, byte }),
        1 => (phone.clone(), proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(phone, bytes)| Step::Garbage { phone, bytes }),
        1 => (phone.clone(), some.clone(), some.clone())
            .prop_map(|(phone, message, cut)| Step::Broken { phone, message, cut }),
        1 => phone.clone().prop_map(|phone| Step::Lost { phone }),
        2 => (some.clone(), 0..6_u8).prop_map(|(stream, kind)| Step::Media { stream, kind }),
        1 => (0..7_u8, phone).prop_map(|(kind, user)| Step::Command { kind, user }),
        2 => prop_oneof![0..3_u16, 20..40_u16, 170..400_u16].prop_map(|seconds| Step::Pass { seconds }),
    ]
}

struct Play {
    bench: Bench,
    sent: Vec<(usize, String)>,
    /// Requests that phones got, with the way of each.
    got: Vec<(Flow, Request)>,
    /// INVITEs as phones got them, each with an answer that its caller got.
    dialogs: Vec<(Request, Response, usize, usize)>,
    count: u32,
}

impl Play {
    fn new(config: impl FnOnce(&mut Config)) -> Self {
        let mut bench = Bench::with(config);
        bench.account("dave", None);
        let mut play = Self { bench, sent: Vec::new(), got: Vec::new(), dialogs: Vec::new(), count: 0 };
        for phone in 0..PHONES.len() {
            play.step(Step::Register { phone, kind: 0 });
        }
        play
    }

    fn step(&mut self, step: Step) {
        self.count += 1;
        match step {
            Step::Register { phone, kind } => self.register(phone, kind),
            Step::Start { phone, to, method, body } => match to {
                0 => self.start(phone, "sip:1002@example.com", method, body),
                _ => self.start(phone, &format!("sip:{}@example.com", PHONES[to].0), method, body),
            },
            Step::Abroad { phone, method, body } => self.start(phone, "sip:x@other.example", method, body),
            Step::Resolved { question, kind } => self.resolve(question, kind),
            Step::Reply { request, code, tag, body } => self.reply(request, CODES[code], tag, body),
            Step::Ack { dialog, body } => self.in_dialog(dialog, "ACK", true, body),
            Step::InDialog { dialog, method, by_caller, body } => {
                self.in_dialog(dialog, METHODS[method], by_caller, body);
            }
            Step::Cancel { message } => {
                let Some((phone, text)) = pick(&self.sent, message).cloned() else { return };
                self.send(phone, &text.replace("INVITE sip", "CANCEL sip").replace(" INVITE\n", " CANCEL\n"));
            }
            Step::Again { message, phone, change, at, byte } => {
                let Some((from, text)) = pick(&self.sent, message).cloned() else { return };
                let text = changed(text, change, at, byte);
                self.send(phone.unwrap_or(from), &text);
            }
            Step::Garbage { phone, bytes } => self.input(datagram(phone, Bytes::from(bytes))),
            Step::Broken { phone, message, cut } => {
                let Some((_, text)) = pick(&self.sent, message).cloned() else { return };
                let head = Bytes::from(text.into_bytes()).slice(..);
                let head = head.slice(..cut.min(head.len()));
                self.input(Input::BrokenStream { flow: way(phone), head });
            }
            Step::Lost { phone } => self.input(Input::FlowFailed(way(phone))),
            Step::Media { stream, kind } => self.media(stream, kind),
            Step::Command { kind, user } => self.command(kind, user),
            Step::Drain => self.input(Input::Drain),
            Step::Pass { seconds } => self.pass(Duration::from_secs(seconds.into())),
        }
    }

    fn start(&mut self, phone: usize, uri: &str, method: usize, body: u8) {
        let (user, at) = PHONES[phone];
        let method = if method < 5 { "INVITE" } else { METHODS[method] };
        let text = request(method, uri, user, at, "", &description(body, at));
        self.prove(phone, &text.replace(&format!("call-{user}"), &format!("call-{}", self.count)));
    }

    /// Two phones are the servers of the other domain, if it has any.
    fn resolve(&mut self, question: usize, kind: u8) {
        let Some(at) = question.checked_rem(self.bench.questions.len()) else { return };
        let (ticket, question) = self.bench.questions.remove(at);
        let local = SERVER.parse::<SocketAddr>().unwrap().ip();
        let reach = |at: &str| Reach { remote: at.parse::<SocketAddr>().unwrap().ip(), local };
        let answer = match (kind, question) {
            (0, _) => Err(DnsFailure::Silent),
            (1, _) => Err(DnsFailure::NoSuchName),
            (2, _) => Ok(Records::Addresses(vec![reach(SERVER)])),
            (_, Question::Addresses(_)) => {
                Ok(Records::Addresses(vec![reach(PHONES[1].1), reach(PHONES[0].1)]))
            }
            (_, Question::Naptr(_) | Question::Srv(_)) => Err(DnsFailure::NoRecords),
        };
        self.input(Input::Resolved(ticket, answer));
        self.deliver();
    }

    fn register(&mut self, phone: usize, kind: u8) {
        let (user, at) = PHONES[phone];
        let transport = if phone == 2 { ";transport=tcp" } else { "" };
        let inside = if phone == 3 { "10.0.0.4:5060" } else { at };
        let contact = format!("<sip:{user}@{inside}{transport}>");
        let headers = match kind {
            0..4 => format!("Contact: {contact}\n"),
            4 => format!("Contact: {contact};q=0.3, <sip:x@192.0.2.77>;q=0.3, <sip:y@192.0.2.78>\n"),
            5 => format!("Contact: {contact}\nPath: <sip:192.0.2.9;lr>\nSupported: path\n"),
            6 => "Contact: *\nExpires: 0\n".into(),
            7 => format!("Contact: {contact};expires=0\n"),
            8 => format!("Contact: <sip:{user}@{SERVER}>\n"),
            _ => format!("Contact: {contact};+sip.instance=\"<urn:x>\";reg-id=1;expires=90\n"),
        };
        let text = register(user, at, &headers).replace("CSeq: 1", &format!("CSeq: {}", self.count));
        let text = text.replace(&format!("SIP/2.0/UDP {at}"), &format!("SIP/2.0/UDP {inside}"));
        self.prove(
            phone,
            &text.replace(&format!("Call-ID: reg-{user}"), &format!("Call-ID: reg-{user}-{phone}")),
        );
    }

    /// Sends a request; if it is challenged, again with credentials.
    fn prove(&mut self, phone: usize, text: &str) {
        let (user, at) = PHONES[phone];
        let text = text.replace("1;rport", &format!("-{}-1;rport", self.count));
        self.send(phone, &text);
        let challenged = self.bench.take_with_way(at).into_iter().rev().find_map(|(_, message)| {
            let response = message.as_response()?.clone();
            matches!(response.status().code(), 401 | 407).then_some(response)
        });
        if let Some(challenge) = challenged {
            let number = text.split("CSeq: ").nth(1).unwrap().split(' ').next().unwrap();
            let first = text.replace(&format!("CSeq: {number} "), "CSeq: 1 ");
            let proven = bench::with_credentials(&first, user, user, &challenge);
            self.send(phone, &proven.replace("CSeq: 2 ", &format!("CSeq: {number} ")));
        }
        self.deliver();
    }

    fn reply(&mut self, request: usize, code: u16, tag: u8, body: u8) {
        let Some((flow, request)) = pick(&self.got, request).cloned() else { return };
        let Some(phone) = phone_at(&flow) else { return };
        let at = flow.remote.to_string();
        let contact = if body == 7 { String::new() } else { format!("Contact: <sip:x@{at}>\n") };
        let text = reply(&request, code, &format!("t{tag}"), &contact, &description(body, &at));
        self.send(phone, &text.replace("\r\n", "\n"));
    }

    fn in_dialog(&mut self, dialog: usize, method: &str, by_caller: bool, body: u8) {
        let Some((invite, ok, caller, callee)) = pick(&self.dialogs, dialog).cloned() else { return };
        let has_contact = |one: Result<Contacts, _>| one.is_ok_and(|contacts| !contacts.list().is_empty());
        if !has_contact(ok.contacts()) || !has_contact(invite.contacts()) {
            return;
        }
        let phone = if by_caller { caller } else { callee };
        let text = in_dialog(method, self.count + 10, &invite, &ok, by_caller, PHONES[phone].1);
        let description = description(body, PHONES[phone].1);
        let text = if description.is_empty() { text } else { with_sdp(&text, &description) };
        self.send(phone, &text);
    }

    fn media(&mut self, stream: usize, kind: u8) {
        let streams = self.bench.open_streams();
        let Some(stream) = pick(&streams, stream).copied() else { return };
        let ports = self.bench.ports(stream);
        match kind {
            0 => self.input(Input::Media(Report::Refused { stream, reason: Refusal::StreamExists })),
            1 => {
                self.input(Input::Media(Report::PortUnavailable { stream, port: ports[0].rtp }));
                let ports = ports.into();
                self.input(Input::Media(Report::Closed { stream, ports, counters: Default::default() }));
            }
            2 => {
                let address = "192.0.2.10:4000".parse().unwrap();
                self.input(Input::Media(Report::Latched { stream, side: SideName::A, address }));
            }
            _ => self.input(Input::Media(Report::Stopped { stream, idle: Duration::from_secs(60) })),
        }
    }

    fn command(&mut self, kind: u8, user: usize) {
        let address = AddressOfRecord::new(PHONES[user].0, "example.com");
        let command = match kind {
            0 => Command::Status,
            1 => Command::Calls,
            2 => Command::Devices,
            3 => Command::Apply(Box::new(Delta::Number("1002".into(), Some(address)))),
            4 => Command::Apply(Box::new(Delta::Bindings(address, Default::default()))),
            5 => {
                let invites = self.sent.iter().rev().filter(|(_, text)| text.starts_with("INVITE"));
                let id =
                    invites.filter_map(|(_, text)| text.split("Call-ID: ").nth(1)?.lines().next()).nth(user);
                Command::HangUp(id.unwrap_or("nobody's").to_owned())
            }
            _ => return self.bench.account(PHONES[user].0, None),
        };
        self.input(Input::Command(Ticket(1), command));
    }

    fn send(&mut self, phone: usize, text: &str) {
        self.sent.push((phone, text.to_owned()));
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let bytes = Bytes::from(text);
        self.input(match way(phone).connection {
            Some(_) => Input::StreamMessage { flow: way(phone), bytes },
            None => datagram(phone, bytes),
        });
    }

    fn input(&mut self, input: Input) {
        self.bench.input(input);
        self.bench.relay();
        self.check_deadline();
    }

    /// Hands out what was sent.
    fn deliver(&mut self) {
        for (flow, bytes) in self.bench.take_all() {
            match Message::parse(bytes.clone()) {
                Ok(Message::Request(request)) => self.got.push((flow, request)),
                Ok(Message::Response(response)) => self.answered(&flow, response),
                // The refusal of a broken request repeats what is broken in it.
                Err(_) if bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5") => {}
                Err(error) => panic!("{error} in {}", String::from_utf8_lossy(&bytes)),
            }
        }
    }

    fn answered(&mut self, flow: &Flow, response: Response) {
        let invite = |one: &&(Flow, Request)| {
            *one.1.method() == Method::Invite && one.1.call_id() == response.call_id()
        };
        let (Some(caller), true) = (phone_at(flow), response.to_tag().is_some()) else { return };
        if let Some((way, invite)) = self.got.iter().rev().find(invite)
            && response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
            && response.status().code() < 300
            && let Some(callee) = phone_at(way)
        {
            self.dialogs.push((invite.clone(), response, caller, callee));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.bench.now + time;
        while let Some(deadline) = self.bench.shard.next_deadline().filter(|deadline| *deadline <= until) {
            self.bench.now = deadline.max(self.bench.now);
            self.input(Input::Deadline);
        }
        self.bench.now = until;
        self.deliver();
    }

    /// What is due now is over once it has been handled.
    fn check_deadline(&mut self) {
        if self.bench.shard.next_deadline().is_some_and(|deadline| deadline <= self.bench.now) {
            self.bench.input(Input::Deadline);
            self.bench.relay();
            let next = self.bench.shard.next_deadline();
            assert!(next.is_none_or(|next| next > self.bench.now), "a deadline that does not pass");
        }
    }

    /// Nobody does anything any more, and the relay reports silence where it can tell.
    fn end(mut self) {
        // Every question is answered.
        while !self.bench.questions.is_empty() {
            self.resolve(0, 0);
        }
        self.pass(Duration::from_secs(500));
        for stream in self.bench.open_streams() {
            let sides = SideName::BOTH.map(|side| self.bench.remote(stream, side));
            if sides.iter().all(|remote| remote.rtp.is_some() && !remote.hold) {
                self.input(Input::Media(Report::Stopped { stream, idle: Duration::from_secs(60) }));
            }
        }
        self.pass(Duration::from_secs(3 * 3600));
        let (status, open) = (self.bench.status(), self.bench.open_streams());
        assert!(self.bench.shard.is_idle(), "{status:?}, streams {open:?}");
        assert_eq!((status.free_ports, status.transactions, status.ringing), (8, 0, 0));
    }
}

fn pick<T>(list: &[T], at: usize) -> Option<&T> {
    // The last few are what is going on.
    list.iter().rev().nth(at % list.len().clamp(1, 6))
}

fn way(phone: usize) -> Flow {
    match PHONES[phone].1 {
        at if phone == 2 => tcp(at, 7),
        at => udp(at),
    }
}

fn phone_at(flow: &Flow) -> Option<usize> {
    PHONES.iter().position(|(_, at)| *at == flow.remote.to_string())
}

fn datagram(phone: usize, bytes: Bytes) -> Input {
    Input::Datagram { flow: way(phone), bytes }
}

fn description(kind: u8, at: &str) -> String {
    let ip = at.split(':').next().unwrap();
    let video = "m=video 4002 RTP/AVP 96\na=rtcp-mux\n";
    match kind {
        0 | 1 => sdp(ip, 4000),
        2 => sdp("10.0.0.4", 4444),
        3 => sdp(ip, 4000) + video,
        4 => sdp(ip, 4000) + &video.replace("4002", "0"),
        5 => sdp(ip, 4000).replace("sendrecv", "sendonly"),
        6 => "v=0\nm=nonsense\n".into(),
        _ => String::new(),
    }
}

/// A message with one thing wrong.
fn changed(text: String, change: u8, at: usize, byte: u8) -> String {
    let (from, to) = match change {
        0 => ("Max-Forwards: 70", "Max-Forwards: 0"),
        1 => ("Max-Forwards: 70", "Max-Breadth: 1"),
        2 => ("tag=", "tag=x"),
        3 => ("branch=z9hG4bK", "branch=z9hG4bKx"),
        4 => (";rport", ""),
        5 => ("/UDP", "/TCP"),
        6 => ("application/sdp", "multipart/mixed;boundary=x"),
        7 => ("Route: ", "X-Route: "),
        8 => (";oh=", ";oh=A"),
        9 => ("Contact: ", "Contact: *, "),
        10 => ("CSeq: ", "CSeq: 4294967"),
        11 => ("sip:", "sips:"),
        12 => ("sip:", "tel:"),
        13 => ("192.0.2.", "[2001:db8::1]."),
        14 => ("Content-Length: ", "Content-Length: 9"),
        15 => ("a=sendrecv", "a=inactive"),
        16 => ("Call-ID: ", "Call-ID: x"),
        _ => return flipped(text, at, byte),
    };
    text.replacen(from, to, 1 + at % 3)
}

fn flipped(text: String, at: usize, byte: u8) -> String {
    let mut bytes = text.into_bytes();
    if let Some(place) = at.checked_rem(bytes.len()) {
        bytes[place] = byte;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn run(steps: Vec<Step>, config: impl FnOnce(&mut Config)) {
    let mut play = Play::new(config);
    for step in steps {
        play.step(step);
        play.deliver();
    }
    play.end();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_authentication_and_media_through_us(steps in proptest::collection::vec(steps(), 1..60)) {
        run(steps, |config| {
            config.anchor = AnchorPolicy::Always;
            config.max_calls_per_account = 100;
        });
    }

    #[test]
    fn open_to_everyone_with_few_transactions(steps in proptest::collection::vec(steps(), 1..60)) {
        run(steps, |config| {
            config.authentication = Authentication::Off;
            config.strangers = Strangers::Allow;
            config.max_transactions = 6;
            config.local_networks = vec!["192.0.2.0/24".parse().unwrap()];
            config.anchor = AnchorPolicy::Auto;
            let address = SERVER.parse().unwrap();
            config.listeners.push(Listener { transport: Transport::Tcp, address });
        });
    }

    #[test]
    fn while_it_is_told_to_end(
        before in proptest::collection::vec(steps(), 1..30),
        after in proptest::collection::vec(steps(), 1..30),
    ) {
        let steps = before.into_iter().chain([Step::Drain]).chain(after).collect();
        run(steps, |config| config.anchor = AnchorPolicy::Always);
    }
}
