//! Many prices for one customer at once, as they are asked for and answered.

use super::error::{DecodeError, code, field_of_line};
use super::fields::{Amount, Code, CurrencyCode, ExactAmount, List, Moment, PositiveUnits, Text, Units};
use super::limits::{MAX_BULK_LINES, MAX_COUPONS};
use super::message::{Body, Command};
use super::order::Buyers;
use super::outbound::{ConversionView, FlagView};
use super::stock::Channel;
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{CouponCode, CustomerId, RuleId, Sku, SystemName, UnitOfMeasure};
use lockstep_actors::money::Currency;
use lockstep_actors::pricing::bulk::{BulkPrice, BulkPrices};
use lockstep_actors::pricing::contract::{Budgets, ContractCommand, QuoteRequest};
use lockstep_actors::pricing::resolve::{Detail, QuoteLine, QuoteRefusal};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.sheet.request`: what do these cost a customer, each for itself?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SheetAsk {
    /// For whom.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// What.
    pub lines: List<SheetAskLine, 1, MAX_BULK_LINES>,
    /// As of when; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Moment>,
    /// Who may buy; `anybody` if absent.
    #[serde(default)]
    pub customers: Buyers,
    /// By which set of exchange rates; by the one in force if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rates: Option<RuleId>,
    /// The coupons that are shown.
    #[serde(default)]
    #[schemars(with = "List<Code, 0, MAX_COUPONS>")]
    pub coupons: List<CouponCode, 0, MAX_COUPONS>,
    /// Over which channel: its list counts where nothing that is agreed with the customer names one. The default list if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
}

/// A line of a price sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SheetAskLine {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much, in its unit; one if absent.
    #[serde(default = "one")]
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// In which unit, such as a case; in base units if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
}

const fn one() -> PositiveQuantity {
    PositiveQuantity::ONE
}

impl Body for SheetAsk {
    const SCHEMA: &'static str = "lockstep.sheet.request";
}

impl Command for SheetAsk {
    /// Asks for what is agreed; the prices are worked out from the answer.
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        Ok(Message::Contract(self.customer, ContractCommand::Terms))
    }
}

impl From<SheetAsk> for QuoteRequest {
    fn from(ask: SheetAsk) -> Self {
        let lines = ask.lines.into_inner().into_iter().zip(1..);
        let lines = lines.map(|(line, number)| QuoteLine {
            line: number,
            sku: line.sku,
            quantity: line.quantity,
            unit: line.unit,
            base_units: None,
            stated_price: None,
        });
        Self {
            currency: ask.currency,
            rates: ask.rates,
            lines: lines.collect(),
            coupons: ask.coupons.into_inner(),
            zone: None,
            as_of: ask.as_of.map(|moment| moment.0),
            customers: ask.customers.into(),
            detail: Detail::Waterfall,
            budgets: Budgets::default(),
            channel: ask.channel.map(|channel| channel.as_str().into()),
            ship_to: None,
        }
    }
}

/// `lockstep.price.sheet`: what each of many SKUs costs a customer. All of it is by one version of what is agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PriceSheet {
    /// For whom.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The contract's version; 0 for a customer without one.
    pub contract_version: u64,
    /// As of when: a quote as of the same moment explains each price.
    pub as_of: Moment,
    /// How it came from the contract's currency into the one that was asked for, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionView>,
    /// The lines, as asked for.
    pub lines: Vec<SheetLine>,
}

/// A line of a price sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SheetLine {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much was asked for, in its unit.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// Its price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<SheetPrice>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<SheetRefusal>,
}

/// A price of a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SheetPrice {
    /// The price of one base unit, to ten decimals; for display, since the amount is what counts.
    #[schemars(with = "ExactAmount")]
    pub unit_price: Decimal,
    /// The line's amount.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// The rule that had the last word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rule: Option<RuleId>,
    /// The rule's version.
    pub version: u64,
    /// What someone should know about the price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagView>,
}

/// Why a line of a sheet has no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SheetRefusal {
    /// For programs.
    pub code: String,
    /// For a person.
    pub reason: String,
    /// What of the request it is about, such as `lines[3].sku`.
    pub field: String,
}

impl Body for PriceSheet {
    const SCHEMA: &'static str = "lockstep.price.sheet";
}

impl From<BulkPrice> for SheetPrice {
    fn from(price: BulkPrice) -> Self {
        let (rule, version) = price
            .rule
            .map_or((None, 0), |(rule, version)| (Some(rule), version));
        Self {
            unit_price: price.unit_price.normalize(),
            amount: price.amount,
            rule,
            version,
            flags: price.flags.into_iter().map(Into::into).collect(),
        }
    }
}

impl SheetRefusal {
    fn of(refusal: &QuoteRefusal, place: usize) -> Self {
        Self {
            code: code(refusal.cause()),
            reason: refusal.to_string(),
            field: field_of_line(refusal, Some(place)),
        }
    }
}

impl PriceSheet {
    /// The sheet of `customer` that answers `request`.
    #[must_use]
    pub fn new(customer: CustomerId, request: QuoteRequest, prices: BulkPrices) -> Self {
        let lines = request.lines.into_iter().zip(prices.lines);
        let lines = lines.enumerate().map(|(place, (asked, priced))| {
            let (price, refusal) = match priced {
                Ok(price) => (Some(price.into()), None),
                Err(refusal) => (None, Some(SheetRefusal::of(&refusal, place))),
            };
            SheetLine {
                sku: asked.sku,
                quantity: asked.quantity.get(),
                price,
                refusal,
            }
        });
        Self {
            customer,
            currency: request.currency,
            contract_version: prices.contract_version,
            as_of: Moment(prices.as_of),
            conversion: prices.conversion.map(Into::into),
            lines: lines.collect(),
        }
    }
}
