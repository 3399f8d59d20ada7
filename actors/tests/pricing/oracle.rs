//! A slow evaluator of prices, written from `docs/pricing.md` alone. It shares no code with the resolver: amounts are
//! whole numbers of 10^-10, terms are sorted by a key, and every rule is spelled out as the text has it.

use crate::order_oracle::{earned, percent_of};
use crate::world::{BUDGETS, World};
use lockstep_actors::ids::{BudgetId, RuleId, Sku};
use lockstep_actors::money::{Currency, Markup, Percent, Price, RoundingMode};
use lockstep_actors::pricing::contract::RoundingLevel;
use lockstep_actors::pricing::ending::Toward;
use lockstep_actors::pricing::rates::RateSet;
use lockstep_actors::pricing::rebate::RebateMode;
use lockstep_actors::pricing::scale::{BreakMode, Scale};
use lockstep_actors::pricing::term::{
    Bound, Breach, Combination, Effect, Inheritance, Maximum, Scope, Stacking, Stage, Term, ValueOf,
};
use std::cmp::Reverse;

/// One unit of the currency.
const ONE: i128 = 10_000_000_000;

/// A step: its kind, its rule, and the amount after it, in 10^-10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: &'static str,
    pub(crate) rule: Option<RuleId>,
    pub(crate) after: i128,
}

/// How a line comes to its amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) steps: Vec<Step>,
    /// What promotions take off it at the expense of which budgets, in 10^-10.
    pub(crate) budgets: Vec<(BudgetId, i128)>,
}

/// A term with what the text calls its level and its goods' place.
#[derive(Clone, Copy)]
struct Ranked<'a> {
    term: &'a Term,
    level: usize,
    goods: usize,
}

/// To the nearest whole; a half to the even neighbour, or away from zero.
pub(crate) fn divided(numerator: i128, denominator: i128, mode: RoundingMode) -> i128 {
    let (whole, rest) = (
        numerator.div_euclid(denominator),
        numerator.rem_euclid(denominator),
    );
    let half_goes_up = match mode {
        RoundingMode::HalfEven => whole.rem_euclid(2) == 1,
        RoundingMode::HalfUp => numerator >= 0,
    };
    if 2 * rest > denominator || (2 * rest == denominator && half_goes_up) {
        whole + 1
    } else {
        whole
    }
}

fn part(amount: i128, part: i64, whole: i64) -> i128 {
    divided(
        amount * i128::from(part),
        i128::from(whole),
        RoundingMode::HalfEven,
    )
}

pub(crate) fn times(price: Price, units: i64) -> i128 {
    let price = price.amount();
    price.mantissa() * 10_i128.pow(10 - price.scale()) * i128::from(units)
}

fn less(amount: i128, percent: Percent) -> i128 {
    let percent = percent.get();
    // In 10^-4 percent, of which a whole has a million.
    let parts = percent.mantissa() * 10_i128.pow(4 - percent.scale());
    divided(amount * (1_000_000 - parts), 1_000_000, RoundingMode::HalfEven)
}

/// The value of each unit, from the first on; walks unit by unit, as the text says it.
fn value_at<V: Copy>(scale: &Scale<V>, unit: i64) -> V {
    let mut value = scale.base;
    for at in &scale.breaks {
        if at.from.units() <= unit {
            value = at.value;
        }
    }
    value
}

fn reaches_a_break<V>(scale: &Scale<V>, units: i64) -> bool {
    scale.breaks.iter().any(|at| at.from.units() <= units)
}

/// Where a tier ends: at the line's end, or just before a break.
fn tiers<V: Copy>(scale: &Scale<V>, units: i64) -> Vec<(V, i64)> {
    let mut found = Vec::new();
    let mut first = 1;
    while first <= units {
        let next = scale
            .breaks
            .iter()
            .map(|at| at.from.units())
            .filter(|&from| from > first)
            .min();
        let last = next.map_or(units, |next| units.min(next - 1));
        found.push((value_at(scale, first), last - first + 1));
        first = last + 1;
    }
    found
}

fn priced(scale: &Scale<Price>, units: i64) -> i128 {
    match scale.mode {
        BreakMode::AllUnits => times(value_at(scale, units), units),
        BreakMode::Graduated => tiers(scale, units)
            .into_iter()
            .map(|(price, count)| times(price, count))
            .sum(),
    }
}

