//! The engines, each set up as one would for this work.

use crate::Blob;
use crate::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{Claim, CommitBatch, Epoch, PartitionBatch, Store, StoreOpener};
use std::path::Path;

pub const NAMES: &[&str] = &[
    "store",
    "fjall",
    "redb",
    "raft-engine",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
];

pub trait Engine {
    /// Makes `blobs` durable with one sync and drops `old` ones.
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>);
}

pub fn open(name: &str, directory: &Path) -> Box<dyn Engine> {
    match name {
        "store" => Box::new(Lockstep::open(directory)),
        "fjall" => Box::new(Fjall::open(directory)),
        "redb" => Box::new(Redb::open(directory)),
        "raft-engine" => Box::new(Raft::open(directory)),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => Box::new(Rocks::open(directory)),
        other => panic!("no engine is called {other}"),
    }
}

fn key(blob: &Blob) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&blob.partition.to_be_bytes());
    key[2..].copy_from_slice(&blob.first.to_be_bytes());
    key
}

/// The store as the runtime uses it: fjall with checksums, epochs and the index of the journal on top.
struct Lockstep {
    store: Box<dyn Store>,
    epoch: Epoch,
}

impl Lockstep {
    fn open(directory: &Path) -> Self {
        let partitions = PartitionCount::new(16).expect("a number");
        let opener = EmbeddedOpener::new(EmbeddedConfig {
            directory: directory.to_owned(),
            partitions,
            cache_mib: 32,
        });
        let mut store = opener.open().expect("the store opens");
        let all: Vec<Claim> = partitions.all().map(Claim::alone).collect();
        let epoch = store.acquire(&all).expect("partitions")[0].epoch;
        Self { store, epoch }
    }
}

impl Engine for Lockstep {
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>) {
        let trim_before = old.and_then(|old| old.first().map(|blob| Sequence(blob.first)));
        let part = |blob: Blob| PartitionBatch {
            partition: PartitionId(blob.partition),
            epoch: self.epoch,
            first_sequence: Sequence(blob.first),
            entries: u32::try_from(blob.bytes.len() / crate::EVENT_BYTES).expect("few"),
            journal: blob.bytes,
            trim_before,
            ..PartitionBatch::default()
        };
        let batch = CommitBatch {
            partitions: blobs.into_iter().map(part).collect(),
            cursors: Vec::new(),
        };
        self.store.commit(&[batch]).expect("the store commits");
    }
}

struct Fjall {
    database: fjall::Database,
    journal: fjall::Keyspace,
}

impl Fjall {
    fn open(directory: &Path) -> Self {
        let database = fjall::Database::builder(directory)
            .journal_compression(fjall::CompressionType::None)
            .max_journaling_size(192 << 20)
            .worker_threads(2)
            .open()
            .expect("fjall opens");
        let journal = database
            .keyspace("journal", || {
                let separation = fjall::KvSeparationOptions::default()
                    .separation_threshold(256)
                    .compression(fjall::CompressionType::None);
                fjall::KeyspaceCreateOptions::default().with_kv_separation(Some(separation))
            })
            .expect("a keyspace");
        Self { database, journal }
    }
}

impl Engine for Fjall {
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>) {
        let mut batch = self
            .database
            .batch()
            .durability(Some(fjall::PersistMode::SyncData));
        for blob in old.iter().flatten() {
            batch.remove(&self.journal, key(blob));
        }
        for blob in &blobs {
            batch.insert(&self.journal, key(blob), blob.bytes.as_slice());
        }
        batch.commit().expect("fjall commits");
    }
}

const TABLE: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("journal");

struct Redb {
    database: redb::Database,
}

impl Redb {
    fn open(directory: &Path) -> Self {
        let database = redb::Database::create(directory.join("redb")).expect("redb opens");
        Self { database }
    }
}

impl Engine for Redb {
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>) {
        let write = self.database.begin_write().expect("a transaction");
        {
            let mut table = write.open_table(TABLE).expect("a table");
            for blob in old.iter().flatten() {
                table.remove(key(blob).as_slice()).expect("removed");
            }
            for blob in &blobs {
                let key = key(blob);
                table
                    .insert(key.as_slice(), blob.bytes.as_slice())
                    .expect("inserted");
            }
        }
        write.commit().expect("redb commits");
    }
}

/// An entry of the raft engine: its index, then the bytes, in a message type that protobuf brings along.
#[derive(Clone)]
struct Entry;

impl raft_engine::MessageExt for Entry {
    type Entry = protobuf::well_known_types::BytesValue;

    fn index(entry: &Self::Entry) -> u64 {
        entry
            .value
            .first_chunk()
            .map_or(0, |index| u64::from_le_bytes(*index))
    }
}

struct Raft {
    engine: raft_engine::Engine,
    commits: u64,
}

impl Raft {
    fn open(directory: &Path) -> Self {
        let config = raft_engine::Config {
            dir: directory.to_string_lossy().into_owned(),
            batch_compression_threshold: raft_engine::ReadableSize(0),
            ..raft_engine::Config::default()
        };
        let engine = raft_engine::Engine::open(config).expect("raft-engine opens");
        Self { engine, commits: 0 }
    }
}

impl Engine for Raft {
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>) {
        self.commits += 1;
        let mut batch = raft_engine::LogBatch::with_capacity(blobs.len());
        for blob in blobs {
            let mut value = Vec::with_capacity(8 + blob.bytes.len());
            value.extend_from_slice(&self.commits.to_le_bytes());
            value.extend_from_slice(&blob.bytes);
            let mut entry = protobuf::well_known_types::BytesValue::new();
            entry.value = value;
            batch
                .add_entries::<Entry>(u64::from(blob.partition) + 1, &[entry])
                .expect("an entry");
        }
        for blob in old.iter().flatten() {
            let index = self.commits - crate::KEEP_COMMITS + 1;
            let compact = raft_engine::Command::Compact { index };
            batch.add_command(u64::from(blob.partition) + 1, compact);
        }
        self.engine.write(&mut batch, true).expect("raft-engine commits");
        if self.commits.is_multiple_of(1_000) {
            self.engine.purge_expired_files().expect("purged");
        }
    }
}

#[cfg(feature = "rocksdb")]
struct Rocks {
    database: rocksdb::DB,
}

#[cfg(feature = "rocksdb")]
impl Rocks {
    fn open(directory: &Path) -> Self {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.set_compression_type(rocksdb::DBCompressionType::None);
        options.set_enable_blob_files(true);
        options.set_min_blob_size(256);
        options.set_enable_blob_gc(true);
        options.set_enable_pipelined_write(false);
        let database = rocksdb::DB::open(&options, directory).expect("rocksdb opens");
        Self { database }
    }
}

#[cfg(feature = "rocksdb")]
impl Engine for Rocks {
    fn commit(&mut self, blobs: Vec<Blob>, old: Option<Vec<Blob>>) {
        let mut batch = rocksdb::WriteBatch::default();
        for blob in old.iter().flatten() {
            batch.delete(key(blob));
        }
        for blob in &blobs {
            batch.put(key(blob), &blob.bytes);
        }
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.database.write_opt(batch, &options).expect("rocksdb commits");
    }
}
