//! A store in memory, for tests, for the simulation, and for measuring what the runtime itself costs.
//!
//! It keeps every rule of the port: batches are whole or absent, epochs fence, a store that failed must be opened again.
//! The [`MemoryDisk`] outlives the stores opened on it, as a disk outlives a process, and fails when it is told to.

use crate::entity::EntityKind;
use crate::message::Sequence;
use crate::placement::{PartitionCount, PartitionId};
use crate::store::{
    AlarmVisitor, Claim, CommitBatch, DeadLetter, Epoch, PartitionBatch, PartitionState, SnapshotRecord,
    SnapshotRef, Store, StoreError, StoreOpener, StoreReader, Tenure,
};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it is found later.
    Lost,
    /// All of it is found later, though the writer was told that it failed.
    Unacknowledged,
    /// The disk is full: nothing is written, and the store cannot be opened, until [`MemoryDisk::heal`].
    Full,
    /// Torn: of some partitions all of it is found later, of the others nothing; the writer was told that it failed. Of
    /// partition p something is found if bit `p % 64` is set.
    Torn(u64),
}

#[derive(Debug, Default)]
struct Partition {
    tenure: Tenure,
    epoch: Epoch,
    next: Sequence,
    header: Option<Vec<u8>>,
    journal: VecDeque<Blob>,
    snapshots: BTreeMap<(EntityKind, Box<[u8]>), Arc<SnapshotRecord>>,
    alarms: BTreeSet<(Timestamp, EntityKind, Box<[u8]>)>,
    dead_letters: BTreeMap<Sequence, DeadLetter>,
}

#[derive(Clone, Debug)]
struct Blob {
    first: Sequence,
    end: Sequence,
    bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Content {
    partitions: Vec<Partition>,
    cursors: BTreeMap<(String, PartitionId), Sequence>,
    faults: VecDeque<Fault>,
    /// Those that commits have met.
    met: Vec<Fault>,
    full: bool,
    opened: u64,
    /// Stores that have not been dropped.
    alive: usize,
    commits: u64,
    held: bool,
    waiting: usize,
    /// Whether several stores may be open at a time, as on a server.
    shared: bool,
    /// Partitions that another owner takes over while they are read.
    overtaken: BTreeSet<PartitionId>,
}

impl Content {
    fn overtake(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(usize::from(id.0)) else {
            return;
        };
        if self.overtaken.remove(&id) {
            partition.tenure = Tenure(partition.tenure.0 + 1);
            partition.epoch = Epoch(partition.epoch.0 + 1);
            let (first, end) = (partition.next, partition.next.next());
            let bytes = Arc::from(*b"of another owner");
            partition.journal.push_back(Blob { first, end, bytes });
            partition.next = end;
        }
    }
}

/// What stores in memory are opened on. Cheap to clone; clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    content: Arc<Mutex<Content>>,
    let_go: Arc<Condvar>,
    partitions: PartitionCount,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(partitions: PartitionCount) -> Self {
        let first = || Partition {
            next: Sequence(1),
            ..Partition::default()
        };
        let content = Content {
            partitions: partitions.all().map(|_| first()).collect(),
            ..Content::default()
        };
        Self {
            content: Arc::new(Mutex::new(content)),
            let_go: Arc::new(Condvar::new()),
            partitions,
        }
    }

    /// The coming commits fail like this, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// The faults that commits have met since this was last asked, in order.
    #[must_use]
    pub fn take_met(&self) -> Vec<Fault> {
        std::mem::take(&mut self.lock().met)
    }

    /// No more faults, and space again.
    pub fn heal(&self) {
        let mut content = self.lock();
        content.faults.clear();
        content.full = false;
    }

    /// Spoils every snapshot of one kind: what is read of them from now on is no state.
    pub fn spoil_snapshots(&self, kind: EntityKind) {
        for partition in &mut self.lock().partitions {
            let of_kind = partition
                .snapshots
                .iter_mut()
                .filter(|((other, _), _)| *other == kind);
            for (_, snapshot) in of_kind {
                let spoilt = SnapshotRecord {
                    // MessagePack reserves this byte: it begins no value.
                    state: vec![0xc1],
                    ..SnapshotRecord::clone(snapshot)
                };
                *snapshot = Arc::new(spoilt);
            }
        }
    }

    /// Lets several stores be open at a time, as a server does.
    pub fn share(&self) {
        self.lock().shared = true;
    }

    /// Lets another owner take these over, each once its journal is about to be read, and write an entry.
    pub fn overtake_when_read(&self, partitions: impl IntoIterator<Item = PartitionId>) {
        self.lock().overtaken.extend(partitions);
    }

