//! Voice menus: what a caller hears, and where its keys lead.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::config::{Config, Key};
use offhook_exchange::route::Window;
use offhook_exchange::schedule::{Days, Schedule};
use offhook_exchange::services::{Menu, MenuAction as Action, Menus, Opening, Prompt};
use offhook_sim::{Habit, PhoneId, World, compare_with_saved};
use offhook_ua::{CallId, Command};

const SECOND: Duration = Duration::from_secs(1);

/// A menu that says a tone of its own.
fn menu(name: &str, number: Option<&str>, keys: &[(&str, Action)]) -> Menu {
    Menu {
        name: name.into(),
        numbers: number.into_iter().map(str::to_owned).collect(),
        prompts: vec![Prompt::File(format!("{name}.wav"))],
        invalid: vec![Prompt::File("invalid.wav".into())],
        keys: keys.iter().map(|(keys, action)| ((*keys).to_owned(), action.clone())).collect(),
        timeout: 5 * SECOND,
        digit_timeout: 2 * SECOND,
        retries: 2,
        extensions: false,
        open: Vec::new(),
        closed: None,
        otherwise: Action::HangUp,
    }
}

/// The tones that the menus say: the main one 500 Hz, that below it 700 Hz, a key that leads nowhere 900 Hz.
const TONES: [(&str, f32); 3] = [("main", 500.0), ("sub", 700.0), ("invalid", 900.0)];

fn tone(hz: f32, seconds: usize) -> (Vec<i16>, u32) {
    let wave = |n: usize| (8000.0 * (2.0 * std::f32::consts::PI * hz * n as f32 / 8000.0).sin()) as i16;
    ((0..8000 * seconds).map(wave).collect(), 8000)
}

fn world(seed: u64, menus: Vec<Menu>) -> (World, PhoneId, PhoneId) {
    with(seed, menus, |_| {})
}

/// Alice, who has a mailbox and sings, and Bob, who calls and is silent.
fn with(seed: u64, menus: Vec<Menu>, change: impl FnOnce(&mut Config)) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(seed, |config| {
        config.services.menus = Menus { menus, shown: None };
        change(config);
    });
    let alice = world.phone("alice", Some("1001"));
    let bob = world.phone("bob", Some("1002"));
    world.phones[alice.0].sings = Some(330.0);
    world.phones[bob.0].sings = Some(0.0);
    world.register(alice);
    world.register(bob);
    for (name, hz) in TONES {
        world.office.recordings.files.insert(format!("prompts/{name}.wav"), tone(hz, 2));
    }
    (world, alice, bob)
}

fn main_and_sub() -> Vec<Menu> {
    vec![
        menu(
            "main",
            Some("500"),
            &[
                ("1", Action::Menu(1)),
                ("2", Action::Call("1001".into())),
                ("3", Action::Voicemail("1001".into())),
                ("4", Action::Directory),
                ("5", Action::Say(vec![Prompt::File("sub.wav".into())])),
                ("*", Action::Repeat),
                ("0", Action::HangUp),
            ],
        ),
        menu("sub", None, &[("9", Action::Menu(0)), ("12", Action::Call("*60".into()))]),
    ]
}

fn press(world: &mut World, phone: PhoneId, call: CallId, digits: &str) {
    world.command(phone, Command::Dtmf { call, digits: digits.into() });
}

fn has(heard: &[i16], hz: f32) -> bool {
    heard.chunks_exact(2000).any(|piece| {
        let found = offhook_media::tone::analyse(piece, 8000);
        (found.dominant_hz - hz).abs() < 5.0 && found.share > 0.7
    })
}

/// Which of the tones a phone has heard since it was last asked.
fn heard(world: &mut World, phone: PhoneId) -> Vec<&'static str> {
    let heard = std::mem::take(&mut world.phones[phone.0].heard);
    let has = |hz: f32| has(&heard, hz);
    TONES.iter().filter(|(_, hz)| has(*hz)).map(|(name, _)| *name).collect()
}

fn is_up(world: &World, phone: PhoneId) -> bool {
    world.phones[phone.0].ends().is_empty()
}

fn nothing_is_left(world: &mut World) {
    world.pass(90 * SECOND);
    let now = world.now();
    assert!(world.office.is_idle(), "{:?}", world.office.status(now));
}

