//! By when what waits for goods is expected, and that orders hear of it when that changes.
//!
//! Whoever waits is served by priority, then age ([`super::backorder`]): so are the receipts that are to come, by their dates.
//! What is short before (safety stock that is not there, goods that were lost) comes first, and whoever's class may take nothing
//! is passed over.
//!
//! Invariants:
//! - a hold is promised the date on which all of it that waits has come, or none if that is not known;
//! - a receipt whose date has passed is not promised until it has come or has another date;
//! - no class is promised more than its cap lets it take, nor what is protected for others;
//! - the first [`MAX_PROMISED`] of those that wait are promised a date; those behind them are as they move up;
//! - each change of a date is told to the order, with a revision that rises.

use super::allocation::{Buyer, Rations};
use super::apply::{apply, wake_by};
use super::backorder::tell;
use super::decide::StockDecision;
use super::event::StockEvent;
use super::state::StockState;
use crate::ids::{HoldId, StockId};
use crate::orders::command::StockAnswer;
use crate::quantity::Quantity;
use lockstep_runtime::time::Timestamp;

/// How many of the holds that wait for goods are promised a date.
pub const MAX_PROMISED: usize = 256;

/// The same decision, and whose goods are expected for another moment after it.
pub(super) fn repromise(
    stock: &StockId,
    state: &StockState,
    mut decision: StockDecision,
    now: Timestamp,
) -> StockDecision {
    let may_wait = state.is_anyone_waiting() || decision.events.iter().any(begins_to_wait);
    let is_due = holds_until(state).is_some_and(|until| until <= now);
    if !may_wait || !(is_due || decision.events.iter().any(matters)) {
        return decision;
    }
    let mut after = state.clone();
    for event in &decision.events {
        apply(&mut after, event);
    }
    for (id, due) in expected(&after, now) {
        let Some(known) = after.backorders().and_then(|known| known.get(&id)) else {
            continue;
        };
        if known.due == due {
            continue;
        }
        let answer = StockAnswer::Standing {
            held: after.hold(&id).map_or(Quantity::ZERO, |hold| hold.granted.get()),
            waiting: known.waiting,
            revision: known.revision.saturating_add(1),
            due,
        };
        decision = tell(stock, &id, answer, decision).and(StockEvent::Promised { id, due });
    }
    let until = after
        .is_anyone_waiting()
        .then(|| first_receipt(&after, now))
        .flatten();
    if after.backorders().is_some() && holds_until(&after) != until {
        decision = decision.and(StockEvent::PromisesUntil { until });
    }
    decision
}

fn first_receipt(state: &StockState, now: Timestamp) -> Option<Timestamp> {
    let dates = state.receipts().map(|(_, receipt)| receipt.due);
    dates.filter(|due| *due > now).min()
}

fn begins_to_wait(event: &StockEvent) -> bool {
    matches!(
        event,
        StockEvent::Backordered { .. } | StockEvent::Withdrawn { .. }
    )
}

/// Whether an event may change what comes, what is there for those that wait, or who is before whom.
fn matters(event: &StockEvent) -> bool {
    match event {
        StockEvent::Held { .. }
        | StockEvent::Adopted { .. }
        | StockEvent::HeldAgain { .. }
        | StockEvent::Backordered { .. }
        | StockEvent::Granted { .. }
        | StockEvent::Withdrawn { .. }
        | StockEvent::WaitsLess { .. }
        | StockEvent::Reduced { .. }
        | StockEvent::Ended { .. }
        | StockEvent::Received { .. }
        | StockEvent::Returned { .. }
        | StockEvent::Adjusted { .. }
        | StockEvent::Counted { .. }
        | StockEvent::Expected { .. }
        | StockEvent::Unexpected { .. }
        | StockEvent::SafetyStockSet { .. }
        | StockEvent::ChannelPolicySet { .. } => true,
        StockEvent::Promised { .. }
        | StockEvent::PromisesUntil { .. }
        | StockEvent::BackorderLimitSet { .. }
        | StockEvent::MoveBegun { .. }
        | StockEvent::MoveFailed { .. }
        | StockEvent::Barred { .. }
        | StockEvent::Picked { .. }
        | StockEvent::ExpirySet { .. }
        | StockEvent::Shipped { .. }
        | StockEvent::Demanded { .. }
        | StockEvent::NotDemanded { .. }
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
        | StockEvent::Forgotten { .. } => false,
    }
}

/// By when all that waits of each hold has come, of the first that wait: as receipts would be granted.
fn expected(state: &StockState, now: Timestamp) -> Vec<(HoldId, Option<Timestamp>)> {
    let mut receipts: Vec<_> = state
        .receipts()
        .filter(|(_, receipt)| receipt.due > now)
        .map(|(_, receipt)| (receipt.due, receipt.quantity.get()))
        .collect();
    receipts.sort_unstable();
    // What is short comes first: the rations begin below nothing.
    let mut rations = Rations::of(state);
    let waiting = state
        .backorders()
        .into_iter()
        .flat_map(super::backorder::Backorders::waiting);
    let mut waiting: Vec<Promised<'_>> = waiting
        .take(MAX_PROMISED)
        .map(|(id, backorder)| Promised {
            id,
            buyer: backorder.buyer(id),
            open: backorder.waiting,
            due: None,
        })
        .collect();
    serve(&mut waiting, &mut rations, now);
    for (due, quantity) in receipts {
        rations.come(quantity);
        serve(&mut waiting, &mut rations, due);
    }
    waiting
        .into_iter()
        .map(|waits| (waits.id.clone(), waits.due))
        .collect()
}

/// A hold that waits, while what comes is gone through.
struct Promised<'s> {
    id: &'s HoldId,
    buyer: Buyer<'s>,
    open: Quantity,
    due: Option<Timestamp>,
}

/// Gives those that wait what there is at a moment, in their order, and as far as their classes may take it.
fn serve(waiting: &mut [Promised<'_>], rations: &mut Rations<'_>, at: Timestamp) {
    for waits in waiting.iter_mut().filter(|waits| waits.open > Quantity::ZERO) {
        if rations.is_empty() {
            return;
        }
        let granted = rations.for_buyer(waits.buyer).min(waits.open);
        rations.take(waits.buyer, granted);
        waits.open = waits.open.minus(granted);
        if waits.open == Quantity::ZERO {
            waits.due = Some(at);
        }
    }
}

/// Until when the promises hold.
pub(super) fn holds_until(state: &StockState) -> Option<Timestamp> {
    state.backorders()?.promised_until()
}

/// What waits of a hold is expected by then.
pub(super) fn promised(state: &mut StockState, id: &HoldId, due: Option<Timestamp>) {
    let book = state.book.get_or_insert_default();
    if let Some(backorders) = book.backorders.as_mut() {
        backorders.promise(id, due);
    }
}

/// The promises hold until then.
pub(super) fn until(state: &mut StockState, until: Option<Timestamp>) {
    let book = state.book.get_or_insert_default();
    if let Some(backorders) = book.backorders.as_mut() {
        backorders.promise_until(until);
    }
    if let Some(until) = until {
        wake_by(state, until);
    }
}
