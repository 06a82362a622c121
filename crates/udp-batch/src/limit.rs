//! How many sockets a process may have.

use std::io;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as the process may by itself, and returns it, in files; `None`: no limit.
///
/// Called before other threads run, it has the kernel make room for thousands: later, each doubling of its table lets all threads
/// that open a file wait until every processor has passed through the kernel, which takes some ten milliseconds.
///
/// # Errors
/// As `setrlimit(2)`.
pub fn raise_open_files() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    let most = maximum.map_or(ROOM, |most| ROOM.min(most.try_into().unwrap_or(ROOM)));
    // The table stays as large as its highest number asked for. Without that it grows when it must.
    let _ = fcntl_dupfd_cloexec(io::stderr(), most - 1);
    Ok(maximum)
}

/// How many files the process may have open; `None`: no limit.
pub(crate) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Files that there is room for from the start; their places take 128 KiB in the kernel.
const ROOM: i32 = 16_384;
