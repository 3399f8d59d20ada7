//! Available to promise by date: what can be promised for when, and from which goods.
//!
//! What is owed is served first, in the order of its dates: from what is there and comes until then, what lies in a lot that ends the
//! first to expire first, else the latest to come. A shortage is served by what comes next: it is real, and what would cause it
//! is not promised before. What is left over is free, each unit from its date on and until its lot ends. A promise
//! is for a date, on which all of it is there: the first one on which as much as is wanted is free.
//!
//! Invariants:
//! - what a promise takes leaves every dated demand as well served as before; without lots that end, promises never fall with time;
//! - each unit is on hand, or comes with a document that is due on the part's date; none is of a lot that may no longer be sold on the
//!   promise's date;
//! - a receipt whose date has passed is not promised until it has come or has another date; a demand whose date has
//!   passed is wanted now; what waits for goods is served first;
//! - holds are picked the first to expire first; safety stock and what is kept for other classes is what can be sold longest.

use super::allocation::Buyer;
use super::command::{Limited, StockRefusal, StockReply};
use super::decide::{StockDecision, accept, refuse, too_many, within};
use super::event::StockEvent;
use super::state::{DatedDemand, StockState};
use crate::ids::{ChannelName, ClassName, DocumentId, Region};
use crate::quantity::{PositiveQuantity, Quantity, take_first};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::time::Duration;

/// How many dated demands a pair may have at a time.
pub const MAX_DEMANDS: usize = 64;
/// How far ahead promises are made, unless the asker says otherwise.
pub const HORIZON: Duration = Duration::from_secs(30 * 86_400);

/// What somebody would like to be promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseWish {
    /// How much.
    pub quantity: PositiveQuantity,
    /// Until when at the latest; [`HORIZON`] from now if absent.
    pub until: Option<Timestamp>,
    /// For which channel; without a channel and a class, as if there were no channel policy.
    pub channel: Option<ChannelName>,
    /// Where to, if that is known.
    #[serde(default)]
    pub region: Option<Region>,
    /// For a customer of which class, if it has one; without a channel it counts alone.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl PromiseWish {
    /// For whom, if that is said.
    fn buyer(&self) -> Option<Buyer<'_>> {
        let channel = self.channel.as_ref().map(ChannelName::as_str);
        let class = self.customer_class.as_ref();
        // No channel has an empty name.
        let buyer = Buyer::from(channel.unwrap_or_default()).of_class(class);
        (channel.is_some() || class.is_some()).then_some(buyer)
    }
}

/// What can be promised, earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Of what, and when.
    pub parts: Vec<PromisedPart>,
    /// What cannot be promised in time.
    pub short: Quantity,
}

/// Units that come from one supply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromisedPart {
    /// How many.
    pub quantity: PositiveQuantity,
    /// When they are there.
    pub at: Timestamp,
    /// From what.
    pub supply: Supply,
    /// From when on they may no longer be sold, if they lie in a lot that ends.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl PromisedPart {
    /// Whether it can be sold at a moment, once it is there.
    pub(super) fn lasts(&self, moment: Timestamp) -> bool {
        self.until.is_none_or(|until| until > moment)
    }
}

/// Where goods come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supply {
    /// They are there.
    OnHand,
    /// They come with a purchase or transfer order.
    Document(DocumentId),
}

/// Something that happens on a date. What comes is there before what is wanted on the same one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step<'s> {
    Comes(&'s DocumentId, PositiveQuantity),
    Wanted(Quantity),
}

/// What is there, comes and is owed.
struct Outlook {
    units: Vec<Units>,
    /// What is owed and was not there.
    owed: Quantity,
}

/// Units that can be had from one moment on.
struct Units {
    supply: Supply,
    from: Timestamp,
    until: Option<Timestamp>,
    left: Quantity,
}

impl Units {
    fn is_there(&self, moment: Timestamp) -> bool {
        self.from <= moment && self.until.is_none_or(|until| until > moment)
    }

    fn part(&self) -> Option<PromisedPart> {
        Some(PromisedPart {
            quantity: self.left.positive()?,
            at: self.from,
            supply: self.supply.clone(),
            until: self.until,
        })
    }
}

impl Outlook {
    /// With so much kept back of what is there.
    fn new(state: &StockState, kept: Quantity, now: Timestamp) -> Self {
        let mut outlook = Self {
            units: Vec::new(),
            owed: Quantity::ZERO.minus(state.sellable()).at_least_zero(),
        };
        let loose = state.sellable().minus(state.in_lots());
        outlook.there(loose.at_least_zero(), None, now);
        for lot in state.lots() {
            outlook.there(lot.quantity.get(), lot.sell_until, now);
        }
        let overdue = state.demands().filter(|(_, demand)| demand.due <= now);
        let overdue = overdue.fold(Quantity::ZERO, |sum, (_, demand)| sum.plus(demand.quantity.get()));
        let held = state.reserved.plus(state.waiting()).plus(overdue);
        // As holds are picked: what lies in no lot first, then what expires first.
        outlook.owe(held, now, |_| ());
        outlook.owe(kept.plus(state.safety), now, |units| {
            (units.until.is_some(), Reverse(units.until))
        });
        for (at, step) in steps(state, now) {
            match step {
                Step::Comes(document, quantity) => outlook.comes(document, quantity, at),
                Step::Wanted(quantity) => outlook.owe(quantity, at, |units| {
                    (units.until.is_none(), units.until, Reverse(units.from))
                }),
            }
        }
        outlook
    }

