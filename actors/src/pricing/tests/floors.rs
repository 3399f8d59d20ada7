//! What a floor holds: an order's discount, rounding, and what a promotion that it gives back takes from its budget.

use super::*;
use crate::ids::BudgetId;
use crate::pricing::PromotionBudget;
use crate::pricing::budget::{BudgetEvent, BudgetState, Limits};
use crate::pricing::charge::{Charge, ChargeKind, Part};

fn off_the_order(part: Part) -> Vec<Charge> {
    vec![Charge {
        rule: RuleId::new("five").unwrap(),
        version: 5,
        effective: Effective::default(),
        priority: 0,
        minimum: price("0"),
        kind: ChargeKind::Discount(part),
        coupon: None,
        budget: None,
    }]
}

fn floor(at: &str, breach: Breach) -> Term {
    bound("floor", Stage::Floor, Bound::Price(price(at)), breach)
}

/// Goods at 100.00 each in lines of so many; what each takes of the discount, what is withheld of it, and the total.
fn spread(terms: Vec<Term>, part: Part, quantities: &[i64]) -> (Vec<String>, Vec<(u16, String)>, String) {
    let mut case = Case::flat("100").terms(terms);
    case.contract.charges = off_the_order(part);
    let mut request = case.ask(1);
    let lines = quantities.iter().zip(1..).map(|(units, number)| QuoteLine {
        line: number,
        quantity: quantity(*units),
        ..request.lines[0].clone()
    });
    request.lines = lines.collect();
    let quote = case.answer(&request, 0).unwrap();
    let text = |amount: Decimal| amount.normalize().to_string();
    let parts = quote.lines.iter().map(|line| text(line.order_discount)).collect();
    let withheld = quote.order.iter().flat_map(|step| &step.withheld);
    let withheld = withheld
        .inspect(|held| assert_eq!((held.rule.as_str(), held.version), ("floor", 4)))
        .map(|held| (held.line, text(held.amount)))
        .collect();
    (parts, withheld, text(quote.total.amount))
}

#[test]
fn an_orders_discount_takes_no_line_below_its_floor() {
    let five = || Part::Percent(Percent::new(decimal("5")).unwrap());
    let at_97 = |breach| vec![floor("97", breach)];
    let owned = |parts: &[&str], withheld: &[(u16, &str)], total: &str| {
        (
            parts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            withheld
                .iter()
                .map(|(line, amount)| (*line, (*amount).to_owned()))
                .collect::<Vec<_>>(),
            total.to_owned(),
        )
    };
    // 5 % of 400.00 are 20.00: 5.00 and 15.00. A floor of 97.00 leaves room for 3.00 and 9.00.
    for breach in [Breach::Adjust, Breach::Hold] {
        assert_eq!(
            spread(at_97(breach), five(), &[1, 3]),
            owned(&["3", "9"], &[(1, "2"), (2, "6")], "388")
        );
    }
    // A floor that the discount does not reach withholds nothing.
    assert_eq!(
        spread(vec![floor("95", Breach::Adjust)], five(), &[1, 3]),
        owned(&["5", "15"], &[], "380")
    );
    // From 3 units on only: the line of one takes all of its part; what the other does not take goes to nobody.
    let of_three = floor("97", Breach::Adjust).with(|conditions| conditions.minimum = Some(quantity(3)));
    assert_eq!(
        spread(vec![of_three], five(), &[1, 3]),
        owned(&["5", "9"], &[(2, "6")], "386")
    );
    // A floor finer than a cent: 96.996 is not to be passed, 97.00 is the next that can be paid.
    assert_eq!(
        spread(vec![floor("96.996", Breach::Adjust)], five(), &[1]),
        owned(&["3"], &[(1, "2")], "97")
    );
    // A line below its floor already, held for approval: nothing more is taken off it.
    let below = vec![floor("110", Breach::Hold)];
    assert_eq!(
        spread(below, Part::Amount(price("7")), &[1]),
        owned(&["0"], &[(1, "7")], "100")
    );
    // What may not be shown may be sold: the advertised minimum holds no discount of an order.
    let shown = bound(
        "shown",
        Stage::Advertised,
        Bound::Price(price("99")),
        Breach::Adjust,
    );
    assert_eq!(spread(vec![shown], five(), &[1]), owned(&["5"], &[], "95"));
}

