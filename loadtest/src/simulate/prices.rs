//! The naive model of prices: what a beginner would reckon with a pocket calculator from the list prices and terms that were
//! ever durable; and whether a price is explained.
//!
//! It knows what the simulated trade has: list prices with breaks for all units, a contract's discount on everything, its agreed
//! prices by SKU, its coupons, and prices that channels state.

use lockstep_actors::ids::{CouponCode, CustomerId, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::orders::command::OrderRequest;
use lockstep_actors::pricing::contract::{Contract, ContractEvent};
use lockstep_actors::pricing::list::{ListPriceEvent, ListRow};
use lockstep_actors::pricing::resolve::{PricedLine, Quote, StepKind};
use lockstep_actors::pricing::scale::Scale;
use lockstep_actors::pricing::term::{Effect, Scope, Stage, Term};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// All prices and terms that there ever were, by their versions.
#[derive(Clone, Debug, Default)]
pub(super) struct PriceModel {
    lists: BTreeMap<(Sku, u64), ListRow>,
    contracts: BTreeMap<(CustomerId, u64), Contract>,
}

impl PriceModel {
    pub(super) fn note_list(&mut self, sku: &Sku, event: &ListPriceEvent) {
        match event {
            ListPriceEvent::Kept(kept) => {
                self.lists
                    .insert((sku.clone(), kept.row.version), kept.row.clone());
            }
            ListPriceEvent::Looked { .. } | ListPriceEvent::Turned { .. } => {}
        }
    }

    pub(super) fn note_contract(&mut self, customer: &CustomerId, event: &ContractEvent) {
        match event {
            ContractEvent::Agreed { contract, version } => {
                self.contracts
                    .insert((customer.clone(), *version), (**contract).clone());
            }
            ContractEvent::VolumeReported(_) | ContractEvent::QuoteKept { .. } => {}
        }
    }

    /// What is wrong with the price of an order, if anything is.
    pub(super) fn flaw(&self, request: &OrderRequest, quote: &Quote) -> Option<String> {
        if let Some(flaw) = unexplained(quote) {
            return Some(flaw);
        }
        let contract = (request.customer.clone(), quote.contract_version);
        let contract = self.contracts.get(&contract);
        if contract.is_none() && quote.contract_version != 0 {
            return Some(format!(
                "version {} of the contract is not durable",
                quote.contract_version
            ));
        }
        if request.lines.len() != quote.lines.len() {
            return Some(format!(
                "{} lines were ordered, {} priced",
                request.lines.len(),
                quote.lines.len()
            ));
        }
        let lines = request.lines.iter().zip(&quote.lines);
        lines.into_iter().find_map(|(ordered, priced)| {
            let stated = ordered.channel_price.map(Price::amount);
            let reckoned = self.reckon(contract, &request.coupons, priced);
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
    fn reckon(
        &self,
        contract: Option<&Contract>,
        coupons: &[CouponCode],
        line: &PricedLine,
    ) -> Result<Decimal, String> {
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
        let terms = contract
            .map(|contract| contract.terms.as_slice())
            .unwrap_or_default();
        for stage in [Stage::Standing, Stage::Agreed, Stage::Promotion] {
            for term in terms
                .iter()
                .filter(|term| applies(term, stage, &line.sku, coupons))
            {
                amount = match &term.effect {
                    Effect::Discount(percent) => amount.map(|before| {
                        let percent = at_quantity(percent, units).get();
                        before * (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED
                    }),
                    Effect::Fixed(price) => Some(at_quantity(price, units).amount() * Decimal::from(units)),
                    Effect::ByValue(_) | Effect::CostPlus(_) | Effect::Indexed(_) | Effect::Bound { .. } => {
                        return Err(format!("{} is no term of this trade", term.rule));
                    }
                };
            }
        }
        let amount = amount.ok_or_else(|| format!("nothing gives {} a price", line.sku))?;
        Ok(in_cents(amount))
    }
}

/// The value for so many units.
fn at_quantity<V: Copy>(scale: &Scale<V>, units: i64) -> V {
    let reached = scale.breaks.iter().filter(|at| at.from.units() <= units);
    reached.last().map_or(scale.base, |at| at.value)
}

fn applies(term: &Term, stage: Stage, sku: &Sku, coupons: &[CouponCode]) -> bool {
    let covers = match &term.scope {
        Scope::Everything => true,
        Scope::Sku(of) => of == sku,
        Scope::Product(_) | Scope::Brand(_) | Scope::Category(_) => false,
    };
    let coupon = term.conditions.as_ref().and_then(|when| when.coupon.as_ref());
    term.stage == stage && covers && coupon.is_none_or(|coupon| coupons.contains(coupon))
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
