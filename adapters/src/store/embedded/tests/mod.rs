//! The embedded store against the same suite as the store in memory, and against what disks do.

mod crash;
mod damage;
mod full_disk;
mod opening;
mod trimming;

use super::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Epoch, PartitionBatch, Store, StoreError, StoreOpener, StoreReader,
};
use std::ops::ControlFlow;
use std::path::Path;

const PARTITION: PartitionId = PartitionId(1);

fn opener(directory: &Path) -> EmbeddedOpener {
    EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.to_owned(),
        partitions: PartitionCount::new(4).unwrap(),
        cache_mib: 8,
    })
}

/// A store with its one busy partition acquired.
struct Busy {
    store: Box<dyn Store>,
    epoch: Epoch,
    next: u64,
}

impl Busy {
    fn open(opener: &EmbeddedOpener) -> Result<Self, StoreError> {
        let mut store = opener.open()?;
        let state = store.acquire(&[Claim::alone(PARTITION)])?.remove(0);
        Ok(Self {
            store,
            epoch: state.epoch,
            next: state.next_sequence.0,
        })
    }

    /// Commits one entry of so many bytes, which repeat its sequence.
    fn commit(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.commit_and_trim(bytes, None)
    }

    fn commit_and_trim(&mut self, bytes: usize, trim_before: Option<u64>) -> Result<(), StoreError> {
        let batch = CommitBatch {
            partitions: vec![PartitionBatch {
                partition: PARTITION,
                epoch: self.epoch,
                first_sequence: Sequence(self.next),
                entries: 1,
                journal: entry(self.next, bytes),
                trim_before: trim_before.map(Sequence),
                ..PartitionBatch::default()
            }],
            cursors: Vec::new(),
        };
        self.store.commit(&[batch])?;
        self.next += 1;
        Ok(())
    }
}

fn entry(sequence: u64, bytes: usize) -> Vec<u8> {
    let mut entry = sequence.to_le_bytes().to_vec();
    entry.resize(bytes.max(8), u8::try_from(1 + sequence % 255).unwrap());
    entry
}

/// The sequences of the entries that are there, each seen to be as it was written.
fn sequences(reader: &dyn StoreReader) -> Vec<u64> {
    let mut found = Vec::new();
    let visit = &mut |blob: &[u8]| {
        let sequence = u64::from_le_bytes(*blob.first_chunk().unwrap());
        assert!(
            blob == entry(sequence, blob.len()),
            "entry {sequence} has changed"
        );
        found.push(sequence);
        ControlFlow::Continue(())
    };
    reader.journal(PARTITION, Sequence(0), visit).unwrap();
    found
}

fn numbers(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

/// Why a store does not open.
fn refusal(opener: &EmbeddedOpener) -> StoreError {
    opener.open().err().expect("the store should be refused")
}
