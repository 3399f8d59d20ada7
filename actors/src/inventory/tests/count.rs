//! Counts and what they already include.

use super::*;

fn erp_count(on_hand: i64, orders_through: &[(&str, &str)]) -> StockCommand {
    let order = |(channel, number): &(&str, &str)| OrderKey::new(channel, number).unwrap();
    StockCommand::Count(StockCount {
        on_hand: units(on_hand),
        source: system("erp"),
        version: 1,
        through: None,
        orders_through: orders_through.iter().map(order).collect(),
    })
}

#[test]
fn s33_a_count_that_has_orders_taken_off_deducts_none_twice_and_forgets_none() {
    let cases: &[(&[(&str, &str)], i64)] = &[
        // O-54 is taken off, O-56 is not: 80 + 5 - 12.
        (&[("web", "O-55")], 73),
        // No order is taken off: 80 - 12.
        (&[], 68),
        // Both are: 80.
        (&[("web", "O-56")], 80),
        // As numbers, 100 is after 56; as texts it would be before.
        (&[("web", "O-100")], 80),
        (&[("web", "O-9")], 68),
        // Another channel's numbers say nothing of these.
        (&[("edi", "O-99")], 68),
        (&[("edi", "O-99"), ("web", "O-55")], 73),
    ];
    for (through, available) in cases {
        let mut stock = Stock::with(100);
        stock.run(&hold("O-54", 5));
        stock.run(&hold("O-56", 7));
        stock.run(&erp_count(80, through));
        assert_eq!(stock.available(), *available, "{through:?}");
        assert_eq!(stock.state.reserved.units(), 12);
        // What is shipped later leaves once.
        stock.run(&ship("O-54", 5));
        assert_eq!(stock.available(), *available, "{through:?}");
    }
}

#[test]
fn s33_a_part_shipped_order_counts_with_what_it_still_holds() {
    let mut stock = Stock::with(100);
    stock.run(&hold("O-54", 5));
    stock.run(&ship("O-54", 2));
    stock.run(&erp_count(80, &[("web", "O-55")]));
    assert_eq!((stock.state.on_hand.units(), stock.available()), (83, 80));
}

#[test]
fn s37_a_shortfall_is_published_beside_an_availability_of_zero() {
    let mut stock = Stock::with(10);
    stock.run(&hold("O", 8));
    assert!(stock.state.detail().is_none());
    stock.run(&erp_count(5, &[]));
    let detail = stock.state.detail().unwrap();
    assert_eq!((stock.available(), detail.shortfall.units()), (0, 3));
    stock.run(&release("O"));
    assert!(stock.state.detail().is_none());
}
