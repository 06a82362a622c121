use bytes::Bytes;
use offhook_sip::Message;
use offhook_sip_stack::{ConnectionId, Transport};

use super::*;
use crate::config::Key;

const NOW: u64 = 1_000_000;

fn request(contacts: &str, cseq: u32) -> Request {
    from("192.0.2.10:5060", contacts, cseq)
}

fn from(sent_by: &str, headers: &str, cseq: u32) -> Request {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         To: <sip:alice@example.com>\r\nFrom: <sip:alice@example.com>;tag=1\r\nCall-ID: one\r\n\
         CSeq: {cseq} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    match Message::parse(Bytes::from(text)).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!(),
    }
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.10:5060".parse().unwrap(),
        connection: None,
    }
}

fn config() -> Config {
    Config::new(vec!["example.com".into()], Key([1; 32]))
}

fn run(request: &Request, present: &[Binding]) -> Result<Vec<Binding>, Refusal> {
    let (bindings, _) = register(request, &flow(), Bindings(present.to_vec()), &config(), NOW)?;
    Ok(bindings.0)
}

#[test]
fn each_contact_gets_its_own_expiry_and_preference() {
    let headers =
        "Contact: <sip:a@192.0.2.10>;q=0.5;expires=600, <sip:b@192.0.2.10:5070>\r\nExpires: 120\r\n";
    let bindings = run(&request(headers, 1), &[]).unwrap();
    assert_eq!(bindings[0].expires_at, NOW + 600);
    assert_eq!(bindings[0].q, 500);
    assert_eq!(bindings[1].expires_at, NOW + 120);
    assert_eq!(bindings[1].q, 1000);
    assert_eq!(bindings[1].flow.remote, "192.0.2.10:5070".parse::<std::net::SocketAddr>().unwrap());
}

#[test]
fn too_short_an_expiry_is_refused_with_the_least_one_and_changes_nothing() {
    let refusal = run(&request("Contact: <sip:a@192.0.2.10>;expires=5\r\n", 1), &[]).unwrap_err();
    assert_eq!(refusal.status, Status::INTERVAL_TOO_BRIEF);
    let answer = refusal.response(&request("", 1), "t");
    assert_eq!(answer.min_expires(), Ok(Some(60)));
}

#[test]
fn an_equivalent_contact_is_refreshed_and_zero_removes_it() {
    let present = run(&request("Contact: <sip:a@192.0.2.10;transport=udp>\r\n", 1), &[]).unwrap();
    let again =
        run(&request("Contact: <sip:%61@192.0.2.10;Transport=UDP>;expires=60\r\n", 2), &present).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].expires_at, NOW + 60);
    let gone = run(&request("Contact: <sip:a@192.0.2.10;transport=udp>;expires=0\r\n", 3), &again).unwrap();
    assert!(gone.is_empty());
}

#[test]
fn an_old_request_under_the_same_call_id_changes_nothing() {
    let present = run(&request("Contact: <sip:a@192.0.2.10>\r\n", 5), &[]).unwrap();
    let refusal = run(&request("Contact: <sip:a@192.0.2.10>;expires=0\r\n", 5), &present).unwrap_err();
    assert_eq!(refusal.status, Status::SERVER_INTERNAL_ERROR);
}

#[test]
fn star_removes_everything_and_only_with_expires_zero() {
    let present = run(&request("Contact: <sip:a@192.0.2.10>, <sip:b@192.0.2.10>\r\n", 1), &[]).unwrap();
    assert!(run(&request("Contact: *\r\n", 2), &present).is_err());
    assert!(run(&request("Contact: *\r\nExpires: 60\r\n", 2), &present).is_err());
    assert!(run(&request("Contact: *\r\nExpires: 0\r\n", 2), &present).unwrap().is_empty());
}

#[test]
fn a_question_changes_nothing_and_is_answered_with_what_is_there() {
    let present = run(&request("Contact: <sip:a@192.0.2.10>;expires=90;q=0.2\r\n", 1), &[]).unwrap();
    let question = request("", 2);
    assert_eq!(run(&question, &present).unwrap(), present);
    let answer = accepted(&question, &present, &Granted::default(), NOW + 30, "t");
    let contacts = answer.contacts().unwrap();
    assert_eq!(contacts.list()[0].expires(), Some(60));
    assert_eq!(contacts.list()[0].q(), Some(200));
    assert_eq!(
        accepted(&question, &present, &Granted::default(), NOW + 90, "t").contacts().unwrap().list().len(),
        0
    );
}

#[test]
fn one_more_contact_than_allowed_takes_the_place_of_the_one_that_ends_first() {
    let mut limited = config();
    limited.registrar.max_contacts = 2;
    let mut present = Vec::new();
    for (n, expires) in [(1, 500), (2, 100), (3, 300)] {
        let request = request(&format!("Contact: <sip:a@192.0.2.10:{n}>;expires={expires}\r\n"), n);
        present = register(&request, &flow(), Bindings(present), &limited, NOW).unwrap().0.0;
    }
    let left: Vec<_> = present.iter().map(|one| one.contact.as_str()).collect();
    assert_eq!(left, ["sip:a@192.0.2.10:1", "sip:a@192.0.2.10:3"]);
    let three = request("Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>\r\n", 9);
    assert_eq!(
        register(&three, &flow(), Bindings::default(), &limited, NOW).unwrap_err().status,
        Status::FORBIDDEN
    );
}

#[test]
fn the_same_device_replaces_its_flow_whatever_the_contact() {
    let contact = |port: u16| {
        format!(
            "Contact: <sip:a@192.0.2.10:{port}>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\nSupported: path\r\n"
        )
    };
    let present = run(&request(&contact(1111), 1), &[]).unwrap();
    let moved = run(&request(&contact(2222), 2), &present).unwrap();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].contact, "sip:a@192.0.2.10:2222");
}

#[test]
fn behind_a_nat_the_flow_is_the_way() {
    let request = from("10.0.0.5:5060", "Contact: <sip:a@10.0.0.5:5060>\r\n", 1);
    let binding = &run(&request, &[]).unwrap()[0];
    assert!(binding.behind_nat);
    assert_eq!(binding.flow, flow());
}

#[test]
fn a_connection_is_used_again() {
    let flow = Flow { transport: Transport::Tcp, connection: Some(ConnectionId(4)), ..flow() };
    let request = from("192.0.2.10:5099", "Contact: <sip:a@192.0.2.10:5099;transport=tcp>\r\n", 1);
    let (bindings, _) = register(&request, &flow, Bindings::default(), &config(), NOW).unwrap();
    assert_eq!(bindings.0[0].flow, flow);
}

#[test]
fn a_path_is_kept_and_echoed_but_only_for_those_who_know_it() {
    let with =
        request("Contact: <sip:a@192.0.2.99>\r\nPath: <sip:p1;lr>, <sip:p2;lr>\r\nSupported: path\r\n", 1);
    let bindings = run(&with, &[]).unwrap();
    assert_eq!(bindings[0].path, ["<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!(bindings[0].flow, flow());
    assert_eq!(accepted(&with, &bindings, &Granted::default(), NOW, "t").paths().count(), 2);
    let without = request("Contact: <sip:a@192.0.2.99>\r\nPath: <sip:p1;lr>\r\n", 1);
    assert_eq!(run(&without, &[]).unwrap_err().status, Status::EXTENSION_REQUIRED);
}

#[test]
fn a_contact_that_is_no_sip_address_is_refused() {
    assert_eq!(run(&request("Contact: <mailto:a@b>\r\n", 1), &[]).unwrap_err().status, Status::BAD_REQUEST);
}
