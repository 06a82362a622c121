//! The door to presence: SUBSCRIBE and PUBLISH for accounts of this exchange, and what changes for those who watch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offhook_sip::{
    CSeq, Contact, Message, Method, Name, NameAddr, Request, RequestBuilder, Status, Uri, Via,
};
use offhook_sip_stack::Flow;
use offhook_sip_stack::dialog::MAX_FORWARDS;
use offhook_sip_stack::transaction::{ServerId, TransactionEvent};
use offhook_sip_stack::usage::UsageId;
use offhook_sip_stack::usage::subscription::Grant;
use rand::RngExt as _;

use super::Core;
use crate::b2bua::settings;
use crate::config::Authentication;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Bindings, Mailbox};
use crate::dispatch;
use crate::event::Event;
use crate::identity::Caller;
use crate::io::ShardMessage;
use crate::locality::{address_of, user_of};
use crate::presence::lines::Step;
use crate::presence::package::ALLOW_EVENTS;
use crate::presence::{
    Direction, Following, KeptWatch, Line, LineState, Package, Wanted, Watchers, mailbox_body,
};
use crate::proxy::signed_route::Party;
use crate::proxy::{Asking, is_behind_nat};
use crate::refusal::Refusal;
use crate::registrar::gruu::Gruu;

impl Core {
    /// Takes a SUBSCRIBE or PUBLISH to a user of ours. What is about no account, or about a package that is not served here,
    /// goes to where the user is.
    pub(super) fn watch(
        &mut self,
        server: ServerId,
        asking: Asking,
        (user, uri): (Option<String>, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.is_watch(server, (&asking.request, &asking.from), (&asking.caller, uri), cx)? {
            return Ok(());
        }
        self.reach(server, asking, (user, uri), cx)
    }

    fn is_watch(
        &mut self,
        server: ServerId,
        (request, flow): (&Request, &Flow),
        (caller, uri): (&Caller, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        let publishes = *request.method() == Method::Publish;
        let Some(account) = self.resource(uri) else {
            // The exchange itself has no state that somebody could watch.
            if user_of(uri).is_none() {
                return Err(Refusal::from(Status::BAD_EVENT).with(Name::AllowEvents, ALLOW_EVENTS));
            }
            return Ok(false);
        };
        let Some(package) = Package::of(request) else { return Ok(false) };
        if self.draining {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 30));
        }
        if publishes {
            self.publish(server, request, caller, account, cx)?;
            return Ok(true);
        }
        self.may_watch(caller, &account, package)?;
        let watcher = caller.account().cloned();
        if !self.presence.has_room_for(watcher.as_ref()) {
            let refusal = Refusal::new(Status::SERVICE_UNAVAILABLE, "Too many subscriptions");
            return Err(refusal.with(Name::RetryAfter, 600));
        }
        accepts(request, package)?;
        let grant = self.grant(request, flow, &account)?;
        let wanted = Wanted { account, watcher, package, grant, came: *flow };
        let (usage, following) = self.presence.accept(server, request, wanted, &mut self.transactions, cx)?;
        self.follow(following, cx);
        self.tell_watcher(usage, cx);
        Ok(true)
    }

    /// Goes on with subscriptions of a process before, those whose home this is. All shards are shown all of them, so that each
    /// knows whose calls are watched.
    pub(crate) fn restore_watches(&mut self, all: &[KeptWatch], cx: &mut Context<'_>) {
        for kept in all {
            if self.directory.account(&kept.account).is_none()
                && self.config.authentication != Authentication::Off
                && !self.is_slot(&kept.account)
            {
                continue;
            }
            let Some(made) = request(&kept.made) else { continue };
            let refreshed = kept.refreshed.as_ref().and_then(request);
            let Some(package) = Package::of(&made) else { continue };
            let own = kept.watcher.as_ref() == Some(&kept.account);
            let seconds = kept.expires_at.saturating_sub(cx.unix());
            if seconds == 0 || !own && self.config.presence.watch == Watchers::Nobody {
                continue;
            }
            if package.shows_calls() {
                self.presence.tracked.watch(kept.account.clone(), true);
            }
            let latest = refreshed.as_ref().unwrap_or(&made);
            let Ok(grant) = self.grant(latest, &kept.flow, &kept.account) else { continue };
            if self.is_home(&kept.account, cx) {
                let grant = Grant { expires: Duration::from_secs(seconds), ..grant };
                let words = (&made, refreshed.as_ref());
                // Who has to know that its calls are watched knows already.
                let _ = self.presence.restore(kept, words, (package, grant), &mut self.transactions, cx);
            }
        }
    }

