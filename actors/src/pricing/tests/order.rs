//! Orders as a whole: discount, freight, surcharges, taxes, rebates; coupons and exclusive groups.

use super::*;
use crate::ids::{CouponCode, DocumentId, ExclusiveGroup, FreightZone, Jurisdiction, TaxCategory};
use crate::pricing::JurisdictionTaxes;
use crate::pricing::charge::{Charge, ChargeKind, Freight, Part};
use crate::pricing::rebate::{Rebate, RebateMode, Tier};
use crate::pricing::tax::{Exemption, TaxBasis, TaxEvent, TaxLevel, TaxProfile, TaxRate, TaxState, TaxTable};

fn percent(text: &str) -> Percent {
    Percent::new(decimal(text)).unwrap()
}

fn charge(rule: &str, minimum: &str, kind: ChargeKind) -> Charge {
    Charge {
        rule: RuleId::new(rule).unwrap(),
        version: 5,
        effective: Effective::default(),
        priority: 0,
        minimum: price(minimum),
        kind,
        coupon: None,
        budget: None,
    }
}

fn freight() -> Freight {
    Freight {
        zone: None,
        base: price("0"),
        per_unit: price("0"),
        per_kilogram: price("0"),
        least: price("0"),
        free_from: None,
    }
}

fn tiers(mode: RebateMode, tiers: &[(&str, &str)]) -> ChargeKind {
    let tiers = tiers.iter().map(|(from, share)| Tier {
        from: price(from),
        percent: percent(share),
    });
    ChargeKind::Rebate(Rebate {
        tiers: tiers.collect(),
        mode,
    })
}

impl Case {
    fn charged(mut self, charges: impl Into<Vec<Charge>>) -> Self {
        self.contract.charges = charges.into();
        self
    }

    fn taxed(mut self, level: TaxLevel, basis: TaxBasis, rates: &[(Option<&str>, &str)]) -> Self {
        let jurisdiction = Jurisdiction::new("TX").unwrap();
        let rates = rates.iter().map(|(category, share)| TaxRate {
            rule: RuleId::new(&format!("TX/{}", category.unwrap_or("standard"))).unwrap(),
            category: category.map(|category| TaxCategory::new(category).unwrap()),
            percent: percent(share),
            effective: Effective::default(),
        });
        let table = TaxTable {
            rates: rates.collect(),
            version: 9,
        };
        let mut state = TaxState::default();
        JurisdictionTaxes::apply(&mut state, &TaxEvent::Set(table));
        let view = JurisdictionTaxes::view(&jurisdiction, &state, Sequence(1)).unwrap();
        publish_view(&self.reference, view);
        self.contract.tax = Some(TaxProfile {
            jurisdiction,
            level,
            basis,
            exemption: None,
        });
        self
    }

    fn lines(&self, quantities: &[i64]) -> Result<Quote, QuoteRefusal> {
        let mut request = self.ask(1);
        let line = request.lines[0].clone();
        let lines = quantities.iter().zip(1..).map(|(units, number)| QuoteLine {
            line: number,
            quantity: quantity(*units),
            ..line.clone()
        });
        request.lines = lines.collect();
        self.answer(&request, 0)
    }
}

fn steps(quote: &Quote) -> Vec<(OrderStepKind, String)> {
    let of = |step: &OrderStep| (step.kind, step.after.normalize().to_string());
    quote.order.iter().map(of).collect()
}

