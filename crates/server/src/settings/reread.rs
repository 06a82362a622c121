//! The configuration read again while the exchange runs: what can be taken over at once, and what has to wait for a restart.

use super::{Meaning, Settings};
use crate::config_file::Mistakes;

/// What became of the configuration since it was read.
pub(crate) struct Reread {
    /// The new settings, but for what cannot be taken over.
    pub(crate) settings: Settings,
    /// Keys and lists that are taken over.
    pub(crate) taken: Vec<&'static str>,
    /// Those that need a restart.
    pub(crate) left: Vec<&'static str>,
}

impl Settings {
    /// Reads the same sources again.
    ///
    /// # Errors
    /// All mistakes that there are; then nothing is to be taken over.
    pub(crate) fn reread(&self) -> Result<Reread, Mistakes> {
        let (mut wanted, mistakes) = self.sources.read_what_can_be();
        let mut meaning = Meaning { written: &wanted, mistakes: Vec::new() };
        meaning.settings();
        let mistakes = mistakes.and(meaning.mistakes);
        if !mistakes.0.is_empty() {
            return Err(mistakes);
        }
        let (taken, left) = wanted.changed_since(&self.written).into_iter().partition(|one| can_change(one));
        wanted.keep_from(&self.written, |one| !can_change(one));
        // What stays has to make sense with what is new.
        let mut meaning = Meaning { written: &wanted, mistakes: Vec::new() };
        let mut settings = meaning.settings();
        if !meaning.mistakes.is_empty() {
            return Err(Mistakes(meaning.mistakes));
        }
        settings.sources = self.sources.clone();
        settings.data_dir.clone_from(&self.data_dir);
        Ok(Reread { settings, taken, left })
    }
}

/// Whether a key, or a list of objects, can change while the exchange runs. What is not named here needs a restart, so that
/// nobody is told of a change that has not happened.
fn can_change(name: &str) -> bool {
    CHANGEABLE.iter().any(|one| match one.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *one,
    }) && !FIXED.contains(&name)
}

/// What shards take over (`exchange/src/core/configure.rs`), and services (`Service::configure`).
const CHANGEABLE: &[&str] = &[
    "language",
    "sip.other_domains",
    "sip.timer_c",
    "sip.registration.*",
    "numbers.country",
    "numbers.area_code",
    "numbers.emergency",
    "rates.file",
    "media.anchor",
    "media.codecs",
    "media.srtp",
    "media.hold_timeout",
    "presence.*",
    "services.echo.*",
    "services.clock.*",
    "services.codes.*",
    "services.queue.*",
    "services.wake_up.*",
    "services.call_back.*",
    "services.fetch.*",
    "services.add.*",
    "services.consult.*",
    "services.conference.*",
    "services.park.*",
    "services.pickup.*",
    "services.transfer.*",
    "services.intercom.*",
    "services.supervise.*",
    "services.recording.*",
    "services.voicemail.*",
    "security.strangers",
    "security.allow_from",
    "security.strangers_per_minute",
    "security.max_calls_per_account",
    "security.limits.*",
    "security.allow_international",
    "account",
    "trunk",
    "route",
    "page",
    "schedule",
    "group",
    "queue",
    "menu",
];
/// Of those, what the thread of files begins with.
const FIXED: &[&str] = &["services.recording.keep_days", "services.voicemail.keep_days"];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config_file::{KEYS, OBJECTS, Sources};

    fn read(file: &Path, text: &str) -> Settings {
        std::fs::write(file, text).unwrap();
        Settings::read(&Sources { file: Some(file.to_owned()), ..Sources::default() }).unwrap()
    }

    #[test]
    fn what_is_changeable_is_a_key_or_a_list() {
        let known = || KEYS.iter().map(|key| key.path).chain(OBJECTS.iter().map(|(list, ..)| *list));
        for one in CHANGEABLE.iter().chain(FIXED) {
            let fits =
                |name: &str| one.strip_suffix('*').map_or(name == *one, |begin| name.starts_with(begin));
            assert!(known().any(fits), "{one}");
        }
    }

    #[test]
    fn some_of_a_changed_file_is_taken_over_and_the_rest_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offhook.toml");
        let before = read(&file, "[sip]\nudp = \"127.0.0.1:5070\"\n[media]\nanchor = \"never\"\n");
        std::fs::write(
            &file,
            "[sip]\nudp = \"127.0.0.1:5071\"\n[media]\nanchor = \"always\"\n[[group]]\nnumber = \"600\"\nmembers = [\"1001\"]\n",
        )
        .unwrap();
        let found = before.reread().unwrap();
        assert_eq!((found.taken, found.left), (vec!["media.anchor", "group"], vec!["sip.udp"]));
        assert_eq!(found.settings.listeners, before.listeners);
        assert_ne!(found.settings.anchor, before.anchor);
        assert_eq!(found.settings.services.groups.len(), 1);
        // The same file once more: what was taken is no change any more, what was left is.
        let again = found.settings.reread().unwrap();
        assert_eq!((again.taken, again.left), (vec![], vec!["sip.udp"]));
    }

    #[test]
    fn mistakes_are_told_be_they_in_the_file_or_in_what_would_come_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offhook.toml");
        let before = read(&file, "");
        std::fs::write(&file, "[media]\nanchr = \"always\"\n").unwrap();
        let mistakes = before.reread().map(|_| ()).unwrap_err().to_string();
        assert!(mistakes.contains("did you mean \"anchor\"?"), "{mistakes}");
    }
}
