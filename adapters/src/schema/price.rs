//! List prices and contracts as their owner publishes them, and the question what something costs.

use super::error::DecodeError;
use super::fields::{Amount, Code, CurrencyCode, List, Moment, PositiveUnits, percent, price};
use super::limits::{MAX_BREAKS, MAX_LINES, MAX_TERMS};
use super::message::{Body, Command};
use super::order::{Buyers, SubmitLine};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{CustomerId, ListId, RuleId, Sku, SystemName};
use lockstep_actors::money::{Currency, Percent, Price, RoundingMode};
use lockstep_actors::pricing::contract::{
    Contract, ContractCommand, ContractStatus, Effect, QuoteRequest, Rounding, RoundingLevel, Scope, Term,
};
use lockstep_actors::pricing::list::{Break, Effective, ListPriceCommand, ListRow};
use lockstep_actors::pricing::resolve::QuoteLine;
use lockstep_actors::quantity::PositiveQuantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.price.set`: a price of a list, in place of the one with the same list, SKU, currency and start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSet {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Which list; customers without a contract buy at `standard`.
    #[schemars(with = "Code")]
    pub list: ListId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The price of one base unit.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub unit: Price,
    /// Other prices for larger quantities, rising.
    #[serde(default)]
    pub breaks: List<PriceBreak, 0, MAX_BREAKS>,
    /// What explains it in a waterfall.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of this price; an equal or older one changes nothing.
    pub version: u64,
    /// The first moment it is in force; always before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Whether it still stands; `valid` if absent.
    #[serde(default)]
    pub standing: PriceStanding,
}

/// Whether a price still stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PriceStanding {
    /// It does.
    #[default]
    Valid,
    /// It is taken back.
    Withdrawn,
}

/// From a quantity on, another price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBreak {
    /// From this quantity on.
    #[schemars(with = "PositiveUnits")]
    pub from: PositiveQuantity,
    /// The price of one base unit.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub unit: Price,
}

/// From a quantity on, another discount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscountBreak {
    /// From this quantity on.
    #[schemars(with = "PositiveUnits")]
    pub from: PositiveQuantity,
    /// The discount in percent.
    #[serde(deserialize_with = "percent")]
    #[schemars(with = "Amount")]
    pub percent: Percent,
}

impl From<PriceBreak> for Break<Price> {
    fn from(at: PriceBreak) -> Self {
        Self {
            from: at.from,
            value: at.unit,
        }
    }
}

impl From<DiscountBreak> for Break<Percent> {
    fn from(at: DiscountBreak) -> Self {
        Self {
            from: at.from,
            value: at.percent,
        }
    }
}

fn breaks<T: Into<Break<V>>, V>(breaks: List<T, 0, MAX_BREAKS>) -> Vec<Break<V>> {
    breaks.into_inner().into_iter().map(Into::into).collect()
}

fn effective(from: Option<Moment>, until: Option<Moment>) -> Effective {
    Effective {
        from: from.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
    }
}

impl Body for PriceSet {
    const SCHEMA: &'static str = "lockstep.price.set";
}

impl Command for PriceSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let row = ListRow {
            list: self.list,
            currency: self.currency,
            effective: effective(self.from, self.until),
            unit: self.unit,
            breaks: breaks(self.breaks),
            rule: self.rule,
            version: self.version,
        };
        let command = match self.standing {
            PriceStanding::Valid => ListPriceCommand::Set(row),
            PriceStanding::Withdrawn => ListPriceCommand::Withdraw(row),
        };
        Ok(Message::ListPrice(self.sku, command))
    }
}

/// `lockstep.contract.set`: what is agreed with a customer, as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractSet {
    /// With whom.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// The contract's version; an equal or older one changes nothing.
    pub version: u64,
    /// The currency it is in.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The list it stands on.
    #[schemars(with = "Code")]
    pub base_list: ListId,
    /// What it changes.
    #[serde(default)]
    pub terms: List<ContractTerm, 0, MAX_TERMS>,
    /// Which way halves are rounded; `half-up` if absent.
    #[serde(default)]
    pub rounding: HalfRounding,
    /// What is rounded; `line` if absent.
    #[serde(default)]
    pub rounded: RoundedAmount,
    /// Whether the customer may buy; `active` if absent.
    #[serde(default)]
    pub status: CustomerStatus,
}

/// Which way halves are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HalfRounding {
    /// Away from zero.
    #[default]
    HalfUp,
    /// To the even neighbour.
    HalfEven,
}

/// What is rounded to the currency's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoundedAmount {
    /// The line's amount; the unit price stays exact.
    #[default]
    Line,
    /// The unit price.
    Unit,
}

/// Whether a customer may buy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CustomerStatus {
    /// Yes.
    #[default]
    Active,
    /// Not now.
    Blocked,
}

/// One thing that a contract changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractTerm {
    /// What explains it in a waterfall.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// For which SKU; for everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub sku: Option<Sku>,
    /// What it does.
    pub effect: TermEffect,
    /// The first moment it is in force; always before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// What a term does to the price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TermEffect {
    /// The unit price is this, whatever the list says.
    Fixed {
        /// The price of one base unit.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        unit: Price,
        /// Other prices for larger quantities, rising.
        #[serde(default)]
        breaks: List<PriceBreak, 0, MAX_BREAKS>,
    },
    /// This much less than the list says.
    Discount {
        /// The discount in percent.
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        percent: Percent,
        /// Other discounts for larger quantities, rising.
        #[serde(default)]
        breaks: List<DiscountBreak, 0, MAX_BREAKS>,
    },
}

impl From<TermEffect> for Effect {
    fn from(effect: TermEffect) -> Self {
        match effect {
            TermEffect::Fixed { unit, breaks: at } => Self::Fixed {
                unit,
                breaks: breaks(at),
            },
            TermEffect::Discount { percent, breaks: at } => Self::Discount {
                percent,
                breaks: breaks(at),
            },
        }
    }
}

impl From<ContractTerm> for Term {
    fn from(term: ContractTerm) -> Self {
        Self {
            rule: term.rule,
            version: term.version,
            scope: term.sku.map_or(Scope::Everything, Scope::Sku),
            effect: term.effect.into(),
            effective: effective(term.from, term.until),
        }
    }
}

impl Body for ContractSet {
    const SCHEMA: &'static str = "lockstep.contract.set";
}

impl Command for ContractSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let rounding = Rounding {
            mode: match self.rounding {
                HalfRounding::HalfUp => RoundingMode::HalfUp,
                HalfRounding::HalfEven => RoundingMode::HalfEven,
            },
            level: match self.rounded {
                RoundedAmount::Line => RoundingLevel::Line,
                RoundedAmount::Unit => RoundingLevel::Unit,
            },
        };
        let contract = Contract {
            currency: self.currency,
            base_list: self.base_list,
            terms: self.terms.into_inner().into_iter().map(Into::into).collect(),
            rounding,
            status: match self.status {
                CustomerStatus::Active => ContractStatus::Active,
                CustomerStatus::Blocked => ContractStatus::Blocked,
            },
        };
        Ok(Message::Contract(
            self.customer,
            ContractCommand::Upsert {
                contract,
                version: self.version,
            },
        ))
    }
}

/// `lockstep.quote.request`: what would this cost?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteAsk {
    /// Who asks.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// What.
    pub lines: List<SubmitLine, 1, MAX_LINES>,
    /// As of when; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Moment>,
    /// Who may buy; `anybody` if absent.
    #[serde(default)]
    pub customers: Buyers,
}

impl Body for QuoteAsk {
    const SCHEMA: &'static str = "lockstep.quote.request";
}

impl Command for QuoteAsk {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let lines = self
            .lines
            .into_inner()
            .into_iter()
            .enumerate()
            .map(|(place, line)| QuoteLine {
                line: line.number(place),
                sku: line.sku,
                quantity: line.quantity,
            });
        let request = QuoteRequest {
            currency: self.currency,
            lines: lines.collect(),
            as_of: self.as_of.map(|moment| moment.0),
            customers: self.customers.into(),
        };
        Ok(Message::Contract(self.customer, ContractCommand::Quote(request)))
    }
}
