//! Conference: whoever dials the number of a room is in it, hears all others and is heard by them.
//!
//! The room itself is a place in media, where calls of all shards meet; here is what each of those in it may do.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use offhook_media::voice::{Clip, Closed, Recording};
use subtle::ConstantTimeEq as _;

use super::guesses::{Guesser, Guesses};
use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::command::{self, Moderate, Moderation};
use crate::directory::AddressOfRecord;
use crate::proxy::anchor::file_name;
use crate::refusal::Refusal;
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "conference",
    summary: "rooms in which all hear each other; *6 mutes oneself, *7 locks the room, *9 records it",
    number: |settings| settings.conference.shown.as_deref(),
    make: |settings| Box::new(Conference::new(settings)),
};

/// The settings of the service.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The numbers of the rooms; `None`: there are none.
    pub rooms: Option<RangeInclusive<u64>>,
    /// The same as it is shown.
    pub shown: Option<String>,
    /// What has to be entered to come in, if anything.
    pub pin: Option<String>,
    /// What those enter who may lock the room; without one, all may.
    pub moderator_pin: Option<String>,
    /// How many may be in a room.
    pub most: u16,
}

impl Default for Settings {
    fn default() -> Self {
        let shown = Some("3000-3009".into());
        Self { rooms: Some(3000..=3009), shown, pin: None, moderator_pin: None, most: 100 }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("rooms", &self.rooms)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

struct Conference {
    settings: Settings,
    guests: BTreeMap<CallId, Guest>,
    guesses: Guesses,
}

/// One who has dialled a room.
struct Guest {
    room: u64,
    /// Its number, or else its user.
    from: String,
    /// As whom wrong PINs of it are counted.
    guesser: Guesser,
    step: Step,
    moderates: bool,
    muted: bool,
    /// Whether an operator wants it so.
    silenced: bool,
    locked: bool,
    /// Whether it has the room recorded.
    records: bool,
    /// Whether the last key was a star, which begins a command.
    star: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It is asked for the PIN, and has entered so much, for the so-manieth time; `done`: it waits until that is looked at.
    Pin { entered: String, tries: u8, done: bool },
    /// It is about to come in.
    Enters,
    /// It is in, with so many others.
    Inside(u16),
    /// It is told why it goes, and goes.
    Goes,
}

impl Conference {
    fn new(settings: &All) -> Self {
        let (guests, guesses) = (BTreeMap::new(), Guesses::default());
        Self { settings: settings.conference.clone(), guests, guesses }
    }

    /// Somebody has dialled a room.
    fn admit(
        &mut self,
        call: CallId,
        room: u64,
        (from, guesser): (String, Guesser),
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let moderates = self.settings.moderator_pin.is_none();
        let step = match self.asks_for_pin() {
            true => Step::Pin { entered: String::new(), tries: 0, done: false },
            false => Step::Enters,
        };
        let mut guest = Guest {
            room,
            from,
            guesser,
            step,
            moderates,
            muted: false,
            silenced: false,
            locked: false,
            records: false,
            star: false,
        };
        match guest.step {
            Step::Pin { .. } => {
                let speech = Speech::new().pause(SETTLE_MS).say("conference-pin");
                calls.say(call, speech.pause(PATIENCE_MS));
            }
            _ => guest.enter(call, self.settings.most, calls),
        }
        self.guests.insert(call, guest);
    }

    /// Why who has entered too many wrong PINs is not asked again yet.
    fn is_guessing(&self, guesser: &Guesser, calls: &Calls<'_, '_, '_>) -> Option<Refusal> {
        let (now, _) = calls.clock();
        let pause = self.guesses.pause(guesser, now).filter(|_| self.asks_for_pin())?;
        let minutes = pause.as_secs().div_ceil(60);
        Some(Refusal::not_now(format!("Too many wrong PINs; again in {minutes} minutes"), pause))
    }

    fn asks_for_pin(&self) -> bool {
        self.settings.pin.is_some() || self.settings.moderator_pin.is_some()
    }
}

impl Service for Conference {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.conference);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let room = calls.dialled(call).and_then(number);
        let rooms = self.settings.rooms.as_ref();
        let Some(room) = room.filter(|room| rooms.is_some_and(|rooms| rooms.contains(room))) else {
            return Verdict::Continue;
        };
        if !calls.is_from_account(call) && calls.diverted_by(call).is_none() {
            return Verdict::Continue;
        }
        let guesser = guesser(calls.caller_account(call), call, calls);
        if let Some(refusal) = self.is_guessing(&guesser, calls) {
            return Verdict::Reject(refusal);
        }
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            let from = calls.caller_number(call).unwrap_or_default();
            self.admit(call, room, (from, guesser), calls);
        }
        answered.into()
    }

    fn given(
        &mut self,
        call: CallId,
        (to, _): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let rooms = self.settings.rooms.as_ref();
        let room = number(to).filter(|room| rooms.is_some_and(|rooms| rooms.contains(room)));
        let guesser = guesser(calls.account(call), call, calls);
        if room.is_none() || self.is_guessing(&guesser, calls).is_some() {
            return false;
        }
        let Some(room) = room.filter(|_| calls.take(call)) else { return false };
        let from = calls.party_number(call).unwrap_or_default();
        self.admit(call, room, (from, guesser), calls);
        true
    }

    fn replaced(&mut self, call: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        // Who has not come in has no place to give.
        if !self.guests.get(&call).is_some_and(Guest::is_inside) || !calls.take(by) {
            return false;
        }
        let Some(guest) = self.guests.remove(&call) else { return false };
        let guesser = guesser(calls.account(by), by, calls);
        let from = calls.party_number(by).unwrap_or_default();
        let mut guest = Guest { from, guesser, records: false, star: false, ..guest };
        // Both are in the room for a moment.
        guest.enter(by, self.settings.most.saturating_add(1), calls);
        self.guests.insert(by, guest);
        true
    }

    fn guests(&self, calls: &Calls<'_, '_, '_>) -> Vec<command::Guest> {
        let inside = self.guests.iter().filter(|(_, guest)| guest.is_inside());
        let shown = inside.map(|(call, guest)| command::Guest {
            room: guest.room,
            call: calls.call_id(*call).unwrap_or_default(),
            from: guest.from.clone(),
            muted: guest.muted,
            moderates: guest.moderates,
        });
        shown.collect()
    }

    fn moderate(&mut self, asked: &Moderation, calls: &mut Calls<'_, '_, '_>) -> usize {
        let settings = &self.settings;
        let mut done = 0;
        for (call, guest) in &mut self.guests {
            let is_asked = asked
                .guest
                .as_ref()
                .is_none_or(|asked| guest.from == *asked || calls.call_id(*call).as_ref() == Some(asked));
            if guest.room == asked.room && guest.is_inside() && is_asked {
                guest.moderate(*call, asked.what, settings, calls);
                done += 1;
                // One is enough for what is about the room.
                if matches!(asked.what, Moderate::Lock(_) | Moderate::Record(_)) {
                    break;
                }
            }
        }
        done
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Self { settings, guests, guesses } = self;
        let Some(guest) = guests.get_mut(&call) else { return };
        match (&guest.step, point) {
            (_, Point::Ended) => {
                guests.remove(&call);
            }
            (Step::Goes, Point::Played) => calls.hang_up(call),
            (Step::Pin { done: true, .. }, Point::Played) => guest.check(call, (settings, guesses), calls),
            (Step::Pin { .. }, Point::Played) => guest.go(call, Speech::new(), "conference-wrong-pin", calls),
            (Step::Pin { .. }, Point::Digit(key)) => guest.pin(call, key, (settings, guesses), calls),
            (Step::Enters | Step::Inside(_), Point::Room(others)) => {
                guest.told(call, others, Speech::new(), calls);
            }
            (Step::Enters, Point::Closed(why)) => {
                let said = match why {
                    Closed::Locked => "conference-locked",
                    Closed::Full => "conference-full",
                };
                guest.go(call, Speech::new().pause(SETTLE_MS), said, calls);
            }
            (Step::Inside(_), Point::Digit(key)) => guest.command(call, key, settings, calls),
            (
                Step::Pin { .. } | Step::Enters | Step::Inside(_) | Step::Goes,
                Point::Digit(_)
                | Point::Played
                | Point::Recorded(_)
                | Point::Room(_)
                | Point::Closed(_)
                | Point::Dialled(_),
            ) => {}
        }
    }
}

