//! Substitutes, returns and credits.

use super::checks::{discounted_and_taxed, quote_of};
use super::*;
use crate::orders::after_sales::Disposition;
use crate::orders::invoice::Invoice;
use crate::pricing::tax::TaxLevel;
use rust_decimal::Decimal;

fn paper(number: &str) -> DocumentId {
    DocumentId::new(number).unwrap()
}

fn back(document: &str, units: i64, disposition: Disposition) -> OrderCommand {
    OrderCommand::Return(GoodsReturn {
        document: paper(document),
        lines: vec![ReturnLine {
            line: 1,
            quantity: quantity(units),
            disposition,
            warehouse: None,
            component: None,
            lots: Vec::new(),
        }],
    })
}

fn credit(document: &str, line: u16, units: i64) -> OrderCommand {
    OrderCommand::Credit(CreditWish {
        document: paper(document),
        lines: vec![CreditLine {
            line,
            quantity: quantity(units),
        }],
    })
}

impl World {
    pub(super) fn accept(&mut self, order: &OrderKey, command: OrderCommand) {
        let reply = self.tell(order, command);
        assert!(matches!(reply, OrderReply::Accepted { .. }), "{reply:?}");
        self.deliver();
    }

    /// What was credited: amount, tax, total.
    fn credits(&self, order: &OrderKey) -> Vec<[String; 3]> {
        let credits = self.orders[order].placed().unwrap().credited.iter();
        let sums = credits.map(|credited| [credited.amount, credited.tax, credited.total]);
        sums.map(|sums| sums.map(|sum| sum.to_string())).collect()
    }
}

#[test]
fn what_has_left_comes_back_to_be_sold_again_or_thrown_away() {
    use Disposition::{Restock, Scrap};
    let mut world = World::new(Fate::kind()).stock("A", "W1", 12);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    let more_than = |units: i64| {
        OrderReply::Refused(OrderRefusal::MoreThanShipped {
            line: 1,
            left: Quantity::new(units).unwrap(),
        })
    };
    assert_eq!(world.tell(&order, back("RT-0", 1, Restock)), more_than(0));
    world.accept(&order, ship(&[]));
    world.accept(&order, OrderCommand::Close);
    assert_eq!(world.available("A", "W1"), 2);
    world.accept(&order, back("RT-1", 3, Restock));
    world.accept(&order, back("RT-2", 2, Scrap));
    // The same paper again is nothing new.
    world.accept(&order, back("RT-1", 3, Restock));
    assert_eq!(world.available("A", "W1"), 5);
    let line = world.orders[&order].placed().unwrap().summary().lines.remove(0);
    let units = [line.shipped, line.restocked, line.scrapped].map(Quantity::units);
    assert_eq!(units, [10, 3, 2]);
    let document = paper("RT-1");
    assert_eq!(
        world.tell(&order, back("RT-1", 4, Restock)),
        OrderReply::Refused(OrderRefusal::DocumentConflict { document })
    );
    assert_eq!(world.tell(&order, back("RT-3", 6, Scrap)), more_than(5));
}

#[test]
fn a_line_credited_in_parts_is_credited_to_the_last_cent() {
    let mut world = World::new(Fate::kind());
    discounted_and_taxed(&mut world, TaxLevel::Line);
    let mut world = world.stock("A", "W1", 3);
    // Three for 10.00, less 5 %, and 8.25 % tax: 9.50 + 0.78.
    world.set_price("A", "3.3333");
    let order = world.order("1", &[("A", 3)], &["W1"], Policy::ShipComplete);
    world.accept(&order, ship(&[]));
    for number in ["CR-1", "CR-2", "CR-3", "CR-2"] {
        world.accept(&order, credit(number, 1, 1));
    }
    assert_eq!(
        world.credits(&order),
        [
            ["3.17", "0.26", "3.43"],
            ["3.16", "0.26", "3.42"],
            ["3.17", "0.26", "3.43"]
        ]
    );
    let quote = quote_of(&world, &order);
    assert_eq!(quote.total.amount.to_string(), "10.28");
    // Had only two of them left, what is invoiced is what is credited for two.
    let invoiced = |units: i64| {
        let invoice = Invoice::of(&quote, &[(1, Quantity::new(units).unwrap())]).unwrap();
        let sums = [
            invoice.lines[0].amount,
            invoice.discount,
            invoice.tax,
            invoice.total.amount,
        ];
        sums.map(|sum| sum.to_string())
    };
    assert_eq!(invoiced(2), ["6.67", "0.34", "0.52", "6.85"]);
    assert_eq!(invoiced(3), ["10.00", "0.50", "0.78", "10.28"]);
    let left = Quantity::ZERO;
    assert_eq!(
        world.tell(&order, credit("CR-4", 1, 1)),
        OrderReply::Refused(OrderRefusal::MoreThanShipped { line: 1, left })
    );
}

