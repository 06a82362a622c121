//! What the fuzz targets and the mutation tests run on arbitrary bytes. Not part of the crate's interface.

use crate::{
    Frame, FrameError, Framer, Headers, Limits, Message, Name, NameAddr, RejectedRequest, Replaces, Request,
    Uri, Via, scan,
};
use bytes::Bytes;

/// Parses, reads everything, edits, and checks that what comes out reads as it should.
pub fn parse(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    scan_all(&bytes);
    match Message::parse(bytes.clone()) {
        Ok(message) => accepted(&message),
        Err(error) => {
            assert!(error.at <= bytes.len().max(Limits::default().message));
            if let Some(rejected) = RejectedRequest::salvage(&bytes, error) {
                read_all(&rejected.request);
                let _ = rejected.request.uri();
                let answer = rejected.response().to_tag("t").finish();
                read_all(&answer);
                read_all(&rejected.request.edit().pop_via().amend_top_via(None, Some(1)).finish());
            }
        }
    }
    let _ = Via::parse(bytes.clone()).map(|via| via.to_string());
    let _ = NameAddr::parse(bytes.clone()).map(|value| value.to_string());
    let _ = Replaces::parse(bytes).map(|value| value.to_string());
}

fn accepted(message: &Message) {
    read_all(message.headers());
    assert_reads_back(message);
    match message {
        Message::Request(request) => {
            assert!(request.uri().is_ok());
            forward(request);
        }
        Message::Response(response) => {
            let more = response.edit().push_via("SIP/2.0/UDP h;branch=z9hG4bKf").finish();
            assert_reads_back(&more.clone().into());
            read_all(&more.edit().pop_via().pop_via().pop_via().finish());
        }
    }
}

fn forward(request: &Request) {
    let forwarded = request
        .edit()
        .set_uri("sip:next@example.com")
        .amend_top_via(Some([192, 0, 2, 1].into()), Some(5060))
        .push_via("SIP/2.0/UDP h;branch=z9hG4bKf")
        .push_record_route("<sip:h;lr>")
        .push_route("<sip:r;lr>")
        .set_max_forwards(69)
        .set_body(Some("text/plain"), b"body")
        .finish();
    assert_reads_back(&forwarded.clone().into());
    assert_eq!(forwarded.body(), b"body");
    let second = forwarded.vias().nth(1);
    let seen = second.and_then(Result::ok).map(|via| (via.received(), via.rport()));
    assert_eq!(seen, Some((Some([192, 0, 2, 1].into()), Some(5060))));
    let back = forwarded.edit().pop_via().pop_route().finish();
    assert_reads_back(&back.into());
    let answer = crate::Response::to_request(request, crate::Status::OK).to_tag("t").finish();
    assert_reads_back(&answer.clone().into());
    assert!(answer.to_tag().is_some());
}

/// The bytes of a message are a message with the same fields and the same body.
fn assert_reads_back(message: &Message) {
    let again =
        Message::parse_with(message.bytes().clone(), &Limits { message: usize::MAX, fields: usize::MAX });
    let headers = message.headers();
    match again {
        Ok(again) => {
            assert!(again.headers().fields().eq(headers.fields()));
            assert_eq!(again.headers().body(), headers.body());
            assert_eq!(&again, message);
        }
        Err(error) => panic!("{error:?} in {:?}", message.bytes()),
    }
}

