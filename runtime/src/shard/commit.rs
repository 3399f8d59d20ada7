//! Batches on their way to the store and back: closed, handed over, and released once durable.

use super::batch::{Answer, Batch, Part, Released};
use super::partition::Dirty;
use super::{Shard, ShardError};
use crate::entity::Domain;
use crate::message::{Sequence, Teller};
use crate::metrics::count;
use crate::store::{CommitBatch, PartitionBatch};
use crate::table::Tables;
use crate::time::Timestamp;

impl<D: Domain> Shard<D> {
    /// Closes the open batch and hands it over for storing; `None` if there is nothing to store. What is owed without
    /// anything to store is released by [`Shard::release_idle`].
    #[must_use]
    pub fn take_batch(&mut self, now: Timestamp) -> Option<(u64, CommitBatch)> {
        if self.reload.is_none() {
            self.sweep(now);
        }
        if self
            .open
            .parts
            .iter()
            .all(|part| part.entries == 0 && part.snapshots.is_empty())
        {
            return None;
        }
        let mut batch = self.next_batch();
        let mut commit = CommitBatch::default();
        for part in &mut batch.parts {
            let stored = self.close_part(part);
            if stored.entries > 0 || !stored.snapshots.is_empty() || stored.header.is_some() {
                commit.partitions.push(stored);
            } else {
                self.recycle(stored.journal);
            }
        }
        let number = batch.number;
        count(&self.wiring.counters.batches, 1);
        count(&self.wiring.counters.entries, batch.entries as u64);
        self.in_flight.push_back(batch);
        Some((number, commit))
    }

    /// Opens a new batch and gives the one that was open.
    pub(super) fn next_batch(&mut self) -> Batch<D> {
        let mut next = self.spare_batches.pop().unwrap_or_default();
        next.number = self.open.number + 1;
        std::mem::replace(&mut self.open, next)
    }

    pub(super) fn close_part(&mut self, part: &mut Part) -> PartitionBatch {
        let limits = self.wiring.limits;
        let partition = &mut self.partitions[part.partition];
        partition.open_part = None;
        // Bounded a batch, so that no batch pays for a long quiet time; in the mean it keeps up with any load.
        let mut allowed = 2 * part.entries as usize + 16;
        // A broken entity must not be stored; all wait until it has been read back.
        let is_sound = self.reload.is_none();
        while is_sound && let Some(&Dirty { since, kind, slot }) = partition.dirty.front() {
            if !self.tables.is_dirty_since(kind, slot, partition.id, since) {
                partition.dirty.pop_front();
                continue;
            }
            if allowed == 0 || since.0 + limits.journal_tail >= partition.next_sequence.0 {
                break;
            }
            match self.tables.snapshot(kind, slot) {
                Ok(snapshot) => {
                    self.tables.mark_clean(kind, slot);
                    part.snapshots
                        .push(self.residents.replacing(kind, slot, snapshot));
                    allowed -= 1;
                }
                Err(error) => {
                    tracing::error!(%error, "a state cannot be serialised; its journal is kept");
                    break;
                }
            }
            partition.dirty.pop_front();
        }
        let consumed = self.wiring.consumers.consumed(partition.id);
        let (needed, applied) = (partition.needed_from(consumed), partition.state_from());
        let is_worth_it =
            |now: Sequence, before: Sequence| now.0.saturating_sub(before.0) >= limits.trim_step.max(1);
        let mut header = None;
        let mut trim_before = None;
        if is_sound
            && (is_worth_it(needed, partition.retained_from) || is_worth_it(applied, partition.applied_from))
        {
            // A consumer that has not said yet how far it is needs no less than what is there.
            let needed = needed.max(partition.retained_from);
            partition.retained_from = needed;
            partition.applied_from = applied;
            match rmp_serde::to_vec(&partition.header()) {
                Ok(bytes) => {
                    header = Some(bytes);
                    trim_before = Some(needed);
                }
                Err(error) => tracing::error!(%error, "a partition header cannot be serialised"),
            }
        }
        let mut journal = std::mem::take(&mut part.journal);
        if part.entries == 0 {
            journal.clear();
        }
        PartitionBatch {
            partition: partition.id,
            epoch: partition.epoch,
            first_sequence: part.first_sequence,
            entries: part.entries,
            journal,
            snapshots: std::mem::take(&mut part.snapshots),
            header,
            trim_before,
            dead_letters: std::mem::take(&mut part.dead_letters),
        }
    }

    /// Takes back the buffers of a stored batch.
    pub fn reclaim(&mut self, commit: CommitBatch) {
        for partition in commit.partitions {
            self.recycle(partition.journal);
        }
    }

    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare_buffers.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BUFFER_BYTES {
            buffer.clear();
            self.spare_buffers.push(buffer);
        }
    }

    /// The oldest batch in flight is durable: tells everybody what they are owed.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn committed(&mut self, number: u64, now: Timestamp) -> Result<Released, ShardError> {
        let Some(batch) = self.in_flight.pop_front() else {
            tracing::error!(number, "a batch was stored that is not in flight");
            return Ok(Released::default());
        };
        debug_assert_eq!(batch.number, number, "batches become durable in order");
        let mut released = self.release(batch)?;
        if self.in_flight.is_empty() {
            if self.reload.is_some() && self.open.entries == 0 {
                self.reload_entity(now)?;
            }
            let idle = self.release_idle()?;
            released.sends.extend(idle.sends);
            released.acknowledgements.extend(idle.acknowledgements);
        }
        Ok(released)
    }

    /// Releases what the open batch owes if nothing has to be stored for it.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn release_idle(&mut self) -> Result<Released, ShardError> {
        if !self.in_flight.is_empty()
            || self.open.is_empty()
            || self.open.entries > 0
            || self.open.parts.iter().any(|part| !part.snapshots.is_empty())
        {
            return Ok(Released::default());
        }
        let mut batch = self.next_batch();
        for part in &mut batch.parts {
            self.partitions[part.partition].open_part = None;
            let journal = std::mem::take(&mut part.journal);
            self.recycle(journal);
        }
        self.release(batch)
    }

    pub(super) fn release(&mut self, mut batch: Batch<D>) -> Result<Released, ShardError> {
        for view in batch.views.drain(..) {
            D::publish(&self.wiring.reference, view);
        }
        let mut teller = Teller::default();
        for (responder, answer) in batch.answers.drain(..) {
            let outcome = match answer {
                Answer::Ready(outcome) => outcome,
                Answer::OfEntry(partition, entry) => self.answer_of(partition, entry)?,
            };
            teller.tell(responder, outcome);
        }
        drop(teller);
        self.passivate(&batch.passivations);
        let released = std::mem::take(&mut batch.released);
        if self.spare_batches.len() < SPARE_BATCHES {
            batch.reset();
            self.spare_batches.push(batch);
        }
        Ok(released)
    }
}

/// How many journal buffers are kept for reuse, and how large each may be.
const SPARE_BUFFERS: usize = 512;

const SPARE_BUFFER_BYTES: usize = 256 << 10;

/// How many batches are kept for reuse: as many as may be under way, and the open one.
const SPARE_BATCHES: usize = 3;
