//! Runs the engine of one account: reads what changed, sends what the engine says, hands back what came of it.

use super::contents::{Contents, measure};
use super::memory::{Memory, in_order};
use super::permit::{Permit, Wanted};
use super::platform::Platform;
use super::status::{ChannelCommand, ChannelView, Control};
use crate::asking::Halt;
use crate::egress::Entries;
use crate::erp::Undeliverable;
use crate::home::Stay;
use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream::{self, FuturesUnordered};
use lockstep_actors::channels::{Answer, Content, Engine, Key, Kind, Mark, Newest, Next, RequestId, Verdict};
use lockstep_runtime::feed::FeedEntry;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

/// How many entries are read at once.
const READ_AT_ONCE: usize = 1_024;
/// How often cursors are saved at most, and the report brought up to date.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// How long a shard is given to publish what it has made durable before it is looked at again.
const PUBLISHING: Duration = Duration::from_millis(1);
/// How many orders are asked at once how they stand.
const ASKED_AT_ONCE: usize = 16;
/// How many requests may be under way, whatever the limits say.
const MAX_IN_FLIGHT: usize = 256;
/// How long requests under way are waited for at the end. What is not answered by then is sent again after the start.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The changes of a kind.
pub struct KindFeed<F> {
    /// Which.
    pub kind: Kind,
    /// Where they are read.
    pub feed: F,
}

/// Contents that were asked for.
type Brought = BTreeMap<Key, Newest>;

/// The requests under way, each with its answer.
type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = (RequestId, Answer)> + Send>>>;

/// An account at a channel.
pub struct Account {
    /// What decides what it is told.
    pub engine: Engine,
    /// What is kept of it over a restart.
    pub memory: Memory,
    /// How many SKUs are looked at every minute for whether the channel shows what it was told.
    pub samples_per_minute: u32,
}

/// Entries that were read, and what was asked for because of them.
struct Shown {
    kind: Kind,
    entries: Vec<FeedEntry>,
    brought: Brought,
}

/// Entries that were read, each until what they changed is shown; of one kind once at a time.
type Showing = FuturesUnordered<Pin<Box<dyn Future<Output = Result<Shown, Undeliverable>> + Send>>>;

struct Driver<C> {
    engine: Engine,
    memory: Memory,
    contents: Arc<C>,
    started: Instant,
    /// Contents that will change by themselves.
    upcoming: BTreeSet<(Timestamp, Kind, Key)>,
    samples_per_minute: u32,
    sampled: Instant,
    /// Who waits for a permit.
    waits: Option<oneshot::Sender<Permit>>,
}

/// Tells one account of every change until `stay` is over or the node ends. What was not told by then is told after the next
/// start, on whichever node.
pub async fn drive<F: Entries, P: Platform>(
    mut feeds: Vec<KindFeed<F>>,
    contents: impl Contents,
    platform: P,
    account: Account,
    control: &mut Control,
    mut stay: Stay,
) {
    let started = Instant::now();
    let mut driver = Driver {
        engine: account.engine,
        memory: account.memory,
        contents: Arc::new(contents),
        started,
        upcoming: BTreeSet::new(),
        samples_per_minute: account.samples_per_minute,
        sampled: started,
        waits: None,
    };
    driver.look_ahead();
    driver.memory.recall(&mut driver.engine, &*driver.contents);
    let mut saving = tokio::time::interval(SAVE_EVERY);
    saving.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut in_flight = UnderWay::new();
    let (mut showing, mut busy) = (Showing::new(), BTreeSet::new());
    let platform = Arc::new(platform);
    loop {
        let wait_until = driver
            .send_all(&platform, &in_flight, &stay)
            .and_then(|moment| started.checked_add(moment));
        tokio::select! {
            Some((id, answer)) = in_flight.next(), if !in_flight.is_empty() => driver.answered(id, &answer),
            () = tokio::time::sleep_until(wait_until.unwrap_or(started)), if wait_until.is_some() => {}
            (kind, entries) = read(&mut feeds, &busy) => match entries {
                Some(entries) => {
                    // Whoever is asked may be away for as long as a lease: what is known of other kinds goes out meanwhile.
                    busy.insert(kind);
                    showing.push(Box::pin(until_shown(Arc::clone(&driver.contents), kind, entries)));
                }
                None => return,
            },
            Some(shown) = showing.next(), if !showing.is_empty() => match shown {
                Ok(shown) => {
                    busy.remove(&shown.kind);
                    driver.mark_all(&shown, &*platform);
                }
                // What is not marked is read again after the next start.
                Err(Undeliverable) => break,
            },
            Some(wanted) = control.wanted.recv(), if driver.waits.is_none() => driver.want(wanted),
            Some((command, answer)) = control.asked.recv() => driver.obey(&command, answer),
            _ = saving.tick() => {
                driver.tick();
                // Who sees that all is dealt with shall see the counts that belong to it.
                control.status.write(driver.engine.report(driver.now()));
                driver.save(&mut feeds);
            }
            () = stay.over() => break,
        }
    }
    let last = async {
        while let Some((id, answer)) = in_flight.next().await {
            driver.answered(id, &answer);
        }
    };
    if tokio::time::timeout(LAST_ANSWERS, last).await.is_err() {
        tracing::warn!("requests to a channel were not answered in time; what they carried is sent again");
    }
    driver.save(&mut feeds);
}

