//! Every change of status: that each row of the table happens, that nothing else does, and that the book says the same.

use super::*;
use crate::accounts::state::AccountStatus;
use crate::governance::demand::Demand;
use crate::orders::credit::CreditRule;
use crate::orders::transitions::TRANSITIONS;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// One order that everybody pulls at, in an order and at moments that fate chooses.
fn pull_at_one_order(choices: Vec<u8>) -> World {
    let mut fate = Fate { choices, used: 0 };
    // One order in four is checked for its price and least amount.
    let is_checked = fate.next().is_multiple_of(4);
    let rules = if is_checked {
        strict()
    } else {
        ChannelRules::default()
    };
    let has_credit = fate.next().is_multiple_of(3);
    let rules = ChannelRules {
        credit: has_credit.then(CreditRule::default),
        duplicate_window_hours: has_credit.then_some(24),
        ..rules
    };
    let mut world = World::under(fate, rules);
    world.limit("14.00", AccountStatus::Active);
    let order = key("1");
    let choice = world.fate.next();
    let policy = [Policy::ShipComplete, Policy::Partial][usize::from(choice % 2)];
    // Of those that ship complete one in four is for goods that are sold before they are there.
    if choice.is_multiple_of(8) {
        world.declare("A", "W1", 9);
    }
    let name = ["A", "A", "A", "UNPRICED"][usize::from(world.fate.next() % 4)];
    let lines = [(name, 6), ("B", 2)];
    let lines = &lines[..1 + usize::from(world.fate.next() % 2)];
    let mut wish = request(lines, &["W1", "W2"], policy);
    wish.purchase_order = Some(DocumentId::new("PO-1").unwrap());
    if is_checked && world.fate.next().is_multiple_of(2) {
        wish.lines[0].channel_price = Some(price("2.40"));
    }
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.fate.used < world.fate.choices.len() {
        pull(&mut world, &order);
        let lines = world.lines(&order);
        if matches!(world.status(&order), Status::Cancelled | Status::Rejected) {
            assert!(
                lines.iter().all(|line| line[1] == 0),
                "goods have left: {lines:?}"
            );
        }
    }
    world
}

fn pull(world: &mut World, order: &OrderKey) {
    match world.fate.next() % 31 {
        0..=5 if !world.mail.is_empty() => {
            let place = usize::from(world.fate.next()) % world.mail.len();
            let message = world.mail.remove(place);
            world.take(message);
        }
        6 if !world.mail.is_empty() => drop(world.mail.remove(0)),
        7 => world.sleep(order, 1),
        // Nobody answers for long.
        8 => world.sleep(order, 20),
        9 | 10 => {
            let units = i64::from(world.fate.next() % 5) + 1;
            world.receive("A", "W1", units);
            world.receive("B", "W2", units);
        }
        11 => drop(world.tell(order, OrderCommand::ReleaseToWarehouse)),
        12 => drop(world.tell(order, OrderCommand::ConfirmPick)),
        13 => drop(world.tell(order, ship(&[]))),
        14 => {
            let total = i64::from(world.fate.next() % 6) + 1;
            drop(world.tell(order, ship(&[(1, total)])));
        }
        15 if world.fate.next().is_multiple_of(3) => drop(world.tell(order, cancel())),
        16 => drop(world.tell(order, OrderCommand::Retry)),
        17 if world.fate.next().is_multiple_of(3) => drop(world.tell(order, reject())),
        18 => drop(world.tell(order, OrderCommand::Close)),
        // Goods that are held turn out to be missing: they cannot be shipped.
        19 => world.lose("A", "W1"),
        20 | 21 => world.deliver(),
        22 => {
            let correction = correct(world.fate.next());
            drop(world.tell(order, correction));
        }
        28 | 29 => {
            let (choice, number) = (world.fate.next(), world.statuses.len());
            let lines = [(1, i64::from(choice % 7)), (2, i64::from(choice % 3))];
            let lines = &lines[..1 + usize::from(choice % 2)];
            drop(world.tell(order, changes::change(&format!("CH-{number}"), lines)));
        }
        30 => drop(world.tell(order, changes::relocate("W1", "W2"))),
        26 => world.limit("100.00", AccountStatus::Active),
        27 => world.limit("1.00", AccountStatus::OnHold),
        24 | 25 => {
            world.speaker = ["desk-anna", "desk-ben"][usize::from(world.fate.next() % 2)];
            drop(world.tell(order, approve()));
        }
        23 => drop(world.tell(
            order,
            OrderCommand::Reassign {
                to: OwnerRole::Warehouse,
            },
        )),
        _ => {}
    }
}

