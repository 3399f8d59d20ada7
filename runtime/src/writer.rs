//! The journal writer: the one thread that owns the store.
//!
//! It takes batches from all shards, makes as many as are waiting durable with one sync, and tells the shards. When the
//! store fails it drops it, tells everybody, and opens a new one as soon as that works: a failed sync is never retried on
//! the same file. A fenced commit costs the shards in it their state; they are given what is still theirs. Batches decided before a shard was last given its partitions are void; their generation tells them.

use crate::feed::FeedBoard;
use crate::health::HealthBoard;
use crate::message::Sequence;
use crate::metrics::WriterCounters;
use crate::placement::PartitionId;
use crate::store::{Claim, CommitBatch, PartitionState, Store, StoreError, StoreOpener, StoreReader};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many waiting batches one sync may cover.
const MOST_BATCHES: usize = 16;
/// How long a consumer's progress may wait for a commit to travel with.
const CURSOR_DELAY: Duration = Duration::from_millis(200);
/// The pause before the first attempt to open a failed store again, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the writer is asked.
pub(crate) enum WriterCommand {
    /// Store a batch of a shard.
    Commit {
        shard: usize,
        generation: u64,
        number: u64,
        batch: CommitBatch,
    },
    /// A shard has lost its state and takes its partitions anew.
    Reacquire { shard: usize },
    /// Partitions come or go.
    Move(Move),
    /// Store what is left and end.
    Stop,
}

/// How partitions come and go.
pub(crate) enum Move {
    /// A shard is to hold these as well.
    TakeUp { shard: usize, claims: Vec<Claim> },
    /// A shard has dropped one, after everything that it had to commit for it.
    GiveUp { shard: usize, partition: PartitionId },
}

/// What a shard is told.
pub(crate) enum Completion {
    /// A batch is durable. Its buffers come back.
    Stored { number: u64, batch: CommitBatch },
    /// The store is gone, and with it every batch that has not been reported as stored.
    Failed,
    /// The shard holds these partitions as well, unless it has been given everything anew since `generation`.
    TakenUp {
        generation: u64,
        states: Vec<PartitionState>,
        /// What somebody else has acquired under a newer tenure.
        refused: Vec<PartitionId>,
    },
    /// The store is open; the shard has to be built from it.
    Opened {
        generation: u64,
        states: Vec<PartitionState>,
        reader: Arc<dyn StoreReader>,
    },
}

/// A shard as the writer sees it.
pub(crate) struct ShardLink {
    pub(crate) claims: Vec<Claim>,
    pub(crate) completions: Sender<Completion>,
    pub(crate) wake: Arc<Notify>,
}

impl ShardLink {
    fn tell(&self, completion: Completion) {
        if self.completions.send(completion).is_err() {
            tracing::debug!("a shard has gone before its completion");
        }
        self.wake.notify_one();
    }
}

impl ShardLink {
    /// Notes claims, and says which of them are new.
    fn add(&mut self, claims: Vec<Claim>) -> Vec<Claim> {
        let new: Vec<Claim> = claims
            .into_iter()
            .filter(|claim| !self.claims.contains(claim))
            .collect();
        self.claims
            .retain(|known| new.iter().all(|claim| claim.partition != known.partition));
        self.claims.extend(&new);
        new
    }

    /// Forgets the claims that were not granted, and says which.
    fn keep(&mut self, granted: &[PartitionState]) -> Vec<PartitionId> {
        let is_granted = |claim: &Claim| granted.iter().any(|state| state.partition == claim.partition);
        let lost = self.claims.iter().filter(|claim| !is_granted(claim));
        let lost = lost.map(|claim| claim.partition).collect();
        self.claims.retain(is_granted);
        lost
    }
}

