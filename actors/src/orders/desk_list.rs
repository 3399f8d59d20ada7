//! The desk's list: what a person must settle about which orders, for readers outside the shards.
//!
//! Orders come and go in memory, so that each order tells its entry here whenever something about its open cases changes.
//! Entries are resident and stand in the partition of their order: the list is there as soon as the node is.
//!
//! Invariants: an entry says what its order last told it, and an older telling never overwrites a newer one; an order of which
//! nothing is open is not on the list.

use super::command::OpenCase;
use crate::domain::{Distributor, View};
use crate::ids::{CustomerId, OrderKey};
use crate::money::Money;
use crate::reference::Published;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is open about an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCases {
    /// Who buys.
    pub customer: CustomerId,
    /// What the order comes to, once known.
    pub total: Option<Money>,
    /// What is to be settled; empty if nothing is.
    pub cases: Vec<OpenCase>,
}

/// An entry of the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntryState {
    /// What the order told last.
    pub open: Option<OpenCases>,
    /// The number of that telling.
    pub telling: u32,
}

/// What someone wants of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryCommand {
    /// This is open by now. Only orders say so.
    Tell {
        /// What.
        open: OpenCases,
        /// The number of the telling, rising; an older or equal one is ignored.
        telling: u32,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EntryEvent {
    /// The order told what is open.
    Told {
        /// What.
        open: OpenCases,
        /// The number of the telling.
        telling: u32,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryReply {
    /// Done, or known.
    Accepted,
    /// How things stand.
    Entry(Box<EntryState>),
}

/// An order's entry on the desk's list, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct DeskEntry;

impl Entity for DeskEntry {
    const KIND: EntityKind = EntityKind(20);
    const NAME: &'static str = "desk-entry";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = OrderKey;
    type State = EntryState;
    type Command = EntryCommand;
    type Event = EntryEvent;
    type Reply = EntryReply;

    fn is_query(command: &EntryCommand) -> bool {
        matches!(command, EntryCommand::Show)
    }

    fn decide(
        _id: &OrderKey,
        state: &EntryState,
        command: &EntryCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            EntryCommand::Tell { telling, .. } if *telling <= state.telling => {
                Decision::answer(EntryReply::Accepted)
            }
            EntryCommand::Tell { open, telling } => {
                let (open, telling) = (open.clone(), *telling);
                Decision::event(EntryEvent::Told { open, telling }, EntryReply::Accepted)
            }
            EntryCommand::Show => Decision::answer(EntryReply::Entry(Box::new(state.clone()))),
        }
    }

    fn apply(state: &mut EntryState, event: &EntryEvent) {
        let EntryEvent::Told { open, telling } = event;
        state.telling = *telling;
        state.open = (!open.cases.is_empty()).then(|| open.clone());
    }

    fn view(id: &OrderKey, state: &EntryState, sequence: Sequence) -> Option<View> {
        Some(View::Desk(Published {
            id: id.clone(),
            value: Arc::new(state.open.clone()),
            sequence,
        }))
    }
}
