//! Key frames that are asked of who sends pictures, in the same world.

use super::*;
use offhook_rtp::rtcp::{self, KeyFrameRequest, RtcpPacket};

const OURS: u32 = 0x0ff0;

fn want(world: &mut World, of: SideName) {
    world.command(Command::KeyFrame { stream: STREAM, of, by: KeyFrameRequest::Pli, ours: OURS });
}

/// The requests for a picture that a phone has heard since it was last asked, as (our source, its source).
fn asked(world: &mut World, name: SideName) -> Vec<(u32, u32)> {
    let heard = std::mem::take(&mut world.phones[name.index()].heard);
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let is_request = |packet: &&Vec<u8>| rtcp::read(packet).last() == Some(&RtcpPacket::Other(206));
    let pair = |packet: &Vec<u8>| {
        let end = packet.len();
        (word(&packet[end - 8..end - 4]), word(&packet[end - 4..]))
    };
    heard.iter().filter(is_request).map(pair).collect()
}

/// A sends for so long, a packet each 20 ms.
fn send(world: &mut World, time: Duration) {
    for _ in 0..time.as_millis() / 20 {
        let packet = world.phones[0].speak();
        world.say(A, packet);
        world.now += Duration::from_millis(20);
    }
}

#[test]
fn a_picture_is_asked_for_when_the_first_packet_goes_on_and_once_again() {
    let mut world = World::new(|_| {});
    let theirs = world.phones[0].ssrc;
    want(&mut world, A);
    world.pass(Duration::from_secs(5));
    assert_eq!(asked(&mut world, A), [], "nobody is asked of whom nothing has come");
    send(&mut world, Duration::from_millis(20));
    assert_eq!(asked(&mut world, A), [(OURS, theirs)]);
    send(&mut world, Duration::from_secs(10));
    assert_eq!(asked(&mut world, A), [(OURS, theirs)]);
    assert_eq!(asked(&mut world, B), []);
}

#[test]
fn a_sender_is_asked_once_a_second_however_often_somebody_wants_it() {
    let mut world = World::new(|_| {});
    for _ in 0..250 {
        want(&mut world, A);
        send(&mut world, Duration::from_millis(20));
    }
    assert_eq!(asked(&mut world, A).len(), 5);
}

#[test]
fn a_viewer_whose_handshake_is_not_done_is_waited_for() {
    let mut world = World::new(|sides| sides[1].remote.protection = dtls(DtlsRole::Server));
    want(&mut world, A);
    send(&mut world, Duration::from_secs(3));
    assert_eq!(asked(&mut world, A), []);
    let now = world.now;
    world.phones[1].use_dtls(now, DtlsRole::Client, 12, &phones_identity());
    world.pass(Duration::from_secs(1));
    send(&mut world, Duration::from_millis(20));
    assert_eq!(asked(&mut world, A).len(), 1);
}

#[test]
fn a_sender_with_keys_is_asked_under_them_and_goes_on() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::new(|sides| sides[0].remote.protection = sdes(suite, 1, 2));
    world.phones[0].use_sdes(suite, 1, 2);
    want(&mut world, A);
    send(&mut world, Duration::from_secs(2));
    assert_eq!((asked(&mut world, A).len(), world.phones[0].noise), (2, 0));
    assert!(world.both_hear());
}

#[test]
fn a_repeated_full_intra_request_has_the_number_of_the_first() {
    let mut world = World::new(|_| {});
    let by = KeyFrameRequest::Fir;
    let mut numbers = Vec::new();
    for _ in 0..2 {
        world.command(Command::KeyFrame { stream: STREAM, of: A, by, ours: OURS });
        send(&mut world, Duration::from_secs(3));
        let heard = std::mem::take(&mut world.phones[0].heard);
        numbers.extend(heard.iter().map(|packet| packet[packet.len() - 4]));
    }
    assert_eq!(numbers, [1, 1, 2, 2]);
}
