//! The store port: what the runtime asks of a disk or a database.
//!
//! A store keeps, for each partition: a journal of entries with one dense sequence, the latest snapshot of each entity,
//! the alarms of entities at rest, and a header. All that a [`CommitBatch`] holds for one partition becomes durable
//! together or not at all, under the partition's epoch: a commit under an older epoch than the newest one acquired fails
//! with [`StoreError::Fenced`].
//!
//! Two roles. The [`Store`] belongs to one writer thread. [`StoreReader`]s are shared with shards (activation) and feed
//! consumers, and see everything committed.

use crate::entity::EntityKind;
use crate::message::{Origin, Sequence};
use crate::placement::{PartitionCount, PartitionId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The fencing number of a partition's ownership; grows with every acquisition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The number of a partition's present owner among all owners it has had; grows when another node takes it over. A store
/// that only one process can open knows none but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenure(pub u64);

/// A partition and the tenure under which somebody means to hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which partition.
    pub partition: PartitionId,
    /// As whose.
    pub tenure: Tenure,
}

impl Claim {
    /// The claim of a process that has the store for itself.
    #[must_use]
    pub const fn alone(partition: PartitionId) -> Self {
        Self {
            partition,
            tenure: Tenure(0),
        }
    }
}

/// The state of an entity as of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// The entity's kind.
    pub kind: EntityKind,
    /// The entity's id, encoded.
    pub entity: Box<[u8]>,
    /// The last entry that the state includes.
    pub sequence: Sequence,
    /// When the entity wants to be woken. The store keeps it in order of time as well.
    pub alarm: Option<Timestamp>,
    /// The alarm of the snapshot that this one replaces, so that its place in the order of time can be cleared.
    pub previous_alarm: Option<Timestamp>,
    /// The state, encoded.
    pub state: Vec<u8>,
}

/// A message that no entity could digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Timestamp,
    /// Why, for a person.
    pub reason: String,
    /// The system that sent it.
    pub source: String,
    /// Its conversation.
    pub correlation: String,
    /// The entity's kind.
    pub kind: EntityKind,
    /// The entity's id, encoded.
    pub entity: Vec<u8>,
    /// The command, encoded.
    pub command: Vec<u8>,
    /// Where the message came from; `None` in letters of versions that did not keep it.
    #[serde(default)]
    pub origin: Option<Origin>,
}

/// What one turn of a shard adds to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionBatch {
    /// Which partition.
    pub partition: PartitionId,
    /// The epoch under which the shard holds it.
    pub epoch: Epoch,
    /// The sequence of the first entry in `journal`.
    pub first_sequence: Sequence,
    /// How many entries `journal` holds; may be 0, and `journal` is then empty.
    pub entries: u32,
    /// The entries, encoded by [`crate::journal`]: stored and returned as one opaque blob.
    pub journal: Vec<u8>,
    /// Snapshots to replace.
    pub snapshots: Vec<SnapshotRecord>,
    /// The partition's header, if it changed; opaque.
    pub header: Option<Vec<u8>>,
    /// Entries before this one are no longer needed. The store drops blobs that lie wholly before it, soon.
    pub trim_before: Option<Sequence>,
    /// Dead letters, each under the sequence of the entry that recorded it.
    pub dead_letters: Vec<(Sequence, DeadLetter)>,
}

/// How far a consumer has read a partition's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The consumer's name, as in `erp` or `channel/web-eu`; at most 64 bytes.
    pub consumer: String,
    /// The partition.
    pub partition: PartitionId,
    /// The last entry that is wholly dealt with.
    pub sequence: Sequence,
}

/// All that becomes durable with one sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitBatch {
    /// One part a partition; no partition twice.
    pub partitions: Vec<PartitionBatch>,
    /// Consumers' progress. Losing the latest only repeats deliveries that are idempotent.
    pub cursors: Vec<Cursor>,
}

/// A partition as the store last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Which partition.
    pub partition: PartitionId,
    /// The epoch that was just acquired.
    pub epoch: Epoch,
    /// The sequence that the next entry takes; 1 for a new partition.
    pub next_sequence: Sequence,
    /// The header last committed.
    pub header: Option<Vec<u8>>,
}

/// A snapshot as it is read back.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRef<'a> {
    /// The entity's id, encoded.
    pub entity: &'a [u8],
    /// The last entry that the state includes.
    pub sequence: Sequence,
    /// When the entity wants to be woken.
    pub alarm: Option<Timestamp>,
    /// The state, encoded.
    pub state: &'a [u8],
}

