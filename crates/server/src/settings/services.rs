//! The settings of services.

use std::time::Duration;

use offhook_exchange::services::{self, ConferenceSettings, SERVICES, VoicemailSettings};
use offhook_exchange::speech::Language;

use super::account::reveal;
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
        let language = match self.text("language").as_deref() {
            Some("zh") => Language::Chinese,
            _ => Language::English,
        };
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
        let menus = services::Menus::default();
        let mut all =
            services::Settings { echo_number, clock_number, conference, voicemail, menus, language };
        all.menus = self.menus(&all);
        all
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
        if !number.chars().all(|c| c.is_ascii_alphanumeric() || "*#+-._".contains(c)) {
            let help = Some("digits, letters, *, #, +, -, . and _; or \"off\"".to_owned());
            self.mistake(path, format!("{number:?} cannot be dialled"), help);
        }
        Some(number)
    }
}
