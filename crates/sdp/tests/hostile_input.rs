//! Whatever arrives: reading ends, and what was read can be anchored and answered.

// The permission for tests does not reach functions outside of `#[test]`.
#![allow(clippy::expect_used)]

use std::net::{IpAddr, SocketAddr};

use offhook_sdp::{
    Capabilities, Codec, Options, Origin, Relay, Sdp, Stream, answer, offer, reoffer, rewrite,
};
use proptest::prelude::*;

const SEEDS: [&str; 3] = [
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\na=ice-lite\r\n\
     m=audio 4000 RTP/AVP 111 0 8 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
     a=rtpmap:101 telephone-event/8000\r\na=rtcp:4001 IN IP4 10.0.0.5\r\na=candidate:1 1 UDP 1 10.0.0.5 4000 typ host\r\n\
     m=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n",
    "v=0\no=a b c 1 x IN IP6 ::1\nm=audio 9/2 RTP/AVPF 0\nc=IN IP4 0.0.0.0\na=sendonly\na=ptime:20",
    "v=0\r\nm=audio 1 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000/1\r\nm=image 4 udptl t38\r\n",
];

fn local() -> Capabilities {
    let rtp = SocketAddr::from(([192, 0, 2, 1], 5000));
    let codecs = vec![Codec::opus(96), Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101, 8000)];
    Capabilities { origin: Origin::new(1, 1, rtp.ip()), streams: vec![Stream::audio(rtp, codecs)] }
}

fn use_it(body: &[u8]) {
    let Ok(sdp) = Sdp::parse(body) else { return };
    for media in sdp.media() {
        let _ = (media.codecs(), media.direction(), media.rtcp_address(), media.ptime(), media.has_ice());
    }
    for address in [IpAddr::from([203, 0, 113, 7]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7])] {
        let relay: Vec<Relay> = sdp
            .media()
            .map(|media| match media.index() % 3 {
                0 => Relay::Through { address, rtp_port: 20000, rtcp_port: 20001 },
                1 => Relay::Off,
                _ => Relay::Direct,
            })
            .collect();
        let options = Options { origin: Some(address), ..Options::default() };
        let once = rewrite(&sdp, &relay, &options).expect("one entry each");
        let again = rewrite(&once, &relay, &options).expect("one entry each");
        assert_eq!(once.as_bytes(), again.as_bytes(), "anchoring twice is anchoring once");
        assert_eq!(Sdp::parse(once.as_bytes()).ok().as_ref().unwrap_or(&once), &once);
        for (before, after) in sdp.media().zip(once.media()) {
            assert_eq!(before.codecs(), after.codecs());
            assert_eq!(before.kind(), after.kind());
            if before.index() % 3 == 0 && before.port() != 0 && !before.has_no_address() {
                assert_eq!(after.rtp_address(), Some(SocketAddr::new(address, 20000)));
            }
        }
    }
    if let Ok((reply, streams)) = answer(&sdp, &local()) {
        assert_eq!(reply.media().len(), sdp.media().len());
        assert_eq!(Sdp::parse(reply.as_bytes()).as_ref(), Ok(&reply));
        assert_eq!(streams.len(), reply.media().filter(|media| media.port() != 0).count());
        let next = reoffer(&reply, &local());
        assert_eq!(Sdp::parse(next.as_bytes()).as_ref(), Ok(&next));
        for (before, after) in reply.media().zip(next.media()) {
            for codec in after.codecs() {
                let same = before.codecs().into_iter().find(|c| c.payload_type == codec.payload_type);
                assert!(same.is_none_or(|same| same.matches(&codec)), "payload types keep their meaning");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        use_it(&body);
        use_it(&[b"v=0\r\n".as_slice(), &body].concat());
    }

    #[test]
    fn lines_in_any_order_are_read_or_refused(
        lines in proptest::collection::vec("[vosciutbrzkam]=[ -~]{0,30}|m=(audio|video) [0-9]{1,5}(/2)? RTP/AVP( [0-9]{1,3}){0,4}|\
            a=(rtpmap|fmtp|rtcp|candidate|ptime|sendonly|inactive|ice-ufrag)(:[ -~]{0,20})?|c=IN IP[46] [0-9.:]{1,12}", 0..24),
        ending in prop_oneof![Just("\r\n"), Just("\n")],
    ) {
        use_it(format!("v=0{ending}{}", lines.join(ending)).as_bytes());
    }

    #[test]
    fn damaged_descriptions_are_read_or_refused(
        seed in 0..SEEDS.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..12),
    ) {
        let mut body = SEEDS[seed].as_bytes().to_vec();
        for (at, byte, how) in damage {
            let at = at.index(body.len().max(1));
            match how {
                0 if at < body.len() => body[at] = byte,
                1 if at < body.len() => { body.remove(at); }
                2 => body.insert(at.min(body.len()), byte),
                _ => body.truncate(at.max(1)),
            }
        }
        use_it(&body);
    }

    #[test]
    fn an_offer_is_what_was_meant(port in 1024..65534u16, session in any::<u64>(), version in any::<u64>()) {
        let mut ours = local();
        ours.origin.session_id = session.to_string();
        ours.origin.version = version;
        ours.streams[0].rtp.set_port(port);
        let made = offer(&ours);
        let read = Sdp::parse(made.as_bytes()).expect("our own");
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.origin(), ours.origin);
        prop_assert_eq!(read.media_at(0).expect("one").codecs(), ours.streams[0].codecs.clone());
    }
}
