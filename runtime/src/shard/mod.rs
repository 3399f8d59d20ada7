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
mod batch;
mod partition;
mod passivation;
mod recovery;

pub use batch::{Acknowledgement, Released};

use crate::entity::{AddressedMessage, Context, Domain, EntityKind, MAX_ENTITY_ID_BYTES, Residency};
use crate::inbox::StreamPlace;
use crate::journal::{self, EncodeError, EntryHead, EntryWriter, Malformed};
use crate::message::{
    Delivery, Envelope, InternalMessage, MAX_CORRELATION_BYTES, MAX_SOURCE_BYTES, Origin, Outcome,
    Provenance, Responder, Sequence, Teller,
};
use crate::metrics::{ShardCounters, count};
use crate::placement::{PartitionCount, PartitionId};
use crate::store::{CommitBatch, DeadLetter, PartitionBatch, StoreError, StoreReader};
use crate::table::{Corrupt, Slot, Tables, Turn};
use crate::time::Timestamp;
use alarms::{Alarms, Due};
use batch::{Answer, Batch, Part};
use partition::{Dirty, Partition};
use passivation::Residents;
use std::collections::VecDeque;
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
    /// How many entries a trim of the journal must be worth, for each costs a partition header.
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

/// An entity whose `apply` panicked: it is read back from the store before anything else happens.
#[derive(Debug)]
struct Reload<D: Domain> {
    partition: usize,
    kind: EntityKind,
    slot: Slot,
    /// What broke it; `None` if that was its own alarm, which is tried again later.
    culprit: Option<Culprit<D>>,
}

/// The message that broke an entity, to be dead-lettered.
#[derive(Debug)]
struct Culprit<D: Domain> {
    origin: Origin,
    envelope: Envelope<D>,
    responder: Responder<D::Reply>,
    reason: String,
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

/// How one attempt at a message ended.
enum Attempt<R> {
    Decided(R),
    /// The alarm had nothing to do.
    Nothing,
    /// `decide` panicked or made something that cannot be written; the state is as before.
    Undigested(String),
    /// `apply` panicked; the state is unusable.
    Broken(String),
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

    /// Touches what the next deliveries need: their places in inbox and table. Decides nothing. With millions of entities
    /// each of these lies outside the processor's caches; asked for one after the other they are waited for one after the
    /// other, asked for together they come together.
    pub fn look_ahead<'a>(&self, deliveries: impl IntoIterator<Item = &'a Delivery<D>>) {
        let mut known = 0_usize;
        for Delivery { envelope, .. } in deliveries {
            let target = self
                .wiring
                .partition_count
                .partition_of(envelope.message.routing_key());
            if let Some(partition) = self.local(target) {
                known += usize::from(self.partitions[partition].inbox.entry_of(envelope.id).is_some());
                known += usize::from(self.tables.find(&envelope.message).is_some());
            }
        }
        std::hint::black_box(known);
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
            // The sender routed by an old map; the responder says "unavailable" and the message comes again.
            tracing::warn!(partition = target.0, "a message for a partition of another shard");
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
            tracing::warn!(partition = message.to.0, "an internal message for another shard");
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

    /// Lets entities act whose alarms are due, until the batch is full.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn wake_due(&mut self, now: Timestamp) -> Result<(), ShardError> {
        while !self.is_closed() {
            let Some(due) = self.alarms.pop_due(now) else {
                return Ok(());
            };
            match due {
                Due::Active(kind, slot) => self.wake_active(kind, slot, now)?,
                Due::AtRest(partition, kind, entity) => self.wake_at_rest(partition, kind, entity, now)?,
            }
        }
        Ok(())
    }

    fn wake_at_rest(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entity: Box<[u8]>,
        now: Timestamp,
    ) -> Result<(), ShardError> {
        let slot = match self.tables.find_encoded(kind, &entity) {
            Some(slot) => Ok(slot),
            None => readable(self.activate(partition, kind, &entity))?,
        };
        match slot {
            Ok(slot) => self.wake_active(kind, slot, now),
            Err(reason) => {
                self.alarm_failed(kind, &entity, &reason);
                let again = now.after(UNREADABLE_RETRY);
                self.alarms.set_at_rest(again, partition, kind, entity);
                Ok(())
            }
        }
    }

