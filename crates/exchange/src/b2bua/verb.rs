//! What a service may do with calls. It sees who calls whom, never SIP.

use std::time::Duration;

use offhook_media::camera::{CameraId, Coding};
use offhook_sip::{Host, Name, NameAddr, SipUri, Status};
use offhook_sip_stack::dialog::MAX_FORWARDS;
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::{Body, Invite};
use rand::RngExt as _;

use super::call::{About, CALLER, Call, With};
use super::end::End;
use super::leg::{self, Leg};
use super::ring::{Asked, Ring};
use super::unanswered::{Kept, Onward, diversions};
use super::{CallId, Env, MOST_CALLS, Table, usage};
use crate::core::extensions;
use crate::directory::{Account, AddressOfRecord, Answering};
use crate::event::Event;
use crate::identity::{self, Caller};
use crate::locality::user_of;
use crate::proxy::signed_route::Party;
use crate::proxy::{Asking, Target, is_behind_nat};
use crate::refusal::Refusal;
use crate::screening;
use crate::trunks;

/// The calls, lent to a service for one point.
pub(crate) struct Calls<'c, 'a, 'b> {
    pub(super) table: &'c mut Table,
    pub(super) env: &'c mut Env<'a, 'b>,
    arriving: Option<(CallId, Arriving<'c>)>,
    rings_for: Option<Option<Duration>>,
    /// The number of the service that they are lent to.
    pub(crate) service: usize,
}

/// An INVITE that is no call of ours yet.
pub(crate) struct Arriving<'c> {
    pub(crate) server: ServerId,
    pub(crate) asking: &'c Asking,
    pub(crate) called: &'c Called,
    /// Where that user is, once that is known.
    pub(crate) targets: Vec<Target>,
}

/// Who is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Called {
    /// The user, unescaped.
    pub(crate) dialled: String,
    /// Whose phones it is for, once that is known.
    pub(crate) account: Option<AddressOfRecord>,
    /// How that account wants its calls answered, if not as usual.
    pub(crate) answering: Option<Answering>,
    /// Whether help is called, which has no limits.
    pub(crate) emergency: bool,
    /// Whether it takes the place of another in a call (RFC 3891).
    pub(crate) replaces: bool,
}

/// How the caller appears to those who are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Under the address that it gives itself, vouched for by us if it may be.
    AsItSays,
    /// As nobody in particular.
    Anonymous,
}

/// What a caller wants hidden (RFC 3323 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privacy {
    /// Who it is.
    pub(crate) user: bool,
    /// Where it is: in the headers that a phone needs, or in the session.
    pub(crate) place: bool,
}

/// What a caller may talk with that is no phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Its own sound, and the keys that it presses.
    Echo,
    /// The service, which speaks and listens.
    Voice,
    /// The same, beside the pictures of a camera that are coded so.
    Camera(CameraId, Coding),
}

impl<'c, 'a, 'b> Calls<'c, 'a, 'b> {
    /// For a call that arrives.
    pub(crate) fn new(
        table: &'c mut Table,
        env: &'c mut Env<'a, 'b>,
        arriving: Arriving<'c>,
    ) -> (CallId, Self) {
        let id = arriving.asking.bridged.unwrap_or_else(|| table.next());
        let rings_for = arriving.asking.hunt.as_ref().map(|hunt| Some(hunt.group.rings_for));
        (id, Self { table, env, arriving: Some((id, arriving)), rings_for, service: 0 })
    }

    /// For a point in the life of a call.
    pub(crate) fn at_point(table: &'c mut Table, env: &'c mut Env<'a, 'b>, service: usize) -> Self {
        Self { table, env, arriving: None, rings_for: None, service }
    }

    /// The number or user that was called, of a call that arrives.
    pub(crate) fn dialled(&self, call: CallId) -> Option<&str> {
        self.arriving(call).map(|one| one.called.dialled.as_str())
    }

    /// Whether a call that arrives comes from an account, or from anyone where nobody has to prove who it is.
    pub(crate) fn is_from_account(&self, call: CallId) -> bool {
        self.arriving(call)
            .is_some_and(|one| matches!(one.asking.caller, Caller::Account(_) | Caller::Unproven))
    }

