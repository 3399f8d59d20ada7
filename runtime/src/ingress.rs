//! The way in: from any thread to the shard that holds the partition.
//!
//! A full mailbox is back-pressure, never loss: the delivery is given back, or waited with.
//!
//! Nothing from outside reaches a shard but through here, and nothing passes here that the domain has not admitted.

use crate::elsewhere::Between;
use crate::entity::{AddressedMessage, Domain};
use crate::feed::{ConsumerLag, Feed, FeedBoard, FeedFilter, NotOpened, Pass, UnknownConsumer};
use crate::health::{Health, HealthBoard};
use crate::message::{Delivery, Envelope, Outcome, Responder};
use crate::metrics::{ShardCounters, ShardMetrics, WriterCounters, WriterMetrics};
use crate::node::{Internal, Peer};
use crate::notes::Notebook;
use crate::placement::{PartitionCount, PartitionId, Place, Places};
use crate::store::StoreReader;
use crossbeam_channel::{Sender, TrySendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Notify, oneshot, watch};

/// A delivery that was not taken, and why.
#[derive(Debug)]
pub struct Rejected<D: Domain> {
    /// The delivery, as it was given.
    pub delivery: Delivery<D>,
    /// Why.
    pub cause: RejectCause,
}

/// Why a delivery was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectCause {
    /// The shard has as much to do as its mailbox holds; try again soon.
    #[error("the shard is busy; try again soon")]
    Full,
    /// The node is starting, or its store has failed; it says more in its health.
    #[error("the node is not ready")]
    NotReady,
    /// The node is stopping.
    #[error("the node is stopping")]
    Closed,
}

/// One shard's mailbox from outside.
pub(crate) struct Mailbox<D: Domain> {
    pub(crate) deliveries: Sender<Delivery<D>>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) room: Arc<Room>,
}

/// Tells those who wait that a mailbox has room again.
#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: AtomicUsize,
    notify: Notify,
}

impl Room {
    pub(crate) fn announce(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.notify.notify_waiters();
        }
    }
}

/// Somebody who waits for room, until they stop waiting for whatever reason.
struct Waiting<'a>(&'a Room);

impl<'a> Waiting<'a> {
    fn begin(room: &'a Room) -> Self {
        room.waiting.fetch_add(1, Ordering::AcqRel);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(crate) struct Shared<D: Domain> {
    pub(crate) partitions: PartitionCount,
    pub(crate) mailboxes: Vec<Mailbox<D>>,
    /// For partitions of other nodes.
    pub(crate) away: Mailbox<D>,
    pub(crate) places: Arc<Places>,
    pub(crate) peers: Arc<Vec<Peer>>,
    pub(crate) reference: Arc<D::Reference>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) feeds: Arc<FeedBoard>,
    pub(crate) shard_counters: Vec<Arc<ShardCounters>>,
    pub(crate) writer_counters: Arc<WriterCounters>,
    pub(crate) closed: AtomicBool,
}

impl<D: Domain> Shared<D> {
    /// Where a delivery has to go in.
    fn mailbox(&self, delivery: &Delivery<D>) -> &Mailbox<D> {
        let partition = self.partition_of(&delivery.envelope);
        if self.places.is_here(partition) {
            self.mailbox_of(partition)
        } else {
            &self.away
        }
    }

    /// That of the shard that has a partition of this node.
    fn mailbox_of(&self, partition: PartitionId) -> &Mailbox<D> {
        &self.mailboxes[usize::from(partition.0) % self.mailboxes.len()]
    }

    fn partition_of(&self, envelope: &Envelope<D>) -> PartitionId {
        self.partitions.partition_of(envelope.message.routing_key())
    }
}

/// What the node has done, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeMetrics {
    /// By shard.
    pub shards: Vec<ShardMetrics>,
    /// By shard: deliveries waiting in the mailbox.
    pub mailbox_depths: Vec<usize>,
    /// The journal writer.
    pub writer: WriterMetrics,
    /// How far the consumers of the journals are behind.
    pub consumers: Vec<ConsumerLag>,
}

/// A handle for sending messages to entities. Cheap to clone.
pub struct Ingress<D: Domain>(pub(crate) Arc<Shared<D>>);

impl<D: Domain> Clone for Ingress<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Domain> Ingress<D> {
    /// Hands a delivery to its shard without waiting, as far as [`Domain::admit`] lets it.
    ///
    /// # Errors
    /// [`Rejected`] gives the delivery back.
    pub fn try_submit(&self, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        let delivery = self.admit(delivery)?;
        let mailbox = self.0.mailbox(&delivery);
        Self::push(mailbox, delivery)
    }

