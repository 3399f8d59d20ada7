//! Goods that were held for an order and turn out not to be there.

use super::changes::change;
use super::*;

/// Ten of A, eight of them held for a booked order.
fn eight_held(policy: Policy) -> (World, OrderKey) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = world.order("1", &[("A", 8)], &["W1"], policy);
    assert_eq!(world.status(&order), Status::Booked);
    (world, order)
}

impl World {
    /// So much may be sold before it is there.
    pub(super) fn declare(&mut self, sku: &str, warehouse: &str, limit: i64) {
        let limit = Some(Quantity::new(limit).unwrap());
        self.take(
            (
                stock_id(sku, warehouse),
                StockCommand::SetBackorderLimit { limit },
            )
                .into(),
        );
        self.settle();
    }

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
fn an_order_that_ships_complete_waits_where_the_goods_are_sold_before_they_are_there() {
    let mut world = World::new(Fate::kind())
        .stock("A", "W1", 5)
        .stock("A", "W2", 2)
        .stock("B", "W1", 9);
    world.declare("A", "W1", 4);
    // 5 and 2 are there, 3 wait: nothing leaves before they have come.
    let order = world.order("1", &[("A", 10), ("B", 1)], &["W1", "W2"], Policy::ShipComplete);
    assert_eq!(world.status(&order), Status::Backordered);
    assert_eq!(world.lines(&order), [[7, 0, 3, 0, 0], [1, 0, 0, 0, 0]]);
    // One more may wait, not two.
    let other = world.order("2", &[("A", 2)], &["W1"], Policy::ShipComplete);
    assert_eq!(
        world.exception(&other).unwrap().to_string(),
        "not enough stock for 1 line(s), the first is line 1"
    );
    world.receive("A", "W1", 2);
    world.settle();
    assert_eq!(world.status(&order), Status::Backordered);
    world.receive("A", "W1", 1);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[10, 0, 0, 0, 0], [1, 0, 0, 0, 0]]);
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
}

#[test]
fn what_an_order_that_waited_for_the_whole_loses_again_is_like_any_other_loss() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    world.declare("A", "W1", 9);
    let order = world.order("1", &[("A", 8)], &["W1"], Policy::ShipComplete);
    // Lost while it waits: it waits for more.
    world.recount(2);
    assert_eq!(world.status(&order), Status::Backordered);
    assert_eq!(world.lines(&order), [[3, 0, 5, 0, 0]]);
    world.receive("A", "W1", 5);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    // Lost once it had come: a person decides, and may let the rest go.
    world.recount(6);
    assert_eq!(world.status(&order), Status::Exception);
    world.tell(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[2, 0, 6, 0, 0]]);
}

/// Five are there of the eight that are ordered as a whole, then five are wanted.
pub(super) fn wants_no_more_than_there_is() -> (World, OrderKey) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    world.declare("A", "W1", 9);
    let order = world.order("1", &[("A", 8)], &["W1"], Policy::ShipComplete);
    assert_eq!(world.status(&order), Status::Backordered);
    world.tell(&order, change("CH-1", &[(1, 5)]));
    world.settle();
    (world, order)
}

#[test]
fn who_waits_for_the_whole_and_wants_no_more_than_there_is_gets_it() {
    let (world, order) = wants_no_more_than_there_is();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[5, 0, 0, 0, 3]]);
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
