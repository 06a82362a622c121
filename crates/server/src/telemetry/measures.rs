//! Counters in the text format of Prometheus.

mod queues;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use offhook_exchange::command::Status;
use offhook_exchange::event::{DropReason, EndedBy, Event};
use offhook_media::command::Counters;
use offhook_media::turn;
use offhook_net::StreamCounts;

pub(crate) use queues::queues_text;

/// What is counted as it happens. No labels name people or calls.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    pub(crate) datagrams_received: AtomicU64,
    pub(crate) datagrams_dropped: AtomicU64,
    pub(crate) datagrams_passed_on: AtomicU64,
    pub(crate) stream_inputs: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) sends_failed: AtomicU64,
    pub(crate) media_packets: AtomicU64,
    /// By why: the order of `MEDIA_REFUSED`.
    media_refused: [AtomicU64; 4],
    pub(crate) relayed_streams: AtomicU64,
    pub(crate) notes_dropped: AtomicU64,
    calls_turned_away: AtomicU64,
    authentication_failures: AtomicU64,
    registrations: AtomicU64,
    calls_refused: AtomicU64,
    calls_barred: AtomicU64,
    calls_cut_off: AtomicU64,
    calls_started: AtomicU64,
    calls_answered: AtomicU64,
    answer_milliseconds: AtomicU64,
    /// By final status: a closed set, so that strangers cannot make it grow.
    refused: Classes,
    calls_failed: Classes,
    dropped: Mutex<BTreeMap<DropReason, u64>>,
    calls_ended: [AtomicU64; 4],
}

/// No media; from a source that is not the phone's; with a wrong tag or connectivity check; a copy of one that came before.
const MEDIA_REFUSED: [&str; 4] = ["malformed", "foreign", "forged", "replayed"];

/// Counters of 3xx, 4xx, 5xx and 6xx.
#[derive(Debug, Default)]
struct Classes([AtomicU64; 4]);

impl Measures {
    /// Counts an event.
    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::Dropped { reason, .. } => {
                *self.dropped.lock().unwrap_or_else(PoisonError::into_inner).entry(*reason).or_default() += 1;
            }
            Event::Refused { status, .. } => self.refused.count(status.code()),
            Event::CallRefused { .. } => add(&self.calls_refused, 1),
            Event::Overload { refused } => add(&self.calls_turned_away, *refused),
            // What a trunk is like now is not counted.
            Event::Trunk { .. } => {}
            Event::AuthenticationFailed { .. } => add(&self.authentication_failures, 1),
            Event::Registered { .. } => add(&self.registrations, 1),
            Event::LegStarted { .. } | Event::CallCame { .. } | Event::CallSent { .. } => {}
            Event::CallStayed { .. } | Event::LegEnded { .. } | Event::MediaEnded { .. } => {}
            Event::CallVerified { .. } => {}
            Event::Recording { .. } | Event::Supervised { .. } => {}
            Event::SpendingStopped { ended, .. } => {
                add(if *ended { &self.calls_cut_off } else { &self.calls_barred }, 1);
            }
            Event::CallStarted { .. } => add(&self.calls_started, 1),
            Event::CallRinging { .. } => {}
            Event::CallAnswered { after, .. } => {
                add(&self.calls_answered, 1);
                add(&self.answer_milliseconds, after.as_millis() as u64);
            }
            Event::CallFailed { status, .. } => self.calls_failed.count(status.code()),
            Event::CallEnded { by, .. } => add(&self.calls_ended[*by as usize], 1),
        }
    }

    /// Counts what was dropped of what came for a stream that has ended.
    pub(crate) fn media_ended(&self, sides: &[Counters; 2]) {
        for side in sides {
            let dropped = [side.malformed, side.foreign, side.unauthentic, side.replayed];
            self.media_refused.iter().zip(dropped).for_each(|(counter, n)| add(counter, n));
        }
    }

    /// All measures, with those of the shard if it answers.
    pub(crate) fn text(
        &self,
        status: Option<Status>,
        streams: StreamCounts,
        turn: Option<&turn::Counts>,
        mail: Option<[usize; 3]>,
    ) -> String {
        let mut text = Text::default();
        text.counter("datagrams_received_total", "SIP datagrams received", &self.datagrams_received);
        text.counter(
            "datagrams_dropped_total",
            "SIP datagrams dropped for want of room",
            &self.datagrams_dropped,
        );
        text.counter(
            "datagrams_passed_on_total",
            "SIP datagrams that came in at another thread than that of their shard",
            &self.datagrams_passed_on,
        );
        text.counter("stream_inputs_total", "Messages and changes of connections", &self.stream_inputs);
        text.counter("messages_sent_total", "SIP messages sent", &self.messages_sent);
        text.counter("sends_failed_total", "SIP messages that could not be sent", &self.sends_failed);
        text.counter("media_packets_received_total", "Media packets received", &self.media_packets);
        text.head(
            "media_packets_refused_total",
            "Media packets dropped, of streams that have ended",
            "counter",
        );
        for (reason, count) in MEDIA_REFUSED.iter().zip(&self.media_refused) {
            let labels = format!("{{reason=\"{reason}\"}}");
            text.line("media_packets_refused_total", &labels, count.load(Relaxed) as f64);
        }
        text.counter("notes_dropped_total", "Log lines dropped for want of room", &self.notes_dropped);
        text.counter("calls_turned_away_total", "New calls refused for overload", &self.calls_turned_away);
        text.counter("authentication_failures_total", "Wrong credentials", &self.authentication_failures);
        text.counter("registrations_total", "Changes of registrations", &self.registrations);
        text.counter(
            "calls_refused_total",
            "Calls of accounts and trunks refused before they reached anyone; a second has at most 50 records of such",
            &self.calls_refused,
        );
        text.counter(
            "calls_barred_total",
            "Calls refused because an account has spent what it may",
            &self.calls_barred,
        );
        text.counter(
            "calls_cut_off_total",
            "Calls ended because an account has spent what it may",
            &self.calls_cut_off,
        );
        text.counter("calls_started_total", "Calls that began to be set up", &self.calls_started);
        text.counter("calls_answered_total", "Calls answered", &self.calls_answered);
        text.head("answer_seconds_total", "Seconds from INVITE to answer, of all answered calls", "counter");
        let seconds = self.answer_milliseconds.load(Relaxed) as f64 / 1e3;
        text.line("answer_seconds_total", "", seconds);
        text.classes("requests_refused_total", "Requests refused", &self.refused);
        text.classes("calls_failed_total", "Calls not answered", &self.calls_failed);
        text.head("calls_ended_total", "Answered calls that ended", "counter");
        for by in [EndedBy::Caller, EndedBy::Callee, EndedBy::Exchange, EndedBy::Operator] {
            let word = super::log::ended_by(by);
            let count = self.calls_ended[by as usize].load(Relaxed);
            text.line("calls_ended_total", &format!("{{by=\"{word}\"}}"), count as f64);
        }
        text.head("messages_dropped_total", "Bytes that were not worth an answer", "counter");
        for (reason, count) in self.dropped.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.line("messages_dropped_total", &format!("{{reason=\"{reason:?}\"}}"), *count as f64);
        }
        text.gauge(
            "relayed_streams",
            "Media streams through the exchange",
            self.relayed_streams.load(Relaxed),
        );
        text.gauge("connections", "TCP, TLS and WebSocket connections open", streams.open);
        text.head("connections_accepted_total", "TCP, TLS and WebSocket connections accepted", "counter");
        text.line("connections_accepted_total", "", streams.accepted as f64);
        text.head("connections_refused_total", "TCP, TLS and WebSocket connections turned away", "counter");
        text.line("connections_refused_total", "", streams.refused as f64);
        text.head("tls_handshakes_failed_total", "TLS handshakes for SIP that failed", "counter");
        text.line("tls_handshakes_failed_total", "", streams.handshakes_failed as f64);
        if let Some(turn) = turn {
            text.turn(turn);
        }
        if let Some([waiting, sent, given_up]) = mail {
            text.gauge("mails_waiting", "Mails about voice messages that wait", waiting as u64);
            for (name, help, count) in [
                ("mails_sent_total", "Mails about voice messages sent", sent),
                ("mails_given_up_total", "Mails about voice messages that could not be sent", given_up),
            ] {
                text.head(name, help, "counter");
                text.line(name, "", count as f64);
            }
        }
        if let Some(status) = status {
            text.gauge("accounts", "Accounts known", status.accounts as u64);
            text.gauge("devices", "Contacts registered", status.bindings as u64);
            text.gauge("transactions", "Transactions that are not over", status.transactions as u64);
            text.gauge("calls_ringing", "Calls being set up", status.ringing as u64);
            text.gauge(
                "subscriptions",
                "Subscriptions to the presence, calls, contacts or messages of accounts",
                status.subscriptions as u64,
            );
            text.gauge("calls_anchored", "Calls whose media goes through us", status.anchored as u64);
            text.gauge("free_port_pairs", "Media port pairs that are free", status.free_ports as u64);
        }
        text.0
    }
}

