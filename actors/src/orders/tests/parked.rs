//! What comes before its time.

use super::*;
use crate::money::Money;
use crate::orders::parked::{KEPT_FOR, MAX_PARKED};
use crate::orders::payment::OrderPayment;

fn paid(document: &str) -> OrderCommand {
    OrderCommand::Pay(OrderPayment {
        document: DocumentId::new(document).unwrap(),
        amount: Money {
            amount: "10.00".parse().unwrap(),
            currency: Currency::new("EUR").unwrap(),
        },
    })
}

fn created() -> OrderCommand {
    OrderCommand::Submit(Box::new(request(&[("A", 4)], &["W1"], Policy::ShipComplete)))
}

/// All orders of the numbers below four.
fn permutations() -> Vec<[usize; 4]> {
    let numbers = 0..256_usize;
    let all = numbers.map(|number| [number / 64, number / 16 % 4, number / 4 % 4, number % 4]);
    let found: Vec<_> = all
        .filter(|order| (0..4).all(|wanted| order.contains(&wanted)))
        .collect();
    assert_eq!(found.len(), 24);
    found
}

/// The happenings in this order, some of them twice in a row and again at the end; the mail between them or at the end.
fn happened(order: [usize; 4], twice: u8, at_once: bool) -> World {
    let happenings = [created(), paid("P-1"), ship(&[]), OrderCommand::Close];
    let is_repeated = |happening: &usize| twice & (1 << happening) != 0;
    let mut told = Vec::new();
    for happening in order {
        told.extend(std::iter::repeat_n(
            happening,
            if is_repeated(&happening) { 2 } else { 1 },
        ));
    }
    told.extend(order.into_iter().filter(is_repeated));
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    for happening in told {
        world.tell(&key("1"), happenings[happening].clone());
        if !at_once {
            world.deliver();
        }
    }
    world.deliver();
    world
}

#[test]
fn s44_created_paid_shipped_and_closed_in_any_order_give_the_same_order() {
    let mut seen = BTreeSet::new();
    for order in permutations() {
        for twice in 0..16 {
            for at_once in [true, false] {
                let world = happened(order, twice, at_once);
                let placed = world.orders[&key("1")].placed().unwrap();
                assert!(placed.parked.is_empty(), "{order:?} {twice} {at_once}");
                assert_eq!(world.booked[&key("1")], 1);
                assert_eq!((world.available("A", "W1"), world.reserved()), (6, 0));
                let lines = world.lines(&key("1"));
                seen.insert(format!("{} {lines:?} {:?}", placed.status, placed.payments.len()));
                // A shipment that is told again once the order is closed finds nothing to do.
                assert!(
                    world
                        .dead
                        .iter()
                        .all(|reason| reason.contains("not possible while")),
                    "{:?}",
                    world.dead
                );
            }
        }
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["closed [[0, 4, 0, 0, 0]] 1"]
    );
}

#[test]
fn s44_what_waits_ten_minutes_for_its_order_is_a_dead_letter_that_names_it() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = key("9");
    let until = world.now.after(KEPT_FOR);
    for _ in 0..3 {
        assert_eq!(world.tell(&order, ship(&[])), OrderReply::Parked { until });
    }
    assert_eq!(world.orders[&order].parked().len(), 1);
    world.now = Timestamp::from_millis(until.as_millis() - 1);
    world.wake(&order);
    assert!(world.dead.is_empty());
    world.now = until;
    world.wake(&order);
    assert_eq!(world.dead, ["order web/9 has not come in 600 s"]);
    assert_eq!(crate::orders::Order::alarm(&world.orders[&order]), None);
    // It comes after all, without the shipment.
    world.tell(&order, created());
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
}

#[test]
fn what_waits_with_an_order_that_does_not_come_as_far_is_a_dead_letter_too() {
    let mut world = World::new(Fate::kind());
    let order = key("1");
    world.tell(&order, created());
    world.tell(&order, ship(&[]));
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "shortage");
    let since = world.orders[&order].placed().unwrap().since;
    world.now = world.now.after(KEPT_FOR);
    world.wake(&order);
    assert_eq!(
        world.dead,
        ["order web/1 is exception and did not come as far in 600 s"]
    );
    // The exception stands as it stood.
    let placed = world.orders[&order].placed().unwrap();
    assert_eq!((placed.since, placed.case.unwrap().escalated), (since, 0));
}

