//! Kits: priced as one line, held, shipped and returned as their components.

use super::*;
use crate::domain::View;
use crate::inventory::command::HoldMode;
use crate::kit::Component;
use crate::orders::after_sales::Disposition;
use crate::reference::StockLevel;

pub(super) fn kit(components: &[(&str, i64)]) -> Item {
    let component = |&(name, per_kit): &(&str, i64)| Component {
        sku: sku(name),
        per_kit: quantity(per_kit),
    };
    Item {
        components: components.iter().map(component).collect(),
        ..Item::default()
    }
}

/// A kit of 2 A and 1 B that costs 9.00.
fn world(stock: &[(&str, &str, i64)]) -> World {
    let mut world = World::new(Fate::kind());
    for (name, warehouse, units) in stock {
        world = world.stock(name, warehouse, *units);
    }
    world.item("KIT", kit(&[("A", 2), ("B", 1)]));
    world.set_price("KIT", "9.00");
    world
}

/// The slow look: of kits what is there of a component is there of the others, and what leaves leaves whole; but for what
/// waits for a component, or for an answer.
pub(super) fn are_whole(placed: &Placed) -> bool {
    let is_settled = |part: &Allocation| match part.standing {
        AllocationStanding::Held | AllocationStanding::Shipped | AllocationStanding::Released => true,
        AllocationStanding::Refused => true,
        AllocationStanding::Asked | AllocationStanding::Shipping | AllocationStanding::Releasing => false,
    };
    if placed.status == Status::Exception {
        return true;
    }
    placed
        .request
        .lines
        .iter()
        .filter(|line| !line.components.is_empty())
        .all(|line| {
            let mut kits = BTreeSet::new();
            let mut left = BTreeSet::new();
            for part in placed.of_line(line.line) {
                if !is_settled(part) || part.waiting > Quantity::ZERO || part.mode != HoldMode::All {
                    continue;
                }
                let sku = part.component.as_ref().unwrap();
                let per_kit = line
                    .components
                    .iter()
                    .find(|component| component.sku == *sku)
                    .unwrap()
                    .per_kit
                    .units();
                kits.insert((
                    part.warehouse,
                    part.attempt,
                    part.open().units() % per_kit,
                    part.open().units() / per_kit,
                ));
                left.insert((
                    part.warehouse,
                    part.attempt,
                    part.shipped.units() % per_kit,
                    part.shipped.units() / per_kit,
                ));
            }
            let places: BTreeSet<_> = kits
                .iter()
                .map(|(warehouse, attempt, ..)| (warehouse, attempt))
                .collect();
            let is_whole = |(_, _, rest, _): &(WarehouseCode, u16, i64, i64)| *rest == 0;
            places.len() == kits.len() && places.len() == left.len() && kits.iter().chain(&left).all(is_whole)
        })
}

/// What is held and still in the house, by SKU and warehouse.
fn held(world: &World) -> Vec<(String, i64)> {
    let held = world
        .stocks
        .iter()
        .filter(|(_, stock)| stock.reserved != Quantity::ZERO);
    held.map(|(id, stock)| (format!("{} {}", id.sku, id.warehouse), stock.reserved.units()))
        .collect()
}

fn is(parts: &[(&str, i64)]) -> Vec<(String, i64)> {
    parts
        .iter()
        .map(|(what, units)| ((*what).to_owned(), *units))
        .collect()
}

fn components(world: &World, order: &OrderKey) -> Vec<(String, [i64; 4])> {
    let summary = world.orders[order].placed().unwrap().summary();
    let components = summary.lines[0].components.iter().map(|component| {
        let parts = [
            component.reserved,
            component.shipped,
            component.backordered,
            component.returned,
        ];
        (component.sku.to_string(), parts.map(Quantity::units))
    });
    components.collect()
}

