//! A node on a disk in memory behind the AMQP adapter, a wire to the broker that can be cut, and a sender of its own.

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::governance::audit::{AuditCommand, AuditReply, AuditState};
use lockstep_actors::ids::{Sku, SystemName, WarehouseCode};
use lockstep_actors::orders::effects;
use lockstep_actors::reference::Reference;
use lockstep_adapters::amqp::{self, AmqpConfig, AmqpCounters, Broker, Names};
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::journal::Blob;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{Envelope, MessageId, Origin, Outcome, Provenance, Sequence};
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::time::SystemClock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const BROKER: &str = "127.0.0.1:5672";
/// How many partitions there are where each has a queue.
pub(crate) const PARTITIONS: u16 = 8;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(story: impl Future<Output = ()>) {
    actix::System::new().block_on(story);
}

pub(crate) struct World {
    pub(crate) names: Names,
    pub(crate) counters: Arc<AmqpCounters>,
    pub(crate) disk: MemoryDisk,
    pub(crate) node: Node<Distributor>,
    /// Whether each partition has a queue of its own.
    straight: bool,
    reference: Arc<Reference>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    cuts: watch::Sender<u32>,
    wire: JoinHandle<()>,
    connection: Connection,
    channel: Channel,
    queues: std::sync::Mutex<Vec<String>>,
    sent: AtomicU64,
}

/// A message as it lay in a queue.
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) correlation: String,
    pub(crate) routing_key: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: FieldTable,
}

