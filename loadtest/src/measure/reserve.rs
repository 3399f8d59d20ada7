//! Reservations a second, and how long each takes until it is durable.

use super::process::usage;
use super::{MeasureError, io, print, unexpected};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::ids::{DocumentId, HoldId, OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{HoldMode, HoldStock, StockCommand, StockReply};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::reference::Reference;
use lockstep_adapters::store::{
    EmbeddedConfig, EmbeddedOpener, PostgresConfig, PostgresOpener, PostgresSettings, Sharing,
};
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{
    Delivery, Envelope, MessageId, Outcome, OutcomeStream, Outcomes, Provenance, Responder,
};
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::StoreOpener;
use lockstep_runtime::time::SystemClock;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Which store is behind the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StoreKind {
    /// In memory, nothing durable: what the runtime itself costs.
    Memory,
    /// The embedded store: durable, one sync a batch.
    Embedded,
    /// PostgreSQL: durable, one round trip a batch.
    Postgres,
}

/// How to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Which store.
    #[arg(long, value_enum, default_value = "embedded")]
    store: StoreKind,
    /// How many shards: 1 to 256.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Reservations a second, in open loop: each has its moment, and latency counts from it. Without it, as many as go
    /// with `--window` under way.
    #[arg(long)]
    rate: Option<u64>,
    /// How many SKUs, in one warehouse.
    #[arg(long, default_value_t = 10_000)]
    skus: u32,
    /// After how many commands a hold is released.
    #[arg(long, default_value_t = 100_000)]
    live: u64,
    /// The most commands under way.
    #[arg(long, default_value_t = 16_384)]
    window: usize,
    /// Where the embedded store is put, for a disk of your choice; a temporary directory otherwise.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// The URL of an empty database, for the store in PostgreSQL; or in the environment.
    #[arg(long, env = "LOCKSTEP_MEASURE_POSTGRES", hide_env_values = true)]
    database: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The store in the database of the options.
fn postgres(options: &Options) -> Result<PostgresOpener, MeasureError> {
    let settings = PostgresSettings {
        url: options.database.clone(),
        ..PostgresSettings::default()
    };
    let (databases, map) = settings.databases(PartitionCount::DEFAULT).map_err(unexpected)?;
    let config = PostgresConfig {
        databases,
        map,
        tls_roots: None,
        cache_mib: 64,
        sharing: Sharing::Alone,
    };
    PostgresOpener::new(config).map_err(unexpected)
}

pub(super) fn run(options: &Options) -> Result<(), MeasureError> {
    let parent = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::tempdir_in(parent).map_err(io("making a directory for the store"))?;
    let opener: Arc<dyn StoreOpener> = match options.store {
        StoreKind::Memory => Arc::new(MemoryDisk::new(PartitionCount::DEFAULT)),
        StoreKind::Embedded => Arc::new(EmbeddedOpener::new(EmbeddedConfig {
            directory: directory.path().join("store"),
            partitions: PartitionCount::DEFAULT,
            cache_mib: 64,
        })),
        StoreKind::Postgres => Arc::new(postgres(options)?),
    };
    let config = NodeConfig {
        shards: options.shards,
        ..NodeConfig::default()
    };
    actix::System::new().block_on(async {
        let node = Node::<Distributor>::start(
            config,
            opener,
            Arc::new(SystemClock),
            Arc::new(Reference::default()),
        )
        .await?;
        let load = Load::new(options, node.ingress())?;
        let measured = tokio::task::spawn_blocking(move || load.measure()).await;
        node.shutdown().await;
        let result = measured.map_err(unexpected)??;
        print(&if options.json {
            result.to_string()
        } else {
            table(&result)
        })
    })
}

/// One thread that sends and takes the answers.
struct Load {
    ingress: Ingress<Distributor>,
    ids: Vec<StockId>,
    seconds: u64,
    interval: Option<Duration>,
    live: u64,
    store: StoreKind,
    stream: OutcomeStream<Reply>,
    outcomes: mpsc::Receiver<Outcomes<Reply>>,
    /// By slot: when the command was to be sent.
    due: Vec<Instant>,
    free: Vec<u64>,
    latencies: Histogram<u64>,
    refused: u64,
}

impl Load {
    fn new(options: &Options, ingress: Ingress<Distributor>) -> Result<Self, MeasureError> {
        let window = options.window.clamp(1, 1 << 20);
        let (stream, outcomes) = OutcomeStream::new(window);
        let warehouse = WarehouseCode::new("W1").map_err(unexpected)?;
        let ids: Result<Vec<_>, _> = (0..options.skus.max(1))
            .map(|n| Sku::new(&format!("SKU-{n:06}")).map(|sku| StockId { sku, warehouse }))
            .collect();
        Ok(Self {
            ingress,
            ids: ids.map_err(unexpected)?,
            seconds: options.seconds.max(1),
            // Half of the commands are reservations.
            interval: options
                .rate
                .map(|rate| Duration::from_nanos(500_000_000 / rate.max(1))),
            live: options.live.max(1),
            store: options.store,
            stream,
            outcomes,
            due: vec![Instant::now(); window],
            free: (0..window as u64).rev().collect(),
            latencies: Histogram::new_with_bounds(1, 60_000_000, 3).map_err(unexpected)?,
            refused: 0,
        })
    }

    fn measure(mut self) -> Result<Value, MeasureError> {
        let units = PositiveQuantity::new(1_000_000_000).map_err(unexpected)?;
        let document = DocumentId::new("opening").map_err(unexpected)?;
        let total = self.ids.len() as u64;
        let fill = move |_: u64| StockCommand::Receive {
            quantity: units,
            document: document.clone(),
        };
        self.send_until(0, &mut |sent, _| sent < total, None, &fill)?;
        self.latencies.reset();
        let one = PositiveQuantity::new(1).map_err(unexpected)?;
        let (live, skus) = (self.live, total);
        let hold = move |n: u64| reserve_or_release(n, live, skus, one);
        let (before, metrics_before) = (usage()?, self.ingress.metrics());
        let began = Instant::now();
        let until = began + Duration::from_secs(self.seconds);
        let interval = self.interval;
        let sent = self.send_until(total, &mut |_, now| now < until, interval, &hold)?;
        let elapsed = began.elapsed();
        let (after, metrics) = (usage()?, self.ingress.metrics());
        let per_command = |micros: u64| micros * 1_000 / sent.max(1);
        let commits = metrics.writer.commits - metrics_before.writer.commits;
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        Ok(json!({
            "store": match self.store {
                StoreKind::Memory => "memory", StoreKind::Embedded => "embedded", StoreKind::Postgres => "postgres",
            },
            "seconds": self.seconds,
            "commands": sent,
            "reservations": sent.div_ceil(2),
            "refused": self.refused,
            "commands_per_second": sent * 1_000 / millis,
            "reservations_per_second": sent.div_ceil(2) * 1_000 / millis,
            "latency_us": {
                "p50": self.latencies.value_at_quantile(0.5), "p90": self.latencies.value_at_quantile(0.9),
                "p99": self.latencies.value_at_quantile(0.99), "p999": self.latencies.value_at_quantile(0.999),
                "max": self.latencies.max(),
            },
            "cpu_ns_per_command": {
                "user": per_command(after.user_us - before.user_us),
                "system": per_command(after.system_us - before.system_us),
            },
            "commits": commits,
            "commits_per_second": commits * 1_000 / millis,
            "commands_per_commit": sent / commits.max(1),
            "resident_mib": after.resident >> 20,
        }))
    }

    /// Sends commands as long as `more` says, then waits for all answers. Says how many were sent.
    fn send_until(
        &mut self,
        first: u64,
        more: &mut dyn FnMut(u64, Instant) -> bool,
        interval: Option<Duration>,
        command: &dyn Fn(u64) -> StockCommand,
    ) -> Result<u64, MeasureError> {
        let began = Instant::now();
        let (mut sent, mut waiting, mut going) = (0_u64, None, true);
        loop {
            let mut idle = true;
            let mut now = Instant::now();
            for step in 0..256 {
                if step % 32 == 31 {
                    now = Instant::now();
                }
                going = going && more(sent, now);
                if waiting.is_none() && going {
                    waiting = self.next(first, sent, began, now, interval, command)?;
                }
                let Some(delivery) = waiting.take() else { break };
                match self.ingress.try_submit(delivery) {
                    Ok(()) => {
                        sent += 1;
                        idle = false;
                    }
                    Err(rejected) if rejected.cause == RejectCause::Closed => {
                        return Err(unexpected("the node has stopped"));
                    }
                    Err(rejected) => {
                        waiting = Some(rejected.delivery);
                        break;
                    }
                }
            }
            idle &= !self.take_outcomes()?;
            if !going && waiting.is_none() && self.free.len() == self.due.len() {
                return Ok(sent);
            }
            if idle {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// The next command, if one is due and has room.
    fn next(
        &mut self,
        first: u64,
        sent: u64,
        began: Instant,
        now: Instant,
        interval: Option<Duration>,
        command: &dyn Fn(u64) -> StockCommand,
    ) -> Result<Option<Delivery<Distributor>>, MeasureError> {
        let nanos = interval.map(|interval| u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        let due = nanos.map_or(now, |nanos| {
            began + Duration::from_nanos(nanos.saturating_mul(sent))
        });
        if due > now {
            return Ok(None);
        }
        let Some(slot) = self.free.pop() else {
            return Ok(None);
        };
        let place = usize::try_from(slot).map_err(unexpected)?;
        self.due[place] = due;
        // Hold and release of a pair of commands meet the same SKU.
        let sku = usize::try_from((sent / 2) % self.ids.len() as u64).map_err(unexpected)?;
        let sku = if interval.is_none() && first == 0 {
            usize::try_from(sent).map_err(unexpected)? % self.ids.len()
        } else {
            sku
        };
        let provenance = Provenance {
            source: "load".into(),
            correlation: "load".into(),
            causation: None,
        };
        Ok(Some(Delivery {
            envelope: Envelope {
                id: MessageId(u128::from(first + sent) + 1),
                provenance,
                message: Message::Stock(self.ids[sku].clone(), command(sent)),
            },
            responder: Responder::stream(&self.stream, slot),
        }))
    }

    fn take_outcomes(&mut self) -> Result<bool, MeasureError> {
        let mut any = false;
        let now = Instant::now();
        while let Ok(outcomes) = self.outcomes.try_recv() {
            any = true;
            for (slot, outcome) in outcomes {
                self.take_outcome(slot, &outcome, now)?;
            }
        }
        Ok(any)
    }

    fn take_outcome(
        &mut self,
        slot: u64,
        outcome: &Outcome<Reply>,
        now: Instant,
    ) -> Result<(), MeasureError> {
        let place = usize::try_from(slot).map_err(unexpected)?;
        let micros = now.saturating_duration_since(self.due[place]).as_micros();
        self.latencies
            .saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
        self.free.push(slot);
        match outcome {
            Outcome::Done {
                reply: Reply::Stock(StockReply::Refused(_)),
                ..
            } => self.refused += 1,
            Outcome::Done { .. } => {}
            Outcome::Repeated | Outcome::DeadLettered { .. } | Outcome::Unavailable => {
                return Err(unexpected(format!("{outcome:?}")));
            }
        }
        Ok(())
    }
}

/// Command `n` of a run: even ones hold, odd ones release what was held `live` commands before.
fn reserve_or_release(n: u64, live: u64, skus: u64, quantity: PositiveQuantity) -> StockCommand {
    let pair = n / 2;
    // The hold that is released was made on the same SKU: a whole number of rounds ago.
    let rounds = (live / 2).div_ceil(skus).max(1) * skus;
    let id = |pair: u64| HoldId {
        order: order(pair),
        line: 1,
        attempt: 1,
    };
    if n.is_multiple_of(2) || pair < rounds {
        // While nothing is old enough yet, the second command of a pair holds as well.
        let number = if n.is_multiple_of(2) {
            pair
        } else {
            pair + (1 << 62)
        };
        return StockCommand::Hold(HoldStock {
            id: id(number),
            quantity,
            mode: HoldMode::All,
            expires: None,
            priority: Priority::default(),
            answer_to: None,
            customer_class: None,
        });
    }
    StockCommand::Release {
        id: id(pair - rounds),
        answer_to: None,
    }
}

#[expect(clippy::expect_used, reason = "a number is a valid order number")]
fn order(number: u64) -> OrderKey {
    let mut digits = [0_u8; 20];
    let mut place = digits.len();
    let mut rest = number;
    loop {
        place -= 1;
        digits[place] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let text = std::str::from_utf8(&digits[place..]).unwrap_or("0");
    OrderKey::new("l", text).expect("a channel and a number")
}

fn table(result: &Value) -> String {
    let line = |name: &str, pointer: &str, unit: &str| {
        let value = result
            .pointer(pointer)
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("{name:<28} {value:>14} {unit}")
    };
    [
        format!("store {}", result["store"].as_str().unwrap_or_default()),
        line("commands", "/commands_per_second", "/s"),
        line("reservations among them", "/reservations_per_second", "/s"),
        line("refused", "/refused", ""),
        line("latency p50", "/latency_us/p50", "us"),
        line("latency p99", "/latency_us/p99", "us"),
        line("latency p99.9", "/latency_us/p999", "us"),
        line("latency max", "/latency_us/max", "us"),
        line("CPU user a command", "/cpu_ns_per_command/user", "ns"),
        line("CPU system a command", "/cpu_ns_per_command/system", "ns"),
        line("commits", "/commits_per_second", "/s"),
        line("commands a commit", "/commands_per_commit", ""),
        line("resident memory", "/resident_mib", "MiB"),
    ]
    .join("\n")
}