    /// The same for whoever keeps what belongs to partition `own` until this node has it: such a message goes to no other node.
    ///
    /// # Errors
    /// [`Rejected`] gives the delivery back, with [`RejectCause::NotReady`] also when `own` is not here.
    pub fn try_submit_of(&self, own: PartitionId, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        let delivery = self.admit(delivery)?;
        // Looked at once: a message that finds the partition closed afterwards is not taken by its shard, nor are those after it.
        if self.0.partition_of(&delivery.envelope) == own {
            return self.push_here(own, delivery);
        }
        let mailbox = self.0.mailbox(&delivery);
        Self::push(mailbox, delivery)
    }

    /// A delivery as far as [`Domain::admit`] lets it, unless nothing is taken.
    fn admit(&self, delivery: Delivery<D>) -> Result<Delivery<D>, Rejected<D>> {
        let shared = &*self.0;
        if shared.closed.load(Ordering::Acquire) {
            return Err(Rejected {
                delivery,
                cause: RejectCause::Closed,
            });
        }
        if !shared.health.is_ready() {
            return Err(Rejected {
                delivery,
                cause: RejectCause::NotReady,
            });
        }
        let Delivery { envelope, responder } = delivery;
        Ok(Delivery {
            envelope: D::admit(&shared.reference, envelope),
            responder,
        })
    }

    fn push_here(&self, partition: PartitionId, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        if !self.0.places.is_here(partition) {
            let cause = RejectCause::NotReady;
            return Err(Rejected { delivery, cause });
        }
        Self::push(self.0.mailbox_of(partition), delivery)
    }

    fn push(mailbox: &Mailbox<D>, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        match mailbox.deliveries.try_send(delivery) {
            Ok(()) => {
                mailbox.wake.notify_one();
                Ok(())
            }
            Err(TrySendError::Full(delivery)) => Err(Rejected {
                delivery,
                cause: RejectCause::Full,
            }),
            Err(TrySendError::Disconnected(delivery)) => Err(Rejected {
                delivery,
                cause: RejectCause::Closed,
            }),
        }
    }

    /// Hands a delivery to its shard, waiting for room and, while the node starts or its store has failed, for that.
    ///
    /// # Errors
    /// [`Rejected`] with [`RejectCause::Closed`] when the node stops.
    pub async fn submit(&self, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        let mut delivery = delivery;
        loop {
            match self.try_submit(delivery) {
                Ok(()) => return Ok(()),
                Err(rejected) => match rejected.cause {
                    RejectCause::Closed => return Err(rejected),
                    RejectCause::NotReady => {
                        delivery = rejected.delivery;
                        self.until_ready().await;
                    }
                    RejectCause::Full => match self.wait_for_room(rejected.delivery).await {
                        Ok(()) => return Ok(()),
                        Err(rejected) if rejected.cause == RejectCause::Closed => return Err(rejected),
                        Err(rejected) => delivery = rejected.delivery,
                    },
                },
            }
        }
    }

    async fn until_ready(&self) {
        let mut health = self.0.health.watch();
        // The board lives as long as this handle, so the watch never ends early.
        drop(
            health
                .wait_for(|health| matches!(health, Health::Ready | Health::Draining))
                .await,
        );
    }

    async fn wait_for_room(&self, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        let room = &self.0.mailbox(&delivery).room;
        let _waiting = Waiting::begin(room);
        let mut notified = std::pin::pin!(room.notify.notified());
        notified.as_mut().enable();
        match self.try_submit(delivery) {
            Err(rejected) if rejected.cause == RejectCause::Full => {
                notified.await;
                Err(rejected)
            }
            other => other,
        }
    }