#[test]
fn s01_the_whole_way_from_list_to_total_with_the_rebate_beside_it() {
    let case = Case::flat("100.00")
        .agreement("group", None, [discount("group", Scope::Everything, "12")])
        .on("group")
        .terms([
            fixed("contract", Scope::Sku(sku()), "84.50", &[(100, "82.00")]),
            discount("promo", Scope::Everything, "3").at(Stage::Promotion),
        ])
        .charged([
            charge(
                "freight",
                "0",
                ChargeKind::Freight(Freight {
                    per_unit: price("1.25"),
                    ..freight()
                }),
            ),
            charge("rebate", "0", tiers(RebateMode::Incremental, &[("0", "4")])),
        ])
        .taxed(TaxLevel::Order, TaxBasis::Net, &[(None, "8.25")]);
    let quote = case.lines(&[120]).unwrap();
    let expected = [
        (OrderStepKind::Goods, "9544.8"),
        (OrderStepKind::Freight, "9694.8"),
        (OrderStepKind::Tax, "10494.62"),
    ];
    assert_eq!(
        steps(&quote),
        expected.map(|(kind, after)| (kind, after.to_owned()))
    );
    assert_eq!(quote.taxes[0].amount, decimal("799.82"));
    assert_eq!(
        (quote.taxes[0].rule.as_str(), quote.taxes[0].version),
        ("TX/standard", 9)
    );
    assert_eq!(quote.rebates[0].amount, decimal("381.79"));
    assert_eq!(quote.total.to_string(), "10494.62 EUR");
}

#[test]
fn s10_tax_by_line_or_by_order() {
    let total = |level| {
        let quote = Case::flat("0.99")
            .taxed(level, TaxBasis::Net, &[(None, "8.25")])
            .lines(&[1, 1, 1])
            .unwrap();
        assert_eq!(quote.tax_level, Some(level), "echoed");
        let lines: Vec<_> = quote.lines.iter().map(|line| line.tax).collect();
        (quote.taxes[0].amount, lines, quote.total.amount)
    };
    let by_line = vec![Some(decimal("0.08")); 3];
    assert_eq!(total(TaxLevel::Line), (decimal("0.24"), by_line, decimal("3.21")));
    assert_eq!(
        total(TaxLevel::Order),
        (decimal("0.25"), vec![None; 3], decimal("3.22"))
    );
}

#[test]
fn gross_prices_contain_their_tax_and_categories_have_their_own_rates() {
    let rates = [(None, "19"), (Some("books"), "7")];
    let book = Item {
        tax: Some(TaxCategory::new("books").unwrap()),
        ..Item::default()
    };
    let gross = Case::flat("107")
        .item(book.clone())
        .taxed(TaxLevel::Line, TaxBasis::Gross, &rates);
    let quote = gross.lines(&[1]).unwrap();
    assert_eq!(
        (quote.total.amount, quote.taxes[0].amount),
        (decimal("107"), decimal("7.00"))
    );
    assert_eq!(quote.order.len(), 1, "nothing comes on top");
    let flat_freight = charge(
        "f",
        "0",
        ChargeKind::Freight(Freight {
            base: price("10"),
            ..freight()
        }),
    );
    let net = Case::flat("100")
        .item(book)
        .taxed(TaxLevel::Line, TaxBasis::Net, &rates)
        .charged([flat_freight]);
    let quote = net.lines(&[1]).unwrap();
    let taxes: Vec<_> = quote.taxes.iter().map(|tax| (tax.base, tax.amount)).collect();
    assert_eq!(
        taxes,
        [(decimal("100"), decimal("7")), (decimal("10"), decimal("1.90"))]
    );
    assert_eq!(quote.total.amount, decimal("118.90"));
}

#[test]
fn a_certificate_frees_from_tax_and_a_missing_rate_is_no_zero() {
    let mut case = Case::flat("100").taxed(TaxLevel::Line, TaxBasis::Net, &[(None, "8.25")]);
    let certificate = DocumentId::new("EX-7").unwrap();
    let until = Some(Timestamp::from_millis(10));
    case.contract.tax.as_mut().unwrap().exemption = Some(Exemption {
        certificate: certificate.clone(),
        effective: Effective { from: None, until },
    });
    let exempt = case.answer(&case.ask(1), 9).unwrap();
    assert_eq!(
        (exempt.total.amount, exempt.exemption),
        (decimal("100"), Some(certificate))
    );
    let over = case.answer(&case.ask(1), 10).unwrap();
    assert_eq!((over.total.amount, over.exemption), (decimal("108.25"), None));
    let nothing = Case::flat("100").taxed(TaxLevel::Line, TaxBasis::Net, &[(Some("books"), "7")]);
    let refusal = nothing.lines(&[1]).unwrap_err().to_string();
    assert_eq!(refusal, "line 1, A: no tax rate of TX for standard goods");
}

