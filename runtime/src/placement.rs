//! Where an entity lives: its key names a partition, and a partition belongs to one shard at a time.
//!
//! The number of partitions is fixed when a store is created; the number of shards may change with every start. Several
//! nodes share the partitions: [`assign`] says who should have which, [`Places`] which ones this node has.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A partition of the key space, `0..P`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

/// How many partitions there are: between 1 and 4,096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartitionCount(u16);

/// The partition count lies outside what the runtime supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partitions must be between 1 and 4096, not {0}")]
pub struct InvalidPartitionCount(u16);

impl PartitionCount {
    /// 256 partitions: enough to spread over a hundred nodes, few enough that each batch fills its share.
    pub const DEFAULT: Self = Self(256);

    /// Checks the range.
    ///
    /// # Errors
    /// [`InvalidPartitionCount`] if `count` is 0 or above 4,096.
    pub const fn new(count: u16) -> Result<Self, InvalidPartitionCount> {
        if count == 0 || count > 4096 {
            return Err(InvalidPartitionCount(count));
        }
        Ok(Self(count))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The partition of a routing key: `crc32(key) mod P`, the IEEE polynomial that zlib uses, so that a producer
    /// in any language can compute it.
    #[must_use]
    pub fn partition_of(self, routing_key: &[u8]) -> PartitionId {
        let partition = crc32fast::hash(routing_key) % u32::from(self.0);
        PartitionId(u16::try_from(partition).unwrap_or(0))
    }

    /// All partitions in order.
    pub fn all(self) -> impl Iterator<Item = PartitionId> {
        (0..self.0).map(PartitionId)
    }
}

impl TryFrom<u16> for PartitionCount {
    type Error = InvalidPartitionCount;
    fn try_from(count: u16) -> Result<Self, Self::Error> {
        Self::new(count)
    }
}

impl From<PartitionCount> for u16 {
    fn from(count: PartitionCount) -> Self {
        count.0
    }
}

/// Who should have which partition, given who has it now: the shares of two nodes differ by one at most, and as few
/// partitions move as that allows. A pure function: all nodes that see the same come to the same.
///
/// `present` is by partition; owners that are not among `nodes` count as none. Without nodes nobody has anything.
#[must_use]
pub fn assign<N: Ord + Clone>(present: &[Option<N>], nodes: &BTreeSet<N>) -> Vec<Option<N>> {
    let mut held: BTreeMap<&N, usize> = nodes.iter().map(|node| (node, 0)).collect();
    for owner in present.iter().flatten() {
        if let Some(count) = held.get_mut(owner) {
            *count += 1;
        }
    }
    let mut room = shares(present.len(), &held);
    let keep = |owner: &Option<N>| {
        let left = room.get_mut(owner.as_ref()?)?;
        *left = left.checked_sub(1)?;
        owner.clone()
    };
    let mut assigned: Vec<Option<N>> = present.iter().map(keep).collect();
    let mut free = room
        .iter()
        .flat_map(|(node, left)| std::iter::repeat_n(*node, *left));
    for place in assigned.iter_mut().filter(|place| place.is_none()) {
        *place = free.next().cloned();
    }
    assigned
}

/// How many partitions each node should have. What does not come out even goes to those that have the most.
fn shares<'a, N: Ord>(partitions: usize, held: &BTreeMap<&'a N, usize>) -> BTreeMap<&'a N, usize> {
    let Some(even) = partitions.checked_div(held.len()) else {
        return BTreeMap::new();
    };
    let odd = partitions % held.len();
    let mut by_holding: Vec<(&N, usize)> = held.iter().map(|(node, count)| (*node, *count)).collect();
    by_holding.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let share = |(rank, (node, _)): (usize, (&'a N, usize))| (node, even + usize::from(rank < odd));
    by_holding.into_iter().enumerate().map(share).collect()
}

/// Whether this node has a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Another node has it, or nobody.
    Elsewhere,
    /// It is being acquired and loaded, and takes no messages yet.
    Coming,
    /// It is here and takes messages.
    Here,
    /// It is here and takes no more messages: what was decided is being stored.
    Leaving,
}

