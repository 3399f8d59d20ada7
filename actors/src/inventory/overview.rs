//! All that stands in a pair: its buckets, what comes and is wanted by date, who waits and in which place, and what a person must
//! settle. For people; what is sold is told by the level.

use super::backorder::{Backorders, Priority};
use super::command::StockReply;
use super::decide::StockDecision;
use super::reconcile::OpenDrift;
use super::state::{Stage, StockState};
use crate::ids::{DocumentId, HoldId};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many of the holds that wait are named, the next ones to be served.
pub const MAX_WAITING_SHOWN: usize = 100;

/// How a pair stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// Physically there, damaged, quarantined and returned included.
    pub on_hand: Quantity,
    /// Can be sold, to all channels together.
    pub available: Quantity,
    /// Held.
    pub reserved: Quantity,
    /// Of that, by holds that end by themselves.
    pub soft: Quantity,
    /// Of that, allocated: for good, and not picked yet.
    pub allocated: Quantity,
    /// Of that, picked and still in the house.
    pub picked: Quantity,
    /// On hand, but broken.
    pub damaged: Quantity,
    /// On hand, but not yet allowed to be sold.
    pub quarantined: Quantity,
    /// On hand, but came back and was not yet inspected.
    pub returned: Quantity,
    /// Kept back from sale.
    pub safety: Quantity,
    /// On its way here.
    pub in_transit: Quantity,
    /// Ordered, not yet on its way.
    pub expected: Quantity,
    /// Held, but not there.
    pub shortfall: Quantity,
    /// How much may wait for goods at a time, where that is declared.
    pub backorder_limit: Option<Quantity>,
    /// What is on its way or ordered, the next to come first.
    pub receipts: Vec<Dated>,
    /// What will be wanted, the next first.
    pub demands: Vec<Dated>,
    /// How much waits for goods.
    pub waiting: Quantity,
    /// The holds that wait, the next to be served first; at most [`MAX_WAITING_SHOWN`].
    pub backorders: Vec<Waiting>,
    /// A drift that waits for a person.
    pub drift: Option<OpenDrift>,
    /// Whether numbered changes are missing and a new count is asked for.
    pub wants_resync: bool,
}

/// What comes or is wanted on a date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dated {
    /// When.
    pub due: Timestamp,
    /// Under which paper.
    pub document: DocumentId,
    /// How much.
    pub quantity: PositiveQuantity,
    /// Whether it is on its way here.
    pub is_on_its_way: bool,
}

/// A hold that waits for goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its place among those that wait, from 1.
    pub place: u32,
    /// Which.
    pub hold: HoldId,
    /// What was asked for.
    pub asked: PositiveQuantity,
    /// What of it waits.
    pub waiting: Quantity,
    /// Who is served first.
    pub priority: Priority,
    /// Since when it waits.
    pub since: Timestamp,
    /// By when all of it has come, as far as that is known.
    pub due: Option<Timestamp>,
}

pub(super) fn answer(state: &StockState) -> StockDecision {
    Decision::answer(StockReply::Overview(Box::new(Overview::of(state))))
}

impl Overview {
    /// How a pair stands.
    #[must_use]
    pub fn of(state: &StockState) -> Self {
        let (soft, picked) = (state.soft(), state.in_hand());
        Self {
            on_hand: state.on_hand,
            available: state.available(),
            reserved: state.reserved,
            soft,
            allocated: state.reserved.minus(soft).minus(picked).at_least_zero(),
            picked,
            damaged: state.damaged,
            quarantined: state.quarantined,
            returned: state.returned(),
            safety: state.safety,
            in_transit: state.in_transit,
            expected: state.expected,
            shortfall: state.shortfall(),
            backorder_limit: state.backorder_limit(),
            receipts: receipts(state),
            demands: demands(state),
            waiting: state.waiting(),
            backorders: backorders(state),
            drift: state.open_drift().cloned(),
            wants_resync: state.wants_resync(),
        }
    }
}

fn receipts(state: &StockState) -> Vec<Dated> {
    let dated = state.receipts().map(|(document, receipt)| Dated {
        due: receipt.due,
        document: document.clone(),
        quantity: receipt.quantity,
        is_on_its_way: receipt.stage == Stage::InTransit,
    });
    by_date(dated)
}

fn demands(state: &StockState) -> Vec<Dated> {
    let dated = state.demands().map(|(document, demand)| Dated {
        due: demand.due,
        document: document.clone(),
        quantity: demand.quantity,
        is_on_its_way: false,
    });
    by_date(dated)
}

fn by_date(dated: impl Iterator<Item = Dated>) -> Vec<Dated> {
    let mut dated: Vec<Dated> = dated.collect();
    dated.sort_unstable();
    dated
}

fn backorders(state: &StockState) -> Vec<Waiting> {
    let waiting = state.backorders().into_iter().flat_map(Backorders::waiting);
    let named = (1..).zip(waiting).take(MAX_WAITING_SHOWN);
    named
        .map(|(place, (hold, backorder))| Waiting {
            place,
            hold: hold.clone(),
            asked: backorder.asked,
            waiting: backorder.waiting,
            priority: backorder.priority,
            since: backorder.since,
            due: backorder.due,
        })
        .collect()
}