#[test]
fn s20_an_order_discount_is_spread_to_the_last_cent() {
    let case = Case::flat("33.33")
        .charged([charge(
            "ten",
            "0",
            ChargeKind::Discount(Part::Amount(price("10"))),
        )])
        .taxed(TaxLevel::Line, TaxBasis::Net, &[(None, "10")]);
    let quote = case.lines(&[1, 1, 1]).unwrap();
    let parts: Vec<_> = quote
        .lines
        .iter()
        .map(|line| line.order_discount.to_string())
        .collect();
    assert_eq!(parts, ["3.34", "3.33", "3.33"]);
    // Tax is on what is left: 29.99 and 30.00 twice.
    assert_eq!(quote.taxes[0].base, decimal("89.99"));
    assert_eq!(quote.total.amount, decimal("98.99"));
    // Never more than the goods.
    let small = Case::flat("3").charged([charge(
        "ten",
        "0",
        ChargeKind::Discount(Part::Amount(price("10"))),
    )]);
    assert_eq!(small.lines(&[1]).unwrap().total.amount, decimal("0"));
}

#[test]
fn order_discounts_by_value_the_first_in_rank() {
    let by_value =
        |rule, minimum, share| charge(rule, minimum, ChargeKind::Discount(Part::Percent(percent(share))));
    let case = Case::flat("100").charged([by_value("a", "500", "2"), by_value("b", "1000", "5")]);
    for (units, total) in [(4, "400"), (5, "490"), (9, "882"), (10, "950")] {
        assert_eq!(
            case.lines(&[units]).unwrap().total.amount,
            decimal(total),
            "{units}"
        );
    }
}

/// 2 % from 500 on, 5 % from 1,000 on.
fn two_and_five(mode: RebateMode) -> Rebate {
    let steps = tiers(mode, &[("0", "0"), ("500", "2"), ("1000", "5")]);
    let ChargeKind::Rebate(steps) = steps else {
        panic!("a rebate")
    };
    steps
}

#[test]
fn a_discount_by_value_is_of_all_or_tier_by_tier_by_line_order_and_volume() {
    use RebateMode::{Incremental, Retroactive};
    let of_line = |of, mode| {
        let effect = Effect::ByValue(Box::new(ByValue {
            of,
            tiers: two_and_five(mode),
        }));
        let term = Term::plain(RuleId::new("value").unwrap(), 1, Scope::Everything, effect);
        Case::flat("100").terms([term])
    };
    let total = |case: &Case, units: &[i64]| case.lines(units).unwrap().total.amount;
    // Units at 100, of all once it is reached, tier by tier: 2 % of 500 to 1,000, 5 % of what is above.
    let cases = [
        (4, "400", "400"),
        (5, "490", "500"),
        (9, "882", "892"),
        (12, "1140", "1180"),
    ];
    for (units, all, tiered) in cases {
        for (mode, expected) in [(Retroactive, all), (Incremental, tiered)] {
            let line = of_line(ValueOf::Line, mode);
            assert_eq!(
                total(&line, &[units]),
                decimal(expected),
                "line of {units}, {mode:?}"
            );
            let charged = charge("value", "0", ChargeKind::DiscountByValue(two_and_five(mode)));
            let order = Case::flat("100").charged([charged]);
            // Two lines come together to what one would.
            assert_eq!(
                total(&order, &[units - 1, 1]),
                decimal(expected),
                "order of {units}, {mode:?}"
            );
        }
    }
    // Each line by itself.
    assert_eq!(
        total(&of_line(ValueOf::Line, Retroactive), &[4, 5]),
        decimal("890")
    );
    // 900 were bought before. 4 units: all at 2 %; or 100 at 2 % and 300 at 5 %.
    for (mode, expected) in [(Retroactive, "392"), (Incremental, "383")] {
        let mut case = of_line(ValueOf::Volume, mode);
        case.volume = Volume {
            value: decimal("900"),
            version: 1,
            through: None,
        };
        assert_eq!(total(&case, &[4]), decimal(expected), "{mode:?}");
    }
    // Nothing was bought before.
    assert_eq!(
        total(&of_line(ValueOf::Volume, Retroactive), &[12]),
        decimal("1200")
    );
}