#[test]
fn what_the_order_refuses_once_it_has_come_is_a_dead_letter() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = key("1");
    world.tell(&order, ship(&[(7, 1)]));
    world.tell(&order, created());
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.dead, ["order web/1 came, but: the order has no line 7"]);
}

#[test]
fn only_steps_wait_and_only_so_many() {
    let mut world = World::new(Fate::kind());
    let order = key("1");
    for command in [OrderCommand::Retry, OrderCommand::Show] {
        assert_eq!(
            world.tell(&order, command),
            OrderReply::Refused(OrderRefusal::UnknownOrder)
        );
    }
    for number in 0..MAX_PARKED {
        let reply = world.tell(&order, paid(&number.to_string()));
        assert!(matches!(reply, OrderReply::Parked { .. }), "{reply:?}");
    }
    assert_eq!(
        world.tell(&order, paid("one-more")),
        OrderReply::Refused(OrderRefusal::UnknownOrder)
    );
}

#[test]
fn a_payment_counts_once_and_a_channel_hears_its_own_words() {
    let rules = ChannelRules {
        vocabulary: [(Status::Booked, "ACCEPTED".into())].into(),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 10);
    let order = key("1");
    world.tell(&order, created());
    for _ in 0..2 {
        world.tell(&order, paid("P-1"));
    }
    world.deliver();
    assert_eq!(world.orders[&order].placed().unwrap().payments.len(), 1);
    let words: Vec<_> = world
        .statuses
        .iter()
        .map(|status| status.channel_status.as_deref())
        .collect();
    assert_eq!(words, [None, None, None, Some("ACCEPTED")]);
    let OrderCommand::Pay(mut other) = paid("P-1") else {
        panic!("no payment")
    };
    other.amount.amount = 11.into();
    let document = other.document.clone();
    assert_eq!(
        world.tell(&order, OrderCommand::Pay(other)),
        OrderReply::Refused(OrderRefusal::DocumentConflict { document })
    );
}

#[test]
fn a_cancellation_that_overtakes_its_order_ends_it_before_it_is_booked() {
    for also_paid in [true, false] {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
        let order = key("1");
        for early in [ship(&[]), cancel()] {
            let reply = world.tell(&order, early);
            assert!(matches!(reply, OrderReply::Parked { .. }), "{reply:?}");
        }
        if also_paid {
            world.tell(&order, paid("P-1"));
        }
        world.tell(&order, created());
        world.settle();
        assert_eq!(world.status(&order), Status::Cancelled);
        assert_eq!((world.booked.get(&order), world.reserved()), (None, 0));
        let placed = world.orders[&order].placed().unwrap();
        assert_eq!(placed.payments.len(), usize::from(also_paid));
        assert_eq!(
            world.dead,
            ["order web/1 came, but: not possible while the order is cancelled"]
        );
    }
}

#[test]
fn a_payment_is_in_the_currency_of_its_order_and_no_more_than_is_counted() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = key("1");
    world.tell(&order, created());
    world.deliver();
    // 10.00 are to be paid: a payment beyond that is noted as it is.
    let cases = [
        ("10.00", "EUR", None),
        ("25.00", "EUR", None),
        (
            "10.00",
            "USD",
            Some("amount: the order is in EUR, the payment in USD"),
        ),
        (
            "0.00",
            "EUR",
            Some("amount: a payment is above 0 and at most 1000000000000"),
        ),
        (
            "-1.00",
            "EUR",
            Some("amount: a payment is above 0 and at most 1000000000000"),
        ),
        (
            "1000000000000.01",
            "EUR",
            Some("amount: a payment is above 0 and at most 1000000000000"),
        ),
    ];
    for (number, (amount, currency, expected)) in cases.into_iter().enumerate() {
        let amount = Money {
            amount: amount.parse().unwrap(),
            currency: Currency::new(currency).unwrap(),
        };
        let document = DocumentId::new(&format!("P-{number}")).unwrap();
        let reply = world.tell(&order, OrderCommand::Pay(OrderPayment { document, amount }));
        let found = refused(&reply);
        assert_eq!(found.as_deref(), expected, "{amount}");
    }
    assert_eq!(world.orders[&order].placed().unwrap().payments.len(), 2);
}
