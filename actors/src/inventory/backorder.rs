//! Backorders: holds that wait for goods, and who gets the goods that come free.
//!
//! Invariants:
//! - what waits is no part of `reserved`; once granted it is part of the live hold under the same id;
//! - while a hold waits that may take what there is, nothing is free for a newcomer: whatever comes free goes to the
//!   holds that wait, by priority, then age, then id, within the decision that frees it, or by an alarm at once if
//!   there are more than [`MAX_GRANTS`]; a hold whose class may take nothing more is passed over, and bars nobody;
//! - each grant is told to the order with how the hold stands by then, and a revision that rises;
//! - where a limit is declared, no newcomer waits beyond it.

use super::SkuWarehouse;
use super::allocation::{Buyer, Rations};
use super::apply::apply;
use super::command::{HoldStock, Limited, StockRefusal, StockReply};
use super::decide::{free_to, grant, newly_taken};
use super::event::StockEvent;
use super::state::{Hold, MAX_HOLDS, StockState, pairs};
use crate::ids::{ClassName, HoldId, StockId};
use crate::orders::command::{OrderCommand, StockAnswer, StockAnswered};
use crate::quantity::{PositiveQuantity, Quantity};
use compact_str::CompactString;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many holds one decision grants to; the others follow at once, each so many in a decision of their own.
pub const MAX_GRANTS: usize = 256;

/// Who is served first: 1 before 2; 50 unless someone says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Priority(u8);

/// A priority outside of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a priority is between 1, served first, and {}, not {found}", Priority::LAST)]
pub struct PriorityOutOfRange {
    /// What was given.
    pub found: u8,
}

impl Priority {
    /// Served last.
    pub const LAST: u8 = 99;

    /// Checks the range.
    ///
    /// # Errors
    /// [`PriorityOutOfRange`] outside `1..=`[`Priority::LAST`].
    pub const fn new(rank: u8) -> Result<Self, PriorityOutOfRange> {
        if rank < 1 || rank > Self::LAST {
            return Err(PriorityOutOfRange { found: rank });
        }
        Ok(Self(rank))
    }

    /// Its rank, from 1.
    #[must_use]
    pub const fn rank(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u8> for Priority {
    type Error = PriorityOutOfRange;
    fn try_from(rank: u8) -> Result<Self, PriorityOutOfRange> {
        Self::new(rank)
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A hold of which a part waits or has waited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backorder {
    /// What was asked for.
    pub asked: PositiveQuantity,
    /// What of it still waits.
    pub waiting: Quantity,
    /// Who is served first.
    pub priority: Priority,
    /// Since when it waits.
    pub since: Timestamp,
    /// How often its standing has changed.
    pub revision: u32,
    /// By when all that waits has come, as far as the expected receipts say.
    #[serde(default)]
    pub due: Option<Timestamp>,
    /// The class of the order's customer, if it has one.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl Backorder {
    /// Who waits, under this name.
    pub(super) fn buyer<'b>(&'b self, id: &'b HoldId) -> Buyer<'b> {
        Buyer::new(id, self.customer_class.as_ref())
    }
}

/// A place in the queue: by priority, then age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    priority: Priority,
    since: Timestamp,
    hold: HoldId,
}

/// The backorders of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Backorders {
    /// Every live hold of which a part waits or has waited.
    #[serde(with = "pairs")]
    holds: BTreeMap<HoldId, Backorder>,
    /// Those of which a part waits, the next one first.
    queue: BTreeSet<Place>,
    /// Until when what they are promised holds: the first receipt that it counts on is due.
    until: Option<Timestamp>,
    /// How many of these are over each channel by customers of each class: what they may take is reckoned once, not for each that
    /// waits.
    #[serde(skip)]
    buyers: BTreeMap<(CompactString, Option<ClassName>), u32>,
    /// How much waits in all.
    #[serde(skip)]
    waiting: Quantity,
}

/// The backorders as they are stored.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "pairs")]
    holds: BTreeMap<HoldId, Backorder>,
    queue: BTreeSet<Place>,
    #[serde(default)]
    until: Option<Timestamp>,
}

impl From<Stored> for Backorders {
    fn from(stored: Stored) -> Self {
        let mut backorders = Self {
            holds: stored.holds,
            until: stored.until,
            ..Self::default()
        };
        for place in stored.queue {
            let waits = backorders.holds.get(&place.hold);
            let class = waits.and_then(|waits| waits.customer_class.clone());
            backorders.enqueue(place, class);
        }
        let waiting = backorders.holds.values().map(|backorder| backorder.waiting);
        backorders.waiting = waiting.fold(Quantity::ZERO, Quantity::plus);
        backorders
    }
}

impl Backorders {
    pub(super) fn get(&self, id: &HoldId) -> Option<&Backorder> {
        self.holds.get(id)
    }