#[test]
fn freight_by_weight_and_zone_with_a_least_and_a_threshold() {
    let item = Item {
        grams: 1_500,
        ..Item::default()
    };
    let to = |zone: Option<&str>, per_kilogram: &str| Freight {
        zone: zone.map(|zone| FreightZone::new(zone).unwrap()),
        base: price("4.90"),
        per_kilogram: price(per_kilogram),
        least: price("7.50"),
        free_from: Some(price("1000")),
        ..freight()
    };
    let mut island = charge("island", "0", ChargeKind::Freight(to(Some("ISL"), "3")));
    island.priority = 1;
    let case = Case::flat("10")
        .item(item)
        .charged([charge("land", "0", ChargeKind::Freight(to(None, "0.50"))), island]);
    let paid = |units: i64, zone: Option<&str>| {
        let mut request = case.ask(units);
        request.zone = zone.map(|zone| FreightZone::new(zone).unwrap());
        let quote = case.answer(&request, 0).unwrap();
        let step = &quote.order[1];
        (step.rule.as_ref().unwrap().to_string(), step.after - step.before)
    };
    // 1.5 kg: 4.90 + 0.75 is less than the least.
    assert_eq!(paid(1, None), ("land".to_owned(), decimal("7.50")));
    assert_eq!(paid(10, None), ("land".to_owned(), decimal("12.40")));
    assert_eq!(paid(10, Some("ISL")), ("island".to_owned(), decimal("49.90")));
    assert_eq!(
        paid(100, None),
        ("land".to_owned(), decimal("0")),
        "free from 1,000 on"
    );
}

#[test]
fn surcharges_for_small_orders_and_for_all() {
    let part = Part::Amount(price("15"));
    let below = Some(price("100"));
    let fuel = Part::Percent(percent("2.5"));
    let case = Case::flat("10").charged([
        charge("small", "0", ChargeKind::Surcharge { part, below }),
        charge(
            "fuel",
            "0",
            ChargeKind::Surcharge {
                part: fuel,
                below: None,
            },
        ),
    ]);
    assert_eq!(case.lines(&[9]).unwrap().total.amount, decimal("107.25"));
    assert_eq!(case.lines(&[10]).unwrap().total.amount, decimal("102.50"));
}

#[test]
fn s19_a_rebate_accrues_by_the_volume_so_far() {
    let accrued = |mode| {
        let rebate = charge("bonus", "0", tiers(mode, &[("0", "1"), ("50000", "2")]));
        let mut case = Case::flat("1000").charged([rebate]);
        case.volume = Volume {
            value: decimal("49000"),
            version: 1,
            through: None,
        };
        let quote = case.lines(&[3]).unwrap();
        assert_eq!(quote.total.amount, decimal("3000"), "not on the invoice");
        quote.rebates[0].amount
    };
    assert_eq!(accrued(RebateMode::Retroactive), decimal("550.00"));
    assert_eq!(accrued(RebateMode::Incremental), decimal("50.00"));
}

/// 600 EUR were bought, which are 1,200 USD: the order of 200 USD earns 2 %.
#[test]
fn a_volume_counts_in_the_currency_of_the_rebate() {
    let mut case = Case::flat("100")
        .rates(0, &[("USD", "2")])
        .agreement("group", None, [])
        .on("group");
    let rebate = charge(
        "bonus",
        "0",
        tiers(RebateMode::Incremental, &[("0", "1"), ("1000", "2")]),
    );
    let agreement = Agreement {
        parent: None,
        currency: currency("USD"),
        base_list: None,
        precedence: None,
        terms: Vec::new().into(),
        endings: Vec::new(),
        charges: vec![rebate],
        customer_class: None,
    };
    publish_view(
        &case.reference,
        View::Agreement(Published {
            id: AgreementId::new("group").unwrap(),
            value: Arc::new(agreement),
            sequence: Sequence(2),
        }),
    );
    // So much bought in euros before, and what an order of 200 USD accrues: below, across, above 1,000 USD.
    for (bought, accrued) in [("0", "2.00"), ("450", "3.00"), ("600", "4.00")] {
        case.volume = Volume {
            value: decimal(bought),
            version: 1,
            through: None,
        };
        let mut request = case.ask(1);
        request.currency = currency("USD");
        let quote = case.answer(&request, 0).unwrap();
        assert_eq!(quote.total.to_string(), "200 USD");
        assert_eq!(quote.rebates[0].amount, decimal(accrued), "{bought} EUR");
    }
}

