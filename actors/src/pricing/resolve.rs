//! From a request to its prices, each with its waterfall. Pure; `docs/pricing.md` has the rules in words.
//!
//! The steps of a line, always in this order:
//! 1. the base list's row in force that started last, and its quantity break;
//! 2. standing discounts;
//! 3. an agreed price in place of all before it, and its quantity break;
//! 4. promotions;
//! 5. conversion into the currency that is asked for;
//! 6. the price ending;
//! 7. ceiling and floor;
//! 8. rounding;
//! 9. the price that the asker states, in place of ours, if it states another.
//!
//! Which of several terms of a stage count is declared in the contract's precedence; their rank is total, so the order
//! in which terms were loaded never matters.

use super::bound::PriceFlag;
use super::budget::BudgetUse;
use super::catalogue::Item;
use super::contract::{Contract, ContractState, Customers, MAX_COUPONS, QuoteRequest};
use super::hierarchy::{Hierarchy, behind};
use super::index::IndexValue;
use super::kept::{KeptQuote, NamedQuote};
use super::line::{Desk, price_line, restate};
use super::list::Effective;
use super::order_total::add_up;
use super::rates::{RateSet, RateTable};
use super::tax::{TaxLevel, TaxProfile};
use crate::ids::{
    AgreementId, BudgetId, ClassName, CouponCode, CustomerId, DocumentId, FreightZone, IndexId, Jurisdiction,
    OrderKey, RateSource, RuleId, Sku, UnitOfMeasure,
};
use crate::money::{Currency, Money, Percent, Price};
use crate::orders::state::MAX_LINES;
use crate::quantity::PositiveQuantity;
use crate::reference::Reference;
use crate::units::UnitRefusal;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest quantity of one line: 10^7 units, as the docs say.
pub const MAX_LINE_QUANTITY: i64 = 10_000_000;

/// How much an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Each line's steps.
    #[default]
    Waterfall,
    /// Besides, which rules nearly applied, and why they did not.
    NearMisses,
}

/// A line to be priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteLine {
    /// The asker's number for it.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much, in its unit.
    pub quantity: PositiveQuantity,
    /// In which unit; none for base units.
    pub unit: Option<UnitOfMeasure>,
    /// What one of its unit costs by what the asker has told its customer: the line is reckoned at that, with the step from
    /// our price to it. Whether it holds is for whoever takes the answer.
    pub stated_price: Option<Price>,
    /// How many base units it is, if that was settled before; else the catalogue says.
    #[serde(default)]
    pub base_units: Option<PositiveQuantity>,
}

/// A price, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The lines, as asked for.
    pub lines: Vec<PricedLine>,
    /// From the sum of the lines' amounts to the total; each step begins where the one before ended, the first at zero.
    pub order: Vec<OrderStep>,
    /// What it is taxed; in gross prices this is told, and nothing comes on top.
    pub taxes: Vec<TaxedAmount>,
    /// The certificate that frees it from tax, if one does.
    pub exemption: Option<DocumentId>,
    /// How the customer is taxed, if at all.
    pub tax_level: Option<TaxLevel>,
    /// What accrues for the customer, not on the invoice.
    pub rebates: Vec<Accrual>,
    /// What is to be paid.
    pub total: Money,
    /// The contract's version; 0 for a customer without one.
    pub contract_version: u64,
    /// As of when.
    pub as_of: Timestamp,
    /// How it came from the contract's currency into the one that was asked for; none if they are the same.
    pub conversion: Option<Conversion>,
    /// For an order that named a quote: what became of it.
    #[serde(default)]
    pub named: Option<NamedQuote>,
    /// What all lines, and discount and freight of the order, take from budgets, each budget once.
    #[serde(default)]
    pub budgets: Vec<BudgetUse>,
    /// Which rules on the order as a whole nearly applied; empty unless asked for.
    #[serde(default)]
    pub near_misses: Vec<NearMiss>,
    /// How many more of them nearly applied, and are not told.
    #[serde(default)]
    pub near_misses_left_out: u32,
    /// The class in which the customer is served from stock, if it has one.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

