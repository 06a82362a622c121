//! Bytes to `Message`: total, checked at the door, lazy behind it.

use crate::header::{cseq, name_addr, via};
use crate::line::{FieldSpan, Line, Lines, first_line, skip_line_ends};
use crate::uri::{self, UriFound};
use crate::{
    Headers, Message, Method, Name, ParseError, ParseErrorKind as Kind, Request, Response, Status, Text, lex,
};
use bytes::Bytes;
use std::ops::Range;

/// Default limit of a message's size in bytes.
pub const MAX_MESSAGE: usize = 65_536;

/// Default limit of the number of header fields.
pub const MAX_FIELDS: usize = 256;

/// What a message may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole message; never more than `u32::MAX` counts.
    pub message: usize,
    /// Header fields.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message: MAX_MESSAGE, fields: MAX_FIELDS }
    }
}

pub(crate) fn message(bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
    let begin = skip_line_ends(&bytes);
    let bytes = if begin == 0 { bytes } else { bytes.slice(begin..) };
    if bytes.is_empty() {
        return Err(ParseError::new(Kind::Empty, begin));
    }
    if bytes.len() > limits.message.min(u32::MAX as usize) {
        return Err(ParseError::new(Kind::TooLarge, limits.message));
    }
    let start = start_line(&bytes)?;
    let mut found = Found::new();
    let mut lines = Lines::new(&bytes, start.fields_at);
    let head_end = found.read(&mut lines, limits.fields)?;
    let bare_lf = lines.bare_lf;
    let end = found.check(&bytes, &start.kind, head_end)?;
    let method = match &start.kind {
        StartKind::Request(range) => method_of(&bytes, range.clone()),
        StartKind::Response(_) => None,
    };
    let headers = Headers {
        fields: found.fields.as_slice().into(),
        bytes: if end == bytes.len() { bytes } else { bytes.slice(..end) },
        start: start.part.start as u32..start.part.end as u32,
        fields_at: start.fields_at as u32,
        body: head_end as u32,
        bare_lf,
    };
    match (start.kind, method) {
        (StartKind::Response(status), _) => Ok(Message::Response(Response { headers, status })),
        (StartKind::Request(_), Some(method)) => Ok(Message::Request(Request { headers, method })),
        (StartKind::Request(_), None) => Err(ParseError::new(Kind::StartLine, 0)),
    }
}

struct Start {
    kind: StartKind,
    /// The Request-URI or the reason phrase.
    part: Range<usize>,
    fields_at: usize,
}

enum StartKind {
    /// With the method's place.
    Request(Range<usize>),
    Response(Status),
}

pub(crate) fn method_of(bytes: &Bytes, range: Range<usize>) -> Option<Method> {
    if range.is_empty() {
        return None;
    }
    Method::of_known(&bytes[range.clone()]).or_else(|| Text::new(bytes.slice(range)).map(Method::Other))
}

fn start_line(bytes: &[u8]) -> Result<Start, ParseError> {
    let error = |kind, at| Err(ParseError::new(kind, at));
    let Some((end, fields_at)) = first_line(bytes, 0) else {
        let kind = if mentions_sip(&bytes[..bytes.len().min(1024)]) { Kind::StartLine } else { Kind::NotSip };
        return error(kind, 0);
    };
    let line = &bytes[..end];
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        let (status, part) = status_line(line)?;
        return Ok(Start { kind: StartKind::Response(status), part, fields_at });
    }
    request_line(line, fields_at).map_err(|error| match mentions_sip(line) {
        true => error,
        false => ParseError::new(Kind::NotSip, 0),
    })
}

fn request_line(line: &[u8], fields_at: usize) -> Result<Start, ParseError> {
    let error = |kind, at| Err(ParseError::new(kind, at));
    let method_end = lex::token(line, 0);
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return error(Kind::StartLine, method_end);
    }
    let uri = method_end + 1;
    let Some(uri_end) = memchr::memchr(b' ', &line[uri..]).map(|length| uri + length) else {
        return error(Kind::StartLine, line.len());
    };
    if uri_end == uri {
        return error(Kind::StartLine, uri);
    }
    version(&line[uri_end + 1..]).map_err(|kind| ParseError::new(kind, uri_end + 1))?;
    request_uri(&line[uri..uri_end]).map_err(|(kind, at)| ParseError::new(kind, uri + at))?;
    Ok(Start { kind: StartKind::Request(0..method_end), part: uri..uri_end, fields_at })
}

