use offhook_exchange::io::StoreRequest;
use proptest::prelude::*;

use crate::journal::file::JournalFile;
use crate::journal::record::encode;
use crate::journal::tests::{entries, request};

/// A file with these octets behind its first records, and where each of those begins; the last ends the list.
fn file(directory: &std::path::Path, records: usize) -> (JournalFile, Vec<usize>) {
    let (mut octets, mut starts) = (Vec::new(), Vec::new());
    for number in 0..records {
        starts.push(8 + octets.len());
        let StoreRequest::Bindings(account, bindings) = request(&format!("user{number}"), 1);
        encode(&mut octets, 0, number as u64, &account, &bindings);
    }
    starts.push(8 + octets.len());
    let file = JournalFile::new(directory, 1, 0);
    file.create(&octets).unwrap();
    (file, starts)
}

/// The numbers of the records that are read when the octets were changed so, and whether something is damaged.
fn read(file: &JournalFile, change: impl FnOnce(&mut Vec<u8>)) -> (Vec<u64>, bool) {
    let whole = std::fs::read(&file.path).unwrap();
    let mut octets = whole.clone();
    change(&mut octets);
    std::fs::write(&file.path, &octets).unwrap();
    let numbers = entries(file).into_iter().map(|(_, number)| number).collect();
    let is_damaged = file.read(|offset, record, _| {
        let offset = offset as usize;
        assert_eq!(&octets[offset..offset + record.len()], record);
    });
    std::fs::write(&file.path, whole).unwrap();
    (numbers, is_damaged.unwrap())
}

#[test]
fn a_record_with_a_damaged_length_hides_none_that_follow_it() {
    let directory = tempfile::tempdir().unwrap();
    let (file, starts) = file(directory.path(), 4);
    assert_eq!(read(&file, |_| {}), (vec![0, 1, 2, 3], false));
    for length in [0_u32, 1, 8, 26, 300, 3000, 1 << 20, 1 << 25, u32::MAX] {
        let damage = |octets: &mut Vec<u8>| {
            octets[starts[1]..starts[1] + 4].copy_from_slice(&length.to_le_bytes());
        };
        assert_eq!(read(&file, damage), (vec![0, 2, 3], true), "{length}");
        let damage = |octets: &mut Vec<u8>| {
            octets[starts[3]..starts[3] + 4].copy_from_slice(&length.to_le_bytes());
        };
        assert_eq!(read(&file, damage), (vec![0, 1, 2], true), "{length} in the last one");
    }
}

#[test]
fn a_file_that_is_longer_than_what_is_read_at_once_is_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let (file, starts) = file(directory.path(), 2000);
    assert!(*starts.last().unwrap() > 3 * super::BLOCK);
    let all: Vec<u64> = (0..2000).collect();
    assert_eq!(read(&file, |_| {}), (all.clone(), false));
    let without = |first: usize, end: usize| [&all[..first], &all[end..]].concat();
    // A whole region is lost, from the middle of one record to the middle of another.
    let blank = |octets: &mut Vec<u8>| octets[starts[100] + 9..starts[900] + 9].fill(0);
    assert_eq!(read(&file, blank), (without(100, 901), true));
    let noise = |octets: &mut Vec<u8>| octets[starts[100] + 9..starts[900] + 9].fill(1);
    assert_eq!(read(&file, noise), (without(100, 901), true));
    let gone = |octets: &mut Vec<u8>| drop(octets.drain(starts[100] + 9..starts[900] + 9));
    assert_eq!(read(&file, gone), (without(100, 901), true));
}

#[test]
fn zeroes_between_records_and_behind_them_are_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (file, starts) = file(directory.path(), 3);
    assert_eq!(read(&file, |octets| octets.extend([0; 5000])), (vec![0, 1, 2], false));
    let between = |octets: &mut Vec<u8>| drop(octets.splice(starts[1]..starts[1], [0; 5000]));
    assert_eq!(read(&file, between), (vec![0, 1, 2], false));
    let instead = |octets: &mut Vec<u8>| octets[starts[1]..starts[2]].fill(0);
    assert_eq!(read(&file, instead), (vec![0, 2], false));
}

#[test]
fn what_looks_like_a_record_within_a_damaged_one_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let StoreRequest::Bindings(account, bindings) = request("mallory", 1);
    let mut inner = Vec::new();
    encode(&mut inner, 0, 99, &account, &bindings);
    let StoreRequest::Bindings(account, mut bindings) = request("alice", 1);
    bindings.0[0].user_agent = String::from_utf8_lossy(&inner).into_owned();
    let mut octets = Vec::new();
    encode(&mut octets, 0, 1, &account, &bindings);
    let first = octets.len();
    encode(&mut octets, 0, 2, &account, &bindings);
    octets[super::HEAD + 3] ^= 1;
    let file = JournalFile::new(directory.path(), 1, 0);
    file.create(&octets).unwrap();
    assert_eq!(entries(&file), [("alice".into(), 2)]);
    assert!(first > inner.len());
}

proptest! {
    #[test]
    fn whatever_happens_to_one_record_the_others_are_read(
        which in 0..5_usize, at in any::<prop::sample::Index>(), with: Vec<u8>, length in 1..40_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (file, starts) = file(directory.path(), 5);
        let (from, end) = (starts[which], starts[which + 1]);
        let at = from + at.index(end - from);
        let change = |octets: &mut Vec<u8>| drop(octets.splice(at..end.min(at + length), with));
        let (numbers, _) = read(&file, change);
        for number in (0..5).filter(|number| *number != which as u64) {
            prop_assert!(numbers.contains(&number), "{number} of {numbers:?}");
        }
    }
}
