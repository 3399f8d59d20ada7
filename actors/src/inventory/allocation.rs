//! Allocation of a pair's stock to classes of buyers: what is kept for some, and what others may take at most.
//!
//! An order is of the class that bears the name of its customer's class ([`crate::pricing::contract::Contract::customer_class`]), else
//! of the class that its channel is in. So a strategic customer's stock is safe from a burst of the marketplaces, whichever channel the
//! customer orders through. A hold that no order took by itself, such as a cart, counts for its channel; once its order makes it its
//! own, what is left of it counts for the order's class.
//!
//! What a class has taken is counted from the moment the policy is set, shipped or not; what is given back is taken off
//! again. From the counts follows what each class may still take of what is available to sell:
//! - what is protected for another class, and not yet taken by it, is not for this one; no more is protected for a class than
//!   its cap lets it take;
//! - a class takes no more than its cap.
//!
//! Invariants:
//! - a hold never takes more than its class may;
//! - where a backorder limit is declared, no more of a class waits than its cap will let it take;
//! - what a class has taken is the sum of what the holds counted for it have taken, and what of them was shipped.

use super::apply::apply;
use super::backorder::Backorders;
use super::command::{HoldStock, Limited, StockRefusal, StockReply};
use super::decide::{StockDecision, accept, refuse, too_many};
use super::event::StockEvent;
use super::state::{Book, Hold, HoldEnd, StockState};
use crate::ids::{ChannelName, ClassName, HoldId};
use crate::money::Percent;
use crate::quantity::Quantity;
use crate::reference::ClassLevel;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::{RoundingStrategy, ToPrimitive};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many classes a policy may have.
pub const MAX_CLASSES: usize = 16;
/// How many channels a class may have.
pub const MAX_CHANNELS: usize = 64;

/// Who takes goods, as far as its class goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buyer<'a> {
    channel: &'a str,
    customer_class: Option<&'a ClassName>,
}

impl<'a> Buyer<'a> {
    /// Whose a hold is, of an order whose customer is of this class, if of any.
    #[must_use]
    pub fn new(hold: &'a HoldId, customer_class: Option<&'a ClassName>) -> Self {
        Self {
            customer_class,
            ..Self::from(hold.order.channel())
        }
    }

    /// The same channel, for a customer of this class, if of any.
    #[must_use]
    pub fn of_class(self, customer_class: Option<&'a ClassName>) -> Self {
        Self {
            customer_class,
            ..self
        }
    }

    /// Which class is its: the one of the customer's name, else the one that has the channel.
    pub(crate) fn place_among<C>(
        self,
        classes: &[C],
        members: impl Fn(&C) -> (&ClassName, &[ChannelName]),
    ) -> Option<usize> {
        let is_named = |class| Some(members(class).0) == self.customer_class;
        let has = |class| members(class).1.iter().any(|name| name.as_str() == self.channel);
        let named = classes.iter().position(is_named);
        named.or_else(|| classes.iter().position(has))
    }
}

impl<'a> From<&'a str> for Buyer<'a> {
    /// Whoever buys over a channel, of a customer class or not.
    fn from(channel: &'a str) -> Self {
        Self {
            channel,
            customer_class: None,
        }
    }
}

/// Which buyers may take how much. A buyer in no class has no cap, and nothing is kept for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelPolicy {
    /// Its version; an equal or older one changes nothing, a newer one begins to count anew.
    pub version: u64,
    /// The classes; without any the policy is lifted.
    pub classes: Vec<ChannelClass>,
}

/// Channels and customers that share what they may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelClass {
    /// What it is called. Customers of a class of this name are in it.
    pub name: ClassName,
    /// Its channels; without any it is for customers alone.
    pub channels: Vec<ChannelName>,
    /// What others may not take from it.
    pub protected: Option<Share>,
    /// What it may take at most.
    pub cap: Option<Share>,
    /// What is sold but not shown, so that a channel that hears late does not sell what is gone.
    pub buffer: Quantity,
    /// What is shown at most, here and together with all other warehouses that say so ([`crate::reference::shown_together`]).
    pub show_at_most: Option<Quantity>,
}

