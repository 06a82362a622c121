//! SIP over WebSocket: the HTTP request with which it begins (RFC 6455 §4.2, RFC 7118 §4).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};

use crate::{Io, Problem};

/// Who takes connections over that have become WebSockets for SIP.
pub trait Sip: Send + Sync {
    /// Takes one. It must not wait.
    fn take(&self, upgraded: Upgraded);
}

/// A connection on which no HTTP is spoken any more.
pub struct Upgraded {
    /// Its bytes.
    pub io: Box<dyn Io>,
    /// What came after the request.
    pub early: Vec<u8>,
    /// Whether there is TLS below.
    pub is_secure: bool,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) is_secure: bool,
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    lists(headers, &header::UPGRADE, "websocket")
}

/// Makes a WebSocket of the connection, or says why not.
pub(crate) fn upgrade(mut request: Request<Incoming>, sip: Arc<dyn Sip>, ends: Ends) -> Response<Body> {
    let accept = match check(request.method(), request.headers()) {
        Ok(accept) => accept,
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UPGRADE_REQUIRED {
                let version = axum::http::HeaderValue::from_static("13");
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
            }
            return response;
        }
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // It fails when the peer is gone already.
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Box<dyn Io>>>() else { return };
        let Ends { local, remote, is_secure } = ends;
        let (io, early) = (parts.io.into_inner(), parts.read_buf.to_vec());
        sip.take(Upgraded { io, early, is_secure, local, remote });
    });
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_PROTOCOL, SIP),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The value of Sec-WebSocket-Accept.
fn check(method: &Method, headers: &HeaderMap) -> Result<String, Problem> {
    let bad = |what: &str| Problem::bad(format!("no WebSocket: {what}"));
    if method != Method::GET {
        return Err(bad("it begins with GET (RFC 6455 §4.1)"));
    }
    if !lists(headers, &header::CONNECTION, "upgrade") {
        return Err(bad("the Connection header does not say Upgrade"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).map(|version| version.as_bytes()) != Some(b"13") {
        let what = "no WebSocket: only version 13 is spoken here (RFC 6455 §4.4)";
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, what));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes().trim_ascii());
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
    let key = key.ok_or_else(|| bad("Sec-WebSocket-Key must be 16 octets in Base64"))?;
    if !lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, SIP) {
        return Err(bad("only SIP is spoken here: ask for the subprotocol \"sip\" (RFC 7118 §4)"));
    }
    Ok(STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize()))
}

/// Whether a header is a list that has this word, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut words =
        headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

const SIP: &str = "sip";
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(more: &[(&'static str, &'static str)]) -> HeaderMap {
        let usual = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "chat, sip"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in usual.iter().chain(more) {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_proper_request_is_accepted_with_the_proof_of_the_rfc() {
        assert!(is_wanted(&headers(&[])));
        assert_eq!(check(&Method::GET, &headers(&[])).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        for (name, value, status, word) in [
            ("sec-websocket-protocol", "chat", 400, "subprotocol"),
            ("sec-websocket-version", "8", 426, "version 13"),
            ("sec-websocket-key", "short", 400, "Sec-WebSocket-Key"),
            ("connection", "close", 400, "Connection"),
        ] {
            let problem = check(&Method::GET, &headers(&[(name, value)])).unwrap_err();
            assert_eq!(problem.status, status);
            assert!(problem.detail.contains(word), "{}", problem.detail);
        }
        assert_eq!(check(&Method::POST, &headers(&[])).unwrap_err().status, 400);
        assert!(!is_wanted(&headers(&[("upgrade", "h2c")])));
    }
}