impl Letter {
    pub(crate) fn header(&self, name: &str) -> String {
        match self.headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

pub(crate) fn receipt(id: &str, sku: &str, quantity: i64) -> Value {
    json!({ "schema": "lockstep.stock.event", "version": 1, "id": id, "body": { "sku": sku, "warehouse": "W1",
        "change": { "receipt": { "quantity": quantity, "document": "D-1" } } } })
}

/// Passes bytes to the broker and back until `cuts` changes.
async fn lay_wire(cuts: watch::Sender<u32>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let wire = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut cut = cuts.subscribe();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(BROKER).await.unwrap();
                tokio::select! {
                    ended = tokio::io::copy_bidirectional(&mut near, &mut far) => drop(ended),
                    _ = cut.changed() => {}
                }
            });
        }
    });
    (address, wire)
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_for("operator").await
    }

    /// As [`World::start`], with another system behind the broker's user.
    pub(crate) async fn start_for(system: &str) -> Self {
        Self::start_with(system, "'stock:write', 'orders:write'").await
    }

    /// As [`World::start_for`], with other scopes.
    pub(crate) async fn start_with(system: &str, scopes: &str) -> Self {
        Self::start_on(PartitionCount::DEFAULT, false, system, scopes).await
    }

    /// As [`World::start`], with a queue for each of eight partitions.
    pub(crate) async fn start_straight() -> Self {
        let partitions = PartitionCount::new(PARTITIONS).unwrap();
        Self::start_on(partitions, true, "operator", "'stock:write', 'orders:write'").await
    }

    async fn start_on(partitions: PartitionCount, straight: bool, system: &str, scopes: &str) -> Self {
        let cuts = watch::Sender::new(0);
        let (address, wire) = lay_wire(cuts.clone()).await;
        let prefix = format!("test.{}", uuid::Uuid::new_v4());
        let config: AmqpConfig = toml::from_str(&format!(
            "url = 'amqp://guest:guest@{address}/%2f'\nprefix = '{prefix}'\nprefetch = 500\n\
             partition_queues = {straight}\n\
             users.guest = {{ system = '{system}', scopes = [{scopes}] }}"
        ))
        .unwrap();
        config.validate().unwrap();
        let disk = MemoryDisk::new(partitions);
        let node = NodeConfig {
            shards: 2,
            consumers: vec![amqp::CONSUMER.to_owned()],
            ..NodeConfig::default()
        };
        let reference = Arc::new(Reference::default());
        let opener = Arc::new(disk.clone());
        let node = Node::<Distributor>::start(node, opener, Arc::new(SystemClock), Arc::clone(&reference));
        let node = node.await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::<AmqpCounters>::default();
        let broker = Broker::new(&config).unwrap();
        let names = config.names();
        let feed = node
            .ingress()
            .feed(amqp::CONSUMER, FeedFilter::Port(effects::EVENTS));
        let events = amqp::publish_events(
            feed.unwrap(),
            broker.clone(),
            Arc::clone(&counters),
            stopped.clone(),
        );
        let ingress = amqp::consume(config, broker, node.ingress(), Arc::clone(&counters), stopped);
        let tasks = vec![actix::spawn(events), actix::spawn(ingress)];
        let url = format!("amqp://guest:guest@{BROKER}/%2f");
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        names.declare(&channel).await.unwrap();
        let world = Self {
            names,
            counters,
            disk,
            node,
            straight,
            reference,
            stop,
            tasks,
            cuts,
            wire,
            connection,
            channel,
            queues: std::sync::Mutex::default(),
            sent: AtomicU64::new(0),
        };
        world
            .until("it has connected", || world.counters.read().connected == 1)
            .await;
        world
    }

    /// The way to its exchanges and queues.
    pub(crate) fn broker(&self) -> Broker {
        let prefix = self.names.ingress_exchange.trim_end_matches(".ingress");
        let config = format!("url = 'amqp://guest:guest@{BROKER}/%2f'\nprefix = '{prefix}'");
        Broker::new(&toml::from_str(&config).unwrap()).unwrap()
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}: {:?}",
                self.counters.read()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until everything that was sent is acknowledged. What a cut brings back comes before what is sent later, so
    /// that once a last receipt is decided, nothing is left to come.
    pub(crate) async fn until_settled(&self) {
        drop(self.channel.wait_for_confirms().await.unwrap());
        let last = format!("LAST-{}", self.sent.load(Ordering::Relaxed));
        self.send(&receipt(&last, &last, 1)).await;
        self.until_on_hand(&BTreeMap::from([(last, 1)])).await;
        let sent = self.sent.load(Ordering::Relaxed);
        self.until("all is acknowledged", || {
            let metrics = self.counters.read();
            metrics.acknowledged >= sent && metrics.under_way == 0
        })
        .await;
    }

    /// Cuts every connection that the adapter has.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn as_user(&self) -> BasicProperties {
        BasicProperties::default().with_user_id("guest".into())
    }

    pub(crate) async fn send(&self, message: &Value) {
        let properties = self.as_user().with_content_type("application/json".into());
        self.send_raw(message.to_string().as_bytes(), properties).await;
    }

    pub(crate) async fn send_raw(&self, body: &[u8], properties: BasicProperties) {
        let exchange = self.names.ingress_exchange.as_str();
        self.publish(exchange, "test", body, properties).await;
    }

    /// Sends a message straight to what its sender takes for its partition.
    pub(crate) async fn send_to_partition(&self, partition: u16, message: &Value) {
        let exchange = self.names.partitions_exchange.as_str();
        let properties = self.as_user().with_content_type("application/json".into());
        let body = message.to_string();
        self.publish(exchange, &partition.to_string(), body.as_bytes(), properties)
            .await;
    }

    async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions::default();
        let properties = properties.with_delivery_mode(2);
        let sent = self
            .channel
            .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
            .await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        // Waited for in `until_settled`.
        drop(sent.unwrap());
    }

    /// Waits until everything has been counted once. What counts twice is seen after [`Self::until_settled`].
    pub(crate) async fn until_on_hand(&self, expected: &BTreeMap<String, i64>) {
        self.until("everything is on hand", || self.on_hand(expected) == *expected)
            .await;
    }

    /// What is on hand of the SKUs of `expected`.
    pub(crate) fn on_hand(&self, expected: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
        let warehouse = WarehouseCode::new("W1").unwrap();
        let level = |sku: &String| {
            let level = self.reference.stock_level(&Sku::new(sku).unwrap(), warehouse);
            (sku.clone(), level.map_or(0, |level| level.on_hand.units()))
        };
        expected.keys().map(level).collect()
    }

    /// What a system tried to write without owning it.
    pub(crate) async fn audit(&self, system: &str) -> AuditState {
        let message = (SystemName::new(system).unwrap(), AuditCommand::Show).into();
        let envelope = Envelope {
            id: MessageId(uuid::Uuid::now_v7().as_u128()),
            provenance: Provenance {
                source: "test".into(),
                correlation: "test".into(),
                causation: None,
            },
            message,
        };
        let outcome = self.node.ingress().ask(envelope).await.unwrap();
        let Outcome::Done {
            reply: Reply::Audit(AuditReply::Audit(audit)),
            ..
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        *audit
    }

    /// The ids of the messages that one partition has taken from outside, in the order in which they were decided.
    pub(crate) fn decided(&self, partition: PartitionId) -> Vec<String> {
        let reader = self.node.ingress().reader().unwrap();
        let mut decided = Vec::new();
        let read = reader.journal(partition, Sequence(0), &mut |bytes| {
            for entry in Blob::parse(bytes).unwrap().iter().map(Result::unwrap) {
                if matches!(entry.origin, Origin::External(_)) {
                    decided.push(entry.provenance().correlation.to_string());
                }
            }
            ControlFlow::Continue(())
        });
        read.unwrap();
        decided
    }

    /// How many messages of a queue nobody has taken.
    pub(crate) async fn waiting(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.connection.create_channel().await.unwrap();
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        declared.await.unwrap().message_count()
    }

    pub(crate) async fn delete_queue(&self, name: &str) {
        let options = QueueDeleteOptions::default();
        self.channel.queue_delete(name.into(), options).await.unwrap();
    }

    /// A queue of the test's own; one of length 0 refuses everything.
    pub(crate) async fn queue(&self, length: Option<i32>) -> String {
        let name = format!("{}.{}", self.names.ingress_queue, uuid::Uuid::new_v4());
        let mut arguments = FieldTable::default();
        if let Some(length) = length {
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(length));
            let overflow = LongString::from("reject-publish");
            arguments.insert("x-overflow".into(), AMQPValue::LongString(overflow));
        }
        let options = QueueDeclareOptions::default();
        self.channel
            .queue_declare(name.as_str().into(), options, arguments)
            .await
            .unwrap();
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// A queue of its own for the events whose routing key fits `binding`.
    pub(crate) async fn events_queue(&self, binding: &str) -> String {
        let name = self.queue(None).await;
        let (queue, exchange) = (name.as_str().into(), self.names.events_exchange.as_str().into());
        let options = QueueBindOptions::default();
        let bound = self
            .channel
            .queue_bind(queue, exchange, binding.into(), options, FieldTable::default());
        bound.await.unwrap();
        name
    }

    pub(crate) async fn dead_letters(&self, count: usize) -> Vec<Letter> {
        self.take(&self.names.dead_letter, count).await
    }

    /// Takes so many messages from a queue, waiting for them.
    pub(crate) async fn take(&self, queue: &str, count: usize) -> Vec<Letter> {
        let deadline = Instant::now() + PATIENCE;
        let mut letters = Vec::new();
        while letters.len() < count {
            while letters.len() < count
                && let Some(message) = self
                    .channel
                    .basic_get(queue.into(), BasicGetOptions::default())
                    .await
                    .unwrap()
            {
                message.ack(BasicAckOptions::default()).await.unwrap();
                let properties = &message.properties;
                let text =
                    |value: &Option<ShortString>| value.as_ref().map(ToString::to_string).unwrap_or_default();
                letters.push(Letter {
                    id: text(properties.message_id()),
                    correlation: text(properties.correlation_id()),
                    routing_key: message.routing_key.to_string(),
                    headers: properties.headers().clone().unwrap_or_default(),
                    body: message.data.clone(),
                });
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} in {queue}",
                letters.len()
            );
            if letters.len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        letters
    }

    /// Stops as the service does, and leaves nothing at the broker.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        self.node.shutdown().await;
        self.wire.abort();
        let partitions = (0..PARTITIONS).filter(|_| self.straight).map(PartitionId);
        let incoming = partitions.map(|partition| self.names.partition_queue(partition));
        for queue in incoming.chain([self.names.ingress_queue.clone()]) {
            let left = self
                .channel
                .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                .await;
            assert_eq!(
                left.unwrap(),
                0,
                "deliveries of {queue} that were never acknowledged"
            );
        }
        let mut queues = self.queues.into_inner().unwrap();
        queues.push(self.names.dead_letter.clone());
        for queue in queues {
            let options = QueueDeleteOptions::default();
            self.channel
                .queue_delete(queue.as_str().into(), options)
                .await
                .unwrap();
        }
        for exchange in [
            &self.names.ingress_exchange,
            &self.names.dead_letter,
            &self.names.events_exchange,
            // One that is not there is deleted all the same.
            &self.names.partitions_exchange,
        ] {
            let options = ExchangeDeleteOptions::default();
            self.channel
                .exchange_delete(exchange.as_str().into(), options)
                .await
                .unwrap();
        }
        self.connection.close(200, "done".into()).await.unwrap();
    }
}
