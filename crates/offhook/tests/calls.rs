//! `offhook calls` as its users start it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod start;

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use start::{Served, answer, code, run};

#[test]
fn one_call_is_shown_by_the_beginning_of_its_call_id() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    assert_eq!(code(&run(data, &["calls", "show", "abc"])), 4, "there is no record at all");
    write_records(data);
    assert_eq!(answer(data, &["calls", "show", "abc1", "--json"])["code"], 486);
    assert_eq!(answer(data, &["calls", "show", "-x", "--json"])["id"], "-x@phone");
    let said = |words: &[&str]| String::from_utf8(run(data, words).stdout).unwrap();
    assert_eq!(
        said(&["calls", "show", "abc1"]),
        "Call-ID   abc1@phone\nFrom      =1+1 <sip:a@b>\nTo        <sip:c@b>\nStarted   2026-11-01T10:00:00.000Z\n\
         Answered  –\nEnded     2026-11-01T10:00:09.000Z\nResult    486 Busy Here\nLegs      2\n\
         Called    sip:c@192.0.2.7 (192.0.2.7:5060): 486 Busy Here, 2026-11-01T10:00:00.000Z to 2026-11-01T10:00:09.000Z\n"
    );
    assert!(
        said(&["calls", "show", "abc2"]).contains("\nEnded     2026-11-02T10:01:00.000Z by the caller\n")
    );
    let several = run(data, &["calls", "show", "abc"]);
    let text = String::from_utf8_lossy(&several.stderr).into_owned();
    assert_eq!(code(&several), 5);
    assert!(text.contains("\n  abc1@phone\n  abc2@phone\n"), "{text}");

    let mut served = Served::start(data, &[]);
    assert_eq!(answer(data, &["calls", "show", "abc1", "--json"])["code"], 486);
    let unknown = run(data, &["calls", "show", "nobody"]);
    assert_eq!(code(&unknown), 4);
    assert!(
        String::from_utf8_lossy(&unknown.stderr)
            .contains("has the Call-ID nobody, or is a call that is not over")
    );
    served.signal("TERM");
    assert!(served.child.wait().unwrap().success());
}

#[test]
fn calls_of_some_days_are_exported_and_damaged_lines_are_told() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let head = "id,from,to,started_at,answered_at,ended_at,ended_by,code,reason,legs,q850,media,\
                came_by,verified,trunk,dialled,sent,charged,cost,currency,answered_by,codec,\
                packets_from_caller,lost_from_caller,jitter_ms_from_caller,mos_from_caller,\
                packets_from_callee,lost_from_callee,jitter_ms_from_callee,mos_from_callee,called\r\n";
    let said = |words: &[&str]| String::from_utf8(run(data, words).stdout).unwrap();
    assert_eq!(said(&["calls", "export"]), head);
    write_records(data);
    let output = run(data, &["calls", "export", "--until", "2026-11-01"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "{head}abc1@phone,\"'=1+1 <sip:a@b>\",<sip:c@b>,2026-11-01T10:00:00.000Z,,2026-11-01T10:00:09.000Z,,486,\
             Busy Here,2,,,,,,,,,,,,,,,,,,,,,sip:c@192.0.2.7 486 Busy Here\r\n"
        )
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((code(&output), told.lines().count()), (0, 2), "{told}");
    assert!(told.contains("line 2 of") && told.contains("line 4 of"), "{told}");
    let lines = said(&["calls", "export", "--format", "ndjson", "--since", "2026-11-02T10:00"]);
    let ids: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["abc2@phone", "-x@phone"]);
    assert_eq!(code(&run(data, &["calls", "export", "--since", "yesterday"])), 2);
    assert_eq!(code(&run(data, &["calls", "export", "--since", "2026-11-03", "--until", "2026-11-02"])), 2);
    assert_eq!(
        code(&run(data, &["calls", "export", "--since", "2026-11-02T10:00", "--until", "2026-11-02"])),
        0
    );
}

