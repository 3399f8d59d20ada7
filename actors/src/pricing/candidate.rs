//! Which terms are for a line, and which of two comes first.
//!
//! The rank is total: of two different terms for one line, one always comes before the other, in whatever order they
//! were loaded. Priority first, then nearness in the hierarchy, then how specific the scope is, then the latest start,
//! the higher version, the greater rule id; within a level no two terms are alike in all of these.

use super::hierarchy::Hierarchy;
use super::line::{Desk, Goods};
use super::resolve::Missed;
use super::term::{Bound, Effect, Maximum, ScopeKey, Stage, Term};
use crate::money::Currency;
use smallvec::SmallVec;
use std::cmp::Ordering;

/// A term whose scope covers a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) term: &'a Term,
    pub(super) level: usize,
    /// The higher, the more specific its scope.
    specificity: usize,
    /// In which its amounts are.
    currency: Currency,
}

/// Terms in their rank, the first first.
pub(super) type Ranked<'a> = SmallVec<[Candidate<'a>; 8]>;

const SKU: usize = usize::MAX;
const PRODUCT: usize = SKU - 1;
const BRAND: usize = PRODUCT - 1;
const NEAREST_CATEGORY: usize = BRAND - 1;
const EVERYTHING: usize = 0;

/// Visits every term whose scope covers the line, whether it applies or not.
pub(super) fn for_each_in_scope<'a>(
    hierarchy: &Hierarchy<'a>,
    goods: Goods<'_>,
    mut visit: impl FnMut(Candidate<'a>),
) {
    for (level, of) in hierarchy.levels.iter().enumerate() {
        if of.terms.as_slice().is_empty() {
            continue;
        }
        let mut take = |key: ScopeKey<'_>, specificity: usize| {
            for term in of.terms.of(key) {
                visit(Candidate {
                    term,
                    level,
                    specificity,
                    currency: of.currency,
                });
            }
        };
        take(ScopeKey::Sku(goods.sku), SKU);
        if let Some(item) = goods.item {
            item.product
                .iter()
                .for_each(|product| take(ScopeKey::Product(product), PRODUCT));
            item.brand
                .iter()
                .for_each(|brand| take(ScopeKey::Brand(brand), BRAND));
            for (place, category) in item.categories.iter().enumerate() {
                take(ScopeKey::Category(category), NEAREST_CATEGORY - place);
            }
        }
        take(ScopeKey::Everything, EVERYTHING);
    }
}

impl Candidate<'_> {
    /// Whether it applies to so many units, or why not.
    pub(super) fn applies(&self, units: i64, desk: &Desk<'_>) -> Result<(), Missed> {
        if let Some(reason) = Missed::of_dates(self.term.effective, desk.as_of) {
            return Err(reason);
        }
        let currency = match &self.term.effect {
            Effect::Fixed(_) | Effect::Indexed(_) | Effect::ByValue(_) => Some(desk.contract.currency),
            // A bound is held against the price in the currency that is asked for.
            Effect::Bound {
                at: Bound::Price(_), ..
            } => Some(desk.currency),
            Effect::Discount(_)
            | Effect::CostPlus(_)
            | Effect::Bound {
                at: Bound::Margin(_), ..
            } => None,
        };
        if currency.is_some_and(|currency| currency != self.currency) {
            return Err(Missed::OtherCurrency {
                currency: self.currency,
            });
        }
        let Some(conditions) = &self.term.conditions else {
            return Ok(());
        };
        if let Some(minimum) = conditions.minimum.filter(|minimum| units < minimum.units()) {
            return Err(Missed::BelowMinimum { minimum });
        }
        if let Some(coupon) = conditions
            .coupon
            .as_ref()
            .filter(|coupon| !desk.coupons.contains(coupon))
        {
            return Err(Missed::NoCoupon {
                coupon: coupon.clone(),
            });
        }
        if let Some(budget) = &conditions.budget {
            desk.has_left(budget)?;
        }
        match conditions.maximum {
            Some(Maximum::WholeLine(maximum)) if units > maximum.units() => {
                Err(Missed::AboveMaximum { maximum })
            }
            Some(Maximum::WholeLine(_) | Maximum::Capped(_)) | None => Ok(()),
        }
    }

    /// The order of precedence.
    fn rank(&self, other: &Self) -> Ordering {
        let start = |candidate: &Self| candidate.term.effective.from;
        let priority = other.term.priority().cmp(&self.term.priority());
        priority
            .then_with(|| self.level.cmp(&other.level))
            .then_with(|| other.specificity.cmp(&self.specificity))
            .then_with(|| start(other).cmp(&start(self)))
            .then_with(|| other.term.version.cmp(&self.term.version))
            .then_with(|| other.term.rule.cmp(&self.term.rule))
    }
}

/// The terms that apply to a line, in their rank.
pub(super) fn rank<'a>(desk: &Desk<'a>, goods: Goods<'_>) -> Ranked<'a> {
    let mut ranked = Ranked::new();
    for_each_in_scope(&desk.hierarchy, goods, |candidate| {
        if candidate.applies(goods.units, desk).is_ok() {
            ranked.push(candidate);
        }
    });
    ranked.sort_unstable_by(Candidate::rank);
    ranked
}

/// Those of a stage, without those that a nearer level hides.
pub(super) fn of_stage<'a>(ranked: &Ranked<'a>, stage: Stage, nearest_only: bool) -> Ranked<'a> {
    let here = |candidate: &&Candidate<'a>| candidate.term.stage == stage;
    let nearest = ranked
        .iter()
        .filter(here)
        .map(|candidate| candidate.level)
        .min()
        .filter(|_| nearest_only);
    ranked
        .iter()
        .filter(here)
        .filter(|candidate| nearest.is_none_or(|level| candidate.level == level))
        .copied()
        .collect()
}
