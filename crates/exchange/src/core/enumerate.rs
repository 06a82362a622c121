//! Calls that wait for the DNS to say where a number is (ENUM, RFC 6116).

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use offhook_sip::{Method, Request, SipUri, Uri};
use offhook_sip_stack::locate::{DnsAnswer, Enumerated, Enumeration, Question};
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::outward::Way;
use crate::b2bua::Called;
use crate::context::Context;
use crate::proxy::Asking;
use crate::refusal::Refusal;

/// A number that is looked for in the DNS.
pub(super) struct Sought {
    /// Where in the DNS.
    pub(super) tree: String,
    pub(super) number: String,
    pub(super) dialled: String,
    /// Where the call goes if the number is not there.
    pub(super) otherwise: Result<Box<Way>, Refusal>,
}

/// Calls that wait.
#[derive(Default)]
pub(super) struct Enumerating {
    waiting: BTreeMap<ServerId, Waiting>,
    questions: HashMap<u64, ServerId>,
    issued: u64,
}

struct Waiting {
    asking: Asking,
    sought: Sought,
    search: Enumeration,
    since: Instant,
}

impl Enumerating {
    /// A call that no longer waits: it was cancelled, or its transaction is over.
    pub(super) fn forget(&mut self, server: ServerId) -> Option<Request> {
        Some(self.waiting.remove(&server)?.asking.request)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a ticket of [`Outbox::resolves`](crate::io::Outbox::resolves) is of a question of ours.
    pub(super) const fn is_ours(ticket: u64) -> bool {
        ticket & OURS != 0
    }

    fn ask(&mut self, server: ServerId, question: Question, cx: &mut Context<'_>) {
        self.issued += 1;
        let ticket = OURS | self.issued;
        self.questions.insert(ticket, server);
        cx.out.resolves.push((ticket, question));
    }
}

impl Core {
    /// Looks for a number in the DNS. A call that others have had before, or that has a leg of ours, does not wait: it goes as
    /// if the number were not there.
    pub(super) fn enumerate(
        &mut self,
        server: ServerId,
        asking: Asking,
        sought: Sought,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let is_new = asking.bridged.is_none() && asking.diverted_by.is_none() && asking.begun.is_none();
        let has_room = self.enumerating.waiting.len() < MOST_WAITING;
        let started = Enumeration::start(&sought.number, &sought.tree).filter(|_| is_new && has_room);
        let Some((search, question)) = started else {
            return self.go_otherwise(server, asking, sought, cx);
        };
        if *asking.request.method() == Method::Invite {
            self.transactions.trying(server, &mut cx.sip());
        }
        self.enumerating.ask(server, question, cx);
        self.enumerating.waiting.insert(server, Waiting { asking, sought, search, since: cx.now });
        Ok(())
    }

    /// The DNS has answered one of our questions.
    pub(super) fn enumerated(&mut self, ticket: u64, answer: DnsAnswer, cx: &mut Context<'_>) {
        let Some(server) = self.enumerating.questions.remove(&ticket) else { return };
        let Some(waiting) = self.enumerating.waiting.get_mut(&server) else { return };
        match waiting.search.answer(answer) {
            Enumerated::Ask(question) => self.enumerating.ask(server, question, cx),
            Enumerated::Found(uri) => self.end_search(server, Some(uri), cx),
            Enumerated::Nothing(_) => self.end_search(server, None, cx),
        }
    }

    /// Nobody waits for ever, whatever the adapter does.
    pub(super) fn end_enumerating(&mut self, cx: &mut Context<'_>) {
        let late = |one: &Waiting| cx.now.duration_since(one.since) > LONGEST_WAIT;
        let waiting = self.enumerating.waiting.iter();
        let late: Vec<_> = waiting.filter(|(_, one)| late(one)).map(|(server, _)| *server).collect();
        for server in late {
            self.end_search(server, None, cx);
        }
        let waiting = &self.enumerating.waiting;
        self.enumerating.questions.retain(|_, server| waiting.contains_key(server));
    }

    fn end_search(&mut self, server: ServerId, found: Option<SipUri>, cx: &mut Context<'_>) {
        let Some(Waiting { asking, sought, .. }) = self.enumerating.waiting.remove(&server) else { return };
        let (request, flow) = (asking.request.clone(), asking.from);
        let proven = asking.caller.account().is_some();
        if let Err(refusal) = self.go_where_it_is(server, asking, (sought, found), cx) {
            let refusal = if proven { refusal.proven() } else { refusal };
            self.refuse(server, &request, &flow, &refusal, cx);
        }
    }

    fn go_where_it_is(
        &mut self,
        server: ServerId,
        asking: Asking,
        (sought, found): (Sought, Option<SipUri>),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Some(uri) = found else { return self.go_otherwise(server, asking, sought, cx) };
        if !self.config.is_here(&uri, &asking.from) {
            return self.go(server, asking, Way::planned(uri), cx);
        }
        // Somebody here, by name: the plan is not asked again, which would be a loop.
        let user = uri.user_unescaped().unwrap_or_default().into_owned();
        match self.targets(&user, &Uri::Sip(uri), cx.unix()) {
            Ok(found) => self.go_to(server, asking, (Way::Phones(found), sought.dialled), cx),
            Err(_) => self.go_otherwise(server, asking, sought, cx),
        }
    }

    fn go_otherwise(
        &mut self,
        server: ServerId,
        asking: Asking,
        sought: Sought,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        self.go_to(server, asking, (*sought.otherwise?, sought.dialled), cx)
    }

    /// A call to an account passes the services of that account.
    fn go_to(
        &mut self,
        server: ServerId,
        asking: Asking,
        (way, dialled): (Way, String),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        match way {
            Way::Phones(found) if *asking.request.method() == Method::Invite => {
                self.ring(server, asking, found, Called { dialled, ..Called::default() }, cx)
            }
            way => self.go(server, asking, way, cx),
        }
    }
}

/// Tickets of our questions, apart from those of others.
const OURS: u64 = 1 << 61;
const MOST_WAITING: usize = 1_000;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
