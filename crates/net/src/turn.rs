//! The sockets of the TURN server: listeners and relayed addresses on a thread of their own, streams as tasks.
//!
//! [`TurnSockets`] owns the state machine and every UDP socket, and runs on a thread. Streams are served by
//! [`TurnStreams`] within a tokio runtime, and speak with the thread by messages: [`TurnStreams::serve`] takes any
//! stream, so an encrypted one as well. [`TurnHandle`] counts and ends.

mod client;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use offhook_media::turn::{Counts, FiveTuple, Output, Server, Transport};
use offhook_udp_batch::{BatchSocket, Interest, Outgoing, Poller, Ready, ReceiveBatch, SocketOptions, Waker};
use tokio::sync::mpsc;

pub use client::TurnStream;
pub use streams::TurnStreams;

use crate::bind_udp;

/// The state machine with its sockets, for one thread.
pub struct TurnSockets {
    server: Server,
    poller: Poller,
    listeners: Vec<BatchSocket>,
    /// By port.
    relays: BTreeMap<u16, BatchSocket>,
    /// What is sent on a stream, its task writes.
    streams: BTreeMap<FiveTuple, mpsc::Sender<Bytes>>,
    inbox: mpsc::Receiver<FromStream>,
    shared: Arc<Shared>,
    out: Vec<Output>,
}

/// Tells of a running server, and ends it.
#[derive(Clone, Debug)]
pub struct TurnHandle {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    ends: AtomicBool,
}

/// What a stream tells the thread.
#[derive(Debug)]
enum FromStream {
    Opened(FiveTuple, mpsc::Sender<Bytes>),
    Message(FiveTuple, Bytes),
    Closed(FiveTuple),
}

impl TurnSockets {
    /// A server on these sockets (from [`bind_udp`]), which waits by `poller`.
    ///
    /// # Errors
    /// When the system will not watch a socket.
    pub fn new(
        server: Server,
        listeners: Vec<BatchSocket>,
        poller: Poller,
    ) -> io::Result<(TurnSockets, TurnStreams, TurnHandle)> {
        for (token, socket) in (0..).zip(&listeners) {
            poller.add(socket, LISTENERS + token, Interest::Read)?;
        }
        let (sender, inbox) = mpsc::channel(INBOX);
        let shared = Arc::new(Shared::default());
        let handle = TurnHandle { shared: Arc::clone(&shared), waker: poller.waker() };
        let streams = TurnStreams::new(sender, poller.waker());
        let (relays, senders) = (BTreeMap::new(), BTreeMap::new());
        let sockets = TurnSockets {
            server,
            poller,
            listeners,
            relays,
            streams: senders,
            inbox,
            shared,
            out: Vec::new(),
        };
        Ok((sockets, streams, handle))
    }

