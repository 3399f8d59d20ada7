//! From what the operating system and the engine say to what a person should do.

use lockstep_runtime::store::StoreError;
use std::error::Error;
use std::io;
use std::path::Path;

/// An error of the operating system while `doing` something.
pub(super) fn io(doing: &str, error: &io::Error) -> StoreError {
    if is_full(error) {
        StoreError::NoSpace(format!("{doing}: {error}"))
    } else {
        StoreError::Failed(format!("{doing}: {error}"))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// An error of the engine. It reports a background thread's failure only as "poisoned": whether the disk is full is then
/// seen from the disk.
pub(super) fn engine(directory: &Path, doing: &str, error: &fjall::Error) -> StoreError {
    if let Some(cause) = cause(error) {
        return io(doing, cause);
    }
    match error {
        fjall::Error::Poisoned => match super::space::check(directory) {
            Err(full @ StoreError::NoSpace(_)) => full,
            Ok(()) | Err(_) => StoreError::Failed(format!(
                "{doing}: a background task of the engine failed; the log says more"
            )),
        },
        fjall::Error::Locked => StoreError::InUse(directory.display().to_string()),
        fjall::Error::Storage(_)
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable => StoreError::Damaged(format!("{doing}: {error}")),
        // Not exhaustive: there may be others one day.
        other @ (fjall::Error::Io(_) | fjall::Error::KeyspaceDeleted | _) => {
            StoreError::Failed(format!("{doing}: {other}"))
        }
    }
}

/// The operating system's error beneath, if there is one. A file that ends too early or is missing is damage, not a
/// failure of the disk.
fn cause(error: &fjall::Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return (!matches!(
                io.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound
            ))
            .then_some(io);
        }
        cause = current.source();
    }
    None
}