#[test]
fn a_part_that_is_not_there_is_taken_in_other_goods() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6).stock("B", "W1", 9);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    let mut lines = request(&[("A", 6), ("B", 4)], &["W1"], Policy::ShipComplete).lines;
    let correction = |lines: &[OrderLine]| {
        OrderCommand::Correct(Box::new(Correction {
            reason: Reason::new("the customer takes B").unwrap(),
            lines: Some(lines.to_vec()),
            warehouses: None,
            policy: None,
            priority: None,
            delivery: None,
            ship_to_region: None,
        }))
    };
    lines[1].substitutes = Some(2);
    assert_eq!(
        world.tell(&order, correction(&lines)),
        OrderReply::Refused(OrderRefusal::Substitute { line: 2 })
    );
    lines[1].substitutes = Some(1);
    world.accept(&order, correction(&lines));
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[6, 0, 0, 0, 0], [4, 0, 0, 0, 0]]);
    let lines = world.orders[&order].placed().unwrap().summary().lines;
    let units = |line: &LineSummary| (line.ordered.units(), line.substituted.units(), line.substitutes);
    assert_eq!(units(&lines[0]), (10, 4, None));
    assert_eq!(units(&lines[1]), (4, 0, Some(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_credited_in_the_end_is_what_was_paid(
        lines in proptest::collection::vec((1_i64..40, 1_i64..100_000), 1..4),
        parts in proptest::collection::vec((0_u16..3, 1_i64..15), 0..40),
        by_order in any::<bool>(),
    ) {
        const NAMES: [&str; 3] = ["A", "B", "C"];
        let mut world = World::new(Fate::kind());
        discounted_and_taxed(&mut world, if by_order { TaxLevel::Order } else { TaxLevel::Line });
        let mut wanted = Vec::new();
        for (name, (units, price)) in NAMES.iter().zip(&lines) {
            world = world.stock(name, "W1", *units);
            world.set_price(name, &Decimal::new(*price, 4).to_string());
            wanted.push((*name, *units));
        }
        let order = world.order("1", &wanted, &["W1"], Policy::ShipComplete);
        world.accept(&order, ship(&[]));
        let mut left: Vec<i64> = lines.iter().map(|(units, _)| *units).collect();
        let rest = (0..lines.len()).map(|line| (u16::try_from(line).unwrap(), i64::MAX));
        for (number, (line, units)) in parts.into_iter().chain(rest).enumerate() {
            let Some(open) = left.get_mut(usize::from(line)).filter(|open| **open > 0) else { continue };
            let units = units.min(*open);
            *open -= units;
            world.accept(&order, credit(&format!("CR-{number}"), line + 1, units));
        }
        let quote = quote_of(&world, &order);
        let all: Vec<_> = quote.lines.iter().map(|line| (line.line, line.quantity.get())).collect();
        prop_assert_eq!(Invoice::of(&quote, &all).unwrap().total, quote.total);
        let credited = &world.orders[&order].placed().unwrap().credited;
        for line in &quote.lines {
            let of_line = credited.iter().filter(|one| one.line == line.line);
            prop_assert_eq!(of_line.map(|one| one.amount).sum::<Decimal>(), line.amount - line.order_discount);
        }
        let tax: Decimal = credited.iter().map(|one| one.tax).sum();
        prop_assert_eq!(tax, quote.taxes.iter().map(|tax| tax.amount).sum::<Decimal>());
        prop_assert_eq!(credited.iter().map(|one| one.total).sum::<Decimal>(), quote.total.amount);
        prop_assert!(credited.iter().all(|one| one.amount >= Decimal::ZERO && one.tax >= Decimal::ZERO));
    }
}

#[test]
fn a_line_that_is_taken_in_other_goods_as_a_whole_stays_in_sight() {
    let mut world = World::new(Fate::kind()).stock("B", "W1", 10);
    let order = world.order("1", &[("A", 4)], &["W1"], Policy::ShipComplete);
    let in_place_of = |line: u16, of: u16, units: i64| {
        let mut lines = request(&[("B", units)], &["W1"], Policy::ShipComplete).lines;
        lines[0].line = line;
        lines[0].substitutes = Some(of);
        OrderCommand::Correct(Box::new(Correction {
            lines: Some(lines),
            ..desk::correction()
        }))
    };
    // It names a line of the order.
    let reply = world.tell(&order, in_place_of(2, 5, 4));
    let OrderReply::Refused(refusal) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        refusal.to_string(),
        "line 2: substitutes: the order has no line 5"
    );
    world.tell(&order, in_place_of(2, 1, 4));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    let lines = world.orders[&order].placed().unwrap().summary().lines;
    let units = |line: &LineSummary| {
        let (ordered, substituted) = (line.ordered.units(), line.substituted.units());
        (
            line.line,
            line.sku.to_string(),
            ordered,
            substituted,
            line.substitutes,
        )
    };
    assert_eq!(
        lines.iter().map(units).collect::<Vec<_>>(),
        [
            (1, "A".to_owned(), 4, 4, None),
            (2, "B".to_owned(), 4, 0, Some(1))
        ]
    );
    // Of the first nothing is left to do.
    assert_eq!(world.lines(&order), [[0; 5], [4, 0, 0, 0, 0]]);
    // Of an order as it comes in no line is missing.
    let mut wish = request(&[("B", 1)], &["W1"], Policy::ShipComplete);
    wish.lines[0].substitutes = Some(2);
    let reply = world.tell(&key("2"), OrderCommand::Submit(Box::new(wish)));
    assert!(matches!(reply, OrderReply::Refused(_)), "{reply:?}");
}

#[test]
fn the_same_return_to_another_warehouse_is_another_content() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 3);
    let order = world.order("1", &[("A", 3)], &["W1"], Policy::ShipComplete);
    world.accept(&order, ship(&[]));
    let to = |document: &str, warehouse: Option<&str>| {
        let mut command = back(document, 1, Disposition::Restock);
        if let OrderCommand::Return(wish) = &mut command {
            wish.lines[0].warehouse = warehouse.map(|code| WarehouseCode::new(code).unwrap());
        }
        command
    };
    let conflict = |document: &str| {
        let document = paper(document);
        OrderReply::Refused(OrderRefusal::DocumentConflict { document })
    };
    world.accept(&order, to("RT-1", Some("W2")));
    world.accept(&order, to("RT-1", Some("W2")));
    assert_eq!(world.tell(&order, to("RT-1", Some("W1"))), conflict("RT-1"));
    // Where it was shipped from first is said by saying nothing.
    world.accept(&order, to("RT-2", None));
    world.accept(&order, to("RT-2", None));
    world.accept(&order, to("RT-2", Some("W1")));
    assert_eq!(world.tell(&order, to("RT-2", Some("W2"))), conflict("RT-2"));
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (1, 1));
}

