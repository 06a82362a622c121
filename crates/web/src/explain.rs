//! What became of a call and why, in plain words, from the messages that passed.
//!
//! `Facts` is what the messages say, put together; the rules in `RULES` and `REMARKS` make findings of it. A rule
//! is a line of the table: when it holds, and its words.

mod facts;
mod rules;
mod story;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use offhook_sip_stack::ladder::Language;
use serde::Serialize;

use crate::trace::Entry;
use facts::Facts;
use rules::{REMARKS, RULES, Rule};

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What happened, a sentence each, in the order of time.
    pub story: Vec<String>,
    /// Why, and what to do about it; the reason of the end comes first.
    pub findings: Vec<Finding>,
}

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the rule, which stays the same in every language: `no-codec`.
    pub rule: &'static str,
    /// What is so.
    pub says: String,
    /// What to do about it; nothing where nothing is wrong.
    pub advice: Option<String>,
}

/// Explains what passed of one call. `accounts` are those registered from the addresses.
pub fn explain(
    entries: &[Entry],
    accounts: &BTreeMap<SocketAddr, String>,
    language: Language,
) -> Explanation {
    let facts = Facts::of(entries, accounts);
    let reason = RULES.iter().find_map(|rule| rule.finding(&facts, language));
    let remarks = REMARKS.iter().filter_map(|rule| rule.finding(&facts, language));
    Explanation {
        story: story::tell(&facts, language),
        findings: reason.into_iter().chain(remarks).collect(),
    }
}

impl Rule {
    fn finding(&self, facts: &Facts, language: Language) -> Option<Finding> {
        let words = (self.holds)(facts)?;
        let says = filled(language.pick(self.english, self.chinese), &words);
        let advice = language.pick(self.advice, self.advice_chinese);
        let advice = (!advice.is_empty()).then(|| filled(advice, &words));
        Some(Finding { rule: self.name, says, advice })
    }
}

/// The template with `{0}`, `{1}` … replaced.
fn filled(template: &str, words: &[String]) -> String {
    let parts = template.split('{').enumerate().map(|(at, part)| {
        let split = part.split_once('}').filter(|_| at > 0);
        let word = split.and_then(|(number, rest)| Some((words.get(number.parse::<usize>().ok()?)?, rest)));
        word.map_or_else(|| part.to_owned(), |(word, rest)| format!("{word}{rest}"))
    });
    parts.collect()
}

#[cfg(test)]
mod tests;
