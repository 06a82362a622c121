//! Groups: who is in them, and how those are.

use axum::Json;
use axum::extract::State;
use offhook_exchange::command::{Answer, Command, GroupReport, MemberReport};
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    match site.exchange.ask(Command::Groups).await {
        Some(Answer::Groups(groups)) => {
            Ok(Json(json!({ "groups": groups.iter().map(show).collect::<Vec<_>>() })))
        }
        _ => Err(Problem::not_running()),
    }
}

fn show(group: &GroupReport) -> Value {
    let member = |one: &MemberReport| {
        json!({
            "member": one.member,
            "account": one.account,
            "phones": one.phones,
            "calls": one.calls,
            "do_not_disturb": one.do_not_disturb,
        })
    };
    json!({
        "number": group.number,
        "name": group.name,
        "strategy": group.strategy,
        "open": group.is_open,
        "then": group.then,
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
    })
}