/// Whether a first line claims to be SIP, so that an answer makes sense.
pub(crate) fn mentions_sip(line: &[u8]) -> bool {
    line.windows(4).any(|window| window.eq_ignore_ascii_case(b"SIP/"))
}

fn version(text: &[u8]) -> Result<(), Kind> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let number = text.get(4..).filter(|_| text[..4].eq_ignore_ascii_case(b"SIP/")).ok_or(Kind::StartLine)?;
    let mut parts = number.split(|byte| *byte == b'.').map(lex::number);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Some(_)), Some(Some(_)), None) => Err(Kind::Version),
        _ => Err(Kind::StartLine),
    }
}

fn request_uri(text: &[u8]) -> Result<(), (Kind, usize)> {
    match uri::scan(text).map_err(|at| (Kind::RequestUri, at))? {
        // Headers in a Request-URI would be a way to inject a Route (RFC 4475 §3.1.2.11).
        UriFound::Sip(spans) if spans.has_headers() => Err((Kind::RequestUri, text.len())),
        UriFound::Sip(_) | UriFound::Tel => Ok(()),
        UriFound::Other => Err((Kind::Scheme, 0)),
    }
}

fn status_line(line: &[u8]) -> Result<(Status, Range<usize>), ParseError> {
    let error = |kind, at| Err(ParseError::new(kind, at));
    let Some(space) = memchr::memchr(b' ', line) else { return error(Kind::StartLine, line.len()) };
    version(&line[..space]).map_err(|kind| ParseError::new(kind, 0))?;
    let code = space + 1;
    let code_end = memchr::memchr(b' ', &line[code..]).map_or(line.len(), |length| code + length);
    let Some(number) = lex::number(&line[code..code_end]) else { return error(Kind::StartLine, code) };
    let status = u16::try_from(number).ok().and_then(Status::new).filter(|_| code_end == code + 3);
    let Some(status) = status else { return error(Kind::StatusCode, code) };
    Ok((status, (code_end + 1).min(line.len())..line.len()))
}

/// The header fields as they are read, most of the time without an allocation.
struct Found {
    fields: Fields,
    /// The first field of each header in [`CHECKED`] by its place in the list, or `ABSENT`.
    first: [u32; CHECKED.len()],
    /// The first that may not be there again, or `ABSENT`.
    twice: u32,
}

/// The headers that are mandatory or structural. All but Via may be there only once.
const CHECKED: [Name; 7] =
    [Name::CSeq, Name::CallId, Name::From, Name::To, Name::Via, Name::MaxForwards, Name::ContentLength];

const ABSENT: u32 = u32::MAX;

impl Found {
    fn new() -> Found {
        Found { fields: Fields::default(), first: [ABSENT; CHECKED.len()], twice: ABSENT }
    }

    /// Reads all header fields and returns where the body starts.
    #[inline]
    fn read(&mut self, lines: &mut Lines<'_>, limit: usize) -> Result<usize, ParseError> {
        loop {
            match lines.next() {
                Line::Field(field) => {
                    let index = self.fields.len();
                    if index >= limit {
                        return Err(ParseError::new(Kind::TooManyFields, field.start as usize));
                    }
                    self.note(field.name, index as u32);
                    self.fields.push(field);
                }
                Line::End(body) => return Ok(body),
                Line::Bad(at) => return Err(ParseError::new(Kind::HeaderLine, at)),
                Line::Truncated => return Err(ParseError::new(Kind::HeaderEnd, lines.bytes.len())),
            }
        }
    }

    #[inline]
    fn note(&mut self, name: Name, index: u32) {
        let Some(place) = CHECKED.iter().position(|checked| *checked == name) else { return };
        let first = &mut self.first[place];
        if *first == ABSENT {
            *first = index;
        } else if name != Name::Via {
            self.twice = self.twice.min(index);
        }
    }

