//! The naive model of prices: what a beginner would reckon with a pocket calculator from the list prices and terms that were
//! ever durable; and whether a price is explained.
//!
//! It knows what the simulated trade has: list prices with breaks for all units, a contract's discount on everything or by what was
//! bought before, its agreed prices by SKU, its promotions for coupons, for many units and as long as a budget lasts, and prices that
//! channels state.

use lockstep_actors::ids::{BudgetId, CustomerId, OrderKey, RuleId, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::orders::command::OrderRequest;
use lockstep_actors::pricing::contract::{Contract, ContractEvent};
use lockstep_actors::pricing::list::ListRow;
use lockstep_actors::pricing::resolve::{PricedLine, Quote, StepKind};
use lockstep_actors::pricing::scale::Scale;
use lockstep_actors::pricing::term::{ByValue, Effect, Scope, Stage, Term};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// All prices and terms that there ever were, by their versions.
#[derive(Clone, Debug, Default)]
pub(super) struct PriceModel {
    lists: BTreeMap<(Sku, u64), ListRow>,
    contracts: BTreeMap<(CustomerId, u64), Contract>,
    /// What customers have bought before, as the ERP said it.
    volumes: BTreeMap<CustomerId, Decimal>,
    /// By order and attempt at its pricing: what its customer had bought before each time when its contract answered.
    answered_at: BTreeMap<(OrderKey, u16), Vec<Decimal>>,
}

/// What a line is priced by besides list prices.
#[derive(Clone, Copy)]
struct Basis<'a> {
    contract: Option<&'a Contract>,
    request: &'a OrderRequest,
    quote: &'a Quote,
    volume: Decimal,
}

impl PriceModel {
    /// A list price is known from now on: as the house has said it.
    pub(super) fn note_list(&mut self, sku: &Sku, row: ListRow) {
        self.lists.insert((sku.clone(), row.version), row);
    }

    /// What one unit of each SKU costs by its newest list price.
    pub(super) fn listed(&self) -> BTreeMap<&Sku, Decimal> {
        let rows = self.lists.iter();
        rows.map(|((sku, _), row)| (sku, at_quantity(&row.price, 1).amount()))
            .collect()
    }

    pub(super) fn note_contract(&mut self, customer: &CustomerId, event: &ContractEvent) {
        match event {
            ContractEvent::Agreed { contract, version } => {
                self.contracts
                    .insert((customer.clone(), *version), (**contract).clone());
            }
            ContractEvent::VolumeReported(_)
            | ContractEvent::OrderCounted { .. }
            | ContractEvent::UsesCounted { .. }
            | ContractEvent::QuoteKept { .. } => {}
        }
    }

    /// A customer has bought so much before.
    pub(super) fn note_volume(&mut self, customer: &CustomerId, value: Decimal) {
        self.volumes.insert(customer.clone(), value);
    }

    /// A customer's contract tells an order its price.
    pub(super) fn note_answer(&mut self, customer: &CustomerId, order: OrderKey, attempt: u16) {
        let volume = self.volumes.get(customer).copied().unwrap_or_default();
        self.answered_at.entry((order, attempt)).or_default().push(volume);
    }

    /// What is wrong with the price that an order has by an attempt at its pricing, if anything is.
    pub(super) fn flaw(
        &self,
        order: (&OrderKey, u16),
        request: &OrderRequest,
        quote: &Quote,
    ) -> Option<String> {
        if let Some(flaw) = unexplained(quote) {
            return Some(flaw);
        }
        let (order, attempt) = order;
        // An order that asked again is answered twice, and takes both.
        let volumes = self
            .answered_at
            .get(&(order.clone(), attempt))
            .cloned()
            .unwrap_or_default();
        let contract = (request.customer.clone(), quote.contract_version);
        let contract = self.contracts.get(&contract);
        if contract.is_none() && quote.contract_version != 0 {
            return Some(format!(
                "version {} of the contract is not durable",
                quote.contract_version
            ));
        }
        let class = contract.and_then(|contract| contract.customer_class.as_ref());
        if quote.customer_class.as_ref() != class {
            return Some(format!(
                "the customer is served as {:?}, and is {class:?}",
                quote.customer_class
            ));
        }
        if request.lines.len() != quote.lines.len() {
            return Some(format!(
                "{} lines were ordered, {} priced",
                request.lines.len(),
                quote.lines.len()
            ));
        }
        let flaw_at = |volume| {
            let basis = Basis {
                contract,
                request,
                quote,
                volume,
            };
            self.flaw_in_lines(basis).or_else(|| flaw_in_budgets(basis))
        };
        let mut flaws = Vec::with_capacity(volumes.len());
        for volume in volumes {
            flaws.push(flaw_at(volume)?);
        }
        Some(
            flaws
                .pop()
                .unwrap_or_else(|| "its contract was not asked".to_owned()),
        )
    }

