//! What happened, in the order of time.

use std::time::Duration;

use offhook_sip_stack::ladder::Language;

use super::facts::{By, Facts};
use crate::calendar::rfc3339;

/// A sentence for each thing that happened.
pub(super) fn tell(facts: &Facts, language: Language) -> Vec<String> {
    let mut story = Vec::new();
    if facts.caller.remote.is_none() {
        return story;
    }
    let (caller, dialled, at) = (&facts.caller, &facts.dialled, rfc3339(facts.began));
    story.push(language.pick(
        format!("{} ({}) called {dialled} at {at}.", caller.name, caller.address),
        format!("{}（{}）于 {at} 呼叫 {dialled}。", caller.name, caller.address),
    ));
    for leg in &facts.legs {
        let (name, address) = (&leg.party.name, &leg.party.address);
        let after = seconds(leg.began, facts.began);
        let rang = leg.ringing.map(|at| seconds(at, facts.began));
        story.push(match rang {
            Some(rang) => language.pick(
                format!("It was passed on to {name} ({address}) after {after}; it rang there after {rang}."),
                format!("{after}后转到 {name}（{address}），{rang}后开始振铃。"),
            ),
            None => language.pick(
                format!("It was passed on to {name} ({address}) after {after}."),
                format!("{after}后转到 {name}（{address}）。"),
            ),
        });
    }
    if let Some(answer) = facts.answer.as_ref().filter(|_| facts.is_answered()) {
        let who = facts.winner().map_or("exchange", |leg| &leg.party.name);
        let after = seconds(answer.at, facts.began);
        story.push(
            language.pick(format!("{who} answered after {after}."), format!("{after}后由 {who} 接听。")),
        );
        if let Some(end) = &facts.end {
            let by = match &end.by {
                By::Caller => &facts.caller.name,
                By::Callee(party) => &party.name,
                By::Exchange => "exchange",
            };
            let lasted = seconds(end.at, answer.at);
            story.push(language.pick(
                format!("It lasted {lasted}; {by} hung up."),
                format!("通话 {lasted}，由 {by} 挂断。"),
            ));
        }
    }
    story
}

/// From one moment to another: `2.4 s`.
pub(super) fn seconds(at: Duration, since: Duration) -> String {
    format!("{:.1} s", at.saturating_sub(since).as_secs_f64())
}
