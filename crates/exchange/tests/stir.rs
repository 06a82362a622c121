//! Who signed for the number of a caller (RFC 8224): calls by a trunk, in and out.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::sync::Arc;
use std::time::Duration;

use bench::call::{ALICE, BOB};
use bench::{Bench, raw, reply, request, sdp};
use bytes::Bytes;
use offhook_exchange::config::Config;
use offhook_exchange::event::Event;
use offhook_exchange::io::Input;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Rule, Trunk, TrunkAuth};
use offhook_exchange::stir::{Attestation, Authorities, Passport, Policy, Signer};
use offhook_sip::{Name, Request, SipUri, Uri};
use offhook_sip_stack::FetchFailure;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};

const CARRIER: &str = "198.51.100.9:5060";
const ADDRESS: &str = "https://certs.example/sp.pem";
const NOW: u64 = 1_800_000_000;

/// An authority, a signer that it knows, and that one's certificate.
struct Signing {
    issuer: Issuer<'static, KeyPair>,
    authorities: Arc<Authorities>,
    signer: Signer,
    certificate: Bytes,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn signing() -> Signing {
    let root = key();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&root).unwrap().pem();
    let issuer = Issuer::new(params, root);
    let (signer, certificate) = signer(&issuer, ADDRESS);
    Signing { issuer, authorities: Arc::new(Authorities::read(pem.as_bytes()).unwrap()), signer, certificate }
}

/// A signer whose certificate is to be had at this address.
fn signer(issuer: &Issuer<'static, KeyPair>, address: &str) -> (Signer, Bytes) {
    let own = key();
    let leaf = CertificateParams::new(Vec::new()).unwrap().signed_by(&own, issuer).unwrap();
    (Signer::new(&own.serialize_der(), address).unwrap(), leaf.pem().into())
}

/// A carrier that is known by its address. Bob has the number +49301234567, Alice 1001 and, with the trunk's first, another.
fn bench(signing: &Signing, policy: Policy, change: impl FnOnce(&mut Config)) -> Bench {
    let mut bench = Bench::with(|config| {
        config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
        let Ok(Uri::Sip(server)) = format!("sip:{CARRIER}").parse::<Uri>() else { panic!() };
        let server: SipUri = server;
        config.trunks.push(Trunk {
            networks: vec!["198.51.100.9/32".parse().unwrap()],
            numbers: vec!["+49301234567".into(), "+49301234568".into()],
            ..Trunk::new("carrier", server, TrunkAuth::Address)
        });
        config.plan.rules.push(Rule::new("out", Destination::Trunk(Choice::only("carrier"))));
        config.stir.policy = policy;
        config.stir.authorities = Arc::clone(&signing.authorities);
        change(config);
    });
    bench.account("bob", Some("+49301234567"));
    bench.register("bob", BOB);
    bench
}

/// A call of +498955501 to Bob, with this Identity header field.
fn call(identity: Option<&str>, name: &str) -> String {
    let identity = identity.map(|value| format!("Identity: {value}\n")).unwrap_or_default();
    request("INVITE", "sip:+49301234567@example.com", "eve", CARRIER, &identity, &sdp("198.51.100.9", 4000))
        .replace("sip:eve@example.com", "sip:+498955501@carrier.example")
        .replace("INVITEeve", name)
        .replace("call-eve", name)
}

fn passport() -> Passport {
    Passport {
        orig: "498955501".into(),
        dest: vec!["49301234567".into()],
        iat: NOW,
        attestation: Some(Attestation::Full),
        origid: Some("way-1".into()),
        div: None,
    }
}

fn verdicts(bench: &Bench) -> Vec<&str> {
    let of = |event: &'_ Event| match event {
        Event::CallVerified { verdict, .. } => Some(verdict.clone().leak() as &str),
        _ => None,
    };
    bench.events.iter().filter_map(of).collect()
}

fn the_phone_rings(bench: &mut Bench) -> Request {
    bench.request(BOB)
}

