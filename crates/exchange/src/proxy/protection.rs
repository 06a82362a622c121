//! How a party of an anchored call protects its media, and what it is told of our protection: SDES (RFC 4568), DTLS
//! (RFC 5763), either as an option beside plain RTP (RFC 8643), and ICE (RFC 8839).

use std::net::{IpAddr, SocketAddr};

use offhook_media::command::{
    CANDIDATES, Crypto, DtlsRole, Fingerprint, IceCredentials, MasterKey, PortPair, Protection, Remote, Suite,
};
use offhook_sdp::{Face, Media, Profile};
use offhook_sip::{Name, Status};
use offhook_sip_stack::Transport;
use rand::RngExt as _;

use crate::config::SrtpPolicy;
use crate::context::Context;
use crate::refusal::Refusal;

/// How an offer of ours asks a phone to protect its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Not at all.
    Plain,
    /// By SDES keys or a certificate if it can (RFC 8643).
    Opportunistic,
    /// By SDES keys.
    Sdes,
    /// By SDES keys, with feedback (RFC 5124).
    SdesFeedback,
    /// By a DTLS handshake.
    Dtls,
    /// By a DTLS handshake, with feedback.
    DtlsFeedback,
    /// As browsers must have it: DTLS, ICE, one port (RFC 8835).
    Browser,
}

impl Manner {
    /// What to offer to a phone that has refused so many offers with 488: first what it has said of itself, then
    /// whatever may be on its transport.
    pub(crate) fn after(
        refused: usize,
        transport: Transport,
        said: Option<Profile>,
        policy: SrtpPolicy,
    ) -> Option<Self> {
        use Manner::{Browser, Dtls, DtlsFeedback, Opportunistic, Plain, Sdes, SdesFeedback};
        // From the second offer on there are also more formats.
        let usual: &[Self] = match (policy, transport) {
            (SrtpPolicy::Off, _) => &[Plain; 2],
            // Not all that comes by WebSocket is a browser.
            (SrtpPolicy::Prefer, Transport::Wss) => &[Browser, Browser, Opportunistic, Sdes],
            (SrtpPolicy::Prefer, Transport::Ws) => &[Browser, Browser, Plain, Sdes],
            (SrtpPolicy::Require, Transport::Ws | Transport::Wss) => &[Browser, Browser, Sdes],
            (SrtpPolicy::Require, _) => &[Sdes, Dtls, DtlsFeedback],
            // Keys in the clear protect nothing, so they are offered only to those who ask for them.
            (SrtpPolicy::Prefer, Transport::Udp | Transport::Tcp) => {
                &[Plain, Plain, Sdes, Dtls, DtlsFeedback]
            }
            (SrtpPolicy::Prefer, Transport::Tls) => &[Opportunistic, Sdes, Dtls, DtlsFeedback],
        };
        let said = said.and_then(|profile| match profile {
            Profile::Avp | Profile::Avpf => Some(Opportunistic),
            Profile::Savp => Some(Sdes),
            Profile::Savpf => Some(SdesFeedback),
            Profile::TlsSavp => Some(Dtls),
            Profile::TlsSavpf => Some(DtlsFeedback),
            Profile::Other => None,
        });
        let allowed = |one: &Self| match policy {
            SrtpPolicy::Off => *one == Plain,
            SrtpPolicy::Prefer => true,
            SrtpPolicy::Require => !matches!(one, Plain | Opportunistic),
        };
        said.into_iter().chain(usual.iter().copied()).filter(allowed).nth(refused)
    }

    const fn profile(self) -> &'static str {
        match self {
            Self::Plain | Self::Opportunistic => "RTP/AVP",
            Self::Sdes => "RTP/SAVP",
            Self::SdesFeedback => "RTP/SAVPF",
            Self::Dtls => "UDP/TLS/RTP/SAVP",
            Self::DtlsFeedback | Self::Browser => "UDP/TLS/RTP/SAVPF",
        }
    }
}

/// Whether an offer asks for more than plain RTP, or allows it.
pub(crate) fn is_protected(media: &Media<'_>) -> bool {
    media.profile().is_secure() || media.cryptos().next().is_some() || media.fingerprints().next().is_some()
}

/// One party's end of one stream.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// In the words of its `m=` line.
    profile: String,
    /// What it may choose from, or has chosen.
    keys: Vec<Crypto>,
    dtls: bool,
    plain: bool,
    rtcp_mux: bool,
    role: Option<DtlsRole>,
    ice: Option<IceCredentials>,
    /// Whether the relay has yet to hear of these.
    ice_is_new: bool,
    /// What it has said of itself, once it has.
    said: Option<Said>,
}

