//! RabbitMQ as a sender uses it: publisher confirms, and sending again what was not confirmed.

use super::poll::until;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind, Queue};
use lockstep_adapters::amqp::Names;
use lockstep_runtime::placement::PartitionId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
/// Where the broker listens.
pub const ADDRESS: &str = "127.0.0.1:5672";
/// How many partitions a service of the tests has.
pub const PARTITIONS: u16 = 16;
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);

/// A connection that is made anew when it is lost, and names that no other test has.
#[derive(Debug)]
pub struct Sender {
    pub prefix: String,
    pub names: Names,
    /// Whether the service has a queue for each of its sixteen partitions.
    straight: bool,
    channel: Option<(Connection, Channel)>,
}

impl Sender {
    pub fn new(test: &str) -> Self {
        let nanoseconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let prefix = format!("test-{test}-{}-{nanoseconds}", std::process::id());
        Self {
            names: Names::of(&prefix),
            prefix,
            straight: false,
            channel: None,
        }
    }

    /// A sender to a service with a queue for each partition.
    pub fn with_partitions(test: &str) -> Self {
        Self {
            straight: true,
            ..Self::new(test)
        }
    }

    /// Another sender to the same service.
    pub fn another(&self) -> Self {
        Self {
            prefix: self.prefix.clone(),
            names: self.names.clone(),
            straight: self.straight,
            channel: None,
        }
    }

    /// The configuration of a service that reads what this sends.
    pub fn tables(&self) -> String {
        self.tables_through(ADDRESS.parse().unwrap())
    }

    /// The same for one that reaches the broker by way of another address.
    pub fn tables_through(&self, address: SocketAddr) -> String {
        let mut url = URL.replace(ADDRESS, &address.to_string());
        if self.straight {
            // A paused node's queues are another one's once the broker takes it for gone.
            url.push_str("?heartbeat=2");
        }
        format!(
            "[amqp]\nurl = {url:?}\nprefix = {:?}\nprefetch = 64\npartition_queues = {}\n\n\
             [amqp.users]\nguest = {{ system = \"operator\", scopes = [\"admin\"] }}\n",
            self.prefix, self.straight
        )
    }

    async fn channel(&mut self) -> lapin::Result<&Channel> {
        let lost = self.channel.as_ref().is_none_or(|(connection, channel)| {
            !connection.status().connected() || !channel.status().connected()
        });
        if lost {
            self.channel = None;
            let connection = Connection::connect(URL, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            self.names.declare(&channel).await?;
            self.channel = Some((connection, channel));
        }
        Ok(&self.channel.as_ref().unwrap().1)
    }

    async fn try_publish(
        &mut self,
        partition: Option<u16>,
        content_type: &str,
        body: &[u8],
    ) -> lapin::Result<bool> {
        let (exchange, routing_key) = match partition {
            None => (self.names.ingress_exchange.as_str().into(), "test".into()),
            Some(partition) => (
                self.names.partitions_exchange.as_str().into(),
                partition.to_string().into(),
            ),
        };
        let properties = BasicProperties::default()
            .with_content_type(content_type.into())
            .with_user_id("guest".into())
            .with_delivery_mode(2);
        let channel = self.channel().await?;
        let publishing = channel.basic_publish(
            exchange,
            routing_key,
            BasicPublishOptions::default(),
            body,
            properties,
        );
        Ok(matches!(publishing.await?.await?, Confirmation::Ack(_)))
    }

    /// Publishes until the broker has confirmed it: the message may then be there more than once.
    pub async fn publish(&mut self, content_type: &str, body: &[u8]) {
        self.publish_as(None, content_type, body).await;
    }

    /// The same straight to a partition.
    pub async fn publish_to_partition(&mut self, partition: u16, content_type: &str, body: &[u8]) {
        self.publish_as(Some(partition), content_type, body).await;
    }

    async fn publish_as(&mut self, partition: Option<u16>, content_type: &str, body: &[u8]) {
        until("the broker's confirmation", CONFIRMED_WITHIN, async || {
            let publishing = self.try_publish(partition, content_type, body);
            match tokio::time::timeout(Duration::from_secs(5), publishing).await {
                Ok(Ok(true)) => Some(()),
                Ok(Ok(false)) => None,
                Ok(Err(_)) | Err(_) => {
                    self.channel = None;
                    None
                }
            }
        })
        .await;
    }

    /// The next dead letter and its headers, taken from the queue.
    pub async fn dead_letter(&mut self) -> (Vec<u8>, BTreeMap<String, String>) {
        let queue = ShortString::from(self.names.dead_letter.as_str());
        until("a dead letter", CONFIRMED_WITHIN, async || {
            let channel = self.channel().await.unwrap();
            let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await;
            let message = got.unwrap()?;
            message.delivery.ack(BasicAckOptions::default()).await.unwrap();
            let headers = message.delivery.properties.headers().clone().unwrap_or_default();
            let text = |(name, value): (&ShortString, &AMQPValue)| {
                let text = value.as_long_string()?;
                Some((name.to_string(), text.to_string()))
            };
            let headers = headers.inner().iter().filter_map(text).collect();
            Some((message.delivery.data.clone(), headers))
        })
        .await
    }

    /// How many dead letters wait.
    pub async fn dead_letters(&mut self) -> u32 {
        let queue = self.names.dead_letter.clone();
        self.waiting(&queue).await.unwrap()
    }

    /// Whether somebody consumes from a queue, which need not be there yet.
    pub async fn is_consumed(&mut self, queue: &str) -> bool {
        // Asking for one that is not there costs the channel, which is made anew.
        self.declared(queue)
            .await
            .is_some_and(|queue| queue.consumer_count() > 0)
    }

    /// Whether every message has been delivered to the service.
    pub async fn is_drained(&mut self) -> bool {
        for queue in self.incoming() {
            if self.waiting(&queue).await != Some(0) {
                return false;
            }
        }
        true
    }

    /// The queues that the service reads.
    fn incoming(&self) -> Vec<String> {
        let partitions = (0..PARTITIONS).filter(|_| self.straight).map(PartitionId);
        let queues = partitions.map(|partition| self.names.partition_queue(partition));
        queues.chain([self.names.ingress_queue.clone()]).collect()
    }

    async fn waiting(&mut self, queue: &str) -> Option<u32> {
        Some(self.declared(queue).await?.message_count())
    }

    async fn declared(&mut self, queue: &str) -> Option<Queue> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await.ok()?;
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        declared.await.ok()
    }

