//! Encrypted sound: who gets it with whom, and with which keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offhook_media::identity::Identity;
use offhook_rtp::srtp::{Crypto, MasterKey, Outbound, Suite};
use offhook_rtp::{Header, PacketBuilder};
use offhook_sdp::Sdp;
use offhook_sip::{Message, Name, Response};
use offhook_sip_stack::Transport;
use offhook_ua::{CallOptions, Command, Component, Config, Event, Input, Side, SrtpKeys, SrtpPolicy};

use crate::wire::{Wire, address, config, config_over, script, uri};

use SrtpPolicy::{Off, Prefer, Require};

const A_MOMENT: Duration = Duration::from_millis(100);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Plain,
    Encrypted,
    /// With 488.
    Refused,
}
use Outcome::{Encrypted, Plain, Refused};

fn pair(transport: Transport, caller: SrtpPolicy, callee: SrtpPolicy) -> Wire {
    let configs = [caller, callee].into_iter().enumerate().map(|(n, srtp)| {
        let mut config = config_over(transport, n);
        config.srtp = srtp;
        config
    });
    Wire::new(1, configs.collect())
}

/// A call from phone 0 to phone 1, which answers at once. Returns what became of it and after how many INVITEs.
fn outcome(wire: &mut Wire, transport: Transport) -> (Outcome, usize) {
    let target = format!("sip:phone1@{};transport={}", address(1), transport.uri_name());
    let call = wire.call_uri(0, uri(&target), CallOptions::default());
    wire.pass(A_MOMENT);
    if wire.phones[1].events.iter().any(|event| matches!(event, Event::Incoming { .. })) {
        let called = wire.incoming(1);
        wire.command(1, Command::Answer { call: called });
        wire.pass(A_MOMENT);
    }
    let invites = wire.count("0 INVITE");
    if !wire.answered(0) {
        assert_eq!(wire.ended(0), [(Side::Peer, 488)]);
        assert!(wire.ended(1).is_empty(), "nobody was asked");
        wire.assert_nothing_left();
        return (Refused, invites);
    }
    wire.cover_ears();
    wire.pass(Duration::from_secs(8));
    assert!((wire.heard_hz(0) - 700.0).abs() < 5.0, "{}", wire.heard_hz(0));
    assert!((wire.heard_hz(1) - 400.0).abs() < 5.0, "{}", wire.heard_hz(1));
    let suites = [0, 1].map(|phone| {
        let call = wire.phones[phone].ua.calls()[0];
        let report = wire.phones[phone].ua.media_report(call).unwrap();
        assert_eq!((report.lost, report.unauthentic), (0, 0), "{report:?}");
        report.srtp
    });
    assert_eq!(suites[0], suites[1]);
    // 12 bytes of header and 20 ms of G.711.
    let tag = suites[0].map_or(0, Suite::rtp_tag_len);
    let mut sound = wire.sent.iter().filter(|(_, sip, bytes)| !sip && bytes[1] & 0x7f == 0);
    assert!(sound.all(|(_, _, bytes)| bytes.len() == 172 + tag));
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
    (if suites[0].is_some() { Encrypted } else { Plain }, invites)
}

#[test]
fn whether_sound_is_encrypted_is_a_matter_of_both_phones() {
    // By policy of the caller and the callee: the outcome and the INVITEs that it takes over UDP, the same over TLS.
    let table = [
        (Off, Off, (Plain, 1), (Plain, 1)),
        (Off, Prefer, (Plain, 1), (Plain, 1)),
        (Off, Require, (Refused, 1), (Refused, 1)),
        (Prefer, Off, (Plain, 1), (Plain, 2)),
        (Prefer, Prefer, (Plain, 1), (Encrypted, 1)),
        (Prefer, Require, (Encrypted, 2), (Encrypted, 1)),
        (Require, Off, (Refused, 1), (Refused, 1)),
        (Require, Prefer, (Encrypted, 1), (Encrypted, 1)),
        (Require, Require, (Encrypted, 1), (Encrypted, 1)),
    ];
    for (caller, callee, over_udp, over_tls) in table {
        for (transport, expected) in [(Transport::Udp, over_udp), (Transport::Tls, over_tls)] {
            let mut wire = pair(transport, caller, callee);
            assert_eq!(outcome(&mut wire, transport), expected, "{caller:?} {callee:?} {transport}");
        }
    }
}

