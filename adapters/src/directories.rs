//! A directory that files are exchanged over: `in`, `out`, `archive` and `failed`.
//!
//! Invariants:
//! - a file is taken from `in` only once it has its name: what begins with `.` or ends in `.tmp` or `.part` is still being
//!   written;
//! - a file leaves `in` only after what was decided about it is durable;
//! - a file appears in `out` whole and durable, or not at all: it is written under a temporary name, synced, copied to `archive`
//!   and renamed. Once the copy is there and the temporary file is not, it was there, whoever has taken it since.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The longest name of a file.
const MAX_NAME: usize = 120;

/// The directories of a partner or a channel.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    inbound: PathBuf,
    outbound: PathBuf,
    archive: PathBuf,
    failed: PathBuf,
}

/// A file that came in.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) name: String,
    /// Tells one file from another of the same name: when it was last written.
    pub(crate) identity: String,
    pub(crate) age: Duration,
    /// Its content; none if it is longer than is read.
    pub(crate) content: Option<String>,
}

/// Whether a file was put where it belongs by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Now,
    Before,
}

impl Directories {
    /// The directories below `root`, made if they are not there.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let of = |name: &str| -> io::Result<PathBuf> {
            let path = root.join(name);
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let directories = Self {
            inbound: of("in")?,
            outbound: of("out")?,
            archive: of("archive")?,
            failed: of("failed")?,
        };
        sync_directory(root)?;
        Ok(directories)
    }

    /// Works on them beside what else is to be done.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let directories = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&directories)).await;
        worked.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// The names of the complete files in `in`, in their order.
    pub(crate) fn arrived(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.inbound)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let unfinished = name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".part");
            if !unfinished && entry.file_type()?.is_file() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a file that came in; none if somebody has taken it away.
    pub(crate) fn read(&self, name: &str, most: usize) -> io::Result<Option<Arrived>> {
        let file = match File::open(self.inbound.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let written = file.metadata()?.modified()?;
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        let nanoseconds = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let short: String = name.chars().take(64).collect();
        Ok(Some(Arrived {
            name: name.to_owned(),
            identity: format!("{short}@{nanoseconds}"),
            age: written.elapsed().unwrap_or_default(),
            content: (bytes.len() <= most).then(|| text_of(bytes)),
        }))
    }

    /// Puts a file that came in away.
    pub(crate) fn put_away(&self, name: &str) -> io::Result<()> {
        move_to(&self.inbound.join(name), &self.archive, name).map(drop)
    }

    /// Puts a file that came in where a person looks at it, with the reason beside it.
    pub(crate) fn set_aside(&self, name: &str, reason: &str) -> io::Result<()> {
        let kept = free_name(&self.failed, name)?;
        self.explain(&kept, reason)?;
        move_to(&self.inbound.join(name), &self.failed, &kept).map(drop)
    }

    /// Puts what cannot be written for the partner where a person looks at it.
    pub(crate) fn unsayable(&self, name: &str, body: &str, reason: &str) -> io::Result<()> {
        self.explain(name, reason)?;
        write_whole(&self.failed, name, body)
    }

    fn explain(&self, name: &str, reason: &str) -> io::Result<()> {
        write_whole(&self.failed, &format!("{name}.reason"), &format!("{reason}\n"))
    }

    /// Puts a file into `out`, whole or not at all.
    pub(crate) fn put(&self, name: &str, text: &str) -> io::Result<()> {
        write_whole(&self.outbound, name, text)
    }

    /// Puts a file into `out`, once.
    pub(crate) fn deliver(&self, name: &str, text: &str) -> io::Result<Delivered> {
        let unfinished = self.outbound.join(temporary(name));
        let copy = self.archive.join(name);
        let copied = copy.try_exists()?;
        if copied && !unfinished.try_exists()? {
            return Ok(Delivered::Before);
        }
        if !copied {
            write_synced(&unfinished, text)?;
            sync_directory(&self.outbound)?;
            write_whole(&self.archive, name, text)?;
        }
        fs::rename(&unfinished, self.outbound.join(name))?;
        sync_directory(&self.outbound)?;
        Ok(Delivered::Now)
    }
}