/// The next entries of any kind that is not `busy`; none when the node has ended.
async fn read<F: Entries>(
    feeds: &mut [KindFeed<F>],
    busy: &BTreeSet<Kind>,
) -> (Kind, Option<Vec<FeedEntry>>) {
    let idle = feeds.iter_mut().filter(|feed| !busy.contains(&feed.kind));
    let reads: Vec<_> = idle
        .map(|KindFeed { kind, feed }| Box::pin(async { (*kind, feed.next(READ_AT_ONCE).await.ok()) }))
        .collect();
    if reads.is_empty() {
        return pending().await;
    }
    select_all(reads).await.0
}

/// Waits until the contents show what the entries changed: one that was read too early would be taken for the newest,
/// and the channel would keep it until the next change. Contents that are kept with their owners are asked for.
async fn until_shown<C: Contents>(
    contents: Arc<C>,
    kind: Kind,
    entries: Vec<FeedEntry>,
) -> Result<Shown, Undeliverable> {
    for entry in &entries {
        while !contents.shows(kind, entry) {
            tokio::time::sleep(PUBLISHING).await;
        }
    }
    let mut brought = Brought::new();
    if kind == Kind::Order {
        let changed = entries.iter().filter_map(|entry| contents.changed(kind, entry));
        let orders: BTreeSet<Key> = changed.flatten().collect();
        let mut asked = stream::iter(orders)
            .map(|order| async { (contents.ask(&order).await, order) })
            .buffer_unordered(ASKED_AT_ONCE);
        while let Some((answer, order)) = asked.next().await {
            match answer {
                Ok(newest) => brought.extend(newest.map(|newest| (order, newest))),
                Err(Halt::Stopping(stopping)) => return Err(stopping),
                Err(Halt::Defect(reason)) => {
                    tracing::error!(%order, reason, "a channel is not told of an order, which cannot be read");
                }
            }
        }
    }
    Ok(Shown {
        kind,
        entries,
        brought,
    })
}

impl<C: Contents> Driver<C> {
    /// Sends what may be sent now; until when to wait for more. Nothing once another node may do so.
    fn send_all<P: Platform>(
        &mut self,
        platform: &Arc<P>,
        in_flight: &UnderWay,
        stay: &Stay,
    ) -> Option<Duration> {
        while in_flight.len() < MAX_IN_FLIGHT && stay.lasts() {
            let now = self.now();
            match self.engine.next(now, &*self.contents) {
                Next::Send(request) => {
                    let platform = Arc::clone(platform);
                    in_flight.push(Box::pin(async move {
                        let answer = platform.send(&request).await;
                        (request.id, answer)
                    }));
                }
                Next::Permit(id) => {
                    let waits = self.waits.take();
                    in_flight.push(Box::pin(async move {
                        match waits {
                            Some(waits) => (id, Permit::give(waits).await),
                            None => (id, Answer::from(Verdict::Items(Vec::new()))),
                        }
                    }));
                }
                Next::WaitUntil(moment) => return Some(moment),
                Next::Rest => return None,
            }
        }
        None
    }

