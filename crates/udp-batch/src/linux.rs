//! `recvmmsg(2)` and `sendmmsg(2)`.
//!
//! The wrappers that exist do not fit: one forbids fragmentation, which long SIP messages need, the other
//! cannot receive, and neither pins the source of each datagram of a batch.

mod one;

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::Socket;

use crate::BATCH;
use crate::control::Control;
use crate::kernel_address::KernelAddress;
use crate::receive::{ReceiveBatch, Received};
use crate::send::Outgoing;

pub(crate) use one::{Came, receive_one, send_one};

/// What the kernel writes beside the payloads, one entry a slot.
#[derive(Debug)]
pub(crate) struct Scratch {
    addresses: Box<[KernelAddress]>,
    controls: Box<[Control]>,
}

impl Scratch {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            addresses: vec![KernelAddress::EMPTY; slots].into_boxed_slice(),
            controls: vec![Control::EMPTY; slots].into_boxed_slice(),
        }
    }
}

/// Asks for the count of drops beside each datagram, and for the destination address where `anywhere` leaves it open.
pub(crate) fn prepare(socket: &Socket, v6: bool, anywhere: bool) -> io::Result<()> {
    if !anywhere {
        // Bound to one address, what comes came to that.
    } else if v6 {
        checked(set_flag(socket.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO))?;
    } else {
        checked(set_flag(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO))?;
    }
    checked(set_flag(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL))
}

/// Asks for the time at which each datagram came.
pub(crate) fn note_times(socket: &Socket) -> io::Result<()> {
    checked(set_flag(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS))
}

/// Fills the batch by one system call.
pub(crate) fn receive(
    socket: &UdpSocket,
    local: SocketAddr,
    batch: &mut ReceiveBatch,
    dropped: &AtomicU64,
) -> io::Result<usize> {
    // Where few came lately, more are not paid for. Once these are full, there is room for all again.
    let mut results = [Filled::default(); BATCH];
    let count = if batch.slots <= SMALL || batch.lately < SMALL {
        receive_raw::<SMALL>(socket.as_raw_fd(), batch, &mut results)?
    } else {
        receive_raw::<BATCH>(socket.as_raw_fd(), batch, &mut results)?
    };
    batch.lately = count;
    for (slot, filled) in results.iter().enumerate().take(count) {
        let notes = batch.scratch.controls[slot].decode(filled.control_len);
        if let Some(now) = notes.dropped {
            note_drops(dropped, now);
        }
        let Some(source) = batch.scratch.addresses[slot].decode(filled.address_len) else { continue };
        let destination = notes.destination.map_or(local, |ip| SocketAddr::new(ip, local.port()));
        let len = filled.len.min(batch.slot_len);
        let (truncated, came) = (filled.truncated, notes.came);
        batch.received.push(Received { slot, len, source, destination, truncated, came });
    }
    Ok(batch.received.len())
}

/// Sends up to [`BATCH`] datagrams by one system call and returns how many left.
pub(crate) fn send(socket: &UdpSocket, v6: bool, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    if datagrams.len() <= SMALL {
        send_raw::<SMALL>(socket.as_raw_fd(), v6, datagrams)
    } else {
        send_raw::<BATCH>(socket.as_raw_fd(), v6, datagrams)
    }
}

#[derive(Clone, Copy, Default)]
struct Filled {
    len: usize,
    address_len: u32,
    control_len: usize,
    truncated: bool,
}

