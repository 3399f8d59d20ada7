//! `lockstep.stock.event`: what happened to a SKU's stock in a warehouse, as the WMS or the ERP tells it.

use super::error::DecodeError;
use super::fields::{
    Amount, Code, List, Moment, Note, PositiveUnits, Text, Units, not_negative, not_negative_if_any, percent,
};
use super::limits::{MAX_LOTS, MAX_WATERMARKS};
use super::message::{Body, Command};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    ChannelName, ClassName, DocumentId, HoldId, LotCode, OrderKey, Reason, Sku, StockId, SystemName,
    UnitOfMeasure, WarehouseCode,
};
use lockstep_actors::inventory::allocation::{ChannelClass, ChannelPolicy, MAX_CHANNELS, MAX_CLASSES, Share};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{
    Adjustment, Condition, HoldMode, HoldStock, ShipQuantity, StockCommand,
};
use lockstep_actors::inventory::count::StockCount;
use lockstep_actors::inventory::holds::{HoldChange, HoldLines, MAX_LINES as MAX_HELD_LINES};
use lockstep_actors::inventory::lots::LotUnits;
use lockstep_actors::inventory::numbering::ChangeNumber;
use lockstep_actors::inventory::reconcile::Snapshot;
use lockstep_actors::inventory::state::Stage;
use lockstep_actors::money::{Percent, Price};
use lockstep_actors::pricing::catalogue::Tracking;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A warehouse code on the wire: `A-Z`, `0-9`, `-` and `_`.
pub type Warehouse = Text<{ WarehouseCode::MAX_BYTES }>;
/// A channel on the wire.
pub type Channel = Text<{ OrderKey::MAX_CHANNEL_BYTES }>;
/// An order's number on the wire.
pub type OrderNumber = Text<{ OrderKey::MAX_NUMBER_BYTES }>;

/// Something happened to a SKU in a warehouse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockEvent {
    /// The SKU.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// The warehouse.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// The sender's number of this receipt, adjustment, return or shipment of this SKU in this warehouse: one more than
    /// that of the one before. Such a change is taken once and in any order, whether the stock is known to be there or
    /// not; missing numbers are reported. Of a count or snapshot: the last number that it includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<ChangeNumber>,
    /// The unit that the quantities are in, as the catalogue has it of the SKU; base units if absent. A quantity that is no
    /// whole number of base units is refused. A channel policy is always in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
    /// In which lots, or with which serial numbers, the goods are: of a receipt, return, adjustment or shipment of a SKU that
    /// the catalogue keeps by them. They add up to what comes or goes.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub lots: List<GoodsLot, 0, MAX_LOTS>,
    /// What happened.
    pub change: StockChange,
}

/// Goods of a lot, or a piece with a serial number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoodsLot {
    /// The lot or serial number.
    #[schemars(with = "Code")]
    pub lot: LotCode,
    /// How much of it; 1 if absent.
    #[serde(default = "one")]
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
    /// When it expires; never if absent. Of goods that come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

const fn one() -> PositiveQuantity {
    PositiveQuantity::ONE
}

impl From<GoodsLot> for LotUnits {
    fn from(goods: GoodsLot) -> Self {
        Self {
            lot: goods.lot,
            quantity: goods.quantity,
            expires: goods.expires.map(|moment| moment.0),
        }
    }
}

