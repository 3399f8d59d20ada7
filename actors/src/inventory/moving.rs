//! Holds that move to another warehouse: the other one holds first, then this one lets go.
//!
//! ```text
//! this warehouse                     the other one
//! MoveHold: notes where to ──TakeOver──► holds all of it, or refuses
//!    lets go, tells the order ◄─TakenOver──┘
//! ```
//!
//! Invariants:
//! - what moves is held here until it is held there: it is never free in between, and never in both places for longer than
//!   the answer takes;
//! - a hold that has changed here meanwhile (shipped, picked, reduced, given back, over) stays as it is, and what the other
//!   one took is given back there;
//! - a hold of that name at the other warehouse is never taken for the one that comes: two moves that cross leave it in one place;
//! - the order's class has to have room at the other warehouse.

use super::backorder::{Priority, tell};
use super::command::{HoldMode, HoldStock, StockCommand, StockRefusal, StockReply};
use super::decide::{StockDecision, hold_stock, refuse};
use super::event::StockEvent;
use super::state::{Hold, HoldEnd, StockState};
use crate::ids::{ClassName, HoldId, OrderKey, StockId, WarehouseCode};
use crate::orders::command::StockAnswer;
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A hold that another warehouse gives away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TakeOver {
    /// Which.
    pub id: HoldId,
    /// How much of it.
    pub quantity: PositiveQuantity,
    /// When it ends by itself, if it does.
    pub expires: Option<Timestamp>,
    /// How urgent the order is that is told what becomes of it; none for a hold that no order took by itself.
    pub rank: Option<Priority>,
    /// Who gives it away.
    pub from: WarehouseCode,
    /// The class of the order's customer, if it has one.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl StockState {
    /// The holds that other warehouses are asked to take over.
    pub fn moves(&self) -> impl Iterator<Item = (&HoldId, WarehouseCode)> {
        let appendix = self.appendix().into_iter();
        appendix.flat_map(|appendix| appendix.moves.iter().map(|(id, to)| (id, *to)))
    }

    fn moves_to(&self, id: &HoldId) -> Option<WarehouseCode> {
        self.appendix()?.moves.get(id).copied()
    }
}

/// Asks the other warehouse.
pub(super) fn begin(
    stock: &StockId,
    state: &StockState,
    id: &HoldId,
    to: WarehouseCode,
    order: Option<&OrderKey>,
) -> StockDecision {
    let decision = match may_move(stock, state, id, to) {
        Ok(hold) => ask(stock, id, hold, to),
        Err(decision) => *decision,
    };
    if order.is_some() && matches!(decision.reply, StockReply::Refused(_)) {
        return tell(stock, id, StockAnswer::Stays, decision);
    }
    decision
}

/// The hold, if it may; else what is answered.
fn may_move<'s>(
    stock: &StockId,
    state: &'s StockState,
    id: &HoldId,
    to: WarehouseCode,
) -> Result<&'s Hold, Box<StockDecision>> {
    let no = |refusal| Err(Box::new(refuse(refusal)));
    let Some(hold) = state.hold(id) else {
        return no(match state.closed(id) {
            Some(closed) => StockRefusal::Ended {
                end: closed.end,
                shipped: closed.shipped,
            },
            None if state.standing(id).is_some() => StockRefusal::Waits,
            None => StockRefusal::UnknownHold,
        });
    };
    match state.moves_to(id) {
        Some(known) if known == to => {
            return Err(Box::new(Decision::answer(StockReply::Moving { to })));
        }
        Some(known) => return no(StockRefusal::Moves { to: known }),
        None => {}
    }
    if state.backorders().is_some_and(|known| known.is_waiting(id)) {
        return no(StockRefusal::Waits);
    }
    if hold.picked.is_some() || hold.shipped > Quantity::ZERO {
        return no(StockRefusal::InHand);
    }
    if to == stock.warehouse {
        let quantity = hold.granted;
        return Err(Box::new(Decision::answer(StockReply::Held { quantity })));
    }
    Ok(hold)
}

