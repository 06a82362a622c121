//! What a session description says of sound, in a few words.

use std::fmt;
use std::net::SocketAddr;

use super::reader::shortened;

/// The first sound stream of a session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// Its codecs, the preferred one first, in lower case; telephone events and redundancy are none.
    pub codecs: Vec<String>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// `sendonly`, `recvonly` or `inactive`, where it is not both ways.
    pub direction: Option<&'static str>,
    /// Where it is to be sent; `None` where a name stands for the address.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encrypted = self.encrypted.then_some("srtp");
        let words = self.codecs.iter().take(6).map(String::as_str).chain(encrypted).chain(self.direction);
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}

/// The first sound stream in a body, if there is one.
pub fn sound(body: &[u8]) -> Option<Sound> {
    let text = std::str::from_utf8(body).ok()?;
    let (before, after) = text.split_once("m=audio ")?;
    let stream = after.split("\nm=").next().unwrap_or(after);
    let mut lines = stream.lines();
    let mut words = lines.next()?.split_ascii_whitespace();
    let port = words.next()?.split('/').next()?.parse::<u16>();
    let encrypted = words.next()?.contains("SAVP") || stream.contains("\na=crypto:");
    let formats: Vec<&str> = words.take(16).collect();
    let mapped = |number: &str| {
        let map = |line: &'_ str| -> Option<String> {
            let (known, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (known == number).then(|| name.split('/').next().unwrap_or(name).to_ascii_lowercase())
        };
        stream.lines().find_map(map)
    };
    let name = |number: &&str| mapped(number).or_else(|| fixed(number)).map(|name| shortened(&name));
    let codecs = formats.iter().filter_map(name).filter(|name| !NO_CODECS.contains(&name.as_str())).collect();
    let direction = |line: &str| {
        ["sendonly", "recvonly", "inactive"]
            .into_iter()
            .find(|word| line.trim().strip_prefix("a=") == Some(*word))
    };
    let ip = connection(stream).or_else(|| connection(before));
    let address =
        ip.and_then(|ip| ip.parse().ok()).zip(port.ok()).map(|(ip, port)| SocketAddr::new(ip, port));
    Some(Sound { codecs, encrypted, direction: lines.find_map(direction), address })
}

const NO_CODECS: [&str; 2] = ["telephone-event", "red"];

/// The codec that the first sound stream in a body prefers, in lower case. Costs less than [`sound`].
pub fn first_codec(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, stream) = text.split_once("m=audio ")?;
    let number = stream.lines().next()?.split_ascii_whitespace().nth(2)?;
    let named = |line: &str| {
        Some(
            line.strip_prefix("a=rtpmap:")?
                .strip_prefix(number)?
                .strip_prefix(' ')?
                .split('/')
                .next()?
                .to_ascii_lowercase(),
        )
    };
    let mapped = stream.lines().find_map(named);
    mapped.or_else(|| fixed(number)).map(|name| shortened(&name))
}

/// The address of a `c=` line (RFC 8866 §5.7).
fn connection(part: &str) -> Option<&str> {
    let line = part.lines().find_map(|line| line.strip_prefix("c=IN "))?;
    line.split_ascii_whitespace().nth(1)?.split('/').next()
}

/// RFC 3551 §6.
fn fixed(number: &str) -> Option<String> {
    let name = match number {
        "0" => "pcmu",
        "3" => "gsm",
        "8" => "pcma",
        "9" => "g722",
        "18" => "g729",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_codec_is_the_first_of_all() {
        let sdp = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000/2 RTP/AVP 9 96 97 101\r\na=rtpmap:96 opus/48000/2\r\n\
                   a=rtpmap:97 red/48000/2\r\na=rtpmap:101 telephone-event/8000\r\nm=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n";
        for body in [
            sdp.to_owned(),
            sdp.replace(" 9 96", " 96 9"),
            sdp.replace(" 9 96", " 9"),
            "x".into(),
            "m=audio 9".into(),
        ] {
            let all = sound(body.as_bytes()).map(|sound| sound.codecs).unwrap_or_default();
            assert_eq!(first_codec(body.as_bytes()), all.first().cloned(), "{body}");
        }
        assert_eq!(sound(sdp.as_bytes()).unwrap().codecs, ["g722", "opus"]);
        assert_eq!(sound(sdp.as_bytes()).unwrap().address, Some("192.0.2.1:4000".parse().unwrap()));
    }
}