    fn wake_active(&mut self, kind: EntityKind, slot: Slot, now: Timestamp) -> Result<(), ShardError> {
        if self.tables.alarm(kind, slot).is_none_or(|at| at > now) {
            return Ok(());
        }
        let Some(partition) = self.tables.partition(kind, slot).and_then(|id| self.local(id)) else {
            return Ok(());
        };
        let entity = self.tables.encoded_id(kind, slot).unwrap_or_default();
        let provenance = Provenance {
            source: "lockstep".into(),
            correlation: "alarm".into(),
            causation: None,
        };
        let mut turn = Turn::default();
        let head = EntryHead {
            at: now,
            kind,
            entity: &entity,
            origin: Origin::Alarm,
            provenance: &provenance,
        };
        let attempt = self.attempt(
            partition,
            &head,
            &mut turn,
            false,
            |tables, context, sequence, writer, turn| {
                tables
                    .wake(kind, slot, context, sequence, writer, turn)
                    .map(|done| done.map(|()| None))
            },
        );
        match attempt {
            Attempt::Decided(_) => self.decided(partition, &head, slot, turn),
            Attempt::Nothing => {}
            Attempt::Undigested(reason) => self.alarm_failed(kind, &entity, &reason),
            Attempt::Broken(reason) => {
                self.alarm_failed(kind, &entity, &reason);
                self.reload = Some(Reload {
                    partition,
                    kind,
                    slot,
                    culprit: None,
                });
                return Ok(());
            }
        }
        if let Some(at) = self.tables.alarm(kind, slot)
            && at <= now
        {
            self.alarms.set_active(now.after(ALARM_RETRY), kind, slot);
        }
        Ok(())
    }

    /// No message is lost with a failed alarm: it stays set and is tried again.
    fn alarm_failed(&self, kind: EntityKind, entity: &[u8], reason: &str) {
        tracing::error!(kind = kind.0, entity = %String::from_utf8_lossy(entity), reason, "an alarm failed");
        count(&self.wiring.counters.panics, 1);
    }

