//! The TURN server of this process: its ports, its thread, and the credentials that it accepts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use offhook_media::turn::{Config, Counts, PeerPolicy, Secret, Server, credentials};
use offhook_net::{BindError, TlsServer, TurnHandle, TurnSockets, TurnStreams, bind_tcp, bind_udp};
use offhook_udp_batch::{BatchSocket, Poller, SocketOptions};
use offhook_web::TurnCredentials;
use tokio::sync::oneshot;

use crate::settings::TurnSettings;
use crate::start::{StartError, spawn, system, taken};
use crate::{clock, machine};

/// Its ports, open before anything else is.
pub(crate) struct TurnDoors {
    settings: TurnSettings,
    udp: Vec<BatchSocket>,
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
}

/// What the rest of the exchange tells it.
pub(crate) struct Surroundings<'a> {
    pub(crate) realm: &'a str,
    pub(crate) secret: Secret,
    pub(crate) external_address: Option<IpAddr>,
    pub(crate) local_networks: &'a [ipnet::IpNet],
    pub(crate) media_ports: std::ops::RangeInclusive<u16>,
    /// Where the exchange listens, besides TURN.
    pub(crate) listening: Vec<SocketAddr>,
}

/// A running one.
pub(crate) struct Turn {
    pub(crate) desk: TurnDesk,
    pub(crate) thread: JoinHandle<io::Result<()>>,
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Issues credentials, and counts.
#[derive(Clone)]
pub(crate) struct TurnDesk {
    secret: Secret,
    uris: Vec<String>,
    pub(crate) handle: TurnHandle,
    /// For the banner: where it is spoken, and the ports of relayed addresses.
    pub(crate) spoken: String,
}

/// Opens the ports. Where they are taken and were not named, there is no TURN, and a warning that says so.
pub(crate) fn open(
    settings: Option<&TurnSettings>,
    warnings: &mut Vec<String>,
) -> Result<Option<TurnDoors>, StartError> {
    let Some(settings) = settings else { return Ok(None) };
    let mut doors = match open_doors(settings) {
        Ok(doors) => doors,
        Err(error) if settings.is_named => return Err(taken("turn.listen")(error)),
        Err(error) => {
            warnings.push(format!("TURN is off: {error}; choose another with turn.listen"));
            return Ok(None);
        }
    };
    match doors.open_tls() {
        Ok(()) => {}
        Err(error) if settings.tls_is_named => return Err(taken("turn.tls")(error)),
        Err(error) => {
            warnings.push(format!("TURN over TLS is off: {error}; choose another with turn.tls"));
        }
    }
    Ok(Some(doors))
}

fn open_doors(settings: &TurnSettings) -> Result<TurnDoors, BindError> {
    let options = SocketOptions { receive_buffer: Some(1 << 20), dscp: Some(46), ..SocketOptions::default() };
    let mut doors = TurnDoors {
        settings: settings.clone(),
        udp: Vec::new(),
        tcp: Vec::new(),
        tls: Vec::new(),
        addresses: Vec::new(),
        tls_addresses: Vec::new(),
    };
    for listen in &settings.listen {
        let udp = bind_udp(*listen, &options)?;
        // Port 0 is for tests, and shall be one and the same for both.
        doors.tcp.push(bind_tcp(SocketAddr::new(listen.ip(), udp.local_addr().port()))?);
        doors.addresses.push(udp.local_addr());
        doors.udp.push(udp);
    }
    Ok(doors)
}

impl TurnDoors {
    fn open_tls(&mut self) -> Result<(), BindError> {
        for listen in &self.settings.tls {
            let listener = bind_tcp(*listen)?;
            self.tls_addresses.push(listener.local_addr().unwrap_or(*listen));
            self.tls.push(listener);
        }
        Ok(())
    }

