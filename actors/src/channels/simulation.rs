//! The engine in virtual time against a strict platform that a beginner could read, over random histories.

use super::*;
use crate::money::Currency;
use crate::quantity::Quantity;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Random numbers from a seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// The platform's bucket: what is in it leaks, what is asked for must fit.
struct PlatformBucket {
    /// In billionths of a unit.
    level: u128,
    at: Moment,
    burst: u64,
    refill_per_second: u64,
    taken: u64,
}

impl PlatformBucket {
    fn take(&mut self, units: u64, now: Moment) -> bool {
        let leaked = (now - self.at).as_nanos() * u128::from(self.refill_per_second);
        self.level = self.level.saturating_sub(leaked);
        self.at = now;
        let wanted = u128::from(units) * 1_000_000_000;
        if self.level + wanted > u128::from(self.burst) * 1_000_000_000 {
            return false;
        }
        self.level += wanted;
        self.taken += units;
        true
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Calm,
    Chaos,
}

/// What happens at a moment.
enum Event {
    Change,
    Arrives(Request, Fate),
    /// Somebody wants to read the orders of the account.
    Wants,
    /// He does.
    Reads(RequestId, Fate),
    Lands(Kind, Vec<Item>),
    Answered(RequestId, Answer),
}

/// What the network and the platform's own troubles do to a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    Storm,
    FailsBefore,
    FailsAfter,
    /// No answer in time, and the effect comes later still.
    ComesLate,
}

/// The platform's queue of bulks: when each has a final word, and which of its items it failed with.
#[derive(Default)]
struct Bulks {
    ends: Vec<(Option<Moment>, HashSet<usize>)>,
    /// Items that wrote over a newer value.
    over_newer: u64,
}

/// How long a bulk may be worked on.
const WORKED_ON: Duration = Duration::from_secs(20);
const BULK: usize = 200;

const UNITS: u64 = 10;
const REFILL: u64 = 100;
const BURST: u64 = 200;
const BATCH: usize = 5;
/// How long after an answer orders are read again.
const READ_AGAIN: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);
/// After the timeout; a late effect comes 7 s after the request at the latest.
const QUIET: Duration = Duration::from_secs(6);

pub(super) fn allowance() -> Allowance {
    let draw = |limit: &str, units| Draw {
        limit: limit.into(),
        per_request: units,
        per_item: 0,
    };
    let operation = |name: &str| Operation {
        name: name.into(),
        draws: vec![draw("points", UNITS), draw("connections", 1)],
        max_items: BATCH,
        max_bytes: 0,
        item_bytes: 0,
        linger: Duration::ZERO,
    };
    let points = Rule::Bucket {
        burst: BURST,
        refill: REFILL,
        per: Duration::from_secs(1),
    };
    Allowance {
        limits: vec![
            ("points".into(), points),
            ("connections".into(), Rule::Concurrent { requests: 6 }),
        ],
        operations: vec![
            operation("set-stock"),
            operation("set-prices"),
            operation("read"),
            operation("read-orders"),
        ],
    }
}

fn plan(kind: Kind, write: &str, guard: Guard, tells: Tells) -> LanePlan {
    LanePlan {
        kind,
        write: write.into(),
        read: matches!(guard, Guard::CompareAndSet { .. }).then(|| "read".into()),
        poll: None,
        guard,
        final_word_within: Duration::from_secs(60),
        tells,
        bulk: None,
    }
}

/// The same with bulks, which the platform works on in its own time.
fn allowance_with_bulks() -> Allowance {
    let mut allowance = allowance();
    let bulks = Rule::Window {
        units: 5,
        per: Duration::from_secs(10),
        reserved_for_urgent: 0,
    };
    let questions = Rule::Bucket {
        burst: 10,
        refill: 10,
        per: Duration::from_secs(1),
    };
    allowance.limits.extend([
        ("bulks".into(), bulks),
        ("unfinished".into(), Rule::Unfinished { requests: 2 }),
        ("questions".into(), questions),
    ]);
    let operation = |name: &str, limits: &[&str], max_items| Operation {
        name: name.into(),
        draws: limits
            .iter()
            .map(|limit| Draw {
                limit: (*limit).into(),
                per_request: 1,
                per_item: 0,
            })
            .collect(),
        max_items,
        max_bytes: 0,
        item_bytes: 0,
        linger: Duration::ZERO,
    };
    allowance.operations.extend([
        operation("bulk", &["bulks", "unfinished"], BULK),
        operation("ask-bulk", &["questions"], 1),
    ]);
    allowance
}

