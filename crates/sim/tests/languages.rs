//! Accounts have a language: services speak it to them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Config;
use offhook_exchange::speech::Language;
use offhook_sim::World;
use offhook_ua::Command;

/// What each of two phones hears, of whom the first is an account with a language of its own, if any.
fn heard(common: Language, own: Option<Language>, [alice_dials, bob_dials]: [&str; 2]) -> [Vec<i16>; 2] {
    let mut world = World::new(31, |config: &mut Config| config.services.language = common);
    let phones = [world.phone("alice", Some("1001")), world.phone("bob", Some("1002"))];
    for phone in phones {
        world.phones[phone.0].sings = Some(0.0);
        world.register(phone);
    }
    if let Some(own) = own {
        world.office.speaks(world.now(), "alice", own);
    }
    for (phone, dials) in phones.into_iter().zip([alice_dials, bob_dials]) {
        let call = world.call(phone, dials);
        world.pass(Duration::from_secs(8));
        world.command(phone, Command::Hangup { call });
        world.pass(Duration::from_secs(2));
    }
    phones.map(|phone| world.phones[phone.0].heard.clone())
}

#[test]
fn an_account_hears_its_own_language_and_others_that_of_the_exchange() {
    let dialled = ["*60", "*60"];
    let [english, chinese] =
        [Language::English, Language::Chinese].map(|language| heard(language, None, dialled));
    assert!(english[0] != chinese[0] && english[1] != chinese[1]);
    assert!(english[0].iter().any(|sample| *sample != 0));
    let [alice, bob] = heard(Language::English, Some(Language::Chinese), dialled);
    assert!(alice == chinese[0], "Alice hears Chinese");
    assert!(bob == english[1], "Bob has not asked for anything else");
}

#[test]
fn who_has_no_language_hears_that_of_the_mailbox_it_comes_to() {
    let dialled = ["*60", "*971001"];
    let [english, chinese] =
        [Language::English, Language::Chinese].map(|language| heard(language, None, dialled));
    let [_, bob] = heard(Language::English, Some(Language::Chinese), dialled);
    assert!(bob == chinese[1] && bob != english[1]);
}

#[test]
fn who_is_called_by_the_exchange_hears_its_own_language() {
    let rang = |common, own| {
        let mut world = World::new(32, |config: &mut Config| config.services.language = common);
        let alice = world.phone("alice", Some("1001"));
        world.phones[alice.0].sings = Some(0.0);
        world.register(alice);
        if let Some(own) = own {
            world.office.speaks(world.now(), "alice", own);
        }
        world.call(alice, "*55*0801");
        world.pass(Duration::from_secs(15));
        world.phones[alice.0].heard.clear();
        world.pass(Duration::from_secs(90));
        world.phones[alice.0].heard.clone()
    };
    let [english, chinese] = [Language::English, Language::Chinese].map(|one| rang(one, None));
    assert!(!english.is_empty() && english != chinese);
    assert!(rang(Language::English, Some(Language::Chinese)) == chinese);
}
