//! Ends of ours that speak and listen: what a service may ask of them, and what they have to say.

use std::time::Duration;

use offhook_media::command::{Heard, Order};
use offhook_media::voice::{Clip, Closed, Lost, Recording};
use offhook_sip::Status;

use super::call::With;
use super::end::End;
use super::far::Halves;
use super::verb::Calls;
use super::{CallId, Env, Table};
use crate::context::Alarm;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::io::{FileRequest, ShardMessage};
use crate::keep::Keep;
use crate::proxy::anchor::{How, Supervise, room};
use crate::speech::{Language, Speech};

/// A moment of a call at which the service that has it may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The caller pressed a key.
    Digit(char),
    /// Everything that was to be played has been.
    Played,
    /// A recording has ended: how long it is in milliseconds, or why there is none.
    Recorded(Result<u32, Lost>),
    /// So many others are in the room that the caller sits in.
    Room(u16),
    /// It cannot come into a room.
    Closed(Closed),
    /// Something has come of calling somebody ([`Calls::dial`], [`Calls::originate`]).
    Dialled(Dialled),
    /// The call is over, or another service has it.
    Ended,
}

/// What has come of calling somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialled {
    /// A phone rings.
    Ringing,
    /// Somebody has answered, in this call, which the service has from now on. Where it was called for another call, both
    /// are connected.
    Answered(CallId),
    /// Nobody has.
    Failed(Status),
}

impl Dialled {
    /// Whether who was called is in another call.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::Failed(Status::BUSY_HERE | Status::BUSY_EVERYWHERE))
    }
}

impl Table {
    /// An end of ours has something to say, which is for the service of its call.
    pub(crate) fn heard(&mut self, call: CallId, heard: Heard, env: &mut Env<'_, '_>) {
        let Some(one) = self.calls.get_mut(&call).filter(|one| !one.has_ended()) else { return };
        if one.tell_stand_in(&heard, env) {
            return;
        }
        let (With::End(end), Some(service)) = (&mut one.with, one.service) else { return };
        if let Heard::Recorded { order, outcome } = heard
            && let Some(kept) = end.ended(order)
        {
            let what = outcome.map(|_| kept.file).map_err(|_| UNWRITTEN.to_owned());
            return env.cx.event(Event::Recording { call: one.about.call_id.clone(), what });
        }
        let is_event = end.has_events();
        let Some(point) = end.point(heard) else { return };
        if let (Point::Digit(key), Some(partner), true) = (&point, one.partner, is_event) {
            self.press(partner, *key, env);
        }
        if let (Point::Digit(key), true) = (&point, is_event) {
            self.press_far(call, *key, env);
        }
        if let Point::Digit(key) = point {
            self.recording_key(call, key, env);
        }
        env.usages.points.push((call, service, point));
    }

    /// The party of another half hears a key that is not in the sound.
    pub(super) fn press(&mut self, partner: CallId, key: char, env: &mut Env<'_, '_>) {
        if let Some(With::End(end)) = self.calls.get_mut(&partner).map(|one| &mut one.with) {
            end.order(Order::Press(key), env);
        }
    }

    /// The same of one of another shard.
    fn press_far(&self, call: CallId, key: char, env: &mut Env<'_, '_>) {
        let far = self.calls.get(&call).and_then(|one| one.talks_far());
        let pressed = far.map(|(shard, call)| (shard, ShardMessage::Halves(Halves::Key { call, key })));
        env.cx.out.shards.extend(pressed);
    }

    /// A key that signalling brought, of one who has an end of ours.
    pub(super) fn pressed_to_us(&mut self, call: CallId, key: char, env: &mut Env<'_, '_>) {
        let Some(one) = self.calls.get(&call) else { return };
        if one.tell_stand_in(&Heard::Digit(key), env) {
            return;
        }
        let (Some(service), partner) = (one.service, one.partner) else { return };
        env.usages.points.push((call, service, Point::Digit(key)));
        self.recording_key(call, key, env);
        match partner {
            Some(partner) => self.press(partner, key, env),
            None => self.press_far(call, key, env),
        }
    }
}

impl Table {
    /// The language of a party's account, or else the one that a service has found, or that of the exchange.
    pub(super) fn language(&self, call: CallId, env: &Env<'_, '_>) -> Language {
        let one = self.calls.get(&call);
        let account = one.and_then(|one| one.account());
        let own = account.and_then(|account| env.directory.language(account));
        own.or_else(|| one?.language).unwrap_or(env.config.services.language)
    }
}

