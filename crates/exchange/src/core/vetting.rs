//! Who is calling. Strangers who say that they come from a domain which may call in (`security.allow_from`): the DNS has to name the address
//! that they come from as one of that domain's servers.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use offhook_sip::{Host, Method, Name, NameAddr, Request, Response, SipUri, Status, Uri};
use offhook_sip_stack::auth::{Failure, Kind};
use offhook_sip_stack::locate::{DnsAnswer, DnsFailure, Lookup, Question, Step};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::{Flow, Transport};

use super::Core;
use crate::agents;
use crate::bans;
use crate::config::Authentication;
use crate::context::Context;
use crate::directory::Account;
use crate::directory::Delta;
use crate::event::Event;
use crate::identity::{self, Caller};
use crate::io::ShardMessage;
use crate::keep::Keep;
use crate::refusal::Refusal;

/// Requests that wait for the DNS, and what it said before.
#[derive(Default)]
pub(super) struct Vetting {
    waiting: BTreeMap<ServerId, Guest>,
    questions: HashMap<u64, (ServerId, Question)>,
    /// Whether an address is one of a domain's, and until when that is believed.
    known: HashMap<(String, IpAddr), (bool, Instant)>,
    issued: u64,
}

struct Guest {
    request: Request,
    flow: Flow,
    domain: String,
    lookup: Lookup,
    since: Instant,
}

impl Vetting {
    fn verdict(&self, domain: &str, ip: IpAddr, now: Instant) -> Option<bool> {
        let (is_its, until) = self.known.get(&(domain.to_owned(), ip))?;
        (now < *until).then_some(*is_its)
    }

    fn ask(&mut self, server: ServerId, questions: Vec<Question>, cx: &mut Context<'_>) {
        for question in questions {
            self.issued += 1;
            let ticket = OURS | self.issued;
            cx.out.resolves.push((ticket, question.clone()));
            self.questions.insert(ticket, (server, question));
        }
    }

    fn learn(&mut self, domain: String, ip: IpAddr, is_its: bool, now: Instant) {
        if self.known.len() >= MOST_KNOWN {
            self.known.retain(|_, (_, until)| now < *until);
        }
        if self.known.len() < MOST_KNOWN {
            let time = if is_its { BELIEVED } else { DOUBTED };
            self.known.insert((domain, ip), (is_its, now + time));
        }
    }

    /// A request that no longer waits: it was cancelled, or its transaction is over.
    pub(super) fn forget(&mut self, server: ServerId) -> Option<Request> {
        Some(self.waiting.remove(&server)?.request)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a ticket of [`Outbox::resolves`](crate::io::Outbox::resolves) is of a question of ours.
    pub(super) const fn is_ours(ticket: u64) -> bool {
        ticket & OURS != 0
    }
}

impl Core {
    /// Who is calling, proven unless configured otherwise (RFC 3261 §22.3). `None`: the DNS is asked first, and the request
    /// comes again after that.
    pub(super) fn caller(
        &mut self,
        server: ServerId,
        request: &Request,
        here: bool,
        flow: &Flow,
        cx: &mut Context<'_>,
    ) -> Result<Option<Caller>, Refusal> {
        let from = request.from().map_err(|error| Refusal::new(error.status(), error.to_string()))?;
        let claims_us = identity::claims_us(&from, flow, &self.config);
        if self.config.authentication == Authentication::Off {
            return Ok(Some(Caller::Unproven));
        }
        if here && self.vet(server, request, flow, cx)? {
            return Ok(None);
        }
        // Carriers put whatever host they like into From.
        let is_proof = request.has(Name::ProxyAuthorization);
        if here && !is_proof && self.trunk_of(request, flow).is_some() {
            return Ok(Some(Caller::Stranger));
        }
        let account = match self.prove(request, &from, Kind::ProxyToUser, flow, cx) {
            Ok(account) => account,
            Err(_) if !here && !claims_us => {
                return Err(Refusal::new(Status::FORBIDDEN, "Nothing is relayed for strangers"));
            }
            Err(_)
                if !claims_us
                    && here
                    && (self.config.lets_in(flow.remote.ip()) || self.is_vetted(request, flow, cx.now)) =>
            {
                let most = self.config.strangers_per_minute;
                if !self.sources.admit(flow.remote.ip(), most, cx.now) {
                    let refusal =
                        Refusal::new(Status::SERVICE_UNAVAILABLE, "Too many calls without an account");
                    return Err(refusal.with(Name::RetryAfter, 60));
                }
                return Ok(Some(Caller::Stranger));
            }
            Err(refusal) => return Err(refusal),
        };
        identity::may_use(&account, &from, flow, &self.directory, &self.config).map_err(Refusal::proven)?;
        Ok(Some(Caller::Account(account)))
    }

