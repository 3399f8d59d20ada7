//! What left together, as others are told it.

use super::fields::{Code, Moment, Text, Units};
use lockstep_actors::ids::{CarrierCode, DocumentId, TrackingNumber};
use lockstep_actors::orders::shipment::Shipment;
use lockstep_actors::quantity::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Goods of an order that left together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentView {
    /// Its number within the order, from 1; it is the same whenever it is told.
    pub number: u32,
    /// The delivery note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub document: Option<DocumentId>,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ CarrierCode::MAX_BYTES }>>")]
    pub carrier: Option<CarrierCode>,
    /// What the carrier knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ TrackingNumber::MAX_BYTES }>>")]
    pub tracking: Option<TrackingNumber>,
    /// When it was told to leave.
    pub at: Moment,
    /// How much of which lines.
    pub lines: Vec<ShipmentLine>,
}

/// Goods of a line in a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentLine {
    /// Which line.
    pub line: u16,
    /// How much, in base units, of a kit in kits.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
}

impl From<Shipment> for ShipmentView {
    fn from(shipment: Shipment) -> Self {
        let lines = shipment.lines.into_iter().map(|(line, quantity)| ShipmentLine {
            line,
            quantity: quantity.get(),
        });
        Self {
            number: shipment.number,
            document: shipment.document,
            carrier: shipment.carriage.carrier,
            tracking: shipment.carriage.tracking,
            at: Moment(shipment.at),
            lines: lines.collect(),
        }
    }
}
