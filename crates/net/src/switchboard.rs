//! The task that knows every connection and passes each message to the right one. It waits for none of them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use offhook_sip_stack::{ConnectionId, Flow, Transmit, Transport};
use offhook_udp_batch::canonical;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::{ByteStream, Connection, cost};
use crate::dial::Dial;
use crate::door::{self, OpenDoor};
use crate::streams::{Command, Shared};
use crate::{Inlet, NetInput, SendFailed, SendFailure, StreamLimits, TlsClient};

/// All connections.
pub(crate) struct Switchboard {
    limits: Arc<StreamLimits>,
    tls: Option<TlsClient>,
    inlet: Inlet,
    shared: Arc<Shared>,
    connections: HashMap<ConnectionId, Line>,
    /// Who has to answer at an address.
    expected: HashMap<SocketAddr, Arc<str>>,
    /// One permit for each handshake of a peer …
    handshakes: Arc<Semaphore>,
    /// … and how many there are from each network.
    shaking: HashMap<IpAddr, usize>,
    /// Connections that take messages for an address, the newest last.
    by_remote: HashMap<(Transport, SocketAddr), Vec<ConnectionId>>,
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
    /// The handshake of a peer at this address is over, well or not.
    Shaken(IpAddr, bool),
    /// A connection that we opened stands, from this address of ours.
    Opened(ConnectionId, SocketAddr),
    /// Only messages that name the connection may still take it.
    Ending(ConnectionId),
    /// The connection's task is at its end.
    Ended(ConnectionId),
}

/// A connection as the switchboard knows it.
struct Line {
    transport: Transport,
    remote: SocketAddr,
    /// Who has proven to answer there, or will have to, where we opened it to somebody by name.
    name: Option<Arc<str>>,
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
    pub(crate) fn new(
        limits: StreamLimits,
        tls: Option<TlsClient>,
        inlet: Inlet,
        shared: Arc<Shared>,
    ) -> Self {
        let (notices, noticed) = mpsc::channel(NOTICES);
        Self {
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            shaking: HashMap::new(),
            limits: Arc::new(limits),
            tls,
            inlet,
            shared,
            connections: HashMap::new(),
            expected: HashMap::new(),
            by_remote: HashMap::new(),
            accepted_from: HashMap::new(),
            reports: VecDeque::new(),
            tasks: JoinSet::new(),
            notices,
            noticed,
        }
    }

