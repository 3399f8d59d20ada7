//! What a platform answers, and what follows for each item of the request.

use super::Moment;
use super::content::{Key, Kind, Measure};
use super::engine::{Engine, Item, RequestId};
use super::lane::{Attempt, Class, Held, Lane, Shows, Waiting};
use super::limit::{Observation, Reserved};
use super::operation::OperationId;
use super::retry::{LONGEST_ASKED, back_off};
use compact_str::CompactString;
use std::collections::HashSet;
use std::time::Duration;

/// After how many failures of its own an item stands among the exceptions.
pub const MAX_FAILURES: u32 = 10;

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemVerdict {
    /// The channel shows it.
    Taken,
    /// The channel shows a newer version.
    Newer,
    /// The channel shows something else than was expected, and kept it.
    Conflict,
    /// The channel will not have it; why, in its words.
    Refused(String),
    /// The channel failed with it and may take it the next time; why, in its words.
    Failed(String),
    /// Not looked at, because of others in the same request.
    Untouched,
}

/// Whether a request that failed may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It certainly had none.
    NotTaken,
    /// It may have had, or may still.
    Unknown,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was looked at; one verdict an item, in their order.
    Items(Vec<ItemVerdict>),
    /// What the channel shows, in the order asked for; none where it knows nothing of the key.
    Values(Vec<Option<Measure>>),
    /// It was accepted and will be worked on; under which name to ask, and when.
    Accepted {
        /// The platform's name for it.
        handle: CompactString,
        /// When to ask.
        ask_in: Duration,
    },
    /// What was accepted is still worked on; when to ask again.
    Pending {
        /// When.
        ask_in: Duration,
    },
    /// Too much at once; when to come back, if the platform says so.
    Throttled {
        /// How long.
        pause: Option<Duration>,
    },
    /// The platform has trouble, or could not be reached.
    Failed {
        /// Why.
        reason: String,
        /// When to come back, if the platform says so.
        pause: Option<Duration>,
        /// Whether it may have had an effect.
        certainty: Certainty,
    },
    /// The request as a whole is refused, without a word on the items. It is halved until the item is found.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// Whether nobody knows if it had an effect.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                certainty: Certainty::Unknown,
                ..
            }
        )
    }
}

/// An answer, with what the platform says about its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the request.
    pub verdict: Verdict,
    /// About limits.
    pub observations: Vec<Observation>,
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            observations: Vec::new(),
        }
    }
}

/// What an item that is under way says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    version: u64,
    measure: Measure,
    print: Option<u64>,
}

impl Told {
    pub(super) fn of(item: &Item) -> Self {
        Self {
            version: item.version,
            measure: item.content.measure(),
            print: item.content.print(),
        }
    }
}

/// An item that is under way.
pub(super) type Flown = (Key, Waiting, Told);

enum Carries {
    Write(Vec<Flown>),
    Bulk(Vec<Flown>),
    Read(Vec<(Key, Option<Waiting>)>),
    Poll(RequestId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sent,
    Accepted {
        ask_at: Moment,
        until: Moment,
    },
    /// A question about it is under way.
    Asking {
        until: Moment,
    },
}

/// A request under way, or accepted.
pub(super) struct Flight {
    pub(super) lane: usize,
    operation: OperationId,
    drawn: Vec<Reserved>,
    carries: Carries,
    handle: CompactString,
    stage: Stage,
}

impl Flight {
    fn new(lane: usize, carries: Carries) -> Self {
        Self {
            lane,
            operation: OperationId(0),
            drawn: Vec::new(),
            carries,
            handle: CompactString::default(),
            stage: Stage::Sent,
        }
    }

    pub(super) fn writing(lane: usize, items: Vec<Flown>) -> Self {
        Self::new(lane, Carries::Write(items))
    }

    pub(super) fn in_bulk(lane: usize, items: Vec<Flown>) -> Self {
        Self::new(lane, Carries::Bulk(items))
    }

