//! The readers' side. Nothing is locked while a visitor runs, so visitors may read again and the writer goes on.

use super::engine::Engine;
use super::layout::{self, BlobKey, damaged};
use fjall::{Guard, Readable};
use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{AlarmVisitor, DeadLetter, SnapshotRef, StoreError, StoreReader};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many blobs are looked up at a time: most visitors stop soon.
const BLOBS_AT_A_TIME: usize = 16;

pub(super) struct EmbeddedReader {
    pub(super) engine: Arc<Engine>,
}

impl EmbeddedReader {
    fn failed(&self, error: &fjall::Error) -> StoreError {
        self.engine.failed("reading", error)
    }

    fn pair(&self, guard: Guard) -> Result<fjall::KvPair, StoreError> {
        guard.into_inner().map_err(|error| self.failed(&error))
    }

    /// The bytes of a blob; `None` if it was trimmed meanwhile.
    fn blob(&self, partition: PartitionId, blob: &BlobKey) -> Result<Option<fjall::Slice>, StoreError> {
        let key = blob.encode(partition);
        let found = self.engine.journal.get(key);
        match found.map_err(|error| self.failed(&error))? {
            Some(bytes) if crc32fast::hash(&bytes) == blob.checksum => Ok(Some(bytes)),
            Some(_) => Err(damaged(format!(
                "the checksum of the journal of partition {} at {} is wrong",
                partition.0, blob.first
            ))),
            None if self.engine.index(partition)?.holds(blob) => Err(damaged(format!(
                "the journal of partition {} is missing at {}",
                partition.0, blob.first
            ))),
            None => Ok(None),
        }
    }
}

impl StoreReader for EmbeddedReader {
    fn snapshot(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError> {
        let key = layout::snapshot_key(partition, kind, entity);
        let found = self.engine.snapshots.get(&key);
        if let Some(value) = found.map_err(|error| self.failed(&error))? {
            visit(layout::decode_snapshot(&key, &value)?);
        }
        Ok(())
    }

    fn snapshots(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        visit: &mut dyn FnMut(SnapshotRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let prefix = layout::snapshot_prefix(partition, kind);
        let view = self.engine.database.snapshot();
        for guard in view.prefix(&self.engine.snapshots, prefix) {
            let (key, value) = self.pair(guard)?;
            if visit(layout::decode_snapshot(&key, &value)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn alarms(&self, partition: PartitionId, visit: &mut AlarmVisitor<'_>) -> Result<(), StoreError> {
        let view = self.engine.database.snapshot();
        for guard in view.prefix(&self.engine.alarms, partition.0.to_be_bytes()) {
            let key = guard.key().map_err(|error| self.failed(&error))?;
            let (at, kind, entity) =
                layout::decode_alarm(&key).ok_or_else(|| damaged("an alarm's key is too short"))?;
            if visit(at, kind, entity).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn journal(
        &self,
        partition: PartitionId,
        from: Sequence,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut from = from.0;
        loop {
            let blobs = self.engine.index(partition)?.from(from, BLOBS_AT_A_TIME);
            let Some(last) = blobs.last() else {
                return Ok(());
            };
            from = last.end();
            for blob in &blobs {
                let Some(bytes) = self.blob(partition, blob)? else {
                    continue;
                };
                if visit(&bytes).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn cursor(&self, consumer: &str, partition: PartitionId) -> Result<Sequence, StoreError> {
        let key = layout::cursor_key(consumer, partition);
        let found = self.engine.control.get(&key);
        match found.map_err(|error| self.failed(&error))? {
            Some(value) => layout::number("a cursor", &key, &value).map(Sequence),
            None => Ok(Sequence::default()),
        }
    }

    fn kinds(&self, partition: PartitionId) -> Result<Vec<EntityKind>, StoreError> {
        let view = self.engine.database.snapshot();
        let mut kinds = Vec::new();
        for kind in (0..=u8::MAX).map(EntityKind) {
            let prefix = layout::snapshot_prefix(partition, kind);
            if let Some(guard) = view.prefix(&self.engine.snapshots, prefix).next() {
                guard.key().map_err(|error| self.failed(&error))?;
                kinds.push(kind);
            }
        }
        Ok(kinds)
    }

    fn cursors(&self, partition: PartitionId) -> Result<Vec<(String, Sequence)>, StoreError> {
        let prefix = layout::cursor_key("", partition);
        let view = self.engine.database.snapshot();
        let mut cursors = Vec::new();
        for guard in view.prefix(&self.engine.control, &prefix) {
            let (key, value) = self.pair(guard)?;
            let consumer = key
                .get(prefix.len()..)
                .and_then(|name| std::str::from_utf8(name).ok());
            let consumer = consumer.ok_or_else(|| damaged("a cursor's key is no text"))?;
            cursors.push((
                consumer.to_owned(),
                layout::number("a cursor", &key, &value).map(Sequence)?,
            ));
        }
        Ok(cursors)
    }

    fn dead_letters(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(Sequence, DeadLetter) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let view = self.engine.database.snapshot();
        for guard in view.prefix(&self.engine.dead_letters, partition.0.to_be_bytes()) {
            let (key, value) = self.pair(guard)?;
            let sequence = key
                .get(2..)
                .and_then(|place| <[u8; 8]>::try_from(place).ok())
                .ok_or_else(|| damaged("a dead letter's key is too short"))?;
            let letter = rmp_serde::from_slice(layout::unsealed("a dead letter", &key, &value)?)
                .map_err(|error| damaged(format!("a dead letter cannot be read: {error}")))?;
            if visit(Sequence(u64::from_be_bytes(sequence)), letter).is_break() {
                break;
            }
        }
        Ok(())
    }
}
