//! Phones that keep connections open: TLS, browsers, several flows (RFC 5626), one device of several (RFC 5627), sips.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, invite};
use bench::{Bench, raw, register, reply, request};
use offhook_exchange::config::{Authentication, Config, Listener};
use offhook_exchange::event::Event;
use offhook_exchange::io::{Input, StoreRequest};
use offhook_media::stun::{self, Class, Method, Writer};
use offhook_sip::{Message, Name, Request, Response};
use offhook_sip_stack::{ConnectionId, Flow, Transport};

const BROWSER: &str = "198.51.100.7:50001";
const DESK: &str = "198.51.100.8:50002";
/// RFC 8489 §14.2
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const DEVICE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000000000001>\"";

fn open(config: &mut Config) {
    config.authentication = Authentication::Off;
    let address = "192.0.2.1:5061".parse().unwrap();
    config.listeners.push(Listener { transport: Transport::Tls, address });
}

fn way(transport: Transport, remote: &str, connection: u64) -> Flow {
    let port = if transport == Transport::Tls { 5061 } else { 8443 };
    Flow {
        transport,
        local: format!("192.0.2.1:{port}").parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: Some(ConnectionId(connection)),
    }
}

/// A REGISTER of bob's as it comes over a connection.
fn registration(flow: &Flow, number: u32, headers: &str) -> String {
    register("bob", "x4kfj2.invalid", headers)
        .replace("SIP/2.0/UDP", &format!("SIP/2.0/{}", flow.transport.via_name()))
        .replace("regbob1", &format!("regbob{number}"))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

fn enrol(bench: &mut Bench, flow: Flow, number: u32, headers: &str) -> Response {
    bench.send_on(flow, &registration(&flow, number, headers));
    let answer = bench.response(&flow.remote.to_string());
    assert_eq!(answer.status().code(), 200, "{:?}", String::from_utf8_lossy(answer.reason()));
    answer
}

fn contact(more: &str) -> String {
    format!("Contact: <sip:bob@x4kfj2.invalid;transport=ws>;{DEVICE}{more}\n")
}

/// What goes to a phone, with the way it goes.
fn next(bench: &mut Bench, remote: &str) -> (Flow, Request) {
    let mut all = bench.take_with_way(remote);
    match (all.len(), all.pop()) {
        (1, Some((flow, Message::Request(request)))) => (flow, request),
        (count, other) => panic!("{count} {other:?}"),
    }
}

#[test]
fn a_browser_is_called_on_its_connection_and_each_side_sees_its_own_transport() {
    let mut bench = Bench::with(open);
    let flow = way(Transport::Wss, BROWSER, 7);
    enrol(&mut bench, flow, 1, "Contact: <sip:bob@x4kfj2.invalid;transport=ws>\n");
    bench.send(ALICE, &invite(""));
    let (taken, got) = next(&mut bench, BROWSER);
    assert_eq!(taken, flow);
    assert_eq!(got.uri_bytes(), b"sip:bob@x4kfj2.invalid;transport=ws");
    assert!(raw(&got, Name::Via).starts_with("SIP/2.0/WSS 192.0.2.1:8443;"), "{}", raw(&got, Name::Via));
    let routes: Vec<String> = got.record_routes().map(|one| one.unwrap().uri.to_string()).collect();
    assert!(routes[0].starts_with("sip:192.0.2.1:8443;transport=wss;lr;"), "{routes:?}");
    assert!(routes[1].starts_with("sip:192.0.2.1:5060;transport=udp;lr;"), "{routes:?}");

    bench.send_on(flow, &reply(&got, 200, "b", "Contact: <sip:bob@x4kfj2.invalid;transport=ws>\n", ""));
    bench.take(ALICE);
    // Each sends along its route; what comes goes to the other's connection or address.
    let bye = |from: &str, uri: &str, tags: (&str, &str), route: [&str; 2], via: &str| {
        format!(
            "BYE {uri} SIP/2.0\nVia: SIP/2.0/{via};branch=z9hG4bKbye{from}\nMax-Forwards: 70\n\
             From: <sip:{from}@example.com>;tag={}\nTo: <sip:x@example.com>;tag={}\nCall-ID: {}\nCSeq: 9 BYE\n\
             Route: <{}>, <{}>\nContent-Length: 0\n\n",
            tags.0,
            tags.1,
            got.call_id().unwrap(),
            route[0],
            route[1]
        )
    };
    let caller = got.from_tag().unwrap();
    let uri = "sip:bob@x4kfj2.invalid;transport=ws";
    bench.send(ALICE, &bye("alice", uri, (caller, "b"), [&routes[1], &routes[0]], &format!("UDP {ALICE}")));
    let (back, got_bye) = next(&mut bench, BROWSER);
    assert_eq!((back.transport, back.remote), (flow.transport, flow.remote));
    assert!(!got_bye.has(Name::Route));
    let uri = format!("sip:alice@{ALICE}");
    let via = "WSS x4kfj2.invalid";
    bench.send_on(flow, &bye("bob", &uri, ("b", caller), [&routes[0], &routes[1]], via));
    assert_eq!(next(&mut bench, ALICE).0.transport, Transport::Udp);
}

#[test]
fn who_lost_its_connection_is_not_registered_any_more() {
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut bench = Bench::with(open);
        let flow = way(transport, BROWSER, 7);
        enrol(&mut bench, flow, 1, "Contact: <sip:bob@198.51.100.7:50001;transport=tls>\n");
        bench.stored.clear();
        bench.input(Input::FlowFailed(flow));
        let StoreRequest::Bindings(_, left) = &bench.stored[0];
        assert!(left.0.is_empty(), "{left:?}");
        bench.send(ALICE, &invite(""));
        assert_eq!(bench.codes(ALICE).last(), Some(&480), "and the caller does not wait");
    }
}

