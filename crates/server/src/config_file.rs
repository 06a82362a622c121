//! The configuration as written: files, environment and flags, read into checked values. What they mean together
//! is in `settings`.
//!
//! Later sources win: built-in, `offhook.toml`, `conf.d/*.toml`, `OFFHOOK_…`, flags. Every mistake is found at once.

mod answering_key;
mod key;
mod mistake;
mod schema;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use key::{KEYS, Key, Kind, OBJECTS};
pub use mistake::{Mistake, Mistakes, Place, Source};
pub use schema::schema;
pub use value::{Secret, Value, WrittenAction};

pub(crate) use mistake::did_you_mean;

/// Where to read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file named with `-c`; it must exist. Without it `offhook.toml` here or in `/etc/offhook` is read, if
    /// there is one.
    pub file: Option<PathBuf>,
    /// `OFFHOOK_…` variables.
    pub environment: Vec<(String, String)>,
    /// Flags and what they set: `("--data", "data_dir", "/srv/offhook")`.
    pub flags: Vec<(String, String, String)>,
}

/// What was written, checked key by key.
#[derive(Clone, Debug, Default)]
pub struct Written {
    values: BTreeMap<&'static str, Entry>,
    /// Keys that were written, but not so that they could be read.
    unreadable: Vec<&'static str>,
    /// Those of [`OBJECTS`], in order.
    pub objects: Vec<Object>,
    /// Things that are odd, but harmless.
    pub warnings: Vec<String>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// As it was written.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// An `[[account]]`, a `[[trunk]]` or the like.
#[derive(Clone, Debug)]
pub struct Object {
    /// Which of [`OBJECTS`].
    pub list: &'static str,
    /// Its values.
    pub values: BTreeMap<&'static str, Entry>,
    /// Whether all that was written in it could be read.
    pub complete: bool,
    /// Where it begins.
    pub place: Place,
}

impl Sources {
    /// The sources of this process: its environment and these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String, String)>) -> Self {
        let file = file.or_else(|| std::env::var_os("OFFHOOK_CONFIG").map(PathBuf::from));
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("OFFHOOK_") && name != "OFFHOOK_CONFIG")
            .collect();
        Self { file, environment, flags }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// All mistakes that there are.
    pub fn read(&self) -> Result<Written, Mistakes> {
        let (written, mistakes) = self.read_what_can_be();
        if mistakes.0.is_empty() { Ok(written) } else { Err(mistakes) }
    }

    /// Reads everything: what could be read, and what is wrong with the rest.
    pub fn read_what_can_be(&self) -> (Written, Mistakes) {
        let mut reader = Reader::default();
        self.read_files(&mut reader);
        self.read_environment(&mut reader);
        for (flag, key, value) in &self.flags {
            reader.read_line(flag.clone(), key, value);
        }
        (reader.written, Mistakes(reader.mistakes))
    }

    fn read_files(&self, reader: &mut Reader) {
        let found = || STANDARD.iter().map(PathBuf::from).find(|path| path.is_file());
        let Some(file) = self.file.clone().or_else(found) else { return };
        reader.read_file(&file);
        let folder = file.parent().unwrap_or(Path::new("")).join("conf.d");
        let Ok(entries) = std::fs::read_dir(&folder) else { return };
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        more.sort();
        more.iter().for_each(|path| reader.read_file(path));
    }

    fn read_environment(&self, reader: &mut Reader) {
        for (name, value) in &self.environment {
            match KEYS.iter().find(|key| key.variable() == *name) {
                Some(key) => reader.read_line(name.clone(), key.path, value),
                // Container systems put variables of their own there, so this cannot be a mistake.
                None => reader.written.warnings.push(format!("{name} in the environment sets nothing")),
            }
        }
    }
}

