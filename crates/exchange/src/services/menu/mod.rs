//! Voice menus: who dials one hears what there is to choose from, and chooses by keys.

mod spelling;
mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use offhook_media::voice::Clip;

use super::{Kind, Service, Settings as All, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::directory::AddressOfRecord;
use crate::route::Window;
use crate::schedule::Schedule;
use crate::speech::{Speech, local};
use visit::Visit;

pub(super) const KIND: Kind = Kind {
    name: "menu",
    summary: "voice menus, as they are written down in the configuration",
    number: |settings| settings.menus.shown.as_deref(),
    make: |settings| Box::new(VoiceMenus::new(settings)),
};

/// All voice menus. What they lead to by place is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Menus {
    /// Each with what it says and where it leads.
    pub menus: Vec<Menu>,
    /// Their numbers, as they are shown; `None`: none is dialled.
    pub shown: Option<String>,
}

/// A voice menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Its name.
    pub name: String,
    /// What is dialled for it; none: other menus lead here.
    pub numbers: Vec<String>,
    /// What is said on coming in, and again after silence.
    pub prompts: Vec<Prompt>,
    /// What is said of a key that leads nowhere.
    pub invalid: Vec<Prompt>,
    /// Where keys lead, one or several in a row.
    pub keys: BTreeMap<String, Action>,
    /// How long one waits for the first key, after the prompts.
    pub timeout: Duration,
    /// How long for each further one.
    pub digit_timeout: Duration,
    /// How often it is asked again after silence, or after a key that leads nowhere.
    pub retries: u8,
    /// Whether the number of an account calls it.
    pub extensions: bool,
    /// When it is open, at any of these times; empty: always.
    pub open: Vec<Opening>,
    /// Where callers go while it is not.
    pub closed: Option<Action>,
    /// Where they go who choose nothing.
    pub otherwise: Action,
}

/// Times at which a menu is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Hours of the week.
    Hours(Window),
    /// Those of a schedule.
    Schedule(Arc<Schedule>),
}

/// Where a choice leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To a number: of an account, of a service, or outside.
    Call(String),
    /// To another menu, by its place.
    Menu(usize),
    /// To the mailbox of the account with this number or name.
    Voicemail(String),
    /// To the accounts, whose names are spelt by keys.
    Directory,
    /// This is said, then the menu again.
    Say(Vec<Prompt>),
    /// The menu again.
    Repeat,
    /// Nowhere: the call ends.
    HangUp,
}

/// A piece of what a menu says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A sound of one's own, a file in the place of prompts.
    File(String),
    /// A phrase of ours, by name.
    Phrase(String),
    /// A telephone number and the like, sign by sign.
    Digits(String),
    /// A number.
    Number(u32),
    /// The time of day.
    Time,
    /// The day.
    Date,
    /// Silence, in milliseconds.
    Pause(u32),
}

impl Menu {
    /// Whether it is open at a moment.
    fn is_open(&self, calls: &Calls<'_, '_, '_>) -> bool {
        let (unix, zone) = calls.clock();
        let is_in = |window: &Window| {
            local(unix, &zone).is_some_and(|now| {
                let day = now.weekday().to_monday_zero_offset().unsigned_abs();
                let minute =
                    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
                window.holds(day, minute)
            })
        };
        let is_open = |opening: &Opening| match opening {
            Opening::Hours(window) => is_in(window),
            Opening::Schedule(schedule) => schedule.is_open(unix),
        };
        self.open.is_empty() || self.open.iter().any(is_open)
    }

    /// Whether more keys could follow these.
    fn may_go_on(&self, keys: &str) -> bool {
        let longer = |key: &&String| key.len() > keys.len() && key.starts_with(keys);
        let is_number = keys.bytes().all(|key| key.is_ascii_digit()) && keys.len() < MOST_KEYS;
        self.keys.keys().any(|key| longer(&key)) || self.extensions && is_number
    }
}

struct VoiceMenus {
    menus: Arc<[Menu]>,
    /// With the menus as they were when it came.
    visits: BTreeMap<CallId, (Visit, Arc<[Menu]>)>,
}

impl VoiceMenus {
    fn new(settings: &All) -> Self {
        let menus = settings.menus.menus.as_slice().into();
        Self { menus, visits: BTreeMap::new() }
    }

    /// The place of the menu that has a number.
    fn of_number(&self, number: &str) -> Option<usize> {
        self.menus.iter().position(|menu| menu.numbers.iter().any(|one| one == number))
    }

    fn admit(&mut self, call: CallId, at: usize, calls: &mut Calls<'_, '_, '_>) {
        let mut visit = Visit::new();
        visit.enter(call, at, &self.menus, calls);
        self.visits.insert(call, (visit, Arc::clone(&self.menus)));
    }
}

impl Service for VoiceMenus {
    fn configure(&mut self, settings: &All) {
        // Who is in a menu goes on in those with which it came.
        self.menus = settings.menus.menus.as_slice().into();
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(dialled) = calls.dialled(call).filter(|_| !self.menus.is_empty()) else {
            return Verdict::Continue;
        };
        let at = self.of_number(dialled);
        // A menu is what callers from outside are meant to hear, if they come by a trunk.
        let may = calls.is_from_account(call) || calls.is_by_trunk(call) || calls.diverted_by(call).is_some();
        let Some(at) = at.filter(|_| may) else { return Verdict::Continue };
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.admit(call, at, calls);
        }
        answered.into()
    }

    fn given(
        &mut self,
        call: CallId,
        (to, _): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let Some(at) = self.of_number(to).filter(|_| calls.take(call)) else { return false };
        self.admit(call, at, calls);
        true
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some((visit, menus)) = self.visits.get_mut(&call) else { return };
        if point == Point::Ended {
            self.visits.remove(&call);
            return;
        }
        visit.point(call, point, menus, calls);
    }
}

/// These prompts in a row.
fn say(speech: Speech, prompts: &[Prompt], calls: &Calls<'_, '_, '_>) -> Speech {
    let (now, zone) = calls.clock();
    let now = local(now, &zone);
    prompts.iter().fold(speech, |speech, prompt| match prompt {
        Prompt::File(file) => speech.clip(Clip::File(format!("{PROMPTS}/{file}").into())),
        Prompt::Phrase(name) => speech.say(name),
        Prompt::Digits(text) => speech.digits(text),
        Prompt::Number(number) => speech.number(*number),
        Prompt::Time => now.as_ref().map_or(speech.clone(), |now| speech.time(now.time())),
        Prompt::Date => now.as_ref().map_or(speech.clone(), |now| speech.date(now.date())),
        Prompt::Pause(ms) => speech.pause(*ms),
    })
}

/// The folder of sounds of one's own, as media asks for it: no account has a mailbox of that name.
pub const PROMPTS: &str = "prompts";
/// Keys in a row.
pub const MOST_KEYS: usize = 15;
