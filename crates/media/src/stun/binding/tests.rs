use super::*;
use crate::stun::message::{COOKIE, HEADER};
use proptest::prelude::*;

/// A binding request as a full agent makes it.
pub(crate) fn request(username: &str, password: &str, extra: &[(u16, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, Method::Binding, *b"transaction!")
        .attribute(kind::USERNAME, username.as_bytes())
        .attribute(kind::PRIORITY, &[0x6e, 0, 1, 0xff]);
    for (kind, value) in extra {
        writer = writer.attribute(*kind, value);
    }
    writer.signed(Integrity::Sha1, &Key::short_term(password)).marked().finish()
}

/// The request of RFC 5769 §2.1.
const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74
    002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5
    b2d3f249c1b571a280280004e57a3bcf";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_sample_request_of_rfc_5769_is_understood_and_authentic() {
    let bytes = hex(SAMPLE);
    let binding = Binding::parse(&bytes).unwrap();
    assert_eq!(binding.username, Some(&b"evtj:h6vY"[..]));
    assert!(binding.controlled && !binding.use_candidate && binding.is_signed() && binding.unknown.is_none());
    assert!(binding.is_from(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")));
    assert!(!binding.is_from(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBu")));
}

#[test]
fn the_sample_answers_of_rfc_5769_are_written() {
    let transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
    let answer = |from: &str| {
        let from = from.parse().unwrap();
        Answer::Success(from).write(transaction, Some(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")))
    };
    // The sample has a SOFTWARE attribute before; the address is as in there (§2.2, §2.3).
    assert_eq!(answer("192.0.2.1:32853")[20..32], hex("002000080001a147e112a643"));
    let v6 = answer("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    assert_eq!(v6[20..44], hex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"));
    let mapped = answer("[::ffff:192.0.2.1]:32853");
    assert_eq!(mapped[20..32], hex("002000080001a147e112a643"));
}

#[test]
fn an_error_says_what_was_not_understood() {
    let bytes = Answer::Error(420, Some(0x7fff)).write([1; 12], None);
    assert_eq!(bytes[..4], hex("01110018"));
    assert_eq!(bytes[20..36], hex("0009000400000414 000a00027fff0000"));
}

#[test]
fn a_changed_or_cut_request_is_nothing_or_not_authentic() {
    let bytes = hex(SAMPLE);
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    // The fingerprint at the end is no protection, and may be missing.
    for bit in 0..(bytes.len() - 8) * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!Binding::parse(&bad).is_some_and(|binding| binding.is_from(&key)), "{bit}");
    }
    for length in 0..bytes.len() {
        assert!(Binding::parse(&bytes[..length]).is_none());
    }
}

#[test]
fn what_follows_the_integrity_does_not_count() {
    let mut bytes = hex(SAMPLE);
    bytes.truncate(bytes.len() - 8);
    let bytes = Writer::onto(bytes).attribute(kind::USE_CANDIDATE, &[]).marked().finish();
    let binding = Binding::parse(&bytes).unwrap();
    assert!(!binding.use_candidate);
    assert!(binding.is_from(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")));
}

#[test]
fn an_attribute_that_must_be_understood_is_named() {
    let bytes = request("a:b", "secret", &[(0xc057, &[1, 2]), (0x7001, &[]), (0x7002, &[])]);
    let binding = Binding::parse(&bytes).unwrap();
    assert_eq!(binding.unknown, Some(0x7001));
    assert!(binding.is_from(&Key::short_term("secret")));
}

proptest! {
    #[test]
    fn reading_is_total(mut bytes in prop::collection::vec(any::<u8>(), 0..120), shaped: bool) {
        if shaped && bytes.len() >= HEADER {
            let length = (bytes.len() - HEADER) & !3;
            bytes.truncate(HEADER + length);
            bytes[..2].copy_from_slice(&0x0001_u16.to_be_bytes());
            bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            bytes[4..8].copy_from_slice(&COOKIE);
        }
        if let Some(binding) = Binding::parse(&bytes) {
            prop_assert!(!binding.is_from(&Key::short_term("a password of somebody")));
        }
    }
}
