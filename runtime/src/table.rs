//! The states of one shard's entities: a compact row and an index entry each.
//!
//! Invariants:
//! - an entity has at most one slot; its index entry points at it as long as it is active;
//! - a slot's state includes exactly the journal up to `sequence` for that entity;
//! - slots of passivated entities are reused; whoever keeps a slot number must check what it holds.

use crate::entity::{Context, Decision, Domain, Entity, EntityId, EntityKind, Expired, Outbound, Residency};
use crate::journal::{EncodeError, EntryWriter};
use crate::message::{Provenance, Sequence};
use crate::placement::PartitionId;
use crate::store::{SnapshotRecord, SnapshotRef};
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// The place of an active entity in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

/// Bytes in the store that are no state or event of the kind they claim to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {what}: {error}")]
pub struct Corrupt {
    /// The kind's name.
    pub kind: &'static str,
    /// Which part.
    pub what: &'static str,
    /// What the decoder said.
    pub error: String,
}

/// A command that its kind calls a query would have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this {0} took a question for a command; nothing was changed. This is a defect of lockstep")]
pub struct NotAQuery(pub &'static str);

/// What one decision leaves to the shard, besides what it wrote into the journal entry.
#[derive(Debug)]
pub struct Turn<D: Domain> {
    /// Messages to other entities.
    pub sends: Vec<D::Message>,
    /// Effects outside.
    pub outbound: Vec<Outbound>,
    /// Messages that waited in vain.
    pub expired: Vec<Expired<D::Message>>,
    /// What readers may see once the entry is durable.
    pub view: Option<D::View>,
    /// The alarm after the decision, if it is another than before.
    pub alarm: Option<Timestamp>,
    /// Whether anything happened to the entity.
    pub changed: bool,
    /// Whether the entity's last snapshot was up to date before, and is no longer.
    pub became_dirty: bool,
    /// Set while events are being applied: a panic now leaves the state unusable.
    pub applying: bool,
}

impl<D: Domain> Default for Turn<D> {
    fn default() -> Self {
        Self {
            sends: Vec::new(),
            outbound: Vec::new(),
            expired: Vec::new(),
            view: None,
            alarm: None,
            changed: false,
            became_dirty: false,
            applying: false,
        }
    }
}

/// What the shard needs to know of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// Its number.
    pub kind: EntityKind,
    /// Its name for people.
    pub name: &'static str,
    /// Whether its rows stay in memory.
    pub residency: Residency,
    /// What a row takes in memory, without what its state keeps on the heap.
    pub row_bytes: usize,
}

/// The kinds whose rows stay in memory.
pub(crate) fn resident_kinds<D: Domain>() -> impl Iterator<Item = &'static KindInfo> {
    let kinds = D::Tables::KINDS.iter();
    kinds.filter(|info| info.residency == Residency::Resident)
}

/// Whether the rows of a kind stay in memory.
pub(crate) fn is_resident<D: Domain>(kind: EntityKind) -> bool {
    resident_kinds::<D>().any(|info| info.kind == kind)
}

