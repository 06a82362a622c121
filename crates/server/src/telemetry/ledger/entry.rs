//! What happened to a call, as octets: the length of the rest, a kind, the Unix time in microseconds, then the fields of the
//! kind; texts with their length before them.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::event::{CalledLeg, EndedBy, Event};
use offhook_exchange::spending::{Money, Price};
use offhook_sip::Status;

/// Appends an event of a call; others are left out.
pub(in super::super) fn encode(out: &mut Vec<u8>, unix: Duration, event: &Event) {
    let begin = out.len();
    out.extend([0; 4]);
    let mut entry = Writer(out);
    match event {
        Event::CallStarted { call, from, to, targets } => {
            entry.head(STARTED, unix, call).text(from).text(to).number(*targets as u64);
        }
        Event::LegStarted { call, leg } => {
            entry.head(LEG, unix, call).text(leg);
        }
        Event::CallStayed { call } => {
            entry.head(STAYED, unix, call);
        }
        Event::CallCame { call, trunk } => {
            entry.head(CAME, unix, call).text(trunk);
        }
        Event::CallVerified { call, verdict } => {
            entry.head(VERIFIED, unix, call).text(verdict);
        }
        Event::CallSent { call, trunk, dialled, sent, charged, price, currency } => {
            entry.head(SENT, unix, call).text(trunk).text(dialled).text(sent).text(currency);
            let (account, day) = charged.as_ref().map_or(("", 0), |(account, day)| (account.as_str(), *day));
            entry.text(account).number(i64::from(day) as u64);
            let price = price.map(|price| {
                [price.per_minute.0, price.connection.0, u64::from(price.first), u64::from(price.then)]
            });
            price.into_iter().flatten().for_each(|one| _ = entry.number(one));
        }
        Event::SpendingStopped { call, account, what, ended } => {
            entry.head(STOPPED, unix, call).text(account.as_str()).text(what).number(u64::from(*ended));
        }
        Event::LegEnded { call, leg } => {
            entry.head(LEG_ENDED, unix, call).leg(leg);
        }
        Event::CallAnswered { call, after, anchored, by, at, codec } => {
            entry.head(ANSWERED, unix, call).number(after.as_micros() as u64).number(u64::from(*anchored));
            entry.text(by).text(codec.as_deref().unwrap_or_default());
            let at = at.map(|(at, after)| (at.to_string(), after.as_micros() as u64));
            at.into_iter().for_each(|(at, after)| _ = entry.text(&at).number(after));
        }
        Event::CallFailed { call, status, reason, by } => {
            let by = by.map_or(0, |by| number_of(by) + 1);
            entry.head(FAILED, unix, call).number(status.code().into()).text(reason).number(by);
        }
        Event::CallEnded { call, by } => {
            entry.head(ENDED, unix, call).number(number_of(*by));
        }
        Event::Recording { call, what: Ok(file) } => {
            entry.head(RECORDING, unix, call).text(file);
        }
        // It may come after the record, which it is for.
        Event::MediaEnded { .. }
        | Event::Dropped { .. }
        | Event::Refused { .. }
        | Event::CallRefused { .. }
        | Event::Overload { .. }
        | Event::AuthenticationFailed { .. }
        | Event::Registered { .. }
        | Event::CallRinging { .. }
        | Event::Recording { .. }
        | Event::Supervised { .. }
        | Event::Trunk { .. } => return out.truncate(begin),
    }
    let length = (out.len() - begin - 4) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

/// The events in these octets, up to the first that is not whole. What is not understood is passed over.
pub(in super::super) fn decode(octets: &[u8]) -> impl Iterator<Item = (Duration, Event)> {
    let mut rest = Reader(octets);
    let entries = std::iter::from_fn(move || {
        let length = rest.take(4)?.try_into().ok().map(u32::from_le_bytes)?;
        rest.take(length as usize)
    });
    entries.filter_map(|entry| event(Reader(entry)))
}

fn event(mut entry: Reader<'_>) -> Option<(Duration, Event)> {
    let kind = entry.number()?;
    let unix = Duration::from_micros(entry.number()?);
    let call = entry.text()?;
    let event = match kind {
        STARTED => {
            let (from, to) = (entry.text()?, entry.text()?);
            Event::CallStarted { call, from, to, targets: entry.number()? as usize }
        }
        LEG => Event::LegStarted { call, leg: entry.text()? },
        STAYED => Event::CallStayed { call },
        CAME => Event::CallCame { call, trunk: entry.text()? },
        VERIFIED => Event::CallVerified { call, verdict: entry.text()? },
        SENT => {
            let (trunk, dialled, sent, currency) =
                (entry.text()?, entry.text()?, entry.text()?, entry.text()?);
            let (account, day) = (entry.text()?, entry.number()? as i64);
            let account = account.rsplit_once('@').map(|(user, host)| AddressOfRecord::new(user, host));
            let charged = account.zip(i32::try_from(day).ok());
            let price = entry.price();
            Event::CallSent { call, trunk, dialled, sent, charged, price, currency }
        }
        STOPPED => {
            let (account, what) = (entry.text()?, entry.text()?);
            let (user, host) = account.rsplit_once('@')?;
            let account = AddressOfRecord::new(user, host);
            Event::SpendingStopped { call, account, what, ended: entry.number()? != 0 }
        }
        ANSWERED => {
            let after = Duration::from_micros(entry.number()?);
            let anchored = entry.number()? != 0;
            let (by, codec) = (entry.text()?, Some(entry.text()?).filter(|codec| !codec.is_empty()));
            let at = entry.address().zip(entry.number().map(Duration::from_micros));
            Event::CallAnswered { call, after, anchored, by, at, codec }
        }
        LEG_ENDED => Event::LegEnded { call, leg: Box::new(entry.leg()?) },
        FAILED => {
            let status = Status::new(entry.number()?.try_into().ok()?)?;
            let reason = entry.text()?;
            let by = match entry.number()? {
                0 => None,
                by => Some(by_number(by - 1)?),
            };
            Event::CallFailed { call, status, reason, by }
        }
        RECORDING => Event::Recording { call, what: Ok(entry.text()?) },
        ENDED => Event::CallEnded { call, by: by_number(entry.number()?)? },
        _ => return None,
    };
    Some((unix, event))
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn head(&mut self, kind: u64, unix: Duration, call: &str) -> &mut Self {
        self.number(kind).number(unix.as_micros() as u64).text(call)
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn leg(&mut self, leg: &CalledLeg) {
        let CalledLeg { to, at, trunk, call_id, began, answered, code, reason, codec } = leg;
        let text = |one: &Option<String>| one.clone().unwrap_or_default();
        self.text(to).text(&at.map(|at| at.to_string()).unwrap_or_default());
        self.text(&text(trunk)).text(&text(call_id)).text(reason).text(&text(codec));
        self.number(began.as_micros() as u64).number((*code).into());
        answered.iter().for_each(|at| _ = self.number(at.as_micros() as u64));
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn price(&mut self) -> Option<Price> {
        let (per_minute, connection) = (Money(self.number()?), Money(self.number()?));
        let (first, then) = (u32::try_from(self.number()?).ok()?, u32::try_from(self.number()?).ok()?);
        Some(Price { per_minute, connection, first, then })
    }

    fn leg(&mut self) -> Option<CalledLeg> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let to = self.text()?;
        let at = self.address();
        let (trunk, call_id, reason) = (some(self.text()?), some(self.text()?), self.text()?);
        let (codec, began) = (some(self.text()?), Duration::from_micros(self.number()?));
        let code = self.number()?.try_into().ok()?;
        let answered = self.number().map(Duration::from_micros);
        Some(CalledLeg { to, at, trunk, call_id, began, answered, code, reason, codec })
    }

    /// A text that is one, or none.
    fn address(&mut self) -> Option<SocketAddr> {
        self.text()?.parse().ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

const BY: [EndedBy; 4] = [EndedBy::Caller, EndedBy::Callee, EndedBy::Exchange, EndedBy::Operator];

fn number_of(by: EndedBy) -> u64 {
    BY.iter().position(|one| *one == by).unwrap_or_default() as u64
}

fn by_number(number: u64) -> Option<EndedBy> {
    BY.get(usize::try_from(number).ok()?).copied()
}

const STARTED: u64 = 1;
const LEG: u64 = 2;
const ANSWERED: u64 = 3;
const FAILED: u64 = 4;
const ENDED: u64 = 5;
const SENT: u64 = 6;
const STOPPED: u64 = 7;
const CAME: u64 = 8;
const STAYED: u64 = 9;
const RECORDING: u64 = 10;
const VERIFIED: u64 = 20;
const LEG_ENDED: u64 = 11;
