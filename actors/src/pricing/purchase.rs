//! What orders add to the volume that rebates go by, until a report of the ERP counts them.
//!
//! An order counts from the moment at which its contract prices it, by its goods less its discount; what is cancelled, given up
//! or credited of it counts no more. So two orders that come before the ERP reports do not both cross a tier, and what
//! comes back takes its rebate with it.
//!
//! Invariants:
//! - an order counts once, by its newest attempt at pricing; within an attempt what is left of it only falls, so that what is told
//!   twice or in another order comes to the same;
//! - what has accrued of a rule since the last report is, by its tiers, what the volume earns less what the reported volume earns,
//!   up to the rounding of each movement;
//! - at most [`MAX_PURCHASES`] orders are told apart; with one more the oldest counts on without being told apart.

use super::exact::convert;
use super::resolve::Accrual;
use crate::ids::{OrderKey, RuleId};
use crate::money::Currency;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many orders of a customer are told apart between two reports.
pub const MAX_PURCHASES: usize = 1_000;

/// What an order adds to a customer's volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// As of when it is priced.
    pub at: Timestamp,
    /// By which of its attempts at pricing.
    pub attempt: u16,
    /// In which currency it was asked for.
    pub currency: Currency,
    /// Its goods before its discount, in that currency: what the minimums of rules are about.
    pub gross: Decimal,
    /// Its goods less its discount.
    pub goods: Decimal,
    /// What of them is left.
    pub left: Decimal,
    /// The goods in the contract's currency.
    pub value: Decimal,
}

impl Purchase {
    /// What it counts, in the contract's currency; `None` if that is beyond all bounds.
    pub(super) fn counts(&self) -> Option<Decimal> {
        if self.left == self.goods {
            return Some(self.value);
        }
        convert(self.value, self.left, self.goods)
    }
}

/// What orders add to a customer's volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchases {
    orders: BTreeMap<OrderKey, Purchase>,
    /// What all orders come to, in the contract's currency.
    total: Decimal,
    /// The newest of those that are no longer told apart.
    merged: Option<Timestamp>,
    /// What has accrued of each rule since the last report.
    accrued: Vec<(RuleId, Decimal)>,
}

impl Purchases {
    /// The orders that are told apart.
    #[must_use]
    pub fn orders(&self) -> &BTreeMap<OrderKey, Purchase> {
        &self.orders
    }

    /// What has accrued of each rule since the last report.
    #[must_use]
    pub fn accrued(&self) -> &[(RuleId, Decimal)] {
        &self.accrued
    }

    /// What all orders come to, in the contract's currency.
    #[must_use]
    pub fn total(&self) -> Decimal {
        self.total
    }

    /// What an order counts, in the contract's currency; nothing if it does not.
    pub(super) fn of(&self, order: &OrderKey) -> Decimal {
        let known = self.orders.get(order);
        known.and_then(Purchase::counts).unwrap_or_default()
    }

    /// An order counts as said in place of what it counted before, or no more.
    pub(super) fn put(&mut self, order: &OrderKey, purchase: Option<&Purchase>, accrued: &[Accrual]) {
        let counts = purchase.and_then(Purchase::counts).unwrap_or_default();
        self.total = self.total.saturating_sub(self.of(order)).saturating_add(counts);
        match purchase {
            Some(purchase) => drop(self.orders.insert(order.clone(), purchase.clone())),
            None => drop(self.orders.remove(order)),
        }
        if self.orders.len() > MAX_PURCHASES {
            self.merge_oldest();
        }
        for more in accrued {
            match self.accrued.iter_mut().find(|(rule, _)| *rule == more.rule) {
                Some((_, sum)) => *sum = sum.saturating_add(more.amount),
                None => self.accrued.push((more.rule.clone(), more.amount)),
            }
        }
    }

    fn merge_oldest(&mut self) {
        let oldest = self.orders.iter().min_by_key(|(order, known)| (known.at, *order));
        let Some(order) = oldest.map(|(order, _)| order.clone()) else {
            return;
        };
        let merged = self.orders.remove(&order).map(|known| known.at);
        self.merged = self.merged.max(merged);
    }

    /// A report counts all orders that are priced as of before a moment, or all that are known.
    pub(super) fn reported(&mut self, through: Option<Timestamp>) {
        self.accrued.clear();
        let Some(through) = through else {
            *self = Self::default();
            return;
        };
        let merged = self.total_merged();
        self.orders.retain(|_, known| known.at >= through);
        let is_counted = self.merged.is_none_or(|at| at < through);
        self.merged = self.merged.filter(|_| !is_counted);
        let still = if is_counted { Decimal::ZERO } else { merged };
        self.total = self.total_apart().saturating_add(still);
    }

    fn total_apart(&self) -> Decimal {
        let counts = self.orders.values().filter_map(Purchase::counts);
        counts.fold(Decimal::ZERO, Decimal::saturating_add)
    }

    fn total_merged(&self) -> Decimal {
        self.total.saturating_sub(self.total_apart())
    }
}
