//! Channel egress against the emulated channel: it converges, never goes back, and keeps the limit.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

use lockstep_actors::ids::{Sku, StockId, WarehouseCode};
use lockstep_adapters::channels::{ChannelConfig, ChannelCounters, HttpSink, Level, Levels, Schedule, drive};
use lockstep_adapters::egress::Entries;
use lockstep_loadtest::emulate::channel::{Channel, Options};
use lockstep_loadtest::emulate::{Emulator, Probability, channel};
use lockstep_runtime::entity::{EntityId, EntityKind};
use lockstep_runtime::feed::{FeedClosed, FeedEntry};
use lockstep_runtime::message::{Provenance, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// The stock as committed: the newest level of each SKU, and the journals' lengths.
#[derive(Clone, Default)]
struct Stock(Arc<Mutex<Committed>>);

#[derive(Default)]
struct Committed {
    levels: BTreeMap<String, (i64, u64)>,
    ends: HashMap<PartitionId, u64>,
}

impl Stock {
    fn change(&self, name: &str, available: i64) -> FeedEntry {
        let id = StockId {
            sku: Sku::new(name).unwrap(),
            warehouse: WarehouseCode::new("W1").unwrap(),
        };
        let partition = PartitionCount::new(4).unwrap().partition_of(id.routing_key());
        let mut committed = self.0.lock().unwrap();
        let end = committed.ends.entry(partition).or_default();
        *end += 1;
        let sequence = *end;
        committed.levels.insert(name.to_owned(), (available, sequence));
        let mut entity = Vec::new();
        id.encode(&mut entity);
        FeedEntry {
            partition,
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(0),
            kind: EntityKind(1),
            entity: entity.into(),
            provenance: Provenance {
                source: "wms".into(),
                correlation: "c".into(),
                causation: None,
            },
            message: None,
            outbound: Vec::new(),
        }
    }

    fn held(&self) -> BTreeMap<String, (i64, u64)> {
        self.0.lock().unwrap().levels.clone()
    }
}

impl Levels for Stock {
    fn newest(&self, sku: &Sku) -> Level {
        let (available, version) = self.0.lock().unwrap().levels[sku.as_str()];
        Level {
            sku: sku.as_str().to_owned(),
            available,
            by_warehouse: BTreeMap::new(),
            version,
        }
    }
}

struct Changes {
    entries: mpsc::Receiver<FeedEntry>,
    saved: watch::Sender<HashMap<PartitionId, u64>>,
}

impl Entries for Changes {
    async fn next(&mut self, _limit: usize) -> Result<Vec<FeedEntry>, FeedClosed> {
        Ok(vec![self.entries.recv().await.ok_or(FeedClosed)?])
    }

    fn save(&mut self, partition: PartitionId, sequence: Sequence) {
        self.saved
            .send_if_modified(|saved| saved.insert(partition, sequence.0) != Some(sequence.0));
    }
}

fn config(emulator: &Emulator<Channel>, burst: u32) -> ChannelConfig {
    let url = emulator.url();
    serde_json::from_value(serde_json::json!({
        "name": "shop", "kind": "http", "url": format!("{url}/levels"),
        "burst": burst, "refill": 200, "per_ms": 1_000, "batch": 20,
    }))
    .unwrap()
}

/// Changes 100 SKUs 20 times over and waits until the channel's cursors stand at the ends.
async fn converge(options: Options, burst: u32) -> (Emulator<Channel>, Stock, Arc<ChannelCounters>) {
    let emulator = channel::start(options).unwrap();
    let config = config(&emulator, burst);
    let (stock, counters) = (Stock::default(), Arc::<ChannelCounters>::default());
    let (sender, entries) = mpsc::channel(8);
    let (saved, mut progress) = watch::channel(HashMap::new());
    let (stop, stopped) = watch::channel(false);
    let driving = tokio::spawn(drive(
        Changes { entries, saved },
        stock.clone(),
        HttpSink::new(&config).unwrap(),
        Schedule::new(config.limits()),
        Arc::clone(&counters),
        stopped,
    ));
    for round in 0..20 {
        for sku in 0..100 {
            sender
                .send(stock.change(&format!("S{sku}"), round * 100 + sku))
                .await
                .unwrap();
        }
    }
    let ends = stock.0.lock().unwrap().ends.clone();
    progress.wait_for(|saved| *saved == ends).await.unwrap();
    stop.send(true).unwrap();
    driving.await.unwrap();
    (emulator, stock, counters)
}

fn held_by(emulator: &Emulator<Channel>) -> BTreeMap<String, (i64, u64)> {
    let levels = emulator.state().levels().into_iter();
    levels
        .map(|(sku, held)| (sku, (held.available, held.version)))
        .collect()
}

#[tokio::test]
async fn a_channel_in_trouble_converges_and_never_goes_back() {
    let options = Options {
        rate: "1000/s".parse().unwrap(),
        storm: Probability::per_million(200_000),
        fail: Probability::per_million(50_000),
        fail_after_commit: Probability::per_million(100_000),
        fail_item: Probability::per_million(50_000),
        ..Options::default()
    };
    let (emulator, stock, counters) = converge(options, 50).await;
    assert_eq!(held_by(&emulator), stock.held());
    let stats = emulator.state().stats();
    assert_eq!(stats.stale_writes, 0);
    assert!(
        stats.failed_items > 0 && stats.storms > 0 && stats.failed > 0,
        "{stats:?}"
    );
    let metrics = counters.read();
    assert!(
        metrics.throttled > 0 && metrics.retried > 0 && metrics.failed_items > 0,
        "{metrics:?}"
    );
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn the_limit_of_the_channel_is_never_exceeded() {
    let options = Options {
        rate: "200/s".parse().unwrap(),
        burst: 3.try_into().unwrap(),
        ..Options::default()
    };
    let (emulator, stock, _) = converge(options, 3).await;
    assert_eq!(held_by(&emulator), stock.held());
    let stats = emulator.state().stats();
    assert_eq!(
        (stats.throttled, stats.oversized, stats.stale_writes),
        (0, 0, 0),
        "{stats:?}"
    );
    assert!(
        stats.items < 2_000,
        "changes of one SKU are sent as one: {stats:?}"
    );
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn an_account_that_asks_too_much_is_throttled_and_converges() {
    let options = Options {
        rate: "100/s".parse().unwrap(),
        burst: 2.try_into().unwrap(),
        ..Options::default()
    };
    let (emulator, stock, counters) = converge(options, 1_000).await;
    assert_eq!(held_by(&emulator), stock.held());
    assert!(counters.read().throttled > 0);
    emulator.stop().await.unwrap();
}
