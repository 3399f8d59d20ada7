//! What goes out comes back, between any two engines; what is torn or changed is refused where it is.

use super::*;
use crate::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::journal::{EntryHead, EntryWriter, begin_blob};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::shifted_header;
use lockstep_runtime::store::{
    Claim, CommitBatch, Cursor, DeadLetter, PartitionBatch, SnapshotRecord, Standing, StoreOpener,
};
use lockstep_runtime::time::Timestamp;
use std::path::Path;

const PARTITIONS: u16 = 4;

fn memory() -> MemoryDisk {
    MemoryDisk::new(PartitionCount::new(PARTITIONS).unwrap())
}

fn embedded(directory: &Path) -> EmbeddedOpener {
    EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.to_owned(),
        partitions: PartitionCount::new(PARTITIONS).unwrap(),
        cache_mib: 8,
    })
}

fn blob(state: &lockstep_runtime::store::PartitionState, first: u64, entries: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_blob(&mut bytes, state.partition, state.epoch, Sequence(first));
    let provenance = Provenance {
        source: "wms".into(),
        correlation: "c".into(),
        causation: None,
    };
    for number in 0..entries {
        let head = EntryHead {
            at: Timestamp::from_millis(number.into()),
            kind: EntityKind(1),
            entity: b"A",
            origin: Origin::External(MessageId((first + u64::from(number)).into())),
            provenance: &provenance,
        };
        let mut writer = EntryWriter::begin(&mut bytes, &head).unwrap();
        writer.event(&number).unwrap();
        writer.events_done();
        writer.sends_done();
        writer.finish().unwrap();
    }
    bytes
}

/// Partition 0 has a journal that was trimmed, 1 one that was trimmed as a whole, 2 one of its own, 3 nothing.
fn fill(opener: &dyn StoreOpener) {
    let mut store = opener.open().unwrap();
    let claims: Vec<Claim> = store.partition_count().all().map(Claim::alone).collect();
    for state in store.acquire(&claims).unwrap() {
        let blobs: u64 = [5, 3, 1, 0][usize::from(state.partition.0)];
        for number in 0..blobs {
            let part = PartitionBatch {
                partition: state.partition,
                epoch: state.epoch,
                first_sequence: Sequence(1 + number * 10),
                entries: 10,
                journal: blob(&state, 1 + number * 10, 10),
                snapshots: (0..number)
                    .map(|entity| SnapshotRecord {
                        kind: EntityKind(u8::try_from(entity).unwrap() * 60),
                        entity: vec![u8::try_from(entity).unwrap(); 3].into(),
                        sequence: Sequence(number * 10),
                        alarm: (entity == 1).then(|| Timestamp::from_millis(-5)),
                        previous_alarm: (entity == 1 && number > 2).then(|| Timestamp::from_millis(-5)),
                        state: vec![7; 100],
                    })
                    .collect(),
                header: (number > 0).then(|| shifted_header(None, number * 10).unwrap()),
                trim_before: match state.partition.0 {
                    0 => Some(Sequence(21)),
                    1 => Some(Sequence(1 + blobs * 10)),
                    _ => None,
                },
                dead_letters: vec![(Sequence(1 + number * 10), letter())],
            };
            let cursor = Cursor {
                consumer: "erp".to_owned(),
                partition: state.partition,
                sequence: Sequence(number * 10),
            };
            store
                .commit(&[CommitBatch {
                    partitions: vec![part],
                    cursors: vec![cursor],
                }])
                .unwrap();
        }
    }
}

fn letter() -> DeadLetter {
    DeadLetter {
        at: Timestamp::from_millis(1),
        reason: "no".to_owned(),
        source: "wms".to_owned(),
        correlation: "c".to_owned(),
        kind: EntityKind(1),
        entity: vec![1],
        command: vec![2],
        origin: None,
    }
}

fn exported(opener: &dyn StoreOpener, directory: &Path, name: &str) -> (PathBuf, Totals) {
    let path = directory.join(name);
    let mut store = opener.open().unwrap();
    let totals = export(&mut *store, &path, Afterwards::Serve, |_| {}).unwrap();
    (path, totals)
}

fn imported(path: &Path, opener: &dyn StoreOpener) -> Result<Totals, TransferError> {
    let mut store = opener.open().unwrap();
    import(std::fs::File::open(path).unwrap(), &mut *store, |_| {})
}

