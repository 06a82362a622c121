//! Every message of RFC 4475 and RFC 5118, and what an element does with it as far as the message itself
//! decides. Data files are the exact bytes of the RFCs' archives.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{
    Algorithm, Contacts, Frame, FrameErrorKind, Framer, Host, Message, Method, Name, ParseErrorKind,
    RejectedRequest, Request, Response, Status, Transport, Uri, scan,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What becomes of the bytes when they come in one datagram.
#[derive(Debug, PartialEq)]
enum Fate {
    Accepted,
    /// Answered with this status; the phrase is the reason if the status is 400.
    Answered(u16, String),
    Dropped,
}

use Fate::{Accepted, Dropped};

fn answered(status: u16, phrase: &str) -> Fate {
    Fate::Answered(status, phrase.to_owned())
}

fn fates() -> Vec<(&'static str, Fate)> {
    vec![
        ("rfc4475/wsinv", Accepted),
        ("rfc4475/intmeth", Accepted),
        ("rfc4475/esc01", Accepted),
        ("rfc4475/escnull", Accepted),
        ("rfc4475/esc02", Accepted),
        ("rfc4475/lwsdisp", Accepted),
        ("rfc4475/longreq", Accepted),
        ("rfc4475/dblreq", Accepted),
        ("rfc4475/semiuri", Accepted),
        ("rfc4475/transports", Accepted),
        ("rfc4475/mpart01", Accepted),
        ("rfc4475/unreason", Accepted),
        ("rfc4475/noreason", Accepted),
        ("rfc4475/badinv01", answered(400, "Via malformed")),
        ("rfc4475/clerr", answered(400, "Content-Length larger than the body")),
        ("rfc4475/ncl", answered(400, "Content-Length malformed")),
        ("rfc4475/scalar02", answered(400, "CSeq number out of range")),
        ("rfc4475/scalarlg", Dropped),
        ("rfc4475/quotbal", answered(400, "To malformed")),
        ("rfc4475/ltgtruri", answered(400, "Request-URI malformed")),
        ("rfc4475/lwsruri", answered(400, "Start line malformed")),
        ("rfc4475/lwsstart", answered(400, "Start line malformed")),
        ("rfc4475/trws", answered(400, "Start line malformed")),
        ("rfc4475/escruri", answered(400, "Request-URI malformed")),
        ("rfc4475/baddate", Accepted),
        ("rfc4475/regbadct", Accepted),
        ("rfc4475/badaspec", answered(400, "To malformed")),
        ("rfc4475/baddn", answered(400, "Header has no end")),
        ("rfc4475/badvers", answered(505, "Version Not Supported")),
        ("rfc4475/mismatch01", answered(400, "CSeq method is not the request's")),
        ("rfc4475/mismatch02", answered(501, "Not Implemented")),
        ("rfc4475/bigcode", Dropped),
        ("rfc4475/badbranch", Accepted),
        ("rfc4475/insuf", answered(400, "Call-ID missing")),
        ("rfc4475/unkscm", answered(416, "Unsupported URI Scheme")),
        ("rfc4475/novelsc", answered(416, "Unsupported URI Scheme")),
        ("rfc4475/unksm2", Accepted),
        ("rfc4475/bext01", Accepted),
        ("rfc4475/invut", Accepted),
        ("rfc4475/regaut01", Accepted),
        ("rfc4475/multi01", answered(400, "CSeq given more than once")),
        ("rfc4475/mcl01", answered(400, "Content-Length given more than once")),
        ("rfc4475/bcast", Accepted),
        ("rfc4475/zeromf", Accepted),
        ("rfc4475/cparam01", Accepted),
        ("rfc4475/cparam02", Accepted),
        ("rfc4475/regescrt", Accepted),
        ("rfc4475/sdp01", Accepted),
        ("rfc4475/inv2543", Accepted),
        ("rfc5118/ipv6-good", Accepted),
        ("rfc5118/ipv6-bad", answered(400, "Request-URI malformed")),
        ("rfc5118/port-ambiguous", Accepted),
        ("rfc5118/port-unambiguous", Accepted),
        ("rfc5118/via-received-param-with-delim", Accepted),
        ("rfc5118/via-received-param-no-delim", Accepted),
        ("rfc5118/ipv6-in-sdp", answered(400, "Content-Length larger than the body")),
        ("rfc5118/mult-ip-in-header", Accepted),
        ("rfc5118/mult-ip-in-sdp", Accepted),
        ("rfc5118/ipv4-mapped-ipv6", Accepted),
        ("rfc5118/ipv6-bug-abnf-3-colons", answered(400, "Request-URI malformed")),
        ("rfc5118/ipv6-correct-abnf-2-colons", Accepted),
        ("variants/baddn-with-blank-line", answered(400, "From malformed")),
        ("variants/ipv6-in-sdp-cl", Accepted),
        ("variants/mult-ip-in-sdp-cl", Accepted),
        ("variants/ipv4-mapped-ipv6-cl", Accepted),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn bytes(name: &str) -> Bytes {
    std::fs::read(folder().join(format!("{name}.dat"))).unwrap().into()
}

fn fate(bytes: &Bytes) -> Fate {
    let error = match Message::parse(bytes.clone()) {
        Ok(_) => return Accepted,
        Err(error) => error,
    };
    match RejectedRequest::salvage(bytes, error) {
        Some(rejected) => {
            let answer = rejected.response().finish();
            assert_eq!(answer.status(), error.status());
            Fate::Answered(answer.status().code(), String::from_utf8(answer.reason().to_vec()).unwrap())
        }
        None => Dropped,
    }
}

fn message(name: &str) -> Message {
    Message::parse(bytes(name)).unwrap()
}

fn request(name: &str) -> Request {
    match message(name) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("{name} is a response"),
    }
}

fn response(name: &str) -> Response {
    match message(name) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("{name} is a request"),
    }
}

