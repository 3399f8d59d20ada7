//! What one turn of a shard adds, and what it owes to others once that is durable.

use crate::entity::{Domain, EntityKind};
use crate::message::{InternalMessage, Outcome, Responder, Sequence};
use crate::placement::PartitionId;
use crate::store::{DeadLetter, SnapshotRecord};
use crate::table::Slot;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a waiter is told once the batch is durable.
#[derive(Debug)]
pub(super) enum Answer<R> {
    /// This.
    Ready(Outcome<R>),
    /// What an entry of this or an earlier batch answered to the first delivery of the same message.
    OfEntry(PartitionId, Sequence),
}

/// A waiter and what it is told.
pub(super) type Owed<R> = (Responder<R>, Answer<R>);

/// A receiver's word that it has durably taken a stream up to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The partition that sent.
    pub from: PartitionId,
    /// The partition that took.
    pub to: PartitionId,
    /// Everything up to here is taken.
    pub sequence: u64,
}

/// What others are owed when a batch has become durable.
#[derive(Debug, Default)]
pub struct Released {
    /// Messages for other entities, in order for each stream. For the shell to route.
    pub sends: Vec<Arc<InternalMessage>>,
    /// What the senders of the messages in this batch may forget.
    pub acknowledgements: Vec<Acknowledgement>,
}

/// One partition's part of a batch.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) partition: usize,
    pub(super) first_sequence: Sequence,
    pub(super) entries: u32,
    pub(super) counted_bytes: usize,
    pub(super) journal: Vec<u8>,
    pub(super) snapshots: Vec<SnapshotRecord>,
    pub(super) dead_letters: Vec<(Sequence, DeadLetter)>,
}

#[derive(Debug)]
pub(super) struct Batch<D: Domain> {
    pub(super) number: u64,
    pub(super) parts: Vec<Part>,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) answers: Vec<Owed<D::Reply>>,
    pub(super) views: Vec<D::View>,
    pub(super) released: Released,
    /// Entities to take out of memory if nothing has happened to them by then.
    pub(super) passivations: Vec<(EntityKind, Slot, Sequence)>,
}

impl<D: Domain> Default for Batch<D> {
    fn default() -> Self {
        Self {
            number: 0,
            parts: Vec::new(),
            entries: 0,
            bytes: 0,
            answers: Vec::new(),
            views: Vec::new(),
            released: Released::default(),
            passivations: Vec::new(),
        }
    }
}

impl<D: Domain> Batch<D> {
    pub(super) fn first() -> Self {
        Self {
            number: 1,
            ..Self::default()
        }
    }

    /// Empties it for reuse; its lists keep their room.
    pub(super) fn reset(&mut self) {
        self.parts.clear();
        self.entries = 0;
        self.bytes = 0;
        self.answers.clear();
        self.views.clear();
        self.passivations.clear();
    }

    /// Whether there is nothing to store and nobody to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
            && self.answers.is_empty()
            && self.passivations.is_empty()
            && self.released.acknowledgements.is_empty()
    }

    /// Counts an entry that has just been written to a part.
    pub(super) fn count_entry(&mut self, part: usize) {
        let Some(part) = self.parts.get_mut(part) else {
            return;
        };
        part.entries += 1;
        self.entries += 1;
        self.bytes += part.journal.len() - part.counted_bytes;
        part.counted_bytes = part.journal.len();
    }
}
