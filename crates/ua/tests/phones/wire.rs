//! The wire: phones, scripted peers, one clock, seeded loss.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Message, Uri};
use offhook_sip_stack::{Flow, Rng, Transport};
use offhook_ua::{
    CallId, CallOptions, Command, Component, Config, Event, FRAME, Input, Listener, MediaPort, MediaReport,
    Outbox, Side, UserAgent,
};
use rand::{RngExt as _, SeedableRng as _};

const DELAY: Duration = Duration::from_millis(10);

/// A phone, its user's voice, and what the user was told and heard.
pub(crate) struct Phone {
    pub(crate) ua: UserAgent,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<Event>,
    /// The tone that the microphone hears, in Hz.
    pub(crate) hz: f32,
    pub(crate) heard: Vec<i16>,
    spoken: u32,
    next_frame: Option<Instant>,
}

/// A packet under way.
struct Packet {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    carries: Carries,
    bytes: Bytes,
}

/// What a packet is.
#[derive(Clone, Copy)]
enum Carries {
    Sip(Transport),
    Media(Component),
}

/// Everything that there is.
pub(crate) struct Wire {
    pub(crate) now: Instant,
    pub(crate) phones: Vec<Phone>,
    packets: VecDeque<Packet>,
    rng: Rng,
    /// The share of packets that get lost.
    pub(crate) loss: f64,
    /// Messages that get lost, as they look in the trace, and how many more of them.
    pub(crate) losses: Vec<(String, usize)>,
    /// SIP messages sent: `0 INVITE`, `1 180 INVITE`, `- 401 REGISTER` for scripted ones.
    pub(crate) trace: Vec<String>,
    /// The bytes of all SIP messages and media packets sent, in order: by whom, and whether it is SIP.
    pub(crate) sent: Vec<(usize, bool, Bytes)>,
    /// What went to an address that no phone has.
    pub(crate) strays: Vec<Message>,
    /// What somebody on the way makes of a message; `None`: it stays as it is.
    pub(crate) forge: Option<fn(&str) -> Option<String>>,
}

#[allow(clippy::disallowed_methods)]
fn epoch() -> Instant {
    Instant::now()
}

pub(crate) fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

/// Where phone `n` listens for SIP.
pub(crate) fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n as u8 + 1], 5060))
}

/// Where a scripted peer is.
pub(crate) fn script() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 99], 5060))
}

/// The settings of phone `n`.
pub(crate) fn config(n: usize) -> Config {
    config_over(Transport::Udp, n)
}

/// The settings of phone `n` on another transport.
pub(crate) fn config_over(transport: Transport, n: usize) -> Config {
    let local = address(n);
    let identity = uri(&format!("sip:phone{n}@{}", local.ip()));
    let listeners = vec![Listener { transport, local, advertised: local }];
    let ports = (0..4).map(|port| MediaPort { advertised: SocketAddr::new(local.ip(), 20_000 + 2 * port) });
    Config { media_ports: ports.collect(), number: n as u8, ..Config::new(identity, listeners) }
}

impl Wire {
    pub(crate) fn new(seed: u64, configs: Vec<Config>) -> Self {
        let phone = |(n, config): (usize, Config)| Phone {
            ua: UserAgent::new(config, Rng::seed_from_u64(seed * 100 + n as u64)),
            address: address(n),
            events: Vec::new(),
            hz: 400.0 + 300.0 * n as f32,
            heard: Vec::new(),
            spoken: 0,
            next_frame: None,
        };
        Self {
            now: epoch(),
            phones: configs.into_iter().enumerate().map(phone).collect(),
            packets: VecDeque::new(),
            rng: Rng::seed_from_u64(seed),
            loss: 0.0,
            losses: Vec::new(),
            trace: Vec::new(),
            sent: Vec::new(),
            strays: Vec::new(),
            forge: None,
        }
    }

    /// Two phones that know each other's address.
    pub(crate) fn pair() -> Self {
        Self::new(1, vec![config(0), config(1)])
    }

    /// Loses this message so many times.
    pub(crate) fn lose(&mut self, name: &str, times: usize) {
        self.losses.push((name.to_owned(), times));
    }

    pub(crate) fn input(&mut self, phone: usize, input: Input) {
        let mut out = Outbox::default();
        self.phones[phone].ua.handle(self.now, input, &mut out);
        self.carry(phone, out);
    }

