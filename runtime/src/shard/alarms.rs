//! Which entity wants to be woken when.
//!
//! Active entities stand in a heap by slot; an entry may be out of date, so the state is asked again before waking.
//! Entities at rest stand by id, at most once each.

use crate::entity::EntityKind;
use crate::placement::PartitionId;
use crate::table::Slot;
use crate::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Whose alarm is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Active(EntityKind, Slot),
    AtRest(PartitionId, EntityKind, Box<[u8]>),
}

#[derive(Debug, Default)]
pub(super) struct Alarms {
    active: BinaryHeap<Reverse<(Timestamp, EntityKind, Slot)>>,
    at_rest: BTreeMap<(Timestamp, EntityKind, Box<[u8]>), PartitionId>,
}

impl Alarms {
    pub(super) fn set_active(&mut self, at: Timestamp, kind: EntityKind, slot: Slot) {
        self.active.push(Reverse((at, kind, slot)));
    }

    pub(super) fn set_at_rest(
        &mut self,
        at: Timestamp,
        partition: PartitionId,
        kind: EntityKind,
        entity: Box<[u8]>,
    ) {
        self.at_rest.insert((at, kind, entity), partition);
    }

    pub(super) fn clear_at_rest(&mut self, at: Timestamp, kind: EntityKind, entity: &[u8]) {
        self.at_rest.remove(&(at, kind, entity.into()));
    }

    /// Forgets the entities at rest of a partition that has gone.
    pub(super) fn forget_at_rest(&mut self, partition: PartitionId) {
        self.at_rest.retain(|_, of| *of != partition);
    }

    /// The earliest alarm, which may be out of date.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let active = self.active.peek().map(|Reverse((at, ..))| *at);
        let at_rest = self.at_rest.first_key_value().map(|((at, ..), _)| *at);
        active.into_iter().chain(at_rest).min()
    }

    /// Takes out an alarm that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Due> {
        if self.active.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            return self
                .active
                .pop()
                .map(|Reverse((_, kind, slot))| Due::Active(kind, slot));
        }
        let first = self.at_rest.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((_, kind, entity), partition) = first.remove_entry();
        Some(Due::AtRest(partition, kind, entity))
    }
}