/// The unpriced line becomes another SKU, or the policy changes.
fn correct(choice: u8) -> OrderCommand {
    let wish = request(&[("A", 4), ("B", 2)], &["W1", "W2"], Policy::Partial);
    OrderCommand::Correct(Box::new(Correction {
        reason: Reason::new("wrong article").unwrap(),
        lines: (choice.is_multiple_of(2)).then_some(wish.lines),
        warehouses: None,
        policy: (choice.is_multiple_of(3)).then_some(wish.policy),
        priority: None,
        delivery: None,
        ship_to_region: None,
    }))
}

fn price(amount: &str) -> Price {
    Price::new(amount.parse().unwrap()).unwrap()
}

fn approve() -> OrderCommand {
    OrderCommand::Approve {
        reason: Reason::new("agreed").unwrap(),
    }
}

/// 16.00 at least, and above 16.00 two have to approve.
fn strict() -> ChannelRules {
    let limit = || [(Currency::new("EUR").unwrap(), price("16.00"))].into();
    ChannelRules {
        minimum_amount: limit(),
        approve_alone_up_to: limit(),
        ..ChannelRules::default()
    }
}

fn reject() -> OrderCommand {
    OrderCommand::Reject {
        reason: Reason::new("given up").unwrap(),
    }
}

impl World {
    /// Lets the order's alarm go off, so often.
    fn sleep(&mut self, order: &OrderKey, times: u8) {
        for _ in 0..times {
            let Some(alarm) = super::super::Order::alarm(&self.orders[order]) else {
                return;
            };
            self.now = self.now.max(alarm);
            self.wake(order);
        }
    }

    fn lose(&mut self, name: &str, warehouse: &str) {
        let id = stock_id(name, warehouse);
        let sellable = self.stocks.get(&id).map(|stock| stock.sellable().units());
        if let Some(units) = sellable.filter(|units| *units > 0) {
            self.lose_units(name, warehouse, units);
        }
    }

    pub(super) fn lose_units(&mut self, name: &str, warehouse: &str, units: i64) {
        let command = StockCommand::Adjust {
            change: Adjustment::Loss,
            quantity: quantity(units),
            reason: Reason::new("stolen").unwrap(),
            document: None,
        };
        self.short = true;
        self.take((stock_id(name, warehouse), command).into());
    }

    /// Nobody serves the channel any more.
    fn serve_nobody(&mut self) {
        let rules = self.reference.order_rules().clone();
        let site = || Site {
            channels: vec!["edi".into()],
            ..Site::default()
        };
        let network = ["W1", "W2"].map(|code| (WarehouseCode::new(code).unwrap(), site()));
        self.reference = Reference::of(Ownership::standard(), Network(network.into())).checking(rules);
    }

    /// Delivers the mail between the order and its stocks alone.
    fn deliver_stock(&mut self) {
        let is_stocks = |message: &Message| {
            matches!(
                message,
                Message::Stock(..) | Message::Order(_, OrderCommand::StockAnswered(_))
            )
        };
        while let Some(place) = self.mail.iter().position(is_stocks) {
            let message = self.mail.remove(place);
            self.take(message);
        }
    }

