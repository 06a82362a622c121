//! Mails that wait, each as a small file: which message it tells of, and since when. What a mail says is made when it is
//! sent, so a message that is deleted before is not sent.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A mail that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The file of the message as it was left, in the place of all mailboxes.
    pub(crate) message: String,
    /// Unix seconds at which that was.
    pub(crate) since: u64,
    /// How often the server has put it off.
    pub(crate) tries: u32,
    /// Unix seconds before which it is not tried again.
    pub(crate) next: u64,
}

/// The folder of mails that wait.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder in a data directory, which is made.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("mail");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    /// All that wait, by their names. A file that cannot be read as one is left where it is, and told of.
    pub(crate) fn all(&self) -> BTreeMap<String, Waiting> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let names = names.filter(|name| name.ends_with(KIND)).take(MOST);
        let read = |name: String| match self.read(&name) {
            Ok(waiting) => Some((name, waiting)),
            Err(error) => {
                tracing::warn!(file = name, %error, "this is no mail that waits");
                None
            }
        };
        names.filter_map(read).collect()
    }

    fn read(&self, name: &str) -> io::Result<Waiting> {
        serde_json::from_slice(&fs::read(self.0.join(name))?).map_err(io::Error::other)
    }

    /// Writes one, so that it outlives a crash; returns its name, which is the same for the same message.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, waiting: &Waiting) -> io::Result<String> {
        let name = format!("{}{KIND}", id(&waiting.message));
        let temporary = self.0.join(format!("{name}.part"));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(waiting).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.0.join(&name))?;
        File::open(&self.0)?.sync_all()?;
        Ok(name)
    }

    /// It waits no longer.
    pub(crate) fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.0.join(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(file = name, %error, "a mail that was sent cannot be removed, and may be sent again");
        }
    }
}

/// By which the mail of a message is known, here and to whoever gets it twice.
pub(crate) fn id(message: &str) -> String {
    Sha256::digest(message.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Mails that may wait.
pub(crate) const MOST: usize = 10_000;
const KIND: &str = ".json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_there_after_a_restart_once_and_what_is_no_mail_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let message = "a@b/new/0000000001-1-5.wav".to_owned();
        let mut waiting = Waiting { message, since: 1, tries: 0, next: 0 };
        folder.write(&waiting).unwrap();
        waiting.tries = 3;
        let name = folder.write(&waiting).unwrap();
        fs::write(place.path().join("mail/odd.json"), b"{").unwrap();
        fs::write(place.path().join("mail/x.json.part"), b"{}").unwrap();
        let again = Folder::open(place.path()).unwrap();
        assert_eq!(again.all(), BTreeMap::from([(name.clone(), waiting)]));
        again.remove(&name);
        again.remove(&name);
        assert_eq!(again.all(), BTreeMap::new());
    }
}
