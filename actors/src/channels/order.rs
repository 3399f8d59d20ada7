//! What a channel is told of an order that it placed.
//!
//! Invariant: what is told of two standings of an order differs only by what has happened between them: shipments are only
//! ever added, and one that is still under way is not told before it has left.

use crate::ids::Sku;
use crate::orders::command::{LineSummary, OrderSummary};
use crate::orders::shipment::Shipment;
use crate::orders::state::Status;
use crate::quantity::Quantity;
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use std::collections::BTreeMap;

/// An order as its channel is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderShown {
    /// Where it stands.
    pub status: Status,
    /// What the channel calls that, if it has a word for it.
    pub word: Option<CompactString>,
    /// Since when it stands there.
    pub at: Timestamp,
    /// Why it stands in exception, was cancelled or rejected.
    pub reason: Option<String>,
    /// Its lines.
    pub lines: Vec<OrderLineShown>,
    /// What has left, by shipment.
    pub shipments: Vec<Shipment>,
}

/// A line of an order as its channel is told it, in base units, of a kit in kits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLineShown {
    /// Its number.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much was ordered.
    pub ordered: Quantity,
    /// How much has left the house.
    pub shipped: Quantity,
    /// How much waits for goods.
    pub backordered: Quantity,
    /// How much was given up.
    pub cancelled: Quantity,
}

impl From<&LineSummary> for OrderLineShown {
    fn from(line: &LineSummary) -> Self {
        Self {
            line: line.line,
            sku: line.sku.clone(),
            ordered: line.ordered,
            shipped: line.shipped,
            backordered: line.backordered,
            cancelled: line.cancelled,
        }
    }
}

impl OrderShown {
    /// An order that stands as `summary` says; the channel calls its status `word`, if it has a word for it.
    #[must_use]
    pub fn new(summary: &OrderSummary, word: Option<CompactString>) -> Self {
        let exception = summary.exception.as_ref();
        let reason = exception.map(|case| case.exception.to_string());
        Self {
            status: summary.status,
            word,
            at: summary
                .history
                .last()
                .map_or(summary.received_at, |milestone| milestone.at),
            reason: reason.or_else(|| summary.end_reason.as_ref().map(ToString::to_string)),
            lines: summary.lines.iter().map(Into::into).collect(),
            shipments: summary.shipments.clone(),
        }
    }

    /// What a channel has not been told that shows so much of each SKU as shipped: by shipment, how much of which SKU. What it
    /// shows counts as the first of what has left, whoever told it.
    #[must_use]
    pub fn untold(&self, shown: &BTreeMap<String, i64>) -> Vec<(&Shipment, BTreeMap<String, i64>)> {
        let mut shown = shown.clone();
        let mut untold = Vec::new();
        for shipment in &self.shipments {
            let mut left = self.units_by_sku(shipment);
            for (sku, units) in &mut left {
                let known = shown.entry(sku.clone()).or_default();
                let told = (*units).min(*known);
                *known -= told;
                *units -= told;
            }
            left.retain(|_, units| *units > 0);
            if !left.is_empty() {
                untold.push((shipment, left));
            }
        }
        untold
    }

    fn units_by_sku(&self, shipment: &Shipment) -> BTreeMap<String, i64> {
        let mut units = BTreeMap::new();
        for (line, quantity) in &shipment.lines {
            if let Some(known) = self.lines.iter().find(|known| known.line == *line) {
                let sum: &mut i64 = units.entry(known.sku.as_str().to_owned()).or_default();
                *sum = sum.saturating_add(quantity.units());
            }
        }
        units
    }
}
