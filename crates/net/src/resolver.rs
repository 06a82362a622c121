//! The DNS: names to addresses for the phone, by the system; questions of the exchange, by a resolver of our own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use offhook_sip_stack::locate::{DnsAnswer, DnsFailure, Naptr, Question, Reach, Records, Srv};
use offhook_udp_batch::canonical;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::source_towards;

/// The addresses of a host: a name, an IPv4 address, or an IPv6 address with or without brackets. In the
/// system's order of preference, each once, never none.
///
/// # Errors
/// When the name has no address or the resolver does not answer.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![canonical(SocketAddr::new(ip, port))]);
    }
    let mut addresses = Vec::new();
    for address in tokio::net::lookup_host((host, port)).await?.map(canonical) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Answers the questions of RFC 3263 with what DNS servers say. Answers, also that there are none, are kept as long as the
/// servers allow. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Resolver {
    dns: Option<TokioResolver>,
    patience: Duration,
    asking: Arc<Semaphore>,
    runtime: Handle,
}

impl Resolver {
    /// Asks these servers, or those of the system (`/etc/resolv.conf`, read now) if there are none. Each question is
    /// answered after `patience` at the latest. Must be called within a tokio runtime, in which it works.
    ///
    /// Where the system names no servers, only addresses are resolved; the error says why.
    pub fn new(servers: &[SocketAddr], patience: Duration) -> (Self, Option<String>) {
        let built = match servers {
            [] => TokioResolver::builder_tokio(),
            named => {
                let config = ResolverConfig::from_name_servers(named.iter().map(server).collect());
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
        };
        let built = built.and_then(|mut builder| {
            set_up(builder.options_mut(), patience);
            builder.build()
        });
        let (dns, trouble) = match built {
            Ok(dns) => (Some(dns), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let asking = Arc::new(Semaphore::new(ASKING));
        (Self { dns, patience, asking, runtime: Handle::current() }, trouble)
    }

    /// Has `then` told the answer, on a thread of the runtime. Returns at once.
    pub fn ask(&self, question: Question, then: impl FnOnce(DnsAnswer) + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.asking).try_acquire_owned() else {
            return then(Err(DnsFailure::Busy));
        };
        let this = self.clone();
        self.runtime.spawn(async move {
            let answer = this.answer(&question).await;
            if let Err(failure) = &answer {
                tracing::debug!(%question, %failure, "DNS");
            }
            drop(permit);
            then(answer);
        });
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// Why there are no records.
    pub async fn answer(&self, question: &Question) -> DnsAnswer {
        if let Question::Addresses(name) = question
            && let Ok(ip) = name.trim_matches(['[', ']']).parse::<IpAddr>()
        {
            return reachable([ip]);
        }
        let dns = self.dns.as_ref().ok_or(DnsFailure::ServerFailure)?;
        let mut name = Name::from_ascii(question.name()).map_err(|_| DnsFailure::NoSuchName)?;
        // Names in SIP are whole; nothing is searched for in domains of this machine.
        name.set_fqdn(true);
        let asked = async {
            match question {
                Question::Naptr(_) => Ok(naptr(&dns.lookup(name, RecordType::NAPTR).await?)),
                Question::Srv(_) => Ok(srv(&dns.lookup(name, RecordType::SRV).await?)),
                Question::Addresses(_) => {
                    let found = dns.lookup_ip(name).await?;
                    Ok(reachable(found.iter()))
                }
            }
        };
        match tokio::time::timeout(self.patience, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(DnsFailure::Silent),
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("patience", &self.patience).finish_non_exhaustive()
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    // TCP too: an answer that was cut short is asked for again there.
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|one| one.port = address.port());
    server
}

fn set_up(options: &mut ResolverOpts, patience: Duration) {
    options.attempts = ATTEMPTS;
    options.timeout = patience / (ATTEMPTS as u32 + 1);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.cache_size = KEPT;
    options.positive_max_ttl = Some(Duration::from_secs(86_400));
    // A name that is asked for in a loop must not be a loop of questions.
    options.negative_min_ttl = Some(Duration::from_secs(5));
    options.negative_max_ttl = Some(Duration::from_secs(3_600));
}

fn naptr(found: &hickory_resolver::lookup::Lookup) -> DnsAnswer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::NAPTR(one) => Some(Naptr {
            order: one.order,
            preference: one.preference,
            flags: text(&one.flags),
            service: text(&one.services),
            regexp: text(&one.regexp),
            replacement: one.replacement.to_ascii(),
        }),
        _ => None,
    });
    some(records.take(MOST_RECORDS).collect(), Records::Naptr)
}

fn srv(found: &hickory_resolver::lookup::Lookup) -> DnsAnswer {
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(one) => Some(Srv {
            priority: one.priority,
            weight: one.weight,
            port: one.port,
            target: one.target.to_ascii(),
        }),
        _ => None,
    });
    some(records.take(MOST_RECORDS).collect(), Records::Srv)
}

fn some<T>(records: Vec<T>, wrap: impl FnOnce(Vec<T>) -> Records) -> DnsAnswer {
    if records.is_empty() { Err(DnsFailure::NoRecords) } else { Ok(wrap(records)) }
}

/// The addresses to which there is a route, IPv4 first: it is what SIP servers have.
fn reachable(addresses: impl IntoIterator<Item = IpAddr>) -> DnsAnswer {
    let mut all: Vec<IpAddr> = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
    all.sort_by_key(IpAddr::is_ipv6);
    let reach = |remote: IpAddr| {
        let local = source_towards(SocketAddr::new(remote, ANY_PORT)).ok()?;
        Some(Reach { remote, local })
    };
    let found: Vec<_> = all.iter().take(MOST_RECORDS).filter_map(|ip| reach(*ip)).collect();
    match (all.is_empty(), found.is_empty()) {
        (true, _) => Err(DnsFailure::NoRecords),
        (false, true) => Err(DnsFailure::NoRoute),
        (false, false) => Ok(Records::Addresses(found)),
    }
}

fn failure(error: &NetError) -> DnsFailure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsFailure::NoSuchName,
            ResponseCode::NoError => DnsFailure::NoRecords,
            _ => DnsFailure::ServerFailure,
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => DnsFailure::NoSuchName,
        NetError::Busy => DnsFailure::Busy,
        // A port that is closed answers as little as a machine that is off.
        NetError::Timeout | NetError::Io(_) | NetError::NoConnections => DnsFailure::Silent,
        _ => DnsFailure::ServerFailure,
    }
}

/// Questions under way at a time.
const ASKING: usize = 1_024;
/// Times that a server is asked again.
const ATTEMPTS: usize = 1;
/// Sets of records that are kept.
const KEPT: u64 = 8_192;
/// Of one answer.
const MOST_RECORDS: usize = 32;
/// The routing table does not look at ports.
const ANY_PORT: u16 = 5060;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_stand_for_themselves() {
        for (host, expected) in
            [("192.0.2.1", "192.0.2.1:5060"), ("[2001:db8::1]", "[2001:db8::1]:5060"), ("::1", "[::1]:5060")]
        {
            assert_eq!(resolve(host, 5060).await.unwrap(), [expected.parse::<SocketAddr>().unwrap()]);
        }
    }

    #[tokio::test]
    async fn localhost_is_this_machine() {
        let addresses = resolve("localhost", 5060).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 5060));
    }
}
