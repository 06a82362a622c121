//! The client of a TURN server (RFC 8656): an address of its own for us, and channels to peers.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attribute as kind;
use super::key::{Integrity, Key, PasswordAlgorithm};
use super::message::{Class, Message, Method};
use super::requests::Purpose;
use super::writer::Writer;
use crate::latch::same;
use crate::turn::{read_channel, write_channel};

/// An allocation, or the attempt at one.
pub(super) struct Relay {
    pub(super) server: SocketAddr,
    username: String,
    password: String,
    /// What the server has said of itself, and the key that comes of it.
    session: Option<Session>,
    state: State,
    refresh_at: Option<Instant>,
    channels: Vec<Channel>,
}

struct Session {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Allocated(SocketAddr),
    /// Refused, silent, or lost.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    peer: SocketAddr,
    number: u16,
    state: Binding,
}

/// Whether a channel may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    Asked,
    /// To be renewed then.
    Until(Instant),
    Refused,
}

/// What an answer of the server led to.
pub(super) enum Answered {
    /// The same shall be asked again, now that its challenge is known.
    Again,
    /// Our address as the server sees it.
    Allocated(Option<SocketAddr>),
    Nothing,
}

impl Relay {
    pub(super) fn new(server: SocketAddr, username: String, password: String) -> Self {
        let (session, state) = (None, State::Asking);
        Self { server, username, password, session, state, refresh_at: None, channels: Vec::new() }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated(address) => Some(address),
            State::Asking | State::Failed => None,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.state == State::Asking
    }

    /// The request for a purpose.
    pub(super) fn request(&self, id: [u8; 12], purpose: Purpose, lifetime: u32) -> Vec<u8> {
        let begin = |method| Writer::new(Class::Request, method, id);
        let request = match purpose {
            Purpose::Refresh => begin(Method::Refresh).number(kind::LIFETIME, lifetime),
            Purpose::Bind(peer) => {
                let number = self.channel(peer).map_or(0, |channel| channel.number);
                begin(Method::ChannelBind)
                    .number(kind::CHANNEL_NUMBER, u32::from(number) << 16)
                    .address(kind::XOR_PEER_ADDRESS, peer)
            }
            Purpose::Mirror | Purpose::Allocate | Purpose::Check { .. } | Purpose::Consent => {
                begin(Method::Allocate).attribute(kind::REQUESTED_TRANSPORT, &[UDP, 0, 0, 0])
            }
        };
        let Some(Session { realm, nonce, key }) = &self.session else { return request.marked().finish() };
        let request = request.attribute(kind::USERNAME, self.username.as_bytes());
        let request = request.attribute(kind::REALM, realm).attribute(kind::NONCE, nonce);
        request.signed(Integrity::Sha1, key).marked().finish()
    }

    /// Takes the answer to a request of that purpose.
    pub(super) fn answered(&mut self, now: Instant, purpose: Purpose, answer: &Message<'_>) -> Answered {
        if answer.class() == Class::Error {
            return self.refused(purpose, answer);
        }
        // What is not signed as we are was not made by the server.
        if self.session.as_ref().is_none_or(|session| answer.signed_with(&session.key).is_none()) {
            return Answered::Nothing;
        }
        let lifetime = answer.number(kind::LIFETIME).ok().flatten().unwrap_or(LIFETIME);
        let refresh_at = now + Duration::from_secs(u64::from(lifetime.clamp(60, 3600))) / 2;
        match purpose {
            Purpose::Allocate => {
                let Ok(Some(address)) = answer.address(kind::XOR_RELAYED_ADDRESS) else {
                    self.state = State::Failed;
                    return Answered::Nothing;
                };
                (self.state, self.refresh_at) = (State::Allocated(address), Some(refresh_at));
                Answered::Allocated(answer.address(kind::XOR_MAPPED_ADDRESS).ok().flatten())
            }
            Purpose::Refresh => {
                self.refresh_at = Some(refresh_at);
                Answered::Nothing
            }
            Purpose::Bind(peer) => {
                self.settle(peer, Binding::Until(now + RENEW));
                Answered::Nothing
            }
            Purpose::Mirror | Purpose::Check { .. } | Purpose::Consent => Answered::Nothing,
        }
    }

    fn refused(&mut self, purpose: Purpose, answer: &Message<'_>) -> Answered {
        let code = match answer.get(kind::ERROR_CODE) {
            Some(&[_, _, hundreds, rest, ..]) => u16::from(hundreds) * 100 + u16::from(rest),
            _ => 0,
        };
        let challenge = answer.get(kind::REALM).zip(answer.get(kind::NONCE));
        match (code, challenge) {
            // The first answer says how to ask; a nonce has its time (RFC 8489 §9.2.5).
            (401, Some((realm, nonce))) if self.session.is_none() => self.challenged(realm, nonce),
            (438, Some((realm, nonce))) if self.session.as_ref().is_none_or(|known| known.nonce != nonce) => {
                self.challenged(realm, nonce)
            }
            _ => {
                self.given_up(purpose);
                Answered::Nothing
            }
        }
    }