#[test]
fn a_call_that_rings_is_shown_and_ended() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    assert_eq!(code(&run(data, &["calls", "hangup", "abc"])), 3, "no server runs");
    let mut served = Served::start(data, &["--set", "security.authentication=off"]);
    let phone = Phone::new(&served, "bob");
    phone.send(&phone.request("REGISTER", "sip:127.0.0.1", "bob", "reg", "Expires: 60\r\n"));
    phone.receive("SIP/2.0 200");
    let caller = Phone::new(&served, "alice");
    caller.send(&caller.request("INVITE", "sip:bob@127.0.0.1", "bob", "ring/1%2@x", ""));
    let invite = phone.receive("INVITE ");
    phone.send(&answer_to(&invite, "180 Ringing"));
    caller.receive("SIP/2.0 180");

    let shown = answer(data, &["calls", "show", "ring", "--json"]);
    assert_eq!((&shown["id"], &shown["answered_at"]), (&json!("ring/1%2@x"), &Value::Null));
    assert!(
        String::from_utf8(run(data, &["calls", "show", "ring"]).stdout)
            .unwrap()
            .ends_with("Ended     not yet\n")
    );
    let unknown = run(data, &["calls", "hangup", "wrong"]);
    let text = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(code(&unknown), 4);
    assert!(text.contains("Call-ID wrong") && text.contains("directly between the phones"), "{text}");
    assert_eq!(
        answer(data, &["calls", "hangup", "ring", "--json"]),
        json!({ "id": "ring/1%2@x", "ended": 1 })
    );

    let cancel = phone.receive("CANCEL ");
    assert!(cancel.contains("\r\nReason: SIP;cause=480;text=\"Ended by the operator\"\r\n"), "{cancel}");
    phone.send(&answer_to(&cancel, "200 OK"));
    phone.send(&answer_to(&invite, "487 Request Terminated"));
    caller.receive("SIP/2.0 480 Ended by the operator\r\n");
    caller.send(
        &caller.request("ACK", "sip:bob@127.0.0.1", "bob", "ring/1%2@x", "").replace("bKACK", "bKINVITE"),
    );
    served.signal("TERM");
    assert!(served.child.wait().unwrap().success());
    let shown = answer(data, &["calls", "show", "ring/1%2@x", "--json"]);
    assert_eq!((&shown["ended_by"], &shown["code"]), (&json!("operator"), &json!(480)));
}

/// A phone of a few words.
struct Phone {
    socket: UdpSocket,
    user: &'static str,
}

impl Phone {
    fn new(served: &Served, user: &'static str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(served.sip).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket, user }
    }

    fn send(&self, text: &str) {
        self.socket.send(text.as_bytes()).unwrap();
    }

    /// What comes next and begins so; the rest is passed over.
    fn receive(&self, beginning: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let length = self.socket.recv(&mut buffer).expect(beginning);
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }

    fn request(&self, method: &str, uri: &str, to: &str, id: &str, headers: &str) -> String {
        let (at, user) = (self.socket.local_addr().unwrap(), self.user);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@127.0.0.1>;tag={user}\r\nTo: <sip:{to}@127.0.0.1>\r\nCall-ID: {id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{user}@{at}>\r\n{headers}Content-Length: 0\r\n\r\n"
        )
    }
}

/// The response of a phone that is called.
fn answer_to(request: &str, status: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines() {
        let name = line.split(':').next().unwrap();
        if ["Via", "From", "Call-ID", "CSeq"].contains(&name) {
            text.push_str(&format!("{line}\r\n"));
        } else if name == "To" {
            text.push_str(&format!("{line};tag=phone\r\n"));
        }
    }
    text + "Content-Length: 0\r\n\r\n"
}

/// Three records, and two lines that are none.
fn write_records(data: &Path) {
    let busy = json!({
        "id": "abc1@phone", "from": "=1+1 <sip:a@b>", "to": "<sip:c@b>", "started_at": "2026-11-01T10:00:00.000Z",
        "answered_at": null, "ended_at": "2026-11-01T10:00:09.000Z", "ended_by": null, "code": 486,
        "reason": "Busy Here", "legs": 2, "called": [{
            "to": "sip:c@192.0.2.7", "address": "192.0.2.7:5060", "began_at": "2026-11-01T10:00:00.000Z",
            "answered_at": null, "ended_at": "2026-11-01T10:00:09.000Z", "code": 486, "reason": "Busy Here",
        }],
    });
    let mut answered = busy.clone();
    answered["id"] = json!("abc2@phone");
    answered["started_at"] = json!("2026-11-02T10:00:00.000Z");
    answered["ended_at"] = json!("2026-11-02T10:01:00.000Z");
    answered["ended_by"] = json!("caller");
    let mut last = answered.clone();
    last["id"] = json!("-x@phone");
    let mut file = format!("{busy}\n{{\"id\":\"cut o\n{answered}\n").into_bytes();
    file.extend(b"\xff\xfe\n");
    file.extend(format!("{last}\n").bytes());
    std::fs::write(data.join("cdr.ndjson"), file).unwrap();
}
