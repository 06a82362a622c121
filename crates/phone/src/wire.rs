//! The phone's sockets: one address for SIP over UDP and TCP, connections over TLS and WebSocket, and pairs of ports for sound.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use offhook_net::udp_batch::SocketOptions;
use offhook_net::{
    Door, Inlet, NetInput, SendFailed, SendFailure, StreamLimits, Streams, TlsClient, TurnStream,
    UdpEndpoint, bind_tcp, bind_udp,
};
use offhook_sip_stack::{ConnectionId, Flow, Transmit, Transport};
use offhook_ua::{Component, MediaTransmit};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::ice::TurnWay;

/// The sockets for SIP.
#[derive(Debug)]
pub(crate) struct Wire {
    udp: UdpEndpoint,
    streams: Streams,
    tls: Option<TlsClient>,
    inlet: Inlet,
    /// Who answers at an address, where that is known by more than the address.
    names: BTreeMap<SocketAddr, String>,
    /// Peers that were asked whether they are there.
    probed: BTreeSet<SocketAddr>,
    /// Whether anything has come at all.
    heard: Arc<AtomicBool>,
}

impl Wire {
    /// Opens UDP and TCP on one address; port 0 finds a free one. TLS connections are opened the way of `tls`.
    pub(crate) fn open(
        local: SocketAddr,
        tls: Option<TlsClient>,
    ) -> Result<(Self, mpsc::Receiver<NetInput>), Failure> {
        let mut attempts = if local.port() == 0 { ATTEMPTS } else { 1 };
        let (udp, tcp) = loop {
            attempts -= 1;
            let udp = bind_udp(local, &SocketOptions::default()).map_err(cannot_open)?;
            match bind_tcp(udp.local_addr()) {
                Ok(tcp) => break (udp, tcp),
                Err(_) if attempts > 0 => {}
                Err(error) => return Err(cannot_open(error)),
            }
        };
        let (inlet, inputs) = Inlet::new(QUEUE, || ());
        let failed = |error: io::Error| Failure::other(format!("the sockets cannot be watched: {error}"));
        let limits = StreamLimits { connections: 64, per_address: 64, ..StreamLimits::default() };
        let streams =
            Streams::start(vec![Door::tcp(tcp)], tls.clone(), limits, inlet.clone()).map_err(failed)?;
        let udp = UdpEndpoint::start(udp, inlet.clone()).map_err(failed)?;
        let heard = Arc::new(AtomicBool::new(false));
        let (names, probed) = (BTreeMap::new(), BTreeSet::new());
        Ok((Self { udp, streams, tls, inlet, names, probed, heard }, inputs))
    }

    /// The same at another address, which knows of its peers what this one knows: on the same port if it is free.
    pub(crate) fn again(&self, ip: IpAddr) -> Result<(Self, mpsc::Receiver<NetInput>), Failure> {
        let open = |port| Self::open(SocketAddr::new(ip, port), self.tls.clone());
        let (mut wire, messages) = open(self.local().port()).or_else(|_| open(0))?;
        wire.names.clone_from(&self.names);
        Ok((wire, messages))
    }

