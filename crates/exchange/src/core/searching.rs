//! Those whom services call in other domains, and by trunks that nobody looks after: their servers are found in the DNS first
//! (RFC 3263), as those of forwarded calls are.

use std::collections::BTreeMap;
use std::sync::Arc;

use offhook_sip::{SipUri, Status};
use offhook_sip_stack::Flow;
use offhook_sip_stack::locate::{DnsAnswer, DnsFailure, Hop, Lookup, Question, Step};

use super::Core;
use super::outward::To;
use super::trunks::Paid;
use crate::b2bua::Wanted;
use crate::context::{Alarm, Context};
use crate::identity::Caller;
use crate::proxy::{LONGEST_SEARCH, Target, server_targets, unfound, unreachable};
use crate::refusal::Refusal;
use crate::trunks::{Dialled, Outbound};

/// Calls of services that wait for the DNS.
#[derive(Default)]
pub(super) struct Searches {
    issued: u64,
    open: BTreeMap<u64, Search>,
    questions: BTreeMap<u64, (u64, usize, Question)>,
}

/// One call, and all the places at which somebody is to be called for it.
struct Search {
    wanted: Wanted,
    /// What is known already.
    found: Paid,
    /// Why something else is not.
    why: Option<Refusal>,
    places: Vec<Place>,
}

/// One place whose servers are looked for.
pub(super) struct Place {
    to: SipUri,
    planned: bool,
    /// What is said to the trunk that it is.
    line: Option<Arc<Outbound>>,
    /// `None`: it has been found, or never will be.
    lookup: Option<Lookup>,
    first: Vec<Question>,
}

impl Searches {
    /// Whether a ticket, or the number in an alarm, is of ours.
    pub(super) const fn is_ours(number: u64) -> bool {
        number & OURS != 0
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.questions.is_empty()
    }

    fn next(&mut self) -> u64 {
        self.issued += 1;
        OURS | self.issued
    }

    fn ask(&mut self, (search, place): (u64, usize), questions: Vec<Question>, cx: &mut Context<'_>) {
        for question in questions {
            let ticket = self.next();
            cx.out.resolves.push((ticket, question.clone()));
            self.questions.insert(ticket, (search, place, question));
        }
    }
}

impl Core {
    /// A place outside at which a service calls somebody, and what that is charged to.
    ///
    /// # Errors
    /// If the caller may not go there, has spent what it may, or nothing can be sent to such a URI.
    pub(super) fn place(
        &mut self,
        to: To,
        (caller, call_id): (&Caller, &str),
        cx: &mut Context<'_>,
    ) -> Result<(Place, Option<u64>), Refusal> {
        let To { uri, planned, emergency, by, .. } = to;
        if !planned && (caller.account().is_none() || !self.config.other_domains) {
            return Err(Refusal::new(Status::FORBIDDEN, "Other domains are not reached from here"));
        }
        let to = uri.without_headers();
        let (lookup, first) =
            Lookup::start(&to, &self.config.spoken()).map_err(|why| unreachable(why, &to))?;
        let trunk = by.and_then(|by| {
            let at = self.config.trunks.iter().position(|trunk| trunk.name == by.trunk && !trunk.retired)?;
            Some((by, at))
        });
        let (mut line, mut charged) = (None, None);
        if let Some((by, at)) = trunk {
            let charge = self.afford((caller, call_id), &by.number, emergency, cx)?;
            charged = charge.as_ref().map(|charge| charge.id);
            let cost = self.cost(charge, &by.number);
            let (number, dialled) = (by.number.as_str(), by.dialled.as_str());
            let call =
                Dialled { private: false, diverted: None, caller, number, dialled, emergency, cost: &cost };
            line = self
                .config
                .trunks
                .get(at)
                .map(|trunk| Arc::new(Outbound::new(at, trunk, call, &self.config).0));
        }
        Ok((Place { to, planned, line, lookup: Some(lookup), first }, charged))
    }

