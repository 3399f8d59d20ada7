//! What a system tried in vain: to write what it does not own, and what an order refused. One audit for each system.
//!
//! Invariants: `total` counts every refused write once, and `orders_total` whatever an order refused; of both the newest [`KEPT`] are
//! kept, oldest first.

use super::auditee;
use super::ownership::RefusedWrite;
use crate::domain::{Distributor, View};
use crate::ids::{OrderKey, SystemName};
use crate::newest::keep_newest;
use crate::orders::command::OrderRefusal;
use crate::reference::Published;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::{Origin, Sequence};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many refusals of either kind are kept of a system; older ones are only counted.
pub const KEPT: usize = 64;

/// The refused writes of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditState {
    /// How many there were.
    pub total: u64,
    /// The newest.
    pub newest: VecDeque<Noted>,
    /// How often an order refused what it wanted.
    #[serde(default)]
    pub orders_total: u64,
    /// The newest of that.
    #[serde(default)]
    pub orders: VecDeque<RefusedWish>,
}

/// What an order refused, or was refused as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedWish {
    /// When.
    pub at: Timestamp,
    /// The conversation that it belonged to.
    pub correlation: CompactString,
    /// Which order.
    pub order: OrderKey,
    /// What was wanted, as in `submit`.
    pub wish: CompactString,
    /// Why not.
    pub refusal: OrderRefusal,
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
    /// Note that an order refused this. Said by orders alone.
    NoteWish(Box<RefusedWish>),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditEvent {
    /// A write was refused.
    Refused(Noted),
    /// An order refused something.
    RefusedByOrder(Box<RefusedWish>),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditReply {
    /// To the sender of a refused write: that it was refused, and why.
    NotOwner(RefusedWrite),
    /// How things stand.
    Audit(Box<AuditState>),
    /// Done.
    Noted,
}

/// The audit of a system, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct SystemAudit;

impl Entity for SystemAudit {
    const KIND: EntityKind = EntityKind(5);
    const NAME: &'static str = "system-audit";
    const RESIDENCY: Residency = Residency::Resident;

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
            AuditCommand::Show => Decision::answer(AuditReply::Audit(Box::new(state.clone()))),
            AuditCommand::NoteWish(wish) => {
                Decision::event(AuditEvent::RefusedByOrder(wish.clone()), AuditReply::Noted)
            }
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
        match event {
            AuditEvent::Refused(noted) => {
                state.total = state.total.saturating_add(1);
                keep_newest(&mut state.newest, noted.clone(), KEPT);
            }
            AuditEvent::RefusedByOrder(wish) => {
                state.orders_total = state.orders_total.saturating_add(1);
                keep_newest(&mut state.orders, (**wish).clone(), KEPT);
            }
        }
    }

    fn view(id: &SystemName, state: &AuditState, sequence: Sequence) -> Option<View> {
        Some(View::Audit(Published {
            id: id.clone(),
            value: Arc::new(state.clone()),
            sequence,
        }))
    }
}

/// The decision of an order, with a note of what it refused to a system outside.
pub(crate) fn noting_refusal<E: Entity<Domain = Distributor>>(
    mut decision: Decision<E>,
    order: &OrderKey,
    wish: &'static str,
    refusal: OrderRefusal,
    context: &Context<'_, Distributor>,
) -> Decision<E> {
    if matches!(context.origin, Origin::External(_)) {
        let refused = RefusedWish {
            at: context.now,
            correlation: context.provenance.correlation.clone(),
            order: order.clone(),
            wish: wish.into(),
            refusal,
        };
        let note = AuditCommand::NoteWish(Box::new(refused));
        decision = decision.send((auditee(&context.provenance.source), note));
    }
    decision
}
