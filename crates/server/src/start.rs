//! From settings to a running exchange.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use offhook_exchange::Shard;
use offhook_exchange::config::{Config, Epoch, Listener};
use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::dispatch;
use offhook_exchange::io::{Input, Outbox, ShardMessage};
use offhook_exchange::presence::{KeptWatch, WatchChange};
use offhook_exchange::spending::{Share, Spent, day};
use offhook_media::identity::Identity;
use offhook_media::lease::PortBlock;
use offhook_media::relay;
use offhook_media::turn::Secret;
use offhook_net::{
    BindError, Door, Fetcher, Inlet, NetInput, Resolver, StreamLimits, Streams, TlsClient, TlsServer,
    UdpSockets, Wake, bind_udp_group,
};
use offhook_sip_stack::Transport;
use offhook_store::{Journal, Options, Store, StoreError, TextLimits, Use};
use offhook_udp_batch::{BatchSocket, Method, Poller, SocketOptions, Waker, raise_open_files};
use offhook_web::calendar::rfc3339;
use offhook_web::{About, Site};
use tokio::runtime::{self, Runtime};
use tokio::sync::{oneshot, watch};

use crate::cameras;
use crate::certificates::{CertificateError, Certificates, Shown};
use crate::host::{Host, Station};
use crate::keeps;
use crate::lines::{self, LineDesk};
use crate::mail::{self, Mailer, Notices};
use crate::media_thread::MediaThread;
use crate::music::Music;
use crate::others::Others;
use crate::recordings::{Files, Listeners, Recordings, Shown as Folder};
use crate::reload::Reloading;
use crate::running::Running;
use crate::server::{Server, Threads};
use crate::shards::{Mailbox, Shards};
use crate::signal_thread::{SignalThread, State};
use crate::stored::Stored;
use crate::telemetry::{self, Ledger, Measures, Notes};
use crate::texts;
use crate::trace::Recorder;
use crate::turn::{self, Surroundings, Turn, TurnDoors};
use crate::voicemail::{self, Mailboxes};
use crate::{RunFile, Settings, clock, machine, watches, web};

/// Why an exchange could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error("{error}; choose another with --set {key}=ADDRESS:PORT")]
    Port {
        /// The key that names it.
        key: &'static str,
        /// What is in the way.
        error: BindError,
    },
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no certificate to show.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The system refuses something else.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The certificate of the relay could not be made.
    #[error("no certificate could be made for encrypted media")]
    MediaCertificate,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness,
}

/// The sockets on which SIP is spoken.
struct Doors {
    /// For each signal thread, a socket of each listener.
    udp: Vec<Vec<BatchSocket>>,
    streams: Vec<Door>,
    listeners: Vec<Listener>,
}

