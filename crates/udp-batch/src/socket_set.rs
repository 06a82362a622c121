//! The many sockets of one thread, received from and sent by together: what a relay with a port for each leg
//! needs, where a batch over one socket gains nothing.
//!
//! Two ways with one interface: `epoll(7)` with a call for each socket, and `io_uring(7)`, where one call brings
//! the datagrams of all sockets and takes away those that leave.

#[allow(unsafe_code)]
mod buffers;
mod plain;
#[allow(unsafe_code)]
mod ring;
mod twin;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::{BatchSocket, Poller};
use plain::Plain;
use ring::Ring;
use twin::Twin;

/// How a [`SocketSet`] reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `epoll`, and two calls for each datagram: every kernel and container has them.
    Epoll,
    /// `io_uring`: Linux 6.12 or newer, where it is not forbidden.
    IoUring,
}

/// How a [`SocketSet`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetOptions {
    /// The way to the kernel; `None`: `io_uring` where it can be had, else `epoll`.
    pub method: Option<Method>,
    /// While datagrams keep coming, the thread wakes at most once in this time, so that one wake-up serves many
    /// sockets; a datagram may wait that long. Zero: it wakes for each. `epoll` ignores it: a sleep
    /// of its own costs more than it saves.
    pub pacing: Duration,
}

/// Sockets known by numbers. One thread owns it, and gets its datagrams one at a time:
///
/// ```ignore
/// set.wait(timeout)?;
/// while let Some(arrival) = set.next() {
///     if let Some((token, to)) = relay.judge(arrival) {
///         set.pass_on(token, to);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SocketSet {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Epoll(Box<Plain>),
    IoUring(Box<Ring>),
}

/// A datagram that came to a socket of the set. The next call of [`SocketSet::next`] frees its memory.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The number of the socket.
    pub token: u32,
    /// Who sent it.
    pub source: SocketAddr,
    /// What came; at most [`LONGEST`] bytes.
    pub payload: &'a [u8],
    /// Whether its end is missing because it was longer than that.
    pub truncated: bool,
}

/// The longest datagram that arrives whole, in bytes: longer than any that fits an Ethernet frame.
pub const LONGEST: usize = 1_824;

impl SocketSet {
    /// An empty set whose waits are ended by the wakers of `poller`. Must be made by the thread that uses it.
    ///
    /// # Errors
    /// When the named method cannot be had, or the process is out of descriptors or memory.
    pub fn new(poller: Poller, options: SetOptions) -> io::Result<Self> {
        let way = match options.method {
            Some(Method::Epoll) => Way::Epoll(Box::new(Plain::new(poller))),
            Some(Method::IoUring) => {
                Way::IoUring(Box::new(Ring::new(poller, options.pacing).map_err(|(error, _)| error)?))
            }
            None => match Ring::new(poller, options.pacing) {
                Ok(ring) => Way::IoUring(Box::new(ring)),
                Err((_, poller)) => Way::Epoll(Box::new(Plain::new(poller))),
            },
        };
        Ok(Self { way })
    }

    /// The way that is taken.
    pub fn method(&self) -> Method {
        match self.way {
            Way::Epoll(_) => Method::Epoll,
            Way::IoUring(_) => Method::IoUring,
        }
    }

    /// Takes a socket in, known by `token` from now on; small numbers are best. One of the same number is closed.
    ///
    /// # Errors
    /// When the kernel will not watch it.
    pub fn open(&mut self, token: u32, socket: BatchSocket) -> io::Result<()> {
        match &mut self.way {
            Way::Epoll(plain) => plain.open(token, socket),
            Way::IoUring(ring) => ring.open(token, socket),
        }
    }

    /// Closes a socket: its port is free, and nothing that came to it is returned any more.
    pub fn close(&mut self, token: u32) {
        match &mut self.way {
            Way::Epoll(plain) => plain.close(token),
            Way::IoUring(ring) => ring.close(token),
        }
    }

