//! Memory that the kernel fills with datagrams as they come (a provided buffer ring of `io_uring`).
//!
//! A slot is either the kernel's or ours. Ours is a [`Taken`]; the kernel's is never touched.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::LONGEST;
use crate::control::Control;
use crate::kernel_address::KernelAddress;

/// The slots and the ring by which they go to the kernel.
#[derive(Debug)]
pub(super) struct Buffers {
    /// The entries of the ring, then the slots.
    memory: NonNull<u8>,
    tail: u16,
    /// Whether each slot is ours.
    taken: [bool; SLOTS],
    /// Slots of ours without a datagram; the last was used last.
    free: Vec<u16>,
    /// How many are the kernel's.
    given: usize,
    /// How many the kernel shall have: as few as do, for memory that is used again and again stays in the cache.
    wanted: usize,
    /// The most datagrams of a wait since `waits` was 0.
    most: usize,
    waits: u32,
}

/// A slot that is ours, by its number.
#[derive(Debug)]
pub(super) struct Taken(u16);

/// Where in a slot the payload is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    at: usize,
    len: usize,
}

impl Part {
    /// What a message brought that was received with its source.
    pub(super) fn of_message(len: usize) -> Self {
        Self { at: PAYLOAD_AT, len }
    }

    /// What a connected socket brought.
    pub(super) fn alone(len: usize) -> Self {
        Self { at: 0, len }
    }

    /// Where there is room for an address and control messages.
    fn aside(self) -> usize {
        if self.at == 0 { LONGEST } else { NAME_AT }
    }
}

/// What `sendmsg(2)` needs beside the payload.
#[repr(C)]
struct Message {
    header: libc::msghdr,
    part: libc::iovec,
}

