//! A node: its shards on threads of their own, the journal writer, and the way in.
//!
//! Each shard is a supervised actix actor on its own Arbiter. A turn of a shard runs without waiting; between turns the
//! actor sleeps until a message, a completion or an alarm. A turn that panics or fails costs the shard its state, which
//! is then built anew from what is durable.

use crate::entity::Domain;
use crate::feed::FeedBoard;
use crate::health::{Health, HealthBoard};
use crate::ingress::{Ingress, Mailbox, Room, Shared};
use crate::message::{Delivery, InternalMessage};
use crate::metrics::{ShardCounters, WriterCounters};
use crate::placement::PartitionId;
use crate::shard::{
    Acknowledgement, ConsumerProgress, Released, Shard, ShardError, ShardLimits, ShardWiring,
};
use crate::store::{StoreError, StoreOpener};
use crate::time::Clock;
use crate::writer::{Completion, ShardLink, Writer, WriterCommand};
use actix::prelude::*;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

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
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            mailbox: 16_384,
            limits: ShardLimits::default(),
            consumers: Vec::new(),
            drain: Duration::from_secs(20),
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

/// A running node. Dropping it without [`Node::shutdown`] is like a crash: nothing durable is lost.
pub struct Node<D: Domain> {
    ingress: Ingress<D>,
    writer: Option<std::thread::JoinHandle<()>>,
    commands: Sender<WriterCommand>,
    arbiters: Vec<Arbiter>,
    drained: Vec<watch::Receiver<bool>>,
    drain: Duration,
    peers: Arc<Vec<Peer>>,
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
        in_range("shards", config.shards, 1, 256)?;
        in_range("mailbox", config.mailbox, 1, 1 << 20)?;
        check(&config.limits)?;
        let store = opener.open()?;
        let partitions = store.partition_count();
        let feeds = Arc::new(FeedBoard::new(partitions, config.consumers.clone()));
        let health = Arc::new(HealthBoard::new(config.shards));
        let writer_counters = Arc::new(WriterCounters::default());
        let (commands, writer_commands) = bounded(config.shards * 8);
        let (mut mailboxes, mut links, mut peers, mut threads) = (vec![], vec![], vec![], vec![]);
        for shard in 0..config.shards {
            let (deliveries, mailbox) = bounded(config.mailbox);
            let (internal_sender, internal) = bounded(INTERNAL_QUEUE);
            let (completion_sender, completions) = bounded(16);
            let (wake, room) = (Arc::new(Notify::new()), Arc::new(Room::default()));
            mailboxes.push(Mailbox {
                deliveries,
                wake: Arc::clone(&wake),
                room: Arc::clone(&room),
            });
            let own = partitions
                .all()
                .filter(|id| usize::from(id.0) % config.shards == shard);
            links.push(ShardLink {
                partitions: own.collect(),
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
        let (mut arbiters, mut drained) = (vec![], vec![]);
        for (index, channels) in threads.into_iter().enumerate() {
            let (drained_sender, drained_receiver) = watch::channel(false);
            drained.push(drained_receiver);
            let seat = Seat {
                index,
                wiring: ShardWiring {
                    partition_count: partitions,
                    reference: Arc::clone(&reference),
                    consumers: Arc::clone(&consumers),
                    limits: config.limits,
                    counters: Arc::clone(&shard_counters[index]),
                },
                channels,
                commands: commands.clone(),
                peers: Arc::clone(&peers),
                clock: Arc::clone(&clock),
                health: Arc::clone(&health),
                drained: drained_sender,
            };
            arbiters.push(ShardActor::spawn(seat));
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
        let writer = std::thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || writer.run(store))?;
        let shared = Shared {
            partitions,
            mailboxes,
            reference,
            health,
            feeds,
            shard_counters,
            writer_counters,
            closed: AtomicBool::new(false),
        };
        let node = Self {
            ingress: Ingress(Arc::new(shared)),
            writer: Some(writer),
            commands,
            arbiters,
            drained,
            drain: config.drain,
            peers,
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
        if let Some(writer) = self.writer.take()
            && tokio::task::spawn_blocking(move || writer.join()).await.is_err()
        {
            tracing::error!("the journal writer could not be waited for");
        }
        let arbiters = std::mem::take(&mut self.arbiters);
        let ended = tokio::task::spawn_blocking(move || {
            // The shards read from the store: whoever opens it next must find them gone.
            for arbiter in arbiters {
                arbiter.stop();
                if arbiter.join().is_err() {
                    tracing::error!("a shard's thread ended with a panic");
                }
            }
        });
        if ended.await.is_err() {
            tracing::error!("the shards could not be waited for");
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

/// What shards tell each other.
#[derive(Debug)]
enum Internal {
    Message(Arc<InternalMessage>),
    Acknowledged(Acknowledgement),
    /// A shard has been built anew and may have lost what was sent to it.
    Resend {
        shard: usize,
    },
    Drain,
}

#[derive(Debug)]
struct Peer {
    internal: Sender<Internal>,
    wake: Arc<Notify>,
}

impl Peer {
    fn tell(&self, internal: Internal) {
        if self.internal.send(internal).is_err() {
            tracing::debug!("a shard has gone");
        }
        self.wake.notify_one();
    }
}

struct Channels<D: Domain> {
    mailbox: Receiver<Delivery<D>>,
    internal: Receiver<Internal>,
    completions: Receiver<Completion>,
    wake: Arc<Notify>,
    room: Arc<Room>,
}

impl<D: Domain> Drop for Channels<D> {
    /// A bounded channel keeps what is in it as long as any handle on it lives: whoever waits for these deliveries must not
    /// wait for that.
    fn drop(&mut self) {
        for delivery in self.mailbox.try_iter() {
            drop(delivery);
        }
    }
}

/// Everything a shard's thread needs, whichever incarnation of its state sits in it.
struct Seat<D: Domain> {
    index: usize,
    wiring: ShardWiring<D>,
    channels: Channels<D>,
    commands: Sender<WriterCommand>,
    peers: Arc<Vec<Peer>>,
    clock: Arc<dyn Clock>,
    health: Arc<HealthBoard>,
    drained: watch::Sender<bool>,
}

/// The shard as an actix actor.
struct ShardActor<D: Domain> {
    driver: Option<Box<Driver<D>>>,
}

impl<D: Domain> ShardActor<D> {
    fn spawn(seat: Seat<D>) -> Arbiter {
        let arbiter = Arbiter::new();
        let started = arbiter.spawn_fn(move || {
            // The address is kept by the actor's own context as long as it runs.
            Supervisor::start(move |_| Self {
                driver: Some(Box::new(Driver::new(seat))),
            });
        });
        if !started {
            tracing::error!("a shard's thread ended before it began");
        }
        arbiter
    }
}

impl<D: Domain> Actor for ShardActor<D> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(driver) = self.driver.take() {
            context.spawn(driver.run().into_actor(self));
        }
    }
}

impl<D: Domain> Supervised for ShardActor<D> {}

/// What a turn came to.
enum Turn {
    /// Something was done; there may be more.
    Worked,
    /// Nothing to do until woken, or until then.
    Idle(Duration),
}

/// Drives a shard: see the module.
struct Driver<D: Domain> {
    seat: Seat<D>,
    shard: Option<Shard<D>>,
    generation: u64,
    /// Out of the mailbox, and next to be handled.
    taken: VecDeque<Delivery<D>>,
    /// Messages for shards whose queues were full, in order for each.
    outgoing: VecDeque<(usize, Internal)>,
    draining: bool,
    /// How often the state was lost since a batch was last stored.
    losses: u32,
}

impl<D: Domain> Driver<D> {
    fn new(seat: Seat<D>) -> Self {
        Self {
            seat,
            shard: None,
            generation: 0,
            taken: VecDeque::with_capacity(AT_ONCE),
            outgoing: VecDeque::new(),
            draining: false,
            losses: 0,
        }
    }

    async fn run(mut self) {
        loop {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn()));
            match turn {
                Ok(Ok(Turn::Worked)) => tokio::task::yield_now().await,
                Ok(Ok(Turn::Idle(longest))) => {
                    // Either way the next turn looks at everything.
                    drop(tokio::time::timeout(longest, self.seat.channels.wake.notified()).await);
                }
                Ok(Err(error)) => self.lose_state(&error.to_string()).await,
                Err(_) => self.lose_state("a shard panicked").await,
            }
        }
    }

    /// Throws the state away and asks for the partitions anew; after a pause if that has not helped before.
    async fn lose_state(&mut self, reason: &str) {
        tracing::error!(
            shard = self.seat.index,
            reason,
            "the shard is built anew from what is durable"
        );
        self.shard = None;
        self.seat.health.shard_starting(self.seat.index);
        let pause = FIRST_PAUSE.saturating_mul(self.losses).min(LONGEST_PAUSE);
        self.losses = self.losses.saturating_add(1);
        tokio::time::sleep(pause).await;
        if self
            .seat
            .commands
            .send(WriterCommand::Reacquire {
                shard: self.seat.index,
            })
            .is_err()
        {
            self.seat
                .health
                .shard_failed(self.seat.index, "the journal writer has ended".to_owned());
        }
    }

    fn turn(&mut self) -> Result<Turn, ShardError> {
        let mut worked = self.take_completions()?;
        worked |= self.flush_outgoing();
        if self.shard.is_none() {
            self.discard_internal();
            if self.draining {
                self.seat.drained.send_replace(true);
            }
            return Ok(if worked {
                Turn::Worked
            } else {
                Turn::Idle(LONGEST_SLEEP)
            });
        }
        worked |= self.take_internal()?;
        worked |= self.take_deliveries()?;
        worked |= self.hand_over()?;
        self.finish_drain();
        if worked {
            return Ok(Turn::Worked);
        }
        let now = self.seat.clock.now();
        let next_alarm = self.shard.as_ref().and_then(Shard::next_alarm);
        let sleep = next_alarm.map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP));
        Ok(Turn::Idle(sleep.max(Duration::from_millis(1))))
    }

