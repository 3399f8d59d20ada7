//! What is known of a SKU in a warehouse.
//!
//! 2.5 million of these are resident: the row is small, and has nothing on the heap while nothing is held, expected
//! or remembered.

use super::allocation::ChannelBook;
use super::backorder::{Backorders, Priority};
use super::lots::{Lot, MAX_LOTS_SHOWN};
use super::numbering::{Numbering, Told};
use super::papers::{Papers, Suspect, fnv, seconds};
use super::reconcile::OpenDrift;
use super::settings::Settings;
use crate::ids::{ClassName, DocumentId, HoldId, SystemName, WarehouseCode};
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::LevelDetail;
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a closed hold's id is remembered at least, unless [`MAX_CLOSED`] and [`MAX_MARKS`] newer ones push it out.
pub const CLOSED_KEPT: Duration = Duration::from_secs(300);
/// How many closed holds a pair remembers.
pub const MAX_CLOSED: usize = 16;
/// How many more it knows by their marks alone, once newer ones have pushed them out.
pub const MAX_MARKS: usize = 256;
/// How many receipts a pair may expect at a time.
pub const MAX_EXPECTED: usize = 64;
/// How many systems may count one pair, or number its changes.
pub const MAX_TELLING_SYSTEMS: usize = 8;
/// How many live holds a pair may have.
pub const MAX_HOLDS: usize = 100_000;

/// The stock of one SKU in one warehouse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StockState {
    /// Physically there, damaged and quarantined included.
    pub on_hand: Quantity,
    /// Held for orders.
    pub reserved: Quantity,
    /// On hand, but broken.
    pub damaged: Quantity,
    /// On hand, but not yet allowed to be sold.
    pub quarantined: Quantity,
    /// Kept back from sale.
    pub safety: Quantity,
    /// On its way from another warehouse or supplier; no part of `on_hand`.
    pub in_transit: Quantity,
    /// Ordered, not yet on its way; no part of `on_hand`.
    pub expected: Quantity,
    /// How far the first system that counted or numbered its changes has told.
    pub(crate) told: Told,
    /// Which system that is; empty before its first word.
    pub(crate) told_by: CompactString,
    /// When there is something to do, in milliseconds; 0 stands for never.
    pub(crate) alarm: i64,
    /// What only some pairs have.
    pub(crate) book: Option<Box<Book>>,
    /// The papers that moved it last.
    #[serde(default)]
    pub(crate) papers: Papers,
}

const _: () = assert!(size_of::<StockState>() <= 128);

/// The part of a pair's state that is absent while nothing is held, expected or remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// The live holds.
    #[serde(with = "pairs")]
    pub holds: BTreeMap<HoldId, Hold>,
    /// What is held by holds that end by themselves.
    pub soft: Quantity,
    /// Holds that ended, oldest first.
    pub closed: Vec<ClosedHold>,
    /// Receipts that are expected, by document.
    #[serde(with = "pairs")]
    pub expected: BTreeMap<DocumentId, ExpectedReceipt>,
    /// Holds that wait for goods or have waited; absent if there are none.
    pub(crate) backorders: Option<Box<Backorders>>,
    /// What few pairs have.
    pub appendix: Option<Box<Appendix>>,
    /// What is remembered of settings: their versions, and what came in under documents.
    #[serde(default)]
    pub(crate) settings: Option<Box<Settings>>,
}

// Most pairs with a hold have one of these.
const _: () = assert!(size_of::<Book>() <= 104);

/// The part of a book that is absent for most pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Appendix {
    /// What will be wanted, by document.
    #[serde(with = "pairs")]
    pub demands: BTreeMap<DocumentId, DatedDemand>,
    /// How far each further system has told.
    #[serde(with = "pairs")]
    pub told: BTreeMap<SystemName, Told>,
    /// Changes by number that are remembered one by one.
    pub numbering: Vec<Numbering>,
    /// Which channels may take how much, and what they took; absent without such a policy.
    pub channels: Option<ChannelBook>,
    /// A drift that waits for a person.
    pub drift: Option<OpenDrift>,
    /// On hand, but it came back and was not yet inspected.
    #[serde(default)]
    pub returned: Quantity,
    /// Papers that were told twice.
    #[serde(default)]
    pub suspects: Vec<Suspect>,
    /// The lots that are there, the first to expire first.
    #[serde(default)]
    pub lots: Vec<Lot>,
    /// What the warehouse has in hand of what is reserved.
    #[serde(default)]
    pub in_hand: Quantity,
    /// Holds that another warehouse is asked to take over.
    #[serde(default, with = "pairs")]
    pub moves: BTreeMap<HoldId, WarehouseCode>,
    /// How much may wait for goods at a time, where the SKU is declared to be sold before it is there.
    #[serde(default)]
    pub backorder_limit: Option<Quantity>,
    /// The lots that are on hand and may not be sold: damaged, quarantined, or not yet inspected.
    #[serde(default)]
    pub withheld: Vec<Lot>,
    /// Holds that ended and were pushed out by newer ones, oldest first.
    #[serde(default)]
    pub(crate) marks: Vec<ClosedMark>,
}

