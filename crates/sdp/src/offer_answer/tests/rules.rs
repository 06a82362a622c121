//! RFC 3264 and RFC 6337, rule by rule.

use super::*;

#[test]
fn an_offer_lists_what_we_have_in_our_order() {
    let mut local = phone("192.0.2.1:4000", vec![Codec::opus(111), Codec::pcma()]);
    local.streams[0].codecs.push(Codec::telephone_event(101, 8000));
    local.streams[0].rtcp_mux = true;
    assert_eq!(
        offer(&local).to_string(),
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 111 8 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n\
         a=rtcp-mux\r\na=sendrecv\r\n"
    );
}

#[test]
fn an_answer_keeps_the_order_and_the_numbers_of_the_offer() {
    let offer = offered(
        "96 8 0 97",
        "a=rtpmap:96 speex/16000\r\na=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\na=ptime:30\r\n",
    );
    let (answer, streams) = answer(&offer, &phone("192.0.2.1:5000", g711())).expect("accepted");
    assert!(answer.to_string().contains("m=audio 5000 RTP/AVP 8 0 97\r\n"), "{answer}");
    assert!(answer.to_string().contains("a=fmtp:97 0-16\r\n"));
    let stream = &streams[0];
    assert_eq!((stream.codec.codec.name.as_str(), stream.codec.send), ("PCMA", 8));
    assert_eq!(stream.telephone_event.as_ref().map(|e| e.send), Some(97));
    assert_eq!(stream.telephone_event.as_ref().and_then(|e| e.remote_fmtp.as_deref()), Some("0-15"));
    assert_eq!(stream.ptime, 30);
    assert_eq!(stream.remote_rtp, "192.0.2.9:4000".parse().ok());
    assert_eq!(stream.remote_rtcp, "192.0.2.9:4001".parse().ok());
    assert_eq!(stream.local_rtp, "192.0.2.1:5000".parse().ok());
    assert_eq!(stream.received(0).map(|f| f.codec.name.as_str()), Some("PCMU"));
    assert_eq!(stream.received(97).map(|f| f.codec.is_telephone_event()), Some(true));
    assert_eq!(stream.received(96), None);
}

#[test]
fn each_side_sends_the_number_that_the_other_chose() {
    let local = phone("192.0.2.1:5000", vec![Codec::opus(111), Codec::telephone_event(101, 48_000)]);
    let answer = offered(
        "96 100",
        "a=rtpmap:96 OPUS/48000/2\r\na=fmtp:96 stereo=0\r\na=rtpmap:100 telephone-event/48000\r\n",
    );
    let streams = apply_answer(&offer(&local), &answer).expect("fits");
    assert_eq!((streams[0].codec.send, streams[0].codec.receive), (96, 111));
    assert_eq!(streams[0].codec.remote_fmtp.as_deref(), Some("stereo=0"));
    assert_eq!(streams[0].codec.codec.fmtp.as_deref(), Some("useinbandfec=1"));
    assert_eq!(streams[0].telephone_event.as_ref().map(|e| (e.send, e.receive)), Some((100, 101)));
}

#[test]
fn events_follow_the_clock_of_the_chosen_audio() {
    let both = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=rtpmap:102 telephone-event/48000\r\n";
    let mut codecs = g711();
    codecs.push(Codec::opus(111));
    let local = phone("192.0.2.1:5000", codecs);
    let pick = |formats: &str, attributes: &str| {
        let (answer, streams) = answer(&offered(formats, attributes), &local).expect("accepted");
        let formats = answer.media_at(0).map(|m| m.formats().collect::<Vec<_>>().join(" "));
        (formats.unwrap_or_default(), streams[0].telephone_event.as_ref().map(|e| e.send))
    };
    assert_eq!(pick("96 101 102", both), ("96 102".into(), Some(102)));
    assert_eq!(pick("96 0 101 102", both), ("96 0 101 102".into(), Some(102)));
    assert_eq!(pick("0 101 102", both), ("0 101".into(), Some(101)));
    // Only a clock that fits nothing: better than none.
    assert_eq!(pick("96 101", both), ("96 101".into(), Some(101)));
    assert_eq!(pick("0", ""), ("0".into(), None));
}

