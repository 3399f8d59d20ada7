//! The engine: how it is set up, and what readers and the writer share of it.

use super::index::JournalIndex;
use super::layout::BlobKey;
use super::manifest;
use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::StoreError;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const JOURNAL: &str = "journal";
/// The journal, snapshots, alarms, control and dead letters; the engine numbers them from 1, behind its own list of them.
const KEYSPACES: u32 = 5;
const MIB: u64 = 1 << 20;
/// What the engine's own log may hold before it is written out: it is read back whenever the store is opened.
const MOST_LOG_BYTES: u64 = 192 * MIB;
/// The log's sync waits for the disk while a memtable is written out beside it, longer the larger that is: over 60,000
/// reservations a second the 99th percentile of latency was half or less with 8 MiB of what it was with 64, four times out
/// of four.
const JOURNAL_MEMTABLE_MIB: u64 = 8;
/// Blobs from this size on are kept apart from the keys and not rewritten by compaction.
const SEPARATE_FROM_BYTES: u32 = 256;

/// Nothing before these sequences is needed, one for each partition.
pub(super) type TrimMarks = Arc<[AtomicU64]>;

/// What readers and the writer share.
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) journal: Keyspace,
    pub(super) snapshots: Keyspace,
    pub(super) alarms: Keyspace,
    pub(super) control: Keyspace,
    pub(super) dead_letters: Keyspace,
    pub(super) directory: PathBuf,
    trimmed: TrimMarks,
    indexes: Box<[RwLock<JournalIndex>]>,
}

/// Sees that all keyspaces are there, and have the tables that were written.
pub(super) fn check_keyspaces(files: &Path) -> Result<(), StoreError> {
    (0..=KEYSPACES).try_for_each(|number| manifest::check(&files.join(format!("keyspaces/{number}"))))
}

impl Engine {
    pub(super) fn open(
        directory: &Path,
        partitions: PartitionCount,
        cache_mib: u64,
    ) -> Result<Self, fjall::Error> {
        let trimmed: TrimMarks = partitions.all().map(|_| AtomicU64::new(0)).collect();
        let factory: Arc<dyn Factory> = Arc::new(DropTrimmed {
            marks: Arc::clone(&trimmed),
        });
        let database = Database::builder(directory.join("engine"))
            .cache_size(cache_mib.max(8) * MIB)
            .max_journaling_size(MOST_LOG_BYTES)
            .journal_compression(CompressionType::None)
            .worker_threads(2)
            .with_compaction_filter_factories(Arc::new(move |keyspace| {
                (keyspace == JOURNAL).then(|| Arc::clone(&factory))
            }))
            .open()?;
        Ok(Self {
            journal: database.keyspace(JOURNAL, journal_options)?,
            snapshots: database.keyspace("snapshots", || options(64))?,
            alarms: database.keyspace("alarms", || options(16))?,
            control: database.keyspace("control", || options(16))?,
            dead_letters: database.keyspace("dead_letters", || options(16))?,
            database,
            directory: directory.to_owned(),
            trimmed,
            indexes: partitions.all().map(|_| RwLock::default()).collect(),
        })
    }

    /// Makes sure that an empty store's files are there after a power cut.
    pub(super) fn sync(&self) -> Result<(), fjall::Error> {
        self.database.persist(PersistMode::SyncAll)
    }

    pub(super) fn index(
        &self,
        partition: PartitionId,
    ) -> Result<RwLockReadGuard<'_, JournalIndex>, StoreError> {
        let index = self.indexes.get(usize::from(partition.0));
        let index = index.ok_or_else(|| no_partition(partition))?;
        Ok(index.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn index_mut(
        &self,
        partition: PartitionId,
    ) -> Result<RwLockWriteGuard<'_, JournalIndex>, StoreError> {
        let index = self.indexes.get(usize::from(partition.0));
        let index = index.ok_or_else(|| no_partition(partition))?;
        Ok(index.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets compaction drop what lies before. Only what is durable may be said here.
    pub(super) fn mark_trimmed(&self, partition: PartitionId, before: u64) {
        if let Some(mark) = self.trimmed.get(usize::from(partition.0)) {
            mark.fetch_max(before, Relaxed);
        }
    }

    pub(super) fn failed(&self, doing: &str, error: &fjall::Error) -> StoreError {
        super::errors::engine(&self.directory, doing, error)
    }
}

pub(super) fn no_partition(partition: PartitionId) -> StoreError {
    StoreError::Failed(format!("there is no partition {}", partition.0))
}

fn options(memtable_mib: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(memtable_mib * MIB)
}

/// The journal is written once, read soon, and dropped from the front: its blobs stay where they were first written until
/// a whole file of them can go.
fn journal_options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default()
        .separation_threshold(SEPARATE_FROM_BYTES)
        .file_target_size(64 * MIB)
        .staleness_threshold(0.8)
        .compression(CompressionType::None);
    options(JOURNAL_MEMTABLE_MIB)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(Some(separation))
}

/// Drops trimmed blobs whenever the engine rewrites their keys, so that trimming itself writes nothing for each blob.
struct DropTrimmed {
    marks: TrimMarks,
}

impl Factory for DropTrimmed {
    fn name(&self) -> &str {
        "trimmed journal blobs"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let marks = Arc::clone(&self.marks);
        Box::new(DropTrimmedRun { marks })
    }
}

struct DropTrimmedRun {
    marks: TrimMarks,
}

impl CompactionFilter for DropTrimmedRun {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let Some((partition, blob)) = BlobKey::decode(item.key()) else {
            return Ok(Verdict::Keep);
        };
        let mark = self.marks.get(usize::from(partition.0));
        // A blob is written once under its key, so nothing older can come to light behind it.
        match mark {
            Some(mark) if blob.end() <= mark.load(Relaxed) => Ok(Verdict::Destroy),
            Some(_) | None => Ok(Verdict::Keep),
        }
    }
}
