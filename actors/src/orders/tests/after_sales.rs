//! Substitutes, returns and credits.

use super::checks::{discounted_and_taxed, quote_of, with_freight};
use super::*;
use crate::money::Percent;
use crate::orders::after_sales::Disposition;
use crate::orders::command::{CreditShare, FreightShare};
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

pub(super) fn credit(document: &str, line: u16, units: i64) -> OrderCommand {
    credit_part(document, line, units, CreditShare::Whole)
}

fn credit_part(document: &str, line: u16, units: i64, share: CreditShare) -> OrderCommand {
    OrderCommand::Credit(CreditWish {
        document: paper(document),
        lines: vec![CreditLine {
            line,
            quantity: quantity(units),
            share,
        }],
        freight: None,
    })
}

fn credit_freight(document: &str, share: FreightShare) -> OrderCommand {
    OrderCommand::Credit(CreditWish {
        document: paper(document),
        lines: Vec::new(),
        freight: Some(share),
    })
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
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

/// Three at 10.00, less 5 %, 5.00 freight, 8.25 % tax on both: 28.50 + 5.00 + 2.76.
#[test]
fn a_credit_gives_back_less_where_it_says_so_and_of_the_freight_what_was_charged() {
    let mut world = World::new(Fate::kind());
    with_freight(&mut world, TaxLevel::Line, "5.00");
    let mut world = world.stock("A", "W1", 3);
    world.set_price("A", "10.00");
    let order = world.order("1", &[("A", 3)], &["W1"], Policy::ShipComplete);
    assert_eq!(quote_of(&world, &order).total.amount, amount("36.26"));
    let most = |most: &str| OrderReply::Refused(OrderRefusal::FreightAmount { most: amount(most) });
    let early = world.tell(&order, credit_freight("CR-0", FreightShare::Rest));
    assert_eq!(early, most("0"), "nothing is charged before anything has left");
    world.accept(&order, ship(&[]));
    let fee = Percent::new(amount("15")).unwrap();
    let less = credit_part("CR-1", 1, 1, CreditShare::LessFee(fee));
    let stated = |document: &str, text: &str| credit_part(document, 1, 1, CreditShare::Amount(amount(text)));
    world.accept(&order, less.clone());
    world.accept(&order, less);
    for (text, why) in [
        ("9.51", "more than is due"),
        ("-1", "less than nothing"),
        ("4.005", "half a cent"),
    ] {
        let refusal = OrderRefusal::CreditAmount {
            line: 1,
            most: amount("9.50"),
        };
        assert_eq!(
            world.tell(&order, stated("CR-2", text)),
            OrderReply::Refused(refusal),
            "{why}"
        );
    }
    world.accept(&order, stated("CR-2", "4.00"));
    let document = paper("CR-2");
    assert_eq!(
        world.tell(&order, stated("CR-2", "4.01")),
        OrderReply::Refused(OrderRefusal::DocumentConflict { document })
    );
    world.accept(
        &order,
        credit_freight("CR-3", FreightShare::Amount(amount("2.00"))),
    );
    assert_eq!(
        world.tell(
            &order,
            credit_freight("CR-4", FreightShare::Amount(amount("3.01")))
        ),
        most("3.00")
    );
    world.accept(&order, credit_freight("CR-4", FreightShare::Rest));
    world.accept(&order, credit_freight("CR-4", FreightShare::Rest));
    assert_eq!(
        world.tell(&order, credit_freight("CR-5", FreightShare::Rest)),
        most("0.00")
    );
    world.accept(&order, credit("CR-6", 1, 1));
    assert_eq!(
        world.credits(&order),
        [
            ["8.08", "0.66", "8.74"],
            ["4.00", "0.33", "4.33"],
            ["9.50", "0.78", "10.28"]
        ]
    );
    let freight = &world.orders[&order].placed().unwrap().freight_credited;
    let sums = freight.iter().map(|known| [known.amount, known.tax, known.total]);
    let sums: Vec<_> = sums.map(|sums| sums.map(|sum| sum.to_string())).collect();
    assert_eq!(sums, [["2.00", "0.16", "2.16"], ["3.00", "0.25", "3.25"]]);
    // The ERP is to have each once; a credit of freight alone has a charge and no line.
    assert_eq!(world.papers.values().copied().collect::<Vec<_>>(), [1; 5]);
    let nothing = OrderCommand::Credit(CreditWish {
        document: paper("CR-7"),
        lines: Vec::new(),
        freight: None,
    });
    assert_eq!(
        world.tell(&order, nothing),
        OrderReply::Refused(OrderRefusal::Lines { lines: 0 })
    );
}

#[test]
fn the_erp_is_asked_to_give_the_freight_back_as_the_charge_that_it_booked() {
    let mut world = World::new(Fate::kind());
    with_freight(&mut world, TaxLevel::Order, "5.00");
    let mut world = world.stock("A", "W1", 3);
    world.set_price("A", "10.00");
    let order = world.order("1", &[("A", 3)], &["W1"], Policy::ShipComplete);
    world.accept(&order, ship(&[]));
    world.accept(&order, credit_freight("CR-1", FreightShare::Rest));
    let booked = &world.last_booking.as_ref().unwrap().charges;
    let asked = world.last_paper.as_ref().unwrap();
    let charge = &asked.charges[0];
    assert_eq!(
        (asked.lines.len(), asked.charges.len(), asked.total.amount),
        (0, 1, charge.total)
    );
    assert_eq!(booked[usize::from(charge.place)].kind, charge.kind);
    assert_eq!(
        [charge.amount, charge.tax, charge.total],
        ["5.00", "0.41", "5.41"].map(amount)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn credits_never_come_to_more_than_the_invoice(
        lines in proptest::collection::vec((1_i64..40, 1_i64..100_000), 1..4),
        left in proptest::collection::vec(0_i64..40, 3),
        parts in proptest::collection::vec((0_u16..5, 1_i64..15, 0_u8..4, 0_i64..20_000), 0..40),
        by_order in any::<bool>(),
        freight in 0_i64..2_000,
    ) {
        const NAMES: [&str; 3] = ["A", "B", "C"];
        let mut world = World::new(Fate::kind());
        let level = if by_order { TaxLevel::Order } else { TaxLevel::Line };
        with_freight(&mut world, level, &Decimal::new(freight, 2).to_string());
        let mut wanted = Vec::new();
        for (name, (units, price)) in NAMES.iter().zip(&lines) {
            world = world.stock(name, "W1", *units);
            world.set_price(name, &Decimal::new(*price, 4).to_string());
            wanted.push((*name, *units));
        }
        let order = world.order("1", &wanted, &["W1"], Policy::ShipComplete);
        let shipped: Vec<(u16, i64)> = (1..)
            .zip(lines.iter().zip(&left))
            .map(|(line, ((units, _), left))| (line, *units.min(left)))
            .filter(|(_, units)| *units > 0)
            .collect();
        if !shipped.is_empty() {
            world.accept(&order, ship(&shipped));
        }
        for (number, (line, units, kind, cents)) in parts.into_iter().enumerate() {
            let document = format!("CR-{number}");
            let amount = Decimal::new(cents, 2);
            let share = match kind {
                0 => CreditShare::Whole,
                1 => CreditShare::LessFee(Percent::new(Decimal::from(cents % 101)).unwrap()),
                _ => CreditShare::Amount(amount),
            };
            world.tell(&order, match (line, kind) {
                (0..=2, _) => credit_part(&document, line + 1, units, share),
                (_, 0) => credit_freight(&document, FreightShare::Rest),
                (_, _) => credit_freight(&document, FreightShare::Amount(amount)),
            });
            world.deliver();
        }
        let quote = quote_of(&world, &order);
        let shipped: Vec<(u16, Quantity)> = shipped.iter().map(|(line, units)| (*line, Quantity::new(*units).unwrap())).collect();
        let invoice = Invoice::of(&quote, &shipped).unwrap();
        let placed = world.orders[&order].placed().unwrap();
        let goods = placed.credited.iter().map(|one| [one.amount, one.tax, one.total]);
        let freight = placed.freight_credited.iter().map(|one| [one.amount, one.tax, one.total]);
        let all: Vec<_> = goods.chain(freight).collect();
        prop_assert!(all.iter().flatten().all(|sum| *sum >= Decimal::ZERO), "{all:?}");
        let credited: Decimal = all.iter().map(|[_, _, total]| *total).sum();
        let invoiced = if shipped.is_empty() { Decimal::ZERO } else { invoice.total.amount };
        prop_assert!(credited <= invoiced, "{credited} of {invoiced}");
        let freight: Decimal = placed.freight_credited.iter().map(|one| one.amount).sum();
        prop_assert!(freight <= invoice.freight);
        for line in &quote.lines {
            prop_assert!(placed.credited(line.line) <= placed.shipped(line.line));
        }
    }
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
    let mut shipped_in = |named: Vec<LotUnits>| {
        lines[0].lots = named;
        OrderCommand::Ship {
            document: document.clone(),
            lines: lines.clone(),
            carriage: carriage.clone(),
        }
    };
    let two_of = |number: &str| LotUnits {
        quantity: quantity(2),
        ..lots(&[number]).remove(0)
    };
    // What the stock would refuse of any goods, the order refuses at once.
    for (named, why) in [
        (
            vec![two_of("S-1")],
            "line 1: lots: S-1 is a serial number, which is one unit and there once",
        ),
        (lots(&["S-1", "S-1"]), "line 1: lots: S-1 stands there twice"),
        (lots(&["S-1"]), "line 1: lots: they add up to 1, the goods to 2"),
    ] {
        let command = shipped_in(named);
        assert_eq!(refused(&world.tell(&order, command)).as_deref(), Some(why));
        assert_eq!(world.status(&order), Status::Booked);
    }
    let command = shipped_in(lots(&["S-1", "S-2"]));
    world.accept(&order, command);
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
    let mut both = returned("RT-1", 1, &["S-1"]);
    if let OrderCommand::Return(wish) = &mut both {
        wish.lines[0].quantity = quantity(2);
        wish.lines[0].lots = vec![two_of("S-1")];
    }
    assert_eq!(
        refusal(&mut world, both),
        "line 1: lots: S-1 is a serial number, which is one unit and there once"
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
