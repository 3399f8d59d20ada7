//! The account: which request leaves next.
//!
//! Invariant: of what draws on the same limit the most pressing goes first, and nothing less pressing draws on a limit
//! that it waits for; but a kind that was passed over [`MAX_PASSED`] times goes next, so that with `n` kinds each leaves
//! within `MAX_PASSED + n` requests.

use super::answer::{Flight, Told};
use super::content::{Content, Key, Kind, Measure, Newest, Source, Urgency};
use super::lane::{Attempt, Bulk, Held, Lane, Shows, Waiting};
use super::limit::{Admission, Precedence, Reserved, WindowDrawn};
use super::operation::{Account, Allowance, AllowanceError, OperationId};
use super::permit::Permits;
use super::progress::Mark;
use super::retry::{Breaker, BreakerState, RetryBudget};
use super::{Guard, Moment, Tells};
use compact_str::CompactString;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a kind that could go may be passed over by others.
pub const MAX_PASSED: u32 = 8;

/// How a kind of update is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePlan {
    /// Which.
    pub kind: Kind,
    /// The operation that writes.
    pub write: CompactString,
    /// The operation that reads what the channel shows, if there is one.
    pub read: Option<CompactString>,
    /// The operation that asks what became of a request that was only accepted, if there is one.
    pub poll: Option<CompactString>,
    /// What keeps older values from overwriting newer ones.
    pub guard: Guard,
    /// How long a platform may take from accepting a request to its final word; then it counts as unknown.
    pub final_word_within: Duration,
    /// Which changes are told.
    pub tells: Tells,
    /// How everything is told at once, if there is such a way.
    pub bulk: Option<BulkPlan>,
}

/// How everything is told at once, where a platform takes many items that it works on in its own time. Changes are written beside it as
/// ever, also those of keys that it carries: the newest value is written once more when the bulk can no longer write over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPlan {
    /// The operation that hands items in. It shares no limit with those that changes are written by, which would wait for it.
    pub write: CompactString,
    /// The operation that asks what became of that.
    pub poll: CompactString,
    /// Of how many keys at least it is worth it; fewer are written as changes are.
    pub at_least: usize,
    /// How long it may be worked on. Then it counts as unknown, and may be worked on for as long again.
    pub final_word_within: Duration,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An item to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Of what.
    pub key: Key,
    /// Grows with every change of the key.
    pub version: u64,
    /// The newest content.
    pub content: Content,
    /// What the channel is known to show, for platforms that compare.
    pub expected: Option<Measure>,
}

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Write these.
    Write(Kind, Vec<Item>),
    /// Read what the channel shows of these.
    Read(Kind, Vec<Key>),
    /// Ask what became of a request that was accepted under this name, with these keys and numbers in this order.
    Poll(CompactString, Vec<(Key, Measure)>),
}

/// A request to be sent. It must be answered with [`Engine::answer`], whatever becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Under which name it is answered.
    pub id: RequestId,
    /// The operation.
    pub operation: CompactString,
    /// What it does.
    pub work: Work,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this, and ask again.
    Send(Request),
    /// Whoever [wanted](Engine::want) to make a request may make it now; it is answered under this name as any other.
    Permit(RequestId),
    /// Nothing before this moment, or the next change or answer.
    WaitUntil(Moment),
    /// Nothing until something changes or is answered.
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Write(usize),
    Bulk(usize),
    Read(usize),
    Poll(RequestId),
    Permit,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// False if it was passed over too often; how pressing; since when.
    rank: (bool, Urgency, Moment),
    job: Job,
    operation: OperationId,
}

/// One account's egress.
pub struct Engine {
    pub(super) account: Account,
    pub(super) breakers: Vec<Breaker>,
    pub(super) lanes: Vec<Lane>,
    pub(super) flights: BTreeMap<RequestId, Flight>,
    pub(super) permits: Permits,
    pub(super) budget: RetryBudget,
    next_id: u64,
    pub(super) paused: bool,
    pub(super) requests: Vec<u64>,
    pub(super) throttled: Vec<u64>,
    pub(super) failed: Vec<u64>,
}

