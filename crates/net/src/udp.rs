//! UDP for a thread that receives by itself: which way a datagram came, and by which socket one leaves.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use offhook_sip_stack::{Flow, Transmit, Transport};
use offhook_udp_batch::{BatchSocket, Outgoing, OwnedDatagram};

use crate::{SendFailed, SendFailure};

/// The way a datagram came, and by which its answer returns (RFC 3581 §4).
pub fn flow_of(datagram: &OwnedDatagram) -> Flow {
    Flow { transport: Transport::Udp, local: datagram.destination, remote: datagram.source, connection: None }
}

/// Our address from which the routing table sends to a peer. Asks the system only; nothing is sent.
///
/// # Errors
/// When there is no route.
pub fn source_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any = if remote.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip().to_canonical())
}

/// The UDP sockets of one thread, with the messages that wait to leave by each.
#[derive(Debug, Default)]
pub struct UdpSockets {
    lines: Vec<Line>,
    failed: Vec<SendFailed>,
    dropped: u64,
}

#[derive(Debug)]
struct Line {
    socket: BatchSocket,
    waiting: VecDeque<Transmit>,
}

impl UdpSockets {
    /// Takes the sockets; they keep their order.
    pub fn new(sockets: Vec<BatchSocket>) -> Self {
        let line = |socket| Line { socket, waiting: VecDeque::new() };
        Self { lines: sockets.into_iter().map(line).collect(), failed: Vec::new(), dropped: 0 }
    }

    /// The sockets, to wait for and to receive from.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BatchSocket> {
        self.lines.iter().map(|line| &line.socket)
    }

    /// The socket of this place.
    pub fn get(&self, index: usize) -> Option<&BatchSocket> {
        self.lines.get(index).map(|line| &line.socket)
    }

    /// Queues a message for the socket that its flow names: the one bound to the flow's local address, else one
    /// bound to any address and the same port, else one that reaches the peer. A message that no socket can
    /// send fails; where too many wait already, the oldest is dropped and counted.
    pub fn queue(&mut self, transmit: Transmit) {
        let Some(line) = self.choose(&transmit.flow) else {
            self.failed.push(SendFailed { transmit, failure: SendFailure::Unsupported });
            return;
        };
        let Some(line) = self.lines.get_mut(line) else { return };
        if line.waiting.len() >= WAITING {
            line.waiting.pop_front();
            self.dropped += 1;
        }
        line.waiting.push_back(transmit);
    }

    /// Sends what is queued, a batch per system call, and appends what could not be sent to `failed`. Returns
    /// whether something still waits because a socket takes no more for now: call again when it is writable.
    pub fn flush(&mut self, failed: &mut Vec<SendFailed>) -> bool {
        failed.append(&mut self.failed);
        let mut left = false;
        for line in self.lines.iter_mut().filter(|line| !line.waiting.is_empty()) {
            line.flush(failed);
            left |= !line.waiting.is_empty();
        }
        left
    }

    /// Whether the socket of this place has messages that wait until it is writable.
    pub fn is_waiting(&self, index: usize) -> bool {
        self.lines.get(index).is_some_and(|line| !line.waiting.is_empty())
    }

    /// Messages dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn choose(&self, flow: &Flow) -> Option<usize> {
        if flow.transport != Transport::Udp {
            return None;
        }
        let fit = |line: &Line| {
            let bound = line.socket.local_addr();
            let same_port = bound.port() == flow.local.port();
            if !line.socket.reaches(flow.remote.ip()) {
                0
            } else if bound == flow.local {
                3
            } else if same_port && bound.ip().is_unspecified() {
                2
            } else {
                // Another port or address than the flow's: right only if the flow leaves that open.
                u8::from(flow.local.ip().is_unspecified())
            }
        };
        let best = self.lines.iter().enumerate().rev().max_by_key(|(_, line)| fit(line))?;
        (fit(best.1) > 0).then_some(best.0)
    }
}

impl Line {
    fn flush(&mut self, failed: &mut Vec<SendFailed>) {
        let outgoing: Vec<_> = self.waiting.iter().map(outgoing).collect();
        let mut failures = Vec::new();
        let done = self.socket.send(&outgoing, &mut failures);
        failed.extend(failures.iter().filter_map(|failure| {
            let transmit = self.waiting.get(failure.index)?.clone();
            Some(SendFailed { transmit, failure: (&failure.error).into() })
        }));
        self.waiting.drain(..done);
    }
}

/// A message as a datagram, from the address that its flow names.
pub(crate) fn outgoing(transmit: &Transmit) -> Outgoing<'_> {
    let local = transmit.flow.local.ip();
    Outgoing {
        destination: transmit.flow.remote,
        source: (!local.is_unspecified()).then_some(local),
        payload: &transmit.bytes,
    }
}

/// Messages that wait for one socket. A socket that takes no more has the whole send buffer before these.
const WAITING: usize = 4_096;

#[cfg(test)]
mod tests;
