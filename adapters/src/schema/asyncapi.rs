//! The AsyncAPI 3.0 document of what comes and goes over AMQP, generated from the same types as the JSON Schemas.
//!
//! <https://www.asyncapi.com/docs/reference/specification/v3.0.0>, and its AMQP bindings in version 0.3.0.

use super::compatibility::Direction;
use super::documents::{Described, MESSAGES};
use super::limits::MAX_BODY_BYTES;
use crate::amqp::Names;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Outbound messages that go to topics, and to which ones; what is left is an answer to `reply_to`.
const TOPICS: [(&str, &str, &str); 3] = [
    ("lockstep.order.status", "orderStatus", "order.status.{channel}"),
    ("lockstep.price.changed", "priceChanged", "price.changed.{list}"),
    ("lockstep.stock.resync", "stockResync", "stock.resync.{system}"),
];
const RESULT: &str = "lockstep.command.result";

/// The document, for the exchanges and queues under `prefix`.
#[must_use]
pub fn asyncapi(prefix: &str) -> Value {
    let names = Names::of(prefix);
    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut messages = Map::new();
    for message in &MESSAGES {
        let payload = message.envelope(&mut generator);
        messages.insert(message.schema.to_owned(), described(message, &payload));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lockstep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Keeps a distributor's prices, orders and stock in step. A message is acknowledged only once its \
                            decision is durable; the same id takes effect once.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels(&names, &messages),
        "operations": operations(),
        "components": { "messages": messages, "schemas": generator.take_definitions(true) },
    })
}

fn described(message: &Described, payload: &Value) -> Value {
    let inbound = message.direction == Direction::Inbound;
    let mut headers = json!({ "type": "object", "properties": {} });
    if inbound {
        headers["description"] =
            json!("None are needed. The user_id property must be the broker's user that publishes.");
    }
    json!({
        "name": message.schema,
        "contentType": "application/json",
        "headers": headers,
        "payload": payload,
    })
}

fn references<'m>(names: impl Iterator<Item = &'m str>) -> Value {
    names
        .map(|name| {
            (
                name.to_owned(),
                json!({ "$ref": format!("#/components/messages/{name}") }),
            )
        })
        .collect::<Map<String, Value>>()
        .into()
}

fn exchange(name: &str, kind: &str) -> Value {
    json!({ "amqp": { "is": "routingKey", "bindingVersion": "0.3.0",
        "exchange": { "name": name, "type": kind, "durable": true, "autoDelete": false, "vhost": "/" } } })
}

fn channels(names: &Names, messages: &Map<String, Value>) -> Value {
    let inbound = || {
        let inbound = MESSAGES
            .iter()
            .filter(|message| message.direction == Direction::Inbound);
        references(inbound.map(|message| message.schema))
    };
    let mut channels = json!({
        "ingress": {
            "address": "{anything}",
            "description": format!(
                "What Lockstep is told: JSON, or MessagePack with structures as maps, at most {MAX_BODY_BYTES} bytes. Publish \
                 persistently, with confirms, with user_id, and with an id that a repeat carries again."),
            "messages": inbound(),
            "parameters": { "anything": { "description": "Any routing key." } },
            "bindings": exchange(&names.ingress_exchange, "topic"),
        },
        "partitions": {
            "address": "{partition}",
            "description": "The same from senders that compute the partition, if the service has amqp.partition_queues: crc32(key) mod \
                            store.partitions. The key is the message's sku, or channel/number of an order, or whatever else it is \
                            about (docs/messages.md).",
            "messages": inbound(),
            "parameters": { "partition": { "description": "The partition's number in decimal." } },
            "bindings": exchange(&names.partitions_exchange, "direct"),
        },
        "answers": {
            "address": null,
            "description": "What became of a message that was sent with reply_to: to that queue, with the message's correlation_id.",
            "messages": references([RESULT].into_iter().filter(|name| messages.contains_key(*name))),
        },
    });
    for (schema, name, address) in TOPICS {
        let parameter = address.split(['{', '}']).nth(1).unwrap_or_default();
        channels[name] = json!({
            "address": address,
            "messages": references([schema].into_iter().filter(|name| messages.contains_key(*name))),
            "parameters": { parameter: { "description": "Whose." } },
            "bindings": exchange(&names.events_exchange, "topic"),
        });
    }
    channels
}

fn operations() -> Value {
    let taking = |channel: &str| {
        json!({
            "action": "receive",
            "channel": { "$ref": format!("#/channels/{channel}") },
            "summary": "Decides what it is told, durably, and then acknowledges.",
            "reply": {
                "address": { "location": "$message.header#/reply_to", "description": "The reply_to property." },
                "channel": { "$ref": "#/channels/answers" },
            },
        })
    };
    let mut operations = json!({
        "takeMessages": taking("ingress"),
        "takeMessagesOfPartition": taking("partitions"),
    });
    for (_, name, _) in TOPICS {
        let title = format!("tell{}{}", name[..1].to_uppercase(), &name[1..]);
        operations[title] = json!({
            "action": "send",
            "channel": { "$ref": format!("#/channels/{name}") },
            "bindings": { "amqp": { "deliveryMode": 2, "bindingVersion": "0.3.0" } },
        });
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_is_sent_to_a_topic_is_described_and_every_reference_leads_somewhere() {
        let document = asyncapi("lockstep");
        for (schema, ..) in TOPICS {
            assert!(
                MESSAGES.iter().any(|message| message.schema == schema),
                "{schema}"
            );
        }
        let mut open = vec![&document];
        let mut found = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                        found += 1;
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(found > 50, "{found} references");
    }
}
