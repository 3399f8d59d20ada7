//! The newest journal blobs of the partitions that this process writes, kept in memory for the feeds.
//!
//! A journal never changes, so what is here is what the database has, from its first blob to its last. What is older is asked of the
//! database, and what is newer: a partition that was given up is written by another node.

use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) first: Sequence,
    pub(super) end: Sequence,
    pub(super) body: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Blobs {
    /// Dense.
    newest: VecDeque<Blob>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Tail {
    partitions: Vec<Mutex<Blobs>>,
    most_bytes: usize,
}

impl Tail {
    /// One that keeps `most_bytes` in all, an equal share for each partition.
    pub(super) fn new(partitions: PartitionCount, most_bytes: usize) -> Self {
        Self {
            partitions: partitions.all().map(|_| Mutex::default()).collect(),
            most_bytes: most_bytes / usize::from(partitions.get()),
        }
    }

    fn of(&self, partition: PartitionId) -> Option<MutexGuard<'_, Blobs>> {
        let blobs = self.partitions.get(usize::from(partition.0))?;
        Some(blobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a blob that follows the newest one of its partition, and forgets the oldest beyond its share.
    pub(super) fn push(&self, partition: PartitionId, blob: Blob) {
        let Some(mut blobs) = self.of(partition) else {
            return;
        };
        debug_assert!(
            blobs.newest.back().is_none_or(|last| last.end == blob.first),
            "a journal is dense"
        );
        blobs.bytes += blob.body.len();
        blobs.newest.push_back(blob);
        while blobs.bytes > self.most_bytes && blobs.newest.len() > 1 {
            blobs.forget_first();
        }
    }

    /// Forgets the blobs that lie wholly before `before`.
    pub(super) fn trim(&self, partition: PartitionId, before: Sequence) {
        if let Some(mut blobs) = self.of(partition) {
            while blobs.newest.front().is_some_and(|blob| blob.end <= before) {
                blobs.forget_first();
            }
        }
    }

    /// Somebody else may have written the partition meanwhile.
    pub(super) fn clear(&self, partition: PartitionId) {
        if let Some(mut blobs) = self.of(partition) {
            *blobs = Blobs::default();
        }
    }

    /// At most `most` blobs from the one that holds `from` on, but one at least; `None` if the database has to be asked.
    pub(super) fn from(&self, partition: PartitionId, from: Sequence, most: usize) -> Option<Vec<Blob>> {
        let blobs = self.of(partition)?;
        if blobs.newest.front()?.first > from {
            return None;
        }
        let start = blobs.newest.partition_point(|blob| blob.end <= from);
        let found: Vec<Blob> = blobs.newest.range(start..).take(most).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}

impl Blobs {
    fn forget_first(&mut self) {
        if let Some(first) = self.newest.pop_front() {
            self.bytes -= first.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_node_may_have_written_since_is_asked_of_the_database() {
        let tail = Tail::new(PartitionCount::DEFAULT, 1 << 20);
        let partition = PartitionId(3);
        let blob = Blob {
            first: Sequence(4),
            end: Sequence(9),
            body: Arc::from([0; 8].as_slice()),
        };
        tail.push(partition, blob);
        let firsts = |from| {
            let found = tail.from(partition, Sequence(from), 10);
            found.map(|blobs| blobs.iter().map(|blob| blob.first.0).collect::<Vec<_>>())
        };
        // (from, the blobs that are here; none if the database has to be asked)
        let cases = [
            (3, None),
            (4, Some(vec![4])),
            (8, Some(vec![4])),
            (9, None),
            (12, None),
        ];
        for (from, expected) in cases {
            assert_eq!(firsts(from), expected, "from {from}");
        }
    }
}
