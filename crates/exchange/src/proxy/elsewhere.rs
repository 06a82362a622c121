//! Requests to other domains: their servers are found in the DNS (RFC 3263) and tried one after the other.
//!
//! While the DNS is asked, the request is a context without branches: it can be cancelled like any other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_sip::{SipUri, Status, Uri};
use offhook_sip_stack::locate::{DnsAnswer, DnsFailure, Hop, Lookup, Question, Step, Unreachable};
use offhook_sip_stack::transaction::{ServerId, Transactions};
use offhook_sip_stack::{Flow, Transport};

use super::Proxy;
use super::anchor::Concern;
use super::carrier::Carrier;
use super::launch::Asking;
use super::response_context::{Kind, ResponseContext};
use super::shunned::Shunned;
use super::target::Target;
use crate::config::Config;
use crate::context::{Alarm, Context};
use crate::event::Event;
use crate::refusal::Refusal;
use crate::spending::Charge;

/// A request that starts something in another domain.
pub(crate) struct Outward {
    pub(crate) asking: Asking,
    /// Its Request-URI from here on, whose host is the next hop.
    pub(crate) to: SipUri,
    /// Whether the operator chose where it goes, not the caller.
    pub(crate) planned: bool,
    /// Whether it is a call for help, which has no limits.
    pub(crate) emergency: bool,
    /// Who the caller is, for a trunk (RFC 3325).
    pub(crate) asserted: Option<String>,
    /// Whom the call concerns, if somebody of ours may have to hear it.
    pub(crate) concern: Option<Arc<Concern>>,
    /// On whose costs it goes.
    pub(crate) charge: Option<Charge>,
    /// The trunk by which it goes, and what is told of that.
    pub(crate) by: Option<(usize, Event)>,
}

/// The search for a domain's servers.
pub(crate) struct Locating {
    lookup: Lookup,
    to: SipUri,
    planned: bool,
    asserted: Option<String>,
    concern: Option<Arc<Concern>>,
}

impl Proxy {
    /// Forwards a request to another domain, once its servers are known.
    ///
    /// # Errors
    /// A refusal if the account has too many calls, or if nothing can be sent to such a URI.
    pub(crate) fn start_elsewhere(
        &mut self,
        server: ServerId,
        outward: Outward,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Outward { asking, to, planned, emergency, asserted, concern, charge, by } = outward;
        let to = to.without_headers();
        let most_calls = if emergency { usize::MAX } else { config.max_calls_per_account };
        let (lookup, questions) =
            Lookup::start(&to, &config.spoken()).map_err(|why| unreachable(why, &to))?;
        let (number, mut context) = self.begin(server, asking, 1, most_calls, transactions, cx)?;
        context.charge = charge.map(|charge| charge.id);
        if let Some((trunk, sent)) = by {
            context.carrier = Some(Box::new(Carrier::new(trunk)));
            cx.event(sent);
        }
        context.locating = Some(Box::new(Locating { lookup, to, planned, asserted, concern }));
        self.ask(number, questions, cx);
        cx.timers.arm(cx.now + LONGEST_SEARCH, Alarm::Search(number));
        self.contexts.insert(number, context);
        Ok(())
    }

    fn ask(&mut self, context: u64, questions: Vec<Question>, cx: &mut Context<'_>) {
        for question in questions {
            let ticket = self.number();
            cx.out.resolves.push((ticket, question.clone()));
            self.questions.insert(ticket, (context, question));
        }
    }

    /// The DNS has answered, or somebody in its place.
    pub(crate) fn resolved(
        &mut self,
        ticket: u64,
        answer: DnsAnswer,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        // It may have been cancelled meanwhile.
        let Some((number, question)) = self.questions.remove(&ticket) else { return };
        let Some(mut context) = self.contexts.remove(&number) else { return };
        if let Some(locating) = &mut context.locating {
            match locating.lookup.answer(&question, answer, cx.rng) {
                Step::Wait => {}
                Step::Ask(questions) => self.ask(number, questions, cx),
                Step::Found(hops) => found(&mut context, &hops, &self.shunned, config, cx),
                Step::Failed(failure) => not_found(&mut context, failure, cx),
            }
        }
        self.settle(number, context, config, transactions, cx);
    }

