//! The exchanges of RFC 4317 that an endpoint with our streams can have.

use super::*;

fn alice(lines: &str) -> Sdp {
    parse(&format!(
        "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.atlanta.example.com\r\ns=\r\n\
         c=IN IP4 host.atlanta.example.com\r\nt=0 0\r\n{lines}"
    ))
}

fn ilbc() -> Codec {
    Codec::new(97, "iLBC", 8000)
}

fn video(port: u16) -> Stream {
    Stream {
        kind: MediaKind::Video,
        ptime: None,
        ..Stream::audio(
            SocketAddr::from(([192, 0, 2, 2], port)),
            vec![Codec::new(32, "MPV", 90_000), Codec::new(31, "H261", 90_000)],
        )
    }
}

fn bob(codecs: Vec<Codec>, with_video: bool) -> Capabilities {
    let mut local = phone("192.0.2.2:49174", codecs);
    local.streams.extend(with_video.then(|| video(49170)));
    local
}

const AUDIO_VIDEO: &str = "m=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:97 iLBC/8000\r\nm=video 51372 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n\
    a=rtpmap:32 MPV/90000\r\n";

#[test]
fn audio_and_video_1_and_2_each_stream_gets_the_format_of_the_answerer() {
    // §2.1: one codec each.
    let mut local = bob(vec![Codec::pcmu()], true);
    local.streams[1].codecs.truncate(1);
    let (answer, streams) = super::super::answer(&alice(AUDIO_VIDEO), &local).expect("accepted");
    assert_eq!(streams.len(), 2);
    assert_eq!((streams[0].codec.send, streams[1].codec.send), (0, 32));
    assert_eq!(answer.media_at(0).map(|m| m.formats().collect::<Vec<_>>()), Some(vec!["0"]));
    // §2.2: several; the offer's order holds.
    let (answer, streams) =
        super::super::answer(&alice(AUDIO_VIDEO), &bob(vec![ilbc(), Codec::pcmu()], true)).expect("accepted");
    assert_eq!(answer.media_at(0).map(|m| m.formats().collect::<Vec<_>>()), Some(vec!["0", "97"]));
    assert_eq!(streams[0].others.len(), 1);
}

#[test]
fn audio_and_video_3_a_rejected_stream_keeps_its_place_with_port_0() {
    let (answer, streams) =
        super::super::answer(&alice(AUDIO_VIDEO), &bob(vec![Codec::pcmu()], false)).expect("accepted");
    assert_eq!(streams.len(), 1);
    let text = answer.to_string();
    assert!(text.contains("m=audio 49174 RTP/AVP 0\r\n"), "{text}");
    assert!(text.contains("m=video 0 RTP/AVP 31 32\r\n"), "{text}");
}

#[test]
fn audio_only_1_events_are_answered_beside_the_chosen_audio() {
    // §3.1, in the form of two m-lines: the second (events alone) is not ours.
    let offer = alice(
        "m=audio 49170 RTP/AVP 0 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:97 iLBC/8000\r\n\
         m=audio 49172 RTP/AVP 98\r\na=rtpmap:98 telephone-event/8000\r\na=sendonly\r\n",
    );
    let (answer, streams) =
        super::super::answer(&offer, &bob(vec![ilbc(), Codec::telephone_event(101, 8000)], false))
            .expect("ok");
    assert_eq!(streams[0].codec.codec.name, "iLBC");
    assert!(streams[0].telephone_event.is_none());
    assert_eq!(answer.media_at(1).map(|m| m.port()), Some(0));
    // The answer of the RFC, applied at the caller.
    let bob = parse(
        "v=0\r\no=bob 2808844564 2808844564 IN IP4 192.0.2.2\r\ns=\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
         m=audio 49172 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\nm=audio 49174 RTP/AVP 98\r\n\
         a=rtpmap:98 telephone-event/8000\r\na=recvonly\r\n",
    );
    // A stream of events alone is nothing that we can use.
    assert_eq!(apply_answer(&offer, &bob), Err(AnswerError::NoCodec(1)));
}

#[test]
fn audio_only_2_two_like_streams_take_two_of_ours_or_one() {
    let offer = alice(
        "m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=audio 51372 RTP/AVP 97 101\r\n\
         a=rtpmap:97 iLBC/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
    );
    let local = bob(vec![ilbc(), Codec::telephone_event(96, 8000)], false);
    let (answer, streams) = super::super::answer(&offer, &local).expect("the second fits");
    assert_eq!(answer.media_at(0).map(|m| m.port()), Some(0));
    assert_eq!(streams[0].media_index, 1);
    assert_eq!(streams[0].telephone_event.as_ref().map(|e| (e.send, e.receive)), Some((101, 101)));
}

#[test]
fn hold_and_unhold_1_mirrors_the_direction() {
    let offer = alice("m=audio 49170 RTP/AVP 0 97\r\na=rtpmap:97 iLBC/8000\r\n");
    let local = bob(vec![Codec::pcmu()], false);
    let (first, _) = super::super::answer(&offer, &local).expect("ok");
    // §4.1: Bob holds; Alice answers recvonly.
    let mut held = local.clone();
    held.streams[0].direction = held.streams[0].direction.held();
    let hold = reoffer(&first, &held);
    assert!(hold.to_string().contains("a=sendonly\r\n"));
    assert_eq!(hold.origin().version, first.origin().version + 1);
    let alice_side = phone("192.0.2.1:49170", vec![Codec::pcmu()]);
    let (answer, streams) = super::super::answer(&hold, &alice_side).expect("ok");
    assert!(answer.to_string().contains("a=recvonly\r\n"));
    assert_eq!(streams[0].direction, Direction::RecvOnly);
    let bobs = apply_answer(&hold, &answer).expect("ok");
    assert_eq!(bobs[0].direction, Direction::SendOnly);
    // And takes off hold.
    held.streams[0].direction = held.streams[0].direction.resumed();
    let resume = reoffer(&hold, &held);
    assert!(resume.to_string().contains("a=sendrecv\r\n"));
    assert_eq!(resume.origin().version, first.origin().version + 2);
}

#[test]
fn addition_and_deletion_1_a_second_stream_joins_and_a_stream_ends() {
    // §5.1: the caller adds a stream with events in a later offer.
    let local = phone("192.0.2.1:49170", vec![Codec::pcmu(), ilbc()]);
    let first = offer(&local);
    let mut more = local.clone();
    more.streams.push(Stream {
        codecs: vec![Codec::telephone_event(98, 8000)],
        direction: Direction::SendOnly,
        ..Stream::audio(SocketAddr::from(([192, 0, 2, 1], 49172)), Vec::new())
    });
    let second = reoffer(&first, &more);
    assert_eq!(second.media().len(), 2);
    assert_eq!(second.origin().version, 2);
    // §5.2: and removes it: the m-line stays with port 0, for ever.
    let third = reoffer(&second, &local);
    assert_eq!(third.media().map(|m| m.port()).collect::<Vec<_>>(), [49170, 0]);
    let fourth = reoffer(&third, &local);
    assert_eq!(fourth, third, "nothing changed, not even the version");
}