/// A phone that encrypts with keys from there, and has a certificate.
fn certified(n: usize, srtp: SrtpPolicy, keys: SrtpKeys) -> Config {
    let key = rcgen::KeyPair::generate().unwrap();
    let shown = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let certificate = Identity::new(shown.der().to_vec(), key.serialize_der()).unwrap();
    Config { srtp, srtp_keys: keys, certificate: Some(Arc::new(certificate)), ..config(n) }
}

#[test]
fn keys_come_from_a_handshake_where_a_phone_wants_that_and_the_other_can() {
    use SrtpKeys::{Dtls, Sdes};
    // The policies and sources of the caller and the callee: whether they talk, and with keys of a handshake.
    let table = [
        ((Require, Dtls), (Require, Dtls), Some(true)),
        ((Require, Dtls), (Prefer, Sdes), Some(true)),
        ((Require, Sdes), (Require, Dtls), None),
        ((Require, Sdes), (Require, Sdes), Some(false)),
        ((Require, Dtls), (Off, Dtls), None),
        ((Prefer, Dtls), (Require, Dtls), Some(true)),
    ];
    for (caller, callee, expected) in table {
        let configs = [caller, callee].into_iter().enumerate();
        let mut wire =
            Wire::new(1, configs.map(|(n, (srtp, keys))| certified(n, srtp, keys)).collect::<Vec<_>>());
        let call = wire.call(0, 1);
        wire.pass(A_MOMENT);
        let Some(by_handshake) = expected else {
            assert_eq!(wire.ended(0), [(Side::Peer, 488)], "{caller:?} {callee:?}");
            wire.assert_nothing_left();
            continue;
        };
        let called = wire.incoming(1);
        wire.command(1, Command::Answer { call: called });
        wire.pass(Duration::from_secs(1));
        wire.cover_ears();
        wire.pass(Duration::from_secs(4));
        assert!((wire.heard_hz(0) - 700.0).abs() < 5.0 && (wire.heard_hz(1) - 400.0).abs() < 5.0);
        for (phone, call) in [(0, call), (1, called)] {
            let report = wire.phones[phone].ua.media_report(call).unwrap();
            let found = (report.srtp.is_some(), report.dtls, report.unauthentic, report.lost);
            assert_eq!(found, (true, by_handshake, 0, 0), "{caller:?} {callee:?}");
        }
        // Hold and resume go on with the same association.
        wire.command(0, Command::Hold { call });
        wire.pass(Duration::from_secs(1));
        wire.command(0, Command::Resume { call });
        wire.pass(Duration::from_secs(1));
        wire.cover_ears();
        wire.pass(Duration::from_secs(2));
        assert!((wire.heard_hz(0) - 700.0).abs() < 5.0 && (wire.heard_hz(1) - 400.0).abs() < 5.0);
        wire.command(0, Command::Hangup { call });
        wire.assert_nothing_left();
    }
}

