//! What may happen to a pair's stock. Each event has what a ledger needs: how much, why, by which paper.

use super::backorder::Priority;
use super::command::{Adjustment, Condition};
use super::state::{HoldEnd, Stage};
use crate::ids::{DocumentId, HoldId, OrderKey, Reason, SystemName};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StockEvent {
    /// Stock is held.
    Held {
        /// The hold.
        id: HoldId,
        /// What was asked for.
        asked: PositiveQuantity,
        /// What was granted.
        granted: PositiveQuantity,
        /// When it ends by itself.
        expires: Option<Timestamp>,
    },
    /// A part of a hold waits for goods.
    Backordered {
        /// The hold.
        id: HoldId,
        /// What was asked for.
        asked: PositiveQuantity,
        /// What of it waits.
        waiting: PositiveQuantity,
        /// Who is served first.
        priority: Priority,
        /// When.
        at: Timestamp,
    },
    /// Goods came free for a hold that waited.
    Granted {
        /// The hold.
        id: HoldId,
        /// How much, this time.
        quantity: PositiveQuantity,
        /// When.
        at: Timestamp,
    },
    /// A hold ended, waiting or not, and gave back what was left of it.
    Ended {
        /// The hold.
        id: HoldId,
        /// How it ended.
        end: HoldEnd,
        /// How much came back.
        quantity: Quantity,
        /// When.
        at: Timestamp,
    },
    /// A hold was released before it came.
    Barred {
        /// The hold.
        id: HoldId,
        /// When.
        at: Timestamp,
    },
    /// The warehouse has it in hand.
    Picked {
        /// The hold.
        id: HoldId,
        /// When.
        at: Timestamp,
    },
    /// An expired hold was confirmed and is held again.
    HeldAgain {
        /// The hold.
        id: HoldId,
        /// How much.
        granted: PositiveQuantity,
        /// When.
        at: Timestamp,
    },
    /// Held stock left the house.
    Shipped {
        /// The hold.
        id: HoldId,
        /// How much, this time.
        quantity: PositiveQuantity,
        /// The delivery note.
        document: Option<DocumentId>,
        /// When.
        at: Timestamp,
    },
    /// Goods came in.
    Received {
        /// How much.
        quantity: PositiveQuantity,
        /// The paper they came with.
        document: DocumentId,
        /// How much of it had been expected under the paper.
        expected: Quantity,
    },
    /// Goods are expected.
    Expected {
        /// The purchase or transfer order.
        document: DocumentId,
        /// How much is still to come.
        quantity: PositiveQuantity,
        /// When.
        due: Timestamp,
        /// How far it is.
        stage: Stage,
    },
    /// Nothing more is expected under the document.
    Unexpected {
        /// The purchase or transfer order.
        document: DocumentId,
    },
    /// The books were corrected, or goods moved between buckets.
    Adjusted {
        /// What happened to the goods.
        change: Adjustment,
        /// How much.
        quantity: PositiveQuantity,
        /// Why.
        reason: Reason,
        /// The paper, if there is one.
        document: Option<DocumentId>,
        /// How much of what is held is not there now.
        shortfall: Quantity,
    },
    /// Goods came back.
    Returned {
        /// How much.
        quantity: PositiveQuantity,
        /// In which state.
        condition: Condition,
        /// The order they were sold with.
        order: Option<OrderKey>,
        /// The paper.
        document: DocumentId,
    },
    /// An absolute count replaced what the books said.
    Counted {
        /// What is there.
        on_hand: Quantity,
        /// Who counted.
        source: SystemName,
        /// Which count.
        version: u64,
        /// How much more than the books said.
        difference: Quantity,
        /// How much of what is held is not there now.
        shortfall: Quantity,
    },
    /// This much is kept back from sale.
    SafetyStockSet {
        /// How much.
        quantity: Quantity,
    },
    /// Closed holds up to this moment are no longer remembered.
    Forgotten {
        /// The moment.
        until: Timestamp,
    },
}
