//! The door to bridged calls and to the services that make them.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::command::Report;
use offhook_sip::{Method, Status, Uri};
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::outward::Way;
use super::whereabouts::Found;
use crate::b2bua::{Arriving, CallId, Called, Env, Onward, Table};
use crate::command::Moderation;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Also, Delta, Mailbox, Record};
use crate::event::Event;
use crate::identity::Caller;
use crate::io::ShardMessage;
use crate::locality::user_of;
use crate::proxy::anchor::{Concern, Supervise, of_room};
use crate::proxy::{Asking, Attended, Forwarding, Target};
use crate::refusal::Refusal;
use crate::services::{Incoming, Outcome, Services, Why};
use crate::trunks;

impl Core {
    /// The bridged calls, what they work with, and the services that may take a call.
    pub(super) fn bridged<'a, 'b>(
        &'a mut self,
        cx: &'a mut Context<'b>,
    ) -> (&'a mut Table, Env<'a, 'b>, &'a mut Services) {
        let env = Env {
            config: &self.config,
            directory: &self.directory,
            transactions: &mut self.transactions,
            anchors: &mut self.proxy.anchors,
            active: &mut self.proxy.active,
            usages: &mut self.usages,
            trunks: &mut self.trunks,
            cx,
        };
        (&mut self.bridged, env, &mut self.services)
    }