/// What happened to the stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StockChange {
    /// Goods came in, sellable.
    Receipt {
        /// How much.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// The paper it came with. A receipt expected under it is reduced.
        #[schemars(with = "Code")]
        document: DocumentId,
    },
    /// The books are corrected, or goods move between buckets.
    Adjustment {
        /// What happens to the goods.
        kind: AdjustmentKind,
        /// How much.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// Why.
        #[schemars(with = "Note")]
        reason: Reason,
        /// The paper, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Code>")]
        document: Option<DocumentId>,
    },
    /// An absolute count.
    Count {
        /// What is there, damaged and quarantined included.
        #[serde(deserialize_with = "not_negative")]
        #[schemars(with = "Units")]
        on_hand: Quantity,
        /// The count's version; an equal or older one of the same system changes nothing. The event's `sequence` if
        /// absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        /// The last order of each channel that the count has taken off, though it may still be reserved here. Of
        /// orders up to it, what is reserved is added to the count. Runs of digits compare as numbers.
        #[serde(default, skip_serializing_if = "List::is_empty")]
        orders_through: List<OrderReference, 0, MAX_WATERMARKS>,
    },
    /// What another system sees is compared with the books: drift is tolerated, repaired, or raised to a person.
    Snapshot {
        /// The case, as the run of the reconciliation calls it.
        #[schemars(with = "Code")]
        case: DocumentId,
        /// What is there, damaged and quarantined included.
        #[serde(deserialize_with = "not_negative")]
        #[schemars(with = "Units")]
        on_hand: Quantity,
        /// What a unit is worth, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit_value: Option<Amount>,
        /// When it was taken; now if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_at: Option<Moment>,
    },
    /// Goods come back from a customer.
    Return {
        /// How much.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// In which state.
        condition: ReturnCondition,
        /// The order they were sold with, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderReference>,
        /// The paper.
        #[schemars(with = "Code")]
        document: DocumentId,
    },
    /// Stock is held for a system that reserves by itself. An order holds its stock on its own: its goods are shipped with
    /// `lockstep.order.progress`.
    Hold {
        /// The hold.
        hold: HoldReference,
        /// How much.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// Whether less is welcome; false if absent.
        #[serde(default)]
        partial: bool,
        /// When it ends by itself; never if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// Several lines of an order are held, all or none: lines of one SKU that fit alone but not together.
    HoldLines {
        /// The order.
        order: OrderReference,
        /// The attempt, from 1; 1 if absent.
        #[serde(default = "first")]
        attempt: u16,
        /// The lines.
        lines: List<HeldLine, 1, MAX_HELD_LINES>,
        /// When they end by themselves; never if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// A hold ends by itself at another time, holds less, or is given to another order.
    ChangeHold {
        /// The hold.
        hold: HoldReference,
        /// What becomes of it.
        to: HeldChange,
    },
    /// A hold is given back, as far as it has not been shipped.
    Release {
        /// The hold.
        hold: HoldReference,
    },
    /// The warehouse has a hold's goods in hand: it no longer expires.
    Pick {
        /// The hold.
        hold: HoldReference,
    },
    /// Held goods left the house.
    Ship {
        /// The hold.
        hold: HoldReference,
        /// How much of it has left, all shipments of this hold together; all of it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<PositiveUnits>")]
        total: Option<PositiveQuantity>,
        /// The delivery note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Code>")]
        document: Option<DocumentId>,
    },
    /// Goods are ordered, not yet on their way. Replaces what was expected under the document.
    Expected {
        /// The purchase order.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// How much is still to come.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// When.
        due: Moment,
        /// How much of the document is taken off `quantity` already, as it came in. What came in here beyond that is not expected
        /// again. Absent: nothing, if there is a version; else that is made out, and a repeat adds nothing.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "not_negative_if_any"
        )]
        #[schemars(with = "Option<Units>")]
        received: Option<Quantity>,
        /// The version of what is said of this document; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Goods are on their way. Replaces what was expected under the document.
    Transit {
        /// The purchase or transfer order.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// How much is still to come.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// When.
        due: Moment,
        /// How much of the document is taken off `quantity` already, as it came in. What came in here beyond that is not expected
        /// again. Absent: nothing, if there is a version; else that is made out, and a repeat adds nothing.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "not_negative_if_any"
        )]
        #[schemars(with = "Option<Units>")]
        received: Option<Quantity>,
        /// The version of what is said of this document; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Nothing more is expected under the document.
    NotExpected {
        /// The purchase or transfer order.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// The version of what is said of this document; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Something will be wanted. Replaces what was wanted under the document. It lowers what is promised, not what is
    /// sold.
    Demand {
        /// For what: an order for a later date, a forecast.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// How much.
        #[schemars(with = "PositiveUnits")]
        quantity: PositiveQuantity,
        /// When.
        due: Moment,
        /// The version of what is said of this document; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Nothing more will be wanted under the document.
    NoDemand {
        /// For what.
        #[schemars(with = "Code")]
        document: DocumentId,
        /// The version of what is said of this document; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Which channels may take how much. Replaces the policy before.
    ChannelPolicy {
        /// The policy's version; an equal or older one changes nothing, a newer one begins to count anew.
        version: u64,
        /// Its classes; without any the policy is lifted.
        classes: List<PolicyClass, 0, MAX_CLASSES>,
    },
    /// So much may be sold before it is there: on backorder, or on preorder of what is not out yet.
    BackorderLimit {
        /// How much may wait for goods at a time, and is shown to channels on top of what is there; 0: nothing waits. Absent:
        /// nothing is shown on top, and orders that take a part wait without a limit.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "not_negative_if_any"
        )]
        #[schemars(with = "Option<Units>")]
        limit: Option<Quantity>,
        /// The version of this setting; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// This much is kept back from sale.
    SafetyStock {
        /// How much.
        #[serde(deserialize_with = "not_negative")]
        #[schemars(with = "Units")]
        quantity: Quantity,
        /// The version of this setting; an equal or older one changes nothing. Such as the milliseconds since
        /// 1970 at which it was set. Without one it takes effect as it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
}

/// Channels and customers that share what they may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyClass {
    /// What it is called. Orders of customers whose contracts name this class are in it, whatever their channel.
    #[schemars(with = "Text<{ ClassName::MAX_BYTES }>")]
    pub name: ClassName,
    /// Its channels; a channel is in one class at most. Without any it is for customers alone.
    #[serde(default)]
    #[schemars(with = "List<Channel, 0, MAX_CHANNELS>")]
    pub channels: List<ChannelName, 0, MAX_CHANNELS>,
    /// What others may not take from it; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<PolicyShare>,
    /// What it may take at most, counted from this policy on, shipped or not; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<PolicyShare>,
    /// What is sold but not shown; nothing if absent.
    #[serde(default, deserialize_with = "not_negative")]
    #[schemars(with = "Units")]
    pub buffer: Quantity,
    /// What is shown at most, here and of all warehouses together that have such a limit; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Units>")]
    pub show_at_most: Option<Quantity>,
}

/// A part of the stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicyShare {
    /// So many.
    Units(
        #[serde(deserialize_with = "not_negative")]
        #[schemars(with = "Units")]
        Quantity,
    ),
    /// Of all that has been for sale since the policy was set: what can be sold now and what was taken.
    Percent(
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        Percent,
    ),
}

