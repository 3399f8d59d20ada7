//! The ledger: what moved, why, and by which paper. That the accounts add up is checked by every test here.

use super::super::event::StockEvent;
use super::*;

/// The lines that a command writes, as a person would.
fn lines(stock: &mut Stock, command: &StockCommand) -> Vec<String> {
    let decision = decide(&stock_id(), &stock.state, command, &stock.rules, stock.now);
    let written = |event: &StockEvent| {
        let movement = event.movement()?;
        let moved: Vec<_> = movement
            .moved
            .iter()
            .map(|(account, quantity)| format!("{} {:+}", account.name(), quantity.units()))
            .collect();
        let reason = movement.reason.map_or("-", |reason| reason.as_str());
        let document = movement.document.map_or("-", |document| document.as_str());
        let order = movement.order.map_or("-", |order| order.as_str());
        Some(format!(
            "{} ({}): {reason}, {document}, {order}",
            movement.kind,
            moved.join(", ")
        ))
    };
    let lines = decision.events.iter().filter_map(written).collect();
    stock.take(decision);
    lines
}

#[test]
fn every_movement_says_what_why_and_by_which_paper() {
    let document = || DocumentId::new("PO-1").unwrap();
    let expect = |quantity, stage| StockCommand::Expect {
        document: document(),
        quantity: positive(quantity),
        due: Timestamp::from_millis(9_000),
        stage,
    };
    let receive = StockCommand::Receive {
        quantity: positive(12),
        document: document(),
    };
    let back = StockCommand::Return {
        quantity: positive(2),
        condition: Condition::Quarantined,
        order: Some(hold_id("O-1").order),
        document: paper(),
    };
    let cases = [
        (expect(10, Stage::Expected), "expected (expected +10): -, PO-1, -"),
        (
            expect(8, Stage::InTransit),
            "expected (in_transit +8, expected -10): -, PO-1, -",
        ),
        (receive, "received (on_hand +12, in_transit -8): -, PO-1, -"),
        (hold("O-1", 5), "held (reserved +5): -, -, web/O-1"),
        (ship("O-1", 3), "shipped (on_hand -3, reserved -3): -, -, web/O-1"),
        (release("O-1"), "released (reserved -2): -, -, web/O-1"),
        (adjust(Adjustment::Damage, 4), "damaged (damaged +4): found, -, -"),
        (
            adjust(Adjustment::Scrap, 1),
            "scrapped (on_hand -1, damaged -1): found, -, -",
        ),
        (back, "returned (on_hand +2, quarantined +2): -, D-1, web/O-1"),
        (
            adjust(Adjustment::Condemn, 1),
            "condemned (quarantined -1, damaged +1): found, -, -",
        ),
        (count(20, 1), "counted (on_hand +10): -, -, -"),
        (
            StockCommand::SetSafetyStock { quantity: units(3) },
            "safety stock set (safety +3): -, -, -",
        ),
        (
            StockCommand::SetSafetyStock { quantity: units(1) },
            "safety stock set (safety -2): -, -, -",
        ),
    ];
    let mut stock = Stock::with(0);
    for (command, expected) in cases {
        assert_eq!(lines(&mut stock, &command), [expected], "{command:?}");
    }
}
