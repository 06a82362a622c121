//! Trunks, routes and limits that are set while the exchange runs.

use offhook_server::Server;
use serde_json::{Value, json};

use crate::client::{server, settings};

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    match server.ask(method, &format!("/api/v1{path}"), body.to_string().into_bytes()) {
        Ok(answer) => (200, serde_json::from_slice(&answer).unwrap_or_default()),
        Err(problem) => (problem.status, json!(problem.detail)),
    }
}

fn get(server: &Server, path: &str) -> Value {
    ask(server, "GET", path, &Value::Null).1
}

#[test]
fn a_trunk_and_a_route_are_made_changed_and_removed_without_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let running = server(data.path(), &[]);
    let trunk = json!({ "name": "carrier", "server": "192.0.2.9", "username": "u", "password": "hush" });
    let (status, made) = ask(&running, "POST", "/trunks", &trunk);
    assert_eq!((status, &made["settings"]["password"]), (200, &json!("…")), "{made}");
    let (_, shown) = ask(&running, "GET", "/trunks", &Value::Null);
    assert_eq!(
        (&shown["trunks"][0]["name"], &shown["trunks"][0]["max_calls"]),
        (&json!("carrier"), &Value::Null)
    );
    assert_eq!(ask(&running, "POST", "/trunks", &trunk).0, 409);
    ask(&running, "PATCH", "/trunks/carrier", &json!({ "max_calls": 3 }));
    assert_eq!(get(&running, "/trunks")["trunks"][0]["max_calls"], 3);
    let route = json!({ "name": "out", "match": "+49*", "to": { "trunk": "carrier" } });
    assert_eq!(ask(&running, "POST", "/routes", &route).0, 200);
    for (wrong, words) in [
        (json!({ "sevrer": "x" }), "unknown key"),
        (json!({ "max_calls": 0 }), "a whole number"),
        (json!({ "server": null }), "has no server"),
    ] {
        let (status, why) = ask(&running, "PATCH", "/trunks/carrier", &wrong);
        assert_eq!(status, 400);
        assert!(why.as_str().unwrap().contains(words), "{why}");
    }
    let (status, why) = ask(&running, "DELETE", "/trunks/carrier", &Value::Null);
    assert_eq!(status, 400, "a route leads to it");
    assert!(why.as_str().unwrap().contains("there is no trunk \"carrier\""), "{why}");
    running.stop();
    let again = server(data.path(), &[]);
    assert_eq!(get(&again, "/routes")["routes"][0]["settings"]["match"], "+49*");
    assert_eq!(get(&again, "/trunks")["trunks"][0]["max_calls"], 3);
    assert_eq!(ask(&again, "DELETE", "/routes/out", &Value::Null).0, 200);
    assert_eq!(ask(&again, "DELETE", "/trunks/carrier", &Value::Null).0, 200);
    assert_eq!(get(&again, "/trunks")["trunks"], json!([]));
    assert_eq!(ask(&again, "DELETE", "/trunks/carrier", &Value::Null).0, 404);
    again.stop();
}

#[test]
fn what_files_declare_is_shown_and_locked() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("offhook.toml");
    let text = "[[trunk]]\nname = \"carrier\"\nserver = \"192.0.2.9\"\nusername = \"u\"\npassword = \"hush\"\n\
                [[route]]\nname = \"all\"\nto = { trunk = \"carrier\" }\n\
                [[account]]\naddress = \"sip:alice@localhost\"\nlimits = { calls = 2 }\n";
    std::fs::write(&file, text).unwrap();
    let mut settings = settings(data.path(), &[]);
    let sources = offhook_server::config_file::Sources { file: Some(file), ..Default::default() };
    let declared = offhook_server::Settings::read(&sources).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let ports = (settings.listeners, settings.http, settings.https, settings.data_dir);
    settings = declared;
    (settings.listeners, settings.http, settings.https, settings.data_dir) = ports;
    settings.turn = None;
    let running = Server::start(settings).unwrap();
    let trunks = get(&running, "/trunks/settings");
    assert_eq!(trunks["trunks"][0]["source"], "file");
    assert_eq!(trunks["trunks"][0]["settings"]["password"], "…");
    assert!(!trunks.to_string().contains("hush"));
    assert_eq!(ask(&running, "PATCH", "/trunks/carrier", &json!({ "max_calls": 1 })).0, 403);
    assert_eq!(ask(&running, "DELETE", "/routes/all", &Value::Null).0, 403);
    let limits = "/accounts/sip:alice@localhost/limits";
    assert_eq!(get(&running, limits)["calls"], 2);
    assert_eq!(ask(&running, "PATCH", limits, &json!({ "calls": 9 })).0, 403);
    running.stop();
}

#[test]
fn what_an_account_may_spend_is_set_and_outlives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let running = server(data.path(), &[]);
    ask(&running, "POST", "/accounts", &json!({ "address": "sip:alice@example.com" }));
    let limits = "/accounts/sip:alice@example.com/limits";
    assert_eq!(
        get(&running, limits),
        json!({ "calls": null, "minutes_per_day": null, "money_per_day": null })
    );
    let patch = json!({ "minutes_per_day": 60, "money_per_day": "5.5" });
    assert_eq!(ask(&running, "PATCH", limits, &patch).1["money_per_day"], "5.50");
    ask(&running, "PATCH", limits, &json!({ "calls": 2, "minutes_per_day": null }));
    let kept = json!({ "calls": 2, "minutes_per_day": null, "money_per_day": "5.50" });
    for wrong in [json!({ "money_per_day": "5,00" }), json!({ "calls": 0 }), json!({ "cals": 1 })] {
        assert_eq!(ask(&running, "PATCH", limits, &wrong).0, 400, "{wrong}");
    }
    let spending = get(&running, "/accounts/sip:alice@example.com/spending");
    assert_eq!((&spending["money"], &spending["money_per_day"]), (&json!("0.00"), &json!("5.50")));
    assert_eq!(ask(&running, "GET", "/accounts/sip:bob@example.com/spending", &Value::Null).0, 404);
    running.stop();
    let again = server(data.path(), &[]);
    assert_eq!(get(&again, limits), kept);
    again.stop();
}
