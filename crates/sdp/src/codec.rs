//! Payload formats: what a number in an `m=` line stands for (RFC 3551 §6, RFC 8866 §6.6).

#[cfg(test)]
mod tests;

/// A payload format of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// The number in RTP packets, 0–127.
    pub payload_type: u8,
    /// Encoding name, as written.
    pub name: String,
    /// RTP clock in Hz; for G.722 the 8000 of its specification, not its sample rate.
    pub clock_rate: u32,
    /// Channels, 1 where the description says nothing.
    pub channels: u8,
    /// `a=fmtp` parameters, as written.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A format with one channel and no parameters.
    #[must_use]
    pub fn new(payload_type: u8, name: &str, clock_rate: u32) -> Self {
        Self { payload_type, name: name.to_owned(), clock_rate, channels: 1, fmtp: None }
    }

    /// G.711 µ-law.
    #[must_use]
    pub fn pcmu() -> Self {
        Self::new(0, "PCMU", 8000)
    }

    /// G.711 A-law.
    #[must_use]
    pub fn pcma() -> Self {
        Self::new(8, "PCMA", 8000)
    }

    /// G.722 at 64 kbit/s.
    #[must_use]
    pub fn g722() -> Self {
        Self::new(9, "G722", 8000)
    }

    /// Opus (RFC 7587), asking for in-band error correction.
    #[must_use]
    pub fn opus(payload_type: u8) -> Self {
        Self { channels: 2, fmtp: Some("useinbandfec=1".into()), ..Self::new(payload_type, "opus", 48_000) }
    }

    /// Comfort noise (RFC 3389).
    #[must_use]
    pub fn comfort_noise() -> Self {
        Self::new(13, "CN", 8000)
    }

    /// DTMF keys and flash as events (RFC 4733), in the clock of the audio format beside it.
    #[must_use]
    pub fn telephone_event(payload_type: u8, clock_rate: u32) -> Self {
        Self { fmtp: Some("0-16".into()), ..Self::new(payload_type, "telephone-event", clock_rate) }
    }

    /// Packets that carry what the ones before them did, of formats under these numbers (RFC 2198 §5).
    #[must_use]
    pub fn redundancy(payload_type: u8, clock_rate: u32, channels: u8, of: &[u8]) -> Self {
        let mut numbers: Vec<String> = of.iter().map(u8::to_string).collect();
        if let [only] = &numbers[..] {
            numbers.push(only.clone());
        }
        Self { channels, fmtp: Some(numbers.join("/")), ..Self::new(payload_type, "red", clock_rate) }
    }

    /// The format that a static payload type stands for without an `a=rtpmap` (RFC 3551 tables 4 and 5).
    #[must_use]
    pub fn of_static(payload_type: u8) -> Option<Self> {
        let (_, name, clock_rate, channels) =
            STATIC.iter().find(|(number, ..)| *number == payload_type).copied()?;
        Some(Self { channels, ..Self::new(payload_type, name, clock_rate) })
    }

    /// Whether two sides mean the same format: name in any case, clock and channels (RFC 3264 §6.1).
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }

    /// Whether it carries telephone events.
    #[must_use]
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether packets of it carry what the ones before them did.
    #[must_use]
    pub fn is_redundancy(&self) -> bool {
        self.name.eq_ignore_ascii_case("red")
    }

    /// Whether it only accompanies another format: events, comfort noise, redundancy.
    #[must_use]
    pub fn is_auxiliary(&self) -> bool {
        self.is_telephone_event()
            || ["CN", "red", "ulpfec", "rtx"].iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// The value of a parameter in `a=fmtp` (`key=value;…`).
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        let pairs = self.fmtp.as_deref()?.split(';');
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| name.trim().eq_ignore_ascii_case(key).then(|| value.trim()))
    }

    /// `NAME/CLOCK[/CHANNELS]`, as in `a=rtpmap`.
    #[must_use]
    pub fn encoding(&self) -> String {
        match self.channels {
            1 => format!("{}/{}", self.name, self.clock_rate),
            channels => format!("{}/{}/{channels}", self.name, self.clock_rate),
        }
    }
}

/// The formats of an `m=` line, with what its attributes say about them.
pub(crate) fn read<'a>(
    formats: impl Iterator<Item = &'a str>,
    attributes: &[sdp_types::Attribute],
) -> Vec<Codec> {
    let mut maps: [Option<&str>; 128] = [None; 128];
    let mut parameters: [Option<&str>; 128] = [None; 128];
    for attribute in attributes {
        let table = if attribute.attribute.eq_ignore_ascii_case("rtpmap") {
            &mut maps
        } else if attribute.attribute.eq_ignore_ascii_case("fmtp") {
            &mut parameters
        } else {
            continue;
        };
        let Some((number, rest)) =
            attribute.value.as_deref().and_then(|v| v.trim_start().split_once(char::is_whitespace))
        else {
            continue;
        };
        if let Ok(number @ 0..=127) = number.parse::<usize>() {
            table[number].get_or_insert(rest.trim());
        }
    }
    let mut codecs = Vec::new();
    let mut seen = [false; 128];
    for number in formats.filter_map(|format| format.parse::<u8>().ok()).filter(|number| *number < 128) {
        let at = usize::from(number);
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let codec = match maps[at] {
            Some(map) => from_map(number, map),
            None => Codec::of_static(number),
        };
        codecs.extend(codec.map(|codec| Codec { fmtp: parameters[at].map(str::to_owned), ..codec }));
    }
    codecs
}

/// `PCMU/8000`, `opus/48000/2`; a missing clock is that of telephony.
fn from_map(payload_type: u8, map: &str) -> Option<Codec> {
    let mut parts = map.split('/').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))?;
    let clock_rate = match parts.next() {
        Some(clock) => clock.parse().ok().filter(|clock| *clock > 0)?,
        None => 8000,
    };
    let channels = parts.next().and_then(|channels| channels.parse().ok()).filter(|c| *c > 0).unwrap_or(1);
    Some(Codec { channels, ..Codec::new(payload_type, name, clock_rate) })
}

/// Number, name, clock, channels.
const STATIC: [(u8, &str, u32, u8); 22] = [
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    (9, "G722", 8000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8000, 1),
    (13, "CN", 8000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8000, 1),
    (26, "JPEG", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];
