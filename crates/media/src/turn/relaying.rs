//! Who may send to a client (RFC 8656 §9, §12), and what is passed on (§11, §12.6).

use std::net::SocketAddr;
use std::time::Instant;

use super::allocation::Towards;
use super::attribute as kind;
use super::channel;
use super::message::{Class, Message, Method};
use super::refusal::{Refusal, counted, dropped};
use super::server::{Asked, FiveTuple, Output, Server, UNDERSTOOD};
use super::writer::Writer;

impl Server {
    /// Takes a datagram that came to a relayed address.
    pub fn relayed(
        &mut self,
        now: Instant,
        port: u16,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) {
        let limit = self.config.limits.bytes_per_second;
        let found = self.owners.get(&port).and_then(|to| Some((*to, self.allocations.get_mut(to)?)));
        let Some((to, allocation)) = found.filter(|(_, one)| one.expires > now) else {
            return self.drop_as(dropped::NO_ALLOCATION);
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(peer) = allocation.permitted(now, from) else { return self.drop_as(dropped::NO_PERMISSION) };
        if !allocation.carries(now, Towards::Client, payload.len(), limit) {
            return self.drop_as(dropped::BANDWIDTH);
        }
        let bytes = match allocation.number_of(now, peer) {
            Some(number) => channel::write(number, payload, to.transport.is_stream()),
            None => {
                // Nobody answers an indication, so nobody needs to know it by its transaction.
                let transaction = self.ports.transaction();
                Writer::new(Class::Indication, Method::Data, transaction)
                    .address(kind::XOR_PEER_ADDRESS, peer)
                    .attribute(kind::DATA, payload)
                    .finish()
            }
        };
        self.counts.relayed_bytes += payload.len() as u64;
        out.push(Output::ToClient { to, bytes });
    }

    pub(super) fn create_permission(&mut self, now: Instant, asked: &Asked<'_>) -> Result<Writer, Refusal> {
        let is_v4 = self.allocation_of(asked)?.relay.bound.is_ipv4();
        let peers = asked.message.addresses(kind::XOR_PEER_ADDRESS).take(MOST_ASKED + 1);
        let peers = peers.collect::<Result<Vec<_>, _>>().map_err(|_| bad_peer())?;
        if peers.is_empty() || peers.len() > MOST_ASKED {
            return Err(Refusal::BadRequest("Bad Request: expected 1 to 32 of XOR-PEER-ADDRESS"));
        }
        if peers.iter().any(|peer| peer.is_ipv4() != is_v4) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        // All or none (§10.2).
        for peer in &peers {
            self.config.peers.check_ip(peer.ip()).map_err(Refusal::Forbidden)?;
        }
        let allocation = self.allocation_of(asked)?;
        peers.iter().try_for_each(|peer| allocation.permit(now, peer.ip()))?;
        Ok(Writer::new(Class::Success, Method::CreatePermission, asked.message.transaction()))
    }

    pub(super) fn channel_bind(&mut self, now: Instant, asked: &Asked<'_>) -> Result<Writer, Refusal> {
        let is_v4 = self.allocation_of(asked)?.relay.bound.is_ipv4();
        let number = asked.message.number(kind::CHANNEL_NUMBER).ok().flatten();
        let number = number.map(|number| (number >> 16) as u16).filter(|number| channel::is_number(*number));
        let number =
            number.ok_or(Refusal::BadRequest("Bad Request: expected a channel from 0x4000 to 0x7FFF"))?;
        let peer = asked.message.address(kind::XOR_PEER_ADDRESS).ok().flatten().ok_or(bad_peer())?;
        if peer.is_ipv4() != is_v4 {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        self.config.peers.check(peer).map_err(Refusal::Forbidden)?;
        self.allocation_of(asked)?.bind(now, number, peer)?;
        Ok(Writer::new(Class::Success, Method::ChannelBind, asked.message.transaction()))
    }

    /// Data for a peer, with its address.
    pub(super) fn send(
        &mut self,
        now: Instant,
        from: &FiveTuple,
        message: &Message<'_>,
        out: &mut Vec<Output>,
    ) {
        let peer = message.address(kind::XOR_PEER_ADDRESS).ok().flatten();
        let (Some(peer), Some(payload)) = (peer, message.get(kind::DATA)) else {
            return self.drop_as(dropped::MALFORMED);
        };
        if !message.unknown(&UNDERSTOOD).is_empty() {
            return self.drop_as(dropped::MALFORMED);
        }
        let permitted = self.allocations.get(from).map(|one| one.permits(now, peer.ip()));
        match permitted {
            Some(true) => self.pass_on(now, from, peer, payload, out),
            Some(false) => self.drop_as(dropped::NO_PERMISSION),
            None => self.drop_as(dropped::NO_ALLOCATION),
        }
    }

    /// Data for the peer of a channel.
    pub(super) fn channel_data(
        &mut self,
        now: Instant,
        from: &FiveTuple,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Some((number, payload)) = channel::parse(bytes) else { return self.drop_as(dropped::MALFORMED) };
        match self.allocations.get(from).map(|one| one.channel(now, number)) {
            Some(Some(peer)) => self.pass_on(now, from, peer, payload, out),
            Some(None) => self.drop_as(dropped::NO_PERMISSION),
            None => self.drop_as(dropped::NO_ALLOCATION),
        }
    }

    fn pass_on(
        &mut self,
        now: Instant,
        from: &FiveTuple,
        peer: SocketAddr,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) {
        // Once more: a permission knows no ports.
        if let Err(why) = self.config.peers.check(peer) {
            return self.drop_as(counted(why));
        }
        let limit = self.config.limits.bytes_per_second;
        let Some(allocation) = self.allocations.get_mut(from) else { return };
        if !allocation.carries(now, Towards::Peers, payload.len(), limit) {
            return self.drop_as(dropped::BANDWIDTH);
        }
        let relay = allocation.relay;
        self.counts.relayed_bytes += payload.len() as u64;
        let (port, to) = (relay.bound.port(), relay.wire(peer));
        out.push(Output::ToPeer { port, to, payload: payload.to_vec() });
    }
}

const fn bad_peer() -> Refusal {
    Refusal::BadRequest("Bad Request: expected XOR-PEER-ADDRESS with an address and a port")
}

/// Peers in one CreatePermission.
const MOST_ASKED: usize = 32;
