use std::fs::OpenOptions;
use std::path::Path;

use offhook_exchange::directory::{Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};
use tokio::sync::Notify;

use super::file::JournalFile;
use super::*;

pub(crate) fn request(user: &str, cseq: u32) -> StoreRequest {
    let flow = Flow {
        transport: Transport::Udp,
        local: "0.0.0.0:5060".parse().unwrap(),
        remote: "192.0.2.7:5062".parse().unwrap(),
        connection: None,
    };
    let binding = Binding {
        contact: format!("sip:{user}@192.0.2.7:5062"),
        q: 1000,
        expires_at: 2_000_000_000,
        flow,
        behind_nat: true,
        path: vec!["<sip:edge.example.com;lr>".into()],
        call_id: "a84b4c76e66710".into(),
        cseq,
        instance: Some("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>".into()),
        reg_id: Some(1),
        user_agent: "Desk 电话/1.0".into(),
        media: None,
    };
    StoreRequest::Bindings(AddressOfRecord::new(user, "example.com"), Bindings(vec![binding]))
}

pub(crate) fn empty(user: &str) -> StoreRequest {
    StoreRequest::Bindings(AddressOfRecord::new(user, "example.com"), Bindings::default())
}

pub(crate) fn dev_full(generation: u64) -> Open {
    let file = Arc::new(OpenOptions::new().append(true).open("/dev/full").unwrap());
    Open { file, generation, length: 0 }
}

/// A journal with its first file, and the way to give it more.
fn journal(directory: &Path) -> (Journal, std::sync::mpsc::Sender<Open>) {
    let (spares, received) = std::sync::mpsc::channel();
    spares.send(open(directory, 1)).unwrap();
    (Journal::new(0, Arc::default(), received, Arc::new(Track::new(Arc::new(Notify::new())))), spares)
}

fn open(directory: &Path, generation: u64) -> Open {
    let (file, length) = JournalFile::new(directory, generation, 0).create(&[]).unwrap();
    Open { file: Arc::new(file), generation, length }
}

/// The entries of a file as user and number.
pub(crate) fn entries(file: &JournalFile) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    file.read(|_, _, record| {
        all.push((record.account.rsplit_once('@').unwrap().0.to_owned(), record.sequence))
    })
    .unwrap();
    all
}

fn in_file(directory: &Path, generation: u64) -> Vec<(String, u64)> {
    entries(&JournalFile::new(directory, generation, 0))
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(user, number)| ((*user).to_owned(), *number)).collect()
}

#[test]
fn a_batch_is_in_the_file_when_append_returns() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _spares) = journal(directory.path());
    let mut requests = vec![request("alice", 1), request("bob", 1)];
    journal.append(&mut requests).unwrap();
    assert!(requests.is_empty());
    assert_eq!(in_file(directory.path(), 1), pairs(&[("alice", 1), ("bob", 2)]));
    let all: Vec<_> = newest::Newest::read(directory.path(), 0).unwrap().1.into_bindings().collect();
    let expected = [request("alice", 1), request("bob", 1)];
    assert_eq!(all, expected.map(|StoreRequest::Bindings(account, bindings)| (account, bindings)));
}

#[test]
fn a_file_cut_anywhere_gives_the_whole_records_before_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _spares) = journal(directory.path());
    let mut ends = Vec::new();
    for number in 1..=3 {
        journal.append(&mut vec![request("alice", number)]).unwrap();
        ends.push(journal.current.as_ref().unwrap().length as usize);
    }
    let file = JournalFile::new(directory.path(), 1, 0);
    let whole = std::fs::read(&file.path).unwrap();
    assert_eq!(whole.len(), ends[2]);
    for cut in 0..=whole.len() {
        std::fs::write(&file.path, &whole[..cut]).unwrap();
        let expected = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(entries(&file).len(), expected, "cut at {cut}");
    }
}

#[test]
fn the_newest_spare_file_is_used_from_the_next_batch_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, spares) = journal(directory.path());
    journal.append(&mut vec![request("alice", 1)]).unwrap();
    spares.send(open(directory.path(), 2)).unwrap();
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut vec![request("bob", 1)]).unwrap();
    assert_eq!(in_file(directory.path(), 1), pairs(&[("alice", 1)]));
    assert_eq!(in_file(directory.path(), 2), []);
    assert_eq!(in_file(directory.path(), 3), pairs(&[("bob", 2)]));
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_full_disk_refused_is_written_first_with_the_newest_of_each_account() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, spares) = journal(directory.path());
    journal.put(dev_full(2));
    assert!(matches!(journal.append(&mut vec![request("alice", 1)]), Err(JournalError::Write(_))));
    assert!(journal.track.error().is_some());
    // The device cannot be cut back to whole records, so it is not written to again.
    let second = journal.append(&mut vec![request("bob", 1), request("alice", 2)]);
    assert!(matches!(second, Err(JournalError::NoFile)));
    assert!(journal.append(&mut Vec::new()).is_err());
    assert_eq!(journal.track.waiting.load(Relaxed), 2);
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut vec![request("carol", 1)]).unwrap();
    assert_eq!(in_file(directory.path(), 3), pairs(&[("alice", 3), ("bob", 2), ("carol", 4)]));
    assert_eq!((journal.track.waiting.load(Relaxed), journal.track.error()), (0, None));
}

#[test]
#[cfg(target_os = "linux")]
fn without_requests_all_that_waits_is_written_when_there_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, spares) = journal(directory.path());
    journal.put(dev_full(2));
    let mut requests = (0..2 * PART + 1).map(|number| request(&number.to_string(), 1)).collect();
    assert!(journal.append(&mut requests).is_err());
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut requests).unwrap();
    assert_eq!(in_file(directory.path(), 3).len(), 2 * PART + 1);
}

#[test]
fn a_write_that_fails_halfway_leaves_whole_records() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _spares) = journal(directory.path());
    journal.append(&mut vec![request("alice", 1)]).unwrap();
    // As if half a record had reached a full disk before the error.
    let current = journal.current.as_mut().unwrap();
    (&*current.file).write_all(b"half a record").unwrap();
    current.file.set_len(current.length).unwrap();
    journal.append(&mut vec![request("bob", 1)]).unwrap();
    assert_eq!(in_file(directory.path(), 1), pairs(&[("alice", 1), ("bob", 2)]));
}

#[test]
fn what_waits_counts_for_the_least_number_that_may_come() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, spares) = journal(directory.path());
    let floor = |journal: &Journal| journal.track.floor.load(Acquire);
    let elsewhere = |journal: &Journal| journal.sequence.fetch_add(10, AcqRel);
    elsewhere(&journal);
    journal.append(&mut Vec::new()).unwrap();
    assert_eq!(floor(&journal), 11);
    journal.append(&mut vec![request("alice", 1)]).unwrap();
    elsewhere(&journal);
    journal.append(&mut vec![request("bob", 1)]).unwrap();
    assert_eq!(floor(&journal), 11);
    journal.current = None;
    assert!(journal.append(&mut vec![request("carol", 1)]).is_err());
    elsewhere(&journal);
    spares.send(open(directory.path(), 2)).unwrap();
    journal.append(&mut Vec::new()).unwrap();
    assert_eq!((in_file(directory.path(), 2), floor(&journal)), (pairs(&[("carol", 23)]), 23));
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut Vec::new()).unwrap();
    assert_eq!(floor(&journal), 34);
}
