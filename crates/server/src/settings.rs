//! The configuration as meant: settings that belong together and cannot be wrong.

mod account;
mod camera;
mod dialled;
mod group;
mod lines;
mod mail;
mod menu;
mod messages;
mod plan;
mod presence;
mod queue;
mod reread;
mod schedule;
mod services;
mod spending;
mod stir;
mod trace;
mod trunk;
mod turn;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use offhook_exchange::bans::BanRules;
use offhook_exchange::config::{
    AnchorPolicy, Authentication, Config, Key, Listener, RegistrarLimits, SrtpPolicy, Strangers,
};
use offhook_exchange::route::{Plan, Trunk};
use offhook_exchange::spending::{Limits, Rates};
use offhook_media::lease::PortBlock;
use offhook_sdp::Codec;
use offhook_sip_stack::Transport;

pub use account::DeclaredAccount;
pub use mail::{Mail, MailTls};
pub use messages::Messages;
pub(crate) use reread::Reread;
pub use services::Service;
pub use spending::read_rates;
pub use turn::TurnSettings;

use crate::config_file::{Mistake, Mistakes, OBJECTS, Sources, Value, Written, did_you_mean};
use crate::machine;
use crate::stored::NumberRules;

/// Everything that a server must know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names and addresses served here, in lower case; the first is the realm of new passwords.
    pub domains: Vec<String>,
    /// Whether they were named, or are the machine's own.
    pub domains_are_named: bool,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the process writes its number.
    pub pid_file: Option<PathBuf>,
    /// DNS servers; none: those of the system.
    pub dns_servers: Vec<SocketAddr>,
    /// How long they may take to answer.
    pub dns_timeout: Duration,
    /// Where SIP is spoken.
    pub listeners: Vec<Listener>,
    /// Whether the addresses for TLS were named: if not, other free ports will do.
    pub tls_is_named: bool,
    /// The certificate shown over TLS; none means our own.
    pub sip_certificate: Option<CertificateFiles>,
    /// Authorities of which one must have signed a client's certificate.
    pub client_ca: Option<PathBuf>,
    /// Authorities of other domains, beside those that the system trusts.
    pub peer_ca: Option<PathBuf>,
    /// Networks from which someone without an account may call in …
    pub allow_from: Vec<IpNet>,
    /// … and domains whose servers may.
    pub allow_domains: Vec<String>,
    /// What one source without an account may begin in a minute.
    pub strangers_per_minute: u32,
    /// Where calls go that are for no account.
    pub plan: Plan,
    /// Lines to other networks.
    pub trunks: Vec<Trunk>,
    /// Whether accounts may call other domains.
    pub other_domains: bool,
    /// How many threads do so, each with a shard of its own.
    pub threads: u8,
    /// The address that phones outside the local networks are told.
    pub external_address: Option<IpAddr>,
    /// Networks whose phones reach us by the address that we see.
    pub local_networks: Vec<IpNet>,
    /// Where the API is served.
    pub http: Vec<SocketAddr>,
    /// Whether that was named: if not, another free port will do.
    pub http_is_named: bool,
    /// Where it is served over HTTPS.
    pub https: Vec<SocketAddr>,
    /// Whether that was named: if not, another free port will do.
    pub https_is_named: bool,
    /// Where the certificate for that comes from.
    pub web_tls: WebTls,
    /// The certificate shown there; none means that of SIP.
    pub web_certificate: Option<CertificateFiles>,
    /// Ports for relayed media.
    pub media_ports: RangeInclusive<u16>,
    /// Whether media goes through the exchange.
    pub anchor: AnchorPolicy,
    /// Whether media through the exchange is encrypted.
    pub srtp: SrtpPolicy,
    /// Formats of sound that are translated, the preferred one first.
    pub codecs: Vec<Codec>,
    /// A call without media for this long is ended.
    pub media_timeout: Duration,
    /// The same for a call on hold.
    pub hold_timeout: Duration,
    /// The TURN server; `None`: there is none.
    pub turn: Option<TurnSettings>,
    /// What text messages are set to.
    pub messages: Messages,
    /// Who takes mails about voice messages; `None`: there are none.
    pub mail: Option<Mail>,
    /// How the numbers of callers from outside are checked …
    pub stir: offhook_exchange::stir::Settings,
    /// … and the private networks from which certificates for that may be fetched.
    pub stir_hosts: Vec<IpNet>,
    /// What presence is set to.
    pub presence: offhook_exchange::presence::Settings,
    /// Octets in which the messages that passed lately are kept; 0: they are not.
    pub trace_memory: usize,
    /// What the services are set to.
    pub services: offhook_exchange::services::Settings,
    /// Where the cameras are.
    pub cameras: Vec<offhook_camera::Source>,
    /// After how many days the recording of a call is deleted; 0: never.
    pub recordings_keep_days: u64,
    /// After how many days a message of voicemail is deleted; 0: never.
    pub voicemail_keep_days: u64,
    /// The database.
    pub store_url: String,
    /// Whether phones must prove who they are.
    pub authentication: Authentication,
    /// Whether someone without an account may call an account.
    pub strangers: Strangers,
    /// Calls that an account may have at a time.
    pub max_calls_per_account: usize,
    /// When an address is banned.
    pub ban: BanRules,
    /// What accounts may do by trunks that have no limits of their own.
    pub limits: Limits,
    /// What calls by trunks cost …
    pub rates: Arc<Rates>,
    /// … and the file that says so.
    pub rates_file: Option<PathBuf>,
    /// How accounts get numbers that they apply for.
    pub numbers: NumberRules,
    /// Limits of the registrar.
    pub registrar: RegistrarLimits,
    /// How long a phone may ring.
    pub timer_c: Duration,
    /// Accounts that the files declare.
    pub accounts: Vec<DeclaredAccount>,
    /// What the operator should know: keys without effect, and dangers.
    pub warnings: Vec<String>,
    /// What it was made of …
    pub(crate) written: Arc<Written>,
    /// … and where that stands.
    pub(crate) sources: Sources,
}

