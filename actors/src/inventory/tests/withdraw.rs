//! Goods that are held and turn out not to be there.

use super::super::withdraw::MAX_WITHDRAWN;
use super::*;
use crate::domain::Message;
use crate::orders::command::{OrderCommand, StockAnswer};

/// A hold of an order of a priority, which is told what becomes of it.
fn held_for(order: &str, quantity: i64, rank: u8) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: hold_id(order),
        quantity: positive(quantity),
        mode: HoldMode::Partial,
        expires: None,
        priority: Priority::new(rank).unwrap(),
        answer_to: Some(hold_id(order).order),
        customer_class: None,
    })
}

/// What the orders are told: which, granted, waiting, revision.
fn told(decision: &StockDecision) -> Vec<(String, i64, i64, u32)> {
    let told = decision.sends.iter().filter_map(|message| {
        let Message::Order(order, OrderCommand::StockAnswered(answered)) = message else {
            return None;
        };
        let StockAnswer::Standing {
            held,
            waiting,
            revision,
            due: _,
        } = &answered.answer
        else {
            return None;
        };
        Some((
            order.number().to_owned(),
            held.units(),
            waiting.units(),
            *revision,
        ))
    });
    told.collect()
}

impl Stock {
    fn tell(&mut self, command: &StockCommand) -> Vec<(String, i64, i64, u32)> {
        let decision = decide(&stock_id(), &self.state, command, &self.rules, self.now);
        let told = told(&decision);
        self.take(decision);
        told
    }
}

#[test]
fn s37_a_recount_below_what_is_held_takes_it_from_the_least_urgent_order_and_says_so() {
    let mut stock = Stock::with(10);
    stock.at(2_000).run(&held_for("urgent", 3, 10));
    stock.at(3_000).run(&held_for("old", 2, 50));
    stock.at(4_000).run(&held_for("young", 3, 50));
    // 10 counted as 5, 8 held: 3 of the youngest of the least urgent wait for goods.
    let lost = stock.at(5_000).tell(&count(5, 1));
    assert_eq!(lost, [("young".to_owned(), 0, 3, 1)]);
    assert_eq!((stock.available(), stock.state.shortfall().units()), (0, 0));
    assert_eq!(
        (stock.state.reserved.units(), stock.state.waiting().units()),
        (5, 3)
    );
    // A unit less: the next one gives it; nobody's hold is ever cut without being told.
    assert_eq!(
        stock.tell(&adjust(Adjustment::Loss, 1)),
        [("old".to_owned(), 1, 1, 1)]
    );
    // Goods come: the older one is served first, then what is left goes to the younger.
    let receipt = |quantity| StockCommand::Receive {
        quantity: positive(quantity),
        document: paper(),
    };
    assert_eq!(
        stock.tell(&receipt(3)),
        [("old".to_owned(), 2, 0, 2), ("young".to_owned(), 2, 1, 2)]
    );
    assert_eq!(stock.tell(&receipt(2)), [("young".to_owned(), 3, 0, 3)]);
    assert_eq!((stock.available(), stock.state.reserved.units()), (1, 8));
    // It ships and ends as any other.
    assert_eq!(
        stock.run(&ship("young", 3)),
        StockReply::Shipped { total: units(3) }
    );
    assert_eq!(stock.state.holds().count(), 2);
}

#[test]
fn s37_what_was_shipped_picked_or_is_no_order_s_is_kept() {
    let mut stock = Stock::with(20);
    stock.run(&held_for("shipped", 6, 99));
    stock.run(&ship("shipped", 4));
    stock.run(&held_for("picked", 5, 98));
    stock.run(&StockCommand::ConfirmPick {
        id: hold_id("picked"),
    });
    stock.run(&hold("cart", 4));
    stock.run(&held_for("order", 4, 1));
    // 16 on hand, 15 held, of which 4 can be given back: 11 cannot.
    let all = stock.tell(&count(3, 1));
    assert_eq!(all, [("order".to_owned(), 0, 4, 1)]);
    assert_eq!((stock.available(), stock.state.shortfall().units()), (0, 8));
    assert_eq!(stock.state.reserved.units(), 11);
    // What was picked goes back on the shelf: it is there to be given away again.
    let released = stock.tell(&release("picked"));
    assert_eq!((released, stock.state.shortfall().units()), (vec![], 3));
}

#[test]
fn s37_what_a_missing_number_may_bring_is_not_taken_back() {
    let mut stock = Stock::with(5);
    let numbered = |number: u64, change: StockCommand| StockCommand::Numbered {
        source: system("wms"),
        number: number.try_into().unwrap(),
        change: Box::new(change),
    };
    stock.run(&numbered(1, adjust(Adjustment::Gain, 1)));
    stock.run(&held_for("O-1", 6, 50));
    // 3 are lost before the 3 that came in are told.
    assert_eq!(stock.tell(&numbered(3, adjust(Adjustment::Loss, 3))), []);
    assert_eq!(stock.state.shortfall().units(), 3);
    assert_eq!(
        stock.tell(&numbered(2, adjust(Adjustment::Gain, 2))),
        [("O-1".to_owned(), 5, 1, 1)]
    );
    assert_eq!(stock.state.shortfall().units(), 0);
}

#[test]
fn s37_more_holds_than_one_decision_takes_from_follow_with_the_next_change() {
    let mut stock = Stock::with(300);
    for order in 0..300 {
        stock.run(&held_for(&format!("{order:03}"), 1, 50));
    }
    assert_eq!(stock.tell(&count(0, 1)).len(), MAX_WITHDRAWN);
    assert_eq!(stock.state.shortfall().units(), 300 - 256);
    stock.tell(&count(0, 2));
    assert_eq!(
        (stock.state.shortfall().units(), stock.state.waiting().units()),
        (0, 300)
    );
}
