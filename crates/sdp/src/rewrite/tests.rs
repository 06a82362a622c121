mod phones;

use super::*;

fn through(address: &str, rtp_port: u16) -> Relay {
    Relay::Through { address: address.parse().expect("an address"), rtp_port, rtcp_port: rtp_port + 1 }
}

fn parse(text: &str) -> Sdp {
    Sdp::parse(text.as_bytes()).expect("a description")
}

fn rewritten(text: &str, relay: &[Relay]) -> String {
    rewrite(&parse(text), relay, &Options::default()).expect("rewritten").to_string()
}

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n";

#[test]
fn only_addresses_and_ports_change() {
    let text = format!(
        "{HEAD}a=tool:x 1\r\nb=AS:80\r\nm=audio 4000/2 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=unknown:  kept  as it is \r\nX-odd line\r\na=sendrecv\r\n"
    );
    let expected = text
        .replace("c=IN IP4 10.0.0.5", "c=IN IP4 203.0.113.7")
        .replace("m=audio 4000/2 ", "m=audio 20000 ");
    assert_eq!(rewritten(&text, &[through("203.0.113.7", 20000)]), expected);
}

#[test]
fn the_origin_address_is_replaced_on_request() {
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\n");
    let options = Options { origin: "2001:db8::7".parse().ok(), ..Options::default() };
    let out = rewrite(&parse(&text), &[through("203.0.113.7", 20000)], &options).expect("rewritten");
    assert!(out.to_string().contains("o=- 1 1 IN IP6 2001:db8::7\r\n"));
    let odd = text.replace("o=- 1 1 IN", "o=Cisco SIP 1 1x IN");
    let out = rewrite(&parse(&odd), &[through("203.0.113.7", 20000)], &options).expect("rewritten");
    assert!(out.to_string().contains("o=Cisco SIP 1 1x IN IP6 2001:db8::7\r\n"));
}

#[test]
fn address_families_are_translated() {
    let text = "v=0\no=- 1 1 IN IP6 2001:db8::5\ns=-\nc=IN IP6 2001:db8::5\nt=0 0\nm=audio 4000 RTP/AVP 0\n\
        a=rtcp:4009 IN IP6 2001:db8::5\n";
    let out = rewritten(text, &[through("203.0.113.7", 20000)]);
    assert_eq!(
        out,
        "v=0\no=- 1 1 IN IP6 2001:db8::5\ns=-\nc=IN IP4 203.0.113.7\nt=0 0\nm=audio 20000 RTP/AVP 0\n\
         a=rtcp:20001 IN IP4 203.0.113.7\n"
    );
}

#[test]
fn each_stream_gets_its_own_address_where_they_differ() {
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 10.0.0.6\r\n");
    let out = rewritten(&text, &[through("203.0.113.7", 20000), through("203.0.113.8", 20002)]);
    assert!(out.contains("c=IN IP4 203.0.113.7\r\nt=0 0\r\n"));
    assert!(out.contains("m=video 20002 RTP/AVP 31\r\nc=IN IP4 203.0.113.8\r\n"));
    // Without a line of its own one is added.
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\na=x\r\n");
    let out = rewritten(&text, &[through("203.0.113.7", 20000), through("2001:db8::8", 20002)]);
    assert!(out.contains("m=video 20002 RTP/AVP 31\r\nc=IN IP6 2001:db8::8\r\na=x\r\n"), "{out}");
}

#[test]
fn a_description_without_any_connection_line_gets_one() {
    let out = rewritten("v=0\r\nm=audio 4000 RTP/AVP 0", &[through("203.0.113.7", 20000)]);
    assert_eq!(out, "v=0\r\nm=audio 20000 RTP/AVP 0\r\nc=IN IP4 203.0.113.7\r\n");
}

#[test]
fn streams_that_are_off_stay_off_and_others_can_be_turned_off() {
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=image 4004 udptl t38\r\n");
    let out = rewritten(&text, &[through("203.0.113.7", 20000), through("203.0.113.7", 20002), Relay::Off]);
    assert!(out.contains("m=audio 20000 "));
    assert!(out.contains("m=video 0 RTP/AVP 31\r\nm=image 0 udptl t38\r\n"), "{out}");
}

