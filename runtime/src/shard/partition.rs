//! One partition as its shard holds it in memory.

use crate::entity::EntityKind;
use crate::inbox::Inbox;
use crate::message::Sequence;
use crate::outbox::{Outbox, StreamHead};
use crate::placement::PartitionId;
use crate::store::{Epoch, PartitionState};
use crate::table::Slot;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What a partition keeps beside its journal and snapshots. Written whenever the journal can be trimmed or less of it has to be
/// applied to the snapshots; what came after is read from the journal. All its numbers only grow, so that reading an entry it already includes does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The first entry that is still needed for anything.
    pub(super) retained_from: Sequence,
    /// The first entry that some snapshot does not include.
    pub(super) state_from: Sequence,
    /// How far each stream from another partition has been taken.
    pub(super) inbox: Vec<(PartitionId, u64)>,
    /// The streams to other partitions.
    pub(super) outbox: Vec<StreamHead>,
}

impl Header {
    pub(super) fn decode(bytes: Option<&[u8]>) -> Result<Self, rmp_serde::decode::Error> {
        let first = Self {
            retained_from: Sequence(1),
            state_from: Sequence(1),
            ..Self::default()
        };
        bytes.map_or(Ok(first), rmp_serde::from_slice)
    }
}

/// A partition's header, as the store keeps it, when all sequences of the partition are `by` higher.
///
/// # Errors
/// If these bytes are no header, or it cannot be written.
pub fn shifted_header(header: Option<&[u8]>, by: u64) -> Result<Vec<u8>, String> {
    let mut header = Header::decode(header).map_err(|error| error.to_string())?;
    for sequence in [&mut header.retained_from, &mut header.state_from] {
        sequence.0 = sequence.0.wrapping_add(by);
    }
    rmp_serde::to_vec(&header).map_err(|error| error.to_string())
}

/// The header of a partition whose journal holds entries from `first` up to and without `end`, all of which its snapshots include,
/// and that has no streams yet.
///
/// # Errors
/// If it cannot be written.
pub fn settled_header(first: Sequence, end: Sequence) -> Result<Vec<u8>, String> {
    let header = Header {
        retained_from: first,
        state_from: end,
        ..Header::default()
    };
    rmp_serde::to_vec(&header).map_err(|error| error.to_string())
}

/// An entity that is ahead of its snapshot, since an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dirty {
    pub(super) since: Sequence,
    pub(super) kind: EntityKind,
    pub(super) slot: Slot,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) epoch: Epoch,
    pub(super) next_sequence: Sequence,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// In order of `since`; entries of entities that have had a snapshot meanwhile are passed over.
    pub(super) dirty: VecDeque<Dirty>,
    pub(super) retained_from: Sequence,
    /// The first entry that is applied to the snapshots when the partition is read, as its header says.
    pub(super) applied_from: Sequence,
    /// Its part of the open batch.
    pub(super) open_part: Option<usize>,
}

impl Partition {
    pub(super) fn new(state: &PartitionState, header: &Header, window: usize) -> Self {
        let mut inbox = Inbox::new(window);
        for (from, sequence) in &header.inbox {
            inbox.advance(*from, *sequence);
        }
        Self {
            id: state.partition,
            epoch: state.epoch,
            next_sequence: state.next_sequence,
            inbox,
            outbox: Outbox::restore(&header.outbox),
            dirty: VecDeque::new(),
            retained_from: header.retained_from,
            applied_from: header.state_from,
            open_part: None,
        }
    }

    /// What is left of a partition that has gone.
    pub(super) fn empty(id: PartitionId) -> Self {
        let state = PartitionState {
            partition: id,
            epoch: Epoch(0),
            next_sequence: Sequence(0),
            header: None,
        };
        Self::new(&state, &Header::default(), 1)
    }

    /// Whether nothing is left of it: entries are numbered from one on.
    pub(super) fn is_empty(&self) -> bool {
        self.next_sequence == Sequence(0)
    }

    /// The first entry that some snapshot does not include.
    pub(super) fn state_from(&self) -> Sequence {
        self.dirty.front().map_or(self.next_sequence, |dirty| dirty.since)
    }

    /// The first entry that is still needed, if every consumer has read up to and including `consumed`.
    pub(super) fn needed_from(&self, consumed: Sequence) -> Sequence {
        [
            self.inbox.oldest_entry(),
            self.outbox.oldest_entry(),
            // "No consumer" is the highest number there is.
            Some(Sequence(consumed.0.saturating_add(1))),
        ]
        .into_iter()
        .flatten()
        .fold(self.state_from(), Sequence::min)
    }

    pub(super) fn header(&self) -> Header {
        Header {
            retained_from: self.retained_from,
            state_from: self.state_from(),
            inbox: self.inbox.streams(),
            outbox: self.outbox.heads(),
        }
    }
}
