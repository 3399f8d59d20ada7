//! What lines are promised out of what pairs can promise: goods from their own stock, kits from that of their components.
//!
//! Lines are served one after the other: what one is promised is not promised to a later one. A line over several warehouses
//! takes what is there first, then what comes earliest; where that is equal, from the warehouse that is named first. A kit is there
//! once each of its components is, in one warehouse.
//!
//! Invariants: no unit of a pair is promised twice; every part of a line is made of units that are there by its date.

use super::promise::{PromisedPart, Supply};
use crate::ids::{Sku, StockId, WarehouseCode};
use crate::kit::Component;
use crate::quantity::{PositiveQuantity, Quantity, take_first};
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// What pairs can promise, each the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Supplies(HashMap<StockId, VecDeque<PromisedPart>>);

/// A line that would like to be promised.
#[derive(Clone, Copy, Debug)]
pub struct LineWish<'l> {
    /// What.
    pub sku: &'l Sku,
    /// What is in it, if it is a kit; else nothing.
    pub components: &'l [Component],
    /// How much.
    pub quantity: PositiveQuantity,
    /// From where, the preferred first.
    pub warehouses: &'l [WarehouseCode],
}

/// Units of a line that are promised together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePart {
    /// Where.
    pub warehouse: WarehouseCode,
    /// How many.
    pub quantity: PositiveQuantity,
    /// When they are there.
    pub at: Timestamp,
    /// What they come from: of a kit, each of its components.
    pub sources: Vec<Source>,
}

/// Units that come from one supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What.
    pub sku: Sku,
    /// The units.
    pub part: PromisedPart,
}

/// What one unit of a line takes, and of what.
fn takes<'l>(line: &LineWish<'l>) -> Vec<(&'l Sku, PositiveQuantity)> {
    if line.components.is_empty() {
        return vec![(line.sku, PositiveQuantity::ONE)];
    }
    let of = |component: &'l Component| (&component.sku, component.per_kit);
    line.components.iter().map(of).collect()
}

/// When units are there. Shards look at the clock one after the other: what is there is there now, whoever said so first.
fn comes(part: &PromisedPart) -> Option<Timestamp> {
    match part.supply {
        Supply::OnHand => None,
        Supply::Document(_) => Some(part.at),
    }
}

/// Whether units can be had on a date, or now.
fn is_there(part: &PromisedPart, date: Option<Timestamp>) -> bool {
    comes(part) <= date && date.is_none_or(|date| part.lasts(date))
}

impl LineWish<'_> {
    /// What has to be asked of which pairs for it.
    pub fn asks(&self) -> impl Iterator<Item = (StockId, PositiveQuantity)> {
        let quantity = self.quantity.get();
        let takes: Vec<(Sku, PositiveQuantity)> = takes(self)
            .into_iter()
            .filter_map(|(sku, per_unit)| {
                let component = Component {
                    sku: sku.clone(),
                    per_kit: per_unit,
                };
                Some((component.sku.clone(), component.units_of(quantity).positive()?))
            })
            .collect();
        let warehouses = self.warehouses.to_vec();
        warehouses.into_iter().flat_map(move |warehouse| {
            let takes = takes.clone().into_iter();
            takes.map(move |(sku, quantity)| (StockId { sku, warehouse }, quantity))
        })
    }
}

impl Supplies {
    /// What a pair can promise.
    pub fn add(&mut self, stock: StockId, parts: Vec<PromisedPart>) {
        self.0.insert(stock, parts.into());
    }

    /// What a line is promised, earliest first, and what of it cannot be.
    pub fn serve(&mut self, line: &LineWish<'_>) -> (Vec<LinePart>, Quantity) {
        let mut short = line.quantity.get();
        let mut parts = Vec::new();
        while let Some(open) = short.positive() {
            let next = line
                .warehouses
                .iter()
                .filter_map(|warehouse| Some((self.next_at(line, *warehouse)?, *warehouse)));
            let Some((date, warehouse)) = next.min_by_key(|(date, _)| *date) else {
                break;
            };
            let Some(part) = self.take(line, warehouse, date, open) else {
                break;
            };
            short = short.minus(part.quantity.get());
            parts.push(part);
        }
        (parts, short)
    }