#[test]
fn rounding_takes_no_price_below_its_floor() {
    // (what is agreed, the floor, units) -> (rounded by line, rounded by unit), with a floor that moves the price.
    let cases = [
        // 10.004 would be rounded to 10.00, which is below 10.002.
        ("10.004", "10.002", 1, "10.01", "10.01"),
        // Three of them are 30.012: by line 30.01, above 30.006; by unit 10.00 is below.
        ("10.004", "10.002", 3, "30.01", "30.03"),
        // Rounded up anyhow.
        ("10.006", "10.002", 1, "10.01", "10.01"),
        // Screws: a floor of less than a cent is not a cent each, unless unit prices are rounded.
        ("0.004", "0.0049", 1000, "4.9", "10"),
        ("10", "10", 7, "70", "70"),
    ];
    for (agreed, at, units, by_line, by_unit) in cases {
        for (level, expected) in [(RoundingLevel::Line, by_line), (RoundingLevel::Unit, by_unit)] {
            let mut case = Case::flat("20").terms([
                fixed("agreed", Scope::Everything, agreed, &[]),
                floor(at, Breach::Adjust),
            ]);
            case.contract.rounding.level = level;
            let amount = case.amount(units);
            assert_eq!(
                amount,
                decimal(expected),
                "{units} x {agreed}, floor {at}, {level:?}"
            );
            assert!(amount >= decimal(at) * Decimal::from(units));
        }
    }
    // One that holds is told of a price that would be rounded below it, and of no other.
    for (agreed, expected) in [("10.004", vec!["below-floor"]), ("10.006", Vec::new())] {
        let case = Case::flat("20").terms([
            fixed("agreed", Scope::Everything, agreed, &[]),
            floor("10.002", Breach::Hold),
        ]);
        let line = case.quote(1, 0, Detail::Waterfall).unwrap();
        let flags: Vec<_> = line.flags.iter().map(PriceFlag::name).collect();
        assert_eq!(flags, expected, "{agreed}");
    }
    // An ending that goes below the floor: 76.50 becomes 75.99, and the floor has the last word.
    let mut case = Case::flat("76.50").terms([floor("76.0875", Breach::Adjust)]);
    case.contract.endings = vec![PriceEnding {
        rule: RuleId::new("nines").unwrap(),
        version: 1,
        currency: currency("EUR"),
        multiple: price("1"),
        toward: Toward::Down,
        less: price("0.01"),
    }];
    assert_eq!(case.amount(1), decimal("76.09"));
}

impl Case {
    /// A promotion that a budget pays, with uses left.
    pub(super) fn funded(self, name: &str) -> Self {
        let id = BudgetId::new(name).unwrap();
        let limits = Limits {
            uses: Some(9),
            ..Limits::default()
        };
        let mut state = BudgetState::default();
        PromotionBudget::apply(&mut state, &BudgetEvent::Limited { limits, version: 1 });
        publish_view(
            &self.reference,
            PromotionBudget::view(&id, &state, Sequence(1)).unwrap(),
        );
        self
    }

    /// What a line of one takes from each budget.
    fn taken(&self, asked: &str) -> Vec<(String, String)> {
        let mut request = self.ask(1);
        request.currency = currency(asked);
        let quote = self.answer(&request, 0).unwrap();
        let text = |amount: Decimal| amount.normalize().to_string();
        let uses = quote.budgets.iter();
        uses.map(|used| (used.budget.to_string(), text(used.amount)))
            .collect()
    }
}

fn paid(name: &str, off: &str) -> Term {
    let budget = BudgetId::new(name).unwrap();
    discount(name, Scope::Everything, off)
        .at(Stage::Promotion)
        .with(|conditions| conditions.budget = Some(budget))
}

#[test]
fn a_budget_pays_what_its_promotion_gives_within_the_bounds_of_the_line() {
    let ceiling = |at: &str| bound("ceiling", Stage::Ceiling, Bound::Price(price(at)), Breach::Adjust);
    let case = |bounds: Vec<Term>| {
        let terms = [vec![paid("A", "30")], bounds].concat();
        Case::flat("100").funded("A").terms(terms)
    };
    let owned = |taken: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = taken
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned()));
        owned.collect()
    };
    // 30 % off 100.00.
    let cases = [
        (vec![], vec![("A", "30")]),
        // The floor gives 6.09 of it back.
        (vec![floor("76.0875", Breach::Adjust)], vec![("A", "23.91")]),
        // A price that is held stays, and so does what was given.
        (vec![floor("76.0875", Breach::Hold)], vec![("A", "30")]),
        // Without it the customer would have paid 80.00.
        (vec![ceiling("80")], vec![("A", "10")]),
        (vec![ceiling("80"), floor("75", Breach::Adjust)], vec![("A", "5")]),
        // Nothing is given: nothing is used, not even once.
        (vec![floor("100", Breach::Adjust)], vec![]),
        (vec![ceiling("60")], vec![]),
    ];
    for (bounds, expected) in cases {
        assert_eq!(case(bounds.clone()).taken("EUR"), owned(&expected), "{bounds:?}");
    }
    // One upon the other, the greater rule first: 100.00, 90.00, 72.00, and a floor of 76.09.
    let terms = [paid("A", "20"), paid("B", "10"), floor("76.0875", Breach::Adjust)];
    let both = Case::flat("100")
        .funded("A")
        .funded("B")
        .terms(terms)
        .combined(Combination::CompoundWithin);
    assert_eq!(both.taken("EUR"), owned(&[("B", "10"), ("A", "13.91")]));
    // A budget is kept in the contract's currency: at 2 USD/EUR a floor of 150 USD gives back 5.00 EUR.
    let in_dollars = case(Vec::new()).rates(0, &[("USD", "2")]);
    let dollars = Agreement {
        parent: None,
        currency: currency("USD"),
        base_list: None,
        precedence: None,
        terms: vec![floor("150", Breach::Adjust)].into(),
        endings: Vec::new(),
        charges: Vec::new(),
        customer_class: None,
    };
    let published = Published {
        id: AgreementId::new(HOUSE).unwrap(),
        value: Arc::new(dollars),
        sequence: Sequence(1),
    };
    publish_view(&in_dollars.reference, View::Agreement(published));
    assert_eq!(in_dollars.taken("USD"), owned(&[("A", "25")]));
}
