//! The listeners for HTTP and HTTPS, and SIP that comes in by them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use offhook_net::{BindError, Streams, TlsServer, bind_tcp};
use offhook_sip_stack::Transport;
use offhook_web::{Front, Io, Reply, Secure, Sip, Site, Upgraded};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Settings;
use crate::start::{StartError, system, taken};

/// An HTTP listener at work.
pub(crate) type WebTask = tokio::task::JoinHandle<io::Result<()>>;

/// What all listeners have in common.
pub(crate) struct Sites<'a> {
    pub(crate) site: &'a Site,
    pub(crate) streams: &'a Streams,
    pub(crate) tls: &'a TlsServer,
    pub(crate) end: &'a watch::Receiver<bool>,
}

impl Sites<'_> {
    /// Begins to serve. Returns the addresses with their real ports.
    pub(crate) fn serve(
        &self,
        listeners: Vec<TcpListener>,
        is_secure: bool,
    ) -> Result<(Vec<SocketAddr>, Vec<WebTask>), StartError> {
        let mut addresses = Vec::with_capacity(listeners.len());
        let mut tasks = Vec::with_capacity(listeners.len());
        for listener in listeners {
            addresses.push(listener.local_addr().map_err(system("a listener has no address"))?);
            let listener = tokio::net::TcpListener::from_std(listener);
            let listener = listener.map_err(system("a listener cannot be watched"))?;
            let front = Front {
                site: self.site.clone(),
                secure: is_secure.then(|| Arc::new(Handshake(self.tls.clone())) as Arc<dyn Secure>),
                sip: Arc::new(Browsers(self.streams.clone())),
            };
            let mut end = self.end.clone();
            let ended = async move {
                // An error means that the server is gone.
                let _ = end.wait_for(|end| *end).await;
            };
            tasks.push(tokio::spawn(offhook_web::serve(listener, front, ended)));
        }
        Ok((addresses, tasks))
    }
}

struct Handshake(TlsServer);

impl Secure for Handshake {
    fn shake(&self, stream: TcpStream) -> Reply<'_, io::Result<Box<dyn Io>>> {
        Box::pin(async move { Ok(Box::new(self.0.accept(stream).await?) as Box<dyn Io>) })
    }
}

/// Hands connections of browsers over to those of SIP.
struct Browsers(Streams);

impl Sip for Browsers {
    fn take(&self, upgraded: Upgraded) {
        let Upgraded { io, early, is_secure, local, remote } = upgraded;
        let transport = if is_secure { Transport::Wss } else { Transport::Ws };
        self.0.adopt(io, early, transport, (local, remote));
    }
}

/// The listeners for HTTP.
pub(crate) fn open_http(settings: &Settings) -> Result<Vec<TcpListener>, StartError> {
    open_all(&settings.http, settings.http_is_named).map_err(taken("web.http"))
}

/// Those for HTTPS.
pub(crate) fn open_https(settings: &Settings) -> Result<Vec<TcpListener>, StartError> {
    open_all(&settings.https, settings.https_is_named).map_err(taken("web.listen"))
}

fn open_all(addresses: &[SocketAddr], is_named: bool) -> Result<Vec<TcpListener>, BindError> {
    addresses.iter().map(|address| open(*address, is_named)).collect()
}

/// A listener. Where no address was named, the next free port will do.
pub(crate) fn open(wanted: SocketAddr, is_named: bool) -> Result<TcpListener, BindError> {
    let mut opened = bind_tcp(wanted);
    let others =
        (1..MORE_PORTS).filter_map(|step| wanted.port().checked_add(step)).chain([0]).filter(|_| !is_named);
    for port in others {
        match &opened {
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => {
                opened = bind_tcp(SocketAddr::new(wanted.ip(), port));
            }
            _ => break,
        }
    }
    opened
}

const MORE_PORTS: u16 = 20;
