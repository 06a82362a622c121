//! Trunks and routes of the store beside those of the files: checked by the same rules, and taken over without a restart.

use std::sync::{Arc, Mutex, PoisonError};

use offhook_exchange::command::Command;
use offhook_exchange::route::Lines;
use offhook_store::{LineList, Store, StoredLine};
use offhook_web::{Line, Problem};
use serde_json::{Map, Value};

use crate::Settings;
use crate::certificates::Shown;
use crate::config_file::Mistakes;
use crate::shards::Shards;

/// The trunks and routes of files and of the store.
pub(crate) struct LineDesk {
    settings: Mutex<Arc<Settings>>,
    /// By which trunks may be known; none while no server runs.
    shown: Option<Shown>,
    /// One change at a time: each is checked with what the one before has left.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl LineDesk {
    pub(crate) fn new(settings: Arc<Settings>, shown: Option<Shown>) -> Self {
        Self { settings: Mutex::new(settings), shown, changing: tokio::sync::Mutex::new(()) }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Others are in force.
    pub(crate) fn renew(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// All of one list: first those of files, which are asked first too.
    pub(crate) async fn list(&self, store: &Store, list: LineList) -> Result<Vec<Line>, Problem> {
        let settings = self.settings();
        let in_files =
            settings.declared(list).map(|(name, settings)| Line { name, source: "file".into(), settings });
        let stored = lines(store).await?;
        let stored = stored.into_iter().filter(|line| line.list == list).map(|line| Line {
            settings: covered(read(&line)),
            name: line.name,
            source: "store".into(),
        });
        Ok(in_files.chain(stored).collect())
    }

    /// Makes one, or changes what `patch` names of one; `null` takes a key away.
    pub(crate) async fn put(
        &self,
        store: &Store,
        shards: Option<&Shards>,
        (list, name): (LineList, &str),
        (patch, is_new): (Map<String, Value>, bool),
    ) -> Result<Line, Problem> {
        let _changing = self.changing.lock().await;
        let mut all = lines(store).await?;
        let found = all.iter().position(|line| line.list == list && line.name == name);
        self.check_place((list, name), found, is_new)?;
        let mut settings = found.map(|at| read(&all[at])).unwrap_or_default();
        for (key, value) in patch {
            match value {
                Value::Null => _ = settings.remove(&key),
                value => _ = settings.insert(key, value),
            }
        }
        let line =
            StoredLine { list, name: name.to_owned(), settings: Value::Object(settings.clone()).to_string() };
        match found {
            Some(at) => all[at] = line,
            None if all.len() >= MOST => {
                return Err(Problem::conflict(format!(
                    "the store holds {MOST} trunks and routes, and no more"
                )));
            }
            None => all.push(line),
        }
        self.settle(store, shards, &all).await?;
        Ok(Line { name: name.to_owned(), source: "store".into(), settings: covered(settings) })
    }

    /// Removes one.
    pub(crate) async fn remove(
        &self,
        store: &Store,
        shards: Option<&Shards>,
        (list, name): (LineList, &str),
    ) -> Result<(), Problem> {
        let _changing = self.changing.lock().await;
        let mut all = lines(store).await?;
        let found = all.iter().position(|line| line.list == list && line.name == name);
        self.check_place((list, name), found, false)?;
        found.into_iter().for_each(|at| _ = all.remove(at));
        self.settle(store, shards, &all).await
    }

    fn check_place(
        &self,
        (list, name): (LineList, &str),
        found: Option<usize>,
        is_new: bool,
    ) -> Result<(), Problem> {
        let word = list.word();
        if self.settings().declared(list).any(|(declared, _)| declared == name) {
            return Err(Problem::locked(format!(
                "the {word} {name} is declared in the configuration file; change it there"
            )));
        }
        match (found, is_new) {
            (Some(_), true) => Err(Problem::conflict(format!("the {word} {name} exists already"))),
            (None, false) => Err(Problem::not_found(format!("there is no {word} {name}"))),
            _ => Ok(()),
        }
    }

    /// Checks them all together, keeps them, and lets the exchange know.
    async fn settle(
        &self,
        store: &Store,
        shards: Option<&Shards>,
        all: &[StoredLine],
    ) -> Result<(), Problem> {
        let lines = self.settings().lines_with(all).map_err(|mistakes| Problem::bad(in_words(&mistakes)))?;
        store.set_lines(all).await.map_err(|error| Problem::failed(error.to_string()))?;
        let Some(shards) = shards else { return Ok(()) };
        if let Some(shown) = &self.shown {
            shown.know(&lines.trunks).map_err(|error| Problem::failed(error.to_string()))?;
        }
        let told = shards.ask(Command::Lines(Arc::new(lines))).await;
        told.map(|_| ()).ok_or_else(|| {
            Problem::failed("it is stored, but the exchange will know it only after a restart")
        })
    }
}

/// The lines of the store as far as they can be used, and what is to be said of the others.
pub(crate) async fn usable(
    store: &Store,
    settings: &Settings,
) -> Result<(Lines, Vec<String>), offhook_store::StoreError> {
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    let mut lines = Lines { plan: settings.plan.clone(), trunks: settings.trunks.clone() };
    for line in store.lines().await? {
        kept.push(line);
        match settings.lines_with(&kept) {
            Ok(more) => lines = more,
            Err(mistakes) => {
                let line = kept.pop();
                warnings.extend(
                    line.map(|line| {
                        format!("the {line:?} of the store is left out: {}", in_words(&mistakes))
                    }),
                );
            }
        }
    }
    Ok((lines, warnings))
}

async fn lines(store: &Store) -> Result<Vec<StoredLine>, Problem> {
    store.lines().await.map_err(|error| Problem::failed(error.to_string()))
}

fn read(line: &StoredLine) -> Map<String, Value> {
    serde_json::from_str(&line.settings).unwrap_or_default()
}

/// Nobody is shown a password again.
fn covered(mut settings: Map<String, Value>) -> Map<String, Value> {
    if let Some(password) = settings.get_mut("password").filter(|password| password.is_string()) {
        *password = COVERED.into();
    }
    settings
}

/// Each mistake on a line of its own.
fn in_words(mistakes: &Mistakes) -> String {
    mistakes.0.iter().map(|one| one.what.clone()).collect::<Vec<_>>().join("; ")
}

/// What stands in place of a password.
pub(crate) const COVERED: &str = "…";
/// Trunks and routes in the store.
const MOST: usize = 1_000;
