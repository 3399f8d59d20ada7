//! Available to promise by date: what can be promised for when, and from which goods.
//!
//! What is there and due is added up date by date, what is wanted by then is taken off. A shortage later on is real: what
//! would cause it is not promised before. So the promise for a date is the least that is left on it or on any later
//! date, and at least nothing.
//!
//! Invariants:
//! - promises never fall with time, and what a promise takes leaves every dated demand as well served as before;
//! - each unit is on hand, or comes with a document that is due on the promise's date;
//! - a receipt whose date has passed is not promised until it has come or has another date; a demand whose date has
//!   passed is wanted now; what waits for goods is served first.

use super::command::{Limited, StockRefusal, StockReply};
use super::decide::{StockDecision, accept, refuse, too_many, within};
use super::event::StockEvent;
use super::state::{DatedDemand, StockState};
use crate::ids::{ChannelName, DocumentId};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// For which channel; as if there were no channel policy if absent.
    pub channel: Option<ChannelName>,
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

/// A date on which something comes or is wanted.
#[derive(Default)]
struct Day<'s> {
    supply: Vec<(&'s DocumentId, Quantity)>,
    net: Quantity,
}

/// What is there, comes and is wanted from a moment on.
pub(super) struct Outlook<'s> {
    opening: Quantity,
    days: BTreeMap<Timestamp, Day<'s>>,
}

impl<'s> Outlook<'s> {
    /// With `opening` left of what is there.
    pub(super) fn new(state: &'s StockState, opening: Quantity, now: Timestamp) -> Self {
        let mut outlook = Self {
            opening,
            days: BTreeMap::new(),
        };
        for (document, receipt) in state.receipts().filter(|(_, receipt)| receipt.due > now) {
            let day = outlook.days.entry(receipt.due).or_default();
            day.supply.push((document, receipt.quantity.get()));
            day.net = day.net.plus(receipt.quantity.get());
        }
        for (_, demand) in state.demands() {
            let wanted = demand.quantity.get();
            if demand.due > now {
                let day = outlook.days.entry(demand.due).or_default();
                day.net = day.net.minus(wanted);
            } else {
                outlook.opening = outlook.opening.minus(wanted);
            }
        }
        outlook
    }

    /// The least that is left from now on, and from each date on. Negative where something is short.
    pub(super) fn least_left(&self) -> Vec<Quantity> {
        let mut left = self.opening;
        let mut least = vec![left];
        for day in self.days.values() {
            left = left.plus(day.net);
            least.push(left);
        }
        for place in (1..least.len()).rev() {
            least[place - 1] = least[place - 1].min(least[place]);
        }
        least
    }

    /// What can be promised until `until`, `most` at most.
    fn promise(&self, most: Quantity, until: Timestamp, now: Timestamp) -> Vec<PromisedPart> {
        let least = self.least_left();
        let mut parts = Vec::new();
        let mut promised = Quantity::ZERO;
        let mut take = |supply: Supply, at: Timestamp, up_to: Quantity, of: Quantity| {
            let more = up_to.min(most).minus(promised).min(of);
            if let Some(quantity) = more.positive() {
                promised = promised.plus(more);
                parts.push(PromisedPart { quantity, at, supply });
            }
        };
        let first = least.first().copied().unwrap_or_default();
        take(Supply::OnHand, now, first, first);
        let days = self.days.iter().zip(least.iter().skip(1));
        for ((at, day), least) in days.take_while(|((at, _), _)| **at <= until) {
            // More can be promised only on a day on which something comes, and no more than comes.
            for (document, quantity) in &day.supply {
                take(Supply::Document((*document).clone()), *at, *least, *quantity);
            }
        }
        parts
    }
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
        let (kept, most) = match &wish.channel {
            Some(channel) => self.kept_from(channel.as_str()),
            None => (Quantity::ZERO, None),
        };
        let opening = self.position().minus(self.waiting()).minus(kept);
        let most = most.map_or(wanted, |most| most.min(wanted));
        let mut promise = Promise {
            parts: Outlook::new(self, opening, now).promise(most, until, now),
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
