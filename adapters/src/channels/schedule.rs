//! What is to be sent next and when, pure. Moments are told as the time since any fixed start.
//!
//! Invariants:
//! - a SKU waits at most once, however often it changes: memory is bounded by the number of SKUs;
//! - [`Schedule::safe`] never passes a change that the channel has not been told;
//! - the tokens taken by a request are counted from its answer, so that a channel with the same limit, whose clock
//!   for the request lies between sending and answer, never sees it exceeded.

use lockstep_actors::ids::Sku;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// What a channel allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time between two requests in the long run.
    pub interval: Duration,
    /// How many requests at once after a rest.
    pub burst: u32,
    /// How many SKUs in a request.
    pub batch: usize,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send these.
    Send(Vec<Sku>),
    /// Nothing before this moment.
    WaitUntil(Duration),
    /// Nothing until something changes.
    Rest,
}

/// The shortest and the longest pause after failures.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    partition: PartitionId,
    /// The first change that the channel has not been told.
    first: Sequence,
    since: Duration,
    not_before: Duration,
    failures: u32,
}

/// One account's schedule.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    waiting: HashMap<Sku, Waiting>,
    /// The waiting SKUs by the moment they may be sent and, then, by age.
    queue: BTreeSet<(Duration, Duration, Sku)>,
    sending: Vec<(Sku, Waiting)>,
    /// By partition: the changes that the channel has not been told, waiting or being sent.
    untold: HashMap<PartitionId, BTreeSet<Sequence>>,
    /// By partition: the newest change seen.
    seen: BTreeMap<PartitionId, Sequence>,
    /// What the channel has never been told. Until it has, no progress is safe: a start from a saved cursor would read
    /// only what changed later.
    never_told: HashSet<Sku>,
    full_at: Duration,
    not_before: Duration,
    failures: u32,
}

impl Schedule {
    /// An empty schedule.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: HashMap::new(),
            queue: BTreeSet::new(),
            sending: Vec::new(),
            untold: HashMap::new(),
            seen: BTreeMap::new(),
            never_told: HashSet::new(),
            full_at: Duration::ZERO,
            not_before: Duration::ZERO,
            failures: 0,
        }
    }

    /// The channel is new and has to be told of `sku`, which last changed at `sequence`.
    pub fn introduce(&mut self, sku: Sku, partition: PartitionId, sequence: Sequence, now: Duration) {
        self.never_told.insert(sku.clone());
        self.mark(sku, partition, sequence, now);
    }

    /// A SKU has changed.
    pub fn mark(&mut self, sku: Sku, partition: PartitionId, sequence: Sequence, now: Duration) {
        let seen = self.seen.entry(partition).or_default();
        *seen = (*seen).max(sequence);
        if self.waiting.contains_key(&sku) {
            return;
        }
        self.untold.entry(partition).or_default().insert(sequence);
        let waiting = Waiting {
            partition,
            first: sequence,
            since: now,
            not_before: now,
            failures: 0,
        };
        self.enqueue(sku, waiting);
    }

    fn enqueue(&mut self, sku: Sku, waiting: Waiting) {
        self.queue
            .insert((waiting.not_before, waiting.since, sku.clone()));
        self.waiting.insert(sku, waiting);
    }

    /// What to do at this moment. [`Next::Send`] must be followed by [`Self::answered`] or [`Self::failed`].
    pub fn next(&mut self, now: Duration) -> Next {
        let Some((due, _, _)) = self.queue.first() else {
            return Next::Rest;
        };
        let depth = self.limits.interval.saturating_mul(self.limits.burst);
        let token = (self.full_at + self.limits.interval).saturating_sub(depth);
        let moment = (*due).max(token).max(self.not_before);
        if moment > now {
            return Next::WaitUntil(moment);
        }
        let mut batch = Vec::new();
        while batch.len() < self.limits.batch
            && self.queue.first().is_some_and(|(due, _, _)| *due <= now)
            && let Some((_, _, sku)) = self.queue.pop_first()
        {
            if let Some(waiting) = self.waiting.remove(&sku) {
                self.sending.push((sku.clone(), waiting));
                batch.push(sku);
            }
        }
        Next::Send(batch)
    }

    /// The channel looked at each SKU: `taken` says of which it took the level, in the order they were given out.
    pub fn answered(&mut self, taken: &[bool], now: Duration) {
        self.charge(now);
        self.failures = 0;
        let sent = std::mem::take(&mut self.sending);
        for (place, (sku, waiting)) in sent.into_iter().enumerate() {
            if taken.get(place) == Some(&true) {
                self.never_told.remove(&sku);
                self.told(waiting);
            } else {
                let failures = waiting.failures.saturating_add(1);
                let not_before = now.saturating_add(back_off(failures));
                self.wait_again(
                    sku,
                    Waiting {
                        failures,
                        not_before,
                        ..waiting
                    },
                );
            }
        }
    }

    /// The channel took nothing for sure: all wait again, for `pause` or, without one, for longer with each failure.
    /// `jitter` is any number; it spreads accounts that failed together.
    pub fn failed(&mut self, pause: Option<Duration>, jitter: u32, now: Duration) {
        self.charge(now);
        self.failures = self.failures.saturating_add(1);
        let pause = pause
            .unwrap_or_else(|| back_off(self.failures))
            .min(LONGEST_PAUSE);
        let spread = pause / 4 * (jitter % 1_000) / 1_000;
        self.not_before = now.saturating_add(pause).saturating_add(spread);
        let sent = std::mem::take(&mut self.sending);
        for (sku, waiting) in sent {
            self.wait_again(sku, waiting);
        }
    }

    fn charge(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now) + self.limits.interval;
    }

    fn told(&mut self, waiting: Waiting) {
        if let Some(untold) = self.untold.get_mut(&waiting.partition) {
            untold.remove(&waiting.first);
        }
    }

    /// Queues a SKU again; if it has changed meanwhile, the two become one with the older first change.
    fn wait_again(&mut self, sku: Sku, waiting: Waiting) {
        if let Some(newer) = self.waiting.remove(&sku) {
            self.queue.remove(&(newer.not_before, newer.since, sku.clone()));
            self.told(newer);
        }
        self.enqueue(sku, waiting);
    }

    /// By partition: up to where the channel has been told everything.
    pub fn safe(&self) -> impl Iterator<Item = (PartitionId, Sequence)> {
        let told = self.seen.iter().filter(|_| self.never_told.is_empty());
        told.map(|(partition, seen)| {
            let first = self.untold.get(partition).and_then(BTreeSet::first);
            (
                *partition,
                first.map_or(*seen, |first| Sequence(first.0.saturating_sub(1))),
            )
        })
    }

    /// How many SKUs the channel has not been told.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.waiting.len() + self.sending.len()
    }

    /// Since when the oldest of them has waited. Looks at each.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        let sending = self.sending.iter().map(|(_, waiting)| waiting.since);
        self.waiting
            .values()
            .map(|waiting| waiting.since)
            .chain(sending)
            .min()
    }
}

