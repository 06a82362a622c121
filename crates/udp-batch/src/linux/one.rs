//! One datagram by one call: cheaper than a batch of one.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use super::empty_message;
use crate::control::{Control, Notes};
use crate::kernel_address::KernelAddress;

/// What is known of a datagram beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// Bytes of the payload in the buffer.
    pub(crate) len: usize,
    pub(crate) source: SocketAddr,
    pub(crate) notes: Notes,
    pub(crate) truncated: bool,
}

/// Receives into `buffer`; `None` when nothing waits, or what came has no source.
pub(crate) fn receive_one(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<Came>> {
    let (mut address, mut control) = (KernelAddress::EMPTY, Control::EMPTY);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = empty_message();
    message.msg_name = ptr::from_mut(&mut address).cast();
    message.msg_namelen = KernelAddress::LEN as u32;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = Control::LEN as _;
    // SAFETY: the header is initialised, and what it points to has the stated lengths and is borrowed mutably for the
    // whole call.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let Ok(len) = usize::try_from(len) else {
        let error = io::Error::last_os_error();
        let nothing = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        return if nothing { Ok(None) } else { Err(error) };
    };
    let truncated = message.msg_flags & libc::MSG_TRUNC != 0;
    let notes = control.decode(message.msg_controllen as _);
    let source = address.decode(message.msg_namelen);
    Ok(source.map(|source| Came { len: len.min(buffer.len()), source, notes, truncated }))
}

/// Sends to an address of a family that the socket reaches; `source` as in [`crate::Outgoing`].
pub(crate) fn send_one(
    socket: &UdpSocket,
    v6: bool,
    to: SocketAddr,
    source: Option<IpAddr>,
    payload: &[u8],
) -> io::Result<()> {
    let (mut address, address_len) = KernelAddress::new(crate::canonical(to), v6);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let sent = if let Some(source) = source {
        let (mut control, control_len) = Control::from_source(source, v6);
        let mut part = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        let mut message = empty_message();
        message.msg_name = ptr::from_mut(&mut address).cast();
        message.msg_namelen = address_len;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = ptr::from_mut(&mut control).cast();
        message.msg_controllen = control_len as _;
        // SAFETY: the header is initialised; what it points to has the stated lengths and lives through the call, which
        // only reads it.
        unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) }
    } else {
        // SAFETY: payload and address have the stated lengths and live through the call, which only reads them.
        unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                payload.as_ptr().cast(),
                payload.len(),
                flags,
                ptr::from_ref(&address).cast(),
                address_len,
            )
        }
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