#[test]
fn direct_streams_keep_the_address_that_they_inherited() {
    let text = format!("{HEAD}m=message 2855 TCP/MSRP *\r\na=path:msrp://x\r\nm=audio 4000 RTP/AVP 0\r\n");
    let out = rewritten(&text, &[Relay::Direct, through("203.0.113.7", 20000)]);
    assert!(out.starts_with(HEAD));
    assert!(out.contains("m=message 2855 TCP/MSRP *\r\na=path:msrp://x\r\n"));
    assert!(out.contains("m=audio 20000 RTP/AVP 0\r\nc=IN IP4 203.0.113.7\r\n"));
}

#[test]
fn a_hold_by_address_passes_in_the_family_of_the_relay() {
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
    let out = rewritten(&text, &[through("203.0.113.7", 20000)]);
    assert!(out.contains("m=audio 20000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"));
    let out = rewritten(&text, &[through("2001:db8::7", 20000)]);
    assert!(out.contains("c=IN IP6 ::\r\n") && parse(&out).media_at(0).is_some_and(|m| m.is_held()));
    let facts = remotes(&parse(&text));
    assert!(facts[0].held && facts[0].rtp.is_none() && !facts[0].off);
}

#[test]
fn ice_and_other_ways_around_the_relay_are_taken_out() {
    let text = format!(
        "{HEAD}a=ice-lite\r\na=ice-options:trickle\r\nm=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\n\
         a=ICE-pwd:0123456789012345678901\r\na=candidate:1 1 UDP 1 10.0.0.5 4000 typ host\r\na=altc:1 IP4 10.0.0.5 4000\r\n\
         a=remote-candidates:1 10.0.0.9 1\r\na=end-of-candidates\r\na=rtcp-mux\r\na=crypto:1 X inline:y\r\n"
    );
    let out = rewritten(&text, &[through("203.0.113.7", 20000)]);
    assert!(out.ends_with("m=audio 20000 RTP/AVP 0\r\na=rtcp-mux\r\na=crypto:1 X inline:y\r\n"), "{out}");
    assert!(!out.to_ascii_lowercase().contains("ice-"));
    assert!(remotes(&parse(&text))[0].ice);
}

#[test]
fn rtcp_is_told_where_it_is_not_the_next_port() {
    let text = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\na=rtcp:4077\r\na=x\r\n");
    let relay = Relay::Through { address: IpAddr::from([203, 0, 113, 7]), rtp_port: 20000, rtcp_port: 20000 };
    assert!(rewritten(&text, &[relay]).ends_with("a=rtcp:20000\r\na=x\r\n"));
    let plain = format!("{HEAD}m=audio 4000 RTP/AVP 0\r\na=x");
    assert!(rewritten(&plain, &[relay]).ends_with("a=x\r\na=rtcp:20000\r\n"));
}

#[test]
fn a_relay_that_does_not_fit_is_refused() {
    let sdp = parse(&format!("{HEAD}m=audio 4000 RTP/AVP 0\r\n"));
    assert_eq!(rewrite(&sdp, &[], &Options::default()), Err(RewriteError::Count));
    let zero = Relay::Through { address: IpAddr::from([1, 2, 3, 4]), rtp_port: 0, rtcp_port: 1 };
    assert_eq!(rewrite(&sdp, &[zero], &Options::default()), Err(RewriteError::Port));
}

#[test]
fn remotes_tell_addresses_and_names_apart() {
    let text = format!(
        "{HEAD}m=audio 4000 RTP/AVP 0\r\na=sendonly\r\na=rtcp-mux\r\nm=video 4002 RTP/SAVP 31\r\nc=IN IP4 a.example\r\n\
         m=video 0 RTP/AVP 31\r\n"
    );
    let facts = remotes(&parse(&text));
    assert_eq!(facts[0].rtp, "10.0.0.5:4000".parse().ok());
    assert_eq!(facts[0].rtcp, "10.0.0.5:4001".parse().ok());
    assert!(facts[0].held && facts[0].rtcp_mux && facts[0].direction == Direction::SendOnly);
    assert_eq!((facts[1].rtp, facts[1].profile), (None, Profile::Savp));
    assert!(facts[2].off);
}

