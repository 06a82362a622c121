//! Descriptions in the manner of real devices, anchored and answered.

use super::*;
use crate::{Capabilities, Codec, Origin, Stream, answer};

/// A browser: DTLS, ICE, BUNDLE, and port 9 before candidates are known.
const CHROMIUM: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS stream\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:842163049 1 udp 1677729535 198.51.100.3 46154 typ srflx raddr 0.0.0.0 rport 0\r\n\
    a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlZg\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4\r\na=setup:actpass\r\na=mid:0\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:stream track\r\n\
    a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
    a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\n";

const BARESIP: &str = "v=0\r\no=- 3391212562 2133563846 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    a=tool:baresip 1.0.0\r\nm=audio 15368 RTP/AVP 96 0 8 97\r\nb=AS:125\r\na=rtpmap:96 opus/48000/2\r\n\
    a=fmtp:96 stereo=1;sprop-stereo=1\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\na=rtcp:15369\r\na=sendrecv\r\na=label:1\r\n\
    a=rtcp-rsize\r\na=ssrc:2178325236 cname:sip:a@127.0.0.1\r\na=minptime:10\r\na=ptime:20\r\n";

const PJSUA: &str = "v=0\r\no=- 3900000000 3900000000 IN IP4 192.168.1.20\r\ns=pjmedia\r\nb=AS:117\r\nt=0 0\r\n\
    a=X-nat:0\r\nm=audio 4000 RTP/AVP 96 9 8 0 101 102\r\nc=IN IP4 192.168.1.20\r\nb=TIAS:96000\r\n\
    a=rtcp:4001 IN IP4 192.168.1.20\r\na=sendrecv\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-16\r\na=rtpmap:102 telephone-event/8000\r\n\
    a=fmtp:102 0-16\r\na=ssrc:1234 cname:abc\r\n";

/// Audio and video, formats without maps, RTCP-XR, feedback in the plain profile.
const LINPHONE: &str = "v=0\r\no=alice 2442 3165 IN IP4 192.168.1.30\r\ns=Talk\r\nc=IN IP4 192.168.1.30\r\nt=0 0\r\n\
    a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\na=record:off\r\n\
    m=audio 7078 RTP/AVPF 96 0 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
    a=rtpmap:101 telephone-event/48000\r\na=rtcp-fb:* trr-int 5000\r\na=rtcp-fb:* ccm tmmbr\r\n\
    m=video 9078 RTP/AVPF 97\r\na=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack pli\r\n";

/// Spaces in the user name, bare line feeds, an event format without parameters, silenceSupp.
const CISCO: &str = "v=0\no=Cisco SIP UA 26964 17 IN IP4 10.1.1.1\ns=SIP Call\nc=IN IP4 10.1.1.1\nt=0 0\n\
    m=audio 16862 RTP/AVP 0 8 18 101\nc=IN IP4 10.1.1.1\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n\
    a=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\na=rtpmap:101 telephone-event/8000\na=silenceSupp:off - - - -\n\
    a=ptime:20\na=sendrecv\n";

fn ours() -> Capabilities {
    let rtp = "203.0.113.1:30000".parse().expect("an address");
    let codecs = vec![
        Codec::opus(111),
        Codec::pcmu(),
        Codec::telephone_event(101, 48_000),
        Codec::telephone_event(102, 8000),
    ];
    Capabilities {
        origin: Origin::new(7, 1, std::net::IpAddr::from([203, 0, 113, 1])),
        streams: vec![Stream::audio(rtp, codecs)],
    }
}

fn relays(sdp: &Sdp) -> Vec<Relay> {
    (0..sdp.media().len() as u16).map(|n| through("203.0.113.7", 20000 + 2 * n)).collect()
}

#[test]
fn every_phone_is_anchored_and_stays_what_it_was() {
    for text in [CHROMIUM, BARESIP, PJSUA, LINPHONE, CISCO] {
        let sdp = parse(text);
        let relay = relays(&sdp);
        let out = rewrite(&sdp, &relay, &Options::default()).expect("rewritten");
        assert_eq!(rewrite(&out, &relay, &Options::default()).as_ref(), Ok(&out), "stable");
        for (before, after) in sdp.media().zip(out.media()) {
            assert_eq!(before.codecs(), after.codecs());
            assert_eq!(before.direction(), after.direction());
            assert_eq!(before.profile(), after.profile());
            assert_eq!(before.rtcp_mux(), after.rtcp_mux());
            assert!(!after.has_ice());
            let at = format!("203.0.113.7:{}", 20000 + 2 * before.index());
            assert_eq!(after.rtp_address(), at.parse().ok(), "{out}");
        }
        let phone_address = sdp.media_at(0).and_then(|m| m.rtp_address()).map(|a| a.ip().to_string());
        let leaks = out.to_string();
        let leaks = leaks.lines().filter(|line| !line.starts_with("o=") && !line.contains("cname"));
        for line in leaks {
            assert!(phone_address.as_ref().is_none_or(|address| !line.contains(address.as_str())), "{line}");
        }
    }
}

#[test]
fn every_plain_phone_can_call_us() {
    for (text, codec, event) in [
        (BARESIP, "opus", Some(97)),
        (PJSUA, "opus", Some(101)),
        (LINPHONE, "opus", Some(101)),
        (CISCO, "PCMU", Some(101)),
    ] {
        let (reply, streams) = answer(&parse(text), &ours()).expect("accepted");
        assert_eq!(streams[0].codec.codec.name, codec, "{reply}");
        assert_eq!(streams[0].telephone_event.as_ref().map(|e| e.send), event, "{reply}");
        assert_eq!(reply.media().len(), parse(text).media().len());
    }
    assert_eq!(answer(&parse(CHROMIUM), &ours()), Err(crate::Refusal::Encrypted));
}

#[test]
fn an_opus_call_with_events_of_8000_hz_keeps_both() {
    // baresip offers events in 8000 Hz only; with PCMU in common too that clock fits.
    let (_, streams) = answer(&parse(BARESIP), &ours()).expect("accepted");
    assert_eq!(streams[0].telephone_event.as_ref().map(|e| e.codec.clock_rate), Some(8000));
}
