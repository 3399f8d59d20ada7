//! How an order came to stand where it stands.

use super::*;
use crate::orders::history::MAX_MILESTONES;

#[test]
fn an_order_remembers_what_moved_it_who_and_in_which_conversation() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 1);
    world.speaker = "web";
    let order = key("1");
    let wish = request(&[("A", 2)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    world.receive("A", "W1", 1);
    world.speaker = "operator";
    world.tell(&order, OrderCommand::Retry);
    world.deliver();
    let history = &world.orders[&order].placed().unwrap().history;
    let lines: Vec<_> = history
        .iter()
        .map(|step| {
            let reasoning = step.reasoning.as_ref().unwrap();
            assert_eq!((&reasoning.correlation, reasoning.causation), (&None, None));
            let exception = step.exception.as_deref().unwrap_or("-");
            format!(
                "{} {} {} {:?} {exception}",
                step.sequence, step.status, reasoning.by, reasoning.cause
            )
        })
        .collect();
    let expected = [
        "1 pricing web Submit -",
        "2 reserving web Priced -",
        "3 releasing web StockAnswered -",
        "4 exception web StockAnswered shortage",
        "5 reserving operator Retry -",
        "6 booking operator StockAnswered -",
        "7 booked operator BookingAnswered -",
    ];
    assert_eq!(lines, expected);
    assert!(
        history
            .iter()
            .all(|step| step.at >= Timestamp::from_millis(1_000_000))
    );
}

/// What is said in a conversation that is not the order's own: who, in which, by which message, and what.
fn said(world: &World, what: &str) -> Vec<(String, String, Option<u128>)> {
    let spoken = world.spoken.iter().filter(|(said, _)| said.contains(what));
    spoken
        .map(|(_, by)| {
            let causation = by.causation.map(|message| message.0);
            (by.source.to_string(), by.correlation.to_string(), causation)
        })
        .collect()
}

/// Who has written last, in a conversation that has nothing to do with the order.
fn somebody_else(world: &mut World) {
    world.speaker = "wms";
    world.conversation = "GR-77";
    world.causation = Some(MessageId(77));
}

#[test]
fn what_is_asked_again_is_asked_as_of_who_wanted_the_step() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = key("1");
    let wish = request(&[("A", 4)], &["W1"], Policy::ShipComplete);
    (world.speaker, world.causation) = ("web", Some(MessageId(1)));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.mail.clear();
    somebody_else(&mut world);
    world.now = super::super::Order::alarm(&world.orders[&order]).unwrap();
    world.wake(&order);
    let own = ("web".to_owned(), "K".to_owned(), Some(1));
    assert_eq!(said(&world, "Contract("), [own.clone(), own.clone()]);
    // Booked, cancelled by somebody else, whom the ERP does not answer.
    (world.speaker, world.conversation, world.causation) = ("web", "K", Some(MessageId(1)));
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    (world.speaker, world.conversation, world.causation) = ("desk", "C-2", Some(MessageId(2)));
    world.tell(&order, cancel());
    world.mail.clear();
    somebody_else(&mut world);
    for _ in 0..2 {
        world.now = super::super::Order::alarm(&world.orders[&order]).unwrap();
        world.wake(&order);
    }
    let cancels = said(&world, "Cancel(");
    assert_eq!(cancels, vec![("desk".to_owned(), "C-2".to_owned(), Some(2)); 2]);
}

#[test]
fn credit_that_a_payment_makes_room_for_is_used_in_the_orders_own_conversation() {
    let mut world = World::under(Fate::kind(), super::credit::checked()).stock("A", "W1", 6);
    world.limit("5.00", crate::accounts::state::AccountStatus::Active);
    let order = key("1");
    (world.speaker, world.causation) = ("web", Some(MessageId(1)));
    let wish = request(&[("A", 4)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "credit-hold");
    (world.speaker, world.conversation, world.causation) = ("erp", "LIMIT-9", Some(MessageId(9)));
    world.limit("100.00", crate::accounts::state::AccountStatus::Active);
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(
        said(&world, "Book("),
        [("web".to_owned(), "K".to_owned(), Some(1))]
    );
    // The history says who has made the room.
    let history = &world.orders[&order].placed().unwrap().history;
    let booking = history
        .iter()
        .find(|step| step.status == Status::Booking)
        .unwrap();
    assert_eq!(booking.reasoning.as_ref().unwrap().by, "erp");
}

#[test]
fn the_last_changes_are_remembered_and_no_more() {
    let mut world = World::new(Fate::kind());
    let order = world.order("1", &[("A", 2)], &["W1"], Policy::ShipComplete);
    for _ in 0..MAX_MILESTONES {
        world.tell(&order, OrderCommand::Retry);
        world.deliver();
    }
    let placed = world.orders[&order].placed().unwrap();
    assert_eq!(placed.history.len(), MAX_MILESTONES);
    assert_eq!(placed.history.last().unwrap().sequence, placed.sequence);
}

#[test]
fn what_waited_stands_under_its_own_system_and_conversation() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.speaker = "web";
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        let message = world.mail.remove(0);
        world.take(message);
    }
    let told: [(&'static str, &'static str, u128, OrderCommand); 2] = [
        ("web", "CH-7", 7, super::changes::change("CH-7", &[(1, 4)])),
        ("wms", "SH-8", 8, ship(&[])),
    ];
    for (speaker, conversation, causation, command) in told {
        world.speaker = speaker;
        world.conversation = conversation;
        world.causation = Some(MessageId(causation));
        let reply = world.tell(&order, command);
        assert!(matches!(reply, OrderReply::Parked { .. }), "{reply:?}");
    }
    // The ERP answers, and with that their time has come.
    world.speaker = "erp";
    world.conversation = "alarm";
    world.causation = None;
    world.deliver();
    let placed = world.orders[&order].placed().unwrap();
    assert_eq!(placed.changes[0].by, "web");
    let step = |cause: Cause| {
        let mut reasons = placed.history.iter().filter_map(|step| step.reasoning.as_ref());
        let found = reasons.find(|reasoning| reasoning.cause == cause).unwrap();
        let causation = found.causation.map(|message| message.0);
        (found.by.as_str(), found.correlation.as_deref(), causation)
    };
    assert_eq!(step(Cause::BookingAnswered), ("erp", Some("alarm"), None));
    assert_eq!(step(Cause::Change), ("web", Some("CH-7"), Some(7)));
    assert_eq!(step(Cause::Ship), ("wms", Some("SH-8"), Some(8)));
    let shipments = said(&world, "Ship {");
    let told = ("wms".to_owned(), "SH-8".to_owned(), Some(8));
    assert!(shipments.contains(&told), "{shipments:?}");
}
