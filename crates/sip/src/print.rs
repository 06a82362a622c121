//! Typed values to bytes: builders for new messages.

use crate::header::name_addr;
use crate::line::FieldSpan;
use crate::{Headers, Method, Name, Request, Response, Status, Uri, lex};
use std::fmt::Display;
use std::ops::Range;

/// Builds a request. Fields stand in the order given; Content-Type and Content-Length come last. CR and LF in
/// given values become spaces, so a value can never become a header of its own.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    method: Method,
    uri: String,
    draft: Draft,
}

impl RequestBuilder {
    /// A request with only its start line. Headers in the URI are left out (RFC 3261 §19.1.1).
    pub fn new(method: Method, uri: &Uri) -> RequestBuilder {
        let uri = match uri {
            Uri::Sip(uri) if uri.headers().next().is_some() => uri.clone().without_headers().to_string(),
            uri => uri.to_string(),
        };
        RequestBuilder { method, uri, draft: Draft::roomy() }
    }

    /// Adds a field. `Name::Other` and Content-Length are ignored: see `header_other` and `body`.
    pub fn header(mut self, name: Name, value: impl Display) -> RequestBuilder {
        self.draft.push(name, value);
        self
    }

    /// Adds a field with any name; a name that is not a token is ignored.
    pub fn header_other(mut self, name: &str, value: impl Display) -> RequestBuilder {
        self.draft.push_other(name, value);
        self
    }

    /// Copies all fields of this name from a message, byte for byte.
    pub fn copy(mut self, name: Name, from: &Headers) -> RequestBuilder {
        self.draft.copy(name, from, usize::MAX);
        self
    }

    /// Sets the body and its Content-Type.
    pub fn body(mut self, content_type: &str, body: &[u8]) -> RequestBuilder {
        self.draft.set_body(content_type, body);
        self
    }

    /// The request.
    pub fn finish(self) -> Request {
        let mut out = self.draft.output(self.method.as_str().len() + self.uri.len());
        let start = write_request_line(&mut out, &self.method, &self.uri);
        Request { headers: self.draft.finish(out, start), method: self.method }
    }
}

pub(crate) fn write_request_line(out: &mut Vec<u8>, method: &Method, uri: impl Display) -> Range<usize> {
    lex::append(out, method);
    out.push(b' ');
    let start = out.len();
    lex::append(out, uri);
    let end = out.len();
    out.extend_from_slice(b" SIP/2.0\r\n");
    start..end
}

/// Builds a response; see [`Response::to_request`] for the usual start.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    status: Status,
    reason: Option<String>,
    draft: Draft,
}

impl ResponseBuilder {
    /// A response with only its start line.
    pub fn new(status: Status) -> ResponseBuilder {
        ResponseBuilder { status, reason: None, draft: Draft::roomy() }
    }

    pub(crate) fn answering(request: &Request, status: Status) -> ResponseBuilder {
        let mut builder = ResponseBuilder::new(status);
        builder.draft.copy(Name::Via, request, usize::MAX);
        // A salvaged request may have several: its answer has one.
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            builder.draft.copy(name, request, 1);
        }
        if status == Status::TRYING {
            builder.draft.copy(Name::Timestamp, request, 1);
        }
        builder
    }

    /// The status code.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Another reason phrase than the default.
    pub fn reason(mut self, reason: &str) -> ResponseBuilder {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Adds the tag to the To field if it has none.
    pub fn to_tag(mut self, tag: &str) -> ResponseBuilder {
        self.draft.add_to_tag(tag);
        self
    }

    /// Copies the request's Record-Route fields (RFC 3261 §12.1.1).
    pub fn copy_record_route(self, request: &Request) -> ResponseBuilder {
        self.copy(Name::RecordRoute, request)
    }

    /// Copies all fields of this name from a message, byte for byte.
    pub fn copy(mut self, name: Name, from: &Headers) -> ResponseBuilder {
        self.draft.copy(name, from, usize::MAX);
        self
    }

    /// Adds a field. `Name::Other` and Content-Length are ignored: see `header_other` and `body`.
    pub fn header(mut self, name: Name, value: impl Display) -> ResponseBuilder {
        self.draft.push(name, value);
        self
    }

    /// Adds a field with any name; a name that is not a token is ignored.
    pub fn header_other(mut self, name: &str, value: impl Display) -> ResponseBuilder {
        self.draft.push_other(name, value);
        self
    }

    /// Sets the body and its Content-Type.
    pub fn body(mut self, content_type: &str, body: &[u8]) -> ResponseBuilder {
        self.draft.set_body(content_type, body);
        self
    }

    /// The response.
    pub fn finish(self) -> Response {
        let reason = self.reason.as_deref().unwrap_or(self.status.reason());
        let mut out = self.draft.output(reason.len());
        lex::append(&mut out, format_args!("SIP/2.0 {} ", self.status));
        let start = out.len();
        lex::append(&mut out, reason);
        let end = out.len();
        out.extend_from_slice(b"\r\n");
        Response { headers: self.draft.finish(out, start..end), status: self.status }
    }
}

