//! List prices and contracts as their owner publishes them, and the question what something costs.

use super::charge::{CustomerTax, OrderCharge};
use super::error::DecodeError;
use super::fields::{Amount, Code, CurrencyCode, List, Moment, PositiveUnits, Text, price};
use super::limits::{MAX_BREAKS, MAX_CHARGES, MAX_COUPONS, MAX_ENDINGS, MAX_LINES, MAX_TERMS};
use super::message::{Body, Command};
use super::order::Buyers;
use super::stock::Channel;
use super::term::{BreakUnits, EndingRule, PriceBreak, PriceTerm, StageRules, scale, terms};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    AgreementId, BudgetId, ClassName, CustomerId, EditionId, IndexId, ListId, RateSource, RuleId, Sku,
    SystemName,
};
use lockstep_actors::ids::{CouponCode, FreightZone, Region, UnitOfMeasure};
use lockstep_actors::money::{Currency, Price, RoundingMode};
use lockstep_actors::pricing::budget::{BudgetCommand, BudgetLimit, Limits};
use lockstep_actors::pricing::contract::{
    Budgets, Contract, ContractCommand, ContractStatus, QuoteRequest, Rounding, RoundingLevel,
};
use lockstep_actors::pricing::edition::EditionCommand;
use lockstep_actors::pricing::index::{IndexCommand, IndexValue};
use lockstep_actors::pricing::kept::{MAX_VALID_MINUTES, Validity};
use lockstep_actors::pricing::list::{Effective, ListPriceCommand, ListRow};
use lockstep_actors::pricing::resolve::{Detail, QuoteLine};
use lockstep_actors::quantity::PositiveQuantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.price.set`: a price of a list, in place of the one with the same list, SKU, currency, edition and start.
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
    /// Which units a break is for; `all-units` if absent.
    #[serde(default)]
    pub break_units: BreakUnits,
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
    /// The edition of the list that it belongs to: it counts only once that has begun. At once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub edition: Option<EditionId>,
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
        let row = Box::new(ListRow {
            list: self.list,
            currency: self.currency,
            effective: effective(self.from, self.until),
            price: scale(self.unit, self.breaks, self.break_units),
            rule: self.rule,
            version: self.version,
            edition: self.edition,
        });
        let command = match self.standing {
            PriceStanding::Valid => ListPriceCommand::Set(row),
            PriceStanding::Withdrawn => ListPriceCommand::Withdraw(row),
        };
        Ok(Message::ListPrice(self.sku, command))
    }
}

/// `lockstep.index.publish`: what a price index says from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexPublish {
    /// Which index.
    #[schemars(with = "Code")]
    pub index: IndexId,
    /// From when on, until its next value begins.
    pub from: Moment,
    /// How much.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub value: Price,
    /// The version of the value of this moment: a higher one corrects it, an equal or older one changes nothing.
    pub version: u64,
}

impl Body for IndexPublish {
    const SCHEMA: &'static str = "lockstep.index.publish";
}

impl Command for IndexPublish {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let value = IndexValue {
            from: self.from.0,
            value: self.value,
            version: self.version,
        };
        Ok(Message::Index(self.index, IndexCommand::Publish(value)))
    }
}

/// `lockstep.budget.set`: what promotions and coupons with this budget may spend. What is spent stays spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSet {
    /// Which.
    #[schemars(with = "Code")]
    pub budget: BudgetId,
    /// The version; an equal or older one changes nothing.
    pub version: u64,
    /// How many orders may use it; any number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// How many orders of one customer may use it, as for a coupon that counts once; any number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_by_customer: Option<u32>,
    /// By how much it may lower prices all together; by any amount if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<BudgetAmount>,
}

/// By how much a budget may lower prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetAmount {
    /// How much.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub value: Price,
    /// Of what: only contracts in this currency use it.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
}

impl Body for BudgetSet {
    const SCHEMA: &'static str = "lockstep.budget.set";
}

impl Command for BudgetSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let limits = Limits {
            uses: self.uses,
            amount: self.amount.map(|amount| BudgetLimit {
                value: amount.value.amount(),
                currency: amount.currency,
            }),
            uses_by_customer: self.uses_by_customer,
        };
        let version = self.version;
        Ok(Message::Budget(
            self.budget,
            BudgetCommand::Set { limits, version },
        ))
    }
}

/// `lockstep.edition.release`: an edition of a list begins at a moment, all its prices at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditionRelease {
    /// Of which list.
    #[schemars(with = "Code")]
    pub list: ListId,
    /// Which.
    #[schemars(with = "Code")]
    pub edition: EditionId,
    /// The owner's version of the release. Until the edition has begun a higher one may say another moment; an equal or
    /// older one changes nothing.
    pub version: u64,
    /// When it begins: a second after its release at the earliest, and so if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// How many prices it has to have by now, all SKUs and currencies together; not looked at if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Body for EditionRelease {
    const SCHEMA: &'static str = "lockstep.edition.release";
}

impl Command for EditionRelease {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let command = EditionCommand::Release {
            edition: self.edition,
            from: self.from.map(|moment| moment.0),
            version: self.version,
            rows: self.rows,
        };
        Ok(Message::Editions(self.list, command))
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
    /// The list it stands on; if absent, that of the agreements behind it, at last `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub base_list: Option<ListId>,
    /// The agreement behind it, whose terms count, too. The agreement `house` stands behind all, without being named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub agreement: Option<AgreementId>,
    /// How stages work together; if absent, as the agreements behind it say.
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
    /// How the customer is taxed; not at all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<CustomerTax>,
    /// Where freight goes to, unless a quote says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub zone: Option<FreightZone>,
    /// Whose exchange rates count when another currency is asked for; if absent, none is sold in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rates: Option<RateSource>,
    /// Which way halves are rounded; `half-up` if absent.
    #[serde(default)]
    pub rounding: HalfRounding,
    /// What is rounded; `line` if absent.
    #[serde(default)]
    pub rounded: RoundedAmount,
    /// Whether the customer may buy; `active` if absent.
    #[serde(default)]
    pub status: CustomerStatus,
    /// The class of stock policies in which the customer is served, whatever the channel; if absent, that of the agreements behind
    /// it, else that of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ ClassName::MAX_BYTES }>>")]
    pub customer_class: Option<ClassName>,
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
            rates: self.rates,
            endings: self.endings.into_inner().into_iter().map(Into::into).collect(),
            charges: self.charges.into_inner().into_iter().map(Into::into).collect(),
            tax: self.tax.map(Into::into),
            zone: self.zone,
            agreement: self.agreement,
            precedence: self.precedence.map(Into::into),
            terms: terms(self.terms.into_inner(), self.time_zone.as_ref().map(Code::as_str))?,
            rounding,
            status: match self.status {
                CustomerStatus::Active => ContractStatus::Active,
                CustomerStatus::Blocked => ContractStatus::Blocked,
            },
            customer_class: self.customer_class,
        };
        Ok(Message::Contract(
            self.customer,
            ContractCommand::Upsert {
                contract: Box::new(contract),
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
    pub lines: List<AskLine, 1, MAX_LINES>,
    /// As of when; now if absent. A quote that is kept may have one only from an owner of `price.date`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Moment>,
    /// Who may buy; `anybody` if absent.
    #[serde(default)]
    pub customers: Buyers,
    /// How much the answer says; `waterfall` if absent.
    #[serde(default)]
    pub detail: QuoteDetail,
    /// By which set of exchange rates; by the one in force if absent. A quote that is kept may name one only from an owner of
    /// `price.date`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rates: Option<RuleId>,
    /// The coupons that are shown.
    #[serde(default)]
    #[schemars(with = "List<Code, 0, MAX_COUPONS>")]
    pub coupons: List<CouponCode, 0, MAX_COUPONS>,
    /// Where freight goes to; where the contract says if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub zone: Option<FreightZone>,
    /// Where goods are shipped to, for taxes; where the customer is taxed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ Region::MAX_BYTES }>>")]
    pub ship_to_region: Option<Region>,
    /// For how many minutes an order that names the quote gets this price, whatever changes: at most 90 days. Not kept if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 1, max = MAX_VALID_MINUTES))]
    pub valid_minutes: Option<Validity>,
    /// Over which channel: its list counts where nothing that is agreed with the customer names one. The default list if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
}

/// A line of a quote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskLine {
    /// Its number, each once; its place in the list, from 1, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u16>,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much, in its unit.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// In which unit, such as a case; in base units if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
}

/// How much an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuoteDetail {
    /// Each line's steps.
    #[default]
    Waterfall,
    /// Besides, which rules nearly applied, and why they did not.
    NearMisses,
}