#[test]
fn a_signed_call_waits_for_the_certificate_once_and_rings_with_the_verdict() {
    let signing = signing();
    let mut bench = bench(&signing, Policy::Require, |config| config.stir.verstat = true);
    let identity = signing.signer.identity(&passport()).unwrap();
    bench.send(CARRIER, &call(Some(&identity), "one"));
    assert_eq!(bench.codes(CARRIER), [100]);
    assert!(bench.take(BOB).is_empty(), "it waits");
    let (ticket, address) = bench.out.fetches.pop().unwrap();
    assert_eq!(address, ADDRESS);
    // Another call waits for the same.
    bench.send(CARRIER, &call(Some(&identity), "two"));
    assert!(bench.out.fetches.is_empty());
    bench.input(Input::Fetched(ticket, Ok(signing.certificate.clone())));
    let rings = bench.take(BOB);
    assert_eq!(rings.len(), 2);
    let got = rings[0].as_request().unwrap();
    assert_eq!(
        raw(got, Name::PAssertedIdentity),
        "<sip:+498955501@example.com;user=phone;verstat=TN-Validation-Passed>"
    );
    assert_eq!(verdicts(&bench), ["passed A +498955501 origid=way-1"; 2]);
    // From now on it is known.
    bench.send(CARRIER, &call(Some(&identity), "three"));
    the_phone_rings(&mut bench);
    assert!(bench.out.fetches.is_empty());
}

#[test]
fn a_call_that_was_sent_on_waits_for_the_certificate_of_each_who_has_signed() {
    const OTHER: &str = "https://other.example/sp.pem";
    let signing = signing();
    let (second, certificate) = signer(&signing.issuer, OTHER);
    let original = Passport { dest: vec!["4930999".into()], ..passport() };
    let link = Passport { attestation: None, origid: None, div: Some("4930999".into()), ..passport() };
    let original = signing.signer.identity(&original).unwrap();
    let identities = format!("{original}\nIdentity: {}", second.identity(&link).unwrap());
    for known in [Ok(certificate), Err(FetchFailure::Silent)] {
        let is_good = known.is_ok();
        let mut bench = bench(&signing, Policy::Require, |_| {});
        bench.send(CARRIER, &call(Some(&identities), "one"));
        let (ticket, address) = bench.out.fetches.pop().unwrap();
        assert_eq!(address, ADDRESS);
        bench.input(Input::Fetched(ticket, Ok(signing.certificate.clone())));
        assert!(bench.take(BOB).is_empty(), "it waits for the other");
        let (ticket, address) = bench.out.fetches.pop().unwrap();
        assert_eq!(address, OTHER);
        bench.input(Input::Fetched(ticket, known));
        if is_good {
            the_phone_rings(&mut bench);
            assert_eq!(verdicts(&bench), ["passed A +498955501 origid=way-1"]);
        } else {
            assert_eq!(bench.codes(CARRIER), [100, 436]);
        }
    }
}

#[test]
fn without_a_good_signature_there_is_no_call_where_one_is_required() {
    let (signing, other) = (signing(), signing());
    let good = signing.signer.identity(&passport()).unwrap();
    let stale = signing.signer.identity(&Passport { iat: NOW - 100, ..passport() }).unwrap();
    let stolen = signing.signer.identity(&Passport { orig: "498955502".into(), ..passport() }).unwrap();
    let silent = Err(FetchFailure::Silent);
    for (identity, fetched, code, words) in [
        (None, None, 428, "Use Identity Header"),
        (Some(&stale), None, 403, "Stale Date"),
        (Some(&stolen), None, 438, "Invalid Identity Header"),
        (Some(&good), Some(silent), 436, "Bad Identity Info"),
        (Some(&good), Some(Ok(other.certificate.clone())), 437, "Unsupported Credential"),
        (Some(&good), Some(Ok(Bytes::from_static(b"<html>"))), 437, "Unsupported Credential"),
    ] {
        let mut bench = bench(&signing, Policy::Require, |_| {});
        bench.send(CARRIER, &call(identity.map(String::as_str), "one"));
        if let Some(fetched) = fetched {
            let (ticket, _) = bench.out.fetches.pop().unwrap();
            bench.input(Input::Fetched(ticket, fetched));
        }
        let refused = bench.response(CARRIER);
        let reason = String::from_utf8_lossy(refused.reason()).into_owned();
        assert_eq!(refused.status().code(), code, "{reason}");
        assert!(reason.starts_with(words), "{reason}");
        assert!(bench.take(BOB).is_empty());
        let told = |one: &Event| matches!(one, Event::CallRefused { status, .. } if status.code() == code);
        assert!(bench.events.iter().any(told), "it is recorded");
        bench.pass(Duration::from_secs(70));
        assert!(bench.shard.is_idle());
    }
}

