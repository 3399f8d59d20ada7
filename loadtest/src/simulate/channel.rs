//! A sales channel: its platform with faults, and the way of a node to it, driven by the real engine and read model.

use super::clock::Millis;
use super::plant::Plant;
use lockstep_actors::channels::{
    Allowance, Answer, Draw, Engine, Guard, Item, ItemVerdict, Key, Kind, LanePlan, Mark, Measure, Moment,
    Next, Operation, Request, RequestId, Rule, Source, Tells, Work,
};
use lockstep_adapters::channels::{Contents, ReadModel};
use lockstep_runtime::feed::{Feed, FeedEntry};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// After so long a node gives a request up, and so long after that it may still arrive.
pub(super) const TIMEOUT: Millis = 2_000;
/// How often it is looked what has changed by entries of other nodes.
const ASSEMBLED_EVERY: Millis = 1_000;
const QUIET: Duration = Duration::from_secs(6);
const BATCH: usize = 10;
/// How many entries are read at a time.
const AT_ONCE: usize = 256;

/// The channels, each with what keeps an older value from overwriting a newer one.
pub(super) const CHANNELS: [(&str, Guard); 2] = [
    ("web-shop", Guard::Version),
    ("marketplace", Guard::CompareAndSet { quiet: QUIET }),
];

/// What they are told.
pub(super) const KINDS: [Kind; 2] = [Kind::Price, Kind::Stock];

/// The consumer of a channel's changes of a kind.
pub(super) fn consumer(channel: &str, kind: Kind) -> String {
    format!("channel/{channel}/{}", kind.name())
}

fn allowance() -> Allowance {
    let draw = |limit: &str| Draw {
        limit: limit.into(),
        per_request: 1,
        per_item: 0,
    };
    let operation = |name: &str| Operation {
        name: name.into(),
        draws: vec![draw("requests"), draw("connections")],
        max_items: BATCH,
        max_bytes: 0,
        item_bytes: 0,
        linger: Duration::ZERO,
    };
    let requests = Rule::Bucket {
        burst: 20,
        refill: 10,
        per: Duration::from_secs(1),
    };
    Allowance {
        limits: vec![
            ("requests".into(), requests),
            ("connections".into(), Rule::Concurrent { requests: 4 }),
        ],
        operations: vec![operation("set-stock"), operation("set-prices"), operation("read")],
    }
}

fn plans(guard: Guard) -> [LanePlan; 2] {
    [(Kind::Stock, "set-stock"), (Kind::Price, "set-prices")].map(|(kind, write)| LanePlan {
        kind,
        write: write.into(),
        read: matches!(guard, Guard::CompareAndSet { .. }).then(|| "read".into()),
        poll: None,
        guard,
        final_word_within: Duration::from_secs(60),
        tells: Tells::default(),
        bulk: None,
    })
}

/// What a platform shows.
pub(super) struct Shelf {
    guard: Guard,
    plant: Option<Plant>,
    shows: BTreeMap<(Kind, Key), (u64, Measure)>,
    before: BTreeMap<(Kind, Key), Option<Measure>>,
    /// How often an older version replaced a newer one.
    pub(super) older_over_newer: u64,
}

impl Shelf {
    pub(super) fn new(guard: Guard, plant: Option<Plant>) -> Self {
        Self {
            guard,
            plant,
            shows: BTreeMap::new(),
            before: BTreeMap::new(),
            older_over_newer: 0,
        }
    }

    /// What it shows of a key.
    pub(super) fn shown(&self, kind: Kind, key: &Key) -> Option<Measure> {
        self.shows.get(&(kind, key.clone())).map(|(_, measure)| *measure)
    }

    /// What it showed of a key before, as a copy that is behind.
    pub(super) fn shown_before(&self, kind: Kind, key: &Key) -> Option<Measure> {
        self.before.get(&(kind, key.clone())).copied().flatten()
    }

    pub(super) fn write(&mut self, kind: Kind, item: &Item) -> ItemVerdict {
        let place = (kind, item.key.clone());
        let shows = self.shows.get(&place).copied();
        let looks = self.plant != Some(Plant::IgnoreVersions);
        let verdict = match (self.guard, shows) {
            (Guard::Version, Some((version, _))) if looks && version > item.version => ItemVerdict::Newer,
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
        }
        verdict
    }

    /// Whether the platform itself keeps older versions from overwriting newer ones.
    pub(super) fn knows_versions(&self) -> bool {
        self.guard == Guard::Version
    }
}