/// What is true, by kind and key: version and content.
#[derive(Default)]
struct Truth(HashMap<(Kind, Key), Newest>);

impl Source for Truth {
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest> {
        self.0.get(&(kind, key.clone())).cloned()
    }
}

struct World {
    random: Random,
    now: Moment,
    events: BTreeMap<(Moment, u64), Event>,
    tie: u64,
    engine: Engine,
    guard: Guard,
    tells: Tells,
    truth: Truth,
    sequence: u64,
    bucket: PlatformBucket,
    weather: Weather,
    /// What the platform shows, and what it showed just before.
    shows: HashMap<(Kind, Key), (u64, Measure)>,
    before: HashMap<(Kind, Key), Option<Measure>>,
    in_flight: HashSet<(Kind, Key)>,
    open: HashMap<RequestId, Request>,
    /// Since when orders are to be read.
    wanted: Moment,
    reading: HashSet<RequestId>,
    slowest_read: Duration,
    reads: u64,
    enough: bool,
    /// How many changes come each 20 ms; one of them can be told: 10 requests a second of 5 items.
    too_many: u32,
    avoidable: u64,
    older_over_newer: u64,
    bulks: Bulks,
    /// Since when a key has been sold out and the platform shows something.
    sold_out: HashMap<Key, Moment>,
    slowest_sold_out: Duration,
}

const KEYS: u64 = 1_000;

impl World {
    fn new(seed: u64, guard: Guard, tells: Tells) -> Self {
        Self::with(seed, guard, tells, &allowance(), None)
    }

    /// One that tells everything by bulks.
    fn with_bulks(seed: u64) -> Self {
        let bulk = BulkPlan {
            write: "bulk".into(),
            poll: "ask-bulk".into(),
            at_least: 50,
            final_word_within: WORKED_ON,
        };
        let guard = Guard::Rewrite { quiet: QUIET };
        Self::with(seed, guard, Tells::All, &allowance_with_bulks(), Some(&bulk))
    }

    fn with(seed: u64, guard: Guard, tells: Tells, allowance: &Allowance, bulk: Option<&BulkPlan>) -> Self {
        let plan = |kind, write| LanePlan {
            bulk: bulk.cloned(),
            ..plan(kind, write, guard, tells)
        };
        let plans = [plan(Kind::Stock, "set-stock"), plan(Kind::Price, "set-prices")];
        Self {
            random: Random(seed),
            now: Moment::ZERO,
            events: BTreeMap::new(),
            tie: 0,
            engine: Engine::new(allowance, &plans, Moment::ZERO).unwrap(),
            bulks: Bulks::default(),
            guard,
            tells,
            truth: Truth::default(),
            sequence: 0,
            bucket: PlatformBucket {
                level: 0,
                at: Moment::ZERO,
                burst: BURST,
                refill_per_second: REFILL,
                taken: 0,
            },
            weather: Weather::Calm,
            shows: HashMap::new(),
            before: HashMap::new(),
            in_flight: HashSet::new(),
            open: HashMap::new(),
            wanted: Moment::ZERO,
            reading: HashSet::new(),
            slowest_read: Duration::ZERO,
            reads: 0,
            enough: false,
            too_many: 100,
            avoidable: 0,
            older_over_newer: 0,
            sold_out: HashMap::new(),
            slowest_sold_out: Duration::ZERO,
        }
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.tie += 1;
        self.events.insert((self.now + after, self.tie), event);
    }

