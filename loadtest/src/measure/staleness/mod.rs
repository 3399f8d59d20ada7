//! How old what channels show is under far more changes than their limits let through.
//!
//! The real path: a node on the embedded store with its ERP worker, the read model, the engine of each channel, HTTP, and an emulated
//! channel that keeps its limit strictly and remembers when it took what. Changes are read from the journal afterwards.

mod ages;
mod traffic;

use super::{MeasureError, io, print, unexpected};
use crate::emulate::Emulator;
use crate::emulate::channel::{self, Channel, Rate};
use ages::{Ages, Change, ages};
use clap::Args;
use lockstep_actors::channels::Kind;
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::{ListId, OrderKey, Sku, StockId};
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::effects::{EVENTS, OrderStatus};
use lockstep_actors::pricing::ListPrice;
use lockstep_actors::pricing::contract::DEFAULT_LIST;
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::{
    ChannelConfig, ChannelHandle, ReadModel, Telling, Webhook, channel_handle,
};
use lockstep_adapters::erp::{CONSUMER, Carrying, ErpConfig, ErpWorker, LocalErp};
use lockstep_adapters::home::Home;
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::entity::{Entity, EntityId};
use lockstep_runtime::feed::{FeedEntry, FeedFilter};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use traffic::Traffic;

/// The channels, as the generated distributor's orders name them.
const CHANNELS: [&str; 2] = ["marketplace", "web-shop"];
/// Who reads the journal for the measurement.
const CHANGES: &str = "staleness";
const STATUSES: &str = "staleness/status";
/// How long nothing happens where all is done.
const AT_REST: Duration = Duration::from_millis(300);
/// How long the channels are waited for before and after.
const CONVERGED_WITHIN: Duration = Duration::from_secs(600);

/// How much of what.
#[derive(Debug, Args)]
pub struct Options {
    /// Requests a second that each channel takes.
    #[arg(long, default_value = "10")]
    pub rate: NonZeroU32,
    /// Items in a request at most.
    #[arg(long, default_value = "10")]
    pub batch: NonZeroU32,
    /// How many times as many changes as a channel may be told.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub times: u64,
    /// For how many seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// How many SKUs.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub skus: u32,
    /// Orders a second, of both channels together.
    #[arg(long, default_value_t = 20)]
    pub orders: u64,
    /// What everything is drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Changes of stock and prices a second that were offered to the node.
    pub offered_per_second: u64,
    /// How many times as many as a channel may be told.
    pub times_the_limit: u64,
    /// By channel.
    pub channels: BTreeMap<&'static str, ChannelOutcome>,
}

/// What a channel came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelOutcome {
    /// Requests that it let through during the burst, of what its bucket held at the beginning and what came into it since, in
    /// thousandths. What came in while it was full is lost and counts as not used.
    pub limit_used_permille: u64,
    /// Entries of the journal that it had not been told of when the burst ended: that there was a backlog all along.
    pub backlog: u64,
    /// Requests beyond its limit, answered 429.
    pub avoidable_429s: u64,
    /// Values older than what it held.
    pub stale_writes: u64,
    /// From the end of the burst until it had been told everything.
    pub converged_ms: u64,
    /// SKUs of which it shows another number or price than the books then.
    pub differences: u64,
    /// By kind.
    pub kinds: BTreeMap<&'static str, KindOutcome>,
}

/// What a kind came to at a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindOutcome {
    /// Changes.
    pub changes: u64,
    /// Values that brought them: the others were told with a later one.
    pub told: u64,
    /// Changes that no value has brought.
    pub untold: u64,
    /// Half of the values were at most so old when they were taken.
    pub age_p50_ms: u64,
    /// 95 of a hundred.
    pub age_p95_ms: u64,
    /// 99 of a hundred.
    pub age_p99_ms: u64,
    /// All.
    pub age_max_ms: u64,
}

impl From<&Ages> for KindOutcome {
    fn from(ages: &Ages) -> Self {
        Self {
            changes: ages.changes,
            told: ages.told,
            untold: ages.untold,
            age_p50_ms: ages.ages.value_at_quantile(0.5),
            age_p95_ms: ages.ages.value_at_quantile(0.95),
            age_p99_ms: ages.ages.value_at_quantile(0.99),
            age_max_ms: ages.ages.max(),
        }
    }
}

pub(super) fn run(options: &Options) -> Result<(), MeasureError> {
    let outcomes = measure(options)?;
    if options.json {
        return print(&serde_json::to_string(&outcomes).map_err(unexpected)?);
    }
    print(table(&outcomes).trim_end())
}

