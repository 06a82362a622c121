//! What a conference costs: so many phones speak in one room, in virtual time; printed is the time of the processor that
//! each of them takes.
//!
//! ```text
//! cargo run --release -p offhook-media --example conference -- [PHONES [SECONDS [CODEC]]]
//! ```

use offhook_media::codec::{Wishes, by_word};
use offhook_media::command::{Command, EventFormat, Numbers, Order, PortPair, Remote, Side, StreamId};
use offhook_media::relay::{Config, Input, Outbox, Relay};
use offhook_media::session::{Payload, Protection, Settings};
use offhook_media::tone::Tone;
use offhook_rtp::{Header, PacketBuilder};
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods)] // The clock of the machine is what is asked for.
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let phones: u16 = arguments.first().map_or(Ok(100), |text| text.parse())?;
    let seconds: u32 = arguments.get(1).map_or(Ok(10), |text| text.parse())?;
    let format = by_word(arguments.get(2).map_or("pcma", String::as_str)).ok_or("no such codec")?;
    let payload = Payload { payload_type: format.payload_type.unwrap_or(111), format };
    let begin = Instant::now();
    let (mut relay, mut out) = (Relay::new(Config::new(20_000..=40_000)), Outbox::default());
    for phone in 0..phones {
        for command in joining(phone, payload).ok_or("too many phones")? {
            relay.handle(begin, Input::Command(command), &mut out);
        }
    }
    let mut encoders: Vec<_> = (0..phones)
        .map(|n| ((format.make)(), Tone::sine(200.0 + 7.0 * f32::from(n), -20.0, format.sample_rate)))
        .collect();
    let (mut sound, mut spent, mut sent) = (vec![0; format.samples_in(20)], Duration::ZERO, 0);
    for frame in 0..seconds * 50 {
        let now = begin + Duration::from_millis(20) * frame;
        let mut packets = Vec::new();
        for (phone, (encoder, voice)) in (0..).zip(&mut encoders) {
            voice.fill(&mut sound);
            let (mut body, mut bytes) = (Vec::new(), Vec::new());
            encoder.encode(&sound, &mut body);
            let timestamp = frame * (format.clock_rate / 50);
            let header = Header {
                payload_type: payload.payload_type,
                sequence: frame as u16,
                timestamp,
                ssrc: 9000 + u32::from(phone),
                ..Header::default()
            };
            PacketBuilder::new(header, &body).append_to(&mut bytes)?;
            packets.push((phone, bytes.into()));
        }
        let started = Instant::now();
        for (phone, bytes) in packets {
            relay.handle(
                now,
                Input::Packet { port: 20_000 + 2 * phone, from: address(phone), bytes },
                &mut out,
            );
        }
        relay.handle(now, Input::Deadline, &mut out);
        spent += started.elapsed();
        sent += out.sends.len();
        out = Outbox::default();
    }
    let each = spent.as_secs_f64() / f64::from(phones) / f64::from(seconds);
    println!("{phones} phones, {seconds} s, {format:?}: {sent} packets sent");
    println!(
        "{:.2} ms of a core each second for each phone; one core carries {:.0}",
        each * 1000.0,
        1.0 / each
    );
    Ok(())
}

fn address(phone: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 1].into(), 1000 + 2 * phone)
}

/// A phone comes into the room.
fn joining(phone: u16, payload: Payload) -> Option<[Command; 3]> {
    let (stream, rtp) = (StreamId(phone.into()), address(phone));
    let remote = Remote { rtp: Some(rtp), signalled_from: Some(rtp.ip()), ..Remote::default() };
    let ports = PortPair::starting_at(20_000 + 2 * phone)?;
    let side = Side { ports, local_ip: None, remote, ice: None }.into();
    let numbers = Numbers { ssrc: phone.into(), sequence: 0, timestamp: 0 };
    let settings = Box::new(settings(payload));
    Some([
        Command::OpenEnd { stream, side },
        Command::Order { stream, order: Order::Agree { settings, numbers } },
        Command::Order { stream, order: Order::Join { room: 1, muted: false, most: u16::MAX } },
    ])
}

fn settings(payload: Payload) -> Settings {
    let events = EventFormat { payload_type: 101, clock_rate: payload.format.clock_rate };
    Settings {
        send: Some(payload),
        wishes: Wishes::default(),
        receive: vec![payload],
        event_send: Some(events),
        event_receive: Some(events),
        noise_receive: None,
        redundancy: None,
        remote_rtp: None,
        remote_rtcp: None,
        signalled_from: None,
        proven: false,
        rtcp_mux: false,
        protection: Protection::Plain,
        sends: true,
        receives: true,
        ptime_ms: 20,
    }
}