/// The tables of all kinds of a domain. Implemented by [`crate::domain!`], which only dispatches on the kind.
pub trait Tables<D: Domain>: Default + Send + 'static {
    /// Every kind.
    const KINDS: &'static [KindInfo];

    /// The slot of the entity a message is for, if it is active.
    fn find(&self, message: &D::Message) -> Option<Slot>;
    /// The slot of an entity, if it is active.
    fn find_encoded(&self, kind: EntityKind, entity: &[u8]) -> Option<Slot>;
    /// Makes an entity active, from its snapshot if there is one. It must not be active.
    ///
    /// # Errors
    /// [`Corrupt`] if kind, id or state cannot be read.
    fn activate(
        &mut self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
        snapshot: Option<SnapshotRef<'_>>,
    ) -> Result<Slot, Corrupt>;
    /// As who an entity writes what a message makes it do, if not as who sent it.
    fn speaks_as(&self, slot: Slot, message: &D::Message) -> Option<Provenance>;
    /// As who an entity writes what its alarm makes it do, if not as the clock.
    fn wakes_as(&self, kind: EntityKind, slot: Slot) -> Option<Provenance>;
    /// Decides a message and applies what happened. Writes the events into `writer`.
    ///
    /// # Errors
    /// [`EncodeError`] if an event cannot be written; the state is then as before.
    fn decide(
        &mut self,
        slot: Slot,
        message: &D::Message,
        context: &Context<'_, D>,
        sequence: Sequence,
        writer: &mut EntryWriter<'_>,
        turn: &mut Turn<D>,
    ) -> Result<D::Reply, EncodeError>;
    /// Answers a question. Whatever the decision says, nothing is applied or written.
    ///
    /// # Errors
    /// [`NotAQuery`] if the decision would have changed or sent anything.
    fn ask(&self, slot: Slot, message: &D::Message, context: &Context<'_, D>) -> Result<D::Reply, NotAQuery>;
    /// Lets an entity act on its alarm. `None` if it has nothing to do.
    ///
    /// # Errors
    /// As [`Tables::decide`].
    fn wake(
        &mut self,
        kind: EntityKind,
        slot: Slot,
        context: &Context<'_, D>,
        sequence: Sequence,
        writer: &mut EntryWriter<'_>,
        turn: &mut Turn<D>,
    ) -> Result<Option<()>, EncodeError>;
    /// Applies the events of a journal entry, unless the state already includes it. Says whether the entity's snapshot
    /// was up to date before and is no longer.
    ///
    /// # Errors
    /// [`Corrupt`] if an event cannot be read.
    fn replay<'a>(
        &mut self,
        kind: EntityKind,
        slot: Slot,
        sequence: Sequence,
        events: impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, Corrupt>;
    /// A snapshot of the present state.
    ///
    /// # Errors
    /// If the state cannot be serialised.
    fn snapshot(&self, kind: EntityKind, slot: Slot) -> Result<SnapshotRecord, EncodeError>;
    /// Whether the slot holds an entity of `partition` that has been ahead of its snapshot exactly since `since`.
    fn is_dirty_since(&self, kind: EntityKind, slot: Slot, partition: PartitionId, since: Sequence) -> bool;
    /// Whether the slot holds an entity that is ahead of its snapshot.
    fn is_dirty(&self, kind: EntityKind, slot: Slot) -> bool;
    /// Notes that a snapshot of the present state is on its way to the store.
    fn mark_clean(&mut self, kind: EntityKind, slot: Slot);
    /// The partition of the entity in a slot; `None` for an empty one.
    fn partition(&self, kind: EntityKind, slot: Slot) -> Option<PartitionId>;
    /// What readers may see of an entity.
    fn view(&self, kind: EntityKind, slot: Slot) -> Option<D::View>;
    /// When the entity in this slot wants to be woken; `None` also for an empty slot.
    fn alarm(&self, kind: EntityKind, slot: Slot) -> Option<Timestamp>;
    /// The last entry that the state includes; `None` for an empty slot.
    fn sequence(&self, kind: EntityKind, slot: Slot) -> Option<Sequence>;
    /// The encoded id of the entity in a slot; `None` for an empty one.
    fn encoded_id(&self, kind: EntityKind, slot: Slot) -> Option<Box<[u8]>>;
    /// Takes an entity out of memory.
    fn remove(&mut self, kind: EntityKind, slot: Slot);
    /// How many entities of a kind are active.
    fn active(&self, kind: EntityKind) -> usize;
    /// An upper bound of a kind's slot numbers, for sweeping.
    fn slots(&self, kind: EntityKind) -> u32;
    /// The state as MessagePack with field names, for people; `None` for an empty slot.
    ///
    /// # Errors
    /// If the state cannot be serialised.
    fn describe(&self, kind: EntityKind, slot: Slot) -> Result<Option<Vec<u8>>, EncodeError>;
    /// An event as MessagePack with field names, for people.
    ///
    /// # Errors
    /// [`Corrupt`] if it is no event of this kind.
    fn describe_event(kind: EntityKind, event: &[u8]) -> Result<Vec<u8>, Corrupt>;
}

impl Slot {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The slot with this number, for sweeping over all of them.
    #[must_use]
    pub fn at(number: u32) -> Self {
        Self(number)
    }

    fn split(self) -> (usize, usize) {
        (
            (self.0 >> CHUNK_BITS) as usize,
            (self.0 & (CHUNK_ROWS - 1)) as usize,
        )
    }
}

const CHUNK_BITS: u32 = 12;
/// Rows are kept in chunks, so that growing never copies a large table.
const CHUNK_ROWS: u32 = 1 << CHUNK_BITS;

#[derive(Debug)]
struct Row<E: Entity> {
    id: E::Id,
    sequence: Sequence,
    /// The first entry that the last snapshot does not include; 0 if it includes all.
    dirty_since: Sequence,
    partition: PartitionId,
    state: E::State,
}

