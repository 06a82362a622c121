//! The task that knows every connection and passes each message to the right one. It waits for none of them.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use offhook_sip_stack::{ConnectionId, Flow, Transmit, Transport};
use offhook_udp_batch::canonical;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{Connection, cost};
use crate::streams::{Command, Shared};
use crate::{Inlet, NetInput, SendFailed, SendFailure, StreamLimits};

/// All connections.
pub(crate) struct Switchboard {
    limits: StreamLimits,
    inlet: Inlet,
    shared: Arc<Shared>,
    connections: HashMap<ConnectionId, Line>,
    /// Connections that take messages for an address, the newest last.
    by_remote: HashMap<SocketAddr, Vec<ConnectionId>>,
    /// How many connections came from each network.
    accepted_from: HashMap<IpAddr, usize>,
    /// Failures that wait for room in the inlet.
    reports: VecDeque<SendFailed>,
    tasks: JoinSet<()>,
    notices: mpsc::Sender<Notice>,
    noticed: mpsc::Receiver<Notice>,
}

/// What connections and listeners tell the switchboard.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A peer opened a connection.
    Accepted(TcpStream, SocketAddr),
    /// A connection that we opened stands, from this address of ours.
    Opened(ConnectionId, SocketAddr),
    /// Only messages that name the connection may still take it.
    Ending(ConnectionId),
    /// The connection's task is at its end.
    Ended(ConnectionId),
}

/// A connection as the switchboard knows it.
struct Line {
    remote: SocketAddr,
    /// Our address; while connecting, the one that was asked for.
    local: Option<IpAddr>,
    /// None once it is to be closed.
    queue: Option<mpsc::UnboundedSender<Box<Transmit>>>,
    queued: Arc<AtomicUsize>,
    cut: Arc<Notify>,
    /// Where it is counted in `accepted_from`.
    accepted_from: Option<IpAddr>,
}

impl Switchboard {
    pub(crate) fn new(limits: StreamLimits, inlet: Inlet, shared: Arc<Shared>) -> Self {
        let (notices, noticed) = mpsc::channel(NOTICES);
        Self {
            limits,
            inlet,
            shared,
            connections: HashMap::new(),
            by_remote: HashMap::new(),
            accepted_from: HashMap::new(),
            reports: VecDeque::new(),
            tasks: JoinSet::new(),
            notices,
            noticed,
        }
    }

