//! Holds beyond one line: lines held together, and holds that are prolonged, made less, or given to another order.
//!
//! A hold that ends by itself is soft (a cart), any other is hard (an order). Soft or hard, what is held is held.
//!
//! Invariants:
//! - lines held together are held all or none;
//! - a hold is never made more, nor less than what of it was shipped; what of it waits for goods is given up first;
//! - what is given to another order was never free in between, and the other order's channel may take it;
//! - what an order has taken by itself is changed by that order alone: it would not hear of what others do with it.

use super::allocation::{Buyer, Rations};
use super::backorder::Priority;
use super::command::{HoldMode, HoldStock, Limited, StockCommand, StockRefusal, StockReply};
use super::decide::{StockDecision, hold_stock, refuse, too_many};
use super::event::StockEvent;
use super::state::{Hold, HoldEnd, StockState};
use crate::ids::{HoldId, OrderKey};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::message::Origin;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many lines may be held together.
pub const MAX_LINES: usize = 64;

/// The wish to hold several lines of an order, all or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldLines {
    /// The order.
    pub order: OrderKey,
    /// The attempt at reserving, from 1.
    pub attempt: u16,
    /// The lines and how much of each; at most [`MAX_LINES`].
    pub lines: Vec<(u16, PositiveQuantity)>,
    /// When they end by themselves, if they do.
    pub expires: Option<Timestamp>,
}

/// What becomes of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldChange {
    /// It ends by itself then, or never.
    Expire(Option<Timestamp>),
    /// It holds so much, shipments included, and gives the rest back.
    Reduce(PositiveQuantity),
    /// What of it was not shipped is held under another name.
    Transfer(HoldId),
}

/// Keeps from others what an order has taken by itself. To hold it again changes nothing.
pub(super) fn guard(state: &StockState, command: &StockCommand, origin: Origin) -> Result<(), StockRefusal> {
    match origin {
        Origin::External(_) => match command.hold() {
            Some((hold, _)) if !command.only_holds() && state.is_of_an_order(hold) => {
                Err(StockRefusal::OfAnOrder)
            }
            Some(_) | None => Ok(()),
        },
        Origin::Entity { .. } | Origin::Alarm => Ok(()),
    }
}

impl StockCommand {
    /// Without the unit, the lots, the number and the version that it is told with.
    pub(super) fn plain(&self) -> &Self {
        if let Self::Numbered { change, .. }
        | Self::Versioned { change, .. }
        | Self::InUnit { change, .. }
        | Self::InLots { change, .. } = self
        {
            change.plain()
        } else {
            self
        }
    }

    fn only_holds(&self) -> bool {
        matches!(self.plain(), Self::Hold(_))
    }

    /// The hold that it is about, and the order that waits for the answer. What only stocks say is about none.
    pub(super) fn hold(&self) -> Option<(&HoldId, Option<&OrderKey>)> {
        match self.plain() {
            Self::Hold(HoldStock { id, answer_to, .. })
            | Self::Release { id, answer_to }
            | Self::Ship { id, answer_to, .. } => Some((id, answer_to.as_ref())),
            Self::ChangeHold { id, .. } | Self::MoveHold { id, .. } | Self::ConfirmPick { id } => {
                Some((id, None))
            }
            Self::Numbered { .. }
            | Self::InUnit { .. }
            | Self::InLots { .. }
            | Self::HoldLines(_)
            | Self::TakeOver(_)
            | Self::TakenOver { .. }
            | Self::Receive { .. }
            | Self::Expect { .. }
            | Self::Unexpect { .. }
            | Self::Demand { .. }
            | Self::NoDemand { .. }
            | Self::Adjust { .. }
            | Self::Return { .. }
            | Self::Count(_)
            | Self::Reconcile(_)
            | Self::Versioned { .. }
            | Self::SetSafetyStock { .. }
            | Self::SetBackorderLimit { .. }
            | Self::SetChannelPolicy(_)
            | Self::Promise(_)
            | Self::Picks { .. }
            | Self::Overview
            | Self::Show => None,
        }
    }
}

