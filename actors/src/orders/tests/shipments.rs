//! What left together: shipments.

use super::*;
use crate::ids::{CarrierCode, TrackingNumber};

fn carried(lines: &[(u16, i64)], tracking: &str) -> OrderCommand {
    let OrderCommand::Ship { document, lines, .. } = ship(lines) else {
        panic!("no shipment")
    };
    let carriage = Carriage {
        carrier: CarrierCode::new("UPS").ok(),
        tracking: TrackingNumber::new(tracking).ok(),
    };
    OrderCommand::Ship {
        document,
        lines,
        carriage,
    }
}

/// Number, tracking number, units by line.
type Shown = (u32, String, Vec<(u16, i64)>);

fn shipments(world: &World, order: &OrderKey) -> Vec<Shown> {
    let shipments = world.orders[order].placed().unwrap().shipments();
    let shown = shipments.into_iter().map(|shipment| {
        let tracking = shipment
            .carriage
            .tracking
            .map(|tracking| tracking.as_str().to_owned());
        let lines = shipment.lines.iter().map(|(line, units)| (*line, units.units()));
        (shipment.number, tracking.unwrap_or_default(), lines.collect())
    });
    shown.collect()
}

/// 10 of A and 5 of B: 4 of A, then the rest of A and all of B.
#[test]
fn each_shipment_has_what_left_with_it_and_keeps_its_number() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10).stock("B", "W1", 5);
    let order = world.order("1", &[("A", 10), ("B", 5)], &["W1"], Policy::ShipComplete);
    world.tell(&order, carried(&[(1, 4)], "1Z1"));
    assert_eq!(
        shipments(&world, &order),
        [],
        "it has not left before the stock says so"
    );
    world.settle();
    let first = (1, "1Z1".to_owned(), vec![(1, 4)]);
    assert_eq!(shipments(&world, &order), std::slice::from_ref(&first));
    // A repeat moves nothing.
    world.tell(&order, carried(&[(1, 4)], "1Z9"));
    world.settle();
    assert_eq!(shipments(&world, &order), std::slice::from_ref(&first));
    world.tell(&order, carried(&[], "1Z2"));
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    let second = (2, "1Z2".to_owned(), vec![(1, 6), (2, 5)]);
    assert_eq!(shipments(&world, &order), [first, second]);
}

/// What left before the rest was given up stands; the rest is in no shipment.
#[test]
fn the_rest_that_is_given_up_is_in_no_shipment() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    world.tell(&order, carried(&[(1, 7)], "1Z1"));
    world.settle();
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!(shipments(&world, &order), [(1, "1Z1".to_owned(), vec![(1, 7)])]);
}
