use proptest::prelude::*;

use super::*;

/// PCMU, marker, sequence 0x1234, one source, a one-word extension, four bytes of payload, four of padding.
const FULL: [u8; 32] = [
    0xb1, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 9, 8, 7, 6,
    1, 2, 3, 4, 0, 0, 0, 4,
];

#[test]
fn every_part_of_a_packet_is_found() {
    let packet = Packet::parse(&FULL).expect("a packet");
    let header =
        Header { payload_type: 0, marker: true, sequence: 0x1234, timestamp: 160, ssrc: 0xdead_beef };
    assert_eq!(packet.header(), header);
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [7]);
    assert_eq!(packet.extension(), Some((0xbede, &[9, 8, 7, 6][..])));
    assert_eq!(packet.payload(), [1, 2, 3, 4]);
    assert_eq!(packet.as_bytes(), FULL);
}

#[test]
fn a_packet_that_lies_about_its_length_is_refused() {
    for len in 0..=24 {
        assert!(Packet::parse(&FULL[..len]).is_err(), "{len} bytes");
    }
    let mut wrong = FULL;
    wrong[0] = 0x71;
    assert_eq!(Packet::parse(&wrong), Err(ParseError::Version(1)));
    for padding in [0, 9, 255] {
        let mut wrong = FULL;
        wrong[31] = padding;
        assert_eq!(Packet::parse(&wrong), Err(ParseError::Padding));
    }
    let mut wrong = FULL;
    wrong[19] = 4;
    assert_eq!(Packet::parse(&wrong), Err(ParseError::Truncated));
}

#[test]
fn fields_out_of_range_are_not_written() {
    let header = Header { payload_type: 128, ..Header::default() };
    let mut out = vec![1];
    assert_eq!(PacketBuilder::new(header, &[]).append_to(&mut out), Err(WriteError::PayloadType));
    let many = PacketBuilder { csrcs: &[0; 16], ..PacketBuilder::default() };
    assert_eq!(many.append_to(&mut out), Err(WriteError::TooManySources));
    let long = vec![0; 4 * 65_536];
    let long = PacketBuilder { extension: Some((0, &long)), ..PacketBuilder::default() };
    assert_eq!(long.append_to(&mut out), Err(WriteError::ExtensionTooLong));
    assert_eq!(out, [1]);
    assert_eq!(PacketBuilder::new(Header::default(), &[0; 4]).write(&mut [0; 15]), Err(WriteError::NoRoom));
}

#[test]
fn a_relay_changes_numbers_in_place() {
    let mut bytes = FULL;
    let header = Header { payload_type: 96, marker: false, sequence: 1, timestamp: 2, ssrc: 3 };
    assert!(header.overwrite(&mut bytes));
    let packet = Packet::parse(&bytes).expect("still a packet");
    assert_eq!(packet.header(), header);
    assert_eq!(packet.payload(), [1, 2, 3, 4]);
    assert!(!header.overwrite(&mut [0; 11]));
}

#[test]
fn what_shares_a_port_is_told_apart() {
    assert_eq!(Kind::of(&FULL), Kind::Rtp);
    for packet_type in [192, 200, 201, 202, 203, 204, 205, 206, 207, 223] {
        assert!(is_rtcp(&[0x80, packet_type, 0, 1]), "{packet_type}");
    }
    // Dynamic types with the marker, and 63 and 96 beside the forbidden range.
    for second in [0x80 | 96, 0x80 | 127, 0x80 | 63, 96, 72] {
        assert_eq!(Kind::of(&[0x80, second, 0, 1]), Kind::Rtp, "{second}");
    }
    assert_eq!(Kind::of(&[0, 1, 0, 0]), Kind::Stun);
    assert_eq!(Kind::of(&[16, 0]), Kind::Zrtp);
    assert_eq!(Kind::of(&[22, 254, 253]), Kind::Dtls);
    assert_eq!(Kind::of(&[0x40, 0]), Kind::TurnChannel);
    for noise in [&b""[..], b"\r", b"\r\n\r\n", &[0x80], &[255, 0]] {
        assert_ne!(Kind::of(noise), Kind::Rtp);
        assert!(!is_rtcp(noise));
    }
    assert_eq!(Kind::of(&[]), Kind::Other);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_as_the_reference_reads_them(bytes in proptest::collection::vec(any::<u8>(), 0..80), version in any::<bool>()) {
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = *first & 0x3f | 0x80;
        }
        match (Packet::parse(&bytes), rtp_types::RtpPacket::parse(&bytes)) {
            (Ok(ours), Ok(reference)) => {
                prop_assert_eq!(ours.payload(), reference.payload());
                prop_assert_eq!(ours.extension(), reference.extension());
                prop_assert_eq!(ours.csrcs().collect::<Vec<_>>(), reference.csrc().collect::<Vec<_>>());
                prop_assert_eq!(ours.sequence(), reference.sequence_number());
                prop_assert_eq!(ours.timestamp(), reference.timestamp());
                prop_assert_eq!(ours.ssrc(), reference.ssrc());
                prop_assert_eq!(ours.marker(), reference.marker_bit());
                prop_assert_eq!(ours.payload_type(), reference.payload_type());
            }
            (Err(_), Err(_)) => {}
            (ours, _) => prop_assert!(false, "only one of two reads it: {ours:?}"),
        }
        let _ = Kind::of(&bytes);
    }

    #[test]
    fn a_written_packet_is_read_back(
        payload_type in 0..128u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32,
        csrcs in proptest::collection::vec(any::<u32>(), 0..16),
        extension in proptest::option::of((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..30))),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = Header { payload_type, marker, sequence, timestamp, ssrc };
        let packet = PacketBuilder {
            header,
            csrcs: &csrcs,
            extension: extension.as_ref().map(|(id, bytes)| (*id, bytes.as_slice())),
            payload: &payload,
        };
        let mut bytes = Vec::new();
        packet.append_to(&mut bytes).expect("in range");
        prop_assert_eq!(bytes.len(), packet.len());
        let read = Packet::parse(&bytes).expect("our own");
        prop_assert_eq!(read.header(), header);
        prop_assert_eq!(read.csrcs().collect::<Vec<_>>(), csrcs);
        prop_assert_eq!(read.payload(), payload);
        match (read.extension(), extension) {
            (Some((id, bytes)), Some((expected, words))) => {
                prop_assert_eq!(id, expected);
                prop_assert_eq!(&bytes[..words.len()], &words[..]);
                prop_assert!(bytes[words.len()..].iter().all(|byte| *byte == 0));
            }
            (None, None) => {}
            _ => prop_assert!(false, "an extension came or went"),
        }
    }
}
