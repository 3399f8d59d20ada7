//! The writer's side: one write batch of the engine and one sync for each commit.

use super::acknowledged::Acknowledged;
use super::engine::{Engine, no_partition};
use super::identity::Lock;
use super::layout::{self, BlobKey, PartitionRecord};
use super::reader::EmbeddedReader;
use super::reclaim::Reclaimer;
use crate::store::{Usable, check_part};
use fjall::{OwnedWriteBatch, PersistMode, Slice};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Epoch, PartitionBatch, PartitionState, SnapshotRecord, Store, StoreError, StoreReader,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The engine stalls a writer at 4 unwritten memtables or 30 unsorted tables, without an end if its background threads
/// have failed. The store waits before that, and looks whether they have.
const MOST_SEALED_MEMTABLES: usize = 2;
const MOST_UNSORTED_TABLES: usize = 20;
const STALL_PAUSE: Duration = Duration::from_millis(1);

/// Where a partition stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) epoch: Epoch,
    /// What is durably trimmed.
    pub(super) trimmed: u64,
    pub(super) next: Sequence,
}

/// What becomes true of one partition when the write is durable.
struct Change {
    partition: PartitionId,
    blob: Option<BlobKey>,
    blob_bytes: usize,
    trim_before: Option<u64>,
    /// The trim mark that the write carries.
    trimmed: Option<u64>,
}

pub(super) struct EmbeddedStore {
    // First, so that it is done before the engine is closed.
    reclaimer: Reclaimer,
    engine: Arc<Engine>,
    partitions: PartitionCount,
    standings: Vec<Standing>,
    number: u64,
    acknowledged: Acknowledged,
    usable: Usable,
    tell_opener: Arc<AtomicBool>,
    value: Vec<u8>,
    // Last, so that the engine's files are closed before the directory is free for others.
    _lock: Lock,
}