    pub(super) fn is_waiting(&self, id: &HoldId) -> bool {
        self.holds
            .get(id)
            .is_some_and(|backorder| backorder.waiting > Quantity::ZERO)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    fn is_anyone_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The holds that wait, the next one first.
    pub fn waiting(&self) -> impl Iterator<Item = (&HoldId, &Backorder)> {
        self.queue
            .iter()
            .filter_map(|place| Some((&place.hold, self.holds.get(&place.hold)?)))
    }

    /// Who waits.
    fn buyers(&self) -> impl Iterator<Item = Buyer<'_>> {
        let buyers = self.buyers.keys();
        buyers.map(|(channel, class)| Buyer::from(channel.as_str()).of_class(class.as_ref()))
    }

    fn enqueue(&mut self, place: Place, customer_class: Option<ClassName>) {
        let buyer = (place.hold.order.channel().into(), customer_class);
        if self.queue.insert(place) {
            *self.buyers.entry(buyer).or_default() += 1;
        }
    }

    fn dequeue(&mut self, id: &HoldId, backorder: &Backorder) {
        if !self.queue.remove(&place(id, backorder)) {
            return;
        }
        let buyer = (id.order.channel().into(), backorder.customer_class.clone());
        if let Entry::Occupied(mut waiting) = self.buyers.entry(buyer) {
            *waiting.get_mut() -= 1;
            if *waiting.get() == 0 {
                waiting.remove();
            }
        }
    }

    pub(super) fn add(&mut self, id: &HoldId, backorder: Backorder) {
        self.enqueue(place(id, &backorder), backorder.customer_class.clone());
        self.waiting = self.waiting.plus(backorder.waiting);
        self.holds.insert(id.clone(), backorder);
    }

    /// More of a hold waits, which is as old and urgent as it was.
    pub(super) fn withdraw(&mut self, id: &HoldId, hold: &Hold, quantity: PositiveQuantity) {
        let again = match self.remove(id) {
            Some(known) => Backorder {
                waiting: known.waiting.plus(quantity.get()),
                revision: known.revision.saturating_add(1),
                ..known
            },
            None => Backorder {
                asked: hold.asked,
                waiting: quantity.get(),
                priority: hold.rank.unwrap_or_default(),
                since: hold.since,
                revision: FIRST_REVISION,
                due: None,
                customer_class: hold.customer_class.clone(),
            },
        };
        self.add(id, again);
    }

    /// Less of a hold waits; how it waited.
    pub(super) fn grant(&mut self, id: &HoldId, quantity: PositiveQuantity) -> Option<Backorder> {
        let backorder = self.holds.get_mut(id)?;
        backorder.waiting = backorder.waiting.minus(quantity.get());
        self.waiting = self.waiting.minus(quantity.get());
        backorder.revision = backorder.revision.saturating_add(1);
        let backorder = backorder.clone();
        if backorder.waiting <= Quantity::ZERO {
            self.dequeue(id, &backorder);
        }
        Some(backorder)
    }

