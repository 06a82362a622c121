//! What operators see.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use offhook_server::Server;
use serde_json::{Value, json};

use crate::client::server;

/// Status and body of a GET without a token.
pub(crate) fn get(server: &Server, path: &str) -> (u16, Vec<u8>) {
    over_http(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

fn over_http(server: &Server, request: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(server.urls()[0].trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head[9..12].parse().unwrap(), answer[end + 4..].to_vec())
}

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    match server.ask(method, &format!("/api/v1{path}"), body.to_string().into_bytes()) {
        Ok(answer) => (200, serde_json::from_slice(&answer).unwrap_or_default()),
        Err(problem) => (problem.status, json!(problem.detail)),
    }
}

#[test]
fn health_and_measures_need_no_token_and_the_rest_does() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    assert_eq!(get(&server, "/health/live"), (200, b"ok\n".to_vec()));
    assert_eq!(get(&server, "/health/ready"), (200, b"ok\n".to_vec()));
    let (status, measures) = get(&server, "/metrics");
    assert_eq!(status, 200);
    assert!(String::from_utf8(measures).unwrap().contains("\noffhook_accounts 0\n"));
    let with = |token: &str| {
        let line = format!("Authorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        over_http(&server, &format!("GET /api/v1/status HTTP/1.1\r\nHost: x\r\n{line}")).0
    };
    assert_eq!(get(&server, "/api/v1/status").0, 401);
    assert_eq!(with(&server.token()[1..]), 401);
    assert_eq!(with(""), 401);
    assert_eq!(with(server.token()), 200);
    assert_eq!(get(&server, "/nowhere").0, 404);
    server.stop();
}

#[test]
fn how_calls_are_answered_is_changed_field_by_field() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    ask(&server, "POST", "/accounts", &json!({ "address": "sip:alice@example.com" }));
    let path = "/accounts/sip:alice@example.com/answering";
    let (status, usual) = ask(&server, "GET", path, &Value::Null);
    assert_eq!((status, &usual["ring_seconds"], &usual["forward_busy"]), (200, &json!(20), &Value::Null));
    ask(&server, "PATCH", path, &json!({ "forward_busy": "1002", "blocked": ["+49900*"] }));
    let (_, changed) = ask(&server, "PATCH", path, &json!({ "do_not_disturb": true, "ring_seconds": 9 }));
    assert_eq!((&changed["forward_busy"], &changed["blocked"]), (&json!("1002"), &json!(["+49900*"])));
    assert_eq!((&changed["do_not_disturb"], &changed["ring_seconds"]), (&json!(true), &json!(9)));
    let (_, emptied) = ask(&server, "PATCH", path, &json!({ "forward_busy": null }));
    assert_eq!(emptied["forward_busy"], Value::Null);
    for (wrong, code) in [
        (json!({ "forward_busy": "a b" }), 400),
        (json!({ "ring_seconds": 0 }), 400),
        (json!({ "forward_bsuy": "1002" }), 400),
    ] {
        assert_eq!(ask(&server, "PATCH", path, &wrong).0, code, "{wrong}");
    }
    assert_eq!(ask(&server, "GET", path, &Value::Null).1, emptied);
    assert_eq!(ask(&server, "GET", "/accounts/sip:bob@example.com/answering", &Value::Null).0, 404);
    server.stop();
}

#[test]
fn an_account_is_made_changed_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let new = json!({ "address": "sip:alice@example.com", "name": "Alice 王", "number": "1001" });
    let (status, made) = ask(&server, "POST", "/accounts", &new);
    assert_eq!((status, &made["number"]), (200, &json!("1001")));
    assert_eq!(made["password"].as_str().unwrap().len(), 14);
    let path = "/accounts/sip:alice@example.com";
    let (_, shown) = ask(&server, "GET", path, &Value::Null);
    assert_eq!((&shown["name"], &shown["password"]), (&json!("Alice 王"), &Value::Null));
    // A patch keeps what it does not name, and null empties.
    let (_, changed) = ask(&server, "PATCH", path, &json!({ "email": "a@example.com" }));
    assert_eq!((&changed["name"], &changed["email"]), (&json!("Alice 王"), &json!("a@example.com")));
    let (_, changed) = ask(&server, "PATCH", "/accounts/alice%40example.com", &json!({ "name": null }));
    assert_eq!((&changed["name"], &changed["email"]), (&Value::Null, &json!("a@example.com")));
    let (_, changed) = ask(&server, "PATCH", path, &json!({ "language": "zh" }));
    assert_eq!((&changed["language"], &changed["email"]), (&json!("zh"), &json!("a@example.com")));
    assert_eq!(ask(&server, "PATCH", path, &json!({ "language": null })).1["language"], Value::Null);
    assert_eq!(ask(&server, "DELETE", path, &Value::Null).0, 200);
    assert_eq!(ask(&server, "GET", path, &Value::Null).0, 404);
    assert_eq!(
        ask(&server, "GET", "/numbers", &Value::Null).1,
        json!({ "numbers": [{ "number": "1001", "account": null }] })
    );
    server.stop();
}

