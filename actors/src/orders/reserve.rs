//! Holding stock for an order, warehouse after warehouse, and giving it back.

use super::change::keep_what_has_left;
use super::command::{OrderLine, StockAnswer, StockAnswered};
use super::credit::{check_credit, hold_without_stock};
use super::desk::take_up;
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::relocate::{moved, moved_in_vain};
use super::ship::shipment_answered;
use super::sourcing::{self, ChannelPromise, LineSources, Restriction, Sourcing, SourcingPlan};
use super::state::{Afterwards, Allocation, AllocationStanding, Exception, Placed, Policy, Status};
use crate::ids::{Sku, WarehouseCode};
use crate::inventory::command::HoldMode;
use crate::kit::{Component, whole_kits};
use crate::quantity::{PositiveQuantity, Quantity};
use smallvec::{SmallVec, smallvec};

pub(super) fn begin_reserving(flow: &mut Flow<'_>) {
    // Each attempt has two numbers: the second one is that of its backorders.
    let attempt = match flow.placed.reserving_attempt {
        0 => 1,
        before => before.saturating_add(2),
    };
    let plan = source(flow);
    flow.happens(OrderEvent::ReservingBegun { attempt });
    flow.become_status(Status::Reserving);
    if let Some(plan) = plan {
        let is_served = plan.serves();
        flow.happens(OrderEvent::Sourced { plan });
        if !is_served {
            let warehouses = u16::try_from(flow.placed.request.warehouses.len()).unwrap_or(u16::MAX);
            return flow.raise(Exception::NotServed { warehouses }, Status::Reserving);
        }
    }
    flow.wait(ANSWER_WITHIN);
    for line in flow.placed.request.lines.clone() {
        ask_next_warehouse(flow, &line);
    }
}

/// Chooses the warehouses, unless all of them may serve the order and are asked as it lists them.
fn source(flow: &Flow<'_>) -> Option<Box<SourcingPlan>> {
    let (request, reference) = (&flow.placed.request, flow.reference);
    if request.sourcing == Sourcing::Listed && reference.network().0.is_empty() {
        return None;
    }
    let buyer = flow.buyer();
    let plan = sourcing::plan(promise(flow), request, reference.network(), |line, warehouse| {
        if !reference.may_go_from(&line.sku, warehouse) {
            return None;
        }
        let available = |sku: &Sku| {
            let level = reference.stock_level(sku, warehouse);
            level.map_or(Quantity::ZERO, |level| level.in_stock_for(buyer))
        };
        Some(if line.components.is_empty() {
            available(&line.sku)
        } else {
            whole_kits(&line.components, |component| available(&component.sku))
        })
    });
    let is_whole = |sources: &LineSources| sources.warehouses.len() == request.warehouses.len();
    let as_listed = plan.policy == Sourcing::Listed && plan.lines.iter().all(is_whole);
    (!as_listed).then(|| Box::new(plan))
}

/// What the order's channel promises its customers.
fn promise<'f>(flow: &'f Flow<'_>) -> ChannelPromise<'f> {
    ChannelPromise::of(flow.order.channel(), flow.reference.order_rules())
}

/// Why a warehouse may not serve the order with goods.
pub(super) fn restriction(flow: &Flow<'_>, sku: &Sku, warehouse: WarehouseCode) -> Option<Restriction> {
    let region = flow.placed.request.ship_to_region.as_ref();
    let reference = flow.reference;
    let restriction = reference.network().restriction(&promise(flow), region, warehouse);
    let is_handled = reference.may_go_from(sku, warehouse);
    restriction.or_else(|| (!is_handled).then_some(Restriction::Hazardous))
}

/// Asks the next warehouse for what the line still lacks, unless one is being asked; after the last one the rest waits
/// at the first, if it may.
fn ask_next_warehouse(flow: &mut Flow<'_>, line: &OrderLine) {
    let is_asked = |allocation: &Allocation| allocation.standing == AllocationStanding::Asked;
    if flow.placed.of_line(line.line).any(is_asked) {
        return;
    }
    give_back_incomplete_kits(flow, line);
    let placed = &flow.placed;
    let settled = placed.held(line.line).plus(placed.waiting(line.line));
    let Some(missing) = line.quantity.get().minus(settled).positive() else {
        return;
    };
    let asked = placed.parts(line.line).len();
    let rest_may_wait = !placed.of_line(line.line).any(|part| may_wait(part.mode));
    let warehouses = placed.sources(line.line);
    let takes_a_part = placed.request.policy == Policy::Partial;
    let next = match (warehouses, warehouses.get(asked)) {
        ([only], Some(_)) if rest_may_wait && takes_a_part => Some((*only, for_the_rest(flow))),
        (_, Some(next)) => Some((*next, HoldMode::Partial)),
        ([first, ..], None) if rest_may_wait => Some((*first, for_the_rest(flow))),
        (_, None) => None,
    };
    if let Some((warehouse, mode)) = next {
        for allocation in ask(flow, line, missing, warehouse, mode) {
            flow.tell_stock(&allocation);
            flow.happens(OrderEvent::Allocated { allocation });
        }
    }
}

