//! Files that are not what was written: refused, and left as they are.

use super::*;
use std::fs;
use std::path::PathBuf;

const COMMITS: u64 = 20;
const BYTES: usize = 3_000;

/// A store with a few commits, at rest.
fn store() -> (tempfile::TempDir, EmbeddedOpener) {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let mut busy = Busy::open(&opener).unwrap();
    for _ in 0..COMMITS {
        busy.commit(BYTES).unwrap();
    }
    drop(busy);
    (directory, opener)
}

fn log(directory: &Path) -> PathBuf {
    directory.join("engine/0.jnl")
}

/// How much of the log is written.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

/// Where each commit ends.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let trailer = b"FJL\x03";
    let found = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window == trailer);
    found.map(|(at, _)| at + 4).collect()
}

fn assert_refused_untouched(opener: &EmbeddedOpener, path: &Path, what: &str) {
    let before = fs::read(path).unwrap();
    let error = refusal(opener);
    assert!(matches!(error, StoreError::Damaged(_)), "{what}: {error}");
    assert!(fs::read(path).unwrap() == before, "{what}: the file was changed");
}

#[test]
fn one_wrong_bit_anywhere_in_the_log_is_refused() {
    let (directory, opener) = store();
    let path = log(directory.path());
    let good = fs::read(&path).unwrap();
    let written = written(&good);
    // The heads and tails of batches and items, and places within values.
    let ends = ends(&good);
    let around = |at: usize| (at.saturating_sub(14)..(at + 60).min(written)).step_by(3);
    let mut places: Vec<usize> = around(0).chain(around(ends[3])).collect();
    places.extend(around(ends[ends.len() - 2]));
    places.extend((0..written).step_by(7_001));
    places.push(written - 1);
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        // The engine's own sequence of a batch is under no checksum. As long as it grows it means nothing.
        let start = ends.iter().copied().filter(|end| *end <= at).max().unwrap_or(0);
        if (5..13).contains(&(at - start)) {
            match read_all(&opener) {
                Ok(found) => assert_eq!(found, COMMITS, "bit at {at}"),
                Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "bit at {at}: {error}"),
            }
            continue;
        }
        assert_refused_untouched(&opener, &path, &format!("bit at {at} of {written}"));
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(sequences(&*opener.open().unwrap().reader()), numbers(COMMITS));
}

#[test]
fn a_log_that_was_cut_off_is_refused() {
    let (directory, opener) = store();
    let path = log(directory.path());
    let good = fs::read(&path).unwrap();
    let ends = ends(&good);
    for at in [
        ends[0],
        ends[4],
        ends[4] + 100,
        ends[ends.len() - 2],
        written(&good) - 1,
    ] {
        fs::write(&path, &good[..at]).unwrap();
        assert_refused_untouched(&opener, &path, &format!("cut at {at}"));
    }
    for at in [0, 5] {
        fs::write(&path, &good[..at]).unwrap();
        assert!(matches!(refusal(&opener), StoreError::Damaged(_)), "cut at {at}");
    }
}

/// What a power cut leaves of a write whose sync never returned.
#[test]
fn a_write_that_was_never_acknowledged_is_absent() {
    let (directory, opener) = store();
    let path = log(directory.path());
    let good = fs::read(&path).unwrap();
    let ends = ends(&good);
    let last = ends[ends.len() - 2];
    let acknowledged = directory.path().join("acknowledged");
    let before_the_last = {
        let number = u64::from_le_bytes(*fs::read(&acknowledged).unwrap().first_chunk().unwrap());
        let mut bytes = (number - 1).to_le_bytes().to_vec();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    };
    let hole = last.next_multiple_of(512)..last.next_multiple_of(512) + 1024;
    let half = last + 1_700..good.len();
    for lost in [hole, half.clone(), last + 3..good.len()] {
        let mut torn = good.clone();
        torn[lost].fill(0);
        fs::write(&path, &torn).unwrap();
        fs::write(&acknowledged, &before_the_last).unwrap();
        let store = opener.open().unwrap();
        assert_eq!(sequences(&*store.reader()), numbers(COMMITS - 1));
    }
    // Written on where it was cut off.
    let mut busy = Busy::open(&opener).unwrap();
    busy.commit(BYTES).unwrap();
    drop(busy);
    assert_eq!(sequences(&*opener.open().unwrap().reader()), numbers(COMMITS));
    // The same, had it been acknowledged.
    fs::write(&path, &good[..half.start]).unwrap();
    assert_refused_untouched(&opener, &path, "an acknowledged write");
}

