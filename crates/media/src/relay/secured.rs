//! Tests: calls between protected phones through a relay, in virtual time.

mod attacks;
mod ice;
mod phone;
mod pictures;

use crate::command::*;
use crate::relay::{Config, Relay};
use SideName::{A, B};
use dimpl::SrtpProfile;
use phone::{STREAM, World, identity, key, phones_identity, rtcp, rtp, sdes};
use std::time::Duration;

fn dtls(role: DtlsRole) -> Protection {
    Protection::Dtls { role, fingerprint: phones_identity().fingerprint() }
}

/// A phone that does DTLS in `role` towards the relay, and a plain one.
fn with_dtls(role: DtlsRole, version: u8) -> World {
    let ours = if role == DtlsRole::Client { DtlsRole::Server } else { DtlsRole::Client };
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(ours));
    let now = world.now;
    world.phones[0].use_dtls(now, role, version, &phones_identity());
    world
}

fn secured(side: SideName) -> Report {
    Report::Secured { stream: STREAM, side }
}

#[test]
fn a_protected_phone_talks_with_a_plain_one_under_every_suite() {
    for suite in Suite::ALL {
        let mut world = World::new(|sides| sides[0].remote.protection = sdes(suite, 1, 2));
        world.phones[0].use_sdes(suite, 1, 2);
        for _ in 0..50 {
            assert!(world.both_hear(), "{suite}");
        }
        let report = world.phones[0].protect(rtcp(9));
        world.say(A, report);
        assert_eq!(world.phones[1].heard.last(), Some(&rtcp(9)));
        world.say(B, rtcp(8));
        assert_eq!(world.phones[0].heard.last(), Some(&rtcp(8)));
        let [a, b] = [A, B].map(|name| world.counters(name));
        assert_eq!((a.received, a.rtcp, a.forwarded, a.unauthentic), (50, 1, 51, 0));
        assert_eq!((b.received, b.rtcp, b.forwarded), (50, 1, 51));
    }
}

#[test]
fn two_protected_phones_talk_each_with_keys_of_its_own() {
    let (a, b) = (Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_32);
    let mut world = World::new(|sides| {
        sides[0].remote.protection = sdes(a, 1, 2);
        sides[1].remote.protection = sdes(b, 3, 4);
    });
    world.phones[0].use_sdes(a, 1, 2);
    world.phones[1].use_sdes(b, 3, 4);
    // Longer than one round of the sequence numbers.
    for _ in 0..70_000 {
        assert!(world.both_hear());
    }
}

#[test]
fn a_plain_call_goes_on_untouched() {
    let mut world = World::new(|_| {});
    let packet = rtp(1, 1);
    let (now, from) = (world.now, world.phones[0].address);
    let forward = world.relay.forward(now, 20000, from, &packet, &mut world.out).unwrap();
    assert_eq!((forward.from_port, forward.changed), (20002, None));
}

#[test]
fn a_handshake_brings_keys_in_both_roles_and_versions() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        for version in [12, 13, 0] {
            let mut world = with_dtls(role, version);
            world.pass(Duration::from_secs(1));
            assert!(world.reports.contains(&secured(A)), "{role:?} {version}: {:?}", world.reports);
            assert_eq!(world.phones[0].profile, Some(SrtpProfile::AEAD_AES_256_GCM));
            for _ in 0..10 {
                assert!(world.both_hear(), "{role:?} {version}");
            }
        }
    }
}

#[test]
fn two_phones_with_dtls_are_bridged() {
    let mut world = World::new(|sides| {
        sides[0].remote.protection = dtls(DtlsRole::Server);
        sides[1].remote.protection = dtls(DtlsRole::Client);
    });
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Client, 13, &phones_identity());
    world.phones[1].use_dtls(now, DtlsRole::Server, 12, &phones_identity());
    world.pass(Duration::from_secs(1));
    assert!(world.both_hear());
    world.pass(Duration::from_secs(600));
    assert!(world.both_hear());
}

#[test]
fn a_handshake_ends_although_datagrams_are_lost() {
    let losses: [fn(u32) -> bool; 4] =
        [|n| n % 3 == 0, |n| n % 4 == 1, |n| matches!(n, 1 | 2 | 5), |n| (6..9).contains(&n)];
    for role in [DtlsRole::Client, DtlsRole::Server] {
        for version in [12, 13] {
            for (at, lose) in losses.into_iter().enumerate() {
                let mut world = with_dtls(role, version);
                world.lose = lose;
                world.pass(Duration::from_secs(29));
                assert!(world.reports.contains(&secured(A)), "{role:?} {version} {at}");
                assert!(world.both_hear(), "{role:?} {version} {at}");
            }
        }
    }
}

