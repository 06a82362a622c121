//! Finds a few parts of a message without parsing it, to decide who owns it. Total; never checks the rest.

use crate::header::{name_addr, params, via};
use crate::line::{Line, Lines, first_line, skip_line_ends};
use crate::{Name, lex};

/// Whether the bytes start like a response.
pub fn is_response(message: &[u8]) -> bool {
    let message = &message[skip_line_ends(message)..];
    message.len() >= 4 && message[..4].eq_ignore_ascii_case(b"SIP/")
}

/// The request method as written.
pub fn method(message: &[u8]) -> Option<&[u8]> {
    start_parts(message).map(|(method, _)| method)
}

/// The Request-URI as written.
pub fn request_uri(message: &[u8]) -> Option<&[u8]> {
    start_parts(message).map(|(_, uri)| uri)
}

/// The `branch` of the topmost Via.
pub fn top_via_branch(message: &[u8]) -> Option<&[u8]> {
    let value = first_value(message, Name::Via)?;
    let head = via::scan_head(value).ok()?;
    param(&value[head.params()..], "branch")
}

/// The Call-ID.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    header(message, Name::CallId).filter(|value| !value.is_empty())
}

/// The tag of To.
pub fn to_tag(message: &[u8]) -> Option<&[u8]> {
    tag(header(message, Name::To)?)
}

/// The tag of From.
pub fn from_tag(message: &[u8]) -> Option<&[u8]> {
    tag(header(message, Name::From)?)
}

/// The topmost Route value as written, with its `<>`.
pub fn first_route(message: &[u8]) -> Option<&[u8]> {
    first_value(message, Name::Route)
}

/// The value of the first field of this name, as written.
pub fn header(message: &[u8], name: Name) -> Option<&[u8]> {
    let (_, fields_at) = first_line(message, skip_line_ends(message))?;
    let mut lines = Lines::new(message, fields_at);
    loop {
        match lines.next() {
            Line::Field(field) if field.name == name => return Some(field.value(message)),
            Line::Field(_) | Line::Bad(_) => {}
            Line::End(_) | Line::Truncated => return None,
        }
    }
}

fn start_parts(message: &[u8]) -> Option<(&[u8], &[u8])> {
    if is_response(message) {
        return None;
    }
    let begin = skip_line_ends(message);
    let (end, _) = first_line(message, begin)?;
    let line = &message[begin..end];
    let method = lex::token(line, 0);
    let uri = line.get(method..)?.strip_prefix(b" ")?;
    let uri_end = memchr::memchr(b' ', uri)?;
    (method > 0 && uri_end > 0).then(|| (&line[..method], &uri[..uri_end]))
}

fn first_value(message: &[u8], name: Name) -> Option<&[u8]> {
    let value = header(message, name)?;
    let first = lex::Values::new(value).next()?;
    (!first.is_empty()).then(|| &value[first])
}

fn tag(value: &[u8]) -> Option<&[u8]> {
    let found = name_addr::scan_address(value).ok()?;
    param(&value[found.params..], "tag")
}

fn param<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    params::get(bytes, name)
        .map(|value| lex::strip_quotes(value).unwrap_or(value))
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"\r\nINVITE sip:bob@example.com SIP/2.0\r\n\
        v: SIP / 2.0 / UDP h:5060 ; rport ;\r\n branch=z9hG4bK-1, SIP/2.0/TCP g;branch=z9hG4bK-2\r\n\
        this line is no header\r\n\
        Route: <sip:a;lr>, <sip:b;lr>\r\n\
        f: \"x;tag=no\" <sip:a@b;tag=no>;tag=a1\r\n\
        To: sip:bob@example.com;tag=b2\r\n\
        I: id@host\r\n\r\n";

    #[test]
    fn every_part_is_found() {
        assert!(!is_response(INVITE));
        assert_eq!(method(INVITE), Some(&b"INVITE"[..]));
        assert_eq!(request_uri(INVITE), Some(&b"sip:bob@example.com"[..]));
        assert_eq!(top_via_branch(INVITE), Some(&b"z9hG4bK-1"[..]));
        assert_eq!(first_route(INVITE), Some(&b"<sip:a;lr>"[..]));
        assert_eq!(from_tag(INVITE), Some(&b"a1"[..]));
        assert_eq!(to_tag(INVITE), Some(&b"b2"[..]));
        assert_eq!(call_id(INVITE), Some(&b"id@host"[..]));
    }

    #[test]
    fn a_response_has_no_method() {
        let response = b"SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n\r\n";
        assert!(is_response(response));
        assert_eq!((method(response), request_uri(response), to_tag(response)), (None, None, None));
    }

    #[test]
    fn truncated_bytes_give_nothing_and_no_panic() {
        for end in 0..INVITE.len() {
            let part = &INVITE[..end];
            let _ = (is_response(part), method(part), top_via_branch(part), call_id(part));
            let _ = (to_tag(part), from_tag(part), first_route(part), request_uri(part));
        }
    }
}
