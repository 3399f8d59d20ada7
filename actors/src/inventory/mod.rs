//! Stock of one SKU in one warehouse.
//!
//! Invariants, true after every event:
//! - `reserved` is the sum of what the live holds still hold;
//! - a hold takes no more than the policy lets its channel's class take ([`allocation`]);
//! - no hold, confirmation or shipment that we decide makes `reserved` exceed what can be sold; only facts from outside
//!   (a count, a loss, damage) can, and then the event names the shortfall, orders give it back ([`withdraw`]), and the
//!   published availability is 0;
//! - while a hold waits for goods that it may take nothing is free for others: see [`backorder`];
//! - what lies in lots is never more than what can be sold, and no lot beyond its time is ([`lots`]);
//! - `on_hand` includes what is damaged or quarantined; no bucket is negative, but while a numbered change is missing
//!   that a later one builds on ([`numbering`]);
//! - a hold that was released, shipped or expired does not come back: its id is remembered for
//!   [`state::CLOSED_KEPT`], the last [`state::MAX_CLOSED`] of a pair, and [`state::MAX_MARKS`] more by 32 bits each. Later repeats from entities are
//!   caught by the stream numbers between partitions, and an order releases a grant that it has no use for.

pub mod allocation;
mod apply;
pub mod backorder;
mod coming;
pub mod command;
pub mod count;
mod decide;
pub mod event;
pub mod holds;
mod in_hand;
pub mod ledger;
pub mod lots;
pub mod moving;
pub mod numbering;
pub mod overview;
pub mod papers;
pub mod promise;
pub mod promised_lines;
pub mod reconcile;
pub mod repromise;
mod served;
pub mod settings;
pub mod state;
#[cfg(test)]
mod tests;
mod units;
pub mod withdraw;

use crate::domain::{Distributor, View};
use crate::ids::StockId;
use crate::pricing::catalogue::Tracking;
use crate::reference::StockLevel;
use command::{StockCommand, StockRefusal, StockReply};
use event::StockEvent;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use state::StockState;

/// The stock of one SKU in one warehouse, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct SkuWarehouse;

impl Entity for SkuWarehouse {
    const KIND: EntityKind = EntityKind(1);
    const NAME: &'static str = "sku-warehouse";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = StockId;
    type State = StockState;
    type Command = StockCommand;
    type Event = StockEvent;
    type Reply = StockReply;

    fn is_query(command: &StockCommand) -> bool {
        matches!(
            command,
            StockCommand::Show
                | StockCommand::Overview
                | StockCommand::Promise(_)
                | StockCommand::Picks { .. }
        )
    }

    fn is_comparison(command: &StockCommand) -> bool {
        if let StockCommand::InUnit { change, .. } = command {
            return Self::is_comparison(change);
        }
        matches!(command, StockCommand::Reconcile(_))
    }

    fn decide(
        id: &StockId,
        state: &StockState,
        command: &StockCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        let (reference, now) = (context.reference, context.now);
        let rules = reference.reconciliation();
        if let Err(refusal) = holds::guard(state, command, context.origin) {
            return decide::refuse(refusal);
        }
        if let Some(because) = served::restriction(id, state, command, context) {
            return decide::not_served(id, command, because);
        }
        let in_base_units;
        let command = if let StockCommand::InUnit { unit, change } = command {
            in_base_units = match units::convert(&id.sku, unit, change, reference) {
                Ok(change) => change,
                Err(refusal) => return decide::refuse_asked(id, change, StockRefusal::Unit(refusal)),
            };
            &in_base_units
        } else {
            command
        };
        let kept = || {
            reference
                .item(&id.sku)
                .map_or(Tracking::None, |item| item.tracking)
        };
        match lots::understand(state, command, kept) {
            Ok(understood) => decide::decide(id, state, understood.as_ref().unwrap_or(command), rules, now),
            Err(refusal) => decide::refuse_asked(id, command, StockRefusal::Lots(refusal)),
        }
    }

    fn apply(state: &mut StockState, event: &StockEvent) {
        apply::apply(state, event);
    }

    fn alarm(state: &StockState) -> Option<Timestamp> {
        state.alarm()
    }

    fn wake(id: &StockId, state: &StockState, context: &Context<'_, Distributor>) -> Option<Decision<Self>> {
        decide::wake(id, state, context.now)
    }

    fn view(id: &StockId, state: &StockState, sequence: Sequence) -> Option<View> {
        Some(View::Stock(StockLevel {
            sku: id.sku.clone(),
            warehouse: id.warehouse,
            available: state.available(),
            on_hand: state.on_hand,
            reserved: state.reserved,
            detail: state.detail(),
            sequence,
        }))
    }
}
