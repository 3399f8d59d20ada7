//! What left together: the shipments of an order, as carriers and channels count them.
//!
//! A dispatch is noted when goods are told to leave; what of it has left follows from how much of each line has.
//!
//! Invariants:
//! - the shipments of a line add up to no more than has left of it, and a unit is in one shipment at most;
//! - a shipment is not there before all of it has left, and never changes afterwards.

use super::state::{AllocationStanding, Placed};
use crate::ids::{CarrierCode, DocumentId, TrackingNumber};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who carries goods, and how they are found on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carriage {
    /// Who brings them; none for whom the order asks for.
    pub carrier: Option<CarrierCode>,
    /// What the carrier knows them by.
    pub tracking: Option<TrackingNumber>,
}

/// Goods that are told to leave together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The delivery note.
    pub document: Option<DocumentId>,
    /// Who carries them.
    pub carriage: Carriage,
    /// When they were told to leave.
    pub at: Timestamp,
    /// Which.
    pub lines: Vec<DispatchLine>,
}

/// Units of a line that are told to leave: those above `from`, up to `up_to`, all shipments together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchLine {
    /// Which.
    pub line: u16,
    /// How much had left before.
    pub from: Quantity,
    /// How much is to have left then.
    pub up_to: Quantity,
}

/// Goods that have left together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// Its number within the order, from 1; the same whenever it is asked for.
    pub number: u32,
    /// The delivery note.
    pub document: Option<DocumentId>,
    /// Who carries it, and what the carrier knows it by.
    pub carriage: Carriage,
    /// When it was told to leave.
    pub at: Timestamp,
    /// How much of which lines.
    pub lines: Vec<(u16, PositiveQuantity)>,
}

impl Placed {
    /// What has left, by shipment, in the order in which they left.
    #[must_use]
    pub fn shipments(&self) -> Vec<Shipment> {
        let leaving = AllocationStanding::Shipping;
        let under_way = self.allocations.iter().any(|part| part.standing == leaving);
        let done = self.dispatches.len().saturating_sub(usize::from(under_way));
        let numbered = (1_u32..).zip(&self.dispatches).take(done);
        let shipments = numbered.enumerate().filter_map(|(place, (number, dispatch))| {
            let later = self.dispatches.get(place + 1..).unwrap_or_default();
            let left = |line: &DispatchLine| Some((line.line, self.left_by(line, later)?));
            let lines: Vec<_> = dispatch.lines.iter().filter_map(left).collect();
            let mut carriage = dispatch.carriage.clone();
            carriage.carrier = carriage.carrier.or_else(|| self.request.delivery.carrier.clone());
            (!lines.is_empty()).then(|| Shipment {
                number,
                document: dispatch.document.clone(),
                carriage,
                at: dispatch.at,
                lines,
            })
        });
        shipments.collect()
    }

    /// How much of a line has left with a dispatch: up to where the next one with the line began.
    fn left_by(&self, line: &DispatchLine, later: &[Dispatch]) -> Option<PositiveQuantity> {
        let mut later = later.iter().flat_map(|dispatch| &dispatch.lines);
        let next = later.find(|next| next.line == line.line);
        let end = next.map_or_else(|| self.shipped(line.line), |next| next.from);
        end.min(line.up_to).minus(line.from).positive()
    }
}