    /// Less of a hold waits, as less is wanted.
    pub(super) fn want_less(&mut self, id: &HoldId, quantity: PositiveQuantity) {
        let Some(backorder) = self.holds.get_mut(id) else {
            return;
        };
        backorder.waiting = backorder.waiting.minus(quantity.get());
        self.waiting = self.waiting.minus(quantity.get());
        backorder.asked = match backorder.asked.get().minus(quantity.get()).positive() {
            Some(asked) => asked,
            None => backorder.asked,
        };
        let backorder = backorder.clone();
        if backorder.waiting <= Quantity::ZERO {
            self.dequeue(id, &backorder);
        }
    }

    /// What waits of a hold is expected by then.
    pub(super) fn promise(&mut self, id: &HoldId, due: Option<Timestamp>) {
        if let Some(backorder) = self.holds.get_mut(id) {
            backorder.due = due;
            backorder.revision = backorder.revision.saturating_add(1);
        }
    }

    /// Until when what they are promised holds.
    pub(super) fn promised_until(&self) -> Option<Timestamp> {
        self.until
    }

    pub(super) fn promise_until(&mut self, until: Option<Timestamp>) {
        self.until = until;
    }

    pub(super) fn remove(&mut self, id: &HoldId) -> Option<Backorder> {
        let backorder = self.holds.remove(id)?;
        self.waiting = self.waiting.minus(backorder.waiting);
        self.dequeue(id, &backorder);
        Some(backorder)
    }
}

fn place(id: &HoldId, backorder: &Backorder) -> Place {
    Place {
        priority: backorder.priority,
        since: backorder.since,
        hold: id.clone(),
    }
}

impl StockState {
    /// The backorders, if there are any.
    #[must_use]
    pub fn backorders(&self) -> Option<&Backorders> {
        self.book.as_ref()?.backorders.as_deref()
    }

    /// Whether a hold waits for goods.
    #[must_use]
    pub fn is_anyone_waiting(&self) -> bool {
        self.backorders().is_some_and(Backorders::is_anyone_waiting)
    }

    /// How much waits for goods.
    #[must_use]
    pub fn waiting(&self) -> Quantity {
        self.backorders().map_or(Quantity::ZERO, |known| known.waiting)
    }

    /// How much may wait for goods at a time, where the SKU is declared to be sold before it is there.
    #[must_use]
    pub fn backorder_limit(&self) -> Option<Quantity> {
        self.appendix()?.backorder_limit
    }

    /// How much more may begin to wait, where that is limited. More may wait than the limit says: what was taken back from
    /// holds waits in any case, and a limit may be lowered.
    #[must_use]
    pub fn may_still_wait(&self) -> Option<Quantity> {
        let limit = self.backorder_limit()?;
        Some(limit.minus(self.waiting()).at_least_zero())
    }

    /// Whether a hold waits that may take something of what there is.
    pub(super) fn is_anyone_next(&self) -> bool {
        let Some(backorders) = self.backorders().filter(|known| known.is_anyone_waiting()) else {
            return false;
        };
        let rations = Rations::of(self);
        !rations.is_empty()
            && backorders
                .buyers()
                .any(|buyer| rations.for_buyer(buyer) > Quantity::ZERO)
    }

    /// What a newcomer may take: nothing while others wait for it.
    pub(super) fn free_to(&self, buyer: Buyer<'_>) -> Quantity {
        if self.is_anyone_next() {
            Quantity::ZERO
        } else {
            self.available_to(buyer)
        }
    }

