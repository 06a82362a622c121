//! Trunks whose media has to be of a certain kind: which formats of sound, and whether it is encrypted.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::sync::Arc;
use std::time::Duration;

use bench::call::{ALICE, BOB};
use bench::{Bench, reply, request, sdp};
use offhook_exchange::config::{AnchorPolicy, Config, SrtpPolicy};
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, MediaTerms, Numbering, Rule, Trunk, TrunkAuth};
use offhook_media::command::{Command, Translation};
use offhook_sdp::{Codec, Sdp};
use offhook_sip::{Name, Request, Response, Uri};

const CARRIER: &str = "198.51.100.9:5060";
const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn bench(srtp: Option<SrtpPolicy>, codecs: &[Codec], change: impl FnOnce(&mut Config)) -> Bench {
    let mut bench = Bench::with(|config| {
        config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
        let Ok(Uri::Sip(server)) = "sip:carrier.example".parse::<Uri>() else { panic!() };
        config.trunks.push(Trunk {
            networks: vec!["198.51.100.9/32".parse().unwrap()],
            media: Some(Arc::new(MediaTerms { srtp, codecs: codecs.to_vec() })),
            ..Trunk::new("carrier", server, TrunkAuth::Address)
        });
        config.plan.rules.push(Rule::new("out", Destination::Trunk(Choice::only("carrier"))));
        change(config);
    });
    bench.pass(Duration::from_millis(1));
    bench.resolve("198.51.100.9");
    bench
}

/// Alice calls a number; returns the status that she has been told.
fn dial(bench: &mut Bench, offer: &str) -> Response {
    let text = request("INVITE", "sip:030-987654@example.com", "alice", ALICE, "", offer);
    bench.authenticated(ALICE, "alice", &text)
}

/// … and the carrier is called.
fn called(bench: &mut Bench, offer: &str) -> Request {
    assert_eq!(dial(bench, offer).status().code(), 100);
    bench.request(CARRIER)
}

/// The carrier answers; returns what Alice is told.
fn answered(bench: &mut Bench, got: &Request, answer: &str) -> Response {
    bench.send(CARRIER, &reply(got, 200, "c", &format!("Contact: <sip:gw@{CARRIER}>\n"), answer));
    bench.response(ALICE)
}

/// The carrier calls Bob.
fn comes_in(bench: &mut Bench, offer: &str) {
    bench.register("bob", BOB);
    let text = request("INVITE", "sip:bob@example.com", "+4989555", CARRIER, "", offer);
    bench.send(CARRIER, &text.replace("+4989555@example.com", "+4989555@carrier.example"));
}

fn formats(body: &[u8]) -> Vec<String> {
    let sdp = Sdp::parse(body).unwrap();
    sdp.media_at(0).unwrap().codecs().iter().map(Codec::encoding).collect()
}

fn translations(bench: &Bench) -> Option<Box<[Translation; 2]>> {
    bench.media.iter().rev().find_map(|one| match one {
        Command::Transcode { translations, .. } => translations.clone(),
        _ => None,
    })
}

fn words(response: &Response) -> (u16, String) {
    (response.status().code(), String::from_utf8_lossy(response.reason()).into_owned())
}

/// An answer or an offer with these formats in place of the usual.
fn with(address: &str, formats: &str) -> String {
    sdp(address, 7000).replace("0 8 101", formats)
}

fn savp(address: &str) -> String {
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    sdp(address, 7000).replace("RTP/AVP", "RTP/SAVP") + &crypto
}

#[test]
fn a_trunk_is_offered_its_formats_only() {
    let mut bench = bench(None, &[Codec::pcma()], |_| {});
    let got = called(&mut bench, &sdp("192.0.2.10", 4000));
    assert_eq!(formats(got.body()), ["PCMA/8000", "telephone-event/8000"]);
    let ok = answered(&mut bench, &got, &with("198.51.100.9", "8 101"));
    assert_eq!(formats(ok.body()), ["PCMA/8000", "telephone-event/8000"]);
    assert!(translations(&bench).is_none());
}

#[test]
fn what_a_phone_has_not_is_translated_for_its_trunk() {
    let mut bench = bench(None, &[Codec::g722()], |_| {});
    let got = called(&mut bench, &sdp("192.0.2.10", 4000));
    assert_eq!(formats(got.body()), ["G722/8000", "telephone-event/8000"]);
    let ok = answered(&mut bench, &got, &with("198.51.100.9", "9 101"));
    assert_eq!(formats(ok.body()), ["PCMU/8000", "telephone-event/8000"]);
    let [there, back] = *translations(&bench).unwrap();
    assert_eq!((there.from.codec.name, there.to.codec.name), ("PCMU", "G722"));
    assert_eq!((back.from.codec.name, back.to.codec.name), ("G722", "PCMU"));
}

