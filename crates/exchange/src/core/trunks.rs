//! Calls by trunks: which came by one, and those that leave by one of several.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use offhook_sip::{Host, Method, Name, NameAddr, Request, SipUri, Status, TelUri, Uri};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::{ConnectionId, Flow};

use super::Core;
use crate::b2bua::{Arriving, Called, Calls, Onward, Shown};
use crate::command::TrunkReport;
use crate::context::Context;
use crate::identity::Caller;
use crate::locality::user_of;
use crate::proxy::{Asking, Target};
use crate::refusal::Refusal;
use crate::route::{Choice, Lines, Trunk, TrunkAuth};
use crate::trunks::{
    Desk, Dialled, Outbound, TrunkState, Trunks, contact_user, diverted, hides, is_looked_after,
};

/// A call on its way to whichever trunk takes it.
pub(super) struct ByTrunks {
    pub(super) choices: Vec<Choice>,
    /// As the plan has made it.
    pub(super) number: String,
    /// As the caller dialled it.
    pub(super) dialled: String,
    pub(super) emergency: bool,
    /// Why the caller has sent the call on, if it is the one who did.
    pub(super) diverted: Option<String>,
}

impl ByTrunks {
    /// The same for a call that somebody may have sent on.
    pub(super) fn sent_on(self, asking: &Asking) -> Self {
        let diverted = asking.diverted_by.as_ref().and_then(|_| diverted(&asking.request));
        Self { diverted, ..self }
    }
}

/// A trunk by which a call came.
pub(super) struct Came<'c> {
    pub(super) at: usize,
    pub(super) trunk: &'c Trunk,
    /// The number that is called.
    pub(super) number: Option<String>,
}

/// The domains that the peers of open connections have proven by certificates (RFC 5922 §7.1).
#[derive(Default)]
pub(super) struct Peers(BTreeMap<ConnectionId, Arc<[String]>>);

impl Peers {
    fn is(&self, connection: Option<ConnectionId>, domain: &str) -> bool {
        let proven = connection.and_then(|connection| self.0.get(&connection));
        proven.is_some_and(|proven| proven.iter().any(|one| one == domain))
    }
}

impl Core {
    /// The peer of a connection is of these domains; of none: the connection is over.
    pub(crate) fn proven(&mut self, connection: ConnectionId, domains: Arc<[String]>) {
        if domains.is_empty() {
            self.peers.0.remove(&connection);
        } else if self.peers.0.len() < MOST_PEERS {
            self.peers.0.insert(connection, domains);
        }
    }

