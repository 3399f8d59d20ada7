//! Alarms that go off: entities act by themselves, each as an entry of its own.

use super::alarms::Due;
use super::decide::Attempt;
use super::reload::Reload;
use super::{Shard, ShardError, readable};
use crate::entity::{Domain, EntityKind};
use crate::journal::EntryHead;
use crate::message::{Origin, Provenance};
use crate::metrics::count;
use crate::placement::PartitionId;
use crate::table::{Slot, Tables, Turn};
use crate::time::Timestamp;
use std::time::Duration;

/// How long an alarm that failed waits before it is tried again.
pub(super) const ALARM_RETRY: Duration = Duration::from_secs(1);

/// How long an alarm waits whose entity cannot be read: only a person can help.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60);

impl<D: Domain> Shard<D> {
    /// Lets entities act whose alarms are due, until the batch is full.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn wake_due(&mut self, now: Timestamp) -> Result<(), ShardError> {
        while !self.is_closed() {
            let Some(due) = self.alarms.pop_due(now) else {
                return Ok(());
            };
            match due {
                Due::Active(kind, slot) => self.wake_active(kind, slot, now)?,
                Due::AtRest(partition, kind, entity) => self.wake_at_rest(partition, kind, entity, now)?,
            }
        }
        Ok(())
    }

    pub(super) fn wake_at_rest(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entity: Box<[u8]>,
        now: Timestamp,
    ) -> Result<(), ShardError> {
        let slot = match self.tables.find_encoded(kind, &entity) {
            Some(slot) => Ok(slot),
            None => readable(self.activate(partition, kind, &entity))?,
        };
        match slot {
            Ok(slot) => self.wake_active(kind, slot, now),
            Err(reason) => {
                self.alarm_failed(kind, &entity, &reason);
                let again = now.after(UNREADABLE_RETRY);
                self.alarms.set_at_rest(again, partition, kind, entity);
                Ok(())
            }
        }
    }

    pub(super) fn wake_active(
        &mut self,
        kind: EntityKind,
        slot: Slot,
        now: Timestamp,
    ) -> Result<(), ShardError> {
        if self.tables.alarm(kind, slot).is_none_or(|at| at > now) {
            return Ok(());
        }
        let Some(partition) = self.tables.partition(kind, slot).and_then(|id| self.local(id)) else {
            return Ok(());
        };
        let entity = self.tables.encoded_id(kind, slot).unwrap_or_default();
        let speaker = self.tables.wakes_as(kind, slot);
        let clock = Provenance {
            source: "lockstep".into(),
            correlation: speaker
                .as_ref()
                .map_or("alarm".into(), |speaker| speaker.correlation.clone()),
            causation: speaker.as_ref().and_then(|speaker| speaker.causation),
        };
        let mut turn = Turn::default();
        let head = EntryHead {
            at: now,
            kind,
            entity: &entity,
            origin: Origin::Alarm,
            provenance: speaker.as_ref().unwrap_or(&clock),
        };
        let attempt = self.attempt(
            partition,
            (&head, &clock),
            &mut turn,
            false,
            |tables, context, sequence, writer, turn| {
                tables
                    .wake(kind, slot, context, sequence, writer, turn)
                    .map(|done| done.map(|()| None))
            },
        );
        match attempt {
            Attempt::Decided(_) => self.decided(partition, &head, slot, turn),
            Attempt::Nothing => {}
            Attempt::Undigested(reason) => self.alarm_failed(kind, &entity, &reason),
            Attempt::Broken(reason) => {
                self.alarm_failed(kind, &entity, &reason);
                self.reload = Some(Reload {
                    partition,
                    kind,
                    slot,
                    culprit: None,
                });
                return Ok(());
            }
        }
        if let Some(at) = self.tables.alarm(kind, slot)
            && at <= now
        {
            self.alarms.set_active(now.after(ALARM_RETRY), kind, slot);
        }
        Ok(())
    }

    /// No message is lost with a failed alarm: it stays set and is tried again.
    pub(super) fn alarm_failed(&self, kind: EntityKind, entity: &[u8], reason: &str) {
        tracing::error!(kind = kind.0, entity = %String::from_utf8_lossy(entity), reason, "an alarm failed");
        count(&self.wiring.counters.panics, 1);
    }
}
