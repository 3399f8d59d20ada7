//! The naive model of a stock: what a beginner would keep on paper, from what happened.

use lockstep_actors::ids::{HoldId, LotCode};
use lockstep_actors::inventory::command::{Adjustment, Condition};
use lockstep_actors::inventory::event::StockEvent;
use std::collections::BTreeMap;

/// The stock of a SKU in a warehouse, in units.
#[derive(Clone, Debug, Default)]
pub(super) struct StockModel {
    pub(super) on_hand: i64,
    damaged: i64,
    quarantined: i64,
    returned: i64,
    safety: i64,
    /// What each hold still holds.
    pub(super) holds: BTreeMap<HoldId, i64>,
    /// Holds that wait for goods.
    pub(super) waiting: BTreeMap<HoldId, i64>,
    /// What has left for orders.
    pub(super) shipped: i64,
    /// What has come back from orders.
    pub(super) came_back: i64,
    /// What can be sold of each lot, held or not.
    lots: BTreeMap<LotCode, i64>,
    /// How much may wait, where that is declared.
    backorder_limit: Option<i64>,
    /// Whether a new count was asked for.
    pub(super) wants_count: bool,
}

impl StockModel {
    pub(super) fn reserved(&self) -> i64 {
        self.holds.values().sum()
    }

    pub(super) fn sellable(&self) -> i64 {
        self.on_hand - self.damaged.max(0) - self.quarantined.max(0) - self.returned.max(0)
    }

    /// What channels are shown: what is there for them, and what may still wait.
    pub(super) fn shown(&self) -> i64 {
        let there = (self.sellable() - self.reserved() - self.safety).max(0);
        let limit = self.backorder_limit.unwrap_or(0);
        there + (limit - self.waiting.values().sum::<i64>()).max(0)
    }

    /// How much of what is held is not there.
    pub(super) fn shortfall(&self) -> i64 {
        (self.reserved() - self.sellable()).max(0)
    }

    fn holds(&mut self, id: &HoldId, more: i64) {
        let open = self.holds.entry(id.clone()).or_default();
        *open += more;
        if *open == 0 {
            self.holds.remove(id);
        }
    }

    fn waits(&mut self, id: &HoldId, more: i64) {
        let waiting = self.waiting.entry(id.clone()).or_default();
        *waiting += more;
        if *waiting <= 0 {
            self.waiting.remove(id);
        }
    }

