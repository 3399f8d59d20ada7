//! The readers' side: a page at a time, over a connection for each database that is made anew when it is lost. Nothing is
//! held while a visitor runs, so visitors may read again.

use super::connect::{Connector, Session};
use super::errors::damaged;
use super::opener::Layout;
use super::rows::no_partition;
use super::tail::{Blob, Tail};
use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{AlarmVisitor, DeadLetter, SnapshotRef, StoreError, StoreReader};
use lockstep_runtime::time::Timestamp;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// How many rows are asked for at a time: snapshots and alarms are mostly read to their end, blobs seldom.
const ROWS_AT_A_TIME: i64 = 2_000;
/// How many blobs are asked for first. Who reads on gets more, up to about [`BLOB_BYTES_AT_A_TIME`].
const BLOBS_FIRST: usize = 16;
const BLOBS_AT_MOST: usize = 2_000;
const BLOB_BYTES_AT_A_TIME: usize = 1 << 20;
/// How many entities are named in one question.
const ENTITIES_AT_A_TIME: usize = 1_000;

const SNAPSHOT: &str = "select entity, sequence, alarm, checksum, state from lockstep.snapshot \
    where partition = $1 and kind = $2 and entity = $3";
const SNAPSHOTS_OF: &str = "select entity, sequence, alarm, checksum, state from lockstep.snapshot \
    where partition = $1 and kind = $2 and entity = any($3)";
const SNAPSHOTS: &str = "select entity, sequence, alarm, checksum, state from lockstep.snapshot \
    where partition = $1 and kind = $2 and entity >= $3 order by entity limit $4";
const ALARMS: &str = "select alarm, kind, entity from lockstep.snapshot \
    where partition = $1 and alarm is not null and (alarm, kind, entity) >= ($2, $3, $4) \
    order by alarm, kind, entity limit $5";
const JOURNAL: &str = "select first_sequence, end_sequence, checksum, body from lockstep.journal \
    where partition = $1 and end_sequence > $2 and first_sequence >= coalesce(\
        (select max(first_sequence) from lockstep.journal where partition = $1 and first_sequence <= $2), 0) \
    order by first_sequence limit $3";
const POSITIONS: &str = "select id, next_sequence from lockstep.partition order by id";
const CURSOR: &str = "select sequence from lockstep.cursor where partition = $1 and consumer = $2";
const KINDS: &str = "select distinct kind from lockstep.snapshot where partition = $1 order by kind";
const CURSORS: &str = "select consumer, sequence from lockstep.cursor where partition = $1 \
    order by consumer collate \"C\"";
const DEAD_LETTERS: &str = "select sequence, letter from lockstep.dead_letter \
    where partition = $1 and sequence > $2 order by sequence limit $3";

/// The checksum of a snapshot, with what says whose and of when it is.
pub(super) fn snapshot_checksum(entity: &[u8], sequence: i64, state: &[u8]) -> i32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(entity);
    hasher.update(&sequence.to_le_bytes());
    hasher.update(state);
    hasher.finalize().cast_signed()
}

/// Reads a store in PostgreSQL. Cheap to share.
pub struct PostgresReader {
    connector: Arc<Connector>,
    layout: Arc<Layout>,
    /// One for each database, once it was needed.
    sessions: Vec<Mutex<Option<Arc<Session>>>>,
    tail: Arc<Tail>,
}

impl PostgresReader {
    pub(super) fn new(connector: Arc<Connector>, layout: Arc<Layout>, tail: Arc<Tail>) -> Self {
        Self {
            connector,
            sessions: layout.databases.iter().map(|_| Mutex::default()).collect(),
            layout,
            tail,
        }
    }

