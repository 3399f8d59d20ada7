//! The ledger: what moved, why, and by which paper. That the accounts add up is checked by every test here.

use super::super::event::StockEvent;
use super::*;
use crate::inventory::holds::HoldChange;

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
        received: None,
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
        // After a first shipment the warehouse has the rest of a hold in hand.
        (
            ship("O-1", 3),
            "shipped (on_hand -3, reserved -3): -, -, web/O-1; in hand (picked +2): -, -, -",
        ),
        (
            release("O-1"),
            "released (reserved -2): -, -, web/O-1; in hand (picked -2): -, -, -",
        ),
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
        assert_eq!(lines(&mut stock, &command).join("; "), expected, "{command:?}");
    }
}

fn pick(order: &str) -> StockCommand {
    StockCommand::ConfirmPick { id: hold_id(order) }
}

#[test]
fn what_is_picked_is_in_hand_until_it_leaves_or_is_given_back() {
    let mut stock = Stock::with(20);
    let picked = |stock: &Stock| {
        let sum = stock.ledger.get(&Account::Picked).copied().unwrap_or_default();
        assert_eq!(sum, stock.state.in_hand());
        sum.units()
    };
    stock.run(&hold("O-1", 6));
    stock.run(&hold("O-2", 5));
    assert_eq!(picked(&stock), 0);
    stock.run(&pick("O-1"));
    stock.run(&pick("O-1"));
    assert_eq!(picked(&stock), 6);
    stock.run(&ship("O-1", 4));
    assert_eq!(picked(&stock), 2);
    // A shipment without a pick: the rest is in hand from then on.
    stock.run(&ship("O-2", 1));
    assert_eq!(picked(&stock), 6);
    stock.run(&release("O-1"));
    assert_eq!(picked(&stock), 4);
    stock.run(&ship("O-2", 5));
    assert_eq!((picked(&stock), stock.state.reserved.units()), (0, 0));
    assert!(stock.state.appendix().is_none());
}

#[test]
fn what_comes_for_a_hold_of_which_all_was_shipped_goes_to_hand() {
    let mut stock = Stock::with(5);
    stock.run(&wait("O-1", 6, 50));
    stock.run(&ship("O-1", 5));
    assert_eq!(stock.state.in_hand(), Quantity::ZERO);
    stock.run(&StockCommand::Receive {
        quantity: positive(1),
        document: paper(),
    });
    assert_eq!(stock.state.in_hand(), units(1));
}

proptest! {
    /// The slow look: what the holds that are picked still hold.
    #[test]
    fn in_hand_is_what_picked_holds_hold(
        steps in proptest::collection::vec((0_u8..9, 0_usize..6, 1_i64..20), 1..120),
    ) {
        let mut stock = Stock::with(30);
        for (kind, order, quantity) in steps {
            let name = order.to_string();
            let command = match kind {
                0 => hold_until(&name, quantity, HoldMode::Partial, None),
                1 => wait(&name, quantity, 50),
                2 | 3 => pick(&name),
                4 => release(&name),
                5 => ship(&name, quantity),
                6 => StockCommand::Receive { quantity: positive(quantity), document: paper() },
                7 => adjust(Adjustment::Loss, quantity),
                _ => StockCommand::ChangeHold {
                    id: hold_id(&name),
                    change: if quantity % 2 == 0 {
                        HoldChange::Transfer(hold_id(&(order + 1).to_string()))
                    } else {
                        HoldChange::Reduce(positive(quantity))
                    },
                },
            };
            stock.run(&command);
            let picked = stock.state.holds().filter(|(_, hold)| hold.picked.is_some());
            let sum = picked.fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.open()));
            prop_assert_eq!(stock.state.in_hand(), sum);
            prop_assert!(sum <= stock.state.reserved);
        }
    }
}
