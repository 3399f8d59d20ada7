//! What is checked once the price is known: the channel's prices, least amounts, and who approves what fails.

use super::*;

fn price(amount: &str) -> Price {
    Price::new(amount.parse().unwrap()).unwrap()
}

fn euros(amount: &str) -> BTreeMap<Currency, Price> {
    [(Currency::new("EUR").unwrap(), price(amount))].into()
}

fn tolerance(percent: &str, amount: Option<&str>) -> ChannelRules {
    ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new(percent.parse().unwrap()).unwrap(),
            amount: amount.map(price),
        },
        ..ChannelRules::default()
    }
}

fn approve() -> OrderCommand {
    OrderCommand::Approve {
        reason: Reason::new("agreed by phone").unwrap(),
    }
}

/// 120 units at our 82.00 that the channel sells for `theirs`.
fn sold_at(world: &mut World, theirs: &str) -> OrderKey {
    *world = std::mem::replace(world, World::new(Fate::kind())).stock("A", "W1", 1_000);
    world.set_price("A", "82.00");
    let order = key("1");
    let mut wish = request(&[("A", 120)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price(theirs));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    order
}

fn differs(ours: &str, theirs: &str) -> Option<Exception> {
    Some(Exception::PriceDiffers {
        line: 1,
        lines: 1,
        ours: ours.parse().unwrap(),
        theirs: price(theirs),
    })
}

/// At which unit price, line amount and total the ERP booked the order.
fn booked_at(world: &World) -> [String; 3] {
    let booking = world.last_booking.as_ref().unwrap();
    let line = &booking.lines[0];
    [line.unit_price, line.amount, booking.total.amount].map(|amount| amount.normalize().to_string())
}

#[test]
fn s17_a_channel_price_within_the_tolerance_holds_and_outside_a_person_is_asked() {
    let rules = [
        // 1.00 of 82.00 is 1.22 percent, and 120.00 on the line.
        (tolerance("1", None), "81.00", false),
        (tolerance("1.5", Some("150.00")), "81.00", true),
        (tolerance("1.5", Some("119.99")), "81.00", false),
        (tolerance("1.5", Some("120.00")), "81.00", true),
        // To the customer's disadvantage it is the same: 83.23 is exactly 1.5 percent.
        (tolerance("1.5", None), "83.23", true),
        (tolerance("1.5", None), "83.24", false),
        (ChannelRules::default(), "81.99", false),
    ];
    for (rules, theirs, holds) in rules {
        let mut world = World::under(Fate::kind(), rules);
        let order = sold_at(&mut world, theirs);
        if holds {
            assert_eq!(world.status(&order), Status::Booked, "{theirs}");
            let amount: rust_decimal::Decimal = theirs.parse().unwrap();
            let amount = amount * rust_decimal::Decimal::from(120);
            let amount = amount.normalize().to_string();
            let theirs = price(theirs).amount().normalize().to_string();
            assert_eq!(booked_at(&world), [theirs, amount.clone(), amount]);
        } else {
            assert_eq!(world.exception(&order), differs("82.00", theirs));
            assert_eq!(world.reserved(), 0);
        }
    }
}

#[test]
fn a_channel_that_shows_our_price_rounded_has_our_price() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 1_000);
    world.set_price("A", "229.755");
    let order = key("1");
    let mut wish = request(&[("A", 50)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price("229.76"));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    // S8: the line is rounded, not the unit.
    assert_eq!(booked_at(&world), ["229.755", "11487.75", "11487.75"]);
}

#[test]
fn an_approved_price_of_the_channel_holds_and_our_own_stays_beside_it() {
    let mut world = World::new(Fate::kind());
    let order = sold_at(&mut world, "75.00");
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(booked_at(&world), ["75", "9000", "9000"]);
    let summary = world.orders[&order].placed().unwrap().summary();
    assert_eq!(summary.quote.unwrap().total.amount.to_string(), "9840.00");
    assert_eq!(summary.total.unwrap().amount.to_string(), "9000.00");
    assert_eq!(summary.agreed[0].difference.to_string(), "-840.00");
}

#[test]
fn above_the_limit_two_systems_approve_and_neither_twice() {
    let rules = |limit| ChannelRules {
        approve_alone_up_to: euros(limit),
        ..ChannelRules::default()
    };
    // 120 at 82.00 come to 9,840.00, whatever less the channel says.
    let mut world = World::under(Fate::kind(), rules("9840.00"));
    let order = sold_at(&mut world, "1.00");
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);

    let mut world = World::under(Fate::kind(), rules("9839.99"));
    let order = sold_at(&mut world, "1.00");
    world.speaker = "desk-anna";
    world.tell(&order, approve());
    world.deliver();
    assert_eq!(world.status(&order), Status::Exception);
    assert_eq!(
        world.tell(&order, approve()),
        OrderReply::Refused(OrderRefusal::SecondPerson)
    );
    // Tried again it is another price, perhaps: what was approved before is void.
    world.speaker = "desk-ben";
    world.tell(&order, OrderCommand::Retry);
    world.deliver();
    world.tell(&order, approve());
    assert_eq!(world.status(&order), Status::Exception);
    world.speaker = "desk-anna";
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    let notes = &world.orders[&order].placed().unwrap().notes;
    let who: Vec<_> = notes
        .iter()
        .map(|note| (note.by.as_str(), note.act.name()))
        .collect();
    assert_eq!(
        who,
        [
            ("desk-anna", "approve"),
            ("desk-ben", "retry"),
            ("desk-ben", "approve"),
            ("desk-anna", "approve")
        ]
    );
}

#[test]
fn an_order_below_the_least_amount_is_approved_or_added_to() {
    let rules = ChannelRules {
        minimum_amount: euros("20.00"),
        ..ChannelRules::default()
    };
    for approved in [true, false] {
        let mut world = World::under(Fate::kind(), rules.clone()).stock("A", "W1", 100);
        let order = key("1");
        let wish = request(&[("A", 7)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.deliver();
        let raised = world.exception(&order).unwrap();
        assert_eq!(
            raised.to_string(),
            "the order comes to 17.50 EUR, less than 20.00 EUR"
        );
        if approved {
            world.tell(&order, approve());
        } else {
            let more = Correction {
                reason: Reason::new("one more").unwrap(),
                lines: Some(request(&[("A", 8)], &["W1"], Policy::ShipComplete).lines),
                warehouses: None,
                policy: None,
                priority: None,
            };
            world.tell(&order, OrderCommand::Correct(Box::new(more)));
        }
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
        assert_eq!(world.reserved(), if approved { 7 } else { 8 });
    }
}

#[test]
fn what_fails_both_checks_is_approved_twice_and_a_shortage_not_at_all() {
    let rules = ChannelRules {
        minimum_amount: euros("20.00"),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 1);
    let order = key("1");
    let mut wish = request(&[("A", 2)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price("2.00"));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    let mut failed = Vec::new();
    for _ in 0..2 {
        failed.push(world.exception(&order).unwrap().name());
        world.tell(&order, approve());
        world.deliver();
    }
    assert_eq!(failed, ["price-differs", "below-minimum"]);
    assert_eq!(world.exception(&order).unwrap().name(), "shortage");
    assert_eq!(
        world.tell(&order, approve()),
        OrderReply::Refused(OrderRefusal::NotApprovable)
    );
}