    fn take_completions(&mut self) -> Result<bool, ShardError> {
        let mut worked = false;
        while let Ok(completion) = self.seat.channels.completions.try_recv() {
            worked = true;
            match completion {
                Completion::Stored { number, batch } => {
                    let now = self.seat.clock.now();
                    if let Some(shard) = &mut self.shard
                        && shard.in_flight() > 0
                    {
                        shard.reclaim(batch);
                        let released = shard.committed(number, now)?;
                        self.losses = 0;
                        self.route(released);
                    }
                }
                Completion::Failed => {
                    self.shard = None;
                    self.outgoing.clear();
                }
                Completion::Opened {
                    generation,
                    states,
                    reader,
                } => {
                    self.generation = generation;
                    self.shard = None;
                    self.seat.health.shard_starting(self.seat.index);
                    self.recover(&states, reader)?;
                }
            }
        }
        Ok(worked)
    }

    fn recover(
        &mut self,
        states: &[crate::store::PartitionState],
        reader: Arc<dyn crate::store::StoreReader>,
    ) -> Result<(), ShardError> {
        let index = self.seat.index;
        self.seat
            .wiring
            .counters
            .recoveries
            .fetch_add(1, Ordering::Relaxed);
        match Shard::recover(self.seat.wiring.clone(), states, reader) {
            Ok(shard) => {
                let own: Vec<_> = shard.unacknowledged(|_| true);
                self.shard = Some(shard);
                self.route(Released {
                    sends: own,
                    acknowledgements: Vec::new(),
                });
                for peer in (0..self.seat.peers.len()).filter(|peer| *peer != index) {
                    self.outgoing.push_back((peer, Internal::Resend { shard: index }));
                }
                self.seat.health.shard_ready(index);
                Ok(())
            }
            Err(error) => {
                // Never repaired silently: the node stays not ready until a person has acted.
                tracing::error!(shard = index, %error, "the shard cannot be built from the store");
                self.seat.health.shard_failed(index, error.to_string());
                Ok(())
            }
        }
    }

