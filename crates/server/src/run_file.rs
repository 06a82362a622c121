//! `offhook.run` in the data directory: how commands on this machine reach the running server.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a running server tells commands. Only its owner may read the file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Where the API is, such as `http://127.0.0.1:8080`; none if it is off.
    pub url: Option<String>,
    /// What opens the API.
    pub token: String,
    /// The number of the process.
    pub pid: u32,
    /// Where phones of this machine reach the exchange over UDP, or over TCP where there is no UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// Where they reach it over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// Where they reach it over WebSocket under TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wss: Option<String>,
    /// The authority of the certificates shown there, if it is our own: a file in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// In a demo, an account that phones of this machine may use …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// … and its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl RunFile {
    /// Where the file is.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("offhook.run")
    }

    /// Reads what a server has left, if it has; it may be dead.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Writes the file, all of it or nothing.
    ///
    /// # Errors
    /// As `open(2)`, `write(2)` and `rename(2)`.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let beside = data_dir.join("offhook.run.new");
        // One that was left may have other rights.
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        writeln!(file, "{text}")?;
        fs::rename(&beside, Self::path(data_dir))
    }

    /// Removes the file, unless another server has written its own meanwhile.
    pub fn remove(&self, data_dir: &Path) {
        if Self::read(data_dir).is_some_and(|there| there.token == self.token) {
            // Without it commands find out by themselves that nobody answers.
            let _ = fs::remove_file(Self::path(data_dir));
        }
    }
}
