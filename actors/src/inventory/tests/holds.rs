//! Soft and hard holds, lines held together, and holds that are changed.

use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::super::holds::{HoldChange, HoldLines};
use super::super::numbering::ChangeNumber;
use super::*;
use crate::inventory::SkuWarehouse;
use crate::inventory::lots::LotUnits;
use crate::pricing::catalogue::Tracking;
use crate::reference::Reference;
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{MessageId, Origin, Provenance};
use lockstep_runtime::placement::PartitionId;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn change(order: &str, change: HoldChange) -> StockCommand {
    StockCommand::ChangeHold {
        id: hold_id(order),
        change,
    }
}

fn soft(order: &str, quantity: i64, expires: i64) -> StockCommand {
    hold_until(order, quantity, HoldMode::All, Some(after(expires)))
}

fn ended(end: HoldEnd, shipped: i64) -> StockReply {
    let shipped = units(shipped);
    StockReply::Refused(StockRefusal::Ended { end, shipped })
}

/// A hold that an order takes by itself.
fn of_order(order: &str, quantity: i64, mode: HoldMode) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: hold_id(order),
        quantity: positive(quantity),
        mode,
        expires: None,
        priority: Priority::default(),
        answer_to: Some(hold_id(order).order),
        customer_class: None,
    })
}

const OUTSIDE: Origin = Origin::External(MessageId(1));
const INSIDE: Origin = Origin::Entity {
    from: PartitionId(0),
    sequence: 1,
};

impl Stock {
    /// Has somebody say it.
    fn told_by(&mut self, origin: Origin, command: &StockCommand) -> StockReply {
        let provenance = Provenance {
            source: "wms".into(),
            correlation: "1".into(),
            causation: None,
        };
        let context = Context {
            now: self.now,
            provenance: &provenance,
            origin,
            reference: &Reference::default(),
        };
        self.take(SkuWarehouse::decide(&stock_id(), &self.state, command, &context))
    }

    /// Hard and soft.
    fn reserved(&self) -> (i64, i64) {
        let soft = self.state.soft().units();
        (self.state.reserved.units() - soft, soft)
    }
}

#[test]
fn s23_soft_and_hard_holds_are_shown_apart() {
    let mut stock = Stock::with(500);
    stock.run(&adjust(Adjustment::Damage, 12));
    stock.run(&adjust(Adjustment::Quarantine, 20));
    stock.run(&StockCommand::SetSafetyStock { quantity: units(50) });
    stock.run(&hold("hard", 140));
    assert!(stock.state.detail().is_none());
    stock.run(&soft("soft", 35, 600));
    assert_eq!((stock.available(), stock.reserved()), (243, (140, 35)));
    assert_eq!(stock.state.detail().unwrap().soft, units(35));
    // A cart becomes an order.
    stock.run(&change("soft", HoldChange::Expire(None)));
    assert_eq!((stock.available(), stock.reserved()), (243, (175, 0)));
}

/// Everything that a message from outside may want of the hold of `O`.
fn changes_from_outside() -> Vec<StockCommand> {
    let numbered = |change| StockCommand::Numbered {
        source: system("wms"),
        number: ChangeNumber::new(1).unwrap(),
        change: Box::new(change),
    };
    let in_lots = |change| StockCommand::InLots {
        lots: Box::new([LotUnits {
            lot: LotCode::new("L").unwrap(),
            quantity: positive(5),
            expires: None,
        }]),
        kept: Tracking::None,
        change: Box::new(change),
    };
    let in_unit = |change| StockCommand::InUnit {
        unit: UnitOfMeasure::new("EA").unwrap(),
        change: Box::new(change),
    };
    vec![
        release("O"),
        change("O", HoldChange::Reduce(positive(1))),
        change("O", HoldChange::Expire(Some(after(600)))),
        change("O", HoldChange::Transfer(hold_id("P"))),
        StockCommand::MoveHold {
            id: hold_id("O"),
            to: WarehouseCode::new("W2").unwrap(),
            answer_to: None,
        },
        StockCommand::ConfirmPick { id: hold_id("O") },
        ship("O", 5),
        numbered(ship("O", 5)),
        in_lots(ship("O", 5)),
        in_unit(change("O", HoldChange::Reduce(positive(1)))),
    ]
}

