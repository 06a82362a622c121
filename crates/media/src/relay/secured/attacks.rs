//! Tests: the attacks that were published on media relays, and that the call goes on.

use super::phone::{Phone, World, address, identity, phones_identity, rtp, sdes};
use super::{dtls, secured, with_dtls};
use crate::command::SideName::A;
use crate::command::*;
use offhook_rtp::srtp::SOURCES;
use std::time::Duration;

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

fn call() -> World {
    let mut world = World::new(|sides| sides[0].remote.protection = sdes(SUITE, 1, 2));
    world.phones[0].use_sdes(SUITE, 1, 2);
    world
}

/// RTP bleed: whoever sends first, or most, is sent the call's media.
#[test]
fn a_stranger_cannot_draw_media_to_himself() {
    let stranger = address("203.0.113.66:4000");
    for early in [true, false] {
        let mut world = call();
        if !early {
            assert!(world.both_hear());
        }
        for n in 0..200 {
            world.packet(20000, stranger, rtp(1, n));
            world.packet(20002, stranger, rtp(2, n));
            world.now += Duration::from_millis(5);
        }
        assert!(world.both_hear());
        assert_eq!(world.stray, []);
        assert_eq!(world.phones[1].heard.len(), if early { 1 } else { 2 });
    }
}

/// The same while the phone is silent, which is when a source may be learnt anew.
#[test]
fn silence_gives_a_stranger_no_chance() {
    let mut world = call();
    assert!(world.both_hear());
    world.now += Duration::from_secs(10);
    world.update(A, |_| {});
    let own_ip = address("192.0.2.1:9999");
    for n in 0..200 {
        world.packet(20000, own_ip, rtp(world.phones[0].ssrc, n));
    }
    // One has a number that was there before.
    assert_eq!((world.counters(A).unauthentic, world.counters(A).replayed), (199, 1));
    assert!(world.both_hear());
    assert_eq!((world.stray.len(), world.phones[1].heard.len()), (0, 2));
}

/// RTP inject: sound pushed into the call from the phone's own address.
#[test]
fn forged_packets_from_the_phones_own_address_are_not_heard() {
    let mut world = call();
    assert!(world.both_hear());
    for n in 0..100 {
        let ssrc = world.phones[0].ssrc;
        world.say(A, rtp(ssrc, 2 + n));
        let mut forged = Phone::new("192.0.2.1:4000", 20000);
        forged.use_sdes(SUITE, 1, 0x77);
        forged.sequence = 1_000 + n;
        world.say(A, forged.speak());
    }
    assert_eq!(world.counters(A).unauthentic, 200);
    assert_eq!(world.phones[1].heard.len(), 1);
    assert!(world.both_hear());
}

#[test]
fn replayed_packets_are_heard_once() {
    let mut world = call();
    let old: Vec<_> = (0..5).map(|_| world.phones[0].speak()).collect();
    for packet in &old {
        world.say(A, packet.clone());
    }
    for _ in 0..300 {
        assert!(world.both_hear());
    }
    for packet in &old {
        world.say(A, packet.clone());
        world.packet(20000, address("203.0.113.66:4000"), packet.clone());
    }
    assert_eq!(world.phones[1].heard.len(), 305);
    assert_eq!((world.counters(A).replayed, world.counters(A).foreign), (5, 5));
    assert!(world.both_hear());
    assert_eq!(world.stray, []);
}

#[test]
fn a_moved_phone_is_learnt_by_a_packet_that_only_it_can_have_made() {
    let mut world = call();
    assert!(world.both_hear());
    world.now += Duration::from_secs(2);
    world.phones[0].address = address("203.0.113.9:777");
    assert!(world.both_hear());
    assert_eq!(world.stray, []);
}