impl StockState {
    /// Whether an order has taken a hold by itself, and is told what becomes of it.
    fn is_of_an_order(&self, id: &HoldId) -> bool {
        self.hold(id).is_some_and(|hold| hold.rank.is_some()) || self.standing(id).is_some()
    }
}

/// Holds lines of an order that stand for the same goods: each alone might fit where together they do not.
pub(super) fn hold_lines(state: &StockState, wish: &HoldLines, now: Timestamp) -> StockDecision {
    if wish.lines.len() > MAX_LINES {
        return refuse(too_many(Limited::Lines, MAX_LINES));
    }
    let mut numbers = BTreeSet::new();
    if let Some((line, _)) = wish.lines.iter().find(|(line, _)| !numbers.insert(line)) {
        return refuse(StockRefusal::RepeatedLine { line: *line });
    }
    let mut state = state.clone();
    let mut decision = Decision::answer(StockReply::Released {
        quantity: Quantity::ZERO,
    });
    let mut sum = Quantity::ZERO;
    for (line, quantity) in &wish.lines {
        let one = HoldStock {
            id: HoldId {
                order: wish.order.clone(),
                line: *line,
                attempt: wish.attempt,
            },
            quantity: *quantity,
            mode: HoldMode::All,
            expires: wish.expires,
            priority: Priority::default(),
            answer_to: None,
            customer_class: None,
        };
        let held = hold_stock(&state, &one, now);
        let StockReply::Held { quantity } = held.reply else {
            return Decision::answer(held.reply);
        };
        sum = sum.plus(quantity.get());
        for event in held.events {
            super::apply::apply(&mut state, &event);
            decision = decision.and(event);
        }
    }
    match sum.positive() {
        Some(quantity) => Decision {
            reply: StockReply::Held { quantity },
            ..decision
        },
        None => decision,
    }
}

/// Changes a hold.
pub(super) fn change(state: &StockState, id: &HoldId, change: &HoldChange, now: Timestamp) -> StockDecision {
    let waits = state.standing(id).is_some();
    match (state.hold(id), change) {
        (_, HoldChange::Transfer(_)) if waits => refuse(StockRefusal::Waits),
        (hold, HoldChange::Reduce(to)) if waits => reduce_waiting(state, id, hold, *to, now),
        (_, HoldChange::Expire(Some(_))) if waits => refuse(StockRefusal::BackorderExpires),
        (Some(hold), HoldChange::Expire(at)) => expire(id, hold, *at, now),
        (Some(hold), HoldChange::Reduce(to)) => reduce(id, hold, *to, now),
        (Some(hold), HoldChange::Transfer(to)) => transfer(state, id, hold, to, now),
        (None, HoldChange::Transfer(to)) => transferred(state, id, to),
        (None, HoldChange::Expire(_) | HoldChange::Reduce(_)) => gone(state, id),
    }
}

fn held(hold: &Hold) -> StockReply {
    StockReply::Held {
        quantity: hold.granted,
    }
}

fn gone(state: &StockState, id: &HoldId) -> StockDecision {
    refuse(match state.closed(id) {
        Some(closed) => StockRefusal::Ended {
            end: closed.end,
            shipped: closed.shipped,
        },
        None => StockRefusal::UnknownHold,
    })
}

fn expire(id: &HoldId, hold: &Hold, at: Option<Timestamp>, now: Timestamp) -> StockDecision {
    if hold.expires == at {
        return Decision::answer(held(hold));
    }
    if at.is_some_and(|at| at <= now) {
        return refuse(StockRefusal::AlreadyExpired);
    }
    if hold.picked.is_some() {
        return refuse(StockRefusal::Picked);
    }
    let event = StockEvent::ExpirySet {
        id: id.clone(),
        expires: at,
    };
    Decision::event(event, held(hold))
}

