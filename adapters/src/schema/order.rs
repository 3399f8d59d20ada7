//! Orders as channels send them, and what people and warehouses do with them.

use super::error::DecodeError;
use super::fields::{
    Amount, Code, CurrencyCode, List, Moment, Note, PositiveUnits, Rank, Text, UnitPrice, Units,
    not_negative, percent,
};
use super::limits::{MAX_COUPONS, MAX_LINES, MAX_LOTS, MAX_WAREHOUSES};
use super::message::{Body, Command};
use super::stock::{Channel, GoodsLot, OrderNumber, OrderReference, Warehouse};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    AddressText, CarrierCode, CouponCode, CustomerId, DocumentId, FreightZone, OrderKey, Reason, Region, Sku,
    SystemName, TrackingNumber, UnitOfMeasure, WarehouseCode,
};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::lots::LotUnits;
use lockstep_actors::kit::MAX_COMPONENTS;
use lockstep_actors::money::{Currency, Money, Percent};
use lockstep_actors::orders::after_sales::Disposition;
use lockstep_actors::orders::command::{
    ChangeLine, ComponentLots, Correction, CreditLine, CreditShare, CreditWish, FreightShare, GoodsReturn,
    OrderChange, OrderCommand, OrderLine, OrderRequest, OrderedAs, Relocation, ReturnLine, ShipLine,
};
use lockstep_actors::orders::delivery::{Address, Delivery};
use lockstep_actors::orders::desk::OwnerRole;
use lockstep_actors::orders::payment::OrderPayment;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::orders::sourcing::Sourcing;
use lockstep_actors::orders::state::Policy;
use lockstep_actors::pricing::contract::Customers;
use lockstep_actors::pricing::kept::QuoteNumber;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.order.submit`: take this order. The channel and number are its identity: sent again it is not taken again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderSubmit {
    /// The channel that took it; without `/`.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
    /// Who buys.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// What is bought.
    pub lines: List<OrderedLine, 1, MAX_LINES>,
    /// Where it may be taken from, the preferred one first, each once.
    #[schemars(with = "List<Warehouse, 1, MAX_WAREHOUSES>")]
    pub warehouses: List<WarehouseCode, 1, MAX_WAREHOUSES>,
    /// How the warehouses are chosen among those; `listed` if absent.
    #[serde(default)]
    pub sourcing: SourcingPolicy,
    /// Where it goes to, as the house divides its world: for sourcing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ Region::MAX_BYTES }>>")]
    pub ship_to_region: Option<Region>,
    /// What if there is not enough; `ship-complete` if absent.
    #[serde(default)]
    pub policy: ShortagePolicy,
    /// Who is served first of those who wait for goods: from 1 to 99; 50 if absent.
    #[serde(default)]
    #[schemars(with = "Rank")]
    pub priority: Priority,
    /// Who may buy; `anybody` if absent.
    #[serde(default)]
    pub customers: Buyers,
    /// Priced as of this moment; as of its arrival if absent. Only owners of `price.date` may say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_as_of: Option<Moment>,
    /// The customer's own number for it. With it, a like order of late is found, where its channel looks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub purchase_order: Option<DocumentId>,
    /// The number of the customer's quote that it relies on. It gets that price if it comes in time and has the same lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<u64>,
    /// The coupons that the customer shows.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    #[schemars(with = "List<Code, 0, MAX_COUPONS>")]
    pub coupons: List<CouponCode, 0, MAX_COUPONS>,
    /// To whom and where it goes.
    #[serde(default)]
    pub ship_to: ShipTo,
    /// Who brings it; whom the house chooses if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ CarrierCode::MAX_BYTES }>>")]
    pub carrier: Option<CarrierCode>,
    /// Where freight is reckoned to; where the contract says if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub freight_zone: Option<FreightZone>,
}

/// To whom and where an order goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipTo {
    /// Who receives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ AddressText::MAX_BYTES }>>")]
    pub name: Option<AddressText>,
    /// Street and house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ AddressText::MAX_BYTES }>>")]
    pub street: Option<AddressText>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ AddressText::MAX_BYTES }>>")]
    pub postal_code: Option<AddressText>,
    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ AddressText::MAX_BYTES }>>")]
    pub city: Option<AddressText>,
    /// Country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ AddressText::MAX_BYTES }>>")]
    pub country: Option<AddressText>,
}

impl From<Address> for ShipTo {
    fn from(address: Address) -> Self {
        Self {
            name: address.name,
            street: address.street,
            postal_code: address.postal_code,
            city: address.city,
            country: address.country,
        }
    }
}

impl From<ShipTo> for Address {
    fn from(to: ShipTo) -> Self {
        Self {
            name: to.name,
            street: to.street,
            postal_code: to.postal_code,
            city: to.city,
            country: to.country,
        }
    }
}

/// Where an order goes to and who brings it, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryCorrection {
    /// To whom and where it goes.
    #[serde(default)]
    pub ship_to: ShipTo,
    /// Who brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ CarrierCode::MAX_BYTES }>>")]
    pub carrier: Option<CarrierCode>,
    /// Where freight is reckoned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub freight_zone: Option<FreightZone>,
}

impl From<DeliveryCorrection> for Delivery {
    fn from(delivery: DeliveryCorrection) -> Self {
        Self {
            address: delivery.ship_to.into(),
            carrier: delivery.carrier,
            zone: delivery.freight_zone,
        }
    }
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderedLine {
    /// Its number, each once; its place in the list, from 1, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u16>,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// The unit that the quantity is in, as the catalogue has it of the SKU; base units if absent. A quantity that is no whole
    /// number of base units is refused. What the unit is when the order comes in holds for the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
    /// What one of that unit costs by what the channel has told its customer. Outside of the channel's tolerance a person is
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<UnitPrice>,
    /// The line in whose place it is taken, if it is a substitute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitutes: Option<u16>,
}

/// A line of a quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitLine {
    /// Its number, each once; its place in the list, from 1, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u16>,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much, in base units.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
}

impl SubmitLine {
    /// The line's number, given its place from 0.
    #[must_use]
    pub fn number(&self, place: usize) -> u16 {
        number(self.line, place)
    }
}

fn number(line: Option<u16>, place: usize) -> u16 {
    // A list has at most 500 places.
    line.unwrap_or_else(|| u16::try_from(place + 1).unwrap_or(u16::MAX))
}

/// How warehouses are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourcingPolicy {
    /// One after the other, as the order lists them.
    #[default]
    Listed,
    /// As few as cover the order.
    FewestSplits,
    /// The nearest to the order's region first.
    Nearest,
    /// Those that cost least by the house's cost table.
    Cheapest,
}

impl From<SourcingPolicy> for Sourcing {
    fn from(policy: SourcingPolicy) -> Self {
        match policy {
            SourcingPolicy::Listed => Self::Listed,
            SourcingPolicy::FewestSplits => Self::FewestSplits,
            SourcingPolicy::Nearest => Self::Nearest,
            SourcingPolicy::Cheapest => Self::Cheapest,
        }
    }
}

impl From<Sourcing> for SourcingPolicy {
    fn from(sourcing: Sourcing) -> Self {
        match sourcing {
            Sourcing::Listed => Self::Listed,
            Sourcing::FewestSplits => Self::FewestSplits,
            Sourcing::Nearest => Self::Nearest,
            Sourcing::Cheapest => Self::Cheapest,
        }
    }
}

/// What if there is not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShortagePolicy {
    /// All lines in full, or none.
    #[default]
    ShipComplete,
    /// What there is; the rest is backordered.
    Partial,
}

impl From<Policy> for ShortagePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::ShipComplete => Self::ShipComplete,
            Policy::Partial => Self::Partial,
        }
    }
}

impl From<ShortagePolicy> for Policy {
    fn from(policy: ShortagePolicy) -> Self {
        match policy {
            ShortagePolicy::ShipComplete => Self::ShipComplete,
            ShortagePolicy::Partial => Self::Partial,
        }
    }
}

/// Whom a channel sells to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Buyers {
    /// Anybody; at list price without a contract.
    #[default]
    Anybody,
    /// Only customers with a contract.
    Known,
}

impl From<Buyers> for Customers {
    fn from(buyers: Buyers) -> Self {
        match buyers {
            Buyers::Anybody => Self::Anybody,
            Buyers::Known => Self::Known,
        }
    }
}

impl OrderSubmit {
    /// The order's key.
    ///
    /// # Errors
    /// [`DecodeError`] if the channel contains a `/`.
    pub fn key(&self) -> Result<OrderKey, DecodeError> {
        key(&self.channel, &self.number)
    }
}

fn key(channel: &Channel, number: &OrderNumber) -> Result<OrderKey, DecodeError> {
    OrderReference {
        channel: channel.clone(),
        number: number.clone(),
    }
    .key("body")
}

impl Body for OrderSubmit {
    const SCHEMA: &'static str = "lockstep.order.submit";
}

impl Command for OrderSubmit {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let key = self.key()?;
        let request = OrderRequest {
            customer: self.customer,
            currency: self.currency,
            lines: order_lines(self.lines),
            warehouses: self.warehouses.into_inner(),
            sourcing: self.sourcing.into(),
            ship_to_region: self.ship_to_region,
            policy: self.policy.into(),
            priority: self.priority,
            customers: self.customers.into(),
            price_as_of: self.price_as_of.map(|moment| moment.0),
            purchase_order: self.purchase_order,
            coupons: self.coupons.into_inner(),
            delivery: Delivery {
                address: self.ship_to.into(),
                carrier: self.carrier,
                zone: self.freight_zone,
            },
            quote: self.quote.map(QuoteNumber),
        };
        Ok(Message::Order(key, OrderCommand::Submit(Box::new(request))))
    }
}

/// `lockstep.order.cancel`: the order is no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderCancel {
    /// The channel that took the order.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
    /// Why.
    #[schemars(with = "Note")]
    pub reason: Reason,
}

impl Body for OrderCancel {
    const SCHEMA: &'static str = "lockstep.order.cancel";
}

impl Command for OrderCancel {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let key = key(&self.channel, &self.number)?;
        Ok(Message::Order(key, OrderCommand::Cancel { reason: self.reason }))
    }
}

/// `lockstep.order.change`: lines are wanted another way. Each line is answered by itself: in the `change` of
/// `lockstep.order.status`, and in the order's `changes`. More than before is another order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderChangeAsk {
    /// The channel that took the order.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
    /// What is wanted.
    pub change: WantedChange,
}

/// What is wanted of an order another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedChange {
    /// The customer's number for it; it counts once.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Why.
    #[schemars(with = "Note")]
    pub reason: Reason,
    /// Which lines, each once; the others stay.
    pub lines: List<WantedLine, 1, MAX_LINES>,
}

/// How much of a line is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedLine {
    /// Which.
    pub line: u16,
    /// How much in all from now on, in base units; 0 to cancel the line.
    #[serde(deserialize_with = "not_negative")]
    #[schemars(with = "Units")]
    pub quantity: Quantity,
}

impl From<WantedChange> for OrderCommand {
    fn from(wanted: WantedChange) -> Self {
        let lines = wanted.lines.into_inner().into_iter();
        Self::Change(OrderChange {
            document: wanted.document,
            reason: wanted.reason,
            lines: lines
                .map(|line| ChangeLine {
                    line: line.line,
                    quantity: line.quantity,
                })
                .collect(),
        })
    }
}

impl Body for OrderChangeAsk {
    const SCHEMA: &'static str = "lockstep.order.change";
}

impl Command for OrderChangeAsk {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        Ok(Message::Order(
            key(&self.channel, &self.number)?,
            self.change.into(),
        ))
    }
}

/// `lockstep.order.resolve`: what a person decides about an order's exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderResolve {
    /// The channel that took the order.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
    /// The decision.
    pub resolution: Resolution,
}

/// What a person decides about an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Resolution {
    /// Try again what raised it.
    Retry {},
    /// Give the order up.
    Reject {
        /// Why.
        #[schemars(with = "Note")]
        reason: Reason,
    },
    /// Take the order up anew with what is corrected: what is held is given back, then it is priced again. Not once the ERP
    /// has it.
    Correct(Box<OrderCorrection>),
    /// Let pass what failed a check, at the price it has now. Above the channel's limit somebody else has to do so too.
    Approve {
        /// Why.
        #[schemars(with = "Note")]
        reason: Reason,
    },
    /// What came under the order's number with another content means nothing: the order stays as it is.
    Dismiss {
        /// Why.
        #[schemars(with = "Note")]
        reason: Reason,
    },
    /// Give the exception to another desk.
    Reassign {
        /// Whose it is.
        to: Desk,
    },
}

/// What is to be another way about an order; what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderCorrection {
    /// Why.
    #[schemars(with = "Note")]
    pub reason: Reason,
    /// All its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<List<OrderedLine, 1, MAX_LINES>>,
    /// Where it may be taken from, the preferred one first, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<List<Warehouse, 1, MAX_WAREHOUSES>>")]
    pub warehouses: Option<List<WarehouseCode, 1, MAX_WAREHOUSES>>,
    /// What if there is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ShortagePolicy>,
    /// Who is served first of those who wait for goods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Rank>")]
    pub priority: Option<Priority>,
    /// Where it goes to and who brings it, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryCorrection>,
    /// Where it goes to, as the house divides its world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ Region::MAX_BYTES }>>")]
    pub ship_to_region: Option<Region>,
}

impl From<OrderCorrection> for Correction {
    fn from(correction: OrderCorrection) -> Self {
        Self {
            reason: correction.reason,
            lines: correction.lines.map(order_lines),
            warehouses: correction.warehouses.map(List::into_inner),
            policy: correction.policy.map(Into::into),
            priority: correction.priority,
            delivery: correction.delivery.map(Into::into),
            ship_to_region: correction.ship_to_region,
        }
    }
}

fn order_lines(lines: List<OrderedLine, 1, MAX_LINES>) -> Vec<OrderLine> {
    let numbered = lines.into_inner().into_iter().enumerate();
    numbered
        .map(|(place, line)| OrderLine {
            line: number(line.line, place),
            sku: line.sku,
            quantity: line.quantity,
            channel_price: line.unit_price.map(|price| price.0),
            substitutes: line.substitutes,
            ordered_as: line.unit.map(|unit| OrderedAs {
                quantity: line.quantity,
                unit,
            }),
            components: Vec::new(),
        })
        .collect()
}

/// Whose an exception is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Desk {
    /// Talks to the customer.
    CustomerService,
    /// Makes prices and contracts.
    Pricing,
    /// Gets goods.
    Purchasing,
    /// Has goods in hand.
    Warehouse,
    /// Keeps the systems running.
    Operations,
    /// Judges what customers may owe.
    Credit,
}

impl From<Desk> for OwnerRole {
    fn from(desk: Desk) -> Self {
        match desk {
            Desk::CustomerService => Self::CustomerService,
            Desk::Pricing => Self::Pricing,
            Desk::Purchasing => Self::Purchasing,
            Desk::Warehouse => Self::Warehouse,
            Desk::Operations => Self::Operations,
            Desk::Credit => Self::Credit,
        }
    }
}

impl From<OwnerRole> for Desk {
    fn from(owner: OwnerRole) -> Self {
        match owner {
            OwnerRole::CustomerService => Self::CustomerService,
            OwnerRole::Pricing => Self::Pricing,
            OwnerRole::Purchasing => Self::Purchasing,
            OwnerRole::Warehouse => Self::Warehouse,
            OwnerRole::Operations => Self::Operations,
            OwnerRole::Credit => Self::Credit,
        }
    }
}

impl From<Resolution> for OrderCommand {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Retry {} => Self::Retry,
            Resolution::Reject { reason } => Self::Reject { reason },
            Resolution::Correct(correction) => Self::Correct(Box::new((*correction).into())),
            Resolution::Approve { reason } => Self::Approve { reason },
            Resolution::Dismiss { reason } => Self::Dismiss { reason },
            Resolution::Reassign { to } => Self::Reassign { to: to.into() },
        }
    }
}

impl Body for OrderResolve {
    const SCHEMA: &'static str = "lockstep.order.resolve";
}

impl Command for OrderResolve {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        Ok(Message::Order(
            key(&self.channel, &self.number)?,
            self.resolution.into(),
        ))
    }
}

/// `lockstep.order.progress`: how far the warehouse or the invoicing is with an order. What comes before its time waits for ten
/// minutes, whether the order has come or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderProgress {
    /// The channel that took the order.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
    /// What was done.
    pub step: ProgressStep,
}

/// A step of an order's way through the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProgressStep {
    /// The warehouse may begin.
    Release {},
    /// The warehouse has everything in hand.
    Pick {},
    /// Goods left the house.
    Ship {
        /// The delivery note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Code>")]
        document: Option<DocumentId>,
        /// How much of which lines; all that is held if absent or empty.
        #[serde(default)]
        lines: List<ShippedLine, 0, MAX_LINES>,
        /// Who carries them; whom the order asks for if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Text<{ CarrierCode::MAX_BYTES }>>")]
        carrier: Option<CarrierCode>,
        /// What the carrier knows them by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Text<{ TrackingNumber::MAX_BYTES }>>")]
        tracking: Option<TrackingNumber>,
    },
    /// The customer has paid something.
    Pay {
        /// The channel's number for it; it counts once.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// In which currency.
        #[schemars(with = "CurrencyCode")]
        currency: Currency,
        /// How much; above 0.
        amount: Amount,
    },
    /// Goods that have left came back.
    Return {
        /// The paper; it counts once.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// How much of which lines.
        lines: List<ReturnedGoods, 1, MAX_LINES>,
    },
    /// Money is given back for goods that have left.
    Credit {
        /// The paper; it counts once.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// For how much of which lines; may be absent where freight is given back.
        #[serde(default, skip_serializing_if = "List::is_empty")]
        lines: List<CreditedGoods, 0, MAX_LINES>,
        /// How much of the freight is given back; none of it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freight: Option<FreightBack>,
    },
    /// Goods of a line that the warehouse has not begun with are to come from another warehouse.
    Relocate {
        /// Which line.
        line: u16,
        /// Where they are held.
        #[schemars(with = "Warehouse")]
        from: WarehouseCode,
        /// Where they are to be held.
        #[schemars(with = "Warehouse")]
        to: WarehouseCode,
    },
    /// It is invoiced and done.
    Close {},
}

/// Goods of a line that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnedGoods {
    /// Which line.
    pub line: u16,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// What becomes of it.
    pub disposition: GoodsBack,
    /// Where to; where it was shipped from first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Warehouse>")]
    pub warehouse: Option<WarehouseCode>,
    /// Of a kit: the component that came back alone, in its own base units; whole kits if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub component: Option<Sku>,
    /// In which lots, or with which serial numbers, what can be sold again is.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub lots: List<GoodsLot, 0, MAX_LOTS>,
}

/// What becomes of goods that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GoodsBack {
    /// They can be sold again.
    Restock,
    /// They are thrown away.
    Scrap,
}

impl From<GoodsBack> for Disposition {
    fn from(back: GoodsBack) -> Self {
        match back {
            GoodsBack::Restock => Self::Restock,
            GoodsBack::Scrap => Self::Scrap,
        }
    }
}

impl From<Disposition> for GoodsBack {
    fn from(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Restock => Self::Restock,
            Disposition::Scrap => Self::Scrap,
        }
    }
}

/// How much of a line money is given back for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditedGoods {
    /// Which line.
    pub line: u16,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// What part of its price; all of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PriceBack>,
}

/// What part of the price of goods is given back, and of its tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PriceBack {
    /// All but so many percent: a fee, as for restocking.
    LessPercent(
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        Percent,
    ),
    /// This, before tax where that comes on top; from 0 to what is due for the goods.
    Amount(Amount),
}

/// What part of the freight is given back, and of its tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FreightBack {
    /// What has not been given back yet.
    Rest {},
    /// This, before tax where that comes on top; above 0, to what has not been given back yet.
    Amount(Amount),
}

/// How much of a line has left the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippedLine {
    /// Which.
    pub line: u16,
    /// How much, all shipments together.
    #[schemars(with = "PositiveUnits")]
    pub total: PositiveQuantity,
    /// In which lots, or with which serial numbers, what leaves now is; those that expire first if absent. Pieces with serial
    /// numbers have to be named. Of a kit, `components` say it.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub lots: List<GoodsLot, 0, MAX_LOTS>,
    /// Of a kit: in which lots what leaves now of its components is; each component once.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub components: List<ShippedComponent, 0, MAX_COMPONENTS>,
}

/// A component of a kit that has left the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShippedComponent {
    /// Which.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// In which lots, or with which serial numbers, what leaves now of it is.
    pub lots: List<GoodsLot, 1, MAX_LOTS>,
}

fn lots(named: Vec<GoodsLot>) -> Vec<LotUnits> {
    named.into_iter().map(Into::into).collect()
}

impl From<ProgressStep> for OrderCommand {
    fn from(step: ProgressStep) -> Self {
        match step {
            ProgressStep::Release {} => Self::ReleaseToWarehouse,
            ProgressStep::Pick {} => Self::ConfirmPick,
            ProgressStep::Ship {
                document,
                lines,
                carrier,
                tracking,
            } => Self::Ship {
                document,
                carriage: Carriage { carrier, tracking },
                lines: lines
                    .into_inner()
                    .into_iter()
                    .map(|line| ShipLine {
                        line: line.line,
                        total: line.total,
                        lots: lots(line.lots.into_inner()),
                        components: line
                            .components
                            .into_inner()
                            .into_iter()
                            .map(|component| ComponentLots {
                                sku: component.sku,
                                lots: lots(component.lots.into_inner()),
                            })
                            .collect(),
                    })
                    .collect(),
            },
            ProgressStep::Pay {
                document,
                currency,
                amount,
            } => Self::Pay(OrderPayment {
                document,
                amount: Money {
                    amount: amount.get(),
                    currency,
                },
            }),
            ProgressStep::Return { document, lines } => {
                let lines = lines.into_inner().into_iter().map(|back| ReturnLine {
                    line: back.line,
                    quantity: back.quantity,
                    disposition: back.disposition.into(),
                    warehouse: back.warehouse,
                    component: back.component,
                    lots: lots(back.lots.into_inner()),
                });
                Self::Return(GoodsReturn {
                    document,
                    lines: lines.collect(),
                })
            }
            ProgressStep::Credit {
                document,
                lines,
                freight,
            } => {
                let lines = lines.into_inner().into_iter().map(|credited| CreditLine {
                    line: credited.line,
                    quantity: credited.quantity,
                    share: match credited.part {
                        None => CreditShare::Whole,
                        Some(PriceBack::LessPercent(fee)) => CreditShare::LessFee(fee),
                        Some(PriceBack::Amount(amount)) => CreditShare::Amount(amount.get()),
                    },
                });
                Self::Credit(CreditWish {
                    document,
                    lines: lines.collect(),
                    freight: freight.map(|freight| match freight {
                        FreightBack::Rest {} => FreightShare::Rest,
                        FreightBack::Amount(amount) => FreightShare::Amount(amount.get()),
                    }),
                })
            }
            ProgressStep::Relocate { line, from, to } => Self::Relocate(Relocation { line, from, to }),
            ProgressStep::Close {} => Self::Close,
        }
    }
}

impl Body for OrderProgress {
    const SCHEMA: &'static str = "lockstep.order.progress";
}

impl Command for OrderProgress {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        Ok(Message::Order(
            key(&self.channel, &self.number)?,
            self.step.into(),
        ))
    }
}
