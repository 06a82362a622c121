use std::path::Path;
use std::time::Duration;

use offhook_exchange::directory::Delta;
use offhook_exchange::io::StoreRequest;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::journal::file::JournalFile;
#[cfg(target_os = "linux")]
use crate::journal::tests::dev_full;
use crate::journal::tests::request;
use crate::sqlite::Health;
use crate::{Options, Store, Use};

const NOW: u64 = 1_700_000_000;

async fn open(directory: &Path) -> Store {
    let options = Options {
        busy_timeout: Duration::from_millis(20),
        commit_interval: Duration::from_millis(5),
        sync_window: Duration::from_millis(20),
        journal_length: 4096,
        ..Options::new(directory, Use::Server)
    };
    Store::open(options).await.unwrap()
}

/// The bindings as (user, CSeq) of each contact.
async fn bindings(store: &Store) -> Vec<(String, u32)> {
    let deltas = store.load(NOW).await.unwrap();
    let mut all = Vec::new();
    for delta in deltas {
        if let Delta::Bindings(address, bindings) = delta {
            all.extend(bindings.0.iter().map(|one| (address.user().to_owned(), one.cseq)));
        }
    }
    all
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(user, cseq)| ((*user).to_owned(), *cseq)).collect()
}

fn empty(user: &str) -> StoreRequest {
    let StoreRequest::Bindings(account, _) = request(user, 0);
    StoreRequest::Bindings(account, Default::default())
}

/// Waits until the health is as wanted; the limit is far beyond what any machine needs.
async fn until(store: &Store, wanted: impl Fn(&Health) -> bool) {
    let reached = async {
        while !wanted(&store.health()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
}

async fn lock(directory: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.join("offhook.db"));
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    other
}

#[tokio::test]
async fn a_crash_before_the_database_was_reached_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 1), request("bob", 1)]).unwrap();
    journals[0].append(&mut vec![request("alice", 2), empty("bob"), request("carol", 1)]).unwrap();
    // The writer never runs, as if the process had been killed.
    drop((writer, journals));
    store.close().await;

    for _ in 0..2 {
        let store = open(directory.path()).await;
        assert_eq!(bindings(&store).await, pairs(&[("alice", 2), ("carol", 1)]));
        store.close().await;
    }
}

#[tokio::test]
async fn a_clean_end_leaves_all_in_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(2).unwrap();
    let running = tokio::spawn(writer.run());
    journals[0].append(&mut vec![request("alice", 1), request("bob", 1)]).unwrap();
    journals[1].append(&mut vec![request("carol", 7)]).unwrap();
    journals[0].append(&mut vec![empty("bob")]).unwrap();
    drop(journals);
    running.await.unwrap();
    assert_eq!(store.health(), Health::default());
    store.close().await;

    assert_eq!(JournalFile::all(directory.path()).unwrap(), []);
    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1), ("carol", 7)]));
    let StoreRequest::Bindings(address, expected) = request("alice", 1);
    let loaded = store.load(NOW).await.unwrap();
    assert!(loaded.contains(&Delta::Bindings(address, expected)));
}

#[tokio::test]
async fn an_old_journal_that_is_read_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let running = tokio::spawn(writer.run());
    journals[0].append(&mut vec![request("alice", 1)]).unwrap();
    let old = JournalFile::all(directory.path()).unwrap().remove(0);
    let copy = std::fs::read(&old.path).unwrap();
    drop(journals);
    running.await.unwrap();
    store.close().await;

    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let running = tokio::spawn(writer.run());
    journals[0].append(&mut vec![empty("alice")]).unwrap();
    drop(journals);
    running.await.unwrap();
    store.close().await;

    std::fs::write(&old.path, copy).unwrap();
    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, []);
}

#[tokio::test]
async fn a_locked_database_delays_no_append_and_is_filled_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let other = lock(directory.path()).await;
    let running = tokio::spawn(writer.run());
    for cseq in 1..=50 {
        journals[0].append(&mut vec![request("alice", cseq), request("bob", cseq)]).unwrap();
    }
    until(&store, |health| health.sqlite_error.is_some() && health.pending == 2).await;
    assert!(!store.health().memory_only);
    other.close().await.unwrap();
    until(&store, |health| health.sqlite_error.is_none() && health.pending == 0).await;
    drop(journals);
    running.await.unwrap();
    assert_eq!(bindings(&store).await, pairs(&[("alice", 50), ("bob", 50)]));
}

