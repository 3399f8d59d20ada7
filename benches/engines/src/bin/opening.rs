//! How long the embedded store takes to open and to be read when it is full.
//!
//! `opening [directory] [snapshots] [entries]`: fills a store of 256 partitions in commits of 1,024 entries with as many
//! snapshots, closes it, opens it and reads all of it.

#[path = "../../../../adapters/src/store/mod.rs"]
mod store;

use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Epoch, PartitionBatch, SnapshotRecord, Store, StoreOpener, StoreReader,
};
use lockstep_runtime::time::Timestamp;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;
use store::{EmbeddedConfig, EmbeddedOpener};

const PARTITIONS: u16 = 256;
const COMMIT: u64 = 1_024;
const ENTRY_BYTES: usize = 200;
const STATE_BYTES: usize = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/opening-data".to_owned()));
    let mut number = |default: u64| {
        arguments
            .next()
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let snapshots = number(2_500_000);
    let entries = number(1_000_000);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("an empty directory");
    }
    let partitions = PartitionCount::new(PARTITIONS).expect("a number");
    let opener = EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.clone(),
        partitions,
        cache_mib: 256,
    });
    let began = Instant::now();
    let mut store = opener.open().expect("opens");
    fill(&mut *store, snapshots, entries);
    println!("filled in {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    drop(store);
    println!("closed in {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let mut store = opener.open().expect("opens");
    println!("opened in {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    store
        .acquire(&partitions.all().map(Claim::alone).collect::<Vec<_>>())
        .expect("partitions");
    println!("acquired in {:.2} s", began.elapsed().as_secs_f64());
    read(&*store.reader(), partitions);
    std::fs::remove_dir_all(&directory).expect("removed");
}

fn fill(store: &mut dyn Store, snapshots: u64, entries: u64) {
    let partitions = PartitionCount::new(PARTITIONS).expect("a number");
    let all: Vec<Claim> = partitions.all().map(Claim::alone).collect();
    let epoch = store.acquire(&all).expect("partitions")[0].epoch;
    let commits = snapshots.max(entries) / COMMIT;
    let mut committed = 0;
    for commit in 0..commits {
        let batch = batch(
            epoch,
            commit,
            commit < snapshots / COMMIT,
            commit >= commits - entries / COMMIT,
            committed,
        );
        if commit >= commits - entries / COMMIT {
            committed += COMMIT / u64::from(PARTITIONS);
        }
        store.commit(&[batch]).expect("commits");
    }
}

fn batch(epoch: Epoch, commit: u64, with_snapshots: bool, with_entries: bool, committed: u64) -> CommitBatch {
    let each = COMMIT / u64::from(PARTITIONS);
    let part = |partition: u16| {
        let snapshot = |at: u64| SnapshotRecord {
            kind: EntityKind(0),
            entity: format!(
                "SKU-{:07}/W{partition:03}",
                (commit * each + at).wrapping_mul(7_919) % 10_000_000
            )
            .into_bytes()
            .into(),
            sequence: Sequence(1),
            alarm: commit
                .is_multiple_of(50)
                .then(|| Timestamp::from_millis(i64::try_from(commit).expect("small"))),
            previous_alarm: None,
            state: vec![7; STATE_BYTES],
        };
        PartitionBatch {
            partition: PartitionId(partition),
            epoch,
            first_sequence: Sequence(1 + committed),
            entries: if with_entries {
                u32::try_from(each).expect("small")
            } else {
                0
            },
            journal: if with_entries {
                vec![3; ENTRY_BYTES * usize::try_from(each).expect("small")]
            } else {
                Vec::new()
            },
            snapshots: if with_snapshots {
                (0..each).map(snapshot).collect()
            } else {
                Vec::new()
            },
            ..PartitionBatch::default()
        }
    };
    CommitBatch {
        partitions: (0..PARTITIONS).map(part).collect(),
        cursors: Vec::new(),
    }
}

fn read(reader: &dyn StoreReader, partitions: PartitionCount) {
    let timed = |what: &str, read: &mut dyn FnMut(PartitionId) -> u64| {
        let began = Instant::now();
        let found: u64 = partitions.all().map(read).sum();
        println!("{found} {what} read in {:.2} s", began.elapsed().as_secs_f64());
    };
    timed("snapshots", &mut |partition| {
        let mut found = 0;
        let visit = &mut |_: lockstep_runtime::store::SnapshotRef<'_>| {
            found += 1;
            ControlFlow::Continue(())
        };
        reader
            .snapshots(partition, EntityKind(0), visit)
            .expect("snapshots");
        found
    });
    timed("alarms", &mut |partition| {
        let mut found = 0;
        let visit = &mut |_: Timestamp, _: EntityKind, _: &[u8]| {
            found += 1;
            ControlFlow::Continue(())
        };
        reader.alarms(partition, visit).expect("alarms");
        found
    });
    timed("blobs", &mut |partition| {
        let mut found = 0;
        let visit = &mut |_: &[u8]| {
            found += 1;
            ControlFlow::Continue(())
        };
        reader
            .journal(partition, Sequence(0), visit)
            .expect("the journal");
        found
    });
}