    /// The address that UDP and TCP are bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.udp.local_addr()
    }

    /// Sends a message, or says that its way does not work. What fails later arrives as an input.
    pub(crate) fn send(&mut self, transmit: Transmit) -> Result<(), Flow> {
        let sent = match transmit.flow.transport {
            Transport::Udp => {
                self.probe(&transmit);
                self.udp.send(transmit)
            }
            Transport::Tcp => self.streams.send(transmit),
            Transport::Tls | Transport::Ws | Transport::Wss => {
                let remote = transmit.flow.remote;
                match self.names.get(&remote) {
                    Some(name) => self.streams.expect(remote, name),
                    None => self.streams.expect(remote, &remote.ip().to_string()),
                }
                self.streams.send(transmit)
            }
        };
        sent.map_err(|failed| failed.transmit.flow)
    }

    /// The name by which an address was found: who answers there has to prove it.
    pub(crate) fn expect(&mut self, remote: SocketAddr, name: &str) {
        if self.names.len() < MAX_PROBED {
            self.names.insert(remote, name.to_owned());
        }
    }

    /// Something came: whoever sent it is there.
    pub(crate) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Finds out early that nobody listens at an address, which a socket for many peers is never told.
    fn probe(&mut self, transmit: &Transmit) {
        let silent = !self.heard.load(Ordering::Relaxed);
        if silent && self.probed.len() < MAX_PROBED && self.probed.insert(transmit.flow.remote) {
            tokio::spawn(probe(transmit.clone(), Arc::clone(&self.heard), self.inlet.clone()));
        }
    }

    /// Closes a connection after what was sent on it.
    pub(crate) fn close(&self, connection: ConnectionId) {
        self.streams.close(connection);
    }
}

/// If nothing came for a moment, sends a keep-alive (RFC 5626 §3.5.1) by a socket of its own, and reports it if the
/// peer's system says that the port is closed.
async fn probe(transmit: Transmit, heard: Arc<AtomicBool>, inlet: Inlet) {
    tokio::time::sleep(PROBE_AFTER).await;
    let local = SocketAddr::new(transmit.flow.local.ip(), 0);
    if heard.load(Ordering::Relaxed) {
        return;
    }
    let Ok(socket) = UdpSocket::bind(local).await else { return };
    if socket.connect(transmit.flow.remote).await.is_err() || socket.send(b"\r\n\r\n").await.is_err() {
        return;
    }
    let answer = tokio::time::timeout(PROBE_FOR, socket.recv(&mut [0; 16])).await;
    if let Ok(Err(error)) = answer
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        let failed = SendFailed { transmit, failure: SendFailure::Refused };
        let _ = inlet.deliver(NetInput::SendFailed(failed)).await;
    }
}

fn cannot_open(error: offhook_net::BindError) -> Failure {
    let other =
        if error.source.kind() == io::ErrorKind::AddrInUse { "; give another with --local" } else { "" };
    Failure::other(format!("{error}{other}"))
}

/// A datagram from one of the sound ports.
#[derive(Debug)]
pub(crate) struct MediaInput {
    pub(crate) port: usize,
    pub(crate) component: Component,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Bytes,
}

/// A TURN server that is spoken to by streams.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) way: TurnWay,
    pub(crate) tls: Option<TlsClient>,
}

/// The pairs of ports for RTP and RTCP.
#[derive(Debug)]
pub(crate) struct MediaPorts {
    pairs: Vec<Pair>,
    turn: Option<Arc<Turn>>,
    /// What each pair sends to the TURN server, if that is by streams.
    streams: Vec<TurnStream>,
    receiving: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Pair {
    rtp: Arc<UdpSocket>,
    rtcp: Arc<UdpSocket>,
    local: SocketAddr,
}

impl MediaPorts {
    /// Opens `count` pairs at an address, each an even port and the next one (RFC 3550 §11).
    pub(crate) fn open(
        ip: IpAddr,
        count: usize,
        turn: Option<Arc<Turn>>,
    ) -> io::Result<(Self, mpsc::Receiver<MediaInput>)> {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let mut ports = Self { pairs: Vec::new(), turn, streams: Vec::new(), receiving: Vec::new() };
        for port in 0..count {
            let pair = Pair::open(ip)?;
            if let Some(turn) = ports.turn.clone() {
                let (received, messages) = mpsc::channel(QUEUE);
                let tls = turn.tls.clone().filter(|_| turn.way.is_secure);
                let tls = tls.map(|tls| (tls, turn.way.name.clone()));
                ports.streams.push(TurnStream::new(turn.way.server, pair.local, tls, received));
                let receiving = receive_by_turn(messages, port, turn.way.server, sender.clone());
                ports.receiving.push(tokio::spawn(receiving));
            }
            for (socket, component) in [(&pair.rtp, Component::Rtp), (&pair.rtcp, Component::Rtcp)] {
                let receiving = receive(Arc::clone(socket), port, component, sender.clone());
                ports.receiving.push(tokio::spawn(receiving));
            }
            ports.pairs.push(pair);
        }
        Ok((ports, inputs))
    }

