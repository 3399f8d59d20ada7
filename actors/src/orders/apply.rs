//! What an event does to an order. Dull and total.

use super::command::{OrderLine, OrderRequest};
use super::desk::{Case, MAX_NOTES};
use super::event::OrderEvent;
use super::history::{Milestone, remember};
use super::paper::{ErpPaper, PaperStanding};
use super::parked::Parked;
use super::state::{
    Afterwards, Allocation, AllocationStanding, Credit, Erp, Exception, Likeness, OrderState, Placed, Status,
};
use crate::ids::Reason;
use crate::quantity::Quantity;

pub(super) fn apply(state: &mut OrderState, event: &OrderEvent) {
    if let OrderEvent::Placed {
        request,
        correlation,
        at,
        by,
    } = event
    {
        state.placed = Some(Box::new(Placed {
            request: (**request).clone(),
            correlation: correlation.clone(),
            received_at: *at,
            status: Status::Pricing,
            sequence: 0,
            since: *at,
            quote: None,
            passed: Vec::new(),
            approved_by: Vec::new(),
            pricing_attempt: 0,
            reserving_attempt: 0,
            sourcing: None,
            allocations: Vec::new(),
            erp: Erp::default(),
            likeness: Likeness::default(),
            contested: None,
            credit: Credit::default(),
            keep_stock_until: None,
            tries: 0,
            alarm: None,
            afterwards: None,
            exception: None,
            case: None,
            notes: Vec::new(),
            submitted: None,
            resume: Status::Pricing,
            cancel_wanted: None,
            end_reason: None,
            tellings: 0,
            parked: std::mem::take(&mut state.waiting),
            dispatches: Vec::new(),
            payments: Vec::new(),
            returns: Vec::new(),
            credited: Vec::new(),
            budgets: Vec::new(),
            history: Vec::new(),
            stated_by: by.clone(),
            changes: Vec::new(),
            given_up: Vec::new(),
            papers: Vec::new(),
            paper_attempt: 0,
            paper_alarm: None,
            late_bookings: Vec::new(),
            corrected_by: None,
            freight_credited: Vec::new(),
        }));
    } else if let Some(placed) = &mut state.placed {
        apply_placed(placed, event);
    } else {
        wait(&mut state.waiting, event);
    }
}

pub(super) fn apply_placed(placed: &mut Placed, event: &OrderEvent) {
    match event {
        OrderEvent::Placed { .. } => {}
        OrderEvent::PricingBegun { attempt } => {
            placed.pricing_attempt = *attempt;
            placed.likeness = Likeness::NotAsked;
        }
        OrderEvent::Priced { quote } => {
            placed.quote = Some(quote.clone());
            placed.budgets = quote.budgets.iter().map(|used| used.budget.clone()).collect();
            placed.passed.clear();
            placed.approved_by.clear();
        }
        OrderEvent::Approved { by, passes } => {
            placed.approved_by.push(by.clone());
            if let Some(check) = passes {
                placed.passed.push(*check);
                placed.approved_by.clear();
            }
        }
        OrderEvent::ReservingBegun { attempt } => {
            placed.reserving_attempt = *attempt;
            placed.allocations.clear();
            placed.sourcing = None;
        }
        OrderEvent::Sourced { plan } => placed.sourcing = Some(plan.clone()),
        OrderEvent::Allocated { allocation } => placed.allocations.push(allocation.clone()),
        OrderEvent::AllocationMoved { place, allocation } => {
            let place = usize::try_from(*place).ok();
            if let Some(known) = place.and_then(|place| placed.allocations.get_mut(place)) {
                known.clone_from(allocation);
            }
        }
        OrderEvent::HandedOver => {
            for allocation in live(placed) {
                allocation.released = allocation.released.max(allocation.held);
            }
        }
        OrderEvent::TakenInHand => {
            for allocation in live(placed) {
                allocation.picked = allocation.picked.max(allocation.released);
            }
        }
        OrderEvent::ErpMoved { erp } => placed.erp = erp.clone(),
        OrderEvent::CreditMoved { credit } => placed.credit = *credit,
        OrderEvent::Introduced { likeness } => placed.likeness.clone_from(likeness),
        OrderEvent::Contested { contested } => placed.contested = Some(contested.clone()),
        OrderEvent::ContestSettled => placed.contested = None,
        OrderEvent::StockKept { until } => placed.keep_stock_until = *until,
        OrderEvent::Waiting { until, tries } => {
            placed.alarm = *until;
            placed.tries = *tries;
        }
        OrderEvent::Became {
            status,
            at,
            reasoning,
        } => {
            let before = placed.status;
            placed.status = *status;
            placed.sequence = placed.sequence.saturating_add(1);
            // Escalated or given to another desk, an exception stands as long as before.
            if *status != Status::Exception || before != Status::Exception {
                placed.since = *at;
            }
            if *status != Status::Exception {
                placed.exception = None;
                placed.case = None;
                placed.keep_stock_until = None;
            }
            let milestone = Milestone {
                sequence: placed.sequence,
                status: *status,
                at: *at,
                reasoning: reasoning.clone(),
                exception: placed.exception.as_ref().map(|exception| exception.name().into()),
            };
            remember(&mut placed.history, milestone);
        }
        OrderEvent::Releasing { afterwards } => placed.afterwards = Some(afterwards.clone()),
        OrderEvent::CancelWanted { afterwards } => placed.cancel_wanted.clone_from(afterwards),
        OrderEvent::Raised {
            exception,
            resume,
            case,
        } => raise(placed, exception, *resume, *case),
        OrderEvent::Noted { note } => {
            if placed.notes.len() >= MAX_NOTES {
                placed.notes.remove(0);
            }
            placed.notes.push(note.clone());
        }
        OrderEvent::Escalated { due } => {
            if let Some(case) = &mut placed.case {
                case.escalated = case.escalated.saturating_add(1);
                case.due = *due;
            }
        }
        OrderEvent::Reassigned { to, due } => {
            if let Some(case) = &mut placed.case {
                case.owner = *to;
                case.due = *due;
            }
        }
        OrderEvent::Corrected { request, by } => {
            if states_prices(&placed.request, request) {
                placed.stated_by.clone_from(by);
            }
            correct(placed, request);
        }
        OrderEvent::CorrectionWanted { by } => placed.corrected_by = Some(by.clone()),
        OrderEvent::Ended { reason } => end(placed, reason),
        OrderEvent::Parked { .. } | OrderEvent::Unparked { .. } => wait(&mut placed.parked, event),
        OrderEvent::Dispatched(dispatch) => placed.dispatches.push(dispatch.clone()),
        OrderEvent::Paid { payment } => placed.payments.push(payment.clone()),
        OrderEvent::Returned { returned } => placed.returns.push(returned.clone()),
        OrderEvent::Credited { credited } => placed.credited.push(credited.clone()),
        OrderEvent::FreightCredited { freight } => placed.freight_credited.push(freight.clone()),
        OrderEvent::LateBookingsMoved { late } => placed.late_bookings.clone_from(late),
        OrderEvent::Changed { change } => placed.changes.push(change.clone()),
        OrderEvent::GivenUp { line, quantity } => give_up(placed, *line, *quantity),
        OrderEvent::PaperWanted { paper } => placed.papers.push(paper.clone()),
        OrderEvent::PaperMoved { place, paper } => move_paper(placed, *place, paper),
        OrderEvent::PaperWaits { until } => placed.paper_alarm = *until,
        OrderEvent::DeskTold => placed.tellings = placed.tellings.saturating_add(1),
    }
}

