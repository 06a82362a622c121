//! Passes RTP and RTCP on between the two sides of each stream: the packet path of the media thread.

mod cameras;
mod voices;

pub use crate::stream::Saved;

use crate::camera::{Ask, Feed};
use crate::command::{Command, Counters, Refusal, Report, SideName, StreamId};
use crate::identity::Identity;
use crate::stream::{Component, Path, Stream};
use crate::voice::file;
use bytes::Bytes;
use cameras::Cameras;
use offhook_rtp::srtp::GROWTH;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};
use voices::Voices;

/// What is set for a relay as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// The local ports it may use.
    pub ports: RangeInclusive<u16>,
    /// Silence after which a stream that is not held is reported as stopped.
    pub idle: Duration,
    /// How long after an `Open` or `Update` a source may be learnt.
    pub learning: Duration,
    /// The certificate shown in DTLS handshakes; without one, no side can ask for DTLS.
    pub identity: Option<Arc<Identity>>,
}

impl Config {
    /// The usual values: stopped after 60 s, learning for 30 s.
    pub fn new(ports: RangeInclusive<u16>) -> Config {
        Config { ports, idle: Duration::from_secs(60), learning: Duration::from_secs(30), identity: None }
    }
}

/// What a relay is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram came to one of our ports.
    Packet {
        /// The local port.
        port: u16,
        /// The sender.
        from: SocketAddr,
        /// The payload.
        bytes: Bytes,
    },
    /// Call control asks for something.
    Command(Command),
    /// A port asked for with [`Ports::Open`] could not be opened.
    PortUnavailable {
        /// The port.
        port: u16,
    },
    /// The driver has something to say of a file.
    File(file::Answer),
    /// A camera sends something.
    Feed(Feed),
    /// The time of [`Relay::next_deadline`] has come.
    Deadline,
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Our port to send it from.
    pub from_port: u16,
    /// The receiver.
    pub to: SocketAddr,
    /// The payload.
    pub bytes: Bytes,
}

/// Where a received packet goes on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward<'a> {
    /// Our port to send it from.
    pub from_port: u16,
    /// The receiver.
    pub to: SocketAddr,
    /// What is sent in its place, where a side is protected: at most [`GROWTH`] bytes longer. `None`: it goes on
    /// unchanged.
    pub changed: Option<&'a [u8]>,
}

/// What the relay asks the media thread to do with its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Listen on `port`.
    Open {
        /// For this stream.
        stream: StreamId,
        /// The port.
        port: u16,
        /// The address to listen on; `None`: the thread's own choice.
        local_ip: Option<IpAddr>,
    },
    /// Listen no more.
    Close {
        /// The port.
        port: u16,
    },
}

/// What a relay wants done; the driver empties it once per batch, `ports` first. IPv4 addresses are as they
/// came in: a driver with dual-stack sockets maps them.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// Datagrams, in order: of our own (handshakes, answers to checks), and those that [`Relay::handle`] passes on;
    /// [`Relay::forward`] returns where its packet goes.
    pub sends: Vec<Send>,
    /// For call control.
    pub reports: Vec<Report>,
    /// For the media thread's sockets, in order.
    pub ports: Vec<Ports>,
    /// For whoever has the files, in order.
    pub files: Vec<file::Request>,
    /// For whoever has the cameras, in order.
    pub cameras: Vec<Ask>,
}

/// All relayed streams of one media thread.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    /// For each port of the range: what it belongs to.
    slots: Vec<Slot>,
    /// In no order; the slots and the names know the places.
    streams: Vec<Stream>,
    names: BTreeMap<StreamId, u32>,
    next_sweep: Option<Instant>,
    /// Streams in which a handshake waits, by the time until which it does.
    handshakes: BTreeSet<(Instant, StreamId)>,
    voices: Voices,
    cameras: Cameras,
    /// Where packets are opened and protected.
    scratch: Box<[u8; SCRATCH]>,
}

/// To whom a local port belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Taken { stream: u32, side: SideName, component: Component },
}

impl Relay {
    /// An idle relay.
    pub fn new(config: Config) -> Relay {
        let slots = vec![Slot::Free; config.ports.len()];
        Relay {
            config,
            slots,
            streams: Vec::new(),
            names: BTreeMap::new(),
            next_sweep: None,
            handshakes: BTreeSet::new(),
            voices: Voices::default(),
            cameras: Cameras::default(),
            scratch: Box::new([0; SCRATCH]),
        }
    }