    pub(super) fn reading(lane: usize, keys: Vec<(Key, Option<Waiting>)>) -> Self {
        Self::new(lane, Carries::Read(keys))
    }

    pub(super) fn polling(lane: usize, about: RequestId) -> Self {
        Self::new(lane, Carries::Poll(about))
    }

    pub(super) fn leaves(self, operation: OperationId, drawn: Vec<Reserved>) -> Self {
        Self {
            operation,
            drawn,
            ..self
        }
    }

    /// How many items it carries.
    pub(super) fn len(&self) -> usize {
        match &self.carries {
            Carries::Write(items) | Carries::Bulk(items) => items.len(),
            Carries::Read(keys) => keys.len(),
            Carries::Poll(_) => 1,
        }
    }

    /// When to ask what became of it.
    pub(super) fn poll_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Accepted { ask_at, .. } => Some(ask_at),
            Stage::Sent | Stage::Asking { .. } => None,
        }
    }

    /// When it is given up without a final word.
    pub(super) fn silent_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Accepted { until, .. } | Stage::Asking { until } => Some(until),
            Stage::Sent => None,
        }
    }

    /// The operation that asks what became of it.
    pub(super) fn asked_by(&self, lane: &Lane) -> Option<OperationId> {
        match self.carries {
            Carries::Bulk(_) => lane.bulk.map(|bulk| bulk.poll),
            Carries::Write(_) | Carries::Read(_) | Carries::Poll(_) => lane.poll,
        }
    }

    /// Its name, keys and numbers, for a question about it that leaves now.
    pub(super) fn ask(&mut self) -> Option<(CompactString, Vec<(Key, Measure)>)> {
        let Stage::Accepted { until, .. } = self.stage else {
            return None;
        };
        self.stage = Stage::Asking { until };
        let (Carries::Write(items) | Carries::Bulk(items)) = &self.carries else {
            return None;
        };
        let sent = items.iter().map(|(key, _, told)| (key.clone(), told.measure));
        Some((self.handle.clone(), sent.collect()))
    }

    fn ask_again(&mut self, at: Moment) {
        if let Stage::Accepted { until, .. } | Stage::Asking { until } = self.stage {
            self.stage = Stage::Accepted { ask_at: at, until };
        }
    }

    /// Since when the oldest of what it carries has waited.
    pub(super) fn oldest(&self) -> Option<Moment> {
        match &self.carries {
            Carries::Write(items) | Carries::Bulk(items) => {
                let live = items
                    .iter()
                    .filter(|(_, waiting, ..)| waiting.class == Class::Live);
                live.map(|(_, waiting, ..)| waiting.since).min()
            }
            Carries::Read(keys) => {
                let waiting = keys.iter().filter_map(|(_, waiting)| waiting.as_ref());
                waiting.map(|waiting| waiting.since).min()
            }
            Carries::Poll(_) => None,
        }
    }
}

/// What befell a request that none of its items is to blame for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    Throttled,
    NotTaken,
    Unknown,
}

