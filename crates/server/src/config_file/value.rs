//! Values: what was written, checked against what the key wants.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use ipnet::IpNet;
use offhook_exchange::spending::Limits;
use offhook_media::lease::PortBlock;
use toml::de::DeValue;

use super::key::Kind;

/// A value that is of the kind its key wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Text`], [`Kind::Path`] and [`Kind::Choice`].
    Text(String),
    /// Of [`Kind::Secret`].
    Secret(Secret),
    /// Of [`Kind::Texts`] and [`Kind::List`].
    Texts(Vec<String>),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Count`].
    Count(u64),
    /// Of [`Kind::Time`] and [`Kind::TimeOrOff`]; zero is off.
    Time(Duration),
    /// Of [`Kind::Address`], [`Kind::Listen`] and [`Kind::Servers`].
    Addresses(Vec<SocketAddr>),
    /// Of [`Kind::IpOrAuto`].
    Ip(Option<IpAddr>),
    /// Of [`Kind::Networks`].
    Networks(Vec<IpNet>),
    /// Of [`Kind::Ports`].
    Ports(RangeInclusive<u16>),
    /// Of [`Kind::Destination`]: keys and values of each place as written. A list of trunks in one place is as many places,
    /// each with its priority.
    Destination(Vec<Vec<(String, String)>>),
    /// Of [`Kind::Limits`].
    Limits(Limits),
    /// Of [`Kind::Actions`], and of [`Kind::Action`], which is one of them without keys.
    Actions(Vec<WrittenAction>),
}

/// Where a choice leads, as it is written: `1 = { call = "600" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenAction {
    /// The keys in front.
    pub keys: String,
    /// The octets of its source that it is.
    pub span: Range<usize>,
    /// What stands in the table; a list has several texts, and a flag is `true` or `false`.
    pub entries: Vec<(String, Vec<String>)>,
}

/// Where a password is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Here.
    Plain(String),
    /// In a variable of the environment.
    Variable(String),
    /// In a file.
    File(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value, or `None` if it is not of this kind.
pub(super) fn read(kind: Kind, value: &DeValue<'_>) -> Option<Value> {
    Some(match kind {
        Kind::Text | Kind::Path => Value::Text(text(value).filter(|text| !text.is_empty())?),
        Kind::Choice(words) => Value::Text(text(value).filter(|text| words.contains(&text.as_str()))?),
        Kind::Secret => Value::Secret(secret(value)?),
        Kind::Texts => Value::Texts(texts(value)?),
        Kind::Flag => Value::Flag(value.as_bool()?),
        Kind::Count(least, most) => Value::Count(count(value).filter(|n| (least..=most).contains(n))?),
        Kind::Time => Value::Time(time(value)?),
        Kind::TimeOrOff if value.as_str() == Some("off") => Value::Time(Duration::ZERO),
        Kind::TimeOrOff => Value::Time(time(value)?),
        Kind::Address => Value::Addresses(vec![text(value)?.parse().ok()?]),
        Kind::Listen => Value::Addresses(listen(value)?),
        Kind::Servers => {
            let each = |text: &String| {
                text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53))).ok()
            };
            let servers: Vec<_> = texts(value)?.iter().map(each).collect::<Option<_>>()?;
            Value::Addresses(Some(servers).filter(|servers| !servers.is_empty())?)
        }
        Kind::IpOrAuto => match text(value)?.as_str() {
            "auto" => Value::Ip(None),
            address => Value::Ip(Some(address.parse().ok()?)),
        },
        Kind::Networks => {
            let each = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
            Value::Networks(texts(value)?.iter().map(each).collect::<Option<_>>()?)
        }
        Kind::Ports => Value::Ports(ports(&text(value)?)?),
        Kind::List => Value::Texts(match value {
            DeValue::Array(_) => texts(value)?,
            one => vec![text(one).filter(|text| !text.is_empty())?],
        }),
        Kind::Destination => Value::Destination(destination(value)?),
        Kind::Action => {
            Value::Actions(vec![WrittenAction { keys: String::new(), span: 0..0, entries: entries(value)? }])
        }
        Kind::Actions => {
            let each = |(keys, value): (&toml::Spanned<Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
                let span = keys.span().start..value.span().end;
                Some(WrittenAction {
                    keys: keys.get_ref().to_string(),
                    span,
                    entries: entries(value.get_ref())?,
                })
            };
            Value::Actions(value.as_table()?.iter().map(each).collect::<Option<_>>()?)
        }
        Kind::Limits => Value::Limits(limits(value)?),
    })
}

