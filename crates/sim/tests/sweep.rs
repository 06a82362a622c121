//! Seeded users do everything badly, over a network that loses a fifth of everything.
#![allow(clippy::unwrap_used, reason = "a test")]

use offhook_sim::sweep::{Plan, run};

const PLAN: Plan = Plan { loss: 0.2, phones: 6, steps: 60, shards: 1, moves: false };

#[test]
fn every_call_ends_and_nothing_is_left_whatever_users_do() {
    sweep(PLAN, 256);
}

#[test]
fn the_same_holds_for_an_exchange_of_three_shards() {
    sweep(Plan { shards: 3, ..PLAN }, 128);
}

#[test]
fn the_same_holds_when_calls_are_transferred_parked_and_picked_up() {
    sweep(Plan { moves: true, ..PLAN }, 32);
    sweep(Plan { moves: true, shards: 3, ..PLAN }, 32);
}

fn sweep(plan: Plan, count: u64) {
    let seeds: Vec<u64> = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..std::env::var("SEEDS").map_or(count, |count| count.parse().unwrap())).collect(),
    };
    let (mut placed, mut answered, mut broken) = (0, 0, Vec::new());
    for seed in seeds {
        match run(seed, plan) {
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
