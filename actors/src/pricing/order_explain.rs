//! Why a rule on an order as a whole that nearly applied did not. Only computed when it is asked for.

use super::charge::{Charge, ChargeKind, Freight};
use super::explain::Misses;
use super::line::Desk;
use super::order_total::{discount_of, freight_of};
use super::rebate::Rebate;
use super::resolve::Missed;
use crate::ids::{FreightZone, RuleId};
use crate::money::Price;
use rust_decimal::Decimal;

/// What an order came to, as far as its rules ask for it.
pub(super) struct Came<'a> {
    /// The rules that apply, in their rank.
    pub(super) ranked: &'a [&'a Charge],
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
            let reason = if level.currency == desk.currency {
                missed(desk, charge, came)
            } else {
                Some(Missed::OtherCurrency {
                    currency: level.currency,
                })
            };
            misses.add(&charge.rule, charge.version, reason);
        }
    }
    let exemption = desk.contract.tax.as_ref().and_then(|tax| tax.exemption.as_ref());
    if let Some(exemption) = exemption
        && let Ok(certificate) = RuleId::new(exemption.certificate.as_str())
    {
        misses.add(&certificate, 0, Missed::of_dates(exemption.effective, desk.as_of));
    }
    misses
}

fn missed(desk: &Desk<'_>, charge: &Charge, came: &Came<'_>) -> Option<Missed> {
    if let Some(reason) = Missed::of_dates(charge.effective, desk.as_of) {
        return Some(reason);
    }
    let minimum = charge.minimum.amount();
    if came.goods < minimum {
        return Some(Missed::GoodsBelow { minimum });
    }
    match &charge.kind {
        ChargeKind::Discount(_) => behind(charge, discount_of(came.ranked)),
        ChargeKind::DiscountByValue(tiers) => {
            behind(charge, discount_of(came.ranked)).or_else(|| next_tier(tiers, came.goods))
        }
        ChargeKind::Freight(freight) => freight_missed(charge, freight, came),
        ChargeKind::Surcharge { below, .. } => {
            let below = below.map(Price::amount).filter(|below| *below <= came.net);
            below.map(|below| Missed::GoodsReach { below })
        }
        ChargeKind::Rebate(_) => None,
    }
}

fn freight_missed(charge: &Charge, freight: &Freight, came: &Came<'_>) -> Option<Missed> {
    if let Some(zone) = freight.zone.as_ref().filter(|zone| came.zone != Some(*zone)) {
        return Some(Missed::OtherZone { zone: zone.clone() });
    }
    let first = freight_of(came.ranked, came.zone).map(|(first, _)| first);
    let free_from = freight.free_from.map(Price::amount);
    behind(charge, first).or_else(|| {
        let from = free_from.filter(|from| came.net < *from)?;
        Some(Missed::NotFree { from })
    })
}

/// Of discounts and of freight only the first in rank counts.
fn behind(charge: &Charge, first: Option<&Charge>) -> Option<Missed> {
    let first = first.filter(|first| !std::ptr::eq(*first, charge))?;
    Some(Missed::Outranked {
        by: first.rule.clone(),
    })
}

fn next_tier(tiers: &Rebate, goods: Decimal) -> Option<Missed> {
    let mut starts = tiers.tiers.iter().map(|tier| tier.from.amount());
    let from = starts.find(|from| goods < *from)?;
    Some(Missed::NextTier { from })
}
