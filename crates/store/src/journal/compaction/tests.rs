use offhook_exchange::io::StoreRequest;

use super::*;
use crate::journal::newest::Newest;
use crate::journal::record::encode;
use crate::journal::survey::with_lengths;
use crate::journal::tests::{empty, entries, request};

const NOW: u64 = 1_700_000_000;

/// A closed file with these entries.
fn file(directory: &Path, generation: u64, shard: u8, all: &[(u64, StoreRequest)]) -> JournalFile {
    let mut records = Vec::new();
    for (number, StoreRequest::Bindings(account, bindings)) in all {
        encode(&mut records, shard, *number, account, bindings);
    }
    let file = JournalFile::new(directory, generation, shard);
    file.create(&records).unwrap();
    file
}

fn expired(user: &str) -> StoreRequest {
    let StoreRequest::Bindings(account, mut bindings) = request(user, 1);
    bindings.0[0].expires_at = NOW;
    StoreRequest::Bindings(account, bindings)
}

/// Two files of which only two entries count.
fn two(directory: &Path) -> Vec<JournalFile> {
    let old =
        [(1, request("alice", 1)), (2, request("bob", 1)), (3, request("carol", 1)), (4, request("dora", 1))];
    let new = [(5, empty("bob")), (6, request("alice", 2)), (7, expired("carol"))];
    vec![file(directory, 1, 0, &old), file(directory, 2, 1, &new)]
}

fn live(directory: &Path) -> Vec<(String, u32)> {
    let (_, newest) = Newest::read(directory, NOW).unwrap();
    newest
        .into_bindings()
        .map(|(account, bindings)| (account.user().to_owned(), bindings.0[0].cseq))
        .collect()
}

/// Merges these files into number 100 or the next, where no entry before `floor` is anywhere else.
fn merge(closed: &[JournalFile], floor: u64) -> Merged {
    let generation = 100.max(closed[0].generation + 1);
    let result = JournalFile::new(closed[0].path.parent().unwrap(), generation, 0);
    let closed = with_lengths(closed.to_vec()).unwrap().unwrap();
    Merge { closed, result, floor, now: NOW, least: None }.run().unwrap()
}

/// Merges all files that are there into this one, with no entry anywhere else.
fn merge_all(directory: &Path, generation: u64) -> JournalFile {
    let closed = with_lengths(JournalFile::all(directory).unwrap()).unwrap().unwrap();
    let result = JournalFile::new(directory, generation, 0);
    Merge { closed, result: result.clone(), floor: u64::MAX, now: NOW, least: None }.run().unwrap();
    result
}

fn expected() -> Vec<(String, u32)> {
    vec![("alice".into(), 2), ("dora".into(), 1)]
}

#[test]
fn the_newest_entries_are_left_in_one_file_and_those_that_are_over_until_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let merged = merge(&two(directory.path()), u64::MAX);
    let files = JournalFile::all(directory.path()).unwrap();
    assert_eq!(files, [JournalFile::new(directory.path(), 100, 0)]);
    assert!(merged.unreadable.is_empty());
    assert_eq!(merged.live + MAGIC.len() as u64, fs::metadata(&files[0].path).unwrap().len());
    let all = [("dora", 4), ("bob", 5), ("alice", 6), ("carol", 7)];
    assert_eq!(entries(&files[0]), all.map(|(user, number)| (user.to_owned(), number)));
    assert_eq!(live(directory.path()), expected());
    // What bob's and carol's entries hid is gone now.
    let result = merge_all(directory.path(), 101);
    assert_eq!(entries(&result), [("dora".into(), 4), ("alice".into(), 6)]);
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn the_order_of_numbers_counts_and_not_that_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let closed = [
        file(directory.path(), 1, 0, &[(9, request("alice", 9))]),
        file(directory.path(), 2, 0, &[(3, empty("alice"))]),
    ];
    merge(&closed, u64::MAX);
    assert_eq!(live(directory.path()), [("alice".into(), 9)]);
}

