//! Reconciliation.

use super::super::numbering::{ChangeNumber, MAX_TOLD};
use super::super::reconcile::*;
use super::*;
use crate::money::Price;
use rust_decimal::Decimal;

fn snapshot(on_hand: i64, unit_value: Option<i64>) -> StockCommand {
    StockCommand::Reconcile(Snapshot {
        case: DocumentId::new("CASE-1").unwrap(),
        source: system("wms"),
        on_hand: units(on_hand),
        through: None,
        unit_value: unit_value.map(|value| Price::new(Decimal::from(value)).unwrap()),
    })
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
        assert_eq!(
            stock.run(&snapshot(seen, value)),
            reconciled(drift, verdict.clone())
        );
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
    let until = stock.now.after(GRACE);
    let under_way = reconciled(-3, Verdict::UnderWay(until));
    assert_eq!(stock.run(&snapshot(240, None)), under_way);
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
fn s35_the_cause_is_told_by_the_numbers() {
    let number = |at: u64| ChangeNumber::new(at).unwrap();
    let receipt = |at: u64, quantity: i64| StockCommand::Numbered {
        source: system("wms"),
        number: number(at),
        change: Box::new(StockCommand::Receive {
            quantity: positive(quantity),
            document: paper(),
        }),
    };
    let mut stock = Stock::with(200);
    stock.run(&receipt(1, 7));
    stock.run(&receipt(2, 5));
    let doubled = reconciled(-7, Verdict::Repaired(Cause::DoubledChange));
    assert_eq!(stock.run(&snapshot(205, None)), doubled);
    stock.run(&receipt(4, 1));
    let missing = reconciled(4, Verdict::UnderWay(stock.now.after(GRACE)));
    assert_eq!(stock.run(&snapshot(210, None)), missing);
    stock.run(&receipt(3, 4));
    assert_eq!(stock.run(&snapshot(210, None)), reconciled(0, Verdict::Tolerated));
    // More than are remembered have come after one that never did.
    (6..=6 + MAX_TOLD as u64).for_each(|at| drop(stock.run(&receipt(at, 1))));
    let on_hand = stock.state.on_hand.units();
    let given_up = reconciled(3, Verdict::Repaired(Cause::MissingChange));
    assert_eq!(stock.run(&snapshot(on_hand + 3, None)), given_up);
    // A snapshot as of a number is followed by what came after it.
    let as_of = StockCommand::Reconcile(Snapshot {
        case: paper(),
        source: system("wms"),
        on_hand: units(on_hand + 3 - 2),
        through: Some(number(4 + MAX_TOLD as u64)),
        unit_value: None,
    });
    assert_eq!(stock.run(&as_of), reconciled(0, Verdict::Tolerated));
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
        assert_eq!(stock.state.detail().unwrap().drift, Some(units(-100)));
        stock.run(&command);
        assert!(stock.state.open_drift().is_none(), "{command:?}");
        assert!(stock.state.book.is_none(), "{command:?}");
    }
}