#[test]
fn outbound_is_granted_on_connections_and_kept_to_flows() {
    let mut bench = Bench::with(open);
    let headers = |id: u32| format!("{}Supported: path, outbound\n", contact(&format!(";reg-id={id}")));
    let answer = enrol(&mut bench, way(Transport::Wss, BROWSER, 1), 1, &headers(1));
    assert_eq!(answer.require().collect::<Vec<_>>(), ["outbound"]);
    assert_eq!(raw(&answer, Name::FlowTimer), "120");
    let answer = enrol(&mut bench, way(Transport::Tls, DESK, 2), 2, &headers(2));
    assert_eq!(answer.contacts().unwrap().list().len(), 2, "a binding for each flow");
    let answer = enrol(&mut bench, way(Transport::Tls, DESK, 3), 3, &headers(2));
    assert_eq!(answer.contacts().unwrap().list().len(), 2, "the same flow again");

    let plain = enrol(&mut bench, way(Transport::Wss, BROWSER, 1), 4, &contact(";reg-id=1"));
    assert_eq!(plain.require().count(), 0, "it does not know what that means");
}

#[test]
fn over_udp_it_is_granted_too_for_there_are_questions_by_stun_answered() {
    let mut bench = Bench::with(open);
    let phone = "198.51.100.8:50002";
    let headers = format!("{}Supported: path, outbound\n", contact(";reg-id=1").replace("ws", "udp"));
    bench.send(phone, &register("bob", "198.51.100.8:50002", &headers));
    let answer = bench.response(phone);
    assert_eq!(answer.require().collect::<Vec<_>>(), ["outbound"]);
    assert_eq!(raw(&answer, Name::FlowTimer), "29");

    let udp = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: phone.parse().unwrap(),
        connection: None,
    };
    let asked = Writer::new(Class::Request, Method::Binding, [7; 12]);
    let ask = |bench: &mut Bench, bytes: Vec<u8>| {
        bench.input(Input::Datagram { flow: udp, bytes: bytes.into() });
        std::mem::take(&mut bench.sent)
    };
    let told = ask(&mut bench, asked.finish());
    assert_eq!(told[0].0, udp);
    let told = stun::Message::parse(&told[0].1).unwrap();
    assert_eq!((told.class(), told.transaction()), (Class::Success, [7; 12]));
    assert_eq!(told.address(XOR_MAPPED_ADDRESS), Ok(Some(udp.remote)));

    let unknown = Writer::new(Class::Request, Method::Binding, [8; 12]).number(0x7000, 1);
    let told = ask(&mut bench, unknown.finish());
    assert_eq!(stun::Message::parse(&told[0].1).unwrap().class(), Class::Error);
    let indication = Writer::new(Class::Indication, Method::Binding, [9; 12]);
    assert!(ask(&mut bench, indication.finish()).is_empty());
    let others = Writer::new(Class::Request, Method::Allocate, [9; 12]);
    assert!(ask(&mut bench, others.finish()).is_empty());
    let is_dropped = |event: &Event| matches!(event, Event::Dropped { .. });
    assert_eq!(bench.events.iter().filter(|event| is_dropped(event)).count(), 1, "signs of life are none");
}

