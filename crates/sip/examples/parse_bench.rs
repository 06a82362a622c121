//! Nanoseconds per message: `cargo run --release -p offhook-sip --example parse_bench`.
#![allow(clippy::unwrap_used, reason = "a measure may panic")]

use bytes::Bytes;
use offhook_sip::{Message, RequestBuilder, Response, Status, scan};
use std::hint::black_box;
use std::time::{Duration, Instant};

const HEAD: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---8f0a1c6b5d2e4f73;rport\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:alice@192.0.2.10:5060;transport=UDP>\r\n\
    To: <sip:bob@example.com>\r\n\
    From: \"Alice\" <sip:alice@example.com>;tag=1c5f2e7a\r\n\
    Call-ID: 84fKxq0Y7m2cUo5sQd1LwA..\r\n\
    CSeq: 1 INVITE\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
    Content-Type: application/sdp\r\n\
    Supported: replaces, norefersub, extended-refer, timer, outbound, path\r\n\
    User-Agent: phone 5.6 release 10000001\r\n\
    Content-Length: 213\r\n\
    \r\n";

const BODY: &str = "v=0\r\n\
    o=- 1716900000 1 IN IP4 192.0.2.10\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.10\r\n\
    t=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=sendrecv\r\n";

fn main() {
    // As it comes from a socket: bytes whose first clone costs an allocation.
    let invite = [HEAD, BODY].concat().into_bytes();
    let bytes = Bytes::from(invite.clone());
    let parse = |bytes: &Bytes| Message::parse(bytes.clone()).unwrap().as_request().unwrap().clone();
    let request = parse(&bytes);
    println!("INVITE with SDP, {} bytes, {} header fields", bytes.len(), request.fields().count());
    measure("scan Call-ID", || scan::call_id(&invite).map(<[u8]>::len));
    measure("scan top Via branch", || scan::top_via_branch(&invite).map(<[u8]>::len));
    measure("parse", || Message::parse(bytes.clone()));
    measure("copy from a buffer and parse", || Message::parse(Bytes::copy_from_slice(&invite)));
    measure("parse, typed Via From To CSeq Contact Call-ID", || {
        let request = Message::parse(bytes.clone()).unwrap();
        let headers = request.headers();
        let call_id = headers.call_id().map(str::len);
        (headers.via(), headers.from(), headers.to(), headers.cseq(), headers.contacts(), call_id)
    });
    measure("forward edit (URI, 2 × Via, Record-Route, hops)", || {
        request
            .edit()
            .set_uri("sip:bob@192.0.2.20:5060;transport=udp")
            .amend_top_via(Some([192, 0, 2, 10].into()), Some(5060))
            .push_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKoff-0-8f0a1c6b5d2e4f73")
            .push_record_route("<sip:192.0.2.1:5060;lr>")
            .set_max_forwards(69)
            .finish()
    });
    measure("parse and forward edit", || {
        parse(&bytes).edit().push_via("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx").set_max_forwards(69).finish()
    });
    measure("response to a request", || {
        Response::to_request(&request, Status::RINGING).to_tag("8f0a").finish()
    });
    measure("build a request of 6 fields", || {
        RequestBuilder::new(request.method().clone(), &request.uri().unwrap())
            .copy(offhook_sip::Name::Via, &request)
            .copy(offhook_sip::Name::From, &request)
            .copy(offhook_sip::Name::To, &request)
            .copy(offhook_sip::Name::CallId, &request)
            .copy(offhook_sip::Name::CSeq, &request)
            .finish()
    });
}

/// Prints the fastest of many short rounds: what else the machine does only makes one slower.
fn measure<T>(name: &str, mut work: impl FnMut() -> T) {
    const RUNS: u32 = 100;
    let best = (0..3_000).map(|_| round(RUNS, &mut work)).min().unwrap_or_default();
    println!("{name:<50} {:>8.0} ns", best.as_nanos() as f64 / f64::from(RUNS));
}

#[allow(clippy::disallowed_methods, reason = "a measure needs the clock")]
fn round<T>(runs: u32, work: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..runs {
        black_box(work());
    }
    start.elapsed()
}
