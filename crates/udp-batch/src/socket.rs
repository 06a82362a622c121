//! A UDP socket that moves batches.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

#[cfg(target_os = "linux")]
use socket2::SockFilter;

#[cfg(target_os = "linux")]
use crate::linux as system;
#[cfg(not(target_os = "linux"))]
use crate::portable as system;
use crate::receive::ReceiveBatch;
use crate::send::{Outgoing, SendFailure};

/// How a socket is opened. The default shares its port with nobody and keeps the system's buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Lets several sockets that all ask for it share one port (SO_REUSEPORT), the kernel spreading the peers
    /// over them. Off, a taken port is an error.
    pub share_port: bool,
    /// Wanted size of the kernel's receive buffer in bytes. A process that may, passes the system's limit.
    pub receive_buffer: Option<usize>,
    /// Wanted size of the kernel's send buffer in bytes.
    pub send_buffer: Option<usize>,
    /// Differentiated services code point of what is sent, 0–63 (RFC 2474): 46 for voice, 24 or 26 for signalling.
    pub dscp: Option<u8>,
    /// Has the kernel note when each datagram came, for who measures (Linux).
    pub timestamps: bool,
}

/// What the kernel granted, in bytes, in the measure in which [`SocketOptions`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// For datagrams that wait to be received.
    pub receive: u32,
    /// For datagrams that wait to be sent.
    pub send: u32,
}

/// A non-blocking UDP socket.
///
/// Any thread may send; threads that receive at the same time each get different datagrams.
#[derive(Debug)]
pub struct BatchSocket {
    socket: UdpSocket,
    local: SocketAddr,
    /// Whether the kernel knows the socket as IPv6, so that it wants IPv4 addresses mapped.
    v6: bool,
    buffers: BufferSizes,
    dscp: Option<u8>,
    dropped: AtomicU64,
}

