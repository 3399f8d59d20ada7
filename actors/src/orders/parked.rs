//! What comes before its time: a payment, a shipment, a close, a cancellation that overtook its order, or the step before it.
//!
//! It is kept with the order, whether that has come or not, and taken up as a message of its own as soon as its time has come.
//! After [`KEPT_FOR`] it becomes a dead letter that names what it waited for; so does what the order then refuses.
//!
//! Invariants: at most [`MAX_PARKED`] wait with an order, each command once; what waits is taken up or dead-lettered, never
//! dropped.

use super::Order;
use super::command::{OrderCommand, OrderRefusal, OrderReply};
use super::event::OrderEvent;
use super::flow::Flow;
use super::state::{OrderState, Status};
use crate::domain::{Distributor, Message};
use crate::ids::OrderKey;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Expired};
use lockstep_runtime::message::{MessageId, Provenance};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long something waits.
pub const KEPT_FOR: Duration = Duration::from_secs(600);
/// How much waits with an order.
pub const MAX_PARKED: usize = 16;

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// What is wanted.
    pub command: Box<OrderCommand>,
    /// Since when.
    pub at: Timestamp,
    /// Which system wants it.
    pub source: CompactString,
    /// In which conversation.
    pub correlation: CompactString,
    /// By which message from outside.
    #[serde(default)]
    pub causation: Option<MessageId>,
}

impl Parked {
    /// Who wants it, in which conversation.
    pub(super) fn provenance(&self) -> Provenance {
        Provenance {
            source: self.source.clone(),
            correlation: self.correlation.clone(),
            causation: self.causation,
        }
    }
}

// The steps of an order that others report, in the order in which they are taken up.
const CANCEL: u8 = 0;
const PAY: u8 = 1;
const CHANGE: u8 = 2;
const RELEASE: u8 = 3;
const PICK: u8 = 4;
const SHIP: u8 = 5;
const CLOSE: u8 = 6;

fn step(command: &OrderCommand) -> Option<u8> {
    match command {
        OrderCommand::Cancel { .. } => Some(CANCEL),
        OrderCommand::Pay(_) => Some(PAY),
        OrderCommand::Change(_) => Some(CHANGE),
        OrderCommand::ReleaseToWarehouse => Some(RELEASE),
        OrderCommand::ConfirmPick => Some(PICK),
        OrderCommand::Ship { .. } => Some(SHIP),
        OrderCommand::Close => Some(CLOSE),
        OrderCommand::Submit(_)
        | OrderCommand::Priced(_)
        | OrderCommand::IntroductionAnswered(_)
        | OrderCommand::StockAnswered(_)
        | OrderCommand::CreditAnswered(_)
        | OrderCommand::BookingAnswered(_)
        | OrderCommand::CancelAnswered(_)
        | OrderCommand::PaperAnswered(_)
        | OrderCommand::Relocate(_)
        | OrderCommand::Return(_)
        | OrderCommand::Credit(_)
        | OrderCommand::TakeUp(_)
        | OrderCommand::Retry
        | OrderCommand::Correct(_)
        | OrderCommand::Approve { .. }
        | OrderCommand::Reassign { .. }
        | OrderCommand::Dismiss { .. }
        | OrderCommand::Reject { .. }
        | OrderCommand::Show => None,
    }
}

/// Whether a step comes before its time.
fn is_early(status: Status, step: u8) -> bool {
    match status {
        Status::Pricing | Status::Reserving | Status::CreditCheck => step > CHANGE,
        Status::Booking => step > PAY,
        Status::Booked | Status::Released | Status::Picked => step > SHIP,
        Status::Shipping => step > SHIP || step == CHANGE,
        // What becomes of it is being settled.
        Status::Cancelling | Status::Releasing => step == CHANGE,
        Status::Backordered
        | Status::Shipped
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => false,
    }
}

/// Whether a step that waits may be taken up: its time has come, and nothing is under way that may still change that.
fn may_be_taken_up(status: Status, step: u8) -> bool {
    match status {
        Status::Exception => step <= CHANGE,
        Status::Cancelling | Status::Releasing => step == PAY,
        Status::Shipping => step < SHIP && step != CHANGE,
        Status::Backordered => step < SHIP,
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Shipped
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => !is_early(status, step),
    }
}

/// Whether a command is to wait with an order that stands so.
pub(super) fn is_before_its_time(status: Status, command: &OrderCommand) -> bool {
    step(command).is_some_and(|step| is_early(status, step))
}

