//! The thread that relays media: one socket for each port that is lent to a call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use offhook_media::command::{Command, Report};
use offhook_media::relay::{Config, Forward, Input, Outbox, Ports, Relay, Send};
use offhook_media::voice::file::Answer;
use offhook_udp_batch::{Method, Poller, SetOptions, SocketOptions, SocketSet};

use crate::cameras::Cameras;
use crate::clock;
use crate::recordings::Files;
use crate::shards::Mailbox;
use crate::telemetry::Measures;

/// The relay with its sockets.
pub(crate) struct MediaThread {
    relay: Relay,
    /// The first of its ports: the socket of the next port has the number 1 in the set.
    first: u16,
    listen: IpAddr,
    method: Option<Method>,
    commands: Receiver<Command>,
    /// The way to files of sound, and what comes back.
    files: (Files, Receiver<Answer>),
    cameras: Cameras,
    /// By shard.
    reports: Vec<Mailbox<Report>>,
    measures: Arc<Measures>,
    /// How many streams the measures know of.
    told: usize,
    out: Outbox,
}

impl MediaThread {
    /// An idle relay that opens its ports on `listen`.
    pub(crate) fn new(
        config: Config,
        listen: IpAddr,
        method: Option<Method>,
        commands: Receiver<Command>,
        (files, cameras): ((Files, Receiver<Answer>), Cameras),
        reports: Vec<Mailbox<Report>>,
        measures: Arc<Measures>,
    ) -> Self {
        let first = *config.ports.start();
        let (relay, out) = (Relay::new(config), Outbox::default());
        Self { relay, first, listen, method, commands, files, cameras, reports, measures, told: 0, out }
    }

    /// Runs until nobody can send commands any more.
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub(crate) fn run(mut self, poller: Poller) -> io::Result<()> {
        let mut sockets = SocketSet::new(poller, SetOptions { method: self.method, pacing: PACING })?;
        tracing::debug!(method = ?sockets.method(), "media is relayed");
        loop {
            let deadline = self.relay.next_deadline();
            sockets.wait(deadline.map(|deadline| deadline.saturating_duration_since(clock::now())))?;
            let now = clock::now();
            self.pass_on(&mut sockets, now);
            loop {
                match self.commands.try_recv() {
                    Ok(command) => {
                        self.relay.handle(now, Input::Command(command), &mut self.out);
                        self.arrange_ports(&mut sockets, now);
                        self.ask_files(now);
                        self.send(&mut sockets);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            while let Ok(answer) = self.files.1.try_recv() {
                self.relay.handle(now, Input::File(answer), &mut self.out);
            }
            while let Some(feed) = self.cameras.next() {
                self.relay.handle(now, Input::Feed(feed), &mut self.out);
                self.send(&mut sockets);
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.relay.handle(now, Input::Deadline, &mut self.out);
                self.arrange_ports(&mut sockets, now);
                self.ask_files(now);
                self.send(&mut sockets);
            }
            self.tell();
        }
    }

    /// Lets each packet that came go where it belongs.
    fn pass_on(&mut self, sockets: &mut SocketSet, now: Instant) {
        let mut packets = 0;
        while let Some(arrival) = sockets.next() {
            packets += 1;
            // A longer packet than fits is not media.
            if arrival.truncated {
                continue;
            }
            let port = self.first.saturating_add(arrival.token as u16);
            let passed = self.relay.forward(now, port, arrival.source, arrival.payload, &mut self.out);
            if let Some(Forward { from_port, to, changed }) = passed {
                let token = u32::from(from_port.saturating_sub(self.first));
                match changed {
                    Some(payload) => sockets.pass_on_changed(token, to, payload),
                    None => sockets.pass_on(token, to),
                }
            }
        }
        self.send(sockets);
        if packets > 0 {
            self.measures.media_packets.fetch_add(packets, Relaxed);
        }
    }

    /// Sends what the relay itself has to say: handshakes, answers to checks.
    fn send(&mut self, sockets: &mut SocketSet) {
        for Send { from_port, to, bytes } in self.out.sends.drain(..) {
            sockets.send(u32::from(from_port.saturating_sub(self.first)), to, &bytes);
        }
    }

    /// Opens and closes sockets as the relay asks.
    fn arrange_ports(&mut self, sockets: &mut SocketSet, now: Instant) {
        // A port that cannot be opened makes the relay close others, so the list may grow.
        while !self.out.ports.is_empty() {
            for one in std::mem::take(&mut self.out.ports) {
                match one {
                    Ports::Open { port, local_ip, .. } => {
                        let address = SocketAddr::new(local_ip.unwrap_or(self.listen), port);
                        if self.open(sockets, address).is_err() {
                            self.relay.handle(now, Input::PortUnavailable { port }, &mut self.out);
                        }
                    }
                    Ports::Close { port } => sockets.close(u32::from(port.saturating_sub(self.first))),
                }
            }
        }
    }

    fn open(&self, sockets: &mut SocketSet, address: SocketAddr) -> io::Result<()> {
        let socket = offhook_net::bind_udp(address, &options()).map_err(|error| error.source)?;
        sockets.open(u32::from(address.port().saturating_sub(self.first)), socket)
    }

    fn ask_files(&mut self, now: Instant) {
        for request in std::mem::take(&mut self.out.files) {
            if let Some(answer) = self.files.0.ask(request) {
                self.relay.handle(now, Input::File(answer), &mut self.out);
            }
        }
    }

    fn tell(&mut self) {
        let streams = self.relay.len();
        if streams != self.told {
            self.measures.relayed_streams.fetch_add(streams.wrapping_sub(self.told) as u64, Relaxed);
            self.told = streams;
        }
        self.out.cameras.drain(..).for_each(|ask| self.cameras.ask(ask));
        for report in self.out.reports.drain(..) {
            if let Report::Closed { counters, .. } = &report {
                self.measures.media_ended(counters);
            }
            if let Some(shard) = self.reports.get_mut(usize::from(report.stream().shard())) {
                shard.put(report);
            }
        }
        self.reports.iter_mut().for_each(Mailbox::tell);
    }
}

/// Expedited forwarding, as voice asks for (RFC 4594 §4.1).
fn options() -> SocketOptions {
    SocketOptions { dscp: Some(46), ..SocketOptions::default() }
}

/// What a packet may wait so that one wake-up serves many: a fortieth of the 20 ms that lie between two packets of a
/// phone.
const PACING: Duration = Duration::from_micros(500);
