//! Over AMQP: confirms of all messages, and answers to a sample of them, which come after the decision is durable.

use super::broker::{Address, Sender, verdict};
use super::pace::Pace;
use super::report::{Latency, Meter, Report, millis, per_second};
use super::workload::{Item, Workload};
use super::{DriveError, Load, open_bar};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Consumer, PublisherConfirm};
use lockstep_adapters::amqp::Names;
use lockstep_runtime::placement::PartitionCount;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// How long answers and an empty queue are waited for after the last message.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// How many messages that are due are sent before confirms and answers are looked at.
const AT_ONCE: u32 = 64;

/// The AMQP door.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) load: Load,
    #[command(flatten)]
    address: Address,
    /// Ask for an answer to every n-th message.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    sample: u64,
    /// Compute the partition, of as many as the service's store has, and send straight to it: needs its amqp.partition_queues.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    partitions: Option<u16>,
    /// How many messages may wait for their confirm; waiting for a place counts as latency.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
}

type Confirm = Pin<Box<dyn Future<Output = (u64, &'static str)>>>;

/// A run on its way.
struct Drive<'a> {
    options: &'a Options,
    workload: Workload,
    names: Names,
    partitions: Option<PartitionCount>,
    sender: Sender,
    reply_to: String,
    replies: Consumer,
    pace: Pace,
    sent: u64,
    asked: u64,
    answered: u64,
    confirms: FuturesUnordered<Confirm>,
    confirm_latency: Latency,
    answer_latency: Latency,
    outcomes: BTreeMap<String, u64>,
    last_confirm: Instant,
    meters: (Option<Meter>, Meter),
}

pub(super) async fn run(options: &Options) -> Result<Report, DriveError> {
    let names = Names::of(&options.address.prefix);
    let mut drive = Drive::open(options, &names).await?;
    drive.prepare(&names).await?;
    drive.pace = options.load.pace();
    drive.send_all().await?;
    let drained = drive.drain(&names).await?;
    drive.report(drained)
}

impl<'a> Drive<'a> {
    async fn open(options: &'a Options, names: &Names) -> Result<Self, DriveError> {
        let sender = Sender::connect(&options.address).await?;
        names.declare(&sender.channel).await?;
        let reply_to = format!("lockstep-loadtest.replies.{}", uuid::Uuid::new_v4());
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let channel = sender.connection.create_channel().await?;
        let table = FieldTable::default;
        channel
            .queue_declare(reply_to.as_str().into(), own, table())
            .await?;
        let unacknowledged = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let replies = channel
            .basic_consume(reply_to.as_str().into(), "".into(), unacknowledged, table())
            .await?;
        let pace = options.load.pace();
        Ok(Self {
            workload: options.load.workload(),
            names: names.clone(),
            partitions: options
                .partitions
                .map(PartitionCount::new)
                .transpose()
                .map_err(DriveError::other)?,
            sender,
            reply_to,
            replies,
            pace,
            sent: 0,
            asked: 0,
            answered: 0,
            confirms: FuturesUnordered::new(),
            confirm_latency: Latency::new()?,
            answer_latency: Latency::new()?,
            outcomes: BTreeMap::new(),
            last_confirm: pace.start,
            meters: (options.load.service_meter()?, Meter::harness()?),
            options,
        })
    }

    /// Sends prices and stock and waits until the service has taken them.
    async fn prepare(&mut self, names: &Names) -> Result<(), DriveError> {
        for item in self.workload.preparation() {
            let confirm = self.publish(&item, None).await?;
            let outcome = verdict(confirm).await;
            if outcome != "confirm: ack" {
                let outcome = outcome.to_owned();
                return Err(DriveError::Preparation { id: item.id, outcome });
            }
        }
        self.until_empty(names, Instant::now() + DRAINED_WITHIN).await
    }

    async fn publish(
        &self,
        item: &Item,
        answer: Option<(&str, String)>,
    ) -> Result<PublisherConfirm, DriveError> {
        let partition = self
            .partitions
            .map(|count| count.partition_of(item.key().as_bytes()).0.to_string());
        let to = match &partition {
            Some(partition) => (self.names.partitions_exchange.as_str(), partition.as_str()),
            None => (self.names.ingress_exchange.as_str(), item.schema),
        };
        self.sender.publish(to, item, self.workload.format, answer).await
    }

    /// How many messages wait in all queues of what comes in.
    async fn waiting(&self, names: &Names) -> Result<u32, DriveError> {
        let (mut waiting, _) = self.sender.look(&names.ingress_queue).await?;
        for partition in self.partitions.iter().flat_map(|count| count.all()) {
            waiting += self.sender.look(&names.partition_queue(partition)).await?.0;
        }
        Ok(waiting)
    }

