//! Building a shard from what is durable: snapshots first, then the journal's tail.

use super::partition::{Dirty, Header, Partition};
use super::{Alarms, Batch, Residents, Shard, ShardError, ShardWiring};
use crate::entity::{Domain, EntityKind};
use crate::journal::{Blob, Entry, Malformed};
use crate::message::{InternalMessage, Origin, Outcome, Sequence};
use crate::placement::PartitionId;
use crate::store::{PartitionState, StoreReader};
use crate::table::{Corrupt, Slot, Tables, is_resident, resident_kinds};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Blobs of a journal that are replayed together.
#[derive(Default)]
struct Stretch {
    blobs: Vec<Vec<u8>>,
    bytes: usize,
}

impl Stretch {
    /// From this size on one more round trip to the store does not count.
    const FULL: usize = 4 << 20;

    fn push(&mut self, blob: &[u8]) {
        self.blobs.push(blob.to_vec());
        self.bytes += blob.len();
    }

    const fn is_full(&self) -> bool {
        self.bytes >= Self::FULL
    }

    fn clear(&mut self) {
        self.blobs.clear();
        self.bytes = 0;
    }
}

impl<D: Domain> Shard<D> {
    /// Builds the shard of some partitions, as the store last saw them.
    ///
    /// # Errors
    /// [`ShardError`] if the store cannot be read or does not fit.
    pub fn recover(
        wiring: ShardWiring<D>,
        states: &[PartitionState],
        reader: Arc<dyn StoreReader>,
    ) -> Result<Self, ShardError> {
        let mut shard = Self {
            partition_index: vec![None; usize::from(wiring.partition_count.get())],
            wiring,
            reader,
            tables: D::Tables::default(),
            partitions: Vec::with_capacity(states.len()),
            pending_sends: 0,
            alarms: Alarms::default(),
            residents: Residents::new(D::Tables::KINDS),
            open: Batch::first(),
            in_flight: VecDeque::new(),
            reload: None,
            spare_buffers: Vec::new(),
            spare_batches: Vec::new(),
            encoded_id: Vec::new(),
            encoded_command: Vec::new(),
        };
        for state in states {
            shard.recover_partition(state)?;
            shard.show_resident(state.partition)?;
        }
        Ok(shard)
    }

    pub(super) fn recover_partition(&mut self, state: &PartitionState) -> Result<(), ShardError> {
        let id = state.partition;
        let header = Header::decode(state.header.as_deref()).map_err(|error| Corrupt {
            kind: "partition",
            what: "header",
            error: error.to_string(),
        })?;
        let partition = Partition::new(state, &header, self.wiring.limits.dedupe_window);
        let local = self.place(id).unwrap_or(self.partitions.len());
        match self.partitions.get_mut(local) {
            Some(empty) => *empty = partition,
            None => self.partitions.push(partition),
        }
        if let Some(place) = self.partition_index.get_mut(usize::from(id.0)) {
            *place = Some(local);
        }
        self.load_resident(id)?;
        self.load_alarms(id)?;
        self.replay_journal(local, &header)
    }