/// What is left of a hold that ended and was pushed out by newer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosedMark {
    /// 32 bits of its id: one of four billion others is taken for it.
    mark: u32,
    /// When it ended, in seconds since 1970.
    at: u32,
}

impl ClosedMark {
    pub(super) fn of(closed: &ClosedHold) -> Self {
        Self {
            mark: mark(&closed.id),
            at: seconds(closed.at),
        }
    }

    /// Whether it ended later than a moment.
    pub(super) fn is_later(self, moment: Timestamp) -> bool {
        self.at > seconds(moment)
    }
}

fn mark(id: &HoldId) -> u32 {
    let line = id.line.to_le_bytes().into_iter().chain(id.attempt.to_le_bytes());
    fnv(line.chain(id.order.as_str().bytes()))
}

impl Book {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
            && self.closed.is_empty()
            && self.expected.is_empty()
            && self.backorders.is_none()
            && self.appendix.is_none()
            && self.settings.is_none()
    }
}

impl Appendix {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.demands.is_empty()
            && self.told.is_empty()
            && self.numbering.is_empty()
            && self.channels.is_none()
            && self.drift.is_none()
            && self.returned == Quantity::ZERO
            && self.suspects.is_empty()
            && self.lots.is_empty()
            && self.in_hand == Quantity::ZERO
            && self.moves.is_empty()
            && self.backorder_limit.is_none()
            && self.withheld.is_empty()
            && self.marks.is_empty()
    }
}

/// A live hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// What was asked for.
    pub asked: PositiveQuantity,
    /// What was granted.
    pub granted: PositiveQuantity,
    /// What of it has left the house.
    pub shipped: Quantity,
    /// When it ends by itself, unless it is picked.
    pub expires: Option<Timestamp>,
    /// Whether the warehouse has it in hand: then it no longer expires.
    pub picked: Option<Timestamp>,
    /// How urgent the order is that is told what becomes of it; none for a hold that no order here waits for.
    #[serde(default)]
    pub rank: Option<Priority>,
    /// Since when it is held.
    #[serde(default)]
    pub since: Timestamp,
    /// The class of the order's customer, if it has one.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl Hold {
    /// What it still holds.
    #[must_use]
    pub fn open(&self) -> Quantity {
        self.granted.get().minus(self.shipped)
    }

    /// What it still holds, if it ends by itself.
    #[must_use]
    pub fn soft(&self) -> Quantity {
        self.expires.map_or(Quantity::ZERO, |_| self.open())
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A hold that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedHold {
    /// Which.
    pub id: HoldId,
    /// How it ended.
    pub end: HoldEnd,
    /// What it had been granted; zero if it was released before it came.
    pub granted: Quantity,
    /// What of it had left the house.
    pub shipped: Quantity,
    /// When it ended.
    pub at: Timestamp,
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldEnd {
    /// Given back.
    Released,
    /// All of it left the house.
    Shipped,
    /// Its time was over.
    Expired,
    /// Released before it arrived; it is refused when it does.
    Barred,
    /// What of it was not shipped is held for another order.
    Transferred,
    /// It is held in another warehouse.
    Moved,
    /// How is no longer known.
    Forgotten,
}

/// A receipt that is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedReceipt {
    /// How much is still to come.
    pub quantity: PositiveQuantity,
    /// When.
    pub due: Timestamp,
    /// How far it is.
    pub stage: Stage,
}

/// What was to come under a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coming {
    /// How much.
    pub quantity: PositiveQuantity,
    /// How far it was.
    pub stage: Stage,
}

/// What will be wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatedDemand {
    /// How much.
    pub quantity: PositiveQuantity,
    /// When.
    pub due: Timestamp,
}

/// How far an expected receipt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Ordered.
    Expected,
    /// On its way.
    InTransit,
}

impl StockState {
    /// Available to sell, negative if more is promised or kept back than is there.
    #[must_use]
    pub fn position(&self) -> Quantity {
        self.sellable().minus(self.reserved).minus(self.safety)
    }

    /// Available to sell: what a new hold may take, and what is published.
    #[must_use]
    pub fn available(&self) -> Quantity {
        self.position().at_least_zero()
    }

    /// On hand and in order, held or not.
    #[must_use]
    pub fn sellable(&self) -> Quantity {
        self.sellable_of(self.on_hand)
    }