    fn queue(&self, sku: &Sku, warehouse: WarehouseCode) -> Option<&VecDeque<PromisedPart>> {
        let sku = sku.clone();
        self.0.get(&StockId { sku, warehouse })
    }

    /// When the next unit of a line is there in a warehouse; none if it never is.
    fn next_at(&self, line: &LineWish<'_>, warehouse: WarehouseCode) -> Option<Option<Timestamp>> {
        let takes = takes(line);
        let queues = takes.iter().filter_map(|(sku, _)| self.queue(sku, warehouse));
        let dates: BTreeSet<Option<Timestamp>> = queues.flatten().map(comes).collect();
        let mut dates = dates.into_iter();
        dates.find(|date| self.there_by(line, warehouse, *date) > 0)
    }

    /// How many units of a line are there on a date.
    fn there_by(&self, line: &LineWish<'_>, warehouse: WarehouseCode, date: Option<Timestamp>) -> i64 {
        let units = takes(line).into_iter().map(|(sku, per_unit)| {
            let parts = self.queue(sku, warehouse).into_iter().flatten();
            let there = parts.filter(|part| is_there(part, date));
            let sum = there.fold(Quantity::ZERO, |sum, part| sum.plus(part.quantity.get()));
            sum.units() / per_unit.units()
        });
        units.min().unwrap_or(0)
    }

