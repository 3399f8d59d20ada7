//! Trimmed room goes back to the disk.

use super::super::reclaim::{GROWN_BYTES, LOOK_AFTER_BYTES};
use super::*;
use std::os::unix::fs::MetadataExt;

const MIB: u64 = 1 << 20;
/// What the engine's own log may take: 192 MiB, looked at whenever one of its files of 64 MiB is full, and two such files
/// until the oldest is gone.
const LOG: u64 = 320 * MIB;

/// The room that a directory takes on the disk. Files that vanish meanwhile take none.
fn room(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| {
            if metadata.is_dir() {
                room(&path)
            } else {
                metadata.blocks() * 512
            }
        })
        .sum()
}

#[test]
fn a_journal_of_large_entries_does_not_outgrow_what_is_still_needed() {
    const ROUNDS: u64 = 700;
    const NEEDED: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let mut busy = Busy::open(&opener(directory.path())).unwrap();
    let mut most = 0;
    for _ in 0..ROUNDS {
        let trim = busy.next.checked_sub(NEEDED);
        busy.commit_and_trim(1 << 20, trim).unwrap();
        most = most.max(room(directory.path()));
    }
    // What is trimmed until it is looked, and while it is given back, which a busy disk makes long.
    let allowed = LOG + NEEDED * MIB + GROWN_BYTES + 4 * LOOK_AFTER_BYTES;
    assert!(
        most <= allowed,
        "{} MiB of disk for {NEEDED} MiB that are needed; allowed are {} MiB",
        most / MIB,
        allowed / MIB
    );
}
