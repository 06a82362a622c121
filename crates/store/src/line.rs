//! Trunks and routes in the database, as they would be written in a file. What they mean is not known here.

use std::fmt;

use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Store, StoreError};

/// Which list a line stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineList {
    /// `[[trunk]]`.
    Trunk,
    /// `[[route]]`.
    Route,
}

impl LineList {
    /// Its name in files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trunk => "trunk",
            Self::Route => "route",
        }
    }
}

/// A trunk or a route.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Where it stands.
    pub list: LineList,
    /// Its name.
    pub name: String,
    /// A JSON object with its keys, but for the name.
    pub settings: String,
}

/// Without the settings, in which there may be a password.
impl fmt::Debug for StoredLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.list.word(), self.name)
    }
}

impl Store {
    /// All trunks and routes, in the order in which they were made.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn lines(&self) -> Result<Vec<StoredLine>, StoreError> {
        select(&mut *self.reader().await?).await
    }

    /// Makes the trunks and routes these, in this order.
    ///
    /// # Errors
    /// If the database cannot be written; then nothing is changed.
    pub async fn set_lines(&self, lines: &[StoredLine]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM line").execute(&mut *tx).await?;
        for line in lines {
            sqlx::query("INSERT INTO line (list, name, settings) VALUES (?, ?, ?)")
                .bind(line.list.word())
                .bind(&line.name)
                .bind(&line.settings)
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn select(connection: &mut SqliteConnection) -> Result<Vec<StoredLine>, StoreError> {
    let rows = sqlx::query("SELECT list, name, settings FROM line ORDER BY position");
    let read = |row: &SqliteRow| {
        let list: String = row.try_get("list")?;
        let list = if list == LineList::Trunk.word() { LineList::Trunk } else { LineList::Route };
        Ok(StoredLine { list, name: row.try_get("name")?, settings: row.try_get("settings")? })
    };
    rows.fetch_all(connection).await?.iter().map(read).collect()
}
