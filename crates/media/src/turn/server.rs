//! The TURN and STUN server as one state machine: who asks, and what is asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::allocate::{Opening, Reservation};
use super::allocation::Allocation;
use super::attribute as kind;
use super::bucket::Sources;
use super::credentials::{Secret, Username};
use super::key::{Integrity, Key, OFFERED, PasswordAlgorithm};
use super::message::{Class, Message, Method};
use super::nonce::Nonces;
use super::peer::PeerPolicy;
use super::ports::PortPool;
use super::refusal::{Refusal, dropped};
use super::writer::Writer;

/// What the server must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The realm of its credentials.
    pub realm: String,
    /// What credentials are made with.
    pub secret: Secret,
    /// What ports are chosen with, new for each start.
    pub seed: [u8; 32],
    /// Addresses that relayed addresses may have; the first of a family is preferred.
    pub addresses: Vec<IpAddr>,
    /// The address that clients outside `local_networks` are told, when it is not the machine's own.
    pub external_address: Option<IpAddr>,
    /// Networks whose clients reach us by our own address.
    pub local_networks: Vec<IpNet>,
    /// Ports of relayed addresses.
    pub ports: RangeInclusive<u16>,
    /// Whom it may reach.
    pub peers: PeerPolicy,
    /// How much of it.
    pub limits: Limits,
}

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations that an account may have at a time.
    pub per_account: usize,
    /// Allocations in all.
    pub allocations: usize,
    /// Bytes a second that an allocation carries each way.
    pub bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { per_account: 10, allocations: 1000, bytes_per_second: 250_000 }
    }
}

/// The way between a client and us (RFC 8656 §3.2): there is at most one allocation for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiveTuple {
    /// How the client speaks to us.
    pub transport: Transport,
    /// The client's address, as we see it.
    pub client: SocketAddr,
    /// Ours.
    pub server: SocketAddr,
}

/// How clients speak to the server; peers are always reached by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A message a datagram.
    Udp,
    /// Messages in a stream.
    Tcp,
    /// Messages in an encrypted stream.
    Tls,
}

impl Transport {
    /// Whether messages follow each other in a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls => true,
        }
    }
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to a client.
    ToClient {
        /// By which way.
        to: FiveTuple,
        /// A message.
        bytes: Vec<u8>,
    },
    /// Send this to a peer, by the socket of a relayed address.
    ToPeer {
        /// Of the relayed address.
        port: u16,
        /// Where to.
        to: SocketAddr,
        /// A datagram.
        payload: Vec<u8>,
    },
    /// Open a socket for a relayed address, then call [`Server::opened`].
    Open {
        /// What it is to be bound to.
        address: SocketAddr,
    },
    /// Close the socket of a relayed address.
    Close {
        /// Its port.
        port: u16,
    },
}

/// What the outside may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocations now.
    pub allocations: usize,
    /// Bytes of payload passed on, both ways.
    pub relayed_bytes: u64,
    /// Refused and dropped, by a word for the reason: a closed set.
    pub refused: BTreeMap<&'static str, u64>,
}

/// The server. It knows neither sockets nor clocks.
#[derive(Debug)]
pub struct Server {
    pub(super) config: Config,
    /// A moment, and its seconds since 1970.
    epoch: (Instant, u64),
    nonces: Nonces,
    sources: Sources,
    pub(super) ports: PortPool,
    pub(super) allocations: BTreeMap<FiveTuple, Allocation>,
    /// Whose the relayed addresses are, by port.
    pub(super) owners: BTreeMap<u16, FiveTuple>,
    /// Allocations whose sockets are being opened, by port.
    pub(super) openings: BTreeMap<u16, Opening>,
    pub(super) reservations: BTreeMap<[u8; 8], Reservation>,
    pub(super) counts: Counts,
    swept: Instant,
}

/// A request whose sender has proven who it is.
pub(super) struct Asked<'a> {
    pub(super) from: FiveTuple,
    pub(super) message: Message<'a>,
    pub(super) account: String,
    pub(super) signature: Signature,
}

