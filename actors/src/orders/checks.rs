//! What is checked about an order once its price is known, by rules of its channel.
//!
//! | check | passes | else |
//! |---|---|---|
//! | price | a line without a price of its channel, or with ours; within the tolerance the channel's price holds | `price-differs` |
//! | least amount | the order's total is not below it | `below-minimum` |
//! | credit | the customer's account bears it; once stock is held, see [`super::credit`] | `credit-hold` |
//!
//! Invariants:
//! - what fails a check stands in exception; an approval lets that check pass, for this price alone;
//! - an approval above the limit needs two systems, each of which approves once;
//! - the price that holds for a line is ours, or the channel's because it is within the tolerance or was approved; the
//!   contract reckons the whole order at it, with the step from ours to it, so that discount, tax and total follow from it.

use super::command::OrderRefusal;
use super::credit::{CreditRule, go_on_from_hold};
use super::event::OrderEvent;
use super::flow::Flow;
use super::reserve::begin_reserving;
use super::state::{Exception, Placed, Status};
use crate::money::{Currency, Money, Percent, Price, RoundingMode};
use crate::pricing::exact::{PLACES, each};
use crate::pricing::resolve::PricedLine;
use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rules of each channel; a channel that is not listed has the default ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRules(pub BTreeMap<CompactString, ChannelRules>);

/// What is checked about a channel's orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelRules {
    /// How far the channel's price of a line may be from ours. Not at all, unless something else is said.
    pub price_tolerance: PriceTolerance,
    /// What an order comes to at least, by currency. Anything, where nothing is said.
    pub minimum_amount: BTreeMap<Currency, Price>,
    /// Up to which total one person approves alone, by currency. Any, where nothing is said.
    pub approve_alone_up_to: BTreeMap<Currency, Price>,
    /// Whether the customer's account has to bear an order. Not, where nothing is said.
    pub credit: Option<CreditRule>,
}

/// How far a channel's price may be from ours: within both bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceTolerance {
    /// In percent of our unit price.
    pub percent: Percent,
    /// In money, on the whole line.
    pub amount: Option<Price>,
}

impl OrderRules {
    /// The rules of a channel.
    #[must_use]
    pub fn of(&self, channel: &str) -> &ChannelRules {
        static DEFAULT: ChannelRules = ChannelRules {
            price_tolerance: PriceTolerance {
                percent: Percent::ZERO,
                amount: None,
            },
            minimum_amount: BTreeMap::new(),
            approve_alone_up_to: BTreeMap::new(),
            credit: None,
        };
        self.0.get(channel).unwrap_or(&DEFAULT)
    }
}

/// What can be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The channel's prices.
    Price,
    /// The least amount.
    Minimum,
    /// What the customer's account has no room for.
    Credit,
}

/// A line of which the channel states another price than ours, and which is reckoned at that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedPrice {
    /// The order's line.
    pub line: u16,
    /// Our price of one base unit.
    pub ours: Decimal,
    /// The channel's.
    pub theirs: Decimal,
    /// The line's amount at the channel's price.
    pub amount: Decimal,
    /// How much that is more than at ours.
    pub difference: Decimal,
    units: i64,
}

impl StatedPrice {
    fn of(line: &PricedLine) -> Option<Self> {
        let step = line.stated()?;
        let units = line.quantity.units();
        Some(Self {
            line: line.line,
            ours: each(step.before, units, PLACES, RoundingMode::HalfEven)?.normalize(),
            theirs: line.unit_price,
            amount: step.after,
            difference: step.after.checked_sub(step.before)?,
            units,
        })
    }

    fn is_tolerated(&self, tolerance: PriceTolerance) -> bool {
        let within = || {
            let apart = self.theirs.checked_sub(self.ours)?.abs();
            // One percent of 100 is exact: no division.
            let percent =
                apart.checked_mul(Decimal::ONE_HUNDRED)? <= tolerance.percent.get().checked_mul(self.ours)?;
            let line = apart.checked_mul(Decimal::from(self.units))?;
            Some(percent && tolerance.amount.is_none_or(|most| line <= most.amount()))
        };
        within().unwrap_or(false)
    }
}

/// The lines of which the channel states another price than ours.
fn stated(placed: &Placed) -> impl Iterator<Item = StatedPrice> {
    let lines = placed.quote.iter().flat_map(|quote| &quote.lines);
    lines.filter_map(StatedPrice::of)
}

