//! What prices depend on besides lists and contracts, as its owners publish it: agreements that several customers share,
//! the catalogue, exchange rates.

use super::charge::OrderCharge;
use super::error::DecodeError;
use super::fields::{Amount, Code, CurrencyCode, ExchangeRate, List, Moment, PositiveUnits, Text, price};
use super::limits::{
    MAX_CATEGORIES, MAX_CHARGES, MAX_COMPONENTS, MAX_ENDINGS, MAX_RATES, MAX_TERMS, MAX_UNITS,
};
use super::message::{Body, Command};
use super::term::{EndingRule, PriceTerm, StageRules, terms};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    AgreementId, BrandId, CategoryId, ClassName, HazardClass, ListId, ProductId, RateSource, RuleId, Sku,
    SystemName,
};
use lockstep_actors::ids::{TaxCategory, UnitOfMeasure};
use lockstep_actors::kit::Component;
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::pricing::agreement::{Agreement, AgreementCommand};
use lockstep_actors::pricing::catalogue::{Cost, Item, ItemCommand, Tracking};
use lockstep_actors::pricing::rates::{RateCommand, RateSet};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::units::UnitSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.agreement.set`: what several customers share, as a whole. The agreement `house` is for everyone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementSet {
    /// Its name.
    #[schemars(with = "Code")]
    pub agreement: AgreementId,
    /// Its version; an equal or older one changes nothing.
    pub version: u64,
    /// The agreement behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub parent: Option<AgreementId>,
    /// The currency of its prices; in a contract of another currency only its discounts count.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The list of contracts that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub base_list: Option<ListId>,
    /// How stages work together, for contracts that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precedence: Option<StageRules>,
    /// What it changes.
    #[serde(default)]
    pub terms: List<PriceTerm, 0, MAX_TERMS>,
    /// Where its terms' days are reckoned, by the IANA name such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Code>,
    /// How unit prices end, each currency once.
    #[serde(default)]
    pub endings: List<EndingRule, 0, MAX_ENDINGS>,
    /// Rules on orders as a whole.
    #[serde(default)]
    pub charges: List<OrderCharge, 0, MAX_CHARGES>,
    /// The class of stock policies in which its customers are served, unless a nearer level says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ ClassName::MAX_BYTES }>>")]
    pub customer_class: Option<ClassName>,
}

impl Body for AgreementSet {
    const SCHEMA: &'static str = "lockstep.agreement.set";
}

impl Command for AgreementSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let agreement = Agreement {
            parent: self.parent,
            currency: self.currency,
            base_list: self.base_list,
            precedence: self.precedence.map(Into::into),
            terms: terms(self.terms.into_inner(), self.time_zone.as_ref().map(Code::as_str))?,
            endings: self.endings.into_inner().into_iter().map(Into::into).collect(),
            charges: self.charges.into_inner().into_iter().map(Into::into).collect(),
            customer_class: self.customer_class,
        };
        let version = self.version;
        let command = AgreementCommand::Upsert {
            agreement: Box::new(agreement),
            version,
        };
        Ok(Message::Agreement(self.agreement, command))
    }
}

/// `lockstep.item.set`: what the catalogue says of a SKU, as far as its price depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemSet {
    /// Which SKU.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// The entry's version; an equal or older one changes nothing.
    pub version: u64,
    /// The product that it is a variant of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub product: Option<ProductId>,
    /// Its brand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub brand: Option<BrandId>,
    /// Its categories, the most specific first.
    #[serde(default)]
    #[schemars(with = "List<Code, 0, MAX_CATEGORIES>")]
    pub categories: List<CategoryId, 0, MAX_CATEGORIES>,
    /// What one base unit costs its distributor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ItemCost>,
    /// What one base unit weighs, in grams.
    #[serde(default)]
    pub grams: u32,
    /// How it is taxed; as the jurisdiction's standard if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub tax: Option<TaxCategory>,
    /// The units it is bought, stocked and sold in besides its base unit, each once.
    #[serde(default)]
    pub units: List<ItemUnit, 0, MAX_UNITS>,
    /// Of how many base units an order's line should be a multiple.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PositiveUnits>")]
    pub pack: Option<PositiveQuantity>,
    /// How it is hazardous, as a UN number or a class; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ HazardClass::MAX_BYTES }>>")]
    pub hazard: Option<HazardClass>,
    /// What is in it, if it is a kit: it is priced as one, and its components are held, shipped and returned. Each once.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub components: List<KitComponent, 0, MAX_COMPONENTS>,
    /// Whether its stock is kept by lot or by serial number; neither if absent. Receipts then name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<ItemTracking>,
}

/// How stock is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ItemTracking {
    /// By lot, each with its expiry.
    Lots {
        /// For how many days before it expires a lot is no longer sold; 0 if absent.
        #[serde(default)]
        last_days_unsold: u16,
    },
    /// By serial number, one a piece.
    Serials {},
}

impl From<ItemTracking> for Tracking {
    fn from(tracking: ItemTracking) -> Self {
        match tracking {
            ItemTracking::Lots { last_days_unsold } => Self::Lots { last_days_unsold },
            ItemTracking::Serials {} => Self::Serials,
        }
    }
}

/// What is in a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KitComponent {
    /// What. It is taken as goods that lie in the warehouse, also where it is a kit itself.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How many base units of it are in one kit; at most 100,000.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
}

/// What one base unit costs its distributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemCost {
    /// How much.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub unit: Price,
    /// Of what.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
}

/// A unit that a SKU is bought, stocked or sold in, such as a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemUnit {
    /// Its name.
    #[schemars(with = "Text<16>")]
    pub unit: UnitOfMeasure,
    /// How many base units it is, or `of` of it are.
    #[schemars(with = "PositiveUnits")]
    pub base_units: PositiveQuantity,
    /// How many of it are that many base units; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PositiveUnits>")]
    pub of: Option<PositiveQuantity>,
}

impl ItemUnit {
    fn size(&self) -> Result<UnitSize, DecodeError> {
        let one = || PositiveQuantity::new(1).map_err(|error| DecodeError::field("body.units", error));
        Ok(UnitSize {
            base_units: self.base_units,
            of: self.of.map_or_else(one, Ok)?,
        })
    }
}

impl Body for ItemSet {
    const SCHEMA: &'static str = "lockstep.item.set";
}

impl Command for ItemSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let units = self.units.into_inner().into_iter();
        let units = units.map(|unit| unit.size().map(|size| (unit.unit, size)));
        let units = units.collect::<Result<_, DecodeError>>()?;
        let components = self.components.into_inner().into_iter();
        let components = components.map(|component| Component {
            sku: component.sku,
            per_kit: component.quantity,
        });
        let item = Item {
            product: self.product,
            brand: self.brand,
            categories: self.categories.into_inner().into(),
            cost: self.cost.map(|cost| Cost {
                unit: cost.unit,
                currency: cost.currency,
            }),
            grams: self.grams,
            tax: self.tax,
            units,
            pack: self.pack,
            hazard: self.hazard,
            components: components.collect(),
            tracking: self.tracking.map_or(Tracking::None, Into::into),
        };
        let version = self.version;
        Ok(Message::Item(
            self.sku,
            ItemCommand::Set {
                item: Box::new(item),
                version,
            },
        ))
    }
}

/// `lockstep.rates.set`: the exchange rates of a source from a moment on. A set's name stands for the same rates for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesSet {
    /// Who publishes them.
    #[schemars(with = "Code")]
    pub source: RateSource,
    /// The set's name, as it stands in quotes.
    #[schemars(with = "Code")]
    pub set: RuleId,
    /// From when on it counts, until the next one does.
    pub from: Moment,
    /// The currency that all rates start from.
    #[schemars(with = "CurrencyCode")]
    pub pivot: Currency,
    /// Each currency once, without the pivot.
    pub rates: List<CurrencyRate, 1, MAX_RATES>,
}

/// How much of a currency one unit of the pivot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrencyRate {
    /// Of what.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// How much.
    pub rate: ExchangeRate,
}

impl Body for RatesSet {
    const SCHEMA: &'static str = "lockstep.rates.set";
}

impl Command for RatesSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let rates = self.rates.into_inner().into_iter();
        let set = RateSet {
            id: self.set,
            from: self.from.0,
            pivot: self.pivot,
            rates: rates.map(|rate| (rate.currency, rate.rate.0)).collect(),
        };
        Ok(Message::Rates(self.source, RateCommand::Publish(set)))
    }
}
