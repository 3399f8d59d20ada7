//! Opening stock and receipts: what the house must have had to sell what it sold, with a few deliveries late.

use super::plan::{Day, TradingEvent};
use super::{MAIN_WAREHOUSE, RESERVE_WAREHOUSE};
use lockstep_actors::ids::{DocumentId, InvalidName, Sku, StockId, WarehouseCode};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use std::collections::{BTreeMap, BTreeSet};

/// How many trading days the opening stock lasts.
pub const OPENING_DAYS: usize = 3;
/// One article of so many is delivered a trading day late.
pub(super) const LATE_ONE_IN: u32 = 200;

/// A pair's stock before the first day.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// What and where.
    pub stock: StockId,
    /// How much; may be zero.
    pub on_hand: Quantity,
}

/// Goods that come in before a day begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// What and where.
    pub stock: StockId,
    /// How much.
    pub quantity: PositiveQuantity,
    /// The delivery note.
    pub document: DocumentId,
}

pub(super) fn is_late(sku: &Sku) -> bool {
    crc32fast::hash(sku.as_str().as_bytes()).is_multiple_of(LATE_ONE_IN)
}

/// By SKU: what the sales of a day need.
fn demand(day: &Day) -> BTreeMap<Sku, i64> {
    let mut needed = BTreeMap::new();
    for event in &day.events {
        let TradingEvent::Sale(sale) = event else { continue };
        for line in &sale.lines {
            *needed.entry(line.sku.clone()).or_default() += line.quantity.units();
        }
    }
    needed
}

/// Sets the receipts of each day, and says what stood there before the first.
pub(super) fn supply(days: &mut [Day], skus: &BTreeSet<Sku>) -> Result<Vec<Opening>, InvalidName> {
    let main = WarehouseCode::new(MAIN_WAREHOUSE)?;
    let reserve = WarehouseCode::new(RESERVE_WAREHOUSE)?;
    let demands: Vec<_> = days.iter().map(demand).collect();
    let mut opening = Vec::with_capacity(skus.len() * 2);
    for sku in skus {
        let needed = demands.iter().take(OPENING_DAYS).filter_map(|day| day.get(sku));
        let needed: i64 = needed.sum();
        let in_reserve = needed / 4;
        for (warehouse, units) in [(main, needed - in_reserve), (reserve, in_reserve)] {
            opening.push(Opening {
                stock: StockId {
                    sku: sku.clone(),
                    warehouse,
                },
                on_hand: Quantity::new(units).unwrap_or_default(),
            });
        }
    }
    for (place, needed) in demands.iter().enumerate().skip(OPENING_DAYS) {
        let date = days[place].date;
        for (sku, units) in needed {
            let arrives = place + usize::from(is_late(sku));
            if let (Some(day), Ok(quantity)) = (days.get_mut(arrives), PositiveQuantity::new(*units)) {
                day.receipts.push(Receipt {
                    stock: StockId {
                        sku: sku.clone(),
                        warehouse: main,
                    },
                    quantity,
                    document: DocumentId::new(&format!("GR-{date}-{sku}"))?,
                });
            }
        }
    }
    Ok(opening)
}