    /// What the ERP does to the next request, as in [`World::erp`].
    fn erp_will(&mut self, fate: u8) {
        self.fate = Fate {
            choices: vec![fate],
            used: 0,
        };
    }

    /// Nobody answers what was just begun until a person is asked; the answers come before the person acts.
    fn answer_too_late(&mut self, order: &OrderKey, act: OrderCommand) {
        self.sleep(order, 20);
        assert_eq!(self.status(order), Status::Exception);
        self.deliver_stock();
        self.tell(order, act);
        self.settle();
    }
}

const ERP_FAILS: u8 = 1;
const ERP_REJECTS: u8 = 2;
const ERP_REFUSES_TO_CANCEL: u8 = 1;

fn six_held() -> World {
    World::new(Fate::kind()).stock("A", "W1", 6)
}

fn booked(world: &mut World, policy: Policy) -> OrderKey {
    world.order("1", &[("A", 6)], &["W1"], policy)
}

/// A part of what is booked is not there after all: the rest goes on.
fn a_part_of_what_is_booked_is_lost() -> World {
    let mut world = six_held();
    let order = booked(&mut world, Policy::Partial);
    world.lose_units("A", "W1", 2);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[4, 0, 2, 0, 0]]);
    world
}

/// An order whose release is answered too late, and what a person does then.
fn released_too_late(act: &OrderCommand) -> Vec<World> {
    // The ERP rejects it, a person gives it up.
    let mut rejected = six_held();
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    rejected.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while rejected.status(&order) != Status::Booking {
        rejected.erp_will(ERP_REJECTS);
        let message = rejected.mail.remove(0);
        rejected.take(message);
    }
    rejected.deliver();
    rejected.tell(&order, reject());
    rejected.answer_too_late(&order, act.clone());
    // A part has left, the rest is cancelled.
    let mut shipped = six_held();
    let order = booked(&mut shipped, Policy::ShipComplete);
    shipped.tell(&order, ship(&[(1, 2)]));
    shipped.settle();
    shipped.tell(&order, cancel());
    shipped.answer_too_late(&order, act.clone());
    // The second line is short.
    let mut short = six_held();
    let order = key("1");
    let wish = request(&[("A", 6), ("B", 2)], &["W1"], Policy::ShipComplete);
    short.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while short.status(&order) != Status::Releasing {
        let message = short.mail.remove(0);
        short.take(message);
    }
    short.answer_too_late(&order, act.clone());
    vec![rejected, shipped, short]
}

/// A shipment that is answered while the ERP is asked to cancel the order.
fn shipped_while_cancelled(erp: u8) -> World {
    let mut world = six_held();
    let order = booked(&mut world, Policy::ShipComplete);
    world.tell(&order, ship(&[]));
    world.sleep(&order, 20);
    assert_eq!(world.status(&order), Status::Exception);
    world.erp_will(erp);
    world.tell(&order, cancel());
    world.deliver_stock();
    world.settle();
    assert_eq!(world.lines(&order), [[0, 6, 0, 0, 0]]);
    world
}

/// A booked order that has gone through these steps.
fn in_the_warehouse(steps: &[OrderCommand]) -> (World, OrderKey) {
    let mut world = six_held();
    let order = booked(&mut world, Policy::ShipComplete);
    for step in steps {
        world.tell(&order, step.clone());
    }
    (world, order)
}

/// A part shipment that is answered too late, from a standing in the warehouse.
fn part_shipped_too_late(steps: &[OrderCommand], stays: Status) -> World {
    let (mut world, order) = in_the_warehouse(steps);
    world.tell(&order, ship(&[(1, 2)]));
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), stays);
    assert_eq!(world.lines(&order), [[4, 2, 0, 0, 0]]);
    world
}

/// A cancellation that the ERP refuses, from a standing in the warehouse.
fn cancelled_in_vain(steps: &[OrderCommand], stays: Status) -> World {
    let (mut world, order) = in_the_warehouse(steps);
    world.erp_will(ERP_REFUSES_TO_CANCEL);
    world.tell(&order, cancel());
    assert_eq!(world.status(&order), Status::Cancelling);
    world.settle();
    assert_eq!(world.status(&order), stays);
    world
}

