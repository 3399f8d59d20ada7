//! What a value earns by tiers: rebates by volume, which accrue beside the invoice and never on it, and discounts by value.

use super::exact::times;
use super::list::PriceRefusal;
use crate::ids::RuleId;
use crate::money::{Percent, Price};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How many tiers a rebate may have.
pub const MAX_TIERS: usize = 16;

/// A rebate by the volume of a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rebate {
    /// From which volume on which percentage, rising; the first from zero.
    pub tiers: Vec<Tier>,
    /// What a tier is for.
    pub mode: RebateMode,
}

/// From a volume on, a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// From this volume on.
    pub from: Price,
    /// This much of it.
    pub percent: Percent,
}

/// What a tier is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebateMode {
    /// The volume from its start on.
    #[default]
    Incremental,
    /// The whole volume, once it is reached.
    Retroactive,
}

impl Rebate {
    pub(super) fn check(&self, rule: &RuleId) -> Result<(), PriceRefusal> {
        let starts = self
            .tiers
            .first()
            .is_some_and(|tier| tier.from.amount() == Decimal::ZERO);
        let rises = self.tiers.windows(2).all(|pair| pair[0].from < pair[1].from);
        if starts && rises && self.tiers.len() <= MAX_TIERS {
            return Ok(());
        }
        Err(PriceRefusal::RebateTiers { rule: rule.clone() })
    }

    /// What a volume has earned, to ten decimals.
    #[must_use]
    pub fn earned(&self, volume: Decimal) -> Option<Decimal> {
        let reached = |tier: &&Tier| tier.from.amount() <= volume;
        match self.mode {
            RebateMode::Retroactive => self.rate_at(volume, volume),
            RebateMode::Incremental => {
                let ends = self.tiers.iter().skip(1).map(|tier| tier.from.amount());
                let ends = ends.chain(std::iter::once(Decimal::MAX));
                let tiers = self.tiers.iter().zip(ends).filter(|(tier, _)| reached(tier));
                tiers.into_iter().try_fold(Decimal::ZERO, |sum, (tier, end)| {
                    let within = end.min(volume).checked_sub(tier.from.amount())?;
                    sum.checked_add(part(within, tier.percent)?)
                })
            }
        }
    }

    /// So much of an amount as the tier that a volume reaches says, to ten decimals.
    #[must_use]
    pub fn rate_at(&self, amount: Decimal, volume: Decimal) -> Option<Decimal> {
        let reached = |tier: &&Tier| tier.from.amount() <= volume;
        let tier = self.tiers.iter().rev().find(reached);
        tier.map_or(Some(Decimal::ZERO), |tier| part(amount, tier.percent))
    }

    /// What more of it accrues when a volume grows by a value.
    #[must_use]
    pub fn accrues(&self, volume: Decimal, value: Decimal) -> Option<Decimal> {
        self.earned(volume.checked_add(value)?)?
            .checked_sub(self.earned(volume)?)
    }
}

fn part(amount: Decimal, percent: Percent) -> Option<Decimal> {
    let mut factor = percent.get();
    factor.set_scale(factor.scale() + 2).ok()?;
    times(amount, factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rebate(mode: RebateMode) -> Rebate {
        let tier = |from: i64, percent: i64| Tier {
            from: Price::new(Decimal::from(from)).unwrap(),
            percent: Percent::new(Decimal::from(percent)).unwrap(),
        };
        Rebate {
            tiers: vec![tier(0, 1), tier(50_000, 2)],
            mode,
        }
    }

    #[test]
    fn s19_retroactive_and_incremental() {
        let (volume, order) = (Decimal::from(49_000), Decimal::from(3_000));
        let retroactive = rebate(RebateMode::Retroactive);
        assert_eq!(retroactive.accrues(volume, order), Some(Decimal::from(550)));
        let incremental = rebate(RebateMode::Incremental);
        assert_eq!(incremental.accrues(volume, order), Some(Decimal::from(50)));
        // What comes back takes the same with it.
        for rebate in [retroactive, incremental] {
            let accrued = rebate.accrues(volume, order).unwrap();
            assert_eq!(rebate.accrues(volume + order, -order), Some(-accrued));
        }
    }

    proptest! {
        #[test]
        fn what_accrues_order_by_order_is_what_the_volume_earns(cents in proptest::collection::vec(1_i64..3_000_000, 1..12)) {
            for mode in [RebateMode::Retroactive, RebateMode::Incremental] {
                let rebate = rebate(mode);
                let (mut volume, mut accrued) = (Decimal::ZERO, Decimal::ZERO);
                for value in &cents {
                    let value = Decimal::new(*value, 2);
                    accrued += rebate.accrues(volume, value).unwrap();
                    volume += value;
                }
                prop_assert_eq!(Some(accrued), rebate.earned(volume));
            }
        }
    }
}
