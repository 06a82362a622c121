//! Call records: one line of JSON for each call that is over, in `cdr.ndjson`.

mod call;
mod legs;
mod line;
mod quality;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_exchange::event::{Event, Reception};
use offhook_exchange::spending::Spent;
use offhook_sip_stack::shrink;
use serde_json::Value;

use super::ledger;
use super::spent::SpentLines;
use call::{Call, End, Sent};
use line::Record;

/// The calls that are not over, and the file of those that are.
pub(crate) struct Records {
    data_dir: PathBuf,
    path: PathBuf,
    calls: HashMap<Box<str>, Call>,
    /// Those that wait for the report of their media, which comes soon after their end.
    ending: HashMap<Box<str>, Ending>,
    /// Not written yet.
    lines: String,
    /// What accounts have spent by those.
    spent: SpentLines,
    /// The last line could not be written.
    failing: bool,
    /// Files of the ledger that are full, and not removed yet.
    left: Vec<PathBuf>,
}

/// A call that is over, but for the reports of its media.
struct Ending {
    call: Call,
    end: End,
    unix: Duration,
    heard: Option<[Option<Reception>; 2]>,
}

impl Records {
    /// Records in this directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            path: data_dir.join(FILE_NAME),
            calls: HashMap::new(),
            ending: HashMap::new(),
            lines: String::new(),
            spent: SpentLines::new(data_dir),
            failing: false,
            left: Vec::new(),
        }
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
            Event::CallRefused { call, from, to, status, reason, trunk } => {
                let came_by = trunk.map(Into::into);
                let refused = Call { came_by, ..Call::new(&from, &to, 0, unix) };
                let end = End { by: None, code: status.code(), reason };
                self.add(unix, &call, &refused, end, [None; 2]);
            }
            Event::LegStarted { call, leg } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.call_ids.push(leg.into());
                }
            }
            Event::Recording { call, what: Ok(file) } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    let heard = call.heard.get_or_insert_default();
                    if heard.recording.len() < MOST_HEARD && !heard.recording.contains(&file) {
                        heard.recording.push(file);
                    }
                }
            }
            Event::Supervised { call, by, how } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    let heard = call.heard.get_or_insert_default();
                    if heard.supervised_by.len() < MOST_HEARD {
                        heard.supervised_by.push(format!("{by} {how}"));
                    }
                }
            }
            Event::CallStayed { call } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.sent = None;
                }
            }
            Event::CallCame { call, trunk } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.came_by = Some(trunk.into());
                }
            }
            Event::CallVerified { call, verdict } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.verified = Some(verdict.into());
                }
            }
            Event::CallSent { call, trunk, dialled, sent, charged, price, currency } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.sent = Some(Box::new(Sent { trunk, dialled, sent, charged, price, currency }));
                }
            }
            Event::SpendingStopped { call, what, ended: true, .. } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.stopped = Some(what.into());
                }
            }
            Event::LegEnded { call, leg } => {
                let ending = self.ending.get_mut(call.as_str()).map(|ending| &mut ending.call);
                if let Some(call) = self.calls.get_mut(call.as_str()).or(ending) {
                    call.others.get_or_insert_default().push(unix, *leg);
                }
            }
            Event::MediaEnded { call, leg, heard } => self.heard(&call, leg.as_deref(), heard),
            Event::CallAnswered { call, anchored, by, at, codec, .. } => {
                if let Some(call) = self.calls.get_mut(call.as_str()) {
                    call.answered_at = Some(unix);
                    call.anchored = anchored;
                    call.answered_by = by.into();
                    call.answered_from = at;
                    call.codec = codec.map(Into::into);
                }
            }
            Event::CallFailed { call, status, reason, by } => {
                let by = by.map(super::log::ended_by);
                self.end(unix, &call, End { by, code: status.code(), reason });
            }
            Event::CallEnded { call, by } => {
                let by = Some(super::log::ended_by(by));
                let stopped = self.calls.get_mut(call.as_str()).and_then(|call| call.stopped.take());
                let reason = stopped.map_or_else(|| "OK".to_owned(), String::from);
                self.end(unix, &call, End { by, code: 200, reason });
            }
            Event::Recording { .. }
            | Event::Dropped { .. }
            | Event::Refused { .. }
            | Event::Overload { .. }
            | Event::SpendingStopped { .. }
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
        // A call of before a restart has its record already; its end is in the log.
        let Some(call) = self.calls.remove(id) else { return };
        shrink(&mut self.calls);
        if call.anchored && self.ending.len() < MOST_ENDING {
            let before = self.ending.insert(id.into(), Ending { call, end, unix, heard: None });
            // One Call-ID twice: the first has waited long enough.
            if let Some(ending) = before {
                self.add_ended(id, ending);
            }
        } else {
            self.add(unix, id, &call, end, [None; 2]);
        }
    }

    /// The media of a call, or of one of its legs, is over.
    fn heard(&mut self, id: &str, leg: Option<&str>, heard: [Option<Reception>; 2]) {
        if let (Some(leg), [Some(reception), _]) = (leg, heard) {
            let ending = self.ending.get_mut(id).map(|ending| &mut ending.call);
            let call = self.calls.get_mut(id).or(ending);
            call.and_then(|call| call.others.as_mut()).into_iter().for_each(|legs| legs.hear(leg, reception));
        } else if let Some(ending) = self.ending.get_mut(id) {
            ending.heard = Some(heard);
        }
        let is_complete = |ending: &Ending| {
            ending.heard.is_some() && ending.call.others.as_ref().is_none_or(|legs| !legs.waits())
        };
        if self.ending.get(id).is_some_and(is_complete)
            && let Some(ending) = self.ending.remove(id)
        {
            shrink(&mut self.ending);
            self.add_ended(id, ending);
        }
    }

    fn add_ended(&mut self, id: &str, Ending { call, end, unix, heard }: Ending) {
        self.add(unix, id, &call, end, heard.unwrap_or_default());
    }

    /// Writes the calls that have waited for a report long enough.
    pub(crate) fn settle(&mut self) {
        for (id, ending) in std::mem::take(&mut self.ending) {
            self.add_ended(&id, ending);
        }
    }

    fn add(&mut self, unix: Duration, id: &str, call: &Call, end: End, heard_of: [Option<Reception>; 2]) {
        let charged = call.sent.as_deref().and_then(|sent| sent.charged.as_ref());
        if let Some(((account, day), seconds)) = charged.zip(call.seconds(unix)) {
            let spent = Spent { seconds, money: call.cost(unix).unwrap_or_default() };
            self.spent.add(id, call.started_at, (account, *day), spent);
        }
        let winner = call.winner();
        let record = Record::of(unix, id, (call, winner.as_ref()), end, heard_of);
        // Texts and numbers alone: it cannot fail.
        self.lines.push_str(&serde_json::to_string(&record).unwrap_or_default());
        self.lines.push('\n');
    }

    /// Writes the records that came since the last time.
    pub(crate) fn flush(&mut self) {
        self.spent.flush();
        if self.lines.is_empty() {
            return;
        }
        let written = self.write();
        if written.is_ok() {
            self.lines.clear();
            self.lines.shrink_to(KEPT);
        } else if self.lines.len() > MOST_WAITING {
            self.lines.clear();
        }
        if let Err(error) = &written
            && !self.failing
        {
            tracing::error!(path = %self.path.display(), %error, "call records wait until this is mended");
        }
        self.failing = written.is_err();
    }

    fn write(&self) -> io::Result<()> {
        // Opened each time, so that it may be moved away at any time.
        self.open()?.write_all(self.lines.as_bytes())
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)
    }

    /// A file of the ledger is full: it is removed when the calls of it that are over have records, and the others are
    /// written down elsewhere.
    pub(crate) fn leave(&mut self, file: PathBuf) {
        self.left.push(file);
        self.settle();
        self.flush();
        if self.failing || self.carry_over().is_err() {
            return;
        }
        // One that cannot be removed is read at the next start, and does no harm.
        self.left.drain(..).for_each(|file| drop(fs::remove_file(file)));
    }

    fn carry_over(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for (id, call) in &self.calls {
            for (at, event) in call.events(id) {
                ledger::encode(&mut entries, at, &event);
            }
        }
        ledger::carry_over(&self.data_dir, &entries)
    }

    /// Ends all calls that are not over: the process that had them is gone.
    pub(super) fn close_all(&mut self, unix: Duration) {
        self.settle();
        for (id, call) in std::mem::take(&mut self.calls) {
            let (code, reason) = if call.answered_at.is_some() { (200, LOST) } else { (503, LOST_EARLY) };
            self.add(unix, &id, &call, End { by: None, code, reason: reason.to_owned() }, [None; 2]);
        }
    }

    /// Leaves out what is written already, by Call-ID and beginning. Returns how many records are left.
    pub(super) fn without(&mut self, written: &HashSet<(String, String)>) -> usize {
        let key = |line: &str| {
            let record: Value = serde_json::from_str(line).ok()?;
            Some((record["id"].as_str()?.to_owned(), record["started_at"].as_str()?.to_owned()))
        };
        let is_new = |line: &&str| key(line).is_none_or(|key| !written.contains(&key));
        let lines: Vec<&str> = self.lines.lines().filter(is_new).collect();
        let count = lines.len();
        self.lines = lines.iter().flat_map(|line| [line, "\n"]).collect();
        count
    }

    /// Writes the records so that they outlive the machine, too. A line that was cut off before stays one of its own.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write_to_disk(&mut self) -> io::Result<()> {
        self.spent.write_to_disk()?;
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut file = self.open()?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        file.write_all(self.lines.as_bytes())?;
        file.sync_data()?;
        self.lines.clear();
        Ok(())
    }
}

