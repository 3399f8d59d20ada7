//! The way to the broker, as a sender has it.

use super::DriveError;
use super::workload::Item;
use clap::Args;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use lockstep_adapters::schema::BodyFormat;

/// Where the broker is.
#[derive(Clone, Debug, Args)]
pub(super) struct Address {
    /// The broker.
    #[arg(
        long,
        env = "LOCKSTEP_AMQP_URL",
        hide_env_values = true,
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2f"
    )]
    pub(super) amqp_url: String,
    /// What the service's exchanges and queues begin with.
    #[arg(long, default_value = "lockstep")]
    pub(super) prefix: String,
}

/// A connection with a channel in confirm mode.
pub(super) struct Sender {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    user: String,
}

impl Sender {
    pub(super) async fn connect(address: &Address) -> Result<Self, DriveError> {
        let uri: AMQPUri = address
            .amqp_url
            .parse()
            .map_err(|error| DriveError::Other(format!("--amqp-url cannot be read: {error}")))?;
        let user = uri.authority.userinfo.username.clone();
        let properties = ConnectionProperties::default().with_connection_name("lockstep-loadtest".into());
        let connection = Connection::connect_uri(uri, properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self {
            connection,
            channel,
            user,
        })
    }

    /// Puts a message on the wire. `answer` is where the answer should go, and under which number.
    pub(super) async fn publish(
        &self,
        (exchange, routing_key): (&str, &str),
        item: &Item,
        format: BodyFormat,
        answer: Option<(&str, String)>,
    ) -> Result<PublisherConfirm, DriveError> {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type(format.content_type().into())
            .with_user_id(self.user.as_str().into())
            .with_message_id(item.id.as_str().into());
        if let Some((queue, number)) = answer {
            properties = properties
                .with_reply_to(queue.into())
                .with_correlation_id(number.into());
        }
        let body = item.message(format).map_err(DriveError::other)?;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let sent =
            self.channel
                .basic_publish(exchange.into(), routing_key.into(), options, &body, properties);
        Ok(sent.await?)
    }

    /// How many messages wait in a queue, and how many consumers it has.
    pub(super) async fn look(&self, queue: &str) -> Result<(u32, u32), DriveError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = self
            .channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        Ok((found.message_count(), found.consumer_count()))
    }
}

/// What the broker said of a message, in a word or two.
pub(super) async fn verdict(confirm: PublisherConfirm) -> &'static str {
    match confirm.await {
        Ok(Confirmation::Ack(None)) => "confirm: ack",
        Ok(Confirmation::Ack(Some(_))) => "confirm: no queue",
        Ok(Confirmation::Nack(_)) => "confirm: nack",
        Ok(Confirmation::NotRequested) => "confirm: none",
        Err(_) => "confirm: connection lost",
    }
}
