//! What is refused at the door, why, and whether it is answered.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{Limits, MAX_MESSAGE, Message, Name, ParseErrorKind as Kind, RejectedRequest, Status};

const GOOD: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\n\
    To: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

fn kind(text: impl AsRef<[u8]>) -> Kind {
    Message::parse(Bytes::copy_from_slice(text.as_ref())).unwrap_err().kind
}

/// The answer's status, if there is one.
fn answer(text: impl AsRef<[u8]>) -> Option<Status> {
    let bytes = Bytes::copy_from_slice(text.as_ref());
    let error = Message::parse(bytes.clone()).unwrap_err();
    RejectedRequest::salvage(&bytes, error).map(|rejected| rejected.response().finish().status())
}

#[test]
fn each_mandatory_header_must_be_there_once() {
    for (name, line) in [
        (Name::Via, "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"),
        (Name::From, "From: <sip:a@h>;tag=f\r\n"),
        (Name::To, "To: <sip:b@h>\r\n"),
        (Name::CallId, "Call-ID: x\r\n"),
        (Name::CSeq, "CSeq: 1 INVITE\r\n"),
    ] {
        assert_eq!(kind(GOOD.replace(line, "")), Kind::Missing(name));
        if name != Name::Via {
            assert_eq!(kind(GOOD.replace(line, &line.repeat(2))), Kind::Duplicate(name));
        }
    }
    for line in ["Max-Forwards: 70\r\n", "Content-Length: 0\r\n"] {
        assert!(Message::parse(GOOD.replace(line, "").into()).is_ok());
        assert!(matches!(kind(GOOD.replace(line, &line.repeat(2))), Kind::Duplicate(_)));
    }
}

#[test]
fn mandatory_headers_must_be_well_formed() {
    for (from, to, expected) in [
        ("SIP/2.0/UDP h;", "SIP/2.0/UDP h;;", Kind::Malformed(Name::Via)),
        ("SIP/2.0/UDP h;", ",SIP/2.0/UDP h;", Kind::Malformed(Name::Via)),
        ("<sip:a@h>", "<sip:a@>", Kind::Malformed(Name::From)),
        ("tag=f", "tag=\u{e9}", Kind::Malformed(Name::From)),
        ("Call-ID: x", "Call-ID: x y", Kind::Malformed(Name::CallId)),
        ("Call-ID: x", "Call-ID:", Kind::Malformed(Name::CallId)),
        ("1 INVITE", "1INVITE", Kind::Malformed(Name::CSeq)),
        ("1 INVITE", "4294967296 INVITE", Kind::OutOfRange(Name::CSeq)),
        ("1 INVITE", "1 invite", Kind::MethodMismatch),
        ("Forwards: 70", "Forwards: 256", Kind::OutOfRange(Name::MaxForwards)),
        ("Forwards: 70", "Forwards: -1", Kind::Malformed(Name::MaxForwards)),
        ("Length: 0", "Length: 0x0", Kind::Malformed(Name::ContentLength)),
        ("Length: 0", "Length: 1", Kind::BodyTooShort),
        ("Length: 0", "Length: 18446744073709551617", Kind::BodyTooShort),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        assert_eq!(kind(&text), expected, "{to}");
        assert_eq!(answer(&text).map(Status::code), Some(400), "{to}");
    }
}

#[test]
fn what_is_not_sip_is_dropped() {
    for text in ["", "\r\n\r\n", "\0\0\0\0", "hello", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "INVITE\r\n\r\n"] {
        assert!(matches!(kind(text), Kind::Empty | Kind::NotSip), "{text:?}");
        assert_eq!(answer(text), None);
    }
    assert_eq!(kind("\r\n\r\n"), Kind::Empty);
}

#[test]
fn acks_responses_and_requests_without_a_via_get_no_answer() {
    assert_eq!(answer(GOOD.replace("INVITE", "ACK").replace("Call-ID: x\r\n", "")), None);
    assert_eq!(answer(GOOD.replace("Via:", "Vía:")), None);
    assert_eq!(
        answer(GOOD.replace("INVITE sip:b@h SIP/2.0", "SIP/2.0 200 OK").replace("Call-ID: x\r\n", "")),
        None
    );
}

#[test]
fn a_stray_carriage_return_or_a_line_without_name_is_refused() {
    for line in
        ["X: a\rVia: b", "no colon", ": no name", "two words: x", " folded start line", "N\u{e4}me: x"]
    {
        let text = GOOD.replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
        assert_eq!(kind(&text), Kind::HeaderLine, "{line:?}");
        assert_eq!(answer(&text), Some(Status::BAD_REQUEST), "{line:?}");
    }
    let folded = GOOD.replace("Call-ID: x", "Call-ID:\r\n\t \r\n x");
    assert!(Message::parse(folded.into()).is_ok());
}

#[test]
fn limits_hold_and_are_answered() {
    let many = GOOD.replacen("\r\n", &format!("\r\n{}", "X: y\r\n".repeat(300)), 1);
    assert_eq!(kind(&many), Kind::TooManyFields);
    assert_eq!(answer(&many), None, "the Via is beyond the limit");
    let many = GOOD.replace("\r\n\r\n", &format!("\r\n{}\r\n", "X: y\r\n".repeat(300)));
    assert_eq!(answer(&many), Some(Status::BAD_REQUEST));
    assert!(Message::parse_with(many.into(), &Limits { message: MAX_MESSAGE, fields: 400 }).is_ok());
    let large = format!("{GOOD}{}", "x".repeat(MAX_MESSAGE));
    assert_eq!(answer(&large), Some(Status::MESSAGE_TOO_LARGE));
}

#[test]
fn more_fields_than_usual_read_as_well() {
    let text = GOOD.replace("\r\n\r\n", &format!("\r\n{}\r\n", "X: y\r\n".repeat(200)));
    let message = Message::parse(text.clone().into()).unwrap();
    assert_eq!(message.headers().fields().count(), 207);
    assert_eq!(message.bytes(), text.as_bytes());
}

#[test]
fn nul_bytes_stay_where_they_may_be_and_are_refused_elsewhere() {
    let quoted = GOOD.replace("<sip:b@h>", "\"a\\\0b\" <sip:b@h>");
    assert!(Message::parse(quoted.into()).is_ok());
    for (from, to) in [("sip:b@h SIP", "sip:\0@h SIP"), ("Call-ID: x", "Call-ID: \0"), ("tag=f", "tag=\0")] {
        assert_eq!(answer(GOOD.replace(from, to)), Some(Status::BAD_REQUEST));
    }
}

#[test]
fn versions_read_in_any_case_and_others_get_505() {
    assert!(Message::parse(GOOD.replace("h SIP/2.0", "h sip/2.0").into()).is_ok());
    assert_eq!(answer(GOOD.replace("h SIP/2.0", "h SIP/3.0")), Some(Status::VERSION_NOT_SUPPORTED));
    assert_eq!(answer(GOOD.replace("h SIP/2.0", "h SIP/2")), Some(Status::BAD_REQUEST));
    assert_eq!(answer(GOOD.replace("h SIP/2.0", "h SIP/2.0.0")), Some(Status::BAD_REQUEST));
}
