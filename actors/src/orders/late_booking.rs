//! Bookings that an order does not want any more and that may yet land in the ERP.
//!
//! That the ERP had nothing to cancel says nothing about a request that is still on its way, or was sent once more after a
//! crash. So it is asked to cancel once more when nothing can land any more. What is booked after a correction has another key.
//!
//! Invariants: the ERP is asked until it has answered, whatever has become of the order; what it refuses to cancel is a dead
//! letter, as the order does not stand for it any more.

use super::command::{CancelAnswer, CancelAnswered, OrderCommand};
use super::effects::{ErpRequest, reference_to, to_erp};
use super::event::OrderEvent;
use super::flow::{ERP_ANSWERS_WITHIN, Flow};
use super::state::{LateBooking, Placed};
use crate::ids::Reason;
use lockstep_runtime::entity::Expired;
use std::time::Duration;

/// How long after it was asked for a booking may land in the ERP: the minute in which it is sent, and whatever the networks and
/// queues before the ERP take.
pub(super) const LANDS_WITHIN: Duration = Duration::from_secs(600);
/// How many bookings of an order may be given up at a time.
pub(super) const MAX_LATE: usize = 16;

/// The number of the next request to the ERP.
pub(super) fn next_attempt(placed: &Placed) -> u16 {
    let late = placed.late_bookings.iter().map(|late| late.attempt);
    late.fold(placed.erp.attempt, u16::max).saturating_add(1)
}

/// The present booking is not wanted any more: if it may yet land, the ERP is asked once more when that is over.
pub(super) fn may_land(flow: &mut Flow<'_>) {
    let erp = &flow.placed.erp;
    let lands_until = erp.asked_to_book.map(|at| at.after(LANDS_WITHIN));
    let Some(ask_at) = lands_until.filter(|until| erp.number.is_none() && *until > flow.now) else {
        return;
    };
    let mut late = flow.placed.late_bookings.clone();
    late.push(LateBooking {
        booking: erp.booking,
        attempt: 0,
        tries: 0,
        ask_at,
    });
    flow.happens(OrderEvent::LateBookingsMoved { late });
}

/// Asks the ERP to cancel what is due.
pub(super) fn ask_about_late(flow: &mut Flow<'_>) {
    for place in 0..flow.placed.late_bookings.len() {
        if flow.placed.late_bookings[place].ask_at > flow.now {
            continue;
        }
        let mut late = flow.placed.late_bookings.clone();
        let asked = &mut late[place];
        asked.attempt = next_attempt(&flow.placed);
        asked.tries = asked.tries.saturating_add(1);
        asked.ask_at = flow.now.after(ERP_ANSWERS_WITHIN.max(flow.pause(asked.tries)));
        let request = ErpRequest::Cancel(reference_to(flow.order, &flow.placed, asked));
        flow.happens(OrderEvent::LateBookingsMoved { late });
        flow.publish(to_erp(&request));
    }
}

/// Takes the ERP's answer about a booking that was given up. Says whether it was about one.
pub(super) fn late_answered(flow: &mut Flow<'_>, answered: &CancelAnswered) -> bool {
    let mut late = flow.placed.late_bookings.clone();
    let is_meant = |one: &LateBooking| one.attempt != 0 && one.attempt == answered.attempt;
    let Some(place) = late.iter().position(is_meant) else {
        return false;
    };
    match &answered.answer {
        CancelAnswer::Cancelled => drop(late.remove(place)),
        CancelAnswer::Refused { reason } => {
            let booking = late.remove(place);
            keep_for_a_person(flow, &booking, answered, reason);
        }
        // It is asked again in time.
        CancelAnswer::Failed { .. } => return true,
    }
    flow.happens(OrderEvent::LateBookingsMoved { late });
    true
}

fn keep_for_a_person(flow: &mut Flow<'_>, booking: &LateBooking, answered: &CancelAnswered, reason: &Reason) {
    let key = reference_to(flow.order, &flow.placed, booking).key().into_owned();
    flow.expired.push(Expired {
        message: (flow.order.clone(), OrderCommand::CancelAnswered(answered.clone())).into(),
        reason: format!(
            "the ERP keeps {key}, which order {} does not want: {reason}",
            flow.order
        ),
        provenance: flow.provenance.clone(),
    });
}
