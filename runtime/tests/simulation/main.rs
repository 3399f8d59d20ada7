//! A deterministic simulation of shards: one seed, one history, any fault.
//!
//! Shards, store, network, clients and a slow consumer are stepped by one random number generator. Messages from outside
//! come twice and out of order; messages between shards are lost, doubled and delayed; the disk loses commits, denies
//! commits that it kept, and runs full; everything dies at any step and comes back with another number of shards.
//! Beside it an auditor reads what becomes durable and a naive model says what it must be.
//!
//! `LOCKSTEP_SEED=7 cargo test -p lockstep-runtime --test simulation` repeats one history,
//! `LOCKSTEP_SEEDS=1000` runs that many.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall fail"
)]

mod audit;
#[path = "../toy/mod.rs"]
mod toy;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many histories run without being asked for more.
const SEEDS: u64 = 16;

#[test]
fn every_history_keeps_the_promises() {
    toy::quiet_panics();
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("LOCKSTEP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("LOCKSTEP_SEEDS").unwrap_or(SEEDS),
    };
    let mut seen = world::Seen::default();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| world::World::new(seed).live())) {
            Ok(more) => seen.add(&more),
            Err(_) => panic!(
                "seed {seed} failed; repeat it with\n  LOCKSTEP_SEED={seed} cargo test -p lockstep-runtime --test simulation"
            ),
        }
    }
    // A simulation in which nothing goes wrong proves nothing.
    if seeds.end - seeds.start >= SEEDS {
        seen.assert_everything_happened();
    }
    eprintln!("{seen:?}");
}
