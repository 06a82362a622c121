//! Which server a command is about: `-c`, `--data` and `--set`.

use std::path::{Path, PathBuf};

use clap::Args;
use offhook_server::config_file::{Sources, Written};
use offhook_server::{RunFile, Settings};

use crate::exit::{CONFIGURATION, Failure, USAGE};

/// Flags of all server commands.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// Configuration file; without it ./offhook.toml or /etc/offhook/offhook.toml, if there is one
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory where everything is kept
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Sets a key of the configuration, such as sip.udp=127.0.0.1:5070
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Place {
    /// The same, kept in this directory if no other is named.
    pub(crate) fn or_data(mut self, data: &str) -> Self {
        self.data.get_or_insert_with(|| data.into());
        self
    }

    /// The configuration as meant.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_and_written().map(|(settings, _)| settings)
    }

    /// The configuration as meant and as written.
    pub(crate) fn settings_and_written(&self) -> Result<(Settings, Written), Failure> {
        let (mut settings, written) = Settings::read_with_written(&self.sources()?)
            .map_err(|mistakes| Failure::new(CONFIGURATION, format!("\n{mistakes}")))?;
        // A demo that was started here is meant before a server of the system.
        if written.get("data_dir").is_none() && RunFile::path(Path::new(DEMO_DATA)).exists() {
            settings.data_dir = DEMO_DATA.into();
        }
        Ok((settings, written))
    }

    fn sources(&self) -> Result<Sources, Failure> {
        let mut flags = Vec::new();
        for set in &self.set {
            let Some((key, value)) = set.split_once('=') else {
                return Err(Failure::new(USAGE, format!("--set {set}: write KEY=VALUE")));
            };
            flags.push(("--set".to_owned(), key.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(data) = &self.data {
            flags.push(("--data".to_owned(), "data_dir".to_owned(), data.display().to_string()));
        }
        Ok(Sources::of_process(self.config.clone(), flags))
    }
}

/// Where a demo keeps everything.
pub(crate) const DEMO_DATA: &str = "./offhook-data";
