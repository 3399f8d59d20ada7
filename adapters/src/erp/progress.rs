//! How far a consumer is in each partition when entries are dealt with out of order, pure.
//!
//! Invariant: everything up to what is reported as dealt with is dealt with.

use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::{BTreeMap, HashMap};

/// The entries that have been begun.
#[derive(Debug, Default)]
pub struct Progress {
    /// By partition: the entries begun and not yet reported, and whether each is done.
    begun: HashMap<PartitionId, BTreeMap<Sequence, bool>>,
}

impl Progress {
    /// An entry is begun.
    pub fn begin(&mut self, partition: PartitionId, sequence: Sequence) {
        self.begun.entry(partition).or_default().insert(sequence, false);
    }

    /// Marks an entry as dealt with; the new end of what is dealt with without gaps, if it has moved.
    pub fn finish(&mut self, partition: PartitionId, sequence: Sequence) -> Option<Sequence> {
        let begun = self.begun.get_mut(&partition)?;
        *begun.get_mut(&sequence)? = true;
        let mut end = None;
        while let Some(first) = begun.first_entry()
            && *first.get()
        {
            end = Some(first.remove_entry().0);
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_waits_for_the_slowest_of_its_partition() {
        let mut progress = Progress::default();
        let (p, q) = (PartitionId(1), PartitionId(2));
        for sequence in [3, 5, 9] {
            progress.begin(p, Sequence(sequence));
        }
        progress.begin(q, Sequence(4));
        assert_eq!(progress.finish(p, Sequence(5)), None);
        assert_eq!(progress.finish(q, Sequence(4)), Some(Sequence(4)));
        assert_eq!(progress.finish(p, Sequence(3)), Some(Sequence(5)));
        assert_eq!(progress.finish(p, Sequence(9)), Some(Sequence(9)));
        assert_eq!(progress.finish(p, Sequence(9)), None);
    }
}