fn table(outcomes: &Outcomes) -> String {
    let mut text = format!(
        "{} changes a second, {} times as many as a channel may be told\n",
        outcomes.offered_per_second, outcomes.times_the_limit
    );
    for (name, channel) in &outcomes.channels {
        text += &format!(
            "\n{name}: {}.{} % of the limit used with a backlog of {}, {} avoidable 429s, {} stale writes, converged {} ms after the burst with {} \
             differences\n{:<8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
            channel.limit_used_permille / 10,
            channel.limit_used_permille % 10,
            channel.backlog,
            channel.avoidable_429s,
            channel.stale_writes,
            channel.converged_ms,
            channel.differences,
            "age, ms",
            "changes",
            "told",
            "untold",
            "p50",
            "p95",
            "p99",
            "max"
        );
        for (kind, of) in &channel.kinds {
            text += &format!(
                "{kind:<8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
                of.changes, of.told, of.untold, of.age_p50_ms, of.age_p95_ms, of.age_p99_ms, of.age_max_ms
            );
        }
    }
    text
}

/// Has channels told of a burst, and looks how old what they took was.
///
/// # Errors
/// Whatever should not have happened.
pub fn measure(options: &Options) -> Result<Outcomes, MeasureError> {
    let directory = tempfile::tempdir().map_err(io("making a directory for the store"))?;
    actix::System::new().block_on(measure_in(options, directory.path()))
}

/// A channel that runs.
struct Running {
    name: &'static str,
    emulator: Emulator<Channel>,
    contents: ReadModel,
    _handle: ChannelHandle,
}

async fn measure_in(options: &Options, directory: &Path) -> Result<Outcomes, MeasureError> {
    let opener = Arc::new(EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.join("store"),
        partitions: PartitionCount::DEFAULT,
        cache_mib: 64,
    }));
    let mut shops = Vec::new();
    for name in CHANNELS {
        let emulator = channel::start(emulated(options)).map_err(unexpected)?;
        shops.push((configured(name, &emulator, options)?, name, emulator));
    }
    let own = [CONSUMER, CHANGES, STATUSES].map(str::to_owned);
    let told = shops
        .iter()
        .flat_map(|(config, ..)| config.kinds().into_iter().map(move |kind| config.consumer(kind)));
    let config = NodeConfig {
        consumers: own.into_iter().chain(told).collect(),
        ..NodeConfig::default()
    };
    let reference = Arc::new(Reference::default());
    let node = Node::<Distributor>::start(config, opener, Arc::new(SystemClock), reference).await?;
    let ingress = node.ingress();
    let (stop, stopped) = watch::channel(false);
    let worker = ErpWorker::new(Arc::new(LocalErp), ingress.clone(), &ErpConfig::default());
    let carrying = Carrying::new(worker, ingress.clone()).map_err(unexpected)?;
    let mut tasks = vec![actix::spawn(carrying.run(stopped.clone()))];
    let mut channels = Vec::new();
    for (config, name, emulator) in shops {
        let (running, driving) = tell(&config, name, emulator, &ingress, stopped.clone())?;
        channels.push(running);
        tasks.push(actix::spawn(driving));
    }
    let stage = Stage {
        options,
        ingress,
        channels,
    };
    let outcomes = stage.play().await;
    stop.send_replace(true);
    for task in tasks {
        task.await.map_err(unexpected)?;
    }
    for running in stage.channels {
        running.emulator.stop().await.map_err(unexpected)?;
    }
    node.shutdown().await;
    outcomes
}

fn emulated(options: &Options) -> channel::Options {
    channel::Options {
        rate: Rate::per_second(options.rate),
        burst: options.rate,
        batch: usize::try_from(options.batch.get()).unwrap_or(usize::MAX),
        remembers: true,
        ..channel::Options::default()
    }
}

/// A channel with exactly the limit that the emulated one has.
fn configured(
    name: &str,
    emulator: &Emulator<Channel>,
    options: &Options,
) -> Result<ChannelConfig, MeasureError> {
    let (url, rate, batch) = (emulator.url(), options.rate, options.batch);
    let operation = json!({ "max_items": batch });
    let config: ChannelConfig = serde_json::from_value(json!({
        "name": name, "kind": "http", "url": format!("{url}/levels"), "prices_url": format!("{url}/prices"),
        "orders_url": format!("{url}/orders"), "publishes": ["stock", "price", "order-status"],
        "price_list": { "list": DEFAULT_LIST, "currency": "EUR" },
        "limits": { "requests": { "bucket": { "burst": rate, "refill": rate, "per_ms": 1_000 } } },
        "operations": { "set-stock": operation, "set-prices": operation, "tell-orders": operation },
    }))
    .map_err(unexpected)?;
    config.validate().map_err(unexpected)?;
    Ok(config)
}