#[test]
fn a_handshake_succeeds_although_a_fifth_of_all_packets_are_lost() {
    let configs = [0, 1].map(|n| certified(n, Require, SrtpKeys::Dtls));
    let mut wire = Wire::new(1, configs.into());
    let (call, _) = wire.established();
    wire.loss = 0.2;
    wire.pass(Duration::from_secs(20));
    wire.loss = 0.0;
    wire.cover_ears();
    wire.pass(Duration::from_secs(3));
    assert!((wire.heard_hz(0) - 700.0).abs() < 5.0 && (wire.heard_hz(1) - 400.0).abs() < 5.0);
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn a_certificate_that_was_not_promised_ends_the_call_with_the_reason() {
    let mut wire =
        Wire::new(1, vec![certified(0, Require, SrtpKeys::Dtls), certified(1, Require, SrtpKeys::Dtls)]);
    wire.call(0, 1);
    wire.pass(A_MOMENT);
    let called = wire.incoming(1);
    // Somebody on the way puts another certificate into the answer.
    wire.forge = Some(|text| {
        let at = text.find("a=fingerprint:sha-256 ")? + "a=fingerprint:sha-256 ".len();
        let other = if text[at..].starts_with('0') { "1" } else { "0" };
        Some(format!("{}{other}{}", &text[..at], &text[at + 1..]))
    });
    wire.command(1, Command::Answer { call: called });
    wire.pass(Duration::from_secs(5));
    let ended = wire.phones[0].events.iter().find_map(|event| match event {
        Event::Ended { by, code, reason, media, .. } => Some((*by, *code, reason.clone(), *media)),
        _ => None,
    });
    let (by, code, reason, media) = ended.unwrap();
    assert_eq!(
        (by, code, reason.as_str()),
        (Side::Us, 488, "the certificate is not the one that was promised")
    );
    let media = media.unwrap();
    assert_eq!((media.sent, media.received, media.srtp), (0, 0, None));
    assert_eq!(wire.ended(1).len(), 1);
    wire.assert_nothing_left();
}

#[test]
fn a_refusal_says_why() {
    for (caller, callee, why) in
        [(Require, Off, "SRTP) is turned off here"), (Off, Require, "must be encrypted here")]
    {
        let mut wire = pair(Transport::Udp, caller, callee);
        wire.call(0, 1);
        wire.pass(A_MOMENT);
        let refusal = responses(&wire, 1).pop().unwrap();
        let warning = String::from_utf8_lossy(refusal.raw(Name::Warning).unwrap()).into_owned();
        assert!(warning.starts_with("302 offhook \"") && warning.contains(why), "{warning}");
        wire.assert_nothing_left();
    }
}

#[test]
fn hold_and_resume_keep_the_keys_and_the_sound() {
    let mut wire = pair(Transport::Udp, Require, Require);
    let (call, called) = wire.established();
    wire.pass(Duration::from_secs(1));
    wire.command(0, Command::Hold { call });
    wire.pass(Duration::from_secs(1));
    wire.command(0, Command::Resume { call });
    wire.command(1, Command::Hold { call: called });
    wire.pass(Duration::from_secs(6));
    wire.command(1, Command::Resume { call: called });
    wire.pass(Duration::from_secs(1));
    wire.cover_ears();
    wire.pass(Duration::from_secs(2));
    assert!((wire.heard_hz(0) - 700.0).abs() < 5.0 && (wire.heard_hz(1) - 400.0).abs() < 5.0);
    for phone in 0..2 {
        let keys: Vec<Vec<Crypto>> = wire
            .sent
            .iter()
            .filter(|(by, sip, _)| *by == phone && *sip)
            .filter_map(|(_, _, bytes)| described(bytes))
            .collect();
        assert!(keys.len() >= 4, "{keys:?}");
        let chosen = keys.last().unwrap();
        assert!(chosen.len() == 1 && keys.iter().all(|lines| lines.contains(&chosen[0])));
        let report = wire.phones[phone].ua.media_report(wire.phones[phone].ua.calls()[0]).unwrap();
        assert_eq!(report.unauthentic, 0);
    }
    wire.command(0, Command::Hangup { call });
    wire.assert_nothing_left();
}

#[test]
fn an_offer_without_a_key_that_can_be_used_is_refused_with_the_reason() {
    let key = MasterKey::random(Suite::AesCm128HmacSha1_80, |bytes| bytes.fill(7)).to_inline();
    for lines in [
        String::new(),
        format!("a=crypto:1 F8_128_HMAC_SHA1_80 {key}\n"),
        format!("a=crypto:1 AES_256_CM_HMAC_SHA1_80 {key}\n"),
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:4\n"),
    ] {
        let mut wire = called_by_script(Prefer);
        wire.inject(0, &invite(1, "", "RTP/SAVP", &lines));
        let Some(Message::Response(refusal)) = wire.take_stray() else { panic!("{:?}", wire.trace) };
        assert_eq!(refusal.status().code(), 488, "{lines}");
        let warning = String::from_utf8_lossy(refusal.raw(Name::Warning).unwrap()).into_owned();
        assert!(warning.starts_with("306 offhook \"No SRTP key"), "{warning}");
        wire.assert_nothing_left();
    }
}

#[test]
fn a_peer_that_changes_its_key_in_the_middle_of_a_call_is_heard_on() {
    let mut wire = called_by_script(Require);
    let first = Crypto { tag: 5, ..line(Suite::AesCm128HmacSha1_80, 1) };
    wire.inject(0, &invite(1, "", "RTP/SAVP", &attribute(&first)));
    let called = wire.incoming(0);
    wire.command(0, Command::Answer { call: called });
    wire.pass(A_MOMENT);
    let mut answered = wire.last_response();
    let ours = answer(&answered);
    assert_eq!((ours.tag, ours.suite), (first.tag, first.suite));
    assert_ne!(ours.key, first.key);
    let mut peer = Peer::new(&first);
    peer.speak(&mut wire);
    let tag = answered.to_tag().unwrap().to_owned();
    wire.inject(0, &ack(1, &tag));

    // The same suite with another key, then another suite, then an offer that is refused and changes nothing.
    let mut last = ours;
    for (number, next) in
        [(2, line(Suite::AesCm128HmacSha1_80, 2)), (3, Crypto { tag: 2, ..line(Suite::AeadAes256Gcm, 3) })]
    {
        wire.inject(0, &invite(number, &tag, "RTP/SAVP", &attribute(&next)));
        wire.pass(A_MOMENT);
        answered = wire.last_response();
        assert_eq!(answered.status().code(), 200);
        let ours = answer(&answered);
        assert_eq!((ours.tag, ours.suite), (next.tag, next.suite));
        assert_eq!(ours.key == last.key, ours.suite == last.suite);
        last = ours;
        wire.inject(0, &ack(number, &tag));
        // What is under way under the old key is still good.
        peer.speak(&mut wire);
        peer.change(&next);
        peer.speak(&mut wire);
    }
    wire.inject(0, &invite(4, &tag, "RTP/AVP", ""));
    wire.pass(A_MOMENT);
    let refused = wire.last_response();
    assert_eq!((refused.status().code(), refused.raw(Name::Warning).is_some()), (488, true));
    wire.inject(0, &ack(4, &tag));
    peer.speak(&mut wire);
    let report = wire.phones[0].ua.media_report(called).unwrap();
    assert_eq!((report.received, report.unauthentic), (peer.spoken, 0), "{report:?}");
    assert_eq!(report.srtp, Some(Suite::AeadAes256Gcm));

    peer.change(&line(Suite::AeadAes256Gcm, 9));
    peer.speak(&mut wire);
    let after = wire.phones[0].ua.media_report(called).unwrap();
    assert_eq!((after.received, after.unauthentic), (report.received, u64::from(Peer::WORDS)));
    wire.command(0, Command::Hangup { call: called });
    wire.assert_nothing_left();
}

#[test]
fn an_answer_that_leaves_the_encryption_out_ends_the_call() {
    for (lines, why) in
        [("", "must be encrypted"), ("a=crypto:9 AES_CM_128_HMAC_SHA1_80 KEY\n", "No SRTP key")]
    {
        let mut config = config(0);
        config.srtp = Require;
        let mut wire = Wire::new(1, vec![config]);
        wire.call_uri(0, uri(&format!("sip:x@{}", script())), CallOptions::default());
        wire.pass(A_MOMENT);
        let Some(Message::Request(request)) = wire.take_stray() else { panic!("{:?}", wire.trace) };
        let lines = lines.replace("KEY", &line(Suite::AesCm128HmacSha1_80, 1).key.to_inline());
        let answer = Response::to_request(&request, offhook_sip::Status::OK)
            .to_tag("x")
            .header(Name::Contact, format!("<sip:x@{}>", script()))
            .body("application/sdp", sdp("RTP/SAVP", &lines).replace('\n', "\r\n").as_bytes())
            .finish();
        wire.inject(0, &String::from_utf8_lossy(answer.bytes()).replace("\r\n", "\n"));
        wire.pass(A_MOMENT);
        assert_eq!((wire.count("0 ACK"), wire.count("0 BYE")), (1, 1));
        let ended = wire.phones[0].events.iter().find_map(|event| match event {
            Event::Ended { code, reason, .. } => Some((*code, reason.clone())),
            _ => None,
        });
        let (code, reason) = ended.unwrap();
        assert!(code == 488 && reason.contains(why), "{code} {reason}");
        wire.assert_nothing_left();
    }
}

#[test]
fn a_caller_that_leaves_the_offer_to_us_is_offered_what_we_want() {
    for (policy, profile, lines) in [(Off, "RTP/AVP", 0), (Prefer, "RTP/AVP", 0), (Require, "RTP/SAVP", 5)] {
        let mut wire = called_by_script(policy);
        let request = invite(1, "", "", "");
        let (head, _) = request.split_once("Content-Type").unwrap();
        wire.inject(0, &format!("{head}Content-Length: 0\n\n"));
        let call = wire.incoming(0);
        wire.command(0, Command::Answer { call });
        wire.pass(A_MOMENT);
        let offer = Sdp::parse(wire.last_response().body()).unwrap();
        let media = offer.media_at(0).unwrap();
        assert_eq!((media.profile_name(), media.cryptos().count()), (profile, lines));
        wire.command(0, Command::Hangup { call });
        wire.assert_nothing_left();
    }
}

fn called_by_script(srtp: SrtpPolicy) -> Wire {
    let mut config = config(0);
    config.srtp = srtp;
    Wire::new(1, vec![config])
}

fn line(suite: Suite, byte: u8) -> Crypto {
    Crypto { tag: 1, suite, key: MasterKey::random(suite, |bytes| bytes.fill(byte)) }
}

fn attribute(line: &Crypto) -> String {
    format!("a=crypto:{}\n", line.to_value())
}

fn sdp(profile: &str, lines: &str) -> String {
    let ip = script().ip();
    format!("v=0\no=- 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio 4000 {profile} 0\n{lines}")
}

/// An INVITE of the scripted peer to phone 0, the first or, with our tag, a later one.
fn invite(number: u32, tag: &str, profile: &str, lines: &str) -> String {
    let sdp = sdp(profile, lines);
    let length = sdp.replace('\n', "\r\n").len();
    format!("{}Content-Type: application/sdp\nContent-Length: {length}\n\n{sdp}", head("INVITE", number, tag))
}

fn ack(number: u32, tag: &str) -> String {
    format!("{}Content-Length: 0\n\n", head("ACK", number, tag))
}

fn head(method: &str, number: u32, tag: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:phone0@{} SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{number}\nFrom: <sip:x@y>;tag=x\n\
         To: <sip:phone0@{}>{tag}\nCall-ID: c\nCSeq: {number} {method}\nMax-Forwards: 70\nContact: <sip:x@{}>\n",
        address(0),
        script(),
        address(0).ip(),
        script()
    )
}