/// A part of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// So many.
    Units(Quantity),
    /// Of all that has been for sale since the policy was set: what can be sold now and what was taken.
    Percent(Percent),
}

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyFlaw {
    /// Two classes have one name.
    #[error("class {0} is there twice")]
    RepeatedClass(ClassName),
    /// A channel is in two classes, or twice in one.
    #[error("channel {0} is there twice")]
    RepeatedChannel(ChannelName),
    /// More is kept for a class than it may take.
    #[error("protected: more is kept for class {0} than its cap lets it take")]
    ProtectedAboveCap(ClassName),
    /// More is kept for the classes than there is.
    #[error("protected: with class {0} more than all of the stock is kept, in percent")]
    ProtectedAboveAll(ClassName),
    /// A quantity below zero.
    #[error("class {0} has a quantity below zero")]
    Negative(ClassName),
}

/// A policy in force, and what was taken under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelBook {
    /// The policy.
    pub policy: ChannelPolicy,
    /// What each class has taken, in the policy's order; at last, what buyers in no class have.
    pub taken: Vec<Quantity>,
    /// The live holds that are counted.
    #[serde(with = "super::state::pairs")]
    pub counted: BTreeMap<HoldId, CountedHold>,
}

/// A live hold that is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountedHold {
    /// Its class's place.
    pub class: usize,
    /// What it has taken.
    pub taken: Quantity,
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

impl Share {
    fn of(self, whole: Quantity, rounding: Rounding) -> Quantity {
        let percent = match self {
            Self::Units(quantity) => return quantity,
            Self::Percent(percent) => percent,
        };
        let strategy = match rounding {
            Rounding::Up => RoundingStrategy::ToPositiveInfinity,
            Rounding::Down => RoundingStrategy::ToZero,
        };
        // At most 10^12 units and six digits of percent: exact.
        let part = Decimal::from(whole.units()) * percent.get() * Decimal::new(1, 2);
        let part = part.round_dp_with_strategy(0, strategy).to_i64();
        part.and_then(|part| Quantity::new(part).ok()).unwrap_or(whole)
    }
}

impl ChannelPolicy {
    /// The place of a buyer's class; after the last for a buyer in none.
    fn place_of(&self, buyer: Buyer<'_>) -> usize {
        let place = buyer.place_among(&self.classes, |class| (&class.name, &class.channels));
        place.unwrap_or(self.classes.len())
    }

    /// What the class at `place` may still take of what is available to all, when so much was `taken`.
    fn available_to(&self, taken: &[Quantity], available: Quantity, place: usize) -> Quantity {
        let (kept, left) = self.kept_from(taken, available, place);
        let free = available.minus(kept).at_least_zero();
        left.map_or(free, |left| free.min(left))
    }

    /// What is kept for other classes than that at `place`, and what its cap still lets it take.
    fn kept_from(
        &self,
        taken: &[Quantity],
        available: Quantity,
        place: usize,
    ) -> (Quantity, Option<Quantity>) {
        let whole = taken.iter().fold(available, |sum, taken| sum.plus(*taken));
        let others = self.classes.iter().zip(taken).enumerate();
        let kept = others
            .filter(|(other, _)| *other != place)
            .filter_map(|(_, (class, taken))| {
                let protected = class.protected?.of(whole, Rounding::Up);
                let cap = class.cap.map(|cap| cap.of(whole, Rounding::Down));
                let kept = cap.map_or(protected, |cap| protected.min(cap));
                Some(kept.minus(*taken).at_least_zero())
            })
            .fold(Quantity::ZERO, Quantity::plus);
        let cap = self.classes.get(place).and_then(|class| class.cap);
        let left = cap.zip(taken.get(place)).map(|(cap, taken)| {
            let left = cap.of(whole, Rounding::Down).minus(*taken);
            left.at_least_zero()
        });
        (kept, left)
    }

    /// What is wrong with it where so much can be sold.
    fn flaw(&self, available: Quantity) -> Option<PolicyFlaw> {
        let (mut names, mut channels) = (BTreeSet::new(), BTreeSet::new());
        let mut protected = Decimal::ZERO;
        for class in &self.classes {
            if !names.insert(&class.name) {
                return Some(PolicyFlaw::RepeatedClass(class.name.clone()));
            }
            if let Some(twice) = class.channels.iter().find(|name| !channels.insert(*name)) {
                return Some(PolicyFlaw::RepeatedChannel(twice.clone()));
            }
            if let Some(flaw) = class.flaw(available) {
                return Some(flaw);
            }
            if let Some(Share::Percent(percent)) = class.protected {
                protected += percent.get();
            }
            if protected > Decimal::ONE_HUNDRED {
                return Some(PolicyFlaw::ProtectedAboveAll(class.name.clone()));
            }
        }
        None
    }
}

