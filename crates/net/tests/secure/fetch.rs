//! Certificates of signers are fetched from where strangers say: what comes of that is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_net::{Fetcher, Resolver};
use offhook_sip_stack::FetchFailure;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, GOOD};

/// A web server with a certificate for these names, which gives this answer to whatever it is asked.
async fn serve(authority: &Authority, names: &[&str], answer: Vec<u8>) -> SocketAddr {
    let (certificate, key) = authority.sign(names, GOOD);
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 2_048];
                let length = stream.read(&mut asked).await.unwrap_or(0);
                assert!(asked[..length].starts_with(b"GET /sp.pem HTTP/1.1\r\n"));
                _ = stream.write_all(&answer).await;
                _ = stream.shutdown().await;
            });
        }
    });
    address
}

fn fetcher(authority: &Authority, allowed: &[&str]) -> Fetcher {
    let (resolver, _) = Resolver::new(&[], Duration::from_secs(2));
    let allowed = allowed.iter().map(|one| one.parse().unwrap()).collect();
    Fetcher::new(resolver, authority.client(), allowed)
}

#[tokio::test]
async fn what_is_fetched_is_short_whole_and_from_whom_it_should_be() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n{}", "x".repeat(40_000));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(40_000));
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok("hello")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Ok("hello")),
        ("HTTP/1.1 200 OK\r\n\r\nhello", Ok("hello")),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Err(FetchFailure::Status(404))),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Err(FetchFailure::Status(302))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", Err(FetchFailure::Unreachable)),
        ("rubbish\r\n\r\n", Err(FetchFailure::Unreachable)),
        (&long, Err(FetchFailure::TooLong)),
        (&endless, Err(FetchFailure::TooLong)),
    ] {
        let authority = Authority::new();
        let server = serve(&authority, &["127.0.0.1"], answer.into()).await;
        let fetched = fetcher(&authority, &["127.0.0.0/8"]).get(&format!("https://{server}/sp.pem")).await;
        let shown = answer.chars().take(60).collect::<String>();
        assert_eq!(fetched.as_deref().map_err(|failure| *failure), expected.map(str::as_bytes), "{shown}");
    }
}

#[tokio::test]
async fn nobody_else_is_asked() {
    let authority = Authority::new();
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let server = serve(&authority, &["certs.example"], good.to_vec()).await;
    let address = format!("https://{server}/sp.pem");
    // It does not prove its name; nor is it asked where that is not wanted.
    let wrong = fetcher(&authority, &["127.0.0.0/8"]).get(&address).await;
    assert_eq!(wrong, Err(FetchFailure::Unreachable));
    assert_eq!(fetcher(&authority, &[]).get(&address).await, Err(FetchFailure::Refused));
    for odd in ["http://127.0.0.1/sp.pem", "ftp://127.0.0.1/", "/sp.pem", ""] {
        let fetched = fetcher(&authority, &["127.0.0.0/8"]).get(odd).await;
        assert_eq!(fetched, Err(FetchFailure::Refused), "{odd}");
    }
}
