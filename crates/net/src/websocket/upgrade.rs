//! How a client makes a WebSocket of a connection (RFC 6455 §4.1, RFC 7118 §4).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Asks `host` for SIP over WebSocket. Returns what came after the answer.
pub(crate) async fn upgrade<IO>(stream: &mut IO, host: &str) -> io::Result<Vec<u8>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let key = STANDARD.encode(nonce);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(512);
    loop {
        if let Some(head) = read_answer(&answer, &key)? {
            return Ok(answer.split_off(head));
        }
        if answer.len() >= LONGEST_ANSWER {
            return Err(refused("its answer has no end"));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// How long the answer's head is; `None` until it is complete.
fn read_answer(bytes: &[u8], key: &str) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let head = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(refused("it does not speak HTTP")),
    };
    let value = |name: &str| {
        let found = answer.headers.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        found.map(|one| one.value.trim_ascii())
    };
    if answer.code != Some(101) {
        return Err(refused(&format!("HTTP {}", answer.code.unwrap_or_default())));
    }
    if !value("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(refused("it upgrades to something else"));
    }
    if value("Sec-WebSocket-Accept") != Some(accept(key).as_bytes()) {
        return Err(refused("its answer is to another request"));
    }
    if !value("Sec-WebSocket-Protocol").is_some_and(|value| value.eq_ignore_ascii_case(b"sip")) {
        return Err(refused("it does not speak SIP over WebSocket"));
    }
    Ok(Some(head))
}

fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the peer takes no WebSocket: {why}"))
}

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const LONGEST_ANSWER: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the RFC's example.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn answer(status: &str, protocol: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{protocol}\r\n"
        )
    }

    #[test]
    fn only_a_whole_answer_to_this_request_counts() {
        let good = answer("101 Switching Protocols", "Sec-WebSocket-Protocol: sip\r\n");
        for cut in 0..good.len() {
            assert_eq!(read_answer(&good.as_bytes()[..cut], KEY).unwrap(), None);
        }
        assert_eq!(read_answer(format!("{good}more").as_bytes(), KEY).unwrap(), Some(good.len()));
        assert!(read_answer(good.as_bytes(), "another").is_err());
    }

    #[test]
    fn an_answer_without_the_subprotocol_is_refused() {
        assert!(read_answer(answer("101 Switching Protocols", "").as_bytes(), KEY).is_err());
        let error = read_answer(answer("400 Bad Request", "").as_bytes(), KEY).unwrap_err();
        assert!(error.to_string().ends_with("HTTP 400"));
        assert!(read_answer(b"SIP/2.0 200 OK\r\n\r\n", KEY).is_err());
    }
}
