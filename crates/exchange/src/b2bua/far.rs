//! Halves of calls in different shards: their ends meet in a room, which is a place in media and not in a shard, and each shard
//! tells the other when its own half is over.

use offhook_media::command::{Heard, Order};
use offhook_sip::{Replaces, Status};

use super::call::{Call, With};
use super::halves::OURS;
use super::record::Other;
use super::verb::Calls;
use super::voice::{Dialled, Point};
use super::{CallId, Env, Table};
use crate::core::MayReplace;
use crate::directory::AddressOfRecord;
use crate::io::ShardMessage;
use crate::services::Announced;

/// What shards tell each other of halves of calls, by their numbers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halves {
    /// A call waits in a slot of call park, or no longer does.
    Parked {
        /// The slot.
        slot: u32,
        /// The shard that has the call.
        shard: u8,
        /// The call; `None`: the slot is free.
        call: Option<u64>,
    },
    /// The party of a call wants to talk with that of another, which is the receiver's.
    Meet {
        /// The shard of the one, and its call.
        by: (u8, u64),
        /// The other.
        call: u64,
        /// Where they meet.
        room: u64,
    },
    /// The party of a call wants one that rings at one of these accounts.
    PickUp {
        /// The shard of that call, and its number there.
        by: (u8, u64),
        /// Where it may ring.
        accounts: Vec<AddressOfRecord>,
        /// The number of the service that wants it.
        service: usize,
        /// Shards that have not been asked.
        left: Vec<u8>,
    },
    /// The party of a call is to take the place of a phone in the call that a dialog is of.
    Replace {
        /// The shard of that party's call, and its number there.
        by: (u8, u64),
        /// The dialog; `None`: any call that a phone of theirs has with somebody.
        replaces: Option<Replaces>,
        /// The accounts whose phone it may be.
        accounts: Vec<AddressOfRecord>,
        /// Shards that have not been asked.
        left: Vec<u8>,
    },
    /// Another call takes the place of the one that the receiver's is connected with.
    Swap {
        /// The one whose place it is, and its shard.
        from: (u8, u64),
        /// The shard of the one that takes it, and its number there.
        by: (u8, u64),
        /// The receiver's call.
        call: u64,
        /// Where they meet.
        room: u64,
    },
    /// The phone that transfers the party of the receiver's call has gone, and nobody has answered yet.
    Bereaved {
        /// The receiver's call.
        call: u64,
    },
    /// The party of a call would like to take the place of a phone in the call that a dialog is of: may it?
    MayReplace {
        /// Who asks, and the number of the question there.
        by: (u8, u64),
        /// The dialog.
        replaces: Replaces,
        /// The accounts whose phone it may be.
        accounts: Vec<AddressOfRecord>,
    },
    /// The answer to that.
    Replaceable {
        /// The question.
        question: u64,
        /// For whom it may, or why not; `None`: the dialog is nobody's here.
        may: Option<MayReplace>,
    },
    /// The answer to that where a service has the call: what it knows of it cannot leave the shard, so the INVITE comes there.
    HandOver {
        /// The question.
        question: u64,
        /// The shard that has the call.
        to: u8,
    },
    /// A call that was handed over is over there.
    HandedBack {
        /// Its Call-ID.
        call_id: String,
    },
    /// The other shard's call sits in the room, or cannot.
    Met {
        /// The receiver's call.
        call: u64,
        /// The other, and its shard.
        with: (u8, u64),
        /// Where they meet; `None`: they do not.
        room: Option<u64>,
    },
    /// The other party has pressed a key that is not in the sound.
    Key {
        /// The receiver's call.
        call: u64,
        /// The key.
        key: char,
    },
    /// The receiver's call is lent to the shard of the one that it is connected with: see [`super::lend`].
    Lend {
        /// The receiver's call.
        call: u64,
        /// The one that it is connected with, and its shard.
        from: (u8, u64),
        /// The one that stands in for it there.
        to: (u8, u64),
    },
    /// What the end of a call that is lent is to do.
    Order {
        /// The receiver's call.
        call: u64,
        /// The one that stands in for it, and its shard.
        by: (u8, u64),
        /// What.
        order: Order,
    },
    /// What the end of a call that is lent has heard.
    Heard {
        /// The one that stands in for it, which is the receiver's.
        call: u64,
        /// The one that is lent, and its shard.
        by: (u8, u64),
        /// What.
        heard: Heard,
    },
    /// What the other call wants of a recording.
    Wish {
        /// The receiver's call.
        call: u64,
        /// The other, and its shard.
        by: (u8, u64),
        /// What is known of it.
        other: Box<Other>,
    },
    /// The other party is to be told of a recording.
    Announce {
        /// The receiver's call.
        call: u64,
        /// What.
        what: Announced,
    },
    /// The other call is over.
    Over {
        /// The receiver's call.
        call: u64,
        /// The one that is over, and its shard.
        by: (u8, u64),
        /// The value of a Reason header.
        reason: Option<String>,
    },
}

