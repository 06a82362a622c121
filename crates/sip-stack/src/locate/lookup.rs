//! From the name in a URI to servers in the order in which to try them (RFC 3263 §4).
//!
//! NAPTR says which transports a domain offers, SRV which servers, A and AAAA where these are. Each step is a set of
//! questions that are asked at once; whoever drives this machine brings the answers.

use std::net::SocketAddr;

use rand::RngExt as _;

use super::dns::{DnsAnswer, DnsFailure, Naptr, Question, Reach, Records, Srv};
use super::{Located, Target, Unreachable, locate_sip};
use crate::{Rng, Transport};
use offhook_sip::SipUri;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Lookup {
    host: String,
    secure: bool,
    /// What we speak, the preferred one first.
    offered: Vec<Transport>,
    stage: Stage,
    /// The weightiest reason why something was not found.
    failure: Option<DnsFailure>,
}

#[derive(Clone, Debug)]
enum Stage {
    Naptr,
    Srv(Vec<Service>),
    Addresses(Vec<Place>),
}

/// SIP over one transport, as SRV knows it.
#[derive(Clone, Debug)]
struct Service {
    transport: Transport,
    name: String,
    /// Its servers in order, once known.
    servers: Option<Vec<Srv>>,
}

/// One server.
#[derive(Clone, Debug)]
struct Place {
    transport: Transport,
    name: String,
    port: u16,
    found: Option<Vec<Reach>>,
}

/// A server's address and ours towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where to.
    pub target: Target,
    /// From where, by the routing table.
    pub local: std::net::IpAddr,
}

/// What comes next in a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this too.
    Ask(Vec<Question>),
    /// Answers are missing.
    Wait,
    /// The servers in the order in which to try them; at least one.
    Found(Vec<Hop>),
    /// There are none.
    Failed(DnsFailure),
}

impl Lookup {
    /// Begins a search for the servers of a URI. `offered` are the transports that we speak, the preferred one first.
    /// Returns the first questions too.
    ///
    /// # Errors
    /// When nothing can be sent there by any of them.
    pub fn start(uri: &SipUri, offered: &[Transport]) -> Result<(Self, Vec<Question>), Unreachable> {
        let wanted = |one: &Transport| (!uri.secure() || one.is_secure()) && is_between_servers(*one);
        let offered: Vec<_> = offered.iter().copied().filter(wanted).collect();
        let secure = uri.secure();
        let (host, port, transport) = match locate_sip(uri)? {
            Located::Targets(targets) => {
                let target = targets.first().copied().ok_or(Unreachable::Address)?;
                (target.remote.ip().to_string(), Some(target.remote.port()), Some(target.transport))
            }
            Located::Unresolved { host, port, transport, .. } => (host.as_str().to_owned(), port, transport),
        };
        if offered.is_empty() || transport.is_some_and(|one| !offered.contains(&one)) {
            return Err(Unreachable::Transport);
        }
        let mut lookup = Self { host, secure, offered, stage: Stage::Naptr, failure: None };
        let questions = match (port, transport) {
            // §4.1, §4.2: a port leaves nothing to ask but the address.
            (Some(0), _) => return Err(Unreachable::Address),
            (Some(port), transport) => {
                let transport = transport.unwrap_or_else(|| lookup.default_transport());
                lookup.seek_addresses(vec![lookup.place(transport, port)])
            }
            (None, Some(transport)) => lookup.seek_services(vec![transport]),
            (None, None) => vec![Question::Naptr(lookup.host.clone())],
        };
        Ok((lookup, questions))
    }