impl Written {
    /// What was written for a key.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.values.get(path)
    }

    /// Whether a key is set to something that cannot be read: then nothing is known of it, not even that it has its
    /// default.
    pub fn is_unreadable(&self, path: &str) -> bool {
        self.unreadable.contains(&path)
    }

    /// The keys and lists of objects that have other values than before, in the order in which they are known.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let keys = KEYS.iter().map(|key| key.path).filter(|path| self.value(path) != before.value(path));
        let lists = OBJECTS.iter().map(|(list, ..)| *list);
        keys.chain(lists.filter(|list| !self.objects_of(list).eq(before.objects_of(list)))).collect()
    }

    /// The values of the objects of a list.
    fn objects_of(&self, list: &str) -> impl Iterator<Item = Vec<(&'static str, &Value)>> {
        let objects = self.objects.iter().filter(move |object| object.list == list);
        objects.map(|object| object.values.iter().map(|(key, entry)| (*key, &entry.value)).collect())
    }

    /// Puts what was written before in the place of the keys and lists with these names.
    pub(crate) fn keep_from(&mut self, before: &Self, is_kept: impl Fn(&str) -> bool) {
        self.values.retain(|path, _| !is_kept(path));
        self.values.extend(
            before
                .values
                .iter()
                .filter(|(path, _)| is_kept(path))
                .map(|(path, entry)| (*path, entry.clone())),
        );
        self.objects.retain(|object| !is_kept(object.list));
        self.objects.extend(before.objects.iter().filter(|object| is_kept(object.list)).cloned());
    }

    /// The value of a key, or its default.
    pub fn value(&self, path: &'static str) -> Option<Value> {
        match self.values.get(path) {
            Some(entry) => Some(entry.value.clone()),
            None => default_of(KEYS.iter().find(|key| key.path == path)?),
        }
    }
}

/// The built-in value of a key, where there is one.
pub fn default_of(key: &Key) -> Option<Value> {
    let line = format!("value = {}", key.default);
    let table = DeTable::parse(&line).ok().filter(|_| !key.default.is_empty())?;
    value::read(key.kind, table.get_ref().get("value")?.get_ref())
}

/// An object of a list as it stands in this text of a file, which has nothing else; its name is for messages.
///
/// # Errors
/// All mistakes in it.
pub(crate) fn read_object(list: &str, name: &str, text: String) -> Result<Object, Mistakes> {
    let mut reader = Reader::default();
    reader.read_text(Source { name: format!("the {list} {name}"), text });
    let object = reader.written.objects.pop();
    match (object, reader.mistakes.is_empty()) {
        (Some(object), true) => Ok(object),
        (_, false) => Err(Mistakes(reader.mistakes)),
        (None, true) => {
            let what = format!("the {list} {name} is no table");
            Err(Mistakes(vec![Mistake { place: None, what, help: None }]))
        }
    }
}

/// A value as it is written in a file, as JSON; what cannot be read so is text.
pub fn value_as_json(text: &str) -> serde_json::Value {
    let line = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = line.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| text.into())
}

