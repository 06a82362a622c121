//! Events as log lines: human on a terminal, JSON otherwise.

use std::io::IsTerminal as _;
use std::time::Duration;

use offhook_exchange::bans::Ban;
use offhook_exchange::event::{EndedBy, Event};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Human on a terminal, JSON otherwise.
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Human } else { Self::Json }
    }
}

/// Whatever a stranger's handshake holds that DTLS does not know is not worth a line each.
const USUAL: &str = "info,rtc_dtls=error";

/// Starts to write the log to stderr. `OFFHOOK_LOG` chooses what (`info`, `offhook_server=debug`). A second start in
/// one process changes nothing.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("OFFHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    // It fails when a log is written already, as in tests.
    let _ = match format {
        LogFormat::Human => builder.with_ansi(colour).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The lines of everyday business: so many a second, and the number of those left out. Their measures and call
/// records are complete in any case.
#[derive(Debug, Default)]
pub(super) struct Routine {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Routine {
    /// Writes the line of an event that happened at this Unix time, unless there were too many.
    pub(super) fn event(&mut self, unix: Duration, event: &Event) {
        if self.has_room(unix.as_secs(), event) {
            write(event);
        }
    }

    /// So many were left out before they came here.
    pub(super) fn leave_out(&mut self, events: u64) {
        self.left_out += events;
    }

    fn has_room(&mut self, second: u64, event: &Event) -> bool {
        if second != self.second {
            if self.left_out > 0 {
                tracing::info!(lines = self.left_out, "left out: more than the log can hold");
            }
            *self = Self { second, ..Self::default() };
        }
        let everyday = match event {
            Event::Registered { .. }
            | Event::CallStarted { .. }
            | Event::CallAnswered { .. }
            | Event::CallFailed { .. }
            | Event::CallEnded { .. }
            | Event::SpendingStopped { .. }
            | Event::CallRefused { .. }
            | Event::AuthenticationFailed { .. } => true,
            Event::Dropped { .. }
            | Event::Refused { .. }
            | Event::Overload { .. }
            | Event::Trunk { .. }
            | Event::Recording { .. }
            | Event::Supervised { .. }
            | Event::LegStarted { .. }
            | Event::CallCame { .. }
            | Event::CallVerified { .. }
            | Event::CallSent { .. }
            | Event::CallStayed { .. }
            | Event::LegEnded { .. }
            | Event::MediaEnded { .. }
            | Event::CallRinging { .. } => false,
        };
        if !everyday {
            return true;
        }
        let room = self.written < LINES_A_SECOND;
        self.written += u32::from(room);
        self.left_out += u64::from(!room);
        room
    }
}

fn write(event: &Event) {
    match event {
        Event::Dropped { from, reason } => tracing::debug!(%from, ?reason, "dropped"),
        Event::Refused { from, status, reason, call } => {
            tracing::debug!(call_id = call, %from, status = status.code(), reason, "refused");
        }
        Event::CallRefused { call, from, to, status, reason, trunk } => {
            tracing::info!(call_id = call, from, to, status = status.code(), reason, trunk, "call refused");
        }
        Event::Overload { refused } => {
            tracing::warn!(refused, "overload: new calls are turned away with 503");
        }
        Event::Trunk { trunk, what: Ok(what) } => tracing::info!(trunk, "trunk: {what}"),
        Event::Trunk { trunk, what: Err(why) } => tracing::warn!(trunk, "trunk cannot be used: {why}"),
        Event::Recording { call, what: Ok(file) } => tracing::info!(call_id = call, file, "call recorded"),
        Event::Recording { call, what: Err(why) } => {
            tracing::warn!(call_id = call, "call not recorded: {why}")
        }
        Event::Supervised { call, by, how } => tracing::info!(call_id = call, %by, how, "call supervised"),
        Event::AuthenticationFailed { from, username, banned } => {
            tracing::warn!(%from, username, "credentials are wrong");
            if let Some(Ban { address, until, reason, .. }) = banned {
                tracing::warn!(%address, until, "banned: {reason}");
            }
        }
        Event::Registered { account, contacts, from } => {
            tracing::info!(%account, contacts, %from, "registered");
        }
        Event::CallStarted { call, from, to, targets } => {
            tracing::info!(call_id = call, from, to, targets, "call started");
        }
        Event::CallRinging { call } => tracing::debug!(call, "a phone rings"),
        Event::LegEnded { call, leg } => {
            let (to, status, reason) = (&leg.to, leg.code, &leg.reason);
            tracing::debug!(call_id = call, to, status, reason, "leg ended");
        }
        Event::MediaEnded { call, leg, heard } => {
            let [from_caller, from_callee] = heard.map(|heard| heard.map(|heard| heard.packets));
            tracing::debug!(call_id = call, leg, from_caller, from_callee, "media ended");
        }
        Event::CallStayed { call } => tracing::debug!(call_id = call, "call has not left"),
        Event::CallCame { call, trunk } => tracing::debug!(call_id = call, trunk, "call came"),
        Event::CallVerified { call, verdict } => {
            tracing::debug!(call_id = call, verdict, "caller's number checked");
        }
        Event::CallSent { call, trunk, dialled, sent, .. } => {
            tracing::debug!(call_id = call, trunk, dialled, sent, "call leaves");
        }
        Event::SpendingStopped { call, account, what, ended } => {
            tracing::warn!(call_id = call, %account, ended, "spending limit: {what}");
        }
        Event::LegStarted { call, leg } => tracing::debug!(call_id = call, leg, "leg started"),
        Event::CallAnswered { call, after, anchored, .. } => {
            tracing::info!(call_id = call, after_ms = after.as_millis() as u64, anchored, "call answered");
        }
        Event::CallFailed { call, status, reason, by } => {
            tracing::info!(
                call_id = call,
                status = status.code(),
                reason,
                by = by.map(ended_by),
                "call not answered"
            );
        }
        Event::CallEnded { call, by } => {
            tracing::info!(call_id = call, by = ended_by(*by), "call ended");
        }
    }
}

/// Who ended a call, in a word.
pub(super) fn ended_by(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Caller => "caller",
        EndedBy::Callee => "callee",
        EndedBy::Exchange => "exchange",
        EndedBy::Operator => "operator",
    }
}

/// Of everyday events.
pub(super) const LINES_A_SECOND: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_calls_leaves_some_lines_and_the_number_of_the_others() {
        let ended = Event::CallEnded { call: "1".into(), by: EndedBy::Caller };
        let mut routine = Routine::default();
        let written = (0..200).filter(|_| routine.has_room(7, &ended)).count();
        assert_eq!((written, routine.left_out), (50, 150));
        assert!(routine.has_room(8, &ended));
        assert_eq!((routine.written, routine.left_out), (1, 0));
    }
}
