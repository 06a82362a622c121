//! The only SQL: accounts and numbers in SQLite; and the journal, which is the home of bindings and makes a
//! registration durable before it is answered.
//!
//! The signal thread appends to its [`Journal`] and never waits; the [`Writer`], a task, syncs its files, gives it new
//! ones and merges the old. What the shards must know leaves as
//! [`Delta`](offhook_exchange::directory::Delta)s: from [`Store::load`] at the start, then from every change.

mod account;
mod answering;
mod ban;
mod columns;
mod csv;
mod error;
mod journal;
mod keep;
mod limits;
mod line;
mod lock;
mod memory;
mod number;
mod options;
mod password;
mod rights;
mod sqlite;
mod text;
mod watch;
mod writer;

pub use account::{AccountChange, ChangedAccount, NewAccount, Source, StoredAccount};
pub use csv::CsvError;
pub use error::StoreError;
pub use journal::{Journal, JournalError};
pub use line::{LineList, StoredLine};
pub use memory::MemoryStore;
pub use number::request::{NumberEvent, NumberRequest, RequestState};
pub use number::{StoredNumber, parse_number};
pub use options::{Options, Use};
pub use password::Password;
pub use sqlite::{Health, Store};
pub use text::{StoredText, TextLimits};
pub use writer::Writer;
