//! How the parts of a line stand, counted in the line itself: of goods in base units, of a kit in whole kits.
//!
//! Invariants:
//! - of goods each allocation is a part; of a kit, all its components that were asked of a warehouse at once;
//! - a kit is held, picked or shipped as far as each of its components is.

use super::command::OrderLine;
use super::state::{Allocation, AllocationStanding, Placed};
use crate::ids::{Sku, WarehouseCode};
use crate::inventory::lots::LotUnits;
use crate::kit::{Component, whole_kits};
use crate::quantity::Quantity;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A part of a line at a warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where.
    pub warehouse: WarehouseCode,
    /// The attempt at reserving.
    pub attempt: u16,
    /// How much is granted, shipped or not.
    pub held: Quantity,
    /// How much waits for goods.
    pub waiting: Quantity,
    /// How much the warehouse was told to begin with, shipped or not.
    pub released: Quantity,
    /// How much the warehouse has had in hand, shipped or not.
    pub picked: Quantity,
    /// How much has left the house.
    pub shipped: Quantity,
}

/// The parts of a line; few have more than two.
pub type Parts = SmallVec<[Part; 2]>;

impl Part {
    /// How much is held and still in the house.
    #[must_use]
    pub fn open(&self) -> Quantity {
        self.held.minus(self.shipped)
    }

    fn of_goods(allocation: &Allocation) -> Self {
        Self {
            warehouse: allocation.warehouse,
            attempt: allocation.attempt,
            held: granted(allocation),
            waiting: allocation.waiting(),
            released: allocation.released,
            picked: allocation.picked,
            shipped: allocation.shipped,
        }
    }

    fn of_kit(line: &OrderLine, warehouse: WarehouseCode, attempt: u16, allocations: &[Allocation]) -> Self {
        let is_here = |part: &&Allocation| {
            part.line == line.line && part.warehouse == warehouse && part.attempt == attempt
        };
        let kits = |units: fn(&Allocation) -> Quantity| {
            whole_kits(&line.components, |component| {
                let mut of_component = allocations.iter().filter(is_here);
                of_component
                    .find(|part| part.component.as_ref() == Some(&component.sku))
                    .map_or(Quantity::ZERO, units)
            })
        };
        let held = kits(granted);
        Self {
            warehouse,
            attempt,
            held,
            waiting: kits(|part| granted(part).plus(part.waiting())).minus(held),
            released: kits(|part| part.released),
            picked: kits(|part| part.picked),
            shipped: kits(|part| part.shipped),
        }
    }
}

/// What of an allocation is granted, shipped or not; of one that was given back what has left.
fn granted(allocation: &Allocation) -> Quantity {
    match allocation.standing {
        AllocationStanding::Held | AllocationStanding::Shipping | AllocationStanding::Shipped => {
            allocation.held
        }
        AllocationStanding::Releasing | AllocationStanding::Released => allocation.shipped,
        AllocationStanding::Asked | AllocationStanding::Refused => Quantity::ZERO,
    }
}

/// How a component of a kit line stands, in its own base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSummary {
    /// What.
    pub sku: Sku,
    /// How many are in one kit.
    pub per_kit: Quantity,
    /// How much is held and still in the house.
    pub reserved: Quantity,
    /// How much has left the house.
    pub shipped: Quantity,
    /// How much waits for goods to come.
    pub backordered: Quantity,
    /// How much came back, in kits or alone.
    pub returned: Quantity,
    /// Of which lots what has left was, as far as it is kept by lot or serial number.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
}

impl Placed {
    /// The parts of a line, in the order in which they were asked for.
    #[must_use]
    pub fn parts(&self, line: u16) -> Parts {
        let of_line = self.allocations.iter().filter(|part| part.line == line);
        let kit = self.line(line).filter(|line| !line.components.is_empty());
        let Some(kit) = kit else {
            return of_line.map(Part::of_goods).collect();
        };
        let mut parts = Parts::new();
        for allocation in of_line {
            let (warehouse, attempt) = (allocation.warehouse, allocation.attempt);
            let is_known = |part: &Part| part.warehouse == warehouse && part.attempt == attempt;
            if !parts.iter().any(is_known) {
                parts.push(Part::of_kit(kit, warehouse, attempt, &self.allocations));
            }
        }
        parts
    }

    /// A line as it was taken.
    #[must_use]
    pub fn line(&self, line: u16) -> Option<&OrderLine> {
        self.request.lines.iter().find(|known| known.line == line)
    }

    /// What an allocation is of.
    #[must_use]
    pub fn sku<'a>(&'a self, allocation: &'a Allocation) -> Option<&'a Sku> {
        let of_line = || self.line(allocation.line).map(|line| &line.sku);
        allocation.component.as_ref().or_else(of_line)
    }

    /// How many base units of what an allocation is of so much of its line takes.
    pub(super) fn units_of(&self, allocation: &Allocation, quantity: Quantity) -> Quantity {
        let Some(sku) = &allocation.component else {
            return quantity;
        };
        let line = self.line(allocation.line);
        let component = line.and_then(|line| line.components.iter().find(|component| component.sku == *sku));
        component.map_or(Quantity::ZERO, |component| component.units_of(quantity))
    }

    fn sum(&self, line: u16, of: fn(&Part) -> Quantity) -> Quantity {
        let parts = self.parts(line);
        parts.iter().fold(Quantity::ZERO, |sum, part| sum.plus(of(part)))
    }

    /// How much of a line is granted, shipped or not.
    #[must_use]
    pub fn held(&self, line: u16) -> Quantity {
        self.sum(line, |part| part.held)
    }

    /// How much of a line waits for goods.
    #[must_use]
    pub fn waiting(&self, line: u16) -> Quantity {
        self.sum(line, |part| part.waiting)
    }

    /// How much of a line has left the house.
    #[must_use]
    pub fn shipped(&self, line: u16) -> Quantity {
        self.sum(line, |part| part.shipped)
    }

    /// How much of a line is held and still in the house.
    #[must_use]
    pub fn open(&self, line: u16) -> Quantity {
        self.sum(line, Part::open)
    }

    /// The components of a kit line; none of any other.
    pub(super) fn component_summaries(&self, line: &OrderLine) -> Vec<ComponentSummary> {
        let of = |component: &Component| {
            let parts = || {
                let of_line = self.allocations.iter().filter(|part| part.line == line.line);
                of_line.filter(|part| part.component.as_ref() == Some(&component.sku))
            };
            let sum = |of: fn(&Allocation) -> Quantity| {
                parts().fold(Quantity::ZERO, |sum, part| sum.plus(of(part)))
            };
            ComponentSummary {
                sku: component.sku.clone(),
                per_kit: component.per_kit.get(),
                reserved: sum(Allocation::open),
                shipped: sum(|part| part.shipped),
                backordered: sum(Allocation::waiting),
                returned: self.component_returned(line.line, component),
                lots: parts().flat_map(|part| part.lots.iter().cloned()).collect(),
            }
        };
        line.components.iter().map(of).collect()
    }
}
