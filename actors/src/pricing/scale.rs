//! Price scales: a value that changes with the quantity of the line.
//!
//! Invariant of a scale that was checked: its breaks start at rising quantities.

use super::exact::{less, share, times};
use super::list::PriceRefusal;
use crate::money::{Markup, Percent, Price};
use crate::quantity::PositiveQuantity;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How many quantity breaks a row or term may have.
pub const MAX_BREAKS: usize = 16;

/// From a quantity on, another value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Break<V> {
    /// From this quantity on.
    pub from: PositiveQuantity,
    /// This price or discount.
    pub value: V,
}

/// Which units of a line a break is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakMode {
    /// All of them, once the quantity reaches it.
    #[default]
    AllUnits,
    /// Only those from the break on, up to the next.
    Graduated,
}

/// A price or discount, and what it becomes for larger quantities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale<V> {
    /// From the first unit on.
    pub base: V,
    /// For larger quantities, rising.
    pub breaks: Vec<Break<V>>,
    /// Which units a break is for.
    pub mode: BreakMode,
}

impl<V: Copy> Scale<V> {
    /// The same for every quantity.
    #[must_use]
    pub const fn flat(base: V) -> Self {
        Self::stepped(base, Vec::new())
    }

    /// With breaks for all units.
    #[must_use]
    pub const fn stepped(base: V, breaks: Vec<Break<V>>) -> Self {
        Self {
            base,
            breaks,
            mode: BreakMode::AllUnits,
        }
    }

    /// The break that a quantity reaches: the one with the highest threshold.
    #[must_use]
    pub fn reached(&self, units: i64) -> Option<&Break<V>> {
        self.breaks.iter().rev().find(|at| at.from.units() <= units)
    }

    /// The first break that a quantity does not reach.
    #[must_use]
    pub fn missed(&self, units: i64) -> Option<&Break<V>> {
        self.breaks.iter().find(|at| at.from.units() > units)
    }

    pub(super) fn check(&self) -> Result<(), PriceRefusal> {
        if self.breaks.len() > MAX_BREAKS {
            return Err(PriceRefusal::TooManyBreaks);
        }
        let rising = self.breaks.windows(2).all(|pair| pair[0].from < pair[1].from);
        if rising {
            Ok(())
        } else {
            Err(PriceRefusal::BreaksNotRising)
        }
    }

    /// What the breaks make of so many units; `None` inside if they reach none.
    fn summed(&self, units: i64, amount: impl Fn(V, i64) -> Option<Decimal>) -> Option<Option<Decimal>> {
        let Some(at) = self.reached(units) else {
            return Some(None);
        };
        match self.mode {
            BreakMode::AllUnits => amount(at.value, units),
            BreakMode::Graduated => self.tiers(units).try_fold(Decimal::ZERO, |sum, (value, count)| {
                sum.checked_add(amount(value, count)?)
            }),
        }
        .map(Some)
    }

    /// Each value with the number of units it is for, of a line of `units`.
    fn tiers(&self, units: i64) -> impl Iterator<Item = (V, i64)> {
        let starts =
            std::iter::once((1, self.base)).chain(self.breaks.iter().map(|at| (at.from.units(), at.value)));
        let ends = self
            .breaks
            .iter()
            .map(|at| at.from.units() - 1)
            .chain(std::iter::once(i64::MAX));
        starts
            .zip(ends)
            .map(move |((start, value), end)| (value, end.min(units) - start + 1))
            .filter(|&(_, count)| count > 0)
    }
}

impl Scale<Price> {
    /// What so many units cost without any break.
    #[must_use]
    pub fn plain(&self, units: i64) -> Option<Decimal> {
        times(self.base.amount(), Decimal::from(units))
    }

    /// What so many units cost by their breaks; `None` inside if they reach none.
    #[must_use]
    pub fn broken(&self, units: i64) -> Option<Option<Decimal>> {
        self.summed(units, |price, count| times(price.amount(), Decimal::from(count)))
    }
}

impl Scale<Markup> {
    /// What so many units of this cost come to without any break.
    #[must_use]
    pub fn plain(&self, cost: Decimal, units: i64) -> Option<Decimal> {
        marked_up(cost, self.base, units)
    }

    /// What so many units of this cost come to by their breaks; `None` inside if they reach none.
    #[must_use]
    pub fn broken(&self, cost: Decimal, units: i64) -> Option<Option<Decimal>> {
        self.summed(units, |markup, count| marked_up(cost, markup, count))
    }
}

fn marked_up(cost: Decimal, markup: Markup, units: i64) -> Option<Decimal> {
    times(times(cost, Decimal::from(units))?, markup.factor()?)
}

impl Scale<Percent> {
    /// What is left of the amount of so many units.
    #[must_use]
    pub fn off(&self, amount: Decimal, units: i64) -> Option<Decimal> {
        match (self.reached(units), self.mode) {
            (None, _) => less(amount, self.base),
            (Some(at), BreakMode::AllUnits) => less(amount, at.value),
            (Some(_), BreakMode::Graduated) => self.graduated(amount, units),
        }
    }

    /// Each tier's share of the amount, less its discount; the last takes what is left, so that nothing is lost.
    fn graduated(&self, amount: Decimal, units: i64) -> Option<Decimal> {
        let (mut rest, mut left, mut sum) = (amount, units, Decimal::ZERO);
        for (percent, count) in self.tiers(units) {
            left -= count;
            let part = if left == 0 {
                rest
            } else {
                share(amount, count, units)?
            };
            rest = rest.checked_sub(part)?;
            sum = sum.checked_add(less(part, percent)?)?;
        }
        Some(sum)
    }
}
