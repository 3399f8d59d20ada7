//! What is held and turns out not to be there: taken back from the least urgent orders, which wait for goods instead.
//!
//! Invariants:
//! - what was taken back waits under the same hold ([`super::backorder`]), as urgent and as old as it was; the order is told;
//! - the least urgent order loses first, of equally urgent ones the youngest hold;
//! - a hold keeps what the warehouse has in hand. One that no order here waits for keeps what it has: nobody could be told.
//!   What these hold and is not there stands as the shortfall in the level;
//! - while a numbered change is missing that may still come, nothing is taken back: the goods may be in it.

use super::SkuWarehouse;
use super::apply::apply;
use super::backorder::{FIRST_REVISION, correct_reply, tell};
use super::event::StockEvent;
use super::state::{Hold, StockState};
use crate::ids::{HoldId, StockId};
use crate::orders::command::StockAnswer;
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use std::cmp::Reverse;

/// From how many holds one decision takes goods back; the others follow with the next change of the goods.
pub const MAX_WITHDRAWN: usize = 256;

/// The same decision, and what is held but not there after it is taken back.
pub(super) fn withdraw(
    stock: &StockId,
    state: &StockState,
    mut decision: Decision<SkuWarehouse>,
    now: Timestamp,
) -> Decision<SkuWarehouse> {
    let leaves_short =
        |event: &StockEvent| shortfall_after(event).is_some_and(|short| short > Quantity::ZERO);
    let was_short = state.shortfall() > Quantity::ZERO;
    // An order that makes a cart its own can give back what the cart could not.
    let moves = decision.events.iter().any(|event| {
        shortfall_after(event).is_some()
            || event.on_hand_change() != Quantity::ZERO
            || matches!(event, StockEvent::Adopted { .. })
    });
    if !(was_short && moves || decision.events.iter().any(leaves_short)) {
        return decision;
    }
    let mut after = state.clone();
    for event in &decision.events {
        apply(&mut after, event);
    }
    let mut short = after.shortfall();
    if short == Quantity::ZERO || after.misses_any_number() {
        return decision;
    }
    for (id, hold) in least_urgent(&after).into_iter().take(MAX_WITHDRAWN) {
        let Some(quantity) = hold.open().min(short).positive() else {
            break;
        };
        short = short.minus(quantity.get());
        let waits = after.backorders().and_then(|known| known.get(id));
        let answer = StockAnswer::Standing {
            held: hold.granted.get().minus(quantity.get()),
            waiting: waits
                .map_or(Quantity::ZERO, |waits| waits.waiting)
                .plus(quantity.get()),
            revision: waits.map_or(FIRST_REVISION, |waits| waits.revision.saturating_add(1)),
            due: waits.and_then(|waits| waits.due),
        };
        decision = tell(stock, id, answer, decision).and(StockEvent::Withdrawn {
            id: id.clone(),
            quantity,
            at: now,
        });
    }
    correct_reply(state, &mut decision);
    decision
}

/// The holds that can give goods back, the least urgent first, of equally urgent ones the youngest.
fn least_urgent(state: &StockState) -> Vec<(&HoldId, &Hold)> {
    let can_give = |(_, hold): &(&HoldId, &Hold)| hold.rank.is_some() && hold.picked.is_none();
    let mut holds: Vec<_> = state.holds().filter(can_give).collect();
    holds.sort_by_key(|(id, hold)| Reverse((hold.rank, hold.since, *id)));
    holds
}

/// How much of what is held is not there after a fact about the goods.
fn shortfall_after(event: &StockEvent) -> Option<Quantity> {
    match event {
        StockEvent::Adjusted { shortfall, .. } | StockEvent::Counted { shortfall, .. } => Some(*shortfall),
        StockEvent::Held { .. }
        | StockEvent::Adopted { .. }
        | StockEvent::Backordered { .. }
        | StockEvent::Granted { .. }
        | StockEvent::Withdrawn { .. }
        | StockEvent::Ended { .. }
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
        | StockEvent::Returned { .. }
        | StockEvent::Expected { .. }
        | StockEvent::Unexpected { .. }
        | StockEvent::Demanded { .. }
        | StockEvent::NotDemanded { .. }
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
