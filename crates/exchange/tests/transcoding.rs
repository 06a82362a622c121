//! Phones that share no format.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, BOB, answer, call, invite, ring_with};
use bench::{Bench, in_dialog, reply, sdp, with_sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_media::command::{Command, EventFormat, Press, SideName, Translation};
use offhook_sdp::Sdp;

fn anchored() -> Bench {
    Bench::with(|config| config.anchor = AnchorPolicy::Always)
}

/// Opus with events in its own clock.
fn opus(address: &str, port: u16) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 96 97\n\
         a=rtpmap:96 opus/48000/2\na=fmtp:96 minptime=10\na=rtpmap:97 telephone-event/48000\na=ptime:20\n"
    )
}

/// What the relay was asked to translate last.
fn translations(bench: &Bench) -> Option<Option<Box<[Translation; 2]>>> {
    bench.media.iter().rev().find_map(|one| match one {
        Command::Transcode { translations, .. } => Some(translations.clone()),
        _ => None,
    })
}

#[test]
fn an_offer_without_what_every_phone_knows_gains_it_and_the_answer_is_in_the_offerers_words() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, &opus("192.0.2.10", 4000));
    let shown = Sdp::parse(got.body()).unwrap();
    let names: Vec<_> = shown.media_at(0).unwrap().codecs().iter().map(|one| one.encoding()).collect();
    let expected = [
        "opus/48000/2",
        "telephone-event/48000",
        "G722/8000",
        "telephone-event/8000",
        "PCMA/8000",
        "PCMU/8000",
    ];
    assert_eq!(names, expected);
    // The answer has another number for its events than the offer.
    let (_, ok) =
        answer(&mut bench, &got, &sdp("192.0.2.20", 6000).replace("0 8 101", "0 110").replace("101", "110"));
    let told = String::from_utf8_lossy(ok.body()).into_owned();
    assert!(told.contains(" RTP/AVP 96 97\r\n") && !told.contains("PCM"), "{told}");
    assert!(
        told.contains("a=rtpmap:96 opus/48000/2\r\n")
            && told.contains("a=rtpmap:97 telephone-event/48000\r\n")
    );
    let [there, back] = *translations(&bench).unwrap().unwrap();
    assert_eq!((there.from.codec.name, there.from.payload_type), ("opus", 96));
    assert_eq!((there.to.codec.name, there.to.payload_type), ("PCMU", 0));
    let events = |payload_type, clock_rate| Some(EventFormat { payload_type, clock_rate });
    assert_eq!((there.from.event, there.to.event), (events(97, 48_000), events(110, 8_000)));
    assert_eq!((back.from.event, back.to.event), (events(101, 8_000), events(97, 48_000)));
    assert_eq!((back.from.payload_type, back.to.payload_type), (0, 96));
}

#[test]
fn a_format_in_common_passes_as_it_is() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, &opus("192.0.2.10", 4000));
    let (_, ok) = answer(&mut bench, &got, &opus("192.0.2.20", 6000).replace("96 97", "96 97 8"));
    assert!(
        String::from_utf8_lossy(ok.body()).contains(" RTP/AVP 96 97\r\n"),
        "what was not offered is left out"
    );
    assert_eq!(translations(&bench), None);
    let mut bench = anchored();
    let got = ring_with(&mut bench, &sdp("192.0.2.10", 4000));
    assert!(
        String::from_utf8_lossy(got.body()).contains(" RTP/AVP 0 8 101\r\n"),
        "nothing is added without need"
    );
}

#[test]
fn a_phone_that_refuses_the_formats_of_a_direct_call_is_offered_all_that_can_be_translated() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Auto);
    bench.register("bob", BOB);
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    let got = bench.request(BOB);
    assert!(bench.open_streams().is_empty());
    bench.send(BOB, &reply(&got, 488, "tbob", "", ""));
    let got = bench.request(BOB);
    assert!(String::from_utf8_lossy(got.body()).contains(" RTP/AVP 0 8 101 111 "));
    let (got, ok) = answer(&mut bench, &got, &opus("192.0.2.20", 6000).replace("96", "111"));
    assert!(String::from_utf8_lossy(ok.body()).contains(" RTP/AVP 0 101\r\n"));
    assert!(translations(&bench).unwrap().is_some());
    // Later he has one of hers too.
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &sdp("192.0.2.10", 4000)));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 200, "tbob", "", &sdp("192.0.2.20", 6000)));
    assert_eq!(translations(&bench), Some(None));
}

/// A key that Alice or Bob presses by an INFO, after the requests of a call.
fn info(
    cseq: u32,
    call: &(offhook_sip::Request, offhook_sip::Response),
    by_caller: bool,
    body: &str,
) -> String {
    let at = if by_caller { ALICE } else { BOB };
    let text = in_dialog("INFO", cseq, &call.0, &call.1, by_caller, at);
    with_sdp(&text, body).replace("application/sdp", "application/dtmf-relay")
}

/// What the relay was told of keys: to whom, as which event, which key.
fn presses(bench: &Bench) -> Vec<(SideName, EventFormat, Press)> {
    let press = |one: &Command| match one {
        Command::Press { to, format, press, .. } => Some((*to, *format, *press)),
        _ => None,
    };
    bench.media.iter().filter_map(press).collect()
}