impl Engine {
    /// A request was answered, or given up. `jitter` is any number; it spreads accounts that failed together.
    pub fn answer(&mut self, id: RequestId, answer: &Answer, jitter: u32, now: Moment) {
        let Some(flight) = self.flights.remove(&id) else {
            return self.answer_permitted(id, answer, jitter, now);
        };
        let (operation, items) = (flight.operation, flight.len());
        self.judge_operation(operation, &answer.verdict, jitter, now);
        let is_accepted = matches!(
            (&flight.carries, &answer.verdict),
            (Carries::Write(_) | Carries::Bulk(_), Verdict::Accepted { .. })
        );
        let (lasting, drawn) = if is_accepted {
            self.account.lasting(flight.drawn)
        } else {
            (Vec::new(), flight.drawn)
        };
        self.account
            .count(operation, items, &drawn, &answer.observations, now);
        let lane = flight.lane;
        match (flight.carries, &answer.verdict) {
            (Carries::Write(items), Verdict::Items(verdicts)) if items.len() == verdicts.len() => {
                self.land_all(lane, items, verdicts, jitter, now);
            }
            (Carries::Bulk(items), Verdict::Items(verdicts)) if items.len() == verdicts.len() => {
                self.land_bulk(lane, items, verdicts, jitter, now);
            }
            (carries @ (Carries::Write(_) | Carries::Bulk(_)), Verdict::Accepted { handle, ask_in }) => {
                let within = match (&carries, self.lanes[lane].bulk) {
                    (Carries::Bulk(_), Some(bulk)) => bulk.within,
                    _ => self.lanes[lane].final_word_within,
                };
                let stage = Stage::Accepted {
                    ask_at: now.saturating_add(*ask_in),
                    until: now.saturating_add(within),
                };
                let mut accepted = Flight::new(lane, carries).leaves(operation, lasting);
                (accepted.handle, accepted.stage) = (handle.clone(), stage);
                self.flights.insert(id, accepted);
            }
            (Carries::Write(items), Verdict::Refused { reason }) => self.halve(lane, items, reason, now),
            (Carries::Write(items), verdict) => self.fly_again(lane, items, mishap(verdict), now),
            (Carries::Bulk(items), verdict) => self.bulk_again(lane, items, verdict, now),
            (Carries::Read(keys), Verdict::Values(values)) if keys.len() == values.len() => {
                self.compare(lane, keys, values, now);
            }
            (Carries::Read(keys), _) => self.read_again(lane, keys, now),
            (Carries::Poll(about), verdict) => self.hear_of(about, verdict, jitter, now),
        }
    }

    /// What the answer says about the platform rather than about the items.
    pub(super) fn judge_operation(
        &mut self,
        operation: OperationId,
        verdict: &Verdict,
        jitter: u32,
        now: Moment,
    ) {
        let breaker = &mut self.breakers[operation.0];
        match verdict {
            Verdict::Throttled { pause } => {
                let pause = pause.unwrap_or_else(|| back_off(4, jitter)).min(LONGEST_ASKED);
                let until = now.saturating_add(pause);
                self.throttled[operation.0] = self.throttled[operation.0].saturating_add(1);
                breaker.throttled(until);
                self.account.throttled(operation, until, now);
            }
            Verdict::Failed { pause, .. } => {
                self.failed[operation.0] = self.failed[operation.0].saturating_add(1);
                breaker.failed(*pause, jitter, now);
            }
            Verdict::Items(_)
            | Verdict::Values(_)
            | Verdict::Accepted { .. }
            | Verdict::Pending { .. }
            | Verdict::Refused { .. } => breaker.answered(),
        }
    }

    fn land_all(
        &mut self,
        place: usize,
        items: Vec<Flown>,
        verdicts: &[ItemVerdict],
        jitter: u32,
        now: Moment,
    ) {
        let kind = self.lanes[place].kind;
        for (item, verdict) in items.into_iter().zip(verdicts) {
            let key = item.0.clone();
            self.lanes[place].land(item, verdict, jitter, now);
            self.place(kind, &key, now);
        }
    }

    /// The final word on a bulk. What was told beside it is told once more, whatever it says.
    fn land_bulk(
        &mut self,
        place: usize,
        items: Vec<Flown>,
        verdicts: &[ItemVerdict],
        jitter: u32,
        now: Moment,
    ) {
        let kind = self.lanes[place].kind;
        let mut overtaken = HashSet::new();
        for (item, verdict) in items.into_iter().zip(verdicts) {
            let key = item.0.clone();
            let lane = &mut self.lanes[place];
            if lane.leave_bulk(&key, now) {
                lane.settle(&key, &item.1);
                overtaken.insert(key.clone());
            } else if let ItemVerdict::Failed(_) = verdict {
                // It gets its final word when it is written by itself, which is no repetition.
                let (key, mut waiting, ..) = item;
                waiting.singly = true;
                lane.counts.retried = lane.counts.retried.saturating_add(1);
                lane.wait_again(&key, waiting);
            } else {
                lane.land(item, verdict, jitter, now);
            }
            self.place(kind, &key, now);
        }
        self.give_up_accepted(place, &overtaken, now);
    }

