//! English.

use jiff::civil::{Date, Time};

use super::Spoken;

pub(super) fn number(number: u32, out: &mut Spoken) {
    if number == 0 {
        return out.push("0");
    }
    if number >= 1000 {
        below_thousand(number / 1000, out);
        out.push("thousand");
    }
    below_thousand(number % 1000, out);
}

/// Nothing for nothing.
fn below_thousand(number: u32, out: &mut Spoken) {
    if number >= 100 {
        out.push_number(number / 100);
        out.push("hundred");
    }
    match number % 100 {
        0 => {}
        rest @ 1..=20 => out.push_number(rest),
        rest => {
            out.push_number(rest / 10 * 10);
            if rest % 10 > 0 {
                out.push_number(rest % 10);
            }
        }
    }
}

/// By the twelve-hour clock.
pub(super) fn time(time: Time, out: &mut Spoken) {
    let hour = u32::from(time.hour().unsigned_abs());
    number(if hour % 12 == 0 { 12 } else { hour % 12 }, out);
    match time.minute().unsigned_abs() {
        0 => out.push("oclock"),
        minute @ 1..10 => {
            out.push("oh");
            number(minute.into(), out);
        }
        minute => number(minute.into(), out),
    }
    out.push(if hour < 12 { "a-m" } else { "p-m" });
}

pub(super) fn date(date: Date, out: &mut Spoken) {
    out.push(&format!("day-{}", date.weekday().to_monday_one_offset()));
    out.push(&format!("month-{}", date.month()));
    let day = date.day();
    if (21..30).contains(&day) || day == 31 {
        out.push(&format!("{}", day / 10 * 10));
        out.push(&format!("nth-{}", day % 10));
    } else {
        out.push(&format!("nth-{day}"));
    }
}
