//! The ring of messages of one signal thread.
//!
//! It is made of chunks that are filled one after the other; after the last the oldest is emptied and filled again. Its memory
//! is there from the beginning: a call does not cost more because it is the first. A message costs a copy of its octets and
//! no allocation, and nothing is read in it. Full chunks are shared with whoever asks, so that a search is not the signal
//! thread's work.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use offhook_sip_stack::ladder::Way;
use offhook_sip_stack::{Flow, Transport};

/// The messages that a shard received and sent lately.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// The oldest first.
    full: VecDeque<Arc<Chunk>>,
    /// None: nothing is kept.
    open: Option<Chunk>,
    /// Octets that were ever written: where the next entry begins.
    position: u64,
}

/// A part of the ring, with whole entries.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The position of its first octet.
    begins: u64,
    octets: Vec<u8>,
}

/// Parts of a ring from a position on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excerpt {
    chunks: Vec<Arc<Chunk>>,
    from: u64,
    /// Where the next excerpt should begin.
    pub(crate) next: u64,
}

/// An entry as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A message.
    Message { way: Way, flow: Flow, bytes: &'a [u8], cut: bool },
    /// The call with the first Call-ID has a leg with the second.
    Leg { call: &'a str, leg: &'a str },
    /// Something that happened to the call with this Call-ID, in words.
    Note { call: &'a str, text: &'a str },
}

impl Recorder {
    /// A ring of so many octets; 0: none.
    pub(crate) fn new(octets: usize) -> Self {
        let chunks = if octets == 0 { 0 } else { (octets / CHUNK).max(2) };
        let full = (1..chunks).map(|_| Arc::new(Chunk::new())).collect();
        Self { full, open: (chunks > 0).then(Chunk::new), position: 0 }
    }

    /// Keeps a message. `at` is the time since 1970.
    pub(crate) fn message(&mut self, at: Duration, way: Way, flow: &Flow, bytes: &[u8]) {
        if self.open.is_none() {
            return;
        }
        let kept = &bytes[..bytes.len().min(MOST_KEPT)];
        let kind = if way == Way::Received { RECEIVED } else { SENT };
        let mut head = Head::new(at, kind, kept.len());
        head.put(12, &[flow.transport as u8, u8::from(kept.len() < bytes.len())]);
        head.put(14, &flow.local.port().to_le_bytes());
        head.put(16, &flow.remote.port().to_le_bytes());
        head.put(18, &octets(flow.local.ip()));
        head.put(34, &octets(flow.remote.ip()));
        self.write(&head, &[kept]);
    }

    /// Keeps that a call has a leg with another Call-ID.
    pub(crate) fn leg(&mut self, at: Duration, call: &str, leg: &str) {
        self.pair(at, LEG, call, leg);
    }

    /// Keeps what happened to a call.
    pub(crate) fn note(&mut self, at: Duration, call: &str, text: &str) {
        self.pair(at, NOTE, call, text);
    }

    fn pair(&mut self, at: Duration, kind: u8, one: &str, other: &str) {
        if self.open.is_none() || one.len() + other.len() > MOST_KEPT {
            return;
        }
        let mut head = Head::new(at, kind, one.len() + other.len());
        head.put(14, &(one.len() as u16).to_le_bytes());
        self.write(&head, &[one.as_bytes(), other.as_bytes()]);
    }

    fn write(&mut self, head: &Head, parts: &[&[u8]]) {
        let length = HEAD + parts.iter().map(|part| part.len()).sum::<usize>();
        if self.open.as_ref().is_some_and(|open| open.octets.len() + length > CHUNK) {
            self.open_next();
        }
        let Some(open) = &mut self.open else { return };
        open.octets.extend_from_slice(&head.0);
        parts.iter().for_each(|part| open.octets.extend_from_slice(part));
        self.position += length as u64;
    }

    fn open_next(&mut self) {
        self.full.extend(self.open.take().map(Arc::new));
        // Somebody may be searching it.
        let oldest = self.full.pop_front().and_then(|oldest| Arc::try_unwrap(oldest).ok());
        let mut next = oldest.unwrap_or_else(Chunk::new);
        next.octets.clear();
        next.begins = self.position;
        self.open = Some(next);
    }

