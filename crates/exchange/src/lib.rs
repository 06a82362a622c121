//! The server's decisions as one state machine: registrar, proxy and the directory they share; sans-IO.
//!
//! Read [`io`] first: everything that crosses the border is listed there.

mod agents;
mod b2bua;
pub mod bans;
pub mod command;
pub mod config;
mod context;
mod core;
pub mod directory;
pub mod dispatch;
pub mod event;
pub mod fuzz;
mod identity;
mod inquiries;
pub mod io;
pub mod keep;
mod keep_alive;
mod locality;
pub mod mailbox;
pub mod message;
mod overload;
pub mod presence;
pub mod proxy;
mod refusal;
mod registrar;
pub mod route;
pub mod schedule;
mod screening;
pub mod services;
mod shard;
pub mod speech;
pub mod spending;
pub mod stir;
mod strangers;
pub mod trunks;

pub use shard::Shard;
