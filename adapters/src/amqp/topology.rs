//! The exchanges and queues, declared at each start and after each reconnect.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, ExchangeKind};
use lockstep_runtime::placement::{PartitionCount, PartitionId};

/// How often a delivery may come back because a connection was lost before the broker dead-letters it. High: it guards
/// against a message that kills the process, not against a bad day.
const DELIVERY_LIMIT: i32 = 1_000;

/// The names that follow from the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Topic exchange that senders publish to, whatever the routing key.
    pub ingress_exchange: String,
    /// Quorum queue of what came in.
    pub ingress_queue: String,
    /// Topic exchange and quorum queue of what could not be taken, with the reason in its headers.
    pub dead_letter: String,
    /// Topic exchange of status events: `order.status.<channel>`.
    pub events_exchange: String,
    /// Direct exchange of senders that compute the partition; the routing key is its number in decimal. A number that has no queue
    /// goes to the ingress exchange.
    pub partitions_exchange: String,
    pub(super) partition_queue: String,
}

impl Names {
    /// The names under `prefix`.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        let name = |part: &str| format!("{prefix}.{part}");
        Self {
            ingress_exchange: name("ingress"),
            ingress_queue: name("ingress"),
            dead_letter: name("dead-letter"),
            events_exchange: name("events"),
            partitions_exchange: name("partitions"),
            partition_queue: name("partition"),
        }
    }

    /// Quorum queue of what came in for one partition, with one consumer at a time.
    #[must_use]
    pub fn partition_queue(&self, partition: PartitionId) -> String {
        format!("{}.{}", self.partition_queue, partition.0)
    }

    /// Declares everything.
    ///
    /// # Errors
    /// If the broker refuses, as when a queue of this name exists with other arguments.
    pub async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        for exchange in [&self.ingress_exchange, &self.dead_letter, &self.events_exchange] {
            topic_exchange(channel, exchange).await?;
        }
        quorum_queue(channel, &self.dead_letter, FieldTable::default()).await?;
        bind(channel, &self.dead_letter, &self.dead_letter).await?;
        quorum_queue(channel, &self.ingress_queue, self.incoming()).await?;
        bind(channel, &self.ingress_queue, &self.ingress_exchange).await
    }

    /// Declares the exchange and a queue for each partition. [`Names::declare`] comes before.
    ///
    /// # Errors
    /// If the broker refuses, as when these queues are there for another number of partitions: a queue's dead letters carry both
    /// numbers as their routing key, which the broker compares.
    pub async fn declare_partitions(
        &self,
        channel: &Channel,
        partitions: PartitionCount,
    ) -> lapin::Result<()> {
        let exchange = self.partitions_exchange.as_str();
        let mut elsewhere = FieldTable::default();
        elsewhere.insert("alternate-exchange".into(), text(&self.ingress_exchange));
        declare_exchange(channel, exchange, ExchangeKind::Direct, elsewhere).await?;
        for partition in partitions.all() {
            let queue = self.partition_queue(partition);
            let mut arguments = self.incoming();
            let both = format!("partition {} of {}", partition.0, partitions.get());
            arguments.insert("x-dead-letter-routing-key".into(), text(&both));
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            quorum_queue(channel, &queue, arguments).await?;
            bind_to(channel, &queue, exchange, &partition.0.to_string()).await?;
        }
        Ok(())
    }

    /// The arguments of a queue of what comes in.
    fn incoming(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-dead-letter-exchange".into(), text(&self.dead_letter));
        // What the broker itself dead-letters must arrive as well.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        arguments
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// Declares a durable topic exchange.
pub(super) async fn topic_exchange(channel: &Channel, name: &str) -> lapin::Result<()> {
    declare_exchange(channel, name, ExchangeKind::Topic, FieldTable::default()).await
}

async fn declare_exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, arguments)
        .await
}

async fn quorum_queue(channel: &Channel, name: &str, mut arguments: FieldTable) -> lapin::Result<()> {
    arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, arguments)
        .await
        .map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) -> lapin::Result<()> {
    bind_to(channel, queue, exchange, "#").await
}

/// Declares a durable queue of a consumer's own, with what is published to an exchange under a topic.
pub(crate) async fn bound_queue(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    topic: &str,
) -> lapin::Result<()> {
    topic_exchange(channel, exchange).await?;
    quorum_queue(channel, queue, FieldTable::default()).await?;
    bind_to(channel, queue, exchange, topic).await
}

async fn bind_to(channel: &Channel, queue: &str, exchange: &str, routing_key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            routing_key.into(),
            options,
            FieldTable::default(),
        )
        .await
}
