//! Recording two whom the exchange has connected: their ends meet in a room, of which one end keeps what both say, each on its
//! own side. It lasts as long as they talk with each other; who is connected with somebody else begins another. Of several who meet,
//! the caller is on the one side and all others are on the other.

use bytes::Bytes;
use offhook_media::voice::Order;
use offhook_sip::NameAddr;

use super::call::{CALLER, Call, With};
use super::end::Kept;
use super::far::Halves;
use super::verb::Calls;
use super::{CallId, Env, LegId, Table};
use crate::directory::{AddressOfRecord, Record};
use crate::event::Event;
use crate::io::ShardMessage;
use crate::locality::user_of;
use crate::proxy::anchor::file_name;
use crate::services::{Announced, Wish};

/// What a shard has to know of a half that is of another, to record both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// When its party wants to be recorded.
    pub record: Record,
    /// What its party is called in the name of a file.
    pub name: String,
    /// Its Call-ID.
    pub call_id: String,
    /// The account whose phone its party is.
    pub account: Option<AddressOfRecord>,
    /// As whom others see that.
    pub shown: Option<NameAddr>,
    /// Whether its shard records both now; not while that is paused.
    pub is_recording: bool,
    /// When its call began, in Unix milliseconds.
    pub since: u128,
}

impl Calls<'_, '_, '_> {
    /// The parties of these calls, which the service has, meet in a room, at most so many, and are recorded if one of them always is,
    /// or if that is to go on.
    pub(crate) fn meet_several(&mut self, all: &[CallId], (room, most): (u64, u16), goes_on: bool) {
        for call in all {
            self.with_end(*call, |end, env| end.hush(env));
            self.join(*call, room, false, most);
            if let Some(one) = self.table.calls.get_mut(call) {
                one.several = Some(room);
            }
        }
        all.first().into_iter().for_each(|one| self.record_several(*one, goes_on));
    }

    /// Records those who meet in a room with this one, unless that is done.
    pub(crate) fn record_several(&mut self, one: CallId, goes_on: bool) {
        let (table, env) = (&mut *self.table, &mut *self.env);
        let all = table.together(one);
        let is_always = |call: &CallId| table.record_wish(*call, env) == Record::Always;
        if (goes_on || all.iter().any(is_always)) && !all.iter().any(|call| table.keeps(*call)) {
            table.begin_recording(one, env);
        }
    }

    /// Whether what a leg and those it talks with say is recorded now; not while that is paused.
    pub(crate) fn is_recorded(&self, at: LegId) -> bool {
        let between = self.table.calls.get(&at.call).and_then(|one| one.anchor_of_phones());
        let far = self.table.calls.get(&at.call).and_then(|one| one.other.as_deref());
        far.is_some_and(|far| far.is_recording)
            || between.is_some_and(|anchor| self.env.anchors.is_recorded(anchor))
            || self
                .table
                .together(at.call)
                .iter()
                .any(|call| self.table.kept(*call).is_some_and(|kept| !kept.paused))
    }
}

impl Table {
    /// A call and those with whose parties its own talks here, the one that began first before the others.
    fn together(&self, call: CallId) -> Vec<CallId> {
        let Some(one) = self.calls.get(&call) else { return Vec::new() };
        let mut all: Vec<&Call> = vec![one];
        all.extend(one.partner.and_then(|partner| self.calls.get(&partner)).map(Box::as_ref));
        let meets = |other: &&Call| one.several.is_some() && other.several == one.several && other.id != call;
        if one.several.is_some() {
            all.extend(self.calls.values().map(Box::as_ref).filter(meets).filter(|one| !one.has_ended()));
        }
        all.sort_by_key(|one| (one.about.started, !one.is_first(CALLER), one.id));
        all.into_iter().map(|one| one.id).collect()
    }

    /// Two were connected.
    pub(super) fn record_connected(&mut self, pair: [CallId; 2], env: &mut Env<'_, '_>) {
        if pair.iter().any(|call| self.record_wish(*call, env) == Record::Always) {
            self.begin_recording(pair[0], env);
        }
    }

