//! The actor of one account: reads what changed, asks the schedule, sends, saves its cursor.

use super::schedule::{Next, Schedule};
use super::sink::{Answer, ItemAnswer, Level, StockSink};
use crate::egress::Entries;
use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, WrapFuture};
use lockstep_actors::ids::{Sku, StockId, WarehouseCode};
use lockstep_actors::reference::Reference;
use lockstep_runtime::entity::EntityId;
use lockstep_runtime::feed::FeedEntry;
use lockstep_runtime::message::Sequence;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many entries are read at once.
const READ_AT_ONCE: usize = 1_024;
/// How often cursors are saved at most, and the slow counters brought up to date.
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// How long a shard is given to publish what it has made durable before it is looked at again.
const PUBLISHING: Duration = Duration::from_millis(1);

/// Where the newest levels are read.
pub trait Levels: Send + Sync + 'static {
    /// The newest level of a SKU.
    fn newest(&self, sku: &Sku) -> Level;

    /// Whether that level already shows the change that an entry of the journal made. An entry can be read from the
    /// journal a moment before its shard has published what it means.
    fn shows(&self, stock: &StockId, entry: Sequence) -> bool {
        let _ = (stock, entry);
        true
    }
}

/// The levels in the domain's read model as a channel is shown them, of all warehouses or of some.
#[derive(Clone, Debug)]
pub struct NewestLevels {
    reference: Arc<Reference>,
    channel: String,
    warehouses: Vec<WarehouseCode>,
}

impl NewestLevels {
    /// Levels of `warehouses`, of all if that is empty, as the orders' channel `channel` is shown them.
    #[must_use]
    pub fn new(reference: Arc<Reference>, channel: &str, warehouses: Vec<WarehouseCode>) -> Self {
        Self {
            reference,
            channel: channel.to_owned(),
            warehouses,
        }
    }
}

impl Levels for NewestLevels {
    fn newest(&self, sku: &Sku) -> Level {
        let mut level = Level {
            sku: sku.as_str().to_owned(),
            available: 0,
            by_warehouse: BTreeMap::new(),
            version: 0,
        };
        for row in self.reference.availability(sku) {
            if self.warehouses.is_empty() || self.warehouses.contains(&row.warehouse) {
                let units = row.available_to(&self.channel).units();
                level.available = level.available.saturating_add(units);
                level.version = level.version.max(row.sequence.0);
                level
                    .by_warehouse
                    .insert(row.warehouse.as_str().to_owned(), units);
            }
        }
        level
    }

    fn shows(&self, stock: &StockId, entry: Sequence) -> bool {
        let level = self.reference.stock_level(&stock.sku, stock.warehouse);
        level.is_some_and(|level| level.sequence >= entry)
    }
}

/// How often what happened.
#[derive(Debug, Default)]
pub struct ChannelCounters {
    sent: AtomicU64,
    throttled: AtomicU64,
    retried: AtomicU64,
    failed_items: AtomicU64,
    dirty: AtomicU64,
    stale_ms: AtomicU64,
}

/// What [`ChannelCounters`] held at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelMetrics {
    /// Levels that the channel has taken.
    pub sent: u64,
    /// Requests that were too much at once.
    pub throttled: u64,
    /// Requests that failed and are sent again.
    pub retried: u64,
    /// Levels that the channel refused and that are sent again.
    pub failed_items: u64,
    /// SKUs that the channel has not been told.
    pub dirty: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub stale_ms: u64,
}