/// How its answer is signed.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    integrity: Integrity,
    key: Key,
    /// Whether it ends with `FINGERPRINT`, as the request did.
    marked: bool,
}

impl Signature {
    pub(super) fn put_under(&self, answer: Writer) -> Vec<u8> {
        marked(answer.signed(self.integrity, &self.key), self.marked)
    }
}

impl Server {
    /// A server without allocations; `unix`: the seconds since 1970 at `now`.
    #[must_use]
    pub fn new(config: Config, now: Instant, unix: u64) -> Server {
        let branch = config.secret.branch(&config.seed);
        Server {
            epoch: (now, unix),
            nonces: Nonces::new(&config.secret),
            sources: Sources::new(now),
            ports: PortPool::new(config.ports.clone(), branch),
            allocations: BTreeMap::new(),
            owners: BTreeMap::new(),
            openings: BTreeMap::new(),
            reservations: BTreeMap::new(),
            counts: Counts::default(),
            swept: now,
            config,
        }
    }

    /// Takes a message from a client: a datagram, or what [`super::Frame`] cut out of a stream.
    pub fn receive(&mut self, now: Instant, from: FiveTuple, bytes: &[u8], out: &mut Vec<Output>) {
        if self.allocations.get(&from).is_some_and(|one| one.expires <= now) {
            self.remove(&from, out);
        }
        if bytes.first().is_some_and(|first| super::channel::begins(*first)) {
            return self.channel_data(now, &from, bytes, out);
        }
        let Some(message) = Message::parse(bytes) else { return self.drop_as(dropped::MALFORMED) };
        match (message.class(), message.method()) {
            (Class::Request, Method::Binding) => self.binding(now, from, &message, out),
            (
                Class::Request,
                Method::Allocate | Method::Refresh | Method::CreatePermission | Method::ChannelBind,
            ) => {
                self.request(now, from, message, out);
            }
            (Class::Indication, Method::Send) => self.send(now, &from, &message, out),
            // A client that keeps its binding at a NAT alive (RFC 8489 §6.3.2).
            (Class::Indication, Method::Binding) => {}
            (Class::Request | Class::Indication | Class::Success | Class::Error, _) => {
                self.drop_as(dropped::MALFORMED);
            }
        }
    }

    /// The stream of a client has ended, and with it what it was lent.
    pub fn closed(&mut self, from: &FiveTuple, out: &mut Vec<Output>) {
        self.remove(from, out);
        self.abandon(from);
    }