fn faced(text: &str, relay: &[Relay], faces: Vec<Option<Face>>) -> String {
    let options = Options { faces, ..Options::default() };
    rewrite(&parse(text), relay, &options).expect("rewritten").to_string()
}

/// As a browser offers it, shortened.
const BROWSER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=group:LS 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 2122260223 192.0.2.5 50000 typ host\r\n\
    a=candidate:1 2 udp 2122260222 192.0.2.5 50001 typ host\r\na=candidate:2 1 tcp 1 192.0.2.5 9 typ host\r\n\
    a=candidate:3 1 udp 1 6d5f.local 50002 typ host\r\n";

#[test]
fn a_plain_phone_hears_nothing_of_a_browsers_keys_and_ice() {
    let face = Face {
        profile: "RTP/AVP".into(),
        attributes: vec!["crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k".into()],
        rtcp_mux: false,
        ice_lite: false,
    };
    assert_eq!(
        faced(BROWSER, &[through("203.0.113.7", 20000)], vec![Some(face)]),
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:LS 0\r\n\
         m=audio 20000 RTP/AVP 111 0\r\nc=IN IP4 203.0.113.7\r\na=rtcp:20001 IN IP4 203.0.113.7\r\na=mid:0\r\n\
         a=rtpmap:111 opus/48000/2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:k\r\n"
    );
}

#[test]
fn a_browser_is_told_of_the_relays_certificate_and_candidate() {
    let text = format!(
        "{HEAD}a=crypto:1 session inline:x\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES inline:y\r\na=rtcp:4001\r\n"
    );
    let face = Face {
        profile: "UDP/TLS/RTP/SAVPF".into(),
        attributes: vec!["fingerprint:sha-256 BB".into(), "setup:actpass".into()],
        rtcp_mux: true,
        ice_lite: true,
    };
    let out = faced(&text, &[through("203.0.113.7", 20000)], vec![Some(face)]);
    let head = HEAD.replace("c=IN IP4 10.0.0.5", "c=IN IP4 203.0.113.7");
    assert_eq!(
        out,
        format!(
            "{head}a=ice-lite\r\nm=audio 20000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 BB\r\na=setup:actpass\r\n\
             a=rtcp-mux\r\n"
        )
    );
}

#[test]
fn what_protects_a_stream_is_read() {
    let sdp = parse(BROWSER);
    let media = sdp.media_at(0).expect("one");
    assert_eq!(media.ice(), Some(("abcd", "0123456789012345678901")));
    assert_eq!(media.candidates().collect::<Vec<_>>(), ["192.0.2.5:50000".parse().expect("an address")]);
    assert_eq!((media.setup(), media.fingerprints().next()), (Some("actpass"), Some("sha-256 AA")));
    assert_eq!(media.cryptos().count(), 0);
}

#[test]
fn formats_are_added_left_out_or_replaced_with_what_describes_them() {
    let text = format!(
        "{HEAD}m=audio 4000 RTP/AVP 111 0 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
         a=rtcp-fb:111 transport-cc\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=ssrc:7 cname:x\r\n"
    );
    let with = |formats| {
        let options = Options { formats: vec![formats], ..Options::default() };
        let out = rewrite(&parse(&text), &[through("203.0.113.7", 20000)], &options).expect("rewritten");
        out.to_string().split_once("m=audio 20000 RTP/AVP ").expect("the stream").1.to_owned()
    };
    let rest = text.split_once("RTP/AVP ").expect("the stream").1;
    let g722 = Codec { fmtp: Some("x=1".into()), ..Codec::g722() };
    assert_eq!(
        with(Formats::Added(vec![g722.clone()])),
        rest.replacen(" 101", " 101 9", 1).replace("a=ssrc:7 cname:x\r\n", "")
            + "a=rtpmap:9 G722/8000\r\na=fmtp:9 x=1\r\n"
    );
    assert_eq!(
        with(Formats::Only(vec![0, 101])),
        "0 101\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=ssrc:7 cname:x\r\n"
    );
    assert_eq!(with(Formats::Instead(vec![g722])), "9\r\na=rtpmap:9 G722/8000\r\na=fmtp:9 x=1\r\n");
}
