//! What is pressed in calls that the exchange hears: a code, a number, and `#`.

use std::collections::BTreeMap;

use crate::b2bua::CallId;

/// What each has pressed, as long as it may become something.
#[derive(Default)]
pub(super) struct Pressed(BTreeMap<CallId, String>);

impl Pressed {
    /// One more key; returns the number that is complete with it. `may`: whether the code means anything in this call.
    pub(super) fn key(&mut self, call: CallId, key: char, code: &str, may: bool) -> Option<String> {
        let pressed = self.0.entry(call).or_default();
        pressed.push(key);
        let number = pressed.strip_prefix(code);
        let fits = code.starts_with(pressed.as_str()) || number.is_some();
        if !fits || pressed.len() > LONGEST || !may {
            // The last key may begin anew.
            let again = code.starts_with(key);
            self.0.remove(&call);
            self.0.extend(again.then(|| (call, key.to_string())));
            return None;
        }
        let number = number.and_then(|number| number.strip_suffix('#'))?.to_owned();
        self.0.remove(&call);
        Some(number).filter(|number| !number.is_empty())
    }

    /// A call is over.
    pub(super) fn forget(&mut self, call: CallId) {
        self.0.remove(&call);
    }
}

/// No number is longer.
const LONGEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_complete_with_its_last_key_and_other_keys_are_none() {
        let mut pressed = Pressed::default();
        let mut press = |keys: &str| -> Vec<String> {
            keys.chars().filter_map(|key| pressed.key(CallId(1), key, "*4", true)).collect()
        };
        assert_eq!(press("12*41003#"), ["1003"]);
        assert_eq!(press("**4#*47#"), ["7"]);
        assert_eq!(press(&format!("*4{}#", "1".repeat(50))), [""; 0]);
        assert_eq!(pressed.key(CallId(2), '*', "*4", false), None);
    }
}
