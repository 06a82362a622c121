//! A set on `epoll`: a call to receive and one to send for each datagram.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Arrival, LONGEST, Lines};
use crate::{BatchSocket, Interest, Poller, Ready};

#[derive(Debug)]
pub(super) struct Plain {
    poller: Poller,
    lines: Lines,
    ready: Vec<Ready>,
    /// How many of `ready` had their turn.
    turns: usize,
    /// The datagram that was returned last, and how long it is.
    buffer: Box<[u8; LONGEST]>,
    len: usize,
}

impl Plain {
    pub(super) fn new(poller: Poller) -> Self {
        Self {
            poller,
            lines: Lines::default(),
            ready: Vec::new(),
            turns: 0,
            buffer: Box::new([0; LONGEST]),
            len: 0,
        }
    }

    pub(super) fn open(&mut self, token: u32, socket: BatchSocket) -> io::Result<()> {
        self.close(token);
        self.poller.add(&socket, u64::from(token), Interest::Read)?;
        self.lines.insert(token, socket);
        Ok(())
    }

    pub(super) fn close(&mut self, token: u32) {
        if let Some(line) = self.lines.remove(token) {
            // Closing the socket removes it too.
            let _ = self.poller.remove(&line.socket);
            // What was ready is so again at the next wait; another socket may have the number by then.
            self.ready.clear();
            self.turns = 0;
        }
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.turns = 0;
        self.poller.wait(timeout, &mut self.ready)?;
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Arrival<'_>> {
        loop {
            let token = self.ready.get(self.turns)?.token as u32;
            self.turns += 1;
            let Some(line) = self.lines.get_mut(token) else { continue };
            // One each time: a socket that has more is ready again, and most have not.
            // An error is the answer to something sent.
            let Ok(Some(came)) = line.socket.receive_one(&mut self.buffer[..]) else { continue };
            line.came_to(came.notes.destination);
            self.len = came.len;
            let payload = self.buffer.get(..came.len)?;
            return Some(Arrival { token, source: came.source, payload, truncated: came.truncated });
        }
    }

    pub(super) fn pass_on(&mut self, token: u32, to: SocketAddr) {
        // Nothing is left of one that could not be changed.
        if let Some(payload) = self.buffer.get(..self.len) {
            self.lines.send(token, to, payload);
        }
    }

    /// Puts another payload in the place of the datagram that was returned last.
    pub(super) fn change(&mut self, payload: &[u8]) {
        if let Some(place) = self.buffer.get_mut(..payload.len()) {
            place.copy_from_slice(payload);
        }
        self.len = payload.len();
    }

    pub(super) fn send(&self, token: u32, to: SocketAddr, payload: &[u8]) {
        self.lines.send(token, to, payload);
    }
}
