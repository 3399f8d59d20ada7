//! Booking an order in the ERP, once, and cancelling it there.
//!
//! What may have reached the ERP is looked up before it is sent again; what cannot be found out is parked.

use super::command::{BookingAnswer, BookingAnswered, CancelAnswer, CancelAnswered};
use super::desk::note_refusal;
use super::effects::{ErpRequest, booking, reference, to_erp};
use super::event::OrderEvent;
use super::flow::{ERP_ANSWERS_WITHIN, Flow, MAX_TRIES};
use super::late_booking::{late_answered, may_land, next_attempt};
use super::reserve::begin_releasing;
use super::ship::resume_shipping;
use super::state::{Afterwards, AllocationStanding, Erp, ErpQuestion, Exception, Placed, Status};
use crate::ids::{DocumentId, Reason};

pub(super) fn begin_booking(flow: &mut Flow<'_>) {
    flow.become_status(Status::Booking);
    let question = if flow.placed.erp.uncertain {
        ErpQuestion::Lookup
    } else {
        ErpQuestion::Book
    };
    ask(flow, question, 0);
}

fn ask(flow: &mut Flow<'_>, question: ErpQuestion, tries: u8) {
    let before = &flow.placed.erp;
    let erp = Erp {
        attempt: next_attempt(&flow.placed),
        question,
        awaiting: true,
        // From now on until its answer the ERP may have it.
        uncertain: true,
        asked_to_book: match question {
            ErpQuestion::Book => Some(flow.now),
            ErpQuestion::Lookup | ErpQuestion::Cancel => before.asked_to_book,
        },
        ..before.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    let request = match question {
        ErpQuestion::Book => ErpRequest::Book(booking(flow.order, &flow.placed)),
        ErpQuestion::Lookup => ErpRequest::Lookup(reference(flow.order, &flow.placed)),
        ErpQuestion::Cancel => ErpRequest::Cancel(reference(flow.order, &flow.placed)),
    };
    flow.publish(to_erp(&request));
    flow.wait_try(ERP_ANSWERS_WITHIN, tries);
}

/// Asks again after a pause, or leaves it to a person.
fn ask_later(flow: &mut Flow<'_>, question: ErpQuestion, uncertain: bool, reason: Reason) {
    let erp = Erp {
        question,
        awaiting: false,
        uncertain,
        ..flow.placed.erp.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    let tries = flow.placed.tries.saturating_add(1);
    if tries <= MAX_TRIES {
        let pause = flow.pause(tries);
        return flow.wait_try(pause, tries);
    }
    if question != ErpQuestion::Cancel {
        // Whoever wanted it cancelled is answered by the exception; a person decides.
        flow.happens(OrderEvent::CancelWanted { afterwards: None });
    }
    match (question, uncertain) {
        (ErpQuestion::Cancel, _) => flow.raise(Exception::CancelUnknown(reason), Status::Cancelling),
        (ErpQuestion::Book | ErpQuestion::Lookup, true) => {
            flow.raise(Exception::BookingUnknown(reason), Status::Booking);
        }
        (ErpQuestion::Book | ErpQuestion::Lookup, false) => {
            flow.raise(Exception::BookingFailed(reason), Status::Booking);
        }
    }
}

/// The alarm went off while the ERP is being asked.
pub(super) fn look_again(flow: &mut Flow<'_>) {
    let erp = flow.placed.erp.clone();
    if !erp.awaiting {
        let tries = flow.placed.tries;
        return ask(flow, erp.question, tries);
    }
    let question = match erp.question {
        ErpQuestion::Book | ErpQuestion::Lookup => ErpQuestion::Lookup,
        ErpQuestion::Cancel => ErpQuestion::Cancel,
    };
    ask_later(flow, question, true, no_answer());
}

fn no_answer() -> Reason {
    // A constant text that is a valid reason.
    reason("no answer in time")
}

#[expect(clippy::expect_used, reason = "called with constant, valid texts")]
fn reason(text: &'static str) -> Reason {
    Reason::new(text).expect("a valid reason")
}

pub(super) fn booking_answered(flow: &mut Flow<'_>, answered: &BookingAnswered) {
    let erp = &flow.placed.erp;
    let parked = matches!(flow.placed.exception, Some(Exception::BookingUnknown(_)));
    let current = erp.awaiting && answered.attempt == erp.attempt && flow.placed.status == Status::Booking;
    // That it stands in the ERP is true whichever attempt of this booking says so.
    let is_of_this = answered.attempt > erp.booking;
    let useful = erp.uncertain && is_of_this && (flow.placed.status == Status::Booking || parked);
    match &answered.answer {
        BookingAnswer::Confirmed { erp_number } if useful => confirmed(flow, erp_number),
        BookingAnswer::Rejected { reason } if current => rejected(flow, reason),
        BookingAnswer::Failed { reason } if current => match erp.question {
            // A lookup that failed says nothing about the booking before it.
            ErpQuestion::Lookup => ask_later(flow, ErpQuestion::Lookup, true, reason.clone()),
            ErpQuestion::Book | ErpQuestion::Cancel => failed(flow, reason.clone()),
        },
        BookingAnswer::Unknown { reason } if current => {
            ask_later(flow, ErpQuestion::Lookup, true, reason.clone());
        }
        BookingAnswer::NotFound if current && erp.question == ErpQuestion::Lookup => {
            failed(flow, reason("the ERP does not have it"));
        }
        BookingAnswer::Confirmed { .. }
        | BookingAnswer::Rejected { .. }
        | BookingAnswer::Failed { .. }
        | BookingAnswer::Unknown { .. }
        | BookingAnswer::NotFound => {}
    }
}

/// It is not booked as far as this answer goes: try again, unless it is no longer wanted.
fn failed(flow: &mut Flow<'_>, reason: Reason) {
    if flow.placed.cancel_wanted.is_some() {
        return ask_to_cancel(flow);
    }
    ask_later(flow, ErpQuestion::Book, false, reason);
}

fn not_booked(flow: &mut Flow<'_>, afterwards: Afterwards) {
    may_land(flow);
    let before = &flow.placed.erp;
    let erp = Erp {
        booking: match afterwards {
            // What is booked from now on is another order to the ERP.
            Afterwards::Corrected(_) => before.attempt,
            Afterwards::Cancelled(_)
            | Afterwards::Rejected(_)
            | Afterwards::Shipped(_)
            | Afterwards::Exception(_) => before.booking,
        },
        awaiting: false,
        uncertain: false,
        // What was shipped stands in the ERP.
        number: before
            .number
            .clone()
            .filter(|_| matches!(afterwards, Afterwards::Shipped(_))),
        ..before.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    flow.happens(OrderEvent::CancelWanted { afterwards: None });
    begin_releasing(flow, afterwards);
}

fn confirmed(flow: &mut Flow<'_>, number: &DocumentId) {
    let erp = Erp {
        awaiting: false,
        uncertain: false,
        number: Some(number.clone()),
        ..flow.placed.erp.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    let status = flow.placed.warehouse_status();
    flow.become_status(status);
    flow.wait_no_more();
    if flow.placed.cancel_wanted.is_some() {
        ask_to_cancel(flow);
    }
}

fn rejected(flow: &mut Flow<'_>, reason: &Reason) {
    if flow.placed.cancel_wanted.is_some() {
        return ask_to_cancel(flow);
    }
    let erp = Erp {
        awaiting: false,
        uncertain: false,
        ..flow.placed.erp.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    flow.raise(Exception::BookingRejected(reason.clone()), Status::Booking);
}

/// Whether the ERP may have it. While it is being booked nothing is certain: that an attempt was answered with "nothing done"
/// says nothing about the same request sent once more after a crash, or still on its way.
pub(super) fn may_stand(placed: &Placed) -> bool {
    let stage = if placed.status == Status::Exception {
        placed.resume
    } else {
        placed.status
    };
    placed.erp.number.is_some() || placed.erp.uncertain || stage == Status::Booking
}

/// Ends an order, or lets it begin anew: at once if the ERP certainly does not have it, or is told by a change what is left of it,
/// else with the ERP's consent.
pub(super) fn begin_ending(flow: &mut Flow<'_>, afterwards: Afterwards) {
    let placed = &flow.placed;
    if matches!(afterwards, Afterwards::Shipped(_)) && placed.erp.number.is_some() {
        if placed.cancel_wanted.is_some() {
            flow.happens(OrderEvent::CancelWanted { afterwards: None });
        }
        return begin_releasing(flow, afterwards);
    }
    // The ERP has consented already if only the stocks' answers are missing.
    let has_consented = placed.status == Status::Exception && placed.resume == Status::Releasing;
    if has_consented || !may_stand(placed) {
        return begin_releasing(flow, afterwards);
    }
    flow.happens(OrderEvent::CancelWanted {
        afterwards: Some(afterwards),
    });
    // While it is being booked the answer comes first.
    if !(flow.placed.status == Status::Booking && flow.placed.erp.awaiting) {
        ask_to_cancel(flow);
    }
}

pub(super) fn ask_to_cancel(flow: &mut Flow<'_>) {
    flow.become_status(Status::Cancelling);
    ask(flow, ErpQuestion::Cancel, 0);
}

pub(super) fn cancel_answered(flow: &mut Flow<'_>, answered: &CancelAnswered) {
    if late_answered(flow, answered) {
        return;
    }
    let erp = &flow.placed.erp;
    let current = erp.awaiting && answered.attempt == erp.attempt && flow.placed.status == Status::Cancelling;
    if !current {
        return;
    }
    match (&answered.answer, flow.placed.cancel_wanted.clone()) {
        (CancelAnswer::Cancelled, Some(afterwards)) => not_booked(flow, afterwards),
        (CancelAnswer::Refused { reason }, _) => cancel_refused(flow, reason),
        (CancelAnswer::Failed { reason }, _) => ask_later(flow, ErpQuestion::Cancel, true, reason.clone()),
        (CancelAnswer::Cancelled, None) => {}
    }
}

/// The ERP keeps the order: so do we.
fn cancel_refused(flow: &mut Flow<'_>, reason: &Reason) {
    let known = flow.placed.erp.number.is_some();
    let erp = Erp {
        awaiting: false,
        uncertain: !known,
        ..flow.placed.erp.clone()
    };
    flow.happens(OrderEvent::ErpMoved { erp });
    flow.happens(OrderEvent::CancelWanted { afterwards: None });
    if known {
        note_refusal(flow, reason);
        flow.kept_because = Some(reason.clone());
    }
    if known && flow.any(AllocationStanding::Shipping) {
        // A shipment that failed had raised an exception: it is taken up, or raises it again.
        resume_shipping(flow);
    } else if known {
        let status = flow.placed.warehouse_status();
        flow.become_status(status);
        flow.wait_no_more();
    } else {
        flow.raise(Exception::BookingUnknown(reason.clone()), Status::Booking);
    }
}
