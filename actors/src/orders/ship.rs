//! Goods leave the house.

use super::command::{OrderRefusal, ShipLine, StockAnswer};
use super::flow::{ANSWER_WITHIN, Flow};
use super::parts::Part;
use super::state::{Allocation, AllocationStanding, Exception, Placed, Status};
use crate::ids::DocumentId;
use crate::quantity::Quantity;

/// Tells the stocks how much is to have left of each line.
pub(super) fn begin_shipping(
    flow: &mut Flow<'_>,
    lines: &[ShipLine],
    document: Option<&DocumentId>,
) -> Result<(), OrderRefusal> {
    let wanted = wanted_totals(flow, lines)?;
    let mut moved = Vec::new();
    for (line, mut left) in wanted {
        for part in flow.placed.parts(line) {
            let taken = left.min(part.held);
            left = left.minus(taken);
            for (place, allocation) in flow.placed.allocations.iter().enumerate() {
                let is_of_part = allocation.line == line
                    && allocation.warehouse == part.warehouse
                    && allocation.attempt == part.attempt;
                let to_ship = flow.placed.units_of(allocation, taken);
                let is_held = allocation.standing == AllocationStanding::Held;
                if is_of_part && is_held && to_ship > allocation.shipped {
                    let mut allocation = allocation.clone();
                    allocation.to_ship = to_ship;
                    allocation.document = document.cloned();
                    allocation.standing = AllocationStanding::Shipping;
                    moved.push((place, allocation));
                }
            }
        }
    }
    if moved.is_empty() {
        return Ok(());
    }
    flow.become_status(Status::Shipping);
    flow.wait(ANSWER_WITHIN);
    for (place, allocation) in moved {
        flow.tell_stock(&allocation);
        flow.move_allocation(place, allocation);
    }
    Ok(())
}

fn wanted_totals(flow: &Flow<'_>, lines: &[ShipLine]) -> Result<Vec<(u16, Quantity)>, OrderRefusal> {
    let placed = &flow.placed;
    if lines.is_empty() {
        return Ok(all_in_hand(placed));
    }
    let mut wanted: Vec<(u16, Quantity)> = Vec::with_capacity(lines.len());
    for ship in lines {
        let line = ship.line;
        if !placed.request.lines.iter().any(|known| known.line == line) {
            return Err(OrderRefusal::UnknownLine { line });
        }
        if wanted.iter().any(|(known, _)| *known == line) {
            return Err(OrderRefusal::RepeatedLine { line });
        }
        let held = placed.held(line);
        if ship.total.get() > held {
            return Err(OrderRefusal::MoreThanHeld { line, held });
        }
        wanted.push((line, ship.total.get()));
    }
    Ok(wanted)
}

/// All that has come as far as the order itself; what was granted since goes with a later shipment.
fn all_in_hand(placed: &Placed) -> Vec<(u16, Quantity)> {
    let so_far = |part: &Part| {
        if part.open() == Quantity::ZERO {
            return part.shipped;
        }
        let so_far = match placed.status {
            Status::Picked => part.picked,
            Status::Released => part.released,
            Status::Pricing
            | Status::Reserving
            | Status::CreditCheck
            | Status::Booking
            | Status::Booked
            | Status::Shipping
            | Status::Backordered
            | Status::Shipped
            | Status::Cancelling
            | Status::Releasing
            | Status::Exception
            | Status::Closed
            | Status::Cancelled
            | Status::Rejected => part.held,
        };
        so_far.max(part.shipped)
    };
    let lines = placed.request.lines.iter();
    lines
        .map(|line| {
            let parts = placed.parts(line.line);
            let total = parts
                .iter()
                .fold(Quantity::ZERO, |sum, part| sum.plus(so_far(part)));
            (line.line, total)
        })
        .collect()
}

pub(super) fn shipment_answered(
    flow: &mut Flow<'_>,
    place: usize,
    mut allocation: Allocation,
    answer: &StockAnswer,
) {
    match answer {
        StockAnswer::Shipped(total) => {
            if *total < allocation.to_ship {
                return;
            }
            allocation.has_left(*total);
            allocation.released = allocation.released.max(*total);
            allocation.picked = allocation.picked.max(*total);
            let all = allocation.shipped >= allocation.held && allocation.waiting == Quantity::ZERO;
            allocation.standing = if all {
                AllocationStanding::Shipped
            } else {
                AllocationStanding::Held
            };
            flow.move_allocation(place, allocation);
        }
        StockAnswer::Refused(refusal) => {
            let line = allocation.line;
            let refusal = refusal.clone();
            // It stays `Shipping`: a retry asks again, a cancellation gives it back.
            if flow.placed.status == Status::Shipping {
                flow.raise(Exception::NotShippable { line, refusal }, Status::Shipping);
            }
            return;
        }
        StockAnswer::Held(_) | StockAnswer::Standing { .. } | StockAnswer::Released => return,
    }
    if flow.placed.status == Status::Shipping {
        finish_shipping(flow);
    }
}

fn finish_shipping(flow: &mut Flow<'_>) {
    if flow.any(AllocationStanding::Shipping) {
        return;
    }
    let status = flow.placed.warehouse_status();
    flow.become_status(status);
    flow.wait_no_more();
}

/// Takes shipping up where it stopped.
pub(super) fn resume_shipping(flow: &mut Flow<'_>) {
    flow.become_status(Status::Shipping);
    flow.wait(ANSWER_WITHIN);
    flow.ask_stocks_again();
    finish_shipping(flow);
}