#[test]
fn a_crash_while_the_old_files_are_removed_brings_nothing_back_whichever_are_left() {
    // The newer file has the lower generation, as of two shards; and the other way round.
    for generations in [[1, 2], [2, 1]] {
        for left in 0..3 {
            let directory = tempfile::tempdir().unwrap();
            let mut closed = two(directory.path());
            let bytes: Vec<_> = closed.iter().map(|file| fs::read(&file.path).unwrap()).collect();
            for ((file, bytes), generation) in closed.iter_mut().zip(&bytes).zip(generations) {
                fs::remove_file(&file.path).unwrap();
                *file = JournalFile::new(directory.path(), generation + 10, 0);
                fs::write(&file.path, bytes).unwrap();
            }
            merge(&closed, u64::MAX);
            for (file, bytes) in closed.iter().zip(&bytes).filter(|(file, _)| file.generation != 10 + left) {
                fs::write(&file.path, bytes).unwrap();
            }
            assert_eq!(live(directory.path()), expected());
            merge_all(directory.path(), 101);
            assert_eq!(live(directory.path()), expected());
            merge_all(directory.path(), 102);
            assert_eq!(live(directory.path()), expected());
        }
    }
}

#[test]
fn a_crash_while_the_result_is_written_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    fs::write(directory.path().join(UNFINISHED), b"OFFHOOK\x01 half").unwrap();
    assert_eq!(live(directory.path()), expected());
    merge(&closed, u64::MAX);
    assert!(!directory.path().join(UNFINISHED).exists());
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn what_hides_an_entry_in_a_file_in_use_stays_as_long_as_that() {
    let directory = tempfile::tempdir().unwrap();
    let used = file(directory.path(), 1, 0, &[(3, request("bob", 1)), (4, expired("dora"))]);
    let closed = file(directory.path(), 2, 1, &[(2, expired("alice")), (5, empty("bob"))]);
    merge(&[closed], 3);
    let result = JournalFile::new(directory.path(), 100, 0);
    assert_eq!(entries(&result), [("bob".into(), 5)]);
    assert_eq!(live(directory.path()), []);
    merge(&[result], 3);
    assert_eq!(live(directory.path()), []);
    merge_all(directory.path(), 102);
    merge_all(directory.path(), 103);
    assert_eq!((JournalFile::all(directory.path()).unwrap(), used.path.exists()), (Vec::new(), false));
}

#[test]
fn what_is_gone_stays_gone_when_a_file_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    let old = fs::read(&closed[0].path).unwrap();
    fs::write(&closed[0].path, b"of another version").unwrap();
    assert_eq!(merge(&closed, u64::MAX).unreadable, [1]);
    merge_all(directory.path(), 101);
    fs::write(&closed[0].path, old).unwrap();
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn what_saves_too_little_is_not_done() {
    assert!(!is_worth_it(100, 50, 10) && is_worth_it(101, 50, 10));
    assert!(!is_worth_it(30, 10, 20) && is_worth_it(31, 10, 20));
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    let least = Some(1 << 20);
    let result = JournalFile::new(directory.path(), 100, 0);
    let with_lengths = with_lengths(closed.clone()).unwrap().unwrap();
    let merge = Merge { closed: with_lengths, result, floor: u64::MAX, now: NOW, least };
    assert!(merge.run().unwrap().live > 0);
    assert_eq!(JournalFile::all(directory.path()).unwrap(), closed);
}

#[test]
fn a_file_with_a_damaged_record_is_kept_aside_and_the_others_of_it_count() {
    let directory = tempfile::tempdir().unwrap();
    let all = [(1, request("alice", 1)), (2, request("bob", 1)), (3, request("carol", 1))];
    let file = file(directory.path(), 1, 0, &all);
    let mut bytes = fs::read(&file.path).unwrap();
    let at = bytes.windows(4).position(|octets| octets == b"bob@").unwrap();
    bytes[at] ^= 1;
    fs::write(&file.path, &bytes).unwrap();
    let others = || vec![("alice".to_owned(), 1), ("carol".to_owned(), 1)];
    assert_eq!(live(directory.path()), others());
    merge(std::slice::from_ref(&file), u64::MAX);
    assert_eq!(live(directory.path()), others());
    let mut aside = file.path.into_os_string();
    aside.push(".damaged");
    assert_eq!(fs::read(aside).unwrap(), bytes);
}

#[test]
fn half_a_record_at_the_end_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(directory.path(), 1, 0, &[(1, request("alice", 1)), (2, request("bob", 1))]);
    let length = fs::metadata(&file.path).unwrap().len();
    OpenOptions::new().write(true).open(&file.path).unwrap().set_len(length - 7).unwrap();
    merge(&[file], u64::MAX);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(live(directory.path()), [("alice".into(), 1)]);
}
