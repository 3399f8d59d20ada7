//! Why a rule that nearly applied did not. Only computed when it is asked for.

use super::bound::{cost, unit_bound};
use super::candidate::{Candidate, Ranked, for_each_in_scope, of_stage};
use super::line::{Applied, Desk, Goods};
use super::list::ListRow;
use super::resolve::{Missed, NearMiss, Step, StepKind};
use super::stage::{Standing, is_able};
use super::term::{Bound, Combination, Effect, Inheritance, Stage, Term};
use crate::ids::RuleId;
use crate::quantity::PositiveQuantity;
use rust_decimal::Decimal;

/// How many near misses are told of a line, or of an order as a whole: the nearest level's first. The others are counted.
const MAX_NEAR_MISSES: usize = 32;

/// Near misses, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Misses {
    pub(super) told: Vec<NearMiss>,
    pub(super) left_out: u32,
}

impl Misses {
    /// Adds a rule that nearly applied, if there is a reason why it did not.
    pub(super) fn add(&mut self, rule: &RuleId, version: u64, reason: Option<Missed>) {
        let Some(reason) = reason else { return };
        if self.told.len() == MAX_NEAR_MISSES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.told.push(NearMiss {
            rule: rule.clone(),
            version,
            reason,
        });
    }
}

/// Every term whose scope covers the line and that made no step, with the reason; and every break just not reached.
pub(super) fn near_misses<'a>(
    desk: &Desk<'a>,
    goods: Goods<'_>,
    row: Option<&ListRow>,
    ranked: &Ranked<'a>,
    (applied, steps): (&Applied<'a>, &[Step]),
) -> Misses {
    let line = Line {
        desk,
        goods,
        ranked,
        applied,
        steps,
    };
    let mut misses = Misses::default();
    if let Some(row) = row {
        let missed = row.price.missed(goods.units);
        let reason = missed.map(|at| Missed::Break { from: at.from });
        let reason = reason.filter(|reason| desk.tells(reason));
        misses.add(&row.rule, row.version, reason);
    }
    for_each_in_scope(&desk.hierarchy, goods, |candidate| {
        let (term, reason) = (candidate.term, line.missed(candidate));
        let reason = reason.filter(|reason| desk.tells(reason));
        misses.add(&term.rule, term.version, reason);
    });
    misses
}

fn is_same(one: &Term, other: &Term) -> bool {
    std::ptr::eq(one, other)
}

/// A line that has its price.
struct Line<'l, 'a> {
    desk: &'l Desk<'a>,
    goods: Goods<'l>,
    /// The terms that apply to it.
    ranked: &'l Ranked<'a>,
    applied: &'l Applied<'a>,
    steps: &'l [Step],
}

impl Line<'_, '_> {
    fn missed(&self, candidate: Candidate<'_>) -> Option<Missed> {
        let (term, units) = (candidate.term, self.goods.units);
        if self.applied.terms.iter().any(|other| is_same(other, term)) {
            return next_break(term, term.covered(units)).map(|from| Missed::Break { from });
        }
        if let Err(reason) = candidate.applies(units, self.desk) {
            return Some(reason);
        }
        if let Some(reason) = self.not_reckoned(term) {
            return Some(reason);
        }
        Some(match term.stage {
            Stage::Ceiling | Stage::Floor | Stage::Advertised => self.bound_not_passed(term),
            Stage::Standing | Stage::Agreed | Stage::Promotion => self.not_chosen(candidate),
        })
    }

    /// What a term would be reckoned with, and is not known.
    fn not_reckoned(&self, term: &Term) -> Option<Missed> {
        if needs_cost(term) && cost(self.goods.item, self.desk.currency, self.desk).is_none() {
            return Some(Missed::NoCost);
        }
        let Effect::Indexed(formula) = &term.effect else {
            return None;
        };
        let index = formula.index.clone();
        let Some(value) = self.desk.index(&index).map(|found| found.value) else {
            return Some(Missed::NoIndex { index });
        };
        let value_at = value.amount();
        matches!(formula.unit(value), Some(None)).then_some(Missed::IndexTooLow {
            index,
            value: value_at,
        })
    }

