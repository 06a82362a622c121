//! `Network`: watches by which address of ours the next hop is reached, which changes when a cable is pulled, another network
//! is joined, or an address runs out.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_net::source_towards;

/// Where we are in the network.
#[derive(Debug)]
pub(crate) struct Network {
    next_hop: SocketAddr,
    ours: IpAddr,
    next_look: Instant,
}

impl Network {
    /// We reach `next_hop` from `ours`.
    pub(crate) fn new(next_hop: SocketAddr, ours: IpAddr, now: Instant) -> Self {
        Self { next_hop, ours, next_look: now + LOOK }
    }

    /// When to look again.
    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Something did not work: looks at once, though not without end.
    pub(crate) fn doubt(&mut self, now: Instant) {
        self.next_look = self.next_look.min(now + SOON);
    }

    /// The address that we have now, if it is another and it is time to look. While there is none, the former is all there is.
    pub(crate) fn look(&mut self, now: Instant) -> Option<IpAddr> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        // Nothing is sent: the routing table is asked.
        source_towards(self.next_hop).ok().filter(|found| *found != self.ours)
    }

    /// We have moved there; returns where we were.
    pub(crate) fn moved(&mut self, ours: IpAddr) -> IpAddr {
        std::mem::replace(&mut self.ours, ours)
    }
}

/// Rarely enough to cost nothing, often enough for a call to be heard again in time.
const LOOK: Duration = Duration::from_secs(1);
/// After something that did not work.
const SOON: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_when_it_is_time_and_tells_only_of_another_address() {
        let now = crate::clock::now();
        let hop = "127.0.0.1:5060".parse().unwrap();
        let mut network = Network::new(hop, "192.0.2.1".parse().unwrap(), now);
        assert_eq!(network.look(now), None, "not yet");
        let found = network.look(now + LOOK);
        assert_eq!(found, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(network.moved("127.0.0.1".parse().unwrap()).to_string(), "192.0.2.1");
        assert_eq!(network.look(now + 2 * LOOK), None, "it is the same");
        network.doubt(now + 2 * LOOK);
        assert_eq!(network.next_look(), now + 2 * LOOK + SOON);
    }
}
