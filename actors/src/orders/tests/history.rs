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
}
