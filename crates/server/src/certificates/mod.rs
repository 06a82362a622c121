//! The certificates that the server shows: files that the operator names, or our own authority's.

mod describe;
mod own;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offhook_exchange::route::{Trunk, TrunkAuth};
use offhook_net::{ClientAuth, Identity, PemError, Roots, TlsClient, TlsServer, read_certificates};
use offhook_web::{Certificate, Problem};

use crate::settings::{CertificateFiles, Settings, WebTls};
use crate::{clock, machine};
use own::Own;

/// Why there are no certificates to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be used.
    #[error("{0}")]
    File(#[from] PemError),
    /// What we would make ourselves cannot be made.
    #[error("{what}: {source}")]
    Making {
        /// The file.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing is made here.
    #[error("the certificates are files that somebody else renews (sip.certificate, web.certificate)")]
    NotOurs,
}

/// Where certificates come from, and who shows them.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    data_dir: PathBuf,
    /// What our own would be for.
    names: Vec<String>,
    /// None where it is our own.
    sip: Option<CertificateFiles>,
    web: Option<CertificateFiles>,
    client_ca: Option<PathBuf>,
    peer_ca: Option<PathBuf>,
    /// Whether those who come may show who they are, since a trunk is known by that.
    asks: Arc<AtomicBool>,
    serves_sip: bool,
    serves_web: bool,
}

/// What shows them on connections. All change when the certificates are read again.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) certificates: Certificates,
    pub(crate) sip: TlsServer,
    pub(crate) web: TlsServer,
    /// SIP's certificate, shown to anybody (RFC 7443).
    pub(crate) turn: TlsServer,
    /// What we believe and show where we call.
    pub(crate) client: TlsClient,
}

/// What is read of files.
struct Read {
    sip: Identity,
    web: Identity,
    /// Authorities of the system, and those that are named.
    roots: Roots,
    clients: ClientAuth,
    /// What is shown to servers that ask: not our own, which nobody else believes.
    to_servers: Option<Identity>,
}

impl Certificates {
    /// As configured.
    pub(crate) fn of(settings: &Settings) -> Self {
        let sip = settings.sip_certificate.clone();
        let web = settings.web_certificate.clone().or_else(|| sip.clone());
        let is_tls =
            |one: &offhook_exchange::config::Listener| one.transport == offhook_sip_stack::Transport::Tls;
        Self {
            data_dir: settings.data_dir.clone(),
            names: names(settings),
            sip,
            web,
            client_ca: settings.client_ca.clone(),
            peer_ca: settings.peer_ca.clone(),
            asks: Arc::new(AtomicBool::new(is_asking(&settings.trunks))),
            serves_sip: settings.listeners.iter().any(is_tls),
            serves_web: settings.web_tls != WebTls::Off && !settings.https.is_empty(),
        }
    }

    /// Reads them, and makes what is missing or has had its time.
    ///
    /// # Errors
    /// When a file cannot be used or written.
    pub(crate) fn show(self) -> Result<Shown, CertificateError> {
        let Read { sip, web, roots, clients, to_servers } = self.read()?;
        let turn = TlsServer::new(sip.clone(), &ClientAuth::Off, &["stun.turn", "stun.nat-discovery"]);
        let turn = turn.map_err(useless(self.sip_file()))?;
        let sip = TlsServer::new(sip, &clients, &[]).map_err(useless(self.sip_file()))?;
        let web = TlsServer::new(web, &ClientAuth::Off, &["http/1.1"]).map_err(useless(self.web_file()))?;
        let client = TlsClient::new(roots, to_servers).map_err(useless(self.sip_file()))?;
        Ok(Shown { certificates: self, sip, web, turn, client })
    }

    /// Looks whether they could be shown, without making any.
    ///
    /// # Errors
    /// When a file that is named cannot be used.
    pub(crate) fn check(&self) -> Result<(), CertificateError> {
        for one in [&self.sip, &self.web].into_iter().flatten() {
            Identity::read(&one.certificate, &one.key, clock::unix())?;
        }
        for file in [&self.client_ca, &self.peer_ca].into_iter().flatten() {
            read_certificates(file)?;
        }
        Ok(())
    }

    fn own(&self) -> Own {
        Own::new(&self.data_dir)
    }

    fn sip_file(&self) -> PathBuf {
        self.sip.as_ref().map_or_else(|| self.own().certificate(), |one| one.certificate.clone())
    }

    fn web_file(&self) -> PathBuf {
        self.web.as_ref().map_or_else(|| self.own().certificate(), |one| one.certificate.clone())
    }

    fn read(&self) -> Result<Read, CertificateError> {
        let now = clock::unix();
        let own = match self.is_own() {
            true => {
                self.own().keep(&self.names, now)?;
                Some(Identity::read(&self.own().certificate(), &self.own().key(), now)?)
            }
            false => None,
        };
        let read = |files: &Option<CertificateFiles>| match (files, &own) {
            (Some(files), _) => Ok(Identity::read(&files.certificate, &files.key, now)?),
            (None, Some(own)) => Ok(own.clone()),
            (None, None) => Err(CertificateError::NotOurs),
        };
        let mut roots = Roots::of_system();
        if let Some(file) = &self.peer_ca {
            roots = roots.and(read_certificates(file)?).map_err(useless(file.clone()))?;
        }
        let clients = match &self.client_ca {
            Some(file) => ClientAuth::Demanded(read_certificates(file)?),
            None if self.asks.load(Ordering::Relaxed) => ClientAuth::Asked(roots.clone()),
            None => ClientAuth::Off,
        };
        let (sip, web) = (read(&self.sip)?, read(&self.web)?);
        let to_servers = self.sip.as_ref().map(|_| sip.clone());
        Ok(Read { sip, web, roots, clients, to_servers })
    }