    /// The account whose credentials a request carries, or a challenge. `claimed` is who it says to be.
    pub(super) fn prove(
        &mut self,
        request: &Request,
        claimed: &NameAddr,
        kind: Kind,
        flow: &Flow,
        cx: &mut Context<'_>,
    ) -> Result<Account, Refusal> {
        let now = cx.unix();
        let (directory, config) = (&self.directory, &self.config);
        let find = |user: &str| identity::by_username(user, claimed, directory, config);
        let alias = |uri: &Uri| config.means_the_same(uri, request, flow);
        let secrets = |user: &str| find(user).map(|account| account.secrets.clone().into());
        let source = flow.remote.ip();
        // Anybody can write any address on a datagram, also that of somebody whom they want to see banned.
        let forgeable = flow.transport == Transport::Udp && bans::may_ban(source, &config.local_networks);
        let only_from = forgeable.then_some(source);
        let verified = self.authenticator.verify(request, kind, now, only_from, alias, secrets);
        let failure = match verified.map(|verified| (find(&verified.username).cloned(), verified.username)) {
            Ok((Some(account), _)) => return Ok(account),
            Ok((None, _)) => Failure::Wrong,
            Err(failure) => failure,
        };
        if failure == Failure::Wrong {
            let username = request.credentials(kind.credentials_name()).flatten().find_map(|credentials| {
                credentials.username().map(|name| name.chars().take(100).collect::<String>())
            });
            let username = username.unwrap_or_default();
            let (local, times) = (&self.config.local_networks, (cx.now, now));
            let from = (source, username.as_str());
            let banned = self.bans.failed(from, &self.config.ban, local, times);
            if let Some(ban) = &banned {
                self.bans.set(ban.clone());
                cx.tell_others(self.config.shards, &ShardMessage::Delta(Delta::Banned(ban.clone())));
                cx.out.keeps.push((u64::MAX, Keep::Ban(ban.clone())));
            }
            cx.event(Event::AuthenticationFailed { from: flow.remote, username, banned });
        }
        let stale = matches!(failure, Failure::Stale | Failure::Replayed);
        let challenges =
            self.authenticator.challenge(kind, agents::offer(request), stale, source, now, cx.rng);
        let start = Refusal::from(kind.status());
        Err(challenges.into_iter().fold(start, |refusal, (name, one)| refusal.with(name, one)))
    }

    /// Whether the DNS has named an address as one of the domain that a request says it comes from.
    fn is_vetted(&self, request: &Request, flow: &Flow, now: Instant) -> bool {
        let domain = self.claimed_guest(request);
        domain.is_some_and(|domain| self.vetting.verdict(&domain, flow.remote.ip(), now) == Some(true))
    }

    /// The domain in From, if it is one that may call in.
    fn claimed_guest(&self, request: &Request) -> Option<String> {
        let from = request.from().ok()?;
        let host = from.uri.as_sip()?.host().to_string().to_ascii_lowercase();
        self.config.allow_domains.contains(&host).then_some(host)
    }

