//! What every store must do. Random histories are applied to the store in memory and to another one: what readers see
//! must be the same, also after both were opened again.

use crate::store::postgres::scratch::Scratch;
use crate::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{Origin, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Cursor, DeadLetter, Epoch, PartitionBatch, PartitionState, SnapshotRecord, Store,
    StoreError, StoreOpener, StoreReader, Tenure,
};
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const PARTITIONS: u16 = 3;
const CONSUMERS: [&str; 2] = ["erp", "channel/web-eu"];

/// One part of a commit, in terms that always make sense.
#[derive(Clone, Debug)]
struct Part {
    partition: u16,
    entries: u8,
    snapshots: Vec<(u8, u8, Option<i64>)>,
    header: Option<Vec<u8>>,
    /// How many entries before the end are still needed.
    keep: Option<u8>,
    dead_letter: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Commit {
        batches: Vec<Vec<Part>>,
        cursor: Option<(usize, u16, u64)>,
    },
    Reopen,
    Acquire(u16),
}

fn part() -> impl Strategy<Value = Part> {
    let alarm = prop::option::of(-3_i64..3);
    let snapshots = prop::collection::vec((0_u8..2, 0_u8..4, alarm), 0..4);
    (
        0..PARTITIONS,
        0_u8..5,
        snapshots,
        prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..9)),
        prop::option::weighted(0.3, 0_u8..12),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(partition, entries, snapshots, header, keep, dead_letter)| Part {
                partition,
                entries,
                snapshots,
                header,
                keep,
                dead_letter,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let batches = prop::collection::vec(prop::collection::vec(part(), 0..4), 1..4);
    let cursor = prop::option::of((0..CONSUMERS.len(), 0..PARTITIONS, 0_u64..99));
    prop_oneof![
        8 => (batches, cursor).prop_map(|(batches, cursor)| Step::Commit { batches, cursor }),
        1 => Just(Step::Reopen),
        1 => (0..PARTITIONS).prop_map(Step::Acquire),
    ]
}

/// What the shards would know.
#[derive(Default)]
struct Shards {
    next: BTreeMap<u16, u64>,
    epochs: BTreeMap<u16, Epoch>,
    alarms: BTreeMap<(u16, u8, u8), Option<i64>>,
}

impl Shards {
    fn learn(&mut self, states: &[PartitionState]) {
        for state in states {
            self.epochs.insert(state.partition.0, state.epoch);
            self.next.insert(state.partition.0, state.next_sequence.0);
        }
    }

    fn batch(&mut self, parts: &[Part]) -> CommitBatch {
        let mut batch = CommitBatch::default();
        for part in parts {
            let taken = |of: &PartitionBatch| of.partition.0 == part.partition;
            if !batch.partitions.iter().any(taken) {
                batch.partitions.push(self.part(part));
            }
        }
        batch
    }

    fn part(&mut self, part: &Part) -> PartitionBatch {
        let next = self.next.get_mut(&part.partition).unwrap();
        let first = *next;
        *next += u64::from(part.entries);
        let end = *next;
        let journal = (0..part.entries).flat_map(|entry| {
            let text = format!("entry {} of {}; ", first + u64::from(entry), part.partition);
            // Some blobs are large enough to be kept apart from their keys.
            text.repeat(1 + usize::from(entry) * 8).into_bytes()
        });
        PartitionBatch {
            partition: PartitionId(part.partition),
            epoch: self.epochs[&part.partition],
            first_sequence: Sequence(first),
            entries: u32::from(part.entries),
            journal: journal.collect(),
            snapshots: part
                .snapshots
                .iter()
                .map(|&of| self.snapshot(part.partition, end, of))
                .collect(),
            header: part.header.clone(),
            trim_before: part
                .keep
                .map(|keep| Sequence(end.saturating_sub(u64::from(keep)))),
            dead_letters: if part.dead_letter && part.entries > 0 {
                vec![(Sequence(first), dead_letter(first))]
            } else {
                Vec::new()
            },
        }
    }

