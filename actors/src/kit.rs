//! Kits: goods that are sold as one and kept as their components.
//!
//! Invariant: a kit has no stock of its own. There are so many of it in a warehouse as whole sets of its components lie there.

use crate::ids::Sku;
use crate::quantity::{PositiveQuantity, Quantity};
use serde::{Deserialize, Serialize};

/// How many components a kit may have.
pub const MAX_COMPONENTS: usize = 16;
/// How many base units of a component may be in one kit. With the largest line of an order (10^7) that is as much as a
/// quantity may be.
pub const MAX_PER_KIT: i64 = 100_000;

/// What is in a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What. It is taken as goods that lie in the warehouse, also where it is a kit itself.
    pub sku: Sku,
    /// How many base units of it are in one kit; at most [`MAX_PER_KIT`].
    pub per_kit: PositiveQuantity,
}

impl Component {
    /// How many kits so many units of it are enough for.
    fn kits_of(&self, units: Quantity) -> Quantity {
        let kits = units.units().max(0) / self.per_kit.units();
        // Not more than there were units.
        Quantity::new(kits).unwrap_or(units)
    }

    /// How many units of it so many kits take.
    #[must_use]
    pub fn units_of(&self, kits: Quantity) -> Quantity {
        let units = i128::from(kits.units()) * i128::from(self.per_kit.units());
        let most = i128::from(Quantity::LIMIT);
        let units = i64::try_from(units.clamp(-most, most)).unwrap_or(Quantity::LIMIT);
        Quantity::new(units).unwrap_or_default()
    }
}

/// How many whole kits so many units of each component make; none without components.
#[must_use]
pub fn whole_kits(components: &[Component], units: impl Fn(&Component) -> Quantity) -> Quantity {
    let kits = components
        .iter()
        .map(|component| component.kits_of(units(component)));
    kits.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s41_the_component_that_is_soonest_used_up_says_how_many_kits_there_are() {
        let component = |sku: &str, per_kit| Component {
            sku: Sku::new(sku).unwrap(),
            per_kit: PositiveQuantity::new(per_kit).unwrap(),
        };
        let kit = [component("A", 2), component("B", 1)];
        let cases = [
            ((9, 3), 3),
            ((3, 0), 0),
            ((5, 3), 2),
            ((1, 3), 0),
            ((-4, 3), 0),
            ((0, 0), 0),
        ];
        for ((a, b), kits) in cases {
            let units = |component: &Component| {
                let units = if component.sku.as_str() == "A" { a } else { b };
                Quantity::new(units).unwrap()
            };
            assert_eq!(whole_kits(&kit, units).units(), kits, "{a} {b}");
        }
        assert_eq!(whole_kits(&[], |_| Quantity::new(5).unwrap()), Quantity::ZERO);
        let most = component("A", MAX_PER_KIT);
        let line = Quantity::new(crate::pricing::resolve::MAX_LINE_QUANTITY).unwrap();
        assert_eq!(most.units_of(line).units(), Quantity::LIMIT);
    }
}
