//! Reconciliation.

use super::super::numbering::{ChangeNumber, MAX_TOLD};
use super::super::reconcile::*;
use super::*;
use crate::money::{Percent, Price};
use rust_decimal::Decimal;

fn snapshot(on_hand: i64, unit_value: Option<i64>) -> StockCommand {
    StockCommand::Reconcile(Snapshot {
        case: DocumentId::new("CASE-1").unwrap(),
        source: system("wms"),
        on_hand: units(on_hand),
        through: None,
        unit_value: unit_value.map(|value| Price::new(Decimal::from(value)).unwrap()),
        taken_at: None,
    })
}

/// What a system sees that numbers its changes, and when it saw it.
fn numbered_snapshot(on_hand: i64, through: u64, taken_at: Option<Timestamp>) -> StockCommand {
    StockCommand::Reconcile(Snapshot {
        case: paper(),
        source: system("wms"),
        on_hand: units(on_hand),
        through: ChangeNumber::new(through),
        unit_value: None,
        taken_at,
    })
}

/// The same as a case of its own: what two cases repair is not one paper that was told twice.
fn as_case(snapshot: StockCommand, number: usize) -> StockCommand {
    let StockCommand::Reconcile(snapshot) = snapshot else {
        panic!("{snapshot:?} is no snapshot");
    };
    StockCommand::Reconcile(Snapshot {
        case: DocumentId::new(&format!("R-{number}")).unwrap(),
        ..snapshot
    })
}

fn numbered_receipt(number: u64, quantity: i64, document: &str) -> StockCommand {
    StockCommand::Numbered {
        source: system("wms"),
        number: ChangeNumber::new(number).unwrap(),
        change: Box::new(StockCommand::Receive {
            quantity: positive(quantity),
            document: DocumentId::new(document).unwrap(),
        }),
    }
}

fn under_way(drift: i64, what: UnderWay, until: Timestamp) -> StockReply {
    reconciled(drift, Verdict::UnderWay { what, until })
}

fn reconciled(drift: i64, verdict: Verdict) -> StockReply {
    StockReply::Reconciled {
        drift: units(drift),
        verdict,
    }
}

#[test]
fn s35_a_drift_is_tolerated_explained_repaired_or_raised() {
    let repaired = || Verdict::Repaired(Cause::Unexplained);
    let raised = || Verdict::Raised(Cause::Unexplained);
    // What the other system sees, what a unit is worth, what becomes of it, what is on hand then. 0.5 % of 243 is 1.
    let cases = [
        (243, None, 0, Verdict::Tolerated, 243),
        (242, None, -1, Verdict::Tolerated, 243),
        (240, None, -3, repaired(), 240),
        (246, None, 3, repaired(), 246),
        (231, None, -12, repaired(), 231),
        (230, None, -13, raised(), 243),
        (240, Some(333), -3, repaired(), 240),
        (240, Some(334), -3, raised(), 243),
    ];
    for (seen, value, drift, verdict, after) in cases {
        let mut stock = Stock::with(243);
        assert_eq!(stock.run(&snapshot(seen, value)), reconciled(drift, verdict));
        assert_eq!(stock.available(), after, "{seen}");
        let waits = matches!(verdict, Verdict::Raised(_));
        assert_eq!(stock.state.open_drift().is_some(), waits);
        assert_eq!(stock.state.detail().is_some(), waits);
    }
}

#[test]
fn s35_a_shipment_under_way_within_the_grace_is_no_drift() {
    let mut stock = Stock::with(243);
    stock.run(&hold("O", 3));
    stock.run(&StockCommand::ConfirmPick { id: hold_id("O") });
    let until = stock.now.after(stock.rules.grace());
    let shipments = under_way(-3, UnderWay::Shipments, until);
    assert_eq!(stock.run(&snapshot(240, None)), shipments);
    assert_eq!(stock.state.on_hand.units(), 243);
    // It is told in time: nothing is left to explain.
    let mut told = Stock::with(243);
    told.run(&hold("O", 3));
    told.run(&ship("O", 3));
    assert_eq!(told.run(&snapshot(240, None)), reconciled(0, Verdict::Tolerated));
    // It never is.
    stock.now = until;
    let repaired = reconciled(-3, Verdict::Repaired(Cause::Unexplained));
    assert_eq!(stock.run(&snapshot(240, None)), repaired);
    assert_eq!(stock.state.on_hand.units(), 240);
}

