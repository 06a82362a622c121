//! Makes certificates.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use offhook_net::{ClientAuth, Identity, Roots, TlsClient, TlsServer, read_certificates};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// Someone who signs certificates.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate for these names, valid in these years, and its key.
    pub(crate) fn sign(&self, names: &[&str], years: (i32, i32)) -> (PathBuf, PathBuf) {
        let (params, key) = leaf(names, years);
        self.write(&params.signed_by(&key, &self.issuer).unwrap().pem(), &key)
    }

    /// The same, signed by itself.
    pub(crate) fn self_signed(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let (params, key) = leaf(names, GOOD);
        self.write(&params.self_signed(&key).unwrap().pem(), &key)
    }

    fn write(&self, certificate: &str, key: &KeyPair) -> (PathBuf, PathBuf) {
        let paths = (self.file("leaf.pem"), self.file("leaf.key"));
        std::fs::write(&paths.0, certificate).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }

    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        let (certificate, key) = self.sign(names, GOOD);
        Identity::read(&certificate, &key, now()).unwrap()
    }

    pub(crate) fn server(&self, names: &[&str]) -> TlsServer {
        TlsServer::new(self.identity(names), &ClientAuth::Off, &[]).unwrap()
    }

    pub(crate) fn client(&self) -> TlsClient {
        self.client_as(None)
    }

    /// The same with a certificate to show.
    pub(crate) fn client_as(&self, identity: Option<Identity>) -> TlsClient {
        TlsClient::new(self.roots(), identity).unwrap()
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::none().and(read_certificates(&self.file("ca.pem")).unwrap()).unwrap()
    }
}

fn leaf(names: &[&str], years: (i32, i32)) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    (params, KeyPair::generate().unwrap())
}

pub(crate) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

/// Years in which these tests run.
pub(crate) const GOOD: (i32, i32) = (2020, 2150);
