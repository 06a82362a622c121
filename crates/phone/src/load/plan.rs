//! What a load does: the flags as meant.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use offhook_sip::{Algorithm, HostPort, Uri};
use offhook_sip_stack::Transport;
use offhook_ua::SrtpPolicy;

use super::LoadOptions;
use super::speech::Speech;
use super::text::Crowd;
use crate::settings::{Demo, Settings};
use crate::target::target;
use crate::{Failure, clock};

/// Everything that is decided before the first message.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Makes Call-IDs and branches of this run its own.
    pub(super) run: u32,
    pub(super) work: Work,
    /// How many units begin in a second.
    pub(super) rate: f64,
    pub(super) count: u32,
    /// Where everything is sent to, how, and whose name that has.
    pub(super) exchange: SocketAddr,
    pub(super) transport: Transport,
    pub(super) name: String,
    /// Our address.
    pub(super) local: IpAddr,
    pub(super) callers: Crowd,
    pub(super) password: Option<String>,
    pub(super) digest: Option<Algorithm>,
    /// The callees that we play, if we do.
    pub(super) callees: Option<Crowd>,
    /// Who is called when we do not play them.
    pub(super) target: String,
    /// More header fields of each INVITE.
    pub(super) headers: String,
    pub(super) expires: Duration,
    /// How long a call lasts.
    pub(super) hold: Duration,
    /// Whether all calls are up at the same time, how long they settle, and are watched.
    pub(super) held: Option<Held>,
    pub(super) sound: bool,
    /// What the callers speak, and how their offers describe it.
    pub(super) speech: Speech,
    pub(super) description: String,
    /// Sockets of the callers, and half as many of the callees.
    pub(super) sockets: u32,
    /// How long the answer to one request is waited for.
    pub(super) patience: Duration,
    /// Set-ups that take longer do not count as in time.
    pub(super) in_time: Duration,
    /// Datagrams of nonsense, and requests sent twice, for each good one.
    pub(super) garbage: f64,
    pub(super) repeats: f64,
    /// After the load: units in a second, and for how long.
    pub(super) after: Option<(f64, Duration)>,
    pub(super) marks: bool,
    /// More failures, in percent, make the command fail.
    pub(super) max_failures: f64,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// REGISTER, and once more if challenged.
    Registrations,
    /// INVITE to the 200 of BYE.
    Calls,
}

/// How calls are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) settle: Duration,
    pub(super) watch: Duration,
}

impl Plan {
    pub(super) fn new(options: &LoadOptions, settings: &Settings) -> Result<Self, Failure> {
        let transport = settings.transport;
        if transport.is_reliable() && (options.garbage > 0.0 || options.repeats > 0.0) {
            return Err(Failure::usage("--garbage and --repeats are for UDP: a stream repeats nothing"));
        }
        if settings.srtp == SrtpPolicy::Require {
            return Err(Failure::usage(
                "--srtp require: the sound of load is encrypted by --rtp --speech sdes or dtls",
            ));
        }
        let (work, count) = match (options.registrations, options.calls) {
            (Some(count), _) => (Work::Registrations, count),
            (None, count) => (Work::Calls, count.unwrap_or(100)),
        };
        let target = target(&options.target, settings)?;
        let Uri::Sip(uri) = &target else { return Err(Failure::usage("load calls SIP addresses")) };
        let server = settings.server.clone();
        let server = server.unwrap_or_else(|| HostPort { host: uri.host().clone(), port: uri.port() });
        let exchange = resolve(&server, transport)?;
        let local = match settings.local {
            Some(local) => local.ip(),
            None => address_towards(exchange)?,
        };
        let callees = options.callees.map(|accounts| Crowd {
            user: uri.user().unwrap_or("callee").to_owned(),
            host: uri.host().to_string(),
            accounts: Some(accounts.max(1)),
        });
        let speech = Speech::new(options.speech).ok_or_else(|| Failure::usage("no random numbers"))?;
        Ok(Self {
            run: clock::since_1970().as_micros() as u32 ^ std::process::id() << 16,
            work,
            rate: options.rate,
            count,
            exchange,
            transport,
            name: server.host.to_string(),
            local,
            callers: callers(options, settings, local)?,
            password: password(settings),
            digest: options.digest,
            callees,
            target: target.to_string(),
            headers: settings.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect(),
            expires: options.expires,
            hold: options.hold,
            held: options.held.then_some(Held { settle: options.settle, watch: options.watch }),
            sound: options.rtp,
            description: speech.description(),
            speech,
            sockets: options.sockets.clamp(1, 64),
            patience: options.patience,
            in_time: options.in_time,
            garbage: f64::from(options.garbage) / 100.0,
            repeats: f64::from(options.repeats) / 100.0,
            after: options.after.map(|rate| (rate, options.after_for)),
            marks: options.marks,
            max_failures: f64::from(options.max_failures),
        })
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self {
            run: 0xabc,
            work: Work::Calls,
            rate: 1.0,
            count: 1,
            exchange: ([127, 0, 0, 1], 5060).into(),
            transport: Transport::Udp,
            name: "127.0.0.1".into(),
            local: [127, 0, 0, 1].into(),
            callers: Crowd { user: "u".into(), host: "127.0.0.1".into(), accounts: Some(10) },
            password: None,
            digest: None,
            callees: None,
            target: "sip:b@127.0.0.1".into(),
            headers: String::new(),
            expires: Duration::from_secs(3600),
            hold: Duration::ZERO,
            held: None,
            sound: false,
            description: Speech::Plain.description(),
            speech: Speech::Plain,
            sockets: 1,
            patience: Duration::from_secs(10),
            in_time: Duration::from_secs(2),
            garbage: 0.0,
            repeats: 0.0,
            after: None,
            marks: false,
            max_failures: 0.0,
        }
    }

