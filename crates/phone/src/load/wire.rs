//! The sockets of a load. What is sent waits until the end of a step and leaves in batches.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use offhook_udp_batch::{BATCH, BatchSocket, Interest, Outgoing, Poller, Ready, ReceiveBatch, SocketOptions};

use super::streams::{Connection, Dialling};

/// All sockets.
#[derive(Debug)]
pub(super) struct Wire {
    doors: Vec<Door>,
    /// Of a load over connections: how they are opened, and which doors they are.
    dialling: Option<Dialling>,
    poller: Poller,
    ready: Vec<Ready>,
    /// Datagrams that the system did not take.
    pub(super) unsent: u64,
    /// Datagrams that came while nobody was at the address they were for (ICMP).
    pub(super) refused: u64,
}

#[derive(Debug)]
enum Door {
    Datagrams(Box<Socket>),
    Stream(Box<Connection>),
}

/// A socket and what waits to be sent on it.
#[derive(Debug)]
struct Socket {
    socket: BatchSocket,
    /// The payloads, one after the other, and where each ends and goes.
    bytes: Vec<u8>,
    waiting: Vec<(usize, SocketAddr)>,
}

impl Wire {
    pub(super) fn new(dialling: Option<Dialling>) -> io::Result<Self> {
        let poller = Poller::new()?;
        Ok(Self { doors: Vec::new(), dialling, poller, ready: Vec::new(), unsent: 0, refused: 0 })
    }

    /// Opens a way to the exchange: a socket, or a connection where there are such. Returns its number and port.
    pub(super) fn open_way(&mut self, ip: IpAddr) -> io::Result<(usize, u16)> {
        let Some(dialling) = &self.dialling else { return self.open(ip) };
        let connection = dialling.open(SocketAddr::new(ip, 0), self.poller.waker())?;
        self.doors.push(Door::Stream(connection.into()));
        // Nobody connects to it: the exchange answers on the connection (RFC 5923 §5).
        Ok((self.doors.len() - 1, NO_PORT))
    }

    /// Opens a socket on a free port and returns its number and port.
    pub(super) fn open(&mut self, ip: IpAddr) -> io::Result<(usize, u16)> {
        let buffers = SocketOptions {
            receive_buffer: Some(16 << 20),
            send_buffer: Some(4 << 20),
            timestamps: true,
            ..SocketOptions::default()
        };
        let socket = BatchSocket::bind(SocketAddr::new(ip, 0), &buffers)?;
        let (door, port) = (self.doors.len(), socket.local_addr().port());
        self.poller.add(&socket, door as u64, Interest::Read)?;
        let socket = Socket { socket, bytes: Vec::new(), waiting: Vec::new() };
        self.doors.push(Door::Datagrams(socket.into()));
        Ok((door, port))
    }

    /// Sends at the end of the step.
    pub(super) fn send(&mut self, door: usize, bytes: &[u8], to: SocketAddr) {
        match &mut self.doors[door] {
            Door::Datagrams(socket) => {
                socket.bytes.extend_from_slice(bytes);
                socket.waiting.push((socket.bytes.len(), to));
            }
            Door::Stream(connection) => self.unsent += u64::from(!connection.send(bytes)),
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        for door in &mut self.doors {
            if let Door::Datagrams(socket) = door {
                self.unsent += socket.flush();
            }
        }
    }

    /// A message that came by a connection, and the number of that.
    pub(super) fn next_message(&mut self) -> Option<(usize, Bytes)> {
        self.dialling.as_ref()?;
        for (number, door) in self.doors.iter_mut().enumerate() {
            let Door::Stream(connection) = door else { continue };
            while let Some(came) = connection.next() {
                match came {
                    Ok(bytes) => return Some((number, bytes)),
                    Err(()) => self.refused += 1,
                }
            }
        }
        None
    }

    /// Sleeps until something can be received, or `at_most` is over.
    pub(super) fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        self.poller.wait(Some(at_most), &mut self.ready)?;
        Ok(())
    }

    /// Sleeps for `time` whatever comes: a sleeper that waits on its sockets is woken at the cost of who sends.
    #[allow(clippy::disallowed_methods)] // What measures has no core that waits.
    pub(super) fn rest(&mut self, time: Duration) -> io::Result<()> {
        std::thread::sleep(time);
        self.wait(Duration::ZERO)
    }

    /// The sockets that the last [`Wire::wait`] found something on.
    pub(super) fn ready(&self) -> impl Iterator<Item = usize> + use<> {
        self.ready.iter().map(|ready| ready.token as usize).collect::<Vec<_>>().into_iter()
    }

    /// Takes what waits on a socket, up to a batch; whether more may wait.
    pub(super) fn receive(&mut self, door: usize, batch: &mut ReceiveBatch) -> bool {
        let Door::Datagrams(door) = &self.doors[door] else { return false };
        match door.socket.receive(batch) {
            Ok(count) => count == batch.capacity(),
            Err(_) => {
                // Something that was sent earlier found no socket: the next receive goes on after it.
                self.refused += 1;
                true
            }
        }
    }

    /// Datagrams that came and were thrown away because we were too slow.
    pub(super) fn dropped(&self) -> u64 {
        let dropped = |door: &Door| match door {
            Door::Datagrams(socket) => socket.socket.dropped(),
            Door::Stream(_) => 0,
        };
        self.doors.iter().map(dropped).sum()
    }
}

impl Socket {
    /// Returns how many datagrams the system did not take.
    fn flush(&mut self) -> u64 {
        if self.waiting.is_empty() {
            return 0;
        }
        let (mut begin, mut lost) = (0, 0);
        for chunk in self.waiting.chunks(BATCH) {
            let nothing = Outgoing { destination: chunk[0].1, source: None, payload: &[] };
            let mut batch = [nothing; BATCH];
            for (slot, (end, to)) in batch.iter_mut().zip(chunk) {
                *slot = Outgoing { destination: *to, source: None, payload: &self.bytes[begin..*end] };
                begin = *end;
            }
            lost += send_all(&self.socket, &batch[..chunk.len()]);
        }
        self.bytes.clear();
        self.waiting.clear();
        lost
    }
}

/// Returns how many did not leave.
fn send_all(socket: &BatchSocket, mut batch: &[Outgoing<'_>]) -> u64 {
    let (mut failures, mut tries) = (Vec::new(), 0);
    while !batch.is_empty() && tries < TRIES {
        batch = &batch[socket.send(batch, &mut failures)..];
        tries += 1;
    }
    (batch.len() + failures.len()) as u64
}

/// The send buffer is large and loopback takes at once: this only guards against standing still.
const TRIES: usize = 1000;
/// Stands where a URI names the port of a connection.
const NO_PORT: u16 = 5060;