    /// The account that has sent a call on to where it arrives.
    pub(crate) fn diverted_by(&self, call: CallId) -> Option<AddressOfRecord> {
        self.arriving(call)?.asking.diverted_by.as_ref().map(|account| account.address.clone())
    }

    /// The account on whose behalf a call that arrives is made, by its own word: a phone that follows a REFER (RFC 3892).
    pub(crate) fn referred_by(&self, call: CallId) -> Option<AddressOfRecord> {
        let by = self.arriving(call)?.asking.request.referred_by().ok().flatten()?;
        let host = by.uri.as_sip()?.host().to_string();
        let found = self.env.directory.find(&user_of(&by.uri)?, &host, &self.env.config.domains);
        found.map(|account| account.address.clone())
    }

    /// The account that is called.
    pub(crate) fn called(&self, call: CallId) -> Option<AddressOfRecord> {
        self.arriving(call)?.called.account.clone()
    }

    /// The account of the one who calls, of a call that arrives. Where nobody has to prove who it is, its word counts.
    pub(crate) fn caller_account(&self, call: CallId) -> Option<AddressOfRecord> {
        let arriving = self.arriving(call)?;
        match &arriving.asking.caller {
            Caller::Account(account) => Some(account.address.clone()),
            Caller::Unproven => {
                let user = user_of(&arriving.asking.request.from().ok()?.uri)?;
                Some(AddressOfRecord::new(&user, &self.env.config.realm))
            }
            Caller::Stranger | Caller::Checked(_) => None,
        }
    }

    /// The number of the one who calls, or else its user, of a call that arrives.
    pub(crate) fn caller_number(&self, call: CallId) -> Option<String> {
        let arriving = self.arriving(call)?;
        match &arriving.asking.caller {
            Caller::Account(Account { number: Some(number), .. }) => Some(number.clone()),
            Caller::Account(_) | Caller::Unproven | Caller::Stranger | Caller::Checked(_) => {
                user_of(&arriving.asking.request.from().ok()?.uri)
            }
        }
    }

    /// When the last call of a member of a group ended: `None` before anything else, for one that has had none.
    pub(crate) fn free_since(&self, member: &str) -> Option<std::time::Instant> {
        let address = AddressOfRecord::parse(member).ok().or_else(|| self.account_of(member))?;
        self.env.active.members.free_since(&address)
    }

    /// A number by chance.
    pub(crate) fn chance(&mut self) -> u32 {
        self.env.cx.rng.random()
    }

    /// The account that is reached by a number or a user.
    pub(crate) fn account_of(&self, user: &str) -> Option<AddressOfRecord> {
        let Env { config, directory, .. } = &*self.env;
        let found = directory.find(user, &config.realm, &config.domains);
        found.map(|account| account.address.clone())
    }

    /// Whether an account may make phones answer by themselves.
    pub(crate) fn may_intercom(&self, by: &AddressOfRecord) -> bool {
        self.env.directory.rights(by).is_some_and(|rights| rights.intercom)
    }

    /// Whether an account may listen to the calls of another.
    pub(crate) fn may_supervise(&self, by: &AddressOfRecord, account: &AddressOfRecord) -> bool {
        let number = self.number_of(account);
        let names = [account.user(), account.as_str(), number.as_str()];
        self.env.directory.rights(by).is_some_and(|rights| rights.may_supervise(&names))
    }

    /// The number of an account, or else its user if that is one.
    pub(crate) fn number_of(&self, account: &AddressOfRecord) -> String {
        let number = self.env.directory.account(account).and_then(|account| account.number.clone());
        number.unwrap_or_else(|| account.user().to_owned())
    }

    /// Whether a call came by a trunk that has to be talked with in a dialog of ours.
    pub(crate) fn is_by_trunk(&self, call: CallId) -> bool {
        self.arriving(call).is_some_and(|one| one.asking.trunk.is_some())
    }

