//! Settings with versions, and what is expected after it has come.

use super::super::settings::{ENDED_KEPT, MAX_ENDED, Setting};
use super::*;

const DAY: i64 = 86_400_000;

fn document(name: &str) -> DocumentId {
    DocumentId::new(name).unwrap()
}

fn versioned(version: u64, change: StockCommand) -> StockCommand {
    StockCommand::Versioned {
        version,
        change: Box::new(change),
    }
}

/// So much is still to come, and so much was taken off as received.
fn expected(name: &str, quantity: i64, received: Option<i64>) -> StockCommand {
    StockCommand::Expect {
        document: document(name),
        quantity: positive(quantity),
        due: Timestamp::from_millis(9 * DAY),
        stage: Stage::Expected,
        received: received.map(units),
    }
}

fn not_expected(name: &str) -> StockCommand {
    StockCommand::Unexpect {
        document: document(name),
    }
}

fn wanted(name: &str, quantity: i64) -> StockCommand {
    StockCommand::Demand {
        document: document(name),
        quantity: positive(quantity),
        due: Timestamp::from_millis(9 * DAY),
    }
}

fn receipt(name: &str, quantity: i64) -> StockCommand {
    StockCommand::Receive {
        quantity: positive(quantity),
        document: document(name),
    }
}

fn safety(quantity: i64) -> StockCommand {
    StockCommand::SetSafetyStock {
        quantity: units(quantity),
    }
}

impl Stock {
    fn to_come(&self, name: &str) -> i64 {
        let coming = self.state.coming(&document(name));
        coming.map_or(0, |coming| coming.quantity.units())
    }

    fn wanted_for(&self, name: &str) -> i64 {
        let demand = self.state.demands().find(|(known, _)| **known == document(name));
        demand.map_or(0, |(_, demand)| demand.quantity.units())
    }
}

#[test]
fn an_older_or_equal_version_of_a_setting_changes_nothing() {
    let limit = |limit| StockCommand::SetBackorderLimit {
        limit: Some(units(limit)),
    };
    let none = |name: &str| StockCommand::NoDemand {
        document: document(name),
    };
    type Read = fn(&Stock) -> i64;
    let cases: [(&str, StockCommand, StockCommand, i64, Read); 6] = [
        ("safety stock", safety(50), safety(20), 50, |stock| {
            stock.state.safety.units()
        }),
        ("backorder limit", limit(40), limit(10), 40, |stock| {
            stock.state.backorder_limit().unwrap().units()
        }),
        (
            "expected",
            expected("PO", 12, Some(0)),
            expected("PO", 10, Some(0)),
            12,
            |stock| stock.to_come("PO"),
        ),
        (
            "not expected",
            not_expected("PO"),
            expected("PO", 10, Some(0)),
            0,
            |stock| stock.to_come("PO"),
        ),
        ("demand", wanted("SO", 7), wanted("SO", 5), 7, |stock| {
            stock.wanted_for("SO")
        }),
        ("no demand", none("SO"), wanted("SO", 5), 0, |stock| {
            stock.wanted_for("SO")
        }),
    ];
    for (name, newer, older, expected, read) in cases {
        for [first, second] in [[(2, &newer), (1, &older)], [(1, &older), (2, &newer)]] {
            let mut stock = Stock::with(100);
            stock.run(&versioned(first.0, first.1.clone()));
            stock.run(&versioned(second.0, second.1.clone()));
            assert_eq!(read(&stock), expected, "{name}");
            for (version, change) in [(1, &older), (2, &older)] {
                let again = versioned(version, change.clone());
                assert_eq!(stock.run(&again), StockReply::Stale { known: 2 }, "{name}");
            }
            assert_eq!(read(&stock), expected, "{name}");
            // Without a version it takes effect as it comes, and the version stands.
            stock.run(&older);
            assert_ne!(read(&stock), expected, "{name}");
            assert_eq!(
                stock.run(&versioned(2, newer.clone())),
                StockReply::Stale { known: 2 },
                "{name}"
            );
        }
    }
    let refused = Stock::with(1).run(&versioned(1, hold("O", 1)));
    assert_eq!(refused, StockReply::Refused(StockRefusal::NotVersioned));
    // What is refused is not told: the same version comes again, corrected.
    let mut stock = Stock::with(1);
    stock.run(&versioned(1, safety(-1)));
    stock.run(&versioned(1, safety(1)));
    assert_eq!(stock.state.safety, units(1));
}

