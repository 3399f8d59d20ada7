//! Lockstep in one process: the node, the way to the ERP and the ways to the channels, started and stopped in order.
//!
//! `serve`, `replay` and `demo` all run on this, so that each of them is the real path. What else comes in (HTTP, AMQP) is
//! put before it and stopped first.

use lockstep_actors::channels::{AllowanceError, Kind};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::governance::demand::Attribute;
use lockstep_actors::governance::ownership::RefusedWrite;
use lockstep_actors::governance::record::{RecordCommand, RecordRefusal, RecordReply, TheRecord};
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::{
    ChannelActor, ChannelConfig, ChannelHandle, Permits, Platform, PlatformError, ReadModel, Telling,
    channel_handle,
};
use lockstep_adapters::cluster::{Cluster, ClusterConfig, ClusterError, Peers};
use lockstep_adapters::egress::InvalidSetting;
use lockstep_adapters::erp::{
    self, Carrying, ConnectorError, Erp, ErpConfig, ErpCounters, ErpWorker, SharedPace,
};
use lockstep_adapters::home::Home;
use lockstep_adapters::polling::{OrderPoller, OrderSource};
use lockstep_adapters::store::PostgresOpener;
use lockstep_runtime::feed::{ConsumerLag, UnknownConsumer};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance};
use lockstep_runtime::node::{Holding, Node, NodeConfig, StartError};
use lockstep_runtime::store::StoreOpener;
use lockstep_runtime::time::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error(transparent)]
    Node(#[from] StartError),
    #[error(transparent)]
    Erp(#[from] ConnectorError),
    #[error(transparent)]
    Consumer(#[from] UnknownConsumer),
    #[error(transparent)]
    Ownership(#[from] RecordRefusal),
    #[error(transparent)]
    Publishing(#[from] RefusedWrite),
    #[error(transparent)]
    Allowance(#[from] AllowanceError),
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the ownership table could not be noted in the store: {0}")]
    Undeclared(String),
}

/// Notes in the store under which table of owners it works from now on.
async fn declare_ownership(ingress: &Ingress<Distributor>) -> Result<(), ServiceError> {
    let table = ingress.reference().ownership().clone();
    let id = format!("ownership table {}", uuid::Uuid::now_v7());
    let envelope = Envelope {
        id: MessageId::of(LOCKSTEP, &id),
        provenance: Provenance {
            source: LOCKSTEP.into(),
            correlation: id.into(),
            causation: None,
        },
        message: (TheRecord, RecordCommand::Declare(Box::new(table))).into(),
    };
    match ingress.ask(envelope).await {
        Ok(Outcome::Done {
            reply: Reply::Ownership(RecordReply::Accepted),
            ..
        }) => Ok(()),
        Ok(Outcome::Done {
            reply: Reply::Ownership(RecordReply::Refused(refusal)),
            ..
        }) => Err(refusal.into()),
        Ok(outcome) => Err(ServiceError::Undeclared(format!("{outcome:?}"))),
        Err(rejected) => Err(ServiceError::Undeclared(rejected.cause.to_string())),
    }
}

/// The same in a cluster, where the node that keeps the record may yet have to be found, or may be out of reach: then this one
/// waits, for ending would only move its partitions once more.
async fn declare_in_cluster(ingress: &Ingress<Distributor>) -> Result<(), ServiceError> {
    let mut attempts: u32 = 0;
    loop {
        match declare_ownership(ingress).await {
            Err(ServiceError::Undeclared(reason)) => {
                attempts = attempts.wrapping_add(1);
                if attempts.is_multiple_of(DECLARATIONS_UNTIL_TOLD) {
                    tracing::warn!(
                        reason,
                        "the node that keeps the ownership table is not reached yet; trying on"
                    );
                }
                tokio::time::sleep(DECLARATION_PAUSE).await;
            }
            other => return other,
        }
    }
}

const DECLARATION_PAUSE: Duration = Duration::from_millis(100);
/// After so many attempts a person is told, and after as many again.
const DECLARATIONS_UNTIL_TOLD: u32 = 50;

/// Who reads the journals of a service.
pub(crate) struct Consumers {
    names: Vec<String>,
}

impl Consumers {
    /// The ERP worker and the channels; others are added by name.
    pub(crate) fn of(channels: &[ChannelConfig]) -> Self {
        let channels = channels.iter();
        let channels =
            channels.flat_map(|channel| channel.kinds().into_iter().map(|kind| channel.consumer(kind)));
        let names = std::iter::once(erp::CONSUMER.to_owned()).chain(channels);
        Self {
            names: names.collect(),
        }
    }

    /// One more.
    pub(crate) fn and(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }
}

/// A channel that runs.
pub(crate) struct RunningChannel {
    pub(crate) handle: ChannelHandle,
    ended: oneshot::Receiver<()>,
}

/// The running service.
pub(crate) struct Service {
    node: Node<Distributor>,
    cluster: Option<Cluster>,
    erp: JoinHandle<()>,
    erp_port: Arc<Erp>,
    erp_counters: Arc<ErpCounters>,
    erp_pace: SharedPace,
    channels: Vec<RunningChannel>,
    pollers: Vec<OrderPoller>,
    stop: watch::Sender<bool>,
}

impl Service {
    /// Opens the store, builds the node and connects the ERP; returns when messages are taken. Needs a running actix
    /// system.
    ///
    /// # Errors
    /// [`ServiceError`] that says what a person should do.
    pub(crate) async fn start(
        node: NodeConfig,
        consumers: Consumers,
        erp: &ErpConfig,
        reference: Reference,
        opener: Arc<dyn StoreOpener>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let port = Erp::of(erp)?;
        let node = NodeConfig {
            consumers: consumers.names,
            ..node
        };
        let node = Node::<Distributor>::start(node, opener, clock, Arc::new(reference)).await?;
        declare_ownership(&node.ingress()).await?;
        Self::begin(node, None, port, erp)
    }

    /// The same as a node of a cluster: with those partitions that are its share.
    ///
    /// # Errors
    /// [`ServiceError`] that says what a person should do.
    pub(crate) async fn join(
        node: NodeConfig,
        consumers: Consumers,
        erp: &ErpConfig,
        reference: Reference,
        opener: Arc<PostgresOpener>,
        clock: Arc<dyn Clock>,
        cluster: &ClusterConfig,
    ) -> Result<Self, ServiceError> {
        let port = Erp::of(erp)?;
        let node = NodeConfig {
            consumers: consumers.names,
            holding: Holding::Granted,
            ..node
        };
        let store = Arc::clone(&opener) as Arc<dyn StoreOpener>;
        let node = Node::<Distributor>::start(node, store, clock, Arc::new(reference)).await?;
        let cluster = Cluster::join(cluster, &opener, &node).await?;
        declare_in_cluster(&node.ingress()).await?;
        Self::begin(node, Some(cluster), port, erp)
    }

    fn begin(
        node: Node<Distributor>,
        cluster: Option<Cluster>,
        port: Erp,
        erp: &ErpConfig,
    ) -> Result<Self, ServiceError> {
        let (ingress, erp_port) = (node.ingress(), Arc::new(port));
        let worker = ErpWorker::new(Arc::clone(&erp_port), ingress.clone(), erp);
        let worker = if cluster.is_some() {
            worker.after_others(erp)
        } else {
            worker
        };
        let (erp_counters, erp_pace) = (worker.counters(), worker.pace());
        let (stop, stopped) = watch::channel(false);
        let erp = actix::spawn(Carrying::new(worker, ingress)?.run(stopped));
        Ok(Self {
            node,
            cluster,
            erp,
            erp_port,
            erp_counters,
            erp_pace,
            channels: Vec::new(),
            pollers: Vec::new(),
            stop,
        })
    }

    /// The way in.
    pub(crate) fn ingress(&self) -> Ingress<Distributor> {
        self.node.ingress()
    }

    /// What the ERP worker has done.
    pub(crate) fn erp_counters(&self) -> Arc<ErpCounters> {
        Arc::clone(&self.erp_counters)
    }

    /// The connector to the ERP, for whoever else asks it: so many calls at a time are all of them together.
    pub(crate) fn erp_port(&self) -> Arc<Erp> {
        Arc::clone(&self.erp_port)
    }

    /// The pace at which the ERP is asked, for whoever else asks it.
    pub(crate) fn erp_pace(&self) -> SharedPace {
        self.erp_pace.clone()
    }

    /// The channels that run.
    pub(crate) fn channels(&self) -> &[RunningChannel] {
        &self.channels
    }

    /// Turns true when the service stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// The channels, and how other nodes are asked about those that they tell. Once all have been added, and once.
    pub(crate) fn share_channels(&self) -> (Vec<ChannelHandle>, Option<Peers>) {
        let handles = self.channels.iter().map(|channel| channel.handle.clone());
        let handles: Vec<ChannelHandle> = handles.collect();
        let peers = self
            .cluster
            .as_ref()
            .map(|cluster| cluster.share(handles.clone()));
        (handles, peers)
    }

    /// Begins to tell a channel what is newest, whenever this is the node that tells it.
    ///
    /// # Errors
    /// [`ServiceError`] if the channel was not among the consumers at the start, if Lockstep may not publish what it is to
    /// be told, or if its limits and operations do not fit.
    pub(crate) fn add_channel(
        &mut self,
        config: &ChannelConfig,
        platform: impl Platform,
    ) -> Result<(), ServiceError> {
        self.tell(config, platform).map(drop)
    }

    /// Begins to tell a channel what is newest; where permits are had for what else is asked of it.
    fn tell(&mut self, config: &ChannelConfig, platform: impl Platform) -> Result<Permits, ServiceError> {
        let ingress = self.node.ingress();
        let prices = config
            .price_list
            .as_ref()
            .map(|prices| (prices.list.clone(), prices.currency));
        let contents = ReadModel::new(
            Arc::clone(ingress.reference()),
            &config.name,
            config.warehouses.clone(),
            prices,
        )
        .in_bands(config.stock_bands.clone())
        .with_orders(ingress.clone());
        let mut kinds = Vec::new();
        for kind in config.kinds() {
            let attribute = match kind {
                Kind::Stock => Attribute::StockAvailable,
                Kind::Price => Attribute::PriceBase,
                Kind::Order => Attribute::OrderStatus,
            };
            ingress.reference().ownership().judge_publishing(attribute)?;
            let consumer = config.consumer(kind);
            ingress.declares(&consumer)?;
            kinds.push((kind, consumer));
        }
        let home = Home::of(&ingress, config.name.as_bytes());
        let (handle, control) = channel_handle(&config.name);
        let handle = handle.at(home.clone());
        let plan = config.plan()?;
        let telling = Telling::new(ingress, home, handle.clone(), contents, platform, plan, kinds)?
            .sampling(config.samples_per_minute);
        let stopped = self.stop.subscribe();
        let (ending, ended) = oneshot::channel();
        let actor = ChannelActor::new(config.name.clone(), async move {
            telling.run(control, stopped).await;
            drop(ending);
        });
        // The actor lives in its own context until its drive ends.
        drop(actix::Actor::start(actor));
        let permits = handle.permits.clone();
        self.channels.push(RunningChannel { handle, ended });
        Ok(permits)
    }

    /// The same of a channel that may be asked for its orders.
    ///
    /// # Errors
    /// [`ServiceError`] as for any channel, or if the orders cannot be asked for.
    pub(crate) fn add_polled_channel(
        &mut self,
        config: &ChannelConfig,
        platform: impl Platform + OrderSource,
    ) -> Result<(), ServiceError> {
        let platform = Arc::new(platform);
        let permits = self.tell(config, Arc::clone(&platform))?;
        let poller = OrderPoller::open(config, platform, permits, &self.ingress())?;
        self.pollers.extend(poller);
        Ok(())
    }

    /// Those that ask channels for their orders, to be run once messages are taken.
    pub(crate) fn take_pollers(&mut self) -> Vec<OrderPoller> {
        std::mem::take(&mut self.pollers)
    }

    /// Who reads the journals and has not dealt with all that is durable: the ERP worker, channels, followers. None means that the
    /// ERP has been asked whatever it is to be asked, and that every channel has been told what is newest.
    pub(crate) fn behind(&self) -> Vec<ConsumerLag> {
        let mut consumers = self.node.ingress().metrics().consumers;
        consumers.retain(|lag| lag.entries > 0);
        consumers
    }

    /// Lets the ERP worker and whoever tells others finish what they are at, and begin nothing more.
    pub(crate) fn stop_telling(&self) {
        self.stop.send_replace(true);
    }

    /// Finishes what has begun, stores what is left, and ends. Nobody may hand in messages any more.
    pub(crate) async fn stop(self) {
        self.stop_telling();
        if let Err(error) = self.erp.await {
            tracing::error!(%error, "the way to the ERP ended badly");
        }
        for channel in self.channels {
            // The sender is only ever dropped: the channel has saved its cursors.
            drop(channel.ended.await);
        }
        if let Some(cluster) = self.cluster {
            cluster.leave().await;
        }
        self.node.shutdown().await;
    }
}
