//! Changes of an order that its customer asks for, answered line by line.
//!
//! A line can be made less, or be cancelled. More is another order.
//!
//! | where the order stands | what a change does |
//! |---|---|
//! | pricing, reserving, credit check; in exception and not in the ERP | the order is taken up anew with the lines as they are wanted, and is priced anew |
//! | booked, released, picked, backordered, shipped | what waits for goods is given up first, then what is held and the warehouse has not begun with; the price of a unit stays. The ERP is told ([`super::paper`]) |
//! | being booked, shipped, given back or cancelled at the moment | waits for its turn ([`super::parked`]) |
//!
//! An order of which a part has left is not cancelled: it is changed down to that, by a change with a number of ours.
//!
//! Invariants:
//! - each line is answered by itself: taken, taken in part, or not, with the reason;
//! - a change counts once, by its paper; a repeat is answered as the first;
//! - what the warehouse has begun with or what has left stays as it is;
//! - a change never leaves an order of nothing: that is a cancellation;
//! - what its channel's rules would have refused or held of an order as it comes in, a change does not make of it.

use super::checks::{check_least, check_less};
use super::command::{ChangeLine, OrderChange, OrderLine, OrderRefusal};
use super::credit::tell_account_of_less;
use super::decide::check;
use super::desk::begin_anew;
use super::event::OrderEvent;
use super::flow::Flow;
use super::paper::{PaperKind, is_taken, own_number, tell_erp};
use super::parts::Part;
use super::price::tell_contract_of_less;
use super::state::{Allocation, AllocationStanding, Placed, Status};
use crate::ids::{DocumentId, Reason};
use crate::inventory::command::StockCommand;
use crate::inventory::holds::HoldChange;
use crate::quantity::{PositiveQuantity, Quantity};
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many changes an order keeps.
pub const MAX_CHANGES: usize = 64;

/// What became of a line of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeAnswer {
    /// It is as it was wanted.
    Accepted,
    /// It is as near to that as can be.
    PartlyAccepted(ChangeRefusal),
    /// It stays as it was.
    Rejected(ChangeRefusal),
}

/// Why a line is not as it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRefusal {
    /// There is no such line.
    #[error("the order has no such line")]
    UnknownLine,
    /// It would be more than before.
    #[error("more is another order")]
    More,
    /// The warehouse has begun with it.
    #[error("the warehouse has begun with it")]
    InHand,
    /// It has left the house.
    #[error("it has left the house")]
    Shipped,
    /// It was ordered in a unit of which that is no whole number.
    #[error("that is no whole number of the unit that was ordered")]
    Unit,
    /// Nothing of the order would be left.
    #[error("nothing of the order would be left: cancel it")]
    NothingLeft,
}

/// A line of a change, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredLine {
    /// Which.
    pub line: u16,
    /// How much was wanted from then on, in base units.
    pub asked: Quantity,
    /// How much is wanted of it from then on.
    pub wanted: Quantity,
    /// What became of it.
    pub answer: ChangeAnswer,
}

/// A change, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredChange {
    /// The customer's number for it.
    pub document: DocumentId,
    /// Why.
    pub reason: Reason,
    /// Line by line.
    pub lines: Vec<AnsweredLine>,
    /// When.
    pub at: Timestamp,
    /// Which system asked for it.
    pub by: CompactString,
}

/// Takes what it can of a change, and answers each line.
pub(super) fn change(flow: &mut Flow<'_>, wish: &OrderChange) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    if let Some(known) = placed
        .changes
        .iter()
        .find(|known| known.document == wish.document)
    {
        let is_same = known.lines.iter().map(|line| (line.line, line.asked));
        let asked = wish.lines.iter().map(|line| (line.line, line.quantity));
        return if is_same.eq(asked) {
            Ok(())
        } else {
            let document = wish.document.clone();
            Err(OrderRefusal::DocumentConflict { document })
        };
    }
    if is_taken(placed, &wish.document) {
        let document = wish.document.clone();
        return Err(OrderRefusal::DocumentConflict { document });
    }
    if placed.changes.len() >= MAX_CHANGES {
        return Err(OrderRefusal::TooManyDocuments);
    }
    for (place, line) in wish.lines.iter().enumerate() {
        if wish.lines[..place].iter().any(|other| other.line == line.line) {
            return Err(OrderRefusal::RepeatedLine { line: line.line });
        }
    }
    check_less(flow, wish)?;
    match placed.status {
        Status::Pricing | Status::Reserving | Status::CreditCheck => take_anew(flow, wish),
        Status::Exception if !placed.is_in_erp() => take_anew(flow, wish),
        Status::Booked | Status::Released | Status::Picked | Status::Backordered | Status::Shipped => {
            reduce(flow, wish)
        }
        Status::Booking
        | Status::Shipping
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => Err(OrderRefusal::NotNow {
            status: placed.status,
        }),
    }
}

