//! Waiting for many sockets, a wake-up from another thread, and a deadline, all at once (`epoll(7)`).

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

/// What a thread sleeps on. Level-triggered: a socket with something left to read is ready again.
pub struct Poller {
    epoll: OwnedFd,
    wake: Arc<Wake>,
}

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Something to read, or room to write.
    ReadWrite,
}

/// A socket that is ready, by the number it was added under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The number given to [`Poller::add`].
    pub token: u64,
    /// Whether a read would bring something, if only an error.
    pub readable: bool,
    /// Whether there is room to write.
    pub writable: bool,
}

/// Wakes the poller's thread from any other. Cheap to clone; several wake-ups before the thread comes to see
/// them are one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Wake>);

#[derive(Debug)]
struct Wake {
    event: OwnedFd,
    /// Whether the thread sleeps; one that does not needs no system call to be told.
    state: AtomicU8,
}

impl Poller {
    /// Opens a poller with nothing to wait for but its wakers.
    ///
    /// # Errors
    /// When the process or the system is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &event, EventData::new_u64(WAKE), EventFlags::IN)?;
        let wake = Arc::new(Wake { event, state: AtomicU8::new(AWAKE) });
        Ok(Self { epoll, wake })
    }

    /// A handle that wakes this poller.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Waits for a socket too, known by `token` from now on. It must be removed before it is closed if another
    /// handle on it stays open.
    ///
    /// # Errors
    /// `InvalidInput` for the token `u64::MAX`, which is taken; as `epoll_ctl(2)`.
    pub fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        if token == WAKE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this token is taken"));
        }
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what is waited for on a socket that was added.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub fn modify(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, EventData::new_u64(token), interest.flags())?)
    }

    /// No longer waits for a socket.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Sleeps until a socket is ready, a waker called, or the time is up (`None`: never), and puts what is
    /// ready into `ready`, which is emptied first. Returns whether a waker called. Times are rounded up to
    /// milliseconds. May return early with nothing ready.
    ///
    /// # Errors
    /// As `epoll_wait(2)`, except `EINTR`, which counts as waking up with nothing ready.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
        ready.clear();
        let timeout = if self.falls_asleep() { timeout } else { Some(Duration::ZERO) };
        let timeout = timeout.map(whole_milliseconds);
        // Not kept with the poller, which may go to another thread: the kernel's type of an event may not.
        let mut room = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let result = epoll::wait(&self.epoll, &mut room[..], timeout.as_ref());
        let mut woken = self.wakes_up();
        let events = match result {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(woken),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == WAKE {
                self.wake.empty();
                woken = true;
            } else {
                let readable = flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP);
                let writable = flags.intersects(EventFlags::OUT | EventFlags::ERR);
                ready.push(Ready { token, readable, writable });
            }
        }
        Ok(woken)
    }

    /// Waits for the wakers of another poller too, known by `token`. Whoever sees it must call [`Poller::empty`] of that
    /// poller, and must say when it falls asleep and wakes up.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub fn add_wakers_of(&self, other: &Self, token: u64) -> io::Result<()> {
        self.add(other.wake_fd(), token, Interest::Read)
    }

    /// No longer waits for the wakers of another poller.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub fn remove_wakers_of(&self, other: &Self) -> io::Result<()> {
        self.remove(other.wake_fd())
    }

    /// What is readable once a waker has called a thread that slept, for another way of waiting.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.event.as_fd()
    }

    /// Says that the thread is about to sleep by another way of waiting, unless a waker has called: then it must not sleep.
    /// Either way [`Poller::wakes_up`] follows.
    pub fn falls_asleep(&self) -> bool {
        let state = &self.wake.state;
        state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Says that the thread is awake again. Returns whether a waker has called.
    pub fn wakes_up(&self) -> bool {
        self.wake.state.swap(AWAKE, Ordering::AcqRel) == CALLED
    }

    /// Takes note that what wakers write was seen to be readable.
    pub fn empty(&self) {
        self.wake.empty();
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).field("wake", &self.wake).finish_non_exhaustive()
    }
}

impl Waker {
    /// Ends the present or the next [`Poller::wait`]. What was written before the call is seen after it.
    pub fn wake(&self) {
        if self.0.state.swap(CALLED, Ordering::AcqRel) == ASLEEP {
            // It cannot fail for want of room: one a sleep, and each is read.
            let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
        }
    }
}

impl Wake {
    /// A wake-up may be written after the thread was woken by something else: then this comes a sleep later.
    fn empty(&self) {
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::ReadWrite => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// Rounded up, lest the thread spin through the last fraction; at most a day, which every kernel takes.
fn whole_milliseconds(time: Duration) -> Timespec {
    let milliseconds = time.as_nanos().div_ceil(1_000_000).min(86_400_000) as i64;
    Timespec { tv_sec: milliseconds / 1_000, tv_nsec: (milliseconds % 1_000) * 1_000_000 }
}

const WAKE: u64 = u64::MAX;
/// A thread's states: at work, asleep, and at work or about to be with something to look at.
const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const CALLED: u8 = 2;
/// Reported by one wait; what is left is reported by the next.
const EVENTS: usize = 256;
