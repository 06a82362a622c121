//! One media description (`m=` line and what belongs to it), with the session's values where it has none.

use std::net::{IpAddr, SocketAddr};

use crate::codec::{self, Codec};
use crate::direction::Direction;

/// A view of one media description.
#[derive(Debug, Clone, Copy)]
pub struct Media<'a> {
    session: &'a sdp_types::Session,
    media: &'a sdp_types::Media,
    index: usize,
}

impl<'a> Media<'a> {
    /// `index` must exist.
    pub(crate) fn new(session: &'a sdp_types::Session, index: usize) -> Self {
        Self { session, media: &session.medias[index], index }
    }

    /// Its place among the media, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What kind of media.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        MediaKind::of(&self.media.media)
    }

    /// The kind in the description's own word.
    #[must_use]
    pub fn kind_name(&self) -> &'a str {
        &self.media.media
    }

    /// The port for RTP; 0 means that the stream is off (RFC 3264 §5.1, §6).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.media.port
    }

    /// The transport profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile::of(&self.media.proto)
    }

    /// The profile in the description's own words.
    #[must_use]
    pub fn profile_name(&self) -> &'a str {
        &self.media.proto
    }

    /// The formats of the `m=` line, as written.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.media.fmt.split_ascii_whitespace()
    }

    /// The payload formats in order of preference: those with an `a=rtpmap`, and the well-known static ones
    /// (RFC 3551 §6). Others are left out, and so are repetitions.
    #[must_use]
    pub fn codecs(&self) -> Vec<Codec> {
        codec::read(self.formats(), &self.media.attributes)
    }

    /// Who sends: the stream's attribute, else the session's, else both. An address of 0.0.0.0, the hold of old
    /// phones, takes the describer's receiving away (RFC 3264 §8.4), unless ICE is to find the address.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let written = direction_in(&self.media.attributes)
            .or_else(|| direction_in(&self.session.attributes))
            .unwrap_or_default();
        if self.has_no_address() && !self.has_ice() { written.held() } else { written }
    }

    /// Whether the describer has put us on hold: we shall send nothing.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.direction().receives()
    }

    /// Whether the address is 0.0.0.0 or `::`.
    #[must_use]
    pub fn has_no_address(&self) -> bool {
        matches!(self.host(), Some(Host::Ip(ip)) if ip.is_unspecified())
    }

    /// The address of its own `c=` line, else the session's.
    #[must_use]
    pub fn host(&self) -> Option<Host> {
        let line = self.media.connections.first().or(self.session.connection.as_ref());
        line.map(|connection| host_of(&connection.connection_address))
    }

    /// Where RTP is to be sent; `None` for a stream that is off, has no address, or names a host.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        self.address(self.port(), self.host())
    }

    /// Where RTCP is to be sent when it is not multiplexed: `a=rtcp` (RFC 3605), else the next port.
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let Some(value) = self.value("rtcp") else {
            return self.address(self.port().checked_add(1)?, self.host()).filter(|_| self.port() != 0);
        };
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse().ok()?;
        let host = words.nth(2).map(host_of).or_else(|| self.host());
        self.address(port, host).filter(|_| self.port() != 0)
    }

    /// Whether RTP and RTCP may share the port (RFC 5761).
    #[must_use]
    pub fn rtcp_mux(&self) -> bool {
        self.has("rtcp-mux") || self.has("rtcp-mux-only")
    }

    /// Whether the describer agrees to feedback of this kind for one of its formats, such as `nack pli` or `ccm fir`
    /// (RFC 4585 §4.2, RFC 5104 §7.1).
    #[must_use]
    pub fn has_feedback(&self, kind: &str) -> bool {
        self.values("rtcp-fb").any(|value| {
            let said = value.split_ascii_whitespace().skip(1);
            kind.split_ascii_whitespace().eq(said.take(2))
        })
    }

    /// The packet time that the describer wants to receive, in milliseconds.
    #[must_use]
    pub fn ptime(&self) -> Option<u32> {
        self.number("ptime")
    }

    /// The longest packet that the describer takes, in milliseconds.
    #[must_use]
    pub fn maxptime(&self) -> Option<u32> {
        self.number("maxptime")
    }

    /// The values of its SDES lines (RFC 4568 §4), in order.
    pub fn cryptos(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values("crypto")
    }

    /// The fingerprints of the describer's certificate (RFC 8122 §5): the stream's, else the session's.
    pub fn fingerprints(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let own = self.has("fingerprint");
        self.values("fingerprint")
            .chain(values_in(&self.session.attributes, "fingerprint").filter(move |_| !own))
    }

    /// Who begins the DTLS handshake (RFC 4145 §4): the stream's word, else the session's.
    #[must_use]
    pub fn setup(&self) -> Option<&'a str> {
        self.own_or_session("setup")
    }

    /// The name and password for its connectivity checks (RFC 8839 §5.4).
    #[must_use]
    pub fn ice(&self) -> Option<(&'a str, &'a str)> {
        self.own_or_session("ice-ufrag").zip(self.own_or_session("ice-pwd"))
    }

    /// Whether the describer only answers checks (RFC 8839 §5.3).
    #[must_use]
    pub fn ice_lite(&self) -> bool {
        has_attribute(&self.session.attributes, "ice-lite")
    }

    /// The addresses of its UDP candidates for RTP (RFC 8839 §5.1), in order; names are left out.
    pub fn candidates(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        self.values("candidate").filter_map(|value| {
            let mut words = value.split_ascii_whitespace().skip(1);
            let (component, transport) = (words.next()?, words.next()?);
            let (address, port) = (words.nth(1)?.parse().ok()?, words.next()?.parse().ok()?);
            (component == "1" && transport.eq_ignore_ascii_case("udp"))
                .then(|| SocketAddr::new(address, port))
        })
    }

    /// Whether it speaks ICE (RFC 8839).
    #[must_use]
    pub fn has_ice(&self) -> bool {
        ["candidate", "ice-ufrag"].iter().any(|name| self.has(name))
            || has_attribute(&self.session.attributes, "ice-ufrag")
    }

    /// The stream's first attribute of that name: `Some(None)` when it has no value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Option<&'a str>> {
        let found = self.media.attributes.iter().find(|a| a.attribute.eq_ignore_ascii_case(name));
        found.map(|attribute| attribute.value.as_deref())
    }

    /// All attributes of the stream, in order: name, value.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        self.media.attributes.iter().map(|a| (a.attribute.as_str(), a.value.as_deref()))
    }

    fn has(&self, name: &str) -> bool {
        has_attribute(&self.media.attributes, name)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.attribute(name).flatten()
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        values_in(&self.media.attributes, name)
    }

    fn own_or_session(&self, name: &'static str) -> Option<&'a str> {
        self.values(name).chain(values_in(&self.session.attributes, name)).next().map(str::trim)
    }

    /// Some devices write fractions (`20.0`).
    fn number(&self, name: &str) -> Option<u32> {
        let value = self.value(name)?.trim();
        value.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    fn address(&self, port: u16, host: Option<Host>) -> Option<SocketAddr> {
        match host? {
            Host::Ip(ip) if port != 0 && !ip.is_unspecified() => Some(SocketAddr::new(ip, port)),
            Host::Ip(_) | Host::Name(_) => None,
        }
    }
}

/// What kind of media a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Anything else: `image`, `application`, `message`, `text`.
    Other,
}