#[test]
fn s35_the_cause_is_told_by_numbers_and_papers() {
    let mut stock = Stock::with(200);
    stock.run(&numbered_receipt(1, 7, "GR-1"));
    stock.run(&numbered_receipt(2, 5, "GR-2"));
    // Every number is here: what differs was changed by hand there, if only by as much as came last.
    let manual = reconciled(-7, Verdict::Repaired(Cause::ManualChange));
    assert_eq!(stock.run(&numbered_snapshot(205, 2, None)), manual);
    // The same paper under another number.
    stock.run(&numbered_receipt(3, 5, "GR-2"));
    let doubled = reconciled(-5, Verdict::Repaired(Cause::DoubledChange));
    assert_eq!(stock.run(&numbered_snapshot(205, 3, None)), doubled);
    // It is settled: the same again is by hand.
    assert_eq!(
        stock.run(&numbered_snapshot(200, 3, None)),
        reconciled(-5, Verdict::Repaired(Cause::ManualChange))
    );
    // Without numbers a change that is missing cannot be told from one by hand.
    assert_eq!(
        stock.run(&snapshot(205, None)),
        reconciled(5, Verdict::Repaired(Cause::Unexplained))
    );
}

#[test]
fn s36_a_paper_told_twice_in_good_faith_is_no_drift_and_is_forgotten_once_both_agree() {
    let mut stock = Stock::with(200);
    for number in 1..=2 {
        stock.run(&numbered_receipt(number, 10, "two equal pallets"));
    }
    assert_eq!(stock.state.suspects().len(), 1);
    assert_eq!(
        stock.run(&numbered_snapshot(220, 2, None)),
        reconciled(0, Verdict::Tolerated)
    );
    assert!(stock.state.suspects().is_empty());
}

#[test]
fn s36_a_number_that_has_not_come_is_under_way_for_a_while_then_missing_then_too_late() {
    for (is_last, seen) in [(false, 204), (true, 203)] {
        let mut stock = Stock::with(190);
        stock.run(&numbered_receipt(1, 10, "GR-1"));
        let told = stock.now;
        if !is_last {
            stock.run(&numbered_receipt(3, 1, "GR-3"));
        }
        let through = if is_last { 2 } else { 3 };
        let until = told.after(stock.rules.grace());
        let drift = seen - stock.state.on_hand.units();
        let snapshot = numbered_snapshot(seen, through, Some(told));
        assert_eq!(stock.run(&snapshot), under_way(drift, UnderWay::Changes, until));
        stock.now = until;
        let missing = reconciled(drift, Verdict::Repaired(Cause::MissingChange));
        assert_eq!(stock.run(&snapshot), missing, "{through}");
        assert_eq!(stock.state.on_hand.units(), seen);
        // The repair includes it: coming after all, it changes nothing.
        let late = stock.run(&numbered_receipt(2, 3, "GR-2"));
        assert!(matches!(late, StockReply::Stale { .. }), "{late:?}");
        assert!(!stock.state.wants_resync());
        assert_eq!(stock.state.on_hand.units(), seen);
    }
}

#[test]
fn s36_more_numbers_than_are_remembered_after_one_that_never_came_are_missing_at_once() {
    let mut stock = Stock::with(200);
    stock.run(&numbered_receipt(1, 1, "GR"));
    (3..=3 + MAX_TOLD as u64).for_each(|at| drop(stock.run(&numbered_receipt(at, 1, "GR"))));
    let on_hand = stock.state.on_hand.units();
    let last = 3 + MAX_TOLD as u64;
    // A snapshot as of a number is followed by what came after it; one from before what is remembered is stale.
    assert_eq!(
        stock.run(&numbered_snapshot(on_hand - 2, last - 2, None)),
        reconciled(0, Verdict::Tolerated)
    );
    let known = stock.state.told(&system("wms")).through;
    assert_eq!(
        stock.run(&numbered_snapshot(0, known - 1, None)),
        StockReply::Stale { known }
    );
    let missing = reconciled(3, Verdict::Repaired(Cause::MissingChange));
    assert_eq!(stock.run(&numbered_snapshot(on_hand + 3, last, None)), missing);
}

