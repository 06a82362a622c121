use std::collections::BTreeMap;
use std::path::Path;

use offhook_exchange::directory::Delta;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::journal::file::JournalFile;
#[cfg(target_os = "linux")]
use crate::journal::tests::dev_full;
use crate::journal::tests::{empty, request};
use crate::sqlite::Health;
use crate::{NewAccount, Options, Password, Store, Use};

const NOW: u64 = 1_700_000_000;

async fn open(directory: &Path, purpose: Use) -> Store {
    Store::open(Options { journal_length: 600, ..Options::new(directory, purpose) }).await.unwrap()
}

async fn server(directory: &Path) -> Store {
    open(directory, Use::Server).await
}

/// The bindings as user and CSeq of each contact.
async fn bindings(store: &Store) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for delta in store.load(NOW).await.unwrap() {
        if let Delta::Bindings(address, bindings) = delta {
            all.extend(bindings.0.iter().map(|one| (address.user().to_owned(), one.cseq)));
        }
    }
    all
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(user, cseq)| ((*user).to_owned(), *cseq)).collect()
}

fn account(user: &str) -> NewAccount {
    NewAccount {
        address: offhook_exchange::directory::AddressOfRecord::new(user, "example.com"),
        password: Some(Password::new("secret").unwrap()),
        name: None,
        number: None,
        email: None,
        language: None,
        realm: "example.com".into(),
    }
}

#[tokio::test]
async fn a_crash_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 1), request("bob", 1)]).unwrap();
    journals[0].append(&mut vec![request("alice", 2), empty("bob"), request("carol", 1)]).unwrap();
    // The writer never runs, as if the process had been killed.
    drop((writer, journals));
    store.close().await;

    for purpose in [Use::Server, Use::Command, Use::Server] {
        let store = open(directory.path(), purpose).await;
        assert_eq!(bindings(&store).await, pairs(&[("alice", 2), ("carol", 1)]));
        store.close().await;
    }
}

#[tokio::test]
async fn the_writer_ends_when_all_journals_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (writer, mut journals) = store.journals(2).unwrap();
    let running = tokio::spawn(writer.run(|| NOW));
    journals[0].append(&mut vec![request("alice", 1)]).unwrap();
    journals[1].append(&mut vec![request("carol", 7)]).unwrap();
    drop(journals);
    running.await.unwrap();
    assert_eq!(store.health(), Health::default());
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1), ("carol", 7)]));
}

#[tokio::test]
async fn a_long_journal_is_replaced_and_what_it_left_is_merged() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (mut writer, mut journals) = store.journals(1).unwrap();
    for cseq in 1..=20 {
        journals[0].append(&mut vec![request("alice", cseq), request("bob", cseq), empty("carol")]).unwrap();
        writer.tend(NOW).await;
        writer.end_compaction().await;
    }
    let generations: Vec<_> =
        JournalFile::all(directory.path()).unwrap().iter().map(|file| file.generation).collect();
    // The merged one, those that came since, and one that is used or will be.
    assert!(generations[0] > 10 && (2..=4).contains(&generations.len()), "{generations:?}");
    assert_eq!(bindings(&store).await, pairs(&[("alice", 20), ("bob", 20)]));
    assert_eq!(store.health(), Health::default());
}

#[tokio::test]
async fn another_number_of_shards_knows_what_the_former_wrote() {
    let directory = tempfile::tempdir().unwrap();
    for (shards, cseq) in [(3, 1), (1, 2), (2, 3)] {
        let store = server(directory.path()).await;
        let (mut writer, mut journals) = store.journals(shards).unwrap();
        for (index, journal) in journals.iter_mut().enumerate() {
            journal.append(&mut vec![request(&format!("user{index}"), cseq)]).unwrap();
        }
        writer.tend(NOW).await;
        writer.end_compaction().await;
        drop((writer, journals));
        store.close().await;
    }
    let store = server(directory.path()).await;
    assert_eq!(bindings(&store).await, pairs(&[("user0", 3), ("user1", 3), ("user2", 1)]));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_is_in_memory_only_is_told_and_written_into_the_next_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (mut writer, mut journals) = store.journals(1).unwrap();
    journals[0].put(dev_full(1));
    assert!(journals[0].append(&mut vec![request("alice", 1)]).is_err());
    let health = store.health();
    assert!(health.memory_only() && health.journal_error.is_some());
    writer.tend(NOW).await;
    journals[0].append(&mut Vec::new()).unwrap();
    assert_eq!(store.health(), Health::default());
    assert_eq!(bindings(&store).await, pairs(&[("alice", 1)]));
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (mut writer, mut journals) = store.journals(1).unwrap();
    // Where the next file would be there is something else.
    let next = JournalFile::new(directory.path(), 2, 0);
    std::fs::create_dir(&next.path).unwrap();
    journals[0].append(&mut (0..9).map(|cseq| request("alice", cseq)).collect()).unwrap();
    writer.tend(NOW).await;
    assert!(store.health().journal_error.is_some());
    std::fs::remove_dir(&next.path).unwrap();
    writer.tend(NOW).await;
    assert_eq!(store.health(), Health::default());
    assert_eq!(bindings(&store).await, pairs(&[("alice", 8)]));
}

#[tokio::test]
async fn an_account_that_is_made_or_made_again_has_no_binding_of_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = server(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 1), request("bob", 1)]).unwrap();
    drop((writer, journals));
    store.close().await;

    // Whoever was alice before was someone else.
    let store = open(directory.path(), Use::Command).await;
    store.add_account(account("alice"), NOW).await.unwrap();
    assert_eq!(bindings(&store).await, pairs(&[("bob", 1)]));
    store.add_account(account("bob"), NOW).await.unwrap();
    store.close().await;

    let store = server(directory.path()).await;
    let (writer, mut journals) = store.journals(1).unwrap();
    journals[0].append(&mut vec![request("alice", 2)]).unwrap();
    drop((writer, journals));
    store.close().await;

    let store = open(directory.path(), Use::Command).await;
    assert_eq!(bindings(&store).await, pairs(&[("alice", 2)]));
    store.remove_account(&account("alice").address).await.unwrap();
    store.add_account(account("alice"), NOW).await.unwrap();
    assert_eq!(bindings(&store).await, []);
}