    /// What a Contact says of the transport.
    pub(super) fn contact_param(&self) -> String {
        match self.transport {
            Transport::Udp => String::new(),
            // RFC 7118 §5.2.2: both kinds of WebSocket have one name in URIs.
            Transport::Wss => format!(";transport={}", Transport::Ws.uri_name()),
            other => format!(";transport={}", other.uri_name()),
        }
    }

    /// Whom a call goes to.
    pub(super) fn callee(&self, call: u32) -> std::borrow::Cow<'_, str> {
        match &self.callees {
            Some(crowd) => format!("sip:{}@{}", crowd.user(call % crowd.len()), crowd.host).into(),
            None => self.target.as_str().into(),
        }
    }
}

/// The demo may lend its account to reach the target.
pub(super) fn settings(options: &LoadOptions) -> Result<Settings, Failure> {
    Settings::new(&options.flags, Demo::For(&options.target))
}

fn callers(options: &LoadOptions, settings: &Settings, local: IpAddr) -> Result<Crowd, Failure> {
    match &settings.account {
        Some(account) => Ok(Crowd {
            user: account.address.user().unwrap_or_default().to_owned(),
            host: account.address.host().to_string(),
            accounts: options.users,
        }),
        None if options.registrations.is_some() => {
            Err(Failure::usage("to register, say who: --account sip:alice@example.com"))
        }
        None => Ok(Crowd { user: "load".into(), host: local.to_string(), accounts: options.users }),
    }
}

fn password(settings: &Settings) -> Option<String> {
    Some(settings.account.as_ref()?.credentials.as_ref()?.password.clone())
}

fn resolve(server: &HostPort, transport: Transport) -> Result<SocketAddr, Failure> {
    let host = server.host.to_string();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = server.port.unwrap_or(transport.default_port());
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::network(format!("{host} has no address: {error}")))?;
    found.next().ok_or_else(|| Failure::network(format!("{host} has no address")))
}

/// The address that the system would send from.
fn address_towards(peer: SocketAddr) -> Result<IpAddr, Failure> {
    let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(peer)?;
        socket.local_addr()
    });
    asked.map(|local| local.ip()).map_err(|error| Failure::network(format!("no way to {peer}: {error}")))
}

/// Reads `50/s`, `50`, `3000/m` as units in a second.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no rate; write for example 50/s");
    let (number, per) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match per.trim() {
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Some(number / seconds).filter(|rate| rate.is_finite() && (0.001..=1e7).contains(rate)).ok_or_else(wrong)
}

/// Reads the name of a digest algorithm.
pub(super) fn parse_digest(text: &str) -> Result<Algorithm, String> {
    Algorithm::parse(text).ok_or_else(|| format!("`{text}`: MD5, SHA-256 or SHA-512-256"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in
            [("50/s", 50.0), ("50", 50.0), ("3000/m", 50.0), ("7200 / h", 2.0), ("0.5/s", 0.5)]
        {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for text in ["", "fast", "50/d", "-1/s", "0/s", "NaN/s", "1e99/s"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn several_accounts_have_numbers_and_one_has_its_name() {
        let crowd = |accounts| Crowd { user: "u".into(), host: "h".into(), accounts };
        assert_eq!((crowd(Some(3)).user(2), crowd(Some(3)).len()), ("u2".into(), 3));
        assert_eq!((crowd(None).user(2), crowd(None).len()), ("u".into(), 1));
    }

    #[test]
    fn calls_go_around_the_callees() {
        let mut plan = Plan::for_tests();
        assert_eq!(plan.callee(5), "sip:b@127.0.0.1");
        plan.callees = Some(Crowd { user: "b".into(), host: "h".into(), accounts: Some(2) });
        assert_eq!((plan.callee(5), plan.callee(6)), ("sip:b1@h".into(), "sip:b0@h".into()));
    }
}