#[test]
fn a_proxy_next_to_the_phone_that_knows_no_outbound_is_439() {
    let mut bench = Bench::with(open);
    let flow = way(Transport::Tls, DESK, 1);
    for (number, (path, code)) in
        [("Path: <sip:edge.example;lr>\n", 439), ("Path: <sip:edge.example;lr;ob>\n", 200), ("", 200)]
            .into_iter()
            .enumerate()
    {
        let headers = format!("{}Supported: path, outbound\n{path}", contact(";reg-id=1"));
        bench.send_on(flow, &registration(&flow, number as u32 + 1, &headers));
        assert_eq!(bench.codes(DESK), [code as u16], "{path}");
    }
}

#[test]
fn of_several_flows_one_is_tried_and_the_next_when_it_fails() {
    let headers = |id: u32| format!("{}Supported: outbound\n", contact(&format!(";reg-id={id}")));
    let (old, new) = (way(Transport::Wss, BROWSER, 1), way(Transport::Tls, DESK, 2));
    for by_answer in [true, false] {
        let mut bench = Bench::with(open);
        enrol(&mut bench, old, 1, &headers(1));
        enrol(&mut bench, new, 2, &headers(2));
        bench.send(ALICE, &invite(""));
        let (flow, got) = next(&mut bench, DESK);
        assert_eq!(flow, new, "the newest first");
        assert!(bench.take(BROWSER).is_empty());
        match by_answer {
            true => bench.send_on(new, &reply(&got, 430, "x", "", "")),
            false => bench.input(Input::FlowFailed(new)),
        }
        bench.take(DESK);
        let (flow, got) = next(&mut bench, BROWSER);
        assert_eq!(flow, old);
        bench.send_on(old, &reply(&got, 430, "y", "", ""));
        assert_eq!(bench.codes(ALICE).last(), Some(&480), "there are no more");
    }
}

#[test]
fn a_gruu_leads_to_its_device_alone_and_nowhere_when_that_is_gone() {
    let mut bench = Bench::with(open);
    let flow = way(Transport::Wss, BROWSER, 1);
    let answer = enrol(&mut bench, flow, 1, &format!("{}Supported: gruu\n", contact("")));
    enrol(&mut bench, way(Transport::Tls, DESK, 2), 2, "Contact: <sip:bob@198.51.100.8;transport=tls>\n");
    let contacts = answer.contacts().unwrap();
    let one = &contacts.list()[0];
    let gruu = |name: &str| one.params().unescaped(name).unwrap().into_owned();
    let public = "sip:bob@example.com;gr=urn:uuid:00000000-0000-1000-8000-000000000001";
    assert_eq!(gruu("pub-gruu"), public);
    let temporary = gruu("temp-gruu");
    assert!(!temporary.contains("bob"));
    for (number, target) in [public, &temporary].into_iter().enumerate() {
        let text =
            request("MESSAGE", target, "alice", ALICE, "", "").replace("alice1", &format!("a{number}"));
        bench.send(ALICE, &text.replace("call-alice", &format!("call-{number}")));
        let (taken, got) = next(&mut bench, BROWSER);
        assert_eq!((taken, got.uri_bytes()), (flow, &b"sip:bob@x4kfj2.invalid;transport=ws"[..]));
        assert!(bench.take(DESK).is_empty());
    }
    bench.input(Input::FlowFailed(flow));
    bench.take(ALICE);
    bench.send(ALICE, &request("OPTIONS", public, "alice", ALICE, "", ""));
    assert_eq!(bench.codes(ALICE), [480]);
}

