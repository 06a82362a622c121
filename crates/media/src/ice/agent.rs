//! `Agent`: gathers candidates, checks pairs of them, chooses one, and keeps its consent.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_rtp::packet::Kind;

use super::attribute as kind;
use super::candidate::{Candidate, CandidateKind};
use super::check::{Pair, Party, Role};
use super::message::{Class, Message};
use super::relay::{Answered, Relay};
use super::requests::{Purpose, Requests, Way};
use crate::latch::same;
use crate::protection::IceCredentials;

/// Whom an agent asks for further addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// A STUN server (RFC 8489), which tells our address behind a NAT.
    pub stun: Option<SocketAddr>,
    /// A TURN server, which lends one and tells that too.
    pub turn: Option<TurnServer>,
}

/// A TURN server that is spoken to over UDP, and long-term credentials for it.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// Where it is.
    pub address: SocketAddr,
    /// Who we are.
    pub username: String,
    /// Prints as dots.
    pub password: String,
}

/// A datagram to send from the port.
pub type Packet = (SocketAddr, Vec<u8>);

/// A datagram of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it, be it through the relay.
    pub from: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// The ICE agent of one port.
pub struct Agent {
    pub(super) host: SocketAddr,
    pub(super) stun: Option<SocketAddr>,
    pub(super) relay: Option<Relay>,
    /// Our address behind a NAT.
    pub(super) mapped: Option<SocketAddr>,
    pub(super) gathering_until: Option<Instant>,
    pub(super) requests: Requests,
    pub(super) ours: Party,
    pub(super) theirs: Option<Party>,
    pub(super) role: Role,
    pub(super) pairs: Vec<Pair>,
    /// Who has checked us before we knew anything of the other side.
    pub(super) early: Vec<(Way, SocketAddr, bool)>,
    pub(super) selected: Option<Selected>,
    pub(super) first_valid: Option<Instant>,
    /// Whether a pair was chosen under the present credentials.
    pub(super) chosen: bool,
    pub(super) next_check: Option<Instant>,
    pub(super) lost: bool,
}

/// The chosen pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selected {
    pub(super) way: Way,
    pub(super) remote: SocketAddr,
    /// When the other side has shown last that it wants what we send.
    pub(super) confirmed: Instant,
    pub(super) ask_at: Instant,
}

impl Agent {
    /// An agent for a port of this address. `seed` makes what must not be guessed.
    #[must_use]
    pub fn new(
        now: Instant,
        servers: Servers,
        host: SocketAddr,
        seed: &[u8; 32],
        ours: IceCredentials,
    ) -> Self {
        let Servers { stun, turn } = servers;
        let of_family = |server: &SocketAddr| server.is_ipv4() == host.is_ipv4();
        let turn = turn.filter(|turn| of_family(&turn.address));
        let (relay, stun) =
            (turn.map(|turn| Relay::new(turn.address, turn.username, turn.password)), stun.filter(of_family));
        let mut requests = Requests::new(seed);
        let [a, b, c, d, e, f, g, h, ..] = requests.id();
        let role = Role { controlling: true, tie_breaker: u64::from_be_bytes([a, b, c, d, e, f, g, h]) };
        Self {
            host,
            gathering_until: (relay.is_some() || stun.is_some()).then_some(now + GATHERING),
            stun,
            relay,
            mapped: None,
            requests,
            ours: Party::new(ours),
            theirs: None,
            role,
            pairs: Vec::new(),
            early: Vec::new(),
            selected: None,
            first_valid: None,
            chosen: false,
            next_check: Some(now),
            lost: false,
        }
    }

    /// What the other side is told to use.
    #[must_use]
    pub fn credentials(&self) -> &IceCredentials {
        &self.ours.credentials
    }

    /// Whether all servers have answered, or have had time enough.
    #[must_use]
    pub fn is_gathered(&self) -> bool {
        self.gathering_until.is_none()
    }

