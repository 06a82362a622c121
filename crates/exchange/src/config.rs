//! Settings as they are meant: types that cannot be wrong. Defaults stand in [`Config::new`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use offhook_media::command::Fingerprint;
use offhook_sdp::Codec;
use offhook_sip_stack::Transport;

use crate::bans::BanRules;
use crate::message;
use crate::presence;
use crate::route::{MediaTerms, Plan, Trunk};
use crate::services::Settings;
use crate::spending::{Limits, Rates};
use crate::stir;

/// What a shard needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many shards make up the exchange, this one included.
    pub shards: u8,
    /// Host names and addresses served here, in lower case, without ports; never empty. The first names new
    /// accounts when nothing else does.
    pub domains: Vec<String>,
    /// The realm of our challenges (RFC 7616 §3.3).
    pub realm: String,
    /// Where we listen. The address may be unspecified.
    pub listeners: Vec<Listener>,
    /// The address that peers outside `local_networks` are told, when it is not the one we see.
    pub external_address: Option<IpAddr>,
    /// Networks whose phones reach us by the address that we see.
    pub local_networks: Vec<IpNet>,
    /// Whether media goes through us.
    pub anchor: AnchorPolicy,
    /// Whether media that goes through us is encrypted.
    pub srtp: SrtpPolicy,
    /// Formats of sound between which media that goes through us is translated when the phones share none, the
    /// preferred one first.
    pub codecs: Vec<Codec>,
    /// Of the certificate that the relay shows in DTLS handshakes; without one it takes part in none.
    pub media_certificate: Option<Fingerprint>,
    /// A call is ended after this long without media in either direction, unless it is on hold.
    pub media_timeout: Duration,
    /// A call that is on hold is ended after this long without media.
    pub hold_timeout: Duration,
    /// Whether users must prove who they are.
    pub authentication: Authentication,
    /// Whether someone without an account may call a local account.
    pub strangers: Strangers,
    /// Networks from which someone without an account may call a local account, whatever `strangers` says.
    pub allow_from: Vec<IpNet>,
    /// Domains from whose servers someone may do so: the DNS names their addresses.
    pub allow_domains: Vec<String>,
    /// What one source without an account may begin in a minute.
    pub strangers_per_minute: u32,
    /// Where calls go that are for no account.
    pub plan: Plan,
    /// Lines to other networks.
    pub trunks: Vec<Trunk>,
    /// Whether accounts may call other domains.
    pub other_domains: bool,
    /// Calls that an account may have in set-up, or through us, at the same time. Two calls that begin in the same
    /// moment at two shards may pass it by one: neither shard knows of the other's yet.
    pub max_calls_per_account: usize,
    /// When an address is banned.
    pub ban: BanRules,
    /// What accounts may do by trunks that have no limits of their own; its calls are `max_calls_per_account`.
    pub limits: Limits,
    /// What calls by trunks cost.
    pub rates: Arc<Rates>,
    /// Limits of the registrar.
    pub registrar: RegistrarLimits,
    /// How long a phone may ring (Timer C, RFC 3261 §16.6 step 11: more than three minutes).
    pub timer_c: Duration,
    /// Transactions that a shard holds at most; above, new requests get 503.
    pub max_transactions: usize,
    /// What text messages are set to.
    pub messages: message::Settings,
    /// How the numbers of callers from outside are checked.
    pub stir: stir::Settings,
    /// What presence is set to.
    pub presence: presence::Settings,
    /// What the services are set to.
    pub services: Settings,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// Signs nonces and routes. Kept by the store, so that calls outlive a restart.
    pub key: Key,
}

impl Config {
    /// The defaults for these domains; the first is the realm.
    ///
    /// # Panics
    /// Never; an empty list of domains becomes `localhost`.
    pub fn new(mut domains: Vec<String>, key: Key) -> Self {
        if domains.is_empty() {
            domains.push("localhost".into());
        }
        Self {
            shards: 1,
            realm: domains[0].clone(),
            domains,
            listeners: Vec::new(),
            external_address: None,
            local_networks: Vec::new(),
            anchor: AnchorPolicy::Auto,
            srtp: SrtpPolicy::Prefer,
            codecs: vec![Codec::opus(111), Codec::g722(), Codec::pcma(), Codec::pcmu()],
            media_certificate: None,
            media_timeout: Duration::from_secs(60),
            hold_timeout: Duration::from_secs(2 * 3600),
            authentication: Authentication::Required,
            strangers: Strangers::Refuse,
            allow_from: Vec::new(),
            allow_domains: Vec::new(),
            strangers_per_minute: 30,
            plan: Plan::empty(),
            trunks: Vec::new(),
            other_domains: true,
            ban: BanRules::default(),
            max_calls_per_account: 4,
            limits: Limits::default(),
            rates: Arc::default(),
            registrar: RegistrarLimits::default(),
            timer_c: Duration::from_secs(185),
            // A registration takes one for 32 s, a call two and two.
            max_transactions: 1_000_000,
            messages: message::Settings::default(),
            stir: stir::Settings::default(),
            presence: presence::Settings::default(),
            services: Settings::default(),
            nonce_lifetime: Duration::from_secs(300),
            key,
        }
    }

    /// Whether the media of somebody on these terms is encrypted.
    pub(crate) fn srtp_on(&self, terms: Option<&Arc<MediaTerms>>) -> SrtpPolicy {
        terms.and_then(|terms| terms.srtp).unwrap_or(self.srtp)
    }

    /// Whether `host` (a name or an address, without port, any case) is served here.
    pub fn serves(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(host))
    }
}

/// An address on which SIP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address, perhaps unspecified.
    pub address: SocketAddr,
}

/// Whether media goes through us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorPolicy {
    /// Direct when both phones are in the same network and can hear each other as they are.
    Auto,
    /// Always through us.
    Always,
    /// Never through us.
    Never,
}

/// Whether media that goes through us is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// It is as the phones agree between themselves.
    Off,
    /// On each side as that phone can.
    Prefer,
    /// On both sides, or there is no call.
    Require,
}

/// Whether users must prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// By digest, for registrations and for calls.
    Required,
    /// Anyone may register and call inside the domain (benchmarks, closed networks).
    Off,
}

/// Whether someone without an account may call a local account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// No.
    Refuse,
    /// Yes, local accounts only; nothing is relayed to elsewhere.
    Allow,
}

/// Limits of the registrar (RFC 3261 §10.3).
#[derive(Clone, Copy, Debug)]
pub struct RegistrarLimits {
    /// Shorter registrations are refused with 423.
    pub min_expires: Duration,
    /// What a phone gets that asks for nothing.
    pub default_expires: Duration,
    /// Longer registrations are shortened.
    pub max_expires: Duration,
    /// Contacts that an account may have.
    pub max_contacts: usize,
}

impl Default for RegistrarLimits {
    fn default() -> Self {
        Self {
            min_expires: Duration::from_secs(60),
            default_expires: Duration::from_secs(3600),
            max_expires: Duration::from_secs(7200),
            max_contacts: 10,
        }
    }
}

/// A secret key; prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Ties the shard's clock to the calendar: nonces and bindings outlive the process.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// A moment …
    pub instant: Instant,
    /// … and its Unix time.
    pub unix: Duration,
}

impl Epoch {
    /// The Unix time of `now`.
    pub fn unix(&self, now: Instant) -> Duration {
        self.unix + now.saturating_duration_since(self.instant)
    }

    /// The Unix time of `now` in whole seconds.
    pub fn unix_seconds(&self, now: Instant) -> u64 {
        self.unix(now).as_secs()
    }
}