/// A kit is held whole: where a warehouse lacks one component, what it has of the others is given back.
fn give_back_incomplete_kits(flow: &mut Flow<'_>, line: &OrderLine) {
    if line.components.is_empty() {
        return;
    }
    let allocations = flow.placed.allocations.clone();
    let lacks = |of: &Allocation| {
        allocations.iter().any(|other| {
            let is_same =
                other.line == of.line && other.warehouse == of.warehouse && other.attempt == of.attempt;
            is_same && other.standing == AllocationStanding::Refused
        })
    };
    for (place, part) in allocations.iter().enumerate() {
        if part.line == line.line && part.standing == AllocationStanding::Held && lacks(part) {
            let mut part = part.clone();
            part.standing = AllocationStanding::Releasing;
            flow.tell_stock(&part);
            flow.move_allocation(place, part);
        }
    }
}

/// Asks a warehouse for goods; for a kit, for each component of so many kits as are known to be there at least. These are held
/// together or not at all.
fn ask(
    flow: &Flow<'_>,
    line: &OrderLine,
    missing: PositiveQuantity,
    warehouse: WarehouseCode,
    mode: HoldMode,
) -> SmallVec<[Allocation; 1]> {
    let placed = &flow.placed;
    if line.components.is_empty() {
        return smallvec![allocation(placed, line.line, None, missing, warehouse, mode)];
    }
    let (kits, mode) = match mode {
        HoldMode::Backorder(_) | HoldMode::IfDeclared(_) => (missing.get(), mode),
        HoldMode::All | HoldMode::Partial => {
            let known = flow.reference.kits_in(&line.components, warehouse, flow.buyer());
            // Where none are known to be there, the warehouse may know better.
            let kits = known.positive().map_or(missing, |known| known.min(missing));
            (kits.get(), HoldMode::All)
        }
    };
    let of_component = |component: &Component| {
        let units = component.units_of(kits).positive()?;
        let sku = Some(component.sku.clone());
        Some(allocation(placed, line.line, sku, units, warehouse, mode))
    };
    line.components.iter().filter_map(of_component).collect()
}

/// How what no warehouse has is asked for. Who takes only the whole waits where the SKU is declared to be sold on backorder.
fn for_the_rest(flow: &Flow<'_>) -> HoldMode {
    let priority = flow.priority();
    match flow.placed.request.policy {
        Policy::Partial => HoldMode::Backorder(priority),
        Policy::ShipComplete => HoldMode::IfDeclared(priority),
    }
}

const fn may_wait(mode: HoldMode) -> bool {
    match mode {
        HoldMode::Backorder(_) | HoldMode::IfDeclared(_) => true,
        HoldMode::All | HoldMode::Partial => false,
    }
}

fn allocation(
    placed: &Placed,
    line: u16,
    component: Option<Sku>,
    asked: PositiveQuantity,
    warehouse: WarehouseCode,
    mode: HoldMode,
) -> Allocation {
    let attempt = if may_wait(mode) {
        // A hold of its own: the first warehouse may hold another part of the line already.
        placed.reserving_attempt.saturating_add(1)
    } else {
        placed.reserving_attempt
    };
    Allocation {
        line,
        warehouse,
        attempt,
        asked,
        mode,
        held: Quantity::ZERO,
        waiting: Quantity::ZERO,
        revision: 0,
        released: Quantity::ZERO,
        picked: Quantity::ZERO,
        shipped: Quantity::ZERO,
        to_ship: Quantity::ZERO,
        document: None,
        standing: AllocationStanding::Asked,
        component,
        lots: Vec::new(),
        lots_to_ship: Vec::new(),
        due: None,
    }
}

