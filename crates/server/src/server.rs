//! A running exchange, from its start to its end.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_exchange::command::{Answer, Command};
use offhook_exchange::config::Listener;
use offhook_sip_stack::Transport;
use offhook_store::Store;
use offhook_web::{About, Exchange, Problem, Site};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle as Task;
use tokio::time::timeout;

use crate::certificates::Shown;
use crate::recordings::Files;
use crate::shards::Shards;
use crate::start::{self, StartError};
use crate::turn::{Turn, TurnDesk};
use crate::web::WebTask;
use crate::{RunFile, Settings, machine, notify};

/// A running exchange. Dropping it without [`Server::run`] or [`Server::stop`] ends it without ceremony.
pub struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) site: Site,
    pub(crate) shards: Shards,
    pub(crate) streams: offhook_net::Streams,
    pub(crate) turn: Option<TurnDesk>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) external_address: Option<IpAddr>,
    pub(crate) http: Vec<SocketAddr>,
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) shown: Shown,
    pub(crate) threads: Threads,
    pub(crate) writer: Task<()>,
    pub(crate) web: Vec<WebTask>,
    pub(crate) web_end: watch::Sender<bool>,
    pub(crate) run_file: RunFile,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) warnings: Vec<String>,
    pub(crate) generated: Vec<(String, String)>,
}

/// What the system is told to do with the process, which is heeded from the moment that this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// The threads that are not the runtime's.
pub(crate) struct Threads {
    pub(crate) signal: Vec<JoinHandle<std::io::Result<()>>>,
    pub(crate) media: JoinHandle<std::io::Result<()>>,
    pub(crate) telemetry: JoinHandle<()>,
    pub(crate) files: JoinHandle<()>,
    pub(crate) recordings: Files,
    pub(crate) turn: Option<JoinHandle<std::io::Result<()>>>,
    /// Each tells that a thread of signalling, media or TURN has ended, however it did.
    pub(crate) ended: Vec<oneshot::Receiver<()>>,
}

impl Threads {
    /// Takes in the thread of the TURN server; what is left is for the rest of the exchange.
    pub(crate) fn keep(&mut self, turn: Turn) -> TurnDesk {
        self.turn = Some(turn.thread);
        self.ended.push(turn.ended);
        turn.desk
    }

