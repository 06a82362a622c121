//! The settings of services.

use std::time::Duration;

use offhook_exchange::services::{self, SERVICES, VoicemailSettings};
use offhook_exchange::speech::Language;

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
        services::Settings { echo_number, clock_number, voicemail, language }
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