    /// The account of a Request-URI, unless that names one device.
    pub(super) fn resource(&self, uri: &Uri) -> Option<AddressOfRecord> {
        let user = user_of(uri)?;
        match uri {
            Uri::Sip(sip) if Gruu::read(sip, &self.config.key).is_some() => None,
            Uri::Sip(sip) => {
                if self.config.services.park.slot(&user).is_some() {
                    return Some(AddressOfRecord::new(&user, &self.config.realm));
                }
                let found = self.directory.find(&user, &sip.host().to_string(), &self.config.domains);
                let unproven = self.config.authentication == Authentication::Off;
                found
                    .map(|account| account.address.clone())
                    .or_else(|| unproven.then(|| self.unproven(&user)))
            }
            Uri::Tel(_) => self.directory.by_number(&user).map(|account| account.address.clone()),
            Uri::Other(_) => None,
        }
    }

    fn may_watch(&self, caller: &Caller, account: &AddressOfRecord, package: Package) -> Result<(), Refusal> {
        let own = caller.account() == Some(account);
        let may = match caller {
            Caller::Unproven => true,
            Caller::Account(_) => {
                own || !package.is_private() && self.config.presence.watch == Watchers::Accounts
            }
            Caller::Stranger | Caller::Checked(_) => false,
        };
        if may { Ok(()) } else { Err(Refusal::new(Status::FORBIDDEN, "This is not for you to watch")) }
    }

    /// What a SUBSCRIBE is granted (RFC 6665 §4.2.1.1).
    fn grant(&self, request: &Request, flow: &Flow, account: &AddressOfRecord) -> Result<Grant, Refusal> {
        let seconds = request.expires().unwrap_or(DEFAULT_EXPIRES);
        if seconds > 0 && seconds < MIN_EXPIRES {
            return Err(Refusal::from(Status::INTERVAL_TOO_BRIEF).with(Name::MinExpires, MIN_EXPIRES));
        }
        let behind_nat = is_behind_nat(request, flow) || request.has(Name::RecordRoute);
        let flow = way_back(request, flow, behind_nat);
        let secure = request.uri().is_ok_and(|uri| super::is_secure(&uri));
        let mut settings = settings(&Party { flow, behind_nat }, secure, &self.config);
        let described = Arc::make_mut(&mut settings);
        if let Uri::Sip(contact) = described.contact.uri().clone() {
            described.contact = Contact::new(contact.with_user(account.user()));
        }
        let expires = Duration::from_secs(seconds.min(MAX_EXPIRES).into());
        Ok(Grant { expires, flow, settings })
    }

    fn publish(
        &mut self,
        server: ServerId,
        request: &Request,
        caller: &Caller,
        account: AddressOfRecord,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let own = match caller {
            Caller::Account(_) => caller.account() == Some(&account),
            Caller::Unproven => true,
            Caller::Stranger | Caller::Checked(_) => false,
        };
        if !own {
            return Err(Refusal::new(Status::FORBIDDEN, "This is not your address"));
        }
        let etag = format!("{:016x}", cx.rng.random::<u64>());
        let tag = self.stateless_tag(request);
        let answer = self.presence.publications.publish(&account, request, (etag, &tag), cx.unix())?;
        self.transactions.respond(server, answer, &mut cx.sip());
        self.touched(&account, |package| package == Package::Presence, cx);
        Ok(())
    }

    /// Takes an event of a subscription.
    pub(super) fn watched(&mut self, usage: UsageId, event: &TransactionEvent, cx: &mut Context<'_>) {
        if let TransactionEvent::Request { server, request, flow } = event {
            if let Err(refusal) = self.in_watch(usage, *server, request, flow, cx) {
                let answer = refusal.response(request, "");
                self.transactions.respond(*server, answer, &mut cx.sip());
            }
        } else {
            self.presence.receive(usage, event);
        }
        self.tell_watcher(usage, cx);
    }

    /// A request in the dialog of a subscription: one more SUBSCRIBE.
    fn in_watch(
        &mut self,
        usage: UsageId,
        server: ServerId,
        request: &Request,
        flow: &Flow,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Some((account, package)) = self.presence.about(usage) else { return Ok(()) };
        let account = account.clone();
        if *request.method() != Method::Subscribe {
            return Err(Refusal::from(Status::METHOD_NOT_ALLOWED).with(Name::Allow, "SUBSCRIBE"));
        }
        if Package::of(request) != Some(package) {
            return Err(Refusal::from(Status::BAD_EVENT).with(Name::AllowEvents, ALLOW_EVENTS));
        }
        let grant = self.grant(request, flow, &account)?;
        self.presence.refresh(usage, (server, request, flow), &grant, &mut self.transactions, cx);
        Ok(())
    }