    fn there(&mut self, left: Quantity, until: Option<Timestamp>, from: Timestamp) {
        self.units.push(Units {
            supply: Supply::OnHand,
            from,
            until,
            left,
        });
    }

    fn comes(&mut self, document: &DocumentId, quantity: PositiveQuantity, from: Timestamp) {
        let late = self.owed.min(quantity.get());
        self.owed = self.owed.minus(late);
        self.units.push(Units {
            supply: Supply::Document(document.clone()),
            from,
            until: None,
            left: quantity.get().minus(late),
        });
    }

    /// So much is owed at a moment, and taken from what is there then, in the order of `rank`.
    fn owe<R: Ord>(&mut self, quantity: Quantity, at: Timestamp, rank: impl Fn(&Units) -> R) {
        let mut open = quantity;
        let mut there: Vec<&mut Units> = self.units.iter_mut().filter(|units| units.is_there(at)).collect();
        there.sort_by_key(|units| rank(units));
        for units in there {
            let taken = units.left.min(open);
            units.left = units.left.minus(taken);
            open = open.minus(taken);
        }
        self.owed = self.owed.plus(open);
    }

    fn free_on(&self, date: Timestamp) -> Quantity {
        let there = self.units.iter().filter(|units| units.is_there(date));
        there.fold(Quantity::ZERO, |sum, units| sum.plus(units.left))
    }

    /// The first date until `until` on which so much is free, else that on which the most is.
    fn date(&self, most: Quantity, until: Timestamp, now: Timestamp) -> Timestamp {
        let coming = self.units.iter().map(|units| units.from);
        let mut best = (now, self.free_on(now));
        for date in coming.filter(|date| *date <= until) {
            let free = self.free_on(date);
            if best.1 < most && free > best.1 {
                best = (date, free);
            }
        }
        best.0
    }

    /// What can be promised until `until`, `most` at most.
    fn promise(&self, most: Quantity, until: Timestamp, now: Timestamp) -> Vec<PromisedPart> {
        let date = self.date(most, until, now);
        let there = self.units.iter().filter(|units| units.is_there(date));
        let mut parts: Vec<PromisedPart> = there.filter_map(Units::part).collect();
        parts.sort_by_key(|part| (part.at, part.until.is_none(), part.until));
        take_first(&mut parts.into(), most, |part| &mut part.quantity)
    }
}

/// What happens after now, by date.
fn steps(state: &StockState, now: Timestamp) -> Vec<(Timestamp, Step<'_>)> {
    let comes = state
        .receipts()
        .map(|(document, receipt)| (receipt.due, Step::Comes(document, receipt.quantity)));
    let wanted = state
        .demands()
        .map(|(_, demand)| (demand.due, Step::Wanted(demand.quantity.get())));
    let mut steps: Vec<_> = comes.chain(wanted).filter(|(at, _)| *at > now).collect();
    steps.sort_unstable();
    steps
}

impl StockState {
    /// The dated demands.
    pub fn demands(&self) -> impl Iterator<Item = (&DocumentId, &DatedDemand)> {
        let appendix = self.appendix().into_iter();
        appendix.flat_map(|appendix| appendix.demands.iter())
    }

    /// What can be promised.
    #[must_use]
    pub fn promise(&self, wish: &PromiseWish, now: Timestamp) -> Promise {
        let until = wish.until.unwrap_or_else(|| now.after(HORIZON));
        let wanted = wish.quantity.get();
        let (kept, most) = match wish.buyer() {
            Some(buyer) => self.kept_from(buyer),
            None => (Quantity::ZERO, None),
        };
        let most = most.map_or(wanted, |most| most.min(wanted));
        let mut promise = Promise {
            parts: Outlook::new(self, kept, now).promise(most, until, now),
            short: Quantity::ZERO,
        };
        promise.short = wanted.minus(promise.quantity());
        promise
    }
}

impl Promise {
    /// How much is promised.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        self.parts
            .iter()
            .fold(Quantity::ZERO, |sum, part| sum.plus(part.quantity.get()))
    }

    /// When all of it is there; `None` if some of it cannot be promised.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        let last = self.parts.last().map(|part| part.at);
        last.filter(|_| self.short == Quantity::ZERO)
    }
}

/// Something will be wanted.
pub(super) fn demand(
    state: &StockState,
    document: &DocumentId,
    quantity: PositiveQuantity,
    due: Timestamp,
) -> StockDecision {
    if wanted(state, document).is_none() && state.demands().count() >= MAX_DEMANDS {
        return refuse(too_many(Limited::Demands, MAX_DEMANDS));
    }
    let all = state
        .demands()
        .try_fold(quantity.get(), |sum, (_, demand)| sum.add(demand.quantity.get()));
    within(all, super::command::Bucket::Demand).map_or_else(refuse, |_| {
        accept(
            state,
            StockEvent::Demanded {
                document: document.clone(),
                quantity,
                due,
                instead_of: wanted(state, document).unwrap_or_default(),
            },
        )
    })
}

fn wanted(state: &StockState, document: &DocumentId) -> Option<Quantity> {
    let demand = state.appendix()?.demands.get(document)?;
    Some(demand.quantity.get())
}

/// It will not.
pub(super) fn no_demand(state: &StockState, document: &DocumentId) -> StockDecision {
    let Some(was) = wanted(state, document) else {
        return refuse(StockRefusal::UnknownDocument);
    };
    accept(
        state,
        StockEvent::NotDemanded {
            document: document.clone(),
            was,
        },
    )
}

pub(super) fn answer(state: &StockState, wish: &PromiseWish, now: Timestamp) -> StockDecision {
    Decision::answer(StockReply::Promised(state.promise(wish, now)))
}
