//! Everything that a store holds, in the one order in which it is exported and compared.

use super::TransferError;
use super::file::{PartitionHead, Record, Tally, Totals};
use lockstep_runtime::journal::Blob;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{Claim, PartitionState, STANDING, Store, StoreError};
use std::ops::ControlFlow;

/// Hands everything to `sink`. Takes the partitions, so that nobody else writes meanwhile.
pub(super) fn walk(
    store: &mut dyn Store,
    sink: &mut dyn FnMut(&Record<'_>) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let claims: Vec<Claim> = store.partition_count().all().map(Claim::alone).collect();
    for state in store.acquire(&claims)? {
        walk_partition(store, &state, sink)?;
    }
    Ok(())
}

fn walk_partition(
    store: &dyn Store,
    state: &PartitionState,
    sink: &mut dyn FnMut(&Record<'_>) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let (reader, partition) = (store.reader(), state.partition);
    sink(&Record::Partition(PartitionHead {
        partition: partition.0,
        next_sequence: state.next_sequence.0,
        header: state.header.clone(),
    }))?;
    let mut failed = Ok(());
    let mut next = None;
    reader.journal(partition, Sequence(0), &mut |bytes| {
        failed = whole(partition, bytes, &mut next).and_then(|_| sink(&Record::Blob(bytes)));
        go_on(&failed)
    })?;
    failed?;
    if next.is_some_and(|next| next != state.next_sequence) {
        return Err(damaged(partition, "ends before the sequence that the store names").into());
    }
    for kind in reader.kinds(partition)? {
        let mut failed = Ok(());
        reader.snapshots(partition, kind, &mut |snapshot| {
            failed = sink(&Record::Snapshot(kind, snapshot));
            go_on(&failed)
        })?;
        failed?;
    }
    let mut failed = Ok(());
    reader.dead_letters(partition, &mut |sequence, letter| {
        failed = sink(&Record::Letter(sequence, letter));
        go_on(&failed)
    })?;
    failed?;
    for (consumer, sequence) in reader.cursors(partition)? {
        if consumer != STANDING {
            sink(&Record::Cursor(consumer, sequence))?;
        }
    }
    Ok(())
}

pub(super) fn go_on(result: &Result<(), TransferError>) -> ControlFlow<()> {
    if result.is_ok() {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// A blob whose entries can all be read, and that goes on where the one before it ended.
pub(super) fn whole<'b>(
    partition: PartitionId,
    bytes: &'b [u8],
    next: &mut Option<Sequence>,
) -> Result<Blob<'b>, TransferError> {
    let blob = Blob::parse(bytes).map_err(|error| damaged(partition, &error.to_string()))?;
    if blob.partition != partition || next.is_some_and(|next| next != blob.first) {
        return Err(damaged(partition, "does not go on where it ended").into());
    }
    for entry in blob.iter() {
        entry.map_err(|error| damaged(partition, &error.to_string()))?;
    }
    *next = Some(blob.end());
    Ok(blob)
}

fn damaged(partition: PartitionId, what: &str) -> StoreError {
    StoreError::Damaged(format!("the journal of partition {}: {what}", partition.0))
}

/// Reads everything that a store holds, with all checksums, and says how much it is. `progress` is told how many partitions
/// have been begun.
///
/// # Errors
/// [`TransferError::Store`] with what is damaged.
pub fn verify_store(store: &mut dyn Store, mut progress: impl FnMut(u64)) -> Result<Totals, TransferError> {
    let (mut tally, mut framed) = (Tally::default(), Vec::new());
    walk(store, &mut |record| {
        record.encode(&mut framed).map_err(StoreError::Failed)?;
        tally.add(record, record.tag(), &framed[1..]);
        if matches!(record, Record::Partition(_)) {
            progress(tally.totals().partitions);
        }
        Ok(())
    })?;
    Ok(tally.totals())
}
