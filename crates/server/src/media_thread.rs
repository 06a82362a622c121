//! The thread that relays media: one socket for each port that is lent to a call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use offhook_media::command::{Command, Report};
use offhook_media::relay::{Config, Forward, Input, Outbox, Ports, Relay};
use offhook_udp_batch::{BatchSocket, Interest, Outgoing, Poller, Ready, ReceiveBatch, SocketOptions};

use crate::clock;
use crate::shards::Mailbox;
use crate::telemetry::Measures;

/// The relay with its sockets.
pub(crate) struct MediaThread {
    relay: Relay,
    sockets: Sockets,
    commands: Receiver<Command>,
    reports: Mailbox<Report>,
    measures: Arc<Measures>,
    out: Outbox,
}

/// The sockets by their ports.
struct Sockets {
    first: u16,
    listen: IpAddr,
    open: Vec<Option<Line>>,
}

/// A socket, and the address of ours that its peer knows.
struct Line {
    socket: BatchSocket,
    known_as: Option<IpAddr>,
}

impl MediaThread {
    /// An idle relay that opens its ports on `listen`.
    pub(crate) fn new(
        config: Config,
        listen: IpAddr,
        commands: Receiver<Command>,
        reports: Mailbox<Report>,
        measures: Arc<Measures>,
    ) -> Self {
        let open = std::iter::repeat_with(|| None).take(config.ports.len()).collect();
        let sockets = Sockets { first: *config.ports.start(), listen, open };
        let (relay, out) = (Relay::new(config), Outbox::default());
        Self { relay, sockets, commands, reports, measures, out }
    }

    /// Runs until nobody can send commands any more.
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub(crate) fn run(mut self, mut poller: Poller) -> io::Result<()> {
        // A longer packet than this is not media: it arrives truncated, and is dropped.
        let mut batch = ReceiveBatch::with_slots(SLOTS, LONGEST);
        let mut ready = Vec::new();
        loop {
            let deadline = self.relay.next_deadline();
            let pause = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
            poller.wait(pause, &mut ready)?;
            let now = clock::now();
            for one in &ready {
                self.drain(one, &mut batch, now);
            }
            loop {
                match self.commands.try_recv() {
                    Ok(command) => {
                        self.relay.handle(now, Input::Command(command), &mut self.out);
                        self.arrange_ports(&poller, now);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.relay.handle(now, Input::Deadline, &mut self.out);
                self.arrange_ports(&poller, now);
            }
            self.measures.relayed_streams.store(self.relay.len() as u64, Relaxed);
            self.reports.post(&mut self.out.reports);
        }
    }

    /// Passes on everything that a port has, but not for ever.
    fn drain(&mut self, ready: &Ready, batch: &mut ReceiveBatch, now: Instant) {
        let port = ready.token as u16;
        for _ in 0..ROUNDS {
            let Some(line) = self.sockets.line(port) else { return };
            let Ok(count) = line.socket.receive(batch) else { continue };
            if count == 0 {
                return;
            }
            line.known_as = batch.iter().last().map(|datagram| datagram.destination.ip());
            self.measures.media_packets.fetch_add(count as u64, Relaxed);
            self.pass_on(port, batch, now);
            if count < batch.capacity() {
                return;
            }
        }
    }

    /// Sends each packet of the batch where it belongs; those that leave by one port leave together.
    fn pass_on(&mut self, port: u16, batch: &ReceiveBatch, now: Instant) {
        let mut waiting: Vec<Outgoing<'_>> = Vec::with_capacity(batch.len());
        let mut by = None;
        for datagram in batch.iter().filter(|datagram| !datagram.truncated) {
            let passed = self.relay.forward(now, port, datagram.source, datagram.payload, &mut self.out);
            let Some(Forward { from_port, to }) = passed else { continue };
            if by != Some(from_port) {
                self.sockets.send(by, &mut waiting);
                by = Some(from_port);
            }
            waiting.push(Outgoing { destination: to, source: None, payload: datagram.payload });
        }
        self.sockets.send(by, &mut waiting);
    }

    /// Opens and closes sockets as the relay asks.
    fn arrange_ports(&mut self, poller: &Poller, now: Instant) {
        // A port that cannot be opened makes the relay close others, so the list may grow.
        while !self.out.ports.is_empty() {
            for one in std::mem::take(&mut self.out.ports) {
                match one {
                    Ports::Open { port, local_ip, .. } => {
                        if self.sockets.open(port, local_ip, poller).is_err() {
                            self.relay.handle(now, Input::PortUnavailable { port }, &mut self.out);
                        }
                    }
                    Ports::Close { port } => self.sockets.close(port, poller),
                }
            }
        }
    }
}

impl Sockets {
    fn line(&mut self, port: u16) -> Option<&mut Line> {
        self.open.get_mut(usize::from(port.checked_sub(self.first)?))?.as_mut()
    }

    fn open(&mut self, port: u16, local_ip: Option<IpAddr>, poller: &Poller) -> io::Result<()> {
        let address = SocketAddr::new(local_ip.unwrap_or(self.listen), port);
        let socket = offhook_net::bind_udp(address, &options()).map_err(|error| error.source)?;
        poller.add(&socket, u64::from(port), Interest::Read)?;
        let place = usize::from(port - self.first);
        if let Some(slot) = self.open.get_mut(place) {
            *slot = Some(Line { socket, known_as: None });
        }
        Ok(())
    }

    fn close(&mut self, port: u16, poller: &Poller) {
        let place = port.checked_sub(self.first).map(usize::from);
        if let Some(line) = place.and_then(|place| self.open.get_mut(place)).and_then(Option::take) {
            // Closing the socket removes it too.
            let _ = poller.remove(&line.socket);
        }
    }

    /// Sends by a port, from the address to which the peer sends, where it has sent already.
    fn send(&mut self, by: Option<u16>, waiting: &mut Vec<Outgoing<'_>>) {
        if let Some(line) = by.and_then(|port| self.line(port)) {
            for one in waiting.iter_mut() {
                let fits = |ip: &IpAddr| ip.is_ipv4() == one.destination.is_ipv4() && !ip.is_unspecified();
                one.source = line.known_as.filter(fits);
            }
            // Media that finds no room is late already: it is lost like any other packet.
            line.socket.send(waiting, &mut Vec::new());
        }
        waiting.clear();
    }
}

/// Expedited forwarding, as voice asks for (RFC 4594 §4.1).
fn options() -> SocketOptions {
    SocketOptions { dscp: Some(46), ..SocketOptions::default() }
}

const SLOTS: usize = 32;
const LONGEST: usize = 9_216;
const ROUNDS: usize = 16;
