//! A NAT: several phones behind one address (RFC 4787).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Address- and port-dependent filtering, one outside port for each inside address and, if `symmetric`, for each
/// destination too (the worst kind).
#[derive(Debug)]
pub struct Nat {
    /// The address that the outside sees.
    pub outside: IpAddr,
    /// Whether each destination sees another port.
    pub symmetric: bool,
    next: u16,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    owners: BTreeMap<u16, SocketAddr>,
    permitted: BTreeSet<(u16, SocketAddr)>,
}

impl Nat {
    /// A NAT with nothing mapped.
    pub fn new(outside: IpAddr, symmetric: bool) -> Self {
        Self {
            outside,
            symmetric,
            next: 30_000,
            mappings: BTreeMap::new(),
            owners: BTreeMap::new(),
            permitted: BTreeSet::new(),
        }
    }

    /// The source that the outside sees of a datagram on its way out.
    pub(crate) fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = (from, self.symmetric.then_some(to));
        let port = *self.mappings.entry(key).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.owners.insert(port, from);
        self.permitted.insert((port, to));
        SocketAddr::new(self.outside, port)
    }

    /// Who inside gets a datagram that comes to an outside port; nobody, unless it wrote to that sender before.
    pub(crate) fn back_in(&self, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        self.permitted.contains(&(port, from)).then(|| self.owners.get(&port).copied()).flatten()
    }
}