#[test]
fn a_caller_goes_from_menu_to_menu_by_keys() {
    let (mut world, _, bob) = world(1, main_and_sub());
    world.begin_ladder();
    let call = world.call(bob, "500");
    world.pass(3 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"]);
    press(&mut world, bob, call, "1");
    world.pass(3 * SECOND);
    assert_eq!(heard(&mut world, bob), ["sub"]);
    press(&mut world, bob, call, "9");
    world.pass(3 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"]);
    press(&mut world, bob, call, "5");
    world.pass(6 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main", "sub"], "what a key says, and then the menu");
    press(&mut world, bob, call, "0");
    world.pass(5 * SECOND);
    assert!(!is_up(&world, bob));
    compare_with_saved("menu", &world.ladder.draw(&["bob", "exchange"]));
    nothing_is_left(&mut world);
}

#[test]
fn keys_end_a_prompt_and_may_be_faster_than_a_human() {
    let (mut world, _, bob) = world(2, main_and_sub());
    let call = world.call(bob, "500");
    // Before a word is said: down, up, and down again.
    press(&mut world, bob, call, "191");
    world.pass(4 * SECOND);
    assert!(heard(&mut world, bob).contains(&"sub"));
    press(&mut world, bob, call, "9");
    world.pass(SECOND);
    heard(&mut world, bob);
    // A second of the two, and no more.
    press(&mut world, bob, call, "1");
    world.pass(3 * SECOND);
    assert_eq!(heard(&mut world, bob), ["sub"]);
    world.command(bob, Command::Hangup { call });
    nothing_is_left(&mut world);
}

#[test]
fn who_presses_nothing_or_what_leads_nowhere_is_asked_again_and_then_goes() {
    let (mut world, _, bob) = world(3, main_and_sub());
    world.call(bob, "500");
    world.pass(8 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"]);
    assert!(is_up(&world, bob));
    world.pass(7 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"]);
    world.pass(15 * SECOND);
    assert!(!is_up(&world, bob));

    let (mut world, _, bob) = self::world(4, main_and_sub());
    let call = world.call(bob, "500");
    world.pass(SECOND);
    for _ in 0..2 {
        heard(&mut world, bob);
        press(&mut world, bob, call, "7");
        world.pass(6 * SECOND);
        assert_eq!(heard(&mut world, bob), ["main", "invalid"]);
    }
    press(&mut world, bob, call, "7");
    world.pass(6 * SECOND);
    assert!(!is_up(&world, bob));
    nothing_is_left(&mut world);
}

#[test]
fn a_menu_leads_to_a_mailbox_and_to_other_services() {
    let (mut world, _, bob) = world(5, main_and_sub());
    world.phones[bob.0].sings = Some(440.0);
    let call = world.call(bob, "500");
    press(&mut world, bob, call, "3");
    world.pass(SECOND);
    press(&mut world, bob, call, "#");
    world.pass(4 * SECOND);
    press(&mut world, bob, call, "#");
    world.pass(SECOND);
    let kept: Vec<_> =
        world.office.recordings.files.keys().filter(|file| file.starts_with("alice@")).cloned().collect();
    assert!(matches!(&kept[..], [file] if file.ends_with("-1002.wav")), "{kept:?}");
    world.pass(8 * SECOND);
    assert!(!is_up(&world, bob));

    // The clock, by two keys in a row: it ends the call by itself.
    let before = world.phones[bob.0].ends().len();
    let call = world.call(bob, "500");
    world.pass(SECOND);
    press(&mut world, bob, call, "112");
    world.pass(20 * SECOND);
    assert_eq!(world.phones[bob.0].ends().len(), before + 1);
    nothing_is_left(&mut world);
}

#[test]
fn outside_of_its_hours_a_menu_sends_callers_elsewhere() {
    // It is Friday, 08:00.
    let hours = |text: &str| Opening::Hours(Window::parse(text).unwrap());
    // 2027-01-15.
    let schedule = |day_off: &str| {
        Opening::Schedule(Arc::new(Schedule {
            name: "office".into(),
            time_zone: Config::new(Vec::new(), Key([0; 32])).plan.time_zone,
            open: vec![Window::parse("Mon-Fri 07:00-17:00").unwrap()],
            closed: vec![Days::parse(day_off).unwrap()],
        }))
    };
    for (open, tone) in [
        (vec![hours("Fri 07:00-09:00")], "main"),
        (vec![hours("Mon-Thu")], "sub"),
        (vec![schedule("01-14")], "main"),
        (vec![schedule("01-15")], "sub"),
        (vec![schedule("01-15"), hours("Fri")], "main"),
    ] {
        let mut menus = main_and_sub();
        menus[0].open = open.clone();
        menus[0].closed = Some(Action::Menu(1));
        let (mut world, _, bob) = world(6, menus);
        let call = world.call(bob, "500");
        world.pass(3 * SECOND);
        assert_eq!(heard(&mut world, bob), [tone], "{open:?}");
        world.command(bob, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}

#[test]
fn menus_that_are_closed_and_lead_to_each_other_end_the_call() {
    let mut menus = main_and_sub();
    for (at, menu) in menus.iter_mut().enumerate() {
        menu.open = vec![Opening::Hours(Window::parse("Sun").unwrap())];
        menu.closed = Some(Action::Menu(1 - at));
    }
    let (mut world, _, bob) = world(7, menus);
    world.call(bob, "500");
    world.pass(5 * SECOND);
    assert!(!is_up(&world, bob));
    nothing_is_left(&mut world);
}

#[test]
fn menus_that_lead_to_each_other_for_ever_end_for_who_says_nothing() {
    let mut menus = main_and_sub();
    for (at, menu) in menus.iter_mut().enumerate() {
        menu.otherwise = Action::Menu(1 - at);
    }
    let (mut world, _, bob) = world(8, menus);
    world.call(bob, "500");
    world.pass(300 * SECOND);
    assert!(!is_up(&world, bob));
    nothing_is_left(&mut world);
}

#[test]
fn who_may_not_dial_a_service_does_not_reach_a_menu() {
    let (mut world, _, bob) = world(9, main_and_sub());
    world.call(bob, "501");
    world.pass(SECOND);
    assert_eq!(world.phones[bob.0].ends().last().unwrap().0, 404);
    // That one is reached from others only.
    world.call(bob, "sub");
    world.pass(SECOND);
    assert_eq!(world.phones[bob.0].ends().last().unwrap().0, 404);
}

#[test]
fn a_menu_rings_a_phone_and_both_hear_each_other() {
    let (mut world, alice, bob) = world(10, main_and_sub());
    world.phones[alice.0].habit = Habit::Answer(3 * SECOND);
    world.phones[bob.0].sings = Some(440.0);
    let call = world.call(bob, "500");
    world.pass(SECOND);
    press(&mut world, bob, call, "2");
    world.pass(4 * SECOND);
    let ringing = std::mem::take(&mut world.phones[bob.0].heard);
    assert!(has(&ringing, 425.0), "it rings");
    world.pass(4 * SECOND);
    for (phone, hz) in [(bob, 330.0), (alice, 440.0)] {
        let heard = std::mem::take(&mut world.phones[phone.0].heard);
        assert!(has(&heard, hz), "{hz}");
    }
    // Keys are for the other one now.
    press(&mut world, bob, call, "0");
    world.pass(2 * SECOND);
    assert!(is_up(&world, bob));
    world.command(bob, Command::Hangup { call });
    world.pass(SECOND);
    assert!(!is_up(&world, alice));
    nothing_is_left(&mut world);
}

#[test]
fn who_is_led_to_nobody_is_told_so_and_asked_again() {
    let (mut world, alice, bob) = world(11, main_and_sub());
    world.phones[alice.0].habit = Habit::Ignore;
    let call = world.call(bob, "500");
    world.pass(SECOND);
    press(&mut world, bob, call, "2");
    world.pass(20 * SECOND);
    heard(&mut world, bob);
    world.pass(20 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"], "after half a minute the menu is back");
    world.command(alice, Command::Unregister);
    world.pass(SECOND);
    press(&mut world, bob, call, "2");
    world.pass(5 * SECOND);
    assert_eq!(heard(&mut world, bob), ["main"]);
    world.command(bob, Command::Hangup { call });
    nothing_is_left(&mut world);

    // For ever, if it were left to the menu.
    let mut menus = main_and_sub();
    (menus[0].otherwise, menus[0].retries) = (Action::Call("1001".into()), 0);
    let (mut world, alice, bob) = self::world(12, menus);
    world.command(alice, Command::Unregister);
    world.call(bob, "500");
    world.pass(30 * SECOND);
    assert!(!is_up(&world, bob));
    nothing_is_left(&mut world);
}

#[test]
fn a_number_or_a_name_is_entered() {
    for keys in ["1001", "1001#", "4", "4254"] {
        let mut menus = main_and_sub();
        menus[0].extensions = true;
        let (mut world, alice, bob) = world(13, menus);
        world.phones[alice.0].habit = Habit::Answer(SECOND);
        let call = world.call(bob, "500");
        world.pass(SECOND);
        match keys.strip_prefix('4') {
            None => press(&mut world, bob, call, keys),
            Some(_) => {
                // After a while, for a number could begin so.
                press(&mut world, bob, call, "4");
                world.pass(3 * SECOND);
                press(&mut world, bob, call, if keys == "4" { "25#" } else { "25423" });
                world.pass(10 * SECOND);
                press(&mut world, bob, call, "1");
            }
        }
        world.pass(10 * SECOND);
        let heard = std::mem::take(&mut world.phones[bob.0].heard);
        assert!(has(&heard, 330.0), "{keys}");
        world.command(bob, Command::Hangup { call });
        nothing_is_left(&mut world);
    }
}
