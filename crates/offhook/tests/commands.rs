//! The program as its users start it: a child process, its files and its exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod start;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use start::{Served, answer, code, offhook, run};

#[test]
fn accounts_are_made_and_listed_with_and_without_a_running_server() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let add = ["account", "add", "sip:alice@127.0.0.1", "--password", "secret", "--number", "1001", "--json"];
    assert_eq!(answer(data, &add)["number"], "1001");
    assert_eq!(code(&run(data, &["status"])), 3);
    assert_eq!(code(&run(data, &["calls", "live"])), 3);

    let mut served = Served::start(data, &[]);
    let made = answer(data, &["account", "add", "sip:bob@127.0.0.1", "--json"]);
    assert!(made["password"].is_string());
    let listed = answer(data, &["account", "list", "--json"]);
    let addresses: Vec<_> =
        listed["accounts"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(addresses, ["sip:alice@127.0.0.1", "sip:bob@127.0.0.1"]);
    assert_eq!(answer(data, &["status", "--json"])["accounts"], 2);
    assert_eq!(
        answer(data, &["number", "assign", "1001", "sip:bob@127.0.0.1", "--take", "--json"])["account"],
        "sip:bob@127.0.0.1"
    );
    assert_eq!(answer(data, &["calls", "live", "--json"]), json!({ "calls": [] }));
    assert_eq!(code(&run(data, &["account", "add", "sip:bob@127.0.0.1"])), 5);
    assert_eq!(code(&run(data, &["account", "show", "sip:carol@127.0.0.1"])), 4);
    assert_eq!(code(&run(data, &["account", "add", "carol"])), 2);

    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    assert!(!data.join("offhook.run").exists());
    let listed = answer(data, &["account", "list", "--json"]);
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(code(&run(data, &["account", "remove", "sip:bob@127.0.0.1"])), 0);
    assert_eq!(answer(data, &["number", "list", "--json"])["numbers"][0]["account"], Value::Null);
}

#[test]
fn who_asks_a_server_without_an_api_is_told_how_it_comes_by_one() {
    let data = tempfile::tempdir().unwrap();
    let _served = Served::start(data.path(), &["--set", "web.http=off"]);
    for words in [
        &["trunk", "set", "provider", "max_calls=4"][..],
        &["account", "list"],
        &["calls", "live"],
        &["status"],
    ] {
        let output = run(data.path(), words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 9, "{words:?}: {text}");
        assert!(text.contains("has no API: web.http is off"), "{words:?}: {text}");
    }
}

#[test]
fn sighup_has_the_configuration_read_again_as_soon_as_the_server_is_ready() {
    const ALICE: &str = "[[account]]\naddress = \"sip:alice@127.0.0.1\"\npassword = \"correct-Horse-1\"\n";
    const BOB: &str = "[[account]]\naddress = \"sip:bob@127.0.0.1\"\n";
    let data = tempfile::tempdir().unwrap();
    let (data, file) = (data.path(), data.path().join("offhook.toml"));
    std::fs::write(&file, ALICE).unwrap();
    let mut served = Served::start(data, &[]);
    let accounts = || answer(data, &["status", "--json"])["accounts"].clone();
    std::fs::write(&file, format!("{ALICE}{BOB}")).unwrap();
    served.signal("HUP");
    served.says("SIGHUP: the configuration was read again");
    served.says("SIGHUP: sip:bob@127.0.0.1 is new and has a password that nobody knows");
    assert_eq!(accounts(), 2);
    // A mistake is told with its place, and what was in force goes on.
    std::fs::write(&file, format!("{ALICE}[media]\nanchr = \"always\"\n")).unwrap();
    served.signal("HUP");
    let told = served.says("SIGHUP: nothing was changed");
    assert!(told.contains("offhook.toml") && told.contains("did you mean"), "{told}");
    std::fs::write(&file, format!("{ALICE}{BOB}")).unwrap();
    assert_eq!(accounts(), 2);
    std::fs::write(&file, ALICE).unwrap();
    served.signal("HUP");
    served.says("SIGHUP: the configuration was read again");
    assert_eq!(accounts(), 1);
    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn commands_that_do_not_exist_yet_are_usage_errors() {
    let data = tempfile::tempdir().unwrap();
    for words in [&["trunk", "lst"][..], &["cert", "forge"], &["account", "lst"], &["serve", "--sett", "a=b"]]
    {
        assert_eq!(code(&run(data.path(), words)), 2, "{words:?}");
    }
    assert_eq!(code(&run(data.path(), &["serve", "--set", "sip.udp"])), 2);
}

#[test]
fn a_wrong_configuration_ends_with_78_and_shows_every_mistake() {
    let data = tempfile::tempdir().unwrap();
    let words = ["serve", "--set", "sip.upd=x", "--set", "media.anchor=sometimes"];
    for output in [run(data.path(), &words), run(data.path(), &[&["config", "check"], &words[1..]].concat())]
    {
        assert_eq!(code(&output), 78);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("did you mean \"udp\"?") && text.contains("2 mistakes"), "{text}");
    }
    let output = run(data.path(), &["config", "check"]);
    assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"ok: /dev/null\n"[..]));
}