    fn flaw_in_lines(&self, basis: Basis<'_>) -> Option<String> {
        let lines = basis.request.lines.iter().zip(&basis.quote.lines);
        lines.into_iter().find_map(|(ordered, priced)| {
            let stated = ordered.channel_price.map(Price::amount);
            let reckoned = self.reckon(basis, priced);
            let differs = match reckoned {
                Err(flaw) => return Some(flaw),
                Ok(ours) => !is_right(priced, ours, stated),
            };
            differs.then(|| {
                format!(
                    "line {}: {} of {} come to {}, reckoned {reckoned:?}, stated {stated:?}",
                    priced.line,
                    priced.quantity.units(),
                    priced.sku,
                    priced.amount
                )
            })
        })
    }

    /// What a line comes to by our own terms.
    fn reckon(&self, basis: Basis<'_>, line: &PricedLine) -> Result<Decimal, String> {
        let units = line.quantity.units();
        let list = line.waterfall.iter().find(|step| step.kind == StepKind::BaseList);
        let mut amount = match list {
            Some(step) => {
                let row = self.lists.get(&(line.sku.clone(), step.version));
                let row = row.ok_or_else(|| {
                    format!(
                        "version {} of {}'s list price is not durable",
                        step.version, line.sku
                    )
                })?;
                Some(at_quantity(&row.price, units).amount() * Decimal::from(units))
            }
            None => None,
        };
        let terms = basis.contract.map(|contract| contract.terms.as_slice());
        let terms: Vec<&Term> = terms
            .unwrap_or_default()
            .iter()
            .filter(|term| applies(term, line, basis))
            .collect();
        // What is said of the SKU itself goes before what is said of everything.
        let standing = terms.iter().filter(|term| term.stage == Stage::Standing);
        if let Some(term) = standing.max_by_key(|term| matches!(term.scope, Scope::Sku(_))) {
            amount = effect(term, amount, units, basis.volume)?;
        }
        if let Some(term) = terms.iter().find(|term| term.stage == Stage::Agreed) {
            amount = effect(term, amount, units, basis.volume)?;
        }
        // Of promotions the best one.
        let before = amount;
        for term in terms.iter().filter(|term| term.stage == Stage::Promotion) {
            let after = effect(term, before, units, basis.volume)?;
            amount = amount.min(after);
        }
        let amount = amount.ok_or_else(|| format!("nothing gives {} a price", line.sku))?;
        Ok(in_cents(amount))
    }
}

