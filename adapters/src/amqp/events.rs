//! Events: what orders, stock and list prices say to the outside, in order for each order and SKU.

use super::connect::{BackOff, Broker, PublishError, Publisher, confirmed, publish};
use super::counters::AmqpCounters;
use crate::egress::{Entries, next_until};
use crate::schema::outbound::{OrderStatusChange, StockResync};
use crate::schema::price_change::PriceChanged;
use crate::schema::{Body, BodyFormat, Outgoing, encode};
use lapin::BasicProperties;
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::inventory::numbering::ResyncWanted;
use lockstep_actors::orders::effects::OrderStatus;
use lockstep_actors::pricing::ListPrice;
use lockstep_actors::pricing::price_change::ListPriceChanged;
use lockstep_runtime::entity::Entity;
use lockstep_runtime::feed::FeedEntry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The name under which the journals are read.
pub const CONSUMER: &str = "amqp-events";
/// How many entries travel before their confirms are waited for.
const AT_ONCE: usize = 512;

struct Event {
    id: String,
    routing_key: String,
    correlation: String,
    body: Vec<u8>,
}

/// Publishes every status event until `stop` turns true or the node ends. An event whose confirm was lost is published
/// again under the same message id.
pub async fn publish_events(
    mut feed: impl Entries,
    broker: Broker,
    counters: Arc<AmqpCounters>,
    mut stop: watch::Receiver<bool>,
) {
    let exchange = broker.names().events_exchange.clone();
    let mut publisher = Publisher::new(broker, "lockstep events");
    let mut back_off = BackOff::default();
    let mut stopping = stop.clone();
    while let Some(entries) = next_until(&mut feed, AT_ONCE, &mut stop).await {
        let events: Vec<Event> = entries.iter().flat_map(events_of).collect();
        loop {
            let published = tokio::select! {
                published = publish_all(&mut publisher, &exchange, &events) => published,
                // A broker that blocks publishers must not keep Lockstep from stopping; what has no cursor is published
                // again after the start.
                () = grace_after(&mut stopping) => return,
            };
            let Err(error) = published else { break };
            tracing::warn!(%error, "status events are published again");
            publisher.reset();
            if !back_off.wait(&mut stop).await {
                return;
            }
        }
        back_off.succeeded();
        counters.published(events.len());
        feed.save_all(&entries);
    }
}

/// How long confirms are waited for once Lockstep stops.
const GRACE: Duration = Duration::from_secs(5);

async fn grace_after(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
    tokio::time::sleep(GRACE).await;
}

async fn publish_all(
    publisher: &mut Publisher,
    exchange: &str,
    events: &[Event],
) -> Result<(), PublishError> {
    let channel = publisher.channel().await?;
    let mut confirms = Vec::with_capacity(events.len());
    for event in events {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_message_id(event.id.as_str().into())
            .with_correlation_id(event.correlation.as_str().into());
        confirms.push(publish(channel, exchange, &event.routing_key, &event.body, properties).await?);
    }
    for confirm in confirms {
        confirmed(confirm).await?;
    }
    Ok(())
}

fn events_of(entry: &FeedEntry) -> Vec<Event> {
    let statuses = entry.outbound.iter().enumerate();
    statuses
        .filter_map(|(index, effect)| {
            let id = format!("{}-{}-{index}", entry.partition.0, entry.sequence.0);
            let conversation = &entry.provenance.correlation;
            let event = if entry.kind == SkuWarehouse::KIND {
                stock_event(id, &effect.body, conversation)
            } else if entry.kind == ListPrice::KIND {
                price_event(id, &effect.body, conversation)
            } else {
                order_event(id, &effect.body, conversation)
            };
            event
                .inspect_err(|error| {
                    tracing::error!(
                        partition = entry.partition.0,
                        sequence = entry.sequence.0,
                        error,
                        "an event cannot be read"
                    );
                })
                .ok()
        })
        .collect()
}

fn order_event(id: String, body: &[u8], conversation: &str) -> Result<Event, String> {
    let status: OrderStatus = rmp_serde::from_slice(body).map_err(|error| error.to_string())?;
    // The conversation that the order came in with, whoever set this change off.
    let correlation = if status.correlation.is_empty() {
        conversation.to_owned()
    } else {
        status.correlation.clone()
    };
    let routing_key = format!("order.status.{}", status.order.channel());
    let change = OrderStatusChange::from(status);
    encoded(id, routing_key, correlation, &change)
}

fn stock_event(id: String, body: &[u8], conversation: &str) -> Result<Event, String> {
    let wanted: ResyncWanted = rmp_serde::from_slice(body).map_err(|error| error.to_string())?;
    let routing_key = format!("stock.resync.{}", wanted.source);
    encoded(
        id,
        routing_key,
        conversation.to_owned(),
        &StockResync::from(wanted),
    )
}

fn price_event(id: String, body: &[u8], conversation: &str) -> Result<Event, String> {
    let changed: ListPriceChanged = rmp_serde::from_slice(body).map_err(|error| error.to_string())?;
    let routing_key = format!("price.changed.{}", changed.list);
    encoded(
        id,
        routing_key,
        conversation.to_owned(),
        &PriceChanged::from(changed),
    )
}

fn encoded<B: Body>(id: String, routing_key: String, correlation: String, body: &B) -> Result<Event, String> {
    let message = Outgoing::new(&id, body).in_conversation(&correlation);
    let body = encode(BodyFormat::Json, &message).map_err(|error| error.to_string())?;
    Ok(Event {
        id,
        routing_key,
        correlation,
        body,
    })
}
