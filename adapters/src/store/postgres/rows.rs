//! A commit as the columns that the function `lockstep.commit` takes: one set for each database.

use super::errors::too_large;
use super::opener::Layout;
use super::reader::snapshot_checksum;
use crate::store::check_part;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{CommitBatch, Epoch, PartitionBatch, SnapshotRecord, StoreError};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::types::ToSql;

/// What one database is given.
#[derive(Default)]
pub(super) struct Columns<'a> {
    part_id: Vec<i32>,
    part_epoch: Vec<i64>,
    part_first: Vec<i64>,
    part_next: Vec<i64>,
    part_header: Vec<Option<&'a [u8]>>,
    part_trim: Vec<Option<i64>>,
    blob_partition: Vec<i32>,
    blob_first: Vec<i64>,
    blob_end: Vec<i64>,
    blob_checksum: Vec<i32>,
    blob_body: Vec<&'a [u8]>,
    snapshot_partition: Vec<i32>,
    snapshot_kind: Vec<i16>,
    snapshot_entity: Vec<&'a [u8]>,
    snapshot_sequence: Vec<i64>,
    snapshot_alarm: Vec<Option<i64>>,
    snapshot_checksum: Vec<i32>,
    snapshot_state: Vec<&'a [u8]>,
    letter_partition: Vec<i32>,
    letter_sequence: Vec<i64>,
    letter_body: Vec<Vec<u8>>,
    cursor_partition: Vec<i32>,
    cursor_epoch: Vec<i64>,
    cursor_consumer: Vec<&'a str>,
    cursor_sequence: Vec<i64>,
}

/// The statement that takes them, in the order of [`Columns::parameters`].
pub(super) const COMMIT: &str = "select lockstep.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
    $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)";

impl Columns<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.part_id.is_empty() && self.cursor_partition.is_empty()
    }

    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 25] {
        [
            &self.part_id,
            &self.part_epoch,
            &self.part_first,
            &self.part_next,
            &self.part_header,
            &self.part_trim,
            &self.blob_partition,
            &self.blob_first,
            &self.blob_end,
            &self.blob_checksum,
            &self.blob_body,
            &self.snapshot_partition,
            &self.snapshot_kind,
            &self.snapshot_entity,
            &self.snapshot_sequence,
            &self.snapshot_alarm,
            &self.snapshot_checksum,
            &self.snapshot_state,
            &self.letter_partition,
            &self.letter_sequence,
            &self.letter_body,
            &self.cursor_partition,
            &self.cursor_epoch,
            &self.cursor_consumer,
            &self.cursor_sequence,
        ]
    }
}

/// Everything that several batches do to one partition.
struct Whole<'a> {
    epoch: Epoch,
    first: Sequence,
    next: Sequence,
    header: Option<&'a [u8]>,
    trim_before: Option<Sequence>,
}

/// The columns of each database. No row appears twice: of several snapshots of one entity the last counts.
pub(super) fn columns<'a>(
    layout: &Layout,
    batches: &'a [CommitBatch],
    epochs: &HashMap<PartitionId, Epoch>,
) -> Result<Vec<Columns<'a>>, StoreError> {
    let mut columns: Vec<Columns<'a>> = Vec::new();
    columns.resize_with(layout.databases.len(), Columns::default);
    let mut wholes: BTreeMap<PartitionId, Whole<'a>> = BTreeMap::new();
    let mut snapshots: HashMap<(PartitionId, u8, &[u8]), &SnapshotRecord> = HashMap::new();
    for part in batches.iter().flat_map(|batch| &batch.partitions) {
        merge(&mut wholes, part)?;
        let into = of(layout, &mut columns, part.partition)?;
        into.add_blob(part)?;
        into.add_letters(part)?;
        for snapshot in &part.snapshots {
            snapshots.insert((part.partition, snapshot.kind.0, &snapshot.entity), snapshot);
        }
    }
    for (partition, whole) in wholes {
        of(layout, &mut columns, partition)?.add_part(partition, &whole)?;
    }
    for ((partition, ..), snapshot) in snapshots {
        of(layout, &mut columns, partition)?.add_snapshot(partition, snapshot)?;
    }
    let mut cursors: HashMap<(PartitionId, &str), Sequence> = HashMap::new();
    for cursor in batches.iter().flat_map(|batch| &batch.cursors) {
        cursors.insert((cursor.partition, cursor.consumer.as_str()), cursor.sequence);
    }
    for ((partition, consumer), sequence) in cursors {
        // Whoever holds the partition writes its cursors.
        if let Some(epoch) = epochs.get(&partition) {
            let into = of(layout, &mut columns, partition)?;
            into.cursor_partition.push(partition.0.into());
            into.cursor_epoch.push(signed(epoch.0)?);
            into.cursor_consumer.push(consumer);
            into.cursor_sequence.push(signed(sequence.0)?);
        }
    }
    Ok(columns)
}

