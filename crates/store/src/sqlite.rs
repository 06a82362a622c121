//! The store: SQLite with one connection that writes and a few that read.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use offhook_exchange::config::Key;
use offhook_exchange::directory::{AddressOfRecord, Delta};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};
use tokio::task::spawn_blocking;

use crate::journal::newest::{Newest, forget};
use crate::journal::survey::Survey;
use crate::journal::track::Track;
use crate::lock::DirectoryLock;
use crate::writer::Writer;
use crate::{Journal, Options, StoreError, Use};
use crate::{account, answering, ban, keep, limits, number, options, rights, text};

/// An open store. Copies share it.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) writer: SqlitePool,
    readers: SqlitePool,
    /// The journals, once they are taken.
    tracks: OnceLock<Vec<Arc<Track>>>,
    /// What [`Store::load`] has learnt of the files, so that they are not read again for the journals.
    survey: Mutex<Option<Survey>>,
    /// Why their files could not be looked after.
    pub(crate) failure: Mutex<Option<String>>,
    _lock: DirectoryLock,
}

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last append to a journal failed, or why its files cannot be created, synced or merged.
    pub journal_error: Option<String>,
    /// Accounts whose newest bindings are in memory only and would be lost with the process.
    pub waiting: usize,
}

impl Health {
    /// Some registrations would be lost with the process.
    pub fn memory_only(&self) -> bool {
        self.waiting > 0
    }
}

impl Store {
    /// Opens the store, and makes it first if there is none.
    ///
    /// # Errors
    /// If another process uses the data directory, or files cannot be used.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let database = options.database()?;
        options::create_directory(&options.data_dir)?;
        let lock = DirectoryLock::take(&options.data_dir, options.purpose).await?;
        options::create_private_file(&database)?;
        let connect = SqliteConnectOptions::new()
            .filename(&database)
            .journal_mode(SqliteJournalMode::Wal)
            // An account that was made is there after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout)
            .disable_statement_logging();
        // One connection writes, or writers would starve each other.
        let writer = pool(1).connect_with(connect.clone()).await?;
        let readers = pool(READERS).connect_lazy_with(connect.pragma("query_only", "ON"));
        migrate(&writer).await?;
        let shared = Shared {
            options,
            writer,
            readers,
            tracks: OnceLock::new(),
            survey: Mutex::default(),
            failure: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Everything that a shard must know after a start at `now` (Unix seconds): accounts, their numbers, and
    /// bindings that are not over.
    ///
    /// # Errors
    /// If the database or the directory cannot be read. A file of the journal that cannot be is logged.
    pub async fn load(&self, now: u64) -> Result<Vec<Delta>, StoreError> {
        // One transaction, so that all of it is from one moment.
        let mut tx = self.shared.readers.begin().await?;
        let numbers = number::select_all(&mut tx).await?;
        let texts = text::waiting(&mut tx, now).await?;
        let answering = answering::select_all(&mut tx).await?;
        let kept = keep::select_all(&mut tx).await?;
        let rights = rights::select_all(&mut tx).await?;
        let limits = limits::select_all(&mut tx).await?;
        let bans = ban::select_all(&mut tx).await?;
        // The files after the moment from which the accounts are: what an account must forget is written before it.
        let files = self.in_directory(move |directory| Newest::read(directory, now));
        let (accounts, (survey, newest)) = tokio::try_join!(account::select_all(&mut tx), files)?;
        *self.shared.survey.lock().unwrap_or_else(PoisonError::into_inner) = Some(survey);
        let mut deltas = Vec::with_capacity(accounts.len() + numbers.len() + newest.len());
        deltas.extend(accounts.into_iter().map(|stored| Delta::Account(stored.account)));
        let owned = numbers.into_iter().filter(|stored| stored.account.is_some());
        deltas.extend(owned.map(|stored| Delta::Number(stored.number, stored.account)));
        deltas.extend(answering);
        deltas.extend(kept);
        deltas.extend(rights);
        deltas.extend(limits);
        deltas.extend(bans);
        deltas.extend(texts);
        deltas.extend(newest.into_bindings().map(|(address, mut bindings)| {
            bindings.0.retain(|one| one.expires_at > now);
            Delta::Bindings(address, bindings)
        }));
        Ok(deltas)
    }

    /// The journals of so many shards, and the task that looks after their files.
    ///
    /// Spawn [`Writer::run`]; it ends when all journals are dropped and everything is synced.
    ///
    /// # Errors
    /// If this was done before, or the store was not opened by a server, or the directory cannot be read. A full
    /// disk is no error: see [`Health`].
    pub fn journals(&self, shards: u8) -> Result<(Writer, Vec<Journal>), StoreError> {
        if self.shared.tracks.get().is_some() || self.shared.options.purpose != Use::Server {
            return Err(StoreError::JournalsTaken);
        }
        let directory = &self.shared.options.data_dir;
        let known = self.shared.survey.lock().unwrap_or_else(PoisonError::into_inner).take();
        let survey = match known.filter(|survey| survey.is_current(directory)) {
            Some(survey) => survey,
            None => Survey::read(directory, |(), _, _| {}).map_err(StoreError::file(directory))?.0,
        };
        let (writer, journals) = Writer::with_journals(Arc::clone(&self.shared), shards, &survey);
        self.shared.tracks.set(writer.tracks()).map_err(|_| StoreError::JournalsTaken)?;
        Ok((writer, journals))
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        let tracks = self.shared.tracks.get().map_or(&[][..], Vec::as_slice);
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Health {
            journal_error: failure.or_else(|| tracks.iter().find_map(|track| track.error())),
            waiting: tracks.iter().map(|track| track.waiting.load(Relaxed)).sum(),
        }
    }

    /// The key that signs nonces and routes; made at the first time.
    ///
    /// # Errors
    /// If the database cannot be used or the system gives no random bytes.
    pub async fn key(&self) -> Result<Key, StoreError> {
        let damaged = || StoreError::Damaged { table: "setting", key: KEY.into() };
        if let Some(value) = self.setting(KEY).await? {
            return Ok(Key(value.try_into().map_err(|_| damaged())?));
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| StoreError::Randomness)?;
        self.set_setting(KEY, &key).await?;
        Ok(Key(key))
    }

    /// The realm that was set, if one was.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn realm(&self) -> Result<Option<String>, StoreError> {
        let damaged = |_| StoreError::Damaged { table: "setting", key: REALM.into() };
        self.setting(REALM).await?.map(|value| String::from_utf8(value).map_err(damaged)).transpose()
    }

