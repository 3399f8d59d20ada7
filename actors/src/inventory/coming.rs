//! What is to come under purchase and transfer orders, and what of it has come in.
//!
//! Whoever expects goods says how much is still to come, and how much of the document it has taken off already as received. What
//! came in here beyond that is on hand, and is not expected a second time: so it does not matter which of both comes first,
//! nor how often.
//!
//! Invariants:
//! - under a document so much is to come as was said last, less what came in here and had not been taken off; never less than
//!   nothing;
//! - who does not say what it has taken off may be late or repeat itself: what is to come rises no higher than what was to come
//!   before, or what is said less all that came in;
//! - a pair that is told what comes remembers what came in under each document ([`super::settings`]); of any other pair the last
//!   [`PAPERS`](super::papers::PAPERS) receipts are known, each by its whole quantity.

use super::command::{Bucket, Limited, RangeReason, StockRefusal};
use super::decide::{StockDecision, accept, out_of_range, refuse, too_many, unchanged, within};
use super::event::StockEvent;
use super::settings::{KnownSetting, Setting};
use super::state::{Coming, MAX_EXPECTED, Stage, StockState};
use crate::ids::DocumentId;
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;

/// What somebody says is to come under a document.
pub(super) struct Expectation<'c> {
    pub(super) document: &'c DocumentId,
    pub(super) quantity: PositiveQuantity,
    pub(super) due: Timestamp,
    pub(super) stage: Stage,
    /// What was taken off as received, if that is said.
    pub(super) received: Option<Quantity>,
}

pub(super) fn expect(state: &StockState, said: &Expectation<'_>) -> StockDecision {
    let Expectation {
        document, received, ..
    } = *said;
    if received.is_some_and(|received| received < Quantity::ZERO) {
        return refuse(StockRefusal::OutOfRange {
            bucket: Bucket::Expected,
            reason: RangeReason::Negative,
        });
    }
    let was = state.coming(document);
    if was.is_none() && state.receipts().count() >= MAX_EXPECTED {
        return refuse(too_many(Limited::Receipts, MAX_EXPECTED));
    }
    let here = came_in(state, said);
    let quantity = said.quantity.get();
    let open = match received {
        Some(received) => quantity.minus(here.minus(received).at_least_zero()),
        None => {
            let before = was.map_or(Quantity::ZERO, |was| was.quantity.get());
            quantity.min(before).max(quantity.minus(here))
        }
    };
    let Some(quantity) = open.positive() else {
        return match was {
            Some(was) => accept(state, unexpected(document, was)),
            None => unchanged(state),
        };
    };
    let coming = state.expected.add(state.in_transit);
    let coming = coming.and_then(|coming| coming.add(quantity.get()));
    let expected = StockEvent::Expected {
        document: document.clone(),
        quantity,
        due: said.due,
        stage: said.stage,
        instead_of: was,
        ahead: received.map_or(Quantity::ZERO, |received| received.minus(here).at_least_zero()),
    };
    within(coming, Bucket::Expected).map_or_else(refuse, |_| accept(state, expected))
}

/// What has come in here under the document.
fn came_in(state: &StockState, said: &Expectation<'_>) -> Quantity {
    let known = state.known_setting(&Setting::Coming(said.document.clone()));
    let received = known.map_or(Quantity::ZERO, |known| known.received);
    let is_its_own = received == Quantity::ZERO
        && state.coming(said.document).is_none()
        && state.came_in(said.document, said.quantity.get());
    if is_its_own { said.quantity.get() } else { received }
}

fn unexpected(document: &DocumentId, was: Coming) -> StockEvent {
    StockEvent::Unexpected {
        document: document.clone(),
        was,
    }
}

pub(super) fn unexpect(state: &StockState, document: &DocumentId) -> StockDecision {
    match state.coming(document) {
        Some(was) => accept(state, unexpected(document, was)),
        None => refuse(StockRefusal::UnknownDocument),
    }
}

pub(super) fn receive(
    state: &StockState,
    quantity: PositiveQuantity,
    document: &DocumentId,
    now: Timestamp,
) -> StockDecision {
    // Goods that come in mend books that stand below zero; they are never too few.
    if let Err(error) = state.on_hand.add(quantity.get()) {
        return refuse(out_of_range(error, Bucket::OnHand));
    }
    accept(
        state,
        StockEvent::Received {
            quantity,
            document: document.clone(),
            expected: expected_of(state, quantity, document),
            at: now,
        },
    )
}

/// What of a receipt had been expected: whoever expects it may have taken some of it off already.
fn expected_of(state: &StockState, quantity: PositiveQuantity, document: &DocumentId) -> Option<Coming> {
    let coming = state.coming(document)?;
    let known = state.known_setting(&Setting::Coming(document.clone()));
    let ahead = known.map_or(Quantity::ZERO, |known: &KnownSetting| known.ahead);
    let quantity = quantity.get().minus(ahead).positive()?;
    Some(Coming {
        quantity: coming.quantity.min(quantity),
        ..coming
    })
}