#[test]
fn what_came_in_under_a_document_is_not_expected_again() {
    // What came is told to come before it, after it, again; 10 and 4 and 6 of PO-1.
    let all = || expected("PO-1", 10, None);
    let counted = |quantity, received| expected("PO-1", quantity, Some(received));
    let cases: [(&str, Vec<StockCommand>, i64); 13] = [
        ("in order", vec![all(), receipt("PO-1", 4)], 6),
        ("told again", vec![all(), receipt("PO-1", 4), all()], 6),
        (
            "told again after all came",
            vec![all(), receipt("PO-1", 10), all()],
            0,
        ),
        ("told late", vec![receipt("PO-1", 10), all()], 0),
        ("told late, twice", vec![receipt("PO-1", 10), all(), all()], 0),
        ("of another document", vec![receipt("PO-2", 10), all()], 10),
        (
            "the sender took it off",
            vec![all(), receipt("PO-1", 4), expected("PO-1", 6, None)],
            6,
        ),
        (
            "two more are ordered",
            vec![all(), receipt("PO-1", 10), expected("PO-1", 12, None)],
            2,
        ),
        (
            "nothing was taken off",
            vec![counted(10, 0), receipt("PO-1", 4), counted(12, 0)],
            8,
        ),
        (
            "4 were taken off",
            vec![counted(10, 0), receipt("PO-1", 4), counted(8, 4)],
            8,
        ),
        (
            "4 were taken off that come later",
            vec![counted(6, 4), receipt("PO-1", 4)],
            6,
        ),
        ("and more comes", vec![counted(6, 4), receipt("PO-1", 7)], 3),
        (
            "4 of 10 before it is told",
            vec![expected("PO-0", 1, None), receipt("PO-1", 4), all()],
            6,
        ),
    ];
    for (name, told, to_come) in cases {
        let mut stock = Stock::with(0);
        for command in &told {
            stock.run(command);
        }
        assert_eq!(stock.to_come("PO-1"), to_come, "{name}");
        assert_eq!(
            stock.state.expected.units(),
            to_come + stock.to_come("PO-0"),
            "{name}"
        );
    }
    let refused = Stock::with(0).run(&counted(1, -1));
    assert_eq!(
        refused,
        StockReply::Refused(StockRefusal::OutOfRange {
            bucket: Bucket::Expected,
            reason: RangeReason::Negative
        })
    );
}

#[test]
fn documents_that_are_over_are_remembered_for_a_week_and_so_many() {
    let mut stock = Stock::with(0);
    stock.run(&versioned(5, expected("PO", 10, Some(0))));
    stock.run(&receipt("PO", 10));
    let known = |stock: &Stock, name: &str| {
        stock
            .state
            .known_setting(&Setting::Coming(document(name)))
            .is_some()
    };
    let kept = i64::try_from(ENDED_KEPT.as_millis()).unwrap();
    // What is forgotten sooner takes nothing of it along.
    stock.run(&hold("O", 1));
    stock.run(&release("O"));
    stock.at(900_000).wake();
    assert!(stock.state.closed(&hold_id("O")).is_none());
    stock.at(1_000 + kept).wake();
    assert_eq!(
        stock.run(&versioned(4, expected("PO", 10, Some(0)))),
        StockReply::Stale { known: 5 }
    );
    stock.at(1_000 + 2 * kept).wake();
    assert!(!known(&stock, "PO"));
    assert_eq!((stock.state.book.is_none(), stock.state.alarm()), (true, None));

    // The last so many; what is still to come counts for none.
    stock.run(&versioned(1, expected("OPEN", 10, Some(0))));
    for number in 0..=MAX_ENDED {
        stock.at(stock.now.as_millis() + 1);
        stock.run(&versioned(1, not_expected(&format!("PO-{number}"))));
    }
    assert!(known(&stock, "OPEN") && !known(&stock, "PO-0") && known(&stock, "PO-1"));
}