#[test]
fn s36_what_has_moved_since_an_unnumbered_snapshot_was_taken_is_not_compared() {
    let taken = Timestamp::from_millis(60_000);
    let snapshot = |on_hand: i64| {
        StockCommand::Reconcile(Snapshot {
            case: paper(),
            source: system("erp"),
            on_hand: units(on_hand),
            through: None,
            unit_value: None,
            taken_at: Some(taken),
        })
    };
    let mut stock = Stock::with(200);
    stock.at(59_000).run(&adjust(Adjustment::Loss, 4));
    let repaired = reconciled(4, Verdict::Repaired(Cause::Unexplained));
    assert_eq!(stock.at(61_000).run(&snapshot(200)), repaired);
    stock.run(&adjust(Adjustment::Loss, 4));
    let until = stock.now.after(stock.rules.grace());
    assert_eq!(
        stock.run(&snapshot(200)),
        under_way(4, UnderWay::Movements, until)
    );
    // Agreement means as little: the other system may have seen 196 before the books lost another 4.
    assert_eq!(
        stock.run(&snapshot(196)),
        under_way(0, UnderWay::Movements, until)
    );
}

#[test]
fn a_difference_that_later_movements_hide_is_neither_tolerated_nor_settles_anything() {
    let taken = Timestamp::from_millis(60_000);
    let snapshot = |on_hand: i64| {
        StockCommand::Reconcile(Snapshot {
            case: DocumentId::new("CASE-2").unwrap(),
            source: system("wms"),
            on_hand: units(on_hand),
            through: None,
            unit_value: None,
            taken_at: Some(taken),
        })
    };
    // 60 in the books, 100 seen; 40 come: the sum agrees by chance.
    let mut stock = Stock::with(60);
    assert_eq!(
        stock.at(61_000).run(&snapshot(100)),
        reconciled(40, Verdict::Raised(Cause::Unexplained))
    );
    stock.at(62_000).run(&StockCommand::Receive {
        quantity: positive(40),
        document: paper(),
    });
    let until = stock.now.after(stock.rules.grace());
    assert_eq!(
        stock.run(&snapshot(100)),
        under_way(0, UnderWay::Movements, until)
    );
    assert_eq!(stock.state.open_drift().unwrap().drift, units(40));
}

#[test]
fn a_snapshot_that_is_not_taken_yet_is_refused() {
    let mut stock = Stock::with(60);
    let now = stock.now;
    let ahead = |seconds: u64| {
        StockCommand::Reconcile(Snapshot {
            case: paper(),
            source: system("wms"),
            on_hand: units(60),
            through: None,
            unit_value: None,
            taken_at: Some(now.after(std::time::Duration::from_secs(seconds))),
        })
    };
    assert_eq!(stock.run(&ahead(300)), reconciled(0, Verdict::Tolerated));
    let StockReply::Refused(refusal) = stock.run(&ahead(301)) else {
        panic!("taken")
    };
    assert!(refusal.to_string().starts_with("taken_at: "), "{refusal}");
}