#[test]
fn a_key_by_info_goes_into_the_sound_of_a_phone_that_takes_events() {
    let mut bench = anchored();
    let call = call(&mut bench);
    bench.send(ALICE, &info(3, &call, true, "Signal=5\nDuration=120\n"));
    assert_eq!(bench.response(ALICE).status().code(), 200);
    bench.send(BOB, &info(1, &call, false, "Signal=#\nDuration=80\n"));
    assert_eq!(bench.response(BOB).status().code(), 200);
    let format = EventFormat { payload_type: 101, clock_rate: 8_000 };
    let press = |event, duration_ms| Press { event, duration_ms };
    let expected = [(SideName::B, format, press(5, 120)), (SideName::A, format, press(11, 80))];
    assert_eq!(presses(&bench), expected);
    // What is no key, and what cannot be told in the sound, goes to the other phone.
    bench.send(ALICE, &info(4, &call, true, "Signal=hello\n"));
    assert_eq!(bench.request(BOB).body(), b"Signal=hello\r\n");
    let held = |address, port| sdp(address, port).replace("sendrecv", "inactive");
    bench.send(
        ALICE,
        &with_sdp(&in_dialog("INVITE", 5, &call.0, &call.1, true, ALICE), &held("192.0.2.10", 4000)),
    );
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 200, "tbob", "", &held("192.0.2.20", 6000)));
    bench.response(ALICE);
    bench.send(ALICE, &info(6, &call, true, "Signal=5\n"));
    assert_eq!(bench.request(BOB).method().as_str(), "INFO");
    assert_eq!(presses(&bench).len(), 2);
}

#[test]
fn a_key_by_info_reaches_a_phone_without_events_as_it_came() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, &sdp("192.0.2.10", 4000));
    let call = answer(&mut bench, &got, &sdp("192.0.2.20", 6000).replace(" 101", ""));
    bench.send(ALICE, &info(3, &call, true, "Signal=5\n"));
    assert_eq!(bench.request(BOB).body(), b"Signal=5\r\n");
    assert_eq!(presses(&bench), []);
}

#[test]
fn a_phone_without_events_gets_tones_and_its_info_becomes_events() {
    let mut bench = anchored();
    let offer =
        opus("192.0.2.10", 4000).replace("96 97", "96").replace("a=rtpmap:97 telephone-event/48000\n", "");
    let got = ring_with(&mut bench, &offer);
    assert!(String::from_utf8_lossy(got.body()).contains("telephone-event/8000"));
    let call = answer(&mut bench, &got, &sdp("192.0.2.20", 6000));
    let told = String::from_utf8_lossy(call.1.body()).into_owned();
    assert!(told.contains(" RTP/AVP 96\r\n"), "she has offered no events: {told}");
    let [there, back] = *translations(&bench).unwrap().unwrap();
    let events = EventFormat { payload_type: 101, clock_rate: 8_000 };
    assert_eq!((there.from.event, there.to.event), (None, Some(events)));
    assert_eq!((back.from.event, back.to.event), (Some(events), None));
    bench.send(ALICE, &info(3, &call, true, "Signal=9\nDuration=100\n"));
    assert_eq!(bench.response(ALICE).status().code(), 200);
    assert_eq!(presses(&bench), [(SideName::B, events, Press { event: 9, duration_ms: 100 })]);
}

#[test]
fn events_that_were_only_added_are_translated_even_if_the_sound_needs_it_not() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Auto);
    bench.register("bob", BOB);
    let silent =
        sdp("192.0.2.10", 4000).replace(" 101", "").replace("a=rtpmap:101 telephone-event/8000\n", "");
    bench.authenticated(ALICE, "alice", &invite(&silent));
    let got = bench.request(BOB);
    bench.send(BOB, &reply(&got, 488, "tbob", "", ""));
    let got = bench.request(BOB);
    let shown = Sdp::parse(got.body()).unwrap();
    let events =
        shown.media_at(0).unwrap().codecs().into_iter().find(|one| one.encoding() == "telephone-event/8000");
    let number = events.unwrap().payload_type;
    let (_, ok) = answer(&mut bench, &got, &sdp("192.0.2.20", 6000).replace("101", &number.to_string()));
    assert!(String::from_utf8_lossy(ok.body()).contains(" RTP/AVP 0\r\n"));
    let [there, back] = *translations(&bench).unwrap().unwrap();
    assert_eq!((there.from.codec.name, there.to.codec.name), ("PCMU", "PCMU"));
    assert_eq!((there.to.event.is_some(), back.to.event), (true, None));
}

#[test]
fn a_call_without_a_codec_in_common_says_what_each_phone_has() {
    let g729 = sdp("192.0.2.10", 4000).replace(" 0 8 101", " 18 101");
    let gsm = sdp("192.0.2.20", 6000).replace(" 0 8 101", " 3");
    let twice = sdp("192.0.2.20", 6000).replace(" 0 8 101", " 18");
    for (known, expected) in [
        (
            gsm.as_str(),
            "305 offhook \"No codec in common: offered G729; the phone knows GSM; translated are opus G722 PCMA PCMU\"",
        ),
        ("", "399 offhook \"Offered G729; the phone refused and did not say what it knows\""),
        (twice.as_str(), ""),
    ] {
        let mut bench = anchored();
        bench.register("bob", BOB);
        bench.authenticated(ALICE, "alice", &invite(&g729));
        // Until there is nothing left to offer.
        let answer = loop {
            match bench
                .take(BOB)
                .into_iter()
                .find(|one| one.as_request().is_some_and(|one| one.method().as_str() == "INVITE"))
            {
                Some(got) => bench.send(BOB, &reply(got.as_request().unwrap(), 488, "tbob", "", known)),
                None => break bench.response(ALICE),
            }
        };
        assert_eq!(
            (answer.status().code(), bench::raw(&answer, offhook_sip::Name::Warning).as_str()),
            (488, expected)
        );
    }
}
