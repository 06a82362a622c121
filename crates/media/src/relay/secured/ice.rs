//! Tests: a lite agent between full ones.

use super::phone::{STREAM, World, address, check, credentials, phones_identity, rtp, sdes};
use super::{dtls, secured};
use crate::command::SideName::{A, B};
use crate::command::*;
use crate::stun;
use std::time::Duration;

/// A does ICE: we are `us`, it is `phone`. Its SDP names an address behind its NAT.
fn call() -> World {
    World::new(|sides| {
        sides[0].ice = Some(credentials("us"));
        sides[0].remote.ice = Some(credentials("phone"));
        sides[0].remote.rtp = Some(address("10.0.0.5:4000"));
        sides[0].remote.behind_nat = true;
    })
}

fn kind(answer: &[u8]) -> (u16, u16) {
    let code =
        if answer[0..2] == [1, 0x11] { u16::from(answer[26]) * 100 + u16::from(answer[27]) } else { 0 };
    (u16::from_be_bytes([answer[0], answer[1]]), code)
}

#[test]
fn a_check_is_answered_with_the_address_it_came_from() {
    let mut world = call();
    let answer = world.check(A, check("us", "phone", false)).unwrap();
    let expected = stun::Answer::Success(address("192.0.2.1:4000"));
    let key = stun::Key::short_term(&credentials("us").pwd);
    assert_eq!(answer, expected.write(*b"transaction!", Some(&key)));
    assert_eq!(world.reports, []);
}

#[test]
fn media_goes_to_the_chosen_address_and_comes_from_there_only() {
    let mut world = call();
    assert!(!world.is_heard(B));
    assert!(!world.is_heard(A));
    world.check(A, check("us", "phone", true)).unwrap();
    let chosen = Report::Latched { stream: STREAM, side: A, address: address("192.0.2.1:4000") };
    assert_eq!(world.reports.last(), Some(&chosen));
    assert!(world.both_hear());
    for n in 0..50 {
        world.packet(20000, address("192.0.2.1:4002"), rtp(9, n));
        world.packet(20000, address("10.0.0.5:4000"), rtp(9, n));
    }
    assert_eq!(world.counters(A).foreign, 101);
    assert!(world.both_hear());
    assert_eq!(world.stray, []);
}

#[test]
fn who_has_not_the_password_is_refused_and_gets_nothing() {
    let mut world = call();
    let wrong = |name: &str, password: &str| {
        stun::binding::tests::request(name, password, &[(stun::attribute::USE_CANDIDATE, &[])])
    };
    let password = credentials("us").pwd;
    for check in [
        wrong("us:phone", "guessed"),
        wrong("us:stranger", &password),
        wrong("usphone", &password),
        wrong("them:phone", &password),
    ] {
        let answer = world.check(A, check).unwrap();
        assert_eq!(kind(&answer), (0x0111, 401));
    }
    assert_eq!(world.counters(A).unauthentic, 4);
    assert!(!world.is_heard(B));
    assert!(!world.reports.iter().any(|report| matches!(report, Report::Latched { side: A, .. })));
}

#[test]
fn a_request_without_a_name_is_not_answered_so_that_nothing_reflects() {
    let mut bare = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bare.extend_from_slice(b"transaction!");
    for mut world in [
        call(),
        World::new(|_| {}),
        World::new(|sides| sides[0].remote.protection = sdes(Suite::AeadAes128Gcm, 1, 2)),
    ] {
        assert_eq!(world.check(A, bare.clone()), None);
        assert_eq!(world.check(B, bare.clone()), None);
        assert_eq!(world.counters(A).malformed + world.counters(B).malformed, 2);
        assert_eq!(world.stray, []);
    }
}

#[test]
fn a_name_without_a_tag_is_a_bad_request() {
    let mut world = call();
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend_from_slice(b"transaction!");
    let bytes = stun::Writer::onto(bytes).attribute(stun::attribute::USERNAME, b"us:phone").finish();
    assert_eq!(kind(&world.check(A, bytes).unwrap()), (0x0111, 400));
}

#[test]
fn a_phone_that_thinks_we_choose_is_told_that_it_must() {
    let mut world = call();
    let extra: &[(u16, &[u8])] =
        &[(stun::attribute::CONTROLLED, &[7; 8]), (stun::attribute::USE_CANDIDATE, &[])];
    let check = stun::binding::tests::request("us:phone", &credentials("us").pwd, extra);
    assert_eq!(kind(&world.check(A, check).unwrap()), (0x0111, 487));
    assert!(!world.is_heard(B));
}

#[test]
fn what_must_be_understood_and_is_not_is_named() {
    let mut world = call();
    let check = stun::binding::tests::request("us:phone", &credentials("us").pwd, &[(0x7654, &[])]);
    assert_eq!(kind(&world.check(A, check).unwrap()), (0x0111, 420));
}

#[test]
fn a_change_of_network_in_the_middle_of_the_call_moves_the_media() {
    let mut world = call();
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(world.both_hear());
    world.phones[0].address = address("203.0.113.5:1234");
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(world.both_hear());
    assert_eq!(world.stray, []);
    let moved = Report::Latched { stream: STREAM, side: A, address: address("203.0.113.5:1234") };
    assert_eq!(world.reports.last(), Some(&moved));
}

#[test]
fn consent_ends_after_thirty_seconds_without_a_sign_and_comes_back() {
    let mut world = call();
    world.check(A, check("us", "phone", true)).unwrap();
    for _ in 0..10 {
        world.pass(Duration::from_secs(20));
        world.check(A, check("us", "phone", false)).unwrap();
        assert!(world.is_heard(B));
    }
    world.pass(Duration::from_secs(31));
    assert!(!world.is_heard(B));
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(world.is_heard(B));
}