#[test]
fn s35_the_thresholds_are_the_house_s_own() {
    let percent = |text: &str| crate::money::Percent::new(text.parse().unwrap()).unwrap();
    let rules = ReconciliationRules {
        tolerated_units: 2,
        tolerated_percent: percent("1"),
        raised_percent: percent("10"),
        raised_value: Price::new(Decimal::from(50)).unwrap(),
        grace_seconds: 60,
    };
    let repaired = || Verdict::Repaired(Cause::Unexplained);
    let raised = || Verdict::Raised(Cause::Unexplained);
    // On hand, what the other system sees, what a unit is worth.
    let cases = [
        (100, 98, None, Verdict::Tolerated),
        (100, 97, None, repaired()),
        (500, 495, None, Verdict::Tolerated),
        (500, 494, None, repaired()),
        (500, 450, None, repaired()),
        (500, 449, None, raised()),
        (500, 450, Some(1), repaired()),
        (500, 449, Some(1), raised()),
        (500, 490, Some(6), raised()),
    ];
    for (books, seen, value, verdict) in cases {
        let mut stock = Stock::with(books);
        stock.rules = rules.clone();
        assert_eq!(
            stock.run(&snapshot(seen, value)),
            reconciled(seen - books, verdict),
            "{seen}"
        );
    }
}

#[test]
fn s35_what_was_raised_stands_until_it_is_settled() {
    let settling = [
        count(100, 1),
        snapshot(200, None),
        StockCommand::Adjust {
            change: Adjustment::Loss,
            quantity: positive(100),
            reason: Reason::new("stolen").unwrap(),
            document: Some(DocumentId::new("CASE-1").unwrap()),
        },
    ];
    for command in settling {
        let mut stock = Stock::with(200);
        let raised = reconciled(-100, Verdict::Raised(Cause::Unexplained));
        for _ in 0..2 {
            assert_eq!(stock.run(&snapshot(100, None)), raised);
        }
        stock.run(&adjust(Adjustment::Damage, 1));
        assert_eq!(
            stock.state.detail().unwrap().drift.map(|open| open.drift),
            Some(units(-100))
        );
        stock.run(&command);
        assert!(stock.state.open_drift().is_none(), "{command:?}");
        assert!(stock.state.book.is_none(), "{command:?}");
    }
}

/// Nothing is tolerated, and nothing is too much to repair.
fn exact() -> ReconciliationRules {
    ReconciliationRules {
        tolerated_units: 0,
        tolerated_percent: Percent::new(Decimal::ZERO).unwrap(),
        raised_percent: Percent::new(Decimal::ONE_HUNDRED).unwrap(),
        ..ReconciliationRules::default()
    }
}

/// What a warehouse does: more comes in, or less is there.
fn numbered_move(number: u64, moved: i64) -> StockCommand {
    if moved > 0 {
        return numbered_receipt(number, moved, &format!("GR-{number}"));
    }
    StockCommand::Numbered {
        source: system("wms"),
        number: ChangeNumber::new(number).unwrap(),
        change: Box::new(adjust(Adjustment::Loss, -moved)),
    }
}