#[test]
fn comfort_noise_alone_is_no_audio() {
    let mut codecs = g711();
    codecs.push(Codec::comfort_noise());
    let local = phone("192.0.2.1:5000", codecs);
    assert_eq!(answer(&offered("13", ""), &local), Err(Refusal::NoCodec));
    let (_, streams) = answer(&offered("13 0", ""), &local).expect("accepted");
    assert_eq!(streams[0].codec.send, 0);
}

#[test]
fn an_offer_that_fits_nothing_is_refused_with_the_best_reason() {
    let local = phone("192.0.2.1:5000", g711());
    let refused = |media: &str| {
        let text =
            format!("v=0\r\no=- 5 5 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}");
        answer(&parse(&text), &local).expect_err("refused")
    };
    assert_eq!(refused("m=video 4000 RTP/AVP 31\r\n"), Refusal::NoMedia);
    assert_eq!(refused("m=audio 4000 RTP/SAVP 0\r\n"), Refusal::Encrypted);
    assert_eq!(refused("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nm=video 1 RTP/AVP 31\r\n"), Refusal::Encrypted);
    assert_eq!(refused("m=audio 4000 udptl t38\r\n"), Refusal::Profile);
    assert_eq!(refused("m=audio 4000 RTP/AVP 3 18\r\nm=audio 1 RTP/SAVP 0\r\n"), Refusal::NoCodec);
    assert_eq!(Refusal::NoCodec.warning(), (305, "Incompatible media format"));
}

#[test]
fn a_protected_stream_is_offered_answered_and_offered_again_in_its_profile_with_our_keys() {
    let mut local = phone("192.0.2.1:4000", g711());
    local.streams[0].profile = Profile::Savp;
    local.streams[0].attributes = vec![("crypto", "1 SUITE inline:ours".to_owned())];
    assert!(!format!("{local:?}").contains("inline"), "{local:?}");
    let first = offer(&local);
    let (reply, streams) = answer_protected(&first, &phone("192.0.2.2:5000", g711()), |media| {
        assert_eq!(media.cryptos().collect::<Vec<_>>(), ["1 SUITE inline:ours"]);
        Ok(vec![("crypto", "1 SUITE inline:theirs".to_owned())])
    })
    .expect("accepted");
    assert_eq!(streams[0].profile, Profile::Savp);
    let said = reply.to_string();
    assert!(
        said.contains(" RTP/SAVP 0 8 101\r\n") && said.contains("a=crypto:1 SUITE inline:theirs\r\n"),
        "{said}"
    );
    local.streams[0].profile = Profile::Avp;
    assert_eq!(reoffer(&first, &local), first);
}

#[test]
fn of_two_streams_the_one_is_taken_that_is_protected_as_it_should_be() {
    let both = parse(
        "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/SAVP 0\r\na=crypto:1 S k\r\n",
    );
    let must = |media: &Media<'_>| match media.cryptos().next() {
        Some(_) => Ok(vec![("crypto", "1 S k".to_owned())]),
        None => Err(Refusal::Unencrypted),
    };
    let local = phone("192.0.2.1:5000", g711());
    let (_, streams) = answer_protected(&both, &local, must).expect("accepted");
    assert_eq!((streams.len(), streams[0].media_index), (1, 1));
    let plain = parse("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!(answer_protected(&plain, &local, must), Err(Refusal::Unencrypted));
}

#[test]
fn an_offer_without_active_streams_is_answered_alike() {
    let local = phone("192.0.2.1:5000", g711());
    let (reply, streams) = answer(&parse("v=0\r\ns=-\r\n"), &local).expect("RFC 3264 §5 allows none");
    assert_eq!((reply.media().len(), streams.len()), (0, 0));
    let off = parse("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 0 RTP/AVP 0\r\nm=image 0 udptl t38\r\n");
    let (reply, streams) = answer(&off, &local).expect("all turned off");
    assert!(reply.to_string().contains("m=audio 0 RTP/AVP 0\r\nm=image 0 udptl t38\r\n"), "{reply}");
    assert!(streams.is_empty());
}

#[test]
fn the_feedback_profile_is_answered_in_kind() {
    let offer = parse("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVPF 0\r\n");
    let (reply, streams) = answer(&offer, &phone("192.0.2.1:5000", g711())).expect("accepted");
    assert!(reply.to_string().contains("m=audio 5000 RTP/AVPF 0\r\n"));
    assert_eq!(streams[0].profile, Profile::Avpf);
}