#[test]
fn a_certificate_that_cannot_be_used_ends_with_78_and_names_the_file() {
    let data = tempfile::tempdir().unwrap();
    let set = ["--set", "sip.certificate=nowhere.pem", "--set", "sip.key=nowhere.key"];
    for command in [&["serve"][..], &["config", "check"], &["config", "reload"]] {
        let output = run(data.path(), &[command, &set].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 78, "{command:?}: {text}");
        assert!(text.contains("nowhere.pem: No such file"), "{text}");
    }
    let output = run(data.path(), &["config", "check", "--set", "web.key=only.key"]);
    assert_eq!(code(&output), 78);
}

#[test]
fn certificates_are_shown_and_renewed_with_and_without_a_running_server() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let prints = |answer: &Value| -> Vec<(String, String)> {
        let all = answer["certificates"].as_array().unwrap();
        let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        all.iter().map(|one| (word(one, "purpose"), word(one, "sha256"))).collect()
    };
    assert_eq!(answer(data, &["cert", "status", "--json"])["certificates"], json!([]));
    assert_eq!(code(&run(data, &["cert", "trust"])), 4);
    assert_eq!(code(&run(data, &["config", "reload"])), 3);
    let first = prints(&answer(data, &["cert", "renew", "--json"]));
    let purposes: Vec<&str> = first.iter().map(|(purpose, _)| purpose.as_str()).collect();
    assert_eq!(purposes, ["authority", "sip", "web"]);

    let served = Served::start(data, &[]);
    let second = prints(&answer(data, &["cert", "renew", "--json"]));
    assert_eq!(first[0], second[0], "the authority stays");
    assert_ne!(first[1], second[1]);
    assert_eq!(prints(&answer(data, &["cert", "status", "--json"])), second);
    let reloaded = answer(data, &["config", "reload", "--json"]);
    assert_eq!(reloaded["reloaded"], json!(["certificates", "rates"]));
    drop(served);
    assert_eq!(prints(&answer(data, &["cert", "status", "--json"])), second);
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let data = tempfile::tempdir().unwrap();
    let output = offhook(data.path(), &["config", "show", "--origin", "--set", "media.anchor=never"])
        .env("OFFHOOK_SIP_TIMER_C", "200s")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "media.anchor = \"never\"   # --set\n",
        "sip.timer_c = \"200s\"   # OFFHOOK_SIP_TIMER_C\n",
        "sip.udp = \"[::]:5060\"   # built-in\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("   # --data\n") && text.contains("   # this machine\n"), "{text}");
}

#[test]
fn services_are_listed_with_what_is_dialled_for_them() {
    let data = tempfile::tempdir().unwrap();
    let set = |words: &[&str]| {
        let listed = answer(data.path(), &[&["services", "--json"], words].concat());
        listed["services"].as_array().unwrap().iter().find(|one| one["name"] == "echo").unwrap()["number"]
            .clone()
    };
    assert_eq!(set(&[]), "*43");
    assert_eq!(set(&["--set", "services.echo.number=900"]), "900");
    assert_eq!(set(&["--set", "services.echo.number=off"]), Value::Null);
    let wrong = run(data.path(), &["services", "--set", "services.echo.number=9 9"]);
    assert_eq!(code(&wrong), 78);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("cannot be dialled"));
    let unknown = run(data.path(), &["services", "--set", "services.echo.numbers=900"]);
    assert_eq!(code(&unknown), 78);
}

