//! The thread that owns a shard: datagrams and everything else in, a flush after each few of a batch out.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_exchange::Shard;
use offhook_exchange::command::{Answer, Ticket};
use offhook_exchange::config::Epoch;
use offhook_exchange::io::{Input, Outbox};
use offhook_exchange::message::TextAnswer;
use offhook_exchange::presence::WatchChange;
use offhook_media::command as media;
use offhook_memory::Peak;
use offhook_net::{Fetcher, NetInput, Resolver, SendFailed, Streams, UdpSockets, flow_of};
use offhook_sip_stack::ladder::Way;
use offhook_sip_stack::locate::DnsAnswer;
use offhook_sip_stack::{FetchFailure, Flow, Transport};
use offhook_store::Journal;
use offhook_udp_batch::{Interest, Poller, Ready, ReceiveBatch, Waker};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::keeps::Wanted;
use crate::others::{FromOthers, Others};
use crate::pace::{Came, Pace};
use crate::recordings::{Files, Shown};
use crate::shards::{Mailbox, Post, Reports};
use crate::telemetry::{Ledger, Measures, Notes};
use crate::texts::{Asked, Stored};
use crate::trace::Recorder;
use crate::{clock, trace};

/// A shard with all that it is connected to.
pub(crate) struct SignalThread {
    pub(crate) number: u8,
    pub(crate) waker: Waker,
    pub(crate) shard: Shard,
    pub(crate) epoch: Epoch,
    pub(crate) udp: UdpSockets,
    pub(crate) streams: Streams,
    pub(crate) net: mpsc::Receiver<NetInput>,
    pub(crate) post: Receiver<Post>,
    pub(crate) others: Others,
    pub(crate) from_others: FromOthers,
    pub(crate) reports: Reports,
    pub(crate) resolver: Resolver,
    pub(crate) fetcher: Fetcher,
    /// What it had fetched: the way here, and its end.
    pub(crate) fetched: (Mailbox<Fetched>, Receiver<Fetched>),
    /// What its questions to the DNS were answered: the way here, and its end.
    pub(crate) resolved: (Mailbox<Resolved>, Receiver<Resolved>),
    /// The way of questions about text messages, and that of their answers.
    pub(crate) texts: mpsc::Sender<Asked>,
    pub(crate) keeps: mpsc::Sender<Wanted>,
    pub(crate) watches: mpsc::Sender<WatchChange>,
    pub(crate) stored: (Mailbox<Stored>, Receiver<Stored>),
    pub(crate) media: Mailbox<media::Command>,
    /// The way to files of recordings, and what folders of them hold.
    pub(crate) files: (Files, Receiver<Shown>),
    pub(crate) journal: Journal,
    pub(crate) notes: Notes,
    pub(crate) recorder: Recorder,
    pub(crate) ledger: Ledger,
    pub(crate) measures: Arc<Measures>,
    pub(crate) state: State,
}

/// The number of a question to the DNS, and its answer.
pub(crate) type Resolved = (u64, DnsAnswer);
pub(crate) type Fetched = (u64, Result<Bytes, FetchFailure>);

/// What the thread itself keeps between batches.
#[derive(Default)]
pub(crate) struct State {
    out: Outbox,
    failed: Vec<SendFailed>,
    /// What one batch has for this thread's own shard.
    own: Vec<(Flow, Bytes)>,
    asked: BTreeMap<u64, oneshot::Sender<Answer>>,
    tickets: u64,
    journal_fails: bool,
    ledger_fails: bool,
    over: bool,
    /// Of the sockets' drops, those that the measures know of.
    drops_told: u64,
    /// Whether each socket is watched for room to write.
    watched: Vec<bool>,
    /// Whether a socket or another thread had something left after the last round.
    left: bool,
    /// Since when that is so.
    behind: Option<Instant>,
    /// Whether the shard was told that messages wait.
    told: bool,
    /// Of its transactions.
    peak: Peak,
    /// The token of its first socket at the poller of the thread that runs it.
    base: u64,
    /// What came in this turn.
    came: Came,
    /// When it is time for what is done each second.
    tick: Option<Instant>,
}

