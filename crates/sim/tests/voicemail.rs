//! Voicemail: messages are left, kept, heard and deleted.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::speech::Language;
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);
const FOLDER: &str = "alice@example.com";

/// Alice, who has a mailbox and is silent, and Bob, who sings.
fn world(seed: u64, change: impl FnOnce(&mut Config)) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, change);
    let alice = world.phone("alice", Some("1001"));
    let bob = world.phone("bob", Some("1002"));
    world.phones[alice.0].sings = Some(0.0);
    world.phones[bob.0].sings = Some(440.0);
    world.register(alice);
    world.register(bob);
    (world, alice, bob)
}

fn press(world: &mut World, phone: PhoneId, call: CallId, digits: &str) {
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
}

/// Bob leaves a message of about so many seconds and hangs up.
fn leave(world: &mut World, bob: PhoneId, seconds: u32) {
    let call = world.call(bob, "*971001");
    world.pass(SECOND);
    press(world, bob, call, "#");
    world.pass(SECOND + seconds * SECOND);
    world.command(bob, Command::Hangup { call });
    world.pass(SECOND);
}

fn files(world: &World) -> Vec<&str> {
    world
        .office
        .recordings
        .files
        .keys()
        .map(|file| file.strip_prefix("alice@example.com/").unwrap())
        .collect()
}

