use super::*;
use crate::SILENCE;
use crate::codec::by_name;
use crate::test_signal::{Dice, epoch};
use crate::tone::{Tone, analyse};
use offhook_rtp::NtpTime;
use std::collections::BTreeMap;

mod secured;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const EVENT: EventFormat = EventFormat { payload_type: 101, clock_rate: 8000 };

const A: &str = "192.0.2.1:4000";
const B: &str = "198.51.100.2:5000";

fn payload(name: &str) -> Payload {
    let format = by_name(name, 8000).unwrap();
    Payload { payload_type: format.payload_type.unwrap(), format }
}

fn settings(remote: &str) -> Settings {
    Settings {
        send: Some(payload("PCMA")),
        wishes: crate::codec::Wishes::default(),
        receive: vec![payload("PCMA"), payload("PCMU")],
        event_send: Some(EVENT),
        event_receive: Some(EVENT),
        noise_receive: Some(13),
        redundancy: None,
        remote_rtp: Some(address(remote)),
        remote_rtcp: None,
        signalled_from: Some(address(remote).ip()),
        proven: false,
        rtcp_mux: false,
        protection: Protection::Plain,
        sends: true,
        receives: true,
        ptime_ms: 20,
    }
}

fn identity(ssrc: u32) -> Identity {
    let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    Identity {
        ssrc,
        sequence: 65_530,
        timestamp: u32::MAX - 500,
        cname: "x".repeat(20),
        ntp,
        certificate: None,
    }
}

struct End {
    session: MediaSession,
    tone: Tone,
    own: SocketAddr,
    heard: Vec<i16>,
    events: Vec<Event>,
}

type Flying = (usize, Component, SocketAddr, Vec<u8>);

/// Two sessions over a network of 25 ms each way, in virtual time.
struct Pair {
    now: Instant,
    ends: [End; 2],
    /// By arrival: to which end, port, source and bytes.
    air: BTreeMap<(Instant, u64), Flying>,
    count: u64,
    loss: f64,
    dice: Dice,
}

impl Pair {
    fn new(a: Settings, b: Settings) -> Pair {
        let now = epoch();
        let end = |settings, ssrc, hz, own| End {
            session: MediaSession::new(now, settings, identity(ssrc)),
            tone: Tone::sine(hz, -15.0, 8000),
            own: address(own),
            heard: Vec::new(),
            events: Vec::new(),
        };
        let ends = [end(a, 11, 440.0, A), end(b, 22, 700.0, B)];
        Pair { now, ends, air: BTreeMap::new(), count: 0, loss: 0.0, dice: Dice(1) }
    }

    fn ready() -> Pair {
        Pair::new(settings(B), settings(A))
    }

    /// Lets `ms` pass; returns the packets that were sent.
    fn run(&mut self, ms: u64) -> Vec<(usize, Transmit)> {
        let mut sent = Vec::new();
        for _ in 0..ms / 20 {
            self.now += Duration::from_millis(20);
            self.deliver();
            for n in 0..2 {
                let mut out = Outbox::default();
                let end = &mut self.ends[n];
                let (mut said, mut heard) = (SILENCE, SILENCE);
                end.tone.fill(&mut said);
                end.session.microphone(self.now, &said, &mut out);
                end.session.loudspeaker(self.now, &mut heard);
                end.heard.extend_from_slice(&heard);
                if end.session.next_deadline() <= self.now {
                    end.session.deadline(self.now, &mut out);
                }
                self.take(n, out, &mut sent);
            }
        }
        sent
    }