    fn snapshot(
        &mut self,
        partition: u16,
        end: u64,
        (kind, entity, alarm): (u8, u8, Option<i64>),
    ) -> SnapshotRecord {
        let previous = self.alarms.insert((partition, kind, entity), alarm).flatten();
        SnapshotRecord {
            kind: EntityKind(kind),
            entity: vec![entity; usize::from(entity) + 1].into(),
            sequence: Sequence(end),
            alarm: alarm.map(Timestamp::from_millis),
            previous_alarm: previous.map(Timestamp::from_millis),
            state: format!("{entity} at {end}").into_bytes(),
        }
    }
}

fn dead_letter(sequence: u64) -> DeadLetter {
    DeadLetter {
        at: Timestamp::from_millis(-7),
        reason: format!("no such sku in line {sequence}"),
        source: "edi-acme".to_owned(),
        correlation: "c-1".to_owned(),
        kind: EntityKind(1),
        entity: vec![1, 2],
        command: vec![3],
        origin: sequence.is_multiple_of(2).then_some(Origin::Alarm),
    }
}

/// Partition, kind, entity, sequence, alarm, state.
type SnapshotRow = (u16, u8, Vec<u8>, u64, Option<i64>, Vec<u8>);

/// All that a reader sees.
#[derive(Debug, Default, PartialEq, Eq)]
struct View {
    snapshots: Vec<SnapshotRow>,
    alarms: Vec<(u16, i64, u8, Vec<u8>)>,
    journals: Vec<(u16, u64, Vec<Vec<u8>>)>,
    cursors: Vec<u64>,
    kinds: Vec<Vec<EntityKind>>,
    consumers: Vec<Vec<(String, Sequence)>>,
    dead_letters: Vec<(u16, u64, DeadLetter)>,
}

fn view(reader: &dyn StoreReader) -> View {
    let mut view = View::default();
    for number in 0..PARTITIONS {
        let partition = PartitionId(number);
        view.kinds.push(reader.kinds(partition).unwrap());
        view.consumers.push(reader.cursors(partition).unwrap());
        for kind in 0..2 {
            let visit = &mut |of: lockstep_runtime::store::SnapshotRef<'_>| {
                let alarm = of.alarm.map(Timestamp::as_millis);
                let row = (
                    number,
                    kind,
                    of.entity.to_vec(),
                    of.sequence.0,
                    alarm,
                    of.state.to_vec(),
                );
                // A read within a visitor, of the same entity.
                let mut again = None;
                let same =
                    &mut |of: lockstep_runtime::store::SnapshotRef<'_>| again = Some(of.state.to_vec());
                reader
                    .snapshot(partition, EntityKind(kind), of.entity, same)
                    .unwrap();
                assert_eq!(again.as_deref(), Some(of.state));
                view.snapshots.push(row);
                ControlFlow::Continue(())
            };
            reader.snapshots(partition, EntityKind(kind), visit).unwrap();
            let of_kind = |row: &&SnapshotRow| row.0 == number && row.1 == kind;
            let known: Vec<&SnapshotRow> = view.snapshots.iter().filter(of_kind).collect();
            let mut asked: Vec<&[u8]> = known.iter().map(|row| row.2.as_slice()).collect();
            asked.push(b"nobody");
            let mut states = BTreeMap::new();
            let visit = &mut |of: lockstep_runtime::store::SnapshotRef<'_>| {
                states.insert(of.entity.to_vec(), of.state.to_vec());
            };
            reader
                .snapshots_of(partition, EntityKind(kind), &asked, visit)
                .unwrap();
            let expected = known.iter().map(|row| (row.2.clone(), row.5.clone()));
            assert_eq!(states, expected.collect());
        }
        let visit = &mut |at: Timestamp, kind: EntityKind, entity: &[u8]| {
            view.alarms
                .push((number, at.as_millis(), kind.0, entity.to_vec()));
            ControlFlow::Continue(())
        };
        reader.alarms(partition, visit).unwrap();
        for from in [0, 1, 2, 5, 9, 20] {
            let mut blobs = Vec::new();
            let visit = &mut |blob: &[u8]| {
                blobs.push(blob.to_vec());
                ControlFlow::Continue(())
            };
            reader.journal(partition, Sequence(from), visit).unwrap();
            view.journals.push((number, from, blobs));
        }
        for consumer in CONSUMERS {
            view.cursors.push(reader.cursor(consumer, partition).unwrap().0);
        }
        let visit = &mut |sequence: Sequence, letter: DeadLetter| {
            view.dead_letters.push((number, sequence.0, letter));
            ControlFlow::Continue(())
        };
        reader.dead_letters(partition, visit).unwrap();
    }
    view
}

