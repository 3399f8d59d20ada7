//! How quickly a filled queue is emptied: by a bare consumer that only acknowledges, and by the service.
//!
//! Both read the same bodies from quorum queues declared alike, so that the ratio of the two says what the service costs.

use super::broker::{Address, Sender, verdict};
use super::report::{Cost, Meter, cost_line, millis, per_second};
use super::workload::{Format, Kind, Workload};
use super::{DriveError, fresh_run, open_bar};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeleteOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lockstep_adapters::amqp::Names;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::ffi::OsString;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

const FILL_IN_FLIGHT: usize = 2048;
/// The last messages ask for an answer: when all are in, nothing is under way.
const ASKED: u64 = 512;
const STARTED_WITHIN: Duration = Duration::from_secs(60);
const DRAINED_WITHIN: Duration = Duration::from_secs(600);

/// A filled queue.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    address: Address,
    /// How many messages the queue is filled with.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    messages: u64,
    /// The consumer's prefetch; the service's should be the same.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    prefetch: u16,
    /// How bodies are written.
    #[arg(long, value_enum, default_value_t = Format::Msgpack)]
    format: Format,
    /// How many SKUs.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    skus: u32,
    /// How many warehouses.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    warehouses: u32,
    /// What the bodies are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The bare consumer and the service.
#[derive(Debug, Args)]
pub(super) struct CompareOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// The service's command line, after `--`. It is started when its queue is full and stopped when that is empty.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// How a queue was emptied.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Drained {
    messages: u64,
    ms: u64,
    per_second: u64,
    cost: Cost,
}

/// One beside the other.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    baseline: Drained,
    service: Drained,
    /// Service over baseline, in thousandths.
    ratio_permille: u64,
}

impl Drained {
    pub(super) fn line(&self, who: &str) -> String {
        let Self {
            messages,
            ms,
            per_second,
            ..
        } = self;
        format!("{who:<24}{per_second:>10}/s ({messages} messages in {ms} ms)\n") + &cost_line("", self.cost)
    }
}

impl Comparison {
    pub(super) fn table(&self) -> String {
        let (whole, rest) = (self.ratio_permille / 1000, self.ratio_permille % 1000);
        let lines = self.baseline.line("bare consumer") + &self.service.line("service");
        format!("{lines}{:<24}{whole:>6}.{rest:03}\n", "ratio")
    }
}

/// Drains by a bare consumer, over a queue that is gone afterwards.
pub(super) async fn baseline(options: &Options) -> Result<Drained, DriveError> {
    let sender = Sender::connect(&options.address).await?;
    let names = Names::of(&format!("loadtest-{}", uuid::Uuid::new_v4().simple()));
    names.declare(&sender.channel).await?;
    let outcome = fill_and_consume(options, &sender, &names).await;
    let removed = remove(&sender, &names).await;
    let drained = outcome?;
    removed?;
    Ok(drained)
}

async fn fill_and_consume(options: &Options, sender: &Sender, names: &Names) -> Result<Drained, DriveError> {
    fill(options, sender, names, None).await?;
    let meter = Meter::harness()?;
    let start = Instant::now();
    tokio::time::timeout(DRAINED_WITHIN, consume(options, sender, names))
        .await
        .map_err(|_| DriveError::other("the bare consumer did not empty its queue in time"))??;
    finished(options, start.elapsed(), &meter)
}

fn finished(options: &Options, elapsed: Duration, meter: &Meter) -> Result<Drained, DriveError> {
    Ok(Drained {
        messages: options.messages,
        ms: millis(elapsed),
        per_second: per_second(options.messages, elapsed),
        cost: meter.cost(options.messages)?,
    })
}

async fn remove(sender: &Sender, names: &Names) -> Result<(), DriveError> {
    for queue in [&names.ingress_queue, &names.dead_letter] {
        let options = QueueDeleteOptions::default();
        sender
            .channel
            .queue_delete(queue.as_str().into(), options)
            .await?;
    }
    for exchange in [
        &names.ingress_exchange,
        &names.dead_letter,
        &names.events_exchange,
    ] {
        let options = ExchangeDeleteOptions::default();
        sender
            .channel
            .exchange_delete(exchange.as_str().into(), options)
            .await?;
    }
    Ok(())
}

