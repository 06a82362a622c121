//! `[turn]` as it is meant.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use offhook_exchange::config::Listener;
use offhook_media::turn::{Limits, opens};
use offhook_sip_stack::Transport;

use super::Meaning;
use crate::config_file::Value;
use crate::{machine, start};

/// What the TURN server must know to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnSettings {
    /// Where TURN and STUN are spoken, over UDP and over TCP.
    pub listen: Vec<SocketAddr>,
    /// Whether that was named: if not, the exchange does without where the port is taken.
    pub is_named: bool,
    /// Where they are spoken over TLS.
    pub tls: Vec<SocketAddr>,
    /// Whether that was named.
    pub tls_is_named: bool,
    /// Ports of relayed addresses.
    pub ports: RangeInclusive<u16>,
    /// Private networks that may be reached.
    pub allow_peers: Vec<IpNet>,
    /// What clients may take.
    pub limits: Limits,
}

impl Meaning<'_> {
    /// `None`: off.
    pub(super) fn turn(
        &mut self,
        listeners: &[Listener],
        media_ports: &RangeInclusive<u16>,
        warnings: &mut Vec<String>,
    ) -> Option<TurnSettings> {
        let is_named = self.written.get("turn.listen").is_some();
        let ports = match self.written.value("turn.ports") {
            Some(Value::Ports(ports)) => ports,
            _ => return None,
        };
        // Where nobody has to prove anything, no door is open that was not asked for.
        if !is_named && self.text("security.authentication").as_deref() == Some("off") {
            return None;
        }
        let listen = self.turn_listen(is_named, listeners)?;
        let may_fit = is_named || self.written.get("turn.ports").is_some();
        let tls_is_named = self.written.get("turn.tls").is_some();
        let tls = self.turn_tls(tls_is_named, &listen);
        let all = [&listen[..], &tls].concat();
        if let Some(what) = self.turn_clash(&ports, &all, listeners, media_ports) {
            if may_fit {
                self.mistake("turn.ports", what, None);
            } else {
                warnings.push(format!("TURN is off: {what}"));
            }
            return None;
        }
        Some(TurnSettings {
            listen,
            is_named,
            tls,
            tls_is_named,
            ports,
            allow_peers: self.allow_peers(warnings),
            limits: Limits {
                per_account: self.count("turn.max_allocations_per_account"),
                allocations: self.count("turn.max_allocations"),
                bytes_per_second: self.count("turn.bytes_per_second") as u64,
            },
        })
    }

    /// Where it was said, or where SIP was said to be. A relay that only its own machine reaches is of no use.
    fn turn_listen(&self, is_named: bool, listeners: &[Listener]) -> Option<Vec<SocketAddr>> {
        let named = self.addresses("turn.listen");
        if is_named {
            return Some(named).filter(|named| !named.is_empty());
        }
        let key = |one: &Listener| match one.transport {
            Transport::Udp => "sip.udp",
            Transport::Tcp => "sip.tcp",
            Transport::Tls | Transport::Ws | Transport::Wss => "sip.tls",
        };
        let said = |one: &&Listener| self.written.get(key(one)).is_some();
        let said: Vec<Listener> = listeners.iter().filter(said).copied().collect();
        let ip = start::media_address(if said.is_empty() { listeners } else { &said });
        let port = named.first()?.port();
        (!ip.is_loopback()).then(|| vec![SocketAddr::new(ip, port)])
    }

    /// Where it was said, or beside the usual port of TURN (RFC 8656 §18.9).
    fn turn_tls(&self, is_named: bool, listen: &[SocketAddr]) -> Vec<SocketAddr> {
        let named = self.addresses("turn.tls");
        let Some(port) = named.first().filter(|_| !is_named).map(SocketAddr::port) else { return named };
        let usual = listen.iter().filter(|one| one.port() == USUAL_PORT);
        usual.map(|one| SocketAddr::new(one.ip(), port)).collect()
    }

    /// Why these ports cannot be those of relayed addresses.
    fn turn_clash(
        &self,
        ports: &RangeInclusive<u16>,
        listen: &[SocketAddr],
        listeners: &[Listener],
        media_ports: &RangeInclusive<u16>,
    ) -> Option<String> {
        let (first, last) = (ports.start(), ports.end());
        if first <= media_ports.end() && media_ports.start() <= last {
            let (media_first, media_last) = (media_ports.start(), media_ports.end());
            return Some(format!(
                "turn.ports {first}-{last} and media.ports {media_first}-{media_last} have ports in common"
            ));
        }
        let others = [("sip", listeners.iter().map(|one| one.address.port()).collect::<Vec<_>>())];
        let own = [("turn.listen", listen.iter().map(SocketAddr::port).collect())];
        let web = ["web.http", "web.listen"]
            .map(|name| (name, self.addresses(name).iter().map(SocketAddr::port).collect()));
        let all = others.into_iter().chain(own).chain(web);
        let taken = all.flat_map(|(name, ports)| ports.into_iter().map(move |port| (name, port)));
        let (name, port) = taken.into_iter().find(|(_, port)| ports.contains(port))?;
        Some(format!("turn.ports {first}-{last} include {port}, which is a port of {name}"))
    }

    fn allow_peers(&mut self, warnings: &mut Vec<String>) -> Vec<IpNet> {
        let Some(Value::Networks(networks)) = self.written.value("turn.allow_peers") else {
            return Vec::new();
        };
        let own = machine::addresses();
        for network in &networks {
            if !opens(network) && !own.iter().any(|ip| IpNet::from(*ip) == *network) {
                let what = format!("{network} opens nothing: it is not within a private network");
                let help = Some("public addresses may be reached without; others never".to_owned());
                self.mistake("turn.allow_peers", what, help);
            } else if network.network().is_loopback() {
                warnings.push(format!(
                    "turn.allow_peers names {network}: every account may send to what listens on this machine alone"
                ));
            }
        }
        networks
    }
}

const USUAL_PORT: u16 = 3478;