/// A step from the lines to the total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStep {
    /// What kind of step.
    pub kind: OrderStepKind,
    /// The rule that made it; none for the sum of the lines.
    pub rule: Option<RuleId>,
    /// The rule's version.
    pub version: u64,
    /// The order's amount before it.
    pub before: Decimal,
    /// The order's amount after it.
    pub after: Decimal,
    /// Of a discount: what lines at their floors do not take of it, and nobody else does.
    #[serde(default)]
    pub withheld: Vec<Withheld>,
}

/// What a line does not take of an order's discount, since it would fall below its floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The asker's number of the line.
    pub line: u16,
    /// The floor.
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// How much.
    pub amount: Decimal,
}

/// What kind of step from the lines to the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStepKind {
    /// The sum of the lines' amounts.
    Goods,
    /// The order's discount, spread over the lines.
    Discount,
    /// Freight.
    Freight,
    /// A surcharge.
    Surcharge,
    /// Tax.
    Tax,
}

/// What is taxed alike, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxedAmount {
    /// The rate.
    pub rule: RuleId,
    /// The version of the table.
    pub version: u64,
    /// How much.
    pub percent: Percent,
    /// Of what.
    pub base: Decimal,
    /// The tax.
    pub amount: Decimal,
    /// Who takes it; none in what was priced before that was said.
    #[serde(default)]
    pub jurisdiction: Option<Jurisdiction>,
}

/// A rebate that accrues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accrual {
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// Of which value of goods.
    pub base: Decimal,
    /// How much.
    pub amount: Decimal,
}

/// How prices came from one currency into another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// The contract's currency, in which the steps before the conversion are.
    pub from: Currency,
    /// Whose exchange rates.
    pub source: RateSource,
    /// Which set of them: asked for again by this name, it gives the same.
    pub rates: RuleId,
}

/// A line's price, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The asker's number for it.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much, in base units.
    pub quantity: PositiveQuantity,
    /// The unit and quantity asked for, if it was another than the base unit.
    pub sold_as: Option<(UnitOfMeasure, PositiveQuantity)>,
    /// The price of one base unit, to ten decimals; for display, since the amount is what counts.
    pub unit_price: Decimal,
    /// The line's amount, rounded to the currency's smallest unit.
    pub amount: Decimal,
    /// How it came about; each step begins where the one before ended, the first at zero.
    pub waterfall: Vec<Step>,
    /// Its share of the order's discount, not yet taken off the amount.
    pub order_discount: Decimal,
    /// The tax on it, or in it, if tax is rounded by line.
    pub tax: Option<Decimal>,
    /// The rate that it is taxed at, if it is.
    #[serde(default)]
    pub tax_rule: Option<RuleId>,
    /// What someone should know about it.
    pub flags: Vec<PriceFlag>,
    /// What it takes from budgets.
    #[serde(default)]
    pub budgets: Vec<BudgetUse>,
    /// Which rules nearly applied; empty unless asked for, except of an order those whose budget has refused it.
    pub near_misses: Vec<NearMiss>,
    /// How many more nearly applied, and are not told.
    #[serde(default)]
    pub near_misses_left_out: u32,
}

impl PricedLine {
    /// The step from our price to the one that the asker states, if the line is reckoned at that.
    #[must_use]
    pub fn stated(&self) -> Option<&Step> {
        self.waterfall
            .last()
            .filter(|step| step.kind == StepKind::StatedPrice)
    }
}

/// A rule that nearly applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// Why it did not.
    pub reason: Missed,
}

