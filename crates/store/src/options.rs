//! How a store is opened.

use std::fs::{self, DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::StoreError;

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A running exchange: alone until it ends.
    Server,
    /// A command that ends soon: others wait for it.
    Command,
}

/// Where the store is and how it behaves. The defaults suit a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of everything that is kept; created for its owner alone if it does not exist.
    pub data_dir: PathBuf,
    /// `sqlite:FILE`, relative to the data directory.
    pub url: String,
    /// Who opens it.
    pub purpose: Use,
    /// How long a statement waits for another process that has locked the database.
    pub busy_timeout: Duration,
    /// At most this much of what was registered is lost in a power cut.
    pub sync_window: Duration,
    /// A file of the journal longer than this many octets is replaced by a new one. Files are merged when that saves
    /// more than this, and at least half of them.
    pub journal_length: u64,
}

impl Options {
    /// The defaults.
    pub fn new(data_dir: impl Into<PathBuf>, purpose: Use) -> Self {
        Self {
            data_dir: data_dir.into(),
            url: DEFAULT_URL.into(),
            purpose,
            busy_timeout: Duration::from_secs(5),
            sync_window: Duration::from_secs(1),
            journal_length: 16 << 20,
        }
    }

    /// The file of the database.
    pub(crate) fn database(&self) -> Result<PathBuf, StoreError> {
        let path = match self.url.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(_) => return Err(StoreError::UnsupportedUrl(self.url.clone())),
            None => &self.url,
        };
        if path.is_empty() || path.contains(['?', '\0']) || path == ":memory:" {
            return Err(StoreError::UnsupportedUrl(self.url.clone()));
        }
        Ok(self.data_dir.join(path))
    }
}

/// Creates the data directory with mode 0700, unless it exists: a directory of someone else is left as it is, as
/// every file in it has mode 0600.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::file(path))
}

/// Creates a file with mode 0600 if there is none, and takes rights of others away if there is one.
pub(crate) fn create_private_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = private(&mut options).open(path).map_err(StoreError::file(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let now = file.metadata().map_err(StoreError::file(path))?.permissions().mode();
        if now & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(StoreError::file(path))?;
        }
    }
    Ok(())
}

/// Files are made for their owner alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The store when nothing else is said.
const DEFAULT_URL: &str = "sqlite:offhook.db";
