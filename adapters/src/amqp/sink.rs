//! A sales channel behind AMQP exchanges: stock levels, prices and standings of orders as messages; the routing key is the SKU,
//! or the channel's number for the order.

use super::connect::{Broker, PublishError, Publisher, confirmed, publish};
use super::topology::topic_exchange;
use crate::channels::{ItemBody, Platform, name_of, unsupported};
use lapin::BasicProperties;
use lockstep_actors::channels::{Answer, Certainty, Item, ItemVerdict, Kind, Request, Verdict, Work};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// Publishes items with confirms. Each carries its version, so that a consumer can pass over an older one.
#[derive(Debug)]
pub struct AmqpSink {
    publisher: Mutex<Publisher>,
    exchanges: BTreeMap<Kind, String>,
    timeout: Duration,
}

impl AmqpSink {
    /// A sink that publishes each kind to its exchange, a durable topic exchange that is declared if it is not there.
    #[must_use]
    pub fn new(broker: Broker, name: &str, exchanges: BTreeMap<Kind, String>, timeout: Duration) -> Self {
        Self {
            publisher: Mutex::new(Publisher::new(broker, &format!("lockstep channel {name}"))),
            exchanges,
            timeout,
        }
    }

    async fn publish(&self, exchange: &str, items: &[Item]) -> Result<(), PublishError> {
        let mut publisher = self.publisher.lock().await;
        let outcome = publish_with(&mut publisher, exchange, items).await;
        if outcome.is_err() {
            publisher.reset();
        }
        outcome
    }

    async fn write(&self, exchange: &str, items: &[Item]) -> Verdict {
        let failed = |reason| Verdict::Failed {
            reason,
            pause: None,
            certainty: Certainty::Unknown,
        };
        match tokio::time::timeout(self.timeout, self.publish(exchange, items)).await {
            Ok(Ok(())) => Verdict::Items(vec![ItemVerdict::Taken; items.len()]),
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed("the broker did not confirm in time".to_owned()),
        }
    }
}

async fn publish_with(publisher: &mut Publisher, exchange: &str, items: &[Item]) -> Result<(), PublishError> {
    let channel = publisher.channel().await?;
    topic_exchange(channel, exchange).await?;
    let mut confirms = Vec::with_capacity(items.len());
    for item in items {
        let Ok(body) = serde_json::to_vec(&ItemBody::of(item)) else {
            tracing::error!(sku = %item.key, "an item cannot be written");
            continue;
        };
        let name = name_of(item);
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_message_id(format!("{name}-{}", item.version).into());
        confirms.push(publish(channel, exchange, &name, &body, properties).await?);
    }
    for confirm in confirms {
        confirmed(confirm).await?;
    }
    Ok(())
}

impl Platform for AmqpSink {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(kind, items) => match self.exchanges.get(kind) {
                Some(exchange) => self.write(exchange, items).await.into(),
                None => unsupported(),
            },
            Work::Read(..) | Work::Poll(..) => unsupported(),
        }
    }
}
