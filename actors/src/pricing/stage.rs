//! What the terms of one stage do to a line: the effect of each, and which of them are applied.

use super::candidate::{Candidate, Ranked};
use super::exact::{share, times};
use super::index::{Formula, Indices};
use super::resolve::QuoteRefusal;
use super::term::{Combination, Effect, Stacking, Stage, Term};
use rust_decimal::Decimal;
use smallvec::SmallVec;

/// A line as a stage finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'d> {
    pub(super) units: i64,
    /// What the list says, breaks included; none without a list price.
    pub(super) list: Option<Decimal>,
    /// What one base unit costs its distributor; none if that is not known.
    pub(super) cost: Option<Decimal>,
    /// What the line costs before the stage; none if nothing has given it a price.
    pub(super) amount: Option<Decimal>,
    /// Where indices are looked up.
    pub(super) indices: Indices<'d>,
    /// What the customer has bought before, in the period of its rebates.
    pub(super) volume: Decimal,
}

/// What a term makes of a line's amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Without its quantity breaks.
    pub(super) plain: Decimal,
    /// With the break that the quantity reaches, if that is a step of its own.
    pub(super) broken: Option<Decimal>,
}

impl Outcome {
    pub(super) fn amount(self) -> Decimal {
        self.broken.unwrap_or(self.plain)
    }
}

/// The terms that a stage applies, one upon the other.
pub(super) type Chosen<'a> = SmallVec<[&'a Term; 4]>;

type Result<T> = std::result::Result<T, QuoteRefusal>;

fn bounded<T>(amount: Option<T>) -> Result<T> {
    amount.ok_or(QuoteRefusal::Overflow)
}

/// What a term makes of a line; none if it would have to discount what has no price.
pub(super) fn outcome(term: &Term, standing: Standing<'_>) -> Result<Option<Outcome>> {
    let Standing {
        units,
        list,
        cost,
        amount,
        indices,
        volume,
    } = standing;
    let covered = term.covered(units);
    // What the units cost that the term does not cover.
    let rest = match (covered == units, amount) {
        (true, _) => Decimal::ZERO,
        (false, Some(amount)) => {
            bounded(share(amount, covered, units).and_then(|part| amount.checked_sub(part)))?
        }
        (false, None) => return Ok(None),
    };
    let with_rest = |part: Option<Decimal>| bounded(part.and_then(|part| part.checked_add(rest)));
    match &term.effect {
        Effect::Fixed(scale) => {
            let broken = bounded(scale.broken(covered))?;
            Ok(Some(Outcome {
                plain: with_rest(scale.plain(covered))?,
                broken: broken.map(|part| with_rest(Some(part))).transpose()?,
            }))
        }
        Effect::CostPlus(scale) => {
            let Some(cost) = cost else { return Ok(None) };
            let broken = bounded(scale.broken(cost, covered))?;
            Ok(Some(Outcome {
                plain: with_rest(scale.plain(cost, covered))?,
                broken: broken.map(|part| with_rest(Some(part))).transpose()?,
            }))
        }
        Effect::Indexed(formula) => {
            let Some(unit) = indexed(formula, indices)? else {
                return Ok(None);
            };
            let plain = with_rest(times(unit, Decimal::from(covered)))?;
            Ok(Some(Outcome { plain, broken: None }))
        }
        Effect::Bound { .. } => Ok(None),
        Effect::Discount(_) | Effect::ByValue(_) => {
            let base = match term.stage {
                Stage::Agreed => list,
                Stage::Standing | Stage::Promotion | Stage::Ceiling | Stage::Floor | Stage::Advertised => {
                    amount
                }
            };
            let Some(base) = base else { return Ok(None) };
            let part = bounded(share(base, covered, units))?;
            let left = match &term.effect {
                Effect::ByValue(value) => value.off(part, volume),
                Effect::Discount(scale) => scale.off(part, covered),
                Effect::Fixed(_) | Effect::CostPlus(_) | Effect::Indexed(_) | Effect::Bound { .. } => {
                    Some(part)
                }
            };
            Ok(Some(Outcome {
                plain: with_rest(left)?,
                broken: None,
            }))
        }
    }
}

/// What one unit costs by an index; none if that has no value, or would leave nothing.
fn indexed(formula: &Formula, indices: Indices<'_>) -> Result<Option<Decimal>> {
    match indices.value(&formula.index) {
        Some(index) => bounded(formula.unit(index.value)),
        None => Ok(None),
    }
}

/// What a line costs after a term of this stage. A promotion never raises it.
fn after(term: &Term, standing: Standing<'_>) -> Result<Option<Decimal>> {
    let found = outcome(term, standing)?.map(Outcome::amount);
    Ok(match (found, standing.amount) {
        (Some(found), Some(before)) if term.stage == Stage::Promotion => Some(found.min(before)),
        (found, _) => found,
    })
}