    /// Runs until [`TurnHandle::end`].
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub fn run(mut self) -> io::Result<()> {
        let (mut ready, mut batch) = (Vec::new(), ReceiveBatch::with_slots(SLOTS, LONGEST));
        while !self.shared.ends.load(Ordering::Acquire) {
            let deadline = self.server.next_deadline();
            // Messages of streams that found no room in the last turn must not wait for a socket.
            let timeout = if self.inbox.is_empty() {
                deadline.map(|deadline| deadline.saturating_duration_since(now()))
            } else {
                Some(std::time::Duration::ZERO)
            };
            self.poller.wait(timeout, &mut ready)?;
            let now = now();
            for one in &ready {
                self.receive(now, *one, &mut batch);
            }
            self.hear_streams(now);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.server.expire(now, &mut self.out);
                self.carry_out(now);
            }
            self.tell();
        }
        Ok(())
    }

    /// One batch of a socket; what is left wakes the thread again.
    fn receive(&mut self, now: Instant, ready: Ready, batch: &mut ReceiveBatch) {
        let listener = ready.token.checked_sub(LISTENERS).map(|index| index as usize);
        let socket = match listener {
            Some(index) => self.listeners.get(index),
            None => self.relays.get(&(ready.token as u16)),
        };
        // An error of one datagram is over once it is told.
        let Some(Ok(_)) = socket.map(|socket| socket.receive(batch)) else { return };
        for datagram in batch.iter().filter(|datagram| !datagram.truncated) {
            let (source, payload) = (datagram.source, datagram.payload);
            if listener.is_some() {
                let from =
                    FiveTuple { transport: Transport::Udp, client: source, server: datagram.destination };
                self.server.receive(now, from, payload, &mut self.out);
            } else {
                self.server.relayed(now, ready.token as u16, source, payload, &mut self.out);
            }
        }
        self.carry_out(now);
    }

    fn hear_streams(&mut self, now: Instant) {
        for _ in 0..INBOX {
            let Ok(told) = self.inbox.try_recv() else { return };
            match told {
                FromStream::Opened(from, sender) => {
                    self.streams.insert(from, sender);
                }
                FromStream::Message(from, bytes) => {
                    self.server.receive(now, from, &bytes, &mut self.out);
                }
                FromStream::Closed(from) => {
                    self.streams.remove(&from);
                    self.server.closed(&from, &mut self.out);
                }
            }
            self.carry_out(now);
        }
    }

    fn carry_out(&mut self, now: Instant) {
        let mut todo = VecDeque::from(std::mem::take(&mut self.out));
        while let Some(output) = todo.pop_front() {
            match output {
                Output::ToClient { to, bytes } if to.transport.is_stream() => self.write(&to, bytes),
                Output::ToClient { to, bytes } => self.answer(&to, &bytes),
                Output::ToPeer { port, to, payload } => {
                    if let Some(socket) = self.relays.get(&port) {
                        send(socket, Outgoing { destination: to, source: None, payload: &payload });
                    }
                }
                Output::Open { address } => {
                    let is_open = self.open(address).is_ok();
                    self.server.opened(now, address.port(), is_open, &mut self.out);
                    todo.extend(self.out.drain(..));
                }
                Output::Close { port } => {
                    self.relays.remove(&port);
                }
            }
        }
    }

    fn open(&mut self, address: SocketAddr) -> io::Result<()> {
        // Mostly voice, so it is sent as voice asks for (RFC 4594 §4.1).
        let options = SocketOptions { dscp: Some(46), ..SocketOptions::default() };
        let socket = bind_udp(address, &options).map_err(|error| error.source)?;
        self.poller.add(&socket, u64::from(address.port()), Interest::Read)?;
        self.relays.insert(address.port(), socket);
        Ok(())
    }

    /// By the socket that the client reached, from the address that it reached.
    fn answer(&self, to: &FiveTuple, bytes: &[u8]) {
        let fits = |socket: &&BatchSocket| {
            let bound = socket.local_addr();
            bound == to.server
                || bound.port() == to.server.port()
                    && bound.ip().is_unspecified()
                    && socket.reaches(to.client.ip())
        };
        let exact = self.listeners.iter().find(|socket| socket.local_addr() == to.server);
        if let Some(socket) = exact.or_else(|| self.listeners.iter().find(fits)) {
            let source = Some(to.server.ip()).filter(|ip| !ip.is_unspecified());
            send(socket, Outgoing { destination: to.client, source, payload: bytes });
        }
    }

    /// By a stream. One that takes no more loses data, as a datagram may be lost; but an answer it must have.
    fn write(&mut self, to: &FiveTuple, bytes: Vec<u8>) {
        let Some(stream) = self.streams.get(to) else { return };
        let is_data = matches!(bytes[..], [0x40..=0x7f, ..] | [0x00, 0x17, ..]);
        if stream.try_send(Bytes::from(bytes)).is_err() && !is_data {
            // Its task ends when nothing more can come, and then tells us.
            self.streams.remove(to);
        }
    }

    fn tell(&self) {
        let mut told = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != *self.server.counts() {
            told.clone_from(self.server.counts());
        }
    }
}

impl TurnHandle {
    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread; its clients lose what they were lent.
    pub fn end(&self) {
        self.shared.ends.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// One datagram. What cannot be sent now is lost, as on the way.
fn send(socket: &BatchSocket, datagram: Outgoing<'_>) {
    let _ = socket.send(&[datagram], &mut Vec::new());
}

#[allow(clippy::disallowed_methods)] // A driver is where the time comes from.
fn now() -> Instant {
    Instant::now()
}

/// Tokens from here on are listeners, those below are ports.
const LISTENERS: u64 = 1 << 16;
/// Messages of streams that wait for the thread; then they are read no further.
const INBOX: usize = 256;
/// Datagrams of one system call.
const SLOTS: usize = 64;
/// Bytes of a datagram: longer than any that fits an Ethernet frame.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests;
