//! Key frames: whoever sends pictures is asked for a whole one when somebody new sees them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use bench::call::{ALICE, BOB, answer, ring_with};
use bench::{Bench, in_dialog, reply, sdp, with_sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_media::command::{Command, KeyFrameRequest, SideName};
use offhook_sip::{Request, Response};

use SideName::{A, B};

fn anchored() -> Bench {
    Bench::with(|config| config.anchor = AnchorPolicy::Always)
}

fn video(port: u16, more: &str) -> String {
    format!("m=video {port} RTP/AVPF 96\na=rtpmap:96 VP8/90000\n{more}")
}

/// Who was asked since the last time, and how.
fn asked(bench: &mut Bench, seen: &mut usize) -> Vec<(SideName, KeyFrameRequest)> {
    let from = std::mem::replace(seen, bench.media.len());
    let request = |command: &Command| match command {
        Command::KeyFrame { of, by, .. } => Some((*of, *by)),
        _ => None,
    };
    bench.media[from..].iter().filter_map(request).collect()
}

/// Alice offers again, Bob answers.
fn again(bench: &mut Bench, (got, ok): &(Request, Response), cseq: u32, offer: &str, answer: &str) {
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", cseq, got, ok, true, ALICE), offer));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 200, "tbob", "", answer));
    bench.send(ALICE, &in_dialog("ACK", cseq, got, ok, true, ALICE));
    bench.take_all();
}

#[test]
fn both_are_asked_when_the_call_is_answered_and_whoever_is_held_when_he_is_resumed() {
    let (mut bench, mut seen) = (anchored(), 0);
    let alice = |more: &str| sdp("192.0.2.10", 4000) + &video(4002, more);
    let bob = |more: &str| sdp("192.0.2.20", 6000) + &video(6002, more);
    let (pli, fir) = ("a=rtcp-fb:96 nack pli\n", "a=rtcp-fb:96 ccm fir\n");
    let got = ring_with(&mut bench, &alice(pli));
    assert_eq!(asked(&mut bench, &mut seen), [], "nobody has agreed to anything");
    let call = answer(&mut bench, &got, &bob(fir));
    assert_eq!(asked(&mut bench, &mut seen), [(A, KeyFrameRequest::Pli), (B, KeyFrameRequest::Fir)]);
    again(&mut bench, &call, 3, &alice(&format!("{pli}a=sendonly\n")), &bob(&format!("{fir}a=recvonly\n")));
    assert_eq!(asked(&mut bench, &mut seen), [], "Bob sees what he saw, and Alice sees nothing");
    again(&mut bench, &call, 4, &alice(pli), &bob(fir));
    assert_eq!(asked(&mut bench, &mut seen), [(B, KeyFrameRequest::Fir)], "Alice sees again");
    again(&mut bench, &call, 5, &alice(pli), &bob(fir));
    assert_eq!(asked(&mut bench, &mut seen), [], "a refresh changes nothing");
}

#[test]
fn a_viewer_at_another_address_needs_a_picture() {
    let (mut bench, mut seen) = (anchored(), 0);
    let alice = |port| sdp("192.0.2.10", 4000) + &video(port, "");
    let bob = sdp("192.0.2.20", 6000) + &video(6002, "");
    let got = ring_with(&mut bench, &alice(4002));
    let call = answer(&mut bench, &got, &bob);
    asked(&mut bench, &mut seen);
    again(&mut bench, &call, 3, &alice(4010), &bob);
    assert_eq!(asked(&mut bench, &mut seen), [(B, KeyFrameRequest::Pli)]);
}

#[test]
fn pictures_that_are_added_are_asked_for_and_a_refused_offer_asks_nobody() {
    let (mut bench, mut seen) = (anchored(), 0);
    let (alice, bob) = (sdp("192.0.2.10", 4000), sdp("192.0.2.20", 6000));
    let got = ring_with(&mut bench, &alice);
    let call = answer(&mut bench, &got, &bob);
    let added = [alice.clone() + &video(4002, ""), bob.clone() + &video(6002, "a=recvonly\n")];
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &call.0, &call.1, true, ALICE), &added[0]));
    let offered = bench.request(BOB);
    bench.send(BOB, &reply(&offered, 488, "tbob", "", ""));
    assert_eq!(asked(&mut bench, &mut seen), []);
    again(&mut bench, &call, 4, &added[0], &added[1]);
    assert_eq!(asked(&mut bench, &mut seen), [(A, KeyFrameRequest::Pli)], "Bob sees, and shows nothing");
}

#[test]
fn a_phone_that_asks_by_signalling_has_the_other_asked_in_its_media_too() {
    let (mut bench, mut seen) = (anchored(), 0);
    let got = ring_with(&mut bench, &(sdp("192.0.2.10", 4000) + &video(4002, "")));
    let (got, ok) = answer(&mut bench, &got, &(sdp("192.0.2.20", 6000) + &video(6002, "")));
    asked(&mut bench, &mut seen);
    let xml = "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>";
    let info = in_dialog("INFO", 3, &got, &ok, true, ALICE).replace(
        "Content-Length: 0\n\n",
        &format!("Content-Type: application/media_control+xml\nContent-Length: {}\n\n{xml}", xml.len()),
    );
    bench.send(ALICE, &info);
    assert_eq!(bench.request(BOB).body(), xml.as_bytes());
    assert_eq!(asked(&mut bench, &mut seen), [(B, KeyFrameRequest::Pli)]);
}