/// What a party has said of its protection.
#[derive(Clone, Debug)]
struct Said {
    protection: Protection,
    ice: Option<IceCredentials>,
    candidates: Vec<SocketAddr>,
}

impl End {
    /// Of a party that has said nothing and will be made an offer in this manner.
    pub(crate) fn to_be_offered(manner: Manner, cx: &mut Context<'_>) -> Self {
        let sdes = matches!(manner, Manner::Opportunistic | Manner::Sdes | Manner::SdesFeedback);
        Self {
            profile: manner.profile().to_owned(),
            keys: if sdes { Crypto::offer(|bytes| cx.rng.fill(bytes)) } else { Vec::new() },
            dtls: matches!(
                manner,
                Manner::Opportunistic | Manner::Dtls | Manner::DtlsFeedback | Manner::Browser
            ),
            plain: matches!(manner, Manner::Plain | Manner::Opportunistic),
            rtcp_mux: manner == Manner::Browser,
            role: None,
            ice: (manner == Manner::Browser).then(|| new_ice(cx)),
            ice_is_new: true,
            said: None,
        }
    }

    /// Our ICE credentials, when ICE is spoken with it and the relay has yet to hear of them.
    pub(crate) fn new_ice(&mut self) -> Option<IceCredentials> {
        self.ice.clone().filter(|_| std::mem::take(&mut self.ice_is_new))
    }

    /// It makes an offer: how its media will be protected is decided here. With `never`, the terms of its trunk are that it
    /// is not.
    ///
    /// # Errors
    /// 488 when there is no way that both know, when it does not protect what must be, or protects what must not be.
    pub(crate) fn offers(
        &mut self,
        media: &Media<'_>,
        (policy, never): (SrtpPolicy, bool),
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if never && media.profile().is_secure() {
            return Err(must_be_plain());
        }
        // Keys beside plain media are an option that the answer may leave out (RFC 8643 §3.1).
        let crypto = media.cryptos().find_map(Crypto::parse).filter(|_| !never);
        let fingerprint = fingerprint(media).filter(|_| !never);
        let tls = matches!(media.profile(), Profile::TlsSavp | Profile::TlsSavpf);
        let before = self.said.take().and_then(|said| said.ice);
        let protection = match (crypto, fingerprint) {
            (Some(Crypto { tag, suite, key: theirs }), _) if !tls => {
                let known = self.keys.drain(..).find(|one| one.tag == tag && one.suite == suite);
                let new = || MasterKey::random(suite, |bytes| cx.rng.fill(bytes));
                let ours = known.map_or_else(new, |one| one.key);
                self.keys = vec![Crypto { tag, suite, key: ours.clone() }];
                Protection::Sdes { suite, ours, theirs }
            }
            (_, Some(fingerprint)) => {
                let role = *self.role.get_or_insert(match media.setup() {
                    Some(setup) if setup.eq_ignore_ascii_case("passive") => DtlsRole::Client,
                    _ => DtlsRole::Server,
                });
                Protection::Dtls { role, fingerprint }
            }
            _ if media.profile().is_secure() => return Err(no_common_suite(media)),
            _ if policy == SrtpPolicy::Require => return Err(not_protected()),
            _ => Protection::Plain,
        };
        self.dtls = matches!(protection, Protection::Dtls { .. });
        self.plain = protection == Protection::Plain;
        if self.dtls || self.plain {
            self.keys.clear();
        }
        media.profile_name().clone_into(&mut self.profile);
        self.rtcp_mux = media.rtcp_mux();
        // Without one port for both there would be a second component to check.
        let ice = credentials(media).filter(|_| self.rtcp_mux);
        if ice.is_none() || ice != before {
            (self.ice, self.ice_is_new) = (ice.as_ref().map(|_| new_ice(cx)), true);
        }
        self.say(media, protection, ice);
        Ok(())
    }

    /// It answers what [`Self::face`] offered.
    ///
    /// # Errors
    /// 488 when it leaves out a protection that must be.
    pub(crate) fn answers(&mut self, media: &Media<'_>) -> Result<(), Refusal> {
        let chosen = media.cryptos().filter_map(Crypto::parse).find_map(|line| {
            let ours = self.keys.iter().find(|one| one.tag == line.tag && one.suite == line.suite)?;
            Some((ours.clone(), line.key))
        });
        let protection = match (chosen, fingerprint(media).filter(|_| self.dtls)) {
            (Some((key, theirs)), _) => {
                let (suite, ours) = (key.suite, key.key.clone());
                (self.keys, self.dtls, self.plain) = (vec![key], false, false);
                Protection::Sdes { suite, ours, theirs }
            }
            (None, Some(fingerprint)) => {
                // RFC 5763 §5: the answerer chooses, and should begin.
                let passive = media.setup().is_some_and(|setup| setup.eq_ignore_ascii_case("passive"));
                let role = if passive { DtlsRole::Client } else { DtlsRole::Server };
                let role = *self.role.get_or_insert(role);
                (self.keys, self.plain) = (Vec::new(), false);
                Protection::Dtls { role, fingerprint }
            }
            (None, None) if self.plain => {
                (self.keys, self.dtls) = (Vec::new(), false);
                Protection::Plain
            }
            (None, None) => return Err(not_protected()),
        };
        self.rtcp_mux &= media.rtcp_mux();
        let ice = credentials(media).filter(|_| self.ice.is_some());
        self.say(media, protection, ice);
        Ok(())
    }

