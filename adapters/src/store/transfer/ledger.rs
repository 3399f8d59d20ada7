//! A store that is read as a whole to be dealt out anew: that it is settled, the ids that it remembers, the states of its entities.

use super::TransferError;
use super::repartition::{place_of, remembered};
use super::walk::go_on;
use lockstep_actors::domain::Distributor;
use lockstep_actors::letters::DeadLetters;
use lockstep_actors::reference::Reference;
use lockstep_runtime::entity::{Entity, EntityKind};
use lockstep_runtime::journal::{Blob, Entry, begin_blob};
use lockstep_runtime::message::{Origin, Sequence};
use lockstep_runtime::metrics::ShardCounters;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::{ConsumerProgress, Shard, ShardError, ShardLimits, ShardWiring, Streams};
use lockstep_runtime::store::{
    Claim, Epoch, PartitionState, SnapshotRecord, SnapshotRef, Store, StoreError, StoreReader, is_consumer,
};
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// What is known of a store that is settled.
pub(super) struct Ledger {
    reader: Arc<dyn StoreReader>,
    partitions: PartitionCount,
    pub(super) states: Vec<PartitionState>,
    /// Above every sequence of the store.
    pub(super) first: Sequence,
    /// Who reads its journals.
    pub(super) consumers: BTreeSet<String>,
    /// By partition of so many as it is to be dealt out into: the newest ids.
    windows: BTreeMap<PartitionId, Vec<Remembered>>,
}

/// A message from outside that was taken, as an entry without events in a blob of its own.
pub(super) struct Remembered {
    at: Timestamp,
    partition: PartitionId,
    sequence: Sequence,
    blob: Vec<u8>,
}

impl Remembered {
    fn order(&self) -> (Timestamp, PartitionId, Sequence) {
        (self.at, self.partition, self.sequence)
    }

    /// Hands it to `read`.
    pub(super) fn read(
        &self,
        read: impl FnOnce(&Entry<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged(error.to_string());
        let blob = Blob::parse(&self.blob).map_err(|error| damaged(&error))?;
        let entry = blob
            .iter()
            .next()
            .ok_or_else(|| damaged(&"an entry is missing"))?;
        read(&entry.map_err(|error| damaged(&error))?)
    }
}

/// Nobody reads the journals of a store that is not served.
struct Nobody;

impl ConsumerProgress for Nobody {
    fn consumed(&self, _: PartitionId) -> Sequence {
        Sequence(u64::MAX - 1)
    }
}

impl Ledger {
    /// Takes the partitions, so that nobody else writes, and reads everything but the states.
    ///
    /// # Errors
    /// [`TransferError::Unsettled`] with what is to be waited for.
    pub(super) fn read(
        store: &mut dyn Store,
        dealt_into: PartitionCount,
        without: &[String],
    ) -> Result<Self, TransferError> {
        let partitions = store.partition_count();
        let claims: Vec<Claim> = partitions.all().map(Claim::alone).collect();
        let states = store.acquire(&claims)?;
        let newest = states.iter().map(|state| state.next_sequence).max();
        let mut ledger = Self {
            reader: store.reader(),
            partitions,
            states,
            first: newest.unwrap_or(Sequence(1)),
            consumers: BTreeSet::new(),
            windows: BTreeMap::new(),
        };
        for state in ledger.states.clone() {
            ledger.read_cursors_and_journal(&state, dealt_into, without)?;
            ledger.check_letters(&state)?;
        }
        ledger.check_streams()?;
        Ok(ledger)
    }

    /// The newest ids of a partition, the oldest of them first.
    pub(super) fn of(&self, partition: PartitionId) -> Vec<&Remembered> {
        let mut window: Vec<_> = self.windows.get(&partition).into_iter().flatten().collect();
        window.sort_unstable_by_key(|remembered| remembered.order());
        let most = ShardLimits::default().dedupe_window;
        window.split_off(window.len().saturating_sub(most))
    }

    /// How many ids there are in all.
    pub(super) fn remembered(&self) -> u64 {
        let most = ShardLimits::default().dedupe_window;
        self.windows
            .values()
            .map(|window| window.len().min(most) as u64)
            .sum()
    }

    /// Hands every entity of a partition to `visit`.
    pub(super) fn entities(
        &self,
        state: &PartitionState,
        visit: &mut dyn FnMut(SnapshotRecord) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let mut failed = Ok(());
        let shard = self.shard(state)?;
        let visited = shard.entities(state.partition, &mut |entity| {
            failed = visit(entity);
            go_on(&failed)
        });
        failed?;
        visited.map_err(unreadable)
    }

