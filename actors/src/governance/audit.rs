//! What a system tried to write without owning it: one audit for each system.
//!
//! Invariants: `total` counts every refused write once; the newest [`KEPT`] of them are kept, oldest first.

use super::ownership::RefusedWrite;
use crate::domain::Distributor;
use crate::ids::SystemName;
use crate::newest::keep_newest;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many refused writes of a system are kept; older ones are only counted.
pub const KEPT: usize = 64;

/// The refused writes of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditState {
    /// How many there were.
    pub total: u64,
    /// The newest.
    pub newest: VecDeque<Noted>,
}

/// A refused write, as it was noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// The conversation that it belonged to.
    pub correlation: CompactString,
    /// What was refused, and why.
    pub write: RefusedWrite,
}

/// What someone wants of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditCommand {
    /// Note this. Made by [`super::admit`] alone.
    Note(RefusedWrite),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditEvent {
    /// A write was refused.
    Refused(Noted),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditReply {
    /// To the sender of a refused write: that it was refused, and why.
    NotOwner(RefusedWrite),
    /// How things stand.
    Audit(AuditState),
}

/// The audit of a system, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct SystemAudit;

impl Entity for SystemAudit {
    const KIND: EntityKind = EntityKind(5);
    const NAME: &'static str = "system-audit";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = SystemName;
    type State = AuditState;
    type Command = AuditCommand;
    type Event = AuditEvent;
    type Reply = AuditReply;

    fn is_query(command: &AuditCommand) -> bool {
        matches!(command, AuditCommand::Show)
    }

    fn decide(
        _: &SystemName,
        state: &AuditState,
        command: &AuditCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            AuditCommand::Show => Decision::answer(AuditReply::Audit(state.clone())),
            AuditCommand::Note(write) => {
                let noted = Noted {
                    at: context.now,
                    correlation: context.provenance.correlation.clone(),
                    write: write.clone(),
                };
                Decision::event(AuditEvent::Refused(noted), AuditReply::NotOwner(write.clone()))
            }
        }
    }

    fn apply(state: &mut AuditState, event: &AuditEvent) {
        let AuditEvent::Refused(noted) = event;
        state.total = state.total.saturating_add(1);
        keep_newest(&mut state.newest, noted.clone(), KEPT);
    }
}