impl Engine {
    /// An account that has told nothing yet.
    ///
    /// # Errors
    /// [`AllowanceError`] if an operation or a limit that is named is not declared.
    pub fn new(allowance: &Allowance, plans: &[LanePlan], now: Moment) -> Result<Self, AllowanceError> {
        let account = Account::new(allowance, now)?;
        let mut lanes = Vec::with_capacity(plans.len());
        for plan in plans {
            let find = |name: &CompactString| account.find(name);
            let mut lane = Lane::new(plan.kind, find(&plan.write)?, plan.guard, now);
            lane.read = plan.read.as_ref().map(find).transpose()?;
            lane.poll = plan.poll.as_ref().map(find).transpose()?;
            lane.final_word_within = plan.final_word_within;
            lane.tells = plan.tells;
            if let Some(plan) = &plan.bulk {
                lane.bulk = Some(Bulk {
                    write: find(&plan.write)?,
                    poll: find(&plan.poll)?,
                    at_least: plan.at_least,
                    within: plan.final_word_within,
                });
            }
            lanes.push(lane);
        }
        lanes.sort_by_key(|lane| lane.kind);
        let operations = allowance.operations.len();
        let batch = lanes.iter().map(|lane| account.most_items(lane.write)).max();
        Ok(Self {
            account,
            breakers: (0..operations).map(|_| Breaker::new()).collect(),
            lanes,
            flights: BTreeMap::new(),
            permits: Permits::default(),
            budget: RetryBudget::new(batch.unwrap_or(1), now),
            next_id: 0,
            paused: false,
            requests: vec![0; operations],
            throttled: vec![0; operations],
            failed: vec![0; operations],
        })
    }

