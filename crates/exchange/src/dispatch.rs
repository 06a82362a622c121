//! Which shard owns a message: a pure function of its bytes, asked before anything is parsed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use offhook_sip::{Name, scan};

use crate::proxy::signed_route::{PARAMETER, SignedRoute};

/// The shard, of `shards`, that owns a message. Rules in this order:
///
/// 1. a response: the number in our own branch, which is its top Via's;
/// 2. a request with a Route of ours: the number in that;
/// 3. REGISTER, PUBLISH and SUBSCRIBE: hash of the address in To, so that each record has a single writer;
/// 4. otherwise: hash of the Call-ID.
pub fn owner(message: &[u8], shards: u8) -> u8 {
    let shards = shards.max(1);
    let known = if scan::is_response(message) {
        scan::top_via_branch(message).and_then(shard_of_branch)
    } else {
        scan::first_route(message).and_then(shard_of_route)
    };
    if let Some(shard) = known.filter(|shard| *shard < shards) {
        return shard;
    }
    let record = matches!(scan::method(message), Some(b"REGISTER" | b"PUBLISH" | b"SUBSCRIBE"));
    let mut hasher = DefaultHasher::new();
    match scan::header(message, Name::To).filter(|_| record) {
        Some(to) => address(to).to_ascii_lowercase().hash(&mut hasher),
        None => scan::call_id(message).unwrap_or_default().hash(&mut hasher),
    }
    (hasher.finish() % u64::from(shards)) as u8
}

/// The URI of a To value, without its parameters.
fn address(to: &[u8]) -> &[u8] {
    // The last one: a display name in quotes may have another.
    let uri = match to.iter().rposition(|byte| *byte == b'<') {
        Some(open) => &to[open + 1..],
        None => to,
    };
    uri.split(|byte| matches!(byte, b'>' | b';' | b'?')).next().unwrap_or_default()
}

/// The two hexadecimal digits after the magic cookie.
fn shard_of_branch(branch: &[u8]) -> Option<u8> {
    let digits = branch.strip_prefix(b"z9hG4bK")?.get(..2)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn shard_of_route(route: &[u8]) -> Option<u8> {
    let route = std::str::from_utf8(route).ok()?;
    let (_, rest) = route.split_once(&format!(";{PARAMETER}="))?;
    SignedRoute::peek_shard(rest.split(['>', ';', '?']).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, headers: &str) -> Vec<u8> {
        format!("{start}\r\n{headers}Call-ID: some@where\r\n\r\n").into_bytes()
    }

    #[test]
    fn a_response_goes_to_the_shard_in_our_branch() {
        let via = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK05aabbccddeeff0011.77\r\n";
        assert_eq!(owner(&message("SIP/2.0 200 OK", via), 8), 5);
    }

    #[test]
    fn a_shard_that_does_not_exist_is_nobodys() {
        let via = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKffaabbccddeeff0011\r\n";
        assert!(owner(&message("SIP/2.0 200 OK", via), 8) < 8);
        assert_eq!(owner(b"junk", 0), 0);
    }

    #[test]
    fn registrations_of_one_address_meet_whatever_their_call() {
        let one = message("REGISTER sip:b SIP/2.0", "To: \"A\" <sip:a@b;x=y>;z\r\n");
        for to in ["t: sip:A@b", "To: \"<x\" <sip:a@b>"] {
            let two = message("REGISTER sip:b SIP/2.0", &format!("{to}\r\n"));
            let two = String::from_utf8(two).unwrap().replace("some@where", "other");
            assert_eq!(owner(&one, 8), owner(two.as_bytes(), 8), "{to}");
        }
    }

    #[test]
    fn requests_of_one_call_meet() {
        let invite = owner(&message("INVITE sip:a@b SIP/2.0", "To: <sip:a@b>\r\n"), 8);
        assert_eq!(owner(&message("CANCEL sip:a@b SIP/2.0", "To: <sip:a@b>\r\n"), 8), invite);
    }
}
