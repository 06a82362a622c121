//! What is refused when more comes than can be done (RFC 6357 §4, RFC 7339 §5): new calls, a share of them, early and
//! cheaply. What belongs to a call, registrations and emergency calls go on.

use std::time::{Duration, Instant};

use offhook_sip::{Method, Request, Uri};
use rand::RngExt as _;

use offhook_sip_stack::Rng;

use crate::config::Config;
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::locality::user_of;
use crate::route::Asked;

/// Watches how long messages wait and says which new calls are to be refused.
#[derive(Debug)]
pub(crate) struct Overload {
    /// How many of 256 new calls are refused.
    share: u16,
    /// When the share may change again.
    next: Option<Instant>,
    /// Those that nobody was told of yet.
    refused: u64,
    told: Option<Instant>,
}

impl Overload {
    pub(crate) fn new() -> Self {
        Self { share: 0, next: None, refused: 0, told: None }
    }

    /// Takes note of how long the oldest message that waits has been waiting. Returns what there is to tell.
    pub(crate) fn waited(&mut self, waited: Duration, now: Instant) -> Option<Event> {
        self.adapt(waited, now);
        if self.refused == 0 || self.told.is_some_and(|told| now < told + TELLING) {
            return None;
        }
        self.told = Some(now);
        Some(Event::Overload { refused: std::mem::take(&mut self.refused) })
    }

    fn adapt(&mut self, waited: Duration, now: Instant) {
        if (self.share == 0 && waited < TOO_LONG) || self.next.is_some_and(|next| now < next) {
            return;
        }
        let missed = self.next.map_or(0, |next| now.duration_since(next).as_millis() / PACE.as_millis());
        self.next = Some(now + PACE);
        self.share = match waited {
            waited if waited >= TOO_LONG => (self.share + STEP).min(MOST),
            // In a silence nobody asks, yet it counts.
            waited if waited < SHORT => self
                .share
                .saturating_sub((STEP / 2).saturating_mul(u16::try_from(missed + 1).unwrap_or(u16::MAX))),
            _ => self.share,
        };
    }

    /// Whether there is something to refuse, or to tell of.
    pub(crate) fn is_refusing(&self) -> bool {
        self.share > 0 || self.refused > 0
    }

    /// Whether this request, if it is new, is one too many.
    pub(crate) fn is_too_much(&mut self, request: &Request, config: &Config, rng: &mut Rng) -> bool {
        let too_much = self.share > 0
            && *request.method() == Method::Invite
            && request.to_tag().is_none()
            && u16::from(rng.random::<u8>()) < self.share
            && !is_emergency(request, config);
        self.refused += u64::from(too_much);
        too_much
    }
}

/// Whether help is called, by a number that stands for it where the caller says to be. Who that is, is asked for after.
fn is_emergency(request: &Request, config: &Config) -> bool {
    let Ok(uri) = request.uri() else { return false };
    if host_of(&uri).is_some_and(|host| !config.serves(&host)) {
        return false;
    }
    let from = request.from().ok();
    let caller = from.and_then(|from| Some(AddressOfRecord::new(&user_of(&from.uri)?, &host_of(&from.uri)?)));
    let (plan, domains) = (&config.plan, &config.domains);
    plan.is_emergency(&Asked { uri: &uri, caller: caller.as_ref(), trunk: None, at: 0, domains })
}

fn host_of(uri: &Uri) -> Option<String> {
    if let Uri::Sip(uri) = uri { Some(uri.host().to_string()) } else { None }
}