fn parked(command: &OrderCommand, now: Timestamp, provenance: &Provenance) -> Parked {
    Parked {
        command: Box::new(command.clone()),
        at: now,
        source: provenance.source.clone(),
        correlation: provenance.correlation.clone(),
        causation: provenance.causation,
    }
}

fn answer(at: Timestamp) -> OrderReply {
    OrderReply::Parked {
        until: at.after(KEPT_FOR),
    }
}

/// Keeps a step of an order that has not come; anything else about it is refused.
pub(super) fn keep_for_later(
    state: &OrderState,
    command: &OrderCommand,
    context: &Context<'_, Distributor>,
) -> Decision<Order> {
    let waiting = state.parked();
    if let Some(known) = waiting.iter().find(|known| *known.command == *command) {
        return Decision::answer(answer(known.at));
    }
    if step(command).is_none() || waiting.len() >= MAX_PARKED {
        return Decision::answer(OrderReply::Refused(OrderRefusal::UnknownOrder));
    }
    let parked = parked(command, context.now, context.provenance);
    Decision::event(OrderEvent::Parked { parked }, answer(context.now))
}

/// Keeps a step of an order whose time has not come.
pub(super) fn keep_with_order(mut flow: Flow<'_>, command: &OrderCommand) -> Decision<Order> {
    let known = flow.placed.parked.iter().find(|known| *known.command == *command);
    let reply = match known {
        Some(known) => answer(known.at),
        None if flow.placed.parked.len() >= MAX_PARKED => OrderReply::Refused(OrderRefusal::NotNow {
            status: flow.placed.status,
        }),
        None => {
            let parked = parked(command, flow.now, flow.provenance);
            flow.happens(OrderEvent::Parked { parked });
            answer(flow.now)
        }
    };
    let mut decision = flow.accepted();
    decision.reply = reply;
    decision
}

/// Takes up what waits and whose time has come, in the order of the steps.
pub(super) fn take_up_parked(flow: &mut Flow<'_>) {
    loop {
        let status = flow.placed.status;
        let ready = flow
            .placed
            .parked
            .iter()
            .enumerate()
            .filter_map(|(place, parked)| {
                let step = step(&parked.command)?;
                may_be_taken_up(status, step).then_some((step, place))
            });
        let Some((_, place)) = ready.min() else { return };
        let parked = flow.placed.parked[place].clone();
        flow.happens(unpark(place));
        flow.send((flow.order.clone(), OrderCommand::TakeUp(parked)));
    }
}

fn unpark(place: usize) -> OrderEvent {
    OrderEvent::Unparked {
        place: u16::try_from(place).unwrap_or(u16::MAX),
    }
}

/// The first of what waits whose time is over.
fn overdue(waiting: &[Parked], now: Timestamp) -> Option<usize> {
    waiting.iter().position(|parked| parked.at.after(KEPT_FOR) <= now)
}

fn dead(order: &OrderKey, parked: &Parked, reason: String) -> Expired<Message> {
    Expired {
        message: (order.clone(), (*parked.command).clone()).into(),
        reason,
        provenance: parked.provenance(),
    }
}

/// What has waited with an order too long.
pub(super) fn expire_with_order(flow: &mut Flow<'_>) {
    while let Some(place) = overdue(&flow.placed.parked, flow.now) {
        let parked = flow.placed.parked[place].clone();
        let reason = format!(
            "order {} is {} and did not come as far in {} s",
            flow.order,
            flow.placed.status,
            KEPT_FOR.as_secs()
        );
        flow.happens(unpark(place));
        flow.expired.push(dead(flow.order, &parked, reason));
    }
}

/// What has waited too long for an order that never came.
pub(super) fn expire_without_order(
    order: &OrderKey,
    state: &OrderState,
    now: Timestamp,
) -> Option<Decision<Order>> {
    let mut waiting = state.parked().to_vec();
    let mut decision = Decision::answer(OrderReply::Ignored);
    while let Some(place) = overdue(&waiting, now) {
        let reason = format!("order {order} has not come in {} s", KEPT_FOR.as_secs());
        let parked = waiting.remove(place);
        decision.events.push(unpark(place));
        decision.expired.push(dead(order, &parked, reason));
    }
    (!decision.events.is_empty()).then_some(decision)
}

/// What was taken up and is refused is a dead letter: nobody waits for the answer.
pub(super) fn or_dead_letter(
    order: &OrderKey,
    parked: &Parked,
    mut decision: Decision<Order>,
) -> Decision<Order> {
    if let OrderReply::Refused(refusal) = &decision.reply {
        let reason = format!("order {order} came, but: {refusal}");
        decision.expired.push(dead(order, parked, reason));
    }
    decision
}