/// A node's way to a channel.
pub(super) struct Way {
    engine: Engine,
    contents: ReadModel,
    feeds: Vec<(Kind, Feed)>,
    /// Entries that the read model does not show yet.
    unshown: VecDeque<(Kind, FeedEntry)>,
    /// What may change by entries of other nodes, with the version that was last marked; and when that is looked at again.
    assembled: BTreeMap<Key, u64>,
    assembled_at: Millis,
    began: Millis,
    plant: Option<Plant>,
}

impl Way {
    pub(super) fn new(
        guard: Guard,
        contents: ReadModel,
        feeds: Vec<(Kind, Feed)>,
        plant: Option<Plant>,
        now: Millis,
    ) -> Option<Self> {
        Some(Self {
            engine: Engine::new(&allowance(), &plans(guard), Moment::ZERO).ok()?,
            contents,
            feeds,
            unshown: VecDeque::new(),
            assembled: BTreeMap::new(),
            assembled_at: now,
            began: now,
            plant,
        })
    }

    fn moment(&self, now: Millis) -> Moment {
        Duration::from_millis((now - self.began).unsigned_abs())
    }

    /// Reads what has changed, and says what is to be sent now and when to look again at the latest.
    pub(super) fn step(&mut self, now: Millis) -> (Vec<Request>, Option<Millis>) {
        let moment = self.moment(now);
        for (kind, feed) in &mut self.feeds {
            self.unshown
                .extend(feed.ready(AT_ONCE).into_iter().map(|entry| (*kind, entry)));
        }
        while let Some((kind, entry)) = self.unshown.front()
            && self.contents.shows(*kind, entry)
        {
            let kind = *kind;
            if let Some((_, entry)) = self.unshown.pop_front() {
                self.mark(kind, &entry, moment);
            }
        }
        if now >= self.assembled_at {
            self.assembled_at = now + ASSEMBLED_EVERY;
            self.look_at_assembled(moment);
        }
        let mut requests = Vec::new();
        let look_again = loop {
            match self.engine.next(moment, &self.contents) {
                Next::Send(request) => requests.push(request),
                Next::WaitUntil(until) => {
                    let millis = until.as_millis().saturating_add(1);
                    break Some(self.began + i64::try_from(millis).unwrap_or(i64::MAX >> 1));
                }
                // Nobody reads orders here.
                Next::Permit(_) | Next::Rest => break None,
            }
        };
        self.save();
        (requests, look_again)
    }

    /// Marks what has changed by entries of other nodes, as the real driver does.
    fn look_at_assembled(&mut self, moment: Moment) {
        let seen: BTreeMap<Key, u64> = self.contents.assembled().into_iter().collect();
        for (key, version) in &seen {
            if self.assembled.get(key) != Some(version) {
                let newest = self.contents.newest(Kind::Stock, key);
                let measure = newest.map(|newest| newest.content.measure());
                self.engine.mark(Kind::Stock, key, None, measure, moment);
            }
        }
        self.assembled = seen;
    }

    fn mark(&mut self, kind: Kind, entry: &FeedEntry, moment: Moment) {
        let Some(keys) = self.contents.changed(kind, entry) else {
            return;
        };
        if self.plant == Some(Plant::ForgetChange) && entry.sequence.0.is_multiple_of(2) {
            return self.save_up_to(kind, entry);
        }
        let mark = Mark {
            partition: entry.partition,
            sequence: entry.sequence,
        };
        self.engine.pass(kind, mark);
        for key in keys {
            let measure = self.contents.newest(kind, &key);
            let measure = measure.map(|newest| newest.content.measure());
            self.engine.mark(kind, &key, Some(mark), measure, moment);
        }
    }

    fn save_up_to(&mut self, kind: Kind, entry: &FeedEntry) {
        for (of, feed) in &mut self.feeds {
            if *of == kind {
                feed.save(entry.partition, entry.sequence);
            }
        }
    }

    fn save(&mut self) {
        for (kind, feed) in &mut self.feeds {
            for mark in self.engine.safe(*kind) {
                feed.save(mark.partition, mark.sequence);
            }
        }
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: &Answer, jitter: u32, now: Millis) {
        let moment = self.moment(now);
        self.engine.answer(id, answer, jitter, moment);
    }

    /// How many keys wait to be told, or to be told for sure.
    pub(super) fn untold(&self, now: Millis) -> usize {
        let report = self.engine.report(self.moment(now));
        let lanes = report.lanes.iter().map(|lane| lane.untold);
        lanes.sum::<usize>() + self.unshown.len()
    }
}

/// What a request is about, for who answers it.
pub(super) fn items(request: &Request) -> usize {
    match &request.work {
        Work::Write(_, items) => items.len(),
        Work::Read(_, keys) => keys.len(),
        Work::Poll(_, sent) => sent.len(),
    }
}