    /// Makes the newest that a partition's journal holds unreadable.
    pub fn spoil_journal(&self, partition: PartitionId) {
        let mut content = self.lock();
        let partition = content.partitions.get_mut(usize::from(partition.0));
        if let Some(blob) = partition.and_then(|partition| partition.journal.back_mut()) {
            blob.bytes = Arc::from(*b"spoilt");
        }
    }

    /// How many commits have succeeded.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Makes the coming commits wait until [`MemoryDisk::let_go`], as on a disk that is slow.
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Lets commits go on.
    pub fn let_go(&self) {
        self.lock().held = false;
        self.let_go.notify_all();
    }

    /// How many commits wait to be let go.
    #[must_use]
    pub fn held_commits(&self) -> usize {
        self.lock().waiting
    }

    /// How many stores are open on this disk.
    #[must_use]
    pub fn open_stores(&self) -> usize {
        self.lock().alive
    }

    fn wait_until_let_go(&self) -> MutexGuard<'_, Content> {
        let mut content = self.lock();
        content.waiting += 1;
        while content.held {
            content = self.let_go.wait(content).unwrap_or_else(PoisonError::into_inner);
        }
        content.waiting -= 1;
        content
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreOpener for MemoryDisk {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        let mut content = self.lock();
        if content.full {
            return Err(StoreError::NoSpace("the disk in memory is full".to_owned()));
        }
        content.opened += 1;
        content.alive += 1;
        let store = MemoryStore {
            disk: self.clone(),
            generation: content.opened,
            failed: false,
        };
        Ok(Box::new(store))
    }
}

struct MemoryStore {
    disk: MemoryDisk,
    generation: u64,
    failed: bool,
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.disk.lock().alive -= 1;
    }
}

impl MemoryStore {
    fn check(&self, content: &Content) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed(
                "used after a failure; open it again".to_owned(),
            ));
        }
        if content.opened != self.generation && !content.shared {
            return Err(StoreError::InUse("memory".to_owned()));
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn partition_count(&self) -> PartitionCount {
        self.disk.partitions
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        let mut content = self.disk.lock();
        self.check(&content)?;
        let mut states = Vec::with_capacity(claims.len());
        for claim in claims {
            let id = claim.partition;
            let partition = content
                .partitions
                .get_mut(usize::from(id.0))
                .ok_or_else(|| StoreError::Failed(format!("there is no partition {}", id.0)))?;
            if partition.tenure > claim.tenure {
                continue;
            }
            partition.tenure = claim.tenure;
            partition.epoch = Epoch(partition.epoch.0 + 1);
            states.push(PartitionState {
                partition: id,
                epoch: partition.epoch,
                next_sequence: partition.next,
                header: partition.header.clone(),
            });
        }
        Ok(states)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let disk = self.disk.clone();
        let mut content = disk.wait_until_let_go();
        self.check(&content)?;
        let fault = content.faults.pop_front();
        content.met.extend(fault);
        content.full |= fault == Some(Fault::Full);
        if content.full {
            self.failed = true;
            return Err(StoreError::NoSpace("the disk in memory is full".to_owned()));
        }
        if fault == Some(Fault::Lost) {
            self.failed = true;
            return Err(StoreError::Failed("the write was lost".to_owned()));
        }
        let parts = || batches.iter().flat_map(|batch| &batch.partitions);
        let mut expected: BTreeMap<PartitionId, Sequence> = BTreeMap::new();
        for part in parts() {
            let partition = &content.partitions[usize::from(part.partition.0)];
            if part.epoch != partition.epoch {
                return Err(StoreError::Fenced(part.partition));
            }
            let next = expected.entry(part.partition).or_insert(partition.next);
            assert_eq!(part.first_sequence, *next, "sequences are dense");
            next.0 += u64::from(part.entries);
        }
        let is_kept = |part: &&PartitionBatch| match fault {
            Some(Fault::Torn(kept)) => kept >> (part.partition.0 % 64) & 1 == 1,
            Some(Fault::Lost | Fault::Unacknowledged | Fault::Full) | None => true,
        };
        for part in parts().filter(is_kept) {
            content.partitions[usize::from(part.partition.0)].take(part);
        }
        if let Some(Fault::Torn(_)) = fault {
            self.failed = true;
            return Err(StoreError::Failed("the write was torn".to_owned()));
        }
        for cursor in batches.iter().flat_map(|batch| &batch.cursors) {
            let key = (cursor.consumer.clone(), cursor.partition);
            content.cursors.insert(key, cursor.sequence);
        }
        if fault == Some(Fault::Unacknowledged) {
            self.failed = true;
            return Err(StoreError::Failed("the sync failed".to_owned()));
        }
        content.commits += 1;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(self.disk.clone())
    }
}

