//! What a partition remembers of the messages it has taken, so that each has its effect once.
//!
//! Messages from outside are known by id, as many as the window holds; the journal is kept as far back as the oldest of
//! them, so that the inbox needs no storage of its own. Messages from entities come in dense streams, one for each
//! sending partition: one number for each remembers all that came before, forever.

use crate::message::{MessageId, Sequence};
use crate::placement::PartitionId;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

/// How a message in a dense stream relates to those already taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamPlace {
    /// The next one.
    Next,
    /// Already taken.
    Repeated,
    /// One before it has not come yet; the sender will send both again.
    Early,
}

/// A message from outside and the entry that took it. The id stands in two halves: as one number it would be aligned to
/// 16 bytes, and there are millions of these.
#[derive(Clone, Copy, Debug)]
struct Taken {
    id: [u64; 2],
    entry: Sequence,
}

fn halves(MessageId(id): MessageId) -> [u64; 2] {
    let (high, low) = (id >> 64, id & u128::from(u64::MAX));
    // Both fit by construction.
    [high, low].map(|half| u64::try_from(half).unwrap_or_default())
}

#[derive(Debug)]
pub(crate) struct Inbox {
    window: usize,
    /// A ring once it is as long as the window: `oldest` is the place that is written next.
    taken: Vec<Taken>,
    oldest: usize,
    /// Places in `taken`, by id.
    index: HashTable<u32>,
    streams: HashMap<PartitionId, u64, FixedState>,
    hasher: FixedState,
}

impl Inbox {
    pub(crate) fn new(window: usize) -> Self {
        let hasher = FixedState::with_seed(0x1b0c);
        Self {
            window: window.clamp(1, u32::MAX as usize),
            taken: Vec::new(),
            oldest: 0,
            index: HashTable::new(),
            streams: HashMap::with_hasher(hasher.clone()),
            hasher,
        }
    }

    fn find(&self, id: [u64; 2]) -> Option<usize> {
        self.index
            .find(self.hasher.hash_one(id), |&place| {
                self.taken[place as usize].id == id
            })
            .map(|&place| place as usize)
    }

    /// The entry that took this message, if it is within the window.
    pub(crate) fn entry_of(&self, id: MessageId) -> Option<Sequence> {
        self.find(halves(id)).map(|place| self.taken[place].entry)
    }

    /// Notes a message that [`Inbox::entry_of`] does not know.
    pub(crate) fn remember(&mut self, id: MessageId, entry: Sequence) {
        let id = halves(id);
        let new = Taken { id, entry };
        let place = self.oldest;
        if self.taken.len() < self.window {
            self.taken.push(new);
        } else {
            self.forget(place);
            self.taken[place] = new;
        }
        self.oldest = if place + 1 < self.window { place + 1 } else { 0 };
        let (taken, hasher) = (&self.taken, &self.hasher);
        self.index.insert_unique(
            hasher.hash_one(id),
            u32::try_from(place).unwrap_or(u32::MAX),
            |&other| hasher.hash_one(taken[other as usize].id),
        );
    }

    fn forget(&mut self, place: usize) {
        let hash = self.hasher.hash_one(self.taken[place].id);
        if let Ok(found) = self.index.find_entry(hash, |&other| other as usize == place) {
            found.remove();
        }
    }

    /// The oldest entry that the window still needs.
    pub(crate) fn oldest_entry(&self) -> Option<Sequence> {
        let full = self.taken.len() == self.window;
        let oldest = if full { self.oldest } else { 0 };
        self.taken.get(oldest).map(|taken| taken.entry)
    }

    pub(crate) fn place(&self, from: PartitionId, sequence: u64) -> StreamPlace {
        let taken = self.streams.get(&from).copied().unwrap_or(0);
        match sequence {
            sequence if sequence <= taken => StreamPlace::Repeated,
            sequence if sequence == taken + 1 => StreamPlace::Next,
            _ => StreamPlace::Early,
        }
    }

    /// Notes everything of a stream up to `sequence` as taken.
    pub(crate) fn advance(&mut self, from: PartitionId, sequence: u64) {
        let taken = self.streams.entry(from).or_insert(0);
        *taken = (*taken).max(sequence);
    }

    pub(crate) fn streams(&self) -> Vec<(PartitionId, u64)> {
        self.streams
            .iter()
            .map(|(&from, &sequence)| (from, sequence))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_the_oldest_first() {
        let mut inbox = Inbox::new(2);
        for n in 1..=3_u64 {
            inbox.remember(MessageId(n.into()), Sequence(n));
        }
        assert_eq!(inbox.entry_of(MessageId(1)), None);
        assert_eq!(inbox.entry_of(MessageId(3)), Some(Sequence(3)));
        assert_eq!(inbox.oldest_entry(), Some(Sequence(2)));
    }

    #[test]
    fn the_window_goes_round_and_knows_exactly_the_newest() {
        let mut inbox = Inbox::new(3);
        assert_eq!(inbox.oldest_entry(), None);
        for n in 1..=100_u64 {
            let id = |n: u64| MessageId(u128::from(n) << 64 | u128::from(!n));
            inbox.remember(id(n), Sequence(n));
            for known in 1..=n {
                let expected = (known + 3 > n).then_some(Sequence(known));
                assert_eq!(inbox.entry_of(id(known)), expected, "{known} after {n}");
            }
            assert_eq!(inbox.oldest_entry(), Some(Sequence(n.saturating_sub(2).max(1))));
        }
    }

    #[test]
    fn a_stream_takes_each_number_once_and_in_order() {
        let mut inbox = Inbox::new(1);
        let from = PartitionId(7);
        assert_eq!(inbox.place(from, 2), StreamPlace::Early);
        assert_eq!(inbox.place(from, 1), StreamPlace::Next);
        inbox.advance(from, 1);
        assert_eq!(inbox.place(from, 1), StreamPlace::Repeated);
        assert_eq!(inbox.place(from, 2), StreamPlace::Next);
    }
}