impl ChannelBook {
    fn new(policy: ChannelPolicy) -> Self {
        Self {
            taken: vec![Quantity::ZERO; policy.classes.len() + 1],
            policy,
            counted: BTreeMap::new(),
        }
    }

    fn available_to(&self, available: Quantity, place: usize) -> Quantity {
        self.policy.available_to(&self.taken, available, place)
    }

    /// What is shown to each class, with what may be sold `ahead` of its being there. So much of each waits already.
    fn levels(&self, available: Quantity, ahead: Quantity, waiting: &[Quantity]) -> Vec<ClassLevel> {
        let classes = self.policy.classes.iter().zip(waiting).enumerate();
        classes
            .map(|(place, (class, waiting))| {
                let for_class = self.available_to(available, place);
                let shown = class.shown(for_class);
                let ahead = self.ahead(available, ahead, place, for_class.plus(*waiting));
                ClassLevel {
                    name: class.name.clone(),
                    channels: class.channels.clone(),
                    available: shown,
                    ahead: class.shown(for_class.plus(ahead)).minus(shown),
                    show_at_most: class.show_at_most,
                }
            })
            .collect()
    }

    /// What of `ahead` the class at `place` may take: its cap has to let it take it on top of what it takes before.
    fn ahead(&self, available: Quantity, ahead: Quantity, place: usize, before: Quantity) -> Quantity {
        let (_, left) = self.policy.kept_from(&self.taken, available, place);
        left.map_or(ahead, |left| ahead.min(left.minus(before).at_least_zero()))
    }

    /// How much of each class waits for goods; at last, of buyers in no class.
    fn waiting(&self, backorders: Option<&Backorders>) -> Vec<Quantity> {
        let mut sums = vec![Quantity::ZERO; self.taken.len()];
        for (id, backorder) in backorders.into_iter().flat_map(Backorders::waiting) {
            let place = self.policy.place_of(backorder.buyer(id));
            add(&mut sums, (place, backorder.waiting));
        }
        sums
    }

    /// Which class has taken how much more once `event` has happened to a hold of the buyer; less if it was given back. What a hold
    /// had before the policy was set is not given back to its class, and what is shipped stays taken.
    fn taken_by(&self, event: &StockEvent, buyer: Buyer<'_>) -> Option<(usize, Quantity)> {
        let (hold, change) = event.held_change()?;
        if matches!(event, StockEvent::Shipped { .. }) {
            return None;
        }
        if change > Quantity::ZERO {
            return Some((self.policy.place_of(buyer), change));
        }
        let counted = self.counted.get(hold)?;
        let given_back = Quantity::ZERO.minus(change).min(counted.taken);
        Some((counted.class, Quantity::ZERO.minus(given_back)))
    }

    /// Counts what `event` took, or gave back.
    fn count(&mut self, event: &StockEvent, buyer: Buyer<'_>) {
        let change = self.taken_by(event, buyer);
        if let (Some((class, more)), Some((hold, _))) = (change, event.held_change()) {
            self.take(hold, class, more);
        }
    }

    fn take(&mut self, hold: &HoldId, class: usize, more: Quantity) {
        add(&mut self.taken, (class, more));
        let none = CountedHold {
            class,
            taken: Quantity::ZERO,
        };
        let counted = self.counted.entry(hold.clone()).or_insert(none.clone());
        if counted.class != class {
            *counted = none;
        }
        counted.taken = counted.taken.plus(more);
    }

    /// A cart that holds so much is its order's: that counts for the order's class.
    fn adopt(&mut self, hold: &HoldId, open: Quantity, buyer: Buyer<'_>) {
        let place = self.policy.place_of(buyer);
        let counted = self.counted.get(hold).filter(|counted| counted.class != place);
        if let Some(CountedHold { class, taken }) = counted.cloned() {
            let moved = open.min(taken);
            self.take(hold, class, Quantity::ZERO.minus(moved));
            self.take(hold, place, moved);
        }
    }
}

/// What each class will have taken once `events` have happened.
fn taken_after(state: &StockState, book: &ChannelBook, events: &[StockEvent]) -> Vec<Quantity> {
    // A cart that goes over to another class is rare: it is tried.
    if events
        .iter()
        .any(|event| matches!(event, StockEvent::Adopted { .. }))
    {
        let mut after = state.clone();
        events.iter().for_each(|event| apply(&mut after, event));
        return after.channels().map_or_else(Vec::new, |book| book.taken.clone());
    }
    let mut after = book.taken.clone();
    let changes = events.iter().filter_map(|event| {
        let (hold, _) = event.held_change()?;
        let class = if let StockEvent::Held { customer_class, .. } = event {
            customer_class.as_ref()
        } else {
            state.customer_class(hold)
        };
        book.taken_by(event, Buyer::new(hold, class))
    });
    changes.for_each(|change| add(&mut after, change));
    after
}

