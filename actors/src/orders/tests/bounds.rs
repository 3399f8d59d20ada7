//! Prices that a floor or a ceiling holds, the date that an order is priced at, and the list.

use super::budgets::promote;
use super::*;
use crate::ids::RuleId;
use crate::pricing::bound::PriceFlag;
use crate::pricing::term::{Bound, Breach, Effect, Scope, Stage, Term};
use rust_decimal::Decimal;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(amount: &str) -> Price {
    Price::new(decimal(amount)).unwrap()
}

fn term(rule: &str, stage: Stage, effect: Effect) -> Term {
    Term {
        stage,
        ..Term::plain(RuleId::new(rule).unwrap(), 1, Scope::Everything, effect)
    }
}

fn bound(rule: &str, stage: Stage, at: &str, breach: Breach) -> Term {
    let at = Bound::Price(price(at));
    term(rule, stage, Effect::Bound { at, breach })
}

/// A at 100.00 in a house with these terms, under these rules.
fn house_of(rules: ChannelRules, terms: Vec<Term>) -> World {
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 100);
    world.set_price("A", "100.00");
    promote(&world, 1, terms);
    world
}

fn order_ten(world: &mut World, theirs: Option<&str>) -> OrderKey {
    let order = key("1");
    let mut wish = request(&[("A", 10)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = theirs.map(price);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    order
}

fn approve() -> OrderCommand {
    OrderCommand::Approve {
        reason: Reason::new("to keep the customer").unwrap(),
    }
}

fn booked_for(world: &World) -> String {
    let booking = world.last_booking.as_ref().unwrap();
    booking.total.amount.normalize().to_string()
}

fn held(flag: PriceFlag) -> Option<Exception> {
    Some(Exception::PriceHeld {
        line: 1,
        lines: 1,
        flag,
    })
}

fn below(at: &str) -> Option<Exception> {
    held(PriceFlag::BelowFloor {
        rule: RuleId::new("floor").unwrap(),
        bound: decimal(at),
    })
}

/// A promotion of 60.00 under a floor of 76.09 that holds it.
fn promoted_below_the_floor(rules: ChannelRules) -> (World, OrderKey) {
    let promotion = Effect::Fixed(Scale::flat(price("60.00")));
    let terms = vec![
        term("promotion", Stage::Promotion, promotion),
        bound("floor", Stage::Floor, "76.09", Breach::Hold),
    ];
    let mut world = house_of(rules, terms);
    let order = order_ten(&mut world, None);
    assert_eq!(world.exception(&order), below("76.09"));
    assert_eq!((world.status(&order), world.reserved()), (Status::Exception, 0));
    (world, order)
}

#[test]
fn s15_a_price_below_a_floor_that_holds_it_waits_until_a_person_approves_it() {
    let (mut world, order) = promoted_below_the_floor(ChannelRules::default());
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(booked_for(&world), "600");
    // Above 500.00 it takes two.
    let two = ChannelRules {
        approve_alone_up_to: [(Currency::new("EUR").unwrap(), price("500.00"))].into(),
        ..ChannelRules::default()
    };
    let (mut world, order) = promoted_below_the_floor(two);
    for (by, status) in [("anna", Status::Exception), ("ben", Status::Booked)] {
        world.speaker = by;
        world.tell(&order, approve());
        world.settle();
        assert_eq!(world.status(&order), status, "{by}");
    }
}

#[test]
fn s15_a_held_price_goes_on_once_the_terms_are_changed_or_the_line_is_corrected() {
    let (mut world, order) = promoted_below_the_floor(ChannelRules::default());
    promote(
        &world,
        2,
        vec![bound("floor", Stage::Floor, "76.09", Breach::Hold)],
    );
    world.tell(&order, OrderCommand::Retry);
    world.settle();
    assert_eq!(
        (world.status(&order), booked_for(&world)),
        (Status::Booked, "1000".into())
    );

    let rules = ChannelRules {
        override_limits: [("manager".into(), Percent::new(decimal("50")).unwrap())].into(),
        ..ChannelRules::default()
    };
    let (mut world, order) = promoted_below_the_floor(rules);
    world.speaker = "manager";
    for (theirs, status) in [("76.08", Status::Exception), ("76.09", Status::Booked)] {
        let mut lines = world.orders[&order].placed().unwrap().request.lines.clone();
        lines[0].channel_price = Some(price(theirs));
        let correction = Correction {
            lines: Some(lines),
            ..desk::correction()
        };
        world.tell(&order, OrderCommand::Correct(Box::new(correction)));
        world.settle();
        assert_eq!(world.status(&order), status, "{theirs}");
    }
    assert_eq!(booked_for(&world), "760.9");
}

#[test]
fn a_price_that_the_channel_states_is_held_by_bounds_though_it_is_within_the_tolerance() {
    let rules = || ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new(decimal("10")).unwrap(),
            amount: None,
        },
        ..ChannelRules::default()
    };
    let above = || {
        held(PriceFlag::AboveCeiling {
            rule: RuleId::new("ceiling").unwrap(),
            bound: decimal("105"),
        })
    };
    // What bounds would do to a price of ours is not done to theirs: it has been said to the customer.
    for breach in [Breach::Hold, Breach::Adjust] {
        for (theirs, expected) in [
            ("98.00", None),
            ("97.99", below("98")),
            ("105.00", None),
            ("105.01", above()),
        ] {
            let bounds = vec![
                bound("floor", Stage::Floor, "98", breach),
                bound("ceiling", Stage::Ceiling, "105", breach),
            ];
            let mut world = house_of(rules(), bounds);
            let order = order_ten(&mut world, Some(theirs));
            assert_eq!(world.exception(&order), expected, "{theirs}");
        }
    }
}

