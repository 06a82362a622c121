//! The only SQL: accounts, numbers and bindings in SQLite, and a journal that makes a registration durable before
//! it is answered.
//!
//! The signal thread appends to its [`Journal`] and never waits; the [`Writer`], a task, carries what was appended
//! into the database in groups and gives the journal new files. What the shards must know leaves as
//! [`Delta`](offhook_exchange::directory::Delta)s: from [`Store::load`] at the start, then from every change.

mod account;
mod binding;
mod csv;
mod error;
mod journal;
mod lock;
mod memory;
mod number;
mod options;
mod password;
mod recovery;
mod sqlite;
mod writer;

pub use account::{AccountChange, ChangedAccount, NewAccount, Source, StoredAccount};
pub use csv::CsvError;
pub use error::StoreError;
pub use journal::{Journal, JournalError};
pub use memory::MemoryStore;
pub use number::{StoredNumber, parse_number};
pub use options::{Options, Use};
pub use password::Password;
pub use sqlite::{Health, Store};
pub use writer::Writer;
