//! Chooses who deals with a request: the registrar, the proxy, or ourselves.

mod attest;
mod bridged;
mod call_back;
mod commands;
mod configure;
mod dialled;
mod diversion;
mod enumerate;
mod following;
mod hunt;
mod message;
mod outward;
mod pickup;
mod presence;
mod refusing;
mod registration;
mod rejected;
mod replacing;
mod searching;
mod spending;
mod trunks;
mod vetting;
mod whereabouts;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_media::lease::PortBlock;
use offhook_sip::digest::push_hex;
use offhook_sip::{Message, Method, Name, ParseErrorKind, RejectedRequest, Request, Response, Status, Uri};
use offhook_sip_stack::auth::Authenticator;
use offhook_sip_stack::locate::DnsAnswer;
use offhook_sip_stack::transaction::{Limits, Owner, ServerId, TransactionEvent, Transactions};
use offhook_sip_stack::{CloseConnection, Flow};

use rand::RngExt as _;

use crate::b2bua::{Table, Usages};
use crate::bans::Bans;
use crate::config::Config;
use crate::context::{Alarm, Context};
use crate::directory::{AddressOfRecord, Delta, Directory};
use crate::event::{DropReason, Event};
use crate::inquiries::Inquiries;
use crate::io::{ShardMessage, StoreRequest};
use crate::locality::user_of;
use crate::message::Texts;
use crate::overload::Overload;
use crate::presence::{Package, Presence};
use crate::proxy::{Asking, Proxy};
use crate::proxy::{in_dialog, routes};
use crate::refusal::Refusal;
use crate::services::Services;
use crate::spending::Limits as SpendingLimits;
use crate::stir::Policy;
use crate::strangers::Strangers as Sources;
use crate::trunks::Trunks;
use attest::Attesting;
use enumerate::Enumerating;
use following::Forwarding;
pub(crate) use following::Removal;
use outward::Way;
pub use replacing::HandedOver;
pub(crate) use replacing::MayReplace;
use replacing::Replacers;
use searching::Searches;
use trunks::Peers;
use vetting::Vetting;
use whereabouts::{is_secure, no_secure_way};

/// The decisions of one shard.
pub(crate) struct Core {
    config: Config,
    directory: Directory,
    transactions: Transactions,
    authenticator: Authenticator,
    proxy: Proxy,
    services: Services,
    bridged: Table,
    usages: Usages,
    trunks: Trunks,
    inquiries: Inquiries,
    overload: Overload,
    sources: Sources,
    bans: Bans,
    vetting: Vetting,
    peers: Peers,
    attesting: Attesting,
    enumerating: Enumerating,
    replacers: Replacers,
    searches: Searches,
    forwarding: Forwarding,
    presence: Presence,
    texts: Texts,
    draining: bool,
}

impl Core {
    /// How often expired bindings are forgotten. They are not used from the moment they expire.
    pub(crate) const SWEEP: Duration = Duration::from_secs(60);

    /// When a shard begins to do something by itself, after it was made: what is stored is given to it before.
    pub(crate) const FIRST: Duration = Duration::from_millis(1);

    pub(crate) fn new(shard: u8, config: Config, ports: &[PortBlock]) -> Self {
        let limits = Limits { clients: config.max_transactions, servers: config.max_transactions };
        Self {
            directory: Directory::default(),
            transactions: Transactions::new(limits),
            authenticator: Authenticator::new(config.key.0, &config.realm, config.nonce_lifetime.as_secs())
                .of_shard(shard),
            proxy: Proxy::new(shard, &config, ports),
            services: Services::new(&config),
            bridged: Table::default(),
            usages: Usages::default(),
            trunks: Trunks::new(shard, &config),
            inquiries: Inquiries::default(),
            overload: Overload::new(),
            sources: Sources::default(),
            bans: Bans::default(),
            vetting: Vetting::default(),
            peers: Peers::default(),
            attesting: Attesting::default(),
            enumerating: Enumerating::default(),
            replacers: Replacers::default(),
            searches: Searches::default(),
            forwarding: Forwarding::default(),
            presence: Presence::default(),
            texts: Texts::default(),
            draining: false,
            config,
        }
    }

    /// A datagram, or a message of a stream.
    pub(crate) fn receive(&mut self, flow: Flow, bytes: Bytes, cx: &mut Context<'_>) {
        self.take(flow, bytes, true, cx);
    }

    /// What another shard found to be ours.
    pub(crate) fn receive_handed_over(&mut self, flow: Flow, bytes: Bytes, cx: &mut Context<'_>) {
        self.take(flow, bytes, false, cx);
    }

