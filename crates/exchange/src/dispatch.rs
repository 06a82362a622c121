//! Which shard owns a message: a pure function of its bytes, asked before anything is parsed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use offhook_sip::{Name, scan};

use crate::directory::AddressOfRecord;
use crate::proxy::signed_route::{PARAMETER, SignedRoute};

/// The shard, of `shards`, that owns a message. Rules in this order:
///
/// 1. a response: the number in our own branch, which is its top Via's;
/// 2. a request with a Route of ours: the number in that;
/// 3. REGISTER, PUBLISH and SUBSCRIBE: hash of the user in To, as in [`home`];
/// 4. otherwise: the number in a Call-ID of ours, hash of any other.
///
/// A REGISTER may name its account by a number, which only the directory knows: then the shard found here hands it
/// over to its [`home`].
///
/// `None` is what says nothing by which to choose, as keep-alives and noise do: whoever has it may deal with it.
pub fn owner(message: &[u8], shards: u8) -> Option<u8> {
    if shards <= 1 {
        return Some(0);
    }
    let known = if scan::is_response(message) {
        scan::top_via_branch(message).and_then(shard_of_branch)
    } else {
        scan::first_route(message).and_then(shard_of_route)
    };
    if let Some(shard) = known.filter(|shard| *shard < shards) {
        return Some(shard);
    }
    let record = matches!(scan::method(message), Some(b"REGISTER" | b"PUBLISH" | b"SUBSCRIBE"));
    match record.then(|| scan::header(message, Name::To)).flatten() {
        Some(to) => Some(of_user(user(to), shards)),
        None => scan::call_id(message).map(|call| by_call_id(call, shards)),
    }
}

/// The shard, of `shards`, that has the dialogs of ours with this Call-ID, if there are any.
pub(crate) fn of_call(call_id: &str, shards: u8) -> u8 {
    if shards <= 1 { 0 } else { by_call_id(call_id.as_bytes(), shards) }
}

fn by_call_id(call: &[u8], shards: u8) -> u8 {
    shard_of_call(call).filter(|shard| *shard < shards).unwrap_or_else(|| hashed(call, shards))
}

/// The shard, of `shards`, that alone changes the bindings of an address-of-record, so that each has a single writer.
pub fn home(record: &AddressOfRecord, shards: u8) -> u8 {
    if shards <= 1 { 0 } else { of_user(record.user().as_bytes(), shards) }
}

/// By the user alone: phones write the domain as a name, as an address, with a port or without.
fn of_user(user: &[u8], shards: u8) -> u8 {
    hashed(&user.to_ascii_lowercase(), shards)
}

fn hashed(bytes: &[u8], shards: u8) -> u8 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    (hasher.finish() % u64::from(shards)) as u8
}

/// The user of a To value's URI, as written.
fn user(to: &[u8]) -> &[u8] {
    // The last one: a display name in quotes may have another.
    let uri = match to.iter().rposition(|byte| *byte == b'<') {
        Some(open) => &to[open + 1..],
        None => to,
    };
    let uri = uri.split(|byte| matches!(byte, b'>' | b';' | b'?')).next().unwrap_or_default();
    let after_scheme = uri.iter().position(|byte| *byte == b':').map_or(uri, |colon| &uri[colon + 1..]);
    after_scheme.split(|byte| *byte == b'@').next().unwrap_or_default()
}

/// The two hexadecimal digits after the magic cookie.
fn shard_of_branch(branch: &[u8]) -> Option<u8> {
    let digits = branch.strip_prefix(b"z9hG4bK")?.get(..2)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A Call-ID for a leg that we begin: all that comes in its dialogs finds this shard.
pub(crate) fn call_id(shard: u8, random: &str) -> String {
    format!("{CALL}{shard:02x}-{random}")
}

/// The two hexadecimal digits of a Call-ID of ours.
fn shard_of_call(call: &[u8]) -> Option<u8> {
    let digits = call.strip_prefix(CALL.as_bytes())?.split(|byte| *byte == b'-').next()?;
    u8::from_str_radix(std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 2)?, 16).ok()
}

/// How Call-IDs of ours begin.
const CALL: &str = "offhook-";

fn shard_of_route(route: &[u8]) -> Option<u8> {
    let route = std::str::from_utf8(route).ok()?;
    let mut parameters = route.split(['>', ';', '?']).skip(1);
    SignedRoute::peek_shard(parameters.find_map(|one| one.strip_prefix(PARAMETER)?.strip_prefix('='))?)
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
        assert_eq!(owner(&message("SIP/2.0 200 OK", via), 8), Some(5));
    }

    #[test]
    fn a_shard_that_does_not_exist_is_nobodys() {
        let via = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKffaabbccddeeff0011\r\n";
        assert!(owner(&message("SIP/2.0 200 OK", via), 8).is_some_and(|shard| shard < 8));
        assert_eq!((owner(b"junk", 0), owner(b"\r\n\r\n", 2)), (Some(0), None));
    }

    #[test]
    fn registrations_of_one_address_meet_whatever_their_call() {
        let one = message("REGISTER sip:b SIP/2.0", "To: \"A\" <sip:a@b;x=y>;z\r\n");
        for to in ["t: sip:A@b", "To: \"<x\" <sip:a@b>", "To: <sips:a@192.0.2.1:5060;transport=tcp>"] {
            let two = message("REGISTER sip:b SIP/2.0", &format!("{to}\r\n"));
            let two = String::from_utf8(two).unwrap().replace("some@where", "other");
            assert_eq!(owner(&one, 8), owner(two.as_bytes(), 8), "{to}");
        }
    }

    #[test]
    fn a_registration_comes_to_the_home_of_its_address() {
        for user in ["alice", "Bob", "1001", "+49301234567"] {
            let register =
                message("REGISTER sip:example.com SIP/2.0", &format!("To: <sip:{user}@example.com>\r\n"));
            let home = home(&AddressOfRecord::new(user, "example.com"), 7);
            assert_eq!(owner(&register, 7), Some(home), "{user}");
        }
    }

    #[test]
    fn a_request_goes_to_the_shard_in_our_route() {
        let route = "Route: <sip:192.0.2.1;lr;oh=AQX_____;x>, <sip:other;lr>\r\n";
        assert_eq!(owner(&message("BYE sip:a@b SIP/2.0", route), 8), Some(5));
    }

    #[test]
    fn a_call_of_ours_goes_to_the_shard_in_its_call_id() {
        let of = |call_id: &str| {
            let bye = String::from_utf8(message("BYE sip:a@b SIP/2.0", "")).unwrap();
            owner(bye.replace("some@where", call_id).as_bytes(), 8)
        };
        for shard in 0..8 {
            assert_eq!(of(&call_id(shard, "0a1b2c")), Some(shard));
        }
        // Anyone may write one that only looks like ours: it goes to some shard, and always to the same.
        for odd in ["offhook-ff-1", "offhook-0", "offhook-+1-1", "offhook-é-1"] {
            assert!(of(odd).is_some_and(|shard| shard < 8) && of(odd) == of(odd), "{odd}");
        }
    }

    #[test]
    fn requests_of_one_call_meet() {
        let invite = owner(&message("INVITE sip:a@b SIP/2.0", "To: <sip:a@b>\r\n"), 8);
        assert_eq!(owner(&message("CANCEL sip:a@b SIP/2.0", "To: <sip:a@b>\r\n"), 8), invite);
    }
}