    /// What was accepted of these keys will not show any more, as something else was written over it: it goes again at once.
    fn give_up_accepted(&mut self, place: usize, keys: &HashSet<Key>, now: Moment) {
        let flights = self.flights.values_mut().filter(|flight| flight.lane == place);
        for flight in flights {
            if let Carries::Write(items) = &flight.carries
                && items.iter().any(|(key, ..)| keys.contains(key))
                && let Stage::Accepted { until, .. } | Stage::Asking { until } = &mut flight.stage
            {
                *until = (*until).min(now);
            }
        }
    }

    /// All items of a bulk wait again: for the next one, or each for itself if it was refused.
    fn bulk_again(&mut self, place: usize, items: Vec<Flown>, verdict: &Verdict, now: Moment) {
        let kind = self.lanes[place].kind;
        let is_refused = matches!(verdict, Verdict::Refused { .. });
        let is_unknown = !is_refused && mishap(verdict) == Mishap::Unknown;
        for (key, mut waiting, ..) in items {
            let lane = &mut self.lanes[place];
            if is_unknown {
                lane.doubt_bulk(&key, now);
            } else {
                lane.leave_bulk(&key, now);
            }
            waiting.singly |= is_refused;
            lane.counts.retried = lane.counts.retried.saturating_add(1);
            lane.wait_again(&key, waiting);
            self.place(kind, &key, now);
        }
    }

    /// All items of a request wait again.
    fn fly_again(&mut self, place: usize, items: Vec<Flown>, mishap: Mishap, now: Moment) {
        let kind = self.lanes[place].kind;
        for (key, mut waiting, ..) in items {
            let lane = &mut self.lanes[place];
            lane.flying.remove(&key);
            match mishap {
                Mishap::Throttled => {}
                Mishap::NotTaken => waiting.attempt = Attempt::Again,
                Mishap::Unknown => {
                    waiting.attempt = Attempt::Again;
                    lane.doubt(&key, now);
                }
            }
            if mishap != Mishap::Throttled {
                lane.counts.retried = lane.counts.retried.saturating_add(1);
            }
            lane.wait_again(&key, waiting);
            self.place(kind, &key, now);
        }
    }

    /// A request that is refused as a whole goes again in halves.
    fn halve(&mut self, place: usize, items: Vec<Flown>, reason: &str, now: Moment) {
        let half = items.len() / 2;
        if half == 0 {
            let verdicts = vec![ItemVerdict::Refused(reason.to_owned()); items.len()];
            return self.land_all(place, items, &verdicts, 0, now);
        }
        let kind = self.lanes[place].kind;
        for (key, mut waiting, ..) in items {
            waiting.together = waiting.together.min(half);
            self.lanes[place].flying.remove(&key);
            self.lanes[place].wait_again(&key, waiting);
            self.place(kind, &key, now);
        }
    }

    /// What the channel shows ends a doubt, or tells whether it has drifted.
    fn compare(
        &mut self,
        place: usize,
        keys: Vec<(Key, Option<Waiting>)>,
        values: &[Option<Measure>],
        now: Moment,
    ) {
        let kind = self.lanes[place].kind;
        for ((key, waiting), value) in keys.into_iter().zip(values) {
            let lane = &mut self.lanes[place];
            lane.flying.remove(&key);
            match waiting {
                Some(waiting) => {
                    lane.now_shows(&key, *value);
                    lane.wait_again(&key, waiting);
                }
                None => lane.look_for_drift(&key, *value, now),
            }
            self.place(kind, &key, now);
        }
    }

    fn read_again(&mut self, place: usize, keys: Vec<(Key, Option<Waiting>)>, now: Moment) {
        let kind = self.lanes[place].kind;
        for (key, waiting) in keys {
            let lane = &mut self.lanes[place];
            lane.flying.remove(&key);
            if let Some(waiting) = waiting {
                lane.wait_again(&key, waiting);
            }
            self.place(kind, &key, now);
        }
    }

