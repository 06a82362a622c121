use super::*;
use crate::codec::{Wishes, by_name};
use crate::command::{Command, EventFormat, Numbers, PortPair, Remote, Side};
use crate::relay::{Config, Input};
use crate::session::{self, Identity, MediaSession, Payload, Settings};
use crate::test_signal::epoch;
use crate::tone::{Tone, analyse};
use crate::voice::file::Request;
use crate::voice::{Clip, Lost, Recording};
use offhook_rtp::NtpTime;
use proptest::prelude::*;
use std::net::SocketAddr;

const EVENT: EventFormat = EventFormat { payload_type: 101, clock_rate: 8000 };
const FRAME: Duration = Duration::from_millis(20);

fn settings(codec: &str, events: bool) -> Settings {
    let format = by_name(codec, if codec == "opus" { 48_000 } else { 8000 }).unwrap();
    let payload = Payload { payload_type: format.payload_type.unwrap_or(111), format };
    Settings {
        send: Some(payload),
        wishes: Wishes::default(),
        receive: vec![payload],
        event_send: Some(EVENT).filter(|_| events),
        event_receive: Some(EVENT).filter(|_| events),
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
    }
}

/// A phone of the world, at a port of its own, on the stream of that number.
struct Phone {
    port: u16,
    session: MediaSession,
    voice: Tone,
    heard: Vec<i16>,
}

/// Phones, each of which talks with an end of ours.
struct World {
    relay: Relay,
    now: Instant,
    out: Outbox,
    phones: Vec<Phone>,
    heard: Vec<(StreamId, Heard)>,
    files: Vec<Request>,
}

impl World {
    fn new() -> World {
        let relay = Relay::new(Config::new(20_000..=20_099));
        let (out, phones, heard, files) = Default::default();
        World { relay, now: epoch(), out, phones, heard, files }
    }

    /// One that sings at `hz` without end.
    fn phone(&mut self, codec: &str, events: bool, hz: f32) -> StreamId {
        let number = self.phones.len() as u16;
        let (stream, port) = (StreamId(u64::from(number)), 20_000 + 2 * number);
        let rtp = SocketAddr::new([192, 0, 2, 9].into(), 4000 + 2 * number);
        let remote =
            Remote { rtp: Some(rtp), signalled_from: Some(rtp.ip()), rtcp_mux: true, ..Remote::default() };
        let side = Side { ports: PortPair::starting_at(port).unwrap(), local_ip: None, remote, ice: None };
        self.command(Command::OpenEnd { stream, side: side.into() });
        let agreed = settings(codec, events);
        let theirs =
            Settings { remote_rtp: Some(SocketAddr::new([192, 0, 2, 1].into(), port)), ..agreed.clone() };
        let identity = Identity {
            ssrc: 7 + u32::from(number),
            sequence: 1,
            timestamp: 1,
            cname: "p".into(),
            certificate: None,
            ntp: NtpTime::from_unix(Duration::ZERO),
        };
        let session = MediaSession::new(self.now, theirs, identity);
        self.phones.push(Phone { port, session, voice: Tone::sine(hz, -15.0, 8000), heard: Vec::new() });
        let numbers = Numbers { ssrc: 100 + u32::from(number), sequence: 65_530, timestamp: 5 };
        self.order(stream, Order::Agree { settings: agreed.into(), numbers });
        stream
    }

    fn command(&mut self, command: Command) {
        self.relay.handle(self.now, Input::Command(command), &mut self.out);
        self.deliver();
    }

    fn order(&mut self, stream: StreamId, order: Order) {
        self.command(Command::Order { stream, order });
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            for n in 0..self.phones.len() {
                let phone = &mut self.phones[n];
                let (mut said, mut heard) = ([0; 160], [0; 160]);
                phone.voice.fill(&mut said);
                let mut out = session::Outbox::default();
                phone.session.microphone(self.now, &said, &mut out);
                phone.session.loudspeaker(self.now, &mut heard);
                phone.heard.extend_from_slice(&heard);
                let (port, from) =
                    (phone.port, SocketAddr::new([192, 0, 2, 9].into(), 4000 + phone.port - 20_000));
                for packet in out.packets {
                    let input = Input::Packet { port, from, bytes: packet.bytes.into() };
                    self.relay.handle(self.now, input, &mut self.out);
                }
            }
            if self.relay.next_deadline().is_some_and(|due| due <= self.now) {
                self.relay.handle(self.now, Input::Deadline, &mut self.out);
            }
            self.deliver();
            self.now += FRAME;
        }
    }

    fn deliver(&mut self) {
        for sent in self.out.sends.drain(..) {
            let phone = self.phones.iter_mut().find(|phone| phone.port == sent.from_port).unwrap();
            let from = SocketAddr::new([192, 0, 2, 1].into(), sent.from_port);
            phone.session.receive_rtp(self.now, from, &sent.bytes, &mut session::Outbox::default());
        }
        self.heard.extend(self.out.reports.drain(..).filter_map(|report| match report {
            Report::Heard { stream, heard } => Some((stream, heard)),
            _ => None,
        }));
        self.files.append(&mut self.out.files);
    }

    /// How strong a frequency is in the last second that a phone heard, beside all of it.
    fn share(&self, stream: StreamId, hz: f32) -> f32 {
        let heard = &self.phones[stream.0 as usize].heard;
        let last = &heard[heard.len() - 8000..];
        crate::spectrum::goertzel(last, hz, 8000.0)
    }
}

