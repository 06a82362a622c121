//! How long things took: every value is kept, so that percentiles are exact.

use serde_json::{Value, json};

/// Durations in nanoseconds as they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// Tenths of microseconds: seven minutes fit.
    values: Vec<u32>,
}

/// What the values say, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percentiles {
    pub(super) count: usize,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Latencies {
    pub(super) fn add(&mut self, nanoseconds: u64) {
        self.values.push(u32::try_from(nanoseconds / 100).unwrap_or(u32::MAX));
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }

    /// `None` if there are no values.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        let (last, count) = (*sorted.last()?, sorted.len());
        // The smallest value that the share of all values does not exceed.
        let at = |thousandths: usize| {
            let rank = (count * thousandths).div_ceil(1000).clamp(1, count);
            milliseconds(sorted[rank - 1])
        };
        let max = milliseconds(last);
        Some(Percentiles { count, p50: at(500), p90: at(900), p99: at(990), p999: at(999), max })
    }
}

impl Percentiles {
    pub(super) fn json(&self) -> Value {
        let Self { count, p50, p90, p99, p999, max } = *self;
        json!({"count": count, "p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": max})
    }
}

fn milliseconds(tenths: u32) -> f64 {
    f64::from(tenths) / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let mut latencies = Latencies::default();
        for millisecond in (1..=100).rev() {
            latencies.add(millisecond * 1_000_000);
        }
        let found = latencies.percentiles().unwrap();
        assert_eq!(
            (found.p50, found.p90, found.p99, found.p999, found.max),
            (50.0, 90.0, 99.0, 100.0, 100.0)
        );
    }

    #[test]
    fn one_value_is_all_percentiles_and_none_is_none() {
        assert_eq!(Latencies::default().percentiles(), None);
        let mut one = Latencies::default();
        one.add(1_500_000);
        let found = one.percentiles().unwrap();
        assert_eq!((found.count, found.p50, found.max), (1, 1.5, 1.5));
    }
}
