//! Halves of calls in different shards: their ends meet in a room, which is a place in media and not in a shard, and each shard
//! tells the other when its own half is over.

use offhook_sip::Replaces;

use super::call::{Call, With};
use super::verb::Calls;
use super::voice::{Dialled, Point};
use super::{CallId, Env, Table};
use crate::directory::AddressOfRecord;
use crate::io::ShardMessage;

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
    /// The other shard's call sits in the room, or cannot.
    Met {
        /// The receiver's call.
        call: u64,
        /// The other, and its shard.
        with: (u8, u64),
        /// Where they meet; `None`: they do not.
        room: Option<u64>,
    },
    /// The receiver's call no longer sits with that of the sender: it is to meet another at once.
    Part {
        /// The receiver's call.
        call: u64,
    },
    /// The other party has pressed a key that is not in the sound.
    Key {
        /// The receiver's call.
        call: u64,
        /// The key.
        key: char,
    },
    /// The other call is over.
    Over {
        /// The receiver's call.
        call: u64,
        /// The value of a Reason header.
        reason: Option<String>,
    },
}

impl Calls<'_, '_, '_> {
    /// The same as [`Calls::connect`] with a call of another shard: if that cannot be, the call here ends.
    pub(crate) fn connect_far(&mut self, call: CallId, (shard, with): (u8, CallId)) {
        let room = super::halves::OURS | u64::from(self.env.cx.shard) << 48 | call.0;
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
            Halves::Parked { .. } | Halves::PickUp { .. } | Halves::Replace { .. } => {}
            Halves::Meet { by, call, room } => self.meet(by, CallId(call), room, env),
            Halves::Met { call, with, room } => self.met(CallId(call), with, room, env),
            Halves::Part { call } => {
                if let Some(one) = self.calls.get_mut(&CallId(call)) {
                    one.part_from_far(env);
                }
            }
            Halves::Key { call, key } => self.press(CallId(call), key, env),
            Halves::Over { call, reason } => {
                let call = CallId(call);
                if let Some(one) = self.calls.get_mut(&call) {
                    one.far = None;
                    env.usages.let_go.push((call, reason));
                }
                self.settle(call, env);
            }
        }
    }

    pub(super) fn meet(&mut self, by: (u8, u64), call: CallId, room: u64, env: &mut Env<'_, '_>) {
        if by.0 == env.cx.shard {
            // Both are here, and a third shard has brought them together.
            if !self.connect(CallId(by.1), call, env) {
                env.usages.let_go.push((CallId(by.1), Some(GONE.to_owned())));
            }
            return self.settle(call, env);
        }
        let one = self.calls.get_mut(&call).filter(|one| one.is_half() && one.partner.is_none());
        let met = one.is_some();
        if let Some(one) = one {
            one.sit_with(by, room, env);
            env.usages.let_go.extend(std::mem::take(&mut one.dials).into_iter().map(|dial| (dial, None)));
            let told = Point::Dialled(Dialled::Answered(call));
            env.usages.points.extend(one.service.map(|service| (call, service, told)));
        }
        let with = (env.cx.shard, call.0);
        let met = Halves::Met { call: by.1, with, room: met.then_some(room) };
        env.cx.out.shards.push((by.0, ShardMessage::Halves(met)));
        self.settle(call, env);
    }

    fn met(&mut self, call: CallId, with: (u8, u64), room: Option<u64>, env: &mut Env<'_, '_>) {
        let refers = self.calls.get(&call).is_some_and(|one| one.referral.is_some());
        if refers && room.is_none() {
            self.not_replaced(call, env);
            return self.settle(call, env);
        }
        self.take_referred(call, env);
        let one = self.calls.get_mut(&call).filter(|one| one.is_half());
        match (one, room) {
            (Some(one), Some(room)) => {
                one.sit_with(with, room, env);
                self.transferred(call, env);
            }
            (Some(_), None) => env.usages.let_go.push((call, Some(GONE.to_owned()))),
            (None, Some(_)) => {
                let over = Halves::Over { call: with.1, reason: None };
                env.cx.out.shards.push((with.0, ShardMessage::Halves(over)));
            }
            (None, None) => {}
        }
        self.settle(call, env);
    }
}

impl Call {
    fn sit_with(&mut self, other: (u8, u64), room: u64, env: &mut Env<'_, '_>) {
        self.far = Some(other);
        if let With::End(end) = &mut self.with {
            end.meet(room, env);
        }
    }

    /// It does not sit with a call of another shard any more; returns with which it did.
    pub(super) fn part_from_far(&mut self, env: &mut Env<'_, '_>) -> Option<(u8, u64)> {
        if let With::End(end) = &mut self.with {
            end.part(env);
        }
        self.far.take()
    }

    /// Tells the other shard that it is over here.
    pub(super) fn let_far_go(&mut self, reason: Option<&str>, env: &mut Env<'_, '_>) {
        if let Some((shard, call)) = self.far.take() {
            let over = Halves::Over { call, reason: reason.map(str::to_owned) };
            env.cx.out.shards.push((shard, ShardMessage::Halves(over)));
        }
    }
}

const GONE: &str = "SIP;cause=404;text=\"The other party has gone\"";
