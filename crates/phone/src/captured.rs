//! The calls in a capture file, as ladders.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use offhook_sip::{Frame, Framer, scan};

use crate::ladder::{Step, mask_secrets};
use crate::pcap::{Packet, ReadError, Reader};

/// The messages with one Call-ID.
#[derive(Debug)]
pub struct Captured {
    /// The Call-ID.
    pub call: String,
    /// Between whom, in the order in which they spoke.
    pub parties: Vec<SocketAddr>,
    /// The messages, without secrets; their columns are places among the parties.
    pub steps: Vec<Step>,
    /// Everything about it that may be searched: start lines, From, To, addresses.
    words: String,
}

/// What a file has.
#[derive(Debug, Default)]
pub struct Found {
    /// The calls and other exchanges of messages, in the order in which they began.
    pub calls: Vec<Captured>,
    /// Messages that were not taken because there were too many.
    pub left_out: usize,
}

impl Captured {
    /// Whether a text stands in its Call-ID, a start line, From, To or an address.
    pub fn matches(&self, filter: &str) -> bool {
        self.words.contains(&filter.to_ascii_lowercase())
    }
}

impl Captured {
    /// Its messages: the time since 1970, from whom, to whom, the octets.
    pub fn messages(&self) -> impl Iterator<Item = (Duration, SocketAddr, SocketAddr, &[u8])> {
        self.steps.iter().filter_map(|step| match step {
            Step::Message { at, from, to, bytes } => {
                Some((*at, *self.parties.get(*from)?, *self.parties.get(*to)?, &bytes[..]))
            }
            Step::Note { .. } => None,
        })
    }
}

/// Reads a capture file.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn read(file: impl Read) -> Result<Found, ReadError> {
    let mut reader = Reader::new(file)?;
    let (mut found, mut places, mut streams) = (Found::default(), BTreeMap::new(), BTreeMap::new());
    let mut messages = 0;
    while let Some(packet) = reader.packet()? {
        for message in whole(&packet, &mut streams) {
            messages += 1;
            if messages > MOST {
                found.left_out += 1;
            } else {
                found.take(&packet, message, &mut places);
            }
        }
    }
    Ok(found)
}

/// The messages that end in this packet. Segments are taken in the order in which they stand in the file.
fn whole(packet: &Packet, streams: &mut BTreeMap<(SocketAddr, SocketAddr), Framer>) -> Vec<Bytes> {
    if !packet.is_tcp {
        let is_sip = scan::is_response(&packet.payload) || scan::request_uri(&packet.payload).is_some();
        return if is_sip { vec![Bytes::from(packet.payload.clone())] } else { Vec::new() };
    }
    let ends = (packet.from, packet.to);
    if streams.len() >= MOST_STREAMS && !streams.contains_key(&ends) {
        return Vec::new();
    }
    let framer = streams.entry(ends).or_default();
    framer.push(&packet.payload);
    let mut messages = Vec::new();
    loop {
        match framer.next_frame() {
            Ok(Some(Frame::Message(message))) => messages.push(message),
            Ok(Some(_)) => {}
            Ok(None) => return messages,
            Err(_) => {
                // Something else than SIP, or the middle of it.
                streams.remove(&ends);
                return messages;
            }
        }
    }
}

impl Found {
    fn take(&mut self, packet: &Packet, message: Bytes, places: &mut BTreeMap<String, usize>) {
        let Some(call) = scan::call_id(&message) else { return };
        let call = String::from_utf8_lossy(call).into_owned();
        let place = *places.entry(call.clone()).or_insert_with(|| {
            let words = call.to_ascii_lowercase();
            self.calls.push(Captured { call, parties: Vec::new(), steps: Vec::new(), words });
            self.calls.len() - 1
        });
        self.calls[place].add(packet, &message);
    }
}

impl Captured {
    fn add(&mut self, packet: &Packet, message: &[u8]) {
        let [from, to] = [packet.from, packet.to].map(|party| {
            self.parties.iter().position(|one| *one == party).unwrap_or_else(|| {
                self.parties.push(party);
                self.words.push_str(&format!(" {party}"));
                self.parties.len() - 1
            })
        });
        if self.words.len() < MOST_WORDS {
            let start = message.split(|octet| *octet == b'\r').next().unwrap_or_default();
            let header = |name| scan::header(message, name).unwrap_or_default();
            for part in [start, header(offhook_sip::Name::From), header(offhook_sip::Name::To)] {
                self.words.push(' ');
                self.words.push_str(&String::from_utf8_lossy(part).to_ascii_lowercase());
            }
        }
        let mut masked = message.to_vec();
        mask_secrets(&mut masked);
        self.steps.push(Step::Message { at: packet.at, from, to, bytes: masked.into() });
    }
}

const MOST: usize = 200_000;
const MOST_STREAMS: usize = 10_000;
const MOST_WORDS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz;
    use crate::pcap::Capture;

    #[test]
    fn a_damaged_file_is_read_as_far_as_it_goes() {
        let mut whole = Vec::new();
        let mut capture = Capture::new(&mut whole).unwrap();
        let message = b"OPTIONS sip:1001@pbx SIP/2.0\r\nCall-ID: one\r\nContent-Length: 0\r\n\r\n";
        for ends in [["192.0.2.1:5060", "192.0.2.2:5060"], ["[2001:db8::1]:5060", "[2001:db8::2]:5060"]] {
            let [from, to] = ends.map(|end| end.parse().unwrap());
            capture.write(Duration::from_secs(1), from, to, message).unwrap();
        }
        let mut seed = 1_u64;
        let mut dice = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let mut read_whole = 0;
        for _ in 0..20_000 {
            let mut damaged = whole.clone();
            for _ in 0..dice(4) {
                let place = dice(damaged.len());
                damaged[place] = dice(256) as u8;
            }
            damaged.truncate(dice(4 * whole.len()) + 1);
            fuzz::pcap(&damaged);
            let Ok(found) = read(&damaged[..]) else { continue };
            let messages: usize = found.calls.iter().map(|call| call.messages().count()).sum();
            assert!(messages <= 2);
            read_whole += usize::from(messages == 2);
        }
        assert!(read_whole > 1000, "{read_whole}: what is not damaged is there");
    }

    #[test]
    fn the_messages_of_a_file_are_told_apart_by_their_call_ids() {
        let mut file = Vec::new();
        let mut capture = Capture::new(&mut file).unwrap();
        let message = |call: &str, user: &str| {
            format!(
                "OPTIONS sip:{user}@pbx SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:Carol@pbx>;tag=1\r\n\
                 To: <sip:{user}@pbx>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let (a, b) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
        for (call, user) in [("one", "1001"), ("two", "1002"), ("one", "1001")] {
            capture.write(Duration::from_secs(1), a, b, message(call, user).as_bytes()).unwrap();
        }
        capture.write(Duration::from_secs(1), a, b, &[0x80; 172]).unwrap();
        let found = read(&file[..]).unwrap();
        let shape: Vec<_> = found.calls.iter().map(|call| (call.call.as_str(), call.steps.len())).collect();
        assert_eq!(shape, [("one", 2), ("two", 1)]);
        assert_eq!(found.calls[0].parties, [a, b]);
        for (filter, count) in [("1002", 1), ("carol", 2), ("192.0.2.2", 2), ("OPTIONS", 2), ("nobody", 0)] {
            assert_eq!(found.calls.iter().filter(|call| call.matches(filter)).count(), count, "{filter}");
        }
    }
}
