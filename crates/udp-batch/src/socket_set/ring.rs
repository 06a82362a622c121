//! A set on `io_uring`: every socket has one lasting request that fills a buffer for each datagram; what leaves is
//! queued, and goes with the call that waits for more.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, Fixed, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{Buffers, CONTROL_LEN, GROUP, NAME_LEN, Part, Taken};
use super::twin::Twin;
use super::{Arrival, LONGEST, Lines};
use crate::control::{Control, Notes};
use crate::kernel_address::KernelAddress;
use crate::limit::open_files;
use crate::{BatchSocket, Poller, canonical};

/// A request to a socket by its place in the ring's table, or else by its descriptor.
macro_rules! by {
    ($set:ident, $token:expr, $line:ident, |$socket:ident| $request:expr) => {
        if $token < $set.registered {
            let $socket = Fixed($token);
            $request
        } else {
            let $socket = Fd($line.socket.as_fd().as_raw_fd());
            $request
        }
    };
}

pub(super) struct Ring {
    // The ring goes before the memory that it names.
    ring: IoUring,
    buffers: Buffers,
    /// What a received message may consist of.
    message: Box<libc::msghdr>,
    poller: Poller,
    lines: Lines,
    pacing: Duration,
    /// Sockets of smaller numbers are in the ring's own table, where a request finds them for less.
    registered: u32,
    /// Places in the table for twins that nobody has.
    vacant: Vec<u32>,
    /// Twins have no larger descriptors, so that the process keeps most of those it may have for other sockets.
    largest: u64,
    /// Datagrams that came since the last wait.
    brought: usize,
    current: Option<Current>,
    /// Slots whose datagrams are queued to leave.
    leaving: Vec<Taken>,
    /// Sockets whose lasting request has ended, by what it was for, with their generations: another may have the number by
    /// then.
    unarmed: Vec<(u8, u32, u32)>,
}

/// The datagram that was returned last.
#[derive(Debug)]
struct Current {
    slot: Taken,
    token: u32,
    source: SocketAddr,
    part: Part,
    truncated: bool,
}

impl Ring {
    /// Gives the poller back when it cannot be had.
    pub(super) fn new(poller: Poller, pacing: Duration) -> Result<Self, (io::Error, Poller)> {
        let made = set_up().and_then(|ring| {
            let buffers = Buffers::new()?;
            buffers.register(&ring)?;
            Ok((ring, buffers))
        });
        let (ring, buffers) = match made {
            Ok(made) => made,
            Err(error) => return Err((error, poller)),
        };
        // Without the table, which needs as many descriptors to be allowed, all go by their descriptors.
        let table = REGISTERED.into_iter().find(|size| ring.submitter().register_files_sparse(*size).is_ok());
        let registered = table.unwrap_or(0) / 2;
        let mut message = Box::new(crate::linux::empty_message());
        message.msg_namelen = NAME_LEN as u32;
        message.msg_controllen = CONTROL_LEN as _;
        let mut set = Self {
            ring,
            buffers,
            message,
            poller,
            lines: Lines::default(),
            pacing,
            registered,
            vacant: (registered..2 * registered).rev().collect(),
            largest: open_files().map_or(u64::MAX, |most| most / 4),
            brought: 0,
            current: None,
            leaving: Vec::new(),
            unarmed: Vec::new(),
        };
        // There is room for this first entry.
        let _ = set.watch_wakers();
        Ok(set)
    }

    pub(super) fn open(&mut self, token: u32, socket: BatchSocket) -> io::Result<()> {
        self.close(token);
        let descriptor = socket.as_fd().as_raw_fd();
        self.lines.insert(token, socket);
        let registered = if token < self.registered { self.register(token, descriptor) } else { Ok(()) };
        registered.and_then(|()| self.arm(RECEIVE, token)).inspect_err(|_| {
            self.lines.remove(token);
        })
    }

    pub(super) fn close(&mut self, token: u32) {
        self.disconnect(token);
        let Some(generation) = self.lines.get(token).map(|line| line.generation) else { return };
        let place = (token < self.registered).then_some(token);
        self.forget(tag(RECEIVE, generation, token), place);
        self.lines.remove(token);
        self.complete();
    }