/// The answers to all lines, given how little each can become.
fn answers(
    placed: &Placed,
    wish: &OrderChange,
    least: impl Fn(&OrderLine) -> (Quantity, ChangeRefusal),
) -> Vec<AnsweredLine> {
    let answer = |line: &ChangeLine| {
        let Some(ordered) = placed.line(line.line) else {
            return (Quantity::ZERO, ChangeAnswer::Rejected(ChangeRefusal::UnknownLine));
        };
        let wanted = placed.wanted(ordered);
        let (least, because) = least(ordered);
        if line.quantity > wanted {
            (wanted, ChangeAnswer::Rejected(ChangeRefusal::More))
        } else if line.quantity >= least || line.quantity == wanted {
            (line.quantity, ChangeAnswer::Accepted)
        } else if least < wanted {
            (least, ChangeAnswer::PartlyAccepted(because))
        } else {
            (wanted, ChangeAnswer::Rejected(because))
        }
    };
    let mut lines: Vec<_> = wish
        .lines
        .iter()
        .map(|line| {
            let (wanted, answer) = answer(line);
            AnsweredLine {
                line: line.line,
                asked: line.quantity,
                wanted,
                answer,
            }
        })
        .collect();
    let is_changed = |ordered: &OrderLine| lines.iter().find(|line| line.line == ordered.line);
    let left = placed.request.lines.iter();
    let left = left.map(|ordered| is_changed(ordered).map_or(placed.wanted(ordered), |line| line.wanted));
    if left.fold(Quantity::ZERO, Quantity::plus) == Quantity::ZERO {
        for line in &mut lines {
            line.wanted = placed
                .line(line.line)
                .map_or(Quantity::ZERO, |line| placed.wanted(line));
            line.answer = ChangeAnswer::Rejected(ChangeRefusal::NothingLeft);
        }
    }
    lines
}

fn note(flow: &mut Flow<'_>, wish: &OrderChange, lines: Vec<AnsweredLine>) {
    let change = AnsweredChange {
        document: wish.document.clone(),
        reason: wish.reason.clone(),
        lines,
        at: flow.now,
        by: flow.by.into(),
    };
    flow.answered_change = Some(change.clone());
    flow.happens(OrderEvent::Changed { change });
}

/// Nothing is in the ERP yet: the order begins anew with the lines as they are wanted.
fn take_anew(flow: &mut Flow<'_>, wish: &OrderChange) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    let mut lines = answers(placed, wish, |_| (Quantity::ZERO, ChangeRefusal::NothingLeft));
    for line in &mut lines {
        let ordered = placed.line(line.line);
        let is_whole = ordered.is_none_or(|ordered| ordered_as(ordered, line.wanted).is_some());
        if !is_whole {
            line.wanted = ordered.map_or(Quantity::ZERO, |ordered| ordered.quantity.get());
            line.answer = ChangeAnswer::Rejected(ChangeRefusal::Unit);
        }
    }
    let mut request = placed.request.clone();
    request.lines = placed
        .request
        .lines
        .iter()
        .filter_map(|ordered| {
            let changed = lines.iter().find(|line| line.line == ordered.line);
            match changed {
                None => Some(ordered.clone()),
                Some(line) => with_quantity(ordered, line.wanted),
            }
        })
        .collect();
    check(&request, &placed.submitted().lines)?;
    let is_changed = request != placed.request;
    note(flow, wish, lines);
    let request = Box::new(request);
    if is_changed {
        begin_anew(flow, request);
    } else {
        // Nothing of it could be done: the order goes on as it is.
        flow.become_status(flow.placed.status);
    }
    Ok(())
}