fn discounted(scale: &Scale<Percent>, amount: i128, units: i64) -> i128 {
    match scale.mode {
        BreakMode::AllUnits => less(amount, value_at(scale, units)),
        BreakMode::Graduated => {
            let tiers = tiers(scale, units);
            let (mut sum, mut left) = (0, amount);
            for (place, (percent, count)) in tiers.iter().enumerate() {
                let last = place + 1 == tiers.len();
                let tier = if last { left } else { part(amount, *count, units) };
                left -= tier;
                sum += less(tier, *percent);
            }
            sum
        }
    }
}

/// What a line is, and what stands before a stage.
#[derive(Clone, Copy)]
struct Line {
    units: i64,
    list: Option<i128>,
    /// Of one base unit, in the contract's currency.
    cost: Option<i128>,
    amount: Option<i128>,
    /// What the index says.
    index: Option<Price>,
    /// What was bought before.
    volume: i128,
}

/// The amount after a term, without and with its breaks; none if it cannot be applied.
fn effect(term: &Term, line: Line) -> Option<(i128, i128)> {
    let cap = term
        .conditions
        .as_ref()
        .and_then(|conditions| match conditions.maximum {
            Some(Maximum::Capped(cap)) => Some(cap.units()),
            Some(Maximum::WholeLine(_)) | None => None,
        });
    let covered = cap.map_or(line.units, |cap| cap.min(line.units));
    let rest = if covered < line.units {
        let amount = line.amount?;
        amount - part(amount, covered, line.units)
    } else {
        0
    };
    match &term.effect {
        Effect::Fixed(scale) => Some((times(scale.base, covered) + rest, priced(scale, covered) + rest)),
        Effect::CostPlus(scale) => {
            let cost = line.cost?;
            let marked_up = |markup: Markup, units: i64| {
                let markup = markup.get();
                let parts = 1_000_000 + markup.mantissa() * 10_i128.pow(4 - markup.scale());
                divided(
                    cost * i128::from(units) * parts,
                    1_000_000,
                    RoundingMode::HalfEven,
                )
            };
            let broken = match scale.mode {
                BreakMode::AllUnits => marked_up(value_at(scale, covered), covered),
                BreakMode::Graduated => {
                    let tiers = tiers(scale, covered).into_iter();
                    tiers.map(|(markup, count)| marked_up(markup, count)).sum()
                }
            };
            Some((marked_up(scale.base, covered) + rest, broken + rest))
        }
        Effect::Indexed(formula) => {
            // Base + factor × (index − index base), to ten decimals; nothing or less is no price.
            let moved = times(line.index?, 1) - times(formula.index_base, 1);
            let factor = formula.factor.amount();
            let scale = 10_i128.pow(factor.scale());
            let unit =
                times(formula.base, 1) + divided(moved * factor.mantissa(), scale, RoundingMode::HalfEven);
            let whole = (unit > 0).then_some(unit * i128::from(covered) + rest)?;
            Some((whole, whole))
        }
        Effect::Bound { .. } => None,
        Effect::ByValue(value) => {
            let base = if term.stage == Stage::Agreed {
                line.list?
            } else {
                line.amount?
            };
            let part = part(base, covered, line.units);
            // Of the line: what it comes to. Of the volume: the percentage that it has reached, or what the line adds on top of it.
            let off = match (value.of, value.tiers.mode) {
                (ValueOf::Line, _) => earned(&value.tiers, part),
                (ValueOf::Volume, RebateMode::Incremental) => {
                    earned(&value.tiers, line.volume + part) - earned(&value.tiers, line.volume)
                }
                (ValueOf::Volume, RebateMode::Retroactive) => {
                    let reached = value
                        .tiers
                        .tiers
                        .iter()
                        .rfind(|tier| times(tier.from, 1) <= line.volume)?;
                    percent_of(part, reached.percent)
                }
            };
            let after = part - off + rest;
            Some((after, after))
        }
        Effect::Discount(scale) => {
            let base = if term.stage == Stage::Agreed {
                line.list?
            } else {
                line.amount?
            };
            let after = discounted(scale, part(base, covered, line.units), covered) + rest;
            Some((after, after))
        }
    }
}

fn after(term: &Term, line: Line) -> Option<i128> {
    let (_, found) = effect(term, line)?;
    match line.amount {
        Some(before) if term.stage == Stage::Promotion => Some(found.min(before)),
        Some(_) | None => Some(found),
    }
}

