//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::ledger::{decode, encode};
use super::{Records, spent as lines};

/// Reads a file of the ledger, whatever it is. What was understood is written and read once more, and is the same; then it
/// becomes records, as after a crash.
pub fn ledger(bytes: &[u8]) {
    let mut records = Records::new(Path::new("/dev/null"));
    let (mut written, mut understood) = (Vec::new(), Vec::new());
    for (unix, event) in decode(bytes) {
        encode(&mut written, unix, &event);
        understood.push(format!("{unix:?} {event:?}"));
        records.take(unix, event);
    }
    let again = decode(&written).map(|(unix, event)| format!("{unix:?} {event:?}"));
    assert!(again.eq(understood.iter().cloned()));
    records.close_all(Duration::from_secs(1_800_000_000));
    assert!(records.without(&Default::default()) <= 2 * understood.len());
}

/// Sums a file of what accounts have spent, whatever it is. The same lines once more change nothing.
pub fn spent(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mut once, mut twice) = (BTreeMap::new(), BTreeMap::new());
    lines::sum(&text, DAY, &mut once);
    lines::sum(&format!("{text}\n{text}"), DAY, &mut twice);
    assert_eq!(once, twice);
}

const DAY: i32 = 20_000;