pub(crate) fn start(mut settings: Settings) -> Result<Server, StartError> {
    // A relayed call needs four sockets. Where it stays as it is, calls beyond it are refused one by one.
    let _ = raise_open_files();
    let runtime = new_runtime()?;
    // The ports first: who starts a second server by mistake learns it from them.
    let shown = Certificates::of(&settings).show()?;
    let doors = open_doors(&settings, &shown)?;
    let (http, https) = (web::open_http(&settings)?, web::open_https(&settings)?);
    let mut warnings = settings.warnings.clone();
    let turn = turn::open(settings.turn.as_ref(), &mut warnings)?;
    let store = runtime.block_on(Store::open(store_options(&settings, Use::Server)))?;
    recover_calls(&settings)?;
    let today = day(clock::unix(), &settings.plan.time_zone);
    let spent = telemetry::spent(&settings.data_dir, today);
    let spent = spent.map_err(system("what accounts have spent today cannot be read"))?;
    let realm = runtime.block_on(settle_realm(&store, &settings, &mut warnings))?;
    let (lines, odd) = runtime.block_on(lines::usable(&store, &settings))?;
    (settings.plan, settings.trunks) = (lines.plan, lines.trunks);
    shown.know(&settings.trunks)?;
    warnings.extend(odd);
    let (generated, deltas) = runtime.block_on(read_store(&store, &settings, &realm, &mut warnings))?;
    let key = runtime.block_on(store.key())?;
    let secret = Secret::of_exchange(&key.0);
    let mut config = settings.exchange(realm.clone(), doors.listeners.clone(), key);
    let identity = offhook_net::media_identity().map_err(|_| StartError::MediaCertificate)?;
    config.media_certificate = Some(identity.fingerprint());
    let (writer, journals) = store.journals(settings.threads)?;
    let writer = runtime.spawn(writer.run(|| clock::unix().as_secs()));
    warnings.extend(moved(&settings, &doors.listeners));
    let about = about(&settings, &config, &realm);
    let listeners = doors.listeners.clone();
    let guard = runtime.enter();
    let (resolver, trouble) = Resolver::new(&settings.dns_servers, settings.dns_timeout);
    warnings.extend(trouble.map(|why| format!("other domains cannot be found: {why}")));
    let terms = texts::Terms {
        limits: TextLimits { messages: settings.messages.most, octets: MOST_OCTETS },
        history: settings.messages.history,
    };
    let (to_texts, asked) = texts::channel();
    runtime.spawn(texts::run(store.clone(), terms, asked));
    let (to_keeps, wanted) = keeps::channel();
    let tls = shown.client.clone();
    let fetcher = Fetcher::new(resolver.clone(), tls.clone(), settings.stir_hosts.clone());
    let abroad = Abroad { resolver, fetcher, tls };
    let mail = mail::open(&settings, &store).map_err(system("the folder of mails cannot be used"))?;
    let (notices, mailer) = mail.unzip();
    let watches = runtime.block_on(store.watches(clock::unix().as_secs()))?;
    let (to_watches, changes) = watches::channel();
    runtime.spawn(watches::run(store.clone(), changes));
    let facts = Facts { deltas: &deltas, spent: &spent, watches: &watches };
    let writers = Writers { journals, texts: to_texts, keeps: to_keeps, watches: to_watches, notices };
    let parts = start_threads(&settings, &config, identity, (doors, abroad), &facts, writers)?;
    let Parts { shards, streams, measures, mut threads, cameras } = parts;
    runtime.spawn(keeps::run(store.clone(), shards.clone(), wanted));
    let sites = http.iter().chain(&https);
    let turn = start_turn(turn, &settings, &realm, secret, (&listeners, &shown.turn), sites)?
        .map(|turn| threads.keep(turn));
    runtime.spawn(shown.clone().keep());
    let health = mailer.as_ref().map(Mailer::health);
    mailer.map(|mailer| runtime.spawn(mailer.run()));
    let mail = health.clone();
    let lines = Arc::new(LineDesk::new(Arc::new(settings.clone()), Some(shown.clone())));
    let reloading = Reloading {
        store: store.clone(),
        shards: shards.clone(),
        lines: Arc::clone(&lines),
        shown: shown.clone(),
        config: config.clone(),
    };
    let exchange = Running {
        shards: shards.clone(),
        streams: streams.clone(),
        measures,
        turn: turn.clone(),
        mail,
        about,
        reloading,
        cameras: (settings.services.cameras.clone(), cameras),
    };
    let voicemail = Mailboxes::new(Arc::clone(&lines), Some(threads.recordings.clone()));
    let records = Stored {
        store: store.clone(),
        realm,
        shards: Some(shards.clone()),
        numbers: settings.numbers,
        mail: health,
        lines,
    };
    let site = Site {
        token: token()?.into(),
        exchange: Arc::new(exchange),
        records: Arc::new(records),
        certificates: Arc::new(shown.clone()),
        voicemail: Arc::new(voicemail),
        recordings: Arc::new(settings.call_recordings()),
    };
    let (web_end, told) = watch::channel(false);
    let sites = web::Sites { site: &site, streams: &streams, tls: &shown.web, end: &told };
    let (http, mut web) = sites.serve(http, false)?;
    let (https, more) = sites.serve(https, true)?;
    web.extend(more);
    drop(guard);
    let mut server = Server {
        runtime,
        store,
        shards,
        streams,
        turn,
        listeners,
        external_address: settings.external_address,
        threads,
        writer,
        web,
        web_end,
        run_file: RunFile {
            url: http.first().map(|address| format!("http://{address}")),
            token: site.token.to_string(),
            pid: std::process::id(),
            sip: None,
            tls: None,
            wss: None,
            ca: shown.certificates.authority().and_then(|file| file.canonicalize().ok()),
            account: None,
            password: None,
        },
        site,
        http,
        https,
        shown,
        pid_file: settings.pid_file.clone(),
        data_dir: settings.data_dir.clone(),
        warnings,
        generated,
    };
    let sip = server.local_sip(Transport::Udp).or_else(|| server.local_sip(Transport::Tcp));
    server.run_file.sip = sip.map(|address| address.to_string());
    server.run_file.tls = server.local_sip(Transport::Tls).map(|address| address.to_string());
    server.run_file.wss = server.local_https().map(|address| address.to_string());
    let run_file = RunFile::path(&server.data_dir);
    server.run_file.write(&server.data_dir).map_err(system(run_file.display()))?;
    if let Some(path) = &server.pid_file {
        std::fs::write(path, format!("{}\n", std::process::id())).map_err(system(path.display()))?;
    }
    Ok(server)
}

