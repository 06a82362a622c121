//! What is dialled means one thing: numbers of services, and of all objects that have one, looked through in one place.

use offhook_exchange::directory::Delta;
use offhook_store::parse_number;

use super::{Meaning, Settings};
use crate::config_file::{Entry, KEYS, Kind, Mistake, Object, Place, Value, Written};

/// A number, or several in a row, and whose it is.
struct Owned {
    numbers: Numbers,
    /// In the words of the configuration.
    of: String,
    /// `None`: it is built in.
    place: Option<Place>,
}

enum Numbers {
    One(String),
    From(u64, u64),
}

impl Meaning<'_> {
    /// Tells of every number that means two things.
    pub(super) fn check_numbers(&mut self) {
        self.check_each(pressed(self.written));
        self.check_each(dialled(self.written));
    }

    fn check_each(&mut self, all: Vec<Owned>) {
        for (at, one) in all.iter().enumerate() {
            let Some((other, number)) = all[..at].iter().find_map(|other| Some((other, one.meets(other)?)))
            else {
                continue;
            };
            // What is built in cannot be changed where it stands.
            let (here, there) = if one.place.is_some() { (one, other) } else { (other, one) };
            let what = match (&here.place, &there.place) {
                (Some(here), Some(there)) if here == there => format!("{number} is named twice"),
                _ => format!("{number} is {} and {}", here.of, there.with_place()),
            };
            self.mistakes.push(Mistake { place: here.place.clone(), what, help: None });
        }
    }
}

impl Owned {
    /// The number that is of both.
    fn meets(&self, other: &Self) -> Option<String> {
        match (&self.numbers, &other.numbers) {
            (Numbers::One(one), Numbers::One(other)) => (one == other).then(|| one.clone()),
            (Numbers::One(one), Numbers::From(..)) => other.holds(one).then(|| one.clone()),
            (Numbers::From(..), Numbers::One(other)) => self.holds(other).then(|| other.clone()),
            (Numbers::From(first, last), Numbers::From(from, to)) => {
                (first.max(from) <= last.min(to)).then(|| first.max(from).to_string())
            }
        }
    }

    fn holds(&self, dialled: &str) -> bool {
        match &self.numbers {
            Numbers::One(number) => number == dialled,
            Numbers::From(first, last) => plain(dialled).is_some_and(|it| (first..=last).contains(&&it)),
        }
    }

    fn with_place(&self) -> String {
        match &self.place {
            Some(place) => format!("{} ({}:{})", self.of, place.source.name, place.line_and_column().0),
            None => format!("{} (built in)", self.of),
        }
    }
}

impl Settings {
    /// What a number means that is no account: in the words of the configuration.
    pub(crate) fn owner_of(&self, number: &str) -> Option<String> {
        let of_account = |one: &Owned| one.of.starts_with("the [[account]]");
        let all = dialled(&self.written).into_iter();
        all.filter(|one| !of_account(one)).find(|one| one.holds(number)).map(|one| one.of)
    }

    /// The accounts of the store that nobody reaches by their numbers, because those mean something else.
    pub(crate) fn unreachable(&self, deltas: &[Delta]) -> Vec<String> {
        let unreachable = |delta: &Delta| match delta {
            Delta::Number(number, Some(account)) => {
                let owner = self.owner_of(number)?;
                Some(format!("{number} is {owner}, so nobody reaches {account} by that number"))
            }
            _ => None,
        };
        deltas.iter().filter_map(unreachable).collect()
    }
}

/// All that is dialled.
fn dialled(written: &Written) -> Vec<Owned> {
    let mut all = keys(written, |path| !PRESSED.contains(&path));
    for object in &written.objects {
        let Some(entry) = object.values.get("number") else { continue };
        all.extend(numbers_of(object.list, entry).into_iter().map(|number| Owned {
            numbers: Numbers::One(number),
            of: format!("the [[{}]]{}", object.list, name_of(object)),
            place: Some(entry.place.clone()),
        }));
    }
    all
}

/// What is pressed in calls.
fn pressed(written: &Written) -> Vec<Owned> {
    keys(written, |path| PRESSED.contains(&path))
}