impl<E: Entity> Row<E> {
    fn mark_dirty(&mut self, sequence: Sequence) -> bool {
        let was_clean = self.dirty_since == Sequence::default();
        if was_clean {
            self.dirty_since = sequence;
        }
        was_clean
    }
}

/// The active entities of one kind.
pub struct Table<E: Entity> {
    chunks: Vec<Vec<Option<Row<E>>>>,
    index: HashTable<u32>,
    free: Vec<u32>,
    hasher: FixedState,
}

impl<E: Entity> Default for Table<E> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            index: HashTable::new(),
            free: Vec::new(),
            hasher: FixedState::with_seed(0x10c5),
        }
    }
}

impl<E: Entity> std::fmt::Debug for Table<E> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct(E::NAME)
            .field("active", &self.active())
            .finish_non_exhaustive()
    }
}

impl<E: Entity> Table<E> {
    /// The kind's number, name and residency.
    pub const INFO: KindInfo = KindInfo {
        kind: E::KIND,
        name: E::NAME,
        residency: E::RESIDENCY,
        row_bytes: size_of::<Option<Row<E>>>() + size_of::<u32>(),
    };

    fn corrupt(what: &'static str, error: &dyn std::fmt::Display) -> Corrupt {
        Corrupt {
            kind: E::NAME,
            what,
            error: error.to_string(),
        }
    }

    fn row(&self, slot: Slot) -> Option<&Row<E>> {
        let (chunk, place) = slot.split();
        self.chunks.get(chunk)?.get(place)?.as_ref()
    }

    fn row_mut(&mut self, slot: Slot) -> Option<&mut Row<E>> {
        let (chunk, place) = slot.split();
        self.chunks.get_mut(chunk)?.get_mut(place)?.as_mut()
    }

    /// The slot of an active entity. O(1).
    #[must_use]
    pub fn find(&self, id: &E::Id) -> Option<Slot> {
        let hash = self.hasher.hash_one(id);
        self.index
            .find(hash, |&slot| {
                self.row(Slot(slot)).is_some_and(|row| row.id == *id)
            })
            .map(|&slot| Slot(slot))
    }

    /// See [`Tables::find_encoded`].
    #[must_use]
    pub fn find_encoded(&self, entity: &[u8]) -> Option<Slot> {
        self.find(&E::Id::decode(entity)?)
    }

    /// See [`Tables::activate`].
    ///
    /// # Errors
    /// [`Corrupt`] if id or state cannot be read.
    pub fn activate(
        &mut self,
        partition: PartitionId,
        entity: &[u8],
        snapshot: Option<SnapshotRef<'_>>,
    ) -> Result<Slot, Corrupt> {
        let id = E::Id::decode(entity).ok_or_else(|| Self::corrupt("id", &"unreadable"))?;
        let (state, sequence) = match snapshot {
            None => (E::State::default(), Sequence::default()),
            Some(snapshot) => {
                let state =
                    rmp_serde::from_slice(snapshot.state).map_err(|error| Self::corrupt("state", &error))?;
                (state, snapshot.sequence)
            }
        };
        Ok(self.insert(Row {
            id,
            sequence,
            dirty_since: Sequence::default(),
            partition,
            state,
        }))
    }

    fn insert(&mut self, row: Row<E>) -> Slot {
        let hash = self.hasher.hash_one(&row.id);
        let slot = self.place(row);
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        self.index.insert_unique(hash, slot.0, |&other| {
            let (chunk, place) = Slot(other).split();
            // Every index entry points at a filled row; an empty one would only cost a slower probe.
            chunks
                .get(chunk)
                .and_then(|rows| rows.get(place)?.as_ref())
                .map_or(0, |row| hasher.hash_one(&row.id))
        });
        slot
    }

