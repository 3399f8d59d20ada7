//! Connections that the server cuts, at rest and in the middle of commits.

use super::super::scratch::Scratch;
use super::{PARTITIONS, Writing, numbers};
use lockstep_runtime::store::StoreError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn a_reader_whose_connection_was_cut_reads_on() {
    let databases = [Scratch::new()];
    let mut writing = Writing::open(&Scratch::opener(&databases, PARTITIONS)).unwrap();
    writing.commit(&[0]).unwrap();
    let reader = writing.store.reader();
    assert_eq!(
        reader
            .cursor("erp", lockstep_runtime::placement::PartitionId(0))
            .unwrap()
            .0,
        0
    );
    assert!(databases[0].cut_connections() >= 2, "writer and reader");
    assert_eq!(
        reader
            .cursor("erp", lockstep_runtime::placement::PartitionId(0))
            .unwrap()
            .0,
        0
    );
    // The writer's connection is not made anew under its feet.
    assert!(matches!(writing.commit(&[0]), Err(StoreError::Failed(_))));
    assert!(matches!(writing.commit(&[0]), Err(StoreError::Failed(_))));
}

/// Commits as fast as it goes, opening anew after each failure, while the server cuts all connections again and again.
/// Whatever was reported as stored is found, and a commit over several partitions is found in all of them or in none.
#[test]
fn commits_that_are_cut_off_are_whole_or_absent_and_none_that_was_acknowledged_is_lost() {
    let databases = [Scratch::new()];
    let opener = Scratch::opener(&databases, PARTITIONS);
    let (ended, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut cut_off = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !ended.load(Ordering::Relaxed) {
                // In full flight, each time a little further on.
                if acknowledged.load(Ordering::Relaxed) > seen + 2 {
                    seen = acknowledged.load(Ordering::Relaxed);
                    databases[0].cut_connections();
                }
                std::thread::yield_now();
            }
        });
        while cut_off < 20 {
            let Ok(mut writing) = Writing::open(&opener) else {
                continue;
            };
            let next = writing.next(0);
            assert!(
                (1..PARTITIONS).all(|partition| writing.next(partition) == next),
                "whole"
            );
            let known = acknowledged.load(Ordering::Relaxed);
            assert!(next > known, "commit {known} was acknowledged, {next} is to come");
            while writing.commit(&[0, 1, 2, 3]).is_ok() {
                acknowledged.store(writing.next(0) - 1, Ordering::Relaxed);
            }
            cut_off += 1;
        }
        ended.store(true, Ordering::Relaxed);
    });
    let writing = Writing::open(&opener).unwrap();
    let reader = writing.store.reader();
    let expected: Vec<u64> = (1..writing.next(0)).collect();
    for partition in 0..PARTITIONS {
        assert_eq!(numbers(&*reader, partition), expected);
    }
}