    /// What a call that arrives asks to be hidden.
    pub(crate) fn privacy(&self, call: CallId) -> Privacy {
        let Some(arriving) = self.arriving(call) else { return Privacy::default() };
        let asks = |kinds: &[&str]| identity::asks_privacy(&arriving.asking.request, kinds);
        Privacy { user: asks(&["user"]), place: asks(&["header", "session"]) }
    }

    /// How the account that is called wants its calls answered, if not as usual.
    pub(crate) fn answering(&self, call: CallId) -> Option<&'c Answering> {
        self.arriving(call)?.called.answering.as_ref()
    }

    /// Whether there are phones that a call may go to.
    pub(crate) fn has_phones(&self, call: CallId) -> bool {
        self.arriving(call).is_some_and(|one| !one.targets.is_empty())
    }

    /// Whether a caller does not show who it is.
    pub(crate) fn is_anonymous(&self, call: CallId) -> bool {
        let Some(arriving) = self.arriving(call) else { return false };
        screening::is_anonymous(&arriving.asking.request)
    }

    /// Whether the account that is called turns this caller away.
    pub(crate) fn is_blocked(&self, call: CallId) -> bool {
        let Some((arriving, answering)) = self.arriving(call).zip(self.answering(call)) else { return false };
        screening::is_turned_away(answering, &arriving.asking.caller, &arriving.asking.request)
    }

    /// Services are asked again when nobody takes a call that is on its way to phones; after they have rung for this
    /// long, or as long as they may.
    pub(crate) fn attend(&mut self, rings_for: Option<Duration>) {
        let before = self.rings_for.flatten();
        let sooner = [before, rings_for].into_iter().flatten().min();
        self.rings_for = Some(sooner);
    }

    /// Answers a call that arrives, with an end of ours.
    ///
    /// # Errors
    /// What the caller is told when that cannot be: then there is no call.
    pub(crate) fn answer(&mut self, call: CallId, endpoint: Endpoint) -> Result<(), Refusal> {
        if let Some(arriving) = self.arriving(call).filter(|one| one.asking.bridged.is_some()) {
            let asking = arriving.asking;
            return self.table.take_over(call, asking, (endpoint, self.service), self.env);
        }
        let Some((mut new, body, anchor)) = self.meet(call, endpoint)? else { return Ok(()) };
        new.answer(body, Some(anchor), self.env);
        self.table.insert(new, self.env);
        Ok(())
    }

    /// Whether a caller may hear something before it is answered.
    pub(crate) fn can_hear_early(&self, call: CallId) -> bool {
        let is_new = |one: &&Arriving<'_>| one.asking.bridged.is_none();
        let arriving = self.arriving(call).filter(is_new);
        arriving.and_then(|one| Body::of(&one.asking.request)).is_some_and(|body| body.is_sdp())
    }

    /// Lets a caller hear an end of ours before it is answered (RFC 3960 §3.2), which the service ends with [`Calls::refuse`].
    ///
    /// # Errors
    /// What the caller is told when that cannot be: then there is no call.
    pub(crate) fn speak_early(&mut self, call: CallId) -> Result<(), Refusal> {
        let Some((mut new, body, _)) = self.meet(call, Endpoint::Voice)? else { return Ok(()) };
        new.enter_first(self.env, |invite, stack| {
            invite.provisional(Status::SESSION_PROGRESS, Some(body), stack);
        });
        self.table.insert(new, self.env);
        Ok(())
    }

    /// Refuses a call that has not been answered.
    pub(crate) fn refuse(&mut self, call: CallId, refusal: &Refusal) {
        if let Some(one) = self.table.calls.get_mut(&call).filter(|one| !one.has_ended()) {
            one.hang_up(&refusal.reason, (refusal.status, &refusal.reason), self.env);
        }
        self.table.settle(call, self.env);
    }

    /// A call that arrives with an end of ours, and what its caller is to be told of that. Where the INVITE cannot make a call
    /// it has been answered already.
    fn meet(&mut self, call: CallId, endpoint: Endpoint) -> Result<Option<(Call, Body, u64)>, Refusal> {
        let (about, party) = self.begin(call)?;
        let mut end = End::new(&about.call_id, (party, about.trunk), endpoint, self.env);
        let anchor = end.anchor;
        if let Some(anchor) = self.env.anchors.get_mut(anchor, &about.call_id) {
            anchor.bridged = Some(call);
        }
        let offer = self.arriving(call).and_then(|one| Body::of(&one.asking.request));
        let body = match offer {
            Some(offer) => end.answer(&offer, self.env),
            None => end.offer(self.env),
        };
        let begun = body.map(|body| self.receive(call, &party).map(|leg| (leg, body)));
        match begun {
            Ok(Some((caller, body))) => {
                self.started(&about, 1);
                let with = With::End(Box::new(end));
                Ok(Some((self.call(call, caller, with, about), body, anchor)))
            }
            other => {
                self.env.anchors.close(anchor, self.env.cx);
                self.forget(&about);
                other.map(|_| None)
            }
        }
    }

    /// Calls those that a call that arrives is for, from a dialog of our own: they learn of the caller no more than is
    /// shown of it.
    ///
    /// # Errors
    /// What the caller is told when that cannot be: then there is no call.
    pub(crate) fn bridge(&mut self, call: CallId, shown: Shown) -> Result<(), Refusal> {
        let rings_for = self.rings_for;
        if let Some((_, arriving)) =
            self.arriving.as_mut().filter(|(id, one)| *id == call && one.asking.bridged.is_some())
        {
            let targets = of_account(std::mem::take(&mut arriving.targets), arriving.called.account.as_ref());
            let (server, account) = (arriving.server, arriving.called.account.clone());
            let onward = Onward { server, asking: arriving.asking.clone(), account, targets, rings_for };
            self.table.go_on(call, onward, self.env);
            return Ok(());
        }
        let (about, party) = self.begin(call)?;
        let Some(asked) = self.arriving(call).and_then(|one| asked(one, party, shown)) else {
            self.forget(&about);
            return Err(Status::BAD_REQUEST.into());
        };
        let Some(caller) = self.receive(call, &party) else {
            self.forget(&about);
            return Ok(());
        };
        let Some((_, arriving)) = &mut self.arriving else { return Ok(()) };
        let targets = of_account(std::mem::take(&mut arriving.targets), arriving.called.account.as_ref());
        self.env.transactions.trying(arriving.server, &mut self.env.cx.sip());
        let (asking, account) = (arriving.asking.clone(), arriving.called.account.clone());
        let kept = Kept::new(arriving.server, asking, account, rings_for.is_some());
        self.started(&about, targets.len());
        let with = With::Phones(Box::new(Ring::new(asked, targets, Some(kept))));
        let mut new = self.call(call, caller, with, about);
        new.wait_for_answer(rings_for.flatten(), self.env);
        new.ring(self.env);
        self.table.insert(new, self.env);
        Ok(())
    }

    /// What a call that arrives is known by, if there may be one more, and the way to its caller.
    fn begin(&mut self, call: CallId) -> Result<(About, Party), Refusal> {
        let Some(&Arriving { asking, called, .. }) = self.arriving(call) else {
            return Err(Status::SERVER_INTERNAL_ERROR.into());
        };
        let Asking { request, from, caller, begun, trunk, .. } = asking;
        let most_calls = if called.emergency { usize::MAX } else { self.env.config.max_calls_per_account };
        let known = ["100rel", "timer", "replaces"];
        extensions(request, Name::Require, &known[..if called.replaces { 3 } else { 2 }])?;
        if self.table.calls.len() >= MOST_CALLS {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 10));
        }
        let text = |name| String::from_utf8_lossy(request.raw(name).unwrap_or_default()).into_owned();
        let about = About {
            call_id: request.call_id().unwrap_or_default().to_owned(),
            from: text(Name::From),
            to: text(Name::To),
            started: begun.unwrap_or(self.env.cx.now),
            account: self.env.active.admit(caller, most_calls)?,
            trunk: *trunk,
            is_leg: false,
            is_hidden: identity::asks_privacy(request, &["user", "header", "session", "id"]),
            called: None,
        };
        if let Some(trunk) = trunk {
            self.env.trunks.load.came_in(*trunk);
        }
        Ok((about, Party { flow: *from, behind_nat: is_behind_nat(request, from) }))
    }

    /// The leg of the caller. Where the INVITE cannot make a call it has been answered already.
    fn receive(&mut self, call: CallId, party: &Party) -> Option<Leg> {
        let arriving = self.arriving(call)?;
        let (server, request, flow) =
            (arriving.server, arriving.asking.request.clone(), arriving.asking.from);
        let settings = leg::settings(party, leg::is_secure(&request), self.env.config);
        let usage = usage(call, CALLER);
        let account = arriving.asking.caller.account().cloned();
        let authorizer = arriving
            .asking
            .trunk
            .and_then(|at| trunks::authorizer(self.env.config.trunks.get(at)?, self.env.trunks.state(at)));
        let invite =
            leg::enter(self.env, |stack| Invite::incoming(usage, server, request, flow, settings, stack));
        Some(Leg { usage, invite: invite?, authorizer, account, party: *party })
    }

    fn started(&mut self, about: &About, targets: usize) {
        // That it began is known of a call that others have not answered.
        if self.arriving.as_ref().is_some_and(|(_, arriving)| arriving.asking.begun.is_some()) {
            return;
        }
        self.env.cx.event(Event::CallStarted {
            call: about.call_id.clone(),
            from: about.from.clone(),
            to: about.to.clone(),
            targets,
        });
    }

    fn call(&self, id: CallId, caller: Leg, with: With, about: About) -> Call {
        Call { service: Some(self.service), ..Call::new(id, Some(caller), with, about) }
    }

    /// No call has come of it.
    fn forget(&mut self, about: &About) {
        if let Some(trunk) = about.trunk {
            self.env.trunks.load.end(trunk);
        }
        if let Some(account) = &about.account {
            self.env.active.end(account);
        }
    }

    /// The targets of a call of which no service has made another, and whether and for how long one waits for them to
    /// answer.
    pub(crate) fn into_targets(self) -> (Vec<Target>, Option<Option<Duration>>) {
        (self.arriving.map(|(_, arriving)| arriving.targets).unwrap_or_default(), self.rings_for)
    }

    pub(super) fn arriving(&self, call: CallId) -> Option<&Arriving<'c>> {
        self.arriving.as_ref().filter(|(id, _)| *id == call).map(|(_, arriving)| arriving)
    }
}