    /// Starts the thread, within the runtime that serves streams.
    pub(crate) fn start(self, around: Surroundings<'_>, tls: &TlsServer) -> Result<Turn, StartError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| StartError::Randomness)?;
        let config = self.config(&around, seed);
        let (uris, spoken) = (uris(&config, &self.addresses, &self.tls_addresses), self.spoken());
        let server = Server::new(config, clock::now(), clock::unix().as_secs());
        let cannot_wait = "a thread cannot wait for sockets";
        let poller = Poller::new().map_err(system(cannot_wait))?;
        let (sockets, streams, handle) =
            TurnSockets::new(server, self.udp, poller).map_err(system(cannot_wait))?;
        listen(&streams, self.tcp, None)?;
        listen(&streams, self.tls, Some(tls))?;
        let (ends, ended) = oneshot::channel::<()>();
        let thread = spawn("offhook-turn", move || {
            // Dropped at the end, in a panic too.
            let _ends = ends;
            sockets.run()
        })?;
        let desk = TurnDesk { secret: around.secret, uris, handle, spoken };
        Ok(Turn { desk, thread, ended })
    }

    fn config(&self, around: &Surroundings<'_>, seed: [u8; 32]) -> Config {
        let listening = self.addresses.iter().map(SocketAddr::ip);
        let mut addresses: Vec<IpAddr> = listening.clone().filter(|ip| !ip.is_unspecified()).collect();
        if listening.clone().any(|ip| ip.is_unspecified()) {
            addresses = machine::addresses();
        }
        if addresses.is_empty() {
            addresses.push(Ipv4Addr::LOCALHOST.into());
        }
        let mut own = machine::addresses();
        own.extend(addresses.iter().copied().chain(around.external_address));
        own.extend(around.listening.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()));
        let ours = self.addresses.iter().chain(&self.tls_addresses);
        let shut = around.listening.iter().chain(ours).map(SocketAddr::port).collect();
        let settings = &self.settings;
        Config {
            realm: around.realm.to_owned(),
            secret: around.secret.clone(),
            seed,
            addresses,
            external_address: around.external_address,
            local_networks: around.local_networks.to_vec(),
            ports: settings.ports.clone(),
            peers: PeerPolicy {
                own,
                open: vec![around.media_ports.clone(), settings.ports.clone()],
                shut,
                allowed: settings.allow_peers.clone(),
            },
            limits: settings.limits,
        }
    }

    fn spoken(&self) -> String {
        let plain = self.addresses.iter().map(|one| format!("udp+tcp {one}"));
        let addresses: Vec<_> =
            plain.chain(self.tls_addresses.iter().map(|one| format!("tls {one}"))).collect();
        let (first, last) = (self.settings.ports.start(), self.settings.ports.end());
        format!("{}; relayed addresses: udp {first}-{last}", addresses.join("   "))
    }
}

impl TurnDesk {
    /// Credentials for an account that is known to exist.
    pub(crate) fn issue(&self, account: &str) -> TurnCredentials {
        let lifetime = credentials::LIFETIME.as_secs();
        let issued = self.secret.issue(account, clock::unix().as_secs() + lifetime);
        TurnCredentials {
            username: issued.username,
            password: issued.password,
            ttl: lifetime,
            uris: self.uris.clone(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.handle.counts()
    }
}

fn listen(
    streams: &TurnStreams,
    listeners: Vec<TcpListener>,
    tls: Option<&TlsServer>,
) -> Result<(), StartError> {
    let listened = listeners.into_iter().try_for_each(|listener| streams.listen(listener, tls.cloned()));
    listened.map_err(system("a listener cannot be watched"))
}

/// How clients are told to reach it (RFC 7064, RFC 7065), by the address that phones are told.
fn uris(config: &Config, listening: &[SocketAddr], tls: &[SocketAddr]) -> Vec<String> {
    let Some(port) = listening.first().map(SocketAddr::port) else { return Vec::new() };
    let Some(ip) = config.external_address.or(config.addresses.first().copied()) else { return Vec::new() };
    let at = SocketAddr::new(ip, port);
    let tls = tls.first().map(|one| format!("turns:{}?transport=tcp", SocketAddr::new(ip, one.port())));
    let plain = [format!("turn:{at}?transport=udp"), format!("turn:{at}?transport=tcp")];
    plain.into_iter().chain(tls).chain([format!("stun:{at}")]).collect()
}
