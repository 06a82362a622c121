//! Learns where a phone's media really comes from (symmetric RTP, RFC 4961) so that nobody else can take
//! it over.
//!
//! A source is accepted when it is the address of the SDP, or when within a short time after signalling
//! several packets that belong together came from the phone's own IP address. Then it is locked until
//! signalling speaks again. Packets of other sources change nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Who may be learnt: what signalling says about a phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The address in the SDP, accepted at once.
    pub expected: Option<SocketAddr>,
    /// Where signalling comes from; media from another port, or another address of the SDP, is learnt from
    /// here.
    pub signalled_from: Option<IpAddr>,
}

/// What shows that a packet belongs with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The synchronisation source (0 where there is none).
    pub ssrc: u32,
    /// The RTP sequence number; `None` where packets carry none.
    pub sequence: Option<u16>,
    /// How many packets must follow each other before their source is believed.
    pub needed: u8,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From the known source: take it.
    Accept,
    /// Take it, and from now on only from this source.
    Latched,
    /// Drop it.
    Foreign,
}

/// The source of one kind of packets (RTP or RTCP) of one phone.
#[derive(Clone, Debug)]
pub struct Latch {
    locked: Option<SocketAddr>,
    /// SSRC of the packet that locked it.
    ssrc: u32,
    /// When the locked source was heard last.
    heard: Instant,
    /// Until when sources are learnt.
    learns_until: Instant,
    /// Apart, and made only when a source must be learnt: most phones send from where they said.
    doubts: Option<Box<Doubts>>,
}

/// What is known while a source is learnt.
#[derive(Clone, Debug, Default)]
struct Doubts {
    candidate: Option<Candidate>,
    /// The source before signalling named another address, and until when it is not learnt again: its last
    /// packets are still on their way.
    former: Option<(SocketAddr, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    sequence: Option<u16>,
    count: u8,
    at: Instant,
}

impl Latch {
    /// Nothing is known yet; learns until `learns_until`.
    pub fn new(now: Instant, learns_until: Instant) -> Latch {
        Latch { locked: None, ssrc: 0, heard: now, learns_until, doubts: None }
    }

    /// Signalling spoke: sources may be learnt (anew) until `learns_until`. With `forget` the locked source
    /// is dropped now; otherwise it stays unless it has fallen silent.
    pub fn signalled(&mut self, now: Instant, learns_until: Instant, forget: bool) {
        self.learns_until = learns_until;
        if let Some(doubts) = &mut self.doubts {
            doubts.candidate = None;
        }
        if forget && let Some(former) = self.locked.take() {
            self.doubts.get_or_insert_default().former = Some((former, now + FORMER_BARRED));
        }
    }

    /// The locked source.
    pub fn address(&self) -> Option<SocketAddr> {
        self.locked
    }

    /// The SSRC with which the source was locked.
    pub fn ssrc(&self) -> Option<u32> {
        self.locked.map(|_| self.ssrc)
    }

    /// Locks a source that is known from elsewhere (a flow that is taken up again).
    pub fn restore(&mut self, now: Instant, source: SocketAddr) {
        self.lock(now, source, 0);
    }

    /// Judges a packet by its source, learning from it. A packet without a `mark` (RTCP on the RTP port)
    /// teaches nothing.
    pub fn judge(&mut self, now: Instant, from: SocketAddr, mark: Option<Mark>, allowed: Allowed) -> Verdict {
        if self.locked.is_some_and(|locked| same(locked, from)) {
            self.heard = now;
            return Verdict::Accept;
        }
        let silent = now.saturating_duration_since(self.heard) >= SILENCE;
        if self.locked.is_some() && !(silent && now < self.learns_until) {
            return Verdict::Foreign;
        }
        let expected = allowed.expected.is_some_and(|expected| same(expected, from));
        match mark {
            None if expected && self.locked.is_none() => Verdict::Accept,
            None => Verdict::Foreign,
            Some(mark) => {
                let permitted = now < self.learns_until && allowed.permits(from.ip());
                let barred = self.former().is_some_and(|(former, until)| same(former, from) && now < until);
                if expected || (permitted && !barred && self.is_consistent(now, from, mark)) {
                    self.lock(now, from, mark.ssrc);
                    Verdict::Latched
                } else {
                    Verdict::Foreign
                }
            }
        }
    }