#[derive(Default)]
struct Reader {
    written: Written,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn read_file(&mut self, path: &Path) {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.written.files.push(path.to_owned());
                self.read_text(Source { name: path.display().to_string(), text });
            }
            Err(error) => self.mistakes.push(Mistake {
                place: None,
                what: format!("{}: {error}", path.display()),
                help: None,
            }),
        }
    }

    /// A value that stands alone, as the line of a file that would say the same. What is not TOML is text.
    fn read_line(&mut self, name: String, key: &str, value: &str) {
        let plain = format!("{key} = {value}");
        let takes_text = KEYS.iter().any(|one| one.path == key && one.kind.is_text());
        let is_quoted = value.starts_with(['"', '\'', '[', '{']);
        let text = if is_quoted || (!takes_text && DeTable::parse(&plain).is_ok()) {
            plain
        } else {
            format!("{key} = {}", quoted(value))
        };
        self.read_text(Source { name, text });
    }

    fn read_text(&mut self, source: Source) {
        let (source, before) = (Arc::new(source), self.mistakes.len());
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.mistake(&source, span, error.message().to_owned(), None);
        }
        // What follows a broken line is often read as something else: nothing more is said of such a file.
        if errors.is_empty() {
            self.read_table("", table.get_ref(), &source);
        }
        // Tables are read by name; people read from the top.
        self.mistakes[before..].sort_by_key(|one| one.place.as_ref().map(|place| place.span.start));
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, source: &Arc<Source>) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                match self.read_value(key, value, source) {
                    Some(entry) => {
                        self.written.values.insert(key.path, entry);
                    }
                    None => self.written.unreadable.push(key.path),
                }
            } else if let Some(object) = OBJECTS.iter().find(|(list, _, _)| *list == path) {
                self.read_objects(object.0, object.1, value, source);
            } else if KEYS.iter().any(|key| key.path.starts_with(&format!("{path}."))) {
                match value.get_ref().as_table() {
                    Some(inner) => self.read_table(&path, inner, source),
                    None => self.mistake(
                        source,
                        value.span(),
                        format!("{path} is a table"),
                        Some(format!("write [{path}] on a line of its own, and its keys below")),
                    ),
                }
            } else {
                self.unknown(prefix, name, source);
            }
        }
    }

    fn read_value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>, source: &Arc<Source>) -> Option<Entry> {
        let place = Place { source: Arc::clone(source), span: value.span() };
        match value::read(key.kind, value.get_ref()) {
            Some(value) => {
                let text = source.text.get(place.span.clone()).unwrap_or_default().to_owned();
                Some(Entry { value, text, place })
            }
            None => {
                let meant = match (key.kind, value.get_ref().as_str()) {
                    (Kind::Choice(words), Some(word)) => did_you_mean(word, words.iter().copied()),
                    _ => None,
                };
                let what = format!("{} must be {}", key.path, key.kind.expected());
                self.mistake(source, value.span(), what, meant);
                None
            }
        }
    }

    fn read_objects(
        &mut self,
        list: &'static str,
        keys: &'static [Key],
        value: &Spanned<DeValue<'_>>,
        source: &Arc<Source>,
    ) {
        let Some(array) = value.get_ref().as_array() else {
            return self.mistake(
                source,
                value.span(),
                format!("{list} is a list"),
                Some(format!("write [[{list}]]")),
            );
        };
        for object in array.iter() {
            let Some(table) = object.get_ref().as_table() else {
                self.mistake(source, object.span(), format!("a {list} is a table"), None);
                continue;
            };
            let mut values = BTreeMap::new();
            let before = self.mistakes.len();
            for (name, value) in table {
                match keys.iter().find(|key| key.path == name.get_ref().as_ref()) {
                    Some(key) => {
                        values.extend(self.read_value(key, value, source).map(|entry| (key.path, entry)));
                    }
                    None => {
                        let meant = did_you_mean(name.get_ref(), keys.iter().map(|key| key.path));
                        let what = format!("unknown key \"{}\" in [[{list}]]", name.get_ref());
                        self.mistake(source, name.span(), what, meant);
                    }
                }
            }
            let place = Place { source: Arc::clone(source), span: object.span() };
            let complete = self.mistakes.len() == before;
            self.written.objects.push(Object { list, values, complete, place });
        }
    }

    fn unknown(&mut self, prefix: &str, name: &Spanned<std::borrow::Cow<'_, str>>, source: &Arc<Source>) {
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let siblings = KEYS
            .iter()
            .filter_map(|key| key.path.strip_prefix(start.as_str()))
            .map(|rest| rest.split('.').next().unwrap_or(rest))
            .chain(OBJECTS.iter().filter(|_| prefix.is_empty()).map(|(list, _, _)| *list));
        let elsewhere = || {
            let ending = format!(".{}", name.get_ref());
            let key = KEYS.iter().find(|key| key.path.ends_with(&ending))?;
            Some(format!("did you mean \"{}\"?", key.path))
        };
        let meant = did_you_mean(name.get_ref(), siblings).or_else(elsewhere);
        let inside = if prefix.is_empty() { String::new() } else { format!(" in [{prefix}]") };
        self.mistake(source, name.span(), format!("unknown key \"{}\"{inside}", name.get_ref()), meant);
    }

    fn mistake(&mut self, source: &Arc<Source>, span: Range<usize>, what: String, help: Option<String>) {
        let place = Some(Place { source: Arc::clone(source), span });
        self.mistakes.push(Mistake { place, what, help });
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

const STANDARD: [&str; 2] = ["offhook.toml", "/etc/offhook/offhook.toml"];

#[cfg(test)]
mod tests;