    fn take(&mut self, flow: Flow, bytes: Bytes, at_the_door: bool, cx: &mut Context<'_>) {
        if self.bans.holds(flow.remote.ip(), || cx.unix()) {
            cx.out.sip.closes.extend(flow.connection.map(CloseConnection));
            return cx.event(Event::Dropped { from: flow.remote, reason: DropReason::Banned });
        }
        match Message::parse(bytes.clone()) {
            Ok(Message::Request(request)) if self.overload.is_too_much(&request, &self.config, cx.rng) => {
                let retry_after = RETRY_AFTER.start + cx.rng.random::<u32>() % RETRY_AFTER.len() as u32;
                self.transactions.receive_or_refuse(request, flow, retry_after, &mut cx.sip());
            }
            Ok(message) => {
                if at_the_door && let Some(home) = self.home_elsewhere(&message, cx) {
                    cx.out.shards.push((home, ShardMessage::Datagram { flow, bytes }));
                } else if let Some(event) = self.transactions.receive(message, flow, &mut cx.sip()) {
                    self.transaction(event, cx);
                }
            }
            Err(error) if crate::keep_alive::take(&error, &bytes, &flow, &mut cx.out.sip) => {}
            Err(error) => match RejectedRequest::salvage(&bytes, error) {
                Some(rejected) => self.reject(&rejected, &flow, cx),
                None => {
                    let reason = match error.kind {
                        ParseErrorKind::NotSip => DropReason::NotSip,
                        _ => DropReason::Unanswerable,
                    };
                    cx.event(Event::Dropped { from: flow.remote, reason });
                }
            },
        }
    }

    fn transaction(&mut self, event: TransactionEvent, cx: &mut Context<'_>) {
        if let Some(leg) = self.bridged.owner(&event, &self.usages) {
            if crate::trunks::is_ours(leg) {
                return self.tend(cx, |trunks, desk| trunks.receive(leg, &event, desk));
            }
            let (bridged, mut env, _) = self.bridged(cx);
            return bridged.receive(leg, event, &mut env);
        }
        if !self.texts.clients.is_empty() && self.text_event(&event, cx) {
            return;
        }
        if let Some(usage) = self.presence.owner(&event) {
            return self.watched(usage, &event, cx);
        }
        match event {
            TransactionEvent::Request { server, request, flow } => self.request(server, &request, flow, cx),
            TransactionEvent::Cancel { server, invite, request, .. } => {
                let tag = self.stateless_tag(&request);
                let answer = Response::to_request(&request, Status::OK).to_tag(&tag).finish();
                self.transactions.respond(server, answer, &mut cx.sip());
                if let Some(waiting) = self.put_aside(invite) {
                    let tag = self.stateless_tag(&waiting);
                    let answer = Response::to_request(&waiting, Status::REQUEST_TERMINATED).to_tag(&tag);
                    self.transactions.respond(invite, answer.finish(), &mut cx.sip());
                }
                // RFC 3326 §2: why the caller gave up is for its phones to know, who may tell their user.
                let why = request.raw(Name::Reason).map(|why| String::from_utf8_lossy(why).into_owned());
                self.proxy.cancel(invite, why.as_deref(), &self.config, &mut self.transactions, cx);
            }
            TransactionEvent::Ack { request, flow, .. } => self.ack(&request, &flow, cx),
            TransactionEvent::Response { client, response, .. } => {
                if let Some((asked, media)) = self.inquiries.answered(client, &response) {
                    self.learn(&asked, media, cx);
                }
                self.proxy.response(client, &response, &self.config, &mut self.transactions, cx);
            }
            TransactionEvent::Stray { flow, .. } => {
                cx.event(Event::Dropped { from: flow.remote, reason: DropReason::StrayResponse });
            }
            TransactionEvent::Timeout { client } => {
                self.inquiries.ended(client);
                self.proxy.no_answer(
                    client,
                    Status::REQUEST_TIMEOUT,
                    &self.config,
                    &mut self.transactions,
                    cx,
                );
            }
            TransactionEvent::TransportFailed { client } => {
                self.inquiries.ended(client);
                let status = Status::SERVICE_UNAVAILABLE;
                self.proxy.no_answer(client, status, &self.config, &mut self.transactions, cx);
            }
            TransactionEvent::ClientEnded { client } => {
                self.inquiries.ended(client);
                self.proxy.client_ended(client);
            }
            TransactionEvent::ServerEnded { server } | TransactionEvent::NoAck { server } => {
                self.put_aside(server);
                self.proxy.server_ended(server, &self.config, &mut self.transactions, cx);
            }
        }
    }

