//! One side of a stream: the phone's address as said, as learnt and as proven, and what it sent.

use super::tally::Tally;
use super::{Component, Path, Seen};
use crate::command::{Counters, PortPair, Remote, Side};
use crate::latch::{Allowed, Latch, Mark, Verdict};
use crate::secure::{Said, Secure};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) facing: Facing,
    pub(super) rtp: Latch,
    pub(super) rtcp: Latch,
    pub(super) counters: Counters,
    pub(super) tally: Tally,
    /// Apart, and made only for a side that needs it: most streams are plain.
    pub(super) secure: Option<Box<Secure>>,
}

/// A [`Side`] without what protects it.
#[derive(Debug)]
pub(crate) struct Facing {
    pub(crate) ports: PortPair,
    pub(crate) local_ip: Option<IpAddr>,
    pub(super) rtp: Option<SocketAddr>,
    pub(super) rtcp: Option<SocketAddr>,
    pub(super) signalled_from: Option<IpAddr>,
    pub(super) rtcp_mux: bool,
    pub(super) hold: bool,
    behind_nat: bool,
}

impl Flow {
    /// A flow of a plain side; its protection follows with the first [`Secure::signalled`].
    pub(super) fn new(latch: &Latch, ports: PortPair, local_ip: Option<IpAddr>) -> Flow {
        let facing = Facing {
            ports,
            local_ip,
            rtp: None,
            rtcp: None,
            signalled_from: None,
            rtcp_mux: false,
            hold: false,
            behind_nat: false,
        };
        let (rtp, rtcp) = (latch.clone(), latch.clone());
        Flow { facing, rtp, rtcp, counters: Counters::default(), tally: Tally::default(), secure: None }
    }

    /// Takes what signalling says of addresses, and returns what it says of protection.
    pub(super) fn face(&mut self, now: Instant, learns_until: Instant, remote: Remote) -> Said {
        let before = &self.facing;
        let moved = before.rtp != remote.rtp || before.signalled_from != remote.signalled_from;
        let moved_rtcp = moved || before.rtcp != remote.rtcp;
        self.rtp.signalled(now, learns_until, moved);
        self.rtcp.signalled(now, learns_until, moved_rtcp);
        self.accept(remote)
    }

    /// The same without a thought for what was before.
    pub(super) fn accept(&mut self, remote: Remote) -> Said {
        let Facing { ports, local_ip, .. } = self.facing;
        self.facing = Facing {
            ports,
            local_ip,
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            signalled_from: remote.signalled_from,
            rtcp_mux: remote.rtcp_mux,
            hold: remote.hold,
            behind_nat: remote.behind_nat,
        };
        let mut candidates = remote.candidates;
        candidates.truncate(crate::command::CANDIDATES);
        Said { protection: remote.protection, theirs: remote.ice, candidates }
    }

    /// As it was opened, with all that signalling has said since.
    pub(super) fn side(&self) -> Side {
        let facing = &self.facing;
        let said = self.secure.as_ref().map(|secure| secure.said().clone()).unwrap_or_default();
        let remote = Remote {
            rtp: facing.rtp,
            rtcp: facing.rtcp,
            signalled_from: facing.signalled_from,
            rtcp_mux: facing.rtcp_mux,
            hold: facing.hold,
            behind_nat: facing.behind_nat,
            protection: said.protection,
            ice: said.theirs,
            candidates: said.candidates,
        };
        let ice = self.secure.as_ref().and_then(|secure| secure.ice.as_ref());
        Side {
            ports: facing.ports,
            local_ip: facing.local_ip,
            remote,
            ice: ice.map(|ice| ice.ours().clone()),
        }
    }

    /// Judges the source of a plain packet (RFC 4961).
    pub(super) fn judge(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        seen: Seen,
    ) -> Option<Verdict> {
        match (seen, component) {
            (Seen::Neither, _) | (Seen::Media(_), Component::Rtcp) => None,
            _ if self.latch(component).knows(now, from) => Some(Verdict::Accept),
            (Seen::Media(mark), Component::Rtp) => {
                let allowed = self.expected_rtp();
                Some(self.rtp.judge(now, from, Some(mark), allowed))
            }
            (Seen::Control(_), Component::Rtp) => {
                let allowed = self.expected_rtp();
                Some(self.rtp.judge(now, from, None, allowed))
            }
            (Seen::Control(mark), Component::Rtcp) => {
                let needed = if self.rtp.ssrc() == Some(mark.ssrc) { 1 } else { mark.needed };
                let mark = Mark { needed, ..mark };
                let allowed = self.expected_rtcp();
                Some(self.rtcp.judge(now, from, Some(mark), allowed))
            }
        }
    }

