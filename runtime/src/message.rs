//! Messages on their way to an entity, and who sent them.

use crate::entity::Domain;
use crate::placement::PartitionId;
use crate::time::Timestamp;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The identity of a message, the same however often it is delivered. 128 bits: a UUID as it is, or the hash of
/// the sending system's name and its own id for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u128);

impl MessageId {
    /// The identity of the message that `source` calls `id`. Two systems may use the same id for different messages.
    #[must_use]
    pub fn of(source: &str, id: &str) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
        hasher.update(id.as_bytes());
        Self(hasher.digest128())
    }
}

/// The dense position of an entry in its partition's journal; the first entry has 1, and 0 stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Where a message came from, which also says how repeats of it are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A system outside; repeats carry the same id and meet the partition's inbox.
    External(MessageId),
    /// An entity of partition `from`; `sequence` is dense for each pair of partitions, so that one number remembers
    /// all that came before.
    Entity {
        /// The partition that sent it.
        from: PartitionId,
        /// Its place in the stream from that partition to this one, from 1.
        sequence: u64,
    },
    /// The entity's own alarm.
    Alarm,
}

/// What is known about a message besides its command: who wrote, and which conversation it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The named system that wrote, as authenticated; at most 64 bytes.
    pub source: CompactString,
    /// The conversation: the id that the first message came in with; at most 128 bytes.
    pub correlation: CompactString,
    /// The message that led to this one, if there was one.
    pub causation: Option<MessageId>,
}

/// The longest source name, in bytes.
pub const MAX_SOURCE_BYTES: usize = 64;
/// The longest correlation id, in bytes.
pub const MAX_CORRELATION_BYTES: usize = 128;

/// A message from outside with everything the journal will say about it.
#[derive(Clone, Debug)]
pub struct Envelope<D: Domain> {
    /// Its identity.
    pub id: MessageId,
    /// Who wrote and why.
    pub provenance: Provenance,
    /// The command and the entity it is for.
    pub message: D::Message,
}

/// What became of a message. Given only after the decision is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<R> {
    /// Decided and durable.
    Done {
        /// What the entity answers. For a repeated message, the answer of the first delivery.
        reply: R,
        /// Whether an earlier delivery of the same message had already been decided.
        repeated: bool,
    },
    /// A repeat of a message whose answer was not kept because nobody had asked for it.
    Repeated,
    /// The entity could not digest the message; it stands among the dead letters with this reason.
    DeadLettered {
        /// What went wrong, for a person.
        reason: String,
    },
    /// Not decided: the store failed before the decision was durable. Safe to send again with the same id.
    Unavailable,
}

/// Outcomes for the consumer of a stream, each with the token that it gave.
pub type Outcomes<R> = Vec<(u64, Outcome<R>)>;

/// Where a consumer of many deliveries, as of an AMQP channel, is told their outcomes. Cheap to clone.
#[derive(Debug)]
pub struct OutcomeStream<R>(Arc<mpsc::Sender<Outcomes<R>>>);

impl<R> Clone for OutcomeStream<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R> OutcomeStream<R> {
    /// A stream for at most `outstanding` deliveries at a time, which is the consumer's to keep to: shards never wait for
    /// it. Outcomes come in the order of durability, those of a batch together.
    ///
    /// # Panics
    /// If `outstanding` is 0.
    #[must_use]
    pub fn new(outstanding: usize) -> (Self, mpsc::Receiver<Outcomes<R>>) {
        // Each list has at least one outcome, so there are never more lists than deliveries.
        let (sender, receiver) = mpsc::channel(outstanding);
        (Self(Arc::new(sender)), receiver)
    }

    fn tell(&self, outcomes: Outcomes<R>) {
        if let Err(mpsc::error::TrySendError::Full(outcomes)) = self.0.try_send(outcomes) {
            tracing::error!(
                lost = outcomes.len(),
                "a consumer has more deliveries outstanding than its stream was made for"
            );
        }
    }
}

/// One delivery's way back to whoever waits. Dropped untold, it says [`Outcome::Unavailable`].
#[derive(Debug)]
pub struct Responder<R>(Option<Waiter<R>>);