    /// The trunk by which a request for somebody here came, if it came by one. What it says of its sender is never looked
    /// at: a trunk with addresses is known by these, one with a TLS name by its certificate, one with a password by our
    /// Contact, which nobody else has, or a number of it, at the addresses of its servers. A carrier may have several trunks
    /// at the same addresses.
    pub(super) fn trunk_of(&self, request: &Request, from: &Flow) -> Option<Came<'_>> {
        if self.config.trunks.is_empty() {
            return None;
        }
        let uri = request.uri().ok()?;
        let trunks = || self.config.trunks.iter().enumerate();
        let all = || trunks().filter_map(|(at, trunk)| self.came(at, trunk, from, &uri, request));
        all().find(|came| came.number.is_some()).or_else(|| all().next())
    }

    fn came<'c>(
        &'c self,
        at: usize,
        trunk: &'c Trunk,
        from: &Flow,
        uri: &Uri,
        request: &Request,
    ) -> Option<Came<'c>> {
        let is_ours = |host: &str| self.config.serves(host);
        let named = |uri: &Uri| trunk.number(uri, &self.config.plan.numbering, is_ours).map(str::to_owned);
        let ip = from.remote.ip().to_canonical();
        let is_from = match &trunk.auth {
            TrunkAuth::Address => trunk.is_in_networks(ip),
            TrunkAuth::Tls(domain) => self.peers.is(from.connection, domain),
            TrunkAuth::Password(_) => trunk.is_in_networks(ip) || self.trunks.is_server(at, ip),
        };
        if !is_from {
            return None;
        }
        let number = match &trunk.auth {
            TrunkAuth::Address | TrunkAuth::Tls(_) => named(uri),
            TrunkAuth::Password(_) if self.is_contact_of(trunk, uri) => {
                let called = called(request);
                called.iter().find_map(named).or_else(|| the_only_number(trunk, &called))
            }
            // Without our Contact there is nothing but the number to tell by.
            TrunkAuth::Password(_) => Some(named(uri)?),
        };
        Some(Came { at, trunk, number })
    }

    /// What a request is for that names a host which is not ours, but a number of the trunk by which it came: many carriers
    /// write a domain of their own there.
    pub(super) fn number_of_trunk(&self, request: &Request, from: &Flow) -> Option<Uri> {
        let came = self.trunk_of(request, from).filter(|came| came.trunk.account().is_none())?;
        let host = Host::parse(self.config.domains.first()?)?;
        Some(SipUri::new(Some(&came.number?), host).into())
    }

    fn is_contact_of(&self, trunk: &Trunk, uri: &Uri) -> bool {
        let contact = contact_user(trunk, &self.config.key);
        user_of(uri)
            .is_some_and(|user| subtle::ConstantTimeEq::ct_eq(user.as_bytes(), contact.as_bytes()).into())
    }

    /// Whether a user of a Request-URI is our Contact at some trunk.
    pub(super) fn is_contact_of_trunk(&self, user: &str) -> bool {
        let is = |trunk: &Trunk| {
            let contact = contact_user(trunk, &self.config.key);
            bool::from(subtle::ConstantTimeEq::ct_eq(user.as_bytes(), contact.as_bytes()))
        };
        self.config.trunks.iter().filter(|trunk| trunk.account().is_some()).any(is)
    }

    /// The trunk by which a call came that has to be talked with in a dialog of ours.
    pub(super) fn trunk_with_leg(&self, request: &Request, caller: &Caller, from: &Flow) -> Option<usize> {
        if self.config.trunks.is_empty() || caller.account().is_some() {
            return None;
        }
        self.trunk_of(request, from).filter(|came| came.trunk.is_bridged()).map(|came| came.at)
    }

    /// Sends a call out by one of several trunks, in a dialog of ours.
    pub(super) fn by_trunks(
        &mut self,
        server: ServerId,
        asking: Asking,
        by: ByTrunks,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 30));
        }
        if *asking.request.method() != Method::Invite {
            let refusal = Refusal::new(Status::METHOD_NOT_ALLOWED, "Only calls go by this trunk");
            return Err(refusal.with(Name::Allow, "INVITE, ACK, CANCEL, BYE"));
        }
        let call_id = asking.request.call_id().unwrap_or_default();
        let Paid { targets, charged } =
            self.lines(&by, hides(&asking.request), (&asking.caller, call_id), cx)?;
        let concern =
            |target: &Target| self.concern_by(&asking, None, target.line.as_ref().map(|line| line.trunk));
        let targets: Vec<Target> =
            targets.into_iter().map(|target| Target { concern: concern(&target), ..target }).collect();
        let ByTrunks { dialled, emergency, .. } = by;
        if let Some(call) = asking.bridged {
            self.charge(charged, call, cx);
            self.send_on(Onward { server, asking, account: None, targets, rings_for: None }, cx);
            return Ok(());
        }
        let called = Called { dialled: dialled.clone(), emergency, ..Called::default() };
        let arriving = Arriving { server, asking: &asking, called: &called, targets };
        let (bridged, mut env, _) = self.bridged(cx);
        let (id, mut calls) = Calls::new(bridged, &mut env, arriving);
        let begun = calls.bridge(id, Shown::AsItSays);
        self.charge(charged, id, cx);
        begun
    }

    /// The trunks that may carry a call, in the order in which they are tried, and what the call is charged to.
    ///
    /// # Errors
    /// What the caller is told if there is none, or its account has spent what it may.
    pub(super) fn lines(
        &mut self,
        by: &ByTrunks,
        private: bool,
        (caller, call_id): (&Caller, &str),
        cx: &mut Context<'_>,
    ) -> Result<Paid, Refusal> {
        let ByTrunks { choices, number, dialled, emergency, diverted } = by;
        let (diverted, emergency) = (diverted.as_deref(), *emergency);
        let charge = self.afford((caller, call_id), number, emergency, cx)?;
        let charged = charge.as_ref().map(|charge| charge.id);
        let cost = self.cost(charge, number);
        let call = Dialled { private, diverted, caller, number, dialled, emergency, cost: &cost };
        let order = self.trunks.in_order(choices, &self.config, cx.now, cx.rng);
        let targets: Vec<Target> =
            order.iter().zip((0..1_000).rev()).filter_map(|(at, q)| self.by_line(*at, q, call)).collect();
        if targets.is_empty() {
            self.forgo(charged, cx);
            return Err(Refusal::new(Status::BAD_GATEWAY, self.why_none(&order)));
        }
        Ok(Paid { targets, charged })
    }

    /// A trunk as a target: its first server, the others being alternatives.
    fn by_line(&self, at: usize, q: u16, call: Dialled<'_>) -> Option<Target> {
        let (trunk, state) = (self.config.trunks.get(at)?, self.trunks.state(at)?);
        let (outbound, uri) = Outbound::new(at, trunk, call, &self.config);
        let line = std::sync::Arc::new(outbound);
        let domain = trunk.domain();
        let mut servers = state.servers.iter().map(|flow| Target {
            uri: uri.to_string(),
            q,
            flow: *flow,
            behind_nat: false,
            path: state.service_route.clone(),
            media: None,
            refused: 0,
            domain: Some(domain.clone()),
            asserted: None,
            account: None,
            line: Some(std::sync::Arc::clone(&line)),
            member: None,
            after: None,
            concern: None,
            alternatives: Vec::new(),
        });
        let first = servers.next()?;
        Some(Target { alternatives: servers.collect(), ..first })
    }

    /// Why no trunk can be tried, in words.
    fn why_none(&self, order: &[usize]) -> String {
        let why = |at: &usize| {
            let (trunk, state) = (self.config.trunks.get(*at)?, self.trunks.state(*at)?);
            Some(format!("The trunk {} cannot be used: {}", trunk.name, state.usable().err()?))
        };
        order.iter().find_map(why).unwrap_or_else(|| "The plan names a trunk that is not there".into())
    }

    /// Other rules and lines are in force from now on. What belongs to calls under way stays: a line that is no longer there,
    /// or is elsewhere, keeps its place for them, and takes no new ones.
    pub(super) fn take_over(&mut self, lines: &Lines, cx: &mut Context<'_>) {
        self.config.plan = lines.plan.clone();
        let mut new = lines.trunks.clone();
        for at in 0..self.config.trunks.len() {
            let old = &self.config.trunks[at];
            if old.retired {
                continue;
            }
            match new.iter().position(|one| one.is_same_line(old)) {
                Some(found) => self.config.trunks[at] = new.remove(found),
                None => {
                    self.tend(cx, |trunks, desk| trunks.retire(at, desk));
                    self.config.trunks[at].retire();
                }
            }
        }
        self.config.trunks.extend(new);
        self.trunks.refresh(&self.config, cx);
    }

    /// Lends what looking after trunks takes.
    pub(super) fn tend(&mut self, cx: &mut Context<'_>, work: impl FnOnce(&mut Trunks, &mut Desk<'_, '_>)) {
        let mut desk =
            Desk { config: &self.config, transactions: &mut self.transactions, usages: &mut self.usages, cx };
        work(&mut self.trunks, &mut desk);
    }

    pub(crate) fn trunks_kept(&self) -> impl Iterator<Item = usize> + use<> {
        self.trunks.kept()
    }

    /// Another shard says what it knows of a trunk.
    pub(crate) fn note_trunk(&mut self, trunk: usize, state: TrunkState) {
        self.trunks.note(trunk, state);
    }

    /// Another shard says how many calls a trunk has there.
    pub(crate) fn note_trunk_load(&mut self, shard: u8, trunk: usize, calls: u32, begun: u32, now: Instant) {
        self.trunks.load.note(shard, trunk, calls, begun, now);
    }

    /// The trunks as an operator sees them.
    pub(super) fn trunk_reports(&self, now: Instant) -> Vec<TrunkReport> {
        let report = |(at, trunk): (usize, &Trunk)| TrunkReport {
            name: trunk.name.clone(),
            server: trunk.next_hop().to_string(),
            username: trunk.account().map(|account| account.username.clone()),
            numbers: trunk.numbers.clone(),
            max_calls: trunk.max_calls,
            state: self.trunks.state(at).filter(|_| is_looked_after(trunk, &self.config)).cloned(),
            calls: self.trunks.load.calls(at),
            busy: self.trunks.is_busy(at, now),
        };
        self.config.trunks.iter().enumerate().filter(|(_, trunk)| !trunk.retired).map(report).collect()
    }
}

