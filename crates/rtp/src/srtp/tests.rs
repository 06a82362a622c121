use super::transform::tests::hex;
use super::*;
use crate::packet::{Header, PacketBuilder};
use proptest::prelude::*;

fn key(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..suite.key_len()).map(|n| seed ^ n as u8).collect();
    MasterKey::new(suite, &bytes).unwrap()
}

fn pair(suite: Suite) -> (Outbound, Inbound) {
    let key = key(suite, 0x5a);
    (Outbound::new(suite, &key).unwrap(), Inbound::new(suite, &key).unwrap())
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header { ssrc, sequence, timestamp: u32::from(sequence) * 160, ..Header::default() };
    let mut bytes = Vec::new();
    PacketBuilder::new(header, &[0xd5; 160]).append_to(&mut bytes).unwrap();
    bytes
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x81, 201, 0, 7];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[7; 24]);
    bytes
}

fn protect_rtp(outbound: &mut Outbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + GROWTH, 0);
    let length = outbound.protect_rtp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn protect_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + GROWTH, 0);
    let length = outbound.protect_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn open_rtp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = inbound.open_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

fn open_rtcp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = inbound.open_rtcp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// What other implementations make of the master key of RFC 3711 appendix B.3.
#[test]
fn whole_packets_are_as_others_make_them() {
    let suite = Suite::AesCm128HmacSha1_80;
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(suite, &master).unwrap();
    let (mut outbound, mut inbound) =
        (Outbound::new(suite, &master).unwrap(), Inbound::new(suite, &master).unwrap());
    let packet = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let protected = protect_rtp(&mut outbound, &packet).unwrap();
    let expected = "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb";
    assert_eq!(protected, hex(expected));
    assert_eq!(open_rtp(&mut inbound, &protected), Ok(packet));
    let control = hex("81c8000bcafebabe abababababababababababababababab");
    outbound.rtcp_index_for_test(1);
    let protected = protect_rtcp(&mut outbound, &control);
    let expected = "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798";
    assert_eq!(protected, hex(expected));
    assert_eq!(open_rtcp(&mut inbound, &protected), Ok(control));
}

#[test]
fn what_one_end_protects_the_other_opens_across_rollovers() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        for n in 0..200_000u32 {
            if n % 97 != 0 {
                continue;
            }
            let packet = rtp(1, (65_000 + n) as u16);
            let protected = protect_rtp(&mut outbound, &packet).unwrap();
            assert_eq!(protected.len(), packet.len() + suite.rtp_tag_len());
            assert_ne!(protected[12..172], packet[12..172]);
            assert_eq!(open_rtp(&mut inbound, &protected), Ok(packet), "{suite} {n}");
        }
        for _ in 0..5 {
            let protected = protect_rtcp(&mut outbound, &rtcp(9));
            assert_eq!(protected.len(), 32 + 4 + suite.rtcp_tag_len());
            assert_eq!(open_rtcp(&mut inbound, &protected), Ok(rtcp(9)));
            assert_eq!(open_rtcp(&mut inbound, &protected), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn sources_extension_and_padding_survive() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        // Two contributing sources, an extension of one word, three bytes of padding.
        let packet =
            hex("b2 08 0001 00000010 00000001 0000000a 0000000b bede0001 10aa0000 0102030405 000003");
        let protected = protect_rtp(&mut outbound, &packet).unwrap();
        assert_eq!(protected[..28], packet[..28]);
        assert_eq!(open_rtp(&mut inbound, &protected), Ok(packet));
    }
}

#[test]
fn one_changed_bit_anywhere_is_noticed_and_does_no_harm() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let packet = rtp(1, 1);
        let protected = protect_rtp(&mut outbound, &packet).unwrap();
        let control = protect_rtcp(&mut outbound, &rtcp(1));
        for bit in 0..protected.len() * 8 {
            let mut bad = protected.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open_rtp(&mut inbound, &bad).is_err(), "{suite} {bit}");
        }
        for bit in 0..control.len() * 8 {
            let mut bad = control.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open_rtcp(&mut inbound, &bad).is_err(), "{suite} {bit}");
        }
        assert_eq!(inbound.sources(), 0);
        assert_eq!(open_rtp(&mut inbound, &protected), Ok(packet));
        assert_eq!(open_rtp(&mut inbound, &protected), Err(SrtpError::Replayed));
        assert_eq!(open_rtcp(&mut inbound, &control), Ok(rtcp(1)));
    }
}

#[test]
fn a_number_is_not_used_twice_for_what_we_send() {
    let (mut outbound, _) = pair(Suite::AeadAes128Gcm);
    protect_rtp(&mut outbound, &rtp(1, 7)).unwrap();
    assert_eq!(protect_rtp(&mut outbound, &rtp(1, 7)), Err(SrtpError::Replayed));
    assert!(protect_rtp(&mut outbound, &rtp(2, 7)).is_ok());
}

#[test]
fn another_key_opens_nothing() {
    for suite in Suite::ALL {
        let (mut outbound, _) = pair(suite);
        let mut other = Inbound::new(suite, &key(suite, 0x5b)).unwrap();
        let protected = protect_rtp(&mut outbound, &rtp(1, 1)).unwrap();
        assert_eq!(open_rtp(&mut other, &protected), Err(SrtpError::Unauthentic));
    }
}

#[test]
fn a_key_of_another_suite_does_not_fit() {
    let short = key(Suite::AeadAes128Gcm, 1);
    assert!(Outbound::new(Suite::AesCm128HmacSha1_80, &short).is_none());
    assert!(Inbound::new(Suite::AeadAes256Gcm, &short).is_none());
}

#[test]
fn there_must_be_room_for_the_tag() {
    let (mut outbound, _) = pair(Suite::AesCm128HmacSha1_80);
    let mut packet = rtp(1, 1);
    let length = packet.len();
    assert_eq!(outbound.protect_rtp(&mut packet, length), Err(SrtpError::NoRoom));
    assert_eq!(outbound.protect_rtp(&mut packet, length + 1), Err(SrtpError::NoRoom));
    // Nothing was noted of the failed one.
    packet.resize(length + 10, 0);
    assert_eq!(outbound.protect_rtp(&mut packet, length), Ok(length + 10));
}

proptest! {
    #[test]
    fn opening_is_total(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
        for suite in Suite::ALL {
            let (mut outbound, mut inbound) = pair(suite);
            for packet in &packets {
                prop_assert!(open_rtp(&mut inbound, packet).is_err());
                prop_assert!(open_rtcp(&mut inbound, packet).is_err());
                let mut buffer = packet.clone();
                buffer.resize(packet.len() + GROWTH, 0);
                let _ = outbound.protect_rtp(&mut buffer, packet.len());
                let _ = outbound.protect_rtcp(&mut buffer, packet.len());
            }
        }
    }
}
