//! Money, and what a call costs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An amount of money in millionths of the currency of the rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub u64);

impl Money {
    /// The sum; as much as there can be where it is more.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// As `5.00`: at least two digits behind the point, and as many more as it has.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / MILLION, self.0 % MILLION);
        let part = format!("{part:06}");
        let short = part.trim_end_matches('0');
        write!(f, "{whole}.{short:0<2}")
    }
}

/// From `5`, `5.00` or `0.0125`: digits, and up to six behind the point.
impl FromStr for Money {
    type Err = NoMoney;

    fn from_str(text: &str) -> Result<Self, NoMoney> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || part.len() > 6 || whole.len() > 9 {
            return Err(NoMoney);
        }
        let whole: u64 = whole.parse().map_err(|_| NoMoney)?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| NoMoney)?;
        Ok(Self(whole * MILLION + part))
    }
}

/// A text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMoney;

impl fmt::Display for NoMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount is digits, and up to six more behind a point, such as 5.00")
    }
}

impl std::error::Error for NoMoney {}

/// What a call costs that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For a minute.
    pub per_minute: Money,
    /// Once.
    pub connection: Money,
    /// Seconds that are paid in any case, at least one …
    pub first: u32,
    /// … and those that are paid together after that, at least one.
    pub then: u32,
}

impl Price {
    /// What so many seconds cost: those that have begun to be paid together are paid. Fractions of a millionth are rounded up.
    pub fn of(&self, seconds: u64) -> Money {
        let cost = u128::from(self.per_minute.0) * u128::from(self.paid_until(seconds));
        let cost = u64::try_from(cost.div_ceil(60)).unwrap_or(u64::MAX);
        self.connection.plus(Money(cost))
    }

    /// The second until which a call that has lasted so long is paid.
    pub fn paid_until(&self, seconds: u64) -> u64 {
        let (first, then) = (u64::from(self.first.max(1)), u64::from(self.then.max(1)));
        match seconds.checked_sub(first) {
            None => first,
            Some(more) => first.saturating_add(more.div_ceil(then).saturating_mul(then)),
        }
    }
}

/// A time in whole seconds, as calls are charged: half a second and more is one.
pub fn seconds(time: Duration) -> u64 {
    time.saturating_add(Duration::from_millis(500)).as_secs()
}

const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_written_to_the_millionth() {
        for (text, millionths, written) in [
            ("5", 5_000_000, "5.00"),
            ("5.00", 5_000_000, "5.00"),
            ("0.0125", 12_500, "0.0125"),
            ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
        ] {
            assert_eq!(text.parse(), Ok(Money(millionths)), "{text}");
            assert_eq!(Money(millionths).to_string(), written);
        }
        for text in ["", ".", "5.", ".5", "-1", "1e3", "5,00", "1.0000001", "1000000000"] {
            assert_eq!(text.parse::<Money>(), Err(NoMoney), "{text}");
        }
    }

    #[test]
    fn a_call_pays_what_has_begun() {
        let price = |first, then| Price { per_minute: Money(60_000), connection: Money(5), first, then };
        for (first, then, seconds, cost) in [
            (60, 60, 0, 60_005),
            (60, 60, 60, 60_005),
            (60, 60, 61, 120_005),
            (60, 1, 61, 61_005),
            (1, 1, 0, 1_005),
            (1, 1, 90, 90_005),
            (30, 6, 31, 36_005),
        ] {
            assert_eq!(price(first, then).of(seconds), Money(cost), "{first}/{then} {seconds} s");
        }
        let odd = Price { per_minute: Money(1), connection: Money(0), first: 1, then: 1 };
        assert_eq!(odd.of(1), Money(1));
        let dear = Price { per_minute: Money(u64::MAX), connection: Money(1), first: 1, then: 1 };
        assert_eq!(dear.of(u64::MAX), Money(u64::MAX));
    }

    #[test]
    fn a_time_is_charged_in_whole_seconds() {
        for (millis, whole) in [(0, 0), (499, 0), (500, 1), (300_002, 300)] {
            assert_eq!(seconds(Duration::from_millis(millis)), whole);
        }
    }
}
