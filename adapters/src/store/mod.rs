//! Where the runtime keeps what must not be lost: adapters of the port in [`lockstep_runtime::store`].
//!
//! The embedded store is the default: one directory, no server, one sync for each commit. The store in PostgreSQL is for
//! nodes without a disk of their own, and for several nodes.

pub mod embedded;
pub mod postgres;
pub mod transfer;

#[cfg(test)]
mod conformance;

pub use embedded::{EmbeddedConfig, EmbeddedOpener};
pub use postgres::{PostgresConfig, PostgresOpener, PostgresReader, PostgresSettings, Sharing};

use lockstep_runtime::message::Sequence;
use lockstep_runtime::store::{PartitionBatch, StoreError};

/// Sees that a part of a commit goes on where its partition ends, and says as many entries as it has bytes for.
fn check_part(part: &PartitionBatch, expected: Sequence) -> Result<(), StoreError> {
    let partition = part.partition.0;
    if part.first_sequence != expected {
        return Err(StoreError::Failed(format!(
            "partition {partition} goes on at {}, not at {}; this is a defect of lockstep",
            expected.0, part.first_sequence.0
        )));
    }
    if (part.entries == 0) != part.journal.is_empty() {
        return Err(StoreError::Failed(format!(
            "partition {partition} was given {} entries in {} bytes; this is a defect of lockstep",
            part.entries,
            part.journal.len()
        )));
    }
    Ok(())
}

/// Whether a writer may still be used: any error but a fenced commit ends its use, and it is opened anew.
#[derive(Debug, Default)]
struct Usable {
    failed: bool,
}

impl Usable {
    fn check(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed(
                "used after a failure; open it again".to_owned(),
            ));
        }
        Ok(())
    }

    fn judge<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed |= matches!(&result, Err(error) if !matches!(error, StoreError::Fenced(_)));
        result
    }
}
