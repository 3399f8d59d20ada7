//! What is sold before it is there: on backorder or preorder, up to a limit.

use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::*;
use crate::reference::StockLevel;
use lockstep_runtime::message::Sequence;

fn limit(units_that_wait: impl Into<Option<i64>>) -> StockCommand {
    let limit = units_that_wait.into().map(units);
    StockCommand::SetBackorderLimit { limit }
}

fn whole(order: &str, quantity: i64) -> StockCommand {
    hold_until(order, quantity, HoldMode::IfDeclared(Priority::default()), None)
}

fn short(asked: i64, available: i64) -> StockReply {
    StockReply::Refused(StockRefusal::Short {
        asked: positive(asked),
        available: units(available),
    })
}

impl Stock {
    /// What is shown to a channel, and what of it is there.
    fn shown_to(&self, channel: &str) -> (i64, i64) {
        let level = StockLevel {
            sku: stock_id().sku,
            warehouse: stock_id().warehouse,
            available: self.state.available(),
            on_hand: self.state.on_hand,
            reserved: self.state.reserved,
            detail: self.state.detail(),
            sequence: Sequence(1),
        };
        (
            level.available_to(channel).units(),
            level.in_stock_for(channel.into()).units(),
        )
    }
}

#[test]
fn no_more_waits_than_is_declared_and_channels_see_what_may_still_be_sold() {
    let mut stock = Stock::with(6);
    assert_eq!(stock.shown_to("web"), (6, 6));
    stock.run(&limit(10));
    assert_eq!(stock.shown_to("web"), (16, 6));
    // 6 are there, 3 wait: 7 more may.
    assert_eq!(stock.run(&wait("O-1", 9, 50)), backordered(6, 3, 1));
    assert_eq!(stock.shown_to("web"), (7, 0));
    assert_eq!(stock.run(&wait("O-2", 8, 50)), short(8, 7));
    assert_eq!(stock.run(&wait("O-3", 7, 50)), backordered(0, 7, 1));
    assert_eq!(stock.shown_to("web"), (0, 0));
    // The same again is answered as it was.
    assert_eq!(stock.run(&wait("O-3", 7, 50)), backordered(0, 7, 1));
    // 5 come: 3 for the first, 2 for the other; 5 still wait.
    stock.run(&StockCommand::Receive {
        quantity: positive(5),
        document: paper(),
    });
    assert_eq!(stock.shown_to("web"), (5, 0));
    // Who gives up makes room.
    stock.run(&release("O-3"));
    assert_eq!(stock.shown_to("web"), (12, 2));
}

#[test]
fn who_takes_only_the_whole_waits_where_it_is_declared() {
    let mut stock = Stock::with(6);
    assert_eq!(stock.run(&whole("O-1", 7)), short(7, 6));
    stock.run(&limit(2));
    assert_eq!(stock.run(&whole("O-2", 9)), short(9, 8));
    assert_eq!(stock.run(&whole("O-3", 8)), backordered(6, 2, 1));
}

#[test]
fn a_limit_of_nothing_lets_nobody_wait_and_without_one_all_who_take_a_part_may() {
    let mut stock = Stock::with(2);
    stock.run(&limit(0));
    assert_eq!(stock.run(&wait("O-1", 3, 50)), short(3, 2));
    assert_eq!(stock.run(&wait("O-2", 2, 50)), held(2));
    stock.run(&limit(None));
    assert!(stock.state.appendix().is_none());
    assert_eq!(stock.run(&wait("O-3", 300, 50)), backordered(0, 300, 1));
    assert_eq!(stock.shown_to("web"), (0, 0));
    // A limit that comes later takes nothing from those who wait.
    stock.run(&limit(100));
    assert_eq!(stock.run(&wait("O-4", 1, 50)), short(1, 0));
    assert_eq!(stock.state.waiting(), units(300));
}

#[test]
fn a_limit_is_not_negative() {
    let mut stock = Stock::with(2);
    let refused = StockReply::Refused(StockRefusal::OutOfRange {
        bucket: Bucket::BackorderLimit,
        reason: RangeReason::Negative,
    });
    assert_eq!(stock.run(&limit(-1)), refused);
}

#[test]
fn a_class_is_shown_its_share_of_what_is_there_and_what_may_be_sold_on_top_within_its_cap() {
    let class = |name: &str, channel: &str, show_at_most: Option<i64>| ChannelClass {
        name: ClassName::new(name).unwrap(),
        channels: vec![ChannelName::new(channel).unwrap()],
        protected: None,
        cap: None,
        buffer: units(2),
        show_at_most: show_at_most.map(units),
    };
    let mut stock = Stock::with(6);
    stock.run(&StockCommand::SetChannelPolicy(ChannelPolicy {
        version: 1,
        classes: vec![class("market", "amazon", Some(9)), class("shops", "web", None)],
    }));
    stock.run(&limit(10));
    // 6 and 10, less the buffer of 2, and at most 9 are shown.
    assert_eq!(stock.shown_to("amazon"), (9, 4));
    assert_eq!(stock.shown_to("web"), (14, 4));
    assert_eq!(stock.shown_to("edi"), (16, 6));
}

#[test]
fn what_a_class_is_shown_and_takes_before_it_is_there_stays_within_its_cap() {
    let market = |cap: i64| {
        StockCommand::SetChannelPolicy(ChannelPolicy {
            version: 1,
            classes: vec![ChannelClass {
                name: ClassName::new("market").unwrap(),
                channels: vec![ChannelName::new("web").unwrap()],
                protected: None,
                cap: Some(Share::Units(units(cap))),
                buffer: Quantity::ZERO,
                show_at_most: None,
            }],
        })
    };
    // All that it may take is taken: nothing waits for it, though 10 may wait.
    let mut stock = Stock::with(40);
    stock.run(&market(30));
    stock.run(&limit(10));
    assert_eq!(stock.shown_to("web"), (30, 30));
    assert_eq!(stock.run(&whole("O-1", 30)), held(30));
    assert_eq!(stock.shown_to("web"), (0, 0));
    assert_eq!(stock.run(&whole("O-2", 1)), short(1, 0));
    assert_eq!(stock.run(&wait("O-2", 1, 50)), short(1, 0));
    assert_eq!(stock.shown_to("edi"), (20, 10));
    // 35 at most: of 30 it takes 20, then it may have the other 10 and 5 before they are there.
    let mut stock = Stock::with(30);
    stock.run(&market(35));
    stock.run(&limit(10));
    assert_eq!(stock.run(&whole("O-1", 20)), held(20));
    assert_eq!(stock.shown_to("web"), (15, 10));
    assert_eq!(stock.run(&whole("O-2", 16)), short(16, 15));
    assert_eq!(stock.run(&wait("O-2", 12, 50)), backordered(10, 2, 1));
    // 2 of its 5 wait already; for others 8 may.
    assert_eq!(stock.shown_to("web"), (3, 0));
    assert_eq!(stock.run(&whole("O-3", 4)), short(4, 3));
    assert_eq!(stock.run(&whole("O-3", 3)), backordered(0, 3, 1));
    assert_eq!((stock.shown_to("web"), stock.shown_to("edi")), ((0, 0), (5, 0)));
}