    /// Takes the answer to one of the questions. What was not asked, or was answered before, changes nothing.
    pub fn answer(&mut self, question: &Question, answer: DnsAnswer, rng: &mut Rng) -> Step {
        match (&mut self.stage, question) {
            (Stage::Naptr, Question::Naptr(_)) => self.naptr(answer),
            (Stage::Srv(services), Question::Srv(name)) => {
                let servers = match answer {
                    Ok(Records::Srv(records)) => in_order(records, rng),
                    Ok(_) => Vec::new(),
                    Err(failure) => {
                        self.failure = self.failure.max(Some(failure));
                        Vec::new()
                    }
                };
                let asked = services.iter_mut().filter(|one| one.name == *name && one.servers.is_none());
                asked.for_each(|one| one.servers = Some(servers.clone()));
                self.after_services()
            }
            (Stage::Addresses(places), Question::Addresses(name)) => {
                let found = match answer {
                    Ok(Records::Addresses(found)) => found,
                    Ok(_) => Vec::new(),
                    Err(failure) => {
                        self.failure = self.failure.max(Some(failure));
                        Vec::new()
                    }
                };
                let asked = places.iter_mut().filter(|one| one.name == *name && one.found.is_none());
                asked.for_each(|one| one.found = Some(found.clone()));
                self.after_addresses()
            }
            (Stage::Naptr | Stage::Srv(_) | Stage::Addresses(_), _) => Step::Wait,
        }
    }

    /// §4.1: the transports that the domain offers and we speak, in its order.
    fn naptr(&mut self, answer: DnsAnswer) -> Step {
        let mut records = match answer {
            Ok(Records::Naptr(records)) => records,
            // Who does not answer this question will not answer the next either.
            Err(failure @ (DnsFailure::Silent | DnsFailure::Busy)) => return Step::Failed(failure),
            Ok(_) | Err(_) => Vec::new(),
        };
        records.sort_by_key(|one| (one.order, one.preference));
        let mut services: Vec<Service> = Vec::new();
        for record in &records {
            if let Some(transport) = service(record).filter(|one| self.offered.contains(one))
                && services.len() < MOST_SERVICES
            {
                services.push(Service { transport, name: record.replacement.clone(), servers: None });
            }
        }
        if services.is_empty() {
            return Step::Ask(self.seek_services(self.offered.clone()));
        }
        let questions = services.iter().map(|one| Question::Srv(one.name.clone())).collect();
        self.stage = Stage::Srv(services);
        Step::Ask(once(questions))
    }

    /// Without NAPTR, the SRV records of every transport (§4.1).
    fn seek_services(&mut self, transports: Vec<Transport>) -> Vec<Question> {
        let host = self.host.trim_end_matches('.');
        let services: Vec<_> = transports
            .into_iter()
            .filter_map(|transport| {
                let name = format!("{}.{host}", service_label(transport)?);
                Some(Service { transport, name, servers: None })
            })
            .collect();
        let questions = services.iter().map(|one| Question::Srv(one.name.clone())).collect();
        self.stage = Stage::Srv(services);
        once(questions)
    }

    fn after_services(&mut self) -> Step {
        let Stage::Srv(services) = &self.stage else { return Step::Wait };
        if services.iter().any(|one| one.servers.is_none()) {
            return Step::Wait;
        }
        let all =
            services.iter().flat_map(|one| one.servers.iter().flatten().map(|srv| (one.transport, srv)));
        let (mut places, mut not_offered) = (Vec::new(), false);
        for (transport, srv) in all {
            match srv.target.trim_end_matches('.') {
                "" => not_offered = true,
                name if srv.port > 0 && places.len() < MOST_PLACES => {
                    places.push(Place { transport, name: name.to_owned(), port: srv.port, found: None });
                }
                _ => {}
            }
        }
        if !places.is_empty() {
            return Step::Ask(self.seek_addresses(places));
        }
        match self.failure.filter(|one| *one >= DnsFailure::ServerFailure) {
            _ if not_offered => Step::Failed(DnsFailure::NotOffered),
            Some(failure) => Step::Failed(failure),
            // §4.2: where nothing is said of servers, the name is one.
            None => {
                let named = services.first().filter(|_| services.len() == 1).map(|one| one.transport);
                let transport = named.unwrap_or_else(|| self.default_transport());
                self.failure = None;
                Step::Ask(self.seek_addresses(vec![self.place(transport, transport.default_port())]))
            }
        }
    }

