//! REGISTER (RFC 3261 §10), and who hears of what it changes.

use offhook_sdp::Profile;
use offhook_sip::{Message, Method, Name, Request, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::auth::Kind;
use offhook_sip_stack::transaction::ServerId;

use super::{Core, extensions, not_served};
use crate::config::Authentication;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Bindings, Delta};
use crate::dispatch;
use crate::event::Event;
use crate::inquiries::Asked;
use crate::io::{ShardMessage, StoreRequest};
use crate::presence::Package;
use crate::proxy::signed_route::PARAMETER;
use crate::refusal::Refusal;
use crate::registrar::{self, Granted, outbound};

impl Core {
    /// The shard to which a request must go before it has a transaction here: that to which its call was handed over; of a
    /// REGISTER the only one that changes the bindings of its account, which it may name by a number or an alias.
    pub(super) fn home_elsewhere(&self, message: &Message, cx: &Context<'_>) -> Option<u8> {
        let Message::Request(request) = message else { return None };
        if self.config.shards <= 1 {
            return None;
        }
        if let Some(shard) = self.replacers.handed_to(request) {
            return Some(shard);
        }
        if matches!(request.method(), Method::Subscribe | Method::Publish) {
            // What goes along a signed route of ours is not for us.
            let is_signed = |uri: &Uri| uri.as_sip().is_some_and(|uri| uri.param(PARAMETER).is_some());
            if request.routes().flatten().any(|route| is_signed(&route.uri)) {
                return None;
            }
            let account = self.resource(&request.uri().ok()?)?;
            let home = dispatch::home(&account, self.config.shards);
            return (home != cx.shard).then_some(home);
        }
        if *request.method() != Method::Register {
            return None;
        }
        let (asked, _) = registrar::record(request).ok()?;
        let home = match self.directory.find(asked.user(), asked.host(), &self.config.domains) {
            Some(account) => dispatch::home(&account.address, self.config.shards),
            None => dispatch::home(&asked, self.config.shards),
        };
        (home != cx.shard).then_some(home)
    }

    pub(super) fn register(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        extensions(request, Name::Require, &["path", "outbound", "gruu"])?;
        let (asked, host) = registrar::record(request)?;
        if !self.config.is_ours(&host, &flow) {
            return Err(not_served());
        }
        if self.config.authentication == Authentication::Off {
            let known = self.directory.find(asked.user(), asked.host(), &self.config.domains);
            let record = known.map_or_else(|| self.unproven(asked.user()), |one| one.address.clone());
            if !self.directory.has_room_for(&record) {
                return Err(Status::SERVICE_UNAVAILABLE.into());
            }
            return self.bind(server, request, &flow, record, cx);
        }
        let to = request.to().map_err(|error| Refusal::new(error.status(), error.to_string()))?;
        let account = self.prove(request, &to, Kind::UserToUser, &flow, cx)?;
        let owner = self.directory.find(asked.user(), asked.host(), &self.config.domains);
        if owner.is_none_or(|owner| owner.address != account.address) {
            return Err(Refusal::new(Status::FORBIDDEN, "This is not your address").proven());
        }
        self.bind(server, request, &flow, account.address, cx).map_err(Refusal::proven)
    }

    /// Carries out a REGISTER for a record that its sender may change.
    pub(super) fn bind(
        &mut self,
        server: ServerId,
        request: &Request,
        flow: &Flow,
        record: AddressOfRecord,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let now = cx.unix();
        let outbound = outbound::is_wanted(request, flow)?;
        let present = self.directory.bindings(&record);
        let has_mailbox = self.directory.mailbox(&record).is_some();
        let live = present.0.iter().filter(|one| one.expires_at > now);
        let known: Vec<Flow> = live.map(|one| one.flow).collect();
        let is_awaited = self.proxy.active.members.is_followed(&record);
        let there = present.0.iter().filter(|one| is_awaited && one.expires_at > now);
        let there: Vec<String> = there.map(|one| one.contact.clone()).collect();
        let (bindings, changed) = registrar::register(request, flow, present, &self.config, now)?;
        let gruus = if request.supports("gruu") { self.gruus(&record, &bindings, cx) } else { Vec::new() };
        let granted = Granted { outbound, gruus };
        let answer = registrar::accepted(request, &bindings.0, &granted, now, &self.stateless_tag(request));
        if changed {
            let contacts = bindings.0.len();
            cx.event(Event::Registered { account: record.clone(), contacts, from: flow.remote });
            if is_awaited && bindings.0.iter().any(|one| !there.contains(&one.contact)) {
                self.proxy.active.members.came(&record);
            }
            let asked = self.inquiries.whom(&record, &bindings, &self.config);
            self.change(&record, bindings, cx);
            self.transactions.respond(server, answer, &mut cx.sip());
            self.deliver(&record, cx);
            self.phones_moved(&record, &known, cx);
            if has_mailbox {
                let mut new = self.directory.bindings(&record);
                new.0.retain(|one| !known.contains(&one.flow));
                self.show_mailbox(&record, &new, cx);
            }
            for (record, binding) in asked {
                self.inquiries.ask(record, &binding, &self.config, &mut self.transactions, cx);
            }
        } else {
            self.transactions.respond(server, answer, &mut cx.sip());
        }
        Ok(())
    }

    /// A phone has said in which profile it would offer sound.
    pub(super) fn learn(&mut self, asked: &Asked, media: Profile, cx: &mut Context<'_>) {
        let mut bindings = self.directory.bindings(&asked.record);
        for one in bindings.0.iter_mut().filter(|one| one.flow.connection == Some(asked.connection)) {
            one.media = Some(media);
        }
        self.directory.bind(asked.record.clone(), &bindings);
        self.tell_bindings(&asked.record, &bindings, cx);
    }

    /// An account's bindings are now these: here, in the journal, and at all other shards.
    pub(super) fn change(&mut self, record: &AddressOfRecord, bindings: Bindings, cx: &mut Context<'_>) {
        self.directory.bind(record.clone(), &bindings);
        self.tell_bindings(record, &bindings, cx);
        cx.out.store.push(StoreRequest::Bindings(record.clone(), bindings));
        self.touched(record, Package::shows_contacts, cx);
    }

    pub(super) fn tell_bindings(&self, record: &AddressOfRecord, bindings: &Bindings, cx: &mut Context<'_>) {
        if self.config.shards > 1 {
            let delta = Delta::Bindings(record.clone(), bindings.clone());
            cx.tell_others(self.config.shards, &ShardMessage::Delta(delta));
        }
    }

    pub(super) fn is_home(&self, record: &AddressOfRecord, cx: &Context<'_>) -> bool {
        self.config.shards <= 1 || dispatch::home(record, self.config.shards) == cx.shard
    }

    /// The record under which a user without an account is kept when nobody needs one.
    pub(super) fn unproven(&self, user: &str) -> AddressOfRecord {
        AddressOfRecord::new(user, &self.config.realm)
    }
}