/// A certificate and its key, as files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Where the certificate for HTTPS comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebTls {
    /// From files if some are named, else from our own authority.
    Auto,
    /// From files.
    Files,
    /// There is no HTTPS.
    Off,
}

impl Settings {
    /// Reads the sources and makes sense of them.
    ///
    /// # Errors
    /// All mistakes that there are.
    pub fn read(sources: &Sources) -> Result<Self, Mistakes> {
        Self::read_with_written(sources).map(|(settings, _)| settings)
    }

    /// The same, and what it was made of.
    ///
    /// # Errors
    /// All mistakes that there are: what cannot be read, and what makes no sense.
    pub fn read_with_written(sources: &Sources) -> Result<(Self, Written), Mistakes> {
        let (written, mistakes) = sources.read_what_can_be();
        let mut meaning = Meaning { written: &written, mistakes: Vec::new() };
        let settings = Settings { sources: sources.clone(), ..meaning.settings() };
        let mistakes = mistakes.and(meaning.mistakes);
        if mistakes.0.is_empty() { Ok((settings, written)) } else { Err(mistakes) }
    }

    /// Looks whether the files that are named can be used.
    ///
    /// # Errors
    /// The first that cannot, and why.
    pub fn check_certificates(&self) -> Result<(), crate::CertificateError> {
        if let Some(file) = &self.peer_ca {
            offhook_net::read_certificates(file)?;
        }
        crate::certificates::Certificates::of(self).check()
    }

