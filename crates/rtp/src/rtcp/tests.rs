use proptest::prelude::*;

use super::*;

fn block(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost: 25,
        cumulative_lost: -3,
        highest_sequence: 0x1_0002,
        jitter: 17,
        lsr: 0xaabb_ccdd,
        dlsr: 65_536,
    }
}

fn written(packets: &[RtcpPacket]) -> Vec<u8> {
    let mut out = Vec::new();
    write(packets, &mut out).expect("in range");
    out
}

#[test]
fn a_compound_packet_is_read_back() {
    let packets = vec![
        RtcpPacket::SenderReport(SenderReport {
            ssrc: 1,
            ntp: NtpTime(0x1122_3344_5566_7788),
            rtp_timestamp: 160,
            packet_count: 2,
            octet_count: 320,
            reports: vec![block(9), block(10)],
        }),
        RtcpPacket::SourceDescription(SourceDescription { ssrc: 1, cname: "alice@192.0.2.1".into() }),
        RtcpPacket::Bye(Bye { ssrcs: vec![1], reason: Some("gone".into()) }),
    ];
    let bytes = written(&packets);
    assert_eq!(bytes.len() % 4, 0);
    assert_eq!(&bytes[..4], [0x82, 200, 0, 18]);
    assert_eq!(read(&bytes), packets);
    let packets = vec![
        RtcpPacket::ReceiverReport(ReceiverReport { ssrc: 1, reports: vec![] }),
        RtcpPacket::Bye(Bye { ssrcs: vec![1, 2], reason: None }),
    ];
    assert_eq!(read(&written(&packets)), packets);
}

#[test]
fn several_named_sources_are_read_even_with_leading_zeros() {
    let bytes =
        [0x82, 202, 0, 6, 0, 0, 0, 1, 1, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, b'n', 1, 1, b'c', 0, 0];
    let names = |packets: Vec<RtcpPacket>| -> Vec<(u32, String)> {
        packets
            .into_iter()
            .filter_map(|packet| match packet {
                RtcpPacket::SourceDescription(source) => Some((source.ssrc, source.cname)),
                _ => None,
            })
            .collect()
    };
    assert_eq!(names(read(&bytes)), [(1, "ab".into()), (2, "c".into())]);
    assert_eq!(names(read(&[0x81, 202, 0, 1, 0, 0, 0, 1])), [(1, String::new())]);
}

#[test]
fn what_cannot_be_read_does_not_hide_the_rest() {
    let report = RtcpPacket::ReceiverReport(ReceiverReport { ssrc: 5, reports: vec![block(6)] });
    // A report that promises more blocks than it has, then feedback, then a whole one, then half of one.
    let mut bytes = vec![0x83, 201, 0, 1, 0, 0, 0, 5];
    bytes.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    bytes.extend(written(std::slice::from_ref(&report)));
    bytes.extend([0x80, 200, 0, 6, 0, 0]);
    assert_eq!(read(&bytes), [RtcpPacket::Other(201), RtcpPacket::Other(206), report]);
    assert_eq!(read(b"\x40\xc8\0\0"), []);
    assert_eq!(read(&[0x80, 200, 0, 0].repeat(500)).len(), 64);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut out = vec![7];
    let many = ReceiverReport { ssrc: 1, reports: vec![block(1); 32] };
    let good = RtcpPacket::Bye(Bye { ssrcs: vec![1], reason: None });
    let packets = [good, RtcpPacket::ReceiverReport(many)];
    assert_eq!(write(&packets, &mut out), Err(WriteError::TooManySources));
    let long = SourceDescription { ssrc: 1, cname: "x".repeat(256) };
    assert_eq!(write(&[RtcpPacket::SourceDescription(long)], &mut out), Err(WriteError::TextTooLong));
    assert_eq!(out, [7]);
}

