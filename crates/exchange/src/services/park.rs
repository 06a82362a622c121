//! Call park (RFC 5359 §2.13): a call waits in a numbered slot until somebody dials the slot.
//!
//! Who transfers a call to the number of the service parks it, and is called and told the slot; who dials that number parks
//! itself. A call that nobody fetches rings back at the one who parked it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Endpoint, Point, ShownAs};
use crate::directory::AddressOfRecord;
use crate::refusal::Refusal;
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "park",
    summary: "holds a call that is transferred to it in a slot, until somebody dials the slot",
    number: |settings| settings.park.number.as_deref(),
    make: |settings| Box::new(Park::new(settings)),
};

/// Settings of call park.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a call is transferred to; `None`: nothing is parked.
    pub number: Option<String>,
    /// The numbers of the slots.
    pub slots: RangeInclusive<u32>,
    /// How long a call waits before it rings back at who parked it.
    pub time: Duration,
}

impl Settings {
    /// The slot that is dialled by this.
    pub(crate) fn slot(&self, dialled: &str) -> Option<u32> {
        let slot = dialled.parse().ok().filter(|slot: &u32| slot.to_string() == dialled)?;
        (self.number.is_some() && self.slots.contains(&slot)).then_some(slot)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { number: Some("700".into()), slots: 701..=720, time: Duration::from_secs(120) }
    }
}

struct Park {
    settings: Settings,
    slots: BTreeMap<u32, Parked>,
    /// Those in other shards.
    far: BTreeMap<u32, (u8, CallId)>,
    /// Those who are called to be told where they have parked.
    told: BTreeMap<CallId, u32>,
}

/// A call in a slot.
struct Parked {
    call: CallId,
    by: Option<AddressOfRecord>,
    /// Whether the one who parked it is being called.
    rings_back: bool,
}

impl Park {
    fn new(settings: &All) -> Self {
        let settings = settings.park.clone();
        Self { settings, slots: BTreeMap::new(), far: BTreeMap::new(), told: BTreeMap::new() }
    }

    fn is_number(&self, dialled: &str) -> bool {
        self.settings.number.as_deref() == Some(dialled)
    }

    /// A slot that is free: each shard takes first those that no other takes first.
    fn free(&self, (shard, shards): (u8, u8)) -> Option<u32> {
        let is_free = |slot: &u32| !self.slots.contains_key(slot) && !self.far.contains_key(slot);
        let all = || self.settings.slots.clone().filter(is_free);
        all().find(|slot| slot % u32::from(shards.max(1)) == u32::from(shard)).or_else(|| all().next())
    }

    fn put(&mut self, slot: u32, call: CallId, by: Option<AddressOfRecord>, calls: &mut Calls<'_, '_, '_>) {
        self.slots.insert(slot, Parked { call, by, rings_back: false });
        calls.tell_parked(slot, Some(call));
        calls.remind(self.settings.time, call.0);
    }

    fn empty(&mut self, slot: u32, calls: &mut Calls<'_, '_, '_>) {
        self.slots.remove(&slot);
        calls.tell_parked(slot, None);
    }

    /// Calls the one who has parked a call, to say where that is.
    fn tell(&mut self, slot: u32, by: &AddressOfRecord, calls: &mut Calls<'_, '_, '_>) {
        let shown = ShownAs::Exchange(slot.to_string(), format!("Parked at {slot}"));
        let call = calls.originate(Dial::new(by.to_string(), Some(by.clone()), shown));
        self.told.insert(call, slot);
    }

    /// Somebody dials a slot.
    fn fetch(&mut self, call: CallId, slot: u32, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if let Some(far) = self.far.get(&slot) {
            let answered = calls.answer(call, Endpoint::Voice);
            if answered.is_ok() {
                calls.connect_far(call, *far);
            }
            return answered.into();
        }
        let Some(parked) = self.slots.get(&slot).map(|parked| parked.call) else {
            return Verdict::Reject(Refusal::nobody_there("Nobody waits in this slot"));
        };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() && calls.connect(call, parked) {
            self.empty(slot, calls);
        }
        answered.into()
    }
}