    /// Sends what was passed on, then sleeps until a datagram came, a waker called, or the time is up (`None`:
    /// never). May return early with nothing.
    ///
    /// # Errors
    /// When the system no longer lets it wait.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match &mut self.way {
            Way::Epoll(plain) => plain.wait(timeout),
            Way::IoUring(ring) => ring.wait(timeout),
        }
    }

    /// The next datagram of those for which [`SocketSet::wait`] returned; `None`: wait again. Empty ones may be left out.
    #[allow(clippy::should_implement_trait)] // It lends what it returns, which an iterator cannot.
    pub fn next(&mut self) -> Option<Arrival<'_>> {
        match &mut self.way {
            Way::Epoll(plain) => plain.next(),
            Way::IoUring(ring) => ring.next(),
        }
    }

    /// Sends the datagram that [`SocketSet::next`] returned last on to `to`, by the socket `token`, from the address
    /// of ours to which that socket's own peer sent last. At the latest the next wait lets it leave, and one that
    /// finds no room is lost.
    pub fn pass_on(&mut self, token: u32, to: SocketAddr) {
        match &mut self.way {
            Way::Epoll(plain) => plain.pass_on(token, to),
            Way::IoUring(ring) => ring.pass_on(token, to),
        }
    }

    /// As [`SocketSet::pass_on`], with `payload` in the place of what came: at most [`LONGEST`] bytes, or it is lost.
    pub fn pass_on_changed(&mut self, token: u32, to: SocketAddr, payload: &[u8]) {
        match &mut self.way {
            Way::Epoll(plain) => plain.change(payload),
            Way::IoUring(ring) => ring.change(payload),
        }
        self.pass_on(token, to);
    }

    /// Sends a datagram of our own at once, otherwise as [`SocketSet::pass_on`] does: for the few that answer nothing.
    pub fn send(&mut self, token: u32, to: SocketAddr, payload: &[u8]) {
        match &mut self.way {
            Way::Epoll(plain) => plain.send(token, to, payload),
            Way::IoUring(ring) => ring.send(token, to, payload),
        }
    }
}

/// The sockets by their numbers, for either way.
#[derive(Debug, Default)]
struct Lines {
    lines: Vec<Option<Box<Line>>>,
    /// Tells apart the sockets that have one number one after the other.
    generation: u32,
}

/// A socket of the set.
#[derive(Debug)]
struct Line {
    socket: BatchSocket,
    generation: u32,
    /// The address of ours that its peer knows, where the socket is bound to all of them.
    known_as: Option<IpAddr>,
    /// A mark of the address to which it passed on last, and how often in a row.
    to: u32,
    times: u32,
    twin: Option<Box<Twin>>,
}

impl Lines {
    fn insert(&mut self, token: u32, socket: BatchSocket) -> u32 {
        let place = token as usize;
        if self.lines.len() <= place {
            self.lines.resize_with(place + 1, || None);
        }
        let generation = self.next_generation();
        let line = Line { socket, generation, known_as: None, to: 0, times: 0, twin: None };
        self.lines[place] = Some(Box::new(line));
        generation
    }

    /// A number for another socket; 0 is nobody's.
    fn next_generation(&mut self) -> u32 {
        self.generation = (self.generation % GENERATIONS) + 1;
        self.generation
    }

    fn get(&self, token: u32) -> Option<&Line> {
        self.lines.get(token as usize)?.as_deref()
    }

    fn get_mut(&mut self, token: u32) -> Option<&mut Line> {
        self.lines.get_mut(token as usize)?.as_deref_mut()
    }

    /// One that finds no room is late already: it is lost like any other datagram.
    fn send(&self, token: u32, to: SocketAddr, payload: &[u8]) {
        if let Some(line) = self.get(token).filter(|line| line.socket.reaches(to.ip())) {
            let _ = line.socket.send_one(to, line.source_towards(to), payload);
        }
    }

    fn remove(&mut self, token: u32) -> Option<Box<Line>> {
        self.lines.get_mut(token as usize)?.take()
    }
}

impl Line {
    /// Remembers which of our addresses a datagram came to.
    fn came_to(&mut self, destination: Option<IpAddr>) {
        if self.socket.local_addr().ip().is_unspecified() {
            self.known_as = destination.or(self.known_as);
        }
    }

    /// The address to send from, if the routing table is not to choose.
    fn source_towards(&self, to: SocketAddr) -> Option<IpAddr> {
        let fits = |ip: &IpAddr| ip.is_ipv4() == to.ip().to_canonical().is_ipv4() && !ip.is_unspecified();
        self.known_as.filter(fits)
    }
}

/// A generation has 24 bits.
const GENERATIONS: u32 = 0x00ff_ffff;
