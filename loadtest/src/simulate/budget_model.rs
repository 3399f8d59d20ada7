//! The naive model of a promotion's budget: a list of which order has taken how much, and whether that is settled.

use lockstep_actors::ids::{CustomerId, OrderKey};
use lockstep_actors::pricing::budget::{BudgetEvent, Claim, Limits};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A budget.
#[derive(Debug, Default)]
pub(super) struct BudgetModel {
    /// As they were said.
    limits: Option<Limits>,
    uses: u64,
    spent: Decimal,
    by_customer: BTreeMap<CustomerId, u32>,
    /// What orders have taken that are not over.
    open: BTreeMap<OrderKey, Claim>,
    /// What orders have taken that are over: it stays spent.
    settled: BTreeMap<OrderKey, Decimal>,
}

impl BudgetModel {
    /// From now on so much may be spent.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.limits = Some(limits);
    }

    /// Whether more is spent than may be by now: what was spent before a limit was lowered stays spent.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.limits.is_some_and(|limits| {
            limits.uses.is_some_and(|most| self.uses > most)
                || limits.amount.is_some_and(|most| self.spent > most.value)
        })
    }

    /// Applies what happened. `Err` says what cannot be.
    pub(super) fn apply(&mut self, event: &BudgetEvent) -> Result<(), String> {
        match event {
            BudgetEvent::Limited { .. } => Ok(()),
            BudgetEvent::Claimed { order, claim } => {
                if let Some(before) = self.open.remove(order) {
                    self.comes_back(&before);
                }
                self.is_taken(claim);
                self.open.insert(order.clone(), claim.clone());
                self.overspent(claim)
                    .map_or(Ok(()), |what| Err(format!("{order}: {what}")))
            }
            BudgetEvent::GivenBack { order } => match self.open.remove(order) {
                Some(claim) => {
                    self.comes_back(&claim);
                    Ok(())
                }
                None => Err(format!(
                    "{order} gives back what it has not, or has given back before"
                )),
            },
            BudgetEvent::Settled { order } => match self.open.remove(order) {
                Some(claim) => {
                    *self.settled.entry(order.clone()).or_default() += claim.amount;
                    Ok(())
                }
                None => Err(format!("{order} is settled, and has nothing")),
            },
        }
    }

    fn is_taken(&mut self, claim: &Claim) {
        self.uses += 1;
        self.spent += claim.amount;
        *self.by_customer.entry(claim.customer.clone()).or_default() += 1;
    }

    fn comes_back(&mut self, claim: &Claim) {
        self.uses -= 1;
        self.spent -= claim.amount;
        if let Some(uses) = self.by_customer.get_mut(&claim.customer) {
            *uses -= 1;
        }
    }

    fn overspent(&self, claim: &Claim) -> Option<String> {
        let limits = self.limits.unwrap_or(Limits {
            uses: Some(0),
            ..Limits::default()
        });
        let by_customer = self.by_customer.get(&claim.customer).copied().unwrap_or(0);
        if let Some(most) = limits.uses.filter(|most| self.uses > *most) {
            return Some(format!("it is the {}th of {most} uses", self.uses));
        }
        if let Some(most) = limits.amount.filter(|most| self.spent > most.value) {
            return Some(format!("{} of {} are spent", self.spent, most.value));
        }
        let most = limits.uses_by_customer.filter(|most| by_customer > *most)?;
        Some(format!(
            "{} has used it {by_customer} times of {most}",
            claim.customer
        ))
    }

    /// What an order that is over has spent of it for good; `Err` if that is still open.
    pub(super) fn spent_by(&self, order: &OrderKey) -> Result<Option<Decimal>, Decimal> {
        match self.open.get(order) {
            Some(claim) => Err(claim.amount),
            None => Ok(self.settled.get(order).copied()),
        }
    }
}
