//! What a user agent is told about itself.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::ice::Servers;
use offhook_media::identity::Identity;
use offhook_sip::Uri;
use offhook_sip_stack::Transport;
use offhook_sip_stack::usage::SessionTimers;

/// A phone's settings, fixed for its life.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are: the address-of-record in From, e.g. `sip:alice@example.com`; without a server, any URI with
    /// our own address.
    pub identity: Uri,
    /// The name beside it.
    pub display_name: Option<String>,
    /// What answers a challenge; none fails with the challenge's own status.
    pub credentials: Option<Credentials>,
    /// Where REGISTER goes; none means a phone without a server, which refuses to register.
    pub registrar: Option<Uri>,
    /// Where every request outside of a dialog goes first (`sip:HOST[:PORT];transport=…`); none sends to the
    /// target's own host.
    pub outbound_proxy: Option<Uri>,
    /// Our sockets, the preferred one first; at least one.
    pub listeners: Vec<Listener>,
    /// The codecs to offer and accept, by SDP encoding name, the preferred first: `opus`, `G722`, `PCMA`,
    /// `PCMU`. Unknown ones are left out.
    pub codecs: Vec<String>,
    /// Whether the sound of calls is encrypted.
    pub srtp: SrtpPolicy,
    /// Where the keys come from that encrypt it.
    pub srtp_keys: SrtpKeys,
    /// What is shown in DTLS handshakes; none: there are none.
    pub certificate: Option<Arc<Identity>>,
    /// Whether ICE (RFC 8445) is done, and which servers are asked for further addresses; none: the ports' own addresses have to do.
    pub ice: Option<Servers>,
    /// The RTP ports that the driver has opened for calls; a call needs one, so this bounds the calls that have
    /// media.
    pub media_ports: Vec<MediaPort>,
    /// The most calls at a time; the next incoming one gets 486.
    pub max_calls: usize,
    /// Whether ringing is sent reliably when the caller allows it, and asked for in our own calls (RFC 3262).
    pub reliable_provisional: bool,
    /// Session timers (RFC 4028).
    pub session_timers: SessionTimers,
    /// How long a registration should last; the registrar may shorten it.
    pub registration_expires: Duration,
    /// Header fields added to every request outside of a dialog, as name and value, e.g. `("X-Test", "y")`.
    pub headers: Vec<(String, String)>,
    /// The value of User-Agent and Server.
    pub user_agent: String,
    /// Whether a REFER in a call is followed (RFC 3515); otherwise it gets 603.
    pub accept_transfers: bool,
    /// A moment, and how long after 1970 that was: for the wall clock in RTCP reports. None counts from the phone's
    /// first call.
    pub wall_clock: Option<(Instant, Duration)>,
    /// Written into every branch, tag and Call-ID; phones that share one world may be told apart by it.
    pub number: u8,
}

/// Whether the sound of a call is encrypted: SRTP (RFC 3711).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// Never: who insists is refused with 488.
    #[default]
    Off,
    /// Where the peer can. What is offered first is encrypted over TLS and WSS and plain elsewhere; when that is refused
    /// with 488, 606 or 415, the call is placed once more in the other way.
    Prefer,
    /// Always: who cannot is refused with 488, or the call ends.
    Require,
}

/// Where the keys of SRTP come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpKeys {
    /// From the SDP (SDES, RFC 4568): as secret as its way. Calls that offer a handshake alone are taken too.
    #[default]
    Sdes,
    /// From a DTLS handshake on the way of the sound (RFC 5763), and from nowhere else.
    Dtls,
}

/// What answers a digest challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name, usually the user part of the identity.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A socket that the driver has opened for SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub transport: Transport,
    /// Its address, as in `Flow::local`.
    pub local: SocketAddr,
    /// The address that others reach it by, written into Contact and Via.
    pub advertised: SocketAddr,
}

/// A pair of ports that the driver has opened for RTP and, one above, RTCP. Its place in
/// [`Config::media_ports`] is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPort {
    /// The address that others reach the RTP port by, written into SDP.
    pub advertised: SocketAddr,
}

impl Config {
    /// A phone without a server: `identity` is who it says it is, `listeners` its sockets.
    pub fn new(identity: Uri, listeners: Vec<Listener>) -> Self {
        Self {
            identity,
            display_name: None,
            credentials: None,
            registrar: None,
            outbound_proxy: None,
            listeners,
            codecs: vec!["PCMU".to_owned(), "PCMA".to_owned()],
            srtp: SrtpPolicy::Off,
            srtp_keys: SrtpKeys::Sdes,
            certificate: None,
            ice: None,
            media_ports: Vec::new(),
            max_calls: 8,
            reliable_provisional: true,
            session_timers: SessionTimers::default(),
            registration_expires: Duration::from_secs(600),
            headers: Vec::new(),
            user_agent: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            accept_transfers: false,
            wall_clock: None,
            number: 0,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"…").finish()
    }
}