/// A queue that has stood for so long does not empty by itself. Far below T1 (500 ms), after which all would come again.
const TOO_LONG: Duration = Duration::from_millis(40);
/// A queue as a burst makes it.
const SHORT: Duration = Duration::from_millis(10);
/// How often the share changes.
const PACE: Duration = Duration::from_millis(10);
/// How often it is told.
const TELLING: Duration = Duration::from_secs(1);
const STEP: u16 = 16;
/// Some are always let in: whether it still is too much is seen by them.
const MOST: u16 = 248;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use offhook_sip::Message;
    use rand::SeedableRng as _;

    use crate::config::Key;
    use crate::route::Numbering;

    use super::*;

    /// Help is called by 112, and by 133 where Vienna dials.
    fn config() -> Config {
        let mut config = Config::new(vec!["example.com".into()], Key([1; 32]));
        let numbering = |number: &str| Numbering { emergency: vec![number.into()], ..Numbering::default() };
        config.plan.numbering = numbering("112");
        config.plan.numbering_of.push((AddressOfRecord::new("vienna", "example.com"), numbering("133")));
        config
    }

    fn request(line: &str, to: &str) -> Request {
        request_of("sip:a@b", line, to)
    }

    fn request_of(from: &str, line: &str, to: &str) -> Request {
        let method = line.split(' ').next().unwrap();
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <{from}>;tag=1\r\nTo: {to}\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\n\r\n"
        );
        match Message::parse(Bytes::from(text)).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => unreachable!(),
        }
    }

    #[test]
    fn a_standing_queue_turns_new_calls_away_and_a_short_one_lets_them_in_again() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut rng = Rng::from_seed([1; 32]);
        let mut overload = Overload::new();
        let (invite, config) = (request("INVITE sip:bob@example.com", "<sip:b@c>"), config());
        let mut refused = |overload: &mut Overload| {
            (0..1_000).filter(|_| overload.is_too_much(&invite, &config, &mut rng)).count()
        };
        overload.waited(Duration::from_millis(39), start);
        assert_eq!(refused(&mut overload), 0);
        for step in 0..8 {
            overload.waited(Duration::from_millis(50), start + step * PACE);
            // Many messages come in a moment: it counts once.
            overload.waited(Duration::from_millis(50), start + step * PACE);
        }
        assert!((400..600).contains(&refused(&mut overload)));
        for step in 8..100 {
            overload.waited(Duration::from_secs(1), start + step * PACE);
        }
        assert!((940..1_000).contains(&refused(&mut overload)));
        let mut told = 0;
        for step in 100..400 {
            if let Some(Event::Overload { refused }) = overload.waited(Duration::ZERO, start + step * PACE) {
                told += refused;
            }
        }
        assert_eq!(refused(&mut overload), 0);
        // The others were told of before.
        assert!((940..1_000).contains(&told), "{told}");
        assert!(!overload.is_refusing());
    }

    #[test]
    fn a_silence_ends_it() {
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let start = Instant::now();
        let mut overload = Overload::new();
        for step in 0..100 {
            overload.waited(Duration::from_secs(1), start + step * PACE);
        }
        assert!(overload.is_refusing());
        overload.waited(Duration::ZERO, start + Duration::from_secs(2));
        assert!(!overload.is_refusing());
    }

    #[test]
    fn only_new_calls_are_turned_away() {
        let mut rng = Rng::from_seed([1; 32]);
        let (mut overload, config) = (Overload { share: 256, ..Overload::new() }, config());
        for (line, to, expected) in [
            ("INVITE sip:bob@example.com", "<sip:b@c>", true),
            ("INVITE sip:bob@example.com", "<sip:b@c>;tag=2", false),
            ("BYE sip:bob@example.com", "<sip:b@c>;tag=2", false),
            ("REGISTER sip:example.com", "<sip:b@c>", false),
            ("INVITE sip:112@example.com", "<sip:b@c>", false),
            ("INVITE sips:112@example.com", "<sip:b@c>", false),
            ("INVITE tel:112;phone-context=example.com", "<sip:b@c>", false),
            ("INVITE sip:1-12@example.com;user=phone", "<sip:b@c>", false),
            ("INVITE sip:112@example.org", "<sip:b@c>", true),
            ("INVITE sip:1120@example.com", "<sip:b@c>", true),
            ("INVITE sip:133@example.com", "<sip:b@c>", true),
        ] {
            assert_eq!(overload.is_too_much(&request(line, to), &config, &mut rng), expected, "{line}");
        }
        let vienna =
            |to| request_of("sip:vienna@example.com", &format!("INVITE sip:{to}@example.com"), "<sip:b@c>");
        assert!(!overload.is_too_much(&vienna("133"), &config, &mut rng));
        assert!(overload.is_too_much(&vienna("112"), &config, &mut rng));
    }
}
