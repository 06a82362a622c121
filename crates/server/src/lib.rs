//! Reads the configuration, starts threads, wires adapters to the exchange.
//!
//! [`Server::start`] makes a running exchange of [`Settings`]; [`Offline`] is the same API while none runs.

mod banner;
mod call_recordings;
mod cameras;
mod certificates;
mod clock;
pub mod config_file;
mod host;
mod keeps;
mod lines;
mod machine;
mod mail;
mod media_thread;
mod music;
mod notify;
mod offline;
mod others;
mod pace;
mod recordings;
mod reload;
mod routing;
mod run_file;
mod running;
mod server;
mod settings;
mod shards;
mod signal_thread;
mod start;
mod stored;
mod telemetry;
mod texts;
mod trace;
mod turn;
mod voicemail;
mod watches;
mod web;

pub use banner::banner;
pub use certificates::CertificateError;
pub use clock::unix as unix_time;
pub use offhook_exchange::config::SrtpPolicy;
pub use offhook_sip_stack::Transport;
pub use offhook_store::{Password, StoreError};
pub use offline::Offline;
pub use routing::{RouteDecision, RouteReport, RouteRow, list_routes, test_route};
pub use run_file::RunFile;
pub use server::{Ended, Server, Signals};
pub use settings::{
    CertificateFiles, DeclaredAccount, Mail, MailTls, Messages, Service, Settings, TurnSettings, WebTls,
    read_rates,
};
pub use start::StartError;
#[doc(hidden)]
pub use telemetry::fuzz;
pub use telemetry::{LogFormat, call_records, start_log};