/// The rest is given up after a part has left: the ERP is not asked to cancel what it has delivered.
fn rest_given_up(steps: &[OrderCommand]) -> World {
    let (mut world, order) = in_the_warehouse(steps);
    world.tell(&order, ship(&[(1, 2)]));
    world.settle();
    world.tell(&order, cancel());
    assert_eq!(world.status(&order), Status::Releasing);
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!(world.lines(&order), [[0, 2, 0, 0, 4]]);
    assert!(world.cancelled_in_erp.is_empty());
    world
}

fn cancelled_while_the_erp_fails() -> World {
    let mut world = six_held();
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        world.erp_will(ERP_FAILS);
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Cancelled);
    world
}

/// The ERP denies a booking, and the same request, sent once more after a crash, is booked all the same: an order that ends
/// then asks for its cancellation.
#[test]
fn what_the_erp_was_ever_asked_to_book_is_cancelled_there() {
    let order = key("1");
    let denied_in_flight = cancelled_while_the_erp_fails();
    // At once, and once more when nothing can land any more.
    assert_eq!(denied_in_flight.cancelled_in_erp.get(&order), Some(&2));
    for (answer, ends, status) in [
        (ERP_FAILS, cancel(), Status::Cancelled),
        (ERP_REJECTS, cancel(), Status::Cancelled),
        (ERP_REJECTS, reject(), Status::Rejected),
    ] {
        let mut world = six_held();
        let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        while world.orders[&order]
            .placed()
            .is_none_or(|placed| placed.erp.attempt == 0)
        {
            world.erp_will(answer);
            let message = world.mail.remove(0);
            world.take(message);
        }
        world.deliver();
        assert_eq!(world.cancelled_in_erp.get(&order), None);
        world.tell(&order, ends);
        world.settle();
        assert_eq!(world.status(&order), status);
        assert_eq!(
            world.cancelled_in_erp.get(&order),
            Some(&2),
            "{status} after {answer}"
        );
    }
}

/// All that was there has left, and what waits is promised a date.
fn promised_while_backordered() -> World {
    let mut world = six_held();
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::Partial);
    world.accept(&order, ship(&[]));
    elsewhere::expect(&mut world, "PO-1", 4, 5);
    assert_eq!(world.status(&order), Status::Backordered);
    world
}

/// An order in credit hold is given up, and the stock answers too late.
fn rejected_too_late() -> World {
    let rules = ChannelRules {
        credit: Some(CreditRule::default()),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 6);
    world.limit("1.00", AccountStatus::Active);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "credit-hold");
    world.tell(&order, reject());
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Rejected);
    world
}

/// A part of what was held is lost, and a person lets the order go on without it.
fn goes_on_with_what_is_there() -> World {
    let mut world = six_held();
    let order = booked(&mut world, Policy::ShipComplete);
    world.lose_units("A", "W1", 2);
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "withdrawn");
    world.tell(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Booked);
    world
}

/// What is approved is served by no warehouse.
fn approved_in_vain() -> World {
    let mut world = World::under(Fate::kind(), strict());
    let order = world.order("1", &[("A", 1)], &["EDI-ONLY"], Policy::ShipComplete);
    world.tell(&order, approve());
    assert_eq!(world.exception(&order).unwrap().name(), "not-served");
    world
}

/// All that is held leaves, which is answered too late; the rest waits.
fn rest_waits_after_a_late_answer() -> World {
    let mut world = six_held();
    let order = world.order("1", &[("A", 8)], &["W1"], Policy::Partial);
    world.tell(&order, ship(&[]));
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Backordered);
    world
}

