//! Goods of an order that come from another warehouse than they were held in, and goods that come later than was said.

use super::changes::{change, relocate};
use super::*;
use crate::inventory::state::Stage;
use crate::orders::sourcing::Restriction;

/// Five of A held in W1, nine more in W2.
fn five_held() -> (World, OrderKey) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5).stock("A", "W2", 9);
    let order = world.order("1", &[("A", 5)], &["W1", "W2"], Policy::ShipComplete);
    (world, order)
}

fn reserved_in(world: &World, order: &OrderKey) -> Vec<(String, i64)> {
    let line = world.orders[order].placed().unwrap().summary().lines.remove(0);
    let places = line.reserved_in.iter();
    places
        .map(|(place, units)| (place.to_string(), units.units()))
        .collect()
}

#[test]
fn what_is_held_in_one_warehouse_is_held_in_another_before_the_first_lets_go() {
    let (mut world, order) = five_held();
    world.tell(&order, relocate("W1", "W2"));
    // W1 asks W2, W2 holds: for a moment both do.
    while world.available("A", "W2") == 9 {
        let message = world.mail.remove(0);
        world.take(message);
    }
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (0, 4));
    world.settle();
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (5, 4));
    assert_eq!(reserved_in(&world, &order), [("W2".to_owned(), 5)]);
    world.accept(&order, ship(&[]));
    assert_eq!((world.status(&order), world.reserved()), (Status::Shipped, 0));
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (5, 4));
}

/// Five of A held in W1, and room to move to in W2 and from there in W3: a hold does not come back to where it was.
fn three_places() -> (World, OrderKey) {
    let mut world = World::new(Fate::kind());
    for (warehouse, units) in [("W1", 5), ("W2", 9), ("W3", 9)] {
        world = world.stock("A", warehouse, units);
    }
    let order = world.order("1", &[("A", 5)], &["W1", "W2", "W3"], Policy::ShipComplete);
    (world, order)
}

/// Of the last paper its number, and of each line how many are wanted and where they are held.
type Told = (String, Vec<(u16, i64, Vec<(String, i64)>)>);

fn told(world: &World) -> Told {
    let paper = world.last_paper.as_ref().unwrap();
    let lines = paper.lines.iter().map(|line| {
        let places = line.allocations.iter();
        let places = places.map(|place| (place.warehouse.to_string(), place.quantity.units()));
        (line.line, line.quantity.units(), places.collect())
    });
    (paper.reference.document.to_string(), lines.collect())
}

#[test]
fn the_erp_hears_where_lines_are_held_by_now_once_and_after_what_it_heard_before() {
    let (mut world, order) = three_places();
    world.accept(&order, change("CH-1", &[(1, 4)]));
    world.tell(&order, relocate("W1", "W2"));
    world.settle();
    assert_eq!(
        told(&world),
        ("moved-1".to_owned(), vec![(1, 4, vec![("W2".to_owned(), 4)])])
    );
    // Our numbers are not the customer's.
    let document = DocumentId::new("moved-1").unwrap();
    let refused = OrderReply::Refused(OrderRefusal::DocumentConflict { document });
    assert_eq!(world.tell(&order, change("moved-1", &[(1, 3)])), refused);
    world.accept(&order, change("moved-2", &[(1, 3)]));
    world.tell(&order, relocate("W2", "W3"));
    world.settle();
    assert_eq!(
        told(&world),
        ("moved-3".to_owned(), vec![(1, 3, vec![("W3".to_owned(), 3)])])
    );
    let papers = &world.orders[&order].placed().unwrap().papers;
    let numbers: Vec<&str> = papers.iter().map(|paper| paper.document.as_str()).collect();
    assert_eq!(numbers, ["CH-1", "moved-1", "moved-2", "moved-3"]);
    assert!(
        world.papers.values().all(|times| *times == 1),
        "{:?}",
        world.papers
    );
}

#[test]
fn what_is_not_asked_yet_says_where_lines_are_held_when_it_is_asked() {
    let (mut world, order) = three_places();
    // It posts the change and is silent.
    world.fate = Fate {
        choices: vec![3],
        used: 0,
    };
    world.tell(&order, change("CH-1", &[(1, 4)]));
    for (from, to) in [("W1", "W2"), ("W2", "W3")] {
        world.tell(&order, relocate(from, to));
        while !world.mail.is_empty() {
            let message = world.mail.remove(0);
            world.take(message);
        }
    }
    world.settle();
    assert_eq!(
        told(&world),
        ("moved-1".to_owned(), vec![(1, 4, vec![("W3".to_owned(), 4)])])
    );
    assert_eq!(world.orders[&order].placed().unwrap().papers.len(), 2);
}

#[test]
fn nothing_moves_to_where_the_order_would_not_be_served_from() {
    let mut world = World::new(Fate::kind())
        .stock("A", "W1", 5)
        .stock("A", "EDI-ONLY", 9);
    let order = world.order("1", &[("A", 5)], &["W1"], Policy::ShipComplete);
    let to = WarehouseCode::new("EDI-ONLY").unwrap();
    let because = Restriction::Channel;
    let refused = OrderReply::Refused(OrderRefusal::NotServed { to, because });
    assert_eq!(world.tell(&order, relocate("W1", "EDI-ONLY")), refused);
    world.settle();
    assert_eq!(reserved_in(&world, &order), [("W1".to_owned(), 5)]);
}