    /// Checks the mandatory headers and returns where the message ends.
    fn check(&self, bytes: &[u8], kind: &StartKind, body: usize) -> Result<usize, ParseError> {
        let fields = self.fields.as_slice();
        if let Some(field) = fields.get(self.twice as usize) {
            return Err(ParseError::new(Kind::Duplicate(field.name), field.start as usize));
        }
        let [cseq, call_id, from, to, via, max_forwards, content_length] =
            self.first.map(|index| fields.get(index as usize).copied());
        let mandatory =
            |field: Option<FieldSpan>, name| field.ok_or(ParseError::new(Kind::Missing(name), body));
        check_cseq(bytes, mandatory(cseq, Name::CSeq)?, kind)?;
        let call_id = mandatory(call_id, Name::CallId)?;
        if !is_call_id(call_id.value(bytes)) {
            return Err(malformed(call_id, 0));
        }
        for field in [mandatory(from, Name::From)?, mandatory(to, Name::To)?] {
            name_addr::scan(field.value(bytes)).map_err(|at| malformed(field, at))?;
        }
        check_via(bytes, mandatory(via, Name::Via)?)?;
        if let Some(field) = max_forwards {
            match lex::number(field.value(bytes)) {
                Some(0..=255) => {}
                Some(_) => return Err(ParseError::new(Kind::OutOfRange(field.name), field.value as usize)),
                None => return Err(malformed(field, 0)),
            }
        }
        body_end(bytes, content_length, body)
    }
}

fn malformed(field: FieldSpan, at: usize) -> ParseError {
    ParseError::new(Kind::Malformed(field.name), field.value as usize + at)
}

fn check_cseq(bytes: &[u8], field: FieldSpan, kind: &StartKind) -> Result<(), ParseError> {
    let at = field.value as usize;
    let (_, method) = cseq::scan(field.value(bytes)).map_err(|kind| ParseError::new(kind, at))?;
    match kind {
        StartKind::Request(start) if bytes[start.clone()] != *method => {
            // An unknown method is the better reason (RFC 4475 §3.1.2.18).
            let known = Method::of_known(&bytes[start.clone()]).is_some();
            let kind = if known { Kind::MethodMismatch } else { Kind::UnknownMethodMismatch };
            Err(ParseError::new(kind, at))
        }
        StartKind::Request(_) | StartKind::Response(_) => Ok(()),
    }
}

/// `word [ "@" word ]` in visible ASCII; which punctuation it has is nobody's business.
pub(crate) fn is_call_id(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_graphic)
}

fn check_via(bytes: &[u8], field: FieldSpan) -> Result<(), ParseError> {
    let value = field.value(bytes);
    let top = lex::Values::new(value).next().unwrap_or(0..0);
    via::scan(&value[top.clone()]).map_err(|at| malformed(field, top.start + at))?;
    Ok(())
}

fn body_end(bytes: &[u8], content_length: Option<FieldSpan>, body: usize) -> Result<usize, ParseError> {
    let Some(field) = content_length else { return Ok(bytes.len()) };
    let length = lex::number(field.value(bytes)).ok_or(malformed(field, 0))?;
    match usize::try_from(length).ok().and_then(|length| body.checked_add(length)) {
        Some(end) if end <= bytes.len() => Ok(end),
        _ => Err(ParseError::new(Kind::BodyTooShort, field.value as usize)),
    }
}

/// A list that needs no allocation for a message of ordinary size.
#[derive(Default)]
struct Fields {
    few: [FieldSpan; 32],
    count: usize,
    many: Vec<FieldSpan>,
}

impl Fields {
    fn len(&self) -> usize {
        self.count.max(self.many.len())
    }

    fn push(&mut self, field: FieldSpan) {
        if let Some(free) = self.few.get_mut(self.count) {
            *free = field;
            self.count += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few);
        }
        self.many.push(field);
    }

    fn as_slice(&self) -> &[FieldSpan] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }
}
