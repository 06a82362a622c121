//! Bridged calls as both phones see them: what passes from one dialog to the other, and what does not.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB};
use bench::{Bench, raw, reply, request, sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_media::command::Command;
use offhook_sip::{Message, Name, Request, Response};

/// One phone's part of a dialog.
struct Phone {
    at: &'static str,
    from: String,
    to: String,
    call_id: String,
    target: String,
}

impl Phone {
    fn alice(ok: &Response) -> Self {
        Self {
            at: ALICE,
            from: raw(ok, Name::From),
            to: raw(ok, Name::To),
            call_id: ok.call_id().unwrap().to_owned(),
            target: ok.contacts().unwrap().list()[0].uri().to_string(),
        }
    }

    fn bob(got: &Request) -> Self {
        Self {
            at: BOB,
            from: format!("{};tag=tbob", raw(got, Name::To)),
            to: raw(got, Name::From),
            call_id: got.call_id().unwrap().to_owned(),
            target: got.contacts().unwrap().list()[0].uri().to_string(),
        }
    }

    fn request(&self, method: &str, cseq: u32, headers: &str, body: &str) -> String {
        let Self { at, from, to, call_id, target } = self;
        let kind = if body.starts_with("v=") { "Content-Type: application/sdp\n" } else { "" };
        let length = body.replace('\n', "\r\n").len();
        format!(
            "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{cseq}x;rport\nMax-Forwards: 70\n\
             From: {from}\nTo: {to}\nCall-ID: {call_id}\nCSeq: {cseq} {method}\nContact: <sip:someone@{at}>\n\
             {headers}{kind}Content-Length: {length}\n\n{body}"
        )
    }
}

fn invite(headers: &str, body: &str) -> String {
    let headers = format!("Privacy: header\n{headers}");
    request("INVITE", "sip:bob@example.com", "alice", ALICE, &headers, body)
}

/// An exchange that anchors media, with Bob registered.
fn bench() -> Bench {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Always);
    bench.register("bob", BOB);
    bench
}

/// Alice calls with these headers; returns what Bob got.
fn ring(bench: &mut Bench, headers: &str, body: &str) -> Request {
    let answer = bench.authenticated(ALICE, "alice", &invite(headers, body));
    assert_eq!(answer.status().code(), 100);
    bench.request(BOB)
}

fn contact() -> String {
    format!("Contact: <sip:bob@{BOB}>\n")
}

/// An answered call, and both phones' parts of it.
fn call(bench: &mut Bench) -> (Phone, Phone) {
    let got = ring(bench, "", &sdp("192.0.2.10", 4000));
    bench.send(BOB, &reply(&got, 200, "tbob", &contact(), &sdp("192.0.2.20", 6000)));
    let ok = bench.response(ALICE);
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    let (alice, bob) = (Phone::alice(&ok), Phone::bob(&got));
    bench.send(ALICE, &alice.request("ACK", 2, "", ""));
    (alice, bob)
}

