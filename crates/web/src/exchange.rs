//! What the API must know of a running exchange.

use std::future::Future;
use std::pin::Pin;

use offhook_exchange::command::{Answer, Command};
use serde::Serialize;

use crate::Problem;
use crate::trace::{Followed, Found};

/// Something that arrives later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running exchange, or the place where one could run.
pub trait Exchange: Send + Sync {
    /// Asks a shard; `None` if no exchange runs, or it does not answer.
    fn ask(&self, command: Command) -> Reply<'_, Option<Answer>>;

    /// What passed of the call with this Call-ID, or with one that begins so; `None` if no exchange runs, or it does not
    /// answer.
    fn ladder(&self, call: String) -> Reply<'_, Option<Found>>;

    /// What passed since these positions; without any, from now on.
    fn follow(&self, from: Option<Vec<u64>>) -> Reply<'_, Option<Followed>>;

    /// Whether calls are taken, and if not, why.
    ///
    /// # Errors
    /// The reason, in words.
    fn ready(&self) -> Result<(), String>;

    /// Measures in the text format of Prometheus.
    fn measures(&self) -> Reply<'_, String>;

    /// Reads the configuration, the certificates and the rates again, and takes over what can change while calls go on.
    ///
    /// # Errors
    /// What is wrong with one of them; then nothing changes.
    fn reload(&self) -> Reply<'_, Result<Reloaded, Problem>>;

    /// The cameras, in the order of the configuration.
    fn cameras(&self) -> Vec<CameraReport> {
        Vec::new()
    }

    /// What is the same as long as it runs.
    fn about(&self) -> About;

    /// Credentials for the TURN server, for an account that is known to exist.
    ///
    /// # Errors
    /// When there is no such server.
    fn turn_credentials(&self, account: &str) -> Result<TurnCredentials, Problem>;
}

/// What became of reading the configuration again.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// What was read again, and the keys and lists that have changed.
    pub reloaded: Vec<String>,
    /// Keys that have changed, but need a restart.
    pub needs_restart: Vec<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// New accounts for which a password was made; it is shown this once.
    pub accounts: Vec<NewPassword>,
}

/// A password that was made for a declared account.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct NewPassword {
    /// The account.
    pub address: String,
    /// Its password.
    pub password: String,
}

/// What a client of the TURN server needs; the password is shown to whoever asks, so only the bearer of a token may.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct TurnCredentials {
    /// When it expires, and whose it is.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Seconds that they are good.
    pub ttl: u64,
    /// Where the server is (RFC 7064, RFC 7065).
    pub uris: Vec<String>,
}

impl std::fmt::Debug for TurnCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TurnCredentials({}, …)", self.username)
    }
}

/// A camera as an operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct CameraReport {
    /// Its name.
    pub name: String,
    /// What is dialled for it.
    pub number: String,
    /// `idle`, `connecting`, `live` or `away`.
    pub state: &'static str,
    /// Why it is away.
    pub error: Option<String>,
    /// What of it is left out, and why.
    pub left_out: Vec<String>,
    /// Whom its button calls.
    pub calls: Vec<String>,
}

/// What is the same as long as a server runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// The program's version.
    pub version: String,
    /// The number of the process.
    pub pid: u32,
    /// When it started (RFC 3339).
    pub started_at: String,
    /// Names and addresses served; the first is the one to give to people.
    pub domains: Vec<String>,
    /// The realm of passwords.
    pub realm: String,
    /// Where SIP is spoken: `udp 0.0.0.0:5060`.
    pub listeners: Vec<String>,
    /// Ports for media.
    pub media_ports: String,
    /// Where everything is kept.
    pub data_dir: String,
}
