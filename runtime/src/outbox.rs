//! What a partition has decided to tell other entities and does not yet know to have arrived.
//!
//! Each message is durable in the entry that decided it. It stays here, and its entry in the journal, until the receiving
//! partition has taken it durably. Streams are dense for each receiving partition.

use crate::message::{InternalMessage, Sequence};
use crate::placement::PartitionId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug, Default)]
struct Stream {
    /// The number of the last message decided.
    last: u64,
    /// The number up to which the receiver has taken everything.
    acknowledged: u64,
    pending: VecDeque<(Sequence, Arc<InternalMessage>)>,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    streams: HashMap<PartitionId, Stream, FixedState>,
}

/// A stream's numbers as the partition header keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct StreamHead {
    pub(crate) to: PartitionId,
    pub(crate) last: u64,
    pub(crate) acknowledged: u64,
}

impl Outbox {
    pub(crate) fn restore(heads: &[StreamHead]) -> Self {
        let mut streams = HashMap::with_hasher(FixedState::with_seed(0x0b0c));
        for head in heads {
            let stream = Stream {
                last: head.last,
                acknowledged: head.acknowledged,
                pending: VecDeque::new(),
            };
            streams.insert(head.to, stream);
        }
        Self { streams }
    }

    /// The number that the next message to `to` takes.
    pub(crate) fn next(&self, to: PartitionId) -> u64 {
        self.streams.get(&to).map_or(0, |stream| stream.last) + 1
    }

    /// Keeps a message that entry `entry` decided. One that is known to have arrived is only counted. Says whether it is
    /// kept.
    pub(crate) fn push(&mut self, entry: Sequence, message: Arc<InternalMessage>) -> bool {
        let stream = self.streams.entry(message.to).or_default();
        stream.last = stream.last.max(message.sequence);
        let kept = message.sequence > stream.acknowledged;
        if kept {
            stream.pending.push_back((entry, message));
        }
        kept
    }

    /// Forgets everything to `to` up to `sequence`, and says how many messages that were.
    pub(crate) fn acknowledge(&mut self, to: PartitionId, sequence: u64) -> usize {
        let Some(stream) = self.streams.get_mut(&to) else {
            return 0;
        };
        let before = stream.pending.len();
        stream.acknowledged = stream.acknowledged.max(sequence);
        while stream
            .pending
            .front()
            .is_some_and(|(_, message)| message.sequence <= sequence)
        {
            stream.pending.pop_front();
        }
        before - stream.pending.len()
    }

    /// How many messages have not been acknowledged.
    pub(crate) fn pending(&self) -> usize {
        self.streams.values().map(|stream| stream.pending.len()).sum()
    }

    /// The oldest entry with a message that has not been acknowledged.
    pub(crate) fn oldest_entry(&self) -> Option<Sequence> {
        self.streams
            .values()
            .filter_map(|stream| stream.pending.front())
            .map(|(entry, _)| *entry)
            .min()
    }

    /// Everything unacknowledged from entries before `durable` that `wanted` accepts, in order for each stream.
    pub(crate) fn unacknowledged(
        &self,
        wanted: impl Fn(PartitionId) -> bool,
        durable: Sequence,
    ) -> Vec<Arc<InternalMessage>> {
        self.streams
            .iter()
            .filter(|(to, _)| wanted(**to))
            .flat_map(|(_, stream)| &stream.pending)
            .filter(|(entry, _)| *entry < durable)
            .map(|(_, message)| Arc::clone(message))
            .collect()
    }

    pub(crate) fn heads(&self) -> Vec<StreamHead> {
        self.streams
            .iter()
            .map(|(&to, stream)| StreamHead {
                to,
                last: stream.last,
                acknowledged: stream.acknowledged,
            })
            .collect()
    }
}
