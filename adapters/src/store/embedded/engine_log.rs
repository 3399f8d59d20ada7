//! Looks through the engine's write-ahead log before the engine does.
//!
//! The engine ends its replay at the first bytes that make no sense to it and cuts the log off there, so one wrong bit in
//! the middle would silently cost every commit after it; and where a checksum does not fit it refuses to open, though a
//! power cut in the middle of the last write may leave just that. Here the two are told apart before anything is changed:
//!
//! - a write that was not finished is the last thing in the newest file, and a part of it never reached the disk: the file
//!   ends within it, or a sector of it is still zero. It was never acknowledged, and is cut off;
//! - anything else is damage, and is refused.
//!
//! The layout is that of the engine's format 3: a batch is `1 count:u32 sequence:u64`, its items, and
//! `3 checksum:u64 "FJL\x03"`; an item is `2 type:u8 compression:u8.. keyspace:u64 key:u16 value:u32 stored:u32` and the
//! bytes of key and value. The checksum is the XXH3 of all items. Files are made 64 MiB long and filled from the front.

use super::layout::{self, damaged};
use lockstep_runtime::store::StoreError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const SECTOR: usize = 512;
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const UNCOMPRESSED: u8 = 0;
const TRAILER: &[u8] = b"FJL\x03";

/// A batch that was found whole.
struct Batch {
    sequence: u64,
    /// The number of our commit, which is its last item.
    number: Option<u64>,
    end: usize,
}

/// Why there is no batch.
#[derive(Debug, PartialEq, Eq)]
enum Broken {
    /// The file ends within it.
    Short,
    /// The bytes are those of no batch.
    Wrong,
}

/// The log as it was found.
#[derive(Debug, Default)]
struct Progress {
    sequence: Option<u64>,
    number: Option<u64>,
}

/// Checks the log of the engine in `directory`, and cuts off a last write that was not finished.
///
/// # Errors
/// [`StoreError::Damaged`] if the log is not as it was written, or ends before commit `acknowledged`.
pub(super) fn check(directory: &Path, acknowledged: u64) -> Result<(), StoreError> {
    let failed = |error: io::Error| super::errors::io("reading the engine's log", &error);
    let files = files(directory).map_err(failed)?;
    let mut progress = Progress::default();
    for (at, path) in files.iter().enumerate() {
        let bytes = fs::read(path).map_err(failed)?;
        let Some(torn_at) = walk(&bytes, &mut progress, path)? else {
            continue;
        };
        if at + 1 < files.len() || !is_torn(&bytes, torn_at) {
            return Err(damaged(format!(
                "{} is not as it was written, from byte {torn_at} on",
                path.display()
            )));
        }
        check_number(&progress, acknowledged)?;
        tracing::warn!(file = %path.display(), torn_at, "cutting off a write that was never finished");
        cut(path, torn_at).map_err(failed)?;
    }
    check_number(&progress, acknowledged)
}

fn check_number(progress: &Progress, acknowledged: u64) -> Result<(), StoreError> {
    match progress.number {
        Some(number) if number < acknowledged => Err(damaged(format!(
            "commit {acknowledged} was acknowledged, but {number} is the last one found"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The files of the log, oldest first.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let number = stem.and_then(|stem| stem.parse::<u64>().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|of| of == "jnl")
        {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, at: usize) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(u64::try_from(at).unwrap_or(u64::MAX))?;
    file.sync_all()
}

/// Goes through all whole batches; the place where something else begins, if not only unused space is left.
fn walk(bytes: &[u8], progress: &mut Progress, path: &Path) -> Result<Option<usize>, StoreError> {
    let mut at = 0;
    while at < bytes.len() {
        let Ok(batch) = batch(bytes, at) else {
            let unused = bytes.iter().skip(at).all(|&byte| byte == 0);
            return Ok((!unused).then_some(at));
        };
        let expected = progress.number.map(|number| number + 1);
        if progress.sequence.is_some_and(|last| last >= batch.sequence)
            || (expected.is_some() && batch.number != expected)
        {
            return Err(damaged(format!(
                "{} has lost or mixed up commits at byte {at}",
                path.display()
            )));
        }
        progress.sequence = Some(batch.sequence);
        progress.number = batch.number;
        at = batch.end;
    }
    Ok(None)
}

/// Whether what begins at `at` is one write of which a part never reached the disk.
fn is_torn(bytes: &[u8], at: usize) -> bool {
    let written = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let tail = bytes.get(at..written).unwrap_or_default();
    let whole_later = tail
        .windows(TRAILER.len())
        .enumerate()
        .filter(|(_, window)| *window == TRAILER)
        .any(|(found, _)| batch(bytes, at + found + TRAILER.len()).is_ok());
    if whole_later {
        return false;
    }
    let first_sector = at.next_multiple_of(SECTOR);
    let has_hole = bytes
        .get(first_sector..)
        .unwrap_or_default()
        .chunks(SECTOR)
        .take_while(|_| written > first_sector)
        .zip((first_sector..written.next_multiple_of(SECTOR)).step_by(SECTOR))
        .any(|(sector, _)| sector.iter().all(|&byte| byte == 0));
    // Written from the front: the rest of the file is unused, or the file ends.
    has_hole
        || matches!(
            batch(bytes.get(..written).unwrap_or_default(), at),
            Err(Broken::Short)
        )
}

/// Reads the batch at a place.
fn batch(bytes: &[u8], at: usize) -> Result<Batch, Broken> {
    let mut reader = Reader { bytes, at };
    if reader.u8()? != START {
        return Err(Broken::Wrong);
    }
    let count = reader.u32()?;
    let sequence = reader.u64()?;
    let items_from = reader.at;
    let mut number = None;
    for _ in 0..count {
        number = item(&mut reader)?;
    }
    let items = bytes.get(items_from..reader.at).ok_or(Broken::Short)?;
    if reader.u8()? != END {
        return Err(Broken::Wrong);
    }
    let checksum = reader.u64()?;
    if reader.take(TRAILER.len())? != TRAILER || checksum != xxh3_64(items) {
        return Err(Broken::Wrong);
    }
    Ok(Batch {
        sequence,
        number,
        end: reader.at,
    })
}

/// Steps over an item; the commit number if it is that.
fn item(reader: &mut Reader<'_>) -> Result<Option<u64>, Broken> {
    if reader.u8()? != ITEM {
        return Err(Broken::Wrong);
    }
    let _value_type = reader.u8()?;
    // The store tells the engine to compress nothing here.
    if reader.u8()? != UNCOMPRESSED {
        return Err(Broken::Wrong);
    }
    let _keyspace = reader.u64()?;
    let key_bytes = usize::from(reader.u16()?);
    let _value_bytes = reader.u32()?;
    let stored_bytes = usize::try_from(reader.u32()?).map_err(|_| Broken::Wrong)?;
    let key = reader.take(key_bytes)?;
    let value = reader.take(stored_bytes)?;
    if key != layout::COMMIT_NUMBER {
        return Ok(None);
    }
    Ok(layout::number("the commit number", key, value).ok())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(count).ok_or(Broken::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken::Short)
    }

    fn u8(&mut self) -> Result<u8, Broken> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Broken> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        self.array().map(u64::from_le_bytes)
    }
}
