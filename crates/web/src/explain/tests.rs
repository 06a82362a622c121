use bytes::Bytes;
use offhook_sip_stack::ladder::Way;
use offhook_sip_stack::{Flow, Transport};

use super::*;
use crate::trace::{Passed, What};

/// A line is `a< INVITE` for a request of phone a, `a> 480 INVITE words` for a response to it, `· words` for a remark. Behind
/// ` | ` stand headers, behind ` # ` the payload types of a description.
fn entries(lines: &[&str]) -> Vec<Entry> {
    let entry = |(at, line): (u64, &&str)| {
        let what = match line.strip_prefix("· ") {
            Some(note) => What::Note(note.to_owned()),
            None => What::Message(passed(line)),
        };
        Entry { at: std::time::Duration::from_millis(at * 500), call: "c".into(), what }
    };
    (0..).zip(lines).map(entry).collect()
}

fn passed(line: &str) -> Passed {
    let (head, formats) = line.split_once(" # ").unwrap_or((line, ""));
    let (head, header) = head.split_once(" | ").unwrap_or((head, ""));
    let (who, message) = head.split_once(' ').unwrap();
    let host = match &who[..1] {
        "a" => "198.51.100.1",
        "b" => "198.51.100.2",
        _ => "198.51.100.3",
    };
    let way = if who.ends_with('<') { Way::Received } else { Way::Sent };
    let mut words = message.splitn(3, ' ');
    let first = words.next().unwrap();
    let (start, method) = match first.parse::<u16>() {
        Ok(code) => {
            let method = words.next().unwrap();
            (format!("SIP/2.0 {code} {}", words.next().unwrap_or_default()), method)
        }
        Err(_) => (format!("{first} sip:1002@pbx SIP/2.0"), first),
    };
    let tag = if matches!(first, "BYE" | "ACK") { ";tag=t" } else { "" };
    // Who was called is in From of its own requests.
    let (from, tag) = if who.starts_with("b<") && !tag.is_empty() { ("b", ";tag=a") } else { ("a", tag) };
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let body = match formats {
        "" => String::new(),
        formats => format!("v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 4000 RTP/AVP {formats}\r\n"),
    };
    let text = format!(
        "{start}\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK1\r\nFrom: <sip:1001@pbx>;tag={from}\r\nTo: <sip:1002@pbx>{tag}\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n{header}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), format!("{host}:5060").parse().unwrap());
    let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
    Passed { way, flow, bytes: Bytes::from(text), cut: false }
}

fn explained(lines: &[&str], language: Language) -> Explanation {
    let accounts = [("198.51.100.2:5060".parse().unwrap(), "sip:bob@pbx".to_owned())].into();
    explain(&entries(lines), &accounts, language)
}

/// The reason that is found, and its words.
fn found(lines: &[&str]) -> (&'static str, String) {
    let chinese = explained(lines, Language::Chinese).findings.remove(0);
    let finding = explained(lines, Language::English).findings.remove(0);
    assert_eq!(finding.rule, chinese.rule);
    assert!(!finding.says.contains('{') && !chinese.says.contains('{'), "{} {}", finding.says, chinese.says);
    assert_eq!(finding.advice.is_some(), chinese.advice.is_some());
    (finding.rule, finding.says)
}

const AUTH: &str = "a< INVITE | Authorization: Digest username=\"1001\", realm=\"pbx\", nonce=\"n\", uri=\"u\", response=\"**\"";

/// What each rule is found by, and a part of what it says.
const CASES: &[(&str, &[&str], &str)] = &[
    (
        "wrong-password",
        &["a< INVITE", "a> 407 INVITE x", AUTH, "a> 407 INVITE x"],
        "1001 gave a wrong name or password",
    ),
    ("no-credentials", &["a< INVITE", "a> 407 INVITE x", "a< ACK"], "asked 1001 to prove"),
    (
        "foreign-from",
        &[AUTH, "a> 403 INVITE From is not an address of this account"],
        "its From names another",
    ),
    ("stranger", &["a< INVITE", "a> 403 INVITE Nothing is relayed for strangers"], "1001 has no account"),
    ("call-limit", &[AUTH, "a> 403 INVITE This account has as many calls as it may have"], "as many calls"),
    ("international", &[AUTH, "a> 403 INVITE Calls abroad are not allowed here"], "1002 is a number abroad"),
    (
        "other-domains",
        &[AUTH, "a> 403 INVITE Other domains are not reached from here"],
        "1002 is in another domain",
    ),
    ("dns", &[AUTH, "a> 503 INVITE pbx cannot be reached: the DNS is silent"], "the DNS is silent"),
    ("no-port", &[AUTH, "a> 503 INVITE No media port is free"], "ports are in use"),
    ("overload", &["a< INVITE", "a> 503 INVITE Service Unavailable"], "too busy"),
    ("not-registered", &[AUTH, "a> 480 INVITE No phone is registered"], "no phone of 1002 is registered"),
    ("no-secure-way", &[AUTH, "a> 480 INVITE No phone of this user is reached by TLS"], "sips"),
    ("no-number", &[AUTH, "a> 404 INVITE No route leads to 1002"], "1002 is no number"),
    ("refused-by-exchange", &[AUTH, "a> 420 INVITE Bad Extension"], "420 Bad Extension"),
    (
        "cancelled",
        &[
            "a< INVITE",
            "b> INVITE",
            "b< 180 INVITE Ringing",
            "a< CANCEL",
            "b> CANCEL",
            "b< 487 INVITE x",
            "a> 487 INVITE x",
        ],
        "1001 gave up after 1.5 s, before anybody answered; it rang at: bob",
    ),
    (
        "busy",
        &["a< INVITE", "b> INVITE", "b< 486 INVITE Busy Here", "a> 486 INVITE Busy Here"],
        "bob is busy (486 Busy Here)",
    ),
    (
        "declined",
        &["a< INVITE", "b> INVITE", "b< 603 INVITE Decline", "a> 603 INVITE Decline"],
        "bob declined",
    ),
    (
        "no-codec",
        &["a< INVITE # 0 8", "b> INVITE # 0 8", "b< 488 INVITE No # 9", "a> 488 INVITE No"],
        "1001 offered pcmu, pcma; bob answered: g722",
    ),
    (
        "silent-phone",
        &["a< INVITE", "b> INVITE", "b> INVITE", "b> INVITE", "a> 408 INVITE The phone does not respond"],
        "bob at udp 198.51.100.2:5060 did not answer at all: the INVITE was sent 3 times",
    ),
    (
        "flow-lost",
        &["a< INVITE", "b> INVITE", "b< 100 INVITE Trying", "a> 480 INVITE The phone cannot be reached"],
        "The way to 1002 is gone",
    ),
    (
        "rang-out",
        &["a< INVITE", "b> INVITE", "b< 180 INVITE Ringing", "b> CANCEL", "a> 408 INVITE Nobody answered"],
        "It rang 1.0 s at bob",
    ),
    (
        "away",
        &["a< INVITE", "b> INVITE", "b< 480 INVITE Away", "a> 480 INVITE Away"],
        "cannot be reached now (480 Away)",
    ),
    (
        "leg-failed",
        &["a< INVITE", "c> INVITE", "c< 502 INVITE Bad Gateway", "a> 502 INVITE x"],
        "1002 at udp 198.51.100.3:5060 refused the call: 502 Bad Gateway",
    ),
    ("failed", &["a< INVITE", "b> INVITE", "b< 100 INVITE x", "a> 500 INVITE Odd"], "500 Odd"),
    (
        "no-media",
        &[
            "a< INVITE",
            "b> INVITE",
            "b< 200 INVITE OK",
            "a> 200 INVITE OK",
            "a< ACK",
            "a> BYE | Reason: SIP;cause=408;text=\"Media stopped\"",
        ],
        "no sound came any more",
    ),
    (
        "held-too-long",
        &[
            "a< INVITE",
            "a> 200 INVITE OK",
            "a< ACK",
            "a> BYE | Reason: SIP;cause=408;text=\"On hold too long\"",
        ],
        "on hold",
    ),
    (
        "not-secured",
        &[
            "a< INVITE",
            "a> 200 INVITE OK",
            "a< ACK",
            "a> BYE | Reason: SIP;cause=488;text=\"Media could not be secured: x\"",
        ],
        "Media could not be secured: x",
    ),
    (
        "no-ack",
        &["a< INVITE", "a> 200 INVITE OK", "a> 200 INVITE OK", "a> 200 INVITE OK"],
        "the 200 was sent 3 times",
    ),
    (
        "ended-by-exchange",
        &["a< INVITE", "a> 200 INVITE OK", "a< ACK", "a> BYE"],
        "The exchange ended the call",
    ),
    (
        "ended-by-operator",
        &["a< INVITE", "a> 200 INVITE OK", "a< ACK", "a> BYE", "· ended by the operator"],
        "An operator",
    ),
    (
        "normal",
        &["a< INVITE", "b> INVITE", "b< 200 INVITE OK", "a> 200 INVITE OK", "a< ACK", "b< BYE"],
        "bob hung up",
    ),
    (
        "lasts",
        &["a< INVITE", "b> INVITE", "b< 200 INVITE OK", "a> 200 INVITE OK", "a< ACK"],
        "no BYE has come",
    ),
    ("being-set-up", &["a< INVITE", "b> INVITE", "b< 180 INVITE Ringing"], "nobody has answered yet"),
    ("no-beginning", &["b< 200 BYE OK"], "not kept any more"),
];

#[test]
fn every_reason_is_found_in_the_messages_that_show_it() {
    for (rule, lines, words) in CASES {
        let (found, says) = found(lines);
        assert_eq!(found, *rule, "{says}");
        assert!(says.contains(words), "{rule}: {says}");
    }
    for rule in RULES {
        assert!(CASES.iter().any(|(name, ..)| *name == rule.name), "{} has no case", rule.name);
    }
}

fn remarks(lines: &[&str]) -> Vec<&'static str> {
    explained(lines, Language::English).findings.iter().skip(1).map(|finding| finding.rule).collect()
}

