//! Goods that were held for an order and turn out not to be there.

use super::*;

/// Ten of A, eight of them held for a booked order.
fn eight_held(policy: Policy) -> (World, OrderKey) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = world.order("1", &[("A", 8)], &["W1"], policy);
    assert_eq!(world.status(&order), Status::Booked);
    (world, order)
}

impl World {
    /// A recount finds so much less.
    fn recount(&mut self, less: i64) {
        let command = StockCommand::Adjust {
            change: crate::inventory::command::Adjustment::Loss,
            quantity: PositiveQuantity::new(less).unwrap(),
            reason: Reason::new("recount").unwrap(),
            document: None,
        };
        self.take((stock_id("A", "W1"), command).into());
        self.settle();
    }
}

#[test]
fn s37_an_order_that_ships_complete_stands_in_exception_and_goes_on_by_itself_once_goods_come() {
    let (mut world, order) = eight_held(Policy::ShipComplete);
    world.recount(5);
    let exception = world.exception(&order).unwrap();
    assert_eq!(
        exception.to_string(),
        "line 1: 3 that were held are not there after all, and wait for goods"
    );
    // Reserved, shipped, backordered, pending, cancelled.
    assert_eq!(world.lines(&order), [[5, 0, 3, 0, 0]]);
    world.receive("A", "W1", 2);
    world.settle();
    assert_eq!(world.status(&order), Status::Exception);
    world.receive("A", "W1", 1);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[8, 0, 0, 0, 0]]);
}

#[test]
fn s37_a_person_lets_it_go_on_with_what_is_there_or_cancels_it() {
    let (mut world, order) = eight_held(Policy::ShipComplete);
    world.recount(5);
    world.tell(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Booked);
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.status(&order), Status::Backordered);
    assert_eq!(world.lines(&order), [[0, 5, 3, 0, 0]]);

    let (mut world, order) = eight_held(Policy::ShipComplete);
    world.recount(5);
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Cancelled);
    // Nothing is left behind: what comes in is free.
    world.receive("A", "W1", 1);
    world.settle();
    let stock = &world.stocks[&stock_id("A", "W1")];
    assert_eq!((stock.reserved.units(), stock.available().units()), (0, 6));
}

#[test]
fn s37_a_partial_order_goes_on_and_what_it_lost_waits() {
    let (mut world, order) = eight_held(Policy::Partial);
    world.tell(&order, OrderCommand::ReleaseToWarehouse);
    world.recount(5);
    assert_eq!(world.status(&order), Status::Released);
    assert_eq!(world.lines(&order), [[5, 0, 3, 0, 0]]);
    world.recount(5);
    assert_eq!(world.status(&order), Status::Backordered);
    world.receive("A", "W1", 8);
    world.settle();
    // The warehouse has to be told again.
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[8, 0, 0, 0, 0]]);
}
