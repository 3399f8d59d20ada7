//! What drives a shard on its thread: turns, completions, messages between shards and nodes.

use super::{AT_ONCE, FIRST_PAUSE, IN_FLIGHT, LONGEST_PAUSE, LONGEST_SLEEP, RESEND, TELL_AGAIN};
use crate::elsewhere::{Between, Outgoing};
use crate::entity::Domain;
use crate::feed::FeedBoard;
use crate::health::HealthBoard;
use crate::ingress::Room;
use crate::journal::Malformed;
use crate::message::{Delivery, InternalMessage};
use crate::placement::{PartitionId, Place, Places};
use crate::shard::{Acknowledgement, Released, Shard, ShardError, ShardWiring};
use crate::store::{PartitionState, StoreError, StoreReader};
use crate::time::{Clock, Timestamp};
use crate::writer::{Completion, Move, WriterCommand};
use actix::prelude::*;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What shards tell each other.
#[derive(Debug)]
pub(crate) enum Internal {
    Message(Arc<InternalMessage>),
    Acknowledged(Acknowledgement),
    /// A shard has been built anew and may have lost what was sent to it.
    Resend {
        shard: usize,
    },
    /// Another node is to have this partition.
    GiveUp(PartitionId),
    Drain,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) internal: Sender<Internal>,
    pub(crate) wake: Arc<Notify>,
}

impl Peer {
    pub(crate) fn tell(&self, internal: Internal) {
        if self.internal.send(internal).is_err() {
            tracing::debug!("a shard has gone");
        }
        self.wake.notify_one();
    }
}

pub(super) struct Channels<D: Domain> {
    pub(super) mailbox: Receiver<Delivery<D>>,
    pub(super) internal: Receiver<Internal>,
    pub(super) completions: Receiver<Completion>,
    pub(super) wake: Arc<Notify>,
    pub(super) room: Arc<Room>,
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
pub(super) struct Seat<D: Domain> {
    pub(super) index: usize,
    pub(super) wiring: ShardWiring<D>,
    pub(super) channels: Channels<D>,
    pub(super) commands: Sender<WriterCommand>,
    pub(super) peers: Arc<Vec<Peer>>,
    pub(super) places: Arc<Places>,
    pub(super) feeds: Arc<FeedBoard>,
    pub(super) outgoing: Outgoing,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Arc<HealthBoard>,
    pub(super) drained: watch::Sender<bool>,
}

/// The shard as an actix actor.
pub(super) struct ShardActor<D: Domain> {
    driver: Option<Box<Driver<D>>>,
}

impl<D: Domain> ShardActor<D> {
    pub(super) fn spawn(seat: Seat<D>) -> Arbiter {
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

/// What a turn of a shard came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// Nothing to do until woken, or until so long has passed.
    Idle(Duration),
    /// Its state is lost, and asked for anew after so long.
    Lost(Duration),
}

/// Drives a shard: see the module.
pub(super) struct Driver<D: Domain> {
    seat: Seat<D>,
    shard: Option<Shard<D>>,
    generation: u64,
    /// Out of the mailbox, and next to be handled.
    taken: VecDeque<Delivery<D>>,
    /// Messages for shards whose queues were full, in order for each.
    outgoing: VecDeque<(usize, Internal)>,
    draining: bool,
    /// Partitions of the shard's state, and those of them that are to go.
    held: BTreeSet<PartitionId>,
    leaving: BTreeSet<PartitionId>,
    /// When messages to other nodes that have not been acknowledged are sent again.
    resend_at: Timestamp,
    /// When other nodes are told again how far consumers here have read in their partitions.
    tell_again_at: Timestamp,
    /// How often the state was lost since a batch was last stored.
    losses: u32,
    /// How often in a row it could not be built.
    unbuilt: u32,
    /// A partition whose journal did not fit together, and how: it is damaged, unless another node has taken it over.
    suspect: Option<(PartitionId, Malformed)>,
}

/// How often in a row a shard is acquired and built anew before a person has to look at what is stored.
const BUILT_ANEW: u32 = 10;

impl<D: Domain> Driver<D> {
    pub(super) fn new(seat: Seat<D>) -> Self {
        Self {
            seat,
            shard: None,
            generation: 0,
            taken: VecDeque::with_capacity(AT_ONCE),
            outgoing: VecDeque::new(),
            draining: false,
            held: BTreeSet::new(),
            leaving: BTreeSet::new(),
            resend_at: Timestamp::default(),
            tell_again_at: Timestamp::default(),
            losses: 0,
            unbuilt: 0,
            suspect: None,
        }
    }

