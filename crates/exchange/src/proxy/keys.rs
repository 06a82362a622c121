//! Keys that a phone presses by an INFO: `application/dtmf-relay` and `application/dtmf`. No RFC has them, phones do.

use offhook_media::command::{Press, event_of};
use offhook_sip::{Method, Name, Request};

/// The key that an INFO tells of; `None` if it tells of none, or of one that nobody knows.
pub(crate) fn pressed(request: &Request) -> Option<Press> {
    if *request.method() != Method::Info {
        return None;
    }
    let kind = request.raw(Name::ContentType)?.split(|byte| *byte == b';').next()?.trim_ascii();
    let body = std::str::from_utf8(request.body()).ok()?;
    if kind.eq_ignore_ascii_case(b"application/dtmf") {
        return Some(Press { event: event(body.trim())?, duration_ms: USUAL_MS });
    }
    if !kind.eq_ignore_ascii_case(b"application/dtmf-relay") {
        return None;
    }
    let value = |name: &str| {
        let mut lines = body.lines().filter_map(|line| line.split_once('='));
        lines.find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then(|| value.trim()))
    };
    let asked = value("Duration").and_then(|text| text.parse::<u16>().ok());
    let duration_ms = asked.map_or(USUAL_MS, |asked| asked.clamp(SHORTEST_MS, LONGEST_MS));
    Some(Press { event: event(value("Signal")?)?, duration_ms })
}

/// A digit, a sign, or the number of an event.
fn event(signal: &str) -> Option<u8> {
    let mut signs = signal.chars();
    match (signs.next(), signs.next()) {
        (Some('!'), None) => Some(FLASH),
        (Some(sign), None) => event_of(sign),
        _ => signal.parse().ok().filter(|number| (10..=FLASH).contains(number)),
    }
}

/// RFC 4733 names it no more, RFC 2833 §3.10 did.
const FLASH: u8 = 16;
const USUAL_MS: u16 = 160;
/// What every receiver takes for a key (ITU-T Q.24).
const SHORTEST_MS: u16 = 40;
const LONGEST_MS: u16 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: &str, body: &str) -> Request {
        let text = format!(
            "INFO sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 INFO\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        offhook_sip::Message::parse(text.into_bytes().into()).unwrap().as_request().unwrap().clone()
    }

    #[test]
    fn both_kinds_name_a_key_and_others_do_not() {
        let relay =
            |body| pressed(&info("application/dtmf-relay", body)).map(|one| (one.event, one.duration_ms));
        assert_eq!(relay("Signal=5\r\nDuration=120\r\n"), Some((5, 120)));
        assert_eq!(relay("signal= *\nduration= 1\n"), Some((10, SHORTEST_MS)));
        assert_eq!(relay("Signal=11\r\n"), Some((11, USUAL_MS)));
        assert_eq!(relay("Signal=d\r\nDuration=60000\r\n"), Some((15, LONGEST_MS)));
        assert_eq!(relay("Signal=!\r\n"), Some((FLASH, USUAL_MS)));
        for bad in ["", "5", "Signal=", "Signal=x", "Signal=17", "Signal=55", "Duration=100"] {
            assert_eq!(relay(bad), None, "{bad}");
        }
        let plain = |body| pressed(&info("Application/DTMF;charset=utf-8", body)).map(|one| one.event);
        assert_eq!((plain("#\r\n"), plain("7"), plain("12345")), (Some(11), Some(7), None));
        assert_eq!(pressed(&info("text/plain", "5")), None);
    }
}
