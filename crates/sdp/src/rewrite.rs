//! Anchoring: the edits that bring a relay into the way of the media (RFC 3264, without being a party to it).
//!
//! Lines are replaced, dropped or added; every other byte stays. Formats and unknown attributes pass through, and so
//! does encryption unless the relay ends it. ICE ends here, because the relay finds addresses by itself.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::codec::Codec;
use crate::direction::Direction;
use crate::line::{Line, lines, words};
use crate::media::{Host, Media, MediaKind, Profile};
use crate::sdp::Sdp;

#[cfg(test)]
mod tests;

/// What to do with one stream of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    /// Through the relay: what the receiver of the description shall send to.
    Through {
        /// The relay's address towards the receiver.
        address: IpAddr,
        /// Its port for RTP.
        rtp_port: u16,
        /// Its port for RTCP when that is not multiplexed.
        rtcp_port: u16,
    },
    /// Left as it is: the two phones talk directly.
    Direct,
    /// Turned off: port 0.
    Off,
}

/// Further wishes for [`rewrite`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Replaces the address in the `o=` line, which otherwise tells the phone's own.
    pub origin: Option<IpAddr>,
    /// One for each stream, where the relay ends what protects the media: `None` for a stream that is not RTP. Empty:
    /// protection passes through.
    pub faces: Vec<Option<Face>>,
    /// One for each stream, where its formats change. Empty: they pass through.
    pub formats: Vec<Formats>,
}

/// What happens to the formats of a stream, for a relay that transcodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Formats {
    /// As they are.
    #[default]
    Kept,
    /// These too, after the others.
    Added(Vec<Codec>),
    /// Of them only those with these payload types.
    Only(Vec<u8>),
    /// These instead.
    Instead(Vec<Codec>),
}

/// How the receiver of a description speaks with the relay, which may differ from how the sender does. What the
/// sender said of keys, certificates, ICE, multiplexing and bundling is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// The profile in the `m=` line's words.
    pub profile: String,
    /// Attributes to put in, each `name` or `name:value`.
    pub attributes: Vec<String>,
    /// Whether RTP and RTCP share the port.
    pub rtcp_mux: bool,
    /// Whether one of the attributes is a candidate of an end that only answers checks (RFC 8445 §2.5).
    pub ice_lite: bool,
}

/// What a description says about one stream, for a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What kind of media.
    pub kind: MediaKind,
    /// The transport profile.
    pub profile: Profile,
    /// Port 0: rejected, or turned off.
    pub off: bool,
    /// Where the describer wants RTP; `None` when off, on hold by 0.0.0.0, or a host name.
    pub rtp: Option<SocketAddr>,
    /// Where it wants RTCP if that is not multiplexed.
    pub rtcp: Option<SocketAddr>,
    /// Its direction as it sees it.
    pub direction: Direction,
    /// It does not want to receive.
    pub held: bool,
    /// It offers or accepts RTP and RTCP on one port; in force when offer and answer both say so.
    pub rtcp_mux: bool,
    /// It speaks ICE: its address may be only one of several.
    pub ice: bool,
}

impl Remote {
    fn of(media: &Media<'_>) -> Self {
        Self {
            kind: media.kind(),
            profile: media.profile(),
            off: media.port() == 0,
            rtp: media.rtp_address(),
            rtcp: media.rtcp_address(),
            direction: media.direction(),
            held: media.is_held(),
            rtcp_mux: media.rtcp_mux(),
            ice: media.has_ice(),
        }
    }
}

/// What a description says about each of its streams.
#[must_use]
pub fn remotes(sdp: &Sdp) -> Vec<Remote> {
    sdp.media().map(|media| Remote::of(&media)).collect()
}

/// Why a description cannot be anchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewriteError {
    /// Not one [`Relay`] for each stream.
    Count,
    /// A port of 0 for a stream that goes through the relay.
    Port,
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "not one relay entry for each medium",
            Self::Port => "relay port 0",
        })
    }
}

impl std::error::Error for RewriteError {}

