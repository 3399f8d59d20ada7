//! A node: its shards on threads of their own, the journal writer, and the way in.
//!
//! Each shard is a supervised actix actor on its own Arbiter. A turn of a shard runs without waiting; between turns the
//! actor sleeps until a message, a completion or an alarm. A turn that panics or fails costs the shard its state, which
//! is then built anew from what is durable.

mod driver;
mod stepped;

pub use driver::Step;
pub(crate) use driver::{Internal, Peer};
pub use stepped::SteppedNode;

use crate::elsewhere::{self, Outlet};
use crate::entity::Domain;
use crate::feed::FeedBoard;
use crate::health::{Health, HealthBoard};
use crate::ingress::{Ingress, Mailbox, Room, Shared};
use crate::metrics::{ShardCounters, WriterCounters};
use crate::placement::{PartitionId, Place, Places};
use crate::shard::{ConsumerProgress, ShardLimits, ShardWiring};
use crate::store::{Claim, Standing, Store, StoreError, StoreOpener};
use crate::time::Clock;
use crate::writer::{Move, ShardLink, Writer, WriterCommand};
use actix::prelude::*;
use crossbeam_channel::{Sender, bounded};
use driver::{Channels, Seat, ShardActor};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How a node is built.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// How many shards, each a thread: 1 to 256.
    pub shards: usize,
    /// How many deliveries a shard's mailbox holds.
    pub mailbox: usize,
    /// What bounds a shard.
    pub limits: ShardLimits,
    /// Who reads the journals: the journal is kept until all of them have.
    pub consumers: Vec<String>,
    /// How long a stopping node waits for its shards to finish what they have. What is left then was not acknowledged and
    /// comes again, or is durable and goes on at the next start.
    pub drain: Duration,
    /// Which partitions it has.
    pub holding: Holding,
}

/// Which partitions a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holding {
    /// All of them, from the start to the end.
    #[default]
    All,
    /// Those it is told to take up, until it is told to give them up.
    Granted,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            mailbox: 16_384,
            limits: ShardLimits::default(),
            consumers: Vec::new(),
            drain: Duration::from_secs(20),
            holding: Holding::All,
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A shard could not be built from the store.
    #[error("{0}")]
    Recovery(String),
    /// The operating system gave no thread.
    #[error("no thread for the journal writer: {0}")]
    Thread(#[from] std::io::Error),
    /// A number lies outside its range.
    #[error("{field} must be between {least} and {most}, not {actual}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// The smallest allowed.
        least: usize,
        /// The largest allowed.
        most: usize,
        /// What was given.
        actual: usize,
    },
}

/// How many batches a shard may have in the store's hands.
const IN_FLIGHT: usize = 2;
/// How many deliveries are taken out of the mailbox at a time.
const AT_ONCE: usize = 32;
/// How many messages between shards a queue holds.
const INTERNAL_QUEUE: usize = 65_536;
/// The longest a shard sleeps: now and then it looks for idle entities.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The pause after the second loss of a shard's state in a row, longer by as much after each, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a message to another node may be without acknowledgement before it is sent again.
const RESEND: Duration = Duration::from_secs(1);
/// How long the last commit is waited for when the node ends.
const LAST_COMMIT: Duration = Duration::from_secs(10);
/// How often other nodes are told again how far consumers have read in their partitions.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// A running node. Dropping it without [`Node::shutdown`] is like a crash: nothing durable is lost.
pub struct Node<D: Domain> {
    ingress: Ingress<D>,
    writer: Option<std::thread::JoinHandle<()>>,
    commands: Sender<WriterCommand>,
    arbiters: Vec<Arbiter>,
    drained: Vec<watch::Receiver<bool>>,
    drain: Duration,
    peers: Arc<Vec<Peer>>,
    outlet: Mutex<Option<Outlet<D>>>,
}

