//! What is checked about an order once its price is known, by rules of its channel.
//!
//! | check | passes | else |
//! |---|---|---|
//! | likely duplicate | no order of the customer within the channel's window has the same purchase order and goods | `likely-duplicate` |
//! | delivery | the address has what the channel asks for, the carrier may bring it, hazardous goods may go there | `undeliverable` |
//! | packs | each line is a multiple of what its goods are packed in, where the channel holds to that | `pack-multiple` |
//! | price | a line without a price of its channel, or with ours; within the tolerance the channel's price holds | `price-differs` |
//! | bounds of prices | no line's price is below a floor or above a ceiling that holds it | `price-held` |
//! | least amount | the order's total is not below it | `below-minimum` |
//! | credit | the customer's account bears it; once stock is held, see [`super::credit`] | `credit-hold` |
//!
//! Invariants:
//! - what fails a check stands in exception; an approval lets that check pass, for this price alone;
//! - an approval above the limit needs two systems, each of which approves once; so does a price that is set by hand there, which
//!   who states it has approved by that;
//! - where systems have limits for prices set by hand, none states or approves one beyond its own;
//! - the price that holds for a line is ours, or the channel's because it is within the tolerance or was approved; the
//!   contract reckons the whole order at it, with the step from ours to it, so that discount, tax and total follow from it.

use super::command::{OrderChange, OrderLine, OrderRefusal, OrderRequest};
use super::credit::{CreditRule, go_on_from_hold};
use super::delivery::DeliveryRules;
use super::desk::OwnerRole;
use super::duplicate::is_being_introduced;
use super::event::OrderEvent;
use super::flow::Flow;
use super::invoice::Invoice;
use super::reserve::begin_reserving;
use super::state::{Exception, Likeness, Placed, Status};
use crate::ids::ListId;
use crate::inventory::backorder::Priority;
use crate::money::{Currency, Money, Percent, Price, RoundingMode};
use crate::pricing::exact::{PLACES, each};
use crate::pricing::resolve::PricedLine;
use crate::pricing::tax::ChannelTax;
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::Reference;
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
    /// Up to which total one person approves alone, by currency. Any, where nothing is said; none in a currency that is left out.
    pub approve_alone_up_to: BTreeMap<Currency, Price>,
    /// Whether the customer's account has to bear an order. Not, where nothing is said.
    pub credit: Option<CreditRule>,
    /// Within how many hours a like order is looked for. Not at all, where nothing is said.
    pub duplicate_window_hours: Option<u16>,
    /// What becomes of lines that are no multiple of what their goods are packed in.
    pub pack_multiples: PackRule,
    /// How orders may be delivered.
    pub delivery: DeliveryRules,
    /// How far from ours each system may set a price by hand, in percent of ours: a system that states another price without
    /// asking, or that approves one. Where any stand here, a system that does not may do neither.
    pub override_limits: BTreeMap<CompactString, Percent>,
    /// What the channel calls where an order stands. Nothing, where nothing is said.
    pub vocabulary: BTreeMap<Status, CompactString>,
    /// The list that its customers buy at whom nothing that is agreed with them gives another.
    pub price_list: Option<ListId>,
    /// The best priority that its orders may have, whatever they say. Any, where nothing is said.
    pub best_priority: Option<Priority>,
    /// Whose an exception becomes that nobody has settled in time, by whose it was. Operations', where nothing is said.
    pub escalate_to: BTreeMap<OwnerRole, OwnerRole>,
    /// How customers are taxed whose contract does not say it. Not at all, where nothing is said.
    pub tax: Option<ChannelTax>,
    /// Whether a customer is refused a price of whom nobody says how it is taxed.
    pub needs_tax: bool,
}

/// What becomes of a line that is no multiple of what its goods are packed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackRule {
    /// Nothing: packs are opened.
    #[default]
    Ignore,
    /// A person is asked.
    Hold,
    /// The order is refused when it comes in.
    Refuse,
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
            duplicate_window_hours: None,
            pack_multiples: PackRule::Ignore,
            delivery: DeliveryRules::NONE,
            override_limits: BTreeMap::new(),
            vocabulary: BTreeMap::new(),
            price_list: None,
            best_priority: None,
            escalate_to: BTreeMap::new(),
            tax: None,
            needs_tax: false,
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
    /// A like order of the customer.
    Duplicate,
    /// Lines that are no multiple of what their goods are packed in.
    Pack,
    /// Prices that a floor or a ceiling holds.
    Bound,
}

