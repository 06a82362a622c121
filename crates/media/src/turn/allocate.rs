//! Allocate (RFC 8656 §7) and Refresh (§8): how an allocation begins, lives on and ends.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Relay};
use super::attribute as kind;
use super::message::{Class, FAMILY_V4, FAMILY_V6, Message, Method};
use super::refusal::Refusal;
use super::server::{Asked, FiveTuple, Output, Server, Signature};
use super::writer::Writer;

/// An allocation whose socket is being opened.
#[derive(Debug)]
pub(super) struct Opening {
    /// `None`: gone meanwhile. The port stays taken until the driver says what became of it.
    from: Option<FiveTuple>,
    transaction: [u8; 12],
    account: String,
    signature: Signature,
    lifetime: u32,
    relay: Relay,
    place: Place,
    /// How many more ports may be tried.
    tries: u8,
}

/// A port that waits for its second allocation (§7.2, `EVEN-PORT`).
#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) port: u16,
    pub(super) expires: Instant,
    account: String,
}

/// Which port it shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Any,
    Even,
    /// An even one, and the next is to be reserved.
    EvenWithNext,
    /// The one that was reserved.
    Reserved([u8; 8]),
}

impl Opening {
    #[cfg(test)]
    pub(super) fn takes_two(&self) -> bool {
        self.place == Place::EvenWithNext
    }

    pub(super) fn asked_by(&self, tuple: &FiveTuple) -> bool {
        self.from == Some(*tuple)
    }
}

impl Server {
    /// Makes an allocation. `None`: a socket is being opened for it, or it is being made already.
    pub(super) fn allocate(
        &mut self,
        now: Instant,
        asked: &Asked<'_>,
        out: &mut Vec<Output>,
    ) -> Result<Option<Writer>, Refusal> {
        let (from, message) = (asked.from, &asked.message);
        if let Some(made) = self.allocations.get(&from) {
            // The answer was lost.
            if made.transaction == message.transaction() && made.account == asked.account {
                return Ok(Some(allocated(made, from, now, None)));
            }
            return Err(Refusal::AllocationMismatch("Allocation Mismatch: there is one already"));
        }
        if self.openings.values().any(|one| one.asked_by(&from)) {
            return Ok(None);
        }
        let place = wanted_place(message)?;
        let ip = self.relayed_ip(from, message)?;
        self.check_quotas(&asked.account)?;
        let port = self.take_port(now, place, &asked.account)?;
        let opening = Opening {
            from: Some(from),
            transaction: message.transaction(),
            account: asked.account.clone(),
            signature: asked.signature.clone(),
            lifetime: lifetime(message)?,
            relay: self.relay(from, ip, port),
            place,
            tries: TRIES,
        };
        out.push(Output::Open { address: opening.relay.bound });
        self.openings.insert(port, opening);
        Ok(None)
    }

    /// The socket of [`Output::Open`] is open, or cannot be.
    pub fn opened(&mut self, now: Instant, port: u16, is_open: bool, out: &mut Vec<Output>) {
        let Some(opening) = self.openings.remove(&port) else { return };
        match opening.from {
            Some(from) if is_open => self.begin(now, from, opening, out),
            Some(from) => self.try_another(now, from, opening, out),
            None => {
                self.give_back(port, opening.place);
                if is_open {
                    out.push(Output::Close { port });
                }
            }
        }
    }

    /// Keeps an allocation, or ends it.
    pub(super) fn refresh(
        &mut self,
        now: Instant,
        asked: &Asked<'_>,
        out: &mut Vec<Output>,
    ) -> Result<Writer, Refusal> {
        let wanted = asked.message.number(kind::LIFETIME).map_err(|_| bad_lifetime())?;
        let family = requested_family(&asked.message)?;
        let allocation = self.allocation_of(asked)?;
        if family.is_some_and(|is_v4| is_v4 != allocation.relay.bound.is_ipv4()) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        let granted = if wanted == Some(0) { 0 } else { clamp(wanted) };
        allocation.expires = now + Duration::from_secs(u64::from(granted));
        if granted == 0 {
            self.remove(&asked.from, out);
        }
        let answer = Writer::new(Class::Success, Method::Refresh, asked.message.transaction());
        Ok(answer.number(kind::LIFETIME, granted))
    }

    /// The allocation that a request is about (§5): that of its way, and of the same account.
    pub(super) fn allocation_of(&mut self, asked: &Asked<'_>) -> Result<&mut Allocation, Refusal> {
        let none = Refusal::AllocationMismatch("Allocation Mismatch: there is none");
        let allocation = self.allocations.get_mut(&asked.from).ok_or(none)?;
        if allocation.account != asked.account {
            return Err(Refusal::WrongCredentials);
        }
        Ok(allocation)
    }

