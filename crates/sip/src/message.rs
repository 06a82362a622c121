//! `Message`, `Request`, `Response`: received or printed bytes with the places of their parts.

use crate::header::name::Name;
use crate::line::FieldSpan;
use crate::{Edit, Limits, Method, ParseError, ParseErrorKind, ResponseBuilder, Status, Uri, lex, uri};
use bytes::Bytes;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A request or a response. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads one message from a datagram or frame, with the default [`Limits`]. Structure, start line and the
    /// mandatory headers are checked; everything else is read when asked for. Octets after the body that
    /// Content-Length announces are left out; without Content-Length the body is the rest.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        Message::parse_with(bytes, &Limits::default())
    }

    /// [`Message::parse`] with other limits.
    pub fn parse_with(bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        crate::parse::message(bytes, limits)
    }

    /// The header fields and body.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => request,
            Message::Response(response) => response,
        }
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &Bytes {
        self.headers().bytes()
    }

    /// The request, if it is one.
    pub fn as_request(&self) -> Option<&Request> {
        match self {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        }
    }

    /// The response, if it is one.
    pub fn as_response(&self) -> Option<&Response> {
        match self {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Message {
        Message::Response(response)
    }
}

/// A request. Reads as its [`Headers`]. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) headers: Headers,
    pub(crate) method: Method,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI. It was checked at the door, so it fails only for a salvaged request.
    pub fn uri(&self) -> Result<Uri, ParseError> {
        let range = self.headers.start.clone();
        let found = uri::scan(self.uri_bytes())
            .map_err(|at| ParseError::new(ParseErrorKind::RequestUri, range.start as usize + at))?;
        Ok(found.of(self.headers.bytes.slice(range.start as usize..range.end as usize)))
    }

    /// The Request-URI as written.
    pub fn uri_bytes(&self) -> &[u8] {
        self.headers.start_part()
    }

    /// A copy to be changed for forwarding.
    pub fn edit(&self) -> Edit<Request> {
        Edit::new(self.clone())
    }
}

impl Deref for Request {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}

/// A response. Reads as its [`Headers`]. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) headers: Headers,
    pub(crate) status: Status,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The reason phrase as written, which may be empty and is not always UTF-8.
    pub fn reason(&self) -> &[u8] {
        self.headers.start_part()
    }

    /// A copy to be changed for forwarding.
    pub fn edit(&self) -> Edit<Response> {
        Edit::new(self.clone())
    }

    /// A response to this request: Via (all), From, To, Call-ID and CSeq copied, and Timestamp into a 100
    /// (RFC 3261 §8.2.6). A To tag is added with [`ResponseBuilder::to_tag`](crate::ResponseBuilder::to_tag).
    pub fn to_request(request: &Request, status: Status) -> ResponseBuilder {
        ResponseBuilder::answering(request, status)
    }
}

impl Deref for Response {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}

/// The header fields and the body of a message. Typed access is in the [`header`](crate::header) modules.
#[derive(Clone)]
pub struct Headers {
    pub(crate) bytes: Bytes,
    pub(crate) fields: Arc<[FieldSpan]>,
    /// The Request-URI or the reason phrase.
    pub(crate) start: Range<u32>,
    /// Where the header fields start.
    pub(crate) fields_at: u32,
    /// Where the body starts.
    pub(crate) body: u32,
    /// Whether some line ended in LF alone, so that forwarding must mend it.
    pub(crate) bare_lf: bool,
}

/// One header field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, `Name::Other` where it has no meaning here.
    pub name: Name,
    /// The name as written.
    pub name_text: &'a str,
    /// The value as written, without white space around it; folded lines are kept.
    pub value: &'a [u8],
}

impl Headers {
    /// The whole message, from start line to the end of the body.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body as usize..).unwrap_or_default()
    }

    /// The body, sharing the message's memory.
    pub fn body_bytes(&self) -> Bytes {
        self.bytes.slice(self.body as usize..)
    }

    /// All header fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|field| Field {
            name: field.name,
            name_text: std::str::from_utf8(field.name_text(&self.bytes)).unwrap_or_default(),
            value: field.value(&self.bytes),
        })
    }

    /// Whether a field of this name is there.
    pub fn has(&self, name: Name) -> bool {
        self.span(name).is_some()
    }

    /// The value of the first field of this name, as written.
    pub fn raw(&self, name: Name) -> Option<&[u8]> {
        self.span(name).map(|field| field.value(&self.bytes))
    }

    /// The values of all fields of this name, as written and not split at commas.
    pub fn raw_all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.spans(name).map(|field| field.value(&self.bytes))
    }

    /// The value of the first field of this name, known or not; case does not count.
    pub fn raw_other(&self, name: &str) -> Option<&[u8]> {
        match Name::parse(name.as_bytes()) {
            Name::Other => self
                .spans(Name::Other)
                .find(|field| field.name_text(&self.bytes).eq_ignore_ascii_case(name.as_bytes()))
                .map(|field| field.value(&self.bytes)),
            known => self.raw(known),
        }
    }

    /// The values of all fields of this name, split at the commas between values (not those in quotes or
    /// `<>`).
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.value_ranges(name).map(|range| &self.bytes[range])
    }

    pub(crate) fn span(&self, name: Name) -> Option<&FieldSpan> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn spans(&self, name: Name) -> impl Iterator<Item = &FieldSpan> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    pub(crate) fn value_ranges(&self, name: Name) -> impl Iterator<Item = Range<usize>> {
        self.spans(name).flat_map(|field| {
            let base = field.value as usize;
            lex::Values::new(field.value(&self.bytes)).map(move |range| base + range.start..base + range.end)
        })
    }

    fn start_part(&self) -> &[u8] {
        &self.bytes[self.start.start as usize..self.start.end as usize]
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Headers) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Headers {}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Headers").field(&self.bytes).finish()
    }
}
