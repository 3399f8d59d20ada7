//! Changes of list prices, as they are told to whoever follows a list.

use super::fields::{Amount, Code, CurrencyCode, Moment};
use super::message::Body;
use super::term::{BreakUnits, PriceBreak};
use lockstep_actors::ids::{EditionId, ListId, RuleId, Sku};
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::pricing::price_change::{ListPriceChanged, PriceInForce};
use lockstep_actors::pricing::scale::BreakMode;
use schemars::JsonSchema;
use serde::Serialize;

/// `lockstep.price.changed`: another list price is in force from now on. Only changes are told.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PriceChanged {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Of which list.
    #[schemars(with = "Code")]
    pub list: ListId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The number of the SKU's last change of price: a change with a lower one is older.
    pub revision: u64,
    /// Since when.
    pub at: Moment,
    /// The price; absent if the list has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceNow>,
}

/// A list price in force.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PriceNow {
    /// The price of one base unit.
    #[schemars(with = "Amount")]
    pub unit: Price,
    /// Other prices for larger quantities, rising.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<PriceBreak>,
    /// Which units a break is for.
    pub break_units: BreakUnits,
    /// What explains it in a waterfall.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of it.
    pub version: u64,
    /// The edition of the list that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub edition: Option<EditionId>,
}

impl Body for PriceChanged {
    const SCHEMA: &'static str = "lockstep.price.changed";
}

impl From<ListPriceChanged> for PriceChanged {
    fn from(changed: ListPriceChanged) -> Self {
        Self {
            sku: changed.sku,
            list: changed.list,
            currency: changed.currency,
            revision: changed.revision,
            at: Moment(changed.at),
            price: changed.price.map(Into::into),
        }
    }
}

impl From<PriceInForce> for PriceNow {
    fn from(price: PriceInForce) -> Self {
        let breaks = price.price.breaks.into_iter().map(|at| PriceBreak {
            from: at.from,
            unit: at.value,
        });
        Self {
            unit: price.price.base,
            breaks: breaks.collect(),
            break_units: match price.price.mode {
                BreakMode::AllUnits => BreakUnits::AllUnits,
                BreakMode::Graduated => BreakUnits::Graduated,
            },
            rule: price.rule,
            version: price.version,
            edition: price.edition,
        }
    }
}