impl EmbeddedStore {
    pub(super) fn new(
        engine: Arc<Engine>,
        partitions: PartitionCount,
        standings: Vec<Standing>,
        number: u64,
        acknowledged: Acknowledged,
        tell_opener: Arc<AtomicBool>,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            reclaimer: Reclaimer::start(&engine)?,
            engine,
            partitions,
            standings,
            number,
            acknowledged,
            usable: Usable::default(),
            tell_opener,
            value: Vec::new(),
            _lock: lock,
        })
    }

    fn judge<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let result = self.usable.judge(result);
        if self.usable.failed {
            self.tell_opener.store(true, Relaxed);
        }
        result
    }

    fn standing(&self, partition: PartitionId) -> Result<&Standing, StoreError> {
        self.standings
            .get(usize::from(partition.0))
            .ok_or_else(|| no_partition(partition))
    }

    /// Writes durably and moves the commit number.
    fn write(&mut self, mut batch: OwnedWriteBatch) -> Result<(), StoreError> {
        self.wait_for_room()?;
        let number = self.number + 1;
        batch.insert(
            &self.engine.control,
            layout::COMMIT_NUMBER,
            layout::sealed_number(layout::COMMIT_NUMBER, number),
        );
        batch
            .durability(Some(PersistMode::SyncData))
            .commit()
            .map_err(|error| self.engine.failed("committing", &error))?;
        self.number = number;
        self.acknowledged
            .set(number)
            .map_err(|error| super::errors::io("noting the commit", &error))
    }

    /// Waits while the engine is behind with its background work.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        let engine = &self.engine;
        let keyspaces = [
            &engine.journal,
            &engine.snapshots,
            &engine.alarms,
            &engine.control,
            &engine.dead_letters,
        ];
        while keyspaces.iter().any(|keyspace| {
            keyspace.sealed_memtable_count() > MOST_SEALED_MEMTABLES
                || keyspace.l0_table_count() > MOST_UNSORTED_TABLES
        }) {
            // Writes nothing; fails if a background thread has.
            engine
                .database
                .persist(PersistMode::Buffer)
                .map_err(|error| engine.failed("waiting for background work", &error))?;
            std::thread::sleep(STALL_PAUSE);
        }
        Ok(())
    }

    fn raise_epochs(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        let mut batch = self.engine.database.batch();
        let mut states = Vec::with_capacity(claims.len());
        for &Claim { partition, .. } in claims {
            let standing = *self.standing(partition)?;
            let epoch = Epoch(standing.epoch.0 + 1);
            let record = PartitionRecord {
                epoch,
                trimmed: standing.trimmed,
            };
            let key = layout::partition_key(partition);
            batch.insert(&self.engine.control, key, record.encode(&key));
            states.push(PartitionState {
                partition,
                epoch,
                next_sequence: standing.next,
                header: self.header(partition)?,
            });
        }
        self.write(batch)?;
        for state in &states {
            if let Some(standing) = self.standings.get_mut(usize::from(state.partition.0)) {
                standing.epoch = state.epoch;
            }
        }
        Ok(states)
    }

    fn header(&self, partition: PartitionId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = layout::header_key(partition);
        let found = self.engine.control.get(key);
        let found = found.map_err(|error| self.engine.failed("reading", &error))?;
        found
            .map(|value| layout::unsealed("a header", &key, &value).map(<[u8]>::to_vec))
            .transpose()
    }

    /// Sees that the batches belong where they say, and notes what they change.
    fn plan(&self, batches: &[CommitBatch]) -> Result<Vec<Change>, StoreError> {
        let parts = batches.iter().flat_map(|batch| &batch.partitions);
        let mut changes: Vec<Change> = Vec::with_capacity(parts.clone().count());
        let mut standings = self.standings.clone();
        for part in parts {
            let partition = part.partition;
            let standing = standings
                .get_mut(usize::from(partition.0))
                .ok_or_else(|| no_partition(partition))?;
            if part.epoch != standing.epoch {
                return Err(StoreError::Fenced(partition));
            }
            check_part(part, standing.next)?;
            standing.next.0 += u64::from(part.entries);
            let blob =
                (part.entries > 0).then(|| BlobKey::of(part.first_sequence, part.entries, &part.journal));
            let trim_before = part.trim_before.map(|before| before.0.min(standing.next.0));
            let trimmed = match trim_before {
                Some(before) if self.is_worth_a_mark(partition, standing.trimmed, before)? => {
                    standing.trimmed = before;
                    Some(before)
                }
                Some(_) | None => None,
            };
            changes.push(Change {
                partition,
                blob,
                blob_bytes: part.journal.len(),
                trim_before,
                trimmed,
            });
        }
        Ok(changes)
    }

    /// A trim mark is only worth a write if a blob goes with it; and it never goes back.
    fn is_worth_a_mark(&self, partition: PartitionId, trimmed: u64, before: u64) -> Result<bool, StoreError> {
        let index = self.engine.index(partition)?;
        Ok(before > trimmed && (index.end().is_none() || index.can_trim(before)))
    }

    fn store(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let changes = self.plan(batches)?;
        let mut write = OwnedWriteBatch::with_capacity(
            self.engine.database.clone(),
            batches.iter().map(items).sum::<usize>() + 1,
        );
        let parts = batches.iter().flat_map(|batch| &batch.partitions);
        for (part, change) in parts.zip(&changes) {
            self.write_part(&mut write, part, change)?;
        }
        for cursor in batches.iter().flat_map(|batch| &batch.cursors) {
            let key = layout::cursor_key(&cursor.consumer, cursor.partition);
            let value = layout::sealed_number(&key, cursor.sequence.0);
            write.insert(&self.engine.control, key, value);
        }
        self.write(write)?;
        changes.iter().try_for_each(|change| self.publish(change))
    }

    fn write_part(
        &mut self,
        write: &mut OwnedWriteBatch,
        part: &PartitionBatch,
        change: &Change,
    ) -> Result<(), StoreError> {
        let partition = part.partition;
        let engine = Arc::clone(&self.engine);
        if let Some(blob) = &change.blob {
            write.insert(&engine.journal, blob.encode(partition), part.journal.as_slice());
        }
        for snapshot in &part.snapshots {
            self.write_snapshot(write, partition, snapshot);
        }
        if let Some(header) = &part.header {
            let key = layout::header_key(partition);
            write.insert(&engine.control, key, layout::sealed(&key, header));
        }
        for (sequence, letter) in &part.dead_letters {
            let key = layout::dead_letter_key(partition, *sequence);
            let value = rmp_serde::to_vec(letter)
                .map_err(|error| StoreError::Failed(format!("a dead letter has no form: {error}")))?;
            write.insert(&engine.dead_letters, key, layout::sealed(&key, &value));
        }
        if let Some(trimmed) = change.trimmed {
            let key = layout::partition_key(partition);
            let epoch = part.epoch;
            let record = PartitionRecord { epoch, trimmed };
            write.insert(&engine.control, key, record.encode(&key));
        }
        Ok(())
    }

    fn write_snapshot(
        &mut self,
        write: &mut OwnedWriteBatch,
        partition: PartitionId,
        snapshot: &SnapshotRecord,
    ) {
        let engine = &self.engine;
        let key = layout::snapshot_key(partition, snapshot.kind, &snapshot.entity);
        layout::encode_snapshot(&key, snapshot, &mut self.value);
        write.insert(&engine.snapshots, key, Slice::from(self.value.as_slice()));
        if snapshot.alarm == snapshot.previous_alarm {
            return;
        }
        let alarm = |at| layout::alarm_key(partition, at, snapshot.kind, &snapshot.entity);
        if let Some(at) = snapshot.previous_alarm {
            write.remove(&engine.alarms, alarm(at));
        }
        if let Some(at) = snapshot.alarm {
            write.insert(&engine.alarms, alarm(at), Slice::from(&[]));
        }
    }

    /// Shows readers what is durable now.
    fn publish(&mut self, change: &Change) -> Result<(), StoreError> {
        let partition = change.partition;
        let standing = self
            .standings
            .get_mut(usize::from(partition.0))
            .ok_or_else(|| no_partition(partition))?;
        let mut index = self.engine.index_mut(partition)?;
        if let Some(blob) = change.blob {
            let dense = index.push(blob, change.blob_bytes);
            debug_assert!(dense, "planned to be dense");
            standing.next = Sequence(blob.end());
        }
        let freed = change.trim_before.map_or(0, |before| index.trim(before));
        drop(index);
        if let Some(trimmed) = change.trimmed {
            standing.trimmed = standing.trimmed.max(trimmed);
            self.engine.mark_trimmed(partition, trimmed);
        }
        self.reclaimer.note(freed)
    }
}

/// How many items of the engine a batch becomes, roughly.
fn items(batch: &CommitBatch) -> usize {
    let parts = batch.partitions.iter();
    let in_parts: usize = parts.map(|part| 3 + 2 * part.snapshots.len()).sum();
    in_parts + batch.cursors.len()
}

impl Store for EmbeddedStore {
    fn partition_count(&self) -> PartitionCount {
        self.partitions
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        self.usable.check()?;
        // The directory's lock keeps everybody else out, so that every tenure is the newest.
        let result = self.raise_epochs(claims);
        self.judge(result)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        self.usable.check()?;
        let result = self.store(batches);
        self.judge(result)
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(EmbeddedReader {
            engine: Arc::clone(&self.engine),
        })
    }
}
