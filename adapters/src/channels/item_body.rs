//! An item as a consumer of our own making is told it, over HTTP or AMQP.

use crate::schema::fields::Moment;
use crate::schema::shipment::ShipmentView;
use lockstep_actors::channels::{Content, Item, Key, OrderLineShown, OrderShown};
use lockstep_actors::ids::OrderKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A SKU's stock as a consumer is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockBody {
    /// What.
    pub sku: String,
    /// How many can be sold, in all warehouses that count.
    pub available: i64,
    /// The same by warehouse.
    pub by_warehouse: BTreeMap<String, i64>,
    /// Grows with every change of this SKU.
    pub version: u64,
}

/// A SKU's list price as a consumer is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBody {
    /// What.
    pub sku: String,
    /// The price of a base unit, as a decimal.
    pub amount: String,
    /// In which currency.
    pub currency: String,
    /// Grows with every change of this price.
    pub version: u64,
}

/// How an order stands, as the consumer that placed it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBody {
    /// The consumer's number for it.
    pub order: String,
    /// Where it stands.
    pub status: String,
    /// What the consumer calls that, if there is a word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_status: Option<String>,
    /// Since when.
    pub at: Moment,
    /// Why it stands in exception, was cancelled or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its lines.
    pub lines: Vec<OrderLineBody>,
    /// All that has left so far, by shipment.
    pub shipments: Vec<ShipmentView>,
    /// Grows with every change of its status.
    pub version: u64,
}

/// How a line of an order stands, in base units, of a kit in kits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLineBody {
    /// Its number.
    pub line: u16,
    /// What.
    pub sku: String,
    /// How much was ordered.
    pub ordered: i64,
    /// How much has left the house.
    pub shipped: i64,
    /// How much waits for goods.
    pub backordered: i64,
    /// How much was given up.
    pub cancelled: i64,
}

impl From<&OrderLineShown> for OrderLineBody {
    fn from(line: &OrderLineShown) -> Self {
        Self {
            line: line.line,
            sku: line.sku.as_str().to_owned(),
            ordered: line.ordered.units(),
            shipped: line.shipped.units(),
            backordered: line.backordered.units(),
            cancelled: line.cancelled.units(),
        }
    }
}

impl OrderBody {
    fn new(order: String, shown: &OrderShown, version: u64) -> Self {
        Self {
            order,
            status: shown.status.name().to_owned(),
            channel_status: shown.word.as_ref().map(ToString::to_string),
            at: Moment(shown.at),
            reason: shown.reason.clone(),
            lines: shown.lines.iter().map(Into::into).collect(),
            shipments: shown.shipments.iter().cloned().map(Into::into).collect(),
            version,
        }
    }
}

/// The body of an item.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ItemBody {
    Stock(StockBody),
    Price(PriceBody),
    Order(Box<OrderBody>),
}

/// What a consumer calls an item: its SKU, or its own number for an order.
pub(crate) fn name_of(item: &Item) -> String {
    match &item.content {
        Content::Stock(_) | Content::Price(_) => item.key.to_string(),
        Content::Order(..) => number_of(&item.key),
    }
}

/// The channel's own number for an order.
pub(super) fn number_of(order: &Key) -> String {
    OrderKey::parse(&order.0).map_or_else(|_| order.to_string(), |order| order.number().to_owned())
}

impl ItemBody {
    pub(crate) fn of(item: &Item) -> Self {
        let (name, version) = (name_of(item), item.version);
        match &item.content {
            Content::Stock(stock) => {
                let by_warehouse = stock.by_warehouse.iter();
                let units = by_warehouse
                    .map(|(warehouse, quantity)| (warehouse.as_str().to_owned(), quantity.units()));
                Self::Stock(StockBody {
                    sku: name,
                    available: stock.available.units(),
                    by_warehouse: units.collect(),
                    version,
                })
            }
            Content::Price(price) => Self::Price(PriceBody {
                sku: name,
                amount: price.amount.to_string(),
                currency: price.currency.to_string(),
                version,
            }),
            Content::Order(_, shown) => Self::Order(Box::new(OrderBody::new(name, shown, version))),
        }
    }
}