#[test]
fn nothing_passes_before_the_handshake_and_nothing_is_sent_in_the_clear() {
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Server));
    world.phones[0].protected = true;
    assert!(!world.is_heard(A));
    assert!(!world.is_heard(B));
    assert_eq!((world.phones[0].heard.len(), world.phones[0].noise), (0, 0));
    assert_eq!(world.counters(A).unauthentic, 1);
    assert_eq!(world.counters(B).undeliverable, 1);
}

#[test]
fn a_wrong_certificate_ends_the_call_and_lets_no_media_pass() {
    for (role, ours) in [(DtlsRole::Client, DtlsRole::Server), (DtlsRole::Server, DtlsRole::Client)] {
        let mut world = World::new(|sides| {
            let fingerprint = identity().fingerprint();
            sides[0].remote.protection = Protection::Dtls { role: ours, fingerprint };
        });
        let now = world.now;
        world.phones[0].use_dtls(now, role, 12, &phones_identity());
        world.pass(Duration::from_secs(2));
        let reason = InsecureReason::FingerprintMismatch;
        let expected = [Report::Insecure { stream: STREAM, side: A, reason }];
        assert_eq!(world.reports, expected, "{role:?}");
        assert!(!world.is_heard(A));
        assert!(!world.is_heard(B));
    }
}

#[test]
fn a_handshake_that_is_not_answered_is_given_up_after_thirty_seconds() {
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Client));
    world.pass(Duration::from_millis(29_900));
    assert_eq!(world.reports, []);
    world.pass(Duration::from_millis(200));
    let reason = InsecureReason::HandshakeTimedOut;
    assert_eq!(world.reports, [Report::Insecure { stream: STREAM, side: A, reason }]);
}

#[test]
fn we_begin_a_handshake_only_when_the_other_phone_has_answered() {
    let mut world = World::new(|sides| {
        sides[0].remote.protection = dtls(DtlsRole::Client);
        sides[1].remote = Remote::default();
    });
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Server, 13, &phones_identity());
    world.pass(Duration::from_secs(100));
    assert_eq!(world.reports, []);
    let answer = world.phones[1].address;
    world.update(B, |remote| remote.rtp = Some(answer));
    world.pass(Duration::from_secs(1));
    assert!(world.reports.contains(&secured(A)));
    assert!(world.both_hear());
}

#[test]
fn an_update_that_changes_nothing_does_not_disturb_the_keys() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut world = World::new(|sides| {
        sides[0].remote.protection = dtls(DtlsRole::Server);
        sides[1].remote.protection = sdes(suite, 1, 2);
    });
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Client, 12, &phones_identity());
    world.phones[1].use_sdes(suite, 1, 2);
    world.pass(Duration::from_secs(1));
    for _ in 0..40_000 {
        assert!(world.both_hear());
    }
    world.update(A, |remote| remote.hold = true);
    world.update(B, |remote| remote.hold = false);
    for _ in 0..40_000 {
        assert!(world.both_hear());
    }
}

#[test]
fn new_keys_begin_at_zero_and_the_old_ones_work_until_the_phone_has_changed() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::new(|sides| sides[0].remote.protection = sdes(suite, 1, 2));
    world.phones[0].use_sdes(suite, 1, 2);
    for _ in 0..66_000 {
        assert!(world.both_hear());
    }
    // Our key stays: it must not begin anew. The phone's changes.
    world.update(A, |remote| remote.protection = sdes(suite, 1, 5));
    assert!(world.both_hear());
    let late = world.phones[0].speak();
    let later = world.phones[0].speak();
    let (_, inbound) = world.phones[0].keys.take().unwrap();
    world.phones[0].use_sdes(suite, 1, 5);
    world.phones[0].keys.as_mut().unwrap().1 = inbound;
    for _ in 0..3 {
        assert!(world.both_hear());
    }
    let before = world.phones[1].heard.len();
    world.say(A, late);
    assert_eq!(world.phones[1].heard.len(), before + 1, "a late packet under the old key");
    world.pass(Duration::from_secs(1));
    world.say(A, later);
    assert_eq!(world.phones[1].heard.len(), before + 1, "the old key is no longer good");
    // Now ours changes too.
    world.update(A, |remote| remote.protection = sdes(suite, 6, 5));
    let (outbound, _) = world.phones[0].keys.take().unwrap();
    world.phones[0].use_sdes(suite, 6, 5);
    world.phones[0].keys.as_mut().unwrap().0 = outbound;
    assert!(world.both_hear());
}