#[derive(Debug)]
enum Waiter<R> {
    Once(tokio::sync::oneshot::Sender<Outcome<R>>),
    Keeper(tokio::sync::oneshot::Sender<Outcome<R>>),
    Stream { stream: OutcomeStream<R>, token: u64 },
}

impl<R> Responder<R> {
    /// Nobody waits.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    /// One waiter, as for an HTTP request.
    #[must_use]
    pub fn once(sender: tokio::sync::oneshot::Sender<Outcome<R>>) -> Self {
        Self(Some(Waiter::Once(sender)))
    }

    /// One waiter who keeps the message whatever becomes of it: if it cannot be digested, no letter is made of it.
    #[must_use]
    pub fn keeper(sender: tokio::sync::oneshot::Sender<Outcome<R>>) -> Self {
        Self(Some(Waiter::Keeper(sender)))
    }

    /// A delivery of a stream: its consumer is told the token it gave.
    #[must_use]
    pub fn stream(stream: &OutcomeStream<R>, token: u64) -> Self {
        Self(Some(Waiter::Stream {
            stream: stream.clone(),
            token,
        }))
    }

    /// Tells whoever waits. One who has gone is nobody's loss: the decision stands, and a repeat is answered alike.
    pub fn tell(self, outcome: Outcome<R>) {
        Teller::default().tell(self, outcome);
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Whether whoever waits keeps the message, so that no letter is made of it.
    #[must_use]
    pub fn keeps_message(&self) -> bool {
        matches!(self.0, Some(Waiter::Keeper(_)))
    }
}

impl<R> Drop for Responder<R> {
    /// A delivery that is dropped undecided is told so, whatever the cause.
    fn drop(&mut self) {
        match self.0.take() {
            None => {}
            Some(Waiter::Once(sender) | Waiter::Keeper(sender)) => drop(sender.send(Outcome::Unavailable)),
            Some(Waiter::Stream { stream, token }) => stream.tell(vec![(token, Outcome::Unavailable)]),
        }
    }
}

/// Tells waiters one after the other, and those of one stream together: handing over a list costs as much as handing over
/// one outcome. A waiter that has gone is nobody's loss: the decision stands, and a repeat is answered alike.
#[derive(Debug)]
pub(crate) struct Teller<R> {
    stream: Option<OutcomeStream<R>>,
    outcomes: Outcomes<R>,
}

impl<R> Default for Teller<R> {
    fn default() -> Self {
        Self {
            stream: None,
            outcomes: Vec::new(),
        }
    }
}

impl<R> Teller<R> {
    pub(crate) fn tell(&mut self, mut responder: Responder<R>, outcome: Outcome<R>) {
        match responder.0.take() {
            None => {}
            Some(Waiter::Once(sender) | Waiter::Keeper(sender)) => drop(sender.send(outcome)),
            Some(Waiter::Stream { stream, token }) => {
                let goes_on = |open: &OutcomeStream<R>| Arc::ptr_eq(&open.0, &stream.0);
                if !self.stream.as_ref().is_some_and(goes_on) {
                    self.hand_over();
                    self.stream = Some(stream);
                }
                self.outcomes.push((token, outcome));
            }
        }
    }

    fn hand_over(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.tell(std::mem::take(&mut self.outcomes));
        }
    }
}

impl<R> Drop for Teller<R> {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// A message to an entity as the shard takes it in.
#[derive(Debug)]
pub struct Delivery<D: Domain> {
    /// The message.
    pub envelope: Envelope<D>,
    /// Where the outcome goes.
    pub responder: Responder<D::Reply>,
}

/// A message from one partition's outbox to another's inbox, durable at its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalMessage {
    /// The sending partition.
    pub from: PartitionId,
    /// The receiving partition.
    pub to: PartitionId,
    /// Dense from 1 for each pair of partitions.
    pub sequence: u64,
    /// When it was decided.
    pub sent_at: Timestamp,
    /// Who set off the conversation.
    pub provenance: Provenance,
    /// The receiving entity's kind.
    pub kind: crate::entity::EntityKind,
    /// The receiving entity's id, encoded.
    pub entity: Box<[u8]>,
    /// The command, encoded.
    pub command: Box<[u8]>,
}
