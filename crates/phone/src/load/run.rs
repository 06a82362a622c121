//! The loop of a load: begin what is due, wake whom a deadline woke, send, sleep, receive.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use offhook_net::TlsClient;
use offhook_sip_stack::Transport;
use offhook_udp_batch::ReceiveBatch;

use super::callees::Callees;
use super::callers::Callers;
use super::context::Context;
use super::garbage::Garbage;
use super::heard::Heard;
use super::plan::{Held, Plan, Work};
use super::registrants::Registrants;
use super::report::Report;
use super::sound::Sound;
use super::streams::Dialling;
use super::tally::Tally;
use super::timers::{Owner, Timers, Why};
use super::wire::Wire;
use crate::clock;

/// Runs a load to its end.
pub(super) fn run(plan: Plan, tls: Option<TlsClient>) -> io::Result<Report> {
    Load::open(plan, tls)?.run()
}

struct Load {
    epoch: Instant,
    /// The same moment, since 1970, for the times that the kernel notes.
    epoch_of_kernel: Duration,
    cx: Context,
    /// The accounts that register: as work, or to be called.
    registrants: Option<Registrants>,
    callers: Callers,
    callees: Callees,
    sound: Sound,
    /// Lent to who receives: to make another one for the meantime would cost more than to receive.
    batch: Option<ReceiveBatch>,
    /// The socket of nonsense, and room to write it.
    nonsense: (usize, u16),
    text: Vec<u8>,
}

impl Load {
    fn open(plan: Plan, tls: Option<TlsClient>) -> io::Result<Self> {
        let dialling = match plan.transport {
            Transport::Udp => None,
            transport => Some(Dialling::new(transport, plan.exchange, &plan.name, tls)?),
        };
        let mut wire = Wire::new(dialling)?;
        let mut ways =
            |count: u32| (0..count).map(|_| wire.open_way(plan.local)).collect::<io::Result<Vec<_>>>();
        let callers = ways(plan.sockets)?;
        let callees = ways(if plan.callees.is_some() { plan.sockets.div_ceil(2) } else { 0 })?;
        let mut open = |count: u32| (0..count).map(|_| wire.open(plan.local)).collect::<io::Result<Vec<_>>>();
        let nonsense = open(1)?[0];
        let sound = match plan.sound {
            true => Some([open(1)?[0], open(1)?[0]]),
            false => None,
        };
        let (timers, tally, garbage) = (Timers::default(), Tally::default(), Garbage::new());
        Ok(Self {
            epoch: clock::now(),
            epoch_of_kernel: clock::since_1970(),
            cx: Context { now: 0, taken: 0, plan, wire, timers, tally, callers, callees, sound, garbage },
            registrants: None,
            callers: Callers::default(),
            callees: Callees::default(),
            sound: Sound::default(),
            batch: Some(ReceiveBatch::with_slots(offhook_udp_batch::BATCH, 4096)),
            nonsense,
            text: Vec::new(),
        })
    }

    fn run(mut self) -> io::Result<Report> {
        self.register_callees()?;
        let mut report = Report::new(&self.cx.plan);
        self.mark("start");
        let (count, rate) = (self.cx.plan.count, self.cx.plan.rate);
        if self.cx.plan.work == Work::Registrations {
            let crowd = self.cx.plan.callers.clone();
            self.registrants = Some(Registrants::new(crowd, Registrants::LOAD));
        }
        self.tick();
        let began = self.cx.now;
        self.begin_at(rate, count)?;
        report.offering = Duration::from_nanos(self.cx.now - began);
        if let Some((rate, time)) = self.cx.plan.after {
            // What began before still counts where it belongs: by the time when it began.
            let recovering = self.cx.now;
            self.begin_at(rate, (rate * time.as_secs_f64()) as u32)?;
            self.finish()?;
            let last = self.cx.tally.last_bad.filter(|last| *last > recovering);
            report.recovered_after = Some(Duration::from_nanos(last.map_or(0, |last| last - recovering)));
        }
        if let Some(held) = self.cx.plan.held {
            self.hold(held)?;
        }
        self.finish()?;
        self.mark("end");
        report.total = Duration::from_nanos(self.cx.now - began);
        report.sound = self.cx.plan.sound.then(|| self.sound.heard());
        report.dropped = self.cx.wire.dropped();
        report.unsent = self.cx.wire.unsent;
        report.tally = self.cx.tally;
        Ok(report)
    }

