//! From a file into an empty store.

use super::export::note;
use super::file::{FileError, FileReader, PartitionHead, Record, Totals};
use super::walk::{verify_store, whole};
use super::{BATCH_BYTES, LEAP, TransferError};
use lockstep_runtime::journal::{self, Blob};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::shard::shifted_header;
use lockstep_runtime::store::{
    Claim, CommitBatch, Cursor, Epoch, PartitionBatch, PartitionState, SnapshotRecord, Standing, Store,
    StoreError,
};
use std::collections::BTreeMap;
use std::io::Read;

/// Writes what a file holds into a store that is new, reads it back and compares it. `progress` is told how many bytes of the
/// file have been read.
///
/// # Errors
/// [`TransferError`]; nobody serves the store then, and it has to be cleared away.
pub fn import(
    input: impl Read,
    store: &mut dyn Store,
    mut progress: impl FnMut(u64),
) -> Result<Totals, TransferError> {
    let (mut file, head) = FileReader::begin(input)?;
    let count = store.partition_count();
    if head.partitions != count.get() {
        return Err(TransferError::Partitions {
            found: head.partitions,
            wanted: count.get(),
        });
    }
    let states = all_new(store)?;
    let epochs: BTreeMap<PartitionId, Epoch> = states
        .iter()
        .map(|state| (state.partition, state.epoch))
        .collect();
    note(store, Standing::Importing)?;
    let (mut filling, mut totals) = (None::<Filling>, Totals::default());
    loop {
        let at = file.at();
        let wrong = |what: &str| FileError {
            at,
            what: what.to_owned(),
        };
        let Some(record) = file.next()? else { break };
        match (record, &mut filling) {
            (Record::Partition(head), filling) => {
                finish(store, filling.take())?;
                let partition = PartitionId(head.partition);
                let epoch = epochs
                    .get(&partition)
                    .ok_or_else(|| wrong("a partition that there is not"))?;
                let header = shifted_header(head.header.as_deref(), LEAP).map_err(|error| wrong(&error))?;
                *filling = Some(Filling::of(&head, *epoch, header));
            }
            (Record::Blob(bytes), Some(filling)) if !filling.open => {
                let blob = whole(filling.partition, bytes, &mut None);
                let blob = blob.map_err(|error| wrong(&error.to_string()))?;
                filling.blob(store, &blob, bytes)?;
            }
            (Record::Snapshot(kind, of), Some(filling)) => {
                let snapshot = SnapshotRecord {
                    kind,
                    entity: of.entity.into(),
                    sequence: moved(of.sequence),
                    alarm: of.alarm,
                    previous_alarm: None,
                    state: of.state.to_vec(),
                };
                filling.begin(store)?;
                let bytes = snapshot.state.len() + snapshot.entity.len();
                filling.part().snapshots.push(snapshot);
                filling.grown(store, bytes)?;
            }
            (Record::Letter(sequence, letter), Some(filling)) => {
                filling.begin(store)?;
                let bytes = letter.command.len() + letter.reason.len();
                filling.part().dead_letters.push((sequence, letter));
                filling.grown(store, bytes)?;
            }
            (Record::Cursor(consumer, sequence), Some(filling)) => filling.cursors.push(Cursor {
                consumer,
                partition: filling.partition,
                sequence: moved(sequence),
            }),
            (Record::End(found), filling) => {
                finish(store, filling.take())?;
                totals = found;
            }
            (Record::Head(_) | Record::Blob(_), _) | (_, None) => {
                return Err(wrong("a record in the wrong place").into());
            }
        }
        progress(file.at());
    }
    let found = verify_store(store, |_| {})?;
    if found.digest != totals.digest {
        return Err(TransferError::Differs {
            found: found.digest,
            wanted: totals.digest,
        });
    }
    note(store, Standing::Served)?;
    Ok(totals)
}

/// Takes all partitions of a store that has never been used.
pub(super) fn all_new(store: &mut dyn Store) -> Result<Vec<PartitionState>, TransferError> {
    let claims: Vec<Claim> = store.partition_count().all().map(Claim::alone).collect();
    let states = store.acquire(&claims)?;
    if !states.iter().all(is_new) || !store.reader().kinds(PartitionId(0))?.is_empty() {
        return Err(TransferError::NotEmpty);
    }
    Ok(states)
}

fn is_new(state: &PartitionState) -> bool {
    state.next_sequence == Sequence(1) && state.header.is_none()
}