    /// The same of two of different shards: each tells the other what it wants, and both come to the same of that.
    pub(super) fn tell_wish(&mut self, call: CallId, env: &mut Env<'_, '_>) {
        let Some((shard, far)) = self.calls.get(&call).and_then(|one| one.talks_far()) else { return };
        let Some(other) = self.known_of(call, env).map(Box::new) else { return };
        let wish = Halves::Wish { call: far, by: (env.cx.shard, call.0), other };
        env.cx.out.shards.push((shard, ShardMessage::Halves(wish)));
    }

    /// What another shard has said of the one that a call is connected with.
    pub(super) fn far_wish(&mut self, call: CallId, by: (u8, u64), other: Box<Other>, env: &mut Env<'_, '_>) {
        let Some(own) = self.known_of(call, env) else { return };
        let Some(one) = self.calls.get_mut(&call).filter(|one| one.far == Some(by)) else { return };
        let is_wanted = [own.record, other.record].contains(&Record::Always);
        let is_first = (own.since, env.cx.shard) < (other.since, by.0);
        one.other = Some(other);
        if is_wanted && is_first {
            self.begin_recording(call, env);
        }
    }

    /// A party has pressed a key.
    pub(super) fn recording_key(&mut self, call: CallId, key: char, env: &mut Env<'_, '_>) {
        let Some(one) = self.calls.get(&call) else { return };
        let is_connected = one.partner.is_some() || one.talks_far().is_some() || one.several.is_some();
        let record = self.record_wish(call, env);
        if !is_connected || record == Record::Never {
            return;
        }
        let settings = &env.config.services.recording;
        let asked = match self.calls.get_mut(&call).map(|one| &mut one.with) {
            Some(With::End(end)) => settings.wish(&mut end.keys, key),
            Some(With::Phones(_)) | None => None,
        };
        let keeps = self.together(call).into_iter().find(|one| self.keeps(*one));
        match (asked, keeps) {
            (Some(Wish::Toggle), Some(keeps)) if record == Record::OnDemand => self.stop(keeps, env),
            (Some(Wish::Toggle), None) if record == Record::OnDemand => {
                self.begin_recording(call, env);
            }
            (Some(Wish::Pause), Some(keeps)) => self.pause(keeps, env),
            (Some(Wish::Toggle | Wish::Pause) | None, _) => {}
        }
    }

    /// Tells the party of a call of a recording, unless it hears music.
    pub(super) fn mention(&mut self, call: CallId, what: Announced, env: &mut Env<'_, '_>) {
        let Some(said) = what.speech(env.config.services.recording.announce) else { return };
        let language = self.language(call, env);
        if let Some(With::End(end)) = self.calls.get_mut(&call).map(|one| &mut one.with) {
            end.mention(said.spoken(language), env);
        }
    }

    /// The one of those who talk with each other here that began first keeps what all say.
    fn begin_recording(&mut self, call: CallId, env: &mut Env<'_, '_>) {
        let all = self.together(call);
        let Some((call, others)) = all.split_first() else { return };
        let (Some(own), Some(one)) = (self.known_of(*call, env), self.calls.get(call)) else { return };
        let far = one.other.as_deref().filter(|_| one.talks_far().is_some());
        let right = far.is_some_and(|far| far.since < own.since);
        let names = others.iter().filter_map(|other| Some(self.calls.get(other)?.name()));
        let others = names.chain(far.map(|far| far.name.clone())).collect::<Vec<_>>().join("+");
        let names = if right { [&others, &own.name] } else { [&own.name, &others] };
        let call = *call;
        let (unix, longest) = (env.cx.unix(), env.config.services.recording.longest);
        let most_ms = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
        let Some(one) = self.calls.get_mut(&call) else { return };
        let With::End(end) = &mut one.with else { return };
        let file = file_name(unix, names.map(String::as_str), (end.anchor, end.next_recording()));
        env.cx.event(Event::Recording { call: one.about.call_id.clone(), what: Ok(file.clone()) });
        end.record_apart((file, most_ms), right, env);
        self.announce(call, Announced::Begins, env);
    }

    fn stop(&mut self, call: CallId, env: &mut Env<'_, '_>) {
        if let Some(With::End(end)) = self.calls.get_mut(&call).map(|one| &mut one.with) {
            end.kept = None;
            end.order(Order::RecordRoom(None), env);
        }
        self.announce(call, Announced::Ends, env);
    }

