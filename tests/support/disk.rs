//! A disk of a fixed size, played by a file system in memory.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Gone, with all that is on it, when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with a word about it, where mounting is not allowed.
    pub fn mount(mib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = CString::new(format!("size={mib}m")).unwrap();
        let mounted = mount(
            "tmpfs",
            at.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(size.as_c_str()),
        );
        match mounted {
            Ok(()) => Some(Self { at }),
            Err(error) => {
                println!("skipped: a small file system cannot be mounted here: {error}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all the room that is left, to the last page.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join("ballast")).unwrap();
        let mut piece = 1 << 20;
        while piece >= 4096 {
            match ballast.write(&vec![1; piece]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.at.path(), UnmountFlags::DETACH) {
            println!("the small file system stays: {error}");
        }
    }
}