impl<D: Domain> Node<D> {
    /// Opens the store and builds the shards; returns when the node is ready. Needs a running actix system.
    ///
    /// # Errors
    /// [`StartError`] that says what a person should do.
    pub async fn start(
        config: NodeConfig,
        opener: Arc<dyn StoreOpener>,
        clock: Arc<dyn Clock>,
        reference: Arc<D::Reference>,
    ) -> Result<Self, StartError> {
        let parts = Parts::assemble(&config, opener, &clock, &reference, Depths::THREADED)?;
        let Parts {
            store,
            writer,
            seats,
            drained,
            shared,
            commands,
            outlet,
            drain,
        } = parts;
        let peers = Arc::clone(&shared.peers);
        let arbiters = seats.into_iter().map(ShardActor::spawn).collect();
        let writer = std::thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || writer.run(store))?;
        let node = Self {
            ingress: Ingress(Arc::new(shared)),
            writer: Some(writer),
            commands,
            arbiters,
            drained,
            drain,
            peers,
            outlet: Mutex::new(Some(outlet)),
        };
        node.until_ready().await?;
        Ok(node)
    }

    async fn until_ready(&self) -> Result<(), StartError> {
        let mut health = self.ingress.health();
        let settled = health
            .wait_for(|health| !matches!(health, Health::Starting))
            .await;
        match settled.as_deref() {
            Ok(Health::Degraded { reason }) => Err(StartError::Recovery(reason.clone())),
            Ok(Health::Ready | Health::Starting | Health::Draining) | Err(_) => Ok(()),
        }
    }

    /// The way in.
    #[must_use]
    pub fn ingress(&self) -> Ingress<D> {
        self.ingress.clone()
    }

    /// What is meant for other nodes. For one taker; the first who asks.
    #[must_use]
    pub fn outlet(&self) -> Option<Outlet<D>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Which partitions it has.
    #[must_use]
    pub fn places(&self) -> &Arc<Places> {
        self.ingress.places()
    }

    /// What moves partitions to and from it.
    #[must_use]
    pub fn hands(&self) -> Hands {
        Hands {
            commands: self.commands.clone(),
            peers: Arc::clone(&self.peers),
            places: Arc::clone(self.places()),
        }
    }

    /// Takes no more messages, finishes those it has, stores what is left, and ends.
    pub async fn shutdown(mut self) {
        self.ingress.close();
        for peer in self.peers.iter() {
            peer.tell(Internal::Drain);
        }
        if tokio::time::timeout(self.drain, self.until_drained())
            .await
            .is_err()
        {
            let waiting: usize = self.ingress.metrics().mailbox_depths.iter().sum();
            tracing::warn!(
                waiting,
                seconds = self.drain.as_secs(),
                "the shards did not finish in time; what is left was not acknowledged, or goes on at the next start"
            );
        }
        if self.commands.send(WriterCommand::Stop).is_err() {
            tracing::debug!("the journal writer has ended before it was told to");
        }
        let (writer, arbiters) = (self.writer.take(), std::mem::take(&mut self.arbiters));
        let (ended, all_ended) = oneshot::channel::<()>();
        // On a thread of its own: what waits in vain must not keep the process from its end.
        let joining = std::thread::Builder::new()
            .name("shutdown".to_owned())
            .spawn(move || {
                if writer.is_some_and(|writer| writer.join().is_err()) {
                    tracing::error!("the journal writer ended with a panic");
                }
                // The shards read from the store: whoever opens it next must find them gone.
                for arbiter in arbiters {
                    arbiter.stop();
                    if arbiter.join().is_err() {
                        tracing::error!("a shard's thread ended with a panic");
                    }
                }
                drop(ended);
            });
        if let Err(error) = joining {
            tracing::error!(%error, "the node's threads cannot be waited for");
        }
        if tokio::time::timeout(LAST_COMMIT, all_ended).await.is_err() {
            tracing::warn!(
                "the store does not answer; whether the last commit is in it shows at the next start"
            );
        }
    }
}

