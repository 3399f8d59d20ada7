//! Read models of partitions that other nodes write, from what is durable.
//!
//! A follower reads the snapshots of a partition's resident entities and then its journal, again and again, and publishes
//! the same views as the shard that writes it, only later. It decides nothing. Views carry their sequence, so that a
//! late one does no harm. Whoever reads all partitions is given an entry of another node once what it means is published.

use crate::entity::{Domain, EntityKind};
use crate::ingress::Ingress;
use crate::journal::Blob;
use crate::message::Sequence;
use crate::placement::PartitionId;
use crate::store::{StoreError, StoreReader};
use crate::table::{Corrupt, Slot, Tables, is_resident, resident_kinds};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// How often a partition is read anew that is trimmed while it is read.
const ATTEMPTS: usize = 5;

/// Follows partitions: see the module.
pub struct Follower<D: Domain> {
    tables: D::Tables,
    node: Ingress<D>,
    /// The sequence of the next entry to be read, for each partition that is followed.
    next: BTreeMap<PartitionId, Sequence>,
}

fn corrupt(error: &Corrupt) -> StoreError {
    StoreError::Damaged(error.to_string())
}

impl<D: Domain> Follower<D> {
    /// One that follows nothing yet, for the read models of a node.
    #[must_use]
    pub fn new(node: Ingress<D>) -> Self {
        Self {
            tables: D::Tables::default(),
            node,
            next: BTreeMap::new(),
        }
    }

    /// Looks at all partitions of other nodes: of each, `ends` says the sequence of its next entry. Then the read models show all that
    /// was committed when it began.
    ///
    /// # Errors
    /// If the store cannot be read; it can be tried again.
    pub fn pass(
        &mut self,
        reader: &dyn StoreReader,
        ends: impl FnOnce() -> Result<Vec<(PartitionId, Sequence)>, StoreError>,
    ) -> Result<(), StoreError> {
        let pass = self.node.feeds().begin_pass();
        for (partition, end) in ends()? {
            if self.node.places().is_away(partition) {
                self.read(reader, partition, end)?;
            } else {
                self.forget(partition);
            }
        }
        self.node.feeds().end_pass(pass);
        Ok(())
    }

    /// Reads on in a partition whose next entry will be `end`, and publishes what has changed.
    ///
    /// # Errors
    /// If the store cannot be read; it can be tried again.
    pub fn read(
        &mut self,
        reader: &dyn StoreReader,
        partition: PartitionId,
        end: Sequence,
    ) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            if self.next.get(&partition) == Some(&end) {
                return Ok(());
            }
            let next = match self.next.get(&partition) {
                Some(next) => *next,
                None => self.load(reader, partition)?,
            };
            if self.read_on(reader, partition, next)?.is_continue() {
                return Ok(());
            }
            self.forget(partition);
        }
        let place = partition.0;
        Err(StoreError::Failed(format!(
            "the journal of partition {place} is trimmed faster than it can be read"
        )))
    }

    /// Forgets a partition.
    pub fn forget(&mut self, partition: PartitionId) {
        if self.next.remove(&partition).is_none() {
            return;
        }
        for info in D::Tables::KINDS {
            for slot in (0..self.tables.slots(info.kind)).map(Slot::at) {
                if self.tables.partition(info.kind, slot) == Some(partition) {
                    self.tables.remove(info.kind, slot);
                }
            }
        }
    }

    /// Reads the snapshots and publishes them. Says from where on the journal has to be read.
    fn load(&mut self, reader: &dyn StoreReader, partition: PartitionId) -> Result<Sequence, StoreError> {
        // Before the snapshots, so that no entry falls between them and the journal unnoticed.
        let start = first(reader, partition)?;
        self.next.insert(partition, start);
        let mut touched = BTreeSet::new();
        for info in resident_kinds::<D>() {
            let (tables, mut failure) = (&mut self.tables, None);
            reader.snapshots(partition, info.kind, &mut |snapshot| match tables.activate(
                partition,
                info.kind,
                snapshot.entity,
                Some(snapshot),
            ) {
                Ok(slot) => {
                    touched.insert((info.kind, slot));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            })?;
            if let Some(error) = failure {
                return Err(corrupt(&error));
            }
        }
        self.publish(touched);
        Ok(start)
    }

    /// Breaks if entries are missing that have been trimmed.
    fn read_on(
        &mut self,
        reader: &dyn StoreReader,
        partition: PartitionId,
        from: Sequence,
    ) -> Result<ControlFlow<()>, StoreError> {
        let (mut next, mut touched, mut failure) = (from, BTreeSet::new(), None);
        let mut is_whole = ControlFlow::Continue(());
        reader.journal(partition, from, &mut |bytes| match self.take(
            partition,
            bytes,
            &mut next,
            &mut touched,
        ) {
            Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
            Ok(ControlFlow::Break(())) => {
                is_whole = ControlFlow::Break(());
                ControlFlow::Break(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })?;
        self.next.insert(partition, next);
        self.publish(touched);
        if failure.is_none() {
            self.node.feeds().followed(partition, next);
        }
        failure.map_or(Ok(is_whole), Err)
    }

    fn take(
        &mut self,
        partition: PartitionId,
        bytes: &[u8],
        next: &mut Sequence,
        touched: &mut BTreeSet<(EntityKind, Slot)>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let damaged = |error: crate::journal::Malformed| StoreError::Damaged(error.to_string());
        let blob = Blob::parse(bytes).map_err(damaged)?;
        if blob.first > *next {
            return Ok(ControlFlow::Break(()));
        }
        for entry in blob.iter() {
            let entry = entry.map_err(damaged)?;
            if entry.sequence < *next {
                continue;
            }
            *next = entry.sequence.next();
            if !entry.has_events() || !is_resident::<D>(entry.kind) {
                continue;
            }
            let slot = match self.tables.find_encoded(entry.kind, entry.entity) {
                Some(slot) => slot,
                None => self
                    .tables
                    .activate(partition, entry.kind, entry.entity, None)
                    .map_err(|error| corrupt(&error))?,
            };
            self.tables
                .replay(entry.kind, slot, entry.sequence, entry.events())
                .map_err(|error| corrupt(&error))?;
            touched.insert((entry.kind, slot));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn publish(&self, touched: BTreeSet<(EntityKind, Slot)>) {
        for (kind, slot) in touched {
            if let Some(view) = self.tables.view(kind, slot) {
                D::publish(self.node.reference(), view);
            }
        }
    }
}

/// The first entry that the journal still has; the first of all if it has none.
fn first(reader: &dyn StoreReader, partition: PartitionId) -> Result<Sequence, StoreError> {
    let mut first = Ok(Sequence(1));
    reader.journal(partition, Sequence(0), &mut |bytes| {
        first = Blob::parse(bytes)
            .map(|blob| blob.first)
            .map_err(|error| StoreError::Damaged(error.to_string()));
        ControlFlow::Break(())
    })?;
    first
}