/// Why a rule did not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// Not in force yet.
    #[error("it is in force from {} on", moment(*from))]
    NotYet {
        /// From when on it is.
        from: Timestamp,
    },
    /// No longer in force.
    #[error("it was in force until {}", moment(*until))]
    Over {
        /// Since when.
        until: Timestamp,
    },
    /// The line is too small.
    #[error("it is for {minimum} units or more")]
    BelowMinimum {
        /// The smallest quantity.
        minimum: PositiveQuantity,
    },
    /// Its coupon was not shown.
    #[error("it is for who shows coupon {coupon}")]
    NoCoupon {
        /// Which.
        coupon: CouponCode,
    },
    /// The line is too large.
    #[error("it is for at most {maximum} units")]
    AboveMaximum {
        /// The largest quantity.
        maximum: PositiveQuantity,
    },
    /// Its prices are in another currency.
    #[error("its prices are in {currency}")]
    OtherCurrency {
        /// Which.
        currency: Currency,
    },
    /// What the SKU costs its distributor is not known in this currency.
    #[error("the cost is not known in the currency that is asked for")]
    NoCost,
    /// The index has no value yet.
    #[error("the index {index} has no value for this date")]
    NoIndex {
        /// Which.
        index: IndexId,
    },
    /// The price does not pass it.
    #[error("the price does not pass it")]
    WithinBound,
    /// Its budget has nothing left.
    #[error("its budget {budget} is spent")]
    BudgetSpent {
        /// Which.
        budget: BudgetId,
    },
    /// Its budget, asked for this order, has refused: it is spent, or the customer has used it as often as it may.
    #[error("its budget {budget} has nothing left for this order")]
    BudgetRefused {
        /// Which.
        budget: BudgetId,
    },
    /// The customer has used its budget as often as it may.
    #[error("the customer has used its budget {budget} as often as it may")]
    UsedUp {
        /// Which.
        budget: BudgetId,
    },
    /// Its budget was not set yet.
    #[error("its budget {budget} was not set yet")]
    NoBudget {
        /// Which.
        budget: BudgetId,
    },
    /// Its budget is an amount in another currency.
    #[error("its budget {budget} is in {currency}, not in the contract's currency")]
    BudgetCurrency {
        /// Which.
        budget: BudgetId,
        /// The budget's currency.
        currency: Currency,
    },
    /// The index stands too low for a price.
    #[error("at the index {index} of {value} it would be 0 or less")]
    IndexTooLow {
        /// Which.
        index: IndexId,
        /// What it says.
        value: Decimal,
    },
    /// A nearer level has a rule of its stage, and only those of the nearest count.
    #[error("{by} of a nearer level hides it")]
    Hidden {
        /// The first of that level.
        by: RuleId,
    },
    /// Nothing gives the line a price to take it off.
    #[error("there is no price to take it off")]
    NothingToDiscount,
    /// A promotion that would not lower the amount.
    #[error("it would not lower the amount")]
    NotLower,
    /// The order's goods are too little.
    #[error("it is for goods of {minimum} or more")]
    GoodsBelow {
        /// From which value on it is.
        minimum: Decimal,
    },
    /// The order's goods are too much.
    #[error("it is for goods of less than {below}")]
    GoodsReach {
        /// Below which value it is.
        below: Decimal,
    },
    /// The order goes elsewhere.
    #[error("it is for freight to zone {zone}")]
    OtherZone {
        /// Where to it is.
        zone: FreightZone,
    },
    /// Freight that more goods would make free.
    #[error("freight is free for goods of {from} or more")]
    NotFree {
        /// From which value on.
        from: Decimal,
    },
    /// Its next tier begins at a higher value.
    #[error("its next tier begins at goods of {from}")]
    NextTier {
        /// At which.
        from: Decimal,
    },
    /// Another rule of its stage counted.
    #[error("{by} came before it")]
    Outranked {
        /// Which.
        by: RuleId,
    },
    /// Its next break begins at a larger quantity.
    #[error("its next break begins at {from} units")]
    Break {
        /// Which.
        from: PositiveQuantity,
    },
}

/// As RFC 3339 in UTC.
fn moment(at: Timestamp) -> String {
    let millis = at.as_millis();
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |at| at.to_string())
}

impl Missed {
    /// Why something is not in force, if it is not.
    pub(super) fn of_dates(effective: Effective, as_of: Timestamp) -> Option<Self> {
        let from = effective.from.filter(|from| as_of < *from);
        let until = effective.until.filter(|until| *until <= as_of);
        from.map(|from| Self::NotYet { from })
            .or_else(|| until.map(|until| Self::Over { until }))
    }