    /// Looks for the servers of these places, and calls all whom a service wants when that is over.
    pub(super) fn search(
        &mut self,
        wanted: Wanted,
        (found, why): (Paid, Option<Refusal>),
        mut places: Vec<Place>,
        cx: &mut Context<'_>,
    ) {
        let number = self.searches.next();
        self.usages.sought.insert(wanted.call);
        for (at, place) in places.iter_mut().enumerate() {
            let first = std::mem::take(&mut place.first);
            self.searches.ask((number, at), first, cx);
        }
        self.searches.open.insert(number, Search { wanted, found, why, places });
        cx.timers.arm(cx.now + LONGEST_SEARCH, Alarm::Search(number));
    }

    /// The DNS has answered one of our questions.
    pub(super) fn searched(&mut self, ticket: u64, answer: DnsAnswer, cx: &mut Context<'_>) {
        let Some((number, at, question)) = self.searches.questions.remove(&ticket) else { return };
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let Some(place) = search.places.get_mut(at) else { return };
        let Some(lookup) = &mut place.lookup else { return };
        match lookup.answer(&question, answer, cx.rng) {
            Step::Wait => return,
            Step::Ask(questions) => return self.searches.ask((number, at), questions, cx),
            Step::Found(hops) => {
                place.lookup = None;
                self.place_found((number, at), &hops, cx);
            }
            Step::Failed(failure) => {
                place.lookup = None;
                search.why = Some(unfound(failure, &place.to));
            }
        }
        self.search_ends(number, cx);
    }

    /// A search has lasted too long: whoever is found until now is called.
    pub(super) fn search_timeout(&mut self, number: u64, cx: &mut Context<'_>) {
        self.searches.questions.retain(|_, (search, ..)| *search != number);
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        for place in &mut search.places {
            if place.lookup.take().is_some() {
                search.why = Some(unfound(DnsFailure::Silent, &place.to));
            }
        }
        self.search_ends(number, cx);
    }

    fn place_found(&mut self, (number, at): (u64, usize), hops: &[Hop], cx: &mut Context<'_>) {
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let Some((place, hop)) = search.places.get(at).zip(hops.first()) else { return };
        // Who waits is who wants to go there; where nobody does, it is the exchange.
        let waiting = search.wanted.for_call.and_then(|call| self.bridged.party(call));
        let of_ours = || {
            let local = self.config.local_towards(hop)?;
            Some(Flow { transport: hop.target.transport, local, remote: local, connection: None })
        };
        let targets = match waiting.or_else(of_ours) {
            Some(way_in) => server_targets(hops, (&place.to, place.planned), &way_in, &self.config),
            None => Err(Status::TEMPORARILY_UNAVAILABLE.into()),
        };
        match self.proxy.order_servers(targets, cx.now) {
            Ok(target) => {
                let line = place.line.clone();
                let of_line = |one: Target| Target { line: line.clone(), ..one };
                let alternatives = target.alternatives.iter().cloned().map(of_line).collect();
                search.found.targets.push(Target { alternatives, ..of_line(target) });
            }
            Err(refusal) => search.why = Some(refusal),
        }
    }

    /// Calls those who were found, if no place is left to look for.
    fn search_ends(&mut self, number: u64, cx: &mut Context<'_>) {
        let is_over = |search: &Search| search.places.iter().all(|place| place.lookup.is_none());
        if !self.searches.open.get(&number).is_some_and(is_over) {
            return;
        }
        let Some(Search { wanted, found, why, .. }) = self.searches.open.remove(&number) else { return };
        let Paid { targets, charged } = found;
        // It may have been taken back meanwhile.
        if !self.usages.sought.remove(&wanted.call) || self.draining {
            return self.forgo(charged, cx);
        }
        let call = wanted.call;
        let targets = match why {
            Some(why) if targets.is_empty() => Err(why),
            _ => Ok(targets),
        };
        let (bridged, mut env, _) = self.bridged(cx);
        bridged.dial(wanted, targets, &mut env);
        self.charge(charged, call, cx);
    }
}

/// Apart from the proxy's numbers, and from those about trunks, about who is calling and about numbers.
const OURS: u64 = 1 << 60;
