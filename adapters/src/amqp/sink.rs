//! A sales channel behind an AMQP exchange: stock levels as messages, the routing key is the SKU.

use super::connect::{Broker, PublishError, Publisher, confirmed, publish};
use super::topology::topic_exchange;
use crate::channels::{Answer, ItemAnswer, Level, StockSink};
use lapin::BasicProperties;
use std::time::Duration;
use tokio::sync::Mutex;

/// Publishes levels with confirms. Each carries its version, so that a consumer can pass over an older one.
#[derive(Debug)]
pub struct AmqpSink {
    publisher: Mutex<Publisher>,
    exchange: String,
    timeout: Duration,
}

impl AmqpSink {
    /// A sink that publishes to `exchange`, a durable topic exchange that is declared if it is not there.
    #[must_use]
    pub fn new(broker: Broker, exchange: &str, timeout: Duration) -> Self {
        Self {
            publisher: Mutex::new(Publisher::new(broker, &format!("lockstep channel {exchange}"))),
            exchange: exchange.to_owned(),
            timeout,
        }
    }

    async fn publish(&self, levels: &[Level]) -> Result<(), PublishError> {
        let mut publisher = self.publisher.lock().await;
        let outcome = self.publish_with(&mut publisher, levels).await;
        if outcome.is_err() {
            publisher.reset();
        }
        outcome
    }

    async fn publish_with(&self, publisher: &mut Publisher, levels: &[Level]) -> Result<(), PublishError> {
        let channel = publisher.channel().await?;
        topic_exchange(channel, &self.exchange).await?;
        let mut confirms = Vec::with_capacity(levels.len());
        for level in levels {
            let Ok(body) = serde_json::to_vec(level) else {
                tracing::error!(sku = level.sku, "a stock level cannot be written");
                continue;
            };
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_message_id(format!("{}-{}", level.sku, level.version).into());
            confirms.push(publish(channel, &self.exchange, &level.sku, &body, properties).await?);
        }
        for confirm in confirms {
            confirmed(confirm).await?;
        }
        Ok(())
    }
}

impl StockSink for AmqpSink {
    async fn send(&self, levels: &[Level]) -> Answer {
        match tokio::time::timeout(self.timeout, self.publish(levels)).await {
            Ok(Ok(())) => Answer::Items(vec![ItemAnswer::Taken; levels.len()]),
            Ok(Err(error)) => Answer::Failed(error.to_string(), None),
            Err(_) => Answer::Failed("the broker did not confirm in time".to_owned(), None),
        }
    }
}