/// Whether a phone has heard a tone within the last seconds: half of one of them is hardly anything else.
fn heard(world: &World, phone: PhoneId, hz: f32, seconds: usize) -> bool {
    let heard = &world.phones[phone.0].heard;
    let last = &heard[heard.len().saturating_sub(seconds * 8000)..];
    let is_tone = |piece: &[i16]| {
        let heard = offhook_media::tone::analyse(piece, 8000);
        // Speech has such a frequency for a moment, among others.
        (heard.dominant_hz - hz).abs() < 5.0 && heard.share > 0.7
    };
    last.chunks_exact(4000).any(is_tone)
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_message_is_left_and_its_owner_hears_it() {
    for language in [Language::English, Language::Chinese] {
        let (mut world, alice, bob) = world(1, |config| config.services.language = language);
        world.begin_ladder();
        let call = world.call(bob, "*971001");
        world.pass(20 * SECOND);
        assert!(heard(&world, bob, 1000.0, 20), "the tone after which to speak");
        press(&mut world, bob, call, "#");
        world.pass(SECOND);
        assert_eq!(files(&world).len(), 1);
        let name = files(&world)[0].to_owned();
        assert!(name.starts_with("new/18000000") && name.ends_with("-1002.wav"), "{name}");
        // It is told so, and the call ends.
        world.pass(6 * SECOND);
        assert_eq!(world.phones[bob.0].ends().len(), 1);
        if language == Language::English {
            compare_with_saved("voicemail-message", &world.ladder.draw(&["bob", "exchange", "alice"]));
        }

        let call = world.call(alice, "*97");
        world.pass(2 * SECOND);
        assert!(!heard(&world, alice, 440.0, 10));
        press(&mut world, alice, call, "1");
        world.pass(12 * SECOND);
        assert!(heard(&world, alice, 440.0, 12), "Bob's voice");
        assert_eq!(files(&world), [name.replace("new/", "old/")]);
        press(&mut world, alice, call, "7");
        world.pass(2 * SECOND);
        assert!(files(&world).is_empty());
        world.command(alice, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_hangs_up_has_left_a_message_and_who_says_nothing_has_not() {
    let (mut world, alice, bob) = world(2, |_| {});
    leave(&mut world, bob, 3);
    assert_eq!(files(&world).len(), 1);
    let (sound, rate) = world.office.recordings.files.values().next().unwrap();
    let seconds = sound.len() as f32 / *rate as f32;
    assert!((2.0..5.0).contains(&seconds), "{seconds} s");
    // Gone before a second is over.
    let call = world.call(bob, "*971001");
    world.pass(SECOND);
    world.command(bob, Command::Hangup { call });
    world.pass(SECOND);
    assert_eq!(files(&world).len(), 1);
    // Silent for ten seconds: what there was is kept, and the call ends by itself.
    world.phones[bob.0].sings = Some(0.0);
    world.call(bob, "*971001");
    world.pass(60 * SECOND);
    assert_eq!(world.phones[bob.0].ends().len(), 3);
    // Alice is told how many there are, and after three times of silence she is sent away.
    world.call(alice, "*97");
    world.pass(90 * SECOND);
    assert_eq!(world.phones[alice.0].ends().len(), 1);
    nothing_is_left(&mut world);
}

#[test]
fn a_kill_loses_the_message_that_is_being_left_and_no_other() {
    let (mut world, alice, bob) = world(3, |config| config.shards = 3);
    leave(&mut world, bob, 3);
    let kept = files(&world).join(" ");
    let call = world.call(bob, "*971001");
    world.pass(SECOND);
    press(&mut world, bob, call, "#");
    world.pass(3 * SECOND);
    world.kill_and_restart_exchange();
    world.pass(SECOND);
    assert_eq!(files(&world), [kept.as_str()]);
    // Whatever shard her call comes to, it knows of the message.
    for _ in 0..4 {
        world.phones[alice.0].heard.clear();
        let call = world.call(alice, "*97");
        world.pass(SECOND);
        press(&mut world, alice, call, "1");
        world.pass(12 * SECOND);
        assert!(heard(&world, alice, 440.0, 12));
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
}

#[test]
fn a_greeting_of_ones_own_is_heard_until_it_is_taken_back() {
    let (mut world, alice, bob) = world(4, |_| {});
    world.phones[alice.0].sings = Some(600.0);
    let call = world.call(alice, "*97");
    world.pass(SECOND);
    press(&mut world, alice, call, "3");
    world.pass(9 * SECOND);
    press(&mut world, alice, call, "#");
    world.pass(SECOND);
    assert_eq!(files(&world), ["greeting.wav"]);
    let greeted = |world: &mut World| {
        world.phones[bob.0].heard.clear();
        let call = world.call(bob, "*971001");
        world.pass(4 * SECOND);
        world.command(bob, Command::Hangup { call });
        world.pass(SECOND);
        heard(world, bob, 600.0, 6)
    };
    assert!(greeted(&mut world));
    press(&mut world, alice, call, "4");
    world.pass(SECOND);
    assert!(!greeted(&mut world));
    assert!(!files(&world).contains(&"greeting.wav"));
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn a_full_mailbox_takes_no_more() {
    let (mut world, alice, bob) = world(5, |config| config.services.voicemail.most = 2);
    for _ in 0..3 {
        leave(&mut world, bob, 2);
    }
    assert_eq!(files(&world).len(), 2);
    // Messages are heard one after the other, and are saved.
    let call = world.call(alice, "*97");
    world.pass(SECOND);
    press(&mut world, alice, call, "1");
    world.pass(8 * SECOND);
    press(&mut world, alice, call, "9");
    world.pass(8 * SECOND);
    assert!(files(&world).iter().all(|file| file.starts_with("old/")), "{:?}", files(&world));
    press(&mut world, alice, call, "#1");
    world.pass(8 * SECOND);
    press(&mut world, alice, call, "7");
    world.pass(SECOND);
    leave(&mut world, bob, 2);
    assert_eq!(files(&world).iter().filter(|file| file.starts_with("new/")).count(), 1);
}

#[test]
fn a_full_disk_is_told_and_the_call_goes_on() {
    let (mut world, _, bob) = world(6, |_| {});
    world.office.recordings.full = true;
    let call = world.call(bob, "*971001");
    world.pass(SECOND);
    press(&mut world, bob, call, "#");
    world.pass(4 * SECOND);
    press(&mut world, bob, call, "#");
    world.pass(SECOND);
    assert!(world.phones[bob.0].ends().is_empty(), "it is told that nothing was recorded");
    world.pass(5 * SECOND);
    assert_eq!(world.phones[bob.0].ends().len(), 1);
    assert!(world.office.recordings.files.is_empty());
    nothing_is_left(&mut world);
}

#[test]
fn a_mailbox_is_its_owners() {
    let (mut world, _, bob) = world(7, |_| {});
    leave(&mut world, bob, 2);
    let before = files(&world).join(" ");
    let call = world.call(bob, "*97");
    world.pass(SECOND);
    press(&mut world, bob, call, "17");
    world.pass(10 * SECOND);
    assert_eq!(files(&world), [before.as_str()]);
    assert_eq!(world.office.recordings.files.keys().next().unwrap().split('/').next(), Some(FOLDER));
    world.call(bob, "*979999");
    world.pass(SECOND);
    assert_eq!(world.phones[bob.0].ends().last().unwrap().0, 404);
}

#[test]
fn keys_of_every_kind_count_and_wild_pressing_ends() {
    let (mut world, alice, bob) = world(8, |_| {});
    leave(&mut world, bob, 2);
    for digits in ["1111", "999", "0000#", "*1*1", "34", "3#4", "5AB2"] {
        let call = world.call(alice, "*97");
        world.pass(SECOND);
        press(&mut world, alice, call, digits);
        world.pass(5 * SECOND);
        world.command(alice, Command::Hangup { call });
        world.pass(SECOND);
    }
    assert_eq!(files(&world).iter().filter(|file| file.starts_with("old/")).count(), 1);
    nothing_is_left(&mut world);
}

#[test]
fn a_call_that_is_not_answered_goes_to_the_mailbox_whatever_the_reason() {
    for (habit, registered, wait) in [
        (Habit::Refuse(486), true, 1),
        (Habit::Refuse(603), true, 1),
        (Habit::Ignore, true, 21),
        (Habit::Ignore, false, 1),
    ] {
        let mut world = World::new(9, |config| config.services.voicemail.for_all = true);
        let alice = world.phone("alice", Some("1001"));
        let bob = world.phone("bob", Some("1002"));
        world.phones[bob.0].sings = Some(440.0);
        world.phones[alice.0].habit = habit;
        if registered {
            world.register(alice);
        }
        world.register(bob);
        world.begin_ladder();
        let call = world.call(bob, "1001");
        world.pass(wait * SECOND);
        assert!(world.phones[bob.0].was_answered(), "{habit:?}");
        press(&mut world, bob, call, "#");
        world.pass(5 * SECOND);
        world.command(bob, Command::Hangup { call });
        world.pass(SECOND);
        assert_eq!(files(&world).len(), 1, "{habit:?}");
        if habit == Habit::Refuse(486) {
            compare_with_saved("voicemail-busy", &world.ladder.draw(&["bob", "exchange", "alice"]));
        }
        nothing_is_left(&mut world);
    }
}

#[test]
fn an_answered_call_and_one_that_is_given_up_leave_nothing() {
    let (mut world, alice, bob) = world(10, |config| config.services.voicemail.for_all = true);
    let call = world.call(bob, "1001");
    world.pass(10 * SECOND);
    world.command(bob, Command::Hangup { call });
    world.pass(SECOND);
    world.phones[alice.0].habit = Habit::Ignore;
    let call = world.call(bob, "1001");
    world.pass(5 * SECOND);
    world.command(bob, Command::Hangup { call });
    world.pass(30 * SECOND);
    assert!(files(&world).is_empty());
    nothing_is_left(&mut world);
}

#[test]
fn a_message_is_forwarded_to_another_mailbox_which_has_to_be_there_and_have_room() {
    let (mut world, alice, bob) = world(12, |config| config.services.voicemail.most = 2);
    let carol = world.phone("carol", Some("1003"));
    world.phones[carol.0].sings = Some(0.0);
    world.register(carol);
    leave(&mut world, bob, 2);
    let call = world.call(alice, "*97");
    world.pass(SECOND);
    press(&mut world, alice, call, "1");
    world.pass(8 * SECOND);
    let of_carol = |world: &World| {
        let all = world.office.recordings.files.keys();
        all.filter(|file| file.starts_with("carol@example.com/new/")).count()
    };
    // Nobody has this number, and one's own mailbox has the message.
    for number in ["89999#", "81001#", "8#", "81003*"] {
        press(&mut world, alice, call, number);
        world.pass(6 * SECOND);
        assert_eq!((of_carol(&world), world.office.recordings.files.len()), (0, 1), "{number}");
    }
    press(&mut world, alice, call, "81003#");
    world.pass(4 * SECOND);
    assert_eq!((of_carol(&world), world.office.recordings.files.len()), (1, 2));
    // What is said of a message can still be done with it.
    press(&mut world, alice, call, "7");
    world.pass(4 * SECOND);
    assert_eq!((of_carol(&world), world.office.recordings.files.len()), (1, 1));
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    let call = world.call(carol, "*97");
    world.pass(2 * SECOND);
    press(&mut world, carol, call, "1");
    world.pass(12 * SECOND);
    assert!(heard(&world, carol, 440.0, 12), "Bob's voice");
    world.command(carol, Command::Hangup { call });
    world.pass(SECOND);
    // Carol's mailbox is full with another.
    let leave_for_carol = world.call(bob, "*971003");
    world.pass(SECOND);
    press(&mut world, bob, leave_for_carol, "#");
    world.pass(3 * SECOND);
    world.command(bob, Command::Hangup { call: leave_for_carol });
    world.pass(SECOND);
    leave(&mut world, bob, 2);
    let before = world.office.recordings.files.len();
    let call = world.call(alice, "*97");
    world.pass(SECOND);
    press(&mut world, alice, call, "1");
    world.pass(8 * SECOND);
    press(&mut world, alice, call, "81003#");
    world.pass(4 * SECOND);
    assert_eq!(world.office.recordings.files.len(), before, "it is full");
    world.command(alice, Command::Hangup { call });
    nothing_is_left(&mut world);
}