    fn change(&mut self) {
        let key = Key(format!("S{}", self.random.below(KEYS)).into());
        self.sequence += 1;
        // What is sold out stays so until the platform shows it.
        let stocked = self.random.happens(75) && !self.sold_out.contains_key(&key);
        let content = if !stocked {
            price(i64::try_from(self.random.below(100_000)).unwrap() + 1)
        } else if self.random.below(150) == 0 {
            // Now and then one sells out: 25 of 5,000 changes a second.
            stock(0)
        } else {
            let units = i64::try_from(self.random.below(1_000)).unwrap() + 1;
            stock(match self.tells {
                Tells::All => units,
                // As in bands: most changes change nothing that is shown.
                Tells::Shown => {
                    if units > 500 {
                        500
                    } else {
                        1
                    }
                }
            })
        };
        let kind = content.kind();
        let measure = content.measure();
        let newest = Newest {
            version: self.sequence,
            content,
        };
        self.truth.0.insert((kind, key.clone()), newest);
        let mark = Mark {
            partition: PartitionId(0),
            sequence: Sequence(self.sequence),
        };
        self.engine.mark(kind, &key, Some(mark), Some(measure), self.now);
        if kind == Kind::Stock {
            self.watch_sold_out(&key);
        }
    }

    /// Keeps the time that the platform offers what is sold out.
    fn watch_sold_out(&mut self, key: &Key) {
        let sold_out = self
            .truth
            .newest(Kind::Stock, key)
            .map(|newest| newest.content.measure());
        let shown = self
            .shows
            .get(&(Kind::Stock, key.clone()))
            .map(|(_, measure)| *measure);
        let wrong = sold_out == Some(Measure::Units(0)) && shown != Some(Measure::Units(0));
        if wrong {
            self.sold_out.entry(key.clone()).or_insert(self.now);
        } else if let Some(since) = self.sold_out.remove(key)
            && shown == Some(Measure::Units(0))
        {
            self.slowest_sold_out = self.slowest_sold_out.max(self.now - since);
        }
    }

    fn fate(&mut self) -> Fate {
        if self.weather == Weather::Calm {
            return Fate::Fine;
        }
        match self.random.below(100) {
            0..15 => Fate::Storm,
            15..25 => Fate::FailsBefore,
            25..35 => Fate::FailsAfter,
            35..42 => Fate::ComesLate,
            _ => Fate::Fine,
        }
    }

    fn send_all(&mut self) -> Option<Moment> {
        loop {
            match self.engine.next(self.now, &self.truth) {
                Next::Send(request) => {
                    if let Work::Write(kind, items) = &request.work
                        && request.operation != "bulk"
                    {
                        assert!(items.len() <= BATCH);
                        for item in items {
                            let alone = self.in_flight.insert((*kind, item.key.clone()));
                            assert!(alone, "S51: {} is twice under way", item.key);
                        }
                    }
                    self.open.insert(request.id, request.clone());
                    let (fate, after) = (self.fate(), self.random.millis(5, 60));
                    self.later(after, Event::Arrives(request, fate));
                }
                Next::Permit(id) => {
                    self.slowest_read = self.slowest_read.max(self.now - self.wanted);
                    self.reading.insert(id);
                    let (fate, after) = (self.fate(), self.random.millis(5, 60));
                    self.later(after, Event::Reads(id, fate));
                }
                Next::WaitUntil(moment) => {
                    assert!(moment > self.now, "waits for the past");
                    return Some(moment);
                }
                Next::Rest => return None,
            }
        }
    }

    fn arrives(&mut self, request: &Request, fate: Fate) {
        let verdict = self.meets(request, fate);
        self.answers(request.id, verdict, fate);
    }

    fn reads(&mut self, id: RequestId, fate: Fate) {
        let verdict = self.refuses(fate).unwrap_or_else(|| {
            self.reads += 1;
            Verdict::Items(Vec::new())
        });
        self.answers(id, verdict, fate);
    }

    fn answers(&mut self, id: RequestId, verdict: Verdict, fate: Fate) {
        let back = if fate == Fate::ComesLate {
            TIMEOUT
        } else {
            self.random.millis(5, 60)
        };
        self.later(back, Event::Answered(id, verdict.into()));
    }

    /// What the platform says without looking at a request; none if it looks at it.
    fn refuses(&mut self, fate: Fate) -> Option<Verdict> {
        match fate {
            Fate::Storm => {
                let pause = Some(Duration::from_millis(500));
                return Some(Verdict::Throttled { pause });
            }
            Fate::FailsBefore => return Some(failed(Certainty::NotTaken)),
            Fate::Fine | Fate::FailsAfter | Fate::ComesLate => {}
        }
        if self.bucket.take(UNITS, self.now) {
            return None;
        }
        self.avoidable += 1;
        Some(Verdict::Throttled { pause: None })
    }