    pub(crate) async fn run(
        mut self,
        listeners: Vec<TcpListener>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut listening = JoinSet::new();
        for listener in listeners {
            listening.spawn(listen(listener, self.notices.clone()));
        }
        let done = self.serve(&mut commands).await;
        listening.shutdown().await;
        // A connection that cannot report its end, or write its last message, is cut off.
        let _ = timeout(self.limits.write, self.finish()).await;
        self.tasks.shutdown().await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    /// Until it is asked to stop, or nobody is left to serve. Returns whom to tell that all is closed.
    async fn serve(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let inlet = self.inlet.clone();
        loop {
            tokio::select! {
                command = commands.recv(), if self.reports.len() < REPORTS => match command {
                    Some(Command::Send(transmit)) => {
                        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                        self.send(transmit);
                    }
                    Some(Command::Close(id)) => self.close(id),
                    Some(Command::Shutdown(done)) => return Some(done),
                    None => return None,
                },
                Some(notice) = self.noticed.recv() => self.notice(notice),
                Some(_) = self.tasks.join_next() => {}
                room = inlet.room(), if !self.reports.is_empty() => match room {
                    Ok(room) => if let Some(failed) = self.reports.pop_front() {
                        room.fill(failed);
                    },
                    Err(crate::Gone) => return None,
                },
            }
        }
    }

    async fn finish(&mut self) {
        for line in self.connections.values_mut() {
            line.queue = None;
        }
        while let Some(failed) = self.reports.pop_front() {
            let _ = self.inlet.deliver(NetInput::SendFailed(failed)).await;
        }
        while !self.connections.is_empty() {
            match self.noticed.recv().await {
                Some(Notice::Ended(id)) => self.ended(id),
                Some(Notice::Accepted(..) | Notice::Opened(..) | Notice::Ending(_)) => {}
                None => return,
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Accepted(stream, remote) => {
                if let Err(error) = self.accept(stream, canonical(remote)) {
                    tracing::debug!(%remote, %error, "connection turned away");
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
            Notice::Opened(id, local) => {
                if let Some(line) = self.connections.get_mut(&id) {
                    line.local = Some(local.ip());
                }
            }
            Notice::Ending(id) => self.unlist(id),
            Notice::Ended(id) => self.ended(id),
        }
    }

    fn accept(&mut self, stream: TcpStream, remote: SocketAddr) -> io::Result<()> {
        let network = network(remote.ip());
        let count = self.accepted_from.get(&network).copied().unwrap_or(0);
        if self.connections.len() >= self.limits.connections || count >= self.limits.per_address {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let local = canonical(stream.local_addr()?);
        self.accepted_from.insert(network, count + 1);
        self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        let connection = self.list(remote, Some(local.ip()), Some(network));
        let flow = Flow { transport: Transport::Tcp, local, remote, connection: Some(connection.id) };
        self.tasks.spawn(connection.accepted(stream, flow));
        Ok(())
    }

    fn send(&mut self, transmit: Transmit) {
        let flow = transmit.flow;
        let asked = (!flow.local.ip().is_unspecified()).then(|| flow.local.ip().to_canonical());
        if flow.transport != Transport::Tcp || asked.is_some_and(|ip| ip.is_ipv4() != flow.remote.is_ipv4()) {
            self.fail(transmit, SendFailure::Unsupported);
        } else if let Some(id) = flow.connection.or_else(|| self.open_to(flow.remote, asked)) {
            self.pass(id, transmit);
        } else if self.connections.len() >= self.limits.connections {
            self.fail(transmit, SendFailure::TooManyConnections);
        } else {
            let connection = self.list(flow.remote, asked, None);
            let id = connection.id;
            self.tasks.spawn(connection.connecting(flow.remote, asked));
            self.pass(id, transmit);
        }
    }

    fn open_to(&self, remote: SocketAddr, asked: Option<IpAddr>) -> Option<ConnectionId> {
        let fits = |id: &&ConnectionId| {
            self.connections.get(id).is_some_and(|line| {
                let open = line.queue.as_ref().is_some_and(|queue| !queue.is_closed());
                open && (asked.is_none() || asked == line.local)
            })
        };
        self.by_remote.get(&remote)?.iter().rev().find(fits).copied()
    }

    /// Hands a message to its connection, or cuts off one that has too much waiting.
    fn pass(&mut self, id: ConnectionId, transmit: Transmit) {
        let Some(line) = self.connections.get_mut(&id) else {
            return self.fail(transmit, SendFailure::ConnectionLost);
        };
        let Some(queue) = &line.queue else { return self.fail(transmit, SendFailure::ConnectionLost) };
        let cost = cost(&transmit);
        if line.queued.fetch_add(cost, Ordering::Relaxed) + cost > self.limits.waiting_bytes {
            line.queue = None;
            line.cut.notify_one();
            self.unlist(id);
            self.fail(transmit, SendFailure::Full);
        } else if let Err(error) = queue.send(Box::new(transmit)) {
            self.fail(*error.0, SendFailure::ConnectionLost);
        }
    }

    fn close(&mut self, id: ConnectionId) {
        self.unlist(id);
        if let Some(line) = self.connections.get_mut(&id) {
            line.queue = None;
        }
    }

    /// Makes room for a new connection.
    fn list(
        &mut self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        accepted_from: Option<IpAddr>,
    ) -> Connection {
        let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (sender, queue) = mpsc::unbounded_channel();
        let (queued, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        self.by_remote.entry(remote).or_default().push(id);
        let line = Line {
            remote,
            local,
            queue: Some(sender),
            queued: Arc::clone(&queued),
            cut: Arc::clone(&cut),
            accepted_from,
        };
        self.connections.insert(id, line);
        self.shared.open.store(self.connections.len() as u64, Ordering::Relaxed);
        let (limits, inlet, notices) = (self.limits, self.inlet.clone(), self.notices.clone());
        Connection { id, limits, inlet, queue, queued, cut, notices }
    }

    /// No longer chooses this connection by its address.
    fn unlist(&mut self, id: ConnectionId) {
        let Some(line) = self.connections.get(&id) else { return };
        if let Some(ids) = self.by_remote.get_mut(&line.remote) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_remote.remove(&line.remote);
            }
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.unlist(id);
        let Some(line) = self.connections.remove(&id) else { return };
        self.shared.open.store(self.connections.len() as u64, Ordering::Relaxed);
        if let Some(network) = line.accepted_from
            && let Some(count) = self.accepted_from.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.accepted_from.remove(&network);
            }
        }
    }

    fn fail(&mut self, transmit: Transmit, failure: SendFailure) {
        self.reports.push_back(SendFailed { transmit, failure });
    }
}

/// Accepts connections. Where many come, all that wait are taken together and the rest gather for a millisecond: woken for
/// each of them, it could not follow.
async fn listen(listener: TcpListener, notices: mpsc::Sender<Notice>) {
    let (mut window, mut accepted) = (Instant::now(), 0);
    loop {
        let mut next = listener.accept().await;
        loop {
            match next {
                Ok((stream, remote)) => {
                    accepted += 1;
                    if notices.send(Notice::Accepted(stream, remote)).await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors or memory: it would fail again at once.
                    tracing::warn!(%error, "accept");
                    sleep(Duration::from_millis(100)).await;
                    break;
                }
            }
            match poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
                Poll::Ready(more) => next = more,
                Poll::Pending => break,
            }
        }
        if accepted >= MANY {
            sleep(Duration::from_millis(1)).await;
        }
        if window.elapsed() >= Duration::from_millis(10) {
            (window, accepted) = (Instant::now(), 0);
        }
    }
}

/// What counts as one peer: an IPv4 address, or the /64 that one IPv6 user has to choose addresses from.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
const NOTICES: usize = 256;
/// Connections within 10 ms.
const MANY: usize = 20;
/// Failures that may wait for the inlet before no more messages are taken.
const REPORTS: usize = 1_024;
