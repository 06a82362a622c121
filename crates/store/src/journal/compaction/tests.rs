use offhook_exchange::io::StoreRequest;

use super::*;
use crate::journal::newest::Newest;
use crate::journal::record::encode;
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
    let all = Newest::read(directory).unwrap().entries;
    let of = |(account, (_, bindings)): (AddressOfRecord, (u64, offhook_exchange::directory::Bindings))| {
        let live = bindings.0.into_iter().find(|one| one.expires_at > NOW)?;
        Some((account.user().to_owned(), live.cseq))
    };
    all.into_iter().filter_map(of).collect()
}

fn expected() -> Vec<(String, u32)> {
    vec![("alice".into(), 2), ("dora".into(), 1)]
}

#[test]
fn the_newest_entries_that_are_not_over_are_left_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    let compacted = compact(&closed, NOW).unwrap();
    let files = JournalFile::all(directory.path()).unwrap();
    assert_eq!(files, [closed[0].clone()]);
    assert_eq!(compacted.left, [1]);
    assert_eq!(compacted.length, std::fs::metadata(&files[0].path).unwrap().len());
    assert_eq!(entries(&files[0]), [("dora".into(), 4), ("alice".into(), 6)]);
    assert_eq!(live(directory.path()), expected());
    // Once more, nothing changes.
    compact(&files, NOW).unwrap();
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn the_order_of_numbers_counts_and_not_that_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let closed = [
        file(directory.path(), 1, 0, &[(9, request("alice", 9))]),
        file(directory.path(), 2, 0, &[(3, empty("alice"))]),
    ];
    compact(&closed, NOW).unwrap();
    assert_eq!(live(directory.path()), [("alice".into(), 9)]);
}

#[test]
fn a_crash_before_the_old_files_are_removed_brings_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    let newer = std::fs::read(&closed[1].path).unwrap();
    compact(&closed, NOW).unwrap();
    // The result has the place of the oldest file; the others are still there.
    std::fs::write(&closed[1].path, newer).unwrap();
    assert_eq!(live(directory.path()), expected());
    compact(&closed, NOW).unwrap();
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn a_crash_while_the_result_is_written_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    std::fs::write(directory.path().join(UNFINISHED), b"OFFHOOK\x01 half").unwrap();
    assert_eq!(live(directory.path()), expected());
    compact(&closed, NOW).unwrap();
    assert!(!directory.path().join(UNFINISHED).exists());
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn what_is_gone_stays_gone_when_a_file_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let closed = two(directory.path());
    let old = std::fs::read(&closed[0].path).unwrap();
    std::fs::write(&closed[0].path, b"of another version").unwrap();
    assert_eq!(compact(&closed, NOW).unwrap().left, [2, 1]);
    std::fs::write(&closed[0].path, old).unwrap();
    assert_eq!(live(directory.path()), expected());
}

#[test]
fn a_damaged_record_hides_none_that_follow_it() {
    let directory = tempfile::tempdir().unwrap();
    let all = [(1, request("alice", 1)), (2, request("bob", 1)), (3, request("carol", 1))];
    let file = file(directory.path(), 1, 0, &all);
    let mut bytes = std::fs::read(&file.path).unwrap();
    let at = bytes.windows(4).position(|octets| octets == b"bob@").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    let others = || vec![("alice".to_owned(), 1), ("carol".to_owned(), 1)];
    assert_eq!(live(directory.path()), others());
    compact(&[file], NOW).unwrap();
    assert_eq!(live(directory.path()), others());
}
