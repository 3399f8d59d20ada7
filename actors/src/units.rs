//! Units of measure: how many base units a quantity in another unit is, exactly.
//!
//! Invariant: nothing is rounded. A quantity that is no whole number of base units is refused.

use crate::ids::UnitOfMeasure;
use crate::quantity::{PositiveQuantity, Quantity};
use serde::{Deserialize, Serialize};

/// How large a unit is: `of` of it are `base_units` base units. A case of 24 is 24 of 1; where 2 pounds are 5 base units, it is
/// 5 of 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSize {
    /// How many base units.
    pub base_units: PositiveQuantity,
    /// How many of the unit.
    pub of: PositiveQuantity,
}

/// Why a quantity is none in base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum UnitRefusal {
    /// The catalogue does not say how large the unit is for this SKU.
    #[error("unit: the catalogue does not say how many base units a {0} is for this SKU")]
    Unknown(UnitOfMeasure),
    /// Something would be left over.
    #[error("quantity: {quantity} {unit} is no whole number of base units")]
    NotWhole {
        /// The quantity.
        quantity: Quantity,
        /// The unit.
        unit: UnitOfMeasure,
    },
    /// More than a quantity may be.
    #[error("quantity: {quantity} {unit} is more than 10^12 base units")]
    TooMuch {
        /// The quantity.
        quantity: Quantity,
        /// The unit.
        unit: UnitOfMeasure,
    },
}

/// A unit and how large it is.
#[derive(Clone, Copy, Debug)]
pub struct SizedUnit<'u> {
    /// The unit.
    pub unit: &'u UnitOfMeasure,
    /// How large it is.
    pub size: UnitSize,
}

impl SizedUnit<'_> {
    /// How many base units `quantity` of it is.
    ///
    /// # Errors
    /// [`UnitRefusal`] if that is no whole number, or too much.
    pub fn base_units(self, quantity: Quantity) -> Result<Quantity, UnitRefusal> {
        let unit = || self.unit.clone();
        let product = i128::from(quantity.units()) * i128::from(self.size.base_units.units());
        let of = i128::from(self.size.of.units());
        if product % of != 0 {
            return Err(UnitRefusal::NotWhole {
                quantity,
                unit: unit(),
            });
        }
        let units = i64::try_from(product / of).ok();
        let units = units.and_then(|units| Quantity::new(units).ok());
        units.ok_or_else(|| UnitRefusal::TooMuch {
            quantity,
            unit: unit(),
        })
    }

    /// The same of a positive quantity.
    ///
    /// # Errors
    /// [`UnitRefusal`] if that is no whole number, or too much.
    pub fn positive(self, quantity: PositiveQuantity) -> Result<PositiveQuantity, UnitRefusal> {
        let units = self.base_units(quantity.get())?;
        // A positive number times a positive factor, exactly.
        units.positive().ok_or_else(|| UnitRefusal::NotWhole {
            quantity: quantity.get(),
            unit: self.unit.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_converts_exactly_or_not_at_all() {
        let unit = UnitOfMeasure::new("U").unwrap();
        let positive = |units| PositiveQuantity::new(units).unwrap();
        // So many of the unit are so many base units; a quantity of it, and what that is.
        let cases = [
            (1, 24, 3, Some(72)),
            (2, 5, 4, Some(10)),
            (2, 5, 3, None),
            (2, 5, 0, Some(0)),
            (2, 5, -2, Some(-5)),
            (3, 1, 9, Some(3)),
            (3, 1, 10, None),
            (1, 1_000_000_000_000, 2, None),
        ];
        for (of, base_units, quantity, expected) in cases {
            let size = UnitSize {
                base_units: positive(base_units),
                of: positive(of),
            };
            let sized = SizedUnit { unit: &unit, size };
            let found = sized.base_units(Quantity::new(quantity).unwrap());
            assert_eq!(
                found.ok().map(Quantity::units),
                expected,
                "{quantity} of {base_units}/{of}"
            );
        }
        let size = UnitSize {
            base_units: positive(5),
            of: positive(2),
        };
        let refused = SizedUnit { unit: &unit, size }.positive(positive(3)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "quantity: 3 U is no whole number of base units"
        );
    }
}
