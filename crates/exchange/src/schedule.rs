//! When a place is open: hours of the week and days off.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::route::Window;
use crate::speech::local;

/// Hours of the week, without some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// In which hours and days are meant.
    pub time_zone: TimeZone,
    /// When it is open; empty: around the clock.
    pub open: Vec<Window>,
    /// Days on which it is closed all the same. Hours that go on past midnight end with the day before such a day.
    pub closed: Vec<Days>,
}

/// A day or several: `2026-12-24`, `2026-12-24..2027-01-01`, and without the year those of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Of one year, the last one included.
    Once(Date, Date),
    /// Months and days of every year; what begins after it ends goes past New Year's Eve.
    Yearly((i8, i8), (i8, i8)),
}

/// A text is no days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDays;

impl fmt::Display for InvalidDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "days are written \"2026-12-24\", \"2026-12-24..2026-12-26\", or without the year for each",
        )
    }
}

impl Schedule {
    /// Whether it is open at a moment, in Unix seconds.
    pub fn is_open(&self, unix: u64) -> bool {
        let Some(now) = local(unix, &self.time_zone) else { return false };
        let today = now.date();
        if self.closed.iter().any(|days| days.hold(today)) {
            return false;
        }
        let day = now.weekday().to_monday_zero_offset().unsigned_abs();
        let minute = u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        self.open.is_empty() || self.open.iter().any(|window| window.holds(day, minute))
    }
}

impl Days {
    /// Reads a day, or the first and the last.
    ///
    /// # Errors
    /// If it is something else, or ends before it begins.
    pub fn parse(text: &str) -> Result<Self, InvalidDays> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        if let (Some(first), Some(last)) = (day_of_year(first), day_of_year(last)) {
            return Ok(Self::Yearly(first, last));
        }
        let date = |text: &str| text.parse::<Date>().ok().filter(|_| text.len() == "2026-12-24".len());
        match (date(first), date(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self::Once(first, last)),
            _ => Err(InvalidDays),
        }
    }

    /// Whether a day is one of them.
    pub fn hold(&self, day: Date) -> bool {
        match *self {
            Self::Once(first, last) => (first..=last).contains(&day),
            Self::Yearly(first, last) => {
                let day = (day.month(), day.day());
                if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
            }
        }
    }
}

/// Month and day: `12-24`.
fn day_of_year(text: &str) -> Option<(i8, i8)> {
    if text.len() != "12-24".len() {
        return None;
    }
    let (month, day) = text.split_once('-')?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    // A leap year has every day.
    Date::new(2028, month, day).ok().map(|_| (month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-12-23 is a Wednesday.
    fn at(text: &str) -> u64 {
        let zoned = text.parse::<jiff::civil::DateTime>().unwrap();
        zoned.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second() as u64
    }

    fn office() -> Schedule {
        Schedule {
            name: "office".into(),
            time_zone: TimeZone::UTC,
            open: vec![Window::parse("mon-fri 08:30-17:00").unwrap()],
            closed: ["2026-12-24..2026-12-26", "01-01"].map(|one| Days::parse(one).unwrap()).to_vec(),
        }
    }

    #[test]
    fn hours_hold_but_not_on_days_off() {
        let office = office();
        for (moment, open) in [
            ("2026-12-23T08:29:59", false),
            ("2026-12-23T08:30:00", true),
            ("2026-12-23T16:59:59", true),
            ("2026-12-23T17:00:00", false),
            ("2026-12-24T12:00:00", false),
            ("2026-12-26T12:00:00", false),
            ("2026-12-28T12:00:00", true),
            ("2027-01-01T12:00:00", false),
            ("2027-01-04T12:00:00", true),
        ] {
            assert_eq!(office.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn a_place_without_hours_is_open_but_on_days_off() {
        let schedule = Schedule { open: Vec::new(), ..office() };
        assert!(schedule.is_open(at("2026-12-27T03:00:00")));
        assert!(!schedule.is_open(at("2026-12-25T03:00:00")));
    }

    #[test]
    fn hours_are_those_of_its_time_zone() {
        let schedule = Schedule { time_zone: TimeZone::fixed(jiff::tz::offset(8)), ..office() };
        assert!(schedule.is_open(at("2026-12-23T01:00:00")));
        assert!(!schedule.is_open(at("2026-12-23T10:00:00")));
    }

    #[test]
    fn days_of_every_year_may_go_past_its_end() {
        let days = Days::parse("12-24..01-06").unwrap();
        let holds = |text: &str| days.hold(text.parse().unwrap());
        assert!(holds("2026-12-24") && holds("2030-01-06") && !holds("2030-01-07") && !holds("2026-12-23"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "christmas", "2026-13-01", "2026-12-26..2026-12-24", "02-30", "24.12.", "2026-12-24..12-26"]
        {
            assert_eq!(Days::parse(text), Err(InvalidDays), "{text}");
        }
    }
}
