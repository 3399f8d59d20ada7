//! Whether the disk has room for the engine to work.

use lockstep_runtime::store::StoreError;
use std::path::Path;

/// The engine writes a whole memtable at a time: with less room than this a store is about to fail, and is not opened.
pub(super) const LEAST_FREE_MIB: u64 = 64;

/// # Errors
/// [`StoreError::NoSpace`] if there is less room than the engine needs.
pub(super) fn check(directory: &Path) -> Result<(), StoreError> {
    let of = directory.display();
    let disk = rustix::fs::statvfs(directory)
        .map_err(|error| super::errors::io(&format!("asking for the space of {of}"), &error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
    if free < LEAST_FREE_MIB {
        return Err(StoreError::NoSpace(format!(
            "{of} has {free} MiB free, {LEAST_FREE_MIB} are needed"
        )));
    }
    Ok(())
}

/// Makes the kernel forget what it holds of these files: after a failed sync it may call pages clean that never reached
/// the disk, and what is read from them would be taken for durable.
pub(super) fn forget_cached(directory: &Path) -> Result<(), StoreError> {
    let forget = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|of| of == "jnl") {
                let file = std::fs::File::open(&path)?;
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            }
        }
        Ok(())
    };
    forget().map_err(|error| super::errors::io("reading the engine's log anew", &error))
}