/// A line of which the channel states another price than ours, and which is reckoned at that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedPrice {
    /// The order's line.
    pub line: u16,
    /// Our price of one unit of what was ordered.
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
    fn of(ordered: &OrderLine, line: &PricedLine) -> Option<Self> {
        let step = line.stated()?;
        let units = ordered.ordered().units();
        Some(Self {
            line: line.line,
            ours: each(step.before, units, PLACES, RoundingMode::HalfEven)?.normalize(),
            theirs: ordered.channel_price?.amount(),
            amount: step.after,
            difference: step.after.checked_sub(step.before)?,
            units,
        })
    }

    /// Whether it is no further from ours than so many percent of ours.
    fn is_within(&self, percent: Percent) -> bool {
        let within = || {
            let apart = self.theirs.checked_sub(self.ours)?.abs();
            // One percent of 100 is exact: no division.
            Some(apart.checked_mul(Decimal::ONE_HUNDRED)? <= percent.get().checked_mul(self.ours)?)
        };
        within().unwrap_or(false)
    }

    fn is_tolerated(&self, tolerance: PriceTolerance) -> bool {
        let within = || {
            let apart = self.theirs.checked_sub(self.ours)?.abs();
            let percent = self.is_within(tolerance.percent);
            let line = apart.checked_mul(Decimal::from(self.units))?;
            Some(percent && tolerance.amount.is_none_or(|most| line <= most.amount()))
        };
        within().unwrap_or(false)
    }
}

/// The lines of which the channel states another price than ours.
fn stated(placed: &Placed) -> impl Iterator<Item = StatedPrice> {
    let priced = placed.quote.iter().flat_map(|quote| &quote.lines);
    let lines = placed.request.lines.iter().zip(priced);
    lines.filter_map(|(ordered, line)| StatedPrice::of(ordered, line))
}

/// Checks what has not been approved, then reserves.
pub(super) fn check_and_go_on(flow: &mut Flow<'_>) {
    if is_being_introduced(flow) {
        return;
    }
    match failed(flow) {
        Some(exception) => flow.raise(exception, Status::Pricing),
        None => begin_reserving(flow),
    }
}

/// What an order fails, if anything.
type EntryCheck = fn(&Placed, &ChannelRules, &Reference) -> Option<Exception>;

/// The first check that the order fails and that nobody has approved.
fn failed(flow: &Flow<'_>) -> Option<Exception> {
    let (placed, rules) = (&flow.placed, flow.rules());
    let checks: [EntryCheck; 6] = [
        likely_duplicate,
        undeliverable,
        no_pack_multiple,
        |placed, rules, _| price_exception(placed, rules),
        |placed, _, _| price_held(placed),
        |placed, rules, _| below_minimum(placed, rules),
    ];
    let is_approved = |exception: &Exception| {
        let check = exception.approvable();
        check.is_some_and(|check| placed.passed.contains(&check))
    };
    let mut found = checks
        .into_iter()
        .filter_map(|check| check(placed, rules, flow.reference));
    found.find(|exception| !is_approved(exception))
}

fn likely_duplicate(placed: &Placed, _: &ChannelRules, _: &Reference) -> Option<Exception> {
    match &placed.likeness {
        Likeness::Like(of) => Some(Exception::LikelyDuplicate { of: of.clone() }),
        Likeness::NotAsked | Likeness::Asked | Likeness::Unlike => None,
    }
}

fn undeliverable(placed: &Placed, rules: &ChannelRules, reference: &Reference) -> Option<Exception> {
    let fault = rules
        .delivery
        .fault(&placed.request, |sku| reference.is_hazardous(sku));
    fault.map(Exception::Undeliverable)
}

fn no_pack_multiple(placed: &Placed, rules: &ChannelRules, reference: &Reference) -> Option<Exception> {
    if rules.pack_multiples == PackRule::Ignore {
        return None;
    }
    let mut odd = odd_lines(&placed.request, reference);
    let (line, pack) = odd.next()?;
    Some(Exception::PackMultiple {
        line: line.line,
        lines: with_one(odd),
        pack,
    })
}

/// How many lines an exception is about, of which these are all but the first.
fn with_one(others: impl Iterator) -> u16 {
    u16::try_from(others.count())
        .unwrap_or(u16::MAX)
        .saturating_add(1)
}