#[test]
fn each_of_three_phones_in_a_room_hears_the_other_two_and_not_itself() {
    let mut world = World::new();
    let tones = [400.0, 700.0, 1100.0];
    let codecs = ["PCMA", "opus", "PCMU"];
    let phones: Vec<_> = tones.iter().zip(codecs).map(|(hz, codec)| world.phone(codec, true, *hz)).collect();
    for phone in &phones {
        world.order(*phone, Order::Join { room: 3000, muted: false, most: 9 });
    }
    world.pass(Duration::from_secs(3));
    for (n, phone) in phones.iter().enumerate() {
        let shares = tones.map(|hz| world.share(*phone, hz));
        for (other, share) in shares.into_iter().enumerate() {
            let expected = if other == n { share < 0.01 } else { (0.3..0.7).contains(&share) };
            assert!(expected, "phone {n} hears {shares:?}");
        }
    }
    // One is muted, and one leaves.
    world.order(phones[0], Order::Join { room: 3000, muted: true, most: 9 });
    world.order(phones[1], Order::Leave);
    world.pass(Duration::from_secs(3));
    let share = |world: &World, n: usize, hz| world.share(phones[n], hz);
    assert!(share(&world, 0, tones[2]) > 0.9, "the muted one still hears");
    assert!(tones.iter().all(|hz| share(&world, 1, *hz) < 0.01 && share(&world, 2, *hz) < 0.01));
}

#[test]
fn what_is_played_is_heard_and_its_end_is_told() {
    let mut world = World::new();
    let phone = world.phone("PCMA", true, 300.0);
    let clips = vec![Clip::Tone { hz: 1000, ms: 1500 }, Clip::Prompt("en/voicemail-goodbye".into())];
    world.order(phone, Order::Play { order: 4, clips });
    world.pass(Duration::from_millis(1400));
    assert!(world.share(phone, 1000.0) > 0.9);
    assert!(world.heard.is_empty());
    world.pass(Duration::from_millis(700));
    let heard = &world.phones[0].heard;
    assert!(analyse(&heard[heard.len() - 2000..], 8000).level_dbov > -40.0, "a prompt is spoken");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.heard, [(phone, Heard::Played { order: 4 })]);
}

