//! A shard without its thread: one writer over some partitions, driven by calls.
//!
//! It takes messages in, decides them into the open batch, and hands batches to the store one after the other. While one
//! is synced the next is decided. What a batch owes to the outside (answers, messages, views) is released only when the
//! batch is durable, in the order of batches. It reads no clock and waits for nothing, so that the simulation can drive
//! it as well as a thread.
//!
//! Invariants:
//! - a partition's entries have dense sequences; the open batch continues where the last closed one ended;
//! - state includes everything decided, also what is not yet durable; nothing outside has seen more than what is;
//! - a panic in `decide` leaves the state untouched and costs that message; a panic in `apply` costs the entity a reload.

mod alarms;
mod at_rest;
mod batch;
mod commit;
mod dead_letter;
mod decide;
mod moving;
mod partition;
mod passivation;
mod recovery;
mod reload;
mod wake;

pub use at_rest::Streams;
pub use batch::{Acknowledgement, Released};
pub use partition::{settled_header, shifted_header};

use crate::entity::{AddressedMessage, Context, Domain, EntityKind};
use crate::inbox::StreamPlace;
use crate::journal::Malformed;
use crate::message::{Delivery, Envelope, InternalMessage, Origin, Outcome, Responder, Sequence};
use crate::metrics::{ShardCounters, count};
use crate::placement::{PartitionCount, PartitionId};
use crate::store::{DeadLetter, StoreError, StoreReader};
use crate::table::{Corrupt, Slot, Tables, is_resident};
use crate::time::Timestamp;
use alarms::Alarms;
use batch::{Answer, Batch};
use decide::panic_text;
use partition::Partition;
use passivation::Residents;
use reload::Reload;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What bounds a shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardLimits {
    /// The most entries in one batch.
    pub batch_entries: usize,
    /// The most journal bytes in one batch, checked after each entry.
    pub batch_bytes: usize,
    /// How many message ids from outside each partition remembers.
    pub dedupe_window: usize,
    /// How many entries of a partition an entity's snapshot may lie behind.
    pub journal_tail: u64,
    /// How many entries must be trimmed from the journal, or need not be applied any more when it is read, before a partition's
    /// header is written, which says so.
    pub trim_step: u64,
    /// How often a message is tried before it is dead-lettered.
    pub attempts: u32,
    /// The most messages to other entities that may be under way before messages from outside have to wait.
    pub outbox: usize,
    /// How long an entity that may leave memory stays after its last message.
    pub idle: Duration,
    /// About how many bytes such entities may take altogether.
    pub memory_budget: usize,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self {
            batch_entries: 2048,
            batch_bytes: 4 << 20,
            dedupe_window: 16_384,
            journal_tail: 4096,
            trim_step: 512,
            attempts: 3,
            outbox: 65_536,
            idle: Duration::from_secs(300),
            memory_budget: 256 << 20,
        }
    }
}

/// Why a shard must be thrown away and built anew from what is durable, or cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds bytes that the domain cannot read.
    #[error("the store does not fit this version: {0}")]
    Corrupt(#[from] Corrupt),
    /// The store holds bytes that are no journal.
    #[error("partition {} of the store is damaged: {error}", .partition.0)]
    Malformed {
        /// Whose journal.
        partition: PartitionId,
        /// What is wrong.
        error: Malformed,
    },
    /// A partition was acquired anew while something waited to be stored that was decided before: what of it is durable is only
    /// known from the store.
    #[error("partition {} was acquired anew while decisions for it waited to be stored", .0.0)]
    Pending(PartitionId),
}

/// Tells how far every consumer of a partition has read, so that the journal is kept for them.
pub trait ConsumerProgress: Send + Sync {
    /// The last entry that every consumer is done with; [`u64::MAX`] if there is no consumer.
    fn consumed(&self, partition: PartitionId) -> Sequence;
}

/// Everything a shard is built from.
pub struct ShardWiring<D: Domain> {
    /// How many partitions there are in all.
    pub partition_count: PartitionCount,
    /// The shared read models.
    pub reference: Arc<D::Reference>,
    /// How far consumers have read.
    pub consumers: Arc<dyn ConsumerProgress>,
    /// Bounds.
    pub limits: ShardLimits,
    /// Counters to keep.
    pub counters: Arc<ShardCounters>,
}