    /// Frees what has expired. To be called at [`Server::next_deadline`]; whatever expires is of no use before that too.
    pub fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.swept = now;
        let ended = self.allocations.iter().filter(|(_, one)| one.expires <= now);
        let ended: Vec<FiveTuple> = ended.map(|(tuple, _)| *tuple).collect();
        ended.iter().for_each(|tuple| self.remove(tuple, out));
        let ports = &mut self.ports;
        self.reservations.retain(|_, one| {
            let lives = one.expires > now;
            if !lives {
                ports.free(one.port);
            }
            lives
        });
    }

    /// When [`Server::expire`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let idle = self.allocations.is_empty() && self.reservations.is_empty();
        (!idle).then(|| self.swept + SWEEP)
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The address of a client, as the client is seen from here (RFC 8489 §12). No answer is larger than its request
    /// by more than that address.
    fn binding(&mut self, now: Instant, from: FiveTuple, message: &Message<'_>, out: &mut Vec<Output>) {
        if !self.sources.admits(now, from.client.ip()) {
            return self.drop_as(dropped::RATE);
        }
        let unknown = message.unknown(&UNDERSTOOD);
        let transaction = message.transaction();
        let answer = if unknown.is_empty() {
            Writer::new(Class::Success, Method::Binding, transaction)
                .address(kind::XOR_MAPPED_ADDRESS, from.client)
        } else {
            let refusal = Refusal::UnknownAttribute(unknown);
            self.drop_as(refusal.word());
            error(&refusal, Method::Binding, transaction)
        };
        out.push(Output::ToClient { to: from, bytes: marked(answer, message.is_marked()) });
    }

    /// A request for which one must have credentials.
    fn request(&mut self, now: Instant, from: FiveTuple, message: Message<'_>, out: &mut Vec<Output>) {
        let asked = match self.authenticate(now, from, message) {
            Ok(asked) => asked,
            Err(refusal) => return self.challenge(now, from, &message, &refusal, out),
        };
        let unknown = message.unknown(&UNDERSTOOD);
        let answer = if !unknown.is_empty() {
            Err(Refusal::UnknownAttribute(unknown))
        } else {
            match message.method() {
                Method::Allocate => self.allocate(now, &asked, out),
                Method::Refresh => self.refresh(now, &asked, out).map(Some),
                Method::CreatePermission => self.create_permission(now, &asked).map(Some),
                Method::ChannelBind => self.channel_bind(now, &asked).map(Some),
                Method::Binding | Method::Send | Method::Data | Method::Other(_) => Ok(None),
            }
        };
        match answer {
            Ok(None) => {}
            Ok(Some(answer)) => self.answer(from, &asked.signature, answer, out),
            Err(refusal) => self.refuse(&asked.message, from, &asked.signature, &refusal, out),
        }
    }

    pub(super) fn answer(&self, to: FiveTuple, signature: &Signature, answer: Writer, out: &mut Vec<Output>) {
        out.push(Output::ToClient { to, bytes: signature.put_under(answer) });
    }

    fn refuse(
        &mut self,
        message: &Message<'_>,
        to: FiveTuple,
        signature: &Signature,
        refusal: &Refusal,
        out: &mut Vec<Output>,
    ) {
        self.drop_as(refusal.word());
        let answer = error(refusal, message.method(), message.transaction());
        self.answer(to, signature, answer, out);
    }

    /// Who asks (RFC 8489 §9.2.4).
    fn authenticate<'a>(
        &self,
        now: Instant,
        from: FiveTuple,
        message: Message<'a>,
    ) -> Result<Asked<'a>, Refusal> {
        if !message.is_signed() {
            return Err(Refusal::Unauthenticated);
        }
        let get = |kind| message.get(kind).ok_or(Refusal::BadRequest("Bad Request: incomplete credentials"));
        let (username, realm, nonce) = (get(kind::USERNAME)?, get(kind::REALM)?, get(kind::NONCE)?);
        let unix = self.unix(now);
        if !self.nonces.is_fresh(nonce, from.client.ip(), unix) {
            return Err(Refusal::StaleNonce);
        }
        let algorithm = password_algorithm(&message)?;
        let name = std::str::from_utf8(username).map_err(|_| Refusal::Unauthenticated)?;
        let parsed = Username::parse(name, unix).ok_or(Refusal::Unauthenticated)?;
        if realm != self.config.realm.as_bytes() {
            return Err(Refusal::Unauthenticated);
        }
        let password = self.config.secret.password(name);
        let key = Key::long_term(algorithm, name, &self.config.realm, &password);
        let integrity = message.signed_with(&key).ok_or(Refusal::Unauthenticated)?;
        let signature = Signature { integrity, key, marked: message.is_marked() };
        Ok(Asked { from, message, account: parsed.account.to_owned(), signature })
    }

    /// The answer to those who have not proven who they are: small, and not often.
    fn challenge(
        &mut self,
        now: Instant,
        to: FiveTuple,
        message: &Message<'_>,
        refusal: &Refusal,
        out: &mut Vec<Output>,
    ) {
        if !self.sources.admits(now, to.client.ip()) {
            return self.drop_as(dropped::RATE);
        }
        self.drop_as(refusal.word());
        let mut answer = error(refusal, message.method(), message.transaction());
        if matches!(refusal, Refusal::Unauthenticated | Refusal::StaleNonce) {
            let nonce = self.nonces.make(to.client.ip(), self.unix(now));
            answer = answer
                .attribute(kind::REALM, self.config.realm.as_bytes())
                .attribute(kind::NONCE, nonce.as_bytes())
                .attribute(kind::PASSWORD_ALGORITHMS, &OFFERED);
        }
        out.push(Output::ToClient { to, bytes: marked(answer, message.is_marked()) });
    }

    #[cfg(test)]
    pub(super) const fn epoch(&self) -> (Instant, u64) {
        self.epoch
    }

    #[cfg(test)]
    pub(super) const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Every port that is taken is lent, being opened or reserved; every relayed address has its owner.
    #[cfg(test)]
    pub(super) fn assert_sound(&self) {
        let next = self.openings.values().filter(|one| one.takes_two()).count();
        let used = self.allocations.len() + self.openings.len() + next + self.reservations.len();
        assert_eq!(self.ports.taken(), used);
        assert_eq!(self.owners.len(), self.allocations.len());
        for (port, tuple) in &self.owners {
            assert_eq!(self.allocations.get(tuple).map(|one| one.relay.bound.port()), Some(*port));
        }
        assert_eq!(self.counts.allocations, self.allocations.len());
        assert!(self.allocations.len() <= self.config.limits.allocations);
    }

    #[cfg(test)]
    pub(super) const fn ports(&self) -> &PortPool {
        &self.ports
    }

    /// Seconds since 1970.
    fn unix(&self, now: Instant) -> u64 {
        self.epoch.1 + now.saturating_duration_since(self.epoch.0).as_secs()
    }

    /// Ends an allocation.
    pub(super) fn remove(&mut self, tuple: &FiveTuple, out: &mut Vec<Output>) {
        if let Some(ended) = self.allocations.remove(tuple) {
            let port = ended.relay.bound.port();
            self.owners.remove(&port);
            self.ports.free(port);
            self.counts.allocations = self.allocations.len();
            out.push(Output::Close { port });
        }
    }

    /// Counts what was refused or dropped.
    pub(super) fn drop_as(&mut self, word: &'static str) {
        *self.counts.refused.entry(word).or_default() += 1;
    }
}