#[test]
fn redundancy_is_agreed_for_the_format_that_is_sent() {
    let mut ours = g711();
    ours.push(Codec::redundancy(98, 8000, 1, &[0, 8]));
    let local = phone("192.0.2.1:5000", ours.clone());
    assert!(offer(&local).to_string().contains("a=rtpmap:98 red/8000\r\na=fmtp:98 0/8\r\n"));
    let red = "a=rtpmap:63 red/8000\r\na=fmtp:63 8/8\r\n";
    let (reply, streams) = answer(&offered("8 63", red), &local).expect("accepted");
    assert!(reply.to_string().contains("RTP/AVP 8 63\r\n") && reply.to_string().contains(red), "{reply}");
    let numbers = |stream: &Negotiated| stream.redundancy().map(|one| (one.send, one.receive));
    assert_eq!(numbers(&streams[0]), Some((63, 63)));
    for (formats, not) in [("0 63", "of another format"), ("0", "none")] {
        let (_, streams) = answer(&offered(formats, red), &local).expect("accepted");
        assert_eq!(numbers(&streams[0]), None, "{not}");
    }
    let (_, streams) = answer(&offered("63 0", "a=rtpmap:63 red/8000\r\n"), &local).expect("accepted");
    assert_eq!((streams[0].codec.send, numbers(&streams[0])), (0, None), "it says of nothing");

    let dynamic = vec![Codec::opus(96), Codec::redundancy(97, 48_000, 2, &[96])];
    let local = phone("192.0.2.1:5000", dynamic);
    let theirs = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:97 red/48000/2\r\na=fmtp:97 111/111\r\n";
    let (first, streams) = answer(&offered("111 97", theirs), &local).expect("accepted");
    assert_eq!(numbers(&streams[0]), Some((97, 97)));
    let again = reoffer(&first, &local).to_string();
    assert!(again.contains("a=fmtp:97 111/111\r\n"), "by the numbers of the session: {again}");
}

#[test]
fn multiplexing_needs_both() {
    let mut local = phone("192.0.2.1:5000", g711());
    let muxed = offered("0", "a=rtcp-mux\r\n");
    let (reply, streams) = answer(&muxed, &local).expect("accepted");
    assert!(!reply.to_string().contains("rtcp-mux") && !streams[0].rtcp_mux);
    local.streams[0].rtcp_mux = true;
    let (reply, streams) = answer(&muxed, &local).expect("accepted");
    assert!(reply.to_string().contains("a=rtcp-mux\r\n") && streams[0].rtcp_mux);
    assert_eq!(streams[0].remote_rtcp, streams[0].remote_rtp);
    let (reply, _) = answer(&offered("0", ""), &local).expect("accepted");
    assert!(!reply.to_string().contains("rtcp-mux"));
    let streams = apply_answer(&offer(&local), &offered("0", "a=rtcp:6000\r\n")).expect("fits");
    assert_eq!((streams[0].rtcp_mux, streams[0].remote_rtcp), (false, "192.0.2.9:6000".parse().ok()));
}

#[test]
fn directions_are_mirrored_and_limited_by_our_wish() {
    let reply = |attributes: &str, wish: Direction| {
        let mut local = phone("192.0.2.1:5000", g711());
        local.streams[0].direction = wish;
        answer(&offered("0", attributes), &local).expect("accepted").1[0].direction
    };
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    assert_eq!(reply("", SendRecv), SendRecv);
    assert_eq!(reply("a=sendonly\r\n", SendRecv), RecvOnly);
    assert_eq!(reply("a=recvonly\r\n", SendRecv), SendOnly);
    assert_eq!(reply("a=inactive\r\n", SendRecv), Inactive);
    assert_eq!(reply("", SendOnly), SendOnly);
    assert_eq!(reply("a=sendonly\r\n", SendOnly), Inactive, "both hold (RFC 6337 §5.3)");
    assert_eq!(reply("c=IN IP4 0.0.0.0\r\n", SendRecv), RecvOnly, "hold of RFC 2543");
}

