//! A sales channel: its platform with faults, and the way of a node to it, driven by the real engine and read model.

use super::clock::Millis;
use super::plant::Plant;
use lockstep_actors::channels::{
    Allowance, Answer, Draw, Engine, Guard, Item, ItemVerdict, Key, Kind, LanePlan, Mark, Measure, Moment,
    Next, Operation, Request, RequestId, Rule, Source, Tells, Work,
};
use lockstep_actors::domain::Distributor;
use lockstep_adapters::channels::{Contents, ReadModel, changes_of};
use lockstep_runtime::feed::{Feed, FeedEntry, NotOpened, Pass};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::placement::PartitionId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// After so long a node gives a request up, and so long after that it may still arrive.
pub(super) const TIMEOUT: Millis = 2_000;
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

/// A channel as a node knows it, which tells it while it has the partition of its name.
pub(super) struct Line {
    name: &'static str,
    guard: Guard,
    contents: ReadModel,
    plant: Option<Plant>,
    /// The look at other nodes' partitions that has to be through before anything is told.
    awaits: Option<Pass>,
    way: Option<Way>,
    /// How often it has begun to tell it.
    pub(super) turn: u64,
}

impl Line {
    pub(super) fn new(name: &'static str, guard: Guard, contents: ReadModel, plant: Option<Plant>) -> Self {
        Self {
            name,
            guard,
            contents,
            plant,
            awaits: None,
            way: None,
            turn: 0,
        }
    }

    fn home(&self, node: &Ingress<Distributor>) -> PartitionId {
        node.partitions().partition_of(self.name.as_bytes())
    }

    /// What is to be sent now, and when to look again at the latest.
    pub(super) fn step(
        &mut self,
        node: &Ingress<Distributor>,
        now: Millis,
    ) -> (Vec<Request>, Option<Millis>) {
        if !node.places().is_here(self.home(node)) {
            // What is under way is answered to nobody; what it carried is told again by the next one.
            (self.awaits, self.way) = (None, None);
            return (Vec::new(), None);
        }
        let pass = *self.awaits.get_or_insert_with(|| node.next_pass());
        if self.way.is_none() && node.has_followed(pass) {
            // Without a store it is tried again.
            self.way = self.open(node, now).ok().flatten();
            self.turn += 1;
        }
        let way = self.way.as_mut();
        way.map_or_else(|| (Vec::new(), None), |way| way.step(now))
    }

    fn open(&self, node: &Ingress<Distributor>, now: Millis) -> Result<Option<Way>, NotOpened> {
        let mut feeds = Vec::new();
        for kind in KINDS {
            let feed = node.feed_of_all(&consumer(self.name, kind), changes_of(kind))?;
            feeds.push((kind, feed));
        }
        Ok(Way::new(
            self.guard,
            self.contents.clone(),
            feeds,
            self.plant,
            now,
        ))
    }

    pub(super) fn answer(&mut self, turn: u64, id: RequestId, answer: &Answer, jitter: u32, now: Millis) {
        if let Some(way) = self.way.as_mut().filter(|_| turn == self.turn) {
            way.answer(id, answer, jitter, now);
        }
    }

    /// How much waits to be told, or to be told for sure, if it is for this node to tell it.
    pub(super) fn untold(&self, node: &Ingress<Distributor>, now: Millis) -> usize {
        match &self.way {
            Some(way) => way.untold(now),
            None => usize::from(node.places().is_here(self.home(node))),
        }
    }
}

/// A node's way to a channel.
struct Way {
    engine: Engine,
    contents: ReadModel,
    feeds: Vec<(Kind, Feed)>,
    /// Entries that the read model does not show yet.
    unshown: VecDeque<(Kind, FeedEntry)>,
    began: Millis,
    plant: Option<Plant>,
}

impl Way {
    fn new(
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
            began: now,
            plant,
        })
    }

    fn moment(&self, now: Millis) -> Moment {
        Duration::from_millis((now - self.began).unsigned_abs())
    }

    /// Reads what has changed, and says what is to be sent now and when to look again at the latest.
    fn step(&mut self, now: Millis) -> (Vec<Request>, Option<Millis>) {
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

    fn answer(&mut self, id: RequestId, answer: &Answer, jitter: u32, now: Millis) {
        let moment = self.moment(now);
        self.engine.answer(id, answer, jitter, moment);
    }

    /// How many keys wait to be told, or to be told for sure.
    fn untold(&self, now: Millis) -> usize {
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