impl Buffers {
    /// Slots of which some are the kernel's once it knows them by `register`.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the layout is not empty.
        let memory = NonNull::new(unsafe { alloc_zeroed(LAYOUT) }).ok_or(io::ErrorKind::OutOfMemory)?;
        let free = (0..SLOTS as u16).rev().collect();
        let mut buffers =
            Self { memory, tail: 0, taken: [true; SLOTS], free, given: 0, wanted: FEW, most: 0, waits: 0 };
        buffers.provide();
        Ok(buffers)
    }

    /// Tells the kernel.
    pub(super) fn register(&self, ring: &IoUring) -> io::Result<()> {
        let address = self.memory.as_ptr() as u64;
        // SAFETY: the ring's entries lie page-aligned at the start of memory that outlives the registration: its
        // owner unregisters the group before it frees this.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, SLOTS as u16, GROUP, 0) }
    }

    /// A slot that the kernel says it filled.
    pub(super) fn take(&mut self, slot: u16) -> Option<Taken> {
        let taken = self.taken.get_mut(usize::from(slot))?;
        if std::mem::replace(taken, true) {
            return None;
        }
        self.given -= 1;
        Some(Taken(slot))
    }

    /// Makes a slot free to be the kernel's again.
    pub(super) fn give_back(&mut self, slot: Taken) {
        self.free.push(slot.0);
    }

    /// Learns from how many datagrams a wait brought. A wait may bring twice as many as the one before without a lack.
    pub(super) fn note(&mut self, brought: usize) {
        self.most = self.most.max(brought);
        self.wanted = self.wanted.max(4 * brought).min(SLOTS);
        self.waits += 1;
        if self.waits >= FORGET {
            self.wanted = (4 * self.most).clamp(FEW, SLOTS);
            (self.most, self.waits) = (0, 0);
        }
    }

    /// Takes note that the kernel had none left.
    pub(super) fn lacked(&mut self) {
        self.wanted = SLOTS;
    }

    /// After how many datagrams a wait should end, so that the kernel does not run out.
    pub(super) fn enough(&self) -> usize {
        self.wanted / 2
    }

    /// Gives the kernel slots until it has as many as wanted.
    pub(super) fn provide(&mut self) {
        let before = self.tail;
        while self.given < self.wanted
            && let Some(slot) = self.free.pop()
        {
            self.give(Taken(slot));
        }
        if self.tail != before {
            self.publish();
        }
    }

    fn give(&mut self, slot: Taken) {
        let at = usize::from(self.tail) % SLOTS;
        let address = self.slot(&slot) as u64;
        // SAFETY: `at` is a place in the ring's entries. The kernel reads an entry only once the tail is past it, and
        // the tail is not past more entries than there are slots. The tail itself lies in a part of the first entry
        // that these three do not write.
        unsafe {
            let entry = &mut *self.memory.as_ptr().cast::<BufRingEntry>().add(at);
            entry.set_addr(address);
            entry.set_len(FILLED as u32);
            entry.set_bid(slot.0);
        }
        self.taken[usize::from(slot.0)] = false;
        self.given += 1;
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given.
    fn publish(&self) {
        // SAFETY: the tail is a field of the first entry, aligned, initialised, and written by us alone; the kernel
        // reads it as an atomic.
        let tail =
            unsafe { &*BufRingEntry::tail(self.memory.as_ptr().cast::<BufRingEntry>()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// What the kernel wrote, as `RecvMsgOut` reads it.
    pub(super) fn filled(&self, slot: &Taken) -> &[u8] {
        // SAFETY: the slot is ours, so nobody writes to it while `self` is borrowed; it was zeroed at first.
        unsafe { slice::from_raw_parts(self.slot(slot), FILLED) }
    }

    /// The payload.
    pub(super) fn payload(&self, slot: &Taken, part: Part) -> &[u8] {
        self.filled(slot).get(part.at..part.at + part.len.min(LONGEST)).unwrap_or_default()
    }

    /// Puts another payload in the place of the one that came; `None`: it does not fit, and nothing has changed.
    pub(super) fn replace(&mut self, slot: &Taken, payload: &[u8]) -> Option<Part> {
        if payload.len() > LONGEST {
            return None;
        }
        // SAFETY: the slot is ours and `self` is borrowed alone, so nobody reads or writes it; the part of it for the
        // payload has room for LONGEST bytes, and `payload` lies elsewhere, as a slot is never lent while it is changed.
        unsafe {
            let place = self.slot(slot).add(PAYLOAD_AT);
            ptr::copy_nonoverlapping(payload.as_ptr(), place, payload.len());
        }
        Some(Part { at: PAYLOAD_AT, len: payload.len() })
    }

    /// Puts a destination beside the payload, and returns it there.
    pub(super) fn address(&mut self, slot: &Taken, part: Part, to: &KernelAddress) -> *const libc::sockaddr {
        self.write(slot, part.aside(), to.bytes()).cast()
    }

    /// Puts a whole message for `sendmsg` into the slot, and returns it there.
    pub(super) fn message(
        &mut self,
        slot: &Taken,
        place: Part,
        (to, to_len): (&KernelAddress, u32),
        (control, control_len): (&Control, usize),
    ) -> *const libc::msghdr {
        let payload = self.payload(slot, place);
        let part = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        let mut header = crate::linux::empty_message();
        header.msg_name = self.write(slot, place.aside(), to.bytes()).cast();
        header.msg_namelen = to_len;
        header.msg_control = self.write(slot, place.aside() + NAME_LEN, control.bytes()).cast();
        header.msg_controllen = control_len as _;
        header.msg_iovlen = 1;
        // SAFETY: the end of a slot that is ours, kept free for this, large enough and aligned.
        unsafe {
            let message = self.slot(slot).add(FILLED).cast::<Message>();
            message.write(Message { header, part });
            (*message).header.msg_iov = &raw mut (*message).part;
            &raw const (*message).header
        }
    }

    fn write<const N: usize>(&mut self, slot: &Taken, at: usize, bytes: &[u8; N]) -> *mut u8 {
        assert!(at + N <= FILLED, "within the slot");
        // SAFETY: the slot is ours and `self` is borrowed alone, so nobody reads or writes it.
        unsafe {
            let place = self.slot(slot).add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, N);
            place
        }
    }

    fn slot(&self, slot: &Taken) -> *mut u8 {
        // SAFETY: a `Taken` is less than SLOTS, so this is inside the allocation.
        unsafe { self.memory.as_ptr().add(ENTRIES + usize::from(slot.0) * SLOT) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout. The owner has taken it from the kernel before.
        unsafe { dealloc(self.memory.as_ptr(), LAYOUT) };
    }
}

/// The number of the group of buffers.
pub(super) const GROUP: u16 = 0;
/// Room for the source's address.
pub(super) const NAME_LEN: usize = KernelAddress::LEN;
/// Room for control messages.
pub(super) const CONTROL_LEN: usize = Control::LEN;

/// Slots in all, a power of two. Half a megabyte, of which only what was used is occupied.
const SLOTS: usize = 256;
/// The kernel has no fewer.
const FEW: usize = 64;
/// After as many waits it is forgotten how many slots were wanted: a second under load.
const FORGET: u32 = 1_024;
const SLOT: usize = 2_048;
/// A slot begins with `struct io_uring_recvmsg_out`; then come name, control messages, payload.
const NAME_AT: usize = 16;
const PAYLOAD_AT: usize = NAME_AT + NAME_LEN + CONTROL_LEN;
/// The part that the kernel fills.
const FILLED: usize = PAYLOAD_AT + LONGEST;
const ENTRIES: usize = SLOTS * size_of::<BufRingEntry>();
const LAYOUT: Layout = match Layout::from_size_align(ENTRIES + SLOTS * SLOT, 4_096) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

const _: () = assert!(FILLED + size_of::<Message>() <= SLOT && FILLED.is_multiple_of(align_of::<Message>()));
