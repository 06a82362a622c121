//! Performs one hot path many times, for `guards/run.py` to count the instructions of:
//! `hot_paths PATH` prints how often it was performed inside [`measured`].
//!
//! Everything is the same in every run: seeds, messages, the order of time.
#![allow(clippy::unwrap_used, reason = "a path that is not what it should be must not be counted")]

mod exchange;
mod message;
mod relay;

use std::hint::black_box;

/// A path: its name, and what performs it.
type HotPath = (&'static str, fn(&mut Counted));

const PATHS: &[HotPath] = &[
    ("parse-invite", message::parse_invite),
    ("forward-invite", message::forward_invite),
    ("owner-of-request", message::owner_of_request),
    ("owner-of-response", message::owner_of_response),
    ("register", exchange::register),
    ("invite-again", exchange::invite_again),
    ("call", exchange::call),
    ("relay-packet", relay::packet),
];

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some((_, perform)) = PATHS.iter().find(|(name, _)| *name == wanted) else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let mut counted = Counted::default();
    perform(&mut counted);
    println!("{}", counted.performed);
}

/// Performs work, counted or not: caches, tables and allocators are warm before counting begins.
#[derive(Debug, Default)]
struct Counted {
    counting: bool,
    performed: u32,
}

impl Counted {
    /// Performs `one` as often as it takes to be warm, and then as often as it is counted. `one` returns whether it
    /// was a whole unit.
    fn repeat(&mut self, warm: u32, times: u32, mut one: impl FnMut(&mut Self, u32)) {
        for number in 0..warm + times {
            self.counting = number >= warm;
            one(self, number);
        }
        self.performed = times;
    }

    /// Does the work that the path consists of; what prepares it stays outside.
    fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.counting { measured(work) } else { black_box(work()) }
    }
}

/// Instructions are counted from its first to its last: it must stay a function, with this name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}