    /// Ends what is under way for a socket that is about to be closed.
    fn forget(&mut self, request: u64, place: Option<u32>) {
        // What is queued names sockets by descriptors, which may soon mean other sockets.
        let _ = self.submit();
        // There is none if it has just ended.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::user_data(request));
        if let Some(place) = place {
            let _ = self.register(place, NOBODY);
        }
    }

    /// A request lets go of its socket when it is completed, which happens in here.
    fn complete(&self) {
        // SAFETY: without an argument nothing is read or written but the rings.
        let _ = unsafe { self.ring.submitter().enter::<libc::sigset_t>(0, 0, GET_EVENTS, None) };
    }

    /// Gives the peer of a line a socket of its own, if there is one to be had.
    fn connect(&mut self, token: u32, peer: SocketAddr) {
        let Some(socket) = self.lines.get(token).and_then(|line| line.connected(peer)) else { return };
        let descriptor = socket.as_fd().as_raw_fd();
        if u64::try_from(descriptor).is_ok_and(|number| number > self.largest) {
            return;
        }
        let Some(place) = self.vacant.pop() else { return };
        if self.register(place, descriptor).is_err() {
            return self.vacant.push(place);
        }
        let generation = self.lines.next_generation();
        if let Some(line) = self.lines.get_mut(token) {
            line.twin = Some(Box::new(Twin { socket, peer, place, generation }));
        }
        if self.arm(RECEIVE_TWIN, token).is_err() {
            self.unarmed.push((RECEIVE_TWIN, token, generation));
        }
    }

