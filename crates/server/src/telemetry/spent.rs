//! What accounts have spent, in files of their own, one for each day: call records may be moved away, these are not.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::spending::{Money, Spent};
use serde::{Deserialize, Serialize};

/// Lines that are not written yet.
pub(super) struct SpentLines {
    folder: PathBuf,
    /// By day.
    lines: BTreeMap<i32, String>,
    failing: bool,
}

/// A call that is over, and what it has cost.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    /// Microseconds of Unix time: together with the Call-ID this is one call.
    started_at: u64,
    account: String,
    seconds: u64,
    /// In millionths.
    money: u64,
}

impl SpentLines {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER), lines: BTreeMap::new(), failing: false }
    }

    pub(super) fn add(
        &mut self,
        id: &str,
        started_at: Duration,
        (account, day): (&AddressOfRecord, i32),
        spent: Spent,
    ) {
        let line = Line {
            id: id.to_owned(),
            started_at: started_at.as_micros() as u64,
            account: account.as_str().to_owned(),
            seconds: spent.seconds,
            money: spent.money.0,
        };
        let lines = self.lines.entry(day).or_default();
        if lines.len() < MOST_WAITING {
            lines.push_str(&serde_json::to_string(&line).unwrap_or_default());
            lines.push('\n');
        }
    }

    /// Writes what came since the last time; what cannot be written waits.
    pub(super) fn flush(&mut self) {
        let written = self.write(false);
        if let Err(error) = &written
            && !self.failing
        {
            tracing::error!(%error, "what accounts spend is not safe from a crash until this is mended");
        }
        self.failing = written.is_err();
    }

    /// The same, so that it outlives the machine too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write_to_disk(&mut self) -> io::Result<()> {
        self.write(true)
    }

    fn write(&mut self, to_disk: bool) -> io::Result<()> {
        while let Some(entry) = self.lines.first_entry() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let path = self.folder.join(file_name(*entry.key()));
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.write_all(entry.get().as_bytes())?;
            if to_disk {
                file.sync_data()?;
            }
            entry.remove();
        }
        Ok(())
    }
}

/// What accounts have spent today and yesterday, by account and day. Files of days before are removed.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn spent(data_dir: &Path, today: i32) -> io::Result<BTreeMap<(AddressOfRecord, i32), Spent>> {
    let folder = data_dir.join(FOLDER);
    let mut all = BTreeMap::new();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(all),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let day = path.file_stem().and_then(|stem| stem.to_str()?.parse::<i32>().ok());
        match day {
            // A line that was cut off may end within a character.
            Some(day) if day >= today - 1 => sum(&String::from_utf8_lossy(&fs::read(&path)?), day, &mut all),
            // One that cannot be removed does no harm.
            Some(_) => drop(fs::remove_file(&path)),
            None => {}
        }
    }
    Ok(all)
}

/// Each call counts once, and a line that was cut off not at all.
pub(super) fn sum(text: &str, day: i32, all: &mut BTreeMap<(AddressOfRecord, i32), Spent>) {
    let mut seen = HashSet::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        let Some((user, host)) = line.account.rsplit_once('@') else { continue };
        let account = AddressOfRecord::new(user, host);
        if seen.insert((line.id, line.started_at)) {
            let spent = Spent { seconds: line.seconds, money: Money(line.money) };
            let sum = all.entry((account, day)).or_default();
            *sum = sum.and(spent);
        }
    }
}

fn file_name(day: i32) -> String {
    format!("{day}.ndjson")
}

/// In the data directory.
const FOLDER: &str = "spent";
/// Octets that wait for a disk.
const MOST_WAITING: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_summed_each_call_once_and_old_days_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let alice = AddressOfRecord::new("alice", "example.com");
        let mut lines = SpentLines::new(data.path());
        let spent = |money| Spent { seconds: 60, money: Money(money) };
        for (id, day, money) in [("a", 10, 1), ("b", 10, 2), ("a", 10, 1), ("c", 9, 4), ("d", 8, 8)] {
            lines.add(id, Duration::from_secs(7), (&alice, day), spent(money));
        }
        lines.flush();
        let torn = data.path().join(FOLDER).join("10.ndjson");
        OpenOptions::new()
            .append(true)
            .open(&torn)
            .unwrap()
            .write_all(b"{\"id\":\"e\",\"account\":\"\xe5")
            .unwrap();
        let all = super::spent(data.path(), 10).unwrap();
        assert_eq!(all[&(alice.clone(), 10)], Spent { seconds: 120, money: Money(3) });
        assert_eq!(all[&(alice, 9)].money, Money(4));
        assert_eq!(all.len(), 2);
        assert!(!data.path().join(FOLDER).join("8.ndjson").exists());
    }

    #[test]
    fn a_damaged_file_of_what_was_spent_is_summed_as_far_as_it_goes() {
        let line = r#"{"id":"a","started_at":7,"account":"alice@example.com","seconds":60,"money":18446744073709551615}"#;
        let whole =
            [line, &line.replace("\"a\"", "\"b\""), &line.replace("alice", "bob")].join("\n").into_bytes();
        let mut seed = 1_u64;
        let mut dice = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..5_000 {
            let mut damaged = whole.clone();
            for _ in 0..dice(4) {
                let place = dice(damaged.len());
                damaged[place] = dice(256) as u8;
            }
            damaged.truncate(dice(4 * whole.len()) + 1);
            super::super::fuzz::spent(&damaged);
        }
    }
}