/// The file in the data directory.
pub(crate) const FILE_NAME: &str = "cdr.ndjson";
const MOST_CALLS: usize = 100_000;
/// Recordings and listeners of one call that are named.
const MOST_HEARD: usize = 50;
/// Reports come within milliseconds.
const MOST_ENDING: usize = 10_000;
/// Octets of records that wait for a disk.
const MOST_WAITING: usize = 64 << 20;
const LOST: &str = "The exchange stopped before the call ended";
const LOST_EARLY: &str = "The exchange stopped before the call was answered";
/// What is kept of the memory after many lines.
const KEPT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use offhook_exchange::directory::AddressOfRecord;
    use offhook_exchange::event::{CalledLeg, EndedBy};
    use offhook_exchange::spending::{Money, Price};

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

    fn media_ended(call: &str, packets: [u64; 2]) -> Event {
        let heard = packets.map(|packets| Some(Reception { packets, lost: 3, ..Reception::default() }));
        Event::MediaEnded { call: call.into(), leg: None, heard }
    }

    #[test]
    fn a_record_has_those_who_were_called_and_waits_for_what_was_heard_of_each() {
        let mut records = Records::new(Path::new("/nowhere"));
        let (seconds, call) = (Duration::from_secs, || "queue".to_owned());
        let started = Event::CallStarted { call: call(), from: "a".into(), to: "b".into(), targets: 1 };
        records.take(seconds(1), started);
        let (after, by) = (seconds(0), "exchange".into());
        records.take(
            seconds(1),
            Event::CallAnswered { call: call(), after, anchored: true, by, at: None, codec: None },
        );
        let busy =
            CalledLeg { to: "sip:x@y".into(), code: 486, reason: "Busy Here".into(), ..CalledLeg::default() };
        records.take(seconds(2), Event::LegEnded { call: call(), leg: Box::new(busy) });
        records.take(seconds(9), Event::CallEnded { call: call(), by: EndedBy::Caller });
        let answered = CalledLeg {
            to: "sip:agent@y".into(),
            at: Some(([192, 0, 2, 7], 5060).into()),
            call_id: Some("offhook-00-1".into()),
            began: seconds(3),
            answered: Some(seconds(4)),
            code: 200,
            codec: Some("opus".into()),
            ..CalledLeg::default()
        };
        records.take(seconds(9), Event::LegEnded { call: call(), leg: Box::new(answered) });
        records.take(seconds(9), media_ended("queue", [400, 0]));
        assert_eq!(records.lines, "", "the agent's sound is not reported yet");
        let of_leg = Event::MediaEnded {
            call: call(),
            leg: Some("offhook-00-1".into()),
            heard: [
                Some(Reception { packets: 240, lost: 10, bursts: 10, jitter: Duration::from_millis(4) }),
                None,
            ],
        };
        records.take(seconds(9), of_leg);
        let record: Value = serde_json::from_str(records.lines.trim_end()).unwrap();
        assert_eq!((&record["packets_from_caller"], &record["lost_from_caller"]), (&400.into(), &3.into()));
        let [busy, agent] = &record["called"].as_array().unwrap()[..] else { panic!("{record}") };
        assert_eq!((&busy["code"], &busy["answered_at"]), (&486.into(), &Value::Null));
        assert_eq!((&agent["address"], &agent["code"]), (&"192.0.2.7:5060".into(), &200.into()));
        assert_eq!((&agent["packets"], &agent["lost"]), (&240.into(), &10.into()));
        assert!((agent["jitter_ms"].as_f64(), agent["mos"].as_f64()) > (Some(3.9), Some(3.0)), "{agent}");
        assert_eq!(agent["answered_at"], "1970-01-01T00:00:04.000Z");
    }

    #[test]
    fn a_relayed_call_is_written_once_with_the_report_of_its_media_or_without_if_none_comes() {
        let mut records = Records::new(Path::new("/nowhere"));
        let seconds = Duration::from_secs;
        for id in ["heard", "unheard"] {
            let call = || id.to_owned();
            let started = Event::CallStarted { call: call(), from: "a".into(), to: "b".into(), targets: 1 };
            records.take(seconds(1), started);
            let (after, by, codec) = (seconds(1), "sip:b@192.0.2.1".into(), Some("pcma".into()));
            records.take(
                seconds(2),
                Event::CallAnswered { call: call(), after, anchored: true, by, at: None, codec },
            );
            records.take(seconds(3), Event::CallEnded { call: call(), by: EndedBy::Caller });
        }
        assert_eq!(records.lines, "");
        for _ in 0..2 {
            records.take(seconds(4), media_ended("heard", [7, 0]));
        }
        records.settle();
        records.take(seconds(5), media_ended("unheard", [1, 1]));
        records.settle();
        let written: Vec<Value> =
            records.lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(written.len(), 2);
        let told =
            |record: &Value| (record["packets_from_caller"].clone(), record["packets_from_callee"].clone());
        assert_eq!(told(&written[0]), (7.into(), 0.into()));
        assert_eq!(told(&written[1]), (Value::Null, Value::Null));
        for record in &written {
            assert_eq!(record["ended_at"], "1970-01-01T00:00:03.000Z");
            assert_eq!(
                (&record["codec"], &record["answered_by"]),
                (&"pcma".into(), &"sip:b@192.0.2.1".into())
            );
            assert_eq!((&record["media"], &record["q850"]), (&"relayed".into(), &16.into()));
        }
    }

    #[test]
    fn a_call_by_a_trunk_is_written_with_its_cost_and_one_that_has_stayed_without() {
        let data = tempfile::tempdir().unwrap();
        let mut records = Records::new(data.path());
        let seconds = Duration::from_secs;
        for id in ["left", "stayed"] {
            let call = || id.to_owned();
            let started = Event::CallStarted { call: call(), from: "a".into(), to: "b".into(), targets: 1 };
            records.take(seconds(1), started);
            let sent = Event::CallSent {
                call: call(),
                trunk: "carrier".into(),
                dialled: "030-1".into(),
                sent: "+49301".into(),
                charged: Some((AddressOfRecord::new("alice", "example.com"), 20_785)),
                price: Some(Price { per_minute: Money(600_000), connection: Money(0), first: 1, then: 1 }),
                currency: "EUR".into(),
            };
            records.take(seconds(1), sent);
            if id == "stayed" {
                records.take(seconds(2), Event::CallStayed { call: call() });
            }
            let (after, by) = (seconds(1), "sip:b@192.0.2.1".into());
            records.take(
                seconds(2),
                Event::CallAnswered { call: call(), after, anchored: false, by, at: None, codec: None },
            );
            let account = AddressOfRecord::new("alice", "example.com");
            let what = "It is spent".to_owned();
            records.take(seconds(12), Event::SpendingStopped { call: call(), account, what, ended: true });
            records.take(seconds(12), Event::CallEnded { call: call(), by: EndedBy::Exchange });
        }
        let written: Vec<Value> =
            records.lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [left, stayed] = &written[..] else { panic!("{written:?}") };
        assert_eq!((&left["trunk"], &left["sent"]), (&"carrier".into(), &"+49301".into()));
        assert_eq!((&left["cost"], &left["currency"]), (&"0.10".into(), &"EUR".into()));
        assert_eq!(
            (&left["reason"], &left["charged"]),
            (&"It is spent".into(), &"sip:alice@example.com".into())
        );
        assert_eq!((&stayed["trunk"], &stayed["cost"]), (&Value::Null, &Value::Null));
        records.flush();
        let spent = super::super::spent(data.path(), 20_785).unwrap();
        let all: Vec<_> = spent.into_values().collect();
        assert_eq!(all, [Spent { seconds: 10, money: Money(100_000) }]);
        // What strangers try is not written; a call of a trunk is.
        let refused = Event::CallRefused {
            call: "refused".into(),
            from: "<sip:x@carrier>".into(),
            to: "<sip:1@b>".into(),
            status: offhook_sip::Status::NOT_FOUND,
            reason: "This is no number of this trunk".into(),
            trunk: Some("carrier".into()),
        };
        records.take(seconds(20), refused);
        let refused: Value = serde_json::from_str(records.lines.trim_end()).unwrap();
        assert_eq!((&refused["code"], &refused["came_by"]), (&404.into(), &"carrier".into()));
        assert_eq!((&refused["legs"], &refused["q850"]), (&1.into(), &1.into()));
    }
}
