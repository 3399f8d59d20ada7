//! What someone may want of a pair's stock, and what is answered.

use super::allocation::{Buyer, ChannelPolicy, PolicyFlaw};
use super::backorder::Priority;
use super::count::StockCount;
use super::holds::{HoldChange, HoldLines};
use super::lots::{LotRefusal, LotUnits, Pick};
use super::moving::TakeOver;
use super::numbering::ChangeNumber;
use super::overview::Overview;
use super::promise::{Promise, PromiseWish};
use super::reconcile::{Snapshot, Verdict};
use super::state::{HoldEnd, Stage};
use crate::ids::{ClassName, DocumentId, HoldId, OrderKey, Reason, SystemName, UnitOfMeasure, WarehouseCode};
use crate::orders::sourcing::Restriction;
use crate::pricing::catalogue::Tracking;
use crate::quantity::{PositiveQuantity, Quantity};
use crate::units::UnitRefusal;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What someone wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StockCommand {
    /// Hold stock for an order's line.
    Hold(HoldStock),
    /// Hold several lines of an order, all or none.
    HoldLines(HoldLines),
    /// Prolong a hold, make it less, or give it to another order.
    ChangeHold {
        /// Which.
        id: HoldId,
        /// How.
        change: HoldChange,
    },
    /// Hold what of a hold has not been shipped in another warehouse instead, once that has it.
    MoveHold {
        /// Which.
        id: HoldId,
        /// Where to.
        to: WarehouseCode,
        /// The order to tell; none for a hold that no order took by itself.
        answer_to: Option<OrderKey>,
    },
    /// Another warehouse gives a hold away. Only stocks say so.
    TakeOver(TakeOver),
    /// Another warehouse has taken a hold over, or cannot. Only stocks say so.
    TakenOver {
        /// Which.
        id: HoldId,
        /// Who answers.
        by: WarehouseCode,
        /// How much it holds now, or why it does not.
        result: Result<PositiveQuantity, StockRefusal>,
    },
    /// Give a hold back, as far as it has not been shipped. Before its hold, it bars it.
    Release {
        /// Which.
        id: HoldId,
        /// The order to tell.
        answer_to: Option<OrderKey>,
    },
    /// The warehouse has it in hand: it no longer expires. Expired, it is held again if it is still free.
    ConfirmPick {
        /// Which.
        id: HoldId,
    },
    /// Held stock leaves the house.
    Ship {
        /// Which hold.
        id: HoldId,
        /// How much of it has left, all shipments of this hold together.
        quantity: ShipQuantity,
        /// The delivery note.
        document: Option<DocumentId>,
        /// The order to tell.
        answer_to: Option<OrderKey>,
    },
    /// Goods came in, sellable.
    Receive {
        /// How much.
        quantity: PositiveQuantity,
        /// The paper it came with; if a receipt is expected under it, that much less is expected.
        document: DocumentId,
    },
    /// Goods are expected. Replaces what was expected under the document.
    Expect {
        /// The purchase or transfer order.
        document: DocumentId,
        /// How much is still to come.
        quantity: PositiveQuantity,
        /// When.
        due: Timestamp,
        /// How far it is.
        stage: Stage,
        /// What of the document the sender has taken off already as received, if it says so; not negative.
        #[serde(default)]
        received: Option<Quantity>,
    },
    /// Nothing more is expected under the document.
    Unexpect {
        /// The purchase or transfer order.
        document: DocumentId,
    },
    /// Something will be wanted. Replaces what was wanted under the document; lowers what is promised, not what is sold.
    Demand {
        /// For what: an order for a later date, a forecast.
        document: DocumentId,
        /// How much.
        quantity: PositiveQuantity,
        /// When.
        due: Timestamp,
    },
    /// Nothing more will be wanted under the document.
    NoDemand {
        /// For what.
        document: DocumentId,
    },
    /// Corrects the books or moves goods between buckets.
    Adjust {
        /// What happens to the goods.
        change: Adjustment,
        /// How much.
        quantity: PositiveQuantity,
        /// Why.
        reason: Reason,
        /// The paper, if there is one.
        document: Option<DocumentId>,
    },
    /// Goods come back from a customer.
    Return {
        /// How much.
        quantity: PositiveQuantity,
        /// In which state they are.
        condition: Condition,
        /// The order they were sold with, if known.
        order: Option<OrderKey>,
        /// The paper.
        document: DocumentId,
    },
    /// An absolute count.
    Count(StockCount),
    /// Compares the books with what another system sees.
    Reconcile(Snapshot),
    /// A receipt, adjustment, return or shipment that its system numbers. It has happened, and is never refused for
    /// want of stock.
    Numbered {
        /// Whose number.
        source: SystemName,
        /// The number: one more than that of the system's change before. A repeat is ignored.
        number: ChangeNumber,
        /// What happened.
        change: Box<StockCommand>,
    },
    /// A setting with a version: what is expected or wanted under a document, or no longer is, the safety stock, the backorder
    /// limit. An equal or older version of the same setting changes nothing.
    Versioned {
        /// The version, such as the milliseconds since 1970 at which it was set.
        version: u64,
        /// What.
        change: Box<StockCommand>,
    },
    /// Something whose quantities are in another unit than the base unit.
    InUnit {
        /// The unit; the catalogue says how many base units it is.
        unit: UnitOfMeasure,
        /// What, with quantities in that unit.
        change: Box<StockCommand>,
    },
    /// A receipt, return, adjustment or shipment whose goods are in these lots.
    InLots {
        /// Which, and how much of each; at most [`MAX_LOTS`](super::lots::MAX_LOTS).
        lots: Box<[LotUnits]>,
        /// How the catalogue keeps the SKU; looked up before it is decided.
        kept: Tracking,
        /// What.
        change: Box<StockCommand>,
    },
    /// Keep this much back from sale.
    SetSafetyStock {
        /// How much; not negative.
        quantity: Quantity,
    },
    /// Declares how much may be sold before it is there: on backorder, or on preorder of what is not out yet.
    SetBackorderLimit {
        /// How much may wait for goods at a time; not negative. Without one nothing is shown beyond what is there, and only
        /// orders wait that take a part.
        limit: Option<Quantity>,
    },
    /// Says which channels may take how much.
    SetChannelPolicy(ChannelPolicy),
    /// Says what can be promised. Changes nothing.
    Promise(PromiseWish),
    /// Says from which lots the holds of an order, or all holds, are to be picked. Changes nothing.
    Picks {
        /// Whose; of all, if none is named.
        order: Option<OrderKey>,
    },
    /// Says how things stand. Changes nothing.
    Show,
    /// Says all that stands here. Changes nothing.
    Overview,
}