#[test]
fn what_an_order_has_taken_by_itself_is_changed_by_the_order_alone() {
    let refused = StockReply::Refused(StockRefusal::OfAnOrder);
    // 10 there: held whole, held in part, all of it waiting.
    let before = [
        vec![of_order("O", 5, HoldMode::All)],
        vec![of_order("O", 12, HoldMode::Backorder(Priority::default()))],
        vec![
            of_order("P", 10, HoldMode::All),
            of_order("O", 5, HoldMode::Backorder(Priority::default())),
        ],
    ];
    for held in &before {
        for command in changes_from_outside() {
            let mut stock = Stock::with(10);
            for hold in held {
                stock.told_by(INSIDE, hold);
            }
            let taken = stock.state.clone();
            assert_eq!(stock.told_by(OUTSIDE, &command), refused, "{command:?}");
            assert_eq!(stock.state, taken, "{command:?}");
        }
    }
    // What the order itself says goes on, and so does what concerns a cart.
    for command in [
        release("O"),
        change("O", HoldChange::Reduce(positive(1))),
        StockCommand::ConfirmPick { id: hold_id("O") },
        ship("O", 5),
    ] {
        for (origin, hold) in [
            (INSIDE, of_order("O", 5, HoldMode::All)),
            (OUTSIDE, soft("O", 5, 600)),
        ] {
            let mut stock = Stock::with(10);
            stock.told_by(origin, &hold);
            let taken = stock.state.clone();
            let reply = stock.told_by(origin, &command);
            assert!(!matches!(reply, StockReply::Refused(_)), "{command:?}: {reply:?}");
            assert_ne!(stock.state, taken, "{command:?}");
        }
    }
}

#[test]
fn an_order_makes_the_cart_of_its_name_its_own() {
    let waits = HoldMode::Backorder(Priority::default());
    let short = |available| {
        StockReply::Refused(StockRefusal::Short {
            asked: positive(5),
            available: units(available),
        })
    };
    // (in the cart, free beside it, the order wants, how, what it is answered, what is held for it, free then)
    let cases = [
        (5, 0, 5, HoldMode::All, held(5), 5, 0),
        (5, 2, 5, HoldMode::All, held(5), 5, 2),
        (3, 2, 5, HoldMode::All, held(5), 5, 0),
        (3, 1, 5, HoldMode::Partial, held(4), 4, 0),
        (3, 1, 5, waits, backordered(4, 1, 1), 4, 0),
        (5, 0, 3, HoldMode::All, held(3), 3, 2),
        (3, 1, 5, HoldMode::All, short(4), 0, 1),
    ];
    for (cart, beside, wanted, mode, reply, held_for_it, free) in cases {
        let mut stock = Stock::with(cart + beside);
        stock.run(&soft("N", cart, 600));
        let order = of_order("N", wanted, mode);
        for _ in 0..2 {
            assert_eq!(stock.run(&order), reply, "{cart} {beside} {wanted}");
            assert_eq!(stock.available(), free, "{cart} {beside} {wanted}");
        }
        // The end of the cart is not that of the order.
        stock.at(600_000).wake();
        let hold = stock.state.hold(&hold_id("N"));
        assert_eq!(hold.map_or(0, |hold| hold.granted.units()), held_for_it);
        assert!(hold.is_none_or(|hold| hold.rank.is_some() && hold.expires.is_none()));
        let other = stock.run(&of_order("P", 5, HoldMode::All));
        let left = cart + beside - held_for_it;
        assert_eq!(other == held(5), left >= 5, "{other:?}");
    }
}

