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
mod order_oracle;
#[cfg(target_os = "linux")]
mod scale;
mod tenants;
mod world;

use lockstep_actors::ids::{CustomerId, Sku};
use lockstep_actors::pricing::budget::BudgetUse;
use lockstep_actors::pricing::contract::{Budgets, ContractState, Customers, QuoteRequest, Volume};
use lockstep_actors::pricing::resolve::{
    Detail, OrderStepKind, Quote, QuoteLine, QuoteRefusal, TaxedAmount, resolve,
};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::reference::Reference;
use order_oracle::{OracleLine, OracleOrder, OracleStep};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{Random, World, skus};

/// How many lines are priced without being asked for more.
const CASES: u64 = 20_000;
/// The largest amount of a line, in 10^-10.
const LIMIT: i128 = 10_i128.pow(12 + 10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Prices a line of every SKU in the world of a seed, and all of them as one order, both ways. Counts the steps seen.
fn compare(seed: u64, seen: &mut BTreeMap<&'static str, u64>) -> u64 {
    let mut random = Random(seed);
    let world = World::new(&mut random);
    let ask = Ask::of(&world);
    let mut lines = Vec::new();
    for sku in skus() {
        let units = if random.chance(90) {
            random.units(20)
        } else {
            random.units(9_999)
        };
        if let Some(amount) = ask.compare_line(seed, &sku, units, seen) {
            lines.push(OracleLine { sku, units, amount });
        }
    }
    if !lines.is_empty() {
        ask.compare_order(seed, &lines, seen);
    }
    skus().len() as u64
}

/// A world, and how the resolver is asked about it.
struct Ask<'a> {
    world: &'a World,
    reference: Reference,
    state: ContractState,
}

impl<'a> Ask<'a> {
    fn of(world: &'a World) -> Self {
        let volume = Volume {
            value: world.bought,
            version: 1,
            through: None,
        };
        let state = ContractState {
            contract: Some(Arc::new(world.contract.clone())),
            version: 1,
            volume,
            ..ContractState::default()
        };
        Self {
            world,
            reference: world.reference(),
            state,
        }
    }

    fn resolve(&self, lines: &[(&Sku, i64)]) -> Result<Quote, QuoteRefusal> {
        let line = |(number, (sku, units)): (u16, &(&Sku, i64))| QuoteLine {
            line: number,
            sku: (*sku).clone(),
            quantity: PositiveQuantity::new(*units).unwrap(),
            unit: None,
            base_units: None,
            stated_price: None,
        };
        let request = QuoteRequest {
            currency: self.world.asked,
            rates: None,
            coupons: self.world.coupons.clone(),
            zone: self.world.zone.clone(),
            lines: (1..).zip(lines).map(line).collect(),
            as_of: Some(self.world.at),
            customers: Customers::Known,
            detail: Detail::Waterfall,
            budgets: Budgets::default(),
            channel: None,
            ship_to: None,
        };
        let customer = CustomerId::new("C").unwrap();
        resolve(&customer, &self.state, &request, self.world.at, &self.reference)
    }