/// A partition that is being written.
pub(super) struct Filling {
    partition: PartitionId,
    epoch: Epoch,
    /// Where the next blob has to begin; `None` before the first.
    next: Option<Sequence>,
    /// Where the journal has to end.
    end: Sequence,
    header: Vec<u8>,
    pub(super) cursors: Vec<Cursor>,
    batches: Vec<CommitBatch>,
    bytes: usize,
    /// Whether the last batch takes more than a blob.
    open: bool,
}

impl Filling {
    pub(super) fn of(head: &PartitionHead, epoch: Epoch, header: Vec<u8>) -> Self {
        Self {
            partition: PartitionId(head.partition),
            epoch,
            next: None,
            end: moved(Sequence(head.next_sequence)),
            header,
            cursors: Vec::new(),
            batches: Vec::new(),
            bytes: 0,
            open: false,
        }
    }

    pub(super) fn blob(
        &mut self,
        store: &mut dyn Store,
        blob: &Blob<'_>,
        bytes: &[u8],
    ) -> Result<(), TransferError> {
        let (first, entries) = (moved(blob.first), blob.entries);
        self.begin_at(store, first)?;
        let mut journal = bytes.to_vec();
        journal::shift_blob(&mut journal, LEAP).map_err(|error| StoreError::Failed(error.to_string()))?;
        self.batch(PartitionBatch {
            first_sequence: first,
            entries,
            journal,
            ..self.empty()
        });
        self.next = Some(Sequence(first.0 + u64::from(entries)));
        self.grown(store, bytes.len())
    }

    /// Sees that the journal stands where the file says before anything else of the partition is written.
    fn begin(&mut self, store: &mut dyn Store) -> Result<(), TransferError> {
        self.open = true;
        self.begin_at(store, self.end)
    }

    /// Lets the journal of a new partition begin at `first`: it is filled up to there, and trimmed in the same commit.
    fn begin_at(&mut self, store: &mut dyn Store, first: Sequence) -> Result<(), TransferError> {
        if self.next.is_some() {
            return Ok(());
        }
        let mut from = Sequence(1);
        while from < first {
            let entries = u32::try_from(first.0 - from.0).unwrap_or(u32::MAX);
            let end = Sequence(from.0 + u64::from(entries));
            let mut journal = Vec::new();
            journal::begin_blob(&mut journal, self.partition, self.epoch, from);
            self.batch(PartitionBatch {
                first_sequence: from,
                entries,
                journal,
                trim_before: Some(end),
                ..self.empty()
            });
            self.flush(store)?;
            from = end;
        }
        self.next = Some(first);
        Ok(())
    }

    fn empty(&self) -> PartitionBatch {
        PartitionBatch {
            partition: self.partition,
            epoch: self.epoch,
            first_sequence: self.next.unwrap_or(Sequence(1)),
            ..PartitionBatch::default()
        }
    }

    fn batch(&mut self, part: PartitionBatch) {
        self.batches.push(CommitBatch {
            partitions: vec![part],
            cursors: Vec::new(),
        });
    }

    /// The part that takes snapshots and letters.
    fn part(&mut self) -> &mut PartitionBatch {
        if self.batches.is_empty() {
            let empty = self.empty();
            self.batch(empty);
        }
        let last = self.batches.len() - 1;
        &mut self.batches[last].partitions[0]
    }

    fn grown(&mut self, store: &mut dyn Store, bytes: usize) -> Result<(), TransferError> {
        self.bytes += bytes;
        if self.bytes >= BATCH_BYTES {
            self.flush(store)
        } else {
            Ok(())
        }
    }

    fn flush(&mut self, store: &mut dyn Store) -> Result<(), TransferError> {
        self.bytes = 0;
        let batches = std::mem::take(&mut self.batches);
        if batches.is_empty() {
            return Ok(());
        }
        Ok(store.commit(&batches)?)
    }
}

/// The header and the cursors last.
pub(super) fn finish(store: &mut dyn Store, filling: Option<Filling>) -> Result<(), TransferError> {
    let Some(mut filling) = filling else {
        return Ok(());
    };
    filling.begin(store)?;
    filling.flush(store)?;
    if filling.next != Some(filling.end) {
        let what = "a journal that does not reach the sequence that the file names";
        return Err(StoreError::Damaged(what.to_owned()).into());
    }
    let mut part = filling.empty();
    part.header = Some(std::mem::take(&mut filling.header));
    filling.batch(part);
    filling.batches.push(CommitBatch {
        partitions: Vec::new(),
        cursors: std::mem::take(&mut filling.cursors),
    });
    filling.flush(store)
}

/// Where a sequence of the file lies in the store. What has never happened has not happened there either.
pub(super) fn moved(sequence: Sequence) -> Sequence {
    match sequence {
        Sequence(0) => sequence,
        Sequence(number) => Sequence(number + LEAP),
    }
}
