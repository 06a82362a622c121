//! The DNS of the world: what it knows, and how slowly it says so.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use offhook_sip_stack::locate::{DnsAnswer, DnsFailure, Naptr, Question, Reach, Records, Srv};

/// The DNS as the exchange sees it.
pub struct Dns {
    /// How long an answer takes.
    pub delay: Duration,
    /// Whether no answer comes at all: the exchange's resolver gives up after its patience.
    pub silent: bool,
    /// What it was asked, in order.
    pub asked: Vec<Question>,
    zone: HashMap<Question, DnsAnswer>,
    /// The exchange's own address.
    local: IpAddr,
    under_way: BTreeMap<(Instant, u64), (usize, u64, DnsAnswer)>,
}

impl Dns {
    pub(crate) fn new(local: IpAddr) -> Self {
        Self {
            delay: Duration::from_millis(20),
            silent: false,
            asked: Vec::new(),
            zone: HashMap::new(),
            local,
            under_way: BTreeMap::new(),
        }
    }

    /// A transport of a domain: `SIP+D2U` and where its SRV records are.
    pub fn naptr(&mut self, domain: &str, order: u16, service: &str, replacement: &str) {
        let record = Naptr {
            order,
            preference: 0,
            flags: "s".into(),
            service: service.into(),
            regexp: String::new(),
            replacement: replacement.into(),
        };
        match self.zone.get_mut(&Question::Naptr(domain.into())) {
            Some(Ok(Records::Naptr(records))) => records.push(record),
            _ => _ = self.zone.insert(Question::Naptr(domain.into()), Ok(Records::Naptr(vec![record]))),
        }
    }

    /// Where a number is (RFC 6116): a substitution expression.
    pub fn number(&mut self, number: &str, tree: &str, regexp: &str) {
        let digits: String =
            number.chars().rev().filter(char::is_ascii_digit).flat_map(|one| [one, '.']).collect();
        let record = Naptr {
            order: 1,
            preference: 0,
            flags: "u".into(),
            service: "E2U+sip".into(),
            regexp: regexp.into(),
            replacement: ".".into(),
        };
        self.zone.insert(Question::Naptr(format!("{digits}{tree}")), Ok(Records::Naptr(vec![record])));
    }

    /// A server, by the name of a service such as `_sip._udp.other.example`.
    pub fn srv(&mut self, service: &str, priority: u16, port: u16, target: &str) {
        let record = Srv { priority, weight: 0, port, target: target.into() };
        match self.zone.get_mut(&Question::Srv(service.into())) {
            Some(Ok(Records::Srv(records))) => records.push(record),
            _ => _ = self.zone.insert(Question::Srv(service.into()), Ok(Records::Srv(vec![record]))),
        }
    }

    /// An address.
    pub fn address(&mut self, name: &str, remote: IpAddr) {
        let reach = Reach { remote, local: self.local };
        self.zone.insert(Question::Addresses(name.into()), Ok(Records::Addresses(vec![reach])));
    }

    /// A question that is answered with a failure.
    pub fn fails(&mut self, question: Question, failure: DnsFailure) {
        self.zone.insert(question, Err(failure));
    }

    pub(crate) fn ask(&mut self, now: Instant, shard: usize, ticket: u64, question: Question) {
        let literal = question.name().parse::<IpAddr>().ok();
        let known = match (self.silent, literal) {
            (_, Some(remote)) => Ok(Records::Addresses(vec![Reach { remote, local: self.local }])),
            (true, None) => Err(DnsFailure::Silent),
            (false, None) => self.zone.get(&question).cloned().unwrap_or(Err(DnsFailure::NoSuchName)),
        };
        let after = match (literal.is_some(), self.silent) {
            (true, _) => Duration::ZERO,
            (false, true) => PATIENCE,
            (false, false) => self.delay,
        };
        self.asked.push(question);
        self.under_way.insert((now + after, self.asked.len() as u64), (shard, ticket, known));
    }

    /// An answer that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(usize, u64, DnsAnswer)> {
        self.under_way.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }
}

/// Of the exchange's resolver, as configured by default.
const PATIENCE: Duration = Duration::from_secs(4);
