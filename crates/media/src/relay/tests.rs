use super::*;
use crate::command::{Content, EchoFormat, EventFormat, Numbers, PortPair, Press, Remote, Side};
use crate::test_signal::epoch;
use offhook_rtp::{Header, Packet, PacketBuilder};
use proptest::prelude::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn rtp(ssrc: u32, sequence: u16) -> Bytes {
    let header = Header { ssrc, sequence, timestamp: u32::from(sequence) * 160, ..Header::default() };
    let mut bytes = Vec::new();
    PacketBuilder::new(header, &[0xff; 160]).append_to(&mut bytes).unwrap();
    bytes.into()
}

fn rtcp(ssrc: u32) -> Bytes {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.into()
}

fn side(port: u16, remote: &str) -> Side {
    let rtp = address(remote);
    let remote = Remote { rtp: Some(rtp), signalled_from: Some(rtp.ip()), ..Remote::default() };
    Side { ports: PortPair::starting_at(port).unwrap(), local_ip: None, remote, ice: None }
}

const STREAM: StreamId = StreamId(1);

/// A relay with one stream: A at 192.0.2.1:4000 on 20000, B at 198.51.100.2:5000 on 20002.
struct Bench {
    relay: Relay,
    now: Instant,
    out: Outbox,
}

impl Bench {
    fn new() -> Bench {
        Bench::with([side(20000, "192.0.2.1:4000"), side(20002, "198.51.100.2:5000")], Content::Rtp)
    }

    fn with(sides: [Side; 2], content: Content) -> Bench {
        let relay = Relay::new(Config::new(20000..=20099));
        let mut bench = Bench { relay, now: epoch(), out: Outbox::default() };
        bench.command(Command::Open { stream: STREAM, sides: sides.into(), content });
        bench
    }

    fn command(&mut self, command: Command) {
        self.relay.handle(self.now, Input::Command(command), &mut self.out);
    }

    fn update(&mut self, name: SideName, change: impl FnOnce(&mut Remote)) {
        let saved = self.relay.save(STREAM).unwrap();
        let mut remote = saved.sides[name.index()].remote.clone();
        change(&mut remote);
        self.command(Command::Update { stream: STREAM, side: name, remote: remote.into(), ice: None });
    }

    /// Feeds a packet and says where it went: (our port, receiver).
    fn packet(&mut self, port: u16, from: &str, bytes: Bytes) -> Option<(u16, String)> {
        self.out.sends.clear();
        let input = Input::Packet { port, from: address(from), bytes: bytes.clone() };
        self.relay.handle(self.now, input, &mut self.out);
        self.now += Duration::from_millis(20);
        let sent = self.out.sends.pop()?;
        assert_eq!(sent.bytes, bytes);
        Some((sent.from_port, sent.to.to_string()))
    }

    fn seconds(&mut self, n: u64) -> Vec<Report> {
        self.out.reports.clear();
        for _ in 0..n {
            self.now += Duration::from_secs(1);
            self.relay.handle(self.now, Input::Deadline, &mut self.out);
        }
        std::mem::take(&mut self.out.reports)
    }

    fn counters(&self, name: SideName) -> Counters {
        self.relay.counters(STREAM).unwrap()[name.index()]
    }
}

fn to(port: u16, address: &str) -> Option<(u16, String)> {
    Some((port, address.to_owned()))
}

#[test]
fn media_and_control_go_from_each_side_to_the_other_from_the_port_it_was_shown() {
    let mut bench = Bench::new();
    assert_eq!(bench.packet(20000, "192.0.2.1:4000", rtp(1, 1)), to(20002, "198.51.100.2:5000"));
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), to(20000, "192.0.2.1:4000"));
    assert_eq!(bench.packet(20001, "192.0.2.1:4001", rtcp(1)), to(20003, "198.51.100.2:5001"));
    assert_eq!(bench.packet(20003, "198.51.100.2:5001", rtcp(2)), to(20001, "192.0.2.1:4001"));
    let a = bench.counters(SideName::A);
    assert_eq!((a.received, a.bytes, a.rtcp, a.forwarded), (1, 172, 1, 2));
}

