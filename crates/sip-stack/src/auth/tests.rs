use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use offhook_sip::digest::{self, Algorithm, Parts, Qop};
use offhook_sip::{Message, Method, Name, Request, RequestBuilder, Response, Status};
use rand::SeedableRng as _;

use super::*;
use crate::Rng;

const KEY: [u8; 32] = [42; 32];
const REALM: &str = "example.com";
const NOW: u64 = 1_800_000_000;
const PHONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

fn rng() -> Rng {
    Rng::seed_from_u64(1)
}

fn server() -> Authenticator {
    Authenticator::new(KEY, REALM, 300)
}

fn secrets(user: &str) -> Option<Secrets> {
    (user == "alice").then(|| Secrets::of("alice", REALM, "se\"cret"))
}

fn alice() -> Authorizer {
    Authorizer::new("alice", Password::new("se\"cret"))
}

fn request(method: Method, uri: &str) -> Request {
    RequestBuilder::new(method.clone(), &uri.parse().unwrap())
        .header(Name::Via, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1")
        .header(Name::From, "<sip:alice@example.com>;tag=a")
        .header(Name::To, "<sip:alice@example.com>")
        .header(Name::CallId, "call-1")
        .header(Name::CSeq, format!("1 {method}"))
        .finish()
}

fn register() -> Request {
    request(Method::Register, "sip:example.com")
}

fn challenged(server: &Authenticator, kind: Kind, stale: bool, now: u64, rng: &mut Rng) -> Response {
    server
        .challenge(kind, Offer::default(), stale, PHONE, now, rng)
        .into_iter()
        .fold(Response::to_request(&register(), kind.status()), |response, (name, challenge)| {
            response.header(name, challenge)
        })
        .finish()
}

/// A 401 as some other server writes it.
fn foreign(challenges: &[&str]) -> Response {
    challenges
        .iter()
        .fold(Response::to_request(&register(), Status::UNAUTHORIZED), |response, challenge| {
            response.header(Name::WwwAuthenticate, challenge)
        })
        .finish()
}

fn credentials(request: &Request) -> Vec<offhook_sip::Credentials> {
    request.credentials(Name::Authorization).map(Result::unwrap).collect()
}

/// A request that was challenged and answered.
fn answered(server: &Authenticator, client: &mut Authorizer, request: &Request) -> Request {
    let mut rng = rng();
    let response = challenged(server, Kind::UserToUser, false, NOW, &mut rng);
    client.answer(request, &response, &mut rng).unwrap()
}

fn verify(server: &mut Authenticator, request: &Request, now: u64) -> Result<Verified, Failure> {
    server.verify(request, Kind::UserToUser, now, None, |_| false, secrets)
}

/// The request with one text in it replaced.
fn changed(request: &Request, from: &str, to: &str) -> Request {
    let text = String::from_utf8(request.bytes().to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    match Message::parse(Bytes::from(text.replace(from, to))).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

#[test]
fn the_example_of_rfc_7616_comes_out() {
    let parts = Parts {
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        method: "GET",
        uri: "/dir/index.html",
        qop: Some(Qop::Auth { nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ" }),
    };
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let ha1 = digest::ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(digest::response(algorithm, &ha1, &parts), expected);
    }
}

#[test]
fn both_algorithms_are_offered_best_first_with_one_nonce() {
    for kind in [Kind::UserToUser, Kind::ProxyToUser] {
        let response = challenged(&server(), kind, true, NOW, &mut rng());
        let challenges: Vec<_> = response.challenges(kind.challenge_name()).map(Result::unwrap).collect();
        let algorithms: Vec<_> = challenges.iter().map(|challenge| challenge.algorithm()).collect();
        assert_eq!(algorithms, [Some(Algorithm::Sha256), Some(Algorithm::Md5)]);
        assert_eq!(challenges[0].nonce(), challenges[1].nonce());
        assert!(challenges.iter().all(|challenge| challenge.stale() && challenge.offers_qop("auth")));
        assert_eq!(challenges[0].realm().as_deref(), Some(REALM));
    }
}

#[test]
fn a_right_answer_is_verified_and_says_who_it_is() {
    for kind in [Kind::UserToUser, Kind::ProxyToUser] {
        let (mut server, mut rng) = (server(), rng());
        let response = challenged(&server, kind, false, NOW, &mut rng);
        let request = alice().answer(&register(), &response, &mut rng).unwrap();
        let verified = server.verify(&request, kind, NOW, None, |_| false, secrets).unwrap();
        assert_eq!(verified, Verified { username: "alice".into(), algorithm: Algorithm::Sha256 });
    }
}

#[test]
fn md5_is_enough_for_a_client_that_knows_no_more() {
    let mut server = server();
    let mut rng = rng();
    let md5 = server
        .challenge(Kind::UserToUser, Offer::default(), false, PHONE, NOW, &mut rng)
        .pop()
        .unwrap()
        .1
        .to_string();
    let request = alice().answer(&register(), &foreign(&[&md5]), &mut rng).unwrap();
    assert_eq!(verify(&mut server, &request, NOW).unwrap().algorithm, Algorithm::Md5);
}

#[test]
fn no_credentials_for_our_realm_are_missing_credentials() {
    let mut server = server();
    assert_eq!(verify(&mut server, &register(), NOW), Err(Failure::Missing));
    let elsewhere = Authenticator::new(KEY, "other.example", 300);
    let request = answered(&elsewhere, &mut alice(), &register());
    assert_eq!(verify(&mut server, &request, NOW), Err(Failure::Missing));
    // Those for a proxy are not those for a registrar.
    let request = answered(&server, &mut alice(), &register());
    assert_eq!(
        server.verify(&request, Kind::ProxyToUser, NOW, None, |_| false, secrets),
        Err(Failure::Missing)
    );
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_alike() {
    let mut server = server();
    for mut client in [
        Authorizer::new("alice", Password::new("guess")),
        Authorizer::new("mallory", Password::new("se\"cret")),
    ] {
        let request = answered(&server, &mut client, &register());
        assert_eq!(verify(&mut server, &request, NOW), Err(Failure::Wrong));
    }
}

#[test]
fn a_user_without_a_secret_for_the_algorithm_is_refused() {
    let mut server = server();
    let request = answered(&server, &mut alice(), &register());
    let md5_only = |_: &str| Some(Secrets { sha256: None, ..secrets("alice").unwrap() });
    assert_eq!(
        server.verify(&request, Kind::UserToUser, NOW, None, |_| false, md5_only),
        Err(Failure::Wrong)
    );
}

#[test]
fn a_captured_answer_is_refused_the_second_time() {
    let mut server = server();
    let request = answered(&server, &mut alice(), &register());
    assert!(verify(&mut server, &request, NOW).is_ok());
    assert_eq!(verify(&mut server, &request, NOW + 1), Err(Failure::Replayed));
    let other_count = changed(&request, "nc=00000001", "nc=00000002");
    assert_eq!(verify(&mut server, &other_count, NOW + 1), Err(Failure::Wrong));
}

#[test]
fn a_client_counts_on_and_requests_may_overtake_one_another() {
    let mut server = server();
    let (mut client, mut rng) = (alice(), rng());
    let first = answered(&server, &mut client, &register());
    let second = client.authorize(&register(), &mut rng);
    let third = client.authorize(&register(), &mut rng);
    assert_eq!(credentials(&third)[0].nonce_count(), Some(3));
    for request in [&first, &third, &second] {
        assert!(verify(&mut server, request, NOW).is_ok());
    }
    assert_eq!(verify(&mut server, &second, NOW), Err(Failure::Replayed));
}

#[test]
fn an_old_nonce_is_stale_only_for_who_knows_the_password() {
    let mut server = server();
    let request = answered(&server, &mut alice(), &register());
    assert_eq!(verify(&mut server, &request, NOW + 300), Err(Failure::Stale));
    assert!(verify(&mut server, &request, NOW + 299).is_ok());
    let guess = answered(&server, &mut Authorizer::new("alice", Password::new("guess")), &register());
    assert_eq!(verify(&mut server, &guess, NOW + 300), Err(Failure::Wrong));
}

#[test]
fn a_nonce_from_the_future_or_not_ours_is_stale() {
    let mut ours = server();
    let request = answered(&ours, &mut alice(), &register());
    assert_eq!(verify(&mut ours, &request, NOW - 100), Err(Failure::Stale));
    let mut other_key = Authenticator::new([1; 32], REALM, 300);
    assert_eq!(verify(&mut other_key, &request, NOW), Err(Failure::Stale));
    let (nonce, forged) = ("nonce=\"", "nonce=\"00");
    let forged = changed(&request, nonce, forged);
    assert_eq!(verify(&mut ours, &forged, NOW), Err(Failure::Wrong));
}

#[test]
fn a_nonce_outlives_a_restart() {
    let request = answered(&server(), &mut alice(), &register());
    let mut restarted = server();
    assert!(verify(&mut restarted, &request, NOW + 60).is_ok());
}

#[test]
fn credentials_for_another_target_are_malformed() {
    let mut server = server();
    let invite = request(Method::Invite, "sip:bob@example.com");
    let good = answered(&server, &mut alice(), &invite);
    for (uri, expected) in [
        ("sip:carol@example.com", Err(Failure::Malformed)),
        ("sip:bob@example.org", Err(Failure::Malformed)),
        ("sip:bob@example.com:5070", Err(Failure::Malformed)),
        ("tel:+4930123", Err(Failure::Malformed)),
        ("sip:%62ob@EXAMPLE.com;transport=udp", Ok(())),
    ] {
        let moved = changed(&good, "INVITE sip:bob@example.com SIP", &format!("INVITE {uri} SIP"));
        assert_eq!(verify(&mut server, &moved, NOW).map(drop), expected, "{uri}");
    }
}

#[test]
fn credentials_of_another_method_are_wrong() {
    let mut server = server();
    let good = answered(&server, &mut alice(), &register());
    let text = String::from_utf8(good.bytes().to_vec()).unwrap().replace("REGISTER", "OPTIONS");
    let Message::Request(moved) = Message::parse(text.into()).unwrap() else { panic!("a response") };
    assert_eq!(verify(&mut server, &moved, NOW), Err(Failure::Wrong));
}

#[test]
fn broken_credentials_are_malformed_and_never_right() {
    let mut server = server();
    let good = answered(&server, &mut alice(), &register());
    for (from, to) in [
        ("username=", "user="),
        ("nonce=\"", "nance=\""),
        ("uri=", "url="),
        ("response=", "respond="),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=00000000"),
        ("nc=00000001", "nc=zzzzzzzz"),
        ("nc=00000001, ", ""),
        ("cnonce=", "xnonce="),
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", "xop=auth"),
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ("algorithm=SHA-256", "algorithm=ROT13"),
    ] {
        let bad = changed(&good, from, to);
        assert_eq!(verify(&mut server, &bad, NOW), Err(Failure::Malformed), "{from} -> {to}");
    }
    let mut edit = register().edit();
    edit.set(Name::Authorization, "Digest \"");
    let _ = verify(&mut server, &edit.finish(), NOW);
    assert!(verify(&mut server, &good, NOW).is_ok());
}

#[test]
fn legacy_credentials_are_refused_unless_allowed() {
    let mut strict = server();
    let nonce = strict.challenge(Kind::UserToUser, Offer::default(), false, PHONE, NOW, &mut rng())[0]
        .1
        .nonce()
        .unwrap()
        .into_owned();
    let challenge = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\"");
    let request = alice().answer(&register(), &foreign(&[&challenge]), &mut rng()).unwrap();
    let sent = &credentials(&request)[0];
    assert_eq!((sent.qop(), sent.nc(), sent.param("algorithm")), (None, None, None));
    assert_eq!(verify(&mut strict, &request, NOW), Err(Failure::Malformed));
    let mut lenient = server().allow_legacy(true);
    assert!(verify(&mut lenient, &request, NOW).is_ok());
}

#[test]
fn of_several_credentials_the_right_one_counts() {
    let mut server = server();
    let mut edit = answered(&server, &mut alice(), &register()).edit();
    let wrong = answered(&server, &mut Authorizer::new("alice", Password::new("guess")), &register());
    let wrong = wrong.raw(Name::Authorization).unwrap();
    edit.add(Name::Authorization, String::from_utf8_lossy(wrong));
    assert!(verify(&mut server, &edit.finish(), NOW).is_ok());
}

#[test]
fn a_client_takes_the_topmost_challenge_it_knows_of_each_realm() {
    let response = foreign(&[
        "Digest realm=\"a\", nonce=\"n1\", algorithm=SHA-1024",
        "Basic realm=\"a\"",
        "Digest realm=\"a\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth-int\"",
        "Digest realm=\"a\", nonce=\"n3\", algorithm=SHA-256, qop=\"auth,auth-int\", opaque=\"o\"",
        "Digest realm=\"a\", nonce=\"n4\", algorithm=MD5, qop=\"auth\"",
        "Digest realm=\"b\", nonce=\"n5\", algorithm=MD5, qop=\"auth\"",
    ]);
    let request = alice().answer(&register(), &response, &mut rng()).unwrap();
    let sent = credentials(&request);
    let nonces: Vec<_> = sent.iter().map(|sent| sent.nonce().unwrap().into_owned()).collect();
    assert_eq!(nonces, ["n3", "n5"]);
    assert_eq!(sent[0].opaque().as_deref(), Some("o"));
    assert_eq!(sent[0].uri().as_deref(), Some("sip:example.com"));
    let only_b = alice().for_realm("b").answer(&register(), &response, &mut rng()).unwrap();
    assert_eq!(credentials(&only_b).len(), 1);
}

#[test]
fn a_client_of_the_first_realm_answers_no_other_one_later() {
    let realm = |name: &str| foreign(&[&format!("Digest realm=\"{name}\", nonce=\"n\"")]);
    let mut alice = alice().for_first_realm();
    assert_eq!(alice.realm(), None);
    assert_eq!(credentials(&alice.answer(&register(), &realm("a"), &mut rng()).unwrap()).len(), 1);
    assert_eq!(alice.realm(), Some("a"));
    assert_eq!(alice.answer(&register(), &realm("b"), &mut rng()), Err(Refusal::Unsupported));
}

#[test]
fn a_client_answers_nothing_it_does_not_know() {
    for challenges in [
        &[][..],
        &["Basic realm=\"a\""],
        &["Digest realm=\"a\""],
        &["Digest nonce=\"n\""],
        &["Digest realm=\"a\", nonce=\"n\", algorithm=AKAv1-MD5"],
        &["Digest realm=\"a\", nonce=\"n\", qop=\"auth-int\""],
    ] {
        let refusal = alice().answer(&register(), &foreign(challenges), &mut rng());
        assert_eq!(refusal, Err(Refusal::Unsupported), "{challenges:?}");
    }
}

fn nonce(text: &str, stale: bool) -> Response {
    let stale = if stale { ", stale=true" } else { "" };
    foreign(&[&format!("Digest realm=\"a\", nonce=\"{text}\", qop=\"auth\"{stale}")])
}

#[test]
fn a_client_gives_up_when_its_first_answer_is_refused() {
    for again in ["n1", "n2"] {
        let (mut client, mut rng) = (alice(), rng());
        let first = client.answer(&register(), &nonce("n1", false), &mut rng).unwrap();
        assert_eq!(client.answer(&first, &nonce(again, false), &mut rng), Err(Refusal::Rejected));
        // It has forgotten the realm, and would try again if asked afresh.
        assert_eq!(credentials(&client.authorize(&register(), &mut rng)).len(), 0);
        assert!(client.answer(&register(), &nonce("n3", false), &mut rng).is_ok());
    }
}

#[test]
fn a_client_answers_a_stale_nonce_with_the_new_one_but_not_for_ever() {
    let (mut client, mut rng) = (alice(), rng());
    let mut request = client.answer(&register(), &nonce("n0", false), &mut rng).unwrap();
    for number in 1..=3 {
        request = client.answer(&request, &nonce(&format!("n{number}"), true), &mut rng).unwrap();
    }
    assert_eq!(client.answer(&request, &nonce("n4", true), &mut rng), Err(Refusal::Rejected));
}

#[test]
fn a_client_never_answers_one_nonce_twice() {
    let (mut client, mut rng) = (alice(), rng());
    client.answer(&register(), &nonce("n1", false), &mut rng).unwrap();
    let second = client.authorize(&register(), &mut rng);
    assert_eq!(client.answer(&second, &nonce("n1", true), &mut rng), Err(Refusal::Rejected));
}

#[test]
fn a_nonce_that_was_good_may_be_replaced_without_being_called_stale() {
    let (mut client, mut rng) = (alice(), rng());
    client.answer(&register(), &nonce("n1", false), &mut rng).unwrap();
    let second = client.authorize(&register(), &mut rng);
    let third = client.answer(&second, &nonce("n2", false), &mut rng).unwrap();
    assert_eq!(credentials(&third).len(), 1);
    assert_eq!(credentials(&third)[0].nonce().as_deref(), Some("n2"));
    assert_eq!(credentials(&third)[0].nonce_count(), Some(1));
}

#[test]
fn a_client_keeps_the_credentials_of_proxy_and_registrar_apart() {
    let (mut client, mut rng) = (alice(), rng());
    let (registrar, proxy) = (server(), Authenticator::new(KEY, "proxy.example", 300));
    let first = challenged(&registrar, Kind::UserToUser, false, NOW, &mut rng);
    let second = challenged(&proxy, Kind::ProxyToUser, false, NOW, &mut rng);
    let request = client.answer(&register(), &first, &mut rng).unwrap();
    let request = client.answer(&request, &second, &mut rng).unwrap();
    assert_eq!(request.credentials(Name::Authorization).count(), 1);
    assert_eq!(request.credentials(Name::ProxyAuthorization).count(), 1);
}

#[test]
fn secrets_print_as_dots() {
    let text = format!("{:?} {:?} {:?}", alice(), server(), secrets("alice"));
    assert!(!text.contains("se\\\"cret") && !text.contains("42"), "{text}");
}

#[test]
fn a_nonce_of_another_address_is_stale_whatever_the_password() {
    let (mut server, mut rng) = (server(), rng());
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
    let response = challenged(&server, Kind::UserToUser, false, NOW, &mut rng);
    let right = alice().answer(&register(), &response, &mut rng).unwrap();
    let mut guesser = Authorizer::new("alice", Password::new("guess"));
    let wrong = guesser.answer(&register(), &response, &mut rng).unwrap();
    let mut from =
        |request, ip| server.verify(request, Kind::UserToUser, NOW, Some(ip), |_| false, secrets).map(drop);
    assert_eq!(from(&right, other), Err(Failure::Stale));
    assert_eq!(from(&wrong, other), Err(Failure::Stale));
    assert_eq!(from(&wrong, PHONE), Err(Failure::Wrong));
    assert_eq!(from(&right, PHONE), Ok(()));
}