impl Service for Park {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.park);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(dialled) = calls.dialled(call).map(str::to_owned) else { return Verdict::Continue };
        if !calls.is_from_account(call) {
            return Verdict::Continue;
        }
        if let Some(slot) = self.settings.slot(&dialled) {
            return self.fetch(call, slot, calls);
        }
        if !self.is_number(&dialled) {
            return Verdict::Continue;
        }
        let Some(slot) = self.free(calls.shard()) else {
            return Verdict::Reject(Refusal::busy("All slots are taken"));
        };
        let by = calls.referred_by(call);
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            match &by {
                // It is a phone that follows the REFER of another.
                Some(by) => {
                    self.tell(slot, by, calls);
                    calls.music(call);
                }
                None => calls.say(call, where_it_is(slot)),
            }
            self.put(slot, call, by, calls);
        }
        answered.into()
    }

    fn given(
        &mut self,
        call: CallId,
        (to, by): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let Some(slot) = self.free(calls.shard()).filter(|_| self.is_number(to)) else { return false };
        if !calls.take(call) {
            return false;
        }
        self.put(slot, call, by.cloned(), calls);
        calls.music(call);
        if let Some(by) = by {
            self.tell(slot, by, calls);
        }
        true
    }

    fn due(&mut self, what: u64, calls: &mut Calls<'_, '_, '_>) {
        let call = CallId(what);
        let Some(parked) = self.slots.values_mut().find(|parked| parked.call == call) else { return };
        if let Some(by) = parked.by.clone().filter(|_| !parked.rings_back) {
            parked.rings_back = true;
            calls.dial(call, Dial::new(by.to_string(), Some(by), ShownAs::Party(call)));
        }
    }

    fn parked(&mut self, slot: u32, call: Option<(u8, CallId)>) {
        match call {
            Some(call) => _ = self.far.insert(slot, call),
            None => _ = self.far.remove(&slot),
        }
    }

    fn replaced(&mut self, call: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let Some(parked) = self.slots.values_mut().find(|parked| parked.call == call) else { return false };
        let account = calls.account(call);
        if !calls.take(by) {
            return false;
        }
        (parked.call, parked.by) = (by, account);
        calls.remind(self.settings.time, by.0);
        let slot = self.slots.iter().find(|(_, parked)| parked.call == by).map(|(slot, _)| *slot);
        slot.into_iter().for_each(|slot| calls.tell_parked(slot, Some(by)));
        calls.music(by);
        true
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        if let Some(slot) = self.told.get(&call).copied() {
            match point {
                Point::Dialled(Dialled::Answered(_)) => calls.say(call, where_it_is(slot)),
                Point::Played => calls.hang_up(call),
                Point::Dialled(Dialled::Failed(_)) | Point::Ended => _ = self.told.remove(&call),
                Point::Dialled(Dialled::Ringing)
                | Point::Digit(_)
                | Point::Recorded(_)
                | Point::Room(_)
                | Point::Closed(_) => {}
            }
            return;
        }
        let slot = self.slots.iter().find(|(_, parked)| parked.call == call).map(|(slot, _)| *slot);
        let Some(slot) = slot else { return };
        match point {
            // Who has parked itself has heard where.
            Point::Played => calls.music(call),
            Point::Dialled(Dialled::Answered(_)) | Point::Ended => self.empty(slot, calls),
            Point::Dialled(Dialled::Failed(_)) => {
                if let Some(parked) = self.slots.get_mut(&slot) {
                    parked.rings_back = false;
                    calls.remind(self.settings.time, call.0);
                }
            }
            Point::Dialled(Dialled::Ringing)
            | Point::Digit(_)
            | Point::Recorded(_)
            | Point::Room(_)
            | Point::Closed(_) => {}
        }
    }
}

/// A slot, twice: one does not always have a pen.
fn where_it_is(slot: u32) -> Speech {
    let slot = slot.to_string();
    Speech::new().pause(SETTLE_MS).digits(&slot).pause(700).digits(&slot).pause(300)
}

/// What a phone needs until it is at the ear.
const SETTLE_MS: u32 = 500;
