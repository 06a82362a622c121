use std::fs::OpenOptions;
use std::path::Path;

use offhook_exchange::directory::{Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};
use tokio::sync::mpsc::Receiver as Batches;

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
    };
    StoreRequest::Bindings(AddressOfRecord::new(user, "example.com"), Bindings(vec![binding]))
}

pub(crate) fn dev_full(generation: u64) -> Open {
    let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    Open { file, generation, length: 0 }
}

/// A journal with its first file, and the other ends of its channels.
fn journal(directory: &Path, room: usize) -> (Journal, Batches<Batch>, std::sync::mpsc::Sender<Open>) {
    let (sender, batches) = tokio::sync::mpsc::channel(room);
    let (spares, received) = std::sync::mpsc::channel();
    spares.send(open(directory, 1)).unwrap();
    (Journal::new(0, 0, sender, received), batches, spares)
}

fn open(directory: &Path, generation: u64) -> Open {
    let (file, length) = JournalFile::new(directory, generation, 0).create(&[]).unwrap();
    Open { file, generation, length }
}

fn users(entries: &[Entry]) -> Vec<(&str, u64)> {
    entries.iter().map(|entry| (entry.account.user(), entry.sequence)).collect()
}

#[test]
fn a_batch_is_in_the_file_when_append_returns() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, mut batches, _spares) = journal(directory.path(), 8);
    let mut requests = vec![request("alice", 1), request("bob", 1)];
    journal.append(&mut requests).unwrap();
    assert!(requests.is_empty());
    let entries = JournalFile::new(directory.path(), 1, 0).read().unwrap();
    assert_eq!(users(&entries), [("alice", 1), ("bob", 2)]);
    let StoreRequest::Bindings(_, bindings) = request("bob", 1);
    assert_eq!(entries[1].bindings, bindings);
    let batch = batches.try_recv().unwrap();
    assert_eq!((batch.entries, batch.through, batch.generation), (entries, 2, 1));
}

#[test]
fn a_file_cut_anywhere_gives_the_whole_records_before_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _batches, _spares) = journal(directory.path(), 8);
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
        assert_eq!(file.read().unwrap().len(), expected, "cut at {cut}");
    }
}

#[test]
fn the_newest_spare_file_is_used_from_the_next_batch_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _batches, spares) = journal(directory.path(), 8);
    journal.append(&mut vec![request("alice", 1)]).unwrap();
    spares.send(open(directory.path(), 2)).unwrap();
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut vec![request("bob", 1)]).unwrap();
    let in_file = |generation| JournalFile::new(directory.path(), generation, 0).read().unwrap();
    assert_eq!(users(&in_file(1)), [("alice", 1)]);
    assert_eq!(in_file(2), []);
    assert_eq!(users(&in_file(3)), [("bob", 2)]);
}

#[test]
fn what_the_writer_has_no_room_for_waits_with_the_newest_of_each_account() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, mut batches, _spares) = journal(directory.path(), 1);
    for (user, cseq) in [("first", 1), ("alice", 1), ("bob", 1), ("alice", 2)] {
        journal.append(&mut vec![request(user, cseq)]).unwrap();
    }
    assert_eq!(users(&batches.try_recv().unwrap().entries), [("first", 1)]);
    journal.append(&mut Vec::new()).unwrap();
    let batch = batches.try_recv().unwrap();
    assert_eq!(users(&batch.entries), [("alice", 4), ("bob", 3)]);
    assert_eq!(batch.through, 4);
    journal.append(&mut Vec::new()).unwrap();
    assert!(batches.try_recv().is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported_and_the_batch_still_reaches_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, mut batches, spares) = journal(directory.path(), 8);
    spares.send(dev_full(2)).unwrap();
    assert!(matches!(journal.append(&mut vec![request("alice", 1)]), Err(JournalError::Write(_))));
    let batch = batches.try_recv().unwrap();
    assert_eq!(users(&batch.entries), [("alice", 1)]);
    // The device cannot be cut back to whole records, so it is not written to again.
    assert_eq!((batch.unwritten, batch.length, batch.generation), (1, None, 2));
    assert!(batch.failure.is_some());
    assert!(matches!(journal.append(&mut vec![request("alice", 2)]), Err(JournalError::NoFile)));
    spares.send(open(directory.path(), 3)).unwrap();
    journal.append(&mut vec![request("alice", 3)]).unwrap();
    assert_eq!(users(&JournalFile::new(directory.path(), 3, 0).read().unwrap()), [("alice", 3)]);
}

#[test]
fn a_write_that_fails_halfway_leaves_whole_records() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _batches, _spares) = journal(directory.path(), 8);
    journal.append(&mut vec![request("alice", 1)]).unwrap();
    // As if half a record had reached a full disk before the error.
    let current = journal.current.as_mut().unwrap();
    current.file.write_all(b"half a record").unwrap();
    current.file.set_len(current.length).unwrap();
    journal.append(&mut vec![request("bob", 1)]).unwrap();
    let entries = JournalFile::new(directory.path(), 1, 0).read().unwrap();
    assert_eq!(users(&entries), [("alice", 1), ("bob", 2)]);
}