/// Calls of which the process before did not see the end get their records.
fn recover_calls(settings: &Settings) -> Result<(), StartError> {
    let recovered = telemetry::recover(&settings.data_dir, clock::unix());
    let recovered = recovered.map_err(system("the records of calls before cannot be completed"))?;
    if recovered > 0 {
        tracing::info!(
            calls = recovered,
            "records of calls whose end was not seen, or not written, were made"
        );
    }
    Ok(())
}

pub(crate) fn new_runtime() -> Result<Runtime, StartError> {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_name("offhook-io")
        .build()
        .map_err(system("the threads for connections cannot be started"))
}

pub(crate) fn store_options(settings: &Settings, purpose: Use) -> Options {
    let mut options = Options::new(&settings.data_dir, purpose);
    options.url.clone_from(&settings.store_url);
    options
}

/// The realm of passwords: what it was when the first was made, for their hashes hold it.
pub(crate) async fn settle_realm(
    store: &Store,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<String, StoreError> {
    let wanted = settings.domains.first().map_or("localhost", String::as_str);
    if let Some(kept) = store.realm().await? {
        let differs = kept != wanted && settings.domains_are_named;
        if !differs || !store.accounts().await?.is_empty() {
            if differs {
                warnings.push(format!(
                    "the realm stays {kept}, for which the passwords of the accounts were made"
                ));
            }
            return Ok(kept);
        }
    }
    store.set_realm(wanted).await?;
    Ok(wanted.to_owned())
}

/// Passwords that were generated for declared accounts, and everything that the shards must know.
async fn read_store(
    store: &Store,
    settings: &Settings,
    realm: &str,
    warnings: &mut Vec<String>,
) -> Result<(Vec<(String, String)>, Vec<Delta>), StoreError> {
    let now = clock::unix().as_secs();
    let declared = settings.accounts.iter().map(|account| account.for_realm(realm)).collect();
    let mut generated = Vec::new();
    let limits = settings.accounts.iter().map(|account| (account.address.clone(), account.limits)).collect();
    for changed in store.declare_accounts(declared, now).await? {
        if let Some(password) = changed.generated {
            generated.push((changed.account.address.to_string(), password.reveal().to_owned()));
        }
    }
    store.declare_limits(limits).await?;
    let deltas: Vec<Delta> = store.load(now).await?.into_iter().map(without_lost).collect();
    let is_foreign = |delta: &&Delta| match delta {
        Delta::Account(account) => !settings.domains.iter().any(|domain| domain == account.address.host()),
        _ => false,
    };
    let foreign = deltas.iter().filter(is_foreign).count();
    if foreign > 0 {
        warnings
            .push(format!("{foreign} of the accounts belong to domains that are not served (see domains)"));
    }
    warnings.extend(settings.unreachable(&deltas));
    Ok((generated, deltas))
}

/// Where TLS is not where it would be looked for.
fn moved(settings: &Settings, opened: &[Listener]) -> Option<String> {
    let of_tls = |all: &[Listener]| {
        all.iter().find(|one| one.transport == Transport::Tls).map(|one| one.address.port())
    };
    let (wanted, port) = (of_tls(&settings.listeners)?, of_tls(opened)?);
    (wanted != 0 && wanted != port)
        .then(|| format!("port {wanted} is taken: TLS listens on port {port} (set sip.tls to choose)"))
}

/// What a connection led to is not reached any more: it ended with the process that had it.
fn without_lost(delta: Delta) -> Delta {
    match delta {
        Delta::Bindings(record, mut bindings) => {
            bindings.0.retain(|one| one.flow.transport.can_be_called_back());
            Delta::Bindings(record, bindings)
        }
        other => other,
    }
}

fn open_doors(settings: &Settings, shown: &Shown) -> Result<Doors, StartError> {
    let udp = (0..settings.threads).map(|_| Vec::new()).collect();
    let mut doors = Doors { udp, streams: Vec::new(), listeners: Vec::new() };
    for listener in &settings.listeners {
        let transport = listener.transport;
        let address = if transport == Transport::Udp {
            let group = bind_udp_group(listener.address, &udp_options(), settings.threads);
            let group = group.map_err(taken("sip.udp"))?;
            let address = group.first().map_or(listener.address, BatchSocket::local_addr);
            doors.udp.iter_mut().zip(group).for_each(|(thread, socket)| thread.push(socket));
            address
        } else {
            let is_tls = transport == Transport::Tls;
            let is_named = !is_tls || settings.tls_is_named;
            let key = if is_tls { "sip.tls" } else { "sip.tcp" };
            let socket = web::open(listener.address, is_named).map_err(taken(key))?;
            let address = socket.local_addr().map_err(system("a listener has no address"))?;
            doors.streams.push(match is_tls {
                true => Door::tls(socket, shown.sip.clone()),
                false => Door::tcp(socket),
            });
            address
        };
        doors.listeners.push(Listener { transport, address });
    }
    Ok(doors)
}

/// The TURN server, if there is to be one.
fn start_turn<'a>(
    doors: Option<TurnDoors>,
    settings: &Settings,
    realm: &str,
    secret: Secret,
    (listeners, tls): (&[Listener], &TlsServer),
    sites: impl Iterator<Item = &'a std::net::TcpListener>,
) -> Result<Option<Turn>, StartError> {
    let Some(doors) = doors else { return Ok(None) };
    let web = sites.filter_map(|listener| listener.local_addr().ok());
    let around = Surroundings {
        realm,
        secret,
        external_address: settings.external_address,
        local_networks: &settings.local_networks,
        media_ports: settings.media_ports.clone(),
        listening: listeners.iter().map(|one| one.address).chain(web).collect(),
    };
    doors.start(around, tls).map(Some)
}