fn read_all(headers: &Headers) {
    for field in headers.fields() {
        assert!(headers.raw_other(field.name_text).is_some());
    }
    for name in Name::ALL.iter().filter(|name| headers.has(**name)) {
        headers.values(*name).count();
        headers.name_addrs(*name).flatten().for_each(|value| {
            let _ = (value.to_string(), value.display_name().len(), value.q(), value.detach());
        });
    }
    headers.vias().flatten().for_each(|via| {
        let _ = (via.to_string(), via.received(), via.rport(), via.ttl(), via.has_cookie(), via.detach());
    });
    let _ = (
        headers.from(),
        headers.to(),
        headers.from_tag(),
        headers.to_tag(),
        headers.call_id(),
        headers.cseq(),
    );
    let _ = (headers.max_forwards(), headers.max_breadth(), headers.expires(), headers.min_expires());
    let _ = (headers.retry_after(), headers.content_type(), headers.session_expires(), headers.min_se());
    let _ = (headers.rseq(), headers.rack(), headers.replaces(), headers.refer_to(), headers.referred_by());
    let _ =
        (headers.event(), headers.subscription_state(), headers.supports("100rel"), headers.allow().count());
    for contact in headers.contacts().iter().flat_map(|contacts| contacts.list()) {
        let _ = (contact.q(), contact.expires(), contact.instance(), contact.reg_id());
        let _ = (contact.to_string(), contact.params().iter().count());
    }
    headers.accept().flatten().for_each(|range| assert!(!range.to_string().is_empty()));
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        headers.credentials(name).flatten().for_each(|value| {
            let _ = (value.to_string(), value.username(), value.nonce_count(), value.algorithm());
        });
    }
    for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
        headers.challenges(name).flatten().for_each(|value| {
            let _ = (value.to_string(), value.realm(), value.stale(), value.offers_qop("auth"));
        });
    }
}

fn scan_all(bytes: &[u8]) {
    let _ = (
        scan::is_response(bytes),
        scan::method(bytes),
        scan::request_uri(bytes),
        scan::top_via_branch(bytes),
    );
    let _ = (scan::call_id(bytes), scan::to_tag(bytes), scan::from_tag(bytes), scan::first_route(bytes));
}

/// Frames a stream at once and in chunks (their size is the first byte), and checks that both agree.
pub fn frame(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    let chunked = frames(stream, usize::from(*size).max(1));
    let messages = |frames: &[Frame]| -> Vec<Frame> {
        frames.iter().filter(|frame| matches!(frame, Frame::Message(_))).cloned().collect()
    };
    assert_eq!(messages(&whole.0), messages(&chunked.0));
    assert_eq!(whole.1.map(|error| error.kind), chunked.1.map(|error| error.kind));
}

fn frames(stream: &[u8], size: usize) -> (Vec<Frame>, Option<FrameError>) {
    let limits = Limits { message: 2048, fields: 64 };
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for chunk in stream.chunks(size) {
        framer.push(chunk);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(framer.buffered() <= limits.message, "a framer holds less than a message");
    }
    (frames, None)
}

/// Reads a URI, takes it apart, changes it and compares it.
pub fn uri(bytes: &[u8]) {
    let Ok(uri) = Uri::parse(Bytes::copy_from_slice(bytes)) else { return };
    let again: Result<Uri, _> = uri.to_string().parse();
    assert_eq!(again.as_ref(), Ok(&uri));
    assert!(uri.equivalent(&uri.detach()));
    match &uri {
        Uri::Sip(sip) => {
            let _ = (sip.user_unescaped(), sip.password(), sip.transport(), sip.headers().count());
            let record = sip.address_of_record();
            assert_eq!(record.address_of_record(), record);
            let same = sip.clone().with_host(sip.host().clone(), sip.port());
            assert!(same.equivalent(sip) || sip.params().count() > 64 || sip.headers().count() > 64);
            let changed =
                sip.clone().with_param("x", Some("y z")).with_port(1).with_user("a@b").without_headers();
            assert_eq!(changed.param("x"), Some("y%20z"));
            assert_eq!((changed.port(), changed.user_unescaped().as_deref()), (Some(1), Some("a@b")));
            assert_eq!(changed.host(), sip.host());
        }
        Uri::Tel(tel) => {
            let _ = (tel.digits(), tel.global(), tel.param("ext"));
        }
        Uri::Other(other) => assert!(!other.scheme().is_empty()),
    }
}