    pub(crate) async fn run(mut self, doors: Vec<OpenDoor>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let done = self.serve(&doors, &mut commands).await;
        drop(doors);
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
        doors: &[OpenDoor],
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let inlet = self.inlet.clone();
        let (mut last, mut rests_until) = (0, None);
        loop {
            tokio::select! {
                (at, knocked) = door::next(doors, last), if rests_until.is_none() && !doors.is_empty() => {
                    last = at;
                    if let Err(error) = self.let_in(&doors[at], knocked).await {
                        // Out of descriptors or memory: it would fail again at once.
                        tracing::warn!(%error, "accept");
                        rests_until = Some(Instant::now() + REST);
                    }
                }
                () = until(rests_until), if rests_until.is_some() => rests_until = None,
                command = commands.recv(), if self.reports.len() < REPORTS => match command {
                    Some(Command::Send(transmit)) => {
                        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                        self.send(transmit);
                    }
                    Some(Command::Expect(remote, name)) => self.expect(remote, name),
                    Some(Command::Adopt(stream, early, flow)) => self.adopt(stream, early, flow),
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
                Some(Notice::Shaken(..) | Notice::Opened(..) | Notice::Ending(_)) => {}
                None => return,
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Shaken(remote, well) => {
                self.shared.handshakes_failed.fetch_add(u64::from(!well), Ordering::Relaxed);
                count_down(&mut self.shaking, network(remote));
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

    /// Lets in who knocked, and more that wait at the same door: of a crowd, the last should not wait for a thread to be
    /// woken for each one before.
    async fn let_in(
        &mut self,
        door: &OpenDoor,
        mut knocked: io::Result<(TcpStream, SocketAddr)>,
    ) -> io::Result<()> {
        for _ in 1..AT_ONCE {
            self.let_one_in(door, knocked)?;
            match door.at_once().await {
                Poll::Ready(next) => knocked = next,
                Poll::Pending => return Ok(()),
            }
        }
        // The last is let in too: it was taken.
        self.let_one_in(door, knocked)
    }

    fn let_one_in(
        &mut self,
        door: &OpenDoor,
        knocked: io::Result<(TcpStream, SocketAddr)>,
    ) -> io::Result<()> {
        match knocked {
            Ok((stream, remote)) => self.turn_away_or_accept(door, stream, canonical(remote)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn turn_away_or_accept(&mut self, door: &OpenDoor, stream: TcpStream, remote: SocketAddr) {
        if let Err(error) = self.accept(door, stream, remote) {
            self.turned_away(remote, &error);
        }
    }

    fn turned_away(&mut self, remote: SocketAddr, error: &io::Error) {
        tracing::debug!(%remote, %error, "connection turned away");
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn accept(&mut self, door: &OpenDoor, stream: TcpStream, remote: SocketAddr) -> io::Result<()> {
        let local = door.local(&stream)?;
        let mut flow = Flow { transport: door.transport(), local, remote, connection: None };
        match &door.tls {
            Some(tls) => {
                let shaking = self.shaking.get(&network(remote.ip())).copied().unwrap_or(0);
                let permit = Arc::clone(&self.handshakes).try_acquire_owned();
                let permit = permit.ok().filter(|_| shaking < self.limits.handshakes_per_address);
                let permit = permit.ok_or(io::Error::from(io::ErrorKind::QuotaExceeded))?;
                let connection = self.admit(&mut flow)?;
                self.shaking.insert(network(remote.ip()), shaking + 1);
                self.tasks.spawn(connection.accepted_tls(stream, tls.clone(), flow, permit));
            }
            None => {
                let connection = self.admit(&mut flow)?;
                self.tasks.spawn(connection.accepted(stream, flow));
            }
        }
        Ok(())
    }

    fn adopt(&mut self, stream: Box<dyn ByteStream>, early: Vec<u8>, mut flow: Flow) {
        match self.admit(&mut flow) {
            Ok(connection) => {
                self.tasks.spawn(connection.adopted(stream, early, flow));
            }
            Err(error) => self.turned_away(flow.remote, &error),
        }
    }

    /// A connection that a peer opened, unless there are too many.
    fn admit(&mut self, flow: &mut Flow) -> io::Result<Connection> {
        let network = network(flow.remote.ip());
        let count = self.accepted_from.get(&network).copied().unwrap_or(0);
        if self.connections.len() >= self.limits.connections || count >= self.limits.per_address {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.accepted_from.insert(network, count + 1);
        self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        let connection = self.list(flow.transport, flow.remote, Some(flow.local.ip()), Some(network), None);
        flow.connection = Some(connection.id);
        Ok(connection)
    }

    fn expect(&mut self, remote: SocketAddr, name: Arc<str>) {
        if self.expected.len() >= EXPECTED && !self.expected.contains_key(&remote) {
            // Whoever still needs one of them says so again before it sends.
            self.expected.clear();
        }
        self.expected.insert(canonical(remote), name);
    }

    fn send(&mut self, transmit: Transmit) {
        let flow = transmit.flow;
        let asked = (!flow.local.ip().is_unspecified()).then(|| flow.local.ip().to_canonical());
        if flow.transport == Transport::Udp || asked.is_some_and(|ip| ip.is_ipv4() != flow.remote.is_ipv4()) {
            self.fail(transmit, SendFailure::Unsupported);
        } else if let Some(id) = flow.connection.or_else(|| self.open_to(&flow, asked)) {
            self.pass(id, transmit);
        } else {
            match self.dial(&flow) {
                Ok(dial) => {
                    let name = dial.name.clone();
                    let connection = self.list(flow.transport, flow.remote, asked, None, name);
                    let id = connection.id;
                    self.tasks.spawn(connection.connecting(flow.remote, asked, dial));
                    self.pass(id, transmit);
                }
                Err(failure) => self.fail(transmit, failure),
            }
        }
    }

    /// How a connection for a flow is opened, if it may be.
    fn dial(&self, flow: &Flow) -> Result<Dial, SendFailure> {
        let name = self.expected.get(&flow.remote).cloned();
        let transport = flow.transport;
        match transport {
            _ if self.connections.len() >= self.limits.connections => Err(SendFailure::TooManyConnections),
            Transport::Udp => Err(SendFailure::Unsupported),
            // See `Streams::expect`.
            Transport::Tls | Transport::Ws | Transport::Wss if name.is_none() => {
                Err(SendFailure::ConnectionLost)
            }
            Transport::Tls | Transport::Wss if self.tls.is_none() => Err(SendFailure::Unsupported),
            Transport::Tcp | Transport::Ws => Ok(Dial { transport, tls: None, name }),
            Transport::Tls | Transport::Wss => Ok(Dial { transport, tls: self.tls.clone(), name }),
        }
    }

    fn open_to(&self, flow: &Flow, asked: Option<IpAddr>) -> Option<ConnectionId> {
        let expected = self.expected.get(&flow.remote);
        let fits = |id: &&ConnectionId| {
            self.connections.get(id).is_some_and(|line| {
                // RFC 5923 §9.1: not for another domain at the same address.
                let same = line.name.is_none() || expected.is_none() || line.name.as_ref() == expected;
                let named = same || !flow.transport.is_secure();
                let open = line.queue.as_ref().is_some_and(|queue| !queue.is_closed());
                open && named && (asked.is_none() || asked == line.local)
            })
        };
        self.by_remote.get(&(flow.transport, flow.remote))?.iter().rev().find(fits).copied()
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
        transport: Transport,
        remote: SocketAddr,
        local: Option<IpAddr>,
        accepted_from: Option<IpAddr>,
        name: Option<Arc<str>>,
    ) -> Connection {
        let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (sender, queue) = mpsc::unbounded_channel();
        let (queued, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        self.by_remote.entry((transport, remote)).or_default().push(id);
        let line = Line {
            transport,
            remote,
            name,
            local,
            queue: Some(sender),
            queued: Arc::clone(&queued),
            cut: Arc::clone(&cut),
            accepted_from,
        };
        self.connections.insert(id, line);
        self.shared.open.store(self.connections.len() as u64, Ordering::Relaxed);
        let (limits, inlet, notices) = (Arc::clone(&self.limits), self.inlet.clone(), self.notices.clone());
        Connection { id, limits, inlet, queue, queued, cut, notices }
    }

    /// No longer chooses this connection by its address.
    fn unlist(&mut self, id: ConnectionId) {
        let Some(line) = self.connections.get(&id) else { return };
        let key = (line.transport, line.remote);
        if let Some(ids) = self.by_remote.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_remote.remove(&key);
            }
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.unlist(id);
        let Some(line) = self.connections.remove(&id) else { return };
        self.shared.open.store(self.connections.len() as u64, Ordering::Relaxed);
        if let Some(network) = line.accepted_from {
            count_down(&mut self.accepted_from, network);
        }
    }

    fn fail(&mut self, transmit: Transmit, failure: SendFailure) {
        self.reports.push_back(SendFailed { transmit, failure });
    }
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
}

fn count_down(counts: &mut HashMap<IpAddr, usize>, network: IpAddr) {
    if let Some(count) = counts.get_mut(&network) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&network);
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
/// Connections that are let in before anything else is looked at.
const AT_ONCE: usize = 64;
/// How long nobody is let in after the system refused to.
const REST: Duration = Duration::from_millis(100);
/// Addresses of which it is remembered who has to answer there.
const EXPECTED: usize = 4_096;
/// Failures that may wait for the inlet before no more messages are taken.
const REPORTS: usize = 1_024;