    /// Whether a packet from there is worth the work of authenticating it: nobody is known, or it is the known source,
    /// or that has fallen silent.
    pub fn may_be(&self, now: Instant, from: SocketAddr) -> bool {
        self.locked
            .is_none_or(|locked| same(locked, from) || now.saturating_duration_since(self.heard) >= SILENCE)
    }

    /// Takes the source of a packet that only the phone can have made. It needs no other proof, and may have moved at
    /// any time: nobody else's packets come here.
    pub fn prove(&mut self, now: Instant, from: SocketAddr, ssrc: u32) -> Verdict {
        if self.locked.is_some_and(|locked| same(locked, from)) {
            self.heard = now;
            return Verdict::Accept;
        }
        self.lock(now, from, ssrc);
        Verdict::Latched
    }

    fn lock(&mut self, now: Instant, from: SocketAddr, ssrc: u32) {
        self.locked = Some(from);
        self.ssrc = ssrc;
        self.heard = now;
        if self.former().is_none_or(|(_, until)| until <= now) {
            self.doubts = None;
        } else if let Some(doubts) = &mut self.doubts {
            doubts.candidate = None;
        }
        // Closed until signalling speaks again.
        self.learns_until = now;
    }

    fn former(&self) -> Option<(SocketAddr, Instant)> {
        self.doubts.as_ref()?.former
    }

    fn is_consistent(&mut self, now: Instant, from: SocketAddr, mark: Mark) -> bool {
        let mut count = 1;
        if let Some(last) = self.doubts.as_ref().and_then(|doubts| doubts.candidate) {
            if !same(last.from, from) {
                // A second voice cannot disturb the first while that goes on.
                if now.saturating_duration_since(last.at) < CANDIDATE_HOLDS {
                    return false;
                }
            } else if last.ssrc == mark.ssrc {
                match follows(last.sequence, mark.sequence) {
                    Step::Next => count = last.count.saturating_add(1),
                    Step::Repeated => return false,
                    Step::Elsewhere => {}
                }
            }
        }
        let candidate = Candidate { from, ssrc: mark.ssrc, sequence: mark.sequence, count, at: now };
        self.doubts.get_or_insert_default().candidate = Some(candidate);
        count >= mark.needed
    }
}

impl Allowed {
    /// Whether a source may be learnt from this address.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.signalled_from.is_some_and(|signalled| signalled.to_canonical() == ip)
            || self.expected.is_some_and(|expected| expected.ip().to_canonical() == ip)
    }
}

/// Whether two addresses are the same endpoint: a mapped IPv4 address equals the plain one, and the scope
/// of a link-local address does not count (SDP cannot say it).
pub fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

enum Step {
    Next,
    Repeated,
    Elsewhere,
}

fn follows(last: Option<u16>, this: Option<u16>) -> Step {
    match (last, this) {
        (Some(last), Some(this)) => match this.wrapping_sub(last) {
            0 => Step::Repeated,
            1..=MAX_STEP => Step::Next,
            _ => Step::Elsewhere,
        },
        (None, None) => Step::Next,
        (Some(_), None) | (None, Some(_)) => Step::Elsewhere,
    }
}

/// A locked source that was silent this long may be replaced while signalling has learning open.
const SILENCE: Duration = Duration::from_millis(500);
/// A candidate is only replaced by another source after this time.
const CANDIDATE_HOLDS: Duration = Duration::from_millis(200);
/// How long the packets of a source may arrive that signalling has replaced.
const FORMER_BARRED: Duration = Duration::from_secs(2);
/// A few packets may be lost between two that belong together.
const MAX_STEP: u16 = 8;

#[cfg(test)]
mod tests;
