//! `offhook calls explain`.

use offhook_phone::Language;
use offhook_phone::ladder::of_status;
use serde_json::Value;

use super::ladder::list;
use super::show::Search;
use super::{LIVE, records};
use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::{Failure, NOT_FOUND, NOT_RUNNING};
use crate::print;

/// Prints what became of a call: from its messages where they are kept, else from its record.
pub(super) fn explain(id: Option<&str>, common: &Flags, language: Language) -> Result<(), Failure> {
    match (of_messages(id, common, language), id) {
        (Ok(answer), _) => {
            if common.json {
                print::line(&answer.to_string());
            } else {
                in_words(&answer, language).iter().for_each(|line| print::line(line));
            }
            Ok(())
        }
        (Err(failure), Some(id)) if [NOT_FOUND, NOT_RUNNING].contains(&failure.code) => {
            of_record(id, failure, common, language)
        }
        (Err(failure), _) => Err(failure),
    }
}

fn of_messages(id: Option<&str>, common: &Flags, language: Language) -> Result<Value, Failure> {
    let call = id.map(|id| format!("/{}", segment(id))).unwrap_or_default();
    let language = language.pick("en", "zh");
    let path = format!("{LIVE}{call}/explain?language={language}");
    Api::of_running(&common.place)?.ask("GET", &path, None)
}

fn in_words(answer: &Value, language: Language) -> Vec<String> {
    let mut lines: Vec<String> = list(answer, "story").iter().map(print::word).collect();
    for finding in list(answer, "findings") {
        lines.push(String::new());
        lines.push(print::word(&finding["says"]));
        if let Some(advice) = finding["advice"].as_str() {
            lines.push(format!("{} {advice}", language.pick("What to do:", "处理方法：")));
        }
    }
    lines
}

fn of_record(id: &str, failure: Failure, common: &Flags, language: Language) -> Result<(), Failure> {
    let mut search = Search::new(id);
    records::each(common, |record| record.into_iter().for_each(|record| search.look_at(record)))?;
    let Some(record) = search.found()? else { return Err(failure) };
    if common.json {
        print::line(&record.to_string());
        return Ok(());
    }
    let word = |name: &str| print::word(&record[name]);
    print::line(&language.pick(
        format!("{} called {} at {}.", word("from"), word("to"), word("started_at")),
        format!("{} 于 {} 呼叫 {}。", word("from"), word("started_at"), word("to")),
    ));
    let code = record["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
    let words = of_status(code, language).map(|words| format!(" ({words})")).unwrap_or_default();
    let (reason, by, ended) = (word("reason"), word("ended_by"), word("ended_at"));
    print::line(&match record["answered_at"].as_str() {
        Some(answered) => language.pick(
            format!("It was answered at {answered} and ended at {ended} by the {by}: {reason}."),
            format!("{answered} 接听，{ended} 结束（{by}）：{reason}。"),
        ),
        None => language.pick(
            format!("It was not answered: {code} {reason}{words}."),
            format!("未接通：{code} {reason}{words}。"),
        ),
    });
    for leg in list(&record, "called").iter().filter(|leg| leg["answered_at"].is_null()) {
        print::line(&language.pick(
            format!("Called was {}.", super::show::called(leg)),
            format!("曾呼叫 {}。", super::show::called(leg)),
        ));
    }
    for (side, whose, whose_chinese) in
        [("caller", "caller", "主叫"), ("callee", "one who was called", "被叫")]
    {
        let of = |what: &str| &record[format!("{what}_from_{side}")];
        if let (Some(mos), lost, jitter) =
            (of("mos").as_f64(), print::word(of("lost")), print::word(of("jitter_ms")))
        {
            print::line(&language.pick(
                format!("The sound of the {whose} scored {mos} of 4.5 (MOS): {lost} packets were lost, jitter was {jitter} ms."),
                format!("{whose_chinese}的语音质量 MOS 为 {mos}（满分 4.5）：丢包 {lost} 个，抖动 {jitter} ms。"),
            ));
        }
    }
    print::line(language.pick(
        "Its messages are not kept any more, so there is no more to say.",
        "其报文已不再保留，无法进一步说明。",
    ));
    Ok(())
}