#[test]
fn a_phone_behind_a_nat_is_learnt_and_then_answered_where_it_is() {
    let mut sides = [side(20000, "10.0.0.5:4000"), side(20002, "198.51.100.2:5000")];
    sides[0].remote.signalled_from = Some("192.0.2.1".parse().unwrap());
    sides[0].remote.behind_nat = true;
    let mut bench = Bench::with(sides, Content::Rtp);
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), None);
    assert_eq!(bench.counters(SideName::B).undeliverable, 1);
    for n in 0..2 {
        assert_eq!(bench.packet(20000, "192.0.2.1:61000", rtp(1, n)), None);
    }
    assert_eq!(bench.packet(20000, "192.0.2.1:61000", rtp(1, 2)), to(20002, "198.51.100.2:5000"));
    let address = address("192.0.2.1:61000");
    assert!(bench.out.reports.contains(&Report::Latched { stream: STREAM, side: SideName::A, address }));
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 2)), to(20000, "192.0.2.1:61000"));
    // Control from the translated port is believed at once: its SSRC is that of the media.
    assert_eq!(bench.packet(20001, "192.0.2.1:61777", rtcp(1)), to(20003, "198.51.100.2:5001"));
    assert_eq!(bench.packet(20003, "198.51.100.2:5001", rtcp(2)), to(20001, "192.0.2.1:61777"));
}

#[test]
fn a_stranger_is_neither_forwarded_nor_answered_even_with_the_right_ssrc() {
    let mut bench = Bench::new();
    bench.packet(20000, "192.0.2.1:4000", rtp(1, 1));
    for n in 2..50 {
        assert_eq!(bench.packet(20000, "203.0.113.66:4000", rtp(1, n)), None);
        assert_eq!(bench.packet(20000, "192.0.2.1:4002", rtp(1, n)), None);
    }
    assert_eq!(bench.counters(SideName::A).foreign, 96);
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), to(20000, "192.0.2.1:4000"));
}

#[test]
fn one_side_may_multiplex_control_with_media_and_the_other_not() {
    let mut sides = [side(20000, "192.0.2.1:4000"), side(20002, "198.51.100.2:5000")];
    sides[0].remote.rtcp_mux = true;
    let mut bench = Bench::with(sides, Content::Rtp);
    assert_eq!(bench.packet(20000, "192.0.2.1:4000", rtp(1, 1)), to(20002, "198.51.100.2:5000"));
    assert_eq!(bench.packet(20000, "192.0.2.1:4000", rtcp(1)), to(20003, "198.51.100.2:5001"));
    assert_eq!(bench.packet(20003, "198.51.100.2:5001", rtcp(2)), to(20000, "192.0.2.1:4000"));
}

#[test]
fn ipv4_talks_to_ipv6() {
    let mut bench =
        Bench::with([side(20000, "192.0.2.1:4000"), side(20002, "[2001:db8::2]:5000")], Content::Rtp);
    assert_eq!(bench.packet(20000, "[::ffff:192.0.2.1]:4000", rtp(1, 1)), to(20002, "[2001:db8::2]:5000"));
    let back = bench.packet(20002, "[2001:db8::2]:5000", rtp(2, 1));
    assert_eq!(back, to(20000, "[::ffff:192.0.2.1]:4000"));
}

#[test]
fn a_re_invite_with_another_address_forgets_the_old_one() {
    let mut bench = Bench::new();
    bench.packet(20000, "192.0.2.1:4000", rtp(1, 1));
    bench.update(SideName::A, |remote| remote.rtp = Some(address("192.0.2.1:7000")));
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), to(20000, "192.0.2.1:7000"));
    assert_eq!(bench.packet(20000, "192.0.2.1:7000", rtp(1, 2)), to(20002, "198.51.100.2:5000"));
}

#[test]
fn a_side_with_no_address_or_our_own_or_a_group_gets_nothing() {
    for bad in
        ["0.0.0.0:4000", "[::]:4000", "192.0.2.1:0", "224.0.0.1:4000", "255.255.255.255:9", "192.0.2.9:20000"]
    {
        let mut sides = [side(20000, bad), side(20002, "198.51.100.2:5000")];
        sides[0].local_ip = Some("192.0.2.9".parse().unwrap());
        let mut bench = Bench::with(sides, Content::Rtp);
        assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), None, "{bad}");
    }
}

