//! `offhook calls ladder`.

use std::time::Duration;

use offhook_phone::Language;
use offhook_phone::ladder::{Picture, Step};
use serde_json::Value;

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// Prints the messages of the call with this Call-ID, or this beginning of one.
pub(super) fn ladder(
    id: Option<&str>,
    full: bool,
    common: &Flags,
    language: Language,
) -> Result<(), Failure> {
    let answer = super::traced(id, &Api::of_running(&common.place)?)?;
    if common.json {
        print::line(&answer.to_string());
        return Ok(());
    }
    draw(&answer, language).iter().for_each(|line| print::line(line));
    if full {
        messages(&answer).for_each(|line| print::line(&line));
    }
    Ok(())
}

/// The picture of an answer of the API, and who its columns are.
pub(crate) fn draw(answer: &Value, language: Language) -> Vec<String> {
    let names = names(answer);
    let steps: Vec<Step> =
        list(answer, "entries").iter().filter_map(|entry| step(entry, names.len())).collect();
    let mut lines = Picture::new(names.clone(), language).draw(&steps);
    lines.push(String::new());
    for (name, party) in names.iter().zip(list(answer, "participants")) {
        if party["exchange"].is_null() {
            let who = party["account"].as_str().map(|account| format!("  {account}"));
            let way =
                |way: &Value| format!("{} {}", print::word(&way["transport"]), print::word(&way["address"]));
            let ways: Vec<String> = list(party, "ways").iter().map(way).collect();
            lines.push(format!("{name}: {}{}", ways.join(", "), who.unwrap_or_default()));
        }
    }
    let calls = list(answer, "calls").iter().map(print::word).collect::<Vec<_>>().join(", ");
    lines.push(format!("Call-ID: {calls}"));
    lines
}

/// The names of the columns, no two the same.
pub(crate) fn names(answer: &Value) -> Vec<String> {
    let parties = list(answer, "participants");
    let name = |party: &Value| {
        let account = party["account"].as_str().map(user);
        account.or(party["says"].as_str()).map(printable)
    };
    let plain: Vec<Option<String>> = parties.iter().map(name).collect();
    let is_only =
        |name: &Option<String>| name.is_some() && plain.iter().filter(|one| *one == name).count() == 1;
    let full = |(party, name): (&Value, &Option<String>)| match (party["exchange"].is_null(), name) {
        (false, _) => "exchange".to_owned(),
        (true, Some(text)) if is_only(name) => text.clone(),
        (true, Some(text)) => format!("{text} {}", print::word(&party["ways"][0]["address"])),
        (true, None) => print::word(&party["ways"][0]["address"]),
    };
    parties.iter().zip(&plain).map(full).collect()
}

/// `1001` of `sip:1001@example.com`.
fn user(account: &str) -> &str {
    let user = account.split_once(':').map_or(account, |(_, rest)| rest);
    user.split_once('@').map_or(user, |(user, _)| user)
}

fn step(entry: &Value, columns: usize) -> Option<Step> {
    let at = Duration::from_micros(entry["at_us"].as_u64()?);
    if let Some(text) = entry["note"].as_str() {
        return Some(Step::Note { at, text: printable(text) });
    }
    let column = |name| usize::try_from(entry[name].as_u64()?).ok().filter(|column| *column < columns);
    let text = entry["text"].as_str()?;
    Some(Step::Message { at, from: column("from")?, to: column("to")?, bytes: text.to_owned().into() })
}

/// The messages themselves.
fn messages(answer: &Value) -> impl Iterator<Item = String> {
    let names = names(answer);
    list(answer, "entries").iter().filter_map(move |entry| {
        let name = |key| names.get(usize::try_from(entry[key].as_u64()?).ok()?);
        let (from, to) = (name("from")?, name("to")?);
        let cut = if entry["cut"] == true { "\n… (the rest was not kept)" } else { "" };
        let text = printable(entry["text"].as_str()?);
        Some(format!("\n{}  {from} ──▶ {to}\n{}{cut}", print::word(&entry["at"]), text.trim_end()))
    })
}

/// As text whose control characters do nothing to the terminal.
pub(crate) fn printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '·' } else { c }).collect()
}

pub(crate) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_named_by_account_by_what_they_say_or_by_address() {
        let party = |account: Option<&str>, says: Option<&str>, address: &str| json!({ "account": account, "says": says, "ways": [{ "transport": "udp", "address": address }] });
        let parties = json!({ "participants": [
            party(Some("sip:1001@pbx"), Some("evil"), "192.0.2.1:5060"),
            json!({ "exchange": true }),
            party(None, Some("bob\u{1b}[2J"), "192.0.2.2:5060"),
            party(None, None, "192.0.2.3:5060"),
            party(Some("sip:1001@pbx"), None, "192.0.2.4:5060"),
        ]});
        let expected =
            ["1001 192.0.2.1:5060", "exchange", "bob·[2J", "192.0.2.3:5060", "1001 192.0.2.4:5060"];
        assert_eq!(names(&parties), expected);
    }
}
