//! An order, from intake to its end: a saga over contract, stock and ERP.
//!
//! Where it may go from where, why, and who may cause it is data: [`transitions`].
//!
//! Invariants:
//! - each wait has an alarm; what is not answered is asked again, and at last raises an exception;
//! - an answer to an earlier attempt does nothing, except that a hold nobody waits for is released at once;
//! - `cancelled`, `rejected` and `closed` are reached only once every stock that was asked has acknowledged that it
//!   holds nothing more for the order; and only once the ERP has said that it does not have it, or has what was shipped;
//! - what the ERP was asked to book and nobody wants any more is cancelled there, however late it lands;
//! - reserved, shipped, backordered, pending and cancelled units of a line always add up to what was ordered;
//! - units that wait for goods keep an order from being `shipped`;
//! - an order whose channel is checked for credit is booked only once the customer's account bears it, and the account is
//!   told when it has ended;
//! - whatever changes about what a person must settle is told to the desk's list;
//! - what the ERP is to have of an order after it was booked, a credit note or a change, it is asked for until it has it or a
//!   person sees to it;
//! - what an order says once somebody else has made the time of a step come, it says as who wanted the step ([`behalf`]);
//! - each change of status is published, numbered densely from 1.

pub mod after_sales;
mod apply;
mod behalf;
mod book;
pub mod change;
pub mod checks;
pub mod command;
pub mod credit;
mod decide;
pub mod delivery;
pub mod desk;
pub mod desk_list;
pub mod duplicate;
pub mod effects;
pub mod event;
mod flow;
mod goods;
pub mod history;
pub mod invoice;
mod late_booking;
pub mod paper;
pub mod parked;
pub mod parts;
pub mod payment;
mod price;
mod relocate;
mod reserve;
mod ship;
pub mod shipment;
pub mod sourcing;
pub mod state;
#[cfg(test)]
mod tests;
pub mod transitions;

use crate::domain::Distributor;
use crate::governance::audit::noting_refusal;
use crate::ids::OrderKey;
use command::{OrderCommand, OrderReply};
use event::OrderEvent;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Provenance;
use lockstep_runtime::time::Timestamp;
use state::OrderState;

/// An order, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct Order;

impl Entity for Order {
    const KIND: EntityKind = EntityKind(4);
    const NAME: &'static str = "order";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = OrderKey;
    type State = OrderState;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Reply = OrderReply;

    fn is_query(command: &OrderCommand) -> bool {
        matches!(command, OrderCommand::Show)
    }

    fn speaks_as(state: &OrderState, command: &OrderCommand) -> Option<Provenance> {
        behalf::speaks_as(state, command)
    }

    fn wakes_as(state: &OrderState) -> Option<Provenance> {
        state.placed().map(behalf::present_step)
    }

    fn decide(
        id: &OrderKey,
        state: &OrderState,
        command: &OrderCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        let decision = decide::decide(id, state, command, context);
        match &decision.reply {
            OrderReply::Refused(refusal) if !Self::is_query(command) => {
                let refusal = refusal.clone();
                noting_refusal(decision, id, command.name(), refusal, context)
            }
            OrderReply::Refused(_)
            | OrderReply::Accepted { .. }
            | OrderReply::Parked { .. }
            | OrderReply::Ignored
            | OrderReply::Order(_) => decision,
        }
    }

    fn apply(state: &mut OrderState, event: &OrderEvent) {
        apply::apply(state, event);
    }

    fn alarm(state: &OrderState) -> Option<Timestamp> {
        let parked = state
            .parked()
            .iter()
            .map(|parked| parked.at.after(parked::KEPT_FOR))
            .min();
        let placed = state.placed();
        let own = placed.and_then(|placed| placed.alarm);
        let stock = placed.and_then(|placed| placed.keep_stock_until);
        let late = placed.and_then(|placed| placed.late_bookings.iter().map(|late| late.ask_at).min());
        let papers = placed.and_then(|placed| placed.paper_alarm);
        let beside = placed.and_then(desk::due_beside);
        let alarms = [own, stock, late, papers, beside, parked];
        alarms.into_iter().flatten().min()
    }

    fn wake(id: &OrderKey, state: &OrderState, context: &Context<'_, Distributor>) -> Option<Decision<Self>> {
        decide::wake(id, state, context)
    }
}