#[test]
fn noise_is_counted_and_dropped_unless_the_stream_is_opaque() {
    let mut bench = Bench::new();
    for noise in
        [&b""[..], b"\r\n\r\n", &[0x80; 11], &[0x00, 0x01, 0, 0], &[0x80, 201, 0xff, 0xff, 0, 0, 0, 0]]
    {
        assert_eq!(bench.packet(20000, "192.0.2.1:4000", Bytes::copy_from_slice(noise)), None);
    }
    assert_eq!(bench.packet(20001, "192.0.2.1:4001", rtp(1, 1)), None);
    assert_eq!(bench.counters(SideName::A).malformed, 6);

    let sides = [side(20000, "192.0.2.1:4000"), side(20002, "198.51.100.2:5000")];
    let mut fax = Bench::with(sides, Content::Opaque);
    let packet = Bytes::from_static(&[0, 1, 2]);
    assert_eq!(fax.packet(20000, "192.0.2.1:4000", packet.clone()), to(20002, "198.51.100.2:5000"));
    // A call may become one, and sound again.
    fax.command(Command::Carry { stream: STREAM, content: Content::Rtp });
    assert_eq!(fax.packet(20000, "192.0.2.1:4000", packet.clone()), None);
    fax.command(Command::Carry { stream: STREAM, content: Content::Opaque });
    assert_eq!(fax.packet(20000, "192.0.2.1:4000", packet), to(20002, "198.51.100.2:5000"));
}

#[test]
fn silence_is_reported_after_a_minute_and_again_but_not_on_hold() {
    let mut bench = Bench::new();
    bench.packet(20000, "192.0.2.1:4000", rtp(1, 1));
    assert_eq!(bench.seconds(59), []);
    let reports = bench.seconds(2);
    assert!(matches!(reports[..], [Report::Stopped { stream: STREAM, idle }] if idle.as_secs() == 60));
    assert!(matches!(bench.seconds(60)[..], [Report::Stopped { idle, .. }] if idle.as_secs() == 120));
    bench.update(SideName::B, |remote| remote.hold = true);
    assert_eq!(bench.seconds(300), []);
    bench.update(SideName::B, |remote| remote.hold = false);
    assert_eq!(bench.seconds(59), []);
    assert_eq!(bench.seconds(2).len(), 1);
}

#[test]
fn a_stream_that_rings_is_not_silent_yet() {
    let mut sides = [side(20000, "192.0.2.1:4000"), side(20002, "198.51.100.2:5000")];
    sides[1].remote = Remote::default();
    let mut bench = Bench::with(sides, Content::Rtp);
    assert_eq!(bench.seconds(200), []);
    bench.update(SideName::B, |remote| remote.rtp = Some(address("198.51.100.2:5000")));
    assert_eq!(bench.seconds(59), []);
    assert_eq!(bench.seconds(3).len(), 1);
}

#[test]
fn a_caller_who_is_silent_until_the_answer_is_still_learnt() {
    let mut sides = [side(20000, "10.0.0.5:4000"), side(20002, "198.51.100.2:5000")];
    sides[0].remote.signalled_from = Some("192.0.2.1".parse().unwrap());
    let mut bench = Bench::with(sides, Content::Rtp);
    bench.seconds(100);
    bench.update(SideName::B, |_| {});
    for n in 0..3 {
        bench.packet(20000, "192.0.2.1:61000", rtp(1, n));
    }
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), to(20000, "192.0.2.1:61000"));
}

#[test]
fn closing_reports_counters_and_gives_ports_and_deadline_back() {
    let mut bench = Bench::new();
    assert_eq!(bench.out.ports.len(), 4);
    bench.out.ports.clear();
    bench.packet(20000, "192.0.2.1:4000", rtp(1, 1));
    bench.out.reports.clear();
    bench.command(Command::Close { stream: STREAM });
    bench.command(Command::Close { stream: STREAM });
    let [Report::Closed { ports, counters, .. }] = &bench.out.reports[..] else { panic!("one report") };
    assert_eq!((ports[1].rtp, counters[0].received), (20002, 1));
    assert_eq!(bench.out.ports.len(), 4);
    assert_eq!((bench.relay.next_deadline(), bench.relay.is_empty()), (None, true));
    assert_eq!(bench.packet(20000, "192.0.2.1:4000", rtp(1, 2)), None);
}

