//! `lockstep demo`: a generated distributor on the embedded store, from opening stock to converged channels.
//!
//! The real path: node, embedded store, ERP worker, channel egress; the two channels are emulators on loopback that enforce
//! their limits.

mod day;
mod summary;

use crate::error::Failure;
use crate::print::print;
use crate::service::{Consumers, Service, ServiceError};
use day::Day;
use lockstep_actors::orders::effects;
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::{ChannelConfig, Webhook};
use lockstep_adapters::erp::ErpConfig;
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_loadtest::distributor::{Distributor, Size};
use lockstep_loadtest::emulate::{Emulator, channel};
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::node::NodeConfig;
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::time::SystemClock;
use std::path::PathBuf;
use std::sync::Arc;

/// How large a day.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lockstep demo\n  \
    lockstep demo --seconds 10 --orders-per-second 100 --store demo-data\n  lockstep demo --seed 7 --json")]
pub(crate) struct DemoArguments {
    /// For how long orders and stock events come in, in seconds: 1 to 600.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What everything is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Orders a second, of 1 to 10 lines: 1 to 10,000.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    orders_per_second: u64,
    /// Stock events a second: 1 to 100,000.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    stock_events_per_second: u64,
    /// How many SKUs: 1 to 250,000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=250_000))]
    skus: u32,
    /// How many warehouses: 1 to 16.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=16))]
    warehouses: u32,
    /// How many customer contracts: 1 to 50,000.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    contracts: u32,
    /// The directory of a new store, which is kept. Without it the store is temporary.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The name under which the day's warehouses follow the orders.
const FOLLOWER: &str = "demo";

pub(crate) fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    actix::System::new().block_on(demonstrate(arguments))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// A channel as its platform is: requests a second, at once, SKUs in each.
const CHANNELS: [(&str, u32, u32, u32); 2] = [("web-shop", 40, 20, 250), ("marketplace", 20, 10, 100)];

async fn demonstrate(arguments: &DemoArguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir().map_err(failed)?;
    let directory = match &arguments.store {
        Some(directory) if directory.exists() => {
            return Err(Failure::Usage(format!(
                "{} exists; the demo begins with an empty store: name a directory that does not exist",
                directory.display()
            )));
        }
        Some(directory) => directory.clone(),
        None => temporary.path().join("store"),
    };
    let size = Size {
        skus: arguments.skus,
        warehouses: arguments.warehouses,
        contracts: arguments.contracts,
    };
    let distributor = Distributor::new(arguments.seed, size).map_err(failed)?;
    let mut platforms = Vec::new();
    for (name, rate, burst, batch) in CHANNELS {
        platforms.push(platform(name, rate, burst, batch)?);
    }
    let configs: Vec<ChannelConfig> = platforms.iter().map(|(config, _)| config.clone()).collect();
    let opener = Arc::new(EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.clone(),
        partitions: PartitionCount::DEFAULT,
        cache_mib: 64,
    }));
    let consumers = Consumers::of(&configs).and(FOLLOWER);
    let erp = ErpConfig::default();
    let clock = Arc::new(SystemClock);
    let mut service = Service::start(
        NodeConfig::default(),
        consumers,
        &erp,
        Reference::default(),
        opener,
        clock,
    )
    .await?;
    for (config, _) in &platforms {
        let webhook = Webhook::new(config).map_err(failed)?;
        service.add_channel(config, webhook)?;
    }
    let feed = service
        .ingress()
        .feed(FOLLOWER, FeedFilter::Port(effects::EVENTS))
        .map_err(ServiceError::from)?;
    let day = Day::new(distributor, service.ingress(), arguments);
    let outcome = day.run(feed, &service).await?;
    let result = summary::of(
        &outcome,
        &service,
        &platforms,
        &directory,
        arguments.store.is_some(),
    )
    .await?;
    service.stop().await;
    for (_, platform) in platforms {
        platform.stop().await.map_err(failed)?;
    }
    if arguments.json {
        return print(&result);
    }
    print(&summary::text(&result))
}

fn platform(
    name: &str,
    rate: u32,
    burst: u32,
    batch: u32,
) -> Result<(ChannelConfig, Emulator<channel::Channel>), Failure> {
    let options = channel::Options {
        rate: format!("{rate}/s").parse().map_err(failed)?,
        burst: burst.try_into().map_err(failed)?,
        batch: usize::try_from(batch).map_err(failed)?,
        ..channel::Options::default()
    };
    let emulator = channel::start(options).map_err(failed)?;
    let config = serde_json::from_value(serde_json::json!({
        "name": name, "kind": "http", "url": format!("{}/levels", emulator.url()),
        "limits": { "requests": { "bucket": { "burst": burst, "refill": rate, "per_ms": 1_000 } } },
        "operations": { "set-stock": { "max_items": batch } },
    }))
    .map_err(failed)?;
    Ok((config, emulator))
}
