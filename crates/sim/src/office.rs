//! The exchange in the world: its shards, their media relay and their store.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_exchange::Shard;
use offhook_exchange::command::{
    Answer, Command, Device, Guest, LiveCall, Moderate, Moderation, QueueReport, Status, Ticket, TrunkReport,
};
use offhook_exchange::config::{Config, Epoch, Key, Listener};
use offhook_exchange::directory::{
    Account, AddressOfRecord, AgentState, Answering, Bindings, Delta, Rights, Secrets,
};
use offhook_exchange::dispatch;
use offhook_exchange::event::Event;
use offhook_exchange::io::{Input, Outbox, ShardMessage, StoreRequest};
use offhook_exchange::keep::Keep;
use offhook_exchange::presence::{KeptWatch, WatchChange};
use offhook_exchange::speech::Language;
use offhook_media::camera::{Ask, Feed};
use offhook_media::lease::PortBlock;
use offhook_media::relay::{self, Relay};
use offhook_sip::digest::{Algorithm, ha1};
use offhook_sip_stack::{ConnectionId, Flow, Transport};

use crate::{Dns, Recordings, Texts};

/// The exchange.
pub struct Office {
    /// Its address for SIP.
    pub address: SocketAddr,
    /// What happened.
    pub events: Vec<Event>,
    /// The DNS that it asks.
    pub dns: Dns,
    /// The text messages in its store.
    pub texts: Texts,
    config: Config,
    epoch: Epoch,
    shards: Vec<Shard>,
    /// What each of them has not yet taken of what the others told it.
    facts: Vec<VecDeque<ShardMessage>>,
    relay: Relay,
    accounts: Vec<Delta>,
    /// What was acknowledged: it outlives the process.
    stored: BTreeMap<AddressOfRecord, Bindings>,
    answers: Vec<Answer>,
    pub(crate) restarts: u8,
    /// The recordings: they outlive the process.
    pub recordings: Recordings,
    /// The subscriptions that were written down, by our tags: so do they.
    pub watches: BTreeMap<String, KeptWatch>,
    /// What media has wanted of cameras.
    pub asks: Vec<Ask>,
    /// From where there are connections under TLS.
    connections: BTreeMap<IpAddr, ConnectionId>,
    /// How many there were.
    connected: u64,
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
        let (shards, relay) = start(&config, epoch, 0);
        Self {
            address,
            events: Vec::new(),
            dns: Dns::new(address.ip()),
            texts: Texts::default(),
            config,
            epoch,
            facts: shards.iter().map(|_| VecDeque::new()).collect(),
            shards,
            relay,
            accounts: Vec::new(),
            stored: BTreeMap::new(),
            answers: Vec::new(),
            restarts: 0,
            recordings: Recordings::default(),
            asks: Vec::new(),
            watches: BTreeMap::new(),
            connections: BTreeMap::new(),
            connected: 0,
        }
    }

    /// Everything that comes from an address comes by a connection under TLS from now on, of a peer that has proven to be these
    /// domains; one that there was before is closed.
    pub(crate) fn connected(&mut self, now: Instant, from: IpAddr, domains: &[&str]) {
        self.disconnected(now, from);
        self.connected += 1;
        let id = ConnectionId(self.connected);
        self.connections.insert(from, id);
        self.proven(now, id, domains.iter().map(|one| (*one).to_owned()).collect());
    }

    /// What comes from an address are datagrams again.
    pub(crate) fn disconnected(&mut self, now: Instant, from: IpAddr) {
        if let Some(id) = self.connections.remove(&from) {
            self.proven(now, id, Arc::new([]));
        }
    }

    fn proven(&mut self, now: Instant, id: ConnectionId, domains: Arc<[String]>) {
        for shard in 0..self.shards.len() {
            self.input(now, shard, Input::Proven(id, Arc::clone(&domains)));
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
            language: None,
            realm: "example.com".into(),
            secrets: Secrets { md5: secret(Algorithm::Md5), sha256: secret(Algorithm::Sha256) },
        };
        let mut deltas = vec![Delta::Account(account)];
        deltas.extend(number.map(|number| Delta::Number(number.into(), Some(address))));
        deltas.into_iter().for_each(|delta| self.store(now, delta));
    }

    /// An account is spoken to in a language.
    pub fn speaks(&mut self, now: Instant, user: &str, language: Language) {
        let account = self.accounts.iter().find_map(|delta| match delta {
            Delta::Account(account) if account.address.user() == user => Some(account.clone()),
            _ => None,
        });
        let Some(account) = account else { return };
        self.store(now, Delta::Account(Account { language: Some(language), ..account }));
    }

    /// An account gets one more number.
    pub fn number(&mut self, now: Instant, user: &str, number: &str) {
        self.store(now, Delta::Number(number.into(), Some(AddressOfRecord::new(user, "example.com"))));
    }

    /// An account wants its calls answered like this.
    pub fn answering(&mut self, now: Instant, user: &str, answering: Answering) {
        self.store(now, Delta::Answering(AddressOfRecord::new(user, "example.com"), answering));
    }

    /// An account may do this beside calling.
    pub fn rights(&mut self, now: Instant, user: &str, rights: Rights) {
        self.store(now, Delta::Rights(AddressOfRecord::new(user, "example.com"), rights));
    }

    /// A fact is changed in the store, and the shards learn of it.
    fn store(&mut self, now: Instant, delta: Delta) {
        self.accounts.push(delta.clone());
        self.ask_each(now, &Command::Apply(Box::new(delta)));
    }

    /// An operator or the store says that a fact has changed.
    pub(crate) fn tell(&mut self, now: Instant, delta: &Delta) -> Vec<Sent> {
        (0..self.shards.len())
            .flat_map(|shard| {
                self.input(now, shard, Input::Command(Ticket(0), Command::Apply(Box::new(delta.clone()))))
            })
            .collect()
    }

    /// An operator or a program asks for something.
    pub(crate) fn ask(&mut self, now: Instant, command: &Command) -> (Vec<Answer>, Vec<Sent>) {
        self.answers.clear();
        let shards = 0..self.shards.len();
        let sent =
            shards.flat_map(|shard| self.input(now, shard, Input::Command(Ticket(0), command.clone())));
        let sent = sent.collect();
        (std::mem::take(&mut self.answers), sent)
    }

    /// The process is killed and started again: what it remembers is what it had stored.
    pub(crate) fn kill_and_restart(&mut self, now: Instant) {
        self.restarts += 1;
        (self.shards, self.relay) = start(&self.config, self.epoch, self.restarts);
        self.facts.iter_mut().for_each(VecDeque::clear);
        let stored =
            self.stored.clone().into_iter().map(|(address, bindings)| Delta::Bindings(address, bindings));
        for delta in self.accounts.clone().into_iter().chain(stored).chain(self.texts.load()) {
            for shard in 0..self.shards.len() {
                self.input(now, shard, Input::FromShard(ShardMessage::Delta(delta.clone())));
            }
        }
        self.recordings.die();
        for folder in self.recordings.folders() {
            self.show(now, Some(folder));
        }
        let unix = self.epoch.unix_seconds(now);
        let watches: Vec<_> = self.watches.values().filter(|one| one.expires_at > unix).cloned().collect();
        for shard in 0..self.shards.len() {
            self.input(now, shard, Input::Watches(watches.clone()));
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
            let connection = self.connections.get(&from.ip()).copied();
            let transport = if connection.is_some() { Transport::Tls } else { Transport::Udp };
            let flow = Flow { transport, local: self.address, remote: from, connection };
            let owner = dispatch::owner(&bytes, self.config.shards).map_or(0, usize::from);
            return self.input(
                now,
                owner,
                match connection {
                    Some(_) => Input::StreamMessage { flow, bytes },
                    None => Input::Datagram { flow, bytes },
                },
            );
        }
        let mut out = relay::Outbox::default();
        self.relay.handle(now, relay::Input::Packet { port: to.port(), from, bytes }, &mut out);
        self.relayed(now, out)
    }

    /// A camera sends something.
    pub(crate) fn feed(&mut self, now: Instant, feed: Feed) -> Vec<Sent> {
        let mut out = relay::Outbox::default();
        self.relay.handle(now, relay::Input::Feed(feed), &mut out);
        self.relayed(now, out)
    }

    /// Lets everything happen that is due.
    pub(crate) fn deadline(&mut self, now: Instant) -> Vec<Sent> {
        let mut out = relay::Outbox::default();
        self.relay.handle(now, relay::Input::Deadline, &mut out);
        let mut sent = self.relayed(now, out);
        while let Some((shard, ticket, answer)) = self.dns.due(now) {
            sent.extend(self.input(now, shard, Input::Resolved(ticket, answer)));
        }
        for shard in 0..self.shards.len() {
            if self.shards[shard].next_deadline().is_some_and(|at| at <= now) {
                sent.extend(self.input(now, shard, Input::Deadline));
            }
        }
        sent
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let shards = self.shards.iter().filter_map(Shard::next_deadline);
        shards.chain(self.relay.next_deadline()).chain(self.dns.next_deadline()).min()
    }

    /// Gives a command to all shards; returns the answer of each.
    fn ask_each(&mut self, now: Instant, command: &Command) -> Vec<Answer> {
        self.answers.clear();
        for shard in 0..self.shards.len() {
            self.input(now, shard, Input::Command(Ticket(0), command.clone()));
        }
        std::mem::take(&mut self.answers)
    }

    /// Gives a shard an input, after all facts that it has been told, as a signal thread does.
    fn input(&mut self, now: Instant, shard: usize, input: Input) -> Vec<Sent> {
        let mut sent = Vec::new();
        let facts = self.facts[shard].drain(..).map(Input::FromShard).collect::<Vec<_>>();
        for input in facts.into_iter().chain([input]) {
            let mut out = Outbox::default();
            self.shards[shard].handle(now, input, &mut out);
            sent.extend(self.carry_out(now, shard, out));
        }
        sent
    }

    fn carry_out(&mut self, now: Instant, shard: usize, mut out: Outbox) -> Vec<Sent> {
        let keeps = std::mem::take(&mut out.keeps);
        for (ticket, question) in out.resolves.drain(..) {
            self.dns.ask(now, shard, ticket, question);
        }
        for StoreRequest::Bindings(address, bindings) in out.store.drain(..) {
            self.stored.insert(address, bindings);
        }
        out.watches.drain(..).for_each(|change| self.note_watch(change));
        self.answers.extend(out.answers.drain(..).map(|(_, answer)| answer));
        self.events.append(&mut out.events);
        let (mut handed_over, mut woken) = (Vec::new(), Vec::new());
        for (shard, message) in out.shards.drain(..) {
            match message {
                ShardMessage::Datagram { .. } => handed_over.push((shard, message)),
                fact => {
                    woken.extend(fact.is_urgent().then_some(usize::from(shard)));
                    self.facts[usize::from(shard)].push_back(fact);
                }
            }
        }
        let mut sent = Vec::new();
        for request in out.files.drain(..) {
            let changed = self.recordings.change(request);
            sent.extend(self.show(now, changed));
        }
        sent.extend(self.transmit(&mut out));
        for command in out.media.drain(..) {
            let mut relayed = relay::Outbox::default();
            self.relay.handle(now, relay::Input::Command(command), &mut relayed);
            sent.extend(self.relayed(now, relayed));
        }
        for (shard, message) in handed_over {
            sent.extend(self.input(now, shard.into(), Input::FromShard(message)));
        }
        let answers =
            out.texts.drain(..).filter_map(|(ticket, asked)| Some((ticket, self.texts.answer(asked)?)));
        for (ticket, answer) in answers.collect::<Vec<_>>() {
            sent.extend(self.input(now, shard, Input::Stored(ticket, answer)));
        }
        for shard in woken {
            sent.extend(self.input(now, shard, Input::Deadline));
        }
        for (ticket, keep) in keeps {
            let delta = self.keep(keep);
            sent.extend(self.tell(now, &delta));
            let kept = Command::Kept { shard: shard as u8, ticket, is_kept: true };
            sent.extend(self.input(now, shard, Input::Command(Ticket(0), kept)));
        }
        sent
    }

    /// An agent of a queue is like this from now on.
    pub(crate) fn agent(&mut self, now: Instant, queue: &str, user: &str, state: AgentState) -> Vec<Sent> {
        let account = AddressOfRecord::new(user, "example.com");
        let delta = self.keep(Keep::Agent(queue.to_owned(), account, state));
        self.tell(now, &delta)
    }

    /// Keeps what a service wants kept; returns what has changed.
    fn keep(&mut self, keep: Keep) -> Delta {
        let delta = match keep {
            Keep::Answering(account, change) => {
                let before = self.accounts.iter().rev().find_map(|delta| match delta {
                    Delta::Answering(one, answering) if *one == account => Some(answering.clone()),
                    _ => None,
                });
                let mut answering = before.unwrap_or_default();
                change.apply(&mut answering);
                Delta::Answering(account, answering)
            }
            Keep::Agent(queue, account, state) => Delta::Agent(queue, account, state),
            Keep::WakeUp(account, at) => Delta::WakeUp(account, at),
            Keep::CallBack(caller, callee, until) => Delta::CallBack(caller, callee, until),
            Keep::Ban(ban) => Delta::Banned(ban),
        };
        self.accounts.push(delta.clone());
        delta
    }

    fn note_watch(&mut self, change: WatchChange) {
        match change {
            WatchChange::Made(kept) => _ = self.watches.insert(kept.tag.clone(), *kept),
            WatchChange::Refreshed { tag, refreshed, flow, expires_at } => {
                if let Some(kept) = self.watches.get_mut(&tag) {
                    (kept.refreshed, kept.flow, kept.expires_at) = (Some(refreshed), flow, expires_at);
                }
            }
            WatchChange::Over(tag) => _ = self.watches.remove(&tag),
        }
    }

    fn transmit(&self, out: &mut Outbox) -> Vec<Sent> {
        out.sip
            .transmits
            .drain(..)
            .map(|one| Sent { from: self.address, to: one.flow.remote, bytes: one.bytes })
            .collect()
    }

    /// Shows every shard what a mailbox holds.
    fn show(&mut self, now: Instant, folder: Option<String>) -> Vec<Sent> {
        let Some(folder) = folder else { return Vec::new() };
        let (files, shards) = (self.recordings.list(&folder), 0..self.shards.len());
        let show = |shard| self.input(now, shard, Input::Mailbox(folder.clone(), files.clone()));
        shards.flat_map(show).collect()
    }

    fn relayed(&mut self, now: Instant, out: relay::Outbox) -> Vec<Sent> {
        let ip = self.address.ip();
        self.asks.extend(out.cameras);
        let mut sent: Vec<_> = out
            .sends
            .into_iter()
            .map(|one| Sent { from: SocketAddr::new(ip, one.from_port), to: one.to, bytes: one.bytes })
            .collect();
        for report in out.reports {
            let shard = usize::from(report.stream().shard());
            sent.extend(self.input(now, shard, Input::Media(report)));
        }
        for request in out.files {
            let (answer, changed) = self.recordings.take(request);
            sent.extend(self.show(now, changed));
            if let Some(answer) = answer {
                let mut out = relay::Outbox::default();
                self.relay.handle(now, relay::Input::File(answer), &mut out);
                sent.extend(self.relayed(now, out));
            }
        }
        sent
    }

    /// Who is in which conference room.
    pub fn conferences(&mut self, now: Instant) -> Vec<Guest> {
        match self.ask_each(now, &Command::Conferences).into_iter().reduce(Answer::and) {
            Some(Answer::Conferences(guests)) => guests,
            _ => Vec::new(),
        }
    }

    /// An operator wants something in a conference room; to how many it happened.
    pub fn moderate(&mut self, now: Instant, room: u64, guest: Option<&str>, what: Moderate) -> usize {
        let asked = Moderation { room, guest: guest.map(str::to_owned), what };
        match self.ask_each(now, &Command::Moderate(asked)).into_iter().reduce(Answer::and) {
            Some(Answer::Moderated(count)) => count,
            _ => 0,
        }
    }

    /// For so long its shards have had messages waiting.
    pub(crate) fn waited(&mut self, now: Instant, waited: Duration) {
        for shard in 0..self.shards.len() {
            self.input(now, shard, Input::Waited(waited));
        }
    }

    /// How the exchange is.
    pub fn status(&mut self, now: Instant) -> Status {
        match self.ask_each(now, &Command::Status).into_iter().reduce(Answer::and) {
            Some(Answer::Status(status)) => status,
            _ => Status::default(),
        }
    }

    /// How each shard is.
    pub fn each_status(&mut self, now: Instant) -> Vec<Status> {
        let of = |answer| if let Answer::Status(status) = answer { status } else { Status::default() };
        self.ask_each(now, &Command::Status).into_iter().map(of).collect()
    }

    /// The calls that the exchange holds state of.
    pub fn calls(&mut self, now: Instant) -> Vec<LiveCall> {
        let of = |answer| if let Answer::Calls(calls) = answer { calls } else { Vec::new() };
        self.ask_each(now, &Command::Calls).into_iter().flat_map(of).collect()
    }

    /// How the trunks are.
    pub fn trunks(&mut self, now: Instant) -> Vec<TrunkReport> {
        match self.ask_each(now, &Command::Trunks).into_iter().reduce(Answer::and) {
            Some(Answer::Trunks(trunks)) => trunks,
            _ => Vec::new(),
        }
    }

    /// How the queues are.
    pub fn queues(&mut self, now: Instant) -> Vec<QueueReport> {
        match self.ask_each(now, &Command::Queues).into_iter().reduce(Answer::and) {
            Some(Answer::Queues(queues)) => queues,
            _ => Vec::new(),
        }
    }

    /// What each shard knows of the phones that are registered.
    pub fn devices(&mut self, now: Instant) -> Vec<Vec<Device>> {
        let of = |answer| if let Answer::Devices(devices) = answer { devices } else { Vec::new() };
        self.ask_each(now, &Command::Devices).into_iter().map(of).collect()
    }

    /// Whether no transaction, call, stream or port is left.
    pub fn is_idle(&self) -> bool {
        self.shards.iter().all(Shard::is_idle) && self.relay.is_empty()
    }
}

fn start(config: &Config, epoch: Epoch, seed: u8) -> (Vec<Shard>, Relay) {
    let range = 20_000..=20_399;
    let ports = PortBlock::within(range.clone()).split(config.shards.into());
    let shard =
        |(number, ports)| Shard::new(number, config.clone(), epoch, [seed ^ number << 4; 32], &[ports]);
    ((0..).zip(ports).map(shard).collect(), Relay::new(relay::Config::new(range)))
}