fn all() -> Vec<Claim> {
    (0..PARTITIONS).map(PartitionId).map(Claim::alone).collect()
}

/// Opens a store, or opens it again after dropping the one before.
fn reopen(opener: &dyn StoreOpener, store: &mut Option<Box<dyn Store>>) -> Vec<PartitionState> {
    drop(store.take());
    let store = store.insert(opener.open().unwrap());
    store.acquire(&all()).unwrap()
}

fn run(steps: &[Step], one: &dyn StoreOpener, two: &dyn StoreOpener) {
    let mut stores = [None, None];
    let openers = [one, two];
    let mut shards = Shards::default();
    let states: Vec<_> = (0..2).map(|at| reopen(openers[at], &mut stores[at])).collect();
    assert_eq!(states[0], states[1]);
    shards.learn(&states[0]);
    for step in steps {
        match step {
            Step::Reopen => {
                let states: Vec<_> = (0..2).map(|at| reopen(openers[at], &mut stores[at])).collect();
                assert_eq!(states[0], states[1]);
                shards.learn(&states[0]);
            }
            Step::Acquire(partition) => {
                let states = stores.each_mut().map(|store| {
                    let store = store.as_mut().unwrap();
                    store.acquire(&[Claim::alone(PartitionId(*partition))]).unwrap()
                });
                assert_eq!(states[0], states[1]);
                shards.learn(&states[0]);
            }
            Step::Commit { batches, cursor } => {
                let mut batches: Vec<_> = batches.iter().map(|parts| shards.batch(parts)).collect();
                if let Some((consumer, partition, sequence)) = cursor {
                    batches[0].cursors.push(Cursor {
                        consumer: CONSUMERS[*consumer].to_owned(),
                        partition: PartitionId(*partition),
                        sequence: Sequence(*sequence),
                    });
                }
                for store in stores.iter_mut().flatten() {
                    store.commit(&batches).unwrap();
                }
            }
        }
        let views = stores
            .each_ref()
            .map(|store| view(&*store.as_ref().unwrap().reader()));
        assert_eq!(views[0], views[1]);
    }
}

fn partitions() -> PartitionCount {
    PartitionCount::new(PARTITIONS).unwrap()
}

fn embedded(directory: &std::path::Path) -> EmbeddedOpener {
    EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.to_owned(),
        partitions: partitions(),
        cache_mib: 8,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn readers_of_the_embedded_store_see_the_same_as_in_memory(mut steps in prop::collection::vec(step(), 1..24)) {
        let directory = tempfile::tempdir().unwrap();
        steps.push(Step::Reopen);
        run(&steps, &MemoryDisk::new(partitions()), &embedded(directory.path()));
    }
}

proptest! {
    // A database for each.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn readers_of_the_store_in_postgres_see_the_same_as_in_memory(
        mut steps in prop::collection::vec(step(), 1..24), split in any::<bool>(),
    ) {
        let databases = if split { vec![Scratch::new(), Scratch::new()] } else { vec![Scratch::new()] };
        steps.push(Step::Reopen);
        let opener = Scratch::opener(&databases, PARTITIONS);
        run(&steps, &MemoryDisk::new(partitions()), &opener);
    }
}