#[test]
fn an_order_keeps_what_its_cart_held_while_others_wait() {
    let mut stock = Stock::with(5);
    stock.run(&soft("N", 5, 600));
    stock.run(&wait("W", 4, 50));
    assert_eq!(stock.run(&of_order("N", 5, HoldMode::All)), held(5));
    stock.at(600_000).wake();
    assert_eq!(
        (stock.state.reserved.units(), stock.state.waiting().units()),
        (5, 4)
    );
    // What it does not want of it is for those who wait.
    let mut stock = Stock::with(5);
    stock.run(&soft("N", 5, 600));
    stock.run(&wait("W", 4, 50));
    assert_eq!(stock.run(&of_order("N", 3, HoldMode::All)), held(3));
    assert_eq!(
        (stock.state.reserved.units(), stock.state.waiting().units()),
        (5, 2)
    );
}

#[test]
fn an_order_whose_cart_is_not_there_any_more_waits_for_it() {
    let mut stock = Stock::with(5);
    stock.run(&soft("N", 5, 600));
    stock.run(&adjust(Adjustment::Loss, 2));
    // Nobody could be told that the cart is short of 2; the order is.
    assert_eq!(stock.state.shortfall(), units(2));
    assert_eq!(stock.run(&of_order("N", 5, HoldMode::All)), held(5));
    assert_eq!(stock.state.standing(&hold_id("N")).unwrap(), backordered(3, 2, 1));
    assert_eq!(stock.state.shortfall(), Quantity::ZERO);
}

#[test]
fn s27_lines_that_fit_alone_but_not_together_are_refused_whole() {
    let together = |lines: &[(u16, i64)]| {
        StockCommand::HoldLines(HoldLines {
            order: hold_id("O").order,
            attempt: 1,
            lines: lines
                .iter()
                .map(|(line, quantity)| (*line, positive(*quantity)))
                .collect(),
            expires: None,
        })
    };
    let mut stock = Stock::with(5);
    let short = StockRefusal::Short {
        asked: positive(3),
        available: units(2),
    };
    assert_eq!(
        stock.run(&together(&[(1, 3), (2, 3)])),
        StockReply::Refused(short)
    );
    assert_eq!((stock.available(), stock.state.holds().count()), (5, 0));
    for _ in 0..3 {
        assert_eq!(stock.run(&together(&[(1, 3), (2, 2)])), held(5));
        assert_eq!((stock.available(), stock.state.holds().count()), (0, 2));
    }
    let twice = StockRefusal::RepeatedLine { line: 1 };
    assert_eq!(
        stock.run(&together(&[(1, 3), (1, 3)])),
        StockReply::Refused(twice)
    );
}

#[test]
fn s30_a_hold_that_was_prolonged_is_not_ended_by_its_older_timer() {
    let mut stock = Stock::with(5);
    stock.run(&soft("O", 5, 600));
    let longer = change("O", HoldChange::Expire(Some(after(1_200))));
    assert_eq!(stock.at(599_999).run(&longer), held(5));
    assert_eq!(stock.run(&longer), held(5));
    stock.at(600_000).wake();
    assert_eq!(stock.reserved(), (0, 5));
    assert_eq!(stock.state.alarm(), Some(after(1_200)));
    let past = change("O", HoldChange::Expire(Some(after(700))));
    assert_eq!(
        stock.at(700_000).run(&past),
        StockReply::Refused(StockRefusal::AlreadyExpired)
    );
    // Sooner is possible as well.
    stock.run(&change("O", HoldChange::Expire(Some(after(701)))));
    stock.at(701_000).wake();
    assert_eq!((stock.available(), stock.reserved()), (5, (0, 0)));
    assert_eq!(stock.run(&longer), ended(HoldEnd::Expired, 0));
}

