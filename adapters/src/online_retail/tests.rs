use super::line::{Excluded, no_goods, unsaleable};
use super::prices::list_prices;
use super::*;
use lockstep_actors::ids::{CustomerId, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::pricing::term::Effect;
use lockstep_actors::quantity::PositiveQuantity;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn plan(lines: &[&str]) -> Plan {
    Plan::of(format!("{HEADER}{}\n", lines.join("\n")).as_bytes()).unwrap()
}

fn price(text: &str) -> Price {
    Price::new(text.parse().unwrap()).unwrap()
}

#[test]
fn codes_that_are_no_article_are_known_by_what_they_are() {
    let cases = [
        ("85123A", None),
        ("DCGS0076", None),
        ("PADS", None),
        ("POST", Some(Excluded::Carriage)),
        ("DOT", Some(Excluded::Carriage)),
        ("C2", Some(Excluded::Carriage)),
        ("D", Some(Excluded::Discount)),
        ("M", Some(Excluded::Manual)),
        ("BANK CHARGES", Some(Excluded::Fee)),
        ("AMAZONFEE", Some(Excluded::Fee)),
        ("S", Some(Excluded::Sample)),
        ("B", Some(Excluded::Adjustment)),
        ("GIFT_0001_20", Some(Excluded::Voucher)),
        ("TEST001", Some(Excluded::Adjustment)),
        ("WHATEVER", Some(Excluded::UnknownCode)),
    ];
    for (code, expected) in cases {
        assert_eq!(no_goods(code), expected, "{code}");
    }
}

#[test]
fn goods_that_cannot_be_sold_as_the_line_says_are_told_apart() {
    let cases = [
        ("536365", 6, "2.55", None),
        ("C536365", -6, "2.55", None),
        ("536365", 0, "2.55", Some(Excluded::ZeroQuantity)),
        ("536365", 6, "0", Some(Excluded::ZeroPrice)),
        ("536365", -6, "0.00", Some(Excluded::StockNote)),
        ("536365", 6, "-1", Some(Excluded::NegativePrice)),
        ("536365", -6, "2.55", Some(Excluded::NegativeOnSale)),
        ("C536365", 6, "2.55", Some(Excluded::PositiveOnCancellation)),
        ("536365", 10_000_001, "2.55", Some(Excluded::TooLarge)),
        ("C536365", i64::MIN, "2.55", Some(Excluded::TooLarge)),
    ];
    for (invoice, units, amount, expected) in cases {
        let amount: Decimal = amount.parse().unwrap();
        assert_eq!(
            unsaleable(invoice, units, amount),
            expected,
            "{invoice} {units} {amount}"
        );
    }
}

#[test]
fn every_line_is_counted_and_an_unreadable_one_is_named() {
    let plan = plan(&[
        "1,10001,X,2,12/1/10 8:26,1.5,C1,UK",
        "1,10001,X,2,12/1/10 8:26,1.5,,UK",
        "1,POST,X,1,12/1/10 8:26,18,C1,UK",
        "2,10001,X,many,12/1/10 8:26,1.5,C1,UK",
        "2,10001,X,1,yesterday,1.5,C1,UK",
        "2,10001,X,1,12/1/10 8:26,1.5.5,C1,UK",
        ",10001,X,1,12/1/10 8:26,1.5,C1,UK",
        "2,10001",
    ]);
    let expected = BTreeMap::from([("carriage", 1), ("unreadable", 5)]);
    assert_eq!((plan.lines.read, plan.lines.goods, plan.lines.walk_in), (8, 2, 1));
    assert_eq!(plan.lines.excluded, expected);
    assert!(
        plan.lines.complaints[0].contains("line 5: Quantity \"many\""),
        "{:?}",
        plan.lines.complaints
    );
    assert!(
        plan.lines.complaints[1].contains("InvoiceDate"),
        "{:?}",
        plan.lines.complaints
    );
}

#[test]
fn a_file_of_another_kind_is_refused_with_what_is_missing() {
    let missing = Plan::of(b"order,sku\n1,2\n").unwrap_err().to_string();
    assert!(missing.contains("InvoiceNo"), "{missing}");
    let empty = Plan::of(HEADER.as_bytes()).unwrap_err().to_string();
    assert!(empty.contains("no sale"), "{empty}");
}

#[test]
fn a_lower_price_beyond_all_that_paid_more_is_a_break() {
    let paid = |lines: &[(i64, &str)]| {
        let lines = lines.iter();
        lines
            .map(|(units, unit)| (PositiveQuantity::new(*units).unwrap(), price(unit)))
            .collect::<Vec<_>>()
    };
    let row = |lines: &[(i64, &str)]| {
        let prices = list_prices(&paid(lines)).unwrap();
        let at = |units| prices.at(PositiveQuantity::new(units).unwrap());
        [1, 31, 32, 100].map(|units| at(units).amount().to_string())
    };
    // A break on two lines beyond all that paid more.
    let lines = [(6, "2.95"), (12, "2.95"), (2, "2.95"), (32, "2.55"), (64, "2.55")];
    assert_eq!(row(&lines), ["2.95", "2.95", "2.55", "2.55"]);
    // One line makes no break, and neither does one that others passed at the higher price.
    assert_eq!(row(&[(6, "2.95"), (6, "2.95"), (32, "2.55")]), ["2.95"; 4]);
    assert_eq!(
        row(&[
            (6, "2.95"),
            (200, "2.95"),
            (6, "2.95"),
            (32, "2.55"),
            (64, "2.55")
        ]),
        ["2.95"; 4]
    );
    // The most frequent price is the base; of two alike the higher.
    assert_eq!(row(&[(1, "3"), (1, "2")]), ["3"; 4]);
}

#[test]
fn a_customer_who_paid_otherwise_has_a_contract_price() {
    let plan = plan(&[
        "1,10001,X,6,12/1/10 8:26,2.95,LIST,UK",
        "2,10001,X,6,12/1/10 8:27,2.95,LIST,UK",
        "3,10001,X,6,12/1/10 8:28,2.50,OWN,UK",
        "4,10001,X,90,12/1/10 8:29,2.10,OWN,UK",
        "5,10001,X,1,12/1/10 8:30,5.95,,UK",
    ]);
    let contracts: BTreeMap<_, _> = plan.contracts.iter().map(|(id, c)| (id.as_str(), c)).collect();
    assert_eq!(
        contracts.keys().copied().collect::<Vec<_>>(),
        ["LIST", "OWN", WALK_IN]
    );
    assert!(contracts["LIST"].terms.as_slice().is_empty());
    assert_eq!(
        contracts[WALK_IN].base_list.as_ref().unwrap().as_str(),
        RETAIL_LIST
    );
    let Effect::Fixed(scale) = &contracts["OWN"].terms.as_slice()[0].effect else {
        panic!("a fixed price");
    };
    let at = &scale.breaks[0];
    assert_eq!(
        (scale.base, at.from.units(), at.value),
        (price("2.50"), 90, price("2.10"))
    );
    let rows: Vec<_> = plan
        .list_prices
        .iter()
        .map(|(_, row)| (row.list.as_str(), row.price.base))
        .collect();
    assert_eq!(rows, [(RETAIL_LIST, price("5.95")), ("standard", price("2.95"))]);
}

fn parts(cancellation: &Cancellation) -> Vec<(i64, Option<&str>)> {
    let parts = cancellation.parts.iter();
    parts
        .map(|part| {
            (
                part.quantity.units(),
                part.order.as_ref().map(lockstep_actors::ids::OrderKey::number),
            )
        })
        .collect()
}

#[test]
fn what_comes_back_belongs_to_the_newest_sales_that_still_have_it() {
    let plan = plan(&[
        "1,10001,X,6,12/1/10 8:26,1,C1,UK",
        "2,10001,X,4,12/1/10 8:27,1,C1,UK",
        "2,10002,X,1,12/1/10 8:27,1,C1,UK",
        "3,10001,X,50,12/1/10 8:28,1,OTHER,UK",
        "C4,10001,X,-7,12/1/10 8:29,1,C1,UK",
        "C5,10001,X,-7,12/1/10 8:30,1,C1,UK",
    ]);
    let cancellations: Vec<_> = plan.cancellations().map(parts).collect();
    assert_eq!(cancellations[0], [(4, Some("2")), (3, Some("1"))]);
    assert_eq!(cancellations[1], [(3, Some("1")), (4, None)]);
}

#[test]
fn an_order_that_is_taken_back_as_a_whole_is_kept_for_that() {
    let plan = plan(&[
        "1,10001,X,6,12/1/10 8:26,1,C1,UK",
        "2,10001,X,4,12/1/10 8:27,1,C1,UK",
        "2,10001,X,2,12/1/10 8:27,1,C1,UK",
        "2,10002,X,1,12/1/10 8:27,1,C1,UK",
        "C3,10001,X,-1,12/1/10 8:28,1,C1,UK",
        "C4,10001,X,-6,12/1/10 8:29,1,C1,UK",
        "C4,10002,X,-1,12/1/10 8:29,1,C1,UK",
    ]);
    let cancellations: Vec<_> = plan.cancellations().collect();
    assert_eq!(parts(cancellations[0]), [(1, Some("1"))]);
    assert_eq!(cancellations[1].whole.as_ref().unwrap().number(), "2");
    assert_eq!(parts(cancellations[1]), [(6, Some("2")), (1, Some("2"))]);
}

#[test]
fn opening_and_receipts_cover_what_is_sold_and_late_articles_come_a_day_later() {
    let late = (10_000..)
        .map(|n| Sku::new(&n.to_string()).unwrap())
        .find(stock::is_late)
        .unwrap();
    let prompt = "10001";
    assert!(!stock::is_late(&Sku::new(prompt).unwrap()));
    let lines: Vec<String> = (1..=5)
        .flat_map(|day| {
            [prompt, late.as_str()].map(|sku| format!("{day}{sku},{sku},X,10,12/{day}/10 8:26,1,C1,UK"))
        })
        .collect();
    let plan = plan(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let opening: Vec<_> = plan
        .opening
        .iter()
        .map(|opening| (opening.stock.warehouse.as_str(), opening.on_hand.units()))
        .collect();
    assert_eq!(
        opening,
        [("MAIN", 23), ("RESERVE", 7), ("MAIN", 23), ("RESERVE", 7)]
    );
    let receipts: Vec<Vec<&str>> = plan
        .days
        .iter()
        .map(|day| {
            day.receipts
                .iter()
                .map(|receipt| receipt.stock.sku.as_str())
                .collect()
        })
        .collect();
    assert_eq!(
        receipts,
        [vec![], vec![], vec![], vec![prompt], vec![late.as_str(), prompt]]
    );
}

#[test]
fn a_long_invoice_becomes_several_orders() {
    let lines: Vec<String> = (0..501)
        .map(|n| format!("1,{},X,1,12/1/10 8:26,1,,UK", 10_000 + n))
        .collect();
    let plan = plan(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let sales: Vec<_> = plan
        .sales()
        .map(|sale| (sale.order.as_str(), sale.lines.len(), sale.lines[0].line))
        .collect();
    assert_eq!(sales, [("online-retail/1", 500, 1), ("online-retail/1.2", 1, 1)]);
    assert_eq!(
        plan.sales().next().unwrap().customer,
        CustomerId::new(WALK_IN).unwrap()
    );
}

#[test]
fn the_real_file_is_read_to_the_last_line() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/online_retail_2010-12.csv"
    );
    let plan = Plan::of(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (plan.lines.read, plan.lines.goods, plan.lines.walk_in),
        (28_492, 28_197, 9_779)
    );
    let excluded = BTreeMap::from([
        ("carriage", 70),
        ("discount", 4),
        ("fee", 9),
        ("manual", 25),
        ("sample", 2),
        ("stock-note", 67),
        ("zero-price", 118),
    ]);
    assert_eq!(plan.lines.excluded, excluded);
    assert_eq!(plan.lines.goods + excluded.values().sum::<u64>(), plan.lines.read);
    assert_eq!(
        (
            plan.sales().count(),
            plan.cancellations().count(),
            plan.days.len()
        ),
        (1_001, 141, 11)
    );
    let wholes: Vec<_> = plan
        .cancellations()
        .filter_map(|cancellation| {
            Some((
                cancellation.invoice.as_str(),
                cancellation.whole.as_ref()?.number(),
            ))
        })
        .collect();
    let expected = [
        ("C537406", "537217"),
        ("C537413", "537410"),
        ("C538341", "538313"),
        ("C538536", "538534"),
    ];
    assert_eq!(wholes, expected);
}