    fn meets(&mut self, request: &Request, fate: Fate) -> Verdict {
        if request.operation == "bulk" {
            return self.takes_bulk(request, fate);
        }
        if let Work::Poll(handle, sent) = &request.work {
            return self.asked_about(handle, sent.len());
        }
        if let Some(verdict) = self.refuses(fate) {
            return verdict;
        }
        if let (Fate::ComesLate, Work::Write(kind, items)) = (fate, &request.work) {
            let late = self.random.millis(100, 7_000);
            self.later(late, Event::Lands(*kind, items.clone()));
            return failed(Certainty::Unknown);
        }
        let verdict = self.work(&request.work);
        if fate == Fate::Fine {
            verdict
        } else {
            failed(Certainty::Unknown)
        }
    }

    /// Each item lands when it does. Of those in trouble some come after the bulk was given up, without a final word.
    fn takes_bulk(&mut self, request: &Request, fate: Fate) -> Verdict {
        let Work::Write(kind, items) = &request.work else {
            return failed(Certainty::NotTaken);
        };
        match fate {
            Fate::Storm => return Verdict::Throttled { pause: None },
            Fate::FailsBefore => return failed(Certainty::NotTaken),
            Fate::Fine | Fate::FailsAfter | Fate::ComesLate => {}
        }
        let is_silent = fate == Fate::ComesLate;
        let longest = if is_silent { 35_000 } else { 15_000 };
        let mut lost = HashSet::new();
        for (place, item) in items.iter().enumerate() {
            if self.weather == Weather::Chaos && self.random.happens(5) {
                lost.insert(place);
                continue;
            }
            let after = self.random.millis(100, longest);
            self.later(after, Event::Lands(*kind, vec![item.clone()]));
        }
        let ends = (!is_silent).then(|| self.now + Duration::from_millis(longest));
        self.bulks.ends.push((ends, lost));
        Verdict::Accepted {
            handle: (self.bulks.ends.len() - 1).to_string().into(),
            ask_in: Duration::from_secs(1),
        }
    }

    fn asked_about(&mut self, handle: &str, items: usize) -> Verdict {
        let bulk: usize = handle.parse().unwrap();
        let (ends, lost) = &self.bulks.ends[bulk];
        if ends.is_none_or(|ends| ends > self.now) {
            return Verdict::Pending {
                ask_in: Duration::from_secs(1),
            };
        }
        let verdict = |place| {
            if lost.contains(&place) {
                ItemVerdict::Failed("lost".into())
            } else {
                ItemVerdict::Taken
            }
        };
        Verdict::Items((0..items).map(verdict).collect())
    }

    fn work(&mut self, work: &Work) -> Verdict {
        match work {
            Work::Write(kind, items) => {
                let verdicts = items.iter().map(|item| self.write(*kind, item)).collect();
                Verdict::Items(verdicts)
            }
            Work::Read(kind, keys) => {
                let mut values = Vec::new();
                for key in keys {
                    let place = (*kind, key.clone());
                    // One in five from a copy that is behind.
                    let behind = self.weather == Weather::Chaos && self.random.happens(20);
                    values.push(if behind {
                        self.before.get(&place).copied().flatten()
                    } else {
                        self.shows.get(&place).map(|(_, measure)| *measure)
                    });
                }
                Verdict::Values(values)
            }
            Work::Poll(..) => Verdict::Pending { ask_in: TIMEOUT },
        }
    }