#[test]
fn a_hold_is_made_less_but_not_less_than_shipped_and_never_more() {
    let mut stock = Stock::with(20);
    stock.run(&soft("O", 10, 600));
    let to = |quantity| change("O", HoldChange::Reduce(positive(quantity)));
    assert_eq!((stock.run(&to(7)), stock.run(&to(7))), (held(7), held(7)));
    assert_eq!((stock.available(), stock.reserved()), (13, (0, 7)));
    let more = StockRefusal::MoreThanHeld {
        asked: positive(8),
        held: units(7),
    };
    assert_eq!(stock.run(&to(8)), StockReply::Refused(more));
    stock.run(&ship("O", 4));
    let less = StockRefusal::LessThanShipped {
        asked: positive(3),
        shipped: units(4),
    };
    assert_eq!(stock.run(&to(3)), StockReply::Refused(less));
    assert_eq!(
        stock.run(&change("O", HoldChange::Expire(Some(after(900))))),
        StockReply::Refused(StockRefusal::Picked)
    );
    // What is left was shipped: it is done.
    assert_eq!(stock.run(&to(4)), held(4));
    assert_eq!((stock.available(), stock.reserved()), (16, (0, 0)));
    assert_eq!(stock.run(&to(4)), ended(HoldEnd::Shipped, 4));
    // What was asked for at first is still the same hold's wish.
    assert_eq!(stock.run(&soft("O", 10, 600)), ended(HoldEnd::Shipped, 4));
}

#[test]
fn a_hold_goes_over_to_another_order_with_what_was_not_shipped() {
    let mut stock = Stock::with(10);
    stock.run(&hold("O", 8));
    stock.run(&ship("O", 3));
    let over = change("O", HoldChange::Transfer(hold_id("P")));
    assert_eq!((stock.run(&over), stock.run(&over)), (held(5), held(5)));
    assert_eq!((stock.available(), stock.reserved()), (2, (5, 0)));
    assert_eq!(stock.run(&ship("O", 4)), ended(HoldEnd::Transferred, 3));
    let back = change("P", HoldChange::Transfer(hold_id("O")));
    assert_eq!(stock.run(&back), StockReply::Refused(StockRefusal::HoldExists));
    stock.run(&ship("P", 5));
    assert_eq!((stock.state.on_hand.units(), stock.reserved()), (2, (0, 0)));
}

#[test]
fn a_transfer_needs_room_in_the_class_of_the_other_orders_channel() {
    let market = |order: &str| HoldId {
        order: OrderKey::new("amazon", order).unwrap(),
        line: 1,
        attempt: 1,
    };
    let mut stock = Stock::with(50);
    stock.run(&StockCommand::SetChannelPolicy(ChannelPolicy {
        version: 1,
        classes: vec![ChannelClass {
            name: ClassName::new("market").unwrap(),
            channels: vec![ChannelName::new("amazon").unwrap()],
            protected: None,
            cap: Some(Share::Units(units(30))),
            buffer: Quantity::ZERO,
            show_at_most: None,
        }],
    }));
    stock.run(&hold("O", 20));
    stock.run(&hold("P", 20));
    assert_eq!(
        stock.run(&change("O", HoldChange::Transfer(market("M-1")))),
        held(20)
    );
    assert_eq!(stock.state.available_to("amazon").units(), 10);
    let short = StockRefusal::Short {
        asked: positive(20),
        available: units(10),
    };
    let second = change("P", HoldChange::Transfer(market("M-2")));
    assert_eq!(stock.run(&second), StockReply::Refused(short));
    stock.run(&change("P", HoldChange::Reduce(positive(10))));
    assert_eq!(stock.run(&second), held(10));
    let taken = &stock.state.channels().unwrap().taken;
    assert_eq!(taken, &[units(30), Quantity::ZERO]);
}

#[test]
fn a_hold_of_which_a_part_waits_is_neither_given_away_nor_made_soft() {
    let mut stock = Stock::with(1);
    stock.run(&wait("O", 2, 50));
    for (what, refusal) in [
        (HoldChange::Transfer(hold_id("P")), StockRefusal::Waits),
        (
            HoldChange::Expire(Some(after(900))),
            StockRefusal::BackorderExpires,
        ),
    ] {
        assert_eq!(stock.run(&change("O", what)), StockReply::Refused(refusal));
    }
}