    /// When the first of them ends.
    async fn one_ended(&mut self) {
        std::future::poll_fn(|cx| {
            let mut ended = self.ended.iter_mut().map(|one| Pin::new(one).poll(cx));
            if ended.any(|one| one.is_ready()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// How a server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    AsTold,
    /// It was told to twice, so calls may have been cut off.
    Interrupted,
    /// A thread ended by itself, which is an error of ours; the log says more.
    Broken,
}

impl Server {
    /// Starts an exchange. When this returns, it takes calls.
    ///
    /// # Errors
    /// When a port, the data directory or a thread cannot be had.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        start::start(settings)
    }

    /// What is the same as long as it runs.
    pub fn about(&self) -> About {
        self.site.exchange.about()
    }

    /// Where SIP is spoken, with the real ports.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Where TURN is spoken, and the ports of relayed addresses, in words.
    pub fn turn(&self) -> Option<&str> {
        self.turn.as_ref().map(|turn| turn.spoken.as_str())
    }

    /// Where the API is.
    pub fn urls(&self) -> Vec<String> {
        let http = self.http.iter().map(|address| format!("http://{address}"));
        // An unspecified address is nothing to type into a browser.
        let https = self.https.iter().map(|address| match self.address_told() {
            Some(ip) if address.ip().is_unspecified() => SocketAddr::new(ip, address.port()),
            _ => near(*address),
        });
        http.chain(https.map(|address| format!("https://{address}"))).collect()
    }

    /// The authority that signed what is shown over TLS, if it is our own: a file in PEM.
    pub fn authority(&self) -> Option<PathBuf> {
        self.shown.certificates.authority()
    }

    /// Where a browser on this machine reaches the API over HTTPS, and SIP over WSS.
    pub fn local_https(&self) -> Option<SocketAddr> {
        self.https.first().map(|address| near(*address))
    }

    /// What opens the API.
    pub fn token(&self) -> &str {
        &self.site.token
    }

    /// What the operator should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Addresses and passwords of accounts that the configuration declares without a password, and that are new.
    pub fn generated(&self) -> &[(String, String)] {
        &self.generated
    }

    /// The address that phones are told for media, if it is one and the same.
    pub fn address_told(&self) -> Option<IpAddr> {
        let bound = self.listeners.first()?.address.ip();
        let own = if bound.is_unspecified() { machine::addresses().into_iter().next() } else { Some(bound) };
        self.external_address.or(own)
    }

    /// Where a phone on this machine reaches the exchange by this transport.
    pub fn local_sip(&self, transport: Transport) -> Option<SocketAddr> {
        let of_transport = |one: &&Listener| one.transport == transport;
        self.listeners.iter().find(of_transport).map(|one| near(one.address))
    }

    /// Asks the API of this server without a socket.
    ///
    /// # Errors
    /// The problem document of the answer.
    pub fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
        self.runtime.block_on(crate::offline::ask(&self.site, method, path, body))
    }

    /// Whether the mail server of these settings can be reached and takes us in; `None`: no mails are sent.
    ///
    /// # Errors
    /// What is in the way, in words.
    pub fn check_mail(settings: &Settings) -> Option<Result<(), String>> {
        let mail = settings.mail.as_ref()?;
        let runtime = start::new_runtime().map_err(|error| error.to_string());
        Some(runtime.and_then(|runtime| runtime.block_on(crate::mail::check(mail))))
    }

    /// Lets phones of this machine, started by whoever may read the data directory, use an account.
    ///
    /// # Errors
    /// When the run file cannot be written.
    pub fn lend_account(&mut self, address: &str, password: &str) -> std::io::Result<()> {
        self.run_file.account = Some(address.to_owned());
        self.run_file.password = Some(password.to_owned());
        self.run_file.write(&self.data_dir)
    }

    /// From here on SIGTERM, SIGINT and SIGHUP no longer end the process by themselves: what comes before
    /// [`Server::run`] is heeded there. So whoever is told that the server is ready may send one at once.
    ///
    /// # Errors
    /// When the system does not tell of signals.
    pub fn heed_signals(&self) -> std::io::Result<Signals> {
        let _runtime = self.runtime.enter();
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Runs until SIGTERM or SIGINT: then takes no new calls and ends with the last one, or after 30 seconds, or at
    /// the next such signal. `first` is called at the signal, before anything else.
    pub fn run(mut self, signals: Signals, first: impl FnOnce()) -> Ended {
        notify::notify("READY=1");
        let (shards, threads) = (&self.shards, &mut self.threads);
        let exchange = &self.site.exchange;
        let Signals { terminate, interrupt, hangup } = signals;
        let ended = self.runtime.block_on(async {
            tokio::select! {
                ended = until_end(shards, threads, [terminate, interrupt], first) => ended,
                () = reload_when_told(hangup, exchange.as_ref()) => Ended::Broken,
            }
        });
        self.end();
        ended
    }

    /// Ends it now: calls that it carries are cut off, everything that was stored stays.
    pub fn stop(self) {
        self.end();
    }

    fn end(self) {
        self.shards.stop();
        // The signal threads hold the ways to the others: they end after them. A panic was reported by then.
        if let Some(turn) = &self.turn {
            turn.handle.end();
        }
        let signal = self.threads.signal.into_iter().map(|thread| ("signal", thread));
        let turn = self.threads.turn.map(|thread| ("turn", thread));
        for (name, thread) in signal.chain([("media", self.threads.media)]).chain(turn) {
            if let Ok(Err(error)) = thread.join() {
                tracing::error!(%error, thread = name, "a thread cannot go on");
            }
        }
        let _ = self.web_end.send(true);
        let (streams, writer, web, store) = (self.streams, self.writer, self.web, self.store);
        self.runtime.block_on(async move {
            let _ = timeout(SHORTLY, streams.shutdown()).await;
            // What is not synced then outlives the process, but not a power cut.
            let _ = timeout(PATIENCE, writer).await;
            for task in web {
                let _ = timeout(SHORTLY, task).await;
            }
            let _ = timeout(SHORTLY, store.close()).await;
        });
        self.threads.recordings.stop();
        let _ = self.threads.files.join();
        let _ = self.threads.telemetry.join();
        self.run_file.remove(&self.data_dir);
        if let Some(path) = self.pid_file {
            let _ = fs::remove_file(path);
        }
        self.runtime.shutdown_timeout(SHORTLY);
    }
}

/// At each SIGHUP the configuration, the certificates and the rates are read again. Returns only when the system does not tell
/// of signals.
async fn reload_when_told(mut hangup: Signal, exchange: &dyn Exchange) {
    while hangup.recv().await.is_some() {
        match exchange.reload().await {
            Ok(done) => {
                tracing::info!(
                    reloaded = done.reloaded.join(", "),
                    "SIGHUP: the configuration was read again"
                );
                for key in done.needs_restart {
                    tracing::warn!("SIGHUP: {key} has changed and needs a restart");
                }
                for warning in done.warnings {
                    tracing::warn!("SIGHUP: {warning}");
                }
                for account in done.accounts {
                    let address = account.address;
                    tracing::warn!(
                        "SIGHUP: {address} is new and has a password that nobody knows: set another"
                    );
                }
            }
            Err(problem) => tracing::error!("SIGHUP: nothing was changed: {}", problem.detail),
        }
    }
}

async fn until_end(
    shards: &Shards,
    threads: &mut Threads,
    [mut terminate, mut interrupt]: [Signal; 2],
    first: impl FnOnce(),
) -> Ended {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = threads.one_ended() => return Ended::Broken,
    }
    notify::notify("STOPPING=1");
    first();
    tracing::info!("no new calls; ends with the last call, in 30 s at the latest, or at the next signal");
    shards.drain();
    tokio::select! {
        _ = terminate.recv() => Ended::Interrupted,
        _ = interrupt.recv() => Ended::Interrupted,
        () = threads.one_ended() => Ended::Broken,
        () = last_call(shards) => Ended::AsTold,
        () = tokio::time::sleep(GRACE) => Ended::AsTold,
    }
}

/// When no shard has a call any more. None of them ends before: its socket receives for the others too.
async fn last_call(shards: &Shards) {
    loop {
        if let Some(Answer::Status(status)) = shards.ask(Command::Status).await
            && status.ringing + status.anchored + status.leaving == 0
        {
            return;
        }
        tokio::time::sleep(OFTEN).await;
    }
}

/// An address that reaches a listener from the same machine.
fn near(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        // Such a listener takes IPv4 too, which no machine lacks on its loopback.
        IpAddr::V6(ip) if ip == Ipv6Addr::UNSPECIFIED => (Ipv4Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

const GRACE: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
const SHORTLY: Duration = Duration::from_secs(2);
