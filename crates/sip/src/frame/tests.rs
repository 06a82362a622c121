use super::*;
use crate::RejectedRequest;

const ONE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nContent-Length: 3\r\n\r\nabc";
const TWO: &[u8] = b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n";

fn frames(framer: &mut Framer) -> Vec<Frame> {
    std::iter::from_fn(|| framer.next_frame().unwrap()).collect()
}

fn message(bytes: &[u8]) -> Frame {
    Frame::Message(Bytes::copy_from_slice(bytes))
}

fn failure(bytes: &[u8]) -> FrameError {
    let mut framer = Framer::default();
    framer.push(bytes);
    let error = framer.next_frame().unwrap_err();
    framer.push(TWO);
    assert_eq!(framer.next_frame(), Err(error.clone()), "an error stays");
    error
}

#[test]
fn messages_and_keep_alives_come_out_in_order() {
    let mut framer = Framer::default();
    framer.push(&[ONE, b"\r\n\r\n", TWO, b"\r\n", ONE].concat());
    assert_eq!(frames(&mut framer), [message(ONE), Frame::Ping, message(TWO), Frame::Pong, message(ONE)]);
    assert!(!framer.is_partial());
}

#[test]
fn it_does_not_matter_where_the_stream_is_cut() {
    let stream = [ONE, TWO, ONE].concat();
    for cut in 1..stream.len() {
        let mut framer = Framer::default();
        let mut got = Vec::new();
        for chunk in stream.chunks(cut) {
            framer.push(chunk);
            got.extend(frames(&mut framer));
        }
        assert_eq!(got, [message(ONE), message(TWO), message(ONE)], "chunks of {cut}");
    }
}

#[test]
fn a_ping_in_two_pieces_is_still_a_ping() {
    let mut framer = Framer::default();
    framer.push(b"\r\n\r");
    assert_eq!(frames(&mut framer), []);
    framer.push(b"\n");
    assert_eq!(frames(&mut framer), [Frame::Ping]);
    framer.push(b"\r\n");
    assert_eq!(frames(&mut framer), [Frame::Pong]);
    framer.push(b"\r\n");
    assert_eq!(frames(&mut framer), [Frame::Ping]);
    framer.push(b"\r\n");
    assert_eq!(frames(&mut framer), [Frame::Pong]);
}

#[test]
fn half_a_message_is_partial() {
    let mut framer = Framer::default();
    framer.push(&ONE[..ONE.len() - 1]);
    assert_eq!(framer.next_frame(), Ok(None));
    assert!(framer.is_partial());
}

#[test]
fn lost_framing_says_why() {
    let head = |length: &str| format!("OPTIONS sip:a SIP/2.0\r\n{length}\r\n").into_bytes();
    for (bytes, kind) in [
        (head(""), FrameErrorKind::MissingContentLength),
        (head("l: 1\r\nContent-Length: 1\r\n"), FrameErrorKind::ConflictingContentLength),
        (head("l: -1\r\n"), FrameErrorKind::BadContentLength),
        (head("l: \r\n"), FrameErrorKind::BadContentLength),
        (head("l: 99999999999999999999999\r\n"), FrameErrorKind::MessageTooLarge),
        (head("l: 65536\r\n"), FrameErrorKind::MessageTooLarge),
        (vec![0x16, 3, 1, 0, 200], FrameErrorKind::NotSip),
        (vec![b'x'; 70_000], FrameErrorKind::HeadTooLarge),
    ] {
        assert_eq!(failure(&bytes).kind, kind);
    }
}

#[test]
fn the_offending_request_can_still_be_answered() {
    let error = failure(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nCSeq: 1 OPTIONS\r\nl: -1\r\n\r\n");
    let rejected = RejectedRequest::salvage(&error.head, error.parse_error()).unwrap();
    let answer = rejected.response().finish();
    assert_eq!(answer.reason(), b"Content-Length malformed");
    assert_eq!(answer.raw(Name::CSeq), Some(&b"1 OPTIONS"[..]));
}
