//! Requests outside of calls, and how improper ones are answered.

use std::time::Duration;

use offhook_sip::{Message, Name, Response};
use offhook_ua::{Command, Event, Side};

use crate::wire::{Wire, config, script, uri};

const A_MOMENT: Duration = Duration::from_millis(100);

/// A request of the scripted peer to phone 0.
fn request(method: &str, more: &str) -> String {
    let branch: String = more.chars().filter(char::is_ascii_alphanumeric).collect();
    format!(
        "{method} sip:phone0@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{branch}\n\
         From: <sip:s@192.0.2.99>;tag=s\nTo: <sip:phone0@192.0.2.1>\nCall-ID: {method}{branch}\n\
         CSeq: 1 {method}\nMax-Forwards: 70\nContact: <sip:s@192.0.2.99>\n{more}",
        script()
    )
}

/// What phone 0 answers to a request.
fn answer(method: &str, more: &str) -> Response {
    let mut wire = Wire::new(1, vec![config(0)]);
    wire.inject(0, &request(method, more));
    wire.pass(A_MOMENT);
    match wire.strays.pop() {
        Some(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

const EMPTY: &str = "Content-Length: 0\n\n";

#[test]
fn options_are_answered_with_what_the_phone_can_do() {
    let mut wire = Wire::pair();
    let request = wire.phones[0].ua.next_request();
    wire.command(0, Command::Options { request, target: uri("sip:phone1@192.0.2.2") });
    wire.pass(A_MOMENT);
    let answered = Event::Response { request, code: 200, reason: "OK".to_owned() };
    assert!(wire.phones[0].events.contains(&answered));
    let response = answer("OPTIONS", EMPTY);
    assert!(response.allow().any(|method| method == "INVITE") && response.supports("100rel"));
    wire.assert_nothing_left();
}

#[test]
fn a_text_arrives_once() {
    let mut wire = Wire::pair();
    wire.lose("1 200 MESSAGE", 1);
    let request = wire.phones[0].ua.next_request();
    let text = "Grüße 你好".to_owned();
    wire.command(0, Command::Message { request, target: uri("sip:phone1@192.0.2.2"), text: text.clone() });
    wire.pass(Duration::from_secs(2));
    let texts: Vec<&Event> =
        wire.phones[1].events.iter().filter(|event| matches!(event, Event::MessageReceived { .. })).collect();
    assert!(matches!(texts[..], [Event::MessageReceived { text: heard, .. }] if *heard == text));
    assert!(matches!(wire.phones[0].events[..], [Event::Response { code: 200, .. }]));
    wire.assert_nothing_left();
}

#[test]
fn a_request_that_nobody_answers_counts_as_408() {
    let mut wire = Wire::pair();
    let request = wire.phones[0].ua.next_request();
    wire.command(0, Command::Options { request, target: uri("sip:x@192.0.2.77") });
    wire.pass(Duration::from_secs(33));
    assert!(matches!(wire.phones[0].events[..], [Event::Response { code: 408, .. }]));
    wire.assert_nothing_left();
}

#[test]
fn a_subscription_hears_its_notifications() {
    let mut wire = Wire::new(1, vec![config(0)]);
    let request = wire.phones[0].ua.next_request();
    let event = "message-summary".to_owned();
    let target = uri(&format!("sip:s@{}", script()));
    wire.command(0, Command::Subscribe { request, target, event, expires: Duration::ZERO });
    wire.pass(A_MOMENT);
    let Some(Message::Request(subscribe)) = wire.strays.pop() else { panic!() };
    let ok = Response::to_request(&subscribe, offhook_sip::Status::OK).to_tag("n").header(Name::Expires, 0);
    wire.inject(0, &String::from_utf8_lossy(ok.finish().bytes()).replace("\r\n", "\n"));
    wire.inject(
        0,
        &format!(
            "NOTIFY sip:phone0@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bKn\n\
             From: <sip:s@192.0.2.99>;tag=n\nTo: {}\nCall-ID: {}\nCSeq: 1 NOTIFY\nMax-Forwards: 70\n\
             Event: message-summary\nSubscription-State: terminated;reason=timeout\n\
             Content-Type: application/simple-message-summary\nContent-Length: 22\n\nMessages-Waiting: yes\n",
            script(),
            subscribe.from().unwrap(),
            subscribe.call_id().unwrap(),
        ),
    );
    wire.pass(A_MOMENT);
    let heard = wire.phones[0].events.iter().any(
        |event| matches!(event, Event::Notified { request: Some(one), terminated: true, .. } if *one == request),
    );
    assert!(heard, "{:?}", wire.phones[0].events);
    wire.assert_nothing_left();
}

#[test]
fn improper_requests_get_the_status_that_says_why() {
    let unknown = answer("DANCE", EMPTY);
    assert_eq!(unknown.status().code(), 501);
    assert!(unknown.allow().count() > 5);
    assert_eq!(answer("PUBLISH", EMPTY).status().code(), 405);
    assert_eq!(answer("SUBSCRIBE", &format!("Event: dialog\n{EMPTY}")).status().code(), 489);
    assert_eq!(answer("REFER", &format!("Refer-To: <sip:x@y>\n{EMPTY}")).status().code(), 603);
    assert_eq!(answer("BYE", EMPTY).status().code(), 481);
    let extended = answer("INVITE", &format!("Require: 100rel, magic\n{EMPTY}"));
    assert_eq!(extended.status().code(), 420);
    assert_eq!(extended.unsupported().collect::<Vec<_>>(), ["magic"]);
    let foreign = answer("INVITE", "Content-Type: text/html\nContent-Length: 1\n\nx");
    assert_eq!(foreign.status().code(), 415);
    assert!(foreign.raw(Name::Accept).is_some());
    let packed =
        answer("MESSAGE", "Content-Type: text/plain\nContent-Encoding: gzip\nContent-Length: 1\n\nx");
    assert_eq!(packed.status().code(), 415);
    assert!(answer("OPTIONS", "Content-Length: 0\nExpires\n\n").status().code() == 400);
}

fn sdp(codec: &str) -> String {
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {codec}\r\n"
    );
    format!("Content-Type: application/sdp\nContent-Length: {}\n\n{}", body.len(), body.replace("\r\n", "\n"))
}

#[test]
fn an_offer_without_a_codec_of_ours_gets_488() {
    let refused = answer("INVITE", &sdp("G7221/16000"));
    assert_eq!(refused.status().code(), 488);
    assert!(refused.raw(Name::Warning).unwrap().starts_with(b"305 "));
}

#[test]
fn a_call_without_offer_is_offered_one_and_its_answer_is_taken_from_the_ack() {
    let mut wire = Wire::new(1, vec![config(0)]);
    wire.inject(0, &request("INVITE", EMPTY));
    let call = wire.incoming(0);
    wire.command(0, Command::Answer { call });
    wire.pass(A_MOMENT);
    let Some(Message::Response(ok)) = wire.strays.pop() else { panic!() };
    assert!(String::from_utf8_lossy(ok.body()).contains("m=audio"));
    let ack = request("ACK", &sdp("PCMU/8000"))
        .replace("To: <sip:phone0@192.0.2.1>", &format!("To: {}", ok.to().unwrap()))
        .replace("ACKContentType", "INVITEContentType");
    let call_id = ok.call_id().unwrap();
    let ack: String =
        ack.lines()
            .map(|line| {
                if line.starts_with("Call-ID:") {
                    format!("Call-ID: {call_id}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
    wire.inject(0, &ack);
    wire.pass(Duration::from_secs(1));
    assert_eq!(wire.phones[0].ua.media_report(call).unwrap().codec, "PCMU");
    wire.command(0, Command::Hangup { call });
    wire.pass(Duration::from_secs(40));
    assert_eq!(wire.ended(0), [(Side::Us, 200)]);
    wire.assert_nothing_left();
}

#[test]
fn a_malformed_request_gets_400_that_names_the_header() {
    let response = answer("MESSAGE", "CSeq: 2 MESSAGE\nContent-Length: 0\n\n");
    assert_eq!(response.status().code(), 400);
    assert!(String::from_utf8_lossy(response.reason()).contains("CSeq"));
}