    /// A new request: refused with the reason, or handed on.
    fn request(&mut self, server: ServerId, request: &Request, flow: Flow, cx: &mut Context<'_>) {
        if let Err(refusal) = self.route(server, request, flow, cx) {
            self.refuse(server, request, &flow, &refusal, cx);
            self.refused_in_vain(request, &refusal);
        }
    }

    /// A request that waited for somebody outside, and does so no longer.
    fn put_aside(&mut self, server: ServerId) -> Option<Request> {
        let known = self.vetting.forget(server).or_else(|| self.attesting.forget(server));
        known.or_else(|| self.enumerating.forget(server)).or_else(|| self.replacers.forget(server))
    }

    fn route(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let routed = routes::strip(request, &flow, &self.config)?;
        let mut uri =
            routed.as_it_came().uri().map_err(|error| Refusal::new(error.status(), error.to_string()))?;
        let mut here = match &uri {
            Uri::Sip(uri) if uri.secure() && !flow.transport.is_secure() => {
                return Err(Refusal::new(Status::UNSUPPORTED_URI_SCHEME, "sips needs TLS on every hop"));
            }
            Uri::Sip(uri) => self.config.is_here(uri, &flow),
            Uri::Tel(_) => true,
            Uri::Other(_) => return Err(Status::UNSUPPORTED_URI_SCHEME.into()),
        };
        // A CANCEL that matched has been dealt with; another has nothing to cancel (§9.2).
        if *request.method() == Method::Cancel {
            return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST.into());
        }
        extensions(request, Name::ProxyRequire, &[])?;
        if let Some(signed) = &routed.signed {
            let mut forward = in_dialog::forward(&routed, signed).map_err(Refusal::proven)?;
            self.proxy.locate(&mut forward, &flow, &self.config);
            self.follow_device(&mut forward, cx.unix());
            if is_secure(&uri) && !forward.to.flow.transport.is_secure() {
                return Err(no_secure_way().proven());
            }
            let forwarded = self.proxy.in_dialog(server, forward, &self.config, &mut self.transactions, cx);
            return forwarded.map_err(Refusal::proven);
        }
        if routed.foreign_route {
            return Err(Refusal::new(Status::FORBIDDEN, "Nothing is relayed along a route that is not ours"));
        }
        if *request.method() == Method::Register {
            return if here { self.register(server, request, flow, cx) } else { Err(not_served()) };
        }
        if !here && let Some(ours) = self.number_of_trunk(request, &flow) {
            (uri, here) = (ours, true);
        }
        let user = user_of(&uri);
        let is_us = || user.as_ref().is_none_or(|user| self.is_contact_of_trunk(user));
        if here && *request.method() == Method::Options && is_us() {
            return self.options(server, request, cx);
        }
        if request.to_tag().is_some() {
            return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST.into());
        }
        let stripped = routed.stripped();
        routes::check_hops(&stripped, &self.config)?;
        let Some(caller) = self.caller(server, request, here, &flow, cx)? else { return Ok(()) };
        let trunk = self.trunk_with_leg(&stripped, &caller, &flow).filter(|_| here);
        let asking = Asking {
            request: stripped,
            from: flow,
            caller,
            trunk,
            begun: None,
            bridged: None,
            diverted_by: None,
            speaker: None,
            hunt: None,
        };
        if here && self.signature_policy(&asking) != Policy::Off {
            return self.attest(server, asking, &uri, cx);
        }
        self.proceed(server, asking, (&uri, here), cx)
    }

    /// Sends a request on its way whose caller is known. `here`: its URI is one of ours.
    fn proceed(
        &mut self,
        server: ServerId,
        asking: Asking,
        (uri, here): (&Uri, bool),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let proven = asking.caller.account().is_some();
        let user = user_of(uri);
        let started = match here {
            true if matches!(asking.request.method(), Method::Subscribe | Method::Publish) => {
                self.watch(server, asking, (user, uri), cx)
            }
            true => self.reach(server, asking, (user, uri), cx),
            false => Way::elsewhere(uri).and_then(|way| self.go(server, asking, way, cx)),
        };
        started.map_err(|refusal| if proven { refusal.proven() } else { refusal })
    }

    /// OPTIONS for the exchange itself (RFC 3261 §11.2).
    fn options(&mut self, server: ServerId, request: &Request, cx: &mut Context<'_>) -> Result<(), Refusal> {
        extensions(request, Name::Require, &["path"])?;
        let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, \
                     SUBSCRIBE, NOTIFY, PUBLISH";
        let answer = Response::to_request(request, Status::OK)
            .to_tag(&self.stateless_tag(request))
            .header(Name::Allow, allow)
            .header(Name::Accept, "application/sdp")
            .header(Name::Supported, "path, outbound, gruu")
            .finish();
        // Anyone may ask, and asking again changes nothing: no state is kept.
        self.transactions.respond_once(server, answer, &mut cx.sip());
        Ok(())
    }

    /// An ACK to a 2xx goes along our route or nowhere: there is no answer to an ACK.
    fn ack(&mut self, request: &Request, flow: &Flow, cx: &mut Context<'_>) {
        let forward = routes::strip(request, flow, &self.config)
            .ok()
            .and_then(|routed| in_dialog::forward(&routed, routed.signed.as_ref()?).ok());
        match forward {
            Some(mut forward) => {
                self.proxy.locate(&mut forward, flow, &self.config);
                self.follow_device(&mut forward, cx.unix());
                self.proxy.ack(forward, &self.config, cx);
            }
            None => cx.event(Event::Dropped { from: flow.remote, reason: DropReason::StrayAck }),
        }
    }

    /// The same tag for the same request, also after we have forgotten it (§8.2.7).
    fn stateless_tag(&self, request: &Request) -> String {
        let mut hasher = DefaultHasher::new();
        self.config.key.0.hash(&mut hasher);
        for name in [Name::CallId, Name::CSeq, Name::From] {
            request.raw(name).hash(&mut hasher);
        }
        let mut tag = String::with_capacity(16);
        push_hex(&mut tag, &hasher.finish().to_be_bytes());
        tag
    }

    pub(crate) fn transaction_timeout(&mut self, owner: Owner, deadline: Instant, cx: &mut Context<'_>) {
        if let Some(event) = self.transactions.timeout(owner, deadline, &mut cx.sip()) {
            self.transaction(event, cx);
        }
    }

    pub(crate) fn alarm(&mut self, alarm: Alarm, cx: &mut Context<'_>) {
        match alarm {
            Alarm::TimerC(context, branch) => {
                self.proxy.timer_c(context, branch, &mut self.transactions, cx);
            }
            Alarm::Search(number) if Searches::is_ours(number) => self.search_timeout(number, cx),
            Alarm::Search(context) => {
                self.proxy.search_timeout(context, &self.config, &mut self.transactions, cx);
            }
            Alarm::Silence(context, branch) => {
                self.proxy.silence(context, branch, &self.config, &mut self.transactions, cx);
            }
            Alarm::NoAnswer(context) => {
                self.proxy.rung_out(context, &self.config, &mut self.transactions, cx);
            }
            Alarm::Service(service, what) => {
                let (bridged, mut env, services) = self.bridged(cx);
                services.due(bridged, &mut env, (service, what));
            }
            Alarm::Also(context, after) => {
                self.proxy.also_rings(context, after, &self.config, &mut self.transactions, cx);
            }
            Alarm::AlsoBridged(call, round, after) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.also_rings(call, (round, after), &mut env);
            }
            Alarm::RungOut(call, round) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.rung_out(call, round, &mut env);
            }
            Alarm::Ring(call, leg) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.ring_over(call, leg, &mut env);
            }
            Alarm::Line(call, leg) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.line_silent(call, leg, &mut env);
            }
            Alarm::Spending => self.end_what_is_spent(cx),
            Alarm::Trunk(at) => self.tend(cx, |trunks, desk| trunks.due(at, desk)),
            Alarm::Sweep => {
                self.proxy.end_held(&self.config, &mut self.transactions, cx);
                self.proxy.active.members.forget_old(cx.now);
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.end_held(&mut env);
                let expired = self.directory.forget_expired(cx.unix());
                self.end_vetting(cx);
                self.end_attesting(cx);
                self.end_enumerating(cx);
                self.proxy.active.spending.sweep(cx.epoch.unix(cx.now));
                self.sweep_presence(expired, cx);
                self.hand_back(cx);
                self.bans.sweep(&self.config.ban, cx.now, cx.unix());
                cx.timers.arm(cx.now + Self::SWEEP, Alarm::Sweep);
            }
        }
    }

    pub(crate) fn flow_failed(&mut self, flow: &Flow, cx: &mut Context<'_>) {
        for (record, gone) in self.directory.connection_lost(flow) {
            // The others may have learnt of the loss before they learnt of the registration.
            if self.is_home(&record, cx) {
                let bindings = self.directory.bindings(&record);
                self.tell_bindings(&record, &bindings, cx);
                if gone {
                    cx.out.store.push(StoreRequest::Bindings(record.clone(), bindings));
                }
                self.touched(&record, Package::shows_contacts, cx);
            }
        }
        for event in self.transactions.flow_failed(flow, &mut cx.sip()) {
            self.transaction(event, cx);
        }
        self.tend(cx, |trunks, desk| trunks.flow_failed(flow, desk));
    }

    pub(crate) fn resolved(&mut self, ticket: u64, answer: DnsAnswer, cx: &mut Context<'_>) {
        if Vetting::is_ours(ticket) {
            return self.vetted(ticket, answer, cx);
        }
        if Enumerating::is_ours(ticket) {
            return self.enumerated(ticket, answer, cx);
        }
        if crate::trunks::is_our_question(ticket) {
            return self.tend(cx, |trunks, desk| trunks.resolved(ticket, answer, desk));
        }
        if Searches::is_ours(ticket) {
            return self.searched(ticket, answer, cx);
        }
        self.proxy.resolved(ticket, answer, &self.config, &mut self.transactions, cx);
    }

    pub(crate) fn waited(&mut self, waited: Duration, cx: &mut Context<'_>) {
        if let Some(told) = self.overload.waited(waited, cx.now) {
            cx.event(told);
        }
    }

    /// Takes over a fact, and lets those know who watch what it is about.
    pub(crate) fn apply(&mut self, delta: Delta, cx: &mut Context<'_>) {
        match delta {
            Delta::Mailbox(account, mailbox) => {
                let before = self.directory.mailbox(&account);
                self.directory.apply(Delta::Mailbox(account.clone(), mailbox));
                self.mailbox_changed(&account, before, cx);
            }
            Delta::Limits(account, limits) => {
                self.proxy.active.spending.limit(account, limits, cx.epoch.unix(cx.now));
            }
            Delta::AccountRemoved(account) => {
                self.directory.apply(Delta::AccountRemoved(account.clone()));
                let none = SpendingLimits::default();
                self.proxy.active.spending.limit(account.clone(), none, cx.epoch.unix(cx.now));
                self.account_gone(&account, cx);
            }
            Delta::Agent(..) | Delta::WakeUp(..) | Delta::CallBack(..) => {
                let (bridged, mut env, services) = self.bridged(cx);
                services.changed(bridged, &mut env, &delta);
            }
            Delta::Bindings(account, bindings) => self.rebound(account, bindings, cx),
            Delta::Banned(ban) => self.bans.set(ban),
            Delta::BanLifted(address) => self.bans.lift(address),
            other => self.directory.apply(other),
        }
    }

    /// Another shard says how many calls of an account it has.
    pub(crate) fn active_elsewhere(&mut self, shard: u8, account: AddressOfRecord, calls: u32) {
        self.proxy.active_elsewhere(shard, account, calls);
    }

    /// Tells the other shards of the accounts whose number of calls has changed here.
    pub(crate) fn tell_activity(&mut self, cx: &mut Context<'_>) {
        self.proxy.tell_activity(self.config.shards, cx);
        self.tell_members(cx);
        self.trunks.tell_load(&self.config, cx);
        self.tell_spending(cx);
    }

    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) {
        self.draining = true;
        self.tend(cx, |trunks, desk| trunks.leave(desk));
    }

    pub(crate) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.overload.is_refusing()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.transactions.is_empty()
            && self.proxy.is_idle()
            && self.bridged.is_idle(&self.usages)
            && self.trunks.is_idle()
            && self.inquiries.is_idle()
            && self.vetting.is_idle()
            && self.attesting.is_idle()
            && self.enumerating.is_idle()
            && self.replacers.is_idle()
            && self.searches.is_idle()
            && self.presence.is_idle()
            && self.texts.is_idle()
    }
}

/// Refuses extensions that are required and not among those we know (§16.3 step 5, §8.2.2.3).
pub(crate) fn extensions(request: &Request, name: Name, known: &[&str]) -> Result<(), Refusal> {
    let unknown: Vec<_> = request
        .tokens(name)
        .filter(|tag| !tag.is_empty() && !known.iter().any(|one| one.eq_ignore_ascii_case(tag)))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::from(Status::BAD_EXTENSION).with(Name::Unsupported, unknown.join(", ")))
}

fn not_served() -> Refusal {
    Refusal::new(Status::FORBIDDEN, "This domain is not served here")
}

/// Seconds after which a caller that was turned away may come again: not all at once.
const RETRY_AFTER: std::ops::Range<u32> = 5..15;
