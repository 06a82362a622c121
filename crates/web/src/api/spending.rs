//! What accounts may spend, and what they have spent today.

use axum::Json;
use axum::extract::{Path, State};
use offhook_exchange::command::{Answer, Command};
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::spending::SpendingReport;
use serde_json::{Value, json};

use super::input::Input;
use crate::{Limits, LimitsPatch, Problem, Site};

pub(crate) async fn limits(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Limits>, Problem> {
    Ok(Json(site.records.limits(address).await?))
}

pub(crate) async fn change_limits(
    State(site): State<Site>,
    Path(address): Path<String>,
    Input(patch): Input<LimitsPatch>,
) -> Result<Json<Limits>, Problem> {
    Ok(Json(site.records.change_limits(address, patch).await?))
}

pub(crate) async fn list(State(site): State<Site>) -> Result<Json<Value>, Problem> {
    let reports: Vec<Value> = ask(&site, None).await?.iter().map(show).collect();
    Ok(Json(json!({ "accounts": reports })))
}

pub(crate) async fn of_account(
    State(site): State<Site>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Problem> {
    // Who asks for nobody has made a mistake.
    let address = site.records.account(address).await?.address;
    let account = AddressOfRecord::parse(&address).map_err(|error| Problem::bad(error.to_string()))?;
    let reports = ask(&site, Some(account)).await?;
    reports.first().map(|report| Json(show(report))).ok_or_else(Problem::not_running)
}

async fn ask(site: &Site, account: Option<AddressOfRecord>) -> Result<Vec<SpendingReport>, Problem> {
    match site.exchange.ask(Command::Spending(account)).await {
        Some(Answer::Spending(reports)) => Ok(reports),
        _ => Err(Problem::not_running()),
    }
}

fn show(report: &SpendingReport) -> Value {
    let currency = Some(&report.currency).filter(|currency| !currency.is_empty());
    json!({
        "account": report.account,
        "calls": report.calls,
        "seconds": report.spent.seconds,
        "money": report.spent.money.to_string(),
        "currency": currency,
        "minutes_per_day": report.limits.minutes_per_day,
        "money_per_day": report.limits.money_per_day.map(|money| money.to_string()),
    })
}
