//! Calls whose media goes through us: every way in which ports are lent comes to an end.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;

use std::time::Duration;

use bench::call::{ALICE, BOB, BOB_TOO, EVE, answer, call, invite, ring, ring_with};
use bench::{Bench, in_dialog, reply, sdp, with_sdp};
use offhook_exchange::config::AnchorPolicy;
use offhook_exchange::io::Input;
use offhook_media::command::{Command, Refusal, Report, SideName};

fn anchored() -> Bench {
    Bench::with(|config| config.anchor = AnchorPolicy::Always)
}

fn video(port: u16) -> String {
    format!("m=video {port} RTP/AVP 96\na=rtpmap:96 VP8/90000\n")
}

/// Nothing is left after everything has timed out and the relay has closed what it was told to.
fn assert_idle(bench: &mut Bench) {
    bench.relay();
    bench.pass(Duration::from_secs(400));
    bench.relay();
    assert!(bench.shard.is_idle(), "{:?}, streams {:?}", bench.status(), bench.open_streams());
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.status().free_ports, 8);
}

#[test]
fn a_stream_that_is_turned_off_in_a_refused_offer_goes_on() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, &(sdp("192.0.2.10", 4000) + &video(4002)));
    let (got, ok) = answer(&mut bench, &got, &(sdp("192.0.2.20", 6000) + &video(6002)));
    let streams = bench.open_streams();
    assert_eq!(streams.len(), 2);
    let off = in_dialog("INVITE", 3, &got, &ok, true, ALICE);
    bench.send(ALICE, &with_sdp(&off, &(sdp("192.0.2.10", 4000) + &video(0))));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 488, "tbob", "", ""));
    assert_eq!(bench.codes(ALICE), [100, 488]);
    assert_eq!(bench.open_streams(), streams);
    assert_eq!(bench.remote(streams[1], SideName::A).rtp, Some("192.0.2.10:4002".parse().unwrap()));
    // Accepted, it ends.
    bench.send(ALICE, &with_sdp(&off.replace("INVITE3", "INVITE4"), &(sdp("192.0.2.10", 4000) + &video(0))));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 200, "tbob", "", &(sdp("192.0.2.20", 6000) + &video(0))));
    assert_eq!(bench.open_streams(), &streams[..1]);
    // And may begin again.
    bench.send(
        BOB,
        &with_sdp(&in_dialog("INVITE", 1, &got, &ok, false, BOB), &(sdp("192.0.2.20", 6000) + &video(6004))),
    );
    let asked = bench.request(ALICE);
    bench.send(ALICE, &reply(&asked, 200, "", "", &(sdp("192.0.2.10", 4000) + &video(4004))));
    assert_eq!(bench.open_streams().len(), 2);
    bench.send(ALICE, &in_dialog("BYE", 9, &got, &ok, true, ALICE));
    assert_idle(&mut bench);
}

#[test]
fn a_stream_that_the_answer_rejects_is_closed() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, &(sdp("192.0.2.10", 4000) + &video(4002)));
    assert_eq!(bench.open_streams().len(), 2);
    let (got, ok) = answer(&mut bench, &got, &(sdp("192.0.2.20", 6000) + &video(0)));
    assert_eq!(bench.open_streams().len(), 1);
    bench.send(BOB, &in_dialog("BYE", 1, &got, &ok, false, BOB));
    assert_idle(&mut bench);
}

