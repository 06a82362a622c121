//! How much is kept of what passed.

use super::Meaning;

impl Meaning<'_> {
    /// Octets for the messages that passed lately; 0: they are not kept.
    pub(super) fn trace_memory(&mut self) -> usize {
        let path = "trace.memory";
        let Some(text) = self.text(path).filter(|text| text != "off") else { return 0 };
        let read = octets(&text);
        if !read.is_some_and(|octets| BOUNDS.contains(&octets)) {
            let help = "from \"1 MiB\" to \"4 GiB\", or \"off\"".to_owned();
            self.mistake(path, format!("{text:?} is no amount of memory that can be had"), Some(help));
        }
        read.unwrap_or_default()
    }
}

/// A number with its unit.
fn octets(text: &str) -> Option<usize> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.trim() {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

const BOUNDS: std::ops::RangeInclusive<usize> = 1 << 20..=4 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_whole_number_and_a_unit() {
        assert_eq!(octets("8 MiB"), Some(8 << 20));
        assert_eq!(octets("512KiB"), Some(512 << 10));
        for wrong in
            ["8", "MiB", "8 MB", "-8 MiB", "99999999999999999999 KiB", "18446744073709551615 GiB", "8 MiB x"]
        {
            assert_eq!(octets(wrong), None, "{wrong}");
        }
    }
}
