use super::contract::*;
use super::list::{Break, Effective, ListRow};
use super::resolve::*;
use crate::ids::{CustomerId, ListId, RuleId, Sku};
use crate::money::{Currency, Percent, Price, RoundingMode};
use crate::quantity::PositiveQuantity;
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::sync::Arc;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

fn percent(text: &str) -> Percent {
    Percent::new(decimal(text)).unwrap()
}

fn quantity(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn currency() -> Currency {
    Currency::new("EUR").unwrap()
}

fn breaks<V>(at: impl IntoIterator<Item = (i64, V)>) -> Vec<Break<V>> {
    at.into_iter()
        .map(|(from, value)| Break {
            from: quantity(from),
            value,
        })
        .collect()
}

fn row(unit: &str, at: &[(i64, &str)]) -> ListRow {
    ListRow {
        list: ListId::new("standard").unwrap(),
        currency: currency(),
        effective: Effective::default(),
        unit: price(unit),
        breaks: breaks(at.iter().map(|(from, value)| (*from, price(value)))),
        rule: RuleId::new("list").unwrap(),
        version: 3,
    }
}

fn term(rule: &str, scope: Scope, effect: Effect) -> Term {
    Term {
        rule: RuleId::new(rule).unwrap(),
        version: 7,
        scope,
        effect,
        effective: Effective::default(),
    }
}

fn sku() -> Sku {
    Sku::new("A").unwrap()
}

fn fixed(unit: &str, at: &[(i64, &str)]) -> Effect {
    let breaks = breaks(at.iter().map(|(from, value)| (*from, price(value))));
    Effect::Fixed {
        unit: price(unit),
        breaks,
    }
}

fn discount(value: &str) -> Effect {
    Effect::Discount {
        percent: percent(value),
        breaks: Vec::new(),
    }
}

fn contract(terms: Vec<Term>, rounding: Rounding) -> ContractState {
    let base_list = ListId::new("standard").unwrap();
    let status = ContractStatus::Active;
    ContractState {
        contract: Some(Contract {
            currency: currency(),
            base_list,
            terms,
            rounding,
            status,
        }),
        version: 1,
    }
}

fn quote(state: &ContractState, row: ListRow, units: i64, at: i64) -> Result<PricedLine, QuoteRefusal> {
    let request = QuoteRequest {
        currency: currency(),
        lines: vec![QuoteLine {
            line: 1,
            sku: sku(),
            quantity: quantity(units),
        }],
        as_of: None,
        customers: Customers::Known,
    };
    let rows: Arc<[ListRow]> = Arc::from([row]);
    let customer = CustomerId::new("C").unwrap();
    let quote = resolve(&customer, state, &request, Timestamp::from_millis(at), |_| {
        Some(Arc::clone(&rows))
    })?;
    Ok(quote.lines[0].clone())
}

fn adds_up(line: &PricedLine) -> bool {
    let mut reached = Decimal::ZERO;
    line.waterfall.iter().all(|step| {
        let joined = step.before == reached;
        reached = step.after;
        joined
    }) && reached == line.amount
}

#[test]
fn s01_and_s02_the_waterfall_of_a_contract_with_a_break() {
    let group = term("group", Scope::Everything, discount("12"));
    let agreed = term("contract", Scope::Sku(sku()), fixed("84.50", &[(100, "82.00")]));
    let state = contract(vec![group, agreed], Rounding::default());
    let line = quote(&state, row("100.00", &[]), 120, 0).unwrap();
    let seen: Vec<_> = line
        .waterfall
        .iter()
        .map(|step| (step.kind, step.unit, step.version))
        .collect();
    let expected = [
        (StepKind::BaseList, decimal("100.00"), 3),
        (StepKind::ContractDiscount, decimal("88.00"), 7),
        (StepKind::ContractPrice, decimal("84.50"), 7),
        (StepKind::ContractBreak, decimal("82.00"), 7),
    ];
    assert_eq!(seen, expected);
    assert_eq!(line.amount, decimal("9840.00"));
    assert!(adds_up(&line));
    assert_eq!(
        quote(&state, row("100.00", &[]), 99, 0).unwrap().unit_price,
        decimal("84.50")
    );
    assert_eq!(
        quote(&state, row("100.00", &[]), 100, 0).unwrap().unit_price,
        decimal("82.00")
    );
}

#[test]
fn s03_breaks_are_for_all_units() {
    let state = contract(Vec::new(), Rounding::default());
    let line = quote(&state, row("10", &[(50, "9"), (100, "8")]), 120, 0).unwrap();
    assert_eq!(line.amount, decimal("960"));
}

#[test]
fn s08_and_s09_the_line_is_rounded_not_the_unit() {
    let state = contract(
        vec![term("d", Scope::Everything, discount("13.3"))],
        Rounding::default(),
    );
    let line = quote(&state, row("265.00", &[]), 50, 0).unwrap();
    assert_eq!(line.amount, decimal("11487.75"));
    let unit = Rounding {
        mode: RoundingMode::HalfUp,
        level: RoundingLevel::Unit,
    };
    let state = contract(vec![term("d", Scope::Everything, discount("13.3"))], unit);
    let line = quote(&state, row("265.00", &[]), 50, 0).unwrap();
    assert_eq!(
        (line.unit_price, line.amount),
        (decimal("229.76"), decimal("11488.00"))
    );
    assert!(adds_up(&line));
    // 158 is the price; that it is 5.95 % less than 168 is only for display.
    let state = contract(
        vec![term("f", Scope::Sku(sku()), fixed("158", &[]))],
        Rounding::default(),
    );
    assert_eq!(
        quote(&state, row("168", &[]), 2, 0).unwrap().amount,
        decimal("316")
    );
}

#[test]
fn s13_a_contract_price_ends_at_the_end_of_its_last_day() {
    // 2026-07-01T04:00Z is midnight in New York.
    let end = 1_782_878_400_000;
    let mut agreed = term("contract", Scope::Sku(sku()), fixed("80", &[]));
    agreed.effective.until = Some(Timestamp::from_millis(end));
    let state = contract(vec![agreed], Rounding::default());
    assert_eq!(
        quote(&state, row("100", &[]), 1, end - 1_800_000).unwrap().amount,
        decimal("80")
    );
    assert_eq!(
        quote(&state, row("100", &[]), 1, end).unwrap().amount,
        decimal("100")
    );
}

#[test]
fn what_has_no_price_is_refused_with_the_reason() {
    let unknown = quote(&ContractState::default(), row("1", &[]), 1, 0).unwrap_err();
    assert!(matches!(unknown, QuoteRefusal::UnknownCustomer { .. }));
    let state = contract(Vec::new(), Rounding::default());
    let mut other = row("1", &[]);
    other.currency = Currency::new("USD").unwrap();
    let missing = quote(&state, other, 1, 0).unwrap_err().to_string();
    assert_eq!(
        missing,
        "line 1: no price for A in list standard in EUR, and none in the contract"
    );
    let much = quote(&state, row("1", &[]), MAX_LINE_QUANTITY + 1, 0).unwrap_err();
    assert!(matches!(much, QuoteRefusal::TooMuch { .. }));
}

proptest! {
    #[test]
    fn prices_agree_with_a_slow_evaluator(
        base in 0_i64..=1_000_000_000_000_000,
        off in proptest::option::of(0_i64..=1_000_000),
        own_off in proptest::option::of(0_i64..=1_000_000),
        fix in proptest::option::of((0_i64..=1_000_000_000_000_000, 1_i64..200, 0_i64..=1_000_000_000_000_000)),
        units in prop_oneof![1_i64..400, 1_i64..=MAX_LINE_QUANTITY],
    ) {
        let micros = |value: i64| Price::new(Decimal::new(value, 6)).unwrap();
        let share = |value: i64| Percent::new(Decimal::new(value, 4)).unwrap();
        let mut terms = Vec::new();
        if let Some((unit, from, value)) = fix {
            let effect = Effect::Fixed { unit: micros(unit), breaks: breaks([(from, micros(value))]) };
            terms.push(term("f", Scope::Sku(sku()), effect));
        }
        let reductions = [(off, Scope::Everything), (own_off, Scope::Sku(sku()))];
        for (value, scope) in reductions {
            if let Some(value) = value {
                let effect = Effect::Discount { percent: share(value), breaks: Vec::new() };
                terms.push(term("d", scope, effect));
            }
        }
        let mut list = row("1", &[]);
        list.unit = micros(base);
        let line = quote(&contract(terms, Rounding::default()), list, units, 0).unwrap();
        // In whole 10^-12 of the currency, so that nothing is rounded before the end.
        let unit = match (fix, own_off.or(off)) {
            (Some((_, from, value)), _) if units >= from => i128::from(value) * 1_000_000,
            (Some((value, ..)), _) => i128::from(value) * 1_000_000,
            (None, share) => i128::from(base) * i128::from(1_000_000 - share.unwrap_or(0)),
        };
        let cent = 10_i128.pow(10);
        let cents = (unit * i128::from(units) + cent / 2) / cent;
        prop_assert_eq!(line.amount, Decimal::from_i128_with_scale(cents, 2));
        prop_assert!(adds_up(&line));
    }
}
