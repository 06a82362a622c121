//! `offhook route`: where calls go that are for no account.

use clap::Subcommand;
use offhook_server::{RouteDecision, RouteReport, Settings, list_routes, test_route};
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::{Failure, NOT_FOUND, USAGE};
use crate::lines::{self, Keys};
use crate::print;

/// What to do with routes.
#[derive(Subcommand, Debug)]
pub(crate) enum Route {
    /// Lists the rules in the order in which they are tried
    #[command(after_help = "Example: offhook route list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Makes a rule in the store, after those that there are; a running exchange takes it over at once
    #[command(after_help = "Example: offhook route add outside match='+*' 'to={ trunk = \"provider\" }'")]
    Add {
        /// Its name
        name: String,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        common: Flags,
    },
    /// Changes a rule of the store; what is not named stays
    #[command(after_help = "Example: offhook route set outside match='[\"+49*\", \"+43*\"]'")]
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        common: Flags,
    },
    /// Removes a rule of the store
    #[command(after_help = "Example: offhook route remove outside")]
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Flags,
    },
    /// Says where a call would go now, and why: each rule that is tried
    #[command(after_help = "Example: offhook route test 030-1234567 --from sip:alice@example.com")]
    Test {
        /// A number as it is dialled, a name, or a URI
        target: String,
        /// The account that calls; left out: a caller without an account
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        #[command(flatten)]
        common: Flags,
    },
}

impl Route {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Add { name, keys, common } => keys.add("routes", &name, &common),
            Self::Set { name, keys, common } => keys.set("routes", &name, &common),
            Self::Remove { name, common } => lines::remove("routes", &name, &common),
            Self::Test { target, from, common } => test(&target, from.as_deref(), &common),
        }
    }
}

/// The settings with the trunks and routes of the store.
fn settings(common: &Flags, api: &Api) -> Result<(Settings, Vec<Value>), Failure> {
    let mut settings = common.place.settings()?;
    let of = |path: &str, key: &str| -> Result<Vec<Value>, Failure> {
        Ok(api.ask("GET", path, None)?[key].as_array().cloned().unwrap_or_default())
    };
    let (trunks, routes) = (of("/api/v1/trunks/settings", "trunks")?, of("/api/v1/routes", "routes")?);
    settings.take_in(&trunks, &routes).map_err(Failure::other)?;
    Ok((settings, routes))
}

fn list(common: &Flags) -> Result<(), Failure> {
    let (settings, set) = settings(common, &Api::open(&common.place)?)?;
    let source = |name: &str| set.iter().find(|one| one["name"] == name).map(|one| one["source"].clone());
    let row = |(at, row): (usize, offhook_server::RouteRow)| {
        let source = source(&row.name);
        json!({ "order": at + 1, "name": row.name, "match": row.patterns, "to": row.to, "source": source })
    };
    let routes: Vec<Value> = list_routes(&settings).into_iter().enumerate().map(row).collect();
    let answer = json!({ "routes": routes });
    if common.json {
        print::line(&answer.to_string());
    } else {
        let columns =
            [("ORDER", "order"), ("NAME", "name"), ("MATCH", "match"), ("TO", "to"), ("FROM", "source")];
        print::objects(&answer, "routes", &columns);
    }
    Ok(())
}

fn test(target: &str, from: Option<&str>, common: &Flags) -> Result<(), Failure> {
    let api = Api::open(&common.place)?;
    let (settings, _) = settings(common, &api)?;
    let report = test_route(&settings, target, from).map_err(|why| Failure::new(USAGE, why))?;
    let account = account(&report, &api)?;
    if common.json {
        print::line(&as_json(&report, account.as_deref()).to_string());
    } else {
        for line in as_lines(&report, account.as_deref()) {
            print::line(&line);
        }
    }
    match (&report.decision, account) {
        (RouteDecision::Refused(code, reason), None) => {
            Err(Failure::new(NOT_FOUND, format!("this call is refused: {code} {reason}")))
        }
        _ => Ok(()),
    }
}