    /// Without state nothing can be taken; senders keep what is theirs and are asked for it again.
    fn discard_internal(&mut self) {
        while let Ok(internal) = self.seat.channels.internal.try_recv() {
            self.draining |= matches!(internal, Internal::Drain);
        }
    }

    fn take_internal(&mut self) -> Result<bool, ShardError> {
        let now = self.seat.clock.now();
        let mut worked = false;
        while let Some(shard) = &mut self.shard
            && !shard.is_closed()
        {
            let Ok(internal) = self.seat.channels.internal.try_recv() else {
                break;
            };
            worked = true;
            match internal {
                Internal::Message(message) => shard.handle_internal(&message, now)?,
                Internal::Acknowledged(acknowledgement) => shard.acknowledged(acknowledgement),
                Internal::Resend { shard: peer } => {
                    let shards = self.seat.peers.len();
                    let again = shard.unacknowledged(|to| usize::from(to.0) % shards == peer);
                    self.route(Released {
                        sends: again,
                        acknowledgements: Vec::new(),
                    });
                }
                Internal::Drain => self.draining = true,
            }
        }
        Ok(worked)
    }

    fn take_deliveries(&mut self) -> Result<bool, ShardError> {
        let Some(shard) = &mut self.shard else {
            return Ok(false);
        };
        let now = self.seat.clock.now();
        shard.wake_due(now)?;
        let mut worked = false;
        while !shard.is_full() {
            if self.taken.is_empty() {
                self.taken
                    .extend(self.seat.channels.mailbox.try_iter().take(AT_ONCE));
                shard.look_ahead(&self.taken);
            }
            let Some(delivery) = self.taken.pop_front() else {
                break;
            };
            shard.handle(delivery, now)?;
            worked = true;
        }
        if worked {
            self.seat.channels.room.announce();
        }
        Ok(worked)
    }