#[test]
fn an_offer_for_which_no_port_is_free_changes_nothing() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let streams = bench.open_streams();
    let more: String = (0..4).map(|n| video(4010 + 2 * n)).collect();
    let offer = with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &(sdp("192.0.2.10", 4444) + &more));
    bench.send(ALICE, &offer);
    assert_eq!(bench.codes(ALICE), [503]);
    assert_eq!(bench.open_streams(), streams);
    assert_eq!(bench.remote(streams[0], SideName::A).rtp, Some("192.0.2.10:4000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 9, &got, &ok, true, ALICE));
    assert_idle(&mut bench);
}

#[test]
fn offers_of_both_at_once_that_both_refuse_change_nothing() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let stream = bench.open_streams()[0];
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &sdp("192.0.2.10", 4444)));
    let to_bob = bench.request(BOB);
    bench.send(BOB, &with_sdp(&in_dialog("INVITE", 1, &got, &ok, false, BOB), &sdp("192.0.2.20", 6666)));
    let to_alice = bench.request(ALICE);
    bench.send(BOB, &reply(&to_bob, 491, "", "", ""));
    bench.send(ALICE, &reply(&to_alice, 491, "", "", ""));
    assert_eq!(bench.remote(stream, SideName::A).rtp, Some("192.0.2.10:4000".parse().unwrap()));
    assert_eq!(bench.remote(stream, SideName::B).rtp, Some("192.0.2.20:6000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 9, &got, &ok, true, ALICE));
    assert_idle(&mut bench);
}

#[test]
fn capabilities_in_a_refusal_are_no_answer() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let stream = bench.open_streams()[0];
    bench.send(ALICE, &in_dialog("INVITE", 3, &got, &ok, true, ALICE));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 488, "tbob", "", &sdp("203.0.113.9", 6000)));
    assert_eq!(bench.codes(ALICE), [100, 488]);
    assert_eq!(bench.remote(stream, SideName::B).rtp, Some("192.0.2.20:6000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 9, &got, &ok, true, ALICE));
    assert_idle(&mut bench);
}

#[test]
fn an_offer_in_the_answer_is_relayed_and_its_answer_in_the_ack_too() {
    let mut bench = anchored();
    let got = ring_with(&mut bench, "");
    bench.send(
        BOB,
        &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    let ok = bench.response(ALICE);
    let offer = String::from_utf8_lossy(ok.body()).into_owned();
    assert!(offer.contains("c=IN IP4 192.0.2.1\r\n") && offer.contains("m=audio 20000 "), "{offer}");
    bench.send(ALICE, &with_sdp(&in_dialog("ACK", 2, &got, &ok, true, ALICE), &sdp("192.0.2.10", 4000)));
    let ack = bench.request(BOB);
    let answer = String::from_utf8_lossy(ack.body()).into_owned();
    assert!(answer.contains("c=IN IP4 192.0.2.1\r\n") && answer.contains("m=audio 20002 "), "{answer}");
    let stream = bench.open_streams()[0];
    assert_eq!(bench.remote(stream, SideName::A).rtp, Some("192.0.2.10:4000".parse().unwrap()));
    bench.send(BOB, &in_dialog("BYE", 1, &got, &ok, false, BOB));
    assert_idle(&mut bench);
}

#[test]
fn an_early_update_moves_the_media_and_a_cancelled_call_gives_its_ports_back() {
    let mut bench = anchored();
    let got = ring(&mut bench);
    bench.send(
        BOB,
        &reply(&got, 183, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), &sdp("192.0.2.20", 6000)),
    );
    let early = bench.response(ALICE);
    let update = in_dialog("UPDATE", 3, &got, &early, true, ALICE);
    bench.send(ALICE, &with_sdp(&update, &sdp("192.0.2.10", 4444)));
    let asked = bench.request(BOB);
    bench.send(BOB, &reply(&asked, 200, "tbob", "", &sdp("192.0.2.20", 6000)));
    let stream = bench.open_streams()[0];
    assert_eq!(bench.remote(stream, SideName::A).rtp, Some("192.0.2.10:4444".parse().unwrap()));
    let cancel = invite("").replace("INVITE", "CANCEL").replace("z9hG4bKCANCELalice1", "z9hG4bKINVITEalice2");
    bench.send(ALICE, &cancel.replace("CSeq: 1", "CSeq: 2"));
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert_idle(&mut bench);
}

#[test]
fn two_phones_that_answer_at_once_have_media_each_until_one_is_hung_up() {
    let mut bench = Bench::with(|config| {
        config.anchor = AnchorPolicy::Always;
        config.max_calls_per_account = 1;
    });
    let contacts = format!("Contact: <sip:bob@{BOB}>, <sip:bob@{BOB_TOO}>\n");
    bench.authenticated(BOB, "bob", &bench::register("bob", BOB, &contacts));
    bench.authenticated(ALICE, "alice", &invite(&sdp("192.0.2.10", 4000)));
    let (one, two) = (bench.request(BOB), bench.request(BOB_TOO));
    bench.take(ALICE);
    let contact = |at: &str| format!("Contact: <sip:bob@{at}>\n");
    bench.send(BOB, &reply(&one, 200, "one", &contact(BOB), &sdp("192.0.2.20", 6000)));
    let first = bench.response(ALICE);
    bench.send(BOB_TOO, &reply(&two, 200, "two", &contact(BOB_TOO), &sdp("192.0.2.21", 6000)));
    let second = bench.response(ALICE);
    let streams = bench.open_streams();
    assert_eq!(streams.len(), 2);
    bench.send(ALICE, &in_dialog("BYE", 3, &two, &second, true, ALICE));
    assert_eq!(bench.open_streams(), &streams[..1]);
    let another = invite("").replace("call-alice", "another").replace("INVITEalice", "another");
    assert_eq!(bench.authenticated(ALICE, "alice", &another).status().code(), 403, "the first call goes on");
    bench.send(ALICE, &in_dialog("BYE", 4, &one, &first, true, ALICE));
    let another = invite("").replace("call-alice", "yet").replace("INVITEalice", "yet");
    assert_eq!(bench.authenticated(ALICE, "alice", &another).status().code(), 100);
    assert_idle(&mut bench);
}

#[test]
fn a_second_answer_through_a_proxy_behind_us_is_hung_up_without_ending_the_first() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let streams = bench.open_streams();
    let contact = "Contact: <sip:bob@192.0.2.20:7777>\n";
    bench.send(BOB, &reply(&got, 200, "tother", contact, &sdp("192.0.2.77", 7000)));
    let second = bench.response(ALICE);
    assert_eq!(bench.remote(streams[0], SideName::B).rtp, Some("192.0.2.20:6000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 3, &got, &second, true, ALICE));
    assert_eq!(bench.open_streams(), streams);
    bench.send(ALICE, &in_dialog("BYE", 4, &got, &ok, true, ALICE));
    assert_idle(&mut bench);
}

#[test]
fn a_call_answered_without_a_contact_gives_its_ports_back_when_its_media_stops() {
    let mut bench = anchored();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 200, "tbob", "", &sdp("192.0.2.20", 6000)));
    let stream = bench.open_streams()[0];
    bench.input(Input::Media(Report::Stopped { stream, idle: Duration::from_secs(60) }));
    assert_eq!(bench.open_streams(), []);
    assert_idle(&mut bench);
}

