//! Rates: what calls to numbers cost, from a CSV text.

use std::collections::HashMap;
use std::fmt;

use super::price::{Money, Price};

/// What calls to numbers cost, by how these begin. The longest beginning decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    currency: String,
    prices: HashMap<Box<str>, Price>,
    longest: usize,
}

/// A mistake in a table of rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateMistake {
    /// The line, the first being 1.
    pub line: usize,
    /// The column of the table, the first being 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for RateMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl Rates {
    /// Reads a table: a line with the names of the columns (`prefix,per_minute,connection,increments,currency`), then a
    /// line for each beginning of numbers. Empty lines and those that begin with `;` are left out.
    ///
    /// # Errors
    /// All mistakes, but no more than a hundred.
    pub fn parse(text: &str) -> Result<Self, Vec<RateMistake>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::default();
        for (at, line) in text.lines().enumerate() {
            if !line.trim().is_empty() && !line.starts_with(';') && reader.mistakes.len() < MOST_MISTAKES {
                reader.line(at + 1, line);
            }
        }
        if !reader.has_head {
            reader.wrong(1, 1, format!("the first line names the columns: {}", COLUMNS.join(",")));
        }
        if reader.mistakes.is_empty() { Ok(reader.rates) } else { Err(reader.mistakes) }
    }

    /// What a call to a number costs, which is written as rules have it: `+4930…`, or digits of use here only.
    pub fn price(&self, number: &str) -> Option<Price> {
        let longest = self.longest.min(number.len());
        (1..=longest).rev().find_map(|end| self.prices.get(number.get(..end)?)).copied()
    }

    /// The beginning that decides for a number.
    pub fn prefix<'n>(&self, number: &'n str) -> Option<&'n str> {
        let longest = self.longest.min(number.len());
        (1..=longest).rev().filter_map(|end| number.get(..end)).find(|one| self.prices.contains_key(*one))
    }

    /// The currency of all amounts, such as `EUR`; empty without rates.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// How many beginnings have a price.
    pub fn len(&self) -> usize {
        self.prices.len()
    }

    /// Whether nothing has a price.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }
}

#[derive(Default)]
struct Reader {
    rates: Rates,
    has_head: bool,
    mistakes: Vec<RateMistake>,
}

impl Reader {
    fn line(&mut self, line: usize, text: &str) {
        let fields: Vec<&str> = text.split(',').map(unquoted).collect();
        if !std::mem::replace(&mut self.has_head, true) {
            let wrong = (0..fields.len().max(COLUMNS.len())).find(|at| fields.get(*at) != COLUMNS.get(*at));
            if let Some(at) = wrong {
                let what = format!("the first line names the columns: {}", COLUMNS.join(","));
                self.wrong(line, at + 1, what);
            }
            return;
        }
        if fields.len() != COLUMNS.len() {
            let what = format!("{} fields, and {} were expected", fields.len(), COLUMNS.len());
            return self.wrong(line, fields.len().min(COLUMNS.len()), what);
        }
        if self.rates.prices.len() >= MOST_ROWS {
            return self.wrong(line, 1, format!("a table has at most {MOST_ROWS} lines"));
        }
        let before = self.mistakes.len();
        let prefix = self.prefix(line, fields[0]);
        let per_minute = self.money(line, 2, fields[1]);
        let connection = self.money(line, 3, fields[2]);
        let (first, then) = self.increments(line, fields[3]);
        self.currency(line, fields[4]);
        if self.mistakes.len() == before {
            self.rates.longest = self.rates.longest.max(prefix.len());
            let price = Price { per_minute, connection, first, then };
            self.rates.prices.insert(prefix.into(), price);
        }
    }

