//! An entity whose `apply` panicked is read back from the store before anything else happens.

use super::wake::ALARM_RETRY;
use super::{Shard, ShardError};
use crate::entity::{Domain, EntityKind};
use crate::message::{Envelope, Origin, Responder};
use crate::table::{Slot, Tables};
use crate::time::Timestamp;

/// An entity whose `apply` panicked: it is read back from the store before anything else happens.
#[derive(Debug)]
pub(super) struct Reload<D: Domain> {
    pub(super) partition: usize,
    pub(super) kind: EntityKind,
    pub(super) slot: Slot,
    /// What broke it; `None` if that was its own alarm, which is tried again later.
    pub(super) culprit: Option<Culprit<D>>,
}

/// The message that broke an entity, to be dead-lettered.
#[derive(Debug)]
pub(super) struct Culprit<D: Domain> {
    pub(super) origin: Origin,
    pub(super) envelope: Envelope<D>,
    pub(super) responder: Responder<D::Reply>,
    pub(super) reason: String,
}

impl<D: Domain> Shard<D> {
    /// Whether an entity waits for the batches in flight before it can be reloaded, or can be reloaded at once.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn reload_if_possible(&mut self, now: Timestamp) -> Result<(), ShardError> {
        if self.reload.is_some() && self.in_flight.is_empty() && self.open.entries == 0 {
            self.reload_entity(now)?;
        }
        Ok(())
    }

    pub(super) fn reload_entity(&mut self, now: Timestamp) -> Result<(), ShardError> {
        let Some(reload) = self.reload.take() else {
            return Ok(());
        };
        let Reload {
            partition,
            kind,
            slot,
            culprit,
        } = reload;
        let entity = self.tables.encoded_id(kind, slot).unwrap_or_default();
        self.tables.remove(kind, slot);
        let slot = self.recover_entity(partition, kind, &entity)?;
        if let Some(at) = self.tables.alarm(kind, slot) {
            self.alarms.set_active(at.max(now.after(ALARM_RETRY)), kind, slot);
        }
        if let Some(culprit) = culprit {
            let Culprit {
                origin,
                envelope,
                responder,
                reason,
            } = culprit;
            self.dead_letter(partition, origin, &envelope, responder, reason, now);
        }
        Ok(())
    }
}
