//! `offhook route`: which rules are tried, and why.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PLAN: &str = r#"
domains = ["example.com"]
[numbers]
country = "DE"
[[trunk]]
name = "carrier"
server = "192.0.2.9"
auth = "address"
[[route]]
name = "mobile"
match = "+4917*"
to = { reject = 603, reason = "No mobile numbers" }
[[route]]
name = "rest"
match = "+*"
to = { trunk = "carrier" }
"#;

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    let file = folder.join("offhook.toml");
    command.args(words).arg("--data").arg(folder).arg("-c").arg(file).current_dir(folder);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_rule_that_is_tried_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("offhook.toml"), PLAN).unwrap();
    let add = ["account", "add", "sip:bob@example.com", "--number", "+49301234567", "--password", "secret-7"];
    assert!(run(folder, &add).status.success());

    let listed: Value = serde_json::from_slice(&run(folder, &["route", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed["routes"][1]["name"], "rest");
    assert_eq!(listed["routes"][1]["to"], "trunk carrier");

    let test = |number: &str| run(folder, &["route", "test", number, "--from", "sip:alice@example.com"]);
    let out = test("030 7654321");
    assert!(out.status.success());
    assert_eq!(
        said(&out).lines().skip(1).collect::<Vec<_>>(),
        ["  mobile: no, the number does not fit", "  rest: yes", "goes to +49307654321 by the trunk carrier"]
    );
    let out = test("0171 7654321");
    assert_eq!(out.status.code(), Some(4));
    assert!(said(&out).contains("is refused: 603 No mobile numbers"));
    let out = test("0043 1 7654321");
    assert!(said(&out).contains("603 Calls abroad are not allowed here"));
    for known in ["030 1234567", "bob", "sip:bob@example.com", "tel:+49-30-1234567"] {
        let out = test(known);
        assert!(said(&out).contains("goes to sip:bob@example.com, whose it is"), "{known}: {}", said(&out));
    }
    let out = run(folder, &["route", "test", "030 7654321", "--json"]);
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["number"], "+49307654321");
    assert_eq!(answer["tried"][1]["why"], "callers without an account leave only by a rule for their trunk");
    assert_eq!(test("no such user").status.code(), Some(4));
}