    fn place(&mut self, row: Row<E>) -> Slot {
        if let Some(free) = self.free.pop() {
            let (chunk, place) = Slot(free).split();
            self.chunks[chunk][place] = Some(row);
            return Slot(free);
        }
        if self
            .chunks
            .last()
            .is_none_or(|chunk| chunk.len() == CHUNK_ROWS as usize)
        {
            // The first chunk grows as it fills: most tables of a test or a small shop never fill one.
            let capacity = if self.chunks.is_empty() {
                16
            } else {
                CHUNK_ROWS as usize
            };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(Some(row));
        let number = chunk * CHUNK_ROWS as usize + self.chunks[chunk].len() - 1;
        Slot(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// See [`Tables::decide`].
    ///
    /// # Errors
    /// [`EncodeError`]; the state is then as before.
    ///
    /// # Panics
    /// If `slot` is empty, which is a defect of the shard, or if the domain panics.
    pub fn decide(
        &mut self,
        slot: Slot,
        command: &E::Command,
        context: &Context<'_, E::Domain>,
        sequence: Sequence,
        writer: &mut EntryWriter<'_>,
        turn: &mut Turn<E::Domain>,
    ) -> Result<E::Reply, EncodeError> {
        let row = self.expect_row(slot);
        let decision = E::decide(&row.id, &row.state, command, context);
        Self::carry_out(row, decision, sequence, writer, turn)
    }

    /// See [`Tables::speaks_as`].
    #[must_use]
    pub fn speaks_as(&self, slot: Slot, command: &E::Command) -> Option<Provenance> {
        E::speaks_as(&self.row(slot)?.state, command)
    }

    /// See [`Tables::wakes_as`].
    #[must_use]
    pub fn wakes_as(&self, slot: Slot) -> Option<Provenance> {
        E::wakes_as(&self.row(slot)?.state)
    }

    /// See [`Tables::ask`].
    ///
    /// # Errors
    /// [`NotAQuery`]; nothing has changed.
    ///
    /// # Panics
    /// As [`Table::decide`].
    #[expect(clippy::expect_used, reason = "the shard looks a slot up before it uses it")]
    pub fn ask(
        &self,
        slot: Slot,
        command: &E::Command,
        context: &Context<'_, E::Domain>,
    ) -> Result<E::Reply, NotAQuery> {
        let row = self.row(slot).expect("the slot of an active entity");
        let decision = E::decide(&row.id, &row.state, command, context);
        let is_idle = decision.events.is_empty() && decision.expired.is_empty();
        if is_idle && decision.sends.is_empty() && decision.outbound.is_empty() {
            Ok(decision.reply)
        } else {
            Err(NotAQuery(E::NAME))
        }
    }

    /// See [`Tables::wake`].
    ///
    /// # Errors
    /// [`EncodeError`]; the state is then as before.
    ///
    /// # Panics
    /// As [`Table::decide`].
    pub fn wake(
        &mut self,
        slot: Slot,
        context: &Context<'_, E::Domain>,
        sequence: Sequence,
        writer: &mut EntryWriter<'_>,
        turn: &mut Turn<E::Domain>,
    ) -> Result<Option<()>, EncodeError> {
        let row = self.expect_row(slot);
        let Some(decision) = E::wake(&row.id, &row.state, context) else {
            return Ok(None);
        };
        Self::carry_out(row, decision, sequence, writer, turn).map(|_| Some(()))
    }

    #[expect(clippy::expect_used, reason = "the shard looks a slot up before it uses it")]
    fn expect_row(&mut self, slot: Slot) -> &mut Row<E> {
        self.row_mut(slot).expect("the slot of an active entity")
    }

    fn carry_out(
        row: &mut Row<E>,
        decision: Decision<E>,
        sequence: Sequence,
        writer: &mut EntryWriter<'_>,
        turn: &mut Turn<E::Domain>,
    ) -> Result<E::Reply, EncodeError> {
        for event in &decision.events {
            writer.event(event)?;
        }
        turn.sends = decision.sends;
        turn.outbound = decision.outbound;
        turn.expired = decision.expired;
        if !decision.events.is_empty() {
            let alarm_before = E::alarm(&row.state);
            turn.applying = true;
            for event in &decision.events {
                E::apply(&mut row.state, event);
            }
            turn.applying = false;
            turn.changed = true;
            row.sequence = sequence;
            turn.became_dirty = row.mark_dirty(sequence);
            let alarm = E::alarm(&row.state);
            turn.alarm = if alarm == alarm_before { None } else { alarm };
            turn.view = E::view(&row.id, &row.state, sequence);
        }
        Ok(decision.reply)
    }

    /// See [`Tables::replay`].
    ///
    /// # Errors
    /// [`Corrupt`] if an event cannot be read.
    pub fn replay<'a>(
        &mut self,
        slot: Slot,
        sequence: Sequence,
        events: impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, Corrupt> {
        let row = self
            .row_mut(slot)
            .ok_or_else(|| Self::corrupt("slot", &"empty"))?;
        if sequence <= row.sequence {
            return Ok(false);
        }
        for event in events {
            let event: E::Event =
                rmp_serde::from_slice(event).map_err(|error| Self::corrupt("event", &error))?;
            E::apply(&mut row.state, &event);
        }
        row.sequence = sequence;
        Ok(row.mark_dirty(sequence))
    }

    /// See [`Tables::snapshot`].
    ///
    /// # Errors
    /// If the state cannot be serialised or the slot is empty.
    pub fn snapshot(&self, slot: Slot) -> Result<SnapshotRecord, EncodeError> {
        let row = self.row(slot).ok_or(EncodeError::EmptySlot)?;
        let mut entity = Vec::new();
        row.id.encode(&mut entity);
        let mut state = Vec::with_capacity(64);
        rmp_serde::encode::write(&mut state, &row.state)
            .map_err(|error| EncodeError::Serialise { what: "state", error })?;
        Ok(SnapshotRecord {
            kind: E::KIND,
            entity: entity.into_boxed_slice(),
            sequence: row.sequence,
            alarm: E::alarm(&row.state),
            previous_alarm: None,
            state,
        })
    }

    /// See [`Tables::is_dirty_since`].
    #[must_use]
    pub fn is_dirty_since(&self, slot: Slot, partition: PartitionId, since: Sequence) -> bool {
        self.row(slot)
            .is_some_and(|row| row.partition == partition && row.dirty_since == since)
    }

    /// See [`Tables::is_dirty`].
    #[must_use]
    pub fn is_dirty(&self, slot: Slot) -> bool {
        self.row(slot)
            .is_some_and(|row| row.dirty_since != Sequence::default())
    }

    /// See [`Tables::mark_clean`].
    pub fn mark_clean(&mut self, slot: Slot) {
        if let Some(row) = self.row_mut(slot) {
            row.dirty_since = Sequence::default();
        }
    }

    /// See [`Tables::partition`].
    #[must_use]
    pub fn partition(&self, slot: Slot) -> Option<PartitionId> {
        Some(self.row(slot)?.partition)
    }

    /// See [`Tables::view`].
    #[must_use]
    pub fn view(&self, slot: Slot) -> Option<<E::Domain as Domain>::View> {
        let row = self.row(slot)?;
        E::view(&row.id, &row.state, row.sequence)
    }

    /// See [`Tables::alarm`].
    #[must_use]
    pub fn alarm(&self, slot: Slot) -> Option<Timestamp> {
        E::alarm(&self.row(slot)?.state)
    }

    /// See [`Tables::sequence`].
    #[must_use]
    pub fn sequence(&self, slot: Slot) -> Option<Sequence> {
        Some(self.row(slot)?.sequence)
    }

    /// See [`Tables::encoded_id`].
    #[must_use]
    pub fn encoded_id(&self, slot: Slot) -> Option<Box<[u8]>> {
        let mut bytes = Vec::new();
        self.row(slot)?.id.encode(&mut bytes);
        Some(bytes.into_boxed_slice())
    }

    /// See [`Tables::remove`].
    pub fn remove(&mut self, slot: Slot) {
        let Some(row) = self.row(slot) else { return };
        let hash = self.hasher.hash_one(&row.id);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot.0) {
            entry.remove();
        }
        let (chunk, place) = slot.split();
        self.chunks[chunk][place] = None;
        self.free.push(slot.0);
    }

    /// How many entities are active.
    #[must_use]
    pub fn active(&self) -> usize {
        self.index.len()
    }

    /// See [`Tables::slots`].
    #[must_use]
    pub fn slots(&self) -> u32 {
        let rows: usize = self.chunks.iter().map(Vec::len).sum();
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// See [`Tables::describe`].
    ///
    /// # Errors
    /// If the state cannot be serialised.
    pub fn describe(&self, slot: Slot) -> Result<Option<Vec<u8>>, EncodeError> {
        self.row(slot)
            .map(|row| rmp_serde::to_vec_named(&row.state))
            .transpose()
            .map_err(|error| EncodeError::Serialise { what: "state", error })
    }

    /// See [`Tables::describe_event`].
    ///
    /// # Errors
    /// [`Corrupt`] if it is no event of this kind.
    pub fn describe_event(event: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let event: E::Event = rmp_serde::from_slice(event).map_err(|error| Self::corrupt("event", &error))?;
        rmp_serde::to_vec_named(&event).map_err(|error| Self::corrupt("event", &error))
    }
}
