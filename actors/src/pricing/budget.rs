//! Budgets of promotions and coupons: how often, for how much, and how often by one customer.
//!
//! A price that uses a budget is only asked for by a quote; an order claims it before it is priced. Contract, budgets and
//! order speak one after the other: the contract prices, each budget that the price uses grants its part and passes the
//! price on, the last one to the order. One that refuses sends the order back to the contract, to be priced without it.
//! What the order has of budgets that its price does not use goes back at the end, when nothing of the attempt can be
//! under way to them any more.
//!
//! Invariants:
//! - what is spent never exceeds the limits that held when it was granted: two orders never spend the same;
//! - an order has one claim at most, that of its newest attempt at pricing; what it no longer uses it gives back;
//! - a claim is open until its order is done (it stays spent) or is given up (it comes back).

use super::contract::{ContractCommand, QuoteRequest};
use super::exact::{LIMIT, PLACES};
use super::kept::QuoteClaim;
use super::list::PriceRefusal;
use super::resolve::Quote;
use crate::domain::{Distributor, View};
use crate::ids::{BudgetId, CustomerId, OrderKey};
use crate::money::Currency;
use crate::orders::command::{OrderCommand, Priced};
use crate::reference::Published;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many orders may have a claim on a budget that is not settled yet.
pub const MAX_CLAIMS: usize = 10_000;
/// How many customers a budget with a limit by customer keeps count of.
pub const MAX_CUSTOMERS: usize = 100_000;

/// What may be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// By how many orders; any if not said.
    pub uses: Option<u64>,
    /// How much all together; any if not said.
    pub amount: Option<BudgetLimit>,
    /// By how many orders of one customer; any if not said.
    pub uses_by_customer: Option<u32>,
}

/// An amount that may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLimit {
    /// How much.
    pub value: Decimal,
    /// Of what.
    pub currency: Currency,
}

/// What a price takes from a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Which.
    pub budget: BudgetId,
    /// By how much its promotions lower the lines' amounts, in the contract's currency.
    pub amount: Decimal,
}

/// What an order has taken from a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// For which attempt at pricing.
    pub attempt: u16,
    /// Whose order.
    pub customer: CustomerId,
    /// How much.
    pub amount: Decimal,
}

/// A budget as the entity keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetState {
    /// What may be spent; nothing before that was said.
    pub limits: Option<Limits>,
    /// The version of the limits.
    pub version: u64,
    /// By how many orders it has been used, open claims included.
    pub uses: u64,
    /// How much has been spent, open claims included.
    pub spent: Decimal,
    /// Orders that are not done yet.
    pub claims: BTreeMap<OrderKey, Claim>,
    /// By how many orders of each customer it has been used, where that is limited.
    pub customers: BTreeMap<CustomerId, u32>,
    /// How often the use of some customer was counted: customers' contracts are told in this order.
    #[serde(default)]
    pub counted: u64,
}

/// What a budget has left, for whoever quotes prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLeft {
    is_open: bool,
    currency: Option<Currency>,
    most_by_customer: Option<u32>,
}

impl BudgetLeft {
    /// Whether anything is left.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// By how many orders of one customer it may be used; any if not said.
    #[must_use]
    pub fn most_by_customer(&self) -> Option<u32> {
        self.most_by_customer
    }

    /// The currency that it is in, if it is an amount and that is another one.
    #[must_use]
    pub fn other_than(&self, currency: Currency) -> Option<Currency> {
        self.currency.filter(|own| *own != currency)
    }
}

/// A price on its way through the budgets that it uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// For which order.
    pub order: OrderKey,
    /// For which of its attempts at pricing.
    pub attempt: u16,
    /// Whose order.
    pub customer: CustomerId,
    /// What was asked, to be asked again without what is refused.
    pub request: Box<QuoteRequest>,
    /// The quote that the order relies on.
    pub claim: Option<QuoteClaim>,
    /// The price.
    pub quote: Box<Quote>,
    /// The place of this budget among those that the price uses.
    pub place: u16,
}

impl ClaimRequest {
    fn uses(&self) -> Option<&BudgetUse> {
        self.quote.budgets.get(usize::from(self.place))
    }

    /// The budgets that the order has a part of by now: before this price, and by it.
    fn held(&self) -> Vec<BudgetId> {
        let mut held = self.request.budgets.held.clone();
        for used in self.quote.budgets.iter().take(usize::from(self.place)) {
            if !held.contains(&used.budget) {
                held.push(used.budget.clone());
            }
        }
        held
    }

