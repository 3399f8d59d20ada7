//! Which entities may leave memory, and when.
//!
//! Only kinds that are not resident leave: those idle for long, and when memory is short those idle the longest as a
//! clock hand finds them. An entity leaves once a snapshot of its present state is durable.

use super::Shard;
use crate::entity::{Domain, EntityKind, Residency};
use crate::message::Sequence;
use crate::metrics::count;
use crate::store::SnapshotRecord;
use crate::table::{KindInfo, Slot, Tables};
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// How many slots of each kind one turn looks at.
const SWEEP_STEP: u32 = 64;
/// What an entity is taken to keep on the heap until its first snapshot tells its size.
const UNKNOWN_HEAP_BYTES: u32 = 512;
/// A state in memory against the same state encoded.
const HEAP_PER_ENCODED_BYTE: u32 = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    last_used: Timestamp,
    /// 0 for a slot that holds nothing.
    bytes: u32,
    leaving: bool,
}

#[derive(Debug, Default)]
struct Kind {
    activity: Vec<Activity>,
    hand: u32,
}

/// The bookkeeping of what is in memory.
#[derive(Debug)]
pub(super) struct Residents {
    kinds: HashMap<EntityKind, Kind, FixedState>,
    row_bytes: HashMap<EntityKind, u32, FixedState>,
    bytes: usize,
    seen: HashMap<EntityKind, u32, FixedState>,
    /// The alarm of the last snapshot of an active entity, which a new snapshot has to clear.
    snapshot_alarms: HashMap<(EntityKind, Slot), Timestamp, FixedState>,
}

impl Residents {
    pub(super) fn new(kinds: &[KindInfo]) -> Self {
        let hasher = FixedState::with_seed(0x4e51);
        let leaving = kinds
            .iter()
            .filter(|info| info.residency == Residency::Passivated);
        let mut residents = Self {
            kinds: HashMap::with_hasher(hasher.clone()),
            row_bytes: HashMap::with_hasher(hasher.clone()),
            bytes: 0,
            seen: HashMap::with_hasher(hasher.clone()),
            snapshot_alarms: HashMap::with_hasher(hasher.clone()),
        };
        for info in leaving {
            residents.kinds.insert(info.kind, Kind::default());
            residents
                .row_bytes
                .insert(info.kind, u32::try_from(info.row_bytes).unwrap_or(u32::MAX));
        }
        residents
    }

    /// About how many bytes the entities take that may leave.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn activated(&mut self, kind: EntityKind, slot: Slot, snapshot_alarm: Option<Timestamp>) {
        if let Some(at) = snapshot_alarm {
            self.snapshot_alarms.insert((kind, slot), at);
        }
        self.resize(kind, slot, UNKNOWN_HEAP_BYTES);
    }

    pub(super) fn touched(&mut self, kind: EntityKind, slot: Slot, now: Timestamp) {
        if let Some(activity) = self.activity(kind, slot) {
            activity.last_used = now;
        }
    }

    fn activity(&mut self, kind: EntityKind, slot: Slot) -> Option<&mut Activity> {
        let place = slot.number() as usize;
        let kind = self.kinds.get_mut(&kind)?;
        if kind.activity.len() <= place {
            kind.activity.resize(place + 1, Activity::default());
        }
        kind.activity.get_mut(place)
    }

    fn resize(&mut self, kind: EntityKind, slot: Slot, heap: u32) {
        let Some(row) = self.row_bytes.get(&kind).copied() else {
            return;
        };
        let bytes = row.saturating_add(heap);
        let Some(activity) = self.activity(kind, slot) else {
            return;
        };
        let before = std::mem::replace(&mut activity.bytes, bytes);
        self.bytes = self.bytes + bytes as usize - before as usize;
    }

    pub(super) fn removed(&mut self, kind: EntityKind, slot: Slot) -> Option<Timestamp> {
        if let Some(activity) = self.activity(kind, slot) {
            let before = std::mem::take(activity).bytes;
            self.bytes -= before as usize;
        }
        self.snapshot_alarms.remove(&(kind, slot))
    }

    /// The slots of a kind that have been filled since the last time it was asked for this kind.
    pub(super) fn unseen(&mut self, kind: EntityKind, slots: u32) -> std::ops::Range<u32> {
        let seen = self.seen.entry(kind).or_insert(0);
        std::mem::replace(seen, slots)..slots
    }

    /// Completes a snapshot with what it replaces.
    pub(super) fn replacing(
        &mut self,
        kind: EntityKind,
        slot: Slot,
        mut snapshot: SnapshotRecord,
    ) -> SnapshotRecord {
        let encoded = u32::try_from(snapshot.state.len()).unwrap_or(u32::MAX);
        self.resize(kind, slot, encoded.saturating_mul(HEAP_PER_ENCODED_BYTE));
        snapshot.previous_alarm = match snapshot.alarm {
            Some(at) => self.snapshot_alarms.insert((kind, slot), at),
            None => self.snapshot_alarms.remove(&(kind, slot)),
        };
        snapshot
    }
}