#[test]
fn losses_beyond_24_bits_are_clamped() {
    for (lost, expected) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1), (0x7f_ffff, 0x7f_ffff)]
    {
        let report =
            ReceiverReport { ssrc: 1, reports: vec![ReportBlock { cumulative_lost: lost, ..block(1) }] };
        let read = read(&written(&[RtcpPacket::ReceiverReport(report)]));
        let [RtcpPacket::ReceiverReport(report)] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!(report.reports[0].cumulative_lost, expected);
    }
}

#[test]
fn ntp_time_goes_both_ways() {
    let time = Duration::new(1_700_000_000, 250_000_000);
    let ntp = NtpTime::from_unix(time);
    assert_eq!(ntp.0 >> 32, 1_700_000_000 + 2_208_988_800);
    assert_eq!(ntp.0 & 0xffff_ffff, 0x4000_0000);
    assert_eq!(ntp.to_unix(), time);
    assert_eq!(ntp.middle(), (ntp.0 >> 16) as u32);
    assert_eq!(NtpTime(0).to_unix(), Duration::ZERO);
}

#[test]
fn round_trips_are_those_of_the_example_in_rfc_3550() {
    // Figure 2: A = 0xb710:8000, DLSR = 5.250 s, LSR = 0xb705:2000; delay 6.125 s.
    let report = ReportBlock { lsr: 0xb705_2000, dlsr: 0x0005_4000, ..ReportBlock::default() };
    let now = NtpTime(0xb710_8000 << 16);
    assert_eq!(report.round_trip(now), Some(Duration::from_millis(6125)));
    assert_eq!(ReportBlock { lsr: 0, ..report }.round_trip(now), None);
    assert_eq!(ReportBlock { dlsr: u32::MAX / 2, ..report }.round_trip(now), None);
    assert_eq!(ReportBlock { dlsr: 0x000b_7000, ..report }.round_trip(now), None, "negative");
}

fn any_block() -> impl Strategy<Value = ReportBlock> {
    (any::<u32>(), any::<u8>(), -0x80_0000..0x80_0000i32, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, cumulative_lost, [highest_sequence, jitter, lsr, dlsr])| ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost,
            highest_sequence,
            jitter,
            lsr,
            dlsr,
        },
    )
}

fn any_packet() -> impl Strategy<Value = RtcpPacket> {
    let blocks = || proptest::collection::vec(any_block(), 0..32);
    prop_oneof![
        (any::<u32>(), any::<u64>(), any::<[u32; 3]>(), blocks()).prop_map(
            |(ssrc, ntp, [a, b, c], reports)| {
                RtcpPacket::SenderReport(SenderReport {
                    ssrc,
                    ntp: NtpTime(ntp),
                    rtp_timestamp: a,
                    packet_count: b,
                    octet_count: c,
                    reports,
                })
            }
        ),
        (any::<u32>(), blocks())
            .prop_map(|(ssrc, reports)| RtcpPacket::ReceiverReport(ReceiverReport { ssrc, reports })),
        (any::<u32>(), "[ -~]{0,255}")
            .prop_map(|(ssrc, cname)| RtcpPacket::SourceDescription(SourceDescription { ssrc, cname })),
        (proptest::collection::vec(any::<u32>(), 0..32), proptest::option::of("[ -~]{1,255}"))
            .prop_map(|(ssrcs, reason)| RtcpPacket::Bye(Bye { ssrcs, reason })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..120), count: u8, kind in 199..208u8, whole: bool,
    ) {
        let _ = read(&bytes);
        let mut framed = bytes;
        framed.resize(framed.len().next_multiple_of(4), 0);
        let words = if whole { framed.len() / 4 } else { usize::from(count) };
        let mut packet = vec![0x80 | count & 0x3f, kind, 0, words as u8];
        packet.extend(&framed);
        let _ = read(&packet);
        let _ = read(&packet.repeat(3));
    }

    #[test]
    fn written_packets_are_read_back(packets in proptest::collection::vec(any_packet(), 1..5)) {
        prop_assert_eq!(read(&written(&packets)), packets);
    }
}
