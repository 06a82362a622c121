//! Whom the phone believes over TLS.

use std::path::PathBuf;

use offhook_net::{Roots, TlsClient, read_certificates};

use crate::Failure;
use crate::run_file::RunFile;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// An authority besides those of the system: a file in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// Anybody's.
    pub(crate) insecure: bool,
}

impl Trust {
    /// The client's side of TLS: the authorities of the system, the one that is named, and that of an exchange which runs
    /// on this machine.
    ///
    /// # Errors
    /// When the named file cannot be used.
    pub(crate) fn client(&self) -> Result<TlsClient, Failure> {
        let unusable = |error| Failure::other(format!("TLS cannot be used: {error}"));
        if self.insecure {
            return TlsClient::insecure(None).map_err(unusable);
        }
        let mut roots = Roots::of_system();
        if let Some(file) = &self.ca {
            let wrong = |error: String| Failure::usage(format!("--tls-ca {error}"));
            let found = read_certificates(file).map_err(|error| wrong(error.to_string()))?;
            roots = roots.and(found).map_err(|error| wrong(format!("{}: {error}", file.display())))?;
        }
        // A file that is left of a demo which is gone is nothing to complain of.
        if let Some(found) = RunFile::authority().and_then(|file| read_certificates(&file).ok())
            && let Ok(more) = roots.clone().and(found)
        {
            roots = more;
        }
        TlsClient::new(roots, None).map_err(unusable)
    }
}
