//! The loop: the earliest event, the clock, the outboxes, the links.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_exchange::command::Answer;
use offhook_exchange::config::Config;
use offhook_exchange::directory::{AgentState, Delta};
use offhook_media::camera::Feed;
use offhook_sip::Uri;
use offhook_sip_stack::{Flow, Rng, Transport};
use offhook_ua::{
    CallId, CallOptions, Command, Component, Credentials, Event, Input, Listener, MediaPort, Outbox,
    UserAgent,
};
use rand::{RngExt as _, SeedableRng as _};

use crate::backlog::Backlog;
use crate::ladder::{Fate, Said};
use crate::office::Sent;
use crate::{Habit, Ladder, Link, Nat, Office, Phone, PhoneId, Provider};

/// A world with one exchange and some phones.
pub struct World {
    /// The exchange.
    pub office: Office,
    /// The phones.
    pub phones: Vec<Phone>,
    /// Providers of telephone lines.
    pub providers: Vec<Provider>,
    /// The network between all of them.
    pub link: Link,
    /// Nothing arrives at this address, for as long as that is set.
    pub deaf: Option<IpAddr>,
    /// The SIP messages that were sent.
    pub ladder: Ladder,
    /// What the users and the network do by chance.
    pub rng: Rng,
    now: Instant,
    start: Instant,
    nats: Vec<Nat>,
    /// What waits at an exchange that needs time for its work.
    backlog: Option<Backlog<Datagram>>,
    /// What is under way, by the time of its arrival.
    wires: BTreeMap<(Instant, u64), Datagram>,
    /// What users are about to do.
    plans: BTreeMap<(Instant, u64), (PhoneId, Command)>,
    /// Messages to which something is to happen: to whom, what, and how much later it arrives, if at all.
    mishaps: Vec<(String, String, Option<Duration>)>,
    sent: u64,
}

struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Bytes,
}

