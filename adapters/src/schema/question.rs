//! What senders ask of the stock of a SKU in a warehouse: what it can promise for when, and from which lots it is picked.
//!
//! Both are answered in the `lockstep.command.result`, and change nothing.

use super::error::DecodeError;
use super::fields::{Code, Moment, PositiveUnits, Text, Units};
use super::message::{Body, Command};
use super::outbound::LotView;
use super::stock::{Channel, OrderReference, Warehouse};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    ChannelName, ClassName, DocumentId, Region, Sku, StockId, SystemName, UnitOfMeasure, WarehouseCode,
};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::inventory::lots::Pick;
use lockstep_actors::inventory::promise::{Promise, PromiseWish, PromisedPart, Supply};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.promise.request`: how much of a SKU can a warehouse promise for when? Nothing is held. Many lines at once, over
/// several warehouses and of kits, are promised over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromiseRequest {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// From where.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// How much, in its unit.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// In which unit, such as a case; in base units if absent. The answer is in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
    /// Until when at the latest; 30 days from now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// For which channel; without a channel and a class, as if there were no policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Channel>")]
    pub channel: Option<ChannelName>,
    /// Into which region, so that the warehouse's regions and lead times count for the channel; as if there were none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub ship_to_region: Option<Region>,
    /// For a customer of which class; for one without if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ ClassName::MAX_BYTES }>>")]
    pub customer_class: Option<ClassName>,
}

impl Body for PromiseRequest {
    const SCHEMA: &'static str = "lockstep.promise.request";
}

impl Command for PromiseRequest {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let stock = StockId {
            sku: self.sku,
            warehouse: self.warehouse,
        };
        let wish = StockCommand::Promise(PromiseWish {
            quantity: self.quantity,
            until: self.until.map(|until| until.0),
            channel: self.channel,
            region: self.ship_to_region,
            customer_class: self.customer_class,
        });
        let command = match self.unit {
            Some(unit) => StockCommand::InUnit {
                unit,
                change: Box::new(wish),
            },
            None => wish,
        };
        Ok(Message::Stock(stock, command))
    }
}

/// `lockstep.picks.request`: from which lots are the holds of a stock to be picked, first expired first out?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PicksRequest {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Where.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// Whose holds; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderReference>,
}

impl Body for PicksRequest {
    const SCHEMA: &'static str = "lockstep.picks.request";
}

impl Command for PicksRequest {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let stock = StockId {
            sku: self.sku,
            warehouse: self.warehouse,
        };
        let order = self.order.map(|order| order.key("body.order")).transpose()?;
        Ok(Message::Stock(stock, StockCommand::Picks { order }))
    }
}

/// What a warehouse can promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromiseView {
    /// Of what, and when; the earliest first.
    pub parts: Vec<PromisedUnits>,
    /// What cannot be promised in time.
    #[schemars(with = "Units")]
    pub short: Quantity,
    /// When all of it is there; absent if some of it is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Moment>,
}

/// Units that come from one supply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromisedUnits {
    /// How many.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// When they are there.
    pub date: Moment,
    /// The purchase or transfer order that they come with; absent if they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub document: Option<DocumentId>,
    /// From when on they may no longer be sold; absent of what lies in no lot that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

impl From<Promise> for PromiseView {
    fn from(promise: Promise) -> Self {
        Self {
            date: promise.date().map(Moment),
            short: promise.short,
            parts: promise.parts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PromisedPart> for PromisedUnits {
    fn from(part: PromisedPart) -> Self {
        Self {
            quantity: part.quantity,
            date: Moment(part.at),
            until: part.until.map(Moment),
            document: match part.supply {
                Supply::OnHand => None,
                Supply::Document(document) => Some(document),
            },
        }
    }
}

/// From which lots a line's goods are to be picked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PickView {
    /// The channel that took the order.
    pub channel: String,
    /// Its number there.
    pub number: String,
    /// The order's line.
    pub line: u16,
    /// From which lots, or with which serial numbers.
    pub lots: Vec<LotView>,
}

impl From<Pick> for PickView {
    fn from(pick: Pick) -> Self {
        Self {
            channel: pick.hold.order.channel().to_owned(),
            number: pick.hold.order.number().to_owned(),
            line: pick.hold.line,
            lots: pick.lots.into_iter().map(Into::into).collect(),
        }
    }
}
