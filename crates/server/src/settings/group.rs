//! `[[group]]`: one number for several accounts.

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::schedule::Schedule;
use offhook_exchange::services::{Group, Strategy};

use super::Meaning;
use super::plan::{Wrong, mistake, text, texts};
use super::schedule::hours;
use crate::config_file::{Object, Value};

impl Meaning<'_> {
    pub(super) fn groups(&mut self, schedules: &[Arc<Schedule>]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "group") {
            match group(object, schedules) {
                Ok(one) => groups.push(one),
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        groups
    }
}

fn group(object: &Object, schedules: &[Arc<Schedule>]) -> Result<Group, Wrong> {
    let number = number(object, "group")?;
    let members = members(object, "members", "group")?;
    let strategy = text(object, "strategy").and_then(|word| Strategy::of(&word)).unwrap_or(Strategy::All);
    let name = text(object, "name").unwrap_or_else(|| number.clone());
    shown(&name).map_err(|what| ("name", what))?;
    Ok(Group {
        name,
        members,
        strategy,
        rings_for: time(object, "rings_for", RINGS_FOR)?,
        then: text(object, "then").map(|then| then_of(&then, &number)).transpose()?,
        skip_busy: flag(object, "skip_busy", true),
        follow_forwards: flag(object, "follow_forwards", false),
        hours: hours(object, schedules)?,
        number,
    })
}

/// Accounts, by number, user or address; whether there are such is seen when one is called.
pub(super) fn members(object: &Object, key: &'static str, what: &str) -> Result<Vec<String>, Wrong> {
    let members = texts(object, key);
    if members.is_empty() {
        return Err((key, format!("this [[{what}]] has no {key}")));
    }
    if members.len() > MOST_MEMBERS {
        return Err((key, format!("a {what} has at most {MOST_MEMBERS} {key}")));
    }
    if let Some((_, twice)) = members.iter().enumerate().find(|(at, one)| members[..*at].contains(one)) {
        return Err((key, format!("{twice} is named twice")));
    }
    Ok(members)
}

/// What is dialled for something.
pub(super) fn number(object: &Object, what: &str) -> Result<String, Wrong> {
    let number = text(object, "number").ok_or(("number", format!("this [[{what}]] has no number")))?;
    match number.chars().all(|c| c.is_ascii_alphanumeric() || "*#+-._".contains(c)) {
        true => Ok(number),
        false => {
            Err(("number", format!("{number:?} cannot be dialled: digits, letters, *, #, +, -, . and _")))
        }
    }
}

/// What phones can show.
pub(super) fn shown(name: &str) -> Result<(), String> {
    match name.len() <= LONGEST_NAME && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(format!("a name has at most {LONGEST_NAME} octets and no control characters")),
    }
}

fn then_of(then: &str, number: &str) -> Result<String, Wrong> {
    match then == number {
        true => Err(("then", "that is the group itself".into())),
        false => Ok(then.to_owned()),
    }
}

/// How long phones ring.
pub(super) fn time(object: &Object, key: &'static str, usual: Duration) -> Result<Duration, Wrong> {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Time(time)) if *time <= LONGEST_RING => Ok(*time),
        Some(Value::Time(_)) => Err((key, "phones ring for at most three minutes".into())),
        _ => Ok(usual),
    }
}

pub(super) fn flag(object: &Object, key: &str, usual: bool) -> bool {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Flag(flag)) => *flag,
        _ => usual,
    }
}

const RINGS_FOR: Duration = Duration::from_secs(20);
/// Timer C, RFC 3261 §16.6.
const LONGEST_RING: Duration = Duration::from_secs(180);
const MOST_MEMBERS: usize = 100;
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests;