    /// What was written from this position on. It costs a copy of the last chunk.
    pub(crate) fn since(&self, from: u64) -> Excerpt {
        let wanted = |chunk: &Chunk| chunk.begins + chunk.octets.len() as u64 > from;
        let mut chunks: Vec<_> = self.full.iter().filter(|chunk| wanted(chunk)).cloned().collect();
        if let Some(open) = self.open.as_ref().filter(|open| wanted(open)) {
            let copy = Chunk { begins: open.begins, octets: open.octets.clone() };
            chunks.push(Arc::new(copy));
        }
        Excerpt { chunks, from, next: self.position }
    }
}

impl Chunk {
    /// An empty one, whose memory the system has given already.
    fn new() -> Self {
        let mut octets = vec![u8::MAX; CHUNK];
        octets.clear();
        Self { begins: 0, octets }
    }
}

impl Excerpt {
    /// Whether something was overwritten before it could be asked for.
    pub(crate) fn has_gap(&self) -> bool {
        self.next > self.from && self.chunks.first().is_none_or(|first| first.begins > self.from)
    }

    /// The entries, oldest first, with the time since 1970 of each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Duration, Entry<'_>)> {
        self.chunks.iter().flat_map(move |chunk| {
            let skipped = self.from.saturating_sub(chunk.begins);
            let mut rest = chunk.octets.get(skipped as usize..).unwrap_or_default();
            std::iter::from_fn(move || {
                let (entry, after) = read(rest)?;
                rest = after;
                Some(entry)
            })
        })
    }
}

/// What stands before the octets of an entry: their number, the time in microseconds, the kind; then, at fixed places,
/// what a kind needs.
struct Head([u8; HEAD]);

impl Head {
    fn new(at: Duration, kind: u8, length: usize) -> Self {
        let mut head = Self([0; HEAD]);
        // Time in 56 bits: good for two thousand years.
        head.put(0, &(length as u32).to_le_bytes());
        head.put(4, &(at.as_micros() as u64).to_le_bytes());
        head.put(11, &[kind]);
        head
    }

    fn put(&mut self, at: usize, octets: &[u8]) {
        self.0[at..at + octets.len()].copy_from_slice(octets);
    }
}

type Read<'a> = ((Duration, Entry<'a>), &'a [u8]);

fn read(octets: &[u8]) -> Option<Read<'_>> {
    let (head, rest) = octets.split_first_chunk::<HEAD>()?;
    let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let (bytes, after) = rest.split_at_checked(length)?;
    let time = [head[4], head[5], head[6], head[7], head[8], head[9], head[10], 0];
    let at = Duration::from_micros(u64::from_le_bytes(time));
    let entry = match head[11] {
        way @ (RECEIVED | SENT) => {
            let address = |ip: usize, port: usize| {
                let ip: [u8; 16] = head[ip..ip + 16].try_into().ok()?;
                Some(SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), number(port)))
            };
            let (local, remote) = (address(18, 14)?, address(34, 16)?);
            let transport = *Transport::ALL.get(usize::from(head[12]))?;
            let way = if way == RECEIVED { Way::Received } else { Way::Sent };
            let flow = Flow { transport, local, remote, connection: None };
            Entry::Message { way, flow, bytes, cut: head[13] != 0 }
        }
        kind => {
            let (call, other) = std::str::from_utf8(bytes).ok()?.split_at_checked(number(14).into())?;
            if kind == LEG { Entry::Leg { call, leg: other } } else { Entry::Note { call, text: other } }
        }
    };
    Some(((at, entry), after))
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