/// How many of the unit that was ordered so many base units of a line are; none if that is no whole number.
fn ordered_as(ordered: &OrderLine, wanted: Quantity) -> Option<Quantity> {
    let Some(unit) = &ordered.ordered_as else {
        return Some(wanted);
    };
    let shares = i128::from(wanted.units()) * i128::from(unit.quantity.units());
    let whole = i128::from(ordered.quantity.units());
    if shares % whole != 0 {
        return None;
    }
    i64::try_from(shares / whole)
        .ok()
        .and_then(|units| Quantity::new(units).ok())
}

/// The same line of less; none of nothing.
fn with_quantity(ordered: &OrderLine, wanted: Quantity) -> Option<OrderLine> {
    let quantity = wanted.positive()?;
    let mut line = OrderLine {
        quantity,
        ..ordered.clone()
    };
    if let Some(unit) = &mut line.ordered_as {
        unit.quantity = ordered_as(ordered, wanted)?.positive()?;
    }
    Some(line)
}

/// How much of a part the warehouse has begun with, or what has left.
fn in_hand(part: &Part) -> Quantity {
    part.shipped.max(part.released).max(part.picked)
}

/// The ERP has the order: what is not wanted any more is given up, as far as the warehouse has not begun with it.
fn reduce(flow: &mut Flow<'_>, wish: &OrderChange) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    let least = |ordered: &OrderLine| {
        let parts = placed.parts(ordered.line);
        let sum =
            |of: fn(&Part) -> Quantity| parts.iter().fold(Quantity::ZERO, |sum, part| sum.plus(of(part)));
        let has_left = sum(|part| part.shipped) == sum(in_hand);
        let because = if has_left {
            ChangeRefusal::Shipped
        } else {
            ChangeRefusal::InHand
        };
        (sum(in_hand), because)
    };
    let lines = answers(placed, wish, least);
    let less: Vec<(u16, Quantity)> = lines
        .iter()
        .filter_map(|line| {
            let ordered = placed.line(line.line)?;
            Some((line.line, placed.wanted(ordered).minus(line.wanted)))
        })
        .filter(|(_, less)| *less > Quantity::ZERO)
        .collect();
    let left = placed.request.lines.iter().map(|ordered| {
        let given_up = less.iter().find(|(line, _)| *line == ordered.line);
        let given_up = given_up.map_or(Quantity::ZERO, |(_, quantity)| *quantity);
        (ordered.line, placed.wanted(ordered).minus(given_up))
    });
    if !less.is_empty() {
        check_least(flow, placed.total_of(left))?;
    }
    note(flow, wish, lines);
    for (line, less) in &less {
        give_up(flow, *line, *less);
    }
    if !less.is_empty() {
        tell_account_of_less(flow);
        tell_contract_of_less(flow);
        tell_erp(flow, PaperKind::Change, &wish.document);
    }
    let status = flow.placed.warehouse_status();
    flow.become_status(status);
    Ok(())
}

/// The order is changed down to what has left: nothing else is held for it any more. Its account bears the rest until it is
/// invoiced or closed, and the ERP hears of it as of any change.
pub(super) fn keep_what_has_left(flow: &mut Flow<'_>, reason: &Reason) {
    let placed = &flow.placed;
    let lines = placed.request.lines.iter();
    let lines = lines.map(|line| (line.line, placed.shipped(line.line), placed.wanted(line)));
    let less: Vec<_> = lines.filter(|(_, left, wanted)| left < wanted).collect();
    if let (false, Some(document)) = (less.is_empty(), own_number(placed, "rest", 1)) {
        let answered = |(line, left, _): &(u16, Quantity, Quantity)| AnsweredLine {
            line: *line,
            asked: *left,
            wanted: *left,
            answer: ChangeAnswer::Accepted,
        };
        let change = AnsweredChange {
            document: document.clone(),
            reason: reason.clone(),
            lines: less.iter().map(answered).collect(),
            at: flow.now,
            by: flow.by.into(),
        };
        flow.happens(OrderEvent::Changed { change });
        for (line, left, wanted) in less {
            let quantity = wanted.minus(left);
            flow.happens(OrderEvent::GivenUp { line, quantity });
        }
        tell_account_of_less(flow);
        if flow.placed.erp.number.is_some() {
            tell_erp(flow, PaperKind::Change, &document);
        }
    }
    let reason = reason.clone();
    flow.happens(OrderEvent::Ended { reason });
    flow.become_status(Status::Shipped);
    flow.wait_no_more();
}

