//! Creating a store, opening it, and finding out where it stands.

use super::acknowledged::Acknowledged;
use super::engine::{Engine, check_keyspaces};
use super::identity::{self, Lock};
use super::layout::{self, BlobKey, PartitionRecord, damaged};
use super::writer::{EmbeddedStore, Standing};
use super::{engine_log, errors, space};
use fjall::Readable;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{Epoch, Store, StoreError, StoreOpener};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The cache of a store that a tool looks into.
const TOOL_CACHE_MIB: u64 = 32;
const CREATING: &str = "creating";

/// Where a store lies and how it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// The directory; created if it does not exist.
    pub directory: PathBuf,
    /// How many partitions a new store gets, and an existing one must have.
    pub partitions: PartitionCount,
    /// Memory for what was read lately, in MiB; at least 8 are taken.
    pub cache_mib: u64,
}

/// Opens the store of one directory, at start and again after a failure.
#[derive(Debug)]
pub struct EmbeddedOpener {
    config: EmbeddedConfig,
    may_create: bool,
    /// Whether the last store that was opened here failed; what the kernel has of its files in memory is then not what
    /// is on the disk.
    failed: Arc<AtomicBool>,
}

impl EmbeddedOpener {
    /// An opener that creates what is not there.
    #[must_use]
    pub fn new(config: EmbeddedConfig) -> Self {
        Self {
            config,
            may_create: true,
            failed: Arc::default(),
        }
    }

    /// For tools: an opener of the store that is in `directory`, whatever its number of partitions.
    ///
    /// # Errors
    /// If there is no store, or one that this version cannot read.
    pub fn existing(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        let partitions = identity::read(&directory)?.ok_or_else(|| no_store(&directory))?;
        Ok(Self {
            config: EmbeddedConfig {
                directory,
                partitions,
                cache_mib: TOOL_CACHE_MIB,
            },
            may_create: false,
            failed: Arc::default(),
        })
    }

    /// The number of partitions the store has or will get.
    #[must_use]
    pub fn partitions(&self) -> PartitionCount {
        self.config.partitions
    }

    fn lock(&self) -> Result<Lock, StoreError> {
        let directory = &self.config.directory;
        if self.may_create {
            fs::create_dir_all(directory)
                .map_err(|error| errors::io(&format!("creating {}", directory.display()), &error))?;
        }
        Lock::take(directory)
    }

    /// Makes sure that there is a store of the right kind.
    fn identify(&self) -> Result<(), StoreError> {
        let directory = &self.config.directory;
        match identity::read(directory)? {
            Some(found) if found == self.config.partitions => Ok(()),
            Some(found) => Err(StoreError::PartitionCount {
                found: found.get(),
                wanted: self.config.partitions.get(),
            }),
            None if self.may_create => create(directory, self.config.partitions),
            None => Err(no_store(directory)),
        }
    }
}

fn no_store(directory: &Path) -> StoreError {
    StoreError::Failed(format!("there is no store at {}", directory.display()))
}

impl StoreOpener for EmbeddedOpener {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        let directory = &self.config.directory;
        let lock = self.lock()?;
        space::check(directory)?;
        self.identify()?;
        if self.failed.load(Relaxed) {
            space::forget_cached(&directory.join("engine"))?;
        }
        let (acknowledged, reported) = Acknowledged::open(directory)?;
        engine_log::check(&directory.join("engine"), reported)?;
        check_keyspaces(&directory.join("engine"))?;
        let engine = Engine::open(directory, self.config.partitions, self.config.cache_mib)
            .map_err(|error| errors::engine(directory, "opening", &error))?;
        let number = commit_number(&engine)?;
        if number < reported {
            return Err(damaged(format!(
                "commit {reported} was acknowledged, but {number} is the last one found"
            )));
        }
        let standings = standings(&engine, self.config.partitions)?;
        self.failed.store(false, Relaxed);
        let store = EmbeddedStore::new(
            Arc::new(engine),
            self.config.partitions,
            standings,
            number,
            acknowledged,
            Arc::clone(&self.failed),
            lock,
        )?;
        Ok(Box::new(store))
    }
}