impl From<PolicyShare> for Share {
    fn from(share: PolicyShare) -> Self {
        match share {
            PolicyShare::Units(units) => Self::Units(units),
            PolicyShare::Percent(percent) => Self::Percent(percent),
        }
    }
}

impl From<PolicyClass> for ChannelClass {
    fn from(class: PolicyClass) -> Self {
        Self {
            name: class.name,
            channels: class.channels.into_inner(),
            protected: class.protected.map(Into::into),
            cap: class.cap.map(Into::into),
            buffer: class.buffer,
            show_at_most: class.show_at_most,
        }
    }
}

/// What an adjustment does to the goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdjustmentKind {
    /// More is on hand than the books say.
    Gain,
    /// Less is on hand than the books say.
    Loss,
    /// Sellable goods turn out broken.
    Damage,
    /// Broken goods are in order again.
    Repair,
    /// Broken goods are thrown away.
    Scrap,
    /// Sellable goods are withheld.
    Quarantine,
    /// Withheld goods may be sold.
    Clear,
    /// Withheld goods turn out broken.
    Condemn,
    /// Goods that came back and were inspected may be sold.
    Restock,
    /// Goods that came back and were inspected are broken.
    RejectReturn,
    /// Goods that came back and were inspected are thrown away.
    ScrapReturn,
}