    /// Nobody waits for the allocation that was to begin for this client.
    pub(super) fn abandon(&mut self, from: &FiveTuple) {
        if let Some(opening) = self.openings.values_mut().find(|one| one.asked_by(from)) {
            opening.from = None;
        }
    }

    fn give_back(&mut self, port: u16, place: Place) {
        self.ports.free(port);
        if place == Place::EvenWithNext {
            self.ports.free(port + 1);
        }
    }

    fn begin(&mut self, now: Instant, from: FiveTuple, opening: Opening, out: &mut Vec<Output>) {
        let Opening { transaction, account, signature, lifetime, relay, place, .. } = opening;
        let port = relay.bound.port();
        let token = (place == Place::EvenWithNext).then(|| self.reserve(now, port + 1, account.clone()));
        let mut allocation = Allocation::new(now, account, relay, transaction);
        allocation.expires = now + Duration::from_secs(u64::from(lifetime));
        let answer = allocated(&allocation, from, now, token);
        self.allocations.insert(from, allocation);
        self.owners.insert(port, from);
        self.counts.allocations = self.allocations.len();
        self.answer(from, &signature, answer, out);
    }

    /// Another process may have a port of ours.
    fn try_another(&mut self, now: Instant, from: FiveTuple, mut opening: Opening, out: &mut Vec<Output>) {
        let port = opening.relay.bound.port();
        opening.tries = opening.tries.saturating_sub(1);
        let movable = !matches!(opening.place, Place::Reserved(_)) && opening.tries > 0;
        // Taken before the old one is given back, so that it is another.
        let next = movable.then(|| self.take_port(now, opening.place, &opening.account));
        self.give_back(port, opening.place);
        match next {
            Some(Ok(port)) => {
                opening.relay = self.relay(from, opening.relay.bound.ip(), port);
                out.push(Output::Open { address: opening.relay.bound });
                self.openings.insert(port, opening);
            }
            Some(Err(_)) | None => {
                let refusal = no_port();
                self.drop_as(refusal.word());
                let answer = Writer::new(Class::Error, Method::Allocate, opening.transaction)
                    .error(refusal.code(), refusal.reason());
                self.answer(from, &opening.signature, answer, out);
            }
        }
    }

    fn reserve(&mut self, now: Instant, port: u16, account: String) -> [u8; 8] {
        let token = self.ports.token();
        self.reservations.insert(token, Reservation { port, expires: now + RESERVED, account });
        token
    }

    fn take_port(&mut self, now: Instant, place: Place, account: &str) -> Result<u16, Refusal> {
        let found = match place {
            Place::Any => self.ports.take(false, false),
            Place::Even => self.ports.take(true, false),
            Place::EvenWithNext => self.ports.take(true, true),
            Place::Reserved(token) => {
                let ours = |one: &Reservation| one.expires > now && one.account == account;
                let fits = self.reservations.get(&token).is_some_and(ours);
                fits.then(|| self.reservations.remove(&token)).flatten().map(|one| one.port)
            }
        };
        found.ok_or(no_port())
    }

    fn check_quotas(&self, account: &str) -> Result<(), Refusal> {
        let limits = self.config.limits;
        let opening = self.openings.values().filter(|one| one.account == account).count();
        let made = self.allocations.values().filter(|one| one.account == account).count();
        if made + opening >= limits.per_account {
            return Err(Refusal::QuotaReached);
        }
        if self.allocations.len() + self.openings.len() >= limits.allocations {
            return Err(Refusal::InsufficientCapacity("Insufficient Capacity: too many allocations"));
        }
        Ok(())
    }

    /// The address of ours for a relayed address: of the family that is asked for (IPv4 where none is), the one
    /// that the client reached if it is of use to peers.
    fn relayed_ip(&self, from: FiveTuple, message: &Message<'_>) -> Result<IpAddr, Refusal> {
        let is_v4 = requested_family(message)?.unwrap_or(true);
        let mut fit = self.config.addresses.iter().filter(|ip| ip.is_ipv4() == is_v4);
        let reached = from.server.ip();
        let same = fit.clone().find(|ip| **ip == reached);
        same.or_else(|| fit.next()).copied().ok_or(Refusal::AddressFamilyNotSupported)
    }