#[test]
fn what_the_other_warehouse_does_not_have_stays() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5).stock("A", "W2", 4);
    let order = world.order("1", &[("A", 5)], &["W1", "W2"], Policy::ShipComplete);
    world.tell(&order, relocate("W1", "W2"));
    world.settle();
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (0, 4));
    assert_eq!(reserved_in(&world, &order), [("W1".to_owned(), 5)]);
    let refused = OrderReply::Refused(OrderRefusal::NotMovable { line: 1 });
    assert_eq!(world.tell(&order, relocate("W2", "W1")), refused);
    world.accept(&order, OrderCommand::ReleaseToWarehouse);
    assert_eq!(world.tell(&order, relocate("W1", "W2")), refused);
}

#[test]
fn whatever_is_decided_while_goods_move_is_done_where_they_are_then() {
    let less = change("CH-1", &[(1, 3)]);
    let commands = [
        ship(&[]),
        cancel(),
        ship(&[(1, 2)]),
        OrderCommand::ConfirmPick,
        less,
    ];
    for command in commands {
        for steps in 0..6 {
            let (mut world, order) = five_held();
            world.tell(&order, relocate("W1", "W2"));
            for _ in 0..steps {
                if !world.mail.is_empty() {
                    let message = world.mail.remove(0);
                    world.take(message);
                }
            }
            world.tell(&order, command.clone());
            world.settle();
            let status = world.status(&order);
            let what = format!("{command:?} after {steps}: {status}");
            assert_ne!(status, Status::Exception, "{what}");
            let left = world.lines(&order)[0][1];
            let on_hand: i64 = world.stocks.values().map(|stock| stock.on_hand.units()).sum();
            assert_eq!(on_hand, 14 - left, "{what}");
            assert_eq!(world.reserved(), world.lines(&order)[0][0], "{what}");
        }
    }
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + day * 86_400_000)
}

pub(super) fn expect(world: &mut World, document: &str, units: i64, on: i64) {
    let command = StockCommand::Expect {
        document: DocumentId::new(document).unwrap(),
        quantity: quantity(units),
        due: day(on),
        stage: Stage::Expected,
        received: None,
    };
    world.take((stock_id("A", "W1"), command).into());
    world.deliver();
}

#[test]
fn an_order_hears_when_what_it_waits_for_comes_later() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 4);
    expect(&mut world, "PO-1", 6, 5);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::Partial);
    let told = |world: &World| {
        let status = world.statuses.last().unwrap();
        (status.status, status.lines[0].promised_for)
    };
    assert_eq!(told(&world), (Status::Booked, Some(day(5))));
    let number = world.statuses.len();
    // The supplier confirms a later date; the order is told once.
    expect(&mut world, "PO-1", 6, 9);
    assert_eq!(told(&world), (Status::Booked, Some(day(9))));
    assert_eq!(world.statuses.len(), number + 1);
    // A second order that is as urgent is behind it, and one that matters more before it.
    let second = world.order("2", &[("A", 3)], &["W1"], Policy::Partial);
    let promised = |world: &World, order: &OrderKey| {
        let placed = world.orders[order].placed().unwrap();
        placed.promised_for(1)
    };
    assert_eq!(
        (promised(&world, &order), promised(&world, &second)),
        (Some(day(9)), None)
    );
    expect(&mut world, "PO-2", 3, 12);
    assert_eq!(
        (promised(&world, &order), promised(&world, &second)),
        (Some(day(9)), Some(day(12)))
    );
    let urgent = key("3");
    let wish = OrderRequest {
        priority: Priority::new(1).unwrap(),
        ..request(&[("A", 2)], &["W1"], Policy::Partial)
    };
    world.tell(&urgent, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    // 2 + 6 + 3 wait for 6 on day 9 and 3 on day 12.
    let all = [&urgent, &order, &second].map(|order| promised(&world, order));
    assert_eq!(all, [Some(day(9)), Some(day(12)), None]);
    // The date passes without goods.
    world.now = day(9);
    let mut state = world.stocks.remove(&stock_id("A", "W1")).unwrap();
    world.run::<SkuWarehouse>(&stock_id("A", "W1"), &mut state, None);
    world.stocks.insert(stock_id("A", "W1"), state);
    world.deliver();
    let all = [&urgent, &order, &second].map(|order| promised(&world, order));
    assert_eq!(all, [Some(day(12)), None, None]);
    // They come at last: by priority, then age.
    world.receive("A", "W1", 9);
    world.settle();
    assert_eq!(world.lines(&order), [[10, 0, 0, 0, 0]]);
    assert_eq!(promised(&world, &order), None);
    assert_eq!(world.lines(&second), [[1, 0, 2, 0, 0]]);
}