    /// Takes nothing more, and tells those who wait.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.health.draining();
        for mailbox in self.0.mailboxes.iter().chain([&self.0.away]) {
            mailbox.room.notify.notify_waiters();
        }
    }

    /// Sends a message and waits for its outcome, which is durable by then.
    ///
    /// # Errors
    /// [`Rejected`] if it was not taken.
    pub async fn ask(&self, envelope: Envelope<D>) -> Result<Outcome<D::Reply>, Rejected<D>> {
        let (sender, receiver) = oneshot::channel();
        let responder = Responder::once(sender);
        self.hand_in(Delivery { envelope, responder }, receiver).await
    }

    /// The same for whoever keeps the message whatever becomes of it: if it cannot be digested, no letter is made of it.
    ///
    /// # Errors
    /// [`Rejected`] if it was not taken.
    pub async fn ask_keeping(&self, envelope: Envelope<D>) -> Result<Outcome<D::Reply>, Rejected<D>> {
        let (sender, receiver) = oneshot::channel();
        let responder = Responder::keeper(sender);
        self.hand_in(Delivery { envelope, responder }, receiver).await
    }

    async fn hand_in(
        &self,
        delivery: Delivery<D>,
        receiver: oneshot::Receiver<Outcome<D::Reply>>,
    ) -> Result<Outcome<D::Reply>, Rejected<D>> {
        self.try_submit(delivery)?;
        Ok(receiver.await.unwrap_or(Outcome::Unavailable))
    }

    /// Which partitions this node has.
    #[must_use]
    pub fn places(&self) -> &Arc<Places> {
        &self.0.places
    }

    /// Hands a delivery that another node has taken in to its shard. It has been admitted there.
    ///
    /// # Errors
    /// [`Rejected`] gives the delivery back, also when its partition is not here.
    pub fn take_in(&self, delivery: Delivery<D>) -> Result<(), Rejected<D>> {
        if !self.0.health.is_ready() {
            let cause = RejectCause::NotReady;
            return Err(Rejected { delivery, cause });
        }
        self.push_here(self.0.partition_of(&delivery.envelope), delivery)
    }

    /// Hands what another node has sent to who it is for, as an entity's message to its shard. What is not taken comes again.
    pub fn take_between(&self, between: Between) {
        let of = |partition: PartitionId| {
            let shared = &*self.0;
            let is_here = shared.places.of(partition) == Place::Here;
            is_here.then(|| &shared.peers[usize::from(partition.0) % shared.peers.len()])
        };
        let peer = of(between.partition());
        let internal = match between {
            Between::Message(message) => Internal::Message(message),
            Between::Acknowledged(acknowledgement) => Internal::Acknowledged(acknowledgement),
            Between::Progress(progress) => return self.0.feeds.hear(&progress),
        };
        if let Some(peer) = peer {
            if peer.internal.try_send(internal).is_err() {
                tracing::debug!("a shard's queue is full; the sender sends again");
            }
            peer.wake.notify_one();
        }
    }

    /// Where a keeper notes small numbers: in the partition of a routing key.
    #[must_use]
    pub fn notebook(&self, keeper: &str, key: &[u8]) -> Notebook {
        Notebook {
            board: Arc::clone(&self.0.feeds),
            keeper: keeper.to_owned(),
            partition: self.0.partitions.partition_of(key),
        }
    }

    /// The shared read models.
    #[must_use]
    pub fn reference(&self) -> &Arc<D::Reference> {
        &self.0.reference
    }

    /// The node's health, and every change of it.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.watch()
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> PartitionCount {
        self.0.partitions
    }

    /// What the node has done since it started.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            shards: self
                .0
                .shard_counters
                .iter()
                .map(|counters| counters.read())
                .collect(),
            mailbox_depths: self
                .0
                .mailboxes
                .iter()
                .map(|mailbox| mailbox.deliveries.len())
                .collect(),
            writer: self.0.writer_counters.read(),
            consumers: self.0.feeds.lags(),
        }
    }

    /// A reader of what is committed; `None` while the store is away. Not to be kept: the store is opened anew only once
    /// all readers of it are gone.
    #[must_use]
    pub fn reader(&self) -> Option<Arc<dyn StoreReader>> {
        self.0.feeds.reader()
    }

    /// A consumer's reading of the journals, from its cursor on. One task owns it.
    ///
    /// # Errors
    /// [`UnknownConsumer`] if the node was not started with this name.
    pub fn feed(&self, consumer: &str, filter: FeedFilter) -> Result<Feed, UnknownConsumer> {
        self.0.feeds.feed(consumer, filter)
    }

    /// The same of all partitions, wherever they are: for whoever does one thing for all nodes, and is the only one at a time. What
    /// other nodes write comes once the read models here show it. Reads the store.
    ///
    /// # Errors
    /// [`NotOpened`] says why.
    pub fn feed_of_all(&self, consumer: &str, filter: FeedFilter) -> Result<Feed, NotOpened> {
        self.0.feeds.feed_of_all(consumer, filter)
    }

    /// Whether the node was started with this consumer.
    ///
    /// # Errors
    /// [`UnknownConsumer`] if not.
    pub fn declares(&self, consumer: &str) -> Result<(), UnknownConsumer> {
        self.0.feeds.find(consumer).map(drop)
    }

    /// The next look at what other nodes have written. It shows all that they had committed when this was asked.
    #[must_use]
    pub fn next_pass(&self) -> Pass {
        self.0.feeds.next_pass()
    }

    /// Whether the read models show all that had been committed when `pass` was the next one.
    #[must_use]
    pub fn has_followed(&self, pass: Pass) -> bool {
        self.0.feeds.is_complete(pass) || self.0.places.all(Place::Elsewhere).is_empty()
    }

    /// Waits for that.
    pub async fn until_followed(&self, pass: Pass) {
        let (mut passes, mut changes) = (self.0.feeds.passes(), self.0.places.changes());
        while !self.has_followed(pass) {
            // Either way it is looked at again; the boards live as long as this handle.
            tokio::select! {
                _ = passes.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Who follows other nodes says what it has read.
    pub(crate) fn feeds(&self) -> &Arc<FeedBoard> {
        &self.0.feeds
    }
}
