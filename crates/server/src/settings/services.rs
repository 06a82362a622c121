//! The settings of services.

use offhook_exchange::services::{self, SERVICES};

use super::{Meaning, Settings};

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
        services::Settings {
            echo_number: self.dialled("services.echo.number"),
            ..services::Settings::default()
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