    /// Takes one input. Total: no bytes from the network can fail or panic.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox) {
        match input {
            Input::Packet { port, from, bytes } => {
                if let Some(Forward { from_port, to, changed }) = self.forward(now, port, from, &bytes, out) {
                    let bytes = changed.map(Bytes::copy_from_slice).unwrap_or(bytes);
                    out.sends.push(Send { from_port, to, bytes });
                }
            }
            Input::Command(command) => self.command(now, command, out),
            Input::PortUnavailable { port } => self.port_unavailable(port, out),
            Input::File(answer) => self.file(&answer, out),
            Input::Feed(feed) => self.feed(now, feed, out),
            Input::Deadline => {
                self.let_speak(now, out);
                self.retransmit(now, out);
                self.sweep(now, out);
            }
        }
    }

    /// The packet path without copies: where the packet that came to `port` goes. `None`: it is dropped
    /// (and counted, where it was media), or answered by what is in `out`, as are reports of what was learnt from it.
    pub fn forward(
        &mut self,
        now: Instant,
        port: u16,
        from: SocketAddr,
        packet: &[u8],
        out: &mut Outbox,
    ) -> Option<Forward<'_>> {
        let Slot::Taken { stream: place, side, component } = self.slot(port)? else { return None };
        let stream = self.streams.get_mut(place as usize)?;
        let outcome = stream.receive(now, (side, component), from, packet, &mut self.scratch[..], out);
        if let Some(address) = outcome.latched {
            out.reports.push(Report::Latched { stream: stream.id, side, address });
        }
        if outcome.timers_changed {
            self.rearm(now, place);
        }
        let Path { from_port, to } = outcome.forward?;
        let changed = outcome.rewritten.and_then(|length| self.scratch.get(..length));
        Some(Forward { from_port, to, changed })
    }

    /// When [`Input::Deadline`] is due; `None` while there is no stream. Coarse (whole seconds) unless a handshake is
    /// under way or an end of ours speaks.
    pub fn next_deadline(&self) -> Option<Instant> {
        let handshake = self.handshakes.first().map(|(due, _)| *due);
        self.next_sweep.into_iter().chain(handshake).chain(self.voices.next_deadline()).min()
    }

    /// How many streams are open.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What each side of a stream has sent so far.
    pub fn counters(&self, stream: StreamId) -> Option<[Counters; 2]> {
        self.stream(stream).map(Stream::counters)
    }

    /// A stream of two sides as plain data, to be taken up by [`Relay::restore`] after a restart.
    pub fn save(&self, stream: StreamId) -> Option<Saved> {
        self.stream(stream).and_then(Stream::save)
    }

    /// Takes up a stream that was written out: opens its ports and goes on with the learnt sources. One with a
    /// protected side is refused: its rollover counters are not written out.
    pub fn restore(&mut self, now: Instant, saved: Saved, out: &mut Outbox) {
        let id = saved.stream;
        let stream = Stream::restore(now, &self.config, saved);
        self.open(now, id, stream, out);
    }

    fn command(&mut self, now: Instant, command: Command, out: &mut Outbox) {
        match command {
            Command::Open { stream, sides, content } => {
                let made = Stream::new(now, &self.config, stream, *sides, content);
                self.open(now, stream, made, out);
            }
            Command::OpenEnd { stream, side } => {
                let made = Stream::with_end(now, &self.config, stream, *side);
                self.open(now, stream, made, out);
            }
            Command::Update { stream, side, remote, ice } => {
                let Some(place) = self.names.get(&stream).copied() else { return };
                let Some(one) = self.streams.get_mut(place as usize) else { return };
                if let Err(reason) = one.update(now, &self.config, side, *remote, ice) {
                    out.reports.push(Report::Insecure { stream, side, reason });
                }
                one.begin_handshakes(now, out);
                self.rearm(now, place);
            }
            Command::Carry { stream, content } => {
                if let Some(one) = self.stream_mut(stream) {
                    one.carry(now, content);
                }
            }
            Command::Transcode { stream, translations } => {
                if let Some(one) = self.stream_mut(stream) {
                    one.transcode(now, translations);
                }
            }
            Command::Press { stream, to, format, press } => {
                if let Some(one) = self.stream_mut(stream) {
                    one.press(to, format, press);
                }
            }
            Command::KeyFrame { stream, of, by, ours } => {
                if let Some(one) = self.stream_mut(stream) {
                    one.want_picture(now, of, by, ours);
                }
            }
            Command::Echo { stream, formats, numbers } => {
                if let Some(one) = self.stream_mut(stream) {
                    one.echo(now, formats, numbers);
                }
            }
            Command::Order { stream, order } => self.order(now, stream, order, out),
            Command::Tap { stream, order } => self.tap(now, stream, order, out),
            Command::Close { stream } => self.close(stream, None, out),
        }
    }

    fn open(&mut self, now: Instant, id: StreamId, stream: Result<Stream, SideName>, out: &mut Outbox) {
        let stream = stream.map_err(Refusal::Unprotectable);
        let stream = match stream.and_then(|stream| self.check(&stream).map(|()| stream)) {
            Ok(stream) => stream,
            Err(reason) => {
                out.reports.push(Report::Refused { stream: id, reason });
                return;
            }
        };
        // Two ports a stream: a u32 cannot overflow.
        let place = self.streams.len() as u32;
        for (_, side) in stream.facing() {
            for port in [side.ports.rtp, side.ports.rtcp] {
                out.ports.push(Ports::Open { stream: id, port, local_ip: side.local_ip });
            }
        }
        self.streams.push(stream);
        self.note_place(place);
        self.next_sweep.get_or_insert(now + SWEEP);
        if let Some(stream) = self.streams.get_mut(place as usize) {
            stream.begin_handshakes(now, out);
        }
        self.rearm(now, place);
    }

    fn check(&self, stream: &Stream) -> Result<(), Refusal> {
        if self.names.contains_key(&stream.id) {
            return Err(Refusal::StreamExists);
        }
        let pairs = stream.facing().map(|(_, side)| side.ports);
        let ports: Vec<_> = pairs.flat_map(|pair| [pair.rtp, pair.rtcp]).collect();
        for (n, port) in ports.iter().copied().enumerate() {
            match self.slot(port) {
                None => return Err(Refusal::PortOutOfRange(port)),
                Some(Slot::Taken { .. }) => return Err(Refusal::PortInUse(port)),
                Some(Slot::Free) if ports[..n].contains(&port) => return Err(Refusal::PortInUse(port)),
                Some(Slot::Free) => {}
            }
        }
        Ok(())
    }

    /// Ends a stream; a port that never opened needs no closing.
    fn close(&mut self, id: StreamId, unopened: Option<u16>, out: &mut Outbox) {
        let Some(place) = self.names.remove(&id) else { return };
        let mut stream = self.streams.swap_remove(place as usize);
        stream.end(out);
        self.voices.forget(id, out);
        self.cameras.forget(id, out);
        if let Some(due) = stream.armed {
            self.handshakes.remove(&(due, id));
        }
        self.note_place(place);
        if self.streams.len() < self.streams.capacity() / 4 {
            self.streams.shrink_to(self.streams.len() * 2);
        }
        let ports: Vec<_> = stream.facing().map(|(_, side)| side.ports).collect();
        for port in ports.iter().flat_map(|pair| [pair.rtp, pair.rtcp]) {
            self.set_slot(port, Slot::Free);
            if unopened != Some(port) {
                out.ports.push(Ports::Close { port });
            }
        }
        out.reports.push(Report::Closed { stream: id, ports, counters: stream.counters() });
        if self.is_empty() {
            self.next_sweep = None;
        }
    }

    /// Writes down who stands at a place of `streams`, if anyone does.
    fn note_place(&mut self, place: u32) {
        let Some(stream) = self.streams.get(place as usize) else { return };
        self.names.insert(stream.id, place);
        let pairs: Vec<_> = stream.facing().map(|(side, facing)| (side, facing.ports)).collect();
        for (side, pair) in pairs {
            for (port, component) in [(pair.rtp, Component::Rtp), (pair.rtcp, Component::Rtcp)] {
                self.set_slot(port, Slot::Taken { stream: place, side, component });
            }
        }
    }

    fn port_unavailable(&mut self, port: u16, out: &mut Outbox) {
        let Some(Slot::Taken { stream, .. }) = self.slot(port) else { return };
        let Some(stream) = self.streams.get(stream as usize) else { return };
        let id = stream.id;
        out.reports.push(Report::PortUnavailable { stream: id, port });
        self.close(id, Some(port), out);
    }

    /// Lets the handshakes whose time has come go on.
    fn retransmit(&mut self, now: Instant, out: &mut Outbox) {
        // One that is due again at once has its turn the next time.
        let due: Vec<_> =
            self.handshakes.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect();
        for id in due {
            let Some(place) = self.names.get(&id).copied() else { continue };
            if let Some(stream) = self.streams.get_mut(place as usize) {
                stream.timeout(now, out);
            }
            self.rearm(now, place);
        }
    }

    /// Writes down until when the handshakes of a stream wait.
    fn rearm(&mut self, now: Instant, place: u32) {
        let Some(stream) = self.streams.get_mut(place as usize) else { return };
        let due = stream.deadline().map(|due| due.max(now + SOON));
        let before = std::mem::replace(&mut stream.armed, due);
        let id = stream.id;
        if before != due {
            before.map(|before| self.handshakes.remove(&(before, id)));
            due.map(|due| self.handshakes.insert((due, id)));
        }
    }

    fn sweep(&mut self, now: Instant, out: &mut Outbox) {
        if self.next_sweep.is_none_or(|due| now < due) {
            return;
        }
        for stream in &mut self.streams {
            if let Some(idle) = stream.stopped(now, self.config.idle) {
                out.reports.push(Report::Stopped { stream: stream.id, idle });
            }
        }
        self.next_sweep = Some(now + SWEEP);
    }

    fn slot(&self, port: u16) -> Option<Slot> {
        let place = port.checked_sub(*self.config.ports.start())?;
        self.slots.get(usize::from(place)).copied()
    }

    fn set_slot(&mut self, port: u16, slot: Slot) {
        let place = port.checked_sub(*self.config.ports.start()).map(usize::from);
        if let Some(place) = place.and_then(|place| self.slots.get_mut(place)) {
            *place = slot;
        }
    }

    fn stream_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        let place = self.names.get(&id).copied()?;
        self.streams.get_mut(place as usize)
    }

    fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(*self.names.get(&id)? as usize)
    }
}

/// How often silence is looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// A handshake is not looked after more often than this.
const SOON: Duration = Duration::from_millis(1);
/// The longest datagram that can be media, with what protection adds.
const SCRATCH: usize = 2_048 + GROWTH;

#[cfg(test)]
mod secured;
#[cfg(test)]
mod tests;
