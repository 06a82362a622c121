//! The five messages of one call between two phones, verbatim.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{Contacts, Message, Method, Name, Request, Response, Status, Transport};
use std::path::Path;

fn message(name: &str) -> Message {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/messages/{name}.sip"));
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.bytes(), &bytes, "printed unchanged, {name} is the same bytes");
    assert_eq!(message.headers().call_id(), Ok("cenXTa4i-1423587756904@appletekiAir"));
    message
}

fn request(name: &str) -> Request {
    message(name).as_request().unwrap().clone()
}

fn response(name: &str) -> Response {
    message(name).as_response().unwrap().clone()
}

fn contact(contacts: Contacts) -> String {
    contacts.list()[0].uri().to_string()
}

#[test]
fn the_invite_reads() {
    let invite = request("invite");
    assert_eq!(
        (invite.method(), invite.uri_bytes()),
        (&Method::Invite, &b"sip:some@192.168.31.131:50027"[..])
    );
    let via = invite.via().unwrap();
    assert_eq!((via.transport, via.sent_by.port, via.has_rport()), (Transport::Udp, Some(51971), true));
    assert_eq!((via.branch(), via.rport()), (Some("z9hG4bKiYblddPPX"), None));
    assert_eq!(invite.from().unwrap().uri.to_string(), "sip:null@null");
    assert_eq!((invite.from_tag(), invite.to_tag()), (Some("Prf3c3Xc"), None));
    assert_eq!(invite.cseq().unwrap().number, 1);
    assert_eq!(invite.max_forwards(), Ok(Some(70)));
    assert_eq!(contact(invite.contacts().unwrap()), "sip:null@192.168.31.131:51971;transport=UDP");
    assert!(invite.content_type().unwrap().unwrap().is("application/sdp"));
    assert_eq!(invite.body().len(), 215);
}

#[test]
fn ringing_reads_without_content_length_and_max_forwards() {
    let ringing = response("ringing");
    assert_eq!((ringing.status(), ringing.reason()), (Status::RINGING, &b"Ringing"[..]));
    assert_eq!(ringing.via().unwrap().rport(), Some(51971));
    assert_eq!(ringing.to_tag(), Some("AM1g60xRvq"));
    assert_eq!((ringing.has(Name::ContentLength), ringing.body()), (false, &b""[..]));
}

#[test]
fn ok_reads() {
    let ok = response("ok");
    assert_eq!((ok.status(), ok.body().len()), (Status::OK, 214));
    assert_eq!(contact(ok.contacts().unwrap()), "sip:192.168.31.131:50027;transport=UDP");
    assert_eq!(ok.cseq().unwrap().method, Method::Invite);
}

#[test]
fn ack_and_bye_read_with_their_odd_sequence_numbers() {
    let ack = request("ack");
    assert_eq!((ack.method(), ack.cseq().unwrap().number), (&Method::Ack, 3));
    assert_eq!(ack.uri().unwrap().as_sip().unwrap().transport(), Some(Transport::Udp));
    let bye = request("bye");
    assert_eq!((bye.method(), bye.cseq().unwrap().number), (&Method::Bye, 711_793_880));
    assert_eq!(bye.from_tag(), ack.to_tag());
    assert_eq!(bye.uri().unwrap().as_sip().unwrap().user(), Some("null"));
}
