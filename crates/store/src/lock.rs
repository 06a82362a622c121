//! One process at a time uses a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::StoreError;
use crate::options::Use;

/// The lock, held as long as this value lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock. A command that holds it is waited for, as it will end by itself; a server is not.
    pub(crate) async fn take(directory: &Path, purpose: Use) -> Result<Self, StoreError> {
        for _ in 0..COMMAND_TRIES {
            match Self::try_take(directory, purpose)? {
                Ok(lock) => return Ok(lock),
                Err(Holder { purpose: Some(Use::Command), .. }) => tokio::time::sleep(COMMAND_PAUSE).await,
                Err(Holder { pid, .. }) => return Err(StoreError::InUse { path: directory.to_owned(), pid }),
            }
        }
        Err(StoreError::InUse { path: directory.to_owned(), pid: None })
    }

    fn try_take(directory: &Path, purpose: Use) -> Result<Result<Self, Holder>, StoreError> {
        let path = directory.join(FILE_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = crate::options::private(&mut options).open(&path).map_err(StoreError::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(Holder::read(file))),
            Err(TryLockError::Error(source)) => return Err(StoreError::File { path, source }),
        }
        let word = match purpose {
            Use::Server => "server",
            Use::Command => "command",
        };
        // The text only serves the message of whoever comes too late: a full disk must not keep us from starting.
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{} {word}\n", std::process::id()).as_bytes()));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the lock file cannot be written");
        }
        Ok(Ok(Self { _file: file }))
    }
}

/// Who holds the lock, as far as the file says.
struct Holder {
    pid: Option<u32>,
    purpose: Option<Use>,
}

impl Holder {
    fn read(file: File) -> Self {
        let mut text = String::new();
        // Being unreadable, or half written at this moment, leaves both unknown.
        let _ = file.take(64).read_to_string(&mut text);
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        let purpose = match words.next() {
            Some("server") => Some(Use::Server),
            Some("command") => Some(Use::Command),
            _ => None,
        };
        Self { pid, purpose }
    }
}

const FILE_NAME: &str = "offhook.lock";
const COMMAND_TRIES: u32 = 50;
const COMMAND_PAUSE: Duration = Duration::from_millis(100);
