use super::*;

pub(in crate::srtp) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn expanded(key: &str, salt: &str, label: u8, length: usize) -> Vec<u8> {
    let mut into = vec![0; length];
    expand(&hex(key), &hex(salt), label, &mut into).unwrap();
    into
}

#[test]
fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
    let of = |label, length| {
        expanded("E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6", label, length)
    };
    assert_eq!(of(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(of(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(of(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn session_keys_of_256_bits_are_those_of_rfc_6188_section_7_3() {
    let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
    let of = |label, length| expanded(key, "3b04803de51ee7c96423ab5b78d2", label, length);
    assert_eq!(of(0, 32), hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
    assert_eq!(of(2, 14), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(of(1, 20), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b_2() {
    let counter = Counter {
        cipher: counter_cipher(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
        auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
        salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap(),
        tag_len: 10,
    };
    let mut stream = [0; 48];
    counter.crypt(0, 0, &mut stream).unwrap();
    let expected =
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream[..], hex(expected));
}

fn galois(key: &str) -> Galois {
    let key = hex(key);
    let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
    Galois {
        key: LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()),
        salt: hex("517569642070726f2071756f").try_into().unwrap(),
    }
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn sealed_rtp_is_that_of_rfc_7714_section_16_1() {
    let packet = hex("8040f17b8041f8d35501a0b2
        47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573");
    let sealed = [
        (
            KEY_128,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            KEY_256,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (key, expected) in sealed {
        let (clear, mut text) = (&packet[..12], packet[12..].to_vec());
        let mut tag = [0; GALOIS_TAG];
        galois(key).seal(0x5501_a0b2, 0xf17b, clear, &mut text, &mut tag).unwrap();
        text.extend_from_slice(&tag);
        assert_eq!(text, hex(expected));
        galois(key).open(0x5501_a0b2, 0xf17b, clear, &mut text).unwrap();
        assert_eq!(text[..packet.len() - 12], packet[12..]);
    }
}

#[test]
fn sealed_rtcp_is_that_of_rfc_7714_section_17_1() {
    let packet = hex("81c8000d4d617273
        4e5450314e54503252545020 0000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
    let clear = hex("81c8000d4d617273 800005d4");
    let mut text = packet[8..].to_vec();
    let mut tag = [0; GALOIS_TAG];
    galois(KEY_128).seal(0x4d61_7273, 0x05d4, &clear, &mut text, &mut tag).unwrap();
    let expected =
        "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468630 3ded0bb9275b";
    assert_eq!(text, hex(expected));
    assert_eq!(tag[..], hex("c84aa45896cf4d2fc5abf87245d9eade"));
}
