use super::*;
use crate::test_signal::epoch;
use proptest::prelude::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_range_of_ports_holds_only_whole_even_pairs() {
    let block = PortBlock::within(20001..=20006);
    let pairs: Vec<u16> = block.iter().map(|pair| pair.rtp).collect();
    assert_eq!(pairs, [20002, 20004]);
    assert_eq!(PortBlock::within(20001..=20002).pairs, 0);
    assert_eq!(PortBlock::within(65534..=65535).iter().count(), 1);
    assert_eq!(PortBlock::within(0..=65535).iter().count(), 32767);
    assert_eq!(PortBlock::within(65535..=65535).iter().count(), 0);
}

#[test]
fn a_block_splits_into_shares_that_cover_it_once() {
    let block = PortBlock::within(20000..=20021);
    let shares = block.split(3);
    assert_eq!(shares.iter().map(|share| share.pairs).collect::<Vec<_>>(), [4, 4, 3]);
    let pairs: Vec<PortPair> = shares.into_iter().flat_map(PortBlock::iter).collect();
    assert_eq!(pairs, block.iter().collect::<Vec<_>>());
}

#[test]
fn splitting_loses_no_stream() {
    for (pairs, parts) in [(500, 3), (501, 64), (7, 2), (1, 2), (0, 5)] {
        let block = PortBlock { first: 20000, pairs };
        let streams: u16 = block.split(parts).into_iter().map(PortBlock::streams).sum();
        assert_eq!(streams, block.streams(), "{pairs} pairs in {parts}");
    }
}

#[test]
fn a_returned_pair_rests_before_it_is_lent_again() {
    let now = epoch();
    let mut lease = Lease::new(&[PortBlock { first: 20000, pairs: 1 }], seconds(5));
    let pair = lease.take(now).unwrap();
    assert_eq!(lease.take(now), None);
    assert!(lease.give_back(now, pair));
    assert_eq!(lease.take(now + seconds(4)), None);
    assert_eq!(lease.available(now + seconds(5)), 1);
    assert_eq!(lease.take(now + seconds(5)), Some(pair));
}

#[test]
fn giving_back_twice_or_what_was_never_lent_changes_nothing() {
    let now = epoch();
    let mut lease = Lease::new(&[PortBlock { first: 20000, pairs: 2 }], seconds(5));
    let pair = lease.take(now).unwrap();
    assert!(lease.give_back(now, pair));
    assert!(!lease.give_back(now, pair));
    assert!(!lease.set_aside(now, PortPair { rtp: 4, rtcp: 5 }, seconds(1)));
    assert_eq!(lease.total(), 2);
}

proptest! {
    #[test]
    fn no_pair_is_lost_or_doubled_whatever_is_done(steps in prop::collection::vec((0u8..4, 0usize..8), 0..200)) {
        let mut now = epoch();
        let mut lease = Lease::new(&[PortBlock { first: 30000, pairs: 6 }], seconds(3));
        let mut held: Vec<PortPair> = Vec::new();
        for (step, n) in steps {
            match step {
                0 => if let Some(pair) = lease.take(now) {
                    prop_assert!(!held.contains(&pair));
                    held.push(pair);
                },
                1 if !held.is_empty() => {
                    let pair = held.remove(n % held.len());
                    prop_assert!(lease.give_back(now, pair));
                    prop_assert!(!lease.give_back(now, pair));
                }
                2 if !held.is_empty() => {
                    let pair = held.remove(n % held.len());
                    prop_assert!(lease.set_aside(now, pair, seconds(60)));
                }
                _ => now += seconds(n as u64),
            }
            prop_assert_eq!(lease.total(), 6);
            prop_assert_eq!(lease.lent(), held.len());
        }
        for pair in held.drain(..) {
            lease.give_back(now, pair);
        }
        prop_assert_eq!(lease.available(now + seconds(60)), 6);
    }
}