    /// Our candidates, best first.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let mapped = self.mapped.filter(|mapped| !same(*mapped, self.host));
        let relayed = self.relay.as_ref().and_then(Relay::address);
        let behind = self.mapped.unwrap_or(self.host);
        let reflexive = |at| Candidate::new(CandidateKind::ServerReflexive, at, Some(self.host));
        let relay = |at| Candidate::new(CandidateKind::Relayed, at, Some(behind));
        let host = Candidate::new(CandidateKind::Host, self.host, None);
        std::iter::once(host).chain(mapped.map(reflexive)).chain(relayed.map(relay)).collect()
    }

    /// The address for those that do no ICE: the one that works in most places.
    #[must_use]
    pub fn default_address(&self) -> SocketAddr {
        self.candidates().last().map_or(self.host, |one| one.address)
    }

    /// What signalling says of the other side. Other credentials than before begin anew (RFC 8445 §9), while what was chosen
    /// stays in use; `ours` then are new too.
    pub fn signalled(
        &mut self,
        now: Instant,
        theirs: &IceCredentials,
        candidates: &[Candidate],
        controlling: bool,
    ) {
        if self.theirs.as_ref().is_none_or(|known| known.credentials != *theirs) {
            self.theirs = Some(Party::new(theirs.clone()));
            self.role.controlling = controlling;
            self.pairs.clear();
            (self.first_valid, self.chosen) = (None, false);
            self.requests.forget(|one| matches!(one.purpose, Purpose::Check { .. } | Purpose::Consent));
        }
        for candidate in candidates.iter().take(CANDIDATES) {
            self.add(candidate);
        }
        for (way, from, nominates) in std::mem::take(&mut self.early) {
            let prflx = Candidate::new(CandidateKind::PeerReflexive, from, None);
            self.note_check(now, (way, from), nominates, prflx.priority);
        }
        self.next_check = Some(now);
    }

    /// Changes our credentials for a restart of ours; they hold once the other side has been told.
    pub fn restart(&mut self, ours: IceCredentials) {
        self.ours = Party::new(ours);
    }

    /// The other side does no ICE: its address in the SDP is all there is.
    pub fn without_ice(&mut self, now: Instant, remote: Option<SocketAddr>) {
        self.theirs = None;
        self.pairs.clear();
        self.selected = None;
        if let (Some(relay), Some(remote)) = (&mut self.relay, remote) {
            relay.open_channel(remote);
        }
        self.next_check = Some(now);
    }

    /// Whether both sides do ICE.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.theirs.is_some()
    }

    /// Whether these are the other side's credentials, as far as we know.
    #[must_use]
    pub fn is_with(&self, theirs: &IceCredentials) -> bool {
        self.theirs.as_ref().is_some_and(|known| known.credentials == *theirs)
    }

    /// The other side's address on the chosen way.
    #[must_use]
    pub fn selected(&self) -> Option<SocketAddr> {
        self.selected.as_ref().map(|selected| selected.remote)
    }

    /// What the chosen way is, in words of SDP; for people.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        match &self.selected {
            Some(selected) => selected.way == Way::Relayed,
            None => !self.is_agreed() && self.relay.as_ref().is_some_and(|relay| relay.address().is_some()),
        }
    }

    /// Whether the other side has not shown for too long that it wants what we send, or no pair works.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Takes a datagram of the port. What is for others comes back.
    pub fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) -> Option<Datagram> {
        if let Some(relay) = self.relay.as_ref().filter(|relay| same(relay.server, from)) {
            if let Some((peer, payload)) = relay.unwrap(bytes) {
                let payload = payload.to_vec();
                return self.inner(now, (Way::Relayed, peer), payload, out);
            }
            if Kind::of(bytes) == Kind::Stun && self.answered(now, (Way::Direct, from), bytes, out) {
                return None;
            }
        }
        self.inner(now, (Way::Direct, from), bytes.to_vec(), out)
    }

    /// A datagram of whoever it may be, out of its wrapping.
    fn inner(
        &mut self,
        now: Instant,
        (way, from): (Way, SocketAddr),
        bytes: Vec<u8>,
        out: &mut Vec<Packet>,
    ) -> Option<Datagram> {
        if Kind::of(&bytes) == Kind::Stun {
            if !self.answered(now, (way, from), &bytes, out) {
                self.checked(now, (way, from), &bytes, out);
            }
            return None;
        }
        let known = |pair: &Pair| pair.seen && pair.way == way && same(pair.remote, from);
        let chosen = self.selected.is_some_and(|one| one.way == way && same(one.remote, from));
        (!self.is_agreed() || chosen || self.pairs.iter().any(known)).then_some(Datagram { from, bytes })
    }

    /// Takes an answer to a request of ours; false if it is none.
    fn answered(
        &mut self,
        now: Instant,
        (way, from): (Way, SocketAddr),
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) -> bool {
        let Some(message) = Message::parse(bytes) else { return false };
        if !matches!(message.class(), Class::Success | Class::Error) {
            return false;
        }
        let Some(request) = self.requests.answered(message.transaction(), way, from) else { return true };
        match request.purpose {
            Purpose::Mirror => {
                self.mapped = message.address(kind::XOR_MAPPED_ADDRESS).ok().flatten().or(self.mapped);
            }
            Purpose::Allocate | Purpose::Refresh | Purpose::Bind(_) => {
                let relay = self.relay.as_mut();
                match relay.map(|relay| relay.answered(now, request.purpose, &message)) {
                    Some(Answered::Again) => self.ask(now, request.purpose, out),
                    Some(Answered::Allocated(mapped)) => self.mapped = mapped.or(self.mapped),
                    Some(Answered::Nothing) | None => {}
                }
            }
            Purpose::Check { .. } | Purpose::Consent => self.check_answered(now, &request, &message),
        }
        self.settle_gathering(now);
        true
    }

    pub(super) fn pair(&mut self, way: Way, remote: SocketAddr) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.way == way && same(pair.remote, remote))
    }

    /// Pairs a candidate of the other side with each way of ours.
    fn add(&mut self, candidate: &Candidate) {
        if candidate.address.is_ipv4() != self.host.is_ipv4() {
            return;
        }
        let has_relay = self.relay.as_ref().is_some_and(|relay| relay.address().is_some());
        let ways = [Some(Way::Direct), has_relay.then_some(Way::Relayed)];
        for way in ways.into_iter().flatten() {
            if self.pair(way, candidate.address).is_none() && self.pairs.len() < PAIRS {
                self.pairs.push(Pair::new(way, candidate));
            }
        }
        if let Some(relay) = &mut self.relay {
            relay.open_channel(candidate.address);
        }
    }

    pub(super) fn select(&mut self, now: Instant, way: Way, remote: SocketAddr) {
        let known = self.selected.is_some_and(|one| one.way == way && same(one.remote, remote));
        if !known {
            self.selected =
                Some(Selected { way, remote, confirmed: now, ask_at: now + super::checks::CONSENT_EVERY });
        }
        (self.chosen, self.lost) = (true, false);
    }

    /// A datagram for the other side, on the chosen way, or with a peer without ICE as it asks to be reached. `None`: it
    /// cannot be reached.
    #[must_use]
    pub fn carry(&mut self, to: SocketAddr, bytes: &[u8]) -> Option<Packet> {
        let way = match (&self.selected, &self.relay) {
            (Some(selected), _) if self.is_agreed() => {
                let (way, to) = (selected.way, selected.remote);
                return self.packet(way, to, bytes);
            }
            (_, _) if self.is_agreed() => return None,
            (_, Some(relay)) if relay.address().is_some() => Way::Relayed,
            (_, _) => Way::Direct,
        };
        self.packet(way, to, bytes)
    }

    pub(super) fn packet(&mut self, way: Way, to: SocketAddr, bytes: &[u8]) -> Option<Packet> {
        match (way, &self.relay) {
            (Way::Direct, _) => Some((to, bytes.to_vec())),
            (Way::Relayed, Some(relay)) => {
                let id = self.requests.id();
                Some((relay.server, relay.wrap(id, to, bytes)?))
            }
            (Way::Relayed, None) => None,
        }
    }

    pub(super) fn transmit(&mut self, way: Way, to: SocketAddr, bytes: &[u8], out: &mut Vec<Packet>) {
        out.extend(self.packet(way, to, bytes));
    }

    /// When [`Agent::deadline`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(Relay::deadline);
        let consent =
            self.selected.filter(|_| self.is_agreed() && !self.lost).map(|selected| selected.ask_at);
        let all = [self.requests.deadline(), relay, self.gathering_until, self.next_check, consent];
        all.into_iter().flatten().min()
    }

    /// Sends what is due: requests to servers, checks, questions for consent.
    pub fn deadline(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let (again, given_up) = self.requests.due(now);
        for (way, to, bytes) in again {
            self.transmit(way, to, &bytes, out);
        }
        for one in given_up {
            self.given_up(now, &one);
        }
        if self.gathering_until.is_some() {
            self.ask_servers(now, out);
        }
        let due = self.relay.as_mut().map(|relay| relay.due(now)).unwrap_or_default();
        for purpose in due {
            self.ask(now, purpose, out);
        }
        self.keep_consent(now, out);
        if self.next_check.is_some_and(|at| at <= now) {
            self.next_check = None;
            self.check_next(now, out);
        }
        self.settle_gathering(now);
    }

    /// Gives back what the server has lent.
    pub fn end(&mut self, out: &mut Vec<Packet>) {
        let id = self.requests.id();
        if let Some(relay) = self.relay.as_ref().filter(|relay| relay.address().is_some()) {
            out.push((relay.server, relay.request(id, Purpose::Refresh, 0)));
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("pairs", &self.pairs)
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnServer({}, …)", self.address)
    }
}

/// Servers that have not answered by then are done without.
const GATHERING: Duration = Duration::from_secs(2);
/// Candidates of the other side that are tried.
pub(super) const CANDIDATES: usize = 16;
pub(super) const PAIRS: usize = 40;
