//! The path of a media packet.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_media::command::{Command, Content, PortPair, Remote, Side, StreamId};
use offhook_media::relay::{Config, Input, Outbox, Relay};

use crate::Counted;

/// One packet of each of a hundred streams, over and over, as in a call of many: no stream is in a cache by luck.
pub(crate) fn packet(counted: &mut Counted) {
    #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
    let mut now = Instant::now();
    let (mut relay, mut out) = (Relay::new(Config::new(20_000..=20_999)), Outbox::default());
    for stream in 0..STREAMS {
        let sides = [0, 1].map(|side| Side {
            ports: PortPair::starting_at(port(stream, side)).unwrap(),
            local_ip: None,
            remote: Remote { rtp: Some(phone(stream, side)), ..Remote::default() },
            ice: None,
        });
        let open =
            Command::Open { stream: StreamId(stream.into()), sides: sides.into(), content: Content::Rtp };
        relay.handle(now, Input::Command(open), &mut out);
    }
    let mut packet = [0xff; 172];
    packet[0] = 0x80;
    packet[1] = 0;
    counted.repeat(20 * u32::from(STREAMS), 10 * u32::from(STREAMS), |counted, number| {
        let (stream, round) = ((number % u32::from(STREAMS)) as u16, number / u32::from(STREAMS));
        now += Duration::from_micros(200);
        packet[2..4].copy_from_slice(&(round as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(round * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&u32::from(stream).to_be_bytes());
        let (port, from) = (port(stream, 0), phone(stream, 0));
        let forward = counted.work(|| relay.forward(now, port, from, &packet, &mut out));
        assert_eq!(forward.map(|forward| forward.to), Some(phone(stream, 1)));
        out.reports.clear();
    });
}

fn port(stream: u16, side: u16) -> u16 {
    20_000 + 4 * stream + 2 * side
}

fn phone(stream: u16, side: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 10 + side as u8].into(), 4_000 + 2 * stream)
}

const STREAMS: u16 = 100;