impl World {
    /// A world without phones. `change` may change the exchange's settings.
    pub fn new(seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on which")]
        let now = Instant::now();
        Self {
            office: Office::new(now, change),
            phones: Vec::new(),
            providers: Vec::new(),
            link: Link::GOOD,
            deaf: None,
            ladder: Ladder::default(),
            rng: Rng::seed_from_u64(seed),
            now,
            start: now,
            nats: Vec::new(),
            backlog: None,
            wires: BTreeMap::new(),
            plans: BTreeMap::new(),
            mishaps: Vec::new(),
            sent: 0,
        }
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time since the world began.
    pub fn time(&self) -> Duration {
        self.now - self.start
    }

    /// Adds an account and its phone, which has an address of its own.
    pub fn phone(&mut self, name: &str, number: Option<&str>) -> PhoneId {
        let ip = IpAddr::from([192, 0, 2, 10 + self.phones.len() as u8]);
        self.add(name, number, ip, None)
    }

    /// Adds an account and its phone behind a NAT.
    pub fn phone_behind(&mut self, nat: Nat, name: &str, number: Option<&str>) -> PhoneId {
        self.nats.push(nat);
        let ip = IpAddr::from([172, 16, self.nats.len() as u8, 2]);
        self.add(name, number, ip, Some(self.nats.len() - 1))
    }

    /// Adds another phone of the same account, with a name of its own.
    pub fn another_phone_of(&mut self, first: PhoneId, name: &str) -> PhoneId {
        let ip = IpAddr::from([192, 0, 2, 10 + self.phones.len() as u8]);
        let account = self.phones[first.0].account.clone();
        self.plug_in(name, &account, ip, None)
    }

    /// Adds somebody without an account who comes by a connection under TLS, and has proven to be these domains.
    pub fn stranger_by_tls(&mut self, name: &str, domains: &[&str]) -> PhoneId {
        let ip = IpAddr::from([192, 0, 2, 10 + self.phones.len() as u8]);
        let stranger = self.plug_in(name, name, ip, None);
        self.equip_stranger(stranger, Transport::Tls);
        self.office.connected(self.now, ip, domains);
        stranger
    }

    fn equip_stranger(&mut self, stranger: PhoneId, transport: Transport) {
        let proxy = format!("sip:{};transport={transport};lr", self.office.address);
        let identity = format!("sip:{0}@{0}.example", self.phones[stranger.0].name);
        self.equip(stranger, |config| {
            config.identity = identity.parse().unwrap_or_else(|_| unreachable!("a plain URI"));
            config.listeners.iter_mut().for_each(|one| one.transport = transport);
            config.outbound_proxy = proxy.parse().ok();
            config.credentials = None;
        });
    }

    /// The same one by datagrams, from the same address.
    pub fn disconnect(&mut self, stranger: PhoneId) {
        self.equip_stranger(stranger, Transport::Udp);
        self.office.disconnected(self.now, self.phones[stranger.0].address.ip());
    }

    /// The same one by another connection, as which it has proven to be others.
    pub fn connect_again(&mut self, stranger: PhoneId, domains: &[&str]) {
        self.office.connected(self.now, self.phones[stranger.0].address.ip(), domains);
    }

    /// Adds a provider of telephone lines, by its place: the first has the address 198.51.100.1. The DNS knows its name.
    pub fn provider(&mut self, name: &str) -> usize {
        let ip = IpAddr::from([198, 51, 100, 1 + self.providers.len() as u8]);
        self.providers.push(Provider::new(name, ip));
        self.office.dns.address(name, ip);
        self.providers.len() - 1
    }

    /// The exchange needs so much time from now on for each SIP message that comes, and as much for each that it sends. For
    /// `room` that wait there is room.
    pub fn slow_exchange(&mut self, cost: Duration, room: usize) {
        self.backlog = Some(Backlog::new(cost, room, self.now));
    }

    /// The ladder begins here.
    pub fn begin_ladder(&mut self) {
        self.ladder = Ladder::default();
        self.start = self.now;
    }

    fn add(&mut self, name: &str, number: Option<&str>, ip: IpAddr, nat: Option<usize>) -> PhoneId {
        self.office.account(self.now, name, number);
        self.plug_in(name, name, ip, nat)
    }

    fn plug_in(&mut self, name: &str, account: &str, ip: IpAddr, nat: Option<usize>) -> PhoneId {
        let id = PhoneId(self.phones.len());
        let address = SocketAddr::new(ip, 5060);
        let config = self.config(account, address, id);
        let seed = self.rng.random();
        self.phones.push(Phone {
            name: name.into(),
            account: account.into(),
            address,
            habit: Habit::Answer(Duration::from_secs(2)),
            ua: UserAgent::new(config, Rng::from_seed(seed)),
            events: Vec::new(),
            sings: None,
            heard: Vec::new(),
            dead: false,
            nat,
            singing: Default::default(),
            sung: 0,
            next_frame: None,
        });
        id
    }

    fn config(&self, name: &str, address: SocketAddr, id: PhoneId) -> offhook_ua::Config {
        let uri = |text: String| text.parse::<Uri>().unwrap_or_else(|_| unreachable!("a plain URI"));
        let listener = Listener { transport: Transport::Udp, local: address, advertised: address };
        let mut config = offhook_ua::Config::new(uri(format!("sip:{name}@example.com")), vec![listener]);
        config.credentials = Some(Credentials { username: name.into(), password: name.into() });
        config.registrar = Some(uri("sip:example.com".into()));
        config.outbound_proxy = Some(uri(format!("sip:{};lr", self.office.address)));
        config.number = id.0 as u8 + 1;
        config.media_ports =
            (0..4).map(|n| MediaPort { advertised: SocketAddr::new(address.ip(), 4000 + 2 * n) }).collect();
        config
    }

    /// Lets a user do something now.
    pub fn command(&mut self, phone: PhoneId, command: Command) {
        self.input(phone, Input::Command(command));
    }

    /// Lets a user do something later.
    pub fn later(&mut self, after: Duration, phone: PhoneId, command: Command) {
        self.sent += 1;
        self.plans.insert((self.now + after, self.sent), (phone, command));
    }

    /// Registers a phone and waits until that is done.
    pub fn register(&mut self, phone: PhoneId) {
        self.command(phone, Command::Register);
        self.pass(Duration::from_secs(1));
    }

    /// Places a call to a user of the exchange, or any URI.
    pub fn call(&mut self, phone: PhoneId, target: &str) -> CallId {
        self.call_with(phone, target, CallOptions::default())
    }

    /// The same by a caller that wants to be hidden (RFC 3323).
    pub fn private_call(&mut self, phone: PhoneId, target: &str) -> CallId {
        let headers = vec![("Privacy".to_owned(), "header".to_owned())];
        self.call_with(phone, target, CallOptions { headers, ..CallOptions::default() })
    }

    /// The same with options of the phone.
    pub fn call_with(&mut self, phone: PhoneId, target: &str, options: CallOptions) -> CallId {
        let call = self.phones[phone.0].ua.next_call();
        let target =
            if target.contains(':') { target.to_owned() } else { format!("sip:{target}@example.com") };
        let target = target.parse().unwrap_or_else(|_| unreachable!("a plain URI"));
        self.command(phone, Command::Call { call, target, options });
        call
    }

    /// A phone loses its power: nothing that is sent to it arrives, nothing is sent by it.
    pub fn unplug(&mut self, phone: PhoneId) {
        self.phones[phone.0].dead = true;
    }

    /// A phone finds itself in another network, 203.0.113.0, and notices it; one that was unplugged is there again. What is under way to its former address is lost.
    pub fn move_phone(&mut self, phone: PhoneId) {
        let ip = IpAddr::from([203, 0, 113, 10 + phone.0 as u8]);
        self.phones[phone.0].address.set_ip(ip);
        self.phones[phone.0].dead = false;
        let config = self.phones[phone.0].ua.config();
        let at = |before: SocketAddr| SocketAddr::new(ip, before.port());
        let listeners = config.listeners.iter();
        let listeners =
            listeners.map(|one| Listener { local: at(one.local), advertised: at(one.advertised), ..*one });
        let ports = config.media_ports.iter().map(|port| MediaPort { advertised: at(port.advertised) });
        let moved = Input::Moved { listeners: listeners.collect(), media_ports: ports.collect() };
        self.input(phone, moved);
        let now = self.now;
        let phone = &mut self.phones[phone.0];
        phone.next_frame = phone.next_frame.or_else(|| (!phone.singing.is_empty()).then_some(now));
    }

    /// Something changes that the exchange is told of from outside.
    pub fn tell_exchange(&mut self, delta: &Delta) {
        let sent = self.office.tell(self.now, delta);
        self.send_all(sent);
    }

    /// An operator or a program asks the exchange for something; returns what each shard says.
    pub fn ask_exchange(&mut self, command: &offhook_exchange::command::Command) -> Vec<Answer> {
        let (answers, sent) = self.office.ask(self.now, command);
        self.send_all(sent);
        answers
    }

    /// The next message of this kind to somebody, such as `200 INVITE`, arrives so much later than others.
    pub fn delay(&mut self, to: &str, what: &str, by: Duration) {
        self.mishaps.push((to.into(), what.into(), Some(by)));
    }

    /// The next message of this kind to somebody is lost.
    pub fn lose(&mut self, to: &str, what: &str) {
        self.mishaps.push((to.into(), what.into(), None));
    }

    /// A phone sends the exchange something of which its user agent knows nothing.
    pub fn forge(&mut self, phone: PhoneId, bytes: Bytes) {
        self.send(self.phones[phone.0].address, self.office.address, bytes, Some(phone));
    }

    /// A camera sends something.
    pub fn feed(&mut self, feed: Feed) {
        let sent = self.office.feed(self.now, feed);
        self.send_all(sent);
    }

    /// A phone gets other settings, before it does anything.
    pub fn equip(&mut self, phone: PhoneId, change: impl FnOnce(&mut offhook_ua::Config)) {
        let (account, address) = (self.phones[phone.0].account.clone(), self.phones[phone.0].address);
        let mut config = self.config(&account, address, phone);
        change(&mut config);
        let seed = self.rng.random();
        self.phones[phone.0].ua = UserAgent::new(config, Rng::from_seed(seed));
    }

    /// An agent of a queue is like this from now on.
    pub fn agent(&mut self, queue: &str, user: &str, state: AgentState) {
        let sent = self.office.agent(self.now, queue, user, state);
        self.send_all(sent);
    }

    /// The exchange is killed and started again.
    pub fn kill_and_restart_exchange(&mut self) {
        self.office.kill_and_restart(self.now);
    }

    /// All users hang up what they have.
    pub fn hang_up_all(&mut self) {
        for phone in 0..self.phones.len() {
            for call in self.phones[phone].ua.calls() {
                self.command(PhoneId(phone), Command::Hangup { call });
            }
        }
    }

    /// Lets time pass, after which no phone has a call any more, and the exchange keeps nothing.
    ///
    /// # Panics
    /// If something is left.
    pub fn nothing_is_left_after(&mut self, time: Duration) {
        self.pass(time);
        let now = self.now();
        assert!(self.phones.iter().all(|phone| phone.ua.calls().is_empty()), "a phone still has a call");
        assert!(self.office.is_idle(), "{:?}", self.office.status(now));
    }

    /// Lets time pass, with all that happens in it.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            self.now = next.max(self.now);
            self.step();
        }
        self.now = until;
    }

    fn next_event(&self) -> Option<Instant> {
        let wires = self.wires.keys().next().map(|(at, _)| *at);
        let plans = self.plans.keys().next().map(|(at, _)| *at);
        let phones = self.phones.iter().filter(|phone| !phone.dead);
        let phones = phones.flat_map(|phone| [phone.ua.next_deadline(), phone.next_frame]).flatten().min();
        let backlog = self.backlog.as_ref().and_then(Backlog::next);
        [wires, plans, phones, backlog, self.office.next_deadline()].into_iter().flatten().min()
    }

    /// Everything that is due at this moment, once.
    fn step(&mut self) {
        while let Some(entry) = self.wires.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let datagram = entry.remove();
            self.deliver(datagram);
        }
        self.take_waiting();
        while let Some(entry) = self.plans.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (phone, command) = entry.remove();
            self.command(phone, command);
        }
        if self.office.next_deadline().is_some_and(|at| at <= self.now) {
            let sent = self.office.deadline(self.now);
            self.send_all(sent);
        }
        for id in (0..self.phones.len()).map(PhoneId) {
            let phone = &self.phones[id.0];
            if !phone.dead && phone.ua.next_deadline().is_some_and(|at| at <= self.now) {
                self.input(id, Input::Deadline);
            }
            if self.phones[id.0].next_frame.is_some_and(|at| at <= self.now) {
                self.frame(id);
            }
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        match &mut self.backlog {
            Some(backlog) if datagram.to == self.office.address => backlog.push(datagram),
            _ => self.hand_over(datagram),
        }
    }

    /// The exchange takes what has waited for long enough.
    fn take_waiting(&mut self) {
        while let Some((Datagram { from, to, bytes }, waited)) =
            self.backlog.as_mut().and_then(|backlog| backlog.take(self.now))
        {
            self.office.waited(self.now, waited);
            let sent = self.office.datagram(self.now, from, to, bytes);
            let messages = sent.iter().filter(|one| one.from == to).count();
            self.backlog.as_mut().into_iter().for_each(|backlog| backlog.done(self.now, messages));
            self.send_all(sent);
        }
    }

    fn hand_over(&mut self, datagram: Datagram) {
        let Datagram { from, to, bytes } = datagram;
        if to.ip() == self.office.address.ip() {
            let sent = self.office.datagram(self.now, from, to, bytes);
            return self.send_all(sent);
        }
        if let Some(provider) = self.providers.iter_mut().find(|one| one.address == to) {
            let answers = provider.take(bytes);
            return answers.into_iter().for_each(|answer| self.send(to, from, answer, None));
        }
        let to = match self.nats.iter().find(|nat| nat.outside == to.ip()) {
            Some(nat) => match nat.back_in(from, to.port()) {
                Some(inside) => inside,
                None => return,
            },
            None => to,
        };
        let Some(at) = self.phones.iter().position(|phone| phone.address.ip() == to.ip()) else { return };
        if self.phones[at].dead {
            return;
        }
        let input = if to.port() == self.phones[at].address.port() {
            let transport = self.phones[at].ua.config().listeners[0].transport;
            let flow = Flow { transport, local: to, remote: from, connection: None };
            Input::Message { bytes, flow }
        } else {
            let component = if to.port() % 2 == 0 { Component::Rtp } else { Component::Rtcp };
            Input::Media { port: usize::from(to.port().saturating_sub(4000) / 2), component, from, bytes }
        };
        self.input(PhoneId(at), input);
    }

    fn input(&mut self, id: PhoneId, input: Input) {
        if self.phones[id.0].dead {
            return;
        }
        let mut out = Outbox::default();
        self.phones[id.0].ua.handle(self.now, input, &mut out);
        self.carry_out(id, out);
    }

    fn carry_out(&mut self, id: PhoneId, out: Outbox) {
        let address = self.phones[id.0].address;
        for transmit in out.sip.transmits {
            self.send(address, transmit.flow.remote, transmit.bytes, Some(id));
        }
        for media in out.media {
            let port = self.phones[id.0].ua.config().media_ports[media.port].advertised.port();
            let port = if media.component == Component::Rtp { port } else { port + 1 };
            self.send(SocketAddr::new(address.ip(), port), media.to, media.bytes, Some(id));
        }
        for event in out.events {
            self.react(id, &event);
            self.phones[id.0].events.push(event);
        }
    }

    /// What the user does about what the phone says.
    fn react(&mut self, id: PhoneId, event: &Event) {
        let phone = &mut self.phones[id.0];
        match event {
            Event::Incoming { call, .. } => {
                let call = *call;
                match phone.habit {
                    Habit::Answer(after) => {
                        self.later(Duration::ZERO, id, Command::Ring { call });
                        self.later(after, id, Command::Answer { call });
                    }
                    Habit::Refuse(code) => self.later(Duration::ZERO, id, Command::Reject { call, code }),
                    Habit::Ignore => self.later(Duration::ZERO, id, Command::Ring { call }),
                }
            }
            Event::Answered { call, .. } | Event::Progress { call, early_media: true, .. }
                if phone.sings.is_some() =>
            {
                phone.singing.insert(*call);
                phone.next_frame = phone.next_frame.or(Some(self.now));
            }
            Event::Ended { call, .. } => {
                phone.singing.remove(call);
            }
            _ => {}
        }
    }

    fn frame(&mut self, id: PhoneId) {
        let phone = &mut self.phones[id.0];
        phone.next_frame =
            (!phone.singing.is_empty() && !phone.dead).then(|| self.now + Duration::from_millis(20));
        let mut out = Outbox::default();
        phone.sing(self.now, &mut out);
        self.carry_out(id, out);
    }

    fn send_all(&mut self, sent: Vec<Sent>) {
        for one in sent {
            self.send(one.from, one.to, one.bytes, None);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes, by: Option<PhoneId>) {
        let mut arrives = self.link.carry(&mut self.rng).filter(|_| self.deaf != Some(to.ip()));
        if from.port() == 5060 {
            let way = [self.name_of(by, from), self.name_of(None, to)];
            let said = Said::of(&bytes);
            let mishap = self.mishaps.iter().position(|(to, what, _)| *to == way[1] && *what == said.what);
            let mishap = mishap.map(|at| self.mishaps.remove(at).2);
            arrives = arrives.and_then(|after| mishap.map_or(Some(after), |late| Some(after + late?)));
            let fate = match (arrives, mishap) {
                (None, _) => Fate::Lost,
                (Some(_), Some(Some(late))) => Fate::Late(late),
                (Some(_), _) => Fate::Arrives,
            };
            self.ladder.note(self.time(), way, said, &bytes, fate);
        }
        let from = match by.and_then(|id| self.phones[id.0].nat) {
            Some(nat) => self.nats[nat].out(from, to),
            None => from,
        };
        let Some(after) = arrives else { return };
        self.sent += 1;
        self.wires.insert((self.now + after, self.sent), Datagram { from, to, bytes });
    }

    fn name_of(&self, phone: Option<PhoneId>, address: SocketAddr) -> String {
        if let Some(id) = phone {
            return self.phones[id.0].name.clone();
        }
        if address.ip() == self.office.address.ip() {
            return "exchange".into();
        }
        if let Some(provider) = self.providers.iter().find(|one| one.address.ip() == address.ip()) {
            return provider.name.clone();
        }
        let behind = self.nats.iter().position(|nat| nat.outside == address.ip());
        let found = self
            .phones
            .iter()
            .find(|one| one.address.ip() == address.ip() || (behind.is_some() && one.nat == behind));
        found.map_or_else(|| address.to_string(), |phone| phone.name.clone())
    }
}