/// Each text among the settings of services is something that is dialled or pressed; what is no number meets none.
fn keys(written: &Written, is_meant: impl Fn(&str) -> bool) -> Vec<Owned> {
    let of_service = |path: &str| path.starts_with("services.") && is_meant(path);
    let texts = KEYS.iter().filter(|key| key.kind == Kind::Text && of_service(key.path));
    let owned = texts.filter_map(|key| {
        let Some(Value::Text(text)) = written.value(key.path) else { return None };
        let place = written.get(key.path).map(|entry| entry.place.clone());
        let numbers = match text.split_once('-').and_then(|(first, last)| Some((plain(first)?, plain(last)?)))
        {
            Some((first, last)) => Numbers::From(first, last),
            None => Numbers::One(text),
        };
        Some(Owned { numbers, of: key.path.to_owned(), place })
    });
    owned.filter(|one| !one.holds("off")).collect()
}

fn numbers_of(list: &str, entry: &Entry) -> Vec<String> {
    match &entry.value {
        Value::Text(text) if list == "account" => parse_number(text).into_iter().collect(),
        Value::Text(text) => vec![text.clone()],
        Value::Texts(texts) => texts.clone(),
        _ => Vec::new(),
    }
}

fn name_of(object: &Object) -> String {
    let named = ["name", "address"].iter().filter_map(|key| object.values.get(key)).next();
    match named.map(|entry| &entry.value) {
        Some(Value::Text(name)) => format!(" {name}"),
        _ => String::new(),
    }
}

/// A number that is written as one is dialled.
fn plain(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

const PRESSED: [&str; 5] = [
    "services.transfer.code",
    "services.consult.code",
    "services.add.code",
    "services.recording.toggle",
    "services.recording.pause",
];

#[cfg(test)]
mod tests {
    use crate::Settings;
    use crate::config_file::Sources;

    fn mistakes(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offhook.toml");
        std::fs::write(&file, text).unwrap();
        let read = Settings::read(&Sources { file: Some(file), ..Sources::default() });
        read.err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_number_means_one_thing_and_both_places_are_told() {
        let group = "[[group]]\nnumber = \"600\"\nname = \"Sales\"\nmembers = [\"1\"]\n";
        let account = "[[account]]\naddress = \"sip:a@b\"\nnumber = \"600\"\n";
        for (text, line, words) in [
            (format!("{group}{group}"), 6, "600 is the [[group]] Sales and the [[group]] Sales ("),
            (format!("{account}{group}"), 5, "600 is the [[group]] Sales and the [[account]] sip:a@b ("),
            (
                format!("{group}[[menu]]\nname = \"m\"\nnumber = [\"5\", \"600\"]\nprompts = [\"time\"]\n"),
                7,
                "600 is the [[menu]] m and the [[group]] Sales (",
            ),
            (
                group.replace("600", "3004"),
                2,
                "3004 is the [[group]] Sales and services.conference.rooms (built in)",
            ),
            (
                group.replace("600", "*43"),
                2,
                "*43 is the [[group]] Sales and services.echo.number (built in)",
            ),
            (
                "services.park.slots = \"3009-3020\"\n".into(),
                1,
                "3009 is services.park.slots and services.conference.rooms (built in)",
            ),
            (
                "services.codes.busy = \"*21\"\n".into(),
                1,
                "*21 is services.codes.busy and services.codes.always (built in)",
            ),
            (
                "services.echo.number = \"*60\"\n".into(),
                1,
                "*60 is services.echo.number and services.clock.number (built in)",
            ),
            (
                "services.transfer.code = \"*1\"\n".into(),
                1,
                "*1 is services.transfer.code and services.recording.toggle (built in)",
            ),
            (
                "[[menu]]\nname = \"m\"\nnumber = [\"5\", \"5\"]\nprompts = [\"time\"]\n".into(),
                3,
                "5 is named twice",
            ),
        ] {
            let told = mistakes(&text);
            assert!(
                told.contains(words) && told.contains(&format!("offhook.toml:{line}:")),
                "{text}\n{told}"
            );
            assert!(told.contains("1 mistake in"), "{told}");
        }
    }

    #[test]
    fn what_is_off_is_free_for_others() {
        let text = "services.echo.number = \"off\"\nservices.clock.number = \"off\"\nservices.pickup.number = \"*43\"\n";
        assert_eq!(mistakes(text), "");
    }
}
