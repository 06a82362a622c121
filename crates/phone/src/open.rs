//! Opens a line: finds our address, the sockets, and who we are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use offhook_net::{media_identity, resolve, source_towards};
use offhook_sip::{Host, SipUri, Uri};
use offhook_sip_stack::Transport;
use offhook_ua::{Config, Listener, MediaPort, SrtpKeys, SrtpPolicy, UserAgent};

use crate::ice::IceWish;
use crate::line::{Line, Sockets};
use crate::network::Network;
use crate::settings::Settings;
use crate::tap::{Shown, Tap};
use crate::wire::{MediaPorts, Turn, Wire};
use crate::{Failure, clock};

/// What a command needs of its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Calls at a time; each needs a pair of ports.
    pub(crate) calls: usize,
    /// The port for SIP where none is given.
    pub(crate) port: u16,
    /// Whom we are going to talk to, if there is no server in between.
    pub(crate) target: Option<&'a Uri>,
    /// Where what is said goes.
    pub(crate) shown: Shown,
    /// Whether the line registers.
    pub(crate) registers: bool,
    /// Whether to follow a peer that asks us to call someone else.
    pub(crate) transfers: bool,
}

impl Wanted<'_> {
    /// A line for requests and one call.
    pub(crate) const ONE: Self =
        Self { calls: 2, port: 0, target: None, shown: Shown::Terminal, registers: false, transfers: false };
}

/// Opens a line.
///
/// # Errors
/// When a name has no address, an address is not ours, or a port is taken.
pub(crate) async fn open(settings: &Settings, wanted: Wanted<'_>) -> Result<Line, Failure> {
    let mut tap = Tap::new(settings, wanted.shown)?;
    let in_sdp = settings.srtp == SrtpPolicy::Require && settings.srtp_keys == SrtpKeys::Sdes;
    if in_sdp && !settings.transport.is_secure() {
        tap.console.note(settings.language.pick(
            "offhook: the keys of the sound can be read on the way; --transport tls hides them, --srtp-keys dtls has others",
            "offhook：语音密钥在途中可被读取；用 --transport tls 可以隐藏它们，或用 --srtp-keys dtls 另行协商",
        ));
    }
    let (local, ours, next_hop) = addresses(settings, wanted).await?;
    let by_turn = settings.ice.as_ref().is_some_and(IceWish::needs_tls);
    let tls = match settings.transport.is_secure() || by_turn {
        true => Some(settings.trust.client()?),
        false => None,
    };
    let (servers, turn) = match &settings.ice {
        Some(wish) => {
            let (servers, way) = wish.find(ours.is_ipv6()).await?;
            (Some(servers), way)
        }
        None => (None, None),
    };
    let turn = turn.map(|way| Arc::new(Turn { way, tls: tls.clone() }));
    let open = |local| Wire::open(local, tls.clone());
    let (mut wire, messages) = match usual_port(settings, wanted) {
        Some(port) if local.port() == 0 => {
            open(SocketAddr::new(local.ip(), port)).or_else(|_| open(local))?
        }
        _ => open(local)?,
    };
    if let (Some(server), Some(remote)) = (&settings.server, next_hop) {
        wire.expect(remote, &server.host.to_string());
    }
    let bound = wire.local();
    let advertised = SocketAddr::new(ours, bound.port());
    tap.set_ours(advertised);
    let cannot = |error| Failure::other(format!("no ports for sound: {error}"));
    let (ports, packets) = MediaPorts::open(bound.ip(), wanted.calls, turn).map_err(cannot)?;

    let mut config = config(settings, bound, advertised);
    config.media_ports =
        ports.locals().map(|local| MediaPort { advertised: SocketAddr::new(ours, local.port()) }).collect();
    config.max_calls = wanted.calls;
    config.ice = servers;
    if settings.srtp != SrtpPolicy::Off {
        let cannot = |error| Failure::other(format!("no certificate for DTLS can be made: {error}"));
        config.certificate = Some(media_identity().map_err(cannot)?);
    }
    config.accept_transfers = wanted.transfers;
    let rng =
        clock::rng().map_err(|error| Failure::other(format!("the system gives no randomness: {error}")))?;
    let mut line = Line::new(UserAgent::new(config, rng), tap, Sockets { wire, messages, ports, packets });
    // Who names an address of ours has decided.
    let is_free = settings.local.is_none_or(|local| local.ip().is_unspecified());
    if let Some(next_hop) = next_hop.filter(|_| is_free) {
        line.follow(Network::new(next_hop, ours, clock::now()));
    }
    Ok(line)
}