    /// Takes a request to a user of ours: to a service, or to where the user is.
    pub(super) fn reach(
        &mut self,
        server: ServerId,
        asking: Asking,
        (user, uri): (Option<String>, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let is_from_account = asking.caller.account().is_some();
        let came = if is_from_account { None } else { self.trunk_of(&asking.request, &asking.from) };
        let is_told = asking.diverted_by.is_none() && *asking.request.method() == Method::Invite;
        let told = came.as_ref().filter(|_| is_told).map(|came| Event::CallCame {
            call: asking.request.call_id().unwrap_or_default().to_owned(),
            trunk: came.trunk.name.clone(),
        });
        // A trunk's way of writing a number is not how it is known here.
        let dialled = came.and_then(|came| came.number).or_else(|| user.clone()).unwrap_or_default();
        let reached = self.reach_user(server, asking, (user, dialled, uri), cx);
        // Of a call that has not come to be nobody wants to know.
        cx.out.events.extend(told.filter(|_| reached.is_ok()));
        reached
    }

    fn reach_user(
        &mut self,
        server: ServerId,
        asking: Asking,
        (user, dialled, uri): (Option<String>, String, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let to = (&user, dialled.as_str(), uri);
        if *asking.request.method() == Method::Invite && self.replace(server, &asking, to, cx)? {
            return Ok(());
        }
        self.reach_on(server, asking, (user, dialled, uri), cx)
    }

    /// The same for what takes nobody's place.
    pub(super) fn reach_on(
        &mut self,
        server: ServerId,
        asking: Asking,
        (user, dialled, uri): (Option<String>, String, &Uri),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let called = Called { dialled, ..Called::default() };
        match self.incoming(server, &asking, &called, cx)? {
            Incoming::Passed => {}
            Incoming::Hunt(hunt) => return self.begin_hunt(server, asking, hunt, cx),
            Incoming::Handled => return Ok(()),
        }
        // Where a call may go is for the one to say who has sent it there.
        let sender = asking.diverted_by.clone().map(Caller::Account);
        let sender = sender.as_ref().unwrap_or(&asking.caller);
        match self.whereabouts(user, (&asking.request, uri), sender, &asking.from, cx.unix())? {
            Way::Phones(found) if *asking.request.method() == Method::Invite => {
                self.ring(server, asking, found, called, cx)
            }
            Way::Phones(found) if *asking.request.method() == Method::Message => {
                self.text(server, asking, found, cx)
            }
            way => self.go(server, asking, way, cx),
        }
    }

    /// Rings the phones of somebody, unless a service has other plans.
    pub(super) fn ring(
        &mut self,
        server: ServerId,
        asking: Asking,
        found: Found,
        called: Called,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let account = found.account.clone();
        let answering = account.as_ref().and_then(|account| self.directory.answering(account)).cloned();
        let called = Called { account, answering, ..called };
        let also = self.also(&called, asking.caller.account(), cx.unix());
        let none = found.phones.as_ref().err().filter(|_| also.is_empty()).cloned();
        let concern = self.concern(&asking, called.account.as_ref());
        let phones = found.phones.unwrap_or_default().into_iter().chain(also);
        let phones = phones.map(|phone| Target { concern: concern.clone(), ..phone }).collect();
        let outcome = self.routed(server, &asking, &called, phones, cx)?;
        let outcome = match (outcome, none) {
            (Outcome::Phones(..), Some(refusal)) => {
                let outcome = self.unanswered(server, &asking, &called, Why::Unavailable, cx)?;
                outcome.ok_or(refusal)?
            }
            (Outcome::Unanswered(why, refusal), _) => {
                let outcome = self.unanswered(server, &asking, &called, why, cx)?;
                outcome.ok_or(refusal)?
            }
            (outcome, _) => outcome,
        };
        match (outcome, called.account) {
            (Outcome::Phones(targets, rings_for), account) if asking.bridged.is_some() => {
                self.send_on(Onward { server, asking, account, targets, rings_for }, cx);
                Ok(())
            }
            (Outcome::Phones(targets, rings_for), account) => {
                let attended = account.zip(rings_for).map(|(account, rings_for)| Attended {
                    account,
                    rings_for,
                    hunt: None,
                });
                let forwarding = Forwarding { asking, targets, attended };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
            (Outcome::Diverted(diversion), Some(by)) => {
                let by = self.directory.account(&by).cloned().ok_or(Status::NOT_FOUND)?;
                self.divert(server, asking, by, &diversion, cx)
            }
            _ => Ok(()),
        }
    }

    /// The phones of those who ring as well for an account, unless one of them is the caller.
    fn also(&self, called: &Called, caller: Option<&AddressOfRecord>, now: u64) -> Vec<Target> {
        let named = called.answering.iter().flat_map(|answering| &answering.also);
        let phones = |also: &Also| {
            let account = self.named(&also.to)?;
            let busy = self.directory.answering(&account.address).is_some_and(|one| one.do_not_disturb);
            let is_other = Some(&account.address) != called.account.as_ref();
            if busy || Some(&account.address) == caller || !is_other {
                return None;
            }
            let uri = account.address.to_string().parse().ok()?;
            let phones = self.targets(account.address.user(), &uri, now).ok()?.phones.ok()?;
            let of = |target| Target { after: Some(also.after), ..target };
            Some(phones.into_iter().map(of).collect::<Vec<_>>())
        };
        named.filter_map(phones).flatten().collect()
    }

    /// Whom a call concerns, if its sound may have to be heard by us: because of the caller, of the account that is
    /// called, of who may supervise them, or of the trunk by which it came.
    pub(super) fn concern(&self, asking: &Asking, called: Option<&AddressOfRecord>) -> Option<Arc<Concern>> {
        self.concern_by(asking, called, None)
    }

    /// The same for a call that leaves by a trunk. What a trunk wants recorded on demand, the accounts demand.
    pub(super) fn concern_by(
        &self,
        asking: &Asking,
        called: Option<&AddressOfRecord>,
        leaves: Option<usize>,
    ) -> Option<Arc<Concern>> {
        let trunks = [asking.trunk, leaves].into_iter().flatten();
        let trunks = trunks.filter_map(|at| self.config.trunks.get(at));
        let wish = trunks.map(|trunk| trunk.record).max().unwrap_or_default();
        let codes = self.config.services.codes_in_all_calls;
        if !self.directory.has_rights() && wish == Record::Never && !codes {
            return None;
        }
        let right = |account| self.directory.rights(account).map(|rights| rights.record).unwrap_or_default();
        let answers = asking.caller.account();
        let speaker = asking.speaker.as_ref().unwrap_or(&asking.caller).account();
        // Keys are for those who speak; whoever has sent the call on presses none.
        let record =
            [speaker, called].map(|one| one.map_or(Record::Never, |account| right(account).max(wish)));
        let always =
            wish == Record::Always || answers.is_some_and(|account| right(account) == Record::Always);
        let user = |uri: &Uri| user_of(uri).unwrap_or_default();
        let names = [asking.request.from(), asking.request.to()];
        let names = names.map(|name| name.map(|name| user(&name.uri)).unwrap_or_default());
        let accounts = [answers, called].map(|account| account.cloned());
        let languages = [speaker, called].map(|account| self.directory.language(account?));
        Some(Arc::new(Concern { record, always, accounts, languages, names, codes }))
    }

    /// Sends a request on its way.
    pub(super) fn go(
        &mut self,
        server: ServerId,
        asking: Asking,
        way: Way,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        match way {
            Way::Phones(found) => {
                let forwarding = Forwarding { asking, targets: found.phones?, attended: None };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
            Way::Out(_) if asking.bridged.is_some() => Err(Refusal::new(
                Status::TEMPORARILY_UNAVAILABLE,
                "A bridged call is not sent on to other domains",
            )),
            Way::Out(to) => self.outward(server, asking.answered_for(), to, cx),
            Way::Sought(sought) => self.enumerate(server, asking, *sought, cx),
            Way::Trunks(by) => {
                let by = by.sent_on(&asking);
                self.by_trunks(server, asking.answered_for(), by, cx)
            }
        }
    }

    /// A bridged call goes on to others.
    pub(super) fn send_on(&mut self, onward: Onward, cx: &mut Context<'_>) {
        let Some(call) = onward.asking.bridged else { return };
        let (bridged, mut env, _) = self.bridged(cx);
        bridged.go_on(call, onward, &mut env);
    }

    /// Lets services take a call whose caller is known.
    fn incoming(
        &mut self,
        server: ServerId,
        asking: &Asking,
        called: &Called,
        cx: &mut Context<'_>,
    ) -> Result<Incoming, Refusal> {
        if *asking.request.method() != Method::Invite || self.draining {
            return Ok(Incoming::Passed);
        }
        let arriving = Arriving { server, asking, called, targets: Vec::new() };
        let (bridged, mut env, services) = self.bridged(cx);
        services.incoming(bridged, &mut env, arriving)
    }

    /// Lets services take a call of which it is known whom it is for.
    pub(super) fn routed(
        &mut self,
        server: ServerId,
        asking: &Asking,
        called: &Called,
        targets: Vec<Target>,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Refusal> {
        let arriving = Arriving { server, asking, called, targets };
        let (bridged, mut env, services) = self.bridged(cx);
        services.routed(bridged, &mut env, arriving)
    }

    /// Lets services take a call that nobody takes; `None` if none does.
    pub(super) fn unanswered(
        &mut self,
        server: ServerId,
        asking: &Asking,
        called: &Called,
        why: Why,
        cx: &mut Context<'_>,
    ) -> Result<Option<Outcome>, Refusal> {
        let arriving = Arriving { server, asking, called, targets: Vec::new() };
        let (bridged, mut env, services) = self.bridged(cx);
        services.unanswered(bridged, &mut env, arriving, why)
    }

    pub(crate) fn media(&mut self, report: Report, cx: &mut Context<'_>) {
        let pressed = self.proxy.anchors.code_key(&report);
        if self.proxy.anchors.tapped(&report, &self.config, cx) {
            let (bridged, mut env, _) = self.bridged(cx);
            pressed.into_iter().for_each(|(call, side, key)| bridged.key_between(call, side, key, &mut env));
            return;
        }
        if let Report::Heard { stream, heard } = report {
            let anchors = &self.proxy.anchors;
            let call = anchors.of_stream(stream).and_then(|anchor| anchors.bridged(anchor));
            let (bridged, mut env, _) = self.bridged(cx);
            return call.map(|call| bridged.heard(call, heard, &mut env)).unwrap_or_default();
        }
        cx.out.events.extend(self.proxy.anchors.counted(&report));
        let Some((number, trouble)) = self.proxy.anchors.report(report, &self.config, cx.now) else { return };
        match self.proxy.anchors.bridged(number) {
            Some(call) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.trouble(call, number, trouble, &mut env);
            }
            None => self.proxy.trouble(number, trouble, &self.config, &mut self.transactions, cx),
        }
    }

    /// A folder of recordings holds these now. Every shard is shown it, so nobody needs to tell the others.
    pub(crate) fn mailbox(&mut self, folder: &str, files: &[String], cx: &mut Context<'_>) {
        let Some((account, new, old)) = self.services.mailbox(folder, files) else { return };
        if self.directory.account(&account).is_some() {
            self.apply(Delta::Mailbox(account, Mailbox { new, old }), cx);
        }
    }

    /// A supervisor of another shard wants to hear a call.
    pub(crate) fn supervise_here(&mut self, asked: &Supervise, cx: &mut Context<'_>) {
        if self.proxy.anchors.supervise(asked, &self.config, cx) {
            let (shard, _) = of_room(asked.room);
            cx.out.shards.push((shard, ShardMessage::Supervised { room: asked.room, heard: true }));
        }
    }

    /// What a supervisor of ours wants to hear is heard, or is over.
    pub(crate) fn supervised(&mut self, room: u64, heard: bool, cx: &mut Context<'_>) {
        let Some(known) = self.proxy.anchors.supervisors.get_mut(&room) else { return };
        *known = heard;
        if !heard {
            let (_, call) = of_room(room);
            let (bridged, mut env, _) = self.bridged(cx);
            bridged.unsupervised(CallId(call), &mut env);
        }
    }

    /// Tells services what has happened to their calls, and what comes of that.
    pub(crate) fn tell_services(&mut self, cx: &mut Context<'_>) {
        for room in std::mem::take(&mut self.proxy.anchors.left) {
            match of_room(room) {
                (shard, _) if shard == cx.shard => self.supervised(room, false, cx),
                (shard, _) => cx.out.shards.push((shard, ShardMessage::Supervised { room, heard: false })),
            }
        }
        while !self.usages.points.is_empty()
            || !self.usages.keyed.is_empty()
            || !self.usages.wanted.is_empty()
            || !self.usages.given.is_empty()
            || !self.usages.pickups.is_empty()
            || !self.usages.replacing.is_empty()
        {
            self.call_for_services(cx);
            for (call, service, point) in std::mem::take(&mut self.usages.points) {
                let (bridged, mut env, services) = self.bridged(cx);
                services.point(bridged, &mut env, (call, service, point));
            }
            for (leg, key) in std::mem::take(&mut self.usages.keyed) {
                let (bridged, mut env, services) = self.bridged(cx);
                services.keyed(bridged, &mut env, (leg, key));
            }
        }
        for (slot, taken) in std::mem::take(&mut self.usages.parked) {
            self.slot_changed(slot, taken, cx);
        }
    }

    /// Does what an operator wants in a conference room; returns to how many it happened.
    pub(super) fn moderate(&mut self, asked: &Moderation, cx: &mut Context<'_>) -> usize {
        let (bridged, mut env, services) = self.bridged(cx);
        services.moderate(bridged, &mut env, asked)
    }

    /// Ends the calls with this Call-ID, at an operator's wish; returns how many there are.
    pub(super) fn hang_up(&mut self, call_id: &str, cx: &mut Context<'_>) -> usize {
        let forwarded = self.proxy.hang_up(call_id, &self.config, &mut self.transactions, cx);
        let (bridged, mut env, _) = self.bridged(cx);
        forwarded + bridged.hang_up(call_id, &mut env)
    }

    /// Does what is due for a leg of a bridged call; false if nothing is.
    pub(crate) fn due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((deadline, owner)) = self.usages.timers.pop_due(cx.now) else {
            return self.watch_due(cx);
        };
        if trunks::is_ours(owner.usage) {
            self.tend(cx, |trunks, desk| trunks.timeout(owner, deadline, desk));
        } else {
            let (bridged, mut env, _) = self.bridged(cx);
            bridged.due(owner, deadline, &mut env);
        }
        true
    }

    /// When [`Core::due`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.usages.next_deadline().into_iter().chain(self.presence.next_deadline()).min()
    }
}
