//! One message into the open batch: decided, applied and written, or without a trace.

use super::batch::{Answer, Part};
use super::partition::Dirty;
use super::reload::{Culprit, Reload};
use super::{Shard, ShardError, readable};
use crate::entity::{AddressedMessage, Context, Domain};
use crate::journal::{self, EncodeError, EntryHead, EntryWriter};
use crate::message::{Envelope, InternalMessage, Origin, Outcome, Provenance, Responder, Sequence};
use crate::metrics::count;
use crate::table::{Slot, Tables, Turn};
use crate::time::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl<D: Domain> Shard<D> {
    /// Decides one message into the open batch.
    pub(super) fn process(
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
        let sender = &envelope.provenance;
        let speaker = self.tables.speaks_as(slot, &envelope.message);
        let head = EntryHead {
            at: now,
            kind,
            entity: &entity,
            origin,
            provenance: speaker.as_ref().unwrap_or(sender),
        };
        let mut turn = Turn::default();
        let awaited = responder.is_awaited();
        let mut attempts = 0;
        let attempt = loop {
            attempts += 1;
            let attempt = self.attempt(
                partition,
                (&head, sender),
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

    /// Tries one message: writes its entry if all goes well, leaves no trace if not. It is decided as of who sent it.
    pub(super) fn attempt(
        &mut self,
        partition: usize,
        (head, sender): (&EntryHead<'_>, &Provenance),
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
            provenance: sender,
            origin: head.origin,
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
    pub(super) fn decided(&mut self, partition: usize, head: &EntryHead<'_>, slot: Slot, turn: Turn<D>) {
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
        for expired in &turn.expired {
            self.expire(partition, expired, head.at);
        }
    }

    /// Counts an entry that has just been written.
    pub(super) fn advance(&mut self, partition: usize, origin: Origin) -> Sequence {
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
    pub(super) fn part(&mut self, partition: usize) -> usize {
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
}

/// How one attempt at a message ended.
pub(super) enum Attempt<R> {
    Decided(R),
    /// The alarm had nothing to do.
    Nothing,
    /// `decide` panicked or made something that cannot be written; the state is as before.
    Undigested(String),
    /// `apply` panicked; the state is unusable.
    Broken(String),
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("the entity panicked: {text}")
}
