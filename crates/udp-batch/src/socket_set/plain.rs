//! A set on `epoll`: a call to receive and one to send for each socket that has something.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Arrival, LONGEST, Lines};
use crate::{BatchSocket, Interest, Outgoing, Poller, Ready, ReceiveBatch};

#[derive(Debug)]
pub(super) struct Plain {
    poller: Poller,
    lines: Lines,
    ready: Vec<Ready>,
    /// How many of `ready` had their turn; the datagrams in the batch came to the last of these.
    turns: usize,
    batch: ReceiveBatch,
    /// How many datagrams of the batch were returned.
    returned: usize,
    passed: Vec<Passed>,
}

/// A datagram of the batch that leaves by a socket.
#[derive(Debug)]
struct Passed {
    index: usize,
    token: u32,
    to: SocketAddr,
}

impl Plain {
    pub(super) fn new(poller: Poller) -> Self {
        Self {
            poller,
            lines: Lines::default(),
            ready: Vec::new(),
            turns: 0,
            batch: ReceiveBatch::with_slots(SLOTS, LONGEST),
            returned: 0,
            passed: Vec::with_capacity(SLOTS),
        }
    }

    pub(super) fn open(&mut self, token: u32, socket: BatchSocket) -> io::Result<()> {
        self.close(token);
        self.poller.add(&socket, u64::from(token), Interest::Read)?;
        self.lines.insert(token, socket);
        Ok(())
    }

    pub(super) fn close(&mut self, token: u32) {
        self.flush();
        if let Some(line) = self.lines.remove(token) {
            // Closing the socket removes it too.
            let _ = self.poller.remove(&line.socket);
            // What was ready is so again at the next wait; another socket may have the number by then.
            self.ready.clear();
            self.turns = 0;
            self.forget_batch();
        }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.flush();
        self.forget_batch();
        self.turns = 0;
        self.poller.wait(timeout, &mut self.ready)?;
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Arrival<'_>> {
        while self.returned >= self.batch.len() {
            self.flush();
            self.forget_batch();
            let ready = self.ready.get(self.turns)?;
            self.turns += 1;
            let Some(line) = self.lines.get_mut(ready.token as u32) else { continue };
            // What does not fit is ready again at the next wait. An error is the answer to something sent.
            if line.socket.receive(&mut self.batch).is_ok_and(|count| count > 0) {
                let last = self.batch.iter().last();
                line.came_to(last.map(|datagram| datagram.destination.ip()));
            } else {
                self.forget_batch();
            }
        }
        let token = self.ready.get(self.turns.checked_sub(1)?)?.token as u32;
        let datagram = self.batch.get(self.returned)?;
        self.returned += 1;
        let (source, payload, truncated) = (datagram.source, datagram.payload, datagram.truncated);
        Some(Arrival { token, source, payload, truncated })
    }

    pub(super) fn pass_on(&mut self, token: u32, to: SocketAddr) {
        if let Some(index) = self.returned.checked_sub(1) {
            self.passed.push(Passed { index, token, to });
        }
    }

    fn forget_batch(&mut self) {
        self.batch.clear();
        self.returned = 0;
    }

    /// Sends what waits; datagrams that leave by one socket leave together.
    fn flush(&mut self) {
        for run in self.passed.chunk_by(|a, b| a.token == b.token) {
            let Some(line) = run.first().and_then(|first| self.lines.get(first.token)) else { continue };
            for some in run.chunks(TOGETHER) {
                let nothing = Outgoing { destination: line.socket.local_addr(), source: None, payload: &[] };
                let mut outgoing = [nothing; TOGETHER];
                for (one, passed) in outgoing.iter_mut().zip(some) {
                    let Some(datagram) = self.batch.get(passed.index) else { continue };
                    let source = line.source_towards(passed.to);
                    *one = Outgoing { destination: passed.to, source, payload: datagram.payload };
                }
                // Media that finds no room is late already: it is lost like any other datagram.
                line.socket.send(outgoing.get(..some.len()).unwrap_or_default(), &mut Vec::new());
            }
        }
        self.passed.clear();
    }
}

/// Datagrams that one socket may bring at a time.
const SLOTS: usize = 32;
const TOGETHER: usize = 4;