#[test]
fn rules_on_an_order_that_nearly_applied_say_why_not() {
    let half_off = ChargeKind::Discount(Part::Percent(percent("50")));
    let to = |zone: Option<&str>, free_from: &str| {
        ChargeKind::Freight(Freight {
            zone: zone.map(|zone| FreightZone::new(zone).unwrap()),
            base: price("5"),
            free_from: Some(price(free_from)),
            ..freight()
        })
    };
    let small = |below: &str| ChargeKind::Surcharge {
        part: Part::Amount(price("1")),
        below: Some(price(below)),
    };
    let mut coming = charge("coming", "0", to(None, "0"));
    coming.effective.from = Some(Timestamp::from_millis(86_400_000));
    let rebate = two_and_five(RebateMode::Retroactive);
    let mut case = Case::flat("100")
        .charged([
            charge("minimum", "101", half_off.clone()),
            charge("tiers", "0", ChargeKind::DiscountByValue(rebate)),
            charge("land", "0", to(None, "150")),
            charge("island", "0", to(Some("ISL"), "0")),
            coming,
            charge("small", "0", small("100")),
            charge("smaller", "0", small("101")),
        ])
        .taxed(TaxLevel::Line, TaxBasis::Net, &[(None, "10")]);
    case.contract.tax.as_mut().unwrap().exemption = Some(Exemption {
        certificate: DocumentId::new("EX-7").unwrap(),
        effective: Effective {
            from: None,
            until: Some(Timestamp::from_millis(0)),
        },
    });
    let told = |case: &Case| -> Vec<_> {
        let mut request = case.ask(1);
        request.detail = Detail::NearMisses;
        let misses = case.answer(&request, 0).unwrap().near_misses.into_iter();
        misses
            .map(|miss| (miss.rule.to_string(), miss.reason.to_string()))
            .collect()
    };
    let owned = |(rule, reason): (&str, &str)| (rule.to_owned(), reason.to_owned());
    let expected = [
        ("minimum", "it is for goods of 101 or more"),
        ("tiers", "its next tier begins at goods of 500"),
        ("land", "freight is free for goods of 150 or more"),
        ("island", "it is for freight to zone ISL"),
        ("coming", "it is in force from 1970-01-02T00:00:00Z on"),
        ("small", "it is for goods of less than 100"),
        ("EX-7", "it was in force until 1970-01-01T00:00:00Z"),
    ];
    assert_eq!(told(&case), expected.map(owned));
    // Of two that apply the one behind names the first; without a rule for the zone freight is nothing, and it is said why.
    let mut case = Case::flat("100").charged([
        charge("first", "50", half_off.clone()),
        charge("second", "0", half_off),
        charge("island", "0", to(Some("ISL"), "0")),
    ]);
    let expected = [
        ("second", "first came before it"),
        ("island", "it is for freight to zone ISL"),
    ];
    assert_eq!(told(&case), expected.map(owned));
    case.contract.zone = Some(FreightZone::new("ISL").unwrap());
    assert_eq!(told(&case), [owned(("second", "first came before it"))]);
    assert!(case.lines(&[1]).unwrap().near_misses.is_empty(), "not asked for");
}