/// What the shards must know.
struct Facts<'a> {
    deltas: &'a [Delta],
    spent: &'a BTreeMap<(AddressOfRecord, i32), Spent>,
    watches: &'a [KeptWatch],
}

/// How other domains are found, and how we know them.
struct Abroad {
    resolver: Resolver,
    /// Of certificates of those who sign calls.
    fetcher: Fetcher,
    tls: TlsClient,
}

/// What the threads leave in the hands of the server.
struct Parts {
    shards: Shards,
    streams: Streams,
    measures: Arc<Measures>,
    threads: Threads,
    cameras: offhook_camera::States,
}

/// To whom shards and files give what has to be kept.
struct Writers {
    /// One for each shard.
    journals: Vec<Journal>,
    texts: tokio::sync::mpsc::Sender<texts::Asked>,
    keeps: tokio::sync::mpsc::Sender<keeps::Wanted>,
    watches: tokio::sync::mpsc::Sender<WatchChange>,
    notices: Option<Notices>,
}

fn start_threads(
    settings: &Settings,
    config: &Config,
    identity: Arc<Identity>,
    (doors, abroad): (Doors, Abroad),
    facts: &Facts<'_>,
    Writers { journals, texts, keeps, watches, notices }: Writers,
) -> Result<Parts, StartError> {
    let shards = settings.threads;
    let signal = (0..shards).map(|number| Sleeper::start(&thread_name(number, shards), Host::run));
    let signal = signal.collect::<Result<Vec<_>, _>>()?;
    let pollers = (0..shards).map(|_| Poller::new()).collect::<Result<Vec<_>, _>>();
    let pollers = pollers.map_err(system("a thread cannot wait for sockets"))?;
    let wakers: Vec<Waker> = pollers.iter().map(Poller::waker).collect();
    let media = Sleeper::start("offhook-media", MediaThread::run)?;
    let measures = Arc::new(Measures::default());
    let (handle, posts) = Shards::new(&wakers);
    let (to_media, commands) = Mailbox::new(media.waker.clone());
    let (calls, music) = (settings.call_recordings(), Music::new(settings.data_dir.join("music")));
    calls.recover();
    let place = voicemail::place(&settings.data_dir);
    let writer = Recordings::open(place, settings.voicemail_keep_days, calls, music);
    let writer = writer.map_err(system("the folder of voicemail cannot be used"))?.tell(notices);
    let folders_now = writer.all();
    let (recordings, file_works) = Files::new();
    let (media_files, from_files) = Mailbox::new(media.waker.clone());
    let (cameras, camera_states) = cameras::start(settings.cameras.clone(), media.waker.clone());
    let (folders, shown): (Vec<_>, Vec<_>) = wakers.iter().cloned().map(Mailbox::new).unzip();
    let (reporters, reports): (Vec<_>, Vec<_>) = wakers.iter().cloned().map(Mailbox::new).unzip();
    let (inlet, nets) = inlet(&wakers);
    let streams = Streams::start(doors.streams, Some(abroad.tls), StreamLimits::default(), inlet)
        .map_err(system("a listener cannot be watched"))?;
    let (notes, noted) = Notes::new(Arc::clone(&measures));
    let mut relay = relay::Config::new(settings.media_ports.clone());
    relay.idle = settings.media_timeout;
    relay.identity = Some(identity);
    let listen = media_address(&doors.listeners);
    let media_thread = MediaThread::new(
        relay,
        listen,
        media_method(),
        commands,
        ((recordings.clone(), from_files), cameras),
        reporters,
        Arc::clone(&measures),
    );
    let epoch = clock::epoch();
    let ports = PortBlock::within(settings.media_ports.clone()).split(u16::from(shards));
    let inputs = doors.udp.into_iter().zip(nets).zip(posts.into_iter().zip(reports.into_iter().zip(shown)));
    let means = journals.into_iter().zip(ports).zip(Others::connect(&wakers, &measures));
    let mut works = Vec::with_capacity(signal.len());
    for (number, (inputs, means)) in (0..).zip(inputs.zip(means)) {
        let ((udp, net), (post, (reports, shown))) = inputs;
        let ((journal, ports), (others, from_others)) = means;
        works.push(SignalThread {
            number,
            waker: wakers[usize::from(number)].clone(),
            epoch,
            shard: new_shard(number, config, epoch, ports, (facts, &folders_now))?,
            udp: UdpSockets::new(udp),
            streams: streams.clone(),
            net,
            post,
            others,
            from_others,
            reports,
            resolver: abroad.resolver.clone(),
            fetcher: abroad.fetcher.clone(),
            fetched: Mailbox::new(wakers[usize::from(number)].clone()),
            resolved: Mailbox::new(wakers[usize::from(number)].clone()),
            texts: texts.clone(),
            keeps: keeps.clone(),
            watches: watches.clone(),
            stored: Mailbox::new(wakers[usize::from(number)].clone()),
            media: to_media.clone(),
            files: (recordings.clone(), shown),
            journal,
            notes: notes.again(),
            ledger: Ledger::new(&settings.data_dir, number),
            recorder: Recorder::new(settings.trace_memory / usize::from(shards)),
            measures: Arc::clone(&measures),
            state: State::default(),
        });
    }
    // The ways of the signal threads are all that is left: when they end, the others do.
    drop((notes, to_media, texts, keeps, watches));
    let records = telemetry::Records::new(&settings.data_dir);
    let telemetry = spawn("offhook-log", move || {
        machine::yield_to_others();
        telemetry::run(&noted, records)
    })?;
    let listeners = Listeners { media: media_files, shards: folders };
    let files = spawn("offhook-files", move || writer.run(&file_works, listeners))?;
    let (media, media_ended) = media.wake_up(media_thread);
    let stations = works.into_iter().zip(pollers).map(|(work, poller)| Station::new(work, poller)).collect();
    let hosts = Host::all(signal.iter().map(|thread| thread.waker.clone()).collect(), stations);
    let woken = signal.into_iter().zip(hosts).map(|(thread, host)| thread.wake_up(host));
    let (signal, mut ended): (Vec<_>, Vec<_>) = woken.unzip();
    ended.push(media_ended);
    let threads = Threads { signal, media, telemetry, files, recordings, turn: None, ended };
    Ok(Parts { shards: handle, streams, measures, threads, cameras: camera_states })
}