    /// The reason's name, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotYet { .. } => "not-yet",
            Self::Over { .. } => "over",
            Self::BelowMinimum { .. } => "below-minimum",
            Self::NoCoupon { .. } => "no-coupon",
            Self::AboveMaximum { .. } => "above-maximum",
            Self::OtherCurrency { .. } => "other-currency",
            Self::NoCost => "no-cost",
            Self::NoIndex { .. } => "no-index",
            Self::WithinBound => "within-bound",
            Self::BudgetSpent { .. } => "budget-spent",
            Self::BudgetRefused { .. } => "budget-refused",
            Self::UsedUp { .. } => "used-up",
            Self::NoBudget { .. } => "no-budget",
            Self::BudgetCurrency { .. } => "budget-currency",
            Self::IndexTooLow { .. } => "index-too-low",
            Self::Hidden { .. } => "hidden",
            Self::NothingToDiscount => "nothing-to-discount",
            Self::NotLower => "not-lower",
            Self::GoodsBelow { .. } => "goods-below",
            Self::GoodsReach { .. } => "goods-reach",
            Self::OtherZone { .. } => "other-zone",
            Self::NotFree { .. } => "not-free",
            Self::NextTier { .. } => "next-tier",
            Self::Outranked { .. } => "outranked",
            Self::Break { .. } => "break",
        }
    }
}

/// A step of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What kind of step.
    pub kind: StepKind,
    /// The rule that made it; none for rounding and for a stated price.
    pub rule: Option<RuleId>,
    /// The rule's version; 0 without one.
    pub version: u64,
    /// The line's amount before it.
    pub before: Decimal,
    /// The line's amount after it.
    pub after: Decimal,
    /// The value of the index that it was reckoned with, if it was.
    #[serde(default)]
    pub index: Option<Box<IndexValue>>,
}

/// What kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The base list's price.
    BaseList,
    /// The list's price for this quantity.
    ListBreak,
    /// A standing discount.
    StandingDiscount,
    /// What was agreed, in place of all before it.
    AgreedPrice,
    /// What was agreed for this quantity.
    AgreedBreak,
    /// A promotion.
    Promotion,
    /// From the contract's currency into the one that was asked for.
    Conversion,
    /// How unit prices end.
    Ending,
    /// Down to a ceiling.
    Ceiling,
    /// Up to a floor.
    Floor,
    /// Rounding to the currency's smallest unit.
    Rounding,
    /// The price that the asker states, in place of ours.
    StatedPrice,
}

/// Why there is no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum QuoteRefusal {
    /// The channel sells only to customers with a contract.
    #[error("customer {customer} has no contract, and this channel sells only to known customers")]
    UnknownCustomer {
        /// Who asked.
        customer: CustomerId,
    },
    /// The customer may not buy now.
    #[error("customer {customer} is blocked")]
    Blocked {
        /// Who asked.
        customer: CustomerId,
    },
    /// The contract is in another currency, and names no exchange rates.
    #[error("asked for in {asked}, but the contract is in {contract} and names no exchange rates")]
    OtherCurrency {
        /// What was asked for.
        asked: Currency,
        /// What the contract says.
        contract: Currency,
    },
    /// Nothing says what it costs.
    #[error("line {line}: no price for {sku} in list {list} in {currency}, and none in the contract")]
    NoPrice {
        /// The line.
        line: u16,
        /// What.
        sku: Sku,
        /// The list looked into.
        list: String,
        /// The currency looked for.
        currency: Currency,
    },
    /// A line that is too large to price exactly.
    #[error("line {line}: at most {MAX_LINE_QUANTITY} units in one line, not {quantity}")]
    TooMuch {
        /// The line.
        line: u16,
        /// How much was asked for.
        quantity: PositiveQuantity,
    },
    /// No exchange rates for these currencies.
    #[error("no exchange rates of {rates} from {from} to {to}")]
    NoRates {
        /// Whose, and which set if one was named.
        rates: String,
        /// From which currency.
        from: Currency,
        /// To which.
        to: Currency,
    },
    /// A unit that the SKU is not sold in.
    #[error("line {line}: {sku} is not sold by the {unit}")]
    UnknownUnit {
        /// The line.
        line: u16,
        /// What.
        sku: Sku,
        /// The unit asked for.
        unit: UnitOfMeasure,
    },
    /// A quantity in a unit that is no whole number of base units.
    #[error("line {line}: {refusal}")]
    NotWhole {
        /// The line.
        line: u16,
        /// Why.
        refusal: UnitRefusal,
    },
    /// A price that may not be ordered at. Only in journals from before such an order had its price and stood in
    /// [`Exception::PriceHeld`](crate::orders::state::Exception::PriceHeld).
    #[error("line {line}: price hold: {flag}")]
    Held {
        /// The line.
        line: u16,
        /// Why.
        flag: PriceFlag,
    },
    /// The customer's jurisdiction takes something, but nobody says how much.
    #[error("no tax rate of {jurisdiction} for {category} goods")]
    NoTaxRate {
        /// Whose.
        jurisdiction: Jurisdiction,
        /// For which goods.
        category: String,
    },
    /// Nobody says how the customer is taxed.
    #[error("the customer's contract does not say how it is taxed, nor does its channel")]
    NoTaxProfile,
    /// Too many coupons.
    #[error("at most {} coupons at once", super::contract::MAX_COUPONS)]
    TooManyCoupons,
    /// Too many lines or none.
    #[error("between 1 and {most} lines, not {lines}")]
    Lines {
        /// How many there may be.
        most: u64,
        /// How many there are.
        lines: u64,
    },
    /// More than an amount may be.
    #[error("an amount is larger than {}", super::exact::LIMIT)]
    Overflow,
    /// The contract stands on an agreement that was never made.
    #[error("the contract stands on agreement {agreement}, which is not known")]
    UnknownAgreement {
        /// Which.
        agreement: AgreementId,
    },
    /// A line that cannot be reckoned.
    #[error("line {line}, {sku}: {refusal}")]
    OfLine {
        /// The line.
        line: u16,
        /// What.
        sku: Sku,
        /// Why.
        refusal: Box<QuoteRefusal>,
    },
    /// Too many agreements stand behind each other, or one behind itself.
    #[error(
        "more than {} agreements stand behind the contract, {agreement} one too many",
        super::agreement::MAX_LEVELS
    )]
    TooManyLevels {
        /// The first that is too many.
        agreement: AgreementId,
    },
}

