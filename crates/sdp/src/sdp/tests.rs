use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::{Direction, MediaKind, Profile};

fn audio(lines: &str) -> Sdp {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}");
    Sdp::parse(text.as_bytes()).expect("a description")
}

fn kind_of(text: &str) -> ErrorKind {
    Sdp::parse(text.as_bytes()).expect_err("not a description").kind
}

#[test]
fn the_first_example_of_rfc_8866_is_read() {
    let text = "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call to John Smith\r\n\
        i=SDP Offer #1\r\nu=http://www.jdoe.example.com/home.html\r\n\
        e=Jane Doe <jane@jdoe.example.com>\r\np=+1 617 555-6011\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
        m=audio 49170 RTP/AVP 0\r\nm=audio 49180 RTP/AVP 0\r\nm=video 51372 RTP/AVP 99\r\n\
        c=IN IP6 2001:db8::2\r\na=rtpmap:99 h263-1998/90000\r\n";
    let sdp = Sdp::parse(text.as_bytes()).expect("a description");
    assert_eq!(sdp.as_bytes(), text.as_bytes());
    assert_eq!(sdp.origin().username, "jdoe");
    assert_eq!(sdp.origin().session_id, "3724394400");
    assert_eq!(sdp.origin().version, 3_724_394_405);
    let media: Vec<_> = sdp.media().collect();
    assert_eq!(media.iter().map(Media::port).collect::<Vec<_>>(), [49170, 49180, 51372]);
    assert_eq!(media[2].kind(), MediaKind::Video);
    assert_eq!(media[2].rtp_address(), "[2001:db8::2]:51372".parse().ok());
    assert_eq!(media[0].rtp_address(), "198.51.100.1:49170".parse().ok());
    assert_eq!(media[0].rtcp_address(), "198.51.100.1:49171".parse().ok());
    assert_eq!(media[2].codecs()[0].encoding(), "h263-1998/90000");
}

#[test]
fn bare_line_feeds_and_missing_session_lines_are_accepted() {
    let sdp = Sdp::parse(b"\nv=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0 8\na=inactive").expect("read");
    let media = sdp.media_at(0).expect("one");
    assert_eq!(media.codecs().len(), 2);
    assert_eq!(media.direction(), Direction::Inactive);
    assert!(sdp.media_at(1).is_none());
}

#[test]
fn odd_origin_lines_do_not_cost_the_call() {
    for (line, version) in [
        ("o=Cisco SIP UA 12 34 IN IP4 10.0.0.1", 34),
        ("o=- 1234 12ab IN IP4 10.0.0.1", 0),
        ("o=- 1234 -5 IN IP4 10.0.0.1", 0),
        ("o=- 1 99999999999999999999999 IN IP4 10.0.0.1", 0),
        ("o=10.0.0.1", 0),
        ("o=", 0),
        ("o=x  7   8  IN IP4 10.0.0.1 ", 8),
        ("o=x 7 8 ¿? IP4 10.0.0.1", 8),
    ] {
        let text =
            format!("v=0\r\n{line}\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n");
        let sdp = Sdp::parse(text.as_bytes()).expect(line);
        assert_eq!(sdp.origin().version, version, "{line}");
        assert_eq!(sdp.as_bytes(), text.as_bytes());
    }
}

#[test]
fn lines_that_nobody_needs_may_be_nonsense() {
    let text =
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=L\xe9o\r\nt=now then\r\nb=\r\nr=x\r\nz=\r\nk=\r\nhello\r\n\
        c=IN IP4 10.0.0.1 extra\r\nm=audio  9000  RTP/AVP   0\r\nb=AS:many\r\ni=\xff\r\na=\r\nX\r\n\0";
    let sdp = Sdp::parse(text).expect("read");
    assert_eq!(sdp.media_at(0).and_then(|m| m.rtp_address()), "10.0.0.1:9000".parse().ok());
    assert_eq!(sdp.as_bytes(), &text[..text.len() - 1]);
}

#[test]
fn what_is_no_description_is_refused_with_its_line() {
    assert_eq!(kind_of(""), ErrorKind::Version);
    assert_eq!(kind_of("hello"), ErrorKind::Version);
    assert_eq!(kind_of("v=1\r\n"), ErrorKind::Version);
    assert_eq!(kind_of("m=audio 1 RTP/AVP 0\r\n"), ErrorKind::Version);
    assert_eq!(kind_of("v=0\r\nm=audio\r\n"), ErrorKind::Media);
    assert_eq!(kind_of("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"), ErrorKind::Media);
    assert_eq!(kind_of("v=0\r\nm=audio x RTP/AVP 0\r\n"), ErrorKind::Media);
    assert_eq!(kind_of("v=0\r\nm=audio -1 RTP/AVP 0\r\n"), ErrorKind::Media);
    assert_eq!(kind_of("v=0\r\na=x\rm=audio 1 RTP/AVP 0\r\n"), ErrorKind::Character);
    assert_eq!(kind_of("v=0\r\na=x\0y\r\n"), ErrorKind::Character);
    assert_eq!(kind_of(&"m=audio 1 RTP/AVP 0\r\n".repeat(4000)), ErrorKind::TooLarge);
    let many = format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(65));
    assert_eq!(kind_of(&many), ErrorKind::TooManyMedia);
    let error = Sdp::parse(b"v=0\r\ns=-\r\nm=audio\r\n").expect_err("bad");
    assert_eq!(error.line, 3);
    assert_eq!(error.to_string(), "SDP with a bad m= line (line 3)");
}

