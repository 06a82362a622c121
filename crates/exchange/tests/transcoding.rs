//! Phones that share no format.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, BOB, answer, invite, ring_with};
use bench::{Bench, in_dialog, reply, sdp, with_sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_media::command::{Command, EventFormat, Translation};
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