/// The lines that are no multiple of what their goods are packed in.
fn odd_lines<'a>(
    request: &'a OrderRequest,
    reference: &'a Reference,
) -> impl Iterator<Item = (&'a OrderLine, PositiveQuantity)> {
    request.lines.iter().filter_map(move |line| {
        let pack = broken_pack(line, line.quantity.get(), reference)?;
        Some((line, pack))
    })
}

/// What the goods of a line are packed in, if so much of it is no multiple of that.
fn broken_pack(line: &OrderLine, quantity: Quantity, reference: &Reference) -> Option<PositiveQuantity> {
    let pack = reference.item(&line.sku)?.pack?;
    (quantity.units() % pack.units() != 0).then_some(pack)
}

/// Whether an order may come in at all.
pub(super) fn check_packs(
    request: &OrderRequest,
    channel: &str,
    reference: &Reference,
) -> Result<(), OrderRefusal> {
    if reference.order_rules().of(channel).pack_multiples != PackRule::Refuse {
        return Ok(());
    }
    let mut lines = request.lines.iter();
    lines.try_for_each(|line| in_packs(line, line.quantity.get(), reference))
}

/// Whether so much of a line is a multiple of what its goods are packed in.
fn in_packs(line: &OrderLine, quantity: Quantity, reference: &Reference) -> Result<(), OrderRefusal> {
    match broken_pack(line, quantity, reference) {
        None => Ok(()),
        Some(pack) => Err(OrderRefusal::PackMultiple {
            line: line.line,
            sku: line.sku.clone(),
            pack,
        }),
    }
}

/// Whether less may be wanted of an order: what would not have come in is refused, and once the ERP has the order also what a
/// person would have been asked about.
pub(super) fn check_less(flow: &Flow<'_>, wish: &OrderChange) -> Result<(), OrderRefusal> {
    let (placed, rules) = (&flow.placed, flow.rules());
    let in_erp = placed.erp.number.is_some();
    let keeps_to_packs = match rules.pack_multiples {
        PackRule::Ignore => false,
        PackRule::Hold => in_erp,
        PackRule::Refuse => true,
    };
    let less = wish.lines.iter().filter_map(|wanted| {
        let line = placed.line(wanted.line)?;
        (wanted.quantity < placed.wanted(line)).then_some((line, wanted.quantity))
    });
    if keeps_to_packs {
        for (line, quantity) in less {
            in_packs(line, quantity, flow.reference)?;
        }
    }
    Ok(())
}

/// Whether an order that the ERP has would still come to what it should at least.
pub(super) fn check_least(flow: &Flow<'_>, total: Option<Money>) -> Result<(), OrderRefusal> {
    match total.and_then(|total| below(total, flow.rules())) {
        None => Ok(()),
        Some((total, minimum)) => Err(OrderRefusal::BelowMinimum { total, minimum }),
    }
}

fn price_exception(placed: &Placed, rules: &ChannelRules) -> Option<Exception> {
    let mut outside = outside(placed, rules);
    let first = outside.next()?;
    Some(Exception::PriceDiffers {
        line: first.line,
        lines: with_one(outside),
        ours: first.ours,
        theirs: first.theirs,
    })
}

/// The prices that are neither within the channel's tolerance nor within what whoever states them may set by hand alone.
fn outside<'a>(placed: &'a Placed, rules: &'a ChannelRules) -> impl Iterator<Item = StatedPrice> + 'a {
    let limit = rules.override_limits.get(&placed.stated_by);
    let limit = limit.filter(|_| may_approve_alone(placed, rules));
    stated(placed).filter(move |stated| {
        !stated.is_tolerated(rules.price_tolerance) && !limit.is_some_and(|limit| stated.is_within(*limit))
    })
}

/// Who has approved what the exception is about by now. Who states prices within their own limit has approved them by that.
fn approvers<'a>(placed: &'a Placed, rules: &ChannelRules, check: Check) -> Vec<&'a str> {
    let limit = rules.override_limits.get(&placed.stated_by);
    let is_within = |limit: &Percent| outside(placed, rules).all(|stated| stated.is_within(*limit));
    let has_stated = check == Check::Price && limit.is_some_and(is_within);
    let stater = has_stated.then_some(placed.stated_by.as_str());
    placed
        .approved_by
        .iter()
        .map(CompactString::as_str)
        .chain(stater)
        .collect()
}