    /// What became of a request that was accepted.
    fn hear_of(&mut self, about: RequestId, verdict: &Verdict, jitter: u32, now: Moment) {
        let Some(mut flight) = self.flights.remove(&about) else {
            // It was given up while the question was under way.
            return;
        };
        let ask_in = match verdict {
            Verdict::Pending { ask_in } => *ask_in,
            Verdict::Throttled { .. } | Verdict::Failed { .. } => back_off(5, jitter),
            // It has another name than was known.
            Verdict::Accepted { handle, ask_in } => {
                flight.handle = handle.clone();
                *ask_in
            }
            Verdict::Items(_) | Verdict::Values(_) | Verdict::Refused { .. } => {
                return self.end(flight, verdict, jitter, now);
            }
        };
        flight.ask_again(now.saturating_add(ask_in));
        self.flights.insert(about, flight);
    }

    /// The final word on what was accepted, or none that fits it.
    fn end(&mut self, flight: Flight, verdict: &Verdict, jitter: u32, now: Moment) {
        self.account
            .count(flight.operation, flight.len(), &flight.drawn, &[], now);
        let lane = flight.lane;
        match (flight.carries, verdict) {
            (Carries::Write(items), Verdict::Items(verdicts)) if verdicts.len() == items.len() => {
                self.land_all(lane, items, verdicts, jitter, now);
            }
            (Carries::Write(items), Verdict::Refused { reason }) => self.halve(lane, items, reason, now),
            (Carries::Write(items), _) => self.fly_again(lane, items, Mishap::Unknown, now),
            (Carries::Bulk(items), Verdict::Items(verdicts)) if verdicts.len() == items.len() => {
                self.land_bulk(lane, items, verdicts, jitter, now);
            }
            (Carries::Bulk(items), verdict) => self.bulk_again(lane, items, verdict, now),
            (Carries::Read(_) | Carries::Poll(_), _) => {}
        }
    }

    /// What was accepted and got no final word in time is sent again.
    pub(super) fn give_up_silent(&mut self, now: Moment) {
        let silent = |flight: &Flight| flight.silent_at().is_some_and(|until| until <= now);
        let given_up: Vec<RequestId> = self
            .flights
            .iter()
            .filter(|(_, flight)| silent(flight))
            .map(|(id, _)| *id)
            .collect();
        for id in given_up {
            if let Some(flight) = self.flights.remove(&id) {
                // No values were asked for.
                self.end(flight, &Verdict::Values(Vec::new()), 0, now);
            }
        }
    }
}

fn mishap(verdict: &Verdict) -> Mishap {
    match verdict {
        Verdict::Throttled { .. } => Mishap::Throttled,
        Verdict::Failed {
            certainty: Certainty::NotTaken,
            ..
        } => Mishap::NotTaken,
        // An answer that does not fit the request says nothing about it.
        Verdict::Failed { .. }
        | Verdict::Items(_)
        | Verdict::Values(_)
        | Verdict::Accepted { .. }
        | Verdict::Pending { .. }
        | Verdict::Refused { .. } => Mishap::Unknown,
    }
}

impl Lane {
    /// It is not known what the channel shows of a key: a request with it may have come through, or may yet.
    fn doubt(&mut self, key: &Key, now: Moment) {
        self.counts.doubted = self.counts.doubted.saturating_add(1);
        self.unknown(key);
        if let Some(quiet) = self.guard.quiet() {
            self.comes_late(key, now.saturating_add(quiet));
        }
    }

    fn unknown(&mut self, key: &Key) {
        let version = self.held.get(key).map_or(0, |held| held.version);
        self.held.insert(key.clone(), Held::new(version, Shows::Doubt));
    }

    fn now_shows(&mut self, key: &Key, value: Option<Measure>) {
        let version = self.held.get(key).map_or(0, |held| held.version);
        let shows = value.map_or(Shows::Unknown, Shows::This);
        // A doubt that is not ended by a number ends all the same: it is written without comparing.
        self.held.insert(key.clone(), Held::new(version, shows));
    }