    /// Applies what happened. `Err` says what cannot be.
    pub(super) fn apply(&mut self, event: &StockEvent) -> Result<(), String> {
        let (available, shortfall) = (self.sellable() - self.reserved() - self.safety, self.shortfall());
        let mut granted = 0;
        match event {
            StockEvent::Held {
                id, granted: units, ..
            } => {
                if self.holds.contains_key(id) {
                    return Err(format!("{id:?} is held twice"));
                }
                granted = units.units();
                self.holds(id, granted);
            }
            StockEvent::HeldAgain {
                id, granted: units, ..
            } => {
                granted = units.units();
                self.holds(id, granted);
            }
            StockEvent::Backordered { id, waiting, .. } => {
                self.waits(id, waiting.units());
                let waiting: i64 = self.waiting.values().sum();
                if let Some(limit) = self.backorder_limit.filter(|limit| waiting > *limit) {
                    return Err(format!("{waiting} wait for goods where {limit} may"));
                }
            }
            StockEvent::BackorderLimitSet { limit } => {
                self.backorder_limit = limit.map(lockstep_actors::quantity::Quantity::units);
            }
            StockEvent::Granted { id, quantity, .. } => {
                granted = quantity.units();
                self.holds(id, granted);
                self.waits(id, -granted);
            }
            StockEvent::Withdrawn { id, quantity, .. } => {
                self.holds(id, -quantity.units());
                self.waits(id, quantity.units());
            }
            StockEvent::Ended { id, quantity, .. } => {
                self.holds(id, -quantity.units());
                self.waiting.remove(id);
            }
            StockEvent::Reduced { id, quantity, .. } => self.holds(id, -quantity.units()),
            StockEvent::Shipped { id, quantity, .. } => {
                self.holds(id, -quantity.units());
                self.on_hand -= quantity.units();
                self.shipped += quantity.units();
            }
            StockEvent::Received { quantity, .. } => self.on_hand += quantity.units(),
            StockEvent::Adjusted { change, quantity, .. } => self.adjust(*change, quantity.units()),
            StockEvent::Returned {
                quantity,
                condition,
                order,
                ..
            } => {
                self.on_hand += quantity.units();
                self.came_back += order.as_ref().map_or(0, |_| quantity.units());
                match condition {
                    Condition::Sellable => {}
                    Condition::Damaged => self.damaged += quantity.units(),
                    Condition::Quarantined => self.quarantined += quantity.units(),
                    Condition::ToInspect => self.returned += quantity.units(),
                }
            }
            StockEvent::Counted { on_hand, .. } => {
                self.on_hand = on_hand.units();
                self.wants_count = false;
            }
            StockEvent::SafetyStockSet { quantity, .. } => self.safety = quantity.units(),
            StockEvent::NumbersMissing { .. } => self.wants_count = true,
            StockEvent::LotsCame { lots } => {
                for lot in lots {
                    *self.lots.entry(lot.lot.clone()).or_default() += lot.quantity.units();
                }
            }
            StockEvent::LotsWent { lots } => {
                for lot in lots {
                    *self.lots.entry(lot.lot.clone()).or_default() -= lot.quantity.units();
                }
            }
            StockEvent::WaitsLess { id, quantity, .. } => self.waits(id, -quantity.units()),
            StockEvent::Barred { .. }
            | StockEvent::Promised { .. }
            | StockEvent::PromisesUntil { .. }
            | StockEvent::MoveBegun { .. }
            | StockEvent::MoveFailed { .. }
            | StockEvent::Picked { .. }
            | StockEvent::ExpirySet { .. }
            | StockEvent::Expected { .. }
            | StockEvent::Unexpected { .. }
            | StockEvent::Demanded { .. }
            | StockEvent::NotDemanded { .. }
            | StockEvent::ChannelPolicySet { .. }
            | StockEvent::DriftRaised { .. }
            | StockEvent::DriftSettled { .. }
            | StockEvent::Included { .. }
            | StockEvent::Told { .. }
            | StockEvent::InHand { .. }
            | StockEvent::Forgotten { .. } => {}
        }
        if granted > available.max(0) {
            return Err(format!("{granted} are held of {available} that can be sold"));
        }
        let is_fact = matches!(event, StockEvent::Adjusted { .. } | StockEvent::Counted { .. });
        if !is_fact && self.shortfall() > shortfall {
            return Err(format!(
                "{} more are held than can be sold after {event:?}",
                self.shortfall()
            ));
        }
        match self.holds.iter().find(|(_, open)| **open < 0) {
            Some((id, open)) => Err(format!("{id:?} holds {open}")),
            None => Ok(()),
        }
    }

    /// What is wrong with the lots once a decision is over.
    pub(super) fn flaw_in_lots(&self) -> Option<String> {
        let less = self.lots.iter().find(|(_, units)| **units < 0);
        let in_lots: i64 = self.lots.values().sum();
        match less {
            Some((lot, units)) => Some(format!("{units} of lot {lot} can be sold")),
            None if in_lots > self.sellable().max(0) => Some(format!(
                "{in_lots} lie in lots, of {} that can be sold",
                self.sellable()
            )),
            None => None,
        }
    }

    fn adjust(&mut self, change: Adjustment, units: i64) {
        match change {
            Adjustment::Gain => self.on_hand += units,
            Adjustment::Loss => self.on_hand -= units,
            Adjustment::Damage => self.damaged += units,
            Adjustment::Repair => self.damaged -= units,
            Adjustment::Scrap => {
                self.damaged -= units;
                self.on_hand -= units;
            }
            Adjustment::Quarantine => self.quarantined += units,
            Adjustment::Clear => self.quarantined -= units,
            Adjustment::Condemn => {
                self.quarantined -= units;
                self.damaged += units;
            }
            Adjustment::Restock => self.returned -= units,
            Adjustment::RejectReturn => {
                self.returned -= units;
                self.damaged += units;
            }
            Adjustment::ScrapReturn => {
                self.returned -= units;
                self.on_hand -= units;
            }
        }
    }
}
