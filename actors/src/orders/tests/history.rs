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
