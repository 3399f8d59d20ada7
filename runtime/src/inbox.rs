//! What a partition remembers of the messages it has taken, so that each has its effect once.
//!
//! Messages from outside are known by id, as many as the window holds; the journal is kept as far back as the oldest of
//! them, so that the inbox needs no storage of its own. Messages from entities come in dense streams, one for each
//! sending partition: one number for each remembers all that came before, forever.

use crate::message::{MessageId, Sequence};
use crate::placement::PartitionId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

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

#[derive(Debug)]
pub(crate) struct Inbox {
    window: usize,
    taken: HashMap<MessageId, Sequence, FixedState>,
    order: VecDeque<MessageId>,
    streams: HashMap<PartitionId, u64, FixedState>,
}

impl Inbox {
    pub(crate) fn new(window: usize) -> Self {
        let hasher = FixedState::with_seed(0x1b0c);
        Self {
            window: window.max(1),
            taken: HashMap::with_hasher(hasher.clone()),
            order: VecDeque::new(),
            streams: HashMap::with_hasher(hasher.clone()),
        }
    }

    /// The entry that took this message, if it is within the window.
    pub(crate) fn entry_of(&self, id: MessageId) -> Option<Sequence> {
        self.taken.get(&id).copied()
    }

    pub(crate) fn remember(&mut self, id: MessageId, entry: Sequence) {
        if self.taken.insert(id, entry).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.window {
            if let Some(oldest) = self.order.pop_front() {
                self.taken.remove(&oldest);
            }
        }
    }

    /// The oldest entry that the window still needs.
    pub(crate) fn oldest_entry(&self) -> Option<Sequence> {
        self.order.front().and_then(|id| self.taken.get(id)).copied()
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
