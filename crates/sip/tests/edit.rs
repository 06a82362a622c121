//! Building, editing and answering, by example.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{Message, Method, Name, Request, RequestBuilder, Response, Status, Uri};

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    v : SIP/2.0/UDP a.example.com:5060;rport ;branch=z9hG4bKa,\r\n  SIP/2.0/TCP b.example.com;branch=z9hG4bKb\r\n\
    Via: SIP/2.0/UDP c.example.com;branch=z9hG4bKc\r\n\
    Route: <sip:r1;lr>, <sip:r2;lr>\r\n\
    From:<sip:alice@example.com>;tag=a\r\n\
    t: \"Bob\"\r\n <sip:bob@example.com>\r\n\
    Call-ID: x@y\r\n\
    CSeq: 1 INVITE\r\n\
    Timestamp: 54\r\n\
    X-Strange:  kept ,, as it is \r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 2\r\n\
    \r\n\
    hi";

fn request(text: &str) -> Request {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap().as_request().unwrap().clone()
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_top_via_is_amended_in_place() {
    let ip = Some([192, 0, 2, 7].into());
    let amended = request(INVITE).edit().amend_top_via(ip, Some(40000)).finish();
    let expected =
        INVITE.replace(";rport ;branch=z9hG4bKa,", ";rport=40000 ;branch=z9hG4bKa;received=192.0.2.7,");
    assert_eq!(text(amended.bytes()), expected);
    let again = amended.edit().amend_top_via(Some([192, 0, 2, 8].into()), Some(1)).finish();
    assert_eq!(text(again.bytes()), expected.replace("40000", "1").replace("192.0.2.7", "192.0.2.8"));
}

#[test]
fn vias_are_popped_one_value_at_a_time() {
    let mut edit = request(INVITE).edit();
    let once = edit.pop_via().finish();
    assert_eq!(
        once.raw_all(Name::Via).collect::<Vec<_>>(),
        [&b"SIP/2.0/TCP b.example.com;branch=z9hG4bKb"[..], b"SIP/2.0/UDP c.example.com;branch=z9hG4bKc"]
    );
    assert!(text(once.bytes()).contains("\r\nv : SIP/2.0/TCP b.example.com;branch=z9hG4bKb\r\n"));
    assert_eq!(edit.pop_via().finish().vias().count(), 1);
    assert_eq!(edit.pop_via().pop_via().finish().vias().count(), 0);
}

#[test]
fn forwarding_touches_only_what_it_must() {
    let forwarded = request(INVITE)
        .edit()
        .set_uri("sip:bob@192.0.2.9")
        .push_via("SIP/2.0/UDP p.example.com;branch=z9hG4bKp")
        .push_record_route("<sip:p.example.com;lr>")
        .pop_route()
        .set_max_forwards(70)
        .finish();
    let expected = INVITE
        .replace("INVITE sip:bob@example.com", "INVITE sip:bob@192.0.2.9")
        .replace("v :", "Via: SIP/2.0/UDP p.example.com;branch=z9hG4bKp\r\nv :")
        .replace("Route: <sip:r1;lr>, ", "Record-Route: <sip:p.example.com;lr>\r\nRoute: ")
        .replace("\r\n\r\n", "\r\nMax-Forwards: 70\r\n\r\n");
    assert_eq!(text(forwarded.bytes()), expected);
    assert_eq!(forwarded.uri_bytes(), b"sip:bob@192.0.2.9");
    assert_eq!(forwarded.body(), b"hi");
}

#[test]
fn set_add_and_remove_work_on_all_fields_of_a_name() {
    let edited = request(INVITE)
        .edit()
        .set(Name::Via, "SIP/2.0/UDP only")
        .add(Name::CallInfo, "<http://a>")
        .add(Name::CallInfo, "<http://b>")
        .add_other("X-New", "1")
        .remove_other("x-strange")
        .remove_other("TIMESTAMP")
        .remove(Name::Route)
        .set_other("X-New", "2")
        .finish();
    assert_eq!(edited.values(Name::Via).collect::<Vec<_>>(), [b"SIP/2.0/UDP only"]);
    assert_eq!(edited.raw_all(Name::CallInfo).collect::<Vec<_>>(), [b"<http://a>", b"<http://b>"]);
    assert_eq!(edited.raw_other("X-NEW"), Some(&b"2"[..]));
    assert!(
        !edited.has(Name::Route) && !edited.has(Name::Timestamp) && edited.raw_other("X-Strange").is_none()
    );
}

#[test]
fn a_new_body_comes_with_its_type_and_length() {
    let edited = request(INVITE).edit().set_body(Some("application/sdp"), b"v=0\r\n").finish();
    assert_eq!(edited.raw(Name::ContentLength), Some(&b"5"[..]));
    assert!(edited.content_type().unwrap().unwrap().is("application/sdp"));
    assert_eq!(Message::parse(edited.bytes().clone()).unwrap().headers().body(), b"v=0\r\n");
    let empty = edited.edit().set_body(None, b"").finish();
    assert_eq!((empty.raw(Name::ContentLength), empty.content_type()), (Some(&b"0"[..]), Ok(None)));
}

#[test]
fn a_value_cannot_become_a_header() {
    let evil = "x\r\nRoute: <sip:evil>\r\n\r\nbody";
    let uri: Uri = "sip:h?Route=%3Csip:evil%3E".parse().unwrap();
    let built = RequestBuilder::new(Method::Options, &uri)
        .header(Name::Subject, evil)
        .header_other("X-A", evil)
        .header_other("X-B: y\r\nRoute", "<sip:evil>")
        .finish();
    let edited =
        built.edit().set(Name::Subject, evil).add_other("Bad Name", "x").set_uri("sip:a\r\nb: c").finish();
    for request in [built, edited] {
        assert_eq!((request.has(Name::Route), request.body()), (false, &b""[..]));
        assert_eq!(request.fields().count(), 3);
        assert_eq!(request.raw(Name::Subject), Some(&b"x  Route: <sip:evil>    body"[..]));
    }
    let response = Response::to_request(&request(INVITE), Status::OK)
        .reason("a\r\nRoute: b")
        .to_tag("t\r\nX: y")
        .finish();
    assert_eq!(response.reason(), b"a  Route: b");
    assert!(!response.has(Name::Route) && response.raw_other("X").is_none());
}

#[test]
fn a_response_copies_what_section_8_2_6_names() {
    let invite = request(INVITE);
    let trying = Response::to_request(&invite, Status::TRYING).finish();
    assert_eq!(
        text(trying.bytes()),
        "SIP/2.0 100 Trying\r\n\
        v : SIP/2.0/UDP a.example.com:5060;rport ;branch=z9hG4bKa,\r\n  SIP/2.0/TCP b.example.com;branch=z9hG4bKb\r\n\
        Via: SIP/2.0/UDP c.example.com;branch=z9hG4bKc\r\n\
        From:<sip:alice@example.com>;tag=a\r\n\
        t: \"Bob\"\r\n <sip:bob@example.com>\r\n\
        Call-ID: x@y\r\n\
        CSeq: 1 INVITE\r\n\
        Timestamp: 54\r\n\
        Content-Length: 0\r\n\r\n"
    );
    let ok =
        Response::to_request(&invite, Status::OK).to_tag("b").to_tag("c").body("text/plain", b"yes").finish();
    assert_eq!((ok.to_tag(), ok.call_id(), ok.body()), (Some("b"), Ok("x@y"), &b"yes"[..]));
    assert!(!ok.has(Name::Timestamp));
    assert_eq!(Message::parse(ok.bytes().clone()), Ok(ok.into()));
}

#[test]
fn bare_line_feeds_are_accepted_and_mended_when_forwarded() {
    let bare = INVITE.replace("\r\n", "\n");
    let request = request(&bare);
    assert_eq!(text(request.bytes()), bare);
    let forwarded = request.edit().pop_route().finish();
    let expected = INVITE.replace("<sip:r1;lr>, ", "");
    assert_eq!(text(forwarded.bytes()), expected);
    let answer = Response::to_request(&request, Status::OK).finish();
    assert!(!text(answer.bytes()).replace("\r\n", "").contains('\n'));
}