    fn tell_watcher(&mut self, usage: UsageId, cx: &mut Context<'_>) {
        let following = self.presence.tell(usage, &self.directory, &mut self.transactions, cx);
        self.follow(following, cx);
    }

    /// The calls of an account are watched here from now on, or no more: all shards are to know.
    fn follow(&mut self, following: Following, cx: &mut Context<'_>) {
        let Some((account, watched)) = following else { return };
        if !watched && !self.is_slot(&account) {
            self.presence.lines.forget(&account);
        }
        self.presence.tracked.watch(account.clone(), watched);
        cx.tell_others(self.config.shards, &ShardMessage::Watched { account, watched });
    }

    /// Something of an account has changed that some packages show.
    pub(super) fn touched(
        &mut self,
        account: &AddressOfRecord,
        shows: fn(Package) -> bool,
        cx: &mut Context<'_>,
    ) {
        for usage in self.presence.changed(account, shows) {
            self.tell_watcher(usage, cx);
        }
    }

    /// An account is gone.
    pub(super) fn account_gone(&mut self, account: &AddressOfRecord, cx: &mut Context<'_>) {
        for usage in self.presence.gone(account) {
            self.tell_watcher(usage, cx);
        }
    }

    /// Does what is due for a subscription; false if nothing is.
    pub(super) fn watch_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(usage) = self.presence.due(&mut self.transactions, cx) else { return false };
        self.tell_watcher(usage, cx);
        true
    }

    /// What has expired since the last time is seen by those who watch.
    pub(super) fn sweep_presence(&mut self, mut expired: Vec<AddressOfRecord>, cx: &mut Context<'_>) {
        expired.extend(self.presence.publications.forget_expired(cx.unix()));
        for account in expired {
            self.touched(&account, Package::shows_contacts, cx);
        }
        let old = self.presence.tracked.forget_old(cx.now);
        self.tell_lines(old, cx);
    }

    /// What this input has brought to the calls of accounts that are watched. `begun` is the number of events before it.
    pub(crate) fn follow_calls(&mut self, begun: usize, cx: &mut Context<'_>) {
        if self.presence.tracked.is_idle() {
            return;
        }
        let mut told = Vec::new();
        for at in begun..cx.out.events.len() {
            let tracked = &mut self.presence.tracked;
            match &cx.out.events[at] {
                Event::CallStarted { call, from, to, .. } => {
                    let domains = &self.config.domains;
                    let account =
                        |text: &str| self.directory.named_by(text, domains).map(|one| one.address.clone());
                    told.extend(tracked.begin(call, account(from), account(to), cx.now));
                }
                Event::CallRinging { call } => told.extend(tracked.step(call, Step::Rings)),
                Event::CallAnswered { call, .. } => told.extend(tracked.step(call, Step::Answered)),
                Event::CallFailed { call, .. } | Event::CallEnded { call, .. } => {
                    told.extend(tracked.step(call, Step::Ended));
                }
                _ => {}
            }
        }
        self.tell_lines(told, cx);
    }

    /// Tells the homes of accounts of their calls here.
    fn tell_lines(&mut self, told: Vec<(AddressOfRecord, Line)>, cx: &mut Context<'_>) {
        for (account, line) in told {
            let home = dispatch::home(&account, self.config.shards);
            let shard = cx.shard;
            if home == shard {
                self.has_line(shard, &account, line, cx);
            } else {
                cx.out.shards.push((home, ShardMessage::Line { shard, account, line }));
            }
        }
    }

    /// An account whose home this is has a call at a shard.
    pub(crate) fn has_line(
        &mut self,
        shard: u8,
        account: &AddressOfRecord,
        line: Line,
        cx: &mut Context<'_>,
    ) {
        if !self.presence.tracked.is_watched(account) && !self.is_slot(account) {
            return;
        }
        self.presence.lines.note(shard, account, line);
        self.touched(account, Package::shows_calls, cx);
        self.presence.lines.forget_ended(account);
    }

    /// Whether a slot of call park is meant, which has a lamp as accounts have: as if whoever waits there was in a call.
    fn is_slot(&self, account: &AddressOfRecord) -> bool {
        account.host() == self.config.realm && self.config.services.park.slot(account.user()).is_some()
    }

    /// Somebody waits in a slot of call park, or no longer.
    pub(super) fn slot_changed(&mut self, slot: u32, taken: bool, cx: &mut Context<'_>) {
        let account = AddressOfRecord::new(&slot.to_string(), &self.config.realm);
        let state = if taken { LineState::Confirmed } else { LineState::Terminated };
        let line = Line { id: format!("slot-{slot}"), direction: Direction::Recipient, state };
        self.tell_lines(vec![(account, line)], cx);
    }

    /// Another shard has watchers of an account, or has no more.
    pub(crate) fn watched_elsewhere(&mut self, account: AddressOfRecord, watched: bool) {
        self.presence.tracked.watch(account, watched);
    }

    /// What waits in an account's mailbox has changed: phones that show it are told by its home.
    pub(super) fn mailbox_changed(
        &mut self,
        account: &AddressOfRecord,
        before: Option<Mailbox>,
        cx: &mut Context<'_>,
    ) {
        let mailbox = self.directory.mailbox(account);
        if !self.is_home(account, cx) || mailbox == before {
            return;
        }
        self.touched(account, |package| package == Package::MessageSummary, cx);
        let bindings = self.directory.bindings(account);
        self.show_mailbox(account, &bindings, cx);
    }

    /// Tells phones of a mailbox that did not ask: many desk phones never do (RFC 3842 leaves it open).
    pub(super) fn show_mailbox(
        &mut self,
        account: &AddressOfRecord,
        phones: &Bindings,
        cx: &mut Context<'_>,
    ) {
        let now = cx.unix();
        let Some(mailbox) = self.directory.mailbox(account).filter(|_| self.config.presence.unsolicited_mwi)
        else {
            return;
        };
        for one in phones.0.iter().filter(|one| one.expires_at > now) {
            if self.presence.shows_mailbox(account, &one.flow) {
                continue;
            }
            let Ok(uri) = one.contact.parse::<Uri>() else { continue };
            let body = mailbox_body(account, mailbox);
            let (transport, sent_by) = (one.flow.transport, self.config.sent_by(&one.flow));
            let via = Via::new(transport.into(), sent_by, &cx.sip().branch()).with_rport();
            let us = NameAddr::new(account.to_string().parse::<Uri>().unwrap_or_else(|_| uri.clone()));
            let mut builder = RequestBuilder::new(Method::Notify, &uri).header(Name::Via, via);
            for route in &one.path {
                builder = builder.header(Name::Route, route);
            }
            let (tag, call_id) = (cx.sip().tag(), cx.sip().call_id());
            let notify = builder
                .header(Name::MaxForwards, MAX_FORWARDS)
                .header(Name::From, us.clone().with_tag(&tag))
                .header(Name::To, &us)
                .header(Name::CallId, call_id)
                .header(Name::CSeq, CSeq { number: 1, method: Method::Notify })
                .header(Name::Contact, format_args!("<sip:{}>", self.config.sent_by(&one.flow)))
                .header(Name::Event, Package::MessageSummary.name())
                .header(Name::SubscriptionState, "active")
                .body(&body.content_type, &body.bytes)
                .finish();
            // Whether the phone understands it makes no difference here.
            self.transactions.send_request_on(notify, one.flow, &mut cx.sip());
        }
    }
}