#[test]
fn where_it_is_only_noted_every_call_goes_on_and_says_what_came_of_it() {
    let signing = signing();
    let stale = signing.signer.identity(&Passport { iat: NOW - 100, ..passport() }).unwrap();
    for (identity, verdict, verstat) in [
        (None, "unsigned", "No-TN-Validation"),
        (Some(stale), "failed: the signature is not of the last minute", "TN-Validation-Failed"),
    ] {
        let mut bench = bench(&signing, Policy::Note, |config| config.stir.verstat = true);
        bench.send(CARRIER, &call(identity.as_deref(), "one"));
        let got = the_phone_rings(&mut bench);
        assert!(raw(&got, Name::PAssertedIdentity).contains(&format!("verstat={verstat}>")));
        assert_eq!(verdicts(&bench), [verdict]);
    }
    // A trunk may have a policy of its own; and phones are told nothing unless that is wanted.
    let mut bench = bench(&signing, Policy::Note, |config| config.trunks[0].verify = Some(Policy::Off));
    bench.send(CARRIER, &call(None, "one"));
    assert!(!the_phone_rings(&mut bench).has(Name::PAssertedIdentity));
    assert!(verdicts(&bench).is_empty());
}

#[test]
fn a_call_that_waits_can_be_cancelled_and_never_waits_for_ever() {
    let signing = signing();
    let mut bench = bench(&signing, Policy::Require, |_| {});
    let identity = signing.signer.identity(&passport()).unwrap();
    let invite = call(Some(&identity), "one");
    bench.send(CARRIER, &invite);
    let head = invite.split("Identity").next().unwrap();
    let cancel = head.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    bench.send(CARRIER, &format!("{cancel}Content-Length: 0\n\n"));
    assert_eq!(bench.codes(CARRIER), [100, 200, 487]);
    // Its certificate never comes, whatever the adapter promised.
    bench.send(CARRIER, &call(Some(&identity), "two"));
    bench.pass(Duration::from_secs(130));
    assert!(bench.codes(CARRIER).contains(&436));
    assert!(bench.shard.is_idle());
}

#[test]
fn calls_out_are_signed_and_say_how_far_we_know_the_caller() {
    let signing = signing();
    for (number, attest, shown) in [(Some("+49301234568"), "A", "49301234568"), (None, "B", "49301234567")] {
        let signer = signing.signer.clone();
        let mut bench = bench(&signing, Policy::Off, |config| config.trunks[0].signer = Some(signer));
        if let Some(number) = number {
            bench.account("alice", Some(number));
        }
        bench.pass(Duration::from_millis(1));
        bench.resolve("198.51.100.9");
        let dialled = "sip:089-55501@example.com";
        let text = request("INVITE", dialled, "alice", ALICE, "", &sdp("192.0.2.10", 4000));
        assert_eq!(bench.authenticated(ALICE, "alice", &text).status().code(), 100);
        let sent = bench.request(CARRIER);
        let identity = raw(&sent, Name::Identity);
        assert!(identity.ends_with(&format!(";info=<{ADDRESS}>;alg=ES256;ppt=\"shaken\"")), "{identity}");
        bench.send(CARRIER, &reply(&sent, 486, "c", "", ""));
        // The one who is called verifies it: another exchange of this kind, which knows the same authority.
        let mut there = self::bench(&signing, Policy::Require, |config| {
            config.trunks[0].numbers = vec!["+498955501".into()];
        });
        there.account("bob", Some("+498955501"));
        let text = request("INVITE", "sip:+498955501@example.com", "x", CARRIER, "", &sdp("192.0.2.1", 4000));
        let text = text
            .replace("\"Me\" <sip:x@example.com>", raw(&sent, Name::From).split(';').next().unwrap())
            .replace("Max-Forwards", &format!("Identity: {identity}\nMax-Forwards"));
        there.send(CARRIER, &text);
        let (ticket, _) = there.out.fetches.pop().unwrap();
        there.input(Input::Fetched(ticket, Ok(signing.certificate.clone())));
        the_phone_rings(&mut there);
        let verdict = verdicts(&there)[0];
        assert!(verdict.starts_with(&format!("passed {attest} +{shown} origid=")), "{verdict}");
    }
}
