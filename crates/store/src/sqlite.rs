//! The store: SQLite with one connection that writes and a few that read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offhook_exchange::config::Key;
use offhook_exchange::directory::{AddressOfRecord, Bindings, Delta};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};

use crate::lock::DirectoryLock;
use crate::recovery::{Recovery, positions};
use crate::writer::{self, Writer};
use crate::{Journal, Options, StoreError, Use};
use crate::{account, binding, number, options};

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
    pub(crate) recovery: Recovery,
    health: Mutex<Health>,
    journals_taken: AtomicBool,
    _lock: DirectoryLock,
}

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last append to a journal failed, or why none can be created.
    pub journal_error: Option<String>,
    /// Why the last registrations could not be put into the database.
    pub sqlite_error: Option<String>,
    /// Accounts whose bindings are not in the database yet.
    pub pending: usize,
    /// Some registrations are in memory only and would be lost with the process.
    pub memory_only: bool,
    /// Groups of registrations that could not be put into the database, since the start; each is tried again.
    pub failed_commits: u64,
}

impl Store {
    /// Opens the store, and makes it first if there is none. What an earlier process left in its journal is there.
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
            // A file of the journal is removed once its entries are here, so they must be safe from a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout)
            .disable_statement_logging();
        // One connection writes, or writers would starve each other.
        let writer = pool(1).connect_with(connect.clone()).await?;
        let readers = pool(READERS).connect_lazy_with(connect.pragma("query_only", "ON"));
        migrate(&writer).await?;
        let positions = positions(&mut *writer.acquire().await?).await?;
        let recovery = Recovery::read(&options.data_dir, &positions)?;
        if options.purpose == Use::Command {
            take_over(&writer, &recovery).await?;
        }
        let shared = Shared {
            options,
            writer,
            readers,
            recovery,
            health: Mutex::default(),
            journals_taken: AtomicBool::new(false),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Everything that a shard must know after a start at `now` (Unix seconds): accounts, their numbers, and
    /// bindings that are not over.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn load(&self, now: u64) -> Result<Vec<Delta>, StoreError> {
        // One transaction, so that all of it is from one moment.
        let mut tx = self.shared.readers.begin().await?;
        let accounts = account::select_all(&mut tx).await?;
        let numbers = number::select_all(&mut tx).await?;
        let mut bindings = binding::select_all(&mut tx, now).await?;
        self.add_recovered(&mut bindings, &positions(&mut tx).await?, now);
        let mut deltas = Vec::with_capacity(accounts.len() + numbers.len() + bindings.len());
        deltas.extend(accounts.into_iter().map(|stored| Delta::Account(stored.account)));
        let owned = numbers.into_iter().filter(|stored| stored.account.is_some());
        deltas.extend(owned.map(|stored| Delta::Number(stored.number, stored.account)));
        deltas.extend(bindings.into_iter().map(|(address, bindings)| Delta::Bindings(address, bindings)));
        Ok(deltas)
    }

    /// The journals of so many shards, and the task that carries what is appended to them into the database.
    ///
    /// Spawn [`Writer::run`]; it ends when all journals are dropped and everything is in the database.
    ///
    /// # Errors
    /// If this was done before, or the store was not opened by a server. A full disk is no error: see [`Health`].
    pub fn journals(&self, shards: u8) -> Result<(Writer, Vec<Journal>), StoreError> {
        let taken = self.shared.journals_taken.swap(true, Ordering::Relaxed);
        if taken || self.shared.options.purpose != Use::Server {
            return Err(StoreError::JournalsTaken);
        }
        Ok(Writer::with_journals(Arc::clone(&self.shared), shards))
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets bindings that were over before `now` (Unix seconds). What ends while a server runs is removed by
    /// the shards; this is for what ended in between.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget_expired(&self, now: u64) -> Result<(), StoreError> {
        Ok(binding::delete_expired(&mut *self.shared.writer.acquire().await?, now).await?)
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

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.shared.readers.acquire().await?)
    }

    /// A transaction that may write from its beginning on, so that it cannot fail in the middle for a lock.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.shared.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Adds what only the journal knew at the start, unless the writer has put it into the database since.
    fn add_recovered(
        &self,
        bindings: &mut BTreeMap<AddressOfRecord, Bindings>,
        positions: &BTreeMap<u8, u64>,
        now: u64,
    ) {
        for (address, entry) in &self.shared.recovery.entries {
            if positions.get(&entry.shard).is_some_and(|position| entry.sequence <= *position) {
                continue;
            }
            let live: Vec<_> = entry.bindings.0.iter().filter(|one| one.expires_at > now).cloned().collect();
            if live.is_empty() {
                bindings.remove(address);
            } else {
                bindings.insert(address.clone(), Bindings(live));
            }
        }
    }
}

impl Shared {
    pub(crate) fn update_health(&self, update: impl FnOnce(&mut Health)) {
        update(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
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

/// Puts what an earlier server left in its journal into the database, for a command that may change it.
async fn take_over(writer: &SqlitePool, recovery: &Recovery) -> Result<(), StoreError> {
    if recovery.files.is_empty() {
        return Ok(());
    }
    let positions: Vec<_> = recovery.last.iter().map(|(shard, last)| (*shard, *last)).collect();
    let entries: Vec<_> = recovery.entries.values().cloned().collect();
    writer::commit(writer, &entries, &positions).await?;
    for (file, last) in &recovery.files {
        if *last != u64::MAX
            && let Err(error) = std::fs::remove_file(&file.path)
        {
            tracing::warn!(path = %file.path.display(), %error, "a journal that is taken over stays");
        }
    }
    Ok(())
}

static MIGRATIONS: Migrator = sqlx::migrate!();
const READERS: u32 = 3;
const KEY: &str = "key";
const REALM: &str = "realm";
