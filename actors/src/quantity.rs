//! Quantities: whole base units, checked, bounded.
//!
//! Invariant: a quantity lies within ±[`Quantity::LIMIT`], so that a sum of millions of them still fits an `i64`.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// A number of base units, possibly negative.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Quantity(i64);

/// A quantity outside of what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quantity must be between {min} and {max} base units, not {found}")]
pub struct QuantityOutOfRange {
    /// The least allowed.
    pub min: i64,
    /// The most allowed.
    pub max: i64,
    /// What was given.
    pub found: i64,
}

impl Quantity {
    /// The largest amount, either way: 10^12 base units.
    pub const LIMIT: i64 = 1_000_000_000_000;
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Checks the range.
    ///
    /// # Errors
    /// [`QuantityOutOfRange`] outside ±[`Quantity::LIMIT`].
    pub const fn new(units: i64) -> Result<Self, QuantityOutOfRange> {
        if units < -Self::LIMIT || units > Self::LIMIT {
            return Err(QuantityOutOfRange {
                min: -Self::LIMIT,
                max: Self::LIMIT,
                found: units,
            });
        }
        Ok(Self(units))
    }

    /// The number of base units.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`QuantityOutOfRange`] if it is beyond the limit.
    pub const fn add(self, other: Self) -> Result<Self, QuantityOutOfRange> {
        Self::new(self.0 + other.0)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`QuantityOutOfRange`] if it is beyond the limit.
    pub const fn subtract(self, other: Self) -> Result<Self, QuantityOutOfRange> {
        Self::new(self.0 - other.0)
    }

    /// The sum, stopped at the limit: for `apply`, whose events were checked when they were decided.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp(-Self::LIMIT, Self::LIMIT))
    }

    /// The difference, stopped at the limit.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self((self.0 - other.0).clamp(-Self::LIMIT, Self::LIMIT))
    }

    /// This quantity, or zero if it is negative.
    #[must_use]
    pub fn at_least_zero(self) -> Self {
        Self(self.0.max(0))
    }

    /// As a positive quantity, if it is one.
    #[must_use]
    pub fn positive(self) -> Option<PositiveQuantity> {
        (self.0 > 0).then_some(PositiveQuantity(self.0))
    }
}

impl TryFrom<i64> for Quantity {
    type Error = QuantityOutOfRange;
    fn try_from(units: i64) -> Result<Self, QuantityOutOfRange> {
        Self::new(units)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// At least one base unit: what a command may ask for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct PositiveQuantity(i64);

impl PositiveQuantity {
    /// One base unit.
    pub const ONE: Self = Self(1);

    /// Checks the range.
    ///
    /// # Errors
    /// [`QuantityOutOfRange`] outside `1..=`[`Quantity::LIMIT`].
    pub const fn new(units: i64) -> Result<Self, QuantityOutOfRange> {
        if units < 1 || units > Quantity::LIMIT {
            return Err(QuantityOutOfRange {
                min: 1,
                max: Quantity::LIMIT,
                found: units,
            });
        }
        Ok(Self(units))
    }

    /// As a quantity.
    #[must_use]
    pub const fn get(self) -> Quantity {
        Quantity(self.0)
    }

    /// The number of base units.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for PositiveQuantity {
    type Error = QuantityOutOfRange;
    fn try_from(units: i64) -> Result<Self, QuantityOutOfRange> {
        Self::new(units)
    }
}

impl fmt::Display for PositiveQuantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for PositiveQuantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// Takes the first so many units of what is queued, the last of it in part. `quantity` is where each says how much it is.
pub fn take_first<T: Clone>(
    queue: &mut VecDeque<T>,
    mut units: Quantity,
    quantity: impl Fn(&mut T) -> &mut PositiveQuantity,
) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(first) = queue.front_mut()
        && let Some(part) = quantity(first).get().min(units).positive()
    {
        units = units.minus(part.get());
        let mut of_it = first.clone();
        *quantity(&mut of_it) = part;
        taken.push(of_it);
        match quantity(first).get().minus(part.get()).positive() {
            Some(left) => *quantity(first) = left,
            None => drop(queue.pop_front()),
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_refused_with_what_is_allowed() {
        assert!(Quantity::new(Quantity::LIMIT).is_ok());
        assert!(Quantity::new(Quantity::LIMIT + 1).is_err());
        assert!(Quantity::new(i64::MIN).is_err());
        let most = Quantity::new(Quantity::LIMIT).unwrap();
        assert!(most.add(Quantity::new(1).unwrap()).is_err());
        assert_eq!(most.plus(most), most);
        let error = PositiveQuantity::new(0).unwrap_err().to_string();
        assert_eq!(
            error,
            "a quantity must be between 1 and 1000000000000 base units, not 0"
        );
    }
}
