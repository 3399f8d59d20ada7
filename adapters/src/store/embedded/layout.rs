//! How keys and values look. Numbers in keys are big-endian, so that the engine's order of bytes is ours.
//!
//! Every value ends up under a CRC-32: a journal blob's stands in its key, all others begin with theirs.

use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{Epoch, SnapshotRecord, SnapshotRef, StoreError};
use lockstep_runtime::time::Timestamp;

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

const PARTITION: u8 = b'P';
const HEADER: u8 = b'H';
const CURSOR: u8 = b'C';

/// The key under which the number of the last commit stands, in the control keyspace.
pub(super) const COMMIT_NUMBER: &[u8] = b"N";

pub(super) fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged(what.into())
}

/// Where a blob lies in the journal and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlobKey {
    pub(super) first: u64,
    pub(super) entries: u32,
    pub(super) checksum: u32,
}

pub(super) const BLOB_KEY_BYTES: usize = 18;

impl BlobKey {
    pub(super) fn of(first: Sequence, entries: u32, blob: &[u8]) -> Self {
        Self {
            first: first.0,
            entries,
            checksum: crc32fast::hash(blob),
        }
    }

    /// The sequence after its last entry.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.entries))
    }

    pub(super) fn encode(&self, partition: PartitionId) -> [u8; BLOB_KEY_BYTES] {
        let mut key = [0; BLOB_KEY_BYTES];
        key[..2].copy_from_slice(&partition.0.to_be_bytes());
        key[2..10].copy_from_slice(&self.first.to_be_bytes());
        key[10..14].copy_from_slice(&self.entries.to_be_bytes());
        key[14..].copy_from_slice(&self.checksum.to_be_bytes());
        key
    }

    pub(super) fn decode(key: &[u8]) -> Option<(PartitionId, Self)> {
        let (partition, rest) = key.split_first_chunk::<2>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (entries, rest) = rest.split_first_chunk::<4>()?;
        let checksum = <[u8; 4]>::try_from(rest).ok()?;
        let key = Self {
            first: u64::from_be_bytes(*first),
            entries: u32::from_be_bytes(*entries),
            checksum: u32::from_be_bytes(checksum),
        };
        Some((PartitionId(u16::from_be_bytes(*partition)), key))
    }
}

/// The place of a sequence in the journal: not after any blob that begins there.
pub(super) fn journal_place(partition: PartitionId, sequence: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&partition.0.to_be_bytes());
    key[2..].copy_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn partition_key(partition: PartitionId) -> [u8; 3] {
    tagged(PARTITION, partition)
}

pub(super) fn header_key(partition: PartitionId) -> [u8; 3] {
    tagged(HEADER, partition)
}

fn tagged(tag: u8, partition: PartitionId) -> [u8; 3] {
    let [high, low] = partition.0.to_be_bytes();
    [tag, high, low]
}

pub(super) fn cursor_key(consumer: &str, partition: PartitionId) -> Vec<u8> {
    let mut key = tagged(CURSOR, partition).to_vec();
    key.extend_from_slice(consumer.as_bytes());
    key
}

/// The beginning of the keys of all snapshots of one kind in one partition.
pub(super) fn snapshot_prefix(partition: PartitionId, kind: EntityKind) -> [u8; 3] {
    let [high, low] = partition.0.to_be_bytes();
    [high, low, kind.0]
}

pub(super) fn snapshot_key(partition: PartitionId, kind: EntityKind, entity: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(3 + entity.len());
    key.extend_from_slice(&snapshot_prefix(partition, kind));
    key.extend_from_slice(entity);
    key
}

pub(super) fn alarm_key(partition: PartitionId, at: Timestamp, kind: EntityKind, entity: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(11 + entity.len());
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.extend_from_slice(&ordered(at).to_be_bytes());
    key.push(kind.0);
    key.extend_from_slice(entity);
    key
}

