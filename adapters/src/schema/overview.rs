//! `lockstep.stock.request`: how does a SKU stand in a warehouse? Answered in the `lockstep.command.result`.

use super::error::DecodeError;
use super::fields::{Code, Moment, PositiveUnits, SignedUnits, Units};
use super::message::{Body, Command};
use super::outbound::DriftCause;
use super::stock::Warehouse;
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{DocumentId, Sku, StockId, SystemName, WarehouseCode};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::inventory::overview::{Dated, Overview, Waiting};
use lockstep_actors::inventory::reconcile::OpenDrift;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.stock.request`: all that stands in a SKU's stock in a warehouse. Changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockRequest {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Where.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
}

impl Body for StockRequest {
    const SCHEMA: &'static str = "lockstep.stock.request";
}

impl Command for StockRequest {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let stock = StockId {
            sku: self.sku,
            warehouse: self.warehouse,
        };
        Ok(Message::Stock(stock, StockCommand::Overview))
    }
}

/// All that stands in a SKU's stock in a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StockOverview {
    /// Physically there: damaged, quarantined and returned goods included.
    #[schemars(with = "SignedUnits")]
    pub on_hand: Quantity,
    /// Can be sold, to all channels together.
    #[schemars(with = "Units")]
    pub available: Quantity,
    /// Held for orders and carts.
    #[schemars(with = "Units")]
    pub reserved: Quantity,
    /// What of it is held by holds that end by themselves.
    #[schemars(with = "Units")]
    pub soft: Quantity,
    /// What of it is held for good, as for orders, and not picked yet.
    #[schemars(with = "Units")]
    pub allocated: Quantity,
    /// What of it is picked and still in the house.
    #[schemars(with = "SignedUnits")]
    pub picked: Quantity,
    /// On hand, but broken.
    #[schemars(with = "SignedUnits")]
    pub damaged: Quantity,
    /// On hand, but withheld.
    #[schemars(with = "SignedUnits")]
    pub quarantined: Quantity,
    /// On hand, but came back and was not yet inspected.
    #[schemars(with = "SignedUnits")]
    pub returned: Quantity,
    /// Kept back from sale.
    #[schemars(with = "Units")]
    pub safety_stock: Quantity,
    /// On its way here.
    #[schemars(with = "Units")]
    pub in_transit: Quantity,
    /// Ordered, not yet on its way.
    #[schemars(with = "Units")]
    pub expected: Quantity,
    /// Held, but not there.
    #[schemars(with = "Units")]
    pub shortfall: Quantity,
    /// How much may wait for goods at a time, where that is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Units>")]
    pub backorder_limit: Option<Quantity>,
    /// What is on its way or ordered, the next to come first.
    pub receipts: Vec<DatedUnits>,
    /// What will be wanted, the next first.
    pub demands: Vec<DatedUnits>,
    /// How much waits for goods.
    #[schemars(with = "Units")]
    pub waiting: Quantity,
    /// The lines that wait, the next to be served first; the first 100.
    pub backorders: Vec<WaitingLine>,
    /// A drift that a person must settle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftView>,
    /// Whether numbered changes are missing, so that the stock should be counted again.
    pub resync_wanted: bool,
}

/// What comes or is wanted on a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DatedUnits {
    /// When.
    pub due: Moment,
    /// Under which paper.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// Whether it is on its way here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_transit: bool,
}

/// A line that waits for goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitingLine {
    /// Its place among those that wait, from 1. One whose channel may take nothing is passed over.
    pub place: u32,
    /// The channel that took the order.
    pub channel: String,
    /// Its number there.
    pub number: String,
    /// The order's line.
    pub line: u16,
    /// What was asked for.
    #[schemars(with = "PositiveUnits")]
    pub asked: PositiveQuantity,
    /// What of it waits.
    #[schemars(with = "Units")]
    pub waiting: Quantity,
    /// Who is served first: 1 before 99.
    pub priority: u8,
    /// Since when it waits.
    pub since: Moment,
    /// By when all of it has come, as far as the expected receipts say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Moment>,
}

/// A drift that a person must settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DriftView {
    /// The case, as the run of the reconciliation calls it.
    #[schemars(with = "Code")]
    pub case: DocumentId,
    /// How much more the other system sees; less is negative.
    #[schemars(with = "SignedUnits")]
    pub drift: Quantity,
    /// What it seems to come from.
    pub cause: DriftCause,
    /// Since when it waits.
    pub since: Moment,
}

impl From<OpenDrift> for DriftView {
    fn from(open: OpenDrift) -> Self {
        Self {
            case: open.case,
            drift: open.drift,
            cause: open.cause.into(),
            since: Moment(open.since),
        }
    }
}

impl From<Dated> for DatedUnits {
    fn from(dated: Dated) -> Self {
        Self {
            due: Moment(dated.due),
            document: dated.document,
            quantity: dated.quantity,
            in_transit: dated.is_on_its_way,
        }
    }
}

impl From<Waiting> for WaitingLine {
    fn from(waits: Waiting) -> Self {
        Self {
            place: waits.place,
            channel: waits.hold.order.channel().to_owned(),
            number: waits.hold.order.number().to_owned(),
            line: waits.hold.line,
            asked: waits.asked,
            waiting: waits.waiting,
            priority: waits.priority.rank(),
            since: Moment(waits.since),
            due: waits.due.map(Moment),
        }
    }
}

impl From<Overview> for StockOverview {
    fn from(overview: Overview) -> Self {
        Self {
            on_hand: overview.on_hand,
            available: overview.available,
            reserved: overview.reserved,
            soft: overview.soft,
            allocated: overview.allocated,
            picked: overview.picked,
            damaged: overview.damaged,
            quarantined: overview.quarantined,
            returned: overview.returned,
            safety_stock: overview.safety,
            in_transit: overview.in_transit,
            expected: overview.expected,
            shortfall: overview.shortfall,
            backorder_limit: overview.backorder_limit,
            receipts: overview.receipts.into_iter().map(Into::into).collect(),
            demands: overview.demands.into_iter().map(Into::into).collect(),
            waiting: overview.waiting,
            backorders: overview.backorders.into_iter().map(Into::into).collect(),
            drift: overview.drift.map(Into::into),
            resync_wanted: overview.wants_resync,
        }
    }
}
