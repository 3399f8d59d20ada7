//! The queue of one kind of update: what waits, in which order it goes, what the channel is known to show.
//!
//! Invariants:
//! - a key waits at most once, however often it changes, and is in at most one request (S51): memory is bounded by the
//!   number of keys;
//! - the most pressing goes first, but every [`CYCLE`]th item is the oldest that waits, so the one with `k` older ones
//!   before it leaves within `CYCLE * (k + 1)` items of its kind; and where nothing urgent waits, another of each cycle is
//!   of the background;
//! - a key that a bulk carries may be in a request beside it. Until the bulk has ended no value of the key counts as told for good;
//! - a quantity that rises waits for a price of its SKU that waits or is under way (S55); one that falls waits for nothing.

use super::ages::Ages;
use super::content::{Content, Key, Kind, Measure, Newest, Urgency};
use super::exceptions::Exceptions;
use super::operation::OperationId;
use super::progress::{Mark, Progress};
use super::{Guard, Moment, Tells};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// Of so many items that leave one is the oldest, and one of the background.
pub const CYCLE: u32 = 16;
const OLDEST_TURN: u32 = 7;
const BACKGROUND_TURN: u32 = 15;
/// How many keys may wait for a look at what the channel shows.
pub const MAX_AUDITS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Live,
    Background,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    /// A request with it has failed.
    Again,
    /// It was taken, but an earlier request may still come through.
    Confirming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    /// What the channel shows is to be read first.
    Reading,
    Delayed,
    /// It goes by the next bulk.
    ForBulk,
    /// Until a request with the key has been answered, or its price told.
    Parked,
}

/// A key that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The first change that the channel has not been told.
    pub(super) mark: Option<Mark>,
    pub(super) since: Moment,
    pub(super) class: Class,
    pub(super) attempt: Attempt,
    pub(super) not_before: Moment,
    /// How often the channel failed with this item alone.
    pub(super) failures: u32,
    /// With how many it may share a request.
    pub(super) together: usize,
    /// Whether it is written by itself, because a bulk could not be taken with it.
    pub(super) singly: bool,
    /// Its newest content, where that comes with the change.
    pub(super) brought: Option<Box<Newest>>,
    measure: Option<Measure>,
    urgency: Urgency,
    place: Place,
}

impl Waiting {
    pub(super) fn new(mark: Option<Mark>, class: Class, measure: Option<Measure>, now: Moment) -> Self {
        Self {
            mark,
            since: now,
            class,
            attempt: Attempt::First,
            not_before: now,
            failures: 0,
            together: usize::MAX,
            singly: false,
            brought: None,
            measure,
            urgency: Urgency::Routine,
            place: Place::Parked,
        }
    }
}

/// What the channel is known to show of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    This(Measure),
    /// Something of ours, but the number is not known.
    Unknown,
    /// Either of two things.
    Doubt,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) version: u64,
    pub(super) shows: Shows,
    /// The print of the content that it certainly shows.
    pub(super) print: Option<u64>,
}

impl Held {
    /// Without knowing the whole content.
    pub(super) fn new(version: u64, shows: Shows) -> Self {
        let print = None;
        Self {
            version,
            shows,
            print,
        }
    }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Items that the channel took.
    pub taken: u64,
    /// Items of requests or of their own that failed and are sent again.
    pub retried: u64,
    /// Items that the channel refused for good.
    pub refused: u64,
    /// Items of which the channel showed something else than was expected when they were to be replaced.
    pub conflicts: u64,
    /// Items of which it is not known whether the channel took them.
    pub doubted: u64,
    /// Keys looked at by sampling.
    pub sampled: u64,
    /// Of these, keys of which the channel showed something else than it was told.
    pub drifted: u64,
}

/// Telling everything again.
#[derive(Debug, Default)]
pub(super) struct Background {
    /// All of it, in order.
    keys: Vec<Key>,
    /// The place of the next one to be queued.
    next: usize,
    /// All before this place have been told.
    told: usize,
    /// What has not been told since it began.
    pub(super) left: HashSet<Key>,
    pub(super) total: usize,
    pub(super) paused: bool,
    /// Whether the channel is new, so that no progress is safe before the end.
    pub(super) introduces: bool,
    /// Whether it goes by bulks.
    by_bulk: bool,
    waiting: usize,
}

/// How a lane tells everything at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bulk {
    pub(super) write: OperationId,
    pub(super) poll: OperationId,
    pub(super) at_least: usize,
    pub(super) within: Duration,
}

pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) write: OperationId,
    pub(super) read: Option<OperationId>,
    pub(super) poll: Option<OperationId>,
    pub(super) guard: Guard,
    pub(super) final_word_within: Duration,
    pub(super) tells: Tells,
    pub(super) bulk: Option<Bulk>,
    waiting: HashMap<Key, Waiting>,
    ready: BTreeSet<(Urgency, Moment, Key)>,
    /// Those of `ready` that are live.
    by_age: BTreeSet<(Moment, Key)>,
    to_read: BTreeSet<(Urgency, Moment, Key)>,
    delayed: BTreeSet<(Moment, Key)>,
    for_bulk: BTreeSet<(Moment, Key)>,
    parked: HashSet<Key>,
    pub(super) flying: HashSet<Key>,
    /// What bulks carry, and until when they may be worked on.
    in_bulk: HashMap<Key, Moment>,
    pub(super) held: HashMap<Key, Held>,
    /// Until when a request without an answer may still come through.
    pub(super) late: HashMap<Key, Moment>,
    /// Until when one of the time before the start may.
    opens: Moment,
    pub(super) audits: VecDeque<Key>,
    pub(super) background: Background,
    pub(super) progress: Progress,
    pub(super) exceptions: Exceptions,
    pub(super) counts: LaneCounts,
    pub(super) ages: Ages,
    turn: u32,
    /// How many requests of other kinds have gone since something of this kind could not.
    pub(super) passed: u32,
}

impl Lane {
    pub(super) fn new(kind: Kind, write: OperationId, guard: Guard, now: Moment) -> Self {
        let opens = match guard {
            Guard::Once { quiet } => now.saturating_add(quiet),
            Guard::Version | Guard::CompareAndSet { .. } | Guard::Rewrite { .. } => now,
        };
        Self {
            opens,
            kind,
            write,
            read: None,
            poll: None,
            guard,
            final_word_within: Duration::from_secs(3_600),
            tells: Tells::All,
            bulk: None,
            waiting: HashMap::new(),
            ready: BTreeSet::new(),
            by_age: BTreeSet::new(),
            to_read: BTreeSet::new(),
            delayed: BTreeSet::new(),
            for_bulk: BTreeSet::new(),
            parked: HashSet::new(),
            flying: HashSet::new(),
            in_bulk: HashMap::new(),
            held: HashMap::new(),
            late: HashMap::new(),
            audits: VecDeque::new(),
            background: Background::default(),
            progress: Progress::default(),
            exceptions: Exceptions::default(),
            counts: LaneCounts::default(),
            ages: Ages::default(),
            turn: 0,
            passed: 0,
        }
    }

    /// Whether a change of the key is on its way; what the channel does not show yet is one.
    pub(super) fn pending(&self, key: &Key) -> bool {
        let waits = |waiting: &Waiting| waiting.class == Class::Live;
        let is_new = || self.in_bulk.contains_key(key) && !self.held.contains_key(key);
        self.flying.contains(key) || self.waiting.get(key).is_some_and(waits) || is_new()
    }

    /// Whether the key is in a queue or a request other than a bulk.
    fn is_busy(&self, key: &Key) -> bool {
        self.flying.contains(key) || self.waiting.contains_key(key)
    }

    /// Until when something that was sent of the key may still come through, whether or not it has an answer by then.
    pub(super) fn may_come(&self, key: &Key) -> Option<Moment> {
        let late = self.late.get(key).copied();
        late.max(self.in_bulk.get(key).copied())
    }

    /// Nothing of the key counts as told for good before this moment.
    pub(super) fn comes_late(&mut self, key: &Key, until: Moment) {
        let late = self.late.entry(key.clone()).or_default();
        *late = (*late).max(until);
    }

    /// The operation that tells everything.
    pub(super) fn tells_all_by(&self) -> OperationId {
        let bulk = self.bulk.filter(|_| self.background.by_bulk);
        bulk.map_or(self.write, |bulk| bulk.write)
    }

    /// A bulk leaves with the key.
    pub(super) fn enter_bulk(&mut self, key: &Key, now: Moment) {
        let within = self.bulk.map_or(Duration::ZERO, |bulk| bulk.within);
        // As long as until it is given up, and as long again.
        let until = now.saturating_add(within.saturating_mul(2));
        self.in_bulk.insert(key.clone(), until);
    }

    /// A bulk with the key has ended; whether the key is told or waits beside it. It may have written over that, which is then told
    /// once more.
    pub(super) fn leave_bulk(&mut self, key: &Key, now: Moment) -> bool {
        self.in_bulk.remove(key);
        if !self.is_busy(key) {
            return false;
        }
        // What is under way may have come before it.
        let quiet = self.guard.quiet().filter(|_| self.flying.contains(key));
        self.comes_late(key, now.saturating_add(quiet.unwrap_or_default()));
        self.confirm_from_then(key);
        true
    }

