//! What may happen to a pair's stock. Each event has what a ledger needs: how much, why, by which paper.

use super::allocation::ChannelPolicy;
use super::backorder::Priority;
use super::command::{Adjustment, Condition};
use super::lots::{Lot, LotUnits};
use super::numbering::{ChangeNumber, Resync};
use super::reconcile::OpenDrift;
use super::settings::Setting;
use super::state::{Coming, HoldEnd, Stage};
use crate::ids::{ClassName, DocumentId, HoldId, OrderKey, Reason, SystemName, WarehouseCode};
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
        /// How urgent the order is that is told what becomes of it; none without one.
        #[serde(default)]
        rank: Option<Priority>,
        /// When.
        #[serde(default)]
        at: Timestamp,
        /// The class of the order's customer, if it has one.
        #[serde(default)]
        customer_class: Option<ClassName>,
    },
    /// An order has made a hold of its name its own that it had not taken by itself: a cart. It does not end by itself.
    Adopted {
        /// The hold.
        id: HoldId,
        /// What the order asked for.
        asked: PositiveQuantity,
        /// How much more it holds.
        more: Quantity,
        /// How urgent the order is.
        rank: Priority,
        /// When.
        at: Timestamp,
        /// The class of the order's customer, if it has one.
        #[serde(default)]
        customer_class: Option<ClassName>,
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
        /// The class of the order's customer, if it has one.
        #[serde(default)]
        customer_class: Option<ClassName>,
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
    /// What was held for an order is not there: so much of it waits for goods again.
    Withdrawn {
        /// The hold.
        id: HoldId,
        /// How much.
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
    /// A hold ends by itself at another time, or no longer does.
    ExpirySet {
        /// The hold.
        id: HoldId,
        /// When it ends by itself.
        expires: Option<Timestamp>,
    },
    /// A hold holds less.
    Reduced {
        /// The hold.
        id: HoldId,
        /// How much came back.
        quantity: PositiveQuantity,
        /// When.
        at: Timestamp,
    },
    /// Less of a hold waits, as less is wanted.
    WaitsLess {
        /// The hold.
        id: HoldId,
        /// How much less.
        quantity: PositiveQuantity,
        /// When.
        at: Timestamp,
    },
    /// What waits of a hold is expected for another moment than before.
    Promised {
        /// The hold.
        id: HoldId,
        /// By when all of it has come, as far as that is known.
        due: Option<Timestamp>,
    },
    /// The promises to those that wait hold until then: the first receipt that they count on is due.
    PromisesUntil {
        /// Until when; none if they count on nothing.
        until: Option<Timestamp>,
    },
    /// A hold is to be held in another warehouse, which is asked.
    MoveBegun {
        /// The hold.
        id: HoldId,
        /// Where to.
        to: WarehouseCode,
    },
    /// The other warehouse cannot have it: it stays.
    MoveFailed {
        /// The hold.
        id: HoldId,
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
        /// What of it had been expected under the paper.
        expected: Option<Coming>,
        /// When.
        #[serde(default)]
        at: Timestamp,
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
        /// What had been expected under the document before.
        instead_of: Option<Coming>,
        /// What whoever expects it has taken off as received, and has not come in here yet.
        #[serde(default)]
        ahead: Quantity,
    },
    /// Nothing more is expected under the document.
    Unexpected {
        /// The purchase or transfer order.
        document: DocumentId,
        /// What had been expected under it.
        was: Coming,
    },
    /// Something will be wanted.
    Demanded {
        /// For what.
        document: DocumentId,
        /// How much.
        quantity: PositiveQuantity,
        /// When.
        due: Timestamp,
        /// What had been wanted under the document before.
        instead_of: Quantity,
    },
    /// It will not.
    NotDemanded {
        /// For what.
        document: DocumentId,
        /// What had been wanted under it.
        was: Quantity,
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
        /// When.
        #[serde(default)]
        at: Timestamp,
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
        /// When.
        #[serde(default)]
        at: Timestamp,
    },
    /// An absolute count replaced what the books said.
    Counted {
        /// What is there now: what was counted, and what the count did not know.
        on_hand: Quantity,
        /// What was counted.
        counted: Quantity,
        /// Who counted.
        source: SystemName,
        /// Which count.
        version: u64,
        /// The last numbered change that it includes; all that came, if absent.
        through: Option<ChangeNumber>,
        /// What changed after that.
        later: Quantity,
        /// What is held for orders that the count has taken off already.
        orders: Quantity,
        /// How much more than the books said.
        difference: Quantity,
        /// How much of what is held is not there now.
        shortfall: Quantity,
        /// When.
        #[serde(default)]
        at: Timestamp,
    },
    /// This much is kept back from sale.
    SafetyStockSet {
        /// How much.
        quantity: Quantity,
        /// How much it was before.
        before: Quantity,
    },
    /// So much may be sold before it is there.
    BackorderLimitSet {
        /// How much may wait at a time, if it is declared.
        limit: Option<Quantity>,
    },
    /// From now on channels may take so much.
    ChannelPolicySet {
        /// The policy.
        policy: ChannelPolicy,
    },
    /// Another system sees so much more or less that a person must settle it.
    DriftRaised {
        /// The drift.
        open: OpenDrift,
    },
    /// The other system sees what the books say.
    DriftSettled {
        /// The case.
        case: DocumentId,
    },
    /// The repair before it includes what a system has numbered: what of it is still missing comes too late.
    Included {
        /// Whose numbers.
        source: SystemName,
        /// The last of them; all that came, if absent.
        through: Option<ChangeNumber>,
    },
    /// The change before it has a number.
    Told {
        /// Whose number.
        source: SystemName,
        /// The number.
        number: ChangeNumber,
        /// How much more is on hand for it.
        moved: Quantity,
        /// When it came.
        at: Timestamp,
    },
    /// Numbers have not come, and a new count is asked for.
    NumbersMissing {
        /// Whose numbers.
        source: SystemName,
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
        /// Whether they may still come.
        resync: Resync,
    },
    /// What came in before lies in these lots.
    LotsCame {
        /// So much more of each.
        lots: Vec<Lot>,
    },
    /// What went before was of these lots.
    LotsWent {
        /// So much less of each.
        lots: Vec<LotUnits>,
    },
    /// What is on hand and may not be sold lies in these lots.
    LotsWithheld {
        /// So much more of each.
        lots: Vec<Lot>,
    },
    /// What could not be sold of these lots may be sold again, or is gone.
    LotsReleased {
        /// So much less of each.
        lots: Vec<LotUnits>,
    },
    /// So much more of what is reserved is in the warehouse's hand for what went before; less is negative.
    InHand {
        /// How much.
        moved: Quantity,
    },
    /// The setting before it has a version.
    Versioned {
        /// Which.
        setting: Setting,
        /// Its version.
        version: u64,
        /// When it was told.
        at: Timestamp,
    },
    /// Closed holds up to this moment are no longer remembered, nor numbered changes up to a later one and documents up to an
    /// earlier one.
    Forgotten {
        /// The moment.
        until: Timestamp,
    },
}

impl StockEvent {
    /// Which hold holds more for it, and how much; less is negative.
    #[must_use]
    pub fn held_change(&self) -> Option<(&HoldId, Quantity)> {
        let less = |quantity: Quantity| Quantity::ZERO.minus(quantity);
        match self {
            Self::Held { id, granted, .. } | Self::HeldAgain { id, granted, .. } => Some((id, granted.get())),
            Self::Granted { id, quantity, .. } => Some((id, quantity.get())),
            Self::Adopted { id, more, .. } => Some((id, *more)),
            Self::Ended { id, quantity, .. } => Some((id, less(*quantity))),
            Self::Reduced { id, quantity, .. }
            | Self::Withdrawn { id, quantity, .. }
            | Self::Shipped { id, quantity, .. } => Some((id, less(quantity.get()))),
            Self::Backordered { .. }
            | Self::WaitsLess { .. }
            | Self::Promised { .. }
            | Self::PromisesUntil { .. }
            | Self::MoveBegun { .. }
            | Self::MoveFailed { .. }
            | Self::ExpirySet { .. }
            | Self::Barred { .. }
            | Self::Picked { .. }
            | Self::Received { .. }
            | Self::Expected { .. }
            | Self::Unexpected { .. }
            | Self::Demanded { .. }
            | Self::NotDemanded { .. }
            | Self::Adjusted { .. }
            | Self::Returned { .. }
            | Self::Counted { .. }
            | Self::SafetyStockSet { .. }
            | Self::BackorderLimitSet { .. }
            | Self::ChannelPolicySet { .. }
            | Self::DriftRaised { .. }
            | Self::DriftSettled { .. }
            | Self::Included { .. }
            | Self::Told { .. }
            | Self::NumbersMissing { .. }
            | Self::LotsCame { .. }
            | Self::LotsWent { .. }
            | Self::LotsWithheld { .. }
            | Self::LotsReleased { .. }
            | Self::InHand { .. }
            | Self::Versioned { .. }
            | Self::Forgotten { .. } => None,
        }
    }

    /// How much more is on hand for it.
    #[must_use]
    pub fn on_hand_change(&self) -> Quantity {
        let none = Quantity::ZERO;
        match self {
            Self::Received { quantity, .. } | Self::Returned { quantity, .. } => quantity.get(),
            Self::Shipped { quantity, .. } => none.minus(quantity.get()),
            Self::Adjusted { change, quantity, .. } => match change {
                Adjustment::Gain => quantity.get(),
                Adjustment::Loss | Adjustment::Scrap | Adjustment::ScrapReturn => none.minus(quantity.get()),
                Adjustment::Damage
                | Adjustment::Repair
                | Adjustment::Quarantine
                | Adjustment::Clear
                | Adjustment::Condemn
                | Adjustment::Restock
                | Adjustment::RejectReturn => none,
            },
            Self::Counted { difference, .. } => *difference,
            Self::Held { .. }
            | Self::Adopted { .. }
            | Self::Backordered { .. }
            | Self::Granted { .. }
            | Self::Withdrawn { .. }
            | Self::WaitsLess { .. }
            | Self::Promised { .. }
            | Self::PromisesUntil { .. }
            | Self::MoveBegun { .. }
            | Self::MoveFailed { .. }
            | Self::ExpirySet { .. }
            | Self::Reduced { .. }
            | Self::Ended { .. }
            | Self::Barred { .. }
            | Self::Picked { .. }
            | Self::HeldAgain { .. }
            | Self::Expected { .. }
            | Self::Unexpected { .. }
            | Self::Demanded { .. }
            | Self::NotDemanded { .. }
            | Self::SafetyStockSet { .. }
            | Self::BackorderLimitSet { .. }
            | Self::ChannelPolicySet { .. }
            | Self::DriftRaised { .. }
            | Self::DriftSettled { .. }
            | Self::Included { .. }
            | Self::Told { .. }
            | Self::NumbersMissing { .. }
            | Self::LotsCame { .. }
            | Self::LotsWent { .. }
            | Self::LotsWithheld { .. }
            | Self::LotsReleased { .. }
            | Self::InHand { .. }
            | Self::Versioned { .. }
            | Self::Forgotten { .. } => none,
        }
    }
}