#[tokio::test]
async fn a_server_starts_with_its_registrations_while_the_database_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 1)]).unwrap();
    drop((writer, journals));
    store.close().await;

    let other = lock(directory.path()).await;
    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1)]));
    let (writer, mut journals) = store.journals(1).unwrap();
    let running = tokio::spawn(writer.run());
    journals[0].append(&mut vec![request("alice", 2)]).unwrap();
    drop(journals);
    // The database stays locked until the end: the journal holds both, and the newer counts.
    running.await.unwrap();
    store.close().await;
    other.close().await.unwrap();

    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 2)]));
}

#[tokio::test]
async fn journals_are_replaced_when_long_and_removed_when_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let running = tokio::spawn(writer.run());
    let files = || JournalFile::all(directory.path()).unwrap();
    let mut cseq = 0;
    // Each round is longer than a journal may be.
    for round in 2..=4 {
        while files().iter().all(|file| file.generation < round) {
            cseq += 1;
            journals[0].append(&mut vec![request("alice", cseq)]).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while files().len() > 1 {
        cseq += 1;
        journals[0].append(&mut vec![request("alice", cseq)]).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(journals);
    running.await.unwrap();
    assert_eq!(bindings(&store).await, pairs(&[("alice", cseq)]));
}

#[tokio::test]
async fn journals_do_not_pile_up_while_the_database_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let other = lock(directory.path()).await;
    let running = tokio::spawn(writer.run());
    let files = || JournalFile::all(directory.path()).unwrap();
    let mut cseq = 0;
    while files().iter().all(|file| file.generation < 6) {
        cseq += 1;
        journals[0].append(&mut vec![request("alice", cseq), request("bob", cseq)]).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while files().len() > 2 {
        cseq += 1;
        journals[0].append(&mut vec![request("alice", cseq), request("bob", cseq)]).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What is left on the disk is enough.
    running.abort();
    let _ = running.await;
    drop(journals);
    store.close().await;
    other.close().await.unwrap();
    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", cseq), ("bob", cseq)]));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn after_a_full_disk_what_was_in_memory_only_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let other = lock(directory.path()).await;
    // The first spare file that the journal finds is one without room.
    journals[0].put(dev_full(1));
    assert!(journals[0].append(&mut vec![request("alice", 1)]).is_err());
    let running = tokio::spawn(writer.run());
    // The disk has room again: a new file holds what could not be written, though the database is still locked.
    until(&store, |health| health.sqlite_error.is_some() && !health.memory_only).await;
    running.abort();
    let _ = running.await;
    drop(journals);
    store.close().await;
    other.close().await.unwrap();

    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1)]));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_is_in_memory_only_is_written_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    let other = lock(directory.path()).await;
    journals[0].put(dev_full(1));
    assert!(journals[0].append(&mut vec![request("alice", 1)]).is_err());
    drop(journals);
    writer.run().await;
    store.close().await;
    other.close().await.unwrap();

    let store = open(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1)]));
}

#[tokio::test]
async fn without_any_file_registrations_go_into_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    // Where the first files would be there is something else.
    for generation in 1..=3 {
        std::fs::create_dir(JournalFile::new(directory.path(), generation, 0).path).unwrap();
    }
    let (writer, mut journals) = store.journals(1).unwrap();
    assert!(store.health().journal_error.is_some());
    assert!(journals[0].append(&mut vec![request("alice", 1)]).is_err());
    let running = tokio::spawn(writer.run());
    until(&store, |health| health.pending == 0 && !health.memory_only).await;
    while journals[0].append(&mut vec![request("bob", 1)]).is_err() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    until(&store, |health| health.journal_error.is_none()).await;
    drop(journals);
    running.await.unwrap();
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1), ("bob", 1)]));
}

#[tokio::test]
async fn a_full_database_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    // No page beyond those that are there: as if the disk were full.
    sqlx::query("PRAGMA max_page_count = 1").execute(&store.shared().writer).await.unwrap();
    let (writer, mut journals) = store.journals(1).unwrap();
    let running = tokio::spawn(writer.run());
    let mut requests: Vec<_> = (0..200).map(|number| request(&format!("user{number}"), 1)).collect();
    journals[0].append(&mut requests).unwrap();
    // The connection that hit the limit is replaced by one without it.
    until(&store, |health| health.failed_commits > 0 && health.pending == 0).await;
    drop(journals);
    running.await.unwrap();
    assert_eq!(bindings(&store).await.len(), 200);
}

#[tokio::test]
async fn a_command_takes_over_what_a_killed_server_left() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 1)]).unwrap();
    drop((writer, journals));
    store.close().await;

    let store = Store::open(Options::new(directory.path(), Use::Command)).await.unwrap();
    assert!(store.journals(1).is_err());
    assert!(JournalFile::all(directory.path()).unwrap().is_empty());
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1)]));
}