    /// Lets the peer of a line come to the line's own socket again.
    fn disconnect(&mut self, token: u32) {
        let twin = self.lines.get_mut(token).and_then(|line| {
            line.times = 0;
            line.twin.take()
        });
        let Some(twin) = twin else { return };
        self.forget(tag(RECEIVE_TWIN, twin.generation, token), Some(twin.place));
        self.vacant.push(twin.place);
        drop(twin);
        self.complete();
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.let_go();
        // Before anything is armed anew, which may submit.
        self.buffers.note(std::mem::take(&mut self.brought));
        self.buffers.provide();
        let mut unarmed = std::mem::take(&mut self.unarmed);
        unarmed.retain(|(kind, token, generation)| {
            generation_of(&self.lines, *kind, *token) == Some(*generation) && self.arm(*kind, *token).is_err()
        });
        self.unarmed = unarmed;
        let called = !self.poller.falls_asleep();
        let (want, least) = match self.pacing.as_micros() {
            _ if called => (1, 0),
            0 => (1, 0),
            least => (self.buffers.enough(), u32::try_from(least).unwrap_or(u32::MAX)),
        };
        let timeout = Timespec::from(if called { Duration::ZERO } else { timeout.unwrap_or(A_DAY) });
        let arguments = SubmitArgs::new().timespec(&timeout).min_wait_usec(least);
        let result = self.ring.submitter().submit_with_args(want, &arguments);
        self.poller.wakes_up();
        self.reclaim();
        match result {
            Err(error) if !is_passing(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn next(&mut self) -> Option<Arrival<'_>> {
        self.let_go();
        loop {
            let completion = self.ring.completion().next()?;
            let (kind, generation, token) = untag(completion.user_data());
            if kind == WAKE {
                self.poller.empty();
                if !cqueue::more(completion.flags()) {
                    // It fails only for want of memory; deadlines still end the waits.
                    let _ = self.watch_wakers();
                }
                continue;
            }
            // A datagram that did not leave is lost like any other.
            if kind != SEND {
                if completion.result() == -libc::ENOBUFS {
                    self.buffers.lacked();
                }
                let len = usize::try_from(completion.result()).unwrap_or(0);
                if self.received(kind, token, generation, len, completion.flags()).is_some() {
                    break;
                }
            }
            let failed = completion.result() < 0 && !PASSING.contains(&-completion.result());
            if failed && kind != RECEIVE && generation_of(&self.lines, kind, token) == Some(generation) {
                // The peer or the way to it is gone. The line's own socket hears of no such thing.
                self.disconnect(token);
            }
        }
        let current = self.current.as_ref()?;
        let payload = self.buffers.payload(&current.slot, current.part);
        Some(Arrival { token: current.token, source: current.source, payload, truncated: current.truncated })
    }

    pub(super) fn pass_on(&mut self, token: u32, to: SocketAddr) {
        let Some(Current { slot, part, .. }) = self.current.take() else { return };
        if let Some(line) = self.lines.get_mut(token) {
            let is_used_to = line.is_used_to(to);
            if line.twin.is_some() && line.twin_to(to).is_none() {
                self.disconnect(token);
            }
            if is_used_to {
                self.connect(token, to);
            }
        }
        let line = self.lines.get(token).filter(|line| line.socket.reaches(to.ip()));
        let Some(line) = line else { return self.buffers.give_back(slot) };
        let address = || KernelAddress::new(canonical(to), line.socket.is_v6());
        // Then it is sent or refused while it is submitted, and no later.
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut generation = 0;
        let entry = if let Some(twin) = line.twin_to(to) {
            generation = twin.generation;
            let payload = self.buffers.payload(&slot, part);
            opcode::Send::new(Fixed(twin.place), payload.as_ptr(), payload.len() as u32).flags(flags).build()
        } else if let Some(source) = line.source_towards(to) {
            let (control, control_len) = Control::from_source(source, line.socket.is_v6());
            let (address, address_len) = address();
            let (to, control) = ((&address, address_len), (&control, control_len));
            let message = self.buffers.message(&slot, part, to, control);
            by!(self, token, line, |socket| opcode::SendMsg::new(socket, message).flags(flags as u32).build())
        } else {
            let (address, address_len) = address();
            let to = self.buffers.address(&slot, part, &address);
            let payload = self.buffers.payload(&slot, part);
            by!(self, token, line, |socket| {
                opcode::Send::new(socket, payload.as_ptr(), payload.len() as u32)
                    .flags(flags)
                    .dest_addr(to)
                    .dest_addr_len(address_len)
                    .build()
            })
        };
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(tag(SEND, generation, token));
        match self.push(&entry) {
            Ok(()) => self.leaving.push(slot),
            Err(_) => self.buffers.give_back(slot),
        }
    }

    /// Puts another payload in the place of the datagram that was returned last, or lets that go.
    pub(super) fn change(&mut self, payload: &[u8]) {
        let Some(current) = &mut self.current else { return };
        match self.buffers.replace(&current.slot, payload) {
            Some(part) => current.part = part,
            None => self.let_go(),
        }
    }

    pub(super) fn send(&self, token: u32, to: SocketAddr, payload: &[u8]) {
        self.lines.send(token, to, payload);
    }

    /// Takes the datagram of a completion as the current one.
    fn received(&mut self, kind: u8, token: u32, generation: u32, len: usize, flags: u32) -> Option<()> {
        let slot = cqueue::buffer_select(flags).and_then(|slot| self.buffers.take(slot));
        let is_ours = generation_of(&self.lines, kind, token) == Some(generation);
        let line = self.lines.get_mut(token).filter(|_| is_ours);
        if line.is_some() && !cqueue::more(flags) {
            self.unarmed.push((kind, token, generation));
        }
        let slot = slot?;
        if let Some(twin) = line.as_ref().and_then(|line| line.twin.as_ref()).filter(|_| kind == RECEIVE_TWIN)
        {
            self.brought += 1;
            let (source, part, truncated) = (twin.peer, Part::alone(len), len > LONGEST);
            self.current = Some(Current { slot, token, source, part, truncated });
            return Some(());
        }
        let Some((line, out)) = line.zip(RecvMsgOut::parse(self.buffers.filled(&slot), &self.message).ok())
        else {
            self.buffers.give_back(slot);
            return None;
        };
        let notes = Notes::decode(out.control_data());
        if let Some(dropped) = notes.dropped {
            line.socket.note_dropped(dropped);
        }
        line.came_to(notes.destination);
        let source = KernelAddress::from_slice(out.name_data());
        self.brought += 1;
        let (len, truncated) = (out.payload_data().len(), out.is_payload_truncated());
        let Some(source) = source else {
            self.buffers.give_back(slot);
            return None;
        };
        let part = Part::of_message(len);
        self.current = Some(Current { slot, token, source, part, truncated });
        Some(())
    }

    fn arm(&mut self, kind: u8, token: u32) -> io::Result<()> {
        let Some(line) = self.lines.get(token) else { return Ok(()) };
        let message = &raw const *self.message;
        let (request, generation) = match &line.twin {
            Some(twin) if kind == RECEIVE_TWIN => {
                (opcode::RecvMulti::new(Fixed(twin.place), GROUP).build(), twin.generation)
            }
            _ => {
                let request =
                    by!(self, token, line, |socket| opcode::RecvMsgMulti::new(socket, message, GROUP)
                        .build());
                (request, line.generation)
            }
        };
        self.push(&request.user_data(tag(kind, generation, token)))
    }

    /// Puts a descriptor into the ring's table.
    fn register(&self, token: u32, descriptor: RawFd) -> io::Result<()> {
        self.ring.submitter().register_files_update(token, &[descriptor]).map(drop)
    }

    fn watch_wakers(&mut self) -> io::Result<()> {
        let fd = Fd(self.poller.wake_fd().as_raw_fd());
        let request = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
        self.push(&request.user_data(tag(WAKE, 0, 0)))
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what the entries name are `message`, which lives as long as the ring, and slots that are ours until
        // `reclaim` finds all entries consumed.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.submit()?;
        // SAFETY: as above.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    fn submit(&mut self) -> io::Result<()> {
        let result = self.ring.submit();
        self.reclaim();
        result.map(drop)
    }

    /// The kernel has read what it consumed: see `MSG_DONTWAIT` above.
    fn reclaim(&mut self) {
        if !self.leaving.is_empty() && self.ring.submission().is_empty() {
            for slot in self.leaving.drain(..) {
                self.buffers.give_back(slot);
            }
            self.buffers.provide();
        }
    }

    /// Lets go of a datagram that was not passed on.
    fn let_go(&mut self) {
        if let Some(Current { slot, .. }) = self.current.take() {
            self.buffers.give_back(slot);
        }
    }
}

/// Before the memory goes, nothing may be under way that could write to it.
impl Drop for Ring {
    fn drop(&mut self) {
        let submitter = self.ring.submitter();
        let _ = submitter.register_sync_cancel(None, CancelBuilder::any());
        let _ = submitter.unregister_buf_ring(GROUP);
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("ring", &self.ring.as_raw_fd())
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

fn set_up() -> io::Result<IoUring> {
    let ring = IoUring::builder()
        .setup_single_issuer()
        // Nothing interrupts the thread: datagrams are fetched when it waits.
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETIONS)
        .build(SUBMISSIONS)?;
    // Without it a wake-up could not serve many sockets, and `epoll` is cheaper.
    if ring.params().is_feature_min_timeout() { Ok(ring) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// What a wait may end with for no fault: the time was up, a signal, completions that first must be taken.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

/// What a request may end with though its socket is well: no buffers, no room, or it was called off.
const PASSING: [i32; 3] = [libc::ENOBUFS, libc::EAGAIN, libc::ECANCELED];

/// What a request is for: its kind, and which socket of which number.
fn tag(kind: u8, generation: u32, token: u32) -> u64 {
    u64::from(kind) << 56 | u64::from(generation) << 32 | u64::from(token)
}

fn untag(tag: u64) -> (u8, u32, u32) {
    ((tag >> 56) as u8, (tag >> 32) as u32 & super::GENERATIONS, tag as u32)
}

/// The number of the socket that such a request of a line names now: its twin's, unless it receives by its own.
fn generation_of(lines: &Lines, kind: u8, token: u32) -> Option<u32> {
    let line = lines.get(token)?;
    if kind == RECEIVE { Some(line.generation) } else { Some(line.twin.as_ref()?.generation) }
}

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const WAKE: u8 = 3;
const RECEIVE_TWIN: u8 = 4;

/// `IORING_ENTER_GETEVENTS`.
const GET_EVENTS: u32 = 1;
/// Sizes of the table of sockets, the first that can be had.
const REGISTERED: [u32; 2] = [16_384, 1_024];
/// An empty place in it.
const NOBODY: RawFd = -1;
const SUBMISSIONS: u32 = 256;
const COMPLETIONS: u32 = 4_096;
const A_DAY: Duration = Duration::from_secs(86_400);