pub(super) fn stock_answered(flow: &mut Flow<'_>, answered: &StockAnswered) {
    let known = flow.placed.allocations.iter().position(|allocation| {
        allocation.line == answered.line
            && allocation.warehouse == answered.warehouse
            && allocation.attempt == answered.attempt
            && flow.placed.sku(allocation) == Some(&answered.sku)
    });
    let known = known.and_then(|place| Some((place, flow.placed.allocations.get(place)?.clone())));
    let held = matches!(
        answered.answer,
        StockAnswer::Held(_) | StockAnswer::Standing { .. }
    );
    if let StockAnswer::Moved { to } = answered.answer {
        return match known.filter(|(_, part)| is_live(part)) {
            Some((place, allocation)) => moved(flow, place, allocation, to),
            None => moved_in_vain(flow, answered, to),
        };
    }
    match known {
        None if held => flow.release_stray(answered),
        None => {}
        Some((place, allocation)) => match allocation.standing {
            AllocationStanding::Asked => hold_answered(flow, place, allocation, answered),
            AllocationStanding::Held => granted(flow, place, allocation, &answered.answer),
            AllocationStanding::Shipping if held => granted(flow, place, allocation, &answered.answer),
            AllocationStanding::Shipping => shipment_answered(flow, place, allocation, answered),
            AllocationStanding::Releasing => release_answered(flow, place, allocation, answered),
            AllocationStanding::Refused | AllocationStanding::Released if held => {
                flow.release_stray(answered);
            }
            AllocationStanding::Shipped | AllocationStanding::Refused | AllocationStanding::Released => {}
        },
    }
}

fn hold_answered(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, answered: &StockAnswered) {
    match &answered.answer {
        StockAnswer::Held(quantity) => {
            allocation.held = quantity.get();
            allocation.standing = AllocationStanding::Held;
        }
        StockAnswer::Standing { .. } if note_standing(&mut allocation, &answered.answer) => {
            allocation.standing = AllocationStanding::Held;
        }
        StockAnswer::Standing { .. } => return,
        StockAnswer::Refused(_) => allocation.standing = AllocationStanding::Refused,
        StockAnswer::Released | StockAnswer::Shipped(_) | StockAnswer::Moved { .. } | StockAnswer::Stays => {
            return;
        }
    }
    flow.move_allocation(place, allocation);
    // In an exception for want of answers the late ones are noted; a retry goes on from them.
    if flow.placed.status == Status::Reserving {
        go_on_reserving(flow, answered.line);
    }
}

/// Takes over what a stock says about a hold that waits, unless something newer is known.
fn note_standing(allocation: &mut Allocation, answer: &StockAnswer) -> bool {
    let &StockAnswer::Standing {
        held,
        waiting,
        revision,
        due,
    } = answer
    else {
        return false;
    };
    // What has left was held: the stock said so before it left.
    if revision <= allocation.revision || held < allocation.shipped {
        return false;
    }
    // What was given up meanwhile is not for the order any more, whatever the stock knew when it said this.
    allocation.held = held.min(allocation.asked.get());
    allocation.waiting = waiting.min(allocation.asked.get().minus(allocation.held));
    allocation.revision = revision;
    allocation.due = due.filter(|_| allocation.waiting > Quantity::ZERO);
    true
}

/// Goods came for what waits: if nothing else was to be done for the order, the warehouse may go on with it.
fn granted(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, answer: &StockAnswer) {
    let before = allocation.held;
    if !note_standing(&mut allocation, answer) {
        return;
    }
    if allocation.held < before {
        return withdrawn(flow, place, allocation);
    }
    let promised = flow.placed.promised_for(allocation.line);
    let line = allocation.line;
    let waits_no_more = |placed: &Placed| {
        let mut parts = placed.allocations.iter();
        parts.all(|part| part.waiting() == Quantity::ZERO)
    };
    flow.move_allocation(place, allocation);
    let goes_on = match (flow.placed.status, &flow.placed.exception) {
        (Status::Backordered, _) => flow.placed.warehouse_status() != Status::Backordered,
        (Status::Exception, Some(Exception::Withdrawn { .. })) => waits_no_more(&flow.placed),
        (_, _) => false,
    };
    if goes_on {
        go_on_at_the_warehouse(flow);
    } else if flow.placed.promised_for(line) != promised {
        tell_promise(flow);
    }
}

/// What waits is expected for another moment than was said before: those who follow the order are told.
fn tell_promise(flow: &mut Flow<'_>) {
    let status = flow.placed.status;
    if matches!(
        status,
        Status::Booked | Status::Released | Status::Picked | Status::Backordered
    ) {
        flow.become_status(status);
    }
}

/// Goes on as far as the goods have come that are still in the house.
pub(super) fn go_on_at_the_warehouse(flow: &mut Flow<'_>) {
    let status = flow.placed.warehouse_status();
    flow.become_status(status);
    flow.wait_no_more();
}

