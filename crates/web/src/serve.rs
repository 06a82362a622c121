//! HTTP and HTTPS connections, with limits on their number and their patience.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use crate::crowd::Crowd;
use crate::site::router;
use crate::upgrade::{self, Ends, Sip};
use crate::{Problem, Reply, Site};

/// The bytes of a connection, whatever lies below.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The handshake that comes before HTTPS.
pub trait Secure: Send + Sync {
    /// Carries it out, for as long as the peer wants.
    fn shake(&self, stream: TcpStream) -> Reply<'_, io::Result<Box<dyn Io>>>;
}

/// What is served on a listener, and how.
#[derive(Clone)]
pub struct Front {
    /// The site.
    pub site: Site,
    /// HTTPS, where there is one.
    pub secure: Option<Arc<dyn Secure>>,
    /// Who takes SIP over WebSocket.
    pub sip: Arc<dyn Sip>,
}

/// Serves until `end`; requests that have begun are finished.
///
/// # Errors
/// None for now: a listener that fails is tried again.
pub async fn serve(
    listener: TcpListener,
    front: Front,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (crowd, routes) = (Crowd::default(), router(front.site.clone()));
    // Each connection holds a receiver; when all are gone, all have ended.
    let (ending, told) = watch::channel(false);
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, remote)) => match crowd.enter(remote.ip()) {
                Some(place) => {
                    let (front, routes, told) = (front.clone(), routes.clone(), told.clone());
                    tokio::spawn(async move {
                        let _place = place;
                        connection(stream, remote, front, routes, told).await;
                    });
                }
                None => tracing::debug!(%remote, "too many HTTP connections: turned away"),
            },
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors or memory: it would fail again at once.
                tracing::warn!(%error, "accept");
                sleep(REST).await;
            }
        }
    }
    drop((listener, told));
    let _ = ending.send(true);
    ending.closed().await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    front: Front,
    routes: Router,
    mut told: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    // It only improves matters.
    let _ = stream.set_nodelay(true);
    let ends = Ends { local, remote, is_secure: front.secure.is_some() };
    let io: Box<dyn Io> = match &front.secure {
        None => Box::new(stream),
        Some(secure) => match timeout(HANDSHAKE, secure.shake(stream)).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return tracing::debug!(%remote, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(%remote, "TLS handshake took too long"),
        },
    };
    let service = service_fn(move |request| answer(request, routes.clone(), Arc::clone(&front.sip), ends));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(MOST_BUFFERED);
    let mut serving = pin!(http.serve_connection(TokioIo::new(io), service).with_upgrades());
    let served = tokio::select! {
        served = &mut serving => served,
        () = ended(&mut told) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%remote, %error, "HTTP connection ended");
    }
}

/// When the listener takes no more; an error means that it is gone.
async fn ended(told: &mut watch::Receiver<bool>) {
    let _ = told.wait_for(|ending| *ending).await;
}

async fn answer(
    request: Request<Incoming>,
    mut routes: Router,
    sip: Arc<dyn Sip>,
    ends: Ends,
) -> Result<Response<Body>, Infallible> {
    if upgrade::is_wanted(request.headers()) {
        return Ok(upgrade::upgrade(request, sip, ends));
    }
    match timeout(ANSWER, routes.call(request.map(Body::new))).await {
        Ok(answered) => answered,
        Err(_) => {
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end");
            Ok(problem.into_response())
        }
    }
}

const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the head of a request, also of the next one on a connection.
const HEADER: Duration = Duration::from_secs(30);
/// From the head of a request to that of its answer.
const ANSWER: Duration = Duration::from_secs(120);
const MOST_BUFFERED: usize = 64 << 10;
const REST: Duration = Duration::from_millis(100);