    async fn run(mut self) {
        loop {
            match self.go_on() {
                Step::Worked => tokio::task::yield_now().await,
                Step::Idle(longest) => {
                    // Either way the next turn looks at everything.
                    drop(tokio::time::timeout(longest, self.seat.channels.wake.notified()).await);
                }
                Step::Lost(pause) => {
                    tokio::time::sleep(pause).await;
                    self.reacquire();
                }
            }
        }
    }

    /// One turn, whatever becomes of it.
    pub(super) fn go_on(&mut self) -> Step {
        match catch_unwind(AssertUnwindSafe(|| self.turn())) {
            Ok(Ok(step)) => step,
            Ok(Err(ShardError::Malformed { partition, error })) => {
                self.suspect = Some((partition, error));
                self.lose_state()
            }
            Ok(Err(error)) => self.lose_state_by(&error.to_string()),
            Err(_) => self.lose_state_by("a shard panicked"),
        }
    }

    fn lose_state_by(&mut self, reason: &str) -> Step {
        tracing::error!(
            shard = self.seat.index,
            reason,
            "the shard is built anew from what is durable"
        );
        self.lose_state()
    }

    /// Says what was the matter with a partition, now that it is known whose it is.
    fn judge_suspect(&mut self, states: &[PartitionState]) {
        let Some((partition, error)) = self.suspect.take() else {
            return;
        };
        let shard = self.seat.index;
        if states.iter().any(|state| state.partition == partition) {
            let reason = ShardError::Malformed { partition, error }.to_string();
            tracing::error!(shard, reason, "the shard is built anew from what is durable");
        } else {
            tracing::info!(
                shard,
                partition = partition.0,
                "another node took a partition over while it was read; the shard is built anew without it"
            );
        }
    }

    /// Throws the state away; the partitions are asked for anew after a pause, longer if that has not helped before.
    fn lose_state(&mut self) -> Step {
        self.shard = None;
        self.seat.health.shard_starting(self.seat.index);
        let pause = FIRST_PAUSE.saturating_mul(self.losses).min(LONGEST_PAUSE);
        self.losses = self.losses.saturating_add(1);
        Step::Lost(pause)
    }