/// The wish to hold stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldStock {
    /// The hold's identity.
    pub id: HoldId,
    /// How much.
    pub quantity: PositiveQuantity,
    /// Whether less is welcome.
    pub mode: HoldMode,
    /// When it ends by itself, if it does.
    pub expires: Option<Timestamp>,
    /// How urgent it is, if goods turn out to be missing.
    #[serde(default)]
    pub priority: Priority,
    /// The order to tell, now and whenever it stands otherwise.
    pub answer_to: Option<OrderKey>,
    /// The class of the order's customer, if it has one.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl HoldStock {
    /// Who takes the goods.
    #[must_use]
    pub fn buyer(&self) -> Buyer<'_> {
        Buyer::new(&self.id, self.customer_class.as_ref())
    }

    /// How urgent the order is that is told what becomes of the hold; none without one.
    #[must_use]
    pub fn rank(&self) -> Option<Priority> {
        match self.mode {
            HoldMode::Backorder(priority) | HoldMode::IfDeclared(priority) => Some(priority),
            HoldMode::All | HoldMode::Partial => self.answer_to.as_ref().map(|_| self.priority),
        }
    }
}

/// Whether less than asked for is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldMode {
    /// All or nothing.
    All,
    /// As much as there is.
    Partial,
    /// As much as there is; the rest waits for goods under the same hold, and the order is told of each grant.
    Backorder(Priority),
    /// The same where a backorder limit is declared, else all or nothing.
    IfDeclared(Priority),
}