    /// Hands the open batch to the store if the store has room for it.
    fn hand_over(&mut self) -> Result<bool, ShardError> {
        let Some(shard) = &mut self.shard else {
            return Ok(false);
        };
        let now = self.seat.clock.now();
        shard.reload_if_possible(now)?;
        // With one batch at the store a second waits there only if it is worth a sync of its own.
        let half = self.seat.wiring.limits.batch_entries / 2;
        let ready = shard.in_flight() == 0 || (shard.in_flight() < IN_FLIGHT && shard.open_entries() >= half);
        if !ready {
            return Ok(false);
        }
        if let Some((number, batch)) = shard.take_batch(now) {
            let command = WriterCommand::Commit {
                shard: self.seat.index,
                generation: self.generation,
                number,
                batch,
            };
            if self.seat.commands.send(command).is_err() {
                return Err(StoreError::Failed("the journal writer has ended".to_owned()).into());
            }
            return Ok(true);
        }
        let released = shard.release_idle()?;
        let worked = !released.sends.is_empty() || !released.acknowledgements.is_empty();
        self.route(released);
        Ok(worked)
    }

    /// Sends what a durable batch owes to other entities, also to those of this shard.
    fn route(&mut self, released: Released) {
        let shards = self.seat.peers.len();
        let shard_of = |partition: PartitionId| usize::from(partition.0) % shards;
        for message in released.sends {
            self.outgoing
                .push_back((shard_of(message.to), Internal::Message(message)));
        }
        for acknowledgement in released.acknowledgements {
            let to = shard_of(acknowledgement.from);
            self.outgoing
                .push_back((to, Internal::Acknowledged(acknowledgement)));
        }
        self.flush_outgoing();
    }

    /// Never waits: two shards that wait for each other's queues would wait forever.
    fn flush_outgoing(&mut self) -> bool {
        let mut blocked: Vec<usize> = Vec::new();
        let mut waiting = VecDeque::new();
        let mut worked = false;
        for (peer, internal) in std::mem::take(&mut self.outgoing) {
            if blocked.contains(&peer) {
                waiting.push_back((peer, internal));
                continue;
            }
            let target = &self.seat.peers[peer];
            match target.internal.try_send(internal) {
                Ok(()) => {
                    worked = true;
                    target.wake.notify_one();
                }
                Err(TrySendError::Full(internal)) => {
                    blocked.push(peer);
                    waiting.push_back((peer, internal));
                }
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        self.outgoing = waiting;
        worked
    }

    /// Reports as drained once nothing is left that was taken in and is not durable. Conversations between entities that
    /// are still under way go on when the node starts again.
    fn finish_drain(&mut self) {
        let Some(shard) = &self.shard else { return };
        if self.draining
            && self.taken.is_empty()
            && self.seat.channels.mailbox.is_empty()
            && shard.in_flight() == 0
            && shard.is_settled()
        {
            self.seat.drained.send_replace(true);
        }
    }
}
