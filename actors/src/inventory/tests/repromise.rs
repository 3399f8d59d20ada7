//! By when what waits is expected, when goods are lost or classes may take no more.

use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::*;

fn expected(document: &str, quantity: i64, due: i64) -> StockCommand {
    StockCommand::Expect {
        document: DocumentId::new(document).unwrap(),
        quantity: positive(quantity),
        due: Timestamp::from_millis(due),
        stage: Stage::Expected,
        received: None,
    }
}

fn of(channel: &str, order: &str) -> HoldId {
    HoldId {
        order: OrderKey::new(channel, order).unwrap(),
        line: 1,
        attempt: 1,
    }
}

fn waits(id: HoldId, quantity: i64) -> StockCommand {
    StockCommand::Hold(HoldStock {
        answer_to: Some(id.order.clone()),
        id,
        quantity: positive(quantity),
        mode: HoldMode::Backorder(Priority::default()),
        expires: None,
        priority: Priority::default(),
        customer_class: None,
    })
}

fn policy(version: u64, cap: Option<i64>, protected: i64) -> StockCommand {
    let class = |name: &str, channel: &str, cap: Option<i64>, protected: i64| ChannelClass {
        name: ClassName::new(name).unwrap(),
        channels: vec![ChannelName::new(channel).unwrap()],
        protected: Some(Share::Units(units(protected))),
        cap: cap.map(|cap| Share::Units(units(cap))),
        buffer: Quantity::ZERO,
        show_at_most: None,
    };
    StockCommand::SetChannelPolicy(ChannelPolicy {
        version,
        classes: vec![class("web", "web", cap, 0), class("b2b", "edi", None, protected)],
    })
}

fn due(stock: &Stock, id: &HoldId) -> Option<i64> {
    let waits = stock.state.backorders().unwrap().get(id).unwrap();
    waits.due.map(Timestamp::as_millis)
}

#[test]
fn who_waits_hears_of_losses_and_of_what_its_class_may_take() {
    let waiting = || {
        let mut stock = Stock::with(5);
        stock.run(&hold("cart", 5));
        stock.run(&expected("PO-1", 3, 50_000));
        stock.run(&expected("PO-2", 3, 90_000));
        stock.run(&waits(of("web", "O-1"), 3));
        stock
    };
    // What is held for a cart and is not there comes first.
    let returned = StockCommand::Return {
        quantity: positive(2),
        condition: Condition::Sellable,
        order: None,
        document: paper(),
    };
    let cases = [
        ("lost", adjust(Adjustment::Loss, 2), adjust(Adjustment::Gain, 2)),
        (
            "damaged",
            adjust(Adjustment::Damage, 2),
            adjust(Adjustment::Repair, 2),
        ),
        (
            "withheld",
            adjust(Adjustment::Quarantine, 2),
            adjust(Adjustment::Clear, 2),
        ),
        ("counted", count(3, 1), count(5, 2)),
        (
            "lost, and others come back",
            adjust(Adjustment::Loss, 2),
            returned,
        ),
        ("capped at 2", policy(1, Some(2), 0), policy(2, Some(3), 0)),
        (
            "1 of PO-1 is kept for others",
            policy(1, None, 1),
            policy(2, None, 0),
        ),
    ];
    for (name, slips, mends) in cases {
        let mut stock = waiting();
        let id = of("web", "O-1");
        assert_eq!(due(&stock, &id), Some(50_000), "{name}");
        let told = decide(&stock_id(), &stock.state, &slips, &stock.rules, stock.now)
            .sends
            .len();
        assert_eq!(told, 1, "{name}");
        stock.run(&slips);
        let then = if name.starts_with("capped") {
            None
        } else {
            Some(90_000)
        };
        assert_eq!(due(&stock, &id), then, "{name}");
        stock.run(&mends);
        assert_eq!(due(&stock, &id), Some(50_000), "{name}");
    }
}

proptest! {
    /// A beginner gives away unit by unit what comes.
    #[test]
    fn promises_are_what_will_be_granted(
        steps in proptest::collection::vec((0_u8..9, 0_usize..6, 1_i64..9), 1..60),
    ) {
        let mut stock = Stock::with(0);
        let (mut version, mut cap, mut protected) = (0, None, 0);
        for (act, which, quantity) in steps {
            let channel = ["web", "edi", "shop"][which % 3];
            stock.at(stock.now.as_millis() + 7);
            stock.wake();
            match act {
                0..=2 => drop(stock.run(&waits(of(channel, &which.to_string()), quantity))),
                3 => drop(stock.run(&expected(&format!("PO-{which}"), quantity, stock.now.as_millis() + quantity * 20))),
                4 => drop(stock.run(&StockCommand::Receive { quantity: positive(quantity), document: paper() })),
                5 => drop(stock.run(&hold(&format!("cart-{which}"), quantity))),
                6 => drop(stock.run(&adjust(Adjustment::Loss, quantity))),
                7 => drop(stock.run(&StockCommand::Release { id: of(channel, &which.to_string()), answer_to: None })),
                _ => {
                    version += 1;
                    (cap, protected) = ((which % 2 > 0).then_some(quantity), i64::try_from(which).unwrap());
                    stock.run(&policy(version, cap, protected));
                }
            }
            let Some(backorders) = stock.state.backorders() else { continue };
            let taken = stock.state.channels().map(|book| book.taken.clone()).unwrap_or_default();
            let taken = |class: usize| taken.get(class).map_or(0, |taken| taken.units());
            let (mut web, mut edi, mut there) = (taken(0), taken(1), stock.state.position().units());
            let mut receipts: Vec<_> = stock.state.receipts().map(|(_, receipt)| (receipt.due, receipt.quantity.units())).collect();
            receipts.retain(|(due, _)| *due > stock.now);
            receipts.sort_unstable();
            receipts.insert(0, (stock.now, 0));
            let mut open: Vec<_> = backorders.waiting().map(|(id, waits)| (id, waits.waiting.units(), None)).collect();
            for (date, quantity) in receipts {
                there += quantity;
                for (id, open, due) in &mut open {
                    while *open > 0 {
                        let kept = (protected - edi).max(0);
                        let may = match id.order.channel() {
                            "edi" => there > 0,
                            "web" => there > kept && cap.is_none_or(|cap| web < cap),
                            _ => there > kept,
                        };
                        if !may {
                            break;
                        }
                        there -= 1;
                        *open -= 1;
                        match id.order.channel() {
                            "edi" => edi += 1,
                            "web" => web += 1,
                            _ => {}
                        }
                        *due = Some(date);
                    }
                    if *open > 0 {
                        *due = None;
                    }
                }
            }
            for (id, _, due) in open {
                prop_assert_eq!(backorders.get(id).unwrap().due, due, "{:?}", id);
            }
        }
    }
}
