//! From a store into a new one with another number of partitions.
//!
//! A store can be dealt out anew while it is settled: nothing is under way between its partitions, and every consumer of its
//! journals has what they say. Then what counts of a partition is the states of its entities, with their alarms, and the ids by which it
//! knows repeats; both go where their entity's key belongs. Streams between partitions begin anew, consumers stand at the end.
//!
//! Invariants, checked before anybody serves the new store:
//! - each entity is there once, in the partition of its key, with the state that it had;
//! - the store can be built from what was written, and each partition knows the newest ids of its entities' messages.

use super::export::note;
use super::file::PartitionHead;
use super::import::{Filling, all_new, finish, moved};
use super::ledger::{Ledger, StateSum};
use super::{BATCH_BYTES, TransferError};
use lockstep_actors::domain::{Message, Reply};
use lockstep_runtime::entity::{AddressedMessage, EntityKind};
use lockstep_runtime::journal::{Blob, Entry, EntryHead, EntryWriter, begin_blob};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::settled_header;
use lockstep_runtime::store::{
    CommitBatch, Cursor, Epoch, PartitionBatch, PartitionState, SnapshotRecord, Standing, Store, StoreError,
};
use std::collections::BTreeMap;

/// How many ids one blob holds.
const AT_ONCE: usize = 1_024;

/// What a store was dealt out into.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Repartitioned {
    /// How many partitions there were.
    pub from: u16,
    /// How many there are.
    pub to: u16,
    /// How many entities.
    pub entities: u64,
    /// How many ids of messages are known, by which repeats of them are told.
    pub remembered: u64,
}

/// Deals a settled store out into a new one, and lets the old one be served no more. Consumers in `without` are left behind.
/// `progress` is told how many partitions of the old store have been read.
///
/// # Errors
/// [`TransferError`]; the old store may be served then, the new one has to be cleared away.
pub fn repartition(
    source: &mut dyn Store,
    target: &mut dyn Store,
    without: &[String],
    mut progress: impl FnMut(u64),
) -> Result<Repartitioned, TransferError> {
    Standing::check(&*source.reader())?;
    let (from, to) = (source.partition_count(), target.partition_count());
    let ledger = Ledger::read(source, to, without)?;
    let states = all_new(target)?;
    note(target, Standing::Importing)?;
    let mut dealing = Dealing::begin(target, to, &states, &ledger)?;
    for state in &ledger.states {
        ledger.entities(state, &mut |entity| dealing.put(entity))?;
        progress(u64::from(state.partition.0) + 1);
    }
    dealing.flush()?;
    let (sum, remembered) = (dealing.sum.clone(), ledger.remembered());
    check(target, to, &sum, remembered)?;
    note(target, Standing::Served)?;
    note(source, Standing::Retired)?;
    Ok(Repartitioned {
        from: from.get(),
        to: to.get(),
        entities: sum.entities,
        remembered,
    })
}

/// The partition of an entity, of so many.
pub(super) fn place_of(
    partitions: PartitionCount,
    kind: EntityKind,
    entity: &[u8],
) -> Result<PartitionId, TransferError> {
    let key = Message::key_of(kind, entity);
    let key = key.ok_or_else(|| StoreError::Damaged(format!("an entity of kind {} has no key", kind.0)))?;
    Ok(partitions.partition_of(&key))
}

/// What an entry is remembered for: the id of its message, and what was answered.
pub(super) fn remembered(into: &mut Vec<u8>, entry: &Entry<'_>) -> Result<(), TransferError> {
    let failed =
        |error: &dyn std::fmt::Display| StoreError::Failed(format!("an entry cannot be written: {error}"));
    let head = EntryHead {
        at: entry.at,
        kind: entry.kind,
        entity: entry.entity,
        origin: entry.origin,
        provenance: &entry.provenance(),
    };
    let mut writer = EntryWriter::begin(into, &head).map_err(|error| failed(&error))?;
    writer.events_done();
    writer.sends_done();
    if entry.is_dead_letter {
        writer.dead_letter();
    }
    if let Some(reply) = entry.reply {
        let reply: Reply = rmp_serde::from_slice(reply).map_err(|error| failed(&error))?;
        writer.reply(&reply).map_err(|error| failed(&error))?;
    }
    Ok(writer.finish().map_err(|error| failed(&error))?)
}

/// A new store that is being filled.
struct Dealing<'s> {
    target: &'s mut dyn Store,
    partitions: PartitionCount,
    epochs: BTreeMap<PartitionId, Epoch>,
    /// Where each journal ends.
    ends: BTreeMap<PartitionId, Sequence>,
    open: BTreeMap<PartitionId, PartitionBatch>,
    bytes: usize,
    sum: StateSum,
}

