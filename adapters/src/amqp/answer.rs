//! What a sender is told of its message, in the queue that it names.

use crate::schema::outbound::CommandResult;
use crate::schema::{BodyFormat, Outgoing, encode};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;

/// Where an answer goes, and the conversation it belongs to.
pub(super) struct Answer {
    id: String,
    pub(super) reply_to: String,
    correlation: Option<ShortString>,
}

impl Answer {
    /// None if the sender wants none.
    pub(super) fn to(delivery: &Delivery) -> Option<Self> {
        let properties = &delivery.properties;
        let correlation = properties.correlation_id().clone();
        Some(Self {
            id: format!("{}-{}", delivery.routing_key, delivery.delivery_tag),
            reply_to: properties.reply_to().as_ref()?.to_string(),
            correlation: correlation.or_else(|| properties.message_id().clone()),
        })
    }

    /// The answer as it is sent; none if its type is defective.
    pub(super) fn written(&self, result: &CommandResult) -> Option<(Vec<u8>, BasicProperties)> {
        let mut message = Outgoing::new(&self.id, result);
        let mut properties = BasicProperties::default().with_content_type("application/json".into());
        if let Some(correlation) = &self.correlation {
            message = message.in_conversation(correlation.as_str());
            properties = properties.with_correlation_id(correlation.clone());
        }
        match encode(BodyFormat::Json, &message) {
            Ok(body) => Some((body, properties)),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                None
            }
        }
    }
}
