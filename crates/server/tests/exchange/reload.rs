//! The configuration read again while the exchange runs.

use std::path::Path;

use offhook_server::Server;
use offhook_sip::digest::Algorithm;
use serde_json::{Value, json};

use crate::client::{Udp, Wire as _, settings_of};

const BEFORE: &str = "[[account]]\naddress = \"sip:alice@example.com\"\npassword = \"correct-Horse-1\"\n";

fn started(folder: &Path, text: &str) -> Server {
    let file = folder.join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    Server::start(settings_of(&file, &folder.join("data"), &[])).unwrap()
}

/// The file says this now; what becomes of it.
fn reload(server: &Server, folder: &Path, text: &str) -> Result<Value, (u16, String)> {
    std::fs::write(folder.join("offhook.toml"), text).unwrap();
    let answer = server.ask("POST", "/api/v1/config/reload", Vec::new());
    answer
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .map_err(|problem| (problem.status, problem.detail))
}

fn get(server: &Server, path: &str) -> Value {
    serde_json::from_slice(&server.ask("GET", &format!("/api/v1{path}"), Vec::new()).unwrap()).unwrap()
}

#[test]
fn accounts_groups_trunks_and_settings_of_the_file_are_taken_over_and_the_rest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path(), BEFORE);
    let (mut alice, mut bob) = (Udp::to(&server), Udp::to(&server));
    assert_eq!(alice.register("alice", "correct-Horse-1", Algorithm::Sha256), (401, 200));
    let text = format!(
        "{BEFORE}[[account]]\naddress = \"sip:bob@example.com\"\npassword = \"correct-Horse-2\"\nlimits = {{ calls = 1 }}\n\
         [[account]]\naddress = \"sip:carol@example.com\"\n\
         [[group]]\nnumber = \"600\"\nname = \"all\"\nmembers = [\"alice\", \"bob\"]\n\
         [[trunk]]\nname = \"carrier\"\nserver = \"192.0.2.9\"\nauth = \"address\"\n\
         [[route]]\nname = \"out\"\nmatch = \"+49*\"\nto = {{ trunk = \"carrier\" }}\n\
         [media]\ncodecs = [\"pcma\"]\nports = \"30000-30099\"\n"
    );
    let done = reload(&server, folder.path(), &text).unwrap();
    assert_eq!(
        done["reloaded"],
        json!(["certificates", "rates", "media.codecs", "account", "trunk", "route", "group"])
    );
    assert_eq!(done["needs_restart"], json!(["media.ports"]));
    assert_eq!(done["accounts"].as_array().unwrap().len(), 1, "carol gets a password");
    assert_eq!(done["accounts"][0]["address"], "sip:carol@example.com");
    let password = done["accounts"][0]["password"].as_str().unwrap();
    assert_eq!(bob.register("carol", password, Algorithm::Sha256), (401, 200));
    assert_eq!(bob.register("bob", "correct-Horse-2", Algorithm::Sha256), (401, 200));
    assert_eq!(get(&server, "/groups")["groups"][0]["number"], "600");
    assert_eq!(get(&server, "/routes")["routes"][0]["source"], "file");
    // What the file no longer has is gone, and what it has left is left.
    let done = reload(&server, folder.path(), BEFORE).unwrap();
    assert_eq!(done["needs_restart"], json!([]));
    assert_eq!(get(&server, "/accounts")["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&get(&server, "/groups")["groups"], &get(&server, "/trunks")["trunks"]),
        (&json!([]), &json!([]))
    );
    server.stop();
}

#[test]
fn a_mistake_changes_nothing_and_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path(), BEFORE);
    let more = "[[account]]\naddress = \"sip:bob@example.com\"\n";
    for (wrong, words) in [
        (format!("[media]\nanchr = \"always\"\n{BEFORE}{more}"), "did you mean \"anchor\"?"),
        (
            format!("{BEFORE}{more}[[route]]\nname = \"x\"\nmatch = \"+*\"\nto = {{ trunk = \"none\" }}\n"),
            "\"none\"",
        ),
        (format!("[rates]\nfile = \"nowhere.csv\"\n{BEFORE}{more}"), "nowhere.csv"),
    ] {
        let (status, why) = reload(&server, folder.path(), &wrong).unwrap_err();
        assert_eq!(status, 400);
        assert!(why.contains(words) && why.contains("offhook.toml"), "{why}");
        assert_eq!(get(&server, "/accounts")["accounts"].as_array().unwrap().len(), 1);
    }
    server.stop();
}