impl<'s> Dealing<'s> {
    /// Writes journals, headers and cursors.
    fn begin(
        target: &'s mut dyn Store,
        partitions: PartitionCount,
        states: &[PartitionState],
        ledger: &Ledger,
    ) -> Result<Self, TransferError> {
        let (mut epochs, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for state in states {
            let end = fill_journal(target, state, ledger)?;
            ends.insert(state.partition, end);
            epochs.insert(state.partition, state.epoch);
        }
        Ok(Self {
            target,
            partitions,
            epochs,
            ends,
            open: BTreeMap::new(),
            bytes: 0,
            sum: StateSum::default(),
        })
    }

    /// Puts an entity into the partition of its key, as the newest that is said there.
    fn put(&mut self, mut entity: SnapshotRecord) -> Result<(), TransferError> {
        let place = place_of(self.partitions, entity.kind, &entity.entity)?;
        let end = self.ends.get(&place).copied().unwrap_or_default();
        entity.sequence = Sequence(end.0.saturating_sub(1));
        entity.previous_alarm = None;
        self.sum
            .add(entity.kind, &entity.entity, entity.alarm, &entity.state);
        self.bytes += entity.state.len() + entity.entity.len();
        let epoch = self.epochs.get(&place).copied().unwrap_or_default();
        let part = self.open.entry(place).or_insert_with(|| PartitionBatch {
            partition: place,
            epoch,
            first_sequence: end,
            ..PartitionBatch::default()
        });
        part.snapshots.push(entity);
        if self.bytes >= BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        self.bytes = 0;
        let partitions: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        if partitions.is_empty() {
            return Ok(());
        }
        Ok(self.target.commit(&[CommitBatch {
            partitions,
            cursors: Vec::new(),
        }])?)
    }
}

/// Lets a partition's journal hold the ids that it remembers and nothing else; says where it ends.
fn fill_journal(
    target: &mut dyn Store,
    state: &PartitionState,
    ledger: &Ledger,
) -> Result<Sequence, TransferError> {
    let entries = ledger.of(state.partition);
    let first = ledger.first;
    let end = Sequence(first.0 + entries.len() as u64);
    let header = settled_header(moved(first), moved(end)).map_err(StoreError::Failed)?;
    let head = PartitionHead {
        partition: state.partition.0,
        next_sequence: end.0,
        header: None,
    };
    let mut filling = Filling::of(&head, state.epoch, header);
    let mut at = first;
    for chunk in entries.chunks(AT_ONCE) {
        let mut bytes = Vec::new();
        begin_blob(&mut bytes, state.partition, state.epoch, at);
        for entry in chunk {
            entry.read(|entry| remembered(&mut bytes, entry))?;
        }
        let blob = Blob::parse(&bytes).map_err(|error| StoreError::Failed(error.to_string()))?;
        at = blob.end();
        filling.blob(target, &blob, &bytes)?;
    }
    filling.cursors = ledger
        .consumers
        .iter()
        .map(|consumer| Cursor {
            consumer: consumer.clone(),
            partition: state.partition,
            sequence: moved(Sequence(end.0 - 1)),
        })
        .collect();
    finish(target, Some(filling))?;
    Ok(moved(end))
}

/// Reads the new store as a node would, and compares what it holds with what the old one held.
fn check(
    target: &mut dyn Store,
    partitions: PartitionCount,
    wanted: &StateSum,
    remembered: u64,
) -> Result<(), TransferError> {
    let ledger = Ledger::read(target, partitions, &[])?;
    let mut found = StateSum::default();
    for state in &ledger.states {
        ledger.snapshots(state.partition, &mut |kind, of| {
            let place = place_of(partitions, kind, of.entity)?;
            if place != state.partition {
                let what = format!("an entity of partition {} lies in {}", place.0, state.partition.0);
                return Err(StoreError::Damaged(what).into());
            }
            found.add(kind, of.entity, of.alarm, of.state);
            Ok(())
        })?;
    }
    if found != *wanted {
        return Err(differs(&found.digest(), &wanted.digest()));
    }
    if ledger.remembered() != remembered {
        return Err(differs(
            &format!("{} ids", ledger.remembered()),
            &format!("{remembered} ids"),
        ));
    }
    Ok(())
}

fn differs(found: &str, wanted: &str) -> TransferError {
    TransferError::Differs {
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    }
}