    fn want(&mut self, wanted: Wanted) {
        if wanted.given.is_closed() {
            // Who asked the drive before this one has gone with it.
            return;
        }
        let now = self.now();
        match self.engine.want(wanted.operation, now) {
            Ok(()) => self.waits = Some(wanted.given),
            // Whoever wants it learns that nobody gives it.
            Err(error) => tracing::error!(%error, "a channel is asked for a permit"),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn answered(&mut self, id: RequestId, answer: &Answer) {
        let now = self.now();
        self.engine.answer(id, answer, rand::random(), now);
    }

    fn mark_all<P: Platform>(&mut self, shown: &Shown, platform: &P) {
        let kind = shown.kind;
        for entry in &shown.entries {
            let Some(keys) = self.contents.changed(kind, entry) else {
                tracing::error!(
                    partition = entry.partition.0,
                    sequence = entry.sequence.0,
                    "an entry of a stock, item, price or order whose id cannot be read"
                );
                continue;
            };
            let mark = Mark {
                partition: entry.partition,
                sequence: entry.sequence,
            };
            self.engine.pass(kind, mark);
            for key in keys {
                self.mark(kind, key, mark, &shown.brought, platform);
            }
        }
    }

    fn mark<P: Platform>(&mut self, kind: Kind, key: Key, mark: Mark, brought: &Brought, platform: &P) {
        let now = self.now();
        if kind != Kind::Order {
            let measure = measure(&*self.contents, kind, &key);
            self.engine.mark(kind, &key, Some(mark), measure, now);
            self.watch(kind, key);
        } else if let Some(newest) = brought.get(&key)
            && let Content::Order(_, order) = &newest.content
            && platform.concerns(order)
        {
            self.engine.bring(kind, &key, mark, newest.clone(), now);
        }
    }

    /// Remembers when a content changes by itself.
    fn watch(&mut self, kind: Kind, key: Key) {
        if let Some(moment) = self.contents.changes_at(kind, &key) {
            self.upcoming.insert((moment, kind, key));
        }
    }

    fn look_ahead(&mut self) {
        for (key, _) in self.contents.keys(Kind::Price) {
            self.watch(Kind::Price, key);
        }
    }

    /// Marks what has changed by itself, and samples.
    fn tick(&mut self) {
        let clock = SystemClock.now();
        while let Some((moment, kind, key)) = self.upcoming.pop_first() {
            if moment > clock {
                self.upcoming.insert((moment, kind, key));
                break;
            }
            let measure = measure(&*self.contents, kind, &key);
            let now = self.now();
            self.engine.mark(kind, &key, None, measure, now);
            self.watch(kind, key);
        }
        if self.samples_per_minute > 0 && self.sampled.elapsed() >= Duration::from_secs(60) {
            self.sampled = Instant::now();
            self.sample();
        }
    }

    fn sample(&mut self) {
        for kind in Kind::ALL {
            if !self.engine.can_audit(kind) {
                continue;
            }
            let keys = self.contents.keys(kind);
            if keys.is_empty() {
                continue;
            }
            let samples = (0..self.samples_per_minute).filter_map(|_| {
                let place = rand::random_range(0..keys.len());
                keys.get(place).map(|(key, _)| key.clone())
            });
            self.engine.audit(kind, samples);
        }
    }

    fn obey(&mut self, command: &ChannelCommand, answer: oneshot::Sender<ChannelView>) {
        if answer.is_closed() {
            // Who asked has been told meanwhile that the channel does not answer.
            return;
        }
        match command {
            ChannelCommand::Show => {}
            ChannelCommand::Pause => self.engine.pause(true),
            ChannelCommand::Resume => self.engine.pause(false),
            ChannelCommand::Resync => {
                for kind in Kind::ALL {
                    self.engine.resync(kind, in_order(&*self.contents, kind));
                }
            }
            ChannelCommand::PauseResync => self.engine.pause_resync(true),
            ChannelCommand::ResumeResync => self.engine.pause_resync(false),
        }
        if answer.send(ChannelView::of(&self.engine, self.now())).is_err() {
            tracing::debug!("who asked about a channel has gone");
        }
    }

    fn save<F: Entries>(&mut self, feeds: &mut [KindFeed<F>]) {
        let now = self.now();
        self.memory.keep(&self.engine, now);
        for KindFeed { kind, feed } in feeds {
            for mark in self.engine.safe(*kind) {
                feed.save(mark.partition, mark.sequence);
            }
        }
    }
}
