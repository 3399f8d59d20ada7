//! Goods leave the house.

use super::command::{OrderRefusal, ShipLine, StockAnswer, StockAnswered};
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::parts::Part;
use super::shipment::{Carriage, Dispatch, DispatchLine};
use super::state::{Allocation, AllocationStanding, Exception, Placed, Status};
use crate::ids::{DocumentId, Sku};
use crate::inventory::lots::{LotRefusal, LotUnits, check_named};
use crate::pricing::catalogue::Tracking;
use crate::quantity::{Quantity, take_first};
use std::collections::VecDeque;

/// Tells the stocks how much is to have left of each line.
pub(super) fn begin_shipping(
    flow: &mut Flow<'_>,
    lines: &[ShipLine],
    document: Option<&DocumentId>,
    carriage: &Carriage,
) -> Result<(), OrderRefusal> {
    let wanted = wanted_totals(flow, lines)?;
    let leaving = leaving(&flow.placed, &wanted);
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
    name_lots(flow, lines, &mut moved)?;
    flow.happens(OrderEvent::Dispatched(Dispatch {
        document: document.cloned(),
        carriage: carriage.clone(),
        at: flow.now,
        lines: leaving,
    }));
    flow.become_status(Status::Shipping);
    flow.wait(ANSWER_WITHIN);
    for (place, allocation) in moved {
        flow.tell_stock(&allocation);
        flow.move_allocation(place, allocation);
    }
    Ok(())
}

/// The lines of which more is to have left than has.
fn leaving(placed: &Placed, wanted: &[(u16, Quantity)]) -> Vec<DispatchLine> {
    let line = |(line, up_to): &(u16, Quantity)| DispatchLine {
        line: *line,
        from: placed.shipped(*line),
        up_to: *up_to,
    };
    let lines = wanted.iter().map(line);
    lines.filter(|line| line.up_to > line.from).collect()
}

/// Says of which lots what leaves is, part by part, where the warehouse says so. Pieces with serial numbers it has to.
fn name_lots(
    flow: &Flow<'_>,
    lines: &[ShipLine],
    moved: &mut [(usize, Allocation)],
) -> Result<(), OrderRefusal> {
    for line in lines {
        let components = line.components.iter();
        let named = components.map(|named| (Some(&named.sku), &named.lots));
        let goods = Some((None, &line.lots)).filter(|(_, lots)| !lots.is_empty());
        for (component, lots) in goods.into_iter().chain(named) {
            name_lots_of(flow, line.line, component, lots, moved)?;
        }
    }
    let needs_serials = |part: &Allocation| {
        let item = flow.placed.sku(part).and_then(|sku| flow.reference.item(sku));
        item.is_some_and(|item| item.tracking == Tracking::Serials)
    };
    let mut unnamed = moved
        .iter()
        .map(|(_, part)| part)
        .filter(|part| part.lots_to_ship.is_empty());
    match unnamed.find(|part| needs_serials(part)) {
        None => Ok(()),
        Some(part) => Err(OrderRefusal::Lots {
            line: part.line,
            refusal: LotRefusal::Missing,
        }),
    }
}

/// Says of which lots what leaves of a line is, or of a component of it that is a kit.
fn name_lots_of(
    flow: &Flow<'_>,
    line: u16,
    component: Option<&Sku>,
    lots: &[LotUnits],
    moved: &mut [(usize, Allocation)],
) -> Result<(), OrderRefusal> {
    let ordered = flow.placed.line(line);
    let is_kit = ordered.is_some_and(|ordered| !ordered.components.is_empty());
    match component {
        None if is_kit => {
            let refusal = LotRefusal::OfKit;
            return Err(OrderRefusal::Lots { line, refusal });
        }
        Some(sku) if ordered.is_none_or(|ordered| ordered.components.iter().all(|part| part.sku != *sku)) => {
            let sku = sku.clone();
            return Err(OrderRefusal::UnknownComponent { line, sku });
        }
        None | Some(_) => {}
    }
    let leaves = |part: &Allocation| part.to_ship.minus(part.shipped);
    let is_of_it = |part: &&mut Allocation| part.line == line && part.component.as_ref() == component;
    let mut parts: Vec<_> = moved.iter_mut().map(|(_, part)| part).filter(is_of_it).collect();
    let goods = parts
        .iter()
        .fold(Quantity::ZERO, |sum, part| sum.plus(leaves(part)));
    if let Some(sku) = component.or_else(|| ordered.map(|ordered| &ordered.sku)) {
        let checked = check_named(lots, sku, goods, flow.reference);
        checked.map_err(|refusal| OrderRefusal::Lots { line, refusal })?;
    }
    let mut lots: VecDeque<LotUnits> = lots.iter().cloned().collect();
    for part in &mut parts {
        part.lots_to_ship = take_first(&mut lots, leaves(part), |lot| &mut lot.quantity);
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
    answered: &StockAnswered,
) {
    match &answered.answer {
        StockAnswer::Shipped(total) => {
            if *total < allocation.to_ship {
                return;
            }
            allocation.has_left(*total, answered.lots.as_deref());
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
        StockAnswer::Held(_)
        | StockAnswer::Standing { .. }
        | StockAnswer::Released
        | StockAnswer::Moved { .. }
        | StockAnswer::Stays => return,
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