    /// Where it goes next: to the first or next budget, at last to the order. What the order has of others goes back then,
    /// and not before: another price of the attempt could still claim it.
    pub(super) fn passed_on<E: Entity<Domain = Distributor>>(self, decision: Decision<E>) -> Decision<E> {
        match self.uses().map(|used| used.budget.clone()) {
            Some(budget) => decision.send((budget, BudgetCommand::Claim(Box::new(self)))),
            None => {
                let uses = &self.quote.budgets;
                let is_used = |budget: &BudgetId| uses.iter().any(|used| used.budget == *budget);
                let mut unneeded = self.request.budgets.held;
                unneeded.retain(|budget| !is_used(budget));
                let decision = given_back(decision, (&self.order, self.attempt), unneeded);
                let priced = Priced {
                    attempt: self.attempt,
                    result: Ok(self.quote),
                };
                decision.send((self.order, OrderCommand::Priced(priced)))
            }
        }
    }
}

/// Gives back what an attempt of an order has of these budgets.
pub(super) fn given_back<E: Entity<Domain = Distributor>>(
    decision: Decision<E>,
    (order, attempt): (&OrderKey, u16),
    budgets: impl IntoIterator<Item = BudgetId>,
) -> Decision<E> {
    budgets.into_iter().fold(decision, |decision, budget| {
        let order = order.clone();
        decision.send((budget, BudgetCommand::GiveBack { order, attempt }))
    })
}

