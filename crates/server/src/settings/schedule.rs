//! `[[schedule]]`: hours by which others go.

use std::sync::Arc;

use jiff::tz::TimeZone;
use offhook_exchange::route::Window;
use offhook_exchange::schedule::{Days, Schedule};
use offhook_exchange::services::Hours;

use super::Meaning;
use super::plan::{Wrong, mistake, text, texts};
use crate::config_file::{Object, did_you_mean};

impl Meaning<'_> {
    pub(super) fn schedules(&mut self) -> Vec<Arc<Schedule>> {
        let usual = self.text("numbers.time_zone").and_then(|name| TimeZone::get(&name).ok());
        let usual = usual.unwrap_or_else(TimeZone::system);
        let mut schedules: Vec<Arc<Schedule>> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "schedule") {
            match schedule(object, &usual) {
                Ok(one) if schedules.iter().any(|other| other.name == one.name) => {
                    self.mistakes.push(mistake(object, "name", format!("{} is declared twice", one.name)));
                }
                Ok(one) => schedules.push(Arc::new(one)),
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        schedules
    }
}

fn schedule(object: &Object, usual: &TimeZone) -> Result<Schedule, Wrong> {
    let name = text(object, "name").ok_or(("name", "this [[schedule]] has no name".to_owned()))?;
    let time_zone = match text(object, "time_zone") {
        Some(zone) => TimeZone::get(&zone).map_err(|_| {
            ("time_zone", format!("{zone:?} is no time zone of this machine such as \"Europe/Berlin\""))
        })?,
        None => usual.clone(),
    };
    let open = texts(object, "open").iter().map(|one| Window::parse(one)).collect::<Result<_, _>>();
    let closed = texts(object, "closed").iter().map(|one| Days::parse(one)).collect::<Result<_, _>>();
    Ok(Schedule {
        name,
        time_zone,
        open: open.map_err(|error| ("open", error.to_string()))?,
        closed: closed.map_err(|error| ("closed", error.to_string()))?,
    })
}

/// The hours that an object names by `when` and `otherwise`.
pub(super) fn hours(object: &Object, schedules: &[Arc<Schedule>]) -> Result<Option<Hours>, Wrong> {
    match (text(object, "when"), text(object, "otherwise")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(("otherwise", "otherwise than when? set when = \"SCHEDULE\"".into())),
        (Some(_), None) => Err(("when", "where do calls go at other times? set otherwise".into())),
        (Some(name), Some(otherwise)) => match schedules.iter().find(|one| one.name == name) {
            Some(when) => Ok(Some(Hours { when: Arc::clone(when), otherwise })),
            None => {
                let meant = did_you_mean(&name, schedules.iter().map(|one| one.name.as_str()));
                let help = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
                Err(("when", format!("there is no [[schedule]] {name:?}{help}")))
            }
        },
    }
}
