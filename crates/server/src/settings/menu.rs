//! `[[menu]]`: voice menus, checked as a whole.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::route::Window;
use offhook_exchange::schedule::Schedule;
use offhook_exchange::services::{MOST_KEYS, Menu, MenuAction as Action, Menus, Opening, PROMPTS, Prompt};
use offhook_media::prompts;

use super::Meaning;
use super::plan::{mistake, text, texts};
use crate::config_file::{Mistake, Object, Place, Value, WrittenAction, did_you_mean};
use crate::{machine, recordings};

impl Meaning<'_> {
    /// All voice menus, as far as they make sense.
    pub(super) fn menus(&mut self, schedules: &[Arc<Schedule>]) -> Menus {
        let written = self.written;
        let objects: Vec<&Object> = written.objects.iter().filter(|object| object.list == "menu").collect();
        let names: Vec<Option<String>> = objects.iter().map(|object| text(object, "name")).collect();
        let data_dir = self.text("data_dir").map_or_else(machine::data_dir, PathBuf::from);
        let mut menus: Vec<Menu> = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            let mut reader = Reader {
                object,
                names: &names,
                schedules,
                folder: data_dir.join(PROMPTS),
                mistakes: &mut self.mistakes,
            };
            let menu = reader.menu();
            reader.check_name(at);
            reader.check_numbers(&menu);
            menus.push(menu);
        }
        let numbers: Vec<&str> = menus.iter().flat_map(|menu| &menu.numbers).map(String::as_str).collect();
        let shown = (!numbers.is_empty()).then(|| numbers.join(", "));
        Menus { menus, shown }
    }
}

