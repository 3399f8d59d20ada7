//! How effects leave: a consumer reads the committed entries of partitions from its own durable cursor.
//!
//! At least once, in order for each partition. A consumer that stops before it saved its progress reads the same entries
//! again. The journal is kept until every declared consumer is done with it.
//!
//! A feed reads the partitions that its node has, and leaves the others to their nodes; or all of them, wherever they are, for
//! whoever does one thing at one node alone. Entries of other nodes come once the read models show them, from a
//! [follower](crate::follow). How far they are dealt with is told to their owners, whose commits keep it: a cursor only
//! rises, so that a word that comes twice, late or not at all costs a repetition at most.

use crate::elsewhere::Progress;
use crate::entity::{EntityKind, Outbound, PortId};
use crate::journal::{Blob, Entry};
use crate::message::{MessageId, Origin, Provenance, Sequence};
use crate::placement::{PartitionCount, PartitionId};
use crate::shard::ConsumerProgress;
use crate::store::{Cursor, PartitionState, StoreError, StoreReader};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::watch;

/// Which entries a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFilter {
    /// Those with effects for a port.
    Port(PortId),
    /// Those of some kinds of entities in which something happened.
    Kinds(&'static [EntityKind]),
}

/// An entry as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// Whose journal.
    pub partition: PartitionId,
    /// The entry's place in it.
    pub sequence: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// The entity's kind.
    pub kind: EntityKind,
    /// The entity's id, encoded.
    pub entity: Box<[u8]>,
    /// Who set it off, and in which conversation.
    pub provenance: Provenance,
    /// The message behind it, if it came from outside.
    pub message: Option<MessageId>,
    /// The effects for the port asked for; none if the filter is a kind.
    pub outbound: Vec<Outbound>,
}

/// How far a consumer is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerLag {
    /// Which.
    pub consumer: String,
    /// Journal entries of partitions that are here, durable and not yet dealt with or passed over; where the consumer reads all
    /// partitions, of all of them. 0 means that the consumer has done all that there was to do a moment ago.
    pub entries: u64,
}

/// The node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct FeedClosed;

/// The consumer's name is not among those the node was started with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consumer {0:?} was not declared when the node was started")]
pub struct UnknownConsumer(pub String);

/// Why a feed of all partitions cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// Nobody knows the consumer.
    #[error(transparent)]
    Unknown(#[from] UnknownConsumer),
    /// How far it has read cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is being opened anew.
    #[error("the store is away")]
    Away,
}

/// Whose entries a feed reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Those of partitions that are here.
    Own,
    /// Those of all.
    All,
}

struct Consumer {
    name: String,
    /// By partition: the last entry it is done with.
    done: Vec<AtomicU64>,
    /// By partition: what its owner was last told of that, if it is elsewhere.
    told: Vec<AtomicU64>,
    changed: AtomicBool,
    /// Whether it reads all partitions here, and whether it ever has.
    reads_all: AtomicBool,
    has_read_all: AtomicBool,
}

impl Consumer {
    fn scope(&self) -> Scope {
        if self.reads_all.load(Ordering::Acquire) {
            Scope::All
        } else {
            Scope::Own
        }
    }

    /// It is done with everything up to there.
    fn rise(&self, partition: PartitionId, done: u64) {
        if let Some(known) = self.done.get(usize::from(partition.0))
            && known.fetch_max(done, Ordering::AcqRel) < done
        {
            self.changed.store(true, Ordering::Release);
        }
    }
}

/// A look of the follower at all partitions of other nodes, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pass(u64);

/// Where journal writer, shards and consumers meet.
pub(crate) struct FeedBoard {
    consumers: Vec<Consumer>,
    /// By partition: the sequence after the last durable entry; 0 while another node has it.
    committed: Vec<AtomicU64>,
    /// By partition: the sequence after the last entry of another node that the read models show.
    followed: Vec<AtomicU64>,
    /// Looks at all partitions of other nodes: how many have begun, and the last one that came to its end.
    begun: AtomicU64,
    complete: watch::Sender<u64>,
    /// By partition: how often this node has taken it up.
    taken_up: Vec<AtomicU64>,
    reader: RwLock<Option<Arc<dyn StoreReader>>>,
    commits: watch::Sender<u64>,
    closed: AtomicBool,
    /// What has been noted and is not on its way to the store yet.
    notes: Mutex<BTreeMap<(String, PartitionId), u64>>,
}