    /// A bulk with the key was given up, and may still be worked on.
    pub(super) fn doubt_bulk(&mut self, key: &Key, now: Moment) {
        self.in_bulk.remove(key);
        let within = self.bulk.map_or(Duration::ZERO, |bulk| bulk.within);
        self.comes_late(key, now.saturating_add(within));
        self.confirm_from_then(key);
    }

    /// What waits to be told once more waits until nothing may come late any more. It must be placed.
    fn confirm_from_then(&mut self, key: &Key) {
        let Some(mut waiting) = self.take(key) else { return };
        if waiting.attempt == Attempt::Confirming {
            waiting.not_before = self.may_come(key).unwrap_or_default();
        }
        self.park(key.clone(), waiting);
    }

    /// The next key for a bulk.
    pub(super) fn take_for_bulk(&mut self) -> Option<(Key, Waiting)> {
        let (_, key) = self.for_bulk.first()?.clone();
        let waiting = self.take(&key)?;
        Some((key, waiting))
    }

    /// Since when the first of them waits.
    pub(super) fn bulk_head(&self) -> Option<Moment> {
        self.for_bulk.first().map(|(since, _)| *since)
    }

    pub(super) fn bulk_count(&self) -> usize {
        self.for_bulk.len()
    }

    /// How many keys requests and bulks carry.
    pub(super) fn under_way_count(&self) -> usize {
        self.flying.len() + self.in_bulk.len()
    }

    fn shown(&self, key: &Key) -> Option<Measure> {
        match self.held.get(key)?.shows {
            Shows::This(measure) => Some(measure),
            Shows::Unknown | Shows::Doubt => None,
        }
    }

    /// Whether the channel shows exactly this, as far as it is to be told of nothing else.
    pub(super) fn certainly_shows(&self, key: &Key, waiting: &Waiting, content: &Content) -> bool {
        let print = self.held.get(key).and_then(|held| held.print);
        self.tells == Tells::Shown
            && waiting.attempt == Attempt::First
            && self.may_come(key).is_none()
            && print.is_some()
            && print == content.print()
    }

    /// A key has changed. It must be placed afterwards.
    pub(super) fn mark(&mut self, key: &Key, mark: Option<Mark>, measure: Option<Measure>, now: Moment) {
        if let Some(mark) = mark {
            self.progress.see(mark);
        }
        let Some(mut waiting) = self.take(key) else {
            mark.into_iter()
                .for_each(|mark| self.progress.await_telling(mark));
            self.park(key.clone(), Waiting::new(mark, Class::Live, measure, now));
            return;
        };
        if waiting.mark.is_none() {
            mark.into_iter()
                .for_each(|mark| self.progress.await_telling(mark));
            waiting.mark = mark;
        }
        if waiting.class == Class::Background {
            waiting.class = Class::Live;
            waiting.since = now;
        }
        if waiting.attempt == Attempt::Confirming {
            waiting.attempt = Attempt::First;
            waiting.since = now;
            waiting.not_before = now;
        }
        waiting.measure = measure;
        self.park(key.clone(), waiting);
    }