#[test]
fn hold_by_zero_address_leaves_nowhere_to_send() {
    let (reply, streams) =
        answer(&offered("0", "c=IN IP4 0.0.0.0\r\n"), &phone("192.0.2.1:5000", g711())).expect("accepted");
    assert!(reply.to_string().contains("a=recvonly\r\n"));
    assert_eq!((streams[0].remote_rtp, streams[0].remote_rtcp), (None, None));
}

#[test]
fn a_session_refresh_repeats_the_description_unchanged() {
    let local = phone("192.0.2.1:5000", g711());
    let first = offer(&local);
    assert_eq!(reoffer(&first, &local), first);
    // The other side refreshes: our answer is our last one again (RFC 6337 §4.1).
    let (last, _) = answer(&offered("0", ""), &local).expect("accepted");
    let (again, _) = answer(&offered("0", ""), &local).expect("accepted");
    assert_eq!(again.following(&last), last);
    let (held, _) = answer(&offered("0", "a=sendonly\r\n"), &local).expect("accepted");
    assert_eq!(held.following(&last).origin().version, last.origin().version + 1);
}

#[test]
fn payload_types_keep_their_meaning_in_later_offers() {
    // The other side made the first offer, with numbers of its own.
    let mut local = phone("192.0.2.1:5000", vec![Codec::opus(111), Codec::pcma()]);
    local.streams[0].codecs.push(Codec::telephone_event(101, 8000));
    let theirs = offered("96 101", "a=rtpmap:96 telephone-event/8000\r\na=rtpmap:101 opus/48000/2\r\n");
    let (first, _) = answer(&theirs, &local).expect("accepted");
    let next = reoffer(&first, &local);
    assert!(next.to_string().contains("m=audio 5000 RTP/AVP 101 8 96\r\n"), "{next}");
    // 111 is free, but 101 is not: another number is found.
    local.streams[0].codecs = vec![Codec::new(101, "speex", 16_000), Codec::opus(111)];
    let other = reoffer(&first, &local);
    assert!(other.to_string().contains("a=rtpmap:97 speex/16000\r\n"), "{other}");
}

#[test]
fn an_answer_must_fit_its_offer() {
    let ours = offer(&phone("192.0.2.1:5000", g711()));
    let with = |media: &str| parse(&format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{media}"));
    let two = with("m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n");
    assert_eq!(apply_answer(&ours, &two), Err(AnswerError::TooManyMedia));
    assert_eq!(apply_answer(&ours, &with("m=video 4000 RTP/AVP 0\r\n")), Err(AnswerError::KindChanged(0)));
    assert_eq!(apply_answer(&ours, &with("m=audio 4000 RTP/AVP 18\r\n")), Err(AnswerError::NoCodec(0)));
    assert_eq!(apply_answer(&ours, &with("m=audio 0 RTP/AVP 0\r\n")), Ok(Vec::new()));
    assert_eq!(apply_answer(&ours, &with("")), Ok(Vec::new()));
}

#[test]
fn packet_times_stay_within_reason() {
    let ptime = |attributes: &str| {
        let ours = offer(&phone("192.0.2.1:5000", g711()));
        apply_answer(&ours, &offered("0", attributes)).expect("fits")[0].ptime
    };
    assert_eq!(ptime(""), 20);
    assert_eq!(ptime("a=ptime:0\r\n"), 10);
    assert_eq!(ptime("a=ptime:25\r\n"), 20);
    assert_eq!(ptime("a=ptime:60\r\na=maxptime:40\r\n"), 40);
    assert_eq!(ptime("a=maxptime:5\r\n"), 10);
    assert_eq!(ptime("a=ptime:99999999999\r\n"), 20);
    assert_eq!(ptime("a=ptime:4000\r\n"), 200);
}

#[test]
fn streams_on_other_addresses_say_so() {
    let mut local = phone("192.0.2.1:5000", g711());
    let rtp = "[2001:db8::1]:6000".parse().expect("an address");
    local.streams.push(Stream { rtcp_port: 6100, ..Stream::audio(rtp, vec![Codec::pcmu()]) });
    let text = offer(&local).to_string();
    assert!(text.contains("m=audio 6000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n"), "{text}");
    assert!(text.contains("a=rtcp:6100\r\n"));
}
