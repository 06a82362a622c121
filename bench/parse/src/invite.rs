//! The message that is received, and what has to stand in it when it goes on.

use crate::subject::Subject;
use offhook_sip::{Message, Name};

/// An INVITE of a phone behind one proxy, 781 bytes.
pub(crate) fn received() -> Vec<u8> {
    let sdp = lines(SDP);
    let mut message = lines(HEAD);
    message += &format!("Content-Length: {}\r\n\r\n", sdp.len());
    message += &sdp;
    message.into_bytes()
}

/// Where it is sent on to.
pub(crate) const TARGET: &str = "sip:bob@198.51.100.77:5062";
/// The Via of the proxy.
pub(crate) const VIA: &str = "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK5d0c11e9a7";
/// The Record-Route of the proxy.
pub(crate) const RECORD_ROUTE: &str = "<sip:192.0.2.1:5060;lr;t=4b1f>";

/// Whether a subject forwards it as a proxy has to (RFC 3261 §16.6), by the reading of our parser.
pub(crate) fn check(subject: &Subject) -> Result<(), String> {
    let received = received();
    let mut sent = Vec::new();
    (subject.forward)(&received, &mut |bytes| sent = bytes.to_vec());
    let wrong = |what: &str| format!("{}: {what}:\n{}", subject.name, String::from_utf8_lossy(&sent));
    let before = Message::parse(received.into()).map_err(|error| error.to_string())?;
    let after = Message::parse(sent.clone().into()).map_err(|error| wrong(&error.to_string()))?;
    let request = after.as_request().ok_or_else(|| wrong("not a request"))?;
    let grown = |name: Name, first: &str| {
        let expected = std::iter::once(first.as_bytes()).chain(before.headers().values(name));
        expected.eq(request.values(name))
    };
    let kept = |name: Name| before.headers().values(name).eq(request.values(name));
    let verdicts = [
        ("Request-URI", request.uri_bytes() == TARGET.as_bytes()),
        ("Via", grown(Name::Via, VIA)),
        ("Record-Route", grown(Name::RecordRoute, RECORD_ROUTE)),
        ("Max-Forwards", request.max_forwards() == Ok(Some(68))),
        ("From, To, Call-ID, CSeq or Contact", KEPT.into_iter().all(kept)),
        ("body", request.body() == before.headers().body()),
        ("number of fields", request.fields().count() == before.headers().fields().count() + 2),
    ];
    match verdicts.iter().find(|(_, right)| !right) {
        Some((what, _)) => Err(wrong(what)),
        None => Ok(()),
    }
}

const KEPT: [Name; 5] = [Name::From, Name::To, Name::CallId, Name::CSeq, Name::Contact];

fn lines(text: &str) -> String {
    text.trim().lines().map(|line| line.to_owned() + "\r\n").collect()
}

const HEAD: &str = "
INVITE sip:bob@example.net SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1f8c2a;received=192.0.2.1
Via: SIP/2.0/UDP 198.51.100.23:5066;rport=5066;branch=z9hG4bKq7x4m2
Record-Route: <sip:192.0.2.1;lr>
Max-Forwards: 69
From: \"Alice\" <sip:alice@example.net>;tag=9c01f4
To: <sip:bob@example.net>
Call-ID: 7d1@198.51.100.23
CSeq: 1 INVITE
Contact: <sip:alice@198.51.100.23:5066>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE
Supported: replaces, 100rel, timer
User-Agent: Phone/1.0
Content-Type: application/sdp
";

const SDP: &str = "
v=0
o=- 20518 1 IN IP4 198.51.100.23
s=-
c=IN IP4 198.51.100.23
t=0 0
m=audio 30000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_length_of_its_title_and_every_subject_forwards_it_rightly() {
        assert_eq!(received().len(), 781);
        for subject in crate::subject::all() {
            assert_eq!(check(&subject), Ok(()));
        }
    }
}
