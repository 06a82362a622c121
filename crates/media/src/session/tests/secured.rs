//! Sessions with SRTP.

use super::*;
use offhook_rtp::srtp::{Inbound, MasterKey, Suite};

fn key(suite: Suite, byte: u8) -> MasterKey {
    MasterKey::random(suite, |bytes| bytes.fill(byte))
}

/// Keys of two ends, which protect with the keys of these bytes.
fn keys(suite: Suite, ours: u8, theirs: u8) -> Protection {
    Protection::Sdes { suite, ours: key(suite, ours), theirs: key(suite, theirs) }
}

fn pair(a: Protection, b: Protection) -> Pair {
    Pair::new(Settings { protection: a, ..settings(B) }, Settings { protection: b, ..settings(A) })
}

#[test]
fn with_every_suite_both_hear_each_other_and_nothing_is_in_the_clear() {
    for suite in Suite::ALL {
        let mut pair = pair(keys(suite, 1, 2), keys(suite, 2, 1));
        let sent = pair.run(12_000);
        assert_eq!((pair.hz(0), pair.hz(1)), (700.0, 440.0), "{suite}");
        let statistics = pair.ends[0].session.statistics();
        assert_eq!((statistics.srtp, statistics.unauthentic, statistics.lost), (Some(suite), 0, 0));
        assert!(statistics.round_trip.is_some(), "reports were understood");
        let mut inbound = Inbound::new(suite, &key(suite, 1)).unwrap();
        for (_, packet) in sent.iter().filter(|(n, packet)| *n == 0 && packet.from == Component::Rtp) {
            let mut bytes = packet.bytes.clone();
            let length = inbound.open_rtp(&mut bytes).unwrap();
            assert_eq!(length + suite.rtp_tag_len(), packet.bytes.len());
            assert_ne!(bytes[12..length], packet.bytes[12..length]);
        }
    }
}

#[test]
fn what_another_key_protects_is_counted_and_not_heard() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = pair(keys(suite, 1, 2), keys(suite, 3, 1));
    pair.run(8000);
    assert_eq!((pair.hz(0), pair.hz(1)), (0.0, 440.0));
    let statistics = pair.ends[0].session.statistics();
    assert_eq!((statistics.received, statistics.mos), (0, None));
    assert!(statistics.unauthentic >= 398, "{statistics:?}");
    assert_eq!(pair.ends[0].events, [], "nothing is learnt from it");
}

#[test]
fn what_is_not_protected_is_counted_and_not_heard_and_a_protected_goodbye_needs_the_key() {
    let suite = Suite::AeadAes128Gcm;
    let mut pair = pair(keys(suite, 1, 2), Protection::Plain);
    pair.run(2000);
    assert_eq!(pair.hz(0), 0.0);
    let statistics = pair.ends[0].session.statistics();
    assert_eq!(statistics.received, 0);
    assert!(statistics.unauthentic >= 98, "{statistics:?}");
    let mut out = Outbox::default();
    pair.ends[0].session.end(pair.now, &mut out);
    pair.take(0, out, &mut Vec::new());
    pair.run(100);
    assert!(!pair.ends[1].events.contains(&Event::Left));
}

#[test]
fn keys_that_do_not_fit_their_suite_let_nothing_pass() {
    let suite = Suite::AesCm128HmacSha1_80;
    let wrong = Protection::Sdes { suite, ours: key(Suite::AeadAes256Gcm, 1), theirs: key(suite, 2) };
    let mut pair = pair(wrong, Protection::Plain);
    let sent = pair.run(6000);
    assert!(sent.iter().all(|(n, _)| *n == 1));
    assert_eq!(pair.hz(0), 0.0);
}

#[test]
fn a_new_key_is_used_at_once_and_the_old_one_is_good_for_packets_under_way() {
    let (first, second) = (Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm);
    let mut pair = pair(keys(first, 1, 2), keys(first, 2, 1));
    pair.run(2000);
    // The answerer changes first, as its answer is still on its way.
    pair.ends[1].session.configure(pair.now, Settings { protection: keys(second, 4, 3), ..settings(A) });
    pair.ends[0].session.configure(pair.now, Settings { protection: keys(second, 3, 4), ..settings(B) });
    pair.run(2000);
    let statistics = pair.ends.each_ref().map(|end| end.session.statistics());
    for one in &statistics {
        assert_eq!((one.srtp, one.unauthentic, one.lost), (Some(second), 0, 0));
    }
    assert_eq!((pair.hz(0), pair.hz(1)), (700.0, 440.0));
}

#[test]
fn keys_dialled_and_a_hold_pass_a_protected_session() {
    let suite = Suite::AesCm128HmacSha1_32;
    let mut pair = pair(keys(suite, 1, 2), keys(suite, 2, 1));
    pair.run(1000);
    pair.ends[0].session.dial('7', Duration::from_millis(100));
    pair.run(1000);
    assert_eq!(digits(&pair.ends[1].events), "7");
    let held = Settings { protection: keys(suite, 1, 2), sends: false, receives: false, ..settings(B) };
    pair.ends[0].session.configure(pair.now, held);
    pair.run(2000);
    pair.ends[0].session.configure(pair.now, Settings { protection: keys(suite, 1, 2), ..settings(B) });
    pair.run(500);
    // What was heard while it changed is forgotten.
    pair.ends.iter_mut().for_each(|end| end.heard.clear());
    pair.run(2000);
    assert_eq!((pair.hz(0), pair.hz(1)), (700.0, 440.0));
    assert_eq!(pair.ends[0].session.statistics().unauthentic, 0);
}

#[test]
fn a_copy_of_a_packet_is_neither_heard_nor_counted_as_foreign() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = pair(keys(suite, 1, 2), keys(suite, 2, 1));
    let sent = pair.run(1000);
    let before = pair.ends[1].session.statistics();
    let mut out = Outbox::default();
    for (_, packet) in sent.iter().filter(|(n, packet)| *n == 0 && packet.from == Component::Rtp) {
        pair.ends[1].session.receive_rtp(pair.now, address("203.0.113.66:4000"), &packet.bytes, &mut out);
    }
    // Those that were still under way are good once, but come from a stranger.
    let after = pair.ends[1].session.statistics();
    assert_eq!((after.received, after.unauthentic), (before.received, 0));
    assert!(after.foreign <= 2 && out.events.is_empty(), "{after:?}");
}
