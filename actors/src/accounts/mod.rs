//! A customer's account: how much it may owe, what it owes, and whether one more order may be booked on that.
//!
//! The ERP keeps the books; what it posts (invoices, payments, credit notes) comes here as documents with ids, and
//! orders ask here for credit before they are booked. Each customer has one account, in one currency.
//!
//! Invariants:
//! - the exposure is what open orders come to as far as it is not invoiced, and what is invoiced less what is paid: what an
//!   order is invoiced counts once, as the invoice;
//! - a document counts once, however often and in which order documents come; one that is older than what the account still
//!   tells apart is refused, never counted on suspicion;
//! - an order is granted credit only within the limit at that moment, or because a person approved it; one that is not waits
//!   here, and is granted by itself as soon as there is room, the one that has waited longest first;
//! - an order that has ended counts no more.

pub mod command;
mod decide;
pub mod event;
pub mod state;
#[cfg(test)]
mod tests;

use crate::domain::Distributor;
use crate::ids::CustomerId;
use command::{AccountCommand, AccountReply};
use event::AccountEvent;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use state::AccountState;

/// A customer's account, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct CustomerAccount;

impl Entity for CustomerAccount {
    const KIND: EntityKind = EntityKind(11);
    const NAME: &'static str = "customer-account";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = CustomerId;
    type State = AccountState;
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Reply = AccountReply;

    fn is_query(command: &AccountCommand) -> bool {
        matches!(command, AccountCommand::Show)
    }

    fn decide(
        _id: &CustomerId,
        state: &AccountState,
        command: &AccountCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        decide::decide(state, command, context.now)
    }

    fn apply(state: &mut AccountState, event: &AccountEvent) {
        state.apply(event);
    }
}