/// How much of a hold has left the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShipQuantity {
    /// All that was granted.
    All,
    /// This much, all shipments of the hold together: so that a repeat ships nothing more.
    Total(PositiveQuantity),
}

/// What an adjustment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adjustment {
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

/// In which state goods come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// As new.
    Sellable,
    /// Broken.
    Damaged,
    /// Withheld, whatever an inspection says.
    Quarantined,
    /// To be inspected.
    ToInspect,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StockReply {
    /// It is held.
    Held {
        /// How much of what was asked for.
        quantity: PositiveQuantity,
    },
    /// A part of it waits or has waited.
    Backordered {
        /// How much of it was granted, shipped or not.
        held: Quantity,
        /// How much of it waits.
        waiting: Quantity,
        /// How often this has changed.
        revision: u32,
        /// By when all that waits has come, as far as the expected receipts say.
        due: Option<Timestamp>,
    },
    /// Nothing of the hold is left: now or before.
    Released {
        /// How much came back with this command.
        quantity: Quantity,
    },
    /// Another warehouse is asked to hold it instead.
    Moving {
        /// Which.
        to: WarehouseCode,
    },
    /// The warehouse's pick is noted.
    Picked,
    /// It has left the house.
    Shipped {
        /// How much of the hold, all shipments together.
        total: Quantity,
    },
    /// Done.
    Accepted {
        /// What can be sold now.
        available: Quantity,
        /// How much of what is held is not there.
        shortfall: Quantity,
    },
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Level {
        /// On hand.
        on_hand: Quantity,
        /// Held.
        reserved: Quantity,
        /// Can be sold.
        available: Quantity,
        /// Held, but not there.
        shortfall: Quantity,
    },
    /// All that stands here.
    Overview(Box<Overview>),
    /// What another system sees was compared with the books.
    Reconciled {
        /// How much more it sees; less is negative.
        drift: Quantity,
        /// What became of that.
        verdict: Verdict,
    },
    /// What can be promised.
    Promised(Promise),
    /// From which lots holds are to be picked; at most [`MAX_PICKS`](super::lots::MAX_PICKS) of them.
    Picks(Box<[Pick]>),
    /// Nothing has changed.
    Refused(StockRefusal),
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum StockRefusal {
    /// There is not enough.
    #[error("{asked} asked for, {available} available")]
    Short {
        /// What was asked for.
        asked: PositiveQuantity,
        /// What there is.
        available: Quantity,
    },
    /// The same hold id stands for another quantity.
    #[error("this hold was for {known}, not {asked}; use a new attempt number")]
    Conflict {
        /// What it stands for.
        known: PositiveQuantity,
        /// What was asked for.
        asked: PositiveQuantity,
    },
    /// The hold has ended.
    #[error("this hold has ended ({end:?}); use a new attempt number")]
    Ended {
        /// How.
        end: HoldEnd,
        /// How much of it had been shipped.
        shipped: Quantity,
    },
    /// There is no such hold.
    #[error("no such hold")]
    UnknownHold,
    /// More is to be shipped than is held.
    #[error("{asked} to ship, {held} held")]
    MoreThanHeld {
        /// What was to be shipped, all shipments together.
        asked: PositiveQuantity,
        /// What was granted.
        held: Quantity,
    },
    /// What is held is not there.
    #[error("{asked} to ship, {sellable} on hand and in order; count again first")]
    NotThere {
        /// What was to be shipped now.
        asked: Quantity,
        /// What there is.
        sellable: Quantity,
    },
    /// The warehouse has it in hand.
    #[error("the warehouse has this hold in hand; it no longer expires")]
    Picked,
    /// What the warehouse has in hand does not move.
    #[error("the warehouse has this hold in hand, or a part of it has left; it cannot be held elsewhere")]
    InHand,
    /// Another warehouse is asked to take the hold over.
    #[error("{to} is asked to take this hold over; wait for its answer")]
    Moves {
        /// Which.
        to: WarehouseCode,
    },
    /// An order has taken the hold by itself.
    #[error("an order has taken this hold by itself; change, relocate, ship or cancel the order")]
    OfAnOrder,
    /// A part of the hold waits for goods.
    #[error("a part of this hold waits for goods; release it and hold what is wanted")]
    Waits,
    /// There is or was a hold of the name that a hold is given to.
    #[error("there is or was a hold of that name; use a new attempt number")]
    HoldExists,
    /// More was shipped than is to be left.
    #[error("{asked} to be left, {shipped} shipped")]
    LessThanShipped {
        /// What was to be left, shipments included.
        asked: PositiveQuantity,
        /// What was shipped.
        shipped: Quantity,
    },
    /// A line that is to be held twice.
    #[error("line {line} is there twice")]
    RepeatedLine {
        /// Which.
        line: u16,
    },
    /// A hold that may wait, with an expiry.
    #[error("a hold that may wait for goods does not expire; leave the expiry out or do not let it wait")]
    BackorderExpires,
    /// The hold would end before it began.
    #[error("the hold's expiry has passed")]
    AlreadyExpired,
    /// A quantity that must not be negative, or a bucket that would become negative or too large.
    #[error("{bucket} would be out of range: {reason}")]
    OutOfRange {
        /// Which bucket.
        bucket: Bucket,
        /// What would happen to it.
        reason: RangeReason,
    },
    /// What carries a number is no change that is numbered.
    #[error("only receipts, adjustments, returns and shipments are numbered")]
    NotNumbered,
    /// What carries a version is no setting.
    #[error("only what is expected or wanted, safety stock and backorder limit have such a version")]
    NotVersioned,
    /// A quantity that is none in base units.
    #[error("{0}")]
    Unit(UnitRefusal),
    /// A quantity in a unit of a quantity in a unit.
    #[error("a quantity has one unit")]
    OneUnit,
    /// Lots that do not fit the goods.
    #[error("{0}")]
    Lots(LotRefusal),
    /// A policy that is none.
    #[error("{0}")]
    Policy(PolicyFlaw),
    /// The warehouse may not serve whoever wants it.
    #[error("this warehouse may not serve it: {because}")]
    NotServed {
        /// Why.
        because: Restriction,
    },
    /// Nothing is expected under the document.
    #[error("nothing is expected under this document")]
    UnknownDocument,
    /// A snapshot that is not taken yet.
    #[error("taken_at: it is more than five minutes ahead of the clock here")]
    TakenAhead,
    /// Too many of something; the limits stand in [`super::state`].
    #[error("at most {max} {what} for one SKU in one warehouse")]
    TooMany {
        /// Of what.
        what: Limited,
        /// How many there may be.
        max: u32,
    },
}

/// A part of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bucket {
    /// What is there.
    OnHand,
    /// What is there and in order.
    Sellable,
    /// What is broken.
    Damaged,
    /// What is withheld.
    Quarantined,
    /// What came back and awaits inspection.
    Returned,
    /// What is kept back.
    Safety,
    /// What is to come.
    Expected,
    /// What is held.
    Reserved,
    /// What will be wanted.
    Demand,
    /// What may wait for goods.
    BackorderLimit,
}

/// Why a bucket would be out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeReason {
    /// Below zero.
    Negative,
    /// Above [`Quantity::LIMIT`].
    TooLarge,
}

/// What there may not be too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Live holds.
    Holds,
    /// Expected receipts.
    Receipts,
    /// Systems that count, or number their changes.
    TellingSystems,
    /// Dated demands.
    Demands,
    /// Lines held together.
    Lines,
    /// Classes of a channel policy.
    Classes,
    /// Channels of a class.
    Channels,
    /// Lots.
    Lots,
}

macro_rules! spoken {
    ($type:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

spoken!(Bucket {
    OnHand => "on hand", Sellable => "sellable stock", Damaged => "damaged", Quarantined => "quarantined",
    Returned => "returned and not inspected", Safety => "safety stock", Expected => "expected", Reserved => "reserved", Demand => "demand",
    BackorderLimit => "backorder limit",
});
spoken!(RangeReason { Negative => "below zero", TooLarge => "above 10^12" });
spoken!(Limited {
    Holds => "live holds", Receipts => "expected receipts", TellingSystems => "systems that count or number",
    Demands => "dated demands", Lines => "lines held together", Classes => "classes in a channel policy", Channels => "channels in a class", Lots => "lots",
});
