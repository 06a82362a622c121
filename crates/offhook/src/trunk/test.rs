//! `offhook trunk test`: what is wrong with a trunk, step by step.

use std::time::Duration;

use serde_json::{Value, json};

use super::{path, step};
use crate::account::Flags;
use crate::api::Api;
use crate::exit::{Failure, PROBLEMS_FOUND};
use crate::print;

/// Lets the exchange look anew, waits until it has, and says what it has found.
pub(super) fn test(name: &str, to: Option<&str>, common: &Flags) -> Result<(), Failure> {
    let api = Api::of_running(&common.place)?;
    api.ask("POST", &format!("{}/check", path(name)), None)?;
    let trunk = await_news(&api, name)?;
    let mut steps = steps(&trunk);
    if let Some(number) = to {
        api.ask("POST", &format!("{}/call", path(name)), Some(&json!({ "number": number })))?;
        steps.push(called(number, &await_news(&api, name)?["trial"]));
    }
    let failed = steps.iter().any(|one| one["ok"] == false);
    if common.json {
        print::line(&json!({ "trunk": name, "ok": !failed, "steps": steps }).to_string());
    } else {
        for one in &steps {
            let mark = match one["ok"] {
                Value::Bool(true) => "ok ",
                Value::Bool(false) => "NO ",
                _ => "-  ",
            };
            let (what, text) = (print::word(&one["step"]), print::word(&one["text"]));
            print::line(&format!("{mark} {what:<13} {text}"));
        }
    }
    match failed {
        true => Err(Failure::new(PROBLEMS_FOUND, format!("the trunk {name} cannot be used as it is"))),
        false => Ok(()),
    }
}

/// A server that says nothing is given up after 32 seconds.
#[allow(clippy::disallowed_methods, reason = "a command waits for its answer")]
fn await_news(api: &Api, name: &str) -> Result<Value, Failure> {
    for _ in 0..TRIES {
        let trunk = api.ask("GET", &path(name), None)?;
        let trial = trunk["trial"]["state"].as_str();
        if trunk["busy"] != true && !matches!(trial, Some("calling" | "ringing")) {
            return Ok(trunk);
        }
        std::thread::sleep(OFTEN);
    }
    api.ask("GET", &path(name), None)
}

fn steps(trunk: &Value) -> Vec<Value> {
    if trunk["watched"] != true {
        let text = "nothing is known before a call: set health = \"30s\" to have its server asked";
        return vec![step("server", None, text)];
    }
    let mut steps = vec![found(trunk)];
    if steps[0]["ok"] == true {
        steps.push(reached(trunk));
        steps.push(registered(trunk));
    }
    steps
}

fn found(trunk: &Value) -> Value {
    let servers: Vec<String> = trunk["servers"].as_array().into_iter().flatten().map(print::word).collect();
    match (&trunk["lookup_failure"], servers.is_empty()) {
        (Value::String(why), true) => {
            step("DNS", Some(false), &format!("{why}: is server spelt as the provider writes it?"))
        }
        (Value::String(why), false) => {
            step("DNS", Some(true), &format!("{why} now; found before: {}", servers.join(", ")))
        }
        (_, true) => step("DNS", Some(false), "the DNS has not answered: see dns.servers"),
        _ => step("DNS", Some(true), &servers.join(", ")),
    }
}

fn reached(trunk: &Value) -> Value {
    let is_tls = trunk["servers"][0].as_str().is_some_and(|one| one.starts_with("tls "));
    let (health, registration) = (&trunk["health"], &trunk["registration"]);
    match health["state"].as_str() {
        Some("up") => {
            let time = health["round_trip_ms"].as_f64().unwrap_or_default();
            step("answer", Some(true), &format!("it answers OPTIONS after {time:.1} ms"))
        }
        Some("down") => {
            let hint = match is_tls {
                true => {
                    "is it reached, and is its certificate that of the name in server or proxy? The log says more"
                }
                false => {
                    "a firewall, a wrong port or transport, or a provider that ignores OPTIONS (then: health = \"off\")"
                }
            };
            step("answer", Some(false), &format!("{}: {hint}", print::word(&health["why"])))
        }
        _ if registration["state"] == "registered" => {
            step("answer", Some(true), "it has answered our registration; OPTIONS are off")
        }
        _ => step("answer", None, "not asked: health is off, or there was no answer yet"),
    }
}

fn registered(trunk: &Value) -> Value {
    let registration = &trunk["registration"];
    let word = |key: &str| print::word(&registration[key]);
    match registration["state"].as_str() {
        Some("registered") => step("registration", Some(true), &format!("until {}", word("until"))),
        Some("off") => step("registration", None, "not wanted"),
        Some("failed") => {
            let hint = match registration["code"].as_u64() {
                Some(401 | 407) => "see username, auth_username, password and realm",
                Some(403) => "the provider does not let this user in: see username, or ask the provider",
                Some(404) => "the provider does not know this user: see username and registrar",
                Some(408) => "the server does not answer REGISTER: see server, proxy and transport",
                Some(423) => "it wants another expires",
                _ => "ask the provider what it means",
            };
            let text =
                format!("{} {}; {hint}; tried again at {}", word("code"), word("reason"), word("next_try"));
            step("registration", Some(false), &text)
        }
        _ => step("registration", Some(false), "no answer to REGISTER yet"),
    }
}

/// What has become of the call.
fn called(number: &str, trial: &Value) -> Value {
    let (code, reason) = (print::word(&trial["code"]), print::word(&trial["reason"]));
    let (ok, text) = match (trial["state"].as_str(), trial["code"].as_u64()) {
        (Some("answered"), _) => (Some(true), format!("{number} has answered, and we have hung up")),
        (Some("unanswered"), _) if trial["rang"] == true => {
            (Some(true), format!("{number} rings; nobody has answered within 30 seconds"))
        }
        (Some("unanswered"), _) => {
            (Some(false), "nothing came within 30 seconds: see server and proxy".into())
        }
        (Some("failed"), Some(401 | 407)) => {
            (Some(false), format!("{code} {reason}: see username, auth_username, password and realm"))
        }
        (Some("failed"), Some(403)) => {
            (Some(false), format!("{code} {reason}: see from and numbers: is it a number of the line?"))
        }
        (Some("failed"), Some(404 | 484 | 604)) => (
            Some(false),
            format!("{code} {reason}: see format, strip and prefix: how does the provider want numbers?"),
        ),
        (Some("failed"), Some(486 | 600 | 603)) => (Some(true), format!("{number}: {code} {reason}")),
        (Some("failed"), _) => (Some(false), format!("{code} {reason}")),
        _ => (None, "the call is still under way".into()),
    };
    step("call", ok, &text)
}

/// For 36 seconds.
const TRIES: u32 = 180;
const OFTEN: Duration = Duration::from_millis(200);
