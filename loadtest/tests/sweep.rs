//! A sweep over many pairs finds what is wrong, and nothing else.
use lockstep_loadtest::measure::sweep::{Options, measure};

#[test]
fn s36_a_sweep_finds_every_fault_with_its_cause_and_raises_nothing_falsely() {
    let outcomes = measure(&Options {
        pairs: 20_000,
        faults: 200,
        seed: 7,
        rate: 0,
        alone: 0,
        at_once: 2,
        batch: 1_000,
        load: 100,
        shards: 2,
        json: false,
    })
    .unwrap();
    assert_eq!((outcomes.compared, outcomes.faults), (20_000, 200));
    assert_eq!((outcomes.found, outcomes.false_alarms), (200, 0), "{outcomes:?}");
    assert!(outcomes.causes_right >= 190, "{outcomes:?}");
    // A change that came late is no drift once it has come.
    assert_eq!((outcomes.late_ones, outcomes.late_ones_settled), (40, 40));
}