#[test]
fn closing_one_of_many_streams_leaves_the_others_as_they_are_and_frees_memory() {
    let mut bench = Bench::new();
    let ports = |n: u16| 20004 + 4 * n;
    for n in 0..20 {
        let sides =
            [side(ports(n), "192.0.2.1:4000"), side(ports(n) + 2, &format!("198.51.100.2:{}", 6000 + n))]
                .into();
        let content = Content::Rtp;
        bench.command(Command::Open { stream: StreamId(100 + u64::from(n)), sides, content });
    }
    for closed in (0..20).step_by(2).chain([1, 3, 5, 7, 9, 11, 13, 15, 17]) {
        bench.command(Command::Close { stream: StreamId(100 + closed) });
        assert_eq!(bench.packet(ports(closed as u16), "192.0.2.1:4000", rtp(7, 1)), None);
        let last = bench.packet(ports(19), "192.0.2.1:4000", rtp(7, 1));
        assert_eq!(last, to(ports(19) + 2, "198.51.100.2:6019"));
        assert_eq!(bench.packet(20000, "192.0.2.1:4000", rtp(7, 1)), to(20002, "198.51.100.2:5000"));
    }
    assert_eq!(bench.relay.len(), 2);
    assert!(bench.relay.streams.capacity() <= 8);
}

#[test]
fn an_impossible_open_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut refusal = |stream: u64, a: u16, b: u16| {
        let sides = [side(a, "192.0.2.1:1"), side(b, "192.0.2.1:2")].into();
        bench.out = Outbox::default();
        bench.command(Command::Open { stream: StreamId(stream), sides, content: Content::Rtp });
        match bench.out.reports[..] {
            [Report::Refused { reason, .. }] => Some(reason),
            _ => None,
        }
    };
    assert_eq!(refusal(1, 20010, 20012), Some(Refusal::StreamExists));
    assert_eq!(refusal(2, 20010, 20002), Some(Refusal::PortInUse(20002)));
    assert_eq!(refusal(2, 20010, 20010), Some(Refusal::PortInUse(20010)));
    assert_eq!(refusal(2, 20010, 20100), Some(Refusal::PortOutOfRange(20100)));
    assert_eq!(refusal(2, 20010, 20012), None);
    assert_eq!(bench.relay.len(), 2);
}

#[test]
fn a_port_that_cannot_be_opened_ends_the_stream_with_a_report() {
    let mut bench = Bench::new();
    bench.out = Outbox::default();
    bench.relay.handle(bench.now, Input::PortUnavailable { port: 20001 }, &mut bench.out);
    assert!(matches!(
        bench.out.reports[..],
        [Report::PortUnavailable { port: 20001, .. }, Report::Closed { .. }]
    ));
    let closed: Vec<Ports> = [20000, 20002, 20003].map(|port| Ports::Close { port }).into();
    assert_eq!(bench.out.ports, closed);
}

#[test]
fn a_flow_that_is_written_out_goes_on_elsewhere() {
    let mut bench = Bench::new();
    bench.packet(20000, "192.0.2.1:4000", rtp(1, 1));
    let saved = bench.relay.save(STREAM).unwrap();
    bench.relay = Relay::new(Config::new(20000..=20099));
    bench.relay.restore(bench.now, saved.clone(), &mut bench.out);
    assert_eq!(bench.relay.save(STREAM), Some(saved));
    assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, 1)), to(20000, "192.0.2.1:4000"));
    assert_eq!(bench.packet(20000, "203.0.113.1:4000", rtp(1, 2)), None);
}

proptest! {
    #[test]
    fn the_relay_is_total_and_only_sends_to_known_phones(
        packets in prop::collection::vec(
            (20000u16..20005, 0usize..4, prop::collection::vec(any::<u8>(), 0..40), 0u64..3000),
            0..60,
        )
    ) {
        let mut bench = Bench::new();
        let sources = ["192.0.2.1:4000", "198.51.100.2:5000", "203.0.113.1:9", "192.0.2.1:4001"];
        for (port, source, mut bytes, wait) in packets {
            if wait % 2 == 0 && let Some(first) = bytes.first_mut() {
                *first = 0x80 | *first & 0x3f;
            }
            bench.now += Duration::from_millis(wait);
            bench.relay.handle(bench.now, Input::Deadline, &mut bench.out);
            if let Some((from, to)) = bench.packet(port, sources[source], bytes.into()) {
                prop_assert!((20000..=20003).contains(&from));
                prop_assert!(["192.0.2.1:4000", "192.0.2.1:4001", "198.51.100.2:5000", "198.51.100.2:5001"]
                    .contains(&to.as_str()));
            }
        }
    }
}