const HEAD: usize = 50;
/// Small enough to be had again soon, large enough that going over to the next costs nothing.
const CHUNK: usize = 64 << 10;
/// Of one message.
const MOST_KEPT: usize = 16 << 10;
const RECEIVED: u8 = 0;
const SENT: u8 = 1;
const LEG: u8 = 2;
const NOTE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(remote: &str) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: Transport::Tls, local, remote: remote.parse().unwrap(), connection: None }
    }

    fn texts(excerpt: &Excerpt) -> Vec<String> {
        let text = |(_, entry): (Duration, Entry<'_>)| match entry {
            Entry::Message { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Entry::Leg { call, leg } => format!("{call} has {leg}"),
            Entry::Note { call, text } => format!("{call}: {text}"),
        };
        excerpt.entries().map(text).collect()
    }

    #[test]
    fn what_was_written_is_read_with_its_time_way_and_addresses() {
        let mut recorder = Recorder::new(1 << 20);
        let at = Duration::from_micros(1_795_346_002_000_007);
        recorder.message(at, Way::Sent, &flow("[2001:db8::2]:5061"), b"hello");
        recorder.leg(at, "a", "b");
        recorder.note(at, "c", "d");
        let excerpt = recorder.since(0);
        let entries: Vec<_> = excerpt.entries().collect();
        let message =
            Entry::Message { way: Way::Sent, flow: flow("[2001:db8::2]:5061"), bytes: b"hello", cut: false };
        let (leg, note) = (Entry::Leg { call: "a", leg: "b" }, Entry::Note { call: "c", text: "d" });
        assert_eq!(entries, [(at, message), (at, leg), (at, note)]);
        recorder.note(at, "e", "f");
        assert_eq!(texts(&recorder.since(excerpt.next)), ["e: f"]);
        assert!(recorder.since(recorder.position).entries().next().is_none());
    }

    #[test]
    fn the_oldest_go_first_and_memory_stays_within_its_bound() {
        let mut recorder = Recorder::new(4 * CHUNK);
        let flow = flow("192.0.2.2:5060");
        for number in 0..5_000_u32 {
            let mut bytes = number.to_string().into_bytes();
            bytes.resize(1_000, b' ');
            recorder.message(Duration::from_secs(1), Way::Received, &flow, &bytes);
        }
        assert!(recorder.full.len() < 4);
        assert!(recorder.full.iter().all(|chunk| chunk.octets.capacity() == CHUNK));
        let excerpt = recorder.since(0);
        let kept = texts(&excerpt);
        assert_eq!(kept.last().unwrap().trim(), "4999");
        assert!(kept.len() > 180 && kept.len() < 260 && excerpt.has_gap(), "{}", kept.len());
        // While it is searched, the ring goes on.
        let (first, position) = (kept[0].clone(), recorder.position);
        for _ in 0..500 {
            recorder.message(Duration::from_secs(2), Way::Received, &flow, &[b'x'; 1_000]);
        }
        assert_eq!(texts(&excerpt)[0], first);
        assert!(recorder.since(position).has_gap() && !recorder.since(recorder.position).has_gap());
    }

    #[test]
    fn a_message_longer_than_any_is_cut_and_says_so() {
        let mut recorder = Recorder::new(1);
        recorder.message(Duration::ZERO, Way::Sent, &flow("192.0.2.2:1"), &[b'x'; 1 << 20]);
        let excerpt = recorder.since(0);
        let (_, entry) = excerpt.entries().next().unwrap();
        assert!(matches!(entry, Entry::Message { cut: true, bytes, .. } if bytes.len() == MOST_KEPT));
    }

    #[test]
    fn its_memory_is_there_from_the_beginning_and_stays() {
        let mut recorder = Recorder::new(4 * CHUNK);
        let memory = |recorder: &Recorder| {
            let chunks = recorder.full.iter().map(Arc::as_ref).chain(&recorder.open);
            let mut places: Vec<_> =
                chunks.map(|chunk| (chunk.octets.as_ptr(), chunk.octets.capacity())).collect();
            places.sort_unstable();
            places
        };
        let before = memory(&recorder);
        assert_eq!(before.iter().map(|(_, octets)| octets).sum::<usize>(), 4 * CHUNK);
        for _ in 0..1_000 {
            recorder.message(Duration::from_secs(10), Way::Sent, &flow("192.0.2.2:1"), &[b'x'; 1_000]);
        }
        assert_eq!(memory(&recorder), before);
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        let mut recorder = Recorder::new(0);
        recorder.message(Duration::ZERO, Way::Sent, &flow("192.0.2.2:1"), b"x");
        recorder.note(Duration::ZERO, "a", "b");
        assert!(recorder.open.is_none() && !recorder.since(0).has_gap());
    }
}
