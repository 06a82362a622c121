//! Takes what is secret out of a message that is to be shown or kept.

/// Writes stars over digest responses (RFC 7616 §3.4) and the keys of encrypted sound (RFC 4568); the length stays.
pub fn mask_secrets(message: &mut [u8]) {
    mask(message, b"inline:");
    mask(message, b"response");
}

/// Covers the value that follows each `name`: after `=` with or without spaces and quotes, or at once.
fn mask(message: &mut [u8], name: &[u8]) {
    let mut rest = message;
    while let Some(at) = rest.windows(name.len()).position(|part| part.eq_ignore_ascii_case(name)) {
        let (_, after) = rest.split_at_mut(at + name.len());
        let value = if name.ends_with(b":") { 0 } else { begin_of_value(after).unwrap_or(after.len()) };
        let (before, value) = after.split_at_mut(value);
        let length = value.iter().position(|byte| b"\"|,;\r\n \t".contains(byte)).unwrap_or(value.len());
        value[..length].fill(b'*');
        // What was no value may have one of the same name in it.
        rest = if value.is_empty() { before } else { value };
    }
}

/// Where the value of a parameter begins, behind its name.
fn begin_of_value(after: &[u8]) -> Option<usize> {
    let skip = |from: usize| from + after[from..].iter().take_while(|byte| b" \t".contains(byte)).count();
    let equals = skip(0);
    let begin = skip((after.get(equals) == Some(&b'=')).then_some(equals + 1)?);
    Some(begin + usize::from(after.get(begin) == Some(&b'"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_responses_and_keys_are_covered_and_nothing_else() {
        let mut message = b"REGISTER sip:pbx SIP/2.0\r\nAuthorization: Digest username=\"alice\", nonce=\"n\", \
            response=\"0123456789abcdef\", cnonce=\"c\"\r\na response to: x\r\nProxy-Authorization: Digest Response = \"aa\", response=ff,qop=auth\r\n\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVC+/=|2^31\r\n"
            .to_vec();
        let length = message.len();
        mask_secrets(&mut message);
        let text = String::from_utf8(message).unwrap();
        assert_eq!(text.len(), length);
        for kept in ["username=\"alice\"", "nonce=\"n\"", "cnonce=\"c\"", "qop=auth", "|2^31"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        for secret in ["0123456789abcdef", "\"aa\"", "=ff", "d0Rm"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
