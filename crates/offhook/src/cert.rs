//! `offhook cert`: the certificates that are shown over TLS.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::Api;
use crate::exit::{Failure, NOT_FOUND, OTHER};
use crate::print;

/// What to do with certificates.
#[derive(Subcommand, Debug)]
pub(crate) enum Cert {
    /// Says which certificates are shown: names, times, fingerprints, files
    #[command(after_help = "Example: offhook cert status --json")]
    Status {
        #[command(flatten)]
        common: Flags,
    },
    /// Has this machine trust the exchange's own authority (as root), or says how others come to trust it
    #[command(after_help = "Example: sudo offhook cert trust")]
    Trust {
        #[command(flatten)]
        common: Flags,
    },
    /// Makes a new certificate by the exchange's own authority; a running server shows it from now on
    #[command(after_help = "Example: offhook cert renew")]
    Renew {
        #[command(flatten)]
        common: Flags,
    },
}

impl Cert {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Status { common } => {
                let answer = Api::open(&common.place)?.ask("GET", "/api/v1/certificates", None)?;
                show(&answer, common.json);
                Ok(())
            }
            Self::Renew { common } => {
                let answer = Api::open(&common.place)?.ask("POST", "/api/v1/certificates/renew", None)?;
                show(&answer, common.json);
                Ok(())
            }
            Self::Trust { common } => trust(&common),
        }
    }
}

fn show(answer: &Value, as_json: bool) {
    if as_json {
        return print::line(&answer.to_string());
    }
    let all = answer["certificates"].as_array().cloned().unwrap_or_default();
    if all.is_empty() {
        print::line("There are none yet: the first start makes them.");
    }
    for one in all {
        let word = |key: &str| print::word(&one[key]);
        let names = one["names"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = names.iter().map(print::word).collect();
        print::line(&format!("{}  {}", word("purpose"), word("subject")));
        print::line(&format!("  Issuer   {}", word("issuer")));
        if !names.is_empty() {
            print::line(&format!("  Names    {}", names.join(", ")));
        }
        let made = if one["own"] == true { "; made and renewed here" } else { "" };
        print::line(&format!(
            "  Valid    {} to {} ({} days left{made})",
            word("not_before"),
            word("not_after"),
            word("days_left")
        ));
        print::line(&format!("  SHA-256  {}", word("sha256")));
        print::line(&format!("  File     {}", word("file")));
    }
}

fn trust(common: &Flags) -> Result<(), Failure> {
    let answer = Api::open(&common.place)?.ask("GET", "/api/v1/certificates", None)?;
    let all = answer["certificates"].as_array().cloned().unwrap_or_default();
    let Some(authority) = all.iter().find(|one| one["purpose"] == "authority") else {
        let text =
            "there is no authority of our own: the certificates are files, or no server was started yet";
        return Err(Failure::new(NOT_FOUND, text));
    };
    let file = PathBuf::from(print::word(&authority["file"]));
    let sha256 = print::word(&authority["sha256"]);
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let installed = if is_root && Path::new(STORE).is_dir() { Some(install(&file)?) } else { None };
    if common.json {
        let installed = installed.map(|place| place.display().to_string());
        print::line(&json!({ "file": file, "sha256": sha256, "installed": installed }).to_string());
        return Ok(());
    }
    print::line(&format!("Authority  {}", print::word(&authority["subject"])));
    print::line(&format!("File       {}", file.display()));
    print::line(&format!("SHA-256    {sha256}"));
    match installed {
        Some(place) => {
            print::line(&format!("Installed  {}; programs of this machine trust it now.", place.display()));
        }
        None => {
            print::line("Not installed. As root, on Debian and its relatives:");
            print::line(&format!("  cp {} {STORE}/{NAME} && update-ca-certificates", file.display()));
        }
    }
    print::line(
        "Browsers and phones have lists of their own: copy the file there, import it as an authority,",
    );
    print::line(
        "and compare the fingerprint. Firefox: Settings, Certificates, Authorities. Chrome on Linux:",
    );
    print::line(&format!("  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n offhook -i {}", file.display()));
    Ok(())
}

/// Copies the authority to where the system looks for such, and has the system take it up.
fn install(file: &Path) -> Result<PathBuf, Failure> {
    let place = Path::new(STORE).join(NAME);
    let cannot = |error: std::io::Error| Failure::other(format!("{}: {error}", place.display()));
    fs::copy(file, &place).map_err(cannot)?;
    let done = Command::new("update-ca-certificates").output();
    match done {
        Ok(output) if output.status.success() => Ok(place),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::new(OTHER, format!("update-ca-certificates: {said}")))
        }
        Err(error) => Err(Failure::new(OTHER, format!("update-ca-certificates: {error}"))),
    }
}

const STORE: &str = "/usr/local/share/ca-certificates";
const NAME: &str = "offhook.crt";
