//! Calls to groups: whose phones ring next, and where the call goes when nobody takes it.

use std::sync::Arc;
use std::time::Instant;

use offhook_sip::digest::{Algorithm, ha1};
use offhook_sip::{Name, Status};
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use crate::b2bua::{Called, Onward};
use crate::command::{GroupReport, MemberReport};
use crate::context::Context;
use crate::directory::{Account, AddressOfRecord, Secrets};
use crate::event::Event;
use crate::io::ShardMessage;
use crate::proxy::{Asking, Attended, Forwarding, Member, Target};
use crate::refusal::Refusal;
use crate::screening;
use crate::services::{Diversion, Group, Hunt, Outcome, Why};

impl Core {
    /// Rings the next members of a group, or sends the call on to where it goes after them; false: nobody is left.
    ///
    /// # Errors
    /// What the caller is told when the call cannot go there.
    pub(super) fn hunt(
        &mut self,
        server: ServerId,
        asking: Asking,
        mut hunt: Box<Hunt>,
        cx: &mut Context<'_>,
    ) -> Result<bool, Refusal> {
        while let Some(round) = hunt.rounds.pop_front() {
            let targets: Vec<Target> = round
                .iter()
                .flat_map(|member| self.member(member, &hunt.group, &asking, cx.unix()))
                .collect();
            if !targets.is_empty() {
                let asking = Asking { hunt: Some(hunt), ..asking };
                return self.ring_members(server, asking, targets, cx).map(|()| true);
            }
        }
        let Some(to) = hunt.then.take() else { return Ok(false) };
        let why = if hunt.closed { Why::Always } else { Why::NoAnswer };
        let by = self.account_of_group(&hunt.group);
        let asking = Asking { hunt: None, ..asking };
        self.divert(server, asking, by, &Diversion { to, why }, cx).map(|()| true)
    }

    fn ring_members(
        &mut self,
        server: ServerId,
        asking: Asking,
        targets: Vec<Target>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Some(group) = asking.hunt.as_ref().map(|hunt| Arc::clone(&hunt.group)) else { return Ok(()) };
        let called = Called { dialled: group.number.clone(), ..Called::default() };
        let rings_for = Some(group.rings_for);
        match self.routed(server, &asking, &called, targets, cx)? {
            Outcome::Phones(targets, _) if asking.bridged.is_some() => {
                let rings_for = Some(rings_for);
                self.send_on(Onward { server, asking, account: None, targets, rings_for }, cx);
                Ok(())
            }
            Outcome::Phones(targets, _) => {
                let account = AddressOfRecord::new(&group.number, &self.config.realm);
                let attended = Some(Attended { account, rings_for, hunt: asking.hunt.clone() });
                let forwarding = Forwarding { asking, targets, attended };
                self.proxy.start(server, forwarding, &self.config, &mut self.transactions, cx)
            }
            Outcome::Unanswered(..) | Outcome::Diverted(_) | Outcome::Handled => Ok(()),
        }
    }

    /// The phones of a member, if they are to ring for this call.
    fn member(&self, named: &str, group: &Arc<Group>, asking: &Asking, now: u64) -> Vec<Target> {
        let Some(account) = self.named(named) else { return Vec::new() };
        let answering = self.directory.answering(&account.address);
        let is_caller = asking.caller.account() == Some(&account.address);
        let is_busy = group.skip_busy && self.proxy.active.members.calls(&account.address) > 0;
        let turned_away = answering.is_some_and(|answering| {
            let hides = answering.reject_anonymous && screening::is_anonymous(&asking.request);
            let unwanted = screening::is_turned_away(answering, &asking.caller, &asking.request);
            answering.do_not_disturb || hides || unwanted
        });
        if is_caller || is_busy || turned_away {
            return Vec::new();
        }
        let onward =
            answering.filter(|_| group.follow_forwards).and_then(|one| one.forward.always.as_deref());
        let place = onward.and_then(|to| self.named(to)).unwrap_or(account);
        let Ok(uri) = place.address.to_string().parse() else { return Vec::new() };
        let found = self.targets(place.address.user(), &uri, now);
        let phones = found.ok().and_then(|found| found.phones.ok()).unwrap_or_default();
        let member = Arc::new(Member { account: account.address.clone(), shown: group.name.clone() });
        let concern = self.concern(asking, Some(&account.address));
        let of = |target| Target { member: Some(Arc::clone(&member)), concern: concern.clone(), ..target };
        phones.into_iter().map(of).collect()
    }

