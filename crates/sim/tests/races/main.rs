//! The races of RFC 5407 §3 and some more, of calls that are forwarded, bridged, and made here of two halves. The ladders are in
//! `docs/flows`; each call has one beginning and one end, and nothing is left of it, neither with us nor with a phone.
//!
//! Every message takes 20 ms, so what is said within 20 ms of each other crosses.
#![allow(clippy::unwrap_used, reason = "a test")]

mod race;

use offhook_exchange::config::Authentication;
use offhook_sim::{Habit, PhoneId, compare_with_saved};
use offhook_ua::Command;

use race::{Bridged, CALLED, Halves, KINDS, MS, Make, Race, SECOND, USUAL};

/// §3.1.1: nothing of what is said of an INVITE arrives; it comes again as it is answered.
#[test]
fn an_invite_comes_again_as_it_is_answered() {
    for kind in CALLED {
        let mut race =
            Race::new(kind, Make { reliable: false, authentication: Authentication::Off, ..USUAL });
        race.world.phones[race.bob.0].habit = Habit::Answer(450 * MS);
        race.world.lose("alice", "100 INVITE");
        race.world.lose("alice", "180 INVITE");
        let mut race = race.begin();
        race.world.pass(6 * SECOND);
        race.both_hear();
        race.has_sent("alice", &[("INVITE", 2), ("ACK", 1)]);
        race.has_seen("alice", &[("200 INVITE", 1)]);
        race.has_seen("bob", &[("INVITE", 1)]);
        race.is_as_saved("3.1.1-invite-again");
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.1.2: a CANCEL comes to who has answered.
#[test]
fn a_cancel_crosses_the_answer() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 INVITE") == 1);
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 CANCEL", 1), ("487 INVITE", 0), ("200 BYE", 1)]);
        race.has_sent("alice", &[("CANCEL", 1), ("BYE", 1)]);
        race.has_seen("bob", &[("CANCEL", 0), ("BYE", 1)]);
        race.is_over("3.1.2-cancel");
    }
}

/// §3.1.2 with us as the one who cancels: for a caller that has gone, or one of two whom we connect.
#[test]
fn a_cancel_of_ours_crosses_the_answer() {
    for kind in KINDS {
        let mut race = Race::new(kind, USUAL).begin();
        if kind == Halves {
            race.until(|race| race.answered(race.alice));
        }
        race.until(|race| race.sent("bob", "180 INVITE") == 1);
        race.world.delay("exchange", "200 INVITE", 15 * MS);
        race.until(|race| race.answered(race.bob));
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("CANCEL", 1), ("BYE", 1)]);
        race.has_sent("bob", &[("200 INVITE", 1), ("200 CANCEL", 1), ("200 BYE", 1), ("487 INVITE", 0)]);
        race.is_over("3.1.2-cancel-of-ours");
    }
}

/// §3.1.3: a BYE that was sent while it rang comes to who has answered; our phone has said it without knowing.
#[test]
fn an_early_bye_crosses_the_answer() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 INVITE") == 1);
        race.forge(race.alice, "PRACK", "BYE", "");
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 INVITE", 1), ("200 BYE", 1)]);
        assert!(race.world.phones[race.bob.0].ua.calls().is_empty(), "{kind:?}: {}", race.picture());
        race.hang_up();
        race.is_over("3.1.3-early-bye");
    }
}

/// RFC 5407 appendix A: a caller may end the dialog of a phone that rings with a BYE.
#[test]
fn an_early_bye_ends_the_ringing() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.seen("alice", "200 PRACK") == 1);
        race.world.pass(100 * MS);
        race.forge(race.alice, "PRACK", "BYE", "");
        race.world.pass(500 * MS);
        race.has_seen("alice", &[("200 BYE", 1), ("487 INVITE", 1)]);
        race.has_sent("bob", &[("487 INVITE", 1), ("200 INVITE", 0)]);
        race.is_over("a-early-bye");
    }
}

