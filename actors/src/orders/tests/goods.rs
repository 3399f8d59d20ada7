//! What lines are about: the units that they are ordered in.

use super::*;
use crate::units::UnitSize;

pub(super) fn unit(name: &str) -> UnitOfMeasure {
    UnitOfMeasure::new(name).unwrap()
}

pub(super) fn sold_by(sizes: &[(&str, i64, i64)]) -> Item {
    let size = |&(name, base_units, of): &(&str, i64, i64)| {
        let size = UnitSize {
            base_units: quantity(base_units),
            of: quantity(of),
        };
        (unit(name), size)
    };
    Item {
        units: sizes.iter().map(size).collect(),
        ..Item::default()
    }
}

/// A case of 24, and 2 pounds that are 5 base units.
fn world() -> World {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 1_000);
    world.item("A", sold_by(&[("CASE", 24, 1), ("LB", 5, 2)]));
    world.set_price("A", "2.4949");
    world
}

fn wish(units: i64, name: Option<&str>) -> OrderRequest {
    let mut wish = request(&[("A", units)], &["W1"], Policy::ShipComplete);
    wish.lines[0].ordered_as = name.map(|name| OrderedAs {
        quantity: quantity(units),
        unit: unit(name),
    });
    wish
}

fn submit(world: &mut World, number: &str, wish: OrderRequest) -> OrderReply {
    let reply = world.tell(&key(number), OrderCommand::Submit(Box::new(wish)));
    world.settle();
    reply
}

fn refused(reply: &OrderReply) -> Option<String> {
    if let OrderReply::Refused(refusal) = reply {
        return Some(refusal.to_string());
    }
    None
}

#[test]
fn a_line_is_turned_into_base_units_exactly_or_refused_by_name() {
    let cases = [
        (3, None, Ok((3, "7.48"))),
        (3, Some("CASE"), Ok((72, "179.63"))),
        (4, Some("LB"), Ok((10, "24.95"))),
        (
            3,
            Some("LB"),
            Err("line 1: quantity: 3 LB is no whole number of base units"),
        ),
        (
            1,
            Some("PALLET"),
            Err("line 1: unit: the catalogue does not say how many base units a PALLET is for this SKU"),
        ),
        (500_000, Some("CASE"), Err("line 1: at most 10000000 units")),
    ];
    for (units, name, expected) in cases {
        let mut world = world();
        let reply = submit(&mut world, "1", wish(units, name));
        let found = match refused(&reply) {
            Some(refusal) => Err(refusal),
            None => {
                let summary = world.orders[&key("1")].placed().unwrap().summary();
                let line = &summary.lines[0];
                assert_eq!(line.ordered, line.reserved);
                let ordered_as = line
                    .ordered_as
                    .as_ref()
                    .map(|as_| (as_.quantity.units(), as_.unit.as_str()));
                assert_eq!(ordered_as, name.map(|name| (units, name)));
                let booked = &world.last_booking.as_ref().unwrap().lines[0];
                assert_eq!(
                    (booked.quantity.get(), &booked.ordered_as),
                    (line.ordered, &line.ordered_as)
                );
                Ok((line.ordered.units(), summary.total.unwrap().amount.to_string()))
            }
        };
        let expected = expected.map(|(units, total)| (units, total.to_owned()));
        assert_eq!(found, expected.map_err(str::to_owned), "{units} {name:?}");
        assert_eq!(world.reserved(), found.map_or(0, |(units, _)| units));
    }
}

#[test]
fn what_a_case_was_when_the_order_came_in_holds_for_the_order() {
    let mut world = world();
    submit(&mut world, "1", wish(3, Some("CASE")));
    world.item("A", sold_by(&[("CASE", 20, 1)]));
    // The same words are the same order, and nothing is asked for again; other words are another content.
    let again = submit(&mut world, "1", wish(3, Some("CASE")));
    assert_eq!(refused(&again), None);
    assert_eq!(world.reserved(), 72);
    let other = submit(&mut world, "1", wish(72, None));
    assert_eq!(other, OrderReply::Refused(OrderRefusal::Conflict));
    submit(&mut world, "2", wish(3, Some("CASE")));
    assert_eq!(world.reserved(), 72 + 60);
}

