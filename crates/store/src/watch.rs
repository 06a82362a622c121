//! Subscriptions that go on after a restart.

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::presence::{KeptWatch, WatchChange};
use offhook_sip_stack::{Flow, Transport};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use crate::account::parse_stored;
use crate::columns::integer;
use crate::{Store, StoreError};

impl Store {
    /// Writes down what has changed, in order and all of it at once; what is over at `now` (Unix seconds) goes.
    ///
    /// # Errors
    /// If the database cannot be written. Then nothing of it is done.
    pub async fn keep_watches(&self, changes: Vec<WatchChange>, now: u64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for change in changes {
            match change {
                WatchChange::Made(kept) => insert(&mut tx, &kept).await?,
                WatchChange::Refreshed { tag, refreshed, flow, expires_at } => {
                    let query = "UPDATE watch SET refreshed = ?, transport = ?, local = ?, remote = ?, expires_at = ? WHERE tag = ?";
                    sqlx::query(query)
                        .bind(refreshed.as_ref())
                        .bind(flow.transport.to_string())
                        .bind(flow.local.to_string())
                        .bind(flow.remote.to_string())
                        .bind(integer(expires_at))
                        .bind(tag)
                        .execute(&mut *tx)
                        .await?;
                }
                WatchChange::Over(tag) => {
                    sqlx::query("DELETE FROM watch WHERE tag = ?").bind(tag).execute(&mut *tx).await?;
                }
            }
        }
        let over = "DELETE FROM watch WHERE expires_at <= ?";
        sqlx::query(over).bind(integer(now)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Those that are not over at `now` (Unix seconds). One that cannot be read is left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn watches(&self, now: u64) -> Result<Vec<KeptWatch>, StoreError> {
        let rows = sqlx::query(
            "SELECT tag, account, watcher, made, refreshed, transport, local, remote, expires_at \
             FROM watch WHERE expires_at > ? ORDER BY tag LIMIT ?",
        )
        .bind(integer(now))
        .bind(MOST)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        Ok(rows.iter().filter_map(|row| read(row).ok().flatten()).collect())
    }
}

async fn insert(tx: &mut Transaction<'_, Sqlite>, kept: &KeptWatch) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO watch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(&kept.tag)
        .bind(kept.account.as_str())
        .bind(kept.watcher.as_ref().map(AddressOfRecord::as_str))
        .bind(kept.made.as_ref())
        .bind(kept.refreshed.as_deref())
        .bind(kept.flow.transport.to_string())
        .bind(kept.flow.local.to_string())
        .bind(kept.flow.remote.to_string())
        .bind(integer(kept.expires_at))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// `None`: it is not as we have written it.
fn read(row: &SqliteRow) -> Result<Option<KeptWatch>, sqlx::Error> {
    let text = |column| row.try_get::<String, _>(column);
    let transport = match text("transport")?.as_str() {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return Ok(None),
    };
    let (Ok(local), Ok(remote)) = (text("local")?.parse(), text("remote")?.parse()) else { return Ok(None) };
    let (tag, watcher) = (text("tag")?, row.try_get::<Option<String>, _>("watcher")?);
    let (made, refreshed) =
        (row.try_get::<Vec<u8>, _>("made")?, row.try_get::<Option<Vec<u8>>, _>("refreshed")?);
    let expires_at = row.try_get::<i64, _>("expires_at")?;
    let Some(account) = parse_stored(&text("account")?) else { return Ok(None) };
    Ok(Some(KeptWatch {
        tag,
        account,
        watcher: watcher.and_then(|watcher| parse_stored(&watcher)),
        made: made.into(),
        refreshed: refreshed.map(Into::into),
        flow: Flow { transport, local, remote, connection: None },
        expires_at: u64::try_from(expires_at).unwrap_or_default(),
    }))
}

/// As many as the shards together would take.
const MOST: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Use};

    fn watch(tag: &str, expires_at: u64) -> KeptWatch {
        KeptWatch {
            tag: tag.into(),
            account: AddressOfRecord::new("alice", "example.com"),
            watcher: Some(AddressOfRecord::new("bob", "example.com")),
            made: "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n\r\n".into(),
            refreshed: None,
            flow: Flow {
                transport: Transport::Udp,
                local: "[::1]:5060".parse().unwrap(),
                remote: "192.0.2.7:5070".parse().unwrap(),
                connection: None,
            },
            expires_at,
        }
    }

    #[tokio::test]
    async fn what_is_written_down_is_there_after_a_restart_until_it_is_over() {
        let place = tempfile::tempdir().unwrap();
        let open = || Store::open(Options::new(place.path(), Use::Server));
        let store = open().await.unwrap();
        let made = |kept: &KeptWatch| WatchChange::Made(Box::new(kept.clone()));
        let (mut one, two, three) = (watch("a", 1000), watch("b", 1000), watch("c", 100));
        store.keep_watches(vec![made(&one), made(&two), made(&three)], 50).await.unwrap();
        let refreshed = WatchChange::Refreshed {
            tag: "a".into(),
            refreshed: "again".into(),
            flow: Flow { remote: "192.0.2.8:5060".parse().unwrap(), ..one.flow },
            expires_at: 2000,
        };
        store.keep_watches(vec![refreshed, WatchChange::Over("b".into())], 60).await.unwrap();
        store.close().await;
        let store = open().await.unwrap();
        (one.refreshed, one.expires_at) = (Some("again".into()), 2000);
        one.flow.remote = "192.0.2.8:5060".parse().unwrap();
        assert_eq!(store.watches(70).await.unwrap(), [one.clone(), three]);
        assert_eq!(store.watches(100).await.unwrap(), [one]);
        store.keep_watches(Vec::new(), 2000).await.unwrap();
        assert_eq!(store.watches(0).await.unwrap(), []);
    }
}
