//! The codes by which agents log in and out of their queues, and pause.

use super::Settings;
use super::line::Line;
use crate::b2bua::{CallId, Calls, Point};
use crate::directory::{AddressOfRecord, AgentState};
use crate::keep::Keep;
use crate::speech::Speech;

/// What somebody who has dialled a code waits for.
pub(super) struct Code {
    /// The only queue that is meant, by its number; `None`: all in which it is an agent.
    queue: Option<String>,
    pauses: bool,
    /// What is still to be kept.
    left: usize,
    /// What is said then.
    said: &'static str,
}

impl Code {
    /// The code that is dialled, if it is one: alone, or with `*` and the number of a queue.
    pub(super) fn dialled(dialled: &str, settings: &Settings) -> Option<Self> {
        let of = |code: &Option<String>, pauses| {
            let rest = dialled.strip_prefix(code.as_deref()?)?;
            let queue = match rest.strip_prefix('*') {
                Some(queue) if !queue.is_empty() => Some(queue.to_owned()),
                None if rest.is_empty() => None,
                _ => return None,
            };
            Some(Self { queue, pauses, left: 0, said: "codes-not-possible" })
        };
        of(&settings.log_in, false).or_else(|| of(&settings.pause, true))
    }

    /// Changes how the agent is in its queues.
    pub(super) fn begin(
        mut self,
        call: CallId,
        account: &AddressOfRecord,
        lines: &[Line],
        calls: &mut Calls<'_, '_, '_>,
    ) -> Self {
        let is_meant = |line: &&Line| self.queue.as_ref().is_none_or(|queue| line.queue.number == *queue);
        let own: Vec<_> = lines.iter().filter(is_meant).filter(|line| line.logs_in(account, calls)).collect();
        let any = |state| own.iter().any(|line| line.state(account) == state);
        let (from, to, said) = match self.pauses {
            false if any(AgentState::LoggedOut) => {
                (vec![AgentState::LoggedOut], AgentState::LoggedIn, "queue-logged-in")
            }
            false => {
                let both = vec![AgentState::LoggedIn, AgentState::Paused];
                (both, AgentState::LoggedOut, "queue-logged-out")
            }
            true if any(AgentState::LoggedIn) => {
                (vec![AgentState::LoggedIn], AgentState::Paused, "queue-paused")
            }
            true => (vec![AgentState::Paused], AgentState::LoggedIn, "queue-unpaused"),
        };
        for line in own.into_iter().filter(|line| from.contains(&line.state(account))) {
            calls.remember(call, Keep::Agent(line.queue.number.clone(), account.clone(), to));
            self.left += 1;
        }
        match self.left {
            0 => self.say(call, calls),
            _ => {
                self.said = said;
                calls.say(call, Speech::new().pause(PATIENCE_MS));
            }
        }
        self
    }

    pub(super) fn kept(&mut self, call: CallId, is_kept: bool, calls: &mut Calls<'_, '_, '_>) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        if !is_kept {
            (self.left, self.said) = (0, "codes-not-possible");
        }
        if self.left == 0 {
            self.say(call, calls);
        }
    }

    pub(super) fn point(&mut self, call: CallId, point: &Point, calls: &mut Calls<'_, '_, '_>) {
        match (point, self.left) {
            (Point::Played, 0) => calls.hang_up(call),
            // The store has not answered for as long as a caller has patience.
            (Point::Played, _) => {
                (self.left, self.said) = (0, "codes-not-possible");
                self.say(call, calls);
            }
            _ => {}
        }
    }

    fn say(&self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        calls.say(call, Speech::new().pause(SETTLE_MS).say(self.said).pause(200));
    }
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
/// For so long the store may take.
const PATIENCE_MS: u32 = 5_000;