    pub(crate) fn command(&mut self, phone: usize, command: Command) {
        self.input(phone, Input::Command(command));
    }

    /// Phone `from` calls phone `to`.
    pub(crate) fn call(&mut self, from: usize, to: usize) -> CallId {
        let target = uri(&format!("sip:phone{to}@{}", address(to)));
        self.call_uri(from, target, CallOptions::default())
    }

    pub(crate) fn call_uri(&mut self, from: usize, target: Uri, options: CallOptions) -> CallId {
        let call = self.phones[from].ua.next_call();
        self.command(from, Command::Call { call, target, options });
        call
    }

    /// Places a call from phone 0 to phone 1 and answers it.
    pub(crate) fn established(&mut self) -> (CallId, CallId) {
        let call = self.call(0, 1);
        self.pass(Duration::from_millis(100));
        let called = self.incoming(1);
        self.command(1, Command::Answer { call: called });
        self.pass(Duration::from_millis(100));
        assert!(self.answered(0) && self.answered(1), "{:?}", self.trace);
        (call, called)
    }

    /// The last call that came in.
    pub(crate) fn incoming(&self, phone: usize) -> CallId {
        let incoming = self.phones[phone].events.iter().rev().find_map(|event| match event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        });
        incoming.unwrap()
    }

    pub(crate) fn answered(&self, phone: usize) -> bool {
        self.phones[phone].events.iter().any(|event| matches!(event, Event::Answered { .. }))
    }

    /// Who ended the phone's calls, and with which code.
    pub(crate) fn ended(&self, phone: usize) -> Vec<(Side, u16)> {
        let ends = self.phones[phone].events.iter().filter_map(|event| match event {
            Event::Ended { by, code, .. } => Some((*by, *code)),
            _ => None,
        });
        ends.collect()
    }

    pub(crate) fn last_report(&self, phone: usize) -> MediaReport {
        let report = self.phones[phone].events.iter().rev().find_map(|event| match event {
            Event::Ended { media, .. } => *media,
            _ => None,
        });
        report.unwrap()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.trace.iter().filter(|sent| *sent == name).count()
    }

    /// Gives a phone a message from the scripted peer.
    pub(crate) fn inject(&mut self, to: usize, text: &str) {
        let bytes = Bytes::from(text.replace('\n', "\r\n"));
        let to = address(to);
        let carries = Carries::Sip(Transport::Udp);
        self.packets.push_back(Packet { at: self.now, from: script(), to, carries, bytes });
        self.pass(Duration::ZERO);
    }

    fn carry(&mut self, phone: usize, out: Outbox) {
        let from = self.phones[phone].address;
        for transmit in out.sip.transmits {
            let name = name(&transmit.bytes, &phone.to_string());
            self.trace.push(name.clone());
            self.sent.push((phone, true, transmit.bytes.clone()));
            if let Some((_, left)) = self.losses.iter_mut().find(|(loss, left)| *loss == name && *left > 0) {
                *left -= 1;
                continue;
            }
            let carries = Carries::Sip(transmit.flow.transport);
            let forged = self.forge.and_then(|forge| forge(&String::from_utf8_lossy(&transmit.bytes)));
            let bytes = forged.map_or(transmit.bytes, Bytes::from);
            self.launch(from, transmit.flow.remote, carries, bytes);
        }
        for packet in out.media {
            let port = self.phones[phone].ua.config().media_ports[packet.port].advertised;
            self.sent.push((phone, false, packet.bytes.clone()));
            self.launch(port, packet.to, Carries::Media(packet.component), packet.bytes);
        }
        let questions = out.questions.len();
        assert!(questions <= 1);
        self.phones[phone].events.extend(out.events);
        for question in out.questions {
            // The only name there is.
            let addresses = if question.host == "phone.example" {
                vec![(Transport::Udp, script()), (Transport::Udp, address(1))]
            } else {
                Vec::new()
            };
            self.input(phone, Input::Resolved { question: question.id, addresses });
        }
    }

    fn launch(&mut self, from: SocketAddr, to: SocketAddr, carries: Carries, bytes: Bytes) {
        if self.loss > 0.0 && self.rng.random_bool(self.loss) {
            return;
        }
        self.packets.push_back(Packet { at: self.now + DELAY, from, to, carries, bytes });
    }

    /// Lets time pass; all phones that are in a call speak and listen.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.packets.iter().map(|packet| packet.at).min();
            let deadlines = self.phones.iter().filter_map(|phone| phone.ua.next_deadline());
            let frames = self.phones.iter().filter_map(|phone| phone.next_frame);
            let next = deadlines.chain(frames).chain(arrival).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            while let Some(at) = self.packets.iter().position(|packet| packet.at <= self.now) {
                if let Some(packet) = self.packets.remove(at) {
                    self.arrive(packet);
                }
            }
            for phone in 0..self.phones.len() {
                if self.phones[phone].ua.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.input(phone, Input::Deadline);
                }
                self.speak(phone);
            }
        }
        self.now = end;
    }

    fn arrive(&mut self, packet: Packet) {
        let to = self.phones.iter().position(|phone| phone.address.ip() == packet.to.ip());
        let Some(to) = to else {
            if matches!(packet.carries, Carries::Sip(_)) {
                self.strays.extend(Message::parse(packet.bytes));
            }
            return;
        };
        let input = match packet.carries {
            Carries::Sip(transport) => {
                let (local, remote) = (packet.to, packet.from);
                let flow = Flow { transport, local, remote, connection: None };
                Input::Message { bytes: packet.bytes, flow }
            }
            Carries::Media(component) => {
                let ports = &self.phones[to].ua.config().media_ports;
                let base = packet.to.port() & !1;
                let Some(port) = ports.iter().position(|port| port.advertised.port() == base) else { return };
                Input::Media { port, component, from: packet.from, bytes: packet.bytes }
            }
        };
        self.input(to, input);
    }

    /// 20 ms of sound through each call of a phone, when it is time.
    fn speak(&mut self, phone: usize) {
        let one = &mut self.phones[phone];
        let talking: Vec<CallId> =
            one.ua.calls().into_iter().filter(|call| is_talking(&one.events, *call)).collect();
        if talking.is_empty() {
            one.next_frame = None;
            return;
        }
        let due = *one.next_frame.get_or_insert(self.now);
        if due > self.now {
            return;
        }
        one.next_frame = Some(due + Duration::from_millis(20));
        let sample = |n: u32| (n as f32 * one.hz * std::f32::consts::TAU / 8000.0).sin() * 8000.0;
        let voice: Vec<i16> = (0..FRAME as u32).map(|n| sample(one.spoken + n) as i16).collect();
        one.spoken += FRAME as u32;
        for call in talking {
            let (mut loudspeaker, mut out) = ([0; FRAME], Outbox::default());
            let one = &mut self.phones[phone];
            one.ua.audio(self.now, call, &voice, &mut loudspeaker, &mut out);
            one.heard.extend_from_slice(&loudspeaker);
            self.carry(phone, out);
        }
    }

    /// Forgets what was heard so far.
    pub(crate) fn cover_ears(&mut self) {
        for phone in &mut self.phones {
            phone.heard.clear();
        }
    }

    /// The strongest frequency that a phone heard.
    pub(crate) fn heard_hz(&self, phone: usize) -> f32 {
        offhook_media::tone::analyse(&self.phones[phone].heard, 8000).dominant_hz
    }

    /// After everyone has hung up nothing may be left.
    pub(crate) fn assert_nothing_left(&mut self) {
        self.pass(Duration::from_secs(140));
        for phone in &self.phones {
            assert!(phone.ua.is_idle(), "{:?}\n{:?}", self.trace, phone.ua);
        }
    }
}

fn is_talking(events: &[Event], call: CallId) -> bool {
    events.iter().any(|event| match event {
        Event::Answered { call: answered, .. } => *answered == call,
        Event::Progress { call: early, early_media, .. } => *early == call && *early_media,
        _ => false,
    })
}

fn name(bytes: &Bytes, from: &str) -> String {
    match Message::parse(bytes.clone()) {
        Ok(Message::Request(request)) => format!("{from} {}", request.method()),
        Ok(Message::Response(response)) => {
            format!("{from} {} {}", response.status(), response.cseq().unwrap().method)
        }
        // The answer to something that was no better.
        Err(_) => format!("{from} ?"),
    }
}