/// Has all closed files merged, with what the journals have done up to now.
async fn merge(writer: &mut super::Writer) {
    (writer.pause, writer.is_due, writer.merged.live) = (0, true, 0);
    writer.tend(NOW).await;
    writer.end_compaction().await;
}

#[tokio::test]
async fn of_two_shards_the_one_that_wrote_last_counts() {
    let directory = tempfile::tempdir().unwrap();
    let mut cseq = 0;
    for shards in [3, 1, 2] {
        let store = server(directory.path()).await;
        let (writer, mut journals) = store.journals(shards).unwrap();
        for _ in 0..3 {
            for journal in &mut journals {
                cseq += 1;
                journal.append(&mut vec![request("alice", cseq)]).unwrap();
                journals_hold(&store, &[("alice", cseq)]).await;
            }
            // One shard has far more to do than the others.
            journals[0].append(&mut (0..9).map(|_| empty("bob")).collect()).unwrap();
        }
        drop((writer, journals));
        store.close().await;
        let store = server(directory.path()).await;
        journals_hold(&store, &[("alice", cseq)]).await;
        store.close().await;
    }
}

async fn journals_hold(store: &Store, expected: &[(&str, u32)]) {
    assert_eq!(bindings(store).await, pairs(expected));
}

#[tokio::test]
async fn a_phone_that_was_removed_by_another_shard_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let many = |user: &str| (0..4).map(|cseq| request(user, cseq)).collect::<Vec<_>>();
    for shards in [3, 2, 3] {
        let store = server(directory.path()).await;
        let (mut writer, mut journals) = store.journals(shards).unwrap();
        let last = journals.len() - 1;
        writer.tend(NOW).await;
        // It stays in the file that the first shard uses.
        journals[0].append(&mut vec![request("alice", 1)]).unwrap();
        for _ in 0..3 {
            // The last shard fills one file after the other.
            journals[last].append(&mut many("zoe")).unwrap();
            journals[last].append(&mut vec![empty("alice")]).unwrap();
            writer.tend(NOW).await;
            journals[last].append(&mut many("zoe")).unwrap();
            merge(&mut writer).await;
            journals_hold(&store, &[("zoe", 3)]).await;
        }
        drop((writer, journals));
        store.close().await;
    }
    // With one shard, and all files closed.
    let store = server(directory.path()).await;
    let (mut writer, mut journals) = store.journals(1).unwrap();
    for _ in 0..3 {
        journals[0].append(&mut many("zoe")).unwrap();
        merge(&mut writer).await;
        journals_hold(&store, &[("zoe", 3)]).await;
    }
}

/// What happens to an exchange with several shards.
#[derive(Clone, Debug)]
enum Step {
    /// A shard writes the bindings of an account, or that there are none.
    Write {
        shard: usize,
        user: usize,
        is_bound: bool,
    },
    /// The file of a shard cannot be written any more.
    #[cfg(target_os = "linux")]
    Fail {
        shard: usize,
    },
    Tend,
    Merge,
    /// The process is killed, or ends, and starts with another number of shards.
    Restart {
        shards: u8,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_usize, 0..4_usize, any::<bool>())
            .prop_map(|(shard, user, is_bound)| Step::Write { shard, user, is_bound }),
        1 => (0..3_usize).prop_map(|shard| {
            #[cfg(target_os = "linux")]
            let step = Step::Fail { shard };
            #[cfg(not(target_os = "linux"))]
            let step = Step::Write { shard, user: 0, is_bound: false };
            step
        }),
        3 => Just(Step::Tend),
        3 => Just(Step::Merge),
        1 => (1..=3_u8).prop_map(|shards| Step::Restart { shards }),
    ]
}

async fn take(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    let mut store = server(directory.path()).await;
    let (mut writer, mut journals) = store.journals(2).unwrap();
    for (cseq, step) in (1..).zip(steps) {
        match step {
            Step::Write { shard, user, is_bound } => {
                let shard = shard % journals.len();
                let user = format!("user{user}");
                let request = if is_bound { request(&user, cseq) } else { empty(&user) };
                // An error means that it waits.
                let _ = journals[shard].append(&mut vec![request]);
                expected.insert(user, is_bound.then_some(cseq));
                continue;
            }
            #[cfg(target_os = "linux")]
            Step::Fail { shard } => {
                let shard = shard % journals.len();
                journals[shard].put(dev_full(0));
                continue;
            }
            Step::Tend => writer.tend(NOW).await,
            Step::Merge => merge(&mut writer).await,
            Step::Restart { shards } => {
                // The files that are given to them take what waits. A merge would go on: its thread is not killed.
                writer.tend(NOW).await;
                writer.end_compaction().await;
                drop((writer, journals));
                store.close().await;
                store = server(directory.path()).await;
                (writer, journals) = store.journals(shards).unwrap();
            }
        }
        for journal in &mut journals {
            let _ = journal.append(&mut Vec::new());
        }
        if !store.health().memory_only() {
            let bound = expected.iter().filter_map(|(user, cseq)| cseq.map(|cseq| (user.clone(), cseq)));
            assert_eq!(bindings(&store).await, bound.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_shards_do_and_whenever_they_end_the_last_word_counts(steps in vec(steps(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(take(steps));
    }
}
