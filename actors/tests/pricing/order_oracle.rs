//! The slow evaluator of an order as a whole, written from `docs/pricing.md` alone.

use crate::LIMIT;
use crate::oracle::{converted, divided, floor, has_left, smallest, times};
use crate::world::World;
use lockstep_actors::ids::{BudgetId, FreightZone, RuleId, Sku, TaxCategory};
use lockstep_actors::money::{Currency, Percent, Price, RoundingMode};
use lockstep_actors::pricing::charge::{Charge, ChargeKind, Freight, Part};
use lockstep_actors::pricing::rebate::{Rebate, RebateMode};
use lockstep_actors::pricing::tax::{TaxBasis, TaxLevel, TaxRate};
use std::cmp::Reverse;

/// A priced line: what, how many, and its amount in 10^-10.
pub(crate) struct OracleLine {
    pub(crate) sku: Sku,
    pub(crate) units: i64,
    pub(crate) amount: i128,
}

/// Its kind, its rule, and what the order comes to after it.
pub(crate) type OracleStep = (&'static str, Option<RuleId>, i128);

/// What an order comes to; amounts in 10^-10.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OracleOrder {
    pub(crate) steps: Vec<OracleStep>,
    pub(crate) discounts: Vec<i128>,
    /// What lines at their floors do not take of the discount: the line's place, the floor, how much.
    pub(crate) withheld: Vec<(usize, RuleId, i128)>,
    pub(crate) taxes: Vec<(RuleId, i128, i128)>,
    pub(crate) rebates: Vec<(RuleId, i128)>,
    /// What discount and freight take from budgets, in the contract's currency.
    pub(crate) budgets: Vec<(BudgetId, i128)>,
}

/// A share of an amount in percent, to ten decimals.
pub(crate) fn percent_of(amount: i128, percent: Percent) -> i128 {
    divided(amount * parts(percent), 1_000_000, RoundingMode::HalfEven)
}

/// In 10^-4 percent, of which a whole has a million.
fn parts(percent: Percent) -> i128 {
    percent.get().mantissa() * 10_i128.pow(4 - percent.get().scale())
}

fn rounded(world: &World, amount: i128) -> i128 {
    let smallest = smallest(world.asked);
    divided(amount, smallest, world.contract.rounding.mode) * smallest
}

/// A rule and the currency that its amounts are in.
#[derive(Clone, Copy)]
struct Rule<'a> {
    charge: &'a Charge,
    currency: Currency,
}

/// An amount in another currency, if there are rates for both.
fn turned(world: &World, amount: i128, from: Currency, to: Currency) -> Option<i128> {
    if from == to {
        return Some(amount);
    }
    converted(amount, world.rate_set()?, from, to)
}

impl Rule<'_> {
    fn asked(self, world: &World, price: Price) -> i128 {
        turned(world, times(price, 1), self.currency, world.asked).unwrap()
    }

    /// An amount in the rule's currency; none if it is larger than any may be.
    fn own(self, world: &World, amount: i128) -> Option<i128> {
        turned(world, amount, world.asked, self.currency).filter(|amount| *amount <= LIMIT)
    }

    fn back(self, world: &World, amount: i128) -> i128 {
        rounded(world, turned(world, amount, self.currency, world.asked).unwrap())
    }
}

fn part_of(world: &World, rule: Rule<'_>, part: Part, of: i128) -> i128 {
    rounded(
        world,
        match part {
            Part::Percent(percent) => percent_of(of, percent),
            Part::Amount(amount) => rule.asked(world, amount),
        },
    )
}

