//! What the API must know of a running exchange.

use std::future::Future;
use std::pin::Pin;

use offhook_exchange::command::{Answer, Command};
use serde::Serialize;

/// Something that arrives later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running exchange, or the place where one could run.
pub trait Exchange: Send + Sync {
    /// Asks a shard; `None` if no exchange runs, or it does not answer.
    fn ask(&self, command: Command) -> Reply<'_, Option<Answer>>;

    /// Whether calls are taken, and if not, why.
    ///
    /// # Errors
    /// The reason, in words.
    fn ready(&self) -> Result<(), String>;

    /// Measures in the text format of Prometheus.
    fn measures(&self) -> Reply<'_, String>;

    /// What is the same as long as it runs.
    fn about(&self) -> About;
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
