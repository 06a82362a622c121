use bytes::Bytes;
use offhook_sip::{HostPort, Message, Method, Name, Request, Response, Status, Transport, Uri, Via};

use super::*;

fn request(text: &str) -> Request {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(text: &str) -> Response {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap() {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn via() -> Via {
    Via::new(Transport::Udp, HostPort::parse("192.0.2.1:5060").unwrap(), "z9hG4bK1")
}

fn invite() -> Request {
    request(
        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0\n\
         From: \"A\" <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: c1\nCSeq: 7 INVITE\n\
         Max-Forwards: 70\nRecord-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\n\
         Contact: <sip:alice@192.0.2.1>\nContent-Length: 0\n\n",
    )
}

fn ok(status: &str, routes: &str) -> Response {
    response(&format!(
        "SIP/2.0 {status}\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0\n\
         From: \"A\" <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>;tag=b\nCall-ID: c1\n\
         CSeq: 7 INVITE\n{routes}Contact: <sip:bob@192.0.2.2:5062>\nContent-Length: 0\n\n"
    ))
}

fn later(number: u32, method: &str) -> Request {
    request(&format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\n\
         From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>;tag=b\nCall-ID: c1\n\
         CSeq: {number} {method}\nMax-Forwards: 70\nContact: <sip:alice@192.0.2.9>\nContent-Length: 0\n\n"
    ))
}

#[test]
fn the_caller_reverses_the_record_routes_and_the_callee_keeps_them() {
    let routes = "Record-Route: <sip:p2.example.com;lr>\nRecord-Route: <sip:p1.example.com;lr>\n";
    let caller = Dialog::uac(&invite(), &ok("180 Ringing", routes)).unwrap();
    assert_eq!(caller.phase(), Phase::Early);
    assert_eq!(caller.next_hop().as_str(), "sip:p1.example.com;lr");
    let callee = Dialog::uas(&invite(), "b").unwrap();
    assert_eq!(callee.next_hop().as_str(), "sip:p2.example.com;lr");
    assert_eq!(callee.id().remote_tag, "a");
}

#[test]
fn requests_count_on_and_carry_both_tags() {
    let mut dialog = Dialog::uac(&invite(), &ok("200 OK", "")).unwrap();
    let bye = dialog.request(Method::Bye, &via()).finish();
    assert_eq!(bye.uri().unwrap().as_str(), "sip:bob@192.0.2.2:5062");
    assert_eq!(bye.cseq().unwrap().number, 8);
    assert_eq!((bye.from_tag(), bye.to_tag()), (Some("a"), Some("b")));
    assert_eq!(dialog.ack(7, &via()).finish().cseq().unwrap().to_string(), "7 ACK");
}

#[test]
fn a_strict_router_takes_the_request_uri() {
    let routes = "Record-Route: <sip:loose.example.com;lr>, <sip:strict.example.com?x=y>\n";
    let mut dialog = Dialog::uac(&invite(), &ok("200 OK", routes)).unwrap();
    let bye = dialog.request(Method::Bye, &via()).finish();
    assert_eq!(bye.uri().unwrap().as_str(), "sip:strict.example.com");
    let routes: Vec<String> = bye.routes().map(|route| route.unwrap().uri.to_string()).collect();
    assert_eq!(routes, ["sip:loose.example.com;lr", "sip:bob@192.0.2.2:5062"]);
}

#[test]
fn an_older_request_gets_500_and_a_newer_one_moves_the_target() {
    let mut dialog = Dialog::uas(&invite(), "b").unwrap();
    assert_eq!(dialog.receive(&later(6, "INFO")), Err(Status::SERVER_INTERNAL_ERROR));
    assert_eq!(dialog.receive(&later(9, "INFO")), Ok(()));
    assert_eq!(dialog.remote_target().as_str(), "sip:alice@192.0.2.1");
    assert_eq!(dialog.receive(&later(10, "UPDATE")), Ok(()));
    assert_eq!(dialog.remote_target().as_str(), "sip:alice@192.0.2.9");
}

#[test]
fn only_responses_that_make_a_dialog_make_one() {
    assert!(Dialog::uac(&invite(), &ok("100 Trying", "")).is_none());
    assert!(Dialog::uac(&invite(), &ok("486 Busy Here", "")).is_none());
    let target: Uri = "sip:x@192.0.2.2".parse().unwrap();
    assert_eq!(first_hop(&target, &[]).next, target);
    let no_contact = invite().edit().remove(Name::Contact).finish();
    assert_eq!(Dialog::uas(&no_contact, "b"), Err(Status::BAD_REQUEST));
}