    pub(super) fn reacquire(&mut self) {
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

    fn turn(&mut self) -> Result<Step, ShardError> {
        let mut worked = self.take_completions()?;
        worked |= self.flush_outgoing();
        if self.shard.is_none() {
            self.discard_internal();
            self.finish_leaving()?;
            if self.draining {
                self.seat.drained.send_replace(true);
            }
            return Ok(if worked {
                Step::Worked
            } else {
                Step::Idle(LONGEST_SLEEP)
            });
        }
        worked |= self.take_internal()?;
        worked |= self.take_deliveries()?;
        worked |= self.hand_over()?;
        worked |= self.finish_leaving()?;
        self.resend();
        self.finish_drain();
        if worked {
            return Ok(Step::Worked);
        }
        let now = self.seat.clock.now();
        let next_alarm = self.shard.as_ref().and_then(Shard::next_alarm);
        let sleep = next_alarm.map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP));
        Ok(Step::Idle(sleep.max(Duration::from_millis(1))))
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
                Completion::TakenUp {
                    generation,
                    states,
                    refused,
                } => {
                    self.forget(&refused);
                    self.take_up(generation, &states)?;
                }
                Completion::Opened {
                    generation,
                    states,
                    reader,
                } => {
                    self.generation = generation;
                    self.shard = None;
                    self.seat.health.shard_starting(self.seat.index);
                    self.judge_suspect(&states);
                    self.recover(&states, reader)?;
                }
            }
        }
        Ok(worked)
    }

    fn recover(&mut self, states: &[PartitionState], reader: Arc<dyn StoreReader>) -> Result<(), ShardError> {
        let index = self.seat.index;
        self.seat
            .wiring
            .counters
            .recoveries
            .fetch_add(1, Ordering::Relaxed);
        match Shard::recover(self.seat.wiring.clone(), states, reader) {
            Ok(mut shard) => {
                self.unbuilt = 0;
                self.leaving.iter().for_each(|partition| shard.close(*partition));
                self.shard = Some(shard);
                self.hold(states.iter().map(|state| state.partition).collect());
                self.send_again();
                self.seat.health.shard_ready(index);
                Ok(())
            }
            // Another owner may have written since this one acquired it: then it is left out when all is acquired anew.
            Err(error) if self.unbuilt < BUILT_ANEW => {
                self.unbuilt += 1;
                Err(error)
            }
            Err(error) => {
                // Never repaired silently: the node stays not ready until a person has acted.
                tracing::error!(shard = index, %error, "the shard cannot be built from the store");
                self.seat.health.shard_failed(index, error.to_string());
                Ok(())
            }
        }
    }

    /// What the shard's state is of now. What it was of before, somebody else has taken over.
    fn hold(&mut self, held: BTreeSet<PartitionId>) {
        for lost in self.held.difference(&held) {
            self.leaving.remove(lost);
            self.seat.places.set(*lost, Place::Elsewhere);
        }
        for partition in held.difference(&self.leaving) {
            self.seat.places.set(*partition, Place::Here);
        }
        self.held = held;
        // One that is yet to be acquired comes all the same, and says so then.
        let mut coming = self.seat.places.all(Place::Coming);
        coming.retain(|partition| usize::from(partition.0) % self.seat.peers.len() == self.seat.index);
        self.forget(&coming);
    }

    /// What was to come and does not.
    fn forget(&self, partitions: &[PartitionId]) {
        for partition in partitions {
            self.seat
                .places
                .change(*partition, Place::Coming, Place::Elsewhere);
        }
    }

    /// Takes up further partitions, unless the state that they were meant for is gone: then they come with the next one.
    fn take_up(&mut self, generation: u64, states: &[PartitionState]) -> Result<(), ShardError> {
        let Some(shard) = self.shard.as_mut().filter(|_| self.generation == generation) else {
            return Ok(());
        };
        for state in states {
            shard.take_up(state)?;
            self.held.insert(state.partition);
            self.leaving.remove(&state.partition);
            self.seat.places.set(state.partition, Place::Here);
        }
        self.send_again();
        Ok(())
    }

    /// Sends everything that is not acknowledged, and asks the other shards for the same.
    fn send_again(&mut self) {
        let index = self.seat.index;
        let own = self.shard.as_ref().map(|shard| shard.unacknowledged(|_| true));
        self.route(Released {
            sends: own.unwrap_or_default(),
            acknowledgements: Vec::new(),
        });
        for peer in (0..self.seat.peers.len()).filter(|peer| *peer != index) {
            self.outgoing.push_back((peer, Internal::Resend { shard: index }));
        }
    }

    /// Drops partitions that are to go, once what was decided for them is stored. Without state there is nothing to store.
    fn finish_leaving(&mut self) -> Result<bool, ShardError> {
        let is_clear =
            |partition: &PartitionId| self.shard.as_ref().is_none_or(|shard| shard.is_clear(*partition));
        let clear: Vec<PartitionId> = self.leaving.iter().copied().filter(is_clear).collect();
        for &partition in &clear {
            if let Some(shard) = &mut self.shard {
                shard.give_up(partition);
            }
            let shard = self.seat.index;
            if self
                .seat
                .commands
                .send(WriterCommand::Move(Move::GiveUp { shard, partition }))
                .is_err()
            {
                return Err(StoreError::Failed("the journal writer has ended".to_owned()).into());
            }
            self.leaving.remove(&partition);
            self.held.remove(&partition);
            // Before anybody is told that it is free: two nodes would deliver the same entries.
            self.seat.feeds.give_up(partition);
            self.seat.places.set(partition, Place::Elsewhere);
        }
        Ok(!clear.is_empty())
    }

    /// What went to another node may not have got there.
    fn resend(&mut self) {
        let now = self.seat.clock.now();
        if now < self.resend_at {
            return;
        }
        self.resend_at = now.after(RESEND);
        self.tell_progress(now);
        let places = &self.seat.places;
        let away = |to| places.is_away(to);
        let pending = self.shard.as_ref().map(|shard| shard.unacknowledged(away));
        let old = |message: &Arc<InternalMessage>| now.since(message.sent_at) >= RESEND;
        let sends: Vec<_> = pending.into_iter().flatten().filter(old).collect();
        if !sends.is_empty() {
            self.route(Released {
                sends,
                acknowledgements: Vec::new(),
            });
        }
    }

    /// The owners of other partitions keep how far consumers here have read in them. What is told once may be lost with a node.
    fn tell_progress(&mut self, now: Timestamp) {
        let again = now >= self.tell_again_at;
        if again {
            self.tell_again_at = now.after(TELL_AGAIN);
        }
        let (shard, shards) = (self.seat.index, self.seat.peers.len());
        let places = &self.seat.places;
        let is_wanted = |partition: PartitionId| {
            usize::from(partition.0) % shards == shard && places.of(partition) == Place::Elsewhere
        };
        for progress in self.seat.feeds.progress_elsewhere(is_wanted, again) {
            self.seat.outgoing.send(Between::Progress(progress));
        }
    }

    /// Without state nothing can be taken; senders keep what is theirs and are asked for it again.
    fn discard_internal(&mut self) {
        while let Ok(internal) = self.seat.channels.internal.try_recv() {
            match internal {
                Internal::Drain => self.draining = true,
                Internal::GiveUp(partition) => drop(self.leaving.insert(partition)),
                Internal::Message(_) | Internal::Acknowledged(_) | Internal::Resend { .. } => {}
            }
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
                Internal::GiveUp(partition) => {
                    shard.close(partition);
                    self.leaving.insert(partition);
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
        if !self.seat.places.lease_lasts() {
            // As after a pause: others may know better by now. Whoever waits is told so, and asks again.
            self.taken.clear();
            let refused = self.seat.channels.mailbox.try_iter().take(AT_ONCE).count();
            self.seat.channels.room.announce();
            return Ok(refused > 0);
        }
        shard.wake_due(now)?;
        let mut worked = false;
        while !shard.is_full() {
            if self.taken.is_empty() {
                self.taken
                    .extend(self.seat.channels.mailbox.try_iter().take(AT_ONCE));
                shard.look_ahead(&self.taken)?;
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

    /// Sends what a durable batch owes to other entities: of this shard, of others, of other nodes.
    fn route(&mut self, released: Released) {
        for message in released.sends {
            match self.shard_of(message.to) {
                Some(shard) => self.outgoing.push_back((shard, Internal::Message(message))),
                None => self.seat.outgoing.send(Between::Message(message)),
            }
        }
        for acknowledgement in released.acknowledgements {
            match self.shard_of(acknowledgement.from) {
                Some(shard) => self
                    .outgoing
                    .push_back((shard, Internal::Acknowledged(acknowledgement))),
                None => self.seat.outgoing.send(Between::Acknowledged(acknowledgement)),
            }
        }
        self.flush_outgoing();
    }

    /// The shard of this node that has a partition.
    fn shard_of(&self, partition: PartitionId) -> Option<usize> {
        let is_away = self.seat.places.is_away(partition);
        (!is_away).then(|| usize::from(partition.0) % self.seat.peers.len())
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
