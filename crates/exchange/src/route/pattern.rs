//! Patterns of numbers: `+49*`, `1XX`, `110`.

use std::fmt;

/// Digits, `+`, `*` and `#` stand for themselves; `X` is any digit, `Z` one from 1 to 9, `N` one from 2 to 9; a `*` at the
/// very end is anything or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    places: Vec<Place>,
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Exactly(char),
    /// A digit from this one on.
    From(char),
}

/// A text is no pattern because of this letter, or because it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPattern(pub Option<char>);

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(letter) => write!(f, "{letter:?} is no part of a pattern such as \"+49*\" or \"1XX\""),
            None => f.write_str("a pattern is at least one letter, such as \"*\""),
        }
    }
}

impl Pattern {
    /// Reads a pattern; separators do not count.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let (body, open) = match text.strip_suffix('*') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let mut places = Vec::with_capacity(body.len());
        for (at, letter) in body.chars().enumerate() {
            match letter {
                '+' if at > 0 => return Err(InvalidPattern(Some('+'))),
                '0'..='9' | '+' | '*' | '#' => places.push(Place::Exactly(letter)),
                'x' | 'X' => places.push(Place::From('0')),
                'z' | 'Z' => places.push(Place::From('1')),
                'n' | 'N' => places.push(Place::From('2')),
                ' ' | '-' | '.' | '(' | ')' => {}
                other => return Err(InvalidPattern(Some(other))),
            }
        }
        if places.is_empty() && !open {
            return Err(InvalidPattern(None));
        }
        Ok(Self { text: text.to_owned(), places, open })
    }

    /// Whether a number fits, as it is normalised.
    pub fn fits(&self, number: &str) -> bool {
        let mut letters = number.chars();
        for place in &self.places {
            let fits = match (place, letters.next()) {
                (Place::Exactly(wanted), Some(letter)) => letter == *wanted,
                (Place::From(first), Some(letter)) => letter.is_ascii_digit() && letter >= *first,
                (Place::Exactly(_) | Place::From(_), None) => false,
            };
            if !fits {
                return false;
            }
        }
        self.open || letters.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_they_say() {
        for (pattern, fitting, others) in [
            ("+49*", &["+4930", "+49"][..], &["+43", "4930", "+4"][..]),
            ("+49 30 *", &["+49301"], &["+4931"]),
            ("1XX", &["100", "199"], &["10", "1000", "1*0", "200"]),
            ("ZXX", &["100"], &["000"]),
            ("NXX", &["200"], &["100", "000"]),
            ("110", &["110"], &["1101"]),
            ("*43", &["*43"], &["43"]),
            ("*", &["110", "+49", ""], &[]),
            ("+*", &["+49"], &["110"]),
            ("*21*", &["*21", "*21*0301#"], &["*2"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert!(fitting.iter().all(|number| parsed.fits(number)), "{pattern}");
            assert!(!others.iter().any(|number| parsed.fits(number)), "{pattern}");
        }
        for (text, letter) in [("abc", Some('a')), ("4+9", Some('+')), ("", None), ("^\\+49", Some('^'))] {
            assert_eq!(Pattern::parse(text), Err(InvalidPattern(letter)), "{text}");
        }
    }
}