fn back(document: &str, units: i64, component: Option<&str>) -> OrderCommand {
    OrderCommand::Return(GoodsReturn {
        document: DocumentId::new(document).unwrap(),
        lines: vec![ReturnLine {
            line: 1,
            quantity: quantity(units),
            disposition: Disposition::Restock,
            warehouse: None,
            component: component.map(sku),
            lots: Vec::new(),
        }],
    })
}

#[test]
fn s41_a_kit_is_priced_as_one_and_held_and_shipped_as_its_components() {
    let mut world = world(&[("A", "W1", 9), ("B", "W1", 3)]);
    let order = world.order("1", &[("KIT", 3)], &["W1"], Policy::ShipComplete);
    assert_eq!(
        (world.status(&order), held(&world)),
        (Status::Booked, is(&[("A W1", 6), ("B W1", 3)]))
    );
    let booking = world.last_booking.clone().unwrap();
    assert_eq!(booking.total.amount.to_string(), "27.00");
    let line = &booking.lines[0];
    assert_eq!(
        (
            line.sku.as_str(),
            line.quantity.units(),
            line.allocations[0].quantity.units()
        ),
        ("KIT", 3, 3)
    );
    assert_eq!(world.lines(&order), [[3, 0, 0, 0, 0]]);
    // Of one more kit B is lacking: not even its A is held.
    let other = world.order("2", &[("KIT", 1)], &["W1"], Policy::ShipComplete);
    assert_eq!(
        world.exception(&other),
        Some(Exception::Shortage { line: 1, lines: 1 })
    );
    assert_eq!(held(&world), is(&[("A W1", 6), ("B W1", 3)]));

    world.tell(&order, ship(&[(1, 2)]));
    world.deliver();
    assert_eq!(world.lines(&order), [[1, 2, 0, 0, 0]]);
    assert_eq!(
        components(&world, &order),
        [("A".to_owned(), [2, 4, 0, 0]), ("B".to_owned(), [1, 2, 0, 0])]
    );
    world.tell(&order, ship(&[]));
    world.deliver();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!((world.available("A", "W1"), world.available("B", "W1")), (3, 0));
}

#[test]
fn a_kit_is_taken_whole_from_each_warehouse() {
    let stock = [("A", "W1", 10), ("B", "W1", 1), ("A", "W2", 4), ("B", "W2", 5)];
    let mut complete = world(&stock);
    let order = complete.order("1", &[("KIT", 3)], &["W1", "W2"], Policy::ShipComplete);
    let whole = is(&[("A W1", 2), ("A W2", 4), ("B W1", 1), ("B W2", 2)]);
    assert_eq!(
        (complete.status(&order), held(&complete)),
        (Status::Booked, whole)
    );
    // There are four sets of goods in all, but one A and one B of them are not in the same place.
    let mut short = world(&stock);
    let order = short.order("1", &[("KIT", 4)], &["W1", "W2"], Policy::ShipComplete);
    assert_eq!(
        short.exception(&order),
        Some(Exception::Shortage { line: 1, lines: 1 })
    );
    assert_eq!(held(&short), []);
}

#[test]
fn what_a_warehouse_has_of_a_kit_that_it_cannot_give_whole_is_given_back() {
    let mut world = world(&[("A", "W1", 10), ("A", "W2", 10), ("B", "W2", 5)]);
    // What is published of B in W1 is not so any more.
    let stale = StockLevel {
        sku: sku("B"),
        warehouse: WarehouseCode::new("W1").unwrap(),
        available: Quantity::new(5).unwrap(),
        on_hand: Quantity::new(5).unwrap(),
        reserved: Quantity::ZERO,
        detail: None,
        sequence: Sequence(u64::from(u32::MAX)),
    };
    publish_view(&world.reference, View::Stock(stale));
    let order = world.order("1", &[("KIT", 2)], &["W1", "W2"], Policy::ShipComplete);
    assert_eq!(
        (world.status(&order), held(&world)),
        (Status::Booked, is(&[("A W2", 4), ("B W2", 2)]))
    );
}

