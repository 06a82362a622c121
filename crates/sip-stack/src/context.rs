//! What a machine gets from outside: the time, chance, its timers and its outbox.

use std::time::{Duration, Instant};

use offhook_sip::digest::push_hex;
use rand::RngExt as _;

use crate::transaction::Owner;
use crate::{Outbox, Timers};

/// The random numbers of one shard or phone, seeded by whoever creates it: a seed repeats a run.
pub type Rng = rand::rngs::ChaCha12Rng;

/// Everything a machine gets from outside, lent for the time of one input.
pub struct Context<'a> {
    /// The moment of the input that is being handled.
    pub now: Instant,
    /// Randomness for tags, branches and intervals.
    pub rng: &'a mut Rng,
    /// The transaction timers of this shard.
    pub timers: &'a mut Timers<Owner>,
    /// Where outputs are pushed.
    pub out: &'a mut Outbox,
    /// The number of the shard, written into every branch, tag and Call-ID made here, so that the answer
    /// finds its way back without a table.
    pub shard: u8,
}

impl Context<'_> {
    /// Asks for `owner` to be woken `after` now, and returns that moment for it to remember.
    pub fn arm(&mut self, after: Duration, owner: Owner) -> Instant {
        let deadline = self.now + after;
        self.timers.arm(deadline, owner);
        deadline
    }

    /// A branch parameter: the magic cookie (RFC 3261 §8.1.1.7), the shard, 64 random bits.
    pub fn branch(&mut self) -> String {
        let mut branch = String::with_capacity(48);
        branch.push_str("z9hG4bK");
        push_hex(&mut branch, &[self.shard]);
        push_hex(&mut branch, &self.rng.random::<u64>().to_be_bytes());
        branch
    }

    /// A tag for From or To: the shard and 48 random bits (RFC 3261 §19.3 asks for at least 32).
    pub fn tag(&mut self) -> String {
        let mut tag = String::with_capacity(14);
        push_hex(&mut tag, &[self.shard]);
        push_hex(&mut tag, &self.rng.random::<u64>().to_be_bytes()[..6]);
        tag
    }

    /// A Call-ID: the shard and 96 random bits.
    pub fn call_id(&mut self) -> String {
        format!("{:02x}{:024x}", self.shard, self.rng.random::<u128>() >> 32)
    }
}
