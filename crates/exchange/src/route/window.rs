//! Windows of time: `Mon-Fri 08:00-18:00`.

use std::fmt;

/// Days of the week and a part of the day, in local time. One that ends before it begins goes on past midnight, and belongs
/// to the day on which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Monday is the lowest bit.
    days: u8,
    /// Minutes of the day.
    from: u16,
    /// The first minute that is outside.
    to: u16,
}

/// A text is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidWindow;

impl fmt::Display for InvalidWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is written \"Mon-Fri 08:00-18:00\", \"Sat,Sun\" or \"22:00-06:00\"")
    }
}

impl Window {
    /// Reads days, hours, or both.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidWindow> {
        let (mut days, mut hours) = (None, None);
        for word in text.split_whitespace() {
            let slot_is_hours = word.contains(':');
            match slot_is_hours {
                true if hours.is_none() => hours = Some(read_hours(word).ok_or(InvalidWindow)?),
                false if days.is_none() && hours.is_none() => {
                    days = Some(read_days(word).ok_or(InvalidWindow)?)
                }
                true | false => return Err(InvalidWindow),
            }
        }
        if days.is_none() && hours.is_none() {
            return Err(InvalidWindow);
        }
        let (from, to) = hours.unwrap_or((0, DAY));
        Ok(Self { days: days.unwrap_or(0x7f), from, to })
    }

    /// Whether a moment is inside: its day of the week, Monday being 0, and its minute of the day.
    pub fn holds(&self, day: u8, minute: u16) -> bool {
        let on = |day: u8| self.days >> (day % 7) & 1 == 1;
        if self.from < self.to {
            on(day) && (self.from..self.to).contains(&minute)
        } else {
            (on(day) && minute >= self.from) || (on(day + 6) && minute < self.to)
        }
    }
}

fn read_days(text: &str) -> Option<u8> {
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day_of_week(first)?, day_of_week(last)?);
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Some(days)
}

fn day_of_week(text: &str) -> Option<u8> {
    let day = DAYS.iter().position(|one| one.eq_ignore_ascii_case(text))?;
    u8::try_from(day).ok()
}

fn read_hours(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let minute = |text: &str| -> Option<u16> {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let whole = hours * 60 + minutes;
        (hours <= 24 && minutes < 60 && whole <= DAY).then_some(whole)
    };
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < DAY).then_some((from, to))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_what_they_say() {
        let holds = |text: &str, day: u8, hour: u16, minute: u16| {
            Window::parse(text).unwrap().holds(day, hour * 60 + minute)
        };
        assert!(holds("Mon-Fri 08:00-18:00", 0, 8, 0) && holds("Mon-Fri 08:00-18:00", 4, 17, 59));
        assert!(!holds("Mon-Fri 08:00-18:00", 4, 18, 0) && !holds("Mon-Fri 08:00-18:00", 5, 12, 0));
        assert!(holds("Sat,Sun", 6, 0, 0) && !holds("Sat,Sun", 0, 0, 0));
        assert!(holds("Fri-Mon", 6, 3, 0) && !holds("Fri-Mon", 2, 3, 0));
        assert!(holds("22:00-24:00", 3, 23, 59));
        let night = "Fri 22:00-06:00";
        assert!(holds(night, 4, 23, 0) && holds(night, 5, 5, 59));
        assert!(!holds(night, 5, 22, 0) && !holds(night, 4, 5, 0));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "always",
            "Mon-",
            "08:00",
            "08:00-08:00",
            "25:00-26:00",
            "08:60-09:00",
            "08:00-18:00 Mon",
            "Mon Tue",
        ] {
            assert_eq!(Window::parse(text), Err(InvalidWindow), "{text}");
        }
    }
}
