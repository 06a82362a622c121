//! Phones that protect their media in different ways, and not at all, in one call.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, BOB, answer, invite, ring_with};
use bench::{Bench, in_dialog, reply, sdp, with_sdp};
use offhook_exchange::config::{AnchorPolicy, SrtpPolicy};
use offhook_exchange::io::Input;
use offhook_media::command::{
    Command, DtlsRole, Fingerprint, IceCredentials, InsecureReason, Protection, Report, SideName, Suite,
};
use offhook_sdp::Sdp;
use offhook_sip::{Name, Request};
use offhook_sip_stack::Transport;

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER_KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn bench() -> Bench {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut offhook_exchange::config::Config)) -> Bench {
    Bench::with(|config| {
        config.anchor = AnchorPolicy::Auto;
        config.media_certificate = Some(certificate());
        change(config);
    })
}

fn certificate() -> Fingerprint {
    Fingerprint::from_attribute(&format!("sha-256 0A{}", ":0B".repeat(31))).unwrap()
}

fn savp(address: &str, port: u16, key: &str) -> String {
    sdp(address, port).replace("RTP/AVP", "RTP/SAVP")
        + &format!(
            "a=crypto:5 F8_128_HMAC_SHA1_80 inline:{key}\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31\n"
        )
}

fn browser(address: &str, port: u16, setup: &str) -> String {
    let own = sdp(address, port)
        .replace("RTP/AVP", "UDP/TLS/RTP/SAVPF")
        .replace("t=0 0\n", "t=0 0\na=group:BUNDLE 0\n");
    format!(
        "{own}a=mid:0\na=rtcp-mux\na=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\na=setup:{setup}\n\
         a=fingerprint:sha-256 CC{}\na=candidate:1 1 udp 2122260223 {address} {port} typ host\n",
        ":DD".repeat(31)
    )
}

/// Bob's registration by another transport.
fn bob_at(bench: &mut Bench, transport: Transport) -> offhook_sip_stack::Flow {
    let flow = offhook_sip_stack::Flow { transport, ..bench::tcp(BOB, 7) };
    let name = transport.uri_name();
    let text =
        bench::register("bob", BOB, &format!("Contact: <sip:bob@{BOB};transport={name}>\nExpires: 600\n"))
            .replace("SIP/2.0/UDP", &format!("SIP/2.0/{}", transport.via_name()));
    bench.send_on(flow, &text);
    let challenge = bench.response(BOB);
    bench.send_on(flow, &bench::with_credentials(&text, "bob", "bob", &challenge));
    let mut told = bench.take(BOB);
    bench.asked = told.pop_if(|one| one.as_request().is_some()).and_then(|one| one.as_request().cloned());
    assert_eq!(told.pop().unwrap().as_response().unwrap().status().code(), 200);
    flow
}

fn offered(request: &Request) -> Sdp {
    Sdp::parse(request.body()).unwrap()
}

#[test]
fn keys_of_a_caller_end_at_the_relay_and_a_plain_phone_is_offered_plain_media() {
    let mut bench = bench();
    let got = ring_with(&mut bench, &savp("192.0.2.10", 4000, KEY));
    let shown = offered(&got);
    assert!(shown.to_string().contains(" RTP/AVP 0 8 101\r\n") && !shown.to_string().contains("crypto"));
    let (_, ok) = answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
    let told = String::from_utf8_lossy(ok.body()).into_owned();
    assert!(told.contains("m=audio 20000 RTP/SAVP 0 8 101\r\n"), "{told}");
    assert!(told.contains("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:") && !told.contains(KEY), "{told}");
    let stream = bench.open_streams()[0];
    let Protection::Sdes { suite, ours, .. } = bench.remote(stream, SideName::A).protection else { panic!() };
    assert_eq!(suite, Suite::AesCm128HmacSha1_80);
    assert!(told.contains(&ours.to_inline()));
    assert_eq!(bench.remote(stream, SideName::B).protection, Protection::Plain);
}

