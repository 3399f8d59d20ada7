//! The connection that everything comes in by: the ingress queue, and the queues of the partitions that this node has.
//!
//! One connection, with a channel for each queue and one for what is published because of deliveries. All of it is one task.

use super::config::AmqpConfig;
use super::connect::{BackOff, Broker, PublishError};
use super::counters::{AmqpCounters, add};
use super::session::{Ended, Ending, GIVEN_BACK_WITHIN, Session, Source};
use super::topology::Names;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, ErrorKind};
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::placement::{PartitionCount, PartitionId, Place};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// How long what is under way may take to become durable when the service stops.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// How often a lease is looked at that nobody tells the end of.
const LOOK: Duration = Duration::from_millis(250);
/// The broker's word for a queue or exchange that is there with other arguments.
const PRECONDITION_FAILED: u16 = 406;

/// The broker has partitions' queues that are not those of this store.
#[derive(Debug, thiserror::Error)]
#[error(
    "the broker's queues {prefix}.* are not those of a store with {partitions} partitions: {reason}. Let a service with the old number \
     empty them, then delete them and the exchange {exchange}; or set another amqp.prefix"
)]
pub struct OtherPartitions {
    prefix: String,
    exchange: String,
    partitions: u16,
    reason: String,
}

/// Declares the partitions' queues, so that a service learns before it begins that the broker's are for another number of
/// partitions. A broker that cannot be reached is tried again later, by [`consume`].
///
/// # Errors
/// [`OtherPartitions`]: a person has to decide what becomes of them.
pub async fn declare_partitions(broker: &Broker, partitions: PartitionCount) -> Result<(), OtherPartitions> {
    match try_declare(broker, partitions).await {
        Ok(()) => Ok(()),
        Err(PublishError::Connection(error)) if is_precondition(&error) => {
            let names = broker.names();
            Err(OtherPartitions {
                prefix: names.partition_queue.clone(),
                exchange: names.partitions_exchange.clone(),
                partitions: partitions.get(),
                reason: error.to_string(),
            })
        }
        Err(error) => {
            tracing::warn!(%error, "the broker cannot be reached yet");
            Ok(())
        }
    }
}

async fn try_declare(broker: &Broker, partitions: PartitionCount) -> Result<(), PublishError> {
    let connection = broker.connect("lockstep partitions").await?;
    let channel = connection.create_channel().await?;
    broker.names().declare(&channel).await?;
    broker.names().declare_partitions(&channel, partitions).await?;
    Ok(connection.close(200, "done".into()).await?)
}

fn is_precondition(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == PRECONDITION_FAILED)
}

/// Takes deliveries until `stop` turns true, over as many connections as it takes.
pub async fn consume(
    config: AmqpConfig,
    broker: Broker,
    ingress: Ingress<Distributor>,
    counters: Arc<AmqpCounters>,
    mut stop: watch::Receiver<bool>,
) {
    let mut back_off = BackOff::default();
    loop {
        let mut stopped = stop.clone();
        let opened = tokio::select! {
            opened = Link::open(&config, &broker, &ingress, &counters) => opened,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match opened {
            Ok(link) => {
                back_off.succeeded();
                add(&counters.connections, 1);
                counters.connected.store(1, Ordering::Relaxed);
                tracing::info!(
                    queue = link.names.ingress_queue,
                    "taking messages from the broker"
                );
                let ended = link.serve(&mut stop).await;
                counters.connected.store(0, Ordering::Relaxed);
                match ended {
                    Ok(()) | Err(Ended::Stopping) => {
                        link.close().await;
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the connection to the broker is made anew"),
                }
            }
            Err(error) => tracing::warn!(%error, "the broker cannot be reached yet"),
        }
        if !back_off.wait(&mut stop).await {
            return;
        }
    }
}

/// One connection, and what its sessions share.
pub(super) struct Link<'a> {
    pub(super) config: &'a AmqpConfig,
    pub(super) names: &'a Names,
    /// Who Lockstep is to the broker.
    pub(super) own_user: &'a str,
    pub(super) ingress: &'a Ingress<Distributor>,
    pub(super) counters: &'a AmqpCounters,
    pub(super) connection: Connection,
    /// For dead letters and answers, with confirms.
    pub(super) out: Channel,
}

/// A session until it ends.
type Life<'s> = Pin<Box<dyn Future<Output = (Source, Result<(), Ended>)> + 's>>;

/// The sessions of a connection.
struct Sessions<'s> {
    link: &'s Link<'s>,
    lives: FuturesUnordered<Life<'s>>,
    ingress: watch::Sender<Option<Duration>>,
    partitions: BTreeMap<PartitionId, watch::Sender<Option<Duration>>>,
}

