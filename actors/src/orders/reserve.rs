//! Holding stock for an order, warehouse after warehouse, and giving it back.

use super::book::begin_booking;
use super::command::{OrderLine, StockAnswer, StockAnswered};
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::ship::shipment_answered;
use super::state::{Afterwards, Allocation, AllocationStanding, Exception, Policy, Status};
use crate::quantity::Quantity;

pub(super) fn begin_reserving(flow: &mut Flow<'_>) {
    let attempt = flow.placed.reserving_attempt.saturating_add(1);
    flow.happens(OrderEvent::ReservingBegun { attempt });
    flow.become_status(Status::Reserving);
    flow.wait(ANSWER_WITHIN);
    for line in flow.placed.request.lines.clone() {
        ask_next_warehouse(flow, &line);
    }
}

/// Asks the next warehouse for what the line still lacks, unless one is being asked.
fn ask_next_warehouse(flow: &mut Flow<'_>, line: &OrderLine) {
    let is_asked = |allocation: &Allocation| allocation.standing == AllocationStanding::Asked;
    if flow.placed.of_line(line.line).any(is_asked) {
        return;
    }
    let missing = line.quantity.get().minus(flow.placed.held(line.line));
    let asked = flow.placed.of_line(line.line).count();
    let next = flow.placed.request.warehouses.get(asked).copied();
    if let (Some(missing), Some(warehouse)) = (missing.positive(), next) {
        let allocation = Allocation {
            line: line.line,
            warehouse,
            attempt: flow.placed.reserving_attempt,
            asked: missing,
            held: Quantity::ZERO,
            shipped: Quantity::ZERO,
            to_ship: Quantity::ZERO,
            document: None,
            standing: AllocationStanding::Asked,
        };
        flow.tell_stock(&allocation);
        flow.happens(OrderEvent::Allocated { allocation });
    }
}

pub(super) fn stock_answered(flow: &mut Flow<'_>, answered: &StockAnswered) {
    let known = flow.placed.allocations.iter().position(|allocation| {
        allocation.line == answered.line
            && allocation.warehouse == answered.warehouse
            && allocation.attempt == answered.attempt
    });
    let known = known.and_then(|place| Some((place, flow.placed.allocations.get(place)?.clone())));
    let held = matches!(answered.answer, StockAnswer::Held(_));
    match known {
        None if held => flow.release_stray(answered),
        None => {}
        Some((place, allocation)) => match allocation.standing {
            AllocationStanding::Asked => hold_answered(flow, place, allocation, answered),
            AllocationStanding::Shipping => shipment_answered(flow, place, allocation, &answered.answer),
            AllocationStanding::Releasing => release_answered(flow, place, allocation, &answered.answer),
            AllocationStanding::Refused | AllocationStanding::Released if held => {
                flow.release_stray(answered);
            }
            AllocationStanding::Held
            | AllocationStanding::Shipped
            | AllocationStanding::Refused
            | AllocationStanding::Released => {}
        },
    }
}

fn hold_answered(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, answered: &StockAnswered) {
    match &answered.answer {
        StockAnswer::Held(quantity) => {
            allocation.held = quantity.get();
            allocation.standing = AllocationStanding::Held;
        }
        StockAnswer::Refused(_) => allocation.standing = AllocationStanding::Refused,
        StockAnswer::Released | StockAnswer::Shipped(_) => return,
    }
    flow.move_allocation(place, allocation);
    // In an exception for want of answers the late ones are noted; a retry goes on from them.
    if flow.placed.status == Status::Reserving {
        go_on_reserving(flow, answered.line);
    }
}

fn go_on_reserving(flow: &mut Flow<'_>, line: u16) {
    let line = flow
        .placed
        .request
        .lines
        .iter()
        .find(|known| known.line == line)
        .cloned();
    if let Some(line) = line {
        ask_next_warehouse(flow, &line);
    }
    if !flow.any(AllocationStanding::Asked) {
        finish_reserving(flow);
    }
}

/// Takes reserving up where it stopped for want of answers, or begins anew if nothing is held or asked for.
pub(super) fn resume_reserving(flow: &mut Flow<'_>) {
    if !flow.any(AllocationStanding::Asked) && !flow.any(AllocationStanding::Held) {
        return begin_reserving(flow);
    }
    flow.become_status(Status::Reserving);
    flow.wait(ANSWER_WITHIN);
    flow.ask_stocks_again();
    for line in flow.placed.request.lines.clone() {
        ask_next_warehouse(flow, &line);
    }
    if !flow.any(AllocationStanding::Asked) {
        finish_reserving(flow);
    }
}

fn finish_reserving(flow: &mut Flow<'_>) {
    let placed = &flow.placed;
    let short: Vec<u16> = placed
        .request
        .lines
        .iter()
        .filter(|line| placed.held(line.line) < line.quantity.get())
        .map(|line| line.line)
        .collect();
    let Some(&line) = short.first() else {
        return begin_booking(flow);
    };
    if placed.request.policy == Policy::Partial && flow.any(AllocationStanding::Held) {
        return begin_booking(flow);
    }
    let lines = u16::try_from(short.len()).unwrap_or(u16::MAX);
    let shortage = Exception::Shortage { line, lines };
    begin_releasing(flow, Afterwards::Exception(shortage));
}

/// Gives back all that is held or may be, then goes on to `afterwards`.
pub(super) fn begin_releasing(flow: &mut Flow<'_>, afterwards: Afterwards) {
    flow.happens(OrderEvent::Releasing { afterwards });
    flow.become_status(Status::Releasing);
    flow.wait(ANSWER_WITHIN);
    for (place, mut allocation) in flow.placed.allocations.clone().into_iter().enumerate() {
        match allocation.standing {
            AllocationStanding::Asked | AllocationStanding::Held | AllocationStanding::Shipping => {
                allocation.standing = AllocationStanding::Releasing;
                flow.tell_stock(&allocation);
                flow.move_allocation(place, allocation);
            }
            AllocationStanding::Releasing => flow.tell_stock(&allocation),
            AllocationStanding::Refused | AllocationStanding::Shipped | AllocationStanding::Released => {}
        }
    }
    finish_releasing(flow);
}

fn release_answered(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, answer: &StockAnswer) {
    match answer {
        StockAnswer::Released => allocation.standing = AllocationStanding::Released,
        StockAnswer::Shipped(total) => allocation.shipped = *total,
        // The release is on its way behind it.
        StockAnswer::Held(_) | StockAnswer::Refused(_) => return,
    }
    flow.move_allocation(place, allocation);
    if flow.placed.status == Status::Releasing {
        finish_releasing(flow);
    }
}

pub(super) fn finish_releasing(flow: &mut Flow<'_>) {
    if flow.any(AllocationStanding::Releasing) {
        return;
    }
    let Some(afterwards) = flow.placed.afterwards.clone() else {
        return;
    };
    let (status, reason) = match afterwards {
        Afterwards::Cancelled(reason) => (Status::Cancelled, reason),
        Afterwards::Rejected(reason) => (Status::Rejected, reason),
        Afterwards::Closed(reason) => (Status::Closed, reason),
        Afterwards::Exception(exception) => return flow.raise(exception, Status::Reserving),
    };
    flow.happens(OrderEvent::Ended { reason });
    flow.become_status(status);
    flow.wait_no_more();
}