/// Gives up so much of a line: of what was asked for last first, and there what waits before what is held.
fn give_up(flow: &mut Flow<'_>, line: u16, mut less: Quantity) {
    flow.happens(OrderEvent::GivenUp { line, quantity: less });
    let parts = flow.placed.parts(line);
    let waiting = |part: &Part| part.waiting;
    let held = |part: &Part| part.held.minus(in_hand(part)).at_least_zero();
    for of in [waiting as fn(&Part) -> Quantity, held] {
        for part in parts.iter().rev() {
            let now = flow.placed.parts(line);
            let is_same = |known: &&Part| known.warehouse == part.warehouse && known.attempt == part.attempt;
            let Some(part) = now.iter().find(is_same) else {
                continue;
            };
            let taken = of(part).min(less).at_least_zero();
            if taken > Quantity::ZERO {
                less = less.minus(taken);
                take_from(flow, line, part, part.held.plus(part.waiting).minus(taken));
            }
        }
    }
}

/// Leaves so much of a part of a line, and tells the stocks.
fn take_from(flow: &mut Flow<'_>, line: u16, part: &Part, left: Quantity) {
    for (place, known) in flow.placed.allocations.clone().into_iter().enumerate() {
        let is_of_part =
            known.line == line && known.warehouse == part.warehouse && known.attempt == part.attempt;
        if !is_of_part || known.standing != AllocationStanding::Held {
            continue;
        }
        let left = flow.placed.units_of(&known, left);
        let allocation = reduced(known, left);
        match left.positive() {
            None => flow.tell_stock(&allocation),
            Some(quantity) => tell_less(flow, &allocation, quantity),
        }
        flow.move_allocation(place, allocation);
    }
}

/// Leaves so much of a hold, shipments included; as much as it holds changes nothing.
pub(super) fn tell_less(flow: &mut Flow<'_>, allocation: &Allocation, quantity: PositiveQuantity) {
    let id = flow.hold_id(allocation.line, allocation.attempt);
    let change = HoldChange::Reduce(quantity);
    flow.address_stock(allocation, StockCommand::ChangeHold { id, change });
}

/// An allocation of which so much is left.
fn reduced(allocation: Allocation, left: Quantity) -> Allocation {
    let Some(asked) = left.positive() else {
        return Allocation {
            standing: AllocationStanding::Releasing,
            ..allocation
        };
    };
    let held = allocation.held.min(left);
    let standing = if held == left && allocation.shipped >= left {
        AllocationStanding::Shipped
    } else {
        AllocationStanding::Held
    };
    Allocation {
        asked,
        held,
        waiting: allocation.waiting.min(left.minus(held)),
        standing,
        ..allocation
    }
}

/// The lines of an order without what was given up of them.
pub(super) fn as_wanted(placed: &Placed) -> Vec<OrderLine> {
    let line = |ordered: &OrderLine| {
        let wanted = placed.wanted(ordered);
        with_quantity(ordered, wanted).or_else(|| {
            // No whole number of the unit that was ordered: it is in base units from now on, at our price.
            Some(OrderLine {
                quantity: wanted.positive()?,
                ordered_as: None,
                channel_price: None,
                ..ordered.clone()
            })
        })
    };
    placed.request.lines.iter().filter_map(line).collect()
}

impl Placed {
    /// How much of a line is wanted: what was ordered, less what was given up of it.
    #[must_use]
    pub fn wanted(&self, line: &OrderLine) -> Quantity {
        let given_up = self.given_up.iter().find(|(known, _)| *known == line.line);
        let given_up = given_up.map_or(Quantity::ZERO, |(_, quantity)| *quantity);
        line.quantity.get().minus(given_up)
    }
}