    /// What the exchange must know of it, for these listeners as they were opened.
    pub fn exchange(&self, realm: String, listeners: Vec<Listener>, key: Key) -> Config {
        let mut domains = self.domains.clone();
        if !self.domains_are_named {
            // Whoever asks one of our addresses means us.
            for ip in listeners.iter().map(|one| one.address.ip()).filter(|ip| !ip.is_unspecified()) {
                if !domains.contains(&host(ip)) {
                    domains.push(host(ip));
                }
            }
        }
        let mut config = Config::new(domains, key);
        config.shards = self.threads;
        config.realm = realm;
        config.listeners = listeners;
        config.external_address = self.external_address;
        config.local_networks.clone_from(&self.local_networks);
        config.anchor = self.anchor;
        config.srtp = self.srtp;
        config.codecs.clone_from(&self.codecs);
        config.media_timeout = self.media_timeout;
        config.hold_timeout = self.hold_timeout;
        config.authentication = self.authentication;
        config.strangers = self.strangers;
        config.other_domains = self.other_domains;
        config.allow_from.clone_from(&self.allow_from);
        config.allow_domains.clone_from(&self.allow_domains);
        config.strangers_per_minute = self.strangers_per_minute;
        config.plan.clone_from(&self.plan);
        config.trunks.clone_from(&self.trunks);
        config.ban = self.ban;
        config.max_calls_per_account = self.max_calls_per_account;
        config.limits = self.limits;
        config.rates = Arc::clone(&self.rates);
        config.registrar = self.registrar;
        config.timer_c = self.timer_c;
        config.messages = self.messages.exchange;
        config.stir = self.stir.clone();
        config.presence = self.presence;
        config.services.clone_from(&self.services);
        config
    }
}

/// What a word for the encryption of media means.
fn srtp_policy(word: &str) -> SrtpPolicy {
    match word {
        "off" => SrtpPolicy::Off,
        "require" => SrtpPolicy::Require,
        _ => SrtpPolicy::Prefer,
    }
}

/// The format of this name, if it can be translated.
fn codec(name: &str) -> Option<Codec> {
    match name {
        "opus" => Some(Codec::opus(111)),
        "g722" => Some(Codec::g722()),
        "pcma" => Some(Codec::pcma()),
        "pcmu" => Some(Codec::pcmu()),
        _ => None,
    }
}

/// Names and addresses by which the machine is known: its name, its addresses, and itself.
fn domains_of_machine() -> Vec<String> {
    let mut domains: Vec<String> = machine::name().into_iter().collect();
    domains.extend(machine::addresses().into_iter().map(host));
    for own in ["localhost", "127.0.0.1", "[::1]"] {
        if !domains.iter().any(|domain| domain == own) {
            domains.push(own.into());
        }
    }
    domains
}

/// An address as the host of a URI.
fn host(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

struct Meaning<'a> {
    written: &'a Written,
    mistakes: Vec<Mistake>,
}