    /// Where the journals of all partitions end: the sequence of the entry to come.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn positions(&self) -> Result<Vec<(PartitionId, Sequence)>, StoreError> {
        let mut positions = Vec::with_capacity(self.layout.map.len());
        for database in 0..self.layout.databases.len() {
            for row in self.rows_of(database, POSITIONS, &[])? {
                let id = u16::try_from(row.get::<_, i32>(0))
                    .map_err(|_| damaged("a partition is no number of one"))?;
                positions.push((PartitionId(id), sequence(row.get(1))?));
            }
        }
        Ok(positions)
    }

    fn slot(&self, database: usize) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.sessions[database]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to a database; a new one if there is none or it was closed.
    fn session(&self, database: usize) -> Result<Arc<Session>, StoreError> {
        let mut slot = self.slot(database);
        if let Some(session) = slot.as_ref().filter(|session| !session.client().is_closed()) {
            return Ok(Arc::clone(session));
        }
        let config = &self.layout.databases[database];
        let session = Arc::new(self.connector.connect(config, "lockstep reader")?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    fn rows(
        &self,
        partition: PartitionId,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let database = self.layout.map.get(usize::from(partition.0)).copied();
        self.rows_of(database.ok_or_else(|| no_partition(partition))?, sql, parameters)
    }

    fn rows_of(
        &self,
        database: usize,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let session = self.session(database)?;
        match self.ask(&session, sql, parameters) {
            // Once more over a new connection: reading twice does no harm.
            Err(StoreError::Failed(_)) => {
                self.forget(database, &session);
                self.ask(&*self.session(database)?, sql, parameters)
            }
            answered => answered,
        }
    }

    /// Another thread may have made a new connection by now.
    fn forget(&self, database: usize, session: &Arc<Session>) {
        let mut slot = self.slot(database);
        if slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, session)) {
            session.cut();
            *slot = None;
        }
    }

    fn ask(
        &self,
        session: &Session,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let asking = async {
            let statement = session.prepared(sql).await?;
            session.client().query(&statement, parameters).await
        };
        self.connector.io().wait("reading", asking)
    }

    /// A page of blobs from the one that holds `from` on.
    fn blobs(&self, partition: PartitionId, from: Sequence, most: usize) -> Result<Vec<Blob>, StoreError> {
        if let Some(blobs) = self.tail.from(partition, from, most) {
            return Ok(blobs);
        }
        let start = i64::try_from(from.0).unwrap_or(i64::MAX);
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.rows(partition, JOURNAL, &[&i32::from(partition.0), &start, &limit])?;
        let blob = |row: &Row| {
            let (end, checksum, body): (i64, i32, &[u8]) = (row.get(1), row.get(2), row.get(3));
            if crc32fast::hash(body).cast_signed() != checksum {
                return Err(damaged(format!(
                    "the checksum of the journal of partition {} before {end} is wrong",
                    partition.0
                )));
            }
            Ok(Blob {
                first: sequence(row.get(0))?,
                end: sequence(end)?,
                body: body.into(),
            })
        };
        rows.iter().map(blob).collect()
    }
}

fn sequence(number: i64) -> Result<Sequence, StoreError> {
    u64::try_from(number)
        .map(Sequence)
        .map_err(|_| damaged("a sequence is negative"))
}

/// The key after this one, in the order of bytes.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// A row of [`SNAPSHOT`] or [`SNAPSHOTS`].
fn snapshot(row: &Row) -> Result<SnapshotRef<'_>, StoreError> {
    let (entity, number, state): (&[u8], i64, &[u8]) = (row.get(0), row.get(1), row.get(4));
    if snapshot_checksum(entity, number, state) != row.get::<_, i32>(3) {
        return Err(damaged("the checksum of a snapshot is wrong"));
    }
    Ok(SnapshotRef {
        entity,
        sequence: sequence(number)?,
        alarm: row.get::<_, Option<i64>>(2).map(Timestamp::from_millis),
        state,
    })
}