struct Reader<'a> {
    object: &'a Object,
    /// The names of all menus, by their places.
    names: &'a [Option<String>],
    schedules: &'a [Arc<Schedule>],
    /// Where prompts of one's own are.
    folder: PathBuf,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    fn menu(&mut self) -> Menu {
        let prompts = self.prompts("prompts");
        if prompts.is_empty() && self.object.complete && !self.object.values.contains_key("prompts") {
            self.mistake("name", "this [[menu]] says nothing: set prompts".into(), None);
        }
        let invalid = match self.object.values.contains_key("invalid") {
            true => self.prompts("invalid"),
            false => vec![Prompt::Phrase("menu-invalid".into())],
        };
        let (open, closed) = self.hours();
        Menu {
            name: text(self.object, "name").unwrap_or_default(),
            numbers: texts(self.object, "number"),
            prompts,
            invalid,
            keys: self.keys(),
            timeout: self.time("timeout", TIMEOUT),
            digit_timeout: self.time("digit_timeout", DIGIT_TIMEOUT),
            retries: match self.value("retries") {
                Some(Value::Count(count)) => u8::try_from(*count).unwrap_or(u8::MAX),
                _ => RETRIES,
            },
            extensions: matches!(self.value("extensions"), Some(Value::Flag(true))),
            open,
            closed,
            otherwise: self.action("otherwise").unwrap_or(Action::HangUp),
        }
    }

    fn check_name(&mut self, at: usize) {
        match self.names.get(at) {
            Some(Some(name)) if self.names[..at].contains(&Some(name.clone())) => {
                self.mistake("name", format!("the menu {name} is declared twice"), None);
            }
            Some(None) if self.object.complete => {
                self.mistake("name", "this [[menu]] has no name".into(), None);
            }
            _ => {}
        }
    }

    fn check_numbers(&mut self, menu: &Menu) {
        for number in menu.numbers.iter().filter(|number| !is_dialled(number)) {
            let help = Some("digits, letters, *, #, +, -, . and _".to_owned());
            self.mistake("number", format!("{number:?} cannot be dialled"), help);
        }
    }

    fn hours(&mut self) -> (Vec<Opening>, Option<Action>) {
        let mut open = Vec::new();
        for one in texts(self.object, "when") {
            let named = self.schedules.iter().find(|schedule| schedule.name == one);
            match (named, Window::parse(&one)) {
                (Some(schedule), _) => open.push(Opening::Schedule(Arc::clone(schedule))),
                (None, Ok(window)) => open.push(Opening::Hours(window)),
                (None, Err(error)) => {
                    let meant = did_you_mean(&one, self.schedules.iter().map(|one| one.name.as_str()));
                    let what = format!("{one:?} is no [[schedule]], and {error}");
                    self.mistake("when", what, meant);
                }
            }
        }
        let has = |key| self.object.values.contains_key(key);
        match (has("when"), has("closed")) {
            (true, false) => {
                let what = "a menu that is not always open needs a place to go: set closed".to_owned();
                self.mistake("when", what, Some("closed = { say = [\"menu-closed\"] } or the like".into()));
            }
            (false, true) => {
                self.mistake("closed", "this menu is always open: set when".into(), None);
            }
            (true, true) | (false, false) => {}
        }
        let closed = self.action("closed");
        // It would be said for ever.
        if matches!(closed, Some(Action::Say(_) | Action::Repeat | Action::Directory)) {
            let what =
                "who comes while it is closed goes somewhere: call, menu, voicemail or hangup".to_owned();
            self.mistake("closed", what, None);
        }
        (open, closed)
    }

    fn keys(&mut self) -> BTreeMap<String, Action> {
        let Some(Value::Actions(written)) = self.value("digits").cloned() else { return BTreeMap::new() };
        let mut keys = BTreeMap::new();
        for one in written {
            let place = self.place_of("digits", &one);
            let is_key = |key: char| key.is_ascii_digit() || "*#ABCD".contains(key);
            if one.keys.is_empty() || one.keys.len() > MOST_KEYS || !one.keys.chars().all(is_key) {
                let what = format!("{:?} is no key of a phone, nor several", one.keys);
                self.mistake_at(place.clone(), what, Some("0 to 9, \"*\", \"#\", A to D".into()));
            }
            if let Some(action) = self.meant(&one, &place) {
                keys.insert(one.keys, action);
            }
        }
        keys
    }

    fn action(&mut self, key: &'static str) -> Option<Action> {
        let Some(Value::Actions(written)) = self.value(key).cloned() else { return None };
        let one = written.into_iter().next()?;
        let place = self.object.values.get(key).map_or(&self.object.place, |entry| &entry.place).clone();
        self.meant(&one, &place)
    }

    /// What a table such as `{ call = "600" }` means.
    fn meant(&mut self, written: &WrittenAction, place: &Place) -> Option<Action> {
        let [(verb, words)] = &written.entries[..] else {
            let what = "a key leads to one place".to_owned();
            self.mistake_at(place.clone(), what, Some(VERBS_HELP.into()));
            return None;
        };
        let is_true = words.as_slice() == ["true"];
        match (verb.as_str(), words.as_slice()) {
            ("call", [number]) if is_dialled(number) => Some(Action::Call(number.clone())),
            ("voicemail", [user]) if is_dialled(user) => Some(Action::Voicemail(user.clone())),
            ("call" | "voicemail", _) => {
                self.mistake_at(place.clone(), format!("{verb} needs a number or a name in quotes"), None);
                None
            }
            ("menu", [name]) => {
                let at = self.names.iter().position(|one| one.as_ref() == Some(name));
                if at.is_none() {
                    let known = self.names.iter().flatten().map(String::as_str);
                    let meant = did_you_mean(name, known);
                    self.mistake_at(place.clone(), format!("there is no menu {name:?}"), meant);
                }
                at.map(Action::Menu)
            }
            ("say", words) if !words.is_empty() && !is_true => {
                Some(Action::Say(words.iter().filter_map(|word| self.prompt(word, place)).collect()))
            }
            ("directory", _) if is_true => Some(Action::Directory),
            ("repeat", _) if is_true => Some(Action::Repeat),
            ("hangup", _) if is_true => Some(Action::HangUp),
            (verb, _) => {
                let meant = match VERBS.contains(&verb) {
                    true => None,
                    false => did_you_mean(verb, VERBS.into_iter()),
                };
                let what = format!("{verb:?} leads nowhere like this");
                self.mistake_at(place.clone(), what, Some(meant.unwrap_or_else(|| VERBS_HELP.into())));
                None
            }
        }
    }

    fn prompts(&mut self, key: &'static str) -> Vec<Prompt> {
        let place = self.object.values.get(key).map_or(&self.object.place, |entry| &entry.place).clone();
        texts(self.object, key).iter().filter_map(|one| self.prompt(one, &place)).collect()
    }

    fn prompt(&mut self, written: &str, place: &Place) -> Option<Prompt> {
        let read = read(written, &self.folder);
        let (what, help) = match read {
            Ok(prompt) => return Some(prompt),
            Err(wrong) => wrong,
        };
        self.mistake_at(place.clone(), what, help);
        None
    }

    fn time(&mut self, key: &'static str, usual: Duration) -> Duration {
        match self.value(key) {
            Some(Value::Time(time)) if *time <= LONGEST => *time,
            Some(Value::Time(_)) => {
                self.mistake(key, "nobody waits for so long".into(), Some("at most a minute".into()));
                usual
            }
            _ => usual,
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        Some(&self.object.values.get(key)?.value)
    }

    fn place_of(&self, key: &str, one: &WrittenAction) -> Place {
        let place = self.object.values.get(key).map_or(&self.object.place, |entry| &entry.place);
        Place { source: place.source.clone(), span: one.span.clone() }
    }

    fn mistake(&mut self, key: &str, what: String, help: Option<String>) {
        self.mistakes.push(Mistake { help, ..mistake(self.object, key, what) });
    }

    fn mistake_at(&mut self, place: Place, what: String, help: Option<String>) {
        self.mistakes.push(Mistake { place: Some(place), what, help });
    }
}