    /// The callees become known, before anything counts.
    fn register_callees(&mut self) -> io::Result<()> {
        let Some(crowd) = self.cx.plan.callees.clone().filter(|_| self.cx.plan.work == Work::Calls) else {
            return Ok(());
        };
        let count = crowd.len();
        self.registrants = Some(Registrants::new(crowd, Registrants::CALLEES));
        self.offer(500.0, count, |load, number| {
            if let Some(registrants) = &mut load.registrants {
                registrants.begin(number, &mut load.cx);
            }
        })?;
        self.finish()?;
        let tally = std::mem::take(&mut self.cx.tally);
        if tally.failed > 0 {
            let text =
                format!("{} of {count} callees could not register: {:?}", tally.failed, tally.statuses);
            return Err(io::Error::other(text));
        }
        Ok(())
    }

    /// Begins `count` units of the work.
    fn begin_at(&mut self, rate: f64, count: u32) -> io::Result<()> {
        self.offer(rate, count, |load, number| {
            match load.cx.plan.work {
                Work::Calls => load.callers.begin(&mut load.cx),
                Work::Registrations => {
                    if let Some(registrants) = &mut load.registrants {
                        registrants.begin(number % load.cx.plan.callers.len(), &mut load.cx);
                    }
                }
            }
            load.throw_garbage();
        })
    }

    /// Begins `count` units at an even rate, however slowly the others are answered.
    fn offer(&mut self, rate: f64, count: u32, begin: impl Fn(&mut Self, u32)) -> io::Result<()> {
        self.tick();
        let (from, mut begun) = (self.cx.now, 0);
        while begun < count {
            self.tick();
            let due = ((self.cx.now - from) as f64 / 1e9 * rate) as u32 + 1;
            let now = due.min(count).min(begun + BURST);
            while begun < now {
                begin(self, begun);
                begun += 1;
            }
            self.step(if begun < due.min(count) { Duration::ZERO } else { TICK })?;
        }
        Ok(())
    }

    fn throw_garbage(&mut self) {
        if self.cx.garbage.chance(self.cx.plan.garbage) {
            let host = self.cx.plan.callers.host.clone();
            self.cx.garbage.write(&host, self.nonsense.1, &mut self.text);
            self.cx.send(self.nonsense.0, &self.text);
            self.cx.tally.garbage += 1;
        }
    }

    /// Waits until all that began has ended; each has its own patience.
    fn finish(&mut self) -> io::Result<()> {
        while self.cx.tally.in_flight() > 0 {
            self.step(TICK)?;
        }
        Ok(())
    }

    /// All calls are up at once, are left alone, watched, and ended at the rate at which they began.
    fn hold(&mut self, held: Held) -> io::Result<()> {
        while self.cx.tally.answered + self.cx.tally.failed < self.cx.tally.started {
            self.step(TICK)?;
        }
        self.mark("all_up");
        self.pass(held.settle)?;
        self.mark("watch");
        self.tick();
        self.sound.watch(self.cx.now);
        self.pass(held.watch)?;
        self.sound.look_away(self.cx.now);
        self.mark("watched");
        // What is still on its way is heard too.
        self.pass(Duration::from_millis(300))?;
        let (rate, count) = (self.cx.plan.rate, self.callers.len());
        self.offer(rate, count, |load, number| load.callers.leave(number, &mut load.cx))
    }

