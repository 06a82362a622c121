//! Those whom services call in other domains, by trunks that nobody looks after, and at numbers that the DNS may know (ENUM): where
//! they are is found in the DNS first, as for forwarded calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use offhook_sip::{SipUri, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::locate::{
    DnsAnswer, DnsFailure, Enumerated, Enumeration, Hop, Lookup, Question, Step,
};

use super::Core;
use super::enumerate::Sought;
use super::outward::{To, Way};
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

/// One place that is looked for.
pub(super) struct Place {
    seeks: Seeks,
    first: Vec<Question>,
}

#[derive(Default)]
enum Seeks {
    /// Where a number is.
    Number(Enumeration, Box<Sought>),
    /// Where the servers of a domain or a trunk are.
    Servers(Box<Servers>),
    /// It has been found, or never will be.
    #[default]
    Nothing,
}

struct Servers {
    to: SipUri,
    planned: bool,
    /// What is said to the trunk that it is.
    line: Option<Arc<Outbound>>,
    lookup: Lookup,
}

impl Place {
    /// Of a number; `Err` with the other way if none can be asked for.
    pub(super) fn of_number(sought: Box<Sought>) -> Result<Self, Result<Box<Way>, Refusal>> {
        match Enumeration::start(&sought.number, &sought.tree) {
            Some((search, first)) => Ok(Self { seeks: Seeks::Number(search, sought), first: vec![first] }),
            None => Err(sought.otherwise),
        }
    }
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
        let trunk = by.and_then(|by| self.config.trunk_named(&by.trunk).map(|at| (by, at)));
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
        let seeks = Seeks::Servers(Box::new(Servers { to, planned, line, lookup }));
        Ok((Place { seeks, first }, charged))
    }

    /// Looks for these places, and calls all whom a service wants when that is over.
    pub(super) fn search(
        &mut self,
        wanted: Wanted,
        (found, why): (Paid, Option<Refusal>),
        places: Vec<Place>,
        cx: &mut Context<'_>,
    ) {
        let number = self.searches.next();
        self.usages.sought.insert(wanted.call);
        self.searches.open.insert(number, Search { wanted, found, why, places: Vec::new() });
        self.also_search(number, places, cx);
        cx.timers.arm(cx.now + LONGEST_SEARCH, Alarm::Search(number));
    }

    fn also_search(&mut self, number: u64, places: Vec<Place>, cx: &mut Context<'_>) {
        for mut place in places {
            let first = std::mem::take(&mut place.first);
            let Some(search) = self.searches.open.get_mut(&number) else { return };
            search.places.push(place);
            let at = search.places.len() - 1;
            self.searches.ask((number, at), first, cx);
        }
    }

    /// The DNS has answered one of our questions.
    pub(super) fn searched(&mut self, ticket: u64, answer: DnsAnswer, cx: &mut Context<'_>) {
        let Some((number, at, question)) = self.searches.questions.remove(&ticket) else { return };
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let Some(place) = search.places.get_mut(at) else { return };
        match &mut place.seeks {
            Seeks::Nothing => return,
            Seeks::Number(enumeration, _) => match enumeration.answer(answer) {
                Enumerated::Ask(question) => return self.searches.ask((number, at), vec![question], cx),
                Enumerated::Found(uri) => self.number_found((number, at), Some(uri), cx),
                Enumerated::Nothing(_) => self.number_found((number, at), None, cx),
            },
            Seeks::Servers(servers) => match servers.lookup.answer(&question, answer, cx.rng) {
                Step::Wait => return,
                Step::Ask(questions) => return self.searches.ask((number, at), questions, cx),
                Step::Found(hops) => self.place_found((number, at), &hops, cx),
                Step::Failed(failure) => {
                    search.why = Some(unfound(failure, &servers.to));
                    place.seeks = Seeks::Nothing;
                }
            },
        }
        self.search_ends(number, cx);
    }

    /// A search has lasted too long: whoever is found until now is called. Where a number is does not matter any more, but the
    /// other way to it may take a search of its own.
    pub(super) fn search_timeout(&mut self, number: u64, cx: &mut Context<'_>) {
        self.searches.questions.retain(|_, (search, ..)| *search != number);
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let mut numbers = Vec::new();
        for (at, place) in search.places.iter_mut().enumerate() {
            match &place.seeks {
                Seeks::Nothing => {}
                Seeks::Number(..) => numbers.push(at),
                Seeks::Servers(servers) => {
                    search.why = Some(unfound(DnsFailure::Silent, &servers.to));
                    place.seeks = Seeks::Nothing;
                }
            }
        }
        if !numbers.is_empty() {
            cx.timers.arm(cx.now + LONGEST_SEARCH, Alarm::Search(number));
        }
        numbers.into_iter().for_each(|at| self.number_found((number, at), None, cx));
        self.search_ends(number, cx);
    }

    /// The DNS has said where a number is, or does not know it.
    fn number_found(&mut self, (number, at): (u64, usize), found: Option<SipUri>, cx: &mut Context<'_>) {
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let Some(place) = search.places.get_mut(at) else { return };
        let Seeks::Number(_, sought) = std::mem::take(&mut place.seeks) else { return };
        let (caller, call_id) = self.caller_of(number);
        let way = match found {
            None => sought.otherwise.map(|way| *way),
            Some(uri) if !self.config.serves(&uri.host().to_string()) => Ok(Way::planned(uri)),
            Some(uri) => {
                // Somebody here, by name: the plan is not asked again, which would be a loop.
                let user = uri.user_unescaped().unwrap_or_default().into_owned();
                let found = self.targets(&user, &Uri::Sip(uri), cx.unix());
                found.map(Way::Phones).or_else(|_| sought.otherwise.map(|way| *way))
            }
        };
        let mut places = Vec::new();
        let by = way.and_then(|way| self.targets_by(way, (&caller, &call_id), &mut places, cx));
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        match by {
            Ok(paid) => {
                let before = search.found.add(paid);
                self.forgo(before, cx);
            }
            Err(refusal) => search.why = Some(refusal),
        }
        self.also_search(number, places, cx);
    }

    /// Who calls in a search, and the Call-ID of its call.
    fn caller_of(&self, number: u64) -> (Caller, String) {
        let Some(search) = self.searches.open.get(&number) else { return (Caller::Stranger, String::new()) };
        self.caller_for(&search.wanted)
    }

    fn place_found(&mut self, (number, at): (u64, usize), hops: &[Hop], cx: &mut Context<'_>) {
        let Some(search) = self.searches.open.get_mut(&number) else { return };
        let Some((place, hop)) = search.places.get_mut(at).zip(hops.first()) else { return };
        let Seeks::Servers(servers) = std::mem::take(&mut place.seeks) else { return };
        let Servers { to, planned, line, .. } = *servers;
        // Who waits is who wants to go there; where nobody does, it is the exchange.
        let waiting = search.wanted.for_call.and_then(|call| self.bridged.party(call));
        let of_ours = || {
            let local = self.config.local_towards(hop)?;
            Some(Flow { transport: hop.target.transport, local, remote: local, connection: None })
        };
        let targets = match waiting.or_else(of_ours) {
            Some(way_in) => server_targets(hops, (&to, planned), &way_in, &self.config),
            None => Err(Status::TEMPORARILY_UNAVAILABLE.into()),
        };
        match self.proxy.order_servers(targets, cx.now) {
            Ok(target) => {
                let of_line = |one: Target| Target { line: line.clone(), ..one };
                let alternatives = target.alternatives.iter().cloned().map(of_line).collect();
                search.found.targets.push(Target { alternatives, ..of_line(target) });
            }
            Err(refusal) => search.why = Some(refusal),
        }
    }

    /// Calls those who were found, if no place is left to look for.
    fn search_ends(&mut self, number: u64, cx: &mut Context<'_>) {
        let is_over =
            |search: &Search| search.places.iter().all(|place| matches!(place.seeks, Seeks::Nothing));
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
