//! Messages and frames as bytes; the vectors of RFC 5769 and RFC 8489 appendix B.

use proptest::prelude::*;

use super::super::frame::LONGEST;
use super::super::{attribute as kind, channel};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
}

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae 802200105354554e207465737420636c69656e74
    002400046e0001ff 80290008932ff9b151263b36 000600096576746a3a68367659202020
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf";
const IPV4_RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
    002000080001a147e112a643 000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96";
const IPV6_RESPONSE: &str = "010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014a382954e4be67bf11784c97c8292c275bfe3ed41
    80280004c8fb0b4c";
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e
    00060012e3839ee38388e383aae38383e382afe382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473 41
    0014000b6578616d706c652e6f726700 00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

#[test]
fn the_request_of_rfc_5769_is_read_and_its_hash_is_right() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.get(kind::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert!(message.is_marked());
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    assert_eq!(message.signed_with(&key), Some(Integrity::Sha1));
    assert_eq!(message.signed_with(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBT")), None);
}

#[test]
fn the_responses_of_rfc_5769_tell_their_addresses() {
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    for (text, told) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = hex(text);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::Binding));
        assert_eq!(message.address(kind::XOR_MAPPED_ADDRESS), Ok(Some(address(told))));
        assert_eq!(message.signed_with(&key), Some(Integrity::Sha1));
    }
}

#[test]
fn the_long_term_request_of_rfc_5769_is_right_with_its_key() {
    let bytes = hex(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    let key = Key::long_term(PasswordAlgorithm::Md5, "マトリックス", "example.org", "TheMatrIX");
    assert_eq!(message.signed_with(&key), Some(Integrity::Sha1));
    let another = Key::long_term(PasswordAlgorithm::Md5, "マトリックス", "example.com", "TheMatrIX");
    assert_eq!(message.signed_with(&another), None);
}

#[test]
fn the_request_of_rfc_8489_is_made_as_its_erratum_has_it() {
    let userhash = hex("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704");
    let written =
        Writer::new(Class::Request, Method::Binding, hex("78ad3433c6ad72c029da412e").try_into().unwrap())
            .attribute(0x001e, &userhash)
            .attribute(kind::NONCE, b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
            .attribute(kind::REALM, b"example.org")
            .attribute(kind::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);
    let key = Key::long_term(PasswordAlgorithm::Sha256, "マトリックス", "example.org", "TheMatrIX");
    let bytes = written.signed(Integrity::Sha256, &key).finish();
    let tag = hex("b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65");
    assert!(bytes.ends_with(&tag), "{bytes:02x?}");
    assert_eq!(Message::parse(&bytes).unwrap().signed_with(&key), Some(Integrity::Sha256));
}

#[test]
fn what_is_written_reads_the_same() {
    let peer = address("[2001:db8::7]:4000");
    let key = Key::short_term("secret");
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        let bytes = Writer::new(Class::Indication, Method::Data, [5; 12])
            .address(kind::XOR_PEER_ADDRESS, peer)
            .attribute(kind::DATA, b"abcde")
            .number(kind::LIFETIME, 600)
            .signed(integrity, &key)
            .marked()
            .finish();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
        assert_eq!(message.transaction(), [5; 12]);
        assert_eq!(message.address(kind::XOR_PEER_ADDRESS), Ok(Some(peer)));
        assert_eq!(message.get(kind::DATA), Some(&b"abcde"[..]));
        assert_eq!(message.number(kind::LIFETIME), Ok(Some(600)));
        assert_eq!(message.signed_with(&key), Some(integrity));
        assert!(message.is_marked());
    }
}

#[test]
fn every_method_and_class_survives_its_type() {
    for number in 0..0x1000 {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let bytes = Writer::new(class, Method::Other(number), [0; 12]).finish();
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.class(), class);
            let same = Writer::new(class, message.method(), [0; 12]).finish();
            assert_eq!(same, bytes);
        }
    }
}

#[test]
fn what_follows_the_hash_does_not_count() {
    let key = Key::short_term("secret");
    let bytes = Writer::new(Class::Request, Method::Refresh, [1; 12])
        .signed(Integrity::Sha1, &key)
        .number(kind::LIFETIME, 0)
        .finish();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.signed_with(&key), Some(Integrity::Sha1));
    assert_eq!(message.number(kind::LIFETIME), Ok(None));
}

#[test]
fn a_wrong_mark_or_one_before_the_end_breaks_the_message() {
    let mut bytes = Writer::new(Class::Request, Method::Binding, [1; 12]).marked().finish();
    assert!(Message::parse(&bytes).is_some());
    let more = Writer::new(Class::Request, Method::Binding, [1; 12]).marked().number(kind::LIFETIME, 1);
    assert!(Message::parse(&more.finish()).is_none());
    bytes[27] ^= 1;
    assert!(Message::parse(&bytes).is_none());
}

#[test]
fn channel_data_is_padded_in_streams_only() {
    assert_eq!(channel::write(0x4001, b"abcde", false), b"\x40\x01\0\x05abcde");
    let padded = channel::write(0x4001, b"abcde", true);
    assert_eq!(padded, b"\x40\x01\0\x05abcde\0\0\0");
    assert_eq!(channel::parse(&padded), Some((0x4001, &b"abcde"[..])));
    assert_eq!(channel::parse(b"\x40\x01\0\x06abcde"), None);
    assert_eq!(channel::parse(b"\x80\x01\0\x01a"), None);
}

#[test]
fn a_stream_is_cut_into_messages() {
    let message = Writer::new(Class::Request, Method::Binding, [1; 12]).marked().finish();
    let padded = channel::write(0x4001, b"abcde", true);
    let mut stream = [message.clone(), padded.clone()].concat();
    assert_eq!(Frame::of(&stream), Frame::Whole { message: 28, all: 28 });
    stream.drain(..28);
    assert_eq!(Frame::of(&stream), Frame::Whole { message: 9, all: 12 });
    for cut in 0..12 {
        assert_eq!(Frame::of(&stream[..cut]), Frame::Incomplete, "{cut}");
    }
    assert_eq!(Frame::of(b"GET / HTTP/1.1"), Frame::Broken);
    assert_eq!(Frame::of(b"\x16"), Frame::Broken);
    assert_eq!(Frame::of(b"\x40\x01\xff\xff"), Frame::Broken, "longer than {LONGEST}");
    assert_eq!(Frame::of(b"\x00\x01\x00\x03"), Frame::Broken);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        #[allow(clippy::disallowed_methods, reason = "any moment will do")]
        fuzz::receive(Instant::now(), &bytes);
    }

    #[test]
    fn nearly_a_message_is_read_without_harm(
        kind in 0_u16..0x0120,
        attributes in proptest::collection::vec((0_u16..0x30, proptest::collection::vec(any::<u8>(), 0..24)), 0..12),
        at in 0_usize..400,
        flip in any::<u8>(),
    ) {
        let class = if kind % 2 == 0 { Class::Request } else { Class::Indication };
        let mut written = Writer::new(class, Method::Other(kind / 8), [3; 12]);
        for (kind, value) in &attributes {
            written = written.attribute(*kind, value);
        }
        let mut bytes = written.marked().finish();
        let whole = Message::parse(&bytes).map(|message| message.attributes().count());
        prop_assert!(whole.is_none_or(|count| count <= attributes.len()));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip;
        }
        #[allow(clippy::disallowed_methods, reason = "any moment will do")]
        fuzz::receive(Instant::now(), &bytes);
    }
}