    /// How a hold stands of which a part waits or has waited.
    pub(super) fn standing(&self, id: &HoldId) -> Option<StockReply> {
        let backorder = self.backorders()?.get(id)?;
        Some(StockReply::Backordered {
            held: self.hold(id).map_or(Quantity::ZERO, |hold| hold.granted.get()),
            waiting: backorder.waiting,
            revision: backorder.revision,
            due: backorder.due,
        })
    }
}

/// Grants what there is and lets the rest wait.
pub(super) fn backorder(
    state: &StockState,
    wish: &HoldStock,
    priority: Priority,
    now: Timestamp,
) -> Decision<SkuWarehouse> {
    let refuse = |refusal| Decision::answer(StockReply::Refused(refusal));
    if wish.expires.is_some() {
        return refuse(StockRefusal::BackorderExpires);
    }
    if state
        .backorders()
        .is_some_and(|backorders| backorders.holds.len() >= MAX_HOLDS)
    {
        return refuse(StockRefusal::TooMany {
            what: Limited::Holds,
            max: u32::try_from(MAX_HOLDS).unwrap_or(u32::MAX),
        });
    }
    let granted = wish.quantity.get().min(free_to(state, wish)).positive();
    let held = granted.map_or(Quantity::ZERO, PositiveQuantity::get);
    let waiting = wish.quantity.get().minus(held).positive();
    // Who waits has taken all that was free.
    let room = state.may_wait_for(wish.buyer(), newly_taken(state, wish));
    if let (Some(waiting), Some(room)) = (waiting, room)
        && waiting.get() > room
    {
        return refuse(StockRefusal::Short {
            asked: wish.quantity,
            available: held.plus(room),
        });
    }
    let reply = match (granted, waiting) {
        (Some(granted), None) => StockReply::Held { quantity: granted },
        (_, waiting) => StockReply::Backordered {
            held,
            waiting: waiting.map_or(Quantity::ZERO, PositiveQuantity::get),
            revision: FIRST_REVISION,
            due: None,
        },
    };
    let mut decision = Decision::answer(reply);
    if let Some(granted) = granted {
        decision = grant(state, wish, granted, now, decision);
    }
    if let Some(waiting) = waiting {
        decision = decision.and(StockEvent::Backordered {
            id: wish.id.clone(),
            asked: wish.quantity,
            waiting,
            priority,
            at: now,
            customer_class: wish.customer_class.clone(),
        });
    }
    decision
}

/// The revision of a backorder that nothing has been granted to since it began to wait.
pub(super) const FIRST_REVISION: u32 = 1;

/// The same decision, and what it frees goes to the holds that wait.
pub(super) fn serve(
    stock: &StockId,
    state: &StockState,
    mut decision: Decision<SkuWarehouse>,
    now: Timestamp,
) -> Decision<SkuWarehouse> {
    let Some(backorders) = state.backorders().filter(|known| known.is_anyone_waiting()) else {
        return decision;
    };
    let position = decision
        .events
        .iter()
        .fold(state.position(), |sum, event| sum.plus(gain(state, event)));
    let mut rations = Rations::after(state, &decision.events, position);
    // Who may take nothing at first may not after others have taken.
    let may_take: Vec<Buyer<'_>> = backorders
        .buyers()
        .filter(|buyer| rations.for_buyer(*buyer) > Quantity::ZERO)
        .collect();
    if rations.is_empty() || may_take.is_empty() {
        return decision;
    }
    let mut granted = 0;
    let ended: Vec<HoldId> = decision.events.iter().filter_map(ended).cloned().collect();
    let still_waiting = backorders.waiting().filter(|(id, _)| !ended.contains(id));
    for (id, backorder) in still_waiting {
        if rations.is_empty() || granted == MAX_GRANTS {
            break;
        }
        let buyer = backorder.buyer(id);
        if !may_take.contains(&buyer) {
            continue;
        }
        let waiting = backorder.waiting.minus(given_up(&decision.events, id));
        let Some(quantity) = waiting.min(rations.for_buyer(buyer)).positive() else {
            continue;
        };
        rations.take(buyer, quantity.get());
        granted += 1;
        let held = state.hold(id).map_or(Quantity::ZERO, |hold| hold.granted.get());
        let answer = StockAnswer::Standing {
            held: held.plus(quantity.get()),
            waiting: waiting.minus(quantity.get()),
            revision: backorder.revision.saturating_add(1),
            due: backorder.due,
        };
        decision = tell(stock, id, answer, decision).and(StockEvent::Granted {
            id: id.clone(),
            quantity,
            at: now,
        });
    }
    if granted > 0 {
        correct_reply(state, &mut decision);
    }
    decision
}

pub(super) fn tell(
    stock: &StockId,
    id: &HoldId,
    answer: StockAnswer,
    decision: Decision<SkuWarehouse>,
) -> Decision<SkuWarehouse> {
    let answered = StockAnswered {
        sku: stock.sku.clone(),
        line: id.line,
        attempt: id.attempt,
        warehouse: stock.warehouse,
        answer,
        lots: None,
    };
    decision.send((id.order.clone(), OrderCommand::StockAnswered(answered)))
}

/// What can be sold after the decision is less by what was granted.
pub(super) fn correct_reply(state: &StockState, decision: &mut Decision<SkuWarehouse>) {
    if let StockReply::Accepted { available, shortfall } = &mut decision.reply {
        let mut after = state.clone();
        for event in &decision.events {
            apply(&mut after, event);
        }
        *available = after.available();
        *shortfall = after.shortfall();
    }
}

/// How much less of a hold waits after these events, as less is wanted.
fn given_up(events: &[StockEvent], hold: &HoldId) -> Quantity {
    let less = events.iter().filter_map(|event| {
        if let StockEvent::WaitsLess { id, quantity, .. } = event {
            (id == hold).then(|| quantity.get())
        } else {
            None
        }
    });
    less.fold(Quantity::ZERO, Quantity::plus)
}

fn ended(event: &StockEvent) -> Option<&HoldId> {
    match event {
        StockEvent::Ended { id, .. } => Some(id),
        StockEvent::Held { .. }
        | StockEvent::Adopted { .. }
        | StockEvent::Backordered { .. }
        | StockEvent::Granted { .. }
        | StockEvent::Withdrawn { .. }
        | StockEvent::Barred { .. }
        | StockEvent::Picked { .. }
        | StockEvent::ExpirySet { .. }
        | StockEvent::WaitsLess { .. }
        | StockEvent::Promised { .. }
        | StockEvent::PromisesUntil { .. }
        | StockEvent::MoveBegun { .. }
        | StockEvent::MoveFailed { .. }
        | StockEvent::Reduced { .. }
        | StockEvent::HeldAgain { .. }
        | StockEvent::Shipped { .. }
        | StockEvent::Received { .. }
        | StockEvent::Expected { .. }
        | StockEvent::Unexpected { .. }
        | StockEvent::Demanded { .. }
        | StockEvent::NotDemanded { .. }
        | StockEvent::Adjusted { .. }
        | StockEvent::Returned { .. }
        | StockEvent::Counted { .. }
        | StockEvent::SafetyStockSet { .. }
        | StockEvent::BackorderLimitSet { .. }
        | StockEvent::ChannelPolicySet { .. }
        | StockEvent::DriftRaised { .. }
        | StockEvent::DriftSettled { .. }
        | StockEvent::Included { .. }
        | StockEvent::Told { .. }
        | StockEvent::NumbersMissing { .. }
        | StockEvent::LotsCame { .. }
        | StockEvent::LotsWent { .. }
        | StockEvent::LotsWithheld { .. }
        | StockEvent::LotsReleased { .. }
        | StockEvent::InHand { .. }
        | StockEvent::Versioned { .. }
        | StockEvent::Forgotten { .. } => None,
    }
}

/// How much more can be sold after an event than before it; less is negative.
fn gain(state: &StockState, event: &StockEvent) -> Quantity {
    if let StockEvent::SafetyStockSet { quantity, before } = event {
        return before.minus(*quantity);
    }
    // These move goods that cannot be sold, too.
    if let StockEvent::Adjusted { .. } | StockEvent::Returned { .. } = event {
        let mut after = state.clone();
        apply(&mut after, event);
        return after.sellable().minus(state.sellable());
    }
    let held = event.held_change().map_or(Quantity::ZERO, |(_, held)| held);
    event.on_hand_change().minus(held)
}