/// The rules of the port that random histories keep.
fn keeps_the_rules(opener: &dyn StoreOpener) {
    let mut store = opener.open().unwrap();
    let first = store.acquire(&all()).unwrap();
    assert!(
        first
            .iter()
            .all(|state| state.next_sequence == Sequence(1) && state.header.is_none())
    );
    let second = store.acquire(&all()).unwrap();
    assert!(second[0].epoch > first[0].epoch);
    let part = |epoch: Epoch| CommitBatch {
        partitions: vec![PartitionBatch {
            partition: PartitionId(0),
            epoch,
            first_sequence: Sequence(1),
            entries: 1,
            journal: b"one".to_vec(),
            ..PartitionBatch::default()
        }],
        cursors: Vec::new(),
    };
    let fenced = store.commit(&[part(first[0].epoch)]);
    assert!(
        matches!(fenced, Err(StoreError::Fenced(PartitionId(0)))),
        "{fenced:?}"
    );
    // Being fenced is no failure of the store.
    store.commit(&[part(second[0].epoch)]).unwrap();
    assert_eq!(
        store.acquire(&[Claim::alone(PartitionId(0))]).unwrap()[0].next_sequence,
        Sequence(2)
    );
}

/// The rules of a store that several nodes share.
fn keeps_the_rules_of_sharing(opener: &dyn StoreOpener) {
    let claim = |tenure| Claim {
        partition: PartitionId(1),
        tenure: Tenure(tenure),
    };
    let (mut one, mut other) = (opener.open().unwrap(), opener.open().unwrap());
    let first = one.acquire(&[claim(1)]).unwrap().remove(0);
    let second = other.acquire(&[claim(2), Claim::alone(PartitionId(0))]).unwrap();
    assert_eq!(second.len(), 2);
    let second = second
        .into_iter()
        .find(|state| state.partition == PartitionId(1))
        .unwrap();
    assert!(second.epoch > first.epoch);
    assert!(
        one.acquire(&[claim(1)]).unwrap().is_empty(),
        "an older tenure is left out"
    );
    let again = other.acquire(&[claim(2)]).unwrap().remove(0);
    assert!(again.epoch > second.epoch, "the same tenure acquires again");
    let batch = |epoch, bytes: &[u8]| CommitBatch {
        partitions: vec![PartitionBatch {
            partition: PartitionId(1),
            epoch,
            first_sequence: Sequence(1),
            entries: 1,
            journal: bytes.to_vec(),
            ..PartitionBatch::default()
        }],
        cursors: Vec::new(),
    };
    let fenced = one.commit(&[batch(first.epoch, b"old")]);
    assert!(
        matches!(fenced, Err(StoreError::Fenced(PartitionId(1)))),
        "{fenced:?}"
    );
    other.commit(&[batch(again.epoch, b"new")]).unwrap();
    let mut found = Vec::new();
    let visit = &mut |blob: &[u8]| {
        found.push(blob.to_vec());
        ControlFlow::Continue(())
    };
    one.reader().journal(PartitionId(1), Sequence(0), visit).unwrap();
    assert_eq!(found, [b"new"], "whoever reads sees what the owner wrote");
}

#[test]
fn every_store_that_can_be_shared_keeps_the_rules_of_sharing() {
    let disk = MemoryDisk::new(partitions());
    disk.share();
    keeps_the_rules_of_sharing(&disk);
    let databases = [Scratch::new()];
    keeps_the_rules_of_sharing(&Scratch::shared(&databases, PARTITIONS));
}

#[test]
fn every_store_keeps_the_rules() {
    keeps_the_rules(&MemoryDisk::new(partitions()));
    let directory = tempfile::tempdir().unwrap();
    keeps_the_rules(&embedded(directory.path()));
    let databases = [Scratch::new()];
    keeps_the_rules(&Scratch::opener(&databases, PARTITIONS));
}