    /// Puts a request aside until the DNS has said whether its sender is of the domain it names. `false`: that need not
    /// be asked, or cannot be.
    fn vet(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: &Flow,
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        let ip = flow.remote.ip();
        let is_open = self.config.allow_domains.is_empty() || self.config.lets_in(ip);
        if is_open || request.has(Name::ProxyAuthorization) {
            return Ok(false);
        }
        let Some(domain) = self.claimed_guest(request) else { return Ok(false) };
        if self.vetting.verdict(&domain, ip, cx.now).is_some() {
            return Ok(false);
        }
        if self.vetting.waiting.len() >= MOST_WAITING {
            let refusal = Refusal::new(Status::SERVICE_UNAVAILABLE, "Too many callers wait for the DNS");
            return Err(refusal.with(Name::RetryAfter, 10));
        }
        let Some(host) = Host::parse(&domain) else { return Ok(false) };
        let asked =
            Lookup::start(&SipUri::new(None, host), &[Transport::Udp, Transport::Tcp, Transport::Tls]);
        let Ok((lookup, questions)) = asked else { return Ok(false) };
        if *request.method() == Method::Invite {
            self.transactions.trying(server, &mut cx.sip());
        }
        self.vetting.ask(server, questions, cx);
        let guest = Guest { request: request.clone(), flow: *flow, domain, lookup, since: cx.now };
        self.vetting.waiting.insert(server, guest);
        Ok(true)
    }

    /// The DNS has answered one of our questions.
    pub(super) fn vetted(&mut self, ticket: u64, answer: DnsAnswer, cx: &mut Context<'_>) {
        let Some((server, question)) = self.vetting.questions.remove(&ticket) else { return };
        let Some(guest) = self.vetting.waiting.get_mut(&server) else { return };
        let step = guest.lookup.answer(&question, answer, cx.rng);
        let ip = guest.flow.remote.ip();
        match step {
            Step::Wait => {}
            Step::Ask(questions) => self.vetting.ask(server, questions, cx),
            Step::Found(hops) => {
                let is_its = hops.iter().any(|hop| hop.target.remote.ip() == ip);
                self.go_on(server, Some(is_its), cx);
            }
            Step::Failed(DnsFailure::Silent | DnsFailure::Busy | DnsFailure::ServerFailure) => {
                self.go_on(server, None, cx);
            }
            Step::Failed(_) => self.go_on(server, Some(false), cx),
        }
    }

    /// A request goes on, with what was learnt of its sender; without that it is refused for now.
    fn go_on(&mut self, server: ServerId, is_its: Option<bool>, cx: &mut Context<'_>) {
        let Some(guest) = self.vetting.waiting.remove(&server) else { return };
        let Guest { request, flow, domain, .. } = guest;
        match is_its {
            Some(is_its) => {
                self.vetting.learn(domain, flow.remote.ip(), is_its, cx.now);
                self.request(server, &request, flow, cx);
            }
            None => {
                let answer = Response::to_request(&request, Status::SERVICE_UNAVAILABLE)
                    .reason("The DNS does not say whether this caller is of its domain")
                    .to_tag(&self.stateless_tag(&request));
                self.transactions.respond(server, answer.finish(), &mut cx.sip());
            }
        }
    }

    /// Nobody waits for ever, whatever the DNS's adapter does.
    pub(super) fn end_vetting(&mut self, cx: &mut Context<'_>) {
        let late = |(server, guest): (&ServerId, &Guest)| {
            (cx.now.duration_since(guest.since) > LONGEST_WAIT).then_some(*server)
        };
        let late: Vec<_> = self.vetting.waiting.iter().filter_map(late).collect();
        for server in late {
            self.go_on(server, None, cx);
        }
        let waiting = &self.vetting.waiting;
        self.vetting.questions.retain(|_, (server, _)| waiting.contains_key(server));
    }
}

/// Tickets of our questions, apart from the proxy's.
const OURS: u64 = 1 << 63;
const MOST_WAITING: usize = 1_000;
const MOST_KNOWN: usize = 4_096;
/// How long an address is taken for one of its domain's …
const BELIEVED: Duration = Duration::from_secs(600);
/// … and for none.
const DOUBTED: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