#[test]
fn sound_between_phones_without_a_common_format_is_translated_and_reports_end_here() {
    use crate::codec;
    use crate::command::{Format, Numbers, Translation};
    let mut bench = Bench::new();
    let format = |word| {
        let codec = codec::by_word(word).unwrap();
        Format::plain(codec, codec.payload_type.unwrap())
    };
    let (a, b) = (format("PCMU"), format("PCMA"));
    let numbers = |ssrc| Numbers { ssrc, sequence: 7, timestamp: 0 };
    let translations = [
        Translation { from: a, to: b, numbers: numbers(0xab) },
        Translation { from: b, to: a, numbers: numbers(0xba) },
    ];
    let begin = |translations| Command::Transcode { stream: STREAM, translations };
    bench.command(begin(Some(translations.into())));
    let sent = |bench: &mut Bench, port, from, bytes: Bytes| {
        bench.out.sends.clear();
        let input = Input::Packet { port, from: address(from), bytes };
        bench.relay.handle(bench.now, input, &mut bench.out);
        bench.now += Duration::from_millis(20);
        std::mem::take(&mut bench.out.sends)
    };
    for n in 0..2 {
        // The same again changes nothing: the numbers go on.
        bench.command(begin(Some(translations.into())));
        let there = sent(&mut bench, 20000, "192.0.2.1:4000", rtp(1, 100 + n));
        assert_eq!((there.len(), there[0].from_port, there[0].to), (1, 20002, address("198.51.100.2:5000")));
        let packet = offhook_rtp::packet::Packet::parse(&there[0].bytes).unwrap();
        assert_eq!((packet.payload_type(), packet.ssrc(), packet.sequence()), (8, 0xab, 7 + n));
        // Silence of one law is silence of the other.
        assert!(packet.payload().iter().all(|byte| *byte == 0xd5), "{:?}", packet.payload());
    }
    let press = Press { event: 5, duration_ms: 160 };
    let format = EventFormat { payload_type: 101, clock_rate: 8_000 };
    bench.command(Command::Press { stream: STREAM, to: SideName::B, format, press });
    let there = sent(&mut bench, 20000, "192.0.2.1:4000", rtp(1, 102));
    let packet = Packet::parse(&there[0].bytes).unwrap();
    assert_eq!((packet.payload_type(), packet.ssrc(), packet.sequence()), (101, 0xab, 9), "a key among them");
    let back = sent(&mut bench, 20002, "198.51.100.2:5000", rtp(2, 1));
    assert!(back.is_empty(), "a format that was not agreed on is no sound");
    let report = sent(&mut bench, 20003, "198.51.100.2:5001", rtcp(2));
    assert_eq!((report.len(), report[0].from_port), (1, 20001));
    assert_eq!(report[0].bytes[4..8], 0xba_u32.to_be_bytes(), "the report is ours");
    bench.command(begin(None));
    assert!(sent(&mut bench, 20000, "192.0.2.1:4000", rtp(1, 103)).len() == 1, "and passes as it is again");
}

#[test]
fn a_key_that_signalling_brought_takes_the_place_of_sound_towards_one_side() {
    let mut bench = Bench::new();
    let format = EventFormat { payload_type: 101, clock_rate: 8_000 };
    let press = Press { event: 5, duration_ms: 60 };
    bench.command(Command::Press { stream: STREAM, to: SideName::B, format, press });
    let mut changed = Vec::new();
    for n in 0..10 {
        assert_eq!(bench.packet(20002, "198.51.100.2:5000", rtp(2, n)), to(20000, "192.0.2.1:4000"));
        let (from, sound) = (address("192.0.2.1:4000"), rtp(1, n));
        let forward = bench.relay.forward(bench.now, 20000, from, &sound, &mut bench.out).unwrap();
        assert_eq!((forward.from_port, forward.to), (20002, address("198.51.100.2:5000")));
        let event = forward.changed.map(|bytes| Packet::parse(bytes).unwrap());
        changed
            .push(event.map(|event| (event.sequence() == n, event.payload_type(), event.payload().to_vec())));
    }
    // A packet for each 20 ms (160, 320, 480 units), and the last three times.
    let event = |flags: u8, high: u8, low: u8| Some((true, 101, vec![5, flags, high, low]));
    assert_eq!(changed[..2], [event(10, 0, 160), event(10, 1, 64)]);
    assert_eq!(changed[2..5], [event(0x8a, 1, 224), event(0x8a, 1, 224), event(0x8a, 1, 224)]);
    assert_eq!(changed[5..], [None, None, None, None, None]);
}