impl From<AdjustmentKind> for Adjustment {
    fn from(kind: AdjustmentKind) -> Self {
        match kind {
            AdjustmentKind::Gain => Self::Gain,
            AdjustmentKind::Loss => Self::Loss,
            AdjustmentKind::Damage => Self::Damage,
            AdjustmentKind::Repair => Self::Repair,
            AdjustmentKind::Scrap => Self::Scrap,
            AdjustmentKind::Quarantine => Self::Quarantine,
            AdjustmentKind::Clear => Self::Clear,
            AdjustmentKind::Condemn => Self::Condemn,
            AdjustmentKind::Restock => Self::Restock,
            AdjustmentKind::RejectReturn => Self::RejectReturn,
            AdjustmentKind::ScrapReturn => Self::ScrapReturn,
        }
    }
}

/// In which state goods come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnCondition {
    /// As new.
    Sellable,
    /// Broken.
    Damaged,
    /// Withheld, whatever an inspection says.
    Quarantined,
    /// To be inspected: then restocked, rejected or scrapped.
    ToInspect,
}

impl From<ReturnCondition> for Condition {
    fn from(condition: ReturnCondition) -> Self {
        match condition {
            ReturnCondition::Sellable => Self::Sellable,
            ReturnCondition::Damaged => Self::Damaged,
            ReturnCondition::Quarantined => Self::Quarantined,
            ReturnCondition::ToInspect => Self::ToInspect,
        }
    }
}

/// An order as its channel knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderReference {
    /// The channel that took it.
    pub channel: Channel,
    /// Its number there.
    pub number: OrderNumber,
}

impl OrderReference {
    /// The order's key. `path` is where channel and number stand, for the refusal.
    ///
    /// # Errors
    /// [`DecodeError`] if channel or number is none.
    pub fn key(&self, path: &str) -> Result<OrderKey, DecodeError> {
        OrderKey::new(self.channel.as_str(), self.number.as_str())
            .map_err(|error| DecodeError::field(format!("{path}.channel"), error))
    }
}

/// A hold: an order, its line, and which attempt at reserving it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldReference {
    /// The channel that took the order.
    pub channel: Channel,
    /// The order's number there.
    pub number: OrderNumber,
    /// The order's line.
    pub line: u16,
    /// The attempt, from 1; 1 if absent.
    #[serde(default = "first")]
    pub attempt: u16,
}

/// A line to be held together with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldLine {
    /// The order's line.
    pub line: u16,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    pub quantity: PositiveQuantity,
}

