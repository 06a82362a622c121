//! `offhook calls export`: call records for other programs.

use std::str::FromStr;

use clap::ValueEnum;
use serde_json::Value;

use super::records::{self, Damaged};
use crate::account::Flags;
use crate::exit::{Failure, USAGE};
use crate::print;

/// How records are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
}

/// A day, minute or second in UTC, written as the beginning of a record's time (RFC 3339) is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(String);

impl FromStr for Date {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = if text.contains('T') { text.strip_suffix('Z').unwrap_or(text) } else { text };
        let is_date = match PATTERN.get(..text.len()) {
            Some(pattern) if LENGTHS.contains(&text.len()) => is_like(text, pattern) && is_possible(text),
            _ => false,
        };
        is_date
            .then(|| Self(text.to_owned()))
            .ok_or("write 2026-11-28, 2026-11-28T09:30 or 2026-11-28T09:30:15; it is taken as UTC")
    }
}

impl Date {
    /// How a time stands to the day, minute or second that this is.
    fn compare(&self, time: &str) -> std::cmp::Ordering {
        time.get(..self.0.len()).unwrap_or(time).cmp(&self.0)
    }
}

fn is_like(text: &str, pattern: &str) -> bool {
    let is = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.bytes().zip(pattern.bytes()).all(is)
}

fn is_possible(text: &str) -> bool {
    let number = |at: usize| text.get(at..at + 2).map_or(Some(0), |digits| digits.parse::<usize>().ok());
    let (Some(month), Some(day)) = (number(5), number(8)) else { return false };
    let days = month.checked_sub(1).and_then(|month| DAYS.get(month));
    days.is_some_and(|days| (1..=*days).contains(&day))
        && number(11).is_some_and(|hour| hour < 24)
        && [14, 17].map(number).iter().all(|one| one.is_some_and(|one| one < 60))
}

/// Writes the records of calls that began within these times. Lines that are no records are told on stderr.
pub(super) fn export(
    format: Format,
    since: Option<&Date>,
    until: Option<&Date>,
    common: &Flags,
) -> Result<(), Failure> {
    if let (Some(since), Some(until)) = (since, until)
        && until.compare(&since.0).is_gt()
    {
        return Err(Failure::new(USAGE, format!("--since {} is later than --until {}", since.0, until.0)));
    }
    if format == Format::Csv {
        row(COLUMNS.map(str::to_owned));
    }
    records::each(common, |record| match record {
        Ok(record) if is_within(&record, since, until) => match format {
            Format::Csv => row(COLUMNS.map(|column| field(&record[column]))),
            Format::Ndjson => print::line(&record.to_string()),
        },
        Ok(_) => {}
        Err(Damaged(number)) => {
            eprintln!("offhook: line {number} of the call records is damaged and left out");
        }
    })
}

fn is_within(record: &Value, since: Option<&Date>, until: Option<&Date>) -> bool {
    let began = record["started_at"].as_str().unwrap_or_default();
    since.is_none_or(|since| since.compare(began).is_ge())
        && until.is_none_or(|until| until.compare(began).is_le())
}

/// RFC 4180 §2: rows end with CRLF.
fn row(fields: [String; COLUMNS.len()]) {
    print::line(&format!("{}\r", fields.join(",")));
}

fn field(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(legs) => legs.iter().map(called).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    };
    // What strangers call themselves must not be run by the spreadsheet of whoever opens the file. An apostrophe says
    // that what follows is text.
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text;
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

const COLUMNS: [&str; 31] = [
    "id",
    "from",
    "to",
    "started_at",
    "answered_at",
    "ended_at",
    "ended_by",
    "code",
    "reason",
    "legs",
    "q850",
    "media",
    "came_by",
    "verified",
    "trunk",
    "dialled",
    "sent",
    "charged",
    "cost",
    "currency",
    "answered_by",
    "codec",
    "packets_from_caller",
    "lost_from_caller",
    "jitter_ms_from_caller",
    "mos_from_caller",
    "packets_from_callee",
    "lost_from_callee",
    "jitter_ms_from_callee",
    "mos_from_callee",
    "called",
];
/// With these a formula begins; the wide ones are read as the others where Chinese or Japanese is written.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
const PATTERN: &str = "0000-00-00T00:00:00";
const LENGTHS: [usize; 3] = [10, 16, 19];
const DAYS: [usize; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// One who was called: `sip:bob@192.0.2.7 486 Busy Here`.
fn called(leg: &Value) -> String {
    ["to", "code", "reason"].map(|what| print::word(&leg[what])).join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_are_days_minutes_or_seconds() {
        for good in ["2026-11-28", "2024-02-29", "2026-11-28T09:30", "2026-11-28T23:59:59Z"] {
            assert!(good.parse::<Date>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "yesterday",
            "2026-11-28Z",
            "2026-11",
            "2026-13-01",
            "2026-04-31",
            "2026-00-01",
            "2026-01-00",
            "28.11.2026",
            "2026-11-28T24:00",
            "2026-11-28T09:60",
            "2026-11-28 09:30",
            "2026-11-28T09:30:15+01:00",
            "２026-11-8",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_whole_of_the_last_day_counts() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let within = |at: &str, since: &str, until: &str| {
            is_within(&json!({ "started_at": at }), Some(&date(since)), Some(&date(until)))
        };
        assert!(within("2026-11-28T23:59:59.999Z", "2026-11-28", "2026-11-28"));
        assert!(!within("2026-11-29T00:00:00.000Z", "2026-11-28", "2026-11-28"));
        assert!(within("2026-11-28T09:30:59.000Z", "2026-11-28T09:30", "2026-11-28T09:30"));
        assert!(!within("2026-11-28T09:29:59.999Z", "2026-11-28T09:30", "2026-11-29"));
    }

    #[test]
    fn fields_are_quoted_and_no_spreadsheet_runs_them() {
        for (value, text) in [
            (json!(null), ""),
            (json!(486), "486"),
            (json!("<sip:a@b>;tag=1"), "<sip:a@b>;tag=1"),
            (json!("\"Li, Wei\" <sip:a@b>"), "\"\"\"Li, Wei\"\" <sip:a@b>\""),
            (json!("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\""),
            (json!("+49301234567"), "\"'+49301234567\""),
            (json!("-1"), "\"'-1\""),
            (json!("@x"), "\"'@x\""),
            (json!("＝1"), "\"'＝1\""),
            (json!("a\r\nb"), "\"a\r\nb\""),
        ] {
            assert_eq!(field(&value), text);
        }
    }
}