/// The account that has the name or the number, which comes before all rules.
fn account(report: &RouteReport, api: &Api) -> Result<Option<String>, Failure> {
    let Some(user) = &report.user else { return Ok(None) };
    let numbers = api.ask("GET", "/api/v1/numbers", None)?;
    let spelt = [Some(user.as_str()), report.number.as_deref().ok()];
    let holds = |one: &&Value| spelt.iter().flatten().any(|number| one["number"] == **number);
    let by_number = numbers["numbers"].as_array().and_then(|all| all.iter().find(holds));
    if let Some(account) = by_number.and_then(|one| one["account"].as_str()) {
        return Ok(Some(account.to_owned()));
    }
    let host = report.uri.rsplit_once('@').map_or("", |(_, host)| host);
    let address = format!("sip:{user}@{}", host.split([';', '?']).next().unwrap_or(host));
    match api.ask("GET", &format!("/api/v1/accounts/{}", segment(&address)), None) {
        Ok(found) => Ok(found["address"].as_str().map(str::to_owned)),
        // What can be no address is no account.
        Err(failure) if failure.code == NOT_FOUND || failure.code == USAGE => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn as_json(report: &RouteReport, account: Option<&str>) -> Value {
    let decision = match account {
        Some(account) => json!({ "account": account }),
        None => decision_as_json(&report.decision),
    };
    let tried = |(rule, why): &(String, Option<String>)| json!({ "rule": rule, "matched": why.is_none(), "why": why });
    json!({
        "uri": report.uri,
        "number": report.number.as_ref().ok(),
        "why_no_number": report.number.as_ref().err(),
        "emergency": report.emergency,
        "tried": if account.is_some() { Vec::new() } else { report.tried.iter().map(tried).collect() },
        "decision": decision,
    })
}

fn decision_as_json(decision: &RouteDecision) -> Value {
    match decision {
        RouteDecision::Account(account) => json!({ "account": account }),
        RouteDecision::Trunk(trunk, number) => json!({ "trunk": trunk, "number": number }),
        RouteDecision::Domain(uri) => json!({ "domain": uri }),
        RouteDecision::Enum(number, tree, otherwise) => {
            json!({ "enum": tree, "number": number, "otherwise": decision_as_json(otherwise) })
        }
        RouteDecision::Refused(code, reason) => json!({ "code": code, "reason": reason }),
    }
}

fn as_lines(report: &RouteReport, account: Option<&str>) -> Vec<String> {
    let mut lines = vec![match &report.number {
        Ok(number) if report.emergency => format!("{}: the emergency number {number}", report.uri),
        Ok(number) => format!("{}: the number {number}", report.uri),
        Err(why) => format!("{}: no number: {why}", report.uri),
    }];
    if let Some(account) = account {
        lines.push(format!("goes to {account}, whose it is; no rule is asked"));
        return lines;
    }
    for (rule, why) in &report.tried {
        lines.push(match why {
            Some(why) => format!("  {rule}: no, {why}"),
            None => format!("  {rule}: yes"),
        });
    }
    lines.push(decision_in_words(&report.decision));
    lines
}

fn decision_in_words(decision: &RouteDecision) -> String {
    match decision {
        RouteDecision::Trunk(trunk, number) => format!("goes to {number} by the trunk {trunk}"),
        RouteDecision::Account(account) => format!("goes to {account}"),
        RouteDecision::Domain(uri) => format!("goes to {uri}, whose servers the DNS names"),
        RouteDecision::Enum(number, tree, otherwise) => {
            let otherwise = decision_in_words(otherwise);
            format!(
                "goes to where {tree} in the DNS says that {number} is; if it does not say so, it {otherwise}"
            )
        }
        RouteDecision::Refused(code, reason) => format!("is refused: {code} {reason}"),
    }
}
