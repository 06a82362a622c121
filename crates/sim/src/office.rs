//! The exchange in the world: one shard, its media relay and its store.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_exchange::Shard;
use offhook_exchange::command::{Answer, Command, Ticket};
use offhook_exchange::config::{Config, Epoch, Key, Listener};
use offhook_exchange::directory::{Account, AddressOfRecord, Bindings, Delta, Secrets};
use offhook_exchange::event::Event;
use offhook_exchange::io::{Input, Outbox, StoreRequest};
use offhook_media::lease::PortBlock;
use offhook_media::relay::{self, Relay};
use offhook_sip::digest::{Algorithm, ha1};
use offhook_sip_stack::{Flow, Transport};

/// The exchange.
pub struct Office {
    /// Its address for SIP.
    pub address: SocketAddr,
    /// What happened.
    pub events: Vec<Event>,
    config: Config,
    epoch: Epoch,
    shard: Shard,
    relay: Relay,
    accounts: Vec<Delta>,
    /// What was acknowledged: it outlives the process.
    stored: BTreeMap<AddressOfRecord, Bindings>,
    answers: Vec<Answer>,
    restarts: u8,
}

/// A datagram that the exchange sends.
pub(crate) struct Sent {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: bytes::Bytes,
}

impl Office {
    pub(crate) fn new(now: Instant, change: impl FnOnce(&mut Config)) -> Self {
        let address: SocketAddr = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), 5060);
        let mut config = Config::new(vec!["example.com".into(), "192.0.2.1".into()], Key([7; 32]));
        config.listeners.push(Listener { transport: Transport::Udp, address });
        config.local_networks =
            ["192.0.2.0/24", "10.0.0.0/8"].iter().filter_map(|one| one.parse().ok()).collect();
        change(&mut config);
        let epoch = Epoch { instant: now, unix: Duration::from_secs(1_800_000_000) };
        let (shard, relay) = start(&config, epoch, 0);
        Self {
            address,
            events: Vec::new(),
            config,
            epoch,
            shard,
            relay,
            accounts: Vec::new(),
            stored: BTreeMap::new(),
            answers: Vec::new(),
            restarts: 0,
        }
    }

    /// An account whose password is its user name.
    pub(crate) fn account(&mut self, now: Instant, user: &str, number: Option<&str>) {
        let address = AddressOfRecord::new(user, "example.com");
        let secret = |algorithm| ha1(algorithm, user, "example.com", user);
        let account = Account {
            address: address.clone(),
            name: None,
            number: number.map(str::to_owned),
            realm: "example.com".into(),
            secrets: Secrets { md5: secret(Algorithm::Md5), sha256: secret(Algorithm::Sha256) },
        };
        let mut deltas = vec![Delta::Account(account)];
        deltas.extend(number.map(|number| Delta::Number(number.into(), Some(address))));
        for delta in deltas {
            self.accounts.push(delta.clone());
            self.input(now, Input::Command(Ticket(0), Command::Apply(delta)));
        }
    }

    /// The process is killed and started again: what it remembers is what it had stored.
    pub(crate) fn kill_and_restart(&mut self, now: Instant) {
        self.restarts += 1;
        (self.shard, self.relay) = start(&self.config, self.epoch, self.restarts);
        let stored =
            self.stored.clone().into_iter().map(|(address, bindings)| Delta::Bindings(address, bindings));
        for delta in self.accounts.clone().into_iter().chain(stored) {
            self.input(now, Input::Command(Ticket(0), Command::Apply(delta)));
        }
    }

    /// Takes a datagram that came to one of its ports.
    pub(crate) fn datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: bytes::Bytes,
    ) -> Vec<Sent> {
        if to.port() == self.address.port() {
            let flow =
                Flow { transport: Transport::Udp, local: self.address, remote: from, connection: None };
            return self.input(now, Input::Datagram { flow, bytes });
        }
        let mut out = relay::Outbox::default();
        self.relay.handle(now, relay::Input::Packet { port: to.port(), from, bytes }, &mut out);
        self.relayed(now, out)
    }

    /// Lets everything happen that is due.
    pub(crate) fn deadline(&mut self, now: Instant) -> Vec<Sent> {
        let mut out = relay::Outbox::default();
        self.relay.handle(now, relay::Input::Deadline, &mut out);
        let mut sent = self.relayed(now, out);
        sent.extend(self.input(now, Input::Deadline));
        sent
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.shard.next_deadline(), self.relay.next_deadline()].into_iter().flatten().min()
    }

    fn input(&mut self, now: Instant, input: Input) -> Vec<Sent> {
        let mut out = Outbox::default();
        self.shard.handle(now, input, &mut out);
        for StoreRequest::Bindings(address, bindings) in out.store.drain(..) {
            self.stored.insert(address, bindings);
        }
        self.answers.extend(out.answers.drain(..).map(|(_, answer)| answer));
        self.events.append(&mut out.events);
        let mut sent: Vec<_> = out
            .sip
            .transmits
            .drain(..)
            .map(|one| Sent { from: self.address, to: one.flow.remote, bytes: one.bytes })
            .collect();
        for command in out.media.drain(..) {
            let mut relayed = relay::Outbox::default();
            self.relay.handle(now, relay::Input::Command(command), &mut relayed);
            sent.extend(self.relayed(now, relayed));
        }
        sent
    }

    fn relayed(&mut self, now: Instant, out: relay::Outbox) -> Vec<Sent> {
        let ip = self.address.ip();
        let mut sent: Vec<_> = out
            .sends
            .into_iter()
            .map(|one| Sent { from: SocketAddr::new(ip, one.from_port), to: one.to, bytes: one.bytes })
            .collect();
        for report in out.reports {
            sent.extend(self.input(now, Input::Media(report)));
        }
        sent
    }

    /// How the exchange is.
    pub fn status(&mut self, now: Instant) -> offhook_exchange::command::Status {
        self.answers.clear();
        self.input(now, Input::Command(Ticket(1), Command::Status));
        match self.answers.pop() {
            Some(Answer::Status(status)) => status,
            _ => offhook_exchange::command::Status::default(),
        }
    }

    /// Whether no transaction, call, stream or port is left.
    pub fn is_idle(&self) -> bool {
        self.shard.is_idle() && self.relay.is_empty()
    }
}

fn start(config: &Config, epoch: Epoch, seed: u8) -> (Shard, Relay) {
    let range = 20_000..=20_399;
    let ports = [PortBlock::within(range.clone())];
    (Shard::new(0, config.clone(), epoch, [seed; 32], &ports), Relay::new(relay::Config::new(range)))
}