    /// Keeps the realm for which passwords are hashed, so that a new name of the machine does not make them useless.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn set_realm(&self, realm: &str) -> Result<(), StoreError> {
        self.set_setting(REALM, realm.as_bytes()).await
    }

    /// A value that belongs to the whole exchange.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let select = sqlx::query_scalar("SELECT value FROM setting WHERE name = ?").bind(name);
        Ok(select.fetch_optional(&mut *self.reader().await?).await?)
    }

    /// Keeps a value that belongs to the whole exchange.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
            .bind(name)
            .bind(value)
            .execute(&self.shared.writer)
            .await?;
        Ok(())
    }

    /// Closes the database. Do it last; without it nothing is lost.
    pub async fn close(self) {
        self.shared.readers.close().await;
        self.shared.writer.close().await;
    }

    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.shared.readers.acquire().await?)
    }

    /// A transaction that may write from its beginning on, so that it cannot fail in the middle for a lock.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.shared.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Writes that these accounts have no bindings, unless journals are in use: then the shards do it when they are
    /// told. Done before the accounts are changed, as a crash in between must not leave bindings to somebody else.
    pub(crate) async fn forget_bindings(&self, accounts: Vec<AddressOfRecord>) -> Result<(), StoreError> {
        if accounts.is_empty() || self.shared.tracks.get().is_some() {
            return Ok(());
        }
        self.in_directory(move |directory| forget(directory, &accounts)).await
    }

    /// Does what waits for files where waiting does no harm.
    async fn in_directory<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directory = self.shared.options.data_dir.clone();
        let done = spawn_blocking(move || work(&directory).map_err(StoreError::file(&directory))).await;
        done.unwrap_or_else(|error| {
            Err(StoreError::file(&self.shared.options.data_dir)(io::Error::other(error)))
        })
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // After an error such as a full disk SQLite has ended the transaction by itself. The connection's own
        // count of transactions is wrong from then on (its ROLLBACK fails), so that it could never begin one again.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

/// Creates the tables or brings them up to date. Where nothing is to be done nothing is written, so that a server
/// starts while someone else has locked the database.
async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    if !is_current(&mut *writer.acquire().await?).await {
        MIGRATIONS.run(writer).await?;
    }
    Ok(())
}

async fn is_current(connection: &mut SqliteConnection) -> bool {
    let applied: Result<Vec<(i64, Vec<u8>)>, _> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(connection)
            .await;
    let known = MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec()));
    applied.is_ok_and(|applied| applied == known.collect::<Vec<_>>())
}

static MIGRATIONS: Migrator = sqlx::migrate!();
const READERS: u32 = 3;
const KEY: &str = "key";
const REALM: &str = "realm";
