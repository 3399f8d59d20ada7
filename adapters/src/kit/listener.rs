//! Listening to what Lockstep tells.

use crate::amqp::{BackOff, Broker, PublishError, bound_queue};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, Consumer};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};

/// How many events may be under way.
const PREFETCH: u16 = 64;
/// How many message ids are remembered.
const REMEMBERED: usize = 10_000;

/// Events of one queue.
pub struct EventListener {
    broker: Broker,
    queue: String,
    topic: String,
    open: Option<(Connection, Consumer)>,
    seen: HashSet<String>,
    order: VecDeque<String>,
}

/// An event that is to be acknowledged once what it leads to is durable.
#[derive(Debug)]
pub struct ReceivedEvent {
    /// What it is about, as in `order.status.web`.
    pub routing_key: String,
    /// The canonical message: `schema`, `version`, `id`, `correlation_id` and `body`.
    pub message: Value,
    delivery: Delivery,
}

impl EventListener {
    /// A listener with a durable queue of its own, which keeps what comes while nobody listens. `topic` as in
    /// `order.status.web`, or `order.status.*`.
    #[must_use]
    pub fn new(broker: Broker, queue: &str, topic: &str) -> Self {
        Self {
            broker,
            queue: queue.to_owned(),
            topic: topic.to_owned(),
            open: None,
            seen: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// The next event, however long it takes and however often the connection is lost meanwhile.
    pub async fn next(&mut self) -> ReceivedEvent {
        let mut back_off = BackOff::default();
        loop {
            match self.attempt().await {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, queue = self.queue, "events are waited for anew");
                    self.open = None;
                    back_off.pause().await;
                }
            }
        }
    }

    /// What the event has led to is durable: it does not come again. If the connection was lost meanwhile it does.
    pub async fn acknowledge(&mut self, event: ReceivedEvent) {
        let id = event.message["id"].as_str().unwrap_or_default().to_owned();
        if self.seen.insert(id.clone()) {
            self.order.push_back(id);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        if let Err(error) = event.delivery.ack(BasicAckOptions::default()).await {
            tracing::warn!(%error, "an event comes again, and is passed over");
            self.open = None;
        }
    }

    /// One delivery; `None` if it was acknowledged before, or is no message.
    async fn attempt(&mut self) -> Result<Option<ReceivedEvent>, PublishError> {
        let consumer = self.consumer().await?;
        let delivery = consumer.next().await.ok_or(PublishError::NotTaken)??;
        let message = serde_json::from_slice(&delivery.data).unwrap_or(Value::Null);
        let known = message["id"].as_str().is_some_and(|id| self.seen.contains(id));
        if known || message.is_null() {
            delivery.ack(BasicAckOptions::default()).await?;
            return Ok(None);
        }
        Ok(Some(ReceivedEvent {
            routing_key: delivery.routing_key.to_string(),
            message,
            delivery,
        }))
    }

    async fn consumer(&mut self) -> Result<&mut Consumer, PublishError> {
        let usable = self
            .open
            .as_ref()
            .is_some_and(|(connection, _)| connection.status().connected());
        if !usable {
            self.open = None;
            let connection = self.broker.connect(&self.queue).await?;
            let channel = connection.create_channel().await?;
            bound_queue(
                &channel,
                &self.queue,
                &self.broker.names().events_exchange,
                &self.topic,
            )
            .await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel
                .basic_consume(
                    self.queue.as_str().into(),
                    "".into(),
                    options,
                    FieldTable::default(),
                )
                .await?;
            self.open = Some((connection, consumer));
        }
        let open = self.open.as_mut().ok_or(PublishError::NotTaken)?;
        Ok(&mut open.1)
    }
}

impl std::fmt::Debug for EventListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventListener")
            .field("queue", &self.queue)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