impl Partition {
    fn take(&mut self, part: &PartitionBatch) {
        if part.entries > 0 {
            let end = Sequence(part.first_sequence.0 + u64::from(part.entries));
            self.journal.push_back(Blob {
                first: part.first_sequence,
                end,
                bytes: part.journal.as_slice().into(),
            });
            self.next = end;
        }
        for snapshot in &part.snapshots {
            let key = (snapshot.kind, snapshot.entity.clone());
            if let Some(at) = snapshot.alarm {
                self.alarms.insert((at, snapshot.kind, snapshot.entity.clone()));
            }
            if let Some(at) = snapshot.previous_alarm
                && snapshot.alarm != Some(at)
            {
                self.alarms.remove(&(at, snapshot.kind, snapshot.entity.clone()));
            }
            self.snapshots.insert(key, Arc::new(snapshot.clone()));
        }
        if let Some(header) = &part.header {
            self.header = Some(header.clone());
        }
        if let Some(before) = part.trim_before {
            while self.journal.front().is_some_and(|blob| blob.end <= before) {
                self.journal.pop_front();
            }
        }
        self.dead_letters.extend(part.dead_letters.iter().cloned());
    }
}

fn visible(snapshot: &SnapshotRecord) -> SnapshotRef<'_> {
    SnapshotRef {
        entity: &snapshot.entity,
        sequence: snapshot.sequence,
        alarm: snapshot.alarm,
        state: &snapshot.state,
    }
}

/// Visitors may read again from within: nothing is locked while they run.
impl StoreReader for MemoryDisk {
    fn snapshot(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError> {
        let key = (kind, entity.into());
        let found = self.lock().partitions[usize::from(partition.0)]
            .snapshots
            .get(&key)
            .cloned();
        if let Some(snapshot) = found {
            visit(visible(&snapshot));
        }
        Ok(())
    }

    fn snapshots(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        visit: &mut dyn FnMut(SnapshotRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let found: Vec<_> = self.lock().partitions[usize::from(partition.0)]
            .snapshots
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|(_, snapshot)| Arc::clone(snapshot))
            .collect();
        for snapshot in found {
            if visit(visible(&snapshot)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn alarms(&self, partition: PartitionId, visit: &mut AlarmVisitor<'_>) -> Result<(), StoreError> {
        let found = self.lock().partitions[usize::from(partition.0)].alarms.clone();
        for (at, kind, entity) in found {
            if visit(at, kind, &entity).is_break() {
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
        self.lock().overtake(partition);
        let mut from = from;
        loop {
            // A few at a time: most visitors stop soon.
            let blobs: Vec<Blob> = {
                let content = self.lock();
                let journal = &content.partitions[usize::from(partition.0)].journal;
                let start = journal.partition_point(|blob| blob.end <= from);
                journal.range(start..).take(16).cloned().collect()
            };
            let Some(last) = blobs.last() else {
                return Ok(());
            };
            from = last.end;
            for blob in &blobs {
                debug_assert!(blob.first < blob.end);
                if visit(&blob.bytes).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn cursor(&self, consumer: &str, partition: PartitionId) -> Result<Sequence, StoreError> {
        let key = (consumer.to_owned(), partition);
        Ok(self.lock().cursors.get(&key).copied().unwrap_or_default())
    }

    fn kinds(&self, partition: PartitionId) -> Result<Vec<EntityKind>, StoreError> {
        let content = self.lock();
        let snapshots = content.partitions[usize::from(partition.0)].snapshots.keys();
        let kinds: BTreeSet<EntityKind> = snapshots.map(|(kind, _)| *kind).collect();
        Ok(kinds.into_iter().collect())
    }

    fn cursors(&self, partition: PartitionId) -> Result<Vec<(String, Sequence)>, StoreError> {
        let content = self.lock();
        let own = content.cursors.iter().filter(|((_, of), _)| *of == partition);
        Ok(own
            .map(|((consumer, _), sequence)| (consumer.clone(), *sequence))
            .collect())
    }

    fn dead_letters(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(Sequence, DeadLetter) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let found = self.lock().partitions[usize::from(partition.0)]
            .dead_letters
            .clone();
        for (sequence, letter) in found {
            if visit(sequence, letter).is_break() {
                break;
            }
        }
        Ok(())
    }
}