    fn pass(&mut self, time: Duration) -> io::Result<()> {
        self.tick();
        let until = self.cx.now + time.as_nanos() as u64;
        while self.cx.now < until {
            self.step(TICK)?;
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.cx.now = clock::now().saturating_duration_since(self.epoch).as_nanos() as u64;
    }

    fn step(&mut self, at_most: Duration) -> io::Result<()> {
        self.tick();
        self.wake();
        self.sound.tick(&mut self.callers, &self.callees, &mut self.cx);
        self.cx.wire.flush();
        match self.cx.sound {
            Some(_) => self.cx.wire.rest(at_most)?,
            None => self.cx.wire.wait(at_most)?,
        }
        for door in self.cx.wire.ready() {
            self.drain(door);
        }
        for _ in 0..MESSAGES {
            let Some((door, bytes)) = self.cx.wire.next_message() else { break };
            self.tick();
            self.cx.taken = self.cx.now;
            self.receive(door, &bytes, self.cx.plan.exchange);
        }
        self.cx.wire.flush();
        Ok(())
    }

    fn wake(&mut self) {
        let cx = &mut self.cx;
        // A stream loses nothing (RFC 3261 §17.1.1.2).
        let repeats = !cx.plan.transport.is_reliable();
        while let Some(due) = cx.timers.pop(cx.now) {
            let generation = due.generation;
            if !repeats && matches!(due.why, Why::Again(_)) {
                continue;
            }
            match (due.owner, due.why) {
                (Owner::Registrant(account), why) => {
                    let Some(registrants) = &mut self.registrants else { continue };
                    match why {
                        Why::Again(sent) => registrants.again(account, generation, sent, cx),
                        Why::Patience | Why::Hold => registrants.give_up(account, generation, cx),
                    }
                }
                (Owner::Caller(call), Why::Again(sent)) => self.callers.again(call, generation, sent, cx),
                (Owner::Caller(call), Why::Patience) => self.callers.give_up(call, generation, cx),
                (Owner::Caller(call), Why::Hold) => self.callers.leave(call, cx),
                (Owner::Callee(call), Why::Again(sent)) => self.callees.again(call, generation, sent, cx),
                (Owner::Callee(_), Why::Patience | Why::Hold) => {}
            }
        }
    }

    fn drain(&mut self, door: usize) {
        let Some(mut batch) = self.batch.take() else { return };
        for _ in 0..ROUNDS {
            let more = self.cx.wire.receive(door, &mut batch);
            self.tick();
            self.cx.taken = self.cx.now;
            for datagram in batch.iter() {
                // How long it lay here is no fault of the exchange.
                let came =
                    datagram.came.map(|came| came.saturating_sub(self.epoch_of_kernel).as_nanos() as u64);
                self.cx.now = came.map_or(self.cx.taken, |came| came.min(self.cx.taken));
                self.receive(door, datagram.payload, datagram.source);
            }
            self.cx.now = self.cx.taken;
            if !more {
                break;
            }
        }
        self.batch = Some(batch);
    }

    fn receive(&mut self, door: usize, payload: &[u8], source: std::net::SocketAddr) {
        let cx = &mut self.cx;
        if let Some(side) = cx.sound.and_then(|doors| doors.iter().position(|sound| sound.0 == door)) {
            self.sound.receive((side, door), (payload, source), &mut self.callers, cx);
            return;
        }
        if door == self.nonsense.0 {
            return;
        }
        let Some(heard) = Heard::read(payload) else {
            cx.tally.unknown += 1;
            return;
        };
        if heard.status == 0 {
            match cx.callees.iter().find(|callee| callee.0 == door) {
                Some(callee) => self.callees.request(*callee, &heard, source, cx),
                None => cx.tally.unknown += 1,
            }
            return;
        }
        cx.tally.status(heard.status);
        match (heard.unit(cx.plan.run), &mut self.registrants) {
            (Some((Callers::KIND, call)), _) => {
                self.callers.response(call, &heard, self.callees.hesitated(call), cx);
            }
            (Some((Registrants::LOAD | Registrants::CALLEES, account)), Some(registrants)) => {
                registrants.response(account, &heard, cx);
            }
            _ => cx.tally.unknown += 1,
        }
    }

    /// Tells who watches the exchange that a phase begins.
    fn mark(&mut self, name: &str) {
        self.tick();
        if self.cx.plan.marks {
            let Tally { started, completed, answered, failed, .. } = &self.cx.tally;
            let line = serde_json::json!({
                "mark": name, "started": started, "completed": completed, "answered": answered,
                "failed": failed,
            });
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// How long a step sleeps at most.
const TICK: Duration = Duration::from_millis(1);
/// So many units begin in a step at most, so that answers are heard in between.
const BURST: u32 = 256;
/// So many batches are taken from a socket before the others have their turn.
const ROUNDS: usize = 16;
/// So many messages of connections are taken in a step.
const MESSAGES: usize = 1024;