fn add(taken: &mut [Quantity], (class, more): (usize, Quantity)) {
    if let Some(taken) = taken.get_mut(class) {
        *taken = taken.plus(more);
    }
}

impl ChannelClass {
    fn shown(&self, available: Quantity) -> Quantity {
        let shown = available.minus(self.buffer).at_least_zero();
        self.show_at_most.map_or(shown, |most| shown.min(most))
    }

    fn flaw(&self, available: Quantity) -> Option<PolicyFlaw> {
        let units = |share: Option<Share>| match share {
            Some(Share::Units(quantity)) => Some(quantity),
            Some(Share::Percent(_)) | None => None,
        };
        let (protected, cap) = (units(self.protected), units(self.cap));
        let quantities = [protected, cap, Some(self.buffer), self.show_at_most];
        if quantities
            .into_iter()
            .flatten()
            .any(|quantity| quantity < Quantity::ZERO)
        {
            return Some(PolicyFlaw::Negative(self.name.clone()));
        }
        let is_above = match self.protected.zip(self.cap) {
            Some((Share::Units(protected), Share::Units(cap))) => protected > cap,
            Some((Share::Percent(protected), Share::Percent(cap))) => protected > cap,
            // How many percent units are is known once there is something.
            Some((
                protected @ (Share::Units(_) | Share::Percent(_)),
                cap @ (Share::Units(_) | Share::Percent(_)),
            )) => {
                let of_all = |share: Share| share.of(available, Rounding::Down);
                available > Quantity::ZERO && of_all(protected) > of_all(cap)
            }
            None => false,
        };
        is_above.then(|| PolicyFlaw::ProtectedAboveCap(self.name.clone()))
    }
}

impl StockState {
    /// The policy in force.
    #[must_use]
    pub fn channels(&self) -> Option<&ChannelBook> {
        self.appendix()?.channels.as_ref()
    }

    /// The class of the customer of a hold's order, if it has one.
    pub(super) fn customer_class(&self, id: &HoldId) -> Option<&ClassName> {
        let held = self.hold(id).and_then(|hold| hold.customer_class.as_ref());
        let waits = || self.backorders()?.get(id)?.customer_class.as_ref();
        held.or_else(waits)
    }

    /// What a new hold of `buyer` may take.
    #[must_use]
    pub fn available_to<'b>(&self, buyer: impl Into<Buyer<'b>>) -> Quantity {
        let available = self.available();
        self.channels().map_or(available, |book| {
            book.available_to(available, book.policy.place_of(buyer.into()))
        })
    }

    /// What is kept for other classes than that of `buyer`, and what its cap still lets it take.
    pub(super) fn kept_from(&self, buyer: Buyer<'_>) -> (Quantity, Option<Quantity>) {
        self.channels().map_or((Quantity::ZERO, None), |book| {
            let place = book.policy.place_of(buyer);
            book.policy.kept_from(&book.taken, self.available(), place)
        })
    }

    /// What is shown to each class.
    pub(super) fn class_levels(&self) -> Vec<ClassLevel> {
        let Some(book) = self.channels() else {
            return Vec::new();
        };
        let ahead = self.may_still_wait().unwrap_or(Quantity::ZERO);
        // What waits matters only where more may.
        let waiting = self.backorders().filter(|_| ahead > Quantity::ZERO);
        book.levels(self.available(), ahead, &book.waiting(waiting))
    }

    /// How much more for `buyer` may begin to wait once it takes so much of what is there, where that is limited.
    pub(super) fn may_wait_for(&self, buyer: Buyer<'_>, takes: Quantity) -> Option<Quantity> {
        let room = self.may_still_wait()?;
        let Some(book) = self.channels() else {
            return Some(room);
        };
        let place = book.policy.place_of(buyer);
        let waiting = book.waiting(self.backorders());
        let before = waiting.get(place).map_or(takes, |waiting| takes.plus(*waiting));
        Some(book.ahead(self.available(), room, place, before))
    }

    /// What is shown to buyers in no class, where there are classes.
    pub(super) fn unclassed_level(&self) -> Option<Quantity> {
        let book = self.channels().filter(|book| !book.policy.classes.is_empty())?;
        Some(book.available_to(self.available(), book.policy.classes.len()))
    }
}

