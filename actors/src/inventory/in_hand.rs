//! What the warehouse has in hand: of holds that are picked, what has not left yet. A part of what is reserved.
//!
//! Invariants:
//! - it is the sum of what picked holds still hold, and each change of it is an event of its own, so that the ledger
//!   explains it as it does any other account;
//! - while nothing is in hand a pair keeps nothing for it.

use super::decide::StockDecision;
use super::event::StockEvent;
use super::state::StockState;
use crate::ids::HoldId;
use crate::quantity::Quantity;
use smallvec::SmallVec;

/// What is known of a hold while a decision is gone through.
struct Seen<'e> {
    id: &'e HoldId,
    open: Quantity,
    is_picked: bool,
}

/// The same decision, and how much more or less is in hand after it.
pub(super) fn note(state: &StockState, decision: StockDecision) -> StockDecision {
    if !decision.events.iter().any(|event| concerns(state, event)) {
        return decision;
    }
    let moved = moved_by(state, &decision.events);
    if moved == Quantity::ZERO {
        return decision;
    }
    decision.and(StockEvent::InHand { moved })
}

fn moved_by(state: &StockState, events: &[StockEvent]) -> Quantity {
    let mut seen = SmallVec::new();
    let changes = events.iter().map(|event| change(state, event, &mut seen));
    changes.fold(Quantity::ZERO, Quantity::plus)
}

/// Whether an event may change what is in hand. Without anything in hand only picks, shipments and grants do.
fn concerns(state: &StockState, event: &StockEvent) -> bool {
    match event {
        StockEvent::Picked { .. } | StockEvent::HeldAgain { .. } | StockEvent::Shipped { .. } => true,
        StockEvent::Ended { .. } | StockEvent::Reduced { .. } => state.in_hand() != Quantity::ZERO,
        // All that was granted may have left, and the rest comes to a hold that is picked.
        StockEvent::Granted { id, .. } | StockEvent::Adopted { id, .. } => {
            state.hold(id).is_some_and(|hold| hold.picked.is_some())
        }
        StockEvent::Held { .. }
        | StockEvent::Backordered { .. }
        | StockEvent::Withdrawn { .. }
        | StockEvent::Barred { .. }
        | StockEvent::ExpirySet { .. }
        | StockEvent::WaitsLess { .. }
        | StockEvent::Promised { .. }
        | StockEvent::PromisesUntil { .. }
        | StockEvent::MoveBegun { .. }
        | StockEvent::MoveFailed { .. }
        | StockEvent::Received { .. }
        | StockEvent::Returned { .. }
        | StockEvent::Expected { .. }
        | StockEvent::Unexpected { .. }
        | StockEvent::Demanded { .. }
        | StockEvent::NotDemanded { .. }
        | StockEvent::Adjusted { .. }
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
        | StockEvent::Forgotten { .. } => false,
    }
}

fn change<'e>(state: &StockState, event: &'e StockEvent, seen: &mut SmallVec<[Seen<'e>; 2]>) -> Quantity {
    let is_picked = |event| {
        matches!(
            event,
            &StockEvent::Picked { .. } | &StockEvent::HeldAgain { .. } | &StockEvent::Shipped { .. }
        )
    };
    let picked = if let StockEvent::Picked { id, .. } = event {
        Some((id, Quantity::ZERO))
    } else {
        None
    };
    let Some((id, held)) = picked.or_else(|| event.held_change()) else {
        return Quantity::ZERO;
    };
    let place = seen.iter().position(|seen| seen.id == id).unwrap_or_else(|| {
        let hold = state.hold(id);
        seen.push(Seen {
            id,
            open: hold.map_or(Quantity::ZERO, super::state::Hold::open),
            is_picked: hold.is_some_and(|hold| hold.picked.is_some()),
        });
        seen.len() - 1
    });
    let hold = &mut seen[place];
    let before = if hold.is_picked { hold.open } else { Quantity::ZERO };
    hold.open = hold.open.plus(held);
    hold.is_picked |= is_picked(event);
    let after = if hold.is_picked { hold.open } else { Quantity::ZERO };
    after.minus(before)
}

impl StockState {
    /// What the warehouse has in hand of what is reserved.
    #[must_use]
    pub fn in_hand(&self) -> Quantity {
        self.appendix()
            .map_or(Quantity::ZERO, |appendix| appendix.in_hand)
    }
}

/// So much more is in hand.
pub(super) fn apply(state: &mut StockState, moved: Quantity) {
    let in_hand = &mut state.appendix_mut().in_hand;
    *in_hand = in_hand.plus(moved);
    if *in_hand == Quantity::ZERO {
        super::apply::rest(state);
    }
}