#[test]
fn a_kit_waits_for_the_component_that_is_lacking() {
    let mut world = world(&[("A", "W1", 20), ("B", "W1", 2)]);
    let order = world.order("1", &[("KIT", 5)], &["W1"], Policy::Partial);
    assert_eq!(
        (world.status(&order), world.lines(&order)),
        (Status::Booked, vec![[2, 0, 3, 0, 0]])
    );
    assert_eq!(
        components(&world, &order),
        [("A".to_owned(), [10, 0, 0, 0]), ("B".to_owned(), [2, 0, 3, 0])]
    );
    // Whole kits leave; what is there for the others stays.
    world.tell(&order, OrderCommand::ConfirmPick);
    world.tell(&order, ship(&[]));
    world.deliver();
    assert_eq!(
        (world.status(&order), world.lines(&order)),
        (Status::Backordered, vec![[0, 2, 3, 0, 0]])
    );
    assert_eq!(held(&world), is(&[("A W1", 6)]));
    world.receive("B", "W1", 1);
    world.deliver();
    assert_eq!(
        (world.status(&order), world.lines(&order)),
        (Status::Booked, vec![[1, 2, 2, 0, 0]])
    );
    world.receive("B", "W1", 2);
    world.deliver();
    world.tell(&order, ship(&[]));
    world.deliver();
    assert_eq!((world.status(&order), held(&world)), (Status::Shipped, vec![]));
    assert_eq!((world.available("A", "W1"), world.available("B", "W1")), (10, 0));
}

#[test]
fn f22_a_kit_that_is_made_of_something_else_by_now_leaves_nothing_behind() {
    let mut world = world(&[("A", "W1", 9), ("B", "W1", 3), ("C", "W1", 5)]);
    let order = world.order("1", &[("KIT", 3)], &["W1"], Policy::ShipComplete);
    world.item("KIT", kit(&[("C", 1)]));
    let later = world.order("2", &[("KIT", 2)], &["W1"], Policy::ShipComplete);
    assert_eq!(held(&world), is(&[("A W1", 6), ("B W1", 3), ("C W1", 2)]));
    for order in [&order, &later] {
        world.tell(order, cancel());
        world.settle();
        assert_eq!(world.status(order), Status::Cancelled);
    }
    assert_eq!(held(&world), []);
}

#[test]
fn a_kit_comes_back_whole_or_a_component_of_it_alone() {
    let mut world = world(&[("A", "W1", 6), ("B", "W1", 3)]);
    let order = world.order("1", &[("KIT", 3)], &["W1"], Policy::ShipComplete);
    world.tell(&order, ship(&[]));
    world.deliver();
    let refused = |world: &mut World, command| {
        let reply = world.tell(&order, command);
        let OrderReply::Refused(refusal) = reply else {
            panic!("{reply:?}")
        };
        refusal.to_string()
    };
    assert_eq!(
        refused(&mut world, back("R-0", 1, Some("C"))),
        "line 1 is no kit with C in it"
    );
    world.accept(&order, back("R-1", 1, None));
    world.accept(&order, back("R-2", 3, Some("A")));
    // The same paper again counts once.
    world.accept(&order, back("R-2", 3, Some("A")));
    assert_eq!(
        (world.available("A", "W1"), world.available("B", "W1")),
        (2 + 3, 1)
    );
    // One A of six is still out: no whole kit, and not two A.
    let left = "line 1: only 1 have left the house and are not settled yet";
    assert_eq!(refused(&mut world, back("R-3", 1, None)), left);
    assert_eq!(refused(&mut world, back("R-4", 2, Some("A"))), left);
    world.accept(&order, back("R-5", 1, Some("A")));
    let summary = world.orders[&order].placed().unwrap().summary();
    assert_eq!(summary.lines[0].restocked.units(), 1);
    assert_eq!(
        components(&world, &order),
        [("A".to_owned(), [0, 6, 0, 6]), ("B".to_owned(), [0, 3, 0, 1])]
    );
}

