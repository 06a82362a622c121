//! How many may come in at a time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Everybody who is in.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    all: usize,
    from: HashMap<IpAddr, usize>,
}

/// A place inside; given back when it is dropped.
pub(crate) struct Place {
    crowd: Crowd,
    from: IpAddr,
}

impl Crowd {
    /// A place, if there is one for this address.
    pub(crate) fn enter(&self, ip: IpAddr) -> Option<Place> {
        let from = network(ip);
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.from.get(&from).copied().unwrap_or(0);
        // A proxy on this machine stands for everybody.
        if inside.all >= MOST || (count >= MOST_FROM_ONE && !from.is_loopback()) {
            return None;
        }
        inside.all += 1;
        inside.from.insert(from, count + 1);
        Some(Place { crowd: self.clone(), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Some(count) = inside.from.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                inside.from.remove(&self.from);
            }
        }
    }
}

/// What counts as one: an IPv4 address, or the /64 that one IPv6 user has to choose addresses from.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

const MOST: usize = 2_000;
const MOST_FROM_ONE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_places_are_given_back() {
        let crowd = Crowd::default();
        let ip = |text: &str| text.parse().unwrap();
        let mut places: Vec<_> =
            (0..MOST_FROM_ONE).map(|_| crowd.enter(ip("2001:db8::1")).unwrap()).collect();
        assert!(crowd.enter(ip("2001:db8::2")).is_none());
        assert!(crowd.enter(ip("2001:db8:0:1::1")).is_some());
        places.pop();
        assert!(crowd.enter(ip("2001:db8::2")).is_some());
        places.clear();
        assert!(crowd.0.lock().unwrap().from.is_empty());
        let all: Vec<_> = (0..MOST).map(|_| crowd.enter(ip("127.0.0.1")).unwrap()).collect();
        assert!(crowd.enter(ip("192.0.2.1")).is_none());
        drop(all);
        assert!(crowd.enter(ip("192.0.2.1")).is_some());
    }
}