impl ChannelCounters {
    /// The counts so far.
    #[must_use]
    pub fn read(&self) -> ChannelMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ChannelMetrics {
            sent: read(&self.sent),
            throttled: read(&self.throttled),
            retried: read(&self.retried),
            failed_items: read(&self.failed_items),
            dirty: read(&self.dirty),
            stale_ms: read(&self.stale_ms),
        }
    }

    fn gauge(&self, schedule: &Schedule, now: Duration) {
        let oldest = schedule
            .oldest()
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.stale_ms.store(
            u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.dirty.store(
            u64::try_from(schedule.dirty()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// Tells one account of every change until `stop` turns true, its sender is gone, or the node ends. What was not told
/// by then is told after the next start.
pub async fn drive(
    mut feed: impl Entries,
    levels: impl Levels,
    sink: impl StockSink,
    mut schedule: Schedule,
    counters: Arc<ChannelCounters>,
    mut stop: watch::Receiver<bool>,
) {
    let started = Instant::now();
    let mut stopping = stop.clone();
    let mut saving = tokio::time::interval(SAVE_EVERY);
    saving.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = std::pin::pin!(futures_util::future::OptionFuture::from(None));
    let mut is_sending = false;
    loop {
        let mut wait_until = None;
        if !is_sending {
            match schedule.next(started.elapsed()) {
                Next::Send(skus) => {
                    let batch: Vec<Level> = skus.iter().map(|sku| levels.newest(sku)).collect();
                    let sink = &sink;
                    under_way.set(Some(async move { sink.send(&batch).await }).into());
                    is_sending = true;
                }
                Next::WaitUntil(moment) => wait_until = Some(moment),
                Next::Rest => {}
            }
        }
        tokio::select! {
            Some(answer) = &mut under_way, if is_sending => {
                is_sending = false;
                take_answer(&mut schedule, &counters, answer, started.elapsed());
            }
            () = tokio::time::sleep_until(started + wait_until.unwrap_or_default()), if wait_until.is_some() => {}
            entries = feed.next(READ_AT_ONCE) => match entries {
                Ok(entries) => tokio::select! {
                    () = until_shown(&levels, &entries) => mark_all(&mut schedule, &entries, started.elapsed()),
                    // What is not marked is read again after the next start.
                    () = told(&mut stopping) => break,
                },
                Err(_) => return,
            },
            _ = saving.tick() => {
                counters.gauge(&schedule, started.elapsed());
                schedule.safe().for_each(|(partition, sequence)| feed.save(partition, sequence));
            }
            () = told(&mut stop) => break,
        }
    }
    schedule
        .safe()
        .for_each(|(partition, sequence)| feed.save(partition, sequence));
}

/// Waits until `stop` turns true or its sender is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    // What is returned borrows the channel's lock, which must not be kept.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Waits until the levels show what the entries changed: a level that was read too early would be taken for the newest,
/// and the channel would keep it until the next change.
async fn until_shown(levels: &impl Levels, entries: &[FeedEntry]) {
    for entry in entries {
        let Some(id) = StockId::decode(&entry.entity) else {
            continue;
        };
        while !levels.shows(&id, entry.sequence) {
            tokio::time::sleep(PUBLISHING).await;
        }
    }
}

fn mark_all(schedule: &mut Schedule, entries: &[FeedEntry], now: Duration) {
    for entry in entries {
        match StockId::decode(&entry.entity) {
            Some(id) => schedule.mark(id.sku, entry.partition, entry.sequence, now),
            None => tracing::error!(
                partition = entry.partition.0,
                sequence = entry.sequence.0,
                "an entry of a stock whose id cannot be read"
            ),
        }
    }
}

fn take_answer(schedule: &mut Schedule, counters: &ChannelCounters, answer: Answer, now: Duration) {
    let count = |counter: &AtomicU64, more: usize| {
        counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    };
    match answer {
        Answer::Items(items) => {
            let taken: Vec<bool> = items.iter().map(|item| *item == ItemAnswer::Taken).collect();
            let good = taken.iter().filter(|taken| **taken).count();
            count(&counters.sent, good);
            count(&counters.failed_items, taken.len() - good);
            schedule.answered(&taken, now);
        }
        Answer::Throttled(pause) => {
            count(&counters.throttled, 1);
            schedule.failed(pause, rand::random(), now);
        }
        Answer::Failed(reason, pause) => {
            tracing::warn!(%reason, "a channel did not take a batch; it is sent again");
            count(&counters.retried, 1);
            schedule.failed(pause, rand::random(), now);
        }
    }
}

/// The account as an actor; ends by itself when its drive ends.
pub struct ChannelActor {
    name: String,
    drive: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
}

impl ChannelActor {
    /// An actor that will run `drive`.
    #[must_use]
    pub fn new(name: String, drive: impl Future<Output = ()> + 'static) -> Self {
        Self {
            name,
            drive: Some(Box::pin(drive)),
        }
    }
}

impl Actor for ChannelActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(drive) = self.drive.take() {
            let ended = drive.into_actor(self).map(|(), actor, context| {
                tracing::info!(channel = actor.name, "channel egress has ended");
                actix::ActorContext::stop(context);
            });
            context.spawn(ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::domain::View;
    use lockstep_actors::ids::{ChannelName, ClassName};
    use lockstep_actors::quantity::Quantity;
    use lockstep_actors::reference::{ClassLevel, LevelDetail, StockLevel, publish_view};
    use lockstep_runtime::message::Provenance;
    use lockstep_runtime::placement::PartitionId;
    use lockstep_runtime::time::Timestamp;

    /// Publishes a change only when it has been looked at so often.
    struct Late(AtomicU64);

    impl Levels for Late {
        fn newest(&self, sku: &Sku) -> Level {
            Level {
                sku: sku.as_str().to_owned(),
                available: 0,
                by_warehouse: BTreeMap::new(),
                version: 0,
            }
        }

        fn shows(&self, _stock: &StockId, entry: Sequence) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) >= entry.0
        }
    }

    #[test]
    fn s25_a_channel_is_told_what_it_is_shown() {
        let reference = Arc::new(Reference::default());
        for (warehouse, classed) in [("W1", true), ("W2", false)] {
            let quantity = |units| Quantity::new(units).unwrap();
            let detail = LevelDetail {
                classes: vec![ClassLevel {
                    name: ClassName::new("market").unwrap(),
                    channels: vec![ChannelName::new("amazon").unwrap()],
                    available: quantity(30),
                }],
                unclassed: Some(quantity(50)),
                ..LevelDetail::default()
            };
            let level = StockLevel {
                sku: Sku::new("A").unwrap(),
                warehouse: WarehouseCode::new(warehouse).unwrap(),
                available: quantity(90),
                on_hand: quantity(90),
                reserved: quantity(0),
                detail: classed.then(|| Box::new(detail)),
                sequence: Sequence(1),
            };
            publish_view(&reference, View::Stock(level));
        }
        for (channel, expected) in [("amazon", 30 + 90), ("web", 50 + 90)] {
            let levels = NewestLevels::new(Arc::clone(&reference), channel, Vec::new());
            let level = levels.newest(&Sku::new("A").unwrap());
            assert_eq!(level.available, expected, "{channel}");
        }
    }

    #[test]
    fn s32_what_one_channel_sells_of_a_shared_warehouse_the_other_no_longer_has() {
        let reference = Arc::new(Reference::default());
        let publish = |warehouse: &str, available: i64, sequence: u64| {
            let level = StockLevel {
                sku: Sku::new("A").unwrap(),
                warehouse: WarehouseCode::new(warehouse).unwrap(),
                available: Quantity::new(available).unwrap(),
                on_hand: Quantity::new(available).unwrap(),
                reserved: Quantity::ZERO,
                detail: None,
                sequence: Sequence(sequence),
            };
            publish_view(&reference, View::Stock(level));
        };
        let seen = |channel: &str, warehouses: &[&str]| {
            let warehouses = warehouses.iter().map(|code| WarehouseCode::new(code).unwrap());
            let levels = NewestLevels::new(Arc::clone(&reference), channel, warehouses.collect());
            levels.newest(&Sku::new("A").unwrap()).available
        };
        publish("WH-X", 10, 1);
        publish("WH-Y", 5, 2);
        assert_eq!((seen("x", &["WH-X", "WH-Y"]), seen("y", &["WH-Y"])), (15, 5));
        // X sells 15: each warehouse is one pair, whoever sells it.
        publish("WH-X", 0, 3);
        publish("WH-Y", 0, 4);
        assert_eq!((seen("x", &["WH-X", "WH-Y"]), seen("y", &["WH-Y"])), (0, 0));
    }

    #[tokio::test]
    async fn a_change_is_not_told_before_the_levels_show_it() {
        let id = StockId {
            sku: Sku::new("A").unwrap(),
            warehouse: WarehouseCode::new("W1").unwrap(),
        };
        let mut entity = Vec::new();
        id.encode(&mut entity);
        let entry = FeedEntry {
            partition: PartitionId(0),
            sequence: Sequence(5),
            at: Timestamp::from_millis(0),
            kind: lockstep_runtime::entity::EntityKind(1),
            entity: entity.into(),
            provenance: Provenance {
                source: "wms".into(),
                correlation: "c".into(),
                causation: None,
            },
            message: None,
            outbound: Vec::new(),
        };
        let levels = Late(AtomicU64::new(0));
        until_shown(&levels, &[entry]).await;
        assert_eq!(levels.0.load(Ordering::Relaxed), 6);
    }
}
