//! Asking the customer's contract for the price.

use super::after_sales::due_for;
use super::checks::check_and_go_on;
use super::command::{OrderRequest, Priced};
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow, doubled};
use super::state::{Exception, Placed, Status};
use crate::ids::Region;
use crate::pricing::budget::BudgetCommand;
use crate::pricing::contract::{Budgets, ContractCommand, QuoteRequest};
use crate::pricing::kept::QuoteClaim;
use crate::pricing::resolve::{Detail, Quote, QuoteLine};
use rust_decimal::Decimal;

pub(super) fn begin_pricing(flow: &mut Flow<'_>) {
    begin_attempt(flow);
    flow.become_status(Status::Pricing);
    flow.wait(ANSWER_WITHIN);
    ask_for_price(flow);
}

/// Asks again after `tries` questions in vain. Each is an attempt of its own, so that budgets keep what the answer takes that
/// the order goes on with, whichever comes first. As an answer to an earlier one comes to nothing, each is given twice
/// the time of the one before.
pub(super) fn ask_for_price_again(flow: &mut Flow<'_>, tries: u8) {
    begin_attempt(flow);
    flow.wait_try(doubled(ANSWER_WITHIN, tries), tries);
    ask_for_price(flow);
}

fn begin_attempt(flow: &mut Flow<'_>) {
    let attempt = flow.placed.pricing_attempt.saturating_add(1);
    flow.happens(OrderEvent::PricingBegun { attempt });
}

fn ask_for_price(flow: &mut Flow<'_>) {
    let request = &flow.placed.request;
    let lines = request.lines.iter().map(|line| QuoteLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity: line.ordered(),
        unit: line.ordered_as.as_ref().map(|ordered| ordered.unit.clone()),
        // As the order was taken, whatever the catalogue says of the unit by now.
        base_units: Some(line.quantity),
        stated_price: line.channel_price,
    });
    let command = ContractCommand::PriceOrder {
        order: flow.order.clone(),
        attempt: flow.placed.pricing_attempt,
        // Whether it comes in time is judged by when it came in, however long it waits here.
        quote: request.quote.map(|number| QuoteClaim {
            number,
            at: flow.placed.received_at,
        }),
        request: Box::new(QuoteRequest {
            currency: request.currency,
            lines: lines.collect(),
            // However late it is priced, or priced anew.
            as_of: request.price_as_of.or(Some(flow.placed.received_at)),
            customers: request.customers,
            detail: Detail::Waterfall,
            rates: None,
            coupons: request.coupons.clone(),
            zone: request.delivery.zone.clone(),
            budgets: Budgets {
                held: flow.placed.budgets.clone(),
                without: Vec::new(),
            },
            channel: Some(flow.order.channel().into()),
            ship_to: ship_to(request),
        }),
    };
    let customer = request.customer.clone();
    flow.send((customer, command));
}

/// Where goods are shipped to: the order's region, else the country of its address.
fn ship_to(request: &OrderRequest) -> Option<Region> {
    let country = request.delivery.address.country.as_ref();
    let country = country.and_then(|country| Region::new(country.as_str()).ok());
    request.ship_to_region.clone().or(country)
}

pub(super) fn pricing_answered(flow: &mut Flow<'_>, priced: &Priced) {
    if flow.placed.status != Status::Pricing || priced.attempt != flow.placed.pricing_attempt {
        return give_stray_back(flow, priced);
    }
    match &priced.result {
        Ok(quote) => {
            flow.happens(OrderEvent::Priced { quote: quote.clone() });
            check_and_go_on(flow);
        }
        Err(refusal) => flow.raise(Exception::NoPrice(refusal.clone()), Status::Pricing),
    }
}

/// Gives back what a price that nobody waits for has taken of budgets, unless the order uses it by now. An order that has
/// ended has told its budgets before: what is taken after that is too much.
fn give_stray_back(flow: &mut Flow<'_>, priced: &Priced) {
    let Ok(quote) = &priced.result else { return };
    let is_over = flow.placed.status.is_final();
    if flow.placed.has_come_to_nothing() {
        count(flow, priced.attempt, Decimal::ZERO);
    }
    for used in &quote.budgets {
        if is_over || !flow.placed.budgets.contains(&used.budget) {
            let order = flow.order.clone();
            let attempt = priced.attempt;
            flow.send((used.budget.clone(), BudgetCommand::GiveBack { order, attempt }));
        }
    }
}

/// Tells the contract what is left of the order, if rebates go by that.
pub(super) fn tell_contract_of_less(flow: &mut Flow<'_>) {
    let placed = &flow.placed;
    let left = match &placed.quote {
        Some(quote) if quote.rebates.is_empty() => None,
        Some(quote) => left_of_goods(placed, quote),
        None => placed.has_come_to_nothing().then_some(Decimal::ZERO),
    };
    if let Some(left) = left {
        count(flow, placed.pricing_attempt, left);
    }
}

fn count(flow: &mut Flow<'_>, attempt: u16, left: Decimal) {
    let order = flow.order.clone();
    let command = ContractCommand::CountOrder { order, attempt, left };
    flow.send((flow.placed.request.customer.clone(), command));
}

/// The goods that are wanted, of an order that is over those that have left, less their discount, without what has come back or
/// was credited.
fn left_of_goods(placed: &Placed, quote: &Quote) -> Option<Decimal> {
    let mut left = Decimal::ZERO;
    for priced in &quote.lines {
        let units = match placed.line(priced.line) {
            _ if placed.has_ended() => placed.shipped(priced.line),
            Some(ordered) => placed.wanted(ordered),
            None => continue,
        };
        let back = placed.credited(priced.line).max(placed.returned(priced.line));
        let (due, _) = due_for(quote, priced, units.minus(back).at_least_zero().units())?;
        left = left.checked_add(due)?;
    }
    Some(left)
}

/// Tells the budgets that the price uses how the order has ended.
pub(super) fn tell_budgets(flow: &mut Flow<'_>) {
    for budget in flow.placed.budgets.clone() {
        let order = flow.order.clone();
        let attempt = flow.placed.pricing_attempt;
        let command = match flow.placed.status {
            Status::Cancelled | Status::Rejected => BudgetCommand::GiveBack { order, attempt },
            Status::Shipped | Status::Closed => BudgetCommand::Settle { order },
            Status::Pricing
            | Status::Reserving
            | Status::CreditCheck
            | Status::Booking
            | Status::Booked
            | Status::Released
            | Status::Picked
            | Status::Shipping
            | Status::Backordered
            | Status::Cancelling
            | Status::Releasing
            | Status::Exception => return,
        };
        flow.send((budget, command));
    }
}