fn ask(stock: &StockId, id: &HoldId, hold: &Hold, to: WarehouseCode) -> StockDecision {
    let wish = TakeOver {
        id: id.clone(),
        quantity: hold.granted,
        expires: hold.expires,
        rank: hold.rank,
        customer_class: hold.customer_class.clone(),
        from: stock.warehouse,
    };
    let begun = StockEvent::MoveBegun { id: id.clone(), to };
    Decision::event(begun, StockReply::Moving { to })
        .send((elsewhere(stock, to), StockCommand::TakeOver(wish)))
}

fn elsewhere(stock: &StockId, warehouse: WarehouseCode) -> StockId {
    StockId {
        sku: stock.sku.clone(),
        warehouse,
    }
}

/// Holds what another warehouse gives away, all of it or nothing, and says so.
pub(super) fn take_over(
    stock: &StockId,
    state: &StockState,
    wish: &TakeOver,
    now: Timestamp,
) -> StockDecision {
    let held = HoldStock {
        id: wish.id.clone(),
        quantity: wish.quantity,
        mode: HoldMode::All,
        expires: wish.expires,
        priority: wish.rank.unwrap_or_default(),
        answer_to: wish.rank.map(|_| wish.id.order.clone()),
        customer_class: wish.customer_class.clone(),
    };
    // A hold of that name here is the same one: it may be on its way to where this comes from.
    let is_here = state.hold(&wish.id).is_some() || state.standing(&wish.id).is_some();
    let decision = if is_here {
        refuse(StockRefusal::HoldExists)
    } else {
        hold_stock(state, &held, now)
    };
    let result = if let StockReply::Held { quantity } = &decision.reply {
        Ok(*quantity)
    } else if let StockReply::Refused(refusal) = &decision.reply {
        Err(refusal.clone())
    } else {
        Err(StockRefusal::HoldExists)
    };
    answered(stock, wish, result, decision)
}

/// Does not hold what another warehouse would give away, and says so.
pub(super) fn not_taken(stock: &StockId, wish: &TakeOver, refusal: StockRefusal) -> StockDecision {
    answered(stock, wish, Err(refusal.clone()), refuse(refusal))
}

fn answered(
    stock: &StockId,
    wish: &TakeOver,
    result: Result<PositiveQuantity, StockRefusal>,
    decision: StockDecision,
) -> StockDecision {
    let answer = StockCommand::TakenOver {
        id: wish.id.clone(),
        by: stock.warehouse,
        result,
    };
    decision.send((elsewhere(stock, wish.from), answer))
}

/// Lets go of what the other warehouse holds now, unless it has changed here meanwhile.
pub(super) fn taken_over(
    stock: &StockId,
    state: &StockState,
    id: &HoldId,
    by: WarehouseCode,
    result: &Result<PositiveQuantity, StockRefusal>,
    now: Timestamp,
) -> StockDecision {
    let answer = Decision::answer(StockReply::Released {
        quantity: Quantity::ZERO,
    });
    let moved_before = state
        .closed(id)
        .is_some_and(|closed| closed.end == HoldEnd::Moved);
    let hold = state.hold(id).filter(|_| state.moves_to(id) == Some(by));
    match (hold, result) {
        (None, Ok(_)) if moved_before => answer,
        (None, Ok(_)) => give_back(stock, id, by, answer),
        (None, Err(_)) => answer,
        (Some(hold), Ok(quantity)) if hold.picked.is_none() && hold.open() == quantity.get() => {
            let ended = StockEvent::Ended {
                id: id.clone(),
                end: HoldEnd::Moved,
                quantity: quantity.get(),
                at: now,
            };
            let decision = answer.and(ended);
            match hold.rank {
                Some(_) => tell(stock, id, StockAnswer::Moved { to: by }, decision),
                None => decision,
            }
        }
        (Some(hold), result) => {
            let mut decision = answer.and(StockEvent::MoveFailed { id: id.clone() });
            if result.is_ok() {
                decision = give_back(stock, id, by, decision);
            }
            match hold.rank {
                Some(_) => tell(stock, id, StockAnswer::Stays, decision),
                None => decision,
            }
        }
    }
}

fn give_back(stock: &StockId, id: &HoldId, by: WarehouseCode, decision: StockDecision) -> StockDecision {
    let release = StockCommand::Release {
        id: id.clone(),
        answer_to: None,
    };
    decision.send((elsewhere(stock, by), release))
}