/// §3.1.4: a re-INVITE comes to who has not seen the ACK; the offer of before is answered, so this one may come.
#[test]
fn a_re_invite_overtakes_a_lost_ack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.world.lose("exchange", "ACK");
        if kind == Bridged {
            // The first is of ours to Bob's phone.
            race.until(|race| race.seen("bob", "ACK") == 1);
        }
        race.until(|race| race.answered(race.alice));
        race.holds(race.alice);
        race.world.pass(4 * SECOND);
        race.is_as_saved("3.1.4-re-invite-before-ack");
        assert!(race.is_held_by_peer(race.bob), "{kind:?}\n{}", race.picture());
        // For longer than any 200 waits for its ACK.
        race.world.pass(40 * SECOND);
        race.command(race.alice, |call| Command::Resume { call });
        race.world.pass(5 * SECOND);
        race.both_hear();
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.1.6: a BYE comes to who has not seen the ACK.
#[test]
fn a_bye_overtakes_a_lost_ack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.world.lose("exchange", "ACK");
        race.until(|race| race.answered(race.alice));
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 INVITE", 1), ("200 BYE", 1)]);
        race.has_seen("bob", &[("BYE", 1)]);
        race.is_over("3.1.6-bye-before-ack");
    }
}

/// §3.2.1: two BYEs cross.
#[test]
fn both_hang_up_at_the_same_moment() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        race.world.pass(10 * MS);
        race.ends(race.bob);
        race.world.pass(SECOND);
        for name in ["alice", "bob"] {
            race.has_sent(name, &[("BYE", 1)]);
            race.has_seen(name, &[("200 BYE", 1)]);
        }
        race.is_over("3.2.1-bye-bye");
    }
}

/// §3.2.1 where one of them does not arrive until the other has been answered.
#[test]
fn a_bye_comes_when_the_other_is_answered() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.world.lose("exchange", "BYE");
        race.ends(race.bob);
        race.world.pass(10 * MS);
        race.ends(race.alice);
        race.world.pass(5 * SECOND);
        race.has_seen("alice", &[("200 BYE", 1)]);
        race.nothing_is_left();
    }
}

/// §3.2.2: a re-INVITE comes to who has said BYE.
#[test]
fn a_re_invite_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        // The BYE is on its way to Bob when he holds.
        race.world.pass(30 * MS);
        race.holds(race.bob);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("BYE", 1), ("481 INVITE", 1)]);
        race.has_sent("bob", &[("INVITE", 1), ("ACK", 1), ("200 BYE", 1)]);
        race.is_over("3.2.2-bye-re-invite");
    }
}

/// §3.2.3: the answer to a re-INVITE comes to who has said BYE since.
#[test]
fn the_answer_to_a_re_invite_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.holds(race.bob);
        race.until(|race| race.seen("bob", "200 INVITE") == 1);
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_sent("bob", &[("INVITE", 1), ("BYE", 1), ("ACK", 1)]);
        race.has_seen("bob", &[("200 INVITE", 1), ("200 BYE", 1)]);
        if kind != Halves {
            race.has_seen("alice", &[("INVITE", 1), ("ACK", 1), ("BYE", 1)]);
        }
        race.is_over("3.2.3-answer-bye");
    }
}

/// §3.2.4 does not happen to our phones, nor to us: who has answered says BYE when it has seen the ACK (RFC 3261 §15).
#[test]
fn who_has_answered_waits_with_its_bye_for_the_ack() {
    for kind in KINDS {
        let mut race = Race::new(kind, USUAL).begin();
        race.until(|race| race.answered(race.bob));
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_seen("bob", &[("ACK", 1), ("200 BYE", 1)]);
        let when = |from, to, what| race.world.ladder.times(from, to, what);
        assert!(when("bob", "exchange", "BYE")[0] > when("exchange", "bob", "ACK")[0]);
        if kind != Halves {
            assert!(when("exchange", "alice", "BYE")[0] > when("alice", "exchange", "ACK")[1]);
        }
        race.is_over("3.2.4-bye-after-ack");
    }
}

