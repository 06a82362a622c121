//! From signal thread to signal thread: messages that came in at the wrong one, and facts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use bytes::Bytes;
use offhook_exchange::dispatch;
use offhook_exchange::io::{Input, ShardMessage};
use offhook_sip_stack::Flow;
use offhook_udp_batch::Waker;

use crate::telemetry::Measures;

/// A thread's ways to all the others, with what waits until its batch is over.
pub(crate) struct Others {
    own: u8,
    /// By shard; the own one is not used.
    ways: Vec<Way>,
    measures: Arc<Measures>,
}

/// What the others have put in for a thread.
pub(crate) struct FromOthers {
    messages: Receiver<Vec<Misplaced>>,
    facts: Receiver<ShardMessage>,
}

/// A message for another shard than that of the thread that received it.
pub(crate) struct Misplaced {
    flow: Flow,
    bytes: Bytes,
    /// Whether the shard found it out, and not the door.
    handed_over: bool,
}

struct Way {
    /// Bounded: where a thread cannot follow, a message is dropped as the kernel would drop it.
    messages: SyncSender<Vec<Misplaced>>,
    /// Not bounded, since a lost fact would not be missed. The other thread takes all of them before each of its inputs,
    /// so what waits is what the rest do while it handles one; for the time that it sleeps, `untold` is the bound.
    facts: Sender<ShardMessage>,
    waker: Waker,
    waiting: Vec<Misplaced>,
    /// Facts put in since it was last woken. Few need wake it: it looks for them when there is something else to do.
    untold: usize,
}

impl Others {
    /// For threads with these wakers: what each of them has for the others, and from them.
    pub(crate) fn connect(wakers: &[Waker], measures: &Arc<Measures>) -> Vec<(Self, FromOthers)> {
        let (ways, ends): (Vec<_>, Vec<_>) = wakers.iter().map(Way::new).unzip();
        let of =
            |own| Self { own, ways: ways.iter().map(Way::again).collect(), measures: Arc::clone(measures) };
        (0..).map(of).zip(ends).collect()
    }

    /// Passes on at once what belongs to other shards, so that their threads are at it while this one is busy with what
    /// is its own.
    pub(crate) fn sort(
        &mut self,
        received: impl Iterator<Item = (Flow, Bytes)>,
        own: &mut Vec<(Flow, Bytes)>,
    ) {
        let shards = self.ways.len() as u8;
        if shards <= 1 {
            return own.extend(received);
        }
        for (flow, bytes) in received {
            let owner = dispatch::owner(&bytes, shards).filter(|owner| *owner != self.own);
            match owner.and_then(|owner| self.ways.get_mut(usize::from(owner))) {
                Some(way) => way.waiting.push(Misplaced { flow, bytes, handed_over: false }),
                None => own.push((flow, bytes)),
            }
        }
        self.flush(&mut Vec::new());
    }

    /// Passes on what the shard has for others, and what was put aside: to each in one piece, with one wake-up.
    pub(crate) fn flush(&mut self, from_shard: &mut Vec<(u8, ShardMessage)>) {
        for (shard, message) in from_shard.drain(..) {
            let Some(way) = self.ways.get_mut(usize::from(shard)) else { continue };
            match message {
                ShardMessage::Datagram { flow, bytes } => {
                    way.waiting.push(Misplaced { flow, bytes, handed_over: true });
                }
                fact => {
                    way.untold += if fact.is_urgent() { FACTS } else { 1 };
                    // It fails only when the other thread is gone, at the end of the process.
                    let _ = way.facts.send(fact);
                }
            }
        }
        for way in &mut self.ways {
            way.flush(&self.measures);
        }
    }
}

impl Way {
    fn new(waker: &Waker) -> (Self, FromOthers) {
        let (messages, received) = sync_channel(BATCHES);
        let (facts, told) = channel();
        let way = Self { messages, facts, waker: waker.clone(), waiting: Vec::new(), untold: 0 };
        (way, FromOthers { messages: received, facts: told })
    }

    /// The same way for another thread.
    fn again(&self) -> Self {
        let (messages, facts) = (self.messages.clone(), self.facts.clone());
        Self { messages, facts, waker: self.waker.clone(), waiting: Vec::new(), untold: 0 }
    }

    fn flush(&mut self, measures: &Measures) {
        if self.waiting.is_empty() && self.untold < FACTS {
            return;
        }
        let count = self.waiting.len() as u64;
        if count > 0 {
            let passed_on = self.messages.try_send(std::mem::take(&mut self.waiting)).is_ok();
            let counter = if passed_on { &measures.datagrams_passed_on } else { &measures.datagrams_dropped };
            counter.fetch_add(count, Relaxed);
        }
        self.untold = 0;
        self.waker.wake();
    }
}

impl FromOthers {
    /// The next fact. All of them come before any other input: see [`ShardMessage`].
    pub(crate) fn fact(&self) -> Option<Input> {
        self.facts.try_recv().ok().map(Input::FromShard)
    }

    /// The messages that another thread received in one batch.
    pub(crate) fn messages(&self) -> Option<impl Iterator<Item = Input> + use<>> {
        let batch = self.messages.try_recv().ok()?;
        Some(batch.into_iter().map(|Misplaced { flow, bytes, handed_over }| match handed_over {
            true => Input::FromShard(ShardMessage::Datagram { flow, bytes }),
            false => Input::Datagram { flow, bytes },
        }))
    }
}

/// Batches of at most 64 messages that may wait for one thread.
const BATCHES: usize = 64;
/// Facts that may wait for a thread that sleeps.
const FACTS: usize = 1_024;
