//! Carriers that behave oddly, and calls that become faxes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, call};
use bench::{Bench, in_dialog, raw, reply, request, sdp, with_sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::directory::Record;
use offhook_exchange::event::Event;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Rule, Trunk, TrunkAuth};
use offhook_media::command::{Command, Content};
use offhook_sip::{Message, Name, Request, Uri};

const CARRIER: &str = "198.51.100.9:5060";
const SECOND: &str = "198.51.100.10:5070";

/// A carrier with a network of gateways. If its calls are counted they have a leg of ours.
fn bench(counted: bool) -> Bench {
    let mut bench = Bench::with(|config| {
        config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
        let Ok(Uri::Sip(server)) = "sip:carrier.example".parse::<Uri>() else { panic!() };
        config.trunks.push(Trunk {
            networks: vec!["198.51.100.0/28".parse().unwrap()],
            max_calls: counted.then_some(2),
            ..Trunk::new("carrier", server, TrunkAuth::Address)
        });
        config.plan.rules.push(Rule::new("out", Destination::Trunk(Choice::only("carrier"))));
    });
    bench.pass(Duration::from_millis(1));
    if counted {
        bench.resolve("198.51.100.9");
    }
    bench
}

/// Alice calls, and the carrier is found.
fn reaches(bench: &mut Bench, counted: bool) -> Request {
    assert_eq!(dial(bench, "030-987654"), 100);
    if !counted {
        bench.resolve("198.51.100.9");
    }
    bench.request(CARRIER)
}

fn dial(bench: &mut Bench, number: &str) -> u16 {
    let uri = format!("sip:{number}@example.com");
    let text = request("INVITE", &uri, "alice", ALICE, "", &sdp("192.0.2.10", 4000));
    bench.authenticated(ALICE, "alice", &text).status().code()
}

fn sent_on(bench: &mut Bench, from: &str, got: &Request, to: &str) {
    bench.send(from, &reply(got, 302, "c", &format!("Contact: {to}\n"), ""));
}

fn refused(bench: &mut Bench) -> (u16, String) {
    let answer = bench.response(ALICE);
    (answer.status().code(), String::from_utf8_lossy(answer.reason()).into_owned())
}

fn over(mut bench: Bench) {
    bench.pass(Duration::from_secs(70));
    assert!(bench.shard.is_idle());
}

#[test]
fn a_carrier_may_send_a_call_on_to_another_server_of_its_own() {
    for to in [
        "<sip:+4930987654@198.51.100.10:5070>",
        "<sip:+4930987654;npdi;rn=+4930@198.51.100.10:5070;user=phone?Subject=x>;q=0.5, <sip:nobody@203.0.113.1>;q=0.1",
    ] {
        for counted in [true, false] {
            let mut bench = bench(counted);
            let first = reaches(&mut bench, counted);
            sent_on(&mut bench, CARRIER, &first, to);
            let second = bench.request(SECOND);
            assert!(!raw(&second, Name::Subject).contains('x'), "nothing of theirs comes into our request");
            assert_eq!(first.call_id().unwrap() != second.call_id().unwrap(), counted);
            let contact = format!("Contact: <sip:gw@{SECOND}>\n");
            bench.send(SECOND, &reply(&second, 200, "d", &contact, &sdp("198.51.100.10", 7000)));
            assert_eq!(bench.codes(ALICE), [200]);
        }
    }
}

#[test]
fn it_is_followed_nowhere_else_and_said_in_words() {
    let words = "The provider sends the call elsewhere, where we do not follow";
    for to in [
        "<sip:+4930987654@203.0.113.66>",
        "<sip:+4930987654@evil.example>",
        "<sip:+49900123456@198.51.100.10>",
        "<sip:198.51.100.10>",
        "<tel:+4930987654>",
        "*",
    ] {
        for counted in [true, false] {
            let mut bench = bench(counted);
            let first = reaches(&mut bench, counted);
            sent_on(&mut bench, CARRIER, &first, to);
            assert_eq!(refused(&mut bench), (502, words.to_owned()), "{to}");
            over(bench);
        }
    }
}

/// The next INVITE that a server of the carrier gets.
fn invited(bench: &mut Bench) -> Option<(&'static str, Request)> {
    [CARRIER, SECOND].into_iter().find_map(|at| {
        let all = bench.take(at);
        let mut requests = all.iter().filter_map(|one| one.as_request());
        Some((at, requests.find(|one| one.method().as_str() == "INVITE")?.clone()))
    })
}

#[test]
fn servers_that_send_a_call_to_each_other_come_to_an_end() {
    for counted in [true, false] {
        let mut bench = bench(counted);
        let first = reaches(&mut bench, counted);
        sent_on(&mut bench, CARRIER, &first, &format!("<sip:+4930987654@{SECOND}>"));
        let mut tries = 1;
        while let Some((at, got)) = invited(&mut bench) {
            tries += 1;
            let to = if at == CARRIER { SECOND } else { CARRIER };
            sent_on(&mut bench, at, &got, &format!("<sip:+4930987654@{to}>"));
        }
        assert_eq!(tries, 4);
        assert_eq!(refused(&mut bench).0, 502);
        over(bench);
    }
}