/// What becomes of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeldChange {
    /// It ends by itself then.
    ExpiresAt(Moment),
    /// It no longer ends by itself.
    Firm,
    /// It holds this much, shipments included; not more than before.
    Quantity(#[schemars(with = "PositiveUnits")] PositiveQuantity),
    /// What of it was not shipped is held under this name.
    Hold(HoldReference),
    /// It is held in this warehouse, once that has it; of what the warehouse has not begun with.
    Warehouse(#[schemars(with = "Warehouse")] WarehouseCode),
}

impl HeldChange {
    fn of(self, id: HoldId) -> Result<StockCommand, DecodeError> {
        let change = match self {
            Self::ExpiresAt(moment) => HoldChange::Expire(Some(moment.0)),
            Self::Firm => HoldChange::Expire(None),
            Self::Quantity(quantity) => HoldChange::Reduce(quantity),
            Self::Hold(to) => HoldChange::Transfer(to.id()?),
            Self::Warehouse(to) => {
                return Ok(StockCommand::MoveHold {
                    id,
                    to,
                    answer_to: None,
                });
            }
        };
        Ok(StockCommand::ChangeHold { id, change })
    }
}

fn first() -> u16 {
    1
}

impl HoldReference {
    fn id(&self) -> Result<HoldId, DecodeError> {
        let order = OrderKey::new(self.channel.as_str(), self.number.as_str())
            .map_err(|error| DecodeError::field("body.change.hold.channel", error))?;
        Ok(HoldId {
            order,
            line: self.line,
            attempt: self.attempt,
        })
    }
}

fn watermarks(orders: List<OrderReference, 0, MAX_WATERMARKS>) -> Result<Vec<OrderKey>, DecodeError> {
    let read = |(place, order): (usize, OrderReference)| {
        order.key(&format!("body.change.count.orders_through[{place}]"))
    };
    orders.into_inner().into_iter().enumerate().map(read).collect()
}

fn versioned(version: Option<u64>, command: StockCommand) -> StockCommand {
    match version {
        Some(version) => StockCommand::Versioned {
            version,
            change: Box::new(command),
        },
        None => command,
    }
}

fn expected(
    document: DocumentId,
    quantity: PositiveQuantity,
    due: Moment,
    stage: Stage,
    received: Option<Quantity>,
    version: Option<u64>,
) -> StockCommand {
    let expect = StockCommand::Expect {
        document,
        quantity,
        due: due.0,
        stage,
        received: received.or(version.map(|_| Quantity::ZERO)),
    };
    versioned(version, expect)
}

impl Body for StockEvent {
    const SCHEMA: &'static str = "lockstep.stock.event";
}

impl Command for StockEvent {
    fn into_message(self, source: &SystemName) -> Result<Message, DecodeError> {
        let stock = StockId {
            sku: self.sku,
            warehouse: self.warehouse,
        };
        if !self.change.may_be_numbered() && self.sequence.is_some() {
            let reason = "only receipts, adjustments, returns, shipments and counts are numbered";
            return Err(DecodeError::field("body.sequence", reason));
        }
        let counts = matches!(
            self.change,
            StockChange::Count { .. } | StockChange::Snapshot { .. }
        );
        let command = self.change.into_command(source, self.sequence)?;
        let command = match self.sequence {
            Some(number) if !counts => StockCommand::Numbered {
                source: source.clone(),
                number,
                change: Box::new(command),
            },
            Some(_) | None => command,
        };
        let command = if self.lots.is_empty() {
            command
        } else {
            StockCommand::InLots {
                lots: self.lots.into_inner().into_iter().map(Into::into).collect(),
                // The stock looks it up.
                kept: Tracking::None,
                change: Box::new(command),
            }
        };
        let command = match self.unit {
            Some(unit) => StockCommand::InUnit {
                unit,
                change: Box::new(command),
            },
            None => command,
        };
        Ok(Message::Stock(stock, command))
    }
}

impl StockChange {
    fn may_be_numbered(&self) -> bool {
        match self {
            Self::Receipt { .. }
            | Self::Adjustment { .. }
            | Self::Count { .. }
            | Self::Snapshot { .. }
            | Self::Return { .. }
            | Self::Ship { .. } => true,
            Self::Hold { .. }
            | Self::HoldLines { .. }
            | Self::ChangeHold { .. }
            | Self::Release { .. }
            | Self::Pick { .. }
            | Self::Expected { .. }
            | Self::Transit { .. }
            | Self::NotExpected { .. }
            | Self::Demand { .. }
            | Self::NoDemand { .. }
            | Self::ChannelPolicy { .. }
            | Self::BackorderLimit { .. }
            | Self::SafetyStock { .. } => false,
        }
    }

    fn into_command(
        self,
        source: &SystemName,
        sequence: Option<ChangeNumber>,
    ) -> Result<StockCommand, DecodeError> {
        Ok(match self {
            Self::Receipt { quantity, document } => StockCommand::Receive { quantity, document },
            Self::Adjustment {
                kind,
                quantity,
                reason,
                document,
            } => StockCommand::Adjust {
                change: kind.into(),
                quantity,
                reason,
                document,
            },
            Self::Count {
                on_hand,
                version,
                orders_through,
            } => StockCommand::Count(StockCount {
                on_hand,
                source: source.clone(),
                version: version.or(sequence.map(ChangeNumber::get)).ok_or_else(|| {
                    DecodeError::field(
                        "body.change.count.version",
                        "is missing, and there is no sequence",
                    )
                })?,
                through: sequence,
                orders_through: watermarks(orders_through)?,
            }),
            Self::Snapshot {
                case,
                on_hand,
                unit_value,
                taken_at,
            } => StockCommand::Reconcile(Snapshot {
                case,
                source: source.clone(),
                on_hand,
                through: sequence,
                unit_value: unit_value
                    .map(|value| Price::new(value.get()))
                    .transpose()
                    .map_err(|error| DecodeError::field("body.change.snapshot.unit_value", error))?,
                taken_at: taken_at.map(|moment| moment.0),
            }),
            Self::Return {
                quantity,
                condition,
                order,
                document,
            } => StockCommand::Return {
                quantity,
                condition: condition.into(),
                order: order.map(|order| order.key("body.change.order")).transpose()?,
                document,
            },
            Self::Hold {
                hold,
                quantity,
                partial,
                expires_at,
            } => StockCommand::Hold(HoldStock {
                id: hold.id()?,
                quantity,
                mode: if partial { HoldMode::Partial } else { HoldMode::All },
                expires: expires_at.map(|moment| moment.0),
                // Whoever holds stock by message is answered by message; the order did not ask.
                priority: Priority::default(),
                answer_to: None,
                customer_class: None,
            }),
            Self::HoldLines {
                order,
                attempt,
                lines,
                expires_at,
            } => StockCommand::HoldLines(HoldLines {
                order: order.key("body.change.hold-lines.order")?,
                attempt,
                lines: lines
                    .into_inner()
                    .into_iter()
                    .map(|line| (line.line, line.quantity))
                    .collect(),
                expires: expires_at.map(|moment| moment.0),
            }),
            Self::ChangeHold { hold, to } => to.of(hold.id()?)?,
            Self::Release { hold } => StockCommand::Release {
                id: hold.id()?,
                answer_to: None,
            },
            Self::Pick { hold } => StockCommand::ConfirmPick { id: hold.id()? },
            Self::Ship {
                hold,
                total,
                document,
            } => StockCommand::Ship {
                id: hold.id()?,
                quantity: total.map_or(ShipQuantity::All, ShipQuantity::Total),
                document,
                answer_to: None,
            },
            Self::Expected {
                document,
                quantity,
                due,
                received,
                version,
            } => expected(document, quantity, due, Stage::Expected, received, version),
            Self::Transit {
                document,
                quantity,
                due,
                received,
                version,
            } => expected(document, quantity, due, Stage::InTransit, received, version),
            Self::NotExpected { document, version } => {
                versioned(version, StockCommand::Unexpect { document })
            }
            Self::Demand {
                document,
                quantity,
                due,
                version,
            } => {
                let due = due.0;
                let demand = StockCommand::Demand {
                    document,
                    quantity,
                    due,
                };
                versioned(version, demand)
            }
            Self::NoDemand { document, version } => versioned(version, StockCommand::NoDemand { document }),
            Self::ChannelPolicy { version, classes } => StockCommand::SetChannelPolicy(ChannelPolicy {
                version,
                classes: classes.into_inner().into_iter().map(Into::into).collect(),
            }),
            Self::BackorderLimit { limit, version } => {
                versioned(version, StockCommand::SetBackorderLimit { limit })
            }
            Self::SafetyStock { quantity, version } => {
                versioned(version, StockCommand::SetSafetyStock { quantity })
            }
        })
    }
}
