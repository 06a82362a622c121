//! TLS, HTTPS and WebSocket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use futures_util::{SinkExt as _, StreamExt as _};
use offhook_net::{Door, Inlet, NetInput, Roots, StreamLimits, Streams, TlsClient, read_certificates};
use offhook_server::{RunFile, Server, Transport};
use offhook_sip_stack::{Flow, Transmit};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::client::{server, settings};

const OPTIONS: &str = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/WS browser.invalid;branch=z9hG4bK1\r\n\
     Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: 1\r\n\
     CSeq: 1 OPTIONS\r\n\r\n";

fn trusting(data: &Path) -> TlsClient {
    let ca = RunFile::read(data).unwrap().ca.unwrap();
    TlsClient::new(Roots::none().and(read_certificates(&ca).unwrap()).unwrap(), None).unwrap()
}

/// Asks over TLS or WSS and returns the answer.
fn ask(server: &Server, data: &Path, transport: Transport, name: &str) -> Result<String, String> {
    let remote = match transport {
        Transport::Wss => server.local_https().unwrap(),
        _ => server.local_sip(transport).unwrap(),
    };
    let request = OPTIONS.replace("SIP/2.0/WS", &format!("SIP/2.0/{}", transport.via_name()));
    let request = request.replace("CSeq", "Content-Length: 0\r\nCSeq");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (inlet, mut inputs) = Inlet::new(8, || {});
        let limits = StreamLimits::default();
        let streams = Streams::start(Vec::<Door>::new(), Some(trusting(data)), limits, inlet).unwrap();
        streams.expect(remote, name);
        let flow = Flow { transport, local: "0.0.0.0:0".parse().unwrap(), remote, connection: None };
        streams.send(Transmit { flow, bytes: request.into() }).unwrap();
        loop {
            match inputs.recv().await.unwrap() {
                NetInput::Message { bytes, .. } => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                NetInput::SendFailed(failed) => return Err(failed.failure.to_string()),
                _ => {}
            }
        }
    })
}

#[test]
fn tls_and_wss_show_a_certificate_of_our_own_for_every_name() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    for transport in [Transport::Tls, Transport::Wss] {
        for name in ["example.com", "127.0.0.1", "localhost"] {
            let answer = ask(&server, data.path(), transport, name).unwrap();
            assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        }
        let refused = ask(&server, data.path(), transport, "example.net").unwrap_err();
        assert_eq!(refused, "the certificate is for other names");
    }
    server.stop();
}

#[test]
fn a_websocket_for_sip_is_taken_on_any_path() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let url = server.urls()[0].replace("http:", "ws:");
    let address = url.trim_start_matches("ws://").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for path in ["/", "/ws", "/any/path?and=query"] {
            let mut request = format!("{url}{path}").into_client_request().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await.unwrap();
            assert_eq!(answer.headers()["sec-websocket-protocol"], "sip");
            socket.send(Message::text(OPTIONS)).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            assert!(answer.starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/WS browser.invalid"), "{answer}");
            socket.close(None).await.unwrap();
        }
    });
    server.stop();
}

#[test]
fn a_message_of_a_megabyte_by_websocket_closes_it_with_the_reason_and_others_go_on() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let url = server.urls()[0].replace("http:", "ws:");
    let address = url.trim_start_matches("ws://").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect = || async {
            let mut request = format!("{url}/").into_client_request().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            tokio_tungstenite::client_async(request, stream).await.unwrap().0
        };
        let (mut large, mut other) = (connect().await, connect().await);
        let message = OPTIONS.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(66_000)));
        large.send(Message::text(message)).await.unwrap();
        let closed = large.next().await.unwrap().unwrap();
        let Message::Close(Some(frame)) = closed else { panic!("{closed:?}") };
        assert_eq!(u16::from(frame.code), 1009, "too big (RFC 6455 §7.4.1)");
        other.send(Message::text(OPTIONS)).await.unwrap();
        let answer = other.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    });
    server.stop();
}

#[test]
fn a_websocket_for_something_else_is_refused_with_a_reason_and_http_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let address = server.urls()[0].trim_start_matches("http://").to_owned();
    let ask = |more: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /health/live HTTP/1.1\r\nHost: {address}\r\n{more}Connection: Upgrade, close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n";
    let refused = ask(upgrade);
    assert!(refused.starts_with("HTTP/1.1 400 Bad Request"), "{refused}");
    assert!(refused.contains("only SIP is spoken here"), "{refused}");
    assert!(ask(&upgrade.replace("13", "8")).contains("sec-websocket-version: 13"));
    let plain = ask("");
    assert!(plain.starts_with("HTTP/1.1 200 OK") && plain.ends_with("ok\n"), "{plain}");
    server.stop();
}

#[test]
fn files_that_are_named_are_shown_and_changes_take_effect_when_told() {
    let data = tempfile::tempdir().unwrap();
    let first = server(data.path(), &[]);
    first.stop();
    let file = |name: &str| data.path().join("tls").join(name).display().to_string();
    let copy = |name: &str| {
        std::fs::copy(file(&format!("server.{name}")), data.path().join(format!("named.{name}"))).unwrap();
        data.path().join(format!("named.{name}")).display().to_string()
    };
    let (certificate, key) = (copy("pem"), copy("key"));
    let named = [("sip.certificate", certificate.as_str()), ("sip.key", key.as_str())];
    let second = server(data.path(), &named);
    let listed = |server: &Server| {
        let listed = server.ask("GET", "/api/v1/certificates", Vec::new()).unwrap();
        String::from_utf8(listed).unwrap()
    };
    assert!(listed(&second).contains("named.pem") && !listed(&second).contains("ca.pem"));
    assert_eq!(second.ask("POST", "/api/v1/certificates/renew", Vec::new()).unwrap_err().status, 409);
    std::fs::write(&key, "nonsense").unwrap();
    let wrong = second.ask("POST", "/api/v1/config/reload", Vec::new()).unwrap_err();
    assert!(wrong.detail.contains("named.key: no private key in PEM"), "{}", wrong.detail);
    copy("key");
    second.ask("POST", "/api/v1/config/reload", Vec::new()).unwrap();
    second.stop();

    std::fs::write(&key, "nonsense").unwrap();
    let error = Server::start(settings(data.path(), &named)).err().unwrap().to_string();
    assert!(error.contains("named.key: no private key in PEM"), "{error}");
}

#[test]
fn a_renewed_certificate_is_shown_at_once() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let prints = |path: &str, method: &str| {
        let listed = server.ask(method, path, Vec::new()).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        let all = listed["certificates"].as_array().unwrap().clone();
        let print = |purpose: &str| {
            all.iter().find(|one| one["purpose"] == purpose).unwrap()["sha256"].as_str().unwrap().to_owned()
        };
        (print("authority"), print("sip"), print("web"))
    };
    let before = prints("/api/v1/certificates", "GET");
    let after = prints("/api/v1/certificates/renew", "POST");
    assert_eq!(before.0, after.0);
    assert!(before.1 != after.1 && after.1 == after.2);
    assert!(ask(&server, data.path(), Transport::Tls, "example.com").is_ok());
    server.stop();
}
