//! Ends of ours that speak and listen: what a service may ask of them, and what they have to say.

use offhook_media::command::{Heard, Order};
use offhook_media::voice::{Clip, Closed, Lost, Recording};
use offhook_sip::Request;
use offhook_sip_stack::usage::UsageId;

use super::call::With;
use super::end::End;
use super::verb::Calls;
use super::{CallId, Env, Table, place};
use crate::event::EndedBy;
use crate::io::FileRequest;
use crate::proxy::keys;

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
    /// The call is over, or another service has it.
    Ended,
}

impl Table {
    /// An end of ours has something to say, which is for the service of its call.
    pub(crate) fn heard(&mut self, call: CallId, heard: Heard, env: &mut Env<'_, '_>) {
        let Some(one) = self.calls.get_mut(&call).filter(|one| !one.has_ended()) else { return };
        let (With::End(end), Some(service)) = (&mut one.with, one.service) else { return };
        if let Some(point) = end.point(heard) {
            env.usages.points.push((call, service, point));
        }
    }

    /// A key that signalling brought, if the leg is of an end of ours.
    pub(super) fn pressed(&self, usage: UsageId, request: &Request, env: &mut Env<'_, '_>) {
        let (call, _) = place(usage);
        let Some(one) = self.calls.get(&call) else { return };
        let (With::End(_), Some(service)) = (&one.with, one.service) else { return };
        let press = keys::pressed(request).and_then(|press| KEYS.chars().nth(press.event.into()));
        if let Some(key) = press {
            env.usages.points.push((call, service, Point::Digit(key)));
        }
    }
}

impl Calls<'_, '_, '_> {
    /// Says these to the caller, in place of what is being said; [`Point::Played`] follows.
    pub(crate) fn play(&mut self, call: CallId, clips: Vec<Clip>) {
        self.with_end(call, |end, env| end.play(clips, env));
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

    /// Ends a call that was answered.
    pub(crate) fn hang_up(&mut self, call: CallId) {
        if let Some(one) = self.table.calls.get_mut(&call).filter(|one| !one.has_ended()) {
            one.finish(Some(EndedBy::Exchange), (offhook_sip::Status::OK, "Done"), self.env);
            one.caller.enter(self.env, |invite, stack| invite.hangup_because(None, stack));
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

    /// Changes a file of recordings.
    pub(crate) fn file(&mut self, request: FileRequest) {
        self.env.cx.out.files.push(request);
    }

    fn with_end(&mut self, call: CallId, work: impl FnOnce(&mut End, &mut Env<'_, '_>)) {
        let one = self.table.calls.get_mut(&call).filter(|one| !one.has_ended());
        if let Some(With::End(end)) = one.map(|one| &mut one.with) {
            work(end, self.env);
        }
    }
}

/// Keys by their event codes (RFC 4733 §3.2).
const KEYS: &str = "0123456789*#ABCD";