    fn look_for_drift(&mut self, key: &Key, value: Option<Measure>, now: Moment) {
        self.counts.sampled = self.counts.sampled.saturating_add(1);
        let told = self.held.get(key).map(|held| held.shows);
        // Else there is nothing to compare with.
        let Some(Shows::This(told)) = told else { return };
        if value != Some(told) && !self.pending(key) {
            self.counts.drifted = self.counts.drifted.saturating_add(1);
            self.now_shows(key, value);
            self.mark(key, None, Some(told), now);
        }
    }

    /// One item has its verdict.
    fn land(&mut self, item: Flown, verdict: &ItemVerdict, jitter: u32, now: Moment) {
        let (key, mut waiting, told) = item;
        let version = told.version;
        self.flying.remove(&key);
        let counts = &mut self.counts;
        match verdict {
            ItemVerdict::Taken => {
                counts.taken = counts.taken.saturating_add(1);
                let held = Held {
                    print: told.print,
                    ..Held::new(version, Shows::This(told.measure))
                };
                self.taken(&key, waiting, held, now);
            }
            ItemVerdict::Newer => self.taken(&key, waiting, Held::new(version, Shows::Unknown), now),
            ItemVerdict::Conflict => {
                counts.conflicts = counts.conflicts.saturating_add(1);
                waiting.failures = waiting.failures.saturating_add(1);
                if waiting.failures >= MAX_FAILURES {
                    let reason = "what the channel shows keeps changing between reading and writing";
                    return self.refuse(&key, &waiting, version, reason, now);
                }
                // The first time at once: what was expected was simply old.
                if waiting.failures > 1 {
                    waiting.not_before = now.saturating_add(back_off(waiting.failures, jitter));
                }
                self.unknown(&key);
                self.wait_again(&key, waiting);
            }
            ItemVerdict::Refused(reason) => self.refuse(&key, &waiting, version, reason, now),
            ItemVerdict::Failed(reason) => {
                counts.retried = counts.retried.saturating_add(1);
                waiting.failures = waiting.failures.saturating_add(1);
                if waiting.failures >= MAX_FAILURES {
                    let reason = format!("given up after {MAX_FAILURES} attempts: {reason}");
                    return self.refuse(&key, &waiting, version, &reason, now);
                }
                waiting.attempt = Attempt::Again;
                waiting.not_before = now.saturating_add(back_off(waiting.failures, jitter));
                self.wait_again(&key, waiting);
            }
            ItemVerdict::Untouched => self.wait_again(&key, waiting),
        }
    }

    fn taken(&mut self, key: &Key, mut waiting: Waiting, held: Held, now: Moment) {
        self.exceptions.taken(key);
        self.held.insert(key.clone(), held);
        if waiting.class == Class::Live && waiting.attempt != Attempt::Confirming {
            self.ages.record(now.saturating_sub(waiting.since));
        }
        match self.may_come(key) {
            Some(until) if until > now => {
                waiting.attempt = Attempt::Confirming;
                waiting.not_before = until;
                self.wait_again(key, waiting);
            }
            Some(_) | None => {
                self.late.remove(key);
                self.settle(key, &waiting);
                self.forget(key);
            }
        }
    }

    /// Nothing is kept of an order that the channel has said its final word on.
    fn forget(&mut self, key: &Key) {
        if self.kind == Kind::Order {
            self.held.remove(key);
            self.late.remove(key);
        }
    }

    fn refuse(&mut self, key: &Key, waiting: &Waiting, version: u64, reason: &str, now: Moment) {
        self.counts.refused = self.counts.refused.saturating_add(1);
        self.exceptions.refuse(key, version, reason, now);
        if let Some(held) = self.held.get_mut(key) {
            // Whatever is newest is tried again.
            held.print = None;
        }
        self.settle(key, waiting);
        self.forget(key);
    }
}
