//! `Crypto`: a key as a line of SDP, `a=crypto` (RFC 4568 §4).

use super::{MasterKey, Suite};

/// One line: a key, what it is for, and the number by which an answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// The number: of an offered line, or of the one that an answer takes.
    pub tag: u32,
    /// What the key is for.
    pub suite: Suite,
    /// What the writer of the line protects with.
    pub key: MasterKey,
}

impl Crypto {
    /// Reads the value of the attribute: `TAG SUITE inline:…`. `None`: it is no such line, or its suite, key or session
    /// parameters cannot be used, and it is to be passed over (RFC 4568 §6.3.7).
    #[must_use]
    pub fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = Suite::from_name(words.next()?)?;
        let key = MasterKey::from_inline(suite, words.next()?).ok()?;
        // Only a hint for the size of a window may be left alone.
        words.all(|parameter| parameter.starts_with("WSH=")).then_some(Crypto { tag, suite, key })
    }

    /// Lines with new keys for an offer, for all of [`Suite::OFFERED`]. `fill` writes random bytes fit for secrets.
    #[must_use]
    pub fn offer(mut fill: impl FnMut(&mut [u8])) -> Vec<Crypto> {
        let line = |(tag, suite)| Crypto { tag, suite, key: MasterKey::random(suite, &mut fill) };
        (1..).zip(Suite::OFFERED).map(line).collect()
    }

    /// The value of the attribute. It is a secret: write it nowhere but into SDP.
    #[must_use]
    pub fn to_value(&self) -> String {
        format!("{} {} {}", self.tag, self.suite, self.key.to_inline())
    }
}

/// Writes stars over the keys (`inline:…`) in a message that is to be shown or kept; its length stays.
pub fn mask_keys(message: &mut [u8]) {
    let mut rest = message;
    while let Some(at) = rest.windows(INLINE.len()).position(|part| part.eq_ignore_ascii_case(INLINE)) {
        let (_, after) = rest.split_at_mut(at + INLINE.len());
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let length = after.iter().position(|byte| !is_key(byte)).unwrap_or(after.len());
        after[..length].fill(b'*');
        rest = after;
    }
}

const INLINE: &[u8] = b"inline:";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn a_line_is_read_and_written_as_sdp_has_it() {
        let value = format!("7 AES_CM_128_HMAC_SHA1_80 {KEY}");
        let line = Crypto::parse(&value).unwrap();
        assert_eq!((line.tag, line.suite), (7, Suite::AesCm128HmacSha1_80));
        assert_eq!(line.to_value(), value);
        assert_eq!(Crypto::parse(&format!("7 aes_cm_128_hmac_sha1_80 {KEY}|2^31 WSH=128")), Some(line));
    }

    #[test]
    fn a_line_that_cannot_be_used_is_passed_over() {
        for value in [
            format!("AES_CM_128_HMAC_SHA1_80 {KEY}"),
            format!("-1 AES_CM_128_HMAC_SHA1_80 {KEY}"),
            format!("1 F8_128_HMAC_SHA1_80 {KEY}"),
            format!("1 AES_256_CM_HMAC_SHA1_80 {KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} UNENCRYPTED_SRTP"),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(Crypto::parse(&value), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_and_masking_are_total(value in ".*", tag: u32, rest in "[ -~]*") {
            for value in [value, format!("{tag} AES_CM_128_HMAC_SHA1_80 {KEY}{rest}")] {
                if let Some(line) = Crypto::parse(&value) {
                    assert_eq!(Crypto::parse(&line.to_value()), Some(line));
                }
                let mut masked = value.clone().into_bytes();
                mask_keys(&mut masked);
                assert_eq!(masked.len(), value.len());
            }
        }
    }

    #[test]
    fn keys_are_written_over_and_nothing_else_is() {
        let mut message =
            b"a=crypto:1 S inline:d0/+=|2^20 WSH=64\r\na=x:1\r\na=crypto:2 S INLINE:abc\r\ninline:Z".to_vec();
        mask_keys(&mut message);
        let masked = b"a=crypto:1 S inline:*****|2^20 WSH=64\r\na=x:1\r\na=crypto:2 S INLINE:***\r\ninline:*";
        assert_eq!(message, masked);
    }

    #[test]
    fn an_offer_has_a_key_of_its_own_for_each_suite() {
        let mut byte = 0;
        let lines = Crypto::offer(|bytes| {
            byte += 1;
            bytes.fill(byte);
        });
        let named: Vec<_> = lines.iter().map(|line| (line.tag, line.suite)).collect();
        assert_eq!(named, (1..).zip(Suite::OFFERED).collect::<Vec<_>>());
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(Crypto::parse(&line.to_value()).as_ref(), Some(line));
            assert!(lines[..at].iter().all(|other| other.key != line.key));
        }
    }
}
