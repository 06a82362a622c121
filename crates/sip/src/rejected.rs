//! What can be made of a request that `parse` refuses, so that it can be answered.

use crate::header::via;
use crate::line::{FieldSpan, Line, Lines, first_line, skip_line_ends};
use crate::parse::{mentions_sip, method_of};
use crate::{
    Headers, Limits, Method, Name, ParseError, Request, Response, ResponseBuilder, Status, Via, lex,
};
use bytes::Bytes;

/// A request that cannot be accepted, but answered.
#[derive(Clone, Debug)]
pub struct RejectedRequest {
    /// The request as far as it could be read, without its body. Its headers may be missing or malformed.
    pub request: Request,
    /// The topmost Via, with those of its parameters that can be read: where the answer goes.
    pub via: Via,
    /// Why it is refused.
    pub error: ParseError,
}

impl RejectedRequest {
    /// Makes what can be made of bytes that [`Message::parse`](crate::Message::parse) refused with `error`.
    /// `None` if no answer is due or possible: a response, an ACK, something that is not SIP, no readable top
    /// Via.
    pub fn salvage(bytes: &Bytes, error: ParseError) -> Option<RejectedRequest> {
        let limits = Limits::default();
        let begin = skip_line_ends(bytes);
        let bytes = bytes.slice(begin..bytes.len().min(begin.saturating_add(limits.message)));
        let (line_end, fields_at) = first_line(&bytes, 0)?;
        let method_end = lex::token(&bytes, 0);
        let method = method_of(&bytes, 0..method_end)?;
        let rest = trimmed_after(&bytes[..line_end], method_end)?;
        if method == Method::Ack || !mentions_sip(&bytes[..line_end]) {
            return None;
        }
        let uri_end = memchr::memchr(b' ', &bytes[rest..line_end]).map_or(line_end, |length| rest + length);
        let (fields, end, bare_lf) = lenient_fields(&bytes, fields_at, limits.fields);
        let headers = Headers {
            bytes: bytes.slice(..end),
            fields: fields.into(),
            start: rest as u32..uri_end as u32,
            fields_at: fields_at as u32,
            body: end as u32,
            bare_lf,
        };
        let top = headers.value_ranges(Name::Via).find(|range| !range.is_empty())?;
        let via = via::scan_head(&headers.bytes[top.clone()]).ok()?.of(&headers.bytes, top);
        Some(RejectedRequest { request: Request { headers, method }, via, error })
    }

    /// The answer: the error's status, with the error in words as its reason phrase (RFC 3261 §21.4.1).
    pub fn response(&self) -> ResponseBuilder {
        let status = self.error.status();
        let response = Response::to_request(&self.request, status);
        match status {
            Status::BAD_REQUEST => response.reason(&self.error.to_string()),
            _ => response,
        }
    }
}

/// The header fields that can be read, and where they end.
fn lenient_fields(bytes: &Bytes, from: usize, limit: usize) -> (Vec<FieldSpan>, usize, bool) {
    let mut lines = Lines::new(bytes, from);
    let mut fields = Vec::new();
    loop {
        match lines.next() {
            Line::Field(_) if fields.len() >= limit => {}
            Line::Field(field) => fields.push(field),
            Line::Bad(_) => {}
            Line::End(body) => return (fields, body, lines.bare_lf),
            Line::Truncated => return (fields, lines.at, lines.bare_lf),
        }
    }
}

fn trimmed_after(line: &[u8], at: usize) -> Option<usize> {
    let start = lex::skip_lws(line, at);
    (start > at && start < line.len()).then_some(start)
}