    /// The RTP addresses.
    pub(crate) fn locals(&self) -> impl Iterator<Item = SocketAddr> {
        self.pairs.iter().map(|pair| pair.local)
    }

    /// The address of a socket.
    pub(crate) fn local(&self, port: usize, component: Component) -> Option<SocketAddr> {
        let rtp = self.pairs.get(port)?.local;
        match component {
            Component::Rtp => Some(rtp),
            Component::Rtcp => Some(SocketAddr::new(rtp.ip(), rtp.port() + 1)),
        }
    }

    /// The same at another address.
    pub(crate) fn again(&self, ip: IpAddr) -> io::Result<(Self, mpsc::Receiver<MediaInput>)> {
        Self::open(ip, self.pairs.len(), self.turn.clone())
    }

    /// Sends a datagram. One that the system does not take now is lost, as any may be on its way.
    pub(crate) fn send(&mut self, transmit: &MediaTransmit) {
        let to_turn = self.turn.as_ref().is_some_and(|turn| turn.way.server == transmit.to);
        if to_turn && let Some(stream) = self.streams.get_mut(transmit.port) {
            return stream.send(&transmit.bytes);
        }
        let Some(pair) = self.pairs.get(transmit.port) else { return };
        let socket = match transmit.component {
            Component::Rtp => &pair.rtp,
            Component::Rtcp => &pair.rtcp,
        };
        let _ = socket.try_send_to(&transmit.bytes, transmit.to);
    }
}

impl Drop for MediaPorts {
    fn drop(&mut self) {
        for receiving in &self.receiving {
            receiving.abort();
        }
    }
}

impl Pair {
    fn open(ip: IpAddr) -> io::Result<Self> {
        // Odd ones are kept until a pair is found, so that the system offers others.
        let mut unfit = Vec::new();
        for _ in 0..ATTEMPTS {
            let rtp = bind(SocketAddr::new(ip, 0))?;
            let local = rtp.local_addr()?;
            if local.port() % 2 == 0
                && let Ok(rtcp) = bind(SocketAddr::new(ip, local.port() + 1))
            {
                return Ok(Self { rtp: Arc::new(rtp), rtcp: Arc::new(rtcp), local });
            }
            unfit.push(rtp);
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no two neighbouring ports are free"))
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// What comes by the TURN server is for the port of RTP, as what comes by datagrams is.
async fn receive_by_turn(
    mut messages: mpsc::Receiver<Bytes>,
    port: usize,
    from: SocketAddr,
    inputs: mpsc::Sender<MediaInput>,
) {
    while let Some(bytes) = messages.recv().await {
        if inputs.send(MediaInput { port, component: Component::Rtp, from, bytes }).await.is_err() {
            return;
        }
    }
}

async fn receive(
    socket: Arc<UdpSocket>,
    port: usize,
    component: Component,
    inputs: mpsc::Sender<MediaInput>,
) {
    let mut buffer = [0; 2048];
    loop {
        // An error is of a single peer, by way of ICMP; the socket is as good as before.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if inputs.send(MediaInput { port, component, from, bytes }).await.is_err() {
            return;
        }
    }
}

/// Inputs that may wait for the loop.
const QUEUE: usize = 1024;
/// Before giving up on two neighbouring ports, or one that is free for UDP and TCP.
const ATTEMPTS: usize = 64;
/// Peers that are asked whether they are there.
const MAX_PROBED: usize = 64;
/// Most answers are there by then.
const PROBE_AFTER: Duration = Duration::from_millis(250);
/// For a system to say that a port is closed.
const PROBE_FOR: Duration = Duration::from_secs(1);
