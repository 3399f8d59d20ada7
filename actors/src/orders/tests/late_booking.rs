//! Bookings that land after nobody wanted them any more.

use super::*;
use crate::orders::Order;
use crate::orders::late_booking::LANDS_WITHIN;

const FAILS: u8 = 1;

/// An order for six A that the ERP says it could not book, and a request to book it that is still on its way.
fn on_its_way() -> (World, OrderKey, BookingRequest) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6).stock("B", "W1", 6);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Exception {
        world.fate = Fate {
            choices: vec![FAILS],
            used: 0,
        };
        if world.mail.is_empty() {
            world.now = Order::alarm(&world.orders[&order]).unwrap();
            world.wake(&order);
        } else {
            let message = world.mail.remove(0);
            world.take(message);
        }
    }
    assert_eq!(world.exception(&order).unwrap().name(), "booking-failed");
    world.fate = Fate::kind();
    let placed = world.orders[&order].placed().unwrap();
    let late = crate::orders::effects::booking(&order, placed);
    (world, order, late)
}

/// Two B instead of six A.
fn two_b() -> OrderCommand {
    OrderCommand::Correct(Box::new(Correction {
        reason: Reason::new("wrong article").unwrap(),
        lines: Some(request(&[("B", 2)], &["W1"], Policy::ShipComplete).lines),
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    }))
}

/// What stands in the ERP.
fn books(world: &World) -> Vec<(&str, i64)> {
    let lines = world.erp_books.values().flatten();
    lines.map(|(name, units)| (name.as_str(), *units)).collect()
}

#[test]
fn what_lands_after_a_correction_is_neither_taken_for_the_corrected_order_nor_left_standing() {
    let (mut world, order, late) = on_its_way();
    let attempt = late.reference.attempt;
    world.tell(&order, two_b());
    assert_eq!(world.status(&order), Status::Cancelling);
    while world.status(&order) != Status::Booking {
        let message = world.mail.remove(0);
        world.take(message);
    }
    // The old booking lands, and says so, before the new one is answered.
    world.lands(late);
    let answer = BookingAnswer::Confirmed {
        erp_number: DocumentId::new("ERP-OLD").unwrap(),
    };
    world.tell(
        &order,
        OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
    );
    assert_eq!(world.status(&order), Status::Booking);
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(books(&world), [("B", 2), ("A", 6)]);
    world.settle();
    assert_eq!(books(&world), [("B", 2)]);
    assert_eq!(world.status(&order), Status::Booked);
    let number = &world.orders[&order].placed().unwrap().erp.number;
    assert_eq!(number.as_ref().unwrap().to_string(), "ERP-1");
}

#[test]
fn what_lands_after_its_order_was_cancelled_is_cancelled_as_soon_as_nothing_can_land_any_more() {
    let (mut world, order, late) = on_its_way();
    let asked = world.orders[&order].placed().unwrap().erp.asked_to_book.unwrap();
    world.tell(&order, cancel());
    world.deliver();
    assert_eq!(world.status(&order), Status::Cancelled);
    world.lands(late);
    let alarm = Order::alarm(&world.orders[&order]);
    assert_eq!(alarm, Some(asked.after(LANDS_WITHIN)));
    // The ERP does not answer at first: it is asked again a minute later.
    world.now = alarm.unwrap();
    world.fate = Fate {
        choices: vec![3],
        used: 0,
    };
    world.wake(&order);
    assert_eq!(
        Order::alarm(&world.orders[&order]),
        Some(world.now.after(Duration::from_secs(60)))
    );
    assert_eq!(books(&world), [("A", 6)]);
    world.settle();
    assert_eq!(books(&world), []);
    assert_eq!(Order::alarm(&world.orders[&order]), None);
    assert_eq!(world.dead, [""; 0]);
}

#[test]
fn what_the_erp_keeps_of_a_cancelled_order_is_a_dead_letter() {
    let (mut world, order, late) = on_its_way();
    world.tell(&order, cancel());
    world.deliver();
    world.lands(late);
    world.now = Order::alarm(&world.orders[&order]).unwrap();
    world.fate = Fate {
        choices: vec![1],
        used: 0,
    };
    world.wake(&order);
    world.settle();
    assert_eq!(
        world.dead,
        ["the ERP keeps web/1, which order web/1 does not want: emulated"]
    );
    assert_eq!(world.status(&order), Status::Cancelled);
}

#[test]
fn a_correction_that_waits_for_the_erp_gives_way_to_a_cancellation() {
    let (mut world, order, _) = on_its_way();
    world.tell(&order, two_b());
    assert_eq!(world.status(&order), Status::Cancelling);
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Cancelled);
    assert_eq!((world.reserved(), books(&world)), (0, vec![]));
}

#[test]
fn what_stood_for_more_than_ten_minutes_before_it_was_given_up_lands_no_more() {
    let (mut world, order, _) = on_its_way();
    world.now = world.now.after(LANDS_WITHIN);
    world.tell(&order, cancel());
    world.deliver();
    assert_eq!(world.status(&order), Status::Cancelled);
    assert_eq!(Order::alarm(&world.orders[&order]), None);
}

#[test]
fn why_the_erp_keeps_an_order_is_told_and_noted() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = world.order("1", &[("A", 6)], &["W1"], Policy::ShipComplete);
    world.fate = Fate {
        choices: vec![1],
        used: 0,
    };
    world.tell(&order, cancel());
    world.speaker = "erp";
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    let told = world.statuses.last().unwrap();
    assert_eq!(
        told.reason.as_deref(),
        Some("the ERP does not cancel it: emulated")
    );
    let notes = world.orders[&order].placed().unwrap().summary().notes;
    let note = notes.last().unwrap();
    assert_eq!(
        (note.by.as_str(), note.act.name(), note.act.detail().as_deref()),
        ("erp", "refuse", Some("emulated"))
    );
    // What happens then is not for that reason.
    world.accept(&order, OrderCommand::ReleaseToWarehouse);
    assert_eq!(world.statuses.last().unwrap().reason, None);
}