    /// A search has lasted too long.
    pub(crate) fn search_timeout(
        &mut self,
        number: u64,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        if context.locating.is_some() {
            not_found(&mut context, DnsFailure::Silent, cx);
        }
        self.questions.retain(|_, (context, _)| *context != number);
        self.settle(number, context, config, transactions, cx);
    }

    /// A server of another domain has said nothing for a while: the next is tried beside it. The first may still answer;
    /// to wait until its transaction times out (RFC 3263 §4.3) would outlast the patience of most callers.
    pub(crate) fn silence(
        &mut self,
        number: u64,
        index: usize,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let Some(mut context) = self.contexts.remove(&number) else { return };
        let silent = context.branches.get(index).is_some_and(|branch| !branch.heard && !branch.done);
        if silent && !context.cancelled && !context.final_sent && context.has_alternative(index) {
            if let Some(target) = &context.branches[index].target {
                self.shunned.mark(&target.flow, cx.now);
            }
            self.other_flow(number, &mut context, index, config, transactions, cx);
        }
        self.settle(number, context, config, transactions, cx);
    }
}

impl Proxy {
    /// See [`Shunned::order`].
    pub(crate) fn order_servers(
        &self,
        targets: Result<Vec<Target>, Refusal>,
        now: Instant,
    ) -> Result<Target, Refusal> {
        self.shunned.order(targets, now)
    }
}

impl Config {
    /// The transports by which other domains are reached: those on which they could reach us.
    pub(crate) fn spoken(&self) -> Vec<Transport> {
        let listens = |transport: &Transport| self.listeners.iter().any(|one| one.transport == *transport);
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().filter(listens).collect()
    }

    /// The address of ours from which a server is reached, where there is one.
    pub(crate) fn local_towards(&self, hop: &Hop) -> Option<SocketAddr> {
        let remote = hop.target.remote;
        let reaches =
            |ip: std::net::IpAddr| ip.is_ipv4() == remote.is_ipv4() || (ip.is_ipv6() && ip.is_unspecified());
        let of_transport = || self.listeners.iter().filter(|one| one.transport == hop.target.transport);
        let exact = of_transport().find(|one| one.address.ip() == hop.local);
        let listener = exact.or_else(|| of_transport().find(|one| reaches(one.address.ip())))?.address;
        let ip = if listener.ip().is_unspecified() { hop.local } else { listener.ip() };
        Some(SocketAddr::new(ip, listener.port()))
    }
}

/// The servers are known: the first is tried, the others when it fails (RFC 3263 §4.3).
fn found(
    context: &mut ResponseContext,
    hops: &[Hop],
    shunned: &Shunned,
    config: &Config,
    cx: &mut Context<'_>,
) {
    let Some(locating) = context.locating.take() else { return };
    let Kind::Initial { from, .. } = &context.kind else { return };
    if let Some(carrier) = &mut context.carrier {
        carrier.found(hops);
    }
    let Locating { to, planned, asserted, concern, .. } = *locating;
    match shunned.order(targets(hops, (&to, planned), &from.flow, config), cx.now) {
        Ok(target) => context.groups.push_back(vec![Target { asserted, concern, ..target }]),
        Err(refusal) => context.failed_with(refusal.status, &refusal.reason, &cx.sip().tag()),
    }
}

impl Shunned {
    /// The first of these as a target, the others as its alternatives. The order stays, but for those that would only be
    /// waited for.
    pub(crate) fn order(
        &self,
        targets: Result<Vec<Target>, Refusal>,
        now: Instant,
    ) -> Result<Target, Refusal> {
        let mut targets = targets?;
        targets.sort_by_key(|target| self.holds(&target.flow, now));
        let mut targets = targets.into_iter();
        let first = targets.next().ok_or(Status::TEMPORARILY_UNAVAILABLE)?;
        Ok(Target { alternatives: targets.collect(), ..first })
    }
}