/// As the service tells a channel.
fn tell(
    config: &ChannelConfig,
    name: &'static str,
    emulator: Emulator<Channel>,
    ingress: &Ingress<Distributor>,
    stop: watch::Receiver<bool>,
) -> Result<(Running, impl Future<Output = ()> + 'static), MeasureError> {
    let list = ListId::new(DEFAULT_LIST).map_err(unexpected)?;
    let prices = Some((list, Currency::new("EUR").map_err(unexpected)?));
    let reference = Arc::clone(ingress.reference());
    let contents = ReadModel::new(reference, name, Vec::new(), prices).with_orders(ingress.clone());
    let kinds = config.kinds().into_iter();
    let kinds = kinds.map(|kind| (kind, config.consumer(kind))).collect();
    let (handle, control) = channel_handle(name);
    let telling = Telling::new(
        ingress.clone(),
        Home::of(ingress, name.as_bytes()),
        handle.clone(),
        contents.clone(),
        Webhook::new(config).map_err(unexpected)?,
        config.plan().map_err(unexpected)?,
        kinds,
    )
    .map_err(unexpected)?;
    let driving = telling.run(control, stop);
    let running = Running {
        name,
        emulator,
        contents,
        _handle: handle,
    };
    Ok((running, driving))
}

struct Stage<'o> {
    options: &'o Options,
    ingress: Ingress<Distributor>,
    channels: Vec<Running>,
}

