//! Requests that wait for their answers, and are sent again meanwhile (RFC 8489 §6.2.1).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

/// Which way something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the port itself.
    Direct,
    /// From the relayed address.
    Relayed,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be told our address.
    Mirror,
    Allocate,
    Refresh,
    /// A channel to this peer.
    Bind(SocketAddr),
    /// A connectivity check; `nominates` the pair.
    Check {
        nominates: bool,
        controlling: bool,
    },
    /// Whether the other side still wants what we send.
    Consent,
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    id: [u8; 12],
    pub(super) way: Way,
    pub(super) to: SocketAddr,
    pub(super) purpose: Purpose,
    bytes: Vec<u8>,
    /// Until it is sent again.
    wait: Duration,
    next: Instant,
    left: u8,
}

/// What is sent again, which way and where to.
pub(super) type Again = (Way, SocketAddr, Vec<u8>);

/// All of them.
#[derive(Debug)]
pub(super) struct Requests {
    seed: hmac::Key,
    count: u64,
    waiting: Vec<Waiting>,
}

impl Requests {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { seed: hmac::Key::new(hmac::HMAC_SHA256, seed), count: 0, waiting: Vec::new() }
    }

    /// A number that nobody else can guess: whoever answers with it has seen the request.
    pub(super) fn id(&mut self) -> [u8; 12] {
        self.count += 1;
        let mut id = [0; 12];
        id.copy_from_slice(&hmac::sign(&self.seed, &self.count.to_be_bytes()).as_ref()[..12]);
        id
    }

    /// Notes a request that is sent now. One more than there may be pushes out the oldest.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        id: [u8; 12],
        (way, to): (Way, SocketAddr),
        bytes: Vec<u8>,
        purpose: Purpose,
    ) {
        // The next request for consent is another one (RFC 7675 §5.1).
        let left = if purpose == Purpose::Consent { 0 } else { AGAIN };
        if self.waiting.len() >= MOST {
            self.waiting.remove(0);
        }
        self.waiting.push(Waiting { id, way, to, purpose, bytes, wait: FIRST, next: now + FIRST, left });
    }

    /// The request that this answers, if it comes from where that went. It waits no longer.
    pub(super) fn answered(&mut self, id: [u8; 12], way: Way, from: SocketAddr) -> Option<Waiting> {
        let place = self.waiting.iter().position(|one| one.id == id && one.way == way && one.to == from)?;
        Some(self.waiting.remove(place))
    }

    /// Whether one for this waits.
    pub(super) fn any(&self, is: impl Fn(&Waiting) -> bool) -> bool {
        self.waiting.iter().any(is)
    }

    /// Waits for these no longer.
    pub(super) fn forget(&mut self, is: impl Fn(&Waiting) -> bool) {
        self.waiting.retain(|one| !is(one));
    }

    /// What is to be sent again, and what was never answered.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Again>, Vec<Waiting>) {
        let (mut again, mut given_up) = (Vec::new(), Vec::new());
        self.waiting.retain_mut(|one| {
            if one.next > now {
                return true;
            }
            let goes_on = one.left > 0;
            if goes_on {
                one.left -= 1;
                one.wait *= 2;
                one.next = now + one.wait;
                again.push((one.way, one.to, one.bytes.clone()));
            } else {
                given_up.push(one.clone());
            }
            goes_on
        });
        (again, given_up)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.next).min()
    }
}

/// Until a request is sent again for the first time; each time twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// How often: given up after 16 seconds.
const AGAIN: u8 = 5;
/// Requests at a time.
const MOST: usize = 128;
