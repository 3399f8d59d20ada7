//! Rules on orders as a whole, taxes, and the volume that rebates go by, as their owners publish them.

use super::error::DecodeError;
use super::fields::{Amount, Code, List, Moment, percent, price};
use super::limits::{MAX_TAX_RATES, MAX_TIERS};
use super::message::{Body, Command};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    BudgetId, CouponCode, CustomerId, DocumentId, FreightZone, Jurisdiction, RuleId, SystemName, TaxCategory,
};
use lockstep_actors::money::{Percent, Price};
use lockstep_actors::pricing::charge::{Charge, ChargeKind, Freight, Part};
use lockstep_actors::pricing::contract::{ContractCommand, Volume};
use lockstep_actors::pricing::list::Effective;
use lockstep_actors::pricing::rebate::{Rebate, RebateMode, Tier};
use lockstep_actors::pricing::tax::{
    Exemption, TaxBasis, TaxCommand, TaxLevel, TaxProfile, TaxRate, TaxTable,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule on an order as a whole. It counts only in the currency of what it stands in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderCharge {
    /// What explains it.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// The first moment it is in force; always before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// The higher comes first; 0 if absent.
    #[serde(default)]
    pub priority: u16,
    /// From which value of the goods on; for every order if absent.
    #[serde(default = "nothing", deserialize_with = "price")]
    #[schemars(with = "Amount", default = "nothing_as_text")]
    pub minimum: Price,
    /// What it does.
    pub kind: OrderChargeKind,
    /// The coupon that must be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub coupon: Option<CouponCode>,
    /// The budget that pays for it; only for discounts and freight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub budget: Option<BudgetId>,
}

fn nothing() -> Price {
    Price::default()
}

fn nothing_as_text() -> &'static str {
    "0"
}

/// What a rule does to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrderChargeKind {
    /// Off the goods, spread over the lines.
    Discount(ChargePart),
    /// Off the goods by what they come to, spread over the lines.
    DiscountByValue {
        /// From which value on which percentage, rising; the first from zero.
        tiers: List<RebateTier, 1, MAX_TIERS>,
        /// Whether a percentage is of all of it once that is reached, or tier by tier.
        #[serde(default)]
        mode: RebateTiers,
    },
    /// What it costs to bring it.
    Freight(FreightTerms),
    /// On top.
    Surcharge {
        /// How much.
        part: ChargePart,
        /// Only for goods of less than this.
        #[serde(
            default,
            deserialize_with = "some_price",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<Amount>")]
        below: Option<Price>,
    },
    /// Accrued for the customer, not on the invoice.
    Rebate {
        /// From which volume on which percentage, rising; the first from zero.
        tiers: List<RebateTier, 1, MAX_TIERS>,
        /// What a tier is for.
        #[serde(default)]
        mode: RebateTiers,
    },
}

/// A part of the goods' value, or an amount.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChargePart {
    /// So many percent of it.
    Percent(
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        Percent,
    ),
    /// This.
    Amount(
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        Price,
    ),
}

/// What it costs to bring an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreightTerms {
    /// Where to; everywhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub zone: Option<FreightZone>,
    /// For the order.
    #[serde(default = "nothing", deserialize_with = "price")]
    #[schemars(with = "Amount", default = "nothing_as_text")]
    pub base: Price,
    /// For each base unit.
    #[serde(default = "nothing", deserialize_with = "price")]
    #[schemars(with = "Amount", default = "nothing_as_text")]
    pub per_unit: Price,
    /// For each kilogram.
    #[serde(default = "nothing", deserialize_with = "price")]
    #[schemars(with = "Amount", default = "nothing_as_text")]
    pub per_kilogram: Price,
    /// At least this.
    #[serde(default = "nothing", deserialize_with = "price")]
    #[schemars(with = "Amount", default = "nothing_as_text")]
    pub least: Price,
    /// Nothing at all from this value of the goods on.
    #[serde(
        default,
        deserialize_with = "some_price",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Amount>")]
    pub free_from: Option<Price>,
}

fn some_price<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Price>, D::Error> {
    price(deserializer).map(Some)
}

/// From a volume on, a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebateTier {
    /// From this volume on.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub from: Price,
    /// This much of it.
    #[serde(deserialize_with = "percent")]
    #[schemars(with = "Amount")]
    pub percent: Percent,
}

/// What a tier of a rebate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RebateTiers {
    /// The volume from its start on.
    #[default]
    Incremental,
    /// The whole volume, once it is reached.
    Retroactive,
}

/// Tiers as the domain has them.
pub(super) fn tiers_of(tiers: List<RebateTier, 1, MAX_TIERS>, mode: RebateTiers) -> Rebate {
    let tier = |tier: RebateTier| Tier {
        from: tier.from,
        percent: tier.percent,
    };
    Rebate {
        tiers: tiers.into_inner().into_iter().map(tier).collect(),
        mode: match mode {
            RebateTiers::Incremental => RebateMode::Incremental,
            RebateTiers::Retroactive => RebateMode::Retroactive,
        },
    }
}

impl From<ChargePart> for Part {
    fn from(part: ChargePart) -> Self {
        match part {
            ChargePart::Percent(percent) => Self::Percent(percent),
            ChargePart::Amount(amount) => Self::Amount(amount),
        }
    }
}