/// Cancelled while it is booked, of which something is there or nothing.
fn cancelled_while_booking(mut world: World) -> World {
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(&[("A", 6)], &["W1"], Policy::Partial))),
    );
    while world.status(&order) != Status::Booking {
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Cancelled);
    world
}

/// The stock answers too late, and has enough or not.
fn reserved_too_late(units: i64) -> World {
    let mut world = six_held();
    let order = key("1");
    let wish = request(&[("A", units)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Reserving {
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.answer_too_late(&order, OrderCommand::Retry);
    world
}

/// What is held for an order that is corrected is given back too late.
fn corrected_too_late() -> World {
    let mut world = six_held();
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        world.erp_will(ERP_REJECTS);
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.deliver();
    world.tell(&order, correct(0));
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Booked);
    world
}

/// What the warehouse was told to begin with is not there after all, but what came since.
fn what_was_begun_is_lost(picked: bool) -> World {
    let mut world = World::new(Fate::kind()).stock("A", "W2", 6);
    let order = world.order("1", &[("A", 8)], &["W1", "W2"], Policy::Partial);
    world.tell(&order, OrderCommand::ReleaseToWarehouse);
    world.receive("A", "W1", 2);
    world.settle();
    if picked {
        world.tell(&order, OrderCommand::ConfirmPick);
    }
    // Before the stock hears of the pick.
    world.lose("A", "W2");
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    world
}

/// A line is lost while the other is with the warehouse; then its goods come, or a person lets the rest go on.
fn a_line_is_lost(picked: bool, act: Option<OrderCommand>) -> World {
    let mut world = six_held().stock("B", "W2", 2);
    let order = world.order("1", &[("A", 6), ("B", 2)], &["W1", "W2"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::ReleaseToWarehouse);
    if picked {
        world.tell(&order, OrderCommand::ConfirmPick);
    }
    world.lose("A", "W1");
    world.settle();
    assert_eq!(world.exception(&order).unwrap().name(), "withdrawn");
    match act {
        Some(act) => drop(world.tell(&order, act)),
        None => world.receive("A", "W1", 6),
    }
    world.settle();
    let standing = if picked { Status::Picked } else { Status::Released };
    assert_eq!(world.status(&order), standing);
    world
}

/// What a booked order holds is lost, and its goods come.
fn a_booked_line_is_lost() -> World {
    let mut world = six_held();
    let order = booked(&mut world, Policy::ShipComplete);
    world.lose("A", "W1");
    world.settle();
    assert_eq!(world.exception(&order).unwrap().name(), "withdrawn");
    world.receive("A", "W1", 6);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    world
}

/// Six of A at 2.50 for a customer who may owe 10.00.
fn held_for_credit() -> (World, OrderKey) {
    let mut world = World::under(Fate::kind(), super::credit::checked()).stock("A", "W1", 6);
    world.limit("10.00", AccountStatus::Active);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "credit-hold");
    (world, order)
}

/// The stock of a credit hold is being given back, and credit is granted meanwhile.
fn granted_while_giving_back(late: bool, served: bool) -> World {
    let (mut world, order) = held_for_credit();
    let day = Duration::from_secs(86_400);
    while world.status(&order) != Status::Releasing {
        world.now = world.now.after(day);
        world.wake(&order);
    }
    world.limit("100.00", AccountStatus::Active);
    let granted = world.mail.pop().unwrap();
    world.take(granted);
    if !served {
        world.serve_nobody();
    }
    if late {
        world.answer_too_late(&order, OrderCommand::Retry);
    } else {
        world.deliver();
    }
    let status = if served { Status::Booked } else { Status::Exception };
    assert_eq!(world.status(&order), status);
    world
}

/// A part of what is held turns out not to be there while the account has no room, or is being asked.
fn lost_on_credit(is_asked: bool, act: impl FnOnce(&mut World, &OrderKey)) -> World {
    let (mut world, order) = if is_asked {
        let mut world = World::under(Fate::kind(), super::credit::checked()).stock("A", "W1", 6);
        world.limit("100.00", AccountStatus::Active);
        let order = key("1");
        let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        while world.status(&order) != Status::CreditCheck {
            let message = world.mail.remove(0);
            world.take(message);
        }
        (world, order)
    } else {
        held_for_credit()
    };
    let before = world.mail.len();
    world.lose_units("A", "W1", 2);
    // The stock's word comes before the account's.
    world.mail.rotate_left(before);
    act(&mut world, &order);
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "shortage");
    assert_eq!(world.reserved(), 0, "nothing stays behind");
    world.tell(&order, cancel());
    world.settle();
    assert_eq!((world.status(&order), world.reserved()), (Status::Cancelled, 0));
    world
}

/// Nothing that was held is forgotten when an order begins to reserve anew.
#[test]
fn what_is_left_of_a_credit_hold_is_given_back_before_it_is_held_anew() {
    for world in lost_on_credit_whatever_comes() {
        assert_eq!(world.available("A", "W1"), 4);
    }
}

fn lost_on_credit_whatever_comes() -> [World; 4] {
    [
        lost_on_credit(false, |world, _| {
            world.deliver();
            world.limit("100.00", AccountStatus::Active);
        }),
        lost_on_credit(false, |world, order| {
            world.deliver();
            world.tell(order, approve());
        }),
        lost_on_credit(false, |world, order| {
            world.deliver();
            world.tell(order, OrderCommand::Retry);
        }),
        lost_on_credit(true, |_, _| {}),
    ]
}

/// Credit is granted to who waits without stock, and nobody serves it any more.
fn granted_in_vain() -> World {
    let (mut world, order) = held_for_credit();
    world.settle();
    assert_eq!(world.reserved(), 0);
    world.serve_nobody();
    world.limit("100.00", AccountStatus::Active);
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "not-served");
    world
}