#[test]
fn a_coupon_must_be_shown_and_a_group_gives_one_of_its_promotions() {
    let promotion = |rule: &str, share: &str, change: fn(&mut Conditions)| {
        discount(rule, Scope::Everything, share)
            .at(Stage::Promotion)
            .with(change)
    };
    let spring = |conditions: &mut Conditions| {
        conditions.group = Some(ExclusiveGroup::new("spring").unwrap());
    };
    let case = Case::flat("100")
        .terms([
            promotion("all", "5", |_| {}),
            promotion("spring-a", "10", |conditions| {
                conditions.group = Some(ExclusiveGroup::new("spring").unwrap());
                conditions.coupon = Some(CouponCode::new("SPRING").unwrap());
            }),
            promotion("spring-0", "20", spring),
        ])
        .combined(Combination::CompoundWithin);
    let total = |coupons: &[&str]| {
        let mut request = case.ask(1);
        request.coupons = coupons
            .iter()
            .map(|code| CouponCode::new(code).unwrap())
            .collect();
        case.answer(&request, 0).unwrap().total.amount
    };
    // Without the coupon: 5 % and 20 %. With it the group's first in rank is the one with the greater id.
    assert_eq!(total(&[]), decimal("76.00"));
    assert_eq!(total(&["OTHER", "SPRING"]), decimal("85.50"));
    let coupon = CouponCode::new("SPRING").unwrap();
    assert!(
        case.misses(1)
            .contains(&("spring-a".to_owned(), Missed::NoCoupon { coupon }))
    );
}

/// At 2 USD/EUR, what a customer whose contract is in euros pays in dollars.
#[test]
fn charges_in_another_currency_are_converted() {
    let in_dollars = |unit: &str, units: i64, charges: Vec<Charge>| {
        let case = Case::flat(unit).rates(0, &[("USD", "2")]).charged(charges);
        let mut request = case.ask(units);
        request.currency = currency("USD");
        steps(&case.answer(&request, 0).unwrap())
    };
    let fare = || {
        let fare = Freight {
            base: price("4"),
            per_unit: price("0.105"),
            least: price("5"),
            free_from: Some(price("1000")),
            ..freight()
        };
        charge("fare", "0", ChargeKind::Freight(fare))
    };
    let small = || {
        let (part, below) = (Part::Amount(price("3")), Some(price("100")));
        charge("small", "0", ChargeKind::Surcharge { part, below })
    };
    let owned = |steps: &[(OrderStepKind, &str)]| -> Vec<(OrderStepKind, String)> {
        steps
            .iter()
            .map(|(kind, after)| (*kind, (*after).to_owned()))
            .collect()
    };
    use OrderStepKind::{Discount, Freight as Fare, Goods, Surcharge};
    // 99.00 EUR are 198.00 USD: 5.00 EUR of freight at least, and 3.00 EUR below 100.00 EUR.
    assert_eq!(
        in_dollars("99", 1, vec![fare(), small()]),
        owned(&[(Goods, "198"), (Fare, "208"), (Surcharge, "214")])
    );
    // Eleven: 4 + 11 * 0.105 = 5.155 EUR, which are 10.31 USD.
    assert_eq!(
        in_dollars("50", 11, vec![fare(), small()]),
        owned(&[(Goods, "1100"), (Fare, "1110.31")])
    );
    // From 1,000.00 EUR on it is free.
    assert_eq!(
        in_dollars("100", 10, vec![fare()]),
        owned(&[(Goods, "2000"), (Fare, "2000")])
    );
    // From 100.00 EUR on 10.00 EUR off: 198.00 USD are too little.
    let ten = || charge("ten", "100", ChargeKind::Discount(Part::Amount(price("10"))));
    assert_eq!(in_dollars("99", 1, vec![ten()]), owned(&[(Goods, "198")]));
    assert_eq!(
        in_dollars("100", 1, vec![ten()]),
        owned(&[(Goods, "200"), (Discount, "180")])
    );
    // 1,200.00 EUR: 2 % of 500.00 and 5 % of 200.00 are 20.00 EUR.
    let tiered = charge(
        "value",
        "0",
        ChargeKind::DiscountByValue(two_and_five(RebateMode::Incremental)),
    );
    assert_eq!(
        in_dollars("100", 12, vec![tiered]),
        owned(&[(Goods, "2400"), (Discount, "2360")])
    );
}

