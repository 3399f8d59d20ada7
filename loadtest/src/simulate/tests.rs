//! A fixed set of histories, that a seed has one history, and that what is planted is found.

use super::clock::MINUTE;
use super::plant::Plant;
use super::report::History;
use super::workload::Workload;
use super::world::Setting;
use super::{live, quiet_panics};

fn setting(seed: u64) -> Setting {
    Setting {
        seed,
        lasts: 2 * MINUTE,
        workload: Workload::Steady,
        plant: None,
    }
}

#[test]
fn every_history_keeps_the_promises() {
    for seed in 1..=4 {
        let history = live(setting(seed));
        assert!(
            history.violation.is_none(),
            "seed {seed}: {:?}; repeat it with\n  cargo run -p lockstep-loadtest -- simulate --seed {seed} --seeds 1 --minutes 2",
            history.violation
        );
        assert!(history.orders > 20, "seed {seed}: only {} orders", history.orders);
    }
}

#[test]
fn a_seed_has_one_history_and_another_seed_another_one() {
    let print = |history: &History| {
        (
            history.digest,
            history.orders,
            history.entries,
            history.tally.clone(),
        )
    };
    let short = |seed| {
        live(Setting {
            lasts: MINUTE,
            ..setting(seed)
        })
    };
    let (one, again, other) = (short(7), short(7), short(8));
    assert_eq!(print(&one), print(&again));
    assert_ne!(one.digest, other.digest);
}

/// Looks for every second planted fault: two tests run side by side.
fn planted_faults_are_found(first: usize) {
    quiet_panics();
    for plant in Plant::all().iter().skip(first).step_by(2) {
        let found = (1..=plant.found_within()).find(|seed| {
            let planted = Setting {
                plant: Some(*plant),
                ..setting(*seed)
            };
            live(planted).violation.is_some()
        });
        assert!(
            found.is_some(),
            "{plant:?} is not found within {} seeds",
            plant.found_within()
        );
    }
}

#[test]
fn every_planted_fault_is_found_of_the_first_third_fifth() {
    planted_faults_are_found(0);
}

#[test]
fn every_planted_fault_is_found_of_the_second_fourth_sixth() {
    planted_faults_are_found(1);
}
