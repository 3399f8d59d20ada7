//! The rule book of orders. Pure: the same state, command and time give the same decision.

use super::Order;
use super::after_sales::{credit_lines, take_back};
use super::apply::apply;
use super::book::{
    ask_to_cancel, begin_booking, begin_ending, booking_answered, cancel_answered, look_again,
};
use super::change::change;
use super::checks::{approve, check_and_go_on, check_packs};
use super::command::{OrderCommand, OrderLine, OrderRefusal, OrderReply, OrderRequest, ShipLine};
use super::credit::{ask_for_credit, credit_answered, give_stock_back, go_on_from_hold};
use super::desk::{DeskAct, correct, escalate, escalate_beside, note, reassign};
use super::duplicate::{contest, dismiss, introduce, introduction_answered};
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow, MAX_TRIES};
use super::goods::{is_repeat, take};
use super::late_booking::ask_about_late;
use super::paper::{look_after_papers, paper_answered, retry_paper};
use super::parked::{
    Parked, expire_with_order, expire_without_order, is_before_its_time, keep_for_later, keep_with_order,
    or_dead_letter,
};
use super::payment::pay;
use super::price::{ask_for_price_again, begin_pricing, pricing_answered};
use super::relocate::relocate;
use super::reserve::{begin_releasing, go_on_at_the_warehouse, resume_reserving, stock_answered};
use super::ship::{begin_shipping, resume_shipping};
use super::shipment::Carriage;
use super::state::{
    Afterwards, Allocation, AllocationStanding, Exception, Likeness, MAX_LINES, MAX_WAREHOUSES, OrderState,
    Placed, Status,
};
use super::transitions::Cause;
use crate::domain::Distributor;
use crate::ids::{DocumentId, OrderKey, Reason};
use crate::inventory::command::StockCommand;
use crate::pricing::contract::MAX_COUPONS;
use crate::pricing::resolve::MAX_LINE_QUANTITY;
use crate::quantity::Quantity;
use lockstep_runtime::entity::{Context, Decision, Entity};
use lockstep_runtime::time::Timestamp;
use std::collections::BTreeSet;

type OrderDecision = Decision<Order>;

pub(super) fn decide(
    order: &OrderKey,
    state: &OrderState,
    command: &OrderCommand,
    context: &Context<'_, Distributor>,
) -> OrderDecision {
    match (command, state.placed()) {
        (OrderCommand::Submit(request), None) => submit(order, state.parked(), request, context),
        (OrderCommand::Submit(request), Some(placed)) if is_repeat(placed.submitted(), request) => {
            standing(placed)
        }
        (OrderCommand::Submit(request), Some(placed)) => {
            contest(begin(order, placed, command, context), request)
        }
        (OrderCommand::TakeUp(parked), Some(_)) => {
            // Of who wanted it, whoever has made its time come.
            let provenance = parked.provenance();
            let context = Context {
                now: context.now,
                provenance: &provenance,
                origin: context.origin,
                reference: context.reference,
            };
            let decision = decide(order, state, &parked.command, &context);
            or_dead_letter(order, parked, decision)
        }
        (_, None) => keep_for_later(state, command, context),
        (OrderCommand::Show, Some(placed)) => Decision::answer(OrderReply::Order(Box::new(placed.summary()))),
        (
            OrderCommand::Priced(_)
            | OrderCommand::IntroductionAnswered(_)
            | OrderCommand::StockAnswered(_)
            | OrderCommand::CreditAnswered(_)
            | OrderCommand::BookingAnswered(_)
            | OrderCommand::CancelAnswered(_)
            | OrderCommand::PaperAnswered(_),
            Some(placed),
        ) => answered(begin(order, placed, command, context), command),
        (
            OrderCommand::ReleaseToWarehouse
            | OrderCommand::Change(_)
            | OrderCommand::Relocate(_)
            | OrderCommand::ConfirmPick
            | OrderCommand::Ship { .. }
            | OrderCommand::Pay(_)
            | OrderCommand::Return(_)
            | OrderCommand::Credit(_)
            | OrderCommand::Close
            | OrderCommand::Cancel { .. }
            | OrderCommand::Retry
            | OrderCommand::Correct(_)
            | OrderCommand::Reassign { .. }
            | OrderCommand::Approve { .. }
            | OrderCommand::Dismiss { .. }
            | OrderCommand::Reject { .. },
            Some(placed),
        ) => wanted(begin(order, placed, command, context), command),
    }
}

