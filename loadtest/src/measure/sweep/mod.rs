//! A sweep over many pairs with faults of every kind: what it finds, what it raises falsely, and what it costs others.
//!
//! The real path: a node on the embedded store, its HTTP door, and the client of `lockstep reconcile` with a file. The clock
//! is moved on between what was told long ago and what was told just now.

mod reserver;
mod world;

use super::{MeasureError, io, print, unexpected};
use clap::Args;
use hdrhistogram::Histogram;
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::{DocumentId, SystemName};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::reference::Reference;
use lockstep_adapters::http::{self, HttpConfig, HttpParts};
use lockstep_adapters::identity::{KeyFile, KeyRing, Scope, Scopes};
use lockstep_adapters::reconcile::{Coverage, SweepOptions, SweepReport, read, sweep};
use lockstep_adapters::schema::fields::Moment;
use lockstep_adapters::schema::outbound::DriftCause;
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{
    Delivery, Envelope, MessageId, Outcome, OutcomeStream, Provenance, Responder,
};
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use reserver::Reserver;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::{Lookalike, World};

/// How large a sweep.
#[derive(Debug, Args)]
pub struct Options {
    /// How many SKU-warehouse pairs.
    #[arg(long, default_value_t = 1_000_000)]
    pub pairs: u64,
    /// How many of them have a fault.
    #[arg(long, default_value_t = 1_000)]
    pub faults: u64,
    /// What everything is drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Reservations a second beside it, whose latency is measured; 0 for none.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u64,
    /// For how long their latency is measured alone, before the sweep and again after it, in seconds.
    #[arg(long, default_value_t = 10)]
    pub alone: u64,
    /// How many batches are under way at a time.
    #[arg(long, default_value_t = 1)]
    pub at_once: usize,
    /// How many rows a batch has.
    #[arg(long, default_value_t = 250)]
    pub batch: usize,
    /// In how many percent of the time a batch is under way.
    #[arg(long, default_value_t = 50)]
    pub load: u8,
    /// How many shards: 1 to 256.
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcomes {
    /// How many pairs were compared.
    pub compared: u64,
    /// How many faults there were.
    pub faults: u64,
    /// How many of them were found.
    pub found: u64,
    /// How many of these with the cause that they had.
    pub causes_right: u64,
    /// How many pairs without a fault were found to have one.
    pub false_alarms: u64,
    /// How many of the changes that came late agreed once they had come.
    pub late_ones_settled: u64,
    /// How many changes came late.
    pub late_ones: u64,
    /// How long the sweep took.
    pub milliseconds: u64,
    /// How long reservations take before the sweep, when the store may still be busy with what it was told.
    pub before: Latency,
    /// How long they take beside it.
    pub beside: Latency,
    /// How long they take after it.
    pub after: Latency,
}

/// How long reservations take, from the moment at which each is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them at most, in microseconds.
    pub p50_us: u64,
    /// 99 of a hundred.
    pub p99_us: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(latencies: &Histogram<u64>) -> Self {
        Self {
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {} us, p99 {} us", self.p50_us, self.p99_us)
    }
}

pub(super) fn run(options: &Options) -> Result<(), MeasureError> {
    let outcomes = measure(options)?;
    if options.json {
        return print(&serde_json::to_string(&outcomes).map_err(unexpected)?);
    }
    print(&format!(
        "{} pairs compared in {} ms\n\
         faults {}, found {}, with the right cause {}; false alarms {}\n\
         late changes {}, settled once they came {}\n\
         reservations alone {}; beside the sweep {}; alone again {}",
        outcomes.compared,
        outcomes.milliseconds,
        outcomes.faults,
        outcomes.found,
        outcomes.causes_right,
        outcomes.false_alarms,
        outcomes.late_ones,
        outcomes.late_ones_settled,
        outcomes.before,
        outcomes.beside,
        outcomes.after,
    ))
}

/// The system's clock, moved on.
#[derive(Debug, Default)]
struct MovedClock {
    ahead_ms: AtomicU64,
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        SystemClock.now().after(Duration::from_millis(ahead))
    }
}

/// Makes a world with faults, sweeps it, and compares what was found with what is wrong.
///
/// # Errors
/// Whatever should not have happened.
pub fn measure(options: &Options) -> Result<Outcomes, MeasureError> {
    let directory = tempfile::tempdir().map_err(io("making a directory for the store"))?;
    actix::System::new().block_on(measure_in(options, directory.path()))
}

