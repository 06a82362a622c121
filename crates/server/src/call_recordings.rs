//! Recordings of calls: `recordings/YEAR/MONTH/MOMENT_CALLER_CALLEE_NUMBER.wav` of the data directory.
//!
//! While a call is recorded, its file stands apart under a name that says where it belongs: after a crash it is put
//! there, up to the last second.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use offhook_media::recorder;
use offhook_web::calendar::rfc3339;
use offhook_web::{CallRecording, CallRecordings as Api, Problem};

use crate::recordings::names;
use crate::settings::Settings;

/// The place of all of them.
#[derive(Clone, Debug)]
pub(crate) struct CallRecordings {
    place: PathBuf,
    /// How many days one is kept; 0: for ever.
    keep_days: u64,
}

impl Settings {
    /// The recordings of calls in the data directory.
    pub(crate) fn call_recordings(&self) -> CallRecordings {
        CallRecordings::new(self.data_dir.join("recordings"), self.recordings_keep_days)
    }
}

impl CallRecordings {
    pub(crate) fn new(place: PathBuf, keep_days: u64) -> Self {
        Self { place, keep_days }
    }

    /// Whether a file is of a call, and not of a mailbox: those have an `@` in their first name.
    pub(crate) fn is_of_call(&self, file: &str) -> bool {
        file.starts_with(PREFIX)
    }

    /// Where a file of a call is, whose name holds no `..`; `None` if it is of none.
    pub(crate) fn path(&self, file: &str) -> Option<PathBuf> {
        file.strip_prefix(PREFIX).map(|rest| self.place.join(rest))
    }

    /// The file of a recording that begins, and its way there.
    pub(crate) fn begin(&self, file: &str) -> (PathBuf, io::Result<File>) {
        let folder = self.place.join(UNDER_WAY);
        let name = file.strip_prefix(PREFIX).unwrap_or(file).replace('/', SLASH);
        let path = folder.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        let made = made.and_then(|()| File::create(&path));
        (path, made)
    }

    /// Puts in their place those that a crash has left, which are readable up to their last second.
    pub(crate) fn recover(&self) {
        let folder = self.place.join(UNDER_WAY);
        for name in names(&folder) {
            let (from, to) = (folder.join(&name), self.place.join(name.replace(SLASH, "/")));
            let is_sound =
                File::open(&from).ok().and_then(recorder::seconds).is_some_and(|length| length > 0.0);
            let done = match to.parent() {
                Some(parent) if is_sound => {
                    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                    made.and_then(|()| fs::rename(&from, &to))
                }
                _ => fs::remove_file(&from),
            };
            if let Err(error) = done {
                tracing::error!(file = %name, %error, "a recording that was cut off cannot be put in its place");
            }
        }
    }

    /// Removes what is older than it may be.
    pub(crate) fn sweep(&self, now: u64) {
        let oldest = now.saturating_sub(self.keep_days * 86_400);
        if self.keep_days == 0 {
            return;
        }
        for id in self.ids() {
            let Some(path) = self.of(&id) else { continue };
            let changed = fs::metadata(&path).and_then(|about| about.modified()).ok();
            let age = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            if age.is_some_and(|at| at.as_secs() < oldest) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The names of all, the newest first.
    fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for year in names(&self.place).into_iter().filter(|name| is_number(name)) {
            for month in names(&self.place.join(&year)).into_iter().filter(|name| is_number(name)) {
                let files = names(&self.place.join(&year).join(&month)).into_iter();
                ids.extend(files.filter_map(|file| file.strip_suffix(".wav").map(str::to_owned)));
            }
        }
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids
    }

    /// The file with this name: its month stands in it. What is asked for leads nowhere else.
    fn of(&self, id: &str) -> Option<PathBuf> {
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
        let (year, month) = (id.get(..4)?, id.get(4..6)?);
        (plain && is_number(year) && is_number(month))
            .then(|| self.place.join(year).join(month).join(format!("{id}.wav")))
    }

    fn find(&self, id: &str) -> Result<PathBuf, Problem> {
        let path = self.of(id).filter(|path| path.is_file());
        path.ok_or_else(|| Problem::not_found(format!("there is no recording {id}")))
    }

    fn shown(&self, id: &str) -> Option<CallRecording> {
        let path = self.of(id)?;
        let mut parts = id.split('_');
        let (moment, from, to) = (parts.next()?, parts.next()?, parts.next()?);
        let at: jiff::Timestamp = moment.parse().ok()?;
        let seconds = File::open(&path).ok().and_then(|file| recorder::seconds(io::BufReader::new(file)));
        let at = u64::try_from(at.as_second()).ok()?;
        Some(CallRecording {
            id: id.to_owned(),
            at: rfc3339(Duration::from_secs(at)),
            from: from.to_owned(),
            to: to.to_owned(),
            seconds: seconds.unwrap_or_default(),
            bytes: fs::metadata(&path).map(|about| about.len()).unwrap_or_default(),
        })
    }
}

impl Api for CallRecordings {
    fn list(&self, most: usize) -> Vec<CallRecording> {
        self.ids().iter().take(most).filter_map(|id| self.shown(id)).collect()
    }

    fn sound(&self, id: &str) -> Result<PathBuf, Problem> {
        self.find(id)
    }

    fn remove(&self, id: &str) -> Result<(), Problem> {
        fs::remove_file(self.find(id)?).map_err(|error| Problem::failed(error.to_string()))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What names of recordings of calls begin with.
const PREFIX: &str = "recordings/";
/// Below the place: recordings under way.
const UNDER_WAY: &str = ".under-way";
/// In their names, in place of a slash.
const SLASH: &str = "%";

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "20261128T213000Z_1001_1002_1f-1";

    #[test]
    fn a_recording_that_was_cut_off_is_found_again_listed_and_deleted() {
        let place = std::env::temp_dir().join(format!("offhook-call-recordings-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let calls = CallRecordings::new(place.clone(), 1);
        let (_, file) = calls.begin(&format!("recordings/2026/11/{NAME}.wav"));
        let mut recorder = recorder::Recorder::with_channels(file.unwrap(), 8000, 2).unwrap();
        recorder.write(&vec![7; 3 * 16_000]).unwrap();
        std::mem::forget(recorder);
        assert!(calls.list(10).is_empty(), "it is under way");
        calls.recover();
        let all = calls.list(10);
        assert_eq!(all.len(), 1);
        let one = &all[0];
        assert_eq!((one.id.as_str(), one.from.as_str(), one.to.as_str()), (NAME, "1001", "1002"));
        assert_eq!((one.at.as_str(), one.seconds), ("2026-11-28T21:30:00Z", 3.0));
        for other in ["../../x", "2026", "20261128T213000Z_1001_1002_1f-2", "", "20261128/../x"] {
            assert!(calls.remove(other).is_err(), "{other}");
        }
        calls.sweep(0);
        assert_eq!(calls.list(10).len(), 1);
        calls.sweep(u64::from(u32::MAX));
        assert!(calls.list(10).is_empty(), "it is old");
        let _ = fs::remove_dir_all(&place);
    }
}
