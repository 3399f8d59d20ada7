//! All that stands in a pair.

use super::super::overview::{MAX_WAITING_SHOWN, Overview};
use super::*;

#[test]
fn who_waits_is_named_in_the_order_of_being_served() {
    let mut stock = Stock::with(2);
    for (order, rank) in [("old", 50), ("young", 50), ("urgent", 1)] {
        stock.at(stock.now.as_millis() + 1);
        stock.run(&wait(order, 3, rank));
    }
    let overview = Overview::of(&stock.state);
    let named: Vec<_> = overview
        .backorders
        .iter()
        .map(|waits| {
            (
                waits.place,
                waits.hold.order.number().to_owned(),
                waits.waiting.units(),
            )
        })
        .collect();
    let named: Vec<_> = named
        .iter()
        .map(|(place, order, waiting)| (*place, order.as_str(), *waiting))
        .collect();
    assert_eq!(named, [(1, "urgent", 3), (2, "old", 1), (3, "young", 3)]);
    assert_eq!((overview.waiting, overview.reserved), (units(7), units(2)));
    assert_eq!(
        stock.run(&StockCommand::Overview),
        StockReply::Overview(Box::new(overview))
    );
    for order in 0..MAX_WAITING_SHOWN {
        stock.run(&wait(&order.to_string(), 1, 99));
    }
    assert_eq!(Overview::of(&stock.state).backorders.len(), MAX_WAITING_SHOWN);
}