async fn measure_in(options: &Options, directory: &Path) -> Result<Outcomes, MeasureError> {
    let clock = Arc::new(MovedClock::default());
    let opener = Arc::new(EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.join("store"),
        partitions: PartitionCount::DEFAULT,
        cache_mib: 64,
    }));
    let config = NodeConfig {
        shards: options.shards,
        ..NodeConfig::default()
    };
    let reference = Arc::new(Reference::default());
    let node = Node::<Distributor>::start(config, opener, clock.clone(), reference).await?;
    let keys = KeyFile::at(directory.join("keys.toml"));
    let wms = SystemName::new("wms").map_err(unexpected)?;
    let scopes = Scopes::from_iter([Scope::StockWrite, Scope::StockRead]);
    let key = keys.create(&wms, scopes).map_err(unexpected)?.key;
    let server = http::start(
        &HttpConfig {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            ..HttpConfig::default()
        },
        HttpParts {
            ingress: node.ingress(),
            keys: Arc::new(KeyRing::open(keys).map_err(unexpected)?),
            metrics: Vec::new(),
            channels: Vec::new(),
            peers: None,
            webhooks: Vec::new(),
            partners: Vec::new(),
            letter_box: None,
        },
    )
    .map_err(unexpected)?;
    let stage = Stage {
        options,
        world: World {
            seed: options.seed,
            pairs: options.pairs,
            faults: options.faults,
        },
        ingress: node.ingress(),
        clock,
        url: format!("http://{}", server.address()),
        key,
        directory,
        told: AtomicU64::new(0),
    };
    let outcomes = stage.play().await;
    server.stop().await.map_err(unexpected)?;
    node.shutdown().await;
    outcomes
}

struct Stage<'o> {
    options: &'o Options,
    world: World,
    ingress: Ingress<Distributor>,
    clock: Arc<MovedClock>,
    url: String,
    key: String,
    directory: &'o Path,
    told: AtomicU64,
}

/// The most messages under way while the world is told.
const WINDOW: usize = 8_192;

