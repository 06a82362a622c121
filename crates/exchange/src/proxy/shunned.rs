//! Servers of other domains that have failed lately: they are tried last (RFC 3263 §4.3).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use offhook_sip_stack::Flow;
use offhook_sip_stack::locate::Target;

/// Which, and until when.
#[derive(Debug, Default)]
pub(super) struct Shunned(HashMap<Target, Instant>);

impl Shunned {
    /// A server has failed, or has said nothing.
    pub(super) fn mark(&mut self, flow: &Flow, now: Instant) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| now < *until);
        }
        if self.0.len() < MOST {
            self.0.insert(of(flow), now + TIME);
        }
    }

    /// A server has answered.
    pub(super) fn clear(&mut self, flow: &Flow) {
        if !self.0.is_empty() {
            self.0.remove(&of(flow));
        }
    }

    /// Whether others come first.
    pub(super) fn holds(&self, flow: &Flow, now: Instant) -> bool {
        self.0.get(&of(flow)).is_some_and(|until| now < *until)
    }
}

fn of(flow: &Flow) -> Target {
    Target { transport: flow.transport, remote: flow.remote }
}

/// How long a failure is remembered.
const TIME: Duration = Duration::from_secs(60);
const MOST: usize = 1_024;