impl SignalThread {
    /// Runs alone until it is told to end.
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub(crate) fn run(mut self, mut poller: Poller) -> io::Result<()> {
        self.begin(&poller, 0)?;
        let (mut batch, mut ready) = (ReceiveBatch::new(), Vec::new());
        let mut pace = Pace::default();
        while !self.is_over() {
            let now = clock::now();
            let mut left = self.left(now);
            if let Some(rest) = pace.rest(now) {
                // Deadlines wait too: nearly each message sets one that would end a rest some time later.
                clock::pause(rest);
                left = Duration::ZERO;
            }
            poller.wait(Some(left), &mut ready)?;
            pace.note(self.turn(&poller, &mut batch, &ready)?);
        }
        Ok(())
    }

    /// Has its sockets watched by the poller of the thread that runs it from now on, under tokens from `base` on.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub(crate) fn begin(&mut self, poller: &Poller, base: u64) -> io::Result<()> {
        self.state.base = base;
        self.state.watched.resize(self.udp.iter().len(), false);
        for (index, (socket, watched)) in self.udp.iter().zip(&self.state.watched).enumerate() {
            let interest = if *watched { Interest::ReadWrite } else { Interest::Read };
            poller.add(socket, base + index as u64, interest)?;
        }
        Ok(())
    }

    /// Has its sockets watched no longer.
    ///
    /// # Errors
    /// As [`Poller::remove`].
    pub(crate) fn leave(&self, poller: &Poller) -> io::Result<()> {
        self.udp.iter().try_for_each(|socket| poller.remove(socket))
    }

    /// How long it may sleep at `now`; several deadlines that lie close together wait for the last of them.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        let tick = self.state.tick.unwrap_or(now);
        let deadline = self.shard.next_deadline().map_or(tick, |deadline| deadline.min(tick));
        match deadline.saturating_duration_since(now) {
            Duration::ZERO => Duration::ZERO,
            left => left.max(CLOSE),
        }
    }

    /// Whether it was told to end.
    pub(crate) fn is_over(&self) -> bool {
        self.state.over
    }

    /// Does what there is to do when these sockets of all the thread's are ready. Returns what came.
    ///
    /// # Errors
    /// When the system does not let it receive.
    pub(crate) fn turn(
        &mut self,
        poller: &Poller,
        batch: &mut ReceiveBatch,
        ready: &[Ready],
    ) -> io::Result<Came> {
        self.state.came = Came::default();
        self.tell_behind();
        self.state.left = false;
        for one in ready {
            self.state.left |= self.receive(one, batch, poller)?;
        }
        self.take_others();
        let now = clock::now();
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.shard.handle(now, Input::Deadline, &mut self.state.out);
        }
        if self.state.tick.is_none_or(|tick| now >= tick) {
            self.state.tick = Some(now + TICK);
            self.each_second();
        }
        self.flush(poller);
        Ok(self.state.came)
    }

    /// Lets the shard know how long messages wait. The kernel does not say; a socket that was not empty since a moment
    /// may have held one since then.
    fn tell_behind(&mut self) {
        let (now, left) = (clock::now(), self.state.left);
        let behind = self.state.behind.filter(|_| left);
        let waited = behind.map_or(Duration::ZERO, |since| now.duration_since(since));
        self.state.behind = left.then(|| behind.unwrap_or(now));
        if left || self.state.told {
            self.shard.handle(now, Input::Waited(waited), &mut self.state.out);
            // Until it has heard for a while that nothing waits, it may still refuse calls.
            self.state.told = left || self.shard.is_refusing();
        }
    }

    /// Takes what one socket has, a batch at a time; what is beyond waits for the next round, lest one socket
    /// starve the rest. Returns whether something is left.
    fn receive(&mut self, ready: &Ready, batch: &mut ReceiveBatch, poller: &Poller) -> io::Result<bool> {
        for _ in 0..ROUNDS {
            let index =
                ready.token.checked_sub(self.state.base).and_then(|index| usize::try_from(index).ok());
            let Some(socket) = index.and_then(|index| self.udp.get(index)).filter(|_| ready.readable) else {
                return Ok(false);
            };
            let count = match socket.receive(batch) {
                Ok(count) => count,
                // An answer of ours that found a closed port comes back as an error of the socket.
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Err(error),
            };
            self.measures.datagrams_received.fetch_add(count as u64, Relaxed);
            let now = clock::now();
            let datagrams = batch.iter_owned().map(|one| (flow_of(&one), one.payload));
            self.others.sort(datagrams, &mut self.state.own);
            // The others count what is theirs; but something came.
            self.state.came.messages += usize::from(count > 0 && self.state.own.is_empty());
            self.take_facts(now);
            let unix = self.epoch.unix(now);
            let mut own = std::mem::take(&mut self.state.own);
            for (before, (flow, bytes)) in own.drain(..).enumerate() {
                if before % TOGETHER == TOGETHER - 1 {
                    self.flush(poller);
                }
                self.state.came.count(&bytes);
                self.recorder.message(unix, Way::Received, &flow, &bytes);
                self.shard.handle(now, Input::Datagram { flow, bytes }, &mut self.state.out);
            }
            self.state.own = own;
            if count < batch.capacity() {
                // What it led to leaves with what came from others.
                return Ok(false);
            }
            self.flush(poller);
        }
        Ok(ready.readable)
    }

    /// Takes what the other threads know. It comes before every other input: see `ShardMessage`.
    fn take_facts(&mut self, now: Instant) {
        while let Some(fact) = self.from_others.fact() {
            self.shard.handle(now, fact, &mut self.state.out);
        }
    }

    /// Takes what came from other threads, streams, the media thread and operators.
    fn take_others(&mut self) {
        let now = clock::now();
        let unix = self.epoch.unix(now);
        self.take_facts(now);
        let mut left = MOST_AT_ONCE;
        while left > 0
            && let Some(messages) = self.from_others.messages()
        {
            self.take_facts(now);
            for input in messages {
                left = left.saturating_sub(1);
                // Who handed it over has kept it.
                if let Input::Datagram { flow, bytes } = &input {
                    self.state.came.count(bytes);
                    self.recorder.message(unix, Way::Received, flow, bytes);
                } else {
                    self.state.came.messages += 1;
                }
                self.shard.handle(now, input, &mut self.state.out);
            }
        }
        let mut more = left == 0;
        self.state.left |= more;
        left = MOST_AT_ONCE;
        while left > 0
            && let Ok(input) = self.net.try_recv()
        {
            left -= 1;
            self.measures.stream_inputs.fetch_add(1, Relaxed);
            if let Some(input) = of_net(input) {
                self.take_facts(now);
                if let Input::StreamMessage { flow, bytes } | Input::BrokenStream { flow, head: bytes } =
                    &input
                {
                    self.recorder.message(unix, Way::Received, flow, bytes);
                }
                self.shard.handle(now, input, &mut self.state.out);
            }
        }
        more |= left == 0;
        while let Ok(report) = self.reports.try_recv() {
            self.shard.handle(now, Input::Media(report), &mut self.state.out);
        }
        while let Ok((folder, files)) = self.files.1.try_recv() {
            self.shard.handle(now, Input::Mailbox(folder, files), &mut self.state.out);
        }
        while let Ok((ticket, answer)) = self.resolved.1.try_recv() {
            self.shard.handle(now, Input::Resolved(ticket, answer), &mut self.state.out);
        }
        while let Ok((ticket, answer)) = self.fetched.1.try_recv() {
            self.shard.handle(now, Input::Fetched(ticket, answer), &mut self.state.out);
        }
        while let Ok((ticket, answer)) = self.stored.1.try_recv() {
            self.take_facts(now);
            self.shard.handle(now, Input::Stored(ticket, answer), &mut self.state.out);
        }
        while let Ok(post) = self.post.try_recv() {
            self.take_facts(now);
            self.obey(post, now);
        }
        if more {
            // Who put in what is left has woken us already.
            self.waker.wake();
        }
    }

    fn obey(&mut self, post: Post, now: Instant) {
        match post {
            Post::Command(command, answer, permit) => {
                self.state.tickets += 1;
                self.state.asked.insert(self.state.tickets, answer);
                let input = Input::Command(Ticket(self.state.tickets), command);
                self.shard.handle(now, input, &mut self.state.out);
                drop(permit);
            }
            Post::Trace(from, answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.recorder.since(from));
            }
            Post::Drain => self.shard.handle(now, Input::Drain, &mut self.state.out),
            Post::Stop => self.state.over = true,
        }
    }

    fn each_second(&mut self) {
        let drops = self.udp.iter().map(|socket| socket.dropped()).sum::<u64>() + self.udp.dropped();
        self.measures.datagrams_dropped.fetch_add(drops - self.state.drops_told, Relaxed);
        self.state.drops_told = drops;
        // Nothing of the journal stays behind when traffic ceases.
        let _ = self.journal.append(&mut Vec::new());
        let written = self.ledger.write();
        self.tell_ledger(written);
        if self.state.peak.is_over(self.shard.transactions()) {
            offhook_memory::give_back();
        }
    }

    /// Carries out what the batch brought forth: first what must be written, then what the other threads must know,
    /// then everything else: whoever sees an answer meets what it says everywhere.
    fn flush(&mut self, poller: &Poller) {
        for _ in 0..ROUNDS {
            self.write_journal();
            let happened = self.write_ledger();
            self.others.flush(&mut self.state.out.shards);
            self.ask_dns();
            self.ask_store();
            self.send(poller);
            // Media may want a file under its new name.
            self.state.out.files.drain(..).for_each(|request| self.files.0.change(request));
            self.media.post(&mut self.state.out.media);
            self.answer();
            for event in self.state.out.events.drain(..) {
                self.measures.count(&event);
                trace::keep(&mut self.recorder, happened, &event);
                self.notes.event(happened, event);
            }
            // After what stands in it.
            while let Some(left) = self.ledger.left() {
                self.notes.ledger_left(left);
            }
            self.notes.flush();
            if self.state.failed.is_empty() {
                return;
            }
            // Whoever waits for an answer to what was not sent need not wait for a timer.
            let now = clock::now();
            for failed in std::mem::take(&mut self.state.failed) {
                self.measures.sends_failed.fetch_add(1, Relaxed);
                self.shard.handle(now, Input::FlowFailed(failed.transmit.flow), &mut self.state.out);
            }
        }
    }

    fn write_journal(&mut self) {
        if self.state.out.store.is_empty() {
            return;
        }
        let written = self.journal.append(&mut self.state.out.store);
        let fails = written.is_err();
        if fails != self.state.journal_fails {
            self.notes.journal(written.err().map(|error| error.to_string()));
        }
        self.state.journal_fails = fails;
    }

    /// Writes what happened to calls, before anybody is told of an answer. Returns the Unix time of it.
    fn write_ledger(&mut self) -> Duration {
        if self.state.out.events.is_empty() {
            return Duration::ZERO;
        }
        let happened = self.epoch.unix(clock::now());
        self.state.out.events.iter().for_each(|event| self.ledger.take(happened, event));
        let written = self.ledger.flush();
        self.tell_ledger(written);
        happened
    }

    fn tell_ledger(&mut self, written: io::Result<()>) {
        let fails = written.is_err();
        if fails != self.state.ledger_fails {
            self.notes.ledger(written.err().map(|error| error.to_string()));
        }
        self.state.ledger_fails = fails;
    }

    fn ask_dns(&mut self) {
        for (ticket, question) in self.state.out.resolves.drain(..) {
            // Dropped with the answer in it, which wakes this thread.
            let mut answered = self.resolved.0.clone();
            self.resolver.ask(question, move |answer| answered.put((ticket, answer)));
        }
        for (ticket, address) in self.state.out.fetches.drain(..) {
            let mut fetched = self.fetched.0.clone();
            self.fetcher.fetch(address, move |answer| fetched.put((ticket, answer)));
        }
        for (remote, domain) in self.state.out.expected.drain(..) {
            self.streams.expect(remote, &domain);
        }
    }

    fn ask_store(&mut self) {
        for (ticket, keep) in self.state.out.keeps.drain(..) {
            if self.keeps.try_send(Wanted { shard: self.number, ticket, keep }).is_err() {
                tracing::warn!("too much waits for the database: what somebody set by telephone is lost");
            }
        }
        for (ticket, request) in self.state.out.texts.drain(..) {
            let asked = Asked { ticket, request, answered: self.stored.0.clone() };
            if let Err(TrySendError::Full(mut asked) | TrySendError::Closed(mut asked)) =
                self.texts.try_send(asked)
            {
                asked.answered.put((ticket, TextAnswer::Failed));
            }
        }
        let changes = self.state.out.watches.drain(..);
        let lost = changes.filter_map(|change| self.watches.try_send(change).err()).count();
        if lost > 0 {
            tracing::warn!(changes = lost, "too many subscriptions change: these may end with the process");
        }
    }

    fn send(&mut self, poller: &Poller) {
        let sip = &mut self.state.out.sip;
        self.measures.messages_sent.fetch_add(sip.transmits.len() as u64, Relaxed);
        let now = if sip.transmits.is_empty() { Duration::ZERO } else { self.epoch.unix(clock::now()) };
        for transmit in sip.transmits.drain(..) {
            self.recorder.message(now, Way::Sent, &transmit.flow, &transmit.bytes);
            if transmit.flow.transport == Transport::Udp {
                self.udp.queue(transmit);
            } else if let Err(failed) = self.streams.send(transmit) {
                self.state.failed.push(*failed);
            }
        }
        for close in sip.closes.drain(..) {
            self.streams.close(close.0);
        }
        self.udp.flush(&mut self.state.failed);
        let base = self.state.base;
        for (index, watched) in self.state.watched.iter_mut().enumerate() {
            let waits = self.udp.is_waiting(index);
            if waits != *watched
                && let Some(socket) = self.udp.get(index)
            {
                let interest = if waits { Interest::ReadWrite } else { Interest::Read };
                // Should it fail, the next message tries again.
                *watched =
                    if poller.modify(socket, base + index as u64, interest).is_ok() { waits } else { !waits };
            }
        }
    }

    fn answer(&mut self) {
        for (ticket, answer) in self.state.out.answers.drain(..) {
            if let Some(waiting) = self.state.asked.remove(&ticket.0) {
                // Whoever asked may have gone.
                let _ = waiting.send(answer);
            }
        }
    }
}

/// What the network reports, in the words of the shard.
fn of_net(input: NetInput) -> Option<Input> {
    Some(match input {
        NetInput::Message { bytes, flow } => Input::StreamMessage { flow, bytes },
        NetInput::ConnectionProven(flow, names) => Input::Proven(flow.connection?, names),
        NetInput::ConnectionLost(flow) => Input::FlowFailed(flow),
        NetInput::SendFailed(failed) => Input::FlowFailed(failed.transmit.flow),
        NetInput::BadFrame { error, flow } => Input::BrokenStream { flow, head: error.head },
        // A shard learns of a connection from the first message on it.
        NetInput::ConnectionOpened(_) => return None,
    })
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, OutOfMemory,
    };
    let kinds = [ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, OutOfMemory];
    kinds.contains(&error.kind())
}

const TICK: Duration = Duration::from_secs(1);
const ROUNDS: usize = 8;
/// After so many messages of a batch what they led to goes out: the first of a full batch need not wait for the last.
const TOGETHER: usize = 16;
const MOST_AT_ONCE: usize = 256;
/// How late a deadline may be.
const CLOSE: Duration = Duration::from_millis(2);