/// What can go wrong with a store, and what a person should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or quota is full. Everything durable is safe; the same commit may succeed after space returns, but only
    /// through a newly opened store.
    #[error("no space left for the store: {0}. Free some space; work goes on by itself")]
    NoSpace(String),
    /// Someone else owns the partition now.
    #[error("partition {} is owned under a newer epoch; this process must not write to it", .0.0)]
    Fenced(PartitionId),
    /// Another process has the store open.
    #[error("the store at {0} is in use by another process; stop that one or choose another directory")]
    InUse(String),
    /// Written by a version that this one does not know.
    #[error(
        "the store has format {found}, this version reads up to {supported}; use a newer version of lockstep"
    )]
    NewerFormat {
        /// What the store says.
        found: u32,
        /// What this build reads.
        supported: u32,
    },
    /// The store was created with another number of partitions.
    #[error(
        "the store has {found} partitions, the configuration says {wanted}; they are fixed when a store is created"
    )]
    PartitionCount {
        /// What the store says.
        found: u16,
        /// What was asked for.
        wanted: u16,
    },
    /// What was read is not what was written. Never repaired silently.
    #[error("the store is damaged: {0}. Restore a backup, or move the directory away and start anew")]
    Damaged(String),
    /// The store is there, and nobody may serve it.
    #[error("the store must not be served: {0}")]
    Unserved(&'static str),
    /// Any other failure of the disk or database.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The writer's side. After any error but [`StoreError::Fenced`] the store must be dropped and opened again: a failed
/// sync is never retried on the same file, since the kernel may have dropped the pages.
pub trait Store: Send {
    /// How many partitions the store has.
    fn partition_count(&self) -> PartitionCount;

    /// Takes ownership of partitions: raises each one's epoch, durably, and says where it stands. Those that somebody has
    /// acquired under a newer tenure are left out. Waits for a commit that is running under an older epoch.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError>;

    /// Makes all batches durable with one sync, in order. On error, for each partition, none or all of what a batch holds
    /// for it may be found later, never a part. A fenced partition has got nothing.
    ///
    /// # Errors
    /// [`StoreError`]; see the trait's note.
    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError>;

    /// A reader on what is committed.
    fn reader(&self) -> Arc<dyn StoreReader>;
}

/// What looks at alarms: the moment, the entity's kind and its id, encoded.
pub type AlarmVisitor<'a> = dyn FnMut(Timestamp, EntityKind, &[u8]) -> ControlFlow<()> + 'a;

/// The consumer under whose cursor of partition 0 a store says whether it may be served.
pub const STANDING: &str = "store-standing";

/// How the names of [notes](crate::notes) begin among those of consumers. A note is no place in a journal.
pub const NOTES: &str = "note/";

/// Whether a cursor says how far a consumer has read.
#[must_use]
pub fn is_consumer(name: &str) -> bool {
    name != STANDING && !name.starts_with(NOTES)
}

/// Whether a store may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Served,
    /// No: what is being written into it is not whole yet.
    Importing,
    /// No: it has moved.
    Retired,
}

impl Standing {
    /// How it is noted.
    #[must_use]
    pub const fn number(self) -> Sequence {
        match self {
            Self::Served => Sequence(0),
            Self::Importing => Sequence(1),
            Self::Retired => Sequence(2),
        }
    }

    /// Sees that a store may be served.
    ///
    /// # Errors
    /// [`StoreError::Unserved`] says why not.
    pub fn check(reader: &dyn StoreReader) -> Result<(), StoreError> {
        let noted = reader.cursor(STANDING, PartitionId(0))?;
        match noted {
            noted if noted == Self::Served.number() => Ok(()),
            noted if noted == Self::Importing.number() => Err(StoreError::Unserved(
                "an import into it has not ended; clear it away and import again",
            )),
            noted if noted == Self::Retired.number() => Err(StoreError::Unserved(
                "it has moved, by `lockstep store export --retire` or `store repartition`; serve the store that it was moved into",
            )),
            _ => Err(StoreError::Unserved(
                "a newer version says that it must not be; use that version",
            )),
        }
    }
}

/// The readers' side. Sees every commit that has returned.
pub trait StoreReader: Send + Sync {
    /// The latest snapshot of one entity, given to `visit`; not called if there is none.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn snapshot(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError>;

    /// The latest snapshots of those of some entities that have one, in any order. One after the other, unless an engine that
    /// pays for a round trip asks for them at once.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn snapshots_of(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entities: &[&[u8]],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError> {
        entities
            .iter()
            .try_for_each(|entity| self.snapshot(partition, kind, entity, visit))
    }

    /// Every snapshot of one kind in one partition, in the order of their encoded ids.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn snapshots(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        visit: &mut dyn FnMut(SnapshotRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The alarms of one partition's snapshots in order of time, each with its entity.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn alarms(&self, partition: PartitionId, visit: &mut AlarmVisitor<'_>) -> Result<(), StoreError>;

    /// The journal blobs of one partition, from the one that holds `from` (or the first after it) on.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn journal(
        &self,
        partition: PartitionId,
        from: Sequence,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// How far a consumer has read; 0 if it never has.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn cursor(&self, consumer: &str, partition: PartitionId) -> Result<Sequence, StoreError>;

    /// The kinds of which one partition has snapshots, ascending.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn kinds(&self, partition: PartitionId) -> Result<Vec<EntityKind>, StoreError>;

    /// The consumers that have read in one partition, by name, and how far.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn cursors(&self, partition: PartitionId) -> Result<Vec<(String, Sequence)>, StoreError>;

    /// The dead letters of one partition, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn dead_letters(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(Sequence, DeadLetter) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
}

/// Opens a store, at start and again after a failure.
pub trait StoreOpener: Send + Sync {
    /// Opens the store. All earlier handles must have been dropped.
    ///
    /// # Errors
    /// [`StoreError`] that says what a person should do.
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
}