/// The header lines of a message in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: Vec<u8>,
    pub(crate) fields: Vec<FieldSpan>,
    content_type: String,
    body: Vec<u8>,
}

impl Draft {
    /// With room for a few header lines, or for all of most messages.
    pub(crate) fn roomy() -> Draft {
        Draft { text: Vec::with_capacity(512), fields: Vec::with_capacity(16), ..Draft::default() }
    }

    /// Adds `name: value`.
    pub(crate) fn push(&mut self, name: Name, value: impl Display) {
        if !matches!(name, Name::Other | Name::ContentLength) {
            self.push_line(name, name.as_str(), value);
        }
    }

    pub(crate) fn push_other(&mut self, name: &str, value: impl Display) {
        match Name::parse(name.as_bytes()) {
            Name::ContentLength => {}
            known if lex::is_token(name.as_bytes()) => {
                self.push_line(known, name, value);
            }
            _ => {}
        }
    }

    pub(crate) fn push_line(&mut self, name: Name, name_text: &str, value: impl Display) -> FieldSpan {
        let start = self.text.len();
        self.text.extend_from_slice(name_text.as_bytes());
        self.text.extend_from_slice(b": ");
        lex::append(&mut self.text, value);
        self.text.extend_from_slice(b"\r\n");
        self.line_done(name, start)
    }

    /// Notes the line that was appended from `start` on.
    pub(crate) fn line_done(&mut self, name: Name, start: usize) -> FieldSpan {
        let field = FieldSpan::of_last_line(&self.text, name, start);
        self.fields.push(field);
        field
    }

    fn copy(&mut self, name: Name, from: &Headers, most: usize) {
        for field in from.spans(name).take(most) {
            let start = self.text.len();
            append_lines(&mut self.text, field.line(&from.bytes), from.bare_lf);
            self.line_done(name, start);
        }
    }

    fn add_to_tag(&mut self, tag: &str) {
        let Some(index) = self.fields.iter().position(|field| field.name == Name::To) else { return };
        let value = self.fields[index].value(&self.text);
        if name_addr::scan(value)
            .is_ok_and(|found| crate::header::params::get(&value[found.params..], "tag").is_some())
        {
            return;
        }
        let mut param = Vec::with_capacity(tag.len() + 5);
        lex::append(&mut param, format_args!(";tag={tag}"));
        let at = self.fields[index].value_end as usize;
        let by = param.len();
        self.text.splice(at..at, param);
        self.fields[index].value_end += by as u32;
        self.fields[index].end += by as u32;
        for field in &mut self.fields[index + 1..] {
            *field = field.moved(by as isize);
        }
    }

    fn set_body(&mut self, content_type: &str, body: &[u8]) {
        self.content_type = content_type.to_owned();
        self.body = body.to_vec();
    }

    /// A buffer with room for the whole message.
    fn output(&self, start_line: usize) -> Vec<u8> {
        Vec::with_capacity(start_line + self.text.len() + self.content_type.len() + self.body.len() + 80)
    }

    /// Completes a message whose start line, with its part at `start`, is in `out`.
    fn finish(mut self, mut out: Vec<u8>, start: Range<usize>) -> Headers {
        if !self.content_type.is_empty() {
            let content_type = std::mem::take(&mut self.content_type);
            self.push_line(Name::ContentType, Name::ContentType.as_str(), content_type);
        }
        self.push_line(Name::ContentLength, Name::ContentLength.as_str(), self.body.len());
        let fields_at = out.len();
        out.extend_from_slice(&self.text);
        out.extend_from_slice(b"\r\n");
        let body = out.len();
        out.extend_from_slice(&self.body);
        Headers {
            bytes: out.into(),
            fields: self.fields.iter().map(|field| field.moved(fields_at as isize)).collect(),
            start: start.start as u32..start.end as u32,
            fields_at: fields_at as u32,
            body: body as u32,
            bare_lf: false,
        }
    }
}

/// Appends header lines; `mend` writes CRLF where a line or fold ends in LF alone.
pub(crate) fn append_lines(out: &mut Vec<u8>, lines: &[u8], mend: bool) {
    if !mend {
        return out.extend_from_slice(lines);
    }
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
}
