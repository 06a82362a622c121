//! Seeded users do everything badly, over a network that loses a fifth of everything.
#![allow(clippy::unwrap_used, reason = "a test")]

use offhook_sim::sweep::{Plan, run};

const PLAN: Plan = Plan { loss: 0.2, phones: 6, steps: 60, shards: 1, moves: false };

/// Calls are forwarded, bridged, or with us. Every other exchange has three shards; with every other two, calls are transferred, parked,
/// picked up and connected too, and phones find themselves elsewhere.
fn plan(seed: u64) -> Plan {
    Plan { shards: if seed.is_multiple_of(2) { 1 } else { 3 }, moves: seed / 2 % 2 == 1, ..PLAN }
}

#[test]
fn every_call_ends_once_and_nothing_is_left_whatever_users_do() {
    let seeds: Vec<u64> = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..std::env::var("SEEDS").map_or(256, |count| count.parse().unwrap())).collect(),
    };
    let (mut placed, mut answered, mut broken) = (0, 0, Vec::new());
    for seed in seeds {
        match run(seed, plan(seed)) {
            Ok(outcome) => {
                placed += outcome.placed;
                answered += outcome.answered;
            }
            Err(what) => broken.push(what),
        }
    }
    println!("{placed} calls placed, {answered} times answered");
    for what in broken.iter().skip(1) {
        println!("{}", what.lines().next().unwrap());
    }
    assert!(broken.is_empty(), "{} seeds\n{}", broken.len(), broken[0]);
    assert!(answered > 0, "a sweep in which nobody ever answers shows nothing");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let once = run(4_711, PLAN).unwrap();
    assert_eq!(run(4_711, PLAN).unwrap(), once);
    assert_ne!(run(4_712, PLAN).unwrap().trace, once.trace);
}