/// As whom wrong PINs are counted.
fn guesser(account: Option<AddressOfRecord>, call: CallId, calls: &Calls<'_, '_, '_>) -> Guesser {
    account.map_or_else(|| Guesser::Outside(calls.origin(call)), Guesser::Account)
}

impl Guest {
    fn enter(&mut self, call: CallId, most: u16, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Enters;
        calls.join(call, self.room, self.muted, most);
    }

    fn go(&mut self, call: CallId, speech: Speech, why: &str, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Goes;
        calls.say(call, speech.say(why).pause(200));
    }

    fn pin(
        &mut self,
        call: CallId,
        key: char,
        (settings, guesses): (&Settings, &mut Guesses),
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let Step::Pin { entered, done, .. } = &mut self.step else { return };
        match key {
            _ if *done => {}
            '#' => match guesses.delay(&self.guesser, calls.clock().0) {
                Some(delay) => {
                    *done = true;
                    calls.say(call, Speech::new().pause(delay.as_millis() as u32));
                }
                None => self.check(call, (settings, guesses), calls),
            },
            _ if entered.len() < LONGEST_PIN => entered.push(key),
            _ => {}
        }
    }

    /// Looks at what it has entered.
    fn check(
        &mut self,
        call: CallId,
        (settings, guesses): (&Settings, &mut Guesses),
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let Step::Pin { entered, tries, done } = &mut self.step else { return };
        let is = |pin: &Option<String>| {
            pin.as_ref().is_some_and(|pin| bool::from(pin.as_bytes().ct_eq(entered.as_bytes())))
        };
        let moderates = is(&settings.moderator_pin);
        // With a PIN for moderators alone, others come in without any.
        let comes_in = moderates || is(&settings.pin) || (settings.pin.is_none() && entered.is_empty());
        if comes_in {
            // Who knows the one PIN may be guessing the other.
            if moderates || settings.moderator_pin.is_none() {
                guesses.right(&self.guesser);
            }
            self.moderates |= moderates;
            return self.enter(call, settings.most, calls);
        }
        entered.clear();
        *tries += 1;
        guesses.wrong(&self.guesser, MOST_WRONG, calls.clock().0);
        let speech = Speech::new();
        // Who was held up has one try.
        if std::mem::take(done) || *tries >= TRIES {
            return self.go(call, speech, "conference-wrong-pin", calls);
        }
        let speech = speech.say("conference-wrong-pin").pause(300).say("conference-pin");
        calls.say(call, speech.pause(PATIENCE_MS));
    }