impl Classes {
    fn count(&self, code: u16) {
        let class = usize::from(code / 100).saturating_sub(3);
        if let Some(counter) = self.0.get(class) {
            add(counter, 1);
        }
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP offhook_{name} {help}\n# TYPE offhook_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "offhook_{name}{labels} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: &AtomicU64) {
        self.head(name, help, "counter");
        self.line(name, "", value.load(Relaxed) as f64);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, "", value as f64);
    }

    fn turn(&mut self, counts: &turn::Counts) {
        self.gauge("turn_allocations", "Relayed addresses that are lent", counts.allocations as u64);
        self.head(
            "turn_relayed_bytes_total",
            "Bytes passed on between clients of TURN and their peers",
            "counter",
        );
        self.line("turn_relayed_bytes_total", "", counts.relayed_bytes as f64);
        self.head("turn_refused_total", "Requests refused and data dropped by the TURN server", "counter");
        for (reason, count) in &counts.refused {
            self.line("turn_refused_total", &format!("{{reason=\"{reason}\"}}"), *count as f64);
        }
    }

    fn classes(&mut self, name: &str, help: &str, classes: &Classes) {
        self.head(name, help, "counter");
        for (index, counter) in classes.0.iter().enumerate() {
            let labels = format!("{{class=\"{}xx\"}}", index + 3);
            self.line(name, &labels, counter.load(Relaxed) as f64);
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_of_media_is_told_by_its_reason() {
        let measures = Measures::default();
        let forger = Counters { foreign: 5, unauthentic: 3, ..Counters::default() };
        measures.media_ended(&[forger, Counters { replayed: 2, unauthentic: 1, ..Counters::default() }]);
        let text = measures.text(None, StreamCounts::default(), None, None);
        for (reason, count) in [("malformed", 0), ("foreign", 5), ("forged", 4), ("replayed", 2)] {
            let line = format!("offhook_media_packets_refused_total{{reason=\"{reason}\"}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