    fn write(&mut self, kind: Kind, item: &Item) -> ItemVerdict {
        if self.weather == Weather::Chaos && self.random.happens(5) {
            return ItemVerdict::Failed("busy".into());
        }
        let place = (kind, item.key.clone());
        let shows = self.shows.get(&place).copied();
        let verdict = match (self.guard, shows) {
            (Guard::Version, Some((version, _))) if version > item.version => ItemVerdict::Newer,
            (Guard::CompareAndSet { .. }, Some((_, shown)))
                if item.expected.is_some_and(|other| other != shown) =>
            {
                ItemVerdict::Conflict
            }
            (
                Guard::Version | Guard::CompareAndSet { .. } | Guard::Rewrite { .. } | Guard::Once { .. },
                _,
            ) => ItemVerdict::Taken,
        };
        if verdict == ItemVerdict::Taken {
            self.older_over_newer += u64::from(shows.is_some_and(|(version, _)| version > item.version));
            self.before
                .insert(place.clone(), shows.map(|(_, measure)| measure));
            self.shows.insert(place, (item.version, item.content.measure()));
            if kind == Kind::Stock {
                self.watch_sold_out(&item.key);
            }
        }
        verdict
    }
}

impl World {
    /// Runs until nothing is to be done, or for so long.
    fn run(&mut self, until: Moment) {
        loop {
            let wake = self.send_all();
            let next = self.events.first_key_value().map(|((moment, _), _)| *moment);
            let Some(moment) = wake.into_iter().chain(next).min() else {
                return;
            };
            if moment > until {
                self.now = until;
                return;
            }
            self.now = moment;
            while let Some(entry) = self.events.first_entry()
                && entry.key().0 <= self.now
            {
                let event = entry.remove();
                self.happen(event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Change if self.enough => {}
            Event::Change => {
                for _ in 0..self.too_many {
                    self.change();
                }
                self.later(Duration::from_millis(20), Event::Change);
            }
            Event::Arrives(request, fate) => self.arrives(&request, fate),
            Event::Wants if self.enough => {}
            Event::Wants => {
                self.wanted = self.now;
                self.engine.want("read-orders", self.now).unwrap();
            }
            Event::Reads(id, fate) => self.reads(id, fate),
            Event::Lands(kind, items) => {
                for item in &items {
                    let older = self.older_over_newer;
                    self.write(kind, item);
                    self.bulks.over_newer += self.older_over_newer - older;
                }
            }
            Event::Answered(id, answer) => {
                if let Some(Request {
                    work: Work::Write(kind, items),
                    operation,
                    ..
                }) = self.open.remove(&id)
                    && operation != "bulk"
                {
                    for item in items {
                        self.in_flight.remove(&(kind, item.key));
                    }
                }
                if self.reading.remove(&id) {
                    self.later(READ_AGAIN, Event::Wants);
                }
                let jitter = u32::try_from(self.random.below(1_000_000)).unwrap();
                self.engine.answer(id, &answer, jitter, self.now);
            }
        }
    }

    fn differences(&self) -> usize {
        let truth = self.truth.0.iter();
        truth
            .filter(|(place, newest)| {
                self.shows.get(*place).map(|(_, measure)| *measure) != Some(newest.content.measure())
            })
            .count()
    }
}

fn failed(certainty: Certainty) -> Verdict {
    Verdict::Failed {
        reason: "500".into(),
        pause: None,
        certainty,
    }
}

pub(super) fn stock(units: i64) -> Content {
    Content::Stock(StockShown {
        available: Quantity::new(units).unwrap(),
        by_warehouse: Vec::new(),
    })
}

pub(super) fn price(cents: i64) -> Content {
    Content::Price(PriceShown {
        amount: Decimal::new(cents, 2),
        currency: Currency::new("EUR").unwrap(),
    })
}

fn seeds() -> u64 {
    let seeds = std::env::var("LOCKSTEP_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    seeds.unwrap_or(4)
}

fn guards() -> [Guard; 3] {
    [
        Guard::Version,
        Guard::CompareAndSet { quiet: QUIET },
        Guard::Rewrite { quiet: QUIET },
    ]
}

#[test]
fn under_a_hundred_times_too_many_changes_the_limit_is_kept_and_used_and_the_sold_out_get_through() {
    for seed in 0..seeds() {
        let mut world = World::new(seed, Guard::Version, Tells::All);
        world.later(Duration::ZERO, Event::Change);
        world.later(Duration::ZERO, Event::Wants);
        world.run(Duration::from_secs(10));
        let taken = world.bucket.taken;
        world.sold_out.clear();
        world.slowest_sold_out = Duration::ZERO;
        world.run(Duration::from_secs(30));
        let used = world.bucket.taken - taken;
        assert_eq!(world.avoidable, 0, "seed {seed}: 429s");
        assert!(
            used * 100 >= 95 * REFILL * 20,
            "seed {seed}: used {used} of {}",
            REFILL * 20
        );
        // A request leaves each 100 ms and is under way for 120 ms at most. A SKU may have to wait for an answer about its
        // last value, and for others that are sold out at the same moment.
        assert!(
            world.slowest_sold_out <= Duration::from_millis(1_000),
            "seed {seed}: sold out for {:?}",
            world.slowest_sold_out
        );
        // Eight requests of others go before it, and those of kinds that were passed over as often.
        assert!(
            world.reads > 20 && world.slowest_read <= Duration::from_millis(1_500),
            "seed {seed}: {} reads of orders, the slowest waited {:?}",
            world.reads,
            world.slowest_read
        );
    }
}

#[test]
fn whatever_happens_the_channel_converges_and_the_cursor_tells_the_truth() {
    let worlds = [Tells::All, Tells::Shown].map(|tells| guards().map(|guard| (guard, tells)));
    let worlds = worlds.concat();
    for (seed, (guard, tells)) in (0..seeds()).flat_map(|seed| worlds.iter().map(move |world| (seed, *world)))
    {
        let mut world = World::new(seed, guard, tells);
        world.too_many = 10;
        world.later(Duration::ZERO, Event::Change);
        world.later(Duration::ZERO, Event::Wants);
        world.run(Duration::from_secs(2));
        world.weather = Weather::Chaos;
        world.run(Duration::from_secs(12));
        world.enough = true;
        world.run(Duration::from_secs(30));
        world.weather = Weather::Calm;
        world.run(Duration::from_secs(600));
        assert_eq!(world.differences(), 0, "seed {seed} {guard:?} {tells:?}");
        let report = world.engine.report(world.now);
        assert!(
            report.lanes.iter().all(|lane| lane.untold == 0),
            "seed {seed} {guard:?} {tells:?}: {report:?}"
        );
        if guard == Guard::Version {
            assert_eq!(world.older_over_newer, 0, "seed {seed}");
        }
        let safe = [Kind::Stock, Kind::Price]
            .map(|kind| world.engine.safe(kind))
            .concat();
        let safe = safe.iter().map(|mark| mark.sequence.0).max();
        assert_eq!(safe, Some(world.sequence), "seed {seed} {guard:?} {tells:?}");
    }
}

/// Everything is told three times while SKUs change and the platform is in trouble: bulks are lost in part, come after they were given
/// up, and write over what was told beside them.
#[test]
fn everything_is_told_by_bulks_beside_changes_and_no_older_value_stays() {
    for seed in 0..seeds() {
        let mut world = World::with_bulks(seed);
        world.too_many = 3;
        world.later(Duration::ZERO, Event::Change);
        world.run(Duration::from_secs(10));
        world.weather = Weather::Chaos;
        for until in [30, 60, 90] {
            for kind in [Kind::Stock, Kind::Price] {
                let told = world.truth.0.keys().filter(|(other, _)| *other == kind);
                let mut keys: Vec<Key> = told.map(|(_, key)| key.clone()).collect();
                keys.sort();
                world.engine.resync(kind, keys);
            }
            world.run(Duration::from_secs(until));
        }
        world.enough = true;
        world.weather = Weather::Calm;
        world.run(Duration::from_secs(900));
        assert_eq!(world.differences(), 0, "seed {seed}");
        assert!(
            world.bulks.ends.len() >= 5,
            "seed {seed}: {} bulks",
            world.bulks.ends.len()
        );
        assert!(
            world.bulks.over_newer > 0,
            "seed {seed}: no bulk wrote over anything"
        );
        let report = world.engine.report(world.now);
        assert!(
            report
                .lanes
                .iter()
                .all(|lane| lane.untold == 0 && lane.resync.is_none()),
            "seed {seed}: {report:?}"
        );
        let safe = [Kind::Stock, Kind::Price]
            .map(|kind| world.engine.safe(kind))
            .concat();
        let safe = safe.iter().map(|mark| mark.sequence.0).max();
        assert_eq!(safe, Some(world.sequence), "seed {seed}");
    }
}
