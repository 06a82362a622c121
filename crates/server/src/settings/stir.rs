//! `[stir]`, and the keys of a trunk about signatures: who really calls (RFC 8224).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use offhook_exchange::stir::{Authorities, Policy, Settings, Signer};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::Meaning;
use super::plan::{Wrong, text};
use crate::config_file::{Object, Value};

impl Meaning<'_> {
    pub(super) fn stir(&mut self) -> Settings {
        let policy = self.text("stir.verify").map(|word| self::policy(&word)).unwrap_or_default();
        let of_trunks = self.written.objects.iter().any(|object| {
            let verify = text(object, "verify").map(|word| self::policy(&word)).unwrap_or_default();
            object.list == "trunk" && verify != Policy::Off
        });
        let wanted = policy != Policy::Off || of_trunks;
        let authorities = match self.text("stir.roots") {
            Some(name) => self.authorities(&name),
            None => {
                if wanted {
                    let what = "signatures are to be checked, but nobody is named who may have signed".into();
                    let help = Some("set stir.roots to the authorities' certificates in PEM".to_owned());
                    let path = if policy == Policy::Off { "stir.roots" } else { "stir.verify" };
                    self.mistake(path, what, help);
                }
                Authorities::default()
            }
        };
        Settings { policy, authorities: Arc::new(authorities), verstat: self.is_on("stir.verstat") }
    }

    pub(super) fn stir_hosts(&self) -> Vec<IpNet> {
        match self.written.value("stir.allow_hosts") {
            Some(Value::Networks(networks)) => networks,
            _ => Vec::new(),
        }
    }

    fn authorities(&mut self, name: &str) -> Authorities {
        let source = self.written.get("stir.roots").map(|entry| entry.place.source.name.clone());
        let file = beside(source.as_deref().unwrap_or_default(), name);
        let read = std::fs::read(&file).map_err(|error| error.to_string());
        read.and_then(|pem| Authorities::read(&pem)).unwrap_or_else(|error| {
            self.mistake("stir.roots", format!("{}: {error}", file.display()), None);
            Authorities::default()
        })
    }
}

/// What is meant by a word of the configuration.
pub(super) fn policy(word: &str) -> Policy {
    match word {
        "note" => Policy::Note,
        "require" => Policy::Require,
        _ => Policy::Off,
    }
}

/// With what the calls of a trunk are signed.
pub(super) fn signer(object: &Object) -> Result<Option<Signer>, Wrong> {
    let (name, certificate) = match (text(object, "sign_key"), text(object, "sign_certificate")) {
        (Some(key), Some(certificate)) => (key, certificate),
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err((
                "sign_key",
                "others must be able to fetch its certificate: set sign_certificate".into(),
            ));
        }
        (None, Some(_)) => return Err(("sign_certificate", "it needs its key: set sign_key".into())),
    };
    let file = beside(&object.place.source.name, &name);
    let read = PrivateKeyDer::from_pem_file(&file).map_err(|error| error.to_string());
    let key = read.map_err(|error| ("sign_key", format!("{}: {error}", file.display())))?;
    Signer::new(key.secret_der(), &certificate).map(Some).map_err(|what| {
        let is_address = what.starts_with('"');
        (if is_address { "sign_certificate" } else { "sign_key" }, what)
    })
}

fn beside(source: &str, name: &str) -> PathBuf {
    Path::new(source).parent().unwrap_or(Path::new("")).join(name)
}