#[test]
fn what_makes_no_kit_is_refused() {
    let many: Vec<String> = (0..17).map(|place| format!("C{place}")).collect();
    let many: Vec<(&str, i64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    for components in [&[("A", 1), ("A", 2)][..], &[("KIT", 1)], &[("A", 100_001)], &many] {
        let mut world = World::new(Fate::kind());
        let command = ItemCommand::Set {
            item: Box::new(kit(components)),
            version: 1,
        };
        let reply = world.take((sku("KIT"), command).into());
        let Reply::Item(crate::pricing::catalogue::ItemReply::Refused(refusal)) = reply else {
            panic!("{reply:?}")
        };
        assert!(
            refusal.to_string().starts_with("a kit has at most 16 components"),
            "{refusal}"
        );
    }
}

#[test]
fn a_kit_leaves_with_the_lots_of_its_components() {
    use crate::inventory::lots::{LotRefusal, LotUnits};
    use crate::pricing::catalogue::Tracking;
    let lots = |lots: &[(&str, i64)]| -> Vec<LotUnits> {
        let lot = |&(name, units): &(&str, i64)| LotUnits {
            lot: LotCode::new(name).unwrap(),
            quantity: quantity(units),
            expires: None,
        };
        lots.iter().map(lot).collect()
    };
    let mut world = world(&[("B", "W1", 3)]);
    world.item(
        "A",
        Item {
            tracking: Tracking::Serials,
            ..Item::default()
        },
    );
    let named = lots(&[("S-1", 1), ("S-2", 1), ("S-3", 1), ("S-4", 1)]);
    let receive = StockCommand::InLots {
        lots: named.into(),
        kept: Tracking::None,
        change: Box::new(StockCommand::Receive {
            quantity: quantity(4),
            document: DocumentId::new("GR").unwrap(),
        }),
    };
    world.take((stock_id("A", "W1"), receive).into());
    let order = world.order("1", &[("KIT", 2)], &["W1"], Policy::ShipComplete);
    let ship = |of_line: &[(&str, i64)], of_a: Option<&[(&str, i64)]>, component: &str| OrderCommand::Ship {
        carriage: Carriage::default(),
        document: None,
        lines: vec![ShipLine {
            line: 1,
            total: quantity(1),
            lots: lots(of_line),
            components: of_a
                .into_iter()
                .map(|of_a| ComponentLots {
                    sku: sku(component),
                    lots: lots(of_a),
                })
                .collect(),
        }],
    };
    let refused = |refusal| OrderReply::Refused(OrderRefusal::Lots { line: 1, refusal });
    // One kit takes two pieces of A, which have to be named.
    assert_eq!(
        world.tell(&order, ship(&[], None, "A")),
        refused(LotRefusal::Missing)
    );
    assert_eq!(
        world.tell(&order, ship(&[("S-1", 1)], None, "A")),
        refused(LotRefusal::OfKit)
    );
    let one = ship(&[], Some(&[("S-3", 1)]), "A");
    let sum = LotRefusal::Sum {
        named: Quantity::new(1).unwrap(),
        goods: Quantity::new(2).unwrap(),
    };
    assert_eq!(world.tell(&order, one), refused(sum));
    let unknown = OrderRefusal::UnknownComponent {
        line: 1,
        sku: sku("C"),
    };
    assert_eq!(
        world.tell(&order, ship(&[], Some(&[("S-3", 2)]), "C")),
        OrderReply::Refused(unknown)
    );
    world.accept(&order, ship(&[], Some(&[("S-3", 1), ("S-1", 1)]), "A"));
    assert_eq!(world.lines(&order), [[1, 1, 0, 0, 0]]);
    let line = world.orders[&order].placed().unwrap().summary().lines.remove(0);
    let left: Vec<String> = line.components[0]
        .lots
        .iter()
        .map(|lot| lot.lot.to_string())
        .collect();
    assert_eq!(
        (left, line.lots.len()),
        (vec!["S-3".to_owned(), "S-1".to_owned()], 0)
    );
}
