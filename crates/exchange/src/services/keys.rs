//! What is pressed in calls that the exchange hears: a code, a number, and `#`.

use std::collections::BTreeMap;

use crate::b2bua::{CallId, LegId};

/// What each has pressed, as long as it may become something.
#[derive(Default)]
pub(super) struct Pressed(BTreeMap<LegId, String>);

impl Pressed {
    /// One more key; returns the number that is complete with it. `may`: whether the code means anything in this call.
    pub(super) fn key(&mut self, by: LegId, key: char, code: &str, may: bool) -> Option<String> {
        self.complete(by, key, code, may).filter(|number| !number.is_empty())
    }

    /// The same, where the code alone means something too.
    pub(super) fn complete(&mut self, by: LegId, key: char, code: &str, may: bool) -> Option<String> {
        let pressed = self.0.entry(by).or_default();
        pressed.push(key);
        let number = pressed.strip_prefix(code);
        let fits = code.starts_with(pressed.as_str()) || number.is_some();
        if !fits || pressed.len() > LONGEST || !may {
            // The last key may begin anew.
            let again = code.starts_with(key);
            self.0.remove(&by);
            self.0.extend(again.then(|| (by, key.to_string())));
            return None;
        }
        let number = number.and_then(|number| number.strip_suffix('#'))?.to_owned();
        self.0.remove(&by);
        Some(number)
    }

    /// A call is over.
    pub(super) fn forget(&mut self, call: CallId) {
        self.0.retain(|by, _| by.call != call);
    }
}

/// No number is longer.
const LONGEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const fn leg(call: u64) -> LegId {
        LegId { call: CallId(call), leg: 0 }
    }

    #[test]
    fn a_number_is_complete_with_its_last_key_and_other_keys_are_none() {
        let mut pressed = Pressed::default();
        let mut press = |keys: &str| -> Vec<String> {
            keys.chars().filter_map(|key| pressed.key(leg(1), key, "*4", true)).collect()
        };
        assert_eq!(press("12*41003#"), ["1003"]);
        assert_eq!(press("**4#*47#"), ["7"]);
        assert_eq!(press(&format!("*4{}#", "1".repeat(50))), [""; 0]);
        assert_eq!(pressed.key(leg(2), '*', "*4", false), None);
    }
}
