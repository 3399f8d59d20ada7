//! The naive model of a stock: what a beginner would keep on paper, from what happened.

use super::features::{Feature, Reached};
use super::policy_model::{CustomerClasses, PolicyModel};
use lockstep_actors::ids::{HoldId, LotCode};
use lockstep_actors::inventory::allocation::ChannelPolicy;
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
    /// What channels may take, where that is declared.
    policy: Option<PolicyModel>,
    customers: CustomerClasses,
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

    fn available(&self) -> i64 {
        (self.sellable() - self.reserved() - self.safety).max(0)
    }

    /// What a hold may take more.
    fn may_take(&self, hold: &HoldId) -> i64 {
        let available = self.available();
        let policy = self.policy.as_ref();
        policy.map_or(available, |policy| {
            policy.may_take(hold, &self.customers, available)
        })
    }

    /// What a channel is shown: what is there for it, and what may still wait.
    pub(super) fn shown_to(&self, channel: &str) -> i64 {
        let limit = self.backorder_limit.unwrap_or(0);
        let ahead = (limit - self.waiting.values().sum::<i64>()).max(0);
        let available = self.available();
        let policy = self.policy.as_ref();
        policy.map_or(available + ahead, |policy| {
            policy.shown(channel, available, ahead, &self.waiting, &self.customers)
        })
    }

    /// What a channel is shown at most, of all warehouses together.
    pub(super) fn shows_at_most(&self, channel: &str) -> Option<i64> {
        self.policy.as_ref()?.shows_at_most(channel)
    }

    /// From now on channels may take so much: as the house has said it.
    pub(super) fn set_policy(&mut self, policy: ChannelPolicy, reached: &mut Reached) {
        if policy.classes.is_empty() {
            reached.count(Feature::PolicyLifted);
        } else if !self.holds.is_empty() {
            reached.count(Feature::PolicyChanged);
        }
        self.policy = Some(PolicyModel::new(policy));
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
    pub(super) fn apply(&mut self, event: &StockEvent, reached: &mut Reached) -> Result<(), String> {
        let (available, shortfall) = (self.available(), self.shortfall());
        self.note_customer(event, reached);
        let hold = event.held_change().map(|(hold, _)| hold);
        let may_take = hold.map_or(available, |hold| self.may_take(hold));
        let mut granted = 0;
        match event {
            StockEvent::Held {
                id,
                granted: units,
                asked,
                ..
            } => {
                if may_take < available && asked > units {
                    reached.count(Feature::HeldUpToPolicy);
                }
                if self.holds.contains_key(id) {
                    return Err(format!("{id:?} is held twice"));
                }
                granted = units.units();
                self.holds(id, granted);
            }
            StockEvent::Adopted { id, more, .. } => {
                granted = more.units();
                self.holds(id, granted);
            }
            StockEvent::HeldAgain {
                id, granted: units, ..
            } => {
                granted = units.units();
                self.holds(id, granted);
            }
            StockEvent::Backordered { id, waiting, .. } => {
                if self.may_take(id) < available {
                    reached.count(Feature::WaitsForPolicy);
                }
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
            StockEvent::SafetyStockSet { quantity, .. } => {
                reached.count(Feature::SafetyChanged);
                self.safety = quantity.units();
            }
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
            | StockEvent::Versioned { .. }
            | StockEvent::InHand { .. }
            // The lots of the model are those that can be sold.
            | StockEvent::LotsWithheld { .. }
            | StockEvent::LotsReleased { .. }
            | StockEvent::Forgotten { .. } => {}
        }
        if granted > available {
            return Err(format!("{granted} are held of {available} that can be sold"));
        }
        if granted > may_take {
            return Err(format!(
                "{granted} are held of {may_take} that its class may take of {available}"
            ));
        }
        self.note_for_policy(event, reached);
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

    /// Whose customer's class a hold is of from now on.
    fn note_customer(&mut self, event: &StockEvent, reached: &mut Reached) {
        let (StockEvent::Held {
            id, customer_class, ..
        }
        | StockEvent::Adopted {
            id, customer_class, ..
        }
        | StockEvent::Backordered {
            id, customer_class, ..
        }) = event
        else {
            return;
        };
        match customer_class {
            Some(class) => self.customers.insert(id.clone(), class.clone()),
            None => self.customers.remove(id),
        };
        let Some(policy) = &mut self.policy else { return };
        if matches!(event, StockEvent::Adopted { .. }) {
            let open = self.holds.get(id).copied().unwrap_or(0);
            policy.is_adopted(id, &self.customers, open);
        }
        if policy.is_by_customer(id, &self.customers) {
            reached.count(Feature::ClassOfCustomer);
        }
    }

    /// What it means to its class.
    fn note_for_policy(&mut self, event: &StockEvent, reached: &mut Reached) {
        let Some((hold, change)) = event.held_change() else {
            return;
        };
        let is_over = !self.holds.contains_key(hold) && !self.waiting.contains_key(hold);
        if let Some(policy) = &mut self.policy {
            if !matches!(event, StockEvent::Shipped { .. }) {
                policy.holds_more(hold, &self.customers, change.units());
                if change.units() < 0 {
                    reached.count(Feature::GivenBackToClass);
                }
            }
            if is_over {
                policy.is_over(hold);
            }
        }
        if is_over {
            self.customers.remove(hold);
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
