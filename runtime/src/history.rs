//! What a store at rest tells of one entity: its state, and the journal entries about it that are still kept.
//!
//! Entries that every reader is done with are trimmed; what they did is part of the snapshot.

use crate::entity::{Domain, EntityKind};
use crate::journal::{Blob, EncodeError, Entry, Malformed};
use crate::message::{Origin, Provenance, Sequence};
use crate::placement::PartitionId;
use crate::store::{StoreError, StoreReader};
use crate::table::{Corrupt, Slot, Tables};
use crate::time::Timestamp;
use std::ops::ControlFlow;

/// An entity and its kept past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The state as MessagePack with field names.
    pub state: Vec<u8>,
    /// The last entry that the snapshot includes; 0 without a snapshot.
    pub snapshot: Sequence,
    /// The entries that are still kept, oldest first.
    pub entries: Vec<HistoryEntry>,
}

/// One entry about the entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its place in the journal of the partition.
    pub sequence: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// Where the message came from.
    pub origin: Origin,
    /// Who wrote, and in which conversation.
    pub provenance: Provenance,
    /// Whether the message could not be digested.
    pub is_dead_letter: bool,
    /// What happened, each as MessagePack with field names.
    pub events: Vec<Vec<u8>>,
}

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds does not fit this version.
    #[error("the store does not fit this version: {0}")]
    Corrupt(#[from] Corrupt),
    /// What it holds is no journal.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The state cannot be shown.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Reads an entity of `partition`; `None` if nothing has ever happened to it. Reads the whole kept journal of the
/// partition.
///
/// # Errors
/// [`HistoryError`] if the store cannot be read or holds what this version does not understand.
pub fn of_entity<D: Domain>(
    reader: &dyn StoreReader,
    partition: PartitionId,
    kind: EntityKind,
    entity: &[u8],
) -> Result<Option<History>, HistoryError> {
    let mut found = None;
    every_entity::<D>(reader, partition, kind, Some(entity), &mut |_, history| {
        found = Some(history);
    })?;
    Ok(found)
}

/// Reads all entities of a kind in `partition`, in no particular order.
///
/// # Errors
/// As [`of_entity`].
pub fn of_kind<D: Domain>(
    reader: &dyn StoreReader,
    partition: PartitionId,
    kind: EntityKind,
    visit: &mut dyn FnMut(&[u8], History),
) -> Result<(), HistoryError> {
    every_entity::<D>(reader, partition, kind, None, visit)
}

fn every_entity<D: Domain>(
    reader: &dyn StoreReader,
    partition: PartitionId,
    kind: EntityKind,
    only: Option<&[u8]>,
    visit: &mut dyn FnMut(&[u8], History),
) -> Result<(), HistoryError> {
    let mut read = Reading::<D> {
        partition,
        kind,
        tables: D::Tables::default(),
        found: Vec::new(),
    };
    let mut failure = None;
    let mut load = |snapshot: crate::store::SnapshotRef<'_>| match read.load(snapshot) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    match only {
        Some(entity) => reader.snapshot(partition, kind, entity, &mut |snapshot| {
            // There is one at most.
            let (ControlFlow::Continue(()) | ControlFlow::Break(())) = load(snapshot);
        })?,
        None => reader.snapshots(partition, kind, &mut load)?,
    }
    if let Some(error) = failure.take() {
        return Err(error);
    }
    reader.journal(
        partition,
        Sequence(1),
        &mut |bytes| match read.replay(bytes, only) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    failure.map_or(Ok(()), Err)?;
    read.show(visit)
}

struct Reading<D: Domain> {
    partition: PartitionId,
    kind: EntityKind,
    tables: D::Tables,
    found: Vec<(Slot, Sequence, Vec<HistoryEntry>)>,
}

impl<D: Domain> Reading<D> {
    fn load(&mut self, snapshot: crate::store::SnapshotRef<'_>) -> Result<(), HistoryError> {
        let slot = self
            .tables
            .activate(self.partition, self.kind, snapshot.entity, Some(snapshot))?;
        self.found.push((slot, snapshot.sequence, Vec::new()));
        Ok(())
    }

    fn replay(&mut self, bytes: &[u8], only: Option<&[u8]>) -> Result<(), HistoryError> {
        for entry in Blob::parse(bytes)?.iter() {
            let entry = entry?;
            if entry.kind == self.kind && only.is_none_or(|entity| entity == entry.entity) {
                self.replay_entry(&entry)?;
            }
        }
        Ok(())
    }

    fn replay_entry(&mut self, entry: &Entry<'_>) -> Result<(), HistoryError> {
        let slot = match self.tables.find_encoded(self.kind, entry.entity) {
            Some(slot) => slot,
            None => {
                let slot = self
                    .tables
                    .activate(self.partition, self.kind, entry.entity, None)?;
                self.found.push((slot, Sequence(0), Vec::new()));
                slot
            }
        };
        self.tables
            .replay(self.kind, slot, entry.sequence, entry.events())?;
        let events: Result<Vec<_>, Corrupt> = entry
            .events()
            .map(|event| D::Tables::describe_event(self.kind, event))
            .collect();
        let place = slot.number() as usize;
        // Slots are given out in order and nothing is removed here, so the slot is the place in the list.
        if let Some((_, _, entries)) = self.found.get_mut(place) {
            entries.push(HistoryEntry {
                sequence: entry.sequence,
                at: entry.at,
                origin: entry.origin,
                provenance: entry.provenance(),
                is_dead_letter: entry.is_dead_letter,
                events: events?,
            });
        }
        Ok(())
    }

    fn show(self, visit: &mut dyn FnMut(&[u8], History)) -> Result<(), HistoryError> {
        for (slot, snapshot, entries) in self.found {
            let Some(state) = self.tables.describe(self.kind, slot)? else {
                continue;
            };
            let entity = self.tables.encoded_id(self.kind, slot).unwrap_or_default();
            visit(
                &entity,
                History {
                    state,
                    snapshot,
                    entries,
                },
            );
        }
        Ok(())
    }
}