#[test]
fn a_format_that_nobody_here_translates_goes_by_its_trunk_if_the_phone_has_it() {
    let g729 = Codec::new(18, "G729", 8000);
    let mut refusing = bench(None, std::slice::from_ref(&g729), |_| {});
    dial(&mut refusing, &sdp("192.0.2.10", 4000));
    assert!(refusing.take(CARRIER).is_empty());
    let mut passing = bench(None, std::slice::from_ref(&g729), |_| {});
    let got = called(&mut passing, &with("192.0.2.10", "0 18 101"));
    assert_eq!(formats(got.body()), ["G729/8000", "telephone-event/8000"]);
    let ok = answered(&mut passing, &got, &with("198.51.100.9", "18 101"));
    assert_eq!(formats(ok.body()), ["G729/8000", "telephone-event/8000"]);
}

#[test]
fn a_phone_without_a_format_for_the_trunk_is_told_so() {
    let mut bench = bench(None, &[Codec::new(18, "G729", 8000)], |_| {});
    let refused = dial(&mut bench, &sdp("192.0.2.10", 4000));
    let why = "No codec in common: offered PCMU PCMA; the trunk takes G729";
    assert_eq!(words(&refused), (488, why.to_owned()));
    bench.relay();
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn of_what_a_trunk_offers_its_formats_are_taken() {
    let mut bench = bench(None, &[Codec::pcma()], |_| {});
    comes_in(&mut bench, &with("198.51.100.9", "0 8 101"));
    let got = bench.request(BOB);
    assert_eq!(formats(got.body())[0], "PCMA/8000");
    // What the carrier did not want to be asked for is offered to Bob in our name: it is translated.
    bench.send(
        BOB,
        &reply(&got, 200, "b", &format!("Contact: <sip:bob@{BOB}>\n"), &with("192.0.2.20", "0 101")),
    );
    let ok = bench.response(CARRIER);
    assert_eq!((ok.status().code(), formats(ok.body())[0].as_str()), (200, "PCMA/8000"));
    let [there, back] = *translations(&bench).unwrap();
    assert_eq!((there.from.codec.name, there.to.codec.name), ("PCMA", "PCMU"));
    assert_eq!((back.from.codec.name, back.to.codec.name), ("PCMU", "PCMA"));
}

#[test]
fn a_trunk_that_offers_none_of_its_formats_is_refused() {
    let mut bench = bench(None, &[Codec::pcma()], |_| {});
    comes_in(&mut bench, &with("198.51.100.9", "0 101"));
    let why = "No codec in common: offered PCMU; the trunk takes PCMA";
    assert_eq!(words(&bench.response(CARRIER)), (488, why.to_owned()));
}

#[test]
fn a_trunk_that_requires_encryption_is_offered_nothing_else() {
    let policies = [SrtpPolicy::Off, SrtpPolicy::Prefer, SrtpPolicy::Require];
    for (srtp, anchor) in policies
        .map(|srtp| (srtp, AnchorPolicy::Auto))
        .into_iter()
        .chain([(SrtpPolicy::Off, AnchorPolicy::Never)])
    {
        let mut bench =
            bench(Some(SrtpPolicy::Require), &[], |config| (config.srtp, config.anchor) = (srtp, anchor));
        let offer = if srtp == SrtpPolicy::Require { savp("192.0.2.10") } else { sdp("192.0.2.10", 4000) };
        let got = called(&mut bench, &offer);
        let shown = String::from_utf8_lossy(got.body()).into_owned();
        assert!(shown.contains(" RTP/SAVP 0 8 101\r\n") && shown.contains("a=crypto:1 "), "{srtp:?} {shown}");
        let ok = answered(&mut bench, &got, &savp("198.51.100.9"));
        let told = String::from_utf8_lossy(ok.body()).into_owned();
        assert_eq!(ok.status().code(), 200);
        assert_eq!(told.contains(" RTP/SAVP 0 8 101\r\n"), srtp == SrtpPolicy::Require, "{srtp:?} {told}");
    }
}

#[test]
fn a_trunk_that_cannot_encrypt_what_it_must_loses_the_call() {
    let mut one = bench(Some(SrtpPolicy::Require), &[], |_| {});
    let got = called(&mut one, &sdp("192.0.2.10", 4000));
    one.send(CARRIER, &reply(&got, 488, "c", "", ""));
    let why = "The provider refuses encrypted media (SRTP), which its trunk requires";
    assert_eq!(words(&one.response(ALICE)), (488, why.to_owned()));
    // It says yes, and means plain media.
    let mut other = bench(Some(SrtpPolicy::Require), &[], |_| {});
    let got = called(&mut other, &sdp("192.0.2.10", 4000));
    let refused = answered(&mut other, &got, &sdp("198.51.100.9", 7000));
    assert_eq!(words(&refused), (488, "Media must be encrypted here (SRTP)".to_owned()));
    let methods: Vec<_> =
        other.take(CARRIER).iter().filter_map(|one| Some(one.as_request()?.method().to_string())).collect();
    assert_eq!(methods, ["ACK", "BYE"]);
}

#[test]
fn a_call_that_comes_by_such_a_trunk_has_to_be_encrypted() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Prefer] {
        let mut plain = bench(Some(SrtpPolicy::Require), &[], |config| config.srtp = srtp);
        comes_in(&mut plain, &sdp("198.51.100.9", 7000));
        let refused = plain.response(CARRIER);
        assert_eq!(words(&refused), (488, "Media must be encrypted here (SRTP)".to_owned()));
        assert!(plain.take(BOB).is_empty());
        let mut encrypted = bench(Some(SrtpPolicy::Require), &[], |config| config.srtp = srtp);
        comes_in(&mut encrypted, &savp("198.51.100.9"));
        let got = encrypted.request(BOB);
        assert!(String::from_utf8_lossy(got.body()).contains(" RTP/AVP 0 8 101\r\n"));
    }
}

