//! From a store into a file.

use super::file::{FileWriter, Head, Record, Totals};
use super::walk::walk;
use super::{Afterwards, TransferError};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{CommitBatch, Cursor, STANDING, Standing, Store};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// Writes everything that a store holds into a new file, which is whole and durable once this returns. `progress` is told how
/// many partitions have been begun.
///
/// # Errors
/// [`TransferError`]; the file is then not there.
pub fn export(
    store: &mut dyn Store,
    path: &Path,
    afterwards: Afterwards,
    mut progress: impl FnMut(u64),
) -> Result<Totals, TransferError> {
    let cannot = |cause: io::Error| TransferError::Io {
        path: path.to_owned(),
        cause,
    };
    if path.exists() {
        return Err(TransferError::Exists(path.to_owned()));
    }
    let draft = draft_of(path);
    let out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft);
    let head = Head {
        partitions: store.partition_count().get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: jiff::Timestamp::now().as_millisecond(),
    };
    let mut writer = FileWriter::begin(BufWriter::new(out.map_err(cannot)?), head).map_err(cannot)?;
    let mut begun = 0;
    walk(store, &mut |record| {
        if matches!(record, Record::Partition(_)) {
            begun += 1;
            progress(begun);
        }
        writer.put(record).map_err(cannot)
    })?;
    let (out, totals) = writer.end().map_err(cannot)?;
    let file = out.into_inner().map_err(|error| cannot(error.into_error()))?;
    file.sync_all().map_err(cannot)?;
    // Unlike a rename, a link never replaces what somebody else has put there meanwhile.
    fs::hard_link(&draft, path).map_err(cannot)?;
    fs::remove_file(&draft).map_err(cannot)?;
    File::open(directory_of(path))
        .and_then(|directory| directory.sync_all())
        .map_err(cannot)?;
    if afterwards == Afterwards::Retire {
        note(store, Standing::Retired)?;
    }
    Ok(totals)
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".partial");
    path.with_file_name(name)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Notes in a store, durably, whether it may be served. Its partitions must have been taken.
pub(super) fn note(store: &mut dyn Store, standing: Standing) -> Result<(), TransferError> {
    let cursor = Cursor {
        consumer: STANDING.to_owned(),
        partition: PartitionId(0),
        sequence: standing.number(),
    };
    Ok(store.commit(&[CommitBatch {
        partitions: Vec::new(),
        cursors: vec![cursor],
    }])?)
}
