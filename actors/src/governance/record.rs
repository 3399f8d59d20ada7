//! Which table of owners a store works under, and which ones it worked under before.
//!
//! Invariants: neither the house's version nor the edition of the standard table that it stands on ever falls; a version on
//! an edition has one content.

use super::ownership::Ownership;
use crate::domain::Distributor;
use crate::newest::keep_newest;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityId, EntityKind, Residency};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many earlier tables are kept.
pub const KEPT: usize = 16;

/// The one record of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TheRecord;

const NAME: &[u8] = b"ownership";

impl EntityId for TheRecord {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(NAME);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        (bytes == NAME).then_some(Self)
    }
    fn routing_key(&self) -> &[u8] {
        NAME
    }
}

/// A table and since when it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Since when.
    pub at: Timestamp,
    /// Who declared it.
    pub by: CompactString,
    /// The table.
    pub table: Ownership,
}

/// The tables of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordState {
    /// The one that holds.
    pub current: Option<Declared>,
    /// Those that held before, oldest first.
    pub earlier: VecDeque<Declared>,
}

/// What someone wants of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordCommand {
    /// From now on this holds. Sent by the service at its start.
    Declare(Box<Ownership>),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordEvent {
    /// Another table holds.
    Declared(Declared),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordReply {
    /// It holds, now or already.
    Accepted,
    /// How things stand.
    Record(Box<RecordState>),
    /// Nothing has changed.
    Refused(RecordRefusal),
}

/// Why another table does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum RecordRefusal {
    /// A newer one holds.
    #[error(
        "ownership.version = {declared}, but this store has worked under version {known}; use a higher one"
    )]
    Older {
        /// The version that was declared.
        declared: u64,
        /// The version that holds.
        known: u64,
    },
    /// It stands on an older edition of the standard table, as that of an older release does.
    #[error(
        "this release has edition {declared} of the standard ownership table, but this store has worked under edition \
         {known}; start a release that has it"
    )]
    OlderEdition {
        /// The edition that it stands on.
        declared: u64,
        /// The edition that the one that holds stands on.
        known: u64,
    },
    /// The same version, another content.
    #[error(
        "the ownership table differs from the one this store works under, but both have version {known}; \
         raise ownership.version"
    )]
    Changed {
        /// The version of both.
        known: u64,
    },
}

/// The record, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct OwnershipRecord;

impl Entity for OwnershipRecord {
    const KIND: EntityKind = EntityKind(9);
    const NAME: &'static str = "ownership-record";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = TheRecord;
    type State = RecordState;
    type Command = RecordCommand;
    type Event = RecordEvent;
    type Reply = RecordReply;

    fn is_query(command: &RecordCommand) -> bool {
        matches!(command, RecordCommand::Show)
    }

    fn decide(
        _: &TheRecord,
        state: &RecordState,
        command: &RecordCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            RecordCommand::Show => Decision::answer(RecordReply::Record(Box::new(state.clone()))),
            RecordCommand::Declare(table) => declare(state, table, context),
        }
    }

    fn apply(state: &mut RecordState, event: &RecordEvent) {
        let RecordEvent::Declared(declared) = event;
        if let Some(before) = state.current.replace(declared.clone()) {
            keep_newest(&mut state.earlier, before, KEPT);
        }
    }
}

fn declare(
    state: &RecordState,
    table: &Ownership,
    context: &Context<'_, Distributor>,
) -> Decision<OwnershipRecord> {
    if let Some(current) = &state.current {
        let known = current.table.version;
        if current.table == *table {
            return Decision::answer(RecordReply::Accepted);
        }
        let declared = table.version;
        let refuse = |refusal| Decision::answer(RecordReply::Refused(refusal));
        if declared < known {
            return refuse(RecordRefusal::Older { declared, known });
        }
        let (on, was_on) = (table.edition, current.table.edition);
        if on < was_on {
            return refuse(RecordRefusal::OlderEdition {
                declared: on,
                known: was_on,
            });
        }
        if declared == known && on == was_on {
            return refuse(RecordRefusal::Changed { known });
        }
    }
    let declared = Declared {
        at: context.now,
        by: context.provenance.source.clone(),
        table: table.clone(),
    };
    Decision::event(RecordEvent::Declared(declared), RecordReply::Accepted)
}
