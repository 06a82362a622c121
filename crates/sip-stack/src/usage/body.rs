//! `Body`: the content of a message, opaque here.

use std::fmt;

use bytes::Bytes;
use offhook_sip::{Headers, Name, RequestBuilder, ResponseBuilder};

/// A body with its type. A session description may hold keys (RFC 4568), so its bytes are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Content-Type as written; empty if the message names none.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({:?}, {} octets)", self.content_type, self.bytes.len())
    }
}

impl Body {
    /// A session description.
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: SDP.to_owned(), bytes: bytes.into() }
    }

    /// The body of a message, in memory of its own; none if it is empty.
    pub fn of(message: &Headers) -> Option<Self> {
        let body = message.body();
        if body.is_empty() {
            return None;
        }
        let content_type = message.raw(Name::ContentType).map(String::from_utf8_lossy).unwrap_or_default();
        Some(Self { content_type: content_type.into_owned(), bytes: Bytes::copy_from_slice(body) })
    }

    /// Whether it is a session description, as far as its type tells.
    pub fn is_sdp(&self) -> bool {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(SDP)
    }

    pub(super) fn in_request(body: Option<&Self>, builder: RequestBuilder) -> RequestBuilder {
        match body {
            Some(body) => builder.body(&body.content_type, &body.bytes),
            None => builder,
        }
    }

    pub(super) fn in_response(body: Option<&Self>, builder: ResponseBuilder) -> ResponseBuilder {
        match body {
            Some(body) => builder.body(&body.content_type, &body.bytes),
            None => builder,
        }
    }
}

const SDP: &str = "application/sdp";