    /// The newest content of a key that waits comes with its change.
    pub(super) fn bring(&mut self, key: &Key, newest: Newest) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.brought = Some(Box::new(newest));
        }
    }

    /// What comes back from a request waits again; with what has changed meanwhile it becomes one, with the older mark.
    pub(super) fn wait_again(&mut self, key: &Key, mut waiting: Waiting) {
        if let Some(newer) = self.take(key) {
            match (waiting.mark, newer.mark) {
                (Some(_), Some(later)) => self.progress.told(later),
                (None, Some(_)) => waiting.mark = newer.mark,
                (Some(_) | None, None) => {}
            }
            waiting.since = waiting.since.min(newer.since);
            if newer.class == Class::Live {
                waiting.class = Class::Live;
            }
            waiting.measure = newer.measure;
            waiting.brought = newer.brought.or(waiting.brought);
            waiting.attempt = newer.attempt;
            waiting.not_before = newer.not_before;
            waiting.failures = 0;
        }
        self.park(key.clone(), waiting);
    }

    fn park(&mut self, key: Key, mut waiting: Waiting) {
        waiting.place = Place::Parked;
        if waiting.class == Class::Background {
            self.background.waiting += 1;
        }
        self.parked.insert(key.clone());
        self.waiting.insert(key, waiting);
    }

    /// Takes a key out of all queues.
    pub(super) fn take(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        match waiting.place {
            Place::Ready => {
                self.ready.remove(&(waiting.urgency, waiting.since, key.clone()));
                self.by_age.remove(&(waiting.since, key.clone()));
            }
            Place::Reading => {
                self.to_read
                    .remove(&(waiting.urgency, waiting.since, key.clone()));
            }
            Place::Delayed => {
                self.delayed.remove(&(waiting.not_before, key.clone()));
            }
            Place::ForBulk => {
                self.for_bulk.remove(&(waiting.since, key.clone()));
            }
            Place::Parked => {
                self.parked.remove(key);
            }
        }
        if waiting.class == Class::Background {
            self.background.waiting -= 1;
        }
        Some(waiting)
    }

    /// Puts a waiting key into the queue where it belongs. `price_pending`: a price of the same SKU is on its way.
    pub(super) fn place(&mut self, key: &Key, price_pending: bool, now: Moment) {
        let Some(mut waiting) = self.take(key) else { return };
        let shown = self.shown(key);
        waiting.urgency = match (waiting.class, waiting.measure) {
            (Class::Background, _) => Urgency::Background,
            (Class::Live, Some(measure)) => Urgency::of(measure, shown),
            (Class::Live, None) => Urgency::Routine,
        };
        if let Guard::Once { .. } = self.guard {
            let late = self.late.get(key).copied().unwrap_or_default();
            waiting.not_before = waiting.not_before.max(late).max(self.opens);
        }
        let rises = waiting.measure.is_none_or(|measure| rises(measure, shown));
        let in_doubt = self.held.get(key).is_some_and(|held| held.shows == Shows::Doubt);
        waiting.place = if self.flying.contains(key) || (price_pending && rises) {
            Place::Parked
        } else if waiting.not_before > now {
            Place::Delayed
        } else if in_doubt && matches!(self.guard, Guard::CompareAndSet { .. }) && self.read.is_some() {
            Place::Reading
        } else if waiting.class == Class::Background && self.background.by_bulk && !waiting.singly {
            Place::ForBulk
        } else {
            Place::Ready
        };
        if waiting.class == Class::Background {
            self.background.waiting += 1;
        }
        match waiting.place {
            Place::Ready => {
                self.ready.insert((waiting.urgency, waiting.since, key.clone()));
                if waiting.class == Class::Live {
                    self.by_age.insert((waiting.since, key.clone()));
                }
            }
            Place::Reading => {
                self.to_read.insert((waiting.urgency, waiting.since, key.clone()));
            }
            Place::Delayed => {
                self.delayed.insert((waiting.not_before, key.clone()));
            }
            Place::ForBulk => {
                self.for_bulk.insert((waiting.since, key.clone()));
            }
            Place::Parked => {
                self.parked.insert(key.clone());
            }
        }
        self.waiting.insert(key.clone(), waiting);
    }

    /// The delayed keys whose time has come. They must be placed.
    pub(super) fn due(&self, now: Moment) -> Vec<Key> {
        let due = self.delayed.iter().take_while(|(moment, _)| *moment <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// When the next delayed key is due.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.delayed.first().map(|(moment, _)| *moment)
    }

    /// How pressing the first of what can be written is, and since when it waits.
    pub(super) fn head(&self) -> Option<(Urgency, Moment)> {
        self.ready.first().map(|(urgency, since, _)| (*urgency, *since))
    }

    /// The same of what is to be read.
    pub(super) fn read_head(&self) -> Option<(Urgency, Moment)> {
        let doubted = self.to_read.first().map(|(urgency, since, _)| (*urgency, *since));
        doubted.or_else(|| self.audits.front().map(|_| (Urgency::Background, Moment::MAX)))
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// The key whose turn it is.
    pub(super) fn pick(&mut self) -> Option<Key> {
        let head = self.ready.first()?;
        self.turn = (self.turn + 1) % CYCLE;
        let last = self
            .ready
            .last()
            .filter(|(urgency, ..)| *urgency == Urgency::Background);
        let picked = match (self.turn, self.by_age.first(), last) {
            (OLDEST_TURN, Some((_, oldest)), _) => oldest,
            (BACKGROUND_TURN, _, Some((_, _, key))) if !head.0.is_urgent() => key,
            _ => &head.2,
        };
        Some(picked.clone())
    }

    /// Keys whose doubt is to be ended by reading, and then keys to be sampled, `most` at most.
    pub(super) fn take_reads(&mut self, most: usize) -> Vec<(Key, Option<Waiting>)> {
        let doubted: Vec<Key> = self
            .to_read
            .iter()
            .take(most)
            .map(|(_, _, key)| key.clone())
            .collect();
        let mut reads: Vec<(Key, Option<Waiting>)> = Vec::new();
        for key in doubted {
            let waiting = self.take(&key);
            self.flying.insert(key.clone());
            reads.push((key, waiting));
        }
        while reads.len() < most
            && let Some(key) = self.audits.pop_front()
        {
            if !self.is_busy(&key) && !self.in_bulk.contains_key(&key) {
                self.flying.insert(key.clone());
                reads.push((key, None));
            }
        }
        reads
    }

    /// Everything is to be told, in this order.
    pub(super) fn tell_all(&mut self, keys: Vec<Key>, introduces: bool) {
        self.background.left = keys.iter().cloned().collect();
        self.background.total = self.background.left.len();
        self.background.keys = keys;
        (self.background.next, self.background.told) = (0, 0);
        let total = self.background.total;
        self.background.by_bulk = self.bulk.is_some_and(|bulk| total >= bulk.at_least);
        self.background.introduces = introduces || self.introducing();
        self.background.paused = false;
    }

    /// Whether the channel is new and has not been told everything yet.
    pub(super) fn introducing(&self) -> bool {
        self.background.introduces && !self.background.left.is_empty()
    }

    /// Lets the next keys of the background wait beside the others, as many as a request carries. They must be placed.
    pub(super) fn refill(&mut self, batch: usize, now: Moment) -> Vec<Key> {
        let mut placed = Vec::new();
        // Of bulks only what is for the next one counts: what is written singly takes its own time.
        let ahead = |lane: &Self| {
            if lane.background.by_bulk {
                lane.for_bulk.len()
            } else {
                lane.background.waiting
            }
        };
        let room = batch.saturating_sub(ahead(self));
        while !self.background.paused
            && placed.len() < room
            && let Some(key) = self.background.keys.get(self.background.next).cloned()
        {
            self.background.next += 1;
            let is_told = self.is_busy(&key) || self.in_bulk.contains_key(&key);
            if self.background.left.contains(&key) && !is_told {
                let waiting = Waiting::new(None, Class::Background, None, now);
                self.park(key.clone(), waiting);
                placed.push(key);
            }
        }
        placed
    }

    /// The channel has been told of a key, or there is nothing to tell it.
    pub(super) fn settle(&mut self, key: &Key, waiting: &Waiting) {
        waiting.mark.into_iter().for_each(|mark| self.progress.told(mark));
        let background = &mut self.background;
        if background.left.remove(key) {
            let told = |key: &Key| !background.left.contains(key);
            let more = background.keys[background.told..]
                .iter()
                .take_while(|key| told(key));
            background.told += more.count();
        }
        if background.left.is_empty() {
            background.keys = Vec::new();
            (background.next, background.told) = (0, 0);
        }
    }

    /// The first of what is told again that has not been told; none if nothing is, or if the channel is new.
    pub(super) fn resync_stands_at(&self) -> Option<&Key> {
        let first = self.background.keys.get(self.background.told);
        first.filter(|_| !self.background.introduces)
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len() + self.background.keys.len() - self.background.next
    }

    /// The live keys that wait outside of the ready queue, with the moment since when they do.
    fn aside(&self) -> impl Iterator<Item = Moment> {
        let delayed = self.delayed.iter().map(|(_, key)| key);
        let keys = delayed
            .chain(&self.parked)
            .chain(self.to_read.iter().map(|(_, _, key)| key));
        let waiting = keys.filter_map(|key| self.waiting.get(key));
        waiting
            .filter(|waiting| waiting.class == Class::Live)
            .map(|waiting| waiting.since)
    }

    /// Since when the oldest live key has waited.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let ready = self.by_age.first().map(|(since, _)| *since);
        self.aside().chain(ready).min()
    }

    /// Up to where the channel has been told everything.
    pub(super) fn safe(&self) -> BTreeMap<lockstep_runtime::placement::PartitionId, Mark> {
        let safe = self.progress.safe().filter(|_| !self.introducing());
        safe.map(|mark| (mark.partition, mark)).collect()
    }
}

/// Whether a channel that shows `shown` will offer more than before.
fn rises(newest: Measure, shown: Option<Measure>) -> bool {
    match (newest, shown) {
        (Measure::Units(0), _) => false,
        (Measure::Units(units), Some(Measure::Units(shown))) => units > shown,
        (Measure::Units(_) | Measure::Amount(_) | Measure::Change(_), _) => true,
    }
}
