//! The manifests of the engine's keyspaces: which tables each has.
//!
//! A keyspace's file `current` has the number of its manifest, `v<number>`, and the checksum of that (`version/persist.rs` of
//! lsm-tree 3): both little-endian, XXH3 of 128 bits, and a zero for that kind of checksum. The engine writes the checksum and never
//! looks at it: a wrong bit in a manifest would leave out tables, and a wrong number would bring back older ones, without a word. And
//! it takes a keyspace without `current` for one whose making was interrupted: it drops it, and makes it anew, empty.

use super::layout::damaged;
use lockstep_runtime::store::StoreError;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// Sees that a keyspace is there, and has the manifest that was written.
pub(super) fn check(keyspace: &Path) -> Result<(), StoreError> {
    let current = keyspace.join("current");
    let (number, checksum) =
        read_current(&read(&current)?).ok_or_else(|| damaged(format!("{} is broken", current.display())))?;
    let manifest = keyspace.join(format!("v{number}"));
    if xxh3_128(&read(&manifest)?) == checksum {
        return Ok(());
    }
    Err(damaged(format!(
        "the checksum of {} is wrong",
        manifest.display()
    )))
}

/// The number of the manifest, and its checksum.
fn read_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, kind) = rest.split_first_chunk::<16>()?;
    (kind == [0]).then(|| (u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            damaged(format!("{} is missing", path.display()))
        } else {
            super::errors::io(&format!("reading {}", path.display()), &error)
        }
    })
}