fn back_off(failures: u32) -> Duration {
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(0);

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn schedule(interval: u64, burst: u32, batch: usize) -> Schedule {
        Schedule::new(Limits {
            interval: at(interval),
            burst,
            batch,
        })
    }

    fn sku(name: &str) -> Sku {
        Sku::new(name).unwrap()
    }

    fn safe(schedule: &Schedule) -> u64 {
        schedule.safe().next().unwrap().1.0
    }

    #[test]
    fn changes_of_one_sku_are_sent_once_and_the_cursor_waits_for_the_oldest() {
        let mut schedule = schedule(1, 100, 10);
        for (name, sequence) in [("A", 3), ("B", 4), ("A", 5), ("A", 9)] {
            schedule.mark(sku(name), P, Sequence(sequence), at(0));
        }
        assert_eq!(safe(&schedule), 2);
        assert_eq!(schedule.next(at(0)), Next::Send(vec![sku("A"), sku("B")]));
        // It changes while it is being sent: it is sent again.
        schedule.mark(sku("A"), P, Sequence(12), at(1));
        schedule.answered(&[true, false], at(1));
        assert_eq!(safe(&schedule), 3, "B has not been taken");
        assert_eq!(schedule.next(at(1)), Next::Send(vec![sku("A")]));
        schedule.answered(&[true], at(2));
        assert_eq!(schedule.next(at(2)), Next::WaitUntil(at(101)));
        assert_eq!(schedule.next(at(101)), Next::Send(vec![sku("B")]));
        schedule.answered(&[true], at(102));
        assert_eq!((safe(&schedule), schedule.dirty()), (12, 0));
        assert_eq!(schedule.next(at(102)), Next::Rest);
    }

    #[test]
    fn a_new_channel_makes_no_progress_until_it_was_told_everything_once() {
        let mut schedule = schedule(1, 100, 1);
        schedule.introduce(sku("A"), P, Sequence(9), at(0));
        schedule.introduce(sku("B"), P, Sequence(4), at(0));
        assert_eq!(schedule.next(at(0)), Next::Send(vec![sku("A")]));
        schedule.answered(&[true], at(1));
        schedule.mark(sku("A"), P, Sequence(12), at(1));
        assert_eq!(schedule.safe().count(), 0);
        assert_eq!(schedule.next(at(1)), Next::Send(vec![sku("B")]));
        schedule.answered(&[true], at(2));
        assert_eq!(safe(&schedule), 11, "only what A became at 12 is left to tell");
    }

    #[test]
    fn a_failed_batch_waits_as_long_as_the_channel_says_and_is_merged_with_what_changed() {
        let mut schedule = schedule(1, 100, 10);
        schedule.mark(sku("A"), P, Sequence(1), at(0));
        assert_eq!(schedule.next(at(0)), Next::Send(vec![sku("A")]));
        schedule.mark(sku("A"), P, Sequence(2), at(1));
        schedule.failed(Some(at(500)), 0, at(10));
        assert_eq!((safe(&schedule), schedule.dirty()), (0, 1));
        assert_eq!(schedule.next(at(10)), Next::WaitUntil(at(510)));
        assert_eq!(schedule.next(at(510)), Next::Send(vec![sku("A")]));
        schedule.answered(&[true], at(511));
        assert_eq!((safe(&schedule), schedule.dirty()), (2, 0));
    }

    #[test]
    fn a_strict_bucket_at_the_channel_never_overflows() {
        // The channel's bucket sees each request at a moment between sending and answer.
        let (interval, burst) = (at(10), 3);
        let mut schedule = Schedule::new(Limits {
            interval,
            burst,
            batch: 1,
        });
        let (mut now, mut full_at) = (Duration::ZERO, Duration::ZERO);
        for n in 0_u64..2_000 {
            schedule.mark(sku(&n.to_string()), P, Sequence(n + 1), now);
            loop {
                match schedule.next(now) {
                    Next::Send(_) => break,
                    Next::WaitUntil(moment) => now = moment,
                    Next::Rest => panic!("something waits"),
                }
            }
            let (delay, answer) = (at(n * 7 % 23), at(n * 11 % 17));
            let seen = now + delay;
            full_at = full_at.max(seen) + interval;
            assert!(full_at <= seen + interval * burst, "request {n}");
            now = seen + answer;
            schedule.answered(&[true], now);
        }
    }
}
