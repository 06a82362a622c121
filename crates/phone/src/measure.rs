//! Durations and shares as people type them: `10s`, `500ms`, `2m`, `1%`.

use std::time::Duration;

/// Reads `10s`, `500ms`, `2m`, `1h`, `1.5s`; a bare number is seconds.
///
/// # Errors
/// A sentence that shows what is possible.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write for example 10s, 500ms or 2m");
    let text = text.trim();
    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let seconds_each = match unit.trim() {
        "" | "s" | "sec" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds_each).ok().filter(|d| *d <= LONGEST).ok_or_else(wrong)
}

/// Reads `1%`, `0.5%` or `1` as percent.
///
/// # Errors
/// A sentence that shows what is possible.
pub fn parse_percent(text: &str) -> Result<f32, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
    number
        .parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("`{text}` is no share; write for example 1%"))
}

/// A year: more is a slip of the finger, and adding it to a moment must not overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5", 1500)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "10 parsecs", "-1s", "1e9h", "99999999h", "."] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_between_nothing_and_all() {
        assert_eq!((parse_percent("1%"), parse_percent("0.5 %")), (Ok(1.0), Ok(0.5)));
        assert!(
            parse_percent("101%").is_err() && parse_percent("NaN").is_err() && parse_percent("").is_err()
        );
    }
}
