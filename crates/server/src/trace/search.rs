//! What of the rings belongs to a call, or came since the last look.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use offhook_sip::scan;
use offhook_sip_stack::ladder::{Way, mask_secrets};
use offhook_web::trace::{Entry, Followed, Found, Passed, What};

use super::Excerpt;
use super::recorder;

/// Everything that belongs to the call with this Call-ID, or with the only one that begins so.
pub(crate) fn ladder(excerpts: &[Excerpt], wanted: &str) -> Found {
    let calls = match named(excerpts, wanted) {
        calls if calls.len() == 1 => related(excerpts, calls),
        calls => return Found { calls: calls.into_iter().take(NAMED).collect(), ..Found::default() },
    };
    let entries = entries(excerpts, |call| calls.contains(call));
    Found { calls: calls.into_iter().collect(), entries }
}

/// Everything that came since the last look, and where to begin the next.
pub(crate) fn follow(excerpts: &[Excerpt]) -> Followed {
    Followed {
        entries: entries(excerpts, |_| true),
        next: excerpts.iter().map(|excerpt| excerpt.next).collect(),
        gap: excerpts.iter().any(Excerpt::has_gap),
    }
}

/// The Call-IDs that are or begin so; without one, that of the last call.
fn named(excerpts: &[Excerpt], wanted: &str) -> BTreeSet<String> {
    if wanted.is_empty() {
        return last_call(excerpts).into_iter().collect();
    }
    let mut begin_so = BTreeSet::new();
    for (_, entry) in excerpts.iter().flat_map(Excerpt::entries) {
        let call = call_of(&entry);
        if call == wanted {
            return [call.to_owned()].into();
        }
        if call.starts_with(wanted) && begin_so.len() <= NAMED {
            begin_so.insert(call.to_owned());
        }
    }
    begin_so
}

fn last_call(excerpts: &[Excerpt]) -> Option<String> {
    let is_invite = |entry: &recorder::Entry<'_>| match entry {
        recorder::Entry::Message { way: Way::Received, bytes, .. } => {
            scan::method(bytes) == Some(b"INVITE") && scan::to_tag(bytes).is_none()
        }
        recorder::Entry::Message { .. } | recorder::Entry::Leg { .. } | recorder::Entry::Note { .. } => false,
    };
    let invites = excerpts.iter().flat_map(Excerpt::entries).filter(|(_, entry)| is_invite(entry));
    invites.max_by_key(|(at, _)| *at).map(|(_, entry)| call_of(&entry).to_owned())
}

/// Those of the same call: legs, and legs of legs.
fn related(excerpts: &[Excerpt], mut calls: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let before = calls.len();
        for (_, entry) in excerpts.iter().flat_map(Excerpt::entries) {
            if let recorder::Entry::Leg { call, leg } = entry
                && (calls.contains(call) || calls.contains(leg))
                && calls.len() < MOST_LEGS
            {
                calls.extend([call.to_owned(), leg.to_owned()]);
            }
        }
        if calls.len() == before {
            return calls;
        }
    }
}

fn entries(excerpts: &[Excerpt], wanted: impl Fn(&str) -> bool) -> Vec<Entry> {
    let wanted = |(at, entry): (Duration, recorder::Entry<'_>)| {
        let call = call_of(&entry);
        wanted(call).then(|| Entry { at, call: call.to_owned(), what: what(entry) })
    };
    let mut entries: Vec<Entry> = excerpts.iter().flat_map(Excerpt::entries).filter_map(wanted).collect();
    // Stable: what one shard did at one moment stays in its order.
    entries.sort_by_key(|entry| entry.at);
    entries
}

/// Whose it is; nothing for what has no Call-ID.
fn call_of<'a>(entry: &recorder::Entry<'a>) -> &'a str {
    match entry {
        recorder::Entry::Message { bytes, .. } => {
            scan::call_id(bytes).and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
        }
        recorder::Entry::Leg { call, .. } | recorder::Entry::Note { call, .. } => call,
    }
}

fn what(entry: recorder::Entry<'_>) -> What {
    match entry {
        recorder::Entry::Message { way, flow, bytes, cut } => {
            let mut masked = bytes.to_vec();
            mask_secrets(&mut masked);
            What::Message(Passed { way, flow, bytes: Bytes::from(masked), cut })
        }
        recorder::Entry::Leg { leg, .. } => What::Leg(leg.to_owned()),
        recorder::Entry::Note { text, .. } => What::Note(text.to_owned()),
    }
}

/// How many are named when it is not clear which one is meant.
const NAMED: usize = 10;
const MOST_LEGS: usize = 256;

#[cfg(test)]
mod tests {
    use offhook_sip_stack::{Flow, Transport};

    use super::super::Recorder;
    use super::*;

    fn message(recorder: &mut Recorder, at: u64, call: &str) {
        let address = "192.0.2.1:5060".parse().unwrap();
        let flow = Flow { transport: Transport::Udp, local: address, remote: address, connection: None };
        let bytes = format!(
            "OPTIONS sip:a SIP/2.0\r\nAuthorization: Digest response=\"beef\"\r\nCall-ID: {call}\r\n\r\n"
        );
        recorder.message(Duration::from_secs(at), Way::Received, &flow, bytes.as_bytes());
    }

    fn rings() -> Vec<Excerpt> {
        let (mut one, mut other) = (Recorder::new(1 << 20), Recorder::new(1 << 20));
        message(&mut one, 1, "abc");
        one.leg(Duration::from_secs(2), "abc", "offhook-00-1");
        message(&mut other, 3, "offhook-00-1");
        message(&mut one, 4, "abc");
        message(&mut other, 2, "abd");
        [one, other].iter().map(|one| one.since(0)).collect()
    }

    #[test]
    fn the_legs_of_a_call_are_shown_together_in_their_order_without_secrets() {
        for wanted in ["abc", "offhook-00-1", "offhook"] {
            let found = ladder(&rings(), wanted);
            assert_eq!(found.calls, ["abc", "offhook-00-1"]);
            let times: Vec<u64> = found.entries.iter().map(|entry| entry.at.as_secs()).collect();
            assert_eq!(times, [1, 2, 3, 4], "{wanted}");
            let What::Message(passed) = &found.entries[0].what else { panic!() };
            assert!(passed.bytes.ends_with(b"response=\"****\"\r\nCall-ID: abc\r\n\r\n"));
        }
    }

    #[test]
    fn a_beginning_that_several_calls_share_names_them() {
        let found = ladder(&rings(), "ab");
        assert_eq!((found.calls, found.entries.len()), (vec!["abc".to_owned(), "abd".to_owned()], 0));
        assert!(ladder(&rings(), "x").calls.is_empty());
    }

    #[test]
    fn without_a_call_id_the_last_call_is_meant() {
        let mut rings = rings();
        assert!(ladder(&rings, "").calls.is_empty(), "OPTIONS is no call");
        let mut ring = Recorder::new(1 << 20);
        for (at, call) in [(7, "late"), (6, "early")] {
            let address = "192.0.2.1:5060".parse().unwrap();
            let flow = Flow { transport: Transport::Udp, local: address, remote: address, connection: None };
            let bytes = format!("INVITE sip:a SIP/2.0\r\nTo: <sip:a>\r\nCall-ID: {call}\r\n\r\n");
            ring.message(Duration::from_secs(at), Way::Received, &flow, bytes.as_bytes());
        }
        rings.push(ring.since(0));
        assert_eq!(ladder(&rings, "").calls, ["late"]);
    }
}