/// How the key of a request is made (RFC 8489 §9.2.4): what we offered must have come through unchanged.
fn password_algorithm(message: &Message<'_>) -> Result<PasswordAlgorithm, Refusal> {
    let (offered, chosen) = (message.get(kind::PASSWORD_ALGORITHMS), message.get(kind::PASSWORD_ALGORITHM));
    let wrong = Refusal::BadRequest("Bad Request: password algorithms");
    match (offered, chosen) {
        (None, None) => Ok(PasswordAlgorithm::Md5),
        (Some(offered), Some(chosen)) if offered == OFFERED => PasswordAlgorithm::of(chosen).ok_or(wrong),
        (_, _) => Err(wrong),
    }
}

fn error(refusal: &Refusal, method: Method, transaction: [u8; 12]) -> Writer {
    let answer = Writer::new(Class::Error, method, transaction).error(refusal.code(), refusal.reason());
    match refusal {
        Refusal::UnknownAttribute(unknown) => {
            let kinds: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
            answer.attribute(kind::UNKNOWN_ATTRIBUTES, &kinds)
        }
        _ => answer,
    }
}

fn marked(answer: Writer, mark: bool) -> Vec<u8> {
    if mark { answer.marked().finish() } else { answer.finish() }
}

/// Attributes that must be understood, and are. `DONT-FRAGMENT` is not: no socket of ours promises it.
pub(super) const UNDERSTOOD: [u16; 15] = [
    kind::USERNAME,
    kind::MESSAGE_INTEGRITY,
    kind::CHANNEL_NUMBER,
    kind::LIFETIME,
    kind::XOR_PEER_ADDRESS,
    kind::DATA,
    kind::REALM,
    kind::NONCE,
    kind::REQUESTED_ADDRESS_FAMILY,
    kind::EVEN_PORT,
    kind::REQUESTED_TRANSPORT,
    kind::MESSAGE_INTEGRITY_SHA256,
    kind::PASSWORD_ALGORITHM,
    kind::RESERVATION_TOKEN,
    kind::XOR_RELAYED_ADDRESS,
];

/// How often what has expired is cleared away.
const SWEEP: Duration = Duration::from_secs(1);