/// Whether an order is of another class than its cart, which counts for its channel.
pub(super) fn leaves_class_of_cart(state: &StockState, wish: &HoldStock) -> bool {
    let place = |buyer| state.channels().map(|book| book.policy.place_of(buyer));
    place(wish.buyer()) != place(Buyer::new(&wish.id, None))
}

/// What of a cart that counts for another class, and beyond, an order may take.
pub(super) fn room_for_cart(state: &StockState, cart: &Hold, wish: &HoldStock) -> Quantity {
    let given_back = StockEvent::Ended {
        id: wish.id.clone(),
        end: HoldEnd::Transferred,
        quantity: cart.open(),
        at: Timestamp::default(),
    };
    let rations = Rations::once_given_back(state, &given_back, cart.open());
    rations.for_buyer(wish.buyer()).plus(cart.shipped)
}

/// What each buyer may take while several holds are served one after the other.
pub(super) struct Rations<'s> {
    position: Quantity,
    channels: Option<(&'s ChannelPolicy, Vec<Quantity>)>,
}

impl<'s> Rations<'s> {
    /// As things stand.
    pub(super) fn of(state: &'s StockState) -> Self {
        Self::after(state, &[], state.position())
    }

    /// Once `events` have happened and `position` is left.
    pub(super) fn after(state: &'s StockState, events: &[StockEvent], position: Quantity) -> Self {
        let channels = state
            .channels()
            .map(|book| (&book.policy, taken_after(state, book, events)));
        Self { position, channels }
    }

    /// Once a hold has given back so much, as `ended` says. What was held may be more than there is; then its class has what it had.
    pub(super) fn once_given_back(state: &'s StockState, ended: &StockEvent, open: Quantity) -> Self {
        let position = state.position().plus(open).max(open);
        Self::after(state, std::slice::from_ref(ended), position)
    }

    /// Whether there is nothing for anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.position <= Quantity::ZERO
    }

    /// What a hold of `buyer` may take.
    pub(super) fn for_buyer(&self, buyer: Buyer<'_>) -> Quantity {
        let available = self.position.at_least_zero();
        self.channels.as_ref().map_or(available, |(policy, taken)| {
            policy.available_to(taken, available, policy.place_of(buyer))
        })
    }

    /// So much more is there.
    pub(super) fn come(&mut self, quantity: Quantity) {
        self.position = self.position.plus(quantity);
    }

    /// A hold of `buyer` takes so much.
    pub(super) fn take(&mut self, buyer: Buyer<'_>, quantity: Quantity) {
        self.position = self.position.minus(quantity);
        if let Some((policy, taken)) = &mut self.channels {
            add(taken, (policy.place_of(buyer), quantity));
        }
    }
}

/// Decides a new policy.
pub(super) fn decide(state: &StockState, policy: &ChannelPolicy) -> StockDecision {
    let known = state.channels().map_or(0, |book| book.policy.version);
    if policy.version <= known {
        return Decision::answer(StockReply::Stale { known });
    }
    if policy.classes.len() > MAX_CLASSES {
        return refuse(too_many(Limited::Classes, MAX_CLASSES));
    }
    if policy
        .classes
        .iter()
        .any(|class| class.channels.len() > MAX_CHANNELS)
    {
        return refuse(too_many(Limited::Channels, MAX_CHANNELS));
    }
    match policy.flaw(state.available()) {
        Some(flaw) => refuse(StockRefusal::Policy(flaw)),
        None => accept(
            state,
            StockEvent::ChannelPolicySet {
                policy: policy.clone(),
            },
        ),
    }
}

pub(super) fn set(state: &mut StockState, policy: &ChannelPolicy) {
    state.appendix_mut().channels = Some(ChannelBook::new(policy.clone()));
}

/// Counts what an event took, or gave back. After the event itself was applied.
pub(super) fn keep_count(book: &mut Book, event: &StockEvent) {
    let appendix = book.appendix.as_mut();
    let Some(channels) = appendix.and_then(|appendix| appendix.channels.as_mut()) else {
        return;
    };
    let Some((id, change)) = event.held_change() else {
        return;
    };
    let hold = book.holds.get(id);
    let buyer = Buyer::new(id, hold.and_then(|hold| hold.customer_class.as_ref()));
    if let (StockEvent::Adopted { .. }, Some(hold)) = (event, hold) {
        channels.adopt(id, hold.open().minus(change), buyer);
    }
    channels.count(event, buyer);
    if hold.is_none() {
        channels.counted.remove(id);
    }
}
