//! Asking the customer's contract for the price.

use super::checks::check_and_go_on;
use super::command::Priced;
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::state::{Exception, Status};
use crate::pricing::contract::{ContractCommand, QuoteRequest};
use crate::pricing::resolve::{Detail, QuoteLine};

pub(super) fn begin_pricing(flow: &mut Flow<'_>) {
    let attempt = flow.placed.pricing_attempt.saturating_add(1);
    flow.happens(OrderEvent::PricingBegun { attempt });
    flow.become_status(Status::Pricing);
    flow.wait(ANSWER_WITHIN);
    ask_for_price(flow);
}

pub(super) fn ask_for_price(flow: &mut Flow<'_>) {
    let request = &flow.placed.request;
    let lines = request.lines.iter().map(|line| QuoteLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit: None,
        stated_price: line.channel_price,
    });
    let command = ContractCommand::PriceOrder {
        order: flow.order.clone(),
        attempt: flow.placed.pricing_attempt,
        request: Box::new(QuoteRequest {
            currency: request.currency,
            lines: lines.collect(),
            as_of: request.price_as_of,
            customers: request.customers,
            detail: Detail::Waterfall,
            rates: None,
            coupons: request.coupons.clone(),
            zone: request.delivery.zone.clone(),
        }),
    };
    let customer = request.customer.clone();
    flow.send((customer, command));
}

pub(super) fn pricing_answered(flow: &mut Flow<'_>, priced: &Priced) {
    if flow.placed.status != Status::Pricing || priced.attempt != flow.placed.pricing_attempt {
        return;
    }
    match &priced.result {
        Ok(quote) => {
            flow.happens(OrderEvent::Priced { quote: quote.clone() });
            check_and_go_on(flow);
        }
        Err(refusal) => flow.raise(Exception::NoPrice(refusal.clone()), Status::Pricing),
    }
}