impl FeedBoard {
    pub(crate) fn new(partitions: PartitionCount, consumers: Vec<String>) -> Self {
        let numbers = || (0..partitions.get()).map(|_| AtomicU64::new(0)).collect();
        let consumers = consumers
            .into_iter()
            .map(|name| Consumer {
                name,
                done: numbers(),
                told: numbers(),
                changed: AtomicBool::new(false),
                reads_all: AtomicBool::new(false),
                has_read_all: AtomicBool::new(false),
            })
            .collect();
        Self {
            consumers,
            committed: numbers(),
            followed: numbers(),
            begun: AtomicU64::new(0),
            complete: watch::Sender::new(0),
            taken_up: numbers(),
            reader: RwLock::new(None),
            commits: watch::Sender::new(0),
            closed: AtomicBool::new(false),
            notes: Mutex::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<(String, PartitionId), u64>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a number written with the next commit. See [`crate::notes`].
    pub(crate) fn note(&self, name: String, partition: PartitionId, number: u64) {
        self.notes().insert((name, partition), number);
    }

    pub(crate) fn set_reader(&self, reader: Option<Arc<dyn StoreReader>>) {
        *self.reader.write().unwrap_or_else(PoisonError::into_inner) = reader;
        self.commits.send_modify(|count| *count += 1);
    }

    /// The journal writer has ended: nothing more will be committed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.set_reader(None);
    }

    pub(crate) fn reader(&self) -> Option<Arc<dyn StoreReader>> {
        self.reader.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads every consumer's cursor of partitions that have just been acquired.
    pub(crate) fn load_cursors(
        &self,
        reader: &dyn StoreReader,
        states: &[PartitionState],
    ) -> Result<(), StoreError> {
        for consumer in &self.consumers {
            for partition in states.iter().map(|state| state.partition) {
                let cursor = reader.cursor(&consumer.name, partition)?;
                if let Some(done) = consumer.done.get(usize::from(partition.0)) {
                    done.fetch_max(cursor.0, Ordering::AcqRel);
                }
            }
        }
        Ok(())
    }

    /// A partition that was elsewhere is here: its consumers go on where the last ones stopped.
    pub(crate) fn take_up(&self, partition: PartitionId) {
        if let Some(count) = self.taken_up.get(usize::from(partition.0)) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Somebody else has the partition: its entries are theirs to deliver.
    pub(crate) fn give_up(&self, partition: PartitionId) {
        self.committed(partition, Sequence(0));
    }

    pub(crate) fn committed(&self, partition: PartitionId, next: Sequence) {
        if let Some(committed) = self.committed.get(usize::from(partition.0)) {
            committed.store(next.0, Ordering::Release);
        }
    }

    pub(crate) fn is_here(&self, partition: PartitionId) -> bool {
        let committed = self.committed.get(usize::from(partition.0));
        committed.is_some_and(|committed| committed.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn announce(&self) {
        self.commits.send_modify(|count| *count += 1);
    }

    /// The read models show what another node has written before `next`.
    pub(crate) fn followed(&self, partition: PartitionId, next: Sequence) {
        if let Some(followed) = self.followed.get(usize::from(partition.0))
            && followed.fetch_max(next.0, Ordering::AcqRel) < next.0
        {
            self.announce();
        }
    }

    pub(crate) fn begin_pass(&self) -> Pass {
        Pass(self.begun.fetch_add(1, Ordering::AcqRel) + 1)
    }

    pub(crate) fn end_pass(&self, pass: Pass) {
        self.complete.send_replace(pass.0);
    }

    /// The next pass to begin.
    pub(crate) fn next_pass(&self) -> Pass {
        Pass(self.begun.load(Ordering::Acquire) + 1)
    }

    pub(crate) fn is_complete(&self, pass: Pass) -> bool {
        *self.complete.borrow() >= pass.0
    }

    /// The newest pass that has come to its end, and every later one.
    pub(crate) fn passes(&self) -> watch::Receiver<u64> {
        self.complete.subscribe()
    }

    /// By partition: the sequence after the last entry that can be given out.
    fn end(&self, place: usize, scope: Scope) -> u64 {
        let committed = self.committed[place].load(Ordering::Acquire);
        match scope {
            Scope::Own => committed,
            Scope::All => committed.max(self.followed[place].load(Ordering::Acquire)),
        }
    }

    /// The cursors that have moved since they were last asked for.
    pub(crate) fn moved_cursors(&self) -> Vec<Cursor> {
        let mut cursors = Vec::new();
        for consumer in self
            .consumers
            .iter()
            .filter(|consumer| consumer.changed.swap(false, Ordering::AcqRel))
        {
            for (partition, done) in (0..).map(PartitionId).zip(&consumer.done) {
                let sequence = Sequence(done.load(Ordering::Acquire));
                if sequence > Sequence(0) && self.is_here(partition) {
                    cursors.push(Cursor {
                        consumer: consumer.name.clone(),
                        partition,
                        sequence,
                    });
                }
            }
        }
        let noted = std::mem::take(&mut *self.notes()).into_iter();
        let here = noted.filter(|((_, partition), _)| self.is_here(*partition));
        cursors.extend(here.map(|((consumer, partition), number)| Cursor {
            consumer,
            partition,
            sequence: Sequence(number),
        }));
        cursors
    }

    /// How far each consumer is behind what is durable here, or what can be seen from here if it reads everything here.
    pub(crate) fn lags(&self) -> Vec<ConsumerLag> {
        let lag = |consumer: &Consumer| {
            let scope = consumer.scope();
            let behind = |(place, done): (usize, &AtomicU64)| {
                // What is dealt with is read first: a consumer that is just at it is rather shown too far behind.
                let done = done.load(Ordering::Acquire);
                let newest = self.end(place, scope).saturating_sub(1);
                newest.saturating_sub(done)
            };
            ConsumerLag {
                consumer: consumer.name.clone(),
                entries: consumer.done.iter().enumerate().map(behind).sum(),
            }
        };
        self.consumers.iter().map(lag).collect()
    }

    /// How far those who read everything here have come in partitions of other nodes, as far as their owners have not been told:
    /// of who has stopped meanwhile as well. All of it, if they are to be told `again`.
    pub(crate) fn progress_elsewhere(
        &self,
        is_wanted: impl Fn(PartitionId) -> bool,
        again: bool,
    ) -> Vec<Progress> {
        let everywhere = (0..).map(PartitionId).zip(0..self.committed.len());
        let elsewhere =
            everywhere.filter(|(partition, _)| is_wanted(*partition) && !self.is_here(*partition));
        let mut progress = Vec::new();
        for (partition, place) in elsewhere {
            let untold = |consumer: &Consumer| {
                let done = consumer.done[place].load(Ordering::Acquire);
                let told = consumer.told[place].swap(done, Ordering::AcqRel);
                let is_news = told != done || (again && done > 0 && consumer.scope() == Scope::All);
                is_news.then(|| (consumer.name.clone(), Sequence(done)))
            };
            let readers = self
                .consumers
                .iter()
                .filter(|consumer| consumer.has_read_all.load(Ordering::Acquire));
            let done: Vec<(String, Sequence)> = readers.filter_map(untold).collect();
            if !done.is_empty() {
                progress.push(Progress { partition, done });
            }
        }
        progress
    }

    /// Another node says how far consumers that read there have come in a partition that is here. Of one that is not, its owner
    /// is told.
    pub(crate) fn hear(&self, progress: &Progress) {
        if !self.is_here(progress.partition) {
            return;
        }
        for (name, done) in &progress.done {
            if let Some(consumer) = self.consumers.iter().find(|known| known.name == *name) {
                consumer.rise(progress.partition, done.0);
            }
        }
    }

    /// Whether a cursor has moved since [`Self::moved_cursors`], or something was noted.
    pub(crate) fn has_moved_cursors(&self) -> bool {
        !self.notes().is_empty()
            || self
                .consumers
                .iter()
                .any(|consumer| consumer.changed.load(Ordering::Acquire))
    }

    pub(crate) fn feed(
        self: &Arc<Self>,
        consumer: &str,
        filter: FeedFilter,
    ) -> Result<Feed, UnknownConsumer> {
        let index = self.find(consumer)?;
        Ok(self.open(index, filter, Scope::Own))
    }

    /// The same of all partitions, from where the last one stopped that read them, on whichever node.
    pub(crate) fn feed_of_all(
        self: &Arc<Self>,
        consumer: &str,
        filter: FeedFilter,
    ) -> Result<Feed, NotOpened> {
        let index = self.find(consumer)?;
        let reader = self.reader().ok_or(NotOpened::Away)?;
        let known = &self.consumers[index];
        for partition in (0..).map(PartitionId).take(known.done.len()) {
            // Those of partitions that are here are known already, newer ones among them.
            known.rise(partition, reader.cursor(consumer, partition)?.0);
        }
        known.reads_all.store(true, Ordering::Release);
        known.has_read_all.store(true, Ordering::Release);
        Ok(self.open(index, filter, Scope::All))
    }

    /// The place of a consumer.
    pub(crate) fn find(&self, consumer: &str) -> Result<usize, UnknownConsumer> {
        let place = self.consumers.iter().position(|known| known.name == consumer);
        place.ok_or_else(|| UnknownConsumer(consumer.to_owned()))
    }

    fn open(self: &Arc<Self>, index: usize, filter: FeedFilter, scope: Scope) -> Feed {
        let done: Vec<u64> = self.consumers[index]
            .done
            .iter()
            .map(|done| done.load(Ordering::Acquire))
            .collect();
        Feed {
            commits: self.commits.subscribe(),
            board: Arc::clone(self),
            index,
            filter,
            scope,
            is_new: done.iter().all(|done| *done == 0),
            scanned: done.clone(),
            delivered: done.clone(),
            saved: done,
            seen: self
                .taken_up
                .iter()
                .map(|count| count.load(Ordering::Acquire))
                .collect(),
            first: 0,
            held: false,
        }
    }
}

impl ConsumerProgress for FeedBoard {
    fn consumed(&self, partition: PartitionId) -> Sequence {
        let place = usize::from(partition.0);
        let slowest = self
            .consumers
            .iter()
            .filter_map(|consumer| consumer.done.get(place));
        Sequence(
            slowest
                .map(|done| done.load(Ordering::Acquire))
                .min()
                .unwrap_or(u64::MAX - 1),
        )
    }
}

/// One consumer's reading of the journals.
pub struct Feed {
    board: Arc<FeedBoard>,
    commits: watch::Receiver<u64>,
    index: usize,
    filter: FeedFilter,
    scope: Scope,
    is_new: bool,
    /// By partition: the last entry looked at, given out, and reported as done.
    scanned: Vec<u64>,
    delivered: Vec<u64>,
    saved: Vec<u64>,
    /// By partition: how often it had been taken up when it was last looked at.
    seen: Vec<u64>,
    first: usize,
    held: bool,
}

impl Feed {
    /// Whether this consumer has never saved any progress: what happened before it was declared it has to learn from the
    /// read models.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Reports no progress at all before the first [`Self::save`], so that a new consumer that has not yet dealt with
    /// what happened before it is still new after a restart.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// The next entries, at most about `limit` of them; waits until there is one.
    ///
    /// # Errors
    /// [`FeedClosed`] when the node is gone.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<FeedEntry>, FeedClosed> {
        loop {
            self.commits.borrow_and_update();
            let entries = self.ready(limit);
            if !entries.is_empty() {
                return Ok(entries);
            }
            if self.board.closed.load(Ordering::Acquire) {
                return Err(FeedClosed);
            }
            self.commits.changed().await.map_err(|_| FeedClosed)?;
        }
    }

    /// The entries that can be had without waiting.
    pub fn ready(&mut self, limit: usize) -> Vec<FeedEntry> {
        let Some(reader) = self.board.reader() else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        let partitions = self.scanned.len();
        for step in 0..partitions {
            let place = (self.first + step) % partitions;
            if entries.len() >= limit {
                // The next call begins where this one stopped, so that no partition is starved.
                self.first = place;
                return entries;
            }
            let end = self.board.end(place, self.scope);
            if self.scope == Scope::Own {
                self.begin_again_if_taken_up(place);
            }
            if self.scanned[place] + 1 < end
                && let Err(error) = self.scan(&*reader, place, end, limit, &mut entries)
            {
                // The journal writer meets the same store and reports; here it is tried again with the next commit.
                tracing::warn!(%error, "a consumer cannot read the journal");
            }
        }
        entries
    }

    /// Meanwhile others have read on.
    fn begin_again_if_taken_up(&mut self, place: usize) {
        let taken_up = self.board.taken_up[place].load(Ordering::Acquire);
        if self.seen[place] != taken_up {
            let done = self.board.consumers[self.index].done[place].load(Ordering::Acquire);
            self.seen[place] = taken_up;
            for position in [&mut self.scanned, &mut self.delivered, &mut self.saved] {
                position[place] = done;
            }
        }
    }

    fn scan(
        &mut self,
        reader: &dyn StoreReader,
        place: usize,
        end: u64,
        limit: usize,
        entries: &mut Vec<FeedEntry>,
    ) -> Result<(), StoreError> {
        let partition = PartitionId(u16::try_from(place).unwrap_or(u16::MAX));
        let from = Sequence(self.scanned[place] + 1);
        let mut damaged = None;
        reader.journal(partition, from, &mut |bytes| {
            let seen = Blob::parse(bytes).and_then(|blob| {
                for entry in blob.iter() {
                    let entry = entry?;
                    if entry.sequence < from || entry.sequence.0 >= end || entries.len() >= limit {
                        continue;
                    }
                    self.scanned[place] = entry.sequence.0;
                    if let Some(wanted) = pick(self.filter, partition, &entry) {
                        self.delivered[place] = entry.sequence.0;
                        entries.push(wanted);
                    }
                }
                Ok(blob.end())
            });
            match seen {
                Ok(read) if read.0 < end && entries.len() < limit => ControlFlow::Continue(()),
                Ok(_) => ControlFlow::Break(()),
                Err(error) => {
                    damaged = Some(StoreError::Damaged(format!(
                        "journal of partition {place}: {error}"
                    )));
                    ControlFlow::Break(())
                }
            }
        })?;
        self.move_cursor(place);
        damaged.map_or(Ok(()), Err)
    }

    /// Reports that everything of a partition up to and including `sequence` is dealt with.
    pub fn save(&mut self, partition: PartitionId, sequence: Sequence) {
        let place = usize::from(partition.0);
        if std::mem::take(&mut self.held) {
            // What was passed over meanwhile is done with, too.
            (0..self.scanned.len()).for_each(|place| self.move_cursor(place));
        }
        if let Some(saved) = self.saved.get_mut(place) {
            *saved = (*saved).max(sequence.0);
            self.move_cursor(place);
        }
    }

    /// The cursor stands at what is dealt with, or at what was passed over if nothing is outstanding.
    fn move_cursor(&self, place: usize) {
        if self.held {
            return;
        }
        let done = if self.saved[place] >= self.delivered[place] {
            self.scanned[place]
        } else {
            self.saved[place]
        };
        let partition = PartitionId(u16::try_from(place).unwrap_or(u16::MAX));
        self.board.consumers[self.index].rise(partition, done);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if self.scope == Scope::All {
            let consumer = &self.board.consumers[self.index];
            consumer.reads_all.store(false, Ordering::Release);
        }
    }
}

fn pick(filter: FeedFilter, partition: PartitionId, entry: &Entry<'_>) -> Option<FeedEntry> {
    let outbound: Vec<Outbound> = match filter {
        FeedFilter::Kinds(kinds) if kinds.contains(&entry.kind) && entry.has_events() => Vec::new(),
        FeedFilter::Kinds(_) => return None,
        FeedFilter::Port(wanted) => {
            let effects = entry.outbound().filter(|(port, _)| *port == wanted);
            let effects: Vec<_> = effects
                .map(|(port, body)| Outbound {
                    port,
                    body: body.to_vec(),
                })
                .collect();
            if effects.is_empty() {
                return None;
            }
            effects
        }
    };
    Some(FeedEntry {
        partition,
        sequence: entry.sequence,
        at: entry.at,
        kind: entry.kind,
        entity: entry.entity.into(),
        provenance: entry.provenance(),
        message: match entry.origin {
            Origin::External(id) => Some(id),
            Origin::Entity { .. } | Origin::Alarm => None,
        },
        outbound,
    })
}
