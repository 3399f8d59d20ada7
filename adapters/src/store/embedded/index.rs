//! Which blobs the journal of one partition holds, in memory.
//!
//! With it a reader goes straight to the blobs it wants and never walks over what was trimmed, and the engine's compaction
//! can drop trimmed blobs without a tombstone for each. It costs 24 bytes a blob; it is rebuilt from the keys alone.

use super::layout::BlobKey;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct JournalIndex {
    blobs: VecDeque<Indexed>,
}

#[derive(Clone, Copy, Debug)]
struct Indexed {
    key: BlobKey,
    bytes: u32,
}

impl JournalIndex {
    /// Takes the next blob, of so many bytes (0 if that is not known); `false` if it does not begin where the last one ends.
    pub(super) fn push(&mut self, key: BlobKey, bytes: usize) -> bool {
        let dense = self.end().is_none_or(|end| end == key.first);
        if dense {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.blobs.push_back(Indexed { key, bytes });
        }
        dense
    }

    /// Forgets the blobs that lie wholly before a sequence. Says how many bytes they had, as far as that is known.
    pub(super) fn trim(&mut self, before: u64) -> u64 {
        let mut bytes = 0;
        while let Some(blob) = self.blobs.pop_front_if(|blob| blob.key.end() <= before) {
            bytes += u64::from(blob.bytes);
        }
        if self.blobs.len() < self.blobs.capacity() / 4 {
            self.blobs.shrink_to(self.blobs.len() * 2);
        }
        bytes
    }

    /// Whether trimming there would drop a blob.
    pub(super) fn can_trim(&self, before: u64) -> bool {
        self.blobs.front().is_some_and(|blob| blob.key.end() <= before)
    }

    /// Up to `most` blobs from the one that holds `from`, or the first after it, on.
    pub(super) fn from(&self, from: u64, most: usize) -> Vec<BlobKey> {
        let start = self.blobs.partition_point(|blob| blob.key.end() <= from);
        let found = self.blobs.range(start..).take(most);
        found.map(|blob| blob.key).collect()
    }

    pub(super) fn holds(&self, blob: &BlobKey) -> bool {
        self.first().is_some_and(|first| first <= blob.first)
    }

    /// The sequence after the last entry.
    pub(super) fn end(&self) -> Option<u64> {
        self.blobs.back().map(|blob| blob.key.end())
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.blobs.front().map(|blob| blob.key.first)
    }
}