/// What waits, with the order or for it.
fn wait(waiting: &mut Vec<Parked>, event: &OrderEvent) {
    if let OrderEvent::Parked { parked } = event {
        waiting.push(parked.clone());
    } else if let OrderEvent::Unparked { place } = event
        && usize::from(*place) < waiting.len()
    {
        waiting.remove(usize::from(*place));
    }
}

fn give_up(placed: &mut Placed, line: u16, quantity: Quantity) {
    match placed.given_up.iter_mut().find(|(known, _)| *known == line) {
        Some((_, sum)) => *sum = sum.plus(quantity),
        None => placed.given_up.push((line, quantity)),
    }
}

fn move_paper(placed: &mut Placed, place: u16, paper: &ErpPaper) {
    if let PaperStanding::Asked { attempt, .. } = paper.standing {
        placed.paper_attempt = placed.paper_attempt.max(attempt);
    }
    if let Some(known) = placed.papers.get_mut(usize::from(place)) {
        known.clone_from(paper);
    }
}

fn live(placed: &mut Placed) -> impl Iterator<Item = &mut Allocation> {
    placed
        .allocations
        .iter_mut()
        .filter(|allocation| allocation.standing == AllocationStanding::Held)
}

/// Whether a corrected request states a price that the one before it did not.
fn states_prices(before: &OrderRequest, request: &OrderRequest) -> bool {
    let is_stated_anew = |line: &OrderLine| {
        let mut known = before.lines.iter();
        let known = known.find(|known| known.line == line.line && known.sku == line.sku);
        line.channel_price.is_some() && line.channel_price != known.and_then(|known| known.channel_price)
    };
    request.lines.iter().any(is_stated_anew)
}

fn correct(placed: &mut Placed, request: &OrderRequest) {
    let before = std::mem::replace(&mut placed.request, request.clone());
    placed.submitted.get_or_insert_with(|| Box::new(before));
    placed.quote = None;
    placed.passed.clear();
    placed.approved_by.clear();
    placed.afterwards = None;
    placed.corrected_by = None;
    placed.given_up.clear();
    placed.allocations.clear();
}

fn raise(placed: &mut Placed, exception: &Exception, resume: Status, case: Case) {
    placed.exception = Some(exception.clone());
    placed.case = Some(case);
    placed.resume = resume;
}

fn end(placed: &mut Placed, reason: &Reason) {
    placed.end_reason = Some(reason.clone());
    placed.afterwards = None::<Afterwards>;
}
