//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

use offhook_exchange::directory::{AddressOfRecord, InvalidAddress};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The account exists already.
    #[error("account {0} exists already")]
    AccountExists(AddressOfRecord),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(AddressOfRecord),
    /// The account is declared in a configuration file and can be changed only there.
    #[error("account {0} is declared in the configuration file; change it there")]
    FileOwned(AddressOfRecord),
    /// The number belongs to someone else.
    #[error("number {number} belongs to {}", owner.as_ref().map_or_else(|| "the pool".into(), ToString::to_string))]
    NumberTaken {
        /// The number, without visual separators.
        number: String,
        /// Whose it is; `None` if it exists and is free.
        owner: Option<AddressOfRecord>,
    },
    /// There is no such number.
    #[error("there is no number {0}")]
    NoNumber(String),
    /// A text is not a telephone number.
    #[error("{0:?} is no telephone number: digits, *, # and a leading + are allowed")]
    BadNumber(String),
    /// These are no two ends of a range of numbers.
    #[error(
        "{first} to {last} is no range: two numbers of the same length, the smaller first, at most 10000 from each other"
    )]
    BadRange {
        /// The one …
        first: String,
        /// … and the other.
        last: String,
    },
    /// The account has, or has applied for, as many numbers as it may.
    #[error("account {account} has, or waits for, as many numbers as it may have ({most})")]
    NumberQuota {
        /// The account.
        account: AddressOfRecord,
        /// How many that are.
        most: usize,
    },
    /// Another account has applied for the number.
    #[error("number {0} is wanted by another account already")]
    NumberWanted(String),
    /// All numbers belong to somebody, or somebody waits for them.
    #[error("no number is free: add some to the pool first")]
    NoFreeNumber,
    /// There is no such application.
    #[error("there is no application {0} for a number")]
    NoRequest(u64),
    /// The application was decided before.
    #[error("the application {0} has been decided already")]
    RequestDecided(u64),
    /// A text is not an address.
    #[error("{0}")]
    BadAddress(#[from] InvalidAddress),
    /// A name, e-mail address or password that cannot be kept.
    #[error("{field} is too long or holds control characters")]
    BadText {
        /// Which one.
        field: &'static str,
    },
    /// A text is no language that the exchange speaks.
    #[error("a language is en or zh")]
    BadLanguage,
    /// A text is nobody to be called.
    #[error("{0:?} is nobody to be called: a number, a name, an address or a URI is expected")]
    BadDestination(String),
    /// A text is no name of a pickup group.
    #[error("{0:?} is no name of a pickup group: up to 64 letters, digits, -, _ and .")]
    BadGroup(String),
    /// So many callers may be turned away, no more.
    #[error("at most {0} callers can be turned away, and as many allowed")]
    TooManyBlocked(usize),
    /// So many others may ring for one call, no more.
    #[error("at most {0} others can ring as well")]
    TooManyAlso(usize),
    /// So many accounts may be supervised by one, no more.
    #[error("an account supervises at most {0} others by name; a * at the end stands for many")]
    TooManySupervised(usize),
    /// An account may have at least one call.
    #[error("an account may have 1 to {0} calls at a time")]
    BadCalls(u32),
    /// Phones ring for at least a second, and at most this long.
    #[error("phones ring for 1 to {0} seconds")]
    BadRingSeconds(u16),
    /// A password that would admit anyone who tries it.
    #[error("the password is empty")]
    EmptyPassword,
    /// A line of a CSV file cannot be used; nothing of the file was taken over.
    #[error("line {line}: {source}")]
    Row {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: Box<StoreError>,
    },
    /// The text is not CSV, or lacks a column.
    #[error("{0}")]
    Csv(#[from] crate::csv::CsvError),
    /// Another process uses the data directory.
    #[error("the data directory {} is in use by {}", path.display(), holder(*pid))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process, as far as it said.
        pid: Option<u32>,
    },
    /// The store's address is neither `sqlite:` nor a path.
    #[error("{0:?} is not supported: the store is sqlite:FILE")]
    UnsupportedUrl(String),
    /// Something in the tables cannot be read.
    #[error("{table} {key:?} in the store is damaged")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        key: String,
    },
    /// The journals were taken already, or the store was opened by a command.
    #[error("only a server writes journals, and opens them once")]
    JournalsTaken,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness,
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite said no.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be created or brought up to date.
    #[error("the tables of the database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl StoreError {
    /// Whether something exists already or belongs to someone else (exit code 5).
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::AccountExists(_)
            | Self::NumberTaken { .. }
            | Self::NumberQuota { .. }
            | Self::NumberWanted(_)
            | Self::NoFreeNumber
            | Self::RequestDecided(_) => true,
            Self::Row { source, .. } => source.is_conflict(),
            _ => false,
        }
    }

    /// Whether something that was named does not exist (exit code 4).
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoAccount(_) | Self::NoNumber(_) | Self::NoRequest(_) => true,
            Self::Row { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    pub(crate) fn at_line(self, line: usize) -> Self {
        Self::Row { line, source: Box::new(self) }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