/// The text of a file: UTF-8, or else Latin-1, in which every byte is a character.
#[must_use]
pub fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

fn temporary(name: &str) -> String {
    format!(".{name}.tmp")
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn write_whole(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = directory.join(temporary(name));
    write_synced(&unfinished, text)?;
    fs::rename(&unfinished, directory.join(name))?;
    sync_directory(directory)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A name that no file of a directory has.
fn free_name(directory: &Path, name: &str) -> io::Result<String> {
    let short: String = name.chars().take(MAX_NAME).collect();
    let mut free = short.clone();
    for number in 1_u32.. {
        if !directory.join(&free).try_exists()? {
            break;
        }
        free = format!("{short}.{number}");
    }
    Ok(free)
}

/// Moves a file. One that is gone was moved before.
fn move_to(from: &Path, directory: &Path, name: &str) -> io::Result<()> {
    let to = directory.join(free_name(directory, name)?);
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    sync_directory(directory)?;
    from.parent().map_or(Ok(()), sync_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_has_its_name_is_taken_and_nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::open(root.path()).unwrap();
        for name in ["b.edi", "a.edi", ".c.edi", "d.edi.tmp", "e.part"] {
            fs::write(root.path().join("in").join(name), name).unwrap();
        }
        fs::create_dir(root.path().join("in/directory")).unwrap();
        assert_eq!(directories.arrived().unwrap(), ["a.edi", "b.edi"]);
        let read = directories.read("a.edi", 5).unwrap().unwrap();
        assert_eq!(read.content.as_deref(), Some("a.edi"));
        assert_eq!(directories.read("a.edi", 4).unwrap().unwrap().content, None);
        assert!(directories.read("z.edi", 4).unwrap().is_none());
        directories.put_away("a.edi").unwrap();
        directories.put_away("a.edi").unwrap();
        fs::write(root.path().join("in/a.edi"), "another").unwrap();
        directories.put_away("a.edi").unwrap();
        assert_eq!(names(&root.path().join("archive")), ["a.edi", "a.edi.1"]);
        directories.set_aside("b.edi", "why").unwrap();
        assert_eq!(names(&root.path().join("failed")), ["b.edi", "b.edi.reason"]);
    }

    #[test]
    fn a_file_goes_out_once_wherever_the_power_fails() {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::open(root.path()).unwrap();
        let (out, archive) = (root.path().join("out"), root.path().join("archive"));
        // Before anything; a part of the temporary file; the whole of it; the copy; and after it.
        let states: [(Option<&str>, Option<&str>, Delivered); 4] = [
            (None, None, Delivered::Now),
            (Some("hal"), None, Delivered::Now),
            (Some("whole"), Some("whole"), Delivered::Now),
            (None, Some("whole"), Delivered::Before),
        ];
        for (number, (unfinished, copy, expected)) in states.into_iter().enumerate() {
            let name = format!("{number}.edi");
            if let Some(text) = unfinished {
                fs::write(out.join(temporary(&name)), text).unwrap();
            }
            if let Some(text) = copy {
                fs::write(archive.join(&name), text).unwrap();
            }
            assert_eq!(directories.deliver(&name, "whole").unwrap(), expected, "{number}");
            assert_eq!(
                directories.deliver(&name, "whole").unwrap(),
                Delivered::Before,
                "{number}"
            );
            assert_eq!(fs::read_to_string(archive.join(&name)).unwrap(), "whole");
            let there = fs::read_to_string(out.join(&name)).ok();
            assert_eq!(there.as_deref(), (expected == Delivered::Now).then_some("whole"));
        }
        assert!(names(&out).iter().all(|name| !name.starts_with('.')));
    }
}