/// What was held is not there after all, and waits for goods: then the rest goes on, or a person decides.
fn withdrawn(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation) {
    let (line, of_goods) = (allocation.line, allocation.component.is_none());
    let waiting = allocation.waiting;
    let had_come = matches!(
        flow.placed.status,
        Status::Booked | Status::Released | Status::Picked
    );
    allocation.released = allocation.released.min(allocation.held);
    allocation.picked = allocation.picked.min(allocation.held);
    if had_come && matches!(allocation.mode, HoldMode::IfDeclared(_)) {
        // What the order chose to wait for had come: what it lost of that is like anything else that it lost.
        allocation.mode = HoldMode::Partial;
    }
    flow.move_allocation(place, allocation);
    if !had_come {
        return;
    }
    match flow.placed.request.policy {
        Policy::Partial => go_on_at_the_warehouse(flow),
        Policy::ShipComplete => {
            let quantity = if of_goods {
                waiting
            } else {
                flow.placed.waiting(line)
            };
            flow.raise(Exception::Withdrawn { line, quantity }, Status::Booked);
        }
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
    if !is_unsettled(flow) {
        finish_reserving(flow);
    }
}

/// Whether a stock has yet to answer.
fn is_unsettled(flow: &Flow<'_>) -> bool {
    flow.any(AllocationStanding::Asked) || flow.any(AllocationStanding::Releasing)
}

/// Takes reserving up where it stopped for want of answers, or begins anew if nothing is held or asked for.
pub(super) fn resume_reserving(flow: &mut Flow<'_>) {
    if !is_unsettled(flow) && !flow.any(AllocationStanding::Held) {
        return begin_reserving(flow);
    }
    flow.become_status(Status::Reserving);
    flow.wait(ANSWER_WITHIN);
    flow.ask_stocks_again();
    for line in flow.placed.request.lines.clone() {
        ask_next_warehouse(flow, &line);
    }
    if !is_unsettled(flow) {
        finish_reserving(flow);
    }
}

fn finish_reserving(flow: &mut Flow<'_>) {
    let short = short_lines(&flow.placed).count();
    let Some(line) = first_short(&flow.placed) else {
        return check_credit(flow);
    };
    let lines = u16::try_from(short).unwrap_or(u16::MAX);
    let shortage = Exception::Shortage { line, lines };
    begin_releasing(flow, Afterwards::Exception(shortage));
}

/// The lines that are neither held in full nor have the rest waiting for goods.
fn short_lines(placed: &Placed) -> impl Iterator<Item = u16> {
    let lines = placed.request.lines.iter();
    lines
        .filter(|line| {
            let waiting = match placed.request.policy {
                Policy::Partial => placed.waiting(line.line),
                // What was held and is not there after all does not count.
                Policy::ShipComplete if placed.waits_for_the_whole(Some(line.line)) => {
                    placed.waiting(line.line)
                }
                Policy::ShipComplete => Quantity::ZERO,
            };
            placed.held(line.line).plus(waiting) < placed.wanted(line)
        })
        .map(|line| line.line)
}

/// The first of them; none for an order whose stock is settled.
pub(super) fn first_short(placed: &Placed) -> Option<u16> {
    short_lines(placed).next()
}

/// Whether a stock holds a part, or may.
pub(super) fn is_live(allocation: &Allocation) -> bool {
    match allocation.standing {
        AllocationStanding::Asked
        | AllocationStanding::Held
        | AllocationStanding::Shipping
        | AllocationStanding::Releasing => true,
        AllocationStanding::Refused | AllocationStanding::Shipped | AllocationStanding::Released => false,
    }
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

fn release_answered(flow: &mut Flow<'_>, place: usize, mut allocation: Allocation, answered: &StockAnswered) {
    match &answered.answer {
        StockAnswer::Released => allocation.standing = AllocationStanding::Released,
        StockAnswer::Shipped(total) => allocation.has_left(*total, answered.lots.as_deref()),
        // The release is on its way behind it.
        StockAnswer::Held(_)
        | StockAnswer::Standing { .. }
        | StockAnswer::Refused(_)
        | StockAnswer::Moved { .. }
        | StockAnswer::Stays => return,
    }
    let line = allocation.line;
    flow.move_allocation(place, allocation);
    if flow.placed.status == Status::Releasing {
        finish_releasing(flow);
    } else if flow.placed.status == Status::Reserving {
        // Of a kit that this warehouse could not give whole.
        go_on_reserving(flow, line);
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
        Afterwards::Shipped(reason) => return keep_what_has_left(flow, &reason),
        // A shipment that was answered late stands: then only the rest is given up.
        Afterwards::Cancelled(reason) | Afterwards::Rejected(reason) if flow.placed.has_shipped() => {
            return keep_what_has_left(flow, &reason);
        }
        Afterwards::Cancelled(reason) => (Status::Cancelled, reason),
        Afterwards::Rejected(reason) => (Status::Rejected, reason),
        Afterwards::Exception(exception @ Exception::CreditHold(_)) => {
            return hold_without_stock(flow, exception);
        }
        Afterwards::Exception(exception) => return flow.raise(exception, Status::Reserving),
        Afterwards::Corrected(request) => return take_up(flow, request),
    };
    flow.happens(OrderEvent::Ended { reason });
    flow.become_status(status);
    flow.wait_no_more();
}