fn begin<'a>(
    order: &'a OrderKey,
    placed: &Placed,
    command: &OrderCommand,
    context: &Context<'a, Distributor>,
) -> Flow<'a> {
    let cause = Cause::of(command).unwrap_or(Cause::Submit);
    Flow::new(order, placed.clone(), cause, context)
}

fn refuse(refusal: OrderRefusal) -> OrderDecision {
    Decision::answer(OrderReply::Refused(refusal))
}

fn standing(placed: &Placed) -> OrderDecision {
    Decision::answer(OrderReply::Accepted {
        status: placed.status,
        sequence: placed.sequence,
    })
}

/// A partner's answer. If nobody waits for it, nothing happens.
fn answered(mut flow: Flow<'_>, command: &OrderCommand) -> OrderDecision {
    match command {
        OrderCommand::Priced(priced) => pricing_answered(&mut flow, priced),
        OrderCommand::StockAnswered(answered) => stock_answered(&mut flow, answered),
        OrderCommand::CreditAnswered(answered) => credit_answered(&mut flow, answered),
        OrderCommand::IntroductionAnswered(answered) => {
            if introduction_answered(&mut flow, answered) {
                check_and_go_on(&mut flow);
            }
        }
        OrderCommand::BookingAnswered(answered) => booking_answered(&mut flow, answered),
        OrderCommand::CancelAnswered(answered) => cancel_answered(&mut flow, answered),
        OrderCommand::PaperAnswered(answered) => paper_answered(&mut flow, answered),
        OrderCommand::Submit(_)
        | OrderCommand::Change(_)
        | OrderCommand::Relocate(_)
        | OrderCommand::ReleaseToWarehouse
        | OrderCommand::ConfirmPick
        | OrderCommand::Ship { .. }
        | OrderCommand::Pay(_)
        | OrderCommand::Return(_)
        | OrderCommand::Credit(_)
        | OrderCommand::TakeUp(_)
        | OrderCommand::Close
        | OrderCommand::Cancel { .. }
        | OrderCommand::Retry
        | OrderCommand::Correct(_)
        | OrderCommand::Reassign { .. }
        | OrderCommand::Approve { .. }
        | OrderCommand::Dismiss { .. }
        | OrderCommand::Reject { .. }
        | OrderCommand::Show => {}
    }
    let mut decision = flow.accepted();
    if decision.events.is_empty() {
        decision.reply = OrderReply::Ignored;
    }
    decision
}

