//! Up to where a kind of update has been told: what is safe to acknowledge to the feed it is read from.
//!
//! Invariant: a cursor never passes a change that the channel has not been told, and none moves at all before a new
//! channel was told everything once: a start from a saved cursor would read only what changed later.

use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::{BTreeMap, HashMap};

/// A change in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Whose journal.
    pub partition: PartitionId,
    /// Its place in it.
    pub sequence: Sequence,
}

/// The changes of one kind.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// With how many keys have not been told of each.
    untold: HashMap<PartitionId, BTreeMap<Sequence, u32>>,
    seen: BTreeMap<PartitionId, Sequence>,
}

impl Progress {
    /// A change was read.
    pub(super) fn see(&mut self, mark: Mark) {
        let seen = self.seen.entry(mark.partition).or_default();
        *seen = (*seen).max(mark.sequence);
    }

    /// It has to be told.
    pub(super) fn await_telling(&mut self, mark: Mark) {
        let untold = self.untold.entry(mark.partition).or_default();
        *untold.entry(mark.sequence).or_default() += 1;
    }

    /// The channel has been told, or a later change of the same key stands for it.
    pub(super) fn told(&mut self, mark: Mark) {
        if let Some(untold) = self.untold.get_mut(&mark.partition)
            && let Some(keys) = untold.get_mut(&mark.sequence)
        {
            *keys = keys.saturating_sub(1);
            if *keys == 0 {
                untold.remove(&mark.sequence);
            }
        }
    }

    /// By partition: up to where everything was told.
    pub(super) fn safe(&self) -> impl Iterator<Item = Mark> {
        self.seen.iter().map(|(partition, seen)| {
            let first = self.untold.get(partition).and_then(BTreeMap::first_key_value);
            Mark {
                partition: *partition,
                sequence: first.map_or(*seen, |(first, _)| Sequence(first.0.saturating_sub(1))),
            }
        })
    }
}
