//! Trunks with terms for the media of their calls: what providers are offered, and which comes after one that refuses it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::config::{Config, SrtpPolicy};
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{MediaTerms, Numbering, Trunk};
use offhook_sdp::Codec;
use offhook_sim::{Manners, Provider, Sound, World};
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 3] = ["one.test", "two.test", "three.test"];
const ULAW: Sound = Sound { profile: "RTP/AVP", format: "0" };
const ALAW: Sound = Sound { profile: "RTP/AVP", format: "8" };
const ENCRYPTED: Sound = Sound { profile: "RTP/SAVP", format: "0" };

/// A trunk, and its provider.
struct Line {
    terms: Option<MediaTerms>,
    manners: Manners,
}

fn any(manners: Manners) -> Line {
    Line { terms: None, manners }
}

fn srtp(policy: SrtpPolicy, manners: Manners) -> Line {
    Line { terms: Some(MediaTerms { srtp: Some(policy), codecs: Vec::new() }), manners }
}

fn codec(codec: Codec, manners: Manners) -> Line {
    Line { terms: Some(MediaTerms { srtp: None, codecs: vec![codec] }), manners }
}

fn add(config: &mut Config, lines: &[Line]) {
    config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
    for (name, line) in NAMES.iter().zip(lines) {
        let media = line.terms.clone().map(Arc::new);
        config.trunks.push(Trunk { media, ..Provider::trunk(name) });
    }
    config.plan.rules.push(Provider::outside(&NAMES[..lines.len()]));
}

/// Alice calls a number by these lines. What the providers were offered, as profile and formats, and what she was told.
fn call(lines: &[Line]) -> (Vec<Vec<String>>, u16, String) {
    let mut world = World::new(7, |config| add(config, lines));
    let alice = world.phone("alice", None);
    for (name, line) in NAMES.iter().zip(lines) {
        let at = world.provider(name);
        world.providers[at].manners = line.manners;
    }
    world.register(alice);
    let call = world.call(alice, "sip:+4930987654@example.com");
    world.pass(5 * SECOND);
    world.command(alice, Command::Hangup { call });
    world.pass(SECOND);
    let (status, reason) = world.phones[alice.0].ends()[0].clone();
    let shown = |line: &String| line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    let offered = world.providers.iter().map(|one| one.offered.iter().map(shown).collect()).collect();
    world.pass(240 * SECOND);
    let now = world.now();
    assert!(world.office.trunks(now).iter().all(|one| one.calls == 0));
    let status_of = world.office.status(now);
    assert_eq!((status_of.ringing, status_of.anchored), (0, 0));
    (offered, status, reason)
}

fn is_encrypted(offers: &[String]) -> bool {
    assert!(!offers.is_empty());
    offers.iter().all(|offer| offer.starts_with("RTP/SAVP "))
}

#[test]
fn a_trunk_that_must_encrypt_comes_after_one_that_refuses_plain_sound() {
    for status in [488, 415, 606] {
        let (offered, told, _) = call(&[
            any(Manners::Takes(ENCRYPTED, status)),
            srtp(SrtpPolicy::Require, Manners::Takes(ENCRYPTED, status)),
        ]);
        assert_eq!((told, offered[0].len(), offered[1].len()), (200, 1, 1), "{status}");
        assert!(!is_encrypted(&offered[0]) && is_encrypted(&offered[1]), "{offered:?}");
    }
}

#[test]
fn a_trunk_that_must_not_encrypt_comes_after_one_that_must() {
    let (offered, told, _) = call(&[
        srtp(SrtpPolicy::Require, Manners::Takes(ULAW, 488)),
        srtp(SrtpPolicy::Off, Manners::Takes(ULAW, 488)),
    ]);
    assert_eq!(told, 200);
    assert!(is_encrypted(&offered[0]) && !is_encrypted(&offered[1]), "{offered:?}");
}

#[test]
fn a_trunk_with_other_formats_comes_after_one_whose_formats_are_refused() {
    let (offered, told, _) = call(&[
        codec(Codec::pcma(), Manners::Takes(ULAW, 488)),
        codec(Codec::pcmu(), Manners::Takes(ULAW, 488)),
    ]);
    assert_eq!(told, 200);
    assert!(offered[0][0].starts_with("RTP/AVP 8") && offered[1][0].starts_with("RTP/AVP 0"), "{offered:?}");
}

#[test]
fn a_trunk_on_the_same_terms_is_not_asked_again() {
    let refuses = || codec(Codec::pcma(), Manners::Takes(ULAW, 488));
    let (offered, told, _) = call(&[refuses(), refuses(), codec(Codec::pcmu(), Manners::Takes(ULAW, 488))]);
    assert_eq!((told, offered[1].len(), offered[2].len()), (200, 0, 1));
    let (offered, told, _) = call(&[any(Manners::Takes(ENCRYPTED, 488)), any(Manners::Serves)]);
    assert_eq!((told, offered[1].len()), (488, 0));
    // Who declines the call itself is asked nowhere else.
    let (offered, told, _) = call(&[any(Manners::Refuses(603)), codec(Codec::pcma(), Manners::Serves)]);
    assert_eq!((told, offered[1].len()), (603, 0));
}

#[test]
fn a_trunk_whose_formats_the_phone_lacks_is_passed_over() {
    let g729 = codec(Codec::new(18, "G729", 8000), Manners::Serves);
    let (offered, told, _) = call(&[g729, codec(Codec::pcma(), Manners::Takes(ALAW, 488))]);
    assert_eq!((told, offered[0].len()), (200, 0));
}

#[test]
fn the_last_trunk_has_the_last_word() {
    let (_, told, why) =
        call(&[any(Manners::Takes(ENCRYPTED, 606)), srtp(SrtpPolicy::Require, Manners::Takes(ALAW, 606))]);
    assert_eq!(
        (told, why.as_str()),
        (606, "The provider refuses encrypted media (SRTP), which its trunk requires")
    );
    let (_, told, _) =
        call(&[any(Manners::Takes(ENCRYPTED, 488)), codec(Codec::pcma(), Manners::Refuses(486))]);
    assert_eq!(told, 486);
}