#[test]
fn a_charge_that_is_given_in_the_currency_that_is_asked_for_is_not_converted() {
    let flat = |rule: &str, base: &str| {
        let base = price(base);
        charge(rule, "0", ChargeKind::Freight(Freight { base, ..freight() }))
    };
    let case = Case::flat("100")
        .rates(0, &[("USD", "2")])
        .charged([flat("fare", "5")]);
    let dollars = Agreement {
        parent: None,
        currency: currency("USD"),
        base_list: None,
        precedence: None,
        terms: Vec::new().into(),
        endings: Vec::new(),
        charges: vec![flat("fare", "8")],
        customer_class: None,
    };
    let published = Published {
        id: AgreementId::new(HOUSE).unwrap(),
        value: Arc::new(dollars),
        sequence: Sequence(1),
    };
    publish_view(&case.reference, View::Agreement(published));
    let mut request = case.ask(1);
    request.currency = currency("USD");
    assert_eq!(case.answer(&request, 0).unwrap().total.amount, decimal("208"));
    // In euros its own counts, and the one in dollars is not needed.
    assert_eq!(case.lines(&[1]).unwrap().total.amount, decimal("105"));
    // Without rates it counts in its own currency alone.
    let mut alone = Case::flat("100")
        .charged([flat("fare", "5")])
        .listed_in("USD", "100");
    alone.contract.currency = currency("USD");
    alone.contract.charges.clear();
    assert_eq!(alone.lines(&[1]).unwrap().total.amount, decimal("100"));
}

/// Rates of 19 % in DE, of 7.5 % in DE-X and of 8.25 % in TX, where the customer is taxed.
fn shipped_to(case: &Case, ship_to: Option<&str>) -> (String, String) {
    for (name, percent) in [("DE", "19"), ("DE-X", "7.5")] {
        let rate = TaxRate {
            rule: RuleId::new(&format!("{name}/standard")).unwrap(),
            category: None,
            percent: Percent::new(decimal(percent)).unwrap(),
            effective: Effective::default(),
        };
        let table = TaxTable {
            rates: vec![rate],
            version: 1,
        };
        let jurisdiction = Jurisdiction::new(name).unwrap();
        let mut state = TaxState::default();
        JurisdictionTaxes::apply(&mut state, &TaxEvent::Set(table));
        publish_view(
            &case.reference,
            JurisdictionTaxes::view(&jurisdiction, &state, Sequence(1)).unwrap(),
        );
    }
    let mut request = case.ask(1);
    request.ship_to = ship_to.map(|place| crate::ids::Region::new(place).unwrap());
    let quote = case.answer(&request, 0).unwrap();
    let by = quote.taxes[0].jurisdiction.as_ref().unwrap().to_string();
    (by, quote.total.amount.normalize().to_string())
}

#[test]
fn goods_are_taxed_where_they_are_shipped_to() {
    let case = Case::flat("100").taxed(TaxLevel::Line, TaxBasis::Net, &[(None, "8.25")]);
    let cases = [
        (None, "TX", "108.25"),
        (Some("DE"), "DE", "119"),
        // The widest part of the name that has rates of its own is asked last.
        (Some("DE-X"), "DE-X", "107.5"),
        (Some("DE-X-80331"), "DE-X", "107.5"),
        (Some("DE-Y"), "DE", "119"),
        // A place without rates, and a tour of the house's own: where the customer is taxed.
        (Some("FR-75"), "TX", "108.25"),
        (Some("north"), "TX", "108.25"),
    ];
    for (ship_to, by, total) in cases {
        let found = shipped_to(&case, ship_to);
        assert_eq!(found, (by.to_owned(), total.to_owned()), "{ship_to:?}");
    }
}

/// Freight of 10.00, free from 500.00 on; free for whoever shows FREESHIP, as long as a budget pays.
fn free_by_coupon() -> Case {
    let fare = |rule: &str, base: &str, free_from: Option<&str>| {
        let (base, free_from) = (price(base), free_from.map(price));
        charge(
            rule,
            "0",
            ChargeKind::Freight(Freight {
                base,
                free_from,
                ..freight()
            }),
        )
    };
    let free = Charge {
        priority: 1,
        coupon: Some(CouponCode::new("FREESHIP").unwrap()),
        budget: Some(crate::ids::BudgetId::new("ship").unwrap()),
        ..fare("free", "0", None)
    };
    Case::flat("100").charged([fare("land", "10", Some("500")), free])
}