#[test]
fn mistakes_are_problems_with_their_status() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let alice = json!({ "address": "sip:alice@example.com", "number": "1001" });
    assert_eq!(ask(&server, "POST", "/accounts", &alice).0, 200);
    for (method, path, body, status) in [
        ("POST", "/accounts", alice.clone(), 409),
        ("POST", "/accounts", json!({ "address": "sip:bob@example.com", "number": "1001" }), 409),
        // Rooms of conferences, and an account that would take their place.
        ("POST", "/accounts", json!({ "address": "sip:bob@example.com", "number": "3000" }), 409),
        ("PATCH", "/accounts/sip:alice@example.com", json!({ "number": "*43" }), 409),
        ("PATCH", "/accounts/sip:alice@example.com", json!({ "language": "tlh" }), 400),
        ("POST", "/accounts", json!({ "address": "sip:bob@example.com", "language": "fr" }), 400),
        ("POST", "/accounts", json!({ "address": "nobody" }), 400),
        ("POST", "/accounts", json!({ "adress": "sip:bob@example.com" }), 400),
        ("POST", "/accounts", json!({ "address": "sip:bob@example.com", "password": "" }), 400),
        ("POST", "/numbers", json!({ "number": "1001" }), 409),
        ("POST", "/numbers", json!({ "number": "one" }), 400),
        ("PATCH", "/numbers/2002", json!({ "account": null }), 404),
        ("PATCH", "/accounts/sip:bob@example.com", json!({}), 404),
        ("DELETE", "/accounts/sip:bob@example.com", Value::Null, 404),
        ("PUT", "/accounts", Value::Null, 405),
        ("GET", "/nothing", Value::Null, 404),
    ] {
        let (found, answer) = ask(&server, method, path, &body);
        assert_eq!(found, status, "{method} {path} {body}: {answer}");
    }
    server.stop();
}

#[test]
fn accounts_of_the_file_are_locked_and_their_passwords_shown_once() {
    let data = tempfile::tempdir().unwrap();
    let declared = [("account", "[{ address = \"sip:alice@example.com\", number = \"1001\" }]")];
    let first = server(data.path(), &declared);
    assert_eq!(first.generated().len(), 1);
    let (_, shown) = ask(&first, "GET", "/accounts/sip:alice@example.com", &Value::Null);
    assert_eq!(shown["source"], "file");
    assert_eq!(ask(&first, "DELETE", "/accounts/sip:alice@example.com", &Value::Null).0, 403);
    first.stop();
    let second = server(data.path(), &declared);
    assert!(second.generated().is_empty());
    second.stop();
}

#[test]
fn a_list_of_accounts_is_imported_whole_or_not_at_all_and_exported_without_passwords() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    let import = |csv: &str| server.ask("POST", "/api/v1/accounts/import", csv.as_bytes().to_vec());
    let wrong = "sip:a@example.com,,A,1,\nsip:b@example.com,,B,1,\n";
    assert_eq!(import(wrong).unwrap_err().status, 409);
    let right =
        "address,password,name,number,email\nsip:a@example.com,,A,1,\nsip:b@example.com,pw,B,2,b@x.org\n";
    let made: Value = serde_json::from_slice(&import(right).unwrap()).unwrap();
    assert!(made["accounts"][0]["password"].is_string() && made["accounts"][1]["password"].is_null());
    let csv = String::from_utf8(server.ask("GET", "/api/v1/accounts/export", Vec::new()).unwrap()).unwrap();
    assert!(csv.contains("sip:b@example.com,,B,2,b@x.org") && !csv.contains("pw"), "{csv}");
    server.stop();
}

#[test]
fn there_are_no_trunks_unless_they_are_declared() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[]);
    assert_eq!(ask(&server, "GET", "/trunks", &Value::Null), (200, json!({ "trunks": [] })));
    let none = (404, json!("there is no trunk provider"));
    assert_eq!(ask(&server, "GET", "/trunks/provider", &Value::Null), none);
    assert_eq!(ask(&server, "POST", "/trunks/provider/check", &Value::Null), none);
    server.stop();
}