    /// The line's amount, if it has a price that an order may have.
    fn compare_line(
        &self,
        seed: u64,
        sku: &Sku,
        units: i64,
        seen: &mut BTreeMap<&'static str, u64>,
    ) -> Option<i128> {
        let expected = oracle::way(self.world, sku, units);
        match (expected, self.resolve(&[(sku, units)])) {
            (None, Err(QuoteRefusal::OtherCurrency { .. } | QuoteRefusal::NoRates { .. })) => {
                *seen.entry("no rate").or_default() += 1;
                None
            }
            (None, Err(QuoteRefusal::NoPrice { .. })) => {
                *seen.entry("no price").or_default() += 1;
                None
            }
            // Rates and freight drawn at random make amounts that no line or order may have.
            (Some(way), Err(refusal))
                if *refusal.cause() == QuoteRefusal::Overflow
                    && self.is_too_large(sku, units, &way.steps) =>
            {
                *seen.entry("too large").or_default() += 1;
                None
            }
            // The line alone has no tax rate: the order says the same, if it is so.
            (Some(way), Err(refusal)) if matches!(refusal.cause(), QuoteRefusal::NoTaxRate { .. }) => {
                way.steps.last().map(|step| step.after)
            }
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
                    .steps
                    .iter()
                    .map(|step| (step.kind.to_owned(), step.rule.clone(), step.after))
                    .collect();
                assert_eq!(
                    steps, wanted,
                    "seed {seed}: {units} x {sku} of\n{:#?}",
                    self.world.contract
                );
                let taken = line.budgets.iter();
                let taken: Vec<_> = taken
                    .map(|used| (used.budget.clone(), in_ten_decimals(used.amount)))
                    .collect();
                assert_eq!(taken, expected.budgets, "seed {seed}");
                *seen.entry("Budget").or_default() += expected.budgets.len() as u64;
                expected
                    .steps
                    .iter()
                    .for_each(|step| *seen.entry(step.kind).or_default() += 1);
                Some(in_ten_decimals(line.amount))
            }
            (expected, found) => panic!("seed {seed}: {units} x {sku}: {expected:?}, but found {found:?}"),
        }
    }

    fn is_too_large(&self, sku: &Sku, units: i64, steps: &[oracle::Step]) -> bool {
        let amount = steps.last().map_or(0, |step| step.after);
        let line = OracleLine {
            sku: sku.clone(),
            units,
            amount,
        };
        let order = order_oracle::order(self.world, &[line]);
        let order = reached_of(&order).map(|step| step.2);
        steps
            .iter()
            .map(|step| step.after)
            .chain(order)
            .any(|after| after > LIMIT)
    }

    fn compare_order(&self, seed: u64, lines: &[OracleLine], seen: &mut BTreeMap<&'static str, u64>) {
        let asked: Vec<_> = lines.iter().map(|line| (&line.sku, line.units)).collect();
        match (order_oracle::order(self.world, lines), self.resolve(&asked)) {
            (order, Err(refusal))
                if *refusal.cause() == QuoteRefusal::Overflow
                    && reached_of(&order).any(|step| step.2 > LIMIT) =>
            {
                *seen.entry("too large").or_default() += 1;
            }
            (Err(_), Err(refusal)) if matches!(refusal.cause(), QuoteRefusal::NoTaxRate { .. }) => {
                *seen.entry("no tax rate").or_default() += 1;
            }
            (Ok(expected), Ok(quote)) => {
                let steps = quote.order.iter();
                let discounts = quote
                    .lines
                    .iter()
                    .map(|line| in_ten_decimals(line.order_discount));
                let tax = |tax: &TaxedAmount| {
                    (
                        tax.rule.clone(),
                        in_ten_decimals(tax.base),
                        in_ten_decimals(tax.amount),
                    )
                };
                let withheld = quote.order.iter().flat_map(|step| &step.withheld);
                let withheld = withheld.map(|held| {
                    let place = quote.lines.iter().position(|line| line.line == held.line);
                    (place.unwrap(), held.rule.clone(), in_ten_decimals(held.amount))
                });
                let rebates = quote.rebates.iter();
                // What the lines do not take is taken by the order as a whole.
                let of_lines = |used: &BudgetUse| -> rust_decimal::Decimal {
                    let uses = quote.lines.iter().flat_map(|line| &line.budgets);
                    uses.filter(|other| other.budget == used.budget)
                        .map(|other| other.amount)
                        .sum()
                };
                let budgets = quote.budgets.iter();
                let mut budgets: Vec<_> = budgets
                    .map(|used| (used.budget.clone(), in_ten_decimals(used.amount - of_lines(used))))
                    .filter(|(_, amount)| *amount != 0)
                    .collect();
                budgets.sort();
                let expected = together(expected);
                let found = OracleOrder {
                    budgets,
                    steps: steps
                        .map(|step| (name(step.kind), step.rule.clone(), in_ten_decimals(step.after)))
                        .collect(),
                    discounts: discounts.collect(),
                    withheld: withheld.collect(),
                    taxes: quote.taxes.iter().map(tax).collect(),
                    rebates: rebates
                        .map(|rebate| (rebate.rule.clone(), in_ten_decimals(rebate.amount)))
                        .collect(),
                };
                assert_eq!(found, expected, "seed {seed}");
                assert_eq!(
                    Some(in_ten_decimals(quote.total.amount)),
                    expected.steps.last().map(|step| step.2)
                );
                expected
                    .steps
                    .iter()
                    .for_each(|(kind, ..)| *seen.entry(kind).or_default() += 1);
                *seen.entry("Rebate").or_default() += expected.rebates.len() as u64;
                *seen.entry("Withheld").or_default() += expected.withheld.len() as u64;
                *seen.entry("Paid").or_default() += expected.budgets.len() as u64;
            }
            (expected, found) => panic!("seed {seed}: {expected:?}, but found {found:?}"),
        }
    }
}

/// The steps that were reached.
fn reached_of(order: &Result<OracleOrder, Vec<OracleStep>>) -> impl Iterator<Item = &OracleStep> {
    let (Ok(OracleOrder { steps, .. }) | Err(steps)) = order;
    steps.iter()
}

/// Each budget once.
fn together(order: OracleOrder) -> OracleOrder {
    let mut budgets: BTreeMap<_, i128> = BTreeMap::new();
    for (budget, amount) in &order.budgets {
        *budgets.entry(budget.clone()).or_default() += amount;
    }
    OracleOrder {
        budgets: budgets.into_iter().filter(|(_, amount)| *amount != 0).collect(),
        ..order
    }
}

fn name(kind: OrderStepKind) -> &'static str {
    match kind {
        OrderStepKind::Goods => "Goods",
        OrderStepKind::Discount => "Discount",
        OrderStepKind::Freight => "Freight",
        OrderStepKind::Surcharge => "Surcharge",
        OrderStepKind::Tax => "Tax",
    }
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
        "Goods",
        "Discount",
        "Freight",
        "Surcharge",
        "Tax",
        "Rebate",
        "Withheld",
    ];
    for kind in kinds {
        assert!(
            seen.get(kind).is_some_and(|count| count * 50 > cases),
            "{kind}: {seen:?}"
        );
    }
}