#[test]
fn a_call_whose_media_was_never_agreed_gives_its_ports_back_in_the_end() {
    let mut bench = anchored();
    let got = ring(&mut bench);
    // No SDP in it, so that the relay waits for one side for ever and never reports that the media stopped.
    bench.send(BOB, &reply(&got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), ""));
    bench.pass(Duration::from_secs(3 * 3600));
    assert_eq!(bench.open_streams(), []);
    assert_idle(&mut bench);
}

#[test]
fn ports_that_the_relay_refuses_come_home_and_the_call_fails() {
    for closed_before in [false, true] {
        let mut bench = anchored();
        let got = ring(&mut bench);
        bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
        bench.take(ALICE);
        let stream = bench.open_streams()[0];
        if closed_before {
            bench.send(BOB, &reply(&got, 486, "tbob", "", ""));
        }
        // What the relay refused it cannot close, so the command to do so stays unanswered.
        bench.input(Input::Media(Report::Refused { stream, reason: Refusal::PortInUse(20_000) }));
        if !closed_before {
            assert_eq!(bench.request(BOB).method().as_str(), "CANCEL");
            bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
            assert_eq!(bench.codes(ALICE), [500]);
        }
        bench.pass(Duration::from_secs(400));
        assert!(bench.shard.is_idle(), "closed before: {closed_before}");
    }
}

#[test]
fn a_port_that_another_program_has_is_left_alone_for_a_while() {
    let mut bench = anchored();
    let got = ring(&mut bench);
    bench.send(BOB, &reply(&got, 180, "tbob", "", ""));
    let Some(Command::Open { stream, sides, .. }) = bench.media.first().cloned() else { panic!() };
    bench.input(Input::Media(Report::PortUnavailable { stream, port: sides[0].ports.rtcp }));
    let ports = vec![sides[0].ports, sides[1].ports];
    bench.input(Input::Media(Report::Closed { stream, ports, counters: Default::default() }));
    bench.send(BOB, &reply(&got, 487, "tbob", "", ""));
    assert_eq!(bench.codes(ALICE).last(), Some(&500));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.status().free_ports, 7);
    assert!(bench.shard.is_idle());
}

