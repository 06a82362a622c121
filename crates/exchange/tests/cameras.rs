//! A call to a camera as its caller sees it: which pictures are agreed on, and what media is told of them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::ALICE;
use bench::{Bench, request, sdp};
use offhook_exchange::services::Camera;
use offhook_media::camera::{CameraId, Coding};
use offhook_media::command::{Command, Order};

/// Calls the camera with this description of video beside the sound; returns the answer's body.
fn call(coding: Option<Coding>, video: &str) -> (Bench, String) {
    let mut bench = Bench::with(|config| {
        config.services.cameras = vec![Camera {
            id: CameraId(7),
            name: "Front door".into(),
            number: "81".into(),
            coding,
            calls: Vec::new(),
            rings_for: Duration::from_secs(30),
        }];
    });
    let offer = format!("{}{video}", sdp("192.0.2.10", 4000));
    let invite = request("INVITE", "sip:81@example.com", "alice", ALICE, "", &offer);
    let ok = bench.authenticated(ALICE, "alice", &invite);
    assert_eq!(ok.status().code(), 200);
    let body = String::from_utf8(ok.body().to_vec()).unwrap();
    (bench, body)
}

/// The payload types under which pictures go to phones.
fn watched(bench: &Bench) -> Vec<Option<u8>> {
    let watch = |command: &Command| match command {
        Command::Order { order: Order::Watch { camera: CameraId(7), payload_type, .. }, .. } => {
            Some(*payload_type)
        }
        _ => None,
    };
    bench.media.iter().filter_map(watch).collect()
}

const BROWSER: &str = "m=video 4002 RTP/AVP 96 97 98\na=rtpmap:96 VP8/90000\na=rtpmap:97 H264/90000\n\
    a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\na=rtpmap:98 H264/90000\n\
    a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\n";

#[test]
fn a_phone_with_video_gets_pictures_in_the_one_format_that_fits() {
    let (bench, answer) = call(Some(Coding::H264), BROWSER);
    let video = &answer[answer.find("m=video").unwrap()..];
    assert!(!video.starts_with("m=video 0") && video.contains("RTP/AVP 98\r\n"), "{answer}");
    assert!(video.contains("a=sendonly") && video.contains("packetization-mode=1"), "{answer}");
    assert!(video.contains("profile-level-id=42e01f"), "{answer}");
    assert_eq!(watched(&bench), [Some(98)]);
}

#[test]
fn a_phone_whose_video_does_not_fit_gets_the_sound_alone() {
    for (coding, video) in [
        (Some(Coding::H265), BROWSER),
        (None, BROWSER),
        (Some(Coding::H264), "m=video 4002 RTP/AVP 97\na=rtpmap:97 H264/90000\n"),
    ] {
        let (bench, answer) = call(coding, video);
        assert!(answer.contains("m=video 0 ") && !answer.contains("m=audio 0 "), "{answer}");
        assert!(watched(&bench).is_empty());
    }
    let (bench, answer) = call(Some(Coding::H264), "");
    assert!(!answer.contains("m=video") && watched(&bench).is_empty(), "{answer}");
}

#[test]
fn a_phone_that_takes_no_pictures_now_is_sent_none() {
    let held = format!("{BROWSER}a=sendonly\n");
    let (bench, answer) = call(Some(Coding::H264), &held);
    assert!(answer.contains("a=inactive"), "{answer}");
    assert_eq!(watched(&bench), [None]);
}