/// What may be tried of the servers of a domain; at least one.
///
/// # Errors
/// What whoever wants to go there is told, if nothing may.
pub(crate) fn targets(
    hops: &[Hop],
    (to, planned): (&SipUri, bool),
    way_in: &Flow,
    config: &Config,
) -> Result<Vec<Target>, Refusal> {
    let domain = to.host().to_string();
    let mut why = None;
    let mut targets = Vec::with_capacity(hops.len());
    for hop in hops {
        match usable(hop, way_in, planned, config) {
            Ok(local) => targets.push(Target {
                uri: to.to_string(),
                q: 1_000,
                flow: hop.target.flow(local),
                behind_nat: false,
                path: Vec::new(),
                media: None,
                refused: 0,
                domain: Some(domain.clone()),
                asserted: None,
                account: None,
                line: None,
                member: None,
                after: None,
                concern: None,
                alternatives: Vec::new(),
            }),
            Err(status) => why = Some(status),
        }
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    let (status, reason) = match why {
        Some(Status::LOOP_DETECTED) => {
            (Status::LOOP_DETECTED, format!("{domain} leads back here, but is not served here"))
        }
        Some(Status::FORBIDDEN) => {
            (Status::FORBIDDEN, format!("The address of {domain} is of this machine only"))
        }
        _ => (Status::TEMPORARILY_UNAVAILABLE, format!("No address of ours reaches {domain}")),
    };
    Err(Refusal::new(status, reason))
}

/// Our address for the way to a server, or why it is not taken.
fn usable(hop: &Hop, way_in: &Flow, planned: bool, config: &Config) -> Result<SocketAddr, Status> {
    let remote = hop.target.remote;
    let is_own_port = config.listeners.iter().any(|one| one.address.port() == remote.port());
    // What is sent to one's own address leaves from it.
    if config.is_us(remote, way_in) || (is_own_port && remote.ip() == hop.local) {
        return Err(Status::LOOP_DETECTED);
    }
    // What only this machine reaches is nothing for those outside of it.
    if !planned && is_of_this_machine(remote.ip()) && !way_in.remote.ip().is_loopback() {
        return Err(Status::FORBIDDEN);
    }
    config.local_towards(hop).ok_or(Status::TEMPORARILY_UNAVAILABLE)
}

fn is_of_this_machine(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

fn not_found(context: &mut ResponseContext, failure: DnsFailure, cx: &mut Context<'_>) {
    let Some(locating) = context.locating.take() else { return };
    let refusal = unfound(failure, &locating.to);
    context.failed_with(refusal.status, &refusal.reason, &cx.sip().tag());
}

/// What whoever wants to go to a domain is told whose servers cannot be found.
pub(crate) fn unfound(failure: DnsFailure, to: &SipUri) -> Refusal {
    let status = match failure {
        DnsFailure::NoSuchName => Status::NOT_FOUND,
        DnsFailure::NoRecords | DnsFailure::NotOffered | DnsFailure::NoRoute => {
            Status::TEMPORARILY_UNAVAILABLE
        }
        DnsFailure::ServerFailure | DnsFailure::Busy | DnsFailure::Silent => Status::SERVICE_UNAVAILABLE,
    };
    Refusal::new(status, format!("{} cannot be reached: {failure}", to.host()))
}

/// The same of a URI to which nothing can be sent.
pub(crate) fn unreachable(why: Unreachable, to: &SipUri) -> Refusal {
    match why {
        Unreachable::Scheme => Status::UNSUPPORTED_URI_SCHEME.into(),
        Unreachable::Transport => {
            let reason = format!("{} is asked for by a transport that is not spoken here", to.host());
            Refusal::new(Status::TEMPORARILY_UNAVAILABLE, reason)
        }
        Unreachable::Address => {
            Refusal::new(Status::NOT_FOUND, format!("{} is the address of nobody", Uri::from(to.clone())))
        }
    }
}

/// After that nobody waits for the DNS any more, whatever its adapter does. It has its own, shorter patience.
pub(crate) const LONGEST_SEARCH: Duration = Duration::from_secs(30);
/// After so long without any response the next server is tried beside a silent one: a datagram has been sent four times.
pub(crate) const SILENCE: Duration = Duration::from_millis(3_500);
