//! What a message costs in a shard without threads and without a disk: taken in, decided, written into the batch, stored in
//! memory, and answered.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected shall fail"
)]

mod world;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::ids::{DocumentId, StockId};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::reference::Reference;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{Delivery, OutcomeStream, Outcomes, Responder, Sequence};
use lockstep_runtime::metrics::ShardCounters;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::{ConsumerProgress, Shard, ShardLimits, ShardWiring};
use lockstep_runtime::store::{Claim, Store, StoreOpener};
use std::sync::Arc;
use tokio::sync::mpsc;
use world::{envelope, hold, now, quantity, release, stock_id};

const SKUS: u64 = 10_000;
/// Commands that are taken in before the batch is stored, as under load.
const BATCH: u64 = 1_024;

struct NoConsumers;

impl ConsumerProgress for NoConsumers {
    fn consumed(&self, _: PartitionId) -> Sequence {
        Sequence(u64::MAX)
    }
}

struct Desk {
    store: Box<dyn Store>,
    shard: Shard<Distributor>,
    ids: Vec<StockId>,
    stream: OutcomeStream<Reply>,
    outcomes: mpsc::Receiver<Outcomes<Reply>>,
    sent: u64,
}

impl Desk {
    fn open() -> Self {
        let disk = MemoryDisk::new(PartitionCount::DEFAULT);
        let mut store = disk.open().unwrap();
        let all: Vec<_> = PartitionCount::DEFAULT.all().map(Claim::alone).collect();
        let states = store.acquire(&all).unwrap();
        let wiring = ShardWiring {
            partition_count: PartitionCount::DEFAULT,
            reference: Arc::new(Reference::default()),
            consumers: Arc::new(NoConsumers),
            limits: ShardLimits::default(),
            counters: Arc::new(ShardCounters::default()),
        };
        let shard = Shard::recover(wiring, &states, store.reader()).unwrap();
        let (stream, outcomes) = OutcomeStream::new(1 << 14);
        let ids = (0..SKUS)
            .map(|n| stock_id(&format!("SKU-{n:06}"), "W1"))
            .collect();
        let mut desk = Self {
            store,
            shard,
            ids,
            stream,
            outcomes,
            sent: 0,
        };
        desk.fill();
        desk
    }

    fn fill(&mut self) {
        for n in 0..SKUS {
            let command = StockCommand::Receive {
                quantity: quantity(1_000_000_000),
                document: DocumentId::new("GR-1").unwrap(),
            };
            let delivery = self.delivery(n, command);
            self.shard.handle(delivery, now()).unwrap();
            if n % BATCH == 0 {
                self.round_trip();
            }
        }
        self.round_trip();
    }

    fn delivery(&mut self, sku: u64, command: StockCommand) -> Delivery<Distributor> {
        self.sent += 1;
        let id = &self.ids[usize::try_from(sku % SKUS).unwrap()];
        Delivery {
            envelope: envelope(u128::from(self.sent), id, command),
            responder: Responder::stream(&self.stream, self.sent),
        }
    }

    /// Half of them hold, half of them release.
    fn deliveries(&mut self) -> Vec<Delivery<Distributor>> {
        let first = self.sent;
        (0..BATCH / 2)
            .flat_map(|n| {
                let n = first + n;
                [self.delivery(n, hold(n)), self.delivery(n, release(n))]
            })
            .collect()
    }

    fn round_trip(&mut self) -> usize {
        if let Some((number, batch)) = self.shard.take_batch(now()) {
            let batches = [batch];
            self.store.commit(&batches).unwrap();
            let [batch] = batches;
            self.shard.reclaim(batch);
            self.shard.committed(number, now()).unwrap();
        }
        std::iter::from_fn(|| self.outcomes.try_recv().ok())
            .map(|outcomes| outcomes.len())
            .sum()
    }
}

fn round_trip(criterion: &mut Criterion) {
    let desk = std::cell::RefCell::new(Desk::open());
    let mut group = criterion.benchmark_group("shard in memory");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("round trip of 1,024 commands", |bencher| {
        bencher.iter_batched(
            || desk.borrow_mut().deliveries(),
            |deliveries| {
                let desk = &mut *desk.borrow_mut();
                let mut deliveries = std::collections::VecDeque::from(deliveries);
                while !deliveries.is_empty() {
                    desk.shard.look_ahead(deliveries.iter().take(32)).unwrap();
                    for delivery in deliveries.drain(..32) {
                        desk.shard.handle(delivery, now()).unwrap();
                    }
                }
                assert_eq!(desk.round_trip() as u64, BATCH, "each command is answered");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