    async fn until_empty(&self, names: &Names, deadline: Instant) -> Result<(), DriveError> {
        loop {
            let waiting = self.waiting(names).await?;
            if waiting == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(DriveError::NotDrained { waiting });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn send_all(&mut self) -> Result<(), DriveError> {
        let bar = open_bar(self.pace.total, self.options.load.json);
        let bound = usize::try_from(self.options.in_flight).unwrap_or(usize::MAX);
        while self.sent < self.pace.total || !self.confirms.is_empty() {
            let has_place = self.sent < self.pace.total && self.confirms.len() < bound;
            tokio::select! {
                () = tokio::time::sleep_until(self.pace.intended(self.sent)), if has_place => {
                    bar.inc(self.send_due(bound).await?);
                }
                Some((number, outcome)) = self.confirms.next() => self.take_confirm(number, outcome),
                Some(answer) = self.replies.next() => self.take_answer(&answer?),
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Sends what is due, as far as there is place; says how many.
    async fn send_due(&mut self, bound: usize) -> Result<u64, DriveError> {
        let mut count = 0;
        for _ in 0..AT_ONCE {
            let due = self.sent < self.pace.total && self.pace.intended(self.sent) <= Instant::now();
            if !due || self.confirms.len() >= bound {
                break;
            }
            self.send_next().await?;
            count += 1;
        }
        Ok(count)
    }

    async fn send_next(&mut self) -> Result<(), DriveError> {
        let number = self.sent;
        if number == self.pace.warm_up {
            self.meters = (self.options.load.service_meter()?, Meter::harness()?);
        }
        let item = self.workload.item(number);
        // The last one is always answered: then the drain is known to be over.
        let asks = number.is_multiple_of(self.options.sample) || number + 1 == self.pace.total;
        let answer = asks.then(|| (self.reply_to.as_str(), number.to_string()));
        let confirm = self.publish(&item, answer).await?;
        self.asked += u64::from(asks);
        self.sent += 1;
        self.confirms
            .push(Box::pin(async move { (number, verdict(confirm).await) }));
        Ok(())
    }

    fn take_confirm(&mut self, number: u64, outcome: &'static str) {
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        if self.pace.is_measured(number) {
            self.last_confirm = Instant::now();
            let latency = self.last_confirm.duration_since(self.pace.intended(number));
            self.confirm_latency.record(latency);
        }
    }

    fn take_answer(&mut self, answer: &Delivery) {
        let number = answer.properties.correlation_id().as_ref();
        let Some(number) = number.and_then(|number| number.as_str().parse::<u64>().ok()) else {
            return;
        };
        self.answered += 1;
        let body: serde_json::Value = serde_json::from_slice(&answer.data).unwrap_or_default();
        let outcome = body["body"]["outcome"].as_str().unwrap_or("unreadable");
        *self.outcomes.entry(format!("answer: {outcome}")).or_default() += 1;
        if self.pace.is_measured(number) {
            self.answer_latency.record(self.pace.intended(number).elapsed());
        }
    }

    /// Waits for the answers that are missing and for an empty queue.
    async fn drain(&mut self, names: &Names) -> Result<Duration, DriveError> {
        let start = Instant::now();
        let deadline = start + DRAINED_WITHIN;
        while self.answered < self.asked {
            match tokio::time::timeout_at(deadline, self.replies.next()).await {
                Ok(Some(answer)) => self.take_answer(&answer?),
                // Letters without an answer, as when they are dead: reported as missing, below.
                Ok(None) | Err(_) => break,
            }
        }
        self.until_empty(names, deadline.max(Instant::now() + Duration::from_secs(1)))
            .await?;
        Ok(start.elapsed())
    }

    fn report(mut self, drained: Duration) -> Result<Report, DriveError> {
        if self.answered < self.asked {
            let missing = self.asked - self.answered;
            self.outcomes.insert("answer: missing".to_owned(), missing);
        }
        let measured = self.confirm_latency.count();
        let elapsed = self
            .last_confirm
            .duration_since(self.pace.intended(self.pace.warm_up));
        Ok(Report {
            what: "AMQP",
            offered_per_second: self.pace.rate,
            measured_messages: measured,
            measured_ms: millis(elapsed),
            completed_per_second: per_second(measured, elapsed + drained),
            drain_ms: Some(millis(drained)),
            latency_us: BTreeMap::from([
                ("confirm by broker", self.confirm_latency.summary()),
                ("durable answer", self.answer_latency.summary()),
            ]),
            outcomes: self.outcomes,
            service: self.meters.0.map(|meter| meter.cost(measured)).transpose()?,
            harness: self.meters.1.cost(measured)?,
        })
    }
}