proptest! {
    /// A warehouse moves goods, which is told late, twice and out of order, and now and then somebody changes its stock by hand. A
    /// snapshot as of any number finds what was done by hand once all up to that number has come, and nothing before.
    #[test]
    fn a_numbered_snapshot_finds_what_was_done_by_hand_and_nothing_else(
        moves in proptest::collection::vec((-6_i64..12, any::<u16>(), any::<bool>()), 1..24),
        by_hand in proptest::collection::vec((1_usize..24, -9_i64..10), 0..4),
        snapshots in proptest::collection::vec((1_usize..26, 0_usize..48), 1..8),
    ) {
        // What is there after each number, 200 after the first.
        let moved: Vec<i64> = std::iter::once(200).chain(moves.iter().map(|(moved, ..)| *moved)).collect();
        let moved: Vec<i64> = moved.into_iter().map(|moved| if moved == 0 { 1 } else { moved }).collect();
        let there = |number: usize| -> i64 {
            let hands = by_hand.iter().filter(|(after, _)| *after <= number);
            moved[..number].iter().sum::<i64>() + hands.map(|(_, moved)| moved).sum::<i64>()
        };
        let mut told: Vec<(u16, usize)> = Vec::new();
        for (number, (_, late, twice)) in (2..).zip(&moves) {
            told.push((*late, number));
            if *twice {
                told.push((late.wrapping_mul(31), number));
            }
        }
        told.sort_unstable();
        let mut stock = Stock::with(0);
        stock.rules = exact();
        stock.run(&numbered_move(1, 200));
        let (mut came, mut books) = (vec![1], 200);
        let (last, mut cases) = (moved.len(), 0);
        for step in 0..=told.len() {
            stock.at(stock.now.as_millis() + 10);
            if let Some((_, number)) = step.checked_sub(1).map(|step| told[step]) {
                stock.run(&numbered_move(u64::try_from(number).unwrap(), moved[number - 1]));
                if !came.contains(&number) {
                    came.push(number);
                    books += moved[number - 1];
                }
            }
            let at_last = (step == told.len()).then_some(last);
            let now = snapshots.iter().filter(|(_, after)| *after == step).map(|(number, _)| (*number).min(last));
            for through in now.chain(at_last) {
                let later: i64 = came.iter().filter(|number| **number > through).map(|number| moved[number - 1]).sum();
                let drift = there(through) + later - books;
                let is_missing = (1..=through).any(|number| !came.contains(&number));
                cases += 1;
                let snapshot = numbered_snapshot(there(through), u64::try_from(through).unwrap(), Some(stock.now));
                let reply = stock.run(&as_case(snapshot, cases));
                let StockReply::Reconciled { drift: found, verdict } = reply else { panic!("{reply:?}") };
                prop_assert_eq!(found.units(), drift, "as of {}", through);
                match verdict {
                    Verdict::Tolerated => prop_assert_eq!(drift, 0),
                    Verdict::UnderWay { what, .. } => {
                        prop_assert_eq!(what, UnderWay::Changes);
                        prop_assert!(is_missing && drift != 0);
                    }
                    Verdict::Repaired(cause) => {
                        prop_assert_eq!(cause, Cause::ManualChange);
                        prop_assert!(!is_missing && drift != 0);
                        books += drift;
                    }
                    Verdict::Raised(_) => prop_assert!(false, "raised"),
                }
                prop_assert_eq!(stock.state.on_hand.units(), books);
            }
        }
        prop_assert_eq!(books, there(last));
    }

    /// A snapshot without a number says nothing if stock has moved here since it was taken, to the second.
    #[test]
    fn a_dated_snapshot_says_something_only_if_nothing_has_moved_since(
        steps in proptest::collection::vec((any::<bool>(), 0_i64..4, 1_i64..9, -9_i64..10), 1..40),
    ) {
        let mut stock = Stock::with(0);
        stock.rules = exact();
        stock.at(100_000).run(&numbered_move(1, 500));
        let (mut books, mut moved_at) = (500, 100);
        for (number, (compares, seconds, quantity, by_hand)) in (2..).zip(steps) {
            let now = stock.now.as_millis() / 1_000 + seconds;
            stock.at(now * 1_000);
            if !compares {
                stock.run(&numbered_move(number, quantity));
                (books, moved_at) = (books + quantity, now);
                continue;
            }
            // Taken so many seconds ago.
            let taken = now - quantity;
            let snapshot = StockCommand::Reconcile(Snapshot {
                case: paper(),
                source: system("erp"),
                on_hand: units(books + by_hand),
                through: None,
                unit_value: None,
                taken_at: Some(Timestamp::from_millis(taken * 1_000)),
            });
            let reply = stock.run(&as_case(snapshot, usize::try_from(number).unwrap()));
            let StockReply::Reconciled { drift, verdict } = reply else { panic!("{reply:?}") };
            prop_assert_eq!(drift.units(), by_hand);
            if moved_at >= taken {
                let is_under_way = matches!(verdict, Verdict::UnderWay { what: UnderWay::Movements, .. });
                prop_assert!(is_under_way, "{:?}", verdict);
            } else if by_hand == 0 {
                prop_assert_eq!(verdict, Verdict::Tolerated);
            } else {
                prop_assert_eq!(verdict, Verdict::Repaired(Cause::Unexplained));
                // The repair is a movement, too.
                (books, moved_at) = (books + by_hand, now);
            }
            prop_assert_eq!(stock.state.on_hand.units(), books);
        }
    }
}