    /// Hands every snapshot of a partition to `visit`, as it lies in the store.
    pub(super) fn snapshots(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(EntityKind, SnapshotRef<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        for kind in self.reader.kinds(partition)? {
            let mut failed = Ok(());
            self.reader.snapshots(partition, kind, &mut |snapshot| {
                failed = visit(kind, snapshot);
                go_on(&failed)
            })?;
            failed?;
        }
        Ok(())
    }

    fn shard(&self, state: &PartitionState) -> Result<Shard<Distributor>, TransferError> {
        let wiring = ShardWiring {
            partition_count: self.partitions,
            reference: Arc::new(Reference::default()),
            consumers: Arc::new(Nobody),
            limits: ShardLimits::default(),
            counters: Arc::new(ShardCounters::default()),
        };
        let states = std::slice::from_ref(state);
        Shard::recover(wiring, states, Arc::clone(&self.reader)).map_err(unreadable)
    }

    /// What a consumer has not read must not say anything, for it would not be read any more.
    fn read_cursors_and_journal(
        &mut self,
        state: &PartitionState,
        dealt_into: PartitionCount,
        without: &[String],
    ) -> Result<(), TransferError> {
        let partition = state.partition;
        let mut cursors = self.reader.cursors(partition)?;
        cursors.retain(|(consumer, _)| is_consumer(consumer) && !without.contains(consumer));
        self.consumers
            .extend(cursors.iter().map(|(consumer, _)| consumer.clone()));
        let (reader, mut last, mut failed) = (Arc::clone(&self.reader), Sequence(0), Ok(()));
        reader.journal(partition, Sequence(0), &mut |bytes| {
            failed = each_entry(partition, bytes, &mut |entry| {
                if entry.has_events() || entry.outbound().next().is_some() {
                    last = entry.sequence;
                }
                self.remember(partition, dealt_into, entry)
            });
            go_on(&failed)
        })?;
        failed?;
        match cursors.into_iter().find(|(_, read)| *read < last) {
            None => Ok(()),
            Some((consumer, read)) => Err(TransferError::Unsettled(format!(
                "{consumer} has read partition {} up to entry {} and not yet {}",
                partition.0, read.0, last.0
            ))),
        }
    }

    fn remember(
        &mut self,
        partition: PartitionId,
        dealt_into: PartitionCount,
        entry: &Entry<'_>,
    ) -> Result<(), TransferError> {
        if !matches!(entry.origin, Origin::External(_)) {
            return Ok(());
        }
        let place = place_of(dealt_into, entry.kind, entry.entity)?;
        let mut blob = Vec::new();
        begin_blob(&mut blob, place, Epoch(0), entry.sequence);
        remembered(&mut blob, entry)?;
        blob.shrink_to_fit();
        let window = self.windows.entry(place).or_default();
        window.push(Remembered {
            at: entry.at,
            partition,
            sequence: entry.sequence,
            blob,
        });
        let most = ShardLimits::default().dedupe_window;
        if window.len() >= 2 * most {
            window.sort_unstable_by_key(Remembered::order);
            window.drain(..window.len() - most);
        }
        Ok(())
    }

    /// A dead letter is known by its place in the store, so that it must lie on the desk, which keeps it.
    fn check_letters(&self, state: &PartitionState) -> Result<(), TransferError> {
        let (partition, mut alone) = (state.partition, 0_u64);
        let mut failed = Ok(());
        self.reader.dead_letters(partition, &mut |sequence, _| {
            match self.lies_on_the_desk(&format!("{}-{}", partition.0, sequence.0)) {
                Ok(lies) => alone += u64::from(!lies),
                Err(error) => failed = Err(error),
            }
            go_on(&failed)
        })?;
        failed?;
        if alone == 0 {
            return Ok(());
        }
        Err(TransferError::Unsettled(format!(
            "{alone} dead letters of partition {} have not been taken onto the desk; `lockstep dlq list` does that",
            partition.0
        )))
    }

    fn lies_on_the_desk(&self, letter: &str) -> Result<bool, TransferError> {
        let mut lies = false;
        let place = self.partitions.partition_of(letter.as_bytes());
        self.reader
            .snapshot(place, DeadLetters::KIND, letter.as_bytes(), &mut |_| lies = true)?;
        if lies {
            return Ok(true);
        }
        // It may have been taken there since that partition's last snapshots.
        self.reader.journal(place, Sequence(0), &mut |bytes| {
            let read = each_entry(place, bytes, &mut |entry| {
                lies |= entry.kind == DeadLetters::KIND && entry.entity == letter.as_bytes();
                Ok(())
            });
            if read.is_ok() && !lies {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(lies)
    }

    fn check_streams(&self) -> Result<(), TransferError> {
        let mut streams = BTreeMap::<PartitionId, Streams>::new();
        for state in &self.states {
            streams.insert(state.partition, self.shard(state)?.streams(state.partition));
        }
        for (from, of) in &streams {
            for (to, sent) in &of.sent {
                let taken = streams.get(to).and_then(|to| to.taken.get(from)).copied();
                let taken = taken.unwrap_or_default();
                if taken < *sent {
                    return Err(TransferError::Unsettled(format!(
                        "partition {} has sent {sent} messages to partition {}, which has taken {taken}",
                        from.0, to.0
                    )));
                }
            }
        }
        Ok(())
    }
}

fn each_entry(
    partition: PartitionId,
    bytes: &[u8],
    visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("the journal of partition {}: {error}", partition.0))
    };
    for entry in Blob::parse(bytes).map_err(|error| damaged(&error))?.iter() {
        visit(&entry.map_err(|error| damaged(&error))?)?;
    }
    Ok(())
}

fn unreadable(error: ShardError) -> TransferError {
    match error {
        ShardError::Store(error) => error.into(),
        ShardError::Corrupt(_) | ShardError::Malformed { .. } | ShardError::Pending(_) => {
            StoreError::Damaged(error.to_string()).into()
        }
    }
}

/// The states of many entities as one number, in whatever order they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StateSum {
    pub(super) entities: u64,
    sum: u128,
}

impl StateSum {
    pub(super) fn add(&mut self, kind: EntityKind, entity: &[u8], alarm: Option<Timestamp>, state: &[u8]) {
        let mut hasher = Xxh3::new();
        hasher.update(&[kind.0]);
        hasher.update(&(entity.len() as u64).to_le_bytes());
        hasher.update(entity);
        hasher.update(&alarm.map_or(i64::MIN, Timestamp::as_millis).to_le_bytes());
        hasher.update(state);
        self.entities += 1;
        self.sum = self.sum.wrapping_add(hasher.digest128());
    }

    pub(super) fn digest(&self) -> String {
        format!("{:032x} of {} entities", self.sum, self.entities)
    }
}
