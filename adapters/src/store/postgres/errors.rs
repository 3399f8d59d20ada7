//! From what the database says to what a person should do.

use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::StoreError;
use std::error::Error as _;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// A partition is held under another epoch; raised by the function `lockstep.commit`.
const FENCED: &str = "LS001";

/// An error of the database or the way to it, while `doing` something. None of these texts holds a password.
pub(super) fn database(doing: &str, error: &Error) -> StoreError {
    let Some(answer) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}"));
        return StoreError::Failed(format!("{doing}: {error}{}", cause.unwrap_or_default()));
    };
    let text = format!("{doing}: {}", answer.message());
    match answer.code() {
        code if code.code() == FENCED => answer.message().parse().map_or_else(
            |_| StoreError::Failed(text),
            |partition| StoreError::Fenced(PartitionId(partition)),
        ),
        code if *code == SqlState::DISK_FULL => StoreError::NoSpace(text),
        code if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) => {
            StoreError::Damaged(text)
        }
        code => StoreError::Failed(format!("{text} ({})", code.code())),
    }
}

/// A number beyond what the database keeps, which no partition reaches.
pub(super) fn too_large(what: &str) -> StoreError {
    StoreError::Failed(format!("{what} is larger than the database can keep"))
}

pub(super) fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged(what.into())
}