impl<D: Domain> Clone for ShardWiring<D> {
    fn clone(&self) -> Self {
        Self {
            partition_count: self.partition_count,
            reference: Arc::clone(&self.reference),
            consumers: Arc::clone(&self.consumers),
            limits: self.limits,
            counters: Arc::clone(&self.counters),
        }
    }
}

/// A shard: see the module.
pub struct Shard<D: Domain> {
    wiring: ShardWiring<D>,
    reader: Arc<dyn StoreReader>,
    tables: D::Tables,
    /// By [`PartitionId`]; `None` for those of other shards.
    partition_index: Vec<Option<usize>>,
    partitions: Vec<Partition>,
    /// Of all partitions: asked for each message.
    pending_sends: usize,
    alarms: Alarms,
    residents: Residents,
    open: Batch<D>,
    in_flight: VecDeque<Batch<D>>,
    reload: Option<Reload<D>>,
    spare_buffers: Vec<Vec<u8>>,
    /// Empty, with the room that they once needed.
    spare_batches: Vec<Batch<D>>,
    encoded_id: Vec<u8>,
    encoded_command: Vec<u8>,
}

impl<D: Domain> Shard<D> {
    /// The partition of a routing key, if it is this shard's.
    fn local(&self, partition: PartitionId) -> Option<usize> {
        self.partition_index
            .get(usize::from(partition.0))
            .copied()
            .flatten()
    }