impl From<OrderChargeKind> for ChargeKind {
    fn from(kind: OrderChargeKind) -> Self {
        match kind {
            OrderChargeKind::Discount(part) => Self::Discount(part.into()),
            OrderChargeKind::Freight(terms) => Self::Freight(Freight {
                zone: terms.zone,
                base: terms.base,
                per_unit: terms.per_unit,
                per_kilogram: terms.per_kilogram,
                least: terms.least,
                free_from: terms.free_from,
            }),
            OrderChargeKind::Surcharge { part, below } => Self::Surcharge {
                part: part.into(),
                below,
            },
            OrderChargeKind::DiscountByValue { tiers, mode } => Self::DiscountByValue(tiers_of(tiers, mode)),
            OrderChargeKind::Rebate { tiers, mode } => Self::Rebate(tiers_of(tiers, mode)),
        }
    }
}

impl From<OrderCharge> for Charge {
    fn from(charge: OrderCharge) -> Self {
        Self {
            rule: charge.rule,
            version: charge.version,
            effective: effective(charge.from, charge.until),
            priority: charge.priority,
            minimum: charge.minimum,
            kind: charge.kind.into(),
            coupon: charge.coupon,
            budget: charge.budget,
        }
    }
}

fn effective(from: Option<Moment>, until: Option<Moment>) -> Effective {
    Effective {
        from: from.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
    }
}

/// How a customer is taxed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerTax {
    /// By whom.
    #[schemars(with = "Code")]
    pub jurisdiction: Jurisdiction,
    /// What a tax is rounded for; `line` if absent.
    #[serde(default)]
    pub rounded: TaxRounding,
    /// Whether prices contain it; `net` if absent.
    #[serde(default)]
    pub prices: TaxedPrices,
    /// The certificate that frees the customer from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<TaxExemption>,
}

/// What a tax is rounded for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaxRounding {
    /// Each line, and what comes on top of them.
    #[default]
    Line,
    /// All of the order that is taxed alike.
    Order,
}

impl From<TaxLevel> for TaxRounding {
    fn from(level: TaxLevel) -> Self {
        match level {
            TaxLevel::Line => Self::Line,
            TaxLevel::Order => Self::Order,
        }
    }
}

/// Whether prices contain the tax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaxedPrices {
    /// No: it comes on top.
    #[default]
    Net,
    /// Yes: it is told, and nothing comes on top.
    Gross,
}

/// A certificate that frees a customer from tax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxExemption {
    /// Which.
    #[schemars(with = "Code")]
    pub certificate: DocumentId,
    /// The first moment it is in force; always before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

impl From<CustomerTax> for TaxProfile {
    fn from(tax: CustomerTax) -> Self {
        Self {
            jurisdiction: tax.jurisdiction,
            level: match tax.rounded {
                TaxRounding::Line => TaxLevel::Line,
                TaxRounding::Order => TaxLevel::Order,
            },
            basis: match tax.prices {
                TaxedPrices::Net => TaxBasis::Net,
                TaxedPrices::Gross => TaxBasis::Gross,
            },
            exemption: tax.exemption.map(|exemption| Exemption {
                certificate: exemption.certificate,
                effective: effective(exemption.from, exemption.until),
            }),
        }
    }
}

/// `lockstep.taxes.set`: what a jurisdiction takes, as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxesSet {
    /// Whose.
    #[schemars(with = "Code")]
    pub jurisdiction: Jurisdiction,
    /// The table's version; an equal or older one changes nothing.
    pub version: u64,
    /// The rates.
    pub rates: List<CategoryTax, 0, MAX_TAX_RATES>,
}

/// What is taken of goods of a category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryTax {
    /// What explains it.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// Of which goods; of all that have no rate of their own, of freight and surcharges if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub category: Option<TaxCategory>,
    /// How much, in percent.
    #[serde(deserialize_with = "percent")]
    #[schemars(with = "Amount")]
    pub percent: Percent,
    /// The first moment it is in force; always before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

impl Body for TaxesSet {
    const SCHEMA: &'static str = "lockstep.taxes.set";
}

impl Command for TaxesSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let rate = |tax: CategoryTax| TaxRate {
            rule: tax.rule,
            category: tax.category,
            percent: tax.percent,
            effective: effective(tax.from, tax.until),
        };
        let table = TaxTable {
            rates: self.rates.into_inner().into_iter().map(rate).collect(),
            version: self.version,
        };
        Ok(Message::Taxes(self.jurisdiction, TaxCommand::Set(table)))
    }
}

/// `lockstep.volume.set`: what a customer has bought in the period of its rebates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSet {
    /// Who.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// The value, in the contract's currency.
    pub value: Amount,
    /// The report's version, from 1; an equal or older one changes nothing.
    pub version: u64,
    /// It counts all orders that came in before this moment; all that are known when it comes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Moment>,
}

impl Body for VolumeSet {
    const SCHEMA: &'static str = "lockstep.volume.set";
}

impl Command for VolumeSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let volume = Volume {
            value: self.value.get(),
            version: self.version,
            through: self.through.map(|moment| moment.0),
        };
        Ok(Message::Contract(
            self.customer,
            ContractCommand::ReportVolume(volume),
        ))
    }
}
