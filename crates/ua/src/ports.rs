//! `Ports`: which call has which of the driver's media ports.

use crate::CallId;

/// The media ports, by their place in the configuration.
#[derive(Debug)]
pub(crate) struct Ports {
    lent: Vec<Option<CallId>>,
    next: usize,
}

impl Ports {
    pub(crate) fn new(count: usize) -> Self {
        Self { lent: vec![None; count], next: 0 }
    }

    /// Lends a free port, the one that has been free for longest, so that late packets of an old call find nobody.
    pub(crate) fn lend(&mut self, call: CallId) -> Option<usize> {
        let count = self.lent.len();
        let port =
            (0..count).map(|step| (self.next + step) % count).find(|port| self.lent[*port].is_none())?;
        self.next = port + 1;
        self.lent[port] = Some(call);
        Some(port)
    }

    /// The call that has this port.
    pub(crate) fn call(&self, port: usize) -> Option<CallId> {
        self.lent.get(port).copied().flatten()
    }

    /// Takes back what a call has.
    pub(crate) fn take_back(&mut self, call: CallId) {
        for lent in &mut self.lent {
            lent.take_if(|owner| *owner == call);
        }
    }

    /// Whether a call can have one.
    pub(crate) fn has_free(&self) -> bool {
        self.lent.iter().any(Option::is_none)
    }

    /// Whether every port is free.
    pub(crate) fn all_free(&self) -> bool {
        self.lent.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_lent_to_one_call_and_comes_home() {
        let mut ports = Ports::new(2);
        assert_eq!(ports.lend(CallId(1)), Some(0));
        assert_eq!(ports.lend(CallId(2)), Some(1));
        assert_eq!(ports.lend(CallId(3)), None);
        ports.take_back(CallId(1));
        assert_eq!((ports.call(0), ports.call(1)), (None, Some(CallId(2))));
        assert_eq!(ports.lend(CallId(3)), Some(0));
        assert_eq!(Ports::new(0).lend(CallId(1)), None);
    }
}
