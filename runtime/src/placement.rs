//! Where an entity lives: its key names a partition, and a partition belongs to one shard at a time.
//!
//! The number of partitions is fixed when a store is created; the number of shards may change with every start.

use serde::{Deserialize, Serialize};

/// A partition of the key space, `0..P`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

/// How many partitions there are: between 1 and 4,096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartitionCount(u16);

/// The partition count lies outside what the runtime supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partitions must be between 1 and 4096, not {0}")]
pub struct InvalidPartitionCount(u16);

impl PartitionCount {
    /// 256 partitions: enough to spread over a hundred nodes, few enough that each batch fills its share.
    pub const DEFAULT: Self = Self(256);

    /// Checks the range.
    ///
    /// # Errors
    /// [`InvalidPartitionCount`] if `count` is 0 or above 4,096.
    pub const fn new(count: u16) -> Result<Self, InvalidPartitionCount> {
        if count == 0 || count > 4096 {
            return Err(InvalidPartitionCount(count));
        }
        Ok(Self(count))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The partition of a routing key: `crc32(key) mod P`, the IEEE polynomial that zlib uses, so that a producer
    /// in any language can compute it.
    #[must_use]
    pub fn partition_of(self, routing_key: &[u8]) -> PartitionId {
        let partition = crc32fast::hash(routing_key) % u32::from(self.0);
        PartitionId(u16::try_from(partition).unwrap_or(0))
    }

    /// All partitions in order.
    pub fn all(self) -> impl Iterator<Item = PartitionId> {
        (0..self.0).map(PartitionId)
    }
}

impl TryFrom<u16> for PartitionCount {
    type Error = InvalidPartitionCount;
    fn try_from(count: u16) -> Result<Self, Self::Error> {
        Self::new(count)
    }
}

impl From<PartitionCount> for u16 {
    fn from(count: PartitionCount) -> Self {
        count.0
    }
}
