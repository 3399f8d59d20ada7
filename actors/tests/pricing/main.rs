//! The resolver against a slow evaluator written from `docs/pricing.md`, over random price worlds.
//!
//! `LOCKSTEP_PRICING_SEED=7 cargo test -p lockstep-actors --test pricing` repeats one world,
//! `LOCKSTEP_PRICING_CASES=1000000 cargo test --release ...` runs that many lines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

mod oracle;
mod tenants;
mod world;

use lockstep_actors::ids::CustomerId;
use lockstep_actors::pricing::contract::{ContractState, Customers, QuoteRequest};
use lockstep_actors::pricing::resolve::{Detail, QuoteLine, QuoteRefusal, resolve};
use lockstep_actors::quantity::PositiveQuantity;
use std::collections::BTreeMap;
use world::{Random, World, skus};

/// How many lines are priced without being asked for more.
const CASES: u64 = 20_000;
/// The largest amount of a line, in 10^-10.
const LIMIT: i128 = 10_i128.pow(12 + 10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Prices a line of every SKU in the world of a seed, both ways. Counts the steps seen.
fn compare(seed: u64, seen: &mut BTreeMap<&'static str, u64>) -> u64 {
    let mut random = Random(seed);
    let world = World::new(&mut random);
    let reference = world.reference();
    let state = ContractState {
        contract: Some(world.contract.clone()),
        version: 1,
    };
    for sku in skus() {
        let units = if random.chance(90) {
            random.units(20)
        } else {
            random.units(9_999)
        };
        let request = QuoteRequest {
            currency: world.asked,
            rates: None,
            lines: vec![QuoteLine {
                line: 1,
                sku: sku.clone(),
                quantity: PositiveQuantity::new(units).unwrap(),
                unit: None,
            }],
            as_of: Some(world.at),
            customers: Customers::Known,
            detail: Detail::Waterfall,
        };
        let customer = CustomerId::new("C").unwrap();
        let found = resolve(&customer, &state, &request, world.at, &reference);
        match (oracle::steps(&world, &sku, units), found) {
            (None, Err(QuoteRefusal::OtherCurrency { .. } | QuoteRefusal::NoRates { .. })) => {
                *seen.entry("no rate").or_default() += 1;
            }
            (None, Err(QuoteRefusal::NoPrice { .. })) => *seen.entry("no price").or_default() += 1,
            (Some(expected), Ok(quote)) => {
                let line = &quote.lines[0];
                let steps: Vec<_> = line
                    .waterfall
                    .iter()
                    .map(|step| {
                        (
                            format!("{:?}", step.kind),
                            step.rule.clone(),
                            in_ten_decimals(step.after),
                        )
                    })
                    .collect();
                let wanted: Vec<_> = expected
                    .iter()
                    .map(|step| (step.kind.to_owned(), step.rule.clone(), step.after))
                    .collect();
                assert_eq!(
                    steps, wanted,
                    "seed {seed}: {units} x {sku} of\n{:#?}",
                    world.contract
                );
                assert_eq!(quote.total.amount, line.amount);
                expected
                    .iter()
                    .for_each(|step| *seen.entry(step.kind).or_default() += 1);
            }
            // Rates drawn at random make amounts that no line may have.
            (Some(steps), Err(QuoteRefusal::Overflow)) if steps.iter().any(|step| step.after > LIMIT) => {
                *seen.entry("too large").or_default() += 1;
            }
            (expected, found) => panic!("seed {seed}: {units} x {sku}: {expected:?}, but found {found:?}"),
        }
    }
    skus().len() as u64
}

fn in_ten_decimals(amount: rust_decimal::Decimal) -> i128 {
    amount.mantissa() * 10_i128.pow(10 - amount.scale())
}

#[test]
fn every_price_is_that_of_the_slow_evaluator() {
    let mut seen = BTreeMap::new();
    if let Some(seed) = number("LOCKSTEP_PRICING_SEED") {
        compare(seed, &mut seen);
        return;
    }
    let wanted = number("LOCKSTEP_PRICING_CASES").unwrap_or(CASES);
    let (mut seed, mut cases) = (0, 0);
    while cases < wanted {
        cases += compare(seed, &mut seen);
        seed += 1;
    }
    eprintln!("{cases} lines agree to the last decimal: {seen:?}");
    // Worlds in which little happens prove little.
    let kinds = [
        "BaseList",
        "ListBreak",
        "StandingDiscount",
        "AgreedPrice",
        "AgreedBreak",
        "Promotion",
        "Conversion",
        "Ending",
        "Ceiling",
        "Floor",
        "Rounding",
    ];
    for kind in kinds {
        assert!(
            seen.get(kind).is_some_and(|count| count * 50 > cases),
            "{kind}: {seen:?}"
        );
    }
}
