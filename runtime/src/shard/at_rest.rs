//! What a shard that was just built says of a partition, for whoever deals its entities out anew. Nothing is decided meanwhile.

use super::{Shard, ShardError};
use crate::entity::{Domain, EntityKind};
use crate::placement::PartitionId;
use crate::store::{SnapshotRecord, SnapshotRef};
use crate::table::{Corrupt, Slot, Tables};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// How far the streams of a partition have come, by the partition at their other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// The number of the last message decided for it.
    pub sent: BTreeMap<PartitionId, u64>,
    /// The number of the last message taken from it.
    pub taken: BTreeMap<PartitionId, u64>,
}

impl<D: Domain> Shard<D> {
    /// The streams of a partition; without any if it is not here.
    #[must_use]
    pub fn streams(&self, partition: PartitionId) -> Streams {
        let Some(known) = self.local(partition).map(|place| &self.partitions[place]) else {
            return Streams::default();
        };
        let heads = known.outbox.heads().into_iter();
        Streams {
            sent: heads.map(|head| (head.to, head.last)).collect(),
            taken: known.inbox.streams().into_iter().collect(),
        }
    }

    /// Hands every entity of a partition to `visit`, with the state that it has now.
    ///
    /// # Errors
    /// [`ShardError`] if the store cannot be read, or a state cannot be written.
    pub fn entities(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(SnapshotRecord) -> ControlFlow<()>,
    ) -> Result<(), ShardError> {
        for info in D::Tables::KINDS {
            for slot in (0..self.tables.slots(info.kind)).map(Slot::at) {
                if self.tables.partition(info.kind, slot) != Some(partition) {
                    continue;
                }
                let snapshot = self.tables.snapshot(info.kind, slot);
                let snapshot = snapshot.map_err(|error| Corrupt {
                    kind: info.name,
                    what: "state",
                    error: error.to_string(),
                })?;
                if visit(snapshot).is_break() {
                    return Ok(());
                }
            }
        }
        for kind in self.reader.kinds(partition)? {
            self.reader.snapshots(
                partition,
                kind,
                &mut |of| match self.tables.find_encoded(kind, of.entity) {
                    Some(_) => ControlFlow::Continue(()),
                    None => visit(as_it_lies(kind, of)),
                },
            )?;
        }
        Ok(())
    }
}

/// An entity that nothing has happened to since its snapshot.
fn as_it_lies(kind: EntityKind, of: SnapshotRef<'_>) -> SnapshotRecord {
    SnapshotRecord {
        kind,
        entity: of.entity.into(),
        sequence: of.sequence,
        alarm: of.alarm,
        previous_alarm: None,
        state: of.state.to_vec(),
    }
}