/// Creates an empty store. Its identity comes last: what has none was not finished.
fn create(directory: &Path, partitions: PartitionCount) -> Result<(), StoreError> {
    let doing = format!("creating a store in {}", directory.display());
    let failed = |error: io::Error| errors::io(&doing, &error);
    let marker = directory.join(CREATING);
    let files = directory.join("engine");
    if files.try_exists().map_err(failed)? {
        if !marker.try_exists().map_err(failed)? {
            return Err(damaged(format!(
                "{} holds a store without its file `identity`",
                directory.display()
            )));
        }
        fs::remove_dir_all(&files).map_err(failed)?;
    }
    fs::write(&marker, "this store is not complete\n").map_err(failed)?;
    identity::sync_directory(directory).map_err(failed)?;
    let engine =
        Engine::open(directory, partitions, 0).map_err(|error| errors::engine(directory, &doing, &error))?;
    engine
        .sync()
        .map_err(|error| errors::engine(directory, &doing, &error))?;
    drop(engine);
    Acknowledged::create(directory).map_err(failed)?;
    identity::sync_directory(directory).map_err(failed)?;
    identity::write(directory, partitions).map_err(failed)?;
    fs::remove_file(&marker).map_err(failed)
}

fn commit_number(engine: &Engine) -> Result<u64, StoreError> {
    let found = engine
        .control
        .get(layout::COMMIT_NUMBER)
        .map_err(|error| engine.failed("opening", &error))?;
    match found {
        Some(value) => layout::number("the commit number", layout::COMMIT_NUMBER, &value),
        None => Ok(0),
    }
}

/// Where every partition stands. The journal's keys are read, not its blobs.
fn standings(engine: &Engine, partitions: PartitionCount) -> Result<Vec<Standing>, StoreError> {
    partitions
        .all()
        .map(|partition| standing(engine, partition))
        .collect()
}

fn standing(engine: &Engine, partition: PartitionId) -> Result<Standing, StoreError> {
    let key = layout::partition_key(partition);
    let found = engine
        .control
        .get(key)
        .map_err(|error| engine.failed("opening", &error))?;
    let record = match found {
        Some(value) => PartitionRecord::decode(&key, &value)?,
        None => PartitionRecord {
            epoch: Epoch(0),
            trimmed: 1,
        },
    };
    index_journal(engine, partition, record.trimmed)?;
    engine.mark_trimmed(partition, record.trimmed);
    let next = engine.index(partition)?.end().unwrap_or(record.trimmed);
    Ok(Standing {
        epoch: record.epoch,
        trimmed: record.trimmed,
        next: Sequence(next),
    })
}

/// Lists the blobs that are still needed, and sees that none is missing between them.
fn index_journal(engine: &Engine, partition: PartitionId, trimmed: u64) -> Result<(), StoreError> {
    let view = engine.database.snapshot();
    let lowest = layout::journal_place(partition, 0);
    let mark = layout::journal_place(partition, trimmed);
    let highest = BlobKey {
        first: u64::MAX,
        entries: u32::MAX,
        checksum: u32::MAX,
    };
    let read = |guard: fjall::Guard| {
        let key = guard.key().map_err(|error| engine.failed("opening", &error))?;
        BlobKey::decode(&key)
            .map(|(_, blob)| blob)
            .ok_or_else(|| damaged("a journal key is too short"))
    };
    // The mark may lie within a blob, which begins before it.
    let before = view.range(&engine.journal, lowest..mark).next_back();
    let before = before.map(read).transpose()?;
    let live = view.range(&engine.journal, mark.as_slice()..=&highest.encode(partition));
    let mut index = engine.index_mut(partition)?;
    let mut blobs = before.filter(|blob| blob.end() > trimmed).into_iter();
    let gap = |at: u64| {
        damaged(format!(
            "the journal of partition {} has a gap before {at}",
            partition.0
        ))
    };
    for blob in blobs.by_ref().map(Ok).chain(live.map(read)) {
        let blob: BlobKey = blob?;
        // Their sizes stand beside their places, which are not read here.
        if !index.push(blob, 0) {
            return Err(gap(blob.first));
        }
    }
    match index.first() {
        Some(first) if first > trimmed => Err(gap(first)),
        Some(_) | None => Ok(()),
    }
}