/// A relay with one stream of one side, at 192.0.2.1:4000 on 20000.
fn echo() -> Bench {
    let mut bench =
        Bench { relay: Relay::new(Config::new(20000..=20099)), now: epoch(), out: Outbox::default() };
    bench.command(Command::OpenEnd { stream: STREAM, side: side(20000, "192.0.2.1:4000").into() });
    bench
}

fn gives_back(bench: &mut Bench) {
    let format = |receive, send, clock_rate, event| EchoFormat { receive, send, clock_rate, event };
    let formats = vec![format(0, 0, 8000, false), format(101, 96, 8000, true)];
    let numbers = Numbers { ssrc: 77, sequence: 65_535, timestamp: 1_000 };
    bench.command(Command::Echo { stream: STREAM, formats, numbers });
}

/// What comes back for a packet: its header and its payload's length.
fn back(bench: &mut Bench, packet: &[u8]) -> Option<(Header, usize)> {
    let from = address("192.0.2.1:4000");
    let Forward { from_port, to, changed } =
        bench.relay.forward(bench.now, 20000, from, packet, &mut bench.out)?;
    assert_eq!((from_port, to), (20000, from));
    let packet = offhook_rtp::packet::Packet::parse(changed?).unwrap();
    Some((packet.header(), packet.payload().len()))
}

#[test]
fn an_end_gives_back_what_comes_under_numbers_of_its_own() {
    let mut bench = echo();
    assert_eq!(bench.out.ports.len(), 2);
    assert_eq!(back(&mut bench, &rtp(1, 1)), None, "nobody has said what is to be done");
    gives_back(&mut bench);
    let (first, length) = back(&mut bench, &rtp(1, 7)).unwrap();
    assert_eq!((first.ssrc, first.sequence, first.timestamp, length), (77, 65_535, 1_000, 160));
    // A lost packet stays a gap; one that was overtaken keeps its place.
    let later = back(&mut bench, &rtp(1, 10)).unwrap().0;
    assert_eq!((later.sequence, later.timestamp), (2, 1_480));
    assert_eq!(back(&mut bench, &rtp(1, 9)).unwrap().0.sequence, 1);
    // Another source of the phone goes on where the one before has stopped.
    let other = back(&mut bench, &rtp(5, 4_000)).unwrap().0;
    assert_eq!((other.ssrc, other.sequence, other.timestamp), (77, 3, 1_640));
    let mut key = rtp(5, 4_001).to_vec();
    key[1] = 101;
    assert_eq!(back(&mut bench, &key).unwrap().0.payload_type, 96);
    key[1] = 99;
    assert_eq!(back(&mut bench, &key), None, "what was not agreed on does not go back");
}

#[test]
fn an_end_reports_about_its_own_source_and_is_silent_towards_a_phone_on_hold() {
    let mut bench = echo();
    gives_back(&mut bench);
    for n in 0..10 {
        assert!(back(&mut bench, &rtp(1, n)).is_some());
    }
    bench.out.sends.clear();
    bench.relay.forward(bench.now, 20001, address("192.0.2.1:4001"), &rtcp(1), &mut bench.out);
    let [Send { from_port: 20001, to, bytes }] = &bench.out.sends[..] else { panic!("one report") };
    assert_eq!(*to, address("192.0.2.1:4001"));
    let offhook_rtp::rtcp::RtcpPacket::SenderReport(report) = &offhook_rtp::rtcp::read(bytes)[0] else {
        panic!("a sender report")
    };
    assert_eq!((report.ssrc, report.packet_count, report.reports[0].ssrc), (77, 10, 1));
    let mut remote = side(20000, "192.0.2.1:4000").remote;
    remote.hold = true;
    let (stream, side) = (STREAM, SideName::A);
    bench.command(Command::Update { stream, side, remote: remote.into(), ice: None });
    assert_eq!(back(&mut bench, &rtp(1, 11)), None);
}

#[test]
fn a_silent_phone_at_an_end_is_reported_and_closing_brings_two_ports_home() {
    let mut bench = echo();
    gives_back(&mut bench);
    back(&mut bench, &rtp(1, 1));
    assert!(bench.seconds(61).iter().any(|report| matches!(report, Report::Stopped { .. })));
    assert_eq!(bench.relay.save(STREAM), None);
    bench.command(Command::Close { stream: STREAM });
    let Some(Report::Closed { ports, .. }) = bench.out.reports.pop() else { panic!("closed") };
    assert_eq!(ports, [PortPair { rtp: 20000, rtcp: 20001 }]);
    assert!(bench.relay.is_empty());
}
