//! Many prices for one customer at once: what a shop shows a customer who has signed in, what a price file says.
//!
//! It is worked out from a copy of what is agreed, beside the shards: 10,000 lines take as long as thousands of orders,
//! and hold up none of them. All lines are by one version of the contract and of the agreements behind it.

use super::bound::PriceFlag;
use super::contract::{ContractState, QuoteRequest};
use super::line::{Desk, price_line};
use super::resolve::{Conversion, PricedLine, QuoteLine, QuoteRefusal, at_desk, conversion};
use crate::ids::{CustomerId, RuleId};
use crate::reference::Reference;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

/// How many lines can be priced at once.
pub const MAX_BULK_LINES: usize = 10_000;

/// Many prices for one customer, without what is reckoned of an order as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPrices {
    /// One for each line, in their order: its price, or why it has none.
    pub lines: Vec<Result<BulkPrice, QuoteRefusal>>,
    /// The contract's version; 0 for a customer without one.
    pub contract_version: u64,
    /// As of when.
    pub as_of: Timestamp,
    /// How they came from the contract's currency into the one that was asked for; none if they are the same.
    pub conversion: Option<Conversion>,
}

/// One of many prices. A quote as of the same moment explains it step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPrice {
    /// The price of one base unit, to ten decimals; for display.
    pub unit_price: Decimal,
    /// The line's amount, rounded to the currency's smallest unit.
    pub amount: Decimal,
    /// The rule that had the last word, and its version.
    pub rule: Option<(RuleId, u64)>,
    /// What someone should know about it.
    pub flags: Vec<PriceFlag>,
}

/// Prices up to [`MAX_BULK_LINES`] lines, each for itself. `state` may be a copy without the quotes that are kept.
///
/// # Errors
/// [`QuoteRefusal`] for what is in the way of all lines; what is in the way of one stands in its place.
pub fn price_in_bulk(
    customer: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    now: Timestamp,
    reference: &Reference,
) -> Result<BulkPrices, QuoteRefusal> {
    if request.lines.is_empty() || request.lines.len() > MAX_BULK_LINES {
        return Err(QuoteRefusal::Lines {
            most: MAX_BULK_LINES as u64,
            lines: request.lines.len() as u64,
        });
    }
    state.may_buy(customer)?;
    at_desk(None, (customer, state), request, now, reference, |desk| {
        let lines = request.lines.iter().map(|line| one(desk, line, reference));
        Ok(BulkPrices {
            lines: lines.collect(),
            contract_version: state.version,
            as_of: desk.as_of,
            conversion: conversion(desk),
        })
    })
}

fn one(desk: &Desk<'_>, line: &QuoteLine, reference: &Reference) -> Result<BulkPrice, QuoteRefusal> {
    let prices = reference.list_prices(&line.sku);
    let item = reference.item(&line.sku);
    let rows = prices.as_ref().map_or(&[][..], |prices| &prices.rows);
    price_line(desk, line, rows, item.as_deref()).map(BulkPrice::from)
}

impl From<PricedLine> for BulkPrice {
    fn from(line: PricedLine) -> Self {
        let ruled = line.waterfall.into_iter().rev();
        let mut rules = ruled.filter_map(|step| Some((step.rule?, step.version)));
        Self {
            unit_price: line.unit_price,
            amount: line.amount,
            rule: rules.next(),
            flags: line.flags,
        }
    }
}