#[test]
fn what_was_stored_before_settings_had_versions_is_read() {
    #[derive(serde::Serialize)]
    struct OldBook {
        #[serde(with = "super::super::state::pairs")]
        holds: BTreeMap<HoldId, Hold>,
        soft: Quantity,
        closed: Vec<ClosedHold>,
        #[serde(with = "super::super::state::pairs")]
        expected: BTreeMap<DocumentId, ExpectedReceipt>,
        backorders: Option<()>,
        appendix: Option<()>,
    }
    let receipt = ExpectedReceipt {
        quantity: positive(5),
        due: Timestamp::from_millis(1),
        stage: Stage::Expected,
    };
    let old = OldBook {
        holds: BTreeMap::new(),
        soft: Quantity::ZERO,
        closed: Vec::new(),
        expected: [(document("PO"), receipt.clone())].into(),
        backorders: None,
        appendix: None,
    };
    let read: Book = rmp_serde::from_slice(&rmp_serde::to_vec(&old).unwrap()).unwrap();
    assert_eq!(read.expected[&document("PO")], receipt);
}

proptest! {
    /// Whatever comes late, twice and in any order: of each setting the newest version stands, and of each document what it says
    /// less what came in and was not taken off.
    #[test]
    fn settings_with_versions_end_the_same_in_any_order(
        told in proptest::collection::vec((0_u8..6, 1_u64..6, 1_i64..20, 0_i64..8), 1..24),
        receipts in proptest::collection::vec((0_u8..2, 1_i64..8), 0..6),
        order in proptest::collection::vec((any::<u16>(), any::<bool>()), 64),
    ) {
        let mut messages: Vec<StockCommand> = Vec::new();
        // One text for each version of a setting.
        let mut said: BTreeMap<(u8, u64), (i64, i64)> = BTreeMap::new();
        for (setting, version, quantity, received) in told {
            said.entry((setting % 5, version)).or_insert((quantity, received));
        }
        for ((setting, version), (quantity, received)) in &said {
            let name = format!("D-{setting}");
            let change = match setting {
                0 => safety(*quantity),
                1 => StockCommand::SetBackorderLimit { limit: Some(units(*quantity)) },
                2 if quantity % 4 == 0 => StockCommand::NoDemand { document: document(&name) },
                2 => wanted(&name, *quantity),
                _ if quantity % 4 == 0 => not_expected(&name),
                _ => expected(&name, *quantity, Some(*received)),
            };
            messages.push(versioned(*version, change));
        }
        for (number, (which, quantity)) in (1..).zip(&receipts) {
            messages.push(StockCommand::Numbered {
                source: system("wms"),
                number: std::num::NonZeroU64::new(number).unwrap(),
                change: Box::new(receipt(&format!("D-{}", which + 3), *quantity)),
            });
        }
        let twice = messages.iter().zip(&order).filter(|(_, (_, twice))| *twice).map(|(message, _)| message.clone());
        let mut deliveries: Vec<StockCommand> = twice.collect();
        deliveries.extend(messages);
        let mut places: Vec<usize> = (0..deliveries.len()).collect();
        places.sort_by_key(|place| order[place % order.len()].0.wrapping_mul(31).wrapping_add(u16::try_from(*place).unwrap()));

        let mut stock = Stock::with(0);
        stock.run(&expected("D-0", 1, None));
        for place in places {
            stock.run(&deliveries[place]);
        }
        let newest = |setting: u8| said.iter().rfind(|((known, _), _)| *known == setting).map(|(_, said)| *said);
        prop_assert_eq!(stock.state.safety.units(), newest(0).map_or(0, |said| said.0));
        prop_assert_eq!(stock.state.backorder_limit().map(Quantity::units), newest(1).map(|said| said.0));
        let given_up = |said: &(i64, i64)| said.0 % 4 != 0;
        prop_assert_eq!(stock.wanted_for("D-2"), newest(2).filter(given_up).map_or(0, |said| said.0));
        for setting in [3, 4] {
            let came: i64 = receipts.iter().filter(|(which, _)| which + 3 == setting).map(|(_, quantity)| quantity).sum();
            let open = newest(setting).filter(given_up).map_or(0, |(quantity, received)| {
                (quantity - (came - received).max(0)).max(0)
            });
            prop_assert_eq!(stock.to_come(&format!("D-{setting}")), open, "document {}", setting);
        }
    }
}
