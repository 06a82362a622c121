//! The API while no server runs: commands open the store themselves.

use std::sync::Arc;

use offhook_exchange::directory::Directory;
use offhook_store::{Store, StoreError, Use};
use offhook_web::{Problem, Site};
use tokio::runtime::Runtime;

use crate::certificates::Certificates;
use crate::lines::LineDesk;
use crate::running::AtRest;
use crate::start::{StartError, new_runtime, settle_realm, store_options, token};
use crate::stored::Stored;
use crate::voicemail::Mailboxes;
use crate::{Settings, clock};

/// A store that no server uses, with the same API as a server.
pub struct Offline {
    runtime: Runtime,
    site: Site,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl Offline {
    /// Opens the store of these settings; makes it if there is none.
    ///
    /// # Errors
    /// When a server uses it, or it cannot be used at all.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let runtime = new_runtime()?;
        let mut warnings = Vec::new();
        let site = runtime.block_on(open(settings, &mut warnings))?;
        Ok(Self { runtime, site, warnings })
    }

    /// Asks the API.
    ///
    /// # Errors
    /// The problem document of the answer.
    pub fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
        self.runtime.block_on(ask(&self.site, method, path, body))
    }
}

async fn open(settings: &Settings, warnings: &mut Vec<String>) -> Result<Site, StartError> {
    let store = Store::open(store_options(settings, Use::Command)).await?;
    let realm = settle_realm(&store, settings, warnings).await?;
    let mut directory = Directory::default();
    for delta in store.load(clock::unix().as_secs()).await? {
        directory.apply(delta);
    }
    let lines = Arc::new(LineDesk::new(Arc::new(settings.clone()), None));
    let voicemail = Mailboxes::new(Arc::clone(&lines), None);
    let records = Stored { store, realm, shards: None, numbers: settings.numbers, lines, mail: None };
    Ok(Site {
        token: token()?.into(),
        exchange: Arc::new(AtRest { directory }),
        records: Arc::new(records),
        certificates: Arc::new(Certificates::of(settings)),
        voicemail: Arc::new(voicemail),
        recordings: Arc::new(settings.call_recordings()),
    })
}

pub(crate) async fn ask(site: &Site, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let method = method.parse().map_err(|_| Problem::bad("no such method"))?;
    offhook_web::answer(site, method, path, body).await
}

/// Whether a server uses the store.
impl StartError {
    /// Whether the store is in use by another process.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(StoreError::InUse { .. }))
    }
}