    /// Whether a message from outside has to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_closed() || self.pending_sends() >= self.wiring.limits.outbox
    }

    /// Whether no message at all can be taken until a batch has been closed and become durable.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let limits = &self.wiring.limits;
        self.reload.is_some()
            || self.open.entries >= limits.batch_entries
            || self.open.answers.len() >= limits.batch_entries * 4
            || self.open.bytes >= limits.batch_bytes
    }

    /// How many messages to other entities are under way.
    #[must_use]
    pub fn pending_sends(&self) -> usize {
        self.pending_sends
    }

    /// How many batches are being stored.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many entries the open batch holds.
    #[must_use]
    pub fn open_entries(&self) -> usize {
        self.open.entries
    }

    /// Whether nothing that was taken in waits to be stored or told.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_empty() && self.reload.is_none()
    }

    /// When the next alarm may be due.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.next()
    }

    /// Touches what the next deliveries need: their places in inbox and table, and the snapshots of what rests. Decides nothing.
    /// With millions of entities each of these lies outside the processor's caches, and a snapshot may be a round trip away; asked
    /// for one after the other they are waited for one after the other, asked for together they come together.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew. A snapshot that cannot be read costs the messages for it alone, once they are
    /// handled.
    pub fn look_ahead<'a>(
        &mut self,
        deliveries: impl IntoIterator<Item = &'a Delivery<D>>,
    ) -> Result<(), ShardError> {
        let mut resting = BTreeMap::<(PartitionId, EntityKind), BTreeSet<Vec<u8>>>::new();
        for Delivery { envelope, .. } in deliveries {
            let message = &envelope.message;
            let target = self.wiring.partition_count.partition_of(message.routing_key());
            if let Some(partition) = self.local(target) {
                let repeated = self.partitions[partition].inbox.entry_of(envelope.id).is_some();
                let here = self.tables.find(message).is_some();
                if !repeated && !here && !is_resident::<D>(message.kind()) {
                    let mut entity = Vec::new();
                    message.encode_id(&mut entity);
                    resting
                        .entry((target, message.kind()))
                        .or_default()
                        .insert(entity);
                }
            }
        }
        for ((partition, kind), entities) in &resting {
            let entities: Vec<&[u8]> = entities.iter().map(Vec::as_slice).collect();
            if let Err(reason) = readable(self.activate_together(*partition, *kind, &entities))? {
                tracing::debug!(reason, "one of several entities");
            }
        }
        Ok(())
    }

    /// Takes a message from outside.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn handle(&mut self, delivery: Delivery<D>, now: Timestamp) -> Result<(), ShardError> {
        let Delivery { envelope, responder } = delivery;
        let target = self
            .wiring
            .partition_count
            .partition_of(envelope.message.routing_key());
        let Some(partition) = self.local(target) else {
            // It has just moved; the responder says "unavailable" and the message comes again.
            tracing::debug!(partition = target.0, "a message for a partition of another shard");
            return Ok(());
        };
        if envelope.message.is_query() {
            return self.query(partition, &envelope, responder, now);
        }
        if let Some(entry) = self.partitions[partition].inbox.entry_of(envelope.id) {
            count(&self.wiring.counters.repeated, 1);
            if responder.is_awaited() {
                self.open
                    .answers
                    .push((responder, Answer::OfEntry(target, entry)));
            }
            return Ok(());
        }
        if envelope.message.is_comparison() {
            let slot = readable(self.slot_of(partition, &envelope.message))?;
            if let Some(reply) = slot.ok().and_then(|slot| self.ask(slot, &envelope, now).ok()) {
                self.open.answers.push((responder, Answer::Ready(done(reply))));
                return Ok(());
            }
        }
        self.process(
            partition,
            Origin::External(envelope.id),
            &envelope,
            responder,
            now,
        )
    }

    /// Takes a message from another entity.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn handle_internal(&mut self, message: &InternalMessage, now: Timestamp) -> Result<(), ShardError> {
        let Some(partition) = self.local(message.to) else {
            tracing::debug!(partition = message.to.0, "an internal message for another shard");
            return Ok(());
        };
        match self.partitions[partition]
            .inbox
            .place(message.from, message.sequence)
        {
            StreamPlace::Early => return Ok(()),
            StreamPlace::Repeated => {
                self.acknowledge(message.from, message.to, message.sequence);
                return Ok(());
            }
            StreamPlace::Next => {}
        }
        let origin = Origin::Entity {
            from: message.from,
            sequence: message.sequence,
        };
        match D::Message::decode(message.kind, &message.entity, &message.command) {
            Ok(command) => {
                let id = crate::message::MessageId(0);
                let envelope = Envelope {
                    id,
                    provenance: message.provenance.clone(),
                    message: command,
                };
                self.process(partition, origin, &envelope, Responder::nobody(), now)
            }
            Err(reason) => {
                let letter = DeadLetter {
                    at: now,
                    reason,
                    source: message.provenance.source.to_string(),
                    correlation: message.provenance.correlation.to_string(),
                    kind: message.kind,
                    entity: message.entity.to_vec(),
                    command: message.command.to_vec(),
                    origin: Some(origin),
                };
                self.record_dead_letter(partition, origin, &message.provenance, letter);
                Ok(())
            }
        }
    }

    /// The sender may forget a message once the batch is durable that holds its entry, and not before.
    fn acknowledge(&mut self, from: PartitionId, to: PartitionId, sequence: u64) {
        self.open
            .released
            .acknowledgements
            .push(Acknowledgement { from, to, sequence });
    }

    /// Notes that another partition has durably taken a stream up to a number.
    pub fn acknowledged(&mut self, acknowledgement: Acknowledgement) {
        if let Some(partition) = self.local(acknowledgement.from) {
            self.pending_sends -= self.partitions[partition]
                .outbox
                .acknowledge(acknowledgement.to, acknowledgement.sequence);
        }
    }

    /// All messages for partitions that `wanted` accepts which have not been acknowledged, for sending again. Messages of
    /// batches that are not durable yet are not among them.
    pub fn unacknowledged(&self, wanted: impl Fn(PartitionId) -> bool + Copy) -> Vec<Arc<InternalMessage>> {
        let durable = |partition: &Partition| {
            let open = partition.open_part.and_then(|part| self.open.parts.get(part));
            let in_flight = self.in_flight.iter().flat_map(|batch| &batch.parts);
            in_flight
                .chain(open)
                .filter(|part| self.partitions[part.partition].id == partition.id)
                .map(|part| part.first_sequence)
                .min()
                .unwrap_or(partition.next_sequence)
        };
        self.partitions
            .iter()
            .flat_map(|partition| partition.outbox.unacknowledged(wanted, durable(partition)))
            .collect()
    }

    fn activate(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
    ) -> Result<Slot, ShardError> {
        let mut activated = None;
        let mut snapshot_alarm = None;
        if !is_resident::<D>(kind) {
            let tables = &mut self.tables;
            self.reader.snapshot(partition, kind, entity, &mut |snapshot| {
                snapshot_alarm = snapshot.alarm;
                activated = Some(tables.activate(partition, kind, entity, Some(snapshot)));
            })?;
        }
        let slot = match activated {
            Some(slot) => slot?,
            None => self.tables.activate(partition, kind, entity, None)?,
        };
        self.activated(kind, slot, entity, snapshot_alarm);
        Ok(slot)
    }

    /// Brings entities into memory that are not: all that have a snapshot at once.
    fn activate_together(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entities: &[&[u8]],
    ) -> Result<(), ShardError> {
        let reader = Arc::clone(&self.reader);
        let mut failure = None;
        reader.snapshots_of(partition, kind, entities, &mut |snapshot| {
            let activated = self
                .tables
                .activate(partition, kind, snapshot.entity, Some(snapshot));
            match activated {
                Ok(slot) => self.activated(kind, slot, snapshot.entity, snapshot.alarm),
                Err(error) => failure = Some(error),
            }
        })?;
        // Which of the others has none is not known then.
        if let Some(error) = failure {
            return Err(error.into());
        }
        for entity in entities {
            if self.tables.find_encoded(kind, entity).is_none() {
                let slot = self.tables.activate(partition, kind, entity, None)?;
                self.activated(kind, slot, entity, None);
            }
        }
        Ok(())
    }

    /// An entity has come into memory.
    fn activated(&mut self, kind: EntityKind, slot: Slot, entity: &[u8], snapshot_alarm: Option<Timestamp>) {
        if let Some(at) = snapshot_alarm {
            self.alarms.clear_at_rest(at, kind, entity);
            self.alarms.set_active(at, kind, slot);
        }
        self.residents.activated(kind, slot, snapshot_alarm);
        count(&self.wiring.counters.activations, 1);
    }

    fn slot_of(&mut self, partition: usize, message: &D::Message) -> Result<Slot, ShardError> {
        if let Some(slot) = self.tables.find(message) {
            return Ok(slot);
        }
        let mut entity = std::mem::take(&mut self.encoded_id);
        entity.clear();
        message.encode_id(&mut entity);
        let id = self.partitions[partition].id;
        let slot = self.activate(id, message.kind(), &entity);
        self.encoded_id = entity;
        slot
    }

    /// Answers a question from the present state once everything it saw is durable.
    fn query(
        &mut self,
        partition: usize,
        envelope: &Envelope<D>,
        responder: Responder<D::Reply>,
        now: Timestamp,
    ) -> Result<(), ShardError> {
        let outcome = match readable(self.slot_of(partition, &envelope.message))? {
            Ok(slot) => self.answer(slot, envelope, now),
            Err(reason) => Outcome::DeadLettered { reason },
        };
        self.open.answers.push((responder, Answer::Ready(outcome)));
        Ok(())
    }

    fn answer(&mut self, slot: Slot, envelope: &Envelope<D>, now: Timestamp) -> Outcome<D::Reply> {
        match self.ask(slot, envelope, now) {
            Ok(reply) => done(reply),
            Err(reason) => {
                tracing::error!(reason, "a question cannot be answered");
                Outcome::DeadLettered { reason }
            }
        }
    }

    /// What an entity answers without changing anything; else why it does not.
    fn ask(&mut self, slot: Slot, envelope: &Envelope<D>, now: Timestamp) -> Result<D::Reply, String> {
        self.residents.touched(envelope.message.kind(), slot, now);
        let context = Context {
            now,
            provenance: &envelope.provenance,
            origin: Origin::External(envelope.id),
            reference: &*self.wiring.reference,
        };
        let tables = &self.tables;
        let answer = catch_unwind(AssertUnwindSafe(|| tables.ask(slot, &envelope.message, &context)));
        match answer {
            Ok(answered) => answered.map_err(|error| error.to_string()),
            Err(panic) => Err(panic_text(&*panic)),
        }
    }
}

fn done<R>(reply: R) -> Outcome<R> {
    Outcome::Done {
        reply,
        repeated: false,
    }
}

/// An entity at rest whose snapshot cannot be read costs the message that wanted it, with this reason, not the shard and
/// its neighbours. Nothing else is known of it than the snapshot, so nothing is repaired.
fn readable<T>(read: Result<T, ShardError>) -> Result<Result<T, String>, ShardError> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(
            error @ (ShardError::Corrupt(_)
            | ShardError::Malformed { .. }
            | ShardError::Store(StoreError::Damaged(_))),
        ) => Ok(Err(format!("the entity cannot be read from the store: {error}"))),
        Err(error @ (ShardError::Store(_) | ShardError::Pending(_))) => Err(error),
    }
}