    fn pause(&mut self, call: CallId, env: &mut Env<'_, '_>) {
        let Some(With::End(end)) = self.calls.get_mut(&call).map(|one| &mut one.with) else { return };
        let Some(kept) = &mut end.kept else { return };
        kept.paused = !kept.paused;
        let paused = kept.paused;
        end.order(Order::PauseRoom(paused), env);
        self.announce(call, if paused { Announced::Pauses } else { Announced::GoesOn }, env);
    }

    /// The other shard tells of a recording.
    pub(super) fn announced(&mut self, call: CallId, what: Announced, env: &mut Env<'_, '_>) {
        if let Some(other) = self.calls.get_mut(&call).and_then(|one| one.other.as_mut()) {
            other.is_recording = matches!(what, Announced::Begins | Announced::GoesOn);
        }
        self.mention(call, what, env);
    }

    /// Tells all parties.
    fn announce(&mut self, call: CallId, what: Announced, env: &mut Env<'_, '_>) {
        let Some(far) = self.calls.get(&call).map(|one| one.talks_far()) else { return };
        let all = self.together(call);
        let holds = |call: &CallId| match self.calls.get(call).map(|one| &one.with) {
            Some(With::End(end)) => end.holds,
            Some(With::Phones(_)) | None => false,
        };
        if all.iter().any(holds) {
            return;
        }
        all.into_iter().for_each(|call| self.mention(call, what, env));
        if let Some((shard, call)) = far {
            env.cx.out.shards.push((shard, ShardMessage::Halves(Halves::Announce { call, what })));
        }
    }

    fn keeps(&self, call: CallId) -> bool {
        self.kept(call).is_some()
    }

    fn kept(&self, call: CallId) -> Option<&Kept> {
        match &self.calls.get(&call)?.with {
            With::End(end) => end.kept.as_ref(),
            With::Phones(_) => None,
        }
    }

    /// When the party of a call wants to be recorded. What a trunk wants on demand, accounts demand.
    fn record_wish(&self, call: CallId, env: &Env<'_, '_>) -> Record {
        let Some(one) = self.calls.get(&call) else { return Record::Never };
        let partner = one.partner.and_then(|partner| self.calls.get(&partner));
        let trunks = [Some(one.as_ref()), partner.map(Box::as_ref)].into_iter().flatten();
        let trunks = trunks.filter_map(|one| env.config.trunks.get(one.about.trunk?));
        let elsewhere = one.other.iter().filter(|_| one.is_stand_in()).map(|other| other.record);
        let by_trunk = trunks.map(|trunk| trunk.record).chain(elsewhere).max().unwrap_or_default();
        match one.account() {
            Some(account) => env.directory.rights(account).map_or(by_trunk, |one| one.record.max(by_trunk)),
            None if by_trunk == Record::Always => by_trunk,
            None => Record::Never,
        }
    }

    fn known_of(&self, call: CallId, env: &Env<'_, '_>) -> Option<Other> {
        let one = self.calls.get(&call)?;
        if let Some(other) = one.other.as_deref().filter(|_| one.is_stand_in()) {
            return Some(other.clone());
        }
        Some(Other {
            record: self.record_wish(call, env),
            name: one.name(),
            call_id: one.about.call_id.clone(),
            account: one.account().cloned(),
            shown: one.shown(),
            is_recording: false,
            since: env.cx.epoch.unix(one.about.started).as_millis(),
        })
    }
}

impl Call {
    /// It meets its others no longer.
    pub(super) fn leave_several(&mut self, env: &mut Env<'_, '_>) {
        if self.several.take().is_some()
            && let With::End(end) = &mut self.with
        {
            end.keys.clear();
            if end.kept.take().is_some() {
                end.order(Order::RecordRoom(None), env);
            }
        }
    }

    /// What its party is called: the user of its account, or the one that it called from or was called by.
    fn name(&self) -> String {
        if let Some(account) = self.account() {
            return account.user().to_owned();
        }
        if let Some(other) = self.other.as_ref().filter(|_| self.is_stand_in()) {
            return other.name.clone();
        }
        let said = if self.is_first(CALLER) { &self.about.from } else { &self.about.to };
        let parsed = NameAddr::parse(Bytes::copy_from_slice(said.as_bytes()));
        parsed.ok().and_then(|name| user_of(&name.uri)).unwrap_or_else(|| said.clone())
    }
}