/// The stock answers too late, and the account is asked once a person tries again.
fn reserved_too_late_on_credit() -> World {
    let mut world = World::under(Fate::kind(), super::credit::checked()).stock("A", "W1", 6);
    world.limit("100.00", AccountStatus::Active);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Reserving {
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Booked);
    world
}

/// The account knows no like order, but no warehouse serves it.
fn introduced_in_vain() -> World {
    let rules = ChannelRules {
        duplicate_window_hours: Some(1),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules);
    let order = key("1");
    let wish = OrderRequest {
        purchase_order: Some(DocumentId::new("PO-1").unwrap()),
        ..request(&[("A", 1)], &["EDI-ONLY"], Policy::ShipComplete)
    };
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "not-served");
    world
}

/// All of it leaves, which is answered too late.
fn shipped_too_late() -> World {
    let mut world = six_held();
    let order = booked(&mut world, Policy::ShipComplete);
    world.tell(&order, ship(&[]));
    world.answer_too_late(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Shipped);
    world
}

fn served_by_nobody() -> World {
    let mut world = six_held();
    let order = world.order("1", &[("A", 6)], &["EDI-ONLY"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Retry);
    assert_eq!(world.status(&order), Status::Exception);
    world
}

#[test]
fn a_shipment_that_is_answered_late_is_never_cancelled() {
    let kept = shipped_while_cancelled(ERP_REFUSES_TO_CANCEL);
    assert_eq!(kept.status(&key("1")), Status::Shipped);
    let consented = shipped_while_cancelled(0);
    assert_eq!(consented.status(&key("1")), Status::Shipped);
}

#[test]
fn every_row_of_the_table_happens_and_nothing_else_does() {
    let mut seen = BTreeSet::new();
    let mut stories = vec![
        cancelled_while_the_erp_fails(),
        shipped_while_cancelled(ERP_REFUSES_TO_CANCEL),
        shipped_while_cancelled(0),
        served_by_nobody(),
        promised_while_backordered(),
        withdrawn::wants_no_more_than_there_is().0,
        rejected_too_late(),
        goes_on_with_what_is_there(),
        approved_in_vain(),
        rest_waits_after_a_late_answer(),
        cancelled_while_booking(World::new(Fate::kind())),
        cancelled_while_booking(six_held()),
        shipped_too_late(),
        reserved_too_late(6),
        reserved_too_late_on_credit(),
        granted_in_vain(),
        introduced_in_vain(),
        granted_while_giving_back(true, true),
        granted_while_giving_back(false, true),
        granted_while_giving_back(false, false),
        reserved_too_late(9),
        corrected_too_late(),
        what_was_begun_is_lost(false),
        what_was_begun_is_lost(true),
        a_booked_line_is_lost(),
        a_part_of_what_is_booked_is_lost(),
        a_line_is_lost(false, Some(OrderCommand::Retry)),
        a_line_is_lost(false, None),
        a_line_is_lost(true, None),
        a_line_is_lost(true, Some(OrderCommand::Retry)),
    ];
    stories.extend(lost_on_credit_whatever_comes());
    let steps = [OrderCommand::ReleaseToWarehouse, OrderCommand::ConfirmPick];
    for (done, stays) in [(0, Status::Booked), (1, Status::Released), (2, Status::Picked)] {
        stories.push(part_shipped_too_late(&steps[..done], stays));
        stories.push(cancelled_in_vain(&steps[..done], stays));
        stories.push(rest_given_up(&steps[..done]));
    }
    for act in [OrderCommand::Retry, cancel(), reject()] {
        stories.extend(released_too_late(&act));
    }
    let mut runner = TestRunner::deterministic();
    let choices = proptest::collection::vec(any::<u8>(), 0..300);
    let random = (0..1_500).map(|_| choices.new_tree(&mut runner).unwrap().current());
    for world in stories.into_iter().chain(random.map(pull_at_one_order)) {
        seen.extend(world.transitions);
    }
    let rows = TRANSITIONS.iter();
    let listed: Vec<_> = rows
        .flat_map(|row| row.to.iter().map(|to| (row.from, row.cause, *to)))
        .collect();
    let table: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(table.len(), listed.len(), "a row stands twice");
    let never: Vec<_> = table.difference(&seen).collect();
    let unknown: Vec<_> = seen.difference(&table).collect();
    assert!(
        never.is_empty() && unknown.is_empty(),
        "never seen: {never:#?}\nnot in the table: {unknown:#?}"
    );
}

/// Found by the random pulling above: what was given up of a line was taken off what a correction made of it, too.
#[test]
fn what_was_given_up_of_a_line_stays_given_up_when_its_order_is_corrected() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6).stock("B", "W1", 2);
    let order = world.order("1", &[("A", 6), ("B", 2)], &["W1"], Policy::ShipComplete);
    world.accept(&order, changes::change("CH-1", &[(1, 0)]));
    // The ERP consents to the cancellation; the stock answers too late, and somebody wants it after all.
    world.tell(&order, cancel());
    let consent = world.mail.remove(0);
    world.take(consent);
    world.answer_too_late(&order, correct(1));
    assert_eq!(world.lines(&order), [[2, 0, 0, 0, 0]], "B alone");
    assert_eq!(world.available("A", "W1"), 6);
}