fn list(contacts: Contacts) -> Vec<offhook_sip::Contact> {
    match contacts {
        Contacts::List(list) => list,
        Contacts::Star => panic!("star"),
    }
}

#[test]
fn every_message_meets_the_fate_that_the_rfc_expects() {
    for (name, expected) in fates() {
        assert_eq!(fate(&bytes(name)), expected, "{name}");
    }
}

#[test]
fn no_message_of_the_collection_is_left_out() {
    let known: Vec<String> = fates().iter().map(|(name, _)| format!("{name}.dat")).collect();
    assert_eq!(known.len(), 49 + 12 + 4);
    for part in ["rfc4475", "rfc5118", "variants"] {
        for file in std::fs::read_dir(folder().join(part)).unwrap() {
            let name = format!("{part}/{}", file.unwrap().file_name().to_string_lossy());
            assert!(known.contains(&name), "{name}");
        }
    }
}

#[test]
fn accepted_messages_print_as_they_came_and_read_the_same_again() {
    for (name, _) in fates().iter().filter(|(_, fate)| *fate == Accepted) {
        let received = bytes(name);
        let message = message(name);
        assert_eq!(message.bytes()[..], received[..message.bytes().len()], "{name}");
        let again = Message::parse(message.bytes().clone()).unwrap();
        assert_eq!(again, message, "{name}");
        assert!(again.headers().fields().eq(message.headers().fields()), "{name}");
    }
}

#[test]
fn forwarding_leaves_all_but_the_touched_lines_byte_for_byte() {
    for (name, _) in fates().iter().filter(|(_, fate)| *fate == Accepted) {
        let Message::Request(request) = message(name) else { continue };
        let via = "SIP/2.0/UDP proxy.example.com;branch=z9hG4bKfwd";
        let forwarded = request.edit().push_via(via).finish();
        let back = forwarded.edit().pop_via().finish();
        assert_eq!(back.bytes(), request.bytes(), "{name}");
        let reparsed = Message::parse(forwarded.bytes().clone()).unwrap();
        assert_eq!(reparsed.headers().via().unwrap().to_string(), via, "{name}");
        assert_eq!(reparsed.headers().body(), request.body(), "{name}");
    }
}

#[test]
fn scanning_agrees_with_parsing() {
    for (name, _) in fates().iter().filter(|(_, fate)| *fate == Accepted) {
        let (bytes, message) = (bytes(name), message(name));
        let headers = message.headers();
        assert_eq!(scan::is_response(&bytes), message.as_response().is_some(), "{name}");
        assert_eq!(scan::call_id(&bytes), headers.call_id().ok().map(str::as_bytes), "{name}");
        assert_eq!(scan::to_tag(&bytes), headers.to_tag().map(str::as_bytes), "{name}");
        let via = headers.via().unwrap();
        assert_eq!(scan::top_via_branch(&bytes), via.branch().map(str::as_bytes), "{name}");
        let method = message.as_request().map(|request| request.method().as_str().as_bytes());
        assert_eq!(scan::method(&bytes), method, "{name}");
    }
}