#[test]
fn a_new_handshake_takes_over_from_the_old_keys_when_it_is_done() {
    let mut world = with_dtls(DtlsRole::Client, 12);
    world.pass(Duration::from_secs(1));
    assert!(world.both_hear());
    // The phone changes the role, which asks for a new handshake (RFC 5763 §6.6).
    world.lose = |_| true;
    world.update(A, |remote| remote.protection = dtls(DtlsRole::Client));
    assert!(world.both_hear());
    world.lose = |_| false;
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Server, 13, &phones_identity());
    world.pass(Duration::from_secs(5));
    assert_eq!(world.reports.iter().filter(|report| **report == secured(A)).count(), 2);
    assert!(world.both_hear());
}

#[test]
fn protection_can_begin_and_end_in_the_middle_of_a_call() {
    let suite = Suite::AesCm256HmacSha1_80;
    let mut world = World::new(|_| {});
    assert!(world.both_hear());
    world.update(B, |remote| remote.protection = sdes(suite, 1, 2));
    world.phones[1].use_sdes(suite, 1, 2);
    assert!(world.both_hear());
    world.update(B, |remote| remote.protection = Protection::Plain);
    (world.phones[1].keys, world.phones[1].protected) = (None, false);
    assert!(world.both_hear());
}

#[test]
fn what_cannot_be_protected_is_refused() {
    let refusal = |identity, content, protection| {
        let mut world = World::new(|_| {});
        world.relay = Relay::new(Config { identity, ..Config::new(20000..=20099) });
        let saved = World::new(|_| {}).relay.save(STREAM).unwrap();
        let mut sides = saved.sides;
        sides[1].remote.protection = protection;
        world.command(Command::Open { stream: STREAM, sides: sides.into(), content });
        world.reports.pop()
    };
    let unprotectable = Report::Refused { stream: STREAM, reason: Refusal::Unprotectable(B) };
    assert_eq!(refusal(None, Content::Rtp, dtls(DtlsRole::Client)), Some(unprotectable.clone()));
    let suite = Suite::AeadAes128Gcm;
    let short = Protection::Sdes { suite: Suite::AeadAes256Gcm, ours: key(suite, 1), theirs: key(suite, 1) };
    assert_eq!(refusal(None, Content::Rtp, short), Some(unprotectable.clone()));
    assert_eq!(refusal(None, Content::Opaque, sdes(suite, 1, 2)), Some(unprotectable));
    assert_eq!(refusal(None, Content::Rtp, sdes(suite, 1, 2)), None);
    assert_eq!(refusal(Some(identity()), Content::Rtp, dtls(DtlsRole::Client)), None);
}

#[test]
fn an_update_that_cannot_be_obeyed_is_reported() {
    let mut world = World::new(|_| {});
    let suite = Suite::AeadAes128Gcm;
    let short = Protection::Sdes { suite: Suite::AeadAes256Gcm, ours: key(suite, 1), theirs: key(suite, 1) };
    world.update(A, |remote| remote.protection = short);
    let reason = InsecureReason::KeyLength;
    assert_eq!(world.reports, [Report::Insecure { stream: STREAM, side: A, reason }]);
    assert!(!world.is_heard(A));
    assert!(!world.is_heard(B));
}

#[test]
fn closing_forgets_the_handshake_under_way() {
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Client));
    assert!(world.relay.next_deadline().is_some());
    world.command(Command::Close { stream: STREAM });
    assert_eq!(world.relay.next_deadline(), None);
}

#[test]
fn a_protected_stream_is_not_taken_up_with_counters_that_begin_anew() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::new(|sides| sides[0].remote.protection = sdes(suite, 1, 2));
    let saved = world.relay.save(STREAM).unwrap();
    world.relay = Relay::new(Config::new(20000..=20099));
    world.relay.restore(world.now, saved, &mut world.out);
    let reason = Refusal::Unprotectable(A);
    assert_eq!(world.out.reports, [Report::Refused { stream: STREAM, reason }]);
}

#[test]
fn a_key_that_signalling_brought_reaches_a_protected_phone() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut world = World::new(|sides| {
        sides[0].remote.protection = sdes(suite, 1, 2);
        sides[1].remote.protection = sdes(suite, 3, 4);
    });
    world.phones[0].use_sdes(suite, 1, 2);
    world.phones[1].use_sdes(suite, 3, 4);
    assert!(world.both_hear());
    let format = EventFormat { payload_type: 101, clock_rate: 48_000 };
    let press = Press { event: 11, duration_ms: 20 };
    world.command(Command::Press { stream: STREAM, to: B, format, press });
    let sound = world.phones[0].speak();
    world.say(A, sound);
    let heard = world.phones[1].heard.last().unwrap();
    let event = offhook_rtp::Packet::parse(heard).unwrap();
    assert_eq!((event.payload_type(), event.payload()), (101, &[11, 0x8a, 3, 192][..]));
    for _ in 0..2 {
        let sound = world.phones[0].speak();
        world.say(A, sound);
    }
    assert!(world.both_hear(), "then the sound goes on");
}
