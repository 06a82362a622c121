//! What an agent asks of STUN and TURN servers: addresses (RFC 8445 §5.1.1), and channels to peers.

use std::net::SocketAddr;
use std::time::Instant;

use super::agent::{Agent, Packet};
use super::check::State;
use super::message::{Class, Method};
use super::relay::Relay;
use super::requests::{Purpose, Waiting, Way};
use super::writer::Writer;

impl Agent {
    /// Asks those that were not asked yet.
    pub(super) fn ask_servers(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let asks = |purpose| move |one: &Waiting| one.purpose == purpose;
        if self.relay.as_ref().is_some_and(Relay::is_asking) && !self.requests.any(asks(Purpose::Allocate)) {
            self.ask(now, Purpose::Allocate, out);
        }
        if let Some(server) = self.stun.filter(|_| self.mapped.is_none())
            && !self.requests.any(asks(Purpose::Mirror))
        {
            let id = self.requests.id();
            let bytes = Writer::new(Class::Request, Method::Binding, id).marked().finish();
            out.push((server, bytes.clone()));
            self.requests.sent(now, id, (Way::Direct, server), bytes, Purpose::Mirror);
        }
    }

    /// Gathering ends when nobody is left who could answer, or with its time.
    pub(super) fn settle_gathering(&mut self, now: Instant) {
        let Some(until) = self.gathering_until else { return };
        let asking = self.relay.as_ref().is_some_and(Relay::is_asking)
            || self.stun.is_some() && self.mapped.is_none() && self.relay.is_none();
        if !asking || now >= until {
            self.gathering_until = None;
        }
    }

    /// A request to the TURN server.
    pub(super) fn ask(&mut self, now: Instant, purpose: Purpose, out: &mut Vec<Packet>) {
        let id = self.requests.id();
        let Some(relay) = &self.relay else { return };
        let (server, bytes) = (relay.server, relay.request(id, purpose, ALLOCATION));
        out.push((server, bytes.clone()));
        self.requests.sent(now, id, (Way::Direct, server), bytes, purpose);
    }

    pub(super) fn given_up(&mut self, now: Instant, request: &Waiting) {
        match request.purpose {
            Purpose::Check { .. } => {
                if let Some(pair) = self.pair(request.way, request.to)
                    && pair.state == State::InProgress
                {
                    pair.state = State::Failed;
                    // It may have been the last hope.
                    self.next_check = Some(now);
                }
            }
            Purpose::Mirror => self.stun = None,
            Purpose::Allocate | Purpose::Refresh | Purpose::Bind(_) => {
                if let Some(relay) = &mut self.relay {
                    relay.given_up(request.purpose);
                }
            }
            Purpose::Consent => {}
        }
    }

    /// Asks for channels that nobody has asked for yet.
    pub(super) fn open_channels(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let Some(relay) = &self.relay else { return };
        let asked = |peer: SocketAddr| self.requests.any(|one| one.purpose == Purpose::Bind(peer));
        let unasked: Vec<SocketAddr> = relay.unbound().filter(|peer| !asked(*peer)).collect();
        for peer in unasked {
            self.ask(now, Purpose::Bind(peer), out);
        }
    }
}

/// Seconds that an allocation is asked for.
const ALLOCATION: u32 = 600;
