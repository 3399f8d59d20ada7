//! Connections that are made anew when they are lost.

use super::config::AmqpConfig;
use super::topology::Names;
use crate::url::UrlError;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use std::time::Duration;
use tokio::sync::watch;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long an attempt at connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A broker that says nothing for twice as long counts as gone.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where the broker is, and what its exchanges and queues are called.
#[derive(Clone, Debug)]
pub struct Broker {
    uri: AMQPUri,
    names: Names,
}

/// Why something did not get through to the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The connection or channel.
    #[error("the broker cannot be reached: {0}")]
    Connection(#[from] lapin::Error),
    /// The broker said no, as for a queue that is full.
    #[error("the broker did not take it")]
    NotTaken,
    /// No queue is bound for it.
    #[error("the broker has no queue for it")]
    Unroutable,
    /// No connection in time.
    #[error("the broker does not answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

impl Broker {
    /// The broker that the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// [`UrlError`] if its URL is not to be had.
    pub fn new(config: &AmqpConfig) -> Result<Self, UrlError> {
        let mut uri = config.uri()?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        Ok(Self {
            uri,
            names: config.names(),
        })
    }

    /// What its exchanges and queues are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Who Lockstep is to the broker.
    pub(crate) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// One attempt at connecting; `name` is what the broker shows for the connection.
    pub(crate) async fn connect(&self, name: &str) -> Result<Connection, PublishError> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        Ok(connected.map_err(|_| PublishError::Timeout)??)
    }
}

/// Growing pauses between attempts, spread by chance so that not everybody comes back at once.
#[derive(Debug)]
pub(crate) struct BackOff {
    pause: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE }
    }
}

impl BackOff {
    /// Waits; `false` if `stop` turned true meanwhile.
    pub(super) async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        tokio::select! {
            () = self.pause() => true,
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }

    /// Waits.
    pub(crate) async fn pause(&mut self) {
        let spread = self.pause / 2 + self.pause / 2 * u32::from(rand::random::<u8>()) / 256;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(spread).await;
    }

    pub(super) fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

/// Publishes with confirms, over a connection of its own that it makes when it needs one.
pub struct Publisher {
    broker: Broker,
    name: String,
    open: Option<(Connection, Channel)>,
}

impl Publisher {
    /// A publisher that has not connected yet.
    #[must_use]
    pub fn new(broker: Broker, name: &str) -> Self {
        Self {
            broker,
            name: name.to_owned(),
            open: None,
        }
    }

    /// A channel in confirm mode with the topology declared.
    pub(crate) async fn channel(&mut self) -> Result<&Channel, PublishError> {
        let usable = self.open.as_ref().is_some_and(|(connection, channel)| {
            connection.status().connected() && channel.status().connected()
        });
        if !usable {
            self.open = None;
            let connection = self.broker.connect(&self.name).await?;
            let channel = connection.create_channel().await?;
            self.broker.names.declare(&channel).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            self.open = Some((connection, channel));
        }
        self.open
            .as_ref()
            .map(|(_, channel)| channel)
            .ok_or(PublishError::NotTaken)
    }

    /// Forgets the connection, which is then made anew.
    pub(crate) fn reset(&mut self) {
        self.open = None;
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Publisher")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Puts a persistent message on the wire; whether the broker has it is told by the confirm.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<PublisherConfirm> {
    let options = BasicPublishOptions::default();
    let properties = properties.with_delivery_mode(2);
    channel
        .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
        .await
}

/// The same for a message that must reach a queue: without one the confirm says [`PublishError::Unroutable`].
pub(crate) async fn publish_to_queue(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<PublisherConfirm> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = properties.with_delivery_mode(2);
    channel
        .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
        .await
}

/// Waits for a confirm.
pub(crate) async fn confirmed(confirm: PublisherConfirm) -> Result<(), PublishError> {
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(PublishError::Unroutable),
        Confirmation::Nack(_) | Confirmation::NotRequested => Err(PublishError::NotTaken),
    }
}
