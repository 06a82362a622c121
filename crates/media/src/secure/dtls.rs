//! Keys by a DTLS handshake on the media path (RFC 5763, RFC 5764).
//!
//! Until one handshake has shown the promised certificate, each source has one of its own, so that a stranger who
//! speaks first cannot stop the phone (the ClientHello race).

use crate::command::{DtlsRole, Fingerprint, FingerprintHash, InsecureReason};
use crate::identity::Identity;
use crate::latch::same;
use crate::secure::engine::Engine;
use crate::secure::keyring::Keys;
use aws_lc_rs::{constant_time, digest};
use bytes::Bytes;
use offhook_rtp::srtp::{MasterKey, Suite};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The handshakes of one side.
pub(crate) struct Dtls {
    identity: Arc<Identity>,
    role: DtlsRole,
    fingerprint: Fingerprint,
    associations: Vec<Association>,
    state: State,
    /// Why the last handshake of a stranger failed, to be told if none succeeds.
    failure: Option<InsecureReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has said anything.
    Idle,
    /// It must end before this time.
    Shaking(Instant),
    /// The one association that is left has the promised certificate.
    Secured,
    /// It is over.
    Failed,
}

struct Association {
    peer: SocketAddr,
    engine: Engine,
    next: Option<Instant>,
    /// Whether the certificate that was shown is the promised one.
    matches: Option<bool>,
    keys: Option<Keys>,
    connected: bool,
}

/// How much the source of a handshake is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It has proven itself by ICE: it may be another way to the same phone.
    Checked,
    /// The address in the SDP.
    Signalled,
    /// It may be the phone behind its NAT.
    Possible,
}

/// How the handshakes ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Secured { keys: Box<Keys>, peer: SocketAddr },
    Insecure(InsecureReason),
}

/// Datagrams to send.
pub(crate) type Flight = Vec<(SocketAddr, Bytes)>;

impl Dtls {
    pub(crate) fn new(identity: Arc<Identity>, role: DtlsRole, fingerprint: Fingerprint) -> Dtls {
        let (associations, state) = (Vec::new(), State::Idle);
        Dtls { identity, role, fingerprint, associations, state, failure: None }
    }

    /// Whether it was asked for with these words, and has not failed.
    pub(crate) fn is(&self, role: DtlsRole, fingerprint: &Fingerprint) -> bool {
        self.role == role && self.fingerprint == *fingerprint && self.state != State::Failed
    }

    /// Whether it is our turn to begin.
    pub(crate) fn must_begin(&self) -> bool {
        self.role == DtlsRole::Client && self.state == State::Idle
    }

    /// Begins the handshake as the client.
    pub(crate) fn begin(&mut self, now: Instant, peer: SocketAddr, flight: &mut Flight) -> Option<Ended> {
        self.state = State::Shaking(now + HANDSHAKE);
        let association = self.identity.associate(now, DtlsRole::Client, peer, None);
        self.associations.push(association);
        self.step(now, 0, None, Source::Signalled, flight)
    }

