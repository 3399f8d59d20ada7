//! Which blobs the journal of one partition holds, in memory.
//!
//! With it a reader goes straight to the blobs it wants and never walks over what was trimmed, and the engine's compaction
//! can drop trimmed blobs without a tombstone for each. It costs 16 bytes a blob; it is rebuilt from the keys alone.

use super::layout::BlobKey;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct JournalIndex {
    blobs: VecDeque<BlobKey>,
}

impl JournalIndex {
    /// Takes the next blob; `false` if it does not begin where the last one ends.
    pub(super) fn push(&mut self, blob: BlobKey) -> bool {
        let dense = self.blobs.back().is_none_or(|last| last.end() == blob.first);
        if dense {
            self.blobs.push_back(blob);
        }
        dense
    }

    /// Forgets the blobs that lie wholly before a sequence.
    pub(super) fn trim(&mut self, before: u64) {
        while self.blobs.front().is_some_and(|blob| blob.end() <= before) {
            self.blobs.pop_front();
        }
        if self.blobs.len() < self.blobs.capacity() / 4 {
            self.blobs.shrink_to(self.blobs.len() * 2);
        }
    }

    /// Whether trimming there would drop a blob.
    pub(super) fn can_trim(&self, before: u64) -> bool {
        self.blobs.front().is_some_and(|blob| blob.end() <= before)
    }

    /// Up to `most` blobs from the one that holds `from`, or the first after it, on.
    pub(super) fn from(&self, from: u64, most: usize) -> Vec<BlobKey> {
        let start = self.blobs.partition_point(|blob| blob.end() <= from);
        self.blobs.range(start..).take(most).copied().collect()
    }

    pub(super) fn holds(&self, blob: &BlobKey) -> bool {
        self.blobs.front().is_some_and(|first| first.first <= blob.first)
    }

    /// The sequence after the last entry.
    pub(super) fn end(&self) -> Option<u64> {
        self.blobs.back().map(BlobKey::end)
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.blobs.front().map(|blob| blob.first)
    }
}
