//! The file that says what a directory holds, and whose lock says that somebody has it open.

use super::layout::{FORMAT, damaged};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::StoreError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "identity";
const FIRST_LINE: &str = "lockstep store";

/// Reads the identity of the store in `directory`; `None` if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<PartitionCount>, StoreError> {
    let path = directory.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => parse(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(super::errors::io(&format!("reading {}", path.display()), &error)),
    }
}

fn parse(bytes: &[u8]) -> Result<PartitionCount, StoreError> {
    let wrong = |what: &str| damaged(format!("the file `{NAME}` {what}"));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("is no text"))?;
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(wrong("does not begin as it should"));
    }
    let format: u32 = field(lines.next(), "format").ok_or_else(|| wrong("says no format"))?;
    if format > FORMAT {
        return Err(StoreError::NewerFormat {
            found: format,
            supported: FORMAT,
        });
    }
    let partitions: u16 = field(lines.next(), "partitions").ok_or_else(|| wrong("says no partitions"))?;
    let partitions = PartitionCount::new(partitions).map_err(|error| wrong(&error.to_string()))?;
    if text != render(partitions) {
        return Err(wrong("has a wrong checksum"));
    }
    Ok(partitions)
}

fn field<T: std::str::FromStr>(line: Option<&str>, name: &str) -> Option<T> {
    line?.strip_prefix(name)?.trim().parse().ok()
}

fn render(partitions: PartitionCount) -> String {
    let body = format!("{FIRST_LINE}\nformat {FORMAT}\npartitions {}\n", partitions.get());
    let checksum = crc32fast::hash(body.as_bytes());
    format!("{body}checksum {checksum:08x}\n")
}

/// Writes the identity so that it is there wholly or not at all, also after a power cut.
pub(super) fn write(directory: &Path, partitions: PartitionCount) -> io::Result<()> {
    let draft = directory.join("identity.new");
    let mut file = File::create(&draft)?;
    file.write_all(render(partitions).as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(NAME))?;
    sync_directory(directory)
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Held while a store is open. The directory itself is locked: it is there before any file in it.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: File,
}

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let whole = directory.display().to_string();
        let file =
            File::open(directory).map_err(|error| super::errors::io(&format!("opening {whole}"), &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _directory: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(whole)),
            Err(error) => Err(super::errors::io(&format!("locking {whole}"), &error.into())),
        }
    }
}
