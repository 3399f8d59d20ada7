//! The store as a node sees it: the shared disk, with the planted faults of a store in between.

use super::plant::Plant;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Epoch, PartitionBatch, PartitionState, Store, StoreError, StoreOpener, StoreReader,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the epochs and sequences of a journal blob stand; see [`lockstep_runtime::journal`].
const EPOCH_AT: usize = 8;
const FIRST_AT: usize = 16;

/// What is known of a partition to a store that does not look at epochs.
#[derive(Clone, Copy)]
struct Known {
    epoch: Epoch,
    next: Sequence,
}

/// Opens the shared disk for the nodes. Cheap to clone.
#[derive(Clone)]
pub(super) struct SharedStore {
    disk: MemoryDisk,
    plant: Option<Plant>,
    known: Arc<Mutex<BTreeMap<PartitionId, Known>>>,
    fenced: Arc<AtomicU64>,
}

impl SharedStore {
    pub(super) fn new(disk: MemoryDisk, plant: Option<Plant>) -> Self {
        Self {
            disk,
            plant,
            known: Arc::default(),
            fenced: Arc::default(),
        }
    }

    /// How many commits were refused because another node had taken a partition over.
    pub(super) fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }
}

impl StoreOpener for SharedStore {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        let store = self.disk.open()?;
        match self.plant {
            Some(Plant::IgnoreEpochs) => Ok(Box::new(Careless {
                store,
                known: Arc::clone(&self.known),
            })),
            Some(Plant::AckBeforeSync) => Ok(Box::new(Hasty {
                store,
                held_back: Vec::new(),
            })),
            plant => Ok(Box::new(Watched {
                store,
                fenced: Arc::clone(&self.fenced),
                forgets_dead_letters: plant == Some(Plant::ForgetDeadLetters),
            })),
        }
    }
}

/// The disk as it is, but for dead letters that it may forget; refusals are counted.
struct Watched {
    store: Box<dyn Store>,
    fenced: Arc<AtomicU64>,
    forgets_dead_letters: bool,
}

impl Store for Watched {
    fn partition_count(&self) -> PartitionCount {
        self.store.partition_count()
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        self.store.acquire(claims)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let committed = if self.forgets_dead_letters {
            let mut batches = batches.to_vec();
            for part in batches.iter_mut().flat_map(|batch| &mut batch.partitions) {
                part.dead_letters.clear();
            }
            self.store.commit(&batches)
        } else {
            self.store.commit(batches)
        };
        if matches!(committed, Err(StoreError::Fenced(_))) {
            self.fenced.fetch_add(1, Ordering::Relaxed);
        }
        committed
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        self.store.reader()
    }
}

/// Takes commits under any epoch, behind whatever is there.
struct Careless {
    store: Box<dyn Store>,
    known: Arc<Mutex<BTreeMap<PartitionId, Known>>>,
}

impl Careless {
    fn rewrite(known: &mut BTreeMap<PartitionId, Known>, part: &mut PartitionBatch) {
        let Some(known) = known.get_mut(&part.partition) else {
            return;
        };
        part.epoch = known.epoch;
        part.first_sequence = known.next;
        known.next.0 += u64::from(part.entries);
        let mut write = |at: usize, number: u64| {
            if let Some(place) = part.journal.get_mut(at..at + 8) {
                place.copy_from_slice(&number.to_le_bytes());
            }
        };
        write(EPOCH_AT, part.epoch.0);
        write(FIRST_AT, part.first_sequence.0);
    }
}

impl Store for Careless {
    fn partition_count(&self) -> PartitionCount {
        self.store.partition_count()
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        let states = self.store.acquire(claims)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for state in &states {
            let fresh = Known {
                epoch: state.epoch,
                next: state.next_sequence,
            };
            known.insert(state.partition, fresh);
        }
        Ok(states)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let mut batches = batches.to_vec();
        let before = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let before = known.clone();
            for part in batches.iter_mut().flat_map(|batch| &mut batch.partitions) {
                Self::rewrite(&mut known, part);
            }
            before
        };
        let committed = self.store.commit(&batches);
        if committed.is_err() {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
        committed
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        self.store.reader()
    }
}

/// Says that a commit is durable before it is: it writes it with the next one.
struct Hasty {
    store: Box<dyn Store>,
    held_back: Vec<CommitBatch>,
}

impl Store for Hasty {
    fn partition_count(&self) -> PartitionCount {
        self.store.partition_count()
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        self.store.acquire(claims)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let earlier = std::mem::replace(&mut self.held_back, batches.to_vec());
        if earlier.is_empty() {
            return Ok(());
        }
        self.store.commit(&earlier)
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        self.store.reader()
    }
}