#[test]
fn keys_are_heard_as_events_and_as_tones() {
    let mut world = World::new();
    let (events, tones) = (world.phone("PCMA", true, 0.0), world.phone("PCMU", false, 0.0));
    world.pass(Duration::from_millis(500));
    for phone in &mut world.phones {
        for digit in "1#5".chars() {
            phone.session.dial(digit, Duration::from_millis(100));
        }
    }
    world.pass(Duration::from_secs(2));
    for phone in [events, tones] {
        let keys = world.heard.iter().filter(|(stream, _)| *stream == phone).map(|(_, heard)| heard);
        let expected = ['1', '#', '5'].map(Heard::Digit);
        assert_eq!(keys.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_recording_holds_what_was_said_and_outlives_the_call() {
    let mut world = World::new();
    let phone = world.phone("PCMA", true, 440.0);
    let recording = Recording { file: "a/1.wav".into(), most_ms: 60_000, silence_ms: 0, least_ms: 500 };
    world.order(phone, Order::Record { order: 9, recording });
    world.pass(Duration::from_secs(4));
    world.command(Command::Close { stream: phone });
    let (first, last) = (world.files.first().cloned(), world.files.last().cloned());
    assert_eq!(
        first,
        Some(Request::Begin { stream: phone, order: 9, file: "a/1.wav".into(), rate: 8000, channels: 1 })
    );
    assert_eq!(last, Some(Request::End { stream: phone, order: 9, keep: true }));
    let mut recorded = Vec::new();
    for request in &world.files {
        if let Request::Sound { samples, .. } = request {
            recorded.extend_from_slice(samples);
        }
    }
    assert!(recorded.len().abs_diff(4 * 8000) < 400, "{}", recorded.len());
    assert!((analyse(&recorded[8000..], 8000).dominant_hz - 440.0).abs() < 3.0);
    // The driver's word reaches call control even now.
    let answer = Answer::Recorded { stream: phone, order: 9, outcome: Err(Lost::Unwritten) };
    world.relay.handle(world.now, Input::File(answer), &mut world.out);
    world.deliver();
    let heard = Heard::Recorded { order: 9, outcome: Err(Lost::Unwritten) };
    assert_eq!(world.heard, [(phone, heard)]);
    assert!(world.relay.is_empty() && world.relay.next_deadline().is_none());
}

#[test]
fn a_stall_is_not_made_up_for_without_end() {
    let mut world = World::new();
    world.phone("PCMA", true, 440.0);
    world.pass(Duration::from_secs(1));
    world.now += Duration::from_secs(3600);
    world.relay.handle(world.now, Input::Deadline, &mut world.out);
    assert!(world.out.sends.len() <= 2 * MOST_STEPS as usize, "{}", world.out.sends.len());
    assert!(world.relay.next_deadline().is_some_and(|due| due >= world.now));
}

#[test]
fn who_is_in_a_room_knows_how_many_others_are_and_may_close_it() {
    let mut world = World::new();
    let phones: Vec<_> = (0..4).map(|_| world.phone("PCMA", true, 440.0)).collect();
    let join = |world: &mut World, phone: usize| {
        world.heard.clear();
        world.order(phones[phone], Order::Join { room: 7, muted: false, most: 2 });
        let heard = world.heard.drain(..);
        heard.map(|(stream, heard)| (stream.0 as usize, heard)).collect::<Vec<_>>()
    };
    let room = |others| Heard::Room { others };
    assert_eq!(join(&mut world, 0), [(0, room(0))]);
    world.order(phones[0], Order::Lock(true));
    assert_eq!(join(&mut world, 1), [(1, Heard::Closed(Closed::Locked))]);
    world.order(phones[0], Order::Lock(false));
    assert_eq!(join(&mut world, 1), [(0, room(1)), (1, room(1))]);
    assert_eq!(join(&mut world, 1), [], "it sits there already");
    assert_eq!(join(&mut world, 2), [(2, Heard::Closed(Closed::Full))]);
    world.order(phones[1], Order::Lock(true));
    world.command(Command::Close { stream: phones[1] });
    assert_eq!(world.heard.last(), Some(&(phones[0], room(0))));
    world.order(phones[0], Order::Leave);
    // Nobody is there to hold the lock.
    assert_eq!(join(&mut world, 2), [(2, room(0))]);
    world.order(phones[3], Order::Lock(true));
    assert_eq!(join(&mut world, 3), [(2, room(1)), (3, room(1))], "who is not in it cannot lock it");
}

fn any_order() -> impl Strategy<Value = Order> {
    let clip = prop_oneof![
        Just(Clip::Prompt("en/1".into())),
        Just(Clip::Prompt("none".into())),
        any::<bool>().prop_map(|known| Clip::File(if known { "known" } else { "unknown" }.into())),
        (any::<u16>(), 0..200u32).prop_map(|(hz, ms)| Clip::Tone { hz, ms }),
        (0..200u32).prop_map(Clip::Silence),
    ];
    let recording =
        (0..300u32, 0..300u32, 0..300u32).prop_map(|(most_ms, silence_ms, least_ms)| Order::Record {
            order: most_ms,
            recording: Recording { file: "r".into(), most_ms, silence_ms, least_ms },
        });
    prop_oneof![
        prop::collection::vec(clip, 0..4).prop_map(|clips| Order::Play { order: clips.len() as u32, clips }),
        recording,
        Just(Order::Stop),
        (0..2u64, any::<bool>(), 0..3u16).prop_map(|(room, muted, most)| Order::Join { room, muted, most }),
        any::<bool>().prop_map(Order::Lock),
        Just(Order::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is ordered in whatever sequence, every recording that begins ends once, every file that is asked for is
    /// waited for, and nothing is left.
    #[test]
    fn orders_in_any_sequence_come_to_an_end(steps in prop::collection::vec((0..3usize, any_order(), 0..8u64), 0..40)) {
        let mut world = World::new();
        let phones: Vec<_> = (0..3).map(|n| world.phone("PCMA", n != 1, 440.0)).collect();
        let (mut asked, mut begun, mut ended) = (0, 0, 0);
        for (phone, order, frames) in steps {
            world.order(phones[phone], order);
            world.pass(FRAME * frames as u32);
            for request in std::mem::take(&mut world.files) {
                let answer = match request {
                    Request::Load { stream, file } => {
                        asked += 1;
                        let sound = (*file == *"known").then(|| vec![7; 3000].into());
                        Some(Answer::Loaded { stream, file, sound })
                    }
                    Request::Begin { .. } => {
                        begun += 1;
                        None
                    }
                    Request::Sound { .. } => None,
                    Request::End { stream, order, .. } => {
                        ended += 1;
                        Some(Answer::Recorded { stream, order, outcome: Ok(1) })
                    }
                };
                if let Some(answer) = answer {
                    world.relay.handle(world.now, Input::File(answer), &mut world.out);
                }
            }
            world.deliver();
        }
        for phone in phones {
            world.command(Command::Close { stream: phone });
        }
        ended += world.files.iter().filter(|request| matches!(request, Request::End { .. })).count();
        begun += world.files.iter().filter(|request| matches!(request, Request::Begin { .. })).count();
        prop_assert_eq!(begun, ended);
        prop_assert!(asked <= 40 * 4);
        prop_assert!(world.relay.is_empty() && world.relay.next_deadline().is_none());
        prop_assert!(world.relay.voices.rooms.is_empty() && world.relay.voices.seats.is_empty());
    }
}