#[test]
fn an_order_is_priced_as_of_the_moment_it_came_in_however_late_that_is() {
    let twenty_off = Effect::Discount(Scale::flat(Percent::new(decimal("20")).unwrap()));
    let mut promotion = term("promotion", Stage::Promotion, twenty_off);
    let mut world = house_of(ChannelRules::default(), Vec::new());
    promotion.effective.until = Some(world.now.after(Duration::from_secs(60)));
    promote(&world, 2, vec![promotion]);
    // 4 of B are not there: priced in time, the order waits for a person, who corrects it two minutes later.
    let order = key("1");
    let wish = request(&[("A", 10), ("B", 4)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Exception);
    world.now = world.now.after(Duration::from_secs(120));
    let mut lines = world.orders[&order].placed().unwrap().request.lines.clone();
    lines.truncate(1);
    let correction = Correction {
        lines: Some(lines),
        ..desk::correction()
    };
    world.tell(&order, OrderCommand::Correct(Box::new(correction)));
    world.settle();
    assert_eq!(
        (world.status(&order), booked_for(&world)),
        (Status::Booked, "800".into())
    );
    // One that comes now is too late.
    let late = key("2");
    let wish = request(&[("A", 10)], &["W1"], Policy::ShipComplete);
    world.tell(&late, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(booked_for(&world), "1000");
}

#[test]
fn who_has_no_list_buys_at_that_of_the_channel() {
    let retail = || ListId::new("RETAIL").unwrap();
    let rules = ChannelRules {
        price_list: Some(retail()),
        ..ChannelRules::default()
    };
    let row = ListRow {
        list: retail(),
        currency: Currency::new("EUR").unwrap(),
        effective: Effective::default(),
        price: Scale::flat(price("130.00")),
        rule: RuleId::new("retail").unwrap(),
        version: 1,
        edition: None,
    };
    let mut world = house_of(ChannelRules::default(), Vec::new());
    order_ten(&mut world, Some("100.00"));
    assert_eq!(booked_for(&world), "1000");
    let mut world = house_of(rules, Vec::new());
    world.take((sku("A"), ListPriceCommand::Set(Box::new(row))).into());
    order_ten(&mut world, Some("130.00"));
    assert_eq!(booked_for(&world), "1300");
}