    /// The latch of one of its ports.
    pub(super) fn latch(&mut self, component: Component) -> &mut Latch {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }

    pub(super) fn expected_rtp(&self) -> Allowed {
        Allowed { expected: self.sendable(self.facing.rtp), signalled_from: self.facing.signalled_from }
    }

    pub(super) fn expected_rtcp(&self) -> Allowed {
        Allowed { expected: self.said_rtcp(), signalled_from: self.facing.signalled_from }
    }

    fn said_rtcp(&self) -> Option<SocketAddr> {
        let facing = &self.facing;
        let next = || facing.rtp.and_then(|rtp| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)));
        self.sendable(facing.rtcp.or_else(next))
    }

    /// Whether a phone has said where it is, even if it must be learnt first.
    pub(super) fn has_phone(&self) -> bool {
        self.rtp.address().or_else(|| self.sendable(self.facing.rtp)).is_some()
    }

    /// Where the phone is: where it says by ICE, else as learnt, else as its SDP says.
    pub(super) fn media_target(&self, now: Instant) -> Option<SocketAddr> {
        if let Some(proven) = self.proven(now, Component::Rtp) {
            return proven;
        }
        let said = if self.facing.behind_nat { None } else { self.facing.rtp };
        self.rtp.address().or_else(|| self.sendable(said))
    }

    pub(super) fn path(&self, now: Instant, control: bool) -> Option<Path> {
        if control { self.control_path(now) } else { self.media_path(now) }
    }

    fn media_path(&self, now: Instant) -> Option<Path> {
        self.media_target(now).map(|to| Path { from_port: self.facing.ports.rtp, to })
    }

    fn control_path(&self, now: Instant) -> Option<Path> {
        if self.facing.rtcp_mux {
            return self.media_path(now);
        }
        let from_port = self.facing.ports.rtcp;
        if let Some(proven) = self.proven(now, Component::Rtcp) {
            return proven.map(|to| Path { from_port, to });
        }
        let said = if self.facing.behind_nat { None } else { self.said_rtcp() };
        self.rtcp.address().or(said).map(|to| Path { from_port, to })
    }

    /// With ICE no other address counts, and there may be none (yet).
    fn proven(&self, now: Instant, component: Component) -> Option<Option<SocketAddr>> {
        let ice = self.secure.as_ref()?.ice.as_ref()?;
        ice.is_agreed().then(|| ice.selected(now, component))
    }

    /// Refuses what cannot be a phone: no address (hold, RFC 2543 style), groups, and our own ports, to
    /// which a packet would come back for ever.
    fn sendable(&self, address: Option<SocketAddr>) -> Option<SocketAddr> {
        address.filter(|address| {
            let ip = address.ip().to_canonical();
            let own = self.facing.local_ip.is_some_and(|own| own.to_canonical() == ip)
                && self.facing.ports.contains(address.port());
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !own && !is_broadcast(ip)
        })
    }

    /// Opens the time in which sources are learnt anew, for what has not been learnt.
    pub(super) fn learn_until(&mut self, now: Instant, until: Instant) {
        for latch in [&mut self.rtp, &mut self.rtcp] {
            if latch.address().is_none() {
                latch.signalled(now, until, false);
            }
        }
    }

    /// What was counted, with what the numbers of its packets say.
    pub(super) fn counted(&self) -> Counters {
        let mut counters = self.counters;
        self.tally.note(&mut counters);
        counters
    }

    /// Counts a packet from the accepted source.
    pub(super) fn count(&mut self, control: bool, length: usize) {
        if control {
            self.counters.rtcp += 1;
        } else {
            self.counters.received += 1;
            self.counters.bytes += length as u64;
        }
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}