    /// Takes a record that came from an allowed source.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        (from, source): (SocketAddr, Source),
        packet: &[u8],
        flight: &mut Flight,
    ) -> Option<Ended> {
        if self.state == State::Failed {
            return None;
        }
        let known = self.associations.iter().position(|one| same(one.peer, from));
        // One phone may be reached by several ways.
        let known = known.or((source == Source::Checked && !self.associations.is_empty()).then_some(0));
        let place = match known {
            Some(place) => place,
            None if self.role == DtlsRole::Server && is_client_hello(packet) => {
                self.admit(now, from, source, packet)?
            }
            None => return None,
        };
        self.associations.get_mut(place)?.peer = from;
        self.step(now, place, Some(packet), source, flight)
    }

    /// Sends again what was lost, and gives up in the end.
    pub(crate) fn timeout(&mut self, now: Instant, flight: &mut Flight) -> Option<Ended> {
        if let State::Shaking(until) = self.state
            && now >= until
        {
            return Some(self.fail(self.failure.unwrap_or(InsecureReason::HandshakeTimedOut)));
        }
        let mut place = 0;
        while let Some(one) = self.associations.get(place) {
            let before = self.associations.len();
            if one.next.is_some_and(|next| next <= now)
                && let Some(ended) = self.step(now, place, None, Source::Possible, flight)
            {
                return Some(ended);
            }
            place += usize::from(self.associations.len() == before);
        }
        None
    }

    /// When [`Dtls::timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let until = if let State::Shaking(until) = self.state { Some(until) } else { None };
        self.associations.iter().filter_map(|one| one.next).chain(until).min()
    }

    /// Room for one more handshake: the SDP's own address pushes out one that is less likely.
    fn admit(&mut self, now: Instant, from: SocketAddr, source: Source, hello: &[u8]) -> Option<usize> {
        if self.state == State::Secured {
            return None;
        }
        if self.associations.len() >= ASSOCIATIONS {
            if source == Source::Possible {
                return None;
            }
            self.associations.remove(0);
        }
        if self.state == State::Idle {
            self.state = State::Shaking(now + HANDSHAKE);
        }
        self.associations.push(self.identity.associate(now, DtlsRole::Server, from, Some(hello)));
        Some(self.associations.len() - 1)
    }

    /// Drives one association, and draws the conclusions.
    fn step(
        &mut self,
        now: Instant,
        place: usize,
        packet: Option<&[u8]>,
        source: Source,
        flight: &mut Flight,
    ) -> Option<Ended> {
        let one = self.associations.get_mut(place)?;
        let alive = one.drive(now, self.role, packet, &self.fingerprint, flight);
        if self.state == State::Secured {
            // The keys stay whatever becomes of the association.
            return None;
        }
        let mismatch = one.matches == Some(false);
        if mismatch || !alive {
            self.associations.remove(place);
            let reason =
                if mismatch { InsecureReason::FingerprintMismatch } else { InsecureReason::HandshakeFailed };
            self.failure = Some(reason);
            // Whoever stands where the SDP points has shown a wrong certificate: there is nobody to wait for.
            let final_ = source == Source::Checked
                || self.role == DtlsRole::Client
                || mismatch && source == Source::Signalled;
            return final_.then(|| self.fail(reason));
        }
        if !one.connected || one.matches != Some(true) {
            return None;
        }
        let (keys, peer) = (one.keys.take()?, one.peer);
        self.associations.swap(0, place);
        self.associations.truncate(1);
        self.state = State::Secured;
        Some(Ended::Secured { keys: Box::new(keys), peer })
    }

    fn fail(&mut self, reason: InsecureReason) -> Ended {
        self.associations.clear();
        self.state = State::Failed;
        Ended::Insecure(reason)
    }
}

impl Association {
    /// Feeds and drains the machine; `false`: it is over.
    fn drive(
        &mut self,
        now: Instant,
        role: DtlsRole,
        packet: Option<&[u8]>,
        fingerprint: &Fingerprint,
        flight: &mut Flight,
    ) -> bool {
        let outcome = self.engine.drive(now, packet);
        flight.extend(outcome.packets.into_iter().map(|packet| (self.peer, packet)));
        self.next = outcome.next;
        self.connected |= outcome.connected;
        if let Some(certificate) = outcome.certificate {
            self.matches = Some(is_of(fingerprint, &certificate));
        }
        if let Some((suite, material)) = outcome.material {
            self.keys = Keys::split(role, suite, &Zeroizing::new(material));
        }
        !outcome.is_over
    }
}

impl Keys {
    /// RFC 5764 §4.2: the client's key, the server's, the client's salt, the server's.
    fn split(role: DtlsRole, suite: Suite, material: &[u8]) -> Option<Keys> {
        let (keys, salts) = material.split_at_checked(2 * suite.cipher_key_len())?;
        let halves = keys.split_at(suite.cipher_key_len());
        let salts = salts.split_at_checked(suite.salt_len())?;
        let master = |key: &[u8], salt: &[u8]| {
            let both = Zeroizing::new([key, salt].concat());
            MasterKey::new(suite, &both).ok()
        };
        let (client, server) = (master(halves.0, salts.0)?, master(halves.1, salts.1)?);
        Some(match role {
            DtlsRole::Client => Keys { suite, ours: client, theirs: server },
            DtlsRole::Server => Keys { suite, ours: server, theirs: client },
        })
    }
}

impl Identity {
    fn associate(&self, now: Instant, role: DtlsRole, peer: SocketAddr, hello: Option<&[u8]>) -> Association {
        let engine = Engine::new(self, role, hello, now);
        Association { peer, engine, next: None, matches: None, keys: None, connected: false }
    }
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtls").field("role", &self.role).field("state", &self.state).finish_non_exhaustive()
    }
}

/// In constant time.
fn is_of(fingerprint: &Fingerprint, certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.hash() {
        FingerprintHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        FingerprintHash::Sha256 => &digest::SHA256,
        FingerprintHash::Sha384 => &digest::SHA384,
        FingerprintHash::Sha512 => &digest::SHA512,
    };
    let shown = digest::digest(algorithm, certificate);
    constant_time::verify_slices_are_equal(shown.as_ref(), fingerprint.bytes()).is_ok()
}

/// A handshake record of epoch 0 that holds the beginning of a ClientHello (RFC 6347 §4).
pub(super) fn is_client_hello(packet: &[u8]) -> bool {
    packet.len() > 25 && packet[0] == 22 && packet[3..5] == [0, 0] && packet[13] == 1
}

/// From its beginning to its end.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Handshakes with different sources at one time.
const ASSOCIATIONS: usize = 4;