/// What someone wants of a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetCommand {
    /// So much may be spent from now on; what is spent stays spent. An older or equal version is ignored.
    Set {
        /// The limits.
        limits: Limits,
        /// Their version.
        version: u64,
    },
    /// An order's price uses it.
    Claim(Box<ClaimRequest>),
    /// An order no longer uses it.
    GiveBack {
        /// Which.
        order: OrderKey,
        /// Its last attempt at pricing that used it.
        attempt: u16,
    },
    /// An order is done; what it used stays spent.
    Settle {
        /// Which.
        order: OrderKey,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BudgetEvent {
    /// It was limited.
    Limited {
        /// The limits.
        limits: Limits,
        /// Their version.
        version: u64,
    },
    /// An order uses it, in place of what the order used before.
    Claimed {
        /// Which.
        order: OrderKey,
        /// How much.
        claim: Claim,
    },
    /// An order uses it no longer.
    GivenBack {
        /// Which.
        order: OrderKey,
    },
    /// An order that used it is done.
    Settled {
        /// Which.
        order: OrderKey,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Budget(Box<BudgetState>),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// A budget, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct PromotionBudget;

impl Entity for PromotionBudget {
    const KIND: EntityKind = EntityKind(22);
    const NAME: &'static str = "promotion-budget";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = BudgetId;
    type State = BudgetState;
    type Command = BudgetCommand;
    type Event = BudgetEvent;
    type Reply = BudgetReply;

    fn is_query(command: &BudgetCommand) -> bool {
        matches!(command, BudgetCommand::Show)
    }

    fn decide(
        id: &BudgetId,
        state: &BudgetState,
        command: &BudgetCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            BudgetCommand::Set { limits, version } => set(state, *limits, *version),
            BudgetCommand::Claim(request) => claim(id, state, request),
            BudgetCommand::GiveBack { order, attempt } => match state.claims.get(order) {
                Some(known) if known.attempt <= *attempt => {
                    let event = BudgetEvent::GivenBack { order: order.clone() };
                    let decision = Decision::event(event, BudgetReply::Accepted);
                    let uses = state.uses_without(order, &known.customer);
                    state.counted_at(id, &known.customer, uses, decision)
                }
                Some(_) | None => Decision::answer(BudgetReply::Accepted),
            },
            BudgetCommand::Settle { order } if state.claims.contains_key(order) => {
                let order = order.clone();
                Decision::event(BudgetEvent::Settled { order }, BudgetReply::Accepted)
            }
            BudgetCommand::Settle { .. } => Decision::answer(BudgetReply::Accepted),
            BudgetCommand::Show => Decision::answer(BudgetReply::Budget(Box::new(state.clone()))),
        }
    }

    fn apply(state: &mut BudgetState, event: &BudgetEvent) {
        match event {
            BudgetEvent::Limited { limits, version } => {
                state.limits = Some(*limits);
                state.version = *version;
            }
            BudgetEvent::Claimed { order, claim } => {
                state.take_back(order);
                state.uses = state.uses.saturating_add(1);
                state.spent = state.spent.saturating_add(claim.amount);
                if state
                    .limits
                    .is_some_and(|limits| limits.uses_by_customer.is_some())
                {
                    let uses = state.customers.entry(claim.customer.clone()).or_default();
                    *uses = uses.saturating_add(1);
                    state.counted = state.counted.saturating_add(1);
                }
                state.claims.insert(order.clone(), claim.clone());
            }
            BudgetEvent::GivenBack { order } => {
                state.take_back(order);
                state.counted = state.counted.saturating_add(1);
            }
            BudgetEvent::Settled { order } => drop(state.claims.remove(order)),
        }
    }

    fn view(id: &BudgetId, state: &BudgetState, sequence: Sequence) -> Option<View> {
        let limits = state.limits?;
        let left = BudgetLeft {
            is_open: limits.uses.is_none_or(|uses| state.uses < uses)
                && limits.amount.is_none_or(|amount| state.spent < amount.value),
            currency: limits.amount.map(|amount| amount.currency),
            most_by_customer: limits.uses_by_customer,
        };
        Some(View::Budget(Published {
            id: id.clone(),
            value: Arc::new(left),
            sequence,
        }))
    }
}

impl BudgetState {
    fn take_back(&mut self, order: &OrderKey) {
        let Some(claim) = self.claims.remove(order) else {
            return;
        };
        self.uses = self.uses.saturating_sub(1);
        self.spent = self.spent.saturating_sub(claim.amount);
        if let Some(uses) = self.customers.get_mut(&claim.customer) {
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                self.customers.remove(&claim.customer);
            }
        }
    }

    /// By how many orders of a customer it is used, without one.
    fn uses_without(&self, order: &OrderKey, customer: &CustomerId) -> u32 {
        let mine = self.customers.get(customer).copied().unwrap_or(0);
        let own = self.claims.get(order);
        mine.saturating_sub(u32::from(own.is_some_and(|own| own.customer == *customer)))
    }

    /// Tells a customer's contract how often it uses the budget after a decision, where that is limited: no quote counts on
    /// what its customer has used up.
    fn counted_at(
        &self,
        id: &BudgetId,
        customer: &CustomerId,
        uses: u32,
        decision: Decision<PromotionBudget>,
    ) -> Decision<PromotionBudget> {
        if self.limits.is_none_or(|limits| limits.uses_by_customer.is_none()) {
            return decision;
        }
        let command = ContractCommand::CountUses {
            budget: id.clone(),
            uses,
            revision: self.counted.saturating_add(1),
        };
        decision.send((customer.clone(), command))
    }

    /// Whether an order may use so much, in place of what it uses now.
    fn has_room(&self, order: &OrderKey, customer: &CustomerId, amount: Decimal) -> bool {
        let Some(limits) = self.limits else {
            return false;
        };
        let own = self.claims.get(order);
        let uses = self.uses.saturating_sub(u64::from(own.is_some()));
        let spent = own.map_or(self.spent, |own| self.spent.saturating_sub(own.amount));
        let mine = self.uses_without(order, customer);
        let has_place = own.is_some() || self.claims.len() < MAX_CLAIMS;
        let is_counted = limits.uses_by_customer.is_none_or(|most| {
            let known = self.customers.contains_key(customer) || self.customers.len() < MAX_CUSTOMERS;
            known && mine < most
        });
        has_place
            && is_counted
            && limits.uses.is_none_or(|most| uses < most)
            && limits
                .amount
                .is_none_or(|most| spent.saturating_add(amount) <= most.value)
    }
}

fn set(state: &BudgetState, limits: Limits, version: u64) -> Decision<PromotionBudget> {
    if state.limits.is_some() && version <= state.version {
        return Decision::answer(BudgetReply::Stale { known: state.version });
    }
    if limits.amount.is_some_and(|amount| {
        amount.value < Decimal::ZERO || amount.value > LIMIT || amount.value.scale() > PLACES
    }) {
        return Decision::answer(BudgetReply::Refused(PriceRefusal::BudgetOutOfRange));
    }
    Decision::event(BudgetEvent::Limited { limits, version }, BudgetReply::Accepted)
}

fn claim(id: &BudgetId, state: &BudgetState, request: &ClaimRequest) -> Decision<PromotionBudget> {
    let Some(used) = request.uses() else {
        return Decision::answer(BudgetReply::Accepted);
    };
    let known = state.claims.get(&request.order);
    // A newer attempt has been here: nobody waits for this one, and what it has of budgets goes back.
    if known.is_some_and(|known| known.attempt > request.attempt) {
        let dropped = Decision::answer(BudgetReply::Accepted);
        return given_back(dropped, (&request.order, request.attempt), request.held());
    }
    let claim = Claim {
        attempt: request.attempt,
        customer: request.customer.clone(),
        amount: used.amount,
    };
    let mut next = request.clone();
    if known == Some(&claim) {
        next.place = next.place.saturating_add(1);
        return next.passed_on(Decision::answer(BudgetReply::Accepted));
    }
    if state.has_room(&request.order, &request.customer, used.amount) {
        next.place = next.place.saturating_add(1);
        let claimed = BudgetEvent::Claimed {
            order: request.order.clone(),
            claim,
        };
        let uses = state
            .uses_without(&request.order, &request.customer)
            .saturating_add(1);
        let decision = Decision::event(claimed, BudgetReply::Accepted);
        return next.passed_on(state.counted_at(id, &request.customer, uses, decision));
    }
    let mut asked = request.request.clone();
    asked.budgets.held = request.held();
    asked.budgets.without.push(id.clone());
    let again = ContractCommand::PriceOrder {
        order: request.order.clone(),
        attempt: request.attempt,
        request: asked,
        quote: request.claim,
    };
    Decision::answer(BudgetReply::Accepted).send((request.customer.clone(), again))
}
