//! Why a rule on an order as a whole that nearly applied did not. Only computed when it is asked for.

use super::charge::{Charge, ChargeKind, Freight};
use super::explain::Misses;
use super::line::Desk;
use super::order_total::{Ruling, discount_of, freight_of};
use super::rebate::Rebate;
use super::resolve::Missed;
use crate::ids::{FreightZone, RuleId};
use rust_decimal::Decimal;

/// What an order came to, as far as its rules ask for it.
pub(super) struct Came<'a> {
    /// The rules that apply, in their rank.
    pub(super) ranked: &'a [Ruling<'a>],
    /// The freight that counts.
    pub(super) freight: Option<Ruling<'a>>,
    /// Where it goes to.
    pub(super) zone: Option<&'a FreightZone>,
    pub(super) goods: Decimal,
    /// The goods less the order's discount.
    pub(super) net: Decimal,
}

/// Every rule that did nothing to the order, and every threshold just not reached, with the reason.
pub(super) fn order_misses(desk: &Desk<'_>, came: &Came<'_>) -> Misses {
    let mut misses = Misses::default();
    for level in &desk.hierarchy.levels {
        for charge in level.charges {
            let rule = Ruling {
                charge,
                currency: level.currency,
            };
            let reason = if rule.counts(desk) {
                missed(desk, rule, came)
            } else {
                Some(Missed::OtherCurrency {
                    currency: level.currency,
                })
            };
            let reason = reason.filter(|reason| desk.tells(reason));
            misses.add(&charge.rule, charge.version, reason);
        }
    }
    let exemption = desk.tax.as_ref().and_then(|tax| tax.exemption.as_ref());
    if let Some(exemption) = exemption
        && let Ok(certificate) = RuleId::new(exemption.certificate.as_str())
    {
        let reason = Missed::of_dates(exemption.effective, desk.as_of);
        misses.add(&certificate, 0, reason.filter(|reason| desk.tells(reason)));
    }
    misses
}

fn missed(desk: &Desk<'_>, rule: Ruling<'_>, came: &Came<'_>) -> Option<Missed> {
    let charge = rule.charge;
    if let Err(reason) = rule.applies(desk) {
        return Some(reason);
    }
    let minimum = rule.asked(desk, charge.minimum);
    if came.goods < minimum {
        return Some(Missed::GoodsBelow { minimum });
    }
    match &charge.kind {
        ChargeKind::Discount(_) => behind(charge, discount_of(came.ranked)),
        ChargeKind::DiscountByValue(tiers) => {
            behind(charge, discount_of(came.ranked)).or_else(|| next_tier(desk, rule, tiers, came.goods))
        }
        ChargeKind::Freight(freight) => freight_missed(desk, rule, freight, came),
        ChargeKind::Surcharge { below, .. } => {
            let below = below.map(|below| rule.asked(desk, below));
            let below = below.filter(|below| *below <= came.net);
            below.map(|below| Missed::GoodsReach { below })
        }
        ChargeKind::Rebate(_) => None,
    }
}

fn freight_missed(desk: &Desk<'_>, rule: Ruling<'_>, freight: &Freight, came: &Came<'_>) -> Option<Missed> {
    if let Some(zone) = freight.zone.as_ref().filter(|zone| came.zone != Some(*zone)) {
        return Some(Missed::OtherZone { zone: zone.clone() });
    }
    let ranked = freight_of(came.ranked, came.zone).map(|(first, _)| first);
    let first = came.freight.or(ranked);
    // What a budget would pay for, and would not make cheaper.
    let is_first = ranked.is_some_and(|ranked| std::ptr::eq(ranked.charge, rule.charge));
    let counts = came
        .freight
        .is_some_and(|counts| std::ptr::eq(counts.charge, rule.charge));
    if is_first && !counts {
        return Some(Missed::NotLower);
    }
    let free_from = freight.free_from.map(|from| rule.asked(desk, from));
    behind(rule.charge, first).or_else(|| {
        let from = free_from.filter(|from| came.net < *from)?;
        Some(Missed::NotFree { from })
    })
}

/// Of discounts and of freight only the first in rank counts.
fn behind(charge: &Charge, first: Option<Ruling<'_>>) -> Option<Missed> {
    let first = first.filter(|first| !std::ptr::eq(first.charge, charge))?;
    Some(Missed::Outranked {
        by: first.charge.rule.clone(),
    })
}

fn next_tier(desk: &Desk<'_>, rule: Ruling<'_>, tiers: &Rebate, goods: Decimal) -> Option<Missed> {
    let mut starts = tiers.tiers.iter().map(|tier| rule.asked(desk, tier.from));
    let from = starts.find(|from| goods < *from)?;
    Some(Missed::NextTier { from })
}