    /// Others have come or gone.
    fn told(&mut self, call: CallId, others: u16, speech: Speech, calls: &mut Calls<'_, '_, '_>) {
        let speech = match (&self.step, others) {
            (Step::Inside(before), _) if others > *before => speech.clip(COMES),
            (Step::Inside(_), 0) => speech.clip(LEAVES).pause(200).say("conference-only-one"),
            (Step::Inside(_), _) => speech.clip(LEAVES),
            (_, 0) => speech.pause(SETTLE_MS).say("conference-only-one"),
            (_, 1) => speech.pause(SETTLE_MS).say("conference-other-before").count(1).say("conference-other"),
            (_, others) => {
                let speech = speech.pause(SETTLE_MS).say("conference-others-before");
                speech.count(others.into()).say("conference-others")
            }
        };
        self.step = Step::Inside(others);
        calls.say(call, speech);
    }

    fn is_inside(&self) -> bool {
        matches!(self.step, Step::Inside(_))
    }

    /// An operator wants this of it.
    fn moderate(&mut self, call: CallId, what: Moderate, settings: &Settings, calls: &mut Calls<'_, '_, '_>) {
        match what {
            Moderate::Mute(muted) => {
                (self.muted, self.silenced) = (muted, muted);
                calls.join(call, self.room, muted, settings.most);
            }
            Moderate::Kick => calls.hang_up(call),
            Moderate::Lock(locked) => calls.lock(call, locked),
            Moderate::Record(records) => self.record(call, records, calls),
        }
    }

    fn record(&mut self, call: CallId, records: bool, calls: &mut Calls<'_, '_, '_>) {
        self.records = records;
        let recording = records.then(|| {
            let (now, _) = calls.clock();
            let room = self.room.to_string();
            let file = file_name(now, ["conference", &room], (calls.unique(call), now as u32));
            Recording { file: file.into(), most_ms: LONGEST_MS, silence_ms: 0, least_ms: 0 }
        });
        calls.record_room(call, recording);
    }

    /// A key while it is in the room.
    fn command(&mut self, call: CallId, key: char, settings: &Settings, calls: &mut Calls<'_, '_, '_>) {
        let star = std::mem::replace(&mut self.star, key == '*');
        let said = match key {
            '6' if star => {
                self.muted = !self.muted || self.silenced;
                calls.join(call, self.room, self.muted, settings.most);
                if self.muted { "conference-muted" } else { "conference-unmuted" }
            }
            '7' if star && self.moderates => {
                self.locked = !self.locked;
                calls.lock(call, self.locked);
                if self.locked { "conference-now-locked" } else { "conference-now-open" }
            }
            '9' if star && self.moderates => {
                self.record(call, !self.records, calls);
                let tone = if self.records { BEGINS } else { ENDS };
                return calls.say(call, Speech::new().clip(tone));
            }
            _ => return,
        };
        calls.say(call, Speech::new().say(said));
    }
}

/// The number that a text is, if it is nothing else: no sign, no zero before it.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// For so long nobody needs to press a key.
const PATIENCE_MS: u32 = 15_000;
const TRIES: u8 = 3;
/// Wrong PINs before a pause.
const MOST_WRONG: u32 = 9;
const LONGEST_PIN: usize = 32;
/// The longest recording of a room: half a day.
const LONGEST_MS: u32 = 12 * 3_600_000;
const BEGINS: Clip = Clip::Tone { hz: 1400, ms: 200 };
const ENDS: Clip = Clip::Tone { hz: 700, ms: 400 };
const COMES: Clip = Clip::Tone { hz: 700, ms: 200 };
const LEAVES: Clip = Clip::Tone { hz: 500, ms: 200 };