/// What a term makes of what a line comes to.
fn effect(
    term: &Term,
    before: Option<Decimal>,
    units: i64,
    volume: Decimal,
) -> Result<Option<Decimal>, String> {
    let less = |percent: Decimal| {
        before.map(|before| before * (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED)
    };
    match &term.effect {
        Effect::Discount(percent) => Ok(less(at_quantity(percent, units).get())),
        Effect::Fixed(price) => Ok(Some(at_quantity(price, units).amount() * Decimal::from(units))),
        Effect::ByValue(value) => Ok(less(percent_at(value, volume))),
        Effect::CostPlus(_) | Effect::Indexed(_) | Effect::Bound { .. } => {
            Err(format!("{} is no term of this trade", term.rule))
        }
    }
}

/// What is taken off for what was bought before: all of it by the tier that it reaches.
fn percent_at(value: &ByValue, volume: Decimal) -> Decimal {
    let tiers = value.tiers.tiers.iter();
    let reached = tiers.rev().find(|tier| tier.from.amount() <= volume);
    reached.map_or(Decimal::ZERO, |tier| tier.percent.get())
}

/// What a price takes from budgets is what the steps take off that it pays for.
fn flaw_in_budgets(basis: Basis<'_>) -> Option<String> {
    let budget_of = |rule: Option<&RuleId>| {
        let terms = basis.contract.map(|contract| contract.terms.as_slice());
        let term = terms
            .unwrap_or_default()
            .iter()
            .find(|term| Some(&term.rule) == rule);
        term.and_then(Term::budget)
    };
    let mut taken: BTreeMap<&BudgetId, Decimal> = BTreeMap::new();
    let steps = basis.quote.lines.iter().flat_map(|line| &line.waterfall);
    for step in steps.filter(|step| step.kind == StepKind::Promotion) {
        if let Some(budget) = budget_of(step.rule.as_ref()) {
            *taken.entry(budget).or_default() += step.before - step.after;
        }
    }
    let told: BTreeMap<&BudgetId, Decimal> = basis
        .quote
        .budgets
        .iter()
        .map(|used| (&used.budget, used.amount))
        .collect();
    (taken != told).then(|| format!("it takes {told:?} from budgets, and its steps {taken:?}"))
}

/// The value for so many units.
fn at_quantity<V: Copy>(scale: &Scale<V>, units: i64) -> V {
    let reached = scale.breaks.iter().filter(|at| at.from.units() <= units);
    reached.last().map_or(scale.base, |at| at.value)
}

/// Whether a term is for a line. A budget has something left for an order exactly if the order takes something of it, as far as that
/// makes a difference.
fn applies(term: &Term, line: &PricedLine, basis: Basis<'_>) -> bool {
    let covers = match &term.scope {
        Scope::Everything => true,
        Scope::Sku(of) => *of == line.sku,
        Scope::Product(_) | Scope::Brand(_) | Scope::Category(_) => false,
    };
    let shown = &basis.request.coupons;
    let is_used = |budget: &BudgetId| basis.quote.budgets.iter().any(|used| used.budget == *budget);
    covers
        && term.conditions.as_ref().is_none_or(|when| {
            when.coupon.as_ref().is_none_or(|coupon| shown.contains(coupon))
                && when.minimum.is_none_or(|minimum| line.quantity >= minimum)
                && when.budget.as_ref().is_none_or(is_used)
        })
}

fn in_cents(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// Whether a line is priced as reckoned; or at the channel's price, if that is another one.
fn is_right(priced: &PricedLine, ours: Decimal, stated: Option<Decimal>) -> bool {
    let units = Decimal::from(priced.quantity.units());
    match (stated, priced.stated()) {
        (Some(stated), Some(step)) => step.before == ours && priced.amount == in_cents(stated * units),
        (Some(stated), None) => {
            // The same as ours, as far as a price by the unit can say.
            let apart = (ours / units - stated).abs();
            priced.amount == ours && apart < Decimal::new(1, stated.normalize().scale())
        }
        (None, Some(_)) => false,
        (None, None) => priced.amount == ours,
    }
}

/// Whether every step begins where the one before ended, names its rule, and they add up.
fn unexplained(quote: &Quote) -> Option<String> {
    for line in &quote.lines {
        let mut reached = Decimal::ZERO;
        for step in &line.waterfall {
            if step.before != reached {
                return Some(format!(
                    "line {}: a step begins at {}, not {reached}",
                    line.line, step.before
                ));
            }
            let needs_rule = !matches!(step.kind, StepKind::Rounding | StepKind::StatedPrice);
            if needs_rule && step.rule.is_none() {
                return Some(format!("line {}: {:?} names no rule", line.line, step.kind));
            }
            reached = step.after;
        }
        if reached != line.amount {
            return Some(format!(
                "line {}: the steps come to {reached}, not {}",
                line.line, line.amount
            ));
        }
    }
    let goods: Decimal = quote.lines.iter().map(|line| line.amount).sum();
    let mut reached = Decimal::ZERO;
    for (place, step) in quote.order.iter().enumerate() {
        if step.before != reached {
            return Some(format!(
                "a step to the total begins at {}, not {reached}",
                step.before
            ));
        }
        if place == 0 && step.after != goods {
            return Some(format!("the goods come to {goods}, not {}", step.after));
        }
        reached = step.after;
    }
    let total = if quote.order.is_empty() { goods } else { reached };
    (total != quote.total.amount).then(|| format!("the steps come to {total}, not {}", quote.total.amount))
}
