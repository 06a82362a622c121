//! The speaking clock.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_sim::{World, compare_with_saved};

#[test]
fn who_dials_the_clock_hears_the_time_and_a_tone_and_the_call_ends() {
    let mut world = World::new(1, |_| {});
    let alice = world.phone("alice", Some("1001"));
    world.phones[alice.0].sings = Some(0.0);
    world.register(alice);
    world.begin_ladder();
    world.call(alice, "*60");
    world.pass(Duration::from_secs(15));
    assert_eq!(world.phones[alice.0].ends().len(), 1);
    let heard = &world.phones[alice.0].heard;
    let loud = heard.chunks_exact(800).filter(|piece| piece.iter().any(|sample| sample.abs() > 1000)).count();
    assert!((30..120).contains(&loud), "speech of {} ms", loud * 100);
    let is_tone =
        |piece: &[i16]| (offhook_media::tone::analyse(piece, 8000).dominant_hz - 1000.0).abs() < 5.0;
    assert!(heard.chunks_exact(2000).any(is_tone));
    compare_with_saved("speaking-clock", &world.ladder.draw(&["alice", "exchange"]));
    world.pass(Duration::from_secs(90));
    assert!(world.office.is_idle());
}
