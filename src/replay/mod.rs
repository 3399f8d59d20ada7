//! `lockstep replay`: a file of past trade through the whole path, with the same end however often it is interrupted.

mod error;
mod house;
mod outside;
mod progress;
mod report;
mod run;
mod summary;

use crate::channels::{add_channels, broker_of};
use crate::config::Config;
use crate::error::Failure;
use crate::print::print;
use crate::read_config;
use crate::service::{Consumers, Service, ServiceError};
pub(crate) use error::ReplayError;
use house::House;
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_actors::orders::effects;
use lockstep_actors::reference::Reference;
use lockstep_adapters::online_retail::{Plan, RULES_VERSION};
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::node::NodeConfig;
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::StoreOpener;
use lockstep_runtime::time::SystemClock;
use outside::Outside;
use progress::Progress;
use run::{Run, events_of, phases};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::{Summary, summarize};

/// How often it is looked who has not been told everything yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Memory for what was read lately from the store.
const CACHE_MIB: u64 = 64;

/// What to replay.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArguments {
    /// The file.
    file: PathBuf,
    /// How it is to be read; see docs/replay.md for the rules.
    #[arg(long, value_enum)]
    format: Format,
    /// Where the store is kept. A replay that was interrupted goes on there; by default a directory for this file under
    /// the system's directory for temporary files.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Book in the ERP and tell the channels of this configuration: its tables [erp], [[channels]] and [amqp] count, nothing
    /// else of it. Without it the orders are booked in Lockstep's own book and nobody is told.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Invoice lines of a wholesaler, as in the "Online Retail" data set: CSV with `InvoiceNo`, `StockCode`, `Quantity`,
    /// `InvoiceDate`, `UnitPrice` and `CustomerID`.
    OnlineRetail,
}

pub(crate) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let outside = arguments
        .config
        .as_deref()
        .map_or_else(|| Ok(Config::default()), read_config)?;
    let (summary, store) = replay_file(arguments, &outside)?;
    if arguments.json {
        let json = serde_json::to_string(&summary).map_err(|error| Failure::Failed(error.to_string()))?;
        return print(&json);
    }
    print(report::words(&summary, &store).trim_end())
}

fn replay_file(arguments: &ReplayArguments, outside: &Config) -> Result<(Summary, PathBuf), Failure> {
    let path = &arguments.file;
    let bytes = std::fs::read(path).map_err(|cause| ReplayError::File {
        path: path.clone(),
        cause,
    })?;
    let plan = match arguments.format {
        Format::OnlineRetail => Plan::of(&bytes),
    };
    let plan = plan.map_err(|cause| ReplayError::Plan {
        path: path.clone(),
        cause,
    })?;
    drop(bytes);
    let directory = arguments
        .store
        .clone()
        .unwrap_or_else(|| default_directory(&plan));
    let mut progress = Progress::open(&directory, &plan)?;
    let opener = Arc::new(EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.clone(),
        partitions: PartitionCount::DEFAULT,
        cache_mib: CACHE_MIB,
    }));
    let summary = actix::System::new().block_on(replay(&plan, &mut progress, opener, outside))?;
    Ok((summary, directory))
}

fn default_directory(plan: &Plan) -> PathBuf {
    let file = plan.fingerprint.get(..16).unwrap_or(&plan.fingerprint);
    std::env::temp_dir().join(format!("lockstep-replay-{file}-{RULES_VERSION}"))
}

async fn replay(
    plan: &Plan,
    progress: &mut Progress,
    opener: Arc<dyn StoreOpener>,
    outside: &Config,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let broker = broker_of(outside)?;
    let consumers = Consumers::of(&outside.channels).and(house::CONSUMER);
    let clock = Arc::new(SystemClock);
    let mut service = Service::start(
        NodeConfig::default(),
        consumers,
        &outside.erp,
        Reference::default(),
        opener,
        clock,
    )
    .await?;
    add_channels(&mut service, &outside.channels, &[], broker.as_ref())?;
    let ingress = service.ingress();
    let feed = ingress
        .feed(house::CONSUMER, FeedFilter::Port(effects::EVENTS))
        .map_err(ServiceError::from)?;
    let house = House::new(ingress);
    let listening = actix::spawn(house.clone().listen(feed));
    let result = go_on(plan, progress, &house, &service, started).await;
    listening.abort();
    service.stop().await;
    Ok(result?)
}

async fn go_on(
    plan: &Plan,
    progress: &mut Progress,
    house: &House,
    service: &Service,
    started: Instant,
) -> Result<Summary, ReplayError> {
    let bar = bar(plan);
    let mut run = Run::take_up(plan, house.clone(), bar.clone()).await?;
    run.finish(progress).await?;
    told_everybody(service, &bar).await;
    bar.finish_and_clear();
    let summary = summarize(
        plan,
        house,
        progress.not_returned(),
        &run.measured,
        started.elapsed(),
    );
    Ok(Summary {
        outside: Outside::of(service),
        ..summary.await?
    })
}

/// Waits until the ERP and every channel know what is newest, and says who does not yet.
async fn told_everybody(service: &Service, bar: &ProgressBar) {
    let mut pause = tokio::time::interval(LOOK_EVERY);
    loop {
        pause.tick().await;
        let behind = service.behind();
        if behind.is_empty() {
            return;
        }
        let names: Vec<String> = behind
            .into_iter()
            .map(|lag| format!("{} ({} entries behind)", lag.consumer, lag.entries))
            .collect();
        let waiting = format!("waiting for {}", names.join(", "));
        tracing::info!("{waiting}");
        bar.set_message(waiting);
    }
}

/// Hidden unless stderr is a terminal.
fn bar(plan: &Plan) -> ProgressBar {
    let events = phases(plan).into_iter().map(|phase| events_of(plan, phase)).sum();
    let bar = ProgressBar::new(events);
    if let Ok(style) = ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {pos}/{len} invoices, {per_sec}, {eta} left {msg}",
    ) {
        bar.set_style(style);
    }
    bar
}