#[test]
fn one_call_does_not_take_all_ports() {
    let mut bench = Bench::with(|config| config.anchor = AnchorPolicy::Always);
    let many: String = (0..8).map(|n| video(4010 + 2 * n)).collect();
    bench.register("bob", bench::call::BOB);
    let text = invite(&(sdp("192.0.2.10", 4000) + &many));
    assert_eq!(bench.authenticated(ALICE, "alice", &text).status().code(), 488);
    assert_idle(&mut bench);
}

#[test]
fn a_call_from_before_a_restart_does_not_touch_another_that_has_its_number_now() {
    let mut before = anchored();
    let (got, ok) = call(&mut before);
    let mut bench = anchored();
    bench.register("bob", BOB);
    let other = invite(&sdp("192.0.2.10", 4000)).replace("call-alice", "other-call");
    bench.authenticated(ALICE, "alice", &other);
    let asked = bench.request(BOB);
    let (asked, answered) = answer(&mut bench, &asked, &sdp("192.0.2.20", 6000));
    let streams = bench.open_streams();
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &sdp("192.0.2.10", 4444)));
    let old = bench.request(BOB);
    bench.send(BOB, &reply(&old, 488, "tbob", "", ""));
    bench.send(ALICE, &in_dialog("BYE", 4, &got, &ok, true, ALICE));
    assert_eq!(bench.open_streams(), streams);
    assert_eq!(bench.remote(streams[0], SideName::A).rtp, Some("192.0.2.10:4000".parse().unwrap()));
    bench.send(ALICE, &in_dialog("BYE", 3, &asked, &answered, true, ALICE));
    assert_eq!(bench.open_streams(), []);
    assert_idle(&mut bench);
}

#[test]
fn media_is_never_sent_from_a_stream_to_itself() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let stream = bench.open_streams()[0];
    bench.send(ALICE, &with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, ALICE), &sdp("192.0.2.1", 20_002)));
    assert_eq!(bench.remote(stream, SideName::A).rtp, None);
}

#[test]
fn a_phone_that_changed_its_network_is_reached_where_it_was_heard_last() {
    let moved = "198.51.100.7:5060";
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let stream = bench.open_streams()[0];
    let again = with_sdp(&in_dialog("INVITE", 3, &got, &ok, true, moved), &sdp("198.51.100.7", 4000));
    bench.send(moved, &again);
    let asked = bench.request(BOB);
    let remote = bench.remote(stream, SideName::A);
    assert_eq!(remote.signalled_from, Some("198.51.100.7".parse().unwrap()));
    bench.send(BOB, &reply(&asked, 200, "tbob", "", &sdp("192.0.2.20", 6000)));
    bench.response(moved);
    // His next request is for her new place, although his route names the old one.
    bench.send(BOB, &in_dialog("BYE", 1, &got, &ok, false, BOB));
    assert_eq!(bench.request(moved).method().as_str(), "BYE");
}

#[test]
fn our_own_bye_follows_a_phone_that_moved() {
    let moved = "198.51.100.7:5060";
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    let stream = bench.open_streams()[0];
    bench.send(moved, &in_dialog("INFO", 3, &got, &ok, true, moved));
    bench.request(BOB);
    bench.input(Input::Media(Report::Stopped { stream, idle: Duration::from_secs(60) }));
    assert_eq!(bench.request(moved).method().as_str(), "BYE");
    assert_eq!(bench.request(BOB).method().as_str(), "BYE");
}

#[test]
fn a_request_that_was_sent_before_moves_nobody() {
    let mut bench = anchored();
    let (got, ok) = call(&mut bench);
    bench.send(ALICE, &in_dialog("INFO", 3, &got, &ok, true, ALICE));
    bench.request(BOB);
    bench.send(EVE, &in_dialog("INFO", 3, &got, &ok, true, EVE));
    bench.request(BOB);
    bench.send(BOB, &in_dialog("BYE", 1, &got, &ok, false, BOB));
    assert_eq!(bench.request(ALICE).method().as_str(), "BYE");
}