#[test]
fn a_store_goes_from_engine_to_engine_and_back_and_each_time_leaps_ahead() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (memory(), embedded(&directory.path().join("s")), memory());
    fill(&first);
    let (path, totals) = exported(&first, directory.path(), "one");
    assert_eq!((totals.partitions, totals.cursors), (4, 3));
    assert_eq!(imported(&path, &second).unwrap(), totals);
    let (again, from_second) = exported(&second, directory.path(), "two");
    assert_eq!(from_second, totals);
    assert_eq!(imported(&again, &third).unwrap(), totals);
    // Epochs and numbers only rise, and the journals go on there.
    for (opener, leaps) in [(&second as &dyn StoreOpener, 1), (&third, 2)] {
        let mut store = opener.open().unwrap();
        for (place, end) in [(0_u16, 51_u64), (1, 31), (2, 11), (3, 1)] {
            let state = store
                .acquire(&[Claim::alone(PartitionId(place))])
                .unwrap()
                .remove(0);
            let next = end + leaps * LEAP;
            assert_eq!(state.next_sequence, Sequence(next), "partition {place}");
            let part = PartitionBatch {
                partition: state.partition,
                epoch: state.epoch,
                first_sequence: Sequence(next),
                entries: 1,
                journal: blob(&state, next, 1),
                ..PartitionBatch::default()
            };
            store
                .commit(&[CommitBatch {
                    partitions: vec![part],
                    cursors: Vec::new(),
                }])
                .unwrap();
        }
        drop(store);
        let mut store = opener.open().unwrap();
        let found = verify_store(&mut *store, |_| {}).unwrap();
        assert_eq!(
            (found.blobs, found.snapshots),
            (totals.blobs + 4, totals.snapshots)
        );
    }
}

#[test]
fn a_file_that_is_torn_or_changed_anywhere_is_refused_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let source = memory();
    fill(&source);
    let (path, _) = exported(&source, directory.path(), "one");
    let whole = std::fs::read(&path).unwrap();
    let mut last = 0;
    for cut in (0..whole.len()).step_by(7) {
        let error = verify_file(&whole[..cut], |_| {}).unwrap_err();
        assert!(
            error.at <= cut as u64 && error.at >= last,
            "cut at {cut}: {error}"
        );
        last = error.at;
    }
    for place in (0..whole.len()).step_by(11) {
        let mut changed = whole.clone();
        changed[place] ^= 0x20;
        let error = verify_file(&*changed, |_| {}).unwrap_err();
        assert!(error.at <= place as u64, "changed at {place}: {error}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(
        verify_file(&*longer, |_| {})
            .unwrap_err()
            .to_string()
            .contains("follows")
    );
}

#[test]
fn an_import_needs_an_empty_store_of_as_many_partitions_and_marks_what_broke_off() {
    let directory = tempfile::tempdir().unwrap();
    let source = memory();
    fill(&source);
    let (path, _) = exported(&source, directory.path(), "one");
    assert!(matches!(imported(&path, &source), Err(TransferError::NotEmpty)));
    let other = MemoryDisk::new(PartitionCount::new(8).unwrap());
    assert!(matches!(
        imported(&path, &other),
        Err(TransferError::Partitions { found: 4, wanted: 8 })
    ));
    let whole = std::fs::read(&path).unwrap();
    let torn = memory();
    let mut store = torn.open().unwrap();
    let error = import(&whole[..whole.len() / 2], &mut *store, |_| {}).unwrap_err();
    assert!(matches!(error, TransferError::File(_)), "{error}");
    assert!(
        Standing::check(&*store.reader())
            .unwrap_err()
            .to_string()
            .contains("import")
    );
    let mut retired = source.open().unwrap();
    export(
        &mut *retired,
        &directory.path().join("two"),
        Afterwards::Retire,
        |_| {},
    )
    .unwrap();
    assert!(
        Standing::check(&*retired.reader())
            .unwrap_err()
            .to_string()
            .contains("moved")
    );
    let again = export(
        &mut *retired,
        &directory.path().join("two"),
        Afterwards::Serve,
        |_| {},
    );
    assert!(matches!(again, Err(TransferError::Exists(_))));
}