    /// The same if `on_hand` were on hand. A bucket below zero waits for a change that is missing: it makes no goods.
    pub(super) fn sellable_of(&self, on_hand: Quantity) -> Quantity {
        on_hand
            .minus(self.damaged.at_least_zero())
            .minus(self.quarantined.at_least_zero())
            .minus(self.returned().at_least_zero())
    }

    /// On hand, but it came back and was not yet inspected.
    #[must_use]
    pub fn returned(&self) -> Quantity {
        self.appendix()
            .map_or(Quantity::ZERO, |appendix| appendix.returned)
    }

    /// How much of what is held is not there.
    #[must_use]
    pub fn shortfall(&self) -> Quantity {
        self.reserved.minus(self.sellable()).at_least_zero()
    }

    /// What of `reserved` is held by holds that end by themselves.
    #[must_use]
    pub fn soft(&self) -> Quantity {
        self.book.as_ref().map_or(Quantity::ZERO, |book| book.soft)
    }

    /// What few pairs have.
    #[must_use]
    pub fn appendix(&self) -> Option<&Appendix> {
        self.book.as_ref()?.appendix.as_deref()
    }

    pub(super) fn appendix_mut(&mut self) -> &mut Appendix {
        let book = self.book.get_or_insert_default();
        book.appendix.get_or_insert_default()
    }

    /// The live holds.
    pub fn holds(&self) -> impl Iterator<Item = (&HoldId, &Hold)> {
        self.book.iter().flat_map(|book| book.holds.iter())
    }

    /// The expected receipts.
    pub fn receipts(&self) -> impl Iterator<Item = (&DocumentId, &ExpectedReceipt)> {
        self.book.iter().flat_map(|book| book.expected.iter())
    }

    /// What is to come under a document.
    #[must_use]
    pub fn coming(&self, document: &DocumentId) -> Option<Coming> {
        let receipt = self.book.as_ref()?.expected.get(document)?;
        Some(Coming {
            quantity: receipt.quantity,
            stage: receipt.stage,
        })
    }

    /// A live hold.
    #[must_use]
    pub fn hold(&self, id: &HoldId) -> Option<&Hold> {
        self.book.as_ref()?.holds.get(id)
    }

    /// A hold that ended and is remembered.
    #[must_use]
    pub fn closed(&self, id: &HoldId) -> Option<&ClosedHold> {
        self.book
            .as_ref()?
            .closed
            .iter()
            .rev()
            .find(|closed| closed.id == *id)
    }

    /// Whether a hold ended, as far as that is remembered.
    pub(super) fn has_ended(&self, id: &HoldId) -> bool {
        self.closed(id).is_some() || self.is_marked(id)
    }

    /// Whether a hold ended, and no more is known of it.
    #[must_use]
    pub fn is_marked(&self, id: &HoldId) -> bool {
        let marks = self.appendix().map_or(&[][..], |appendix| &appendix.marks);
        // Most pairs have none.
        !marks.is_empty() && {
            let wanted = mark(id);
            marks.iter().any(|known| known.mark == wanted)
        }
    }

    /// How far a system has told; nothing yet by default.
    #[must_use]
    pub fn told(&self, by: &SystemName) -> Told {
        if self.told_by == by.as_str() {
            return self.told;
        }
        let further = self.appendix().and_then(|appendix| appendix.told.get(by));
        further.copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub(super) fn told_mut(&mut self, by: &SystemName) -> &mut Told {
        if self.told_by.is_empty() {
            self.told_by = CompactString::new(by.as_str());
        }
        if self.told_by == by.as_str() {
            return &mut self.told;
        }
        self.appendix_mut().told.entry(by.clone()).or_default()
    }

    /// What is published of a pair only while there is something unusual to say.
    #[must_use]
    pub fn detail(&self) -> Option<Box<LevelDetail>> {
        let detail = LevelDetail {
            soft: self.soft(),
            picked: self.in_hand(),
            returned: self.returned().at_least_zero(),
            shortfall: self.shortfall(),
            wants_resync: self.wants_resync(),
            drift: self.open_drift().cloned(),
            classes: self.class_levels(),
            unclassed: self.unclassed_level(),
            ahead: self.may_still_wait().unwrap_or(Quantity::ZERO),
            lots: self.lots().iter().take(MAX_LOTS_SHOWN).cloned().collect(),
        };
        (detail != LevelDetail::default()).then(|| Box::new(detail))
    }

    pub(crate) fn alarm(&self) -> Option<Timestamp> {
        if self.is_anyone_next() {
            // More holds wait than one decision grants to: the next ones at once.
            return Some(Timestamp::from_millis(1));
        }
        (self.alarm != 0).then(|| Timestamp::from_millis(self.alarm))
    }
}

/// Maps as lists of pairs: their keys are not always texts.
pub(super) mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
