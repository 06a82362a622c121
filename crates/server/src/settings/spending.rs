//! `[rates]` and `security.limits`: what calls by trunks cost, and what accounts may spend.

use std::path::{Path, PathBuf};

use offhook_exchange::spending::{Limits, Rates};

use super::Meaning;
use crate::config_file::Value;

impl Meaning<'_> {
    /// The file of rates, which is looked for beside the one that names it, and what is in it.
    pub(super) fn rates(&mut self) -> (Option<PathBuf>, Rates) {
        let Some(name) = self.text("rates.file") else { return (None, Rates::default()) };
        let source = self.written.get("rates.file").map(|entry| entry.place.source.name.clone());
        let file = source.as_deref().and_then(|source| Path::new(source).parent()).unwrap_or(Path::new(""));
        let file = file.join(name);
        match read_rates(&file) {
            Ok(rates) => (Some(file), rates),
            Err(mistakes) => {
                mistakes.into_iter().for_each(|what| self.mistake("rates.file", what, None));
                (Some(file), Rates::default())
            }
        }
    }

    /// What accounts may do that have no limits of their own.
    pub(super) fn limits(&mut self) -> Limits {
        let minutes_per_day = match self.written.value("security.limits.minutes_per_day") {
            Some(Value::Count(minutes)) => u32::try_from(minutes).ok(),
            _ => None,
        };
        let money_per_day = self.text("security.limits.money_per_day").and_then(|text| match text.parse() {
            Ok(money) => Some(money),
            Err(error) => {
                self.mistake("security.limits.money_per_day", format!("{text:?}: {error}"), None);
                None
            }
        });
        let of_accounts = self.written.objects.iter().any(|object| {
            let limits = object.values.get("limits").map(|entry| &entry.value);
            matches!(limits, Some(Value::Limits(Limits { money_per_day: Some(_), .. })))
        });
        let has_rates = self.written.get("rates.file").is_some();
        if (money_per_day.is_some() || of_accounts) && !has_rates {
            let path = "security.limits.money_per_day";
            let what = "money is limited, and without rates.file no call has a price: none would leave";
            self.mistake(path, what.into(), Some("set rates.file, or limit minutes_per_day".into()));
        }
        Limits { calls: None, minutes_per_day, money_per_day }
    }
}

/// Reads a file of rates.
///
/// # Errors
/// All mistakes in it, in words that name the file, line and column.
pub fn read_rates(file: &Path) -> Result<Rates, Vec<String>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| vec![format!("{name}: {error}")])?;
    Rates::parse(&text).map_err(|all| all.iter().map(|one| format!("{name}: {one}")).collect())
}

#[cfg(test)]
mod tests;
