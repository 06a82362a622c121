//! One datagram per system call, by the standard library alone: correct everywhere, fast nowhere.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicU64;

use socket2::Socket;

use crate::canonical;
use crate::receive::{ReceiveBatch, Received};
use crate::send::Outgoing;

/// Nothing to ask for: the standard library reports no destination address.
#[cfg_attr(test, allow(dead_code))]
pub(crate) fn prepare(_socket: &Socket, _v6: bool, _anywhere: bool) -> io::Result<()> {
    Ok(())
}

/// Fills the batch until it is full or nothing waits.
pub(crate) fn receive(
    socket: &UdpSocket,
    local: SocketAddr,
    batch: &mut ReceiveBatch,
    _dropped: &AtomicU64,
) -> io::Result<usize> {
    for (slot, buffer) in batch.arena.chunks_exact_mut(batch.slot_len).enumerate() {
        let (len, source) = match socket.recv_from(buffer) {
            Ok(received) => received,
            Err(_) if slot > 0 => break,
            Err(error) => return Err(error),
        };
        // A datagram that fills the slot may have been longer.
        let truncated = len == batch.slot_len && len < MAX_PAYLOAD;
        let (source, destination) = (canonical(source), local);
        batch.received.push(Received { slot, len, source, destination, truncated, came: None });
    }
    Ok(batch.received.len())
}

/// Sends until one does not leave. The source is left to the routing table.
pub(crate) fn send(socket: &UdpSocket, v6: bool, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    for (sent, datagram) in datagrams.iter().enumerate() {
        let destination = match (canonical(datagram.destination), v6) {
            (SocketAddr::V4(address), true) => (address.ip().to_ipv6_mapped(), address.port()).into(),
            (address, _) => address,
        };
        match socket.send_to(datagram.payload, destination) {
            Ok(_) => {}
            Err(_) if sent > 0 => return Ok(sent),
            Err(error) => return Err(error),
        }
    }
    Ok(datagrams.len())
}

/// Of a UDP datagram over IPv4.
const MAX_PAYLOAD: usize = 65_507;

#[cfg(test)]
mod tests;