    fn prefix(&mut self, line: usize, text: &str) -> String {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let fits = !digits.is_empty() && digits.len() <= 20;
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte)) {
            self.wrong(line, 1, format!("{text:?} is no beginning of numbers such as +49"));
        } else if self.rates.prices.contains_key(text) {
            self.wrong(line, 1, format!("{text} has a price already"));
        }
        text.to_owned()
    }

    fn money(&mut self, line: usize, column: usize, text: &str) -> Money {
        text.parse().unwrap_or_else(|error| {
            self.wrong(line, column, format!("{text:?}: {error}"));
            Money(0)
        })
    }

    fn increments(&mut self, line: usize, text: &str) -> (u32, u32) {
        let read = text.split_once('/').and_then(|(first, then)| {
            let seconds = |text: &str| text.parse().ok().filter(|one| (1..=3_600).contains(one));
            Some((seconds(first)?, seconds(then)?))
        });
        read.unwrap_or_else(|| {
            let what = format!("{text:?}: 60/1 means the first minute whole, then each second; up to 3600");
            self.wrong(line, 4, what);
            (1, 1)
        })
    }

    fn currency(&mut self, line: usize, text: &str) {
        if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            self.wrong(line, 5, format!("{text:?} is no currency such as EUR"));
        } else if self.rates.currency.is_empty() {
            text.clone_into(&mut self.rates.currency);
        } else if self.rates.currency != text {
            let what = format!("one table has one currency, and that is {} above", self.rates.currency);
            self.wrong(line, 5, what);
        }
    }

    fn wrong(&mut self, line: usize, column: usize, what: String) {
        self.mistakes.push(RateMistake { line, column, what });
    }
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field)
}

const COLUMNS: [&str; 5] = ["prefix", "per_minute", "connection", "increments", "currency"];
const MOST_MISTAKES: usize = 100;
/// More than the prefixes of the whole world, with those of each carrier.
const MOST_ROWS: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "prefix,per_minute,connection,increments,currency\n";

    #[test]
    fn the_longest_beginning_has_the_price() {
        let table = format!(
            "{HEAD}+49,0.01,0,60/60,EUR\n; mobile\n\"+4915\",\"0.10\",0.05,1/1,EUR\n\n+1,0.02,0,1/1,EUR\n"
        );
        let rates = Rates::parse(&table).unwrap();
        assert_eq!((rates.len(), rates.currency()), (3, "EUR"));
        let minute = |number: &str| rates.price(number).map(|price| price.per_minute.0);
        assert_eq!(minute("+49301234"), Some(10_000));
        assert_eq!(minute("+49151234"), Some(100_000));
        assert_eq!(minute("+4915"), Some(100_000));
        assert_eq!(minute("+44201234"), None);
        assert_eq!(minute(""), None);
        assert_eq!(minute("+49ü"), Some(10_000));
        assert_eq!(rates.prefix("+49151"), Some("+4915"));
    }

    #[test]
    fn each_wrong_row_is_told_with_its_place_and_nothing_is_loaded() {
        let table = format!(
            "{HEAD}+49,0.01,0,60/60,EUR\n49x,0.01,0,60/60,EUR\n+1,one,0,60/60,EUR\n+2,1,1,60,EUR\n+3,1,1,0/1,EUR\n\
             +4,1,1,1/1,euro\n+5,1,1,1/1,USD\n+49,1,1,1/1,EUR\n+6,1,1\n"
        );
        let mistakes = Rates::parse(&table).unwrap_err();
        let places: Vec<_> = mistakes.iter().map(|one| (one.line, one.column)).collect();
        assert_eq!(places, [(3, 1), (4, 2), (5, 4), (6, 4), (7, 5), (8, 5), (9, 1), (10, 3)]);
        assert_eq!(
            mistakes[1].to_string(),
            "line 4, column 2: \"one\": an amount is digits, and up to six more behind a point, such as 5.00"
        );
        assert_eq!(Rates::parse("").unwrap_err()[0].line, 1);
        assert_eq!(Rates::parse("prefix,price\n").unwrap_err()[0].column, 2);
        let many = format!("{HEAD}{}", "x,,,,\n".repeat(10_000));
        assert!(Rates::parse(&many).unwrap_err().len() < 110);
    }
}