/// More connections than there are, whoever opened them.
const MOST_PEERS: usize = 16_384;

/// Where a call goes, and the charges that there are for it.
pub(super) struct Paid {
    pub(super) targets: Vec<Target>,
    pub(super) charged: Option<u64>,
}

impl Paid {
    /// Takes over others who are called beside these, of whom one answers. The charge that there was before is not needed
    /// any more.
    pub(super) fn add(&mut self, Self { targets, charged }: Self) -> Option<u64> {
        self.targets.extend(targets);
        if charged.is_some() { std::mem::replace(&mut self.charged, charged) } else { None }
    }
}

/// Whom a call at our Contact is for: what the provider's proxy wrote over (RFC 7315 §4.2), then To.
fn called(request: &Request) -> Vec<Uri> {
    let original = request.raw_other("P-Called-Party-ID");
    let original = original.and_then(|value| NameAddr::parse(value.to_vec().into()).ok());
    original.into_iter().chain(request.to().ok().map(|to| to.detach())).map(|one| one.uri).collect()
}

/// A trunk with one number needs nobody to say which; one without any takes the number as it is.
fn the_only_number(trunk: &Trunk, called: &[Uri]) -> Option<String> {
    let is_number = |user: &String| TelUri::new(user).is_some();
    match &trunk.numbers[..] {
        [only] => Some(only.clone()),
        [] => called.iter().filter_map(user_of).find(is_number),
        _ => None,
    }
}