/// A registered phone has the same port each time, if it is free: so a contact that was left behind, as by a power cut,
/// is replaced and not added to, and `offhook unregister` means what `offhook register` left.
fn usual_port(settings: &Settings, wanted: Wanted<'_>) -> Option<u16> {
    let account = settings.account.as_ref().filter(|_| wanted.registers)?;
    let mut hasher = DefaultHasher::new();
    account.address.as_str().hash(&mut hasher);
    Some(10_000 + (hasher.finish() % 9_000) as u16)
}

fn config(settings: &Settings, bound: SocketAddr, advertised: SocketAddr) -> Config {
    let mut transports = vec![Transport::Udp, Transport::Tcp];
    transports.retain(|transport| *transport != settings.transport);
    transports.insert(0, settings.transport);
    let listener = |transport| Listener { transport, local: bound, advertised };
    let identity = match &settings.account {
        Some(account) => account.address.clone().without_params().without_headers(),
        None => SipUri::new(Some("offhook"), Host::from(advertised.ip())).with_port(advertised.port()),
    };
    let domain = settings.account.as_ref().map(|account| SipUri::new(None, account.address.host().clone()));
    let mut config = Config::new(identity.into(), transports.into_iter().map(listener).collect());
    config.credentials = settings.account.as_ref().and_then(|account| account.credentials.clone());
    config.registrar = domain.map(Uri::from);
    config.outbound_proxy = settings.server_uri().map(Uri::from);
    config.codecs.clone_from(&settings.codecs);
    config.srtp = settings.srtp;
    config.srtp_keys = settings.srtp_keys;
    config.headers.clone_from(&settings.headers);
    config.wall_clock = Some((clock::now(), clock::since_1970()));
    config
}

/// The address to bind, the one by which others reach us, and that of the next hop, if there is just one.
async fn addresses(
    settings: &Settings,
    wanted: Wanted<'_>,
) -> Result<(SocketAddr, IpAddr, Option<SocketAddr>), Failure> {
    let next_hop = match (settings.server_uri(), wanted.target) {
        (Some(server), _) => Some(server),
        (None, Some(target)) => target.as_sip().cloned(),
        (None, None) => None,
    };
    let remote = match &next_hop {
        Some(uri) => {
            let port = uri.port().unwrap_or(settings.transport.default_port());
            Some(remote(uri, port, settings.local.map(|local| local.ip())).await?)
        }
        None => None,
    };
    let towards = |remote| {
        source_towards(remote)
            .map_err(|error| Failure::network(format!("there is no way to {}: {error}", remote.ip())))
    };
    match (settings.local, remote) {
        (Some(local), remote) if local.ip().is_unspecified() => {
            let ours = remote.map_or_else(|| Ok(outside_address()), towards)?;
            Ok((local, ours, remote))
        }
        (Some(local), _) => Ok((local, local.ip(), remote)),
        (None, Some(remote)) => {
            let ours = towards(remote)?;
            Ok((SocketAddr::new(ours, wanted.port), ours, Some(remote)))
        }
        // Whoever calls may come by any interface.
        (None, None) => Ok((SocketAddr::from((Ipv4Addr::UNSPECIFIED, wanted.port)), outside_address(), None)),
    }
}

/// The address of the next hop: of our family where we are told which address of ours to use, else IPv4 first.
async fn remote(uri: &SipUri, port: u16, local: Option<IpAddr>) -> Result<SocketAddr, Failure> {
    let host = uri.host().to_string();
    let found = resolve(&host, port)
        .await
        .map_err(|error| Failure::network(format!("the name `{host}` cannot be found: {error}")))?;
    let ipv6 = local.is_some_and(|local| local.is_ipv6() && !local.is_unspecified());
    let of_family = found.iter().find(|address| address.is_ipv6() == ipv6);
    let any = found.first().filter(|_| local.is_none_or(|local| local.is_unspecified()));
    of_family.or(any).copied().ok_or_else(|| {
        Failure::network(format!("`{host}` has no address that can be reached from the one in --local"))
    })
}

/// Our address as seen from outside, as far as the routing table knows.
fn outside_address() -> IpAddr {
    // An address for documentation: nothing is sent to it.
    source_towards(SocketAddr::from(([192, 0, 2, 1], 9))).unwrap_or(Ipv4Addr::LOCALHOST.into())
}
