//! Chinese.

use jiff::civil::{Date, Time};

use super::Spoken;

pub(super) fn number(number: u32, out: &mut Spoken) {
    if number == 0 {
        return out.push("0");
    }
    let (upper, lower) = (number / 10_000, number % 10_000);
    if upper > 0 {
        // Two of the large unit is another word than two alone.
        if upper == 2 {
            out.push("two-of")
        } else {
            below_ten_thousand(upper, true, out)
        }
        out.push("ten-thousand");
        // A place that is left out is said once, as a zero.
        if (1..1000).contains(&lower) {
            out.push("0");
        }
    }
    below_ten_thousand(lower, upper == 0, out);
}

/// Nothing for nothing. At the `begin`, ten to nineteen have no one before the ten.
fn below_ten_thousand(number: u32, begin: bool, out: &mut Spoken) {
    let mut left_out = false;
    for (unit, name) in [(1000, "thousand"), (100, "hundred"), (10, "10"), (1, "")] {
        let digit = number / unit % 10;
        if digit == 0 {
            left_out = number >= unit * 10;
            continue;
        }
        if left_out && number >= unit * 10 {
            out.push("0");
        }
        left_out = false;
        match (unit, digit) {
            (1000, 2) => out.push("two-of"),
            (10, 1) if begin && number < 20 => {}
            _ => out.push_number(digit),
        }
        if unit > 1 {
            out.push(name);
        }
    }
}

pub(super) fn time(time: Time, out: &mut Spoken) {
    let hour: u32 = time.hour().unsigned_abs().into();
    out.push(match hour {
        0..6 => "small-hours",
        6..12 => "morning",
        12 => "noon",
        13..18 => "afternoon",
        _ => "evening",
    });
    match if hour > 12 { hour - 12 } else { hour } {
        2 => out.push("two-of"),
        hour => number(hour, out),
    }
    out.push("oclock");
    match time.minute().unsigned_abs().into() {
        0 => out.push("sharp"),
        minute => {
            if minute < 10 {
                out.push("0");
            }
            number(minute, out);
            out.push("minute");
        }
    }
}

pub(super) fn date(date: Date, out: &mut Spoken) {
    number(date.month().unsigned_abs().into(), out);
    out.push("month");
    number(date.day().unsigned_abs().into(), out);
    out.push("day");
    out.push(&format!("day-{}", date.weekday().to_monday_one_offset()));
}