    /// The relayed address with this port. Which of our addresses is told, is the same as in SIP.
    fn relay(&self, from: FiveTuple, ip: IpAddr, port: u16) -> Relay {
        let client = from.client.ip();
        let external = self.config.external_address.filter(|external| external.is_ipv4() == ip.is_ipv4());
        let is_local =
            client.is_loopback() || self.config.local_networks.iter().any(|one| one.contains(&client));
        let told = external.filter(|_| !is_local).unwrap_or(ip);
        Relay { bound: SocketAddr::new(ip, port), told: SocketAddr::new(told, port), external }
    }
}

/// The answer to the one who has it now.
fn allocated(made: &Allocation, from: FiveTuple, now: Instant, token: Option<[u8; 8]>) -> Writer {
    let left = made.expires.saturating_duration_since(now).as_secs();
    let answer = Writer::new(Class::Success, Method::Allocate, made.transaction)
        .address(kind::XOR_RELAYED_ADDRESS, made.relay.told)
        .number(kind::LIFETIME, u32::try_from(left).unwrap_or(u32::MAX))
        .address(kind::XOR_MAPPED_ADDRESS, from.client);
    match token {
        Some(token) => answer.attribute(kind::RESERVATION_TOKEN, &token),
        None => answer,
    }
}

/// What is asked for, as far as it is about the port and the transport (§7.2, steps 3 to 7).
fn wanted_place(message: &Message<'_>) -> Result<Place, Refusal> {
    let bad = Refusal::BadRequest;
    match message.first_of_four(kind::REQUESTED_TRANSPORT) {
        Ok(Some(UDP)) => {}
        Ok(Some(_)) => return Err(Refusal::UnsupportedTransport),
        Ok(None) => return Err(bad("Bad Request: REQUESTED-TRANSPORT is missing")),
        Err(_) => return Err(bad("Bad Request: REQUESTED-TRANSPORT has another length")),
    }
    let (family, more) =
        (message.get(kind::REQUESTED_ADDRESS_FAMILY), message.get(kind::ADDITIONAL_ADDRESS_FAMILY));
    if family.is_some() && more.is_some() {
        return Err(bad("Bad Request: two kinds of address family"));
    }
    match (message.get(kind::RESERVATION_TOKEN), message.get(kind::EVEN_PORT)) {
        (Some(_), Some(_)) => Err(bad("Bad Request: RESERVATION-TOKEN with EVEN-PORT")),
        (Some(_), None) if family.is_some() || more.is_some() => {
            Err(bad("Bad Request: RESERVATION-TOKEN with an address family"))
        }
        (Some(token), None) => {
            let token =
                token.try_into().map_err(|_| bad("Bad Request: RESERVATION-TOKEN has another length"))?;
            Ok(Place::Reserved(token))
        }
        (None, Some([flags])) => Ok(if flags & 0x80 == 0 { Place::Even } else { Place::EvenWithNext }),
        (None, Some(_)) => Err(bad("Bad Request: EVEN-PORT has another length")),
        (None, None) => Ok(Place::Any),
    }
}

/// Whether `REQUESTED-ADDRESS-FAMILY` asks for IPv4, where it is there.
fn requested_family(message: &Message<'_>) -> Result<Option<bool>, Refusal> {
    let wrong = "Bad Request: REQUESTED-ADDRESS-FAMILY has another length";
    match message.first_of_four(kind::REQUESTED_ADDRESS_FAMILY) {
        Ok(None) => Ok(None),
        Ok(Some(FAMILY_V4)) => Ok(Some(true)),
        Ok(Some(FAMILY_V6)) => Ok(Some(false)),
        Ok(Some(_)) => Err(Refusal::AddressFamilyNotSupported),
        Err(_) => Err(Refusal::BadRequest(wrong)),
    }
}

fn lifetime(message: &Message<'_>) -> Result<u32, Refusal> {
    Ok(clamp(message.number(kind::LIFETIME).map_err(|_| bad_lifetime())?))
}

/// What is granted of what is wanted, in seconds (§7.2 step 9).
fn clamp(wanted: Option<u32>) -> u32 {
    wanted.unwrap_or(DEFAULT).clamp(DEFAULT, MOST)
}

const fn bad_lifetime() -> Refusal {
    Refusal::BadRequest("Bad Request: LIFETIME has another length")
}

const fn no_port() -> Refusal {
    Refusal::InsufficientCapacity("Insufficient Capacity: no such port is free")
}

/// The protocol number of UDP.
const UDP: u8 = 17;
/// How long an allocation lasts, in seconds (§3.2).
const DEFAULT: u32 = 600;
/// At most, in seconds.
const MOST: u32 = 3600;
/// How long a port waits for its second allocation (§7.2).
const RESERVED: Duration = Duration::from_secs(30);
/// Ports that are tried where other processes have ports of ours.
const TRIES: u8 = 8;
