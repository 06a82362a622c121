//! Call records: one line of JSON for each call that is over, in `cdr.ndjson`.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_exchange::event::Event;
use offhook_sip_stack::shrink;
use offhook_web::calendar::rfc3339;
use serde::Serialize;

/// The calls that are not over, and the file of those that are.
pub(crate) struct Records {
    path: PathBuf,
    calls: HashMap<Box<str>, Call>,
    /// Not written yet.
    lines: String,
    /// The last line could not be written.
    failing: bool,
}

/// What is known of a call that is not over. There may be as many as the exchange carries, so it is small, and in memory
/// of this thread's own, lest it keep what the signal thread used beside it.
struct Call {
    /// The caller's address and the one called.
    parties: Box<str>,
    /// How much of it is the caller's.
    from: u32,
    legs: u32,
    started_at: Duration,
    answered_at: Option<Duration>,
}

impl Call {
    fn new(from: &str, to: &str, targets: usize, started_at: Duration) -> Self {
        let parties = [from, to].concat().into_boxed_str();
        Self { parties, from: from.len() as u32, legs: targets as u32 + 1, started_at, answered_at: None }
    }

    fn parties(&self) -> (&str, &str) {
        self.parties.split_at(self.from as usize)
    }
}

/// A line of the file.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    from: &'a str,
    to: &'a str,
    started_at: String,
    answered_at: Option<String>,
    ended_at: String,
    ended_by: Option<&'static str>,
    code: u16,
    reason: String,
    legs: u32,
}

/// How a call ended.
struct End {
    by: Option<&'static str>,
    code: u16,
    reason: String,
}

impl Records {
    /// Records in this directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE_NAME), calls: HashMap::new(), lines: String::new(), failing: false }
    }

    /// Takes note of an event.
    pub(crate) fn take(&mut self, unix: Duration, event: Event) {
        match event {
            Event::CallStarted { call, from, to, targets } => {
                if self.calls.len() >= MOST_CALLS {
                    self.forget_oldest();
                }
                self.calls.insert(call.as_str().into(), Call::new(&from, &to, targets, unix));
            }
            Event::CallAnswered { call, .. } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.answered_at = Some(unix);
                }
            }
            Event::CallFailed { call, status, reason, by } => {
                let by = by.map(super::log::ended_by);
                self.end(unix, &call, End { by, code: status.code(), reason });
            }
            Event::CallEnded { call, by } => {
                let by = Some(super::log::ended_by(by));
                self.end(unix, &call, End { by, code: 200, reason: "OK".into() });
            }
            Event::LegStarted { .. }
            | Event::Dropped { .. }
            | Event::Refused { .. }
            | Event::Overload { .. }
            | Event::Trunk { .. }
            | Event::AuthenticationFailed { .. }
            | Event::CallRinging { .. }
            | Event::Registered { .. } => {}
        }
    }

    /// Makes room for some, by those that never ended as far as we know.
    fn forget_oldest(&mut self) {
        let mut started: Vec<_> = self.calls.values().map(|call| call.started_at).collect();
        let (_, border, _) = started.select_nth_unstable(self.calls.len() / 16);
        let border = *border;
        self.calls.retain(|_, call| call.started_at > border);
    }

    fn end(&mut self, unix: Duration, id: &str, end: End) {
        // A call of before a restart has no beginning here; its end is in the log.
        let Some(call) = self.calls.remove(id) else { return };
        shrink(&mut self.calls);
        let (from, to) = call.parties();
        let record = Record {
            id,
            from,
            to,
            started_at: rfc3339(call.started_at),
            answered_at: call.answered_at.map(rfc3339),
            ended_at: rfc3339(unix),
            ended_by: end.by,
            code: end.code,
            reason: end.reason,
            legs: call.legs,
        };
        // Texts and numbers alone: it cannot fail.
        self.lines.push_str(&serde_json::to_string(&record).unwrap_or_default());
        self.lines.push('\n');
    }

    /// Writes the records that came since the last time.
    pub(crate) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let written = self.write();
        self.lines.clear();
        self.lines.shrink_to(KEPT);
        if let Err(error) = &written
            && !self.failing
        {
            tracing::error!(path = %self.path.display(), %error, "call records are lost until this is mended");
        }
        self.failing = written.is_err();
    }

    fn write(&mut self) -> std::io::Result<()> {
        // Opened each time, so that it may be moved away at any time.
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(self.lines.as_bytes())
    }
}

/// The file in the data directory.
pub(crate) const FILE_NAME: &str = "cdr.ndjson";
const MOST_CALLS: usize = 100_000;
/// What is kept of the memory after many lines.
const KEPT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_calls_the_oldest_are_forgotten() {
        let mut records = Records::new(Path::new("/nowhere"));
        for number in 0..=MOST_CALLS as u64 {
            let started = Event::CallStarted {
                call: number.to_string(),
                from: "<sip:a@b>;tag=1".into(),
                to: "<sip:c@d>".into(),
                targets: 2,
            };
            records.take(Duration::from_secs(number), started);
        }
        assert!((MOST_CALLS * 9 / 10..MOST_CALLS).contains(&records.calls.len()));
        assert!(!records.calls.contains_key("0") && records.calls.contains_key("100000"));
        let call = &records.calls["99999"];
        assert_eq!((call.parties(), call.legs), (("<sip:a@b>;tag=1", "<sip:c@d>"), 3));
    }
}