/// Puts the relay's addresses into a description. `relay` has one entry for each stream; those with port 0 stay
/// off whatever their entry says. A hold by address (`c=` 0.0.0.0) is kept, in the relay's address family. Of each
/// relayed stream ICE attributes, alternative addresses (RFC 6947) and source filters are dropped.
///
/// # Errors
/// When `relay` does not fit the description.
pub fn rewrite(sdp: &Sdp, relay: &[Relay], options: &Options) -> Result<Sdp, RewriteError> {
    if relay.len() != sdp.media().len() {
        return Err(RewriteError::Count);
    }
    if relay
        .iter()
        .any(|r| matches!(r, Relay::Through { rtp_port, rtcp_port, .. } if *rtp_port == 0 || *rtcp_port == 0))
    {
        return Err(RewriteError::Port);
    }
    let mut faces = options.faces.iter().map(Option::as_ref);
    let mut formats = options.formats.iter();
    let plans: Vec<Plan<'_>> = sdp
        .media()
        .zip(relay)
        .map(|(media, relay)| Plan {
            formats: formats.next().unwrap_or(&Formats::Kept),
            ..Plan::new(&media, *relay, faces.next().flatten())
        })
        .collect();
    let all: Vec<Line<'_>> = lines(sdp.as_bytes()).collect();
    let ending: &[u8] = match all.first().map(Line::ending) {
        Some(b"\r\n") | None => b"\r\n",
        Some(_) => b"\n",
    };
    let mut writer = Writer { out: Vec::with_capacity(sdp.as_bytes().len() + 128), ending };
    let mut sections = all.chunk_by(|_, next| next.key != b'm');
    // The text begins with `v=`, so the first run of lines is the session's.
    let session = SessionPlan::new(sdp, &plans, options.origin);
    session.write(sections.next().unwrap_or_default(), &mut writer);
    for (section, plan) in sections.zip(&plans) {
        plan.write(section, &session, &mut writer);
    }
    // Only whole, well-formed lines were changed; a description stays one.
    Ok(Sdp::parse_any_size(&writer.out).unwrap_or_else(|_| {
        debug_assert!(false, "rewriting broke a description");
        sdp.clone()
    }))
}

/// What happens to the lines before the first `m=`.
struct SessionPlan {
    /// What the `c=` line shall say; `None` leaves it.
    connection: Option<IpAddr>,
    /// What it said, for streams that stay direct.
    before: Option<Host>,
    drop_ice: bool,
    /// Whether the relay ends what protects the media.
    ends_protection: bool,
    ice_lite: bool,
    origin: Option<IpAddr>,
}

impl SessionPlan {
    fn new(sdp: &Sdp, plans: &[Plan<'_>], origin: Option<IpAddr>) -> Self {
        let direct = plans.iter().any(|plan| matches!(plan.relay, Relay::Direct));
        let mut faces = plans.iter().filter_map(|plan| plan.face);
        Self {
            // With any stream left direct the session's address stays, and the others get their own.
            connection: if direct { None } else { plans.iter().find_map(|plan| plan.address) },
            before: sdp.connection(),
            drop_ice: !direct,
            ice_lite: faces.clone().any(|face| face.ice_lite),
            ends_protection: faces.next().is_some(),
            origin,
        }
    }

    /// The address that a stream without a `c=` line of its own inherits.
    fn inherited(&self) -> Option<IpAddr> {
        match (self.connection, &self.before) {
            (Some(address), Some(_)) => Some(address),
            (None, Some(Host::Ip(address))) => Some(*address),
            _ => None,
        }
    }

    fn write(&self, section: &[Line<'_>], writer: &mut Writer<'_>) {
        let mut connections = 0;
        for line in section {
            match (line.key, self.connection, self.origin) {
                (b'c', Some(address), _) => {
                    connections += 1;
                    // A second one has no meaning here, and would tell the phone's address.
                    if connections == 1 {
                        writer.replace(line, &connection(address));
                    }
                }
                (b'o', _, Some(address)) => writer.replace(line, &origin(line.value, address)),
                _ if self.drop_ice && is_dropped(line) => {}
                _ if self.ends_protection && (is_protection(line) || is_bundle(line)) => {}
                _ => writer.keep(line),
            }
        }
        if self.ice_lite {
            writer.line(b"a=ice-lite");
        }
    }
}

/// What happens to the lines of one stream.
struct Plan<'a> {
    relay: Relay,
    face: Option<&'a Face>,
    formats: &'a Formats,
    /// The address for its `c=`: the relay's, or the unspecified one for a hold by address.
    address: Option<IpAddr>,
    off: bool,
}

impl<'a> Plan<'a> {
    fn new(media: &Media<'_>, relay: Relay, face: Option<&'a Face>) -> Self {
        let held_by_address = media.has_no_address() && !media.has_ice();
        let address = match relay {
            Relay::Through { address, .. } if media.port() != 0 => Some(match address {
                IpAddr::V4(_) if held_by_address => IpAddr::from([0; 4]),
                IpAddr::V6(_) if held_by_address => IpAddr::from([0; 16]),
                address => address,
            }),
            Relay::Through { .. } | Relay::Direct | Relay::Off => None,
        };
        Self { relay, face, formats: &Formats::Kept, address, off: media.port() == 0 }
    }