fn responses(wire: &Wire, phone: usize) -> Vec<Response> {
    let of_phone = wire.sent.iter().filter(|(by, sip, _)| *by == phone && *sip);
    let response = |(_, _, bytes): &(usize, bool, Bytes)| match Message::parse(bytes.clone()) {
        Ok(Message::Response(response)) => Some(response),
        Ok(Message::Request(_)) | Err(_) => None,
    };
    of_phone.filter_map(response).collect()
}

impl Wire {
    fn last_response(&self) -> Response {
        responses(self, 0).pop().unwrap()
    }

    fn take_stray(&mut self) -> Option<Message> {
        self.pass(A_MOMENT);
        self.strays.pop()
    }
}

/// The key lines of a message with a description.
fn described(bytes: &Bytes) -> Option<Vec<Crypto>> {
    let message = Message::parse(bytes.clone()).ok()?;
    let sdp = Sdp::parse(message.headers().body()).ok()?;
    Some(sdp.media_at(0)?.cryptos().filter_map(Crypto::parse).collect())
}

fn answer(response: &Response) -> Crypto {
    let lines = described(response.bytes()).unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    line.clone()
}

/// The sound of the scripted peer.
struct Peer {
    outbound: Outbound,
    spoken: u64,
}

impl Peer {
    const WORDS: u16 = 10;

    fn new(line: &Crypto) -> Self {
        Self { outbound: Outbound::new(line.suite, &line.key).unwrap(), spoken: 0 }
    }

    fn change(&mut self, line: &Crypto) {
        self.outbound = Outbound::new(line.suite, &line.key).unwrap();
    }

    /// Ten packets of 20 ms.
    fn speak(&mut self, wire: &mut Wire) {
        for _ in 0..Self::WORDS {
            let header = Header {
                payload_type: 0,
                sequence: self.spoken as u16,
                timestamp: self.spoken as u32 * 160,
                ssrc: 9,
                marker: false,
            };
            let mut bytes = Vec::new();
            PacketBuilder::new(header, &[0x55; 160]).append_to(&mut bytes).unwrap();
            let length = bytes.len();
            bytes.resize(length + 20, 0);
            let length = self.outbound.protect_rtp(&mut bytes, length).unwrap();
            bytes.truncate(length);
            let from = std::net::SocketAddr::new(script().ip(), 4000);
            let bytes = Bytes::from(bytes);
            wire.input(0, Input::Media { port: 0, component: Component::Rtp, from, bytes });
            wire.pass(Duration::from_millis(20));
            self.spoken += 1;
        }
    }
}