/// §3.3.1: two re-INVITEs cross. Both are refused and come again, the caller's later, and both get their wish.
#[test]
fn two_re_invites_cross() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.holds(race.alice);
        race.world.pass(10 * MS);
        race.holds(race.bob);
        race.world.pass(12 * SECOND);
        race.is_as_saved("3.3.1-re-invite-re-invite");
        for (name, waits) in [("alice", 2_100..=4_000), ("bob", 0..=2_000)] {
            let times = usize::from(kind != Halves);
            race.has_seen(name, &[("491 INVITE", times)]);
            race.has_sent(name, &[("INVITE", 1 + times)]);
            if kind != Halves {
                let refused = race.world.ladder.times("exchange", name, "491 INVITE")[0] + 20 * MS;
                let again = race.world.ladder.times(name, "exchange", "INVITE")[1];
                let waited = (again - refused).as_millis();
                assert!(waits.contains(&waited), "{kind:?}: {name} waits {waited} ms\n{}", race.picture());
            }
        }
        for phone in [race.alice, race.bob] {
            assert_eq!(race.is_held_by_peer(phone), kind != Halves, "{kind:?}\n{}", race.picture());
        }
        race.command(race.alice, |call| Command::Resume { call });
        race.world.pass(10 * MS);
        race.command(race.bob, |call| Command::Resume { call });
        race.world.pass(12 * SECOND);
        race.both_hear();
        race.hang_up();
        race.nothing_is_left();
    }
}

/// §3.3.2: an UPDATE crosses a re-INVITE. Alice's phone has sent it without knowing, so it takes Bob's offer where that comes to it.
#[test]
fn an_update_crosses_a_re_invite() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.pass(9 * SECOND);
        let offer = race.offer("alice");
        race.forge(race.alice, "ACK", "UPDATE", &offer);
        race.world.pass(10 * MS);
        race.holds(race.bob);
        race.world.pass(12 * SECOND);
        race.has_seen("alice", &[("491 UPDATE", 1)]);
        race.has_seen("bob", &[("491 INVITE", usize::from(kind == Bridged))]);
        race.is_as_saved("3.3.2-update-re-invite");
        assert!(race.is_held_by_peer(race.alice), "{kind:?}\n{}", race.picture());
        race.command(race.bob, |call| Command::Resume { call });
        race.world.pass(5 * SECOND);
        race.both_hear();
        race.ends(race.bob);
        race.nothing_is_left();
    }
}

/// §3.3.3: a REFER comes to who has said BYE.
#[test]
fn a_refer_crosses_a_bye() {
    for kind in KINDS {
        let mut race = Race::up(kind);
        race.ends(race.alice);
        race.world.pass(30 * MS);
        let target = "sip:carol@example.com".parse().unwrap();
        race.command(race.bob, |call| Command::Transfer { call, target });
        race.world.pass(SECOND);
        race.has_seen("bob", &[("BYE", 1), ("481 REFER", 1), ("NOTIFY", 0)]);
        race.is_over("3.3.3-bye-refer");
    }
}

/// Not of the RFC, as those below: that it rings is heard of when it has been answered.
#[test]
fn ringing_comes_after_the_answer() {
    for kind in CALLED {
        for (to, seen) in [("exchange", 0), ("alice", 1)] {
            let mut race = Race::new(kind, Make { reliable: false, ..USUAL });
            // Before who calls asks again.
            race.world.phones[race.bob.0].habit = Habit::Answer(300 * MS);
            race.world.delay(to, "180 INVITE", 600 * MS);
            let mut race = race.begin();
            race.world.pass(6 * SECOND);
            race.has_seen("alice", &[("180 INVITE", seen), ("200 INVITE", 1)]);
            race.both_hear();
            race.ends(race.alice);
            race.world.pass(5 * SECOND);
            race.nothing_is_left();
        }
    }
}

/// A PRACK comes after the CANCEL.
#[test]
fn a_cancel_overtakes_a_prack() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.delay("exchange", "PRACK", 30 * MS);
        race.until(|race| race.sent("alice", "PRACK") == 1);
        race.ends(race.alice);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("200 CANCEL", 1), ("487 INVITE", 1)]);
        race.is_over("cancel-prack");
    }
}