/// A command that causes what `cause` says; none for what only happens inside.
fn told_from_outside(cause: Cause) -> Option<OrderCommand> {
    let attempt = 1;
    let answer = BookingAnswer::NotFound;
    let cancelled = CancelAnswer::Cancelled;
    Some(match cause {
        Cause::Submit => OrderCommand::Submit(Box::new(request(&[("A", 1)], &["W1"], Policy::Partial))),
        Cause::BookingAnswered => OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
        Cause::CancelAnswered => OrderCommand::CancelAnswered(CancelAnswered {
            attempt,
            answer: cancelled,
        }),
        Cause::Release => OrderCommand::ReleaseToWarehouse,
        Cause::Pick => OrderCommand::ConfirmPick,
        Cause::Ship => ship(&[]),
        Cause::Close => OrderCommand::Close,
        Cause::Change => changes::change("CH-1", &[(1, 1)]),
        Cause::Cancel => cancel(),
        Cause::Retry => OrderCommand::Retry,
        Cause::Correct => correct(1),
        Cause::Approve => approve(),
        Cause::Reassign => OrderCommand::Reassign {
            to: OwnerRole::Warehouse,
        },
        Cause::Reject => reject(),
        Cause::Priced
        | Cause::IntroductionAnswered
        | Cause::StockAnswered
        | Cause::CreditAnswered
        | Cause::Alarm => return None,
    })
}

