//! Reads what has become durable, entry by entry, and keeps the naive model of it.

use crate::toy::{Event, Party, Reference, State};
use lockstep_runtime::journal::{Blob, Entry};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{MessageId, Origin, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::rmp_serde;
use lockstep_runtime::store::StoreReader;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

#[derive(Default)]
pub(crate) struct Audit {
    /// By partition: the next entry to read.
    next: Vec<u64>,
    /// Messages from outside whose entry is durable, and whether that is a dead letter's.
    pub(crate) taken: HashMap<MessageId, bool>,
    /// By stream between two partitions: the last number taken.
    streams: HashMap<(PartitionId, PartitionId), u64>,
    /// By stream: the last number sent.
    sent: HashMap<(PartitionId, PartitionId), u64>,
    pub(crate) states: BTreeMap<Party, State>,
    /// Every balance there has been, by the entry that made it.
    balances: HashMap<(Party, Sequence), i64>,
    /// By partition: the effects in order.
    pub(crate) effects: BTreeMap<PartitionId, Vec<(Sequence, Vec<u8>)>>,
    pub(crate) dead_letters: usize,
}

impl Audit {
    pub(crate) fn new(partitions: PartitionCount) -> Self {
        Self {
            next: vec![1; usize::from(partitions.get())],
            ..Self::default()
        }
    }

    pub(crate) fn next(&self, partition: PartitionId) -> u64 {
        self.next[usize::from(partition.0)]
    }

    /// Reads what is new on the disk.
    pub(crate) fn read(&mut self, disk: &MemoryDisk) {
        for place in 0..self.next.len() {
            let partition = PartitionId(u16::try_from(place).unwrap());
            let from = Sequence(self.next[place]);
            disk.journal(partition, from, &mut |bytes| {
                for entry in Blob::parse(bytes).unwrap().iter() {
                    let entry = entry.unwrap();
                    if entry.sequence.0 >= self.next[place] {
                        assert_eq!(entry.sequence.0, self.next[place], "entries are dense");
                        self.next[place] += 1;
                        self.note(partition, &entry);
                    }
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        }
    }

    fn note(&mut self, partition: PartitionId, entry: &Entry<'_>) {
        match entry.origin {
            Origin::External(id) => {
                let before = self.taken.insert(id, entry.is_dead_letter);
                assert!(before.is_none(), "{id:?} has two entries");
            }
            Origin::Entity { from, sequence } => {
                let taken = self.streams.entry((from, partition)).or_default();
                assert_eq!(sequence, *taken + 1, "a stream takes each number once, in order");
                *taken = sequence;
                let sent = self.sent.get(&(from, partition)).copied().unwrap_or(0);
                assert!(
                    sequence <= sent,
                    "a message was taken before it was durable at its source"
                );
            }
            Origin::Alarm => {}
        }
        for send in entry.sends() {
            let sent = self.sent.entry((partition, send.to)).or_default();
            assert_eq!(send.sequence, *sent + 1, "a stream numbers each message once");
            *sent = send.sequence;
        }
        for (_, body) in entry.outbound() {
            let effects = self.effects.entry(partition).or_default();
            effects.push((entry.sequence, body.to_vec()));
        }
        self.dead_letters += usize::from(entry.is_dead_letter);
        if entry.has_events() {
            let party = Party::of(entry.kind, entry.entity);
            let state = self.states.entry(party).or_default();
            for event in entry.events() {
                state.apply(&rmp_serde::from_slice::<Event>(event).unwrap());
            }
            self.balances.insert((party, entry.sequence), state.balance);
        }
    }

    /// Nobody outside has seen more than what is durable.
    pub(crate) fn check_views(&self, reference: &Reference) {
        for (party, (sequence, balance)) in &*reference.views.lock().unwrap() {
            assert_eq!(
                self.balances.get(&(*party, *sequence)),
                Some(balance),
                "{party:?} is shown as it never durably was"
            );
        }
    }

    /// Every number that was sent has been taken.
    pub(crate) fn check_streams(&self) {
        for (stream, sent) in &self.sent {
            assert_eq!(
                self.streams.get(stream),
                Some(sent),
                "stream {stream:?} stands still"
            );
        }
    }

    /// Every tag that has left a trace, once for each trace.
    pub(crate) fn tags(&self) -> BTreeMap<u64, usize> {
        let mut tags = BTreeMap::new();
        for tag in self.states.values().flat_map(|state| &state.log) {
            *tags.entry(*tag).or_default() += 1;
        }
        tags
    }

    pub(crate) fn money(&self) -> i64 {
        self.states.values().map(|state| state.balance).sum()
    }

    /// Parties that something happened to.
    pub(crate) fn parties(&self) -> BTreeSet<Party> {
        self.states.keys().copied().collect()
    }
}
