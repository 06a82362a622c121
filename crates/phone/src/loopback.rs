//! Two phones and no server, in one process: they call each other and both hear a tone.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use offhook_media::player::Player;
use offhook_media::recorder::Recorder;
use offhook_media::tone::{Expectation, Tone, analyse};

use crate::{AnswerOptions, CallOptions, Exit, Flags, answer, call};

#[test]
fn two_phones_without_a_server_hear_each_other() {
    let captured = conversation("off", "127.0.0.2:0");
    // Every packet of 20 ms, both ways, and the messages.
    assert!(captured.len() > 20_000);
    assert!(memchr::memmem::find(&captured, b"inline:").is_none());
}

#[test]
fn two_phones_that_must_encrypt_hear_each_other_and_a_capture_has_stars_for_their_keys() {
    let captured = conversation("require", "127.0.0.5:0");
    let keys: Vec<usize> = memchr::memmem::find_iter(&captured, b"inline:").map(|at| at + 7).collect();
    assert!(keys.len() >= 6, "five offered and one answered");
    assert!(keys.iter().all(|at| captured[*at..at + 40].iter().all(|byte| *byte == b'*')));
}

/// A call of a phone to another that gives back the sound. Returns the caller's capture.
fn conversation(srtp: &str, bob: &str) -> Vec<u8> {
    let flags = |local: &str| Flags { srtp: srtp.into(), ..flags(local) };
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    write_tone(&place("tone.wav"), 440.0);

    let answering = AnswerOptions {
        echo: true,
        record: Some(place("heard-by-bob.wav")),
        calls: Some(1),
        expect_audio: Some(Expectation::Tone(440.0)),
        flags: flags(bob),
        ..AnswerOptions::default()
    };
    let (ready, address) = std::sync::mpsc::channel();
    let bob = std::thread::spawn(move || in_runtime(answering, ready));
    let bob_address = address.recv_timeout(PATIENCE).unwrap();

    let exit = call::call(&CallOptions {
        target: format!("sip:bob@{bob_address}"),
        play: Some(place("tone.wav")),
        record: Some(place("heard-by-alice.wav")),
        expect_audio: Some(Expectation::Tone(440.0)),
        flags: Flags { pcap: Some(place("call.pcap")), ..flags("127.0.0.1:0") },
        ..CallOptions::default()
    });
    assert_eq!(exit, Exit::Ok);
    assert_eq!(bob.join().unwrap(), Exit::Ok);
    for name in ["heard-by-bob.wav", "heard-by-alice.wav"] {
        let heard = Player::new(File::open(place(name)).unwrap(), name, false).unwrap();
        let heard = analyse(heard.samples(), 8000);
        assert!(Expectation::Tone(440.0).is_met_by(&heard), "{name}: {heard:?}");
    }
    std::fs::read(place("call.pcap")).unwrap()
}

#[test]
fn a_busy_phone_is_busy_and_that_may_be_what_was_expected() {
    let answering = AnswerOptions {
        code: Some(486),
        calls: Some(2),
        flags: flags("127.0.0.3:0"),
        ..AnswerOptions::default()
    };
    let (ready, address) = std::sync::mpsc::channel();
    let bob = std::thread::spawn(move || in_runtime(answering, ready));
    let target = format!("sip:bob@{}", address.recv_timeout(PATIENCE).unwrap());
    let options = CallOptions { target, flags: flags("127.0.0.1:0"), ..CallOptions::default() };
    assert_eq!(call::call(&options), Exit::Busy);
    assert_eq!(call::call(&CallOptions { expect: Some(486), ..options }), Exit::Ok);
    assert_eq!(bob.join().unwrap(), Exit::Ok);
}

#[test]
fn a_call_that_was_to_be_refused_ends_when_it_is_answered() {
    let answering =
        AnswerOptions { echo: true, calls: Some(1), flags: flags("127.0.0.4:0"), ..AnswerOptions::default() };
    let (ready, address) = std::sync::mpsc::channel();
    let bob = std::thread::spawn(move || in_runtime(answering, ready));
    let target = format!("sip:bob@{}", address.recv_timeout(PATIENCE).unwrap());
    let options =
        CallOptions { target, flags: flags("127.0.0.1:0"), expect: Some(486), ..CallOptions::default() };
    assert_eq!(call::call(&options), Exit::Expectation);
    bob.join().unwrap();
}

#[test]
fn a_name_that_does_not_exist_is_a_network_failure() {
    let options = CallOptions {
        target: "sip:x@nowhere.invalid".into(),
        flags: flags("127.0.0.1:0"),
        ..CallOptions::default()
    };
    assert_eq!(call::call(&options), Exit::Network);
}

fn in_runtime(options: AnswerOptions, ready: std::sync::mpsc::Sender<std::net::SocketAddr>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (told, hears) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { ready.send(hears.await.unwrap()).unwrap() });
        answer::serve(&options, Some(told)).await.unwrap()
    })
}

fn flags(local: &str) -> Flags {
    Flags {
        transport: "udp".into(),
        srtp: "off".into(),
        local: Some(local.into()),
        timeout: Some(PATIENCE),
        ..Flags::default()
    }
}

fn write_tone(place: &Path, hz: f32) {
    let mut samples = vec![0; 3 * 8000];
    Tone::sine(hz, -10.0, 8000).fill(&mut samples);
    let mut recorder = Recorder::new(File::create(place).unwrap(), 8000).unwrap();
    recorder.write(&samples).unwrap();
    recorder.finish().unwrap();
}

/// Far longer than anything takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);