fn receive_raw<const N: usize>(
    fd: RawFd,
    batch: &mut ReceiveBatch,
    results: &mut [Filled; BATCH],
) -> io::Result<usize> {
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; N];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; N];
    let buffers = batch.arena.chunks_exact_mut(batch.slot_len);
    let beside = batch.scratch.addresses.iter_mut().zip(batch.scratch.controls.iter_mut());
    let mut slots = 0;
    for (((part, header), buffer), (address, control)) in
        parts.iter_mut().zip(headers.iter_mut()).zip(buffers).zip(beside)
    {
        let part = part.write(libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        let mut message = empty_message();
        message.msg_name = ptr::from_mut(address).cast();
        message.msg_namelen = KernelAddress::LEN as u32;
        message.msg_iov = part;
        message.msg_iovlen = 1;
        message.msg_control = ptr::from_mut(control).cast();
        message.msg_controllen = Control::LEN as _;
        header.write(libc::mmsghdr { msg_hdr: message, msg_len: 0 });
        slots += 1;
    }
    // SAFETY: the first `slots` headers are initialised; each points to one initialised `iovec` and to a name, a
    // control area and a buffer of the stated lengths, all distinct and borrowed mutably for the whole call.
    let count = unsafe {
        libc::recvmmsg(fd, headers.as_mut_ptr().cast(), slots, libc::MSG_DONTWAIT as _, ptr::null_mut())
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for (header, filled) in headers.iter().zip(results.iter_mut()).take(count) {
        // SAFETY: the kernel filled in `count` headers, never more than the `slots` that were initialised.
        let header = unsafe { header.assume_init_ref() };
        *filled = Filled {
            len: header.msg_len as usize,
            address_len: header.msg_hdr.msg_namelen,
            control_len: header.msg_hdr.msg_controllen as _,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        };
    }
    Ok(count)
}

fn send_raw<const N: usize>(fd: RawFd, v6: bool, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; N];
    let mut addresses = [const { MaybeUninit::<KernelAddress>::uninit() }; N];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; N];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; N];
    let beside = addresses.iter_mut().zip(controls.iter_mut());
    let mut messages = 0;
    for (((part, header), (address, control)), datagram) in
        parts.iter_mut().zip(headers.iter_mut()).zip(beside).zip(datagrams)
    {
        let (destination, address_len) = KernelAddress::new(crate::canonical(datagram.destination), v6);
        let part = part.write(libc::iovec {
            iov_base: datagram.payload.as_ptr().cast_mut().cast(),
            iov_len: datagram.payload.len(),
        });
        let mut message = empty_message();
        message.msg_name = ptr::from_mut(address.write(destination)).cast();
        message.msg_namelen = address_len;
        message.msg_iov = part;
        message.msg_iovlen = 1;
        if let Some(source) = datagram.source.filter(|source| !source.is_unspecified()) {
            let (note, control_len) = Control::from_source(source, v6);
            message.msg_control = ptr::from_mut(control.write(note)).cast();
            message.msg_controllen = control_len as _;
        }
        header.write(libc::mmsghdr { msg_hdr: message, msg_len: 0 });
        messages += 1;
    }
    // SAFETY: the first `messages` headers are initialised; what each points to is initialised, has the stated
    // length and lives through the call. The kernel only reads it, so payloads may come from shared slices.
    let sent = unsafe {
        libc::sendmmsg(
            fd,
            headers.as_mut_ptr().cast(),
            messages,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn empty_message() -> libc::msghdr {
    // SAFETY: `msghdr` is made of integers and raw pointers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn set_flag(fd: RawFd, level: i32, name: i32) -> i32 {
    let on: libc::c_int = 1;
    // SAFETY: the value is an `int` that lives through the call, and its true length is given.
    unsafe { libc::setsockopt(fd, level, name, ptr::from_ref(&on).cast(), size_of_val(&on) as u32) }
}

fn checked(returned: i32) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel counts in 32 bits from the opening of the socket; we go on from there in 64.
pub(crate) fn note_drops(total: &AtomicU64, now: u32) {
    let before = total.load(Ordering::Relaxed);
    let more = now.wrapping_sub(before as u32);
    // A thread that lost a race brings an older count, which looks like a huge step.
    if more < u32::MAX / 2 {
        total.store(before + u64::from(more), Ordering::Relaxed);
    }
}

const SMALL: usize = 8;