#[test]
fn who_may_cause_a_change_is_whom_the_standard_table_of_owners_lets() {
    let table = Ownership::standard();
    for row in TRANSITIONS {
        let parties: BTreeSet<String> = row
            .cause
            .parties()
            .iter()
            .map(|party| party.name().to_lowercase())
            .collect();
        let Some(command) = told_from_outside(row.cause) else {
            let is_inside = |party: &String| party.ends_with("(inside)") || party == "clock";
            assert!(parties.iter().all(is_inside), "{:?}: {parties:?}", row.cause);
            continue;
        };
        assert_eq!(Cause::of(&command), Some(row.cause));
        let message = Message::Order(key("1"), command);
        let Demand::Write {
            attribute,
            operations,
            ..
        } = Demand::of(&message)
        else {
            panic!("{:?} comes from inside", row.cause)
        };
        let owners = operations
            .iter()
            .flat_map(|operation| table.owners_of(attribute, *operation));
        let owners: BTreeSet<String> = owners.map(ToString::to_string).collect();
        assert_eq!(owners, parties, "{:?}", row.cause);
    }
}

/// The part of the book that is made from the table.
fn chapter() -> String {
    let name = |status: Option<Status>| status.map_or("[*]", Status::name);
    let mut drawn = String::from("```mermaid\nstateDiagram-v2\n");
    let mut arrows: Vec<((&str, &str), String)> = Vec::new();
    let mut listed = String::from("| from | what happens | who may | to |\n|---|---|---|---|\n");
    for row in TRANSITIONS {
        let parties: Vec<_> = row.cause.parties().iter().map(|party| party.name()).collect();
        let to: Vec<_> = row.to.iter().map(|to| format!("`{to}`")).collect();
        let from = row.from.map_or_else(String::new, |from| format!("`{from}`"));
        let line = [
            from,
            row.cause.name().to_owned(),
            parties.join(", "),
            to.join(", "),
        ];
        listed += &format!("| {} |\n", line.join(" | "));
        for to in row.to {
            let arrow = (name(row.from), to.name());
            match arrows.iter_mut().find(|(known, _)| *known == arrow) {
                Some((_, causes)) => *causes += &format!(", {}", row.cause.name()),
                None => arrows.push((arrow, row.cause.name().to_owned())),
            }
        }
    }
    for ((from, to), causes) in arrows {
        drawn += &format!("    {from} --> {to}: {causes}\n");
    }
    for status in [Status::Closed, Status::Cancelled, Status::Rejected] {
        drawn += &format!("    {status} --> [*]\n");
    }
    format!("{drawn}```\n\n{listed}")
}

#[test]
fn the_book_says_what_the_table_says() {
    const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/orders.md");
    const BEGIN: &str = "<!-- from the table of transitions: `just states` renews it -->\n";
    const END: &str = "<!-- end of the table of transitions -->\n";
    let book = std::fs::read_to_string(BOOK).unwrap();
    let (before, rest) = book.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}\n{}\n{END}{after}", chapter());
    if std::env::var_os("LOCKSTEP_WRITE_BOOK").is_some() {
        return std::fs::write(BOOK, &right).unwrap();
    }
    assert!(
        book == right,
        "docs/orders.md is not what the table says; `just states` renews it"
    );
}