#[test]
fn a_taken_port_ends_with_1_and_names_its_owner() {
    let data = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let set = format!("sip.udp={}", taken.local_addr().unwrap());
    let output = run(data.path(), &["serve", "--set", &set]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), 1);
    assert!(
        text.contains(&format!("(pid {})", std::process::id())) && text.contains("--set sip.udp="),
        "{text}"
    );
}

#[test]
fn credentials_of_turn_are_made_for_an_account_that_exists() {
    let data = tempfile::tempdir().unwrap();
    let with = ["device", "turn", "sip:alice@127.0.0.1"];
    assert_eq!(code(&run(data.path(), &with)), 3, "no server runs");
    let _served =
        Served::start(data.path(), &["--set", "turn.listen=127.0.0.1:0", "--set", "turn.ports=42700-42799"]);
    assert_eq!(code(&run(data.path(), &with)), 4, "there is no such account");
    assert_eq!(code(&run(data.path(), &["account", "add", "sip:alice@127.0.0.1"])), 0);
    let output = run(data.path(), &with);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(":sip:alice@127.0.0.1\nPassword  ") && text.contains("Server    turn:127.0.0.1:"),
        "{text}"
    );
    assert!(text.ends_with("Good for  12 hours\n"), "{text}");
    let output = run(data.path(), &["device", "turn", "sip:alice@127.0.0.1", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told["ttl"].as_u64(), told["password"].as_str().map(str::len)), (Some(43_200), Some(28)));
}

#[test]
fn a_phone_is_told_who_it_is_and_no_password_changes_for_nothing() {
    let data = tempfile::tempdir().unwrap();
    let address = "sip:alice@127.0.0.1";
    assert_eq!(code(&run(data.path(), &["account", "add", address, "--password", "first-7-secret"])), 0);
    let told =
        |words: &[&str]| run(data.path(), &[&["device", "provision", address, "--for"], words].concat());
    assert_eq!(code(&told(&["yealink"])), 2, "no password");
    assert_eq!(code(&told(&["nokia", "--new-password"])), 2, "no such maker");
    let must = ["spa", "--new-password", "--set", "media.srtp=require"];
    assert_eq!(code(&told(&must)), 2, "it could not be called");
    assert_eq!(code(&run(data.path(), &["device", "qr", "sip:bob@127.0.0.1", "--password", "x"])), 4);
    let output = told(&["yealink", "--password", "first-7-secret", "--server", "192.0.2.1:5070"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("account.1.password = first-7-secret\naccount.1.sip_server.1.address = 127.0.0.1\n")
    );
    assert!(
        text.contains(
            "account.1.outbound_proxy.1.address = 192.0.2.1\naccount.1.outbound_proxy.1.port = 5070"
        )
    );
    let output = run(data.path(), &["device", "qr", address, "--new-password", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("<UserID>alice</UserID>") && !text.contains("<AuthPass></AuthPass>"), "{text}");
    let output = run(data.path(), &["device", "qr", address, "--password", "first-7-secret"]);
    assert!(String::from_utf8_lossy(&output.stdout).lines().count() > 30);
}

#[test]
fn language_and_json_may_be_asked_for_before_and_after_any_command() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let mut served = Served::start(data, &[]);
    let said = |words: &[&str]| String::from_utf8(run(data, words).stdout).unwrap();
    assert!(said(&["--lang", "zh", "status"]).ends_with("一切正常。\n"));
    assert!(said(&["status", "--lang", "zh"]).ends_with("一切正常。\n"));
    assert!(said(&["--lang", "en", "status"]).ends_with("All is well.\n"));
    assert_eq!(answer(data, &["--json", "status"])["troubles"], json!([]));
    assert_eq!(answer(data, &["status", "--json"])["troubles"], json!([]));
    served.signal("TERM");
    assert!(served.child.wait().unwrap().success());
    assert_eq!(code(&run(data, &["--lang", "xx", "status"])), 2);
    let before = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["--json", "--lang", "zh", "call", "sip:x@127.0.0.1", "--play", "/nowhere.wav"])
        .output()
        .unwrap();
    let object: Value = serde_json::from_slice(&before.stdout).unwrap();
    assert_eq!((&object["exit_code"], &object["mos"]), (&json!(2), &Value::Null));
}

