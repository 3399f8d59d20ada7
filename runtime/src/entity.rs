//! Entities as virtual actors: what a domain brings to the runtime.
//!
//! An entity always exists; its first message finds the default state. `decide` is pure: the same state, command and
//! context give the same decision. `apply` is total: an event that was decided can always be applied.

use crate::message::{Envelope, Origin, Provenance, Sequence};
use crate::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;
use std::fmt::Debug;
use std::hash::Hash;

/// The number by which the journal knows a kind of entity. Never reused, never changed once written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct EntityKind(pub u8);

/// The number of an outbound port: a place outside that reads its effects from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u8);

/// Whether an entity's state stays in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// Loaded at start, never leaves: small rows that any message may ask for.
    Resident,
    /// Activated by its first message, passivated when idle or when memory is short.
    Passivated,
}

/// The longest encoded entity id, in bytes.
pub const MAX_ENTITY_ID_BYTES: usize = 512;

/// An entity's typed id: how it is written in the journal and which key routes it.
pub trait EntityId: Clone + Eq + Hash + Debug + Send + 'static {
    /// Appends the encoded id: at most [`MAX_ENTITY_ID_BYTES`], equal exactly when the ids are equal.
    fn encode(&self, into: &mut Vec<u8>);
    /// Reads an encoded id; `None` if these bytes are no id of this kind.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// The part of the id that names the partition. Entities with one routing key are neighbours.
    fn routing_key(&self) -> &[u8];
}

/// What a decision may look at besides state and command.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, D: Domain> {
    /// The moment of the decision.
    pub now: Timestamp,
    /// Who wrote, and in which conversation.
    pub provenance: &'a Provenance,
    /// Whether a system outside wrote, or an entity.
    pub origin: Origin,
    /// The domain's shared read models: durable facts, each with its version.
    pub reference: &'a D::Reference,
}

/// Bytes for a port, read from the journal by the port's consumer once they are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Which port.
    pub port: PortId,
    /// The body, as the port's consumer understands it.
    pub body: Vec<u8>,
}

/// A message that an entity kept and can do nothing with any more: a dead letter from now on.
#[derive(Clone, Debug)]
pub struct Expired<M> {
    /// The message.
    pub message: M,
    /// Why, for a person.
    pub reason: String,
    /// Who sent it, and in which conversation.
    pub provenance: Provenance,
}

/// What an entity decided.
#[derive(Debug)]
pub struct Decision<E: Entity> {
    /// What happened, in order; empty if nothing changes.
    pub events: SmallVec<[E::Event; 2]>,
    /// What the asker may know.
    pub reply: E::Reply,
    /// Messages to other entities, delivered at least once and taken once.
    pub sends: Vec<<E::Domain as Domain>::Message>,
    /// Effects on the world outside.
    pub outbound: Vec<Outbound>,
    /// Messages that waited here in vain.
    pub expired: Vec<Expired<<E::Domain as Domain>::Message>>,
}

impl<E: Entity> Decision<E> {
    /// Nothing happens; the asker is told `reply`.
    pub fn answer(reply: E::Reply) -> Self {
        Self {
            events: SmallVec::new(),
            reply,
            sends: Vec::new(),
            outbound: Vec::new(),
            expired: Vec::new(),
        }
    }

    /// One thing happens.
    pub fn event(event: E::Event, reply: E::Reply) -> Self {
        let mut decision = Self::answer(reply);
        decision.events.push(event);
        decision
    }

    /// The same decision with one more event.
    #[must_use]
    pub fn and(mut self, event: E::Event) -> Self {
        self.events.push(event);
        self
    }

    /// The same decision with one more message to another entity.
    #[must_use]
    pub fn send(mut self, message: impl Into<<E::Domain as Domain>::Message>) -> Self {
        self.sends.push(message.into());
        self
    }

    /// The same decision with one more effect outside.
    #[must_use]
    pub fn publish(mut self, outbound: Outbound) -> Self {
        self.outbound.push(outbound);
        self
    }
}