impl Stage<'_> {
    async fn play(&self) -> Result<Outcomes, MeasureError> {
        self.tell(|pair| pair.early).await?;
        let taken_at = self.clock.now();
        // Longer than anything may be under way.
        self.clock.ahead_ms.fetch_add(600_000, Ordering::Relaxed);
        self.tell(|pair| pair.fresh).await?;
        let file = self.directory.join("seen.csv");
        self.write(&file, |_| true)?;
        self.until_quiet().await;
        let reserver = Reserver::begin(self.options.rate, self.ingress.clone())?;
        let alone = Duration::from_secs(self.options.alone);
        let ((), before) = reserver.measure(tokio::time::sleep(alone)).await?;
        let (report, beside) = reserver.measure(self.sweep("sweep-1", &file, taken_at)).await?;
        let ((), after) = reserver.measure(tokio::time::sleep(alone)).await?;
        reserver.end().await?;
        let report = report?;
        let mut outcomes = self.judge(&report)?;
        (outcomes.before, outcomes.beside, outcomes.after) =
            ((&before).into(), (&beside).into(), (&after).into());
        self.tell(|pair| pair.late).await?;
        self.write(&file, |pair| !pair.late.is_empty())?;
        let again = self.sweep("sweep-2", &file, taken_at).await?;
        outcomes.late_ones = again.compared;
        outcomes.late_ones_settled = again.equal;
        Ok(outcomes)
    }

    async fn sweep(&self, case: &str, file: &Path, taken_at: Timestamp) -> Result<SweepReport, MeasureError> {
        let options = SweepOptions {
            url: self.url.clone(),
            key: Some(self.key.clone()),
            case: DocumentId::new(case).map_err(unexpected)?,
            taken_at: Moment(taken_at),
            at_once: self.options.at_once,
            batch: self.options.batch,
            load: self.options.load,
            coverage: Coverage::Named,
        };
        let file = File::open(file).map_err(io("opening what is seen"))?;
        let rows = read(BufReader::new(file)).map_err(unexpected)?;
        sweep(&options, rows, |_| {}).await.map_err(unexpected)
    }

    /// Waits until all that was told long ago is forgotten where it may be: else the sweep would wait for that.
    async fn until_quiet(&self) {
        let decided = || -> u64 {
            self.ingress
                .metrics()
                .shards
                .iter()
                .map(|shard| shard.decided)
                .sum()
        };
        loop {
            let before = decided();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if decided() == before {
                return;
            }
        }
    }

    /// Tells what `of` says of each pair.
    async fn tell(&self, of: impl Fn(world::Pair) -> Vec<StockCommand>) -> Result<(), MeasureError> {
        let (stream, mut answered) = OutcomeStream::new(WINDOW);
        let (mut sent, mut done) = (0_u64, 0_u64);
        let mut take = async |sent: u64, most: u64| -> Result<(), MeasureError> {
            while sent - done > most {
                let outcomes = answered.recv().await.unwrap_or_default();
                done += outcomes.len() as u64;
                let is_done = |outcome: &Outcome<_>| matches!(outcome, Outcome::Done { .. });
                if let Some((_, other)) = outcomes.iter().find(|(_, outcome)| !is_done(outcome)) {
                    return Err(unexpected(format!("a stock event was not taken: {other:?}")));
                }
            }
            Ok(())
        };
        for number in 0..self.world.pairs {
            let pair = self.world.pair(number)?;
            let id = pair.id.clone();
            for command in of(pair) {
                let message = Message::Stock(id.clone(), command);
                let number = self.told.fetch_add(1, Ordering::Relaxed);
                let delivery = Delivery {
                    envelope: envelope(number, message),
                    responder: Responder::stream(&stream, sent),
                };
                let taken = self.ingress.submit(delivery).await;
                taken.map_err(|rejected| unexpected(rejected.cause))?;
                sent += 1;
                take(sent, WINDOW as u64 - 1).await?;
            }
        }
        take(sent, 0).await
    }

    /// Writes what the warehouses see of the pairs that are `wanted`.
    fn write(&self, file: &Path, wanted: impl Fn(&world::Pair) -> bool) -> Result<(), MeasureError> {
        let mut file = BufWriter::new(File::create(file).map_err(io("writing what is seen"))?);
        let mut write =
            |line: std::fmt::Arguments<'_>| file.write_fmt(line).map_err(io("writing what is seen"));
        write(format_args!("sku,warehouse,on_hand,sequence\n"))?;
        for number in 0..self.world.pairs {
            let pair = self.world.pair(number)?;
            if wanted(&pair) {
                let (id, seen, through) = (&pair.id, pair.seen, pair.through);
                write(format_args!("{},{},{seen},{through}\n", id.sku, id.warehouse))?;
            }
        }
        file.flush().map_err(io("writing what is seen"))
    }

    /// Compares what was found with what is wrong.
    fn judge(&self, report: &SweepReport) -> Result<Outcomes, MeasureError> {
        let found: HashMap<_, _> = report
            .differences
            .iter()
            .map(|found| ((&found.sku, found.warehouse), found.found.cause))
            .collect();
        let mut outcomes = Outcomes {
            compared: report.compared,
            milliseconds: report.milliseconds,
            ..Outcomes::default()
        };
        for number in 0..self.world.pairs {
            let pair = self.world.pair(number)?;
            let cause = found.get(&(&pair.id.sku, pair.id.warehouse)).copied().flatten();
            // What is explained by shipments under way is no fault, and is not reported as one.
            let is_excused =
                cause == Some(DriftCause::ShipmentsUnderWay) && pair.lookalike == Some(Lookalike::Picked);
            match (pair.fault, cause) {
                (Some(fault), cause) => {
                    outcomes.faults += 1;
                    outcomes.found += u64::from(cause.is_some());
                    outcomes.causes_right += u64::from(cause == Some(fault.cause()));
                }
                (None, Some(_)) if !is_excused => outcomes.false_alarms += 1,
                (None, _) => {}
            }
        }
        Ok(outcomes)
    }
}

fn envelope(number: u64, message: Message) -> Envelope<Distributor> {
    Envelope {
        id: MessageId(u128::from(number) + 1),
        provenance: Provenance {
            source: "wms".into(),
            correlation: "world".into(),
            causation: None,
        },
        message,
    }
}
