//! The settings of services.

use std::time::Duration;

use offhook_exchange::services::{
    self, AgentSettings, Announce, CallBackSettings, CodeSettings, ConferenceSettings, Page, ParkSettings,
    RecordingSettings, SERVICES, SuperviseSettings, VoicemailSettings,
};
use offhook_exchange::speech::Language;

use super::account::reveal;
use super::plan::{mistake, text, texts};
use super::{Meaning, Settings};
use crate::config_file::Value;

/// A service, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Its name, as in `[services.NAME]`.
    pub name: &'static str,
    /// What is dialled for it; none: it is off.
    pub number: Option<&'a str>,
    /// What it does.
    pub summary: &'static str,
}

impl Settings {
    /// All services, those that are off too.
    pub fn services(&self) -> impl Iterator<Item = Service<'_>> {
        SERVICES.iter().map(|kind| Service {
            name: kind.name,
            number: (kind.number)(&self.services),
            summary: kind.summary,
        })
    }
}

impl Meaning<'_> {
    pub(super) fn services(&mut self) -> services::Settings {
        let language = self.text("language").and_then(|code| Language::parse(&code)).unwrap_or_default();
        let longest = self.time("services.voicemail.longest");
        if longest < Duration::from_secs(5) || longest > Duration::from_secs(3600) {
            let help = Some("from 5 seconds to an hour".to_owned());
            self.mistake("services.voicemail.longest", "that is no length of a message".into(), help);
        }
        let voicemail = VoicemailSettings {
            number: self.dialled("services.voicemail.number"),
            longest,
            most: self.count("services.voicemail.most"),
            for_all: self.written.value("services.voicemail.for_all") == Some(Value::Flag(true)),
        };
        let (echo_number, clock_number) =
            (self.dialled("services.echo.number"), self.dialled("services.clock.number"));
        let conference = self.conference();
        let schedules = self.schedules();
        let groups = self.groups(&schedules);
        let codes = self.codes();
        let park = self.park();
        let (pickup_number, transfer_code) =
            (self.dialled("services.pickup.number"), self.dialled("services.transfer.code"));
        if transfer_code.as_ref().is_some_and(|code| !code.chars().all(|key| "0123456789*#".contains(key))) {
            let help = Some("keys of a phone: digits, * and #".to_owned());
            self.mistake("services.transfer.code", "this cannot be pressed".into(), help);
        }
        let add_code = self.keys("services.add.code");
        let consult_code = self.keys("services.consult.code");
        let supervise = SuperviseSettings {
            listen: self.dialled("services.supervise.listen"),
            whisper: self.dialled("services.supervise.whisper"),
            barge: self.dialled("services.supervise.barge"),
        };
        let cameras = self.cameras(&groups);
        self.check_numbers();
        services::Settings {
            codes,
            queues: self.queues(&schedules),
            agents: AgentSettings::new(
                self.dialled("services.queue.log_in"),
                self.dialled("services.queue.pause"),
            ),
            wake_up_code: self.code("services.wake_up.code"),
            call_back: self.call_back(),
            groups,
            echo_number,
            clock_number,
            conference,
            park,
            pickup_number,
            fetch_number: self.dialled("services.fetch.number"),
            transfer_code,
            codes_in_all_calls: self.written.value("services.in_call_codes.all_calls")
                == Some(Value::Flag(true)),
            add_code,
            consult_code,
            voicemail,
            intercom: self.dialled("services.intercom.number"),
            pages: self.pages(),
            cameras,
            supervise,
            recording: self.recording(),
            menus: self.menus(&schedules),
            schedules,
            language,
        }
    }

    /// A code that a # in place of its * takes back.
    fn code(&mut self, path: &'static str) -> Option<String> {
        let code = self.dialled(path)?;
        if code.strip_prefix('*').is_none_or(|rest| rest.is_empty() || rest.contains('*')) {
            let help = Some("such as \"*21\": # in place of the * ends what it begins".to_owned());
            self.mistake(path, format!("{code:?} does not begin with its only *"), help);
        }
        Some(code)
    }

    fn codes(&mut self) -> CodeSettings {
        CodeSettings::new(CODES.map(|path| self.code(path)))
    }

    fn call_back(&mut self) -> CallBackSettings {
        let time = self.time("services.call_back.time");
        if time < Duration::from_secs(60) || time > Duration::from_secs(7 * 24 * 3600) {
            let help = Some("from a minute to a week".to_owned());
            self.mistake("services.call_back.time", "nobody waits for so long to be called".into(), help);
        }
        CallBackSettings { code: self.code("services.call_back.code"), time }
    }

    fn park(&mut self) -> ParkSettings {
        let shown = self.text("services.park.slots").unwrap_or_default();
        let number =
            |text: &str| text.trim().parse::<u32>().ok().filter(|one| one.to_string() == text.trim());
        let slots = shown.split_once('-').and_then(|(first, last)| Some(number(first)?..=number(last)?));
        let slots = slots.filter(|slots| !slots.is_empty() && slots.end() - slots.start() < 1_000);
        if slots.is_none() {
            let help = Some("the first and the last of at most 1000, such as \"701-720\"".to_owned());
            self.mistake("services.park.slots", "these are no slots".into(), help);
        }
        let time = self.time("services.park.time");
        if time < Duration::from_secs(10) || time > Duration::from_secs(24 * 3600) {
            let help = Some("from 10 seconds to a day".to_owned());
            self.mistake("services.park.time", "a parked call does not wait for so long".into(), help);
        }
        let number = self.dialled("services.park.number");
        ParkSettings { number, slots: slots.unwrap_or(701..=720), time }
    }

    fn conference(&mut self) -> ConferenceSettings {
        let shown = self.text("services.conference.rooms").filter(|rooms| rooms != "off");
        let rooms = shown.as_deref().and_then(|shown| {
            let (first, last) = shown.split_once('-').unwrap_or((shown, shown));
            let number =
                |text: &str| text.trim().parse::<u64>().ok().filter(|one| one.to_string() == text.trim());
            Some(number(first)?..=number(last)?).filter(|rooms| !rooms.is_empty())
        });
        if shown.is_some() && rooms.is_none() {
            let help =
                Some("a number, or the first and the last, such as \"3000-3009\"; or \"off\"".to_owned());
            self.mistake("services.conference.rooms", "these are no numbers of rooms".into(), help);
        }
        ConferenceSettings {
            rooms,
            shown,
            pin: self.pin("services.conference.pin"),
            moderator_pin: self.pin("services.conference.moderator_pin"),
            most: self.count("services.conference.most") as u16,
        }
    }

    fn pages(&mut self) -> Vec<Page> {
        let mut pages: Vec<Page> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "page" && object.complete) {
            let number = text(object, "number").unwrap_or_default();
            let members = texts(object, "members");
            let wrong = if !is_dialled(&number) {
                Some(("number", "this [[page]] has no number that can be dialled".to_owned()))
            } else if members.is_empty() || members.len() > MOST_MEMBERS {
                Some(("members", format!("a [[page]] has 1 to {MOST_MEMBERS} members")))
            } else {
                None
            };
            match wrong {
                Some((key, what)) => self.mistakes.push(mistake(object, key, what)),
                None => pages.push(Page { number, members }),
            }
        }
        pages
    }

    fn recording(&mut self) -> RecordingSettings {
        let longest = self.time("services.recording.longest");
        if longest < Duration::from_secs(60) || longest > Duration::from_secs(24 * 3600) {
            let help = Some("from a minute to a day".to_owned());
            self.mistake("services.recording.longest", "that is no length of a recording".into(), help);
        }
        let announce = match self.text("services.recording.announce").as_deref() {
            Some("silent") => Announce::Silent,
            Some("spoken") => Announce::Spoken,
            _ => Announce::Beep,
        };
        RecordingSettings {
            toggle: self.keys("services.recording.toggle"),
            pause: self.keys("services.recording.pause"),
            announce,
            longest,
        }
    }

    /// What is pressed in a call, or nothing if it is off.
    fn keys(&mut self, path: &'static str) -> Option<String> {
        let keys = self.text(path).filter(|keys| keys != "off")?;
        if !(2..=8).contains(&keys.len()) || !keys.chars().all(|c| c.is_ascii_digit() || "*#".contains(c)) {
            let help = Some("2 to 8 keys of 0 to 9, * and #; or \"off\"".to_owned());
            self.mistake(path, format!("{keys:?} is not what one presses in a call"), help);
        }
        Some(keys)
    }

    /// What is entered by keys to prove something.
    fn pin(&mut self, path: &'static str) -> Option<String> {
        let entry = self.written.get(path)?;
        let Value::Secret(secret) = &entry.value else { return None };
        match reveal(secret, &entry.place) {
            Ok(pin) if !pin.is_empty() && pin.len() <= 32 && pin.bytes().all(|key| key.is_ascii_digit()) => {
                Some(pin)
            }
            Ok(_) => {
                self.mistake(path, "a PIN is 1 to 32 digits".into(), None);
                None
            }
            Err(what) => {
                self.mistake(path, what, None);
                None
            }
        }
    }

    /// What is dialled for a service, or nothing if it is off.
    fn dialled(&mut self, path: &'static str) -> Option<String> {
        let number = self.text(path).filter(|number| number != "off")?;
        if !is_dialled(&number) {
            let help = Some("digits, letters, *, #, +, -, . and _; or \"off\"".to_owned());
            self.mistake(path, format!("{number:?} cannot be dialled"), help);
        }
        Some(number)
    }
}

fn is_dialled(number: &str) -> bool {
    !number.is_empty() && number.chars().all(|c| c.is_ascii_alphanumeric() || "*#+-._".contains(c))
}

/// Phones that one page calls at a time.
const MOST_MEMBERS: usize = 200;
const CODES: [&str; 5] = [
    "services.codes.always",
    "services.codes.busy",
    "services.codes.no_answer",
    "services.codes.unreachable",
    "services.codes.do_not_disturb",
];
