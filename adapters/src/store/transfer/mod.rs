//! A store as one file: exported from one engine, checked, and imported into another or the same.
//!
//! Invariants:
//! - an export is there as a whole and durable, or it is not there under its name; nothing is overwritten;
//! - what was torn, cut off, changed or put into another order is refused with the place in the file ([`file`]);
//! - an import goes into an empty store alone, and until it has ended nobody serves what is there ([`Standing`]);
//! - what an import has written is read back and compared with the file before it counts;
//! - all numbers of an imported store lie far above those of the one that was exported ([`LEAP`]): whatever that one has told
//!   channels and consumers since, or tells them yet, is older than what they are told from now on.
//!
//! Memory is bounded by the largest record and [`BATCH_BYTES`], whatever the size of the store.

mod export;
mod file;
mod import;
mod ledger;
mod repartition;
mod walk;

#[cfg(test)]
mod tests;

pub use export::export;
pub use file::{FileError, Totals, verify_file};
pub use import::import;
pub use repartition::{Repartitioned, repartition};
pub use walk::verify_store;

use lockstep_runtime::store::StoreError;
use std::path::PathBuf;

/// By how much the sequences of a partition rise with an import: what a partition that writes a thousand entries a second needs
/// in seven weeks. Read models keep 48 bits of them, so that there is room for 65,000 imports one after the other.
pub const LEAP: u64 = 1 << 32;
/// How many bytes are made durable together.
const BATCH_BYTES: usize = 4 << 20;

/// Why a store was not exported, imported or found whole.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file's content.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("cannot use {path}: {cause}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is something where an export would go.
    #[error("{path} is there already; name another file", path = .0.display())]
    Exists(PathBuf),
    /// The store is not new.
    #[error(
        "the store is not empty: an import needs one that was never used, or whose import broke off and was cleared away"
    )]
    NotEmpty,
    /// The file was exported from a store with another number of partitions.
    #[error("the file has {found} partitions, the store {wanted}; set store.partitions to {found}")]
    Partitions {
        /// What the file says.
        found: u16,
        /// What the store has.
        wanted: u16,
    },
    /// The store cannot be dealt out anew yet.
    #[error(
        "the store is not settled: {0}. Start the service, let it run until nothing is under way and \
         lockstep_consumer_lag_entries is 0, stop it, and try again; a consumer that is no more is left behind by --without"
    )]
    Unsettled(String),
    /// What was read back is not what the file says.
    #[error(
        "what was written differs from what was read: {found} in place of {wanted}; the store must not be served"
    )]
    Differs {
        /// The digest of the store.
        found: String,
        /// The digest of the file.
        wanted: String,
    },
}

/// What happens to a source that was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It may be served on, as after a backup.
    Serve,
    /// Nobody serves it any more, as after a move.
    Retire,
}