impl<D: Domain> Node<D> {
    async fn until_drained(&mut self) {
        for drained in &mut self.drained {
            // A shard whose thread has ended has nothing left to finish.
            drop(drained.wait_for(|drained| *drained).await);
        }
    }
}

impl<D: Domain> Drop for Node<D> {
    /// Without shards nobody is left to speak to the journal writer, which then ends too.
    fn drop(&mut self) {
        self.ingress.close();
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

/// How many words between shards and journal writer may be under way.
#[derive(Clone, Copy)]
struct Depths {
    commands_by_shard: usize,
    completions: usize,
}

impl Depths {
    const THREADED: Self = Self {
        commands_by_shard: 8,
        completions: 16,
    };
    /// Who steps both on one thread must not wait for either: more than a shard and the writer say before the other has its
    /// turn.
    const STEPPED: Self = Self {
        commands_by_shard: 1_024,
        completions: 1_024,
    };
}

/// A node before anything drives it.
struct Parts<D: Domain> {
    store: Box<dyn Store>,
    writer: Writer,
    seats: Vec<Seat<D>>,
    drained: Vec<watch::Receiver<bool>>,
    shared: Shared<D>,
    commands: Sender<WriterCommand>,
    outlet: Outlet<D>,
    drain: Duration,
}

impl<D: Domain> Parts<D> {
    fn assemble(
        config: &NodeConfig,
        opener: Arc<dyn StoreOpener>,
        clock: &Arc<dyn Clock>,
        reference: &Arc<D::Reference>,
        depths: Depths,
    ) -> Result<Self, StartError> {
        in_range("shards", config.shards, 1, 256)?;
        in_range("mailbox", config.mailbox, 1, 1 << 20)?;
        check(&config.limits)?;
        let store = opener.open()?;
        Standing::check(&*store.reader())?;
        let partitions = store.partition_count();
        let feeds = Arc::new(FeedBoard::new(partitions, config.consumers.clone()));
        let health = Arc::new(HealthBoard::new(config.shards));
        let writer_counters = Arc::new(WriterCounters::default());
        let (commands, writer_commands) = bounded(config.shards * depths.commands_by_shard);
        let (place, granted) = match config.holding {
            Holding::All => (Place::Here, true),
            Holding::Granted => (Place::Elsewhere, false),
        };
        let places = Arc::new(Places::new(partitions, place));
        let (away, outgoing, outlet) = elsewhere::open(config.mailbox);
        let (mut mailboxes, mut links, mut peers, mut threads) = (vec![], vec![], vec![], vec![]);
        for shard in 0..config.shards {
            let (deliveries, mailbox) = bounded(config.mailbox);
            let (internal_sender, internal) = bounded(INTERNAL_QUEUE);
            let (completion_sender, completions) = bounded(depths.completions);
            let (wake, room) = (Arc::new(Notify::new()), Arc::new(Room::default()));
            mailboxes.push(Mailbox {
                deliveries,
                wake: Arc::clone(&wake),
                room: Arc::clone(&room),
            });
            let own = partitions
                .all()
                .filter(|id| granted && usize::from(id.0) % config.shards == shard);
            links.push(ShardLink {
                claims: own.map(Claim::alone).collect(),
                completions: completion_sender,
                wake: Arc::clone(&wake),
            });
            peers.push(Peer {
                internal: internal_sender,
                wake: Arc::clone(&wake),
            });
            threads.push(Channels {
                mailbox,
                internal,
                completions,
                wake,
                room,
            });
        }
        let peers = Arc::new(peers);
        let shard_counters: Vec<_> = (0..config.shards)
            .map(|_| Arc::new(ShardCounters::default()))
            .collect();
        let consumers: Arc<dyn ConsumerProgress> = Arc::clone(&feeds) as _;
        let (mut seats, mut drained) = (vec![], vec![]);
        for (index, channels) in threads.into_iter().enumerate() {
            let (drained_sender, drained_receiver) = watch::channel(false);
            drained.push(drained_receiver);
            let seat = Seat {
                index,
                wiring: ShardWiring {
                    partition_count: partitions,
                    reference: Arc::clone(reference),
                    consumers: Arc::clone(&consumers),
                    limits: config.limits,
                    counters: Arc::clone(&shard_counters[index]),
                },
                channels,
                commands: commands.clone(),
                peers: Arc::clone(&peers),
                places: Arc::clone(&places),
                feeds: Arc::clone(&feeds),
                outgoing: outgoing.clone(),
                clock: Arc::clone(clock),
                health: Arc::clone(&health),
                drained: drained_sender,
            };
            seats.push(seat);
        }
        let writer = Writer {
            opener,
            shards: links,
            commands: writer_commands,
            feeds: Arc::clone(&feeds),
            health: Arc::clone(&health),
            counters: Arc::clone(&writer_counters),
            generations: vec![0; config.shards],
        };
        let shared = Shared {
            partitions,
            mailboxes,
            away,
            places,
            peers: Arc::clone(&peers),
            reference: Arc::clone(reference),
            health,
            feeds,
            shard_counters,
            writer_counters,
            closed: AtomicBool::new(false),
        };
        Ok(Self {
            store,
            writer,
            seats,
            drained,
            shared,
            commands,
            outlet,
            drain: config.drain,
        })
    }
}

/// Moves partitions to and from a node. Cheap to clone.
#[derive(Clone)]
pub struct Hands {
    commands: Sender<WriterCommand>,
    peers: Arc<Vec<Peer>>,
    places: Arc<Places>,
}

impl Hands {
    /// Begins to take up partitions, as far as nobody has acquired them under a newer tenure. [`Places`] tells when they are
    /// here, or elsewhere again. Taking up again what is here does nothing.
    pub fn take_up(&self, claims: &[Claim]) {
        for shard in 0..self.peers.len() {
            let own = |claim: &&Claim| usize::from(claim.partition.0) % self.peers.len() == shard;
            let claims: Vec<Claim> = claims.iter().filter(own).copied().collect();
            for claim in &claims {
                self.places
                    .change(claim.partition, Place::Elsewhere, Place::Coming);
            }
            if !claims.is_empty()
                && self
                    .commands
                    .send(WriterCommand::Move(Move::TakeUp { shard, claims }))
                    .is_err()
            {
                tracing::debug!("the journal writer has ended");
            }
        }
    }

    /// Begins to give up partitions: nothing more is taken for them, what was decided is stored, their state is dropped.
    /// [`Places`] tells when they are elsewhere.
    pub fn give_up(&self, partitions: &[PartitionId]) {
        for &partition in partitions {
            if self.places.change(partition, Place::Here, Place::Leaving) {
                self.peers[usize::from(partition.0) % self.peers.len()].tell(Internal::GiveUp(partition));
            }
        }
    }
}

/// A limit of 0 would let nothing through, and one beyond these would be no limit.
fn check(limits: &ShardLimits) -> Result<(), StartError> {
    in_range("limits.batch_entries", limits.batch_entries, 1, 1 << 16)?;
    in_range("limits.batch_bytes", limits.batch_bytes, 1, 1 << 30)?;
    in_range("limits.dedupe_window", limits.dedupe_window, 1, 1 << 24)?;
    in_range("limits.attempts", limits.attempts as usize, 1, 100)?;
    in_range("limits.outbox", limits.outbox, 1, 1 << 24)
}

fn in_range(field: &'static str, actual: usize, least: usize, most: usize) -> Result<(), StartError> {
    if (least..=most).contains(&actual) {
        return Ok(());
    }
    Err(StartError::OutOfRange {
        field,
        least,
        most,
        actual,
    })
}
