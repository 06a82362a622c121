use super::*;

/// RFC 4568 §6.1's own key of 30 bytes.
const INLINE: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const SUITE: Suite = Suite::AesCm128HmacSha1_80;

#[test]
fn a_key_is_read_and_written_as_sdp_has_it() {
    let key = MasterKey::from_inline(SUITE, INLINE).unwrap();
    let (cipher, salt) = key.split(SUITE).unwrap();
    assert_eq!((cipher, salt), (&b"wDfvg&T+)xG7@fb5"[..], &b"jU,RaA}\\|p0%*#"[..]));
    assert_eq!(key.to_inline(), INLINE);
    for suite in Suite::ALL {
        let bytes: Vec<u8> = (0..).take(suite.key_len()).collect();
        let key = MasterKey::new(suite, &bytes).unwrap();
        assert_eq!(MasterKey::from_inline(suite, &key.to_inline()), Ok(key.clone()));
        assert_eq!(MasterKey::from_inline(suite, key.to_inline().trim_end_matches('=')), Ok(key));
    }
}

#[test]
fn a_lifetime_is_checked_and_a_key_identifier_refused() {
    let read = |rest: &str| MasterKey::from_inline(SUITE, &format!("{INLINE}{rest}"));
    for good in ["", "|2^20", "|2^48", "|1048576"] {
        assert!(read(good).is_ok(), "{good}");
    }
    for bad in ["|2^49", "|0", "|-1", "|+1", "|", "|2^", "|2^20|2^20", "|x"] {
        assert_eq!(read(bad), Err(InlineError::Lifetime), "{bad}");
    }
    assert_eq!(read("|2^20|1:4"), Err(InlineError::KeyIdentifier));
    assert_eq!(read("|1:4"), Err(InlineError::KeyIdentifier));
    assert_eq!(read(&format!("|1:4;{INLINE}|2:4")), Err(InlineError::SeveralKeys));
}

#[test]
fn a_key_that_does_not_fit_is_an_error_that_says_what_fits() {
    let of = |text: &str| MasterKey::from_inline(SUITE, text);
    assert_eq!(of(""), Err(InlineError::Method));
    assert_eq!(of("uri:d0Rm"), Err(InlineError::Method));
    assert_eq!(of("inline:"), Err(InlineError::Length { expected: 30 }));
    assert_eq!(of("inline:d0Rm"), Err(InlineError::Length { expected: 30 }));
    assert_eq!(of("inline:d0R$"), Err(InlineError::Base64));
    assert!(of(&format!("inline:{}", "A".repeat(100_000))).is_err());
    let other = MasterKey::from_inline(Suite::AeadAes128Gcm, INLINE);
    assert_eq!(other.unwrap_err().to_string(), "expected 28 bytes of key and salt");
}

#[test]
fn a_key_does_not_print() {
    let key = MasterKey::from_inline(SUITE, INLINE).unwrap();
    assert_eq!(format!("{key:?}"), "MasterKey(…)");
}

#[test]
fn suites_have_the_names_and_lengths_of_their_rfcs() {
    for suite in Suite::ALL {
        assert_eq!(Suite::from_name(suite.name()), Some(suite));
    }
    assert_eq!(Suite::from_name("aes_cm_128_hmac_sha1_80"), Some(SUITE));
    assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), None);
    assert_eq!((SUITE.key_len(), Suite::AesCm256HmacSha1_32.key_len()), (30, 46));
    assert_eq!((Suite::AeadAes128Gcm.key_len(), Suite::AeadAes256Gcm.key_len()), (28, 44));
}