    fn activate(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
    ) -> Result<Slot, ShardError> {
        let mut activated = None;
        let mut snapshot_alarm = None;
        let resident = D::Tables::KINDS
            .iter()
            .any(|info| info.kind == kind && info.residency == Residency::Resident);
        if !resident {
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
        if let Some(at) = snapshot_alarm {
            self.alarms.clear_at_rest(at, kind, entity);
            self.alarms.set_active(at, kind, slot);
        }
        self.residents.activated(kind, slot, snapshot_alarm);
        count(&self.wiring.counters.activations, 1);
        Ok(slot)
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
        self.residents.touched(envelope.message.kind(), slot, now);
        let context = Context {
            now,
            provenance: &envelope.provenance,
            reference: &*self.wiring.reference,
        };
        let tables = &self.tables;
        let answer = catch_unwind(AssertUnwindSafe(|| tables.ask(slot, &envelope.message, &context)));
        let reason = match answer {
            Ok(Ok(reply)) => {
                return Outcome::Done {
                    reply,
                    repeated: false,
                };
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(&*panic),
        };
        tracing::error!(reason, "a question cannot be answered");
        Outcome::DeadLettered { reason }
    }

    /// Decides one message into the open batch.
    fn process(
        &mut self,
        partition: usize,
        origin: Origin,
        envelope: &Envelope<D>,
        responder: Responder<D::Reply>,
        now: Timestamp,
    ) -> Result<(), ShardError> {
        let slot = match readable(self.slot_of(partition, &envelope.message))? {
            Ok(slot) => slot,
            Err(reason) => {
                self.dead_letter(partition, origin, envelope, responder, reason, now);
                return Ok(());
            }
        };
        let kind = envelope.message.kind();
        self.residents.touched(kind, slot, now);
        let mut entity = std::mem::take(&mut self.encoded_id);
        entity.clear();
        envelope.message.encode_id(&mut entity);
        let head = EntryHead {
            at: now,
            kind,
            entity: &entity,
            origin,
            provenance: &envelope.provenance,
        };
        let mut turn = Turn::default();
        let awaited = responder.is_awaited();
        let mut attempts = 0;
        let attempt = loop {
            attempts += 1;
            let attempt = self.attempt(
                partition,
                &head,
                &mut turn,
                awaited,
                |tables, context, sequence, writer, turn| {
                    tables
                        .decide(slot, &envelope.message, context, sequence, writer, turn)
                        .map(|reply| Some(Some(reply)))
                },
            );
            match attempt {
                Attempt::Undigested(_) if attempts < self.wiring.limits.attempts => turn = Turn::default(),
                Attempt::Undigested(_) | Attempt::Decided(_) | Attempt::Nothing | Attempt::Broken(_) => {
                    break attempt;
                }
            }
        };
        match attempt {
            Attempt::Decided(reply) => {
                self.decided(partition, &head, slot, turn);
                if let Some(reply) = reply
                    && awaited
                {
                    let outcome = Outcome::Done {
                        reply,
                        repeated: false,
                    };
                    self.open.answers.push((responder, Answer::Ready(outcome)));
                }
            }
            Attempt::Nothing => {}
            Attempt::Undigested(reason) => {
                self.dead_letter(partition, origin, envelope, responder, reason, now);
            }
            Attempt::Broken(reason) => {
                count(&self.wiring.counters.panics, 1);
                self.reload = Some(Reload {
                    partition,
                    kind,
                    slot,
                    culprit: Some(Culprit {
                        origin,
                        envelope: envelope.clone(),
                        responder,
                        reason,
                    }),
                });
            }
        }
        self.encoded_id = entity;
        Ok(())
    }

    /// Tries one message: writes its entry if all goes well, leaves no trace if not.
    fn attempt(
        &mut self,
        partition: usize,
        head: &EntryHead<'_>,
        turn: &mut Turn<D>,
        awaited: bool,
        decide: impl FnOnce(
            &mut D::Tables,
            &Context<'_, D>,
            Sequence,
            &mut EntryWriter<'_>,
            &mut Turn<D>,
        ) -> Result<Option<Option<D::Reply>>, EncodeError>,
    ) -> Attempt<Option<D::Reply>> {
        let part = self.part(partition);
        let sequence = self.partitions[partition].next_sequence;
        let context = Context {
            now: head.at,
            provenance: head.provenance,
            reference: &*self.wiring.reference,
        };
        let tables = &mut self.tables;
        let journal = &mut self.open.parts[part].journal;
        let (count, place) = (self.wiring.partition_count, &self.partitions[partition]);
        let (id_buffer, command_buffer) = (&mut Vec::new(), &mut self.encoded_command);
        let mut sends = std::mem::take(&mut self.open.released.sends);
        let sends_before = sends.len();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut writer = EntryWriter::begin(journal, head)?;
            let Some(reply) = decide(tables, &context, sequence, &mut writer, turn)? else {
                return Ok(None);
            };
            // From here on the state includes the decision: whatever fails now leaves it unusable.
            turn.applying = turn.changed;
            writer.events_done();
            for message in &turn.sends {
                let to = count.partition_of(message.routing_key());
                let earlier = sends[sends_before..].iter().filter(|send| send.to == to).count();
                let number = place.outbox.next(to) + earlier as u64;
                id_buffer.clear();
                command_buffer.clear();
                message.encode_id(id_buffer);
                message
                    .encode_command(command_buffer)
                    .map_err(|error| EncodeError::Serialise {
                        what: "command",
                        error,
                    })?;
                writer.send(to, number, message.kind(), id_buffer, command_buffer)?;
                sends.push(Arc::new(InternalMessage {
                    from: place.id,
                    to,
                    sequence: number,
                    sent_at: head.at,
                    provenance: head.provenance.clone(),
                    kind: message.kind(),
                    entity: id_buffer.as_slice().into(),
                    command: command_buffer.as_slice().into(),
                }));
            }
            writer.sends_done();
            for outbound in &turn.outbound {
                writer.outbound(outbound.port, &outbound.body)?;
            }
            if awaited && let Some(reply) = &reply {
                writer.reply(reply)?;
            }
            writer.finish()?;
            turn.applying = false;
            Ok(Some(reply))
        }));
        let failed = |reason: String, broken: bool| {
            if broken {
                Attempt::Broken(reason)
            } else {
                Attempt::Undigested(reason)
            }
        };
        let attempt = match result {
            Ok(Ok(Some(reply))) => Attempt::Decided(reply),
            Ok(Ok(None)) => Attempt::Nothing,
            Ok(Err(error)) => failed(EncodeError::to_string(&error), turn.applying),
            Err(panic) => failed(panic_text(&*panic), turn.applying),
        };
        if !matches!(attempt, Attempt::Decided(_)) {
            sends.truncate(sends_before);
        }
        for send in &sends[sends_before..] {
            let kept = self.partitions[partition].outbox.push(sequence, Arc::clone(send));
            self.pending_sends += usize::from(kept);
        }
        self.open.released.sends = sends;
        attempt
    }

    /// Books a finished entry.
    fn decided(&mut self, partition: usize, head: &EntryHead<'_>, slot: Slot, turn: Turn<D>) {
        let sequence = self.advance(partition, head.origin);
        if turn.became_dirty {
            self.partitions[partition].dirty.push_back(Dirty {
                since: sequence,
                kind: head.kind,
                slot,
            });
        }
        if let Some(at) = turn.alarm {
            self.alarms.set_active(at, head.kind, slot);
        }
        self.open.views.extend(turn.view);
        count(&self.wiring.counters.decided, 1);
    }

    /// Counts an entry that has just been written.
    fn advance(&mut self, partition: usize, origin: Origin) -> Sequence {
        let part = self.part(partition);
        self.open.count_entry(part);
        let partition = &mut self.partitions[partition];
        let sequence = partition.next_sequence;
        partition.next_sequence = sequence.next();
        match origin {
            Origin::External(id) => partition.inbox.remember(id, sequence),
            Origin::Entity {
                from,
                sequence: number,
            } => {
                partition.inbox.advance(from, number);
                let to = partition.id;
                self.acknowledge(from, to, number);
            }
            Origin::Alarm => {}
        }
        sequence
    }

    /// The partition's part of the open batch.
    fn part(&mut self, partition: usize) -> usize {
        if let Some(part) = self.partitions[partition].open_part {
            return part;
        }
        let place = &mut self.partitions[partition];
        let mut journal = self.spare_buffers.pop().unwrap_or_default();
        journal::begin_blob(&mut journal, place.id, place.epoch, place.next_sequence);
        let part = self.open.parts.len();
        place.open_part = Some(part);
        self.open.parts.push(Part {
            partition,
            first_sequence: place.next_sequence,
            entries: 0,
            counted_bytes: 0,
            journal,
            snapshots: Vec::new(),
            dead_letters: Vec::new(),
        });
        part
    }

    fn dead_letter(
        &mut self,
        partition: usize,
        origin: Origin,
        envelope: &Envelope<D>,
        responder: Responder<D::Reply>,
        reason: String,
        now: Timestamp,
    ) {
        let mut entity = Vec::new();
        envelope.message.encode_id(&mut entity);
        let mut command = Vec::new();
        if let Err(error) = envelope.message.encode_command(&mut command) {
            tracing::error!(%error, "a dead letter's command cannot be serialised");
        }
        let letter = DeadLetter {
            at: now,
            reason: reason.clone(),
            source: envelope.provenance.source.to_string(),
            correlation: envelope.provenance.correlation.to_string(),
            kind: envelope.message.kind(),
            entity,
            command,
        };
        self.record_dead_letter(partition, origin, &envelope.provenance, letter);
        self.open
            .answers
            .push((responder, Answer::Ready(Outcome::DeadLettered { reason })));
    }

    fn record_dead_letter(
        &mut self,
        partition: usize,
        origin: Origin,
        provenance: &Provenance,
        letter: DeadLetter,
    ) {
        tracing::error!(
            reason = letter.reason,
            source = letter.source,
            correlation = letter.correlation,
            kind = letter.kind.0,
            entity = %String::from_utf8_lossy(&letter.entity),
            "a message is dead-lettered"
        );
        count(&self.wiring.counters.dead_lettered, 1);
        let part = self.part(partition);
        // What is too long for the journal may be why the message could not be digested: the letter keeps all of it, its
        // entry the beginning. Without an entry the stream that the message came in would never go on.
        let provenance = within_limits(provenance);
        let head = EntryHead {
            at: letter.at,
            kind: letter.kind,
            entity: &letter.entity[..letter.entity.len().min(MAX_ENTITY_ID_BYTES)],
            origin,
            provenance: &provenance,
        };
        let written = EntryWriter::begin(&mut self.open.parts[part].journal, &head).and_then(|mut writer| {
            writer.events_done();
            writer.sends_done();
            writer.dead_letter();
            writer.finish()
        });
        if let Err(error) = written {
            tracing::error!(%error, "a dead letter cannot be recorded");
            return;
        }
        let sequence = self.advance(partition, origin);
        self.open.parts[part].dead_letters.push((sequence, letter));
    }

    /// Closes the open batch and hands it over for storing; `None` if there is nothing to store. What is owed without
    /// anything to store is released by [`Shard::release_idle`].
    #[must_use]
    pub fn take_batch(&mut self, now: Timestamp) -> Option<(u64, CommitBatch)> {
        if self.reload.is_none() {
            self.sweep(now);
        }
        if self
            .open
            .parts
            .iter()
            .all(|part| part.entries == 0 && part.snapshots.is_empty())
        {
            return None;
        }
        let mut batch = self.next_batch();
        let mut commit = CommitBatch::default();
        for part in &mut batch.parts {
            let stored = self.close_part(part);
            if stored.entries > 0 || !stored.snapshots.is_empty() || stored.header.is_some() {
                commit.partitions.push(stored);
            } else {
                self.recycle(stored.journal);
            }
        }
        let number = batch.number;
        count(&self.wiring.counters.batches, 1);
        count(&self.wiring.counters.entries, batch.entries as u64);
        self.in_flight.push_back(batch);
        Some((number, commit))
    }

    /// Opens a new batch and gives the one that was open.
    fn next_batch(&mut self) -> Batch<D> {
        let mut next = self.spare_batches.pop().unwrap_or_default();
        next.number = self.open.number + 1;
        std::mem::replace(&mut self.open, next)
    }

    fn close_part(&mut self, part: &mut Part) -> PartitionBatch {
        let limits = self.wiring.limits;
        let partition = &mut self.partitions[part.partition];
        partition.open_part = None;
        // Bounded a batch, so that no batch pays for a long quiet time; in the mean it keeps up with any load.
        let mut allowed = 2 * part.entries as usize + 16;
        // A broken entity must not be stored; all wait until it has been read back.
        let is_sound = self.reload.is_none();
        while is_sound && let Some(&Dirty { since, kind, slot }) = partition.dirty.front() {
            if !self.tables.is_dirty_since(kind, slot, partition.id, since) {
                partition.dirty.pop_front();
                continue;
            }
            if allowed == 0 || since.0 + limits.journal_tail >= partition.next_sequence.0 {
                break;
            }
            match self.tables.snapshot(kind, slot) {
                Ok(snapshot) => {
                    self.tables.mark_clean(kind, slot);
                    part.snapshots
                        .push(self.residents.replacing(kind, slot, snapshot));
                    allowed -= 1;
                }
                Err(error) => {
                    tracing::error!(%error, "a state cannot be serialised; its journal is kept");
                    break;
                }
            }
            partition.dirty.pop_front();
        }
        let consumed = self.wiring.consumers.consumed(partition.id);
        let needed = partition.needed_from(consumed);
        let mut header = None;
        let mut trim_before = None;
        if is_sound && needed.0 >= partition.retained_from.0 + limits.trim_step.max(1) {
            partition.retained_from = needed;
            match rmp_serde::to_vec(&partition.header()) {
                Ok(bytes) => {
                    header = Some(bytes);
                    trim_before = Some(needed);
                }
                Err(error) => tracing::error!(%error, "a partition header cannot be serialised"),
            }
        }
        let mut journal = std::mem::take(&mut part.journal);
        if part.entries == 0 {
            journal.clear();
        }
        PartitionBatch {
            partition: partition.id,
            epoch: partition.epoch,
            first_sequence: part.first_sequence,
            entries: part.entries,
            journal,
            snapshots: std::mem::take(&mut part.snapshots),
            header,
            trim_before,
            dead_letters: std::mem::take(&mut part.dead_letters),
        }
    }

    /// Takes back the buffers of a stored batch.
    pub fn reclaim(&mut self, commit: CommitBatch) {
        for partition in commit.partitions {
            self.recycle(partition.journal);
        }
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare_buffers.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BUFFER_BYTES {
            buffer.clear();
            self.spare_buffers.push(buffer);
        }
    }

    /// The oldest batch in flight is durable: tells everybody what they are owed.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn committed(&mut self, number: u64, now: Timestamp) -> Result<Released, ShardError> {
        let Some(batch) = self.in_flight.pop_front() else {
            tracing::error!(number, "a batch was stored that is not in flight");
            return Ok(Released::default());
        };
        debug_assert_eq!(batch.number, number, "batches become durable in order");
        let mut released = self.release(batch)?;
        if self.in_flight.is_empty() {
            if self.reload.is_some() && self.open.entries == 0 {
                self.reload_entity(now)?;
            }
            let idle = self.release_idle()?;
            released.sends.extend(idle.sends);
            released.acknowledgements.extend(idle.acknowledgements);
        }
        Ok(released)
    }

    /// Releases what the open batch owes if nothing has to be stored for it.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn release_idle(&mut self) -> Result<Released, ShardError> {
        if !self.in_flight.is_empty()
            || self.open.is_empty()
            || self.open.entries > 0
            || self.open.parts.iter().any(|part| !part.snapshots.is_empty())
        {
            return Ok(Released::default());
        }
        let mut batch = self.next_batch();
        for part in &mut batch.parts {
            self.partitions[part.partition].open_part = None;
            let journal = std::mem::take(&mut part.journal);
            self.recycle(journal);
        }
        self.release(batch)
    }

    fn release(&mut self, mut batch: Batch<D>) -> Result<Released, ShardError> {
        for view in batch.views.drain(..) {
            D::publish(&self.wiring.reference, view);
        }
        let mut teller = Teller::default();
        for (responder, answer) in batch.answers.drain(..) {
            let outcome = match answer {
                Answer::Ready(outcome) => outcome,
                Answer::OfEntry(partition, entry) => self.answer_of(partition, entry)?,
            };
            teller.tell(responder, outcome);
        }
        drop(teller);
        self.passivate(&batch.passivations);
        let released = std::mem::take(&mut batch.released);
        if self.spare_batches.len() < SPARE_BATCHES {
            batch.reset();
            self.spare_batches.push(batch);
        }
        Ok(released)
    }

    /// Whether an entity waits for the batches in flight before it can be reloaded, or can be reloaded at once.
    ///
    /// # Errors
    /// [`ShardError`]: the shard must be built anew.
    pub fn reload_if_possible(&mut self, now: Timestamp) -> Result<(), ShardError> {
        if self.reload.is_some() && self.in_flight.is_empty() && self.open.entries == 0 {
            self.reload_entity(now)?;
        }
        Ok(())
    }

    fn reload_entity(&mut self, now: Timestamp) -> Result<(), ShardError> {
        let Some(reload) = self.reload.take() else {
            return Ok(());
        };
        let Reload {
            partition,
            kind,
            slot,
            culprit,
        } = reload;
        let entity = self.tables.encoded_id(kind, slot).unwrap_or_default();
        self.tables.remove(kind, slot);
        let slot = self.recover_entity(partition, kind, &entity)?;
        if let Some(at) = self.tables.alarm(kind, slot) {
            self.alarms.set_active(at.max(now.after(ALARM_RETRY)), kind, slot);
        }
        if let Some(culprit) = culprit {
            let Culprit {
                origin,
                envelope,
                responder,
                reason,
            } = culprit;
            self.dead_letter(partition, origin, &envelope, responder, reason, now);
        }
        Ok(())
    }
}