/// Which partitions this node has, and until when it may believe so.
#[derive(Debug)]
pub struct Places {
    places: Vec<AtomicU8>,
    changes: watch::Sender<u64>,
    began: Instant,
    /// Until when the node's lease lasts, in nanoseconds since it began.
    until: AtomicU64,
    /// Of when the read models of others' partitions are, in nanoseconds since it began; [`NEVER`] if there are none.
    followed: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Places {
    pub(crate) fn new(partitions: PartitionCount, place: Place) -> Self {
        Self {
            places: partitions.all().map(|_| AtomicU8::new(code(place))).collect(),
            changes: watch::Sender::new(0),
            began: Instant::now(),
            until: AtomicU64::new(u64::MAX),
            followed: AtomicU64::new(NEVER),
        }
    }

    pub(crate) fn set(&self, partition: PartitionId, place: Place) {
        if let Some(known) = self.places.get(usize::from(partition.0))
            && known.swap(code(place), Ordering::AcqRel) != code(place)
        {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// The same for one that is in a place, and nothing for one that no longer is: shards and whoever moves partitions look at
    /// them at the same time.
    pub(crate) fn change(&self, partition: PartitionId, from: Place, to: Place) -> bool {
        let changed = self.places.get(usize::from(partition.0)).is_some_and(|known| {
            known
                .compare_exchange(code(from), code(to), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        });
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
        changed
    }

    /// Where a partition is.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> Place {
        let known = self.places.get(usize::from(partition.0));
        match known.map_or(0, |known| known.load(Ordering::Acquire)) {
            1 => Place::Here,
            2 => Place::Leaving,
            3 => Place::Coming,
            _ => Place::Elsewhere,
        }
    }

    /// Whether this node has no state of a partition: what is for it goes to whoever has it, what happens in it is read from there.
    #[must_use]
    pub fn is_away(&self, partition: PartitionId) -> bool {
        matches!(self.of(partition), Place::Elsewhere | Place::Coming)
    }

    /// Whether messages for a partition are taken here: it is here, and the lease lasts.
    #[must_use]
    pub fn is_here(&self, partition: PartitionId) -> bool {
        self.of(partition) == Place::Here && self.lease_lasts()
    }

    /// Whether the node may believe that what it has is its own.
    pub(crate) fn lease_lasts(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == u64::MAX || self.began.elapsed() < Duration::from_nanos(until)
    }

    /// The lease lasts until then, by this machine's clock that only runs forward. Without a lease it lasts for ever.
    pub fn lease_until(&self, until: Instant) {
        let nanos = until.saturating_duration_since(self.began).as_nanos();
        self.until
            .store(u64::try_from(nanos).unwrap_or(u64::MAX - 1), Ordering::Release);
    }

    /// The read models of others' partitions have all that was committed at that moment.
    pub fn followed(&self, at: Instant) {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        self.followed
            .store(u64::try_from(nanos).unwrap_or(NEVER - 1), Ordering::Release);
    }

    /// How old the read models of others' partitions are at most; `None` if nobody else has any.
    #[must_use]
    pub fn read_model_age(&self) -> Option<Duration> {
        let followed = self.followed.load(Ordering::Acquire);
        (followed != NEVER).then(|| {
            self.began
                .elapsed()
                .saturating_sub(Duration::from_nanos(followed))
        })
    }

    /// The partitions that are in this place, in order.
    #[must_use]
    pub fn all(&self, place: Place) -> Vec<PartitionId> {
        let everything = (0..).map(PartitionId).take(self.places.len());
        everything
            .filter(|partition| self.of(*partition) == place)
            .collect()
    }

    /// Tells of every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

const fn code(place: Place) -> u8 {
    match place {
        Place::Elsewhere => 0,
        Place::Here => 1,
        Place::Leaving => 2,
        Place::Coming => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn read_models_of_others_are_as_old_as_the_last_look_at_all_of_them() {
        let places = Places::new(PartitionCount::DEFAULT, Place::Elsewhere);
        assert_eq!(places.read_model_age(), None, "nobody else has any");
        places.followed(places.began);
        let age = places.read_model_age().unwrap();
        assert!(age <= places.began.elapsed());
        places.followed(Instant::now() + Duration::from_secs(60));
        assert_eq!(places.read_model_age(), Some(Duration::ZERO));
    }

    fn nodes(names: &str) -> BTreeSet<char> {
        names.chars().collect()
    }

    /// By partition, `-` for nobody.
    fn owners(text: &str) -> Vec<Option<char>> {
        text.chars().map(|name| (name != '-').then_some(name)).collect()
    }

    fn text(owners: &[Option<char>]) -> String {
        owners.iter().map(|owner| owner.unwrap_or('-')).collect()
    }

    #[test]
    fn partitions_go_where_they_should_and_stay_where_they_may() {
        let cases = [
            ("the first node takes everything", "------", "a", "aaaaaa"),
            (
                "a second takes half, and no other moves",
                "aaaaaa",
                "ab",
                "aaabbb",
            ),
            ("a third takes a third from each", "aaabbb", "abc", "aacbbc"),
            ("a dead one's share is spread", "aacbbc", "ab", "aaabbb"),
            ("who leaves has nothing", "aaabbb", "b", "bbbbbb"),
            ("uneven: who has more keeps more", "aaabb", "ab", "aaabb"),
            (
                "uneven: the same seen from the other side",
                "aabbb",
                "ab",
                "aabbb",
            ),
            ("more nodes than partitions", "aa", "abc", "ab"),
            ("no node, no owner", "aab", "", "---"),
            ("what fits stays as it is", "abcabc", "abc", "abcabc"),
        ];
        for (rule, present, alive, expected) in cases {
            let assigned = assign(&owners(present), &nodes(alive));
            assert_eq!(text(&assigned), expected, "{rule}");
        }
    }

    proptest! {
        #[test]
        fn shares_are_even_nothing_moves_needlessly_and_a_second_look_changes_nothing(
            present in prop::collection::vec(prop::option::of(0_u8..6), 1..80),
            alive in prop::collection::btree_set(0_u8..6, 1..6),
        ) {
            let assigned = assign(&present, &alive);
            let count = |of: &[Option<u8>], node: u8| of.iter().filter(|owner| **owner == Some(node)).count();
            let shares: Vec<usize> = alive.iter().map(|node| count(&assigned, *node)).collect();
            prop_assert!(assigned.iter().all(|owner| owner.is_some_and(|node| alive.contains(&node))));
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{shares:?}");
            // The most that can stay: each node's holding up to its share, the larger shares with those that have more.
            let mut holdings: Vec<usize> = alive.iter().map(|node| count(&present, *node)).collect();
            holdings.sort_unstable_by(|one, other| other.cmp(one));
            let (even, odd) = (present.len() / alive.len(), present.len() % alive.len());
            let can_stay: usize = (0..).zip(&holdings).map(|(rank, held)| *held.min(&(even + usize::from(rank < odd)))).sum();
            let stay = present.iter().zip(&assigned).filter(|(before, after)| before == after).count();
            prop_assert_eq!(stay, can_stay);
            prop_assert_eq!(&assign(&assigned, &alive), &assigned);
        }
    }
}