/// A session is refreshed by one while the other ends it.
#[test]
fn a_refresh_crosses_a_bye() {
    for kind in CALLED {
        let mut race = Race::new(kind, Make { interval: 90, ..USUAL }).begin();
        race.world.pass(9 * SECOND);
        race.world.begin_ladder();
        race.world.delay("exchange", "UPDATE", 80 * MS);
        race.until(|race| race.sent("alice", "UPDATE") == 1);
        race.ends(race.bob);
        race.world.pass(SECOND);
        race.has_seen("alice", &[("BYE", 1), ("481 UPDATE", 1)]);
        race.has_seen("bob", &[("200 BYE", 1)]);
        race.nothing_is_left();
    }
}

/// The same where it is we who refresh it.
#[test]
fn a_refresh_of_ours_crosses_a_bye() {
    for (kind, name) in [(Bridged, "bob"), (Halves, "bob"), (Halves, "alice")] {
        let mut race = Race::new(kind, Make { interval: 90, ..USUAL }).begin();
        race.world.pass(9 * SECOND);
        race.world.begin_ladder();
        race.world.delay(name, "UPDATE", 80 * MS);
        race.until(|race| race.seen(name, "UPDATE") == 1);
        race.ends(if name == "bob" { race.bob } else { race.alice });
        race.world.pass(SECOND);
        race.has_seen(name, &[("200 BYE", 1)]);
        race.has_sent(name, &[("481 UPDATE", 1)]);
        race.nothing_is_left();
    }
}

/// The INVITE of a call that is over comes once more: nobody rings for it.
#[test]
fn an_invite_comes_again_when_all_is_over() {
    for kind in CALLED {
        let mut race = Race::new(kind, USUAL).begin();
        race.world.pass(5 * SECOND);
        race.hang_up();
        race.world.pass(60 * SECOND);
        let invite = race.world.ladder.last("alice", "exchange", "INVITE").unwrap();
        race.world.forge(race.alice, invite);
        race.world.pass(5 * SECOND);
        race.has_seen("bob", &[("INVITE", 1)]);
        race.nothing_is_left();
    }
}

/// Two phones of Bob's answer at once: one is hung up, and the call is not over for that.
#[test]
fn two_phones_answer_at_once() {
    for kind in CALLED {
        for after in [0, 1, 15, 30] {
            let mut race = Race::new(kind, USUAL);
            let desk = race.world.another_phone_of(race.bob, "desk");
            race.world.phones[desk.0].habit = Habit::Answer(2 * SECOND + after * MS);
            race.world.register(desk);
            race.world.begin_ladder();
            let mut race = race.begin();
            race.world.pass(8 * SECOND);
            assert!(race.answered(desk) || after == 30, "{kind:?}: {}", race.picture());
            let calls = |phone: PhoneId| race.world.phones[phone.0].ua.calls().len();
            let picture = race.world.ladder.draw(&["alice", "exchange", "bob", "desk"]);
            assert_eq!((calls(race.alice), calls(race.bob) + calls(desk)), (1, 1), "{kind:?}\n{picture}");
            assert_eq!(race.count(true), 0, "{kind:?}: the call goes on\n{picture}");
            if kind == Bridged && after == 0 {
                compare_with_saved("race-two-answers", &picture);
            }
            race.ends(race.alice);
            race.world.pass(SECOND);
            race.nothing_is_left();
        }
    }
}

/// Who is transferred hangs up in the moment in which the other answers.
#[test]
fn a_bye_crosses_the_answer_to_a_transfer() {
    for kind in [Bridged, Halves] {
        let mut race = Race::up(kind);
        let carol = race.world.phone("carol", None);
        race.world.phones[carol.0].habit = Habit::Answer(500 * MS);
        race.world.register(carol);
        race.world.begin_ladder();
        let target = "sip:carol@example.com".parse().unwrap();
        race.command(race.bob, |call| Command::Transfer { call, target });
        race.until(|race| race.answered(carol));
        race.ends(race.alice);
        race.world.pass(5 * SECOND);
        race.hang_up();
        race.nothing_is_left();
    }
}