/// The same targets as those of an account's phones, or of members of a group.
fn of_account(mut targets: Vec<Target>, account: Option<&AddressOfRecord>) -> Vec<Target> {
    for target in &mut targets {
        target.account = target.member.as_ref().map(|member| &member.account).or(account).cloned();
    }
    targets
}

/// RFC 3323 §4.1.1.3
pub(super) fn anonymous() -> NameAddr {
    let host = Host::parse("anonymous.invalid").unwrap_or_else(|| unreachable!("a host"));
    NameAddr::new(SipUri::new(Some("anonymous"), host)).with_display_name("Anonymous")
}

/// What those who are called are told.
fn asked(arriving: &Arriving<'_>, party: Party, shown: Shown) -> Option<Asked> {
    let request = &arriving.asking.request;
    let mut headers = Vec::new();
    let from = match shown {
        Shown::AsItSays => {
            let asserted = identity::asserted(request, &arriving.asking.caller);
            headers.extend(asserted.map(|value| (Name::PAssertedIdentity.as_str().to_owned(), value)));
            request.from().ok()?.without_tag().detach()
        }
        Shown::Anonymous => anonymous(),
    };
    headers.extend(diversions(request));
    let hops = request.max_forwards().ok().flatten();
    Some(Asked {
        party: Some(party),
        from,
        to: request.to().ok()?.without_tag().detach(),
        headers,
        body: Body::of(request),
        endpoint: Endpoint::Voice,
        max_forwards: hops.map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1)),
    })
}