#[test]
fn a_phone_on_tls_may_choose_keys_a_certificate_or_neither() {
    for (answered, expected) in [
        (savp("192.0.2.20", 6000, OTHER_KEY).replace("SAVP", "AVP").replace("crypto:7", "crypto:1"), "sdes"),
        (browser("192.0.2.20", 6000, "active").replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "dtls"),
        (sdp("192.0.2.20", 6000), "plain"),
    ] {
        let mut bench = bench();
        let flow = bob_at(&mut bench, Transport::Tls);
        bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
        let got = bench.request(BOB);
        let shown = offered(&got);
        let media = shown.media_at(0).unwrap();
        assert_eq!((media.profile_name(), media.setup()), ("RTP/AVP", Some("actpass")));
        assert_eq!(media.fingerprints().collect::<Vec<_>>(), [certificate().to_string()]);
        assert!(media.cryptos().count() == 5 && media.ice().is_none() && !media.rtcp_mux());
        bench.send_on(flow, &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &answered));
        let ok = bench.response(ALICE);
        let told = String::from_utf8_lossy(ok.body()).into_owned();
        assert!(
            told.contains(" RTP/AVP ") && !told.contains("crypto") && !told.contains("fingerprint"),
            "{told}"
        );
        let stream = bench.open_streams()[0];
        let found = match bench.remote(stream, SideName::B).protection {
            Protection::Sdes { suite: Suite::AesCm128HmacSha1_80, .. } => "sdes",
            Protection::Dtls { role: DtlsRole::Server, .. } => "dtls",
            Protection::Plain => "plain",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn a_phone_on_tls_is_asked_once_how_it_protects_media_and_offered_that_first() {
    let mut bench = bench();
    let flow = bob_at(&mut bench, Transport::Tls);
    let options = bench.asked.take().unwrap();
    assert_eq!(options.method().as_str(), "OPTIONS");
    let own = savp("192.0.2.20", 9, OTHER_KEY);
    bench.send_on(flow, &reply(&options, 200, "o", "", &own));
    bob_at(&mut bench, Transport::Tls);
    assert!(bench.asked.is_none(), "what is known is not asked for");
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    let got = bench.request(BOB);
    assert_eq!(offered(&got).media_at(0).unwrap().profile_name(), "RTP/SAVP");
}

#[test]
fn a_browser_is_offered_what_browsers_must_have() {
    let mut bench = bench();
    let flow = bob_at(&mut bench, Transport::Wss);
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    let got = bench.request(BOB);
    let shown = offered(&got);
    let media = shown.media_at(0).unwrap();
    assert_eq!((media.profile_name(), media.setup()), ("UDP/TLS/RTP/SAVPF", Some("actpass")));
    assert!(media.rtcp_mux() && media.cryptos().count() == 0 && shown.attribute("ice-lite").is_some());
    let ports = bench.ports(bench.open_streams()[0]);
    let candidates: Vec<_> = media.candidates().map(|one| one.to_string()).collect();
    assert_eq!(candidates, [format!("192.0.2.1:{}", ports[1].rtp)]);
    let (ufrag, pwd) = media.ice().unwrap();
    let Some(Command::Open { sides, .. }) = bench.media.first() else { panic!() };
    let ours = IceCredentials { ufrag: ufrag.into(), pwd: pwd.into() };
    assert_eq!((sides[1].ice.as_ref(), sides[0].ice.as_ref()), (Some(&ours), None));
    let answer = browser("192.0.2.20", 6000, "active");
    bench.send_on(flow, &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &answer));
    let told = String::from_utf8_lossy(bench.response(ALICE).body()).into_owned();
    assert!(
        told.contains(" RTP/AVP 0 8 101") && !told.contains("rtcp-mux") && !told.contains("ice-"),
        "{told}"
    );
    let remote = bench.remote(bench.open_streams()[0], SideName::B);
    assert!(remote.rtcp_mux && remote.ice.is_some_and(|ice| ice.ufrag == "abcd"));
    assert!(matches!(remote.protection, Protection::Dtls { role: DtlsRole::Server, .. }));
}

#[test]
fn a_browser_that_calls_is_answered_with_our_certificate_and_a_new_network_restarts_ice() {
    let mut bench = bench();
    let got = ring_with(&mut bench, &browser("192.0.2.10", 4000, "actpass"));
    assert!(!offered(&got).to_string().contains("BUNDLE"));
    let (got, ok) = answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
    let first = Sdp::parse(ok.body()).unwrap();
    let media = first.media_at(0).unwrap();
    assert_eq!((media.profile_name(), media.setup()), ("UDP/TLS/RTP/SAVPF", Some("passive")));
    assert!(media.rtcp_mux() && first.attribute("ice-lite").is_some());
    // The same again keeps our credentials, others are answered by others.
    for (cseq, ufrag) in [(3, "abcd"), (4, "wxyz")] {
        let again = browser("192.0.2.99", 4000, "actpass").replace("abcd", ufrag);
        bench.send(ALICE, &with_sdp(&in_dialog("INVITE", cseq, &got, &ok, true, ALICE), &again));
        let asked = bench.request(BOB);
        bench.send(
            BOB,
            &reply(&asked, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
        );
        let second = Sdp::parse(bench.response(ALICE).body()).unwrap();
        let media = second.media_at(0).unwrap();
        assert_eq!(media.setup(), Some("passive"));
        assert_eq!(media.ice() == first.media_at(0).unwrap().ice(), ufrag == "abcd");
        let told = bench.media.iter().rev().find_map(|one| match one {
            Command::Update { side: SideName::A, ice, remote, .. } => Some((ice.clone(), remote.clone())),
            _ => None,
        });
        let (ice, remote) = told.unwrap();
        assert_eq!(ice.map(|ice| ice.ufrag), (ufrag != "abcd").then(|| media.ice().unwrap().0.to_owned()));
        assert_eq!(remote.ice.unwrap().ufrag, ufrag);
    }
}

#[test]
fn where_media_must_be_encrypted_a_caller_who_cannot_is_refused() {
    let mut bench = with(|config| config.srtp = SrtpPolicy::Require);
    bench.register("bob", BOB);
    let refused = bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    assert_eq!(refused.status().code(), 488);
    assert!(String::from_utf8_lossy(refused.reason()).contains("encrypted"), "{refused:?}");
    assert!(bench.take(BOB).is_empty() && bench.open_streams().is_empty());
    let strange = savp("192.0.2.10", 4000, "c2hvcnQ");
    let refused = bench.authenticated(ALICE, "alice", &invite(&strange).replace("call", "call2"));
    assert_eq!(refused.status().code(), 488);
}

#[test]
fn where_media_must_be_encrypted_an_answer_that_is_not_ends_the_call_with_the_reason() {
    let mut bench = with(|config| config.srtp = SrtpPolicy::Require);
    let got = ring_with(&mut bench, &savp("192.0.2.10", 4000, KEY));
    assert_eq!(offered(&got).media_at(0).unwrap().profile_name(), "RTP/SAVP");
    bench.send(
        BOB,
        &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    let to_alice = bench.take(ALICE);
    let ok = to_alice.iter().find_map(|one| one.as_response()).unwrap();
    assert!(String::from_utf8_lossy(ok.body()).contains("m=audio 0 "));
    let bye = to_alice.iter().find_map(|one| one.as_request()).unwrap();
    assert!(bench::raw(bye, Name::Reason).contains("did not encrypt"), "{bye:?}");
    assert_eq!(bench.request(BOB).method().as_str(), "BYE");
}

#[test]
fn a_phone_that_refuses_plain_media_is_offered_keys_and_then_a_certificate() {
    let mut bench = bench();
    bench.register("bob", BOB);
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    for profile in ["RTP/AVP", "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"] {
        let got = bench.request(BOB);
        assert_eq!(offered(&got).media_at(0).unwrap().profile_name(), profile);
        assert!(bench.codes(ALICE).is_empty(), "she still waits");
        bench.send(BOB, &reply(&got, 488, "tbob", "", ""));
    }
    assert_eq!(bench.codes(ALICE), [488]);
    bench.relay();
    assert!(bench.open_streams().is_empty());
}

#[test]
fn a_phone_on_websocket_that_is_no_browser_is_offered_keys_too() {
    let browser = "UDP/TLS/RTP/SAVPF";
    for (transport, keys_beside_plain) in [(Transport::Ws, 0), (Transport::Wss, 5)] {
        let mut bench = bench();
        let flow = bob_at(&mut bench, transport);
        bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
        for expected in [(browser, 0), (browser, 0), ("RTP/AVP", keys_beside_plain), ("RTP/SAVP", 5)] {
            let got = bench.request(BOB);
            let shown = offered(&got);
            let media = shown.media_at(0).unwrap();
            assert_eq!((media.profile_name(), media.cryptos().count()), expected, "{transport}");
            bench.send_on(flow, &reply(&got, 488, "tbob", "", ""));
        }
        assert_eq!(bench.codes(ALICE), [488]);
    }
}

#[test]
fn a_certificate_that_is_not_the_promised_one_ends_the_call_with_the_reason() {
    let mut bench = bench();
    let got = ring_with(&mut bench, &browser("192.0.2.10", 4000, "actpass"));
    answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
    let stream = bench.open_streams()[0];
    let reason = InsecureReason::FingerprintMismatch;
    bench.input(Input::Media(Report::Insecure { stream, side: SideName::A, reason }));
    for phone in [ALICE, BOB] {
        let bye = bench.request(phone);
        let why = bench::raw(&bye, Name::Reason);
        assert!(why.contains("cause=488") && why.contains("not the one that was promised"), "{why}");
    }
    assert!(bench.open_streams().is_empty());
}

#[test]
fn a_stream_that_is_turned_off_in_a_refused_offer_stays_protected() {
    let mut bench = bench();
    let got = ring_with(&mut bench, &browser("192.0.2.10", 4000, "actpass"));
    let (got, ok) = answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
    let stream = bench.open_streams()[0];
    let protected = bench.remote(stream, SideName::A).protection;
    let off = browser("192.0.2.10", 4000, "actpass").replace("m=audio 4000", "m=audio 0");
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &off));
    assert_eq!(bench.remote(stream, SideName::A).protection, protected);
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 488, "tbob", "", ""));
    assert_eq!(bench.remote(stream, SideName::A).protection, protected);
    assert!(matches!(protected, Protection::Dtls { .. }));
}

#[test]
fn protection_passes_untouched_where_it_is_left_to_the_phones() {
    let mut bench = with(|config| (config.srtp, config.anchor) = (SrtpPolicy::Off, AnchorPolicy::Always));
    let got = ring_with(&mut bench, &savp("192.0.2.10", 4000, KEY));
    assert!(offered(&got).to_string().contains(KEY));
}

#[test]
fn two_plain_phones_and_two_browsers_side_by_side_talk_directly() {
    let mut plain = bench();
    ring_with(&mut plain, &sdp("192.0.2.10", 4000));
    let mut both = bench();
    let flow = bob_at(&mut both, Transport::Ws);
    let alice = offhook_sip_stack::Flow { remote: ALICE.parse().unwrap(), ..flow };
    let text = invite(&browser("192.0.2.10", 4000, "actpass")).replace("SIP/2.0/UDP", "SIP/2.0/WS");
    both.send_on(alice, &text);
    let challenge = both.response(ALICE);
    both.send_on(alice, &bench::with_credentials(&text, "alice", "alice", &challenge));
    assert!(String::from_utf8_lossy(both.request(BOB).body()).contains("a=ice-ufrag:abcd"));
    assert!(plain.open_streams().is_empty() && both.open_streams().is_empty());
}
