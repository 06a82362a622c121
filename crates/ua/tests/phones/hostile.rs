//! Bytes that mean harm.

use std::time::Duration;

use bytes::Bytes;
use offhook_sip_stack::{Flow, Rng, Transport};
use offhook_ua::{Command, Component, Config, Event, Input, SrtpPolicy};
use rand::{RngExt as _, SeedableRng as _};

use crate::wire::{Wire, address, config, script};

#[test]
fn mangled_messages_and_packets_never_break_a_phone_in_a_call() {
    mangle(SrtpPolicy::Off, "RTP/AVP 0 101");
}

#[test]
fn mangled_messages_and_packets_never_break_a_phone_in_an_encrypted_call() {
    mangle(SrtpPolicy::Require, ENCRYPTED);
}

fn mangle(srtp: SrtpPolicy, stream: &str) {
    let mut rng = Rng::seed_from_u64(4);
    let configs = (0..2).map(|n| Config { srtp, ..config(n) });
    let mut wire = Wire::new(1, configs.collect());
    let (call, called) = wire.established();
    let texts = samples(&wire, stream);
    for round in 0..3000 {
        let mut bytes = texts[round % texts.len()].clone().into_bytes();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes[at] = rng.random(),
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.splice(at..at, [b'9'; 12])),
                _ => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
            }
        }
        let remote = if round % 2 == 0 { script() } else { address(0) };
        let flow = Flow { transport: Transport::Udp, local: address(1), remote, connection: None };
        wire.input(1, Input::Message { bytes: Bytes::from(bytes.clone()), flow });
        let component = if round % 3 == 0 { Component::Rtcp } else { Component::Rtp };
        let port = rng.random_range(0..6);
        wire.input(1, Input::Media { port, component, from: remote, bytes: Bytes::from(bytes) });
        wire.pass(Duration::from_millis(20));
    }
    wire.command(0, Command::Hangup { call });
    wire.command(1, Command::Hangup { call: called });
    for other in wire.phones[1].ua.calls() {
        wire.command(1, Command::Hangup { call: other });
    }
    wire.assert_nothing_left();
}

/// Messages as they may come inside and outside of the call that phone 1 has.
fn samples(wire: &Wire, stream: &str) -> Vec<String> {
    let call_id = wire.phones[1].events.iter().find_map(|event| match event {
        Event::Incoming { call_id, .. } => Some(call_id.clone()),
        _ => None,
    });
    let call_id = call_id.unwrap();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 {stream}\r\n"
    );
    let methods = ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY", "REFER", "OPTIONS"];
    let request = |(n, method): (usize, &str)| {
        let to_tag = if n % 2 == 0 { ";tag=01" } else { "" };
        format!(
            "{method} sip:phone1@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n};rport\r\n\
             From: <sip:phone0@192.0.2.1>;tag=00\r\nTo: <sip:phone1@192.0.2.2>{to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {n} {method}\r\nMax-Forwards: 70\r\nContact: <sip:phone0@192.0.2.1>\r\nRAck: 1 1 INVITE\r\n\
             Record-Route: <sip:p@192.0.2.5;lr>, <sip:q@192.0.2.6>\r\nSession-Expires: 90;refresher=uac\r\n\
             Supported: 100rel, timer\r\nRefer-To: <sip:x@y>\r\nEvent: refer\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    };
    let mut texts: Vec<String> = methods.into_iter().enumerate().map(request).collect();
    texts.push("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK0\r\n\r\n".to_owned());
    texts.push("\u{80}\u{0}\u{0}\u{1}rtp rtp rtp rtp rtp".to_owned());
    texts
}

const ENCRYPTED: &str = "RTP/SAVP 0 101\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 \
    inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20 WSH=64\r\na=crypto:2 F8_128_HMAC_SHA1_80 inline:AAAA";