    fn seek_addresses(&mut self, places: Vec<Place>) -> Vec<Question> {
        let questions = places.iter().map(|one| Question::Addresses(one.name.clone())).collect();
        self.stage = Stage::Addresses(places);
        once(questions)
    }

    fn after_addresses(&mut self) -> Step {
        let Stage::Addresses(places) = &self.stage else { return Step::Wait };
        if places.iter().any(|one| one.found.is_none()) {
            return Step::Wait;
        }
        let mut hops: Vec<Hop> = Vec::new();
        for place in places {
            for reach in place.found.iter().flatten().take(MOST_ADDRESSES) {
                let remote = SocketAddr::new(reach.remote.to_canonical(), place.port);
                let hop = Hop { target: Target { transport: place.transport, remote }, local: reach.local };
                if !hops.iter().any(|one| one.target == hop.target) && hops.len() < MOST_PLACES {
                    hops.push(hop);
                }
            }
        }
        if hops.is_empty() {
            Step::Failed(self.failure.unwrap_or(DnsFailure::NoRecords))
        } else {
            Step::Found(hops)
        }
    }

    fn place(&self, transport: Transport, port: u16) -> Place {
        Place { transport, name: self.host.clone(), port, found: None }
    }

    /// §4.1: UDP, or TLS for sips.
    fn default_transport(&self) -> Transport {
        let usual = if self.secure { Transport::Tls } else { Transport::Udp };
        let spoken = Some(usual).filter(|one| self.offered.contains(one));
        spoken.or(self.offered.first().copied()).unwrap_or(usual)
    }
}

/// Servers call each other by these; WebSocket is for browsers (RFC 7118 §8 leaves NAPTR to clients).
fn is_between_servers(transport: Transport) -> bool {
    matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls)
}

/// The transport of a NAPTR record that leads to SRV records (RFC 3263 §4.1).
fn service(record: &Naptr) -> Option<Transport> {
    if !record.flags.eq_ignore_ascii_case("s") || record.replacement.trim_end_matches('.').is_empty() {
        return None;
    }
    [("SIPS+D2T", Transport::Tls), ("SIP+D2T", Transport::Tcp), ("SIP+D2U", Transport::Udp)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&record.service))
        .map(|(_, transport)| transport)
}

fn service_label(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Udp => Some("_sip._udp"),
        Transport::Tcp => Some("_sip._tcp"),
        Transport::Tls => Some("_sips._tcp"),
        Transport::Ws | Transport::Wss => None,
    }
}

/// By priority; within one, by chance according to the weights (RFC 2782, "Weight").
fn in_order(mut records: Vec<Srv>, rng: &mut Rng) -> Vec<Srv> {
    records.truncate(MOST_RECORDS);
    // Those of weight 0 in front, so that they have a small chance too.
    records.sort_by(|a, b| (a.priority, a.weight > 0, &a.target).cmp(&(b.priority, b.weight > 0, &b.target)));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|one| one.priority) {
        let group = records.iter().take_while(|one| one.priority == priority).count();
        let total: u32 = records[..group].iter().map(|one| u32::from(one.weight)).sum();
        let drawn = (rng.random::<u64>() % (u64::from(total) + 1)) as u32;
        let mut sum = 0;
        let chosen = records[..group].iter().position(|one| {
            sum += u32::from(one.weight);
            sum >= drawn
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// Each question once.
fn once(questions: Vec<Question>) -> Vec<Question> {
    let mut unique: Vec<Question> = Vec::with_capacity(questions.len());
    for one in questions {
        if !unique.contains(&one) {
            unique.push(one);
        }
    }
    unique
}

/// Of a set of SRV records.
const MOST_RECORDS: usize = 16;
/// Transports of one domain that are looked into.
const MOST_SERVICES: usize = 4;
/// Servers that are tried.
const MOST_PLACES: usize = 8;
/// Addresses of one server that are tried.
const MOST_ADDRESSES: usize = 4;

#[cfg(test)]
mod tests;