pub(crate) struct Writer {
    pub(crate) opener: Arc<dyn StoreOpener>,
    pub(crate) shards: Vec<ShardLink>,
    pub(crate) commands: Receiver<WriterCommand>,
    pub(crate) feeds: Arc<FeedBoard>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) counters: Arc<WriterCounters>,
    /// By shard: how often it has been given its partitions. A batch decided under an earlier number is void.
    pub(crate) generations: Vec<u64>,
}

/// What the writer does next.
enum Turn {
    Work(Vec<WriterCommand>),
    Idle,
    Stop(Vec<WriterCommand>),
}

impl Writer {
    /// Runs until told to stop, beginning with a store that is open.
    pub(crate) fn run(mut self, store: Box<dyn Store>) {
        if catch_unwind(AssertUnwindSafe(|| self.serve_stores(store))).is_err() {
            // Without a writer nothing becomes durable: nobody may wait for it, or think the node well.
            self.health
                .store_failed("the journal writer has ended by a defect; start the process again".to_owned());
            for shard in &self.shards {
                shard.tell(Completion::Failed);
            }
        }
        self.feeds.close();
    }

    fn serve_stores(&mut self, store: Box<dyn Store>) {
        let mut store = Some(store);
        while let Some(open) = store.take() {
            // A store that panics is as unusable as one that fails, and as likely to be well again once it is opened anew.
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(open)))
                .unwrap_or_else(|_| Err(StoreError::Failed("it panicked".to_owned())));
            match served {
                Ok(()) => break,
                Err(error) => {
                    self.failed(&error);
                    store = self.reopen();
                }
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        self.counters.failures.fetch_add(1, Relaxed);
        tracing::error!(%error, "the store failed; batches under way are void");
        self.feeds.set_reader(None);
        self.health.store_failed(error.to_string());
        for shard in &self.shards {
            shard.tell(Completion::Failed);
        }
    }

    /// One step without waiting, for who drives a node step by step: commits what is there, `most` commands at most, or
    /// opens the store if there is none. What is left of the store afterwards is in `store`.
    pub(crate) fn step(&mut self, store: &mut Option<Box<dyn Store>>, most: usize) {
        let stepped = match store.take() {
            Some(mut open) => {
                let commands = self.commands.try_iter().take(most).collect();
                self.work(&mut *open, commands).map(|()| Some(open))
            }
            None => {
                for command in self.commands.try_iter().collect::<Vec<_>>() {
                    self.put_off(command);
                }
                self.open_now()
                    .map(|mut open| self.begin(&mut *open).map(|()| open))
                    .transpose()
            }
        };
        match stepped {
            Ok(open) => *store = open,
            Err(error) => self.failed(&error),
        }
    }

    /// Whether something waits for a step.
    pub(crate) fn has_work(&self) -> bool {
        !self.commands.is_empty() || self.feeds.has_moved_cursors()
    }

    /// The store, if it can be opened now.
    fn open_now(&self) -> Option<Box<dyn Store>> {
        match self.opener.open() {
            Ok(store) => {
                tracing::info!("the store is open again");
                Some(store)
            }
            Err(error) => {
                tracing::warn!(%error, "the store cannot be opened yet");
                self.health.store_failed(error.to_string());
                None
            }
        }
    }

    /// Without a store: who holds what is noted, what was decided before the failure is void.
    fn put_off(&mut self, command: WriterCommand) {
        match command {
            WriterCommand::Move(moving) => self.note_moves([moving]),
            WriterCommand::Commit { .. } | WriterCommand::Reacquire { .. } | WriterCommand::Stop => {}
        }
    }

    /// Gives all shards what is theirs in a store that has just been opened.
    pub(crate) fn begin(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let all: Vec<usize> = (0..self.shards.len()).collect();
        // Before the shards are told: a quick one is ready before this thread runs on.
        self.health.store_opened();
        self.hand_over(store, &all)?;
        self.feeds.set_reader(Some(store.reader()));
        Ok(())
    }