impl MediaKind {
    fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("audio") {
            Self::Audio
        } else if name.eq_ignore_ascii_case("video") {
            Self::Video
        } else {
            Self::Other
        }
    }

    /// The word in the `m=` line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Other => "application",
        }
    }
}

/// The transport profile of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `RTP/AVP`: plain (RFC 3551).
    Avp,
    /// `RTP/AVPF`: plain with feedback (RFC 4585).
    Avpf,
    /// `RTP/SAVP`: SRTP (RFC 3711).
    Savp,
    /// `RTP/SAVPF`: SRTP with feedback (RFC 5124).
    Savpf,
    /// `UDP/TLS/RTP/SAVP`: SRTP keyed by DTLS (RFC 5764).
    TlsSavp,
    /// `UDP/TLS/RTP/SAVPF`: the same with feedback; what browsers use.
    TlsSavpf,
    /// Not RTP over UDP.
    Other,
}

impl Profile {
    const NAMES: [(&'static str, Self); 6] = [
        ("RTP/AVP", Self::Avp),
        ("RTP/AVPF", Self::Avpf),
        ("RTP/SAVP", Self::Savp),
        ("RTP/SAVPF", Self::Savpf),
        ("UDP/TLS/RTP/SAVP", Self::TlsSavp),
        ("UDP/TLS/RTP/SAVPF", Self::TlsSavpf),
    ];

    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Avp, Self::Avpf, Self::Savp, Self::Savpf, Self::TlsSavp, Self::TlsSavpf, Self::Other];

    fn of(name: &str) -> Self {
        let found = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(Self::Other, |(_, profile)| *profile)
    }

    /// The words in the `m=` line; empty for [`Profile::Other`].
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }

    /// Whether it is RTP over UDP, encrypted or not: something that a relay can carry.
    #[must_use]
    pub fn is_rtp(self) -> bool {
        self != Self::Other
    }

    /// Whether the media is encrypted.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Savp | Self::Savpf | Self::TlsSavp | Self::TlsSavpf)
    }
}

/// An address in a description.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// A name, which nobody here looks up.
    Name(String),
}

pub(crate) fn host_of(written: &str) -> Host {
    // Multicast addresses carry a lifetime and a count: 224.2.36.42/127/3.
    let address = written.split('/').next().unwrap_or(written);
    let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    address.parse().map_or_else(|_| Host::Name(address.to_owned()), Host::Ip)
}

fn has_attribute(attributes: &[sdp_types::Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
}

fn values_in<'a>(
    attributes: &'a [sdp_types::Attribute],
    name: &'static str,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let named = attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    named.filter_map(|attribute| attribute.value.as_deref())
}

fn direction_in(attributes: &[sdp_types::Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::from_name(&attribute.attribute))
}