#[test]
fn a_flood_of_sources_leaves_a_bounded_table_and_the_call_goes_on() {
    let mut world = call();
    assert!(world.both_hear());
    // From the network, and even from the phone itself.
    for ssrc in 0..5_000 {
        world.say(A, rtp(ssrc, 1));
        let packet = world.phones[0].protect(rtp(ssrc | 0x10_0000, 1));
        world.say(A, packet);
    }
    assert_eq!(world.counters(A).unauthentic, 5_000);
    assert!(world.phones[0].keys.as_ref().unwrap().0.sources() <= SOURCES);
    assert!(world.both_hear());
}

/// The race: a ClientHello from a stranger, before the phone's own.
#[test]
fn a_strangers_client_hello_does_not_stop_the_phones() {
    for stranger in ["203.0.113.66:4000", "192.0.2.1:9", "198.51.100.2:5000"] {
        let mut world = with_dtls(DtlsRole::Client, 12);
        let mut other = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Server));
        // The stranger's handshake is made in a world of its own, with a certificate of its own.
        let now = other.now;
        other.phones[0].use_dtls(now, DtlsRole::Client, 12, &identity());
        let hello = other.phones[0].first_flight(now);
        for _ in 0..20 {
            for bytes in &hello {
                world.packet(20000, address(stranger), bytes.clone());
            }
        }
        world.pass(Duration::from_secs(2));
        assert!(world.reports.contains(&secured(A)), "{stranger}: {:?}", world.reports);
        assert!(world.both_hear());
        assert!(!world.reports.iter().any(|report| matches!(report, Report::Insecure { .. })));
    }
}

/// A neighbour behind the same address, who even ends his handshake first.
#[test]
fn a_neighbours_whole_handshake_does_not_take_the_phones_place() {
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Server));
    let now = world.now;
    world.phones[0].address = address("192.0.2.1:6666");
    world.phones[0].use_dtls(now, DtlsRole::Client, 12, &identity());
    world.pass(Duration::from_secs(2));
    assert_eq!(world.reports, []);
    assert!(!world.is_heard(A));
    world.phones[0] = Phone::new("192.0.2.1:4000", 20000);
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Client, 12, &phones_identity());
    world.pass(Duration::from_secs(2));
    assert!(world.reports.contains(&secured(A)));
    assert!(world.both_hear());
}

#[test]
fn many_neighbours_cannot_fill_all_places() {
    let mut world = World::new(|sides| sides[0].remote.protection = dtls(DtlsRole::Server));
    for port in 10_000..10_050 {
        let mut neighbour = Phone::new("192.0.2.1:1", 20000);
        neighbour.use_dtls(world.now, DtlsRole::Client, 13, &identity());
        for bytes in neighbour.first_flight(world.now) {
            world.packet(20000, address(&format!("192.0.2.1:{port}")), bytes);
        }
    }
    let now = world.now;
    world.phones[0].use_dtls(now, DtlsRole::Client, 13, &phones_identity());
    world.pass(Duration::from_secs(2));
    assert!(world.reports.contains(&secured(A)));
    assert!(world.both_hear());
}

#[test]
fn noise_in_a_handshake_does_not_end_it() {
    let mut world = with_dtls(DtlsRole::Client, 13);
    for length in [1, 13, 25, 26, 60, 1400] {
        for first in 20..64 {
            let mut noise = vec![0xfe; length];
            noise[0] = first;
            world.say(A, noise);
        }
    }
    world.pass(Duration::from_secs(3));
    assert!(world.reports.contains(&secured(A)), "{:?}", world.reports);
    assert!(world.both_hear());
}

#[test]
fn what_was_sent_to_one_phone_cannot_be_sent_back_to_the_relay() {
    let mut world = call();
    let port = world.phones[1].port;
    let packet = world.phones[1].speak();
    let from = world.phones[1].address;
    let now = world.now;
    let forward = world.relay.forward(now, port, from, &packet, &mut world.out).unwrap();
    let reflected = forward.changed.unwrap().to_vec();
    world.say(A, reflected);
    assert_eq!(world.phones[1].heard.len(), 0);
    assert_eq!(world.counters(A).unauthentic, 1);
    assert!(world.is_heard(A));
}
