//! By which thresholds a drift is let be, repaired, or raised.

use crate::money::{Percent, Price};
use crate::quantity::Quantity;
use rust_decimal::Decimal;
use rust_decimal::prelude::{RoundingStrategy, ToPrimitive};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The house's thresholds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconciliationRules {
    /// A drift of so many units is let be, whatever the books say.
    pub tolerated_units: u32,
    /// A drift of at most so much of what the books say is let be.
    pub tolerated_percent: Percent,
    /// A drift of more than so much of what the books say is a person's to settle.
    pub raised_percent: Percent,
    /// A drift that is worth more is a person's to settle, in units of currency.
    pub raised_value: Price,
    /// How long a message may be under way from the other system to here, in seconds.
    pub grace_seconds: u32,
}

impl Default for ReconciliationRules {
    /// 1 unit, 0.5 %, 5 %, 1,000, five minutes.
    fn default() -> Self {
        Self {
            tolerated_units: 1,
            tolerated_percent: Percent::new(Decimal::new(5, 1)).unwrap_or_default(),
            raised_percent: Percent::new(Decimal::from(5)).unwrap_or_default(),
            raised_value: Price::new(Decimal::from(1_000)).unwrap_or_default(),
            grace_seconds: 300,
        }
    }
}

impl ReconciliationRules {
    /// How long a message may be under way from the other system to here.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds.into())
    }

    /// Whether a drift is small enough to be let be.
    pub(super) fn tolerate(&self, drift: Quantity, books: Quantity) -> bool {
        let share = share(books, self.tolerated_percent);
        drift.units().abs() <= share.max(self.tolerated_units.into())
    }

    /// Whether a drift is too much to be repaired unseen.
    pub(super) fn raise(&self, drift: Quantity, books: Quantity, unit_value: Option<Price>) -> bool {
        let units = drift.units().abs();
        let is_dear = unit_value.is_some_and(|value| {
            let value = value.amount().checked_mul(Decimal::from(units));
            value.is_none_or(|value| value > self.raised_value.amount())
        });
        is_dear || units > share(books, self.raised_percent)
    }
}

/// So many percent of what the books say, in whole units, rounded down.
fn share(books: Quantity, percent: Percent) -> i64 {
    // At most 10^12 units and six digits of percent: exact.
    let part = Decimal::from(books.units().abs()) * percent.get() * Decimal::new(1, 2);
    let part = part.round_dp_with_strategy(0, RoundingStrategy::ToZero);
    part.to_i64().unwrap_or(i64::MAX)
}
