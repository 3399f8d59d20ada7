//! Messages that no entity can digest: recorded with their reason, so that the stream they came in goes on.

use super::Shard;
use super::batch::Answer;
use crate::entity::{AddressedMessage, Domain, Expired, MAX_ENTITY_ID_BYTES};
use crate::journal::{EntryHead, EntryWriter};
use crate::message::{
    Envelope, MAX_CORRELATION_BYTES, MAX_SOURCE_BYTES, Origin, Outcome, Provenance, Responder, Sequence,
};
use crate::metrics::count;
use crate::store::DeadLetter;
use crate::time::Timestamp;

impl<D: Domain> Shard<D> {
    pub(super) fn dead_letter(
        &mut self,
        partition: usize,
        origin: Origin,
        envelope: &Envelope<D>,
        responder: Responder<D::Reply>,
        reason: String,
        now: Timestamp,
    ) {
        let letter = letter(
            &envelope.message,
            &envelope.provenance,
            origin,
            reason.clone(),
            now,
        );
        if responder.keeps_message() {
            self.note_dead_letter(partition, origin, &envelope.provenance, &letter);
        } else {
            self.record_dead_letter(partition, origin, &envelope.provenance, letter);
        }
        self.open
            .answers
            .push((responder, Answer::Ready(Outcome::DeadLettered { reason })));
    }

    /// A message that an entity kept in vain. Its stream has gone on long ago: the entry is one of its own.
    pub(super) fn expire(&mut self, partition: usize, expired: &Expired<D::Message>, now: Timestamp) {
        let letter = letter(
            &expired.message,
            &expired.provenance,
            Origin::Alarm,
            expired.reason.clone(),
            now,
        );
        self.record_dead_letter(partition, Origin::Alarm, &expired.provenance, letter);
    }

    pub(super) fn record_dead_letter(
        &mut self,
        partition: usize,
        origin: Origin,
        provenance: &Provenance,
        letter: DeadLetter,
    ) {
        if let Some((part, sequence)) = self.note_dead_letter(partition, origin, provenance, &letter) {
            self.open.parts[part].dead_letters.push((sequence, letter));
        }
    }

    /// Writes the entry of a message that cannot be digested: its place in the open batch, if it could be written.
    fn note_dead_letter(
        &mut self,
        partition: usize,
        origin: Origin,
        provenance: &Provenance,
        letter: &DeadLetter,
    ) -> Option<(usize, Sequence)> {
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
            return None;
        }
        Some((part, self.advance(partition, origin)))
    }
}

fn letter<M: AddressedMessage>(
    message: &M,
    provenance: &Provenance,
    origin: Origin,
    reason: String,
    now: Timestamp,
) -> DeadLetter {
    let mut entity = Vec::new();
    message.encode_id(&mut entity);
    let mut command = Vec::new();
    if let Err(error) = message.encode_command(&mut command) {
        tracing::error!(%error, "a dead letter's command cannot be serialised");
    }
    DeadLetter {
        at: now,
        reason,
        source: provenance.source.to_string(),
        correlation: provenance.correlation.to_string(),
        kind: message.kind(),
        entity,
        command,
        origin: Some(origin),
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
