//! The ports of relayed addresses.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::credentials::Secret;

/// Which ports are free. Chosen so that nobody can foretell them (RFC 8656 §7.2).
#[derive(Debug)]
pub(super) struct PortPool {
    range: RangeInclusive<u16>,
    taken: BTreeSet<u16>,
    secret: Secret,
    drawn: u64,
}

impl PortPool {
    pub(super) fn new(range: RangeInclusive<u16>, secret: Secret) -> PortPool {
        PortPool { range, taken: BTreeSet::new(), secret, drawn: 0 }
    }

    /// Takes a free port: any; or an even one; or an even one whose neighbour above is free too, and that as well.
    pub(super) fn take(&mut self, even: bool, with_next: bool) -> Option<u16> {
        let (first, last) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let count = (last + 1).checked_sub(first).filter(|count| *count > 0)?;
        let start = u32::from_be_bytes(self.draw());
        let fits = |port: &u16| {
            let next_fits = || port.checked_add(1).is_some_and(|next| self.is_free(next));
            self.is_free(*port) && (!even || port.is_multiple_of(2)) && (!with_next || next_fits())
        };
        let ports = (0..count).map(|n| (first + (start % count + n) % count) as u16);
        let port = ports.filter(|port| *port > 0).find(fits)?;
        self.taken.insert(port);
        if with_next {
            self.taken.insert(port + 1);
        }
        Some(port)
    }

    /// Gives a port back.
    pub(super) fn free(&mut self, port: u16) {
        self.taken.remove(&port);
    }

    /// Eight bytes that nobody can foretell.
    pub(super) fn token(&mut self) -> [u8; 8] {
        self.draw()
    }

    /// A transaction of our own.
    pub(super) fn transaction(&mut self) -> [u8; 12] {
        self.draw()
    }

    fn is_free(&self, port: u16) -> bool {
        self.range.contains(&port) && !self.taken.contains(&port)
    }

    fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.drawn += 1;
        let hash = self.secret.hash(&[&self.drawn.to_be_bytes()]);
        let mut first = [0; N];
        first.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        first
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.len()
    }
}