    fn load_resident(&mut self, id: PartitionId) -> Result<(), ShardError> {
        let tables = &mut self.tables;
        let (residents, alarms) = (&mut self.residents, &mut self.alarms);
        for info in resident_kinds::<D>() {
            let mut failure = None;
            self.reader
                .snapshots(id, info.kind, &mut |snapshot| match tables.activate(
                    id,
                    info.kind,
                    snapshot.entity,
                    Some(snapshot),
                ) {
                    Ok(slot) => {
                        if let Some(at) = snapshot.alarm {
                            residents.activated(info.kind, slot, Some(at));
                            alarms.set_active(at, info.kind, slot);
                        }
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                })?;
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn load_alarms(&mut self, id: PartitionId) -> Result<(), ShardError> {
        let (tables, alarms) = (&self.tables, &mut self.alarms);
        self.reader.alarms(id, &mut |at, kind, entity| {
            if tables.find_encoded(kind, entity).is_none() {
                alarms.set_at_rest(at, id, kind, entity.into());
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn replay_journal(&mut self, local: usize, header: &Header) -> Result<(), ShardError> {
        let id = self.partitions[local].id;
        let reader = Arc::clone(&self.reader);
        let mut failure = None;
        let mut next = header.retained_from;
        let mut read = Stretch::default();
        reader.journal(id, header.retained_from, &mut |bytes| {
            read.push(bytes);
            if !read.is_full() {
                return ControlFlow::Continue(());
            }
            match self.replay_stretch(local, header, &mut read, &mut next) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        self.replay_stretch(local, header, &mut read, &mut next)?;
        if next != self.partitions[local].next_sequence {
            return Err(malformed(
                id,
                Malformed("the journal does not reach the sequence that the store names"),
            ));
        }
        Ok(())
    }

    fn replay_stretch(
        &mut self,
        local: usize,
        header: &Header,
        read: &mut Stretch,
        next: &mut Sequence,
    ) -> Result<(), ShardError> {
        let id = self.partitions[local].id;
        self.activate_all(id, header, &read.blobs)?;
        for bytes in &read.blobs {
            self.replay_blob(local, header, bytes, next)?;
        }
        read.clear();
        Ok(())
    }

    /// Brings those entities into memory that the events of these blobs change.
    fn activate_all(
        &mut self,
        id: PartitionId,
        header: &Header,
        blobs: &[Vec<u8>],
    ) -> Result<(), ShardError> {
        let mut resting = BTreeMap::<EntityKind, BTreeSet<&[u8]>>::new();
        for bytes in blobs {
            let blob = Blob::parse(bytes).map_err(|error| malformed(id, error))?;
            for entry in blob.iter() {
                let entry = entry.map_err(|error| malformed(id, error))?;
                if entry.sequence >= header.state_from
                    && entry.has_events()
                    && !is_resident::<D>(entry.kind)
                    && self.tables.find_encoded(entry.kind, entry.entity).is_none()
                {
                    resting.entry(entry.kind).or_default().insert(entry.entity);
                }
            }
        }
        for (kind, entities) in resting {
            self.activate_together(id, kind, &entities.into_iter().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn replay_blob(
        &mut self,
        local: usize,
        header: &Header,
        bytes: &[u8],
        next: &mut Sequence,
    ) -> Result<(), ShardError> {
        let id = self.partitions[local].id;
        let blob = Blob::parse(bytes).map_err(|error| malformed(id, error))?;
        if blob.partition != id {
            return Err(malformed(id, Malformed("an entry of another partition")));
        }
        if blob.first > *next {
            return Err(malformed(id, Malformed("entries are missing")));
        }
        for entry in blob.iter() {
            let entry = entry.map_err(|error| malformed(id, error))?;
            if entry.sequence >= *next {
                self.replay_entry(local, header, &entry)?;
                *next = entry.sequence.next();
            }
        }
        Ok(())
    }

    fn replay_entry(&mut self, local: usize, header: &Header, entry: &Entry<'_>) -> Result<(), ShardError> {
        let partition = &mut self.partitions[local];
        match entry.origin {
            Origin::External(id) => partition.inbox.remember(id, entry.sequence),
            Origin::Entity { from, sequence } => partition.inbox.advance(from, sequence),
            Origin::Alarm => {}
        }
        for send in entry.sends() {
            let message = InternalMessage {
                from: partition.id,
                to: send.to,
                sequence: send.sequence,
                sent_at: entry.at,
                provenance: entry.provenance(),
                kind: send.kind,
                entity: send.entity.into(),
                command: send.command.into(),
            };
            let kept = partition.outbox.push(entry.sequence, Arc::new(message));
            self.pending_sends += usize::from(kept);
        }
        if entry.sequence < header.state_from || !entry.has_events() {
            return Ok(());
        }
        let id = partition.id;
        let slot = match self.tables.find_encoded(entry.kind, entry.entity) {
            Some(slot) => slot,
            None => self.activate(id, entry.kind, entry.entity)?,
        };
        self.residents.touched(entry.kind, slot, entry.at);
        self.replay_events(local, slot, entry)
    }

    fn replay_events(&mut self, local: usize, slot: Slot, entry: &Entry<'_>) -> Result<(), ShardError> {
        let before = self.tables.alarm(entry.kind, slot);
        let became_dirty = self
            .tables
            .replay(entry.kind, slot, entry.sequence, entry.events())?;
        if became_dirty {
            let dirty = Dirty {
                since: entry.sequence,
                kind: entry.kind,
                slot,
            };
            self.partitions[local].dirty.push_back(dirty);
        }
        if let Some(at) = self.tables.alarm(entry.kind, slot)
            && before != Some(at)
        {
            self.alarms.set_active(at, entry.kind, slot);
        }
        Ok(())
    }

    /// Publishes the views of everything resident.
    fn show_resident(&mut self, id: PartitionId) -> Result<(), ShardError> {
        for info in resident_kinds::<D>() {
            for number in self.residents.unseen(info.kind, self.tables.slots(info.kind)) {
                debug_assert_eq!(self.tables.partition(info.kind, Slot::at(number)), Some(id));
                if let Some(view) = self.tables.view(info.kind, Slot::at(number)) {
                    D::publish(&self.wiring.reference, view);
                }
            }
        }
        Ok(())
    }

    /// Reads one entity back from its snapshot and the journal.
    pub(super) fn recover_entity(
        &mut self,
        local: usize,
        kind: EntityKind,
        entity: &[u8],
    ) -> Result<Slot, ShardError> {
        let id = self.partitions[local].id;
        let reader = Arc::clone(&self.reader);
        let mut restored = None;
        let tables = &mut self.tables;
        reader.snapshot(id, kind, entity, &mut |snapshot| {
            restored = Some(tables.activate(id, kind, entity, Some(snapshot)));
        })?;
        let slot = match restored {
            Some(slot) => slot?,
            None => self.tables.activate(id, kind, entity, None)?,
        };
        let from = self.partitions[local].retained_from;
        let mut failure = None;
        reader.journal(id, from, &mut |bytes| {
            let replayed = Blob::parse(bytes)
                .map_err(|error| malformed(id, error))
                .and_then(|blob| {
                    for entry in blob.iter() {
                        let entry = entry.map_err(|error| malformed(id, error))?;
                        if entry.kind == kind && entry.entity == entity && entry.has_events() {
                            self.replay_events(local, slot, &entry)?;
                        }
                    }
                    Ok(())
                });
            match replayed {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        self.partitions[local]
            .dirty
            .make_contiguous()
            .sort_by_key(|dirty| dirty.since);
        failure.map_or(Ok(slot), Err)
    }

    /// What the entry that took a message answered, for a repeat of it.
    pub(super) fn answer_of(
        &self,
        partition: PartitionId,
        sequence: Sequence,
    ) -> Result<Outcome<D::Reply>, ShardError> {
        let mut answer = Ok(Outcome::Repeated);
        self.reader.journal(partition, sequence, &mut |bytes| {
            answer = answer_in(bytes, sequence).map_err(|error| malformed(partition, error));
            ControlFlow::Break(())
        })?;
        answer
    }
}

fn answer_in<R: serde::de::DeserializeOwned>(
    bytes: &[u8],
    sequence: Sequence,
) -> Result<Outcome<R>, Malformed> {
    for entry in Blob::parse(bytes)?.iter() {
        let entry = entry?;
        if entry.sequence != sequence {
            continue;
        }
        if entry.is_dead_letter {
            return Ok(Outcome::DeadLettered {
                reason: "an earlier delivery was dead-lettered".to_owned(),
            });
        }
        return match entry.reply {
            None => Ok(Outcome::Repeated),
            Some(reply) => rmp_serde::from_slice(reply)
                .map(|reply| Outcome::Done {
                    reply,
                    repeated: true,
                })
                .map_err(|_| Malformed("a reply cannot be read")),
        };
    }
    Ok(Outcome::Repeated)
}

fn malformed(partition: PartitionId, error: Malformed) -> ShardError {
    ShardError::Malformed { partition, error }
}