    fn take(&mut self, n: usize, out: Outbox, sent: &mut Vec<(usize, Transmit)>) {
        self.ends[n].events.extend(out.events);
        for packet in out.packets {
            sent.push((n, packet.clone()));
            if self.dice.chance(self.loss) {
                continue;
            }
            let own = self.ends[n].own;
            let port = own.port() + u16::from(packet.from == Component::Rtcp);
            let to = self.ends[1 - n].own;
            let component = match packet.to.port().checked_sub(to.port()) {
                Some(0) => Component::Rtp,
                Some(1) => Component::Rtcp,
                _ => continue,
            };
            if packet.to.ip() == to.ip() {
                self.count += 1;
                let source = SocketAddr::new(own.ip(), port);
                let at = self.now + Duration::from_millis(25);
                self.air.insert((at, self.count), (1 - n, component, source, packet.bytes));
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.air.first_entry()
            && entry.key().0 <= self.now
        {
            let ((at, _), (n, component, from, bytes)) = entry.remove_entry();
            let mut out = Outbox::default();
            let session = &mut self.ends[n].session;
            match component {
                Component::Rtp => session.receive_rtp(at, from, &bytes, &mut out),
                Component::Rtcp => session.receive_rtcp(at, from, &bytes, &mut out),
            }
            self.take(n, out, &mut Vec::new());
        }
    }

    fn hz(&mut self, n: usize) -> f32 {
        let heard = analyse(&std::mem::take(&mut self.ends[n].heard), 8000);
        if heard.is_tone() { heard.dominant_hz.round() } else { 0.0 }
    }
}

fn digits(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| if let Event::Digit { digit, .. } = event { Some(digit) } else { None })
        .collect()
}

fn headers(sent: &[(usize, Transmit)], end: usize) -> Vec<offhook_rtp::Header> {
    let of_end = sent.iter().filter(|(n, packet)| *n == end && packet.from == Component::Rtp);
    of_end.filter_map(|(_, packet)| Packet::parse(&packet.bytes).ok().map(|packet| packet.header())).collect()
}

#[test]
fn a_tone_goes_both_ways_and_the_numbers_are_right() {
    let mut pair = Pair::ready();
    pair.run(20_000);
    assert_eq!((pair.hz(0), pair.hz(1)), (700.0, 440.0));
    let statistics = pair.ends[0].session.statistics();
    assert_eq!((statistics.codec, statistics.sent, statistics.lost, statistics.late), ("PCMA", 1000, 0, 0));
    assert!(statistics.received >= 998 && statistics.loss_percent == 0.0);
    assert!(statistics.jitter_ms < 1.0 && statistics.mos > Some(4.3), "{statistics:?}");
    let round_trip = statistics.round_trip.unwrap().as_millis();
    assert!((45..=75).contains(&round_trip), "{round_trip}");
    assert_eq!(statistics.peer_loss_percent, Some(0.0));
    assert_eq!(pair.ends[1].events, [Event::Latched { address: address(A) }]);
}

#[test]
fn reports_come_every_five_seconds_or_so_with_a_name() {
    let mut pair = Pair::ready();
    let sent = pair.run(60_000);
    let reports: Vec<_> = sent.iter().filter(|(n, p)| *n == 0 && p.from == Component::Rtcp).collect();
    assert!((9..=22).contains(&reports.len()), "{}", reports.len());
    use offhook_rtp::RtcpPacket::{SenderReport, SourceDescription};
    let packets = offhook_rtp::rtcp::read(&reports[2].1.bytes);
    let [SenderReport(report), SourceDescription(name)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!((report.ssrc, report.reports[0].ssrc, name.cname.len()), (11, 22, 20));
    assert!(reports[0].1.to == address("198.51.100.2:5001"));
}

#[test]
fn loss_is_counted_concealed_and_felt_in_the_mos() {
    let mut pair = Pair::ready();
    pair.loss = 0.05;
    pair.run(20_000);
    let statistics = pair.ends[0].session.statistics();
    assert!((20..100).contains(&statistics.lost), "{statistics:?}");
    assert!(statistics.playout.concealed_ms > 400);
    assert!(statistics.mos < Some(4.2) && statistics.mos > Some(2.5), "{statistics:?}");
    assert_eq!(pair.hz(0), 700.0);
}

/// Both sides take redundant sound.
fn redundant() -> Pair {
    let both =
        |remote| Settings { redundancy: Some(Redundancy { send: 97, receive: 97 }), ..settings(remote) };
    Pair::new(both(B), both(A))
}

#[test]
fn what_was_lost_comes_again_with_the_packet_behind_it() {
    let (mut plain, mut pair) = (Pair::ready(), redundant());
    assert!(headers(&pair.run(5000), 0).iter().all(|header| header.payload_type == 8), "nothing is lost");
    plain.run(5000);
    (plain.loss, pair.loss) = (0.1, 0.1);
    plain.run(30_000);
    pair.run(30_000);
    let [before, now] = [&plain, &pair].map(|pair| pair.ends[0].session.statistics());
    assert!(now.lost > 100 && now.playout.copies * 4 > now.lost * 3, "{now:?}");
    assert!(now.playout.concealed_ms * 4 < before.playout.concealed_ms, "{now:?} {before:?}");
    assert_eq!([pair.hz(0), pair.hz(1)], [700.0, 440.0]);
    pair.loss = 0.0;
    pair.run(40_000);
    assert!(headers(&pair.run(1000), 0).iter().all(|header| header.payload_type == 8), "it costs no more");
}

#[test]
fn what_overtook_is_not_taken_for_lost() {
    let mut playout = Playout::new(epoch(), 8000, [(8, by_name("PCMA", 8000).unwrap())], None);
    let mut frame = [0; 160];
    let at = |n: u32| epoch() + Duration::from_millis(u64::from(n) * 20);
    let packet = |n: u32| Received { payload_type: 8, ssrc: 1, timestamp: n * 160, payload: &[0xd5; 160] };
    for n in 0..50 {
        // The tenth comes with the eleventh, and then by itself.
        if n != 10 {
            playout.push(at(n), packet(n));
        }
        if n == 11 {
            playout.push_copy(at(n), packet(10));
            playout.push_copy(at(n), packet(9));
            playout.push(at(n), packet(10));
        }
        playout.pull(at(n), &mut frame);
    }
    let measures = playout.measures();
    assert_eq!((measures.duplicates, measures.discarded), (0, 0), "{measures:?}");
}

#[test]
fn keys_are_sent_as_events_and_sound_goes_on_after_them() {
    let mut pair = Pair::ready();
    pair.run(1000);
    for digit in "1*#".chars() {
        assert!(pair.ends[0].session.dial(digit, Duration::from_millis(100)));
    }
    assert!(!pair.ends[0].session.dial('x', Duration::from_millis(100)));
    let sent = pair.run(1000);
    assert!(!pair.ends[0].session.is_dialling());
    assert_eq!(digits(&pair.ends[1].events), "1*#");
    let length = pair.ends[1].events.iter().find_map(|event| match event {
        Event::Digit { duration, .. } => Some(duration.as_millis()),
        _ => None,
    });
    assert_eq!(length, Some(100));
    // One packet for each 20 ms, whichever kind, and numbers without a gap.
    let headers = headers(&sent, 0);
    assert_eq!(headers.len(), 50);
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    pair.hz(1);
    pair.run(2000);
    assert_eq!(pair.hz(1), 440.0);
}

#[test]
fn keys_survive_heavy_loss() {
    let mut pair = Pair::ready();
    pair.run(500);
    pair.loss = 0.2;
    for digit in "0123456789".chars() {
        pair.ends[0].session.dial(digit, Duration::from_millis(100));
    }
    pair.run(5000);
    assert_eq!(digits(&pair.ends[1].events), "0123456789");
}

#[test]
fn without_telephone_events_keys_are_tones() {
    let mut a = settings(B);
    a.event_send = None;
    let mut pair = Pair::new(a, settings(A));
    pair.run(500);
    pair.ends[0].session.dial('5', Duration::from_millis(100));
    pair.ends[0].session.dial('9', Duration::from_millis(100));
    pair.run(1000);
    let (mut detector, mut keys) = (crate::dtmf::Detector::new(), Vec::new());
    detector.push(&pair.ends[1].heard, &mut keys);
    assert_eq!(keys, ['5', '9']);
}

#[test]
fn a_key_whose_end_is_lost_ends_by_itself() {
    let mut pair = Pair::ready();
    pair.run(500);
    pair.ends[0].session.dial('7', Duration::from_secs(5));
    pair.run(200);
    pair.loss = 1.0;
    pair.run(1000);
    assert_eq!(digits(&pair.ends[1].events), "7");
}

#[test]
fn on_hold_nothing_is_sent_and_media_time_goes_on() {
    let mut pair = Pair::ready();
    let before = pair.run(1000);
    let mut held = settings(B);
    (held.sends, held.receives) = (false, false);
    pair.ends[0].session.configure(pair.now, held);
    let during = pair.run(2000);
    assert!(headers(&during, 0).is_empty());
    pair.ends[0].session.configure(pair.now, settings(B));
    let after = pair.run(1000);
    let (last, first) = (*headers(&before, 0).last().unwrap(), headers(&after, 0)[0]);
    assert!(first.marker && first.sequence == last.sequence.wrapping_add(1));
    assert_eq!(first.timestamp.wrapping_sub(last.timestamp), 160 * 101);
    assert_eq!(pair.ends[0].session.statistics().lost, 0);
}

#[test]
fn a_re_invite_changes_codec_and_address() {
    let mut pair = Pair::ready();
    pair.run(1000);
    let mut other = settings(B);
    other.send = Some(payload("PCMU"));
    pair.ends[0].session.configure(pair.now, other.clone());
    let sent = pair.run(1000);
    assert!(headers(&sent, 0).iter().all(|header| header.payload_type == 0));
    pair.hz(1);
    pair.run(1000);
    assert_eq!(pair.hz(1), 440.0);
    other.remote_rtp = Some(address("203.0.113.5:7000"));
    pair.ends[0].session.configure(pair.now, other);
    assert!(pair.run(100).iter().all(|(n, packet)| *n == 1 || packet.to == address("203.0.113.5:7000")));
}

#[test]
fn we_answer_where_a_phone_behind_a_nat_is_heard_from_and_nobody_else() {
    let mut b = settings("10.0.0.7:9000");
    b.signalled_from = Some(address(A).ip());
    let mut pair = Pair::new(settings(B), b);
    pair.run(1000);
    let mut out = Outbox::default();
    let stranger = headers(&pair.run(20), 0)[0];
    let mut bytes = Vec::new();
    for n in 0..20 {
        let header = offhook_rtp::Header { sequence: stranger.sequence.wrapping_add(n), ..stranger };
        bytes.clear();
        offhook_rtp::PacketBuilder::new(header, &[0; 160]).append_to(&mut bytes).unwrap();
        let session = &mut pair.ends[1].session;
        session.receive_rtp(pair.now, address("203.0.113.66:4000"), &bytes, &mut out);
        session.receive_rtp(pair.now, address("192.0.2.1:4002"), &bytes, &mut out);
    }
    assert!(pair.run(200).iter().all(|(n, packet)| *n == 0 || packet.to == address(A)));
    assert_eq!(pair.ends[1].session.statistics().foreign, 42);
    assert_eq!(out, Outbox::default());
}

#[test]
fn goodbye_is_heard_over_one_port_too() {
    let (mut a, mut b) = (settings(B), settings(A));
    (a.rtcp_mux, b.rtcp_mux) = (true, true);
    let mut pair = Pair::new(a, b);
    let sent = pair.run(10_000);
    assert!(sent.iter().all(|(_, packet)| packet.from == Component::Rtp));
    assert!(pair.ends[0].session.statistics().round_trip.is_some());
    let mut out = Outbox::default();
    pair.ends[0].session.end(pair.now, &mut out);
    pair.take(0, out, &mut Vec::new());
    pair.run(100);
    assert_eq!(pair.ends[1].events.last(), Some(&Event::Left));
}

#[test]
fn longer_packets_are_sent_where_they_are_agreed() {
    let mut a = settings(B);
    a.ptime_ms = 40;
    let mut pair = Pair::new(a, settings(A));
    let sent = pair.run(2000);
    let headers = headers(&sent, 0);
    assert_eq!(headers.len(), 50);
    assert!(headers.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 320));
    assert_eq!(headers[0].timestamp, u32::MAX - 500);
    pair.run(1000);
    assert_eq!(pair.hz(1), 440.0);
}

proptest::proptest! {
    #[test]
    fn a_session_is_total_on_whatever_comes(
        packets in proptest::collection::vec(
            (proptest::collection::vec(proptest::num::u8::ANY, 0..64), proptest::bool::ANY, 0u64..200), 0..60)
    ) {
        let mut now = epoch();
        let mut session = MediaSession::new(now, settings(A), identity(1));
        let mut out = Outbox::default();
        let mut frame = SILENCE;
        for (mut bytes, control, wait) in packets {
            now += Duration::from_millis(wait);
            if let Some([first, second]) = bytes.first_chunk_mut() {
                *first = 0x80 | *first & 0x3f;
                *second = if control { 200 + *second % 5 } else { [8, 0, 101, 33][usize::from(*second % 4)] };
            }
            session.receive_rtp(now, address(A), &bytes, &mut out);
            session.receive_rtcp(now, address("192.0.2.1:4001"), &bytes, &mut out);
            session.loudspeaker(now, &mut frame);
            session.microphone(now, &frame, &mut out);
            session.deadline(now, &mut out);
        }
        session.end(now, &mut out);
        session.statistics();
    }
}
