//! `lockstep.stock.event`: what happened to a SKU's stock in a warehouse, as the WMS or the ERP tells it.

use super::error::DecodeError;
use super::fields::{Code, Moment, Note, PositiveUnits, Text, Units, not_negative};
use super::message::{Body, Command};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{DocumentId, HoldId, OrderKey, Reason, Sku, StockId, SystemName, WarehouseCode};
use lockstep_actors::inventory::command::{
    Adjustment, Condition, HoldMode, HoldStock, ShipQuantity, StockCommand,
};
use lockstep_actors::inventory::state::Stage;
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
    /// What happened.
    pub change: StockChange,
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
        /// The count's version; an equal or older one of the same system changes nothing.
        version: u64,
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
    },
    /// Nothing more is expected under the document.
    NotExpected {
        /// The purchase or transfer order.
        #[schemars(with = "Code")]
        document: DocumentId,
    },
    /// This much is kept back from sale.
    SafetyStock {
        /// How much.
        #[serde(deserialize_with = "not_negative")]
        #[schemars(with = "Units")]
        quantity: Quantity,
    },
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
    /// To be looked at.
    Quarantined,
}

impl From<ReturnCondition> for Condition {
    fn from(condition: ReturnCondition) -> Self {
        match condition {
            ReturnCondition::Sellable => Self::Sellable,
            ReturnCondition::Damaged => Self::Damaged,
            ReturnCondition::Quarantined => Self::Quarantined,
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

impl Body for StockEvent {
    const SCHEMA: &'static str = "lockstep.stock.event";
}

impl Command for StockEvent {
    fn into_message(self, source: &SystemName) -> Result<Message, DecodeError> {
        let command = self.change.into_command(source)?;
        Ok(Message::Stock(
            StockId {
                sku: self.sku,
                warehouse: self.warehouse,
            },
            command,
        ))
    }
}

impl StockChange {
    fn into_command(self, source: &SystemName) -> Result<StockCommand, DecodeError> {
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
            Self::Count { on_hand, version } => StockCommand::Count {
                on_hand,
                source: source.clone(),
                version,
            },
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
                answer_to: None,
            }),
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
            } => StockCommand::Expect {
                document,
                quantity,
                due: due.0,
                stage: Stage::Expected,
            },
            Self::Transit {
                document,
                quantity,
                due,
            } => StockCommand::Expect {
                document,
                quantity,
                due: due.0,
                stage: Stage::InTransit,
            },
            Self::NotExpected { document } => StockCommand::Unexpect { document },
            Self::SafetyStock { quantity } => StockCommand::SetSafetyStock { quantity },
        })
    }
}