impl Meaning<'_> {
    fn settings(&mut self) -> Settings {
        let domains = self.domains();
        let mut listeners = self.listeners();
        let sip_certificate = self.certificate("sip.certificate", "sip.key");
        let web_certificate = self.certificate("web.certificate", "web.key");
        let web_tls = self.web_tls(sip_certificate.is_some() || web_certificate.is_some());
        let media_ports = match self.written.value("media.ports") {
            Some(Value::Ports(ports)) => ports,
            _ => 20_000..=20_999,
        };
        let choice = |path, word: &str| self.text(path).is_some_and(|text| text == word);
        let authentication = match choice("security.authentication", "off") {
            true => Authentication::Off,
            false => Authentication::Required,
        };
        let other_domains = choice("sip.other_domains", "allow");
        let strangers =
            if choice("security.strangers", "allow") { Strangers::Allow } else { Strangers::Refuse };
        let anchor = match self.text("media.anchor").as_deref() {
            Some("always") => AnchorPolicy::Always,
            Some("never") => AnchorPolicy::Never,
            _ => AnchorPolicy::Auto,
        };
        let srtp = srtp_policy(&self.text("media.srtp").unwrap_or_default());
        let mut warnings = self.warnings();
        let turn = self.turn(&listeners, &media_ports, &mut warnings);
        self.check_srtp(srtp, anchor);
        let codecs = self.codecs();
        let (plan, trunks) = self.plan();
        let (allow_from, allow_domains) = self.allow_from();
        let (rates_file, rates) = self.rates();
        let limits = self.limits();
        let mut https = if web_tls == WebTls::Off { Vec::new() } else { self.addresses("web.listen") };
        if authentication == Authentication::Off {
            // Where nobody has to prove anything, no door is open that was not asked for.
            listeners.retain(|one| one.transport != Transport::Tls || self.is_named("sip.tls"));
            https.retain(|_| self.is_named("web.listen"));
            let web = [self.addresses("web.http"), https.clone()].concat();
            self.check_open_door(&listeners, &web);
            warnings.push(OPEN_DOOR.into());
        }
        Settings {
            domains_are_named: domains.is_some(),
            domains: domains.unwrap_or_else(domains_of_machine),
            data_dir: self.text("data_dir").map_or_else(machine::data_dir, PathBuf::from),
            pid_file: self.text("pid_file").map(PathBuf::from),
            dns_servers: self.addresses("dns.servers"),
            dns_timeout: self.time("dns.timeout"),
            listeners,
            tls_is_named: self.is_named("sip.tls"),
            sip_certificate,
            client_ca: self.text("sip.client_ca").map(PathBuf::from),
            peer_ca: self.text("sip.peer_ca").map(PathBuf::from),
            other_domains,
            allow_from,
            allow_domains,
            strangers_per_minute: u32::try_from(self.count("security.strangers_per_minute"))
                .unwrap_or(u32::MAX),
            plan,
            trunks,
            external_address: match self.written.value("sip.external_address") {
                Some(Value::Ip(address)) => address,
                _ => None,
            },
            local_networks: match self.written.value("sip.local_networks") {
                Some(Value::Networks(networks)) => networks,
                _ => Vec::new(),
            },
            http: self.addresses("web.http"),
            http_is_named: self.is_named("web.http"),
            https,
            https_is_named: self.is_named("web.listen"),
            web_tls,
            web_certificate,
            threads: self.threads(&media_ports),
            media_ports,
            anchor,
            srtp,
            codecs,
            media_timeout: self.time("media.timeout"),
            hold_timeout: self.time("media.hold_timeout"),
            turn,
            messages: self.messages(),
            mail: self.mail(),
            stir: self.stir(),
            stir_hosts: self.stir_hosts(),
            presence: self.presence(),
            trace_memory: self.trace_memory(),
            services: self.services(),
            cameras: self.camera_sources(),
            recordings_keep_days: self.count("services.recording.keep_days") as u64,
            voicemail_keep_days: self.count("services.voicemail.keep_days") as u64,
            store_url: self.store_url(),
            authentication,
            strangers,
            ban: BanRules {
                failures: self.count("security.ban.failures") as u32,
                window: self.time("security.ban.window"),
                duration: self.time("security.ban.duration"),
            },
            max_calls_per_account: self.count("security.max_calls_per_account"),
            limits,
            rates: Arc::new(rates),
            rates_file,
            numbers: NumberRules {
                quota: self.count("numbers.quota"),
                at_once: self.text("numbers.approval").as_deref() == Some("automatic"),
            },
            registrar: self.registrar(),
            timer_c: self.timer_c(),
            accounts: account::declared(self.written, &mut self.mistakes),
            warnings,
            written: Arc::new(self.written.clone()),
            sources: Sources::default(),
        }
    }

    fn domains(&mut self) -> Option<Vec<String>> {
        let Some(Value::Texts(named)) = self.written.get("domains").map(|entry| entry.value.clone()) else {
            return None;
        };
        let mut domains: Vec<String> = Vec::with_capacity(named.len());
        for name in named {
            let domain = match name.parse::<IpAddr>() {
                Ok(ip) => host(ip),
                Err(_) => name.trim_end_matches('.').to_ascii_lowercase(),
            };
            if offhook_sip::HostPort::parse(&domain).is_none_or(|parsed| parsed.port.is_some()) {
                let what = format!("{name:?} is neither a host name nor an address (leave out ports)");
                self.mistake("domains", what, None);
            } else if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        if domains.is_empty() {
            self.mistake("domains", "there must be at least one domain".into(), None);
        }
        Some(domains)
    }

    fn listeners(&mut self) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let keys = [("sip.udp", Transport::Udp), ("sip.tcp", Transport::Tcp), ("sip.tls", Transport::Tls)];
        for (path, transport) in keys {
            let listener = |address| Listener { transport, address };
            listeners.extend(self.addresses(path).into_iter().map(listener));
        }
        if listeners.is_empty() {
            self.mistake(
                "sip.udp",
                "with sip.udp, sip.tcp and sip.tls off there is nothing to do".into(),
                None,
            );
        }
        listeners
    }

    /// Files that belong together: both are named, or neither is.
    fn certificate(&mut self, certificate: &'static str, key: &'static str) -> Option<CertificateFiles> {
        match (self.text(certificate), self.text(key)) {
            (Some(certificate), Some(key)) => {
                Some(CertificateFiles { certificate: certificate.into(), key: key.into() })
            }
            (None, None) => None,
            (Some(_), None) => {
                self.mistake(certificate, format!("{certificate} needs its key: set {key} too"), None);
                None
            }
            (None, Some(_)) => {
                self.mistake(key, format!("{key} belongs to a certificate: set {certificate} too"), None);
                None
            }
        }
    }

    fn web_tls(&mut self, has_files: bool) -> WebTls {
        match self.text("web.tls").as_deref() {
            Some("off") => WebTls::Off,
            Some("files") if !has_files => {
                let help = Some("set web.certificate and web.key, or those of sip".to_owned());
                self.mistake("web.tls", "files are wanted, but none are named".into(), help);
                WebTls::Files
            }
            Some("files") => WebTls::Files,
            _ => WebTls::Auto,
        }
    }

    /// Each thread must have ports for at least one call.
    fn threads(&mut self, media_ports: &RangeInclusive<u16>) -> u8 {
        let most = u8::try_from(PortBlock::within(media_ports.clone()).streams()).unwrap_or(u8::MAX).max(1);
        let Some(Value::Count(wanted)) = self.written.value("sip.threads") else {
            return machine::signal_threads().min(most);
        };
        let wanted = u8::try_from(wanted).unwrap_or(u8::MAX);
        if wanted > most {
            let what = format!("media.ports has four ports for each of {most} threads, not of {wanted}");
            self.mistake("sip.threads", what, None);
        }
        wanted
    }

    fn store_url(&mut self) -> String {
        let url = self.text("store.url").unwrap_or_default();
        if url.split_once(':').is_some_and(|(scheme, _)| scheme != "sqlite") {
            let help = Some("sqlite:FILE is the only one in this version".to_owned());
            self.mistake("store.url", format!("{url:?} is a database that this version does not know"), help);
        }
        url
    }

    /// Networks, and domains, in one list.
    fn allow_from(&mut self) -> (Vec<IpNet>, Vec<String>) {
        let Some(Value::Texts(named)) = self.written.value("security.allow_from") else {
            return (Vec::new(), Vec::new());
        };
        let (mut networks, mut domains) = (Vec::new(), Vec::new());
        for name in named {
            let host = offhook_sip::HostPort::parse(&name);
            match name.parse().or_else(|_| name.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network),
                Err(_) if host.is_some_and(|host| host.port.is_none()) => {
                    domains.push(name.trim_end_matches('.').to_ascii_lowercase());
                }
                Err(_) => {
                    let what = format!("{name:?} is neither a network such as \"192.0.2.0/24\" nor a domain");
                    self.mistake("security.allow_from", what, None);
                }
            }
        }
        (networks, domains)
    }

    fn registrar(&mut self) -> RegistrarLimits {
        let limits = RegistrarLimits {
            min_expires: self.time("sip.registration.min_expires"),
            default_expires: self.time("sip.registration.default_expires"),
            max_expires: self.time("sip.registration.max_expires"),
            max_contacts: self.count("sip.registration.max_contacts"),
        };
        if limits.min_expires > limits.max_expires {
            let what = "min_expires is more than max_expires".to_owned();
            self.mistake("sip.registration.min_expires", what, None);
        } else if !(limits.min_expires..=limits.max_expires).contains(&limits.default_expires) {
            let what = "default_expires is not between min_expires and max_expires".to_owned();
            self.mistake("sip.registration.default_expires", what, None);
        }
        limits
    }

    fn timer_c(&mut self) -> Duration {
        let timer = self.time("sip.timer_c");
        if timer <= Duration::from_secs(180) {
            let what = "sip.timer_c must be more than three minutes (RFC 3261 §16.6)".to_owned();
            self.mistake("sip.timer_c", what, None);
        }
        timer
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.written.warnings.clone();
        for (list, _, inert) in OBJECTS {
            let count = self.written.objects.iter().filter(|object| object.list == *list).count();
            if let Some(why) = inert
                && count > 0
            {
                warnings.push(format!("{count} [[{list}]] declared, but {why}"));
            }
        }
        warnings
    }

    /// What does not come through the exchange, it cannot answer for.
    fn check_srtp(&mut self, srtp: SrtpPolicy, anchor: AnchorPolicy) {
        if srtp == SrtpPolicy::Require && anchor == AnchorPolicy::Never {
            let help = Some("media.anchor = \"auto\", or media.srtp = \"prefer\"".to_owned());
            let what = "\"require\" needs media to go through the exchange, and media.anchor is \"never\"";
            self.mistake("media.srtp", what.into(), help);
        }
    }

    fn codecs(&mut self) -> Vec<Codec> {
        let named = match self.written.value("media.codecs") {
            Some(Value::Texts(named)) => named.clone(),
            _ => Vec::new(),
        };
        let mut codecs = Vec::new();
        for name in &named {
            match codec(name) {
                Some(codec) => codecs.push(codec),
                None => {
                    let help = did_you_mean(name, CODECS.into_iter());
                    let what = format!("{name:?} is a codec that cannot be translated here");
                    self.mistake("media.codecs", what, help);
                }
            }
        }
        codecs
    }

    /// Without authentication nobody from outside may get in.
    fn check_open_door(&mut self, listeners: &[Listener], web: &[SocketAddr]) {
        let keys = ["sip.udp", "sip.tcp", "sip.tls", "web.http", "web.listen"];
        if keys.iter().any(|key| self.written.is_unreadable(key)) {
            return;
        }
        let all = listeners.iter().map(|listener| listener.address).chain(web.iter().copied());
        let public = all.flat_map(|address| match address.ip() {
            any if any.is_unspecified() => machine::addresses(),
            one => vec![one],
        });
        if let Some(address) = public.into_iter().find(|ip| machine::is_public(*ip)) {
            let what =
                format!("authentication cannot be off while {address}, a public address, is listened on");
            let help = Some(
                "listen on private addresses only (sip.udp, sip.tcp, sip.tls, web.http, web.listen)"
                    .to_owned(),
            );
            self.mistake("security.authentication", what, help);
        }
    }

    fn is_named(&self, path: &str) -> bool {
        self.written.get(path).is_some()
    }

    fn text(&self, path: &'static str) -> Option<String> {
        match self.written.value(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn addresses(&self, path: &'static str) -> Vec<SocketAddr> {
        match self.written.value(path) {
            Some(Value::Addresses(addresses)) => addresses,
            _ => Vec::new(),
        }
    }

    fn time(&self, path: &'static str) -> Duration {
        match self.written.value(path) {
            Some(Value::Time(time)) => time,
            _ => Duration::ZERO,
        }
    }

    fn count(&self, path: &'static str) -> usize {
        match self.written.value(path) {
            Some(Value::Count(count)) => count as usize,
            _ => 0,
        }
    }

    fn mistake(&mut self, path: &str, what: String, help: Option<String>) {
        let place = self.written.get(path).map(|entry| entry.place.clone());
        self.mistakes.push(Mistake { place, what, help });
    }
}

const CODECS: [&str; 4] = ["opus", "g722", "pcma", "pcmu"];
const OPEN_DOOR: &str =
    "AUTHENTICATION IS OFF: anyone who reaches this exchange may register as any account and call";

#[cfg(test)]
mod tests;