#[test]
fn a_server_that_the_dns_names_may_take_over_a_call_that_is_forwarded() {
    let mut bench = bench(false);
    assert_eq!(dial(&mut bench, "030-987654"), 100);
    bench.resolve("203.0.113.9");
    let first = bench.request("203.0.113.9:5060");
    sent_on(&mut bench, "203.0.113.9:5060", &first, "<sip:+4930987654@203.0.113.9:5080>");
    let second = bench.request("203.0.113.9:5080");
    // Who has hung up is not called on.
    let cancel = request("CANCEL", "sip:030-987654@example.com", "alice", ALICE, "", "");
    let cancel = cancel.replace("CSeq: 1", "CSeq: 2").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    bench.send(ALICE, &cancel);
    sent_on(&mut bench, "203.0.113.9:5080", &second, "<sip:+4930987654@203.0.113.9>");
    let is_ack = |one: &Message| one.as_request().is_some_and(|it| it.method().as_str() == "ACK");
    assert!(bench.take("203.0.113.9:5060").iter().all(is_ack));
    assert_eq!(bench.codes(ALICE).last(), Some(&487));
}

#[test]
fn numbers_and_names_that_are_none_reach_no_carrier() {
    for (number, code) in [
        ("9".repeat(200), 404),
        (format!("+{}", "9".repeat(200)), 404),
        ("030%0D%0A112".into(), 404),
        ("';DROP%20TABLE%20accounts;--".into(), 404),
    ] {
        let mut bench = bench(true);
        assert_eq!(dial(&mut bench, &number), code, "{number}");
        assert!(bench.take(CARRIER).iter().all(|one| one.as_request().is_none()));
    }
}

fn fax(address: &str, port: u16) -> String {
    format!(
        "v=0\no=- 1 2 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\nm=image {port} udptl t38\n\
         a=T38FaxVersion:0\na=T38MaxBitRate:14400\na=T38FaxRateManagement:transferredTCF\na=T38FaxUdpEC:t38UDPRedundancy\n"
    )
}

fn carried(bench: &Bench) -> Vec<Content> {
    let of = |command: &Command| match command {
        Command::Carry { content, .. } => Some(*content),
        _ => None,
    };
    bench.media.iter().filter_map(of).collect()
}

#[test]
fn a_call_becomes_a_fax_on_the_same_ports_and_sound_again() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Always);
    let (got, ok) = call(&mut bench);
    let streams = bench.open_streams();
    // It is only offered, and refused: nothing has changed.
    let offer = |cseq| in_dialog("INVITE", cseq, &got, &ok, false, BOB);
    bench.send(BOB, &with_sdp(&offer(1), &fax("192.0.2.20", 6000)));
    let asked = bench.request(ALICE);
    bench.send(ALICE, &reply(&asked, 488, "", "", ""));
    assert_eq!(bench.codes(BOB), [100, 488]);
    assert!(carried(&bench).is_empty());
    bench.send(BOB, &with_sdp(&offer(2), &fax("192.0.2.20", 6000)));
    let asked = bench.request(ALICE);
    let ports = bench.ports(streams[0]);
    let told = String::from_utf8_lossy(asked.body()).into_owned();
    assert!(told.contains(&format!("m=image {} udptl t38", ports[0].rtp)), "{told}");
    assert!(told.contains("a=T38FaxUdpEC:t38UDPRedundancy"), "{told}");
    bench.send(
        ALICE,
        &reply(&asked, 200, "", &format!("Contact: <sip:alice@{ALICE}>\n"), &fax("192.0.2.10", 4000)),
    );
    let answer = bench.response(BOB);
    let told = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(told.contains(&format!("m=image {} udptl t38", ports[1].rtp)), "{told}");
    assert_eq!((carried(&bench), bench.open_streams()), (vec![Content::Opaque], streams.clone()));
    bench.send(BOB, &with_sdp(&offer(3), &sdp("192.0.2.20", 6000)));
    let asked = bench.request(ALICE);
    bench.send(ALICE, &reply(&asked, 200, "", "", &sdp("192.0.2.10", 4000)));
    assert_eq!((carried(&bench), bench.open_streams()), (vec![Content::Opaque, Content::Rtp], streams));
}

#[test]
fn a_call_that_comes_by_a_trunk_is_recorded_for_its_sake() {
    for record in [Record::Never, Record::Always] {
        let Ok(Uri::Sip(server)) = "sip:198.51.100.9:5060".parse::<Uri>() else { panic!() };
        let mut bench = Bench::with(|config| {
            config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
            config.trunks.push(Trunk {
                networks: vec!["198.51.100.9/32".parse().unwrap()],
                numbers: vec!["+49301234567".into()],
                record,
                ..Trunk::new("carrier", server, TrunkAuth::Address)
            });
        });
        bench.account("bob", Some("+49301234567"));
        bench.register("bob", BOB);
        let sdp_of_carrier = sdp("198.51.100.9", 4000);
        let invite = request("INVITE", "sip:+49301234567@example.com", "eve", CARRIER, "", &sdp_of_carrier)
            .replace("sip:eve@example.com", "sip:+498955501@carrier.example");
        bench.send(CARRIER, &invite);
        let got = bench.request(BOB);
        let contact = format!("Contact: <sip:bob@{BOB}>\n");
        bench.send(BOB, &reply(&got, 200, "b", &contact, &sdp("192.0.2.20", 6000)));
        assert!(bench.codes(CARRIER).contains(&200));
        let is_told = |event: &Event| matches!(event, Event::Recording { what: Ok(_), .. });
        let told = bench.events.iter().filter(|event| is_told(event)).count();
        assert_eq!(told, usize::from(record == Record::Always));
    }
}
