//! Orders that come twice: under their own number with another content, or under another number with the same.

use super::desk::correction;
use super::*;
use crate::accounts::state::AccountStatus;

fn looks_for_like_ones() -> ChannelRules {
    ChannelRules {
        duplicate_window_hours: Some(24),
        ..ChannelRules::default()
    }
}

fn wish(purchase_order: Option<&str>, lines: &[(&str, i64)]) -> OrderRequest {
    OrderRequest {
        purchase_order: purchase_order.map(|number| DocumentId::new(number).unwrap()),
        ..request(lines, &["W1"], Policy::ShipComplete)
    }
}

fn reason(text: &str) -> Reason {
    Reason::new(text).unwrap()
}

impl World {
    fn submit(&mut self, number: &str, wish: OrderRequest) -> OrderKey {
        let order = key(number);
        self.tell(&order, OrderCommand::Submit(Box::new(wish)));
        self.deliver();
        order
    }

    fn cases(&self, order: &OrderKey) -> Vec<&'static str> {
        let cases = self.orders[order].placed().unwrap().open_cases();
        cases.iter().map(|case| case.exception.name()).collect()
    }
}

#[test]
fn s45_another_content_under_the_same_number_stands_beside_the_order_until_a_person_has_looked() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 100);
    let order = world.submit("4711", wish(None, &[("A", 4)]));
    assert_eq!(world.status(&order), Status::Booked);
    let told = world.statuses.len();
    // The same again is the same answer, and nothing happens.
    assert!(matches!(
        world.tell(&order, OrderCommand::Submit(Box::new(wish(None, &[("A", 4)])))),
        OrderReply::Accepted {
            status: Status::Booked,
            ..
        }
    ));
    for _ in 0..2 {
        let other = wish(None, &[("A", 5)]);
        assert_eq!(
            world.tell(&order, OrderCommand::Submit(Box::new(other))),
            OrderReply::Refused(OrderRefusal::Conflict)
        );
        world.now = world.now.after(Duration::from_secs(60));
    }
    assert_eq!(
        (world.status(&order), world.statuses.len()),
        (Status::Booked, told)
    );
    assert_eq!(world.cases(&order), ["duplicate"]);
    let contested = world.orders[&order].placed().unwrap().contested.clone().unwrap();
    assert_eq!(contested.request.lines[0].quantity, quantity(5));
    assert_eq!(contested.at, Timestamp::from_millis(1_000_000));
    let dismiss = || OrderCommand::Dismiss {
        reason: reason("typed twice"),
    };
    assert!(matches!(
        world.tell(&order, dismiss()),
        OrderReply::Accepted { .. }
    ));
    assert!(world.cases(&order).is_empty());
    assert_eq!(
        world.tell(&order, dismiss()),
        OrderReply::Refused(OrderRefusal::NothingToDismiss)
    );
    let note = &world.orders[&order].placed().unwrap().notes[0];
    assert_eq!(
        (note.exception.as_str(), note.act.name()),
        ("duplicate", "dismiss")
    );
}

/// Seed 104 of the rush: what came while a corrected order gave back what it held was forgotten once that was done.
#[test]
fn a_correction_settles_what_a_person_has_seen_and_not_what_comes_while_it_is_carried_out() {
    let mut world = World::under(Fate::kind(), credit::checked()).stock("A", "W1", 100);
    world.limit("1.00", AccountStatus::Active);
    let order = world.submit("4711", wish(None, &[("A", 4)]));
    assert_eq!(world.status(&order), Status::Exception);
    let submit = |units| OrderCommand::Submit(Box::new(wish(None, &[("A", units)])));
    world.tell(&order, submit(5));
    assert_eq!(world.cases(&order), ["credit-hold", "duplicate"]);
    world.tell(&order, OrderCommand::Correct(Box::new(correction())));
    assert!(world.cases(&order).is_empty());
    assert_eq!(world.status(&order), Status::Releasing);
    world.tell(&order, submit(6));
    world.settle();
    assert_eq!(world.cases(&order), ["credit-hold", "duplicate"]);
}

#[test]
fn s45_the_same_purchase_order_and_goods_within_the_window_are_reviewed() {
    // After so many hours, with this purchase order and these goods: like the first?
    type Case<'a> = (u64, Option<&'a str>, &'a [(&'a str, i64)], bool);
    let cases: [Case<'_>; 6] = [
        (0, Some("PO-1"), &[("A", 2), ("B", 1)], true),
        (23, Some("PO-1"), &[("B", 1), ("A", 1), ("A", 1)], true),
        (24, Some("PO-1"), &[("A", 2), ("B", 1)], false),
        (0, Some("PO-2"), &[("A", 2), ("B", 1)], false),
        (0, Some("PO-1"), &[("A", 2), ("B", 2)], false),
        (0, None, &[("A", 2), ("B", 1)], false),
    ];
    for (hours, purchase_order, lines, is_like) in cases {
        let mut world = World::under(Fate::kind(), looks_for_like_ones())
            .stock("A", "W1", 100)
            .stock("B", "W1", 100);
        let first = world.submit("1", wish(Some("PO-1"), &[("A", 2), ("B", 1)]));
        world.now = world.now.after(Duration::from_secs(hours * 3_600));
        let second = world.submit("2", wish(purchase_order, lines));
        assert_eq!(world.status(&first), Status::Booked);
        if !is_like {
            assert_eq!(
                world.status(&second),
                Status::Booked,
                "{hours} {purchase_order:?} {lines:?}"
            );
            continue;
        }
        assert_eq!(
            world.exception(&second).unwrap().to_string(),
            "web/1 has the same customer, purchase order and goods"
        );
        assert_eq!(world.booked.get(&second), None);
        let approve = OrderCommand::Approve {
            reason: reason("wanted twice"),
        };
        world.tell(&second, approve);
        world.deliver();
        assert_eq!(world.status(&second), Status::Booked);
    }
}

#[test]
fn what_came_to_nothing_is_like_no_other_and_a_channel_may_not_look() {
    let mut world = World::under(Fate::kind(), looks_for_like_ones()).stock("A", "W1", 100);
    let first = world.submit("1", wish(Some("PO-1"), &[("A", 2)]));
    world.tell(&first, cancel());
    world.settle();
    let second = world.submit("2", wish(Some("PO-1"), &[("A", 2)]));
    assert_eq!(world.status(&second), Status::Booked);

    let mut world = World::new(Fate::kind()).stock("A", "W1", 100);
    for number in ["1", "2"] {
        let order = world.submit(number, wish(Some("PO-1"), &[("A", 2)]));
        assert_eq!(world.status(&order), Status::Booked);
    }
    assert!(world.accounts.is_empty());
}

#[test]
fn a_corrected_order_is_looked_at_anew() {
    let mut world = World::under(Fate::kind(), looks_for_like_ones()).stock("A", "W1", 100);
    world.submit("1", wish(Some("PO-1"), &[("A", 2)]));
    let second = world.submit("2", wish(Some("PO-1"), &[("A", 2)]));
    let other = Correction {
        reason: reason("another quantity was meant"),
        lines: Some(wish(None, &[("A", 3)]).lines),
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    };
    world.tell(&second, OrderCommand::Correct(Box::new(other)));
    world.deliver();
    assert_eq!(world.status(&second), Status::Booked);
}

#[test]
fn an_account_that_does_not_answer_is_asked_again() {
    let mut world = World::under(Fate::kind(), looks_for_like_ones()).stock("A", "W1", 100);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(wish(Some("PO-1"), &[("A", 2)]))),
    );
    while !matches!(world.mail.first(), Some(Message::Account(..))) {
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.mail.clear();
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
}
