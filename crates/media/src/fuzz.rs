//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use crate::camera::{Coding, packetize};
use crate::command::{
    Command, Content, IceCredentials, MasterKey, PortPair, Protection, Remote, Side, StreamId, Suite,
};
use crate::relay::{Config, Input, Outbox, Relay};
use crate::stun::attribute::USERNAME;
use crate::stun::{Answer, Binding, Integrity, Key, Writer};
use offhook_rtp::redundancy;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Reads a request, and answers it.
pub fn stun(bytes: &[u8]) {
    let Some(binding) = Binding::parse(bytes) else { return };
    let key = Key::short_term("a password that nobody guesses");
    assert!(!binding.is_from(&key));
    let answer = Answer::Error(420, binding.unknown).write(binding.transaction, Some(&key));
    // An answer is no request.
    assert!(Binding::parse(&answer).is_none());
}

/// Takes the payload of redundant sound apart: what it has is no more than there was, and put together again is the same.
pub fn redundant(bytes: &[u8]) {
    let Some(blocks) = redundancy::read(bytes) else { return };
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < bytes.len());
    if let [before @ .., own] = &blocks[..]
        && before.len() < 2
    {
        let mut again = Vec::new();
        redundancy::write(before.first().copied(), (own.payload_type, own.payload), &mut again);
        assert_eq!(again, bytes);
    }
}

/// Packs what a camera sends: whatever it is, no packet is longer than it may be, and what is packed is not more than there was.
pub fn picture(bytes: &[u8]) {
    for (coding, most) in [(Coding::H264, 3), (Coding::H264, 40), (Coding::H265, 4), (Coding::H265, 40)] {
        let mut packets = Vec::new();
        packetize(coding, bytes, most, &mut packets);
        assert!(packets.iter().all(|packet| !packet.is_empty() && packet.len() <= most));
        assert!(packets.len() <= bytes.len());
    }
}

/// Plays a sequence of datagrams against a stream with a protected side and one that is proven by ICE. Each is three
/// bytes (what, from where, how long) and its own.
pub fn secured(mut now: Instant, bytes: &[u8]) {
    let (mut relay, mut out) = (Relay::new(Config::new(20_000..=20_003)), Outbox::default());
    let sides = [protected(), proven()].into();
    let open = Command::Open { stream: StreamId(1), sides, content: Content::Rtp };
    relay.handle(now, Input::Command(open), &mut out);
    let mut rest = bytes;
    while let [what, from, length, more @ ..] = rest {
        let (datagram, after) = more.split_at(usize::from(*length).min(more.len()));
        rest = after;
        let from = SocketAddr::new([192, 0, 2, from & 3].into(), u16::from(from >> 2));
        let port = 20_000 + u16::from(what & 3);
        let datagram = if what & 4 == 0 { datagram.to_vec() } else { signed(datagram) };
        now += Duration::from_millis(u64::from(what >> 3) * 100);
        let forward = relay.forward(now, port, from, &datagram, &mut out);
        if let Some(forward) = forward {
            // Without the key nobody is heard; who is, is heard with a tag.
            assert!(port >= 20_002 && forward.from_port < 20_002);
            assert!(forward.changed.is_some_and(|changed| changed.len() > datagram.len()));
        }
        assert!(out.sends.drain(..).all(|send| send.from_port == port && send.to == from));
        relay.handle(now, Input::Deadline, &mut out);
        out.reports.clear();
    }
}

fn side(port: u16, remote: Remote, ice: Option<IceCredentials>) -> Side {
    let rtp = Some(SocketAddr::new([192, 0, 2, 1].into(), 5));
    let remote = Remote { rtp, signalled_from: rtp.map(|rtp| rtp.ip()), ..remote };
    Side { ports: PortPair { rtp: port, rtcp: port + 1 }, local_ip: None, remote, ice }
}

fn protected() -> Side {
    let suite = Suite::AesCm128HmacSha1_80;
    let protection = MasterKey::new(suite, &[7; 30]).map_or(Protection::Plain, |key| Protection::Sdes {
        suite,
        ours: key.clone(),
        theirs: key,
    });
    side(20_000, Remote { protection, ..Remote::default() }, None)
}

fn proven() -> Side {
    let theirs = IceCredentials { ufrag: "them".into(), pwd: PASSWORD.into() };
    let remote = Remote { ice: Some(theirs), ..Remote::default() };
    side(20_002, remote, Some(IceCredentials { ufrag: "us".into(), pwd: PASSWORD.into() }))
}

/// A check with these attributes besides, which is authentic.
fn signed(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend_from_slice(&[9; 12]);
    bytes = Writer::onto(bytes).attribute(USERNAME, b"us:them").finish();
    for four in attributes.chunks_exact(4) {
        bytes.extend_from_slice(four);
    }
    Writer::onto(bytes).signed(Integrity::Sha1, &Key::short_term(PASSWORD)).marked().finish()
}

const PASSWORD: &str = "a password of more than 22 characters";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signal::epoch;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            stun(&bytes);
            picture(&bytes);
            redundant(&bytes);
            secured(epoch(), &bytes);
        }
    }
}
