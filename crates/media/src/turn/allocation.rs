//! An allocation: an address that peers can send to, lent to a client (RFC 8656 §3.2), with its permissions (§9) and
//! channels (§12).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::bucket::{Bucket, Rate};
use super::refusal::Refusal;

/// What a client has been lent.
#[derive(Debug)]
pub(super) struct Allocation {
    /// Whose it is.
    pub(super) account: String,
    pub(super) relay: Relay,
    /// Of the request that made it, which may come again.
    pub(super) transaction: [u8; 12],
    pub(super) expires: Instant,
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, Channel>,
    /// The channels by their peers.
    numbers: BTreeMap<SocketAddr, u16>,
    to_peers: Bucket,
    to_client: Bucket,
}

/// A relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    /// What the socket is bound to.
    pub(super) bound: SocketAddr,
    /// What the client, and by it the peers, are told.
    pub(super) told: SocketAddr,
    /// By which the world knows us, where that is another address than the machine's own.
    pub(super) external: Option<IpAddr>,
}

/// A short number for a peer.
#[derive(Clone, Copy, Debug)]
struct Channel {
    peer: SocketAddr,
    expires: Instant,
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    Peers,
    Client,
}

impl Relay {
    /// Where a datagram for a peer is really sent. What is sent to our external address would have to come back from
    /// the NAT before us, which few do.
    pub(super) fn wire(self, peer: SocketAddr) -> SocketAddr {
        let ours = self.external == Some(peer.ip()) && self.bound.is_ipv4() == peer.is_ipv4();
        SocketAddr::new(if ours { self.bound.ip() } else { peer.ip() }, peer.port())
    }
}

impl Allocation {
    pub(super) fn new(now: Instant, account: String, relay: Relay, transaction: [u8; 12]) -> Allocation {
        Allocation {
            account,
            relay,
            transaction,
            expires: now,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            numbers: BTreeMap::new(),
            to_peers: Bucket::full(now),
            to_client: Bucket::full(now),
        }
    }

    /// Lets a peer send for the next five minutes.
    pub(super) fn permit(&mut self, now: Instant, ip: IpAddr) -> Result<(), Refusal> {
        if self.permissions.len() >= MOST_PEERS && !self.permissions.contains_key(&ip) {
            self.permissions.retain(|_, expires| *expires > now);
            if self.permissions.len() >= MOST_PEERS {
                return Err(Refusal::InsufficientCapacity("Insufficient Capacity: too many permissions"));
            }
        }
        self.permissions.insert(ip, now + PERMISSION);
        Ok(())
    }

    /// Whether a peer may send, and be sent to.
    pub(super) fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.get(&ip).is_some_and(|expires| *expires > now)
    }

    /// The peer as the client knows it, if it may send.
    pub(super) fn permitted(&self, now: Instant, from: SocketAddr) -> Option<SocketAddr> {
        let known = self.relay.external.filter(|_| from.ip() == self.relay.bound.ip());
        let ips = [Some(from.ip()), known];
        let ip = ips.into_iter().flatten().find(|ip| self.permits(now, *ip))?;
        Some(SocketAddr::new(ip, from.port()))
    }

    /// Binds a channel for the next ten minutes, which is also a permission (§12.2).
    pub(super) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), Refusal> {
        if self.channel(now, number).is_some_and(|bound| bound != peer) {
            return Err(Refusal::BadRequest("Bad Request: the channel is bound to another peer"));
        }
        if self.number_of(now, peer).is_some_and(|bound| bound != number) {
            return Err(Refusal::BadRequest("Bad Request: the peer is bound to another channel"));
        }
        self.forget_channels(now);
        if self.channels.len() >= MOST_PEERS && !self.channels.contains_key(&number) {
            return Err(Refusal::InsufficientCapacity("Insufficient Capacity: too many channels"));
        }
        self.permit(now, peer.ip())?;
        self.channels.insert(number, Channel { peer, expires: now + CHANNEL });
        self.numbers.insert(peer, number);
        Ok(())
    }

    /// The peer of a channel.
    pub(super) fn channel(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        self.channels.get(&number).filter(|channel| channel.expires > now).map(|channel| channel.peer)
    }

    /// The channel of a peer.
    pub(super) fn number_of(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        self.numbers.get(&peer).copied().filter(|number| self.channel(now, *number) == Some(peer))
    }

    /// Whether so many bytes more may pass.
    pub(super) fn carries(&mut self, now: Instant, towards: Towards, bytes: usize, per_second: u64) -> bool {
        let rate = Rate { per_second, burst: Duration::from_secs(1) };
        let bucket = match towards {
            Towards::Peers => &mut self.to_peers,
            Towards::Client => &mut self.to_client,
        };
        bucket.take(now, bytes as u64, rate)
    }

    fn forget_channels(&mut self, now: Instant) {
        self.channels.retain(|_, channel| channel.expires > now);
        let channels = &self.channels;
        self.numbers.retain(|_, number| channels.contains_key(number));
    }
}

/// How long a permission lasts (§9).
pub(super) const PERMISSION: Duration = Duration::from_secs(300);
/// How long a channel is bound (§12).
pub(super) const CHANNEL: Duration = Duration::from_secs(600);
/// Permissions, and channels, of one allocation.
pub(super) const MOST_PEERS: usize = 128;
