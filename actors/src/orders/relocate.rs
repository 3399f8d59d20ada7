//! A line's goods that are held in one warehouse are to come from another.
//!
//! The stocks do it among themselves ([`crate::inventory::moving`]): the other one holds the goods before this one lets go. The
//! order hears of it once it is done.
//!
//! Invariants:
//! - only what is held as a whole moves, with nothing waiting and before the warehouse begins with it;
//! - a warehouse takes over only what it may serve, as when the order was planned;
//! - a kit stays where its components lie together;
//! - what the order wanted of a part that has moved meanwhile is wanted of the other warehouse;
//! - the ERP hears of it once it is done ([`super::paper`]).

use super::change::{MAX_CHANGES, tell_less};
use super::command::{OrderRefusal, Relocation, StockAnswered};
use super::flow::Flow;
use super::paper::{tell_places, told_places};
use super::reserve::restriction;
use super::state::{Allocation, AllocationStanding, Status};
use crate::ids::{StockId, WarehouseCode};
use crate::inventory::command::StockCommand;
use crate::quantity::Quantity;

/// Asks the stock that has the goods to let the other one have them.
pub(super) fn relocate(flow: &mut Flow<'_>, wish: &Relocation) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    let may = matches!(
        placed.status,
        Status::Booked | Status::Released | Status::Picked | Status::Backordered
    );
    if !may {
        return Err(OrderRefusal::NotNow {
            status: placed.status,
        });
    }
    if told_places(placed) >= MAX_CHANGES {
        return Err(OrderRefusal::TooManyDocuments);
    }
    let line = wish.line;
    if placed.line(line).is_none() {
        return Err(OrderRefusal::UnknownLine { line });
    }
    let movable = placed
        .of_line(line)
        .find(|part| part.warehouse == wish.from && is_movable(part))
        .filter(|part| {
            let mut parts = placed.of_line(line);
            !parts.any(|other| other.warehouse == wish.to && other.attempt == part.attempt)
        });
    let Some(part) = movable.cloned() else {
        return Err(OrderRefusal::NotMovable { line });
    };
    let sku = placed.sku(&part);
    if let Some(because) = sku.and_then(|sku| restriction(flow, sku, wish.to)) {
        return Err(OrderRefusal::NotServed { to: wish.to, because });
    }
    let command = StockCommand::MoveHold {
        id: flow.hold_id(line, part.attempt),
        to: wish.to,
        answer_to: Some(flow.order.clone()),
    };
    flow.address_stock(&part, command);
    Ok(())
}

fn is_movable(part: &Allocation) -> bool {
    let begun = part.shipped.max(part.released).max(part.picked);
    part.standing == AllocationStanding::Held
        && part.component.is_none()
        && part.waiting == Quantity::ZERO
        && begun == Quantity::ZERO
}

/// A part of a line is held in another warehouse now: what is wanted of it is wanted there.
pub(super) fn moved(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, to: WarehouseCode) {
    allocation.warehouse = to;
    // What the order gave up meanwhile was told to the stock that had let go.
    let is_wanted = matches!(
        allocation.standing,
        AllocationStanding::Held | AllocationStanding::Shipping
    );
    if let (true, Some(wanted)) = (is_wanted, allocation.held.plus(allocation.waiting).positive()) {
        tell_less(flow, &allocation, wanted);
    }
    flow.tell_stock(&allocation);
    if allocation.standing == AllocationStanding::Held && allocation.picked > allocation.shipped {
        let id = flow.hold_id(allocation.line, allocation.attempt);
        flow.address_stock(&allocation, StockCommand::ConfirmPick { id });
    }
    flow.move_allocation(place, allocation);
    tell_places(flow);
}

/// A hold has moved that nobody wants any more.
pub(super) fn moved_in_vain(flow: &mut Flow<'_>, answered: &StockAnswered, to: WarehouseCode) {
    let id = flow.hold_id(answered.line, answered.attempt);
    let stock = StockId {
        sku: answered.sku.clone(),
        warehouse: to,
    };
    flow.send((stock, StockCommand::Release { id, answer_to: None }));
}