/// The charges that apply, in their rank.
fn ranked(world: &World, goods: i128) -> Vec<Rule<'_>> {
    let own = std::iter::once((&world.contract.charges, world.contract.currency));
    let behind = world
        .behind()
        .map(|agreement| (&agreement.charges, agreement.currency));
    let mut found = Vec::new();
    for (level, (charges, currency)) in own.chain(behind).enumerate() {
        for charge in charges {
            let rule = Rule { charge, currency };
            let Some(minimum) = turned(world, times(charge.minimum, 1), currency, world.asked) else {
                continue;
            };
            let begun = charge.effective.from.is_none_or(|from| world.at >= from);
            let ended = charge.effective.until.is_some_and(|until| world.at >= until);
            let shown = charge
                .coupon
                .as_ref()
                .is_none_or(|coupon| world.coupons.contains(coupon));
            let funded = charge
                .budget
                .as_ref()
                .is_none_or(|budget| has_left(world, budget));
            if begun && !ended && minimum <= goods && shown && funded {
                let rank = (minimum, charge.effective.from, charge.version, &charge.rule);
                found.push(((Reverse(charge.priority), level, Reverse(rank)), rule));
            }
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, rule)| rule).collect()
}

/// By largest remainder: rounded down, then a unit each to those who lost most.
fn spread(amount: i128, lines: &[OracleLine], smallest: i128) -> Vec<i128> {
    let sum: i128 = lines.iter().map(|line| line.amount).sum();
    let units = amount / smallest;
    let mut shares: Vec<_> = lines
        .iter()
        .map(|line| (units * line.amount / sum, units * line.amount % sum))
        .collect();
    let mut left = units - shares.iter().map(|(share, _)| share).sum::<i128>();
    while left > 0 {
        let most = shares.iter().map(|(_, lost)| *lost).max().unwrap();
        let first = shares.iter_mut().find(|(_, lost)| *lost == most).unwrap();
        *first = (first.0 + 1, -1);
        left -= 1;
    }
    shares.into_iter().map(|(share, _)| share * smallest).collect()
}

fn carried(world: &World, rule: Rule<'_>, freight: &Freight, lines: &[OracleLine]) -> i128 {
    let grams = |line: &OracleLine| {
        world
            .items
            .get(&line.sku)
            .map_or(0, |item| i128::from(item.grams))
    };
    let weight: i128 = lines
        .iter()
        .map(|line| grams(line) * i128::from(line.units))
        .sum();
    let units: i64 = lines.iter().map(|line| line.units).sum();
    let by_weight = divided(
        times(freight.per_kilogram, 1) * weight,
        1_000,
        RoundingMode::HalfEven,
    );
    let exact = times(freight.base, 1) + times(freight.per_unit, units) + by_weight;
    rule.back(world, exact.max(times(freight.least, 1)))
}

fn tax_rate<'a>(world: &'a World, category: Option<&TaxCategory>) -> Option<&'a TaxRate> {
    let rates = &world.taxes.as_ref()?.rates;
    let of = |category: Option<&TaxCategory>| {
        rates
            .iter()
            .filter(|rate| rate.category.as_ref() == category)
            .filter(|rate| rate.effective.from.is_none_or(|from| world.at >= from))
            .filter(|rate| rate.effective.until.is_none_or(|until| world.at < until))
            .max_by_key(|rate| rate.effective.from)
    };
    of(category).or_else(|| of(None))
}

fn tax_of(world: &World, amount: i128, percent: Percent, basis: TaxBasis) -> i128 {
    let exact = match basis {
        TaxBasis::Net => percent_of(amount, percent),
        TaxBasis::Gross => divided(
            amount * parts(percent),
            1_000_000 + parts(percent),
            RoundingMode::HalfEven,
        ),
    };
    rounded(world, exact)
}

/// What each rate takes: rule, of what, how much; none if a rate is missing.
fn taxes(world: &World, net: &[(Option<TaxCategory>, i128)]) -> Option<Vec<(RuleId, i128, i128)>> {
    let Some(profile) = &world.contract.tax else {
        return Some(Vec::new());
    };
    if let Some(exemption) = &profile.exemption {
        let begun = exemption.effective.from.is_none_or(|from| world.at >= from);
        if begun && exemption.effective.until.is_none_or(|until| world.at < until) {
            return Some(Vec::new());
        }
    }
    let mut found: Vec<(&TaxRate, i128, i128)> = Vec::new();
    for (category, amount) in net {
        let rate = tax_rate(world, category.as_ref())?;
        let tax = tax_of(world, *amount, rate.percent, profile.basis);
        match found.iter_mut().find(|(other, ..)| std::ptr::eq(*other, rate)) {
            Some((_, base, sum)) => (*base, *sum) = (*base + amount, *sum + tax),
            None => found.push((rate, *amount, tax)),
        }
    }
    let told = |(rate, base, by_line): (&TaxRate, i128, i128)| {
        let tax = match profile.level {
            TaxLevel::Line => by_line,
            TaxLevel::Order => tax_of(world, base, rate.percent, profile.basis),
        };
        (rate.rule.clone(), base, tax)
    };
    Some(found.into_iter().map(told).collect())
}