impl Calls<'_, '_, '_> {
    /// The same as [`Calls::connect`] with a call of another shard: if that cannot be, the call here ends.
    pub(crate) fn connect_far(&mut self, call: CallId, (shard, with): (u8, CallId)) {
        let room = OURS | u64::from(self.env.cx.shard) << 48 | call.0;
        let meet = Halves::Meet { by: (self.env.cx.shard, call.0), call: with.0, room };
        self.env.cx.out.shards.push((shard, ShardMessage::Halves(meet)));
    }

    /// Tells the other shards who waits in a slot, and those who watch it.
    pub(crate) fn tell_parked(&mut self, slot: u32, call: Option<CallId>) {
        self.env.usages.parked.push((slot, call.is_some()));
        let shard = self.env.cx.shard;
        let fact = Halves::Parked { slot, shard, call: call.map(|call| call.0) };
        self.env.cx.tell_others(self.env.config.shards, &ShardMessage::Halves(fact));
    }

    /// This shard, and how many there are.
    pub(crate) fn shard(&self) -> (u8, u8) {
        (self.env.cx.shard, self.env.config.shards)
    }
}

impl Table {
    /// Takes what another shard says.
    pub(crate) fn far(&mut self, said: Halves, env: &mut Env<'_, '_>) {
        match said {
            // These are the core's.
            Halves::Parked { .. }
            | Halves::PickUp { .. }
            | Halves::Replace { .. }
            | Halves::MayReplace { .. }
            | Halves::HandOver { .. }
            | Halves::HandedBack { .. }
            | Halves::Replaceable { .. } => {}
            Halves::Meet { by, call, room } => self.meet(by, CallId(call), room, env),
            Halves::Swap { from, by, call, room } => self.swap(from, by, (CallId(call), room), env),
            Halves::Bereaved { call } => self.bereave(CallId(call), env),
            Halves::Met { call, with, room } => self.met(CallId(call), with, room, env),
            Halves::Key { call, key } => self.press(CallId(call), key, env),
            Halves::Wish { call, by, other } => self.far_wish(CallId(call), by, other, env),
            Halves::Lend { call, from, to } => self.lend(CallId(call), from, to, env),
            Halves::Order { call, by, order } => self.ordered(CallId(call), by, order, env),
            Halves::Heard { call, by, heard } => self.heard_far(CallId(call), by, heard, env),
            Halves::Announce { call, what } => self.announced(CallId(call), what, env),
            Halves::Over { call, by, reason } => {
                let call = CallId(call);
                if let Some(one) = self.calls.get_mut(&call).filter(|one| one.far == Some(by)) {
                    one.far = None;
                    env.usages.let_go.push((call, reason));
                }
                self.settle(call, env);
            }
        }
    }

    pub(super) fn meet(&mut self, by: (u8, u64), call: CallId, room: u64, env: &mut Env<'_, '_>) {
        let one = self.calls.get_mut(&call).filter(|one| one.is_half() && one.partner.is_none());
        let service = one.as_ref().and_then(|one| one.service);
        let met = one.is_some();
        if met {
            let told = Point::Dialled(Dialled::Answered(call));
            env.usages.points.extend(service.map(|service| (call, service, told)));
        }
        self.sit(by, call, met.then_some(room), env);
    }

    /// Lets a call sit with one of another shard, and tells that whether it does.
    fn sit(&mut self, by: (u8, u64), call: CallId, room: Option<u64>, env: &mut Env<'_, '_>) {
        if room.is_some() && self.give_back(call, by, env) {
            return self.settle(call, env);
        }
        if let Some((one, room)) = self.calls.get_mut(&call).zip(room) {
            one.sit_with(by, room, env);
            env.usages.let_go.extend(std::mem::take(&mut one.dials).into_iter().map(|dial| (dial, None)));
        }
        let with = (env.cx.shard, call.0);
        env.cx.out.shards.push((by.0, ShardMessage::Halves(Halves::Met { call: by.1, with, room })));
        self.tell_wish(call, env);
        self.settle(call, env);
    }

    /// Another takes the place of the one that a call is connected with.
    fn swap(&mut self, from: (u8, u64), by: (u8, u64), (call, room): (CallId, u64), env: &mut Env<'_, '_>) {
        let one = self.calls.get_mut(&call).filter(|one| one.far == Some(from) && one.can_sit());
        let found = one.map(|one| one.leave_far(env)).is_some();
        if by.0 != env.cx.shard {
            return self.sit(by, call, found.then_some(room), env);
        }
        let by = CallId(by.1);
        if let Some(one) = self.calls.get_mut(&by) {
            one.leave_far(env);
        }
        if !(found && self.connect(by, call, env)) {
            env.usages.let_go.push((by, Some(GONE.to_owned())));
        }
        self.settle(by, env);
        self.settle(call, env);
    }