impl Calls<'_, '_, '_> {
    /// Says these to the caller, in place of what is being said; [`Point::Played`] follows.
    pub(crate) fn play(&mut self, call: CallId, clips: Vec<Clip>) {
        self.with_end(call, |end, env| end.play(clips, env));
    }

    /// The same in words, in the language of who hears them.
    pub(crate) fn say(&mut self, call: CallId, speech: Speech) {
        let language = self.language(call);
        self.play(call, speech.spoken(language));
    }

    /// A party without a language of its own is spoken to in that of this account.
    pub(crate) fn speak_like(&mut self, call: CallId, account: &AddressOfRecord) {
        let language = self.env.directory.language(account);
        if let Some(one) = self.table.calls.get_mut(&call) {
            one.language = language;
        }
    }

    fn language(&self, call: CallId) -> Language {
        self.table.language(call, self.env)
    }

    /// Lets the caller hear music, in place of what is being said, until something else is to be said. There is always some:
    /// of the exchange's folder of music, or a melody.
    pub(crate) fn music(&mut self, call: CallId) {
        self.play(call, vec![Clip::Music]);
    }

    /// Records what the caller says; [`Point::Recorded`] follows, unless the call ends before.
    pub(crate) fn record(&mut self, call: CallId, recording: Recording) {
        self.with_end(call, |end, env| end.record(recording, env));
    }

    /// Ends the recording.
    pub(crate) fn stop_recording(&mut self, call: CallId) {
        self.with_end(call, |end, env| end.order(Order::Stop, env));
    }

    /// The caller hears the others in a room, at most so many, and they hear it unless it is muted; [`Point::Room`] or
    /// [`Point::Closed`] follows.
    pub(crate) fn join(&mut self, call: CallId, room: u64, muted: bool, most: u16) {
        self.with_end(call, |end, env| end.order(Order::Join { room, muted, most }, env));
    }

    /// Lets nobody else into the room that the caller sits in, or lets them in again.
    pub(crate) fn lock(&mut self, call: CallId, locked: bool) {
        self.with_end(call, |end, env| end.order(Order::Lock(locked), env));
    }

    /// Records all that is said in the room that the caller sits in, or no longer.
    pub(crate) fn record_room(&mut self, call: CallId, recording: Option<Recording>) {
        self.with_end(call, |end, env| end.record_room(recording, env));
    }

    /// The Call-ID of the one who called.
    pub(crate) fn call_id(&self, call: CallId) -> Option<String> {
        self.table.calls.get(&call).map(|one| one.about.call_id.clone())
    }

    /// Ends a call that was answered, or that somebody is being called by.
    pub(crate) fn hang_up(&mut self, call: CallId) {
        self.env.usages.wanted.retain(|wanted| wanted.call != call);
        if let Some(one) = self.table.calls.get_mut(&call).filter(|one| !one.has_ended()) {
            one.hang_up_with(None, self.env);
        }
        self.table.settle(call, self.env);
    }

    /// The Unix time in seconds, and the time zone of the exchange.
    pub(crate) fn clock(&self) -> (u64, jiff::tz::TimeZone) {
        (self.env.cx.unix(), self.env.config.plan.time_zone.clone())
    }

    /// A number that no other call of the exchange has had at this second.
    pub(crate) fn unique(&self, call: CallId) -> u64 {
        u64::from(self.env.cx.shard) << 56 | call.0
    }

    /// Has something kept in the store; [`Service::kept`](crate::services) follows, if the call is there then.
    pub(crate) fn remember(&mut self, call: CallId, keep: Keep) {
        self.env.cx.out.keeps.push((call.0, keep));
    }

    /// Tells the service after some time that it has come.
    pub(crate) fn remind(&mut self, after: Duration, what: u64) {
        let alarm = Alarm::Service(self.service, what);
        self.env.cx.timers.arm(self.env.cx.now + after, alarm);
    }

    /// Changes a file of recordings.
    pub(crate) fn file(&mut self, request: FileRequest) {
        self.env.cx.out.files.push(request);
    }

    /// Whoever has a call of the account is asked to let the caller hear it; `None`: no longer. What comes of it shows in
    /// [`Calls::is_supervising`].
    pub(crate) fn supervise(
        &mut self,
        call: CallId,
        (account, by): (&AddressOfRecord, &AddressOfRecord),
        how: Option<How>,
    ) {
        let Env { config, anchors, cx, .. } = &mut *self.env;
        let room = room(u64::from(cx.shard) << 56 | call.0);
        let asked = Supervise { room, account: account.clone(), by: by.clone(), how };
        if how.is_none() {
            anchors.supervisors.remove(&room);
        }
        let before = anchors.supervisors.get(&room).copied().unwrap_or(false);
        let here = anchors.supervise(&asked, config, cx);
        if how.is_some() {
            anchors.supervisors.insert(room, here || before);
        }
        if !here {
            cx.tell_others(config.shards, &ShardMessage::Supervise(asked));
        }
    }

    /// Whether the caller can hear the call that it wants to.
    pub(crate) fn is_supervising(&self, call: CallId) -> bool {
        self.env.anchors.supervisors.get(&room(self.unique(call))) == Some(&true)
    }

    /// The caller hears the call that it supervises, and is heard as far as that goes.
    pub(crate) fn sit_with_supervised(&mut self, call: CallId, how: How) {
        let room = room(self.unique(call));
        self.join(call, room, how == How::Listen, 2);
    }

    pub(super) fn with_end(&mut self, call: CallId, work: impl FnOnce(&mut End, &mut Env<'_, '_>)) {
        let one = self.table.calls.get_mut(&call).filter(|one| !one.has_ended());
        if let Some(With::End(end)) = one.map(|one| &mut one.with) {
            work(end, self.env);
        }
    }
}

const UNWRITTEN: &str = "the recording could not be written any further";