/// Chooses the terms that are applied, from those that apply, in their rank.
pub(super) fn choose<'a>(
    combination: Combination,
    ranked: &Ranked<'a>,
    standing: Standing<'_>,
) -> Result<Chosen<'a>> {
    if combination == Combination::FirstMatch {
        return first_match(ranked, standing);
    }
    let mut able = Ranked::new();
    for candidate in ranked {
        let group = candidate.term.group();
        let is_taken = group.is_some()
            && able
                .iter()
                .any(|other: &Candidate<'_>| other.term.group() == group);
        if !is_taken && is_able(candidate.term, standing)? {
            able.push(*candidate);
        }
    }
    if let [only] = &able[..] {
        return Ok(Chosen::from_slice(&[only.term]));
    }
    match combination {
        Combination::FirstMatch => first_match(&able, standing),
        Combination::BestOf => Ok(best(&able, standing)?.map(|(term, _)| term).into_iter().collect()),
        Combination::CompoundWithin => within(&able, standing),
        Combination::CompoundAcross => across(&able, standing),
    }
}

/// The first that can be applied; the others are not looked at.
fn first_match<'a>(ranked: &Ranked<'a>, standing: Standing<'_>) -> Result<Chosen<'a>> {
    for candidate in ranked {
        if is_able(candidate.term, standing)? {
            return Ok(Chosen::from_slice(&[candidate.term]));
        }
    }
    Ok(Chosen::new())
}

/// Whether a term can be applied: a discount has something to be taken off, and a promotion lowers the amount.
pub(super) fn is_able(term: &Term, standing: Standing<'_>) -> Result<bool> {
    if term.stage != Stage::Promotion {
        return Ok(has_base(term, standing));
    }
    Ok(match (after(term, standing)?, standing.amount) {
        (None, _) => false,
        (Some(after), Some(before)) => after < before,
        (Some(_), None) => true,
    })
}

/// Whether there is what a term reckons with: a price for a discount and for the units that it does not cover, a cost.
fn has_base(term: &Term, standing: Standing<'_>) -> bool {
    let Standing {
        units,
        list,
        cost,
        amount,
        indices,
        volume: _,
    } = standing;
    if term.covered(units) < units && amount.is_none() {
        return false;
    }
    match &term.effect {
        Effect::Fixed(_) => true,
        Effect::CostPlus(_) => cost.is_some(),
        // One that overflows is found when it is reckoned.
        Effect::Indexed(formula) => !matches!(indexed(formula, indices), Ok(None)),
        Effect::Discount(_) | Effect::ByValue(_) if term.stage == Stage::Agreed => list.is_some(),
        Effect::Discount(_) | Effect::ByValue(_) => amount.is_some(),
        Effect::Bound { .. } => false,
    }
}

/// The one that gives the lowest amount; of equal ones the first in rank.
fn best<'a>(candidates: &[Candidate<'a>], standing: Standing<'_>) -> Result<Option<(&'a Term, Decimal)>> {
    let mut lowest: Option<(&'a Term, Decimal)> = None;
    for candidate in candidates {
        if let Some(amount) = after(candidate.term, standing)?
            && lowest.is_none_or(|(_, least)| amount < least)
        {
            lowest = Some((candidate.term, amount));
        }
    }
    Ok(lowest)
}

fn with_stacking<'a>(candidates: &[Candidate<'a>], stacking: Stacking) -> Ranked<'a> {
    let wanted = |candidate: &&Candidate<'a>| candidate.term.stacking() == stacking;
    candidates.iter().filter(wanted).copied().collect()
}

/// Those of one priority: candidates are ranked by it first.
fn first_priority<'c, 'a>(candidates: &'c [Candidate<'a>]) -> &'c [Candidate<'a>] {
    let of = |candidate: &Candidate<'_>| candidate.term.priority();
    let same = |candidate: &&Candidate<'_>| Some(of(candidate)) == candidates.first().map(of);
    let count = candidates.iter().take_while(same).count();
    &candidates[..count]
}

/// Of the highest priority: the best exclusive one; else the compounded ones together, unless one alone is better.
fn within<'a>(candidates: &[Candidate<'a>], standing: Standing<'_>) -> Result<Chosen<'a>> {
    let same = first_priority(candidates);
    let exclusive = best(&with_stacking(same, Stacking::Exclusive), standing)?;
    if let Some((term, _)) = exclusive {
        return Ok(Chosen::from_slice(&[term]));
    }
    let together = with_stacking(same, Stacking::Compounded);
    let alone = best(&with_stacking(same, Stacking::BestPrice), standing)?;
    let mut reached = standing;
    for candidate in &together {
        reached.amount = after(candidate.term, reached)?;
    }
    let is_better =
        |amount| together.is_empty() || reached.amount.is_none_or(|compounded| amount < compounded);
    match alone {
        Some((term, amount)) if is_better(amount) => Ok(Chosen::from_slice(&[term])),
        Some(_) | None => Ok(together.iter().map(|candidate| candidate.term).collect()),
    }
}

/// The best of each priority upon what those before it left; an exclusive one ends it.
fn across<'a>(candidates: &[Candidate<'a>], standing: Standing<'_>) -> Result<Chosen<'a>> {
    let (mut left, mut reached, mut chosen) = (candidates, standing, Chosen::new());
    while !left.is_empty() {
        let same = first_priority(left);
        left = &left[same.len()..];
        let exclusive = best(&with_stacking(same, Stacking::Exclusive), reached)?;
        let winner = match exclusive {
            Some(winner) => Some(winner),
            None => best(same, reached)?,
        };
        if let Some((term, amount)) = winner {
            chosen.push(term);
            reached.amount = Some(amount);
        }
        if exclusive.is_some() {
            break;
        }
    }
    Ok(chosen)
}