#[test]
fn directions_come_from_the_stream_then_the_session() {
    let sdp = audio("a=recvonly\r\nm=audio 9000 RTP/AVP 0\r\nm=audio 9002 RTP/AVP 0\r\na=SendOnly\r\n");
    assert_eq!(sdp.media_at(0).map(|m| m.direction()), Some(Direction::RecvOnly));
    assert_eq!(sdp.media_at(1).map(|m| m.direction()), Some(Direction::SendOnly));
    assert_eq!(audio("m=audio 9000 RTP/AVP 0\r\n").media_at(0).map(|m| m.is_held()), Some(false));
}

#[test]
fn an_address_of_zeros_is_a_hold_unless_ice_finds_the_address() {
    let sdp = audio("m=audio 9000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
    let media = sdp.media_at(0).expect("one");
    assert_eq!(media.direction(), Direction::SendOnly);
    assert!(media.is_held());
    assert_eq!(media.rtp_address(), None);
    let sdp = audio("m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n");
    assert_eq!(sdp.media_at(0).map(|m| m.direction()), Some(Direction::SendRecv));
}

#[test]
fn rtcp_addresses_follow_rfc_3605() {
    let address = |lines: &str| audio(lines).media_at(0).and_then(|m| m.rtcp_address());
    let expect = |text: &str| text.parse::<SocketAddr>().ok();
    assert_eq!(address("m=audio 9000 RTP/AVP 0\r\n"), expect("192.0.2.1:9001"));
    assert_eq!(address("m=audio 9000 RTP/AVP 0\r\na=rtcp:53020\r\n"), expect("192.0.2.1:53020"));
    assert_eq!(
        address("m=audio 9000 RTP/AVP 0\r\na=rtcp:53020 IN IP4 126.16.64.4\r\n"),
        expect("126.16.64.4:53020")
    );
    assert_eq!(
        address("m=audio 9000 RTP/AVP 0\r\na=rtcp:53020 IN IP6 2001:db8::4\r\n"),
        expect("[2001:db8::4]:53020")
    );
    assert_eq!(address("m=audio 65535 RTP/AVP 0\r\n"), None);
    assert_eq!(address("m=audio 0 RTP/AVP 0\r\na=rtcp:53020\r\n"), None);
    assert_eq!(address("m=audio 9000 RTP/AVP 0\r\na=rtcp:junk\r\n"), None);
}

#[test]
fn names_multicast_and_bracketed_addresses_are_told_apart() {
    let host =
        |c: &str| audio(&format!("m=audio 9000 RTP/AVP 0\r\nc={c}\r\n")).media_at(0).and_then(|m| m.host());
    let ip = |text: &str| text.parse::<IpAddr>().ok().map(Host::Ip);
    assert_eq!(host("IN IP4 phone.example.com"), Some(Host::Name("phone.example.com".into())));
    assert_eq!(host("IN IP4 224.2.36.42/127/3"), ip("224.2.36.42"));
    assert_eq!(host("IN IP6 [2001:db8::1]"), ip("2001:db8::1"));
    assert_eq!(host("IN IP6 2001:db8::1"), ip("2001:db8::1"));
}

#[test]
fn attributes_of_a_stream_are_found() {
    let sdp = audio(
        "a=fingerprint:sha-256 AA\r\nm=audio 9000 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=ptime:20.0\r\n\
         a=maxptime:150\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\na=x-own:1:2\r\n",
    );
    let media = sdp.media_at(0).expect("one");
    assert_eq!(media.profile(), Profile::TlsSavpf);
    assert!(
        media.rtcp_mux()
            && media.cryptos().count() == 1
            && media.fingerprints().count() == 1
            && !media.has_ice()
    );
    assert_eq!((media.ptime(), media.maxptime()), (Some(20), Some(150)));
    assert_eq!(media.attribute("X-Own"), Some(Some("1:2")));
    assert_eq!(media.attribute("rtcp-mux"), Some(None));
    assert_eq!(media.attribute("none"), None);
    assert_eq!(media.attributes().count(), 5);
}

#[test]
fn feedback_is_told_apart_by_its_kind() {
    let sdp = audio(
        "m=video 9000 RTP/AVPF 96 97\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:97 nack pli\r\na=rtcp-fb:* ccm fir\r\n",
    );
    let has = |kind| sdp.media_at(0).expect("one").has_feedback(kind);
    assert_eq!(["nack", "nack pli", "ccm fir", "ccm tmmbr"].map(has), [true, true, true, false]);
}

#[test]
fn a_rejected_stream_without_formats_is_accepted() {
    let sdp = audio("m=audio 9000 RTP/AVP 0\r\nm=video 0 RTP/AVP\r\n");
    assert_eq!(sdp.media().len(), 2);
}
