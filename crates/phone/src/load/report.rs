//! What a load found, in words and as one object.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::latency::{Latencies, Percentiles};
use super::plan::{Plan, Work};
use super::sound;
use super::tally::Tally;
use crate::Exit;

/// The result of a load.
#[derive(Clone, Debug)]
pub(super) struct Report {
    work: Work,
    rate: f64,
    max_failures: f64,
    pub(super) tally: Tally,
    /// How long units were begun, and how long all took.
    pub(super) offering: Duration,
    pub(super) total: Duration,
    /// After an overload: when the last unit began that failed or was late.
    pub(super) recovered_after: Option<Duration>,
    pub(super) sound: Option<sound::Heard>,
    /// Datagrams lost at our own sockets: the load was more than we could carry.
    pub(super) dropped: u64,
    pub(super) unsent: u64,
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            work: plan.work,
            rate: plan.rate,
            max_failures: plan.max_failures,
            tally: Tally::default(),
            offering: Duration::ZERO,
            total: Duration::ZERO,
            recovered_after: None,
            sound: None,
            dropped: 0,
            unsent: 0,
        }
    }

    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        let tally = &self.tally;
        let units = (tally.started + tally.skipped).max(1);
        let share = (tally.failed + tally.skipped) as f64 / units as f64 * 100.0;
        if tally.started > 0 && tally.statuses.is_empty() {
            Exit::Network
        } else if share > self.max_failures {
            Exit::Failed
        } else {
            Exit::Ok
        }
    }

    pub(super) fn json(&self) -> Value {
        let (tally, exit) = (&self.tally, self.exit());
        let latencies: Map<_, _> = self
            .latencies()
            .into_iter()
            .filter_map(|(name, values)| Some((name.to_owned(), values.percentiles()?.json())))
            .collect();
        let statuses: Map<_, _> =
            tally.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
        json!({
            "result": exit.word(), "exit_code": exit.code(), "work": self.work.word(),
            "rate_wanted": self.rate, "rate": self.begun_per_second(),
            "started": tally.started, "completed": tally.completed, "in_time": tally.in_time,
            "answered": tally.answered, "failed": tally.failed, "timed_out": tally.timed_out,
            "skipped": tally.skipped, "retransmitted": tally.retransmitted,
            "answers_retransmitted": tally.answers_retransmitted, "duplicates": tally.duplicates,
            "challenged": tally.challenged, "garbage": tally.garbage, "repeated": tally.repeated,
            "unknown": tally.unknown, "dropped_here": self.dropped, "unsent": self.unsent,
            "statuses": statuses, "latency_ms": latencies,
            "offering_s": self.offering.as_secs_f64(), "total_s": self.total.as_secs_f64(),
            "recovered_after_s": self.recovered_after.map(|time| time.as_secs_f64()),
            "rtp": self.sound.map(|sound| sound.json()),
        })
    }

    pub(super) fn text(&self) -> String {
        let tally = &self.tally;
        let mut out = format!(
            "{} of {} {} completed, {} failed ({} without an answer), at {:.1}/s\n",
            tally.completed,
            tally.started,
            self.work.word(),
            tally.failed,
            tally.timed_out,
            self.begun_per_second(),
        );
        let statuses: Vec<_> =
            tally.statuses.iter().map(|(status, count)| format!("{status} × {count}")).collect();
        let _ = writeln!(out, "responses: {}", statuses.join(", "));
        let _ = writeln!(
            out,
            "sent again: {} requests, {} answers; seen twice: {}; challenged: {}",
            tally.retransmitted, tally.answers_retransmitted, tally.duplicates, tally.challenged
        );
        let ours = self.dropped + self.unsent;
        if ours + tally.skipped > 0 {
            let _ = writeln!(
                out,
                "the load itself was too slow: {ours} datagrams lost here, {} units skipped",
                tally.skipped
            );
        }
        if tally.garbage + tally.repeated > 0 {
            let _ = writeln!(out, "nonsense: {}, INVITEs sent twice: {}", tally.garbage, tally.repeated);
        }
        if let Some(time) = self.recovered_after {
            let _ = writeln!(out, "in time: {}; recovered after {:.2} s", tally.in_time, time.as_secs_f64());
        }
        let _ =
            write!(out, "{:20} {:>9} {:>9} {:>9} {:>9} {:>9}  ms", "", "p50", "p90", "p99", "p99.9", "max");
        for (name, values) in self.latencies() {
            if let Some(values) = values.percentiles() {
                row(&mut out, name, &values);
            }
        }
        if let Some(sound) = &self.sound {
            if let Some(delay) = &sound.delay {
                row(&mut out, "rtp one way", delay);
            }
            let _ = write!(
                out,
                "\nrtp: {} sent, {} received, {} lost, {} out of order",
                sound.sent,
                sound.received,
                sound.lost(),
                sound.out_of_order
            );
        }
        out
    }

    fn begun_per_second(&self) -> f64 {
        let begun = self.tally.started as f64;
        // The last one begins an interval before the next would have.
        begun / self.offering.as_secs_f64().max(begun / self.rate).max(1e-9)
    }

    fn latencies(&self) -> [(&'static str, &Latencies); 6] {
        let tally = &self.tally;
        [
            ("register", &tally.register),
            ("challenge", &tally.challenge),
            ("invite_100", &tally.trying),
            ("invite_180", &tally.ringing),
            ("invite_200", &tally.answer),
            ("bye_200", &tally.bye),
        ]
    }
}

impl Work {
    fn word(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::Calls => "calls",
        }
    }
}

fn row(out: &mut String, name: &str, values: &Percentiles) {
    let Percentiles { p50, p90, p99, p999, max, .. } = values;
    let _ = write!(out, "\n{name:20} {p50:9.2} {p90:9.2} {p99:9.2} {p999:9.2} {max:9.2}");
}