fn of<'a, 'b>(
    layout: &Layout,
    columns: &'b mut [Columns<'a>],
    partition: PartitionId,
) -> Result<&'b mut Columns<'a>, StoreError> {
    layout
        .map
        .get(usize::from(partition.0))
        .and_then(|database| columns.get_mut(*database))
        .ok_or_else(|| no_partition(partition))
}

pub(super) fn no_partition(partition: PartitionId) -> StoreError {
    StoreError::Failed(format!("there is no partition {}", partition.0))
}

pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| too_large("a number"))
}

fn merge<'a>(
    wholes: &mut BTreeMap<PartitionId, Whole<'a>>,
    part: &'a PartitionBatch,
) -> Result<(), StoreError> {
    let whole = wholes.entry(part.partition).or_insert(Whole {
        epoch: part.epoch,
        first: part.first_sequence,
        next: part.first_sequence,
        header: None,
        trim_before: None,
    });
    if part.epoch != whole.epoch {
        return Err(StoreError::Fenced(part.partition));
    }
    check_part(part, whole.next)?;
    whole.next.0 += u64::from(part.entries);
    whole.header = part.header.as_deref().or(whole.header);
    whole.trim_before = whole.trim_before.max(part.trim_before);
    Ok(())
}

impl<'a> Columns<'a> {
    fn add_part(&mut self, partition: PartitionId, whole: &Whole<'a>) -> Result<(), StoreError> {
        self.part_id.push(partition.0.into());
        self.part_epoch.push(signed(whole.epoch.0)?);
        self.part_first.push(signed(whole.first.0)?);
        self.part_next.push(signed(whole.next.0)?);
        self.part_header.push(whole.header);
        self.part_trim
            .push(whole.trim_before.map(|before| signed(before.0)).transpose()?);
        Ok(())
    }

    fn add_blob(&mut self, part: &'a PartitionBatch) -> Result<(), StoreError> {
        if part.entries > 0 {
            self.blob_partition.push(part.partition.0.into());
            self.blob_first.push(signed(part.first_sequence.0)?);
            self.blob_end
                .push(signed(part.first_sequence.0 + u64::from(part.entries))?);
            self.blob_checksum
                .push(crc32fast::hash(&part.journal).cast_signed());
            self.blob_body.push(&part.journal);
        }
        Ok(())
    }

    fn add_letters(&mut self, part: &PartitionBatch) -> Result<(), StoreError> {
        for (sequence, letter) in &part.dead_letters {
            let body = rmp_serde::to_vec(letter)
                .map_err(|error| StoreError::Failed(format!("a dead letter has no form: {error}")))?;
            self.letter_partition.push(part.partition.0.into());
            self.letter_sequence.push(signed(sequence.0)?);
            self.letter_body.push(body);
        }
        Ok(())
    }

    fn add_snapshot(
        &mut self,
        partition: PartitionId,
        snapshot: &'a SnapshotRecord,
    ) -> Result<(), StoreError> {
        let sequence = signed(snapshot.sequence.0)?;
        self.snapshot_partition.push(partition.0.into());
        self.snapshot_kind.push(snapshot.kind.0.into());
        self.snapshot_entity.push(&snapshot.entity);
        self.snapshot_sequence.push(sequence);
        self.snapshot_alarm
            .push(snapshot.alarm.map(lockstep_runtime::time::Timestamp::as_millis));
        self.snapshot_checksum
            .push(snapshot_checksum(&snapshot.entity, sequence, &snapshot.state));
        self.snapshot_state.push(&snapshot.state);
        Ok(())
    }
}
