//! The writer's side: one connection to each database, one round trip a commit.

use super::connect::{Connector, Session};
use super::errors::damaged;
use super::opener::{Layout, Sharing};
use super::reader::PostgresReader;
use super::rows::{COMMIT, Columns, columns, signed};
use super::tail::{Blob, Tail};
use crate::store::Usable;
use futures_util::future::join_all;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{Claim, CommitBatch, Epoch, PartitionState, Store, StoreError, StoreReader};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;

/// Raising an epoch waits for a commit that is still running under the old one. Who has the store alone need not look at
/// tenures.
const ACQUIRE: &str = "with held as materialized (\
        select p.id, given.tenure from lockstep.partition p \
        join unnest($1::integer[], $2::bigint[]) as given (id, tenure) on given.id = p.id \
        where p.tenure <= given.tenure or $3 order by p.id for update of p) \
    update lockstep.partition p set epoch = p.epoch + 1, tenure = greatest(p.tenure, held.tenure) \
    from held where p.id = held.id returning p.id, p.epoch, p.next_sequence, p.header";

pub(super) struct PostgresStore {
    connector: Arc<Connector>,
    layout: Arc<Layout>,
    /// One for each database.
    sessions: Vec<Session>,
    tail: Arc<Tail>,
    reader: Arc<PostgresReader>,
    /// Under which each partition is held, as far as this store knows.
    epochs: HashMap<PartitionId, Epoch>,
    usable: Usable,
}

impl PostgresStore {
    pub(super) fn new(
        connector: Arc<Connector>,
        layout: Arc<Layout>,
        sessions: Vec<Session>,
        tail: Arc<Tail>,
        reader: Arc<PostgresReader>,
    ) -> Self {
        Self {
            connector,
            layout,
            sessions,
            tail,
            reader,
            epochs: HashMap::new(),
            usable: Usable::default(),
        }
    }

    fn raise_epochs(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        let mut states = Vec::with_capacity(claims.len());
        let is_alone = self.layout.sharing == Sharing::Alone;
        for (number, session) in self.sessions.iter().enumerate() {
            let here = |claim: &&Claim| self.layout.map.get(usize::from(claim.partition.0)) == Some(&number);
            let here: Vec<&Claim> = claims.iter().filter(here).collect();
            if here.is_empty() {
                continue;
            }
            let ids: Vec<i32> = here.iter().map(|claim| claim.partition.0.into()).collect();
            let tenures = here.iter().map(|claim| signed(claim.tenure.0));
            let tenures: Vec<i64> = tenures.collect::<Result<_, _>>()?;
            let raising = async {
                let statement = session.prepared(ACQUIRE).await?;
                session
                    .client()
                    .query(&statement, &[&ids, &tenures, &is_alone])
                    .await
            };
            for row in self.connector.io().wait("taking partitions", raising)? {
                states.push(state(&row)?);
            }
        }
        states.sort_by_key(|state| state.partition);
        for state in &states {
            self.epochs.insert(state.partition, state.epoch);
            self.tail.clear(state.partition);
        }
        Ok(states)
    }

    fn store(&self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let columns = columns(&self.layout, batches, &self.epochs)?;
        let given = self.sessions.iter().zip(&columns);
        let commits = given
            .filter(|(_, columns)| !columns.is_empty())
            .map(|(session, columns)| commit(session, columns));
        // Each database is told before any is waited for; the first error counts.
        let all = async {
            join_all(commits)
                .await
                .into_iter()
                .collect::<Result<Vec<()>, _>>()
        };
        self.connector.io().wait("committing", all)?;
        for part in batches.iter().flat_map(|batch| &batch.partitions) {
            if part.entries > 0 {
                let blob = Blob {
                    first: part.first_sequence,
                    end: Sequence(part.first_sequence.0 + u64::from(part.entries)),
                    body: part.journal.as_slice().into(),
                };
                self.tail.push(part.partition, blob);
            }
            if let Some(before) = part.trim_before {
                self.tail.trim(part.partition, before);
            }
        }
        Ok(())
    }
}

async fn commit(session: &Session, columns: &Columns<'_>) -> Result<(), tokio_postgres::Error> {
    let statement = session.prepared(COMMIT).await?;
    session
        .client()
        .execute(&statement, &columns.parameters())
        .await?;
    Ok(())
}

fn state(row: &Row) -> Result<PartitionState, StoreError> {
    let wrong = |_| damaged("a partition's numbers are out of range");
    Ok(PartitionState {
        partition: PartitionId(u16::try_from(row.get::<_, i32>(0)).map_err(wrong)?),
        epoch: Epoch(u64::try_from(row.get::<_, i64>(1)).map_err(wrong)?),
        next_sequence: Sequence(u64::try_from(row.get::<_, i64>(2)).map_err(wrong)?),
        header: row.get(3),
    })
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if self.usable.failed {
            self.sessions.iter().for_each(Session::cut);
        }
    }
}

impl Store for PostgresStore {
    fn partition_count(&self) -> PartitionCount {
        self.layout.partitions
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        self.usable.check()?;
        let result = self.raise_epochs(claims);
        self.usable.judge(result)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        self.usable.check()?;
        let result = self.store(batches);
        self.usable.judge(result)
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::clone(&self.reader) as _
    }
}
