//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use crate::locate::{Enumerated, Enumeration, Naptr, Records};

/// Looks for a number whose record has this substitution expression (RFC 3402 §3.2): a stranger has written it.
pub fn naptr(bytes: &[u8]) {
    let Some((mut search, _)) = Enumeration::start("+493012345", "e164.arpa") else { return };
    let record = Naptr {
        order: 1,
        preference: 1,
        flags: "u".to_owned(),
        service: "E2U+sip".to_owned(),
        regexp: String::from_utf8_lossy(bytes).into_owned(),
        replacement: String::new(),
    };
    match search.answer(Ok(Records::Naptr(vec![record]))) {
        Enumerated::Ask(question) => unreachable!("a last rule leads to no question: {question}"),
        Enumerated::Found(uri) => assert!(uri.to_string().len() <= 4096),
        Enumerated::Nothing(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_expressions_are_survived(text in "!\\PC{0,80}!\\PC{0,80}!i?", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            naptr(text.as_bytes());
            naptr(&bytes);
        }
    }
}
