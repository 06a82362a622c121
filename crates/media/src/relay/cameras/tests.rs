use super::*;
use crate::camera::Coding;
use crate::codec::{Wishes, by_name};
use crate::command::{Command, Order, PortPair, Remote, Report, Side};
use crate::relay::{Config, Input};
use crate::session::{Payload, Settings};
use crate::test_signal::epoch;
use crate::voice::{Clip, Heard};
use bytes::Bytes;
use offhook_rtp::packet::Packet;
use std::net::SocketAddr;
use std::time::Duration;

const CAMERA: CameraId = CameraId(2);
const NUMBERS: Numbers = Numbers { ssrc: 5, sequence: 65_535, timestamp: 1000 };

struct World {
    relay: Relay,
    now: Instant,
    out: Outbox,
}

impl World {
    fn new() -> Self {
        Self { relay: Relay::new(Config::new(20_000..=20_099)), now: epoch(), out: Outbox::default() }
    }

    fn handle(&mut self, input: Input) {
        self.relay.handle(self.now, input, &mut self.out);
    }

    fn phone(&mut self, number: u16) -> StreamId {
        let rtp = SocketAddr::new([192, 0, 2, 9].into(), 4000 + 2 * number);
        let remote = Remote { rtp: Some(rtp), signalled_from: Some(rtp.ip()), ..Remote::default() };
        let ports = PortPair::starting_at(20_000 + 2 * number).unwrap();
        let side = Side { ports, local_ip: None, remote, ice: None }.into();
        let stream = StreamId(number.into());
        self.handle(Input::Command(Command::OpenEnd { stream, side }));
        stream
    }

    fn order(&mut self, stream: StreamId, order: Order) {
        self.handle(Input::Command(Command::Order { stream, order }));
    }

    fn watch(&mut self, stream: StreamId, payload_type: Option<u8>) {
        self.order(stream, Order::Watch { camera: CAMERA, payload_type, numbers: NUMBERS });
    }

    fn picture(&mut self, unit: &[u8], timestamp: u32, is_key: bool) {
        let units = Bytes::from([&(unit.len() as u32).to_be_bytes()[..], unit].concat());
        let feed = Feed::Picture { camera: CAMERA, coding: Coding::H264, units, timestamp, is_key };
        self.handle(Input::Feed(feed));
    }

    /// To which port what was sent: payload type, sequence number, timestamp, payload.
    fn sent(&mut self) -> Vec<(u16, u8, u16, u32, Vec<u8>)> {
        let packet = |send: crate::relay::Send| {
            let packet = Packet::parse(&send.bytes).unwrap();
            let (kind, at) = (packet.payload_type(), packet.timestamp());
            (send.to.port(), kind, packet.sequence(), at, packet.payload().to_vec())
        };
        self.out.sends.drain(..).map(packet).collect()
    }

    fn asked(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.out.cameras)
    }
}

fn agreed() -> Order {
    let payload = Payload { payload_type: 8, format: by_name("PCMA", 8000).unwrap() };
    let settings = Settings {
        send: Some(payload),
        wishes: Wishes::default(),
        receive: vec![payload],
        event_send: None,
        event_receive: None,
        noise_receive: None,
        redundancy: None,
        remote_rtp: None,
        remote_rtcp: None,
        signalled_from: None,
        proven: false,
        rtcp_mux: true,
        protection: crate::protection::Protection::Plain,
        sends: true,
        receives: true,
        ptime_ms: 20,
    };
    Order::Agree { settings: settings.into(), numbers: NUMBERS }
}

#[test]
fn a_camera_is_open_while_somebody_watches_and_who_comes_late_begins_with_the_last_key_picture() {
    let mut world = World::new();
    let (first, second) = (world.phone(0), world.phone(1));
    world.watch(first, Some(96));
    assert_eq!(world.asked(), [Ask::Open(CAMERA)]);
    world.picture(&[0x41, 1], 0, false);
    assert!(world.sent().is_empty(), "nothing can be made of that");
    world.picture(&[0x65, 2], 3000, true);
    world.picture(&[0x41, 3], 6000, false);
    assert_eq!(world.sent(), [(4000, 96, 65_535, 4000, vec![0x65, 2]), (4000, 96, 0, 7000, vec![0x41, 3])]);
    world.watch(second, Some(99));
    assert_eq!(world.sent(), [(4002, 99, 65_535, 4000, vec![0x65, 2])]);
    world.picture(&[0x41, 4], 9000, false);
    assert_eq!(world.sent().len(), 1, "the second cannot make anything of that");
    world.picture(&[0x65, 5], 12_000, true);
    assert_eq!(world.sent().len(), 2);
    world.handle(Input::Command(Command::Close { stream: first }));
    assert!(world.asked().is_empty());
    world.handle(Input::Command(Command::Close { stream: second }));
    assert_eq!(world.asked(), [Ask::Close(CAMERA)]);
    world.picture(&[0x65, 6], 15_000, true);
    assert!(world.sent().is_empty());
}

#[test]
fn who_wants_no_pictures_gets_none_and_a_picture_that_is_too_large_is_left_out() {
    let mut world = World::new();
    let phone = world.phone(0);
    world.watch(phone, Some(96));
    world.picture(&vec![0x65; LARGEST_PICTURE], 0, true);
    assert!(world.sent().is_empty());
    world.picture(&[0x65; 3000], 3000, true);
    let sent = world.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(.., payload)| payload.len() <= MOST_PAYLOAD));
    world.watch(phone, None);
    world.picture(&[0x65, 1], 6000, true);
    assert!(world.sent().is_empty());
}

#[test]
fn its_sound_is_said_and_ends_when_it_goes_away() {
    let mut world = World::new();
    let phone = world.phone(0);
    world.order(phone, agreed());
    world.order(phone, Order::Play { order: 1, clips: vec![Clip::Live(CAMERA)] });
    assert_eq!(world.asked(), [Ask::Open(CAMERA)]);
    let mut loud = 0;
    for _ in 0..50 {
        world.handle(Input::Feed(Feed::Sound {
            camera: CAMERA,
            is_a_law: false,
            bytes: Bytes::from_static(&[0x80; 160]),
        }));
        world.now += Duration::from_millis(20);
        world.handle(Input::Deadline);
        loud += world.sent().iter().filter(|(.., sound)| sound.iter().all(|one| *one != 0xd5)).count();
    }
    assert!(loud > 30, "{loud} packets had its sound");
    let played = |world: &mut World| {
        world.now += Duration::from_millis(20);
        world.handle(Input::Deadline);
        let reports = std::mem::take(&mut world.out.reports);
        reports.iter().any(|one| matches!(one, Report::Heard { heard: Heard::Played { .. }, .. }))
    };
    assert!(!played(&mut world));
    world.handle(Input::Feed(Feed::State { camera: CAMERA, is_up: false }));
    assert!(played(&mut world));
    world.order(phone, Order::Play { order: 2, clips: vec![Clip::Live(CAMERA)] });
    assert!(played(&mut world), "it is still away");
    world.handle(Input::Feed(Feed::State { camera: CAMERA, is_up: true }));
    world.order(phone, Order::Play { order: 3, clips: vec![Clip::Live(CAMERA)] });
    assert!(!played(&mut world));
}