    /// A queue that takes everything from a topic exchange, which is declared if it is not there.
    pub async fn bind_queue_to_topics(&mut self, exchange: &str) -> String {
        let queue = format!("{exchange}-all");
        let (queue_name, exchange) = (ShortString::from(queue.as_str()), ShortString::from(exchange));
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default;
        let channel = self.channel().await.unwrap();
        let declared = channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, durable, none());
        declared.await.unwrap();
        let declared = channel.queue_declare(queue_name.clone(), QueueDeclareOptions::default(), none());
        declared.await.unwrap();
        let bound = channel.queue_bind(
            queue_name,
            exchange,
            "#".into(),
            QueueBindOptions::default(),
            none(),
        );
        bound.await.unwrap();
        queue
    }

    /// The next message of a queue, with its routing key, taken from it.
    pub async fn next(&mut self, queue: &str) -> Option<(String, Vec<u8>)> {
        let channel = self.channel().await.unwrap();
        let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await;
        let message = got.unwrap()?;
        message.delivery.ack(BasicAckOptions::default()).await.unwrap();
        Some((
            message.delivery.routing_key.to_string(),
            message.delivery.data.clone(),
        ))
    }

    /// Deletes a queue.
    pub async fn delete_queue(&mut self, queue: &str) {
        let channel = self.channel().await.unwrap();
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }

    /// Deletes a queue and an exchange.
    pub async fn delete(&mut self, queue: &str, exchange: &str) {
        self.delete_queue(queue).await;
        let channel = self.channel().await.unwrap();
        let deleted = channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default());
        deleted.await.unwrap();
    }

    /// Deletes everything that was declared under the prefix.
    pub async fn clean_up(mut self) {
        let names = self.names.clone();
        let queues = self.incoming();
        let channel = self.channel().await.unwrap();
        for queue in queues.iter().chain([&names.dead_letter]) {
            let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
            deleted.await.unwrap();
        }
        for exchange in [
            &names.ingress_exchange,
            &names.dead_letter,
            &names.events_exchange,
            // One that is not there is deleted all the same.
            &names.partitions_exchange,
        ] {
            let deleted = channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
            deleted.await.unwrap();
        }
    }
}