proptest! {
    /// Buckets add up whatever is done with holds; `apply` asserts the sums, and expiry is exact.
    #[test]
    fn changed_holds_add_up_and_end_in_time(
        steps in proptest::collection::vec((0_u8..9, 0_usize..6, 0_usize..6, 1_i64..20, 0_i64..40), 1..150),
    ) {
        let mut stock = Stock::with(60);
        let mut shipped = 0;
        for (kind, order, other, quantity, seconds) in steps {
            let now = stock.now.as_millis() + seconds * 100;
            let until = Timestamp::from_millis(now + seconds * 1_000);
            let (order, other) = (order.to_string(), other.to_string());
            stock.at(now);
            let command = match kind {
                0 => hold_until(&order, quantity, HoldMode::All, Some(until)),
                1 => hold(&order, quantity),
                2 => change(&order, HoldChange::Expire(Some(until))),
                3 => change(&order, HoldChange::Reduce(positive(quantity))),
                4 => change(&order, HoldChange::Transfer(hold_id(&other))),
                5 => ship(&order, quantity),
                6 => release(&order),
                7 => of_order(&order, quantity, HoldMode::Partial),
                _ => change(&order, HoldChange::Expire(None)),
            };
            let on_hand = stock.state.on_hand.units();
            let reply = stock.run(&command);
            shipped += on_hand - stock.state.on_hand.units();
            if matches!(reply, StockReply::Refused(_)) {
                prop_assert_eq!(on_hand, stock.state.on_hand.units());
            }
            prop_assert_eq!(stock.state.on_hand.units(), 60 - shipped);
            prop_assert_eq!(stock.state.shortfall(), Quantity::ZERO, "oversold");
            prop_assert_eq!(stock.state.available(), stock.state.on_hand.minus(stock.state.reserved));
            let overdue = stock.state.holds().find(|(_, hold)| hold.is_due(stock.now));
            prop_assert!(overdue.is_none() || matches!(reply, StockReply::Refused(_)) , "{:?}", overdue);
        }
        stock.at(i64::MAX / 4).wake();
        prop_assert_eq!(stock.state.soft(), Quantity::ZERO);
    }
}

#[test]
fn a_hold_that_ended_does_not_come_back_though_many_ended_after_it() {
    for name in ["shipped", "released", "barred"] {
        let mut stock = Stock::with(100);
        if name != "barred" {
            stock.run(&hold("O", 5));
        }
        if name == "shipped" {
            stock.run(&ship("O", 5));
        } else {
            stock.run(&release("O"));
        }
        for number in 0..MAX_CLOSED {
            stock.run(&hold(&number.to_string(), 1));
            stock.run(&release(&number.to_string()));
        }
        let (on_hand, free) = (stock.state.on_hand, stock.available());
        assert!(stock.state.closed(&hold_id("O")).is_none(), "{name}");
        let ended = StockRefusal::Ended {
            end: HoldEnd::Forgotten,
            shipped: Quantity::ZERO,
        };
        assert_eq!(stock.run(&hold("O", 5)), StockReply::Refused(ended), "{name}");
        let nothing = StockReply::Released {
            quantity: Quantity::ZERO,
        };
        assert_eq!(stock.run(&release("O")), nothing, "{name}");
        let unknown = StockReply::Refused(StockRefusal::UnknownHold);
        assert_eq!(stock.run(&ship("O", 5)), unknown, "{name}");
        let confirm = StockCommand::ConfirmPick { id: hold_id("O") };
        assert_eq!(stock.run(&confirm), unknown, "{name}");
        stock.run(&hold("P", 1));
        let give = StockCommand::ChangeHold {
            id: hold_id("P"),
            change: HoldChange::Transfer(hold_id("O")),
        };
        assert_eq!(
            stock.run(&give),
            StockReply::Refused(StockRefusal::HoldExists),
            "{name}"
        );
        stock.run(&release("P"));
        assert_eq!(
            (stock.state.on_hand, stock.available()),
            (on_hand, free),
            "{name}"
        );
        // So many are known, and for as long as the others.
        for number in 0..MAX_MARKS + MAX_CLOSED {
            stock.run(&hold(&format!("more-{number}"), 1));
            stock.run(&release(&format!("more-{number}")));
        }
        assert_eq!(stock.run(&hold("O", 5)), held(5), "{name}");
        stock.run(&release("O"));
        stock.now = stock.state.alarm().unwrap();
        stock.wake();
        assert_eq!(
            (stock.state.book.is_none(), stock.state.alarm()),
            (true, None),
            "{name}"
        );
    }
}
