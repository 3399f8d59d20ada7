//! Who may open what.

use super::*;
use crate::store::EmbeddedOpener;
use std::fs;

#[test]
fn a_directory_is_created_and_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("var/lib/lockstep");
    let mut busy = Busy::open(&opener(&directory)).unwrap();
    busy.commit(10).unwrap();
    drop(busy);
    let tool = EmbeddedOpener::existing(&directory).unwrap();
    assert_eq!(tool.partitions(), PartitionCount::new(4).unwrap());
    let store = tool.open().unwrap();
    assert_eq!(sequences(&*store.reader()), [1]);
}

#[test]
fn a_tool_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let error = EmbeddedOpener::existing(directory.path()).unwrap_err();
    assert!(error.to_string().contains("there is no store at"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let nowhere = directory.path().join("nowhere");
    assert!(EmbeddedOpener::existing(&nowhere).is_err());
    assert!(!nowhere.exists());
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let store = opener.open().unwrap();
    assert!(matches!(refusal(&opener), StoreError::InUse(_)));
    drop(store);
    opener.open().unwrap();
}

#[test]
fn a_reader_keeps_the_store_open() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let store = opener.open().unwrap();
    let reader = store.reader();
    drop(store);
    assert!(matches!(refusal(&opener), StoreError::InUse(_)));
    drop(reader);
    opener.open().unwrap();
}

#[test]
fn the_number_of_partitions_is_fixed() {
    let directory = tempfile::tempdir().unwrap();
    drop(opener(directory.path()).open().unwrap());
    let other = EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.path().to_owned(),
        partitions: PartitionCount::new(8).unwrap(),
        cache_mib: 8,
    });
    let error = refusal(&other);
    assert!(
        matches!(error, StoreError::PartitionCount { found: 4, wanted: 8 }),
        "{error}"
    );
}

#[test]
fn a_newer_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    drop(opener.open().unwrap());
    let identity = "lockstep store\nformat 7\nsomething new\n";
    fs::write(directory.path().join("identity"), identity).unwrap();
    let error = refusal(&opener);
    assert!(
        matches!(
            error,
            StoreError::NewerFormat {
                found: 7,
                supported: 1
            }
        ),
        "{error}"
    );
}

#[test]
fn an_interrupted_creation_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    fs::create_dir_all(directory.path().join("engine/keyspaces")).unwrap();
    fs::write(directory.path().join("engine/0.jnl"), "half").unwrap();
    fs::write(directory.path().join("creating"), "").unwrap();
    let mut busy = Busy::open(&opener).unwrap();
    busy.commit(10).unwrap();
    assert!(!directory.path().join("creating").exists());
}

#[test]
fn a_store_without_identity_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    Busy::open(&opener).unwrap().commit(10).unwrap();
    fs::remove_file(directory.path().join("identity")).unwrap();
    assert!(matches!(refusal(&opener), StoreError::Damaged(_)));
}

#[test]
fn a_store_that_refused_a_commit_refuses_all_until_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let mut busy = Busy::open(&opener).unwrap();
    busy.commit(10).unwrap();
    busy.next = 9;
    let gap = busy.commit(10).unwrap_err();
    assert!(gap.to_string().contains("goes on at 2, not at 9"), "{gap}");
    busy.next = 2;
    assert!(busy.commit(10).is_err());
    assert!(busy.store.acquire(&[Claim::alone(PARTITION)]).is_err());
    drop(busy);
    Busy::open(&opener).unwrap().commit(10).unwrap();
}
