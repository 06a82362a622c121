//! Supervisors: who may do so hears a call, and may be heard by one or both of its parties.

use offhook_media::command::TapOrder;

use super::Tap;
use crate::config::Config;
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::proxy::anchor::Anchors;

/// How a supervisor takes part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It hears both, and nobody hears it.
    Listen,
    /// The one who is supervised hears it too.
    Whisper,
    /// Both hear it.
    Barge,
}

impl How {
    /// As it is written in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
        }
    }

    /// By the key that asks for it.
    pub(crate) const fn of_key(key: char) -> Option<Self> {
        match key {
            '4' => Some(Self::Listen),
            '5' => Some(Self::Whisper),
            '6' => Some(Self::Barge),
            _ => None,
        }
    }
}

/// What a supervisor's shard asks of the one that has the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervise {
    /// The room in which the parties are to be heard. It tells whose call the supervisor's is, see [`room`].
    pub room: u64,
    /// Whose call.
    pub account: AddressOfRecord,
    /// Who supervises.
    pub by: AddressOfRecord,
    /// How; `None`: no longer.
    pub how: Option<How>,
}

/// The room of the supervisor whose call has this number, unique in the exchange.
pub(crate) const fn room(unique: u64) -> u64 {
    1 << 63 | unique
}

/// The shard and the number of the supervisor's call.
pub(crate) const fn of_room(room: u64) -> (u8, u64) {
    ((room >> 56) as u8 & 0x7f, room & ((1 << 56) - 1))
}

impl Anchors {
    /// Lets a supervisor into a call of the account, or out of it; whether there is one now.
    pub(crate) fn supervise(&mut self, asked: &Supervise, config: &Config, cx: &mut Context<'_>) -> bool {
        let Some(how) = asked.how else {
            let is_in = |tap: &Tap| tap.room.is_some_and(|(room, _)| room == asked.room);
            if let Some(number) = self.tapped_call(is_in) {
                self.leave_room(number, config, cx);
            }
            return false;
        };
        let of = |tap: &Tap| {
            let accounts = tap.concern.as_ref().map(|concern| &concern.accounts);
            accounts.and_then(|both| both.iter().position(|one| one.as_ref() == Some(&asked.account)))
        };
        let free = |tap: &Tap| tap.room.is_none_or(|(room, _)| room == asked.room);
        let found = self.tapped_call(|tap| tap.agreed.is_some() && of(tap).is_some() && free(tap));
        let Some(anchor) = found.and_then(|number| self.anchors.get_mut(&number)) else { return false };
        let Some(tap) = &mut anchor.tap else { return false };
        let Some(Some(stream)) = tap.agreed.as_ref().and_then(|(at, _)| anchor.streams.get(*at)) else {
            return false;
        };
        if tap.present.is_none() && !tap.come(stream.id, cx) {
            return false;
        }
        let mut heard_by = [how == How::Barge; 2];
        if let (How::Whisper, Some(side)) = (how, of(tap)) {
            heard_by[side] = true;
        }
        tap.room = Some((asked.room, heard_by));
        tap.tell(TapOrder::Join { room: asked.room, heard_by }, cx);
        let (call, by) = (anchor.call_id.clone(), asked.by.clone());
        cx.event(Event::Supervised { call, by, how: how.word() });
        true
    }

    fn leave_room(&mut self, number: u64, config: &Config, cx: &mut Context<'_>) {
        if let Some(tap) = self.anchors.get_mut(&number).and_then(|anchor| anchor.tap.as_mut()) {
            tap.room = None;
            tap.tell(TapOrder::Leave, cx);
        }
        self.attend(number, config, cx);
    }

    /// The newest answered call like this.
    fn tapped_call(&self, is: impl Fn(&Tap) -> bool) -> Option<u64> {
        let mut newest = self.anchors.iter().rev();
        let found =
            newest.find(|(_, one)| one.answered.is_some() && one.tap.as_ref().is_some_and(|tap| is(tap)));
        found.map(|(number, _)| *number)
    }
}
