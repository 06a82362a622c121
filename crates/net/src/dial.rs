//! What comes between a TCP connection that we opened and the first message.

use std::io;
use std::sync::Arc;

use offhook_sip_stack::Transport;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::TlsClient;
use crate::connection::ByteStream;
use crate::websocket::upgrade;

/// How to go on once connected.
pub(crate) struct Dial {
    pub(crate) transport: Transport,
    pub(crate) tls: Option<TlsClient>,
    /// Who the peer has to be.
    pub(crate) name: Option<Arc<str>>,
}

/// A connection that is ready for messages.
pub(crate) enum Opened {
    Plain(TcpStream),
    Tls(Box<dyn ByteStream>),
    WebSocket(Box<dyn ByteStream>, Vec<u8>),
}

impl Dial {
    pub(crate) async fn over(self, mut stream: TcpStream) -> io::Result<Opened> {
        let port = stream.peer_addr()?.port();
        match self.transport {
            Transport::Udp | Transport::Tcp => Ok(Opened::Plain(stream)),
            Transport::Tls => {
                let (tls, name) = self.secure()?;
                Ok(Opened::Tls(Box::new(tls.connect(stream, name).await?)))
            }
            Transport::Ws => {
                let early = upgrade(&mut stream, &self.host(port)).await?;
                Ok(Opened::WebSocket(Box::new(stream), early))
            }
            Transport::Wss => {
                let host = self.host(port);
                let (tls, name) = self.secure()?;
                let mut stream = tls.connect_host(stream, name).await?;
                let early = upgrade(&mut stream, &host).await?;
                Ok(Opened::WebSocket(Box::new(stream), early))
            }
        }
    }

    fn secure(self) -> io::Result<(TlsClient, ServerName<'static>)> {
        let name = self.name.as_deref().map(|name| name.trim_matches(['[', ']']).to_owned());
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        match (self.tls, name) {
            (Some(tls), Some(name)) => Ok((tls, name)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// As the HTTP header has it.
    fn host(&self, port: u16) -> String {
        let name = self.name.as_deref().unwrap_or("localhost");
        let bare = name.contains(':') && !name.starts_with('[');
        let default = self.transport.default_port();
        match (bare, port == default) {
            (true, true) => format!("[{name}]"),
            (true, false) => format!("[{name}]:{port}"),
            (false, true) => name.to_owned(),
            (false, false) => format!("{name}:{port}"),
        }
    }
}