#[test]
fn what_comes_back_lies_in_the_lots_that_the_paper_names() {
    use crate::inventory::lots::LotUnits;
    use crate::pricing::catalogue::Tracking;
    let lots = |numbers: &[&str]| -> Vec<LotUnits> {
        let lot = |number: &&str| LotUnits {
            lot: LotCode::new(number).unwrap(),
            quantity: quantity(1),
            expires: None,
        };
        numbers.iter().map(lot).collect()
    };
    let mut world = World::new(Fate::kind());
    for (name, tracking) in [("A", Tracking::Serials), ("B", Tracking::None)] {
        let item = Item {
            tracking,
            ..Item::default()
        };
        world.item(name, item);
    }
    let received = StockCommand::InLots {
        lots: lots(&["S-1", "S-2"]).into(),
        kept: Tracking::Serials,
        change: Box::new(StockCommand::Receive {
            quantity: quantity(2),
            document: paper("GR-1"),
        }),
    };
    world.take((stock_id("A", "W1"), received).into());
    let mut world = world.stock("B", "W1", 1);
    let order = world.order("1", &[("A", 2), ("B", 1)], &["W1"], Policy::ShipComplete);
    let OrderCommand::Ship {
        document,
        mut lines,
        carriage,
    } = ship(&[(1, 2), (2, 1)])
    else {
        panic!("no shipment")
    };
    lines[0].lots = lots(&["S-1", "S-2"]);
    world.accept(
        &order,
        OrderCommand::Ship {
            document,
            lines,
            carriage,
        },
    );
    assert_eq!(world.status(&order), Status::Shipped);
    let returned = |document: &str, line: u16, numbers: &[&str]| {
        let mut command = back(document, 1, Disposition::Restock);
        if let OrderCommand::Return(wish) = &mut command {
            wish.lines[0].line = line;
            wish.lines[0].lots = lots(numbers);
        }
        command
    };
    let refusal = |world: &mut World, command: OrderCommand| refused(&world.tell(&order, command)).unwrap();
    assert_eq!(
        refusal(&mut world, returned("RT-1", 1, &["S-1", "S-2"])),
        "line 1: lots: they add up to 2, the goods to 1"
    );
    assert_eq!(
        refusal(&mut world, returned("RT-1", 2, &["S-1"])),
        "line 2: lots: the catalogue keeps this SKU neither by lot nor by serial number"
    );
    // It was not of this order.
    assert_eq!(
        refusal(&mut world, returned("RT-1", 1, &["S-9"])),
        "line 1: lots: there are 0 of S-9, not 1"
    );
    world.accept(&order, returned("RT-1", 1, &["S-2"]));
    world.accept(&order, returned("RT-1", 1, &["S-2"]));
    let conflict = refusal(&mut world, returned("RT-1", 1, &["S-1"]));
    assert_eq!(
        conflict,
        "document RT-1 came with another content; use a new number"
    );
    let there = &world.stocks[&stock_id("A", "W1")];
    assert_eq!(there.available().units(), 1);
    let there: Vec<_> = there.lots().iter().map(|lot| lot.lot.to_string()).collect();
    assert_eq!(there, ["S-2"]);
    // It came back, and cannot come back again.
    assert_eq!(
        refusal(&mut world, returned("RT-2", 1, &["S-2"])),
        "line 1: lots: there are 0 of S-2, not 1"
    );
}