    pub(super) fn lane(&mut self, kind: Kind) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.kind == kind)
    }

    fn price_pending(&self, kind: Kind, key: &Key) -> bool {
        let mut lanes = self.lanes.iter();
        kind == Kind::Stock && lanes.any(|lane| lane.kind == Kind::Price && lane.pending(key))
    }

    pub(super) fn place(&mut self, kind: Kind, key: &Key, now: Moment) {
        let pending = self.price_pending(kind, key);
        if let Some(lane) = self.lane(kind) {
            lane.place(key, pending, now);
        }
        if kind == Kind::Price {
            self.place(Kind::Stock, key, now);
        }
    }

    /// A key has changed, by an entry of its journal or by itself, and now measures so much.
    pub fn mark(&mut self, kind: Kind, key: &Key, mark: Option<Mark>, measure: Option<Measure>, now: Moment) {
        if let Some(lane) = self.lane(kind) {
            lane.mark(key, mark, measure, now);
            self.place(kind, key, now);
        }
    }

    /// The same of a key whose newest content is kept nowhere else: it is told as it is brought here, the last one.
    pub fn bring(&mut self, kind: Kind, key: &Key, mark: Mark, newest: Newest, now: Moment) {
        let measure = newest.content.measure();
        if let Some(lane) = self.lane(kind) {
            lane.mark(key, Some(mark), Some(measure), now);
            lane.bring(key, newest);
            self.place(kind, key, now);
        }
    }

    /// An entry of a journal that changed nothing the channel is told.
    pub fn pass(&mut self, kind: Kind, mark: Mark) {
        if let Some(lane) = self.lane(kind) {
            lane.progress.see(mark);
        }
    }

    /// The channel is new: it is told everything, and no progress is safe before.
    pub fn introduce(&mut self, kind: Kind, keys: Vec<Key>, seen: &[Mark]) {
        if let Some(lane) = self.lane(kind) {
            seen.iter().for_each(|mark| lane.progress.see(*mark));
            lane.tell_all(keys, true);
        }
    }

    /// Tells everything again in the background.
    pub fn resync(&mut self, kind: Kind, keys: Vec<Key>) {
        if let Some(lane) = self.lane(kind) {
            lane.tell_all(keys, false);
        }
    }

    /// The first key that has not been told again, and whether that rests; none if nothing is told again.
    #[must_use]
    pub fn resync_stands_at(&self, kind: Kind) -> Option<(&Key, bool)> {
        let lane = self.lanes.iter().find(|lane| lane.kind == kind)?;
        Some((lane.resync_stands_at()?, lane.background.paused))
    }

    /// Whether the channel is new and has not been told everything of a kind yet.
    #[must_use]
    pub fn introduces(&self, kind: Kind) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.kind == kind && lane.introducing())
    }

    /// What is drawn of windows, for keeping.
    pub fn windows(&self, now: Moment) -> impl Iterator<Item = WindowDrawn> {
        self.account
            .limits()
            .iter()
            .filter_map(move |limit| limit.window_drawn(now))
    }

    /// Before a start so much of a window was drawn, and counts until then.
    pub fn recall_drawn(&mut self, limit: &str, units: u64, until: Moment) {
        self.account.recall_drawn(limit, units, until);
    }

    /// Stops telling everything again for a while, or goes on with it.
    pub fn pause_resync(&mut self, paused: bool) {
        for lane in &mut self.lanes {
            lane.background.paused = paused;
        }
    }

    /// Sends nothing for a while, or goes on. What is under way is answered.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether what the channel shows of a kind can be read.
    #[must_use]
    pub fn can_audit(&self, kind: Kind) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.kind == kind && lane.read.is_some())
    }

    /// Looks at what the channel shows of these keys, when nothing else is to be done. What there is no room for is
    /// passed over.
    pub fn audit(&mut self, kind: Kind, keys: impl IntoIterator<Item = Key>) {
        if let Some(lane) = self.lane(kind)
            && lane.read.is_some()
        {
            let room = super::lane::MAX_AUDITS.saturating_sub(lane.audits.len());
            lane.audits.extend(keys.into_iter().take(room));
        }
    }

    /// Up to where the channel has been told everything of a kind, by partition.
    pub fn safe(&mut self, kind: Kind) -> Vec<Mark> {
        let lane = self.lane(kind);
        lane.map(|lane| lane.safe().into_values().collect())
            .unwrap_or_default()
    }

    /// What to do at this moment.
    pub fn next(&mut self, now: Moment, source: &impl Source) -> Next {
        self.wake(now);
        if self.paused {
            return Next::Rest;
        }
        loop {
            let mut earliest = self.lanes.iter().filter_map(Lane::next_due).min();
            earliest = earliest.into_iter().chain(self.next_poll(now)).min();
            match self.choose(&mut earliest, now) {
                Some((Job::Permit, operation, items)) => {
                    return Next::Permit(self.permit(operation, items, now));
                }
                Some((job, operation, items)) => {
                    if let Some(request) = self.build(job, operation, items, now, source) {
                        return Next::Send(request);
                    }
                }
                None => return earliest.map_or(Next::Rest, Next::WaitUntil),
            }
        }
    }

    /// Puts into the queues what has waited long enough, and gives up what got no final word.
    fn wake(&mut self, now: Moment) {
        self.give_up_silent(now);
        for place in 0..self.lanes.len() {
            let lane = &self.lanes[place];
            let batch = self.account.most_items(lane.tells_all_by());
            let lane = &mut self.lanes[place];
            let kind = lane.kind;
            let mut keys = lane.due(now);
            keys.extend(lane.refill(batch, now));
            for key in keys {
                self.place(kind, &key, now);
            }
        }
    }

    fn candidates(&self, now: Moment) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (place, lane) in self.lanes.iter().enumerate() {
            let in_turn = lane.passed < MAX_PASSED;
            let mut add = |head: Option<(Urgency, Moment)>, job, operation: Option<OperationId>| {
                if let (Some((urgency, since)), Some(operation)) = (head, operation) {
                    let rank = (in_turn, urgency, since);
                    candidates.push(Candidate { rank, job, operation });
                }
            };
            add(lane.read_head(), Job::Read(place), lane.read);
            add(lane.head(), Job::Write(place), Some(lane.write));
            if let (Some(since), Some(bulk)) = (lane.bulk_head(), lane.bulk) {
                candidates.push(Candidate {
                    rank: (true, Urgency::Background, since),
                    job: Job::Bulk(place),
                    operation: bulk.write,
                });
            }
        }
        for (id, flight) in &self.flights {
            if let Some(due) = flight.poll_at().filter(|due| *due <= now)
                && let Some(operation) = flight.asked_by(&self.lanes[flight.lane])
            {
                let rank = (true, Urgency::OversellRisk, due);
                candidates.push(Candidate {
                    rank,
                    job: Job::Poll(*id),
                    operation,
                });
            }
        }
        if let Some(wanted) = &self.permits.wanted {
            // What the platform has sold and nobody knows of here is sold twice.
            let rank = (wanted.passed < MAX_PASSED, Urgency::OversellRisk, wanted.since);
            candidates.push(Candidate {
                rank,
                job: Job::Permit,
                operation: wanted.operation,
            });
        }
        candidates.sort_by_key(|candidate| candidate.rank);
        candidates
    }

    fn next_poll(&self, now: Moment) -> Option<Moment> {
        let polls = self.flights.values().filter_map(Flight::poll_at);
        let deadlines = self.flights.values().filter_map(Flight::silent_at);
        polls.chain(deadlines).filter(|moment| *moment > now).min()
    }

    /// The most pressing job that can be done now, with how many items; else `earliest` is when one can.
    fn choose(&mut self, earliest: &mut Option<Moment>, now: Moment) -> Option<(Job, OperationId, usize)> {
        let mut waited_for: Vec<OperationId> = Vec::new();
        let candidates = self.candidates(now);
        for candidate in &candidates {
            let operation = candidate.operation;
            if waited_for
                .iter()
                .any(|other| self.account.share(*other, operation))
            {
                continue;
            }
            let Some(from) = self.breakers[operation.0].from() else {
                continue;
            };
            if from > now {
                *earliest = Some(earliest.map_or(from, |moment| moment.min(from)));
                continue;
            }
            let items = self.items_for(candidate);
            let precedence = if candidate.rank.1.is_urgent() {
                Precedence::Urgent
            } else {
                Precedence::Ordinary
            };
            let lingers = self.lingers(candidate, items, now);
            let admission = self
                .account
                .admits(operation, items, precedence, now)
                .and(lingers);
            match admission {
                Admission::Now => {
                    self.note_passed(candidate, &candidates);
                    return Some((candidate.job, operation, items));
                }
                Admission::At(moment) => {
                    *earliest = Some(earliest.map_or(moment, |other| other.min(moment)));
                    waited_for.push(operation);
                }
                Admission::AfterAnswer => waited_for.push(operation),
            }
        }
        None
    }

    fn items_for(&self, candidate: &Candidate) -> usize {
        let most = self.account.most_items(candidate.operation);
        match candidate.job {
            Job::Write(lane) => most.min(self.lanes[lane].ready_count()),
            Job::Bulk(lane) => most.min(self.lanes[lane].bulk_count()),
            Job::Read(_) => most,
            Job::Poll(_) | Job::Permit => 1,
        }
    }

    /// A request that is neither full nor urgent waits for more to come.
    fn lingers(&self, candidate: &Candidate, items: usize, now: Moment) -> Admission {
        let operation = self.account.operation(candidate.operation);
        let (_, urgency, since) = candidate.rank;
        let full = items >= self.account.most_items(candidate.operation);
        let until = since.saturating_add(operation.linger);
        let waits = matches!(candidate.job, Job::Write(_) | Job::Bulk(_))
            && !full
            && !urgency.is_urgent()
            && until > now;
        if waits {
            Admission::At(until)
        } else {
            Admission::Now
        }
    }

    fn note_passed(&mut self, chosen: &Candidate, candidates: &[Candidate]) {
        let lane_of = |job: Job| match job {
            Job::Write(lane) | Job::Read(lane) => Some(lane),
            // It draws on limits of its own.
            Job::Bulk(_) | Job::Poll(_) | Job::Permit => None,
        };
        let served = lane_of(chosen.job);
        for lane in candidates.iter().filter_map(|candidate| lane_of(candidate.job)) {
            if served != Some(lane) {
                self.lanes[lane].passed = self.lanes[lane].passed.saturating_add(1);
            }
        }
        if let Some(lane) = served {
            self.lanes[lane].passed = 0;
        }
        if let Some(wanted) = &mut self.permits.wanted {
            wanted.passed = wanted.passed.saturating_add(1);
        }
    }

    fn build(
        &mut self,
        job: Job,
        operation: OperationId,
        items: usize,
        now: Moment,
        source: &impl Source,
    ) -> Option<Request> {
        let (flight, work) = match job {
            Job::Write(lane) => self.build_write(lane, items, now, source)?,
            Job::Bulk(lane) => self.build_bulk(lane, items, now, source)?,
            Job::Read(lane) => self.build_read(lane, items)?,
            Job::Poll(id) => self.build_poll(id)?,
            Job::Permit => return None,
        };
        let (id, drawn) = self.depart(operation, flight.len(), now);
        self.flights.insert(id, flight.leaves(operation, drawn));
        Some(Request {
            id,
            operation: self.account.operation(operation).name.clone(),
            work,
        })
    }

    /// A request leaves: it gets a name, and what it draws is reserved.
    pub(super) fn depart(
        &mut self,
        operation: OperationId,
        items: usize,
        now: Moment,
    ) -> (RequestId, Vec<Reserved>) {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let drawn = self.account.reserve(operation, items, now);
        self.breakers[operation.0].sent();
        self.requests[operation.0] = self.requests[operation.0].saturating_add(1);
        (id, drawn)
    }

    fn build_write(
        &mut self,
        place: usize,
        most: usize,
        now: Moment,
        source: &impl Source,
    ) -> Option<(Flight, Work)> {
        let kind = self.lanes[place].kind;
        let mut flown = Vec::with_capacity(most);
        let mut items: Vec<Item> = Vec::with_capacity(most);
        let mut most = most;
        while items.len() < most
            && let Some(key) = self.lanes[place].pick()
            && let Some(waiting) = self.lanes[place].take(&key)
        {
            if items.len() >= waiting.together {
                // It goes with fewer, in a request of its own.
                self.lanes[place].wait_again(&key, waiting);
                self.place(kind, &key, now);
                break;
            }
            let together = waiting.together;
            if let Some((key, waiting)) = self.afford(place, key, waiting, now)
                && let Some((item, waiting)) = self.load(place, key, waiting, now, source)
            {
                most = most.min(together);
                self.lanes[place].flying.insert(item.key.clone());
                let told = Told::of(&item);
                flown.push((item.key.clone(), waiting, told));
                items.push(item);
            }
        }
        if items.is_empty() {
            return None;
        }
        Some((Flight::writing(place, flown), Work::Write(kind, items)))
    }

    /// As many of what is told again as a bulk takes. Its limit bounds how often that is tried, so that it needs no budget.
    fn build_bulk(
        &mut self,
        place: usize,
        most: usize,
        now: Moment,
        source: &impl Source,
    ) -> Option<(Flight, Work)> {
        let kind = self.lanes[place].kind;
        let mut flown = Vec::with_capacity(most);
        let mut items: Vec<Item> = Vec::with_capacity(most);
        while items.len() < most
            && let Some((key, waiting)) = self.lanes[place].take_for_bulk()
        {
            if let Some((item, waiting)) = self.load(place, key, waiting, now, source) {
                self.lanes[place].enter_bulk(&item.key, now);
                flown.push((item.key.clone(), waiting, Told::of(&item)));
                items.push(item);
            }
        }
        if items.is_empty() {
            return None;
        }
        Some((Flight::in_bulk(place, flown), Work::Write(kind, items)))
    }

    /// The same key, unless it has to wait for the retry budget.
    fn afford(
        &mut self,
        place: usize,
        key: Key,
        mut waiting: Waiting,
        now: Moment,
    ) -> Option<(Key, Waiting)> {
        match waiting.attempt {
            Attempt::First | Attempt::Confirming => self.budget.first(),
            Attempt::Again => {
                if let Err(moment) = self.budget.again(now) {
                    waiting.not_before = moment;
                    let kind = self.lanes[place].kind;
                    self.lanes[place].wait_again(&key, waiting);
                    self.place(kind, &key, now);
                    return None;
                }
            }
        }
        Some((key, waiting))
    }

    /// The item that a key needs now; none if there is nothing to tell.
    fn load(
        &mut self,
        place: usize,
        key: Key,
        waiting: Waiting,
        now: Moment,
        source: &impl Source,
    ) -> Option<(Item, Waiting)> {
        let lane = &mut self.lanes[place];
        let brought = waiting.brought.as_deref().cloned();
        let newest = brought.or_else(|| source.newest(lane.kind, &key));
        let held = lane.held.get(&key).copied();
        let background = lane.background.left.contains(&key);
        let needed = |version: u64| match held {
            Some(held) if held.version > version => false,
            Some(Held {
                version: told,
                shows: Shows::This(_),
                ..
            }) if told == version => background || waiting.mark.is_none() || lane.may_come(&key).is_some(),
            Some(_) | None => true,
        };
        let is_shown = |newest: &Newest| !background && lane.certainly_shows(&key, &waiting, &newest.content);
        let Some(newest) = newest.filter(|newest| needed(newest.version) && !is_shown(newest)) else {
            lane.settle(&key, &waiting);
            let kind = lane.kind;
            // A quantity may have waited for this.
            self.place(kind, &key, now);
            return None;
        };
        let expected = held.and_then(|held| match held.shows {
            Shows::This(measure) => Some(measure),
            Shows::Unknown | Shows::Doubt => None,
        });
        let item = Item {
            key,
            version: newest.version,
            content: newest.content,
            expected,
        };
        Some((item, waiting))
    }

    fn build_read(&mut self, place: usize, most: usize) -> Option<(Flight, Work)> {
        let lane = &mut self.lanes[place];
        let reads = lane.take_reads(most);
        if reads.is_empty() {
            return None;
        }
        let keys = reads.iter().map(|(key, _)| key.clone()).collect();
        Some((Flight::reading(place, reads), Work::Read(lane.kind, keys)))
    }

    fn build_poll(&mut self, id: RequestId) -> Option<(Flight, Work)> {
        let flight = self.flights.get_mut(&id)?;
        let (handle, sent) = flight.ask()?;
        Some((Flight::polling(flight.lane, id), Work::Poll(handle, sent)))
    }

    /// How an operation's breaker stands.
    #[must_use]
    pub fn breaker(&self, operation: &str) -> Option<BreakerState> {
        let id = self.account.find(operation).ok()?;
        Some(self.breakers[id.0].state())
    }
}