#[test]
fn freight_is_free_by_a_coupon_as_long_as_its_budget_pays() {
    let ask = |case: &Case, units: i64, coupon: &str, code: &str| {
        let mut request = case.ask(units);
        request.currency = currency(code);
        request.detail = Detail::NearMisses;
        request.coupons = vec![CouponCode::new(coupon).unwrap()];
        let quote = case.answer(&request, 0).unwrap();
        let freight = &quote.order[1];
        let uses: Vec<_> = quote
            .budgets
            .iter()
            .map(|used| (used.budget.to_string(), used.amount.normalize().to_string()))
            .collect();
        let why = quote.near_misses.iter().find(|miss| miss.rule.as_str() == "free");
        (
            freight.rule.as_ref().unwrap().to_string(),
            (freight.after - freight.before).normalize().to_string(),
            uses,
            why.map(|miss| miss.reason.name()),
        )
    };
    let told = |rule: &str, amount: &str, uses: &[(&str, &str)], why| {
        let uses: Vec<_> = uses
            .iter()
            .map(|(budget, amount)| ((*budget).to_owned(), (*amount).to_owned()))
            .collect();
        (rule.to_owned(), amount.to_owned(), uses, why)
    };
    let funded = free_by_coupon().funded("ship");
    assert_eq!(
        ask(&funded, 1, "FREESHIP", "EUR"),
        told("free", "0", &[("ship", "10")], None)
    );
    assert_eq!(
        ask(&funded, 1, "OTHER", "EUR"),
        told("land", "10", &[], Some("no-coupon"))
    );
    // Where freight is free anyhow the coupon is not used up.
    assert_eq!(
        ask(&funded, 5, "FREESHIP", "EUR"),
        told("land", "0", &[], Some("not-lower"))
    );
    // Nobody has said what it may spend.
    assert_eq!(
        ask(&free_by_coupon(), 1, "FREESHIP", "EUR"),
        told("land", "10", &[], Some("no-budget"))
    );
    // 20.00 USD of freight are 10.00 EUR of the budget.
    let in_dollars = funded.rates(0, &[("USD", "2")]);
    assert_eq!(
        ask(&in_dollars, 1, "FREESHIP", "USD"),
        told("free", "0", &[("ship", "10")], None)
    );
}

#[test]
fn a_budget_pays_an_orders_discount_and_nothing_that_is_charged() {
    let budget = crate::ids::BudgetId::new("spring").unwrap();
    let five = || Charge {
        budget: Some(budget.clone()),
        ..charge("five", "0", ChargeKind::Discount(Part::Percent(percent("5"))))
    };
    let case = Case::flat("100").funded("spring").charged([five()]);
    let quote = case.lines(&[3]).unwrap();
    let uses: Vec<_> = quote.budgets.iter().map(|used| used.amount).collect();
    assert_eq!((quote.total.amount, uses), (decimal("285"), vec![decimal("15")]));
    // What the floor withholds is not given: 97.00 leaves 9.00 of 15.00.
    let floor = bound("floor", Stage::Floor, Bound::Price(price("97")), Breach::Adjust);
    let case = Case::flat("100")
        .funded("spring")
        .terms([floor])
        .charged([five()]);
    let uses: Vec<_> = case
        .lines(&[3])
        .unwrap()
        .budgets
        .iter()
        .map(|used| used.amount)
        .collect();
    assert_eq!(uses, [decimal("9")]);
    let part = Part::Amount(price("1"));
    let surcharge = Charge {
        kind: ChargeKind::Surcharge { part, below: None },
        ..five()
    };
    let refusal = crate::pricing::charge::check(&[surcharge])
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        "rule five has a budget, but only promotions, and discounts and freight of orders, have budgets"
    );
}