/// A kind of entity.
pub trait Entity: Sized + 'static {
    /// Its number in the journal.
    const KIND: EntityKind;
    /// Its name for people, as in `sku-warehouse`.
    const NAME: &'static str;
    /// Whether its rows stay in memory.
    const RESIDENCY: Residency;

    /// The domain it is part of.
    type Domain: Domain;
    /// Its typed id.
    type Id: EntityId;
    /// Its state; the default is that of an entity that nothing has happened to.
    type State: Default + Serialize + DeserializeOwned + Send + 'static;
    /// What someone may want of it.
    type Command: Serialize + DeserializeOwned + Clone + Debug + Send + 'static;
    /// What may happen to it.
    type Event: Serialize + DeserializeOwned + Debug + 'static;
    /// What it answers.
    type Reply: Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + PartialEq
        + Send
        + Into<<Self::Domain as Domain>::Reply>
        + 'static;

    /// Whether a command only asks and never changes anything, whatever the state. It is answered once everything that
    /// it saw is durable, leaves no journal entry, and is not remembered in the inbox.
    fn is_query(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// Whether a command compares, and mostly finds that nothing is to be changed. While it changes nothing it is answered as
    /// a query is: it leaves no journal entry, and sent again it is decided anew. When it changes something it is as any other.
    fn is_comparison(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// As who it writes what a command makes it do, if not as who sent that: in its journal entry, and in all that it sends. For
    /// what waited here until somebody else made its time come.
    fn speaks_as(state: &Self::State, command: &Self::Command) -> Option<Provenance> {
        let _ = (state, command);
        None
    }

    /// The same for what its alarm makes it do; none speaks as the clock. What is decided is told of the clock, in this conversation.
    fn wakes_as(state: &Self::State) -> Option<Provenance> {
        let _ = state;
        None
    }

    /// Decides what a command does. Pure.
    fn decide(
        id: &Self::Id,
        state: &Self::State,
        command: &Self::Command,
        context: &Context<'_, Self::Domain>,
    ) -> Decision<Self>;

    /// Applies what happened. Total: never fails on an event that was decided on the state before it.
    fn apply(state: &mut Self::State, event: &Self::Event);

    /// When the entity wants to be woken, if at all; asked after every event. One alarm an entity: the earliest moment
    /// at which it has something to do.
    fn alarm(state: &Self::State) -> Option<Timestamp> {
        let _ = state;
        None
    }

    /// Decides what the entity does when its alarm goes off. Called at or after [`Entity::alarm`]'s moment, possibly
    /// long after; the decision must move the alarm on or clear it.
    fn wake(
        id: &Self::Id,
        state: &Self::State,
        context: &Context<'_, Self::Domain>,
    ) -> Option<Decision<Self>> {
        let _ = (id, state, context);
        None
    }

    /// What readers outside the shard may see of it, published once the entry `sequence` is durable.
    fn view(
        id: &Self::Id,
        state: &Self::State,
        sequence: Sequence,
    ) -> Option<<Self::Domain as Domain>::View> {
        let _ = (id, state, sequence);
        None
    }
}

/// A domain: its kinds of entities as one set of types. Implemented by [`crate::domain!`].
pub trait Domain: Sized + Send + Sync + Debug + Clone + Copy + 'static {
    /// A command together with the entity it is for.
    type Message: AddressedMessage;
    /// Any entity's reply.
    type Reply: Serialize + DeserializeOwned + Clone + Debug + Send + 'static;
    /// Any entity's view.
    type View: Send + 'static;
    /// The shared read models.
    type Reference: Send + Sync + 'static;
    /// The states of one shard's entities.
    type Tables: crate::table::Tables<Self>;

    /// Lets readers see `view`. Called after the entry behind it is durable, in order for each entity.
    fn publish(reference: &Self::Reference, view: Self::View);

    /// Judges a message from outside before its shard is chosen: gives it back as it is, or another one in its place,
    /// as one that notes a refusal. What entities send each other is not judged. A delivery that has to wait is judged
    /// again, so that the result of a judgement must be admitted as it is.
    fn admit(reference: &Self::Reference, envelope: Envelope<Self>) -> Envelope<Self>;
}

/// Admits everything, for domains without rules of their own.
pub fn admit_all<D: Domain>(_: &D::Reference, envelope: Envelope<D>) -> Envelope<D> {
    envelope
}

/// A command together with the entity it is for.
pub trait AddressedMessage: Clone + Debug + Send + 'static {
    /// The entity's kind.
    fn kind(&self) -> EntityKind;
    /// The entity's routing key.
    fn routing_key(&self) -> &[u8];
    /// The routing key of an entity by its kind and its id, encoded; `None` if these bytes are no such id.
    fn key_of(kind: EntityKind, id: &[u8]) -> Option<Vec<u8>>;
    /// Appends the entity's id, encoded.
    fn encode_id(&self, into: &mut Vec<u8>);
    /// Whether the command only asks and never changes anything, whatever the state.
    fn is_query(&self) -> bool;
    /// Whether the command compares, and mostly finds that nothing is to be changed.
    fn is_comparison(&self) -> bool;
    /// Appends the command, encoded.
    ///
    /// # Errors
    /// If the command cannot be serialised, which is a defect of its type.
    fn encode_command(&self, into: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error>;
    /// Reads back what [`Self::encode_id`] and [`Self::encode_command`] wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes, for a person.
    fn decode(kind: EntityKind, id: &[u8], command: &[u8]) -> Result<Self, String>;
}