    fn write(&self, section: &[Line<'_>], session: &SessionPlan, writer: &mut Writer<'_>) {
        let Some((head, rest)) = section.split_first() else { return };
        match (self.relay, self.address) {
            (Relay::Through { rtp_port, rtcp_port, .. }, Some(address)) => {
                let profile = self.face.map(|face| face.profile.as_str());
                writer.replace(head, &media_line(head.value, rtp_port, profile, self.formats));
                self.write_relayed(rest, session, address, (rtp_port, rtcp_port), writer);
            }
            (Relay::Direct, _) => section.iter().for_each(|line| writer.keep(line)),
            // What would tell an address is taken out.
            _ => {
                match self.face.map(|face| face.profile.as_str()) {
                    None if self.off => writer.keep(head),
                    profile => writer.replace(head, &media_line(head.value, 0, profile, &Formats::Kept)),
                }
                rest.iter().filter(|line| !self.drops(line)).for_each(|line| writer.keep(line));
            }
        }
    }

    fn drops(&self, line: &Line<'_>) -> bool {
        is_dropped(line) || self.face.is_some() && is_protection(line)
    }

    fn write_relayed(
        &self,
        rest: &[Line<'_>],
        session: &SessionPlan,
        address: IpAddr,
        (rtp_port, rtcp_port): (u16, u16),
        writer: &mut Writer<'_>,
    ) {
        let mut has_connection = rest.iter().any(|line| line.key == b'c');
        if !has_connection && session.inherited() != Some(address) {
            // `c=` stands after `m=` and `i=` (RFC 8866 §9), but all parsers take it before `i=`.
            writer.line(&connection(address));
        }
        let mux = self.face.is_some_and(|face| face.rtcp_mux);
        let mut has_rtcp = mux;
        for line in rest {
            if line.key == b'c' {
                if std::mem::take(&mut has_connection) {
                    writer.replace(line, &connection(address));
                }
            } else if line.attribute().is_some_and(|name| name.eq_ignore_ascii_case(b"rtcp")) {
                if !mux {
                    has_rtcp = true;
                    writer.replace(line, &rtcp(line.value, address, rtcp_port));
                }
            } else if !self.drops(line) && self.formats.keeps(line) {
                writer.keep(line);
            }
        }
        if let Formats::Added(codecs) | Formats::Instead(codecs) = self.formats {
            codecs.iter().for_each(|codec| describe(codec, writer));
        }
        for attribute in self.face.iter().flat_map(|face| &face.attributes) {
            writer.line(format!("a={attribute}").as_bytes());
        }
        if mux {
            writer.line(b"a=rtcp-mux");
        }
        if !has_rtcp && rtp_port.checked_add(1) != Some(rtcp_port) {
            writer.line(format!("a=rtcp:{rtcp_port}").as_bytes());
        }
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    /// The line ending of the description.
    ending: &'a [u8],
}

impl Writer<'_> {
    fn keep(&mut self, line: &Line<'_>) {
        self.out.extend_from_slice(line.raw);
    }

    /// Another content for a line, which keeps its ending.
    fn replace(&mut self, line: &Line<'_>, content: &[u8]) {
        self.out.extend_from_slice(content);
        self.out.extend_from_slice(line.ending());
    }

    /// A line that was not there.
    fn line(&mut self, content: &[u8]) {
        if !self.out.ends_with(b"\n") {
            // The text may end in the middle of a line's ending.
            let ending = if self.out.ends_with(b"\r") { b"\n" } else { self.ending };
            self.out.extend_from_slice(ending);
        }
        self.out.extend_from_slice(content);
        self.out.extend_from_slice(self.ending);
    }
}

fn connection(address: IpAddr) -> Vec<u8> {
    format!("c=IN {} {address}", family(address)).into_bytes()
}

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

/// The `o=` line with another address, its other words untouched.
fn origin(value: &[u8], address: IpAddr) -> Vec<u8> {
    let all: Vec<&[u8]> = words(value).collect();
    let kept = &all[..all.len().saturating_sub(3)];
    let mut line = b"o=".to_vec();
    for word in kept {
        line.extend_from_slice(word);
        line.push(b' ');
    }
    line.extend(format!("IN {} {address}", family(address)).bytes());
    line
}

impl Formats {
    fn keeps(&self, line: &Line<'_>) -> bool {
        let payload_type = || {
            let value = line.value.splitn(2, |byte| *byte == b':').nth(1)?;
            std::str::from_utf8(words(value).next()?).ok()?.parse::<u8>().ok()
        };
        let of_formats = is_one_of(line, &OF_FORMATS);
        // Who translates sends under a source of its own (RFC 3550 §7.1), which would be taken for another stream.
        let of_source = is_one_of(line, &[b"ssrc", b"ssrc-group"]);
        match self {
            Self::Kept => true,
            Self::Added(_) => !of_source,
            Self::Only(kept) => !of_formats || payload_type().is_none_or(|one| kept.contains(&one)),
            Self::Instead(_) => !of_formats && !of_source && !is_one_of(line, &[b"ptime", b"maxptime"]),
        }
    }

    /// The formats of the `m=` line, which were these.
    fn listed<'a>(&self, before: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
        let before = before.map(|word| String::from_utf8_lossy(word).into_owned());
        let of = |codecs: &[Codec]| codecs.iter().map(|one| one.payload_type.to_string()).collect::<Vec<_>>();
        match self {
            Self::Kept => before.collect(),
            Self::Added(codecs) => before.chain(of(codecs)).collect(),
            Self::Only(kept) => {
                before.filter(|word| word.parse().is_ok_and(|one: u8| kept.contains(&one))).collect()
            }
            Self::Instead(codecs) => of(codecs),
        }
    }
}

fn describe(codec: &Codec, writer: &mut Writer<'_>) {
    let number = codec.payload_type;
    writer.line(format!("a=rtpmap:{number} {}", codec.encoding()).as_bytes());
    if let Some(parameters) = &codec.fmtp {
        writer.line(format!("a=fmtp:{number} {parameters}").as_bytes());
    }
}

/// The `m=` line with another port, and another profile if one is given; a count of ports goes, because the relay has
/// one.
fn media_line(value: &[u8], port: u16, profile: Option<&str>, formats: &Formats) -> Vec<u8> {
    let mut all = words(value);
    let (kind, _, before) = (all.next().unwrap_or_default(), all.next(), all.next().unwrap_or_default());
    let mut line = [b"m=", kind, b" "].concat();
    line.extend(port.to_string().bytes());
    line.push(b' ');
    line.extend_from_slice(profile.map_or(before, str::as_bytes));
    if *formats == Formats::Kept {
        for word in all {
            line.push(b' ');
            line.extend_from_slice(word);
        }
        return line;
    }
    for word in formats.listed(all) {
        line.push(b' ');
        line.extend(word.bytes());
    }
    line
}

/// `a=rtcp` with another port, and another address if it had one (RFC 3605).
fn rtcp(value: &[u8], address: IpAddr, port: u16) -> Vec<u8> {
    let name = value.split(|byte| *byte == b':').next().unwrap_or_default();
    let mut line = b"a=".to_vec();
    line.extend_from_slice(name);
    line.extend(format!(":{port}").bytes());
    if words(value).count() > 1 {
        line.extend(format!(" IN {} {address}", family(address)).bytes());
    }
    line
}

/// ICE ends at the relay, and what names other addresses would lead around it.
fn is_dropped(line: &Line<'_>) -> bool {
    is_one_of(line, &DROPPED)
}

/// What says how the sender protects its media, and that streams share a port.
fn is_protection(line: &Line<'_>) -> bool {
    line.key == b'k' || is_one_of(line, &PROTECTION)
}

fn is_bundle(line: &Line<'_>) -> bool {
    is_one_of(line, &[b"group"])
        && line.value.split(|byte| *byte == b':').nth(1).is_some_and(|value| {
            words(value).next().is_some_and(|semantics| semantics.eq_ignore_ascii_case(b"BUNDLE"))
        })
}

fn is_one_of(line: &Line<'_>, names: &[&[u8]]) -> bool {
    line.attribute().is_some_and(|name| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
}

/// What describes formats by their payload types.
const OF_FORMATS: [&[u8]; 3] = [b"rtpmap", b"fmtp", b"rtcp-fb"];
const DROPPED: [&[u8]; 11] = [
    b"candidate",
    b"remote-candidates",
    b"end-of-candidates",
    b"ice-ufrag",
    b"ice-pwd",
    b"ice-options",
    b"ice-lite",
    b"ice-mismatch",
    b"ice-pacing",
    b"altc",
    b"source-filter",
];

const PROTECTION: [&[u8]; 9] = [
    b"crypto",
    b"fingerprint",
    b"setup",
    b"tls-id",
    b"zrtp-hash",
    b"key-mgmt",
    b"rtcp-mux",
    b"rtcp-mux-only",
    b"bundle-only",
];