    /// Whether some of what is shown is made here.
    fn is_own(&self) -> bool {
        self.sip.is_none() || self.web.is_none()
    }

    /// The authority that signs what is made here, once there is one.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        Some(self.own().authority()).filter(|file| self.is_own() && file.exists())
    }

    fn list(&self) -> Result<Vec<Certificate>, CertificateError> {
        let mut wanted = Vec::new();
        wanted.extend(self.authority().map(|file| ("authority", file, true)));
        if self.serves_sip {
            wanted.push(("sip", self.sip_file(), self.sip.is_none()));
        }
        if self.serves_web {
            wanted.push(("web", self.web_file(), self.web.is_none()));
        }
        let mut all = Vec::with_capacity(wanted.len());
        for (purpose, file, own) in wanted {
            // Our own are made by the first start.
            if !own || file.exists() {
                all.push(describe::describe(purpose, &file, own, clock::unix())?);
            }
        }
        Ok(all)
    }

    fn renew(&self) -> Result<(), CertificateError> {
        if !self.is_own() {
            return Err(CertificateError::NotOurs);
        }
        self.own().renew(&self.names, clock::unix())
    }
}

impl Shown {
    /// Reads them again and shows what is there.
    ///
    /// # Errors
    /// When a file cannot be used; then nothing changes.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let Read { sip, web, roots, clients, to_servers } = self.certificates.read()?;
        let (sip_file, web_file) = (self.certificates.sip_file(), self.certificates.web_file());
        self.turn.renew(sip.clone(), &ClientAuth::Off).map_err(useless(sip_file.clone()))?;
        self.sip.renew(sip, &clients).map_err(useless(sip_file.clone()))?;
        self.web.renew(web, &ClientAuth::Off).map_err(useless(web_file))?;
        self.client.renew(roots, to_servers).map_err(useless(sip_file))?;
        Ok(())
    }

    /// These trunks are in force from now on: those who come by TLS are asked for a certificate if one of them is known by it.
    ///
    /// # Errors
    /// As [`Self::reload`].
    pub(crate) fn know(&self, trunks: &[Trunk]) -> Result<(), CertificateError> {
        let asks = is_asking(trunks);
        match self.certificates.asks.swap(asks, Ordering::Relaxed) == asks {
            true => Ok(()),
            false => self.reload(),
        }
    }

    /// Looks now and then whether ours has had its time, for as long as the server runs.
    pub(crate) async fn keep(self) {
        loop {
            tokio::time::sleep(OFTEN).await;
            if let Err(error) = self.reload() {
                tracing::error!(%error, "certificates cannot be renewed: what was shown is shown on");
            }
        }
    }
}

impl offhook_web::Certificates for Shown {
    fn list(&self) -> Result<Vec<Certificate>, Problem> {
        self.certificates.list().map_err(problem)
    }

    fn renew(&self) -> Result<(), Problem> {
        self.certificates.renew().map_err(problem)?;
        self.reload().map_err(problem)
    }

    fn reload(&self) -> Result<(), Problem> {
        Self::reload(self).map_err(problem)?;
        tracing::info!("certificates were read again");
        Ok(())
    }
}

/// While no server runs.
impl offhook_web::Certificates for Certificates {
    fn list(&self) -> Result<Vec<Certificate>, Problem> {
        Self::list(self).map_err(problem)
    }

    fn renew(&self) -> Result<(), Problem> {
        Self::renew(self).map_err(problem)
    }

    fn reload(&self) -> Result<(), Problem> {
        Err(Problem::not_running())
    }
}

fn is_asking(trunks: &[Trunk]) -> bool {
    trunks.iter().any(|trunk| matches!(trunk.auth, TrunkAuth::Tls(_)))
}

fn useless(file: PathBuf) -> impl FnOnce(rustls::Error) -> PemError {
    move |error| PemError { file, reason: format!("cannot be used: {error}") }
}

fn problem(error: CertificateError) -> Problem {
    match error {
        CertificateError::NotOurs => Problem::conflict(error.to_string()),
        CertificateError::File(_) | CertificateError::Making { .. } => Problem::failed(error.to_string()),
    }
}

/// Everything by which phones and browsers may know us.
fn names(settings: &Settings) -> Vec<String> {
    let bare = |name: &String| name.trim_matches(['[', ']']).to_owned();
    let mut names: Vec<String> = settings.domains.iter().map(bare).collect();
    let addresses = machine::addresses().into_iter().chain(settings.external_address);
    names.extend(addresses.map(|ip| ip.to_canonical().to_string()));
    names.extend(machine::name());
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique.truncate(MOST_NAMES);
    unique
}

const OFTEN: Duration = Duration::from_secs(6 * 3_600);
/// A certificate travels in every handshake.
const MOST_NAMES: usize = 100;

#[cfg(test)]
mod tests;