/// Whether whoever approves prices may set those by hand that wait for it.
fn may_override(flow: &Flow<'_>) -> Result<(), OrderRefusal> {
    let rules = flow.rules();
    if rules.override_limits.is_empty() {
        return Ok(());
    }
    let limit = rules
        .override_limits
        .get(flow.by)
        .copied()
        .unwrap_or(Percent::ZERO);
    match outside(&flow.placed, rules).find(|stated| !stated.is_within(limit)) {
        None => Ok(()),
        Some(stated) => Err(OrderRefusal::BeyondLimit {
            line: stated.line,
            limit,
        }),
    }
}

fn price_held(placed: &Placed) -> Option<Exception> {
    let priced = placed.quote.iter().flat_map(|quote| &quote.lines);
    let mut held = priced.filter_map(|line| Some((line.line, line.flags.iter().find(|flag| flag.holds())?)));
    let (line, flag) = held.next()?;
    Some(Exception::PriceHeld {
        line,
        lines: with_one(held),
        flag: flag.clone(),
    })
}

fn below_minimum(placed: &Placed, rules: &ChannelRules) -> Option<Exception> {
    let (total, minimum) = below(placed.total()?, rules)?;
    Some(Exception::BelowMinimum { minimum, total })
}

/// What an order comes to and what it should, if it is less.
fn below(total: Money, rules: &ChannelRules) -> Option<(Money, Money)> {
    let minimum = Money {
        amount: rules.minimum_amount.get(&total.currency)?.amount(),
        currency: total.currency,
    };
    (total.amount < minimum.amount).then_some((total, minimum))
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
    if check == Check::Price {
        may_override(flow)?;
    }
    let approvers = approvers(placed, flow.rules(), check);
    if approvers.contains(&flow.by) {
        return Err(OrderRefusal::SecondPerson);
    }
    let alone = may_approve_alone(placed, flow.rules());
    let is_second = !approvers.is_empty();
    flow.happens(OrderEvent::Approved {
        by: flow.by.into(),
        passes: (alone || is_second).then_some(check),
    });
    match check {
        _ if !alone && !is_second => flow.become_status(Status::Exception),
        Check::Price | Check::Bound | Check::Minimum | Check::Duplicate | Check::Pack => {
            check_and_go_on(flow);
        }
        Check::Credit => go_on_from_hold(flow),
    }
    Ok(())
}

fn may_approve_alone(placed: &Placed, rules: &ChannelRules) -> bool {
    // At the dearer of both prices: nobody approves alone by what is being approved.
    let dearest = placed.total().map(|total| {
        stated(placed).fold(total.amount, |sum, stated| {
            sum.saturating_sub(stated.difference.min(Decimal::ZERO))
        })
    });
    let limit = rules.approve_alone_up_to.get(&placed.request.currency);
    match (dearest, limit) {
        // Where there are limits, a currency without one has none up to which anybody approves alone.
        (_, None) => rules.approve_alone_up_to.is_empty(),
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
            Self::PriceHeld { .. } => Some(Check::Bound),
            Self::BelowMinimum { .. } => Some(Check::Minimum),
            Self::CreditHold(_) => Some(Check::Credit),
            Self::LikelyDuplicate { .. } => Some(Check::Duplicate),
            Self::PackMultiple { .. } => Some(Check::Pack),
            Self::Duplicate
            | Self::NotPosted { .. }
            | Self::Undeliverable(_)
            | Self::NoPrice(_)
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
    /// What the order comes to as far as it is wanted, at the prices that the channel states where it states any.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        let lines = self.request.lines.iter();
        self.total_of(lines.map(|line| (line.line, self.wanted(line))))
    }

    /// What the order comes to if so much is wanted of its lines, in their order.
    pub(super) fn total_of(&self, wanted: impl Iterator<Item = (u16, Quantity)> + Clone) -> Option<Money> {
        let quote = self.quote.as_deref()?;
        let mut lines = self.request.lines.iter().zip(wanted.clone());
        if lines.all(|(line, (_, quantity))| quantity == line.quantity.get()) {
            return Some(quote.total);
        }
        let wanted: Vec<_> = wanted.collect();
        Invoice::of(quote, &wanted).map(|invoice| invoice.total)
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