#[test]
fn a_phone_that_came_back_on_another_connection_is_found_by_its_gruu_in_a_call() {
    let mut bench = Bench::with(open);
    let first = way(Transport::Wss, BROWSER, 1);
    enrol(&mut bench, first, 1, &format!("{}Supported: gruu\n", contact("")));
    bench.send(ALICE, &invite(""));
    let (_, got) = next(&mut bench, BROWSER);
    let public = "sip:bob@example.com;gr=urn:uuid:00000000-0000-1000-8000-000000000001";
    bench.send_on(first, &reply(&got, 200, "b", &format!("Contact: <{public}>\n"), ""));
    bench.take(ALICE);
    bench.input(Input::FlowFailed(first));
    let moved = "198.51.100.7:50009";
    let second = way(Transport::Wss, moved, 2);
    enrol(&mut bench, second, 2, &format!("{}Supported: gruu\n", contact("")));
    bench.send(ALICE, &bye(public, &got));
    let (taken, got) = next(&mut bench, moved);
    assert_eq!((taken, got.uri_bytes()), (second, &b"sip:bob@x4kfj2.invalid;transport=ws"[..]));
}

/// Alice hangs up on somebody at `target`, of whose INVITE this is.
fn bye(target: &str, got: &Request) -> String {
    let routes: Vec<String> = got.record_routes().map(|one| one.unwrap().to_string()).collect();
    format!(
        "BYE {target} SIP/2.0\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bKbye\nMax-Forwards: 70\n\
         From: <sip:alice@example.com>;tag={}\nTo: <sip:bob@example.com>;tag=b\nCall-ID: {}\nCSeq: 9 BYE\n\
         Route: {}\nRoute: {}\nContent-Length: 0\n\n",
        got.from_tag().unwrap(),
        got.call_id().unwrap(),
        routes[1],
        routes[0]
    )
}

#[test]
fn a_phone_that_has_moved_is_found_by_its_contact_and_one_of_another_account_is_not() {
    const AWAY: &str = "203.0.113.7:50009";
    for (registers, reached) in [("bob", AWAY), ("carol", BROWSER)] {
        let mut bench = Bench::with(open);
        let first = way(Transport::Wss, BROWSER, 1);
        enrol(&mut bench, first, 1, &contact(""));
        bench.send(ALICE, &invite(""));
        let (_, got) = next(&mut bench, BROWSER);
        let at = "sip:bob@x4kfj2.invalid;transport=ws";
        bench.send_on(first, &reply(&got, 200, "b", &format!("Contact: <{at}>\n"), ""));
        bench.take(ALICE);
        // From another network, and its Contact is the same or another, as it likes.
        let second = way(Transport::Wss, AWAY, 2);
        let elsewhere = at.replace("x4kfj2", "another");
        let text = registration(&second, 2, &format!("Contact: <{elsewhere}>\n"));
        bench.send_on(second, &text.replace("sip:bob@example.com", &format!("sip:{registers}@example.com")));
        assert_eq!(bench.codes(AWAY), [200]);
        bench.send(ALICE, &bye(&elsewhere, &got));
        let (_, taken) = next(&mut bench, reached);
        assert_eq!(taken.uri_bytes(), elsewhere.as_bytes(), "{registers}");
    }
}

#[test]
fn a_sips_request_stays_on_tls_or_goes_nowhere() {
    let mut bench = Bench::with(open);
    let caller = way(Transport::Tls, "203.0.113.5:40000", 9);
    let flow = way(Transport::Tls, DESK, 2);
    let ask = |number: u32| {
        request("INVITE", "sips:bob@example.com", "alice", "203.0.113.5:40000", "", "")
            .replace("SIP/2.0/UDP", "SIP/2.0/TLS")
            .replace("INVITEalice1", &format!("a{number}"))
            .replace("call-alice", &format!("call-{number}"))
    };
    enrol(&mut bench, flow, 1, "Contact: <sip:bob@198.51.100.8;transport=tls>\n");
    bench.send_on(caller, &ask(1));
    assert_eq!(bench.codes("203.0.113.5:40000").last(), Some(&480), "it did not say sips");
    enrol(&mut bench, flow, 2, "Contact: <sips:bob@198.51.100.8>\n");
    bench.send_on(caller, &ask(2));
    let (taken, got) = next(&mut bench, DESK);
    assert_eq!((taken, got.uri_bytes()), (flow, &b"sips:bob@198.51.100.8"[..]));
    assert!(raw(&got, Name::RecordRoute).starts_with("<sips:192.0.2.1:5061;transport=tcp;lr;"));
    bench.send(ALICE, &ask(3).replace("SIP/2.0/TLS", "SIP/2.0/UDP"));
    assert_eq!(bench.codes(ALICE), [416]);
}
