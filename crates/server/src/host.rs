//! Which thread runs which shard: one runs all of them while there is little to do, for then a message costs most where it
//! has to wake another thread (decision 14).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use offhook_udp_batch::{Poller, Ready, ReceiveBatch, Waker};

use crate::clock;
use crate::pace::Pace;
use crate::signal_thread::SignalThread;

/// A shard with what its wakers wake; it may go from thread to thread.
pub(crate) struct Station {
    work: SignalThread,
    poller: Poller,
    /// Whether it was called while the thread slept.
    called: bool,
}

/// A signal thread and the shards that it runs now.
pub(crate) struct Host {
    number: usize,
    stations: Vec<Station>,
    arrivals: Receiver<Arrival>,
    roster: Arc<Roster>,
}

enum Arrival {
    Station(Box<Station>),
    /// No shard is left anywhere.
    End,
}

/// What all hosts know of one another.
struct Roster {
    /// By thread; shard n belongs to thread n when there is much to do.
    ways: Vec<(Sender<Arrival>, Waker)>,
    /// How busy each thread was in its last window, in thousandths.
    busy: Vec<AtomicU32>,
    /// Shards that have not ended.
    left: AtomicUsize,
    policy: Policy,
}

/// When shards go from thread to thread.
#[derive(Clone, Copy, Debug)]
struct Policy {
    /// Thousandths of its time above which a thread gives shards away.
    full: u32,
    /// Thousandths, of two threads together, below which one is enough.
    little: u32,
    /// Windows in a row for which that must be so.
    patience: u32,
}

impl Policy {
    /// The usual one, or what the environment asks for: a shard for each thread and no more of it, or all of them on the
    /// move, which is for tests.
    fn from_environment() -> Self {
        match std::env::var("OFFHOOK_SHARDS").as_deref() {
            Ok("apart") => Self { full: 0, little: 0, patience: 0 },
            Ok("moving") => Self { full: 0, little: u32::MAX, patience: 0 },
            _ => Self { full: 600, little: 300, patience: 20 },
        }
    }
}

impl Host {
    /// A host for each of these wakers of threads. The first of them begins with all the shards.
    pub(crate) fn all(wakers: Vec<Waker>, mut stations: Vec<Station>) -> Vec<Self> {
        let (ways, arrivals): (Vec<_>, Vec<_>) = wakers
            .into_iter()
            .map(|waker| {
                let (sender, receiver) = channel();
                ((sender, waker), receiver)
            })
            .unzip();
        let busy = ways.iter().map(|_| AtomicU32::new(0)).collect();
        let policy = Policy::from_environment();
        let roster = Arc::new(Roster { ways, busy, left: AtomicUsize::new(stations.len()), policy });
        let hosts = arrivals.into_iter().enumerate();
        hosts
            .map(|(number, arrivals)| {
                let (stations, roster) = (std::mem::take(&mut stations), Arc::clone(&roster));
                Self { number, stations, arrivals, roster }
            })
            .collect()
    }

    /// Runs until no shard is left anywhere.
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub(crate) fn run(mut self, mut poller: Poller) -> io::Result<()> {
        if self.roster.ways.len() == 1 {
            let Some(Station { work, poller, .. }) = self.stations.pop() else {
                return Ok(());
            };
            return work.run(poller);
        }
        for station in &mut self.stations {
            station.begin(&poller)?;
        }
        let (mut batch, mut ready) = (ReceiveBatch::new(), Vec::new());
        let mut meter = Meter::new(clock::now());
        let mut pace = Pace::default();
        loop {
            if self.stations.is_empty() {
                self.roster.busy[self.number].store(0, Relaxed);
                match self.arrivals.recv() {
                    Ok(Arrival::Station(station)) => self.take_in(station, &poller)?,
                    Ok(Arrival::End) | Err(_) => return Ok(()),
                }
                (meter, pace) = (Meter::new(clock::now()), Pace::default());
            }
            while let Ok(Arrival::Station(station)) = self.arrivals.try_recv() {
                self.take_in(station, &poller)?;
            }
            let now = clock::now();
            meter.sleeps(now);
            let mut left =
                self.stations.iter().map(|station| station.work.left(now)).min().unwrap_or_default();
            if let Some(rest) = pace.rest(now) {
                clock::pause(rest);
                left = Duration::ZERO;
            }
            for station in &self.stations {
                if !station.poller.falls_asleep() {
                    left = Duration::ZERO;
                }
            }
            poller.wait(Some(left), &mut ready)?;
            let now = clock::now();
            meter.wakes(now);
            for station in &mut self.stations {
                // Before any of them has something for another, which need not be woken for it.
                station.called = station.poller.wakes_up();
            }
            for station in &mut self.stations {
                if station.wakes_up(&ready) || station.work.left(now).is_zero() {
                    pace.note(station.work.turn(&poller, &mut batch, &ready)?);
                }
            }
            self.let_ended_go();
            if let Some(busy) = meter.window(clock::now()) {
                self.roster.busy[self.number].store(busy, Relaxed);
                self.balance(busy, &mut meter, &poller)?;
            }
        }
    }

