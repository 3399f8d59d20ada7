//! A journal and read model of a test's own, and a drive over them.

use lockstep_actors::channels::{
    Content, Engine, Key, Kind, Newest, OrderLineShown, OrderShown, PriceShown, Source, StockShown,
};
use lockstep_actors::ids::{CarrierCode, OrderKey, Sku, StockId, TrackingNumber, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::shipment::{Carriage, Shipment};
use lockstep_actors::orders::state::Status;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_adapters::asking::Halt;
use lockstep_adapters::channels::{
    Account, ChannelCommand, ChannelConfig, ChannelHandle, Contents, KindFeed, Memory, Platform,
    channel_handle, drive,
};
use lockstep_adapters::egress::Entries;
use lockstep_adapters::home::Stay;
use lockstep_loadtest::emulate::{Fault, Faults, Met, Probability};
use lockstep_runtime::entity::{EntityId, EntityKind};
use lockstep_runtime::feed::{FeedClosed, FeedEntry};
use lockstep_runtime::message::{Provenance, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What is committed: the newest number of each kind and SKU, and the journals' lengths.
#[derive(Clone, Default)]
pub(crate) struct Books(Arc<Mutex<Committed>>);

#[derive(Default)]
struct Committed {
    newest: BTreeMap<(Kind, String), (i64, u64)>,
    orders: BTreeMap<Key, Newest>,
    ends: HashMap<PartitionId, u64>,
}

impl Books {
    pub(crate) fn change(&self, kind: Kind, name: &str, number: i64) -> FeedEntry {
        let id = StockId {
            sku: Sku::new(name).unwrap(),
            warehouse: WarehouseCode::new("W1").unwrap(),
        };
        let mut committed = self.0.lock().unwrap();
        let entry = committed.commit(&id);
        committed
            .newest
            .insert((kind, name.to_owned()), (number, entry.sequence.0));
        entry
    }

    /// An order stands so after its change of status number `change`.
    pub(crate) fn order(&self, name: &str, change: u32, shown: OrderShown) -> FeedEntry {
        let id = OrderKey::parse(name).unwrap();
        let mut committed = self.0.lock().unwrap();
        let newest = Newest {
            version: u64::from(change),
            content: Content::Order(change, Box::new(shown)),
        };
        committed.orders.insert(Key(name.into()), newest);
        committed.commit(&id)
    }

    pub(crate) fn held(&self, kind: Kind) -> BTreeMap<String, (i64, u64)> {
        let committed = self.0.lock().unwrap();
        let newest = committed.newest.iter().filter(|((other, _), _)| *other == kind);
        newest.map(|((_, sku), number)| (sku.clone(), *number)).collect()
    }
}

impl Committed {
    fn commit(&mut self, id: &impl EntityId) -> FeedEntry {
        let partition = PartitionCount::new(4).unwrap().partition_of(id.routing_key());
        let end = self.ends.entry(partition).or_default();
        *end += 1;
        let sequence = *end;
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
}

impl Source for Books {
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest> {
        let place = (kind, key.to_string());
        let (number, version) = *self.0.lock().unwrap().newest.get(&place)?;
        let content = match kind {
            Kind::Stock => Content::Stock(StockShown {
                available: Quantity::new(number).unwrap(),
                by_warehouse: Vec::new(),
            }),
            Kind::Price => Content::Price(PriceShown {
                amount: Decimal::new(number, 2),
                currency: Currency::new("EUR").unwrap(),
            }),
            Kind::Order => return None,
        };
        Some(Newest { version, content })
    }
}

impl Contents for Books {
    fn changed(&self, kind: Kind, entry: &FeedEntry) -> Option<Vec<Key>> {
        if kind == Kind::Order {
            return OrderKey::decode(&entry.entity).map(|order| vec![Key(order.as_str().into())]);
        }
        StockId::decode(&entry.entity).map(|id| vec![Key(id.sku.as_str().into())])
    }

    fn shows(&self, _kind: Kind, _entry: &FeedEntry) -> bool {
        true
    }

    fn keys(&self, kind: Kind) -> Vec<(Key, Sequence)> {
        let held = self.held(kind).into_iter();
        held.map(|(sku, (_, version))| (Key(sku.into()), Sequence(version)))
            .collect()
    }

    fn changes_at(&self, _kind: Kind, _key: &Key) -> Option<Timestamp> {
        None
    }

    async fn ask(&self, order: &Key) -> Result<Option<Newest>, Halt> {
        Ok(self.0.lock().unwrap().orders.get(order).cloned())
    }
}

struct Changes {
    entries: mpsc::Receiver<FeedEntry>,
    kind: Kind,
    saved: Arc<watch::Sender<HashMap<(Kind, PartitionId), u64>>>,
}

impl Entries for Changes {
    async fn next(&mut self, _limit: usize) -> Result<Vec<FeedEntry>, FeedClosed> {
        Ok(vec![self.entries.recv().await.ok_or(FeedClosed)?])
    }

    fn save(&mut self, partition: PartitionId, sequence: Sequence) {
        let place = (self.kind, partition);
        self.saved
            .send_if_modified(|saved| saved.insert(place, sequence.0) != Some(sequence.0));
    }
}

/// A drive over books, until it is stopped.
pub(crate) struct Channel {
    pub(crate) books: Books,
    pub(crate) handle: ChannelHandle,
    senders: HashMap<Kind, mpsc::Sender<FeedEntry>>,
    progress: watch::Receiver<HashMap<(Kind, PartitionId), u64>>,
    ends: HashMap<(Kind, PartitionId), u64>,
    stop: watch::Sender<bool>,
    driving: JoinHandle<()>,
}

impl Channel {
    pub(crate) fn start(config: &ChannelConfig, platform: impl Platform) -> Self {
        config.validate().unwrap();
        let books = Books::default();
        let (saved, progress) = watch::channel(HashMap::new());
        let saved = Arc::new(saved);
        let (mut senders, mut feeds) = (HashMap::new(), Vec::new());
        for kind in config.kinds() {
            let (sender, entries) = mpsc::channel(8);
            senders.insert(kind, sender);
            let saved = Arc::clone(&saved);
            let feed = Changes { entries, kind, saved };
            feeds.push(KindFeed { kind, feed });
        }
        let (stop, stopped) = watch::channel(false);
        let (handle, mut control) = channel_handle(&config.name);
        let plan = config.plan().unwrap();
        let engine = Engine::new(&plan.allowance, &plan.lanes, Duration::ZERO).unwrap();
        let account = Account {
            engine,
            memory: Memory::default(),
            samples_per_minute: 0,
        };
        let contents = books.clone();
        let driving = tokio::spawn(async move {
            let stay = Stay::until(stopped);
            drive(feeds, contents, platform, account, &mut control, stay).await;
        });
        Self {
            books,
            handle,
            senders,
            progress,
            ends: HashMap::new(),
            stop,
            driving,
        }
    }

    pub(crate) async fn order(&mut self, name: &str, change: u32, shown: OrderShown) {
        let entry = self.books.order(name, change, shown);
        self.ends.insert((Kind::Order, entry.partition), entry.sequence.0);
        self.senders[&Kind::Order].send(entry).await.unwrap();
    }

    pub(crate) async fn change(&mut self, kind: Kind, name: &str, number: i64) {
        let entry = self.books.change(kind, name, number);
        self.ends.insert((kind, entry.partition), entry.sequence.0);
        self.senders[&kind].send(entry).await.unwrap();
    }

    /// Each of these changes so often in each kind, and never to the same as another.
    pub(crate) async fn change_all<S: AsRef<str>>(&mut self, kinds: &[Kind], rounds: i64, skus: &[S]) {
        for round in 1..=rounds {
            for (number, sku) in (1..).zip(skus) {
                for kind in kinds {
                    self.change(*kind, sku.as_ref(), round * 10_000 + number).await;
                }
            }
        }
    }

    /// These orders are booked and a part of each leaves, then the rest, in the channel of this name.
    pub(crate) async fn ship_in_two(&mut self, name: &str, orders: RangeInclusive<u64>, skus: &[&str]) {
        let first: &[(u16, i64)] = &[(1, 4)];
        let rest: &[(u16, i64)] = &[(1, 6), (2, 10)];
        for (change, status, shipments) in [
            (7, Status::Booked, &[first][..]),
            (9, Status::Shipped, &[first, rest]),
        ] {
            for number in orders.clone() {
                let shown = order(status, skus, shipments);
                self.order(&format!("{name}/{number}"), change, shown).await;
            }
        }
    }

    /// What stands among the exceptions, each with its reason.
    pub(crate) async fn refused(&self) -> BTreeMap<(Kind, String), String> {
        let view = self.handle.ask(ChannelCommand::Show).await.unwrap();
        let refused = view.refused.into_iter();
        refused.map(|item| ((item.kind, item.key), item.reason)).collect()
    }

    /// Waits until the cursors stand at the ends.
    pub(crate) async fn converged(&mut self) {
        self.progress.wait_for(|saved| *saved == self.ends).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.send(true).unwrap();
        self.driving.await.unwrap();
    }
}

/// SKUs with these numbers, `S1` and so on.
pub(crate) fn skus(numbers: RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| format!("S{number}")).collect()
}

/// Every fault that all platforms show, each so often: storms, failures before and after, answers that never come or come slowly, and
/// requests that are carried out when they have been given up.
pub(crate) fn trouble(often: u32) -> Faults {
    let faults = Faults {
        hang: Duration::from_secs(3),
        slow_by: Duration::from_millis(100),
        late_by: Duration::from_millis(1_200),
        ..Faults::default()
    };
    let everywhere = [
        Fault::Storm,
        Fault::Failure,
        Fault::FailureAfterCommit,
        Fault::TimeoutAfterCommit,
        Fault::Slow,
        Fault::Late,
    ];
    let often = Probability::per_million(often);
    everywhere
        .into_iter()
        .fold(faults, |faults, fault| faults.with(fault, often))
}

/// Requests have failed, and some were not answered in time or came late; and no limit was exceeded.
pub(crate) fn assert_troubled(met: Met) {
    assert!(
        met.failed > 0 && met.unanswered + met.late > 0 && met.throttled == 0,
        "{met:?}"
    );
}

/// An order of 10 of each SKU, of which `shipments` have left: of each how much of which line, from 1.
pub(crate) fn order(status: Status, skus: &[&str], shipments: &[&[(u16, i64)]]) -> OrderShown {
    let numbered = (1_u32..).zip(shipments);
    let shipments: Vec<Shipment> = numbered
        .map(|(number, lines)| Shipment {
            number,
            document: None,
            carriage: Carriage {
                carrier: Some(CarrierCode::new("UPS").unwrap()),
                tracking: Some(TrackingNumber::new(&format!("1Z{number}")).unwrap()),
            },
            at: Timestamp::from_millis(1_795_876_245_000),
            lines: lines
                .iter()
                .map(|(line, units)| (*line, PositiveQuantity::new(*units).unwrap()))
                .collect(),
        })
        .collect();
    let mut shown = OrderShown {
        status,
        word: None,
        at: Timestamp::from_millis(1_795_876_245_000),
        reason: None,
        lines: Vec::new(),
        shipments,
    };
    for (line, sku) in (1_u16..).zip(skus) {
        shown.lines.push(OrderLineShown {
            line,
            sku: Sku::new(sku).unwrap(),
            ordered: Quantity::new(10).unwrap(),
            shipped: Quantity::ZERO,
            backordered: Quantity::ZERO,
            cancelled: Quantity::ZERO,
        });
    }
    shown
}