impl BatchSocket {
    /// Opens a socket on an address. `[::]` takes IPv4 as well; port 0 takes a free port.
    ///
    /// # Errors
    /// As `bind(2)`: taken (`AddrInUse`), not ours (`AddrNotAvailable`), not allowed (`PermissionDenied`); or a
    /// DSCP above 63 (`InvalidInput`). A refused DSCP or buffer size is no error: [`Self::buffers`] tells.
    pub fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        if options.dscp.is_some_and(|dscp| dscp > 63) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a DSCP is at most 63"));
        }
        let address = canonical(address);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        #[cfg(unix)]
        if options.share_port {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        system::prepare(&socket, address.is_ipv6(), address.ip().is_unspecified())?;
        #[cfg(target_os = "linux")]
        if options.timestamps {
            system::note_times(&socket)?;
        }
        set_buffers(&socket, options);
        if let Some(dscp) = options.dscp {
            mark(&socket, address.is_ipv6(), dscp);
        }
        socket.bind(&address.into())?;
        Self::from_bound(socket.into(), options.dscp)
    }

    /// A second socket on the same port, of the address `local`, for one peer alone: what that peer sends comes to it
    /// from then on, what others send stays with this one. The port stays closed to everybody else.
    ///
    /// # Errors
    /// As `bind(2)` and `connect(2)`.
    #[cfg(target_os = "linux")]
    pub(crate) fn twin(&self, local: IpAddr, peer: SocketAddr) -> io::Result<Self> {
        let (address, peer) = (SocketAddr::new(local, self.local.port()), canonical(peer));
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        system::prepare(&socket, address.is_ipv6(), false)?;
        let options = SocketOptions {
            receive_buffer: Some(self.buffers.receive as usize),
            send_buffer: Some(self.buffers.send as usize),
            ..SocketOptions::default()
        };
        set_buffers(&socket, &options);
        // What comes before it is connected would pass for the peer's.
        socket.attach_filter(&[SockFilter::new(BPF_RET, 0, 0, 0)])?;
        let original = SockRef::from(&self.socket);
        if let Some(dscp) = self.dscp {
            mark(&socket, address.is_ipv6(), dscp);
        }
        original.set_reuse_address(true)?;
        socket.set_reuse_address(true)?;
        let bound = socket.bind(&address.into()).and_then(|()| socket.connect(&peer.into()));
        original.set_reuse_address(false)?;
        bound?;
        socket.set_reuse_address(false)?;
        socket.detach_filter()?;
        Self::from_bound(socket.into(), self.dscp)
    }

    fn from_bound(socket: UdpSocket, dscp: Option<u8>) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        let reference = SockRef::from(&socket);
        // Linux doubles what it is asked for, to count its own bookkeeping, and reports the double.
        let share = if cfg!(target_os = "linux") { 2 } else { 1 };
        let buffers = BufferSizes {
            receive: (reference.recv_buffer_size()? / share) as u32,
            send: (reference.send_buffer_size()? / share) as u32,
        };
        let (local, v6) = (canonical(bound), bound.is_ipv6());
        Ok(Self { socket, local, v6, buffers, dscp, dropped: AtomicU64::new(0) })
    }

    /// The address it is bound to, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What the kernel granted when the socket was opened.
    pub fn buffers(&self) -> BufferSizes {
        self.buffers
    }

    /// Datagrams that the kernel threw away because its receive buffer was full, as far as the last datagram
    /// that was received tells. Always 0 where the system does not say (other than Linux).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether the kernel knows it as IPv6.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_v6(&self) -> bool {
        self.v6
    }

    /// Takes note of the kernel's count of drops.
    #[cfg(target_os = "linux")]
    pub(crate) fn note_dropped(&self, now: u32) {
        system::note_drops(&self.dropped, now);
    }

    /// Whether a datagram to this address can leave here: the families fit.
    pub fn reaches(&self, destination: IpAddr) -> bool {
        match (self.local.ip(), destination.to_canonical()) {
            (IpAddr::V4(_), destination) => destination.is_ipv4(),
            (IpAddr::V6(local), IpAddr::V4(_)) => local.is_unspecified(),
            (IpAddr::V6(_), IpAddr::V6(_)) => true,
        }
    }

    /// Receives what is waiting, as much as one system call brings and the batch holds; what the batch held
    /// before is gone. Returns how many; 0: nothing waits.
    ///
    /// # Errors
    /// As `recvmmsg(2)`, except `WouldBlock` and `Interrupted`, which are handled here.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.clear();
        loop {
            match system::receive(&self.socket, self.local, batch, &self.dropped) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives one datagram into a buffer; `None`: nothing waits.
    #[cfg(target_os = "linux")]
    pub(crate) fn receive_one(&self, buffer: &mut [u8]) -> io::Result<Option<system::Came>> {
        let came = system::receive_one(&self.socket, buffer)?;
        if let Some(dropped) = came.and_then(|came| came.notes.dropped) {
            self.note_dropped(dropped);
        }
        Ok(came)
    }

    /// Sends one datagram to an address that the socket reaches; `source` as in [`Outgoing`], of the same family.
    #[cfg(target_os = "linux")]
    pub(crate) fn send_one(&self, to: SocketAddr, source: Option<IpAddr>, payload: &[u8]) -> io::Result<()> {
        system::send_one(&self.socket, self.v6, to, source, payload)
    }

    /// Sends datagrams in order, up to [`crate::BATCH`] in a system call. Returns how many of them are dealt
    /// with, counted from the first: fewer than there are when the socket takes no more for now (wait until it
    /// is writable, then go on there). A datagram that cannot be sent is reported in `failures`, counts as
    /// dealt with, and stops nothing.
    pub fn send(&self, datagrams: &[Outgoing<'_>], failures: &mut Vec<SendFailure>) -> usize {
        let mut done = 0;
        while let Some(rest) = datagrams.get(done..).filter(|rest| !rest.is_empty()) {
            let sendable = rest
                .iter()
                .take(crate::BATCH)
                .take_while(|datagram| self.objection(datagram).is_none())
                .count();
            let (Some(now), Some(first)) = (rest.get(..sendable), rest.first()) else { break };
            if let Some(error) = self.objection(first) {
                failures.push(SendFailure { index: done, error });
                done += 1;
                continue;
            }
            match self.send_batch(now) {
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    failures.push(SendFailure { index: done, error });
                    done += 1;
                }
            }
        }
        done
    }

    /// Up to [`crate::BATCH`] by one system call; returns how many left.
    fn send_batch(&self, now: &[Outgoing<'_>]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if let [one] = now {
            // A batch of one is dearer than one by itself, and a socket with one address has no other to send from.
            let source = one.source.filter(|source| *source != self.local.ip() && !source.is_unspecified());
            return system::send_one(&self.socket, self.v6, one.destination, source, one.payload).map(|()| 1);
        }
        system::send(&self.socket, self.v6, now)
    }

    /// Why the kernel is not even asked.
    fn objection(&self, datagram: &Outgoing<'_>) -> Option<io::Error> {
        let family_differs = |source: IpAddr| {
            source.to_canonical().is_ipv4() != datagram.destination.ip().to_canonical().is_ipv4()
        };
        if !self.reaches(datagram.destination.ip()) || datagram.source.is_some_and(family_differs) {
            return Some(io::Error::new(io::ErrorKind::InvalidInput, "address families differ"));
        }
        None
    }

    /// A second handle on the same socket, for a runtime to watch.
    ///
    /// # Errors
    /// As `dup(2)`.
    pub fn try_clone_std(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for BatchSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The instruction that ends a filter with how many octets to keep (`BPF_RET | BPF_K`).
#[cfg(target_os = "linux")]
const BPF_RET: u16 = 6;

/// An address as upper layers see it: an IPv4 address mapped into IPv6 becomes IPv4 again.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn set_buffers(socket: &Socket, options: &SocketOptions) {
    // The caller compares what it got; a smaller buffer is no reason not to serve.
    if let Some(size) = options.receive_buffer {
        let _ = socket.set_recv_buffer_size(size);
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, size);
    }
    if let Some(size) = options.send_buffer {
        let _ = socket.set_send_buffer_size(size);
    }
}

fn mark(socket: &Socket, v6: bool, dscp: u8) {
    let octet = u32::from(dscp) << 2;
    // A dual-stack socket has one field for each family.
    let _ = socket.set_tos_v4(octet);
    #[cfg(target_os = "linux")]
    if v6 {
        let _ = socket.set_tclass_v6(octet);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = v6;
}
