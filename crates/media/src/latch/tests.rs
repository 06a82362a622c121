use super::*;
use crate::test_signal::epoch;
use proptest::prelude::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn mark(ssrc: u32, sequence: u16) -> Option<Mark> {
    Some(Mark { ssrc, sequence: Some(sequence), needed: 3 })
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A phone at 192.0.2.1 whose SDP names a private address.
fn behind_nat() -> Allowed {
    Allowed { expected: Some(address("10.0.0.5:4000")), signalled_from: Some("192.0.2.1".parse().unwrap()) }
}

fn open(now: Instant) -> Latch {
    Latch::new(now, now + Duration::from_secs(10))
}

/// Locks the latch to the phone's translated address.
fn locked(now: Instant, phone: SocketAddr) -> Latch {
    let mut latch = open(now);
    for n in 0..3 {
        latch.judge(now + ms(20 * u64::from(n)), phone, mark(7, n), behind_nat());
    }
    assert_eq!(latch.address(), Some(phone));
    latch
}

#[test]
fn the_address_of_the_sdp_is_accepted_with_its_first_packet() {
    let now = epoch();
    let mut latch = open(now);
    assert_eq!(latch.judge(now, address("10.0.0.5:4000"), mark(7, 1), behind_nat()), Verdict::Latched);
    assert_eq!(latch.judge(now, address("10.0.0.5:4000"), mark(7, 2), behind_nat()), Verdict::Accept);
}

#[test]
fn another_port_of_the_phone_is_learnt_from_three_packets_in_a_row() {
    let now = epoch();
    let (mut latch, phone) = (open(now), address("192.0.2.1:50000"));
    assert_eq!(latch.judge(now, phone, mark(7, 65535), behind_nat()), Verdict::Foreign);
    assert_eq!(latch.judge(now + ms(20), phone, mark(7, 1), behind_nat()), Verdict::Foreign);
    assert_eq!(latch.judge(now + ms(40), phone, mark(7, 2), behind_nat()), Verdict::Latched);
    assert_eq!((latch.address(), latch.ssrc()), (Some(phone), Some(7)));
}

#[test]
fn packets_that_do_not_follow_each_other_teach_nothing() {
    let now = epoch();
    let (mut latch, phone) = (open(now), address("192.0.2.1:50000"));
    for (n, sequence) in [5, 5, 5, 5, 900, 30, 8000].into_iter().enumerate() {
        let at = now + ms(20 * n as u64);
        assert_eq!(latch.judge(at, phone, mark(7, sequence), behind_nat()), Verdict::Foreign);
    }
    for ssrc in 0..10 {
        assert_eq!(latch.judge(now, phone, mark(ssrc, ssrc as u16), behind_nat()), Verdict::Foreign);
    }
}

#[test]
fn another_ip_address_is_never_learnt() {
    let now = epoch();
    let mut latch = open(now);
    for n in 0..50 {
        let at = now + ms(20 * u64::from(n));
        assert_eq!(latch.judge(at, address("203.0.113.9:4000"), mark(7, n), behind_nat()), Verdict::Foreign);
    }
    assert_eq!(latch.address(), None);
}

#[test]
fn once_locked_neither_the_right_ip_nor_a_copied_ssrc_nor_the_sdp_address_moves_it() {
    let now = epoch();
    let phone = address("192.0.2.1:50000");
    let mut latch = locked(now, phone);
    for attacker in ["192.0.2.1:50001", "203.0.113.9:50000", "10.0.0.5:4000"] {
        for n in 3..300 {
            let at = now + ms(20 * u64::from(n));
            assert_eq!(latch.judge(at, address(attacker), mark(7, n), behind_nat()), Verdict::Foreign);
        }
    }
    assert_eq!(latch.address(), Some(phone));
}

#[test]
fn after_the_time_for_learning_only_the_sdp_address_is_taken() {
    let now = epoch();
    let mut latch = open(now);
    let late = now + Duration::from_secs(10);
    for n in 0..5 {
        let verdict = latch.judge(late, address("192.0.2.1:50000"), mark(7, n), behind_nat());
        assert_eq!(verdict, Verdict::Foreign);
    }
    assert_eq!(latch.judge(late, address("10.0.0.5:4000"), mark(7, 9), behind_nat()), Verdict::Latched);
}

#[test]
fn after_new_signalling_a_silent_source_may_be_replaced_but_a_speaking_one_not() {
    let now = epoch();
    let (old, new) = (address("192.0.2.1:50000"), address("192.0.2.1:61000"));
    let mut latch = locked(now, old);
    let later = now + Duration::from_secs(20);
    latch.judge(later, old, mark(7, 900), behind_nat());
    latch.signalled(later, later + Duration::from_secs(10), false);
    for n in 0..5 {
        assert_eq!(latch.judge(later + ms(n * 20), new, mark(8, n as u16), behind_nat()), Verdict::Foreign);
    }
    for n in 0..3 {
        latch.judge(later + ms(600 + n * 20), new, mark(8, 100 + n as u16), behind_nat());
    }
    assert_eq!(latch.address(), Some(new));
}

#[test]
fn the_last_packets_of_a_source_that_signalling_replaced_do_not_bring_it_back() {
    let now = epoch();
    let old = address("192.0.2.1:50000");
    let mut latch = locked(now, old);
    latch.signalled(now, now + Duration::from_secs(10), true);
    for n in 0..50 {
        let verdict = latch.judge(now + ms(20 * u64::from(n)), old, mark(7, 3 + n), behind_nat());
        assert_eq!(verdict, Verdict::Foreign);
    }
    // Unless it goes on: after hold and resume it is the same.
    for n in 0..3 {
        latch.judge(now + ms(2000 + 20 * u64::from(n)), old, mark(7, 103 + n), behind_nat());
    }
    assert_eq!(latch.address(), Some(old));
}

#[test]
fn a_second_voice_cannot_keep_the_first_from_being_learnt() {
    let now = epoch();
    let mut latch = open(now);
    let (phone, other) = (address("192.0.2.1:50000"), address("192.0.2.1:50002"));
    for n in 0..3 {
        let at = now + ms(20 * u64::from(n));
        latch.judge(at, phone, mark(7, n), behind_nat());
        latch.judge(at, other, mark(8, n), behind_nat());
    }
    assert_eq!(latch.address(), Some(phone));
}

#[test]
fn mapped_addresses_and_scopes_do_not_hide_a_phone() {
    let now = epoch();
    let mut latch = open(now);
    let verdict = latch.judge(now, address("[::ffff:10.0.0.5]:4000"), mark(1, 1), behind_nat());
    assert_eq!(verdict, Verdict::Latched);
    assert!(same(address("[fe80::1%3]:9"), address("[fe80::1]:9")));
}

proptest! {
    #[test]
    fn a_locked_latch_stays_whatever_comes(
        packets in prop::collection::vec((any::<[u8; 4]>(), any::<u16>(), any::<u32>(), any::<u16>()), 0..100)
    ) {
        let now = epoch();
        let phone = address("192.0.2.1:50000");
        let mut latch = locked(now, phone);
        for (n, (ip, port, ssrc, sequence)) in packets.into_iter().enumerate() {
            let ip = if n % 2 == 0 { [192, 0, 2, 1] } else { ip };
            let from = SocketAddr::from((ip, port));
            latch.judge(now + ms(n as u64 * 100), from, mark(ssrc, sequence), behind_nat());
            prop_assert_eq!(latch.address(), Some(phone));
        }
    }
}

#[test]
fn a_proven_source_is_taken_wherever_it_is_but_nobody_is_looked_at_while_it_speaks() {
    let start = epoch();
    let mut latch = Latch::new(start, start);
    let [phone, moved] = ["192.0.2.1:4000", "203.0.113.7:9"].map(|text| text.parse().unwrap());
    assert!(latch.may_be(start, moved));
    assert_eq!(latch.prove(start, phone, 1), Verdict::Latched);
    let soon = start + Duration::from_millis(400);
    assert!(latch.may_be(soon, phone) && !latch.may_be(soon, moved));
    assert_eq!(latch.prove(soon, phone, 1), Verdict::Accept);
    let later = soon + Duration::from_millis(500);
    assert!(latch.may_be(later, moved));
    assert_eq!(latch.prove(later, moved, 1), Verdict::Latched);
    assert_eq!((latch.address(), latch.knows(later, phone)), (Some(moved), false));
}