fn can_be_applied(term: &Term, line: Line) -> bool {
    match (after(term, line), line.amount) {
        (None, _) => false,
        (Some(found), Some(before)) if term.stage == Stage::Promotion => found < before,
        (Some(_), _) => true,
    }
}

fn priority(term: &Term) -> u16 {
    term.conditions
        .as_ref()
        .map_or(0, |conditions| conditions.priority)
}

fn stacking(term: &Term) -> Stacking {
    term.conditions
        .as_ref()
        .map_or(Stacking::Compounded, |conditions| conditions.stacking)
}

fn best<'a>(terms: &[&'a Term], line: Line) -> Option<&'a Term> {
    // The first of equal ones: `min_by_key` keeps the first.
    terms.iter().copied().min_by_key(|term| after(term, line))
}

fn only<'a>(terms: &[&'a Term], wanted: Stacking) -> Vec<&'a Term> {
    terms
        .iter()
        .copied()
        .filter(|term| stacking(term) == wanted)
        .collect()
}

fn upon_each_other(terms: &[&Term], mut line: Line) -> Option<i128> {
    for term in terms {
        line.amount = after(term, line);
    }
    line.amount
}

fn combined<'a>(combination: Combination, terms: &[&'a Term], line: Line) -> Vec<&'a Term> {
    let able: Vec<&Term> = terms
        .iter()
        .copied()
        .filter(|term| can_be_applied(term, line))
        .collect();
    // Of the terms of an exclusive group only the first in rank.
    let group = |term: &Term| {
        term.conditions
            .as_ref()
            .and_then(|conditions| conditions.group.clone())
    };
    let mut seen = Vec::new();
    let able: Vec<&Term> = able
        .into_iter()
        .filter(|term| {
            let Some(group) = group(term) else { return true };
            let is_first = !seen.contains(&group);
            seen.push(group);
            is_first
        })
        .collect();
    match combination {
        Combination::FirstMatch => able.first().copied().into_iter().collect(),
        Combination::BestOf => best(&able, line).into_iter().collect(),
        Combination::CompoundWithin => {
            let highest = able.iter().map(|term| priority(term)).max();
            let same: Vec<&Term> = able
                .into_iter()
                .filter(|term| Some(priority(term)) == highest)
                .collect();
            if let Some(exclusive) = best(&only(&same, Stacking::Exclusive), line) {
                return vec![exclusive];
            }
            let together = only(&same, Stacking::Compounded);
            match best(&only(&same, Stacking::BestPrice), line) {
                Some(alone)
                    if together.is_empty() || after(alone, line) < upon_each_other(&together, line) =>
                {
                    vec![alone]
                }
                Some(_) | None => together,
            }
        }
        Combination::CompoundAcross => {
            let mut priorities: Vec<u16> = able.iter().map(|term| priority(term)).collect();
            priorities.sort_unstable_by_key(|&priority| Reverse(priority));
            priorities.dedup();
            let (mut line, mut chosen) = (line, Vec::new());
            for of in priorities {
                let same: Vec<&Term> = able.iter().copied().filter(|term| priority(term) == of).collect();
                let exclusive = best(&only(&same, Stacking::Exclusive), line);
                let winner = exclusive.or_else(|| best(&same, line));
                chosen.extend(winner);
                line.amount = winner.map_or(line.amount, |winner| after(winner, line));
                if exclusive.is_some() {
                    break;
                }
            }
            chosen
        }
    }
}

/// How specific goods are that cover a SKU, the higher the more; none if they do not.
fn goods(world: &World, scope: &Scope, sku: &Sku) -> Option<usize> {
    let item = world.items.get(sku);
    match scope {
        Scope::Sku(of) => (of == sku).then_some(1_000),
        Scope::Product(of) => (item?.product.as_ref() == Some(of)).then_some(900),
        Scope::Brand(of) => (item?.brand.as_ref() == Some(of)).then_some(800),
        Scope::Category(of) => item?
            .categories
            .iter()
            .position(|category| category == of)
            .map(|at| 700 - at),
        Scope::Everything => Some(0),
    }
}

/// A budget has something left, and is in the contract's currency if it is in one.
pub(crate) fn has_left(world: &World, budget: &BudgetId) -> bool {
    BUDGETS.iter().any(|(name, uses, code)| {
        *name == budget.as_str()
            && *uses > 0
            && code.is_none_or(|code| Currency::new(code) == Ok(world.contract.currency))
    })
}