    /// Serves one open store until it fails or the writer is told to stop.
    fn serve(&mut self, mut store: Box<dyn Store>) -> Result<(), StoreError> {
        self.begin(&mut *store)?;
        loop {
            match self.next_turn() {
                Turn::Work(commands) => self.work(&mut *store, commands)?,
                Turn::Idle => self.work(&mut *store, Vec::new())?,
                Turn::Stop(commands) => {
                    if let Err(error) = self.work(&mut *store, commands) {
                        // What was not acknowledged comes again after the next start; there is nothing to open it for.
                        tracing::error!(%error, "the store failed while the node was stopping");
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Gives shards their partitions as they stand now. What somebody else has taken over meanwhile is theirs.
    fn hand_over(&mut self, store: &mut dyn Store, shards: &[usize]) -> Result<(), StoreError> {
        for &shard in shards {
            let (Some(link), Some(generation)) =
                (self.shards.get_mut(shard), self.generations.get_mut(shard))
            else {
                continue;
            };
            *generation += 1;
            let states = store.acquire(&link.claims)?;
            for lost in link.keep(&states) {
                self.feeds.give_up(lost);
            }
            self.feeds.load_cursors(&*store.reader(), &states)?;
            for state in &states {
                self.feeds.committed(state.partition, state.next_sequence);
            }
            link.tell(Completion::Opened {
                generation: *generation,
                states,
                reader: store.reader(),
            });
        }
        Ok(())
    }

    /// Gives a shard further partitions, as far as nobody else has taken them over.
    fn take_up(&mut self, store: &mut dyn Store, shard: usize, claims: Vec<Claim>) -> Result<(), StoreError> {
        let (Some(link), Some(generation)) = (self.shards.get_mut(shard), self.generations.get(shard)) else {
            return Ok(());
        };
        let new = link.add(claims);
        if new.is_empty() {
            return Ok(());
        }
        let states = store.acquire(&new)?;
        let is_granted = |partition| states.iter().any(|state| state.partition == partition);
        link.claims
            .retain(|claim| !new.contains(claim) || is_granted(claim.partition));
        let refused = new.iter().map(|claim| claim.partition);
        let refused = refused.filter(|partition| !is_granted(*partition)).collect();
        self.feeds.load_cursors(&*store.reader(), &states)?;
        for state in &states {
            self.feeds.take_up(state.partition);
            self.feeds.committed(state.partition, state.next_sequence);
        }
        link.tell(Completion::TakenUp {
            generation: *generation,
            states,
            refused,
        });
        self.feeds.announce();
        Ok(())
    }

    fn give_up(&mut self, shard: usize, partition: PartitionId) {
        if let Some(link) = self.shards.get_mut(shard) {
            link.claims.retain(|claim| claim.partition != partition);
        }
        self.feeds.give_up(partition);
    }

    fn next_turn(&self) -> Turn {
        // Without moved cursors a look at them now and then is enough.
        let patience = if self.feeds.has_moved_cursors() {
            CURSOR_DELAY
        } else {
            CURSOR_DELAY * 5
        };
        let first = match self.commands.recv_timeout(patience) {
            Ok(command) => command,
            Err(RecvTimeoutError::Timeout) => return Turn::Idle,
            Err(RecvTimeoutError::Disconnected) => return Turn::Stop(Vec::new()),
        };
        let mut commands = vec![first];
        while commands.len() < MOST_BATCHES
            && !matches!(commands.last(), Some(WriterCommand::Stop))
            && let Ok(command) = self.commands.try_recv()
        {
            commands.push(command);
        }
        if matches!(commands.last(), Some(WriterCommand::Stop)) {
            commands.pop();
            return Turn::Stop(commands);
        }
        Turn::Work(commands)
    }

    fn work(&mut self, store: &mut dyn Store, commands: Vec<WriterCommand>) -> Result<(), StoreError> {
        let mut batches = Vec::with_capacity(commands.len());
        let mut owners = Vec::with_capacity(commands.len());
        let (mut lost, mut moves) = (Vec::new(), Vec::new());
        for command in commands {
            match command {
                WriterCommand::Commit {
                    shard,
                    generation,
                    number,
                    batch,
                } => {
                    if self.generations.get(shard) == Some(&generation) && !lost.contains(&shard) {
                        owners.push((shard, number));
                        batches.push(batch);
                    }
                }
                WriterCommand::Reacquire { shard } => lost.push(shard),
                // What a shard gives up it has committed before; what it takes up it commits after.
                WriterCommand::Move(moving) => moves.push(moving),
                // Always last, and taken off by `next_turn`.
                WriterCommand::Stop => {}
            }
        }
        let cursors = self.feeds.moved_cursors();
        if !cursors.is_empty() {
            match batches.first_mut() {
                Some(batch) => batch.cursors.extend(cursors),
                None => batches.push(CommitBatch {
                    partitions: Vec::new(),
                    cursors,
                }),
            }
        }
        match self.commit(store, batches, &owners) {
            Ok(()) => {}
            Err(StoreError::Fenced(partition)) => {
                tracing::warn!(partition = partition.0, "another node has taken a partition over");
                for (shard, _) in owners {
                    if !lost.contains(&shard) {
                        lost.push(shard);
                        if let Some(link) = self.shards.get(shard) {
                            link.tell(Completion::Failed);
                        }
                    }
                }
            }
            Err(error) => {
                self.note_moves(moves);
                return Err(error);
            }
        }
        self.move_partitions(store, moves)?;
        self.hand_over(store, &lost)
    }

    fn move_partitions(&mut self, store: &mut dyn Store, moves: Vec<Move>) -> Result<(), StoreError> {
        let mut moves = moves.into_iter();
        while let Some(moving) = moves.next() {
            let moved = match moving {
                Move::TakeUp { shard, claims } => self.take_up(store, shard, claims),
                Move::GiveUp { shard, partition } => {
                    self.give_up(shard, partition);
                    Ok(())
                }
            };
            if let Err(error) = moved {
                self.note_moves(moves);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Notes who holds what without a store to ask: it counts from the next opening on.
    fn note_moves(&mut self, moves: impl IntoIterator<Item = Move>) {
        for moving in moves {
            match moving {
                Move::TakeUp { shard, claims } => {
                    if let Some(link) = self.shards.get_mut(shard) {
                        for claim in link.add(claims) {
                            self.feeds.take_up(claim.partition);
                        }
                    }
                }
                Move::GiveUp { shard, partition } => self.give_up(shard, partition),
            }
        }
    }

    fn commit(
        &self,
        store: &mut dyn Store,
        batches: Vec<CommitBatch>,
        owners: &[(usize, u64)],
    ) -> Result<(), StoreError> {
        if batches.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        store.commit(&batches)?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.commit_nanos.fetch_add(nanos, Relaxed);
        self.counters.commits.fetch_add(1, Relaxed);
        self.counters.batches.fetch_add(batches.len() as u64, Relaxed);
        for (mut batch, &(shard, number)) in batches.into_iter().zip(owners) {
            for part in &batch.partitions {
                let next = Sequence(part.first_sequence.0 + u64::from(part.entries));
                self.feeds.committed(part.partition, next);
            }
            batch.cursors.clear();
            if let Some(link) = self.shards.get(shard) {
                link.tell(Completion::Stored { number, batch });
            }
        }
        self.feeds.announce();
        Ok(())
    }

    /// Opens the store again, however long it takes; `None` if told to stop meanwhile.
    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        let mut pause = FIRST_PAUSE;
        // What comes meanwhile must not put it off: a node is told again and again which partitions are its own.
        let mut next_try = Instant::now() + pause;
        loop {
            match self.commands.recv_deadline(next_try) {
                Ok(WriterCommand::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(command) => {
                    self.put_off(command);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(store) = self.open_now() {
                return Some(store);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            next_try = Instant::now() + pause;
        }
    }
}

#[cfg(test)]
mod tests;