    fn take(
        &mut self,
        line: &LineWish<'_>,
        warehouse: WarehouseCode,
        date: Option<Timestamp>,
        most: PositiveQuantity,
    ) -> Option<LinePart> {
        let mut units = self.there_by(line, warehouse, date).min(most.units());
        if line.components.is_empty() {
            // Goods are told document by document.
            let head = self
                .queue(line.sku, warehouse)?
                .iter()
                .find(|part| is_there(part, date))?;
            units = units.min(head.quantity.units());
        }
        let quantity = PositiveQuantity::new(units).ok()?;
        let mut sources = Vec::new();
        for (sku, per_unit) in takes(line) {
            let component = Component {
                sku: sku.clone(),
                per_kit: per_unit,
            };
            let stock = StockId {
                sku: sku.clone(),
                warehouse,
            };
            let queue = self.0.get_mut(&stock)?;
            let units = component.units_of(quantity.get());
            let (mut there, rest): (VecDeque<_>, VecDeque<_>) =
                queue.drain(..).partition(|part| is_there(part, date));
            for part in take_first(&mut there, units, |part: &mut PromisedPart| &mut part.quantity) {
                let sku = sku.clone();
                sources.push(Source { sku, part });
            }
            queue.extend(there.into_iter().chain(rest));
            queue
                .make_contiguous()
                .sort_by_key(|part| (comes(part), part.until.is_none(), part.until));
        }
        let at = sources.iter().map(|source| source.part.at).max()?;
        Some(LinePart {
            warehouse,
            quantity,
            at,
            sources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DocumentId;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000)
    }

    fn part(quantity: i64, on: i64, document: &str) -> PromisedPart {
        PromisedPart {
            quantity: PositiveQuantity::new(quantity).unwrap(),
            at: day(on),
            supply: match document {
                "" => Supply::OnHand,
                document => Supply::Document(DocumentId::new(document).unwrap()),
            },
            until: None,
        }
    }

    fn supplies(pairs: &[(&str, &str, &[PromisedPart])]) -> Supplies {
        let mut supplies = Supplies::default();
        for (sku, warehouse, parts) in pairs {
            let stock = StockId {
                sku: Sku::new(sku).unwrap(),
                warehouse: WarehouseCode::new(warehouse).unwrap(),
            };
            supplies.add(stock, parts.to_vec());
        }
        supplies
    }

    /// Warehouse, units and day of each part, and what is short.
    fn promised(
        supplies: &mut Supplies,
        kit: &[(&str, i64)],
        quantity: i64,
    ) -> (Vec<(String, i64, i64)>, i64) {
        let components: Vec<Component> = kit
            .iter()
            .map(|(sku, per_kit)| Component {
                sku: Sku::new(sku).unwrap(),
                per_kit: PositiveQuantity::new(*per_kit).unwrap(),
            })
            .collect();
        let warehouses = ["W1", "W2"].map(|code| WarehouseCode::new(code).unwrap());
        let sku = Sku::new(if kit.is_empty() { "A" } else { "KIT" }).unwrap();
        let line = LineWish {
            sku: &sku,
            components: &components,
            quantity: PositiveQuantity::new(quantity).unwrap(),
            warehouses: &warehouses,
        };
        let (parts, short) = supplies.serve(&line);
        let parts = parts.into_iter().map(|part| {
            let on = part.at.as_millis() / 86_400_000;
            (part.warehouse.to_string(), part.quantity.units(), on)
        });
        (parts.collect(), short.units())
    }

    #[test]
    fn a_kit_is_promised_for_when_the_last_of_its_components_is_there() {
        // 2 A and 1 B make a kit. A: 5 there, 10 on day 4. B: 1 there, 2 on day 2, 9 on day 9.
        let kit = [("A", 2), ("B", 1)];
        let a: &[_] = &[part(5, 0, ""), part(10, 4, "PO-1")];
        let b: &[_] = &[part(1, 0, ""), part(2, 2, "PO-2"), part(9, 9, "PO-3")];
        let mut all = supplies(&[("A", "W1", a), ("B", "W1", b)]);
        let parts = |parts: &[(&str, i64, i64)]| -> Vec<(String, i64, i64)> {
            let owned = parts
                .iter()
                .map(|(code, units, on)| ((*code).to_owned(), *units, *on));
            owned.collect()
        };
        // One kit now; one more on day 2 (A 4 of 5 used); on day 4 A has 11, B one: one; on day 9 A has 9: 4.
        let expected = parts(&[("W1", 1, 0), ("W1", 1, 2), ("W1", 1, 4), ("W1", 4, 9)]);
        assert_eq!(promised(&mut all, &kit, 9), (expected, 2));
        // One A is left, which no kit takes.
        assert_eq!(promised(&mut all, &[], 3), (parts(&[("W1", 1, 4)]), 2));
    }

    #[test]
    fn a_kit_has_nothing_in_it_that_has_expired_when_its_last_component_comes() {
        // A: 5 there until day 3, 2 on day 4. B: 1 there, 2 on day 4.
        let kit = [("A", 1), ("B", 1)];
        let mut fresh = part(5, 0, "");
        fresh.until = Some(day(3));
        let a: &[_] = &[fresh, part(2, 4, "PO-1")];
        let b: &[_] = &[part(1, 0, ""), part(2, 4, "PO-2")];
        let mut all = supplies(&[("A", "W1", a), ("B", "W1", b)]);
        let (parts, short) = promised(&mut all, &kit, 4);
        assert_eq!(parts, [("W1".to_owned(), 1, 0), ("W1".to_owned(), 2, 4)]);
        assert_eq!(short, 1);
        // What is left of A is there now.
        assert_eq!(promised(&mut all, &[], 5), (vec![("W1".to_owned(), 4, 0)], 1));
    }

    #[test]
    fn lines_share_what_there_is_in_the_order_in_which_they_ask() {
        let kit = [("A", 2), ("B", 1)];
        let pairs: [(&str, &str, &[PromisedPart]); 4] = [
            ("A", "W1", &[part(3, 0, "")]),
            ("B", "W1", &[part(5, 3, "PO-1")]),
            ("A", "W2", &[part(4, 0, "")]),
            ("B", "W2", &[part(1, 0, "")]),
        ];
        let mut all = supplies(&pairs);
        // One kit in W2 now; W1 has the components of one on day 3. A kit is not made of goods in two places.
        let (parts, short) = promised(&mut all, &kit, 3);
        assert_eq!(parts, [("W2".to_owned(), 1, 0), ("W1".to_owned(), 1, 3)]);
        assert_eq!(short, 1);
        // What is left of A: 1 in W1, 2 in W2.
        let (parts, short) = promised(&mut all, &[], 4);
        assert_eq!(parts, [("W1".to_owned(), 1, 0), ("W2".to_owned(), 2, 0)]);
        assert_eq!(short, 1);
    }
}
