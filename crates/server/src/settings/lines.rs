//! Trunks and routes that stand elsewhere than in files, read as if they stood there.

use offhook_exchange::route::Lines;
use offhook_store::{LineList, StoredLine};
use serde_json::{Map, Value as Json};

use super::{Meaning, Settings};
use crate::config_file::{Mistake, Mistakes, Value, Written, read_object, value_as_json};

impl Settings {
    /// The plan and the trunks of the files and of these together; those of files come first.
    ///
    /// # Errors
    /// All mistakes in these.
    pub fn lines_with(&self, stored: &[StoredLine]) -> Result<Lines, Mistakes> {
        let mut written: Written = (*self.written).clone();
        let mut mistakes = Vec::new();
        for line in stored {
            match text(line).map(|text| read_object(line.list.word(), &line.name, text)) {
                Ok(Ok(object)) => written.objects.push(object),
                Ok(Err(more)) => mistakes.extend(more.0),
                Err(what) => mistakes.push(Mistake { place: None, what, help: None }),
            }
        }
        let mut meaning = Meaning { written: &written, mistakes };
        let (plan, trunks) = meaning.plan();
        match meaning.mistakes.is_empty() {
            true => Ok(Lines { plan, trunks }),
            false => Err(Mistakes(meaning.mistakes)),
        }
    }

    /// Takes in the trunks and routes that the store has, as the API shows them: their passwords are not known.
    ///
    /// # Errors
    /// What cannot be used, in words.
    pub fn take_in(&mut self, trunks: &[Json], routes: &[Json]) -> Result<(), String> {
        let line = |list: LineList| {
            move |line: &Json| {
                let name = line["name"].as_str().unwrap_or_default().to_owned();
                let is_stored = line["source"] == "store";
                is_stored.then(|| StoredLine { list, name, settings: line["settings"].to_string() })
            }
        };
        let trunks = trunks.iter().filter_map(line(LineList::Trunk));
        let all: Vec<_> = trunks.chain(routes.iter().filter_map(line(LineList::Route))).collect();
        let lines = self.lines_with(&all).map_err(|mistakes| mistakes.to_string())?;
        (self.plan, self.trunks) = (lines.plan, lines.trunks);
        Ok(())
    }

    /// The trunks or routes of files: their names, and what is written of them, without passwords.
    pub(crate) fn declared(&self, list: LineList) -> impl Iterator<Item = (String, Map<String, Json>)> {
        let objects = self.written.objects.iter().filter(move |object| object.list == list.word());
        objects.filter_map(|object| {
            let Value::Text(name) = &object.values.get("name")?.value else { return None };
            let shown = |(key, entry): (&&'static str, &crate::config_file::Entry)| {
                let value = match entry.value {
                    Value::Secret(_) => Json::from(crate::lines::COVERED),
                    _ => value_as_json(&entry.text),
                };
                ((*key).to_owned(), value)
            };
            let settings = object.values.iter().filter(|(key, _)| **key != "name").map(shown).collect();
            Some((name.clone(), settings))
        })
    }
}

/// A line as it would be written in a file.
fn text(line: &StoredLine) -> Result<String, String> {
    let settings: Map<String, Json> = serde_json::from_str(&line.settings)
        .map_err(|_| format!("the {} {} in the store is damaged", line.list.word(), line.name))?;
    let mut table = toml::Table::new();
    table.insert("name".into(), line.name.clone().into());
    for (key, value) in settings {
        let value = toml::Value::try_from(&value).map_err(|_| {
            format!("{key} of the {} {} is no value of a configuration", line.list.word(), line.name)
        })?;
        table.insert(key, value);
    }
    let mut file = toml::Table::new();
    file.insert(line.list.word().into(), toml::Value::Array(vec![toml::Value::Table(table)]));
    Ok(file.to_string())
}