#[test]
fn every_remark_is_made_when_it_holds_and_only_then() {
    let answered =
        ["a< INVITE # 0", "b> INVITE # 0", "b< 200 INVITE OK # 0", "a> 200 INVITE OK # 0", "a< ACK"];
    let with = |more: &[&'static str]| [&answered, more].concat();
    assert!(remarks(&with(&["b< BYE", "a< 200 BYE OK"])).is_empty());
    assert_eq!(remarks(&with(&["b< BYE"])), ["bye-unanswered"]);
    assert_eq!(remarks(&with(&["a< ACK", "a< ACK", "a< ACK"])), ["repeated"]);
    let over = ["a< ACK", "b< BYE", "a< 200 BYE OK"];
    let silent = |note: &'static str| remarks(&with(&[&over[..], &[note]].concat()));
    assert_eq!(silent("· no sound came from the caller"), ["silent-caller"]);
    assert_eq!(silent("· no sound came from the one who was called"), ["silent-callee"]);
    assert_eq!(silent("· no sound came from either side"), ["silent-caller", "silent-callee"]);
    let short =
        ["a< INVITE", "a> 200 INVITE OK", "b< BYE", "a< 200 BYE OK", "· no sound came from either side"];
    assert!(remarks(&short).is_empty());
    let direct = "· answered: the sound goes directly between the phones";
    assert_eq!(remarks(&with(&[direct])), ["private-address", "direct-sound"]);
    let all = REMARKS.iter().map(|rule| rule.name);
    let lossy = "· sound from the caller: 40 of 250 packets lost";
    assert_eq!(silent(lossy), ["lossy-caller"]);
    assert_eq!(silent("· sound from the one who was called: 40 of 250 packets lost"), ["lossy-callee"]);
    let expected = [
        "bye-unanswered",
        "silent-caller",
        "silent-callee",
        "lossy-caller",
        "lossy-callee",
        "repeated",
        "private-address",
        "direct-sound",
    ];
    assert_eq!(all.collect::<Vec<_>>(), expected);
}

#[test]
fn the_story_tells_what_happened_in_both_languages() {
    let lines = [
        "a< INVITE",
        "b> INVITE",
        "b< 180 INVITE Ringing",
        "b< 200 INVITE OK",
        "a> 200 INVITE OK",
        "a< ACK",
        "a< BYE",
        "b< 200 BYE OK",
    ];
    let story = explained(&lines, Language::English).story;
    let expected = [
        "1001 (udp 198.51.100.1:5060) called 1002 at 1970-01-01T00:00:00.000Z.",
        "It was passed on to bob (udp 198.51.100.2:5060) after 0.5 s; it rang there after 1.0 s.",
        "bob answered after 2.0 s.",
        "It lasted 1.0 s; 1001 hung up.",
    ];
    assert_eq!(story, expected);
    assert!(explained(&lines, Language::Chinese).story[0].contains("呼叫 1002"));
}

#[test]
fn names_of_strangers_do_nothing_to_a_terminal() {
    let mut one = entries(&["a< INVITE"]);
    let What::Message(passed) = &mut one[0].what else { panic!() };
    let text = String::from_utf8(passed.bytes.to_vec()).unwrap();
    passed.bytes = text.replace("sip:1001@pbx", "sip:%1B%5B2J@pbx").into();
    let story = explain(&one, &BTreeMap::new(), Language::English).story;
    assert!(!story[0].contains('\u{1b}'), "{story:?}");
}

#[test]
fn a_caller_that_goes_on_over_another_transport_is_the_same_one() {
    let mut lines = entries(&["a< INVITE", "a> 407 INVITE x", AUTH, "a> 404 INVITE Not Found"]);
    for entry in &mut lines[2..] {
        let What::Message(passed) = &mut entry.what else { panic!() };
        passed.flow.transport = Transport::Tcp;
        passed.flow.remote = "198.51.100.1:40001".parse().unwrap();
    }
    let found = explain(&lines, &BTreeMap::new(), Language::English).findings;
    assert_eq!(found[0].rule, "no-number");
}