pub(crate) fn earned(rebate: &Rebate, volume: i128) -> i128 {
    let mut sum = 0;
    for (place, tier) in rebate.tiers.iter().enumerate() {
        let from = times(tier.from, 1);
        let next = rebate
            .tiers
            .get(place + 1)
            .map_or(i128::MAX, |next| times(next.from, 1));
        match rebate.mode {
            RebateMode::Incremental if volume >= from => {
                sum += percent_of(volume.min(next) - from, tier.percent);
            }
            RebateMode::Retroactive if volume >= from && volume < next => {
                sum = percent_of(volume, tier.percent);
            }
            RebateMode::Incremental | RebateMode::Retroactive => {}
        }
    }
    sum
}

/// What a rule that a budget pays for takes from it.
fn paid(world: &World, charge: &Charge, given: i128) -> Option<(BudgetId, i128)> {
    let budget = charge.budget.clone().filter(|_| given > 0)?;
    Some((
        budget,
        turned(world, given, world.asked, world.contract.currency)?,
    ))
}

/// The freight that counts, what it costs, and how much less that is than without it. One with a budget that does not lower
/// it is passed over. An error for an amount that is larger than any may be.
fn freight<'a>(
    world: &World,
    rules: &[(Rule<'a>, &Freight)],
    net: i128,
    lines: &[OracleLine],
) -> Result<Option<(Rule<'a>, i128, i128)>, ()> {
    let Some(((rule, terms), others)) = rules.split_first() else {
        return Ok(None);
    };
    let free = terms.free_from.is_some_and(|from| net >= rule.asked(world, from));
    let amount = if free {
        0
    } else {
        carried(world, *rule, terms, lines)
    };
    if amount > LIMIT {
        return Err(());
    }
    if rule.charge.budget.is_none() {
        return Ok(Some((*rule, amount, 0)));
    }
    let without = freight(world, others, net, lines)?;
    Ok(match without {
        Some((_, other, _)) if amount < other => Some((*rule, amount, other - amount)),
        Some(_) | None => without,
    })
}

fn goes_to(zone: Option<&FreightZone>, terms: &Freight) -> bool {
    terms.zone.is_none() || terms.zone.as_ref() == zone
}

/// An order of which something is larger than anything may be.
fn beyond(mut steps: Vec<OracleStep>) -> Vec<OracleStep> {
    steps.push(("TooLarge", None, LIMIT + 1));
    steps
}

/// The order's way from its lines to its total; without a tax rate that it needs, its steps before tax.
pub(crate) fn order(world: &World, lines: &[OracleLine]) -> Result<OracleOrder, Vec<OracleStep>> {
    let goods: i128 = lines.iter().map(|line| line.amount).sum();
    let mut steps = vec![("Goods", None, goods)];
    // Too large: what follows might not even fit into 128 bits.
    if goods > LIMIT {
        return Ok(OracleOrder {
            steps,
            discounts: Vec::new(),
            withheld: Vec::new(),
            taxes: Vec::new(),
            rebates: Vec::new(),
            budgets: Vec::new(),
        });
    }
    let charges = ranked(world, goods);
    let mut reached = goods;
    let (mut discounts, mut withheld) = (vec![0; lines.len()], Vec::new());
    let mut budgets = Vec::new();
    let first = charges.iter().find(|rule| match &rule.charge.kind {
        ChargeKind::Discount(_) | ChargeKind::DiscountByValue(_) => true,
        ChargeKind::Freight(_) | ChargeKind::Surcharge { .. } | ChargeKind::Rebate(_) => false,
    });
    let discount = match first.map(|rule| (rule, &rule.charge.kind)) {
        Some((rule, ChargeKind::Discount(part))) => {
            Some((rule.charge, part_of(world, *rule, *part, goods).min(goods)))
        }
        Some((rule, ChargeKind::DiscountByValue(tiers))) => {
            let Some(own) = rule.own(world, goods) else {
                return Err(beyond(steps));
            };
            Some((rule.charge, rule.back(world, earned(tiers, own)).min(goods)))
        }
        Some(_) | None => None,
    };
    if let Some((charge, amount)) = discount.filter(|(_, amount)| *amount > 0) {
        discounts = spread(amount, lines, smallest(world.asked));
        for (place, (line, part)) in lines.iter().zip(&mut discounts).enumerate() {
            let Some((rule, least)) = floor(world, &line.sku, line.units) else {
                continue;
            };
            let takes = (*part).min((line.amount - least).max(0));
            if takes < *part {
                withheld.push((place, rule, *part - takes));
                *part = takes;
            }
        }
        let given = discounts.iter().sum::<i128>();
        reached -= given;
        budgets.extend(paid(world, charge, given));
        steps.push(("Discount", Some(charge.rule.clone()), reached));
    }
    let net = reached;
    let rules = charges.iter().filter_map(|rule| match &rule.charge.kind {
        ChargeKind::Freight(terms) if goes_to(world.zone.as_ref(), terms) => Some((*rule, terms)),
        ChargeKind::Freight(_)
        | ChargeKind::Discount(_)
        | ChargeKind::DiscountByValue(_)
        | ChargeKind::Surcharge { .. }
        | ChargeKind::Rebate(_) => None,
    });
    let rules: Vec<_> = rules.collect();
    let Ok(freight) = freight(world, &rules, net, lines) else {
        return Err(beyond(steps));
    };
    if let Some((rule, amount, given)) = freight {
        reached += amount;
        steps.push(("Freight", Some(rule.charge.rule.clone()), reached));
        budgets.extend(paid(world, rule.charge, given));
    }
    for rule in &charges {
        if let ChargeKind::Surcharge { part, below } = &rule.charge.kind
            && below.is_none_or(|below| net < rule.asked(world, below))
        {
            reached += part_of(world, *rule, *part, net);
            steps.push(("Surcharge", Some(rule.charge.rule.clone()), reached));
        }
    }
    if reached > LIMIT {
        return Err(steps);
    }
    let category = |line: &OracleLine| world.items.get(&line.sku).and_then(|item| item.tax.clone());
    let mut taxed: Vec<_> = lines
        .iter()
        .zip(&discounts)
        .map(|(line, discount)| (category(line), line.amount - discount))
        .collect();
    if reached != net {
        taxed.push((None, reached - net));
    }
    let Some(taxes) = taxes(world, &taxed) else {
        return Err(steps);
    };
    if world
        .contract
        .tax
        .as_ref()
        .is_some_and(|profile| profile.basis == TaxBasis::Net)
    {
        for (rule, _, tax) in &taxes {
            reached += tax;
            steps.push(("Tax", Some(rule.clone()), reached));
        }
    }
    let mut rebates = Vec::new();
    // Tiers and goods are in the currency that is asked for, and so is what was bought before.
    let own = world.contract.currency;
    let before = match world.rate_set() {
        Some(set) if own != world.asked => converted(world.volume(), set, own, world.asked).unwrap(),
        Some(_) | None => world.volume(),
    };
    for rule in &charges {
        if let ChargeKind::Rebate(rebate) = &rule.charge.kind {
            let volumes = (rule.own(world, before), rule.own(world, before + net));
            let (Some(from), Some(to)) = volumes else {
                return Err(beyond(steps));
            };
            if before + net > LIMIT {
                return Err(beyond(steps));
            }
            let accrues = earned(rebate, to) - earned(rebate, from);
            rebates.push((rule.charge.rule.clone(), rule.back(world, accrues)));
        }
    }
    Ok(OracleOrder {
        steps,
        discounts,
        withheld,
        taxes,
        rebates,
        budgets,
    })
}
