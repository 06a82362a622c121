use super::*;
use offhook_media::command::Suite;
use offhook_media::playout::Measures;

fn media(received: u64) -> MediaReport {
    MediaReport {
        codec: "PCMA",
        sent: 250,
        received,
        lost: 0,
        late: 0,
        foreign: 0,
        unauthentic: 0,
        srtp: None,
        dtls: false,
        loss_percent: 0.0,
        jitter_ms: 0.31,
        max_jitter_ms: 1.0,
        round_trip: None,
        peer_loss_percent: None,
        peer_jitter_ms: None,
        mos: (received > 0).then_some(4.41),
        playout: Measures::default(),
    }
}

fn answered() -> Outcome {
    Outcome {
        call_id: "c".into(),
        code: 200,
        reason: "OK".into(),
        by: Side::Us,
        setup: Some(Duration::from_millis(120)),
        talk: Duration::from_secs(5),
        media: Some(media(250)),
        heard: Some(Heard {
            dominant_hz: 440.0,
            share: 0.9,
            level_dbov: -20.0,
            active: 1.0,
            ..Heard::default()
        }),
        interrupted: false,
        silent_peer: false,
    }
}

fn refused(code: u16, by: Side) -> Outcome {
    Outcome { code, by, setup: None, talk: Duration::ZERO, media: None, heard: None, ..answered() }
}

fn exit(outcome: Outcome, expected: Expected) -> u8 {
    Report::new(outcome, &expected).exit.code()
}

#[test]
fn a_call_is_told_in_one_sentence() {
    let report = Report::new(answered(), &Expected::default());
    assert_eq!(
        report.sentence(Language::English),
        "Call ended normally after 5.0 s. Sent 250, received 250, lost 0 (0.0 %), jitter 0.3 ms, MOS 4.4 (good)"
    );
    assert_eq!(
        report.sentence(Language::Chinese),
        "通话正常结束，时长 5.0 秒。发送 250，接收 250，丢失 0 (0.0 %)，抖动 0.3 ms，MOS 4.4（好）"
    );
    let mut encrypted = answered();
    let media = encrypted.media.as_mut().unwrap();
    (media.srtp, media.unauthentic) = (Some(Suite::AesCm128HmacSha1_80), 3);
    let report = Report::new(encrypted, &Expected::default());
    let end =
        "MOS 4.4 (good), encrypted: SDES AES_CM_128_HMAC_SHA1_80, 3 packets not made with the agreed key";
    assert!(report.sentence(Language::English).ends_with(end), "{}", report.sentence(Language::English));
    assert!(
        report.json().contains(r#""srtp":"SDES AES_CM_128_HMAC_SHA1_80","unauthentic":3"#),
        "{}",
        report.json()
    );
    let busy = Report::new(refused(486, Side::Peer), &Expected::default());
    assert_eq!(busy.sentence(Language::English), "Call not connected: 486 OK");
}

#[test]
fn json_has_the_names_of_the_contract() {
    let json: serde_json::Value =
        serde_json::from_str(&Report::new(answered(), &Expected::default()).json()).unwrap();
    assert_eq!((&json["result"], &json["exit_code"], &json["code"]), (&"ok".into(), &0.into(), &200.into()));
    assert_eq!((&json["setup_ms"], &json["duration_ms"]), (&120.into(), &5000.into()));
    assert_eq!(
        (&json["mos"], &json["heard_hz"], &json["jitter_ms"]),
        (&4.4.into(), &440.0.into(), &0.3.into())
    );
    for name in ["reason", "codec", "sent", "received", "lost"] {
        assert!(!json[name].is_null(), "{name}");
    }
}

#[test]
fn a_call_without_sound_is_no_success_unless_it_is_short_or_silence_was_expected() {
    let silent = || Outcome { media: Some(media(0)), heard: Some(Heard::default()), ..answered() };
    assert_eq!(exit(silent(), Expected::default()), 7);
    assert_eq!(exit(Outcome { talk: Duration::from_secs(1), ..silent() }, Expected::default()), 0);
    let silence = Expected { audio: Some(Expectation::Silence), ..Expected::default() };
    assert_eq!(exit(silent(), silence), 0);
    assert_eq!(exit(answered(), silence), 7);
}

#[test]
fn every_expectation_is_checked() {
    let tone = |hz| Expected { audio: Some(Expectation::Tone(hz)), ..Expected::default() };
    assert_eq!((exit(answered(), tone(440.0)), exit(answered(), tone(1000.0))), (0, 7));
    let mos = |min| Expected { min_mos: Some(min), ..Expected::default() };
    assert_eq!((exit(answered(), mos(4.0)), exit(answered(), mos(4.45))), (0, 7));
    let mut lossy = answered();
    lossy.media.as_mut().unwrap().loss_percent = 2.0;
    let loss = |max| Expected { max_loss: Some(max), ..Expected::default() };
    assert_eq!((exit(lossy.clone(), loss(3.0)), exit(lossy, loss(1.0))), (0, 7));
}

#[test]
fn an_expected_refusal_is_a_success_and_another_is_not() {
    let busy = Expected { code: Some(486), ..Expected::default() };
    assert_eq!(exit(refused(486, Side::Peer), busy), 0);
    assert_eq!(exit(refused(404, Side::Peer), busy), 5);
    assert_eq!(exit(answered(), busy), 7);
}

#[test]
fn what_the_network_did_is_told_from_what_a_peer_said() {
    assert_eq!(exit(refused(408, Side::Peer), Expected::default()), 3);
    assert_eq!(exit(refused(408, Side::Network), Expected::default()), 9);
    assert_eq!(exit(Outcome { silent_peer: true, ..refused(487, Side::Us) }, Expected::default()), 9);
    assert_eq!(exit(refused(487, Side::Us), Expected::default()), 3);
    assert_eq!(exit(Outcome { interrupted: true, ..answered() }, Expected::default()), 130);
}

#[test]
fn a_call_that_was_not_even_tried_is_told_with_the_names_of_one_that_was() {
    let names = |text: &str| -> Vec<String> {
        let object: serde_json::Map<_, _> = serde_json::from_str(text).unwrap();
        object.keys().cloned().collect()
    };
    let tried = Report::new(answered(), &Expected::default()).json();
    let untried = failed(&Failure::usage("cannot play it"));
    assert_eq!(names(&untried), names(&tried));
    let object: serde_json::Value = serde_json::from_str(&untried).unwrap();
    assert_eq!((&object["exit_code"], &object["code"]), (&2.into(), &serde_json::Value::Null));
    let refused = Failure { exit: Exit::NotAllowed, text: "not registered".into(), code: Some(401) };
    let object: serde_json::Value = serde_json::from_str(&failed(&refused)).unwrap();
    assert_eq!(object["code"], 401);
}

#[test]
fn what_failed_is_told_in_the_language_that_was_asked_for() {
    let tone = Expected { audio: Some(Expectation::Tone(1000.0)), ..Expected::default() };
    let report = Report::new(answered(), &tone);
    let last = |language| report.sentence(language).lines().last().unwrap().to_owned();
    assert!(last(Language::English).starts_with("Expected tone:1000"), "{}", last(Language::English));
    assert!(last(Language::Chinese).starts_with("期望 tone:1000"), "{}", last(Language::Chinese));
}
