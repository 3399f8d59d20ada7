//! A disk that is full, played by a small file system in memory.

use super::*;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::time::{Duration, Instant};

/// A file system of a fixed size; gone when dropped.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with a word about it, where mounting is not allowed.
    fn mount(mib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = std::ffi::CString::new(format!("size={mib}m")).unwrap();
        match mount(
            "tmpfs",
            at.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(size.as_c_str()),
        ) {
            Ok(()) => Some(Self { at }),
            Err(error) => {
                println!("skipped: a small file system cannot be mounted here: {error}");
                None
            }
        }
    }

    /// Leaves so much room and no more.
    fn fill(&self, leave_mib: u64) {
        let disk = rustix::fs::statvfs(self.at.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let size = free.saturating_sub(leave_mib << 20);
        fs::write(
            self.at.path().join("ballast"),
            vec![1; usize::try_from(size).unwrap()],
        )
        .unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.at.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.at.path(), UnmountFlags::DETACH) {
            println!("the small file system stays: {error}");
        }
    }
}

/// Commits until that fails.
fn commit_until_full(busy: &mut Busy, bytes: usize) -> StoreError {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Err(error) = busy.commit(bytes) {
            return error;
        }
        assert!(Instant::now() < deadline, "the disk never became full");
    }
}

/// The log or a background thread, whichever meets the end of the disk first, the store says so, and goes on when there is
/// room.
fn survives_a_full_disk(leave_mib: u64, bytes: usize) {
    let Some(disk) = SmallDisk::mount(700) else {
        return;
    };
    let opener = opener(&disk.at.path().join("store"));
    let mut busy = Busy::open(&opener).unwrap();
    busy.commit(bytes).unwrap();
    disk.fill(leave_mib);
    let error = commit_until_full(&mut busy, bytes);
    assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
    let acknowledged = busy.next - 1;
    assert!(busy.commit(bytes).is_err(), "used after a failure");
    assert!(acknowledged > 10, "{acknowledged}");
    drop(busy);
    let error = refusal(&opener);
    assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
    disk.make_room();
    let mut busy = Busy::open(&opener).unwrap();
    let last = busy.next - 1;
    // All of the commit that failed, or nothing.
    assert!(
        last == acknowledged || last == acknowledged + 1,
        "{acknowledged}, {last}"
    );
    assert_eq!(sequences(&*busy.store.reader()), numbers(last));
    for _ in 0..10 {
        busy.commit(bytes).unwrap();
    }
    assert_eq!(sequences(&*busy.store.reader()), numbers(last + 10));
}

#[test]
fn the_log_meets_the_end_of_the_disk() {
    survives_a_full_disk(65, 300_000);
}

#[test]
fn background_work_meets_the_end_of_the_disk() {
    survives_a_full_disk(100, 1_000_000);
    survives_a_full_disk(200, 1_000_000);
}
