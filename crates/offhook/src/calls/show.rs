//! `offhook calls show`.

use serde_json::Value;

use super::{live, records};
use crate::account::Flags;
use crate::exit::{CONFLICT, Failure, NOT_FOUND};
use crate::print;

/// Prints the one call with this Call-ID, or this beginning of one.
pub(super) fn show(id: &str, common: &Flags) -> Result<(), Failure> {
    let lasting = live(common)?;
    let runs = lasting.is_some();
    let mut search = Search::new(id);
    records::each(common, |record| record.into_iter().for_each(|record| search.look_at(record)))?;
    // They come last: a call that lasts is meant before one that is over.
    lasting.into_iter().flatten().for_each(|call| search.look_at(call));
    let Some(call) = search.found()? else {
        // An exchange that does not carry the media of a call does not know when it lasts.
        let or =
            if runs { ", or is a call that is not over and whose media does not go through it" } else { "" };
        return Err(Failure::new(NOT_FOUND, format!("no call that is known here has the Call-ID {id}{or}")));
    };
    if common.json {
        print::line(&call.to_string());
    } else {
        in_words(&call);
    }
    Ok(())
}

fn in_words(call: &Value) {
    let ended = match (&call["ended_at"], &call["ended_by"]) {
        (Value::Null, _) => "not yet".to_owned(),
        (at, Value::Null) => print::word(at),
        (at, by) => format!("{} by the {}", print::word(at), print::word(by)),
    };
    let mut lines = vec![
        ("Call-ID", print::word(&call["id"])),
        ("From", print::word(&call["from"])),
        ("To", print::word(&call["to"])),
        ("Started", print::word(&call["started_at"])),
        ("Answered", print::word(&call["answered_at"])),
        ("Ended", ended),
    ];
    if !call["code"].is_null() {
        lines.push(("Result", format!("{} {}", print::word(&call["code"]), print::word(&call["reason"]))));
        lines.push(("Legs", print::word(&call["legs"])));
    }
    lines.extend(call["called"].as_array().into_iter().flatten().map(|leg| ("Called", called(leg))));
    for (name, side) in [("Caller", "caller"), ("Callee", "callee")] {
        let of = |what: &str| &call[format!("{what}_from_{side}")];
        if !of("packets").is_null() {
            lines.push((name, quality([of("packets"), of("lost"), of("jitter_ms"), of("mos")])));
        }
    }
    if call["codec"].is_string() {
        lines.push(("Codec", print::word(&call["codec"])));
    }
    for (name, value) in lines {
        print::line(&format!("{name:<10}{value}"));
    }
}

/// One who was called: `sip:bob@192.0.2.7 (192.0.2.7:5060): 486 Busy Here`.
pub(super) fn called(leg: &Value) -> String {
    let address = match (&leg["address"], &leg["trunk"]) {
        (Value::Null, Value::Null) => String::new(),
        (address, Value::Null) => format!(" ({})", print::word(address)),
        (address, trunk) => format!(" (trunk {}, {})", print::word(trunk), print::word(address)),
    };
    let end = format!("{} {}", print::word(&leg["code"]), print::word(&leg["reason"]));
    let times = format!("{} to {}", print::word(&leg["began_at"]), print::word(&leg["ended_at"]));
    let mut text = format!("{}{address}: {end}, {times}", print::word(&leg["to"]));
    if !leg["packets"].is_null() {
        let heard = quality(["packets", "lost", "jitter_ms", "mos"].map(|what| &leg[what]));
        text.push_str(&format!("; {heard}"));
    }
    text
}

/// How the sound of one side came: `sent 250 packets, lost 2, jitter 1.3 ms, MOS 4.1`.
fn quality([packets, lost, jitter, mos]: [&Value; 4]) -> String {
    let [packets, lost, jitter] = [packets, lost, jitter].map(print::word);
    let mos = if mos.is_null() { String::new() } else { format!(", MOS {}", print::word(mos)) };
    format!("{packets} packets came, {lost} were lost, jitter {jitter} ms{mos}")
}

/// The calls that a Call-ID, or the beginning of one, may mean.
pub(super) struct Search<'a> {
    wanted: &'a str,
    exact: Option<Value>,
    /// A few of those that only begin so, each Call-ID once.
    others: Vec<Value>,
    /// How many begin so and are not among them.
    more: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(wanted: &'a str) -> Self {
        Self { wanted, exact: None, others: Vec::new(), more: 0 }
    }

    /// A Call-ID that comes again stands for the later call.
    pub(super) fn look_at(&mut self, call: Value) {
        let id = call["id"].as_str().unwrap_or_default();
        if id == self.wanted {
            self.exact = Some(call);
        } else if id.starts_with(self.wanted) {
            match self.others.iter().position(|other| other["id"] == call["id"]) {
                Some(at) => self.others[at] = call,
                None if self.others.len() < NAMED => self.others.push(call),
                None => self.more += 1,
            }
        }
    }

    /// The one that is meant, if there is one.
    ///
    /// # Errors
    /// When several begin so, with their names.
    pub(super) fn found(mut self) -> Result<Option<Value>, Failure> {
        if self.exact.is_some() || self.others.len() < 2 {
            return Ok(self.exact.or_else(|| self.others.pop()));
        }
        let mut text = format!("the Call-IDs of several calls begin with {}:", self.wanted);
        for other in &self.others {
            text.push_str(&format!("\n  {}", print::word(&other["id"])));
        }
        if self.more > 0 {
            text.push_str("\n  and more");
        }
        Err(Failure::new(CONFLICT, text))
    }
}

/// How many calls are named when it is not clear which one is meant.
const NAMED: usize = 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(wanted: &str, ids: &[&str]) -> Result<Option<Value>, Failure> {
        let mut search = Search::new(wanted);
        ids.iter().enumerate().for_each(|(at, id)| search.look_at(json!({ "id": id, "legs": at })));
        search.found()
    }

    #[test]
    fn a_whole_call_id_is_meant_before_longer_ones_and_the_last_of_its_calls() {
        assert_eq!(found("ab", &["abc", "ab", "abd", "ab"]).unwrap().unwrap()["legs"], 3);
        assert_eq!(found("abc", &["abcd", "abcd", "x"]).unwrap().unwrap()["legs"], 1);
        assert_eq!(found("b", &["ab"]).unwrap(), None);
    }

    #[test]
    fn of_many_calls_that_begin_so_a_few_are_named() {
        let ids: Vec<String> = (0..20).map(|number| format!("a{number:02}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let failure = found("a", &ids).unwrap_err();
        assert_eq!(failure.code, CONFLICT);
        assert!(failure.text.contains("\n  a00\n") && failure.text.ends_with("\n  a09\n  and more"));
    }
}