#[test]
fn a_wrong_bit_in_the_small_files_is_refused() {
    let (directory, opener) = store();
    for name in ["identity", "acknowledged"] {
        let path = directory.path().join(name);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let error = refusal(&opener);
            let newer = matches!(error, StoreError::NewerFormat { .. });
            assert!(
                newer || matches!(error, StoreError::Damaged(_)),
                "{name} at {at}: {error}"
            );
        }
        fs::write(&path, &good).unwrap();
    }
    opener.open().unwrap();
}

fn tables(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.join("engine/keyspaces")];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let folder = path.parent().unwrap().file_name().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
            } else if folder == "tables" || folder == "blobs" {
                found.push(path);
            }
        }
    }
    found
}

/// Reads all there is; the first error, or what was found.
fn read_all(opener: &EmbeddedOpener) -> Result<u64, StoreError> {
    let store = opener.open()?;
    let mut found = 0;
    let visit = &mut |blob: &[u8]| {
        let sequence = u64::from_le_bytes(*blob.first_chunk().unwrap());
        assert!(
            blob == entry(sequence, blob.len()),
            "entry {sequence} has changed"
        );
        found += 1;
        ControlFlow::Continue(())
    };
    store.reader().journal(PARTITION, Sequence(0), visit)?;
    Ok(found)
}

#[test]
fn a_wrong_bit_in_a_table_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let mut busy = Busy::open(&opener).unwrap();
    // More than a memtable, so that there are tables.
    let mut commits = 0;
    while tables(directory.path())
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum::<u64>()
        < 60 << 20
    {
        busy.commit(1 << 20).unwrap();
        commits += 1;
        assert!(commits < 400, "no table was written");
    }
    drop(busy);
    assert_eq!(read_all(&opener).unwrap(), commits);
    let files = tables(directory.path());
    let largest = files
        .iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let good = fs::read(largest).unwrap();
    for at in [good.len() / 2, good.len() / 3] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(largest, &bad).unwrap();
        let error = read_all(&opener).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "at {at}: {error}");
    }
    fs::write(largest, &good[..good.len() / 2]).unwrap();
    let error = read_all(&opener).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "half a file: {error}");
    fs::remove_file(largest).unwrap();
    let error = read_all(&opener).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "no file: {error}");
}

/// The engine would make it anew, empty: what it held would be lost without a word.
#[test]
fn a_keyspace_that_is_not_there_is_refused_untouched() {
    let (directory, opener) = store();
    let keyspaces = directory.path().join("engine/keyspaces");
    let aside = directory.path().join("aside");
    for number in 0..=5 {
        let keyspace = keyspaces.join(number.to_string());
        for lost in [keyspace.join("current"), keyspace.clone()] {
            fs::rename(&lost, &aside).unwrap();
            let error = refusal(&opener);
            assert!(
                matches!(error, StoreError::Damaged(_)),
                "{}: {error}",
                lost.display()
            );
            assert_eq!(keyspace.exists(), lost != keyspace);
            fs::rename(&aside, &lost).unwrap();
        }
    }
    assert_eq!(sequences(&*opener.open().unwrap().reader()), numbers(COMMITS));
    let found = fs::read_dir(keyspaces).unwrap().count();
    assert_eq!(found, 6, "every keyspace is looked for");
}

/// How a file may be broken: empty, cut off, zeroed as by a power cut, or with one wrong bit.
fn broken(good: &[u8]) -> Vec<Vec<u8>> {
    let cuts = [0, 1, 7, 8, good.len() / 2, good.len() - 1].map(|at| good[..at].to_vec());
    let flips = (0..good.len()).step_by(3).map(|at| {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        bad
    });
    cuts.into_iter()
        .chain([vec![0; good.len()]])
        .chain(flips)
        .collect()
}

/// The engine reads a manifest without looking at its checksum: tables would be left out without a word.
#[test]
fn a_keyspace_whose_manifest_is_broken_is_refused_untouched() {
    let (directory, opener) = store();
    for number in 0..=5 {
        let keyspace = directory.path().join(format!("engine/keyspaces/{number}"));
        let current = keyspace.join("current");
        let version = u64::from_le_bytes(*fs::read(&current).unwrap().first_chunk().unwrap());
        for path in [current, keyspace.join(format!("v{version}"))] {
            let good = fs::read(&path).unwrap();
            for bad in broken(&good) {
                fs::write(&path, &bad).unwrap();
                let what = format!("{}: {}", path.display(), bad.escape_ascii());
                assert_refused_untouched(&opener, &path, &what);
            }
            fs::write(&path, "").unwrap();
            let words = refusal(&opener).to_string();
            let file = path.file_name().unwrap().to_str().unwrap();
            assert!(
                words.contains(file) && words.contains("Restore a backup"),
                "{words}"
            );
            fs::write(&path, &good).unwrap();
        }
    }
    assert_eq!(sequences(&*opener.open().unwrap().reader()), numbers(COMMITS));
}
