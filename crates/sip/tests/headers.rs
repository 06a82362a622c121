//! Typed access to the headers that the torture messages do not show.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{
    CSeq, Contact, Contacts, Message, Method, Name, NameAddr, ParseErrorKind, RAck, Refresher, Replaces,
    Request, SessionExpires, Substate, Uri,
};

/// A request with these lines after the mandatory ones.
fn with(lines: &str) -> Request {
    let text = format!(
        "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: x\r\n\
         CSeq: 4294967295 OPTIONS\r\n{lines}\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap().as_request().unwrap().clone()
}

#[test]
fn numbers_read_and_say_what_is_wrong_with_them() {
    assert_eq!(with("").cseq(), Ok(CSeq { number: u32::MAX, method: Method::Options }));
    assert_eq!((with("Max-Breadth: 60").max_breadth(), with("").max_breadth()), (Ok(Some(60)), Ok(None)));
    assert_eq!((with("RSeq: 1").rseq(), with("Min-Expires: 90").min_expires()), (Ok(Some(1)), Ok(Some(90))));
    let kind = |lines: &str| with(lines).rseq().unwrap_err().kind;
    assert_eq!(kind("RSeq: 4294967296"), ParseErrorKind::OutOfRange(Name::RSeq));
    assert_eq!(kind("RSeq: -1"), ParseErrorKind::Malformed(Name::RSeq));
    assert_eq!(with("RSeq: x").rseq().unwrap_err().to_string(), "RSeq malformed");
}

#[test]
fn expiries_that_cannot_be_read_are_an_hour() {
    assert_eq!((with("Expires: 60").expires(), with("").expires()), (Some(60), None));
    assert_eq!(
        (with("Expires: 99999999999").expires(), with("Expires: soon").expires()),
        (Some(3600), Some(3600))
    );
}

#[test]
fn retry_after_reads_without_comment_and_parameters() {
    for text in ["120", "120 (in a meeting)", "120;duration=60", "120\t;x"] {
        assert_eq!(with(&format!("Retry-After: {text}")).retry_after(), Ok(Some(120)), "{text}");
    }
    assert!(with("Retry-After: 12x").retry_after().is_err());
}

#[test]
fn contacts_are_a_list_or_a_star_alone() {
    assert_eq!(with("m: *").contacts(), Ok(Contacts::Star));
    assert_eq!(with("").contacts(), Ok(Contacts::List(Vec::new())));
    assert!(with("m: *\r\nm: <sip:a>").contacts().is_err());
    assert!(with("m: *, *").contacts().is_err());
    let request = with(
        "Contact: \"a, b\" <sip:a@h;x=1>;q=0.7;expires=60;+sip.instance=\"<urn:uuid:0>\";reg-id=2, <sip:b@h>\r\n\
         m: sip:c@h;expires=x",
    );
    let contacts = request.contacts().unwrap();
    let [a, b, c] = contacts.list() else { panic!("{contacts:?}") };
    assert_eq!((a.q(), a.expires(), a.reg_id()), (Some(700), Some(60), Some(2)));
    assert_eq!((a.instance().as_deref(), &*a.address.display_name()), (Some("<urn:uuid:0>"), &b"a, b"[..]));
    assert_eq!((b.q(), b.expires(), b.instance()), (None, None, None));
    assert_eq!((c.uri().to_string().as_str(), c.expires()), ("sip:c@h", Some(3600)));
}

#[test]
fn a_made_contact_prints() {
    let uri: Uri = "sip:a@h".parse().unwrap();
    let made =
        Contact::new(uri).with_param("expires", Some("60")).with_param("+sip.instance", Some("<urn:uuid:0>"));
    assert_eq!(made.to_string(), "<sip:a@h>;expires=60;+sip.instance=\"<urn:uuid:0>\"");
}

#[test]
fn routes_come_in_order_from_all_lines() {
    let request = with("Route: <sip:a;lr>,<sip:b;lr>\r\nSupported: x\r\nRoute: <sip:c;lr>");
    let routes: Vec<_> = request.routes().map(|route| route.unwrap().uri.to_string()).collect();
    assert_eq!(routes, ["sip:a;lr", "sip:b;lr", "sip:c;lr"]);
    assert!(with("Path: <sip:a>, b").paths().nth(1).unwrap().is_err());
    assert_eq!(with("Service-Route: <sip:a>").service_routes().count(), 1);
    assert_eq!(with("P-Asserted-Identity: <sip:a@h>, <tel:+1>").p_asserted_identity().flatten().count(), 2);
}

#[test]
fn option_tags_come_from_all_lines_in_full_or_compact_form() {
    let request = with("k: timer,, 100rel\r\nSupported: path\r\nRequire: replaces\r\nAllow: INVITE,ACK");
    assert_eq!(request.supported().collect::<Vec<_>>(), ["timer", "100rel", "path"]);
    assert!(request.supports("100REL") && request.supports("replaces") && !request.supports("gruu"));
    assert_eq!(request.allow().collect::<Vec<_>>(), ["INVITE", "ACK"]);
    assert_eq!(with("k: ").supported().count(), 0);
}

#[test]
fn session_timers_read_and_print() {
    let read = with("x: 1800 ; refresher=UAS").session_expires().unwrap().unwrap();
    assert_eq!(read, SessionExpires { seconds: 1800, refresher: Some(Refresher::Uas) });
    assert_eq!(read.to_string(), "1800;refresher=uas");
    assert_eq!(with("Min-SE: 90;x=y").min_se(), Ok(Some(90)));
    assert!(with("Session-Expires: x").session_expires().is_err());
}

#[test]
fn rack_reads_and_prints() {
    let read = with("RAck: 776656  1 INVITE").rack().unwrap().unwrap();
    assert_eq!(read, RAck { rseq: 776_656, cseq: 1, method: Method::Invite });
    assert_eq!(read.to_string(), "776656 1 INVITE");
    for bad in ["776656", "1 1", "1 1INVITE", "11 INVITE", "1 4294967296 INVITE"] {
        assert!(with(&format!("RAck: {bad}")).rack().is_err(), "{bad}");
    }
}

#[test]
fn replaces_reads_from_the_header_and_from_refer_to() {
    let expected = Replaces {
        call_id: "98732@sip.example.com".into(),
        to_tag: "t".into(),
        from_tag: "f".into(),
        early_only: true,
    };
    let text = "98732@sip.example.com;from-tag=f;to-tag=t;early-only";
    assert_eq!(with(&format!("Replaces: {text}")).replaces(), Ok(Some(expected.clone())));
    let refer =
        with("r: <sip:b@h?Replaces=98732%40sip.example.com%3Bfrom-tag%3Df%3Bto-tag%3Dt%3Bearly-only>");
    let header = refer.refer_to().unwrap().unwrap().uri.as_sip().unwrap().header("Replaces").unwrap();
    assert_eq!(Replaces::parse(header.into()), Ok(expected.clone()));
    assert_eq!(Replaces::parse(expected.to_string().into()), Ok(expected));
    assert!(with("Replaces: x;to-tag=t").replaces().is_err());
}

#[test]
fn events_and_subscription_states_read() {
    let event = with("o: dialog;id=7;sla").event().unwrap().unwrap();
    assert_eq!(
        (event.package.as_str(), event.id(), event.to_string().as_str()),
        ("dialog", Some("7"), "dialog;id=7;sla")
    );
    let state = with("Subscription-State: Terminated;reason=timeout;retry-after=5").subscription_state();
    let state = state.unwrap().unwrap();
    assert_eq!(state.state, Substate::Terminated);
    assert_eq!((state.reason(), state.retry_after(), state.expires()), (Some("timeout"), Some(5), None));
    let state = with("Subscription-State: dormant;expires=9").subscription_state().unwrap().unwrap();
    assert_eq!((state.state, state.params.number("expires")), (Substate::Other("dormant".into()), Some(9)));
}

#[test]
fn media_types_compare_without_case_and_white_space() {
    let read = with("c: Application / SDP ; charset=\"x\"").content_type().unwrap().unwrap();
    assert!(read.is("application/sdp") && !read.is("application/sd"));
    assert_eq!(read.params.get("charset"), Some("x"));
    let accept: Vec<_> = with("Accept: text/*;q=0.5, */*").accept().map(Result::unwrap).collect();
    assert!(accept[0].covers("text/plain") && !accept[0].covers("application/sdp"));
    assert!(accept[1].covers("application/sdp"));
    assert!(with("c: text").content_type().is_err());
}

#[test]
fn errors_point_into_the_message() {
    let request = with("Contact: <sip:ok>, <sip:bad host>");
    let error = request.contacts().unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Malformed(Name::Contact));
    assert_eq!(&request.bytes()[error.at..error.at + 5], b" host");
}

#[test]
fn typed_values_outlive_the_message_they_came_from() {
    let value: NameAddr = {
        let request = with("");
        request.from().unwrap().detach()
    };
    assert_eq!(value.to_string(), "<sip:a@h>;tag=f");
}

#[test]
fn folded_values_print_on_one_line() {
    let request = with("Route: \"a\r\n b\" <sip:c>\r\n ;x=\"y\r\n z\"");
    assert_eq!(request.routes().next().unwrap().unwrap().to_string(), "\"a   b\" <sip:c>   ;x=\"y   z\"");
}