fn wanted(mut flow: Flow<'_>, command: &OrderCommand) -> OrderDecision {
    if is_before_its_time(flow.placed.status, command) {
        return keep_with_order(flow, command);
    }
    if flow.placed.status == Status::Exception
        && let Some(act) = DeskAct::of(command)
    {
        note(&mut flow, act);
    }
    let done = match command {
        OrderCommand::ReleaseToWarehouse => release_to_warehouse(&mut flow),
        OrderCommand::ConfirmPick => confirm_pick(&mut flow),
        OrderCommand::Ship {
            lines,
            document,
            carriage,
        } => ship(&mut flow, lines, document.as_ref(), carriage),
        OrderCommand::Pay(payment) => pay(&mut flow, payment),
        OrderCommand::Return(wish) => take_back(&mut flow, wish),
        OrderCommand::Credit(wish) => credit_lines(&mut flow, wish),
        OrderCommand::Close => advance(&mut flow, &[Status::Shipped], Status::Closed),
        OrderCommand::Change(wish) => change(&mut flow, wish),
        OrderCommand::Relocate(wish) => relocate(&mut flow, wish),
        OrderCommand::Cancel { reason } => cancel(&mut flow, reason),
        OrderCommand::Retry if flow.placed.status != Status::Exception => retry_paper(&mut flow),
        OrderCommand::Retry => retry(&mut flow),
        OrderCommand::Reject { reason } => reject(&mut flow, reason),
        OrderCommand::Correct(correction) => correct(&mut flow, correction),
        OrderCommand::Reassign { to } => reassign(&mut flow, *to),
        OrderCommand::Approve { .. } => approve(&mut flow),
        OrderCommand::Dismiss { reason } => dismiss(&mut flow, reason),
        OrderCommand::Submit(_)
        | OrderCommand::TakeUp(_)
        | OrderCommand::Priced(_)
        | OrderCommand::IntroductionAnswered(_)
        | OrderCommand::StockAnswered(_)
        | OrderCommand::CreditAnswered(_)
        | OrderCommand::BookingAnswered(_)
        | OrderCommand::CancelAnswered(_)
        | OrderCommand::PaperAnswered(_)
        | OrderCommand::Show => Ok(()),
    };
    match done {
        Ok(()) => flow.accepted(),
        Err(refusal) => refuse(refusal),
    }
}

fn submit(
    order: &OrderKey,
    waiting: &[Parked],
    request: &OrderRequest,
    context: &Context<'_, Distributor>,
) -> OrderDecision {
    let mut request = request.clone();
    let checked = take(&mut request.lines, &[], context.reference)
        .and_then(|()| check(&request, &[]))
        .and_then(|()| check_packs(&request, order.channel(), context.reference));
    if let Err(refusal) = checked {
        return refuse(refusal);
    }
    let event = OrderEvent::Placed {
        request: Box::new(request),
        correlation: context.provenance.correlation.clone(),
        at: context.now,
        by: context.provenance.source.clone(),
    };
    let mut state = OrderState {
        placed: None,
        waiting: waiting.to_vec(),
    };
    apply(&mut state, &event);
    let Some(placed) = state.placed else {
        return refuse(OrderRefusal::UnknownOrder);
    };
    let mut flow = Flow::new(order, *placed, Cause::Submit, context).began_with(event);
    begin_pricing(&mut flow);
    flow.accepted()
}

/// Whether an order may be as it is wanted. Its substitutes take the place of its own lines, or of those that it had as it
/// came in.
pub(super) fn check(request: &OrderRequest, had: &[OrderLine]) -> Result<(), OrderRefusal> {
    if request.lines.is_empty() || request.lines.len() > MAX_LINES {
        return Err(OrderRefusal::Lines {
            lines: request.lines.len() as u64,
        });
    }
    let mut numbers = BTreeSet::new();
    for line in &request.lines {
        if !numbers.insert(line.line) {
            return Err(OrderRefusal::RepeatedLine { line: line.line });
        }
        if let Some(of) = line.substitutes {
            let mut lines = request.lines.iter().chain(had);
            let of_line = lines.find(|other| other.line == of);
            let of_line = of_line.ok_or(OrderRefusal::SubstituteOfNothing { line: line.line, of })?;
            if of == line.line || of_line.substitutes.is_some() {
                return Err(OrderRefusal::Substitute { line: line.line });
            }
        }
        if line.quantity.units() > MAX_LINE_QUANTITY {
            return Err(OrderRefusal::TooMuch { line: line.line });
        }
    }
    let distinct: BTreeSet<_> = request.warehouses.iter().collect();
    let warehouses = request.warehouses.len();
    if request.coupons.len() > MAX_COUPONS {
        return Err(OrderRefusal::TooManyCoupons);
    }
    if warehouses == 0 || warehouses > MAX_WAREHOUSES || distinct.len() != warehouses {
        return Err(OrderRefusal::Warehouses);
    }
    Ok(())
}

fn not_now(flow: &Flow<'_>) -> OrderRefusal {
    OrderRefusal::NotNow {
        status: flow.placed.status,
    }
}