/// The way of streams to the threads with these wakers.
fn inlet(wakers: &[Waker]) -> (Inlet, Vec<tokio::sync::mpsc::Receiver<NetInput>>) {
    let wake = |waker: &Waker| -> Wake {
        let waker = waker.clone();
        Box::new(move || waker.wake())
    };
    let shards = wakers.len() as u8;
    let owner = Arc::new(move |message: &[u8]| dispatch::owner(message, shards).map_or(0, usize::from));
    Inlet::for_each(INLET, wakers.iter().map(wake).collect(), owner)
}

/// At most 15 octets, which is what the system keeps of it.
fn thread_name(number: u8, of: u8) -> String {
    if of == 1 { "offhook-signal".into() } else { format!("offhook-sig-{number}") }
}

/// A shard, with everything that was stored.
fn new_shard(
    number: u8,
    config: &Config,
    epoch: Epoch,
    ports: PortBlock,
    (facts, mailboxes): (&Facts<'_>, &[Folder]),
) -> Result<Shard, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| StartError::Randomness)?;
    let mut shard = Shard::new(number, config.clone(), epoch, seed, &[ports]);
    let mut out = Outbox::default();
    // Before anything is due: nobody carries out what a shard wants now.
    for delta in facts.deltas {
        shard.handle(epoch.instant, Input::FromShard(ShardMessage::Delta(delta.clone())), &mut out);
    }
    for ((account, day), spent) in facts.spent {
        let share = Box::new(Share { spent: *spent, running: Vec::new() });
        let fact = ShardMessage::Spending { shard: u8::MAX, account: account.clone(), day: *day, share };
        shard.handle(epoch.instant, Input::FromShard(fact), &mut out);
    }
    for (folder, files) in mailboxes {
        shard.handle(clock::now(), Input::Mailbox(folder.clone(), files.clone()), &mut out);
    }
    shard.handle(clock::now(), Input::Watches(facts.watches.to_vec()), &mut out);
    Ok(shard)
}