#[test]
fn over_a_stream_messages_are_cut_by_content_length() {
    for (name, fate) in fates() {
        let received = bytes(name);
        let mut framer = Framer::default();
        framer.push(&received);
        let first = framer.next_frame();
        match name {
            "rfc4475/clerr" | "rfc4475/baddn" | "rfc5118/ipv6-in-sdp" => {
                assert_eq!((first, framer.is_partial()), (Ok(None), true), "{name}");
            }
            "rfc4475/ncl" => assert_eq!(first.unwrap_err().kind, FrameErrorKind::BadContentLength),
            "rfc4475/mcl01" => assert_eq!(first.unwrap_err().kind, FrameErrorKind::ConflictingContentLength),
            "rfc4475/inv2543" => assert_eq!(first.unwrap_err().kind, FrameErrorKind::MissingContentLength),
            _ => match first {
                Ok(Some(Frame::Message(frame))) if fate == Accepted => {
                    assert_eq!(Message::parse(frame).unwrap(), message(name), "{name}");
                }
                Ok(Some(Frame::Message(_))) => {}
                other => panic!("{name}: {other:?}"),
            },
        }
    }
}

#[test]
fn wsinv_reads_through_its_white_space() {
    let request = request("rfc4475/wsinv");
    assert_eq!(request.method(), &Method::Invite);
    assert_eq!(request.max_forwards(), Ok(Some(68)));
    assert_eq!(request.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!((request.from_tag(), request.to_tag()), (Some("98asjd8"), Some("1918181833n")));
    assert_eq!(&*request.from().unwrap().display_name(), b"J Rosenberg \\\"");
    let vias: Vec<_> = request.vias().map(Result::unwrap).collect();
    assert_eq!(
        vias.iter().map(|via| via.branch().unwrap()).collect::<Vec<_>>(),
        ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    );
    assert!(!vias[0].has_cookie(), "matched by the rules of RFC 2543");
    assert_eq!(request.raw_other("UnknownHeaderWithUnusualValue"), Some(&b";;,,;;,;"[..]));
    assert_eq!(request.raw(Name::Subject), Some(&b""[..]));
    let route = request.routes().next().unwrap().unwrap();
    assert_eq!(route.uri.as_sip().unwrap().param("unknownwith"), Some("value"));
    assert!(route.uri.as_sip().unwrap().has_lr());
    let contact = &list(request.contacts().unwrap())[0];
    assert_eq!((contact.q(), contact.params().get("newparam")), (Some(330), Some("newvalue")));
    assert_eq!(&*contact.address.display_name(), b"Quoted string \"\"");
    let forwarded = request.edit().set_max_forwards(67).finish();
    let text = String::from_utf8_lossy(forwarded.bytes()).into_owned();
    assert!(text.contains("\r\nMax-Forwards: 67\r\n") && text.contains(": ;;,,;;,;\r\n"));
}

#[test]
fn intmeth_keeps_every_strange_byte() {
    let request = request("rfc4475/intmeth");
    assert_eq!(request.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert!(!request.method().is_known());
    assert_eq!(&*request.to().unwrap().display_name(), b"BEL:\x07 NUL:\x00 DEL:\x7f");
    assert_eq!(&*request.from().unwrap().display_name(), b"token1~` token2'+_ token3*%!.-");
    assert_eq!(request.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(request.from().unwrap().params.get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(request.call_id(), Ok("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"));
    assert!(request.raw_other("extensionHeader-!.%*+_`'~").unwrap().starts_with(b"\xef\xbb\xbf"));
    assert_eq!(request.max_forwards(), Ok(Some(255)));
}

#[test]
fn escapes_are_neither_undone_nor_invented() {
    let request1 = request("rfc4475/esc01");
    let uri = request1.uri().unwrap();
    assert_eq!(uri.as_sip().unwrap().host(), &Host::parse("example.net").unwrap());
    assert_eq!(uri.as_sip().unwrap().user(), Some("sips%3Auser%40example.com"));
    let contact = list(request1.contacts().unwrap())[0].uri().clone();
    assert!(contact.equivalent(&contact.to_string().replace("%75se%72", "user").parse().unwrap()));

    let contacts = list(request("rfc4475/escnull").contacts().unwrap());
    let users: Vec<_> =
        contacts.iter().map(|contact| contact.uri().as_sip().unwrap().user().unwrap()).collect();
    assert_eq!(users, ["%00", "%00%00"]);
    assert!(!contacts[0].uri().equivalent(contacts[1].uri()));

    let request2 = request("rfc4475/esc02");
    assert_eq!(request2.method().as_str(), "RE%47IST%45R");
    assert!(request2.raw_other("C%6Fntact").is_some());
    assert_eq!(list(request2.contacts().unwrap()).len(), 2);
}

#[test]
fn display_names_and_users_end_where_they_should() {
    let to = request("rfc4475/lwsdisp").from().unwrap();
    assert_eq!((&*to.display_name(), to.tag()), (&b"caller"[..], Some("323")));
    let uri = request("rfc4475/semiuri").uri().unwrap();
    assert_eq!(uri.as_sip().unwrap().user(), Some("user;par=u%40example.net"));
    assert_eq!(uri.as_sip().unwrap().param("par"), None);
}

#[test]
fn long_messages_keep_all_their_vias() {
    let request = request("rfc4475/longreq");
    assert_eq!(request.vias().filter(Result::is_ok).count(), 34);
    assert_eq!(request.edit().pop_via().finish().vias().count(), 33);
}

#[test]
fn a_datagram_is_one_message() {
    let request = request("rfc4475/dblreq");
    assert_eq!((request.method(), request.body()), (&Method::Register, &b""[..]));
    assert!(request.bytes().len() < bytes("rfc4475/dblreq").len());
}

#[test]
fn transports_and_bodies_are_taken_as_they_are() {
    let transports: Vec<_> = request("rfc4475/transports").vias().map(|via| via.unwrap().transport).collect();
    let expected = [Transport::Udp, Transport::Sctp, Transport::Tls, Transport::Other, Transport::Tcp];
    assert_eq!(transports, expected);
    let request = request("rfc4475/mpart01");
    assert_eq!(request.body().len(), 553);
    assert_eq!(request.body().iter().filter(|byte| **byte == 0).count(), 2);
    assert!(request.content_type().unwrap().unwrap().is("Multipart/Mixed"));
}

#[test]
fn reason_phrases_may_be_empty_or_not_ascii() {
    let unreason = response("rfc4475/unreason");
    assert_eq!(unreason.status(), Status::OK);
    assert!(std::str::from_utf8(unreason.reason()).unwrap().starts_with("= 2**3 * 5**2"));
    let noreason = response("rfc4475/noreason");
    assert_eq!((noreason.status(), noreason.reason()), (Status::TRYING, &b""[..]));
}

#[test]
fn numbers_out_of_range_never_wrap() {
    let bytes = bytes("rfc4475/scalar02");
    let error = Message::parse(bytes.clone()).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::OutOfRange(Name::CSeq));
    let salvaged = RejectedRequest::salvage(&bytes, error).unwrap().request;
    assert_eq!(salvaged.expires(), Some(3600));
    assert_eq!(list(salvaged.contacts().unwrap())[0].expires(), Some(3600));
    assert!(salvaged.max_forwards().is_err());
}

#[test]
fn an_open_quote_ends_with_its_header() {
    let bytes = bytes("rfc4475/quotbal");
    let error = Message::parse(bytes.clone()).unwrap_err();
    let answer = RejectedRequest::salvage(&bytes, error).unwrap().response().to_tag("t").finish();
    assert!(answer.call_id().is_ok() && answer.via().is_ok() && answer.from().is_ok());
}

#[test]
fn answers_to_malformed_requests_are_themselves_well_formed() {
    for (name, fate) in fates() {
        let Fate::Answered(..) = fate else { continue };
        let bytes = bytes(name);
        let error = Message::parse(bytes.clone()).unwrap_err();
        let answer = RejectedRequest::salvage(&bytes, error).unwrap().response().to_tag("t").finish();
        let read = Message::parse(answer.bytes().clone());
        // These lack or spoil what a response must copy.
        let spoilt = [
            "rfc4475/insuf",
            "rfc4475/scalar02",
            "rfc4475/quotbal",
            "rfc4475/badaspec",
            "rfc4475/baddn",
            "rfc4475/badinv01",
            "variants/baddn-with-blank-line",
            "rfc5118/ipv6-bug-abnf-3-colons",
        ];
        assert_eq!(read.is_err(), spoilt.contains(&name), "{name}: {read:?}");
    }
}

#[test]
fn contacts_that_need_brackets_have_them_or_are_refused() {
    assert!(request("rfc4475/regbadct").contacts().is_err());
    let bare = &list(request("rfc4475/cparam01").contacts().unwrap())[0];
    assert_eq!(bare.uri().as_sip().unwrap().param("unknownparam"), None);
    assert!(bare.params().has("unknownparam"));
    let bracketed = &list(request("rfc4475/cparam02").contacts().unwrap())[0];
    assert_eq!(bracketed.uri().as_sip().unwrap().param("unknownparam"), Some(""));
    let escaped = &list(request("rfc4475/regescrt").contacts().unwrap())[0];
    assert_eq!(
        escaped.uri().as_sip().unwrap().header("Route").as_deref(),
        Some(&b"<sip:sip.example.com>"[..])
    );
}

#[test]
fn special_messages_show_what_the_application_needs() {
    assert!(!request("rfc4475/badbranch").via().unwrap().has_cookie());
    let unknown = request("rfc4475/unksm2");
    assert!(matches!(unknown.to().unwrap().uri, Uri::Other(uri) if uri.scheme() == "isbn"));
    assert!(matches!(unknown.from().unwrap().uri, Uri::Other(uri) if uri.scheme() == "http"));
    assert!(matches!(list(unknown.contacts().unwrap())[0].uri(), Uri::Other(uri) if uri.scheme() == "name"));
    let extensions = request("rfc4475/bext01");
    let require: Vec<_> = extensions.require().collect();
    let proxy_require: Vec<_> = extensions.proxy_require().collect();
    assert_eq!(require, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(proxy_require, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    assert!(!request("rfc4475/invut").content_type().unwrap().unwrap().is("application/sdp"));
    let credentials = request("rfc4475/regaut01").credentials(Name::Authorization).next().unwrap().unwrap();
    assert!(!credentials.is_digest());
    assert_eq!(credentials.algorithm(), Some(Algorithm::Md5));
    assert_eq!(request("rfc4475/zeromf").max_forwards(), Ok(Some(0)));
    assert!(request("rfc4475/sdp01").accept().all(|range| !range.unwrap().covers("application/sdp")));
    assert!(request("rfc4475/baddate").has(Name::Date));
    let second = response("rfc4475/bcast").vias().nth(1).unwrap().unwrap();
    assert_eq!(second.sent_by.host.ip(), Some(IpAddr::from([255, 255, 255, 255])));
}

#[test]
fn a_request_of_rfc_2543_is_accepted() {
    let request = request("rfc4475/inv2543");
    assert_eq!((request.via().unwrap().branch(), request.from_tag()), (None, None));
    assert_eq!(request.max_forwards(), Ok(None));
    assert_eq!(request.body().len(), 105);
    let over_tcp = request.edit().ensure_content_length().finish();
    assert_eq!(over_tcp.raw(Name::ContentLength), Some(&b"105"[..]));
}

#[test]
fn ipv6_hosts_keep_their_ports_apart() {
    let host_port = |name: &str| {
        let uri = request(name).uri().unwrap();
        let uri = uri.as_sip().unwrap();
        (uri.host().to_string(), uri.port())
    };
    assert_eq!(host_port("rfc5118/ipv6-good"), ("[2001:db8::10]".to_owned(), None));
    assert_eq!(host_port("rfc5118/port-ambiguous"), ("[2001:db8::10:5070]".to_owned(), None));
    assert_eq!(host_port("rfc5118/port-unambiguous"), ("[2001:db8::10]".to_owned(), Some(5070)));
    assert_eq!(host_port("rfc5118/ipv6-correct-abnf-2-colons").0, "[2001:db8::c000:201]");
}

#[test]
fn received_addresses_read_with_and_without_brackets() {
    for name in ["rfc5118/via-received-param-with-delim", "rfc5118/via-received-param-no-delim"] {
        assert_eq!(
            request(name).via().unwrap().received(),
            Some("2001:db8::9:255".parse().unwrap()),
            "{name}"
        );
    }
    let hosts: Vec<_> =
        request("rfc5118/mult-ip-in-header").vias().map(|via| via.unwrap().sent_by.to_string()).collect();
    assert_eq!(hosts, ["[2001:db8::9:1]:6050", "192.0.2.1", "[2001:db8::9:255]"]);
}

#[test]
fn mapped_addresses_can_be_unmapped_and_sdp_arrives_whole() {
    let mapped = request("variants/ipv4-mapped-ipv6-cl");
    let ip = mapped.via().unwrap().sent_by.host.ip().unwrap();
    assert_eq!(ip.to_canonical(), IpAddr::from([192, 0, 2, 10]));
    for (name, length) in [
        ("variants/ipv4-mapped-ipv6-cl", 245),
        ("variants/ipv6-in-sdp-cl", 251),
        ("variants/mult-ip-in-sdp-cl", 189),
    ] {
        assert_eq!(request(name).body().len(), length, "{name}");
    }
}