/// Fills the ingress queue with receipts; all are confirmed.
async fn fill(
    options: &Options,
    sender: &Sender,
    names: &Names,
    reply_to: Option<&str>,
) -> Result<(), DriveError> {
    let workload = Workload {
        kind: Kind::Stock,
        format: options.format.into(),
        skus: options.skus,
        warehouses: options.warehouses,
        seed: options.seed,
        run: fresh_run(),
    };
    let bar = open_bar(options.messages, options.json);
    let mut confirms = FuturesUnordered::new();
    for number in 0..options.messages {
        while confirms.len() >= FILL_IN_FLIGHT {
            confirmed(confirms.next().await)?;
        }
        let asks = number + ASKED >= options.messages;
        let answer = reply_to.filter(|_| asks).map(|queue| (queue, number.to_string()));
        let item = workload.item(number);
        let to = (names.ingress_exchange.as_str(), item.schema);
        let confirm = sender.publish(to, &item, workload.format, answer).await?;
        confirms.push(verdict(confirm));
        bar.inc(1);
    }
    while let Some(outcome) = confirms.next().await {
        confirmed(Some(outcome))?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn confirmed(outcome: Option<&'static str>) -> Result<(), DriveError> {
    match outcome {
        None | Some("confirm: ack") => Ok(()),
        Some(other) => Err(DriveError::Other(format!("the queue cannot be filled: {other}"))),
    }
}

async fn consume(options: &Options, sender: &Sender, names: &Names) -> Result<(), DriveError> {
    let channel = sender.connection.create_channel().await?;
    let qos = BasicQosOptions::default();
    channel.basic_qos(options.prefetch, qos).await?;
    let queue = names.ingress_queue.as_str();
    let (consuming, table) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = channel
        .basic_consume(queue.into(), "".into(), consuming, table)
        .await?;
    let batch = u64::from(options.prefetch / 8).max(1);
    for taken in 1..=options.messages {
        let delivery = deliveries
            .next()
            .await
            .ok_or_else(|| DriveError::other("the broker cancelled the bare consumer"))??;
        if taken.is_multiple_of(batch) || taken == options.messages {
            let up_to_here = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, up_to_here).await?;
        }
    }
    // Answered after the acknowledgements before it were taken.
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    // Dropped consumers are cancelled behind one's back, which meets the closing of the channel.
    let tag = deliveries.tag();
    channel.basic_cancel(tag, BasicCancelOptions::default()).await?;
    channel.close(200, "done".into()).await?;
    Ok(())
}

/// Drains by a bare consumer, then by the service.
pub(super) async fn compare(compare: &CompareOptions) -> Result<Comparison, DriveError> {
    let baseline = baseline(&compare.options).await?;
    let service = by_service(compare).await?;
    Ok(Comparison {
        baseline,
        service,
        ratio_permille: service.per_second * 1000 / baseline.per_second.max(1),
    })
}

async fn by_service(compare: &CompareOptions) -> Result<Drained, DriveError> {
    let options = &compare.options;
    let sender = Sender::connect(&options.address).await?;
    let names = Names::of(&options.address.prefix);
    names.declare(&sender.channel).await?;
    let (waiting, consumers) = sender.look(&names.ingress_queue).await?;
    if waiting > 0 || consumers > 0 {
        return Err(DriveError::InUse {
            queue: names.ingress_queue,
            waiting,
            consumers,
        });
    }
    let reply_to = format!("lockstep-loadtest.replies.{}", uuid::Uuid::new_v4());
    let own = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let table = FieldTable::default();
    sender
        .channel
        .queue_declare(reply_to.as_str().into(), own, table)
        .await?;
    fill(options, &sender, &names, Some(&reply_to)).await?;
    let mut child = start(&compare.command)?;
    let outcome = watch(options, &sender, &names, &reply_to, &mut child).await;
    stop(&mut child).await?;
    outcome
}

fn start(command: &[OsString]) -> Result<Child, DriveError> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| DriveError::other("give the service's command after --"))?;
    Command::new(program)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| DriveError::Other(format!("{} cannot be started: {error}", program.display())))
}

/// The clock runs from the moment the service consumes until its last decision is answered.
async fn watch(
    options: &Options,
    sender: &Sender,
    names: &Names,
    reply_to: &str,
    child: &mut Child,
) -> Result<Drained, DriveError> {
    let deadline = Instant::now() + STARTED_WITHIN;
    while sender.look(&names.ingress_queue).await?.1 == 0 {
        alive(child)?;
        if Instant::now() > deadline {
            return Err(DriveError::other("the service does not consume from its queue"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let start = Instant::now();
    let pid = child
        .id()
        .ok_or_else(|| DriveError::other("the service has ended"))?;
    let meter = Meter::processes(&[pid])?;
    let wanted = u32::try_from(ASKED.min(options.messages)).unwrap_or(u32::MAX);
    while sender.look(&names.ingress_queue).await?.0 > 0 || sender.look(reply_to).await?.0 < wanted {
        alive(child)?;
        if start.elapsed() > DRAINED_WITHIN {
            return Err(DriveError::other("the service did not empty its queue in time"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    finished(options, start.elapsed(), &meter)
}

fn alive(child: &mut Child) -> Result<(), DriveError> {
    match child.try_wait().map_err(DriveError::other)? {
        Some(status) => Err(DriveError::Other(format!("the service ended with {status}"))),
        None => Ok(()),
    }
}

async fn stop(child: &mut Child) -> Result<(), DriveError> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        kill_process(pid, Signal::TERM).map_err(DriveError::other)?;
    }
    child.wait().await.map(drop).map_err(DriveError::other)
}
