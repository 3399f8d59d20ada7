//! What a durable commit costs by the size of its batch: the embedded store, entries of 200 bytes, one sync each.
//!
//! The directory is made where temporary files go; `TMPDIR` chooses another disk.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a benchmark that meets the unexpected shall fail"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::journal::{EntryHead, EntryWriter, begin_blob};
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::{Claim, CommitBatch, PartitionBatch, PartitionState, StoreOpener};
use lockstep_runtime::time::Timestamp;

const ENTRY_BYTES: usize = 200;
/// Over how many partitions a batch is spread at most, as in a real hour.
const SPREAD: usize = 64;

/// The next batch of so many entries, spread over the partitions.
fn batch(states: &mut [PartitionState], entries: usize) -> CommitBatch {
    let partitions = states.iter_mut().take(entries.min(SPREAD)).map(|state| {
        let mut journal = Vec::with_capacity(24 + entries * (ENTRY_BYTES + 64));
        begin_blob(&mut journal, state.partition, state.epoch, state.next_sequence);
        let first_sequence = state.next_sequence;
        let own = entries.div_ceil(SPREAD.min(entries));
        for _ in 0..own {
            let provenance = Provenance {
                source: "wms".into(),
                correlation: "GR-1".into(),
                causation: None,
            };
            let head = EntryHead {
                at: Timestamp::from_millis(1_790_000_000_000),
                kind: EntityKind(1),
                entity: b"SKU-000001/W1",
                origin: Origin::External(MessageId(u128::from(state.next_sequence.0))),
                provenance: &provenance,
            };
            let mut writer = EntryWriter::begin(&mut journal, &head).unwrap();
            writer.event(&"e".repeat(ENTRY_BYTES - 100)).unwrap();
            writer.events_done();
            writer.sends_done();
            writer.finish().unwrap();
            state.next_sequence = Sequence(state.next_sequence.0 + 1);
        }
        PartitionBatch {
            partition: state.partition,
            epoch: state.epoch,
            first_sequence,
            entries: own as u32,
            journal,
            // A journal that nobody needs any more: its trimming is part of the cost.
            trim_before: Some(Sequence(first_sequence.0.saturating_sub(4_096))),
            ..PartitionBatch::default()
        }
    });
    CommitBatch {
        partitions: partitions.collect(),
        cursors: Vec::new(),
    }
}

fn commit(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let opener = EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.path().join("store"),
        partitions: PartitionCount::DEFAULT,
        cache_mib: 64,
    });
    let mut store = opener.open().unwrap();
    let all: Vec<_> = PartitionCount::DEFAULT.all().map(Claim::alone).collect();
    let mut states = store.acquire(&all).unwrap();
    let mut group = criterion.benchmark_group("commit to the embedded store");
    for entries in [1, 64, 1_024] {
        group.throughput(Throughput::Elements(entries as u64));
        group.bench_function(format!("{entries} entries"), |bencher| {
            bencher.iter_batched(
                || [batch(&mut states, entries)],
                |batches| store.commit(&batches).unwrap(),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, commit);
criterion_main!(benches);