impl QuoteRefusal {
    /// The same, of a line: what names no line by itself.
    pub(super) fn of_line(self, line: u16, sku: &Sku) -> Self {
        match self {
            Self::Overflow | Self::NoTaxRate { .. } => Self::OfLine {
                line,
                sku: sku.clone(),
                refusal: Box::new(self),
            },
            Self::UnknownCustomer { .. }
            | Self::Blocked { .. }
            | Self::OtherCurrency { .. }
            | Self::NoPrice { .. }
            | Self::TooMuch { .. }
            | Self::NoRates { .. }
            | Self::UnknownUnit { .. }
            | Self::NotWhole { .. }
            | Self::Held { .. }
            | Self::NoTaxProfile
            | Self::TooManyCoupons
            | Self::Lines { .. }
            | Self::UnknownAgreement { .. }
            | Self::OfLine { .. }
            | Self::TooManyLevels { .. } => self,
        }
    }

    /// What is in the way, whichever line it is of.
    #[must_use]
    pub fn cause(&self) -> &Self {
        if let Self::OfLine { refusal, .. } = self {
            refusal.cause()
        } else {
            self
        }
    }

    /// The asker's number of the line that is in the way, if it is one.
    #[must_use]
    pub fn line(&self) -> Option<u16> {
        match self {
            Self::NoPrice { line, .. }
            | Self::TooMuch { line, .. }
            | Self::UnknownUnit { line, .. }
            | Self::NotWhole { line, .. }
            | Self::Held { line, .. }
            | Self::OfLine { line, .. } => Some(*line),
            Self::UnknownCustomer { .. }
            | Self::Blocked { .. }
            | Self::OtherCurrency { .. }
            | Self::NoRates { .. }
            | Self::NoTaxRate { .. }
            | Self::NoTaxProfile
            | Self::TooManyCoupons
            | Self::Lines { .. }
            | Self::Overflow
            | Self::UnknownAgreement { .. }
            | Self::TooManyLevels { .. } => None,
        }
    }
}

/// Prices the lines of a request.
///
/// # Errors
/// [`QuoteRefusal`], for the first thing that is in the way.
pub fn resolve(
    customer: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    now: Timestamp,
    reference: &Reference,
) -> Result<Quote, QuoteRefusal> {
    resolve_of(None, customer, state, request, now, reference)
}

