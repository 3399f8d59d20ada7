//! Partitions that come and go while the shard works.
//!
//! One that is to go is closed first: nothing more is taken for it, as if another shard had it. Once nothing of it is in a
//! batch any more its state is dropped. Its neighbours notice neither.

use super::partition::Partition;
use super::{Shard, ShardError};
use crate::entity::Domain;
use crate::placement::PartitionId;
use crate::store::PartitionState;
use crate::table::{Slot, Tables, resident_kinds};

impl<D: Domain> Shard<D> {
    /// Takes up a partition that another node had, as the store last saw it. It may be here still, to go or not: as after a
    /// pause, when it was acquired anew before it was said here that it is lost. What is left of it is dropped first.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn take_up(&mut self, state: &PartitionState) -> Result<(), ShardError> {
        if !self.is_clear(state.partition) {
            return Err(ShardError::Pending(state.partition));
        }
        self.give_up(state.partition);
        self.recover_partition(state)?;
        for info in resident_kinds::<D>() {
            for slot in (0..self.tables.slots(info.kind)).map(Slot::at) {
                if self.tables.partition(info.kind, slot) == Some(state.partition)
                    && let Some(view) = self.tables.view(info.kind, slot)
                {
                    D::publish(&self.wiring.reference, view);
                }
            }
        }
        Ok(())
    }

    /// Takes nothing more for a partition: no message, no alarm.
    pub fn close(&mut self, partition: PartitionId) {
        if let Some(place) = self.partition_index.get_mut(usize::from(partition.0)) {
            *place = None;
        }
    }

    /// Whether nothing of a closed partition waits to be stored.
    #[must_use]
    pub fn is_clear(&self, partition: PartitionId) -> bool {
        let Some(place) = self.place(partition) else {
            return true;
        };
        let mut in_flight = self.in_flight.iter().flat_map(|batch| &batch.parts);
        let is_broken = self
            .reload
            .as_ref()
            .is_some_and(|reload| reload.partition == place);
        let is_open = self.partitions[place].open_part.is_some();
        !(is_broken || is_open || in_flight.any(|part| part.partition == place))
    }

    /// Drops the state of a partition that is clear.
    pub fn give_up(&mut self, partition: PartitionId) {
        let Some(place) = self.place(partition) else {
            return;
        };
        if self.partitions[place].is_empty() {
            return;
        }
        debug_assert!(self.is_clear(partition), "nothing of it waits to be stored");
        for info in D::Tables::KINDS {
            for slot in (0..self.tables.slots(info.kind)).map(Slot::at) {
                if self.tables.partition(info.kind, slot) == Some(partition) {
                    self.tables.remove(info.kind, slot);
                    self.residents.removed(info.kind, slot);
                }
            }
        }
        self.alarms.forget_at_rest(partition);
        self.pending_sends -= self.partitions[place].outbox.pending();
        // The place stays, empty, until the partition comes back.
        self.partitions[place] = Partition::empty(partition);
    }

    /// The place of a partition that is or was here.
    pub(super) fn place(&self, partition: PartitionId) -> Option<usize> {
        self.partitions.iter().position(|known| known.id == partition)
    }
}