pub(super) fn decode_alarm(key: &[u8]) -> Option<(Timestamp, EntityKind, &[u8])> {
    let (_, rest) = key.split_first_chunk::<2>()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (kind, entity) = rest.split_first()?;
    let at = (u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed();
    Some((Timestamp::from_millis(at), EntityKind(*kind), entity))
}

/// Moments before 1970 come first.
fn ordered(at: Timestamp) -> u64 {
    at.as_millis().cast_unsigned() ^ (1 << 63)
}

pub(super) fn dead_letter_key(partition: PartitionId, sequence: Sequence) -> [u8; 10] {
    journal_place(partition, sequence.0)
}

/// A checksum of key and value, before the value.
pub(super) fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + value.len());
    sealed.extend_from_slice(&[0; 4]);
    sealed.extend_from_slice(value);
    seal(key, &mut sealed);
    sealed
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// Fills in the checksum for which the first four bytes were left.
fn seal(key: &[u8], value: &mut [u8]) {
    if let Some((place, value)) = value.split_first_chunk_mut::<4>() {
        *place = checksum(key, value).to_le_bytes();
    }
}

/// What was sealed, if it still is what it was.
pub(super) fn unsealed<'a>(what: &str, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let parts = sealed.split_first_chunk::<4>();
    match parts {
        Some((sum, value)) if u32::from_le_bytes(*sum) == checksum(key, value) => Ok(value),
        Some(_) | None => Err(damaged(format!("the checksum of {what} is wrong"))),
    }
}

pub(super) fn number(what: &str, key: &[u8], sealed: &[u8]) -> Result<u64, StoreError> {
    let bytes = <[u8; 8]>::try_from(unsealed(what, key, sealed)?)
        .map_err(|_| damaged(format!("{what} is no number")))?;
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn sealed_number(key: &[u8], number: u64) -> Vec<u8> {
    sealed(key, &number.to_le_bytes())
}

/// What is kept of a partition besides its header: its epoch, and the sequence before which nothing is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionRecord {
    pub(super) epoch: Epoch,
    pub(super) trimmed: u64,
}

impl PartitionRecord {
    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&self.epoch.0.to_le_bytes());
        value[8..].copy_from_slice(&self.trimmed.to_le_bytes());
        sealed(key, &value)
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let what = "a partition's record";
        let value = unsealed(what, key, value)?;
        let (epoch, rest) = value.split_first_chunk::<8>().ok_or_else(|| damaged(what))?;
        let trimmed = <[u8; 8]>::try_from(rest).map_err(|_| damaged(what))?;
        Ok(Self {
            epoch: Epoch(u64::from_le_bytes(*epoch)),
            trimmed: u64::from_le_bytes(trimmed),
        })
    }
}

const NO_ALARM: u8 = 0;
const ALARM: u8 = 1;

/// Writes a snapshot into `value`, which is cleared first.
pub(super) fn encode_snapshot(key: &[u8], snapshot: &SnapshotRecord, value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&snapshot.sequence.0.to_le_bytes());
    match snapshot.alarm {
        None => value.push(NO_ALARM),
        Some(at) => {
            value.push(ALARM);
            value.extend_from_slice(&at.as_millis().to_le_bytes());
        }
    }
    value.extend_from_slice(&snapshot.state);
    seal(key, value);
}

pub(super) fn decode_snapshot<'a>(key: &'a [u8], value: &'a [u8]) -> Result<SnapshotRef<'a>, StoreError> {
    let value = unsealed("a snapshot", key, value)?;
    read_snapshot(key, value).ok_or_else(|| damaged("a snapshot is too short"))
}

fn read_snapshot<'a>(key: &'a [u8], value: &'a [u8]) -> Option<SnapshotRef<'a>> {
    let entity = key.get(3..)?;
    let (sequence, rest) = value.split_first_chunk::<8>()?;
    let (&has_alarm, rest) = rest.split_first()?;
    let (alarm, state) = if has_alarm == ALARM {
        let (at, state) = rest.split_first_chunk::<8>()?;
        (Some(Timestamp::from_millis(i64::from_le_bytes(*at))), state)
    } else {
        (None, rest)
    };
    Some(SnapshotRef {
        entity,
        sequence: Sequence(u64::from_le_bytes(*sequence)),
        alarm,
        state,
    })
}