#[test]
fn an_older_phone_that_sends_no_more_checks_consents_by_its_media() {
    let mut world = call();
    world.check(A, check("us", "phone", true)).unwrap();
    for _ in 0..10 {
        world.pass(Duration::from_secs(20));
        assert!(world.both_hear());
    }
}

#[test]
fn a_restart_keeps_the_old_way_until_a_new_one_is_chosen() {
    let mut world = restarted();
    assert!(world.both_hear());
    // Consent by the old names still counts, but they choose nothing.
    world.pass(Duration::from_secs(20));
    world.check(A, check("us", "phone", false)).unwrap();
    world.pass(Duration::from_secs(20));
    assert!(world.both_hear());
    world.phones[0].address = address("203.0.113.5:1234");
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(!world.is_heard(B));
    world.check(A, check("we", "renewed", true)).unwrap();
    assert!(world.both_hear());
    // From then on they are nobody's.
    let refused = world.check(A, check("us", "phone", true)).unwrap();
    assert_eq!(kind(&refused), (0x0111, 401));
}

/// A call whose phone A has chosen its way, and then restarts ICE.
fn restarted() -> World {
    let mut world = call();
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(world.both_hear());
    let mut remote = world.relay.save(STREAM).unwrap().sides[0].remote.clone();
    remote.ice = Some(credentials("renewed"));
    let ice = Some(credentials("we"));
    world.command(Command::Update { stream: STREAM, side: A, remote: remote.into(), ice });
    world
}

#[test]
fn after_a_restart_a_phone_that_is_not_where_it_was_hears_us_before_it_has_chosen() {
    let mut world = restarted();
    world.pass(Duration::from_secs(3));
    world.phones[0].address = address("203.0.113.5:1234");
    assert!(!world.is_heard(B));
    world.stray.clear();
    world.check(A, check("we", "renewed", false)).unwrap();
    assert!(world.both_hear());
    assert_eq!(world.stray, []);
}

#[test]
fn after_a_restart_a_phone_that_is_still_heard_where_it_was_is_answered_there() {
    let mut world = restarted();
    let old = world.phones[0].address;
    for _ in 0..100 {
        world.pass(Duration::from_millis(20));
        assert!(world.is_heard(A));
        world.phones[0].address = address("203.0.113.5:1234");
        world.check(A, check("we", "renewed", false)).unwrap();
        world.phones[0].address = old;
        assert!(world.is_heard(B));
    }
}

#[test]
fn checks_may_come_before_the_answer_that_names_the_phone() {
    let mut world = World::new(|sides| {
        sides[1].ice = Some(credentials("us"));
        sides[1].remote = Remote::default();
    });
    world.check(B, check("us", "phone", true)).unwrap();
    let answer = world.phones[1].address;
    world.update(B, |remote| {
        remote.ice = Some(credentials("phone"));
        remote.rtp = Some(answer);
        remote.rtcp_mux = true;
    });
    assert!(world.both_hear());
}

#[test]
fn an_answer_without_ice_is_a_call_without_ice() {
    let mut world = World::new(|sides| {
        sides[1].ice = Some(credentials("us"));
        sides[1].remote = Remote::default();
    });
    let answer = world.phones[1].address;
    world.update(B, |remote| remote.rtp = Some(answer));
    assert!(world.both_hear());
}

#[test]
fn ice_and_a_handshake_secure_a_browsers_call() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let ours = if role == DtlsRole::Client { DtlsRole::Server } else { DtlsRole::Client };
        let mut world = World::new(|sides| {
            sides[0].ice = Some(credentials("us"));
            sides[0].remote.ice = Some(credentials("phone"));
            sides[0].remote.rtp = Some(address("0.0.0.0:9"));
            sides[0].remote.protection = dtls(ours);
        });
        let now = world.now;
        world.phones[0].use_dtls(now, role, 0, &phones_identity());
        // Not before the address is proven.
        world.pass(Duration::from_secs(1));
        assert_eq!(world.reports, []);
        world.check(A, check("us", "phone", true)).unwrap();
        world.pass(Duration::from_secs(10));
        assert!(world.reports.contains(&secured(A)), "{role:?} {:?}", world.reports);
        assert!(world.both_hear());
        // The network changes; the keys stay.
        world.phones[0].address = address("203.0.113.5:1234");
        world.check(A, check("us", "phone", true)).unwrap();
        assert!(world.both_hear());
    }
}

#[test]
fn a_flood_of_wrong_checks_is_answered_a_few_times_and_the_right_ones_still_count() {
    let mut world = call();
    let stranger = address("203.0.113.66:4000");
    for _ in 0..10_000 {
        world.packet(20000, stranger, stun::binding::tests::request("us:phone", "guessed", &[]));
    }
    assert_eq!(world.stray.len(), 5);
    assert!(world.check(A, check("us", "phone", true)).is_some());
    assert!(world.both_hear());
}

#[test]
fn right_checks_are_bounded_too() {
    let mut world = call();
    for port in 1..1_000 {
        world.packet(20000, address(&format!("203.0.113.66:{port}")), check("us", "phone", true));
    }
    assert!(world.stray.len() <= 100);
    world.pass(Duration::from_secs(1));
    world.check(A, check("us", "phone", true)).unwrap();
    assert!(world.both_hear());
}
