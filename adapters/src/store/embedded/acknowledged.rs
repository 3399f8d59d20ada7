//! The number of the last commit that was reported as durable.
//!
//! It is written after the sync of each commit and not synced itself, so it is never ahead of what is durable, outlives
//! the process, and after a power cut is some seconds old. A store that opens with a lower number has lost commits that
//! were acknowledged: a journal that was cut off or damaged, or a copy that is not whole. The engine alone would take
//! that for a write that was not finished.

use super::layout::damaged;
use lockstep_runtime::store::StoreError;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NAME: &str = "acknowledged";
const BYTES: usize = 12;

#[derive(Debug)]
pub(super) struct Acknowledged {
    file: File,
}

fn encode(number: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl Acknowledged {
    /// For a new store.
    pub(super) fn create(directory: &Path) -> io::Result<()> {
        let file = File::create(directory.join(NAME))?;
        file.write_all_at(&encode(0), 0)?;
        file.sync_all()
    }

    /// Opens the file and says which number it holds.
    pub(super) fn open(directory: &Path) -> Result<(Self, u64), StoreError> {
        let path = directory.join(NAME);
        let failed = |error: io::Error| {
            let lost = [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof];
            if lost.contains(&error.kind()) {
                damaged(format!("{} is missing or too short", path.display()))
            } else {
                super::errors::io(&format!("opening {}", path.display()), &error)
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let mut bytes = [0; BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let number = bytes
            .first_chunk::<8>()
            .map_or(0, |number| u64::from_le_bytes(*number));
        if bytes != encode(number) {
            return Err(damaged(format!("the checksum of {} is wrong", path.display())));
        }
        Ok((Self { file }, number))
    }

    pub(super) fn set(&self, number: u64) -> io::Result<()> {
        self.file.write_all_at(&encode(number), 0)
    }
}