    /// A half of this shard takes the place of one whose partner is of another; false if that has none there.
    pub(super) fn take_place(&mut self, of: CallId, by: CallId, env: &mut Env<'_, '_>) -> bool {
        let transfers = self.calls.get(&of).is_some_and(|of| of.referral.is_some() && of.far.is_some());
        if !transfers || of == by || !self.calls.get(&by).is_some_and(|by| by.is_half()) {
            return false;
        }
        self.part(by, env);
        if let Some(by) = self.calls.get_mut(&by) {
            env.usages.let_go.extend(by.dials.drain(..).map(|dial| (dial, None)));
        }
        self.hand_over_place(of, (env.cx.shard, by.0), env)
    }

    /// The same for one of any shard, which has said that it may.
    pub(super) fn hand_over_place(&mut self, of: CallId, by: (u8, u64), env: &mut Env<'_, '_>) -> bool {
        let Some(one) = self.calls.get_mut(&of) else { return false };
        let Some((shard, call)) = one.leave_far(env) else { return false };
        let dials = one.dials.drain(..).filter(|dial| (env.cx.shard, dial.0) != by);
        env.usages.let_go.extend(dials.map(|dial| (dial, None)));
        let room = OURS | u64::from(by.0) << 48 | by.1;
        let swap = Halves::Swap { from: (env.cx.shard, of.0), by, call, room };
        env.cx.out.shards.push((shard, ShardMessage::Halves(swap)));
        true
    }

    fn met(&mut self, call: CallId, with: (u8, u64), room: Option<u64>, env: &mut Env<'_, '_>) {
        let refers = self.calls.get(&call).is_some_and(|one| one.referral.is_some());
        if refers && room.is_none() {
            self.not_replaced(call, env);
            return self.settle(call, env);
        }
        if refers && self.hand_over_place(call, with, env) {
            self.transferred(call, env);
            return self.settle(call, env);
        }
        if room.is_some() && self.give_back(call, with, env) {
            return self.settle(call, env);
        }
        self.take_referred(call, env);
        // One whose partner has handed over its place meets the next.
        let one = self.calls.get_mut(&call).filter(|one| one.can_sit());
        match (one, room) {
            (Some(one), Some(room)) => {
                one.sit_with(with, room, env);
                self.tell_wish(call, env);
                self.transferred(call, env);
            }
            (Some(one), None) => match one.service.filter(|_| std::mem::take(&mut one.hears_why)) {
                Some(service) => {
                    let failed = Dialled::Failed(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                    env.usages.points.push((call, service, Point::Dialled(failed)));
                }
                None => env.usages.let_go.push((call, Some(GONE.to_owned()))),
            },
            (None, Some(_)) => {
                let by = (env.cx.shard, call.0);
                let over = Halves::Over { call: with.1, by, reason: None };
                env.cx.out.shards.push((with.0, ShardMessage::Halves(over)));
            }
            (None, None) => {}
        }
        self.settle(call, env);
    }
}

impl Call {
    fn sit_with(&mut self, other: (u8, u64), room: u64, env: &mut Env<'_, '_>) {
        self.leave_far(env);
        self.leave_several(env);
        self.far = Some(other);
        if let With::End(end) = &mut self.with {
            end.meet(room, env);
        }
    }

    /// Whether its party may sit with that of another shard, in place of whom it sits with.
    pub(super) fn can_sit(&self) -> bool {
        !self.ended && self.answered.is_some() && self.partner.is_none() && matches!(self.with, With::End(_))
    }

    /// Its party no longer sits with that of another shard, which is returned, and which is not told.
    pub(super) fn leave_far(&mut self, env: &mut Env<'_, '_>) -> Option<(u8, u64)> {
        let far = self.far.take()?;
        (self.other, self.lent) = (None, false);
        if let With::End(end) = &mut self.with {
            end.part(env);
        }
        Some(far)
    }

    /// Tells the other shard that it is over here.
    pub(super) fn let_far_go(&mut self, reason: Option<&str>, env: &mut Env<'_, '_>) {
        if let Some((shard, call)) = self.far.take() {
            let by = (env.cx.shard, self.id.0);
            let over = Halves::Over { call, by, reason: reason.map(str::to_owned) };
            env.cx.out.shards.push((shard, ShardMessage::Halves(over)));
        }
    }
}

pub(super) const GONE: &str = "SIP;cause=404;text=\"The other party has gone\"";