/// The terms that apply, in their rank.
fn ranked<'a>(world: &'a World, sku: &Sku, units: i64) -> Vec<Ranked<'a>> {
    let mut found = Vec::new();
    let levels = std::iter::once((&world.contract.terms, world.contract.currency)).chain(
        world
            .behind()
            .map(|agreement| (&agreement.terms, agreement.currency)),
    );
    for (level, (terms, currency)) in levels.enumerate() {
        for term in terms.as_slice() {
            let Some(goods) = goods(world, &term.scope, sku) else {
                continue;
            };
            let begun = term.effective.from.is_none_or(|from| world.at >= from);
            let ended = term.effective.until.is_some_and(|until| world.at >= until);
            let conditions = term.conditions.as_deref().cloned().unwrap_or_default();
            let enough = conditions.minimum.is_none_or(|minimum| units >= minimum.units());
            let few = match conditions.maximum {
                Some(Maximum::WholeLine(most)) => units <= most.units(),
                Some(Maximum::Capped(_)) | None => true,
            };
            let shown = conditions
                .coupon
                .as_ref()
                .is_none_or(|coupon| world.coupons.contains(coupon));
            let funded = conditions
                .budget
                .as_ref()
                .is_none_or(|budget| has_left(world, budget));
            let ours = match &term.effect {
                Effect::Fixed(_) | Effect::Indexed(_) | Effect::ByValue(_) => {
                    currency == world.contract.currency
                }
                Effect::Bound {
                    at: Bound::Price(_), ..
                } => currency == world.asked,
                Effect::Discount(_)
                | Effect::CostPlus(_)
                | Effect::Bound {
                    at: Bound::Margin(_), ..
                } => true,
            };
            if begun && !ended && enough && few && shown && funded && ours {
                found.push(Ranked { term, level, goods });
            }
        }
    }
    found.sort_by(|a, b| {
        let key = |of: &Ranked<'_>| {
            let term = of.term;
            let start = term.effective.from;
            (
                Reverse(priority(term)),
                of.level,
                Reverse((of.goods, start, term.version, term.rule.clone())),
            )
        };
        key(a).cmp(&key(b))
    });
    found
}

/// Of the bounds of a stage the first in rank that can be reckoned: its term, what it is for one unit, what is done.
fn counting<'a>(
    world: &World,
    ranked: &[Ranked<'a>],
    stage: Stage,
    sku: &Sku,
) -> Option<(&'a Term, i128, Breach)> {
    let here = ranked.iter().filter(|of| of.term.stage == stage);
    here.into_iter().find_map(|of| match &of.term.effect {
        Effect::Bound { at, breach } => bound(world, sku, *at).map(|unit| (of.term, unit, *breach)),
        Effect::Fixed(_)
        | Effect::Discount(_)
        | Effect::ByValue(_)
        | Effect::CostPlus(_)
        | Effect::Indexed(_) => None,
    })
}

fn up_to(amount: i128, multiple: i128) -> i128 {
    (amount.div_euclid(multiple) + i128::from(amount.rem_euclid(multiple) > 0)) * multiple
}

/// The floor of a line: its rule, and the least amount in whole cents that is not below it.
pub(crate) fn floor(world: &World, sku: &Sku, units: i64) -> Option<(RuleId, i128)> {
    let (term, unit, _) = counting(world, &ranked(world, sku, units), Stage::Floor, sku)?;
    let least = up_to(unit * i128::from(units), smallest(world.asked));
    Some((term.rule.clone(), least))
}

/// An amount as step 9 rounds it.
fn rounded(world: &World, amount: i128, units: i64) -> i128 {
    let rounding = world.contract.rounding;
    let smallest = smallest(world.asked);
    match rounding.level {
        RoundingLevel::Line => divided(amount, smallest, rounding.mode) * smallest,
        RoundingLevel::Unit => {
            divided(amount, smallest * i128::from(units), rounding.mode) * smallest * i128::from(units)
        }
    }
}

/// Where an adjusting bound moves an amount to.
fn adjusted_to(world: &World, stage: Stage, unit: i128, units: i64) -> i128 {
    let smallest = smallest(world.asked);
    match (stage, world.contract.rounding.level) {
        (Stage::Floor, RoundingLevel::Line) => up_to(unit * i128::from(units), smallest),
        (Stage::Floor, RoundingLevel::Unit) => up_to(unit, smallest) * i128::from(units),
        (Stage::Standing | Stage::Agreed | Stage::Promotion | Stage::Ceiling | Stage::Advertised, _) => {
            unit * i128::from(units)
        }
    }
}