    fn say(&mut self, media: &Media<'_>, protection: Protection, ice: Option<IceCredentials>) {
        let candidates = media.candidates().take(CANDIDATES).collect();
        self.said = Some(Said { protection, ice, candidates });
    }

    /// Adds what it has said to what the relay is told of it.
    pub(crate) fn tell(&self, remote: &mut Remote) {
        remote.rtcp_mux = self.rtcp_mux;
        if let Some(said) = self.said.clone() {
            (remote.protection, remote.ice, remote.candidates) = (said.protection, said.ice, said.candidates);
        }
    }

    /// What a description that it receives says of us: `offer` if it may choose, else what it has chosen.
    pub(crate) fn face(
        &self,
        offer: bool,
        (address, ports): (IpAddr, PortPair),
        certificate: Option<&Fingerprint>,
    ) -> Face {
        let mut attributes = Vec::new();
        attributes.extend(self.keys.iter().map(|key| format!("crypto:{}", key.to_value())));
        if let Some(certificate) = certificate.filter(|_| self.dtls) {
            attributes.push(format!("fingerprint:{certificate}"));
            attributes.push(match self.role {
                // RFC 5763 §5: every offer leaves the choice.
                _ if offer => "setup:actpass".to_owned(),
                Some(DtlsRole::Client) => "setup:active".to_owned(),
                Some(DtlsRole::Server) | None => "setup:passive".to_owned(),
            });
        }
        if let Some(ice) = &self.ice {
            attributes.push(format!("ice-ufrag:{}", ice.ufrag));
            attributes.push(format!("ice-pwd:{}", ice.pwd));
            attributes.push(format!("candidate:1 1 UDP {HOST} {address} {} typ host", ports.rtp));
        }
        Face {
            profile: self.profile.clone(),
            attributes,
            rtcp_mux: self.rtcp_mux,
            ice_lite: self.ice.is_some(),
        }
    }
}

fn fingerprint(media: &Media<'_>) -> Option<Fingerprint> {
    media.fingerprints().find_map(|value| Fingerprint::from_attribute(value).ok())
}

fn credentials(media: &Media<'_>) -> Option<IceCredentials> {
    let (ufrag, pwd) = media.ice()?;
    let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len());
    fits.then(|| IceCredentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
}

fn new_ice(cx: &mut Context<'_>) -> IceCredentials {
    let mut digits = |count| (0..count).map(|_| format!("{:08x}", cx.rng.random::<u32>())).collect();
    IceCredentials { ufrag: digits(1), pwd: digits(4) }
}

fn no_common_suite(media: &Media<'_>) -> Refusal {
    let is_name =
        |name: &&str| name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let named = media.cryptos().filter_map(|value| value.split_ascii_whitespace().nth(1)).filter(is_name);
    let offered: Vec<_> = named.take(8).collect();
    let known: Vec<_> = Suite::OFFERED.iter().map(|suite| suite.name()).collect();
    let why = match offered.as_slice() {
        [] => "Encrypted media without a key that is understood".to_owned(),
        offered => format!("No common SRTP suite: offered {}; known {}", offered.join(" "), known.join(" ")),
    };
    Refusal::new(Status::NOT_ACCEPTABLE_HERE, why.clone())
        .with(Name::Warning, format!("306 offhook \"{why}\""))
}

fn not_protected() -> Refusal {
    let why = "Media must be encrypted here (SRTP)";
    Refusal::new(Status::NOT_ACCEPTABLE_HERE, why).with(Name::Warning, format!("302 offhook \"{why}\""))
}

fn must_be_plain() -> Refusal {
    let why = "Media is not encrypted on this trunk";
    Refusal::new(Status::NOT_ACCEPTABLE_HERE, why).with(Name::Warning, format!("302 offhook \"{why}\""))
}

/// The priority of the only candidate of a host (RFC 8445 §5.1.2.2).
const HOST: u32 = 2_130_706_431;
