//! Fetches small files over HTTPS from addresses that strangers name: certificates of those who sign calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use offhook_media::turn::PeerPolicy;
use offhook_sip_stack::FetchFailure;
use offhook_sip_stack::locate::{Question, Records};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::{Resolver, TlsClient};

/// Fetches, a few at a time. Cheap to clone; clones share how many that are.
#[derive(Clone)]
pub struct Fetcher {
    resolver: Resolver,
    tls: TlsClient,
    policy: Arc<PeerPolicy>,
    fetching: Arc<Semaphore>,
    runtime: Handle,
}

impl Fetcher {
    /// Finds servers by this resolver, and knows them by these authorities. What is in networks that are not for everybody
    /// (RFC 1918 and the like) is not asked, unless it is in one of `allowed`: else strangers would see through our eyes. Must
    /// be called within a tokio runtime, in which it works.
    pub fn new(resolver: Resolver, tls: TlsClient, allowed: Vec<IpNet>) -> Self {
        let policy = PeerPolicy { own: Vec::new(), open: Vec::new(), shut: Vec::new(), allowed };
        let fetching = Arc::new(Semaphore::new(FETCHING));
        Self { resolver, tls, policy: Arc::new(policy), fetching, runtime: Handle::current() }
    }

    /// Has `then` told what is there, on a thread of the runtime. Returns at once.
    pub fn fetch(&self, address: String, then: impl FnOnce(Result<Bytes, FetchFailure>) + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.fetching).try_acquire_owned() else {
            return then(Err(FetchFailure::Busy));
        };
        let this = self.clone();
        self.runtime.spawn(async move {
            let answer = this.get(&address).await;
            if let Err(failure) = &answer {
                tracing::debug!(address, %failure, "fetching");
            }
            drop(permit);
            then(answer);
        });
    }

    /// What is at an `https` address, if it is not more than 32 KiB. No redirection is followed.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn get(&self, address: &str) -> Result<Bytes, FetchFailure> {
        let uri: Uri = address.parse().map_err(|_| FetchFailure::Refused)?;
        if uri.scheme_str() != Some("https") {
            return Err(FetchFailure::Refused);
        }
        tokio::time::timeout(PATIENCE, self.get_now(&uri)).await.unwrap_or(Err(FetchFailure::Silent))
    }

    async fn get_now(&self, uri: &Uri) -> Result<Bytes, FetchFailure> {
        let unreachable = |_| FetchFailure::Unreachable;
        let host = uri.host().ok_or(FetchFailure::Refused)?;
        let stream = self.connect(host, uri.port_u16().unwrap_or(443)).await?;
        let bare = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(bare).map_err(|_| FetchFailure::Refused)?;
        let stream = self.tls.connect_host(stream, name).await.map_err(|_| FetchFailure::Unreachable)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let request = Request::get(path)
            .header(HOST, authority)
            .header(ACCEPT, "application/pem-certificate-chain, application/pkix-cert, */*")
            .header(USER_AGENT, concat!("Offhook/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchFailure::Refused)?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(unreachable)?;
            match response.status().as_u16() {
                200 => {}
                code => return Err(FetchFailure::Status(code)),
            }
            match Limited::new(response.into_body(), LONGEST).collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(FetchFailure::TooLong),
                Err(_) => Err(FetchFailure::Unreachable),
            }
        };
        tokio::pin!(answered, connection);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            // The connection may end before what came by it has been read.
            _ = &mut connection => answered.await,
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchFailure> {
        let found = self.resolver.answer(&Question::Addresses(host.to_owned())).await;
        let Ok(Records::Addresses(found)) = found else { return Err(FetchFailure::NoSuchHost) };
        let mut failure = FetchFailure::Refused;
        for address in found.iter().map(|one| SocketAddr::new(one.remote, port)).take(TRIED) {
            if self.policy.check(address).is_err() {
                continue;
            }
            match tokio::time::timeout(PATIENCE / 3, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(_)) => failure = FetchFailure::Unreachable,
                Err(_) => failure = FetchFailure::Silent,
            }
        }
        Err(failure)
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

/// Files that are being fetched at a time.
const FETCHING: usize = 64;
/// A caller waits for as long as that.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one server.
const TRIED: usize = 4;
/// A certificate with its chain has about 4 KiB.
const LONGEST: usize = 32 * 1024;
