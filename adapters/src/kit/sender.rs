//! Telling Lockstep something.

use crate::amqp::{BackOff, Broker, PublishError, Publisher, confirmed, publish_to_queue};
use crate::schema::limits::{MAX_BODY_BYTES, MAX_ID_BYTES};
use crate::schema::{BodyFormat, Command, DecodeError, EncodeError, Outgoing, decode, encode};
use lapin::BasicProperties;
use lockstep_actors::ids::{InvalidName, SystemName};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::placement::PartitionCount;

/// Sends messages of one system.
#[derive(Debug)]
pub struct MessageSender {
    publisher: Publisher,
    exchange: String,
    user: String,
    /// Computed by the sender, if it does.
    partitions: Option<PartitionCount>,
}

/// A message that cannot be sent, whatever the broker does.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Its type is defective.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is longer than Lockstep takes.
    #[error("a message may have at most {MAX_BODY_BYTES} bytes, not {0}; send it in parts")]
    TooLarge(usize),
    /// Its id is empty or too long.
    #[error("a message's id has 1 to {MAX_ID_BYTES} bytes, not {0}")]
    Id(usize),
    /// It says what Lockstep does not take, so that it has no partition.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The user's name is none that a system can have.
    #[error(transparent)]
    User(#[from] InvalidName),
}

impl MessageSender {
    /// A sender as `user` of the broker, which Lockstep's configuration names in `[amqp.users]`. Nothing is connected yet.
    #[must_use]
    pub fn new(broker: Broker, user: &str) -> Self {
        Self {
            exchange: broker.names().ingress_exchange.clone(),
            publisher: Publisher::new(broker, &format!("{user} to lockstep")),
            user: user.to_owned(),
            partitions: None,
        }
    }

    /// The same for a service with `amqp.partition_queues` and this `store.partitions`: messages go straight to the node that decides
    /// them. With another number than the service's they are routed on, at the price of their order.
    #[must_use]
    pub fn to_partitions(broker: Broker, user: &str, partitions: PartitionCount) -> Self {
        Self {
            exchange: broker.names().partitions_exchange.clone(),
            partitions: Some(partitions),
            ..Self::new(broker, user)
        }
    }

    /// Sends a message until the broker has it. Dropped meanwhile, it may have been sent: send it again under its id.
    ///
    /// # Errors
    /// [`NotSent`] for one that Lockstep would never take.
    pub async fn send<B: Command>(&mut self, id: &str, body: &B) -> Result<(), NotSent> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(NotSent::Id(id.len()));
        }
        let body = encode(BodyFormat::MessagePack, &Outgoing::new(id, body))?;
        if body.len() > MAX_BODY_BYTES {
            return Err(NotSent::TooLarge(body.len()));
        }
        let routing_key = self.routing_key(&body)?;
        let mut back_off = BackOff::default();
        while let Err(error) = self.attempt(id, &routing_key, &body).await {
            tracing::warn!(%error, id, "a message is sent again");
            if matches!(error, PublishError::Connection(_) | PublishError::Timeout) {
                self.publisher.reset();
            }
            back_off.pause().await;
        }
        Ok(())
    }

    /// The number of the message's partition, if the sender computes it.
    fn routing_key(&self, body: &[u8]) -> Result<String, NotSent> {
        let Some(partitions) = self.partitions else {
            return Ok("kit".to_owned());
        };
        let source = SystemName::new(&self.user)?;
        let envelope = decode(BodyFormat::MessagePack, body, &source)?;
        let partition = partitions.partition_of(envelope.message.routing_key());
        Ok(partition.0.to_string())
    }

    async fn attempt(&mut self, id: &str, routing_key: &str, body: &[u8]) -> Result<(), PublishError> {
        let properties = BasicProperties::default()
            .with_content_type(BodyFormat::MessagePack.content_type().into())
            .with_message_id(id.into())
            .with_user_id(self.user.as_str().into());
        let channel = self.publisher.channel().await?;
        let confirm = publish_to_queue(channel, &self.exchange, routing_key, body, properties).await?;
        confirmed(confirm).await
    }
}