impl Body for QuoteAsk {
    const SCHEMA: &'static str = "lockstep.quote.request";
}

impl QuoteAsk {
    /// The numbers of its lines, in their order.
    #[must_use]
    pub fn numbers(&self) -> Vec<u16> {
        let places = self.lines.as_slice().iter().enumerate();
        places.map(|(place, line)| line.number(place)).collect()
    }
}

impl AskLine {
    /// Its own number, or its place in the list, from 1.
    fn number(&self, place: usize) -> u16 {
        // A list has at most as many places as there are numbers.
        let placed = || u16::try_from(place + 1).unwrap_or(u16::MAX);
        self.line.unwrap_or_else(placed)
    }
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
                unit: line.unit,
                base_units: None,
                stated_price: None,
            });
        let request = QuoteRequest {
            currency: self.currency,
            rates: self.rates,
            coupons: self.coupons.into_inner(),
            zone: self.zone,
            lines: lines.collect(),
            as_of: self.as_of.map(|moment| moment.0),
            customers: self.customers.into(),
            detail: match self.detail {
                QuoteDetail::Waterfall => Detail::Waterfall,
                QuoteDetail::NearMisses => Detail::NearMisses,
            },
            budgets: Budgets::default(),
            channel: self.channel.map(|channel| channel.as_str().into()),
            ship_to: self.ship_to_region,
        };
        let request = Box::new(request);
        let command = match self.valid_minutes {
            Some(validity) => ContractCommand::KeepQuote { request, validity },
            None => ContractCommand::Quote(request),
        };
        Ok(Message::Contract(self.customer, command))
    }
}