/// What a prompt is, or what is wrong with it and what would be right.
fn read(written: &str, folder: &Path) -> Result<Prompt, (String, Option<String>)> {
    if let Some((kind, rest)) = written.split_once(':') {
        let number = || rest.parse().ok();
        return match kind {
            "digits" if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c)) => {
                Some(Prompt::Digits(rest.to_owned()))
            }
            "number" => number().map(Prompt::Number),
            "pause" => number().filter(|ms| (1..=60_000).contains(ms)).map(Prompt::Pause),
            _ => None,
        }
        .ok_or_else(|| (format!("{written:?} cannot be said"), Some(SAID_HELP.into())));
    }
    match written {
        "time" => return Ok(Prompt::Time),
        "date" => return Ok(Prompt::Date),
        _ => {}
    }
    if Path::new(written).extension().is_some() {
        let plain = Path::new(written).components().all(|one| matches!(one, Component::Normal(_)));
        if !plain {
            return Err((format!("{written:?} is no file in {}", folder.display()), None));
        }
        let path = folder.join(written);
        return match recordings::read(&path) {
            Ok(_) => Ok(Prompt::File(written.to_owned())),
            Err(error) => Err((format!("{}: {error}", path.display()), None)),
        };
    }
    if prompts::is_known(&format!("en/{written}")) && prompts::is_known(&format!("zh/{written}")) {
        return Ok(Prompt::Phrase(written.to_owned()));
    }
    let names = prompts::names().filter_map(|name| name.strip_prefix("en/"));
    let help = did_you_mean(written, names).unwrap_or_else(|| SAID_HELP.to_owned());
    Err((format!("there is no prompt {written:?}"), Some(help)))
}

fn is_dialled(number: &str) -> bool {
    !number.is_empty() && number.chars().all(|c| c.is_ascii_alphanumeric() || "*#+-._".contains(c))
}

const VERBS: [&str; 7] = ["call", "menu", "voicemail", "directory", "say", "repeat", "hangup"];
const VERBS_HELP: &str = "{ call = \"1001\" }, { menu = \"NAME\" }, { voicemail = \"1001\" }, { say = [\"PROMPT\"] }, \
                          { directory = true }, { repeat = true } or { hangup = true }";
const SAID_HELP: &str = "a file of your own such as \"welcome.wav\", a prompt of ours such as \"menu-welcome\", \
                         \"digits:1001\", \"number:42\", \"time\", \"date\" or \"pause:500\"";
const TIMEOUT: Duration = Duration::from_secs(5);
const DIGIT_TIMEOUT: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
const RETRIES: u8 = 3;

#[cfg(test)]
mod tests;