fn reduce(id: &HoldId, hold: &Hold, to: PositiveQuantity, now: Timestamp) -> StockDecision {
    if to > hold.granted {
        return refuse(StockRefusal::MoreThanHeld {
            asked: to,
            held: hold.granted.get(),
        });
    }
    if to.get() < hold.shipped {
        return refuse(StockRefusal::LessThanShipped {
            asked: to,
            shipped: hold.shipped,
        });
    }
    let reply = StockReply::Held { quantity: to };
    match hold.granted.get().minus(to.get()).positive() {
        Some(less) => Decision::event(
            StockEvent::Reduced {
                id: id.clone(),
                quantity: less,
                at: now,
            },
            reply,
        ),
        None => Decision::answer(reply),
    }
}

/// Of a hold of which a part waits, what waits is given up first.
fn reduce_waiting(
    state: &StockState,
    id: &HoldId,
    hold: Option<&Hold>,
    to: PositiveQuantity,
    now: Timestamp,
) -> StockDecision {
    let waiting = state
        .backorders()
        .and_then(|known| known.get(id))
        .map_or(Quantity::ZERO, |known| known.waiting);
    let granted = hold.map_or(Quantity::ZERO, |hold| hold.granted.get());
    let less = granted.plus(waiting).minus(to.get());
    let Some(waits_less) = less.min(waiting).positive() else {
        return match hold {
            Some(hold) => reduce(id, hold, to, now),
            None => Decision::answer(StockReply::Released {
                quantity: Quantity::ZERO,
            }),
        };
    };
    let waits_less = StockEvent::WaitsLess {
        id: id.clone(),
        quantity: waits_less,
        at: now,
    };
    match hold {
        Some(hold) if to < hold.granted => {
            let decision = reduce(id, hold, to, now);
            if matches!(decision.reply, StockReply::Refused(_)) {
                return decision;
            }
            decision.and(waits_less)
        }
        Some(hold) => Decision::event(waits_less, held(hold)),
        None => Decision::event(
            waits_less,
            StockReply::Released {
                quantity: Quantity::ZERO,
            },
        ),
    }
}

fn transfer(state: &StockState, id: &HoldId, hold: &Hold, to: &HoldId, now: Timestamp) -> StockDecision {
    if state.has_ended(to) || state.hold(to).is_some() || state.standing(to).is_some() {
        return refuse(StockRefusal::HoldExists);
    }
    let Some(open) = hold.open().positive() else {
        return gone(state, id);
    };
    let ended = StockEvent::Ended {
        id: id.clone(),
        end: HoldEnd::Transferred,
        quantity: open.get(),
        at: now,
    };
    let rations = Rations::once_given_back(state, &ended, open.get());
    let may_take = rations.for_buyer(Buyer::new(to, None));
    if to.order.channel() != id.order.channel() && may_take < open.get() {
        return refuse(StockRefusal::Short {
            asked: open,
            available: may_take,
        });
    }
    let taken = StockEvent::Held {
        id: to.clone(),
        asked: open,
        granted: open,
        expires: hold.expires,
        // Whose it is now has not asked for it, and is not told.
        rank: None,
        at: now,
        customer_class: None,
    };
    let reply = StockReply::Held { quantity: open };
    let decision = Decision::event(ended, reply).and(taken);
    match hold.picked {
        Some(at) => decision.and(StockEvent::Picked { id: to.clone(), at }),
        None => decision,
    }
}

/// A repeat of a transfer is answered as the first was.
fn transferred(state: &StockState, id: &HoldId, to: &HoldId) -> StockDecision {
    let was = state
        .closed(id)
        .is_some_and(|closed| closed.end == HoldEnd::Transferred);
    match state.hold(to) {
        Some(hold) if was => Decision::answer(held(hold)),
        Some(_) | None => gone(state, id),
    }
}