impl StoreReader for PostgresReader {
    fn snapshot(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entity: &[u8],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError> {
        let parameters: [&(dyn ToSql + Sync); 3] = [&i32::from(partition.0), &i16::from(kind.0), &entity];
        if let Some(row) = self.rows(partition, SNAPSHOT, &parameters)?.first() {
            visit(snapshot(row)?);
        }
        Ok(())
    }

    fn snapshots_of(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        entities: &[&[u8]],
        visit: &mut dyn FnMut(SnapshotRef<'_>),
    ) -> Result<(), StoreError> {
        let (id, number) = (i32::from(partition.0), i16::from(kind.0));
        for some in entities.chunks(ENTITIES_AT_A_TIME) {
            for row in &self.rows(partition, SNAPSHOTS_OF, &[&id, &number, &some])? {
                visit(snapshot(row)?);
            }
        }
        Ok(())
    }

    fn snapshots(
        &self,
        partition: PartitionId,
        kind: EntityKind,
        visit: &mut dyn FnMut(SnapshotRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (id, number) = (i32::from(partition.0), i16::from(kind.0));
        let mut next = Vec::new();
        loop {
            let rows = self.rows(partition, SNAPSHOTS, &[&id, &number, &next, &ROWS_AT_A_TIME])?;
            for row in &rows {
                if visit(snapshot(row)?).is_break() {
                    return Ok(());
                }
            }
            match rows.last() {
                Some(last) => next = after(last.get(0)),
                None => return Ok(()),
            }
        }
    }

    fn alarms(&self, partition: PartitionId, visit: &mut AlarmVisitor<'_>) -> Result<(), StoreError> {
        let id = i32::from(partition.0);
        let mut next = (i64::MIN, 0_i16, Vec::new());
        loop {
            let (at, kind, entity) = &next;
            let rows = self.rows(partition, ALARMS, &[&id, at, kind, entity, &ROWS_AT_A_TIME])?;
            for row in &rows {
                let kind =
                    u8::try_from(row.get::<_, i16>(1)).map_err(|_| damaged("a kind is no number of one"))?;
                if visit(Timestamp::from_millis(row.get(0)), EntityKind(kind), row.get(2)).is_break() {
                    return Ok(());
                }
            }
            match rows.last() {
                Some(last) => next = (last.get(0), last.get(1), after(last.get(2))),
                None => return Ok(()),
            }
        }
    }

    fn journal(
        &self,
        partition: PartitionId,
        from: Sequence,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (mut from, mut most) = (from, BLOBS_FIRST);
        loop {
            let blobs = self.blobs(partition, from, most)?;
            let mut bytes = 0;
            for blob in &blobs {
                if visit(&blob.body).is_break() {
                    return Ok(());
                }
                from = blob.end;
                bytes += blob.body.len();
            }
            if blobs.is_empty() {
                return Ok(());
            }
            // As many as take that many bytes, if they are as those were.
            most = (BLOB_BYTES_AT_A_TIME * blobs.len() / bytes.max(1)).clamp(BLOBS_FIRST, BLOBS_AT_MOST);
        }
    }

    fn cursor(&self, consumer: &str, partition: PartitionId) -> Result<Sequence, StoreError> {
        let rows = self.rows(partition, CURSOR, &[&i32::from(partition.0), &consumer])?;
        rows.first()
            .map_or(Ok(Sequence::default()), |row| sequence(row.get(0)))
    }

    fn kinds(&self, partition: PartitionId) -> Result<Vec<EntityKind>, StoreError> {
        let rows = self.rows(partition, KINDS, &[&i32::from(partition.0)])?;
        let kind = |row: &Row| u8::try_from(row.get::<_, i16>(0)).map(EntityKind);
        let kinds: Result<Vec<_>, _> = rows.iter().map(kind).collect();
        kinds.map_err(|_| damaged("a kind is no number of one"))
    }

    fn cursors(&self, partition: PartitionId) -> Result<Vec<(String, Sequence)>, StoreError> {
        let rows = self.rows(partition, CURSORS, &[&i32::from(partition.0)])?;
        let cursor = |row: &Row| Ok((row.get(0), sequence(row.get(1))?));
        rows.iter().map(cursor).collect()
    }

    fn dead_letters(
        &self,
        partition: PartitionId,
        visit: &mut dyn FnMut(Sequence, DeadLetter) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut last = -1_i64;
        loop {
            let parameters: [&(dyn ToSql + Sync); 3] = [&i32::from(partition.0), &last, &ROWS_AT_A_TIME];
            let rows = self.rows(partition, DEAD_LETTERS, &parameters)?;
            for row in &rows {
                last = row.get(0);
                let letter = rmp_serde::from_slice(row.get(1))
                    .map_err(|error| damaged(format!("a dead letter cannot be read: {error}")))?;
                if visit(sequence(last)?, letter).is_break() {
                    return Ok(());
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}