impl<D: Domain> Shard<D> {
    /// Looks at some entities and begins to take those out of memory that are idle, or old if memory is short.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        for info in D::Tables::KINDS {
            if info.residency == Residency::Passivated {
                self.sweep_kind(info.kind, now);
            }
        }
    }

    fn sweep_kind(&mut self, kind: EntityKind, now: Timestamp) {
        let slots = self.tables.slots(kind);
        let limits = self.wiring.limits;
        let short = self.residents.bytes() > limits.memory_budget;
        let steps = if short { SWEEP_STEP * 16 } else { SWEEP_STEP };
        for _ in 0..steps.min(slots) {
            let Some(table) = self.residents.kinds.get_mut(&kind) else {
                return;
            };
            table.hand = if table.hand + 1 < slots { table.hand + 1 } else { 0 };
            let slot = Slot::at(table.hand);
            let Some(activity) = table.activity.get_mut(table.hand as usize) else {
                continue;
            };
            let idle = now.since(activity.last_used);
            // Under pressure whoever is not in the middle of something may go: one batch's time is enough.
            let may_leave = idle >= limits.idle || (short && idle >= std::time::Duration::from_millis(100));
            if activity.bytes == 0 || activity.leaving || !may_leave {
                continue;
            }
            activity.leaving = true;
            self.begin_passivation(kind, slot);
        }
    }

    fn begin_passivation(&mut self, kind: EntityKind, slot: Slot) {
        let (Some(sequence), Some(partition)) = (
            self.tables.sequence(kind, slot),
            self.tables.partition(kind, slot).and_then(|id| self.local(id)),
        ) else {
            return;
        };
        if self.tables.is_dirty(kind, slot) {
            match self.tables.snapshot(kind, slot) {
                Ok(snapshot) => {
                    self.tables.mark_clean(kind, slot);
                    let snapshot = self.residents.replacing(kind, slot, snapshot);
                    let part = self.part(partition);
                    self.open.parts[part].snapshots.push(snapshot);
                }
                Err(error) => {
                    tracing::error!(%error, "a state cannot be serialised; it stays in memory");
                    return;
                }
            }
        }
        self.open.passivations.push((kind, slot, sequence));
    }

    /// Takes entities out of memory whose snapshots have become durable, unless something has happened to them since.
    pub(super) fn passivate(&mut self, leaving: &[(EntityKind, Slot, Sequence)]) {
        for &(kind, slot, sequence) in leaving {
            if let Some(activity) = self.residents.activity(kind, slot) {
                activity.leaving = false;
            }
            let is_broken = self
                .reload
                .as_ref()
                .is_some_and(|reload| (reload.kind, reload.slot) == (kind, slot));
            let has_changed =
                self.tables.sequence(kind, slot) != Some(sequence) || self.tables.is_dirty(kind, slot);
            if is_broken || has_changed {
                continue;
            }
            let alarm = self.tables.alarm(kind, slot);
            if let (Some(at), Some(partition), Some(entity)) = (
                alarm,
                self.tables.partition(kind, slot),
                self.tables.encoded_id(kind, slot),
            ) {
                self.alarms.set_at_rest(at, partition, kind, entity);
            }
            self.tables.remove(kind, slot);
            self.residents.removed(kind, slot);
            count(&self.wiring.counters.passivations, 1);
        }
    }
}
