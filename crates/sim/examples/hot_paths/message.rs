//! Paths over the bytes of one message.

use bytes::Bytes;
use offhook_exchange::dispatch;
use offhook_sip::{Message, Request};
use std::hint::black_box;

use crate::Counted;

/// Parses an INVITE and reads six headers as typed values.
pub(crate) fn parse_invite(counted: &mut Counted) {
    let bytes = invite();
    counted.repeat(WARM, TIMES, |counted, _| {
        counted.work(|| {
            let message = Message::parse(black_box(&bytes).clone()).unwrap();
            let headers = message.headers();
            let call_id = headers.call_id().map(str::len);
            black_box((
                headers.via().unwrap(),
                headers.from().unwrap(),
                headers.to().unwrap(),
                headers.cseq().unwrap(),
                headers.contacts().unwrap(),
                call_id.unwrap(),
            ));
        });
    });
}

/// Parses an INVITE and prints what a proxy sends on.
pub(crate) fn forward_invite(counted: &mut Counted) {
    let bytes = invite();
    counted.repeat(WARM, TIMES, |counted, _| {
        let forwarded = counted.work(|| {
            parsed(black_box(&bytes))
                .edit()
                .set_uri("sip:bob@192.0.2.20:5060;transport=udp")
                .amend_top_via(Some([192, 0, 2, 10].into()), Some(5060))
                .push_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKoff-0-8f0a1c6b5d2e4f73")
                .push_record_route("<sip:192.0.2.1:5060;lr>")
                .set_max_forwards(69)
                .finish()
        });
        assert!(forwarded.bytes().len() > bytes.len());
    });
}

/// Finds the shard of an INVITE.
pub(crate) fn owner_of_request(counted: &mut Counted) {
    owner(counted, &invite());
}

/// Finds the shard of a response to a request of ours.
pub(crate) fn owner_of_response(counted: &mut Counted) {
    let response = b"SIP/2.0 180 Ringing\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK02aabbccddeeff0011.7\r\n\
        Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---8f0a1c6b5d2e4f73;rport=5060\r\n\
        Record-Route: <sip:192.0.2.1:5060;lr>\r\nTo: <sip:bob@example.com>;tag=8f0a\r\n\
        From: \"Alice\" <sip:alice@example.com>;tag=1c5f2e7a\r\nCall-ID: 84fKxq0Y7m2cUo5sQd1LwA..\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:bob@192.0.2.20:5060>\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(dispatch::owner(response, 4), Some(2));
    owner(counted, response);
}

fn owner(counted: &mut Counted, message: &[u8]) {
    counted.repeat(WARM, TIMES, |counted, _| {
        counted.work(|| dispatch::owner(black_box(message), 4));
    });
}

fn parsed(bytes: &Bytes) -> Request {
    Message::parse(bytes.clone()).unwrap().as_request().unwrap().clone()
}

/// As a softphone sends it.
fn invite() -> Bytes {
    Bytes::from_static(
        b"INVITE sip:bob@example.com SIP/2.0\r\n\
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
        Content-Length: 196\r\n\
        \r\n\
        v=0\r\n\
        o=- 1716900000 1 IN IP4 192.0.2.10\r\n\
        s=-\r\n\
        c=IN IP4 192.0.2.10\r\n\
        t=0 0\r\n\
        m=audio 40000 RTP/AVP 0 8 101\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=sendrecv\r\n",
    )
}

const WARM: u32 = 100;
const TIMES: u32 = 1_000;