impl Stage<'_> {
    async fn play(&self) -> Result<Outcomes, MeasureError> {
        let options = self.options;
        let traffic = Arc::new(Traffic::new(options.seed, options.skus)?);
        traffic.open(&self.ingress).await?;
        for channel in &self.channels {
            self.converged(channel.name).await?;
        }
        let limit = u64::from(options.rate.get()) * u64::from(options.batch.get());
        let (began, started) = (SystemClock.now(), Instant::now());
        let before: Vec<Drawn> = self.channels.iter().map(Drawn::of).collect();
        let (ingress, rate) = (self.ingress.clone(), limit * options.times);
        let (seconds, orders) = (Duration::from_secs(options.seconds), options.orders);
        let burst = tokio::task::spawn_blocking(move || traffic.burst(&ingress, rate, orders, seconds));
        let offered = burst.await.map_err(unexpected)??;
        let took = started.elapsed();
        let after: Vec<Drawn> = self.channels.iter().map(Drawn::of).collect();
        let backlogs: Vec<u64> = self.channels.iter().map(|one| self.backlog(one.name)).collect();
        let ended = Instant::now();
        let mut converged = Vec::new();
        for channel in &self.channels {
            converged.push(
                self.converged(channel.name)
                    .await?
                    .saturating_duration_since(ended),
            );
        }
        let offered_per_second = per_second(offered, took);
        let changes = self.changes()?;
        let mut outcomes = Outcomes {
            offered_per_second,
            times_the_limit: offered_per_second / limit.max(1),
            channels: BTreeMap::new(),
        };
        for (place, channel) in self.channels.iter().enumerate() {
            let (stats, met) = (channel.emulator.state().stats(), channel.emulator.met());
            let taken = channel.emulator.state().taken();
            let own = changes
                .iter()
                .filter(|(of, _)| of.is_none_or(|of| of == channel.name));
            let own = own.map(|(_, change)| change.clone()).collect();
            let kinds = ages(own, &taken, began)?;
            let outcome = ChannelOutcome {
                limit_used_permille: after[place].permille_since(&before[place], options.rate),
                backlog: backlogs[place],
                avoidable_429s: met.throttled,
                stale_writes: stats.stale_writes,
                converged_ms: u64::try_from(converged[place].as_millis()).unwrap_or(u64::MAX),
                differences: differences(channel),
                kinds: kinds
                    .iter()
                    .map(|(kind, ages)| (name_of(*kind), ages.into()))
                    .collect(),
            };
            outcomes.channels.insert(channel.name, outcome);
        }
        Ok(outcomes)
    }

    /// Entries that a channel has not been told of.
    fn backlog(&self, name: &str) -> u64 {
        let own = format!("channel/{name}");
        let consumers = self.ingress.metrics().consumers;
        let own = consumers.iter().filter(|lag| lag.consumer.starts_with(&own));
        own.map(|lag| lag.entries).sum()
    }

    /// Waits until nothing is decided any more and a channel has been told everything; since when that is so.
    async fn converged(&self, name: &str) -> Result<Instant, MeasureError> {
        let deadline = Instant::now() + CONVERGED_WITHIN;
        let own = format!("channel/{name}");
        let mut rests: Option<(Instant, u64)> = None;
        loop {
            let now = Instant::now();
            let metrics = self.ingress.metrics();
            let decided: u64 = metrics.shards.iter().map(|shard| shard.decided).sum();
            let mut awaited = metrics
                .consumers
                .iter()
                .filter(|lag| lag.consumer.starts_with(&own) || lag.consumer == CONSUMER);
            rests = match rests {
                _ if awaited.any(|lag| lag.entries > 0) => None,
                Some((since, before)) if before == decided && now - since >= AT_REST => return Ok(since),
                Some(known) if known.1 == decided => Some(known),
                Some(_) | None => Some((now, decided)),
            };
            if now > deadline {
                let consumers = metrics.consumers;
                return Err(unexpected(format!(
                    "{name} was not told everything in time: {consumers:?}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All changes in the journal, those of orders with their channel.
    fn changes(&self) -> Result<Vec<(Option<&'static str>, Change)>, MeasureError> {
        let kinds = FeedFilter::Kinds(&[SkuWarehouse::KIND, ListPrice::KIND]);
        let mut changes = Vec::new();
        for (consumer, filter) in [(CHANGES, kinds), (STATUSES, FeedFilter::Port(EVENTS))] {
            let mut feed = self.ingress.feed(consumer, filter).map_err(unexpected)?;
            loop {
                let entries = feed.ready(65_536);
                if entries.is_empty() {
                    break;
                }
                for entry in entries {
                    changes.extend(of_entry(&entry)?);
                }
            }
        }
        Ok(changes)
    }
}

/// What an entry changes, each with the channel that alone is told it.
fn of_entry(entry: &FeedEntry) -> Result<Vec<(Option<&'static str>, Change)>, MeasureError> {
    let unreadable = || unexpected("an entry of the journal cannot be read");
    let change = |kind, name: &str, version, at: Timestamp| Change {
        kind,
        name: name.to_owned(),
        version,
        at,
    };
    if entry.kind == SkuWarehouse::KIND && entry.outbound.is_empty() {
        let id = StockId::decode(&entry.entity).ok_or_else(unreadable)?;
        let of = change(Kind::Stock, id.sku.as_str(), entry.sequence.0, entry.at);
        return Ok(vec![(None, of)]);
    }
    if entry.kind == ListPrice::KIND && entry.outbound.is_empty() {
        let sku = Sku::decode(&entry.entity).ok_or_else(unreadable)?;
        // A price's version counts the beginnings and ends of rows below the entry.
        let of = change(
            Kind::Price,
            sku.as_str(),
            entry.sequence.0.saturating_mul(256),
            entry.at,
        );
        return Ok(vec![(None, of)]);
    }
    if entry.kind != Order::KIND {
        return Ok(Vec::new());
    }
    let order = OrderKey::decode(&entry.entity).ok_or_else(unreadable)?;
    let Some(channel) = CHANNELS.into_iter().find(|name| *name == order.channel()) else {
        return Ok(Vec::new());
    };
    let statuses = entry.outbound.iter().map(|effect| {
        let status: OrderStatus = rmp_serde::from_slice(&effect.body).map_err(unexpected)?;
        let of = change(Kind::Order, order.number(), status.sequence.into(), entry.at);
        Ok((Some(channel), of))
    });
    statuses.collect()
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Stock => "stock",
        Kind::Price => "price",
        Kind::Order => "status",
    }
}

/// What was drawn of a channel's limit by a moment.
struct Drawn {
    let_through: u64,
    /// What the bucket held then, as the time in which that comes back.
    credit: Duration,
    at: Instant,
}

impl Drawn {
    fn of(channel: &Running) -> Self {
        let met = channel.emulator.met();
        Self {
            let_through: met.requests - met.throttled,
            credit: channel.emulator.state().credit(),
            at: Instant::now(),
        }
    }

    /// How much was drawn of what could be since a moment before, in thousandths.
    fn permille_since(&self, before: &Self, rate: NonZeroU32) -> u64 {
        let could = before.credit + self.at.saturating_duration_since(before.at);
        let drawn =
            u128::from(self.let_through - before.let_through) * 1_000_000_000 / u128::from(rate.get());
        u64::try_from(drawn * 1_000 / could.as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

/// SKUs of which a channel shows something else than the books.
fn differences(channel: &Running) -> u64 {
    use lockstep_actors::channels::{Content, Source};
    let (levels, prices) = (
        channel.emulator.state().levels(),
        channel.emulator.state().prices(),
    );
    let mut differences = 0;
    for kind in [Kind::Stock, Kind::Price] {
        for (key, _) in lockstep_adapters::channels::Contents::keys(&channel.contents, kind) {
            let is_shown = match channel.contents.newest(kind, &key).map(|newest| newest.content) {
                None => true,
                Some(Content::Stock(stock)) => {
                    let held = levels.get(&*key.0).map(|level| level.available);
                    held == Some(stock.available.units())
                }
                Some(Content::Price(price)) => {
                    let held = prices.get(&*key.0).map(|price| price.amount.clone());
                    held == Some(price.amount.to_string())
                }
                Some(Content::Order(..)) => false,
            };
            differences += u64::from(!is_shown);
        }
    }
    differences
}

fn per_second(count: u64, took: Duration) -> u64 {
    let rate = u128::from(count) * 1_000 / took.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
