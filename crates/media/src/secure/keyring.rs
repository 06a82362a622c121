//! The keys of one side, both directions, and the change from one key to the next.

use offhook_rtp::srtp::{Inbound, MasterKey, Outbound, SrtpError, Suite};
use std::time::{Duration, Instant};

/// Keys of SRTP for both directions, as signalling or a handshake brings them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Of both directions.
    pub(crate) suite: Suite,
    /// What we protect with.
    pub(crate) ours: MasterKey,
    /// What the other side protects with.
    pub(crate) theirs: MasterKey,
}

/// The cryptographic keyring towards one phone (RFC 3711 §3.2).
#[derive(Debug)]
pub(crate) struct Keyring {
    suite: Suite,
    ours: MasterKey,
    theirs: MasterKey,
    outbound: Outbound,
    inbound: Inbound,
    former: Option<Former>,
}

/// What the phone used before: it goes on with it until it has our answer.
#[derive(Debug)]
struct Former {
    inbound: Inbound,
    until: Instant,
}

/// Which of the two protocols a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rtp,
    Rtcp,
}

impl Keyring {
    /// `None`: the keys do not fit the suite.
    pub(crate) fn new(suite: Suite, ours: &MasterKey, theirs: &MasterKey) -> Option<Keyring> {
        Some(Keyring {
            suite,
            ours: ours.clone(),
            theirs: theirs.clone(),
            outbound: Outbound::new(suite, ours)?,
            inbound: Inbound::new(suite, theirs)?,
            former: None,
        })
    }

    /// What it protects with.
    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }

    /// Changes to other keys. A direction whose key stays goes on with its counters: they never begin anew under one
    /// key. `None`: the keys do not fit, and nothing has changed.
    pub(crate) fn change(
        &mut self,
        now: Instant,
        suite: Suite,
        ours: &MasterKey,
        theirs: &MasterKey,
    ) -> Option<()> {
        let outbound =
            if (suite, ours) == (self.suite, &self.ours) { None } else { Some(Outbound::new(suite, ours)?) };
        if (suite, theirs) != (self.suite, &self.theirs) {
            let inbound = std::mem::replace(&mut self.inbound, Inbound::new(suite, theirs)?);
            self.former = Some(Former { inbound, until: now + CHANGING });
        }
        if let Some(outbound) = outbound {
            self.outbound = outbound;
        }
        (self.suite, self.ours, self.theirs) = (suite, ours.clone(), theirs.clone());
        Some(())
    }

    /// Opens a packet into the front of `into`, and says how long it is there.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        protocol: Protocol,
        packet: &[u8],
        into: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let first = open(&mut self.inbound, protocol, packet, into);
        let Some(former) = &mut self.former else { return first };
        if first.is_ok() {
            former.until = former.until.min(now + LATE);
        }
        if now >= former.until {
            self.former = None;
            return first;
        }
        first.or_else(|error| open(&mut former.inbound, protocol, packet, into).map_err(|_| error))
    }

    /// Protects the packet in the first `length` bytes, and says how long it has become.
    pub(crate) fn protect(
        &mut self,
        protocol: Protocol,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        match protocol {
            Protocol::Rtp => self.outbound.protect_rtp(buffer, length),
            Protocol::Rtcp => self.outbound.protect_rtcp(buffer, length),
        }
    }
}

/// A packet that fails to open may be destroyed, so each trial has a copy of its own.
fn open(
    inbound: &mut Inbound,
    protocol: Protocol,
    packet: &[u8],
    into: &mut [u8],
) -> Result<usize, SrtpError> {
    let copy = into.get_mut(..packet.len()).ok_or(SrtpError::NoRoom)?;
    copy.copy_from_slice(packet);
    match protocol {
        Protocol::Rtp => inbound.open_rtp(copy),
        Protocol::Rtcp => inbound.open_rtcp(copy),
    }
}

/// An offer with a new key may wait so long for its answer, during which the old one is used.
const CHANGING: Duration = Duration::from_secs(32);
/// Packets under the old key may come so long after the first under the new one.
const LATE: Duration = Duration::from_secs(1);
