//! Whose turn it is: the requests of one order one after the other, of different orders side by side. Pure.
//!
//! Invariants:
//! - of one order at most one entry is out at a time, and they go out as they stand in the journal: after a crash a booking
//!   and the look at what stands are read together, and the look must not come first;
//! - what is kept here waits for the entry before it alone; when it goes out is the caller's affair.

use lockstep_runtime::feed::FeedEntry;
use std::collections::{HashMap, VecDeque};

/// The entries that wait for their turn.
#[derive(Debug, Default)]
pub struct Turns {
    /// By order with an entry out or ready: what comes after it.
    behind: HashMap<Box<[u8]>, VecDeque<FeedEntry>>,
    ready: VecDeque<FeedEntry>,
}

impl Turns {
    /// Takes in an entry that was read.
    pub fn add(&mut self, entry: FeedEntry) {
        match self.behind.get_mut(&entry.entity) {
            Some(queue) => queue.push_back(entry),
            None => {
                self.behind.insert(entry.entity.clone(), VecDeque::new());
                self.ready.push_back(entry);
            }
        }
    }

    /// The next entry that may go out.
    pub fn next_entry(&mut self) -> Option<FeedEntry> {
        self.ready.pop_front()
    }

    /// The entry of `order` that was out is dealt with: it is the turn of the one behind it.
    pub fn dealt_with(&mut self, order: &[u8]) {
        match self.behind.get_mut(order).and_then(VecDeque::pop_front) {
            Some(entry) => self.ready.push_back(entry),
            None => drop(self.behind.remove(order)),
        }
    }

    /// How many entries are kept.
    pub fn kept(&self) -> usize {
        self.ready.len() + self.behind.values().map(VecDeque::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_runtime::entity::EntityKind;
    use lockstep_runtime::message::{Provenance, Sequence};
    use lockstep_runtime::placement::PartitionId;
    use lockstep_runtime::time::Timestamp;

    fn entry(order: &str, sequence: u64) -> FeedEntry {
        FeedEntry {
            partition: PartitionId(0),
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(0),
            kind: EntityKind(4),
            entity: order.as_bytes().into(),
            provenance: Provenance {
                source: "web".into(),
                correlation: "c".into(),
                causation: None,
            },
            message: None,
            outbound: Vec::new(),
        }
    }

    #[test]
    fn a_look_at_what_stands_waits_for_the_booking_before_it_and_other_orders_do_not() {
        let mut turns = Turns::default();
        for (order, sequence) in [("A", 1), ("A", 2), ("B", 3), ("A", 4)] {
            turns.add(entry(order, sequence));
        }
        let out = |turns: &mut Turns| turns.next_entry().map(|entry| entry.sequence.0);
        assert_eq!(
            (out(&mut turns), out(&mut turns), out(&mut turns)),
            (Some(1), Some(3), None)
        );
        assert_eq!(turns.kept(), 2);
        turns.dealt_with(b"B");
        assert_eq!(out(&mut turns), None);
        turns.dealt_with(b"A");
        assert_eq!((out(&mut turns), out(&mut turns)), (Some(2), None));
        turns.dealt_with(b"A");
        assert_eq!(out(&mut turns), Some(4));
        turns.dealt_with(b"A");
        // Nobody is out any more: the next one goes at once.
        turns.add(entry("A", 5));
        assert_eq!((out(&mut turns), turns.kept()), (Some(5), 0));
    }
}
