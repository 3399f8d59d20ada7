//! Up to where a kind of update has been told: what is safe to acknowledge to the feed it is read from.
//!
//! Invariant: a cursor never passes a change that the channel has not been told, and none moves at all before a new
//! channel was told everything once: a start from a saved cursor would read only what changed later.

use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    untold: HashMap<PartitionId, BTreeSet<Sequence>>,
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
        self.untold
            .entry(mark.partition)
            .or_default()
            .insert(mark.sequence);
    }

    /// The channel has been told, or a later change of the same key stands for it.
    pub(super) fn told(&mut self, mark: Mark) {
        if let Some(untold) = self.untold.get_mut(&mark.partition) {
            untold.remove(&mark.sequence);
        }
    }

    /// By partition: up to where everything was told.
    pub(super) fn safe(&self) -> impl Iterator<Item = Mark> {
        self.seen.iter().map(|(partition, seen)| {
            let first = self.untold.get(partition).and_then(BTreeSet::first);
            Mark {
                partition: *partition,
                sequence: first.map_or(*seen, |first| Sequence(first.0.saturating_sub(1))),
            }
        })
    }
}