    fn take_in(&mut self, mut station: Box<Station>, poller: &Poller) -> io::Result<()> {
        station.begin(poller)?;
        self.stations.push(*station);
        Ok(())
    }

    fn let_ended_go(&mut self) {
        let before = self.stations.len();
        self.stations.retain(|station| !station.work.is_over());
        self.count_ended(before - self.stations.len());
    }

    fn count_ended(&self, ended: usize) {
        if ended > 0 && self.roster.left.fetch_sub(ended, SeqCst) == ended {
            for (way, waker) in &self.roster.ways {
                // Who is gone needs no telling.
                let _ = way.send(Arrival::End);
                waker.wake();
            }
        }
    }

    /// Sends shards to their own threads when there is too much for this one, and back to the first when there is little.
    fn balance(&mut self, busy: u32, meter: &mut Meter, poller: &Poller) -> io::Result<()> {
        let policy = self.roster.policy;
        let sent = if self.stations.len() > 1 && busy >= policy.full {
            self.stations.split_off(self.stations.len().div_ceil(2))
        } else if self.number > 0 && meter.is_quiet(busy + self.roster.busy[0].load(Relaxed), &policy) {
            std::mem::take(&mut self.stations)
        } else {
            return Ok(());
        };
        let home = self.number == 0;
        for station in sent {
            station.work.leave(poller)?;
            poller.remove_wakers_of(&station.poller)?;
            let to = if home { usize::from(station.work.number) } else { 0 };
            if let Some((way, waker)) = self.roster.ways.get(to) {
                // It fails only when that thread has failed, which ends the program.
                let _ = way.send(Arrival::Station(Box::new(station)));
                waker.wake();
            }
        }
        Ok(())
    }
}

/// Where a thread fails, its shards are gone, and the others need not wait for them.
impl Drop for Host {
    fn drop(&mut self) {
        self.count_ended(self.stations.len());
    }
}

impl Station {
    /// A shard that is at work nowhere yet.
    pub(crate) fn new(work: SignalThread, poller: Poller) -> Self {
        Self { work, poller, called: false }
    }

    /// Its tokens at the poller of its thread: one for each socket, the last for its wakers.
    fn tokens(&self) -> std::ops::RangeInclusive<u64> {
        let base = u64::from(self.work.number) << 16;
        base..=base + 0xffff
    }

    /// Its new thread sleeps on it from now on, and looks at it at once.
    fn begin(&mut self, poller: &Poller) -> io::Result<()> {
        let tokens = self.tokens();
        self.work.begin(poller, *tokens.start())?;
        poller.add_wakers_of(&self.poller, *tokens.end())?;
        self.poller.waker().wake();
        Ok(())
    }

    /// Whether one of its sockets is ready or somebody called it.
    fn wakes_up(&mut self, ready: &[Ready]) -> bool {
        let tokens = self.tokens();
        if ready.iter().any(|one| one.token == *tokens.end()) {
            self.poller.empty();
        }
        self.called | self.poller.wakes_up() || ready.iter().any(|one| tokens.contains(&one.token))
    }
}

/// How much of its time a thread is at work.
struct Meter {
    window: Instant,
    awake: Instant,
    busy: Duration,
    quiet: u32,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { window: now, awake: now, busy: Duration::ZERO, quiet: 0 }
    }

    fn sleeps(&mut self, now: Instant) {
        self.busy += now.saturating_duration_since(self.awake);
    }

    fn wakes(&mut self, now: Instant) {
        self.awake = now;
    }

    /// Thousandths of the last window, if it is over.
    fn window(&mut self, now: Instant) -> Option<u32> {
        let passed = now.saturating_duration_since(self.window);
        if passed < WINDOW {
            return None;
        }
        let busy = self.busy.as_micros() * 1_000 / passed.as_micros().max(1);
        (self.window, self.busy) = (now, Duration::ZERO);
        Some(busy.min(1_000) as u32)
    }

    /// Whether so many thousandths have been little for a while.
    fn is_quiet(&mut self, busy: u32, policy: &Policy) -> bool {
        self.quiet = if busy < policy.little { self.quiet + 1 } else { 0 };
        self.quiet > policy.patience
    }
}

const WINDOW: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_as_busy_as_the_part_of_the_window_in_which_it_was_awake() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut meter = Meter::new(start);
        meter.sleeps(at(10));
        meter.wakes(at(60));
        meter.sleeps(at(80));
        assert_eq!(meter.window(at(90)), None);
        meter.wakes(at(100));
        assert_eq!(meter.window(at(100)), Some(300));
        meter.sleeps(at(200));
        assert_eq!(meter.window(at(200)), Some(1_000));
        let policy = Policy { full: 600, little: 300, patience: 2 };
        let quiet = [299, 0, 299, 300, 0].map(|busy| meter.is_quiet(busy, &policy));
        assert_eq!(quiet, [false, false, true, false, false]);
    }
}