/// A step without conditions but where it starts; already there, nothing happens.
fn advance(flow: &mut Flow<'_>, from: &[Status], to: Status) -> Result<(), OrderRefusal> {
    if flow.placed.status == to {
        return Ok(());
    }
    if !from.contains(&flow.placed.status) {
        return Err(not_now(flow));
    }
    flow.become_status(to);
    Ok(())
}

/// The warehouse may begin with what is held by now; told again, also with what has been granted since.
fn release_to_warehouse(flow: &mut Flow<'_>) -> Result<(), OrderRefusal> {
    match flow.placed.status {
        Status::Booked => {
            flow.happens(OrderEvent::HandedOver);
            flow.become_status(Status::Released);
        }
        Status::Released => {
            let more = |part: &Allocation| part.open() > Quantity::ZERO && part.held > part.released;
            if flow.placed.allocations.iter().any(more) {
                flow.happens(OrderEvent::HandedOver);
            }
        }
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Picked
        | Status::Shipping
        | Status::Backordered
        | Status::Shipped
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => return Err(not_now(flow)),
    }
    Ok(())
}

fn confirm_pick(flow: &mut Flow<'_>) -> Result<(), OrderRefusal> {
    match flow.placed.status {
        Status::Picked => return Ok(()),
        Status::Booked => flow.happens(OrderEvent::HandedOver),
        Status::Released => {}
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Shipping
        | Status::Backordered
        | Status::Shipped
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => return Err(not_now(flow)),
    }
    flow.happens(OrderEvent::TakenInHand);
    flow.become_status(Status::Picked);
    for allocation in flow.placed.allocations.clone() {
        let in_hand = allocation.picked > allocation.shipped;
        if allocation.standing == AllocationStanding::Held && in_hand {
            let id = flow.hold_id(allocation.line, allocation.attempt);
            flow.address_stock(&allocation, StockCommand::ConfirmPick { id });
        }
    }
    Ok(())
}

fn ship(
    flow: &mut Flow<'_>,
    lines: &[ShipLine],
    document: Option<&DocumentId>,
    carriage: &Carriage,
) -> Result<(), OrderRefusal> {
    match flow.placed.status {
        Status::Booked | Status::Released | Status::Picked | Status::Backordered => {
            begin_shipping(flow, lines, document, carriage)
        }
        // A repeat of what is under way or done.
        Status::Shipping | Status::Shipped if lines.is_empty() => Ok(()),
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Shipping
        | Status::Shipped
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => Err(not_now(flow)),
    }
}

fn cancel(flow: &mut Flow<'_>, reason: &Reason) -> Result<(), OrderRefusal> {
    match flow.placed.status {
        Status::Cancelling if matches!(flow.placed.cancel_wanted, Some(Afterwards::Corrected(_))) => {
            let afterwards = Some(Afterwards::Cancelled(reason.clone()));
            flow.happens(OrderEvent::CancelWanted { afterwards });
            Ok(())
        }
        Status::Cancelled | Status::Cancelling => Ok(()),
        Status::Exception if everything_has_left(flow) => Err(OrderRefusal::AlreadyShipped),
        Status::Booking if flow.placed.cancel_wanted.is_some() => Ok(()),
        Status::Shipping | Status::Shipped | Status::Closed => Err(OrderRefusal::AlreadyShipped),
        Status::Rejected | Status::Releasing => Err(not_now(flow)),
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Backordered
        | Status::Exception => {
            let afterwards =
                after_shipments(flow, reason).unwrap_or_else(|| Afterwards::Cancelled(reason.clone()));
            begin_ending(flow, afterwards);
            Ok(())
        }
    }
}

/// In an exception for want of answers the late ones are noted: then a retry finds the order shipped.
fn everything_has_left(flow: &Flow<'_>) -> bool {
    let mut lines = flow.placed.request.lines.iter();
    lines.all(|line| flow.placed.shipped(line.line) == flow.placed.wanted(line))
}