/// A SUBSCRIBE that was written down.
fn request(bytes: &Bytes) -> Option<Request> {
    match Message::parse(bytes.clone()) {
        Ok(Message::Request(request)) if *request.method() == Method::Subscribe => Some(request),
        _ => None,
    }
}

/// The way on which a subscriber is told: never to another host than it asked from, lest somebody have us send to others.
fn way_back(request: &Request, flow: &Flow, pinned: bool) -> Flow {
    let contacts = request.contacts().ok();
    let contact = contacts.as_ref().and_then(|all| all.list().first()).map(|one| one.uri());
    let told = contact.and_then(|uri| address_of(uri.as_sip()?, flow.transport.default_port()));
    match told {
        Some(remote) if !pinned && flow.connection.is_none() && remote.ip() == flow.remote.ip() => {
            Flow { remote, ..*flow }
        }
        _ => *flow,
    }
}

/// Refuses who cannot read what would be sent (RFC 6665 §4.2.1.1).
fn accepts(request: &Request, package: Package) -> Result<(), Refusal> {
    let ours = package.content_type();
    let reads = |kind: &[u8]| {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let all = [b"*/*".as_slice(), b"application/*", ours.as_bytes()];
        all.iter().any(|one| kind.eq_ignore_ascii_case(one))
    };
    if !request.has(Name::Accept) || request.values(Name::Accept).any(reads) {
        return Ok(());
    }
    Err(Refusal::from(Status::NOT_ACCEPTABLE).with(Name::Accept, ours))
}

const DEFAULT_EXPIRES: u32 = 3600;
const MIN_EXPIRES: u32 = 60;
const MAX_EXPIRES: u32 = 3600;