    fn challenged(&mut self, realm: &[u8], nonce: &[u8]) -> Answered {
        let name = String::from_utf8_lossy(realm);
        let key = Key::long_term(PasswordAlgorithm::Md5, &self.username, &name, &self.password);
        self.session = Some(Session { realm: realm.to_vec(), nonce: nonce.to_vec(), key });
        Answered::Again
    }

    /// A request was refused, or never answered.
    pub(super) fn given_up(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Bind(peer) => self.settle(peer, Binding::Refused),
            Purpose::Allocate | Purpose::Refresh => (self.state, self.refresh_at) = (State::Failed, None),
            Purpose::Mirror | Purpose::Check { .. } | Purpose::Consent => {}
        }
    }

    fn settle(&mut self, peer: SocketAddr, state: Binding) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| same(channel.peer, peer)) {
            channel.state = state;
        }
    }

    fn channel(&self, peer: SocketAddr) -> Option<&Channel> {
        self.channels.iter().find(|channel| same(channel.peer, peer))
    }

    /// How it stands with the channel to a peer.
    pub(super) fn binding(&self, peer: SocketAddr) -> Option<Binding> {
        self.channel(peer).map(|channel| channel.state)
    }

    /// Peers whose channels are not there yet.
    pub(super) fn unbound(&self) -> impl Iterator<Item = SocketAddr> + use<'_> {
        self.channels.iter().filter(|channel| channel.state == Binding::Asked).map(|channel| channel.peer)
    }

    /// Begins a channel to a peer; false if there is one, or no room for it, or nothing to have it on.
    pub(super) fn open_channel(&mut self, peer: SocketAddr) -> bool {
        let fits = self.address().is_some_and(|own| own.is_ipv4() == peer.is_ipv4());
        if !fits || self.channels.len() >= CHANNELS || self.channel(peer).is_some() {
            return false;
        }
        let number = FIRST_CHANNEL + self.channels.len() as u16;
        self.channels.push(Channel { peer, number, state: Binding::Asked });
        true
    }

    /// What has to be asked for again now: the allocation, channels.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Purpose> {
        let mut due = Vec::new();
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            due.push(Purpose::Refresh);
        }
        for channel in &mut self.channels {
            if matches!(channel.state, Binding::Until(at) if at <= now) {
                // It may be used meanwhile.
                channel.state = Binding::Until(now + RENEW);
                due.push(Purpose::Bind(channel.peer));
            }
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let channels = self.channels.iter().filter_map(|channel| match channel.state {
            Binding::Until(at) => Some(at),
            Binding::Asked | Binding::Refused => None,
        });
        channels.chain(self.refresh_at).min()
    }

    /// A datagram for a peer, as it is told to the server. `None`: there is no way to that peer.
    pub(super) fn wrap(&self, id: [u8; 12], peer: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
        self.address()?;
        match self.channel(peer) {
            Some(Channel { number, state: Binding::Until(_), .. }) => Some(write_channel(*number, payload)),
            Some(Channel { state: Binding::Refused, .. }) => None,
            Some(_) | None => {
                let indication = Writer::new(Class::Indication, Method::Send, id);
                Some(indication.address(kind::XOR_PEER_ADDRESS, peer).attribute(kind::DATA, payload).finish())
            }
        }
    }

    /// What the server says that a peer has sent.
    pub(super) fn unwrap<'a>(&self, bytes: &'a [u8]) -> Option<(SocketAddr, &'a [u8])> {
        if let Some((number, payload)) = read_channel(bytes) {
            let channel = self.channels.iter().find(|channel| channel.number == number)?;
            return Some((channel.peer, payload));
        }
        let indication = Message::parse(bytes)?;
        let is_data = indication.class() == Class::Indication && indication.method() == Method::Data;
        let peer = indication.address(kind::XOR_PEER_ADDRESS).ok().flatten().filter(|_| is_data)?;
        Some((peer, indication.get(kind::DATA)?))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("server", &self.server)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The number of UDP among the protocols of IP.
const UDP: u8 = 17;
/// Seconds that an allocation lives where the answer does not say (RFC 8656 §3.2).
const LIFETIME: u32 = 600;
/// A permission lives five minutes, which a channel renews (§9, §12).
const RENEW: Duration = Duration::from_secs(240);
const FIRST_CHANNEL: u16 = 0x4000;
/// Channels at a time.
const CHANNELS: usize = 32;