impl<'a> Link<'a> {
    async fn open(
        config: &'a AmqpConfig,
        broker: &'a Broker,
        ingress: &'a Ingress<Distributor>,
        counters: &'a AmqpCounters,
    ) -> Result<Self, Ended> {
        let (names, connection) = (broker.names(), broker.connect("lockstep ingress").await?);
        let out = connection.create_channel().await?;
        names.declare(&out).await?;
        if config.partition_queues {
            names.declare_partitions(&out, ingress.partitions()).await?;
        }
        out.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self {
            config,
            names,
            own_user: broker.user(),
            ingress,
            counters,
            connection,
            out,
        })
    }

    async fn serve(&self, stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
        let mut changes = self.ingress.places().changes();
        let mut sessions = Sessions::begin(self);
        loop {
            if self.config.partition_queues {
                sessions.follow_places();
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return sessions.end().await,
                Some((source, ended)) = sessions.lives.next() => {
                    ended?;
                    sessions.ended(source);
                }
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK), if self.config.partition_queues => {}
            }
        }
    }

    async fn close(&self) {
        if let Err(error) = self.connection.close(200, "stopping".into()).await {
            tracing::debug!(%error, "the connection to the broker was gone before it was closed");
        }
    }
}

impl<'s> Sessions<'s> {
    fn begin(link: &'s Link<'s>) -> Self {
        let (ingress, ending) = watch::channel(None);
        let sessions = Self {
            link,
            lives: FuturesUnordered::new(),
            ingress,
            partitions: BTreeMap::new(),
        };
        sessions.open(Source::Ingress, ending);
        sessions
    }

    fn open(&self, source: Source, ending: Ending) {
        let link = self.link;
        self.lives.push(Box::pin(async move {
            let ended = match Session::open(link, source, ending).await {
                Ok(session) => session.run().await,
                Err(error) => Err(error),
            };
            (source, ended)
        }));
    }

    /// Reads the queues of the partitions that are here, and gives back those of others.
    fn follow_places(&mut self) {
        let places = self.link.ingress.places();
        for (partition, ending) in &self.partitions {
            if !places.is_here(*partition) {
                ending.send_replace(Some(GIVEN_BACK_WITHIN));
            }
        }
        for partition in places.all(Place::Here) {
            if places.is_here(partition) && !self.partitions.contains_key(&partition) {
                let (sender, ending) = watch::channel(None);
                self.partitions.insert(partition, sender);
                self.open(Source::Partition(partition), ending);
            }
        }
    }

    /// A session has ended by itself, or because it was told to. One whose partition has come back begins anew.
    fn ended(&mut self, source: Source) {
        if let Source::Partition(partition) = source {
            self.partitions.remove(&partition);
        }
    }

    /// Takes nothing more, and waits until all is acknowledged that can be.
    async fn end(mut self) -> Result<(), Ended> {
        for ending in self.partitions.values().chain([&self.ingress]) {
            ending.send_replace(Some(STOPS_WITHIN));
        }
        while let Some((_, ended)) = self.lives.next().await {
            ended?;
        }
        Ok(())
    }
}
