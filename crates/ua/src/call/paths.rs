//! `Paths`: by which addresses the sound of a call gets from end to end. With ICE (RFC 8445, RFC 8839) that is tried out and
//! proven, where the other side does ICE too and takes RTP and RTCP on one port.

use std::net::SocketAddr;
use std::time::Instant;

use offhook_media::ice::{Agent, Candidate};
use offhook_media::session::{Component, IceCredentials, InsecureReason, Outbox, Settings, Transmit};
use offhook_sdp::Media;
use offhook_sdp::offer_answer::Attributes;
use offhook_sip_stack::Rng;
use rand::RngExt as _;

use crate::Config;

/// The ways of one call's sound.
#[derive(Debug)]
pub(crate) struct Paths {
    host: SocketAddr,
    /// None: the port's own address has to do.
    agent: Option<Agent>,
}

impl Paths {
    pub(crate) fn new(config: &Config, host: SocketAddr, now: Instant, rng: &mut Rng) -> Self {
        let agent = config.ice.clone().map(|servers| {
            let ours = credentials(rng);
            Agent::new(now, servers, host, &rng.random(), ours)
        });
        Self { host, agent }
    }

    /// Whether our addresses are known.
    pub(crate) fn is_gathered(&self) -> bool {
        self.agent.as_ref().is_none_or(Agent::is_gathered)
    }

    /// The address in the description.
    pub(crate) fn address(&self) -> SocketAddr {
        self.agent.as_ref().map_or(self.host, Agent::default_address)
    }

    /// Whether our offers ask for one port for RTP and RTCP.
    pub(crate) fn wants_one_port(&self) -> bool {
        self.agent.is_some()
    }

    /// Whether an offer is answered with ICE.
    pub(crate) fn takes(&self, offered: &Media<'_>) -> bool {
        self.agent.is_some() && remote(offered).is_some()
    }

    /// The other side has offered this. If it begins anew, so do we (RFC 8839 §4.4.1.1.1).
    pub(crate) fn offered(&mut self, offered: &Media<'_>, rng: &mut Rng) {
        if let Some(agent) = self.agent.as_mut().filter(|agent| agent.is_agreed())
            && remote(offered).is_some_and(|theirs| !agent.is_with(&theirs))
        {
            agent.restart(credentials(rng));
        }
    }

    /// What our description says of ICE.
    pub(crate) fn attributes(&self) -> Attributes {
        let Some(agent) = &self.agent else { return Vec::new() };
        let ours = agent.credentials();
        let named = [("ice-ufrag", ours.ufrag.clone()), ("ice-pwd", ours.pwd.clone())];
        let candidates = agent.candidates().into_iter().map(|one| ("candidate", one.to_string()));
        named.into_iter().chain(candidates).collect()
    }

    /// Both descriptions are there. `theirs`: the other side's; `offered`: ours was the offer.
    pub(crate) fn agree(&mut self, now: Instant, theirs: Option<&Media<'_>>, offered: bool) {
        let Some(agent) = &mut self.agent else { return };
        match theirs.and_then(|media| Some((media, remote(media)?))) {
            Some((media, credentials)) => {
                let lines = media.attributes().filter(|(name, _)| name.eq_ignore_ascii_case("candidate"));
                let candidates: Vec<Candidate> = lines.filter_map(|(_, value)| value?.parse().ok()).collect();
                // Who only answers leaves the choice to us.
                agent.signalled(now, &credentials, &candidates, offered || media.ice_lite());
            }
            None => agent.without_ice(now, theirs.and_then(Media::rtp_address)),
        }
    }

    /// Puts what is proven into the settings of the media session.
    pub(crate) fn settle(&self, settings: Settings) -> Settings {
        match self.agent.as_ref().filter(|agent| agent.is_agreed()) {
            Some(agent) => Settings {
                remote_rtp: agent.selected(),
                remote_rtcp: None,
                proven: true,
                rtcp_mux: true,
                ..settings
            },
            None => settings,
        }
    }

    /// Where the sound goes, if ICE decides that: nowhere before it has found a way.
    pub(crate) fn chosen(&self) -> Option<Option<SocketAddr>> {
        self.agent.as_ref().filter(|agent| agent.is_agreed()).map(Agent::selected)
    }

    /// Takes a datagram of the RTP port; what is media comes back, with its sender.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let Some(agent) = &mut self.agent else { return Some((from, bytes.to_vec())) };
        let mut packets = Vec::new();
        let datagram = agent.receive(now, from, bytes, &mut packets);
        send(packets, out);
        datagram.map(|datagram| (datagram.from, datagram.bytes))
    }

    /// Sends what the media session has made.
    pub(crate) fn carry(&mut self, made: Outbox, out: &mut Outbox) {
        out.events.extend(made.events);
        let Some(agent) = &mut self.agent else { return out.packets.extend(made.packets) };
        for packet in made.packets {
            match packet.from {
                Component::Rtp => send(agent.carry(packet.to, &packet.bytes), out),
                Component::Rtcp => out.packets.push(packet),
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.agent.as_ref().and_then(Agent::next_deadline)
    }

    pub(crate) fn deadline(&mut self, now: Instant, out: &mut Outbox) {
        let Some(agent) =
            self.agent.as_mut().filter(|agent| agent.next_deadline().is_some_and(|at| at <= now))
        else {
            return;
        };
        let mut packets = Vec::new();
        agent.deadline(now, &mut packets);
        send(packets, out);
    }

    /// Why no sound can come and go any more, if that is so.
    pub(crate) fn failure(&self) -> Option<InsecureReason> {
        self.agent.as_ref().filter(|agent| agent.is_lost()).map(|_| InsecureReason::NoPath)
    }

    /// Gives back what was lent.
    pub(crate) fn end(&mut self, out: &mut Outbox) {
        let mut packets = Vec::new();
        if let Some(agent) = &mut self.agent {
            agent.end(&mut packets);
        }
        send(packets, out);
    }
}

fn send(packets: impl IntoIterator<Item = (SocketAddr, Vec<u8>)>, out: &mut Outbox) {
    let sent = packets.into_iter().map(|(to, bytes)| Transmit { from: Component::Rtp, to, bytes });
    out.packets.extend(sent);
}

/// The other side's name and password, if it does ICE on one port.
fn remote(media: &Media<'_>) -> Option<IceCredentials> {
    let (ufrag, pwd) = media.ice().filter(|_| media.rtcp_mux())?;
    let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len());
    fits.then(|| IceCredentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
}

/// A new name and password: 32 and 128 random bits (RFC 8445 §5.3).
fn credentials(rng: &mut Rng) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{:08x}", rng.random::<u32>()),
        pwd: format!("{:032x}", rng.random::<u128>()),
    }
}