/// An amount held to the line's adjusting bounds, in the contract's currency.
fn within_bounds(world: &World, ranked: &[Ranked<'_>], sku: &Sku, units: i64, amount: i128) -> i128 {
    let own = world.contract.currency;
    let mut held = amount;
    for stage in [Stage::Ceiling, Stage::Floor] {
        let Some((_, unit, Breach::Adjust)) = counting(world, ranked, stage, sku) else {
            continue;
        };
        let at = adjusted_to(world, stage, unit, units);
        let in_own = match world.rate_set() {
            _ if own == world.asked => Some(at),
            Some(set) => converted(at, set, world.asked, own),
            None => None,
        };
        // Without rates the line has no price at all.
        let Some(at) = in_own else { continue };
        held = if stage == Stage::Ceiling {
            held.min(at)
        } else {
            held.max(at)
        };
    }
    held
}

/// The way of a line, or none if nothing gives it a price.
pub(crate) fn way(world: &World, sku: &Sku, units: i64) -> Option<Way> {
    let mut steps: Vec<Step> = Vec::new();
    let mut budgets = Vec::new();
    let mut line = Line {
        units,
        list: None,
        cost: cost(world, sku, world.contract.currency),
        amount: None,
        index: world.index(),
        volume: world.volume(),
    };
    let mut step = |kind, rule: Option<&RuleId>, after: i128, line: &mut Line| {
        steps.push(Step {
            kind,
            rule: rule.cloned(),
            after,
        });
        line.amount = Some(after);
    };
    let list = world.base_list();
    let rows = world.rows.get(sku).map(Vec::as_slice).unwrap_or_default();
    let row = rows
        .iter()
        .filter(|row| row.list.as_str() == list && row.currency == world.contract.currency)
        .filter(|row| row.effective.until.is_none_or(|until| world.at < until))
        .filter_map(|row| {
            // A row of an edition begins with it, or later by its own date; without a beginning it never counts.
            let own = row.effective.from;
            let begins = match &row.edition {
                Some(edition) => {
                    let released = world.editions.get(&(row.list.clone(), edition.clone()))?;
                    Some(own.map_or(*released, |own| own.max(*released)))
                }
                None => own,
            };
            Some((begins, row))
        })
        .filter(|(begins, _)| begins.is_none_or(|from| world.at >= from))
        .max_by_key(|(begins, row)| (*begins, row.version, row.rule.clone()));
    if let Some((_, row)) = row {
        step(
            "BaseList",
            Some(&row.rule),
            times(row.price.base, units),
            &mut line,
        );
        if reaches_a_break(&row.price, units) {
            step("ListBreak", Some(&row.rule), priced(&row.price, units), &mut line);
        }
        line.list = line.amount;
    }
    let ranked = ranked(world, sku, units);
    let precedence = world.precedence();
    for stage in [Stage::Standing, Stage::Agreed, Stage::Promotion] {
        let mode = precedence.of(stage);
        let mut here: Vec<_> = ranked.iter().filter(|of| of.term.stage == stage).collect();
        if mode.inheritance == Inheritance::Nearest {
            let nearest = here.iter().map(|of| of.level).min();
            here.retain(|of| Some(of.level) == nearest);
        }
        let terms: Vec<&Term> = here.iter().map(|of| of.term).collect();
        for term in combined(mode.combination, &terms, line) {
            let Some((plain, broken)) = effect(term, line) else {
                continue;
            };
            let rule = Some(&term.rule);
            match (stage, &term.effect) {
                (Stage::Standing, _) => step("StandingDiscount", rule, plain, &mut line),
                (Stage::Agreed, Effect::Discount(_) | Effect::ByValue(_)) => {
                    step("AgreedPrice", rule, plain, &mut line);
                }
                (Stage::Agreed, _) => {
                    step("AgreedPrice", rule, plain, &mut line);
                    let cap = term.conditions.as_ref().and_then(|conditions| conditions.maximum);
                    let covered = match cap {
                        Some(Maximum::Capped(cap)) => cap.units().min(units),
                        Some(Maximum::WholeLine(_)) | None => units,
                    };
                    let reached = match &term.effect {
                        Effect::Fixed(scale) => reaches_a_break(scale, covered),
                        Effect::CostPlus(scale) => reaches_a_break(scale, covered),
                        Effect::Discount(_)
                        | Effect::ByValue(_)
                        | Effect::Indexed(_)
                        | Effect::Bound { .. } => false,
                    };
                    if reached {
                        step("AgreedBreak", rule, broken, &mut line);
                    }
                }
                (Stage::Ceiling | Stage::Floor | Stage::Advertised, _) => {}
                (Stage::Promotion, _) => {
                    let before = line.amount;
                    if before.is_none_or(|before| broken < before) {
                        step("Promotion", rule, broken, &mut line);
                        // What it gives within the bounds; one that gives nothing uses nothing.
                        let within = |amount| within_bounds(world, &ranked, sku, units, amount);
                        let takes = before.map(|before| within(before) - within(broken));
                        if let Some(budget) = term.budget().filter(|_| takes != Some(0)) {
                            budgets.push((budget.clone(), takes.unwrap_or(0)));
                        }
                    }
                }
            }
        }
    }
    let mut amount = line.amount?;
    let ours = world.contract.currency;
    if ours != world.asked {
        let set = world.rate_set()?;
        amount = converted(amount, set, ours, world.asked)?;
        step("Conversion", Some(&set.id), amount, &mut line);
    }
    if let Some(ending) = world.ending() {
        let multiple = times(ending.multiple, 1);
        let whole = multiple * i128::from(units);
        let count = match ending.toward {
            Toward::Nearest => divided(amount, whole, RoundingMode::HalfUp),
            Toward::Up => amount.div_euclid(whole) + i128::from(amount.rem_euclid(whole) > 0),
            Toward::Down => amount.div_euclid(whole),
        };
        let unit = count * multiple - times(ending.less, 1);
        let ended = unit * i128::from(units);
        if unit > 0 && ended != amount {
            amount = ended;
            step("Ending", Some(&ending.rule), amount, &mut line);
        }
    }
    for stage in [Stage::Ceiling, Stage::Floor] {
        let Some((term, unit, breach)) = counting(world, &ranked, stage, sku) else {
            continue;
        };
        let at = unit * i128::from(units);
        let passes = if stage == Stage::Ceiling {
            amount > at
        } else {
            rounded(world, amount, units) < at
        };
        if passes && breach == Breach::Adjust {
            amount = adjusted_to(world, stage, unit, units);
            let kind = if stage == Stage::Ceiling {
                "Ceiling"
            } else {
                "Floor"
            };
            step(kind, Some(&term.rule), amount, &mut line);
        }
    }
    let rounded = rounded(world, amount, units);
    if rounded != amount {
        step("Rounding", None, rounded, &mut line);
    }
    Some(Way { steps, budgets })
}

pub(crate) fn smallest(currency: Currency) -> i128 {
    ONE / 10_i128.pow(currency.decimals())
}

/// An amount in another currency: multiplied by one rate, divided by the other.
pub(crate) fn converted(amount: i128, set: &RateSet, from: Currency, to: Currency) -> Option<i128> {
    let rate = |of: Currency| {
        if of == set.pivot {
            return Some(10_i128.pow(8));
        }
        let (_, rate) = set.rates.iter().find(|(currency, _)| *currency == of)?;
        Some(rate.get().mantissa() * 10_i128.pow(8 - rate.get().scale()))
    };
    Some(divided(amount * rate(to)?, rate(from)?, RoundingMode::HalfEven))
}

/// What one base unit costs its distributor, in a currency.
fn cost(world: &World, sku: &Sku, currency: Currency) -> Option<i128> {
    let cost = world.items.get(sku)?.cost?;
    let amount = times(cost.unit, 1);
    if cost.currency == currency {
        return Some(amount);
    }
    converted(amount, world.rate_set()?, cost.currency, currency)
}

fn bound(world: &World, sku: &Sku, at: Bound) -> Option<i128> {
    match at {
        Bound::Price(price) => Some(times(price, 1)),
        Bound::Margin(margin) => {
            let cost = cost(world, sku, world.asked)?;
            let left = 1_000_000 - margin.get().mantissa() * 10_i128.pow(4 - margin.get().scale());
            let smallest = smallest(world.asked);
            let (numerator, denominator) = (cost * 1_000_000, left * smallest);
            let up = i128::from(numerator.rem_euclid(denominator) > 0);
            Some((numerator.div_euclid(denominator) + up) * smallest)
        }
    }
}