/// How long an alarm that failed waits before it is tried again.
const ALARM_RETRY: Duration = Duration::from_secs(1);
/// How long an alarm waits whose entity cannot be read: only a person can help.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60);
/// How many journal buffers are kept for reuse, and how large each may be.
const SPARE_BUFFERS: usize = 512;
const SPARE_BUFFER_BYTES: usize = 256 << 10;
/// How many batches are kept for reuse: as many as may be under way, and the open one.
const SPARE_BATCHES: usize = 3;

/// An entity at rest whose snapshot cannot be read costs the message that wanted it, with this reason, not the shard and
/// its neighbours. Nothing else is known of it than the snapshot, so nothing is repaired.
fn readable(slot: Result<Slot, ShardError>) -> Result<Result<Slot, String>, ShardError> {
    match slot {
        Ok(slot) => Ok(Ok(slot)),
        Err(
            error @ (ShardError::Corrupt(_)
            | ShardError::Malformed { .. }
            | ShardError::Store(StoreError::Damaged(_))),
        ) => Ok(Err(format!("the entity cannot be read from the store: {error}"))),
        Err(error @ ShardError::Store(_)) => Err(error),
    }
}

fn within_limits(provenance: &Provenance) -> Provenance {
    let beginning = |text: &str, limit: usize| text[..text.floor_char_boundary(limit)].into();
    Provenance {
        source: beginning(&provenance.source, MAX_SOURCE_BYTES),
        correlation: beginning(&provenance.correlation, MAX_CORRELATION_BYTES),
        causation: provenance.causation,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("the entity panicked: {text}")
}
