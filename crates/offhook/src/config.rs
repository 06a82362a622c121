//! `offhook config`: what is configured, and whether it makes sense.

use clap::Subcommand;
use offhook_server::CertificateError;
use offhook_server::config_file::{KEYS, schema};
use serde_json::json;

use crate::account::Flags;
use crate::api::Api;
use crate::exit::{CONFIGURATION, Failure, USAGE};
use crate::print;

/// What to do with the configuration.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Looks for mistakes; all of them are shown at once
    #[command(after_help = "Example: offhook config check -c /etc/offhook/offhook.toml")]
    Check {
        #[command(flatten)]
        common: Flags,
    },
    /// Shows what is in force
    #[command(after_help = "Example: offhook config show --origin")]
    Show {
        /// Says where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        common: Flags,
    },
    /// Prints the JSON Schema of the file
    #[command(after_help = "Example: offhook config schema > offhook.schema.json")]
    Schema,
    /// Has the running server take over what has changed, and names what needs a restart
    #[command(after_help = "Example: offhook config reload")]
    Reload {
        #[command(flatten)]
        common: Flags,
    },
}

impl Config {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check { common } => check(&common),
            Self::Show { origin, common } => show(origin, &common),
            Self::Schema => {
                print::line(&format!("{:#}", schema()));
                Ok(())
            }
            Self::Reload { common } => reload(&common),
        }
    }
}

/// What is wrong with the configuration is said before the server is asked: it would change nothing either.
fn reload(common: &Flags) -> Result<(), Failure> {
    common.place.settings()?.check_certificates().map_err(wrong_file)?;
    let answer = Api::of_running(&common.place)?.ask("POST", "/api/v1/config/reload", None);
    // Of what the server reads, it was told all the same: its environment may be another.
    let answer = answer.map_err(|failure| match failure.code {
        USAGE => Failure::new(CONFIGURATION, format!("nothing was changed:\n{}", failure.text)),
        _ => failure,
    })?;
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    let words = |key: &str| -> Vec<String> {
        let list = answer[key].as_array().into_iter().flatten();
        list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    print::line(&format!("Read again: {}.", words("reloaded").join(", ")));
    for key in words("needs_restart") {
        print::line(&format!("{key} has changed and needs a restart."));
    }
    for account in answer["accounts"].as_array().into_iter().flatten() {
        let text = |key: &str| account[key].as_str().unwrap_or_default();
        print::line(&format!(
            "New account {}   password {}   (shown once)",
            text("address"),
            text("password")
        ));
    }
    for warning in words("warnings") {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

fn wrong_file(error: CertificateError) -> Failure {
    Failure::new(CONFIGURATION, error.to_string())
}

fn check(common: &Flags) -> Result<(), Failure> {
    let settings = common.place.settings_and_written().and_then(|(settings, written)| {
        settings.check_certificates().map_err(wrong_file)?;
        Ok((settings, written))
    });
    if common.json {
        let (mistakes, warnings) = match &settings {
            Ok((settings, _)) => (None, settings.warnings.clone()),
            Err(failure) => (Some(failure.text.trim().to_owned()), Vec::new()),
        };
        let answer = json!({ "ok": mistakes.is_none(), "mistakes": mistakes, "warnings": warnings });
        print::line(&answer.to_string());
    }
    let (settings, written) = settings?;
    if !common.json {
        for warning in &settings.warnings {
            eprintln!("warning: {warning}");
        }
        let files: Vec<_> = written.files.iter().map(|file| file.display().to_string()).collect();
        let read = if files.is_empty() { "no file, built-in values".into() } else { files.join(", ") };
        print::line(&format!("ok: {read}"));
    }
    Ok(())
}

fn show(origin: bool, common: &Flags) -> Result<(), Failure> {
    let (settings, written) = common.place.settings_and_written()?;
    let mut all = serde_json::Map::new();
    for key in KEYS {
        let (text, source) = match written.get(key.path) {
            Some(entry) => (entry.text.clone(), origin_of(entry)),
            None if key.path == "domains" => (json!(settings.domains).to_string(), MACHINE.into()),
            None if key.path == "data_dir" => (json!(settings.data_dir).to_string(), MACHINE.into()),
            None if key.default.is_empty() => continue,
            None => (key.default.to_owned(), "built-in".into()),
        };
        if common.json {
            all.insert(key.path.into(), json!({ "value": text, "origin": source }));
        } else if origin {
            print::line(&format!("{} = {text}   # {source}", key.path));
        } else {
            print::line(&format!("{} = {text}", key.path));
        }
    }
    if common.json {
        print::line(&serde_json::Value::Object(all).to_string());
    }
    Ok(())
}

fn origin_of(entry: &offhook_server::config_file::Entry) -> String {
    let (line, _) = entry.place.line_and_column();
    let name = &entry.place.source.name;
    if name.starts_with("--") || name.starts_with("OFFHOOK_") {
        name.clone()
    } else {
        format!("{name}:{line}")
    }
}

const MACHINE: &str = "this machine";