/// The same for an order, which may count to what the customer has bought by now.
pub(super) fn resolve_of(
    order: Option<&OrderKey>,
    customer: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    now: Timestamp,
    reference: &Reference,
) -> Result<Quote, QuoteRefusal> {
    state.may_buy(customer)?;
    if request.lines.is_empty() || request.lines.len() > MAX_LINES {
        return Err(QuoteRefusal::Lines {
            most: MAX_LINES as u64,
            lines: request.lines.len() as u64,
        });
    }
    at_desk(order, (customer, state), request, now, reference, |desk| {
        quote(desk, (order, state), request, reference)
    })
}

/// Looks up what all lines of a request, or of an order, share, and prices by it.
pub(super) fn at_desk<T>(
    order: Option<&OrderKey>,
    (customer, state): (&CustomerId, &ContractState),
    request: &QuoteRequest,
    now: Timestamp,
    reference: &Reference,
    price: impl FnOnce(&Desk<'_>) -> Result<T, QuoteRefusal>,
) -> Result<T, QuoteRefusal> {
    if request.coupons.len() > MAX_COUPONS {
        return Err(QuoteRefusal::TooManyCoupons);
    }
    let fallback;
    let contract = match &state.contract {
        Some(contract) => contract.as_ref(),
        None => {
            fallback = without_contract(customer, request)?;
            &fallback
        }
    };
    let behind = behind(contract.agreement.as_ref(), reference)?;
    let as_of = request.as_of.unwrap_or(now);
    let table = contract.rates.as_ref().and_then(|source| reference.rates(source));
    let channel = request.channel.as_deref();
    let rules = channel.map(|channel| reference.order_rules().of(channel));
    let list = rules.and_then(|rules| rules.price_list.as_ref());
    let hierarchy = Hierarchy::of(contract, &behind, request.currency, list);
    let of_channel = || rules.and_then(|rules| rules.tax.as_ref()).map(TaxProfile::from);
    let tax = contract.tax.clone().or_else(of_channel);
    // Read once: whatever is released meanwhile, all lines are by the same editions.
    let editions = reference.editions(hierarchy.base_list());
    price(&Desk {
        contract,
        hierarchy,
        editions: editions.as_deref(),
        currency: request.currency,
        rates: rates(contract, request, table.as_deref(), as_of)?,
        volume: state.volume.value,
        coupons: &request.coupons,
        used: order.is_none().then_some(&state.used),
        budgets: &request.budgets,
        reference,
        as_of,
        detail: request.detail,
        tax,
        ship_to: request.ship_to.as_ref(),
    })
}

fn quote(
    desk: &Desk<'_>,
    (order, state): (Option<&OrderKey>, &ContractState),
    request: &QuoteRequest,
    reference: &Reference,
) -> Result<Quote, QuoteRefusal> {
    let mut items = Vec::with_capacity(request.lines.len());
    let lines = request
        .lines
        .iter()
        .map(|line| {
            let prices = reference.list_prices(&line.sku);
            let item = reference.item(&line.sku);
            let rows = prices.as_ref().map_or(&[][..], |prices| &prices.rows);
            let priced = price_line(desk, line, rows, item.as_deref())
                .map_err(|refusal| refusal.of_line(line.line, &line.sku));
            items.push(item);
            priced
        })
        .collect::<Result<Vec<_>, _>>()?;
    let basis = (state.version, state.bought_without(order));
    reckon(desk, basis, request, lines, &items)
}

/// A quote for an order that relies on it and states other prices: its lines are reckoned at those, with the step from the
/// quoted price to it. What the order comes to follows from them, by the charges and taxes of the quote's date.
pub(super) fn restated(
    order: Option<&OrderKey>,
    customer: &CustomerId,
    state: &ContractState,
    (kept, request): (&KeptQuote, &QuoteRequest),
    reference: &Reference,
) -> Result<Quote, QuoteRefusal> {
    let quote = &*kept.quote;
    let request = &QuoteRequest {
        as_of: Some(quote.as_of),
        zone: kept.zone.clone(),
        coupons: kept.coupons.clone(),
        ship_to: kept.ship_to.clone(),
        rates: quote
            .conversion
            .as_ref()
            .map(|conversion| conversion.rates.clone()),
        ..request.clone()
    };
    at_desk(
        order,
        (customer, state),
        request,
        quote.as_of,
        reference,
        |desk| {
            let mut lines = quote.lines.clone();
            let mut items = Vec::with_capacity(lines.len());
            for (line, asked) in lines.iter_mut().zip(&request.lines) {
                let item = reference.item(&line.sku);
                let restated = restate(desk, line, asked, item.as_deref());
                restated.map_err(|refusal| refusal.of_line(asked.line, &asked.sku))?;
                items.push(item);
            }
            let basis = (quote.contract_version, state.bought_without(order));
            reckon(desk, basis, request, lines, &items)
        },
    )
}

/// What lines that have their prices come to, by a version of the contract, after so much that was bought before.
fn reckon(
    desk: &Desk<'_>,
    (contract_version, bought): (u64, Decimal),
    request: &QuoteRequest,
    mut lines: Vec<PricedLine>,
    items: &[Option<Arc<Item>>],
) -> Result<Quote, QuoteRefusal> {
    let contract = desk.contract;
    let channel = request.channel.as_deref();
    let needs_tax = channel.is_some_and(|channel| desk.reference.order_rules().of(channel).needs_tax);
    if desk.tax.is_none() && needs_tax {
        return Err(QuoteRefusal::NoTaxProfile);
    }
    let zone = request.zone.as_ref().or(contract.zone.as_ref());
    let order = add_up(desk, (zone, bought), &mut lines, items, desk.reference)?;
    let budgets = taken_together(&lines, &order.budgets);
    let exemption = desk.tax.as_ref().and_then(|profile| profile.exemption.as_ref());
    let exemption = exemption.filter(|exemption| exemption.effective.at(desk.as_of));
    Ok(Quote {
        lines,
        order: order.steps,
        taxes: order.taxes,
        exemption: exemption.map(|exemption| exemption.certificate.clone()),
        tax_level: desk.tax.as_ref().map(|profile| profile.level),
        rebates: order.rebates,
        total: Money {
            amount: order.total,
            currency: request.currency,
        },
        contract_version,
        as_of: desk.as_of,
        conversion: conversion(desk),
        named: None,
        budgets,
        near_misses: order.misses.told,
        near_misses_left_out: order.misses.left_out,
        customer_class: desk.hierarchy.customer_class.cloned(),
    })
}

/// What lines and the order as a whole take from budgets, each budget once.
fn taken_together(lines: &[PricedLine], order: &[BudgetUse]) -> Vec<BudgetUse> {
    let mut all: Vec<BudgetUse> = Vec::new();
    for used in lines.iter().flat_map(|line| &line.budgets).chain(order) {
        match all.iter_mut().find(|known| known.budget == used.budget) {
            Some(known) => known.amount = known.amount.saturating_add(used.amount),
            None => all.push(used.clone()),
        }
    }
    all
}

pub(super) fn conversion(desk: &Desk<'_>) -> Option<Conversion> {
    let from = desk.contract.currency;
    let rates = desk.rates.filter(|_| from != desk.currency)?;
    Some(Conversion {
        from,
        source: desk.contract.rates.clone()?,
        rates: rates.id.clone(),
    })
}

/// The exchange rates to convert by: the set that is named, else the one in force. None are needed for one currency.
fn rates<'a>(
    contract: &Contract,
    request: &QuoteRequest,
    table: Option<&'a RateTable>,
    as_of: Timestamp,
) -> Result<Option<&'a RateSet>, QuoteRefusal> {
    let found = table.and_then(|table| match &request.rates {
        Some(id) => table.named(id),
        None => table.at(as_of),
    });
    let (from, to) = (contract.currency, request.currency);
    if from == to || found.is_some_and(|set| set.covers(from, to)) {
        return Ok(found);
    }
    let Some(source) = &contract.rates else {
        return Err(QuoteRefusal::OtherCurrency {
            asked: to,
            contract: from,
        });
    };
    let rates = match &request.rates {
        Some(id) => format!("{source}, set {id},"),
        None => source.to_string(),
    };
    Err(QuoteRefusal::NoRates { rates, from, to })
}

fn without_contract(customer: &CustomerId, request: &QuoteRequest) -> Result<Contract, QuoteRefusal> {
    match request.customers {
        Customers::Known => Err(QuoteRefusal::UnknownCustomer {
            customer: customer.clone(),
        }),
        Customers::Anybody => Ok(Contract::none(request.currency)),
    }
}
