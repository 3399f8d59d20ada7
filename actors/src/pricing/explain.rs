//! Why a rule that nearly applied did not. Only computed when it is asked for.

use super::bound::cost;
use super::candidate::{Candidate, for_each_in_scope};
use super::line::{Applied, Desk, Goods};
use super::list::ListRow;
use super::resolve::{Missed, NearMiss};
use super::term::{Bound, Effect, Stage, Term};
use crate::quantity::PositiveQuantity;

/// How many near misses are told of a line: the nearest level's first.
const MAX_NEAR_MISSES: usize = 32;

/// Every term whose scope covers the line and that made no step, with the reason; and every break just not reached.
pub(super) fn near_misses(
    desk: &Desk<'_>,
    goods: Goods<'_>,
    row: Option<&ListRow>,
    applied: &Applied<'_>,
) -> Vec<NearMiss> {
    let units = goods.units;
    let mut found = Vec::new();
    if let Some(row) = row
        && let Some(at) = row.price.missed(units)
    {
        found.push(NearMiss {
            rule: row.rule.clone(),
            version: row.version,
            reason: Missed::Break { from: at.from },
        });
    }
    for_each_in_scope(&desk.hierarchy, goods, |candidate| {
        if found.len() < MAX_NEAR_MISSES
            && let Some(reason) = missed(desk, candidate, goods, applied)
        {
            found.push(NearMiss {
                rule: candidate.term.rule.clone(),
                version: candidate.term.version,
                reason,
            });
        }
    });
    found
}

fn missed(
    desk: &Desk<'_>,
    candidate: Candidate<'_>,
    goods: Goods<'_>,
    applied: &Applied<'_>,
) -> Option<Missed> {
    let (term, units) = (candidate.term, goods.units);
    if applied.iter().any(|other| std::ptr::eq(*other, term)) {
        return next_break(term, term.covered(units)).map(|from| Missed::Break { from });
    }
    if let Err(reason) = candidate.applies(units, desk) {
        return Some(reason);
    }
    if needs_cost(term) && cost(goods.item, desk.currency, desk).is_none() {
        return Some(Missed::NoCost);
    }
    if let Effect::Indexed(formula) = &term.effect
        && desk.index(&formula.index).is_none()
    {
        return Some(Missed::NoIndex {
            index: formula.index.clone(),
        });
    }
    let winner = applied.iter().find(|other| other.stage == term.stage);
    Some(match (winner, term.stage) {
        (Some(winner), _) => Missed::Outranked {
            by: winner.rule.clone(),
        },
        (None, Stage::Promotion) => Missed::NotLower,
        (None, Stage::Ceiling | Stage::Floor | Stage::Advertised) => Missed::WithinBound,
        (None, Stage::Standing | Stage::Agreed) => Missed::NothingToDiscount,
    })
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