    /// The account that the configuration means by a number, a user or an address.
    pub(super) fn named(&self, name: &str) -> Option<&Account> {
        match name.contains('@') {
            true => self.directory.account(&AddressOfRecord::parse(name).ok()?),
            false => self.directory.find(name, &self.config.realm, &self.config.domains),
        }
    }

    /// A group as one who sends calls on and answers for that: under its number, at our
    /// domain. It is in no directory, so nobody can register as it.
    fn account_of_group(&self, group: &Group) -> Account {
        let secret = |algorithm| ha1(algorithm, &group.number, &self.config.realm, "");
        Account {
            address: AddressOfRecord::new(&group.number, &self.config.realm),
            name: Some(group.name.clone()),
            number: Some(group.number.clone()),
            language: None,
            realm: self.config.realm.clone(),
            secrets: Secrets { md5: secret(Algorithm::Md5), sha256: secret(Algorithm::Sha256) },
        }
    }

    /// What begins when a call to a group arrives.
    ///
    /// # Errors
    /// If nobody can be reached.
    pub(super) fn begin_hunt(
        &mut self,
        server: ServerId,
        asking: Asking,
        hunt: Box<Hunt>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 30));
        }
        let name = hunt.group.name.clone();
        match self.hunt(server, asking, hunt, cx)? {
            true => Ok(()),
            false => {
                let reason = format!("Nobody of {name} can be reached now");
                Err(Refusal::new(Status::TEMPORARILY_UNAVAILABLE, reason))
            }
        }
    }

    /// What this input has brought to the calls of members of groups. `begun` is the number of events before it.
    pub(crate) fn follow_members(&mut self, begun: usize, cx: &Context<'_>) {
        if self.proxy.active.members.is_unused() {
            return;
        }
        for event in &cx.out.events[begun..] {
            match event {
                Event::CallStarted { call, from, to, .. } => {
                    for account in [from, to]
                        .into_iter()
                        .filter_map(|one| self.directory.named_by(one, &self.config.domains))
                    {
                        if self.proxy.active.members.has(account) {
                            let account = account.address.clone();
                            self.proxy.active.members.begin(call, &account, cx.now);
                        }
                    }
                }
                Event::CallFailed { call, .. } | Event::CallEnded { call, .. } => {
                    self.proxy.active.members.end(call, cx.now);
                }
                _ => {}
            }
        }
    }

    /// Tells the other shards of the members whose number of calls has changed.
    pub(super) fn tell_members(&mut self, cx: &mut Context<'_>) {
        while let Some((account, calls)) = self.proxy.active.members.changed() {
            let shard = cx.shard;
            cx.tell_others(self.config.shards, &ShardMessage::Member { shard, account, calls });
        }
    }

    /// Another shard says in how many calls a member of a group is there.
    pub(crate) fn member_elsewhere(&mut self, shard: u8, account: AddressOfRecord, calls: u32, now: Instant) {
        self.proxy.active.members.note(shard, account, calls, now);
    }

    /// The groups as an operator sees them.
    pub(super) fn group_reports(&self, cx: &Context<'_>) -> Vec<GroupReport> {
        let now = cx.unix();
        let member = |named: &String| {
            let account = self.named(named);
            let address = account.map(|account| &account.address);
            let phones = address.map(|one| self.directory.bindings(one)).unwrap_or_default();
            MemberReport {
                member: named.clone(),
                account: address.map(ToString::to_string),
                phones: phones.0.iter().filter(|one| one.expires_at > now).count(),
                calls: address.map_or(0, |one| self.proxy.active.members.calls(one)),
                do_not_disturb: address
                    .and_then(|one| self.directory.answering(one))
                    .is_some_and(|one| one.do_not_disturb),
            }
        };
        let report = |group: &Group| GroupReport {
            number: group.number.clone(),
            name: group.name.clone(),
            strategy: group.strategy.word(),
            is_open: group.hours.as_ref().is_none_or(|hours| hours.when.is_open(now)),
            then: group.then.clone(),
            members: group.members.iter().map(member).collect(),
        };
        self.config.services.groups.iter().map(report).collect()
    }
}