#[test]
fn a_channels_price_is_for_one_of_what_was_ordered() {
    // Three cases at our 2.4949 come to 179.63: 59.88 a case, as the channel shows it.
    let tolerance = ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new("1.5".parse().unwrap()).unwrap(),
            amount: None,
        },
        ..ChannelRules::default()
    };
    for (theirs, total) in [
        ("59.88", Some("179.63")),
        ("59.00", Some("177.00")),
        ("58.97", None),
    ] {
        let mut world = world();
        let rules = OrderRules([("web".into(), tolerance.clone())].into());
        world.reference = world.reference.checking(rules);
        let mut wish = wish(3, Some("CASE"));
        wish.lines[0].channel_price = Some(Price::new(theirs.parse().unwrap()).unwrap());
        submit(&mut world, "1", wish);
        let booked = world
            .last_booking
            .as_ref()
            .map(|booking| booking.total.amount.to_string());
        assert_eq!(booked.as_deref(), total, "{theirs}");
        if total.is_none() {
            let exception = world.exception(&key("1")).unwrap().to_string();
            let said =
                "line 1: the channel says 58.97, ours is 59.8766666667; 1 line(s) outside of the tolerance";
            assert_eq!(exception, said);
        }
    }
}

fn correct(lines: Vec<OrderLine>) -> OrderCommand {
    OrderCommand::Correct(Box::new(Correction {
        reason: Reason::new("less").unwrap(),
        lines: Some(lines),
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    }))
}

#[test]
fn a_corrected_line_may_be_in_another_unit() {
    let mut world = world();
    submit(&mut world, "1", wish(50, Some("CASE")));
    assert_eq!(world.status(&key("1")), Status::Exception);
    let odd = world.tell(&key("1"), correct(wish(3, Some("LB")).lines));
    assert_eq!(
        refused(&odd).as_deref(),
        Some("line 1: quantity: 3 LB is no whole number of base units")
    );
    world.tell(&key("1"), correct(wish(2, Some("CASE")).lines));
    world.settle();
    assert_eq!((world.status(&key("1")), world.reserved()), (Status::Booked, 48));
}

#[test]
fn a_line_that_a_correction_leaves_as_it_was_means_what_it_meant() {
    let mut world = world();
    let mut lines = wish(3, Some("CASE")).lines;
    lines.push(OrderLine {
        line: 2,
        ..request(&[("B", 1)], &["W1"], Policy::ShipComplete).lines[0].clone()
    });
    let both = OrderRequest {
        lines: lines.clone(),
        ..wish(3, None)
    };
    submit(&mut world, "1", both);
    assert_eq!(world.status(&key("1")), Status::Exception);
    world.item("A", sold_by(&[("CASE", 20, 1)]));
    world.tell(&key("1"), correct(lines[..1].to_vec()));
    world.settle();
    assert_eq!((world.status(&key("1")), world.reserved()), (Status::Booked, 72));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The slow model counts units out one by one: each is worth `base_units` shares of a base unit, of which `of` make one.
    #[test]
    fn a_line_holds_what_counting_out_gives(base_units in 1_i64..40, of in 1_i64..12, units in 1_i64..25) {
        let (mut whole, mut shares) = (0, 0);
        for _ in 0..units * base_units {
            shares += 1;
            if shares == of {
                whole += 1;
                shares = 0;
            }
        }
        let mut world = World::new(Fate::kind()).stock("A", "W1", 1_000);
        world.item("A", sold_by(&[("U", base_units, of)]));
        let reply = submit(&mut world, "1", wish(units, Some("U")));
        prop_assert_eq!(refused(&reply).is_some(), shares != 0);
        prop_assert_eq!(world.reserved(), if shares == 0 { whole } else { 0 });
    }
}