fn text(value: &DeValue<'_>) -> Option<String> {
    Some(value.as_str()?.to_owned())
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let texts: Vec<String> = match value {
        DeValue::Array(array) => array.iter().map(|one| text(one.get_ref())).collect::<Option<_>>()?,
        one => text(one)?.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

/// What stands in a table of texts, lists of texts, numbers and flags.
fn entries(value: &DeValue<'_>) -> Option<Vec<(String, Vec<String>)>> {
    let words = |value: &DeValue<'_>| match value {
        DeValue::Array(array) => array.iter().map(|one| text(one.get_ref())).collect(),
        DeValue::Boolean(flag) => Some(vec![flag.to_string()]),
        one => Some(vec![text(one).or_else(|| count(one).map(|count| count.to_string()))?]),
    };
    let table = value.as_table()?.iter();
    table.map(|(key, value)| Some((key.get_ref().to_string(), words(value.get_ref())?))).collect()
}

fn destination(value: &DeValue<'_>) -> Option<Vec<Vec<(String, String)>>> {
    if let DeValue::Array(array) = value {
        let places = array.iter().map(|one| place(one.get_ref())).collect::<Option<Vec<_>>>()?;
        return (!places.is_empty()).then_some(places);
    }
    let Some(DeValue::Array(trunks)) =
        value.as_table().and_then(|table| table.get("trunk")).map(|one| one.get_ref())
    else {
        return Some(vec![place(value)?]);
    };
    let alone = value.as_table().is_some_and(|table| table.len() == 1) && !trunks.is_empty();
    let ranked = |(at, one): (usize, &toml::Spanned<DeValue<'_>>)| {
        Some(vec![("trunk".to_owned(), text(one.get_ref())?), ("priority".to_owned(), (at + 1).to_string())])
    };
    trunks.iter().enumerate().map(ranked).collect::<Option<_>>().filter(|_| alone)
}

fn limits(value: &DeValue<'_>) -> Option<Limits> {
    let mut limits = Limits::default();
    for (key, value) in value.as_table()? {
        let value = value.get_ref();
        let count = || count(value).and_then(|count| u32::try_from(count).ok());
        match key.get_ref().as_ref() {
            "calls" => limits.calls = Some(count()?),
            "minutes_per_day" => limits.minutes_per_day = Some(count()?),
            "money_per_day" => limits.money_per_day = Some(value.as_str()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(limits)
}

fn place(value: &DeValue<'_>) -> Option<Vec<(String, String)>> {
    let entry = |value: &DeValue<'_>| text(value).or_else(|| count(value).map(|count| count.to_string()));
    let table = value.as_table()?.iter();
    table.map(|(key, value)| Some((key.get_ref().to_string(), entry(value.get_ref())?))).collect()
}

fn count(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn listen(value: &DeValue<'_>) -> Option<Vec<SocketAddr>> {
    let texts = texts(value)?;
    if texts == ["off"] {
        return Some(Vec::new());
    }
    texts.iter().map(|text| text.parse().ok()).collect()
}

fn secret(value: &DeValue<'_>) -> Option<Secret> {
    if let Some(table) = value.as_table() {
        let mut entries = table.iter();
        let (Some((name, place)), None) = (entries.next(), entries.next()) else { return None };
        let place = text(place.get_ref())?;
        return match name.get_ref().as_ref() {
            "env" => Some(Secret::Variable(place)),
            "file" => Some(Secret::File(place)),
            _ => None,
        };
    }
    Some(Secret::Plain(text(value).filter(|text| !text.is_empty())?))
}

fn time(value: &DeValue<'_>) -> Option<Duration> {
    let seconds = match value {
        DeValue::Integer(_) => count(value)?,
        other => {
            let text = text(other)?;
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
            number.checked_mul(match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return None,
            })?
        }
    };
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds))
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // A call through us takes two pairs.
    (first > 0 && first <= last && PortBlock::within(first..=last).pairs >= 2).then_some(first..=last)
}

/// Ten years, in seconds.
const LONGEST: u64 = 10 * 365 * 86_400;