/// Checks what has not been approved, then reserves.
pub(super) fn check_and_go_on(flow: &mut Flow<'_>) {
    let rules = flow.rules();
    if !flow.placed.passed.contains(&Check::Price)
        && let Some(exception) = price_exception(&flow.placed, rules.price_tolerance)
    {
        return flow.raise(exception, Status::Pricing);
    }
    if !flow.placed.passed.contains(&Check::Minimum)
        && let Some(exception) = below_minimum(&flow.placed, rules)
    {
        return flow.raise(exception, Status::Pricing);
    }
    begin_reserving(flow);
}

fn price_exception(placed: &Placed, tolerance: PriceTolerance) -> Option<Exception> {
    let mut outside = stated(placed).filter(|stated| !stated.is_tolerated(tolerance));
    let first = outside.next()?;
    Some(Exception::PriceDiffers {
        line: first.line,
        lines: u16::try_from(outside.count())
            .unwrap_or(u16::MAX)
            .saturating_add(1),
        ours: first.ours,
        theirs: first.theirs,
    })
}

fn below_minimum(placed: &Placed, rules: &ChannelRules) -> Option<Exception> {
    let total = placed.total()?;
    let minimum = rules.minimum_amount.get(&total.currency)?;
    (total.amount < minimum.amount()).then(|| Exception::BelowMinimum {
        minimum: Money {
            amount: minimum.amount(),
            currency: total.currency,
        },
        total,
    })
}

/// Lets what failed a check pass. Above the limit a second system has to say the same.
pub(super) fn approve(flow: &mut Flow<'_>) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    if placed.status != Status::Exception {
        return Err(OrderRefusal::NotNow {
            status: placed.status,
        });
    }
    let check = placed.exception.as_ref().and_then(Exception::approvable);
    let check = check.ok_or(OrderRefusal::NotApprovable)?;
    if placed.approved_by.iter().any(|known| known == flow.by) {
        return Err(OrderRefusal::SecondPerson);
    }
    let alone = may_approve_alone(flow);
    let is_second = !placed.approved_by.is_empty();
    flow.happens(OrderEvent::Approved {
        by: flow.by.into(),
        passes: (alone || is_second).then_some(check),
    });
    match check {
        _ if !alone && !is_second => flow.become_status(Status::Exception),
        Check::Price | Check::Minimum => check_and_go_on(flow),
        Check::Credit => go_on_from_hold(flow),
    }
    Ok(())
}

fn may_approve_alone(flow: &Flow<'_>) -> bool {
    let rules = flow.rules();
    // At the dearer of both prices: nobody approves alone by what is being approved.
    let dearest = flow.placed.total().map(|total| {
        stated(&flow.placed).fold(total.amount, |sum, stated| {
            sum.saturating_sub(stated.difference.min(Decimal::ZERO))
        })
    });
    let limit = rules.approve_alone_up_to.get(&flow.placed.request.currency);
    match (dearest, limit) {
        (_, None) => true,
        (Some(total), Some(limit)) => total <= limit.amount(),
        (None, Some(_)) => false,
    }
}

impl Exception {
    /// Which check an approval lets pass; none if it cannot be approved.
    #[must_use]
    pub const fn approvable(&self) -> Option<Check> {
        match self {
            Self::PriceDiffers { .. } => Some(Check::Price),
            Self::BelowMinimum { .. } => Some(Check::Minimum),
            Self::CreditHold(_) => Some(Check::Credit),
            Self::NoPrice(_)
            | Self::Shortage { .. }
            | Self::Withdrawn { .. }
            | Self::NotServed { .. }
            | Self::NoAnswer(_)
            | Self::BookingRejected(_)
            | Self::BookingFailed(_)
            | Self::BookingUnknown(_)
            | Self::CancelUnknown(_)
            | Self::NotShippable { .. } => None,
        }
    }
}

impl Placed {
    /// What the order comes to, at the prices that the channel states where it states any.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        self.quote.as_ref().map(|quote| quote.total)
    }

    /// Prices of the channel that hold in place of ours: none while a person is asked about them.
    #[must_use]
    pub fn agreed(&self) -> Vec<StatedPrice> {
        match self.exception {
            Some(Exception::PriceDiffers { .. }) => Vec::new(),
            Some(_) | None => stated(self).collect(),
        }
    }
}
