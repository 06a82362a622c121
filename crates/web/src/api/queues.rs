//! Queues: who waits, who takes calls, and what has become of the calls since the start.

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{AgentReport, Answer, Command, QueueReport};
use offhook_exchange::directory::AgentState;
use serde_json::{Value, json};

use crate::{Problem, Site};

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "queues": all(&site).await?.iter().map(show_one).collect::<Vec<_>>() })))
}

pub(crate) async fn show(
    State(site): State<Site>,
    Path(number): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = all(&site).await?.into_iter().find(|queue| queue.number == number || queue.name == number);
    let queue = found.ok_or_else(|| Problem::not_found(format!("there is no queue {number}")))?;
    Ok(Json(show_one(&queue)))
}

async fn all(site: &Site) -> Result<Vec<QueueReport>, Problem> {
    match site.exchange.ask(Command::Queues).await {
        Some(Answer::Queues(queues)) => Ok(queues),
        _ => Err(Problem::not_running()),
    }
}

fn show_one(queue: &QueueReport) -> Value {
    let agent = |one: &AgentReport| {
        let state = match one.state {
            AgentState::LoggedOut => "logged out",
            AgentState::Paused => "paused",
            AgentState::LoggedIn if one.in_call => "in a call",
            AgentState::LoggedIn => "free",
        };
        json!({ "account": one.account, "state": state })
    };
    json!({
        "number": queue.number,
        "name": queue.name,
        "waiting": queue.waiting,
        "longest_wait_s": queue.longest_wait,
        "answered": queue.answered,
        "abandoned": queue.abandoned,
        "overflowed": queue.overflowed,
        "average_wait_s": queue.waited.checked_div(queue.answered),
        "agents": queue.agents.iter().map(agent).collect::<Vec<_>>(),
    })
}
