//! Call records: one line of JSON for each call that is over, in `cdr.ndjson`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_exchange::event::Event;
use offhook_web::calendar::rfc3339;
use serde_json::json;

/// The calls that are not over, and the file of those that are.
pub(crate) struct Records {
    path: PathBuf,
    calls: BTreeMap<String, Call>,
    /// Not written yet.
    lines: String,
    /// The last line could not be written.
    failing: bool,
}

struct Call {
    from: String,
    to: String,
    legs: usize,
    started_at: Duration,
    answered_at: Option<Duration>,
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
        Self { path: data_dir.join(FILE_NAME), calls: BTreeMap::new(), lines: String::new(), failing: false }
    }

    /// Takes note of an event.
    pub(crate) fn take(&mut self, unix: Duration, event: Event) {
        match event {
            Event::CallStarted { call, from, to, targets } => {
                if self.calls.len() >= MOST_CALLS
                    && let Some(oldest) = self.calls.iter().min_by_key(|(_, call)| call.started_at)
                {
                    let oldest = oldest.0.clone();
                    self.calls.remove(&oldest);
                }
                let call_of = Call { from, to, legs: targets + 1, started_at: unix, answered_at: None };
                self.calls.insert(call, call_of);
            }
            Event::CallAnswered { call, .. } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.answered_at = Some(unix);
                }
            }
            Event::CallFailed { call, status, reason } => {
                self.end(unix, &call, End { by: None, code: status.code(), reason });
            }
            Event::CallEnded { call, by } => {
                let by = Some(super::log::ended_by(by));
                self.end(unix, &call, End { by, code: 200, reason: "OK".into() });
            }
            Event::Dropped { .. }
            | Event::Refused { .. }
            | Event::Overload { .. }
            | Event::AuthenticationFailed { .. }
            | Event::Registered { .. } => {}
        }
    }

    fn end(&mut self, unix: Duration, id: &str, end: End) {
        // A call of before a restart has no beginning here; its end is in the log.
        let Some(call) = self.calls.remove(id) else { return };
        let line = json!({
            "id": id,
            "from": call.from,
            "to": call.to,
            "started_at": rfc3339(call.started_at),
            "answered_at": call.answered_at.map(rfc3339),
            "ended_at": rfc3339(unix),
            "ended_by": end.by,
            "code": end.code,
            "reason": end.reason,
            "legs": call.legs,
        });
        self.lines.push_str(&format!("{line}\n"));
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