/// What was shipped stands: then only the rest is given up.
fn after_shipments(flow: &Flow<'_>, reason: &Reason) -> Option<Afterwards> {
    let has_shipped = flow.placed.has_shipped();
    has_shipped.then(|| Afterwards::Shipped(reason.clone()))
}

fn reject(flow: &mut Flow<'_>, reason: &Reason) -> Result<(), OrderRefusal> {
    match flow.placed.status {
        Status::Rejected => Ok(()),
        Status::Exception if everything_has_left(flow) => Err(OrderRefusal::AlreadyShipped),
        Status::Exception => {
            let afterwards =
                after_shipments(flow, reason).unwrap_or_else(|| Afterwards::Rejected(reason.clone()));
            begin_ending(flow, afterwards);
            Ok(())
        }
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Shipping
        | Status::Backordered
        | Status::Shipped
        | Status::Cancelling
        | Status::Releasing
        | Status::Closed
        | Status::Cancelled => Err(not_now(flow)),
    }
}

fn retry(flow: &mut Flow<'_>) -> Result<(), OrderRefusal> {
    if flow.placed.status != Status::Exception {
        return Err(not_now(flow));
    }
    match flow.placed.resume {
        Status::Pricing => begin_pricing(flow),
        Status::Reserving => resume_reserving(flow),
        Status::CreditCheck => go_on_from_hold(flow),
        Status::Booking => begin_booking(flow),
        Status::Shipping => resume_shipping(flow),
        Status::Cancelling => ask_to_cancel(flow),
        Status::Releasing => match flow.placed.afterwards.clone() {
            Some(afterwards) => begin_releasing(flow, afterwards),
            None => return Err(not_now(flow)),
        },
        // Goods were withdrawn: it goes on with what is there.
        Status::Booked => go_on_at_the_warehouse(flow),
        Status::Released
        | Status::Picked
        | Status::Backordered
        | Status::Shipped
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => return Err(not_now(flow)),
    }
    Ok(())
}

/// The alarm went off: ask again, or at last leave it to a person.
pub(super) fn wake(
    order: &OrderKey,
    state: &OrderState,
    context: &Context<'_, Distributor>,
) -> Option<OrderDecision> {
    Order::alarm(state).filter(|&alarm| alarm <= context.now)?;
    let Some(placed) = state.placed() else {
        return expire_without_order(order, state, context.now);
    };
    let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= context.now);
    let is_stock_kept = !is_due(placed.keep_stock_until);
    let mut flow = Flow::new(order, placed.clone(), Cause::Alarm, context);
    expire_with_order(&mut flow);
    ask_about_late(&mut flow);
    look_after_papers(&mut flow);
    escalate_beside(&mut flow);
    if is_stock_kept && !is_due(placed.alarm) {
        return Some(flow.accepted());
    }
    match placed.status {
        Status::Booking | Status::Cancelling => look_again(&mut flow),
        Status::Pricing | Status::Reserving | Status::CreditCheck | Status::Shipping | Status::Releasing => {
            ask_again(&mut flow);
        }
        Status::Exception if !is_stock_kept => give_stock_back(&mut flow),
        Status::Exception => escalate(&mut flow),
        Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Backordered
        | Status::Shipped
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => flow.wait_no_more(),
    }
    Some(flow.accepted())
}

fn ask_again(flow: &mut Flow<'_>) {
    let status = flow.placed.status;
    let tries = flow.placed.tries.saturating_add(1);
    if tries > MAX_TRIES {
        return flow.raise(Exception::NoAnswer(status), status);
    }
    if status == Status::Pricing && flow.placed.likeness != Likeness::Asked {
        return ask_for_price_again(flow, tries);
    }
    flow.wait_try(ANSWER_WITHIN, tries);
    if status == Status::Pricing {
        introduce(flow);
    } else if status == Status::CreditCheck {
        ask_for_credit(flow);
    } else {
        flow.ask_stocks_again();
    }
}