#[test]
fn a_start_is_told_as_one_json_object_on_stdout() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let file = data.join("accounts.toml");
    std::fs::write(&file, "[[account]]\naddress = \"sip:alice@127.0.0.1\"\n").unwrap();
    let words = ["--json", "serve", "--set", "sip.udp=127.0.0.1:0", "--set", "sip.tcp=127.0.0.1:0"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(words)
        .args(["--set", "web.http=127.0.0.1:0", "--set", "domains=127.0.0.1", "-c"])
        .arg(&file)
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let served = Served { child, sip: "127.0.0.1:0".parse().unwrap(), log: std::sync::mpsc::channel().1 };
    let told: Value = serde_json::from_str(&line).unwrap();
    drop(served);
    assert_eq!(told["domains"], json!(["127.0.0.1"]));
    assert_eq!(told["accounts"][0]["address"], "sip:alice@127.0.0.1");
    assert!(told["accounts"][0]["password"].is_string());
    assert!(told["web"][0].as_str().unwrap().starts_with("http://127.0.0.1:"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    let mut child = offhook(data.path(), &["config", "show"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn two_hundred_calls_with_sound_pass_through_three_shards_that_one_thread_has() {
    two_hundred_calls_with_sound("media.ports=10000-11999", None);
}

#[test]
fn two_hundred_calls_with_sound_pass_through_shards_on_the_move_between_three_threads() {
    two_hundred_calls_with_sound("media.ports=12000-13999", Some("moving"));
}

/// Ports of its own, since tests run side by side.
fn two_hundred_calls_with_sound(ports: &str, shards: Option<&str>) {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let set = ["sip.threads=3", "security.authentication=off", "media.anchor=always", ports];
    let set: Vec<&str> = set.iter().flat_map(|key| ["--set", key]).collect();
    let served = Served::start_with(data, &set, shards);
    let server = served.sip.to_string();
    let load = "load sip:b@127.0.0.1 --callees 40 --account sip:a@127.0.0.1 --users 40 --calls 200 --rate 100/s \
                --held --settle 1s --watch 3s --rtp --json";
    let words: Vec<&str> = load.split_ascii_whitespace().chain(["--server", &server]).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_offhook")).args(words).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["completed"], &told["failed"]), (&json!(200), &json!(0)), "{told}");
    // Both ways, through the relay, whichever thread has the call.
    let (sent, lost) = (told["rtp"]["sent"].as_u64().unwrap(), told["rtp"]["lost"].as_u64().unwrap());
    // A machine that is busy elsewhere is late for some of the 150 packets, or drops a few.
    assert!(sent > 200 * 2 * 50, "{told}");
    assert!(lost * 10 <= sent, "{told}");
}

#[test]
fn a_thousand_registrations_that_were_acknowledged_outlive_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let open = ["--set", "security.authentication=off"];
    let served = Served::start(data.path(), &open);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = [0; 4_096];
    for window in (0..1_000).collect::<Vec<u32>>().chunks(50) {
        for n in window {
            phone.send_to(register(*n, phone.local_addr().unwrap()).as_bytes(), served.sip).unwrap();
        }
        for _ in window {
            let length = phone.recv(&mut buffer).unwrap();
            assert!(
                buffer[..length].starts_with(b"SIP/2.0 200"),
                "{}",
                String::from_utf8_lossy(&buffer[..length])
            );
        }
    }
    served.signal("KILL");
    drop(served);

    let _again = Served::start(data.path(), &open);
    let devices = answer(data.path(), &["device", "list", "--json"]);
    let found: BTreeSet<_> =
        devices["devices"].as_array().unwrap().iter().map(|one| one["contact"].to_string()).collect();
    assert_eq!(found.len(), 1_000);
}

fn register(n: u32, from: SocketAddr) -> String {
    format!(
        "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKr{n};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:user{n}@127.0.0.1>;tag={n}\r\nTo: <sip:user{n}@127.0.0.1>\r\nCall-ID: call{n}\r\n\
         CSeq: 1 REGISTER\r\nContact: <sip:user{n}@{from}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
    )
}