fn over(bench: &mut Bench, alice: &Phone, cseq: u32) {
    bench.send(ALICE, &alice.request("BYE", cseq, "", ""));
    assert_eq!(bench.codes(ALICE), [200]);
    let bye = bench.request(BOB);
    assert_eq!(bye.method().as_str(), "BYE");
    bench.send(BOB, &reply(&bye, 200, "", "", ""));
    bench.relay();
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

/// The ports that a description names.
fn ports(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    text.lines().filter(|line| line.starts_with("m=")).map(|line| line[..13].to_owned()).collect()
}

#[test]
fn neither_phone_learns_where_or_what_the_other_is() {
    let mut bench = bench();
    let headers = "User-Agent: Rotary 1.0\nSubject: secret\nP-Asserted-Identity: <sip:king@example.com>\n";
    let got = ring(&mut bench, headers, &sdp("192.0.2.10", 4000));
    let text = String::from_utf8_lossy(got.bytes()).into_owned();
    for hidden in ["192.0.2.10", "call-alice", "falice", "Rotary", "secret", "king", "Proxy-Authorization"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert_eq!((got.vias().count(), got.record_routes().count()), (1, 0));
    assert_eq!(got.max_forwards(), Ok(Some(69)));
    assert!(got.call_id().unwrap().starts_with("offhook-03-"), "the shard that has the call");
    bench.send(BOB, &reply(&got, 180, "tbob", "Server: Brick 2\n", ""));
    bench.send(BOB, &reply(&got, 200, "tbob", &contact(), &sdp("192.0.2.20", 6000)));
    for answer in bench.take(ALICE) {
        let Message::Response(answer) = answer else { panic!() };
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(
            !["192.0.2.20", "tbob", "offhook-03", "Brick"].iter().any(|one| text.contains(one)),
            "{text}"
        );
    }
}

#[test]
fn a_call_without_an_offer_has_it_in_the_answer_and_the_answer_in_the_ack() {
    let mut bench = bench();
    let got = ring(&mut bench, "", "");
    assert!(got.body().is_empty());
    bench.send(BOB, &reply(&got, 200, "tbob", &contact(), &sdp("192.0.2.20", 6000)));
    let ok = bench.response(ALICE);
    assert!(ports(ok.body())[0].starts_with("m=audio 200"), "ours, not Bob's");
    assert!(bench.take(BOB).is_empty(), "Bob's ACK waits for the answer of Alice");
    let alice = Phone::alice(&ok);
    bench.send(ALICE, &alice.request("ACK", 2, "", &sdp("192.0.2.10", 4000)));
    let ack = bench.request(BOB);
    assert_eq!(ack.method().as_str(), "ACK");
    assert!(ports(ack.body())[0].starts_with("m=audio 200"));
    over(&mut bench, &alice, 3);
}

#[test]
fn a_change_of_the_session_passes_with_and_without_an_offer() {
    let mut bench = bench();
    let (alice, bob) = call(&mut bench);
    bench.send(ALICE, &alice.request("INVITE", 3, "", &sdp("192.0.2.10", 4002)));
    let changed = bench.request(BOB);
    assert_eq!((changed.method().as_str(), changed.call_id().unwrap()), ("INVITE", bob.call_id.as_str()));
    bench.send(BOB, &reply(&changed, 200, "", &contact(), &sdp("192.0.2.20", 6000)));
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    assert_eq!(bench.response(ALICE).status().code(), 200);
    bench.send(ALICE, &alice.request("ACK", 3, "", ""));
    // Now Bob asks for an offer.
    bench.send(BOB, &bob.request("INVITE", 1, "", ""));
    let asked = bench.request(ALICE);
    assert_eq!((asked.method().as_str(), asked.body().len()), ("INVITE", 0));
    bench.send(ALICE, &reply(&asked, 200, "", "Contact: <sip:alice@192.0.2.10>\n", &sdp("192.0.2.10", 4004)));
    let offered = bench.response(BOB);
    assert_eq!((offered.status().code(), ports(offered.body()).len()), (200, 1));
    assert!(bench.take(ALICE).is_empty(), "the ACK waits for the answer of Bob");
    bench.send(BOB, &bob.request("ACK", 1, "", &sdp("192.0.2.20", 6002)));
    let ack = bench.request(ALICE);
    assert_eq!((ack.method().as_str(), ports(ack.body()).len()), ("ACK", 1));
    over(&mut bench, &alice, 4);
}

#[test]
fn a_refused_change_leaves_everything_as_it_was() {
    let mut bench = bench();
    let (alice, _) = call(&mut bench);
    let [stream] = bench.open_streams()[..] else { panic!("one stream") };
    let side = offhook_media::command::SideName::A;
    let before = bench.remote(stream, side);
    bench.send(ALICE, &alice.request("INVITE", 3, "", &sdp("192.0.2.10", 4444)));
    let changed = bench.request(BOB);
    assert_ne!(bench.remote(stream, side), before);
    bench.send(BOB, &reply(&changed, 488, "", "", ""));
    assert_eq!(bench.codes(ALICE), [488]);
    assert_eq!(bench.remote(stream, side), before);
    bench.send(ALICE, &alice.request("ACK", 3, "", ""));
    over(&mut bench, &alice, 4);
}

#[test]
fn glare_is_told_to_whoever_was_the_second() {
    let mut bench = bench();
    let (alice, bob) = call(&mut bench);
    bench.send(ALICE, &alice.request("INVITE", 3, "", &sdp("192.0.2.10", 4002)));
    let changed = bench.request(BOB);
    bench.send(BOB, &bob.request("INVITE", 1, "", &sdp("192.0.2.20", 6002)));
    assert_eq!(bench.codes(BOB), [491]);
    bench.send(BOB, &reply(&changed, 491, "", "", ""));
    assert_eq!(bench.codes(ALICE), [491], "who tries again, when its time has come");
    bench.send(ALICE, &alice.request("ACK", 3, "", ""));
    // The second try of Bob comes first.
    bench.send(BOB, &bob.request("ACK", 1, "", ""));
    bench.send(BOB, &bob.request("INVITE", 2, "", &sdp("192.0.2.20", 6002)));
    assert_eq!(bench.request(ALICE).method().as_str(), "INVITE");
}

#[test]
fn info_passes_and_so_does_its_answer() {
    let mut bench = bench();
    let (alice, bob) = call(&mut bench);
    let headers = "Info-Package: keys\nContent-Type: application/dtmf-relay\n";
    bench.send(ALICE, &alice.request("INFO", 3, headers, "Signal=5\nDuration=160\n"));
    let info = bench.request(BOB);
    assert_eq!((info.method().as_str(), info.body()), ("INFO", &b"Signal=5\r\nDuration=160\r\n"[..]));
    assert_eq!(raw(&info, Name::ContentType), "application/dtmf-relay");
    assert_eq!(info.raw_other("Info-Package"), Some(&b"keys"[..]));
    assert!(bench.codes(ALICE).is_empty(), "it is for Bob to answer");
    bench.send(BOB, &reply(&info, 415, "", "Accept: text/plain\n", ""));
    let answer = bench.response(ALICE);
    assert_eq!((answer.status().code(), raw(&answer, Name::Accept)), (415, "text/plain".to_owned()));
    // What does not pass is answered here.
    bench.send(BOB, &bob.request("SING", 1, "", ""));
    let answer = bench.response(BOB);
    assert_eq!(answer.status().code(), 501);
    bench.send(BOB, &bob.request("OPTIONS", 2, "", ""));
    assert_eq!(bench.codes(BOB), [200]);
    over(&mut bench, &alice, 4);
}

#[test]
fn early_media_passes_reliably_and_an_update_changes_it() {
    let mut bench = bench();
    let got = ring(&mut bench, "Supported: 100rel\nAllow: UPDATE\n", &sdp("192.0.2.10", 4000));
    assert!(got.supports("100rel"));
    let reliable = format!("Require: 100rel\nRSeq: 7\nAllow: INVITE, UPDATE\n{}", contact());
    bench.send(BOB, &reply(&got, 183, "tbob", &reliable, &sdp("192.0.2.20", 6000)));
    let prack = bench.request(BOB);
    assert_eq!(prack.rack().unwrap().unwrap().rseq, 7);
    bench.send(BOB, &reply(&prack, 200, "", "", ""));
    let early = bench.response(ALICE);
    assert_eq!((early.status().code(), ports(early.body()).len()), (183, 1));
    let alice = Phone::alice(&early);
    let rack = format!("RAck: {} 2 INVITE\n", early.rseq().unwrap().unwrap());
    bench.send(ALICE, &alice.request("PRACK", 3, &rack, ""));
    assert_eq!(bench.codes(ALICE), [200]);
    bench.send(ALICE, &alice.request("UPDATE", 4, "", &sdp("192.0.2.10", 4002)));
    let update = bench.request(BOB);
    assert_eq!(update.method().as_str(), "UPDATE");
    bench.send(BOB, &reply(&update, 200, "", &contact(), &sdp("192.0.2.20", 6000)));
    let updated = bench.response(ALICE);
    assert_eq!((updated.status().code(), ports(updated.body()).len()), (200, 1));
    bench.send(BOB, &reply(&got, 200, "tbob", &contact(), ""));
    let ok = bench.response(ALICE);
    assert_eq!((ok.status().code(), ok.body().len()), (200, 0), "what was said reliably is not said again");
    bench.send(ALICE, &alice.request("ACK", 2, "", ""));
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    over(&mut bench, &alice, 5);
}

#[test]
fn a_phone_that_refuses_an_offer_is_made_another() {
    let mut bench = bench();
    let mut got = ring(&mut bench, "", &sdp("192.0.2.10", 4000));
    for offer in 0..3 {
        bench.send(BOB, &reply(&got, 488, "tbob", "", ""));
        let next = bench.take(BOB).into_iter().filter_map(|one| one.as_request().cloned());
        let Some(next) = next.filter(|one| one.method().as_str() == "INVITE").last() else { break };
        assert_ne!(next.call_id().unwrap(), got.call_id().unwrap());
        assert!(offer < 4);
        got = next;
    }
    let text = String::from_utf8_lossy(got.body()).into_owned();
    assert!(text.contains("SAVP"), "{text}");
    assert!(bench.codes(ALICE).is_empty());
}

#[test]
fn what_a_caller_must_have_and_we_have_not_is_refused() {
    let mut bench = bench();
    for (headers, code) in [("Require: replaces\n", 420), ("Supported: timer\nSession-Expires: 30\n", 422)] {
        let text = invite(headers, &sdp("192.0.2.10", 4000)).replace("INVITEalice", &format!("i{code}"));
        assert_eq!(bench.authenticated(ALICE, "alice", &text).status().code(), code);
        assert!(bench.take(BOB).is_empty());
    }
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle() && bench.media.is_empty());
}

#[test]
fn ports_of_branches_that_lost_come_home() {
    let mut bench = bench();
    let got = ring(&mut bench, "", &sdp("192.0.2.10", 4000));
    bench.send(BOB, &reply(&got, 486, "tbob", "", ""));
    assert_eq!(bench.codes(ALICE), [486]);
    assert!(matches!(bench.media.last(), Some(Command::Close { .. })));
    bench.relay();
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn one_of_two_phones_that_cannot_have_media_leaves_the_other_ringing() {
    let mut bench = bench();
    let second =
        bench::register("bob", bench::call::BOB_TOO, "Contact: <sip:bob@192.0.2.21:5060>\nExpires: 600\n")
            .replace("reg-bob", "reg-bob-too")
            .replace("regbob", "regbobtoo");
    assert_eq!(bench.authenticated(bench::call::BOB_TOO, "bob", &second).status().code(), 200);
    let got = ring(&mut bench, "", &sdp("192.0.2.10", 4000));
    let other = bench.request(bench::call::BOB_TOO);
    let streams = bench.open_streams();
    let ports = bench.ports(streams[0]);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    bench.input(offhook_exchange::io::Input::Media(offhook_media::command::Report::PortUnavailable {
        stream: streams[0],
        port: ports[0].rtp,
    }));
    let cancel = bench.request(BOB);
    assert_eq!(cancel.method().as_str(), "CANCEL");
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert!(!bench.codes(ALICE).iter().any(|code| *code >= 200));
    bench.send(bench::call::BOB_TOO, &reply(&other, 200, "ttoo", &contact(), &sdp("192.0.2.21", 6000)));
    assert_eq!(bench.codes(ALICE), [200]);
}

#[test]
fn a_phone_that_knows_no_feedback_is_asked_for_a_picture_in_its_dialog() {
    let mut bench = bench();
    let video = |port, way| format!("m=video {port} RTP/AVP 96\na=rtpmap:96 VP8/90000\na={way}\n");
    let alice = |way| sdp("192.0.2.10", 4000) + &video(4002, way);
    let bob = |way| sdp("192.0.2.20", 6000) + &video(6002, way);
    let got = ring(&mut bench, "", &alice("sendonly"));
    bench.send(BOB, &reply(&got, 200, "tbob", &contact(), &bob("recvonly")));
    let phone = Phone::alice(&bench.response(ALICE));
    bench.send(ALICE, &phone.request("ACK", 2, "", ""));
    bench.take(BOB);
    // Alice wants to see, too.
    bench.send(ALICE, &phone.request("INVITE", 3, "", &alice("sendrecv")));
    let changed = bench.request(BOB);
    bench.send(BOB, &reply(&changed, 200, "", &contact(), &bob("sendrecv")));
    let info = bench.request(BOB);
    assert_eq!(
        (info.method().as_str(), &*raw(&info, Name::ContentType)),
        ("INFO", "application/media_control+xml")
    );
    assert!(String::from_utf8_lossy(info.body()).contains("<picture_fast_update/>"));
    bench.send(BOB, &reply(&info, 200, "", "", ""));
    assert_eq!(bench.response(ALICE).status().code(), 200);
    bench.send(ALICE, &phone.request("ACK", 3, "", ""));
    over(&mut bench, &phone, 4);
}