/// Where media is received: where SIP is, if that is one address, else everywhere.
pub(crate) fn media_address(listeners: &[Listener]) -> IpAddr {
    let first = listeners.first().map(|one| one.address.ip());
    match first {
        Some(ip) if listeners.iter().all(|one| one.address.ip() == ip) => ip,
        _ if listeners.iter().any(|one| one.address.is_ipv6()) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// `io_uring` where it can be had (decision 11), unless the environment asks for the other way.
fn media_method() -> Option<Method> {
    match std::env::var("OFFHOOK_MEDIA_METHOD").as_deref() {
        Ok("epoll") => Some(Method::Epoll),
        _ => None,
    }
}

fn about(settings: &Settings, config: &Config, realm: &str) -> About {
    let told = |one: &Listener| format!("{} {}", one.transport, one.address);
    About {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        started_at: rfc3339(clock::unix()),
        domains: config.domains.clone(),
        realm: realm.to_owned(),
        listeners: config.listeners.iter().map(told).collect(),
        media_ports: format!("{}-{}", settings.media_ports.start(), settings.media_ports.end()),
        data_dir: shown(&settings.data_dir),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, StartError> {
    thread::Builder::new().name(name.into()).spawn(body).map_err(system("a thread cannot be started"))
}

/// A thread with a poller, which is made where it stays; the thread waits for its work.
struct Sleeper<T> {
    waker: Waker,
    work: mpsc::Sender<T>,
    thread: thread::JoinHandle<io::Result<()>>,
    ended: oneshot::Receiver<()>,
}

impl<T: Send + 'static> Sleeper<T> {
    fn start(name: &str, run: fn(T, Poller) -> io::Result<()>) -> Result<Self, StartError> {
        let (ended, told) = oneshot::channel::<()>();
        let (work, given) = mpsc::channel();
        let (made, waker) = mpsc::channel();
        let thread = spawn(name, move || {
            // Dropped at the end, in a panic too.
            let _ended = ended;
            let poller = Poller::new().inspect_err(|error| {
                let _ = made.send(Err(io::Error::from(error.kind())));
            })?;
            let _ = made.send(Ok(poller.waker()));
            // Without work the start has failed elsewhere.
            given.recv().map_or(Ok(()), |work| run(work, poller))
        })?;
        let waker = waker.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        let waker = waker.map_err(system("a thread cannot wait for sockets"))?;
        Ok(Self { waker, work, thread, ended: told })
    }

    /// Gives the thread its work. Returns the thread, and the news of its end, however it comes to it.
    fn wake_up(self, work: T) -> (thread::JoinHandle<io::Result<()>>, oneshot::Receiver<()>) {
        // The thread waits for nothing else.
        let _ = self.work.send(work);
        (self.thread, self.ended)
    }
}

/// 256 random bits.
pub(crate) fn token() -> Result<String, StartError> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|_| StartError::Randomness)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn taken(key: &'static str) -> impl FnOnce(BindError) -> StartError {
    move |error| StartError::Port { key, error }
}

pub(crate) fn system(what: impl ToString) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System { what: what.to_string(), source }
}

/// A burst of registrations must find room while a batch is handled.
fn udp_options() -> SocketOptions {
    let buffer = Some(4 << 20);
    // Signalling's own class of service (RFC 4594 §4.2).
    SocketOptions { receive_buffer: buffer, send_buffer: buffer, dscp: Some(40), ..SocketOptions::default() }
}

const INLET: usize = 1_024;

/// Octets of the text messages that may wait for one account.
const MOST_OCTETS: u64 = 16 << 20;
