//! The store in PostgreSQL against what servers, networks and people do.

mod cut;
mod opening;

use super::scratch::{Scratch, as_owner, until_waiting};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{
    Claim, CommitBatch, Epoch, PartitionBatch, PartitionState, Store, StoreError, StoreOpener, StoreReader,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const PARTITIONS: u16 = 4;

/// A store with all its partitions acquired, into which numbered entries are written.
struct Writing {
    store: Box<dyn Store>,
    standing: BTreeMap<u16, (Epoch, u64)>,
}

impl Writing {
    fn open(opener: &dyn StoreOpener) -> Result<Self, StoreError> {
        let mut store = opener.open()?;
        let all: Vec<_> = (0..PARTITIONS).map(PartitionId).map(Claim::alone).collect();
        let states = store.acquire(&all)?;
        let standing = |state: &PartitionState| (state.partition.0, (state.epoch, state.next_sequence.0));
        Ok(Self {
            store,
            standing: states.iter().map(standing).collect(),
        })
    }

    fn part(&self, partition: u16) -> PartitionBatch {
        let (epoch, next) = self.standing[&partition];
        PartitionBatch {
            partition: PartitionId(partition),
            epoch,
            first_sequence: Sequence(next),
            entries: 1,
            journal: next.to_le_bytes().to_vec(),
            ..PartitionBatch::default()
        }
    }

    /// Writes one entry into each of these partitions, in one commit.
    fn commit(&mut self, partitions: &[u16]) -> Result<(), StoreError> {
        let batch = CommitBatch {
            partitions: partitions.iter().map(|partition| self.part(*partition)).collect(),
            cursors: Vec::new(),
        };
        self.store.commit(&[batch])?;
        for partition in partitions {
            self.standing.get_mut(partition).unwrap().1 += 1;
        }
        Ok(())
    }

    fn next(&self, partition: u16) -> u64 {
        self.standing[&partition].1
    }
}

/// The numbers that a partition's entries hold.
fn numbers(reader: &dyn StoreReader, partition: u16) -> Vec<u64> {
    let mut found = Vec::new();
    let visit = &mut |blob: &[u8]| {
        found.push(u64::from_le_bytes(blob.try_into().unwrap()));
        ControlFlow::Continue(())
    };
    reader
        .journal(PartitionId(partition), Sequence(0), visit)
        .unwrap();
    found
}

/// Why a store does not open.
fn refusal(opener: &dyn StoreOpener) -> StoreError {
    opener.open().err().expect("the store should be refused")
}

#[test]
fn a_second_owner_fences_the_first_and_nothing_of_its_commit_is_kept() {
    let databases = [Scratch::new()];
    let opener = Scratch::opener(&databases, PARTITIONS);
    let mut first = Writing::open(&opener).unwrap();
    first.commit(&[0, 1]).unwrap();
    databases[0].execute("update lockstep.partition set epoch = epoch + 1 where id = 1");
    let refused = first.commit(&[0, 1]);
    assert!(
        matches!(refused, Err(StoreError::Fenced(PartitionId(1)))),
        "{refused:?}"
    );
    let reader = first.store.reader();
    assert_eq!((numbers(&*reader, 0), numbers(&*reader, 1)), (vec![1], vec![1]));
    // What is still held goes on.
    first.commit(&[0]).unwrap();
    assert_eq!(numbers(&*reader, 0), [1, 2]);
}

/// A commit that is under way, held up by whatever the database has to do first, while another owner comes and has written
/// nothing yet: only its epoch tells that the place is not the first one's any more.
#[test]
fn a_commit_that_was_under_way_when_another_owner_came_is_void() {
    let databases = [Scratch::new()];
    let mut first = Writing::open(&Scratch::opener(&databases, PARTITIONS)).unwrap();
    first.commit(&[0, 1]).unwrap();
    let refused = std::thread::scope(|scope| {
        let commit = as_owner(
            async |client| {
                let takeover = "begin; update lockstep.partition set epoch = epoch + 1 where id = 1";
                client.batch_execute(takeover).await.unwrap();
                let commit = scope.spawn(|| first.commit(&[0, 1]));
                until_waiting(&client, 1).await;
                client.batch_execute("commit").await.unwrap();
                commit
            },
            &databases[0].config(),
        );
        commit.join().unwrap()
    });
    assert!(
        matches!(refused, Err(StoreError::Fenced(PartitionId(1)))),
        "{refused:?}"
    );
    let reader = first.store.reader();
    assert_eq!((numbers(&*reader, 0), numbers(&*reader, 1)), (vec![1], vec![1]));
}

#[test]
fn a_commit_that_comes_twice_is_refused_by_its_place() {
    let databases = [Scratch::new()];
    let mut writing = Writing::open(&Scratch::opener(&databases, PARTITIONS)).unwrap();
    writing.commit(&[2]).unwrap();
    let (_, next) = writing.standing.get_mut(&2).unwrap();
    *next -= 1;
    let refused = writing.commit(&[2]);
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    assert_eq!(numbers(&*writing.store.reader(), 2), [1]);
}

#[test]
fn bytes_that_changed_in_the_database_are_refused() {
    let databases = [Scratch::new()];
    let opener = Scratch::opener(&databases, PARTITIONS);
    let mut writing = Writing::open(&opener).unwrap();
    writing.commit(&[3]).unwrap();
    drop(writing);
    databases[0].execute("update lockstep.journal set body = '\\x0200000000000000'");
    let writing = Writing::open(&opener).unwrap();
    let read =
        writing
            .store
            .reader()
            .journal(PartitionId(3), Sequence(1), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}