    /// The first bound of a stage that can be reckoned counts, and those behind it do not.
    fn bound_not_passed(&self, term: &Term) -> Missed {
        let bounds = of_stage(self.ranked, term.stage, false).into_iter();
        let mut reckoned = bounds.filter(|candidate| match &candidate.term.effect {
            Effect::Bound { at, .. } => unit_bound(*at, self.goods.item, self.desk).is_some(),
            Effect::Fixed(_)
            | Effect::Discount(_)
            | Effect::CostPlus(_)
            | Effect::Indexed(_)
            | Effect::ByValue(_) => false,
        });
        match reckoned.next() {
            Some(first) if !is_same(first.term, term) => Missed::Outranked {
                by: first.term.rule.clone(),
            },
            Some(_) | None => Missed::WithinBound,
        }
    }

    /// Why a stage did not choose a term that applies.
    fn not_chosen(&self, candidate: Candidate<'_>) -> Missed {
        let term = candidate.term;
        let mode = self.desk.hierarchy.precedence.of(term.stage);
        let here = of_stage(self.ranked, term.stage, mode.inheritance == Inheritance::Nearest);
        if let Some(nearer) = here.first().filter(|first| first.level < candidate.level)
            && mode.inheritance == Inheritance::Nearest
        {
            return Missed::Hidden {
                by: nearer.term.rule.clone(),
            };
        }
        let as_found = self.as_found_by(term.stage);
        let can = |term: &Term| can_be_applied(term, as_found);
        if !can(term) || self.applied.idle.iter().any(|other| is_same(other, term)) {
            return match as_found.amount {
                Some(_) if term.stage == Stage::Promotion => Missed::NotLower,
                Some(_) | None => Missed::NothingToDiscount,
            };
        }
        // Of a group only the first that can be applied is looked at, except where the first in rank is taken anyhow.
        let first_of_group = here
            .iter()
            .find(|other| other.term.group() == term.group() && can(other.term))
            .filter(|_| term.group().is_some() && mode.combination != Combination::FirstMatch);
        if let Some(first) = first_of_group.filter(|first| !is_same(first.term, term)) {
            return Missed::Outranked {
                by: first.term.rule.clone(),
            };
        }
        self.outranked(term)
    }

    /// The line as a stage found it.
    fn as_found_by(&self, stage: Stage) -> Standing<'_> {
        let first = match stage {
            Stage::Standing => StepKind::StandingDiscount,
            Stage::Agreed => StepKind::AgreedPrice,
            Stage::Promotion => StepKind::Promotion,
            Stage::Ceiling => StepKind::Ceiling,
            Stage::Floor | Stage::Advertised => StepKind::Floor,
        };
        Standing {
            units: self.goods.units,
            list: self.amount_before(StepKind::StandingDiscount),
            cost: cost(self.goods.item, self.desk.contract.currency, self.desk),
            amount: self.amount_before(first),
            indices: self.desk.indices(),
            volume: self.desk.volume,
        }
    }

    /// What the line came to before the first step of a kind.
    fn amount_before(&self, kind: StepKind) -> Option<Decimal> {
        let before = self.steps.iter().take_while(|step| step.kind < kind);
        before.last().map(|step| step.after)
    }

    /// By the one that was applied of its own priority, else by the last before it.
    fn outranked(&self, term: &Term) -> Missed {
        let applied = self
            .applied
            .terms
            .iter()
            .filter(|other| other.stage == term.stage);
        let by = applied
            .clone()
            .find(|other| other.priority() == term.priority())
            .or_else(|| applied.clone().rfind(|other| other.priority() > term.priority()))
            .or_else(|| applied.clone().next());
        by.map_or(Missed::NotLower, |by| Missed::Outranked { by: by.rule.clone() })
    }
}

/// One that overflows would have been in the way of the price.
fn can_be_applied(term: &Term, standing: Standing<'_>) -> bool {
    matches!(is_able(term, standing), Ok(true))
}

fn needs_cost(term: &Term) -> bool {
    match &term.effect {
        Effect::CostPlus(_)
        | Effect::Bound {
            at: Bound::Margin(_), ..
        } => true,
        Effect::Fixed(_)
        | Effect::Discount(_)
        | Effect::ByValue(_)
        | Effect::Indexed(_)
        | Effect::Bound {
            at: Bound::Price(_), ..
        } => false,
    }
}

fn next_break(term: &Term, units: i64) -> Option<PositiveQuantity> {
    match &term.effect {
        Effect::Fixed(scale) => scale.missed(units).map(|at| at.from),
        Effect::Discount(scale) => scale.missed(units).map(|at| at.from),
        Effect::CostPlus(scale) => scale.missed(units).map(|at| at.from),
        Effect::ByValue(_) | Effect::Indexed(_) | Effect::Bound { .. } => None,
    }
}