#[test]
fn a_trunk_that_is_not_to_be_asked_for_encryption_is_not() {
    let mut bench = bench(Some(SrtpPolicy::Off), &[], |config| config.srtp = SrtpPolicy::Require);
    let refused = dial(&mut bench, &sdp("192.0.2.10", 4000));
    assert_eq!(refused.status().code(), 488, "phones have to encrypt all the same");
    let mut bench = self::bench(Some(SrtpPolicy::Off), &[], |config| config.srtp = SrtpPolicy::Require);
    let got = called(&mut bench, &savp("192.0.2.10"));
    let shown = String::from_utf8_lossy(got.body()).into_owned();
    assert!(shown.contains(" RTP/AVP 0 8 101\r\n") && !shown.contains("crypto"), "{shown}");
    let ok = answered(&mut bench, &got, &sdp("198.51.100.9", 7000));
    assert!(String::from_utf8_lossy(ok.body()).contains(" RTP/SAVP 0 8 101\r\n"));
}

#[test]
fn a_trunk_that_is_not_to_encrypt_is_not_answered_with_keys() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Prefer] {
        let off = || bench(Some(SrtpPolicy::Off), &[], |config| config.srtp = srtp);
        let mut refusing = off();
        comes_in(&mut refusing, &savp("198.51.100.9"));
        let refused = refusing.response(CARRIER);
        assert_eq!(words(&refused), (488, "Media is not encrypted on this trunk".to_owned()), "{srtp:?}");
        assert!(refusing.take(BOB).is_empty());
        // Keys beside plain media are left lying.
        let mut passing = off();
        comes_in(&mut passing, &savp("198.51.100.9").replace("RTP/SAVP", "RTP/AVP"));
        let got = passing.request(BOB);
        assert!(!String::from_utf8_lossy(got.body()).contains(KEY));
        let contact = format!("Contact: <sip:bob@{BOB}>\n");
        passing.send(BOB, &reply(&got, 200, "b", &contact, &sdp("192.0.2.20", 4000)));
        let told = String::from_utf8_lossy(passing.response(CARRIER).body()).into_owned();
        assert!(told.contains(" RTP/AVP 0 8 101\r\n") && !told.contains("crypto"), "{srtp:?} {told}");
        // What a phone encrypts on its own account ends here.
        let mut leaving = off();
        let got = called(&mut leaving, &savp("192.0.2.10"));
        let shown = String::from_utf8_lossy(got.body()).into_owned();
        assert!(shown.contains(" RTP/AVP 0 8 101\r\n") && !shown.contains("crypto"), "{srtp:?} {shown}");
    }
}

#[test]
fn an_end_of_ours_may_make_an_offer_where_all_media_has_to_be_encrypted() {
    let mut bench = Bench::with(|config| config.srtp = SrtpPolicy::Require);
    let text = request("INVITE", "sip:*43@example.com", "alice", ALICE, "", "");
    let ok = bench.authenticated(ALICE, "alice", &text);
    assert_eq!(ok.status().code(), 200);
    assert_eq!(String::from_utf8_lossy(ok.raw(Name::ContentType).unwrap()), "application/sdp");
    assert!(String::from_utf8_lossy(ok.body()).contains(" RTP/SAVP "));
}
